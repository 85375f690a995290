/*
 * killed.h - what the others see when a process is killed, and what is left behind.
 */
#ifndef YK_BENCH_KILLED_H
#define YK_BENCH_KILLED_H

#include "cpus.h"
#include "system.h"

#include <stdbool.h>

/* What became of the side that was not killed, within the time that it was observed. */
struct bench_outcome {
    enum {
        BENCH_TOLD,    /* its call returned an error */
        BENCH_WAITS,   /* it stands in a call, or tries again and again */
        BENCH_GOES_ON, /* it still sends or receives messages */
    } what;
    int error;       /* told: the negative errno */
    double after_ms; /* told: how long after the kill; else how long it was observed */
};

#define BENCH_LEFT_MAX 8
struct bench_killed {
    const struct bench_system *system;
    enum bench_mode mode;
    size_t size;
    bool measured;
    char reason[200]; /* else */
    struct bench_outcome after_receiver, after_sender;
    /*
     * What is left in memory and name spaces when all its processes were killed; -1: could not be
     * looked at, because namespaces are not to be had here. The first of them by name and size.
     */
    int left_count;
    char left[BENCH_LEFT_MAX][96];
};

/*
 * Lets two processes send and receive, kills one, observes the other for `ns`, and kills that one,
 * too; once for each side. 0, also if it was not to be had (`measured`); -EINTR.
 */
int bench_killed_observe(const struct bench_system *system, const struct bench_setting *setting,
                         uint64_t ns, const struct bench_cpus *cpus,
                         struct bench_killed *ret_killed);

/* "EPIPE after 0.1 ms", "waits (1 s)"; and "nothing", "2: /dev/shm/x, ...". Both return `text`. */
#define BENCH_OUTCOME_TEXT 80
char *bench_outcome_text(char text[BENCH_OUTCOME_TEXT], const struct bench_outcome *outcome,
                         bool receives);
#define BENCH_LEFT_TEXT 1000
char *bench_left_text(char text[BENCH_LEFT_TEXT], const struct bench_killed *killed);

#endif
