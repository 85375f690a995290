/* Links whose processes die, stop and fork; and pairs, which have no names, across all of that. */
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../api/api.h"
#include "link.h"

static struct yoke_options small(uint32_t depth)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;

    options.depth = depth;
    options.max_message = 200;
    return options;
}

static yoke_endpoint *make_small(const char *me, const char *other)
{
    struct yoke_options options = small(8);

    return link_make(me, other, &options);
}

static void clear_peer(const char *name)
{
    yoke_peer *peer;

    must(yoke_peer_join(&peer, name, NULL));
    yoke_peer_leave(peer);
}

/* ---- killed ----------------------------------------------------------------------------------- */

static int role_borrows_two_and_dies(void *argument)
{
    yoke_endpoint *bob = link_join("bob", "alice");
    const void *messages[3];

    (void)argument;
    for (int i = 0; i < 3; i++)
        must(yoke_borrow(bob, &messages[i], YOKE_NOW));
    must(yoke_release(bob, messages[1])); /* behind one that it keeps */
    send_number(bob, 99);
    raise(SIGKILL);
    return 0;
}

static void receiver_killed_while_borrowing_messages_are_delivered_again_marked(void **state)
{
    yoke_endpoint *alice = make_small("alice", "bob"), *bob;
    struct yoke_message message;

    (void)state;
    for (int round = 0; round < 10; round++) {
        for (uint64_t i = 0; i < 4; i++)
            send_number(alice, i);
        assert_int_equal(role_wait(role_start(role_borrows_two_and_dies, NULL), SOON_MS),
                         128 + SIGKILL);
        bob = link_join("bob", "alice");
        for (uint64_t i = 0; i < 4; i++) {
            if (i == 1)
                continue; /* was released */
            borrow_details(bob, &message);
            assert_int_equal(*(uint64_t *)message.data, i);
            assert_int_equal(message.deliveries, i == 3 ? 1 : 2);
            assert_int_equal(message.sender, getpid());
            must(yoke_release(bob, message.data));
        }
        must_fail(yoke_recv(bob, NULL, 0, YOKE_NOW), EAGAIN);
        yoke_close(bob);
        assert_int_equal(recv_number(alice, YOKE_NOW), 99);
    }
    yoke_close(alice);
}

static int role_dies_with_loans(void *argument)
{
    yoke_endpoint *alice = link_join("alice", "bob");
    void *blocks[4];

    (void)argument;
    for (int i = 0; i < 4; i++) {
        must(yoke_loan(alice, 200, &blocks[i], YOKE_NOW));
        memset(blocks[i], 0xee, 200);
    }
    *(uint64_t *)blocks[2] = 7;
    must(yoke_commit(alice, blocks[2], 8));
    raise(SIGKILL);
    return 0;
}

static void sender_killed_with_loans_what_it_sent_is_there_and_no_room_is_lost(void **state)
{
    yoke_endpoint *bob = make_small("bob", "alice"), *alice;
    char bytes[200] = "";

    (void)state;
    for (int round = 0; round < 20; round++) {
        assert_int_equal(role_wait(role_start(role_dies_with_loans, NULL), SOON_MS), 128 + SIGKILL);
        assert_int_equal(recv_number(bob, SOON_MS * MS), 7);
        must_fail(yoke_recv(bob, NULL, 0, LONG_WAIT), EOWNERDEAD);
        alice = link_join("alice", "bob");
        for (int i = 0; i < 8; i++)
            must(yoke_send(alice, bytes, sizeof bytes, YOKE_NOW));
        must_fail(yoke_send(alice, "", 0, YOKE_NOW), EAGAIN);
        yoke_close(alice);
        for (int i = 0; i < 8; i++)
            must(yoke_recv(bob, bytes, sizeof bytes, YOKE_NOW));
    }
    yoke_close(bob);
}

/* ---- asleep, and nobody wakes it -------------------------------------------------------------- */

static int role_receives_one(void *argument)
{
    yoke_endpoint *bob = link_join("bob", "alice");
    uint64_t number = 0;
    int64_t result = yoke_recv(bob, &number, sizeof number, LONG_WAIT);

    *(int64_t *)argument = result == 8 ? (int64_t)number : result;
    yoke_close(bob);
    return 0;
}

static int role_sends_one_and_waits(void *argument)
{
    yoke_endpoint *alice = link_join("alice", "bob");

    (void)argument;
    (void)alice;
    for (;;)
        pause();
    return 0;
}

static void sleeper_notices_that_the_other_was_killed(void **state)
{
    int64_t *result = shared_new(sizeof *result);

    (void)state;
    for (int i = 0; i < 5; i++) {
        /* a third handle, so that the link is there before both */
        yoke_endpoint *first = make_small("alice", "bob");
        pid_t receiver = role_start(role_receives_one, result), sender;

        role_wait_asleep(receiver, SOON_MS);
        yoke_close(first); /* he is told of it */
        assert_int_equal(role_wait(receiver, SOON_MS), 0);
        assert_int_equal(*result, -EPIPE);
        first = make_small("bob", "alice");
        sender = role_start(role_sends_one_and_waits, NULL);
        must(yoke_peer_wait("alice", YOKE_PEER_HERE, SOON_MS * MS));
        role_wait_asleep(sender, SOON_MS);
        role_stop(sender);
        must_fail(yoke_recv(first, NULL, 0, 150 * MS), ETIMEDOUT); /* stopped is not dead */
        role_kill(sender);
        must_fail(yoke_recv(first, NULL, 0, LONG_WAIT), EOWNERDEAD);
        yoke_close(first);
        clear_peer("alice");
    }
    shared_drop(result, sizeof *result);
}

