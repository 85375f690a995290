/*
 * scenes_memory.c - regions with what is in them, streams, and the end of waits.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scenes.h"

/* ---- a region: a lock, a semaphore, an event ---- */

enum { LOCK, NOTIFY, WATCH };

#define UNITS 2

/* What lies in the region. `owner` and `count` are plain memory, which the lock alone protects. */
struct region_body {
    yoke_lock lock;
    yoke_event event;
    uint64_t owner, count;
    _Alignas(8) unsigned char semaphore[YOKE_SEMAPHORE_SIZE(UNITS)];
};

static struct region_body *body_of(void *handle)
{
    return yoke_region_data(handle);
}

static yoke_semaphore *semaphore_of(void *handle)
{
    return (yoke_semaphore *)(void *)body_of(handle)->semaphore;
}

static void region_plan(struct round *round)
{
    uint64_t *random = &round->random;
    for (uint32_t i = 2 + below(random, 4); i > 0; i--)
        add_worker(round, LOCK, true);
    for (uint32_t i = 1 + below(random, 2); i > 0; i--)
        add_worker(round, NOTIFY, true);
    for (uint32_t i = 1 + below(random, 2); i > 0; i--)
        add_worker(round, WATCH, false);
}

static void region_prepare(struct round *round)
{
    yoke_region *region = NULL;
    if (!went(yoke_region_create(&region, round->name, sizeof(struct region_body), NULL),
              "a region"))
        return;
    went(yoke_semaphore_init(region, semaphore_of(region), UNITS), "a semaphore");
    round->anchor = region;
}

static void *region_open(struct round *round, uint32_t process, uint32_t handle)
{
    yoke_region *region = NULL;
    (void)process;
    if (handle == 0)
        return round->anchor;
    went(yoke_region_open(&region, round->name, 0), "opening the region");
    return region;
}

static void region_close(void *handle, uint32_t number)
{
    (void)number;
    yoke_region_close(handle);
}

/* Nobody else is in here. */
static void in_the_lock(struct worker *worker, struct region_body *body)
{
    if (body->owner != 0)
        wrong("worker %u holds a lock that worker %llu has", worker->number,
              (unsigned long long)body->owner - 1);
    body->owner = worker->number + 1;
    uint64_t count = body->count;
    for (volatile uint32_t turns = below(&worker->random, 200); turns > 0; turns--)
        ;
    if (body->owner != worker->number + 1)
        wrong("somebody came into the lock of worker %u", worker->number);
    body->count = count + 1;
    body->owner = 0;
}

/* Not more than UNITS are in here. */
static void in_the_semaphore(struct worker *worker)
{
    unsigned long long inside = atomic_fetch_add(&board->inside, 1) + 1;
    if (inside > UNITS)
        wrong("%llu hold units of a semaphore of %d", inside, UNITS);
    for (volatile uint32_t turns = below(&worker->random, 200); turns > 0; turns--)
        ;
    atomic_fetch_sub(&board->inside, 1);
}

static void take_turns(struct round *round, struct worker *worker, void *region)
{
    struct region_body *body = body_of(region);
    for (uint32_t number = 0; number < round->each && go_on();) {
        int taken = yoke_lock_acquire(region, &body->lock, some_time(&worker->random));
        if (taken == YOKE_OWNER_DIED)
            wrong("a lock's owner is said to have died");
        if (!went(taken, "a lock"))
            continue;
        in_the_lock(worker, body);
        went(yoke_lock_release(region, &body->lock), "giving up a lock");
        while (go_on() && !went(yoke_semaphore_acquire(region, semaphore_of(region),
                                                       some_time(&worker->random)),
                                "a semaphore"))
            ;
        in_the_semaphore(worker);
        went(yoke_semaphore_release(region, semaphore_of(region)), "giving up a unit");
        note_arrival(worker->sender, number++);
    }
}

