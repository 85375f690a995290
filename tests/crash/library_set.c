/*
 * library_set.c - the scenes of library.c with wait sets: adding, removing, waiting, with a member
 * ready or not; with others whose sets are to be told of what V does. The members are a port, a
 * stream's reading end, an inbox, a peer with its links, and another peer's end.
 *
 * A set itself is one process's own; what it shares is the notice that it arms in each member's slot
 * and the doorbell beside the names. So V, killed anywhere in it, must be as if it had waited by a
 * plain call: nothing lost, no doorbell left, and nobody else held up.
 */
#include <errno.h>

#include "library.h"
#include "yoke.h"

/* Handles: of a link both are the same. */
#define MEMBER 1
#define SENDER 0

static void open_ports(void)
{
    MUST(0, S, .verb = DO_PORT_OPEN, .handle = SENDER, .flags = YOKE_CREATE);
}

static void join_port(struct actor *actor)
{
    MUST(0, actor, .verb = DO_PORT_OPEN, .handle = SENDER);
}

static void opens_port(struct actor *actor)
{
    MUST(0, actor, .verb = DO_PORT_OPEN, .handle = MEMBER);
}

const struct world port_set_world = {.family = "set",
                                     .lasts = true,
                                     .open = open_ports,
                                     .join = join_port,
                                     .send = {.verb = DO_SEND, .handle = SENDER},
                                     .recv = {.verb = DO_RECV, .handle = MEMBER}};

static void open_streams(void)
{
    MUST(0, S, .verb = DO_STREAM_OPEN, .handle = SENDER, .flags = YOKE_CREATE | YOKE_WRITE);
}

static void join_stream(struct actor *actor)
{
    MUST(0, actor, .verb = DO_STREAM_OPEN, .handle = SENDER, .flags = YOKE_WRITE);
}

static void opens_stream(struct actor *actor)
{
    MUST(0, actor, .verb = DO_STREAM_OPEN, .handle = MEMBER, .flags = YOKE_READ);
}

static const struct world stream_sets = {.family = "set",
                                         .lasts = true,
                                         .open = open_streams,
                                         .join = join_stream,
                                         .send = {.verb = DO_WRITE, .handle = SENDER},
                                         .recv = {.verb = DO_READ, .handle = MEMBER}};

static void open_peers(void)
{
    MUST(0, S, .verb = DO_PEER_JOIN, .name = "s");
}

static void join_peer(struct actor *actor)
{
    MUST(0, actor, .verb = DO_PEER_JOIN, .name = actor == V ? "v" : "b");
}

/* The one that receives is "r": V, or W. */
static void opens_inbox(struct actor *actor)
{
    MUST(0, actor, .verb = DO_PEER_JOIN, .name = "r");
    MUST(0, actor, .verb = DO_SIGNALS_OPEN, .handle = MEMBER);
}

static const struct world signal_sets = {.family = "set",
                                         .lasts = true,
                                         .open = open_peers,
                                         .join = join_peer,
                                         .send = {.verb = DO_SIGNAL, .name = "r"},
                                         .recv = {.verb = DO_SIGNAL_RECV, .handle = MEMBER}};

static void opens_link(struct actor *actor)
{
    MUST(0, actor, .verb = DO_LINK_OPEN, .name = actor == S ? "s:r" : "r:s", .handle = MEMBER,
         .flags = YOKE_CREATE);
}

static const struct world link_sets = {.family = "set",
                                       .lasts = true,
                                       .open = open_peers,
                                       .join = join_peer,
                                       .send = {.verb = DO_SEND, .handle = MEMBER},
                                       .recv = {.verb = DO_RECV, .handle = MEMBER}};

/* Opens what receives. */
static void opens_member(struct actor *actor)
{
    const struct world *world = run.scene->world;
    if (world == &port_set_world)
        opens_port(actor);
    else if (world == &stream_sets)
        opens_stream(actor);
    else if (world == &signal_sets)
        opens_inbox(actor);
    else
        opens_link(actor);
}

/* A link has two ends, and S's is one of them: it is opened anew for each V. */
static void arranges(void)
{
    if (run.scene->world == &link_sets)
        opens_link(S);
}

/* What another one can do beside V: a link has no third end. */
#define BESIDE_LINKS                       \
    {                                      \
        .verb = DO_PEER_JOIN, .name = "v2" \
    }

static void tidies(void)
{
    if (run.scene->world == &link_sets)
        MUST(0, S, .verb = DO_CLOSE, .handle = MEMBER);
}

/* -- V has a set -- */

static void victim_has_member(void)
{
    opens_member(V);
    MUST(0, V, .verb = DO_SET_CREATE);
}

