/*
 * library_signal.c - the scenes of library.c with signals: sending, receiving, opening and closing an
 * inbox, one that a later owner of the name takes over; in memory and in the kernel.
 *
 * S and W are peers, and W has an inbox (handle 1), as has V in some scenes. What waits in an inbox
 * goes with its owner, and never reaches a later one of the name.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "library.h"
#include "yoke.h"

#define INBOX 1

static uint32_t flags(void)
{
    return run.scene->plan.policy; /* of the scene: YOKE_SIGNALS_KERNEL or 0 */
}

static bool in_kernel(void)
{
    return flags() == YOKE_SIGNALS_KERNEL;
}

static const char *to(char who)
{
    static const char *const names[] = {"w", "w@kernel", "v", "v@kernel"};
    return names[(who == 'v' ? 2 : 0) + in_kernel()];
}

static void open_inbox(struct actor *actor, const char *name)
{
    MUST(0, actor, .verb = DO_PEER_JOIN, .name = name);
    MUST(0, actor, .verb = DO_SIGNALS_OPEN, .handle = INBOX, .flags = flags());
}

static void open_signal_world(void)
{
    MUST(0, S, .verb = DO_PEER_JOIN, .name = "s");
    open_inbox(W, "w");
}

static void join_signals(struct actor *actor)
{
    MUST(0, actor, .verb = DO_PEER_JOIN, .name = "b");
}

static void inbox_is_balanced(void);

const struct world signal_world = {.family = "signal",
                                   .balanced = inbox_is_balanced,
                                   .lasts = true,
                                   .open = open_signal_world,
                                   .join = join_signals,
                                   .send = {.verb = DO_SIGNAL, .name = "w"},
                                   .recv = {.verb = DO_SIGNAL_RECV, .handle = INBOX}};
const struct world kernel_signal_world = {.balanced = inbox_is_balanced,
                                          .family = "signal",
                                          .lasts = true,
                                          .open = open_signal_world,
                                          .join = join_signals,
                                          .send = {.verb = DO_SIGNAL, .name = "w@kernel"},
                                          .recv = {.verb = DO_SIGNAL_RECV, .handle = INBOX}};

static void signals(struct actor *actor, char who, uint64_t id)
{
    struct answer answer = DOES(actor, .verb = DO_SIGNAL, .name = to(who), .value = id);
    if (answer.result == 1)
        run.sent[id] = 2;
    else
        wrong("%s can not send signal %llu: %lld %s", name_of(actor), (unsigned long long)id,
              (long long)answer.result, answer.sentence);
}

/* What W's inbox holds when nobody is in it: all of them, and not one more. */
static void inbox_is_balanced(void)
{
    drains(W);
    ledger_is_complete();
    if (in_kernel())
        return;
    for (uint64_t i = 0; i < DEPTH; i++)
        signals(S, 'w', 40 + i);
    MUST(-EAGAIN, S, .verb = DO_SIGNAL, .name = to('w'), .value = 39);
    drains(W);
    for (uint64_t i = 40; i < 40 + DEPTH; i++) {
        if (run.got[i] != 1)
            wrong("signal %llu came %u times", (unsigned long long)i, run.got[i]);
    }
}

/* -- sending: V is a peer -- */

static void victim_joins(void)
{
    MUST(0, V, .verb = DO_PEER_JOIN, .name = "v");
}

static void victim_has_sent(void)
{
    victim_joins();
    signals(V, 'w', 10);
}

static void send_killed(void)
{
    run.sent[1] = run.ended ? 2 : 1;
    inbox_is_balanced();
}

static void send_stopped(void)
{
    run.sent[1] = 1;
    signals(S, 'w', 2);
    drains(W);
    if (run.got[2] != 1)
        wrong("a signal sent while V stood came %u times", run.got[2]);
}

static void send_finished(const struct answer *answer)
{
    if (answer->result != 1)
        wrong("V's signal gave %lld %s", (long long)answer->result, answer->sentence);
    victim_leaves();
    inbox_is_balanced();
}

static void sleeper_receives(void)
{
    drains(W);
    SLEEPS(.verb = DO_SIGNAL_RECV, .handle = INBOX);
}

static void sleeper_gets(const char *what)
{
    struct answer answer = sleeper_ends(what);
    if (answer.result == 1)
        received(W, &answer);
    else if (answer.result != -ETIME)
        wrong("W's signal_recv gave %lld %s", (long long)answer.result, answer.sentence);
}

