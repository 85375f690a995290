/* Processes that are killed or stopped while they use a port: the others go on, and no message is lost. */
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../api/api.h"

static const char *name = "mortal";

static yoke_endpoint *make_small(uint32_t depth, uint32_t participants)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;

    options.depth = depth;
    options.participants = participants;
    options.max_message = 64;
    options.max_deliveries = UINT32_MAX;
    return port_make(name, &options);
}

/* ---- killed while they wait, or hold something ---------------------------------------------------- */

static int role_receives_for_long(void *argument)
{
    yoke_endpoint *port = port_join(name);
    char bytes[64];

    (void)argument;
    return yoke_recv(port, bytes, sizeof bytes, LONG_WAIT) == 8 ? 0 : 1;
}

static int role_sends_for_long(void *argument)
{
    yoke_endpoint *port = port_join(name);

    (void)argument;
    return (int)yoke_send(port, &(uint64_t){77}, 8, LONG_WAIT);
}

static void receiver_killed_while_it_waits_takes_no_message_with_it(void **state)
{
    yoke_endpoint *port = make_small(8, 4);

    (void)state;
    for (uint64_t i = 0; i < 10; i++) {
        pid_t killed = role_start(role_receives_for_long, NULL), other;

        role_wait_asleep(killed, SOON_MS);
        other = role_start(role_receives_for_long, NULL);
        role_wait_asleep(other, SOON_MS);
        role_kill(killed);
        send_number(port, i); /* may try to wake the dead one first */
        assert_int_equal(role_wait(other, SOON_MS), 0);
        must_fail(yoke_recv(port, NULL, 0, YOKE_NOW), EAGAIN);
    }
    yoke_close(port);
}

static void sender_killed_while_it_waits_sent_nothing(void **state)
{
    yoke_endpoint *port = make_small(1, 4);

    (void)state;
    for (int i = 0; i < 10; i++) {
        pid_t killed, other;

        send_number(port, 1);
        killed = role_start(role_sends_for_long, NULL);
        role_wait_asleep(killed, SOON_MS);
        other = role_start(role_sends_for_long, NULL);
        role_wait_asleep(other, SOON_MS);
        role_kill(killed);
        assert_int_equal(recv_number(port, YOKE_NOW), 1);
        assert_int_equal(role_wait(other, SOON_MS), 0); /* it got the room */
        assert_int_equal(recv_number(port, YOKE_NOW), 77);
        must_fail(yoke_recv(port, NULL, 0, YOKE_NOW), EAGAIN);
    }
    yoke_close(port);
}

static int role_dies_with_loans(void *argument)
{
    yoke_endpoint *port = port_join(name);
    void *block;

    (void)argument;
    for (int i = 0; i < 8; i++)
        must(yoke_loan(port, 64, &block, YOKE_NOW));
    send_number(port, 9);
    raise(SIGKILL);
    return 0;
}

static void message_of_a_killed_sender_is_there_and_its_loans_are_gone(void **state)
{
    yoke_endpoint *port = make_small(8, 2); /* the one place is used again each time */

    (void)state;
    for (int i = 0; i < 20; i++) {
        assert_int_equal(role_wait(role_start(role_dies_with_loans, NULL), SOON_MS), 128 + SIGKILL);
        assert_int_equal(recv_number(port, YOKE_NOW), 9);
        must_fail(yoke_recv(port, NULL, 0, YOKE_NOW), EAGAIN);
    }
    yoke_close(port);
}

static int role_fills_all_places(void *argument)
{
    for (int i = 0; i < 3; i++)
        port_join(name);
    baton_pass(argument);
    for (;;)
        pause();
    return 0;
}

