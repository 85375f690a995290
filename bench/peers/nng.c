/*
 * nng.c - nng: a pair (version 0, the thinnest of its patterns) over its ipc transport.
 *
 * Its buffers are as deep as threads.h says. The name is in the abstract namespace, so
 * there is no file to be left. Whichever worker comes first listens. A message is built in nng's
 * own memory, which the library then owns: nng_send() would do the same and copy it besides.
 * Spinning means NNG_FLAG_NONBLOCK, tried again and again; what arrives still comes through nng's
 * threads, which sleep in epoll(2).
 *
 * When the receiver is killed: the sender is not told. It goes on until its buffer is full, then
 * sleeps (or gets NNG_EAGAIN) until another one comes under the name; what had left its buffer is
 * lost. When the sender is killed: what was in its buffer is lost, what had arrived is received,
 * each message whole; then the receiver sleeps on, not told either. (nng_pipe_notify() tells both.)
 */
#include "peers.h"
#include "threads.h"

#include <errno.h>
#include <nng/nng.h>
#include <nng/protocol/pair0/pair.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct nng {
    struct bench_threads threads;
    char address[64];
    _Atomic int *joined; /* shared: how many workers came */
    int flags;           /* of each call */
    nng_socket socket;   /* a worker's, for both channels */
};

static void nng_teardown(struct bench_run *run)
{
    struct nng *state = run->state;

    bench_unmap_shared((void *)state->joined, sizeof *state->joined);
    free(state);
}

static int nng_setup(struct bench_run *run)
{
    static unsigned serial;
    struct nng *state = calloc(1, sizeof *state);

    if (!state)
        return -ENOMEM;
    state->joined = bench_map_shared(sizeof *state->joined);
    if (!state->joined) {
        free(state);
        return -ENOMEM;
    }
    run->state = state;
    bench_threads_init(&state->threads);
    snprintf(state->address, sizeof state->address, "abstract://yoke-bench-%ld-%u", (long)getpid(),
             serial++);
    state->flags = run->setting.mode == BENCH_SPIN ? NNG_FLAG_NONBLOCK : 0;
    return 0;
}

/* Whoever comes second may be here before the first one listens. */
static int listen_or_dial(struct nng *state)
{
    int error;

    if (atomic_fetch_add(state->joined, 1) == 0)
        return nng_listen(state->socket, state->address, NULL, 0);
    while ((error = nng_dial(state->socket, state->address, NULL, 0)) == NNG_ECONNREFUSED)
        usleep(100);
    return error;
}

static int open_socket(struct nng *state, const struct bench_setting *setting)
{
    int depth = bench_threads_depth(setting);
    int error = nng_pair0_open(&state->socket);

    if (error || (error = nng_socket_set_int(state->socket, NNG_OPT_SENDBUF, depth)) ||
        (error = nng_socket_set_int(state->socket, NNG_OPT_RECVBUF, depth)) ||
        (error = nng_socket_set_size(state->socket, NNG_OPT_RECVMAXSZ, 0)))
        return error;
    return listen_or_dial(state);
}

/* Threads do not survive fork(), so all of nng is each worker's own; it ends with it. */
static int nng_join(struct bench_run *run)
{
    struct nng *state = run->state;
    int error;

    bench_threads_begin(&state->threads);
    error = open_socket(state, &run->setting);
    bench_threads_end(&state->threads);
    if (!error)
        return 0;
    snprintf(run->reason, sizeof run->reason, "nng: %s", nng_strerror(error));
    return -EIO;
}

static int nng_send_one(void *data, enum bench_channel channel, const void *message, size_t size)
{
    const struct nng *state = data;
    nng_msg *carrier;
    int error;

    (void)channel; /* a pair goes both ways */
    if (nng_msg_alloc(&carrier, size) != 0)
        return -ENOMEM;
    memcpy(nng_msg_body(carrier), message, size);
    while ((error = nng_sendmsg(state->socket, carrier, state->flags)) != 0) {
        if (error != NNG_EAGAIN) {
            nng_msg_free(carrier);
            return -EIO;
        }
        bench_threads_look_again(&state->threads);
    }
    return 0;
}

static int nng_recv_one(void *data, enum bench_channel channel, void *buffer, size_t size)
{
    const struct nng *state = data;
    nng_msg *carrier;
    bool whole;
    int error;

    (void)channel;
    while ((error = nng_recvmsg(state->socket, &carrier, state->flags)) != 0) {
        if (error != NNG_EAGAIN)
            return -EIO;
        bench_threads_look_again(&state->threads);
    }
    whole = nng_msg_len(carrier) == size;
    if (whole)
        memcpy(buffer, nng_msg_body(carrier), size);
    nng_msg_free(carrier);
    return whole ? 0 : -EBADMSG;
}

const struct bench_system bench_nng = {
    .name = "nng",
    .cases = 1 << BENCH_LATENCY | 1 << BENCH_RATE,
    .modes = 1 << BENCH_SPIN | 1 << BENCH_BLOCK,
    .size_min = BENCH_SIZE_MIN,
    .size_max = SIZE_MAX,
    .setup = nng_setup,
    .join = nng_join,
    .teardown = nng_teardown,
    .send = nng_send_one,
    .recv = nng_recv_one,
};
