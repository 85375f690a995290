/*
 * next_test.c - yoke_peer_accept(), yoke_peer_next() and yoke_peer_fd() on NATS: one wait over all links of a peer, and
 * over those that others open to it. Runs beside a nats-server of its own (with_server.py).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "links.h"

#define UNTOUCHED ((yoke_endpoint *)(uintptr_t)0x10)

static yoke_peer *join(const char *name)
{
    yoke_peer *peer;
    int result = -EADDRINUSE;

    for (int64_t until = now_ns() + SOON_MS * MS; result == -EADDRINUSE && now_ns() < until;)
        result = yoke_peer_join(&peer, peer_name(name), NULL);
    must(result);
    return peer;
}

static yoke_endpoint *next_is(yoke_peer *peer, int what)
{
    yoke_endpoint *link;

    assert_int_equal(must(yoke_peer_next(peer, &link, SOON_MS * MS)), what);
    return link;
}

static yoke_endpoint *opened_by(yoke_peer *peer, const char *other)
{
    yoke_endpoint *link = next_is(peer, YOKE_NEXT_OPENED);

    assert_string_equal(yoke_link_other(link), other);
    return link;
}

static void nothing_is_there(yoke_peer *peer)
{
    yoke_endpoint *link = UNTOUCHED;

    must_fail(yoke_peer_next(peer, &link, YOKE_NOW), EAGAIN);
    must_fail(yoke_peer_accept(peer, &link, NULL, YOKE_NOW), EAGAIN);
    assert_ptr_equal(link, UNTOUCHED);
}

/* ---- newcomers ---- */

static int64_t accept_one(void *peer)
{
    yoke_endpoint *link;
    int result = yoke_peer_accept(peer, &link, NULL, LONG_WAIT);

    return result < 0 ? result : (int64_t)(uintptr_t)link;
}

static void who_opened_before_counts_and_who_opens_later_is_awaited(void **state)
{
    place_with_lease(HOUR_S);
    yoke_endpoint *alices = open_as("alice", "bob"), *carols, *bobs = UNTOUCHED, *second;
    yoke_peer *bob = join("bob");
    struct worker worker;

    (void)state;
    must_fail(yoke_peer_next(bob, NULL, YOKE_NOW), EINVAL);
    must_fail(yoke_peer_accept(bob, &bobs, NULL, -2), EINVAL);
    must(yoke_peer_accept(bob, &bobs, NULL, YOKE_NOW));
    assert_string_equal(yoke_link_other(bobs), "alice");
    nothing_is_there(bob);
    must_fail(yoke_peer_accept(bob, &second, NULL, 30 * MS), ETIMEDOUT);
    must_fail(yoke_peer_next(bob, &second, 30 * MS), ETIMEDOUT);
    worker_start(&worker, accept_one, bob);
    worker_wait_asleep(&worker);
    carols = open_as("carol", "bob");
    second = (yoke_endpoint *)(uintptr_t)must(worker_join(&worker));
    assert_string_equal(yoke_link_other(second), "carol");
    send_number(second, 7);
    assert_int_equal(recv_number(carols, SOON_MS * MS), 7);
    yoke_endpoint *daves = open_as("dave", "bob"); /* seen at once without waiting, too */
    yoke_endpoint *third;
    must(yoke_peer_accept(bob, &third, NULL, YOKE_NOW));
    yoke_endpoint *erins = open_as("bob", "erin"), *own = open_as("erin", "bob");
    nothing_is_there(bob); /* that is open here, and so are the others */
    yoke_close(own);
    yoke_close(erins);
    yoke_close(daves);
    yoke_close(third);
    yoke_close(carols);
    yoke_close(second);
    yoke_close(alices);
    yoke_close(bobs);
    yoke_peer_leave(bob);
}

