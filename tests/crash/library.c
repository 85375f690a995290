/*
 * library.c - a process is killed, or stopped for ever, at any instruction of a call on an open object, with others at work
 * beside it.
 *
 * Each scene has a survivor S, a sleeper W that waits where the scene wants one, and for each place a new victim V, all real
 * processes against the library as it ships. The calls are walked through instruction by instruction: a place is each one
 * after which shared memory reads otherwise, each system call, and one in some of the others (--long: each).
 *
 *   kill   V dies there by SIGKILL. S must be able to use everything again, and be told what it must be told; W must get
 *          what is its own by now, though nobody may be left who would have woken it. Messages: each one that was sent is delivered
 *          once, or the second time marked; in the end the port takes `depth` messages again, and every participant's place.
 *   stop   V stands there. S and W go on with all that V does not hold. Then V goes on and must end well.
 *
 *   library [--long] [--seed N] [--seconds N] [--lanes N] [--scene NAME] [--mode kill|stop] [--place STOPS.STEPS]
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>

#include "campaign.h"
#include "yoke.h"

/* A sleeper looks by itself every 100 ms; the rest is for a busy machine. What is never noticed takes longer than this. */
#define SOON_MS   4000
#define LONG_NS   INT64_C(20000000000)
#define IDS       64
#define DEPTH     4
#define PLACES    6 /* participants */

struct scene {
    const char *name;
    bool port;
    struct port_plan plan;    /* ports */
    void (*arrange)(void);    /* what there is, before V comes */
    void (*before)(void);     /* V's own, before the call */
    struct order call;
    bool forked;              /* V is a child that S forked */
    void (*settle)(void);     /* after `before`: who sleeps */
    void (*asleep)(void);     /* V sleeps: what wakes it. May be called several times */
    void (*after_kill)(void);
    void (*while_stopped)(void);
    void (*after_finish)(const struct answer *answer);
};

static struct run {
    const struct scene *scene;
    enum mode mode;
    struct place place;
    enum where where;
    bool ended;            /* V's call was over */
    bool reported;
    struct actor *survivor, *sleeper, *victim;
    uint64_t word;         /* of the lock, before the call */
    uint64_t count;        /* of the event */
    uint32_t woken;        /* how often `asleep` did something */
    bool sleeper_waits;
    /* messages */
    uint8_t sent[IDS];     /* 0 no, 1 perhaps, 2 yes */
    uint8_t got[IDS];
    uint8_t lost_ok[IDS];  /* V may have acknowledged it */
    uint8_t deliveries[IDS];
    char log[900];
} run;

#define S run.survivor
#define W run.sleeper
#define V run.victim

static void note(const char *who, const char *what, long long result)
{
    size_t used = strlen(run.log);
    if (used < sizeof run.log - 40)
        snprintf(run.log + used, sizeof run.log - used, "%s%s %s %lld", used ? ", " : "", who, what, result);
}

static const char *where(void)
{
    static char text[1200];
    snprintf(text, sizeof text, "--scene '%s' --mode %s --place %u.%u%s\n#   %s", run.scene->name, run.mode == KILL ? "kill" : "stop",
             run.place.stops, run.place.steps, run.ended ? " (the call was over)" : run.where == AT_SLEEP ? " (asleep)" : "", run.log);
    return text;
}

static const char *name_of(const struct actor *actor)
{
    return actor == S ? "S" : actor == W ? "W" : actor == V ? "V" : "N";
}

static struct answer does(struct actor *actor, struct order order)
{
    struct answer answer = actor_ask(actor, &order);
    note(name_of(actor), verb_names[order.verb], answer.result == 1 && order.verb == DO_RECV ? (long long)answer.value : answer.result);
    if (answer.result == -ETIME)
        wrong("%s's %s never ended", name_of(actor), verb_names[order.verb]);
    if (answer.took_ns > totals->slowest_ns && order.timeout_ns == 0)
        totals->slowest_ns = answer.took_ns;
    return answer;
}
#define DOES(actor, ...) does(actor, (struct order){__VA_ARGS__})

/* As DOES, and it must end with this. */
#define MUST(expected, actor, ...)                                                                                   \
    do {                                                                                                             \
        struct order order_ = {__VA_ARGS__};                                                                         \
        struct answer answer_ = does(actor, order_);                                                                 \
        if (answer_.result != (expected))                                                                            \
            wrong("%s's %s gave %lld instead of %lld %s", name_of(actor), verb_names[order_.verb], (long long)answer_.result, \
                  (long long)(expected), answer_.sentence);                                                          \
    } while (0)

/* ---- the sleeper ------------------------------------------------------------------------------------------ */

