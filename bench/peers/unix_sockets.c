/*
 * unix_sockets.c - AF_UNIX sockets: a stream, with messages told apart by their fixed size, and
 * SOCK_SEQPACKET, which keeps messages apart itself.
 *
 * As fast as they get: a pair of connected sockets for each channel, with buffers as big as this
 * user may have. Spinning means MSG_DONTWAIT, tried again and again. A seqpacket message must fit
 * into the sender's buffer whole.
 *
 * When the receiver is killed: the sender gets EPIPE (and SIGPIPE, unless MSG_NOSIGNAL), also one
 * that sleeps; what was not received is lost. When the sender is killed: the receiver gets what
 * was sent before, then the end of the stream; of a stream, the last message may be a part of
 * one, of seqpacket it is whole.
 */
#include "peers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define SOCKET_BUFFER (4 << 20)
/* Of its buffer the kernel keeps so many bytes from the user's messages. */
#define RESERVED 32u

struct sockets {
    int send_end[BENCH_CHANNELS], recv_end[BENCH_CHANNELS];
    int flags; /* of each call */
};

static void close_end(int *end)
{
    if (*end >= 0)
        close(*end);
    *end = -1;
}

static void unix_leave(struct bench_run *run)
{
    struct sockets *state = run->state;

    for (int channel = 0; channel < BENCH_CHANNELS; channel++) {
        close_end(&state->send_end[channel]);
        close_end(&state->recv_end[channel]);
    }
}

static void unix_teardown(struct bench_run *run)
{
    unix_leave(run);
    free(run->state);
}

/* A worker keeps the ends that it uses; else it would never see the other one go. */
static int unix_join(struct bench_run *run)
{
    struct sockets *state = run->state;

    close_end(&state->recv_end[run->side == 0 ? BENCH_TO_1 : BENCH_TO_0]);
    close_end(&state->send_end[run->side == 0 ? BENCH_TO_0 : BENCH_TO_1]);
    return 0;
}

/* Only the sender's buffer counts. Whoever may passes the system's bound, all others get it. */
static void enlarge_buffer(int socket)
{
    int size = SOCKET_BUFFER;

    if (setsockopt(socket, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) < 0)
        (void)setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
}

/* Refuses messages that do not fit into the buffer, where they must. */
static int check_size(struct bench_run *run, int socket)
{
    int buffer = 0;
    socklen_t length = sizeof buffer;

    if (getsockopt(socket, SOL_SOCKET, SO_SNDBUF, &buffer, &length) < 0)
        return -errno;
    if (run->setting.size + RESERVED <= (size_t)buffer)
        return 0;
    snprintf(run->reason, sizeof run->reason,
             "messages of %zu bytes do not fit into the %d bytes of a socket's buffer "
             "(net.core.wmem_max)",
             run->setting.size, buffer);
    return -ENOTSUP;
}

static int unix_setup(struct bench_run *run, int type)
{
    struct sockets *state = malloc(sizeof *state);
    int error = 0;

    if (!state)
        return -ENOMEM;
    run->state = state;
    state->flags = MSG_NOSIGNAL | (run->setting.mode == BENCH_SPIN ? MSG_DONTWAIT : 0);
    for (int channel = 0; channel < BENCH_CHANNELS; channel++)
        state->send_end[channel] = state->recv_end[channel] = -1;
    for (int channel = 0; channel < BENCH_CHANNELS && !error; channel++) {
        int ends[2];

        if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) < 0) {
            error = -errno;
            break;
        }
        state->send_end[channel] = ends[0];
        state->recv_end[channel] = ends[1];
        enlarge_buffer(ends[0]);
        if (type == SOCK_SEQPACKET)
            error = check_size(run, ends[0]);
    }
    if (error)
        unix_teardown(run);
    return error;
}

static int stream_setup(struct bench_run *run)
{
    return unix_setup(run, SOCK_STREAM);
}

static int seqpacket_setup(struct bench_run *run)
{
    return unix_setup(run, SOCK_SEQPACKET);
}

/* A stream may take a part; of seqpacket one call takes all or nothing. */
static int unix_send(void *data, enum bench_channel channel, const void *message, size_t size)
{
    const struct sockets *state = data;
    const unsigned char *next = message;

    while (size > 0) {
        ssize_t sent = send(state->send_end[channel], next, size, state->flags);

        if (sent < 0 && errno != EAGAIN && errno != EINTR)
            return -errno;
        if (sent < 0) {
            bench_look_again();
            continue;
        }
        next += sent;
        size -= (size_t)sent;
    }
    return 0;
}

/* The same for both: a seqpacket message that is shorter than it should be is no message of ours,
 * and what comes behind it does not carry the number expected. */
static int unix_recv(void *data, enum bench_channel channel, void *buffer, size_t size)
{
    const struct sockets *state = data;
    unsigned char *next = buffer;

    while (size > 0) {
        ssize_t got = recv(state->recv_end[channel], next, size, state->flags);

        if (got == 0)
            return -EPIPE;
        if (got < 0 && errno != EAGAIN && errno != EINTR)
            return -errno;
        if (got < 0) {
            bench_look_again();
            continue;
        }
        next += got;
        size -= (size_t)got;
    }
    return 0;
}

const struct bench_system bench_unix_stream = {
    .name = "unix-stream",
    .cases = 1 << BENCH_LATENCY | 1 << BENCH_RATE,
    .modes = 1 << BENCH_SPIN | 1 << BENCH_BLOCK,
    .size_min = BENCH_SIZE_MIN,
    .size_max = SIZE_MAX,
    .setup = stream_setup,
    .join = unix_join,
    .leave = unix_leave,
    .teardown = unix_teardown,
    .send = unix_send,
    .recv = unix_recv,
};

const struct bench_system bench_unix_seqpacket = {
    .name = "unix-seqpacket",
    .cases = 1 << BENCH_LATENCY | 1 << BENCH_RATE,
    .modes = 1 << BENCH_SPIN | 1 << BENCH_BLOCK,
    .size_min = BENCH_SIZE_MIN,
    .size_max = SIZE_MAX,
    .setup = seqpacket_setup,
    .join = unix_join,
    .leave = unix_leave,
    .teardown = unix_teardown,
    .send = unix_send,
    .recv = unix_recv,
};
