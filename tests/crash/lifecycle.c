/*
 * lifecycle.c - a process is killed, or stopped for ever, anywhere in creating, opening, closing, removing or clearing
 * up an object.
 *
 * For each *scene* (what there is, and what the victim does) the call is surveyed once (kill.h), then repeated for each of its
 * places with new processes, against the library as it ships:
 *
 *   kill   SIGKILL there. Then one fresh process makes one call (an aftermath, below), which must do what it promises. What
 *          the name leads to must be what the victim could have left. Whoever had the object open before goes on with it.
 *          Then all is closed and removed, and nothing may be left: no segment, no name, no lock file, no intent.
 *   stop   It stands there. Another process makes its call on that very name: it succeeds, or gets -EBUSY with the victim's pid
 *          in the sentence. On another name it always succeeds. Then the victim goes on, or is killed; what the other one made
 *          meanwhile must still be there under its name, and in the end nothing is left.
 *
 * In the scenes "broken …" what there is was itself left by a process killed half-way in each of the ways that differ on disk:
 * recovery is killed, and recovered.
 *
 *   lifecycle [--long] [--seed N] [--seconds N] [--lanes N]
 *             [--scene NAME] [--mode kill|stop] [--place STOPS.STEPS] [--broken STOPS.STEPS] [--then N]
 *
 * The seed (else $YOKE_SEED) chooses which places are tried, and what follows. --long tries them all, with all that can follow.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "campaign.h"
#include "support.h"
#include "yoke.h"

#define TOKEN      UINT64_C(23) /* the mark of what was there before; below STREAM_MARK_MOST */
#define SUCCESSOR  UINT64_C(14)

/* ---- scenes ------------------------------------------------------------------------------------------ */

enum setup {
    NOTHING,
    KEPT,           /* exists, nobody has it open */
    HELD_KEPT,      /* the survivor has it open */
    HELD_TRANSIENT, /* the same, but it goes with him */
    DEAD_NAME,      /* a name whose object is gone */
    BROKEN,         /* `breaker` was killed half-way */
};

enum before {
    FRESH,   /* the victim's first call ever */
    OPENED,  /* it has the object open */
    CREATED, /* it has made the object, transient, and is its only user */
};

/* What a name may lead to. */
enum leads {
    TO_NOTHING = 1,
    TO_OLD = 2, /* what was there, with its mark */
    TO_NEW = 4, /* what was made since, without one */
};

enum act { CREATE, CREATE_KEPT, CREATE_EXCLUSIVE, OPEN, OPEN_READ_ONLY, CLOSE, REMOVE, GC, CREATE_OTHER, CREATE_THIRD, REPLACE };

enum kind { REGION, PORT, STREAM };

struct scene {
    const char *name;
    enum kind kind;
    enum setup setup;
    enum before before;
    enum act act;
    uint32_t leads;      /* after a death in the midst */
    uint32_t done_leads; /* when the call was over; 0: the same */
    enum setup broken_setup; /* what was there before the breaker came */
    enum act breaker;
};

#define EACH(scene_name, ...) \
    {"region " scene_name, REGION, __VA_ARGS__}, {"port " scene_name, PORT, __VA_ARGS__}, {"stream " scene_name, STREAM, __VA_ARGS__}

