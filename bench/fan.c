/*
 * fan.c - many senders and many receivers on one channel.
 *
 * Senders send and receivers receive without end; each receiver counts into a line of its own. The
 * parent reads the clock and all counts, sleeps, reads them again, and kills everyone: a channel
 * that was left in the middle of something is of no further use to anybody.
 *
 * With more processes than CPUs those that spin let others run between two looks, where the system
 * looks for itself (bench_look_again); a yoke port in mode `spin` does not.
 */
#include "fan.h"

#include "loops.h"
#include "output.h"
#include "stop.h"
#include "worker.h"

#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define WORKERS_MAX (2 * BENCH_FAN_MAX)
/* A part goes on until so many messages came: with many processes each gets its turn seldom. */
#define MESSAGES_LEAST 1000u
/* Each of the three parts may have so much of a sample's time to join, and then to move them. */
#define PHASES      6u
#define MILLISECOND UINT64_C(1000000)

struct counter {
    _Alignas(128) _Atomic uint64_t received; /* written by one receiver */
    _Atomic uint32_t joined;
    char reason[BENCH_REASON];
};

struct crowd {
    struct bench_run *run;
    struct counter *counters; /* shared; one for each worker, receivers first */
    struct bench_child children[WORKERS_MAX];
    uint32_t receivers, workers;
};

struct member {
    struct crowd *crowd;
    uint32_t number;
};

static uint32_t one_or_more(uint32_t processes)
{
    return processes ? processes : 1;
}

/* ---- in the workers ------------------------------------------------------------------------- */

static int send_on(const struct bench_run *run, unsigned char *message)
{
    size_t size = run->setting.size;
    int error = 0;

    for (uint64_t number = 0; error >= 0; number++) {
        bench_stamp(message, size, number);
        error = run->system->send(run->state, BENCH_TO_0, message, size);
    }
    return error;
}

static int receive_on(const struct bench_run *run, unsigned char *buffer, struct counter *counter)
{
    size_t size = run->setting.size;
    uint64_t first;

    for (uint64_t received = 1;; received++) {
        int error = run->system->recv(run->state, BENCH_TO_0, buffer, size);

        if (error < 0)
            return error;
        memcpy(&first, buffer, sizeof first);
        if (!bench_is_stamped(buffer, size, first))
            return -EBADMSG;
        /* Nothing is ordered by it: the parent only wants to know how many. */
        atomic_store_explicit(&counter->received, received, memory_order_relaxed);
    }
}

static void work(void *argument)
{
    const struct member *member = argument;
    struct crowd *crowd = member->crowd;
    struct counter *counter = &crowd->counters[member->number];
    struct bench_run *run = crowd->run;
    unsigned char *message = calloc(1, run->setting.size);
    int error = message ? 0 : -ENOMEM;

    run->side = member->number < crowd->receivers ? 0 : 1;
    bench_one_cpu |= crowd->workers > BENCH_SIDES;
    bench_worker_take_turns();
    if (!error && run->system->join)
        error = run->system->join(run);
    if (!error) {
        atomic_store(&counter->joined, 1);
        error = run->side == 0 ? receive_on(run, message, counter) : send_on(run, message);
    }
    snprintf(counter->reason, sizeof counter->reason, "%s",
             run->reason[0] ? run->reason : strerror(-error));
    _exit(EXIT_FAILURE);
}

/* ---- in the parent -------------------------------------------------------------------------- */

static int start_workers(struct crowd *crowd, const struct bench_cpus *cpus)
{
    int error = 0;

    for (uint32_t i = 0; i < crowd->workers && !error; i++) {
        struct member member = {crowd, i};
        error = bench_child_start(&crowd->children[i], cpus->side[i < crowd->receivers ? 0 : 1],
                                  work, &member);
    }
    if (error)
        snprintf(crowd->run->reason, sizeof crowd->run->reason, "cannot start workers: %s",
                 strerror(-error));
    return error;
}

