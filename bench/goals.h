/*
 * goals.h - what yoke wants to reach, each time beside what this run says about it.
 */
#ifndef YK_BENCH_GOALS_H
#define YK_BENCH_GOALS_H

#include "results.h"

#define BENCH_GOALS_MAX 40
#define BENCH_GOAL_TEXT 64

struct bench_goal_result {
    const char *what, *system;
    bool asked;                     /* the run has rows about it */
    char goal[BENCH_GOAL_TEXT];     /* "<= 1.15 x raw-one-line" */
    char measured[BENCH_GOAL_TEXT]; /* "1.31", "41.2 us"; "-": nothing was measured */
    char from[BENCH_GOAL_TEXT];     /* "8 samples, spread 12 %"; "2 rows"; "" */
    const char *reached;            /* "yes", "no", "-" */
};

/* Fills in one result for each goal, whether it was measured or not; returns how many. */
size_t bench_goals(const struct bench_results *results,
                   struct bench_goal_result goals[BENCH_GOALS_MAX]);

#endif