static const struct scene scenes[] = {
    EACH("create transient", NOTHING, FRESH, CREATE, TO_NOTHING, 0, 0, 0),
    EACH("create kept", NOTHING, FRESH, CREATE_KEPT, TO_NOTHING | TO_NEW, TO_NEW, 0, 0),
    EACH("create what is there", KEPT, FRESH, CREATE_KEPT, TO_OLD, 0, 0, 0),
    EACH("create what is in use", HELD_TRANSIENT, FRESH, CREATE, TO_OLD, 0, 0, 0),
    EACH("create exclusively what is there", KEPT, FRESH, CREATE_EXCLUSIVE, TO_OLD, 0, 0, 0),
    EACH("create over a dead name", DEAD_NAME, FRESH, CREATE_KEPT, TO_NOTHING | TO_NEW, TO_NEW, 0, 0),
    EACH("open", KEPT, FRESH, OPEN, TO_OLD, 0, 0, 0),
    EACH("open what is in use", HELD_TRANSIENT, FRESH, OPEN, TO_OLD, 0, 0, 0),
    {"region open read-only", REGION, KEPT, FRESH, OPEN_READ_ONLY, TO_OLD, 0, 0, 0},
    EACH("open a dead name", DEAD_NAME, FRESH, OPEN, TO_NOTHING, 0, 0, 0),
    EACH("close as last user", NOTHING, CREATED, CLOSE, TO_NOTHING, 0, 0, 0),
    EACH("close kept as last user", KEPT, OPENED, CLOSE, TO_OLD, 0, 0, 0),
    EACH("close not as last user", HELD_TRANSIENT, OPENED, CLOSE, TO_OLD, 0, 0, 0),
    EACH("remove", KEPT, FRESH, REMOVE, TO_OLD | TO_NOTHING, TO_NOTHING, 0, 0),
    EACH("remove what is in use", HELD_KEPT, FRESH, REMOVE, TO_OLD | TO_NOTHING, TO_NOTHING, 0, 0),
    EACH("remove transient in use", HELD_TRANSIENT, FRESH, REMOVE, TO_OLD | TO_NOTHING, TO_NOTHING, 0, 0),
    EACH("remove a dead name", DEAD_NAME, FRESH, REMOVE, TO_NOTHING, 0, 0, 0),
    EACH("collect a dead name", DEAD_NAME, FRESH, GC, TO_NOTHING, 0, 0, 0),
    {"region collect nothing", REGION, KEPT, FRESH, GC, TO_OLD, 0, 0, 0},
    {"region broken creation, create", REGION, BROKEN, FRESH, CREATE_KEPT, TO_NOTHING | TO_NEW, TO_NEW, NOTHING, CREATE_KEPT},
    {"region broken creation, create another", REGION, BROKEN, FRESH, CREATE_OTHER, TO_NOTHING | TO_NEW, 0, NOTHING, CREATE_KEPT},
    {"region broken creation, remove", REGION, BROKEN, FRESH, REMOVE, TO_NOTHING | TO_NEW, TO_NOTHING, NOTHING, CREATE_KEPT},
    {"region broken creation, collect", REGION, BROKEN, FRESH, GC, TO_NOTHING | TO_NEW, 0, NOTHING, CREATE_KEPT},
    {"port broken transient creation, create", PORT, BROKEN, FRESH, CREATE_KEPT, TO_NOTHING | TO_NEW, TO_NEW, NOTHING, CREATE},
    {"stream broken transient creation, create", STREAM, BROKEN, FRESH, CREATE_KEPT, TO_NOTHING | TO_NEW, TO_NEW, NOTHING, CREATE},
    {"region broken removal, create", REGION, BROKEN, FRESH, CREATE_KEPT, TO_OLD | TO_NOTHING | TO_NEW, TO_NEW | TO_OLD, KEPT, REMOVE},
    {"region broken removal, open", REGION, BROKEN, FRESH, OPEN, TO_OLD | TO_NOTHING, 0, KEPT, REMOVE},
    {"region broken removal, remove", REGION, BROKEN, FRESH, REMOVE, TO_OLD | TO_NOTHING, TO_NOTHING, KEPT, REMOVE},
    {"region broken removal, collect", REGION, BROKEN, FRESH, GC, TO_OLD | TO_NOTHING, 0, KEPT, REMOVE},
};
#define SCENES (sizeof scenes / sizeof scenes[0])

/* After a kill, one fresh process makes one of these calls first. */
enum aftermath { THEN_CREATE, THEN_EXCLUSIVE, THEN_OPEN, THEN_OTHER, THEN_GC, THEN_REMOVE, AFTERMATHS };
static const char *const aftermath_names[] = {"create", "create exclusively", "open", "create another", "collect", "remove"};

/* While one stands, another makes one of these. */
static const enum act meanwhile[] = {CREATE, CREATE_EXCLUSIVE, OPEN, REMOVE, REPLACE, CREATE_THIRD, GC};
#define MEANWHILES (sizeof meanwhile / sizeof meanwhile[0])

