/*
 * sample.c - one sample: a system between two probes of its raw limit, in two fresh processes.
 *
 * The parent only watches. It forks side 0, which leads, and side 1, which follows, each on a CPU
 * of its own; both go through the same three parts: limit, system, limit. A part is a series of
 * batches. Before each one the leader says how many messages it has; 0 ends the part. The first
 * batches warm up: each is bigger than the last, until one takes `warm_ns` and has been through
 * all memory; they also tell how many messages the timed batch needs. So nothing is touched for
 * the first time, and no page fault happens, while it counts.
 *
 * Virtual CPUs move between host cores that are near or far from each other. Near and far differ
 * by a factor of three, so a sample means something only if both probes agree: that is for the
 * report to decide.
 *
 * A worker that fails leaves a sentence in the shared page and exits; the parent kills the other
 * one. Both die with the parent.
 */
#include "sample.h"

#include "loops.h"
#include "stop.h"

#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define SIDES 2

/* The clock is read once for so many nanoseconds of round trips, so that it costs nothing. */
#define GROUP_NS  5000u
#define TIMES_MAX 65536u
/* In mode `block` both sides are to be asleep when a message comes. */
#define REST_NS 20000u
/* Single round trips for the 99th percentile. */
#define SINGLES   16384u
#define COUNT_MAX (UINT64_C(1) << 32)
/* A rate is taken over at least so many times what the channel holds. */
#define FILLS 4u
/* From this size on each message touches new pages until a channel was filled once. */
#define PAGE 4096u

/* A sample takes a fraction of a second; a busy machine may need longer. */
#define TIMEOUT_NS (30 * UINT64_C(1000000000))
#define WATCH_MS   100

/* What the two workers and their parent share. */
struct control {
    _Alignas(128) _Atomic uint64_t arrived[SIDES][16]; /* barriers passed; a line of its own each */
    /*
     * Messages of the next batch, 0: none. Two, taken in turns: the leader may come with the next
     * one before the follower has read this one, but not with the one after.
     */
    _Alignas(128) _Atomic uint64_t count[2];
    struct bench_sample sample;
    char reason[SIDES][200];
};

/* A worker: everything here is private to it. */
struct worker {
    struct control *control;
    const struct bench_pace *pace;
    int side;
    uint64_t barriers;
    unsigned char *message, *buffer;
    double *times;
};

/* ---- in the workers ------------------------------------------------------------------------- */

static _Noreturn void give_up(struct worker *worker, const char *where, int error)
{
    char *reason = worker->control->reason[worker->side];

    if (error == -EBADMSG)
        snprintf(reason, sizeof worker->control->reason[0],
                 "%s: another message arrived than was sent", where);
    else
        snprintf(reason, sizeof worker->control->reason[0], "%s: %s", where, strerror(-error));
    _exit(EXIT_FAILURE);
}

/* The barrier: goes on when the other side is here, too, and sees what it has stored before. */
static void meet(struct worker *worker)
{
    _Atomic uint64_t *other = worker->control->arrived[!worker->side];
    uint64_t barrier = ++worker->barriers;

    atomic_store_explicit(worker->control->arrived[worker->side], barrier, memory_order_release);
    for (unsigned looks = 1; atomic_load_explicit(other, memory_order_acquire) < barrier; looks++) {
        if (looks % 1024 == 0)
            bench_yield_cpu();
        else
            bench_look_again();
    }
}

/* Side 0 says how many messages the next batch has, and side 1 gets to know. */
static void announce(struct worker *worker, uint64_t count)
{
    _Atomic uint64_t *next = &worker->control->count[(worker->barriers + 1) % 2];

    atomic_store_explicit(next, count, memory_order_relaxed); /* the barrier orders it */
    meet(worker);
}

static uint64_t hear(struct worker *worker)
{
    meet(worker);
    return atomic_load_explicit(&worker->control->count[worker->barriers % 2],
                                memory_order_relaxed);
}

static unsigned char pattern(size_t i)
{
    return (unsigned char)(i * 131 + 7);
}

static const struct bench_loops *loops_of(const struct bench_run *run)
{
    return run->system->loops ? run->system->loops : &bench_calling_loops;
}

/* One batch on this side. */
static void run_batch(struct worker *worker, const struct bench_run *run, struct bench_batch *batch)
{
    const struct bench_loops *loops = loops_of(run);
    int error;

    if (run->setting.what == BENCH_LATENCY)
        error = worker->side == 0 ? loops->ping(run, batch) : loops->pong(run, batch);
    else
        error = worker->side == 0 ? loops->consume(run, batch) : loops->produce(run, batch);
    if (error < 0)
        give_up(worker, run->system->name, error);
    batch->first += batch->count;
}

