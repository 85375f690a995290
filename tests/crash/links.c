/*
 * links.c - a process is killed, or stopped for ever, anywhere in joining as a peer, in opening and closing a link, in making
 * and opening a pair, and in sending, receiving, lending and giving back, while the other side sleeps or V itself does.
 *
 * As lifecycle.c and library.c do it for ports: real processes, against the library as it ships. V is the victim, S the other side,
 * N comes after V under its name.
 *
 *   kill   V dies there. N must get V's name and its end of the link; both ways are open, what was sent before is there, in order,
 *          once; in the end nothing is left.
 *   stop   V stands there. Others join and link under other names. A sleeper whose message is there, or whose room, notices by
 *          itself: what it only gets when V is dead was not there before. Then V goes on, or is killed.
 *
 *   links [--long] [--seed N] [--seconds N] [--lanes N] [--scene NAME] [--mode kill|stop] [--place STOPS.STEPS]
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "campaign.h"
#include "support.h"
#include "yoke.h"

#define LONG_NS (2 * SOON_MS * INT64_C(1000000))
#define DEPTH   4

/* What S does, or has done, before V's call. */
enum setup { ALONE, LINKED, EMPTY, FULL, VICTIM_FULL, EMPTY_ASLEEP, FULL_ASLEEP };

struct scene {
    const char *name;
    enum setup setup;
    enum what {
        OPENED = 1,    /* V has its end open */
        JOINED = 2,    /* V has only joined */
        FENCES = 4,    /* without membarrier() */
        OF_PAIR = 8,   /* the link is a pair's */
        LOOPS = 16,    /* S waits through a descriptor */
        HAS_BELL = 32, /* V has a descriptor */
        RANG = 64      /* which rang and was heard, so that V must ask for the next ring */
    } what;
    struct order call;
    enum verb before;   /* V's own, before it */
    bool dead;          /* one of V's name has died, two messages in hand */
    void (*wake)(void); /* V sleeps: this wakes it */
};

static void two_come(void), room_comes(void), other_end_comes(void);

#define V_OPENS                                                   \
    {                                                             \
        .verb = DO_LINK_OPEN, .name = "v:s", .flags = YOKE_CREATE \
    }

#define SENDS                        \
    {                                \
        .verb = DO_SEND, .value = 50 \
    }
#define RECEIVES        \
    {                   \
        .verb = DO_RECV \
    }
#define CLOSES           \
    {                    \
        .verb = DO_CLOSE \
    }

