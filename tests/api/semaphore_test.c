/* The semaphore in a region, whose units come back from the dead. */
#include "api.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define UNITS 3

struct shared {
    atomic_int inside, most, total;
    uint32_t pad;
    uint64_t semaphore[YOKE_SEMAPHORE_SIZE(UNITS) / 8];
};

static const char *name = "semaphores";

static struct shared *in(yoke_region *region)
{
    return yoke_region_data(region);
}

static yoke_semaphore *the(yoke_region *region)
{
    return (yoke_semaphore *)in(region)->semaphore;
}

static yoke_region *make_with_semaphore(uint32_t units)
{
    yoke_region *region = region_make(name, 4096);

    must(yoke_semaphore_init(region, the(region), units));
    return region;
}

static int take(yoke_region *region, int64_t timeout_ns)
{
    return yoke_semaphore_acquire(region, the(region), timeout_ns);
}

static int give(yoke_region *region)
{
    return yoke_semaphore_release(region, the(region));
}

static int value(yoke_region *region)
{
    return yoke_semaphore_value(region, the(region));
}

static int64_t take_for_long(void *region)
{
    return take(region, LONG_WAIT);
}

static int64_t take_for_30_ms(void *region)
{
    return take(region, 30 * MS);
}

static int64_t give_back(void *region)
{
    return give(region);
}

/* ---- counting --------------------------------------------------------------------------------- */

#define ROUNDS 5000

static int role_goes_in_and_out(void *argument)
{
    yoke_region *region = region_join(name);
    struct shared *shared = in(region);

    (void)argument;
    for (int i = 0; i < ROUNDS; i++) {
        int now, most;

        must(take(region, LONG_WAIT));
        now = atomic_fetch_add(&shared->inside, 1) + 1;
        most = atomic_load(&shared->most);
        while (now > most && !atomic_compare_exchange_weak(&shared->most, &most, now))
            continue;
        atomic_fetch_add(&shared->total, 1);
        atomic_fetch_sub(&shared->inside, 1);
        must(give(region));
    }
    yoke_region_close(region);
    return 0;
}

static void never_more_inside_than_there_are_units(void **state)
{
    yoke_region *region = make_with_semaphore(UNITS);
    pid_t pids[6];

    (void)state;
    for (int i = 0; i < 6; i++)
        pids[i] = role_start(role_goes_in_and_out, NULL);
    for (int i = 0; i < 6; i++)
        assert_int_equal(role_wait(pids[i], SOON_MS), 0);
    assert_in_range(in(region)->most, 1, UNITS);
    assert_int_equal(in(region)->total, 6 * ROUNDS);
    assert_int_equal(value(region), UNITS);
    yoke_region_close(region);
}

static void units_are_counted_exactly(void **state)
{
    yoke_region *region = make_with_semaphore(UNITS), *other = region_join(name);

    (void)state;
    for (int left = UNITS; left > 0; left--) {
        assert_int_equal(value(other), left);
        must(take(left % 2 ? region : other, YOKE_NOW));
    }
    assert_int_equal(value(region), 0);
    must_fail(take(region, YOKE_NOW), EAGAIN);
    must_fail(take(other, YOKE_NOW), EAGAIN);
    must(give(region));
    must(take(other, YOKE_NOW));
    yoke_region_close(other);
    yoke_region_close(region);
}

static void any_number_of_units_up_to_the_most_works(void **state)
{
    static const uint32_t numbers[] = {1, 2, 63, 1000, YOKE_SEMAPHORE_UNITS_MAX};

    (void)state;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        uint32_t units = numbers[i];
        size_t size = YOKE_SEMAPHORE_SIZE(units);
        yoke_region *region = region_make(name, size + 8);
        yoke_semaphore *semaphore = yoke_region_data(region);
        unsigned char *behind = (unsigned char *)yoke_region_data(region) + size;

        memset(behind, 0x5a, 8);
        must(yoke_semaphore_init(region, semaphore, units));
        for (uint32_t j = 0; j < units; j++)
            must(yoke_semaphore_acquire(region, semaphore, YOKE_NOW));
        must_fail(yoke_semaphore_acquire(region, semaphore, YOKE_NOW), EAGAIN);
        assert_int_equal(yoke_semaphore_value(region, semaphore), 0);
        must(yoke_semaphore_release(region, semaphore));
        assert_int_equal(yoke_semaphore_value(region, semaphore), 1);
        for (int j = 0; j < 8; j++)
            assert_int_equal(behind[j], 0x5a);
        yoke_region_close(region);
    }
}

