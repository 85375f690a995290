/*
 * wait.h - sleeping until something may have changed, and waking who sleeps.
 *
 * For each reason to wait a port has a row of bits, one for each participant: "a thread of this one
 * sleeps (or is about to)". A sleeper sets its bit, looks once more, then sleeps on the bell of its
 * slot. Who changes something looks at the row (one or two cache lines that nobody writes while
 * nobody sleeps), clears one bit, and rings that bell. So one change wakes one sleeper, and nothing
 * is called while nobody sleeps.
 *
 * A process that dies or stops between its change and the bell, or after it was woken, leaves
 * others asleep: every sleeper therefore looks again by itself at least every 100 ms, and then also
 * looks for dead participants.
 */
#ifndef YK_WAIT_H
#define YK_WAIT_H

#include "memory/object.h"

struct yk_descriptor;
struct yk_notice;
struct yk_doorbell;

enum yk_reason {
    YK_WAIT_RECEIVE = 0, /* for a message */
    YK_WAIT_ROOM = 1,    /* for a place in the ring */
    YK_WAIT_POOL = 2,    /* for a block of one's own pool */
    YK_WAIT_REASONS = 3,
    YK_WAIT_DESCRIPTOR = 3, /* no thread: a descriptor says when there is a message (notice.h) */
    YK_WAIT_ROWS = 4,
    YK_WAIT_ALONE = 4, /* nobody rings: looks by itself every 100 ms (parked messages) */
};

#define YK_WAIT_WORDS 16 /* 1024 participants */
#define YK_SLICE      INT64_C(100000000)

/*
 * field | written by             | read by     | order                | a crash leaves
 * ------+------------------------+-------------+----------------------+------------------------
 * bits  | sleepers set and clear | who changed | or, and, load: seq   | a set bit: one futile
 *       | their own; who wakes   | something   | SYNC wait.receive    | wake, then the next
 *       | clears any             |             | SYNC wait.room       | sleeper is woken
 *       | (descriptors': none)   |             |                      |
 *
 * What a sender asks of its row and of the descriptors' lies in one line.
 */
struct yk_shm_waiters {
    yk_atomic64 bits[YK_WAIT_WORDS][YK_WAIT_ROWS];
};

/* One handle's side of it. */
struct yk_waiting {
    struct yk_object *object;
    struct yk_shm_waiters *shm;
    uint32_t words; /* of each row, that are in use */
    int64_t spin_ns;
    /*
     * Those who change something may do it without a fence before they look at the row: whoever
     * lies down makes up for it by a membarrier().
     */
    bool barrier;
    bool
        fenced; /* they make the fence, and need no membarrier(), before they look at the row for messages */
    uint32_t
        naps; /* how often the receiving thread lay down where `barrier` is; link.c begins anew */
    bool
        personal; /* a wake-up is meant for this one alone, and not passed on when it is not used */
    yk_atomic32 sleepers[YK_WAIT_REASONS]; /* this process's threads; private */
    yk_atomic64 descriptor;                /* yoke_fd(): yk_descriptor_of() */
    struct yk_notice *member;              /* in a wait set; NULL: it is in none */
    struct yk_doorbell *bells;             /* some others', once one was rung */
    yk_atomic32 bells_taken;               /* a thread of this process uses them */
};

/*
 * NULL: not asked for. Made under the process-wide mutex, by any thread, while others may be inside: those
 * find all of it or nothing. It stays as long as the handle is in this process.
 */
static inline struct yk_descriptor *yk_descriptor_of(const struct yk_waiting *waiting)
{
    /* SYNC waiting.descriptor acquire: another thread may just have made it */
    return (struct yk_descriptor *)(uintptr_t)yk_load_acquire(&waiting->descriptor);
}

/* Tries once: not 0 when the wait is over; else *reason is what would have to change. */
typedef ssize_t (*yk_attempt)(void *context, enum yk_reason *reason);

/*
 * Calls attempt until it is not 0 or the time is over. -EAGAIN, -ETIMEDOUT, -EINTR, -ECANCELED, or
 * what attempt said. The caller has tried once already, found `missing` missing, and is a visitor.
 */
ssize_t yk_wait(struct yk_waiting *waiting, yk_attempt attempt, void *context,
                enum yk_reason missing, int64_t timeout_ns);