static const struct scene scenes[] = {
    {"join", ALONE, 0, .call = {.verb = DO_PEER_JOIN, .name = "v"}},
    {"leave", ALONE, JOINED, .call = CLOSES},
    {"open first", ALONE, 0, .call = V_OPENS},
    {"open second", LINKED, 0, .call = V_OPENS},
    {"close alone", ALONE, OPENED, .call = CLOSES},
    {"close", LINKED, OPENED, .call = CLOSES},
    {"send to a sleeper", EMPTY_ASLEEP, OPENED, .call = SENDS},
    {"send to a sleeper, fences", EMPTY_ASLEEP, OPENED | FENCES, .call = SENDS},
    {"receive from a sleeper", FULL_ASLEEP, OPENED, .call = RECEIVES},
    {"receive from a sleeper, fences", FULL_ASLEEP, OPENED | FENCES, .call = RECEIVES},
    {"borrow", FULL, OPENED, .call = {.verb = DO_BORROW}},
    {"send, waiting for room", VICTIM_FULL, OPENED,
     .call = {.verb = DO_SEND, .value = 50, .timeout_ns = LONG_NS}, .wake = room_comes},
    {"receive, waiting", EMPTY, OPENED, .call = {.verb = DO_RECV, .timeout_ns = LONG_NS},
     .wake = two_come},
    {"borrow, waiting", EMPTY, OPENED, .call = {.verb = DO_BORROW, .timeout_ns = LONG_NS},
     .wake = two_come},
    {"wait for the other end", ALONE, OPENED, .call = {.verb = DO_LINK_WAIT, .timeout_ns = LONG_NS},
     .wake = other_end_comes},
    {"loan", LINKED, OPENED, .call = {.verb = DO_LOAN, .value = 50}},
    {"commit to a sleeper", EMPTY_ASLEEP, OPENED, .call = {.verb = DO_COMMIT}, .before = DO_LOAN},
    {"commit to a sleeper, fences", EMPTY_ASLEEP, OPENED | FENCES, .call = {.verb = DO_COMMIT},
     .before = DO_LOAN},
    {"release", FULL, OPENED, .call = {.verb = DO_RELEASE}, .before = DO_BORROW},
    {"release while one waits for room", FULL_ASLEEP, OPENED, .call = {.verb = DO_RELEASE},
     .before = DO_BORROW},
    {"return", FULL, OPENED, .call = {.verb = DO_RETURN}, .before = DO_BORROW},
    {"close with a message in hand", FULL, OPENED, .call = CLOSES, .before = DO_BORROW},
    {"come back to what a dead one held", FULL, 0, .call = V_OPENS, .dead = true},
    {"pair", ALONE, 0, .call = {.verb = DO_PAIR}},
    {"open an end", LINKED, OF_PAIR, .call = {.verb = DO_PAIR_OPEN, .value = 1}},
    {"close an end", LINKED, OPENED | OF_PAIR, .call = CLOSES},
    {"send to a descriptor", EMPTY_ASLEEP, OPENED | LOOPS, .call = SENDS},
    {"send to a descriptor, fences", EMPTY_ASLEEP, OPENED | LOOPS | FENCES, .call = SENDS},
    {"close beside a descriptor", EMPTY_ASLEEP, OPENED | LOOPS, .call = CLOSES},
    {"ask for a descriptor", EMPTY, OPENED, .call = {.verb = DO_FD}},
    {"receive through a descriptor", EMPTY, OPENED | HAS_BELL, .call = RECEIVES},
    {"receive through a descriptor, fences", EMPTY, OPENED | HAS_BELL | FENCES, .call = RECEIVES},
    {"receive through a descriptor that rang", EMPTY, OPENED | HAS_BELL | RANG, .call = RECEIVES},
    {"receive through a descriptor that rang, fences", EMPTY, OPENED | HAS_BELL | RANG | FENCES, .call = RECEIVES},
    {"close with a descriptor", LINKED, OPENED | HAS_BELL, .call = CLOSES},
    {"send to a pair's descriptor", EMPTY_ASLEEP, OPENED | OF_PAIR | LOOPS, .call = SENDS},
    {"close beside a pair's descriptor", EMPTY_ASLEEP, OPENED | OF_PAIR | LOOPS, .call = CLOSES},
    {"ask for a pair's descriptor", EMPTY, OPENED | OF_PAIR, .call = {.verb = DO_FD}},
    {"receive through a pair's descriptor", EMPTY, OPENED | OF_PAIR | HAS_BELL, .call = RECEIVES},
    {"receive through a pair's descriptor that rang", EMPTY, OPENED | OF_PAIR | HAS_BELL | RANG, .call = RECEIVES},
    {"close with a pair's descriptor", LINKED, OPENED | OF_PAIR | HAS_BELL, .call = CLOSES},
};
#define SCENES (sizeof scenes / sizeof scenes[0])

static struct run {
    const struct scene *scene;
    enum mode mode;
    struct place place;
    bool ended;
    enum where where;
    struct actor *survivor, *victim;
    bool survivor_waits;
    bool woken;        /* what V waits for is there */
    uint64_t received; /* by S: the last number; they rise */
    uint64_t first;    /* the lowest that N may still get */
    char log[900];
} run;

#define S run.survivor
#define V run.victim

static const char *where(void)
{
    static char text[1300];
    snprintf(text, sizeof text, "--scene '%s' --mode %s --place %u.%u%s\n#   %s", run.scene->name,
             run.mode == KILL ? "kill" : "stop", run.place.stops, run.place.steps,
             run.ended ? " (the call was over)" : "", run.log);
    return text;
}

static void note(const char *who, const struct order *order, const struct answer *answer)
{
    size_t used = strlen(run.log);
    if (used < sizeof run.log - 60)
        snprintf(run.log + used, sizeof run.log - used, "%s%s %s %lld (%llu)", used ? ", " : "",
                 who, verb_names[order->verb], (long long)answer->result,
                 (unsigned long long)answer->value);
}

