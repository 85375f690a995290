/*
 * queues.h - an object of the kernel place, as one handle has it: a name, its message queues
 * (memory/queue.h), and a lock file that says who has it open. What goes through the queues is
 * channel.h's.
 *
 * Names are made and taken away as those of objects in memory are (memory/names.h). A user holds the
 * lock of one byte of the lock file. Queues do not go by themselves, so a transient object is taken
 * away by whoever closes it last, or, when the last ones died, by the next one who comes by: under a
 * lock of all those bytes, so that nobody can come in meanwhile (memory/recovery.c).
 */
#ifndef YK_PLACE_QUEUES_H
#define YK_PLACE_QUEUES_H

#include "memory/object.h"
#include "memory/queue.h"
#include "queue_limits.h"

struct yk_queues_plan {
    enum yk_kind kind;
    const char *name;
    uint32_t flags; /* YOKE_CREATE, YOKE_EXCLUSIVE, YOKE_KEPT */
    uint32_t mode;
    int64_t group;
    uint32_t participants, priorities;
    int32_t seat; /* the only byte to lock, or YK_ANY_SEAT */
    struct yk_queue_size size;
};

struct yk_queues {
    struct yk_record record; /* checked, and this handle's own */
    char entry[YK_ENTRY_MAX];
    char directory[256];
    int fds[YK_QUEUES_MAX]; /* -1: none */
    uint64_t depth, message_size;
    struct yk_guarded_fd lock; /* of the lock file; its description holds the byte `slot` */
    int32_t seat;
    uint32_t slot;
    yk_atomic64 fork_stamp; /* the process that `slot` belongs to */
};

/* Looks for it and opens it; with YOKE_CREATE makes it if there is none. */
int yk_queues_open(struct yk_queues *queues, const struct yk_queues_plan *plan);

/* In a forked child: a byte of its own. Under yk_process_lock(); the caller sets `fork_stamp`. */
int yk_queues_rejoin(struct yk_queues *queues);

/* Did this very process open it, or rejoin? */
static inline bool yk_queues_joined(const struct yk_queues *queues)
{
    /* SYNC queues.joined acquire: another thread of a forked child may just have joined afresh */
    return yk_load_acquire(&queues->fork_stamp) == yk_fork_stamp();
}

/* Lets go, and takes the name away when this was the last user of a transient object. */
void yk_queues_close(struct yk_queues *queues);

#endif
