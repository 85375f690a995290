/*
 * worker.c - the processes that do the work: started, pinned, kept in step, watched, ended.
 */
#include "worker.h"

#include "loops.h"
#include "stop.h"

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define WATCH_MS 100

/* ---- in a worker ---------------------------------------------------------------------------- */

_Noreturn void bench_worker_give_up(struct bench_worker *worker, const char *where, int error)
{
    char *reason = worker->shared->reason[worker->side];

    if (error == -EBADMSG)
        snprintf(reason, sizeof worker->shared->reason[0],
                 "%s: another message arrived than was sent", where);
    else
        snprintf(reason, sizeof worker->shared->reason[0], "%s: %s", where, strerror(-error));
    _exit(EXIT_FAILURE);
}

void bench_worker_meet(struct bench_worker *worker)
{
    _Atomic uint64_t *other = worker->shared->arrived[!worker->side];
    uint64_t barrier = ++worker->barriers;

    atomic_store_explicit(worker->shared->arrived[worker->side], barrier, memory_order_release);
    for (unsigned looks = 1; atomic_load_explicit(other, memory_order_acquire) < barrier; looks++) {
        if (looks % 1024 == 0)
            bench_yield_cpu();
        else
            bench_look_again();
    }
}

void bench_worker_announce(struct bench_worker *worker, uint64_t count)
{
    _Atomic uint64_t *next = &worker->shared->count[(worker->barriers + 1) % 2];

    atomic_store_explicit(next, count, memory_order_relaxed); /* the barrier orders it */
    bench_worker_meet(worker);
}

uint64_t bench_worker_hear(struct bench_worker *worker)
{
    bench_worker_meet(worker);
    return atomic_load_explicit(&worker->shared->count[worker->barriers % 2], memory_order_relaxed);
}

static unsigned char pattern(size_t i)
{
    return (unsigned char)(i * 131 + 7);
}

static const struct bench_loops *loops_of(const struct bench_run *run)
{
    return run->system->loops ? run->system->loops : &bench_calling_loops;
}

void bench_worker_run(struct bench_worker *worker, const struct bench_run *run,
                      struct bench_batch *batch)
{
    const struct bench_loops *loops = loops_of(run);
    int error = 0;

    if (run->setting.what == BENCH_LATENCY)
        error = worker->side == 0 ? loops->ping(run, batch) : loops->pong(run, batch);
    else if (run->setting.what == BENCH_RATE)
        error = worker->side == 0 ? loops->consume(run, batch) : loops->produce(run, batch);
    else if (worker->side == 0)
        error = bench_reopen(run, batch);
    if (error < 0)
        bench_worker_give_up(worker, run->system->name, error);
    batch->first += batch->count;
}

void bench_worker_check(struct bench_worker *worker, const struct bench_run *run,
                        const struct bench_batch *batch)
{
    if (run->setting.what == BENCH_OPEN || run->system->in_place)
        return;
    for (size_t i = sizeof batch->first; i + sizeof batch->first < batch->size; i++)
        if (batch->buffer[i] != pattern(i))
            bench_worker_give_up(worker, run->system->name, -EBADMSG);
}

void bench_worker_join(struct bench_worker *worker, struct bench_run *run)
{
    int error;

    run->side = worker->side;
    error = run->system->join ? run->system->join(run) : 0;
    if (error < 0)
        bench_worker_give_up(worker, run->reason[0] ? run->reason : run->system->name, error);
}

void *bench_worker_memory(struct bench_worker *worker, size_t size)
{
    void *buffer = NULL;
    int error = posix_memalign(&buffer, 4096, size);

    if (error)
        bench_worker_give_up(worker, "memory for messages", -error);
    memset(buffer, 0, size);
    return buffer;
}

void bench_worker_prepare(struct bench_worker *worker, size_t size)
{
    worker->message = bench_worker_memory(worker, size);
    worker->buffer = bench_worker_memory(worker, size);
    for (size_t i = 0; i < size; i++)
        worker->message[i] = pattern(i);
}

