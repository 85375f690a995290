/*
 * sample.h - one sample: a system between two probes of its raw limit, in two fresh processes.
 */
#ifndef YK_BENCH_SAMPLE_H
#define YK_BENCH_SAMPLE_H

#include "cpus.h"
#include "system.h"

/* How long each part of a sample is to take, in nanoseconds; how many messages, follows from it. */
struct bench_pace {
    uint64_t warm_ns;   /* before each part: pages touched, caches filled, clocks up */
    uint64_t probe_ns;  /* each of the two probes of the limit */
    uint64_t system_ns; /* the system itself */
};

/* How often something took how long, in buckets that are equally wide on a logarithmic scale. */
#define BENCH_HISTOGRAM_LEAST   16.0 /* ns: where the first bucket begins */
#define BENCH_HISTOGRAM_OCTAVE  12u  /* buckets from one time to its double */
#define BENCH_HISTOGRAM_BUCKETS (26 * BENCH_HISTOGRAM_OCTAVE) /* to 1 s */
struct bench_histogram {
    uint32_t count[BENCH_HISTOGRAM_BUCKETS];
    uint64_t total;
};

void bench_histogram_add(struct bench_histogram *histogram, double ns);
void bench_histogram_merge(struct bench_histogram *histogram, const struct bench_histogram *more);
/* Where bucket number `bucket` begins, in nanoseconds. */
double bench_histogram_edge(unsigned bucket);
/* Not more exact than the buckets are. 0: it is empty. */
double bench_histogram_percentile(const struct bench_histogram *histogram, double percent);

/* Latencies in nanoseconds a round trip (or opening), rates in messages a second. */
struct bench_sample {
    double value;
    double limit_before, limit_after;
    /* not of rates: of single round trips; reading the clock is part of them */
    double p99;
    struct bench_histogram singles;
};

/*
 * Takes one sample of `run`, which is set up, as is `limit`. 0; -EINTR: yk_stop_signal() says
 * which; else a negative errno, and run->reason says what happened. No process is left in any
 * case.
 */
int bench_sample_take(struct bench_run *run, struct bench_run *limit, const struct bench_pace *pace,
                      const struct bench_cpus *cpus, struct bench_sample *ret_sample);

#endif
