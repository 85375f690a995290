/*
 * cpus.h - which two CPUs the two sides run on.
 */
#ifndef YK_BENCH_CPUS_H
#define YK_BENCH_CPUS_H

struct bench_cpus {
    int side[2]; /* -1: not pinned, because there is only one */
};

/* Two CPUs that this process may use, on cores of their own if there are such. */
void bench_cpus_choose(struct bench_cpus *ret_cpus);

/* Pins the calling process; nothing happens when `cpu` is -1 or may not be used any more. */
void bench_cpu_pin(int cpu);

#endif