static void sleeper_begins(struct order order)
{
    order.timeout_ns = LONG_NS;
    actor_tell(W, &order);
    run.sleeper_waits = true;
    if (!actor_fell_asleep(W))
        wrong("W did not fall asleep in its %s", verb_names[order.verb]);
}
#define SLEEPS(...) sleeper_begins((struct order){__VA_ARGS__})

/* What W waits for is there: it must notice soon. */
static struct answer sleeper_ends(const char *what)
{
    struct answer answer = {.result = -ETIME};
    if (!run.sleeper_waits)
        return answer;
    bool heard = actor_hear(W, &answer, SOON_MS);
    note("W", heard ? "got" : "missed it", heard ? (answer.value ? (long long)answer.value : answer.result) : 0);
    if (!heard)
        wrong("W sleeps on, though %s", what);
    run.sleeper_waits = !heard;
    return answer;
}

static bool sleeper_ended(void)
{
    return run.sleeper_waits && W->board->answered == W->board->told;
}

/* ---- locks -------------------------------------------------------------------------------------------------- */

static uint64_t lock_word(void)
{
    return DOES(S, .verb = DO_LOCK_WORD).value;
}

static void opens_region(void)
{
    MUST(0, V, .verb = DO_REGION_OPEN);
    run.word = lock_word();
}

/* V is dead; nobody else has the lock: it can be taken, and says so if V had it. */
static void lock_is_left(void)
{
    uint64_t word = lock_word();
    if (run.ended && word == 0 && run.scene->call.verb == DO_LOCK)
        wrong("V had the lock, and it is free without anybody having been told");
    MUST(word != 0 ? YOKE_OWNER_DIED : YOKE_LOCKED, S, .verb = DO_LOCK);
    MUST(0, S, .verb = DO_UNLOCK);
    MUST(YOKE_LOCKED, S, .verb = DO_LOCK, .timeout_ns = LONG_NS);
    MUST(0, S, .verb = DO_UNLOCK);
}

/* V stands: it has the lock, or S can have it. S keeps it then. */
static bool survivor_may_lock(void)
{
    uint64_t word = lock_word();
    if (word == 0 || word == run.word) {
        struct answer answer = DOES(S, .verb = DO_LOCK);
        if (answer.result != (word == 0 ? YOKE_LOCKED : YOKE_OWNER_DIED))
            wrong("S can not take the lock (word %llx), though only a stopped process wanted it: %lld", (unsigned long long)word,
                  (long long)answer.result);
        return true;
    }
    MUST(-EAGAIN, S, .verb = DO_LOCK);
    return false;
}

static void lock_while_stopped(void)
{
    run.count = survivor_may_lock();
}

static void lock_after_finish(const struct answer *answer)
{
    if (run.count == 0) {
        if (answer->result != YOKE_LOCKED && answer->result != YOKE_OWNER_DIED)
            wrong("V has the lock, and was told %lld", (long long)answer->result);
        if (answer->result >= 0)
            MUST(0, V, .verb = DO_UNLOCK);
        MUST(YOKE_LOCKED, S, .verb = DO_LOCK);
    } else if (answer->result != -EAGAIN) {
        wrong("S has the lock, and V was told %lld", (long long)answer->result);
    }
    MUST(0, S, .verb = DO_UNLOCK);
}

static void dead_owner(void)
{
    struct actor *dead = actor_start();
    MUST(0, dead, .verb = DO_REGION_OPEN);
    if (run.scene->call.verb == DO_LOCK) {
        MUST(YOKE_LOCKED, dead, .verb = DO_LOCK);
    } else {
        MUST(0, dead, .verb = DO_SEMAPHORE_ACQUIRE);
        MUST(0, dead, .verb = DO_SEMAPHORE_ACQUIRE);
    }
    actor_kill(dead);
}

static void lock_of_two_dead(void)
{
    MUST(YOKE_OWNER_DIED, S, .verb = DO_LOCK);
    MUST(0, S, .verb = DO_UNLOCK);
    MUST(YOKE_LOCKED, S, .verb = DO_LOCK);
    MUST(0, S, .verb = DO_UNLOCK);
}

/* W holds it, V waits for it. */
static void sleeper_locks(void)
{
    MUST(YOKE_LOCKED, W, .verb = DO_LOCK);
}

static void sleeper_unlocks(void)
{
    if (run.woken++ == 0)
        MUST(0, W, .verb = DO_UNLOCK);
}

static void wait_lock_killed(void)
{
    if (run.woken == 0) {
        MUST(-EAGAIN, S, .verb = DO_LOCK);
        sleeper_unlocks();
    }
    lock_is_left();
}

