/* What a port costs the kernel: nothing while busy, one wake for a sleeper, little while idle. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../api/api.h"

static const char *name = "busy";

/* ---- counting the system calls of a child between two marks --------------------------------------- */

static void mark(void)
{
    syscall(SYS_getppid);
}

/* Resumes a traced child until its next system-call stop; false when it ended. */
static bool to_next_stop(pid_t pid)
{
    int status;

    if (ptrace(PTRACE_SYSCALL, pid, 0, 0) != 0 || waitpid(pid, &status, 0) != pid)
        fail_msg("tracing %d: %s", pid, strerror(errno));
    return WIFSTOPPED(status);
}

/* Which system call it enters; -1 at other stops. */
static int64_t entered_call(pid_t pid)
{
    struct __ptrace_syscall_info info;

    if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, &info) <= 0)
        fail_msg("PTRACE_GET_SYSCALL_INFO: %s", strerror(errno));
    return info.op == PTRACE_SYSCALL_INFO_ENTRY ? (int64_t)info.entry.nr : -1;
}

/*
 * Runs a role that calls mark() twice; returns how many system calls it made between the two. Of these,
 * *ret_futexes are futex calls.
 */
static int traced_calls(int (*role)(void *), void *argument, int *ret_futexes)
{
    pid_t pid = role_start(role, argument);
    int status, marks = 0, calls = 0, futexes = 0;

    if (waitpid(pid, &status, 0) != pid ||
        !WIFSTOPPED(status)) /* its PTRACE_TRACEME, raise(SIGSTOP) */
        fail_msg("the traced role did not stop (status 0x%x)", (unsigned)status);
    ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
    while (marks < 2 && to_next_stop(pid)) {
        int64_t number = entered_call(pid);

        if (number == SYS_getppid)
            marks++;
        else if (number >= 0 && marks == 1)
            calls++;
        if (number == SYS_futex && marks == 1)
            futexes++;
    }
    assert_int_equal(marks, 2);
    ptrace(PTRACE_DETACH, pid, 0, 0);
    assert_int_equal(role_wait(pid, SOON_MS), 0);
    if (ret_futexes)
        *ret_futexes = futexes;
    return calls;
}

static void be_traced(void)
{
    if (ptrace(PTRACE_TRACEME, 0, 0, 0) != 0)
        fail_msg("PTRACE_TRACEME: %s", strerror(errno));
    raise(SIGSTOP);
}

/* ---- no system call while busy --------------------------------------------------------------------- */

#define MESSAGES 10000

static yoke_endpoint *make_roomy(void)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;

    options.depth = 2 * MESSAGES;
    options.participants = 8;
    options.max_message = 64;
    return port_make(name, &options);
}

static int role_sends_many(void *argument)
{
    yoke_endpoint *port = port_join(name);

    (void)argument;
    be_traced();
    mark();
    for (uint64_t i = 0; i < MESSAGES; i++)
        send_number(port, i);
    mark();
    yoke_close(port);
    return 0;
}

static int role_receives_many(void *argument)
{
    yoke_endpoint *port = port_join(name);

    (void)argument;
    be_traced();
    mark();
    for (uint64_t i = 0; i < MESSAGES; i++)
        assert_int_equal(recv_number(port, SOON_MS * MS), i);
    mark();
    yoke_close(port);
    return 0;
}

static void sending_while_there_is_room_and_receiving_what_is_there_call_no_kernel(void **state)
{
    yoke_endpoint *port = make_roomy();

    (void)state;
    assert_int_equal(traced_calls(role_sends_many, NULL, NULL), 0);
    /* now and then a receiver asks whether anybody died: at most every 50 ms, two calls a participant */
    assert_in_range(traced_calls(role_receives_many, NULL, NULL), 0, 100);
    yoke_close(port);
}

/* ---- one wake for each sleeper ---------------------------------------------------------------------- */

