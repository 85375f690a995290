/* The robust lock in a region. */
#include "api.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

/* Where the tests keep things in their region. */
struct shared {
    yoke_lock lock;
    volatile uint64_t counter; /* protected by the lock */
    yoke_lock spare;
};

static const char *name = "locks";

static struct shared *in(yoke_region *region)
{
    return yoke_region_data(region);
}

static int take(yoke_region *region, int64_t timeout_ns)
{
    return yoke_lock_acquire(region, &in(region)->lock, timeout_ns);
}

static int give(yoke_region *region)
{
    return yoke_lock_release(region, &in(region)->lock);
}

/* As calls in threads and roles. */
static int64_t take_for_long(void *region)
{
    return take(region, LONG_WAIT);
}

static int64_t take_now(void *region)
{
    return take(region, YOKE_NOW);
}

static int64_t take_for_30_ms(void *region)
{
    return take(region, 30 * MS);
}

static int64_t give_back(void *region)
{
    return give(region);
}

static int64_t in_a_thread(thread_call call, void *context)
{
    struct worker worker;

    worker_start(&worker, call, context);
    return worker_join(&worker);
}

/* ---- mutual exclusion ------------------------------------------------------------------------- */

#define ROUNDS 20000

static int64_t count(void *region)
{
    for (int i = 0; i < ROUNDS; i++) {
        if (take(region, LONG_WAIT) != YOKE_LOCKED)
            return -1;
        in(region)->counter = in(region)->counter + 1; /* loses some if two are in here */
        if (give(region) != 0)
            return -1;
    }
    return 0;
}

static int role_counts(void *argument)
{
    yoke_region *region = region_join(name);
    int64_t result = count(region);

    (void)argument;
    yoke_region_close(region);
    return (int)result;
}

static void one_at_a_time_between_processes(void **state)
{
    yoke_region *region = region_make(name, 4096);
    pid_t pids[4];

    (void)state;
    for (int i = 0; i < 4; i++)
        pids[i] = role_start(role_counts, NULL);
    for (int i = 0; i < 4; i++)
        assert_int_equal(role_wait(pids[i], SOON_MS), 0);
    assert_int_equal(in(region)->counter, 4 * ROUNDS);
    yoke_region_close(region);
}

static void one_at_a_time_between_threads_of_one_and_of_two_handles(void **state)
{
    yoke_region *first = region_make(name, 4096), *second = region_join(name);
    struct worker workers[4];

    (void)state;
    assert_ptr_not_equal(in(first), in(second));
    for (int i = 0; i < 4; i++)
        worker_start(&workers[i], count, i % 2 ? first : second);
    for (int i = 0; i < 4; i++)
        assert_int_equal(worker_join(&workers[i]), 0);
    assert_int_equal(in(first)->counter, 4 * ROUNDS);
    yoke_region_close(first);
    yoke_region_close(second);
}

static void waiter_gets_the_lock_when_it_is_released(void **state)
{
    yoke_region *region = region_make(name, 4096), *other = region_join(name);
    struct worker waiter;

    (void)state;
    assert_int_equal(take(region, YOKE_NOW), YOKE_LOCKED);
    worker_start(&waiter, take_for_long, other);
    worker_wait_asleep(&waiter);
    must(give(region));
    assert_int_equal(worker_join(&waiter), YOKE_LOCKED);
    must_fail(take(region, YOKE_NOW), EAGAIN);
    yoke_region_close(other);
    yoke_region_close(region);
}

static void locks_of_one_region_are_independent(void **state)
{
    yoke_region *region = region_make(name, 4096), *other = region_join(name);

    (void)state;
    assert_int_equal(take(region, YOKE_NOW), YOKE_LOCKED);
    assert_int_equal(yoke_lock_acquire(other, &in(other)->spare, YOKE_NOW), YOKE_LOCKED);
    must_fail(take(other, YOKE_NOW), EAGAIN);
    must(yoke_lock_release(other, &in(other)->spare));
    must(give(region));
    yoke_region_close(other);
    yoke_region_close(region);
}

