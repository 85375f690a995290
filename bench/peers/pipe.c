/*
 * pipe.c - pipe(2), with messages told apart by their fixed size.
 *
 * As fast as it gets: the pipe's buffer as big as the system allows without privilege. Spinning
 * means non-blocking descriptors, tried again and again; polling, that poll() says when to.
 *
 * Up to PIPE_BUF bytes are written at once, whoever else writes; but a reader that finds half a
 * message waits for the rest, so several readers would share one out: it is for one receiver.
 */
#include "peers.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#define PIPE_BUFFER (1 << 20)

struct pipes {
    int read_end[BENCH_CHANNELS], write_end[BENCH_CHANNELS];
    bool polls;
};

static void close_end(int *end)
{
    if (*end >= 0)
        close(*end);
    *end = -1;
}

static void pipe_leave(struct bench_run *run)
{
    struct pipes *state = run->state;

    for (int channel = 0; channel < BENCH_CHANNELS; channel++) {
        close_end(&state->read_end[channel]);
        close_end(&state->write_end[channel]);
    }
}

static void pipe_teardown(struct bench_run *run)
{
    pipe_leave(run);
    free(run->state);
}

/* A worker keeps the ends that it uses; else it would never see the other one go. */
static int pipe_join(struct bench_run *run)
{
    struct pipes *state = run->state;

    close_end(&state->read_end[run->side == 0 ? BENCH_TO_1 : BENCH_TO_0]);
    close_end(&state->write_end[run->side == 0 ? BENCH_TO_0 : BENCH_TO_1]);
    return 0;
}

static int pipe_setup(struct bench_run *run)
{
    struct pipes *state = malloc(sizeof *state);
    int flags = O_CLOEXEC | (run->setting.mode != BENCH_BLOCK ? O_NONBLOCK : 0);

    if (!state)
        return -ENOMEM;
    run->state = state;
    state->polls = run->setting.mode == BENCH_POLL;
    for (int channel = 0; channel < BENCH_CHANNELS; channel++)
        state->read_end[channel] = state->write_end[channel] = -1;
    for (int channel = 0; channel < BENCH_CHANNELS; channel++) {
        int ends[2];

        if (pipe2(ends, flags) < 0) {
            int error = -errno;
            pipe_teardown(run);
            return error;
        }
        state->read_end[channel] = ends[0];
        state->write_end[channel] = ends[1];
        (void)fcntl(ends[1], F_SETPIPE_SZ, PIPE_BUFFER); /* refused: the default of 64 KiB stays */
    }
    return 0;
}

static void wait_for(const struct pipes *state, int end, short events)
{
    struct pollfd ready = {end, events, 0};

    if (state->polls)
        (void)poll(&ready, 1, -1);
    else
        bench_look_again();
}

static int pipe_send(void *data, enum bench_channel channel, const void *message, size_t size)
{
    const struct pipes *state = data;
    const unsigned char *next = message;

    while (size > 0) {
        ssize_t written = write(state->write_end[channel], next, size);

        if (written < 0 && errno != EAGAIN && errno != EINTR)
            return -errno;
        if (written < 0) {
            wait_for(state, state->write_end[channel], POLLOUT);
            continue;
        }
        next += written;
        size -= (size_t)written;
    }
    return 0;
}

static int pipe_recv(void *data, enum bench_channel channel, void *buffer, size_t size)
{
    const struct pipes *state = data;
    unsigned char *next = buffer;

    while (size > 0) {
        ssize_t got = read(state->read_end[channel], next, size);

        if (got == 0)
            return -EPIPE;
        if (got < 0 && errno != EAGAIN && errno != EINTR)
            return -errno;
        if (got < 0) {
            wait_for(state, state->read_end[channel], POLLIN);
            continue;
        }
        next += got;
        size -= (size_t)got;
    }
    return 0;
}

const struct bench_system bench_pipe = {
    .name = "pipe",
    .quick = true,
    .cases = 1 << BENCH_LATENCY | 1 << BENCH_RATE,
    .modes = 1 << BENCH_SPIN | 1 << BENCH_BLOCK | 1 << BENCH_POLL,
    .size_min = BENCH_SIZE_MIN,
    .size_max = SIZE_MAX,
    .setup = pipe_setup,
    .join = pipe_join,
    .leave = pipe_leave,
    .teardown = pipe_teardown,
    .send = pipe_send,
    .recv = pipe_recv,
};
