/*
 * pairs_region.c - the calls that may meet in a region: on its lock, its semaphore of two units, its
 * event, and on the region itself. See pairs.h.
 */
#include <errno.h>

#include "pairs.h"
#include "yoke.h"

#define WAITS .timeout_ns = LONG_NS

static void opens(struct side *side)
{
    side_does(0, side, (struct order){.verb = DO_REGION_OPEN});
}

/* Of one lock and two units everybody gets what is there: the other one's `before` may have had it. */
static bool takes(struct side *side, struct order order)
{
    bool is_there = does(side->actor, order).result >= 0;
    if (is_there && order.verb == DO_LOCK)
        side->locked = 1;
    if (is_there && order.verb == DO_SEMAPHORE_ACQUIRE)
        side->units++;
    return is_there;
}

static void locks(struct side *side)
{
    opens(side);
    takes(side, (struct order){.verb = DO_LOCK});
}

static void takes_unit(struct side *side)
{
    opens(side);
    takes(side, (struct order){.verb = DO_SEMAPHORE_ACQUIRE});
}

/* One that waits for a unit finds none: the witness has what is left. */
static void no_unit_is_left(struct side *side)
{
    opens(side);
    for (; does(W, (struct order){.verb = DO_SEMAPHORE_ACQUIRE}).result == 0;)
        run.count++;
}

static void unit_comes(struct side *side)
{
    (void)side;
    for (; run.count > 0; run.count--)
        MUST(0, W, .verb = DO_SEMAPHORE_RELEASE);
}

static void lock_is_taken(struct side *side)
{
    opens(side);
    if (!run.word)
        run.word = does(W, (struct order){.verb = DO_LOCK}).result >= 0;
}

static void lock_comes(struct side *side)
{
    (void)side;
    if (run.word)
        MUST(0, W, .verb = DO_UNLOCK);
    run.word = 0;
}

static void listens(struct side *side)
{
    opens(side);
    side_does(0, side, (struct order){.verb = DO_EVENT_COUNT});
}

static void has_all_sorts(struct side *side)
{
    locks(side);
    takes(side, (struct order){.verb = DO_SEMAPHORE_ACQUIRE});
}

static void notification_comes(struct side *side)
{
    (void)side;
    MUST(0, S, .verb = DO_NOTIFY);
}

/* Whatever the witness still has, it gives back; then both are to be had. */
static void witness_lets_go(struct side sides[2])
{
    lock_comes(&sides[0]);
    unit_comes(&sides[0]);
}

static const struct part parts[] = {
    {"open", NULL, {.verb = DO_REGION_OPEN}, .gives = {0}},
    {"close",
     has_all_sorts,
     {.verb = DO_CLOSE},
     .gives = {0},
     .holds = A_LOCK | UNITS,
     .function = "yoke_region_close"},
    {"lock",
     opens,
     {.verb = DO_LOCK},
     .gives = {YOKE_LOCKED, YOKE_OWNER_DIED, -EAGAIN},
     .holds = A_LOCK},
    {"lock, waiting",
     lock_is_taken,
     {.verb = DO_LOCK, WAITS},
     .gives = {YOKE_LOCKED, YOKE_OWNER_DIED},
     .wakes = lock_comes,
     .holds = A_LOCK,
     .wants = A_LOCK},
    {"unlock", locks, {.verb = DO_UNLOCK}, .gives = {0, -EPERM}, .holds = A_LOCK},
    {"take a unit", opens, {.verb = DO_SEMAPHORE_ACQUIRE}, .gives = {0, -EAGAIN}, .holds = UNITS},
    {"take a unit, waiting",
     no_unit_is_left,
     {.verb = DO_SEMAPHORE_ACQUIRE, WAITS},
     .gives = {0},
     .wakes = unit_comes,
     .holds = UNITS,
     .wants = UNITS},
    {"give a unit",
     takes_unit,
     {.verb = DO_SEMAPHORE_RELEASE},
     .gives = {0, -EPERM},
     .holds = UNITS},
    {"count units", opens, {.verb = DO_SEMAPHORE_VALUE}, .gives = {0, 1, 2}},
    {"notify", opens, {.verb = DO_NOTIFY}, .gives = {0}},
    {"wait for an event",
     listens,
     {.verb = DO_EVENT_WAIT, WAITS},
     .gives = {0},
     .wakes = notification_comes},
    {"count notifications", opens, {.verb = DO_EVENT_COUNT}, .gives = {0}},
    {"cancel", opens, {.verb = DO_REGION_CANCEL}, .gives = {0}},
};

const struct meeting region_meeting = {
    .name = "region",
    .world = &region_world,
    .parts = parts,
    .count = sizeof parts / sizeof parts[0],
    .balanced = witness_lets_go,
};