/* ---- what a lock refuses ---------------------------------------------------------------------- */

static void taking_it_twice_is_an_error_and_no_hang(void **state)
{
    yoke_region *region = region_make(name, 4096);

    (void)state;
    assert_int_equal(take(region, YOKE_FOREVER), YOKE_LOCKED);
    must_fail(take(region, YOKE_FOREVER), EDEADLK);
    must_fail(take(region, YOKE_NOW), EDEADLK);
    assert_non_null(strstr(yoke_explain(), name));
    must(give(region)); /* once is enough */
    must_fail(give(region), EPERM);
    yoke_region_close(region);
}

static void another_thread_or_handle_does_not_get_a_held_lock(void **state)
{
    yoke_region *region = region_make(name, 4096), *other = region_join(name);

    (void)state;
    assert_int_equal(take(region, YOKE_NOW), YOKE_LOCKED);
    must_fail(in_a_thread(take_now, region), EAGAIN);
    must_fail(take(other, YOKE_NOW), EAGAIN);
    assert_times_out(take_for_30_ms, other, 30 * MS);
    must_fail(in_a_thread(take_for_30_ms, region), ETIMEDOUT);
    must(give(region));
    yoke_region_close(other);
    yoke_region_close(region);
}

static int role_may_not_release(void *argument)
{
    yoke_region *region = region_join(name);

    (void)argument;
    must_fail(give(region), EPERM);
    yoke_region_close(region);
    return 0;
}

static void only_its_owner_releases_it(void **state)
{
    yoke_region *region = region_make(name, 4096), *other = region_join(name);

    (void)state;
    must_fail(give(region), EPERM);
    assert_int_equal(take(region, YOKE_NOW), YOKE_LOCKED);
    must_fail(in_a_thread(give_back, region), EPERM);
    must_fail(give(other), EPERM);
    assert_int_equal(role_wait(role_start(role_may_not_release, NULL), SOON_MS), 0);
    must_fail(in_a_thread(take_now, region), EAGAIN); /* none of that let go of it */
    must(give(region));
    yoke_region_close(other);
    yoke_region_close(region);
}

static void pointer_outside_the_region_or_misaligned_is_refused(void **state)
{
    yoke_region *region = region_make(name, 4096), *other = region_join(name);
    unsigned char *data = yoke_region_data(region);
    yoke_lock on_the_stack = {{0}};
    const void *bad[] = {
        NULL,        &on_the_stack, data - 8,     data + 4096 - 24,
        data + 4096, data + 1,      data + 4,     data - 4096,
        (void *)-8,  (void *)8,     data + 65536, yoke_region_data(other),
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        yoke_lock *lock = (yoke_lock *)(uintptr_t)bad[i];

        must_fail(yoke_lock_acquire(region, lock, YOKE_NOW), EINVAL);
        assert_non_null(strstr(yoke_explain(), name));
        must_fail(yoke_lock_release(region, lock), EINVAL);
    }
    assert_int_equal(yoke_lock_acquire(region, (yoke_lock *)(data + 4096 - 32), YOKE_NOW),
                     YOKE_LOCKED);
    assert_int_equal(yoke_lock_acquire(region, (yoke_lock *)data, YOKE_NOW), YOKE_LOCKED);
    yoke_region_close(other);
    yoke_region_close(region);
}

static void read_only_handle_and_null_are_refused(void **state)
{
    yoke_region *region = region_make(name, 4096), *reader;

    (void)state;
    must(yoke_region_open(&reader, name, YOKE_READ_ONLY));
    must_fail(take(reader, YOKE_NOW), EACCES);
    assert_non_null(strstr(yoke_explain(), "read-only"));
    must_fail(give(reader), EACCES);
    must_fail(yoke_lock_acquire(NULL, &in(region)->lock, YOKE_NOW), EINVAL);
    must_fail(yoke_lock_release(NULL, &in(region)->lock), EINVAL);
    must_fail(take(region, -2), EINVAL);
    must_fail(take(region, INT64_MIN), EINVAL);
    yoke_region_close(reader);
    yoke_region_close(region);
}

