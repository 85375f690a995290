/*
 * nats.c - the place itself: what it carries, and who does it.
 */
#include "look.h"
#include "port.h"

static bool carries(enum yk_kind kind)
{
    return kind == YK_KIND_PORT;
}

const struct yk_place yk_nats_place = {
    .name = "nats",
    .carries = carries,
    .open = yk_nats_port_open,
    .remove = yk_nats_port_remove,
    .view = &yk_nats_view,
};