static void wait_lock_stopped(void)
{
    sleeper_unlocks();
    run.count = survivor_may_lock();
    if (run.count)
        MUST(0, S, .verb = DO_UNLOCK);
}

static void wait_lock_finished(const struct answer *answer)
{
    if (answer->result != YOKE_LOCKED)
        wrong("V waited for the lock and was told %lld", (long long)answer->result);
    MUST(0, V, .verb = DO_UNLOCK);
    MUST(YOKE_LOCKED, S, .verb = DO_LOCK);
    MUST(0, S, .verb = DO_UNLOCK);
}

/* V holds it, W waits for it, V gives it up. */
static void victim_locks(void)
{
    opens_region();
    MUST(YOKE_LOCKED, V, .verb = DO_LOCK);
    run.word = lock_word();
}

static void sleeper_wants_lock(void)
{
    SLEEPS(.verb = DO_LOCK);
}

static void unlock_killed(void)
{
    bool held = !run.ended && lock_word() == run.word;
    struct answer answer = sleeper_ends("the lock's owner is dead or gave it up");
    if (answer.result != YOKE_OWNER_DIED && (held || answer.result != YOKE_LOCKED))
        wrong("W was told %lld; V %s", (long long)answer.result, held ? "had the lock when it died" : "had given it up");
    MUST(0, W, .verb = DO_UNLOCK);
}

static void unlock_stopped(void)
{
    if (lock_word() == run.word) {
        MUST(-EAGAIN, S, .verb = DO_LOCK);
        if (sleeper_ended())
            wrong("W took a lock that V has");
        return;
    }
    struct answer answer = sleeper_ends("V gave the lock up");
    if (answer.result != YOKE_LOCKED)
        wrong("W was told %lld", (long long)answer.result);
    MUST(0, W, .verb = DO_UNLOCK);
}

static void unlock_finished(const struct answer *answer)
{
    if (answer->result != 0)
        wrong("V's unlock gave %lld", (long long)answer->result);
    if (!run.sleeper_waits)
        return;
    if (sleeper_ends("V gave the lock up").result != YOKE_LOCKED)
        wrong("W was not told that it has the lock");
    MUST(0, W, .verb = DO_UNLOCK);
}

/* ---- semaphores: two units ------------------------------------------------------------------------------------ */

static void units_are_back(void)
{
    MUST(2, S, .verb = DO_SEMAPHORE_VALUE);
    MUST(0, S, .verb = DO_SEMAPHORE_ACQUIRE);
    MUST(0, S, .verb = DO_SEMAPHORE_ACQUIRE);
    MUST(-EAGAIN, S, .verb = DO_SEMAPHORE_ACQUIRE);
    MUST(0, S, .verb = DO_SEMAPHORE_RELEASE);
    MUST(0, S, .verb = DO_SEMAPHORE_RELEASE);
}

static void units_while_stopped(void)
{
    int64_t value = DOES(S, .verb = DO_SEMAPHORE_VALUE).result;
    if (value != 1 && value != 2)
        wrong("%lld units are free, and V wants one of two", (long long)value);
    run.count = (uint64_t)value;
    for (int64_t i = 0; i < value; i++)
        MUST(0, S, .verb = DO_SEMAPHORE_ACQUIRE);
    MUST(-EAGAIN, S, .verb = DO_SEMAPHORE_ACQUIRE);
}

static void units_finished(const struct answer *answer)
{
    if (answer->result != (run.count == 1 ? 0 : -EAGAIN))
        wrong("V was told %lld, S has %llu units of 2", (long long)answer->result, (unsigned long long)run.count);
    if (answer->result == 0)
        MUST(0, V, .verb = DO_SEMAPHORE_RELEASE);
    for (uint64_t i = 0; i < run.count; i++)
        MUST(0, S, .verb = DO_SEMAPHORE_RELEASE);
    units_are_back();
}

static void victim_takes_units(void)
{
    opens_region();
    MUST(0, V, .verb = DO_SEMAPHORE_ACQUIRE);
    MUST(0, V, .verb = DO_SEMAPHORE_ACQUIRE);
}

static void sleeper_wants_unit(void)
{
    SLEEPS(.verb = DO_SEMAPHORE_ACQUIRE);
}

static void unit_killed(void)
{
    if (sleeper_ends("the units' owner is dead").result != 0)
        wrong("W got no unit");
    MUST(0, W, .verb = DO_SEMAPHORE_RELEASE);
    units_are_back();
}

static void unit_stopped(void)
{
    if (DOES(S, .verb = DO_SEMAPHORE_VALUE).result == 0 && !sleeper_ended())
        return;
    sleeper_ends("V gave a unit back");
    MUST(0, W, .verb = DO_SEMAPHORE_RELEASE);
}

