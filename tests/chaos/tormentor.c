/*
 * tormentor.c - see tormentor.h.
 *
 * Time is counted by the supervisor's own turns, 20 ms at most for each: on a machine that stands still, or has
 * other things to do, its clock stands still, too. Of a process that has not moved for long the kernel is then
 * asked whether it sleeps, or ran all that time; one that just does not get a processor is not stuck.
 */
#include "tormentor.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ledger.h"
#include "worker.h"

#define TURN_MOST  (20 * MS)
#define LOOK_EVERY (40 * MS)
#define CPU_MOST   (WEDGE_NS / 4)

/* What the supervisor knows of a seat. */
struct watch {
    uint64_t steps;
    int64_t since; /* on the supervisor's clock */
    int64_t cpu_ns;
    bool strikes, stopped, doomed;
    uint32_t resumes_at, starts_at; /* number of an action */
};

static struct watch watches[SEATS_MAX];
static struct deeds *counts;
static uint64_t random_state;
static uint32_t action;
static int64_t clock_ns, turned_ns, looked_ns;
static bool stuck;

static uint32_t choose(uint32_t n)
{
    return (uint32_t)(random_next(&random_state) >> 33) % n;
}

/* ---- starting and burying ---- */

static void start(uint32_t number)
{
    struct seat *seat = &shared->seat[number];
    atomic_fetch_add(&seat->life, 1);
    pid_t pid = fork();
    if (pid == 0)
        worker_run(number);
    if (pid < 0) {
        atomic_fetch_add(&seat->life, 1);
        if (errno != EAGAIN) /* no more processes are allowed here just now: later, perhaps */
            fault("fork: %s", strerror(errno));
        return;
    }
    atomic_store(&seat->pid, pid);
    watches[number] = (struct watch){.since = clock_ns};
    counts->starts++;
}

static void bury(uint32_t number, int status)
{
    struct seat *seat = &shared->seat[number];
    struct watch *watch = &watches[number];
    uint32_t life = atomic_load(&seat->life);
    bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && watch->doomed;
    if (!killed && status != 0)
        fault("seat %u (role %d) ended with status 0x%x, inside of %u", number, (int)seat->role,
              (unsigned)status, atomic_load(&seat->verb));
    if (life & 1)
        atomic_store(&seat->life, life + 1);
    ledger_bury(number);
    counts->kills += killed;
    counts->left += !killed;
    counts->forks += atomic_exchange(&seat->forked, 0);
    atomic_store(&seat->verb, NOTHING);
    *watch = (struct watch){.starts_at = watch->starts_at};
    atomic_store(&seat->pid, 0);
}

static void bury_pid(pid_t pid, int status)
{
    for (uint32_t i = 1; i < shared->seats; i++)
        if (atomic_load(&shared->seat[i].pid) == pid) {
            bury(i, status);
            return;
        }
    /* else one between a parent and its child, which only forks */
}

/* Those that ended by themselves. False: there is no child at all. */
static bool bury_some(void)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        bury_pid(pid, status);
    return pid == 0;
}

/* Doomed before it is killed. */
static void doom(uint32_t number)
{
    struct seat *seat = &shared->seat[number];
    uint32_t life = atomic_load(&seat->life);
    watches[number].doomed = true;
    if (life & 1)
        atomic_compare_exchange_strong(&seat->life, &life, life + 1);
    kill(atomic_load(&seat->pid), SIGKILL);
}

/* A forked one becomes ours only when the one between is gone. */
static int wait_for_end(pid_t pid)
{
    int status = 0;
    while (waitpid(pid, &status, 0) < 0)
        nap(MS / 10);
    return status;
}

/* Those that are doomed are dead and buried when this returns. */
static void bury_doomed(void)
{
    for (uint32_t i = 1; i < shared->seats; i++) {
        pid_t pid = atomic_load(&shared->seat[i].pid);
        if (pid != 0 && watches[i].doomed)
            bury(i, wait_for_end(pid));
    }
}

static bool is_there(uint32_t number)
{
    return atomic_load(&shared->seat[number].pid) != 0;
}

static bool receives(enum role role)
{
    return role == PORT_RECEIVER || role == PARKED_RECEIVER || role == LINK_PEER ||
           role == STREAM_READER || role == INBOX || role == CITIZEN;
}

static void start_absent(bool receivers_only)
{
    for (uint32_t i = 1; i < shared->seats; i++) {
        const struct seat *seat = &shared->seat[i];
        if (!is_there(i) && !seat->is_child && (int32_t)(action - watches[i].starts_at) >= 0 &&
            (!receivers_only || receives(seat->role)))
            start(i);
    }
}

/* ---- the watch ---- */

static void turn(void)
{
    int64_t now = now_ns(), passed = now - turned_ns;
    clock_ns += passed < TURN_MOST ? passed : TURN_MOST;
    turned_ns = now;
}

