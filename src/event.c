/*
 * event.c - the event in a region: a count of notifications, and a bell.
 *
 *   opaque[0]  count     opaque[1]  bell (its low half), see region.h
 *
 * One atomic addition is the notification. A waiter compares the count with what it has seen, so
 * nothing can be missed between two waits; who dies between the addition and the bell delays
 * sleepers by 100 ms at most.
 */
#include <errno.h>

#include "base/error.h"
#include "region.h"

struct shm_event {
    yk_atomic64
        /*
         * added to by who notifies (seq_cst: SYNC region.bell); read by all; a crash leaves nothing
         * to repair
         */
        count;
    yk_atomic32 bell;
    uint32_t pad;
    uint64_t reserved[2];
};
_Static_assert(sizeof(struct shm_event) == sizeof(yoke_event), "the public size");

struct watch {
    struct shm_event *event;
    uint64_t *seen;
};

static int attempt(yoke_region *region, void *context, bool thorough)
{
    struct watch *watch = context;
    uint64_t count = yk_load_seq(&watch->event->count); /* seq: SYNC region.bell */
    (void)region;
    (void)thorough;
    if (count == *watch->seen)
        return 0;
    *watch->seen = count;
    return 1;
}

YOKE_API int yoke_event_notify(yoke_region *region, yoke_event *event)
{
    int result = yk_region_enter(region, event, sizeof *event);
    if (result < 0)
        return result;
    struct shm_event *shm = (struct shm_event *)event;
    yk_add_seq(&shm->count, 1);
    yk_bell_ring(&shm->bell);
    return 0;
}

YOKE_API int yoke_event_wait(yoke_region *region, yoke_event *event, uint64_t *seen,
                             int64_t timeout_ns)
{
    int result = yk_region_enter(region, event, sizeof *event);
    if (result < 0)
        return result;
    if (!seen)
        return yk_fail(EINVAL, "seen is NULL: the call can not know what is new to its caller");
    struct watch watch = {(struct shm_event *)event, seen};
    result = yk_region_wait(region, &watch.event->bell, attempt, &watch, timeout_ns);
    return result < 0 ? result : 0;
}

YOKE_API uint64_t yoke_event_count(yoke_region *region, const yoke_event *event)
{
    if (yk_region_enter(region, event, sizeof *event) < 0)
        return 0;
    return yk_load_seq(&((const struct shm_event *)event)->count);
}
