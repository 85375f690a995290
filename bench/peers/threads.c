/*
 * threads.c - for systems that run threads of their own in each worker.
 */
#include "threads.h"

/* A CPU for each worker, and one for each one's busiest thread. */
#define CPUS_ENOUGH 4

/* A queue of small messages holds so many bytes of them, but no more than so many messages. */
#define QUEUE_BYTES (1u << 20)
#define QUEUE_MAX   8192u

void bench_threads_init(struct bench_threads *threads)
{
    CPU_ZERO(&threads->all);
    (void)sched_getaffinity(0, sizeof threads->all, &threads->all);
    threads->share = CPU_COUNT(&threads->all) < CPUS_ENOUGH;
}

void bench_threads_begin(struct bench_threads *threads)
{
    threads->pinned = threads->all; /* should the next line fail */
    (void)sched_getaffinity(0, sizeof threads->pinned, &threads->pinned);
    (void)sched_setaffinity(0, sizeof threads->all, &threads->all);
}

void bench_threads_end(const struct bench_threads *threads)
{
    (void)sched_setaffinity(0, sizeof threads->pinned, &threads->pinned);
}

int bench_threads_depth(const struct bench_setting *setting)
{
    size_t depth = QUEUE_BYTES / setting->size;

    if (depth > QUEUE_MAX)
        depth = QUEUE_MAX;
    return (int)(depth > setting->depth ? depth : setting->depth);
}
