/*
 * library_peer.c - the scenes of library.c with peers and links: waiting for others to come and go,
 * accepting links, serving all of them in one wait, waiting for a link's other end; with others that
 * wait for V itself. Joining, opening, sending and receiving over links are in links.c.
 *
 * S, W and V are peers "s", "w" and "v". Links carry numbers, as ports do.
 */
#include <errno.h>
#include <string.h>

#include "library.h"
#include "yoke.h"

#define LINK 1 /* the handle */

static void open_peer_world(void)
{
    MUST(0, S, .verb = DO_PEER_JOIN, .name = "s");
    MUST(0, W, .verb = DO_PEER_JOIN, .name = "w");
}

static void join_peers(struct actor *actor)
{
    (void)actor; /* the call does it */
}

/* Who dies beside V dies in joining, unless the scene has something else. */
const struct world peer_world = {
    .family = "peer",
    .lasts = true,
    .open = open_peer_world,
    .join = join_peers,
    .send = {.verb = DO_SEND, .handle = LINK},
    .recv = {.verb = DO_RECV, .handle = LINK},
};

static void victim_joins(void)
{
    MUST(0, V, .verb = DO_PEER_JOIN, .name = "v");
}

static void drops_link(struct actor *actor)
{
    MUST(0, actor, .verb = DO_CLOSE, .handle = LINK);
}

static void opens_link(struct actor *actor, const char *names)
{
    MUST(0, actor, .verb = DO_LINK_OPEN, .name = names, .handle = LINK, .flags = YOKE_CREATE);
}

/* -- V waits for another peer -- */

static void comes(void)
{
    if (run.woken++ == 0)
        MUST(0, W, .verb = DO_PEER_JOIN, .name = "x", .handle = 1);
}

static void goes(void)
{
    if (run.woken++ == 0)
        MUST(0, W, .verb = DO_CLOSE, .handle = 1);
}

static void other_is_there(void)
{
    MUST(0, W, .verb = DO_PEER_JOIN, .name = "x", .handle = 1);
}

/* The name "x" is as W has it, whoever watches it and dies at that. */
static void others_see(void)
{
    bool there = run.scene->call.value == YOKE_PEER_HERE;
    if (there)
        comes();
    else
        goes();
    MUST(0, S, .verb = DO_PEER_WAIT, .name = "x", .value = run.scene->call.value);
    MUST(-EAGAIN, S, .verb = DO_PEER_WAIT, .name = "x",
         .value = there ? YOKE_PEER_GONE : YOKE_PEER_HERE);
}

static void watch_killed(void)
{
    others_see();
    MUST(0, W, .verb = DO_CLOSE, .handle = 1);
    MUST(0, S, .verb = DO_PEER_JOIN, .name = "x", .handle = 1);
    MUST(0, S, .verb = DO_CLOSE, .handle = 1);
}

static void watch_finished(const struct answer *answer)
{
    if (answer->result != 0)
        wrong("V was told %lld %s", (long long)answer->result, answer->sentence);
    victim_leaves();
    MUST(0, W, .verb = DO_CLOSE, .handle = 1);
}

static void list_others(void)
{
    if (DOES(S, .verb = DO_PEER_LIST).result < 2)
        wrong("S does not see itself and W");
}

static void list_finished(const struct answer *answer)
{
    if (answer->result < 2)
        wrong("V sees %lld peers %s", (long long)answer->result, answer->sentence);
}

/* -- others wait for V to come, or to go -- */

static void sleeper_awaits(void)
{
    SLEEPS(.verb = DO_PEER_WAIT, .name = "v",
           .value = run.scene->call.verb == DO_CLOSE ? YOKE_PEER_GONE : YOKE_PEER_HERE);
}

/* Is it there, as others see it? */
static bool victim_is_there(void)
{
    return DOES(S, .verb = DO_PEER_WAIT, .name = "v", .value = YOKE_PEER_HERE).result == 0;
}

static void sleeper_is_told(const char *what)
{
    struct answer answer = sleeper_ends(what);
    if (answer.result != 0 && answer.result != -ETIME)
        wrong("W was told %lld %s", (long long)answer.result, answer.sentence);
}

