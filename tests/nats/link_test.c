/*
 * link_test.c - what links on NATS promise beside what all links do (conformance_test.c): the order of what comes
 * again, how often it was delivered, and who has an end when somebody dies, or is only thought dead. Runs beside a
 * nats-server of its own (with_server.py).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "links.h"

/* Borrows five and releases the second and the fourth. */
static int role_releases_some(void *context)
{
    struct part *part = context;
    struct yoke_message message[5];
    yoke_endpoint *link = open_as("bob", "alice");

    for (int i = 0; i < 5; i++)
        borrow_details(link, &message[i]);
    must(yoke_release(link, message[1].data));
    must(yoke_release(link, message[3].data));
    must_fail(yoke_release(link, message[3].data), EINVAL);
    must_fail(yoke_recv(link, NULL, 0, YOKE_NOW), EMSGSIZE); /* what was released is so by now */
    baton_pass(&part->ready);
    pause();
    return 1;
}

static void what_was_not_released_comes_again_in_order(void **state)
{
    struct part *part = part_new();
    yoke_endpoint *alice = open_as("alice", "bob");

    (void)state;
    send_numbers(alice, 1, 8);
    pid_t pid = role_start(role_releases_some, part);
    baton_take(&part->ready);
    role_kill(pid);
    yoke_endpoint *bob = open_as("bob", "alice");
    send_numbers(alice, 9, 10);
    assert_int_equal(expect_number(bob, 1), 2);
    assert_int_equal(expect_number(bob, 3), 2);
    assert_int_equal(expect_number(bob, 5), 2);
    for (uint64_t i = 6; i <= 8; i++) /* these may have been on their way */
        assert_int_equal(expect_number(bob, i), 2);
    assert_int_equal(expect_number(bob, 9), 1);
    assert_int_equal(expect_number(bob, 10), 1);
    must_fail(yoke_recv(bob, NULL, 0, YOKE_NOW), EAGAIN);
    yoke_close(bob);
    yoke_close(alice);
    part_drop(part);
}

static void who_closes_leaves_exact_counts(void **state)
{
    yoke_endpoint *alice = open_as("alice", "bob"), *bob = open_as("bob", "alice");
    struct yoke_message first, second, third;

    (void)state;
    send_numbers(alice, 1, 6);
    borrow_details(bob, &first);
    borrow_details(bob, &second);
    borrow_details(bob, &third);
    must(yoke_return(bob, second.data));
    must(yoke_release(bob, third.data));
    yoke_close(bob);
    bob = open_as("bob", "alice");
    borrow_details(bob, &first);
    assert_int_equal(first.deliveries, 2);
    must(yoke_return(bob, first.data));
    yoke_close(bob);
    bob = open_as("bob", "alice");
    assert_int_equal(expect_number(bob, 1), 3);
    assert_int_equal(expect_number(bob, 2), 2);
    for (uint64_t i = 4; i <= 6; i++)
        assert_int_equal(expect_number(bob, i), 1);
    yoke_close(bob);
    yoke_close(alice);
}

static void what_is_given_back_comes_next(void **state)
{
    yoke_endpoint *alice = open_as("alice", "bob"), *bob = open_as("bob", "alice");
    struct yoke_message message[3];

    (void)state;
    send_numbers(alice, 1, 4);
    for (int i = 0; i < 3; i++)
        borrow_details(bob, &message[i]);
    must(yoke_return(bob, message[2].data));
    must(yoke_return(bob, message[0].data));
    must(yoke_return(bob, message[1].data));
    for (uint64_t i = 1; i <= 3; i++)
        assert_int_equal(expect_number(bob, i), 2);
    assert_int_equal(expect_number(bob, 4), 1);
    yoke_close(bob);
    yoke_close(alice);
}

static int role_borrows_one(void *context)
{
    struct part *part = context;
    struct yoke_message message;
    yoke_endpoint *link = open_as("bob", "alice");

    borrow_details(link, &message);
    baton_pass(&part->ready);
    pause();
    return 1;
}

static void what_is_delivered_too_often_is_dropped_and_nothing_else(void **state)
{
    struct part *part = part_new();
    struct yoke_options options = YOKE_OPTIONS_INIT;

    (void)state;
    options.max_deliveries = 2;
    yoke_endpoint *alice = open_with("alice", "bob", options, 0);
    send_numbers(alice, 1, 3);
    for (int i = 0; i < 2; i++) {
        pid_t pid = role_start(role_borrows_one, part);
        baton_take(&part->ready);
        role_kill(pid);
    }
    yoke_endpoint *bob = open_as("bob", "alice");
    for (uint64_t i = 2; i <= 3;
         i++) /* marked, as they may have been on their way, and not counted */
        assert_int_equal(expect_number(bob, i), 2);
    must_fail(yoke_recv(bob, NULL, 0, YOKE_NOW), EAGAIN);
    yoke_close(bob);
    yoke_close(alice);
    part_drop(part);
}