static void unit_given_back_goes_to_who_waits(void **state)
{
    yoke_region *region = make_with_semaphore(1), *other = region_join(name);
    struct worker waiter;

    (void)state;
    must(take(region, YOKE_NOW));
    worker_start(&waiter, take_for_long, other);
    worker_wait_asleep(&waiter);
    must(give(region));
    assert_int_equal(worker_join(&waiter), 0);
    assert_int_equal(value(region), 0);
    yoke_region_close(other);
    yoke_region_close(region);
}

static void any_thread_of_the_handle_gives_back_but_no_other_handle(void **state)
{
    yoke_region *region = make_with_semaphore(2), *other = region_join(name);
    struct worker giver;

    (void)state;
    must_fail(give(region), EPERM);
    must(take(region, YOKE_NOW));
    must_fail(give(other), EPERM);
    worker_start(&giver, give_back, region);
    assert_int_equal(worker_join(&giver), 0);
    must_fail(give(region), EPERM);
    assert_int_equal(value(region), 2);
    yoke_region_close(other);
    yoke_region_close(region);
}

/* ---- death ------------------------------------------------------------------------------------ */

static int role_takes_all_and_waits(void *argument)
{
    const struct baton *ready = argument;
    yoke_region *region = region_join(name);

    for (int i = 0; i < UNITS; i++)
        must(take(region, YOKE_NOW));
    baton_pass(ready);
    for (;;)
        pause();
    return 0;
}

static void units_of_a_killed_process_come_back(void **state)
{
    yoke_region *region = make_with_semaphore(UNITS), *other = region_join(name);
    struct baton ready;

    (void)state;
    baton_make(&ready);
    for (int round = 0; round < 20; round++) {
        pid_t pid = role_start(role_takes_all_and_waits, &ready);

        baton_take(&ready);
        must_fail(take(region, YOKE_NOW), EAGAIN);
        assert_int_equal(value(other), 0);
        role_kill(pid);
        if (round % 2)
            assert_int_equal(value(other), UNITS);
        for (int i = 0; i < UNITS; i++)
            must(take(region, YOKE_NOW));
        must_fail(take(region, YOKE_NOW), EAGAIN);
        for (int i = 0; i < UNITS; i++)
            must(give(region));
    }
    baton_drop(&ready);
    yoke_region_close(other);
    yoke_region_close(region);
}

static void waiter_gets_the_unit_of_a_process_killed_meanwhile(void **state)
{
    yoke_region *region = make_with_semaphore(UNITS);
    struct worker waiters[2];
    struct baton ready;
    pid_t pid;

    (void)state;
    baton_make(&ready);
    pid = role_start(role_takes_all_and_waits, &ready);
    baton_take(&ready);
    for (int i = 0; i < 2; i++)
        worker_start(&waiters[i], take_for_long, region);
    for (int i = 0; i < 2; i++)
        worker_wait_asleep(&waiters[i]);
    role_kill(pid);
    for (int i = 0; i < 2; i++)
        assert_int_equal(worker_join(&waiters[i]), 0);
    assert_int_equal(value(region), UNITS - 2);
    baton_drop(&ready);
    yoke_region_close(region);
}

static void units_of_a_closed_handle_come_back(void **state)
{
    yoke_region *region = make_with_semaphore(UNITS), *other = region_join(name);

    (void)state;
    for (int i = 0; i < UNITS; i++)
        must(take(other, YOKE_NOW));
    must_fail(take(region, YOKE_NOW), EAGAIN);
    yoke_region_close(other);
    assert_int_equal(value(region), UNITS);
    other = region_join(name); /* the same slot; none of those units is its */
    must_fail(give(other), EPERM);
    for (int i = 0; i < UNITS; i++)
        must(take(region, YOKE_NOW));
    yoke_region_close(other);
    yoke_region_close(region);
}

static void units_of_a_stopped_process_stay_its_own(void **state)
{
    yoke_region *region = make_with_semaphore(UNITS);
    struct baton ready;
    pid_t pid;

    (void)state;
    baton_make(&ready);
    pid = role_start(role_takes_all_and_waits, &ready);
    baton_take(&ready);
    role_stop(pid);
    must_fail(take(region, 250 * MS), ETIMEDOUT);
    role_kill(pid);
    must(take(region, YOKE_NOW));
    baton_drop(&ready);
    yoke_region_close(region);
}

static int role_child_of_a_holder(void *region)
{
    must_fail(give(region), EPERM); /* those are the parent's */
    must(take(region, YOKE_NOW));
    must_fail(take(region, YOKE_NOW), EAGAIN);
    return 0;
}

