/*
 * threads.h - for systems that run threads of their own in each worker.
 *
 * A worker is pinned, and a thread inherits that: it would wait for the very CPU on which the
 * worker spins. So such threads are started unpinned, on all CPUs that the tool may use. Where
 * these are too few for both, whoever spins lets them run after each look.
 */
#ifndef YK_BENCH_THREADS_H
#define YK_BENCH_THREADS_H

#include "../system.h"

#include <sched.h>

struct bench_threads {
    cpu_set_t all, pinned;
    int share; /* threads and workers share CPUs */
};

/* In the parent, which is not pinned. */
void bench_threads_init(struct bench_threads *threads);

/* In a worker: what starts threads stands between these two. */
void bench_threads_begin(struct bench_threads *threads);
void bench_threads_end(const struct bench_threads *threads);

/*
 * How many messages its queues should hold. Such a system moves a queue's worth each time that one
 * of its threads gets a CPU, so small messages need more of it than a ring would.
 */
int bench_threads_depth(const struct bench_setting *setting);

/* Instead of bench_look_again(). */
static inline void bench_threads_look_again(const struct bench_threads *threads)
{
    if (threads->share)
        bench_yield_cpu();
}

#endif