static void send_to_sleeper_others(void)
{
    run.sent[1] = run.ended ? 2 : 1;
    if (run.ended)
        sleeper_gets("a signal was sent");
    else if (!sleeper_ended())
        signals(S, 'w', 2);
    if (run.sleeper_waits)
        sleeper_gets("a signal was sent");
}

static void send_to_sleeper_killed(void)
{
    send_to_sleeper_others();
    inbox_is_balanced();
}

static void fills(void)
{
    for (uint64_t i = 10; i < 10 + DEPTH; i++)
        signals(S, 'w', i);
}

static void refused_killed(void)
{
    inbox_is_balanced();
}

static void refused_stopped(void)
{
    MUST(-EAGAIN, S, .verb = DO_SIGNAL, .name = to('w'), .value = 39);
    drains(W);
}

static void refused_finished(const struct answer *answer)
{
    if (answer->result != -EAGAIN && answer->result != 1)
        wrong("V's signal to a full inbox gave %lld %s", (long long)answer->result,
              answer->sentence);
    victim_leaves();
    inbox_is_balanced();
}

/* -- receiving: V has an inbox; when it is dead another one takes its name -- */

static void victim_has_inbox(void)
{
    open_inbox(V, "v");
}

static void victim_was_sent_two(void)
{
    victim_has_inbox();
    signals(S, 'v', 10);
    signals(S, 'v', 11);
}

/* The next owner of the name: nothing that was sent before reaches it; all does that is sent now. */
static void next_owner(void)
{
    struct actor *next = actor_start();
    struct answer none = {.result = 0};
    MUST(0, next, .verb = DO_PEER_JOIN, .name = "v");
    /* asked now and then only: who asks lets go of the dead one's inbox */
    bool asks = run.place.steps % 2 == 0;
    if (asks)
        none = DOES(S, .verb = DO_SIGNAL, .name = to('v'), .value = 30);
    if (asks && none.result != -ENOTSUP)
        wrong("a signal to one who has opened no inbox: %lld %s", (long long)none.result,
              none.sentence);
    MUST(0, next, .verb = DO_SIGNALS_OPEN, .handle = INBOX, .flags = flags());
    MUST(-EAGAIN, next, .verb = DO_SIGNAL_RECV, .handle = INBOX);
    memset(run.lost_ok, 1, sizeof run.lost_ok); /* what was for V is gone */
    signals(S, 'v', 31);
    struct answer answer = DOES(next, .verb = DO_SIGNAL_RECV, .handle = INBOX);
    if (answer.result != 1 || answer.value != 31)
        wrong("the next owner got %lld, %llu", (long long)answer.result,
              (unsigned long long)answer.value);
    MUST(-EAGAIN, next, .verb = DO_SIGNAL_RECV, .handle = INBOX);
    MUST(0, next, .verb = DO_CLOSE, .handle = INBOX);
    MUST(0, next, .verb = DO_CLOSE);
    actor_end(next);
}

static void receive_killed(void)
{
    next_owner();
    inbox_is_balanced();
}

static void receive_stopped(void)
{
    signals(S, 'v', 12);
    signals(S, 'w', 2);
    drains(W);
}

static void receive_finished(const struct answer *answer)
{
    if (answer->result != 1)
        wrong("V was told %lld %s", (long long)answer->result, answer->sentence);
    drains(V);
    ledger_is_complete();
    victim_leaves();
    receive_killed();
}

static void signals_victim(void)
{
    if (run.woken++ == 0)
        signals(S, 'v', 10);
}

static void receive_waits_killed(void)
{
    receive_killed();
}

static void receive_waits_stopped(void)
{
    signals_victim();
    receive_stopped();
}

/* -- opening and closing an inbox -- */

static void dead_owner(void)
{
    struct actor *dead = actor_start();
    open_inbox(dead, "v");
    signals(S, 'v', 10);
    run.lost_ok[10] = 1;
    actor_kill(dead);
}

/* It may be there already, or still; sent to it is what V then gets, if it does. */
static void inbox_stopped(void)
{
    struct answer answer = DOES(S, .verb = DO_SIGNAL, .name = to('v'), .value = 12);
    run.sent[12] = 1;
    if (answer.result != 1 && answer.result != -ENOTSUP)
        wrong("a signal while V stood: %lld %s", (long long)answer.result, answer.sentence);
    signals(S, 'w', 2);
    drains(W);
}

