/*
 * kernel.c - see kernel.h.
 */
#include "kernel.h"

#include <errno.h>

#include "base/error.h"
#include "endpoint_options.h"
#include "kernel_stream.h"

static bool carries(enum yk_kind kind)
{
    return kind == YK_KIND_PORT || kind == YK_KIND_LINK || kind == YK_KIND_STREAM ||
           kind ==
               YK_KIND_SIGNALS; /* only to be looked at: their peer opens them by its own call */
}

/* What becomes of messages whose receiver died, or gave them back: nothing, here. */
static int check_promises(const char *kind, const struct yoke_options *options)
{
    if (options->policy == YOKE_POLICY_REDELIVER)
        return yk_fail(ENOTSUP,
                       "a %s in the kernel place delivers each message once: the policy redeliver "
                       "is for the place memory",
                       kind);
    if (options->max_deliveries != 0)
        return yk_fail(ENOTSUP,
                       "a %s in the kernel place delivers each message once: there is no "
                       "max_deliveries of %u",
                       kind, options->max_deliveries);
    if (options->max_parked != 0)
        return yk_fail(ENOTSUP,
                       "a %s in the kernel place parks no messages: there is no max_parked of %u",
                       kind, options->max_parked);
    if (options->max_borrowed != 0)
        return yk_fail(ENOTSUP,
                       "a %s in the kernel place lends no messages: there is no max_borrowed of %u",
                       kind, options->max_borrowed);
    return 0;
}

int yk_kernel_check(enum yk_kind kind, uint32_t flags, const struct yoke_options *options)
{
    const char *name = yk_kind_name(kind);
    int result = yk_options_check(kind, flags, options);
    if (result < 0)
        return result;
    if (flags & YOKE_PARKED)
        return yk_fail(ENOTSUP,
                       "a %s in the kernel place parks no messages: YOKE_PARKED finds none", name);
    if (flags & (YOKE_HUGE | YOKE_POPULATE | YOKE_SPARSE))
        return yk_fail(ENOTSUP,
                       "a %s in the kernel place has no memory of its own: %s is for the place "
                       "memory",
                       name,
                       flags & YOKE_HUGE       ? "YOKE_HUGE"
                       : flags & YOKE_POPULATE ? "YOKE_POPULATE"
                                               : "YOKE_SPARSE");
    if (options->priorities > YOKE_PRIORITIES_MAX)
        return yk_fail(EINVAL, "%u priorities are more than %u", options->priorities,
                       YOKE_PRIORITIES_MAX);
    if (options->participants > YOKE_PARTICIPANTS_MAX)
        return yk_fail(EINVAL, "%u participants are more than %u", options->participants,
                       YOKE_PARTICIPANTS_MAX);
    return check_promises(name, options);
}

static int open_endpoint(yoke_endpoint *endpoint, const struct yk_address *address, uint32_t flags,
                         const struct yoke_options *options)
{
    if (address->kind == YK_KIND_STREAM)
        return yk_kernel_stream_open(endpoint, address, flags, options);
    int result = yk_kernel_check(address->kind, flags, options);
    if (result < 0)
        return result;
    return address->kind == YK_KIND_LINK ? yk_kernel_link_open(endpoint, address, flags, options)
                                         : yk_kernel_port_open(endpoint, address, flags, options);
}

static int remove_object(const struct yk_address *address)
{
    struct yk_directory directory;
    char entry[YK_ENTRY_MAX];
    if (address->kind == YK_KIND_STREAM)
        return yk_kernel_stream_remove(address);
    yk_address_entry(entry, address);
    int result = yk_directory_open(&directory, NULL, true);
    if (result < 0)
        return result;
    yk_recover_names(&directory);
    result = yk_name_retire(&directory, entry, 0, false, YK_PATIENCE);
    yk_directory_close(&directory);
    return result;
}

const struct yk_place yk_place_kernel = {
    .name = "kernel",
    .carries = carries,
    .open = open_endpoint,
    .open_descriptor = yk_kernel_stream_open_descriptor,
    .remove = remove_object,
    .look = yk_kernel_look,
};
