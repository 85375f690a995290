/*
 * loop.h - an event loop of others', as loop.c drives it: each is one file, LIBRARY.c.
 */
#ifndef LOOPS_LOOP_H
#define LOOPS_LOOP_H

#include <stdbool.h>

/*
 * Calls `ready` whenever the descriptor is readable, until that says false. NULL, or why it can not be done on
 * this machine; then `ready` was never called.
 */
const char *run_loop(int fd, bool (*ready)(void *context), void *context);

#endif
