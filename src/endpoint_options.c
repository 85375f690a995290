/*
 * endpoint_options.c - see endpoint_options.h.
 */
#include "endpoint_options.h"

#include <errno.h>

#include "base/error.h"
#include "memory/names.h"
#include "ring/port_ring.h"

#define CREATING (YOKE_EXCLUSIVE | YOKE_KEPT | YOKE_HUGE | YOKE_POPULATE | YOKE_SPARSE)

#define RESERVE_MOST (UINT64_C(64) << 20)

bool yk_options_reserve(uint32_t flags, uint64_t bytes)
{
    return (bytes <= RESERVE_MOST && !(flags & YOKE_SPARSE)) ||
           (flags & (YOKE_POPULATE | YOKE_HUGE)) != 0;
}

static int check_flags(enum yk_kind kind, uint32_t flags)
{
    uint32_t known = YOKE_CREATE | YOKE_PARKED | CREATING;
    if (kind == YK_KIND_STREAM)
        known |= YOKE_READ | YOKE_WRITE;
    else if (flags & (YOKE_READ | YOKE_WRITE))
        return yk_fail(EINVAL, "flags 0x%x: a %s is for both ways, only a stream has two ends",
                       flags & (YOKE_READ | YOKE_WRITE), yk_kind_name(kind));
    if (flags & YOKE_READ_ONLY)
        return yk_fail(
            ENOTSUP,
            "a %s can not be opened read-only: to look at it without taking part, use yoke stat",
            yk_kind_name(kind));
    if (flags & ~known)
        return yk_fail(EINVAL, "flags 0x%x are not known here", flags & ~known);
    if ((flags & CREATING) && !(flags & YOKE_CREATE))
        return yk_fail(EINVAL, "flags 0x%x mean something only together with YOKE_CREATE", flags);
    return 0;
}

/* What only ports have. */
static int check_link(uint32_t flags, const struct yoke_options *options)
{
    if ((flags & YOKE_PARKED) || options->max_parked != 0)
        return yk_fail(ENOTSUP, "a link parks no messages: one that was delivered max_deliveries "
                                "times is dropped and counted");
    if (options->max_borrowed != 0)
        return yk_fail(ENOTSUP, "%u messages borrowed at once: a link is bounded by its depth",
                       options->max_borrowed);
    if (options->priorities > 1)
        return yk_fail(ENOTSUP, "%u priorities: a link has one, a port can have more",
                       options->priorities);
    if (options->participants != 0 && options->participants != 2)
        return yk_fail(EINVAL, "%u participants: a link has two", options->participants);
    return 0;
}

/* What has no messages has nothing of theirs. */
static int check_stream(uint32_t flags, const struct yoke_options *options)
{
    if ((flags & YOKE_PARKED) || options->depth || options->max_message || options->priorities ||
        options->policy || options->max_deliveries || options->max_parked || options->max_borrowed)
        return yk_fail(ENOTSUP, "a stream has bytes, not messages: of what it holds only "
                                "yoke_options.capacity can be said");
    if (options->as)
        return yk_fail(ENOTSUP, "a stream does not belong to peers: '%.100s' can not be one end",
                       options->as);
    if (options->participants > YOKE_PARTICIPANTS_MAX)
        return yk_fail(EINVAL, "%u participants are more than %d", options->participants,
                       YOKE_PARTICIPANTS_MAX);
    if (options->capacity > YOKE_STREAM_CAPACITY_MAX)
        return yk_fail(EINVAL, "a stream of %zu bytes: %llu are the most", options->capacity,
                       (unsigned long long)YOKE_STREAM_CAPACITY_MAX);
    return 0;
}

int yk_options_check(enum yk_kind kind, uint32_t flags, const struct yoke_options *options)
{
    int result = check_flags(kind, flags);
    if (result < 0)
        return result;
    if (options->struct_size != sizeof *options)
        return yk_fail(EINVAL,
                       "the options were not initialised with YOKE_OPTIONS_INIT (struct_size %zu)",
                       options->struct_size);
    if (options->spin_ns < -1)
        return yk_fail(EINVAL, "spin_ns %lld is neither -1 (the default) nor a time",
                       (long long)options->spin_ns);
    if (options->policy > YOKE_POLICY_ONCE)
        return yk_fail(EINVAL, "policy %u is not one of yoke's", options->policy);
    if (options->depth > 1u << 20)
        return yk_fail(EINVAL, "a depth of %u is more than %u", options->depth, 1u << 20);
    if (options->max_parked > YK_RING_PARKED_MAX)
        return yk_fail(EINVAL, "%u parked messages are more than %u", options->max_parked,
                       YK_RING_PARKED_MAX);
    if (options->max_borrowed > YK_RING_BORROWED_MAX)
        return yk_fail(EINVAL, "%u messages borrowed at once are more than %u",
                       options->max_borrowed, YK_RING_BORROWED_MAX);
    if (options->max_message > YOKE_MESSAGE_MAX)
        return yk_fail(
            EINVAL,
            "messages of %zu bytes are more than %zu: put such data into a region, and its name "
            "into a "
            "message",
            options->max_message, YOKE_MESSAGE_MAX);
    if (kind == YK_KIND_STREAM)
        return check_stream(flags, options);
    if (options->capacity != 0)
        return yk_fail(ENOTSUP, "a %s holds messages: its depth says how many, not its capacity",
                       yk_kind_name(kind));
    return kind == YK_KIND_LINK ? check_link(flags, options) : 0;
}