static void victim_has_set(void)
{
    victim_has_member();
    MUST(0, V, .verb = DO_SET_ADD, .handle = MEMBER);
}

static void victim_set_is_ready(void)
{
    victim_has_set();
    sends(S, 10);
}

/* It has looked in vain, and is armed. */
static void victim_set_is_armed(void)
{
    victim_has_set();
    MUST(-EAGAIN, V, .verb = DO_SET_WAIT, .handle = MEMBER);
}

static void message_comes(void)
{
    if (run.woken++ == 0)
        sends(S, 10);
}

/* Whoever comes next receives what V did not. Signals go with their receiver. */
static void next_receives(void)
{
    struct actor *next = actor_start();
    bool signals = run.scene->world == &signal_sets;
    opens_member(next);
    if (!signals)
        drains(next);
    else
        for (int i = 0; i < PARTNERS + 1; i++)
            run.lost_ok[i] = 1;
    if (run.sent[10] == 2 && run.got[10] == 0 && !run.lost_ok[10])
        wrong("what was sent while V watched is lost");
    sends(S, 20);
    run.lost_ok[20] = 0;
    drains(next);
    ledger_is_complete();
    if (run.got[20] != 1)
        wrong("what is sent afterwards came %u times", run.got[20]);
    MUST(0, next, .verb = DO_CLOSE, .handle = MEMBER);
    MUST(0, next, .verb = DO_CLOSE);
    actor_end(next);
    tidies();
}

/* Nobody reads a stream whose only reader is dead. */
static void set_killed(void)
{
    if (run.scene->asleep && run.scene->world != &stream_sets)
        run.scene->asleep();
    if (run.scene->call.verb == DO_SET_WAIT)
        run.lost_ok[10] = 1; /* DO_SET_WAIT receives what is ready */
    next_receives();
}

static void set_stopped(void)
{
    if (run.scene->asleep)
        run.scene->asleep();
    sends(S, 11);
}

/* It is told of what came while it stood, by its set or, without one, by a plain call. */
static void set_finished(const struct answer *answer)
{
    enum verb verb = run.scene->call.verb;
    if (answer->result < 0)
        wrong("V was told %lld %s", (long long)answer->result, answer->sentence);
    if (verb == DO_SET_WAIT && answer->result == 1)
        received(V, answer);
    if (verb == DO_SET_ADD || verb == DO_SET_FD) {
        struct answer later = DOES(V, .verb = DO_SET_WAIT, .handle = MEMBER, .timeout_ns = LONG_NS);
        if (later.result == 1)
            received(V, &later);
        else
            wrong("V's set is not ready, and a message waits: %lld", (long long)later.result);
    }
    drains(V);
    if (run.got[11] != 1 || (run.sent[10] && run.got[10] != 1))
        wrong("V got %u and %u of what was sent", run.got[10], run.got[11]);
    DOES(V, .verb = DO_SET_CLOSE);
    victim_leaves();
    next_receives();
}

/* -- W's set is to be told of what V sends -- */

static void sleeper_has_set(void)
{
    MUST(0, W, .verb = DO_SET_CLOSE);
    MUST(0, W, .verb = DO_CLOSE, .handle = MEMBER);
    MUST(0, W, .verb = DO_CLOSE);
    opens_member(W);
    MUST(0, W, .verb = DO_SET_CREATE);
    MUST(0, W, .verb = DO_SET_ADD, .handle = MEMBER);
    SLEEPS(.verb = DO_SET_WAIT, .handle = MEMBER);
}

static void victim_sends(void)
{
    run.scene->world->join(V);
    if (run.scene->world == &signal_sets)
        sends(V, 9);
}

/* Signals: V's first opens the inbox, so W gets that before it lies down. */
static void sleeper_set_again(void)
{
    if (run.scene->world == &signal_sets)
        return;
    sleeper_has_set();
}

static void sleeper_set_before(void)
{
    if (run.scene->world != &signal_sets)
        return;
    MUST(0, W, .verb = DO_SET_CLOSE);
    MUST(0, W, .verb = DO_CLOSE, .handle = MEMBER);
    MUST(0, W, .verb = DO_CLOSE);
    opens_member(W);
    MUST(0, W, .verb = DO_SET_CREATE);
    MUST(0, W, .verb = DO_SET_ADD, .handle = MEMBER);
}

static void sleeper_set_settles(void)
{
    sleeper_set_again();
    if (run.scene->world != &signal_sets)
        return;
    drains(W);
    SLEEPS(.verb = DO_SET_WAIT, .handle = MEMBER);
}