static void several_that_accept_get_one_each(void **state)
{
    place_with_lease(HOUR_S);
    yoke_peer *bob = join("bob");
    struct worker workers[2];
    yoke_endpoint *theirs[2], *ours[2];
    const char *const names[] = {"alice", "carol"};

    (void)state;
    for (int i = 0; i < 2; i++)
        worker_start(&workers[i], accept_one, bob);
    for (int i = 0; i < 2; i++)
        worker_wait_asleep(&workers[i]);
    for (int i = 0; i < 2; i++)
        theirs[i] = open_as(names[i], "bob");
    for (int i = 0; i < 2; i++)
        ours[i] = (yoke_endpoint *)(uintptr_t)must(worker_join(&workers[i]));
    assert_string_not_equal(yoke_link_other(ours[0]), yoke_link_other(ours[1]));
    for (int i = 0; i < 2; i++) {
        yoke_close(theirs[i]);
        yoke_close(ours[i]);
    }
    yoke_peer_leave(bob);
}

static void newcomers_messages_and_ends_come_one_after_the_other(void **state)
{
    place_with_lease(HOUR_S);
    yoke_peer *bob = join("bob");
    yoke_endpoint *alices = open_as("alice", "bob");
    yoke_endpoint *bobs = opened_by(bob, "alice");
    char byte;

    (void)state;
    nothing_is_there(bob);
    send_numbers(alices, 1, 3);
    for (uint64_t i = 1; i <= 3; i++) {
        assert_ptr_equal(next_is(bob, YOKE_NEXT_READY), bobs);
        assert_int_equal(recv_number(bobs, YOKE_NOW), i);
    }
    nothing_is_there(bob);
    yoke_close(alices);
    for (int i = 0; i < 3; i++) /* until it is closed here */
        assert_ptr_equal(next_is(bob, YOKE_NEXT_READY), bobs);
    must_fail(yoke_recv(bobs, &byte, 1, YOKE_NOW), EPIPE);
    assert_ptr_equal(next_is(bob, YOKE_NEXT_READY), bobs);
    yoke_close(bobs);
    nothing_is_there(bob);
    yoke_peer_leave(bob);
}

/* Each has ten messages here. */
static void gather(yoke_endpoint *link)
{
    struct yoke_message messages[10];
    size_t have = 0;

    while (have < 10)
        have += (size_t)must(yoke_borrow_many(link, messages + have, 10 - have, SOON_MS * MS));
    for (size_t i = 0; i < 10; i++)
        must(yoke_return(link, messages[i].data));
}

static void links_take_turns_and_hide_no_newcomer(void **state)
{
    place_with_lease(HOUR_S);
    yoke_peer *bob = join("bob");
    yoke_endpoint *theirs[3], *ours[3], *link;
    const char *const names[] = {"alice", "carol", "dave"};
    unsigned turns[3] = {0};

    (void)state;
    for (int i = 0; i < 3; i++) {
        theirs[i] = open_as(names[i], "bob");
        ours[i] = opened_by(bob, names[i]);
    }
    for (int i = 0; i < 3; i++) {
        send_numbers(theirs[i], 1, 10);
        gather(ours[i]);
    }
    for (int k = 0; k < 15; k++) {
        link = next_is(bob, YOKE_NEXT_READY);
        for (int i = 0; i < 3; i++)
            turns[i] += link == ours[i];
        recv_number(link, YOKE_NOW);
    }
    for (int i = 0; i < 3; i++)
        assert_int_equal(turns[i], 5);
    yoke_endpoint *erins = open_as("erin", "bob");
    int64_t end = now_ns() + SOON_MS * MS;
    do { /* they stay ready */
        assert_true(now_ns() < end);
    } while (must(yoke_peer_next(bob, &link, YOKE_NOW)) == YOKE_NEXT_READY);
    assert_string_equal(yoke_link_other(link), "erin");
    yoke_close(link);
    yoke_close(erins);
    for (int i = 0; i < 3; i++) {
        yoke_close(theirs[i]);
        yoke_close(ours[i]);
    }
    yoke_peer_leave(bob);
}

/* ---- links that were left, and dead sides ---- */

