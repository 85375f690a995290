/*
 * library_port.c - the scenes of library.c on a port: sending, receiving, lending, giving back,
 * joining, leaving, recovering.
 *
 * Messages are numbers. What was sent, and what came of it, is kept in `run`.
 */
#include <errno.h>

#include "library.h"
#include "yoke.h"

/* ---- messages: what was sent, and what came of it ---- */

static void open_port_world(void)
{
    MUST(0, S, .verb = DO_PORT_OPEN, .flags = YOKE_CREATE);
    MUST(0, W, .verb = DO_PORT_OPEN);
}

static void join_port(struct actor *actor)
{
    MUST(0, actor, .verb = DO_PORT_OPEN);
}

static void ledger_is_balanced(void);

const struct world port_world = {.family = "port",
                                 .open = open_port_world,
                                 .join = join_port,
                                 .send = {.verb = DO_SEND},
                                 .recv = {.verb = DO_RECV},
                                 .balanced = ledger_is_balanced};

static void opens_port(void)
{
    MUST(0, V, .verb = DO_PORT_OPEN);
}

static struct answer counts(void)
{
    return DOES(S, .verb = DO_COUNT);
}

/* A newcomer looks for the dead at once; the others do every 50 ms. */
static void newcomer(bool drain)
{
    struct actor *other = actor_start();
    MUST(0, other, .verb = DO_PORT_OPEN);
    if (drain)
        drains(other);
    MUST(0, other, .verb = DO_CLOSE);
    actor_end(other);
}

/* Everything is over, the victim gone: each message came once; the port is empty and whole. */
static void ledger_is_balanced(void)
{
    newcomer(true);
    ledger_is_complete();
    for (uint64_t i = 0; i < run.scene->plan.depth; i++)
        sends(S, 40 + i);
    MUST(-EAGAIN, S, .verb = DO_SEND, .value = 39);
    drains(S);
    for (uint64_t i = 40; i < 40 + run.scene->plan.depth; i++) {
        if (run.got[i] != 1)
            wrong("of the %u messages that fit again, number %llu came %u times",
                  run.scene->plan.depth, (unsigned long long)(i - 39), run.got[i]);
    }
    struct answer left = counts();
    if (left.waiting + left.held != 0)
        wrong("%u messages wait and %u are held in an empty port", left.waiting, left.held);
}

/* -- sending -- */

static void send_killed(void)
{
    run.sent[1] = run.ended ? 2 : 1;
    ledger_is_balanced();
}

static void send_stopped(void)
{
    run.sent[1] = 1;
    if (run.paired)
        drains(S);                              /* there is to be room for these */
    for (uint64_t id = 2; id < 1 + DEPTH; id++) /* V's may be there, too */
        sends(S, id);
    drains(S);
    for (uint64_t id = 2; id < 1 + DEPTH; id++) {
        if (run.got[id] != 1)
            wrong("message %llu, sent while V stood, came %u times", (unsigned long long)id,
                  run.got[id]);
    }
}

static void send_finished(const struct answer *answer)
{
    enum verb verb = run.scene->call.verb;
    if (answer->result != (verb == DO_COMMIT || verb == DO_COMMIT_MANY ? 0 : 1))
        wrong("V's send gave %lld", (long long)answer->result);
    victim_leaves();
    ledger_is_balanced();
}

static void victim_loans(void)
{
    opens_port();
    MUST(0, V, .verb = DO_LOAN, .value = 1);
}

/* W waits for a message; V sends one. */
static void sleeper_receives(void)
{
    SLEEPS(.verb = DO_RECV);
}

static void sleeper_gets(const char *what)
{
    struct answer answer = sleeper_ends(what);
    if (answer.result == 1)
        received(W, &answer);
    else if (answer.result != -ETIME)
        wrong("W's recv gave %lld %s", (long long)answer.result, answer.sentence);
}

static void send_to_sleeper_others(void)
{
    run.sent[1] = run.ended ? 2 : 1;
    if (run.ended || counts().waiting > 0)
        sleeper_gets("a message waits");
    else if (!sleeper_ended())
        sends(S, 2);
    if (run.sleeper_waits)
        sleeper_gets("a message was sent");
}

static void send_to_sleeper_killed(void)
{
    send_to_sleeper_others();
    ledger_is_balanced();
}