static void join_killed(void)
{
    if (!sleeper_ended()) {
        struct actor *next = actor_start();
        MUST(0, next, .verb = DO_PEER_JOIN, .name = "v");
        sleeper_is_told("another one has joined");
        MUST(0, next, .verb = DO_CLOSE);
        actor_end(next);
    }
    sleeper_is_told("V had joined");
    MUST(0, S, .verb = DO_PEER_JOIN, .name = "v", .handle = 1);
    MUST(0, S, .verb = DO_CLOSE, .handle = 1);
}

static void join_stopped(void)
{
    if (victim_is_there())
        sleeper_is_told("V has joined");
}

static void join_finished(const struct answer *answer)
{
    if (answer->result != 0)
        wrong("V can not join: %lld %s", (long long)answer->result, answer->sentence);
    sleeper_is_told("V has joined");
    victim_leaves();
    MUST(0, S, .verb = DO_PEER_JOIN, .name = "v", .handle = 1);
    MUST(0, S, .verb = DO_CLOSE, .handle = 1);
}

static void leave_killed(void)
{
    sleeper_is_told("V has left, or is dead");
    MUST(0, S, .verb = DO_PEER_JOIN, .name = "v", .handle = 1);
    MUST(0, S, .verb = DO_CLOSE, .handle = 1);
}

static void leave_stopped(void)
{
    if (!victim_is_there())
        sleeper_is_told("V has left");
    else if (sleeper_ended())
        wrong("V is there, and W was told that it is gone");
}

static void leave_finished(const struct answer *answer)
{
    if (answer->result != 0)
        wrong("V's leave gave %lld", (long long)answer->result);
    leave_killed();
}

/* -- V serves links: one is opened to it; a message comes -- */

static void link_to_victim(void)
{
    victim_joins();
    opens_link(S, "s:v");
    sends(S, 10);
}

static void victim_has_link(void)
{
    opens_link(S, "s:v");
    victim_joins();
    opens_link(V, "v:s");
}

static void message_for_victim(void)
{
    if (run.woken++ == 0)
        sends(S, 10);
}

static void opens_to_victim(void)
{
    if (run.woken++ > 0)
        return;
    opens_link(S, "s:v");
    sends(S, 10);
}

/* The next of the name has all that V did not receive, and both ways are open. */
static void next_has_link(void)
{
    struct actor *next = actor_start();
    MUST(0, next, .verb = DO_PEER_JOIN, .name = "v");
    opens_link(next, "v:s");
    drains(next);
    if (run.got[10] == 0 && !run.lost_ok[10])
        wrong("what S sent to V does not come to the next one");
    sends(S, 20);
    drains(next);
    sends(next, 21);
    for (int i = 0; i < DEPTH && run.got[21] == 0; i++)
        drains(S);
    ledger_is_complete();
    drops_link(next);
    MUST(0, next, .verb = DO_CLOSE);
    actor_end(next);
    drops_link(S);
}

static void serve_killed(void)
{
    if (run.scene->asleep)
        run.scene->asleep();
    run.lost_ok[10] = run.scene->call.verb == DO_PEER_NEXT && run.ended;
    if (run.scene->call.verb == DO_PEER_NEXT)
        run.lost_ok[10] = 1; /* DO_PEER_NEXT receives what is ready */
    next_has_link();
}

static void serve_stopped(void)
{
    if (run.scene->asleep)
        run.scene->asleep();
    sends(S, 11);
}

static void serve_finished(const struct answer *answer)
{
    if (answer->result < 0)
        wrong("V was told %lld %s", (long long)answer->result, answer->sentence);
    if (run.scene->call.verb == DO_PEER_NEXT && answer->result == 1)
        received(V, answer);
    if (run.scene->call.verb == DO_PEER_FD) {
        struct answer next = DOES(V, .verb = DO_PEER_NEXT, .timeout_ns = LONG_NS);
        if (next.result == 1)
            received(V, &next);
        else
            wrong("V's next gave %lld", (long long)next.result);
    }
    drains(V);
    if (run.got[10] != 1 || run.got[11] != 1)
        wrong("V got %u and %u of two", run.got[10], run.got[11]);
    victim_leaves();
    next_has_link();
}

/* -- V waits for the other end of its link -- */

static void victim_alone_on_link(void)
{
    opens_link(V, "v:s");
}

static void other_end_comes(void)
{
    if (run.woken++ == 0)
        opens_link(S, "s:v");
}