static void sleeper_gets(const char *what)
{
    struct answer answer = sleeper_ends(what);
    if (answer.result == 1)
        received(W, &answer);
    else if (answer.result != -ETIME)
        wrong("W's set gave %lld %s", (long long)answer.result, answer.sentence);
}

/*
 * A set waits by looking every 100 ms, too: a message whose sender stands, or is dead, is found.
 * Who stands inside a stream keeps the writing side.
 */
static void told_others(void)
{
    bool stream = run.scene->world == &stream_sets;
    run.sent[1] = run.ended ? 2 : 1;
    if (run.ended) {
        sleeper_gets("V has sent");
    } else if (!sleeper_ended()) {
        struct order order = run.scene->world->send;
        order.value = 2;
        order.timeout_ns = V ? 0 : LONG_NS;
        run.sent[2] = 1;
        struct answer answer = does(S, order);
        if (answer.result == 1)
            run.sent[2] = 2;
        else if (answer.result != -EAGAIN || !stream)
            wrong("S can not send: %lld %s", (long long)answer.result, answer.sentence);
    }
    if (run.sleeper_waits && run.sent[2] == 2)
        sleeper_gets("S has sent");
}

static void told_killed(void)
{
    told_others();
    drains(W);
    ledger_is_complete();
}

static void told_finished(const struct answer *answer)
{
    if (answer->result != 1)
        wrong("V's sending gave %lld %s", (long long)answer->result, answer->sentence);
    if (run.sleeper_waits)
        sleeper_gets("V has sent");
    victim_leaves();
    drains(W);
    ledger_is_complete();
}

/* -- W's set watches V's end; V's set that of another -- */

static void sleeper_watches_end(void)
{
    MUST(0, W, .verb = DO_SET_CLOSE);
    MUST(0, W, .verb = DO_SET_CREATE);
    MUST(0, W, .verb = DO_SET_ADD_GONE, .name = "v");
    SLEEPS(.verb = DO_SET_WAIT);
}

static void victim_joins(void)
{
    MUST(0, V, .verb = DO_PEER_JOIN, .name = "v");
}

static void end_is_told(const char *what)
{
    struct answer answer = sleeper_ends(what);
    if (answer.result != 1 && answer.result != -ETIME)
        wrong("W was told %lld %s", (long long)answer.result, answer.sentence);
}

static bool victim_is_there(void)
{
    return DOES(S, .verb = DO_PEER_WAIT, .name = "v", .value = YOKE_PEER_HERE).result == 0;
}

static void gone_killed(void)
{
    end_is_told("V is dead");
    MUST(0, S, .verb = DO_PEER_JOIN, .name = "v", .handle = 1);
    MUST(0, S, .verb = DO_CLOSE, .handle = 1);
}

static void gone_stopped(void)
{
    if (!victim_is_there())
        end_is_told("V has left");
    else if (sleeper_ended())
        wrong("V is there, and W was told of its end");
}

static void gone_finished(const struct answer *answer)
{
    if (answer->result != 0)
        wrong("V's leave gave %lld", (long long)answer->result);
    gone_killed();
}

static void victim_has_empty_set(void)
{
    MUST(0, V, .verb = DO_PEER_JOIN, .name = "v");
    MUST(0, V, .verb = DO_SET_CREATE);
}

static void looking_killed(void)
{
    MUST(0, S, .verb = DO_PEER_WAIT, .name = "s", .value = YOKE_PEER_HERE);
    struct actor *next = actor_start();
    MUST(0, next, .verb = DO_PEER_JOIN, .name = "v");
    MUST(0, next, .verb = DO_CLOSE);
    actor_end(next);
}

static void looking_stopped(void)
{
    MUST(0, S, .verb = DO_PEER_WAIT, .name = "v", .value = YOKE_PEER_HERE);
}

static void looking_finished(const struct answer *answer)
{
    if (answer->result != 0)
        wrong("V was told %lld %s", (long long)answer->result, answer->sentence);
    DOES(V, .verb = DO_SET_CLOSE);
    victim_leaves();
    looking_killed();
}

/* ---- the scenes: each member's ---- */

#define ON(WORLD)    \
    .world = &WORLD, \
    .plan = {.depth = DEPTH, .priorities = 1, .participants = PLACES, .max_message = 32}