static void a_link_that_was_left_counts_again_when_somebody_new_came(void **state)
{
    yoke_peer *bob = join("bob");
    struct yoke_options options = YOKE_OPTIONS_INIT;
    yoke_endpoint *alices = open_with("alice", "bob", options, YOKE_KEPT);

    (void)state;
    yoke_close(opened_by(bob, "alice"));
    nothing_is_there(bob);
    yoke_peer_leave(bob);
    bob = join("bob"); /* which looks at all anew */
    nothing_is_there(bob);
    yoke_close(alices); /* nor is who goes somebody new */
    nothing_is_there(bob);
    alices = open_as("alice", "bob");
    yoke_endpoint *bobs = opened_by(bob, "alice");
    yoke_close(alices);
    yoke_close(bobs);
    alices = open_as("alice", "bob"); /* and one who left something there, though gone again */
    send_number(alices, 5);
    yoke_close(alices);
    bobs = opened_by(bob, "alice");
    assert_ptr_equal(next_is(bob, YOKE_NEXT_READY), bobs);
    assert_int_equal(recv_number(bobs, SOON_MS * MS), 5);
    yoke_close(bobs);
    nothing_is_there(bob);
    char address[320];
    snprintf(address, sizeof address, "link:alice/bob%s", place());
    must(yoke_remove(address));
    nothing_is_there(bob);
    yoke_peer_leave(bob);
}

static void end_is_told(yoke_endpoint *link)
{
    int64_t deadline = now_ns() + SOON_MS * MS;
    char byte;

    while (yoke_recv(link, &byte, 1, YOKE_NOW) == -EAGAIN)
        assert_true(now_ns() < deadline);
    must_fail(yoke_recv(link, &byte, 1, YOKE_NOW), EPIPE);
}

/* The end is not told any more once it is known here that somebody came. */
static void somebody_is_there(yoke_endpoint *link)
{
    int64_t deadline = now_ns() + SOON_MS * MS;
    char byte;

    while (yoke_recv(link, &byte, 1, YOKE_NOW) == -EPIPE)
        assert_true(now_ns() < deadline);
    must_fail(yoke_recv(link, &byte, 1, YOKE_NOW), EAGAIN);
}

/* A server that was told of a client's end, and a client that is started again before the server has closed the link. */
static void who_comes_back_before_the_link_is_closed_is_somebody_new(void **state)
{
    yoke_peer *bob = join("bob");
    yoke_endpoint *alices = open_as("alice", "bob"), *bobs = opened_by(bob, "alice");

    (void)state;
    yoke_close(alices);
    end_is_told(bobs);
    alices = open_as("alice", "bob");
    somebody_is_there(bobs);
    yoke_close(bobs);
    bobs = opened_by(bob, "alice");
    send_number(alices, 7);
    assert_int_equal(recv_number(bobs, SOON_MS * MS), 7);
    yoke_close(bobs); /* and this is one who was known: it is left */
    nothing_is_there(bob);
    yoke_close(alices);
    yoke_peer_leave(bob);
}

/* Of whom something was received is known, too. */
static void who_was_received_from_is_left_by_who_closes(void **state)
{
    yoke_peer *bob = join("bob");
    yoke_endpoint *alices = open_as("alice", "bob"), *bobs = opened_by(bob, "alice");

    (void)state;
    yoke_close(alices);
    end_is_told(bobs);
    alices = open_as("alice", "bob");
    send_number(alices, 7);
    assert_int_equal(recv_number(bobs, SOON_MS * MS), 7);
    somebody_is_there(bobs);
    yoke_close(bobs);
    nothing_is_there(bob);
    yoke_close(alices);
    yoke_peer_leave(bob);
}

#define COMINGS 40

/* Until the message: 0, or what it was told besides ends. */
static int64_t waits_for_the_message(void *link)
{
    ssize_t result;
    char byte;

    do
        result = yoke_recv(link, &byte, 1, LONG_WAIT);
    while (result == -EPIPE);
    return result == 1 ? 0 : result;
}

/* Also where somebody comes while the servers are asked whether there is something yet. */
static void who_waits_is_told_of_ends_and_of_nothing_else(void **state)
{
    yoke_peer *bob = join("bob");
    yoke_endpoint *bobs = open_as("bob", "alice"), *alices;
    struct worker worker;

    (void)state;
    worker_start(&worker, waits_for_the_message, bobs);
    for (int i = 0; i < COMINGS; i++)
        yoke_close(open_as("alice", "bob"));
    alices = open_as("alice", "bob");
    must(yoke_send(alices, "x", 1, LONG_WAIT));
    assert_int_equal(worker_join(&worker), 0);
    yoke_close(alices);
    yoke_close(bobs);
    yoke_peer_leave(bob);
}

