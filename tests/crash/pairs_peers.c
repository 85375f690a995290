/*
 * pairs_peers.c - the calls that may meet between two peers, "a" and "b": on their names, on the link
 * between them, and on an inbox that both send to, or the other one has. See pairs.h.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "pairs.h"
#include "yoke.h"

#define LINK  1 /* the handle */
#define INBOX 1
#define WAITS .timeout_ns = LONG_NS

static void joins(struct side *side)
{
    side_does(0, side, (struct order){.verb = DO_PEER_JOIN, .name = name_of_side(side->number)});
}

static void links(struct side *side)
{
    joins(side);
    side_does(0, side,
              (struct order){.verb = DO_LINK_OPEN,
                             .name = link_of_side(side->number),
                             .handle = LINK,
                             .flags = YOKE_CREATE});
}

static void sends_on_link(struct side *side)
{
    links(side);
    side_does(1, side, (struct order){.verb = DO_SEND, .value = side->id + 1, .handle = LINK});
}

/* Each side has a witness, who comes to it once. */
static struct actor *witness_of(const struct side *side)
{
    uint64_t bit = 1u << side->number;
    bool came = (run.count & bit) != 0;
    run.count |= bit;
    return came ? NULL : side->number == 0 ? S : W;
}

/* Somebody comes to the other end, unless the other one has its name. */
static void other_end_comes(struct side *side)
{
    struct actor *witness = side->number == 0 ? S : W;
    struct answer answer =
        DOES(witness, .verb = DO_LINK_OPEN, .name = link_of_side(1 - side->number), .handle = LINK,
             .flags = YOKE_CREATE);
    if (answer.result == 0)
        DOES(witness, .verb = DO_SEND, .handle = LINK, .value = 40);
}

/* Somebody comes by a link of its own. */
static void witness_links(struct side *side)
{
    static const char *const names[] = {"s:a", "w:b"};
    struct actor *witness = witness_of(side);
    if (!witness)
        return;
    DOES(witness, .verb = DO_LINK_OPEN, .name = names[side->number], .handle = LINK,
         .flags = YOKE_CREATE);
    DOES(witness, .verb = DO_SEND, .handle = LINK, .value = 41);
}

static void other_joins(struct side *side)
{
    DOES(side->number == 0 ? S : W, .verb = DO_PEER_JOIN, .name = name_of_side(1 - side->number),
         .handle = 1);
}

static void leave_witnesses(void)
{
    DOES(S, .verb = DO_CLOSE, .handle = 1);
    DOES(W, .verb = DO_CLOSE, .handle = 1);
}

/* Both names are free, and a link between them goes both ways. */
static void names_are_free(struct side sides[2])
{
    struct actor *next[2] = {actor_start(), actor_start()};
    (void)sides;
    leave_witnesses();
    for (uint32_t i = 0; i < 2; i++) {
        MUST(0, next[i], .verb = DO_PEER_JOIN, .name = name_of_side(i));
        MUST(0, next[i], .verb = DO_LINK_OPEN, .name = link_of_side(i), .handle = LINK,
             .flags = YOKE_CREATE);
    }
    for (uint32_t i = 0; i < 2; i++) {
        struct answer answer = {.value = 0};
        MUST(1, next[i], .verb = DO_SEND, .handle = LINK, .value = 60 + i);
        for (int k = 0; k < 2 * DEPTH && answer.value != 60 + i; k++)
            answer = DOES(next[1 - i], .verb = DO_RECV, .handle = LINK);
        if (answer.value != 60 + i)
            wrong("what %s sends on the link does not come", name_of_side(i));
    }
    for (uint32_t i = 0; i < 2; i++) {
        MUST(0, next[i], .verb = DO_CLOSE, .handle = LINK);
        MUST(0, next[i], .verb = DO_CLOSE);
        actor_end(next[i]);
    }
}

