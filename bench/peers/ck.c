/*
 * ck.c - Concurrency Kit: ck_ring, for one sender and one receiver (ck-spsc) and for many of each
 * (ck-mpmc), between processes.
 *
 * The ring carries pointers; it lies, with the payloads beside it, in memory that the workers
 * inherit at the same address. It is fastest with a buffer that it is given by its caller and a
 * size that is a power of two; one place of it stays empty. It can only spin.
 *
 * Places for payloads. With one sender and one receiver the sender takes them in turn: there are
 * two more than the ring holds, one that the receiver reads and one that the sender writes. With
 * many, whoever is done with a place may be late, so free places come back through a second ring,
 * as a pool of blocks does it.
 *
 * When one side is killed: the other is not told and spins on. One that is killed in mpmc between
 * its claim and its commit leaves all later senders waiting for that commit for ever, and each
 * place that a killed process held is lost. (ck_ring_repair() mends a ring that nobody else uses.)
 */
#include "peers.h"

#include <ck_ring.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LINE  64u
#define APART 128u

/* A ring with its buffer behind it. */
struct ring {
    _Alignas(APART) ck_ring_t ring;
    _Alignas(APART) ck_ring_buffer_t buffer[];
};

struct channel {
    struct ring *full, *free; /* the latter in mpmc only */
    unsigned char *places;
    unsigned next; /* private to the sender, in spsc only */
};

struct rings {
    struct channel channel[BENCH_CHANNELS];
    unsigned char *memory;
    size_t memory_size, place_size;
    unsigned places; /* of each channel */
};

/* ---- both ----------------------------------------------------------------------------------- */

static size_t ring_size(uint32_t depth)
{
    return (sizeof(struct ring) + depth * sizeof(ck_ring_buffer_t) + APART - 1) / APART * APART;
}

static void *place_at(const struct rings *state, const struct channel *channel, unsigned index)
{
    return channel->places + index * state->place_size;
}

static int ck_setup(struct bench_run *run, uint32_t free_depth)
{
    struct rings *state = calloc(1, sizeof *state);
    uint32_t depth = run->setting.depth;
    size_t rings_size = ring_size(depth) + ring_size(free_depth), channel_size;

    if (!state)
        return -ENOMEM;
    state->places = depth + 1; /* the ring holds depth - 1 */
    state->place_size = (run->setting.size + LINE - 1) / LINE * LINE;
    channel_size = (rings_size + state->places * state->place_size + APART - 1) / APART * APART;
    state->memory_size = BENCH_CHANNELS * channel_size;
    state->memory = bench_map_shared(state->memory_size);
    if (!state->memory) {
        free(state);
        return -ENOMEM;
    }
    for (int i = 0; i < BENCH_CHANNELS; i++) {
        struct channel *channel = &state->channel[i];

        channel->full = (struct ring *)(state->memory + (size_t)i * channel_size);
        channel->free = (struct ring *)((unsigned char *)channel->full + ring_size(depth));
        channel->places = (unsigned char *)channel->full + rings_size;
        ck_ring_init(&channel->full->ring, depth);
        ck_ring_init(&channel->free->ring, free_depth);
    }
    run->state = state;
    return 0;
}

static void ck_teardown(struct bench_run *run)
{
    struct rings *state = run->state;

    bench_unmap_shared(state->memory, state->memory_size);
    free(state);
}

/* ---- one sender, one receiver --------------------------------------------------------------- */

static int spsc_setup(struct bench_run *run)
{
    return ck_setup(run, 0);
}

static int spsc_send(void *data, enum bench_channel to, const void *message, size_t size)
{
    struct rings *state = data;
    struct channel *channel = &state->channel[to];
    void *place = place_at(state, channel, channel->next);

    memcpy(place, message, size);
    while (!ck_ring_enqueue_spsc(&channel->full->ring, channel->full->buffer, place))
        bench_look_again();
    if (++channel->next == state->places)
        channel->next = 0;
    return 0;
}

static int spsc_recv(void *data, enum bench_channel to, void *buffer, size_t size)
{
    struct rings *state = data;
    struct channel *channel = &state->channel[to];
    void *place;

    while (!ck_ring_dequeue_spsc(&channel->full->ring, channel->full->buffer, &place))
        bench_look_again();
    memcpy(buffer, place, size);
    return 0;
}

/* ---- many ----------------------------------------------------------------------------------- */

static int mpmc_setup(struct bench_run *run)
{
    int error = ck_setup(run, 2 * run->setting.depth); /* a power of two with room for all places */
    const struct rings *state = run->state;

    if (error)
        return error;
    for (int i = 0; i < BENCH_CHANNELS; i++) {
        const struct channel *channel = &state->channel[i];

        for (unsigned index = 0; index < state->places; index++)
            ck_ring_enqueue_mpmc(&channel->free->ring, channel->free->buffer,
                                 place_at(state, channel, index));
    }
    return 0;
}

static int mpmc_send(void *data, enum bench_channel to, const void *message, size_t size)
{
    struct rings *state = data;
    struct channel *channel = &state->channel[to];
    void *place;

    while (!ck_ring_dequeue_mpmc(&channel->free->ring, channel->free->buffer, &place))
        bench_look_again();
    memcpy(place, message, size);
    while (!ck_ring_enqueue_mpmc(&channel->full->ring, channel->full->buffer, place))
        bench_look_again();
    return 0;
}

static int mpmc_recv(void *data, enum bench_channel to, void *buffer, size_t size)
{
    struct rings *state = data;
    struct channel *channel = &state->channel[to];
    void *place;

    while (!ck_ring_dequeue_mpmc(&channel->full->ring, channel->full->buffer, &place))
        bench_look_again();
    memcpy(buffer, place, size);
    /* There is room for all places. */
    while (!ck_ring_enqueue_mpmc(&channel->free->ring, channel->free->buffer, place))
        bench_look_again();
    return 0;
}

const struct bench_system bench_ck_spsc = {
    .name = "ck-spsc",
    .cases = 1 << BENCH_LATENCY | 1 << BENCH_RATE,
    .modes = 1 << BENCH_SPIN,
    .size_min = BENCH_SIZE_MIN,
    .size_max = SIZE_MAX,
    .setup = spsc_setup,
    .teardown = ck_teardown,
    .send = spsc_send,
    .recv = spsc_recv,
};

const struct bench_system bench_ck_mpmc = {
    .name = "ck-mpmc",
    .cases = 1 << BENCH_LATENCY | 1 << BENCH_RATE,
    .modes = 1 << BENCH_SPIN,
    .size_min = BENCH_SIZE_MIN,
    .size_max = SIZE_MAX,
    .setup = mpmc_setup,
    .teardown = ck_teardown,
    .send = mpmc_send,
    .recv = mpmc_recv,
};
