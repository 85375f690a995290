/*
 * sample.h - one sample: a system between two probes of its raw limit, in two fresh processes.
 */
#ifndef YK_BENCH_SAMPLE_H
#define YK_BENCH_SAMPLE_H

#include "cpus.h"
#include "histogram.h"
#include "system.h"

/* How long each part of a sample is to take, in nanoseconds; how many messages, follows from it. */
struct bench_pace {
    uint64_t warm_ns;   /* before each part: pages touched, caches filled, clocks up */
    uint64_t probe_ns;  /* each of the two probes of the limit */
    uint64_t system_ns; /* the system itself */
    uint64_t most_ns;   /* then a sample that has not ended is given up */
};

/* Latencies in nanoseconds a round trip (or opening), rates in messages a second. */
struct bench_sample {
    double value;
    double limit_before, limit_after;
    double closing;                 /* BENCH_OPEN: nanoseconds */
    struct bench_histogram singles; /* not of rates: round trips; reading the clock is in each */
};

/*
 * Takes one sample of `run`, which is set up, as is `limit`. 0; -EINTR: yk_stop_signal() says
 * which; else a negative errno, and run->reason says what happened. No process is left in any
 * case.
 */
int bench_sample_take(struct bench_run *run, struct bench_run *limit, const struct bench_pace *pace,
                      const struct bench_cpus *cpus, struct bench_sample *ret_sample);

#endif