static int role_sends_one(void *context)
{
    struct part *part = context;
    yoke_endpoint *link = open_as("alice", "bob");

    send_number(link, 1);
    baton_pass(&part->ready);
    pause();
    return 1;
}

static void a_dead_side_is_told_until_the_link_is_closed(void **state)
{
    struct part *part = part_new();
    yoke_peer *bob = join("bob");
    pid_t pid = role_start(role_sends_one, part);
    char byte;

    (void)state;
    baton_take(&part->ready);
    yoke_endpoint *bobs = opened_by(bob, "alice");
    role_kill(pid);
    assert_ptr_equal(next_is(bob, YOKE_NEXT_READY), bobs);
    assert_int_equal(recv_number(bobs, YOKE_NOW), 1);
    assert_ptr_equal(next_is(bob, YOKE_NEXT_READY), bobs); /* when the lease is over */
    must_fail(yoke_recv(bobs, &byte, 1, YOKE_NOW), EOWNERDEAD);
    assert_ptr_equal(next_is(bob, YOKE_NEXT_READY), bobs);
    yoke_close(bobs);
    nothing_is_there(bob);
    yoke_endpoint *alices = open_as("alice", "bob");
    bobs = opened_by(bob, "alice");
    yoke_close(alices);
    yoke_close(bobs);
    yoke_peer_leave(bob);
    part_drop(part);
}

static void a_removed_link_is_ready_until_it_is_closed(void **state)
{
    yoke_peer *bob = join("bob");
    yoke_endpoint *alices = open_as("alice", "bob"), *bobs = opened_by(bob, "alice");
    char address[320], byte;

    (void)state;
    snprintf(address, sizeof address, "link:alice/bob%s", place());
    must(yoke_remove(address));
    assert_ptr_equal(next_is(bob, YOKE_NEXT_READY), bobs);
    must_fail(yoke_recv(bobs, &byte, 1, YOKE_NOW), ENOENT);
    yoke_close(bobs);
    yoke_close(alices);
    nothing_is_there(bob);
    yoke_peer_leave(bob);
}

/* ---- what no yoke wrote ---- */

static void wire_write(int fd, const char *text)
{
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

/* Publishes it in the test's prefix, without the client library. */
static void publish(const char *subject, const char *text)
{
    char host[64], line[512];
    unsigned port;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(sscanf(place(), "@nats://%63[^:]:%u", host, &port), 2);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    assert_int_equal(inet_pton(AF_INET, host, &to.sin_addr), 1);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    const char *prefix = strrchr(place(), '/') + 1;
    wire_write(fd, "CONNECT {\"verbose\":false}\r\n");
    snprintf(line, sizeof line, "PUB %.*s.%s %zu\r\n%s\r\nPING\r\n", (int)strcspn(prefix, "?"),
             prefix, subject, strlen(text), text);
    wire_write(fd, line);
    FILE *answers = fdopen(fd, "r");
    while (fgets(line, sizeof line, answers) && strncmp(line, "PONG", 4) != 0)
        ;
    fclose(answers);
}

static void a_link_that_can_not_be_opened_holds_up_nobody(void **state)
{
    yoke_peer *bob = join("bob");
    yoke_endpoint *alices = open_as("alice", "bob"), *link;

    (void)state;
    publish("names.link.alice=40bob", "rubbish");
    publish("ends.eve.bob.1", "rubbish");
    publish("ends.=.bob.17", "");
    yoke_endpoint *carols = open_as("carol", "bob");
    link = opened_by(bob, "carol");
    nothing_is_there(bob);
    must_fail(yoke_peer_next(bob, &alices, 30 * MS), ETIMEDOUT);
    yoke_close(link);
    yoke_close(carols);
    yoke_close(alices);
    yoke_peer_leave(bob);
}

/* ---- the descriptor ---- */

static bool is_readable(int fd, int timeout_ms)
{
    return poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, timeout_ms) == 1;
}

