/* Forks: a child goes on with its parent's endpoints as a participant of its own. */
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "../api/api.h"

static const char *name = "family";

static struct yoke_options small(void)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;

    options.depth = 8;
    options.participants = 8;
    options.max_message = 64;
    return options;
}

static yoke_endpoint *make_small(void)
{
    struct yoke_options options = small();

    return port_make(name, &options);
}

static void assert_empty(yoke_endpoint *endpoint)
{
    const void *message;

    must_fail(yoke_borrow(endpoint, &message, YOKE_NOW), EAGAIN);
}

/* ---- children that use the endpoint ------------------------------------------------------------- */

static int role_echoes(void *endpoint)
{
    for (uint64_t i = 0; i < 2000; i++)
        if (recv_number(endpoint, SOON_MS * MS) != i)
            return 1;
    send_number(endpoint, 4711);
    return 0;
}

static void child_receives_and_sends_through_its_parents_endpoint(void **state)
{
    yoke_endpoint *port = make_small();
    struct yoke_message message;
    pid_t pid;

    (void)state;
    pid = role_start(role_echoes, port);
    for (uint64_t i = 0; i < 2000; i++)
        send_number(port, i);
    assert_int_equal(role_wait(pid, SOON_MS), 0);
    borrow_details(port, &message);
    assert_int_equal(*(uint64_t *)message.data, 4711);
    assert_int_equal(message.sender, pid);
    must(yoke_release(port, message.data));
    yoke_close(port);
}

struct inheritance {
    yoke_endpoint *port;
    const void *borrowed;
    void *loan;
};

static int role_has_nothing_in_hand(void *argument)
{
    struct inheritance *inherited = argument;
    const void *message;
    void *block;

    must_fail(yoke_release(inherited->port, inherited->borrowed), EINVAL);
    must_fail(yoke_return(inherited->port, inherited->borrowed), EINVAL);
    must_fail(yoke_commit(inherited->port, inherited->loan, 8), EINVAL);
    must_fail(yoke_release(inherited->port, inherited->loan), EINVAL);
    /* what it gets itself is its own */
    must(yoke_loan(inherited->port, 8, &block, YOKE_NOW));
    assert_ptr_not_equal(block, inherited->loan);
    *(uint64_t *)block = 3;
    must(yoke_commit(inherited->port, block, 8));
    must(yoke_borrow(inherited->port, &message, YOKE_NOW));
    assert_int_equal(*(const uint64_t *)message, 2);
    return 0; /* without giving it back */
}

static void what_the_parent_has_in_hand_stays_the_parents(void **state)
{
    struct inheritance inherited = {.port = make_small()};
    struct yoke_message message;

    (void)state;
    send_number(inherited.port, 1);
    send_number(inherited.port, 2);
    must(yoke_borrow(inherited.port, &inherited.borrowed, YOKE_NOW));
    must(yoke_loan(inherited.port, 8, &inherited.loan, YOKE_NOW));
    *(uint64_t *)inherited.loan = 99;
    assert_int_equal(role_wait(role_start(role_has_nothing_in_hand, &inherited), SOON_MS), 0);
    assert_int_equal(*(const uint64_t *)inherited.borrowed, 1);
    must(yoke_release(inherited.port, inherited.borrowed));
    must(yoke_commit(inherited.port, inherited.loan, 8));
    yoke_close(port_join(name)); /* looks for the dead */
    borrow_details(inherited.port, &message);
    assert_int_equal(*(uint64_t *)message.data, 2); /* the child died with it */
    assert_int_equal(message.deliveries, 2);
    must(yoke_release(inherited.port, message.data));
    assert_int_equal(recv_number(inherited.port, YOKE_NOW), 3);
    assert_int_equal(recv_number(inherited.port, YOKE_NOW), 99);
    assert_empty(inherited.port);
    yoke_close(inherited.port);
}

static int role_closes(void *endpoint)
{
    return yoke_close(endpoint);
}

static int role_uses_and_closes(void *endpoint)
{
    send_number(endpoint, 1);
    return yoke_close(endpoint);
}

static int role_does_nothing(void *endpoint)
{
    (void)endpoint;
    return 0;
}