static void notify(struct round *round, struct worker *worker, void *region)
{
    for (uint32_t number = 0; number < round->each && go_on(); number++) {
        atomic_fetch_add(&board->counter, 1);
        went(yoke_event_notify(region, &body_of(region)->event), "notifying");
        note_arrival(worker->sender, number);
    }
}

static uint64_t notifications(const struct round *round)
{
    uint64_t all = 0;
    for (uint32_t i = 0; i < round->workers; i++)
        all += round->worker[i].role == NOTIFY ? round->each : 0;
    return all;
}

static void watch(struct round *round, struct worker *worker, void *region)
{
    uint64_t seen = 0;
    while (seen < notifications(round) && go_on()) {
        uint64_t before = seen;
        int result =
            yoke_event_wait(region, &body_of(region)->event, &seen, some_time(&worker->random));
        if (!went(result, "an event"))
            continue;
        if (seen <= before || seen > atomic_load(&board->counter))
            wrong("%llu notifications were seen after %llu, of %llu", (unsigned long long)seen,
                  (unsigned long long)before, (unsigned long long)atomic_load(&board->counter));
    }
}

static void region_work(struct round *round, struct worker *worker, void *handle)
{
    wait_for_all(round);
    if (!go_on())
        return;
    if (worker->role == LOCK)
        take_turns(round, worker, handle);
    else if (worker->role == NOTIFY)
        notify(round, worker, handle);
    else
        watch(round, worker, handle);
}

static void region_check(struct round *round)
{
    struct region_body *body = body_of(round->anchor);
    uint64_t turns = (uint64_t)round->senders * round->each - notifications(round);
    int units = yoke_semaphore_value(round->anchor, semaphore_of(round->anchor));
    if (body->count != turns)
        wrong("%llu turns in the lock were counted, of %llu", (unsigned long long)body->count,
              (unsigned long long)turns);
    if (units != UNITS)
        wrong("%d units of the semaphore are left, of %d", units, UNITS);
}

const struct scene region_scene = {
    .name = "regions",
    .plan = region_plan,
    .prepare = region_prepare,
    .dispose = scene_dispose,
    .open = region_open,
    .close = region_close,
    .work = region_work,
    .check = region_check,
};

/* ---- streams: of records, which writers write whole, so that readers find them whole ---- */

enum { READ, WRITE }; /* also a handle's end: its lowest bit */

#define RECORD  64
#define RECORDS 64 /* at once: as many as go whole */

static void stream_plan(struct round *round)
{
    uint64_t *random = &round->random;
    round->size = 4096u << below(random, 3);
    round->spins = one_in(random, 2);
    for (uint32_t i = 1 + below(random, 3); i > 0; i--)
        add_worker(round, WRITE, true)->handle = WRITE + 2 * below(random, 2);
    for (uint32_t i = 1 + below(random, 3); i > 0; i--)
        add_worker(round, READ, false)->handle = READ + 2 * below(random, 2);
}

static void *stream_open(struct round *round, uint32_t process, uint32_t handle)
{
    struct yoke_options options = scene_options(round);
    char address[80];
    (void)process;
    options.capacity = round->size;
    if (handle == 0 && round->anchor)
        return round->anchor;
    snprintf(address, sizeof address, "stream:%s", round->name);
    return scene_open(address, YOKE_CREATE | (handle % 2 == WRITE ? YOKE_WRITE : YOKE_READ),
                      &options);
}

static void stream_prepare(struct round *round)
{
    round->anchor = stream_open(round, 0, 0);
}

