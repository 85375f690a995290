/*
 * shared.h - what the processes of a round have in common: seats, faults, random numbers.
 *
 * A *seat* is a place for one process at a time: it has a role, an object to play it on, and what is
 * noted of it outlives each process that sits there. All of this lies in one anonymous shared mapping of
 * the test's own, at the same address everywhere: nothing of yoke's is trusted to account for yoke.
 *
 * `life` counts: odd while a process sits there, even from the moment on at which it is doomed: *before*
 * SIGKILL is sent, or before it lets go of what it holds. So "noted under a life that still goes on"
 * means that this process holds it, for certain.
 */
#ifndef CHAOS_SHARED_H
#define CHAOS_SHARED_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define MS INT64_C(1000000) /* in nanoseconds */

#define SEATS_MAX    1400
#define LOCKS        4
#define BUFFERS      3 /* that one receiving call may fill */
#define AUDITOR      0 /* the seat of the supervisor itself */
#define PRIORITY_MAX 4

enum phase {
    RUN,    /* all do what they can; kills, stops, forks */
    HUSH,   /* senders pause: what was sent must arrive */
    FINISH, /* senders leave */
    STOP,   /* all leave */
};

enum role {
    NOBODY,
    PORT_SENDER,
    PORT_RECEIVER,
    PARKED_RECEIVER,
    LINK_PEER,
    STREAM_WRITER,
    STREAM_READER,
    LOCKER,
    UNIT_TAKER,
    NOTIFIER,
    SIGNALLER,
    INBOX,
    CHURNER,
    STEADY,
    CITIZEN, /* of the crowd: attached to everything */
    ROLES
};

/* What a process is inside of; those from IDLE on may take for ever. */
enum verb {
    NOTHING,
    OPENING,
    CLOSING,
    SENDING,
    RECEIVING_NOW,
    RELEASING,
    WRITING,
    LOCKING,
    TAKING,
    NOTIFYING,
    SIGNALLING,
    CHURNING,
    IN_STEP, /* waits until its last message was received */
    IDLE,
    AWAITING, /* for something to receive */
};

/* One sender's numbered messages, or one writer's numbered words. See ledger.h. */
struct lane {
    uint32_t flow; /* its flow, + 1; 0: it sends nothing */
    uint32_t room;
    _Atomic uint32_t next;        /* numbers below were tried */
    _Atomic uint8_t *sent;        /* enum sent */
    _Atomic uint64_t *got;        /* enum got, seat, life */
    _Atomic uint64_t *sequence;   /* + 1; 0: not known */
    _Atomic uint16_t *deliveries; /* the most that was noted */
    _Atomic uint8_t *words;       /* streams, instead of `got`: enum got */
};

struct seat {
    /* the round's plan */
    enum role role;
    uint32_t object, style;
    uint32_t child; /* the seat that its forked children take; 0: it forks none */
    bool is_child;  /* nobody is started here: a parent forks */
    size_t buffer_each;
    unsigned char *buffer;
    /* the process */
    _Atomic pid_t pid;
    _Atomic uint32_t life;
    _Atomic uint32_t end_life; /* the life in which it has its end of a stream or link open */
    _Atomic uint32_t attached;
    _Atomic uint32_t verb;
    _Atomic uint64_t steps;
    _Atomic uint32_t from; /* the flow that it receives from now */
    _Atomic uint32_t open; /* buffers that a receiving call may be filling; of a stream: bytes */
    struct lane lane;
    /* what it did in a region */
    _Atomic uint64_t tried[LOCKS], done[LOCKS], owners_died;
    _Atomic uint64_t notify_tried, notified;
    _Atomic uint32_t inside_life; /* the life in which it holds a unit of the semaphore */
    /* counts */
    _Atomic uint64_t sent, received, again, forked;
} __attribute__((aligned(128)));

struct shared {
    _Atomic uint32_t phase;
    _Atomic uint32_t faults;
    uint64_t seed; /* of this round */
    uint32_t round, seats;
    uint32_t
        laziness; /* processes rest once in so many turns: the less, the sooner one that is killed can die */
    struct seat seat[SEATS_MAX];
};
extern struct shared *shared;

/* Once a run; then room for one round, which the next one's first call clears. */
void shared_open(void);
void shared_begin_round(uint32_t round, uint64_t seed);
void *shared_room(size_t size);

bool is_living(uint32_t seat, uint32_t life);

/* ---- faults ---- */

/* Something is not as promised: counted, and said with the round that it happened in. */
void fault(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- random numbers (splitmix64) ---- */

uint64_t random_next(uint64_t *state);
uint64_t random_mix(uint64_t a, uint64_t b);

int64_t now_ns(void); /* of tests/support */
void nap(int64_t ns);

#endif
