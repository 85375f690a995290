/*
 * director.c - starts the processes of a job, lets one die and one stand still, and waits for the
 * end.
 *
 * The director makes the board and the two ports, transient ones: they go with their last user,
 * however that ends. Everybody else finds them by their names. When the director itself dies, the
 * kernel kills its children (PR_SET_PDEATHSIG), and again nothing is left.
 *
 * The drama, in a job that wants it: when a worker reports that it holds lines and waits to be
 * killed, it is killed with SIGKILL, and another worker is started in its place. A third one is
 * stopped with SIGSTOP at whatever instruction it is, the sender is let through its gate, and when
 * the rest have counted half of what was left, the stopped one may go on.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "wordcount.h"

#define MILLISECOND   INT64_C(1000000)
#define PORT_BYTES    ((size_t)64 << 20) /* for all blocks of a port together, about */
#define STOP_AT_LEAST (50 * MILLISECOND)
#define PATIENCE      (2000 * MILLISECOND) /* with a process that was told to end */

enum scene { BEFORE, STOPPED, AFTER };

struct director {
    struct job *job;
    struct outcome *outcome;
    yoke_region *region;
    struct board *board;
    yoke_endpoint *lines, *counts; /* kept open, so that the ports live as long as the job */
    pid_t sender, collector;       /* 0: has ended */
    pid_t *workers;
    enum scene scene;
    unsigned stopped_slot;
    int64_t started_ns, stopped_ns, shown_ns;
    uint64_t counted_at_stop;
    bool done, failed;
};

/* ---- before -------------------------------------------------------------------------------- */

/* All processes of the job, and some dead ones that are not yet cleared away. */
static uint32_t participants(const struct job *job)
{
    return job->workers + 8;
}

/* A port for messages of up to `max_message` bytes, as deep as its share of memory allows. */
static int create_port(yoke_endpoint **ret_port, const char *address, size_t max_message,
                       const struct job *job, uint32_t *ret_depth)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;
    size_t depth;
    int result;

    options.max_message = max_message;
    options.participants = participants(job);
    options.max_deliveries = UINT32_MAX; /* never put a line aside, however many die of it */
    depth = PORT_BYTES / (max_message * options.participants);
    options.depth = depth < 4 ? 4 : depth > 1024 ? 1024 : (uint32_t)depth;
    result = yoke_open(ret_port, address, YOKE_CREATE | YOKE_EXCLUSIVE, &options);
    *ret_depth = options.depth;
    return result < 0 ? fail(address, "yoke_open", result) : 0;
}

static int create_all(struct director *director, const char *name)
{
    struct job *job = director->job;
    struct yoke_region_options options = YOKE_REGION_OPTIONS_INIT;
    uint32_t depth;
    int result;

    snprintf(job->board_name, sizeof job->board_name, "%s-board", name);
    snprintf(job->lines, sizeof job->lines, "port:%s-lines", name);
    snprintf(job->counts, sizeof job->counts, "port:%s-counts", name);
    options.flags = YOKE_EXCLUSIVE;
    options.participants = participants(job);
    result = yoke_region_create(&director->region, job->board_name, sizeof(struct board), &options);
    if (result < 0)
        return fail(job->board_name, "yoke_region_create", result);
    director->board = yoke_region_data(director->region);
    if (create_port(&director->lines, job->lines, job->text->piece_max, job, &depth) != 0 ||
        create_port(&director->counts, job->counts, counts_size_max(job->text->piece_max), job,
                    &depth) != 0)
        return 1;
    job->batch = depth < 8 ? 1 : depth > 256 ? 64 : depth / 4;
    director->workers = calloc(job->workers, sizeof *director->workers);
    return director->workers ? 0 : fail("director", "starting", -ENOMEM);
}

static void close_all(struct director *director)
{
    yoke_close(director->counts);
    yoke_close(director->lines);
    yoke_region_close(director->region);
}