/* -- sending to one who waits through a descriptor -- */

/* Anew: one that was told of the last victim's death looks by itself for some time after it. */
static void looper_waits(void)
{
    MUST(0, W, .verb = DO_CLOSE);
    MUST(0, W, .verb = DO_PORT_OPEN);
    SLEEPS(.verb = DO_LOOP);
}

/*
 * Whoever is killed between its commit and the ring is looked for, as the dead are. Of one that is
 * stopped there nobody knows: the next message rings.
 */
static void send_to_looper_stopped(void)
{
    run.sent[1] = run.ended ? 2 : 1;
    if (run.ended)
        sleeper_gets("a message waits");
    else if (!sleeper_ended())
        sends(S, 2);
    if (run.sleeper_waits)
        sleeper_gets("a message was sent");
}

static void give_back_to_looper_stopped(void)
{
    if (run.ended)
        sleeper_gets("a message was given back");
    else if (!sleeper_ended())
        sends(S, 12);
    if (run.sleeper_waits)
        sleeper_gets("a message was sent");
}

/* -- V itself receives through a descriptor, and nothing is there: a message comes meanwhile -- */

static void victim_has_a_descriptor(void)
{
    opens_port();
    MUST(0, V, .verb = DO_FD);
}

/* It rang, and was heard: nobody rings for the next one until V asks for that, which it does as it finds nothing. */
static void victims_descriptor_rang(void)
{
    victim_has_a_descriptor();
    sends(S, 19);
    struct answer first = DOES(V, .verb = DO_LOOP, .timeout_ns = LONG_NS);
    received(V, &first);
}

static void loop_killed(void)
{
    sends(S, 20);
    ledger_is_balanced();
}

static void loop_stopped(void)
{
    sends(S, 20);
}

static void loop_finished(const struct answer *answer)
{
    if (answer->result == -EAGAIN || run.scene->call.verb == DO_FD) {
        struct answer later = DOES(V, .verb = DO_LOOP, .timeout_ns = SOON_MS * INT64_C(1000000));
        if (later.result == 1)
            received(V, &later);
        else
            wrong("V was told -EAGAIN, a message waits, and its descriptor is not readable: %lld",
                  (long long)later.result);
    } else if (answer->result != 1) {
        wrong("V was told %lld %s", (long long)answer->result, answer->sentence);
    }
    victim_leaves();
    ledger_is_balanced();
}

/* -- sending into a full port: W and V both wait for room -- */

static void fills(void)
{
    for (uint64_t id = 10; id < 10 + run.scene->plan.depth; id++)
        sends(S, id);
}

static void sleeper_sends(void)
{
    run.sent[3] = 1;
    SLEEPS(.verb = DO_SEND, .value = 3);
}

static void makes_room(void)
{
    if (run.woken++ >= 2)
        return;
    struct answer answer = DOES(S, .verb = DO_RECV);
    if (answer.result == 1)
        received(S, &answer);
}

static void sleeper_has_sent(const char *what)
{
    struct answer answer = sleeper_ends(what);
    if (answer.result == 1)
        run.sent[3] = 2;
    else if (answer.result != -ETIME)
        wrong("W's send gave %lld %s", (long long)answer.result, answer.sentence);
}

static void room_others(void)
{
    run.sent[1] = run.ended ? 2 : 1;
    if (run.woken == 0)
        makes_room();
    if (counts().waiting == run.scene->plan.depth && !sleeper_ended()) /* V took that room */
        makes_room();
    sleeper_has_sent("there is room");
}

static void room_killed(void)
{
    newcomer(false);
    room_others();
    ledger_is_balanced();
}

static void room_stopped(void)
{
    room_others();
    drains(S); /* room for V */
}

/* -- receiving -- */

static void sends_two(void)
{
    sends(S, 10);
    sends(S, 11);
}

static void recv_killed(void)
{
    struct answer before = counts();
    enum verb verb = run.scene->call.verb;
    run.lost_ok[10] = verb == DO_RECV || verb == DO_RECV_ONE || verb == DO_RELEASE;
    ledger_is_balanced();
    if (run.got[10] && before.held > 0 && run.deliveries[10] != 2)
        wrong("the message that V held came with %u deliveries", run.deliveries[10]);
    if (run.got[11] != 1 || run.deliveries[11] != 1)
        wrong("the message behind it came %u times, with %u deliveries", run.got[11],
              run.deliveries[11]);
}

