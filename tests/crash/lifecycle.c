/*
 * lifecycle.c - a process is killed, or stopped for ever, anywhere in creating, opening, closing, removing or clearing
 * up an object, of any kind (lifecycle_kinds.c) in memory or in the kernel.
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
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "campaign.h"
#include "lifecycle_kinds.h"
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

/* What is done to an object; with each kind to which it can be done it is a scene, "KIND NAME". */
struct template {
    const char *name;
    uint32_t only; /* these kinds (a bit each); 0: all */
    enum setup setup;
    enum before before;
    enum act act;
    uint32_t leads;          /* after a death in the midst */
    uint32_t done_leads;     /* when the call was over; 0: the same */
    enum setup broken_setup; /* what there was before the breaker came */
    enum before broken_before;
    enum act breaker;
};

#define ANY  (TO_OLD | TO_NOTHING | TO_NEW)
#define ONLY(kind) (1u << (kind))
/* Of an inbox only what was left half-done: opening, closing and collecting one is library's. */
#define INBOXES (ONLY(INBOX) | ONLY(KERNEL_INBOX))
#define NAMED   (~(INBOXES | ONLY(PEER)))
#define NO_INBOX (~INBOXES)
#define OF_PROCESS (INBOXES | ONLY(PEER))

static const struct template templates[] = {
    {"create transient", NO_INBOX, NOTHING, FRESH, CREATE, TO_NOTHING, 0, 0, 0, 0},
    {"create kept", 0, NOTHING, FRESH, CREATE_KEPT, TO_NOTHING | TO_NEW, TO_NEW, 0, 0, 0},
    {"create what is there", 0, KEPT, FRESH, CREATE_KEPT, TO_OLD, 0, 0, 0, 0},
    {"create what is in use", NO_INBOX, HELD_TRANSIENT, FRESH, CREATE, TO_OLD, 0, 0, 0, 0},
    {"create exclusively what is there", 0, KEPT, FRESH, CREATE_EXCLUSIVE, TO_OLD, 0, 0, 0, 0},
    {"create over a dead name", 0, DEAD_NAME, FRESH, CREATE_KEPT, TO_NOTHING | TO_NEW, TO_NEW, 0, 0, 0},
    {"create over a dead process's", ONLY(PEER), DEAD_NAME, FRESH, CREATE, TO_NOTHING, 0, 0, 0, 0},
    {"open", 0, KEPT, FRESH, OPEN, TO_OLD, 0, 0, 0, 0},
    {"open what is in use", 0, HELD_TRANSIENT, FRESH, OPEN, TO_OLD, 0, 0, 0, 0},
    {"open read-only", 0, KEPT, FRESH, OPEN_READ_ONLY, TO_OLD, 0, 0, 0, 0},
    {"open a dead name", 0, DEAD_NAME, FRESH, OPEN, TO_NOTHING, 0, 0, 0, 0},
    {"close as last user", NO_INBOX, NOTHING, CREATED, CLOSE, TO_NOTHING, 0, 0, 0, 0},
    {"close kept as last user", NAMED, KEPT, OPENED, CLOSE, TO_OLD, 0, 0, 0, 0},
    {"close not as last user", NAMED, HELD_TRANSIENT, OPENED, CLOSE, TO_OLD, 0, 0, 0, 0},
    {"remove", 0, KEPT, FRESH, REMOVE, TO_OLD | TO_NOTHING, TO_NOTHING, 0, 0, 0},
    {"remove what is in use", 0, HELD_KEPT, FRESH, REMOVE, TO_OLD | TO_NOTHING, TO_NOTHING, 0, 0, 0},
    {"remove transient in use", 0, HELD_TRANSIENT, FRESH, REMOVE, TO_OLD | TO_NOTHING, TO_NOTHING, 0, 0, 0},
    {"remove a dead name", 0, DEAD_NAME, FRESH, REMOVE, TO_NOTHING, 0, 0, 0, 0},
    {"collect a dead name", NO_INBOX, DEAD_NAME, FRESH, GC, TO_NOTHING, 0, 0, 0, 0},
    {"collect nothing", NAMED, KEPT, FRESH, GC, TO_OLD, 0, 0, 0, 0},
    {"broken creation, create", 0, BROKEN, FRESH, CREATE_KEPT, TO_NOTHING | TO_NEW, TO_NEW, NOTHING, FRESH, CREATE_KEPT},
    {"broken creation, create another", NAMED, BROKEN, FRESH, CREATE_OTHER, TO_NOTHING | TO_NEW, 0, NOTHING, FRESH, CREATE_KEPT},
    {"broken creation, remove", 0, BROKEN, FRESH, REMOVE, TO_NOTHING | TO_NEW, TO_NOTHING, NOTHING, FRESH, CREATE_KEPT},
    {"broken creation, collect", NAMED, BROKEN, FRESH, GC, TO_NOTHING | TO_NEW, 0, NOTHING, FRESH, CREATE_KEPT},
    {"broken transient creation, create", 0, BROKEN, FRESH, CREATE_KEPT, TO_NOTHING | TO_NEW, TO_NEW, NOTHING, FRESH, CREATE},
    {"broken transient creation, collect", 0, BROKEN, FRESH, GC, TO_NOTHING, 0, NOTHING, FRESH, CREATE},
    {"broken joining, join", OF_PROCESS, BROKEN, FRESH, CREATE, TO_NOTHING, 0, NOTHING, FRESH, CREATE},
    {"broken joining, join as another", OF_PROCESS, BROKEN, FRESH, CREATE_OTHER, TO_NOTHING, 0, NOTHING, FRESH, CREATE},
    {"broken leaving, join", OF_PROCESS, BROKEN, FRESH, CREATE, TO_NOTHING, 0, NOTHING, CREATED, CLOSE},
    {"broken removal, create", 0, BROKEN, FRESH, CREATE_KEPT, ANY, TO_NEW | TO_OLD, KEPT, FRESH, REMOVE},
    {"broken removal, open", 0, BROKEN, FRESH, OPEN, TO_OLD | TO_NOTHING, 0, KEPT, FRESH, REMOVE},
    {"broken removal, remove", 0, BROKEN, FRESH, REMOVE, TO_OLD | TO_NOTHING, TO_NOTHING, KEPT, FRESH, REMOVE},
    {"broken removal, collect", NAMED, BROKEN, FRESH, GC, TO_OLD | TO_NOTHING, 0, KEPT, FRESH, REMOVE},
    {"broken last close, create", 0, BROKEN, FRESH, CREATE_KEPT, TO_NOTHING | TO_NEW, TO_NEW, NOTHING, CREATED, CLOSE},
    {"broken last close, open", 0, BROKEN, FRESH, OPEN, TO_NOTHING, 0, NOTHING, CREATED, CLOSE},
    {"broken last close, collect", 0, BROKEN, FRESH, GC, TO_NOTHING, 0, NOTHING, CREATED, CLOSE},
};
#define TEMPLATES (sizeof templates / sizeof templates[0])