static pid_t start(struct director *director, int (*role)(const struct job *))
{
    pid_t parent = getpid(), pid;

    fflush(NULL);
    pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(1);
        close_all(director); /* the parent's; a role opens what it needs by name */
        _exit(role(director->job));
    }
    if (pid < 0) {
        fail("director", "fork", -errno);
        director->failed = true;
        return 0;
    }
    leftovers_note_pid(pid);
    return pid;
}

static void start_all(struct director *director)
{
    director->started_ns = now_ns();
    director->collector = start(director, collector_main);
    for (unsigned i = 0; i < director->job->workers; i++)
        director->workers[i] = start(director, worker_main);
    director->sender = start(director, sender_main);
}

/* ---- during -------------------------------------------------------------------------------- */

/* Which place among the workers a process has, or -1. */
static int slot_of(const struct director *director, pid_t pid)
{
    for (unsigned i = 0; i < director->job->workers; i++)
        if (director->workers[i] == pid)
            return (int)i;
    return -1;
}

static void role_ended(struct director *director, const char *role, pid_t pid, int status)
{
    if (WIFSIGNALED(status))
        fprintf(stderr, "wordcount: the %s (process %d) was killed by signal %d\n", role, (int)pid,
                WTERMSIG(status));
    if (status != 0)
        director->failed = true;
}

/* A process of ours has ended. A worker that was killed, by whomever, gets a successor. */
static void process_ended(struct director *director, pid_t pid, int status)
{
    int slot = slot_of(director, pid);

    if (pid == director->collector) {
        director->collector = 0;
        director->done = true;
        role_ended(director, "collector", pid, status);
    } else if (pid == director->sender) {
        director->sender = 0;
        role_ended(director, "sender", pid, status);
    } else if (slot >= 0 && WIFSIGNALED(status)) {
        struct board *board = director->board;

        if (pid == atomic_load(&board->victim) && !atomic_load(&board->victim_ready)) {
            atomic_store(&board->victim_holds,
                         0); /* died too early: another one may offer itself */
            atomic_store(&board->victim, 0);
        }
        director->outcome->replaced++;
        director->workers[slot] = start(director, worker_main);
    } else if (slot >= 0) {
        director->workers[slot] = 0;
        director->failed = true; /* it has said why */
    }
}

static void look_who_ended(struct director *director)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        process_ended(director, pid, status);
}

/* Kills the worker that waits for it, and starts another one in its place. Returns that place. */
static unsigned kill_victim(struct director *director)
{
    struct board *board = director->board;
    struct outcome *outcome = director->outcome;
    pid_t victim = atomic_load(&board->victim);
    int slot = slot_of(director, victim);

    outcome->killed = victim;
    outcome->killed_held = atomic_load(&board->victim_holds);
    outcome->killed_sent = atomic_load(&board->victim_sent);
    if (slot < 0)
        return 0; /* somebody else has killed it meanwhile: it has its successor already */
    kill(victim, SIGKILL);
    waitpid(victim, NULL, 0);
    director->workers[slot] = start(director, worker_main);
    return (unsigned)slot;
}

static void stop_worker(struct director *director, unsigned slot)
{
    pid_t pid = director->workers[slot];
    int status = 0;

    director->scene = STOPPED;
    director->stopped_slot = slot;
    if (pid > 0 && kill(pid, SIGSTOP) == 0 && waitpid(pid, &status, WUNTRACED) == pid) {
        if (WIFSTOPPED(status))
            director->outcome->stopped = pid;
        else
            process_ended(director, pid, status);
    }
    director->stopped_ns = now_ns();
    director->counted_at_stop = atomic_load(&director->board->counted);
    yoke_event_notify(director->region, &director->board->gate);
}

static bool stopped_long_enough(const struct director *director)
{
    uint64_t gate = job_gate(director->job);
    uint64_t behind_gate = gate < director->job->total ? director->job->total - gate : 0;
    uint64_t counted = atomic_load(&director->board->counted) - director->counted_at_stop;

    return counted >= behind_gate / 2 && now_ns() - director->stopped_ns >= STOP_AT_LEAST;
}