/* Stores a message as alice's process does that dies before it rings the bell. */
static void commit_and_wake_nobody(uint64_t number)
{
    struct yk_spsc_geometry geometry;
    struct segment_facts facts;
    struct yk_spsc ring;
    unsigned char *memory, *slot;
    const struct yk_shm_fixed *fixed;

    assert_true(biggest_segment(&facts));
    memory = shmat(facts.id, NULL, 0);
    assert_true(memory != (void *)-1);
    fixed = (const struct yk_shm_fixed *)(const void *)memory;
    must(yk_link_check(fixed, &geometry));
    yk_link_ring(&ring, &geometry, memory + fixed->body_offset, 0);
    slot = yk_spsc_slot(&ring, 0);
    memcpy(slot + YK_SPSC_BYTES, &number, sizeof number);
    yk_store_release(yk_spsc_word(slot), (uint64_t)yk_spsc_stamp(&ring, 0) << 32 | sizeof number);
    shmdt(memory);
}

static void message_whose_sender_died_before_the_wake_up_is_noticed(void **state)
{
    int64_t *result = shared_new(sizeof *result);

    (void)state;
    for (int i = 0; i < 3; i++) {
        yoke_endpoint *alice = make_small("alice", "bob");
        pid_t receiver = role_start(role_receives_one, result);

        role_wait_asleep(receiver, SOON_MS);
        commit_and_wake_nobody(5);
        assert_int_equal(role_wait(receiver, SOON_MS), 0);
        assert_int_equal(*result, 5);
        yoke_close(alice);
    }
    shared_drop(result, sizeof *result);
}

static int role_alice_sends_and_dies(void *argument)
{
    yoke_endpoint *alice = NULL;

    (void)argument;
    must(link_try(&alice, "alice", "bob", YOKE_CREATE | YOKE_KEPT, NULL));
    send_number(alice, 1);
    send_number(alice, 2);
    raise(SIGKILL);
    return 0;
}

static int role_bob_borrows_answers_and_dies(void *argument)
{
    yoke_endpoint *bob = link_join("bob", "alice");
    const void *message;

    (void)argument;
    must(yoke_borrow(bob, &message, YOKE_NOW));
    send_number(bob, 3);
    raise(SIGKILL);
    return 0;
}

static void kept_link_keeps_its_messages_when_both_are_killed(void **state)
{
    struct yoke_message message;
    yoke_endpoint *alice, *bob;

    (void)state;
    assert_int_equal(role_wait(role_start(role_alice_sends_and_dies, NULL), SOON_MS),
                     128 + SIGKILL);
    assert_int_equal(role_wait(role_start(role_bob_borrows_answers_and_dies, NULL), SOON_MS),
                     128 + SIGKILL);
    alice = link_join("alice", "bob");
    assert_int_equal(recv_number(alice, YOKE_NOW), 3);
    must_fail(yoke_recv(alice, NULL, 0, YOKE_NOW), EOWNERDEAD);
    bob = link_join("bob", "alice");
    borrow_details(bob, &message);
    assert_int_equal(*(uint64_t *)message.data, 1);
    assert_int_equal(message.deliveries, 2);
    must(yoke_release(bob, message.data));
    assert_int_equal(recv_number(bob, YOKE_NOW), 2);
    yoke_close(alice);
    must_fail(yoke_recv(bob, NULL, 0, YOKE_NOW), EPIPE);
    yoke_close(bob);
    must(yoke_remove("link:alice/bob"));
}

static int role_creates_and_dies(void *argument)
{
    (void)argument;
    send_number(make_small("alice", "bob"), 1);
    raise(SIGKILL);
    return 0;
}

static void transient_link_goes_with_the_last_of_the_killed(void **state)
{
    yoke_endpoint *link = NULL;

    (void)state;
    assert_int_equal(role_wait(role_start(role_creates_and_dies, NULL), SOON_MS), 128 + SIGKILL);
    must_fail(link_try(&link, "bob", "alice", 0, NULL), ENOENT);
    assert_null(link);
    clear_peer("alice");
}

/* ---- killed at random ------------------------------------------------------------------------- */

#define EACH  20000u
#define KILLS 60

struct ledger {
    atomic_uint tried; /* numbers below may have been sent, */
    atomic_uint sent;  /* numbers below were */
    bool uncertain[EACH];
    atomic_uint seen[EACH]; /* how many deliveries it had when it was seen last */
    atomic_uint released, faults;
};

static struct ledger *ledger;

static int role_sends_its_share(void *argument)
{
    yoke_endpoint *alice = link_join("alice", "bob");

    (void)argument;
    for (uint64_t i = atomic_load(&ledger->tried); i < EACH; i++) {
        uint64_t message[25] = {i};
        size_t size = i % 3 ? 8 : 200;
        int64_t result;

        atomic_store(&ledger->tried, (unsigned)i + 1);
        do /* full, and another receiver is about to come */
            result = yoke_send(alice, message, size, LONG_WAIT);
        while (result == -EOWNERDEAD);
        must(result);
        atomic_store(&ledger->sent, (unsigned)i + 1);
    }
    yoke_close(alice);
    return 0;
}

static int role_receives_and_notes(void *argument)
{
    yoke_endpoint *bob = link_join("bob", "alice");
    struct yoke_message message = {.data = NULL};
    uint64_t last = 0;

    (void)argument;
    for (;;) {
        int64_t result = yoke_borrow_many(bob, &message, 1, LONG_WAIT);
        uint64_t number;

        if (result == -EPIPE && atomic_load(&ledger->sent) == EACH)
            break;
        if (result < 0)
            continue; /* another sender is about to come */
        number = *(uint64_t *)message.data;
        if (number >= EACH || message.size != (number % 3 ? 8u : 200u) || number < last ||
            message.deliveries <= atomic_load(&ledger->seen[number])) {
            atomic_fetch_add(&ledger->faults, 1);
            return 1;
        }
        last = number;
        atomic_store(&ledger->seen[number], message.deliveries);
        must(yoke_release(bob, message.data));
        atomic_fetch_add(&ledger->released, 1);
    }
    yoke_close(bob);
    return 0;
}

