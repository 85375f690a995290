/*
 * inbox_test.c - what signals on NATS promise beside what all signals do (signal_conformance_test.c): that only the
 * living owner of the name receives, also where one is only thought dead. Runs beside a nats-server of its own
 * (with_server.py).
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../api/api.h"

#define LEASE_S 3
#define THREADS 4
#define EACH    50

/* Each test, which is a process, has a prefix of its own, and its children have that of their parent. */
static const char *in_place(const char *name)
{
    static char place[256]; /* from before there are threads */
    static _Thread_local char text[4][320];
    static _Thread_local unsigned next;

    if (place[0] == '\0')
        snprintf(place, sizeof place, "@%s/signal%d?lease=%d", getenv("YOKE_NATS_URL"),
                 (int)getpid(), LEASE_S);
    snprintf(text[next % 4], sizeof text[0], "%s%s", name, place);
    return text[next++ % 4];
}

struct bob {
    yoke_peer *peer;
    yoke_endpoint *inbox;
};

/* -EADDRINUSE is awaited: the name of one that was killed is free when its lease is over. */
static yoke_peer *join_bob(void)
{
    yoke_peer *peer = NULL;
    int result = -EADDRINUSE;
    int64_t until = now_ns() + SOON_MS * MS;

    while (result == -EADDRINUSE && now_ns() < until)
        result = yoke_peer_join(&peer, in_place("bob"), NULL);
    must(result);
    return peer;
}

static struct bob be_bob(void)
{
    struct bob bob = {.peer = join_bob()};

    must(yoke_signals_open(&bob.inbox, bob.peer, 0, NULL));
    return bob;
}

static void end(struct bob *bob)
{
    yoke_close(bob->inbox);
    yoke_peer_leave(bob->peer);
}

static int try_to_send(uint32_t number)
{
    return yoke_signal_send(NULL, in_place("peer:bob"), number, number);
}

static struct yoke_signal expect(yoke_endpoint *inbox, uint32_t number)
{
    struct yoke_signal signal;

    must(yoke_signal_recv(inbox, &signal, SOON_MS * MS));
    assert_int_equal(signal.number, number);
    assert_int_equal(signal.origin, YOKE_SIGNAL_STATED);
    return signal;
}

static void assert_none(yoke_endpoint *inbox)
{
    struct yoke_signal signal;

    must_fail(yoke_signal_recv(inbox, &signal, YOKE_NOW), EAGAIN);
}

/* ---- roles ---- */

struct part {
    struct baton ready, go;
};

static struct part *part_new(void)
{
    struct part *part = shared_new(sizeof *part);

    in_place(""); /* the children's, too */
    baton_make(&part->ready);
    baton_make(&part->go);
    return part;
}

static void part_drop(struct part *part)
{
    baton_drop(&part->ready);
    baton_drop(&part->go);
    shared_drop(part, sizeof *part);
}

/* Receives one of what it is sent. */
static int role_receives_one(void *context)
{
    struct part *part = context;
    struct bob bob = be_bob();

    baton_pass(&part->ready);
    expect(bob.inbox, 1);
    baton_pass(&part->ready);
    pause();
    return 1;
}

static void a_later_owner_gets_nothing_of_an_earlier_ones(void **state)
{
    struct part *part = part_new();

    (void)state;
    pid_t pid = role_start(role_receives_one, part);
    baton_take(&part->ready);
    for (uint32_t i = 1; i <= 3; i++)
        must(try_to_send(i));
    baton_take(&part->ready);
    role_kill(pid);
    struct bob bob = be_bob();
    assert_none(bob.inbox);
    must(try_to_send(4));
    assert_int_equal(expect(bob.inbox, 4).sequence, 1); /* it is an inbox of its own */
    end(&bob);
    part_drop(part);
}

/* A later owner that takes no signals gets none either, and nobody is told that it has. */
static void what_a_dead_one_left_takes_no_more(void **state)
{
    struct part *part = part_new();

    (void)state;
    pid_t pid = role_start(role_receives_one, part);
    baton_take(&part->ready);
    must(try_to_send(1));
    baton_take(&part->ready);
    role_kill(pid);
    yoke_peer *bob = join_bob();
    must_fail(try_to_send(2), ENOTSUP);
    assert_non_null(strstr(yoke_explain(), "yoke_signals_open()"));
    yoke_peer_leave(bob);
    must_fail(try_to_send(3), ENOENT);
    part_drop(part);
}

