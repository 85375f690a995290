/*
 * object.h - one process's hold on one shared object: memory, name, and its place among the
 * participants.
 *
 * An object's life: yk_object_open() finds it or makes it and joins; every call on a handle first
 * calls yk_object_enter(), which notices a fork and joins afresh; yk_object_close() leaves and
 * detaches.
 */
#ifndef YK_MEMORY_OBJECT_H
#define YK_MEMORY_OBJECT_H

#include <pthread.h>
#include <sys/single_threaded.h>

#include "base/fork.h"
#include "memory/names.h"

struct yk_object;

/* What a kind adds to an object. */
struct yk_kind_operations {
    /*
     * Checks the kind's part of a freshly attached (or made) object and sets up the private view;
     * undone by unprepare.
     */
    int (*prepare)(struct yk_object *object);
    void (*unprepare)(struct yk_object *object);
    /*
     * Gives back what participant `slot` held, wakes who waits for it. The caller holds its lock,
     * or is it. Returns how many messages it gave back, which is only told.
     */
    uint64_t (*recover)(struct yk_object *object, uint32_t slot);
    /* This process has a new slot (joined, or joined afresh after a fork). */
    void (*joined)(struct yk_object *object);
    /* Looks for what else may have ended, whenever somebody looks for the dead. May be NULL. */
    bool (*look)(struct yk_object *object);
};

#define YK_ANY_SEAT       (-1)
#define YK_NOT_FIRST_SEAT (-2) /* any but slot 0, which is its owner's */

/* What to look for, and what to make when it is not there. */
struct yk_object_plan {
    enum yk_kind kind;
    const char *name;
    uint32_t flags; /* YOKE_CREATE … */
    uint32_t mode;  /* 0: 0600 */
    int64_t group;
    uint32_t participants;
    int32_t seat;        /* the slot to take, YK_ANY_SEAT or YK_NOT_FIRST_SEAT */
    uint64_t body_bytes; /* what the segment holds behind the slots */
    uint64_t body_size;  /* what the user asked for */
    bool reserve;
    const char *smaller; /* which options make it smaller, or NULL: for a sentence */
    const void *details; /* goes into yk_shm_fixed.details */
    size_t details_size;
    const struct yk_kind_operations *operations;
};

struct yk_object {
    void *base;
    uint64_t size;
    int segment;
    bool read_only;
    bool created;              /* by this handle */
    bool anonymous;            /* in a memory file, without a name */
    struct yk_shm_fixed fixed; /* the checked private copy */
    const struct yk_kind_operations *operations;
    struct yk_guarded_fd
        lock;     /* of the lock file; its description holds the byte of our slot. -1: read-only */
    int32_t seat; /* as planned: which slots this handle may take */
    uint32_t slot;
    uint64_t generation;
    yk_atomic64 fork_stamp; /* the process that `slot` belongs to: SYNC object.joined */
    yk_atomic64 counting;   /* the thread that counts; 0: none yet, YK_MANY_THREADS: several did */
    yk_atomic32 cancelled;
    yk_atomic32 visitors;  /* threads inside waiting calls */
    pthread_mutex_t mutex; /* cold paths: one thread at a time recovers through `lock` */
    char directory[256];
};

/*
 * Looks for the object and attaches it; with YOKE_CREATE makes it if there is none. Fills in
 * *object.
 */
int yk_object_open(struct yk_object *object, const struct yk_object_plan *plan);

/*
 * Without names (anonymous.c). Makes an object in a sealed memory file, and for each of its seats a
 * descriptor: an open description of its own, which locks the seat's handle byte. Whoever has the
 * descriptor may take the seat, one process at a time; when the last copy of it is closed before
 * anybody did, nobody ever will.
 */
int yk_object_create_anonymous(const struct yk_object_plan *plan, int ret_descriptors[2]);
/* What such a descriptor leads to, as its header says; `otherwise` where there is none; or an error. */
int yk_anonymous_kind(int descriptor, enum yk_kind otherwise);
/* Attaches by such a descriptor, which stays the caller's, and takes its seat. -EADDRINUSE … */
int yk_object_open_anonymous(struct yk_object *object, int descriptor,
                             const struct yk_object_plan *plan);

/* The last steps of opening, and the opposite of the ones before: for object.c and anonymous.c. */
int yk_object_join(struct yk_object *object);
void yk_object_detach(struct yk_object *object);
void yk_object_prepare_handle(struct yk_object *object, const struct yk_object_plan *plan);
/* The header of a new object, up to `ready`. */
void yk_object_fill_header(struct yk_object *object, const struct yk_object_plan *plan,
                           const struct yk_shm_fixed *own);
uint64_t yk_object_body_offset(uint32_t participants);

/* Leaves, detaches, and takes the name away when this was the last user of a transient object. */
void yk_object_close(struct yk_object *object);

/* Permission bits and group that an object may have: 0 or -EINVAL. */
int yk_access_check(uint32_t mode, int64_t group);