static void random_kills_lose_nothing_and_double_nothing_unmarked(void **state)
{
    struct yoke_options options = small(16);
    yoke_endpoint *kept = NULL;
    pid_t sender, receiver;

    (void)state;
    ledger = shared_new(sizeof *ledger);
    srandom((unsigned)test_seed());
    {
        struct yoke_options own = options;

        own.as = "alice";
        must(yoke_open(&kept, "link:bob", YOKE_CREATE | YOKE_KEPT, &own));
        yoke_close(kept);
    }
    sender = role_start(role_sends_its_share, NULL);
    receiver = role_start(role_receives_and_notes, NULL);
    for (int i = 0; i < KILLS; i++) {
        unsigned before = atomic_load(&ledger->released), some = (unsigned)(random() % 300);
        int64_t end = now_ns() + 50 * MS;

        while (atomic_load(&ledger->released) - before < some && now_ns() < end)
            sched_yield();
        if (i % 2 || atomic_load(&ledger->tried) == EACH) {
            role_kill(receiver);
            receiver = role_start(role_receives_and_notes, NULL);
        } else {
            role_kill(sender);
            if (atomic_load(&ledger->tried) != atomic_load(&ledger->sent))
                ledger->uncertain[atomic_load(&ledger->tried) - 1] = true;
            sender = role_start(role_sends_its_share, NULL);
        }
    }
    assert_int_equal(role_wait(sender, 3 * SOON_MS), 0);
    assert_int_equal(role_wait(receiver, 3 * SOON_MS), 0);
    assert_int_equal(atomic_load(&ledger->faults), 0);
    for (unsigned i = 0; i < EACH; i++)
        if (atomic_load(&ledger->seen[i]) == 0 && !ledger->uncertain[i])
            fail_msg("message %u is lost", i);
    shared_drop(ledger, sizeof *ledger);
    must(yoke_remove("link:alice/bob"));
}

/* ---- across PID namespaces -------------------------------------------------------------------- */

struct namespaced {
    struct baton ready, end;
    pid_t *inner;
};

static int role_borrows_in_a_namespace(void *argument)
{
    struct namespaced *space = argument;
    yoke_endpoint *bob = link_join("bob", "alice");
    const void *message;

    must(yoke_borrow(bob, &message, YOKE_NOW));
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

static void peers_in_other_pid_namespaces_live_and_die(void **state)
{
    struct namespaced space;
    struct yoke_message message;
    yoke_endpoint *alice, *bob = NULL;
    struct yoke_peer_info info[2];
    pid_t outer;

    (void)state;
    if (geteuid() != 0)
        skip_test("only root makes PID namespaces here");
    alice = make_small("alice", "bob");
    baton_make(&space.ready);
    baton_make(&space.end);
    space.inner = shared_new(sizeof *space.inner);
    send_number(alice, 1);
    outer = role_start(role_enters_a_namespace, &space);
    if (!baton_take_within(&space.ready, SOON_MS)) {
        role_kill(outer);
        fail_msg("no process came up in its PID namespace");
    }
    must(yoke_peer_wait("bob", YOKE_PEER_HERE, YOKE_NOW));
    must_fail(link_try(&bob, "bob", "alice", 0, NULL), EADDRINUSE);
    assert_int_equal(must(yoke_peer_list(info, 2)), 2);
    must_fail(yoke_recv(alice, NULL, 0, 150 * MS), ETIMEDOUT);
    assert_int_equal(kill(*space.inner, SIGKILL), 0);
    must_fail(yoke_recv(alice, NULL, 0, LONG_WAIT), EOWNERDEAD);
    must(yoke_peer_wait("bob", YOKE_PEER_GONE, SOON_MS * MS));
    baton_pass(&space.end);
    assert_int_equal(role_wait(outer, SOON_MS), 128 + SIGKILL);
    bob = link_join("bob", "alice");
    borrow_details(bob, &message);
    assert_int_equal(message.deliveries, 2);
    must(yoke_release(bob, message.data));
    yoke_close(bob);
    yoke_close(alice);
    shared_drop(space.inner, sizeof *space.inner);
    baton_drop(&space.ready);
    baton_drop(&space.end);
}

/* ---- fork ------------------------------------------------------------------------------------- */

struct family {
    yoke_endpoint *link;
    yoke_peer *peer;
    pid_t *child;
    struct baton refused, parent_ready, parent_go, child_ready, child_go;
};

static int role_child_outlives_its_parent(void *argument)
{
    struct family *family = argument;
    struct yoke_message message;
    yoke_peer *peer = NULL;
    yoke_endpoint *link = NULL;

    must_fail(yoke_send(family->link, "", 0, YOKE_NOW), EADDRINUSE);
    must_fail(yoke_recv(family->link, NULL, 0, YOKE_NOW), EADDRINUSE);
    must_fail(yoke_cancel(family->link), EADDRINUSE);
    must_fail(yoke_peer_join(&peer, "bob", NULL), EADDRINUSE);
    must_fail(yoke_peer_accept(family->peer, &link, NULL, YOKE_NOW), EADDRINUSE);
    must_fail(link_try(&link, "bob", "carol", YOKE_CREATE, NULL), EADDRINUSE);
    must(yoke_peer_join(&peer, "child", NULL)); /* under another name it may */
    baton_pass(&family->refused);
    baton_take(&family->child_go); /* the parent is dead */
    borrow_details(family->link, &message);
    assert_int_equal(*(uint64_t *)message.data, 1);
    assert_int_equal(message.deliveries, 2); /* the parent had it in hand */
    must(yoke_release(family->link, message.data));
    send_number(family->link, 2);
    must(yoke_peer_wait("bob", YOKE_PEER_HERE, YOKE_NOW)); /* it is bob now */
    must_fail(yoke_peer_accept(family->peer, &link, NULL, YOKE_NOW), EAGAIN);
    baton_pass(&family->child_ready);
    baton_take(&family->child_go);
    yoke_peer_leave(family->peer);
    must(yoke_peer_wait("bob", YOKE_PEER_HERE, YOKE_NOW));
    yoke_close(family->link);
    must(yoke_peer_wait("bob", YOKE_PEER_GONE, YOKE_NOW));
    yoke_peer_leave(peer);
    baton_pass(&family->child_ready);
    return 0;
}

static int role_parent_dies(void *argument)
{
    struct family *family = argument;
    const void *message;

    family->link = link_join("bob", "alice");
    must(yoke_peer_join(&family->peer, "bob", NULL));
    must(yoke_borrow(family->link, &message, YOKE_NOW));
    *family->child = role_start(role_child_outlives_its_parent, family);
    baton_take(&family->refused);
    must(yoke_release(family->link, message)); /* is unharmed by what the child tried */
    send_number(family->link, 7);
    must_fail(yoke_borrow(family->link, &message, YOKE_NOW), EAGAIN);
    baton_pass(&family->parent_ready);
    baton_take(&family->parent_go);
    must(yoke_borrow(family->link, &message, LONG_WAIT));
    raise(SIGKILL);
    return 0;
}

/* Of one that is no child of this process. */
static void wait_for_end_of(pid_t pid)
{
    int fd = pidfd_open(pid, 0);

    if (fd < 0)
        return;
    assert_int_equal(poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, SOON_MS), 1);
    close(fd);
}

