/*
 * The ring of one direction of a link alone, on byte arrays: what it promises to its sender and its
 * receiver, what it refuses, what it makes of half-written states, and what hostile values can not do.
 * What the two do at once, and die doing, is the business of tests/crash.
 */
#include "ring/spsc.h"

#include "support.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define UNLIMITED UINT32_MAX

/* ---- a ring to play with ---------------------------------------------------------------------- */

struct play {
    struct yk_spsc_geometry geometry;
    unsigned char
        *memory; /* of exactly the size that it needs: the sanitizer sees a byte too far */
    uint64_t size;
    struct yk_spsc_sender sender;
    struct yk_spsc_receiver receiver;
};

static struct yk_spsc_geometry planned(uint32_t depth, uint64_t max_message)
{
    struct yk_spsc_geometry geometry = {
        .depth = depth, .max_message = max_message, .max_deliveries = UNLIMITED};
    yk_spsc_plan(&geometry);
    return geometry;
}

static void resume_both(struct play *play)
{
    yk_spsc_resume_sender(&play->sender);
    yk_spsc_resume_receiver(&play->receiver);
}

static void open_geometry(struct play *play, const struct yk_spsc_geometry *geometry)
{
    assert_int_equal(yk_spsc_check_geometry(geometry), 0);
    play->geometry = *geometry;
    play->size = yk_spsc_bytes(geometry);
    play->memory = aligned_alloc(128, play->size);
    assert_non_null(play->memory);
    memset(play->memory, 0, play->size);
    yk_spsc_attach(&play->sender.ring, geometry, play->memory);
    yk_spsc_attach(&play->receiver.ring, geometry, play->memory);
    play->sender.pieces = calloc(yk_spsc_pieces_max(geometry), sizeof *play->sender.pieces);
    play->receiver.lent = calloc(play->receiver.ring.mask + 1, sizeof *play->receiver.lent);
    assert_non_null(play->sender.pieces);
    assert_non_null(play->receiver.lent);
    resume_both(play);
}

static void open_play(struct play *play, uint32_t depth, uint64_t max_message)
{
    struct yk_spsc_geometry geometry = planned(depth, max_message);
    /* slots of two lines at most, so that small messages show what is in a slot and what is not */
    if (geometry.slot_stride > 128)
        geometry.slot_stride = 128;
    open_geometry(play, &geometry);
}

static void open_as_planned(struct play *play, uint32_t depth, uint64_t max_message)
{
    struct yk_spsc_geometry geometry = planned(depth, max_message);
    open_geometry(play, &geometry);
}

static void close_play(struct play *play)
{
    free(play->memory);
    free(play->sender.pieces);
    free(play->receiver.lent);
}

/* The bytes of message `id`: from its number, so that none is taken for another. */
static unsigned char byte_of(uint64_t id, size_t at)
{
    return (unsigned char)(id * 31 + at * 7 + (at >> 8) + 1);
}

static void fill(void *bytes, uint64_t id, size_t size)
{
    for (size_t i = 0; i < size; i++)
        ((unsigned char *)bytes)[i] = byte_of(id, i);
}

static void assert_bytes(const unsigned char *bytes, uint64_t id, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (bytes[i] != byte_of(id, i))
            fail_msg("message %llu of %zu bytes differs at %zu", (unsigned long long)id, size, i);
}

/* From memory of exactly this size. */
static int send_id(struct play *play, uint64_t id, size_t size, uint64_t tag)
{
    unsigned char *data = malloc(size > 0 ? size : 1);
    assert_non_null(data);
    fill(data, id, size);
    int result = yk_spsc_send(&play->sender, data, size, tag, false);
    free(data);
    return result;
}

static void must_send(struct play *play, uint64_t id, size_t size)
{
    assert_int_equal(send_id(play, id, size, 0), 1);
}

static void must_send_marked(struct play *play, uint64_t id, size_t size)
{
    unsigned char data[256];
    fill(data, id, size);
    assert_int_equal(yk_spsc_send(&play->sender, data, size, 0, true), 1);
}

static struct yk_spsc_message must_take(struct play *play, uint64_t id, size_t size,
                                        uint32_t deliveries)
{
    struct yk_spsc_message message = {.bytes = NULL};
    assert_int_equal(yk_spsc_take(&play->receiver, UINT64_MAX, &message), 1);
    assert_int_equal(message.size, size);
    assert_bytes(message.bytes, id, size);
    assert_int_equal(message.deliveries, deliveries);
    return message;
}

static void must_recv(struct play *play, uint64_t id, size_t size, uint32_t deliveries)
{
    struct yk_spsc_message message = must_take(play, id, size, deliveries);
    assert_int_equal(yk_spsc_release(&play->receiver, message.index), 1);
}

static void assert_empty(struct play *play)
{
    struct yk_spsc_message message;
    assert_int_equal(yk_spsc_take(&play->receiver, UINT64_MAX, &message), 0);
    assert_false(yk_spsc_peek(&play->receiver));
}

static uint64_t released(const struct play *play)
{
    return yk_load_relaxed(&play->sender.ring.shm->released);
}

static uint64_t dropped(const struct play *play)
{
    return yk_load_relaxed(&play->sender.ring.shm->dropped);
}

static uint64_t redelivered(const struct play *play)
{
    return yk_load_relaxed(&play->sender.ring.shm->redelivered);
}

static yk_atomic64 *word_of(struct play *play, uint64_t index)
{
    return yk_spsc_word(yk_spsc_slot(&play->sender.ring, index));
}

/* The receiver dies, is recovered, and another one takes over. */
static uint64_t replace_receiver(struct play *play)
{
    uint64_t given_back = yk_spsc_recover_receiver(&play->receiver.ring);
    memset(play->receiver.lent, 0xa5, (play->receiver.ring.mask + 1) * sizeof *play->receiver.lent);
    yk_spsc_resume_receiver(&play->receiver);
    return given_back;
}

static void replace_sender(struct play *play)
{
    memset(play->sender.pieces, 0xa5,
           yk_spsc_pieces_max(&play->geometry) * sizeof *play->sender.pieces);
    yk_spsc_resume_sender(&play->sender);
}

/* ---- one message ------------------------------------------------------------------------------ */

static void small_copies_are_exact_in_every_size(void **state)
{
    (void)state;
    for (size_t size = 0; size <= 256; size++) {
        unsigned char *from = malloc(size + 1), *to = malloc(size + 1);
        fill(from, size, size);
        memset(to, 0xee, size + 1);
        /* up to the end of the one, and from the begin of the other */
        yk_spsc_copy(to, from, size);
        assert_memory_equal(to, from, size);
        assert_int_equal(to[size], 0xee);
        free(from);
        free(to);
    }
    for (size_t size = 1; size <= 256; size++) {
        unsigned char *from = malloc(size), *to = malloc(size);
        fill(from, size, size);
        yk_spsc_copy(to, from, size);
        assert_memory_equal(to, from, size);
        free(from);
        free(to);
    }
}

static void carry_all_sizes(void (*open)(struct play *, uint32_t, uint64_t), uint64_t max_message,
                            uint64_t tag)
{
    struct play play;
    uint64_t id = 0;
    open(&play, 5, max_message);
    for (int round = 0; round < 3; round++) {
        for (size_t size = 0; size <= max_message; size++, id++) {
            assert_int_equal(send_id(&play, id, size, tag ? tag + id : 0), 1);
            struct yk_spsc_message message = must_take(&play, id, size, 1);
            assert_int_equal(message.tag, tag ? tag + id : 0);
            assert_int_equal(message.index, id);
            assert_int_equal(yk_spsc_release(&play.receiver, message.index), 1);
            assert_int_equal(released(&play), id + 1);
        }
    }
    assert_empty(&play);
    close_play(&play);
}