static void garbage_in_its_place_is_no_hang(void **state)
{
    yoke_region *region = region_make(name, 4096);

    (void)state;
    srandom((unsigned)test_seed());
    for (int i = 0; i < 200; i++) {
        unsigned char *bytes = (unsigned char *)&in(region)->lock;
        int result;

        for (size_t j = 0; j < sizeof(yoke_lock); j++)
            bytes[j] = i == 0 ? 0xff : (unsigned char)random();
        result = take(region, MS);
        if (result >= 0)
            must(give(region));
        else
            assert_true(result == -ETIMEDOUT || result == -EDEADLK || result == -EPROTO);
    }
    yoke_region_close(region);
}

/* ---- death ------------------------------------------------------------------------------------ */

static int role_takes_and_waits(void *argument)
{
    const struct baton *ready = argument;
    yoke_region *region = region_join(name);

    must(take(region, LONG_WAIT));
    in(region)->counter = in(region)->counter + 1;
    baton_pass(ready);
    for (;;)
        pause();
    return 0;
}

static pid_t start_owner(struct baton *ready)
{
    pid_t pid;

    baton_make(ready);
    pid = role_start(role_takes_and_waits, ready);
    baton_take(ready);
    baton_drop(ready);
    return pid;
}

static void next_owner_is_told_that_the_last_one_died(void **state)
{
    yoke_region *region = region_make(name, 4096);
    struct baton ready;

    (void)state;
    for (int i = 1; i <= 20; i++) {
        role_kill(start_owner(&ready));
        assert_int_equal(take(region, i % 2 ? YOKE_NOW : LONG_WAIT), YOKE_OWNER_DIED);
        assert_int_equal(in(region)->counter, i);
        must(give(region));
        assert_int_equal(take(region, YOKE_NOW), YOKE_LOCKED); /* told once */
        must(give(region));
    }
    yoke_region_close(region);
}

static int role_takes_over_and_dies(void *argument)
{
    yoke_region *region = region_join(name);

    (void)argument;
    assert_int_equal(take(region, YOKE_NOW), YOKE_OWNER_DIED);
    raise(SIGKILL);
    return 0;
}

static void told_again_when_the_one_who_was_told_dies_too(void **state)
{
    yoke_region *region = region_make(name, 4096);
    struct baton ready;

    (void)state;
    role_kill(start_owner(&ready));
    for (int i = 0; i < 5; i++)
        assert_int_equal(role_wait(role_start(role_takes_over_and_dies, NULL), SOON_MS),
                         128 + SIGKILL);
    assert_int_equal(take(region, YOKE_NOW), YOKE_OWNER_DIED);
    must(give(region));
    yoke_region_close(region);
}

static void waiter_is_told_while_it_waits(void **state)
{
    yoke_region *region = region_make(name, 4096);
    struct worker waiters[2];
    struct baton ready;
    pid_t pid = start_owner(&ready);

    (void)state;
    worker_start(&waiters[0], take_for_long, region);
    worker_wait_asleep(&waiters[0]);
    role_kill(pid);
    assert_int_equal(worker_join(&waiters[0]), YOKE_OWNER_DIED);
    yoke_region_close(region);
}

static void dead_owner_is_known_though_its_place_was_taken_again(void **state)
{
    yoke_region *region = region_make(name, 4096), *successor;
    struct baton ready;

    (void)state;
    role_kill(start_owner(&ready));
    successor = region_join(name); /* in the slot of the dead one */
    assert_int_equal(take(region, YOKE_NOW), YOKE_OWNER_DIED);
    must_fail(give(successor), EPERM);
    must_fail(take(successor, YOKE_NOW), EAGAIN);
    must(give(region));
    yoke_region_close(successor);
    yoke_region_close(region);
}