static void forked_child_is_refused_until_its_parent_is_dead_and_then_goes_on(void **state)
{
    yoke_endpoint *alice = make_small("alice", "bob"), *bob = NULL;
    struct family family;
    pid_t parent;

    (void)state;
    family.child = shared_new(sizeof *family.child);
    baton_make(&family.refused);
    baton_make(&family.parent_ready);
    baton_make(&family.parent_go);
    baton_make(&family.child_ready);
    baton_make(&family.child_go);
    send_number(alice, 0);
    parent = role_start(role_parent_dies, &family);
    baton_take(&family.parent_ready);
    assert_int_equal(recv_number(alice, YOKE_NOW), 7);
    send_number(alice, 1);
    baton_pass(&family.parent_go);
    assert_int_equal(role_wait(parent, SOON_MS), 128 + SIGKILL);
    baton_pass(&family.child_go);
    baton_take(&family.child_ready);
    must_fail(link_try(&bob, "bob", "carol", YOKE_CREATE, NULL), EADDRINUSE); /* the child is bob */
    assert_int_equal(recv_number(alice, YOKE_NOW), 2);
    baton_pass(&family.child_go);
    baton_take(&family.child_ready);
    must_fail(yoke_recv(alice, NULL, 0, LONG_WAIT), EPIPE);
    wait_for_end_of(*family.child); /* it has alice's memory from its grandparent */
    yoke_close(alice);
    shared_drop(family.child, sizeof *family.child);
    baton_drop(&family.refused);
    baton_drop(&family.parent_ready);
    baton_drop(&family.parent_go);
    baton_drop(&family.child_ready);
    baton_drop(&family.child_go);
}

static int role_closes_what_it_inherited(void *argument)
{
    struct family *family = argument;

    yoke_close(family->link);
    yoke_peer_leave(family->peer);
    return 0;
}

static void child_that_closes_what_it_inherited_takes_nothing_from_its_parent(void **state)
{
    struct family family = {.link = make_small("bob", "alice")};
    yoke_endpoint *alice = link_join("alice", "bob");

    (void)state;
    must(yoke_peer_join(&family.peer, "bob", NULL));
    assert_int_equal(role_wait(role_start(role_closes_what_it_inherited, &family), SOON_MS), 0);
    must(yoke_peer_wait("bob", YOKE_PEER_HERE, YOKE_NOW));
    send_number(alice, 1);
    must_fail(yoke_recv(alice, NULL, 0, YOKE_NOW), EAGAIN);
    assert_int_equal(recv_number(family.link, YOKE_NOW), 1);
    yoke_close(family.link);
    yoke_peer_leave(family.peer);
    yoke_close(alice);
}

/* ---- pairs ------------------------------------------------------------------------------------ */

static void make_pair(int ends[2])
{
    struct yoke_options options = small(8);

    must(yoke_pair(ends, &options));
}

static yoke_endpoint *open_end(int descriptor)
{
    yoke_endpoint *link = NULL;

    must(yoke_open_descriptor(&link, descriptor, NULL));
    return link;
}

static void close_both(const int ends[2])
{
    close(ends[0]);
    close(ends[1]);
}

static void pair_is_a_link_without_names_and_leaves_nothing(void **state)
{
    int ends[2], before = open_descriptors();
    yoke_endpoint *links[2];

    (void)state;
    make_pair(ends);
    for (int i = 0; i < 2; i++) {
        assert_true(fcntl(ends[i], F_GETFD) & FD_CLOEXEC);
        links[i] = open_end(ends[i]);
    }
    close_both(ends); /* are not needed any more */
    assert_int_equal(names_left(), 0);
    assert_int_equal(segments_made_by(getpid()), 0);
    assert_string_equal(yoke_link_other(links[0]), "");
    assert_int_equal(yoke_max_message(links[1]), 200);
    for (uint64_t i = 0; i < 1000; i++) {
        send_number(links[i % 2], i);
        assert_int_equal(recv_number(links[1 - i % 2], YOKE_NOW), i);
    }
    must_fail(yoke_recv(links[0], NULL, 0, 120 * MS), ETIMEDOUT);
    yoke_close(links[1]);
    must_fail(yoke_recv(links[0], NULL, 0, LONG_WAIT), EPIPE);
    yoke_close(links[0]);
    assert_int_equal(open_descriptors(), before);
}

static int role_echoes(void *argument)
{
    yoke_endpoint *link = open_end(*(int *)argument);

    for (uint64_t i = 0; i < 1000; i++)
        send_number(link, recv_number(link, SOON_MS * MS) + 1);
    yoke_close(link);
    return 0;
}

static void echo_with(yoke_endpoint *link, pid_t pid)
{
    for (uint64_t i = 0; i < 1000; i++) {
        send_number(link, i);
        assert_int_equal(recv_number(link, SOON_MS * MS), i + 1);
    }
    assert_int_equal(role_wait(pid, SOON_MS), 0);
    must_fail(yoke_recv(link, NULL, 0, LONG_WAIT), EPIPE);
}