#define OWN_SET(WORLD, text, ...)                                                                \
    {.name = "add to a set: " text,                                                              \
     ON(WORLD),                                                                                  \
     __VA_ARGS__,                                                                                \
     .arrange = arranges,                                                                        \
     .before = victim_has_member,                                                                \
     .call = {.verb = DO_SET_ADD, .handle = MEMBER},                                             \
     .after_kill = set_killed,                                                                   \
     .while_stopped = set_stopped,                                                               \
     .after_finish = set_finished},                                                              \
        {.name = "wait on a set, ready: " text,                                                  \
         ON(WORLD),                                                                              \
         __VA_ARGS__,                                                                            \
         .arrange = arranges,                                                                    \
         .before = victim_set_is_ready,                                                          \
         .call = {.verb = DO_SET_WAIT, .handle = MEMBER},                                        \
         .after_kill = set_killed,                                                               \
         .while_stopped = set_stopped,                                                           \
         .after_finish = set_finished},                                                          \
        {.name = "wait on a set, asleep: " text,                                                 \
         ON(WORLD),                                                                              \
         __VA_ARGS__,                                                                            \
         .arrange = arranges,                                                                    \
         .before = victim_has_set,                                                               \
         .call = {.verb = DO_SET_WAIT, .handle = MEMBER, .timeout_ns = LONG_NS},                 \
         .asleep = message_comes,                                                                \
         .after_kill = set_killed,                                                               \
         .while_stopped = set_stopped,                                                           \
         .after_finish = set_finished},                                                          \
        {.name = "remove from a set: " text,                                                     \
         ON(WORLD),                                                                              \
         __VA_ARGS__,                                                                            \
         .arrange = arranges,                                                                    \
         .before = victim_set_is_armed,                                                          \
         .call = {.verb = DO_SET_REMOVE},                                                        \
         .after_kill = set_killed,                                                               \
         .while_stopped = set_stopped,                                                           \
         .after_finish = set_finished},                                                          \
    {                                                                                            \
        .name = "close a set: " text, ON(WORLD), __VA_ARGS__, .arrange = arranges,               \
        .before = victim_set_is_armed, .call = {.verb = DO_SET_CLOSE}, .after_kill = set_killed, \
        .while_stopped = set_stopped, .after_finish = set_finished                               \
    }

#define OTHERS_SET(WORLD, text, ...)                                                              \
    {                                                                                             \
        .name = "send to a set: " text, ON(WORLD), .wakes = true, .arrange = sleeper_set_before,  \
        .before = victim_sends, .settle = sleeper_set_settles, .call = {__VA_ARGS__, .value = 1}, \
        .after_kill = told_killed, .while_stopped = told_others, .after_finish = told_finished    \
    }

const struct scene set_scenes[] = {
    OWN_SET(port_set_world, "port", .alone = false),
    OWN_SET(stream_sets, "stream", .alone = false),
    OWN_SET(signal_sets, "inbox", .alone = false),
    OWN_SET(link_sets, "link", .partner = BESIDE_LINKS),
    OTHERS_SET(port_set_world, "port", .verb = DO_SEND, .handle = SENDER),
    OTHERS_SET(stream_sets, "stream", .verb = DO_WRITE, .handle = SENDER),
    OTHERS_SET(signal_sets, "inbox", .verb = DO_SIGNAL, .name = "r"),
    {.name = "ask for a set's descriptor",
     ON(port_set_world),
     .before = victim_has_set,
     .call = {.verb = DO_SET_FD},
     .after_kill = set_killed,
     .while_stopped = set_stopped,
     .after_finish = set_finished},
    {.name = "cancel a set",
     ON(port_set_world),
     .before = victim_set_is_armed,
     .call = {.verb = DO_SET_CANCEL},
     .after_kill = set_killed,
     .while_stopped = set_stopped,
     .after_finish = set_finished},
    {.name = "leave while a set watches that",
     ON(link_sets),
     .before = victim_joins,
     .settle = sleeper_watches_end,
     .call = {.verb = DO_CLOSE},
     .after_kill = gone_killed,
     .while_stopped = gone_stopped,
     .after_finish = gone_finished,
     .partner = BESIDE_LINKS},
    {.name = "add a peer's end to a set",
     ON(link_sets),
     .before = victim_has_empty_set,
     .call = {.verb = DO_SET_ADD_GONE, .name = "s"},
     .after_kill = looking_killed,
     .while_stopped = looking_stopped,
     .after_finish = looking_finished,
     .partner = BESIDE_LINKS},
    {.name = "add a peer to a set",
     ON(link_sets),
     .before = victim_has_empty_set,
     .call = {.verb = DO_SET_ADD_PEER},
     .after_kill = looking_killed,
     .while_stopped = looking_stopped,
     .after_finish = looking_finished,
     .partner = BESIDE_LINKS},
};
const uint32_t set_scene_count = sizeof set_scenes / sizeof set_scenes[0];