static void places_of_the_dead_are_free_even_while_another_recovers_them(void **state)
{
    yoke_endpoint *port = make_small(8, 5), *other = NULL;
    struct baton ready;
    pid_t looker;

    (void)state;
    baton_make(&ready);
    looker = role_start(role_receives_for_long, NULL); /* looks for the dead every 100 ms */
    role_wait_asleep(looker, SOON_MS);
    for (int i = 0; i < 30; i++) {
        pid_t pid = role_start(role_fills_all_places, &ready);

        baton_take(&ready);
        must_fail(yoke_open(&other, "port:mortal", 0, NULL), ENOSPC);
        role_kill(pid);
        yoke_close(port_join(name));
    }
    role_kill(looker);
    baton_drop(&ready);
    yoke_close(port);
}

/* ---- stopped -------------------------------------------------------------------------------------- */

struct holder {
    struct baton ready, end;
};

static int role_holds_one(void *argument)
{
    struct holder *holder = argument;
    yoke_endpoint *port = port_join(name);
    const void *message;

    must(yoke_borrow(port, &message, LONG_WAIT));
    baton_pass(&holder->ready);
    baton_take(&holder->end);
    must(yoke_release(port, message));
    yoke_close(port);
    return 0;
}

static int role_streams(void *argument)
{
    yoke_endpoint *port = port_join(name);

    (void)argument;
    for (uint64_t i = 0; i < 5000; i++)
        send_number(port, i);
    yoke_close(port);
    return 0;
}

static void receiver_stopped_with_a_message_holds_up_nobody(void **state)
{
    yoke_endpoint *port = make_small(4, 8);
    struct holder holder;
    pid_t stopped, sender;

    (void)state;
    baton_make(&holder.ready);
    baton_make(&holder.end);
    send_number(port, 1000000);
    stopped = role_start(role_holds_one, &holder);
    baton_take(&holder.ready);
    role_stop(stopped);
    sender = role_start(role_streams, NULL);
    for (uint64_t i = 0; i < 5000; i++)
        assert_int_equal(recv_number(port, SOON_MS * MS), i);
    assert_int_equal(role_wait(sender, SOON_MS), 0);
    must_fail(yoke_recv(port, NULL, 0, 150 * MS), ETIMEDOUT); /* it stays the stopped one's */
    role_resume(stopped);
    baton_pass(&holder.end);
    assert_int_equal(role_wait(stopped, SOON_MS), 0);
    must_fail(yoke_recv(port, NULL, 0, YOKE_NOW), EAGAIN);
    baton_drop(&holder.ready);
    baton_drop(&holder.end);
    yoke_close(port);
}

static int role_sends_without_end(void *argument)
{
    yoke_endpoint *port = port_join(name);

    (void)argument;
    for (;;)
        if (yoke_send(port, &(uint64_t){1000000}, 8, LONG_WAIT) < 0)
            return 1;
    return 0;
}

static int role_receives_without_end(void *argument)
{
    yoke_endpoint *port = port_join(name);
    char bytes[64];

    (void)argument;
    for (;;)
        if (yoke_recv(port, bytes, sizeof bytes, LONG_WAIT) < 0)
            return 1;
    return 0;
}

/* Sends and receives 7s through a port on which nobody else moves. */
static void pass_messages_alone(yoke_endpoint *port)
{
    int64_t end = now_ns() + SOON_MS * MS;
    uint64_t number;

    for (int passed = 0; passed < 20;) {
        assert_true(now_ns() < end);
        yoke_send(port, &(uint64_t){7}, 8, YOKE_NOW);
        passed += yoke_recv(port, &number, 8, YOKE_NOW) == 8 && number == 7;
    }
}

/* Stops processes somewhere in their work, many times, and sees each time that the others get on. */
static void processes_stopped_anywhere_hold_up_nobody(void **state)
{
    yoke_endpoint *port = make_small(4, 12);

    (void)state;
    srandom((unsigned)test_seed());
    for (int i = 0; i < 60; i++) {
        bool stop_sender = i % 3 != 0, stop_receiver = i % 3 != 1;
        pid_t sender = role_start(role_sends_without_end, NULL);
        pid_t receiver = role_start(role_receives_without_end, NULL);

        for (long j = random() % 200; j > 0; j--)
            recv_number(port, SOON_MS * MS); /* so long they run */
        if (stop_sender)
            role_stop(sender);
        if (stop_receiver)
            role_stop(receiver);
        if (stop_sender && stop_receiver)
            pass_messages_alone(port);
        for (uint64_t j = 0; j < 20 && !stop_sender; j++)
            recv_number(port, SOON_MS * MS);
        for (uint64_t j = 0; j < 20 && !stop_receiver; j++)
            send_number(port, 7);
        role_kill(sender);
        role_kill(receiver);
        while (yoke_recv(port, &(uint64_t){0}, 8, YOKE_NOW) >= 0)
            continue;
    }
    yoke_close(port);
}

