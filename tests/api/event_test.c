/* The event in a region: wait until notified, no wake-up lost. */
#include "api.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

struct shared {
    yoke_event ping, pong;
    atomic_uint ready;
};

static const char *name = "events";

static struct shared *in(yoke_region *region)
{
    return yoke_region_data(region);
}

/* ---- no wake-up is lost ------------------------------------------------------------------------ */

#define TURNS 20000
/*
 * A sleeper looks again by itself after 100 ms, which hides a lost wake-up from everything but the
 * clock. A busy machine makes a few turns slow, too, and now and then many: then all are taken again.
 */
#define SLOW         (90 * MS)
#define SLOW_ALLOWED 20

/* Waits for `mine`, notifies `theirs`, TURNS times; returns how many of the waits were slow. */
static int take_turns(yoke_region *region, yoke_event *mine, yoke_event *theirs)
{
    uint64_t seen = 0;
    int slow = 0;

    for (uint64_t i = 1; i <= TURNS; i++) {
        int64_t begin = now_ns();

        must(yoke_event_wait(region, mine, &seen, SOON_MS * MS));
        assert_int_equal(seen, i);
        slow += now_ns() - begin > SLOW;
        must(yoke_event_notify(region, theirs));
    }
    return slow;
}

static int role_answers(void *argument)
{
    yoke_region *region = region_join(name);
    int slow = take_turns(region, &in(region)->ping, &in(region)->pong);

    (void)argument;
    yoke_region_close(region);
    return slow > SLOW_ALLOWED;
}

/* Were all but a few turns quick, on both sides? */
static bool ping_pong_is_quick(void)
{
    yoke_region *region = region_make(name, 4096);
    pid_t pid = role_start(role_answers, NULL);
    int slow, others_slow;

    must(yoke_event_notify(region, &in(region)->ping));
    slow = take_turns(region, &in(region)->pong, &in(region)->ping);
    others_slow = role_wait(pid, SOON_MS);
    assert_in_range(others_slow, 0, 1);
    assert_int_equal(yoke_event_count(region, &in(region)->ping), TURNS + 1);
    assert_int_equal(yoke_event_count(region, &in(region)->pong), TURNS);
    yoke_region_close(region);
    return slow <= SLOW_ALLOWED && others_slow == 0;
}

static void ping_pong_between_two_processes_loses_no_wake_up(void **state)
{
    int64_t end = now_ns() + SOON_MS * MS;

    (void)state;
    while (!ping_pong_is_quick())
        assert_true(now_ns() < end);
}

static int role_notifies_often(void *argument)
{
    yoke_region *region = region_join(name);

    (void)argument;
    for (int i = 0; i < 10000; i++)
        must(yoke_event_notify(region, &in(region)->ping));
    yoke_region_close(region);
    return 0;
}

static void notifications_of_several_processes_are_all_counted(void **state)
{
    yoke_region *region = region_make(name, 4096);
    uint64_t seen = 0;
    pid_t pids[4];

    (void)state;
    for (int i = 0; i < 4; i++)
        pids[i] = role_start(role_notifies_often, NULL);
    while (seen < 40000) {
        uint64_t before = seen;

        must(yoke_event_wait(region, &in(region)->ping, &seen, SOON_MS * MS));
        assert_true(seen > before && seen <= 40000);
    }
    for (int i = 0; i < 4; i++)
        assert_int_equal(role_wait(pids[i], SOON_MS), 0);
    must_fail(yoke_event_wait(region, &in(region)->ping, &seen, YOKE_NOW), EAGAIN);
    yoke_region_close(region);
}

/* ---- who is woken by what ---------------------------------------------------------------------- */

static int role_waits_for_the_first(void *argument)
{
    yoke_region *region = region_join(name);
    uint64_t seen = yoke_event_count(region, &in(region)->ping);

    (void)argument;
    atomic_fetch_add(&in(region)->ready, 1);
    must(yoke_event_wait(region, &in(region)->ping, &seen, LONG_WAIT));
    return (int)seen;
}

static void one_notification_wakes_all_who_wait(void **state)
{
    yoke_region *region = region_make(name, 4096);
    pid_t pids[5];

    (void)state;
    for (int i = 0; i < 5; i++)
        pids[i] = role_start(role_waits_for_the_first, NULL);
    while (atomic_load(&in(region)->ready) < 5)
        usleep(100);
    for (int i = 0; i < 5; i++)
        role_wait_asleep(pids[i], SOON_MS);
    must(yoke_event_notify(region, &in(region)->ping));
    for (int i = 0; i < 5; i++)
        assert_int_equal(role_wait(pids[i], SOON_MS), 1);
    yoke_region_close(region);
}

static void what_was_notified_before_the_wait_is_not_missed(void **state)
{
    yoke_region *region = region_make(name, 4096);
    yoke_event *event = &in(region)->ping;
    uint64_t since_ever = 0, since_now = yoke_event_count(region, event);

    (void)state;
    assert_int_equal(since_now, 0);
    must_fail(yoke_event_wait(region, event, &since_ever, YOKE_NOW), EAGAIN);
    assert_int_equal(since_ever, 0);
    must(yoke_event_notify(region, event));
    must(yoke_event_notify(region, event));
    assert_int_equal(yoke_event_count(region, event), 2);
    must(yoke_event_wait(region, event, &since_ever, YOKE_FOREVER));
    assert_int_equal(since_ever, 2);
    must(yoke_event_wait(region, event, &since_now, YOKE_NOW));
    since_now = yoke_event_count(region, event);
    must_fail(yoke_event_wait(region, event, &since_now, YOKE_NOW), EAGAIN);
    since_ever = 0;
    must_fail(yoke_event_wait(region, &in(region)->pong, &since_ever, YOKE_NOW), EAGAIN);
    yoke_region_close(region);
}

