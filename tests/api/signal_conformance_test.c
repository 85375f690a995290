/*
 * signal_conformance_test.c - the same expectations of signals to a peer, wherever its inbox is. One
 * line a place in `subjects`.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conformance.h"

enum {
    PROVES = 1, /* who sent, by the kernel's word */
    DEPTH = 2,  /* as many may wait as the owner says; else as the kernel lets */
    REMOTE = 4, /* on servers: a death is known when a lease is over, and names are theirs */
};

struct subject {
    const char *name;
    const char *address;
    uint32_t flags;
    unsigned can;
};

static const struct subject subjects[] = {
    {"signals in memory", "peer:bob", 0, DEPTH},
    {"signals in the kernel", "peer:bob@kernel", YOKE_SIGNALS_KERNEL, PROVES},
};

/* Instead of these where tests/nats/with_server.py started a server, which is at $YOKE_NATS_URL. */
static const struct subject remote_subjects[] = {
    {"signals on NATS", "peer:bob", 0, DEPTH | REMOTE},
};

/* ---- the subject of a test: bob, who receives, in this process ---- */

/* On a server each case, which is a process, has names of its own. */
static const char *address_of(const struct subject *subject)
{
    static char address[288];

    if (!(subject->can & REMOTE))
        return subject->address;
    if (address[0] == '\0')
        snprintf(address, sizeof address, "%s@%s/signals%d?lease=5", subject->address,
                 getenv("YOKE_NATS_URL"), (int)getpid());
    return address;
}

/* As which one joins: of those on a server the place is part of it. */
static const char *name_in(const struct subject *subject, const char *name)
{
    static char text[288];
    const char *place = strstr(address_of(subject), "@nats://");

    snprintf(text, sizeof text, "%s%s", name, place ? place : "");
    return text;
}

struct bob {
    const struct subject *subject;
    yoke_peer *peer;
    yoke_endpoint *inbox;
};

/* Of a mode that lets others see that the peer is there, whoever may send. */
static yoke_peer *join_bob(const struct subject *subject)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;
    yoke_peer *peer;

    options.mode = 0666;
    int64_t until = now_ns() + SOON_MS * MS;
    int result;
    /* the name of one who was killed on a server is free when its lease is over */
    do
        result = yoke_peer_join(&peer, name_in(subject, "bob"), &options);
    while (result == -EADDRINUSE && (subject->can & REMOTE) && now_ns() < until);
    must(result);
    return peer;
}

static struct bob bob_make(const struct subject *subject)
{
    struct bob bob = {.subject = subject, .peer = join_bob(subject)};

    must(yoke_signals_open(&bob.inbox, bob.peer, subject->flags, NULL));
    return bob;
}

static void bob_drop(struct bob *bob)
{
    yoke_close(bob->inbox);
    yoke_peer_leave(bob->peer);
}

static void send_to(const struct subject *subject, uint32_t number)
{
    must(yoke_signal_send(NULL, address_of(subject), number, number * UINT64_C(1000000007)));
}

static void expect(yoke_endpoint *inbox, uint32_t number)
{
    struct yoke_signal signal;

    must(yoke_signal_recv(inbox, &signal, SOON_MS * MS));
    assert_int_equal(signal.number, number);
    assert_true(signal.value == number * UINT64_C(1000000007));
}

static void assert_none(yoke_endpoint *inbox)
{
    struct yoke_signal signal;

    must_fail(yoke_signal_recv(inbox, &signal, YOKE_NOW), EAGAIN);
}

/* Until it is full: how many went in. */
static uint32_t fill(const struct subject *subject)
{
    uint32_t count = 0;

    while (yoke_signal_send(NULL, address_of(subject), count, count * UINT64_C(1000000007)) == 0) {
        count++;
        assert_true(count < 1000000);
    }
    must_fail(yoke_signal_send(NULL, address_of(subject), 0, 0), EAGAIN);
    assert_non_null(strstr(yoke_explain(), "peer:bob"));
    return count;
}

/* ---- order and limits ---- */