static struct answer does(struct actor *actor, struct order order)
{
    struct answer answer = actor_ask(actor, &order);
    note(actor == S ? "S" : actor == V ? "V" : "N", &order, &answer);
    if (answer.result == -ETIME)
        wrong("a %s never ended", verb_names[order.verb]);
    return answer;
}

static void must(int64_t expected, struct actor *actor, struct order order)
{
    struct answer answer = does(actor, order);
    if (answer.result != expected)
        wrong("%s's %s gave %lld instead of %lld %s",
              actor == S   ? "S"
              : actor == V ? "V"
                           : "N",
              verb_names[order.verb], (long long)answer.result, (long long)expected,
              answer.sentence);
}
#define MUST(expected, actor, ...) must(expected, actor, (struct order){__VA_ARGS__})

/* ---- before the call ---------------------------------------------------------------------------------------- */

static void open_end(struct actor *actor)
{
    if (run.scene->what & OF_PAIR)
        MUST(0, actor, .verb = DO_PAIR_OPEN, .value = actor == S ? 0 : 1);
    else
        MUST(0, actor, .verb = DO_LINK_OPEN, .name = actor == S ? "s:v" : "v:s",
             .flags = YOKE_CREATE);
}

static void survivor_sleeps(struct order order)
{
    order.timeout_ns = LONG_NS;
    actor_tell(S, &order);
    run.survivor_waits = true;
    if (!actor_fell_asleep(S))
        wrong("S did not fall asleep in its %s", verb_names[order.verb]);
}

static void two_come(void)
{
    if (run.woken)
        return;
    run.woken = true;
    MUST(1, S, .verb = DO_SEND, .value = 1);
    MUST(1, S, .verb = DO_SEND, .value = 2);
}

/* V has sent 41 to 44. */
static void room_comes(void)
{
    if (run.woken)
        return;
    run.woken = true;
    MUST(1, S, .verb = DO_RECV);
    run.received = 41;
}

static void other_end_comes(void)
{
    if (!run.woken)
        open_end(S);
    run.woken = true;
}

static void wake_victim(void)
{
    if (run.scene->wake)
        run.scene->wake();
}

static bool is_send(enum verb verb)
{
    return verb == DO_SEND || verb == DO_COMMIT;
}

static bool is_receipt(enum verb verb)
{
    return verb == DO_RECV || verb == DO_RELEASE;
}

static uint64_t messages_before(const struct scene *scene)
{
    if (scene->setup == FULL || scene->setup == FULL_ASLEEP)
        return DEPTH;
    if (scene->wake == two_come)
        return run.woken ? 2 : 0;
    return scene->setup == LINKED;
}

/* One under V's name, that died with the first two in hand. */
static void leave_dead_one(void)
{
    struct actor *dead = actor_start();
    open_end(dead);
    MUST(1, dead, .verb = DO_BORROW);
    MUST(1, dead, .verb = DO_BORROW);
    actor_kill(dead);
}

static void victim_prepares(const struct scene *scene)
{
    for (uint64_t i = 1; scene->setup == VICTIM_FULL && i <= DEPTH; i++)
        MUST(1, V, .verb = DO_SEND, .value = 40 + i);
    if (scene->before == DO_BORROW)
        MUST(1, V, .verb = DO_BORROW);
    if (scene->before == DO_LOAN)
        MUST(0, V, .verb = DO_LOAN, .value = 50);
}