static void the_descriptor_is_readable_whenever_next_would_not_wait(void **state)
{
    place_with_lease(HOUR_S);
    yoke_peer *bob = join("bob");
    int fd = (int)must(yoke_peer_fd(bob));
    yoke_set *set;
    struct yoke_ready event;

    (void)state;
    assert_int_equal(must(yoke_peer_fd(bob)), fd);
    assert_true(is_readable(fd, 0)); /* whoever asks first learns what is there */
    nothing_is_there(bob);
    assert_false(is_readable(fd, 0));
    yoke_endpoint *alices = open_as("alice", "bob");
    assert_true(is_readable(fd, SOON_MS));
    yoke_endpoint *bobs = opened_by(bob, "alice");
    while (is_readable(fd, 0)) /* its own opening may ring once more */
        nothing_is_there(bob);
    send_numbers(alices, 1, 10);
    assert_true(is_readable(fd, SOON_MS));
    gather(bobs);
    for (uint64_t i = 1; i <= 10; i++) {
        assert_ptr_equal(next_is(bob, YOKE_NEXT_READY), bobs);
        assert_true(is_readable(fd, 0)); /* it is there yet, and the next call would not wait */
        assert_int_equal(recv_number(bobs, YOKE_NOW), i);
    }
    must(yoke_set_create(&set));
    must(yoke_set_add_peer(set, bob, &set));
    while (is_readable(fd, 0))
        nothing_is_there(bob);
    yoke_close(alices);
    assert_int_equal(must(yoke_set_wait(set, &event, 1, SOON_MS * MS)), 1);
    assert_ptr_equal(event.peer, bob);
    assert_ptr_equal(next_is(bob, YOKE_NEXT_READY), bobs);
    yoke_set_close(set);
    yoke_close(bobs);
    yoke_peer_leave(bob);
}

static void who_accepts_takes_nothing_from_who_waits_for_all(void **state)
{
    place_with_lease(HOUR_S);
    yoke_peer *bob = join("bob");
    yoke_endpoint *alices = open_as("alice", "bob"), *bobs = opened_by(bob, "alice"), *link;
    int fd = (int)must(yoke_peer_fd(bob));

    (void)state;
    while (is_readable(fd, 0))
        nothing_is_there(bob);
    send_number(alices, 6);
    assert_true(is_readable((int)must(yoke_fd(bobs)), SOON_MS));
    must(yoke_fd(bobs)); /* whoever put it there is done with the bells */
    must_fail(yoke_peer_accept(bob, &link, NULL, YOKE_NOW), EAGAIN);
    assert_true(is_readable(fd, SOON_MS));
    assert_ptr_equal(next_is(bob, YOKE_NEXT_READY), bobs);
    yoke_close(alices);
    yoke_close(bobs);
    yoke_peer_leave(bob);
}

/* ---- how a wait ends otherwise ---- */

static int64_t next_for_ever(void *peer)
{
    yoke_endpoint *link;

    return yoke_peer_next(peer, &link, YOKE_FOREVER);
}

static int64_t join_and_wait(void *context)
{
    (void)context;
    return next_for_ever(join("bob"));
}

static void a_wait_ends_by_a_signal_or_when_the_peer_is_left(void **state)
{
    struct worker worker;

    (void)state;
    place(); /* the child's, too */
    must_fail(interrupted_result(join_and_wait, NULL), EINTR);
    for (int i = 0; i < 2; i++) {
        yoke_peer *bob = join("bob"), *again = join("bob");
        worker_start(&worker, i == 0 ? next_for_ever : accept_one, bob);
        worker_wait_asleep(&worker);
        yoke_peer_leave(bob);
        must_fail(worker_join(&worker), ECANCELED);
        nothing_is_there(again); /* of which the other handle is none */
        yoke_peer_leave(again);
    }
}

static int64_t next_or_error(void *context)
{
    yoke_endpoint **link = ((void **)context)[1];

    return yoke_peer_next(((void **)context)[0], link, YOKE_FOREVER);
}

