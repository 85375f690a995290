/*
 * kill.h - stopping an actor at a chosen place of what it does, and killing it there.
 *
 * A *place* is counted from the first instruction of the call: so many system-call stops (each system
 * call has two, before and after), then so many instructions. survey_places() walks through a call once, one
 * instruction at a time, and notes the places after which something that others can see may have changed: every
 * system call, and every instruction after which shared memory reads otherwise. Between two of
 * those a kill leaves the same; a sample of them is taken all the same.
 *
 * What is left of a killed process is looked for in $YOKE_DIR and among the System V segments.
 */
#ifndef CRASH_KILL_H
#define CRASH_KILL_H

#include "actor.h"

struct place {
    uint32_t stops, steps;
};

struct places {
    struct place *list;
    uint32_t count, room;
    uint64_t instructions; /* that the call took */
    bool slept;
};

enum where {
    AT_PLACE,
    AT_END,    /* the call is over */
    AT_SLEEP,  /* it sleeps in a futex: go on with victim_go() once somebody woke it */
    AT_NOTHING /* it died by itself, or nothing makes sense */
};

/* 0, or why this machine can not do it. Single-steps a process of its own. */
const char *tracing_fails(void);

/* Tells the actor, and stops it right before the call. */
bool victim_begin(struct actor *actor, const struct order *order);

/* Lets it go on to a place. */
enum where victim_go(struct actor *actor, const struct place *place);

/* Lets it finish the call and be an actor as before. False: it did not within a very long time. */
bool victim_finish(struct actor *actor);

/* Lets it sleep and run on, untouched, in the call. */
void victim_detach(struct actor *actor);

void victim_kill(struct actor *actor);

/*
 * Walks through the rest of the call (after victim_begin) and lists its places; `asleep` is called when it sleeps. Of the places
 * where nothing changed one in `sample` is listed, too (0: none; 1: all).
 */
bool survey_places(struct actor *actor, uint32_t sample, uint64_t *random, void (*asleep)(void *context), void *context,
                   struct places *ret);
void places_free(struct places *places);

/* ---- what is left ---------------------------------------------------------------------------------- */

struct leftovers {
    uint32_t names, intents, live_files, others, segments;
    char text[400];
};

/* `directory`: $YOKE_DIR. Of segments, only those that our actors made. */
void leftovers_count(const char *directory, struct leftovers *ret);
static inline bool leftovers_none(const struct leftovers *left)
{
    return left->names + left->intents + left->live_files + left->others + left->segments == 0;
}

/* A number that differs with the sizes of the files, and with how far the segments' headers are filled in. */
uint64_t leftovers_sizes(const char *directory);

/* Wipes all of it, so that the next place starts afresh. */
void leftovers_clear(const char *directory);

uint64_t random_of(uint64_t *state);

#endif
