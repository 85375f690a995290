/*
 * The kernel place when processes die, stop and fork. What others can see changes with system calls
 * only, so a process that is killed at each of its system calls is one that is killed anywhere.
 */
#include <mqueue.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../api/api.h"
#include "endpoint.h"
#include "memory/queue.h"
#include "place/channel.h"

#define PORT "mortal@kernel"

static struct yoke_options small(void)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;

    options.depth = 4;
    options.participants = 4;
    options.max_message = 32;
    return options;
}

static yoke_endpoint *make_port(void)
{
    struct yoke_options options = small();

    return port_make(PORT, &options);
}

static yoke_endpoint *make_side(const char *me, const char *other)
{
    struct yoke_options options = small();

    options.participants = 0;
    return link_make(me, other, &options);
}

static yoke_endpoint *alice(void)
{
    return make_side("alice", "bob@kernel");
}

static yoke_endpoint *bob(void)
{
    return make_side("bob", "alice@kernel");
}

static int64_t receive_for_ever(void *endpoint)
{
    uint64_t number = 0;
    ssize_t size = yoke_recv(endpoint, &number, sizeof number, YOKE_FOREVER);

    return size < 0 ? size : (int64_t)number;
}

static int64_t receive_now(yoke_endpoint *endpoint)
{
    uint64_t number = 0;
    ssize_t size = yoke_recv(endpoint, &number, sizeof number, YOKE_NOW);

    return size < 0 ? size : (int64_t)number;
}

static void queue_of(const char *entry, char name[YK_QUEUE_NAME])
{
    struct yk_directory directory;
    struct yk_record record;

    must(yk_directory_open(&directory, NULL, true));
    must(yk_record_read(&directory, entry, &record));
    yk_queue_name(name, &directory, record.nonce, 0);
    yk_directory_close(&directory);
}

static bool queue_exists(const char *name)
{
    mqd_t queue = mq_open(name, O_RDONLY);

    if (queue >= 0)
        mq_close(queue);
    return queue >= 0;
}

/* ---- at each system call ------------------------------------------------------------------------ */

static int role_traced(void *argument)
{
    int (*operation)(void) = *(int (**)(void))argument;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
        return 77;
    raise(SIGSTOP);
    return operation();
}

/*
 * Starts the operation in a process that is stopped when it has begun or ended `calls` system calls.
 * 0: it ended before that, with status 0.
 */
static pid_t start_and_stop_at(int (*operation)(void), int calls)
{
    pid_t pid = role_start(role_traced, &operation);
    int status;

    for (int i = 0;; i++) {
        assert_int_equal(waitpid(pid, &status, 0), pid);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
            skip_test("ptrace is not permitted here");
        if (WIFEXITED(status)) {
            assert_int_equal(WEXITSTATUS(status), 0);
            return 0;
        }
        assert_true(WIFSTOPPED(status));
        if (i == calls)
            return pid;
        ptrace(PTRACE_SETOPTIONS, pid, NULL, (void *)(PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD));
        ptrace(PTRACE_SYSCALL, pid, NULL, NULL);
    }
}

/* What a user of a port does from its first call to its last. */
static int use_port(void)
{
    yoke_endpoint *port = make_port();

    send_number(port, 1);
    recv_number(port, YOKE_NOW);
    must(yoke_close(port));
    return 0;
}

static int use_kept_port(void)
{
    struct yoke_options options = small();
    yoke_endpoint *port;

    must(yoke_open(&port, "port:" PORT, YOKE_CREATE | YOKE_KEPT, &options));
    must(yoke_close(port));
    must(yoke_remove("port:" PORT));
    return 0;
}

static int use_link(void)
{
    yoke_endpoint *link = alice();

    send_number(link, 1);
    must(yoke_close(link));
    return 0;
}

/* Whoever comes next finds a port that works, and leaves nothing. */
static void assert_port_is_sound(void)
{
    yoke_endpoint *port = make_port();
    int64_t found = receive_now(port); /* of a kept one, or of one that still has users */

    if (found != -EAGAIN)
        assert_int_equal(found, 1);
    send_number(port, 2);
    assert_int_equal(recv_number(port, YOKE_NOW), 2);
    must(yoke_close(port));
    yoke_remove("port:" PORT);
    assert_int_equal(names_left(), 0);
}

