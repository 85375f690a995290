/*
 * machine.h - what this ran on, in words.
 */
#ifndef YK_BENCH_MACHINE_H
#define YK_BENCH_MACHINE_H

#include "cpus.h"

/* "-" where the machine does not say. */
struct bench_machine {
    char cpu[128], governor[32], kernel[160], load[32], virtual[32], when[40];
    long cpus_online;
    long memory_mib;
    struct bench_cpus used;
};

void bench_machine_describe(struct bench_machine *ret_machine, const struct bench_cpus *cpus);

#endif
