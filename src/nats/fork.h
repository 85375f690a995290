/*
 * fork.h - what a forked child does with the client library.
 *
 * libnats keeps its state for the whole process: threads, which a child has not, locks, as they happened to be,
 * and the source of its unique names, which parent and child would share. It can not be told to begin anew. So
 * its variables (17 KiB) are kept as they were before its first use, and a child gets them back: it then has a
 * client library that was never used. What the parent's took from the heap stays there, of no use; its
 * connections are closed in the child, whose copies would keep them open when the parent is gone.
 */
#ifndef YK_NATS_FORK_H
#define YK_NATS_FORK_H

#include <nats/nats.h>
#include <pthread.h>

#include "host.h"

/* Before the client is used for the first time. -ENOTSUP: its variables are not found; -ENOMEM. */
int yk_nats_fork_init(void);
/* How many forks lie between the process that loaded this and the calling one, of those with the client used. */
unsigned yk_nats_forks(void);
/* A connection's socket: its descriptor, by the port of its end, which the client tells. fd -1: not found. */
struct yk_wire {
    int fd, port;
};
/* From now on a child closes this connection's descriptor, and exec does. Again after it was connected anew. */
struct yk_wire yk_nats_fork_guard(natsConnection *connection);
/* Small pieces of what is sent wait for each other, for 200 ms at most. The client may have closed it meanwhile. */
void yk_nats_wire_cork(struct yk_wire wire, bool on);
/* Of the first calls in a child, whatever threads the process had that it is the child of. */
extern pthread_mutex_t yk_nats_reopening;
/* To be called in a child, by the handler of a fork, when the client is as new. */
void yk_nats_fork_call(void (*in_child)(void));

#endif
