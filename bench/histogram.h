/*
 * histogram.h - how often something took how long, in buckets that are equally wide on a
 * logarithmic scale.
 */
#ifndef YK_BENCH_HISTOGRAM_H
#define YK_BENCH_HISTOGRAM_H

#include <stdint.h>

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

#endif