struct scene {
    char name[80];
    const struct kind *kind;
    struct template what;
};

static struct scene scenes[TEMPLATES * KINDS];
static uint32_t scene_count;

static bool is_possible(const struct template *what, uint32_t kind)
{
    return (what->only == 0 || what->only >> kind & 1) && kind_can(&kinds[kind], what->act) &&
           kind_can(&kinds[kind], what->breaker) &&
           (what->setup != KEPT || kind_can(&kinds[kind], CREATE_KEPT));
}

/* Each template with each kind, as far as it can be. */
static void list_scenes(void)
{
    for (uint32_t i = 0; i < TEMPLATES; i++) {
        for (uint32_t kind = 0; kind < KINDS; kind++) {
            struct scene *scene = &scenes[scene_count];
            if (!is_possible(&templates[i], kind))
                continue;
            scene->kind = &kinds[kind];
            scene->what = templates[i];
            snprintf(scene->name, sizeof scene->name, "%s %s", scene->kind->name, templates[i].name);
            scene_count++;
        }
    }
}

/* After a kill, one fresh process makes one of these calls first. */
enum aftermath { THEN_CREATE, THEN_EXCLUSIVE, THEN_OPEN, THEN_OTHER, THEN_GC, THEN_REMOVE, AFTERMATHS };
static const char *const aftermath_names[] = {"create", "create exclusively", "open", "create another", "collect", "remove"};