static const char *const act_names[] = {"create",     "create kept", "create exclusively", "open",           "open read-only", "close",
                                        "remove",     "collect",     "create another",     "create a third",    "remove and create"};

/* ---- one run ------------------------------------------------------------------------------------------ */

static struct run {
    const struct scene *scene;
    enum mode mode;
    struct place place, broken;
    uint32_t then;
    bool ended;   /* the victim's call was over */
    struct actor *survivor, *victim;
    char log[600];
} run;

static void note(const char *who, const char *what, const struct answer *answer)
{
    size_t used = strlen(run.log);
    snprintf(run.log + used, sizeof run.log - used, "%s%s %s: %lld %s", used ? "; " : "", who, what, (long long)answer->result,
             answer->result < 0 ? answer->sentence : "");
}

static const char *where(void)
{
    static char text[1200];
    const struct scene *scene = run.scene;
    int used = snprintf(text, sizeof text, "--scene '%s' --mode %s --place %u.%u%s", scene->name, run.mode == KILL ? "kill" : "stop",
                        run.place.stops, run.place.steps, run.ended ? " (the call was over)" : "");
    if (scene->setup == BROKEN)
        used += snprintf(text + used, sizeof text - (size_t)used, " --broken %u.%u", run.broken.stops, run.broken.steps);
    snprintf(text + used, sizeof text - (size_t)used, " --then %u (%s)\n#   %s", run.then,
             run.mode == KILL ? aftermath_names[run.then % AFTERMATHS] : act_names[meanwhile[run.then % MEANWHILES]], run.log);
    return text;
}

static struct order order_of(const struct scene *scene, enum act act)
{
    static const enum verb creates[] = {DO_REGION_CREATE, DO_PORT_OPEN, DO_STREAM_OPEN}, opens[] = {DO_REGION_OPEN, DO_PORT_OPEN, DO_STREAM_OPEN},
                           removes[] = {DO_REMOVE_REGION, DO_REMOVE_PORT, DO_REMOVE};
    uint32_t end = scene->kind == STREAM ? YOKE_WRITE : 0;
    struct order order = {.verb = creates[scene->kind], .flags = YOKE_CREATE | end};
    switch (act) {
    case CREATE:
    case REPLACE:
        break;
    case CREATE_KEPT:
        order.flags |= YOKE_KEPT;
        break;
    case CREATE_EXCLUSIVE:
        order.flags |= YOKE_EXCLUSIVE;
        break;
    case OPEN:
        order = (struct order){.verb = opens[scene->kind], .flags = end};
        break;
    case OPEN_READ_ONLY:
        order = (struct order){.verb = DO_REGION_OPEN, .flags = YOKE_READ_ONLY};
        break;
    case CLOSE:
        order = (struct order){.verb = DO_CLOSE};
        break;
    case REMOVE:
        order = (struct order){.verb = removes[scene->kind], .name = scene->kind == STREAM ? "stream:x" : NULL};
        break;
    case GC:
        order = (struct order){.verb = DO_GC};
        break;
    case CREATE_OTHER:
    case CREATE_THIRD:
        order.name = act == CREATE_OTHER ? "other" : "third";
        order.handle = 1;
        break;
    }
    return order;
}

/* Tells an actor to do it, and notes what came of it. */
static struct answer act(struct actor *actor, enum act what, const char *who)
{
    struct order order = order_of(run.scene, what);
    struct answer answer = actor_ask(actor, &order);
    note(who, act_names[what], &answer);
    if (answer.took_ns > totals->slowest_ns)
        totals->slowest_ns = answer.took_ns;
    if (answer.result == -ETIME)
        wrong("%s's call never ended", who);
    return answer;
}

static uint64_t read_mark(struct actor *actor, const char *who)
{
    struct answer answer = ask(actor, .verb = DO_READ_MARK);
    if (answer.result < 0)
        wrong("%s can not read what it has open: %lld %s", who, (long long)answer.result, answer.sentence);
    return answer.value;
}

/* An object with its mark, made by a process that then ends: properly, or (transient) by dying. */
static void make_old(bool kept)
{
    struct actor *maker = actor_start();
    act(maker, kept ? CREATE_KEPT : CREATE, "maker");
    ask(maker, .verb = DO_MARK, .value = TOKEN);
    if (kept)
        ask(maker, .verb = DO_CLOSE);
    actor_end(maker);
}