static void handle_closed_while_holding_counts_as_death(void **state)
{
    yoke_region *region = region_make(name, 4096), *other;

    (void)state;
    for (int i = 0; i < 10; i++) {
        other = region_join(name);
        assert_int_equal(take(other, YOKE_NOW), YOKE_LOCKED);
        yoke_region_close(other);
        if (i % 2)
            other = region_join(name); /* takes the same slot */
        assert_int_equal(take(region, YOKE_NOW), YOKE_OWNER_DIED);
        must(give(region));
        if (i % 2)
            yoke_region_close(other);
    }
    yoke_region_close(region);
}

static void stopped_owner_keeps_it(void **state)
{
    yoke_region *region = region_make(name, 4096);
    struct baton ready;
    pid_t pid = start_owner(&ready);

    (void)state;
    role_stop(pid);
    assert_times_out(take_for_30_ms, region, 30 * MS);
    must_fail(take(region, 250 * MS), ETIMEDOUT); /* over several looks at who is alive */
    role_kill(pid);
    assert_int_equal(take(region, YOKE_NOW), YOKE_OWNER_DIED);
    yoke_region_close(region);
}

/* ---- forks ------------------------------------------------------------------------------------ */

static int role_is_somebody_else(void *argument)
{
    yoke_region *region = argument; /* the parent's handle, whose thread holds the lock */

    must_fail(give(region), EPERM);
    must_fail(take(region, YOKE_NOW), EAGAIN);
    must_fail(take(region, 20 * MS), ETIMEDOUT);
    assert_int_equal(yoke_lock_acquire(region, &in(region)->spare, YOKE_NOW), YOKE_LOCKED);
    return 0; /* with the spare in its hands */
}

static void forked_child_is_another_holder(void **state)
{
    yoke_region *region = region_make(name, 4096);

    (void)state;
    assert_int_equal(take(region, YOKE_NOW), YOKE_LOCKED);
    assert_int_equal(role_wait(role_start(role_is_somebody_else, region), SOON_MS), 0);
    must(give(region));
    assert_int_equal(yoke_lock_acquire(region, &in(region)->spare, YOKE_NOW), YOKE_OWNER_DIED);
    must(yoke_lock_release(region, &in(region)->spare));
    yoke_region_close(region);
}

struct family {
    struct baton ready, end;
    pid_t *child;    /* in memory that all of them share */
    bool plain_fork; /* through _Fork(), which tells no library of it */
    bool child_uses_it;
};

/* Takes the lock, forks a child that lives on, and waits to be killed. */
static int role_parent_with_a_child(void *argument)
{
    struct family *family = argument;
    yoke_region *region = region_join(name);
    pid_t child;

    must(take(region, YOKE_NOW));
    child = family->plain_fork ? _Fork() : fork();
    if (child == 0) {
        *family->child = getpid();
        if (family->child_uses_it)
            must_fail(take(region, YOKE_NOW), EAGAIN);
        baton_pass(&family->ready);
        baton_take(&family->end);
        _exit(0);
    }
    for (;;)
        pause();
    return 0;
}

static void lock_of_a_killed_parent_is_free_though_its_child_lives(struct family *family)
{
    yoke_region *region = region_make(name, 4096);
    pid_t pid;

    baton_make(&family->ready);
    baton_make(&family->end);
    family->child = shared_new(sizeof *family->child);
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); /* the orphan is then ours */
    pid = role_start(role_parent_with_a_child, family);
    baton_take(&family->ready);
    must_fail(take(region, YOKE_NOW), EAGAIN);
    role_kill(pid);
    assert_int_equal(take(region, LONG_WAIT), YOKE_OWNER_DIED);
    baton_pass(&family->end);
    assert_int_equal(role_wait(*family->child, SOON_MS), 0);
    yoke_region_close(region);
    shared_drop(family->child, sizeof *family->child);
    baton_drop(&family->ready);
    baton_drop(&family->end);
}