static void messages_of_every_size_arrive_as_they_were_sent(void **state)
{
    static const uint64_t most[] = {0,  1,  8,  47, 48,  49,  55,  56,
                                    57, 63, 64, 65, 111, 112, 113, 200};
    (void)state;
    for (size_t i = 0; i < sizeof most / sizeof *most; i++) {
        carry_all_sizes(open_play, most[i], 0);
        carry_all_sizes(open_play, most[i], UINT64_C(0xfedcba9876543210));
    }
    static const uint64_t planned_most[] = {120, 121, 311, 312, 313, 1080, 1081, 1200};
    for (size_t i = 0; i < sizeof planned_most / sizeof *planned_most; i++) {
        carry_all_sizes(open_as_planned, planned_most[i], 0);
        carry_all_sizes(open_as_planned, planned_most[i], UINT64_C(0xfedcba9876543210));
    }
}

static void short_ways_carry_every_small_size(void **state)
{
    (void)state;
    for (uint64_t most = 56; most <= 120; most += 64) {
        struct play play;
        open_play(&play, 4, most);
        for (size_t size = 0; size <= most; size++) {
            unsigned char *data = malloc(size + 1), *buffer = malloc(size + 1);
            size_t received = 999;
            fill(data, size, size);
            /* the ring is believed to be full each time that the released ones were not looked at */
            if (!yk_spsc_send_small(&play.sender, data, size)) {
                assert_true(yk_spsc_has_room(&play.sender));
                assert_true(yk_spsc_send_small(&play.sender, data, size));
            }
            if (size > 0)
                assert_false(yk_spsc_recv_small(&play.receiver, buffer, size - 1, &received));
            assert_true(yk_spsc_peek(&play.receiver));
            assert_true(yk_spsc_recv_small(&play.receiver, buffer, size, &received));
            assert_int_equal(received, size);
            assert_bytes(buffer, size, size);
            assert_false(yk_spsc_recv_small(&play.receiver, buffer, size, &received));
            assert_false(yk_spsc_peek(&play.receiver));
            free(data);
            free(buffer);
        }
        assert_false(yk_spsc_send_small(&play.sender, play.memory, most + 1));
        close_play(&play);
    }
}

static void short_ways_leave_everything_else_to_the_long_ones(void **state)
{
    unsigned char buffer[256];
    struct yk_spsc_message first;
    struct play play;
    size_t size = 999;
    (void)state;
    open_play(&play, 4, 200);
    assert_int_equal(send_id(&play, 0, 8, 77), 1); /* a tag */
    assert_false(yk_spsc_recv_small(&play.receiver, buffer, sizeof buffer, &size));
    must_recv(&play, 0, 8, 1);
    must_send(&play, 1, 200); /* in the buffer */
    assert_false(yk_spsc_recv_small(&play.receiver, buffer, sizeof buffer, &size));
    must_recv(&play, 1, 200, 1);
    must_send(&play, 2, 8);
    must_send(&play, 3, 8);
    first = must_take(&play, 2, 8, 1); /* while another one is lent */
    assert_false(yk_spsc_recv_small(&play.receiver, buffer, sizeof buffer, &size));
    assert_int_equal(yk_spsc_return(&play.receiver, first.index), 1); /* or was returned */
    assert_false(yk_spsc_recv_small(&play.receiver, buffer, sizeof buffer, &size));
    first = must_take(&play, 2, 8, 2);
    assert_int_equal(replace_receiver(&play), 1); /* or was delivered to a dead one */
    assert_false(yk_spsc_recv_small(&play.receiver, buffer, sizeof buffer, &size));
    must_recv(&play, 2, 8, 3);
    assert_true(yk_spsc_recv_small(&play.receiver, buffer, sizeof buffer, &size));
    assert_bytes(buffer, 3, 8);
    for (int i = 0; i < 4; i++)
        must_send(&play, 4, 8);
    assert_false(yk_spsc_send_small(&play.sender, buffer, 8)); /* full */
    assert_int_equal(size, 8);
    close_play(&play);
}

static void message_that_does_not_fit_stays_where_it_is(void **state)
{
    struct yk_spsc_message message = {.size = 4711}, returned;
    struct play play;
    (void)state;
    open_play(&play, 4, 200);
    for (size_t size = 1; size <= 200; size += 33) {
        must_send(&play, size, size);
        assert_int_equal(yk_spsc_take(&play.receiver, size - 1, &message), -EMSGSIZE);
        assert_int_equal(message.size, 4711);
        assert_true(yk_spsc_peek(&play.receiver));
        returned = must_take(&play, size, size, 1);
        assert_int_equal(yk_spsc_return(&play.receiver, returned.index), 1);
        assert_int_equal(yk_spsc_take(&play.receiver, size - 1, &message), -EMSGSIZE);
        must_recv(&play, size, size, 2);
        assert_empty(&play);
    }
    close_play(&play);
}

/* ---- room ------------------------------------------------------------------------------------- */

static void exactly_as_many_messages_fit_as_the_ring_is_deep(void **state)
{
    static const uint32_t depths[] = {1, 2, 3, 7, 8, 9, 15, 16, 17, 255, 256, 257};
    static const uint64_t sizes[] = {0, 8, 120, 121, 1000};
    (void)state;
    for (size_t i = 0; i < sizeof depths / sizeof *depths; i++) {
        for (size_t j = 0; j < sizeof sizes / sizeof *sizes; j++) {
            struct play play;
            uint64_t id = 0, next = 0;
            open_play(&play, depths[i], 1000);
            for (int lap = 0; lap < 5; lap++) {
                while (id - next < depths[i])
                    must_send(&play, id++, sizes[j]);
                assert_false(yk_spsc_has_room(&play.sender));
                assert_int_equal(send_id(&play, id, sizes[j], 0), 0);
                assert_int_equal(send_id(&play, id, sizes[j], 5), 0);
                must_recv(&play, next++, sizes[j], 1);
                assert_true(yk_spsc_has_room(&play.sender));
                must_send(&play, id++, sizes[j]);
                assert_int_equal(send_id(&play, id, sizes[j], 0), 0);
                while (next < id)
                    must_recv(&play, next++, sizes[j], 1);
                assert_empty(&play);
            }
            close_play(&play);
        }
    }
}

/* Whatever sizes came before: below 8 MiB there is room for as many of the biggest as it is deep. */
static void ring_is_never_full_before_its_depth(void **state)
{
    enum { DEPTH = 13, MOST = 1500 };
    struct play play;
    size_t sizes[DEPTH];
    uint64_t id = 0, next = 0;
    (void)state;
    srandom((unsigned)test_seed());
    open_play(&play, DEPTH, MOST);
    for (int round = 0; round < 4000; round++) {
        while (id - next < DEPTH) {
            size_t size = round % 8 < 6 ? MOST : (size_t)random() % (MOST + 1);
            sizes[id % DEPTH] = size;
            must_send(&play, id++, size);
        }
        assert_int_equal(send_id(&play, id, 0, 0), 0);
        for (long i = 1 + random() % DEPTH; i > 0; i--, next++)
            must_recv(&play, next, sizes[next % DEPTH], 1);
    }
    close_play(&play);
}

static void four_of_the_biggest_messages_are_on_the_way_at_once(void **state)
{
    const size_t most = (size_t)64 << 20;
    struct yk_spsc_geometry geometry = planned(256, most);
    struct play play = {.geometry = geometry, .size = yk_spsc_bytes(&geometry)};
    void *blocks[4], *fifth;
    (void)state;
    assert_int_equal(yk_spsc_check_geometry(&geometry), 0);
    play.memory = mmap(NULL, play.size, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_true(play.memory != MAP_FAILED);
    yk_spsc_attach(&play.sender.ring, &geometry, play.memory);
    yk_spsc_attach(&play.receiver.ring, &geometry, play.memory);
    play.sender.pieces = calloc(yk_spsc_pieces_max(&geometry), sizeof *play.sender.pieces);
    play.receiver.lent = calloc(play.receiver.ring.mask + 1, sizeof *play.receiver.lent);
    resume_both(&play);
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 4; i++) {
            assert_int_equal(yk_spsc_loan(&play.sender, most, &blocks[i]), 1);
            ((unsigned char *)blocks[i])[0] = (unsigned char)i;
            ((unsigned char *)blocks[i])[most - 1] = (unsigned char)(i + round);
        }
        assert_int_equal(yk_spsc_loan(&play.sender, 1, &fifth), 0);
        for (int i = 0; i < 4; i++)
            assert_int_equal(yk_spsc_commit(&play.sender, blocks[i], most, 0, false), 1);
        for (int i = 0; i < 4; i++) {
            struct yk_spsc_message message;
            assert_int_equal(yk_spsc_take(&play.receiver, UINT64_MAX, &message), 1);
            assert_int_equal(message.size, most);
            assert_int_equal(message.bytes[0], i);
            assert_int_equal(message.bytes[most - 1], i + round);
            assert_int_equal(yk_spsc_release(&play.receiver, message.index), 1);
        }
    }
    munmap(play.memory, play.size);
    free(play.sender.pieces);
    free(play.receiver.lent);
}