static void signals_come_whole_and_in_order(void **state)
{
    const struct subject *subject = *state;
    struct bob bob = bob_make(subject);
    struct yoke_signal signal;
    yoke_peer *alice;

    must(yoke_peer_join(&alice, name_in(subject, "alice"), NULL));
    for (uint32_t round = 0; round < 50; round++) {
        for (uint32_t i = 0; i < 5; i++)
            send_to(subject, round * 5 + i);
        for (uint32_t i = 0; i < 5; i++)
            expect(bob.inbox, round * 5 + i);
    }
    must(yoke_signal_send(alice, address_of(subject), UINT32_MAX, UINT64_MAX));
    must(yoke_signal_recv(bob.inbox, &signal, YOKE_NOW));
    assert_int_equal(signal.number, UINT32_MAX);
    assert_true(signal.value == UINT64_MAX);
    assert_string_equal(signal.sender, "alice");
    assert_int_equal(signal.pid, getpid());
    assert_int_equal(signal.unix_signal, 0);
    assert_int_equal(signal.origin, subject->can & PROVES ? YOKE_SIGNAL_NAMED : YOKE_SIGNAL_STATED);
    assert_none(bob.inbox);
    yoke_peer_leave(alice);
    bob_drop(&bob);
}

static void full_inbox_refuses_and_loses_nothing(void **state)
{
    struct bob bob = bob_make(*state);

    for (int round = 0; round < 3; round++) {
        uint32_t count = fill(bob.subject);

        for (uint32_t i = 0; i < count; i++)
            expect(bob.inbox, i);
        assert_none(bob.inbox);
    }
    bob_drop(&bob);
}

/* ---- waiting ---- */

static int64_t recv_for_20_ms(void *inbox)
{
    struct yoke_signal signal;

    return yoke_signal_recv(inbox, &signal, 20 * MS);
}

static int64_t recv_for_long(void *inbox)
{
    struct yoke_signal signal;
    int result = yoke_signal_recv(inbox, &signal, LONG_WAIT);

    return result < 0 ? result : (int64_t)signal.number;
}

static void waits_end_when_their_time_is_over(void **state)
{
    struct bob bob = bob_make(*state);

    assert_times_out(recv_for_20_ms, bob.inbox, 20 * MS);
    bob_drop(&bob);
}

static void waits_end_when_there_is_something(void **state)
{
    struct bob bob = bob_make(*state);
    struct worker worker;

    for (uint32_t i = 0; i < 5; i++) {
        worker_start(&worker, recv_for_long, bob.inbox);
        worker_wait_asleep(&worker);
        send_to(bob.subject, i);
        assert_int_equal(worker_join(&worker), i);
    }
    bob_drop(&bob);
}

static void cancelling_ends_waits_now_and_later(void **state)
{
    struct bob bob = bob_make(*state);
    struct worker worker;

    worker_start(&worker, recv_for_long, bob.inbox);
    worker_wait_asleep(&worker);
    must(yoke_cancel(bob.inbox));
    must_fail(worker_join(&worker), ECANCELED);
    must_fail(recv_for_long(bob.inbox), ECANCELED);
    bob_drop(&bob);
}

static void closing_ends_another_threads_wait(void **state)
{
    struct bob bob = bob_make(*state);
    struct worker worker;

    worker_start(&worker, recv_for_long, bob.inbox);
    worker_wait_asleep(&worker);
    yoke_close(bob.inbox);
    must_fail(worker_join(&worker), ECANCELED);
    yoke_peer_leave(bob.peer);
}

static int64_t recv_in_a_child(void *subject)
{
    struct bob bob = bob_make(subject);
    int64_t result = recv_for_long(bob.inbox);

    bob_drop(&bob);
    return result;
}

static void signal_handlers_end_waits(void **state)
{
    must_fail(interrupted_result(recv_in_a_child, *state), EINTR);
}

static void clear(yoke_endpoint *inbox, int fd)
{
    while (is_readable(fd, 0))
        assert_none(inbox);
}

static void descriptor_is_readable_whenever_receiving_would_not_wait(void **state)
{
    struct bob bob = bob_make(*state);
    int fd = (int)must(yoke_fd(bob.inbox));

    for (uint32_t i = 0; i < 50; i++) {
        clear(bob.inbox, fd);
        send_to(bob.subject, i);
        if (i % 2)
            send_to(bob.subject, i);
        for (uint32_t k = 0; k <= i % 2; k++) {
            assert_true(is_readable(fd, SOON_MS));
            expect(bob.inbox, i);
        }
    }
    assert_int_equal(yoke_fd(bob.inbox), fd);
    clear(bob.inbox, fd);
    must(yoke_cancel(bob.inbox));
    assert_true(is_readable(fd, SOON_MS));
    bob_drop(&bob);
}