static void write_all(struct round *round, struct worker *worker, yoke_endpoint *stream)
{
    _Alignas(8) unsigned char bytes[RECORDS * RECORD];
    for (uint32_t number = 0; number < round->each && go_on();) {
        uint32_t left = round->each - number, count = 1 + below(&worker->random, RECORDS);
        count = count < left ? count : left;
        for (uint32_t i = 0; i < count; i++)
            packet_fill(bytes + (size_t)i * RECORD, worker->sender, number + i, RECORD);
        ssize_t result =
            yoke_write(stream, bytes, (size_t)count * RECORD, some_time(&worker->random));
        if (!went(result, "writing"))
            continue;
        if (result != (ssize_t)count * RECORD)
            wrong("%zd of %u bytes went, which go whole", result, count * RECORD);
        number += count;
    }
}

static void take_records(struct round *round, const unsigned char *bytes, size_t size,
                         uint32_t *last)
{
    if (size % RECORD != 0)
        wrong("%zu bytes were read: there are only records of %d", size, RECORD);
    for (size_t at = 0; at + RECORD <= size; at += RECORD) {
        uint32_t sender, number;
        if (!packet_check(round, bytes + at, RECORD, &sender, &number))
            return;
        check_order(&last[sender], sender, number);
        note_arrival(sender, number);
    }
}

static void read_all(struct round *round, struct worker *worker, yoke_endpoint *stream)
{
    _Alignas(8) unsigned char bytes[RECORDS * RECORD];
    uint32_t last[WORKERS_MAX] = {0};
    bool polls = one_in(&worker->random, 3);
    while (!all_arrived(round) && go_on()) {
        struct pollfd polled = {.fd = polls ? yoke_fd(stream) : -1, .events = POLLIN};
        if (polls && went(polled.fd, "asking for a descriptor"))
            poll(&polled, 1, 20);
        size_t room = (size_t)(1 + below(&worker->random, RECORDS)) * RECORD;
        int64_t timeout = polls || one_in(&worker->random, 3) ? YOKE_NOW : 20 * MS;
        ssize_t result = yoke_read(stream, bytes, room, timeout);
        if (went(result, "reading"))
            take_records(round, bytes, (size_t)result, last);
    }
}

static void stream_work(struct round *round, struct worker *worker, void *handle)
{
    wait_for_all(round);
    if (!go_on())
        return;
    if (worker->role == WRITE)
        write_all(round, worker, handle);
    else
        read_all(round, worker, handle);
}

const struct scene stream_scene = {
    .name = "streams",
    .plan = stream_plan,
    .prepare = stream_prepare,
    .dispose = scene_dispose,
    .open = stream_open,
    .close = scene_close,
    .work = stream_work,
};

/* ---- the end of waits: several threads wait at one handle, and another one cancels ---- */

enum { WAIT, CANCEL };

struct waited {
    yoke_endpoint *endpoint;
    yoke_region *region;
    yoke_set *set;
    uint32_t kind;
};

enum { PORT_RECV, PORT_FULL, STREAM, LOCKED, EVENT, SET, LINK, KINDS };

static void cancel_plan(struct round *round)
{
    uint64_t *random = &round->random;
    round->depth = below(random, KINDS); /* what is waited for */
    round->spins = one_in(random, 2);
    round->each = 1;
    uint32_t waiters = round->depth == SET || round->depth == LINK ? 1 : 1 + below(random, 4);
    for (; waiters > 0; waiters--)
        add_worker(round, WAIT, true)->handle = 0;
    add_worker(round, CANCEL, false)->handle = 0;
}

static void *open_port(struct round *round)
{
    struct yoke_options options = scene_options(round);
    char address[80];
    options.depth = 1;
    options.max_message = 8;
    options.participants = 2;
    snprintf(address, sizeof address, "port:%s", round->name);
    return scene_open(address, YOKE_CREATE, &options);
}

