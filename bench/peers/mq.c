/*
 * mq.c - POSIX message queues.
 *
 * As deep as this user may make them. The names are gone before the first message: the workers
 * inherit the descriptors. Spinning means non-blocking descriptors, tried again and again.
 */
#include "peers.h"

#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct queues {
    mqd_t queue[BENCH_CHANNELS];
};

/* What an unprivileged user gets is 10 messages of 8 KiB; deeper is faster. */
static const long depths[] = {256, 64, 10, 2};

static mqd_t open_deepest(const char *name, const struct bench_setting *setting)
{
    int flags =
        O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | (setting->mode == BENCH_SPIN ? O_NONBLOCK : 0);
    mqd_t queue = (mqd_t)-1;

    for (size_t i = 0; i < sizeof depths / sizeof depths[0] && queue == (mqd_t)-1; i++) {
        struct mq_attr attributes = {.mq_maxmsg = depths[i], .mq_msgsize = (long)setting->size};

        if (depths[i] > (long)setting->depth)
            continue;
        queue = mq_open(name, flags, S_IRUSR | S_IWUSR, &attributes);
        if (queue == (mqd_t)-1 && errno != EINVAL && errno != EMFILE && errno != ENOMEM)
            break;
    }
    return queue;
}

/* Tells what the system does not let one have from what went wrong. */
static int explain(struct bench_run *run, int error)
{
    if (error == ENOSYS) {
        snprintf(run->reason, sizeof run->reason, "this kernel has no POSIX message queues");
        return -ENOTSUP;
    }
    if (error == EINVAL || error == EMFILE || error == ENOMEM) {
        snprintf(run->reason, sizeof run->reason,
                 "messages of %zu bytes are beyond fs.mqueue.msgsize_max or 'ulimit -q'",
                 run->setting.size);
        return -ENOTSUP;
    }
    return -error;
}

static void mq_teardown(struct bench_run *run)
{
    struct queues *state = run->state;

    for (int channel = 0; channel < BENCH_CHANNELS; channel++)
        if (state->queue[channel] != (mqd_t)-1)
            mq_close(state->queue[channel]);
    free(state);
}

static int mq_setup(struct bench_run *run)
{
    struct queues *state = malloc(sizeof *state);
    char name[64];

    if (!state)
        return -ENOMEM;
    run->state = state;
    for (int channel = 0; channel < BENCH_CHANNELS; channel++)
        state->queue[channel] = (mqd_t)-1;
    for (int channel = 0; channel < BENCH_CHANNELS; channel++) {
        snprintf(name, sizeof name, "/yoke-bench-%ld-%d", (long)getpid(), channel);
        state->queue[channel] = open_deepest(name, &run->setting);
        if (state->queue[channel] == (mqd_t)-1) {
            int error = explain(run, errno);
            mq_teardown(run);
            return error;
        }
        mq_unlink(name);
    }
    return 0;
}

static int mq_send_one(void *data, enum bench_channel channel, const void *message, size_t size)
{
    const struct queues *state = data;

    while (mq_send(state->queue[channel], message, size, 0) < 0) {
        if (errno != EAGAIN && errno != EINTR)
            return -errno;
        bench_look_again();
    }
    return 0;
}

static int mq_recv_one(void *data, enum bench_channel channel, void *buffer, size_t size)
{
    const struct queues *state = data;
    ssize_t got;

    while ((got = mq_receive(state->queue[channel], buffer, size, NULL)) < 0) {
        if (errno != EAGAIN && errno != EINTR)
            return -errno;
        bench_look_again();
    }
    return (size_t)got == size ? 0 : -EBADMSG;
}

const struct bench_system bench_mq = {
    .name = "mq",
    .many = true,
    .cases = 1 << BENCH_LATENCY | 1 << BENCH_RATE,
    .modes = 1 << BENCH_SPIN | 1 << BENCH_BLOCK,
    .size_min = BENCH_SIZE_MIN,
    .size_max = 16u << 20, /* the kernel's own bound, for root, too */
    .setup = mq_setup,
    .teardown = mq_teardown,
    .send = mq_send_one,
    .recv = mq_recv_one,
};