static void wait_sets_take_it_beside_messages(void **state)
{
    struct bob bob = bob_make(*state);
    yoke_endpoint *port = port_make("beside", NULL);
    struct yoke_ready ready;
    yoke_set *set;

    must(yoke_set_create(&set));
    must(yoke_set_add(set, port, NULL));
    must(yoke_set_add(set, bob.inbox, &bob));
    must_fail(yoke_set_add(set, bob.inbox, &bob), EBUSY);
    for (uint32_t i = 0; i < 50; i++) {
        while (yoke_set_wait(set, &ready, 1, YOKE_NOW) == 1) {
            if (ready.endpoint == bob.inbox)
                assert_none(bob.inbox);
        }
        if (i % 5 == 0) {
            send_number(port, i);
            assert_int_equal(must(yoke_set_wait(set, &ready, 1, SOON_MS * MS)), 1);
            assert_ptr_equal(ready.endpoint, port);
            assert_int_equal(recv_number(port, YOKE_NOW), i);
            continue;
        }
        send_to(bob.subject, i);
        assert_int_equal(must(yoke_set_wait(set, &ready, 1, SOON_MS * MS)), 1);
        assert_ptr_equal(ready.endpoint, bob.inbox);
        assert_ptr_equal(ready.user, &bob);
        expect(bob.inbox, i);
    }
    bob_drop(&bob);
    yoke_close(port);
    must_fail(yoke_set_wait(set, &ready, 1, YOKE_NOW), EAGAIN);
    yoke_set_close(set);
}

/* ---- the end of one side ---- */

struct acting {
    const struct subject *subject;
    struct baton done;
};

static int role_is_bob_and_stays(void *argument)
{
    const struct acting *acting = argument;

    bob_make(acting->subject);
    baton_pass(&acting->done);
    pause();
    return 1;
}

static int role_sends_three_and_stays(void *argument)
{
    const struct acting *acting = argument;

    for (uint32_t i = 0; i < 3; i++)
        send_to(acting->subject, i);
    baton_pass(&acting->done);
    pause();
    return 1;
}

static void who_sends_is_told_that_the_owner_is_gone(void **state)
{
    struct acting acting = {.subject = *state};
    const char *address = address_of(acting.subject);

    must_fail(yoke_signal_send(NULL, address, 1, 1), ENOENT);
    baton_make(&acting.done);
    pid_t owner = role_start(role_is_bob_and_stays, &acting);
    baton_take(&acting.done);
    send_to(acting.subject, 1);
    role_kill(owner);
    int64_t until = now_ns() + SOON_MS * MS;
    while ((acting.subject->can & REMOTE) && yoke_signal_send(NULL, address, 1, 1) != -ENOENT &&
           now_ns() < until)
        ; /* its lease is not over */
    must_fail(yoke_signal_send(NULL, address, 2, 2), ENOENT);
    struct bob bob = bob_make(acting.subject);
    assert_none(bob.inbox); /* what waited went with the dead one */
    send_to(acting.subject, 3);
    expect(bob.inbox, 3);
    bob_drop(&bob);
    must_fail(yoke_signal_send(NULL, address, 4, 4), ENOENT);
    baton_drop(&acting.done);
}

static void what_a_killed_sender_sent_arrives(void **state)
{
    struct bob bob = bob_make(*state);
    struct acting acting = {.subject = *state};

    address_of(*state); /* the child's, too */
    baton_make(&acting.done);
    pid_t sender = role_start(role_sends_three_and_stays, &acting);
    baton_take(&acting.done);
    role_kill(sender);
    for (uint32_t i = 0; i < 3; i++)
        expect(bob.inbox, i);
    assert_none(bob.inbox);
    send_to(bob.subject, 9);
    expect(bob.inbox, 9);
    bob_drop(&bob);
    baton_drop(&acting.done);
}

static int role_can_only_close_it(void *argument)
{
    struct bob *bob = argument;
    struct yoke_signal signal;

    must_fail(yoke_signal_recv(bob->inbox, &signal, YOKE_NOW), EPERM);
    yoke_close(bob->inbox);
    return 0;
}

static void inbox_belongs_to_the_process_that_opened_it(void **state)
{
    struct bob bob = bob_make(*state);

    assert_int_equal(role_wait(role_start(role_can_only_close_it, &bob), SOON_MS), 0);
    send_to(bob.subject, 1);
    expect(bob.inbox, 1);
    bob_drop(&bob);
}