/* Its state's letter, and how long it ran. */
static char ask_kernel(pid_t pid, int64_t *ret_cpu_ns, char *ret_where, size_t size)
{
    char path[64], text[600] = "", *end, state = '?';
    unsigned long user = 0, system = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *file = fopen(path, "re");
    if (file && fgets(text, sizeof text, file) && (end = strrchr(text, ')')))
        sscanf(end + 1, " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &state, &user,
               &system);
    if (file)
        fclose(file);
    *ret_cpu_ns = (int64_t)(user + system) * (1000000000 / sysconf(_SC_CLK_TCK));
    snprintf(path, sizeof path, "/proc/%d/wchan", pid);
    file = fopen(path, "re");
    if (!file || !fgets(ret_where, (int)size, file))
        snprintf(ret_where, size, "?");
    if (file)
        fclose(file);
    return state;
}

static void suspect(uint32_t number)
{
    struct seat *seat = &shared->seat[number];
    struct watch *watch = &watches[number];
    char where[64];
    int64_t cpu_ns;
    char state = ask_kernel(atomic_load(&seat->pid), &cpu_ns, where, sizeof where);
    bool sleeps = state == 'S' || state == 'D', ran = cpu_ns - watch->cpu_ns > CPU_MOST;
    if (watch->strikes && (sleeps || ran)) {
        fault(
            "seat %u (role %d, object %u) is stuck: inside of %u for %lld s, state %c in %s, %lld ms of CPU",
            number, (int)seat->role, seat->object, atomic_load(&seat->verb),
            (long long)(WEDGE_NS / 1000000000), state, where, (long long)(cpu_ns / MS));
        stuck = true;
    }
    if (!watch->strikes)
        watch->cpu_ns = cpu_ns;
    watch->strikes = true;
    watch->since = clock_ns - WEDGE_NS / 2;
}

/* Links whose both ends wait, since nobody sent while all was hushed. */
static void poke(const struct seat *seat)
{
    if (seat->role == LINK_PEER && atomic_load(&seat->verb) == AWAITING &&
        atomic_load(&shared->phase) == RUN)
        kill(atomic_load(&seat->pid), SIGUSR1);
}

static void watch_all(void)
{
    uint32_t attached = 0;
    turn();
    if (clock_ns - looked_ns < LOOK_EVERY)
        return;
    looked_ns = clock_ns;
    for (uint32_t i = 1; i < shared->seats; i++) {
        const struct seat *seat = &shared->seat[i];
        struct watch *watch = &watches[i];
        uint64_t steps = atomic_load(&seat->steps);
        attached += is_living(i, atomic_load(&seat->attached));
        if (!is_there(i) || watch->stopped || steps != watch->steps ||
            atomic_load(&seat->verb) >= IDLE) {
            if (is_there(i) && !watch->stopped && steps == watch->steps)
                poke(seat);
            watch->steps = steps;
            watch->since = clock_ns;
            watch->strikes = false;
        } else if (clock_ns - watch->since > WEDGE_NS) {
            suspect(i);
        }
    }
    if (attached > counts->attached_most)
        counts->attached_most = attached;
}

/* ---- deeds ---- */

static void resume(uint32_t number)
{
    if (watches[number].stopped && is_there(number))
        kill(atomic_load(&shared->seat[number].pid), SIGCONT);
    watches[number].stopped = false;
    watches[number].since = clock_ns;
}

static void resume_due(bool all)
{
    for (uint32_t i = 1; i < shared->seats; i++)
        if (watches[i].stopped && (all || (int32_t)(action - watches[i].resumes_at) >= 0))
            resume(i);
}

static void stop(uint32_t number)
{
    kill(atomic_load(&shared->seat[number].pid), SIGSTOP);
    watches[number].stopped = true;
    watches[number].resumes_at = action + 1 + choose(12);
    counts->stops++;
}

/* Often one that is inside of a call. */
static uint32_t choose_victim(void)
{
    uint32_t number = 0, tries = choose(4) ? 12 : 1;
    for (uint32_t i = 0; i < tries; i++) {
        uint32_t other = 1 + choose(shared->seats - 1);
        if (!is_there(other) || shared->seat[other].role == STEADY || watches[other].doomed)
            continue;
        number = other;
        if (atomic_load(&shared->seat[other].verb) < IDLE)
            break;
    }
    return number;
}

static void act(uint32_t at_once)
{
    uint32_t number = choose_victim(), what = choose(20);
    if (number && what < 3 && !watches[number].stopped) {
        stop(number);
        return;
    }
    for (uint32_t count = 1 + choose(at_once); number && count > 0;
         count--, number = choose_victim()) {
        doom(number);
        watches[number].starts_at = what < 5 ? action + choose(16) : action;
    }
    bury_doomed();
}