int yk_object_remove(enum yk_kind kind, const char *name);

/* Begin of every call on a handle: 0, or the error of joining afresh after a fork. */
int yk_object_rejoin(struct yk_object *object);

static inline int yk_object_enter(struct yk_object *object)
{
    /* SYNC object.joined acquire: another thread of a forked child may just have joined afresh */
    if (yk_likely(yk_load_acquire(&object->fork_stamp) == yk_fork_stamp()))
        return 0;
    return yk_object_rejoin(object);
}

static inline struct yk_shm_header *yk_object_header(const struct yk_object *object)
{
    return object->base;
}

static inline struct yk_shm_slot *yk_object_slot(const struct yk_object *object, uint32_t slot)
{
    return (struct yk_shm_slot *)((unsigned char *)object->base + YK_PAGE) + slot;
}

#define YK_MANY_THREADS 1u

/*
 * Is the calling thread the only one that ever counted through this handle? relaxed: it is the only
 * writer of its own name; the first call of a second thread may lose what the first is just adding.
 */
static inline bool yk_counts_alone(struct yk_object *object)
{
    if (yk_likely(__libc_single_threaded))
        return true;
    uint64_t me = (uint64_t)(uintptr_t)pthread_self(), who = yk_load_relaxed(&object->counting);
    if (who == me)
        return true;
    yk_store_relaxed(&object->counting, who == 0 ? me : YK_MANY_THREADS);
    return who == 0;
}

/* For stat; relaxed: nothing follows from it. Returns the count as it was. */
static inline uint64_t yk_count(yk_atomic64 *counter, uint64_t more, bool alone)
{
    if (!alone)
        return yk_add_seq(counter, more);
    uint64_t before = yk_load_relaxed(counter);
    yk_store_relaxed(counter, before + more);
    return before;
}

static inline unsigned char *yk_object_body(const struct yk_object *object)
{
    return (unsigned char *)object->base + object->fixed.body_offset;
}

/* Copies and checks what a segment begins with: 0, -EPROTO or -EPROTONOSUPPORT. */
int yk_fixed_check(const struct yk_shm_fixed *fixed, uint64_t true_size, uint32_t kind);

/* ---- participants (participant.c) ---- */

/* Takes a free slot, recovering a dead one's if need be. -ENOSPC; a seat's: -EADDRINUSE. */
int yk_participant_join(struct yk_object *object);

/* Gives up the slot cleanly. */
void yk_participant_leave(struct yk_object *object);

/*
 * Is the participant that had `slot` in `generation` dead (or has it left)? Proves it; changes
 * nothing.
 */
bool yk_participant_is_dead(const struct yk_object *object, uint32_t slot, uint64_t generation);

/*
 * The bytes of the lock file: one says that the slot's owner lives, the other that its slot is
 * being recovered or claimed.
 */
#define YK_LIFE_BYTE(slot)     ((off_t)(slot))
#define YK_RECOVERY_BYTE(slot) ((off_t)(slot) + 4096)
/* Of a seat of an anonymous object: somebody has a descriptor for it. */
#define YK_HANDLE_BYTE(slot) ((off_t)(slot) + 8192)

/* ---- repairing what the dead left (recovery.c) ---- */

/* What the slot's dead owner held is given back. The caller holds the slot's recovery byte. */
void yk_recover_owner(struct yk_object *object, uint32_t slot);

/* Looks at every used slot, and recovers the dead ones'. Returns how many. */
uint32_t yk_recover_dead(struct yk_object *object);

/* The same if nobody has looked for 50 ms; cheap enough for every call that found nothing. */
uint32_t yk_recover_dead_sometimes(struct yk_object *object);

/*
 * How long a sleeper may sleep now so that somebody has looked at least every 100 ms: less than that
 * when somebody else looked last, since that was some time ago.
 */
int64_t yk_recovery_slice(const struct yk_object *object);

/*
 * Under the name's lock: undoes or finishes what an intent says. 0: there is none (any more);
 * -EBUSY with a sentence: it can not be finished now. One of another IPC namespace, whose memory can
 * only be reached from there, is put aside for whoever comes there, and so in nobody's way.
 */
int yk_recover_intent(const struct yk_directory *directory, const struct yk_directory *intents,
                      const char *entry);

/*
 * Takes a published name away, if its object is `nonce` (0: any) and, with only_dead, gone. Locks
 * the name itself, waiting up to patience_ns.
 */
int yk_name_retire(const struct yk_directory *directory, const char *entry, uint64_t nonce,
                   bool only_dead, int64_t patience_ns);

/*
 * Finishes the interrupted creations and removals of this process's user; and, at most once a second a
 * process, everybody's, as far as it may, and reaps dead names.
 */
void yk_recover_names(const struct yk_directory *directory);
/* Only what is done at most once a second. */
void yk_recover_names_sometimes(const struct yk_directory *directory);

#endif
