/*
 * pairs.h - the calls that may meet on one kind of object, for pairs.c: each of them with each.
 *
 * A *part* is a call and what its process has done before it; it brings with it whatever it needs (a
 * message to be received, a full port), so that any two of them go together. What they do to the
 * messages follows from the verb; what else is to be is asked of the world, when both are gone.
 */
#ifndef CRASH_PAIRS_H
#define CRASH_PAIRS_H

#include "library.h"

/* One of the two. */
struct side {
    const struct part *part;
    struct actor *actor; /* NULL: dead, or gone */
    uint32_t number;     /* 0: the one who stands; 1: the one who acts meanwhile */
    uint64_t id;         /* of what it sends; the next one is its own, too */
    uint64_t hand;       /* the message that it has borrowed; 0: none */
    uint32_t locked;     /* it has the lock, surely */
    uint32_t units;      /* so many units, surely */
    uint32_t woken;      /* how often what it waits for came */
    bool linked;         /* a link is open, as its end */
    bool begun, ended;   /* its call has */
};

/* What one may have for itself while it stands, and another one may have to wait for. */
enum thing { A_LOCK = 1, UNITS = 2, INSIDE = 4, A_NAME = 8 };

/* Whose name is in the order. */
enum whose { NOBODYS, MINE, OTHERS, OTHERS_IN_KERNEL, A_LINK, A_KERNEL_LINK };

struct part {
    const char *name;
    void (*before)(struct side *side); /* or NULL */
    struct order call;                 /* of what is sent the engine fills in the number */
    enum whose whose;
    int64_t gives[6];                 /* what it may be told: the first, and those that are not 0 */
    void (*wakes)(struct side *side); /* it waits: what it waits for comes. Or NULL */
    uint32_t holds, wants;            /* enum thing */
    const char *function;             /* that it calls, where the verb does not tell; or NULL */
};

/* Of two that would wait for ever somebody dies, always; and why. */
enum fates { A_GOES_ON = 1, B_IS_WHOLE = 2 };
struct apart {
    const char *first, *second, *why;
    uint32_t never; /* enum fates: not these, or not both together */
};

struct meeting {
    const char *name;
    const struct world *world;
    struct port_plan plan;
    bool no_ledger; /* what is received is between the two: no witness knows of it */
    const struct part *parts;
    uint32_t count;
    void (*arrange)(void);                  /* before each run; or NULL */
    void (*balanced)(struct side sides[2]); /* after each run, before the world's own; or NULL */
    const struct apart *aparts;
    uint32_t apart_count;
};

/* All of them. */
extern const struct meeting *const meetings[];
extern const uint32_t meeting_count;
/* Why one of these two dies, always; NULL: it need not. */
const struct apart *meeting_apart(const struct meeting *meeting, const struct part *first,
                                  const struct part *second);

/* As Markdown. */
void pairs_print_table(void);
/* A test: each exported function has a part, or a reason to have none; and README.md here says so. */
void every_two_calls_meet_or_have_a_reason(void **state);

extern const struct meeting port_meeting, stream_meeting, region_meeting, peer_meeting,
    link_meeting, kernel_link_meeting, signal_meeting, kernel_signal_meeting, set_meeting,
    kernel_port_meeting, kernel_stream_meeting, name_meeting, kernel_name_meeting;

/* For `before`: what is there, or else S sends it. */
void supply(void);
/* The next number for a message that is sent besides. */
uint64_t supply_number(void);
const struct side *side_other(const struct side *side);
/* S receives all that there is. */
void make_room(struct side *side);
/* Asks, and it must end with this. */
void side_does(int64_t expected, struct side *side, struct order order);
const char *name_of_side(uint32_t number); /* "a", "b" */
/* "a:b" */
const char *link_of_side(uint32_t number);

#endif
