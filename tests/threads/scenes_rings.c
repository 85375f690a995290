/*
 * scenes_rings.c - the rings of links and streams alone, both sides at one address.
 *
 * The two ends of a link or a stream are two handles, and so two mappings: whoever watches addresses, as
 * ThreadSanitizer does, sees neither side's bytes at the other one's. Here both sides use the same memory,
 * without names, waiting, or system calls.
 */
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "ring/bytes.h"
#include "ring/spsc.h"
#include "scenes.h"

enum { IN, OUT };

#define SIZE_MOST 700

static void *no_handle(struct round *round, uint32_t process, uint32_t handle)
{
    (void)process;
    (void)handle;
    return round->anchor;
}

static void free_memory(void *memory, uint32_t number)
{
    (void)number;
    free(memory);
}

static void *new_memory(uint64_t bytes)
{
    void *memory = aligned_alloc(128, (bytes + 127) / 128 * 128);
    if (memory)
        memset(memory, 0, bytes);
    else
        wrong("no memory");
    return memory;
}

/* ---- a link's ---- */

static struct yk_spsc_geometry geometry_of(const struct round *round)
{
    struct yk_spsc_geometry geometry = {
        .depth = round->depth, .max_message = SIZE_MOST, .max_deliveries = UINT32_MAX};
    yk_spsc_plan(&geometry);
    return geometry;
}

static void link_ring_plan(struct round *round)
{
    round->depth = 1 + below(&round->random, 20);
    add_worker(round, OUT, true)->handle = 0;
    add_worker(round, IN, false)->handle = 0;
}

static void link_ring_prepare(struct round *round)
{
    struct yk_spsc_geometry geometry = geometry_of(round);
    round->anchor = new_memory(yk_spsc_bytes(&geometry));
}

static int send_one(struct yk_spsc_sender *sender, const void *bytes, size_t size, uint64_t tag,
                    bool lends)
{
    void *loan;
    if (!lends)
        return yk_spsc_send(sender, bytes, size, tag, false);
    int result = yk_spsc_loan(sender, size, &loan);
    if (result != 1)
        return result;
    memcpy(loan, bytes, size);
    result = yk_spsc_commit(sender, loan, size, tag, false);
    if (result == 0)
        yk_spsc_cancel_loan(sender, loan);
    return result;
}

static void send_all(struct round *round, struct worker *worker)
{
    _Alignas(8) unsigned char bytes[SIZE_MOST];
    struct yk_spsc_geometry geometry = geometry_of(round);
    struct yk_spsc_sender sender = {.sent = 0};
    yk_spsc_attach(&sender.ring, &geometry, round->anchor);
    sender.pieces = calloc(yk_spsc_pieces_max(&geometry), sizeof *sender.pieces);
    yk_spsc_resume_sender(&sender);
    for (uint32_t number = 0; number < round->each && go_on(); number++) {
        size_t size =
            sizeof(struct packet) +
            below(&worker->random,
                  one_in(&worker->random, 2) ? 48 : SIZE_MOST - (uint32_t)sizeof(struct packet));
        bool lends = one_in(&worker->random, 4);
        uint64_t tag = one_in(&worker->random, 3) ? number : 0;
        packet_fill(bytes, worker->sender, number, size);
        int result = 0;
        while (result == 0 && go_on()) {
            result = send_one(&sender, bytes, size, tag, lends);
            if (result < 0)
                wrong("the ring of a link: %d", result);
            if (result == 0)
                sched_yield();
        }
    }
    free(sender.pieces);
}

static void take_one(struct round *round, struct yk_spsc_receiver *receiver, bool keeps,
                     uint32_t *next)
{
    struct yk_spsc_message message;
    uint32_t sender, number;
    int result = yk_spsc_take(receiver, SIZE_MOST, &message);
    if (result < 0)
        wrong("the ring of a link: %d", result);
    if (result != 1) {
        sched_yield();
        return;
    }
    if (!packet_check(round, message.bytes, message.size, &sender, &number))
        return;
    if (number != *next)
        wrong("number %u came instead of number %u", number, *next);
    if (keeps) {
        yk_spsc_release(receiver, message.index);
        note_arrival(sender, (*next)++);
    } else {
        yk_spsc_return(receiver, message.index);
    }
}

