/*
 * lifecycle_kinds.c - see lifecycle_kinds.h.
 *
 * A link has two ends, and an end one process: who was there before (the survivor, the maker of what
 * is there) has the end of `s`, everybody else comes as `v`. A peer's name and an inbox are one
 * process's, too, and go with it.
 */
#include "lifecycle_kinds.h"

#include <errno.h>

#include "yoke.h"

const char *const act_names[ACTS] = {"create",         "create kept",      "create exclusively",
                                     "open",           "open read-only",   "close",
                                     "remove",         "collect",          "create another",
                                     "create a third", "remove and create"};

const struct kind kinds[KINDS] = {
    [REGION] = {.name = "region",
                .create = {.verb = DO_REGION_CREATE},
                .open = DO_REGION_OPEN,
                .remove = {.verb = DO_REMOVE_REGION},
                .other = "other",
                .third = "third",
                .entry = "region.x",
                .use = {{.verb = DO_LOCK}, {.verb = DO_UNLOCK}}},
    [PORT] = {.name = "port",
              .create = {.verb = DO_PORT_OPEN},
              .open = DO_PORT_OPEN,
              .remove = {.verb = DO_REMOVE_PORT},
              .other = "other",
              .third = "third",
              .entry = "port.x",
              .use = {{.verb = DO_SEND, .value = 77}},
              .use_gives = {1}},
    [STREAM] = {.name = "stream",
                .create = {.verb = DO_STREAM_OPEN, .flags = YOKE_WRITE},
                .open = DO_STREAM_OPEN,
                .remove = {.verb = DO_REMOVE, .name = "stream:x"},
                .other = "other",
                .third = "third",
                .entry = "stream.x",
                .use = {{.verb = DO_WRITE, .priority = STREAM_MARK_MOST}},
                .use_gives = {STREAM_MARK_MOST}},
    [LINK] = {.name = "link",
              .create = {.verb = DO_LINK_OPEN, .name = "v:s"},
              .open = DO_LINK_OPEN,
              .remove = {.verb = DO_REMOVE, .name = "link:s/v"},
              .first = "s:v",
              .other = "v:other",
              .third = "third:fourth",
              .entry = "link.s@v",
              .seat = true,
              .numbered = true,
              .leaves = true,
              .use = {{.verb = DO_SEND, .value = 77}},
              .use_gives = {1}},
    [PEER] = {.name = "peer",
              .create = {.verb = DO_PEER_JOIN, .name = "v"},
              .other = "other",
              .third = "third",
              .entry = "peer.v",
              .seat = true,
              .numbered = true,
              .leaves = true,
              .look = {.verb = DO_PEER_WAIT, .name = "v", .value = YOKE_PEER_HERE},
              .use = {{.verb = DO_PEER_WAIT, .name = "v", .value = YOKE_PEER_HERE}}},
    [INBOX] = {.name = "inbox",
               .create = {.verb = DO_SIGNALS_OPEN, .handle = 1},
               .joins = true,
               .joined = {"v", "other", "third"},
               .entry = "signals.v",
               .seat = true,
               .numbered = true,
               .leaves = true,
               .look = {.verb = DO_SIGNAL, .name = "v", .value = 7}},
    [KERNEL_PORT] = {.name = "kernel port",
                     .create = {.verb = DO_PORT_OPEN, .name = "x@kernel"},
                     .open = DO_PORT_OPEN,
                     .remove = {.verb = DO_REMOVE, .name = "port:x@kernel"},
                     .other = "other@kernel",
                     .third = "third@kernel",
                     .entry = "port.x@kernel",
                     .numbered = true,
                     .use = {{.verb = DO_SEND, .value = 77}, {.verb = DO_RECV}},
                     .use_gives = {1, 1}},
    [KERNEL_LINK] = {.name = "kernel link",
                     .create = {.verb = DO_LINK_OPEN, .name = "v:s@kernel"},
                     .open = DO_LINK_OPEN,
                     .remove = {.verb = DO_REMOVE, .name = "link:s/v@kernel"},
                     .first = "s:v@kernel",
                     .other = "v:other@kernel",
                     .third = "third:fourth@kernel",
                     .entry = "link.s@v@kernel",
                     .seat = true,
                     .numbered = true,
                     .leaves = true,
                     .use = {{.verb = DO_SEND, .value = 77}},
                     .use_gives = {1}},
    [KERNEL_STREAM] = {.name = "kernel stream",
                       .create = {.verb = DO_STREAM_OPEN, .name = "x@kernel", .flags = YOKE_READ},
                       .open = DO_STREAM_OPEN,
                       .remove = {.verb = DO_REMOVE, .name = "stream:x@kernel"},
                       .other = "other@kernel",
                       .third = "third@kernel",
                       .entry = "stream.x@kernel",
                       .numbered = true,
                       .leaves = true,
                       .use = {{.verb = DO_STREAM_END}}},
    [KERNEL_INBOX] = {.name = "kernel inbox",
                      .create = {.verb = DO_SIGNALS_OPEN,
                                 .handle = 1,
                                 .flags = YOKE_SIGNALS_KERNEL},
                      .joins = true,
                      .joined = {"v", "other", "third"},
                      .entry = "peer.v",
                      .seat = true,
                      .numbered = true,
                      .leaves = true,
                      .look = {.verb = DO_SIGNAL, .name = "v@kernel", .value = 7}},
};

bool kind_can(const struct kind *kind, enum act act)
{
    switch (act) {
    case CREATE_KEPT:
    case CREATE_EXCLUSIVE:
    case OPEN:
        return kind->open != DO_NOTHING;
    case REMOVE:
    case REPLACE:
        return kind->remove.verb != DO_NOTHING;
    case OPEN_READ_ONLY:
        return kind == &kinds[REGION];
    default:
        return true;
    }
}

static bool makes(enum act act)
{
    return act == CREATE || act == CREATE_KEPT || act == CREATE_EXCLUSIVE || act == REPLACE ||
           act == CREATE_OTHER || act == CREATE_THIRD;
}

const char *kind_joins(const struct kind *kind, enum act act)
{
    if (!kind->joins || !makes(act))
        return NULL;
    return kind->joined[act == CREATE_OTHER ? 1 : act == CREATE_THIRD ? 2 : 0];
}

static struct order creation(const struct kind *kind, enum act act, bool first)
{
    struct order order = kind->create;
    if (kind->open != DO_NOTHING || kind->create.verb == DO_REGION_CREATE)
        order.flags |= YOKE_CREATE;
    if (first && kind->first)
        order.name = kind->first;
    if (act == CREATE_KEPT)
        order.flags |= YOKE_KEPT;
    if (act == CREATE_EXCLUSIVE)
        order.flags |= YOKE_EXCLUSIVE;
    if (act == CREATE_OTHER || act == CREATE_THIRD) {
        order.handle = 1;
        if (!kind->joins)
            order.name = act == CREATE_OTHER ? kind->other : kind->third;
    }
    return order;
}

struct order kind_order(const struct kind *kind, enum act act, bool first)
{
    struct order order = creation(kind, act, first);
    switch (act) {
    case OPEN:
    case OPEN_READ_ONLY:
        order.verb = kind->open;
        order.flags = act == OPEN ? kind->create.flags : YOKE_READ_ONLY;
        return order;
    case CLOSE:
        return (struct order){.verb = DO_CLOSE, .handle = kind->create.handle};
    case REMOVE:
        return kind->remove;
    case GC:
        return (struct order){.verb = DO_GC};
    default:
        return order;
    }
}
