/*
 * nats.c - the place itself: what it carries, and who does it.
 */
#include "look.h"
#include "nats_link.h"
#include "peer.h"
#include "port.h"
#include "signals.h"

static bool carries(enum yk_kind kind)
{
    return kind == YK_KIND_PORT || kind == YK_KIND_LINK || kind == YK_KIND_PEER ||
           kind == YK_KIND_SIGNALS;
}

static int open_endpoint(yoke_endpoint *endpoint, const struct yk_address *address, uint32_t flags,
                         const struct yoke_options *options)
{
    YK_KEEP_ERRNO;
    switch (address->kind) {
    case YK_KIND_LINK:
        return yk_nats_link_open(endpoint, address, flags, options);
    case YK_KIND_SIGNALS:
        return yk_nats_signals_open(endpoint, address, flags, options);
    default:
        return yk_nats_port_open(endpoint, address, flags, options);
    }
}

static int remove_object(const struct yk_address *address)
{
    YK_KEEP_ERRNO;
    return address->kind == YK_KIND_LINK ? yk_nats_link_remove(address)
                                         : yk_nats_port_remove(address);
}

const struct yk_place yk_nats_place = {
    .name = "nats",
    .carries = carries,
    .open = open_endpoint,
    .remove = remove_object,
    .view = &yk_nats_view,
    .peers = &yk_nats_peers,
};