/* ---- killed at random: nothing is lost, no duplicate unmarked -------------------------------------- */

#define SENDERS   3
#define RECEIVERS 4
#define EACH      12000
#define KILLS     120

/* What the processes note of each message, in memory that is none of yoke's. */
struct ledger {
    atomic_uint sent_up_to[SENDERS];  /* numbers below were sent, for certain */
    atomic_uint tried_up_to[SENDERS]; /* numbers below may have been */
    bool uncertain[SENDERS][EACH];    /* the sender was killed between the two */
    atomic_uint faults, released;
    atomic_uchar seen[SENDERS][EACH];        /* how many deliveries it had when it was seen last */
    atomic_uchar released_of[SENDERS][EACH]; /* 1: acknowledged */
};

static struct ledger *ledger;

static int role_sends_its_share(void *argument)
{
    unsigned me = (unsigned)(uintptr_t)argument;
    yoke_endpoint *port = port_join(name);

    for (unsigned i = atomic_load(&ledger->tried_up_to[me]); i < EACH; i++) {
        uint64_t number = (uint64_t)me << 32 | i;

        atomic_store(&ledger->tried_up_to[me], i + 1);
        must(yoke_send(port, &number, sizeof number, LONG_WAIT));
        atomic_store(&ledger->sent_up_to[me], i + 1);
    }
    yoke_close(port);
    return 0;
}

static void note_fault(void)
{
    atomic_fetch_add(&ledger->faults, 1);
}

static int role_receives_and_notes(void *argument)
{
    yoke_endpoint *port = port_join(name);

    (void)argument;
    for (;;) {
        struct yoke_message message = {.data = NULL};
        unsigned sender, number, seen;

        must(yoke_borrow_many(port, &message, 1, LONG_WAIT));
        sender = (unsigned)(*(uint64_t *)message.data >> 32);
        number = (unsigned)*(uint64_t *)message.data;
        if (sender >= SENDERS || number >= EACH) {
            note_fault();
            return 1;
        }
        if (atomic_load(&ledger->released_of[sender][number]))
            note_fault(); /* delivered though it was acknowledged */
        seen = atomic_load(&ledger->seen[sender][number]);
        if (message.deliveries <= seen)
            note_fault(); /* delivered again, but not marked so */
        atomic_store(&ledger->seen[sender][number], (unsigned char)message.deliveries);
        must(yoke_release(port, message.data));
        atomic_store(&ledger->released_of[sender][number], 1);
        atomic_fetch_add(&ledger->released, 1);
    }
    return 0;
}

static pid_t start_one(int index)
{
    return index < SENDERS ? role_start(role_sends_its_share, (void *)(uintptr_t)index)
                           : role_start(role_receives_and_notes, NULL);
}

static bool has_sent_all(int sender)
{
    return atomic_load(&ledger->tried_up_to[sender]) == EACH;
}

/* Kills one of them, at a random moment, and starts another in its place. */
static void kill_and_replace(pid_t *pids)
{
    int index = (int)(random() % (SENDERS + RECEIVERS));
    unsigned before = atomic_load(&ledger->released), some = (unsigned)(random() % 200);
    int64_t end = now_ns() + 50 * MS;

    while (atomic_load(&ledger->released) - before < some && now_ns() < end)
        sched_yield();
    if (index < SENDERS && has_sent_all(index))
        return;
    role_kill(pids[index]);
    if (index < SENDERS &&
        atomic_load(&ledger->tried_up_to[index]) != atomic_load(&ledger->sent_up_to[index]))
        ledger->uncertain[index][atomic_load(&ledger->tried_up_to[index]) - 1] = true;
    pids[index] = start_one(index);
}