static void child_that_ends_or_closes_takes_nothing_from_its_parent(void **state)
{
    static int (*const roles[])(void *) = {role_closes, role_uses_and_closes, role_does_nothing};
    struct yoke_options options = small();
    yoke_endpoint *port;
    const void *message;

    (void)state;
    options.participants = 3;
    port = port_make(name, &options);
    send_number(port, 7);
    must(yoke_borrow(port, &message, YOKE_NOW));
    for (int i = 0; i < 12; i++) { /* more than there are places */
        yoke_endpoint *other;

        assert_int_equal(role_wait(role_start(roles[i % 3], port), SOON_MS), 0);
        other = port_join(name);
        if (i % 3 == 1)
            assert_int_equal(recv_number(other, YOKE_NOW), 1);
        assert_empty(other); /* the parent is alive, its message not delivered again */
        yoke_close(other);
    }
    must(yoke_release(port, message));
    yoke_close(port);
}

static int role_grandchild(void *endpoint)
{
    return (int)recv_number(endpoint, YOKE_NOW);
}

static int role_child_of_three_generations(void *endpoint)
{
    if (recv_number(endpoint, YOKE_NOW) != 1)
        return 100;
    return role_wait(role_start(role_grandchild, endpoint), SOON_MS);
}

static void grandchild_goes_on_with_it_too(void **state)
{
    yoke_endpoint *port = make_small();

    (void)state;
    for (uint64_t i = 1; i <= 3; i++)
        send_number(port, i);
    assert_int_equal(role_wait(role_start(role_child_of_three_generations, port), SOON_MS), 2);
    assert_int_equal(recv_number(port, YOKE_NOW), 3);
    yoke_close(port);
}

static int role_fails_to_join(void *endpoint)
{
    char byte;

    must_fail(yoke_recv(endpoint, &byte, 1, YOKE_FOREVER), ENOSPC);
    must_fail(yoke_send(endpoint, "x", 1, YOKE_FOREVER), ENOSPC);
    return yoke_close(endpoint);
}

static void child_is_told_when_there_is_no_place_for_it(void **state)
{
    struct yoke_options options = small();
    yoke_endpoint *port;

    (void)state;
    options.participants = 1;
    port = port_make(name, &options);
    assert_int_equal(role_wait(role_start(role_fails_to_join, port), SOON_MS), 0);
    send_number(port, 1);
    assert_int_equal(recv_number(port, YOKE_NOW), 1);
    yoke_close(port);
}

static void child_works_on_a_port_that_was_removed(void **state)
{
    yoke_endpoint *port = make_small();
    pid_t pid;

    (void)state;
    must(yoke_remove("port:family"));
    pid = role_start(role_echoes, port);
    for (uint64_t i = 0; i < 2000; i++)
        send_number(port, i);
    assert_int_equal(role_wait(pid, SOON_MS), 0);
    assert_int_equal(recv_number(port, YOKE_NOW), 4711);
    yoke_close(port);
}

/* ---- parents that die before their children ------------------------------------------------------ */

struct orphan {
    struct baton ready, end;
    pid_t *child;    /* in memory that all of them share */
    bool plain_fork; /* through _Fork(), which tells no library of it */
    bool uses_it;
    bool borrows; /* a message of its own */
};

/* Borrows 1, forks a child that lives on with everything that it inherited, and waits to be killed. */
static int role_parent(void *argument)
{
    struct orphan *orphan = argument;
    yoke_endpoint *port = port_join(name);
    const void *message;

    must(yoke_borrow(port, &message, YOKE_NOW));
    if ((orphan->plain_fork ? _Fork() : fork()) == 0) {
        *orphan->child = getpid();
        if (orphan->uses_it)
            must_fail(yoke_release(port, message), EINVAL);
        if (orphan->borrows)
            must(yoke_borrow(port, &message, YOKE_NOW));
        baton_pass(&orphan->ready);
        baton_take(&orphan->end);
        if (orphan->borrows)
            must(yoke_release(port, message));
        _exit(0);
    }
    for (;;)
        pause();
    return 0;
}

static void parents_message_comes_again_though_its_child_lives(struct orphan *orphan)
{
    yoke_endpoint *port = make_small();
    struct yoke_message message;
    pid_t pid;

    baton_make(&orphan->ready);
    baton_make(&orphan->end);
    orphan->child = shared_new(sizeof *orphan->child);
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); /* the orphan is then ours */
    send_number(port, 1);
    if (orphan->borrows)
        send_number(port, 2);
    pid = role_start(role_parent, orphan);
    baton_take(&orphan->ready);
    must_fail(yoke_recv(port, NULL, 0, 150 * MS), ETIMEDOUT);
    role_kill(pid);
    borrow_details(port, &message);
    assert_int_equal(*(uint64_t *)message.data, 1);
    assert_int_equal(message.deliveries, 2);
    must(yoke_release(port, message.data));
    must_fail(yoke_recv(port, NULL, 0, 150 * MS), ETIMEDOUT); /* the child's is the child's */
    baton_pass(&orphan->end);
    assert_int_equal(role_wait(*orphan->child, SOON_MS), 0);
    must_fail(yoke_recv(port, NULL, 0, 150 * MS), ETIMEDOUT);
    yoke_close(port);
    shared_drop(orphan->child, sizeof *orphan->child);
    baton_drop(&orphan->ready);
    baton_drop(&orphan->end);
}

