/*
 * report.h - what becomes of samples: which ones count, their medians, the table and the JSON.
 */
#ifndef YK_BENCH_REPORT_H
#define YK_BENCH_REPORT_H

#include "sample.h"

#include <stdbool.h>

/* One line of the report: a system in one setting. */
struct bench_row {
    const struct bench_system *system;
    struct bench_setting setting;
    struct bench_sample *kept; /* owned */
    size_t kept_count, kept_capacity;
    size_t set_aside; /* samples whose two probes did not agree */
    enum { BENCH_MEASURED, BENCH_SKIPPED, BENCH_FAILED } state;
    char reason[200]; /* of the latter two */
};

const char *bench_case_name(enum bench_case what);
const char *bench_mode_name(enum bench_mode mode);

/* Keeps the sample if its two probes agree, else counts it. */
void bench_row_add(struct bench_row *row, const struct bench_sample *sample);
void bench_row_fini(struct bench_row *row);

/* Both on stdout, one line a row. */
void bench_report_table(const struct bench_row *rows, size_t count);
void bench_report_json(const struct bench_row *rows, size_t count);

/* On stderr: what was too noisy to tell, what failed. */
void bench_report_warnings(const struct bench_row *rows, size_t count);

#endif
