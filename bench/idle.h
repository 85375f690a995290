/*
 * idle.h - how often a receiver wakes up while nobody sends.
 */
#ifndef YK_BENCH_IDLE_H
#define YK_BENCH_IDLE_H

#include "cpus.h"
#include "system.h"

#include <stdint.h>

/*
 * Lets a receiver wait, in a call or in poll(), for `ns` and counts how often one of its threads gave the
 * CPU up: that is how often it woke, looked, and slept again. 0 and wake-ups a second; -EINTR; else
 * a negative errno with run->reason. `run` is not set up.
 */
int bench_idle_count(struct bench_run *run, uint64_t ns, const struct bench_cpus *cpus,
                     double *ret_per_second);

#endif