/* A limit that yoke.h documents ("Death"): the child has the parent's open files. */
static void parent_counts_as_alive_until_its_child_of_plain_fork_ends(void **state)
{
    struct orphan orphan = {.plain_fork = true};
    yoke_endpoint *port = make_small();
    struct yoke_message message;
    pid_t pid;

    (void)state;
    baton_make(&orphan.ready);
    baton_make(&orphan.end);
    orphan.child = shared_new(sizeof *orphan.child);
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    send_number(port, 1);
    pid = role_start(role_parent, &orphan);
    baton_take(&orphan.ready);
    role_kill(pid);
    must_fail(yoke_recv(port, NULL, 0, 300 * MS), ETIMEDOUT);
    baton_pass(&orphan.end);
    assert_int_equal(role_wait(*orphan.child, SOON_MS), 0);
    borrow_details(port, &message);
    assert_int_equal(message.deliveries, 2);
    must(yoke_release(port, message.data));
    yoke_close(port);
    shared_drop(orphan.child, sizeof *orphan.child);
    baton_drop(&orphan.ready);
    baton_drop(&orphan.end);
}

static void message_of_a_killed_parent_comes_again_while_its_idle_child_lives(void **state)
{
    (void)state;
    parents_message_comes_again_though_its_child_lives(&(struct orphan){.uses_it = false});
}

static void message_of_a_killed_parent_comes_again_while_its_child_works_on(void **state)
{
    (void)state;
    parents_message_comes_again_though_its_child_lives(&(struct orphan){.uses_it = true});
    parents_message_comes_again_though_its_child_lives(
        &(struct orphan){.uses_it = true, .borrows = true});
}

static void child_of_plain_fork_that_uses_the_endpoint_is_another_participant(void **state)
{
    (void)state;
    parents_message_comes_again_though_its_child_lives(
        &(struct orphan){.plain_fork = true, .uses_it = true});
    parents_message_comes_again_though_its_child_lives(
        &(struct orphan){.plain_fork = true, .uses_it = true, .borrows = true});
}

/* ---- forks of a process with threads -------------------------------------------------------------- */

static int64_t receive_for_long(void *endpoint)
{
    uint64_t number = 0;
    ssize_t size = yoke_recv(endpoint, &number, sizeof number, LONG_WAIT);

    return size < 0 ? size : (int64_t)number;
}

static int role_sends_one(void *endpoint)
{
    send_number(endpoint, 5);
    return yoke_close(endpoint); /* must not wait for the parent's threads, which are not here */
}

static void child_of_a_process_whose_thread_waits_is_free_to_go_on(void **state)
{
    yoke_endpoint *port = make_small();
    struct worker waiter;

    (void)state;
    for (int i = 0; i < 10; i++) {
        worker_start(&waiter, receive_for_long, port);
        worker_wait_asleep(&waiter);
        assert_int_equal(role_wait(role_start(role_sends_one, port), SOON_MS), 0);
        assert_int_equal(worker_join(&waiter), 5);
    }
    yoke_close(port);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        api_test(child_receives_and_sends_through_its_parents_endpoint),
        api_test(what_the_parent_has_in_hand_stays_the_parents),
        api_test(child_that_ends_or_closes_takes_nothing_from_its_parent),
        api_test(grandchild_goes_on_with_it_too),
        api_test(child_is_told_when_there_is_no_place_for_it),
        api_test(child_works_on_a_port_that_was_removed),
        api_test(message_of_a_killed_parent_comes_again_while_its_idle_child_lives),
        api_test(message_of_a_killed_parent_comes_again_while_its_child_works_on),
        api_test(child_of_plain_fork_that_uses_the_endpoint_is_another_participant),
        api_test(parent_counts_as_alive_until_its_child_of_plain_fork_ends),
        api_test(child_of_a_process_whose_thread_waits_is_free_to_go_on),
    };

    return cmocka_run_group_tests(tests, api_setup, NULL);
}
