/*
 * vyukov.c - Dmitry Vyukov's bounded many-to-many queue, written plainly: the reference for one-
 * way rates.
 *
 * Two locked operations a message, and not crash-safe: a process that dies between claiming a
 * cell and storing its sequence leaves all others waiting at that cell for ever.
 */
#include "peers.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define APART 128u
#define LINE  64u

struct cell {
    /* its position: empty; position + 1: full; position + cells: empty for the next lap */
    _Atomic uint64_t sequence;
    uint64_t size;
    unsigned char payload[];
};

struct queue {
    _Alignas(APART) _Atomic uint64_t tail; /* next position to send at */
    _Alignas(APART) _Atomic uint64_t head; /* next position to receive at */
    _Alignas(APART) unsigned char cells[];
};

struct vyukov {
    struct queue *queue[BENCH_CHANNELS];
    size_t queue_size, cell_size;
    uint64_t mask;
};

static struct cell *cell_at(const struct vyukov *state, struct queue *queue, uint64_t position)
{
    return (struct cell *)(queue->cells + (position & state->mask) * state->cell_size);
}

static bool try_send(struct vyukov *state, struct queue *queue, const void *message, size_t size)
{
    uint64_t position = atomic_load_explicit(&queue->tail, memory_order_relaxed);
    struct cell *cell;

    for (;;) {
        cell = cell_at(state, queue, position);
        int64_t ahead =
            (int64_t)(atomic_load_explicit(&cell->sequence, memory_order_acquire) - position);
        if (ahead < 0)
            return false; /* full */
        if (ahead > 0)
            position = atomic_load_explicit(&queue->tail, memory_order_relaxed);
        else if (atomic_compare_exchange_weak_explicit(&queue->tail, &position, position + 1,
                                                       memory_order_relaxed, memory_order_relaxed))
            break;
    }
    cell->size = size;
    memcpy(cell->payload, message, size);
    atomic_store_explicit(&cell->sequence, position + 1, memory_order_release);
    return true;
}

static bool try_recv(struct vyukov *state, struct queue *queue, void *buffer, size_t capacity,
                     size_t *ret_size)
{
    uint64_t position = atomic_load_explicit(&queue->head, memory_order_relaxed);
    struct cell *cell;

    for (;;) {
        cell = cell_at(state, queue, position);
        int64_t ahead =
            (int64_t)(atomic_load_explicit(&cell->sequence, memory_order_acquire) - (position + 1));
        if (ahead < 0)
            return false; /* empty */
        if (ahead > 0)
            position = atomic_load_explicit(&queue->head, memory_order_relaxed);
        else if (atomic_compare_exchange_weak_explicit(&queue->head, &position, position + 1,
                                                       memory_order_relaxed, memory_order_relaxed))
            break;
    }
    *ret_size = cell->size < capacity ? cell->size : capacity;
    memcpy(buffer, cell->payload, *ret_size);
    atomic_store_explicit(&cell->sequence, position + state->mask + 1, memory_order_release);
    return true;
}

static int vyukov_send(void *data, enum bench_channel channel, const void *message, size_t size)
{
    struct vyukov *state = data;

    while (!try_send(state, state->queue[channel], message, size))
        bench_look_again();
    return 0;
}

static int vyukov_recv(void *data, enum bench_channel channel, void *buffer, size_t size)
{
    struct vyukov *state = data;
    size_t received;

    while (!try_recv(state, state->queue[channel], buffer, size, &received))
        bench_look_again();
    return received == size ? 0 : -EBADMSG;
}

static void vyukov_teardown(struct bench_run *run)
{
    struct vyukov *state = run->state;

    for (int channel = 0; channel < BENCH_CHANNELS; channel++)
        if (state->queue[channel])
            bench_unmap_shared(state->queue[channel], state->queue_size);
    free(state);
}

static int vyukov_setup(struct bench_run *run)
{
    struct vyukov *state = calloc(1, sizeof *state);
    uint64_t cells = run->setting.depth;

    if (!state)
        return -ENOMEM;
    run->state = state;
    state->mask = cells - 1;
    state->cell_size = (sizeof(struct cell) + run->setting.size + LINE - 1) / LINE * LINE;
    state->queue_size = sizeof(struct queue) + cells * state->cell_size;
    for (int channel = 0; channel < BENCH_CHANNELS; channel++) {
        struct queue *queue = bench_map_shared(state->queue_size);

        state->queue[channel] = queue;
        if (!queue) {
            vyukov_teardown(run);
            return -ENOMEM;
        }
        for (uint64_t i = 0; i < cells; i++)
            atomic_store_explicit(&cell_at(state, queue, i)->sequence, i, memory_order_relaxed);
    }
    return 0;
}

const struct bench_system bench_vyukov = {
    .name = "vyukov",
    .quick = true,
    .many = true,
    .cases = 1 << BENCH_LATENCY | 1 << BENCH_RATE,
    .modes = 1 << BENCH_SPIN,
    .size_min = BENCH_SIZE_MIN,
    .size_max = SIZE_MAX,
    .setup = vyukov_setup,
    .teardown = vyukov_teardown,
    .send = vyukov_send,
    .recv = vyukov_recv,
};