static void set_up(const struct scene *scene)
{
    run.log[0] = '\0';
    run.survivor_waits = run.woken = false;
    run.received = 0;
    run.first = 1;
    if (scene->what & FENCES)
        setenv("YOKE_MEMBARRIER", "off", 1);
    else
        unsetenv("YOKE_MEMBARRIER");
    S = actor_start();
    if (scene->what & OF_PAIR)
        MUST(0, S, .verb = DO_PAIR);
    V = scene->what & OF_PAIR ? actor_fork(S) : actor_start();
    if (scene->setup != ALONE)
        open_end(S);
    if (scene->what & JOINED)
        MUST(0, V, .verb = DO_PEER_JOIN, .name = "v");
    if (scene->what & OPENED)
        open_end(V);
    if (scene->what & HAS_BELL)
        MUST(0, V, .verb = DO_FD);
    if (scene->what & RANG) {
        MUST(1, S, .verb = DO_SEND, .value = 59);
        MUST(1, V, .verb = DO_LOOP, .timeout_ns = LONG_NS);
    }
    for (uint64_t i = 1; i <= messages_before(scene); i++)
        MUST(1, S, .verb = DO_SEND, .value = i);
    if (scene->dead)
        leave_dead_one();
    victim_prepares(scene);
    if (scene->setup == EMPTY_ASLEEP)
        survivor_sleeps((struct order){.verb = scene->what & LOOPS ? DO_LOOP : DO_RECV});
    else if (scene->setup == FULL_ASLEEP)
        survivor_sleeps((struct order){.verb = DO_SEND, .value = DEPTH + 1});
}

/* ---- afterwards ----------------------------------------------------------------------------------------------- */

/* Did S's wait end? What it was told is checked. */
static bool survivor_ended(int timeout_ms, struct answer *ret)
{
    struct order order = {.verb = run.scene->setup == EMPTY_ASLEEP ? DO_RECV : DO_SEND};
    if (!run.survivor_waits || !actor_hear(S, ret, timeout_ms))
        return false;
    run.survivor_waits = false;
    note("S", &order, ret);
    if (ret->result == 1 && order.verb == DO_RECV) {
        run.received = ret->value;
        if (ret->value != 50 || ret->deliveries != 1)
            wrong("S got %llu", (unsigned long long)ret->value);
    } else if (ret->result != 1 && ret->result != -EOWNERDEAD &&
               !(ret->result == -EPIPE && run.scene->call.verb == DO_CLOSE)) {
        wrong("S's %s gave %lld %s", verb_names[order.verb], (long long)ret->result, ret->sentence);
    }
    return true;
}

/* From `from`, all that is there: rising numbers. */
static uint64_t receives_all(struct actor *from, uint64_t last, uint64_t until)
{
    for (int i = 0; i < 2 * DEPTH + 2 && last != until; i++) {
        struct answer answer = does(from, (struct order){.verb = DO_RECV});
        if (answer.result != 1)
            break;
        if (answer.value <= last)
            wrong("message %llu came after %llu", (unsigned long long)answer.value,
                  (unsigned long long)last);
        last = answer.value;
    }
    return last;
}

/* S and `next` have the two ends: all that was sent to it is there, and both ways are open. */
static void both_ways_are_open(struct actor *next)
{
    uint64_t last = 0, sent = messages_before(run.scene);
    enum verb verb = run.scene->call.verb;
    bool may_have_taken = is_receipt(verb);
    bool again =
        run.scene->dead || run.scene->before == DO_BORROW || (run.ended && verb == DO_BORROW);
    while (last < sent) {
        struct answer answer = does(next, (struct order){.verb = DO_RECV});
        bool is_next =
            answer.value == last + 1 || (may_have_taken && last == 0 && answer.value == 2);
        if (answer.result != 1 || !is_next)
            wrong("message %llu did not come: %lld, %llu", (unsigned long long)last + 1,
                  (long long)answer.result, (unsigned long long)answer.value);
        if (answer.value == 1 && again && answer.deliveries != 2)
            wrong("message 1 was in hand, and it comes as delivery %u", answer.deliveries);
        last = answer.result == 1 && answer.value > last ? answer.value : sent;
    }
    struct answer answer;
    if (run.survivor_waits && run.scene->setup == FULL_ASLEEP && !survivor_ended(SOON_MS, &answer))
        wrong("there is room, and S sleeps on");
    if (run.scene->setup == VICTIM_FULL) {
        run.received = receives_all(S, run.received, UINT64_MAX);
        if (run.received < 40 + DEPTH || (run.ended && run.received != 50))
            wrong("S got up to %llu of what V had sent", (unsigned long long)run.received);
    }
    MUST(1, S, .verb = DO_SEND, .value = 90);
    if (receives_all(next, last, 90) != 90)
        wrong("what S sends does not come");
    MUST(1, next, .verb = DO_SEND, .value = 91);
    if (run.survivor_waits)
        return;
    if (receives_all(S, run.received, 91) != 91)
        wrong("what the next one sends does not come");
}

