/*
 * campaign.h - what the tests have in common that kill at every place: options, lanes, counting, reporting.
 *
 * A campaign is a list of scenes, each in two modes, or three: the victim is killed there; or stands there while others go on;
 * or stands there while another one is killed, and then dies or goes on. Several lanes (processes) share the list; each has a name directory and, where possible, an IPC namespace of its own.
 */
#ifndef CRASH_CAMPAIGN_H
#define CRASH_CAMPAIGN_H

#include "kill.h"

enum mode { KILL, STOP, PAIR };
#define MODES 3
extern const char *const mode_names[MODES];

struct campaign_options {
    bool thorough;
    const char *scene, *family; /* only this one, or these */
    int mode;                   /* -1: all */
    bool one_place;
    struct place place, second;
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
    volatile uint64_t killed, stopped, frozen, pairs, scenes; /* frozen: of the stopped, by SIGSTOP */
    volatile int64_t slowest_ns;
    volatile uint32_t next;
};
extern struct totals *totals;

extern char directory[256]; /* this lane's */

struct campaign {
    const char *usage;
    uint32_t scenes, modes;
    const char *(*name)(uint32_t scene);
    const char *(*family)(uint32_t scene); /* or NULL */
    void (*run)(uint32_t scene, enum mode mode, uint64_t *random);
    void (*complete)(void **state); /* or NULL: a test of its own: do the scenes cover what they should? */
    const char *complete_name;
    const char *(*where)(void); /* how to come back to the run that goes on now: options, and what happened */
};

/* main(): prints TAP, returns the exit status. */
int campaign_main(int argc, char **argv, const struct campaign *campaign, const char *promise);

/* Of --seconds, however slow the machine is; but not before one place was tried. Looked at in every loop. */
bool time_is_over(void);

/* Counts a failure, and prints the first ones. */
void wrong(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
