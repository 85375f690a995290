/*
 * actor.h - processes that do as they are told, one yoke call at a time.
 *
 * The test itself never calls yoke: it forks actors, and tells them what to do over a *board*, a page
 * that both see. So each actor is a fresh process, with nothing of yoke's in it yet, and costs
 * one fork. An actor that is to be killed or stopped half-way is told so by kill.h.
 */
#ifndef CRASH_ACTOR_H
#define CRASH_ACTOR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum verb {
    DO_NOTHING,
    DO_FORK, /* the child goes on as the actor of board `value` */
    /* objects; `handle` is where the actor keeps it */
    DO_REGION_CREATE,
    DO_REGION_OPEN,
    DO_PORT_OPEN,
    DO_PEER_JOIN,
    DO_LINK_OPEN,  /* name: ME:OTHER */
    DO_PAIR,       /* its descriptors are kept, for those forked later */
    DO_STREAM_PAIR,
    DO_PAIR_OPEN,   /* value: which end */
    DO_STREAM_OPEN, /* flags: which end */
    DO_SIGNALS_OPEN, /* the inbox of the peer of handle 0 */
    DO_CLOSE,
    DO_REMOVE_REGION,
    DO_REMOVE_PORT,
    DO_REMOVE, /* name: an address */
    DO_GC,
    /*
     * What tells one object from another: a region's word, the first message of a port, how many bytes
     * (modulo STREAM_MARK_MOST, so that others may write so many) there are in a stream; of all others a
     * number that they have as they are made.
     */
    DO_MARK,      /* leaves `value` in it, where that can be */
    DO_READ_MARK, /* 0: new */
    /* in a region */
    DO_LOCK,
    DO_UNLOCK,
    DO_LOCK_WORD, /* who has signed it */
    DO_SEMAPHORE_INIT,
    DO_SEMAPHORE_ACQUIRE,
    DO_SEMAPHORE_RELEASE,
    DO_SEMAPHORE_VALUE,
    DO_NOTIFY,
    DO_EVENT_WAIT, /* for what comes after the last wait */
    DO_EVENT_COUNT,
    /* on a port; a message is its number, `value` */
    DO_SEND,
    DO_RECV,
    DO_LOAN,
    DO_COMMIT,  /* the loan */
    DO_BORROW,  /* keeps up to 16 */
    DO_RELEASE, /* the oldest borrowed one, or else the loan */
    DO_RETURN,
    DO_COUNT, /* the ring's own numbers */
    DO_FD,    /* asks for a descriptor */
    DO_LOOP,  /* receives as an event loop does: when the descriptor is readable */
    /* the same by the other calls that there are for it */
    DO_SEND_ONE,
    DO_SEND_TWO, /* `value` and the next, at once */
    DO_RECV_ONE,
    DO_BORROW_ONE,
    DO_COMMIT_MANY,
    /* a thread of the actor's waits for a message meanwhile; what came of it */
    DO_WAITER,
    DO_WAITER_ENDS,
    DO_CANCEL,
    DO_REGION_CANCEL,
    /* on a stream; what is written is a record that says its number, `value` */
    DO_WRITE, /* priority not 0: just so many bytes */
    DO_READ,
    DO_MOVE_OUT, /* a record, to the end of the actor's file */
    DO_MOVE_IN,  /* a record, from its beginning */
    DO_INSIDE, /* somebody is within the side `value` of the ring in memory: 1 */
    DO_THERE,  /* how many bytes there are to be read */
    DO_STREAM_END,
    /* peers and their links */
    DO_PEER_WAIT, /* value: for what */
    DO_PEER_LIST,
    DO_PEER_ACCEPT, /* the peer of handle 0; the link becomes handle 1 */
    DO_PEER_NEXT,   /* the same; a link that is ready is received from */
    DO_PEER_FD,
    DO_LINK_WAIT,
    /* signals: a number, `value` */
    DO_SIGNAL, /* name: to whom */
    DO_SIGNAL_RECV,
    DO_CATCH, /* UNIX signal `value` */
    DO_SIGNAL_KILL,
    DO_SIGNAL_QUEUE,
    /* wait sets; each actor has one */
    DO_SET_CREATE,
    DO_SET_ADD,      /* what `handle` has open */
    DO_SET_ADD_PEER, /* the peer of handle 0 */
    DO_SET_ADD_GONE, /* peer `name` */
    DO_SET_REMOVE,   /* the last that was added */
    DO_SET_WAIT,     /* until something is ready: 1; an endpoint is received from */
    DO_SET_FD,
    DO_SET_CANCEL,
    DO_SET_CLOSE,
    VERBS
};