/* ---- one that was thought dead ---- */

/* Borrows one, and is stopped; what it does then is of no effect. */
static int role_is_stopped(void *context)
{
    struct part *part = context;
    struct yoke_message message;
    yoke_endpoint *link = open_as("bob", "alice");
    uint64_t number = 99;

    borrow_details(link, &message);
    baton_pass(&part->ready);
    baton_take(&part->go);
    yoke_release(link, message.data);
    int result = 0;
    for (int64_t until = now_ns() + SOON_MS * MS; result >= 0 && now_ns() < until;)
        result = (int)yoke_send(link, &number, sizeof number, YOKE_NOW);
    part->result = result;
    yoke_close(link);
    return result == -EOWNERDEAD ? 0 : 1;
}

static void who_was_silent_too_long_has_lost_its_end(void **state)
{
    struct part *part = part_new();
    yoke_endpoint *alice = open_as("alice", "bob");
    uint64_t number;

    (void)state;
    send_numbers(alice, 1, 2);
    pid_t pid = role_start(role_is_stopped, part);
    baton_take(&part->ready);
    role_stop(pid);
    yoke_endpoint *bob = open_as("bob", "alice"); /* when the lease is over */
    send_number(bob, 7);
    baton_pass(&part->go);
    role_resume(pid);
    assert_int_equal(role_wait(pid, SOON_MS), 0);
    assert_int_equal(expect_number(bob, 1), 2); /* its release did not count */
    assert_in_range(expect_number(bob, 2), 1, 2);
    while (yoke_recv(alice, &number, sizeof number, YOKE_NOW) == sizeof number && number == 99)
        ; /* those that it sent before it knew: before the new owner's first one, or not at all */
    assert_int_equal(number, 7);
    must_fail(yoke_recv(alice, &number, sizeof number, YOKE_NOW), EAGAIN);
    send_number(bob, 8); /* and its closing did not close the other's end */
    assert_int_equal(recv_number(alice, SOON_MS * MS), 8);
    yoke_close(bob);
    yoke_close(alice);
    part_drop(part);
}

/* ---- names ---- */

static int role_is_alice_to_carol(void *context)
{
    struct part *part = context;
    struct yoke_options options = YOKE_OPTIONS_INIT;
    char address[320];
    yoke_endpoint *link;

    (void)part;
    options.as = "alice";
    snprintf(address, sizeof address, "link:carol%s", place());
    return yoke_open(&link, address, YOKE_CREATE, &options) == -EADDRINUSE ? 0 : 1;
}

/* ---- between a program and its server ---- */

#define WIRES_MOST 16

struct delay {
    struct part *part;
    char address[32]; /* where it listens */
};

/* What comes here goes to the server, and back, while this process runs. */
static int role_passes_on(void *context)
{
    struct delay *delay = context;
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}},
                       there = here;
    struct pollfd ends[1 + 2 * WIRES_MOST] = {
        {.fd = socket(AF_INET, SOCK_STREAM, 0), .events = POLLIN}};
    socklen_t length = sizeof here;
    char host[32], bytes[65536];
    int port, count = 1;

    if (sscanf(getenv("YOKE_NATS_URL"), "nats://%31[0-9.]:%d", host, &port) != 2 ||
        inet_pton(AF_INET, host, &there.sin_addr) != 1 || listen(ends[0].fd, WIRES_MOST) < 0 ||
        getsockname(ends[0].fd, (struct sockaddr *)&here, &length) < 0)
        return 1;
    there.sin_port = htons((uint16_t)port);
    snprintf(delay->address, sizeof delay->address, "127.0.0.1:%d", ntohs(here.sin_port));
    signal(SIGPIPE, SIG_IGN);
    baton_pass(&delay->part->ready);
    for (;;) {
        poll(ends, (nfds_t)count, -1);
        for (int i = 1; i < count; i++) {
            int other = (i & 1) ? i + 1 : i - 1;
            ssize_t size = ends[i].revents ? read(ends[i].fd, bytes, sizeof bytes) : 0;
            if (size > 0 && write(ends[other].fd, bytes, (size_t)size) == size)
                continue;
            if (ends[i].revents) { /* no number is used again: there are few */
                shutdown(ends[other].fd, SHUT_RDWR);
                ends[i].fd = -1;
            }
        }
        if (ends[0].revents && count + 2 <= 1 + 2 * WIRES_MOST) {
            ends[count] = (struct pollfd){.fd = accept(ends[0].fd, NULL, NULL), .events = POLLIN};
            ends[count + 1] =
                (struct pollfd){.fd = socket(AF_INET, SOCK_STREAM, 0), .events = POLLIN};
            if (connect(ends[count + 1].fd, (struct sockaddr *)&there, sizeof there) < 0)
                return 1;
            count += 2;
        }
    }
}

