/*
 * worker.h - the processes that do the work: started, pinned, kept in step, watched, ended.
 *
 * The parent only watches. A worker that fails leaves a sentence in the shared page and exits; the
 * parent kills the others. All die with the parent.
 */
#ifndef YK_BENCH_WORKER_H
#define YK_BENCH_WORKER_H

#include "cpus.h"
#include "system.h"

#include <stdatomic.h>
#include <sys/types.h>

#define BENCH_SIDES  2
#define BENCH_REASON 200

/* What two workers and their parent share; zeroed at the start. */
struct bench_shared {
    /* barriers passed; a line of its own each */
    _Alignas(128) _Atomic uint64_t arrived[BENCH_SIDES][16];
    /*
     * Messages of the next batch, 0: none. Two, taken in turns: the leader may come with the next
     * one before the follower has read this one, but not with the one after.
     */
    _Alignas(128) _Atomic uint64_t count[2];
    char reason[BENCH_SIDES][BENCH_REASON];
};

/* A worker: everything here is private to it. */
struct bench_worker {
    struct bench_shared *shared;
    int side;
    uint64_t barriers;
    unsigned char *message, *buffer; /* one message each */
};

/* ---- in a worker ---------------------------------------------------------------------------- */

_Noreturn void bench_worker_give_up(struct bench_worker *worker, const char *where, int error);

/* Page-aligned and written to, so that neither a fault nor an unlucky alignment is measured. */
void *bench_worker_memory(struct bench_worker *worker, size_t size);

/* Makes `message` and `buffer`, for messages of `size` bytes. */
void bench_worker_prepare(struct bench_worker *worker, size_t size);

void bench_worker_join(struct bench_worker *worker, struct bench_run *run);

/* A batch with this worker's buffers. */
struct bench_batch bench_worker_batch(const struct bench_worker *worker, size_t size);

/* The barrier: goes on when the other side is here, too, and sees what it has stored before. */
void bench_worker_meet(struct bench_worker *worker);

/* Side 0 says how many messages the next batch has, and side 1 gets to know. */
void bench_worker_announce(struct bench_worker *worker, uint64_t count);
uint64_t bench_worker_hear(struct bench_worker *worker);

/* One batch on this side. */
void bench_worker_run(struct bench_worker *worker, const struct bench_run *run,
                      struct bench_batch *batch);

/* Compares every byte of the last message that came. */
void bench_worker_check(struct bench_worker *worker, const struct bench_run *run,
                        const struct bench_batch *batch);

/* For where workers are more than CPUs, and what is compared with it: under `chrt -f` the first on each CPU would never let go of it. */
void bench_worker_take_turns(void);

/* ---- in the parent -------------------------------------------------------------------------- */

struct bench_child {
    pid_t pid;  /* 0: there is none (any more) */
    int pidfd;  /* readable when it has ended; -1: none */
    int status; /* as of waitpid() */
};
#define BENCH_NO_CHILD \
    {                  \
        0, -1, 0       \
    }

/*
 * Forks; the child runs work(argument) on that CPU and exits with EXIT_SUCCESS when it returns. It
 * dies with the parent. 0 or a negative errno.
 */
int bench_child_start(struct bench_child *child, int cpu, void (*work)(void *), void *argument);

/* Kills it if it still runs. */
void bench_child_end(struct bench_child *child);

/* Says in run->reason how the child failed; `reason`, what it said itself, goes first. */
void bench_child_explain(struct bench_run *run, const struct bench_child *child,
                         const char *reason);

/*
 * Waits for both to end well. 0; -EINTR: yk_stop_signal() says which; else a negative errno, and
 * run->reason says what is wrong with the first that did not. -ETIMEDOUT after `most_ns`: two sides
 * that spin and are seldom on their CPUs at the same time may need for ever.
 */
int bench_children_watch(struct bench_child children[BENCH_SIDES], struct bench_run *run,
                         const struct bench_shared *shared, uint64_t most_ns);

#endif
