/*
 * histogram.c - see histogram.h.
 */
#include "histogram.h"

#include <math.h>

/* Buckets are equally wide on a logarithmic scale; the first and the last take what is beyond. */
static unsigned bucket_of(double ns)
{
    double bucket =
        ns < BENCH_HISTOGRAM_LEAST ? 0 : log2(ns / BENCH_HISTOGRAM_LEAST) * BENCH_HISTOGRAM_OCTAVE;

    return bucket < BENCH_HISTOGRAM_BUCKETS - 1 ? (unsigned)bucket : BENCH_HISTOGRAM_BUCKETS - 1;
}

double bench_histogram_edge(unsigned bucket)
{
    return BENCH_HISTOGRAM_LEAST * exp2((double)bucket / BENCH_HISTOGRAM_OCTAVE);
}

void bench_histogram_add(struct bench_histogram *histogram, double ns)
{
    histogram->count[bucket_of(ns)]++;
    histogram->total++;
}

void bench_histogram_merge(struct bench_histogram *histogram, const struct bench_histogram *more)
{
    for (unsigned i = 0; i < BENCH_HISTOGRAM_BUCKETS; i++)
        histogram->count[i] += more->count[i];
    histogram->total += more->total;
}

double bench_histogram_percentile(const struct bench_histogram *histogram, double percent)
{
    double rank = percent / 100 * (double)histogram->total, below = 0;

    for (unsigned i = 0; i < BENCH_HISTOGRAM_BUCKETS; i++) {
        double here = (double)histogram->count[i];

        if (here > 0 && below + here >= rank) {
            double part = (rank - below) / here;
            return bench_histogram_edge(i) * exp2(part / BENCH_HISTOGRAM_OCTAVE);
        }
        below += here;
    }
    return 0;
}
