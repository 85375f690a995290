/*
 * library.h - what the scenes of library.c have at hand: who takes part, and asking them.
 *
 * A survivor S, a sleeper W that waits where the scene wants one, and a victim V, new for each
 * place.
 */
#ifndef CRASH_LIBRARY_H
#define CRASH_LIBRARY_H

#include "campaign.h"
#include "support.h"

/* A sleeper looks by itself every 100 ms. What is never noticed takes longer than SOON_MS. */
#define LONG_NS (2 * SOON_MS * INT64_C(1000000))
#define IDS     64
#define DEPTH   4
#define PLACES  6 /* participants */

struct scene {
    const char *name;
    bool port;
    struct port_plan plan; /* ports */
    void (*arrange)(void); /* what there is, before V comes */
    void (*before)(void);  /* V's own, before the call */
    struct order call;
    bool forked;          /* V is a child that S forked */
    bool rings;           /* V has a doorbell, which S has open when V is dead */
    void (*settle)(void); /* after `before`: who sleeps */
    bool wakes;           /* V's call wakes W, which is not left to look by itself */
    void (*asleep)(void); /* V sleeps: what wakes it. May be called several times */
    void (*after_kill)(void);
    void (*while_stopped)(void);
    void (*after_finish)(const struct answer *answer);
};

extern const struct scene region_scenes[], port_scenes[];
extern const uint32_t region_scene_count, port_scene_count;

struct run {
    const struct scene *scene;
    enum mode mode;
    struct place place;
    enum where where;
    bool ended; /* V's call was over */
    struct actor *survivor, *sleeper, *victim;
    uint64_t word;  /* of the lock, before the call */
    uint64_t count; /* of the event */
    uint32_t woken; /* how often `asleep` did something */
    bool sleeper_waits;
    int64_t slept_ns; /* W's call, from begin to end */
    int64_t told_ns, call_ns; /* when W was told to sleep; how much later V was where it was to go */
    /* messages */
    uint8_t sent[IDS]; /* 0 no, 1 perhaps, 2 yes */
    uint8_t got[IDS];
    uint8_t lost_ok[IDS]; /* V may have acknowledged it */
    uint8_t deliveries[IDS];
    char log[900];
};
extern struct run run;

#define S run.survivor
#define W run.sleeper
#define V run.victim

const char *name_of(const struct actor *actor);

/* Asks, and notes it; what never ends is wrong. */
struct answer does(struct actor *actor, struct order order);
#define DOES(actor, ...) does(actor, (struct order){__VA_ARGS__})

/* As DOES, and it must end with this. */
#define MUST(expected, actor, ...)                                                                 \
    do {                                                                                           \
        struct order order_ = {__VA_ARGS__};                                                       \
        struct answer answer_ = does(actor, order_);                                               \
        if (answer_.result != (expected))                                                          \
            wrong("%s's %s gave %lld instead of %lld %s", name_of(actor), verb_names[order_.verb], \
                  (long long)answer_.result, (long long)(expected), answer_.sentence);             \
    } while (0)

/* W begins a call that must put it to sleep. */
void sleeper_begins(struct order order);
#define SLEEPS(...) sleeper_begins((struct order){__VA_ARGS__})

/* What W waits for is there: it must notice soon. */
struct answer sleeper_ends(const char *what);
bool sleeper_ended(void);

/* In library_port.c: what V's answer says it sent or got. */
void victim_answered(const struct answer *answer);

#endif