static void open_finished(const struct answer *answer)
{
    if (answer->result != 0) {
        wrong("V's inbox can not be opened: %lld %s", (long long)answer->result, answer->sentence);
        return;
    }
    drains(V);
    signals(S, 'v', 13);
    drains(V);
    if (run.got[13] != 1 || run.got[10])
        wrong("V got 13 %u times, and 10, which was an earlier one's, %u times", run.got[13],
              run.got[10]);
    victim_leaves();
    receive_killed();
}

/* It clears what the dead one left, or finds nobody's. */
static void collect_stopped(void)
{
    MUST(-ENOENT, S, .verb = DO_SIGNAL, .name = to('v'), .value = 12);
    signals(S, 'w', 2);
    drains(W);
}

static void collect_finished(const struct answer *answer)
{
    if (answer->result < 0)
        wrong("V can not collect: %lld %s", (long long)answer->result, answer->sentence);
    victim_leaves();
    receive_killed();
}

static void close_finished(const struct answer *answer)
{
    if (answer->result != 0)
        wrong("V's close gave %lld", (long long)answer->result);
    run.lost_ok[10] = run.lost_ok[11] = 1;
    MUST(-ENOTSUP, S, .verb = DO_SIGNAL, .name = to('v'), .value = 14);
    victim_leaves();
    receive_killed();
}

/* -- UNIX signals: S catches one -- */

static void survivor_catches(void)
{
    MUST(0, S, .verb = DO_CLOSE, .handle = INBOX);
    MUST(0, S, .verb = DO_SIGNALS_OPEN, .handle = INBOX, .flags = flags());
    MUST(0, S, .verb = DO_CATCH, .handle = INBOX, .value = (uint64_t)SIGRTMIN);
}

/* It came once, or, where V may not have sent it, not at all. */
static void unix_came(bool surely)
{
    struct answer answer = DOES(S, .verb = DO_SIGNAL_RECV, .handle = INBOX);
    if (answer.result == 1 ? answer.value != (uint64_t)SIGRTMIN
                           : surely || answer.result != -EAGAIN)
        wrong("S got %lld, %llu", (long long)answer.result, (unsigned long long)answer.value);
    MUST(-EAGAIN, S, .verb = DO_SIGNAL_RECV, .handle = INBOX);
    MUST(0, S, .verb = DO_CLOSE, .handle = INBOX);
}

static void unix_killed(void)
{
    unix_came(run.ended);
    inbox_is_balanced();
}

static void unix_stopped(void)
{
    signals(S, 'w', 2);
    drains(W);
}

static void unix_finished(const struct answer *answer)
{
    if (answer->result != 0)
        wrong("V was told %lld %s", (long long)answer->result, answer->sentence);
    unix_came(true);
    victim_leaves();
    inbox_is_balanced();
}

static void catch_finished(const struct answer *answer)
{
    if (answer->result != 0)
        wrong("V was told %lld %s", (long long)answer->result, answer->sentence);
    drains(V);
    MUST(0, S, .verb = DO_SIGNAL_QUEUE, .name = "v", .value = (uint64_t)SIGRTMIN);
    struct answer got = DOES(V, .verb = DO_SIGNAL_RECV, .handle = INBOX, .timeout_ns = LONG_NS);
    if (got.result != 1 || got.value != (uint64_t)SIGRTMIN)
        wrong("V got %lld, %llu", (long long)got.result, (unsigned long long)got.value);
    victim_leaves();
    receive_killed();
}

/* ---- the scenes, in memory and in the kernel ---- */

#define IN_MEMORY           \
    .world = &signal_world, \
    .plan = {.depth = DEPTH, .priorities = 1, .participants = PLACES, .max_message = 32}
#define IN_KERNEL \
    .world = &kernel_signal_world, .plan = {.depth = DEPTH, .policy = YOKE_SIGNALS_KERNEL}

#define SENDS(place_name) .call = {.verb = DO_SIGNAL, .name = place_name, .value = 1}

#define SEND_SCENES(PLACE, text, name_)                                                         \
    {.name = "signal" text,                                                                     \
     PLACE,                                                                                     \
     .before = victim_joins,                                                                    \
     SENDS(name_),                                                                              \
     .after_kill = send_killed,                                                                 \
     .while_stopped = send_stopped,                                                             \
     .after_finish = send_finished},                                                            \
        {.name = "signal again" text,                                                           \
         PLACE,                                                                                 \
         .before = victim_has_sent,                                                             \
         SENDS(name_),                                                                          \
         .after_kill = send_killed,                                                             \
         .while_stopped = send_stopped,                                                         \
         .after_finish = send_finished},                                                        \
    {                                                                                           \
        .name = "signal while one waits" text, PLACE, .wakes = true, .before = victim_has_sent, \
        .settle = sleeper_receives, SENDS(name_), .after_kill = send_to_sleeper_killed,         \
        .while_stopped = send_to_sleeper_others, .after_finish = send_finished                  \
    }