static void recv_stopped(void)
{
    drains(S);
    for (uint64_t id = 20; id < 20 + DEPTH - 1; id++) /* what V holds may take one place */
        sends(S, id);
    drains(S);
    for (uint64_t id = 20; id < 20 + DEPTH - 1; id++) {
        if (run.got[id] != 1)
            wrong("message %llu, sent while V stood, came %u times", (unsigned long long)id,
                  run.got[id]);
    }
}

static void recv_finished(const struct answer *answer)
{
    if (answer->result != 1 && answer->result != -EAGAIN)
        wrong("V was told %lld %s", (long long)answer->result, answer->sentence);
    enum verb verb = run.scene->call.verb;
    if ((verb == DO_BORROW || verb == DO_BORROW_ONE) && answer->result == 1)
        MUST(0, V, .verb = DO_RELEASE);
    victim_leaves();
    ledger_is_balanced();
}

static void victim_borrows(void)
{
    opens_port();
    MUST(1, V, .verb = DO_BORROW);
}

static void give_finished(const struct answer *answer)
{
    if (answer->result != 0)
        wrong("V was told %lld %s", (long long)answer->result, answer->sentence);
    run.lost_ok[10] = run.scene->call.verb == DO_RELEASE;
    victim_leaves();
    ledger_is_balanced();
}

/* W waits; what V holds (10) is given back, by V or for it. 11 is not there. */
static void sends_one(void)
{
    sends(S, 10);
}

static void give_back_others(bool dead)
{
    bool back = dead || run.ended || counts().waiting > 0;
    if (back && run.scene->call.verb != DO_RELEASE && run.scene->call.verb != DO_RECV)
        sleeper_gets("a message was given back");
    else if (!sleeper_ended())
        sends(S, 12);
    if (run.sleeper_waits)
        sleeper_gets("a message was sent");
}

static void give_back_killed(void)
{
    give_back_others(true);
    ledger_is_balanced();
    if (run.deliveries[10] != 2)
        wrong("what V gave back came with %u deliveries", run.deliveries[10]);
}

static void give_back_stopped(void)
{
    give_back_others(false);
}

/* -- receiving where a sender waits for room -- */

static void recv_from_full_others(void)
{
    run.lost_ok[10] = 1;
    struct answer now = counts();
    if (now.waiting < run.scene->plan.depth || run.ended)
        sleeper_has_sent("a message was taken: there is room");
}

static void recv_from_full_killed(void)
{
    newcomer(false); /* what V held waits again */
    recv_from_full_others();
    drains(S);
    if (run.sleeper_waits)
        sleeper_has_sent("the port was drained");
    ledger_is_balanced();
}

static void recv_from_full_stopped(void)
{
    recv_from_full_others();
    drains(S);
    if (run.sleeper_waits)
        sleeper_has_sent("the port was drained");
}

/* -- two wait for a message; V is woken, perhaps, and dies -- */

/* The lowest place is woken first, and it is to be V's: W comes again after it. */
static void sleeper_leaves(void)
{
    MUST(0, W, .verb = DO_CLOSE);
}

static void sleeper_comes_after(void)
{
    MUST(0, W, .verb = DO_PORT_OPEN);
    sleeper_receives();
}

/*
 * A sleeper looks by itself now and then, and V is slow when it is stepped: W may have had the
 * message. Then another one.
 */
static void wakes_one(void)
{
    if (run.woken == 0 || (run.woken == 1 && sleeper_ended())) {
        sends(S, 10 + run.woken);
        run.woken++;
    }
}

static void recv_waits_killed(void)
{
    if (run.woken == 0)
        wakes_one();
    newcomer(false);
    run.lost_ok[10] = run.lost_ok[11] = 1;
    bool waits = counts().waiting > 0;
    if (waits)
        sleeper_gets("a message waits, and who was woken for it is dead");
    else if (!sleeper_ended())
        sends(S, 12);
    if (run.sleeper_waits)
        sleeper_gets("a message was sent");
    ledger_is_balanced();
}