/* ---- permissions and bad input ---- */

static int role_is_another_user(void *argument)
{
    const struct subject *subject = argument;

    become_user(1);
    must_fail(yoke_signal_send(NULL, address_of(subject), 1, 1), EACCES);
    return 0;
}

static void other_users_may_not_unless_the_mode_says_so(void **state)
{
    if (((const struct subject *)*state)->can & REMOTE)
        return; /* the servers' accounts say who may */
    share_directory();
    struct bob bob = bob_make(*state);
    assert_int_equal(role_wait(role_start(role_is_another_user, *state), SOON_MS), 0);
    assert_none(bob.inbox);
    bob_drop(&bob);
}

static void bad_input_gets_an_answer(void **state)
{
    const struct subject *subject = *state;
    struct yoke_options options = YOKE_OPTIONS_INIT;
    yoke_endpoint *inbox = NULL;
    struct yoke_signal signal;
    yoke_peer *peer = join_bob(subject);

    must_fail(yoke_signal_send(NULL, address_of(subject), 1, 1), ENOTSUP); /* it takes none yet */
    must_fail(yoke_signals_open(NULL, peer, subject->flags, NULL), EINVAL);
    must_fail(yoke_signals_open(&inbox, NULL, subject->flags, NULL), EINVAL);
    must_fail(yoke_signals_open(&inbox, peer, subject->flags | 0x80u, NULL), EINVAL);
    options.struct_size--;
    must_fail(yoke_signals_open(&inbox, peer, subject->flags, &options), EINVAL);
    options = (struct yoke_options)YOKE_OPTIONS_INIT;
    options.depth = (1u << 20) + 1;
    must_fail(yoke_signals_open(&inbox, peer, subject->flags, &options),
              subject->can & DEPTH ? EINVAL : ENOTSUP);
    assert_null(inbox);
    must(yoke_signals_open(&inbox, peer, subject->flags, NULL));
    must_fail(yoke_signals_open(&inbox, peer, subject->flags, NULL), EBUSY);
    must_fail(yoke_signal_recv(NULL, &signal, YOKE_NOW), EINVAL);
    must_fail(yoke_signal_recv(inbox, NULL, YOKE_NOW), EINVAL);
    must_fail(yoke_signal_recv(inbox, &signal, -2), EINVAL);
    must_fail(yoke_signal_send(NULL, NULL, 1, 1), EINVAL);
    must_fail(yoke_signal_send(NULL, "peer:bob@nowhere", 1, 1), ENOTSUP);
    must_fail(yoke_signal_send(NULL, "port:bob", 1, 1), EINVAL);
    must_fail(yoke_send(inbox, "x", 1, YOKE_NOW), ENOTSUP);
    must_fail(yoke_recv(inbox, &signal, sizeof signal, YOKE_NOW), ENOTSUP);
    must_fail(yoke_write(inbox, "x", 1, YOKE_NOW), ENOTSUP);
    must_fail(yoke_read(inbox, &signal, 1, YOKE_NOW), ENOTSUP);
    assert_none(inbox); /* nothing was changed */
    yoke_close(inbox);
    yoke_peer_leave(peer);
    assert_int_equal(names_left(), 0);
}

/* ---- all of them ---- */

static const struct expectation expectations[] = {
    EXPECTATION(signals_come_whole_and_in_order),
    EXPECTATION(full_inbox_refuses_and_loses_nothing),
    EXPECTATION(waits_end_when_their_time_is_over),
    EXPECTATION(waits_end_when_there_is_something),
    EXPECTATION(cancelling_ends_waits_now_and_later),
    EXPECTATION(closing_ends_another_threads_wait),
    EXPECTATION(signal_handlers_end_waits),
    EXPECTATION(descriptor_is_readable_whenever_receiving_would_not_wait),
    EXPECTATION(wait_sets_take_it_beside_messages),
    EXPECTATION(who_sends_is_told_that_the_owner_is_gone),
    EXPECTATION(what_a_killed_sender_sent_arrives),
    EXPECTATION(inbox_belongs_to_the_process_that_opened_it),
    EXPECTATION(other_users_may_not_unless_the_mode_says_so),
    EXPECTATION(bad_input_gets_an_answer),
};

int main(void)
{
    return getenv("YOKE_NATS_URL") ? conform(remote_subjects, expectations)
                                   : conform(subjects, expectations);
}