#define OWNER_SCENES(PLACE, text, kernel_flag)                                     \
    {.name = "receive a signal" text,                                              \
     PLACE,                                                                        \
     .before = victim_was_sent_two,                                                \
     .call = {.verb = DO_SIGNAL_RECV, .handle = INBOX},                            \
     .after_kill = receive_killed,                                                 \
     .while_stopped = receive_stopped,                                             \
     .after_finish = receive_finished},                                            \
        {.name = "receive a signal, waiting" text,                                 \
         PLACE,                                                                    \
         .before = victim_has_inbox,                                               \
         .call = {.verb = DO_SIGNAL_RECV, .handle = INBOX, .timeout_ns = LONG_NS}, \
         .asleep = signals_victim,                                                 \
         .after_kill = receive_waits_killed,                                       \
         .while_stopped = receive_waits_stopped,                                   \
         .after_finish = receive_finished},                                        \
        {.name = "open an inbox" text,                                             \
         PLACE,                                                                    \
         .before = victim_joins,                                                   \
         .call = {.verb = DO_SIGNALS_OPEN, .handle = INBOX, .flags = kernel_flag}, \
         .after_kill = receive_killed,                                             \
         .while_stopped = inbox_stopped,                                           \
         .after_finish = open_finished},                                           \
        {.name = "open an inbox, a dead one's is there" text,                      \
         PLACE,                                                                    \
         .arrange = dead_owner,                                                    \
         .before = victim_joins,                                                   \
         .call = {.verb = DO_SIGNALS_OPEN, .handle = INBOX, .flags = kernel_flag}, \
         .after_kill = receive_killed,                                             \
         .while_stopped = inbox_stopped,                                           \
         .after_finish = open_finished},                                           \
    {                                                                              \
        .name = "close an inbox" text, PLACE, .before = victim_was_sent_two,       \
        .call = {.verb = DO_CLOSE, .handle = INBOX}, .after_kill = receive_killed, \
        .while_stopped = inbox_stopped, .after_finish = close_finished             \
    }

const struct scene signal_scenes[] = {
    SEND_SCENES(IN_MEMORY, "", "w"),
    SEND_SCENES(IN_KERNEL, ", kernel", "w@kernel"),
    {.name = "signal to a full inbox",
     IN_MEMORY,
     .alone = true,
     .arrange = fills,
     .before = victim_joins,
     SENDS("w"),
     .after_kill = refused_killed,
     .while_stopped = refused_stopped,
     .after_finish = refused_finished},
    OWNER_SCENES(IN_MEMORY, "", 0),
    OWNER_SCENES(IN_KERNEL, ", kernel", YOKE_SIGNALS_KERNEL),
    {.name = "collect a dead one's inbox",
     IN_MEMORY,
     .arrange = dead_owner,
     .call = {.verb = DO_GC},
     .after_kill = receive_killed,
     .while_stopped = collect_stopped,
     .after_finish = collect_finished},
    {.name = "collect a dead one's inbox, kernel",
     IN_KERNEL,
     .arrange = dead_owner,
     .call = {.verb = DO_GC},
     .after_kill = receive_killed,
     .while_stopped = collect_stopped,
     .after_finish = collect_finished},
    {.name = "catch a UNIX signal",
     IN_MEMORY,
     .before = victim_has_inbox,
     .call = {.verb = DO_CATCH, .handle = INBOX, .value = 34},
     .after_kill = receive_killed,
     .while_stopped = inbox_stopped,
     .after_finish = catch_finished},
    {.name = "send a UNIX signal",
     IN_MEMORY,
     .arrange = survivor_catches,
     .before = victim_joins,
     .call = {.verb = DO_SIGNAL_KILL, .name = "s", .value = 34},
     .after_kill = unix_killed,
     .while_stopped = unix_stopped,
     .after_finish = unix_finished},
    {.name = "queue a UNIX signal",
     IN_MEMORY,
     .arrange = survivor_catches,
     .before = victim_joins,
     .call = {.verb = DO_SIGNAL_QUEUE, .name = "s", .value = 34},
     .after_kill = unix_killed,
     .while_stopped = unix_stopped,
     .after_finish = unix_finished},
};
const uint32_t signal_scene_count = sizeof signal_scenes / sizeof signal_scenes[0];
