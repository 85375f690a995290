/*
 * look.h - looks at objects, one or all of them, and what two looks tell together: rates.
 *
 * A look takes part in nothing (inspect.h); it needs no more than the right to read.
 */
#ifndef YK_LOOK_H
#define YK_LOOK_H

#include "inspect.h"
#include "json.h"

struct yk_look {
    struct yk_object_facts facts;
    struct yk_participant_facts *participants; /* owned; NULL when there are none */
    size_t count;
    int64_t *held_since; /* owned; of yk_looks_take(): see there */
    int64_t at;          /* CLOCK_MONOTONIC */
};

struct yk_rates {
    double in, out;             /* messages per second; of a stream bytes */
    double bytes_in, bytes_out; /* bytes per second; below 0: not counted there */
    bool measured;              /* by two looks; else the average since the object was created */
};

/* 0, or what yk_inspect() said; what was taken is given back by yk_look_fini(). */
int yk_look_at(struct yk_look *ret, const char *address);
void yk_look_fini(struct yk_look *look);

/* Are the rates of such an object known at all? */
bool yk_rates_are_known(const struct yk_object_facts *facts);
struct yk_rates yk_rates_between(const struct yk_look *before, const struct yk_look *after);
struct yk_rates yk_rates_since_creation(const struct yk_look *look);
/* Adds them to what yk_facts_json() made; nothing where they are not known. */
void yk_rates_add_json(yk_json *object, const struct yk_object_facts *facts,
                       const struct yk_rates *rates);

/*
 * Every object that there is on this machine, or (place not NULL) in that place, in the order of
 * yk_facts_compare().
 */
struct yk_looks {
    struct yk_look *all; /* owned */
    size_t count, room;
};

/*
 * With `participants`, each look's held_since says of each of them since when, by the looks `before`,
 * the oldest message that it holds has been the same one: it was held at least that long, and perhaps
 * longer before somebody looked. Nothing about that stands in the shared memory.
 *
 * 0, or the negative errno of yk_inspect_each(), and then there is nothing to be given back.
 */
int yk_looks_take(struct yk_looks *ret, const char *place, const struct yk_looks *before,
                  bool participants);
/* Adds that one, if it is not there. 0, or what yk_inspect() said. */
int yk_looks_add(struct yk_looks *looks, const char *address, const struct yk_looks *before);
void yk_looks_fini(struct yk_looks *looks);

/* The same object in an earlier look, or NULL: not one that had its name before it. */
const struct yk_look *yk_looks_find(const struct yk_looks *looks, const struct yk_look *like);

/* For how long its oldest message that is held was seen held, in nanoseconds; -1: none is held. */
int64_t yk_look_held_for(const struct yk_look *look);

/* Sleeps that long, or until a signal is to stop the command: then false. */
bool yk_look_pause(int64_t ns);

#endif