/* A doorbell goes when nobody has it open any more, and somebody comes. */
static void another_comes(void)
{
    struct actor *other = actor_start();
    MUST(0, other, .verb = DO_LINK_OPEN, .name = "o:p", .flags = YOKE_CREATE);
    MUST(0, other, .verb = DO_CLOSE);
    actor_end(other);
}

static void nothing_is_left(struct actor *next)
{
    struct leftovers left;
    ask(next, .verb = DO_CLOSE);
    actor_end(next);
    ask(S, .verb = DO_CLOSE);
    actor_end(S);
    if (V) {
        ask(V, .verb = DO_CLOSE);
        actor_end(V);
    }
    another_comes();
    leftovers_count(directory, &left);
    if (!leftovers_none(&left))
        wrong("left behind:%s", left.text);
}

static bool start_victim(const struct scene *scene)
{
    struct order order = scene->call;
    return victim_begin(V, &order);
}

static void kill_victim(void)
{
    victim_kill(V);
    V = NULL;
}

/* V is dead: who comes under its name has all that it left. */
static void succeed(void)
{
    struct answer answer;
    if (run.survivor_waits && run.scene->setup == EMPTY_ASLEEP && !survivor_ended(SOON_MS, &answer))
        wrong("V is dead, or has sent, and S sleeps on");
    struct actor *next = run.scene->what & OF_PAIR ? actor_fork(S) : actor_start();
    wake_victim(); /* for V, and now for the next */
    if (run.scene->setup == ALONE && !run.woken) {
        MUST(0, next, .verb = DO_PEER_JOIN, .name = "v");
        MUST(0, next, .verb = DO_CLOSE);
        open_end(S);
    }
    open_end(next);
    if (run.ended && is_send(run.scene->call.verb) && run.scene->setup == EMPTY_ASLEEP &&
        run.received != 50)
        wrong("V's message was sent, and did not come");
    both_ways_are_open(next);
    nothing_is_left(next);
}

static void kill_there(void)
{
    kill_victim();
    succeed();
}

/* V goes on with a message that came meanwhile: it has it, or its descriptor says so. */
static void victim_hears(const struct answer *answer)
{
    struct answer later = {.result = answer->result, .value = answer->value};
    if (run.scene->call.verb == DO_FD || answer->result == -EAGAIN)
        later = does(V, (struct order){.verb = DO_LOOP, .timeout_ns = LONG_NS});
    if (later.result != 1 || later.value != 60)
        wrong("a message was sent while V stood, and V, told %lld, has %lld, %llu",
              (long long)answer->result, (long long)later.result, (unsigned long long)later.value);
}

static void victim_goes_on(void)
{
    struct answer answer = {.result = 0};
    bool hears = run.scene->setup == EMPTY && !run.scene->wake;
    wake_victim();
    if (run.where != AT_SLEEP && run.place.steps % 2 == 0 && victim_freeze(V))
        __atomic_add_fetch(&totals->frozen, 1, __ATOMIC_SEQ_CST);
    if (hears)
        MUST(1, S, .verb = DO_SEND, .value = 60);
    if (!victim_finish(V))
        wrong("V went on, but never ended its call");
    else if (!actor_hear(V, &answer, SOON_MS) ||
             (answer.result != 0 && answer.result != 1 && !(hears && answer.result == -EAGAIN)))
        wrong("V went on, and its call gave %lld %s", (long long)answer.result, answer.sentence);
    else if (hears)
        victim_hears(&answer);
    run.ended = true;
    if (run.survivor_waits && !survivor_ended(SOON_MS, &answer))
        wrong("V's call is over, and S sleeps on");
    actor_kill(V);
    V = NULL;
}

/*
 * A sleeper that gets something only when V is dead: had it been there while V stood, it would have been seen (but
 * for one that waits through a descriptor, which is rung with the next message). What V had sent comes before the news
 * of its death.
 */