static void recv_waits_stopped(void)
{
    if (run.woken == 0)
        wakes_one();
    if (counts().waiting > 0)
        sleeper_gets("a message waits, and who was woken for it is stopped");
    else if (!sleeper_ended())
        sends(S, 12);
    if (run.sleeper_waits)
        sleeper_gets("a message was sent");
    sends(S, 13); /* for V, if it has none */
}

/* -- joining and leaving -- */

static void all_places_are_free(void)
{
    struct actor *others[PLACES];
    uint32_t most = run.scene->plan.participants - 2;
    for (uint32_t i = 0; i < most; i++) {
        others[i] = actor_start();
        MUST(0, others[i], .verb = DO_PORT_OPEN);
    }
    struct actor *extra = actor_start();
    MUST(-ENOSPC, extra, .verb = DO_PORT_OPEN);
    actor_end(extra);
    for (uint32_t i = 0; i < most; i++) {
        MUST(0, others[i], .verb = DO_CLOSE);
        actor_end(others[i]);
    }
}

static void join_killed(void)
{
    all_places_are_free();
    ledger_is_balanced();
}

static void join_stopped(void)
{
    sends(S, 1);
    drains(W);
    newcomer(false);
}

static void join_finished(const struct answer *answer)
{
    if (answer->result != 0)
        wrong("V can not join: %lld %s", (long long)answer->result, answer->sentence);
    else
        sends(V, 2);
    victim_leaves();
    ledger_is_balanced();
}

static void victim_has_all_sorts(void)
{
    opens_port();
    MUST(1, V, .verb = DO_BORROW);
    sends(V, 14);
    MUST(0, V, .verb = DO_LOAN, .value = 1);
}

static void leave_killed(void)
{
    drains(W);
    all_places_are_free();
    ledger_is_balanced();
    if (run.got[10] && run.deliveries[10] != 2)
        wrong("what V gave back came with %u deliveries", run.deliveries[10]);
}

static void leave_stopped(void)
{
    drains(W);
    sends(S, 15);
    drains(S);
    newcomer(false);
}

static void leave_finished(const struct answer *answer)
{
    if (answer->result != 0)
        wrong("V's close gave %lld", (long long)answer->result);
    actor_end(V);
    V = NULL;
    drains(W);
    ledger_is_balanced();
}

/* -- recovering a dead one: V is killed at it, then somebody else recovers both -- */

static void dead_holder(void)
{
    struct actor *dead = actor_start();
    for (uint64_t id = 10; id < 13; id++)
        sends(S, id);
    MUST(0, dead, .verb = DO_PORT_OPEN);
    MUST(1, dead, .verb = DO_BORROW);
    MUST(1, dead, .verb = DO_BORROW);
    MUST(0, dead, .verb = DO_LOAN, .value = 1);
    sends(dead, 13);
    actor_kill(dead);
}

static void recovery_is_right(void)
{
    ledger_is_balanced();
    for (uint64_t id = 10; id < 14; id++) {
        if (run.deliveries[id] != (id < 12 ? 2 : 1))
            wrong("message %llu came with %u deliveries", (unsigned long long)id,
                  run.deliveries[id]);
    }
}

static void recovery_killed(void)
{
    recovery_is_right();
}

static void recovery_stopped(void)
{
    drains(S); /* what V does not have in hand */
    if (run.got[12] != 1 || run.got[13] != 1)
        wrong("messages that nobody held did not come while V stood");
    newcomer(true);
    /* who comes now, perhaps to the dead one's place, keeps what it has whatever V goes on to do */
    run.holder = actor_start();
    MUST(0, run.holder, .verb = DO_PORT_OPEN);
    sends(S, 30);
    struct answer answer = DOES(run.holder, .verb = DO_BORROW);
    if (answer.result != 1)
        wrong("a newcomer can not borrow: %lld", (long long)answer.result);
    else
        received(run.holder, &answer);
}

static void holder_has_it_still(void)
{
    if (counts().held != 1)
        wrong("a living one has borrowed a message, and %u are held", counts().held);
    MUST(0, run.holder, .verb = DO_RELEASE);
    MUST(0, run.holder, .verb = DO_CLOSE);
    actor_end(run.holder);
    run.holder = NULL;
}

