/* What ports and links cost the kernel: nothing while busy, one wake for a sleeper, little while idle. */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
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
    int status = 0;

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

/* ---- the same for links ------------------------------------------------------------------------------ */

static struct yoke_options roomy_link(void)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;

    options.depth = 2 * MESSAGES;
    options.max_message = 300;
    return options;
}

/* Every way to send, in turns: small, tagged, through the buffer, by loan. */
static void send_in_some_way(yoke_endpoint *link, uint64_t number)
{
    uint64_t data[37] = {number};
    struct yoke_message message = {.data = data, .size = 8, .tag = number};
    void *block;

    switch (number % 4) {
    case 0:
        must(yoke_send(link, data, 8, YOKE_NOW));
        break;
    case 1:
        must(yoke_send(link, data, 296, YOKE_NOW));
        break;
    case 2:
        must(yoke_send_many(link, &message, 1, YOKE_NOW));
        break;
    default:
        must(yoke_loan(link, 100, &block, YOKE_NOW));
        memcpy(block, data, 8);
        must(yoke_commit(link, block, 8));
    }
}

static int role_sends_many_over_a_link(void *argument)
{
    yoke_endpoint *link = link_join("alice", "bob");

    (void)argument;
    be_traced();
    mark();
    for (uint64_t i = 0; i < MESSAGES; i++)
        send_in_some_way(link, i);
    mark();
    yoke_close(link);
    return 0;
}

static int role_receives_many_from_a_link(void *argument)
{
    yoke_endpoint *link = link_join("bob", "alice");
    uint64_t data[37];
    const void *message;

    (void)argument;
    be_traced();
    mark();
    for (uint64_t i = 0; i < MESSAGES; i++) {
        if (i % 3 == 0) {
            must(yoke_borrow(link, &message, SOON_MS * MS));
            memcpy(data, message, 8);
            must(yoke_release(link, message));
        } else {
            must(yoke_recv(link, data, sizeof data, SOON_MS * MS));
        }
        assert_int_equal(data[0], i);
    }
    mark();
    yoke_close(link);
    return 0;
}

static void link_with_room_or_messages_calls_no_kernel(void **state)
{
    struct yoke_options options = roomy_link();
    yoke_endpoint *link = NULL;

    (void)state;
    /* kept, and nobody at the other end: there is nobody to wake */
    must(link_try(&link, "alice", "bob", YOKE_CREATE | YOKE_KEPT, &options));
    yoke_close(link);
    assert_int_equal(traced_calls(role_sends_many_over_a_link, NULL, NULL), 0);
    assert_int_equal(traced_calls(role_receives_many_from_a_link, NULL, NULL), 0);
    must(yoke_remove("link:alice/bob"));
}

#define ROUNDS 500

/* Spins for so long that it never sleeps, whoever else wants the processor. */
static yoke_endpoint *join_spinning(const char *me, const char *other)
{
    struct yoke_options options = roomy_link();

    options.spin_ns = SOON_MS * MS;
    return link_make(me, other, &options);
}

static int role_answers(void *argument)
{
    yoke_endpoint *link = join_spinning("bob", "alice");

    (void)argument;
    for (int i = 0; i < ROUNDS; i++)
        send_number(link, recv_number(link, SOON_MS * MS));
    /* what is sent after the last mark */
    recv_number(link, SOON_MS * MS);
    yoke_close(link);
    return 0;
}

static int role_asks(void *argument)
{
    yoke_endpoint *link = join_spinning("alice", "bob");

    (void)argument;
    be_traced();
    mark();
    for (uint64_t i = 0; i < ROUNDS; i++) {
        send_number(link, i);
        assert_int_equal(recv_number(link, SOON_MS * MS), i);
    }
    mark();
    send_number(link, 0);
    yoke_close(link);
    return 0;
}

static void round_trips_of_two_that_spin_call_no_kernel(void **state)
{
    pid_t answering = role_start(role_answers, NULL);

    (void)state;
    must(yoke_peer_wait("bob", YOKE_PEER_HERE, SOON_MS * MS));
    /* none for a message; who must spin for 50 ms, on a busy machine, looks for the dead meanwhile */
    assert_in_range(traced_calls(role_asks, NULL, NULL), 0, ROUNDS / 10);
    assert_int_equal(role_wait(answering, SOON_MS), 0);
}

static int role_receives_one_from_a_link(void *argument)
{
    yoke_endpoint *link = link_join("bob", "alice");

    (void)argument;
    assert_int_equal(must(yoke_recv(link, (uint64_t[37]){0}, 296, LONG_WAIT)), 8);
    yoke_close(link);
    return 0;
}

