/*
 * calls.c - how many system calls a message takes, counted with ptrace, which needs no rights
 * beyond those over one's own children.
 *
 * Both workers are traced, with all threads that they start. The kernel stops a traced thread at
 * each system call, so none is missed; what counts is what comes while the worker says that it
 * moves messages. These stops make a call many times as long as it is otherwise: a side that
 * finds nothing and tries again does so less often than it would, and one that could sleep does so
 * more often. So nothing is timed here, and figures of systems that poll the kernel are rough.
 *
 * Where ptrace is forbidden (yama, seccomp filters of containers, a debugger that is there
 * already), nothing is counted and the reason is said.
 */
#include "calls.h"

#include "loops.h"
#include "stop.h"
#include "worker.h"

#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>

/* glibc's <sys/ptrace.h> and the kernel's can not both be included; this is what is needed. */
#ifndef PTRACE_SYSCALL_INFO_ENTRY
#define PTRACE_SYSCALL_INFO_ENTRY 1
#endif

#define REST_NS        20000u /* as in sample.c: unless it spins the other side is to be asleep */
#define ROUND_TRIPS    200u
#define MESSAGES_LEAST 256u
#define FILLS          3u
/* A run takes some 20 ms; it is given up after this. */
#define TIMEOUT_S 4

struct control {
    struct bench_shared shared;
    _Atomic uint32_t traced;                /* 1: both are, they may begin */
    _Atomic uint32_t counting[BENCH_SIDES]; /* written by the worker */
};

struct task {
    struct bench_worker worker;
    struct control *control;
    struct bench_run *run;
};

/* Where the parent is with its tracing. */
struct trace {
    const struct control *control;
    struct bench_child *children;
    int running; /* workers that have not ended */
    bool failed;
    uint64_t calls, futex_calls, futex_wakes;
};

/* ---- in the workers ------------------------------------------------------------------------- */

static uint64_t messages_for(const struct bench_setting *setting)
{
    uint64_t count = FILLS * (uint64_t)setting->depth;

    if (setting->what == BENCH_LATENCY)
        return ROUND_TRIPS;
    return count > MESSAGES_LEAST ? count : MESSAGES_LEAST;
}

static void work(void *argument)
{
    struct task *task = argument;
    struct bench_worker *worker = &task->worker;
    const struct bench_setting *setting = &task->run->setting;
    _Atomic uint32_t *counting = &task->control->counting[worker->side];
    struct bench_batch batch;

    while (!atomic_load(&task->control->traced))
        bench_yield_cpu();
    bench_worker_prepare(worker, setting->size);
    bench_worker_join(worker, task->run);
    batch = bench_worker_batch(worker, setting->size);
    batch.count = messages_for(setting);
    batch.times = bench_worker_memory(worker, batch.count * sizeof *batch.times);
    batch.group = 1;
    batch.rest_ns = setting->what == BENCH_LATENCY && setting->mode != BENCH_SPIN ? REST_NS : 0;

    /* Twice: what happens at the first messages only does not count. */
    for (int turn = 0; turn < 2; turn++) {
        bench_worker_meet(worker);
        atomic_store(counting, (uint32_t)turn);
        bench_worker_run(worker, task->run, &batch);
        atomic_store(counting, 0);
    }
    bench_worker_meet(worker);
}

/* ---- in the parent: tracing ----------------------------------------------------------------- */

/* Whether what this thread does counts; of a worker's further threads, what either side does. */
static bool is_counting(const struct trace *trace, pid_t thread)
{
    bool counting[BENCH_SIDES];

    for (int side = 0; side < BENCH_SIDES; side++) {
        counting[side] = atomic_load(&trace->control->counting[side]) != 0;
        if (trace->children[side].pid == thread)
            return counting[side];
    }
    return counting[0] || counting[1];
}

static void note_call(struct trace *trace, pid_t thread)
{
    struct __ptrace_syscall_info info = {0};
    void *size = (void *)sizeof info; /* NOLINT: ptrace() takes it as a pointer */

    /* Not to be had when it was killed just now; then there is nothing to note. */
    if (ptrace(PTRACE_GET_SYSCALL_INFO, thread, size, &info) < 0 ||
        info.op != PTRACE_SYSCALL_INFO_ENTRY || !is_counting(trace, thread))
        return;
    trace->calls++;
    if (info.entry.nr == SYS_futex) {
        trace->futex_calls++;
        trace->futex_wakes += ((int)info.entry.args[1] & FUTEX_CMD_MASK) == FUTEX_WAKE;
    }
}

static void note_end(struct trace *trace, pid_t pid, int status)
{
    for (int side = 0; side < BENCH_SIDES; side++) {
        if (trace->children[side].pid != pid)
            continue;
        trace->children[side].pid = 0;
        trace->running--;
        trace->failed |= !WIFEXITED(status) || WEXITSTATUS(status) != EXIT_SUCCESS;
    }
}