static void break_it(const struct scene *scene)
{
    struct actor *breaker = actor_start();
    struct order order = order_of(scene, scene->breaker);
    if (scene->broken_setup == KEPT)
        make_old(true);
    if (!victim_begin(breaker, &order))
        wrong("the breaker could not be traced");
    victim_go(breaker, &run.broken);
    victim_kill(breaker);
}

/* What there is before the victim comes. */
static void set_up(const struct scene *scene)
{
    run.survivor = NULL;
    run.log[0] = '\0';
    switch (scene->setup) {
    case NOTHING:
        break;
    case KEPT:
        make_old(true);
        break;
    case DEAD_NAME:
        make_old(false);
        break;
    case HELD_KEPT:
    case HELD_TRANSIENT:
        run.survivor = actor_start();
        act(run.survivor, scene->setup == HELD_KEPT ? CREATE_KEPT : CREATE, "survivor");
        ask(run.survivor, .verb = DO_MARK, .value = TOKEN);
        break;
    case BROKEN:
        break_it(scene);
        break;
    }
    run.victim = actor_start();
    if (scene->before == OPENED)
        act(run.victim, OPEN, "victim");
    else if (scene->before == CREATED)
        act(run.victim, CREATE, "victim");
}

static bool start_victim(const struct scene *scene)
{
    struct order order = order_of(scene, scene->act);
    return victim_begin(run.victim, &order);
}

static void kill_victim(void)
{
    victim_kill(run.victim);
    run.victim = NULL; /* its place is the next actor's */
}

static const char *describe(uint32_t leads)
{
    static const char *const words[] = {"?", "nothing", "the old one", "nothing or the old one", "a new one", "nothing or a new one",
                                        "the old or a new one", "anything"};
    return words[leads & 7];
}

/* ---- after a kill --------------------------------------------------------------------------------------- */

static uint32_t what_is_open(struct actor *actor)
{
    uint64_t mark = read_mark(actor, "the next one");
    if (mark != 0 && mark != TOKEN)
        wrong("the object has the mark %llx, which nobody left", (unsigned long long)mark);
    return mark == TOKEN ? TO_OLD : TO_NEW;
}

/* Opens it to see what the name leads to. */
static uint32_t look(struct actor *actor)
{
    struct answer answer = act(actor, OPEN, "then");
    if (answer.result == -ENOENT)
        return TO_NOTHING;
    if (answer.result < 0) {
        wrong("opening: %lld %s", (long long)answer.result, answer.sentence);
        return 7;
    }
    return what_is_open(actor);
}

/* The next call was on another name, or collected: all that a dead one left half-done must be gone. */
static void check_cleared(void)
{
    struct leftovers left;
    leftovers_count(directory, &left);
    bool nameless = run.survivor && left.names == 0; /* the survivor's, removed */
    if (left.intents != 0 || left.others != 0 || left.live_files != left.names || left.segments != left.names + nameless)
        wrong("after the next yoke call (on another name) there is still:%s", left.text);
}

static uint32_t aftermath(struct actor *next, enum aftermath what)
{
    struct answer answer;
    switch (what) {
    case THEN_CREATE:
        answer = act(next, CREATE, "then");
        if (answer.result != 0)
            wrong("creating the name again failed");
        /* nothing or new: not to be told apart */
        return answer.result != 0 ? 7 : what_is_open(next) == TO_OLD ? TO_OLD : TO_NEW | TO_NOTHING;
    case THEN_EXCLUSIVE:
        answer = act(next, CREATE_EXCLUSIVE, "then");
        if (answer.result == 0)
            return what_is_open(next) == TO_NEW ? TO_NOTHING : 0;
        if (answer.result != -EEXIST)
            wrong("creating the name exclusively: neither done nor -EEXIST");
        return look(next);
    case THEN_OPEN:
        return look(next);
    case THEN_OTHER:
        answer = act(next, CREATE_OTHER, "then");
        if (answer.result != 0)
            wrong("creating another name failed");
        ask(next, .verb = DO_CLOSE, .handle = 1);
        check_cleared();
        return look(next);
    case THEN_GC:
        answer = act(next, GC, "then");
        if (answer.result < 0)
            wrong("collecting failed");
        check_cleared();
        return look(next);
    case THEN_REMOVE:
        answer = act(next, REMOVE, "then");
        if (answer.result != 0 && answer.result != -ENOENT)
            wrong("removing failed");
        return answer.result == 0 ? TO_OLD | TO_NEW | TO_NOTHING : TO_NOTHING;
    default:
        return 0;
    }
}

