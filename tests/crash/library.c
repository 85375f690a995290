/*
 * library.c - a process is killed, or stopped for ever, at any instruction of a call on an open
 * object, with others at work beside it.
 *
 * Each scene has a survivor S, a sleeper W that waits where the scene wants one, and for each place
 * a new victim V, all real processes against the library as it ships. The calls are walked through
 * instruction by instruction: a place is each one after which shared memory reads otherwise, each
 * system call, and one in some of the others (--long: each). Of the places to be stopped at, every
 * other one is tried, and with --seconds so many of each scene that others have their share (--long:
 * all), as the seed has it.
 *
 * The scenes are in library_region.c (locks, semaphores, events), library_port.c (messages), and
 * library_stream.c, _signal.c, _peer.c, _set.c and _kernel.c; library_table.c says what they cover.
 *
 *   kill   V dies there by SIGKILL. S must be able to use everything again, and be told what it
 *          must be told; W must get what is its own by now, though nobody may be left who would
 *          have woken it. Messages: each one that was sent is delivered once, or the second time
 *          marked; in the end the port takes `depth` messages again, and every participant's place.
 *   stop   V stands there, by SIGSTOP or held by its tracer. S and W go on with all that V does not
 *          hold. Then V goes on and must end well.
 *   pair   V stands there, and another one is killed in the midst of a call of its own, at places of
 *          that. Then V dies, or goes on, and all must be as above.
 *
 *   library [--long] [--seed N] [--seconds N] [--lanes N] [--scene NAME] [--mode kill|stop|pair]
 *           [--place STOPS.STEPS] [--second STOPS.STEPS] [--then 0|1] [--family NAME]
 *   library --table
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "library.h"
#include "library_table.h"
#include "yoke.h"

#define WAKE_TRIES 20
#define AT_ONCE_NS 40000000
#define BUSY_NS    INT64_C(15000000000)

static const char *where(void)
{
    static char text[1200], second[40] = "";
    if (run.mode == PAIR)
        snprintf(second, sizeof second, " --second %u.%u --then %d", run.second.stops,
                 run.second.steps, run.then);
    snprintf(text, sizeof text, "--scene '%s' --mode %s --place %u.%u%s%s\n#   %s", run.scene->name,
             mode_names[run.mode], run.place.stops, run.place.steps, run.mode == PAIR ? second : "",
             run.ended               ? " (the call was over)"
             : run.where == AT_SLEEP ? " (asleep)"
                                     : "",
             run.log);
    return text;
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

/* False: there is nothing to be seen of it. */
static bool take_there(const struct scene *scene)
{
    if (!start_victim(scene)) {
        wrong("the victim could not be traced");
        return false;
    }
    run.where = go_there(scene, &run.place);
    run.ended = run.where == AT_END;
    return true;
}

static void then_kill(const struct scene *scene)
{
    note("V", run.ended ? "is killed after its call" : "is killed", 0);
    victim_kill(V);
    V = NULL;
    scene->after_kill();
}

static void then_go_on(const struct scene *scene)
{
    struct answer answer = {.result = -ETIME};
    if (run.ended)
        victim_answered(&V->board->answer);
    scene->while_stopped();
    note("V", "goes on", 0);
    if (!victim_finish(V) || !actor_hear(V, &answer, SOON_MS)) {
        wrong("V went on, but never ended its call");
        victim_kill(V);
        V = NULL;
        return;
    }
    note("V", verb_names[scene->call.verb], answer.result);
    if (!run.ended)
        victim_answered(&answer);
    scene->after_finish(&answer);
    if (V)
        victim_leaves();
}

/* ---- pairs ---- */

static struct order partners_call(const struct scene *scene)
{
    struct order order = scene->partner;
    if (order.verb == DO_NOTHING) {
        order = world_of(scene)->send;
        order.value = PARTNERS;
    }
    return order;
}

/* Another one, right before its call. */
static bool partner_begins(const struct scene *scene)
{
    struct order order = partners_call(scene);
    run.partner = actor_start();
    if (order.verb != DO_PORT_OPEN && order.verb != DO_STREAM_OPEN && order.verb != DO_PEER_JOIN)
        world_of(scene)->join(run.partner);
    return victim_begin(run.partner, &order);
}

static void partner_dies(const struct scene *scene)
{
    struct order order = partners_call(scene);
    if (!partner_begins(scene)) {
        wrong("the other one could not be traced");
        return;
    }
    bool ended = victim_go(run.partner, &run.second) == AT_END;
    note("B", verb_names[order.verb], run.partner->board->answer.result);
    if (order.value == PARTNERS)
        run.sent[PARTNERS] = ended && run.partner->board->answer.result == 1 ? 2 : 1;
    note("B", ended ? "is killed after its call" : "is killed", 0);
    victim_kill(run.partner);
    run.partner = NULL;
    run.paired = true;
    __atomic_add_fetch(&totals->pairs, 1, __ATOMIC_SEQ_CST);
}

