/*
 * lock.c - the robust lock in a region.
 *
 *   opaque[0]  word: generation of the slot 32 | thread id 22 | slot 10; 0 is free
 *   opaque[1]  bell (its low half), see region.h
 *
 * field | written by              | read | order          | a crash leaves
 * ------+-------------------------+------+----------------+--------------------------------------
 * word  | taker: 0, or a dead     | all  | CAS seq_cst,   | the dead one's signature: the next
 *       | one's -> its own;       |      | SYNC lock.take | taker proves the death, takes it
 *       | holder: its own -> 0    |      |                | over, and is told
 * bell  | waiters (or), who       | all  | seq_cst, see   | a set bit: one futile wake; not
 *       | releases (CAS)          |      | region.h       | rung: sleepers look again within
 *       |                         |      |                | 100 ms
 *
 * One compare-and-swap takes the lock, one releases it: there is no moment in which it is taken and
 * unsigned. A death is proved by the kernel (memory/participant.c), never guessed. A lock that was
 * held when its handle was closed counts as its owner's death, since the slot's generation is over.
 */
#include <errno.h>

#include "base/error.h"
#include "base/sys.h"
#include "region.h"

struct shm_lock {
    yk_atomic64 word;
    yk_atomic32 bell;
    uint32_t pad;
    uint64_t reserved[2];
};
_Static_assert(sizeof(struct shm_lock) == sizeof(yoke_lock), "the public size");

enum taken {
    TAKEN_FREE = 1,
    TAKEN_FROM_DEAD = 2,
};

/* Asked for once a thread, and again in a forked child. */
static uint32_t thread_id(void)
{
    static _Thread_local uint64_t stamp;
    static _Thread_local uint32_t id;
    if (stamp != yk_fork_stamp()) {
        id = (uint32_t)yk_sys_thread_id();
        stamp = yk_fork_stamp();
    }
    return id;
}

static uint64_t my_word(const yoke_region *region)
{
    /* thread ids are below 2^22 (PID_MAX_LIMIT) */
    return region->holder | ((uint64_t)thread_id() << YK_HOLDER_THREAD & YK_HOLDER_THREADS);
}

static int attempt(yoke_region *region, void *context, bool thorough)
{
    struct shm_lock *lock = context;
    uint64_t word = yk_load_seq(&lock->word), mine = my_word(region); /* seq: SYNC region.bell */
    if (word == mine)
        return -EDEADLK;
    bool dead = word != 0 && thorough && yk_holder_is_dead(region, word & ~YK_HOLDER_THREADS);
    if (word != 0 && !dead)
        return 0;
    if (!yk_cas_seq(&lock->word, &word, mine)) /* SYNC lock.take acquire */
        return 0;
    return dead ? TAKEN_FROM_DEAD : TAKEN_FREE;
}

YOKE_API int yoke_lock_acquire(yoke_region *region, yoke_lock *lock, int64_t timeout_ns)
{
    int result = yk_region_enter(region, lock, sizeof *lock);
    if (result < 0)
        return result;
    struct shm_lock *shm = (struct shm_lock *)lock;
    result = yk_region_wait(region, &shm->bell, attempt, shm, timeout_ns);
    if (result == -EDEADLK)
        return yk_fail(EDEADLK, "this thread holds the lock at %p in region:%s already",
                       (void *)lock, region->object.fixed.name);
    return result < 0 ? result : result == TAKEN_FREE ? YOKE_LOCKED : YOKE_OWNER_DIED;
}

YOKE_API int yoke_lock_release(yoke_region *region, yoke_lock *lock)
{
    int result = yk_region_enter(region, lock, sizeof *lock);
    if (result < 0)
        return result;
    struct shm_lock *shm = (struct shm_lock *)lock;
    uint64_t mine = my_word(region), word = mine;
    if (!yk_cas_seq(&shm->word, &word, 0)) /* SYNC lock.take release */
        return yk_fail(EPERM,
                       "this thread does not hold the lock at %p in region:%s through this handle",
                       (void *)lock, region->object.fixed.name);
    yk_bell_ring(&shm->bell);
    return 0;
}