static void let_go_on(struct director *director)
{
    struct outcome *outcome = director->outcome;

    outcome->counted_meanwhile = atomic_load(&director->board->counted) - director->counted_at_stop;
    outcome->stopped_seconds = (double)(now_ns() - director->stopped_ns) / 1e9;
    if (director->workers[director->stopped_slot] == outcome->stopped)
        kill(outcome->stopped, SIGCONT);
    director->scene = AFTER;
}

static void play(struct director *director)
{
    if (director->scene == BEFORE && atomic_load(&director->board->victim_ready)) {
        unsigned slot = kill_victim(director);

        stop_worker(director, (slot + 1) % director->job->workers);
    } else if (director->scene == STOPPED && stopped_long_enough(director)) {
        let_go_on(director);
    }
}

static void show_progress(struct director *director)
{
    uint64_t counted = atomic_load(&director->board->counted);
    int64_t now = now_ns();
    char done[32], all[32], rate[32];

    if (!director->job->progress || now - director->shown_ns < 100 * MILLISECOND)
        return;
    director->shown_ns = now;
    grouped(done, counted);
    grouped(all, director->job->total);
    grouped(rate, (uint64_t)((double)counted * 1e9 / (double)(now - director->started_ns)));
    fprintf(stderr, "\rwordcount: %s of %s lines, %s lines/s\033[K", done, all, rate);
}

static void watch(struct director *director)
{
    uint64_t seen = 0;

    while (!director->failed && !job_over && (!director->done || director->scene == STOPPED)) {
        /* The time-out is for what nobody notifies: deaths, progress, the end of a stop. */
        yoke_event_wait(director->region, &director->board->news, &seen,
                        (director->scene == STOPPED ? 1 : 20) * MILLISECOND);
        look_who_ended(director);
        play(director);
        show_progress(director);
    }
    if (director->shown_ns)
        fputs("\r\033[K", stderr);
}

/* ---- after --------------------------------------------------------------------------------- */

static void end_process(pid_t pid, int64_t deadline)
{
    if (pid <= 0)
        return;
    while (waitpid(pid, NULL, WNOHANG) == 0) {
        struct timespec moment = {0, MILLISECOND};

        if (now_ns() > deadline)
            kill(pid, SIGKILL);
        nanosleep(&moment, NULL);
    }
}

static void tell_to_end(pid_t pid)
{
    if (pid > 0 && kill(pid, SIGTERM) == 0)
        kill(pid, SIGCONT); /* a stopped process could not hear it */
}

static void end_all(struct director *director)
{
    int64_t deadline = now_ns() + PATIENCE;
    unsigned workers = director->workers ? director->job->workers : 0;

    tell_to_end(director->sender);
    tell_to_end(director->collector);
    for (unsigned i = 0; i < workers; i++)
        tell_to_end(director->workers[i]);
    end_process(director->sender, deadline);
    end_process(director->collector, deadline);
    for (unsigned i = 0; i < workers; i++)
        end_process(director->workers[i], deadline);
}

static void note_outcome(struct director *director)
{
    const struct board *board = director->board;
    struct outcome *outcome = director->outcome;

    outcome->lines = atomic_load(&board->counted);
    outcome->words = board->words;
    outcome->distinct = board->distinct;
    outcome->redelivered = board->redelivered;
    outcome->ignored = board->ignored;
    outcome->seconds = (double)(board->ended_ns - director->started_ns) / 1e9;
}

int job_run(struct job *job, const char *name, struct outcome *ret_outcome)
{
    struct director director = {.job = job, .outcome = ret_outcome};
    int status = 1;

    *ret_outcome = (struct outcome){0};
    leftovers_note_pid(getpid());
    if (create_all(&director, name) == 0) {
        start_all(&director);
        watch(&director);
        status = job_over ? 130 : director.failed;
    }
    end_all(&director);
    if (status == 0)
        note_outcome(&director);
    close_all(&director);
    free(director.workers);
    return status;
}