/* Rings all descriptors that are armed. */
void yk_ring_descriptors(struct yk_waiting *waiting);
/* One participant's. */
void yk_ring_descriptor(struct yk_waiting *waiting, uint32_t slot);
/* Under the slot's lock, or by its owner: its descriptors are not rung any more. */
void yk_unarm(const struct yk_waiting *waiting, uint32_t slot, uint32_t which);
void yk_unarm_all(const struct yk_waiting *waiting, uint32_t slot);

/* A handle is new in this process; and goes, after it has left: leaving may ring others. */
void yk_waiting_join(struct yk_waiting *waiting);
void yk_waiting_end(struct yk_waiting *waiting);

/* Wakes one participant that waits for this reason, if any does. */
void yk_wake_any(const struct yk_waiting *waiting, enum yk_reason reason);

/* Wakes this participant's thread, if it waits for this reason. */
void yk_wake_slot(const struct yk_waiting *waiting, enum yk_reason reason, uint32_t slot);

/* After a change, in the fast path: is anybody to be woken at all? */
static inline bool yk_anyone_waits(const struct yk_waiting *waiting, enum yk_reason reason)
{
    uint64_t any = 0;
    for (uint32_t i = 0; i < waiting->words; i++)
        any |= yk_load_seq(&waiting->shm->bits[i][reason]); /* seq: after the change, see wait.c */
    return any != 0;
}

/* For a place, or for a block of some pool: what a receiver's release asks, in one look. */
static inline bool yk_anyone_waits_to_send(const struct yk_waiting *waiting)
{
    uint64_t any = 0;
    for (uint32_t i = 0; i < waiting->words; i++) /* seq: after the change, see wait.c */
        any |= yk_load_seq(&waiting->shm->bits[i][YK_WAIT_ROOM]) |
               yk_load_seq(&waiting->shm->bits[i][YK_WAIT_POOL]);
    return any != 0;
}

static inline void yk_changed(const struct yk_waiting *waiting, enum yk_reason reason)
{
    if (yk_unlikely(yk_anyone_waits(waiting, reason)))
        yk_wake_any(waiting, reason);
}

static inline void yk_changed_for(const struct yk_waiting *waiting, enum yk_reason reason,
                                  uint32_t slot)
{
    uint64_t word = yk_load_seq(&waiting->shm->bits[slot / 64][reason]);
    if (yk_unlikely(word >> (slot % 64) & 1))
        yk_wake_slot(waiting, reason, slot);
}

/* What the next one found to do. */
void yk_tell_of_messages(struct yk_waiting *waiting, size_t sleepers, bool descriptors);

/* There is a message (or so many), for whoever sleeps and for all descriptors. */
static inline void yk_message_came(struct yk_waiting *waiting, size_t count)
{
    uint64_t sleep = 0, poll = 0;
    for (uint32_t i = 0; i < waiting->words; i++) {
        sleep |= yk_load_seq(&waiting->shm->bits[i][YK_WAIT_RECEIVE]);
        poll |= yk_load_seq(&waiting->shm->bits[i][YK_WAIT_DESCRIPTOR]);
    }
    if (yk_unlikely((sleep | poll) != 0))
        yk_tell_of_messages(waiting, sleep != 0 ? count : 0, poll != 0);
}

/* Rings every thread of this process that sleeps on the object. */
void yk_wake_own(struct yk_object *object);
/* And whoever polls its descriptor. */
void yk_ring_own(struct yk_waiting *waiting);
/* Ends the waits that are going on, and all that come: yoke_cancel() and closing. */
void yk_cancel(struct yk_waiting *waiting);

/*
 * Can this process rely on membarrier()? Registers it, which also holds for what it forks later.
 * $YOKE_MEMBARRIER=off says no.
 */
bool yk_membarrier_usable(void);

/*
 * The default time to spin: 0 where there is one CPU only, since nothing changes while we spin
 * there.
 */
int64_t yk_default_spin(void);

/*
 * Threads inside a waiting call are its object's visitors: a handle is closed when the last has
 * left. The end of the visit is the last that a call does with the handle, which may be gone right
 * after.
 */
void yk_visit_begin(struct yk_object *object);
void yk_visit_end(struct yk_object *object);
void yk_wait_for_visitors(struct yk_object *object);

#endif