struct bench_batch bench_worker_batch(const struct bench_worker *worker, size_t size)
{
    return (struct bench_batch){.size = size, .message = worker->message, .buffer = worker->buffer};
}

/* ---- in the parent -------------------------------------------------------------------------- */

/*
 * Under `chrt -f` a worker that spins leaves its CPU to nobody of its own priority, so whoever must
 * end it would never run: each generation stands one below the one that started it.
 */
static void step_below_parent(void)
{
    struct sched_param now, below = {0};
    int policy = sched_getscheduler(0);

    if ((policy != SCHED_FIFO && policy != SCHED_RR) || sched_getparam(0, &now) < 0)
        return;
    below.sched_priority = now.sched_priority - 1;
    (void)sched_setscheduler(0, below.sched_priority > 0 ? policy : SCHED_OTHER, &below);
}

void bench_worker_take_turns(void)
{
    (void)sched_setscheduler(0, SCHED_OTHER, &(struct sched_param){0});
}

static void become_worker(pid_t parent, int cpu)
{
    /* The tool's handlers and its timer are not for workers; both may simply die. */
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    signal(SIGHUP, SIG_DFL);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    /* It died before the line above; or it is in another PID namespace. */
    if (getppid() != parent && getppid() != 0)
        _exit(EXIT_FAILURE);
    bench_cpu_pin(cpu);
    step_below_parent();
}

int bench_child_start(struct bench_child *child, int cpu, void (*work)(void *), void *argument)
{
    pid_t parent = getpid();

    child->pid = fork();
    if (child->pid < 0) {
        child->pid = 0;
        return -errno;
    }
    if (child->pid == 0) {
        become_worker(parent, cpu);
        work(argument);
        _exit(EXIT_SUCCESS);
    }
    child->pidfd = (int)syscall(SYS_pidfd_open, child->pid, 0);
    return child->pidfd < 0 ? -errno : 0;
}

/* Who was killed must run once more to die, and it may share its CPU with one of the same priority. */
static void lend_priority(pid_t pid)
{
    struct sched_param mine;
    int policy = sched_getscheduler(0);

    if ((policy == SCHED_FIFO || policy == SCHED_RR) && sched_getparam(0, &mine) == 0)
        (void)sched_setscheduler(pid, policy, &mine);
}

void bench_child_end(struct bench_child *child)
{
    if (child->pid > 0) {
        kill(child->pid, SIGKILL);
        lend_priority(child->pid);
        while (waitpid(child->pid, &child->status, 0) < 0 && errno == EINTR)
            ;
        child->pid = 0;
    }
    if (child->pidfd >= 0)
        close(child->pidfd);
    child->pidfd = -1;
}

void bench_child_explain(struct bench_run *run, const struct bench_child *child, const char *reason)
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

int bench_children_watch(struct bench_child children[BENCH_SIDES], struct bench_run *run,
                         const struct bench_shared *shared, uint64_t most_ns)
{
    uint64_t deadline = bench_now() + most_ns;

    while (children[0].pid > 0 || children[1].pid > 0) {
        struct pollfd ended[BENCH_SIDES];

        for (int side = 0; side < BENCH_SIDES; side++)
            ended[side] =
                (struct pollfd){children[side].pid > 0 ? children[side].pidfd : -1, POLLIN, 0};
        (void)poll(ended, BENCH_SIDES, WATCH_MS);
        if (yk_stop_signal())
            return -EINTR;
        for (int side = 0; side < BENCH_SIDES; side++) {
            struct bench_child *child = &children[side];

            if (!(ended[side].revents & POLLIN) ||
                waitpid(child->pid, &child->status, WNOHANG) <= 0)
                continue;
            child->pid = 0;
            if (!WIFEXITED(child->status) || WEXITSTATUS(child->status) != EXIT_SUCCESS) {
                bench_child_explain(run, child, shared->reason[side]);
                return -EIO;
            }
        }
        if (bench_now() > deadline) {
            snprintf(run->reason, sizeof run->reason, "no end after %.0f s, given up",
                     (double)most_ns / 1e9);
            return -ETIMEDOUT;
        }
    }
    return 0;
}