/* Whoever had it open before has it still, and can still be joined there. */
static void check_survivor(void)
{
    if (!run.survivor)
        return;
    uint64_t mark = read_mark(run.survivor, "the survivor");
    if (mark != TOKEN)
        wrong("the survivor's object reads %llx instead of %llx", (unsigned long long)mark, (unsigned long long)TOKEN);
    struct answer first = {0}, second = {0};
    switch (run.scene->kind) {
    case PORT:
        first = ask(run.survivor, .verb = DO_SEND, .value = 77);
        break;
    case STREAM:
        first = ask(run.survivor, .verb = DO_WRITE, .priority = STREAM_MARK_MOST);
        break;
    case REGION:
        first = ask(run.survivor, .verb = DO_LOCK);
        second = ask(run.survivor, .verb = DO_UNLOCK);
        break;
    }
    if (first.result < (run.scene->kind == REGION ? 0 : 1) || second.result < 0)
        wrong("the survivor can not use it: %lld, %lld %s", (long long)first.result, (long long)second.result, first.sentence);
}

/* Closes and removes everything (`only`: the next process's one call was the removal); then nothing may be left. */
static void tear_down(struct actor *next, bool only)
{
    struct leftovers left;
    ask(next, .verb = DO_CLOSE);
    ask(next, .verb = DO_CLOSE, .handle = 1);
    actor_end(next);
    if (run.victim) {
        ask(run.victim, .verb = DO_CLOSE);
        ask(run.victim, .verb = DO_CLOSE, .handle = 1);
        actor_end(run.victim);
    }
    if (run.survivor) {
        ask(run.survivor, .verb = DO_CLOSE);
        actor_end(run.survivor);
    }
    if (!only) {
        struct actor *remover = actor_start();
        act(remover, REMOVE, "at last");
        actor_end(remover);
    }
    leftovers_count(directory, &left);
    if (!leftovers_none(&left))
        wrong("left behind:%s", left.text);
    leftovers_clear(directory);
}

static void kill_there(void)
{
    const struct scene *scene = run.scene;
    set_up(scene);
    if (!start_victim(scene)) {
        wrong("the victim could not be traced");
        kill_victim();
        return;
    }
    run.ended = victim_go(run.victim, &run.place) == AT_END;
    kill_victim();
    struct actor *next = actor_start();
    uint32_t leads = aftermath(next, (enum aftermath)(run.then % AFTERMATHS));
    uint32_t may = run.ended && scene->done_leads ? scene->done_leads : scene->leads;
    if ((leads & may) == 0)
        wrong("the name leads to %s; it should lead to %s", describe(leads), describe(may));
    check_survivor();
    tear_down(next, run.then % AFTERMATHS == THEN_REMOVE);
}

/* ---- while one stands ------------------------------------------------------------------------------------ */

static bool may_answer(enum act what, int64_t result)
{
    switch (what) {
    case CREATE:
    case CREATE_KEPT:
    case CREATE_OTHER:
    case CREATE_THIRD:
    case REPLACE:
    case CLOSE:
        return result == 0;
    case CREATE_EXCLUSIVE:
        return result == 0 || result == -EEXIST;
    case OPEN:
    case OPEN_READ_ONLY:
    case REMOVE:
        return result == 0 || result == -ENOENT;
    case GC:
        return result >= 0;
    }
    return false;
}