static void forked_child_does_not_keep_its_dead_parents_lock(void **state)
{
    (void)state;
    lock_of_a_killed_parent_is_free_though_its_child_lives(
        &(struct family){.child_uses_it = false});
    lock_of_a_killed_parent_is_free_though_its_child_lives(&(struct family){.child_uses_it = true});
}

static void child_of_plain_fork_that_uses_the_handle_does_not_keep_it_either(void **state)
{
    (void)state;
    lock_of_a_killed_parent_is_free_though_its_child_lives(
        &(struct family){.plain_fork = true, .child_uses_it = true});
}

/* ---- waits ------------------------------------------------------------------------------------ */

static void signal_handler_ends_the_wait_even_with_sa_restart(void **state)
{
    yoke_region *region = region_make(name, 4096);

    (void)state;
    assert_int_equal(take(region, YOKE_NOW), YOKE_LOCKED);
    must_fail(interrupted_result(take_for_long, region), EINTR);
    must(give(region));
    yoke_region_close(region);
}

static void cancel_ends_this_wait_and_later_ones_of_that_handle_only(void **state)
{
    yoke_region *region = region_make(name, 4096), *other = region_join(name);
    struct worker waiter, bystander;

    (void)state;
    assert_int_equal(take(region, YOKE_NOW), YOKE_LOCKED);
    worker_start(&waiter, take_for_long, other);
    worker_start(&bystander, take_for_long, region);
    worker_wait_asleep(&waiter);
    worker_wait_asleep(&bystander);
    must(yoke_region_cancel(other));
    must_fail(worker_join(&waiter), ECANCELED);
    must_fail(take(other, LONG_WAIT), ECANCELED);
    must(give(region));
    assert_int_equal(worker_join(&bystander), YOKE_LOCKED);
    must_fail(yoke_region_cancel(NULL), EINVAL);
    yoke_region_close(other);
    yoke_region_close(region);
}

static void closing_the_handle_ends_another_threads_wait(void **state)
{
    yoke_region *region = region_make(name, 4096), *other;

    (void)state;
    assert_int_equal(take(region, YOKE_NOW), YOKE_LOCKED);
    for (int i = 0; i < 20; i++) {
        struct worker waiters[2];

        other = region_join(name);
        for (int j = 0; j < 2; j++)
            worker_start(&waiters[j], take_for_long, other);
        for (int j = 0; j < 2; j++)
            worker_wait_asleep(&waiters[j]);
        yoke_region_close(other);
        for (int j = 0; j < 2; j++)
            must_fail(worker_join(&waiters[j]), ECANCELED);
    }
    must(give(region));
    yoke_region_close(region);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        api_test(one_at_a_time_between_processes),
        api_test(one_at_a_time_between_threads_of_one_and_of_two_handles),
        api_test(waiter_gets_the_lock_when_it_is_released),
        api_test(locks_of_one_region_are_independent),
        api_test(taking_it_twice_is_an_error_and_no_hang),
        api_test(another_thread_or_handle_does_not_get_a_held_lock),
        api_test(only_its_owner_releases_it),
        api_test(pointer_outside_the_region_or_misaligned_is_refused),
        api_test(read_only_handle_and_null_are_refused),
        api_test(garbage_in_its_place_is_no_hang),
        api_test(next_owner_is_told_that_the_last_one_died),
        api_test(told_again_when_the_one_who_was_told_dies_too),
        api_test(waiter_is_told_while_it_waits),
        api_test(dead_owner_is_known_though_its_place_was_taken_again),
        api_test(handle_closed_while_holding_counts_as_death),
        api_test(stopped_owner_keeps_it),
        api_test(forked_child_is_another_holder),
        api_test(forked_child_does_not_keep_its_dead_parents_lock),
        api_test(child_of_plain_fork_that_uses_the_handle_does_not_keep_it_either),
        api_test(signal_handler_ends_the_wait_even_with_sa_restart),
        api_test(cancel_ends_this_wait_and_later_ones_of_that_handle_only),
        api_test(closing_the_handle_ends_another_threads_wait),
    };

    return cmocka_run_group_tests(tests, api_setup, NULL);
}
