/* watched.h - runs something in a child, and says how it ended; a minute without progress is a hang. */
#ifndef HOSTILE_WATCHED_H
#define HOSTILE_WATCHED_H

#include <stddef.h>
#include <stdint.h>

/* Zeroed memory that forked children share. */
void *watched_memory(size_t size);

#define WATCHED_HUNG (-1)

/* Its exit status, 128 and the number of the signal that ended it, or WATCHED_HUNG: it was killed. */
int watched_run(void (*run)(void *context), void *context, const volatile uint64_t *progress);

#endif