/* Sends one, and then several that are long on their way. */
static int role_sends_late(void *context)
{
    struct delay *delay = context;
    struct yoke_options options = YOKE_OPTIONS_INIT;
    uint64_t numbers[] = {91, 92, 93, 94};
    struct yoke_message messages[4] = {0};
    char address[320];
    yoke_endpoint *link;

    snprintf(address, sizeof address, "link:alice@nats://%s%s", delay->address,
             strchr(place() + strlen("@nats://"), '/'));
    options.as = "bob";
    must(yoke_open(&link, address, YOKE_CREATE, &options));
    send_number(link, 1);
    baton_pass(&delay->part->ready);
    baton_take(&delay->part->go);
    for (int i = 0; i < 4; i++)
        messages[i] = (struct yoke_message){.data = &numbers[i], .size = sizeof numbers[i]};
    must_fail(yoke_send_many(link, messages, 4, 1000 * MS), ECOMM);
    baton_pass(&delay->part->ready);
    baton_take(&delay->part->go);
    must_fail(yoke_send(link, &numbers[0], sizeof numbers[0], SOON_MS * MS), EOWNERDEAD);
    return yoke_close(link);
}

/* The new owner sent one message: so each but the first of those has the number that it was to have. */
static void what_comes_late_from_a_former_owner_is_refused_whole(void **state)
{
    struct delay *delay = shared_new(sizeof *delay);
    yoke_endpoint *alice = open_as("alice", "bob");
    uint64_t number;

    (void)state;
    delay->part = part_new();
    pid_t wire = role_start(role_passes_on, delay);
    baton_take(&delay->part->ready);
    pid_t former = role_start(role_sends_late, delay);
    baton_take(&delay->part->ready);
    role_stop(wire);
    baton_pass(&delay->part->go);
    baton_take(&delay->part->ready);
    yoke_endpoint *bob = open_as("bob", "alice"); /* when the lease is over */
    send_number(bob, 7);
    role_resume(wire);
    baton_pass(&delay->part->go);
    assert_int_equal(role_wait(former, SOON_MS), 0);
    assert_int_equal(recv_number(alice, SOON_MS * MS), 1);
    assert_int_equal(recv_number(alice, SOON_MS * MS), 7);
    must_fail(yoke_recv(alice, &number, sizeof number, YOKE_NOW), EAGAIN);
    role_kill(wire);
    yoke_close(bob);
    yoke_close(alice);
    part_drop(delay->part);
    shared_drop(delay, sizeof *delay);
}

static void a_name_has_one_process_and_as_many_links_as_it_likes(void **state)
{
    struct part *part = part_new();
    struct yoke_options options = YOKE_OPTIONS_INIT;
    char address[320];
    yoke_endpoint *again;

    (void)state;
    yoke_endpoint *bob = open_as("alice", "bob"), *carol = open_as("alice", "carol");
    options.as = "alice";
    snprintf(address, sizeof address, "link:bob%s", place());
    must_fail(yoke_open(&again, address, YOKE_CREATE, &options), EADDRINUSE);
    assert_int_equal(role_wait(role_start(role_is_alice_to_carol, part), SOON_MS), 0);
    yoke_close(carol);
    assert_int_equal(role_wait(role_start(role_is_alice_to_carol, part), SOON_MS), 0);
    assert_string_equal(yoke_link_other(bob), "bob");
    yoke_close(bob);
    yoke_close(open_as("alice", "bob")); /* it is free at once */
    part_drop(part);
}

static int64_t wait_for_the_other(void *link)
{
    return yoke_link_wait(link, LONG_WAIT);
}

