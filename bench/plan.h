/*
 * plan.h - what is to be measured, and the rows that follow from it.
 */
#ifndef YK_BENCH_PLAN_H
#define YK_BENCH_PLAN_H

#include "results.h"

#define BENCH_SIZES_MAX 16

struct bench_plan {
    uint32_t topics;  /* bits 1 << BENCH_TOPIC_... */
    uint64_t systems; /* bits, as in bench_systems[] */
    size_t sizes[BENCH_SIZES_MAX];
    size_t size_count; /* 0: each topic has its own */
    bool quick;
    struct bench_cpus cpus;
};

/* The rows of all topics that take samples; the caller frees them. */
void bench_plan_rows(const struct bench_plan *plan, struct bench_results *results);

/* The setting in which a system's processes are to be killed; false: in none. */
bool bench_plan_kill(const struct bench_plan *plan, size_t system,
                     struct bench_setting *ret_setting);

#endif