static void forked_child_is_another_holder(void **state)
{
    yoke_region *region = make_with_semaphore(UNITS);

    (void)state;
    must(take(region, YOKE_NOW));
    must(take(region, YOKE_NOW));
    assert_int_equal(role_wait(role_start(role_child_of_a_holder, region), SOON_MS), 0);
    must(take(region, YOKE_NOW)); /* the dead child's */
    for (int i = 0; i < UNITS; i++)
        must(give(region));
    must_fail(give(region), EPERM);
    yoke_region_close(region);
}

/* ---- refusals and waits ----------------------------------------------------------------------- */

static void bad_units_and_places_are_refused(void **state)
{
    yoke_region *region = region_make(name, 4096), *reader;
    unsigned char *data = yoke_region_data(region);
    yoke_semaphore *semaphore = the(region);

    (void)state;
    must_fail(take(region, YOKE_NOW), EINVAL);
    assert_non_null(strstr(yoke_explain(), "no initialised semaphore"));
    must_fail(give(region), EINVAL);
    must_fail(value(region), EINVAL);
    must_fail(yoke_semaphore_init(region, semaphore, 0), EINVAL);
    must_fail(yoke_semaphore_init(region, semaphore, YOKE_SEMAPHORE_UNITS_MAX + 1), EINVAL);
    assert_non_null(strstr(yoke_explain(), "65536"));
    must_fail(yoke_semaphore_init(region, semaphore, 2000), EINVAL); /* more than fits here */
    must_fail(yoke_semaphore_init(region, NULL, 1), EINVAL);
    must_fail(yoke_semaphore_init(region, (yoke_semaphore *)(data + 4), 1), EINVAL);
    must_fail(yoke_semaphore_init(region, (yoke_semaphore *)(data + 4096 - 32), 1), EINVAL);
    must_fail(yoke_semaphore_init(NULL, semaphore, 1), EINVAL);
    for (int i = 0; i < 4096; i++)
        assert_int_equal(data[i], 0); /* nothing was written by any of these */
    must(yoke_semaphore_init(region, (yoke_semaphore *)(data + 4096 - 40), 1));
    must(yoke_semaphore_init(region, semaphore, UNITS));
    must_fail(take(region, -2), EINVAL);
    must(yoke_region_open(&reader, name, YOKE_READ_ONLY));
    must_fail(take(reader, YOKE_NOW), EACCES);
    must_fail(value(reader), EACCES);
    yoke_region_close(reader);
    yoke_region_close(region);
}

static void garbage_in_its_place_is_no_hang(void **state)
{
    yoke_region *region = region_make(name, 65536);

    (void)state;
    srandom((unsigned)test_seed());
    for (int i = 0; i < 200; i++) {
        uint32_t *words = (uint32_t *)the(region);
        int result;

        for (size_t j = 0; j < 4000; j++)
            words[j] = (uint32_t)random() * 2 + (uint32_t)random();
        words[0] = i % 4 == 0 ? words[0] : (uint32_t)random() % 4000;
        result = take(region, MS);
        assert_true(result == 0 || result == -EINVAL || result == -ETIMEDOUT);
        value(region);
        give(region);
    }
    yoke_region_close(region);
}

static void wait_ends_by_time_signal_and_cancel(void **state)
{
    yoke_region *region = make_with_semaphore(1), *other = region_join(name);
    struct worker waiter;

    (void)state;
    must(take(region, YOKE_NOW));
    assert_times_out(take_for_30_ms, other, 30 * MS);
    must_fail(interrupted_result(take_for_long, other), EINTR);
    worker_start(&waiter, take_for_long, other);
    worker_wait_asleep(&waiter);
    must(yoke_region_cancel(other));
    must_fail(worker_join(&waiter), ECANCELED);
    yoke_region_close(other);
    yoke_region_close(region);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        api_test(never_more_inside_than_there_are_units),
        api_test(units_are_counted_exactly),
        api_test(any_number_of_units_up_to_the_most_works),
        api_test(unit_given_back_goes_to_who_waits),
        api_test(any_thread_of_the_handle_gives_back_but_no_other_handle),
        api_test(units_of_a_killed_process_come_back),
        api_test(waiter_gets_the_unit_of_a_process_killed_meanwhile),
        api_test(units_of_a_closed_handle_come_back),
        api_test(units_of_a_stopped_process_stay_its_own),
        api_test(forked_child_is_another_holder),
        api_test(bad_units_and_places_are_refused),
        api_test(garbage_in_its_place_is_no_hang),
        api_test(wait_ends_by_time_signal_and_cancel),
    };

    return cmocka_run_group_tests(tests, api_setup, NULL);
}