/* While one stands, another makes one of these. */
static const enum act meanwhile[] = {CREATE, CREATE_EXCLUSIVE, OPEN, REMOVE, REPLACE, CREATE_THIRD, GC};
#define MEANWHILES (sizeof meanwhile / sizeof meanwhile[0])

/* ---- one run ------------------------------------------------------------------------------------------ */

static struct run {
    const struct scene *scene;
    enum mode mode;
    struct place place, broken;
    uint32_t then;
    bool ended;   /* the victim's call was over */
    struct actor *survivor, *victim;
    struct actor *first; /* of a link: who has the end that the survivor would have */
    uint64_t old;        /* what the object that was there is told by */
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
    if (scene->what.setup == BROKEN)
        used += snprintf(text + used, sizeof text - (size_t)used, " --broken %u.%u", run.broken.stops, run.broken.steps);
    snprintf(text + used, sizeof text - (size_t)used, " --then %u (%s)\n#   %s", run.then,
             run.mode == KILL ? aftermath_names[run.then % AFTERMATHS] : act_names[meanwhile[run.then % MEANWHILES]], run.log);
    return text;
}

static bool is_first(const struct actor *actor)
{
    return actor == run.survivor || actor == run.first;
}

/* What comes before it: of an inbox, that its peer joins. */
static struct answer prepare(struct actor *actor, enum act what, const char *who)
{
    struct answer answer = {.result = 0};
    const char *name = kind_joins(run.scene->kind, what);
    if (name) {
        answer = ask(actor, .verb = DO_PEER_JOIN, .name = name);
        note(who, "join", &answer);
    }
    return answer;
}

/* Tells an actor to do it, and notes what came of it. */
static struct answer act(struct actor *actor, enum act what, const char *who)
{
    struct order order = kind_order(run.scene->kind, what, is_first(actor));
    struct answer answer = prepare(actor, what, who);
    if (answer.result == 0) {
        answer = actor_ask(actor, &order);
        note(who, act_names[what], &answer);
    }
    if (answer.took_ns > totals->slowest_ns)
        totals->slowest_ns = answer.took_ns;
    if (answer.result == -ETIME)
        wrong("%s's call never ended", who);
    return answer;
}

/* A seat is one process's: it is taken. */
static bool is_taken(const struct answer *answer)
{
    return run.scene->kind->seat && answer->result == -EADDRINUSE;
}

static uint64_t read_mark(struct actor *actor, const char *who)
{
    struct answer answer = ask(actor, .verb = DO_READ_MARK, .handle = run.scene->kind->create.handle);
    if (answer.result < 0)
        wrong("%s can not read what it has open: %lld %s", who, (long long)answer.result, answer.sentence);
    return answer.value;
}

static void closes(struct actor *actor)
{
    ask(actor, .verb = DO_CLOSE, .handle = 1);
    ask(actor, .verb = DO_CLOSE);
}

/* It has made the object: that is the old one. */
static void leave_mark(struct actor *actor)
{
    ask(actor, .verb = DO_MARK, .value = TOKEN, .handle = run.scene->kind->create.handle);
    run.old = read_mark(actor, "its maker");
}

/* An object with its mark, made by a process that then ends: properly, or (transient) by dying. */
static void make_old(bool kept)
{
    struct actor *maker = actor_start();
    run.first = maker;
    act(maker, kept ? CREATE_KEPT : CREATE, "maker");
    leave_mark(maker);
    if (kept)
        closes(maker);
    actor_end(maker);
    run.first = NULL;
}

static void set_up(const struct scene *scene);

static bool start_victim(const struct scene *scene)
{
    struct order order = kind_order(scene->kind, scene->what.act, false);
    return victim_begin(run.victim, &order);
}

/* The breaker's call as a scene of its own. */
static struct scene breaking_of(const struct scene *scene)
{
    struct scene breaking = *scene;
    breaking.what.setup = scene->what.broken_setup;
    breaking.what.before = scene->what.broken_before;
    breaking.what.act = scene->what.breaker;
    return breaking;
}