static void link_wait_killed(void)
{
    other_end_comes();
    sends(S, 10);
    next_has_link();
}

static void link_wait_stopped(void)
{
    other_end_comes();
    sends(S, 10);
}

static void link_wait_finished(const struct answer *answer)
{
    if (answer->result != 0)
        wrong("V was told %lld %s", (long long)answer->result, answer->sentence);
    drains(V);
    victim_leaves();
    next_has_link();
}

/* -- one of V's name has died, and left a peer's name and its end of a link: V collects, or removes -- */

static void dead_on_link(void)
{
    struct actor *dead = actor_start();
    opens_link(S, "s:v");
    opens_link(dead, "v:s");
    sends(S, 10);
    actor_kill(dead);
}

static void collect_stopped(void)
{
    sends(S, 11);
    MUST(0, W, .verb = DO_PEER_WAIT, .name = "v", .value = YOKE_PEER_GONE);
}

static void collect_finished(const struct answer *answer)
{
    if (answer->result < 0)
        wrong("V was told %lld %s", (long long)answer->result, answer->sentence);
    victim_leaves();
    next_has_link();
}

/* The link's name is gone, or not: S has its end, and the next two of these names meet anew. */
static void link_removed(void)
{
    drops_link(S);
    memset(run.lost_ok, 1, sizeof run.lost_ok);
    opens_link(S, "s:v");
    struct actor *next = actor_start();
    opens_link(next, "v:s");
    drains(next);
    sends(S, 20);
    drains(next);
    if (run.got[20] != 1)
        wrong("what S sends on the new link came %u times", run.got[20]);
    drops_link(next);
    actor_end(next);
    drops_link(S);
}

static void remove_finished(const struct answer *answer)
{
    if (answer->result != 0)
        wrong("V was told %lld %s", (long long)answer->result, answer->sentence);
    link_removed();
}

/* -- V opens, sends on, or closes a link to W, which serves -- */

static void sleeper_serves(void)
{
    SLEEPS(.verb = DO_PEER_NEXT);
}

static void victim_links_sleeper(void)
{
    MUST(0, W, .verb = DO_LINK_OPEN, .name = "w:v", .handle = LINK, .flags = YOKE_CREATE);
    opens_link(V, "v:w");
}

/*
 * W is told of a new link (2), of a message (1), or of the other side's death or leaving. All of
 * them are right, if they are true.
 */
static void server_is_told(const char *what)
{
    struct answer answer = sleeper_ends(what);
    if (answer.result == 1 && run.sent[answer.value % IDS])
        run.got[answer.value % IDS]++;
    else if (answer.result != 2 && answer.result != -EPIPE && answer.result != -EOWNERDEAD &&
             answer.result != -EAGAIN && answer.result != -ETIME)
        wrong("W was told %lld %s", (long long)answer.result, answer.sentence);
}

static void serving_others(void)
{
    if (!sleeper_ended() && !run.ended && run.scene->call.verb == DO_LINK_OPEN)
        opens_link(S, "s:w"); /* it may not have come so far as to be seen */
    if (run.ended || V == NULL || run.scene->call.verb == DO_LINK_OPEN)
        server_is_told("V has opened a link, sent, left or died");
}

static void serving_ends(void)
{
    drops_link(W);
    drops_link(S);
}

static void served_killed(void)
{
    run.sent[1] = run.scene->call.verb == DO_SEND;
    serving_others();
    if (run.ended && run.scene->call.verb == DO_SEND && run.got[1] == 0)
        wrong("V's message was sent, and did not come");
    serving_ends();
}

static void served_stopped(void)
{
    run.sent[1] = run.scene->call.verb == DO_SEND;
    serving_others();
}

static void served_finished(const struct answer *answer)
{
    if (answer->result < 0)
        wrong("V was told %lld %s", (long long)answer->result, answer->sentence);
    if (run.sleeper_waits)
        server_is_told("V has opened a link, sent or left");
    victim_leaves();
    serving_ends();
}

/* -- somebody new comes to a link that V is told the last one's end of, or V does while S is told -- */

#define LINK_OF_BOTH "link:s/v"

static void opens_kept(struct actor *actor, const char *names)
{
    MUST(0, actor, .verb = DO_LINK_OPEN, .name = names, .handle = LINK,
         .flags = YOKE_CREATE | YOKE_KEPT);
}

