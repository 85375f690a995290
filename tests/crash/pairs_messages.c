/*
 * pairs_messages.c - the calls that may meet on a port, in memory and in the kernel, and on a wait set
 * over one. See pairs.h.
 */
#include <errno.h>

#include "pairs.h"
#include "yoke.h"

#define WAITS .timeout_ns = LONG_NS
#define PLAIN                                                                      \
    {                                                                              \
        .depth = DEPTH, .priorities = 1, .participants = PLACES, .max_message = 32 \
    }

/* ---- a port in memory ---- */

static void opens(struct side *side)
{
    side_does(0, side, (struct order){.verb = DO_PORT_OPEN});
}

static void has_message(struct side *side)
{
    opens(side);
    supply();
}

static void borrows(struct side *side)
{
    has_message(side);
    side_does(1, side, (struct order){.verb = DO_BORROW});
}

static void loans(struct side *side)
{
    opens(side);
    side_does(0, side, (struct order){.verb = DO_LOAN, .value = side->id});
}

static void has_all_sorts(struct side *side)
{
    borrows(side);
    side_does(0, side, (struct order){.verb = DO_LOAN, .value = side->id});
    side_does(0, side, (struct order){.verb = DO_FD});
}

static void has_descriptor(struct side *side)
{
    has_message(side);
    side_does(0, side, (struct order){.verb = DO_FD});
}

static void fills(void)
{
    for (int i = 0; i < DEPTH; i++)
        supply();
}

static void port_is_full(struct side *side)
{
    opens(side);
    fills();
}

static void message_comes(struct side *side)
{
    (void)side;
    supply();
}

/* Whatever was in somebody's hand comes the second time. */
static void again_is_marked(struct side sides[2])
{
    drains(S);
    for (int i = 0; i < 2; i++) {
        uint64_t id = sides[i].hand;
        if (id != 0 && sides[i].part->call.verb != DO_RELEASE && run.got[id] == 1 &&
            run.deliveries[id] < 2)
            wrong("message %llu was in hand, and comes as delivery %u", (unsigned long long)id,
                  run.deliveries[id]);
    }
}

static const struct part port_parts[] = {
    {"open", NULL, {.verb = DO_PORT_OPEN}, .gives = {0}},
    {"close", has_all_sorts, {.verb = DO_CLOSE}, .gives = {0}},
    {"send", opens, {.verb = DO_SEND}, .gives = {1, -EAGAIN}},
    {"send one", opens, {.verb = DO_SEND_ONE}, .gives = {1, -EAGAIN}},
    {"send two", opens, {.verb = DO_SEND_TWO}, .gives = {2, 1, -EAGAIN}},
    {"send, waiting", port_is_full, {.verb = DO_SEND, WAITS}, .gives = {1}, .wakes = make_room},
    {"recv", has_message, {.verb = DO_RECV}, .gives = {1, -EAGAIN}},
    {"recv one", has_message, {.verb = DO_RECV_ONE}, .gives = {1, -EAGAIN}},
    {"recv, waiting", opens, {.verb = DO_RECV, WAITS}, .gives = {1}, .wakes = message_comes},
    {"recv, with a descriptor", has_descriptor, {.verb = DO_RECV}, .gives = {1, -EAGAIN}},
    {"loan", opens, {.verb = DO_LOAN}, .gives = {0, -EAGAIN}},
    {"commit", loans, {.verb = DO_COMMIT}, .gives = {0, -EAGAIN}},
    {"commit many", loans, {.verb = DO_COMMIT_MANY}, .gives = {0, -EAGAIN}},
    {"release a loan", loans, {.verb = DO_RELEASE}, .gives = {0}},
    {"borrow", has_message, {.verb = DO_BORROW}, .gives = {1, -EAGAIN}},
    {"borrow one", has_message, {.verb = DO_BORROW_ONE}, .gives = {1, -EAGAIN}},
    {"release", borrows, {.verb = DO_RELEASE}, .gives = {0}},
    {"return", borrows, {.verb = DO_RETURN}, .gives = {0}},
    {"fd", opens, {.verb = DO_FD}, .gives = {0}},
    {"cancel", opens, {.verb = DO_CANCEL}, .gives = {0}},
};

const struct meeting port_meeting = {
    .name = "port",
    .world = &port_world,
    .plan = PLAIN,
    .parts = port_parts,
    .count = sizeof port_parts / sizeof port_parts[0],
    .balanced = again_is_marked,
};

/* ---- a wait set, whose member is a port: handle 1 ---- */

#define MEMBER 1

static void opens_member(struct side *side)
{
    side_does(0, side, (struct order){.verb = DO_PORT_OPEN, .handle = MEMBER});
    side_does(0, side, (struct order){.verb = DO_SET_CREATE});
}