static void the_other_end_is_awaited_and_seen_to_close(void **state)
{
    struct worker worker;
    char byte;
    yoke_endpoint *alice = open_as("alice", "bob");

    (void)state;
    must_fail(yoke_link_wait(alice, YOKE_NOW), EAGAIN);
    must_fail(yoke_link_wait(alice, 20 * MS), ETIMEDOUT);
    worker_start(&worker, wait_for_the_other, alice);
    worker_wait_asleep(&worker);
    yoke_endpoint *bob = open_as("bob", "alice");
    assert_int_equal(worker_join(&worker), 0);
    send_number(alice, 1); /* it stays, and is for whoever comes back */
    yoke_close(bob);
    must_fail(yoke_recv(alice, &byte, 1, SOON_MS * MS), EPIPE);
    must_fail(yoke_link_wait(alice, YOKE_NOW), EAGAIN);
    bob = open_as("bob", "alice");
    must_fail(yoke_recv(alice, &byte, 1, 20 * MS), ETIMEDOUT);
    assert_int_equal(expect_number(bob, 1), 1);
    yoke_close(alice);
    must_fail(yoke_recv(bob, &byte, 1, SOON_MS * MS), EPIPE);
    must_fail(yoke_send(bob, "x", 1, YOKE_NOW) < 0 ? -EPIPE : yoke_recv(bob, &byte, 1, YOKE_NOW),
              EPIPE);
    yoke_close(bob);
}

static void a_full_link_says_that_nobody_is_there(void **state)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;

    (void)state;
    options.depth = 3;
    yoke_endpoint *alice = open_with("alice", "bob", options, 0), *bob = open_as("bob", "alice");
    struct yoke_message held;
    send_numbers(alice, 1, 3);
    must_fail(yoke_send(alice, "x", 1, YOKE_NOW), EAGAIN);
    borrow_details(bob, &held);
    for (uint64_t i = 2; i <= 3; i++)
        expect_number(bob, i);
    must_fail(yoke_send(alice, "x", 1, YOKE_NOW), EAGAIN); /* the first is not released */
    yoke_close(bob);
    int64_t until = now_ns() + SOON_MS * MS;
    int result;
    do
        result = (int)yoke_send(alice, "x", 1, YOKE_NOW);
    while (result == -EAGAIN && now_ns() < until);
    must_fail(result, EPIPE);
    yoke_close(alice);
}

static void removing_it_ends_those_who_have_it(void **state)
{
    yoke_endpoint *alice = open_as("alice", "bob");
    char address[320];
    uint64_t number = 0;
    int result = 0;

    (void)state;
    snprintf(address, sizeof address, "link:alice/bob%s", place());
    must(yoke_remove(address));
    for (int64_t until = now_ns() + SOON_MS * MS; result >= 0 && now_ns() < until;)
        result = (int)yoke_send(alice, &number, sizeof number, YOKE_NOW);
    must_fail(result, ENOENT);
    must_fail(yoke_recv(alice, &number, sizeof number, SOON_MS * MS), ENOENT);
    yoke_close(alice);
}

/* ---- peers ---- */

static int role_joins(void *context)
{
    struct part *part = context;
    yoke_peer *peer;

    must_fail(yoke_peer_join(&peer, peer_name("alice"), NULL), EADDRINUSE);
    must(yoke_peer_join(&peer, peer_name("bob"), NULL));
    baton_pass(&part->ready);
    baton_take(&part->go);
    yoke_peer_leave(peer);
    return 0;
}

static int64_t wait_for_bob(void *context)
{
    (void)context;
    return yoke_peer_wait(peer_name("bob"), YOKE_PEER_HERE, LONG_WAIT);
}

static void peers_come_and_go_and_are_listed(void **state)
{
    struct part *part = part_new();
    struct yoke_peer_info infos[8];
    struct worker worker;
    yoke_peer *alice, *again;

    (void)state;
    setenv("YOKE_PLACE", place() + 1, 1);
    assert_int_equal(yoke_peer_list(infos, 8), 0);
    must(yoke_peer_join(&alice, peer_name("alice"), NULL));
    must(yoke_peer_join(&again, "alice", NULL)); /* the same, by $YOKE_PLACE */
    yoke_peer_leave(again);
    must(yoke_peer_wait("alice", YOKE_PEER_HERE, YOKE_NOW));
    must_fail(yoke_peer_wait("alice", YOKE_PEER_GONE, 20 * MS), ETIMEDOUT);
    must_fail(yoke_peer_wait(peer_name("bob"), YOKE_PEER_HERE, YOKE_NOW), EAGAIN);
    must(yoke_peer_wait(peer_name("bob"), YOKE_PEER_GONE, YOKE_NOW));
    pid_t pid = role_start(role_joins, part);
    baton_take(&part->ready);
    worker_start(&worker, wait_for_bob, NULL);
    assert_int_equal(worker_join(&worker), 0);
    assert_int_equal(must(yoke_peer_list(infos, 8)), 2);
    bool first = strcmp(infos[0].name, "bob") == 0;
    assert_string_equal(infos[!first].name, "bob");
    assert_string_equal(infos[first].name, "alice");
    assert_int_equal(infos[!first].pid, pid);
    assert_int_equal(infos[first].uid, getuid());
    baton_pass(&part->go);
    must(yoke_peer_wait("bob", YOKE_PEER_GONE, SOON_MS * MS));
    assert_int_equal(role_wait(pid, SOON_MS), 0);
    yoke_peer_leave(alice);
    must(yoke_peer_wait("alice", YOKE_PEER_GONE, YOKE_NOW));
    part_drop(part);
}