static int kill_at_each_call(int (*operation)(void), void (*check)(void))
{
    int calls = 0;
    pid_t pid;

    while ((pid = start_and_stop_at(operation, calls)) != 0) {
        role_kill(pid);
        check();
        calls++;
    }
    check();
    assert_true(calls > 40); /* it was really walked through */
    return calls;
}

static void user_killed_at_any_call_leaves_a_port_that_works_and_nothing_else(void **state)
{
    (void)state;
    kill_at_each_call(use_port, assert_port_is_sound);
    kill_at_each_call(use_kept_port, assert_port_is_sound);
}

static yoke_endpoint *survivor; /* bob's side, or another user of the port */

static void assert_port_is_there_still(void)
{
    int64_t found = receive_now(survivor);
    yoke_endpoint *port = port_join(PORT);

    if (found != -EAGAIN)
        assert_int_equal(found, 1);
    send_number(survivor, 3);
    assert_int_equal(recv_number(port, YOKE_NOW), 3);
    must(yoke_close(port));
}

static void user_killed_at_any_call_takes_nothing_from_another(void **state)
{
    (void)state;
    survivor = make_port();
    kill_at_each_call(use_port, assert_port_is_there_still);
    must(yoke_close(survivor));
}

static void assert_link_is_sound(void)
{
    yoke_endpoint *two = bob(), *one = alice();
    int64_t found = receive_now(two);

    if (found != -EAGAIN)
        assert_int_equal(found, 1);
    send_number(one, 2);
    send_number(two, 3);
    assert_int_equal(recv_number(two, YOKE_NOW), 2);
    assert_int_equal(recv_number(one, YOKE_NOW), 3);
    must(yoke_close(two));
    assert_int_equal(receive_now(one), -EPIPE);
    must(yoke_close(one));
    assert_int_equal(names_left(), 0);
}

static void peer_killed_at_any_call_leaves_a_link_that_works_and_nothing_else(void **state)
{
    (void)state;
    kill_at_each_call(use_link, assert_link_is_sound);
}

/* Who sent was there, so its end is told: after its message, at once, and again. */
static void assert_end_is_told(void)
{
    int64_t first = receive_now(survivor), next = first == 1 ? receive_now(survivor) : first;

    assert_true(first == 1 || first == -EAGAIN || first == -EPIPE || first == -EOWNERDEAD);
    if (first == 1)
        assert_true(next == -EPIPE || next == -EOWNERDEAD);
    assert_int_equal(receive_now(survivor), next);
}

static void death_at_any_call_is_told_after_the_messages(void **state)
{
    (void)state;
    survivor = bob();
    kill_at_each_call(use_link, assert_end_is_told);
    must(yoke_close(survivor));
    survivor = alice(); /* clears the name of the dead */
    must(yoke_close(survivor));
}

static void user_stopped_at_any_call_holds_up_no_more_than_the_name(void **state)
{
    struct yoke_options options = small();
    pid_t pid;

    (void)state;
    /* each time that the name is taken costs the quarter of a second */
    for (int calls = 0; (pid = start_and_stop_at(use_port, calls)) != 0; calls += 11) {
        yoke_endpoint *port;
        int result = yoke_open(&port, "port:" PORT, YOKE_CREATE, &options);

        if (result == 0) {
            send_number(port, 1);
            assert_int_equal(recv_number(port, YOKE_NOW), 1);
            must(yoke_close(port));
        } else {
            assert_int_equal(result, -EBUSY);
        }
        role_kill(pid);
    }
    assert_port_is_sound();
}

#define COMINGS 400

