/*
 * grow.c - what a message costs as the number of ports, of messages waiting and of processes grows.
 *
 * One process, on one CPU, sends a message and receives one, over and over: no cache line moves
 * between cores, so what is left is the work itself, and what grows with the numbers shows. Each
 * point is the median over rounds of some thousand such pairs.
 *
 * What is expected: nothing grows with the processes attached, nor with the messages waiting, but
 * for what caches hold: a million messages, or a thousand ports, are more than fit.
 */
#include "grow.h"

#include "loops.h"
#include "peers/peers.h"
#include "rows.h"
#include "stop.h"
#include "worker.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>
#include <yoke.h>

#define PAIRS         1000u
#define ROUNDS        101u
#define ROUNDS_QUICK  61u
#define WARM_ROUNDS   5u
#define COUNT_MAX     1000000u /* of messages waiting */
#define MANY          1000u    /* of ports, and of processes */
#define DEPTH_MANY    16u      /* of each of many ports */
#define DEPTH_WAITING (1u << 20)
#define WARM_NS       (100 * UINT64_C(1000000))
/* It takes some seconds; a busy machine may need longer. */
#define TIMEOUT_NS (120 * UINT64_C(1000000000))

struct shared {
    int count;
    struct bench_growth points[BENCH_GROWTHS_MAX];
    char reason[200];
};

struct task {
    struct shared *shared;
    size_t rounds;
    pid_t tool; /* names are made from it */
};

const char *bench_curve_name(enum bench_curve curve)
{
    static const char *const names[BENCH_CURVES] = {"ports", "waiting", "processes"};
    return names[curve];
}

const char *bench_curve_title(enum bench_curve curve)
{
    static const char *const titles[BENCH_CURVES] = {"ports open in one process, used in turn",
                                                     "messages waiting in the port",
                                                     "processes attached to the port, asleep"};
    return titles[curve];
}

/* ---- one point ------------------------------------------------------------------------------ */

/* The name of the port with this number on a curve. */
static void make_address(char address[64], const struct task *task, enum bench_curve curve,
                         unsigned number)
{
    snprintf(address, 64, "port:bench-grow-%ld-%d-%u", (long)task->tool, (int)curve, number);
}

static int open_port(const struct task *task, yoke_endpoint **ret_port, const char *address,
                     uint32_t depth, uint32_t participants)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;
    int error;

    options.max_message = BENCH_GROWTH_SIZE;
    options.depth = depth;
    options.participants = participants;
    error = yoke_open(ret_port, address, depth ? YOKE_CREATE | YOKE_EXCLUSIVE : 0, &options);
    if (error < 0)
        snprintf(task->shared->reason, sizeof task->shared->reason, "%s", yoke_explain());
    return error;
}

/* Sends one and receives one, on each port in turn; returns nanoseconds a pair, or an error. */
static double run_pairs(yoke_endpoint *const *ports, size_t port_count, size_t pairs)
{
    unsigned char message[BENCH_GROWTH_SIZE] = {0};
    uint64_t start = bench_now();

    for (size_t i = 0, at = 0; i < pairs; i++) {
        ssize_t result = yoke_send(ports[at], message, sizeof message, YOKE_NOW);

        if (result >= 0)
            result = yoke_recv(ports[at], message, sizeof message, YOKE_NOW);
        if (result < 0)
            return (double)result;
        at = at + 1 == port_count ? 0 : at + 1;
    }
    return (double)(bench_now() - start) / (double)pairs;
}

static int add_point(const struct task *task, enum bench_curve curve, uint64_t count,
                     yoke_endpoint *const *ports, size_t port_count)
{
    struct shared *shared = task->shared;
    struct bench_growth *point = &shared->points[shared->count];
    size_t pairs = PAIRS < 2 * port_count ? 2 * port_count : PAIRS;
    double values[ROUNDS];

    if (shared->count == BENCH_GROWTHS_MAX)
        return -ENOSPC;
    for (size_t round = 0; round < task->rounds + WARM_ROUNDS; round++) {
        double value = run_pairs(ports, port_count, pairs);

        if (value < 0) {
            snprintf(shared->reason, sizeof shared->reason, "%s at %llu: %s",
                     bench_curve_name(curve), (unsigned long long)count, yoke_strerror((int)value));
            return (int)value;
        }
        if (round >= WARM_ROUNDS)
            values[round - WARM_ROUNDS] = value;
    }
    *point = (struct bench_growth){.curve = curve,
                                   .system = &bench_yoke_port,
                                   .count = count,
                                   .rounds = task->rounds,
                                   .value = bench_median(values, task->rounds),
                                   .spread = bench_spread(values, task->rounds)};
    point->limit = count == 1 ? point->value : point[-1].limit;
    shared->count++;
    return 0;
}

/* ---- the curves ----------------------------------------------------------------------------- */

