/*
 * library.c - a process is killed, or stopped for ever, at any instruction of a call on an open
 * object, with others at work beside it.
 *
 * Each scene has a survivor S, a sleeper W that waits where the scene wants one, and for each place
 * a new victim V, all real processes against the library as it ships. The calls are walked through
 * instruction by instruction: a place is each one after which shared memory reads otherwise, each
 * system call, and one in some of the others (--long: each). Of the places to be stopped at, every
 * other one is tried (--long: all), as the seed has it.
 *
 * The scenes are in library_region.c (locks, semaphores, events) and library_port.c (messages).
 *
 *   kill   V dies there by SIGKILL. S must be able to use everything again, and be told what it
 *          must be told; W must get what is its own by now, though nobody may be left who would
 *          have woken it. Messages: each one that was sent is delivered once, or the second time
 *          marked; in the end the port takes `depth` messages again, and every participant's place.
 *   stop   V stands there. S and W go on with all that V does not hold. Then V goes on and must end
 *          well.
 *
 *   library [--long] [--seed N] [--seconds N] [--lanes N] [--scene NAME] [--mode kill|stop]
 *           [--place STOPS.STEPS]
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "library.h"
#include "yoke.h"

#define WAKE_TRIES 20
#define AT_ONCE_NS 40000000
#define BUSY_NS    INT64_C(15000000000)

struct run run;

static void note(const char *who, const char *what, long long result)
{
    size_t used = strlen(run.log);
    if (used < sizeof run.log - 40)
        snprintf(run.log + used, sizeof run.log - used, "%s%s %s %lld", used ? ", " : "", who, what,
                 result);
}

static const char *where(void)
{
    static char text[1200];
    snprintf(text, sizeof text, "--scene '%s' --mode %s --place %u.%u%s\n#   %s", run.scene->name,
             run.mode == KILL ? "kill" : "stop", run.place.stops, run.place.steps,
             run.ended               ? " (the call was over)"
             : run.where == AT_SLEEP ? " (asleep)"
                                     : "",
             run.log);
    return text;
}

const char *name_of(const struct actor *actor)
{
    return actor == S ? "S" : actor == W ? "W" : actor == V ? "V" : "N";
}

struct answer does(struct actor *actor, struct order order)
{
    struct answer answer = actor_ask(actor, &order);
    note(name_of(actor), verb_names[order.verb],
         answer.result == 1 && order.verb == DO_RECV ? (long long)answer.value : answer.result);
    if (answer.result == -ETIME)
        wrong("%s's %s never %s", name_of(actor), verb_names[order.verb],
              actor->board->begun ? "ended" : "began");
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

/* ---- one run ---- */

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
    if (run.scene->rings) { /* the next user takes away what nobody has open any more */
        struct actor *next = actor_start();
        MUST(0, next, .verb = DO_PORT_OPEN, .flags = YOKE_CREATE);
        MUST(0, next, .verb = DO_CLOSE);
        actor_end(next);
    }
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
    run.slept_ns = 0;
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
    run.call_ns = monotonic_ns() - run.told_ns;
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
    struct surveyor surveyor = {.random = random,
                                .enough = time_is_over,
                                .asleep = wake_surveyed,
                                .context = (void *)(uintptr_t)scene};
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

static const struct scene *scene_of(uint32_t number)
{
    return number < region_scene_count ? &region_scenes[number]
                                       : &port_scenes[number - region_scene_count];
}

/*
 * A call that came to its end wakes W at once, now and then at least on a busy machine; by itself W
 * looks later than that. Where V itself took so long that W may have looked by then, nothing can be told.
 */
static void whole_calls(const struct scene *scene, enum mode mode)
{
    int64_t end = monotonic_ns() + BUSY_NS;
    int tries = 0;
    run.place = (struct place){UINT32_MAX, 0};
    while (tries < WAKE_TRIES) {
        one_run(scene, mode);
        if (!scene->wakes || run.slept_ns < AT_ONCE_NS || time_is_over())
            return;
        tries += run.call_ns < AT_ONCE_NS / 2;
        if (monotonic_ns() > end) {
            fprintf(stderr, "# %s: too busy a machine to tell whether W was woken\n", scene->name);
            return;
        }
    }
    wrong("W was not woken by V's call, %d times: it looked by itself", tries);
}

static void run_scene(uint32_t number, enum mode mode, uint64_t *random)
{
    const struct scene *scene = scene_of(number);
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
    for (uint32_t i = 0; i < places.count && !time_is_over(); i++) {
        run.place = places.list[i];
        if (options.thorough || mode == KILL || random_of(random) % 2 == 0)
            one_run(scene, mode);
    }
    if (!time_is_over())
        whole_calls(scene, mode);
    close_world();
    places_free(&places);
}

static const char *scene_name(uint32_t scene)
{
    return scene_of(scene)->name;
}

int main(int argc, char **argv)
{
    const struct campaign campaign = {
        .usage = "library [--long] [--seed N] [--seconds N] [--lanes N] [--scene NAME] "
                 "[--mode kill|stop] [--place STOPS.STEPS]",
        .scenes = region_scene_count + port_scene_count,
        .name = scene_name,
        .run = run_scene,
        .where = where,
    };
    return campaign_main(
        argc, argv, &campaign,
        "killed_or_stopped_at_any_instruction_others_go_on_and_no_message_is_lost");
}
