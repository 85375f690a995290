/*
 * outside.h - the descriptor that bytes are moved to or from (yoke_move()): somebody else's, of any
 * kind, blocking or not. Nothing here waits but yk_outside_wait(), as far as the kernel lets us.
 */
#ifndef YK_OUTSIDE_H
#define YK_OUTSIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/atomic.h"

struct yk_outside {
    int fd;
    int descriptor; /* the caller's */
    bool writing;   /* bytes go to it */
    bool own;       /* fd is a description of ours, to be closed */
    bool socket, pipe;
    bool patient; /* a call could block: it is asked first, and gets little at a time */
    bool waits;   /* splice() could: it asks the descriptor's own flags, and nothing else */
};

/*
 * 0, or with a sentence -EBADF: not open, or not open that way; -ENOTSUP: a socket of messages, which
 * would be cut, or joined.
 */
int yk_outside_open(struct yk_outside *outside, int descriptor, bool writing);
void yk_outside_close(struct yk_outside *outside);

/* How many bytes went; -EAGAIN: none now; reading: 0 at the end. Never SIGPIPE, never SIGXFSZ. */
ssize_t yk_outside_write(const struct yk_outside *outside, const void *data, size_t size);
ssize_t yk_outside_read(const struct yk_outside *outside, void *buffer, size_t size);

/*
 * Waits until it can be written or read: 0, -EAGAIN (time-out 0), -ETIMEDOUT, -EINTR, or -ECANCELED
 * within 100 ms after *cancelled became 1.
 */
int yk_outside_wait(const struct yk_outside *outside, const yk_atomic32 *cancelled,
                    int64_t timeout_ns);

/* Leaves the sentence that goes with a read or write which said `error` (negative). Returns it. */
int yk_outside_explain(const struct yk_outside *outside, int error);

#endif
