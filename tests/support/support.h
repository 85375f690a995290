/*
 * support.h - what tests of several processes need besides cmocka. Include it instead of cmocka's header.
 *
 * A *role* is a function that runs in a forked child. cmocka's assertions may be used in it: a failed
 * one prints its message and aborts the child, which role_wait() then reports.
 *
 * Nothing here sleeps to synchronise: processes wait for each other with batons (a byte through a pipe)
 * or until the kernel says that something is so. Every wait has a time limit and fails the test.
 */
#ifndef SUPPORT_H
#define SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <cmocka.h>

/*
 * How long a test waits for what should happen at once. No test is about how long things take, which
 * `yoke bench` measures: this only keeps one that hangs from hanging for ever, on a machine that may
 * stand still for a minute.
 */
#define SOON_MS 120000

/* Skips the running cmocka test and says why. */
#define skip_test(...) (skip_because(__VA_ARGS__), skip())
void skip_because(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- roles ------------------------------------------------------------------------------------ */

/* Forks a child that runs role(argument) and exits with what it returns, without atexit handlers. */
pid_t role_start(int (*role)(void *argument), void *argument);

/*
 * Waits for a child's end: its exit status, or 128 + the number of the signal that killed it. When
 * timeout_ms are over, the child is killed and the test fails.
 */
int role_wait(pid_t pid, int timeout_ms);

/* Kills it with SIGKILL and reaps it. It may be stopped. */
void role_kill(pid_t pid);

/* Stops it with SIGSTOP, returns when it has stopped; lets it go on. */
void role_stop(pid_t pid);
void role_resume(pid_t pid);

/* Waits until the process (or thread) sleeps in the kernel, as one does that waits on a futex. */
void role_wait_asleep(pid_t pid, int timeout_ms);

/* ---- cases: tests with a process of their own ------------------------------------------------- */

/*
 * An entry of a list of tests. All that a failed test had open, held, started or waited for goes with its
 * process and those that it left: the next one finds nothing of it. The teardown begins with case_end().
 */
#define test_case(function, end)                 \
    ((struct CMUnitTest){.name = #function,      \
                         .test_func = case_run,  \
                         .teardown_func = (end), \
                         .initial_state = &(struct test_case){(function), NULL}})
struct test_case {
    void (*test)(void **state);
    void *state; /* *state then */
};
void case_run(void **state);

/*
 * Ends what the test left running, and says so of a test that passed. False then; `ret_failed`: it did not
 * even pass, and what else it left is just to be cleared away.
 */
bool case_end(bool *ret_failed);

/* ---- batons: one process says "now", another waits for it ------------------------------------- */

struct baton {
    int out, in; /* where it is taken from, where it is put */
};

/* Before the fork, or for threads. */
void baton_make(struct baton *baton);
void baton_drop(struct baton *baton);

void baton_pass(const struct baton *baton);
void baton_take(const struct baton *baton);

/* As baton_take, but false when nobody passed it in that time. */
bool baton_take_within(const struct baton *baton, int timeout_ms);

/* ---- facts ------------------------------------------------------------------------------------ */

int64_t now_ns(void);

/* How many descriptors this process has open. */
int open_descriptors(void);

/* The state letter of /proc/PID/stat, 0 when there is no such process. */
char process_state(pid_t pid);

/* True if isolate gave this test a namespace of that kind of its own: "ipc" or "shm". */
bool own_namespace(const char *kind);

/* ---- long proofs ------------------------------------------------------------------------------ */

/* Where to begin in a space too big to be walked through each time: $YOKE_SEED, else 1. */
uint64_t test_seed(void);

/* For how long a test of the suite `long` may go on: $YOKE_LONG_SECONDS, else what it likes itself. */
unsigned test_seconds(unsigned otherwise);

#endif
