/*
 * pairs_links.c - the calls that may meet on a link, in memory and in the kernel: A has one end, B the
 * other. See pairs.h.
 *
 * The link is a kept one, so that what either of them left is there for those who come after them: each
 * message once, in both directions. Who else would be needed for one of them (to send it something, to
 * make room) is the other one, as long as that one is free to, or somebody who comes to its end for that.
 */
#include <errno.h>

#include "pairs.h"
#include "yoke.h"

#define WAITS .timeout_ns = LONG_NS

static bool in_kernel(void);

static struct order opening(uint32_t number, uint32_t flags)
{
    static const char *const kernel[] = {"a:b@kernel", "b:a@kernel"};
    return (struct order){.verb = DO_LINK_OPEN,
                          .name = in_kernel() ? kernel[number] : link_of_side(number),
                          .flags = YOKE_CREATE | flags};
}

static void open_nothing(void)
{
}

static void make_link(void)
{
    struct actor *maker = actor_start();
    if (does(maker, opening(0, YOKE_KEPT)).result != 0)
        wrong("before: the link can not be made");
    DOES(maker, .verb = DO_CLOSE);
    actor_end(maker);
}

/* At the other end: whoever is there and free to do it, or somebody who comes for that. NULL: it is withheld. */
static struct actor *other_end_of(const struct side *side, bool *ret_comes)
{
    const struct side *other = side_other(side);
    bool is_free = !other->begun || (other->number == 1 && other->ended); /* A stands, to the end */
    *ret_comes = !other->actor || !other->linked;
    if (!*ret_comes)
        return is_free ? other->actor : NULL;
    struct actor *comes = actor_start();
    if (does(comes, opening(other->number, 0)).result == 0)
        return comes;
    actor_end(comes);
    return NULL;
}

static void goes_again(struct actor *actor, bool came)
{
    if (!came)
        return;
    DOES(actor, .verb = DO_CLOSE);
    actor_end(actor);
}

static void message_comes(struct side *side)
{
    bool comes;
    struct actor *other = other_end_of(side, &comes);
    if (!other)
        return;
    uint64_t id = supply_number();
    if (DOES(other, .verb = DO_SEND, .value = id).result == 1)
        run.sent[id] = 2;
    goes_again(other, comes);
}

static void room_comes(struct side *side)
{
    bool comes;
    struct actor *other = other_end_of(side, &comes);
    if (!other)
        return;
    struct answer answer = DOES(other, .verb = DO_RECV);
    if (answer.result == 1)
        received(other, &answer);
    goes_again(other, comes);
}

static void links(struct side *side)
{
    side_does(0, side, opening(side->number, 0));
    side->linked = true;
}

static void has_message(struct side *side)
{
    links(side);
    message_comes(side);
}

static void borrows(struct side *side)
{
    has_message(side);
    side_does(1, side, (struct order){.verb = DO_BORROW});
}