static void break_it(const struct scene *scene)
{
    struct scene breaking = breaking_of(scene);
    set_up(&breaking);
    if (!start_victim(&breaking))
        wrong("the breaker could not be traced");
    victim_go(run.victim, &run.broken);
    victim_kill(run.victim);
}

/* What there is before the victim comes. */
static void set_up(const struct scene *scene)
{
    run.survivor = run.first = NULL;
    run.log[0] = '\0';
    run.old = 0;
    switch (scene->what.setup) {
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
        act(run.survivor, scene->what.setup == HELD_KEPT ? CREATE_KEPT : CREATE, "survivor");
        leave_mark(run.survivor);
        break;
    case BROKEN:
        break_it(scene);
        break;
    }
    run.victim = actor_start();
    if (scene->what.before == OPENED)
        act(run.victim, OPEN, "victim");
    else if (scene->what.before == CREATED)
        act(run.victim, CREATE, "victim");
    else
        prepare(run.victim, scene->what.act, "victim");
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
    if (mark == run.old && run.old != 0)
        return TO_OLD;
    if (mark != 0 && !run.scene->kind->numbered)
        wrong("the object has the mark %llx, which nobody left", (unsigned long long)mark);
    return TO_NEW;
}

/* Of what can not be opened only its maker: is it there? */
static uint32_t look_from_outside(struct actor *actor)
{
    struct order order = run.scene->kind->look;
    struct answer answer = actor_ask(actor, &order);
    note("then", "look", &answer);
    if (answer.result >= 0)
        return TO_OLD;
    if (answer.result != -EAGAIN && answer.result != -ENOENT)
        wrong("looking for it: %lld %s", (long long)answer.result, answer.sentence);
    return TO_NOTHING;
}

/* Opens it to see what the name leads to. */
static uint32_t look(struct actor *actor)
{
    if (run.scene->kind->look.verb != DO_NOTHING)
        return look_from_outside(actor);
    struct answer answer = act(actor, OPEN, "then");
    if (answer.result == -ENOENT)
        return TO_NOTHING;
    if (answer.result < 0) {
        wrong("opening: %lld %s", (long long)answer.result, answer.sentence);
        return ANY;
    }
    return what_is_open(actor);
}

static bool name_is_there(void)
{
    char path[400];
    snprintf(path, sizeof path, "%s/%s", directory, run.scene->kind->entry);
    return access(path, F_OK) == 0;
}

/* What there is belongs together: nothing is left of anything that is gone. */
static bool hangs_together(const struct leftovers *left)
{
    bool in_kernel = strstr(run.scene->kind->entry, "@kernel") != NULL, nameless = run.survivor && !name_is_there();
    uint32_t queues = left->kernel_ports + 2 * left->kernel_links;
    return left->intents == 0 && left->others == 0 &&
           left->live_files == left->names + left->kernel_ports + left->kernel_links &&
           left->segments == left->names + (nameless && !in_kernel) &&
           (left->queues == queues || !leftovers_see_queues()) && left->fifos == left->kernel_streams &&
           left->ends <= 2 * left->kernel_links && left->sockets <= left->names;
}

/* The next call was on another name, or collected: all that a dead one left half-done must be gone. */
static void check_cleared(void)
{
    struct leftovers left;
    leftovers_count(directory, &left);
    if (!hangs_together(&left))
        wrong("after the next yoke call (on another name) there is still:%s", left.text);
}