static void one_run(const struct scene *scene, enum mode mode)
{
    uint64_t failures = totals->failures;
    run.mode = mode;
    bool goes_on = mode == STOP || (mode == PAIR && run.then == 1);
    if (take_there(scene)) {
        if (mode == PAIR)
            partner_dies(scene);
        if (goes_on) {
            stand();
            then_go_on(scene);
        } else {
            then_kill(scene);
        }
        __atomic_add_fetch(goes_on ? &totals->stopped : &totals->killed, 1, __ATOMIC_SEQ_CST);
    }
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
    if (options.thorough || scene->each > 0) {
        uint32_t each = options.thorough ? 1 : scene->each;
        done = done && survey_instructions(V, &surveyor, each, ret) && was_woken();
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

/* The partner's call, surveyed while V is right before its own. */
static bool survey_partner(const struct scene *scene, uint64_t *random, struct places *ret)
{
    struct surveyor surveyor = {.random = random, .enough = time_is_over};
    new_world(scene);
    bool done = start_victim(scene) && partner_begins(scene);
    if (options.thorough || partners_call(scene).verb != DO_PORT_OPEN)
        done = done && survey_instructions(run.partner, &surveyor, options.thorough ? 8 : 40, ret);
    else
        done = done && survey_calls(run.partner, &surveyor, ret);
    run.partner = NULL;
    new_world(scene);
    return done;
}

/* With little time, so many of a scene's places that other scenes have their share, too. */
#define PLACES_EACH 40

static bool is_chosen(const struct places *places, enum mode mode, uint64_t *random)
{
    if (options.thorough)
        return true;
    if (options.seconds >= 1e6)
        return mode == KILL || random_of(random) % 2 == 0;
    return random_of(random) % places->count < (mode == KILL ? PLACES_EACH : PLACES_EACH / 2);
}

/* V at each of its places; of the other one's so many that each comes, in the end. */
#define SECONDS_EACH 8

static void run_pairs(const struct scene *scene, const struct places *places, uint64_t *random)
{
    struct places seconds = {.list = NULL};
    if (!survey_partner(scene, random, &seconds)) {
        wrong("the other one's call could not be surveyed");
        return;
    }
    uint32_t at = 0;
    for (uint32_t i = 0; i < places->count && !time_is_over(); i++) {
        run.place = places->list[i];
        if (!is_chosen(places, PAIR, random))
            continue;
        for (uint32_t k = 0; k < (options.thorough ? SECONDS_EACH : 1) && !time_is_over(); k++) {
            at += 1 + (uint32_t)(random_of(random) % 3);
            run.second = seconds.list[at % seconds.count];
            run.then = !scene->pair_kills && random_of(random) % 2 == 0;
            one_run(scene, PAIR);
        }
    }
    places_free(&seconds);
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
    const struct scene *scene = library_scene(number);
    struct places places;
    if (mode == PAIR && (scene->alone || scene->forked))
        return;
    port_plan = scene->plan;
    open_world(scene);
    if (options.one_place) {
        run.place = options.place;
        run.second = options.second;
        run.then = options.then;
        one_run(scene, mode);
        close_world();
        return;
    }
    if (!survey(scene, random, &places)) {
        wrong("the call could not be surveyed");
        close_world();
        return;
    }
    if (mode == PAIR)
        run_pairs(scene, &places, random);
    for (uint32_t i = 0; mode != PAIR && i < places.count && !time_is_over(); i++) {
        run.place = places.list[i];
        if (is_chosen(&places, mode, random))
            one_run(scene, mode);
    }
    if (mode != PAIR && !time_is_over())
        whole_calls(scene, mode);
    close_world();
    places_free(&places);
}

static const char *scene_name(uint32_t scene)
{
    return library_scene(scene)->name;
}

static const char *scene_family(uint32_t scene)
{
    return world_of(library_scene(scene))->family;
}

int main(int argc, char **argv)
{
    const struct campaign campaign = {
        .usage = "library [--long] [--seed N] [--seconds N] [--lanes N] [--scene NAME] "
                 "[--family NAME] [--mode kill|stop|pair] [--place STOPS.STEPS] "
                 "[--second STOPS.STEPS] [--then 0|1]",
        .scenes = library_scene_count(),
        .modes = MODES,
        .name = scene_name,
        .family = scene_family,
        .run = run_scene,
        .where = where,
        .complete = no_function_is_overlooked,
        .complete_name = "no_function_is_overlooked",
    };
    if (argc == 2 && strcmp(argv[1], "--table") == 0) {
        library_print_table();
        return 0;
    }
    return campaign_main(
        argc, argv, &campaign,
        "killed_or_stopped_at_any_instruction_others_go_on_and_no_message_is_lost");
}
