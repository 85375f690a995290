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

/* Where the scenes play: what S and W have open, and what a message is there. */
struct world {
    const char *family;
    bool
        lasts; /* what a process had open may stay until it ends: names of dead peers, who it sent signals to */
    void (*open)(void);
    void (*join)(struct actor *actor); /* as one more that sends */
    struct order send, recv;           /* `value` is the number */
    uint32_t depth;                    /* messages that fit; 0: not to be told */
    void (*balanced)(void); /* everybody but S and W is gone: all is there, and whole. Or NULL */
};

struct scene {
    const char *name;
    bool port;
    const struct world *world; /* NULL: a region; with `port`, a port */
    struct port_plan plan;     /* ports */
    void (*arrange)(void);     /* what there is, before V comes */
    void (*before)(void);      /* V's own, before the call */
    struct order call;
    bool forked;          /* V is a child that S forked */
    bool rings;           /* V has a doorbell, which S has open when V is dead */
    void (*settle)(void); /* after `before`: who sleeps */
    bool wakes;           /* V's call wakes W, which is not left to look by itself */
    void (*asleep)(void); /* V sleeps: what wakes it. May be called several times */
    void (*after_kill)(void);
    void (*while_stopped)(void);
    void (*after_finish)(const struct answer *answer);
    /*
     * Pairs: while V stands another one dies in the midst of this call; then V dies or goes on, and all must be
     * as without that one. With verb 0 it is the world's `send`, of message PARTNERS.
     */
    struct order partner;
    uint32_t each;   /* short runs, too: at each so many of its instructions; 0: where it calls or stores */
    bool alone;      /* no pairs: another one would be in the way of what is asked afterwards */
    bool pair_kills; /* pairs: V dies, too */
};

extern const struct scene region_scenes[], port_scenes[], stream_scenes[], signal_scenes[],
    peer_scenes[], set_scenes[], kernel_scenes[];
extern const uint32_t region_scene_count, port_scene_count, stream_scene_count, signal_scene_count,
    peer_scene_count, set_scene_count, kernel_scene_count;
extern const struct world region_world, port_world, stream_world, peer_world, signal_world,
    kernel_signal_world, port_set_world, kernel_port_world, kernel_stream_world;

#define PARTNERS 50 /* the message of who dies beside V */

struct run {
    const struct scene *scene;
    enum mode mode;
    struct place place, second; /* second: of who dies beside V */
    enum where where;
    bool paired; /* somebody died beside V */
    bool ended;  /* V's call was over */
    int then;    /* after the other one's death V goes on: 1 */
    struct actor *survivor, *sleeper, *victim, *partner, *holder;
    const struct actor *mover; /* whose file bytes are moved from, or to */
    uint64_t word;  /* of the lock, before the call */
    uint64_t count; /* of the event */
    uint32_t woken; /* how often `asleep` did something */
    bool sleeper_waits;
    int64_t slept_ns; /* W's call, from begin to end */
    int64_t told_ns,
        call_ns; /* when W was told to sleep; how much later V was where it was to go */
    /* messages */
    uint8_t sent[IDS]; /* 0 no, 1 perhaps, 2 yes */
    uint8_t got[IDS];
    uint8_t lost_ok[IDS]; /* V may have acknowledged it */
    uint8_t deliveries[IDS];
    uint32_t may_lose; /* of all messages so many more: takers died in the midst */
    char log[900];
};
extern struct run run;

#define S run.survivor
#define W run.sleeper
#define V run.victim

const char *name_of(const struct actor *actor);
void note(const char *who, const char *what, long long result);
const struct world *world_of(const struct scene *scene);

/* A world with S and W in it; all of it anew; the same if something went wrong; its end, where nothing may be left. */
void open_world(const struct scene *scene);
void new_world(const struct scene *scene);
void renew_world(const struct scene *scene, uint64_t failures);
void close_world(void);
void reset_run(void);
/* V stands: by SIGSTOP, now and then, else it is the tracer that does not let it go on. */
void stand(void);

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

/* ---- messages: what was sent, and what came of it ---- */

void sends(struct actor *actor, uint64_t id);
void received(const struct actor *actor, const struct answer *answer);
/* Receives everything that there is, now. */
void drains(struct actor *actor);
/* Each that was sent came once; or perhaps not, where that may be. */
void ledger_is_complete(void);
/* V's answer says what it sent or got. */
void victim_answered(const struct answer *answer);
void victim_leaves(void);

#endif