static uint32_t aftermath(struct actor *next, enum aftermath what)
{
    struct answer answer;
    switch (what) {
    case THEN_CREATE:
        answer = act(next, CREATE, "then");
        if (is_taken(&answer) && run.survivor && !run.scene->kind->first)
            return TO_OLD; /* the survivor's */
        if (answer.result != 0)
            wrong("creating the name again failed");
        /* nothing or new: not to be told apart */
        return answer.result != 0 ? ANY : what_is_open(next) == TO_OLD ? TO_OLD : TO_NEW | TO_NOTHING;
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
        closes(next);
        if (!run.scene->kind->leaves)
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
    if (mark != run.old)
        wrong("the survivor's object reads %llx instead of %llx", (unsigned long long)mark, (unsigned long long)run.old);
    for (int i = 0; i < 2; i++) {
        struct order use = run.scene->kind->use[i];
        struct answer answer = {.result = 0};
        if (use.verb == DO_NOTHING)
            continue;
        answer = actor_ask(run.survivor, &use);
        bool other_left = run.scene->kind->first && (answer.result == -EPIPE || answer.result == -EOWNERDEAD);
        if (answer.result != run.scene->kind->use_gives[i] && !other_left)
            wrong("the survivor can not use it: %s gives %lld %s", verb_names[use.verb], (long long)answer.result,
                  answer.sentence);
    }
}

/* Closes and removes everything (`only`: the next process's one call was the removal); then nothing may be left. */
static void tear_down(struct actor *next, bool only)
{
    struct leftovers left;
    const struct kind *kind = run.scene->kind;
    closes(next);
    actor_end(next);
    if (run.victim) {
        closes(run.victim);
        actor_end(run.victim);
    }
    if (run.survivor) {
        closes(run.survivor);
        actor_end(run.survivor);
    }
    run.survivor = run.first = NULL;
    if (!only || kind->leaves) {
        struct actor *remover = actor_start();
        if (kind_can(kind, REMOVE))
            act(remover, REMOVE, "at last");
        if (kind->leaves)
            act(remover, GC, "at last");
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
    uint32_t may = run.ended && scene->what.done_leads ? scene->what.done_leads : scene->what.leads;
    if ((leads & may) == 0)
        wrong("the name leads to %s; it should lead to %s", describe(leads), describe(may));
    check_survivor();
    tear_down(next, run.then % AFTERMATHS == THEN_REMOVE);
}

/* ---- while one stands ------------------------------------------------------------------------------------ */

static bool may_answer(enum act what, int64_t result)
{
    if (run.scene->kind->seat && result == -EADDRINUSE)
        return what <= OPEN || what == REPLACE; /* who has the seat is another one */
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
    default:
        return false;
    }
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
    if (run.scene->what.act != REMOVE && !name_is_there())
        wrong("the name of what the other has open is gone");
    if (run.scene->what.act != REMOVE && !run.scene->kind->seat) {
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

/* It went on and ended its call; `other`, if any, has made or opened one by doing `what`. */
static void check_victim(const struct answer *answer, enum act what, const struct actor *other, uint64_t mark)
{
    enum act act = run.scene->what.act;
    bool removed = what == REMOVE || what == REPLACE, opens = act <= OPEN && answer->result == 0;
    if (!may_answer(act, answer->result) && !(removed && answer->result == -ENOENT))
        wrong("the victim went on, and its call failed");
    if (opens && other && run.scene->kind->seat && other != run.first)
        wrong("the victim and the other are both what only one can be");
    else if (opens && other && !removed && read_mark(run.victim, "the victim") != mark)
        wrong("the victim and the other have the same name open, but two objects");
    if (act == OPEN && answer->result == -ENOENT && !removed && (run.scene->what.leads & TO_NOTHING) == 0)
        wrong("the victim did not find what was there");
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
    if (scene->kind->first && !run.survivor)
        run.first = other; /* it comes to the other end */
    int64_t result = other_acts(other, what);
    bool has = result == 0 && (what == CREATE || what == CREATE_EXCLUSIVE || what == OPEN || what == REPLACE);
    uint64_t mark = has ? read_mark(other, "the other") : 0;
    if (has && mark == 0) {
        mark = SUCCESSOR;
        ask(other, .verb = DO_MARK, .value = mark, .handle = scene->kind->create.handle);
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
        note("victim", act_names[scene->what.act], &answer);
        check_victim(&answer, what, has ? other : NULL, mark);
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

/* What cannot be done to this kind does not follow. */
static bool may_follow(const struct kind *kind, enum mode mode, uint32_t then)
{
    static const enum act calls[AFTERMATHS] = {CREATE, CREATE_EXCLUSIVE, CLOSE, CREATE_OTHER, GC, REMOVE};
    return kind_can(kind, mode == KILL ? calls[then % AFTERMATHS] : meanwhile[then % MEANWHILES]);
}

/* With little time, so many of a scene's places that other scenes have their share. */
#define PLACES_EACH 16

static bool is_bounded(void)
{
    return options.seconds < 1e6 && !options.thorough;
}

static bool is_chosen(const struct places *places, const struct scene *scene, enum mode mode, uint64_t *random)
{
    uint64_t one_in = scene->what.setup == BROKEN ? 8 : mode == STOP ? 3 : 1;
    if (is_bounded() && one_in * PLACES_EACH < places->count)
        one_in = places->count / PLACES_EACH;
    return random_of(random) % one_in == 0;
}

static void run_places(const struct scene *scene, enum mode mode, uint64_t *random)
{
    struct places places;
    uint32_t choices = mode == KILL ? (uint32_t)AFTERMATHS : 2 * (uint32_t)MEANWHILES;
    if (options.one_place) {
        run.place = options.place;
        for (uint32_t then = 0; then < choices; then++) {
            if (may_follow(scene->kind, mode, then) && (options.then < 0 || options.then == (int)then))
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
        for (uint32_t then = 0; options.thorough && then < choices && !time_is_over(); then++) {
            if (may_follow(scene->kind, mode, then))
                one_run(mode, then);
        }
        if (options.thorough || !is_chosen(&places, scene, mode, random))
            continue;
        while (!may_follow(scene->kind, mode, (first + i) % choices))
            first++;
        one_run(mode, (first + i) % choices);
    }
    places_free(&places);
}

/* ---- what a broken creation or removal can look like --------------------------------------------------------- */

/* Two deaths that leave the same on disk are one. */
static uint64_t signature(void)
{
    struct leftovers left;
    uint64_t sum = 0, word = 0;
    leftovers_count(directory, &left);
    for (const char *c = left.text; *c; c++) {
        /* numbers differ from run to run, and so does the order in which files come */
        if (!strchr(" 0123456789abcdef", *c))
            word = (word ^ (unsigned char)*c) * UINT64_C(0x100000001b3);
        if (*c == ' ' || c[1] == '\0') {
            sum += word;
            word = UINT64_C(0xcbf29ce484222325);
        }
    }
    return sum + leftovers_sizes(directory);
}

/* With little time: so many deaths of the breaker's, and so many of what they leave. */
#define DEATHS_EACH 12
#define STATES_EACH 2

static void run_broken(const struct scene *scene, enum mode mode, uint64_t *random)
{
    struct places places;
    uint64_t seen[64];
    uint32_t seen_count = 0, states = 0;
    struct scene breaking = breaking_of(scene);
    if (options.one_broken) {
        run.broken = options.broken;
        run_places(scene, mode, random);
        return;
    }
    if (!survey(&breaking, random, &places)) {
        wrong("the breaker's call could not be surveyed");
        return;
    }
    for (uint32_t i = 0; i < places.count && !time_is_over() && (states < STATES_EACH || !is_bounded()); i++) {
        bool last = states == 0 && i + 1 == places.count;
        if (is_bounded() && !last && random_of(random) % places.count >= DEATHS_EACH)
            continue;
        run.broken = places.list[i];
        break_it(scene);
        uint64_t one = signature();
        leftovers_clear(directory);
        bool known = seen_count == sizeof seen / sizeof seen[0];
        for (uint32_t k = 0; k < seen_count && !known; k++)
            known = seen[k] == one;
        if (known && !last)
            continue;
        if (!known)
            seen[seen_count++] = one;
        bool chosen = options.thorough || random_of(random) % (is_bounded() ? 2 : 4) == 0;
        if (!chosen && !last)
            continue;
        states++;
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
    if (run.scene->what.setup == BROKEN)
        run_broken(run.scene, mode, random);
    else
        run_places(run.scene, mode, random);
}

int main(int argc, char **argv)
{
    list_scenes();
    const struct campaign campaign = {
        .usage = "lifecycle [--long] [--seed N] [--seconds N] [--lanes N] [--scene NAME] [--mode kill|stop] "
                 "[--place STOPS.STEPS] [--broken STOPS.STEPS] [--then N]",
        .scenes = scene_count,
        .modes = 2,
        .name = scene_name,
        .run = run_scene,
        .where = where,
    };
    return campaign_main(argc, argv, &campaign, "killed_or_stopped_anywhere_leaves_nothing_and_harms_nobody");
}
