/*
 * region.h - a region's handle, and what its locks, semaphores and events share.
 */
#ifndef YK_REGION_H
#define YK_REGION_H

#include "memory/object.h"
#include "yoke.h"

struct yoke_region {
    struct yk_object object; /* first: the kind's callbacks get it */
    uint64_t holder;         /* how this handle signs what it holds */
    int64_t spin_ns;
};

/*
 * Begin of a call: checks handle, fork, and that `size` bytes at `what` lie in the region, 8-byte
 * aligned.
 */
int yk_region_enter(yoke_region *region, const void *what, size_t size);

/*
 * Who holds something in a region's memory signs with 64 bits, never 0: the generation of its slot
 * (32, never 0) | free for the thread's id (22) | slot (10). Once the slot has another generation, or
 * its lock is free, the holder is gone. Is it? Proves it. (A signature comes again after 2^32 joins
 * of one slot: at a microsecond each, an hour of nothing else while nobody looks at the lock.)
 */
#define YK_HOLDER_GENERATION 32
#define YK_HOLDER_THREAD     10
#define YK_HOLDER_THREADS    (((UINT64_C(1) << 22) - 1) << YK_HOLDER_THREAD)
bool yk_holder_is_dead(yoke_region *region, uint64_t holder);

/*
 * Sleeping on a word in the region. The word counts changes, its lowest bit says that somebody may
 * sleep.
 *
 * A waiter sets the bit, looks whether it may go on, and if not sleeps. Who changed something calls
 * yk_bell_ring(): one load while nobody sleeps. The state that is looked at and the bell are
 * accessed seq_cst, so either the waiter sees the change or the other sees the bit
 * (SYNC region.bell).
 */
void yk_bell_ring(yk_atomic32 *bell);

/*
 * What a waiting call tries: 0 not yet, else its result. `thorough` before sleeping: whether what
 * stands in the way belongs to a dead one, too.
 */
typedef int (*yk_region_attempt)(yoke_region *region, void *context, bool thorough);

/*
 * Tries, spins, sleeps (100 ms at most at a time, so that deaths are noticed) until the attempt is
 * not 0 or time is over.
 */
int yk_region_wait(yoke_region *region, yk_atomic32 *bell, yk_region_attempt attempt, void *context,
                   int64_t timeout_ns);

#endif