static void recovery_finished(const struct answer *answer)
{
    if (answer->result != 0)
        wrong("V can not join: %lld %s", (long long)answer->result, answer->sentence);
    holder_has_it_still();
    victim_leaves();
    recovery_is_right();
}

/* -- a forked child's first call -- */

static void parent_borrows(void)
{
    sends_two();
    MUST(1, S, .verb = DO_BORROW);
}

static void parent_has_it_still(void)
{
    if (counts().held == 0)
        wrong("what the parent had borrowed is gone");
    MUST(0, S, .verb = DO_RELEASE);
    run.lost_ok[10] = 1;
}

static void child_killed(void)
{
    run.sent[1] = run.ended ? 2 : 1;
    parent_has_it_still();
    drains(S);
    all_places_are_free();
    ledger_is_balanced();
    if (run.got[10])
        wrong("what the parent had released came again");
}

static void child_stopped(void)
{
    run.sent[1] = 1;
    parent_has_it_still();
    sends(S, 2);
    drains(S);
}

static void child_finished(const struct answer *answer)
{
    if (answer->result != 1)
        wrong("the child's send gave %lld %s", (long long)answer->result, answer->sentence);
    victim_leaves();
    ledger_is_balanced();
}

/* -- parked messages: the second delivery is the last -- */

static void parked_killed(void)
{
    newcomer(false);
    struct answer now = counts();
    if (now.waiting + now.held + now.parked != 1)
        wrong("the message is in %u places", now.waiting + now.held + now.parked);
    struct actor *other = actor_start();
    run.lost_ok[10] = now.parked == 1;
    MUST(0, other, .verb = DO_PORT_OPEN, .flags = YOKE_PARKED);
    if (now.parked)
        MUST(1, other, .verb = DO_RECV);
    else
        MUST(-EAGAIN, other, .verb = DO_RECV);
    MUST(0, other, .verb = DO_CLOSE);
    actor_end(other);
    ledger_is_balanced();
}

static void nothing_while_stopped(void)
{
    sends(S, 20);
    drains(S);
}

static void parked_finished(const struct answer *answer)
{
    if (answer->result != 0)
        wrong("V's return gave %lld", (long long)answer->result);
    victim_leaves();
    parked_killed();
}

static void once_killed(void)
{
    run.lost_ok[10] = 1;
    ledger_is_balanced();
    if (run.got[10] && run.deliveries[10] != 1)
        wrong("under `once` a message came again");
}

/* -- two at once: perhaps none, one, or both, but never the second alone -- */

static void two_killed(void)
{
    run.sent[1] = run.sent[2] = run.ended ? 2 : 1;
    newcomer(true);
    if (run.got[2] && !run.got[1])
        wrong("the second of two was sent, and the first was not");
    ledger_is_balanced();
}

static void two_stopped(void)
{
    run.sent[1] = run.sent[2] = 1;
    drains(S);
    sends(S, 3);
    drains(S);
}

static void two_finished(const struct answer *answer)
{
    if (answer->result != 2)
        wrong("V's sending two gave %lld", (long long)answer->result);
    victim_leaves();
    ledger_is_balanced();
}

/* -- a loan -- */

static void loan_killed(void)
{
    sends(S, 2);
    ledger_is_balanced();
}

static void loan_stopped(void)
{
    sends(S, 2);
    drains(S);
}

static void loan_finished(const struct answer *answer)
{
    if (answer->result != 0)
        wrong("V's loan gave %lld %s", (long long)answer->result, answer->sentence);
    else
        MUST(0, V, .verb = DO_RELEASE);
    victim_leaves();
    ledger_is_balanced();
}

/* -- V's other thread waits for a message, and so does W; V ends its thread's wait -- */

static void thread_receives(void)
{
    opens_port();
    MUST(0, V, .verb = DO_WAITER);
}

/* It may have been given to V's thread, which is as dead as V. */
static void cancel_killed(void)
{
    sends(S, 10);
    sleeper_gets("a message was sent");
    ledger_is_balanced();
}

/* V's thread runs on while V itself stands. */
static void cancel_stopped(void)
{
    sends(S, 10);
    sends(S, 11);
    sleeper_gets("two messages were sent, and one other waits");
}

