/*
 * calls.h - how many system calls a message takes.
 */
#ifndef YK_BENCH_CALLS_H
#define YK_BENCH_CALLS_H

#include "cpus.h"
#include "system.h"

struct bench_calls {
    double all, futex, wakes; /* a message, both sides together; wakes are futex calls, too */
};

/*
 * Counts them in a short run of its own. 0; -EINTR; else a negative errno, and run->reason says
 * why nothing was counted. `run` is not set up.
 */
int bench_calls_count(struct bench_run *run, const struct bench_cpus *cpus,
                      struct bench_calls *ret_calls);

#endif