/* Sleeps; an error if a worker ends or the user wants an end. */
static int sleep_beside(struct crowd *crowd, uint64_t ns)
{
    struct timespec time = {(time_t)(ns / 1000000000), (long)(ns % 1000000000)};
    struct pollfd ended[WORKERS_MAX];

    for (uint32_t i = 0; i < crowd->workers; i++)
        ended[i] = (struct pollfd){crowd->children[i].pidfd, POLLIN, 0};
    (void)ppoll(ended, crowd->workers, &time, NULL);
    if (yk_stop_signal())
        return -EINTR;
    for (uint32_t i = 0; i < crowd->workers; i++) {
        if (!(ended[i].revents & POLLIN))
            continue;
        bench_child_end(&crowd->children[i]);
        bench_child_explain(crowd->run, &crowd->children[i], crowd->counters[i].reason);
        return -EIO;
    }
    return 0;
}

static int wait_for_all(struct crowd *crowd, uint64_t most_ns)
{
    uint64_t deadline = bench_now() + most_ns;
    int error = 0;

    for (uint32_t i = 0; i < crowd->workers && !error;) {
        if (atomic_load(&crowd->counters[i].joined)) {
            i++;
        } else if (bench_now() > deadline) {
            snprintf(crowd->run->reason, sizeof crowd->run->reason, "%u processes did not start",
                     crowd->workers - i);
            error = -ETIMEDOUT;
        } else {
            error = sleep_beside(crowd, MILLISECOND);
        }
    }
    return error;
}

static uint64_t count_received(const struct crowd *crowd)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < crowd->receivers; i++)
        sum += atomic_load_explicit(&crowd->counters[i].received, memory_order_relaxed);
    return sum;
}

static int measure(struct crowd *crowd, const struct bench_pace *pace, uint64_t ns,
                   double *ret_rate)
{
    uint64_t start, before, passed = 0, received = 0;
    int error = wait_for_all(crowd, pace->most_ns / PHASES);

    if (!error)
        error = sleep_beside(crowd, 2 * pace->warm_ns);
    before = count_received(crowd);
    start = bench_now();
    while (!error && received < MESSAGES_LEAST && passed < pace->most_ns / PHASES) {
        error = sleep_beside(crowd, ns);
        received = count_received(crowd) - before;
        passed = bench_now() - start;
    }
    if (!error && received == 0) {
        snprintf(crowd->run->reason, sizeof crowd->run->reason, "no message in %.0f s",
                 (double)passed / 1e9);
        error = -ETIMEDOUT;
    }
    if (!error)
        *ret_rate = (double)received / (double)passed * 1e9;
    return error;
}

static int fan_part(struct bench_run *run, const struct bench_pace *pace, uint64_t ns,
                    const struct bench_cpus *cpus, double *ret_rate)
{
    struct crowd *crowd = yk_grow(NULL, sizeof *crowd);
    size_t shared_size;
    int error;

    *crowd = (struct crowd){.run = run, .receivers = one_or_more(run->setting.receivers)};
    crowd->workers = crowd->receivers + one_or_more(run->setting.senders);
    for (uint32_t i = 0; i < WORKERS_MAX; i++)
        crowd->children[i].pidfd = -1;
    shared_size = crowd->workers * sizeof *crowd->counters;
    crowd->counters = bench_map_shared(shared_size);
    error = crowd->counters ? run->system->setup(run) : -ENOMEM;
    if (!error) {
        error = start_workers(crowd, cpus);
        if (!error)
            error = measure(crowd, pace, ns, ret_rate);
        for (uint32_t i = 0; i < crowd->workers; i++)
            bench_child_end(&crowd->children[i]);
        run->system->teardown(run);
    }
    if (crowd->counters)
        bench_unmap_shared(crowd->counters, shared_size);
    free(crowd);
    return error;
}

int bench_fan_take(struct bench_run *run, const struct bench_pace *pace,
                   const struct bench_cpus *cpus, struct bench_sample *ret_sample)
{
    struct bench_run alone = *run;
    struct bench_sample sample = {0};
    int error;

    alone.setting.senders = alone.setting.receivers = 1;
    error = fan_part(&alone, pace, 2 * pace->probe_ns, cpus, &sample.limit_before);
    if (!error)
        error = fan_part(run, pace, 2 * pace->system_ns, cpus, &sample.value);
    if (!error)
        error = fan_part(&alone, pace, 2 * pace->probe_ns, cpus, &sample.limit_after);
    if (!error)
        *ret_sample = sample;
    else if (!run->reason[0])
        snprintf(run->reason, sizeof run->reason, "%s", alone.reason);
    return error;
}
