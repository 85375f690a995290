/*
 * library_run.c - one run of a scene: who takes part, what each of them is asked, what was sent and
 * what came of it. See library.h.
 */
#include "library.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "yoke.h"

struct run run;

void note(const char *who, const char *what, long long result)
{
    size_t used = strlen(run.log);
    if (used < sizeof run.log - 40)
        snprintf(run.log + used, sizeof run.log - used, "%s%s %s %lld", used ? ", " : "", who, what,
                 result);
}

const char *name_of(const struct actor *actor)
{
    return actor == S             ? "S"
           : actor == W           ? "W"
           : actor == V           ? "V"
           : actor == run.partner ? "B"
                                  : "N";
}

struct answer does(struct actor *actor, struct order order)
{
    struct answer answer = actor_ask(actor, &order);
    note(name_of(actor), verb_names[order.verb],
         answer.result == 1 && order.verb == DO_RECV ? (long long)answer.value : answer.result);
    if (answer.result == -ETIME)
        wrong("%s's %s never %s", name_of(actor), verb_names[order.verb],
              actor->board->begun ? "ended" : "began");
    if (answer.took_ns > INT64_C(3000000000) && getenv("YOKE_VERBOSE"))
        fprintf(stderr, "# slow: %s's %s took %lld ms\n#   %s\n", name_of(actor),
                verb_names[order.verb], (long long)answer.took_ns / 1000000, run.log);
    if (answer.took_ns > totals->slowest_ns && order.timeout_ns == 0)
        totals->slowest_ns = answer.took_ns;
    return answer;
}
/* ---- the sleeper ---- */

void sleeper_begins(struct order order)
{
    order.timeout_ns = LONG_NS;
    run.told_ns = monotonic_ns();
    actor_tell(W, &order);
    run.sleeper_waits = true;
    if (!actor_fell_asleep(W))
        wrong("W did not fall asleep in its %s", verb_names[order.verb]);
}

/* What W waits for is there: it must notice soon. */
struct answer sleeper_ends(const char *what)
{
    struct answer answer = {.result = -ETIME};
    if (!run.sleeper_waits)
        return answer;
    bool heard = actor_hear(W, &answer, SOON_MS);
    note("W", heard ? "got" : "missed it",
         heard ? (answer.value ? (long long)answer.value : answer.result) : 0);
    if (!heard)
        wrong("W sleeps on, though %s", what);
    run.sleeper_waits = !heard;
    run.slept_ns = answer.took_ns;
    return answer;
}

bool sleeper_ended(void)
{
    return run.sleeper_waits && W->board->answered == W->board->told;
}

/* ---- messages ---- */

void sends(struct actor *actor, uint64_t id)
{
    struct order order = world_of(run.scene)->send;
    order.value = id;
    if (run.paired && order.verb == DO_WRITE)
        order.timeout_ns = LONG_NS; /* the other one may have died inside: until that is noticed */
    struct answer answer = does(actor, order);
    if (answer.result == 1)
        run.sent[id] = 2;
    else
        wrong("%s can not send %llu: %lld %s", name_of(actor), (unsigned long long)id,
              (long long)answer.result, answer.sentence);
}

void received(const struct actor *actor, const struct answer *answer)
{
    if (answer->value >= IDS || run.sent[answer->value] == 0) {
        wrong("%s received %llx, which nobody sent", name_of(actor),
              (unsigned long long)answer->value);
        return;
    }
    run.got[answer->value]++;
    run.deliveries[answer->value] = (uint8_t)answer->deliveries;
}

void drains(struct actor *actor)
{
    for (int i = 0; i < 4 * DEPTH; i++) {
        struct answer answer = does(actor, world_of(run.scene)->recv);
        if (answer.result != 1) {
            if (answer.result != -EAGAIN)
                wrong("%s's recv gave %lld %s", name_of(actor), (long long)answer.result,
                      answer.sentence);
            return;
        }
        received(actor, &answer);
    }
}