/* Kept, since who comes may have gone when V closes its end. */
static void end_for_victim(void)
{
    opens_kept(S, "s:v");
    victim_joins();
    opens_kept(V, "v:s");
    drops_link(S);
}

static bool newcomer_stays(void)
{
    return run.place.steps % 2 == 0;
}

static void newcomer_for_victim(void)
{
    opens_kept(S, "s:v");
    sends(S, 11);
    if (!newcomer_stays())
        drops_link(S);
}

static void newcomer_is_served(const struct answer *answer)
{
    if (answer->result == -EPIPE) {
        drops_link(V);
        MUST(0, V, .verb = DO_PEER_ACCEPT);
    } else if (answer->result != 1 && answer->result != -EAGAIN) {
        wrong("V was told %lld %s", (long long)answer->result, answer->sentence);
    }
    struct answer next = {.result = 0};
    if (answer->result != 1)
        next = DOES(V, .verb = DO_RECV, .handle = LINK);
    if (next.result == 1)
        received(V, &next);
    ledger_is_complete();
    if (newcomer_stays())
        drops_link(S);
    victim_leaves();
    MUST(0, S, .verb = DO_REMOVE, .name = LINK_OF_BOTH);
}

static void end_killed(void)
{
    opens_kept(S, "s:v");
    run.lost_ok[10] = 1;
    next_has_link();
    MUST(0, S, .verb = DO_REMOVE, .name = LINK_OF_BOTH);
}

static void end_for_survivor(void)
{
    struct actor *last = actor_start();
    opens_link(S, "s:v");
    opens_link(last, "v:s");
    drops_link(last);
    actor_end(last);
    MUST(-EPIPE, S, .verb = DO_RECV, .handle = LINK);
}

/* Is V there, as S sees it? */
static void survivor_closes(void)
{
    struct answer answer = DOES(S, .verb = DO_RECV, .handle = LINK);
    if (answer.result != -EPIPE && answer.result != -EAGAIN)
        wrong("S was told %lld %s", (long long)answer.result, answer.sentence);
    drops_link(S);
}

static void victim_is_served(const struct answer *answer)
{
    if (answer->result != 0)
        wrong("V can not open the link: %lld %s", (long long)answer->result, answer->sentence);
    MUST(0, S, .verb = DO_PEER_ACCEPT);
    sends(V, 12);
    drains(S);
    ledger_is_complete();
    drops_link(S);
}

static void newcomer_killed(void)
{
    run.lost_ok[10] = 1;
    next_has_link();
}

/* ---- the scenes ---- */

#define WITH_PEERS                                                         \
    .world = &peer_world, .partner = {.verb = DO_PEER_JOIN, .name = "v2"}, \
    .plan = {.depth = DEPTH, .max_message = 32}