static void full_buffer_stops_big_messages_and_lets_small_ones_pass(void **state)
{
    struct yk_spsc_geometry geometry = planned(64, 1000);
    struct play play;
    uint64_t id = 0, next = 0;
    (void)state;
    geometry.buffer = 4096;
    geometry.slot_stride = 128;
    open_geometry(&play, &geometry);
    while (send_id(&play, id, 1000, 0) == 1)
        id++;
    assert_int_equal(id, 4);
    must_send(&play, id++, 8);
    assert_int_equal(send_id(&play, id, 121, 0), 0);
    must_recv(&play, next++, 1000, 1);
    must_send(&play, id++, 1000);
    assert_int_equal(send_id(&play, id, 121, 0), 0);
    for (; next < 4; next++)
        must_recv(&play, next, 1000, 1);
    must_recv(&play, next++, 8, 1);
    must_recv(&play, next++, 1000, 1);
    assert_empty(&play);
    close_play(&play);
}

/* ---- loans ------------------------------------------------------------------------------------ */

static void loans_are_committed_in_any_order_or_given_up(void **state)
{
    static const int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                     {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    struct play play;
    uint64_t id = 0;
    (void)state;
    open_play(&play, 3, 500);
    for (int round = 0; round < 300; round++) {
        const int *order = orders[round % 6];
        unsigned char *blocks[3];
        int given_up = round / 6 % 4; /* 3: none */
        for (int i = 0; i < 3; i++) {
            size_t size = 100 + (size_t)(round * 37 + i * 101) % 400;
            assert_int_equal(yk_spsc_loan(&play.sender, size, (void **)&blocks[i]), 1);
            assert_int_equal((uintptr_t)blocks[i] % 64, 0);
            assert_in_range(yk_spsc_loan_size(&play.sender, blocks[i]), size, size + 63);
            fill(blocks[i], (uint64_t)i, size);
        }
        for (int i = 0; i < 3; i++) {
            if (order[i] == given_up)
                assert_int_equal(yk_spsc_cancel_loan(&play.sender, blocks[order[i]]), 1);
            else
                assert_int_equal(yk_spsc_commit(&play.sender, blocks[order[i]], 100, id, false), 1);
            assert_int_equal(yk_spsc_cancel_loan(&play.sender, blocks[order[i]]), -EINVAL);
            assert_int_equal(yk_spsc_commit(&play.sender, blocks[order[i]], 1, 0, false), -EINVAL);
            assert_int_equal(yk_spsc_loan_size(&play.sender, blocks[order[i]]), -EINVAL);
        }
        for (int i = 0; i < 3; i++) {
            if (order[i] == given_up)
                continue;
            struct yk_spsc_message message = must_take(&play, (uint64_t)order[i], 100, 1);
            assert_int_equal(message.tag, id);
            assert_ptr_equal(message.bytes, blocks[order[i]]);
            assert_int_equal(yk_spsc_release(&play.receiver, message.index), 1);
        }
        assert_empty(&play);
        id++;
    }
    close_play(&play);
}

static void loan_of_a_full_ring_stays_a_loan(void **state)
{
    struct play play;
    void *block, *other;
    (void)state;
    open_play(&play, 2, 500);
    must_send(&play, 0, 8);
    assert_int_equal(yk_spsc_loan(&play.sender, 500, &block), 1);
    fill(block, 2, 500);
    must_send(&play, 1, 8);
    assert_int_equal(yk_spsc_commit(&play.sender, block, 500, 0, false), 0);
    assert_int_equal(yk_spsc_loan(&play.sender, 1, &other), 0);
    assert_in_range(yk_spsc_loan_size(&play.sender, block), 500, 563);
    must_recv(&play, 0, 8, 1);
    assert_int_equal(yk_spsc_commit(&play.sender, block, 500, 0, false), 1);
    must_recv(&play, 1, 8, 1);
    must_recv(&play, 2, 500, 1);
    close_play(&play);
}

static void what_is_no_loan_is_refused(void **state)
{
    struct play play;
    unsigned char *block;
    (void)state;
    open_play(&play, 4, 500);
    assert_int_equal(yk_spsc_loan(&play.sender, 0, (void **)&block), 1);
    assert_int_equal(yk_spsc_commit(&play.sender, block + 1, 1, 0, false), -EINVAL);
    assert_int_equal(yk_spsc_commit(&play.sender, block + 64, 1, 0, false), -EINVAL);
    assert_int_equal(yk_spsc_cancel_loan(&play.sender, NULL), -EINVAL);
    assert_int_equal(yk_spsc_cancel_loan(&play.sender, play.memory), -EINVAL);
    must_send(&play, 1, 500);
    /* the piece of a message that was sent is nobody's loan */
    assert_int_equal(yk_spsc_cancel_loan(&play.sender, block + 64), -EINVAL);
    assert_int_equal(yk_spsc_cancel_loan(&play.sender, block), 1);
    must_recv(&play, 1, 500, 1);
    close_play(&play);
}

/* ---- borrowing -------------------------------------------------------------------------------- */

static void messages_are_released_in_any_order_and_room_comes_in_that_of_sending(void **state)
{
    struct yk_spsc_message held[4];
    struct play play;
    (void)state;
    open_play(&play, 4, 200);
    for (uint64_t i = 0; i < 4; i++)
        must_send(&play, i, i % 2 ? 200 : 20);
    for (uint64_t i = 0; i < 4; i++)
        held[i] = must_take(&play, i, i % 2 ? 200 : 20, 1);
    for (uint64_t i = 0; i < 4; i++)
        assert_int_equal(yk_spsc_find_lent(&play.receiver, held[i].bytes), i);
    assert_int_equal(yk_spsc_release(&play.receiver, 2), 1);
    assert_int_equal(yk_spsc_release(&play.receiver, 1), 1);
    assert_int_equal(released(&play), 0);
    assert_false(yk_spsc_has_room(&play.sender));
    assert_int_equal(yk_spsc_release(&play.receiver, 0), 1);
    assert_int_equal(released(&play), 3);
    must_send(&play, 4, 200);
    must_send(&play, 5, 200);
    must_send(&play, 6, 200);
    assert_false(yk_spsc_has_room(&play.sender));
    assert_bytes(held[3].bytes, 3, 200); /* still lent: nobody writes there */
    assert_int_equal(yk_spsc_release(&play.receiver, 3), 1);
    for (uint64_t i = 4; i < 7; i++)
        must_recv(&play, i, 200, 1);
    assert_empty(&play);
    close_play(&play);
}

static void what_is_not_lent_is_refused(void **state)
{
    struct yk_spsc_message message;
    struct play play;
    (void)state;
    open_play(&play, 4, 200);
    must_send(&play, 0, 8);
    must_send(&play, 1, 8);
    assert_int_equal(yk_spsc_release(&play.receiver, 0), -EINVAL); /* not taken yet */
    assert_int_equal(yk_spsc_return(&play.receiver, 0), -EINVAL);
    message = must_take(&play, 0, 8, 1);
    assert_int_equal(yk_spsc_find_lent(&play.receiver, message.bytes + 1), -EINVAL);
    assert_int_equal(yk_spsc_find_lent(&play.receiver, NULL), -EINVAL);
    assert_int_equal(yk_spsc_release(&play.receiver, 1), -EINVAL);
    assert_int_equal(yk_spsc_release(&play.receiver, 8), -EINVAL); /* the same slot, a lap later */
    assert_int_equal(yk_spsc_release(&play.receiver, UINT64_MAX), -EINVAL);
    assert_int_equal(yk_spsc_return(&play.receiver, 0), 1);
    assert_int_equal(yk_spsc_release(&play.receiver, 0), -EINVAL); /* given back */
    assert_int_equal(yk_spsc_return(&play.receiver, 0), -EINVAL);
    assert_int_equal(yk_spsc_find_lent(&play.receiver, message.bytes), -EINVAL);
    must_recv(&play, 0, 8, 2);
    assert_int_equal(yk_spsc_release(&play.receiver, 0), -EINVAL); /* released */
    assert_int_equal(yk_spsc_return(&play.receiver, 0), -EINVAL);
    must_recv(&play, 1, 8, 1);
    close_play(&play);
}

static void returned_message_comes_again_before_newer_ones(void **state)
{
    struct yk_spsc_message held[3];
    struct play play;
    (void)state;
    open_play(&play, 8, 200);
    for (uint64_t i = 0; i < 4; i++)
        assert_int_equal(send_id(&play, i, 150, 100 + i), 1);
    for (uint64_t i = 0; i < 3; i++)
        held[i] = must_take(&play, i, 150, 1);
    assert_int_equal(yk_spsc_return(&play.receiver, held[2].index), 1);
    assert_int_equal(yk_spsc_return(&play.receiver, held[1].index), 1);
    assert_true(yk_spsc_peek(&play.receiver));
    assert_int_equal(redelivered(&play), 0);
    held[1] = must_take(&play, 1, 150, 2);
    assert_int_equal(held[1].tag, 101);
    assert_int_equal(held[1].index, 1);
    held[2] = must_take(&play, 2, 150, 2);
    assert_int_equal(redelivered(&play), 2);
    assert_int_equal(yk_spsc_return(&play.receiver, held[1].index), 1);
    must_recv(&play, 1, 150, 3);
    must_recv(&play, 3, 150, 1);
    assert_empty(&play);
    assert_int_equal(yk_spsc_release(&play.receiver, 2), 1);
    assert_int_equal(released(&play), 0);
    assert_int_equal(yk_spsc_release(&play.receiver, 0), 1);
    assert_int_equal(released(&play), 4);
    assert_int_equal(dropped(&play), 0);
    close_play(&play);
}

static void message_is_dropped_and_counted_after_its_last_delivery(void **state)
{
    struct yk_spsc_geometry geometry = planned(4, 200);
    struct play play;
    (void)state;
    geometry.max_deliveries = 3;
    open_geometry(&play, &geometry);
    for (uint64_t id = 0; id < 20; id++) {
        must_send(&play, id, 9);
        for (uint32_t i = 1; i <= 3; i++) /* by returning, or by dying, in turns */
            if ((id + i) % 2)
                assert_int_equal(yk_spsc_return(&play.receiver, must_take(&play, id, 9, i).index),
                                 1);
            else
                must_take(&play, id, 9, i), replace_receiver(&play);
        assert_empty(&play);
        assert_int_equal(dropped(&play), id + 1);
        assert_int_equal(released(&play), id + 1);
    }
    close_play(&play);
}

/* A mark is one delivery, but never the only one. */
static void marked_message_is_dropped_a_delivery_earlier(void **state)
{
    struct yk_spsc_geometry geometry = planned(4, 200);
    struct play play;
    (void)state;
    for (uint32_t most = 1; most <= 3; most++) {
        geometry.max_deliveries = most;
        geometry.slot_stride = 128;
        open_geometry(&play, &geometry);
        for (uint64_t id = 0; id < 20; id++) {
            must_send_marked(&play, id, id % 3 * 80); /* tagged, tagged, buffered */
            for (uint32_t i = 2; i == 2 || i <= most; i++)
                if ((id + i) % 2)
                    assert_int_equal(yk_spsc_return(&play.receiver,
                                                    must_take(&play, id, id % 3 * 80, i).index),
                                     1);
                else
                    must_take(&play, id, id % 3 * 80, i), replace_receiver(&play);
            assert_empty(&play);
            assert_int_equal(dropped(&play), id + 1);
            assert_int_equal(released(&play), id + 1);
        }
        close_play(&play);
    }
}

static void marked_message_that_nobody_had_is_never_dropped(void **state)
{
    struct yk_spsc_geometry geometry = planned(4, 200);
    struct play play;
    (void)state;
    geometry.max_deliveries = 1;
    open_geometry(&play, &geometry);
    must_send(&play, 0, 9);
    must_take(&play, 0, 9, 1);
    must_send_marked(&play, 1, 9);
    must_send(&play, 2, 9);
    play.receiver.ring.receipts[2].raw = /* as a receiver leaves it that died, twice */
        (uint64_t)yk_spsc_stamp(&play.receiver.ring, 2) << 32 | YK_SPSC_AGAIN | 1;
    replace_receiver(&play);
    must_recv(&play, 1, 9, 2);
    assert_empty(&play);
    assert_int_equal(redelivered(&play), 0);
    close_play(&play);
}

static void marked_message_comes_whole_the_short_way(void **state)
{
    unsigned char got[200];
    size_t size = 0;
    struct play play;
    (void)state;
    open_play(&play, 4, 200);
    for (uint64_t id = 0; id < 30; id++) {
        must_send_marked(&play, id, id * 7 % 200);
        assert_false(yk_spsc_recv_small(&play.receiver, got, sizeof got, &size));
        assert_true(yk_spsc_recv_big(&play.receiver, got, sizeof got, &size));
        assert_int_equal(size, id * 7 % 200);
        assert_bytes(got, id, size);
    }
    close_play(&play);
}

static void message_that_was_returned_before_its_receiver_died_counts_once(void **state)
{
    struct yk_spsc_geometry geometry = planned(4, 200);
    struct play play;
    (void)state;
    geometry.max_deliveries = 3;
    open_geometry(&play, &geometry);
    must_send(&play, 0, 9);
    for (uint32_t i = 1; i <= 3; i++) {
        must_take(&play, 0, 9, i);
        assert_int_equal(yk_spsc_return(&play.receiver, 0), 1);
        replace_receiver(&play);
    }
    assert_empty(&play);
    assert_int_equal(dropped(&play), 1);
    close_play(&play);
}

static void dropped_message_behind_one_that_is_lent_leaves_its_place(void **state)
{
    struct yk_spsc_geometry geometry = planned(4, 200);
    struct play play;
    (void)state;
    geometry.max_deliveries = 2;
    open_geometry(&play, &geometry);
    for (uint64_t i = 0; i < 3; i++)
        must_send(&play, i, 9);
    must_take(&play, 0, 9, 1);
    must_take(&play, 1, 9, 1);
    assert_int_equal(yk_spsc_return(&play.receiver, 1), 1);
    must_take(&play, 1, 9, 2);
    assert_int_equal(replace_receiver(&play), 2);
    must_take(&play, 0, 9, 2);
    must_take(&play, 2, 9, 1); /* 1 was delivered twice */
    assert_int_equal(dropped(&play), 1);
    assert_int_equal(released(&play), 0);
    assert_int_equal(yk_spsc_release(&play.receiver, 2), 1);
    assert_int_equal(yk_spsc_release(&play.receiver, 0), 1);
    assert_int_equal(released(&play), 3);
    assert_empty(&play);
    close_play(&play);
}

static void under_once_what_was_in_hand_is_dropped_and_counted(void **state)
{
    struct yk_spsc_geometry geometry = planned(4, 200);
    struct play play;
    (void)state;
    geometry.once = 1;
    open_geometry(&play, &geometry);
    for (uint64_t i = 0; i < 4; i++)
        must_send(&play, i, 9);
    for (uint64_t i = 0; i < 3; i++)
        must_take(&play, i, 9, 1);
    assert_int_equal(yk_spsc_return(&play.receiver, 1), 1);
    assert_int_equal(dropped(&play), 1);
    assert_int_equal(replace_receiver(&play), 2); /* 0 and 2 */
    assert_int_equal(dropped(&play), 3);
    must_recv(&play, 3, 9, 1);
    assert_empty(&play);
    assert_int_equal(released(&play), 4);
    assert_int_equal(dropped(&play), 3);
    close_play(&play);
}

/* ---- taking over ------------------------------------------------------------------------------ */

static void receiver_that_takes_over_gets_what_was_in_hand_marked(void **state)
{
    struct play play;
    (void)state;
    open_play(&play, 8, 200);
    for (uint64_t i = 0; i < 5; i++)
        must_send(&play, i, 130);
    must_recv(&play, 0, 130, 1);
    for (uint64_t i = 1; i < 4; i++)
        must_take(&play, i, 130, 1);
    assert_int_equal(yk_spsc_release(&play.receiver, 2), 1); /* out of order, and for good */
    assert_int_equal(replace_receiver(&play), 2);
    must_recv(&play, 1, 130, 2);
    must_recv(&play, 3, 130, 2);
    must_recv(&play, 4, 130, 1);
    assert_empty(&play);
    assert_int_equal(redelivered(&play), 2);
    assert_int_equal(released(&play), 5);
    close_play(&play);
}

static void recovery_can_be_done_again_and_loses_nothing(void **state)
{
    struct play play;
    (void)state;
    open_play(&play, 8, 200);
    for (uint64_t i = 0; i < 3; i++)
        must_send(&play, i, 10);
    must_take(&play, 0, 10, 1);
    must_take(&play, 1, 10, 1);
    assert_int_equal(yk_spsc_recover_receiver(&play.receiver.ring), 2);
    assert_int_equal(yk_spsc_recover_receiver(&play.receiver.ring),
                     0); /* nothing in hand any more */
    /* broken off just before its last store: nothing is counted twice */
    yk_store_relaxed(&play.receiver.ring.shm->taken, 2);
    assert_int_equal(replace_receiver(&play), 0);
    must_recv(&play, 0, 10, 2);
    must_recv(&play, 1, 10, 2);
    must_recv(&play, 2, 10, 1);
    close_play(&play);
}

static void receiver_that_died_between_take_and_release_had_it_in_hand(void **state)
{
    struct play play;
    (void)state;
    open_play(&play, 8, 200);
    must_send(&play, 0, 10);
    must_send(&play, 1, 10);
    /* the first store of yk_spsc_recv_small(), and no more */
    yk_store_relaxed(&play.receiver.ring.shm->taken, 1);
    assert_int_equal(replace_receiver(&play), 1);
    must_recv(&play, 0, 10, 2);
    must_recv(&play, 1, 10, 1);
    /* its last store, while an older value of `taken` is all that is to be seen */
    must_send(&play, 2, 10);
    yk_store_relaxed(&play.receiver.ring.shm->released, 3);
    assert_int_equal(replace_receiver(&play), 0);
    assert_empty(&play);
    must_send(&play, 3, 10);
    must_recv(&play, 3, 10, 1);
    close_play(&play);
}

static void receipts_of_an_older_lap_mean_nothing(void **state)
{
    enum { DEPTH = 8 };
    struct play play;
    (void)state;
    open_play(&play, DEPTH, 200);
    for (uint64_t i = 0; i < DEPTH; i++)
        must_send(&play, i, 10);
    for (uint64_t i = 0; i < DEPTH; i++)
        must_take(&play, i, 10, 1);
    for (uint64_t i = DEPTH; i-- > 1;) /* leaves a receipt `done` for each but the first */
        assert_int_equal(yk_spsc_release(&play.receiver, i), 1);
    assert_int_equal(yk_spsc_release(&play.receiver, 0), 1);
    for (uint64_t i = DEPTH; i < 2 * DEPTH; i++)
        must_send(&play, i, 10);
    assert_int_equal(replace_receiver(&play), 0);
    for (uint64_t i = DEPTH; i < 2 * DEPTH; i++)
        must_take(&play, i, 10, 1);
    assert_int_equal(replace_receiver(&play), DEPTH);
    for (uint64_t i = DEPTH; i < 2 * DEPTH; i++)
        must_recv(&play, i, 10, 2);
    close_play(&play);
}

static void sender_that_takes_over_goes_on_where_the_last_word_was_stored(void **state)
{
    struct play play;
    (void)state;
    open_play(&play, 4, 300);
    for (uint64_t round = 0; round < 30; round++) {
        uint64_t id = 3 * round;
        must_send(&play, id, 300);
        must_send(&play, id + 1, 12);
        /* half written: bytes of a small message, and the offset of a big one; no word */
        memset(yk_spsc_slot(&play.sender.ring, id + 2) + YK_SPSC_BYTES, 0xff, 100);
        replace_sender(&play);
        assert_int_equal(play.sender.sent, id + 2);
        must_send(&play, id + 2, 300);
        must_recv(&play, id, 300, 1);
        must_recv(&play, id + 1, 12, 1);
        if (round % 2)
            replace_sender(&play);
        must_recv(&play, id + 2, 300, 1);
        assert_empty(&play);
    }
    close_play(&play);
}

/* In the buffer, too, nothing that is on the way is written over, in whatever order it lies there. */
static void sender_that_takes_over_keeps_off_all_that_is_on_the_way(void **state)
{
    enum { DEPTH = 6, MOST = 700 };
    struct play play;
    uint64_t id = 0, next = 0;
    size_t sizes[DEPTH];
    (void)state;
    srandom((unsigned)test_seed());
    open_play(&play, DEPTH, MOST);
    for (int round = 0; round < 3000; round++) {
        void *blocks[3];
        int loans = 0;
        size_t loaned[3];
        while (loans < 3) {
            loaned[loans] = (size_t)random() % (MOST + 1);
            if (yk_spsc_loan(&play.sender, loaned[loans], &blocks[loans]) != 1)
                break;
            loans++;
        }
        for (int i = loans; i-- > 0;) { /* backwards, and some never */
            if (random() % 4 == 0)
                continue;
            fill(blocks[i], id, loaned[i]);
            if (yk_spsc_commit(&play.sender, blocks[i], loaned[i], 0, false) == 1)
                sizes[id++ % DEPTH] = loaned[i];
        }
        if (random() % 2)
            replace_sender(&play); /* its loans are gone */
        else
            for (int i = 0; i < loans; i++)
                yk_spsc_cancel_loan(&play.sender, blocks[i]);
        for (size_t size; id - next < DEPTH && random() % 3;) {
            size = (size_t)random() % (MOST + 1);
            if (send_id(&play, id, size, 0) != 1)
                break;
            sizes[id++ % DEPTH] = size;
        }
        for (; next < id && random() % 4; next++)
            must_recv(&play, next, sizes[next % DEPTH], 1);
    }
    for (; next < id; next++)
        must_recv(&play, next, sizes[next % DEPTH], 1);
    replace_sender(&play);
    for (int i = 0; i < DEPTH; i++)
        must_send(&play, id + (uint64_t)i, MOST); /* no room was lost */
    close_play(&play);
}

static void counts_say_what_is_where(void **state)
{
    struct yk_spsc_counts counts;
    struct play play;
    (void)state;
    open_play(&play, 4, 200);
    for (uint64_t i = 0; i < 4; i++)
        must_send(&play, i, 10);
    must_recv(&play, 0, 10, 1);
    must_take(&play, 1, 10, 1);
    must_take(&play, 2, 10, 1);
    yk_spsc_count(&play.sender.ring, &counts);
    assert_int_equal(counts.sent, 4);
    assert_int_equal(counts.taken, 3);
    assert_int_equal(counts.released, 1);
    assert_int_equal(counts.bytes, 30);
    close_play(&play);
}

/* ---- at random, beside a model ---------------------------------------------------------------- */

enum { MODEL_MOST = 4096 };

struct model {
    size_t sizes[MODEL_MOST];
    uint32_t deliveries[MODEL_MOST];
    enum { WAITING, LENT, DONE } states[MODEL_MOST];
    uint64_t sent, lent;
};

/* The oldest that is neither lent nor done. */
static uint64_t model_next(const struct model *model)
{
    uint64_t i = 0;
    while (i < model->sent && model->states[i] != WAITING)
        i++;
    return i;
}

static void play_at_random(struct play *play, struct model *model)
{
    struct yk_spsc_message message;
    uint64_t next = model_next(model), pick = model->sent ? (uint64_t)random() % model->sent : 0;
    switch (random() % 8) {
    case 0:
    case 1:
    case 2: {
        size_t size = (size_t)random() % 400;
        uint64_t tag = random() % 2 ? model->sent + 1 : 0;
        if (model->sent < MODEL_MOST && send_id(play, model->sent, size, tag) == 1)
            model->sizes[model->sent++] = size;
        return;
    }
    case 3:
    case 4:
        if (yk_spsc_take(&play->receiver, UINT64_MAX, &message) == 0) {
            assert_int_equal(next, model->sent);
            return;
        }
        assert_int_equal(message.index, next);
        assert_int_equal(message.size, model->sizes[next]);
        assert_int_equal(message.deliveries, ++model->deliveries[next]);
        assert_bytes(message.bytes, next, message.size);
        model->states[next] = LENT;
        return;
    case 5:
    case 6:
        for (uint64_t i = 0; i < model->sent && model->states[pick] != LENT; i++)
            pick = (pick + 1) % model->sent;
        if (model->sent == 0 || model->states[pick] != LENT)
            return;
        if (random() % 4) {
            assert_int_equal(yk_spsc_release(&play->receiver, pick), 1);
            model->states[pick] = DONE;
        } else {
            assert_int_equal(yk_spsc_return(&play->receiver, pick), 1);
            model->states[pick] = WAITING;
        }
        return;
    default:
        if (random() % 10 == 0) {
            replace_receiver(play);
            for (uint64_t i = 0; i < model->sent; i++)
                if (model->states[i] == LENT)
                    model->states[i] = WAITING;
        } else if (random() % 10 == 0) {
            replace_sender(play);
        }
    }
}

static void whatever_is_done_the_model_knows_what_comes_next(void **state)
{
    (void)state;
    srandom((unsigned)test_seed());
    for (int round = 0; round < 10; round++) {
        static struct model model;
        struct play play;
        memset(&model, 0, sizeof model);
        open_play(&play, 1 + (uint32_t)round * 3, 400);
        while (model.sent < MODEL_MOST / 8)
            play_at_random(&play, &model);
        replace_receiver(&play);
        for (uint64_t i = 0; i < model.sent; i++)
            if (model.states[i] != DONE) {
                struct yk_spsc_message message;
                assert_int_equal(yk_spsc_take(&play.receiver, UINT64_MAX, &message), 1);
                assert_int_equal(message.index, i);
                assert_int_equal(yk_spsc_release(&play.receiver, i), 1);
            }
        assert_empty(&play);
        close_play(&play);
    }
}

/* ---- old age ---------------------------------------------------------------------------------- */

/* A ring that has carried `index` messages. */
static void make_old(struct play *play, uint64_t index)
{
    uint64_t slots = play->sender.ring.mask + 1;
    yk_store_relaxed(&play->sender.ring.shm->released, index);
    yk_store_relaxed(&play->sender.ring.shm->taken, index);
    for (uint64_t i = index - slots; i != index; i++)
        yk_store_relaxed(word_of(play, i), (uint64_t)yk_spsc_stamp(&play->sender.ring, i) << 32);
    resume_both(play);
}

static void rings_go_on_when_their_stamps_begin_anew(void **state)
{
    static const uint64_t ages[] = {UINT32_MAX, UINT64_C(1) << 31, UINT64_C(1) << 32,
                                    UINT64_C(5) << 32};
    (void)state;
    for (size_t i = 0; i < sizeof ages / sizeof *ages; i++) {
        for (uint32_t depth = 1; depth <= 8; depth++) {
            struct play play;
            open_play(&play, depth, 200);
            /* two laps before the stamp's end, or before that of the index's low half */
            uint64_t laps = play.geometry.slots_log2;
            make_old(&play,
                     (i % 2 ? ages[i] << laps : ages[i]) - 2 * (play.sender.ring.mask + 1) - 3);
            assert_empty(&play);
            uint64_t id = 0, next = 0;
            for (int round = 0; round < 60; round++) {
                while (send_id(&play, id, id % 2 ? 11 : 190, 0) == 1)
                    id++;
                assert_int_equal(id - next, depth);
                struct yk_spsc_message message = must_take(&play, next, next % 2 ? 11 : 190, 1);
                if (round % 3 == 0) {
                    replace_sender(&play);
                    assert_int_equal(replace_receiver(&play), 1);
                    message = must_take(&play, next, next % 2 ? 11 : 190, 2);
                }
                assert_int_equal(yk_spsc_release(&play.receiver, message.index), 1);
                next++;
            }
            for (; next < id; next++)
                must_recv(&play, next, next % 2 ? 11 : 190, 1);
            assert_empty(&play);
            close_play(&play);
        }
    }
}

/* Each way to receive a message, while the other side keeps the ring full. */
enum { SHORT_WAY, BIG_WAY, TAKEN, ALL_TAKEN, YOUNGEST_FIRST, TAKEN_OVER, WAYS };

static void must_take_all(struct play *play, uint64_t first, uint64_t count, uint32_t deliveries)
{
    for (uint64_t i = 0; i < count; i++)
        must_take(play, first + i, 11, deliveries);
}

/* The ring is full from message `first` on, all of 11 bytes. How many are released. */
static uint64_t receive_by(struct play *play, int way, uint64_t first)
{
    unsigned char got[200];
    size_t size = 0;
    uint64_t depth = play->geometry.depth, base = play->receiver.taken;
    if ((way == SHORT_WAY && yk_spsc_recv_small(&play->receiver, got, sizeof got, &size)) ||
        (way == BIG_WAY && yk_spsc_recv_big(&play->receiver, got, sizeof got, &size))) {
        assert_bytes(got, first, 11);
        return 1;
    }
    if (way < ALL_TAKEN) {
        must_recv(play, first, 11, 1);
        return 1;
    }
    must_take_all(play, first, depth, 1);
    if (way == TAKEN_OVER) {
        assert_int_equal(replace_receiver(play), depth);
        must_take_all(play, first, depth, 2);
    }
    for (uint64_t i = 0; i < depth; i++)
        assert_int_equal(
            yk_spsc_release(&play->receiver, base + (way == ALL_TAKEN ? i : depth - 1 - i)), 1);
    return depth;
}

/*
 * What lap 0 left is there when its stamp comes again, if nobody has renewed it: then the last message
 * that a receiver had in hand when it died would be taken for released.
 */
static void receipt_is_not_believed_when_its_stamp_comes_again(void **state)
{
    static const uint64_t left[] = {YK_SPSC_DONE, YK_SPSC_AGAIN | 1, 1};
    (void)state;
    for (int i = 0; i < WAYS * 3 * 8; i++) {
        struct play play;
        uint64_t id = 0, next = 0, depth = 1 + (uint64_t)i / WAYS / 3, end;
        open_play(&play, (uint32_t)depth, 200);
        uint64_t slots = play.receiver.ring.mask + 1, reborn = UINT64_C(1) << 32;
        make_old(&play, reborn * slots - 2 * slots);
        for (uint64_t k = 0; k < slots; k++)
            play.receiver.ring.receipts[k].raw = UINT64_C(1) << 32 | left[i / WAYS % 3];
        for (end = 2 * slots; next < end;) {
            for (; id - next < depth; id++)
                must_send(&play, id, 11);
            next += receive_by(&play, i % WAYS, next);
        }
        for (; id - next < depth; id++)
            must_send(&play, id, 11);
        must_take_all(&play, next, depth, 1);
        assert_int_equal(replace_receiver(&play), depth);
        must_take_all(&play, next, depth, 2);
        assert_int_equal(dropped(&play), 0);
        close_play(&play);
    }
}

/* Over whole periods; nearly all of their messages go the short way. */
static void no_receipt_gets_older_than_a_period(void **state)
{
    struct play play;
    unsigned char got[64];
    size_t size;
    (void)state;
    open_play(&play, 8, 200);
    const struct yk_spsc *ring = &play.receiver.ring;
    uint64_t slots = ring->mask + 1, slow = 0;
    make_old(&play, (YK_SPSC_PERIOD + 5) * slots);
    for (uint64_t i = 0; i < slots; i++) /* one in each slot, of this lap */
        must_send(&play, i, 11);
    must_take_all(&play, 0, slots, 1);
    assert_int_equal(replace_receiver(&play), slots);
    for (uint64_t i = 0; i < slots; i++)
        must_recv(&play, i, 11, 2);
    for (uint64_t i = 0; i < 3 * YK_SPSC_PERIOD * slots; i++) {
        uint64_t receipt, lap = play.receiver.taken / slots;
        assert_int_equal(yk_spsc_send(&play.sender, "12345678", 8, 0, false), 1);
        if (!yk_spsc_recv_small(&play.receiver, got, sizeof got, &size)) {
            struct yk_spsc_message message;
            assert_int_equal(lap % YK_SPSC_PERIOD, YK_SPSC_PERIOD - 1);
            assert_int_equal(yk_spsc_take(&play.receiver, UINT64_MAX, &message), 1);
            assert_int_equal(message.deliveries, 1);
            assert_int_equal(yk_spsc_release(&play.receiver, message.index), 1);
            slow++;
        }
        /* of the slot that comes next */
        receipt = ring->receipts[play.receiver.taken & ring->mask].raw;
        lap = play.receiver.taken / slots;
        assert_in_range(lap + 1 - (receipt >> 32), 1, YK_SPSC_PERIOD);
    }
    assert_int_equal(slow, 3 * slots);
    assert_int_equal(redelivered(&play), slots);
    close_play(&play);
}

/* ---- hostile ---------------------------------------------------------------------------------- */

static unsigned touched; /* so that reading is not left out */

static void touch(const unsigned char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i += 16)
        touched += bytes[i];
    if (size > 0)
        touched += bytes[size - 1];
}

