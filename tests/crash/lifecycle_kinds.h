/*
 * lifecycle_kinds.h - what creating, opening, closing and removing is for each kind of object that has
 * a name or shared state of its own, and how one is told from another: for lifecycle.c.
 */
#ifndef CRASH_LIFECYCLE_KINDS_H
#define CRASH_LIFECYCLE_KINDS_H

#include "actor.h"

enum act {
    CREATE,
    CREATE_KEPT,
    CREATE_EXCLUSIVE,
    OPEN,
    OPEN_READ_ONLY,
    CLOSE,
    REMOVE,
    GC,
    CREATE_OTHER,
    CREATE_THIRD,
    REPLACE,
    ACTS
};
extern const char *const act_names[ACTS];

enum kind_number {
    REGION,
    PORT,
    STREAM,
    LINK,
    PEER,
    INBOX,
    KERNEL_PORT,
    KERNEL_LINK,
    KERNEL_STREAM,
    KERNEL_INBOX,
    KINDS
};

struct kind {
    const char *name;
    struct order create; /* without YOKE_CREATE */
    enum verb open;      /* DO_NOTHING: it can only be made */
    struct order remove; /* DO_NOTHING: it goes with its process */
    const char *first;   /* a link: the name that the one who was there before opens it by */
    const char *other, *third;
    bool joins;            /* a peer's: who makes it joins before, under `joined` and the others */
    const char *joined[3]; /* as x, other, third */
    const char *entry;     /* its name in the directory */
    bool seat;             /* one process at a time is there: others get -EADDRINUSE */
    bool numbered;         /* told by its own number: nothing can be left in it */
    bool leaves;         /* what the dead leave goes with yoke gc, or who comes to that very name */
    struct order look;   /* where it can not be opened: is it there? */
    struct order use[2]; /* by one who has it open; DO_NOTHING: no second */
    int64_t use_gives[2]; /* that, or an end of the other side's where there is one */
};
extern const struct kind kinds[KINDS];

/* Can it be done to this kind? */
bool kind_can(const struct kind *kind, enum act act);
/* `first`: by the one who was there before. */
struct order kind_order(const struct kind *kind, enum act act, bool first);
/* The name to join under before that; NULL: it needs none. */
const char *kind_joins(const struct kind *kind, enum act act);

#endif