static void pair_works_across_fork(void **state)
{
    yoke_endpoint *link;
    int ends[2];
    pid_t pid;

    (void)state;
    make_pair(ends);
    pid = role_start(role_echoes, &ends[1]);
    link = open_end(ends[0]);
    echo_with(link, pid);
    yoke_close(link);
    close_both(ends);
}

static int role_executes(void *argument)
{
    char number[16];

    fcntl(*(int *)argument, F_SETFD, 0);
    snprintf(number, sizeof number, "%d", *(int *)argument);
    execl("/proc/self/exe", "link_death_test", "--echo", number, (char *)NULL);
    return 1;
}

static void pair_works_across_exec(void **state)
{
    yoke_endpoint *link;
    int ends[2];

    (void)state;
    for (int i = 0; i < 2; i++) { /* the second time without membarrier over there */
        pid_t pid;

        if (i == 1)
            setenv("YOKE_MEMBARRIER", "off", 1);
        make_pair(ends);
        link = open_end(ends[0]);
        pid = role_start(role_executes, &ends[1]);
        echo_with(link, pid);
        yoke_close(link);
        close_both(ends);
    }
    unsetenv("YOKE_MEMBARRIER");
}

static int role_echoes_on_what_it_is_sent(void *argument)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    char byte;
    struct iovec part = {&byte, 1};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};
    int fd;

    if (recvmsg(*(int *)argument, &message, MSG_CMSG_CLOEXEC) != 1)
        return 2;
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
    return role_echoes(&fd);
}

static void send_descriptor(int socket, int fd)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {.bytes = {0}};
    char byte = 0;
    struct iovec part = {&byte, 1};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);

    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(header), &fd, sizeof fd);
    assert_int_equal(sendmsg(socket, &message, 0), 1);
}

static void pair_works_by_a_descriptor_that_was_sent(void **state)
{
    int sockets[2], ends[2];
    yoke_endpoint *link;
    pid_t pid;

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
    pid = role_start(role_echoes_on_what_it_is_sent, &sockets[1]);
    make_pair(ends); /* after the fork */
    send_descriptor(sockets[0], ends[1]);
    close(ends[1]);
    link = open_end(ends[0]);
    echo_with(link, pid);
    yoke_close(link);
    close(ends[0]);
    close(sockets[0]);
    close(sockets[1]);
}

static int role_echoes_as_another_user(void *argument)
{
    become_user(3);
    return role_echoes(argument);
}

static void pair_works_with_a_child_of_another_user(void **state)
{
    yoke_endpoint *link;
    int ends[2];
    pid_t pid;

    (void)state;
    if (geteuid() != 0)
        skip_test("only root can play several users");
    make_pair(ends);
    pid = role_start(role_echoes_as_another_user, &ends[1]);
    link = open_end(ends[0]);
    close(ends[1]);
    echo_with(link, pid);
    yoke_close(link);
    close(ends[0]);
}

static int role_echoes_without_ipc(void *argument)
{
    if (unshare(CLONE_NEWIPC) != 0)
        return 77;
    unsetenv("YOKE_DIR");
    return role_echoes(argument);
}

static void pair_needs_no_ipc_namespace_in_common(void **state)
{
    yoke_endpoint *link;
    int ends[2];
    pid_t pid;

    (void)state;
    if (geteuid() != 0)
        skip_test("only root makes IPC namespaces here");
    make_pair(ends);
    pid = role_start(role_echoes_without_ipc, &ends[1]);
    link = open_end(ends[0]);
    echo_with(link, pid);
    yoke_close(link);
    close_both(ends);
}

static int role_dies_at_once(void *argument)
{
    baton_take(argument);
    raise(SIGKILL);
    return 0;
}

static void child_that_dies_before_it_opened_its_end_is_dead_when_no_copy_is_left(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct baton go;
        yoke_endpoint *link;
        int ends[2];
        pid_t pid;

        baton_make(&go);
        make_pair(ends);
        link = open_end(ends[0]);
        pid = role_start(role_dies_at_once, &go);
        close(ends[1]);
        must_fail(yoke_recv(link, NULL, 0, 120 * MS), ETIMEDOUT); /* it may yet come */
        baton_pass(&go);
        assert_int_equal(role_wait(pid, SOON_MS), 128 + SIGKILL);
        must_fail(yoke_recv(link, NULL, 0, LONG_WAIT), EOWNERDEAD);
        must_fail(yoke_recv(link, NULL, 0, LONG_WAIT), EOWNERDEAD);
        yoke_close(link);
        close(ends[0]);
        baton_drop(&go);
    }
}

static int role_borrows_one_and_dies(void *argument)
{
    yoke_endpoint *link = open_end(*(int *)argument);
    const void *message;

    must(yoke_borrow(link, &message, LONG_WAIT));
    raise(SIGKILL);
    return 0;
}

static void successor_on_the_same_descriptor_gets_what_was_not_released(void **state)
{
    struct yoke_message message;
    yoke_endpoint *link, *other;
    int ends[2];

    (void)state;
    make_pair(ends);
    link = open_end(ends[0]);
    send_number(link, 1);
    send_number(link, 2);
    for (uint32_t i = 1; i <= 3; i++) { /* the parent's copy of the descriptor stays open */
        assert_int_equal(role_wait(role_start(role_borrows_one_and_dies, &ends[1]), SOON_MS),
                         128 + SIGKILL);
        must_fail(yoke_recv(link, NULL, 0, LONG_WAIT), EOWNERDEAD);
    }
    other = open_end(ends[1]);
    must_fail(yoke_recv(link, NULL, 0, YOKE_NOW), EAGAIN);
    borrow_details(other, &message);
    assert_int_equal(*(uint64_t *)message.data, 1);
    assert_int_equal(message.deliveries, 4);
    must(yoke_release(other, message.data));
    assert_int_equal(recv_number(other, YOKE_NOW), 2);
    yoke_close(other);
    other = open_end(ends[1]); /* and after one that closed */
    must_fail(yoke_recv(link, NULL, 0, YOKE_NOW), EAGAIN);
    yoke_close(other);
    yoke_close(link);
    close_both(ends);
}