static void unit_finished(const struct answer *answer)
{
    if (answer->result != 0)
        wrong("V's release gave %lld", (long long)answer->result);
    if (run.sleeper_waits) {
        sleeper_ends("V gave a unit back");
        MUST(0, W, .verb = DO_SEMAPHORE_RELEASE);
    }
    MUST(0, V, .verb = DO_SEMAPHORE_RELEASE);
    units_are_back();
}

/* ---- events ----------------------------------------------------------------------------------------------------- */

static void sleeper_listens(void)
{
    MUST(0, W, .verb = DO_EVENT_COUNT);
    run.count = DOES(S, .verb = DO_EVENT_COUNT).value;
    SLEEPS(.verb = DO_EVENT_WAIT);
}

static void event_others(void)
{
    if (DOES(S, .verb = DO_EVENT_COUNT).value == run.count) {
        if (run.ended)
            wrong("V's notification is not counted");
        if (sleeper_ended())
            wrong("W was woken by nothing");
        MUST(0, S, .verb = DO_NOTIFY);
    }
    sleeper_ends("there was a notification");
}

static void event_finished(const struct answer *answer)
{
    if (answer->result != 0)
        wrong("V was told %lld", (long long)answer->result);
}

static void victim_listens(void)
{
    opens_region();
    MUST(0, V, .verb = DO_EVENT_COUNT);
}

static void survivor_notifies(void)
{
    if (run.woken++ == 0)
        MUST(0, S, .verb = DO_NOTIFY);
}

static void listen_others(void)
{
    survivor_notifies();
    sleeper_ends("there was a notification");
}

/* ---- messages: what was sent, and what came of it ------------------------------------------------------------------ */

static void opens_port(void)
{
    MUST(0, V, .verb = DO_PORT_OPEN);
}

static void sends(struct actor *actor, uint64_t id)
{
    struct answer answer = DOES(actor, .verb = DO_SEND, .value = id);
    if (answer.result == 1)
        run.sent[id] = 2;
    else
        wrong("%s can not send %llu: %lld %s", name_of(actor), (unsigned long long)id, (long long)answer.result, answer.sentence);
}

static void received(const struct actor *actor, const struct answer *answer)
{
    if (answer->value >= IDS || run.sent[answer->value] == 0) {
        wrong("%s received %llx, which nobody sent", name_of(actor), (unsigned long long)answer->value);
        return;
    }
    run.got[answer->value]++;
    run.deliveries[answer->value] = (uint8_t)answer->deliveries;
}

/* Everything that there is, now. */
static void drains(struct actor *actor)
{
    for (int i = 0; i < 4 * DEPTH; i++) {
        struct answer answer = DOES(actor, .verb = DO_RECV);
        if (answer.result != 1) {
            if (answer.result != -EAGAIN)
                wrong("%s's recv gave %lld %s", name_of(actor), (long long)answer.result, answer.sentence);
            return;
        }
        received(actor, &answer);
    }
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
    for (int i = 0; i < IDS; i++) {
        if (run.got[i] > 1)
            wrong("message %d came %u times", i, run.got[i]);
        if (run.sent[i] == 2 && run.got[i] == 0 && !run.lost_ok[i])
            wrong("message %d was sent and is lost", i);
    }
    for (uint64_t i = 0; i < run.scene->plan.depth; i++)
        sends(S, 40 + i);
    MUST(-EAGAIN, S, .verb = DO_SEND, .value = 39);
    drains(S);
    for (uint64_t i = 40; i < 40 + run.scene->plan.depth; i++) {
        if (run.got[i] != 1)
            wrong("of the %u messages that fit again, number %llu came %u times", run.scene->plan.depth,
                  (unsigned long long)(i - 39), run.got[i]);
    }
    struct answer left = counts();
    if (left.waiting + left.held != 0)
        wrong("%u messages wait and %u are held in an empty port", left.waiting, left.held);
}

/* What V's answer says it sent or got. */
static void victim_answered(const struct answer *answer)
{
    enum verb verb = run.scene->call.verb;
    if ((verb == DO_RECV || verb == DO_BORROW) && answer->result == 1)
        received(V, answer);
    if (verb == DO_SEND && answer->result == 1)
        run.sent[run.scene->call.value] = 2;
    if (verb == DO_COMMIT && answer->result == 0)
        run.sent[1] = 2;
}

static void victim_leaves(void)
{
    DOES(V, .verb = DO_CLOSE);
    actor_end(V);
    V = NULL;
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
    for (uint64_t id = 2; id < 1 + DEPTH; id++) /* V's may be there, too */
        sends(S, id);
    drains(S);
    for (uint64_t id = 2; id < 1 + DEPTH; id++) {
        if (run.got[id] != 1)
            wrong("message %llu, sent while V stood, came %u times", (unsigned long long)id, run.got[id]);
    }
}