static void assert_all_that_was_sent_was_seen(void)
{
    assert_int_equal(atomic_load(&ledger->faults), 0);
    for (int i = 0; i < SENDERS; i++) {
        assert_int_equal(atomic_load(&ledger->tried_up_to[i]), EACH);
        for (unsigned j = 0; j < EACH; j++)
            if (atomic_load(&ledger->seen[i][j]) == 0 && !ledger->uncertain[i][j])
                fail_msg("message %u of sender %d is lost", j, i);
    }
}

static void random_kills_lose_nothing_and_double_nothing_unmarked(void **state)
{
    yoke_endpoint *port = make_small(64, 32);
    pid_t pids[SENDERS + RECEIVERS];

    (void)state;
    ledger = shared_new(sizeof *ledger);
    srandom((unsigned)test_seed());
    for (int i = 0; i < SENDERS + RECEIVERS; i++)
        pids[i] = start_one(i);
    for (int i = 0; i < KILLS; i++)
        kill_and_replace(pids);
    for (int i = 0; i < SENDERS; i++)
        assert_int_equal(role_wait(pids[i], 3 * SOON_MS), 0);
    /* The receivers have it all when nothing waits and they sleep over an empty port. */
    for (int64_t end = now_ns() + SOON_MS * MS;
         atomic_load(&ledger->released) < SENDERS * EACH - KILLS;)
        assert_true(now_ns() < end), sched_yield();
    for (int i = SENDERS; i < SENDERS + RECEIVERS; i++)
        role_wait_asleep(pids[i], SOON_MS);
    for (int i = SENDERS; i < SENDERS + RECEIVERS; i++)
        role_kill(pids[i]);
    yoke_close(port_join(name)); /* gives back what they held */
    for (struct yoke_message message = {.data = NULL};
         yoke_borrow_many(port, &message, 1, YOKE_NOW) == 1;
         must(yoke_release(port, message.data))) {
        uint64_t number = *(uint64_t *)message.data;

        atomic_store(&ledger->seen[number >> 32][(uint32_t)number], 1);
    }
    assert_all_that_was_sent_was_seen();
    shared_drop(ledger, sizeof *ledger);
    yoke_close(port);
}

/* ---- across PID namespaces -------------------------------------------------------------------------- */

struct namespaced {
    struct baton ready, go, end;
    pid_t *inner; /* as seen from outside */
};

static int role_borrows_in_a_namespace(void *argument)
{
    struct namespaced *space = argument;
    yoke_endpoint *port = port_join(name);
    struct yoke_message second;
    const void *message;

    if (getpid() != 1)
        return 1;
    must(yoke_borrow(port, &message, YOKE_NOW));
    baton_pass(&space->ready);
    baton_take(&space->go);
    borrow_details(port, &second);
    assert_int_equal(*(uint64_t *)second.data, 2);
    assert_int_equal(second.deliveries, 2); /* the first time it went to one who died outside */
    baton_pass(&space->ready);
    for (;;)
        pause();
    return 0;
}

static int role_enters_a_namespace(void *argument)
{
    struct namespaced *space = argument;

    if (unshare(CLONE_NEWPID) != 0)
        return 77;
    *space->inner = role_start(role_borrows_in_a_namespace, space);
    baton_take(&space->end);
    return role_wait(*space->inner, SOON_MS);
}

static int role_borrows_outside(void *argument)
{
    yoke_endpoint *port = port_join(name);
    const void *message;

    (void)argument;
    must(yoke_borrow(port, &message, YOKE_NOW));
    raise(SIGKILL);
    return 0;
}

