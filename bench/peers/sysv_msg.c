/*
 * sysv_msg.c - System V message queues.
 *
 * As deep as this user may make them. A message travels behind its type, so each one is copied
 * next to one before it is sent, and away from it after it was received, as any program must that
 * does not build its messages there. Spinning means IPC_NOWAIT, tried again and again.
 *
 * When the receiver is killed: the sender is not told; it goes on until the queue is full, then
 * sleeps, until somebody receives or removes the queue (EIDRM). When the sender is killed: the
 * receiver gets what was sent before, each message whole, then sleeps, not told either. A message
 * whose receiver dies just after it received it is lost. The queue outlives all of them.
 */
#include "peers.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>

#define OUR_TYPE 1

struct typed_message {
    long type;
    unsigned char payload[];
};

struct queues {
    int queue[BENCH_CHANNELS];
    int flags; /* of each call */
    struct typed_message *message;
};

static void sysv_teardown(struct bench_run *run)
{
    struct queues *state = run->state;

    for (int channel = 0; channel < BENCH_CHANNELS; channel++)
        if (state->queue[channel] >= 0)
            msgctl(state->queue[channel], IPC_RMID, NULL);
    free(state->message);
    free(state);
}

/* Beyond kernel.msgmnb only root may go; all others keep what a new queue has. */
static void enlarge_queue(int queue, const struct bench_setting *setting)
{
    struct msqid_ds attributes;
    msglen_t bytes = setting->depth * (msglen_t)setting->size;

    if (msgctl(queue, IPC_STAT, &attributes) < 0 || attributes.msg_qbytes >= bytes)
        return;
    attributes.msg_qbytes = bytes;
    (void)msgctl(queue, IPC_SET, &attributes);
}

/* Refuses, with the reason, what kernel.msgmax and kernel.msgmnb do not allow. */
static int check_size(struct bench_run *run, int queue)
{
    struct msqid_ds attributes;
    struct msginfo bounds;

    /* glibc declares it for any such command, the manual says to cast */
    if (msgctl(0, IPC_INFO, (struct msqid_ds *)&bounds) < 0 ||
        msgctl(queue, IPC_STAT, &attributes) < 0)
        return -errno;
    if (run->setting.size <= (size_t)bounds.msgmax && run->setting.size <= attributes.msg_qbytes)
        return 0;
    snprintf(run->reason, sizeof run->reason,
             "messages of %zu bytes are beyond kernel.msgmax (%d) or kernel.msgmnb (%d)",
             run->setting.size, bounds.msgmax, bounds.msgmnb);
    return -ENOTSUP;
}

static int make_queue(struct bench_run *run, int *ret_queue)
{
    int queue = msgget(IPC_PRIVATE, 0600);

    if (queue < 0 && errno == ENOSYS) {
        snprintf(run->reason, sizeof run->reason, "this kernel has no System V message queues");
        return -ENOTSUP;
    }
    if (queue < 0 && errno == ENOSPC) {
        snprintf(run->reason, sizeof run->reason,
                 "there are as many queues as kernel.msgmni allows");
        return -ENOTSUP;
    }
    if (queue < 0)
        return -errno;
    *ret_queue = queue;
    enlarge_queue(queue, &run->setting);
    return check_size(run, queue);
}

static int sysv_setup(struct bench_run *run)
{
    struct queues *state = calloc(1, sizeof *state);
    int error = 0;

    if (!state)
        return -ENOMEM;
    run->state = state;
    state->flags = run->setting.mode == BENCH_SPIN ? IPC_NOWAIT : 0;
    for (int channel = 0; channel < BENCH_CHANNELS; channel++)
        state->queue[channel] = -1;
    state->message = calloc(1, sizeof *state->message + run->setting.size);
    if (!state->message)
        error = -ENOMEM;
    for (int channel = 0; channel < BENCH_CHANNELS && !error; channel++)
        error = make_queue(run, &state->queue[channel]);
    if (error)
        sysv_teardown(run);
    return error;
}

static int sysv_send(void *data, enum bench_channel channel, const void *message, size_t size)
{
    const struct queues *state = data;

    state->message->type = OUR_TYPE;
    memcpy(state->message->payload, message, size);
    while (msgsnd(state->queue[channel], state->message, size, state->flags) < 0) {
        if (errno != EAGAIN && errno != EINTR)
            return -errno;
        bench_look_again();
    }
    return 0;
}

static int sysv_recv(void *data, enum bench_channel channel, void *buffer, size_t size)
{
    const struct queues *state = data;
    ssize_t got;

    while ((got = msgrcv(state->queue[channel], state->message, size, 0, state->flags)) < 0) {
        if (errno != ENOMSG && errno != EINTR)
            return errno == E2BIG ? -EBADMSG : -errno;
        bench_look_again();
    }
    if ((size_t)got != size)
        return -EBADMSG;
    memcpy(buffer, state->message->payload, size);
    return 0;
}

const struct bench_system bench_sysv_msg = {
    .name = "sysv-msg",
    .cases = 1 << BENCH_LATENCY | 1 << BENCH_RATE,
    .modes = 1 << BENCH_SPIN | 1 << BENCH_BLOCK,
    .size_min = BENCH_SIZE_MIN,
    .size_max = INT_MAX, /* the type of the kernel's own bound */
    .setup = sysv_setup,
    .teardown = sysv_teardown,
    .send = sysv_send,
    .recv = sysv_recv,
};