const struct scene peer_scenes[] = {
    {.name = "wait for a peer",
     WITH_PEERS,
     .call = {.verb = DO_PEER_WAIT, .name = "x", .value = YOKE_PEER_HERE, .timeout_ns = LONG_NS},
     .asleep = comes,
     .after_kill = watch_killed,
     .while_stopped = others_see,
     .after_finish = watch_finished},
    {.name = "wait for a peer's end",
     WITH_PEERS,
     .arrange = other_is_there,
     .call = {.verb = DO_PEER_WAIT, .name = "x", .value = YOKE_PEER_GONE, .timeout_ns = LONG_NS},
     .asleep = goes,
     .after_kill = watch_killed,
     .while_stopped = others_see,
     .after_finish = watch_finished},
    {.name = "list peers",
     WITH_PEERS,
     .call = {.verb = DO_PEER_LIST},
     .after_kill = list_others,
     .while_stopped = list_others,
     .after_finish = list_finished},
    {.name = "join while one waits for it",
     WITH_PEERS,
     .settle = sleeper_awaits,
     .call = {.verb = DO_PEER_JOIN, .name = "v"},
     .after_kill = join_killed,
     .while_stopped = join_stopped,
     .after_finish = join_finished},
    {.name = "leave while one waits for that",
     WITH_PEERS,
     .before = victim_joins,
     .settle = sleeper_awaits,
     .call = {.verb = DO_CLOSE},
     .after_kill = leave_killed,
     .while_stopped = leave_stopped,
     .after_finish = leave_finished},
    {.name = "accept",
     WITH_PEERS,
     .before = link_to_victim,
     .call = {.verb = DO_PEER_ACCEPT},
     .after_kill = serve_killed,
     .while_stopped = serve_stopped,
     .after_finish = serve_finished},
    {.name = "accept, waiting",
     WITH_PEERS,
     .before = victim_joins,
     .call = {.verb = DO_PEER_ACCEPT, .timeout_ns = LONG_NS},
     .asleep = opens_to_victim,
     .after_kill = serve_killed,
     .while_stopped = serve_stopped,
     .after_finish = serve_finished},
    {.name = "next, a link is new",
     WITH_PEERS,
     .before = link_to_victim,
     .call = {.verb = DO_PEER_NEXT},
     .after_kill = serve_killed,
     .while_stopped = serve_stopped,
     .after_finish = serve_finished},
    {.name = "next, waiting for a message",
     WITH_PEERS,
     .before = victim_has_link,
     .call = {.verb = DO_PEER_NEXT, .timeout_ns = LONG_NS},
     .asleep = message_for_victim,
     .after_kill = serve_killed,
     .while_stopped = serve_stopped,
     .after_finish = serve_finished},
    {.name = "ask for a peer's descriptor",
     WITH_PEERS,
     .before = victim_has_link,
     .call = {.verb = DO_PEER_FD},
     .asleep = message_for_victim,
     .after_kill = serve_killed,
     .while_stopped = serve_stopped,
     .after_finish = serve_finished},
    {.name = "wait for a link's other end",
     WITH_PEERS,
     .before = victim_alone_on_link,
     .call = {.verb = DO_LINK_WAIT, .handle = LINK, .timeout_ns = LONG_NS},
     .asleep = other_end_comes,
     .after_kill = link_wait_killed,
     .while_stopped = link_wait_stopped,
     .after_finish = link_wait_finished},
    {.name = "collect what a dead peer left",
     WITH_PEERS,
     .arrange = dead_on_link,
     .call = {.verb = DO_GC},
     .after_kill = next_has_link,
     .while_stopped = collect_stopped,
     .after_finish = collect_finished},
    {.name = "remove a link in use",
     WITH_PEERS,
     .alone = true,
     .arrange = dead_on_link,
     .call = {.verb = DO_REMOVE, .name = "link:s/v"},
     .after_kill = link_removed,
     .while_stopped = collect_stopped,
     .after_finish = remove_finished},
    {.name = "open a link to one who serves",
     WITH_PEERS,
     .before = victim_joins,
     .settle = sleeper_serves,
     .call = {.verb = DO_LINK_OPEN, .name = "v:w", .handle = LINK, .flags = YOKE_CREATE},
     .after_kill = served_killed,
     .while_stopped = served_stopped,
     .after_finish = served_finished},
    {.name = "send to one who serves",
     WITH_PEERS,
     .before = victim_links_sleeper,
     .settle = sleeper_serves,
     .call = {.verb = DO_SEND, .handle = LINK, .value = 1},
     .after_kill = served_killed,
     .while_stopped = served_stopped,
     .after_finish = served_finished},
    {.name = "close a link to one who serves",
     WITH_PEERS,
     .before = victim_links_sleeper,
     .settle = sleeper_serves,
     .call = {.verb = DO_CLOSE, .handle = LINK},
     .after_kill = served_killed,
     .while_stopped = served_stopped,
     .after_finish = served_finished},
    {.name = "receive an end while somebody new comes",
     WITH_PEERS,
     .alone = true,
     .each = 16,
     .before = end_for_victim,
     .call = {.verb = DO_RECV, .handle = LINK},
     .after_kill = end_killed,
     .while_stopped = newcomer_for_victim,
     .after_finish = newcomer_is_served},
    {.name = "open a link whose other end closes",
     WITH_PEERS,
     .alone = true,
     .arrange = end_for_survivor,
     .before = victim_joins,
     .call = {.verb = DO_LINK_OPEN, .name = "v:s", .handle = LINK, .flags = YOKE_CREATE},
     .after_kill = newcomer_killed,
     .while_stopped = survivor_closes,
     .after_finish = victim_is_served},
};
const uint32_t peer_scene_count = sizeof peer_scenes / sizeof peer_scenes[0];