extern const char *const verb_names[VERBS];
/* The public function that it is there to call; NULL: none in particular. */
extern const char *const verb_functions[VERBS];

struct order {
    enum verb verb;
    uint32_t handle;
    uint32_t flags;
    uint32_t priority;
    int64_t timeout_ns;
    uint64_t value;
    const char *name; /* NULL: "x" */
};

struct answer {
    int64_t result;
    uint64_t value; /* the message, the mark, the word */
    uint32_t deliveries;
    uint32_t waiting, held, parked; /* DO_COUNT */
    int64_t took_ns;
    char sentence[256]; /* yoke_explain() */
};

/* What ports of DO_PORT_OPEN are made like; for those forked later. */
struct port_plan {
    uint32_t depth, priorities, participants, max_deliveries, policy, max_message;
};
/* A record of a stream. One that holds DEPTH of them holds no byte more. */
#define RECORD_SIZE 1024
#define STREAM_MARK_MOST 32
extern struct port_plan port_plan;
#define REGION_SIZE 4096

/* How many actors there may be at once. */
#define ACTORS_MAX 12

struct board {
    volatile uint32_t told;     /* futex: counts orders */
    volatile uint32_t answered; /* futex: counts answers */
    volatile uint32_t begun;    /* the call has begun, and ended */
    volatile uint32_t ended;
    uint32_t traced; /* stop before and after the call */
    struct order order;
    char name[64];
    struct answer answer;
};

struct actor {
    pid_t pid; /* 0: none */
    uint32_t number;
    struct board *board;
    bool waits; /* was told something, has not been heard yet */
    bool child; /* ours to reap (not one that an actor forked) */
};

/* Once a process, before the first actor. */
void actors_open(void);

struct actor *actor_start(void);

/* A child of `parent`, which keeps all that its parent had open. */
struct actor *actor_fork(struct actor *parent);

/* Tells it to go on; hears its answer: false when none came in that time. */
void actor_tell(struct actor *actor, const struct order *order);
bool actor_hear(struct actor *actor, struct answer *ret, int timeout_ms);

/* Both; what can not be answered within a very long time counts as -ETIME. */
struct answer actor_ask(struct actor *actor, const struct order *order);
#define ask(actor, ...) actor_ask(actor, &(struct order){__VA_ARGS__})
#define tell(actor, ...) actor_tell(actor, &(struct order){__VA_ARGS__})

/* Each has a file, which outlives it. It begins with one record, `id`. */
void actor_file_begin(const struct actor *actor, uint64_t id);
/* Does it end with a record that was moved there, and which? */
bool actor_file_has(const struct actor *actor, uint64_t *ret_id);

/* Sleeps in a futex, or over descriptors, within what it was told to do? */
bool actor_sleeps(const struct actor *actor);
/* Waits for that; false when it answered instead, or never slept. */
bool actor_fell_asleep(const struct actor *actor);
/* Waits until one that sleeps has woken several times by itself, and lain down again; or has ended its call. */
void actor_looked_again(const struct actor *actor);

/* Its process ends by itself, by SIGKILL, or is known to be dead. */
void actor_end(struct actor *actor);
void actor_kill(struct actor *actor);
void actor_buried(struct actor *actor);

__attribute__((noreturn)) void nobody_there(void);

/* All that are left. */
void actors_kill_all(void);

/* Was this process one of our actors (of the last ones)? */
bool actor_was(pid_t pid);

int64_t monotonic_ns(void);

#endif
