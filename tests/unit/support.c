/* The tests' own helpers. */
#include "support.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static int role_returns_7(void *argument)
{
    (void)argument;
    return 7;
}

static int role_waits_for_ever(void *argument)
{
    struct baton *ready = argument;

    if (ready)
        baton_pass(ready);
    for (;;)
        pause();
    return 0;
}

static int role_fails_an_assertion(void *argument)
{
    (void)argument;
    fclose(stderr); /* the message is not this test's */
    fclose(stdout);
    assert_int_equal(1, 2);
    return 0;
}

static int role_passes_two(void *argument)
{
    struct baton *batons = argument;

    baton_take(&batons[0]);
    baton_pass(&batons[1]);
    return 0;
}

static void exit_status_of_a_role_is_returned(void **state)
{
    (void)state;
    assert_int_equal(role_wait(role_start(role_returns_7, NULL), SOON_MS), 7);
}

static void signal_that_killed_a_role_is_returned(void **state)
{
    struct baton ready;
    pid_t pid;

    (void)state;
    baton_make(&ready);
    pid = role_start(role_waits_for_ever, &ready);
    baton_take(&ready);
    kill(pid, SIGTERM);
    assert_int_equal(role_wait(pid, SOON_MS), 128 + SIGTERM);
    baton_drop(&ready);
}

static void failed_assertion_in_a_role_aborts_only_the_role(void **state)
{
    (void)state;
    assert_int_equal(role_wait(role_start(role_fails_an_assertion, NULL), SOON_MS), 128 + SIGABRT);
}

static void stopped_role_is_stopped_goes_on_and_can_be_killed(void **state)
{
    pid_t pid = role_start(role_waits_for_ever, NULL);

    (void)state;
    role_wait_asleep(pid, SOON_MS);
    role_stop(pid);
    assert_int_equal(process_state(pid), 'T');
    role_resume(pid);
    role_wait_asleep(pid, SOON_MS);
    role_stop(pid);
    role_kill(pid);
    assert_int_equal(process_state(pid), 0);
}

static void batons_go_both_ways_and_leave_no_descriptor(void **state)
{
    struct baton batons[2];
    int before = open_descriptors();
    pid_t pid;

    (void)state;
    baton_make(&batons[0]);
    baton_make(&batons[1]);
    pid = role_start(role_passes_two, batons);
    assert_false(baton_take_within(&batons[1], 1));
    baton_pass(&batons[0]);
    baton_take(&batons[1]);
    assert_int_equal(role_wait(pid, SOON_MS), 0);
    assert_int_equal(open_descriptors(), before + 4);
    baton_drop(&batons[0]);
    baton_drop(&batons[1]);
    assert_int_equal(open_descriptors(), before);
}

/* ---- cases ---- */

static struct shared {
    pid_t left, orphan;
} * shared;

static int role_leaves_an_orphan(void *argument)
{
    (void)argument;
    shared->orphan = role_start(role_waits_for_ever, NULL);
    return 0;
}

static void case_that_fails(void **state)
{
    (void)state;
    shared->left = role_start(role_waits_for_ever, NULL);
    role_stop(shared->left);
    assert_int_equal(role_wait(role_start(role_leaves_an_orphan, NULL), SOON_MS), 0);
    assert_int_equal(1, 2);
}

static void case_that_finds_nothing(void **state)
{
    (void)state;
    assert_int_equal(process_state(shared->left), 0);
    assert_int_equal(process_state(shared->orphan), 0);
}

static void case_that_is_skipped(void **state)
{
    (void)state;
    skip_test("as it should be");
}

static int end_case(void **state)
{
    bool failed;

    (void)state;
    return case_end(&failed) ? 0 : -1;
}

static int role_runs_cases(void *argument)
{
    const struct CMUnitTest cases[] = {
        test_case(case_that_fails, end_case),
        test_case(case_that_finds_nothing, end_case),
        test_case(case_that_is_skipped, end_case),
    };

    (void)argument;
    fclose(stderr); /* what they say is not this test's */
    fclose(stdout);
    unsetenv("CMOCKA_TEST_ABORT");
    return cmocka_run_group_tests(cases, NULL, NULL);
}

static void failed_case_leaves_nothing_to_the_next(void **state)
{
    (void)state;
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(shared != MAP_FAILED);
    assert_int_equal(role_wait(role_start(role_runs_cases, NULL), SOON_MS), 1);
    assert_int_equal(process_state(shared->orphan), 0);
    munmap(shared, sizeof *shared);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exit_status_of_a_role_is_returned),
        cmocka_unit_test(signal_that_killed_a_role_is_returned),
        cmocka_unit_test(failed_assertion_in_a_role_aborts_only_the_role),
        cmocka_unit_test(stopped_role_is_stopped_goes_on_and_can_be_killed),
        cmocka_unit_test(batons_go_both_ways_and_leave_no_descriptor),
        cmocka_unit_test(failed_case_leaves_nothing_to_the_next),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