static void *cancel_open(struct round *round, uint32_t process, uint32_t handle)
{
    struct waited *waited = calloc(1, sizeof *waited);
    struct yoke_options options = scene_options(round);
    char address[80], me[80];
    (void)process;
    (void)handle;
    if (!waited) {
        wrong("no memory");
        return NULL;
    }
    waited->kind = round->depth;
    switch (waited->kind) {
    case STREAM:
        snprintf(address, sizeof address, "stream:%s", round->name);
        waited->endpoint = scene_open(address, YOKE_CREATE | YOKE_READ, &options);
        break;
    case LOCKED:
    case EVENT:
        went(yoke_region_create(&waited->region, round->name, sizeof(struct region_body), NULL),
             "a region");
        if (waited->kind == LOCKED) /* which this thread keeps */
            went(yoke_lock_acquire(waited->region, &body_of(waited->region)->lock, YOKE_NOW),
                 "a lock");
        break;
    case LINK:
        snprintf(me, sizeof me, "%s.0", round->name);
        snprintf(address, sizeof address, "link:%s.1", round->name);
        options.as = me;
        waited->endpoint = scene_open(address, YOKE_CREATE, &options);
        break;
    default:
        waited->endpoint = open_port(round);
    }
    if (waited->kind == PORT_FULL)
        went(yoke_send(waited->endpoint, "full", 4, YOKE_NOW), "filling a port");
    if (waited->kind == SET && went(yoke_set_create(&waited->set), "a set"))
        went(yoke_set_add(waited->set, waited->endpoint, NULL), "adding to a set");
    return waited;
}

static void cancel_close(void *handle, uint32_t number)
{
    struct waited *waited = handle;
    (void)number;
    yoke_set_close(waited->set);
    yoke_close(waited->endpoint);
    yoke_region_close(waited->region);
    free(waited);
}

static int64_t wait_for_ever(struct waited *waited)
{
    char buffer[64];
    uint64_t seen = 0;
    struct yoke_ready ready;
    switch (waited->kind) {
    case PORT_FULL:
        return yoke_send(waited->endpoint, "more", 4, YOKE_FOREVER);
    case STREAM:
        return yoke_read(waited->endpoint, buffer, sizeof buffer, YOKE_FOREVER);
    case LOCKED:
        return yoke_lock_acquire(waited->region, &body_of(waited->region)->lock, YOKE_FOREVER);
    case EVENT:
        return yoke_event_wait(waited->region, &body_of(waited->region)->event, &seen,
                               YOKE_FOREVER);
    case SET:
        return yoke_set_wait(waited->set, &ready, 1, YOKE_FOREVER);
    default:
        return yoke_recv(waited->endpoint, buffer, sizeof buffer, YOKE_FOREVER);
    }
}

static void cancel(struct worker *worker, struct waited *waited)
{
    for (uint32_t turns = below(&worker->random, 3) * below(&worker->random, 20000); turns > 0;
         turns--)
        go_on();
    if (waited->set)
        went(yoke_set_cancel(waited->set), "cancelling a set");
    else if (waited->region)
        went(yoke_region_cancel(waited->region), "cancelling a region");
    else
        went(yoke_cancel(waited->endpoint), "cancelling");
}

static void cancel_work(struct round *round, struct worker *worker, void *handle)
{
    struct waited *waited = handle;
    wait_for_all(round);
    if (!go_on())
        return;
    if (worker->role == CANCEL) {
        cancel(worker, waited);
        return;
    }
    if (waited->endpoint && waited->kind != SET && one_in(&worker->random, 3))
        yoke_fd(waited->endpoint); /* another way to be told */
    int64_t result = wait_for_ever(waited);
    if (result != -ECANCELED)
        wrong("a wait (%u) ended with %lld instead of being cancelled", waited->kind,
              (long long)result);
    note_arrival(worker->sender, 0);
}

const struct scene cancel_scene = {
    .name = "cancelled",
    .plan = cancel_plan,
    .open = cancel_open,
    .close = cancel_close,
    .work = cancel_work,
    .one_process = true,
};

const struct scene *const scenes[] = {
    &port_scene,   &link_scene,      &signal_scene,    &region_scene, &stream_scene,
    &cancel_scene, &link_ring_scene, &byte_ring_scene, NULL,
};
