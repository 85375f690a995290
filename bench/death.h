/*
 * death.h - how soon the others know that a process died.
 */
#ifndef YK_BENCH_DEATH_H
#define YK_BENCH_DEATH_H

#include "histogram.h"

#include <stdbool.h>
#include <stddef.h>

enum bench_death_way {
    BENCH_DEATH_PIPE,    /* the end of file, seen in each kill: what the others are measured by */
    BENCH_DEATH_LINK_FD, /* poll() on yoke_fd(), until yoke_recv() says -EOWNERDEAD */
    BENCH_DEATH_PORT_FD, /* the same, until the message that the dead one held comes again */
    BENCH_DEATH_SET,     /* yoke_set_wait(), until a peer is gone */
    BENCH_DEATH_RECV,    /* in yoke_recv() on a link */
    BENCH_DEATH_WAIT,    /* in yoke_peer_wait() */
    BENCH_DEATH_WAYS
};

enum bench_death_victim {
    BENCH_VICTIM_PLAIN,
    BENCH_VICTIM_THREADS,   /* has more than one */
    BENCH_VICTIM_FORKED,    /* had children, which ended before */
    BENCH_VICTIM_NAMESPACE, /* sits in another PID namespace than who is to know */
    BENCH_VICTIMS
};

struct bench_death_times {
    double median, p99, worst; /* ns; NAN: there is none */
};

struct bench_death {
    enum bench_death_way way;
    enum bench_death_victim victim;
    size_t kills;                        /* that somebody got to know of */
    size_t missed;                       /* others: not known within 5 s */
    size_t late;                         /* known later than is promised, or missed */
    struct bench_death_times closed;     /* since the pipe's end of file; not for the pipe */
    struct bench_death_times killed;     /* since SIGKILL was sent */
    struct bench_histogram since_killed; /* the same */
    char reason[200];                    /* why there were no, or no more, kills; "": all were */
};

#define BENCH_DEATHS_MAX (BENCH_DEATH_WAYS * BENCH_VICTIMS)

const char *bench_death_way_name(enum bench_death_way way);          /* "link-fd" */
const char *bench_death_victim_name(enum bench_death_victim victim); /* "threads" */

/* Within what it is promised to be known once the files are closed: nanoseconds, 0: nothing is. */
double bench_death_promise(enum bench_death_way way);

/*
 * Kills processes one after the other, 1,000 in each way for a plain one and 200 in each for the
 * others (`quick`: 40 and 10), but for no longer than some `ns`, unless that is too little for two.
 * Returns how many rows there are, or -EINTR, -ENOMEM.
 */
int bench_death_observe(struct bench_death deaths[BENCH_DEATHS_MAX], bool quick, uint64_t ns);

#endif