static const struct part peer_parts[] = {
    {"join",
     NULL,
     {.verb = DO_PEER_JOIN},
     .whose = MINE,
     .gives = {0, -EADDRINUSE, -EBUSY},
     .holds = A_NAME},
    {"join as the same",
     NULL,
     {.verb = DO_PEER_JOIN, .name = "c"},
     .gives = {0, -EADDRINUSE, -EBUSY}},
    {"leave",
     joins,
     {.verb = DO_CLOSE},
     .gives = {0},
     .holds = A_NAME,
     .function = "yoke_peer_leave"},
    {"wait for the other",
     joins,
     {.verb = DO_PEER_WAIT, .value = YOKE_PEER_HERE, WAITS},
     .whose = OTHERS,
     .gives = {0},
     .wakes = other_joins,
     .holds = A_NAME,
     .wants = A_NAME},
    {"wait for the other's end",
     joins,
     {.verb = DO_PEER_WAIT, .value = YOKE_PEER_GONE, WAITS},
     .whose = OTHERS,
     .gives = {0},
     .holds = A_NAME,
     .wants = A_NAME},
    {"list", joins, {.verb = DO_PEER_LIST}, .gives = {2, 3, 4}, .holds = A_NAME},
    {"accept", joins, {.verb = DO_PEER_ACCEPT}, .gives = {0, -EAGAIN, -EBUSY}, .holds = A_NAME},
    {"accept, waiting",
     joins,
     {.verb = DO_PEER_ACCEPT, WAITS},
     .gives = {0},
     .wakes = witness_links,
     .holds = A_NAME},
    {"next",
     sends_on_link,
     {.verb = DO_PEER_NEXT},
     .gives = {1, 2, -EAGAIN, -EPIPE, -EOWNERDEAD, -EBUSY},
     .holds = A_NAME},
    {"next, waiting",
     links,
     {.verb = DO_PEER_NEXT, WAITS},
     .gives = {1, 2, -EPIPE, -EOWNERDEAD},
     .wakes = witness_links,
     .holds = A_NAME},
    {"ask for the descriptor", links, {.verb = DO_PEER_FD}, .gives = {0}, .holds = A_NAME},
    {"open the link",
     joins,
     {.verb = DO_LINK_OPEN, .handle = LINK, .flags = YOKE_CREATE},
     .whose = A_LINK,
     .gives = {0, -EBUSY},
     .holds = A_NAME},
    {"close the link",
     sends_on_link,
     {.verb = DO_CLOSE, .handle = LINK},
     .gives = {0},
     .holds = A_NAME},
    {"wait for the link's other end",
     links,
     {.verb = DO_LINK_WAIT, .handle = LINK, WAITS},
     .gives = {0},
     .wakes = other_end_comes,
     .holds = A_NAME,
     .wants = A_NAME},
    {"send on the link",
     links,
     {.verb = DO_SEND, .handle = LINK},
     .gives = {1, -EPIPE, -EOWNERDEAD},
     .holds = A_NAME},
    {"receive on the link",
     sends_on_link,
     {.verb = DO_RECV, .handle = LINK},
     .gives = {1, -EAGAIN, -EPIPE, -EOWNERDEAD},
     .holds = A_NAME},
    {"remove the link",
     joins,
     {.verb = DO_REMOVE, .name = "link:a/b"},
     .gives = {0, -ENOENT, -EBUSY},
     .holds = A_NAME},
    {"collect", NULL, {.verb = DO_GC}, .gives = {0, 1, 2, 3}},
};

#define BOTH (A_GOES_ON | B_IS_WHOLE)
static const struct apart peer_aparts[] = {
    {"wait for the other's end", "wait for the other's end", "each would wait for the other's end",
     BOTH},
    {"wait for the other's end", "wait for the link's other end",
     "each would wait for what the other one's name is in the way of", BOTH},
    {"wait for the link's other end", "wait for the other's end",
     "each would wait for what the other one's name is in the way of", BOTH},
    {"wait for the link's other end", "remove the link",
     "nobody comes any more to a link that is removed", A_GOES_ON},
    {"remove the link", "wait for the link's other end",
     "nobody comes any more to a link that is removed", B_IS_WHOLE},
};

const struct meeting peer_meeting = {
    .name = "peer",
    .no_ledger = true,
    .aparts = peer_aparts,
    .apart_count = sizeof peer_aparts / sizeof peer_aparts[0],
    .world = &peer_world,
    .plan = {.depth = DEPTH, .max_message = 32},
    .parts = peer_parts,
    .count = sizeof peer_parts / sizeof peer_parts[0],
    .balanced = names_are_free,
};

/* ---- signals ---- */

static bool in_kernel(void)
{
    return run.scene->world == &kernel_signal_world;
}

static const char *at(const char *memory, const char *kernel)
{
    return in_kernel() ? kernel : memory;
}

static void has_inbox(struct side *side)
{
    joins(side);
    side_does(0, side,
              (struct order){.verb = DO_SIGNALS_OPEN,
                             .handle = INBOX,
                             .flags = in_kernel() ? YOKE_SIGNALS_KERNEL : 0});
}

/* Sent to one that may be dead by now: what came of it is not to be told. */
static void signal_comes(struct side *side)
{
    DOES(S, .verb = DO_SIGNAL,
         .name = side->number == 0 ? at("a", "a@kernel") : at("b", "b@kernel"), .value = 45);
    run.sent[45] = 1;
}

static void has_signal(struct side *side)
{
    has_inbox(side);
    signal_comes(side);
}

static void has_sent(struct side *side)
{
    joins(side);
    DOES(side->actor, .verb = DO_SIGNAL, .name = at("w", "w@kernel"), .value = side->id + 1);
    run.sent[side->id + 1] = 2;
}

/* S catches what is sent to it as a UNIX signal. */
static void survivor_catches(void)
{
    DOES(S, .verb = DO_CLOSE, .handle = INBOX);
    MUST(0, S, .verb = DO_SIGNALS_OPEN, .handle = INBOX,
         .flags = in_kernel() ? YOKE_SIGNALS_KERNEL : 0);
    MUST(0, S, .verb = DO_CATCH, .handle = INBOX, .value = (uint64_t)SIGRTMIN);
}