/* Does all that either side can do, for a while, whatever is said; in the array, and ending. */
static void use(struct play *play)
{
    struct yk_spsc_message message;
    struct yk_spsc_counts counts;
    unsigned char buffer[512] = {0};
    size_t size;
    void *block;
    yk_spsc_count(&play->sender.ring, &counts);
    for (int i = 0; i < 6; i++) {
        yk_spsc_has_room(&play->sender);
        yk_spsc_send(&play->sender, buffer, (size_t)(i * 83) % 400, (uint64_t)i % 2, false);
        yk_spsc_send_small(&play->sender, buffer, 20);
        if (yk_spsc_loan(&play->sender, 300, &block) == 1) {
            memset(block, 1, 300);
            if (i % 2)
                yk_spsc_commit(&play->sender, block, 300, 0, false);
            else
                yk_spsc_cancel_loan(&play->sender, block);
        }
        if (yk_spsc_recv_small(&play->receiver, buffer, sizeof buffer, &size))
            assert_true(size <= sizeof buffer);
        yk_spsc_peek(&play->receiver);
        for (int k = 0; k < 3; k++) {
            if (yk_spsc_take(&play->receiver, UINT64_MAX, &message) != 1)
                continue;
            assert_true(message.size <= play->geometry.max_message);
            touch(message.bytes, message.size);
            yk_spsc_find_lent(&play->receiver, message.bytes);
            if (k == 1)
                yk_spsc_return(&play->receiver, message.index);
            else
                yk_spsc_release(&play->receiver, message.index);
        }
    }
}

