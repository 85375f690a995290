/*
 * idle.c - how often a receiver wakes up while nobody sends.
 *
 * The kernel counts for each thread how often it left the CPU of its own accord; the threads that a
 * library has started for itself count, too.
 */
#include "idle.h"

#include "loops.h"
#include "stop.h"
#include "worker.h"

#include <dirent.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Once it has slept, and nothing woke it for so long, what joining set in motion has come to rest. */
#define SETTLE_MS    50
#define SETTLE_TRIES 20

static void wait_in_recv(void *argument)
{
    struct bench_run *run = argument;
    void *buffer = malloc(run->setting.size);
    int error = buffer ? 0 : -ENOMEM;

    run->side = 0;
    if (!error && run->system->join)
        error = run->system->join(run);
    if (!error)
        (void)run->system->recv(run->state, BENCH_TO_0, buffer, run->setting.size);
    _exit(EXIT_FAILURE); /* nobody sent anything */
}

/* How often a thread gave the CPU up; 0 when it has ended meanwhile. */
static uint64_t switches_of(pid_t pid, const char *thread)
{
    static const char key[] = "voluntary_ctxt_switches:";
    unsigned long long switches = 0;
    char path[300], line[200];
    FILE *file;

    snprintf(path, sizeof path, "/proc/%ld/task/%s/status", (long)pid, thread);
    file = fopen(path, "re");
    if (!file)
        return 0;
    while (fgets(line, sizeof line, file))
        if (strncmp(line, key, sizeof key - 1) == 0)
            switches = strtoull(line + sizeof key - 1, NULL, 10);
    fclose(file);
    return switches;
}

static int count_switches(pid_t pid, uint64_t *ret_switches)
{
    const struct dirent *entry;
    char path[64];
    DIR *threads;

    snprintf(path, sizeof path, "/proc/%ld/task", (long)pid);
    threads = opendir(path);
    if (!threads)
        return -errno;
    *ret_switches = 0;
    while ((entry = readdir(threads)))
        if (entry->d_name[0] != '.')
            *ret_switches += switches_of(pid, entry->d_name);
    closedir(threads);
    return 0;
}

/* Sleeps; an error if the receiver ends. */
static int sleep_beside(struct bench_run *run, const struct bench_child *child, int ms)
{
    struct pollfd ended = {child->pidfd, POLLIN, 0};

    (void)poll(&ended, 1, ms);
    if (yk_stop_signal())
        return -EINTR;
    if (!(ended.revents & POLLIN))
        return 0;
    snprintf(run->reason, sizeof run->reason, "the receiver did not wait");
    return -EIO;
}

static int settle(struct bench_run *run, const struct bench_child *child)
{
    uint64_t before = 0, after = 0;
    int error = 0;

    for (int i = 0; i < SETTLE_TRIES && !error && (after == 0 || after != before); i++) {
        error = count_switches(child->pid, &before);
        if (!error)
            error = sleep_beside(run, child, SETTLE_MS);
        if (!error)
            error = count_switches(child->pid, &after);
    }
    return error;
}

static int watch_idle(struct bench_run *run, const struct bench_child *child, uint64_t ns,
                      double *ret_per_second)
{
    uint64_t start, before, after;
    int error = settle(run, child);

    if (!error)
        error = count_switches(child->pid, &before);
    start = bench_now();
    if (!error)
        error = sleep_beside(run, child, (int)(ns / 1000000));
    if (!error)
        error = count_switches(child->pid, &after);
    if (!error)
        *ret_per_second = (double)(after - before) * 1e9 / (double)(bench_now() - start);
    return error;
}

int bench_idle_count(struct bench_run *run, uint64_t ns, const struct bench_cpus *cpus,
                     double *ret_per_second)
{
    struct bench_child child = BENCH_NO_CHILD;
    int error = run->system->setup(run);

    if (error)
        return error;
    error = bench_child_start(&child, cpus->side[0], wait_in_recv, run);
    if (!error)
        error = watch_idle(run, &child, ns, ret_per_second);
    bench_child_end(&child);
    run->system->teardown(run);
    return error;
}
