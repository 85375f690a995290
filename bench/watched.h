/*
 * watched.h - what being watched costs: one sender and one receiver, with and without somebody beside them
 * who looks on as `yoke stat --watch` does.
 */
#ifndef YK_BENCH_WATCHED_H
#define YK_BENCH_WATCHED_H

#include "cpus.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BENCH_WATCHED_MAX    2
#define BENCH_WATCHED_SIZE   64u
#define BENCH_WATCHED_REASON 200

/* The middle one of all rounds, and what the middle 80 % of them spread over. */
struct bench_ratio {
    double median, low, high;
};

struct bench_watched {
    const char *what; /* "port", "link" */
    unsigned rounds;
    double cpu_ns;            /* of sender and receiver together, for each message, alone */
    double rate;              /* messages a second, alone */
    struct bench_ratio cpu;   /* watched to alone */
    struct bench_ratio noise; /* of `cpu`: alone to alone, in the same rounds */
    struct bench_ratio
        speed;     /* of `rate`: watched to alone; the watcher may need a CPU of theirs */
    uint64_t seen; /* messages that the watcher could tell the latency of */
};

/* How many were measured, or -EINTR. *ret_reason says why one was not; "" if all were. */
int bench_watched_measure(struct bench_watched ret[BENCH_WATCHED_MAX], bool quick,
                          const struct bench_cpus *cpus, char ret_reason[BENCH_WATCHED_REASON]);

#endif