/* Comes and goes; as long as it is there, the name leads to what it has open. */
static int role_comes_and_goes(void *unused)
{
    struct yoke_options options = small();

    (void)unused;
    for (int i = 0; i < COMINGS; i++) {
        const struct yk_channel *channel;
        struct yk_directory directory;
        struct yk_record record;
        yoke_endpoint *port;
        int result;

        do /* the name's lock goes to whoever asks at the right moment */
            result = yoke_open(&port, "port:" PORT, YOKE_CREATE, &options);
        while (result == -EBUSY);
        must(result);
        channel = port->self;
        must(yk_directory_open(&directory, NULL, true));
        must(yk_record_read(&directory, "port." PORT, &record));
        yk_directory_close(&directory);
        if (record.nonce != channel->queues.record.nonce)
            fail_msg("the name leads to another port, and this one is without a name");
        must(yoke_close(port));
    }
    return 0;
}

static void last_user_who_goes_takes_no_name_from_one_who_comes(void **state)
{
    pid_t pids[3];

    (void)state;
    for (int i = 0; i < 3; i++)
        pids[i] = role_start(role_comes_and_goes, NULL);
    for (int i = 0; i < 3; i++)
        assert_int_equal(role_wait(pids[i], 10 * SOON_MS), 0);
    must(yoke_close(make_port())); /* who goes last may find the name's lock taken, too */
    assert_int_equal(names_left(), 0);
}

/* ---- ports -------------------------------------------------------------------------------------- */

static int role_sends_and_dies(void *unused)
{
    (void)unused;
    send_number(port_join(PORT), 7);
    raise(SIGKILL);
    return 0;
}

static void what_a_sender_sent_before_it_died_is_received(void **state)
{
    yoke_endpoint *port = make_port();

    (void)state;
    assert_int_equal(role_wait(role_start(role_sends_and_dies, NULL), SOON_MS), 128 + SIGKILL);
    assert_int_equal(recv_number(port, YOKE_NOW), 7);
    must(yoke_close(port));
}

static int role_makes_one_and_dies(void *unused)
{
    (void)unused;
    send_number(make_port(), 1);
    raise(SIGKILL);
    return 0;
}

static void transient_port_whose_users_were_all_killed_is_gone_for_the_next(void **state)
{
    char old[YK_QUEUE_NAME];
    yoke_endpoint *port;

    (void)state;
    assert_int_equal(role_wait(role_start(role_makes_one_and_dies, NULL), SOON_MS), 128 + SIGKILL);
    queue_of("port." PORT, old);
    assert_true(queue_exists(old)); /* the kernel's queues outlive their users */
    port = make_port();
    assert_false(queue_exists(old));
    assert_int_equal(receive_now(port), -EAGAIN);
    must(yoke_close(port));
}

static int role_waits(void *unused)
{
    (void)unused;
    receive_for_ever(port_join(PORT));
    return 1;
}

static void receiver_killed_or_stopped_while_it_waits_keeps_nothing_from_others(void **state)
{
    yoke_endpoint *port = make_port();
    pid_t killed = role_start(role_waits, NULL), stopped = role_start(role_waits, NULL);

    (void)state;
    role_wait_asleep(killed, SOON_MS);
    role_wait_asleep(stopped, SOON_MS);
    role_kill(killed);
    role_stop(stopped);
    for (uint64_t i = 0; i < 20; i++) {
        send_number(port, i);
        assert_int_equal(recv_number(port, YOKE_NOW), i);
    }
    role_kill(stopped);
    must(yoke_close(port));
}

/* ---- forks -------------------------------------------------------------------------------------- */

static int role_echoes(void *port)
{
    struct yoke_message message = {.data = &(uint64_t){0}, .capacity = 8};

    assert_int_equal(must(yoke_recv_many(port, &message, 1, SOON_MS * MS)), 1);
    assert_int_equal(message.sender, getppid());
    send_number(port, *(uint64_t *)message.data + 1);
    return 0;
}

static void child_goes_on_with_its_parents_port(void **state)
{
    yoke_endpoint *port = make_port();
    uint64_t number;
    struct yoke_message message = {.data = &number, .capacity = sizeof number};
    pid_t child;

    (void)state;
    send_number(port, 1);
    child = role_start(role_echoes, port);
    assert_int_equal(role_wait(child, SOON_MS), 0);
    assert_int_equal(must(yoke_recv_many(port, &message, 1, YOKE_NOW)), 1);
    assert_int_equal(number, 2);
    assert_int_equal(message.sender, child);
    must(yoke_close(port));
}