/* Something has stopped: lets it go on, with the signal that it was stopped for. */
static void go_on(struct trace *trace, pid_t thread, int status)
{
    int signal = WSTOPSIG(status);

    if (signal == (SIGTRAP | 0x80))
        note_call(trace, thread);
    if ((signal & 0x7f) == SIGTRAP || status >> 16 != 0) /* ptrace's own stops */
        signal = 0;
    ptrace(PTRACE_SYSCALL, thread, NULL, (void *)(intptr_t)signal); /* NOLINT */
}

static int trace_to_end(struct trace *trace)
{
    while (trace->running > 0 && !trace->failed) {
        int status;
        pid_t pid = waitpid(-1, &status, __WALL);

        if (pid < 0)
            return yk_stop_signal() || errno != EINTR ? -errno : -ETIMEDOUT;
        if (WIFSTOPPED(status))
            go_on(trace, pid, status);
        else
            note_end(trace, pid, status);
    }
    return trace->failed ? -EIO : 0;
}

static int seize(const struct bench_child *child)
{
    const long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL;

    if (ptrace(PTRACE_SEIZE, child->pid, NULL, (void *)options) < 0 || /* NOLINT */
        ptrace(PTRACE_INTERRUPT, child->pid, NULL, NULL) < 0)
        return -errno;
    return 0;
}

/* Ends a waitpid() that takes too long: yk_stop_install() has given SIGALRM its handler. */
static void set_alarm(time_t seconds)
{
    const struct itimerval alarm = {.it_interval = {0, seconds ? 100000 : 0},
                                    .it_value = {seconds, 0}};

    /* Not while it keeps saying that the user wants an end (stop.c). */
    if (!yk_stop_signal())
        setitimer(ITIMER_REAL, &alarm, NULL);
}

static int trace_workers(struct control *control, struct bench_child children[BENCH_SIDES],
                         struct trace *trace)
{
    int error = 0;

    *trace = (struct trace){.control = control, .children = children, .running = BENCH_SIDES};
    set_alarm(TIMEOUT_S);
    for (int side = 0; side < BENCH_SIDES && !error; side++)
        error = seize(&children[side]);
    if (!error) {
        atomic_store(&control->traced, 1);
        error = trace_to_end(trace);
    }
    set_alarm(0);
    return yk_stop_signal() ? -EINTR : error;
}

/*
 * A traced thread that was killed must be waited for by its tracer, or its process never ends. The
 * tool has no other children by now.
 */
static void end_traced(struct bench_child children[BENCH_SIDES])
{
    for (int side = 0; side < BENCH_SIDES; side++)
        if (children[side].pid > 0)
            kill(children[side].pid, SIGKILL);
    while (waitpid(-1, NULL, __WALL) > 0 || errno == EINTR)
        ;
    for (int side = 0; side < BENCH_SIDES; side++) {
        children[side].pid = 0;
        bench_child_end(&children[side]);
    }
}

/* ---- in the parent: a run ------------------------------------------------------------------- */

static void explain(struct bench_run *run, const struct control *control, int error)
{
    for (int side = 0; side < BENCH_SIDES && !run->reason[0]; side++)
        snprintf(run->reason, sizeof run->reason, "%s", control->shared.reason[side]);
    if (run->reason[0])
        return;
    if (error == -EPERM)
        snprintf(run->reason, sizeof run->reason, "ptrace is forbidden here");
    else if (error == -ETIMEDOUT)
        snprintf(run->reason, sizeof run->reason, "no end after %d s, given up", TIMEOUT_S);
    else
        snprintf(run->reason, sizeof run->reason, "tracing: %s", strerror(-error));
}

static int count_in(struct control *control, struct bench_run *run, const struct bench_cpus *cpus,
                    struct trace *trace)
{
    struct bench_child children[BENCH_SIDES] = {BENCH_NO_CHILD, BENCH_NO_CHILD};
    int error = 0;

    for (int side = 0; side < BENCH_SIDES && !error; side++) {
        struct task task = {
            .worker = {.shared = &control->shared, .side = side}, .control = control, .run = run};
        error = bench_child_start(&children[side], cpus->side[side], work, &task);
    }
    if (!error)
        error = trace_workers(control, children, trace);
    end_traced(children);
    if (error)
        explain(run, control, error);
    return error;
}

int bench_calls_count(struct bench_run *run, const struct bench_cpus *cpus,
                      struct bench_calls *ret_calls)
{
    struct control *control = bench_map_shared(sizeof *control);
    struct trace trace = {0};
    double messages;
    int error = control ? run->system->setup(run) : -ENOMEM;

    if (!error) {
        error = count_in(control, run, cpus, &trace);
        run->system->teardown(run);
    }
    if (!error) {
        messages = (double)messages_for(&run->setting);
        if (run->setting.what == BENCH_LATENCY)
            messages *= 2; /* there and back */
        *ret_calls = (struct bench_calls){(double)trace.calls / messages,
                                          (double)trace.futex_calls / messages,
                                          (double)trace.futex_wakes / messages};
    }
    if (control)
        bench_unmap_shared(control, sizeof *control);
    return error;
}