static void grow_ports(const struct task *task)
{
    yoke_endpoint **ports = calloc(MANY, sizeof *ports);
    char address[64];
    size_t open = 0;
    int error = ports ? 0 : -ENOMEM;

    for (size_t count = 1; count <= MANY && !error; count *= 10) {
        for (; open < count && !error; open += !error) {
            make_address(address, task, BENCH_CURVE_PORTS, (unsigned)open);
            error = open_port(task, &ports[open], address, DEPTH_MANY, 2);
        }
        if (!error)
            error = add_point(task, BENCH_CURVE_PORTS, count, ports, open);
    }
    for (size_t i = 0; i < open; i++)
        yoke_close(ports[i]);
    free(ports);
}

static void grow_waiting(const struct task *task)
{
    unsigned char message[BENCH_GROWTH_SIZE] = {0};
    yoke_endpoint *port;
    char address[64];
    ssize_t error;

    make_address(address, task, BENCH_CURVE_WAITING, 0);
    error = open_port(task, &port, address, DEPTH_WAITING, 2);
    if (error < 0)
        return;
    for (uint64_t count = 1, sent = 0; count <= COUNT_MAX && error >= 0; count *= 10) {
        /* One less than waits while the next one has been sent. */
        for (; sent + 1 < count && error >= 0; sent++)
            error = yoke_send(port, message, sizeof message, YOKE_NOW);
        if (error >= 0)
            error = add_point(task, BENCH_CURVE_WAITING, count, &port, 1);
    }
    yoke_close(port);
}

/* Opens the port, says so, and sleeps until its parent dies. */
static _Noreturn void attend(const struct task *task, const char *address, int ready)
{
    yoke_endpoint *port;
    bool opened;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    opened = open_port(task, &port, address, 0, 0) >= 0;
    if (write(ready, opened ? "y" : "n", 1) == 1)
        for (;;)
            pause();
    _exit(EXIT_FAILURE);
}

static int add_process(const struct task *task, const char *address, const int ready[2])
{
    pid_t pid = fork();
    char answer;

    if (pid == 0)
        attend(task, address, ready[1]);
    if (pid < 0) {
        snprintf(task->shared->reason, sizeof task->shared->reason, "no further process: %s",
                 strerror(errno));
        return -EAGAIN;
    }
    return read(ready[0], &answer, 1) == 1 && answer == 'y' ? 0 : -EIO;
}

/* The process that calls this is one of them; the others end with it. */
static void grow_processes(const struct task *task)
{
    yoke_endpoint *port;
    char address[64];
    int ready[2];
    int error;

    if (pipe(ready) < 0)
        return;
    make_address(address, task, BENCH_CURVE_PROCESSES, 0);
    error = open_port(task, &port, address, DEPTH_MANY, MANY);
    if (error < 0)
        return;
    for (uint64_t count = 1, attached = 1; count <= MANY && !error; count *= 10) {
        for (; attached < count && !error; attached++)
            error = add_process(task, address, ready);
        if (!error)
            error = add_point(task, BENCH_CURVE_PROCESSES, count, &port, 1);
    }
    yoke_close(port);
}

/* Each port may take a descriptor. */
static void allow_descriptors(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/* For long enough that the clock is up and the library's code is in the caches. */
static void warm_up(const struct task *task)
{
    uint64_t start = bench_now();
    yoke_endpoint *port;
    char address[64];

    make_address(address, task, BENCH_CURVES, 0);
    if (open_port(task, &port, address, DEPTH_MANY, 2) < 0)
        return;
    while (bench_now() - start < WARM_NS)
        (void)run_pairs(&port, 1, PAIRS);
    yoke_close(port);
}

static void grow(void *argument)
{
    const struct task *task = argument;

    allow_descriptors();
    warm_up(task);
    grow_ports(task);
    grow_waiting(task);
    grow_processes(task);
}

int bench_grow(struct bench_growth points[BENCH_GROWTHS_MAX], bool quick,
               const struct bench_cpus *cpus, char reason[200])
{
    struct task task = {.rounds = quick ? ROUNDS_QUICK : ROUNDS, .tool = getpid()};
    struct bench_child child = BENCH_NO_CHILD;
    uint64_t deadline = bench_now() + TIMEOUT_NS;
    int error;

    task.shared = bench_map_shared(sizeof *task.shared);
    if (!task.shared)
        return -ENOMEM;
    error = bench_child_start(&child, cpus->side[0], grow, &task);
    while (!error && bench_now() < deadline) {
        struct pollfd ended = {child.pidfd, POLLIN, 0};

        if (yk_stop_signal())
            error = -EINTR;
        else if (poll(&ended, 1, 100) > 0)
            break;
    }
    bench_child_end(&child);
    if (!error) {
        error = task.shared->count;
        memcpy(points, task.shared->points, (size_t)error * sizeof *points);
        memcpy(reason, task.shared->reason, sizeof task.shared->reason);
    }
    bench_unmap_shared(task.shared, sizeof *task.shared);
    return error;
}