static void send_finished(const struct answer *answer)
{
    if (answer->result != (run.scene->call.verb == DO_COMMIT ? 0 : 1))
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
    run.lost_ok[10] = run.scene->call.verb == DO_RECV || run.scene->call.verb == DO_RELEASE;
    ledger_is_balanced();
    if (run.got[10] && before.held > 0 && run.deliveries[10] != 2)
        wrong("the message that V held came with %u deliveries", run.deliveries[10]);
    if (run.got[11] != 1 || run.deliveries[11] != 1)
        wrong("the message behind it came %u times, with %u deliveries", run.got[11], run.deliveries[11]);
}

static void recv_stopped(void)
{
    drains(S);
    for (uint64_t id = 20; id < 20 + DEPTH - 1; id++) /* what V holds may take one place */
        sends(S, id);
    drains(S);
    for (uint64_t id = 20; id < 20 + DEPTH - 1; id++) {
        if (run.got[id] != 1)
            wrong("message %llu, sent while V stood, came %u times", (unsigned long long)id, run.got[id]);
    }
}

static void recv_finished(const struct answer *answer)
{
    if (answer->result != 1 && answer->result != -EAGAIN)
        wrong("V was told %lld %s", (long long)answer->result, answer->sentence);
    if (run.scene->call.verb == DO_BORROW && answer->result == 1)
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

/* A sleeper looks by itself now and then, and V is slow when it is stepped: W may have had the message. Then another one. */
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
            wrong("message %llu came with %u deliveries", (unsigned long long)id, run.deliveries[id]);
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
}