static void links_may_be_opened_and_closed_during_a_wait(void **state)
{
    place_with_lease(HOUR_S);
    yoke_peer *bob = join("bob");
    yoke_endpoint *alices = open_as("alice", "bob"), *bobs = opened_by(bob, "alice"), *got;
    void *context[] = {bob, &got};
    struct worker worker;

    (void)state;
    worker_start(&worker, next_or_error, context);
    worker_wait_asleep(&worker);
    yoke_close(bobs);
    yoke_close(alices);
    bobs = open_as("bob", "dave");
    yoke_endpoint *daves = open_as("dave", "bob");
    send_number(daves, 4);
    assert_int_equal(must(worker_join(&worker)), YOKE_NEXT_READY);
    assert_ptr_equal(got, bobs);
    assert_int_equal(recv_number(bobs, YOKE_NOW), 4);
    yoke_close(daves);
    yoke_close(bobs);
    yoke_peer_leave(bob);
}

/* ---- forked children ---- */

static int role_is_a_child_of_bob(void *context)
{
    yoke_peer *bob = ((void **)context)[0];
    struct part *part = ((void **)context)[1];
    yoke_endpoint *link = UNTOUCHED;

    must_fail(yoke_peer_accept(bob, &link, NULL, YOKE_NOW), EADDRINUSE);
    must_fail(yoke_peer_fd(bob), EADDRINUSE);
    baton_pass(&part->ready);
    baton_take(&part->go);
    nothing_is_there(bob);
    int fd = (int)must(yoke_peer_fd(bob));
    baton_pass(&part->ready);
    assert_true(is_readable(fd, SOON_MS));
    link = opened_by(bob, "alice");
    assert_ptr_equal(next_is(bob, YOKE_NEXT_READY), link);
    assert_int_equal(recv_number(link, YOKE_NOW), 3);
    yoke_close(link);
    yoke_peer_leave(bob);
    return 0;
}

static void a_forked_child_joins_when_its_parent_has_left(void **state)
{
    place_with_lease(HOUR_S);
    struct part *part = part_new();
    yoke_peer *bob = join("bob");
    void *context[] = {bob, part};

    (void)state;
    must(yoke_peer_fd(bob));
    pid_t pid = role_start(role_is_a_child_of_bob, context);
    baton_take(&part->ready);
    nothing_is_there(bob);
    yoke_peer_leave(bob);
    baton_pass(&part->go);
    baton_take(&part->ready);
    yoke_endpoint *alices = open_as("alice", "bob");
    send_number(alices, 3);
    assert_int_equal(role_wait(pid, SOON_MS), 0);
    yoke_close(alices);
    part_drop(part);
}

/* ---- a connection that is lost ---- */

#define FEW 4 /* descriptors, which poll() is to be called with, and which are all taken */

/* Before the first connection. */
static void take_first_descriptors(void)
{
    while (dup(STDERR_FILENO) < FEW)
        ;
}

/* All of this process's, at once and for as long as it has no descriptor for another one. */
static void cut_off(void)
{
    struct sockaddr_storage to;
    struct rlimit limit;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = FEW;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    for (int fd = 0; fd < 1024; fd++) {
        socklen_t size = sizeof to;
        if (getpeername(fd, (struct sockaddr *)&to, &size) == 0 && to.ss_family == AF_INET)
            shutdown(fd, SHUT_RDWR);
    }
}

