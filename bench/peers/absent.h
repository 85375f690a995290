/*
 * absent.h - what takes the place of a system that this tool was built without: it only says so.
 *
 * NAME-none.c has nothing but this; bench/meson.build chooses it when NAME.c can not be built, or
 * is not wanted (`-Dpeers`). One row for each size is enough, so it claims one mode.
 */
#ifndef YK_BENCH_ABSENT_H
#define YK_BENCH_ABSENT_H

#include "peers.h"

#include <errno.h>
#include <stdio.h>

#define BENCH_DEFINE_ABSENT(variable, its_name, needs)                 \
    static int variable##_setup(struct bench_run *run)                 \
    {                                                                  \
        snprintf(run->reason, sizeof run->reason,                      \
                 "this yoke was built without " needs                  \
                 "; `./dev bench` builds one with what is installed"); \
        return -ENOTSUP;                                               \
    }                                                                  \
    const struct bench_system variable = {                             \
        .name = its_name,                                              \
        .cases = 1 << BENCH_LATENCY | 1 << BENCH_RATE,                 \
        .modes = 1 << BENCH_SPIN,                                      \
        .size_min = BENCH_SIZE_MIN,                                    \
        .size_max = SIZE_MAX,                                          \
        .setup = variable##_setup,                                     \
    }

#endif