/* Is stopped while it has an inbox; what it does then is of no effect. */
static int role_is_stopped(void *context)
{
    struct part *part = context;
    struct bob bob = be_bob();
    struct yoke_signal signal;

    baton_pass(&part->ready);
    baton_take(&part->go);
    must_fail(yoke_signal_recv(bob.inbox, &signal, SOON_MS * MS), EOWNERDEAD);
    must_fail(yoke_signal_recv(bob.inbox, &signal, YOKE_NOW), EOWNERDEAD);
    end(&bob);
    return 0;
}

static void who_was_silent_too_long_receives_no_more(void **state)
{
    struct part *part = part_new();

    (void)state;
    pid_t pid = role_start(role_is_stopped, part);
    baton_take(&part->ready);
    must(try_to_send(1));
    role_stop(pid);
    struct bob bob = be_bob(); /* when the lease is over */
    must(try_to_send(2));
    baton_pass(&part->go);
    role_resume(pid);
    assert_int_equal(role_wait(pid, SOON_MS), 0);
    expect(bob.inbox, 2);
    must(try_to_send(3)); /* and its closing did not take the other's along */
    expect(bob.inbox, 3);
    end(&bob);
    part_drop(part);
}

static int role_is_stopped_while_it_waits(void *context)
{
    struct part *part = context;
    struct bob bob = be_bob();
    struct yoke_signal signal;

    baton_pass(&part->ready);
    must_fail(yoke_signal_recv(bob.inbox, &signal, SOON_MS * MS), EOWNERDEAD);
    end(&bob);
    return 0;
}

/* What came to it while it was stopped is not received either. */
static void who_was_stopped_in_a_wait_receives_no_more(void **state)
{
    struct part *part = part_new();

    (void)state;
    pid_t pid = role_start(role_is_stopped_while_it_waits, part);
    baton_take(&part->ready);
    role_wait_asleep(pid, SOON_MS);
    role_stop(pid);
    must(try_to_send(1));
    struct bob bob = be_bob(); /* when the lease is over */
    role_resume(pid);
    assert_int_equal(role_wait(pid, SOON_MS), 0);
    assert_none(bob.inbox);
    end(&bob);
    part_drop(part);
}

/* The same where the name's next owner takes no signals. */
static void who_was_silent_too_long_receives_nothing_of_its_own(void **state)
{
    struct part *part = part_new();

    (void)state;
    pid_t pid = role_start(role_is_stopped, part);
    baton_take(&part->ready);
    must(try_to_send(1));
    role_stop(pid);
    yoke_peer *bob = join_bob();
    baton_pass(&part->go);
    role_resume(pid);
    assert_int_equal(role_wait(pid, SOON_MS), 0);
    yoke_peer_leave(bob);
    part_drop(part);
}

/* ---- one inbox ---- */

static void an_inbox_is_one_and_keeps_the_name_until_it_is_closed(void **state)
{
    struct bob bob = be_bob();
    yoke_endpoint *second;
    yoke_peer *again;

    (void)state;
    must_fail(yoke_signals_open(&second, bob.peer, 0, NULL), EBUSY);
    must(yoke_peer_join(&again, in_place("bob"), NULL));
    must_fail(yoke_signals_open(&second, again, 0, NULL), EBUSY);
    yoke_peer_leave(again);
    yoke_peer_leave(bob.peer);
    must(try_to_send(1));
    expect(bob.inbox, 1);
    must(try_to_send(2));
    yoke_close(bob.inbox);
    must_fail(try_to_send(3), ENOENT);
    bob = be_bob();
    assert_none(bob.inbox); /* what waited when it was closed went with it */
    yoke_close(bob.inbox);
    must_fail(try_to_send(4), ENOTSUP);
    must(yoke_signals_open(&bob.inbox, bob.peer, 0, NULL));
    must(try_to_send(5));
    expect(bob.inbox, 5);
    end(&bob);
}