struct helper {
    int descriptor;
    struct baton go;
};

static int role_helps_once(void *argument)
{
    struct helper *helper = argument;
    yoke_endpoint *link = open_end(helper->descriptor);

    send_number(link, recv_number(link, LONG_WAIT) + 1);
    baton_take(&helper->go);
    raise(SIGKILL);
    return 0;
}

static int64_t wait_for_the_other(void *link)
{
    return yoke_link_wait(link, LONG_WAIT);
}

static void parent_waits_until_a_helper_that_was_started_again_is_there(void **state)
{
    yoke_endpoint *link;
    struct helper helper;
    int ends[2];

    (void)state;
    baton_make(&helper.go);
    make_pair(ends);
    link = open_end(ends[0]);
    helper.descriptor = ends[1];
    must_fail(yoke_link_wait(link, 20 * MS), ETIMEDOUT); /* its descriptor is there */
    for (int i = 0; i < 5; i++) {
        struct worker worker;
        pid_t pid;

        worker_start(&worker, wait_for_the_other, link);
        worker_wait_asleep(&worker);
        pid = role_start(role_helps_once, &helper);
        must(worker_join(&worker));
        send_number(link, 1);
        assert_int_equal(recv_number(link, SOON_MS * MS), 2);
        must(yoke_link_wait(link, YOKE_NOW));
        baton_pass(&helper.go);
        assert_int_equal(role_wait(pid, SOON_MS), 128 + SIGKILL);
        must_fail(yoke_link_wait(link, YOKE_NOW), EAGAIN); /* though nobody has noticed it yet */
        must_fail(yoke_recv(link, NULL, 0, LONG_WAIT), EOWNERDEAD);
        must_fail(yoke_link_wait(link, 20 * MS), ETIMEDOUT);
    }
    close(ends[1]); /* nobody can come any more */
    must_fail(yoke_link_wait(link, LONG_WAIT), EOWNERDEAD);
    yoke_close(link);
    close(ends[0]);
    baton_drop(&helper.go);
}

static void waiting_for_one_who_never_came_ends_when_nobody_can(void **state)
{
    struct worker worker;
    yoke_endpoint *link;
    int ends[2];

    (void)state;
    make_pair(ends);
    link = open_end(ends[0]);
    worker_start(&worker, wait_for_the_other, link);
    worker_wait_asleep(&worker);
    close(ends[1]);
    must_fail(worker_join(&worker), EOWNERDEAD);
    yoke_close(link);
    close(ends[0]);
}

struct refused {
    int descriptor;
    unsigned user; /* 0: the same */
};

static int role_is_refused(void *argument)
{
    struct refused *refused = argument;
    yoke_endpoint *link = NULL;

    if (refused->user)
        become_user(refused->user);
    must_fail(yoke_open_descriptor(&link, refused->descriptor, NULL), EADDRINUSE);
    return 0;
}

static void second_process_on_one_end_is_refused(void **state)
{
    yoke_endpoint *links[2], *again = NULL;
    struct refused refused;
    int ends[2];
    char pid[32];

    (void)state;
    make_pair(ends);
    for (int i = 0; i < 2; i++)
        links[i] = open_end(ends[i]);
    for (int i = 0; i < 2; i++) {
        refused = (struct refused){.descriptor = ends[i]};
        assert_int_equal(role_wait(role_start(role_is_refused, &refused), SOON_MS), 0);
        must_fail(yoke_open_descriptor(&again, ends[i], NULL), EADDRINUSE);
        snprintf(pid, sizeof pid, "process %d", getpid());
        assert_non_null(strstr(yoke_explain(), pid));
    }
    send_number(links[0], 1);
    assert_int_equal(recv_number(links[1], YOKE_NOW), 1);
    yoke_close(links[0]);
    yoke_close(links[1]);
    close_both(ends);
}

struct tenant {
    int descriptor;
    struct baton ready;
};

static int role_stays_as_another_user(void *argument)
{
    struct tenant *tenant = argument;

    become_user(3);
    open_end(tenant->descriptor);
    baton_pass(&tenant->ready);
    for (;;)
        pause();
    return 0;
}

/* All of them, and the parent, have copies of one descriptor, which says nothing of who is there. */
static void processes_of_other_users_have_an_end_one_at_a_time(void **state)
{
    struct refused refused;
    struct tenant tenant;
    yoke_endpoint *link;
    int ends[2];

    (void)state;
    if (geteuid() != 0)
        skip_test("only root can play several users");
    baton_make(&tenant.ready);
    make_pair(ends);
    link = open_end(ends[0]);
    tenant.descriptor = ends[1];
    for (int i = 0; i < 3; i++) {
        pid_t pid = role_start(role_stays_as_another_user, &tenant);

        baton_take(&tenant.ready);
        must_fail(yoke_recv(link, NULL, 0, 60 * MS), ETIMEDOUT);
        for (unsigned user = 0; user <= 4; user += 2) {
            refused = (struct refused){.descriptor = ends[1], .user = user ? user + 1 : 0};
            assert_int_equal(role_wait(role_start(role_is_refused, &refused), SOON_MS), 0);
        }
        role_kill(pid);
        must_fail(yoke_recv(link, NULL, 0, SOON_MS * MS), EOWNERDEAD);
    }
    yoke_close(link);
    close_both(ends);
    baton_drop(&tenant.ready);
}

static int role_uses_what_its_parent_has_open(void *argument)
{
    yoke_endpoint *link = argument;

    must_fail(yoke_send(link, "", 0, YOKE_NOW), EADDRINUSE);
    must_fail(yoke_recv(link, NULL, 0, YOKE_NOW), EADDRINUSE);
    yoke_close(link);
    return 0;
}