static void recovery_finished(const struct answer *answer)
{
    if (answer->result != 0)
        wrong("V can not join: %lld %s", (long long)answer->result, answer->sentence);
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

static void parent_locks(void)
{
    MUST(YOKE_LOCKED, S, .verb = DO_LOCK);
    run.word = lock_word();
}

static void child_lock_others(void)
{
    MUST(-EAGAIN, W, .verb = DO_LOCK);
    MUST(0, S, .verb = DO_UNLOCK);
    MUST(YOKE_LOCKED, W, .verb = DO_LOCK);
    MUST(0, W, .verb = DO_UNLOCK);
}

static void child_lock_finished(const struct answer *answer)
{
    if (answer->result != -EAGAIN && answer->result != YOKE_LOCKED)
        wrong("the child was told %lld", (long long)answer->result);
    if (answer->result == YOKE_LOCKED)
        MUST(0, V, .verb = DO_UNLOCK);
}

/* Killed by then, it may have had the lock that its parent gave up. */
static void child_lock_killed(void)
{
    child_lock_others();
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

/* ---- the scenes ------------------------------------------------------------------------------------------------------ */

#define PLAIN   .plan = {.depth = DEPTH, .priorities = 1, .participants = PLACES, .max_message = 32}
#define TWO     .plan = {.depth = DEPTH, .priorities = 2, .participants = PLACES, .max_message = 32}
#define ONCE    .plan = {.depth = DEPTH, .priorities = 1, .participants = PLACES, .max_message = 32, .policy = YOKE_POLICY_ONCE}
#define PARKING .plan = {.depth = DEPTH, .priorities = 1, .participants = PLACES, .max_message = 32, .max_deliveries = 1}

static void region_done(const struct answer *answer)
{
    (void)answer;
}

static void once_killed(void)
{
    run.lost_ok[10] = 1;
    ledger_is_balanced();
    if (run.got[10] && run.deliveries[10] != 1)
        wrong("under `once` a message came again");
}

static const struct scene scenes[] = {
    {.name = "lock a free one", .before = opens_region, .call = {.verb = DO_LOCK}, .after_kill = lock_is_left,
     .while_stopped = lock_while_stopped, .after_finish = lock_after_finish},
    {.name = "lock a dead one's", .arrange = dead_owner, .before = opens_region, .call = {.verb = DO_LOCK},
     .after_kill = lock_of_two_dead, .while_stopped = lock_while_stopped, .after_finish = lock_after_finish},
    {.name = "lock, waiting", .arrange = sleeper_locks, .before = opens_region, .call = {.verb = DO_LOCK, .timeout_ns = LONG_NS},
     .asleep = sleeper_unlocks, .after_kill = wait_lock_killed, .while_stopped = wait_lock_stopped,
     .after_finish = wait_lock_finished},
    {.name = "unlock while one waits", .before = victim_locks, .settle = sleeper_wants_lock, .call = {.verb = DO_UNLOCK},
     .after_kill = unlock_killed, .while_stopped = unlock_stopped, .after_finish = unlock_finished},
    {.name = "take a unit", .before = opens_region, .call = {.verb = DO_SEMAPHORE_ACQUIRE}, .after_kill = units_are_back,
     .while_stopped = units_while_stopped, .after_finish = units_finished},
    {.name = "take a dead one's unit", .arrange = dead_owner, .before = opens_region, .call = {.verb = DO_SEMAPHORE_ACQUIRE},
     .after_kill = units_are_back, .while_stopped = units_while_stopped, .after_finish = units_finished},
    {.name = "give a unit while one waits", .before = victim_takes_units, .settle = sleeper_wants_unit,
     .call = {.verb = DO_SEMAPHORE_RELEASE}, .after_kill = unit_killed, .while_stopped = unit_stopped, .after_finish = unit_finished},
    {.name = "notify while one waits", .before = opens_region, .settle = sleeper_listens, .call = {.verb = DO_NOTIFY},
     .after_kill = event_others, .while_stopped = event_others, .after_finish = event_finished},
    {.name = "wait for an event", .before = victim_listens, .settle = sleeper_listens,
     .call = {.verb = DO_EVENT_WAIT, .timeout_ns = LONG_NS}, .asleep = survivor_notifies, .after_kill = listen_others,
     .while_stopped = listen_others, .after_finish = event_finished},
    {.name = "lock in a forked child", .forked = true, .arrange = parent_locks, .call = {.verb = DO_LOCK},
     .after_kill = child_lock_killed, .while_stopped = child_lock_others, .after_finish = child_lock_finished},

    {.name = "send", .port = true, PLAIN, .before = opens_port, .call = {.verb = DO_SEND, .value = 1}, .after_kill = send_killed,
     .while_stopped = send_stopped, .after_finish = send_finished},
    {.name = "send with priority", .port = true, TWO, .before = opens_port, .call = {.verb = DO_SEND, .value = 1, .priority = 1},
     .after_kill = send_killed, .while_stopped = send_stopped, .after_finish = send_finished},
    {.name = "commit", .port = true, PLAIN, .before = victim_loans, .call = {.verb = DO_COMMIT}, .after_kill = send_killed,
     .while_stopped = send_stopped, .after_finish = send_finished},
    {.name = "send while one waits", .port = true, PLAIN, .before = opens_port, .settle = sleeper_receives,
     .call = {.verb = DO_SEND, .value = 1}, .after_kill = send_to_sleeper_killed, .while_stopped = send_to_sleeper_others,
     .after_finish = send_finished},
    {.name = "commit while one waits", .port = true, PLAIN, .before = victim_loans, .settle = sleeper_receives,
     .call = {.verb = DO_COMMIT}, .after_kill = send_to_sleeper_killed, .while_stopped = send_to_sleeper_others,
     .after_finish = send_finished},
    {.name = "send, waiting for room", .port = true, PLAIN, .arrange = fills, .before = opens_port, .settle = sleeper_sends,
     .call = {.verb = DO_SEND, .value = 1, .timeout_ns = LONG_NS}, .asleep = makes_room, .after_kill = room_killed,
     .while_stopped = room_stopped, .after_finish = send_finished},
    {.name = "recv", .port = true, PLAIN, .arrange = sends_two, .before = opens_port, .call = {.verb = DO_RECV},
     .after_kill = recv_killed, .while_stopped = recv_stopped, .after_finish = recv_finished},
    {.name = "recv of two priorities", .port = true, TWO, .arrange = sends_two, .before = opens_port, .call = {.verb = DO_RECV},
     .after_kill = recv_killed, .while_stopped = recv_stopped, .after_finish = recv_finished},
    {.name = "recv once", .port = true, ONCE, .arrange = sends_two, .before = opens_port, .call = {.verb = DO_RECV},
     .after_kill = once_killed, .while_stopped = recv_stopped, .after_finish = recv_finished},
    {.name = "recv while one waits for room", .port = true, PLAIN, .arrange = fills, .before = opens_port, .settle = sleeper_sends,
     .call = {.verb = DO_RECV}, .after_kill = recv_from_full_killed, .while_stopped = recv_from_full_stopped,
     .after_finish = recv_finished},
    {.name = "recv, waiting", .port = true, PLAIN, .arrange = sleeper_leaves, .before = opens_port, .settle = sleeper_comes_after,
     .call = {.verb = DO_RECV, .timeout_ns = LONG_NS}, .asleep = wakes_one, .after_kill = recv_waits_killed,
     .while_stopped = recv_waits_stopped, .after_finish = recv_finished},
    {.name = "borrow", .port = true, PLAIN, .arrange = sends_two, .before = opens_port, .call = {.verb = DO_BORROW},
     .after_kill = recv_killed, .while_stopped = recv_stopped, .after_finish = recv_finished},
    {.name = "release", .port = true, PLAIN, .arrange = sends_two, .before = victim_borrows, .call = {.verb = DO_RELEASE},
     .after_kill = recv_killed, .while_stopped = recv_stopped, .after_finish = give_finished},
    {.name = "return", .port = true, PLAIN, .arrange = sends_two, .before = victim_borrows, .call = {.verb = DO_RETURN},
     .after_kill = recv_killed, .while_stopped = recv_stopped, .after_finish = give_finished},
    {.name = "return while one waits", .port = true, PLAIN, .arrange = sends_one, .before = victim_borrows,
     .settle = sleeper_receives, .call = {.verb = DO_RETURN}, .after_kill = give_back_killed, .while_stopped = give_back_stopped,
     .after_finish = give_finished},
    {.name = "return for the last time", .port = true, PARKING, .arrange = sends_one, .before = victim_borrows,
     .call = {.verb = DO_RETURN}, .after_kill = parked_killed, .while_stopped = nothing_while_stopped,
     .after_finish = parked_finished},
    {.name = "join", .port = true, PLAIN, .call = {.verb = DO_PORT_OPEN}, .after_kill = join_killed, .while_stopped = join_stopped,
     .after_finish = join_finished},
    {.name = "leave", .port = true, PLAIN, .arrange = sends_one, .before = victim_has_all_sorts, .call = {.verb = DO_CLOSE},
     .after_kill = leave_killed, .while_stopped = leave_stopped, .after_finish = leave_finished},
    {.name = "leave while one waits", .port = true, PLAIN, .arrange = sends_one, .before = victim_borrows,
     .settle = sleeper_receives, .call = {.verb = DO_CLOSE}, .after_kill = give_back_killed, .while_stopped = give_back_stopped,
     .after_finish = leave_finished},
    {.name = "recover", .port = true, PLAIN, .arrange = dead_holder, .call = {.verb = DO_PORT_OPEN},
     .after_kill = recovery_killed, .while_stopped = recovery_stopped, .after_finish = recovery_finished},
    {.name = "send in a forked child", .port = true, PLAIN, .forked = true, .arrange = parent_borrows,
     .call = {.verb = DO_SEND, .value = 1}, .after_kill = child_killed, .while_stopped = child_stopped,
     .after_finish = child_finished},
};
#define SCENES (sizeof scenes / sizeof scenes[0])

/* ---- one run ------------------------------------------------------------------------------------------------------------ */

static void open_world(const struct scene *scene)
{
    run.scene = scene;
    run.log[0] = '\0';
    S = actor_start();
    W = actor_start();
    V = NULL;
    if (scene->port) {
        MUST(0, S, .verb = DO_PORT_OPEN, .flags = YOKE_CREATE);
        MUST(0, W, .verb = DO_PORT_OPEN);
    } else {
        MUST(0, S, .verb = DO_REGION_CREATE);
        MUST(0, S, .verb = DO_SEMAPHORE_INIT, .value = 2);
        MUST(0, W, .verb = DO_REGION_OPEN);
    }
}

static void close_world(void)
{
    struct leftovers left;
    if (run.sleeper_waits) {
        struct answer answer;
        actor_kill(W);
        W = NULL;
        (void)answer;
    } else {
        MUST(0, W, .verb = DO_CLOSE);
    }
    MUST(0, S, .verb = DO_CLOSE);
    leftovers_count(directory, &left);
    if (!leftovers_none(&left) && W)
        wrong("left behind:%s", left.text);
    actors_kill_all();
    leftovers_clear(directory);
    run.sleeper_waits = false;
}

static void reset_run(void)
{
    run.log[0] = '\0';
    run.ended = false;
    run.where = AT_PLACE;
    run.woken = 0;
    run.word = run.count = 0;
    memset(run.sent, 0, sizeof run.sent);
    memset(run.got, 0, sizeof run.got);
    memset(run.lost_ok, 0, sizeof run.lost_ok);
    memset(run.deliveries, 0, sizeof run.deliveries);
}

/* Everything up to the victim's call. */
static bool start_victim(const struct scene *scene)
{
    reset_run();
    if (scene->arrange)
        scene->arrange();
    V = scene->forked ? actor_fork(S) : actor_start();
    if (scene->before)
        scene->before();
    if (scene->settle)
        scene->settle();
    return victim_begin(V, &scene->call);
}

/* It sleeps: somebody wakes it, as the scene says; after that it may lie down again. */
static enum where go_there(const struct scene *scene, const struct place *place)
{
    enum where where;
    for (int naps = 0; (where = victim_go(V, place)) == AT_SLEEP && naps < 200; naps++) {
        if (scene->asleep)
            scene->asleep();
    }
    return where;
}

static void new_world(const struct scene *scene)
{
    actors_kill_all();
    leftovers_clear(directory);
    run.sleeper_waits = false;
    open_world(scene);
}

/* Something went wrong: begin the next run with everybody new. */
static void renew_world(const struct scene *scene, uint64_t failures)
{
    if (totals->failures == failures && !run.sleeper_waits)
        return;
    new_world(scene);
}

static void kill_there(const struct scene *scene)
{
    if (!start_victim(scene)) {
        wrong("the victim could not be traced");
        return;
    }
    run.where = go_there(scene, &run.place);
    run.ended = run.where == AT_END;
    note("V", run.ended ? "is killed after its call" : "is killed", 0);
    victim_kill(V);
    V = NULL;
    scene->after_kill();
}

static void stop_there(const struct scene *scene)
{
    struct answer answer = {.result = -ETIME};
    if (!start_victim(scene)) {
        wrong("the victim could not be traced");
        return;
    }
    run.where = go_there(scene, &run.place);
    run.ended = run.where == AT_END;
    if (run.where == AT_SLEEP)
        victim_hold(V); /* asleep, and nobody wakes it */
    if (run.ended)
        victim_answered(&V->board->answer);
    scene->while_stopped();
    note("V", "goes on", 0);
    if (!victim_finish(V)) {
        wrong("V went on, but never ended its call");
        victim_kill(V);
        V = NULL;
        return;
    }
    actor_hear(V, &answer, SOON_MS);
    note("V", verb_names[scene->call.verb], answer.result);
    if (!run.ended)
        victim_answered(&answer);
    scene->after_finish(&answer);
    if (V) {
        DOES(V, .verb = DO_CLOSE);
        actor_end(V);
        V = NULL;
    }
}

static void one_run(const struct scene *scene, enum mode mode)
{
    uint64_t failures = totals->failures;
    run.mode = mode;
    if (mode == KILL)
        kill_there(scene);
    else
        stop_there(scene);
    __atomic_add_fetch(&totals->places, 1, __ATOMIC_SEQ_CST);
    renew_world(scene, failures);
}

static void wake_surveyed(void *context)
{
    const struct scene *scene = context;
    if (scene->asleep)
        scene->asleep();
}

/* Nobody woke it, to the end of its patience: it would have to be waited for at each place. */
static bool was_woken(void)
{
    if (V->board->answer.result != -ETIMEDOUT)
        return true;
    wrong("V waited, and what it waited for never came");
    return false;
}

static bool survey(const struct scene *scene, uint64_t *random, struct places *ret)
{
    struct surveyor surveyor = {.random = random, .asleep = wake_surveyed, .context = (void *)(uintptr_t)scene};
    bool done = start_victim(scene);
    if (options.thorough) {
        done = done && survey_instructions(V, &surveyor, 1, ret) && was_woken();
    } else {
        done = done && survey_calls(V, &surveyor, ret) && was_woken();
        new_world(scene);
        done = done && start_victim(scene) && survey_memory(V, &surveyor, ret) && was_woken();
    }
    new_world(scene);
    if (done)
        __atomic_add_fetch(&totals->instructions, ret->instructions, __ATOMIC_SEQ_CST);
    return done;
}

static void run_scene(uint32_t number, enum mode mode, uint64_t *random)
{
    const struct scene *scene = &scenes[number];
    struct places places;
    port_plan = scene->plan;
    open_world(scene);
    if (options.one_place) {
        run.place = options.place;
        one_run(scene, mode);
        close_world();
        return;
    }
    if (!survey(scene, random, &places)) {
        wrong("the call could not be surveyed");
        close_world();
        return;
    }
    for (uint32_t i = 0; i <= places.count && !time_is_over(); i++) {
        run.place = i < places.count ? places.list[i] : (struct place){UINT32_MAX, 0};
        one_run(scene, mode);
    }
    close_world();
    places_free(&places);
}

static const char *scene_name(uint32_t scene)
{
    return scenes[scene].name;
}

int main(int argc, char **argv)
{
    static const struct campaign campaign = {
        .usage = "library [--long] [--seed N] [--seconds N] [--lanes N] [--scene NAME] [--mode kill|stop] [--place STOPS.STEPS]",
        .scenes = SCENES,
        .name = scene_name,
        .run = run_scene,
        .where = where,
    };
    (void)region_done;
    return campaign_main(argc, argv, &campaign, "killed_or_stopped_at_any_instruction_others_go_on_and_no_message_is_lost");
}
