/*
 * sample.c - one sample: a system between two probes of its raw limit, in two fresh processes.
 *
 * Side 0 leads, side 1 follows, each on a CPU of its own; both go through the same three parts:
 * limit, system, limit. A part is a series of batches. Before each one the leader says how many
 * messages it has; 0 ends the part. The first batches warm up: each is bigger than the last, until
 * one takes `warm_ns` and has been through all memory; they also tell how many messages the timed
 * batch needs. So nothing is touched for the first time, and no page fault happens, while it
 * counts.
 *
 * Virtual CPUs move between host cores that are near or far from each other. Near and far differ
 * by a factor of three, so a sample means something only if both probes agree: that is for the
 * report to decide.
 */
#include "sample.h"

#include "loops.h"
#include "worker.h"

#include <stdio.h>
#include <stdlib.h>

/* The clock is read once for so many nanoseconds of round trips, so that it costs nothing. */
#define GROUP_NS  5000u
#define TIMES_MAX 65536u
/* Unless they spin both sides are to be asleep when a message comes. */
#define REST_NS 20000u
/* Single round trips for the distribution. */
#define SINGLES   16384u
#define COUNT_MAX (UINT64_C(1) << 32)
/* A rate is taken over at least so many times what the channel holds. */
#define FILLS 4u
/* From this size on each message touches new pages until a channel was filled once. */
#define PAGE 4096u
/* From this size on one batch that touches them all is warm-up enough. */
#define HUGE_MESSAGE ((size_t)8 << 20)

/* What the two workers and their parent share. */
struct control {
    struct bench_shared shared;
    struct bench_sample sample;
};

/* What a worker takes into its process. */
struct task {
    struct bench_worker worker;
    struct control *control;
    const struct bench_pace *pace;
    struct bench_run *run, *limit;
};

/* ---- in the workers ------------------------------------------------------------------------- */

/* Side 0: has `count` messages moved, and returns how long it took. */
static uint64_t lead_batch(struct bench_worker *worker, const struct bench_run *run,
                           struct bench_batch *batch, uint64_t count)
{
    uint64_t start;