static void stop_there(bool goes_on)
{
    struct answer answer = {.result = 0};
    another_comes();
    if (goes_on) {
        victim_goes_on();
    } else {
        bool looks = run.survivor_waits && !(run.scene->what & LOOPS);
        if (looks)
            actor_looked_again(S);
        bool slept_on = looks && !survivor_ended(0, &answer);
        kill_victim();
        if (slept_on && survivor_ended(SOON_MS, &answer) && answer.result == 1 &&
            run.scene->setup == EMPTY_ASLEEP)
            wrong("the message was there while V stood, and S did not notice");
    }
    succeed();
}

/* ---- all places of a scene ------------------------------------------------------------------------------------ */

static void start_over(void)
{
    actors_kill_all();
    leftovers_clear(directory);
    port_plan = (struct port_plan){.depth = DEPTH, .max_message = 32};
    set_up(run.scene);
}

static void go_there(void)
{
    for (int naps = 0; (run.where = victim_go(V, &run.place)) == AT_SLEEP && naps < 200; naps++)
        wake_victim();
    run.ended = run.where == AT_END;
}

static void wake_surveyed(void *none)
{
    (void)none;
    wake_victim();
}

static void one_run(enum mode mode, bool goes_on)
{
    run.mode = mode;
    run.ended = false;
    start_over();
    if (!start_victim(run.scene)) {
        wrong("the victim could not be traced");
    } else {
        go_there();
        if (mode == KILL)
            kill_there();
        else
            stop_there(goes_on);
    }
    __atomic_add_fetch(&totals->places, 1, __ATOMIC_SEQ_CST);
    __atomic_add_fetch(mode == KILL ? &totals->killed : &totals->stopped, 1, __ATOMIC_SEQ_CST);
    actors_kill_all();
    leftovers_clear(directory);
}

/* Short ones: each of their instructions, or many. */
static bool is_short(enum verb verb)
{
    switch (verb) {
    case DO_SEND:
    case DO_RECV:
    case DO_LOAN:
    case DO_COMMIT:
    case DO_BORROW:
    case DO_RELEASE:
    case DO_RETURN:
        return true;
    default:
        return false;
    }
}

static bool survey(uint64_t *random, struct places *ret)
{
    struct surveyor surveyor = {.random = random, .enough = time_is_over, .asleep = wake_surveyed};
    start_over();
    bool done = start_victim(run.scene);
    if (options.thorough || is_short(run.scene->call.verb)) {
        done = done && survey_instructions(V, &surveyor, options.thorough ? 1 : 30, ret);
    } else {
        done = done && survey_calls(V, &surveyor, ret);
        start_over();
        done = done && start_victim(run.scene) && survey_memory(V, &surveyor, ret);
    }
    actors_kill_all();
    leftovers_clear(directory);
    if (done)
        __atomic_add_fetch(&totals->instructions, ret->instructions, __ATOMIC_SEQ_CST);
    return done;
}

static void run_scene(uint32_t scene, enum mode mode, uint64_t *random)
{
    struct places places;
    run.scene = &scenes[scene];
    run.mode = mode;
    if (options.one_place) {
        run.place = options.place;
        one_run(mode, options.then == 1);
        return;
    }
    if (!survey(random, &places)) {
        wrong("the call could not be surveyed");
        return;
    }
    for (uint32_t i = 0; i <= places.count && !time_is_over(); i++) {
        run.place = i < places.count ? places.list[i] : (struct place){UINT32_MAX, 0};
        if (options.thorough || mode == KILL || random_of(random) % 4 == 0)
            one_run(mode, random_of(random) % 2);
    }
    places_free(&places);
}

static const char *scene_name(uint32_t scene)
{
    return scenes[scene].name;
}

int main(int argc, char **argv)
{
    static const struct campaign campaign = {
        .usage =
            "links [--long] [--seed N] [--seconds N] [--lanes N] [--scene NAME] [--mode kill|stop] [--place STOPS.STEPS] [--then 0|1]",
        .scenes = SCENES,
        .modes = 2,
        .name = scene_name,
        .run = run_scene,
        .where = where,
    };
    return campaign_main(
        argc, argv, &campaign,
        "a_peer_killed_or_stopped_anywhere_leaves_its_name_and_its_end_to_the_next");
}
