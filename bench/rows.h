/*
 * rows.h - what becomes of samples: which ones count, and what a row's figures are.
 *
 * A sample counts if the probes before and after it differ by no more than a quarter: else the
 * CPUs moved, or something else ran. Its ratio is taken against its own two probes, and the ratio
 * reported is the median of those, not the ratio of two medians: so it holds for near and far
 * cores alike.
 */
#ifndef YK_BENCH_ROWS_H
#define YK_BENCH_ROWS_H

#include "sample.h"

#include <stdbool.h>

/* Fewer samples than this say little. */
#define BENCH_KEPT_LEAST 3u

/* One line of the report: a system in one setting. */
struct bench_row {
    const struct bench_system *system;
    struct bench_setting setting;
    struct bench_sample *kept; /* owned */
    size_t kept_count, kept_capacity;
    size_t set_aside; /* samples whose two probes did not agree */
    enum { BENCH_MEASURED, BENCH_SKIPPED, BENCH_FAILED } state;
    char reason[200];               /* of the latter two */
    struct bench_histogram singles; /* of all samples kept */
    struct bench_histogram probes;  /* what the limit took, in all samples; not for rates */
    uint64_t spent_ns, samples;     /* how long all its samples took, and how many those are */

    /* From runs of their own, which are not timed; -1: not counted. */
    double calls, futex_calls; /* system calls a message, on both sides; futex calls among them */
    double idle_wakeups;       /* a second, of a receiver to whom nobody sends */
    char calls_problem[120];   /* why they were not counted */
};

/* A row's figures over the samples kept, in the unit of the row. */
struct bench_figures {
    double value, limit, ratio; /* medians */
    double spread, ratio_spread;
    double p99;
    double per_second; /* messages, or round trips */
};

const char *bench_topic_name(enum bench_topic topic);
const char *bench_mode_name(enum bench_mode mode);
/* "ns", "messages/s" or "GB/s" */
const char *bench_row_unit(const struct bench_row *row);
/* Whether a higher value is the better one. */
bool bench_row_is_rate(const struct bench_row *row);

void bench_row_init(struct bench_row *row, const struct bench_system *system,
                    const struct bench_setting *setting);
void bench_row_fini(struct bench_row *row);

/* Keeps the sample if its two probes agree, else counts it. */
void bench_row_add(struct bench_row *row, const struct bench_sample *sample);

/* False: there is not one sample. */
bool bench_row_figures(const struct bench_row *row, struct bench_figures *ret_figures);

/* The row of another system in the very same setting; NULL: there is none with samples. */
const struct bench_row *bench_row_beside(const struct bench_row *rows, size_t count,
                                         const struct bench_row *row,
                                         const struct bench_system *system);

/* How many samples were kept and set aside in all, and how many measured rows rest on few. */
struct bench_quality {
    size_t kept, set_aside, measured, few;
};
struct bench_quality bench_rows_quality(const struct bench_row *rows, size_t count);
/* More was set aside than kept. */
bool bench_is_noisy(const struct bench_quality *quality);

/* The median of some values, which it sorts; and how far the middle 80 % lie apart, as a part. */
double bench_median(double *values, size_t count);
double bench_spread(double *values, size_t count);

#endif