static int role_notifies_and_dies(void *argument)
{
    yoke_region *region = region_join(name);

    (void)argument;
    must(yoke_event_notify(region, &in(region)->ping));
    raise(SIGKILL);
    return 0;
}

static int64_t wait_for_ping(void *region)
{
    uint64_t seen = 0;
    int result = yoke_event_wait(region, &in(region)->ping, &seen, LONG_WAIT);

    return result < 0 ? result : (int64_t)seen;
}

static void notification_of_a_process_that_died_right_after_counts(void **state)
{
    yoke_region *region = region_make(name, 4096);
    struct worker waiter;

    (void)state;
    worker_start(&waiter, wait_for_ping, region);
    worker_wait_asleep(&waiter);
    assert_int_equal(role_wait(role_start(role_notifies_and_dies, NULL), SOON_MS), 128 + SIGKILL);
    assert_int_equal(worker_join(&waiter), 1);
    yoke_region_close(region);
}

static int role_child_waits(void *region)
{
    return (int)wait_for_ping(region);
}

static void forked_child_waits_through_its_parents_handle(void **state)
{
    yoke_region *region = region_make(name, 4096);
    pid_t pid = role_start(role_child_waits, region);

    (void)state;
    must(yoke_event_notify(region, &in(region)->ping));
    assert_int_equal(role_wait(pid, SOON_MS), 1);
    yoke_region_close(region);
}

/* ---- refusals and waits ------------------------------------------------------------------------ */

static void bad_places_and_null_are_refused(void **state)
{
    yoke_region *region = region_make(name, 4096), *reader;
    unsigned char *data = yoke_region_data(region);
    yoke_event on_the_stack = {{0}}, *bad[] = {
                                         NULL,
                                         &on_the_stack,
                                         (yoke_event *)(data - 8),
                                         (yoke_event *)(data + 4),
                                         (yoke_event *)(data + 4096 - 24),
                                     };
    uint64_t seen = 7;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        must_fail(yoke_event_notify(region, bad[i]), EINVAL);
        must_fail(yoke_event_wait(region, bad[i], &seen, YOKE_NOW), EINVAL);
        assert_int_equal(yoke_event_count(region, bad[i]), 0);
    }
    must_fail(yoke_event_notify(NULL, &in(region)->ping), EINVAL);
    must_fail(yoke_event_wait(NULL, &in(region)->ping, &seen, YOKE_NOW), EINVAL);
    must_fail(yoke_event_wait(region, &in(region)->ping, NULL, YOKE_NOW), EINVAL);
    assert_non_null(strstr(yoke_explain(), "seen"));
    must_fail(yoke_event_wait(region, &in(region)->ping, &(uint64_t){0}, -5), EINVAL);
    must(yoke_region_open(&reader, name, YOKE_READ_ONLY));
    must_fail(yoke_event_notify(reader, &in(reader)->ping), EACCES);
    assert_int_equal(seen, 7);
    yoke_region_close(reader);
    yoke_region_close(region);
}

static int64_t wait_for_30_ms(void *region)
{
    uint64_t seen = 0;

    return yoke_event_wait(region, &in(region)->ping, &seen, 30 * MS);
}

static void wait_ends_by_time_signal_cancel_and_close(void **state)
{
    yoke_region *region = region_make(name, 4096), *other = region_join(name);
    struct worker waiter;

    (void)state;
    assert_times_out(wait_for_30_ms, region, 30 * MS);
    must_fail(interrupted_result(wait_for_ping, region), EINTR);
    worker_start(&waiter, wait_for_ping, region);
    worker_wait_asleep(&waiter);
    must(yoke_region_cancel(region));
    must_fail(worker_join(&waiter), ECANCELED);
    worker_start(&waiter, wait_for_ping, other);
    worker_wait_asleep(&waiter);
    must(yoke_region_close(other));
    must_fail(worker_join(&waiter), ECANCELED);
    yoke_region_close(region);
}

/* A waiter that remembers more than there was would wait for ever. */
static void event_that_was_made_anew_is_told(void **state)
{
    yoke_region *region = region_make(name, 4096);
    uint64_t seen = 7;

    (void)state;
    must(yoke_event_wait(region, &in(region)->ping, &seen, YOKE_NOW));
    assert_int_equal(seen, 0);
    must_fail(yoke_event_wait(region, &in(region)->ping, &seen, YOKE_NOW), EAGAIN);
    yoke_region_close(region);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        api_test(ping_pong_between_two_processes_loses_no_wake_up),
        api_test(notifications_of_several_processes_are_all_counted),
        api_test(one_notification_wakes_all_who_wait),
        api_test(what_was_notified_before_the_wait_is_not_missed),
        api_test(notification_of_a_process_that_died_right_after_counts),
        api_test(forked_child_waits_through_its_parents_handle),
        api_test(bad_places_and_null_are_refused),
        api_test(wait_ends_by_time_signal_cancel_and_close),
        api_test(event_that_was_made_anew_is_told),
    };

    return cmocka_run_group_tests(tests, api_setup, NULL);
}