static void what_a_parent_has_open_stays_the_parents(void **state)
{
    yoke_endpoint *links[2];
    int ends[2];

    (void)state;
    make_pair(ends);
    for (int i = 0; i < 2; i++)
        links[i] = open_end(ends[i]);
    close_both(ends);
    assert_int_equal(role_wait(role_start(role_uses_what_its_parent_has_open, links[0]), SOON_MS),
                     0);
    send_number(links[1], 1);
    assert_int_equal(recv_number(links[0], YOKE_NOW), 1);
    must_fail(yoke_recv(links[1], NULL, 0, YOKE_NOW), EAGAIN);
    yoke_close(links[0]);
    yoke_close(links[1]);
}

static void what_is_no_end_of_a_link_is_refused(void **state)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;
    yoke_endpoint *link = NULL;
    int ends[2] = {-1, -1}, before = open_descriptors(), fd;
    static const unsigned seals[] = {0, F_SEAL_SHRINK, F_SEAL_SHRINK | F_SEAL_GROW,
                                     F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL};

    (void)state;
    must_fail(yoke_open_descriptor(&link, -1, NULL), EBADF);
    must_fail(yoke_open_descriptor(&link, 987, NULL), EBADF);
    must_fail(yoke_open_descriptor(NULL, 0, NULL), EINVAL);
    fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    must_fail(yoke_open_descriptor(&link, fd, NULL), EINVAL);
    close(fd);
    for (size_t i = 0; i < 4; i++) {
        for (off_t size = 0; size <= 65536; size += 16384) {
            fd = memfd_create("no-yoke", MFD_CLOEXEC | MFD_ALLOW_SEALING);
            assert_int_equal(ftruncate(fd, size), 0);
            if (seals[i])
                assert_int_equal(fcntl(fd, F_ADD_SEALS, seals[i]), 0);
            must_fail(yoke_open_descriptor(&link, fd, NULL), i == 3 ? EINVAL : EPROTO);
            close(fd);
        }
    }
    must_fail(yoke_pair(NULL, NULL), EINVAL);
    options.as = "alice";
    must_fail(yoke_pair(ends, &options), EINVAL);
    options = (struct yoke_options)YOKE_OPTIONS_INIT;
    options.priorities = 2;
    must_fail(yoke_pair(ends, &options), ENOTSUP);
    options = (struct yoke_options)YOKE_OPTIONS_INIT;
    options.struct_size = 0;
    must_fail(yoke_pair(ends, &options), EINVAL);
    assert_int_equal(ends[0], -1);
    assert_null(link);
    must(yoke_pair(ends, NULL));
    must_fail(yoke_open_descriptor(&link, ends[0], &options), EINVAL);
    close_both(ends);
    assert_int_equal(open_descriptors(), before);
}

static void change_handle_byte(int fd, int seat, short type)
{
    struct flock lock = {
        .l_type = type, .l_whence = SEEK_SET, .l_start = YK_HANDLE_BYTE(seat), .l_len = 1};

    assert_int_equal(fcntl(fd, F_OFD_SETLK, &lock), 0);
}

static void lock_handle_byte(int fd, int seat)
{
    change_handle_byte(fd, seat, F_WRLCK);
}

/* Whoever has a copy of a descriptor can change the flags of all. */
static void flags_of_a_descriptor_do_not_say_which_end_it_is(void **state)
{
    yoke_endpoint *links[2];
    int ends[2];

    (void)state;
    for (int kind = 0; kind < 4; kind++) {
        make_pair(ends);
        for (int i = 0; i < 2; i++)
            assert_int_equal(fcntl(ends[i], F_SETFL, kind >> i & 1 ? O_APPEND : 0), 0);
        for (int i = 1; i >= 0; i--) { /* one after the other, with and without the other's */
            links[i] = open_end(ends[i]);
            close(ends[i]);
        }
        send_number(links[0], 1);
        assert_int_equal(recv_number(links[1], YOKE_NOW), 1);
        send_number(links[1], 2);
        assert_int_equal(recv_number(links[0], YOKE_NOW), 2);
        yoke_close(links[0]);
        yoke_close(links[1]);
    }
}

/* It is refused, and not taken for the other end. */
static void descriptor_that_lost_its_handle_byte_is_no_end(void **state)
{
    yoke_endpoint *link = NULL, *other;
    char path[64];
    int ends[2], again;

    (void)state;
    make_pair(ends);
    snprintf(path, sizeof path, "/proc/self/fd/%d", ends[1]);
    again = open(path, O_RDWR | O_CLOEXEC); /* not a copy: a description of its own */
    must_fail(yoke_open_descriptor(&link, again, NULL), EINVAL);
    other = open_end(ends[0]);
    close(ends[0]);
    lock_handle_byte(ends[1], 0); /* is free now: it has both */
    must_fail(yoke_open_descriptor(&link, ends[1], NULL), EINVAL);
    change_handle_byte(ends[1], 1, F_UNLCK);
    must_fail(yoke_open_descriptor(&link, ends[1], NULL), EADDRINUSE); /* the other one's */
    change_handle_byte(ends[1], 0, F_UNLCK);
    must_fail(yoke_open_descriptor(&link, ends[1], NULL), EINVAL);
    lock_handle_byte(ends[1], 1);
    link = open_end(ends[1]);
    send_number(link, 1);
    assert_int_equal(recv_number(other, YOKE_NOW), 1);
    yoke_close(link);
    yoke_close(other);
    close(ends[1]);
    close(again);
}