static void use_and_take_over(struct play *play)
{
    use(play);
    yk_spsc_recover_receiver(&play->receiver.ring);
    resume_both(play);
    use(play);
}

/* A ring in the middle of its life: all kinds of messages, lent, returned, released, and loans. */
static void open_busy(struct play *play)
{
    void *block;
    open_play(play, 8, 400);
    for (uint64_t i = 0; i < 7; i++)
        must_send(play, i, i * 60);
    for (uint64_t i = 0; i < 5; i++)
        must_take(play, i, i * 60, 1);
    yk_spsc_release(&play->receiver, 0);
    yk_spsc_release(&play->receiver, 2);
    yk_spsc_return(&play->receiver, 3);
    send_id(play, 7, 30, 9);
    yk_spsc_loan(&play->sender, 100, &block);
}

static uint64_t extreme(unsigned number, uint64_t stamp)
{
    static const uint64_t values[] = {0,
                                      1,
                                      2,
                                      63,
                                      64,
                                      65,
                                      127,
                                      128,
                                      UINT32_MAX,
                                      INT32_MAX,
                                      UINT64_MAX,
                                      UINT64_MAX - 1,
                                      UINT64_MAX - 63,
                                      INT64_MAX,
                                      UINT64_C(1) << 63,
                                      UINT64_C(1) << 32,
                                      UINT64_C(1) << 27,
                                      UINT64_C(1) << 28,
                                      (UINT64_C(1) << 28) + 400,
                                      (UINT64_C(1) << 28) + 401,
                                      (UINT64_C(1) << 28) + 64,
                                      UINT64_C(0x07ffffff),
                                      UINT64_C(0x0fffffff),
                                      UINT64_C(0x1fffffff),
                                      4096,
                                      4480,
                                      4481,
                                      400};
    enum { COUNT = sizeof values / sizeof *values };
    uint64_t value = values[number / 2 % COUNT];
    return number % 2 ? stamp << 32 | (uint32_t)value : value;
}
#define EXTREMES 56u

