/*
 * region.c - shared memory for the user, and sleeping in it.
 */
#include "region.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/sys.h"
#include "base/trace.h"
#include "wait.h"

#define SLEEPERS    UINT32_C(1)
#define GENERATIONS UINT32_MAX
#define SPIN_NS     5000

/*
 * A region has no state of yoke's own to give back: locks and units name their holder, and whoever
 * wants them looks.
 */
static uint64_t recover(struct yk_object *object, uint32_t slot)
{
    (void)object;
    (void)slot;
    return 0;
}

static uint64_t sign(uint32_t slot, uint64_t generation)
{
    return (generation % GENERATIONS + 1) << YK_HOLDER_GENERATION | slot;
}

static void joined(struct yk_object *object)
{
    yoke_region *region = (yoke_region *)object;
    region->holder = sign(object->slot, object->generation);
    region->spin_ns = yk_default_spin() > 0 ? SPIN_NS : 0;
}

static int prepare(struct yk_object *object)
{
    (void)object;
    return 0;
}

static void unprepare(struct yk_object *object)
{
    (void)object;
}

static const struct yk_kind_operations operations = {
    .prepare = prepare,
    .unprepare = unprepare,
    .recover = recover,
    .joined = joined,
};

static int open_region(yoke_region **ret_region, const struct yk_object_plan *plan)
{
    yoke_region *region = yk_sys_allocate(1, sizeof *region);
    if (!region)
        return yk_fail(ENOMEM, "no memory for a region's handle");
    int result = yk_object_open(&region->object, plan);
    if (result == 0 && plan->body_size != 0 && region->object.fixed.body_size != plan->body_size) {
        result = yk_fail(EEXIST, "region:%s exists already, with %llu bytes instead of %llu",
                         plan->name, (unsigned long long)region->object.fixed.body_size,
                         (unsigned long long)plan->body_size);
        yk_object_close(&region->object);
    }
    if (result < 0)
        free(region);
    else
        *ret_region = region;
    return result;
}

static int check_options(const struct yoke_region_options *options)
{
    uint32_t known = YOKE_EXCLUSIVE | YOKE_KEPT | YOKE_HUGE | YOKE_POPULATE | YOKE_SPARSE;
    if (options->struct_size != sizeof *options || options->reserved != 0)
        return yk_fail(
            EINVAL,
            "the options were not initialised with YOKE_REGION_OPTIONS_INIT (struct_size %zu, "
            "reserved %u)",
            options->struct_size, options->reserved);
    if (options->flags & ~(known | YOKE_CREATE))
        return yk_fail(EINVAL, "flags 0x%x are not known here", options->flags & ~known);
    if (options->participants > YOKE_PARTICIPANTS_MAX)
        return yk_fail(EINVAL, "%u participants are more than %d", options->participants,
                       YOKE_PARTICIPANTS_MAX);
    return 0;
}

YOKE_API int yoke_region_create(yoke_region **ret_region, const char *name, size_t size,
                                const struct yoke_region_options *options)
{
    static const struct yoke_region_options defaults = YOKE_REGION_OPTIONS_INIT;
    if (!options)
        options = &defaults;
    if (!ret_region)
        return yk_fail(EINVAL, "ret_region is NULL: there is nowhere to put the result");
    int result = check_options(options);
    if (result < 0)
        return result;
    if (size == 0 || size > (UINT64_C(1) << 46))
        return yk_fail(EINVAL, "a region of %zu bytes: 1 to 2^46 (64 TiB) can be had", size);
    struct yk_object_plan plan = {
        .kind = YK_KIND_REGION,
        .name = name,
        .flags = options->flags | YOKE_CREATE,
        .mode = options->mode,
        .group = options->group,
        .participants = options->participants ? options->participants : 128,
        .seat = YK_ANY_SEAT,
        .body_bytes = size,
        .body_size = size,
        .reserve = !(options->flags & YOKE_SPARSE),
        .operations = &operations,
    };
    return open_region(ret_region, &plan);
}

YOKE_API int yoke_region_open(yoke_region **ret_region, const char *name, uint32_t flags)
{
    if (!ret_region)
        return yk_fail(EINVAL, "ret_region is NULL: there is nowhere to put the result");
    if (flags & ~YOKE_READ_ONLY)
        return yk_fail(EINVAL, "flags 0x%x are not known here", flags & ~YOKE_READ_ONLY);
    struct yk_object_plan plan = {
        .kind = YK_KIND_REGION,
        .name = name,
        .flags = flags,
        .seat = YK_ANY_SEAT,
        .operations = &operations,
    };
    return open_region(ret_region, &plan);
}

YOKE_API void *yoke_region_data(yoke_region *region)
{
    return yk_object_body(&region->object);
}

YOKE_API size_t yoke_region_size(yoke_region *region)
{
    return region->object.fixed.body_size;
}