/* A copy of a pair's memory with something else in it, sealed as yoke's. */
static void pair_with_a_header_that_no_yoke_wrote_is_refused(void **state)
{
    static unsigned char original[1 << 20];
    int ends[2], before = open_descriptors();
    ssize_t size;

    (void)state;
    make_pair(ends);
    size = pread(ends[0], original, sizeof original, 0);
    close_both(ends);
    assert_in_range(size, 8192, sizeof original);
    for (size_t at = 0; at < 512; at += 4) {
        for (int k = 0; k < 3; k++) {
            int fd = memfd_create("copy", MFD_CLOEXEC | MFD_ALLOW_SEALING);
            uint32_t value = k == 0 ? 0 : k == 1 ? UINT32_MAX : 0x01000001;
            yoke_endpoint *link = NULL;

            assert_int_equal(pwrite(fd, original, (size_t)size, 0), size);
            assert_int_equal(pwrite(fd, &value, sizeof value, (off_t)at), sizeof value);
            assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), 0);
            lock_handle_byte(fd, k % 2);
            if (yoke_open_descriptor(&link, fd, NULL) == 0) { /* what does not matter */
                yoke_send(link, "x", 1, YOKE_NOW);
                yoke_recv(link, NULL, 0, YOKE_NOW);
                yoke_close(link);
            }
            close(fd);
        }
    }
    assert_int_equal(open_descriptors(), before);
}

static void what_is_wrong_with_a_header_is_told_apart(void **state)
{
    static const struct {
        size_t at;
        int error;
    } cases[] = {
        {offsetof(struct yk_shm_header, fixed.magic), EINVAL}, /* no yoke's at all */
        {offsetof(struct yk_shm_header, ready), EINVAL},
        {offsetof(struct yk_shm_header, fixed.layout), EPROTONOSUPPORT},
        {offsetof(struct yk_shm_header, fixed.details), EPROTONOSUPPORT}, /* the link's layout */
        {offsetof(struct yk_shm_header, fixed.kind), EPROTO},
        {offsetof(struct yk_shm_header, fixed.size), EPROTO},
        {offsetof(struct yk_shm_header, fixed.body_offset), EPROTO},
        {offsetof(struct yk_shm_header, fixed.participants), EPROTO},
        {offsetof(struct yk_shm_header, fixed.details) + 8, EPROTO}, /* the depth */
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        yoke_endpoint *link = NULL;
        uint32_t value = 0x7fffffff;
        int ends[2];

        make_pair(ends);
        assert_int_equal(pwrite(ends[0], &value, sizeof value, (off_t)cases[i].at), sizeof value);
        must_fail(yoke_open_descriptor(&link, ends[0], NULL), cases[i].error);
        assert_null(link);
        close_both(ends);
    }
}

struct couple {
    int ends[2];
    struct baton ready;
};

static int role_uses_an_end(void *argument)
{
    struct couple *couple = argument;
    yoke_endpoint *link = open_end(couple->ends[1]);
    void *block;

    must(yoke_loan(link, 100, &block, YOKE_NOW));
    send_number(link, 1);
    baton_pass(&couple->ready);
    recv_number(link, LONG_WAIT);
    return 0;
}

static int role_makes_a_pair_and_a_child(void *argument)
{
    struct couple *couple = argument;

    make_pair(couple->ends);
    role_start(role_uses_an_end, couple);
    send_number(open_end(couple->ends[0]), 0);
    baton_pass(&couple->ready);
    for (;;)
        pause();
    return 0;
}

static size_t memory_files(pid_t pid)
{
    char path[64], line[512];
    size_t count = 0;
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/maps", pid);
    file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file))
        count += strstr(line, "/memfd:yoke") != NULL;
    if (file)
        fclose(file);
    return count;
}

static void nothing_is_left_of_a_pair_when_all_are_killed(void **state)
{
    struct couple couple;
    pid_t parent;

    (void)state;
    baton_make(&couple.ready);
    parent = role_start(role_makes_a_pair_and_a_child, &couple);
    baton_take(&couple.ready);
    baton_take(&couple.ready);
    assert_true(memory_files(parent) > 0);
    role_kill(parent); /* its child has its message, and ends */
    assert_int_equal(names_left(), 0);
    assert_int_equal(memory_files(getpid()), 0);
    baton_drop(&couple.ready);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        api_test(receiver_killed_while_borrowing_messages_are_delivered_again_marked),
        api_test(sender_killed_with_loans_what_it_sent_is_there_and_no_room_is_lost),
        api_test(sleeper_notices_that_the_other_was_killed),
        api_test(message_whose_sender_died_before_the_wake_up_is_noticed),
        api_test(kept_link_keeps_its_messages_when_both_are_killed),
        api_test(transient_link_goes_with_the_last_of_the_killed),
        api_test(random_kills_lose_nothing_and_double_nothing_unmarked),
        api_test(peers_in_other_pid_namespaces_live_and_die),
        api_test(forked_child_is_refused_until_its_parent_is_dead_and_then_goes_on),
        api_test(child_that_closes_what_it_inherited_takes_nothing_from_its_parent),
        api_test(pair_is_a_link_without_names_and_leaves_nothing),
        api_test(pair_works_across_fork),
        api_test(pair_works_across_exec),
        api_test(pair_works_by_a_descriptor_that_was_sent),
        api_test(pair_works_with_a_child_of_another_user),
        api_test(pair_needs_no_ipc_namespace_in_common),
        api_test(child_that_dies_before_it_opened_its_end_is_dead_when_no_copy_is_left),
        api_test(successor_on_the_same_descriptor_gets_what_was_not_released),
        api_test(parent_waits_until_a_helper_that_was_started_again_is_there),
        api_test(waiting_for_one_who_never_came_ends_when_nobody_can),
        api_test(second_process_on_one_end_is_refused),
        api_test(processes_of_other_users_have_an_end_one_at_a_time),
        api_test(what_a_parent_has_open_stays_the_parents),
        api_test(what_is_no_end_of_a_link_is_refused),
        api_test(flags_of_a_descriptor_do_not_say_which_end_it_is),
        api_test(descriptor_that_lost_its_handle_byte_is_no_end),
        api_test(pair_with_a_header_that_no_yoke_wrote_is_refused),
        api_test(what_is_wrong_with_a_header_is_told_apart),
        api_test(nothing_is_left_of_a_pair_when_all_are_killed),
    };

    if (argc == 3 && strcmp(argv[1], "--echo") == 0) {
        int descriptor = atoi(argv[2]);

        return role_echoes(&descriptor);
    }
    return cmocka_run_group_tests(tests, api_setup, NULL);
}
