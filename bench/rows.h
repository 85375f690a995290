/*
 * rows.h - what becomes of samples: which ones count, and what a row's figures are.
 *
 * A sample counts if the probes before and after it differ by no more than a quarter: else the
 * CPUs moved, or something else ran. Nor does it if both took ten times what that limit took at
 * best in this run: then both ran beside something else, and what they say of the sample is chance. Its ratio is taken against its own two probes, and the ratio
 * reported is the median of those, not the ratio of two medians: so it holds for near and far
 * cores alike.
 */
#ifndef YK_BENCH_ROWS_H
#define YK_BENCH_ROWS_H

#include "sample.h"

#include <stdbool.h>

/* Fewer samples than this say little. */
#define BENCH_KEPT_LEAST 3u
/* Messages from this size on take long. */
#define BENCH_HUGE_MESSAGE ((size_t)8 << 20)

/* One line of the report: a system in one setting. */
struct bench_row {
    const struct bench_system *system;
    struct bench_setting setting;
    struct bench_sample *kept; /* owned */
    size_t kept_count, kept_capacity;
    size_t set_aside;  /* samples that do not count, for one of these reasons, or as ... */
    size_t given_up;   /* they did not end in time */
    size_t off_cpu;    /* their probes agree, but the limit was at a tenth of its best */
    double best_limit; /* what a probe said at best; 0: there is none yet */
    enum { BENCH_MEASURED, BENCH_SKIPPED, BENCH_FAILED } state;
    char reason[200];               /* of the latter two */
    struct bench_histogram singles; /* of all samples kept */
    struct bench_histogram probes;  /* what the limit took, in all samples; not for rates */
    uint64_t spent_ns, samples;     /* how long all its samples took, and how many those are */

    /* From runs of their own, which are not timed; -1: not counted. */
    double calls;                    /* system calls a message, on both sides */
    double futex_calls, futex_wakes; /* futex calls among them, and those of these that wake */
    double idle_wakeups;             /* a second, of a receiver to whom nobody sends */
    char calls_problem[120];         /* why they were not counted */
};

/* A row's figures over the samples kept, in the unit of the row. */
struct bench_figures {
    double value, limit, ratio;  /* medians */
    double spread, ratio_spread; /* NAN: one sample has none */
    double per_second;           /* messages, or round trips */
    double closing;              /* nanoseconds; BENCH_OPEN */
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

/*
 * A sample did not end in time. That is the machine's fault, unless it happens every time: true if
 * it did, and often enough to try no more. Once is enough where a message is huge.
 */
bool bench_row_give_up(struct bench_row *row);

/* When all samples are taken, once: sets aside those that were off their CPUs. */
void bench_rows_settle(struct bench_row *rows, size_t count);

/* False: there is not one sample. */
bool bench_row_figures(const struct bench_row *row, struct bench_figures *ret_figures);

/* The row of another system in the very same setting; NULL: there is none with samples. */
const struct bench_row *bench_row_beside(const struct bench_row *rows, size_t count,
                                         const struct bench_row *row,
                                         const struct bench_system *system);

/* How many samples were kept and set aside in all, and how many measured rows have few or none. */
struct bench_quality {
    size_t kept, set_aside, off_cpu, given_up;
    size_t measured, few, none;
};
struct bench_quality bench_rows_quality(const struct bench_row *rows, size_t count);
/* More was set aside than kept. */
bool bench_is_noisy(const struct bench_quality *quality);

/*
 * A percentile, or the median, of some values, which it sorts; and how far the middle 80 % lie apart, as a part of it
 * (NAN: one value has no spread).
 */
double bench_percentile(double *values, size_t count, double percent);
double bench_median(double *values, size_t count);
double bench_spread(double *values, size_t count);

#endif
