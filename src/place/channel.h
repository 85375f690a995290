/*
 * channel.h - messages through the kernel's queues, and waiting for them: what ports and links of the
 * kernel place have in common.
 *
 * Each message has a few bytes of yoke's own in front (channel.c), so it is put together, and taken
 * apart, in memory of the handle's own. Queues never wait themselves: a call that has to wait sleeps
 * in ppoll() on the queue, on an event that yoke_cancel() sets and, for a link, on the FIFO that
 * tells the end of the other side. No signal handler restarts that, and nobody needs to look again.
 */
#ifndef YK_PLACE_CHANNEL_H
#define YK_PLACE_CHANNEL_H

#include <pthread.h>

#include "queues.h"
#include "yoke.h"

struct yk_channel;

/* What differs between a port and a link. */
struct yk_channel_kind {
    /* 0: the other side is there or may yet come; -EPIPE, -EOWNERDEAD. NULL: there is none. */
    int (*other_end)(const struct yk_channel *channel);
    /* In a forked child, before anything else: joins under the names that the parent has. Or NULL. */
    int (*enter)(struct yk_channel *channel);
    /* Then, having taken part anew by itself, under yk_process_lock(). Or NULL. */
    int (*joined)(struct yk_channel *channel);
};

struct yk_channel {
    struct yk_queues queues;
    const struct yk_channel_kind *kind;
    int out, in;    /* of queues.fds: to send to, to receive from */
    int end;        /* hung up when the other side is gone; -1: there is none */
    int32_t sender; /* this process's id, for the messages */

    pthread_mutex_t sending; /* the first two of these belong to who has it */
    unsigned char *out_buffer;

    pthread_mutex_t receiving; /* and these */
    unsigned char *in_buffer;
    size_t held; /* not 0: a message that fitted no buffer, and not back into the queue */
    uint32_t held_priority; /* as the kernel has it */
    int epoll;              /* what yoke_fd() gives out; -1: not asked for yet */
    int holding;            /* an event: set while something is held; -1 as long as epoll is */

    int bell; /* an event: yoke_cancel() was called; -1: not made yet */
    yk_atomic32 cancelled;
    yk_atomic32 visitors; /* threads that wait */
};

/*
 * What a waiting call tries again and again: 1 done, 0 it has to wait, or an error. It sleeps until
 * `fd` has one of the events, or the other side is gone; or, with a slice, at most for so long at a
 * time.
 */
typedef int (*yk_channel_attempt)(void *context);
struct yk_channel_waiting {
    struct yk_channel *channel;
    yk_channel_attempt attempt;
    void *context;
    int fd;
    short events;
    int64_t slice;
};
int yk_channel_wait(const struct yk_channel_waiting *waiting, int64_t timeout_ns);

/* The first line of every call: in a forked child it takes part by itself. */
int yk_channel_enter(struct yk_channel *channel);
/* Is there a message to be received? */
bool yk_channel_has_message(struct yk_channel *channel);

/* The bytes that each message has more in the queue. */
extern const size_t yk_channel_header;

/* After yk_queues_open(). On failure the queues are closed. */
int yk_channel_init(struct yk_channel *channel, const struct yk_channel_kind *kind, int out,
                    int in);
/* Waits for those who wait, and lets go of all but the queues. */
void yk_channel_fini(struct yk_channel *channel);

/* For struct yk_endpoint_operations; `self` is a yk_channel. */
int yk_channel_cancel(void *self);
size_t yk_channel_max_message(void *self);
int yk_channel_fd(void *self);
ssize_t yk_channel_send_many(void *self, const struct yoke_message *messages, size_t count,
                             int64_t timeout_ns);
ssize_t yk_channel_recv_many(void *self, struct yoke_message *messages, size_t count,
                             int64_t timeout_ns);

#endif