static void let_in(void)
{
    struct rlimit limit;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max < 1024 ? limit.rlim_max : 1024;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* What came while it was cut off is there when it is not any more: a link, and a message. */
static int role_is_cut_off_while_it_waits(void *context)
{
    struct part *part = context;
    take_first_descriptors();
    yoke_peer *bob = join("bob");
    yoke_endpoint *carols = opened_by(bob, "carol"), *link = UNTOUCHED;
    struct worker worker;
    int result = 0;

    nothing_is_there(bob);
    for (int i = 0; i < 2; i++) {
        worker_start(&worker, next_for_ever, bob);
        worker_wait_asleep(&worker);
        cut_off();
        baton_pass(&part->ready);
        baton_take(&part->go);
        let_in();
        assert_int_equal(must(worker_join(&worker)), i == 0 ? YOKE_NEXT_OPENED : YOKE_NEXT_READY);
    }
    assert_int_equal(recv_number(carols, YOKE_NOW), 9);
    cut_off();
    for (int64_t until = now_ns() + SOON_MS * MS; result != -EHOSTUNREACH && now_ns() < until;)
        result = yoke_peer_accept(bob, &link, NULL, YOKE_NOW);
    must_fail(result, EHOSTUNREACH);
    must_fail(yoke_peer_next(bob, &link, YOKE_NOW), EHOSTUNREACH);
    must_fail(yoke_peer_next(bob, &link, 30 * MS), ETIMEDOUT);
    assert_ptr_equal(link, UNTOUCHED);
    let_in();
    baton_pass(&part->ready);
    baton_take(&part->go);
    yoke_close(carols);
    yoke_peer_leave(bob);
    return 0;
}

static void what_came_while_the_connection_was_lost_is_found(void **state)
{
    place_with_lease(HOUR_S);
    struct part *part = part_new();
    pid_t pid = role_start(role_is_cut_off_while_it_waits, part);
    yoke_endpoint *carols = open_as("carol", "bob");

    (void)state;
    baton_take(&part->ready);
    yoke_endpoint *alices = open_as("alice", "bob");
    baton_pass(&part->go);
    baton_take(&part->ready);
    send_number(carols, 9);
    baton_pass(&part->go);
    baton_take(&part->ready);
    baton_pass(&part->go);
    assert_int_equal(role_wait(pid, SOON_MS), 0);
    yoke_close(carols);
    yoke_close(alices);
    part_drop(part);
}

/* ---- a name that is lost ---- */

static int role_is_stopped_while_it_serves(void *context)
{
    struct part *part = context;
    yoke_peer *bob = join("bob");
    int fd = (int)must(yoke_peer_fd(bob));

    nothing_is_there(bob);
    baton_pass(&part->ready);
    baton_take(&part->go);
    must_fail(next_for_ever(bob), EOWNERDEAD);
    must_fail(accept_one(bob), EOWNERDEAD);
    assert_true(is_readable(fd, SOON_MS));
    yoke_peer_leave(bob);
    return 0;
}

static void who_lost_its_name_is_told_so(void **state)
{
    struct part *part = part_new();
    pid_t pid = role_start(role_is_stopped_while_it_serves, part);

    (void)state;
    baton_take(&part->ready);
    role_stop(pid);
    yoke_peer *bob = join("bob"); /* when the lease is over */
    baton_pass(&part->go);
    role_resume(pid);
    assert_int_equal(role_wait(pid, SOON_MS), 0);
    nothing_is_there(bob);
    yoke_peer_leave(bob);
    part_drop(part);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        api_test(who_opened_before_counts_and_who_opens_later_is_awaited),
        api_test(several_that_accept_get_one_each),
        api_test(newcomers_messages_and_ends_come_one_after_the_other),
        api_test(links_take_turns_and_hide_no_newcomer),
        api_test(a_link_that_was_left_counts_again_when_somebody_new_came),
        api_test(who_comes_back_before_the_link_is_closed_is_somebody_new),
        api_test(who_was_received_from_is_left_by_who_closes),
        api_test(who_waits_is_told_of_ends_and_of_nothing_else),
        api_test(a_dead_side_is_told_until_the_link_is_closed),
        api_test(a_removed_link_is_ready_until_it_is_closed),
        api_test(a_link_that_can_not_be_opened_holds_up_nobody),
        api_test(the_descriptor_is_readable_whenever_next_would_not_wait),
        api_test(who_accepts_takes_nothing_from_who_waits_for_all),
        api_test(a_wait_ends_by_a_signal_or_when_the_peer_is_left),
        api_test(links_may_be_opened_and_closed_during_a_wait),
        api_test(a_forked_child_joins_when_its_parent_has_left),
        api_test(what_came_while_the_connection_was_lost_is_found),
        api_test(who_lost_its_name_is_told_so),
    };

    return cmocka_run_group_tests(tests, api_setup, NULL);
}