YOKE_API int yoke_region_cancel(yoke_region *region)
{
    if (!region)
        return yk_fail(EINVAL, "the region is NULL");
    yk_store32_release(&region->object.cancelled, 1); /* sleepers look at it within a slice */
    return 0;
}

YOKE_API int yoke_region_close(yoke_region *region)
{
    if (!region)
        return 0;
    if (yk_load_relaxed(&region->object.fork_stamp) == yk_fork_stamp()) {
        yoke_region_cancel(region);
        yk_wait_for_visitors(&region->object);
    }
    yk_object_close(&region->object);
    free(region);
    return 0;
}

YOKE_API int yoke_region_remove(const char *name)
{
    return yk_object_remove(YK_KIND_REGION, name);
}

/* ---- for what lives in it ---- */

int yk_region_enter(yoke_region *region, const void *what, size_t size)
{
    if (yk_unlikely(!region))
        return yk_fail(EINVAL, "the region is NULL");
    int result = yk_object_enter(&region->object);
    if (result < 0)
        return result;
    if (yk_unlikely(region->object.read_only))
        return yk_fail(
            EACCES,
            "region:%s is attached read-only: its locks, semaphores and events need write access",
            region->object.fixed.name);
    uintptr_t begin = (uintptr_t)yk_object_body(&region->object), at = (uintptr_t)what;
    uint64_t room = region->object.fixed.body_size;
    if (yk_unlikely(at < begin || at % 8 != 0 || size > room || at - begin > room - size))
        return yk_fail(EINVAL, "%p (%zu bytes) is not an 8-byte aligned place in region:%s", what,
                       size, region->object.fixed.name);
    return 0;
}

bool yk_holder_is_dead(yoke_region *region, uint64_t holder)
{
    uint32_t number = (uint32_t)(holder & ((UINT64_C(1) << YK_HOLDER_GENERATION) - 1));
    struct yk_object *object = &region->object;
    if (number >= object->fixed.participants)
        return true;
    uint64_t word =
        yk_load_acquire(&yk_object_slot(object, number)->word); /* SYNC slot.claim acquire */
    if (sign(number, word >> 1) != holder)
        return true;
    return yk_participant_is_dead(object, number, word >> 1);
}

void yk_bell_ring(yk_atomic32 *bell)
{
    uint32_t heard = yk_load32_seq(bell); /* SYNC region.bell */
    if (yk_likely((heard & SLEEPERS) == 0))
        return;
    /*
     * One try: if it fails, somebody else rang, or somebody new listens and will look for himself.
     */
    if (yk_cas32_seq(bell, &heard, (heard + 2) & ~SLEEPERS))
        yk_sys_futex_wake(bell, INT_MAX);
}

static int sleep_on(yoke_region *region, const yk_atomic32 *bell, uint32_t heard, int64_t deadline)
{
    if (yk_load32_seq(&region->object.cancelled))
        return -ECANCELED;
    int64_t left = deadline == INT64_MAX ? YK_SLICE : deadline - yk_now();
    if (left <= 0)
        return -ETIMEDOUT;
    return yk_sys_futex_wait(bell, heard, left < YK_SLICE ? left : YK_SLICE) == -EINTR ? -EINTR : 0;
}

static int spin(yoke_region *region, yk_region_attempt attempt, void *context)
{
    if (region->spin_ns == 0)
        return 0;
    int64_t end = yk_now() + region->spin_ns;
    do {
        for (int i = 0; i < 16; i++) {
            int result = attempt(region, context, false);
            if (result != 0)
                return result;
            yk_pause();
        }
    } while (yk_now() < end);
    return 0;
}

static int wait_until(yoke_region *region, yk_atomic32 *bell, yk_region_attempt attempt,
                      void *context, int64_t deadline)
{
    int result = spin(region, attempt, context);
    while (result == 0) {
        uint32_t heard = yk_or32_seq(bell, SLEEPERS) | SLEEPERS; /* SYNC region.bell */
        result = attempt(region, context, true);
        if (result != 0)
            return result;
        result = sleep_on(region, bell, heard, deadline);
    }
    int last = result == -ETIMEDOUT ? attempt(region, context, true) : 0;
    return last != 0 ? last : result;
}

int yk_region_wait(yoke_region *region, yk_atomic32 *bell, yk_region_attempt attempt, void *context,
                   int64_t timeout_ns)
{
    struct yk_object *object = &region->object;
    if (timeout_ns < YOKE_FOREVER)
        return yk_bad_timeout(timeout_ns);
    int result = attempt(region, context, timeout_ns == 0);
    if (result != 0 || timeout_ns == 0)
        return result != 0 ? result : -EAGAIN;
    yk_visit_begin(object);
    YK_TRACE_OBJECT(wait_begin, object, timeout_ns);
    result = yk_load32_seq(&object->cancelled)
                 ? -ECANCELED
                 : wait_until(region, bell, attempt, context, yk_deadline(timeout_ns));
    YK_TRACE_OBJECT(wait_end, object, result, YK_WAIT_RECEIVE);
    yk_visit_end(object);
    return result;
}