/* Both names are free, whoever comes has an inbox of its own, and nothing that was sent before is in it. */
static void inboxes_are_free(struct side sides[2])
{
    (void)sides;
    memset(run.lost_ok + 45, 1, 1);
    for (int i = 0; i < 3 && DOES(S, .verb = DO_SIGNAL_RECV, .handle = INBOX).result == 1; i++) {
    }
    MUST(0, S, .verb = DO_CLOSE, .handle = INBOX);
    for (uint32_t i = 0; i < 2; i++) {
        struct actor *next = actor_start();
        MUST(0, next, .verb = DO_PEER_JOIN, .name = name_of_side(i));
        MUST(0, next, .verb = DO_SIGNALS_OPEN, .handle = INBOX,
             .flags = in_kernel() ? YOKE_SIGNALS_KERNEL : 0);
        MUST(-EAGAIN, next, .verb = DO_SIGNAL_RECV, .handle = INBOX);
        MUST(1, S, .verb = DO_SIGNAL, .name = i == 0 ? at("a", "a@kernel") : at("b", "b@kernel"),
             .value = 46);
        MUST(1, next, .verb = DO_SIGNAL_RECV, .handle = INBOX);
        MUST(0, next, .verb = DO_CLOSE, .handle = INBOX);
        MUST(0, next, .verb = DO_CLOSE);
        actor_end(next);
    }
}

#define SIGNAL_PARTS(opens_flags, w, other_of)                                                     \
    {"open an inbox",                                                                              \
     joins,                                                                                        \
     {.verb = DO_SIGNALS_OPEN, .handle = INBOX, .flags = opens_flags},                             \
     .gives = {0}},                                                                                \
        {"close an inbox", has_signal, {.verb = DO_CLOSE, .handle = INBOX}, .gives = {0}},         \
        {"send to a third", joins, {.verb = DO_SIGNAL, .name = w}, .gives = {1, -EAGAIN}},         \
        {"send to a third again",                                                                  \
         has_sent,                                                                                 \
         {.verb = DO_SIGNAL, .name = w},                                                           \
         .gives = {1, -EAGAIN}},                                                                   \
        {"send to the other",                                                                      \
         joins,                                                                                    \
         {.verb = DO_SIGNAL, .value = 45},                                                         \
         .whose = other_of,                                                                        \
         .gives = {1, -ENOENT, -ENOTSUP}},                                                         \
        {"receive", has_signal, {.verb = DO_SIGNAL_RECV, .handle = INBOX}, .gives = {1, -EAGAIN}}, \
        {"receive, waiting",                                                                       \
         has_inbox,                                                                                \
         {.verb = DO_SIGNAL_RECV, .handle = INBOX, WAITS},                                         \
         .gives = {1},                                                                             \
         .wakes = signal_comes},                                                                   \
        {"fd", has_inbox, {.verb = DO_FD, .handle = INBOX}, .gives = {0}},                         \
        {"catch a UNIX signal",                                                                    \
         has_inbox,                                                                                \
         {.verb = DO_CATCH, .handle = INBOX, .value = 35},                                         \
         .gives = {0}},                                                                            \
        {"send a UNIX signal",                                                                     \
         joins,                                                                                    \
         {.verb = DO_SIGNAL_KILL, .name = "s", .value = 34},                                       \
         .gives = {0}},                                                                            \
        {"queue a UNIX signal",                                                                    \
         joins,                                                                                    \
         {.verb = DO_SIGNAL_QUEUE, .name = "s", .value = 34},                                      \
         .gives = {0}},                                                                            \
        {"leave", has_signal, {.verb = DO_CLOSE}, .gives = {0}},                                   \
        {"collect", NULL, {.verb = DO_GC}, .gives = {0, 1, 2, 3}},

static const struct part signal_parts[] = {SIGNAL_PARTS(0, "w", OTHERS)};
static const struct part kernel_signal_parts[] = {
    SIGNAL_PARTS(YOKE_SIGNALS_KERNEL, "w@kernel", OTHERS_IN_KERNEL)};

const struct meeting signal_meeting = {
    .name = "signal",
    .no_ledger = true,
    .world = &signal_world,
    .plan = {.depth = DEPTH, .priorities = 1, .participants = PLACES + 2, .max_message = 32},
    .parts = signal_parts,
    .count = sizeof signal_parts / sizeof signal_parts[0],
    .arrange = survivor_catches,
    .balanced = inboxes_are_free,
};

const struct meeting kernel_signal_meeting = {
    .name = "kernel signal",
    .no_ledger = true,
    .world = &kernel_signal_world,
    .plan = {.depth = DEPTH, .policy = YOKE_SIGNALS_KERNEL},
    .parts = kernel_signal_parts,
    .count = sizeof kernel_signal_parts / sizeof kernel_signal_parts[0],
    .arrange = survivor_catches,
    .balanced = inboxes_are_free,
};
