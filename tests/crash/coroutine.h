/* coroutine.h - a stack of one's own, and switching between such stacks. */
#ifndef CRASH_COROUTINE_H
#define CRASH_COROUTINE_H

#include <stdbool.h>
#include <stddef.h>

#if defined(__x86_64__) || defined(__aarch64__)
#define COROUTINES_WORK 1
#else
#define COROUTINES_WORK 0 /* coroutine_switch() is to be written for this processor */
#endif

/*
 * Leaves the present stack, noting its pointer in *save, for the one whose pointer is `to`. Everything that must
 * survive lies on the stack left, so a copy of it from the pointer upwards is a copy of the coroutine.
 */
void coroutine_switch(void **save, void *to);

/* The stack pointer of a coroutine that has not begun. `body` never returns. */
void *coroutine_make(unsigned char *stack, size_t size, void (*body)(void));

#endif