static void no_value_anywhere_leads_out_of_the_array(void **state)
{
    struct play play;
    (void)state;
    open_busy(&play);
    uint64_t words = play.size / 8;
    uint64_t control = (uint64_t)(play.sender.ring.buffer - play.memory) / 8;
    close_play(&play);
    assert_true(control < words);
    for (uint64_t at = 0; at < control; at++) {
        for (unsigned number = 0; number < EXTREMES; number++) {
            for (uint64_t stamp = 1; stamp <= 2; stamp++) {
                open_busy(&play);
                yk_store_relaxed((yk_atomic64 *)(void *)play.memory + at, extreme(number, stamp));
                use_and_take_over(&play);
                close_play(&play);
                if (number % 2 == 0)
                    break;
            }
        }
    }
}

static void no_mixture_of_values_leads_out_of_the_array(void **state)
{
    struct play play;
    (void)state;
    srandom((unsigned)test_seed());
    for (int round = 0; round < 20000; round++) {
        open_busy(&play);
        uint64_t control = (uint64_t)(play.sender.ring.buffer - play.memory) / 8;
        for (long i = random() % 40; i >= 0; i--) {
            uint64_t at = random() % 4 ? (uint64_t)random() % control : (uint64_t)random() % 2;
            yk_store_relaxed((yk_atomic64 *)(void *)play.memory + at,
                             extreme((unsigned)random(), (uint64_t)random() % 3));
            if (i % 8 == 0)
                use(&play);
        }
        use_and_take_over(&play);
        close_play(&play);
    }
}