#define MANY 20

/* Each says six times in a lease that it is there, also while they are listed. */
static void each_of_many_is_listed_once(void **state)
{
    struct yoke_peer_info infos[2 * MANY];
    yoke_peer *peers[MANY];
    char name[32];

    (void)state;
    setenv("YOKE_PLACE", place() + 1, 1);
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "peer-%d", i);
        must(yoke_peer_join(&peers[i], name, NULL));
    }
    for (int i = 0; i < 300; i++)
        assert_int_equal(must(yoke_peer_list(infos, 2 * MANY)), MANY);
    for (int i = 0; i < MANY; i++)
        yoke_peer_leave(peers[i]);
}

static void a_killed_peer_is_gone_when_its_lease_is_over(void **state)
{
    struct part *part = part_new();
    yoke_peer *alice;

    (void)state;
    must(yoke_peer_join(&alice, peer_name("alice"), NULL));
    pid_t pid = role_start(role_joins, part);
    baton_take(&part->ready);
    role_kill(pid);
    must_fail(yoke_peer_wait(peer_name("bob"), YOKE_PEER_GONE, YOKE_NOW), EAGAIN);
    must(yoke_peer_wait(peer_name("bob"), YOKE_PEER_GONE, SOON_MS * MS));
    yoke_peer_leave(alice);
    part_drop(part);
}

/* By name: with a sentence, and never with what may be a password. */
static void what_peers_here_can_not_do_is_refused(void **state)
{
    yoke_peer *alice;
    yoke_endpoint *got;
    yoke_set *set;

    (void)state;
    must(yoke_peer_join(&alice, peer_name("alice"), NULL));
    must_fail(yoke_signals_open(&got, alice, YOKE_SIGNALS_KERNEL, NULL), ENOTSUP);
    must_fail(yoke_signal_kill("peer:bob@nats://me:secret@127.0.0.1:1", 0), ENOTSUP);
    assert_null(strstr(yoke_explain(), "secret"));
    must_fail(yoke_open(&got, "stream:bob@nats://me:secret@127.0.0.1:1", YOKE_READ, NULL), ENOTSUP);
    assert_null(strstr(yoke_explain(), "secret"));
    must(yoke_set_create(&set));
    must_fail(yoke_set_add_gone(set, peer_name("bob"), NULL), ENOTSUP);
    yoke_set_close(set);
    must_fail(yoke_peer_wait("bob@nowhere", YOKE_PEER_HERE, YOKE_NOW), ENOTSUP);
    must_fail(yoke_peer_wait("bob@kernel", YOKE_PEER_HERE, YOKE_NOW), ENOTSUP);
    yoke_peer_leave(alice);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        api_test(what_was_not_released_comes_again_in_order),
        api_test(who_closes_leaves_exact_counts),
        api_test(what_is_given_back_comes_next),
        api_test(what_is_delivered_too_often_is_dropped_and_nothing_else),
        api_test(who_was_silent_too_long_has_lost_its_end),
        api_test(what_comes_late_from_a_former_owner_is_refused_whole),
        api_test(a_name_has_one_process_and_as_many_links_as_it_likes),
        api_test(the_other_end_is_awaited_and_seen_to_close),
        api_test(a_full_link_says_that_nobody_is_there),
        api_test(removing_it_ends_those_who_have_it),
        api_test(peers_come_and_go_and_are_listed),
        api_test(each_of_many_is_listed_once),
        api_test(a_killed_peer_is_gone_when_its_lease_is_over),
        api_test(what_peers_here_can_not_do_is_refused),
    };

    return cmocka_run_group_tests(tests, api_setup, NULL);
}