    batch->count = count;
    bench_worker_announce(worker, count);
    start = bench_now();
    bench_worker_run(worker, run, batch);
    return bench_now() - start;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median_of_times(const struct bench_batch *batch, double *times)
{
    uint64_t count = (batch->count + batch->group - 1) / batch->group;

    qsort(times, count, sizeof *times, compare_doubles);
    return times[count / 2];
}

static uint64_t at_most(uint64_t value, uint64_t most)
{
    return value < most ? value : most;
}

/* The first batches; returns how long one message takes. */
static double warm_up(struct task *task, const struct bench_run *run, struct bench_batch *batch)
{
    bool touches = run->setting.what != BENCH_OPEN && run->setting.size >= PAGE;
    uint64_t least = touches ? 2 * run->setting.depth : 0;
    uint64_t count = run->setting.size >= HUGE_MESSAGE ? least : 1, ns;

    batch->group = batch->rest_ns ? 1 : COUNT_MAX; /* nobody looks at the times */
    while ((ns = lead_batch(&task->worker, run, batch, count)) < task->pace->warm_ns ||
           count < least)
        count = at_most(2 * count, TIMES_MAX * batch->group);
    return (double)ns / (double)count;
}

static double lead_rate(struct task *task, const struct bench_run *run, struct bench_batch *batch,
                        uint64_t count)
{
    uint64_t ns;

    /* else filling and emptying the channel would be a part of it */
    if (count < FILLS * run->setting.depth)
        count = FILLS * run->setting.depth;
    ns = lead_batch(&task->worker, run, batch, count);
    return (double)count / (double)ns * 1e9;
}

/* Round trips, or openings. The details, of single ones, are left out if `ret_sample` is NULL. */
static double lead_times(struct task *task, const struct bench_run *run, struct bench_batch *batch,
                         uint64_t count, struct bench_sample *ret_sample)
{
    double value;

    lead_batch(&task->worker, run, batch, at_most(count, TIMES_MAX * batch->group));
    value = median_of_times(batch, batch->times);
    if (!ret_sample)
        return value;
    if (batch->closings)
        ret_sample->closing = median_of_times(batch, batch->closings);
    if (batch->group > 1) {
        batch->group = 1;
        lead_batch(&task->worker, run, batch, at_most(count, SINGLES));
    }
    for (uint64_t i = 0; i < batch->count; i++)
        bench_histogram_add(&ret_sample->singles, batch->times[i]);
    return value;
}

/* Side 0: one part. Returns its value; the details go to `ret_sample` unless it is NULL. */
static double lead_part(struct task *task, const struct bench_run *run, struct bench_batch *batch,
                        uint64_t part_ns, struct bench_sample *ret_sample)
{
    uint64_t count;
    double value, each;

    /* Without rests, two sides that should sleep may keep each other awake: nobody knows when. */
    if (run->setting.what == BENCH_LATENCY && run->setting.mode != BENCH_SPIN)
        batch->rest_ns = REST_NS;
    each = warm_up(task, run, batch);
    count = at_most((uint64_t)((double)part_ns / each) + 1, COUNT_MAX);
    if (run->setting.what == BENCH_RATE) {
        value = lead_rate(task, run, batch, count);
    } else {
        bool single = batch->rest_ns || run->setting.what == BENCH_OPEN;
        batch->group = single ? 1 : at_most((uint64_t)(GROUP_NS / each) + 1, 1024);
        value = lead_times(task, run, batch, count, ret_sample);
    }
    bench_worker_check(&task->worker, run, batch);
    bench_worker_announce(&task->worker, 0);
    return value;
}

/* Side 1: one part. */
static void follow_part(struct task *task, const struct bench_run *run, struct bench_batch *batch)
{
    while ((batch->count = bench_worker_hear(&task->worker)) > 0)
        bench_worker_run(&task->worker, run, batch);
}

static void work(void *argument)
{
    struct task *task = argument;
    struct bench_sample *sample = &task->control->sample;
    struct bench_batch system_batch, limit_batch;
    size_t size = task->run->setting.size;

    bench_worker_prepare(&task->worker, task->limit->system->in_place ? BENCH_SIZE_MIN : size);
    system_batch = bench_worker_batch(&task->worker, size);
    system_batch.times = bench_worker_memory(&task->worker, TIMES_MAX * sizeof(double));
    limit_batch = system_batch;
    if (task->run->setting.what == BENCH_OPEN)
        system_batch.closings = bench_worker_memory(&task->worker, TIMES_MAX * sizeof(double));
    limit_batch.size = task->limit->setting.size;
    bench_worker_join(&task->worker, task->limit);
    bench_worker_join(&task->worker, task->run);

    if (task->worker.side == 1) {
        follow_part(task, task->limit, &limit_batch);
        follow_part(task, task->run, &system_batch);
        follow_part(task, task->limit, &limit_batch);
        return;
    }
    sample->limit_before = lead_part(task, task->limit, &limit_batch, task->pace->probe_ns, NULL);
    sample->value = lead_part(task, task->run, &system_batch, task->pace->system_ns, sample);
    sample->limit_after = lead_part(task, task->limit, &limit_batch, task->pace->probe_ns, NULL);
}

/* ---- in the parent -------------------------------------------------------------------------- */

int bench_sample_take(struct bench_run *run, struct bench_run *limit, const struct bench_pace *pace,
                      const struct bench_cpus *cpus, struct bench_sample *ret_sample)
{
    struct bench_child children[BENCH_SIDES] = {BENCH_NO_CHILD, BENCH_NO_CHILD};
    struct control *control = bench_map_shared(sizeof *control);
    int error = control ? 0 : -ENOMEM;

    for (int side = 0; side < BENCH_SIDES && !error; side++) {
        struct task task = {.worker = {.shared = &control->shared, .side = side},
                            .control = control,
                            .pace = pace,
                            .run = run,
                            .limit = limit};
        error = bench_child_start(&children[side], cpus->side[side], work, &task);
    }
    if (error)
        snprintf(run->reason, sizeof run->reason, "cannot start workers: %s", strerror(-error));
    else
        error = bench_children_watch(children, run, &control->shared, pace->most_ns);
    for (int side = 0; side < BENCH_SIDES; side++)
        bench_child_end(&children[side]);
    if (!error)
        *ret_sample = control->sample;
    if (control)
        bench_unmap_shared(control, sizeof *control);
    return error;
}