static int role_receives_one(void *argument)
{
    yoke_endpoint *port = port_join(name);

    (void)argument;
    recv_number(port, LONG_WAIT);
    yoke_close(port);
    return 0;
}

static void sleeping_receivers_cost_one_wake_each_and_no_more(void **state)
{
    enum { SLEEPERS = 3 };
    yoke_endpoint *port = make_roomy();
    pid_t sleepers[SLEEPERS];
    int futexes;

    (void)state;
    for (int i = 0; i < SLEEPERS; i++)
        sleepers[i] = role_start(role_receives_one, NULL);
    for (int i = 0; i < SLEEPERS; i++) {
        role_wait_asleep(sleepers[i], SOON_MS);
        role_stop(sleepers[i]); /* so that it neither wakes up by itself nor sleeps again */
    }
    assert_in_range(traced_calls(role_sends_many, NULL, &futexes), 0, SLEEPERS);
    assert_in_range(futexes, 0, SLEEPERS);
    for (int i = 0; i < SLEEPERS; i++)
        role_resume(sleepers[i]);
    for (int i = 0; i < SLEEPERS; i++)
        assert_int_equal(role_wait(sleepers[i], SOON_MS), 0);
    yoke_close(port);
}

/* ---- idle ------------------------------------------------------------------------------------------- */

static long voluntary_switches(pid_t pid)
{
    char path[64], line[128];
    long count = -1;
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/status", pid);
    file = fopen(path, "re");
    assert_non_null(file);
    while (count < 0 && fgets(line, sizeof line, file))
        sscanf(line, "voluntary_ctxt_switches: %ld", &count);
    fclose(file);
    assert_true(count >= 0);
    return count;
}

static int role_waits_on_a_full_port(void *argument)
{
    (void)argument;
    send_number(port_join("full"), 1);
    return 0;
}

static int role_waits_for_a_lock(void *argument)
{
    yoke_region *region = region_join(name);

    (void)argument;
    return yoke_lock_acquire(region, yoke_region_data(region), LONG_WAIT);
}

static int role_receives_for_ever(void *argument)
{
    yoke_endpoint *port = port_join(name);
    char byte;

    (void)argument;
    return (int)yoke_recv(port, &byte, 1, YOKE_FOREVER);
}

static void sleepers_wake_up_at_most_ten_times_a_second(void **state)
{
    static int (*const roles[])(void *) = {role_receives_for_ever, role_receives_one,
                                           role_waits_on_a_full_port, role_waits_for_a_lock};
    struct yoke_options options = YOKE_OPTIONS_INIT;
    yoke_endpoint *port = make_roomy(), *full;
    yoke_region *region = region_make(name, 4096);
    long before[4];
    pid_t pids[4];

    (void)state;
    options.depth = 1;
    full = port_make("full", &options);
    send_number(full, 0);
    must(yoke_lock_acquire(region, yoke_region_data(region), YOKE_NOW));
    for (int i = 0; i < 4; i++)
        pids[i] = role_start(roles[i], NULL);
    for (int i = 0; i < 4; i++) {
        role_wait_asleep(pids[i], SOON_MS);
        before[i] = voluntary_switches(pids[i]);
    }
    /* This second is what is measured, not a wait for somebody. */
    nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
    for (int i = 0; i < 4; i++) {
        long switches = voluntary_switches(pids[i]) - before[i];

        assert_in_range(switches, 0, 13);
        role_kill(pids[i]);
    }
    must(yoke_lock_release(region, yoke_region_data(region)));
    yoke_region_close(region);
    yoke_close(full);
    yoke_close(port);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        api_test(sending_while_there_is_room_and_receiving_what_is_there_call_no_kernel),
        api_test(sleeping_receivers_cost_one_wake_each_and_no_more),
        api_test(sleepers_wake_up_at_most_ten_times_a_second),
    };

    return cmocka_run_group_tests(tests, api_setup, NULL);
}