/* The other's call while the victim stands. 0 or more: done. */
static int64_t other_acts(struct actor *other, enum act what)
{
    char pid[16];
    snprintf(pid, sizeof pid, "process %d ", run.victim->pid);
    if (what == REPLACE && other_acts(other, REMOVE) == -EBUSY)
        return -EBUSY;
    struct answer answer = act(other, what, "meanwhile");
    if (answer.result == -EBUSY && what != CREATE_THIRD && what != GC) {
        totals->busy++;
        if (!strstr(answer.sentence, pid))
            wrong("-EBUSY without naming the victim, process %d", run.victim->pid);
    } else if (!may_answer(what, answer.result)) {
        wrong("while the victim (process %d) stood there, the other's call failed", run.victim->pid);
    }
    return answer.result;
}

/* `other` has the object of that name open: it must be the one that the name leads to. */
static void check_successor(struct actor *other, uint64_t mark)
{
    struct actor *third = actor_start();
    uint64_t his = read_mark(other, "the other");
    if (his != mark)
        wrong("what the other has open reads %llx instead of %llx", (unsigned long long)his, (unsigned long long)mark);
    if (run.scene->act != REMOVE) {
        struct answer answer = act(third, OPEN, "third");
        if (answer.result != 0)
            wrong("the name of what the other has open is gone");
        else if (read_mark(third, "the third") != mark)
            wrong("the name leads to something else than what the other has open");
        if (answer.result == 0)
            ask(third, .verb = DO_CLOSE);
    }
    actor_end(third);
}

static void stop_there(void)
{
    const struct scene *scene = run.scene;
    enum act what = meanwhile[run.then % MEANWHILES];
    bool goes_on = run.then / MEANWHILES % 2 == 0;
    set_up(scene);
    if (!start_victim(scene)) {
        wrong("the victim could not be traced");
        kill_victim();
        return;
    }
    run.ended = victim_go(run.victim, &run.place) == AT_END;

    struct actor *other = actor_start();
    int64_t result = other_acts(other, what);
    bool has = result == 0 && (what == CREATE || what == CREATE_EXCLUSIVE || what == OPEN || what == REPLACE);
    uint64_t mark = has ? read_mark(other, "the other") : 0;
    if (has && mark == 0) {
        mark = SUCCESSOR;
        ask(other, .verb = DO_MARK, .value = mark);
    }
    check_survivor();

    if (!goes_on) {
        kill_victim();
    } else if (!victim_finish(run.victim)) {
        wrong("the victim went on, but never ended its call");
        kill_victim();
    } else {
        struct answer answer = {.result = -ETIME};
        actor_hear(run.victim, &answer, SOON_MS);
        note("victim", act_names[scene->act], &answer);
        bool removed = what == REMOVE || what == REPLACE;
        if (!may_answer(scene->act, answer.result) && !(removed && answer.result == -ENOENT))
            wrong("the victim went on, and its call failed");
        bool opens = scene->act <= OPEN && answer.result == 0;
        if (opens && has && !removed && read_mark(run.victim, "the victim") != mark)
            wrong("the victim and the other have the same name open, but two objects");
        if (scene->act == OPEN && answer.result == -ENOENT && !removed && (scene->leads & TO_NOTHING) == 0)
            wrong("the victim did not find what was there");
    }
    if (has)
        check_successor(other, mark);
    tear_down(other, false);
}

/* ---- all places of a scene -------------------------------------------------------------------------------- */

static void one_run(enum mode mode, uint32_t then)
{
    run.mode = mode;
    run.then = then;
    run.ended = false;
    if (mode == KILL)
        kill_there();
    else
        stop_there();
    __atomic_add_fetch(&totals->places, 1, __ATOMIC_SEQ_CST);
    __atomic_add_fetch(mode == KILL ? &totals->killed : &totals->stopped, 1, __ATOMIC_SEQ_CST);
    actors_kill_all();
    leftovers_clear(directory);
}

static bool start_over(const struct scene *scene)
{
    actors_kill_all();
    leftovers_clear(directory);
    set_up(scene);
    return start_victim(scene);
}

/* Lists the places of the victim's call: those where something changes, and a sample (--long: many) of the others. */
static bool survey(const struct scene *scene, uint64_t *random, struct places *ret)
{
    struct surveyor surveyor = {.random = random, .enough = time_is_over};
    bool done = start_over(scene);
    if (options.thorough)
        done = done && survey_instructions(run.victim, &surveyor, 100, ret);
    else
        done = done && survey_calls(run.victim, &surveyor, ret) && start_over(scene) && survey_memory(run.victim, &surveyor, ret);
    actors_kill_all();
    leftovers_clear(directory);
    if (done)
        __atomic_add_fetch(&totals->instructions, ret->instructions, __ATOMIC_SEQ_CST);
    return done;
}