struct family {
    struct baton joined, go;
};

static int role_outlives_its_parent(void *argument, yoke_endpoint *endpoint)
{
    struct family *family = argument;

    baton_take(&family->go);
    send_number(endpoint, 5);
    baton_pass(&family->joined);
    baton_take(&family->go);
    must(yoke_close(endpoint));
    baton_pass(&family->joined);
    return 0;
}

static int fork_and_die(struct family *family, yoke_endpoint *endpoint)
{
    pid_t child = fork();

    if (child == 0)
        _exit(role_outlives_its_parent(family, endpoint));
    baton_pass(&family->joined);
    raise(SIGKILL);
    return 1;
}

static int role_port_parent(void *family)
{
    yoke_endpoint *port = make_port();
    pid_t child = fork();

    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, 0);
        send_number(port, 4); /* takes part, before its parent dies */
        _exit(role_outlives_its_parent(family, port));
    }
    assert_int_equal(recv_number(port, SOON_MS * MS), 4);
    baton_pass(&((struct family *)family)->joined);
    raise(SIGKILL);
    return 1;
}

/* The orphan becomes this process's child, so that its end can be awaited. */
static void family_make(struct family *family)
{
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    baton_make(&family->joined);
    baton_make(&family->go);
}

static void family_drop(struct family *family)
{
    prctl(PR_SET_CHILD_SUBREAPER, 0);
    baton_drop(&family->joined);
    baton_drop(&family->go);
}

static void transient_port_lives_as_long_as_a_child_that_takes_part(void **state)
{
    struct family family;
    yoke_endpoint *port;
    pid_t parent;

    (void)state;
    family_make(&family);
    parent = role_start(role_port_parent, &family);
    baton_take(&family.joined);
    assert_int_equal(role_wait(parent, SOON_MS), 128 + SIGKILL);
    baton_pass(&family.go);
    baton_take(&family.joined);
    port = port_join(PORT);
    assert_int_equal(recv_number(port, YOKE_NOW), 5);
    must(yoke_close(port));
    baton_pass(&family.go);
    baton_take(&family.joined);
    wait(NULL);
    family_drop(&family);
    assert_int_equal(names_left(), 0);
}

static int role_link_parent(void *family)
{
    return fork_and_die(family, alice());
}

static void child_of_a_dead_peer_may_go_on_as_that_peer(void **state)
{
    struct family family;
    yoke_endpoint *two = bob();
    pid_t parent;

    (void)state;
    family_make(&family);
    parent = role_start(role_link_parent, &family);
    baton_take(&family.joined);
    assert_int_equal(role_wait(parent, SOON_MS), 128 + SIGKILL);
    /* the child has all that its parent had open, and is not the peer: the end is told */
    assert_int_equal(receive_for_ever(two), -EOWNERDEAD);
    baton_pass(&family.go);
    baton_take(&family.joined);
    assert_int_equal(receive_now(two), 5);
    assert_int_equal(receive_now(two), -EAGAIN); /* it is there again */
    baton_pass(&family.go);
    baton_take(&family.joined);
    assert_int_equal(receive_now(two), -EPIPE);
    wait(NULL); /* what the child inherited is let go of with it */
    must(yoke_close(two));
    family_drop(&family);
}

static int role_is_not_its_parent(void *link)
{
    must_fail(yoke_send(link, "x", 1, YOKE_NOW), EADDRINUSE);
    must_fail(receive_now(link), EADDRINUSE);
    return yoke_close(link);
}

static void child_of_a_living_peer_is_not_that_peer(void **state)
{
    yoke_endpoint *one = alice(), *two = bob();

    (void)state;
    assert_int_equal(role_wait(role_start(role_is_not_its_parent, one), SOON_MS), 0);
    assert_int_equal(receive_now(two), -EAGAIN); /* nothing ended */
    send_number(one, 1);
    assert_int_equal(recv_number(two, YOKE_NOW), 1);
    must(yoke_close(one));
    must(yoke_close(two));
}