/* What all do that could receive it. */
static void say_who_receives(uint32_t flow)
{
    char where[64];
    int64_t cpu_ns;
    for (uint32_t i = 1; i < shared->seats; i++) {
        const struct seat *seat = &shared->seat[i];
        pid_t pid = atomic_load(&seat->pid);
        if (!receives(seat->role) || atomic_load(&seat->from) != flow)
            continue;
        char state = ask_kernel(pid, &cpu_ns, where, sizeof where);
        fprintf(stderr,
                "#   seat %u: process %d, life %u, inside of %u, step %llu, state %c in %s\n", i,
                pid, atomic_load(&seat->life), atomic_load(&seat->verb),
                (unsigned long long)atomic_load(&seat->steps), state, where);
    }
}

/* Waits until all that was sent has arrived: what is awake must get it, nobody else moves. */
static void let_arrive(bool receivers_only)
{
    char text[300];
    uint32_t flow;
    int64_t begun = clock_ns;
    for (uint32_t looks = 0; !ledger_settled(text, sizeof text, &flow); looks++) {
        bury_some();
        start_absent(receivers_only);
        watch_all();
        if (clock_ns - begun > WEDGE_NS && !stuck) {
            fault("nothing arrives any more: %s", text);
            say_who_receives(flow);
            if (getenv("CHAOS_HALT"))
                pause(); /* to be looked at */
            stuck = true;
        }
        if (stuck)
            return;
        nap(looks < 20 ? MS / 10 : 2 * MS);
    }
}

/* Nobody is stopped, or stays away. */
static void all_come(enum phase phase)
{
    atomic_store(&shared->phase, phase);
    resume_due(true);
    for (uint32_t i = 1; i < shared->seats; i++)
        watches[i].starts_at = action;
}

static void hush(void)
{
    all_come(HUSH);
    start_absent(false);
    let_arrive(false);
    atomic_store(&shared->phase, RUN);
    counts->hushes++;
}

static void gather(void)
{
    int64_t begun = clock_ns;
    for (uint32_t all = shared->seats - 1; counts->attached_most < all && !stuck;) {
        if (clock_ns - begun > 10 * WEDGE_NS) {
            fault("at most %llu of %u processes were there at once: may this user have so many?",
                  (unsigned long long)counts->attached_most, all);
            stuck = true;
        }
        bury_some();
        start_absent(false);
        watch_all();
        nap(5 * MS);
    }
}

/* ---- the end ---- */

static bool any_left(bool (*is_meant)(enum role role))
{
    for (uint32_t i = 1; i < shared->seats; i++)
        if (is_there(i) && is_meant(shared->seat[i].role))
            return true;
    return false;
}

static bool is_sender(enum role role)
{
    return !receives(role);
}

static bool is_reader(enum role role)
{
    return role == STREAM_READER;
}

/* Senders leave, and what they sent arrives; readers of streams leave by themselves, at the end. */
static void end_gently(void)
{
    int64_t told = 0;
    all_come(FINISH);
    while (any_left(is_sender) && !stuck) {
        bury_some();
        start_absent(true);
        watch_all();
        nap(MS);
    }
    let_arrive(true);
    int64_t begun = clock_ns;
    while (any_left(is_reader) && !stuck) {
        if (told == 0 ||
            clock_ns - told > 1000 * MS) { /* whoever came meanwhile waits for the next end */
            world_end_streams();
            told = clock_ns;
        }
        bury_some();
        watch_all();
        if (clock_ns - begun > WEDGE_NS) {
            fault("all writers are gone, and a reader of a stream is not told");
            stuck = true;
        }
        nap(MS);
    }
}

static void end_all(void)
{
    atomic_store(&shared->phase, STOP);
    resume_due(true);
    while (bury_some()) {
        for (uint32_t i = 1; i < shared->seats; i++)
            if (is_there(i) && choose(2) == 0) /* the others may leave by themselves meanwhile */
                doom(i);
        bury_doomed();
        turn();
        nap(MS / 2);
    }
}

void torment(const struct torment *plan, struct deeds *deeds)
{
    memset(watches, 0, sizeof watches);
    counts = deeds;
    random_state = plan->seed;
    action = 0;
    stuck = false;
    turned_ns = now_ns();
    looked_ns = clock_ns;
    atomic_store(&shared->phase, RUN);
    start_absent(false);
    if (plan->gather)
        gather();
    for (action = 1; action <= plan->actions && !stuck; action++) {
        nap(plan->gap_ns / 2 + choose((uint32_t)plan->gap_ns));
        bury_some();
        act(plan->at_once);
        resume_due(false);
        start_absent(false);
        watch_all();
        if (plan->hushes && choose(plan->hushes) == 0)
            hush();
    }
    if (!plan->abrupt && !stuck)
        end_gently();
    end_all();
}