/* Side 0: has `count` messages moved, and returns how long it took. */
static uint64_t lead_batch(struct worker *worker, const struct bench_run *run,
                           struct bench_batch *batch, uint64_t count)
{
    uint64_t start;

    batch->count = count;
    announce(worker, count);
    start = bench_now();
    run_batch(worker, run, batch);
    return bench_now() - start;
}

/* Every byte of the last message that came. */
static void check_content(struct worker *worker, const struct bench_run *run,
                          const struct bench_batch *batch)
{
    for (size_t i = sizeof batch->first; i + sizeof batch->first < batch->size; i++)
        if (batch->buffer[i] != pattern(i))
            give_up(worker, run->system->name, -EBADMSG);
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double percentile_of_times(struct worker *worker, const struct bench_batch *batch,
                                  double percentile)
{
    uint64_t times = (batch->count + batch->group - 1) / batch->group;

    qsort(worker->times, times, sizeof *worker->times, compare_doubles);
    return worker->times[(uint64_t)(percentile / 100 * (double)(times - 1) + 0.5)];
}

static uint64_t at_most(uint64_t value, uint64_t most)
{
    return value < most ? value : most;
}

/* Side 0: one part. Returns its value; *ret_p99 is left alone unless `ret_p99` is given. */
static double lead_part(struct worker *worker, const struct bench_run *run,
                        struct bench_batch *batch, uint64_t part_ns, double *ret_p99)
{
    uint64_t least = run->setting.size < PAGE ? 0 : 2 * run->setting.depth;
    uint64_t count = 1, ns;
    double value, each;

    /* Without rests, two sides that should sleep may keep each other awake, and nobody knows when. */
    batch->rest_ns = run->setting.mode == BENCH_BLOCK ? REST_NS : 0;
    batch->group = batch->rest_ns ? 1 : COUNT_MAX; /* warming up, nobody looks at the times */
    while ((ns = lead_batch(worker, run, batch, count)) < worker->pace->warm_ns || count < least)
        count *= 2;
    each = (double)ns / (double)count;
    count = at_most((uint64_t)((double)part_ns / each) + 1, COUNT_MAX);

    if (run->setting.what == BENCH_RATE) {
        /* else filling and emptying the channel would be a part of it */
        if (count < FILLS * run->setting.depth)
            count = FILLS * run->setting.depth;
        ns = lead_batch(worker, run, batch, count);
        value = (double)count / (double)ns * 1e9;
    } else {
        batch->group = batch->rest_ns ? 1 : at_most((uint64_t)(GROUP_NS / each) + 1, 1024);
        lead_batch(worker, run, batch, at_most(count, TIMES_MAX * batch->group));
        value = percentile_of_times(worker, batch, 50);
        if (ret_p99 && batch->group > 1) {
            batch->group = 1;
            lead_batch(worker, run, batch, at_most(count, SINGLES));
        }
        if (ret_p99)
            *ret_p99 = percentile_of_times(worker, batch, 99);
    }
    check_content(worker, run, batch);
    announce(worker, 0);
    return value;
}

/* Side 1: one part. */
static void follow_part(struct worker *worker, const struct bench_run *run,
                        struct bench_batch *batch)
{
    while ((batch->count = hear(worker)) > 0)
        run_batch(worker, run, batch);
}

static void join(struct worker *worker, struct bench_run *run)
{
    int error = run->system->join ? run->system->join(run) : 0;

    if (error < 0)
        give_up(worker, run->reason[0] ? run->reason : run->system->name, error);
}

/* Page-aligned and written to, so that neither a fault nor an unlucky alignment is measured. */
static void *private_buffer(struct worker *worker, size_t size)
{
    void *buffer = NULL;
    int error = posix_memalign(&buffer, 4096, size);

    if (error)
        give_up(worker, "memory for messages", -error);
    memset(buffer, 0, size);
    return buffer;
}

static void work(struct worker *worker, struct bench_run *run, struct bench_run *limit)
{
    struct bench_sample *sample = &worker->control->sample;
    struct bench_batch system_batch, limit_batch;
    size_t size = run->setting.size;

    worker->message = private_buffer(worker, size);
    worker->buffer = private_buffer(worker, size);
    worker->times = private_buffer(worker, TIMES_MAX * sizeof *worker->times);
    for (size_t i = 0; i < size; i++)
        worker->message[i] = pattern(i);
    system_batch = (struct bench_batch){
        .size = size, .message = worker->message, .buffer = worker->buffer, .times = worker->times};
    limit_batch = system_batch;
    join(worker, limit);
    join(worker, run);

    if (worker->side == 1) {
        follow_part(worker, limit, &limit_batch);
        follow_part(worker, run, &system_batch);
        follow_part(worker, limit, &limit_batch);
        return;
    }
    sample->limit_before = lead_part(worker, limit, &limit_batch, worker->pace->probe_ns, NULL);
    sample->value = lead_part(worker, run, &system_batch, worker->pace->system_ns, &sample->p99);
    sample->limit_after = lead_part(worker, limit, &limit_batch, worker->pace->probe_ns, NULL);
}

/* ---- in the parent -------------------------------------------------------------------------- */

struct child {
    pid_t pid;  /* 0: there is none (any more) */
    int pidfd;  /* readable when it has ended */
    int status; /* as of waitpid() */
};

static void become_worker(pid_t parent, int cpu)
{
    /* The tool's handlers and its timer are not for workers; both may simply die. */
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    signal(SIGHUP, SIG_DFL);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) /* it died before the line above */
        _exit(EXIT_FAILURE);
    bench_cpu_pin(cpu);
}