static void deaths_are_noticed_across_pid_namespaces(void **state)
{
    yoke_endpoint *port;
    struct namespaced space;
    struct yoke_message message;
    pid_t outer;

    (void)state;
    if (geteuid() != 0)
        skip_test("only root makes PID namespaces here");
    port = make_small(8, 8);
    baton_make(&space.ready);
    baton_make(&space.go);
    baton_make(&space.end);
    space.inner = shared_new(sizeof *space.inner);
    send_number(port, 1);
    outer = role_start(role_enters_a_namespace, &space);
    if (!baton_take_within(&space.ready, SOON_MS)) {
        role_kill(outer);
        fail_msg("no process came up in its PID namespace");
    }
    /* It lives, though its pid means another process here: its message is not given away. */
    must_fail(yoke_recv(port, NULL, 0, 150 * MS), ETIMEDOUT);
    send_number(port, 2);
    assert_int_equal(role_wait(role_start(role_borrows_outside, NULL), SOON_MS), 128 + SIGKILL);
    baton_pass(&space.go);
    baton_take(&space.ready);
    assert_int_equal(kill(*space.inner, SIGKILL), 0);
    baton_pass(&space.end);
    assert_int_equal(role_wait(outer, SOON_MS), 128 + SIGKILL);
    for (uint64_t i = 1; i <= 2; i++) {
        borrow_details(port, &message);
        assert_int_equal(*(uint64_t *)message.data, i);
        assert_int_equal(message.deliveries, i + 1);
        must(yoke_release(port, message.data));
    }
    shared_drop(space.inner, sizeof *space.inner);
    baton_drop(&space.ready);
    baton_drop(&space.go);
    baton_drop(&space.end);
    yoke_close(port);
}

/* ---- noticed in time, and places that come free ------------------------------------------------- */

static int role_borrows_for_long(void *argument)
{
    yoke_endpoint *port = port_join(name);
    const void *message;

    must(yoke_borrow(port, &message, YOKE_NOW));
    baton_pass(argument);
    pause();
    return 0;
}

static int64_t receive_for_long(void *context)
{
    char bytes[64];

    yoke_recv(context, bytes, sizeof bytes, LONG_WAIT);
    return now_ns();
}

/* How long after the borrower's death a receiver that slept has its message, when somebody else has just looked. */
static int64_t time_to_notice(yoke_endpoint *port, yoke_endpoint *other)
{
    struct baton borrowed;
    struct worker receiver;
    char bytes[64];
    int64_t died;
    pid_t pid;

    send_number(port, 1);
    baton_make(&borrowed);
    pid = role_start(role_borrows_for_long, &borrowed);
    baton_take(&borrowed);
    worker_start(&receiver, receive_for_long, port);
    worker_wait_asleep(&receiver);
    usleep(
        60 *
        1000); /* in the second half of its slice, in which a look of others made it skip its own */
    must_fail(yoke_recv(other, bytes, sizeof bytes, YOKE_NOW), EAGAIN);
    died = now_ns();
    role_kill(pid);
    baton_drop(&borrowed);
    return worker_join(&receiver) - died;
}

static void death_is_noticed_in_time_though_somebody_else_looked_just_before(void **state)
{
    yoke_endpoint *port = make_small(8, 4), *other = port_join(name);
    int64_t end = now_ns() + SOON_MS * MS;

    (void)state;
    /* once is enough, as the machine may be busy: without the remedy it is never below 140 ms */
    while (time_to_notice(port, other) >= 120 * MS)
        assert_true(now_ns() < end);
    yoke_close(other);
    yoke_close(port);
}

static void receiver_that_spins_for_long_notices_a_death(void **state)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;
    yoke_endpoint *port;
    struct baton borrowed;
    char bytes[64];
    pid_t pid;

    (void)state;
    options.spin_ns = LONG_WAIT;
    options.max_deliveries = UINT32_MAX;
    port = port_make(name, &options);
    send_number(port, 1);
    baton_make(&borrowed);
    pid = role_start(role_borrows_for_long, &borrowed);
    baton_take(&borrowed);
    baton_drop(&borrowed);
    role_kill(pid);
    must_fail(yoke_recv(port, bytes, 0, YOKE_NOW),
              EMSGSIZE); /* this look finds it; now once more */
    baton_make(&borrowed);
    pid = role_start(role_borrows_for_long, &borrowed);
    baton_take(&borrowed);
    baton_drop(&borrowed);
    must_fail(yoke_recv(port, bytes, sizeof bytes, YOKE_NOW), EAGAIN);
    role_kill(pid);
    assert_int_equal(must(yoke_recv(port, bytes, sizeof bytes, YOKE_FOREVER)), 8);
    yoke_close(port);
}

