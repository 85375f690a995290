/*
 * results.h - all that one run of the benchmark has found out; owned by bench.c.
 */
#ifndef YK_BENCH_RESULTS_H
#define YK_BENCH_RESULTS_H

#include "death.h"
#include "grow.h"
#include "killed.h"
#include "rows.h"
#include "watched.h"

struct bench_results {
    struct bench_row *rows;
    size_t row_count;
    struct bench_killed *killed;
    size_t killed_count;
    struct bench_death deaths[BENCH_DEATHS_MAX];
    size_t death_count;
    struct bench_growth growths[BENCH_GROWTHS_MAX];
    size_t growth_count;
    char growth_reason[200]; /* why a curve ends early; "": none does */
    struct bench_watched watched[BENCH_WATCHED_MAX];
    size_t watched_count;
    char watched_reason[BENCH_WATCHED_REASON];
    struct bench_cpus cpus;
    double seconds; /* that it took */
};

#endif