static void words_that_no_yoke_wrote_are_called_so(void **state)
{
    struct yk_spsc_message message;
    struct play play;
    (void)state;
    open_play(&play, 8, 400);
    uint64_t stamp = UINT64_C(1) << 32;
    static const uint64_t bad[] = {401, 121, YK_SPSC_TAGGED | 113, YK_SPSC_BUFFERED | 401,
                                   YK_SPSC_SIZE_MASK};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        yk_store_relaxed(word_of(&play, 0), stamp | bad[i]);
        assert_int_equal(yk_spsc_take(&play.receiver, UINT64_MAX, &message), -EPROTO);
        assert_int_equal(yk_spsc_take(&play.receiver, UINT64_MAX, &message), -EPROTO);
    }
    yk_atomic64 *offset =
        (yk_atomic64 *)(void *)(yk_spsc_slot(&play.sender.ring, 0) + YK_SPSC_OFFSET);
    static const uint64_t sizes[] = {1, 64, 65};
    for (size_t i = 0; i < 3; i++) {
        static const uint64_t beyond[] = {0, 64, UINT64_MAX - 63, UINT64_C(1) << 63};
        yk_store_relaxed(word_of(&play, 0), stamp | YK_SPSC_BUFFERED | sizes[i]);
        for (size_t k = 0; k < 4; k++) {
            yk_store_relaxed(offset,
                             beyond[k] < 128 ? play.geometry.buffer + beyond[k] : beyond[k]);
            assert_int_equal(yk_spsc_take(&play.receiver, UINT64_MAX, &message), -EPROTO);
        }
        yk_store_relaxed(offset, 1); /* not where a piece begins */
        assert_int_equal(yk_spsc_take(&play.receiver, UINT64_MAX, &message), -EPROTO);
    }
    yk_store_relaxed(offset, play.geometry.buffer - 64);
    assert_int_equal(yk_spsc_take(&play.receiver, UINT64_MAX, &message), -EPROTO); /* 65 bytes */
    yk_store_relaxed(word_of(&play, 0), stamp | YK_SPSC_BUFFERED | 64);
    assert_int_equal(yk_spsc_take(&play.receiver, UINT64_MAX, &message), 1);
    close_play(&play);
}