static void receive_all(struct round *round, struct worker *worker)
{
    _Alignas(8) unsigned char bytes[SIZE_MOST];
    struct yk_spsc_geometry geometry = geometry_of(round);
    struct yk_spsc_receiver receiver = {.taken = 0};
    uint32_t next = 0, sender, number;
    yk_spsc_attach(&receiver.ring, &geometry, round->anchor);
    receiver.lent = calloc(receiver.ring.mask + 1, sizeof *receiver.lent);
    yk_spsc_resume_receiver(&receiver);
    while (next < round->each && go_on()) {
        size_t size;
        if (one_in(&worker->random, 2)) {
            take_one(round, &receiver, !one_in(&worker->random, 4), &next);
        } else if (receiver.returned == 0 &&
                   (yk_spsc_recv_small(&receiver, bytes, sizeof bytes, &size) ||
                    yk_spsc_recv_big(&receiver, bytes, sizeof bytes, &size)) &&
                   packet_check(round, bytes, size, &sender, &number)) {
            if (number != next)
                wrong("number %u came instead of number %u", number, next);
            note_arrival(sender, next++);
        }
    }
    free(receiver.lent);
}

static void link_ring_work(struct round *round, struct worker *worker, void *handle)
{
    (void)handle;
    if (worker->role == OUT)
        send_all(round, worker);
    else
        receive_all(round, worker);
}

const struct scene link_ring_scene = {
    .name = "link-rings",
    .plan = link_ring_plan,
    .prepare = link_ring_prepare,
    .dispose = scene_dispose,
    .open = no_handle,
    .close = free_memory,
    .work = link_ring_work,
    .one_process = true,
};

/* ---- a stream's ---- */

#define RECORD   64
#define CAPACITY 4096

static void byte_ring_plan(struct round *round)
{
    for (uint32_t i = 1 + below(&round->random, 3); i > 0; i--)
        add_worker(round, OUT, true)->handle = 0;
    for (uint32_t i = 1 + below(&round->random, 3); i > 0; i--)
        add_worker(round, IN, false)->handle = 0;
}

static void byte_ring_prepare(struct round *round)
{
    round->anchor = new_memory(yk_bytes_size(CAPACITY));
}

/* Inside, with at least so many bytes: how many; 0: not now. */
static uint64_t go_in(struct yk_bytes *ring, enum yk_bytes_side side, uint32_t me, uint64_t least)
{
    if (!yk_bytes_enter(ring, side, me)) {
        sched_yield();
        return 0;
    }
    int64_t available = yk_bytes_available(ring, side, least);
    if (available < 0)
        wrong("the ring of a stream: %lld", (long long)available);
    if (available >= (int64_t)least)
        return (uint64_t)available;
    yk_bytes_leave(ring, side);
    sched_yield();
    return 0;
}

static void put_all(struct round *round, struct worker *worker)
{
    _Alignas(8) unsigned char bytes[RECORD];
    struct yk_bytes ring;
    yk_bytes_attach(&ring, CAPACITY, round->anchor);
    for (uint32_t number = 0; number < round->each && go_on();) {
        packet_fill(bytes, worker->sender, number, RECORD);
        if (go_in(&ring, YK_BYTES_WRITING, worker->number + 1, RECORD) == 0)
            continue;
        yk_bytes_put(&ring, bytes, RECORD);
        yk_bytes_leave(&ring, YK_BYTES_WRITING);
        number++;
    }
}

static void take_all(struct round *round, struct worker *worker)
{
    _Alignas(8) unsigned char bytes[RECORD];
    uint32_t last[WORKERS_MAX] = {0}, sender, number;
    struct yk_bytes ring;
    yk_bytes_attach(&ring, CAPACITY, round->anchor);
    while (!all_arrived(round) && go_on()) {
        if (go_in(&ring, YK_BYTES_READING, worker->number + 1, RECORD) == 0)
            continue;
        yk_bytes_take(&ring, bytes, RECORD);
        yk_bytes_leave(&ring, YK_BYTES_READING);
        if (!packet_check(round, bytes, RECORD, &sender, &number))
            return;
        check_order(&last[sender], sender, number);
        note_arrival(sender, number);
    }
}

static void byte_ring_work(struct round *round, struct worker *worker, void *handle)
{
    (void)handle;
    if (worker->role == OUT)
        put_all(round, worker);
    else
        take_all(round, worker);
}

const struct scene byte_ring_scene = {
    .name = "stream-rings",
    .plan = byte_ring_plan,
    .prepare = byte_ring_prepare,
    .dispose = scene_dispose,
    .open = no_handle,
    .close = free_memory,
    .work = byte_ring_work,
    .one_process = true,
};