static void loans(struct side *side)
{
    links(side);
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

/* Of its own direction. */
static void is_full(struct side *side)
{
    links(side);
    for (int i = 0; i < DEPTH; i++) {
        uint64_t id = supply_number();
        if (DOES(side->actor, .verb = DO_SEND, .value = id).result == 1)
            run.sent[id] = 2;
    }
}

/* Who comes to the two ends has what was left, in both directions, and both are open. */
static void link_is_whole(struct side sides[2])
{
    struct actor *next[2];
    for (uint32_t i = 0; i < 2; i++) {
        next[i] = actor_start();
        if (does(next[i], opening(i, 0)).result != 0)
            wrong("nobody is there, and %s's end can not be had", name_of_side(i));
    }
    for (uint32_t i = 0; i < 2; i++)
        drains(next[i]);
    ledger_is_complete();
    for (uint32_t i = 0; i < 2; i++) {
        uint64_t id = sides[i].hand;
        if (id != 0 && sides[i].part->call.verb != DO_RELEASE && run.got[id] == 1 &&
            run.deliveries[id] < 2)
            wrong("message %llu was in hand, and comes as delivery %u", (unsigned long long)id,
                  run.deliveries[id]);
        run.sent[60 + i] = 2;
        MUST(1, next[i], .verb = DO_SEND, .value = 60 + i);
        drains(next[1 - i]);
        if (run.got[60 + i] != 1)
            wrong("what %s sends afterwards came %u times", name_of_side(i), run.got[60 + i]);
    }
    for (uint32_t i = 0; i < 2; i++) {
        MUST(0, next[i], .verb = DO_CLOSE);
        actor_end(next[i]);
    }
    struct actor *remover = actor_start();
    MUST(0, remover, .verb = DO_REMOVE, .name = in_kernel() ? "link:a/b@kernel" : "link:a/b");
    actor_end(remover);
}

#define GONE -EPIPE, -EOWNERDEAD
#define HERE .holds = A_NAME

#define COMMON_PARTS(open_whose)                                                             \
    {"open", NULL, {.verb = DO_LINK_OPEN}, .whose = open_whose, .gives = {0, -EBUSY}, HERE}, \
        {"send", links, {.verb = DO_SEND}, .gives = {1, -EAGAIN, GONE}, HERE},               \
        {"send one", links, {.verb = DO_SEND_ONE}, .gives = {1, -EAGAIN, GONE}, HERE},       \
        {"send two", links, {.verb = DO_SEND_TWO}, .gives = {2, 1, -EAGAIN, GONE}, HERE},    \
        {"send, waiting",     is_full, {.verb = DO_SEND, WAITS}, .gives = {1, GONE},         \
         .wakes = room_comes, HERE,    .wants = A_NAME},                                     \
        {"recv", has_message, {.verb = DO_RECV}, .gives = {1}, HERE},                        \
        {"recv one", has_message, {.verb = DO_RECV_ONE}, .gives = {1}, HERE},                \
        {"recv, waiting",        links, {.verb = DO_RECV, WAITS}, .gives = {1, GONE},        \
         .wakes = message_comes, HERE,  .wants = A_NAME},                                    \
        {"recv, with a descriptor", has_descriptor, {.verb = DO_RECV}, .gives = {1}, HERE},  \
        {"wait for the other end",                                                           \
         links,                                                                              \
         {.verb = DO_LINK_WAIT, WAITS},                                                      \
         .gives = {0},                                                                       \
         .wakes = message_comes,                                                             \
         HERE,                                                                               \
         .wants = A_NAME},                                                                   \
        {"fd", links, {.verb = DO_FD}, .gives = {0}, HERE},                                  \
    {                                                                                        \
        "cancel", links, {.verb = DO_CANCEL}, .gives = {0}, HERE                             \
    }

static const struct part parts[] = {
    COMMON_PARTS(A_LINK),
    {"close", has_all_sorts, {.verb = DO_CLOSE}, .gives = {0}, HERE},
    {"loan", links, {.verb = DO_LOAN}, .gives = {0, -EAGAIN, GONE}, HERE},
    {"commit", loans, {.verb = DO_COMMIT}, .gives = {0, GONE}, HERE},
    {"commit many", loans, {.verb = DO_COMMIT_MANY}, .gives = {0, GONE}, HERE},
    {"release a loan", loans, {.verb = DO_RELEASE}, .gives = {0}, HERE},
    {"borrow", has_message, {.verb = DO_BORROW}, .gives = {1}, HERE},
    {"borrow one", has_message, {.verb = DO_BORROW_ONE}, .gives = {1}, HERE},
    {"release", borrows, {.verb = DO_RELEASE}, .gives = {0}, HERE},
    {"return", borrows, {.verb = DO_RETURN}, .gives = {0}, HERE},
};

static const struct part kernel_parts[] = {
    COMMON_PARTS(A_KERNEL_LINK),
    {"close", has_descriptor, {.verb = DO_CLOSE}, .gives = {0}, HERE},
};

static const struct world memory_world = {
    .family = "link", .lasts = true, .open = open_nothing, .recv = {.verb = DO_RECV}};
static const struct world kernel_world = {
    .family = "link", .lasts = true, .open = open_nothing, .recv = {.verb = DO_RECV}};

static bool in_kernel(void)
{
    return run.scene->world == &kernel_world;
}

static const struct apart aparts[] = {
    {"recv, waiting", "recv, waiting", "each would wait for what the other one sends",
     A_GOES_ON | B_IS_WHOLE},
    {"send, waiting", "send, waiting", "each would wait for the other one to receive",
     A_GOES_ON | B_IS_WHOLE},
};
#define APARTS .aparts = aparts, .apart_count = sizeof aparts / sizeof aparts[0]

const struct meeting link_meeting = {
    .name = "link",
    .world = &memory_world,
    .plan = {.depth = DEPTH, .max_message = 32},
    .parts = parts,
    .count = sizeof parts / sizeof parts[0],
    .arrange = make_link,
    APARTS,
    .balanced = link_is_whole,
};

const struct meeting kernel_link_meeting = {
    .name = "kernel link",
    .world = &kernel_world,
    .plan = {.depth = DEPTH, .max_message = 32},
    .parts = kernel_parts,
    .count = sizeof kernel_parts / sizeof kernel_parts[0],
    .arrange = make_link,
    APARTS,
    .balanced = link_is_whole,
};