static void a_full_inbox_says_how_many_wait(void **state)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;
    struct bob bob = {.peer = join_bob()};

    (void)state;
    options.depth = 3;
    must(yoke_signals_open(&bob.inbox, bob.peer, 0, &options));
    for (uint32_t i = 1; i <= 3; i++)
        must(try_to_send(i));
    must_fail(try_to_send(4), EAGAIN);
    assert_non_null(strstr(yoke_explain(), "depth 3"));
    expect(bob.inbox, 1);
    int result = -EAGAIN;
    for (int64_t until = now_ns() + SOON_MS * MS; result == -EAGAIN && now_ns() < until;)
        result = yoke_signal_send(bob.peer, in_place("peer:bob"), 5, 5); /* its end is on its way */
    must(result);
    expect(bob.inbox, 2);
    expect(bob.inbox, 3);
    assert_string_equal(expect(bob.inbox, 5).sender, "bob");
    assert_none(bob.inbox);
    end(&bob);
}

static void names_of_full_length_are_had_where_a_stream_can_have_them(void **state)
{
    char name[YOKE_PEER_NAME_MAX + 1] = "", to[YOKE_PEER_NAME_MAX + 16];
    struct bob bob;

    (void)state;
    memset(name, 'x', sizeof name - 1);
    snprintf(to, sizeof to, "peer:%s", name);
    must(yoke_peer_join(&bob.peer, in_place(name), NULL));
    must(yoke_signals_open(&bob.inbox, bob.peer, 0, NULL));
    must(yoke_signal_send(bob.peer, in_place(to), 1, 1));
    assert_string_equal(expect(bob.inbox, 1).sender, name);
    end(&bob);
    memset(name + 1, '.', sizeof name - 2);
    must(yoke_peer_join(&bob.peer, in_place(name), NULL));
    must_fail(yoke_signals_open(&bob.inbox, bob.peer, 0, NULL), EINVAL);
    assert_non_null(strstr(yoke_explain(), "334 bytes"));
    yoke_peer_leave(bob.peer);
}

/* ---- UNIX signals beside them ---- */

static int64_t recv_number_of(void *inbox)
{
    struct yoke_signal signal;
    int result = yoke_signal_recv(inbox, &signal, SOON_MS * MS);

    if (result < 0 || signal.unix_signal)
        return result < 0 ? result : signal.unix_signal;
    return 1000 + (int64_t)signal.number;
}

static void one_wait_is_for_both(void **state)
{
    static const int caught[] = {SIGUSR1};
    struct bob bob = be_bob();
    struct worker worker;

    (void)state;
    must(yoke_signals_catch(bob.inbox, caught, 1));
    for (uint32_t i = 0; i < 5; i++) {
        worker_start(&worker, recv_number_of, bob.inbox);
        worker_wait_asleep(&worker);
        if (i % 2)
            must(try_to_send(i));
        else
            kill(getpid(), SIGUSR1);
        assert_int_equal(worker_join(&worker), i % 2 ? 1000 + i : SIGUSR1);
    }
    assert_none(bob.inbox);
    worker_start(&worker, recv_number_of, bob.inbox);
    worker_wait_asleep(&worker);
    must(yoke_cancel(bob.inbox));
    assert_int_equal(worker_join(&worker), -ECANCELED);
    end(&bob);
}

/* ---- who sends ---- */

struct sender {
    yoke_peer *alice;
    struct bob *bob;
};

static int role_sends_as_itself(void *context)
{
    struct sender *sender = context;
    yoke_endpoint *inbox;
    struct yoke_signal signal;

    must_fail(yoke_signal_send(sender->alice, in_place("peer:bob"), 9, 9), EADDRINUSE);
    must_fail(yoke_signals_open(&inbox, sender->alice, 0, NULL), EADDRINUSE);
    must_fail(yoke_signal_recv(sender->bob->inbox, &signal, YOKE_NOW), EPERM);
    for (uint32_t i = 10; i < 20; i++)
        must(try_to_send(i));
    yoke_close(sender->bob->inbox);
    yoke_peer_leave(sender->bob->peer);
    yoke_peer_leave(sender->alice);
    return 0;
}