void ledger_is_complete(void)
{
    uint32_t lost = 0;
    for (int i = 0; i < IDS; i++) {
        if (run.got[i] > 1)
            wrong("message %d came %u times", i, run.got[i]);
        lost += run.sent[i] == 2 && run.got[i] == 0 && !run.lost_ok[i];
        if (run.sent[i] == 2 && run.got[i] == 0 && !run.lost_ok[i] && lost > run.may_lose)
            wrong("message %d was sent and is lost", i);
    }
}

void victim_answered(const struct answer *answer)
{
    const struct order *call = &run.scene->call;
    switch (call->verb) {
    case DO_RECV:
    case DO_RECV_ONE:
    case DO_BORROW:
    case DO_BORROW_ONE:
    case DO_READ:
    case DO_SIGNAL_RECV:
        if (answer->result == 1)
            received(V, answer);
        break;
    case DO_SEND:
    case DO_SEND_ONE:
    case DO_WRITE:
    case DO_SIGNAL:
        if (answer->result == 1)
            run.sent[call->value] = 2;
        break;
    case DO_SEND_TWO:
        for (int64_t i = 0; i < answer->result; i++)
            run.sent[call->value + (uint64_t)i] = 2;
        break;
    case DO_COMMIT:
    case DO_COMMIT_MANY:
        if (answer->result == 0)
            run.sent[1] = 2;
        break;
    default:
        break;
    }
}

void victim_leaves(void)
{
    DOES(V, .verb = DO_CLOSE, .handle = 1);
    DOES(V, .verb = DO_CLOSE);
    actor_end(V);
    V = NULL;
}

/* ---- one run ---- */

const struct world *world_of(const struct scene *scene)
{
    return scene->world ? scene->world : scene->port ? &port_world : &region_world;
}

void open_world(const struct scene *scene)
{
    run.scene = scene;
    run.log[0] = '\0';
    S = actor_start();
    W = actor_start();
    V = NULL;
    world_of(scene)->open();
}

static void closes(struct actor *actor)
{
    MUST(0, actor, .verb = DO_CLOSE, .handle = 1);
    MUST(0, actor, .verb = DO_CLOSE);
}

void close_world(void)
{
    struct leftovers left;
    if (run.sleeper_waits) {
        actor_kill(W);
        W = NULL;
    } else {
        closes(W);
    }
    closes(S);
    if (run.scene->rings || world_of(run.scene)->lasts) {
        /* the next user takes away what nobody has open any more */
        actors_kill_all();
        struct actor *next = actor_start();
        if (DOES(next, .verb = DO_GC).result < 0)
            wrong("what is left can not be collected");
        actor_end(next);
    }
    leftovers_count(directory, &left);
    if (!leftovers_none(&left) && W)
        wrong("left behind:%s", left.text);
    actors_kill_all();
    leftovers_clear(directory);
    run.sleeper_waits = false;
}

void reset_run(void)
{
    run.log[0] = '\0';
    run.ended = run.paired = false;
    run.where = AT_PLACE;
    run.woken = 0;
    run.word = run.count = run.may_lose = 0;
    run.slept_ns = 0;
    memset(run.sent, 0, sizeof run.sent);
    memset(run.got, 0, sizeof run.got);
    memset(run.lost_ok, 0, sizeof run.lost_ok);
    memset(run.deliveries, 0, sizeof run.deliveries);
}

void new_world(const struct scene *scene)
{
    actors_kill_all();
    leftovers_clear(directory);
    run.sleeper_waits = false;
    open_world(scene);
}

/* Something went wrong: begin the next run with everybody new. */
void renew_world(const struct scene *scene, uint64_t failures)
{
    if (totals->failures == failures && !run.sleeper_waits)
        return;
    new_world(scene);
}

void stand(void)
{
    if (run.where == AT_SLEEP)
        victim_hold(V); /* asleep, and nobody wakes it */
    else if (run.place.steps % 2 == 0 && victim_freeze(V))
        __atomic_add_fetch(&totals->frozen, 1, __ATOMIC_SEQ_CST);
}