/* Sends to one that it has put to sleep itself: the end stays open all the time. */
static int role_sends_many_to_a_sleeper(void *argument)
{
    struct yoke_options options = roomy_link();
    yoke_endpoint *link = link_make("alice", "bob", &options);
    pid_t sleeper = role_start(role_receives_one_from_a_link, NULL);

    (void)argument;
    role_wait_asleep(sleeper, SOON_MS);
    role_stop(sleeper); /* so that it neither wakes up by itself nor sleeps again */
    be_traced();
    mark();
    for (uint64_t i = 0; i < MESSAGES; i++)
        send_in_some_way(link, i);
    mark();
    role_resume(sleeper);
    assert_int_equal(role_wait(sleeper, SOON_MS), 0);
    yoke_close(link);
    return 0;
}

static void sleeping_other_side_of_a_link_costs_one_wake_and_no_more(void **state)
{
    int futexes;

    (void)state;
    assert_in_range(traced_calls(role_sends_many_to_a_sleeper, NULL, &futexes), 0, 1);
    assert_in_range(futexes, 0, 1);
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

/* ---- descriptors: one call for the first message, none while nobody waits ----------------------- */

/* Until its descriptor says nothing. */
static void make_quiet(yoke_endpoint *endpoint)
{
    struct pollfd fd = {.fd = (int)must(yoke_fd(endpoint)), .events = POLLIN};

    do {
        uint64_t number;

        while (yoke_recv(endpoint, &number, sizeof number, YOKE_NOW) >= 0)
            ;
    } while (poll(&fd, 1, 0) == 1);
}

struct talk {
    const char *link; /* NULL: a port */
    struct baton to_sender, to_receiver;
};

/* The first message finds the doorbell, and what is needed for it is kept. */
static int role_sends_many_to_a_descriptor(void *argument)
{
    struct talk *talk = argument;
    yoke_endpoint *endpoint = talk->link ? link_join("alice", talk->link) : port_join(name);

    send_number(endpoint, 0);
    baton_pass(&talk->to_receiver);
    baton_take(&talk->to_sender);
    be_traced();
    mark();
    for (uint64_t i = 0; i < MESSAGES; i++)
        send_number(endpoint, i);
    mark();
    baton_pass(&talk->to_receiver);
    baton_take(&talk->to_sender);
    yoke_close(endpoint);
    return 0;
}

struct listening {
    struct talk *talk;
    yoke_endpoint *endpoint;
};

/* In a thread, as who traces waits for the sender. */
static int64_t listen_in_thread(void *argument)
{
    struct listening *listening = argument;

    baton_take(&listening->talk->to_receiver);
    make_quiet(listening->endpoint);
    baton_pass(&listening->talk->to_sender);
    baton_take(&listening->talk->to_receiver);
    baton_pass(&listening->talk->to_sender);
    return 0;
}

static void count_calls_to_descriptor(yoke_endpoint *endpoint, const char *link)
{
    struct talk talk = {.link = link};
    struct listening listening = {&talk, endpoint};
    struct worker worker;

    baton_make(&talk.to_sender);
    baton_make(&talk.to_receiver);
    make_quiet(endpoint);
    worker_start(&worker, listen_in_thread, &listening);
    assert_int_equal(traced_calls(role_sends_many_to_a_descriptor, &talk, NULL), 1);
    assert_int_equal(worker_join(&worker), 0);
    baton_drop(&talk.to_sender);
    baton_drop(&talk.to_receiver);
    yoke_close(endpoint);
}

static void armed_descriptor_costs_senders_one_call_and_a_readable_one_none(void **state)
{
    struct yoke_options options = roomy_link();

    (void)state;
    count_calls_to_descriptor(make_roomy(), NULL);
    count_calls_to_descriptor(link_make("bob", "alice", &options), "bob");
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

static int role_waits_on_a_full_link(void *argument)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;
    yoke_endpoint *link;

    (void)argument;
    options.depth = 1;
    link = link_make("carol", "dave", &options);
    send_number(link, 0);
    send_number(link, 1);
    return 0;
}

static int role_receives_from_a_link_for_ever(void *argument)
{
    char byte;

    (void)argument;
    return (int)yoke_recv(link_make("erin", "frank", NULL), &byte, 1, YOKE_FOREVER);
}

static int role_waits_for_a_peer(void *argument)
{
    (void)argument;
    return yoke_peer_wait("nobody", YOKE_PEER_HERE, YOKE_FOREVER);
}

static int role_accepts_for_ever(void *argument)
{
    yoke_endpoint *link;
    yoke_peer *peer;

    (void)argument;
    must(yoke_peer_join(&peer, "grace", NULL));
    return yoke_peer_accept(peer, &link, NULL, YOKE_FOREVER);
}

/* What the killed ones left of their names. */
static void clear_peers(void)
{
    static const char *const names[] = {"carol", "erin", "grace"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        yoke_peer *peer;

        must(yoke_peer_join(&peer, names[i], NULL));
        yoke_peer_leave(peer);
    }
    yoke_close(link_make("carol", "dave", NULL));
    yoke_close(link_make("erin", "frank", NULL));
}

/* Every sort of descriptor in one epoll; one of them of a port that is removed. */
static int role_polls_for_ever(void *argument)
{
    struct epoll_event event = {.events = EPOLLIN};
    int epoll = epoll_create1(EPOLL_CLOEXEC), pair[2], fds[5], tries = 0;
    yoke_endpoint *endpoints[4], *link;
    yoke_peer *heidi;

    must(yoke_pair(pair, NULL));
    endpoints[0] = port_join(name);
    endpoints[1] = link_make("heidi", "ivan", NULL);
    must(yoke_open(&endpoints[2], "port:removed", YOKE_CREATE | YOKE_KEPT, NULL));
    must(yoke_open_descriptor(&endpoints[3], pair[0], NULL));
    must(yoke_remove("port:removed"));
    must(yoke_peer_join(&heidi, "heidi", NULL));
    for (int i = 0; i < 4; i++)
        fds[i] = (int)must(yoke_fd(endpoints[i]));
    fds[4] = (int)must(yoke_peer_fd(heidi));
    for (int i = 0; i < 5; i++)
        epoll_ctl(epoll, EPOLL_CTL_ADD, fds[i], &event);
    do { /* what their making has left */
        for (int i = 0; i < 4; i++)
            make_quiet(endpoints[i]);
        must_fail(yoke_peer_next(heidi, &link, YOKE_NOW), EAGAIN);
    } while (epoll_wait(epoll, &event, 1, 0) != 0 && tries++ < 100);
    baton_pass(argument);
    return epoll_wait(epoll, &event, 1, -1);
}

static void descriptors_wake_nobody_while_nothing_comes(void **state)
{
    yoke_endpoint *port = make_roomy();
    yoke_peer *heidi;
    struct baton ready;
    long before;
    pid_t pid;

    (void)state;
    baton_make(&ready);
    pid = role_start(role_polls_for_ever, &ready);
    baton_take(&ready);
    role_wait_asleep(pid, SOON_MS);
    before = voluntary_switches(pid);
    /* what is measured, not a wait for somebody */
    nanosleep(&(struct timespec){.tv_nsec = 500000000}, NULL);
    assert_int_equal(voluntary_switches(pid), before);
    assert_int_equal(process_state(pid), 'S');
    role_kill(pid);
    baton_drop(&ready);
    yoke_close(port);
    must(yoke_peer_join(&heidi, "heidi", NULL)); /* what the killed one left of its names */
    yoke_peer_leave(heidi);
    yoke_close(link_make("heidi", "ivan", NULL));
    names_await_none();
}

static void sleepers_wake_up_at_most_ten_times_a_second(void **state)
{
    static int (*const roles[])(void *) = {
        role_receives_for_ever, role_receives_one,         role_waits_on_a_full_port,
        role_waits_for_a_lock,  role_waits_on_a_full_link, role_receives_from_a_link_for_ever,
        role_waits_for_a_peer,  role_accepts_for_ever};
    enum { ROLES = sizeof roles / sizeof *roles };
    struct yoke_options options = YOKE_OPTIONS_INIT;
    yoke_endpoint *port = make_roomy(), *full;
    yoke_region *region = region_make(name, 4096);
    int64_t since[ROLES];
    long before[ROLES];
    pid_t pids[ROLES];

    (void)state;
    options.depth = 1;
    full = port_make("full", &options);
    send_number(full, 0);
    must(yoke_lock_acquire(region, yoke_region_data(region), YOKE_NOW));
    for (int i = 0; i < ROLES; i++)
        pids[i] = role_start(roles[i], NULL);
    for (int i = 0; i < ROLES; i++) {
        role_wait_asleep(pids[i], SOON_MS);
        since[i] = now_ns();
        before[i] = voluntary_switches(pids[i]);
    }
    /* This second is what is measured, not a wait for somebody; on a busy machine it is longer. */
    nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
    for (int i = 0; i < ROLES; i++) {
        long switches = voluntary_switches(pids[i]) - before[i];

        assert_in_range(switches, 0, 3 + (now_ns() - since[i]) / (100 * MS));
        role_kill(pids[i]);
    }
    clear_peers();
    must(yoke_lock_release(region, yoke_region_data(region)));
    yoke_region_close(region);
    yoke_close(full);
    yoke_close(port);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        api_test(sending_while_there_is_room_and_receiving_what_is_there_call_no_kernel),
        api_test(link_with_room_or_messages_calls_no_kernel),
        api_test(round_trips_of_two_that_spin_call_no_kernel),
        api_test(sleeping_other_side_of_a_link_costs_one_wake_and_no_more),
        api_test(sleeping_receivers_cost_one_wake_each_and_no_more),
        api_test(armed_descriptor_costs_senders_one_call_and_a_readable_one_none),
        api_test(descriptors_wake_nobody_while_nothing_comes),
        api_test(sleepers_wake_up_at_most_ten_times_a_second),
    };

    return cmocka_run_group_tests(tests, api_setup, NULL);
}