static void released_ahead_of_sent_is_called_a_lie(void **state)
{
    struct play play;
    void *block;
    (void)state;
    open_play(&play, 4, 400);
    for (uint64_t i = 0; i < 4; i++)
        must_send(&play, i, 8);
    yk_store_relaxed(&play.sender.ring.shm->released, 5);
    assert_int_equal(send_id(&play, 4, 8, 0), -EPROTO);
    assert_int_equal(yk_spsc_loan(&play.sender, 8, &block), -EPROTO);
    assert_false(yk_spsc_has_room(&play.sender));
    yk_store_relaxed(&play.sender.ring.shm->released, UINT64_MAX);
    assert_int_equal(send_id(&play, 4, 8, 0), -EPROTO);
    close_play(&play);
}

/* A sender that goes on over what is in the receiver's hand: two would have one place in its notes. */
static void message_beyond_the_depth_is_called_a_lie(void **state)
{
    struct yk_spsc_message message;
    struct play play;
    (void)state;
    open_play(&play, 8, 400);
    for (uint64_t i = 0; i < 8; i++)
        must_send(&play, i, 8);
    for (uint64_t i = 0; i < 8; i++)
        must_take(&play, i, 8, 1);
    yk_store_relaxed(word_of(&play, 8), UINT64_C(2) << 32 | 8);
    assert_int_equal(yk_spsc_take(&play.receiver, UINT64_MAX, &message), -EPROTO);
    assert_int_equal(play.receiver.taken, 8);
    for (uint64_t i = 0; i < 8; i++)
        assert_int_equal(yk_spsc_release(&play.receiver, i), 1);
    assert_int_equal(yk_spsc_take(&play.receiver, UINT64_MAX, &message), 1);
    close_play(&play);
}

static void geometries_that_no_plan_makes_are_refused(void **state)
{
    struct yk_spsc_geometry good = planned(8, 400), bad;
    static const uint32_t odd[] = {0, 1, 63, 65, 127, 129, 18 * 64, UINT32_MAX};
    (void)state;
    assert_int_equal(yk_spsc_check_geometry(&good), 0);
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        bad = good;
        bad.slot_stride = odd[i];
        assert_int_equal(yk_spsc_check_geometry(&bad), -EPROTO);
        bad = good;
        bad.slots_log2 = odd[i] < 20 ? 0 : odd[i];
        assert_int_equal(yk_spsc_check_geometry(&bad), -EPROTO);
        bad = good;
        bad.depth = odd[i] < 20 ? 0 : odd[i];
        assert_int_equal(yk_spsc_check_geometry(&bad), -EPROTO);
    }
    bad = good, bad.max_message = (UINT64_C(64) << 20) + 1;
    assert_int_equal(yk_spsc_check_geometry(&bad), -EPROTO);
    bad = good, bad.max_message = bad.buffer + 1;
    assert_int_equal(yk_spsc_check_geometry(&bad), -EPROTO);
    bad = good, bad.buffer = 0, bad.max_message = 0;
    assert_int_equal(yk_spsc_check_geometry(&bad), -EPROTO);
    bad = good, bad.buffer += 1;
    assert_int_equal(yk_spsc_check_geometry(&bad), -EPROTO);
    bad = good, bad.buffer = UINT64_MAX - 63;
    assert_int_equal(yk_spsc_check_geometry(&bad), -EPROTO);
}

static void every_plan_is_sound(void **state)
{
    (void)state;
    for (uint64_t depth = 1; depth <= UINT64_C(1) << 20;
         depth = depth < 20 ? depth + 1 : depth * 2 - depth / 3)
        for (uint64_t most = 0; most <= UINT64_C(64) << 20;
             most = most < 300 ? most + 1 : most * 3) {
            struct yk_spsc_geometry geometry = planned((uint32_t)depth, most);
            assert_int_equal(yk_spsc_check_geometry(&geometry), 0);
            assert_int_equal(yk_spsc_bytes(&geometry) % 128, 0);
        }
    struct yk_spsc_geometry biggest = planned(1u << 20, UINT64_C(64) << 20);
    assert_int_equal(yk_spsc_check_geometry(&biggest), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_copies_are_exact_in_every_size),
        cmocka_unit_test(messages_of_every_size_arrive_as_they_were_sent),
        cmocka_unit_test(short_ways_carry_every_small_size),
        cmocka_unit_test(short_ways_leave_everything_else_to_the_long_ones),
        cmocka_unit_test(message_that_does_not_fit_stays_where_it_is),
        cmocka_unit_test(exactly_as_many_messages_fit_as_the_ring_is_deep),
        cmocka_unit_test(ring_is_never_full_before_its_depth),
        cmocka_unit_test(four_of_the_biggest_messages_are_on_the_way_at_once),
        cmocka_unit_test(full_buffer_stops_big_messages_and_lets_small_ones_pass),
        cmocka_unit_test(loans_are_committed_in_any_order_or_given_up),
        cmocka_unit_test(loan_of_a_full_ring_stays_a_loan),
        cmocka_unit_test(what_is_no_loan_is_refused),
        cmocka_unit_test(messages_are_released_in_any_order_and_room_comes_in_that_of_sending),
        cmocka_unit_test(what_is_not_lent_is_refused),
        cmocka_unit_test(returned_message_comes_again_before_newer_ones),
        cmocka_unit_test(message_is_dropped_and_counted_after_its_last_delivery),
        cmocka_unit_test(marked_message_is_dropped_a_delivery_earlier),
        cmocka_unit_test(marked_message_that_nobody_had_is_never_dropped),
        cmocka_unit_test(marked_message_comes_whole_the_short_way),
        cmocka_unit_test(message_that_was_returned_before_its_receiver_died_counts_once),
        cmocka_unit_test(dropped_message_behind_one_that_is_lent_leaves_its_place),
        cmocka_unit_test(under_once_what_was_in_hand_is_dropped_and_counted),
        cmocka_unit_test(receiver_that_takes_over_gets_what_was_in_hand_marked),
        cmocka_unit_test(recovery_can_be_done_again_and_loses_nothing),
        cmocka_unit_test(receiver_that_died_between_take_and_release_had_it_in_hand),
        cmocka_unit_test(receipts_of_an_older_lap_mean_nothing),
        cmocka_unit_test(sender_that_takes_over_goes_on_where_the_last_word_was_stored),
        cmocka_unit_test(sender_that_takes_over_keeps_off_all_that_is_on_the_way),
        cmocka_unit_test(counts_say_what_is_where),
        cmocka_unit_test(whatever_is_done_the_model_knows_what_comes_next),
        cmocka_unit_test(rings_go_on_when_their_stamps_begin_anew),
        cmocka_unit_test(receipt_is_not_believed_when_its_stamp_comes_again),
        cmocka_unit_test(no_receipt_gets_older_than_a_period),
        cmocka_unit_test(no_value_anywhere_leads_out_of_the_array),
        cmocka_unit_test(no_mixture_of_values_leads_out_of_the_array),
        cmocka_unit_test(words_that_no_yoke_wrote_are_called_so),
        cmocka_unit_test(released_ahead_of_sent_is_called_a_lie),
        cmocka_unit_test(message_beyond_the_depth_is_called_a_lie),
        cmocka_unit_test(geometries_that_no_plan_makes_are_refused),
        cmocka_unit_test(every_plan_is_sound),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