static void a_forked_child_sends_as_itself_and_takes_nothing_along(void **state)
{
    struct bob bob = be_bob();
    struct sender sender = {.bob = &bob};

    (void)state;
    must(yoke_peer_join(&sender.alice, in_place("alice"), NULL));
    must(yoke_signal_send(sender.alice, in_place("peer:bob"), 1, 1));
    pid_t child = role_start(role_sends_as_itself, &sender);
    assert_int_equal(role_wait(child, SOON_MS), 0);
    must(yoke_signal_send(sender.alice, in_place("peer:bob"), 2, 2));
    struct yoke_signal signal = expect(bob.inbox, 1);
    assert_string_equal(signal.sender, "alice");
    assert_int_equal(signal.pid, getpid());
    assert_int_equal(signal.uid, geteuid());
    for (uint32_t i = 10; i < 20; i++) {
        signal = expect(bob.inbox, i);
        assert_string_equal(signal.sender, "");
        assert_int_equal(signal.pid, child);
    }
    assert_string_equal(expect(bob.inbox, 2).sender, "alice");
    assert_none(bob.inbox);
    yoke_peer_leave(sender.alice);
    end(&bob);
}

static int64_t send_each(void *context)
{
    uint32_t thread = *(const uint32_t *)context;
    int result = 0;

    for (uint32_t i = 0; i < EACH && result == 0; i++)
        result = try_to_send(thread * EACH + i);
    if (result < 0)
        fprintf(stderr, "thread %u: %d: %s\n", thread, result, yoke_explain());
    return result;
}

static void threads_send_at_once_and_none_is_lost_or_out_of_order(void **state)
{
    struct bob bob = be_bob();
    struct worker workers[THREADS];
    uint32_t numbers[THREADS], next[THREADS] = {0};
    uint64_t last = 0;

    (void)state;
    in_place("");
    for (uint32_t i = 0; i < THREADS; i++) {
        numbers[i] = i;
        worker_start(&workers[i], send_each, &numbers[i]);
    }
    for (int i = 0; i < THREADS * EACH; i++) {
        struct yoke_signal signal;
        must(yoke_signal_recv(bob.inbox, &signal, SOON_MS * MS));
        assert_true(signal.number / EACH < THREADS);
        assert_int_equal(signal.number % EACH, next[signal.number / EACH]++);
        assert_true(signal.sequence > last);
        last = signal.sequence;
    }
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(worker_join(&workers[i]), 0);
    assert_none(bob.inbox);
    end(&bob);
}

/* ---- where they go ---- */

static void the_place_of_the_environment_is_theirs(void **state)
{
    struct bob bob;

    (void)state;
    setenv("YOKE_PLACE", in_place("") + 1, 1);
    must(yoke_peer_join(&bob.peer, "bob", NULL));
    must(yoke_signals_open(&bob.inbox, bob.peer, 0, NULL));
    must(yoke_signal_send(bob.peer, "peer:bob", 1, UINT64_MAX));
    assert_true(expect(bob.inbox, 1).value == UINT64_MAX);
    must_fail(yoke_signal_send(bob.peer, "peer:bob@memory", 1, 1), ENOENT);
    must_fail(yoke_signal_kill("peer:bob", 0), ENOTSUP);
    must_fail(yoke_signal_queue("peer:bob", SIGRTMIN, 1), ENOTSUP);
    end(&bob);
    unsetenv("YOKE_PLACE");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        api_test(a_later_owner_gets_nothing_of_an_earlier_ones),
        api_test(what_a_dead_one_left_takes_no_more),
        api_test(who_was_silent_too_long_receives_no_more),
        api_test(who_was_silent_too_long_receives_nothing_of_its_own),
        api_test(who_was_stopped_in_a_wait_receives_no_more),
        api_test(an_inbox_is_one_and_keeps_the_name_until_it_is_closed),
        api_test(a_full_inbox_says_how_many_wait),
        api_test(names_of_full_length_are_had_where_a_stream_can_have_them),
        api_test(one_wait_is_for_both),
        api_test(a_forked_child_sends_as_itself_and_takes_nothing_along),
        api_test(threads_send_at_once_and_none_is_lost_or_out_of_order),
        api_test(the_place_of_the_environment_is_theirs),
    };

    return cmocka_run_group_tests(tests, api_setup, NULL);
}