static void run_places(const struct scene *scene, enum mode mode, uint64_t *random)
{
    struct places places;
    uint32_t choices = mode == KILL ? (uint32_t)AFTERMATHS : 2 * (uint32_t)MEANWHILES;
    if (options.one_place) {
        run.place = options.place;
        for (uint32_t then = 0; then < choices; then++) {
            if (options.then < 0 || options.then == (int)then)
                one_run(mode, then);
        }
        return;
    }
    if (!survey(scene, random, &places)) {
        wrong("the call could not be surveyed");
        return;
    }
    uint32_t first = (uint32_t)random_of(random);
    for (uint32_t i = 0; i <= places.count && !time_is_over(); i++) {
        run.place = i < places.count ? places.list[i] : (struct place){UINT32_MAX, 0};
        if (options.thorough) {
            for (uint32_t then = 0; then < choices && !time_is_over(); then++)
                one_run(mode, then);
        } else if (random_of(random) % (scene->setup == BROKEN ? 8 : mode == STOP ? 3 : 1) == 0) {
            one_run(mode, (first + i) % choices);
        }
    }
    places_free(&places);
}

/* ---- what a broken creation or removal can look like --------------------------------------------------------- */

/* Two deaths that leave the same on disk are one. */
static uint64_t signature(void)
{
    struct leftovers left;
    uint64_t hash = 0;
    leftovers_count(directory, &left);
    for (const char *c = left.text; *c; c++) {
        if (*c < '0' || *c > '9') /* numbers differ from run to run */
            hash = (hash ^ (unsigned char)*c) * UINT64_C(0x100000001b3);
    }
    return hash + leftovers_sizes(directory);
}

static void run_broken(const struct scene *scene, enum mode mode, uint64_t *random)
{
    struct places places;
    uint64_t seen[64];
    uint32_t seen_count = 0;
    struct scene breaking = {.name = scene->name, .kind = scene->kind, .setup = scene->broken_setup, .act = scene->breaker};
    if (options.one_broken) {
        run.broken = options.broken;
        run_places(scene, mode, random);
        return;
    }
    if (!survey(&breaking, random, &places)) {
        wrong("the breaker's call could not be surveyed");
        return;
    }
    for (uint32_t i = 0; i < places.count && !time_is_over(); i++) {
        run.broken = places.list[i];
        break_it(scene);
        uint64_t one = signature();
        leftovers_clear(directory);
        bool known = seen_count == sizeof seen / sizeof seen[0];
        for (uint32_t k = 0; k < seen_count && !known; k++)
            known = seen[k] == one;
        if (known)
            continue;
        seen[seen_count++] = one;
        if (!options.thorough && random_of(random) % 4 != 0)
            continue;
        __atomic_add_fetch(&totals->states, 1, __ATOMIC_SEQ_CST);
        run_places(scene, mode, random);
    }
    places_free(&places);
}

/* ---- the campaign -------------------------------------------------------------------------------------------- */

static const char *scene_name(uint32_t scene)
{
    return scenes[scene].name;
}

static void run_scene(uint32_t scene, enum mode mode, uint64_t *random)
{
    run.scene = &scenes[scene];
    if (run.scene->setup == BROKEN)
        run_broken(run.scene, mode, random);
    else
        run_places(run.scene, mode, random);
}

int main(int argc, char **argv)
{
    static const struct campaign campaign = {
        .usage = "lifecycle [--long] [--seed N] [--seconds N] [--lanes N] [--scene NAME] [--mode kill|stop] "
                 "[--place STOPS.STEPS] [--broken STOPS.STEPS] [--then N]",
        .scenes = SCENES,
        .modes = 2,
        .name = scene_name,
        .run = run_scene,
        .where = where,
    };
    return campaign_main(argc, argv, &campaign, "killed_or_stopped_anywhere_leaves_nothing_and_harms_nobody");
}
