/*
 * semaphore.c - the semaphore in a region: each unit is a word that names its holder.
 *
 * One compare-and-swap takes a unit and signs it, one gives it back: a process that dies at any
 * instruction leaves a unit either free or signed by a dead one, which the next who finds none free
 * proves and takes. A plain counter could not tell.
 *
 * field | written by                | read   | order           | a crash leaves
 * ------+---------------------------+--------+-----------------+------------------------------
 * units | init                      | all    | release/acquire | 0: not initialised: -EINVAL
 * hint  | who takes or gives back   | takers | relaxed         | anything: where to begin
 * bell  | as in region.h            | all    | seq_cst         | one futile wake
 * unit  | taker 0 or dead one's ->  | all    | CAS seq_cst     | a dead one's signature: the
 *       | own; holder own -> 0      |        | (semaphore.take)| next who finds none free
 *       |                           |        |                 | proves it, and takes over
 */
#include <errno.h>

#include "base/error.h"
#include "region.h"

struct yoke_semaphore {
    yk_atomic32 units;
    yk_atomic32 hint;
    yk_atomic32 bell;
    uint32_t pad[5];
    yk_atomic64 unit[];
};
_Static_assert(sizeof(struct yoke_semaphore) == YOKE_SEMAPHORE_SIZE(0), "the public size");

/* Checks the call; returns the number of units (read once), or an error. */
static int enter(yoke_region *region, yoke_semaphore *semaphore)
{
    int result = yk_region_enter(region, semaphore, YOKE_SEMAPHORE_SIZE(1));
    if (result < 0)
        return result;
    uint32_t units = yk_load32_acquire(&semaphore->units);
    if (units == 0 || units > YOKE_SEMAPHORE_UNITS_MAX)
        return yk_fail(EINVAL, "there is no initialised semaphore at %p in region:%s (units: %u)",
                       (void *)semaphore, region->object.fixed.name, units);
    result = yk_region_enter(region, semaphore, YOKE_SEMAPHORE_SIZE(units));
    return result < 0 ? result : (int)units;
}

YOKE_API int yoke_semaphore_init(yoke_region *region, yoke_semaphore *semaphore, uint32_t units)
{
    if (units == 0 || units > YOKE_SEMAPHORE_UNITS_MAX)
        return yk_fail(EINVAL, "a semaphore of %u units: 1 to %u can be had", units,
                       YOKE_SEMAPHORE_UNITS_MAX);
    int result = yk_region_enter(region, semaphore, YOKE_SEMAPHORE_SIZE(units));
    if (result < 0)
        return result;
    yk_store32_relaxed(&semaphore->hint, 0);
    yk_store32_relaxed(&semaphore->bell, 0);
    for (uint32_t i = 0; i < units; i++)
        yk_store_relaxed(&semaphore->unit[i], 0);
    yk_store32_release(&semaphore->units, units);
    return 0;
}

struct taking {
    yoke_semaphore *semaphore;
    uint32_t units;
};

static bool take_unit(yoke_region *region, yoke_semaphore *semaphore, uint32_t index,
                      uint64_t holder)
{
    if (!yk_cas_seq(&semaphore->unit[index], &holder,
                    region->holder)) /* SYNC semaphore.take acquire */
        return false;
    yk_store32_relaxed(&semaphore->hint, index + 1);
    return true;
}

/* One walk for a free unit; a thorough one also asks whether the holders live. */
static int attempt(yoke_region *region, void *context, bool thorough)
{
    struct taking *taking = context;
    yoke_semaphore *semaphore = taking->semaphore;
    uint32_t first = yk_load32_relaxed(&semaphore->hint);
    uint64_t alive = 0;
    for (uint32_t i = 0; i < taking->units; i++) {
        uint32_t index = (first % taking->units + i) % taking->units;
        uint64_t holder = yk_load_seq(&semaphore->unit[index]); /* seq: SYNC region.bell */
        if (holder == 0 && take_unit(region, semaphore, index, 0))
            return 1;
        if (!thorough || holder == 0 || holder == alive || holder == region->holder)
            continue;
        if (yk_holder_is_dead(region, holder) && take_unit(region, semaphore, index, holder))
            return 1;
        alive = holder; /* neighbours often have the same holder */
    }
    return 0;
}

YOKE_API int yoke_semaphore_acquire(yoke_region *region, yoke_semaphore *semaphore,
                                    int64_t timeout_ns)
{
    int units = enter(region, semaphore);
    if (units < 0)
        return units;
    struct taking taking = {semaphore, (uint32_t)units};
    int result = yk_region_wait(region, &semaphore->bell, attempt, &taking, timeout_ns);
    return result < 0 ? result : 0;
}

YOKE_API int yoke_semaphore_release(yoke_region *region, yoke_semaphore *semaphore)
{
    int units = enter(region, semaphore);
    for (int i = 0; i < units; i++) {
        uint64_t holder = region->holder;
        if (yk_load_relaxed(&semaphore->unit[i]) != holder ||
            !yk_cas_seq(&semaphore->unit[i], &holder, 0))
            continue;
        /* SYNC semaphore.take release: by the CAS above */
        yk_store32_relaxed(&semaphore->hint, (uint32_t)i);
        yk_bell_ring(&semaphore->bell);
        return 0;
    }
    return units < 0
               ? units
               : yk_fail(EPERM, "this handle holds no unit of the semaphore at %p in region:%s",
                         (void *)semaphore, region->object.fixed.name);
}

YOKE_API int yoke_semaphore_value(yoke_region *region, yoke_semaphore *semaphore)
{
    int units = enter(region, semaphore), free = 0;
    for (int i = 0; i < units; i++) {
        uint64_t holder = yk_load_acquire(&semaphore->unit[i]);
        free += holder == 0 || (holder != region->holder && yk_holder_is_dead(region, holder));
    }
    return units < 0 ? units : free;
}
