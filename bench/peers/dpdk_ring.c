/*
 * dpdk_ring.c - DPDK: rte_ring, many-to-many, in memory of our own.
 *
 * rte_ring_init() asks for no more than memory, so neither the EAL nor its huge pages are started.
 * The messages lie in the ring itself, as its elements, and are copied in and out between start
 * and finish of its zero-copy calls; its own copying calls move four bytes at a time (1 KiB there
 * and back: 2.6 times the limit instead of 1.5). Of the modes for many senders and receivers those
 * calls want "head/tail sync", in which they take turns. It can only spin.
 *
 * When one side is killed: the other is not told and spins on. One that is killed between start
 * and finish leaves all others of its side waiting for its finish for ever.
 */
#include "peers.h"

#include <errno.h>
#include <rte_ring.h>
#include <rte_ring_elem.h>
#include <stdlib.h>
#include <string.h>

struct rings {
    struct rte_ring *ring[BENCH_CHANNELS];
    size_t ring_size;
    unsigned element_size;
};

static void dpdk_teardown(struct bench_run *run)
{
    struct rings *state = run->state;

    for (int channel = 0; channel < BENCH_CHANNELS; channel++)
        if (state->ring[channel])
            bench_unmap_shared(state->ring[channel], state->ring_size);
    free(state);
}

static int dpdk_setup(struct bench_run *run)
{
    struct rings *state = calloc(1, sizeof *state);
    uint32_t depth = run->setting.depth;
    ssize_t ring_size;
    int error = 0;

    if (!state)
        return -ENOMEM;
    run->state = state;
    state->element_size = (unsigned)(run->setting.size + 3) / 4 * 4;
    ring_size = rte_ring_get_memsize_elem(state->element_size, depth);
    state->ring_size = ring_size < 0 ? 0 : (size_t)ring_size;
    if (ring_size < 0)
        error = (int)ring_size;
    for (int channel = 0; channel < BENCH_CHANNELS && !error; channel++) {
        state->ring[channel] = bench_map_shared(state->ring_size);
        error = state->ring[channel] ? rte_ring_init(state->ring[channel], "yoke-bench", depth,
                                                     RING_F_MP_HTS_ENQ | RING_F_MC_HTS_DEQ)
                                     : -ENOMEM;
    }
    if (error)
        dpdk_teardown(run);
    return error;
}

static int dpdk_send(void *data, enum bench_channel channel, const void *message, size_t size)
{
    const struct rings *state = data;
    struct rte_ring *ring = state->ring[channel];
    struct rte_ring_zc_data place;

    while (!rte_ring_enqueue_zc_bulk_elem_start(ring, state->element_size, 1, &place, NULL))
        bench_look_again();
    memcpy(place.ptr1, message, size);
    rte_ring_enqueue_zc_elem_finish(ring, 1);
    return 0;
}

static int dpdk_recv(void *data, enum bench_channel channel, void *buffer, size_t size)
{
    const struct rings *state = data;
    struct rte_ring *ring = state->ring[channel];
    struct rte_ring_zc_data place;

    while (!rte_ring_dequeue_zc_bulk_elem_start(ring, state->element_size, 1, &place, NULL))
        bench_look_again();
    memcpy(buffer, place.ptr1, size);
    rte_ring_dequeue_zc_elem_finish(ring, 1);
    return 0;
}

const struct bench_system bench_dpdk_ring = {
    .name = "dpdk-ring",
    .cases = 1 << BENCH_LATENCY | 1 << BENCH_RATE,
    .modes = 1 << BENCH_SPIN,
    .size_min = BENCH_SIZE_MIN,
    .size_max = UINT32_MAX / 8, /* elements are counted in 32 bits */
    .setup = dpdk_setup,
    .teardown = dpdk_teardown,
    .send = dpdk_send,
    .recv = dpdk_recv,
};