static int start_child(struct child *child, struct worker *worker, struct bench_run *run,
                       struct bench_run *limit, int cpu)
{
    pid_t parent = getpid();

    child->pid = fork();
    if (child->pid < 0) {
        child->pid = 0;
        return -errno;
    }
    if (child->pid == 0) {
        become_worker(parent, cpu);
        work(worker, run, limit);
        _exit(EXIT_SUCCESS);
    }
    child->pidfd = (int)syscall(SYS_pidfd_open, child->pid, 0);
    return child->pidfd < 0 ? -errno : 0;
}

static void end_child(struct child *child)
{
    if (child->pid > 0) {
        kill(child->pid, SIGKILL);
        while (waitpid(child->pid, &child->status, 0) < 0 && errno == EINTR)
            ;
    }
    if (child->pidfd >= 0)
        close(child->pidfd);
}

/* Says in run->reason how the child failed; what it said itself goes first. */
static void explain_end(struct bench_run *run, const struct child *child, const char *reason)
{
    if (reason[0])
        snprintf(run->reason, sizeof run->reason, "%s", reason);
    else if (WIFSIGNALED(child->status))
        snprintf(run->reason, sizeof run->reason, "a worker was ended by signal %d (%s)",
                 WTERMSIG(child->status), strsignal(WTERMSIG(child->status)));
    else
        snprintf(run->reason, sizeof run->reason, "a worker ended with exit status %d",
                 WEXITSTATUS(child->status));
}

/* Waits for both to end well; what is wrong with the first that does not decides. */
static int watch(struct child children[SIDES], struct bench_run *run, const struct control *control)
{
    uint64_t deadline = bench_now() + TIMEOUT_NS;

    while (children[0].pid > 0 || children[1].pid > 0) {
        struct pollfd ended[SIDES];

        for (int side = 0; side < SIDES; side++)
            ended[side] =
                (struct pollfd){children[side].pid > 0 ? children[side].pidfd : -1, POLLIN, 0};
        (void)poll(ended, SIDES, WATCH_MS);
        if (yk_stop_signal())
            return -EINTR;
        for (int side = 0; side < SIDES; side++) {
            struct child *child = &children[side];

            if (!(ended[side].revents & POLLIN) ||
                waitpid(child->pid, &child->status, WNOHANG) <= 0)
                continue;
            child->pid = 0;
            if (!WIFEXITED(child->status) || WEXITSTATUS(child->status) != EXIT_SUCCESS) {
                explain_end(run, child, control->reason[side]);
                return -EIO;
            }
        }
        if (bench_now() > deadline) {
            snprintf(run->reason, sizeof run->reason, "no end after %d s, given up",
                     (int)(TIMEOUT_NS / 1000000000));
            return -ETIMEDOUT;
        }
    }
    return 0;
}

int bench_sample_take(struct bench_run *run, struct bench_run *limit, const struct bench_pace *pace,
                      const struct bench_cpus *cpus, struct bench_sample *ret_sample)
{
    struct child children[SIDES] = {{.pidfd = -1}, {.pidfd = -1}};
    struct control *control = bench_map_shared(sizeof *control);
    int error = control ? 0 : -ENOMEM;

    for (int side = 0; side < SIDES && !error; side++) {
        struct worker worker = {.control = control, .pace = pace, .side = side};
        error = start_child(&children[side], &worker, run, limit, cpus->side[side]);
    }
    if (error)
        snprintf(run->reason, sizeof run->reason, "cannot start workers: %s", strerror(-error));
    else
        error = watch(children, run, control);
    for (int side = 0; side < SIDES; side++)
        end_child(&children[side]);
    if (!error)
        *ret_sample = control->sample;
    if (control)
        bench_unmap_shared(control, sizeof *control);
    return error;
}
