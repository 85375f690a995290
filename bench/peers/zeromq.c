/*
 * zeromq.c - ZeroMQ: a PAIR of sockets over its ipc transport.
 *
 * PAIR has no routing and no framing of envelopes, so it is the fastest of its patterns between
 * two. One context with one I/O thread a worker, as its guide says below a gigabyte a second; its
 * high-water marks are as threads.h says. The name is in the abstract namespace, so there is no
 * file to be left. Whichever worker comes first binds it.
 * Spinning means ZMQ_DONTWAIT, tried again and again; what arrives still comes through the I/O
 * threads, which sleep in poll(2).
 *
 * When the receiver is killed: the sender is not told. It goes on until its queue is full, then
 * sleeps (or gets EAGAIN) until another one comes under the name; what had left its queue is lost.
 * When the sender is killed: what was in its queue is lost, what had arrived is received, each
 * message whole; then the receiver sleeps on, not told either. (A socket monitor tells both.)
 */
#include "peers.h"
#include "threads.h"

#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <zmq.h>

/* The worker that comes second finds the other one soon. */
#define RECONNECT_MS 1

struct zeromq {
    struct bench_threads threads;
    char address[64];
    _Atomic int *joined; /* shared: how many workers came */
    int flags;           /* of each call */
    void *socket;        /* a worker's, for both channels */
};

static void zeromq_teardown(struct bench_run *run)
{
    struct zeromq *state = run->state;

    bench_unmap_shared((void *)state->joined, sizeof *state->joined);
    free(state);
}

static int zeromq_setup(struct bench_run *run)
{
    static unsigned serial;
    struct zeromq *state = calloc(1, sizeof *state);

    if (!state)
        return -ENOMEM;
    state->joined = bench_map_shared(sizeof *state->joined);
    if (!state->joined) {
        free(state);
        return -ENOMEM;
    }
    run->state = state;
    bench_threads_init(&state->threads);
    snprintf(state->address, sizeof state->address, "ipc://@yoke-bench-%ld-%u", (long)getpid(),
             serial++);
    state->flags = run->setting.mode == BENCH_SPIN ? ZMQ_DONTWAIT : 0;
    return 0;
}

static int set_option(void *socket, int option, int value)
{
    return zmq_setsockopt(socket, option, &value, sizeof value);
}

static int open_socket(struct zeromq *state, const struct bench_setting *setting)
{
    void *context = zmq_ctx_new();

    state->socket = context ? zmq_socket(context, ZMQ_PAIR) : NULL;
    if (!state->socket || set_option(state->socket, ZMQ_SNDHWM, bench_threads_depth(setting)) < 0 ||
        set_option(state->socket, ZMQ_RCVHWM, bench_threads_depth(setting)) < 0 ||
        set_option(state->socket, ZMQ_RECONNECT_IVL, RECONNECT_MS) < 0)
        return -errno;
    if (atomic_fetch_add(state->joined, 1) == 0)
        return zmq_bind(state->socket, state->address) < 0 ? -errno : 0;
    return zmq_connect(state->socket, state->address) < 0 ? -errno : 0;
}

/* Threads do not survive fork(), so the context is each worker's own; it ends with it. */
static int zeromq_join(struct bench_run *run)
{
    struct zeromq *state = run->state;
    int error;

    bench_threads_begin(&state->threads);
    error = open_socket(state, &run->setting);
    bench_threads_end(&state->threads);
    return error;
}

static int zeromq_send(void *data, enum bench_channel channel, const void *message, size_t size)
{
    const struct zeromq *state = data;

    (void)channel; /* a pair goes both ways */
    while (zmq_send(state->socket, message, size, state->flags) < 0) {
        if (errno != EAGAIN && errno != EINTR)
            return -errno;
        bench_threads_look_again(&state->threads);
    }
    return 0;
}

static int zeromq_recv(void *data, enum bench_channel channel, void *buffer, size_t size)
{
    const struct zeromq *state = data;
    int got;

    (void)channel;
    while ((got = zmq_recv(state->socket, buffer, size, state->flags)) < 0) {
        if (errno != EAGAIN && errno != EINTR)
            return -errno;
        bench_threads_look_again(&state->threads);
    }
    return (size_t)got == size ? 0 : -EBADMSG;
}

const struct bench_system bench_zeromq = {
    .name = "zeromq",
    .cases = 1 << BENCH_LATENCY | 1 << BENCH_RATE,
    .modes = 1 << BENCH_SPIN | 1 << BENCH_BLOCK,
    .size_min = BENCH_SIZE_MIN,
    .size_max = INT_MAX, /* zmq_recv() returns an int */
    .setup = zeromq_setup,
    .join = zeromq_join,
    .teardown = zeromq_teardown,
    .send = zeromq_send,
    .recv = zeromq_recv,
};