/* ---- links -------------------------------------------------------------------------------------- */

static int role_alice_waits(void *ready)
{
    yoke_endpoint *link = alice();

    send_number(link, 8);
    baton_pass(ready);
    while (receive_for_ever(link) >= 0)
        continue;
    return 1;
}

static pid_t start_alice(void)
{
    struct baton ready;
    pid_t pid;

    baton_make(&ready);
    pid = role_start(role_alice_waits, &ready);
    baton_take(&ready);
    baton_drop(&ready);
    return pid;
}

static void waiting_call_and_descriptor_are_told_of_the_death(void **state)
{
    yoke_endpoint *two = bob();
    int fd = (int)must(two->operations->fd(two->self));
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    struct worker worker;
    pid_t one = start_alice();

    (void)state;
    assert_int_equal(recv_number(two, SOON_MS * MS), 8);
    assert_int_equal(poll(&wait, 1, 0), 0);
    worker_start(&worker, receive_for_ever, two);
    worker_wait_asleep(&worker);
    role_kill(one);
    assert_int_equal(poll(&wait, 1, SOON_MS), 1);
    assert_int_equal(worker_join(&worker), -EOWNERDEAD);
    assert_non_null(strstr(yoke_strerror(-EOWNERDEAD), "died"));
    assert_int_equal(receive_now(two), -EOWNERDEAD);
    for (uint64_t i = 0; i < 4; i++)
        send_number(two, i);
    must_fail(yoke_send(two, "x", 1, YOKE_FOREVER), EOWNERDEAD);
    one = start_alice(); /* finds all that was sent meanwhile, and waits for more after it */
    assert_int_equal(recv_number(two, SOON_MS * MS), 8);
    assert_int_equal(receive_now(two), -EAGAIN);
    role_kill(one);
    assert_int_equal(receive_now(two), -EOWNERDEAD);
    must(yoke_close(two));
    two = alice();
    must(yoke_close(two));
}

static void stopped_peer_is_no_dead_one(void **state)
{
    yoke_endpoint *two = bob(), *again;
    pid_t one = start_alice();

    (void)state;
    assert_int_equal(recv_number(two, SOON_MS * MS), 8);
    role_stop(one);
    assert_int_equal(receive_now(two), -EAGAIN);
    must_fail(link_try(&again, "alice", "bob@kernel", 0, NULL), EADDRINUSE);
    role_kill(one);
    assert_int_equal(receive_now(two), -EOWNERDEAD);
    again = alice(); /* at once, without waiting for anybody */
    assert_int_equal(receive_now(two), -EAGAIN);
    must(yoke_close(again));
    must(yoke_close(two));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        api_test(user_killed_at_any_call_leaves_a_port_that_works_and_nothing_else),
        api_test(user_killed_at_any_call_takes_nothing_from_another),
        api_test(peer_killed_at_any_call_leaves_a_link_that_works_and_nothing_else),
        api_test(death_at_any_call_is_told_after_the_messages),
        api_test(user_stopped_at_any_call_holds_up_no_more_than_the_name),
        api_test(last_user_who_goes_takes_no_name_from_one_who_comes),
        api_test(what_a_sender_sent_before_it_died_is_received),
        api_test(transient_port_whose_users_were_all_killed_is_gone_for_the_next),
        api_test(receiver_killed_or_stopped_while_it_waits_keeps_nothing_from_others),
        api_test(child_goes_on_with_its_parents_port),
        api_test(transient_port_lives_as_long_as_a_child_that_takes_part),
        api_test(child_of_a_dead_peer_may_go_on_as_that_peer),
        api_test(child_of_a_living_peer_is_not_that_peer),
        api_test(waiting_call_and_descriptor_are_told_of_the_death),
        api_test(stopped_peer_is_no_dead_one),
    };

    return cmocka_run_group_tests(tests, api_setup, NULL);
}
