/*
 * limit.h - the raw limits: what this machine allows, with nothing around it (limit.c, open.c).
 *
 * None of them is of use to a program: no bound on what a peer may do, no recovery, one sender
 * and one receiver that must both live. That is the point.
 */
#ifndef YK_BENCH_LIMIT_H
#define YK_BENCH_LIMIT_H

#include "system.h"

/* Round trip in one cache line each way, which holds the flag and up to 56 bytes of payload. */
extern const struct bench_system bench_raw_one_line;
/* Round trip with a flag in one line and the payload in further lines, copied in and out. */
extern const struct bench_system bench_raw_two_line;
/* The same as two_line, but whoever waits sleeps on a futex. */
extern const struct bench_system bench_raw_futex;
/* The same, but whoever waits sleeps in poll() on an eventfd. */
extern const struct bench_system bench_raw_eventfd;
/* One way: a ring for one sender and one receiver, small messages. */
extern const struct bench_system bench_raw_ring;
/* The same with big ones: memcpy into shared memory on one core, out of it on the other. */
extern const struct bench_system bench_raw_memcpy;

/* Opening: open, mmap, one look at the first page, munmap, close of a file in memory (open.c). */
extern const struct bench_system bench_raw_open;
/* The same with a System V segment: shmat, one look, shmdt. */
extern const struct bench_system bench_raw_shmat;

#endif
