/*
 * queue_limits.h - how big message queues may be: what the kernel allows, and what to say when it
 * does not. The limits are those of /proc/sys/fs/mqueue (mq_overview(7)), for each IPC namespace, and
 * RLIMIT_MSGQUEUE, for all queues of a user together.
 */
#ifndef YK_PLACE_QUEUE_LIMITS_H
#define YK_PLACE_QUEUE_LIMITS_H

#include <stddef.h>
#include <stdint.h>

/* What a queue is to be made for. Each message has `header` bytes of yoke's own in front. */
struct yk_queue_size {
    uint64_t depth, max_message; /* 0: the default, or as much of it as the kernel allows */
    uint64_t header;
};

void yk_queue_size_default(struct yk_queue_size *size);

/*
 * Why the kernel made no such queue for `entry`: -EINVAL beyond a limit for one queue, -ENOSPC beyond
 * one for all of them, -EMFILE, … `spare`: any open descriptor.
 */
int yk_queue_size_refused(int result, const char *entry, const struct yk_queue_size *size,
                          int spare);

#endif