static void cancel_finished(const struct answer *answer)
{
    if (answer->result != 0)
        wrong("V was told %lld %s", (long long)answer->result, answer->sentence);
    struct answer thread = DOES(V, .verb = DO_WAITER_ENDS);
    if (thread.result == 1)
        received(V, &thread);
    else if (thread.result != -ECANCELED)
        wrong("V's thread was told %lld", (long long)thread.result);
    victim_leaves();
    ledger_is_balanced();
}

/* ---- the scenes ---- */

#define PLAIN .plan = {.depth = DEPTH, .priorities = 1, .participants = PLACES, .max_message = 32}
#define TWO   .plan = {.depth = DEPTH, .priorities = 2, .participants = PLACES, .max_message = 32}
#define ONCE                         \
    .plan = {.depth = DEPTH,         \
             .priorities = 1,        \
             .participants = PLACES, \
             .max_message = 32,      \
             .policy = YOKE_POLICY_ONCE}
#define PARKING                      \
    .plan = {.depth = DEPTH,         \
             .priorities = 1,        \
             .participants = PLACES, \
             .max_message = 32,      \
             .max_deliveries = 1}

const struct scene port_scenes[] = {
    {.name = "send",
     .port = true,
     PLAIN,
     .before = opens_port,
     .call = {.verb = DO_SEND, .value = 1},
     .after_kill = send_killed,
     .while_stopped = send_stopped,
     .after_finish = send_finished},
    {.name = "send with priority",
     .port = true,
     TWO,
     .before = opens_port,
     .call = {.verb = DO_SEND, .value = 1, .priority = 1},
     .after_kill = send_killed,
     .while_stopped = send_stopped,
     .after_finish = send_finished},
    {.name = "commit",
     .port = true,
     PLAIN,
     .before = victim_loans,
     .call = {.verb = DO_COMMIT},
     .after_kill = send_killed,
     .while_stopped = send_stopped,
     .after_finish = send_finished},
    {.name = "send while one waits",
     .wakes = true,
     .port = true,
     PLAIN,
     .before = opens_port,
     .settle = sleeper_receives,
     .call = {.verb = DO_SEND, .value = 1},
     .after_kill = send_to_sleeper_killed,
     .while_stopped = send_to_sleeper_others,
     .after_finish = send_finished},
    {.name = "commit while one waits",
     .wakes = true,
     .port = true,
     PLAIN,
     .before = victim_loans,
     .settle = sleeper_receives,
     .call = {.verb = DO_COMMIT},
     .after_kill = send_to_sleeper_killed,
     .while_stopped = send_to_sleeper_others,
     .after_finish = send_finished},
    {.name = "send to a descriptor",
     .port = true,
     PLAIN,
     .before = opens_port,
     .settle = looper_waits,
     .call = {.verb = DO_SEND, .value = 1},
     .after_kill = send_to_sleeper_killed,
     .while_stopped = send_to_looper_stopped,
     .after_finish = send_finished},
    {.name = "commit to a descriptor",
     .port = true,
     PLAIN,
     .before = victim_loans,
     .settle = looper_waits,
     .call = {.verb = DO_COMMIT},
     .after_kill = send_to_sleeper_killed,
     .while_stopped = send_to_looper_stopped,
     .after_finish = send_finished},
    {.name = "return to a descriptor",
     .port = true,
     PLAIN,
     .arrange = sends_one,
     .before = victim_borrows,
     .settle = looper_waits,
     .call = {.verb = DO_RETURN},
     .after_kill = give_back_killed,
     .while_stopped = give_back_to_looper_stopped,
     .after_finish = give_finished},
    {.name = "leave beside a descriptor",
     .port = true,
     PLAIN,
     .arrange = sends_one,
     .before = victim_borrows,
     .settle = looper_waits,
     .call = {.verb = DO_CLOSE},
     .after_kill = give_back_killed,
     .while_stopped = give_back_to_looper_stopped,
     .after_finish = leave_finished},
    {.name = "ask for a descriptor",
     .port = true,
     .rings = true,
     PLAIN,
     .before = opens_port,
     .call = {.verb = DO_FD},
     .after_kill = loop_killed,
     .while_stopped = loop_stopped,
     .after_finish = loop_finished},
    {.name = "recv through a descriptor",
     .port = true,
     .rings = true,
     PLAIN,
     .before = victim_has_a_descriptor,
     .call = {.verb = DO_RECV},
     .after_kill = loop_killed,
     .while_stopped = loop_stopped,
     .after_finish = loop_finished},
    {.name = "recv through a descriptor that rang",
     .port = true,
     .rings = true,
     PLAIN,
     .before = victims_descriptor_rang,
     .call = {.verb = DO_RECV},
     .after_kill = loop_killed,
     .while_stopped = loop_stopped,
     .after_finish = loop_finished},
    {.name = "leave with a descriptor",
     .port = true,
     .rings = true,
     PLAIN,
     .before = victim_has_a_descriptor,
     .call = {.verb = DO_CLOSE},
     .after_kill = loop_killed,
     .while_stopped = loop_stopped,
     .after_finish = leave_finished},
    {.name = "send, waiting for room",
     .alone = true,
     .port = true,
     PLAIN,
     .arrange = fills,
     .before = opens_port,
     .settle = sleeper_sends,
     .call = {.verb = DO_SEND, .value = 1, .timeout_ns = LONG_NS},
     .asleep = makes_room,
     .after_kill = room_killed,
     .while_stopped = room_stopped,
     .after_finish = send_finished},
    {.name = "recv",
     .port = true,
     PLAIN,
     .arrange = sends_two,
     .before = opens_port,
     .call = {.verb = DO_RECV},
     .after_kill = recv_killed,
     .while_stopped = recv_stopped,
     .after_finish = recv_finished},
    {.name = "recv of two priorities",
     .port = true,
     TWO,
     .arrange = sends_two,
     .before = opens_port,
     .call = {.verb = DO_RECV},
     .after_kill = recv_killed,
     .while_stopped = recv_stopped,
     .after_finish = recv_finished},
    {.name = "recv once",
     .port = true,
     ONCE,
     .arrange = sends_two,
     .before = opens_port,
     .call = {.verb = DO_RECV},
     .after_kill = once_killed,
     .while_stopped = recv_stopped,
     .after_finish = recv_finished},
    {.name = "recv while one waits for room",
     .alone = true,
     .wakes = true,
     .port = true,
     PLAIN,
     .arrange = fills,
     .before = opens_port,
     .settle = sleeper_sends,
     .call = {.verb = DO_RECV},
     .after_kill = recv_from_full_killed,
     .while_stopped = recv_from_full_stopped,
     .after_finish = recv_finished},
    {.name = "recv, waiting",
     .port = true,
     PLAIN,
     .arrange = sleeper_leaves,
     .before = opens_port,
     .settle = sleeper_comes_after,
     .call = {.verb = DO_RECV, .timeout_ns = LONG_NS},
     .asleep = wakes_one,
     .after_kill = recv_waits_killed,
     .while_stopped = recv_waits_stopped,
     .after_finish = recv_finished},
    {.name = "borrow",
     .port = true,
     PLAIN,
     .arrange = sends_two,
     .before = opens_port,
     .call = {.verb = DO_BORROW},
     .after_kill = recv_killed,
     .while_stopped = recv_stopped,
     .after_finish = recv_finished},
    {.name = "release",
     .port = true,
     PLAIN,
     .arrange = sends_two,
     .before = victim_borrows,
     .call = {.verb = DO_RELEASE},
     .after_kill = recv_killed,
     .while_stopped = recv_stopped,
     .after_finish = give_finished},
    {.name = "return",
     .port = true,
     PLAIN,
     .arrange = sends_two,
     .before = victim_borrows,
     .call = {.verb = DO_RETURN},
     .after_kill = recv_killed,
     .while_stopped = recv_stopped,
     .after_finish = give_finished},
    {.name = "return while one waits",
     .wakes = true,
     .port = true,
     PLAIN,
     .arrange = sends_one,
     .before = victim_borrows,
     .settle = sleeper_receives,
     .call = {.verb = DO_RETURN},
     .after_kill = give_back_killed,
     .while_stopped = give_back_stopped,
     .after_finish = give_finished},
    {.name = "return for the last time",
     .alone = true,
     .port = true,
     PARKING,
     .arrange = sends_one,
     .before = victim_borrows,
     .call = {.verb = DO_RETURN},
     .after_kill = parked_killed,
     .while_stopped = nothing_while_stopped,
     .after_finish = parked_finished},
    {.name = "join",
     .partner = {.verb = DO_PORT_OPEN},
     .port = true,
     PLAIN,
     .call = {.verb = DO_PORT_OPEN},
     .after_kill = join_killed,
     .while_stopped = join_stopped,
     .after_finish = join_finished},
    {.name = "leave",
     .port = true,
     PLAIN,
     .arrange = sends_one,
     .before = victim_has_all_sorts,
     .call = {.verb = DO_CLOSE},
     .after_kill = leave_killed,
     .while_stopped = leave_stopped,
     .after_finish = leave_finished},
    {.name = "leave while one waits",
     .wakes = true,
     .port = true,
     PLAIN,
     .arrange = sends_one,
     .before = victim_borrows,
     .settle = sleeper_receives,
     .call = {.verb = DO_CLOSE},
     .after_kill = give_back_killed,
     .while_stopped = give_back_stopped,
     .after_finish = leave_finished},
    {.name = "recover",
     .partner = {.verb = DO_PORT_OPEN},
     .port = true,
     PLAIN,
     .arrange = dead_holder,
     .call = {.verb = DO_PORT_OPEN},
     .after_kill = recovery_killed,
     .while_stopped = recovery_stopped,
     .after_finish = recovery_finished},
    {.name = "send one",
     .port = true,
     PLAIN,
     .before = opens_port,
     .call = {.verb = DO_SEND_ONE, .value = 1},
     .after_kill = send_killed,
     .while_stopped = send_stopped,
     .after_finish = send_finished},
    {.name = "send two at once",
     .port = true,
     PLAIN,
     .before = opens_port,
     .call = {.verb = DO_SEND_TWO, .value = 1},
     .after_kill = two_killed,
     .while_stopped = two_stopped,
     .after_finish = two_finished},
    {.name = "loan",
     .port = true,
     PLAIN,
     .before = opens_port,
     .call = {.verb = DO_LOAN, .value = 1},
     .after_kill = loan_killed,
     .while_stopped = loan_stopped,
     .after_finish = loan_finished},
    {.name = "release a loan",
     .port = true,
     PLAIN,
     .before = victim_loans,
     .call = {.verb = DO_RELEASE},
     .after_kill = loan_killed,
     .while_stopped = loan_stopped,
     .after_finish = give_finished},
    {.name = "commit many",
     .port = true,
     PLAIN,
     .before = victim_loans,
     .call = {.verb = DO_COMMIT_MANY},
     .after_kill = send_killed,
     .while_stopped = send_stopped,
     .after_finish = send_finished},
    {.name = "recv one",
     .port = true,
     PLAIN,
     .arrange = sends_two,
     .before = opens_port,
     .call = {.verb = DO_RECV_ONE},
     .after_kill = recv_killed,
     .while_stopped = recv_stopped,
     .after_finish = recv_finished},
    {.name = "borrow one",
     .port = true,
     PLAIN,
     .arrange = sends_two,
     .before = opens_port,
     .call = {.verb = DO_BORROW_ONE},
     .after_kill = recv_killed,
     .while_stopped = recv_stopped,
     .after_finish = recv_finished},
    {.name = "cancel a wait for a message",
     .port = true,
     PLAIN,
     .alone = true,
     .before = thread_receives,
     .settle = sleeper_receives,
     .call = {.verb = DO_CANCEL},
     .after_kill = cancel_killed,
     .while_stopped = cancel_stopped,
     .after_finish = cancel_finished},
    {.name = "close what a thread waits on",
     .port = true,
     PLAIN,
     .alone = true,
     .before = thread_receives,
     .settle = sleeper_receives,
     .call = {.verb = DO_CLOSE},
     .after_kill = cancel_killed,
     .while_stopped = cancel_stopped,
     .after_finish = cancel_finished},
    {.name = "send in a forked child",
     .port = true,
     PLAIN,
     .forked = true,
     .arrange = parent_borrows,
     .call = {.verb = DO_SEND, .value = 1},
     .after_kill = child_killed,
     .while_stopped = child_stopped,
     .after_finish = child_finished},
};
const uint32_t port_scene_count = sizeof port_scenes / sizeof port_scenes[0];
