/*
 * grow.h - what a message costs as the number of ports and links, of messages waiting and of
 * processes grows.
 */
#ifndef YK_BENCH_GROW_H
#define YK_BENCH_GROW_H

#include "cpus.h"
#include "system.h"

enum bench_curve {
    BENCH_CURVE_PORTS,        /* open in one process, used in turn */
    BENCH_CURVE_WAITING,      /* messages in the port while one is sent and one received */
    BENCH_CURVE_PROCESSES,    /* attached, asleep */
    BENCH_CURVE_LINKS,        /* of one peer, used in turn */
    BENCH_CURVE_NEXT,         /* the same, where the receiver waits for any of them */
    BENCH_CURVE_SET,          /* in a wait set; the message goes to any one of them */
    BENCH_CURVE_LINK_WAITING, /* as in a port */
    BENCH_CURVES
};

#define BENCH_GROWTH_SIZE 64u

struct bench_growth {
    enum bench_curve curve;
    const struct bench_system *system;
    uint64_t count; /* of what grows */
    size_t rounds;
    double value; /* ns: sending a message and receiving one, in one process; median */
    double spread;
    double limit; /* the same where there is only one */
};

#define BENCH_GROWTHS_MAX 40

const char *bench_curve_name(enum bench_curve curve);  /* "ports", "link-waiting" */
const char *bench_curve_title(enum bench_curve curve); /* in words, for people */

/*
 * Measures all curves, in a process of its own. `quick`: less time for each point. Returns how many points
 * there are, or -EINTR; a curve that could not be measured, or not to its end, is left out or ends
 * early, and `reason` says why. `quick` also bounds some curves at a tenth.
 */
int bench_grow(struct bench_growth points[BENCH_GROWTHS_MAX], bool quick,
               const struct bench_cpus *cpus, char reason[200]);

#endif
