/*
 * doorbell.h - what a process sleeps on when it waits for several things: a FIFO in the name
 * directory.
 *
 * It is named by a random number, so that in a directory that users share nobody can put one of his
 * own in its place first. Whoever finds its owner asleep opens it by that name, once,
 * and writes a number. Who can not (a nonce from shared memory may lead nowhere) is told so, and tells
 * the owner by other means (wait.c).
 */
#ifndef YK_DOORBELL_H
#define YK_DOORBELL_H

#include "memory/names.h"

/* Somebody's doorbell, as who rings it keeps it: open once it was rung. All zero: none yet. */
struct yk_doorbell {
    uint64_t nonce;
    int fd; /* means something where nonce is not 0 */
};

/*
 * One's own: made if need be, for those who may write the lock file that these are the facts of, and
 * opened for waiting. A descriptor, or a negative errno. -EACCES: somebody else put something there.
 */
struct stat;
int yk_doorbell_make(const char *directory, uint64_t nonce, const struct stat *lock_file);
/* Its name; who has it open keeps it. */
void yk_doorbell_remove(const char *directory, uint64_t nonce);

/* `mark` is what the owner reads. 0, or an error: it was not rung. `nonce` is not 0. */
int yk_doorbell_ring(struct yk_doorbell *bell, const char *directory, uint64_t nonce,
                     uint64_t mark);
void yk_doorbell_close(struct yk_doorbell *bell);

#endif