static void opens_sender(struct side *side)
{
    side_does(0, side, (struct order){.verb = DO_PORT_OPEN});
}

static void has_set(struct side *side)
{
    opens_member(side);
    side_does(0, side, (struct order){.verb = DO_SET_ADD, .handle = MEMBER});
}

static void set_is_ready(struct side *side)
{
    has_set(side);
    supply();
}

static void set_is_armed(struct side *side)
{
    struct answer answer;
    has_set(side);
    answer = DOES(side->actor, .verb = DO_SET_WAIT, .handle = MEMBER);
    if (answer.result == 1)
        received(side->actor, &answer);
}

/* Whoever comes receives all that is left; and then what is sent. */
static void set_is_balanced(struct side sides[2])
{
    (void)sides;
    struct actor *next = actor_start();
    MUST(0, next, .verb = DO_PORT_OPEN, .handle = MEMBER);
    drains(next);
    ledger_is_complete();
    sends(S, IDS - 1);
    drains(next);
    if (run.got[IDS - 1] != 1)
        wrong("what is sent afterwards came %u times", run.got[IDS - 1]);
    MUST(0, next, .verb = DO_CLOSE, .handle = MEMBER);
    actor_end(next);
}

static const struct part set_parts[] = {
    {"add", opens_member, {.verb = DO_SET_ADD, .handle = MEMBER}, .gives = {0}},
    {"wait", set_is_ready, {.verb = DO_SET_WAIT, .handle = MEMBER}, .gives = {1, -EAGAIN}},
    {"wait, asleep",
     has_set,
     {.verb = DO_SET_WAIT, .handle = MEMBER, WAITS},
     .gives = {1},
     .wakes = message_comes},
    {"remove", set_is_armed, {.verb = DO_SET_REMOVE}, .gives = {0}},
    {"fd", has_set, {.verb = DO_SET_FD}, .gives = {0}},
    {"cancel", set_is_armed, {.verb = DO_SET_CANCEL}, .gives = {0}},
    {"close", set_is_armed, {.verb = DO_SET_CLOSE}, .gives = {0}},
    {"close a member", set_is_armed, {.verb = DO_CLOSE, .handle = MEMBER}, .gives = {0}},
    {"send to it", opens_sender, {.verb = DO_SEND}, .gives = {1, -EAGAIN}},
    {"receive beside it", opens_member, {.verb = DO_RECV, .handle = MEMBER}, .gives = {1, -EAGAIN}},
};

const struct meeting set_meeting = {
    .name = "set",
    .world = &port_set_world,
    .plan = PLAIN,
    .parts = set_parts,
    .count = sizeof set_parts / sizeof set_parts[0],
    .balanced = set_is_balanced,
};

/* ---- a port in the kernel: who sends has handle 0, who receives 1 ---- */

#define KERNEL(handle_)                                                                     \
    {                                                                                       \
        .verb = DO_PORT_OPEN, .name = "x@kernel", .handle = (handle_), .flags = YOKE_CREATE \
    }

static void opens_kernel(struct side *side)
{
    side_does(0, side, (struct order)KERNEL(0));
}

static void kernel_is_full(struct side *side)
{
    opens_kernel(side);
    fills();
}

static void kernel_has_message(struct side *side)
{
    side_does(0, side, (struct order)KERNEL(1));
    supply();
}

static void opens_kernel_in(struct side *side)
{
    side_does(0, side, (struct order)KERNEL(1));
}

static const struct part kernel_port_parts[] = {
    {"open", NULL, KERNEL(0), .gives = {0}},
    {"close", opens_kernel, {.verb = DO_CLOSE}, .gives = {0}},
    {"send", opens_kernel, {.verb = DO_SEND}, .gives = {1, -EAGAIN}},
    {"send two", opens_kernel, {.verb = DO_SEND_TWO}, .gives = {2, 1, -EAGAIN}},
    {"send, waiting", kernel_is_full, {.verb = DO_SEND, WAITS}, .gives = {1}, .wakes = make_room},
    {"recv", kernel_has_message, {.verb = DO_RECV, .handle = 1}, .gives = {1, -EAGAIN}},
    {"recv, waiting",
     opens_kernel_in,
     {.verb = DO_RECV, .handle = 1, WAITS},
     .gives = {1},
     .wakes = message_comes},
    {"fd", opens_kernel_in, {.verb = DO_FD, .handle = 1}, .gives = {0}},
    {"cancel", opens_kernel_in, {.verb = DO_CANCEL, .handle = 1}, .gives = {0}},
};

const struct meeting kernel_port_meeting = {
    .name = "kernel port",
    .world = &kernel_port_world,
    .plan = {.depth = DEPTH, .priorities = 1, .max_message = 32},
    .parts = kernel_port_parts,
    .count = sizeof kernel_port_parts / sizeof kernel_port_parts[0],
};