/* Work of 5 ms each, and always more of it: what the dead one held comes amidst it, not behind all. */
static void slow_receiver_of_a_port_that_is_never_empty_gets_what_a_dead_one_held(void **state)
{
    enum { BACKLOG = 16, WORK_MS = 5, MOST = 900 };
    yoke_endpoint *port = make_small(2 * BACKLOG, 4);
    struct baton borrowed;
    pid_t pid;
    uint64_t number = 0;

    (void)state;
    send_number(port, 1);
    baton_make(&borrowed);
    pid = role_start(role_borrows_for_long, &borrowed);
    baton_take(&borrowed);
    baton_drop(&borrowed);
    for (uint64_t i = 0; i < BACKLOG; i++)
        send_number(port, 100 + i);
    role_kill(pid);
    for (int i = 0; i < MOST && number != 1; i++) {
        number = recv_number(port, YOKE_NOW);
        send_number(port, 200);
        (void)poll(NULL, 0, WORK_MS);
    }
    assert_int_equal(number, 1);
    yoke_close(port);
}

static int role_polls(void *argument)
{
    yoke_endpoint *port = port_join(name);
    char bytes[64];

    baton_pass(argument);
    for (;;)
        yoke_recv(port, bytes, sizeof bytes, YOKE_NOW);
    return 0;
}

static int role_joins(void *argument)
{
    atomic_int *result = argument;
    yoke_endpoint *port;
    char address[40];

    snprintf(address, sizeof address, "port:%s", name);
    atomic_store(result, yoke_open(&port, address, 0, NULL));
    pause();
    return 0;
}

/* One after the other; each is killed before the next, while somebody else recovers whom it finds. */
static void place_of_a_dead_one_is_never_refused_as_taken(void **state)
{
    yoke_endpoint *port;
    struct yoke_options options = YOKE_OPTIONS_INIT;
    atomic_int *result = shared_new(sizeof *result);
    struct baton polls;
    pid_t poller;

    (void)state;
    options.participants = 3;
    options.depth = 1 << 18; /* so that recovering takes a while */
    options.max_message = 1;
    port = port_make(name, &options);
    baton_make(&polls);
    poller = role_start(role_polls, &polls);
    baton_take(&polls);
    for (int i = 0; i < 150; i++) {
        pid_t pid;

        atomic_store(result, 1);
        pid = role_start(role_joins, result);
        while (atomic_load(result) == 1)
            sched_yield();
        must(atomic_load(result));
        role_kill(pid);
    }
    role_kill(poller);
    baton_drop(&polls);
    shared_drop(result, sizeof *result);
    yoke_close(port);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        api_test(receiver_killed_while_it_waits_takes_no_message_with_it),
        api_test(sender_killed_while_it_waits_sent_nothing),
        api_test(message_of_a_killed_sender_is_there_and_its_loans_are_gone),
        api_test(places_of_the_dead_are_free_even_while_another_recovers_them),
        api_test(receiver_stopped_with_a_message_holds_up_nobody),
        api_test(processes_stopped_anywhere_hold_up_nobody),
        api_test(random_kills_lose_nothing_and_double_nothing_unmarked),
        api_test(deaths_are_noticed_across_pid_namespaces),
        api_test(death_is_noticed_in_time_though_somebody_else_looked_just_before),
        api_test(receiver_that_spins_for_long_notices_a_death),
        api_test(slow_receiver_of_a_port_that_is_never_empty_gets_what_a_dead_one_held),
        api_test(place_of_a_dead_one_is_never_refused_as_taken),
    };

    return cmocka_run_group_tests(tests, api_setup, NULL);
}
