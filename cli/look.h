/*
 * look.h - looks at objects, one or all of them, and what two looks tell together: rates.
 *
 * A look takes part in nothing (inspect.h); it needs no more than the right to read.
 */
#ifndef YK_LOOK_H
#define YK_LOOK_H

#include "inspect.h"

struct yk_look {
    struct yk_object_facts facts;
    struct yk_participant_facts *participants; /* owned; NULL when there are none */
    size_t count;
    int64_t at; /* CLOCK_MONOTONIC */
};

/* Messages per second; of a stream bytes. */
struct yk_rates {
    double in, out;
    bool measured; /* by two looks; else the average since the object was created */
};

/* 0, or what yk_inspect() said; what was taken is given back by yk_look_fini(). */
int yk_look_at(struct yk_look *ret, const char *address);
void yk_look_fini(struct yk_look *look);

struct yk_rates yk_rates_between(const struct yk_look *before, const struct yk_look *after);
struct yk_rates yk_rates_since_creation(const struct yk_look *look);

/* Every object that there is, in the order of yk_facts_compare(). */
struct yk_looks {
    struct yk_look *all; /* owned */
    size_t count, room;
};

/* 0, or the negative errno of yk_inspect_each(), and then there is nothing to be given back. */
int yk_looks_take(struct yk_looks *ret);
void yk_looks_fini(struct yk_looks *looks);

/* The same object in an earlier look, or NULL: not one that had its name before it. */
const struct yk_look *yk_looks_find(const struct yk_looks *looks, const struct yk_look *like);

/* Sleeps that long, or until a signal is to stop the command: then false. */
bool yk_look_pause(int64_t ns);

#endif
