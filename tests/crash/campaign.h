/*
 * campaign.h - what the tests have in common that kill at every place: options, lanes, counting, reporting.
 *
 * A campaign is a list of scenes, each in two modes: the victim is killed there, or stands there while others go on. Several
 * lanes (processes) share the list; each has a name directory and, where possible, an IPC namespace of its own.
 */
#ifndef CRASH_CAMPAIGN_H
#define CRASH_CAMPAIGN_H

#include "kill.h"

enum mode { KILL, STOP };

struct campaign_options {
    bool thorough;
    const char *scene; /* only this one */
    int mode;          /* -1: both */
    bool one_place;
    struct place place;
    bool one_broken;
    struct place broken;
    int then; /* -1: any */
    uint32_t lanes;
    uint64_t seed;
    double seconds;
};
extern struct campaign_options options;

/* Shared by all lanes. */
struct totals {
    volatile uint64_t places, failures, busy, instructions, states, slept;
    volatile int64_t slowest_ns;
    volatile uint32_t next;
};
extern struct totals *totals;

extern char directory[256]; /* this lane's */

struct campaign {
    const char *usage;
    uint32_t scenes;
    const char *(*name)(uint32_t scene);
    void (*run)(uint32_t scene, enum mode mode, uint64_t *random);
    const char *(*where)(void); /* how to come back to the run that goes on now: options, and what happened */
};

/* main(): prints TAP, returns the exit status. */
int campaign_main(int argc, char **argv, const struct campaign *campaign, const char *promise);

/* Of --seconds, however slow the machine is; but not before one place was tried. Looked at in every loop. */
bool time_is_over(void);

/* Counts a failure, and prints the first ones. */
void wrong(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
