/*
 * fan.h - many senders and many receivers on one channel.
 */
#ifndef YK_BENCH_FAN_H
#define YK_BENCH_FAN_H

#include "sample.h"

/* Most senders, and most receivers. */
#define BENCH_FAN_MAX 64u

/*
 * Takes one sample: `run` with its senders and receivers between two probes of the same system with
 * one of each, on the same two CPUs: senders on one, receivers on the other. `run` is not set up.
 * Returns as bench_sample_take(), and what setup() returns.
 */
int bench_fan_take(struct bench_run *run, const struct bench_pace *pace,
                   const struct bench_cpus *cpus, struct bench_sample *ret_sample);

#endif
