/*
 * set_test.c - wait sets: one wait over endpoints, peers, deaths, timers and descriptors.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "api.h"

static yoke_set *set_make(void)
{
    yoke_set *set;

    must(yoke_set_create(&set));
    return set;
}

/* The one thing that is ready, or comes. */
static struct yoke_ready next_of(yoke_set *set)
{
    struct yoke_ready ready;

    assert_int_equal(must(yoke_set_wait(set, &ready, 1, SOON_MS * MS)), 1);
    return ready;
}

static void nothing_is_ready(yoke_set *set)
{
    struct yoke_ready ready;

    must_fail(yoke_set_wait(set, &ready, 1, YOKE_NOW), EAGAIN);
}

static bool is_readable(int fd, int timeout_ms)
{
    struct pollfd poll_for = {.fd = fd, .events = POLLIN};

    return poll(&poll_for, 1, timeout_ms) == 1;
}

static yoke_peer *join(const char *name)
{
    yoke_peer *peer;

    must(yoke_peer_join(&peer, name, NULL));
    return peer;
}

static void misuse_is_refused(void **state)
{
    yoke_set *set = set_make();
    yoke_endpoint *port = port_make("jobs", NULL);
    struct yoke_ready ready;
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    must_fail(yoke_set_create(NULL), EINVAL);
    must_fail(yoke_set_wait(NULL, &ready, 1, YOKE_NOW), EINVAL);
    must_fail(yoke_set_wait(set, NULL, 1, YOKE_NOW), EINVAL);
    must_fail(yoke_set_wait(set, &ready, 0, YOKE_NOW), EINVAL);
    must_fail(yoke_set_wait(set, &ready, 1, -2), EINVAL);
    must_fail(yoke_set_wait(set, &ready, 1, YOKE_NOW), EAGAIN);
    must_fail(yoke_set_wait(set, &ready, 1, 20 * MS), ETIMEDOUT);
    must_fail(yoke_set_add(set, NULL, NULL), EINVAL);
    must_fail(yoke_set_add_peer(set, NULL, NULL), EINVAL);
    must_fail(yoke_set_add_gone(set, "a/b", NULL), EINVAL);
    must_fail(yoke_set_add_timer(set, -1, 0, NULL), EINVAL);
    must_fail(yoke_set_add_descriptor(set, -1, POLLIN, NULL), EBADF);
    must_fail(yoke_set_add_descriptor(set, ends[0], 0, NULL), EINVAL);
    must_fail(yoke_set_remove(set, 0), EINVAL);
    must_fail(yoke_set_remove(set, -1), EINVAL);
    must(yoke_set_add_descriptor(set, ends[0], POLLIN, NULL));
    must_fail(yoke_set_add_descriptor(set, ends[0], POLLIN, NULL), EEXIST);
    must(yoke_set_add(set, port, NULL));
    must_fail(yoke_set_add(set, port, NULL), EBUSY);
    must_fail(yoke_fd(port), EBUSY);
    assert_int_equal(yoke_set_close(NULL), 0);
    yoke_set_close(set);
    set = set_make();
    must(yoke_fd(port));
    must_fail(yoke_set_add(set, port, NULL), EBUSY);
    yoke_set_close(set);
    yoke_close(port);
    close(ends[0]);
    close(ends[1]);
}

static void messages_come_from_whichever_endpoint_has_some(void **state)
{
    yoke_set *set = set_make();
    yoke_endpoint *port = port_make("jobs", NULL), *sender = port_join("jobs");
    yoke_endpoint *link = link_make("alice", "bob", NULL), *other = link_join("bob", "alice");
    int users[2];

    (void)state;
    int ids[] = {(int)must(yoke_set_add(set, port, &users[0])),
                 (int)must(yoke_set_add(set, link, &users[1]))};
    for (int i = 0; i < 100; i++) {
        nothing_is_ready(set);
        send_number(i % 2 ? sender : other, (uint64_t)i);
        struct yoke_ready ready = next_of(set);
        assert_int_equal(ready.what, YOKE_SET_ENDPOINT);
        assert_ptr_equal(ready.endpoint, i % 2 ? port : link);
        assert_ptr_equal(ready.user, &users[i % 2 ? 0 : 1]);
        assert_int_equal(ready.member, ids[i % 2 ? 0 : 1]);
        assert_int_equal(recv_number(ready.endpoint, YOKE_NOW), i);
    }
    nothing_is_ready(set);
    yoke_close(other);
    assert_ptr_equal(next_of(set).endpoint, link);
    assert_ptr_equal(next_of(set).endpoint, link); /* as long as it is so */
    must_fail(yoke_recv(link, NULL, 0, YOKE_NOW), EPIPE);
    yoke_close(link); /* leaves the set */
    nothing_is_ready(set);
    send_number(sender, 1);
    assert_ptr_equal(next_of(set).endpoint, port);
    must(yoke_set_remove(set, ids[0]));
    nothing_is_ready(set);
    must(yoke_set_add(set, port, NULL)); /* what is there already is ready */
    assert_ptr_equal(next_of(set).endpoint, port);
    yoke_close(sender);
    yoke_close(port);
    yoke_set_close(set);
}

static void all_take_turns(void **state)
{
    yoke_set *set = set_make();
    yoke_endpoint *ports[3];
    unsigned turns[4] = {0};
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "x", 1), 1);
    must(yoke_set_add_descriptor(set, ends[0], POLLIN, NULL));
    for (int i = 0; i < 3; i++) {
        char name[16];
        snprintf(name, sizeof name, "p%d", i);
        ports[i] = port_make(name, NULL);
        must(yoke_set_add(set, ports[i], NULL));
        send_number(ports[i], 1);
    }
    /* never emptied: yet the descriptor is heard of, for which the kernel has to be asked */
    while (turns[3] < 3) {
        struct yoke_ready ready = next_of(set);
        for (int i = 0; i < 3; i++)
            turns[i] += ready.endpoint == ports[i];
        turns[3] += ready.what == YOKE_SET_DESCRIPTOR;
    }
    for (int i = 0; i < 3; i++) {
        assert_true(turns[i] + 1 >= turns[0] && turns[0] + 1 >= turns[i]);
        yoke_close(ports[i]);
    }
    yoke_set_close(set);
    close(ends[0]);
    close(ends[1]);
}

/* Also where there is room for fewer than are ready, and nobody makes them less ready. */
static void descriptors_take_turns(void **state)
{
    enum { COUNT = 7 };
    yoke_set *set = set_make();
    struct yoke_ready ready[3];
    unsigned turns[COUNT] = {0};
    int ends[COUNT][2];

    (void)state;
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(pipe(ends[i]), 0);
        assert_int_equal(write(ends[i][1], "x", 1), 1);
        must(yoke_set_add_descriptor(set, ends[i][0], POLLIN, &turns[i]));
    }
    for (size_t room = 1; room <= 3; room++) {
        memset(turns, 0, sizeof turns);
        for (int i = 0; i < 10 * COUNT; i++) {
            ssize_t told = must(yoke_set_wait(set, ready, room, SOON_MS * MS));
            for (ssize_t k = 0; k < told; k++)
                ++*(unsigned *)ready[k].user;
        }
        for (int i = 0; i < COUNT; i++)
            assert_in_range(turns[i], 10 * room - 3, 10 * room + 3);
    }
    yoke_set_close(set);
    for (int i = 0; i < COUNT; i++) {
        close(ends[i][0]);
        close(ends[i][1]);
    }
}

static void timers_descriptors_and_peers_are_told_as_what_they_are(void **state)
{
    yoke_set *set = set_make();
    yoke_peer *bob = join("bob");
    yoke_endpoint *link;
    char byte;
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    int once = (int)must(yoke_set_add_timer(set, 0, 0, NULL));
    struct yoke_ready ready = next_of(set);
    assert_int_equal(ready.what, YOKE_SET_TIMER);
    assert_int_equal(ready.member, once);
    assert_int_equal(ready.count, 1);
    nothing_is_ready(set);
    int often = (int)must(yoke_set_add_timer(set, MS, MS, NULL));
    uint64_t count = 0;
    while (count < 10) {
        ready = next_of(set);
        assert_int_equal(ready.member, often);
        count += ready.count;
    }
    must(yoke_set_remove(set, often));
    nothing_is_ready(set);

    int member = (int)must(yoke_set_add_descriptor(set, ends[0], POLLIN, NULL));
    assert_int_equal(write(ends[1], "x", 1), 1);
    ready = next_of(set);
    assert_int_equal(ready.what, YOKE_SET_DESCRIPTOR);
    assert_int_equal(ready.member, member);
    assert_int_equal(ready.descriptor, ends[0]);
    assert_true(ready.events & POLLIN);
    assert_int_equal(read(ends[0], &byte, 1), 1);
    nothing_is_ready(set);
    close(ends[1]);
    assert_true(next_of(set).events & POLLHUP);
    must(yoke_set_remove(set, member));
    close(ends[0]);

    must(yoke_set_add_peer(set, bob, NULL));
    must_fail(yoke_set_add_peer(set, bob, NULL), EBUSY);
    while (yoke_set_wait(set, &ready, 1, YOKE_NOW) == 1) /* once too often, at first */
        must_fail(yoke_peer_next(bob, &link, YOKE_NOW), EAGAIN);
    yoke_endpoint *alices = link_make("alice", "bob", NULL);
    ready = next_of(set);
    assert_int_equal(ready.what, YOKE_SET_PEER);
    assert_ptr_equal(ready.peer, bob);
    assert_int_equal(must(yoke_peer_next(bob, &link, YOKE_NOW)), YOKE_NEXT_OPENED);
    send_number(alices, 7);
    assert_ptr_equal(next_of(set).peer, bob);
    assert_int_equal(recv_number(link, YOKE_NOW), 7);
    yoke_close(alices);
    yoke_close(link);
    yoke_peer_leave(bob); /* leaves the set, too */
    nothing_is_ready(set);
    yoke_set_close(set);
}

static int role_is_there(void *argument)
{
    const struct baton *here = argument;

    join("mortal");
    baton_pass(here);
    pause();
    return 1;
}

static void end_of_a_peer_is_told_once(void **state)
{
    yoke_set *set = set_make();
    struct baton here;

    (void)state;
    int nobody = (int)must(yoke_set_add_gone(set, "nobody", NULL));
    struct yoke_ready ready = next_of(set);
    assert_int_equal(ready.what, YOKE_SET_GONE);
    assert_int_equal(ready.member, nobody);
    nothing_is_ready(set);
    must(yoke_set_remove(set, nobody));

    baton_make(&here);
    pid_t mortal = role_start(role_is_there, &here);
    baton_take(&here);
    int member = (int)must(yoke_set_add_gone(set, "mortal", NULL));
    nothing_is_ready(set);
    kill(mortal, SIGKILL);
    assert_int_equal(next_of(set).member, member);
    nothing_is_ready(set);
    role_kill(mortal);
    yoke_set_close(set);
    baton_drop(&here);
    yoke_peer_leave(join("mortal")); /* clears what it left */

    yoke_peer *leaver = join("leaver");
    set = set_make();
    must(yoke_set_add_gone(set, "leaver", NULL));
    nothing_is_ready(set);
    yoke_peer_leave(leaver);
    assert_int_equal(next_of(set).what, YOKE_SET_GONE);
    yoke_set_close(set);
}

/* The first file of the name directory whose name begins so, opened. */
static int open_named(const char *prefix, int flags)
{
    DIR *directory = opendir(getenv("YOKE_DIR"));
    const struct dirent *entry;
    int fd = -1;

    assert_non_null(directory);
    while (fd < 0 && (entry = readdir(directory)))
        if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0)
            fd = openat(dirfd(directory), entry->d_name, flags | O_CLOEXEC);
    closedir(directory);
    assert_true(fd >= 0);
    return fd;
}

/* Heard of once more after it was found, and before it was told, for want of room. */
static void end_of_a_peer_that_is_heard_of_twice_is_told_once(void **state)
{
    struct baton here;
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "x", 1), 1);
    for (int i = 0; i < 20; i++) { /* the two waits are to be within a millisecond */
        yoke_set *set = set_make();
        struct yoke_ready ready;

        baton_make(&here);
        pid_t mortal = role_start(role_is_there, &here);
        baton_take(&here);
        int member = (int)must(yoke_set_add_gone(set, "mortal", NULL));
        nothing_is_ready(set);
        int lock = open_named(".live-", O_RDWR);
        yoke_endpoint *drains = port_make("drains", NULL);
        must(yoke_fd(drains));
        role_kill(mortal);
        must(yoke_peer_wait("mortal", YOKE_PEER_GONE, SOON_MS * MS));
        must(yoke_set_add_descriptor(set, ends[0], POLLIN, NULL));
        must(yoke_set_wait(set, &ready, 1, YOKE_NOW));
        close(lock);
        must_fail(yoke_recv(drains, NULL, 0, YOKE_NOW), EAGAIN);
        for (int told = ready.member == member, k = 0; k < 5 || !told; k++) {
            must(yoke_set_wait(set, &ready, 1, SOON_MS * MS));
            told += ready.member == member;
            assert_in_range(told, 0, 1);
        }
        yoke_set_close(set);
        yoke_close(drains);
        baton_drop(&here);
        yoke_peer_leave(join("mortal"));
    }
    close(ends[0]);
    close(ends[1]);
}

/*
 * Who may ring may write anything: a mark that is cut makes no other one unheard, and one of what no bell
 * is rung for is nothing.
 */
static void nonsense_in_the_doorbell_hides_nothing(void **state)
{
    yoke_set *set = set_make();
    yoke_endpoint *port = port_make("jobs", NULL), *sender = port_join("jobs");
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    must(yoke_set_add(set, port, NULL));
    must(yoke_set_add_descriptor(set, ends[0], POLLIN, NULL));
    must(yoke_set_add_timer(set, LONG_WAIT, 0, NULL));
    for (int i = 0; i < 100; i++) /* left to its doorbell */
        nothing_is_ready(set);
    int bell = open_named(".bell-", O_RDWR | O_NONBLOCK);
    for (size_t size = 1; size < 20; size++) {
        assert_int_equal(write(bell, "nonsense nonsense nonsense", size), size);
        send_number(sender, size);
        struct yoke_ready ready;
        assert_int_equal(must(yoke_set_wait(set, &ready, 1, YOKE_NOW)), 1);
        assert_int_equal(recv_number(port, YOKE_NOW), size);
        for (int i = 0; i < 100; i++)
            nothing_is_ready(set);
    }
    for (uint64_t member = 0; member < 4; member++) {
        for (uint64_t made = 0; made < 5; made++) {
            uint64_t mark = member << 32 | made << 3;
            assert_int_equal(write(bell, &mark, sizeof mark), sizeof mark);
        }
    }
    nothing_is_ready(set);
    close(bell);
    close(ends[0]);
    close(ends[1]);
    yoke_close(sender);
    yoke_close(port);
    yoke_set_close(set);
}

static int role_dies_with_a_message(void *argument)
{
    const struct baton *has = argument;
    yoke_endpoint *port = port_join("jobs");
    const void *message;

    must(yoke_borrow(port, &message, YOKE_FOREVER));
    baton_pass(has);
    pause();
    return 1;
}

static void message_of_a_dead_receiver_is_told(void **state)
{
    yoke_set *set = set_make();
    yoke_endpoint *port = port_make("jobs", NULL);
    struct yoke_message message = {.data = NULL};
    struct baton has;

    (void)state;
    baton_make(&has);
    send_number(port, 42);
    pid_t victim = role_start(role_dies_with_a_message, &has);
    baton_take(&has);
    must(yoke_set_add(set, port, NULL));
    nothing_is_ready(set);
    kill(victim, SIGKILL);
    assert_ptr_equal(next_of(set).endpoint, port);
    borrow_details(port, &message);
    assert_int_equal(message.deliveries, 2);
    must(yoke_release(port, message.data));
    role_kill(victim);
    yoke_set_close(set);
    yoke_close(port);
    baton_drop(&has);
}

static void a_set_can_be_polled_itself(void **state)
{
    yoke_set *set = set_make();
    yoke_endpoint *port = port_make("jobs", NULL), *link, *other;
    struct yoke_ready ready[4];
    int ends[2], fd = (int)must(yoke_set_fd(set));

    (void)state;
    must(yoke_pair(ends, NULL));
    must(yoke_open_descriptor(&link, ends[0], NULL));
    must(yoke_open_descriptor(&other, ends[1], NULL));
    must(yoke_set_add(set, port, NULL));
    must(yoke_set_add(set, link, NULL));
    for (int i = 0; i < 200; i++) {
        while (is_readable(fd, 0)) {
            ssize_t count = yoke_set_wait(set, ready, 4, YOKE_NOW);
            if (count == -EAGAIN)
                continue;
            for (ssize_t k = 0; k < count; k++)
                recv_number(ready[k].endpoint, YOKE_NOW);
        }
        nothing_is_ready(set);
        send_number(i % 2 ? other : port, (uint64_t)i);
        if (i % 3 == 0)
            send_number(i % 2 ? other : port, (uint64_t)i);
        assert_true(is_readable(fd, SOON_MS));
        if (i % 5 == 0) { /* one at a time: it stays readable */
            assert_true(must(yoke_set_wait(set, ready, 1, YOKE_NOW)) == 1);
            assert_true(is_readable(fd, 0));
        }
    }
    yoke_close(link);
    yoke_close(other);
    yoke_close(port);
    yoke_set_close(set);
    close(ends[0]);
    close(ends[1]);
}

#define MANY 1000

static int role_sends_to_some(void *argument)
{
    const struct baton *ready = argument;
    yoke_endpoint *port;
    char name[16];

    baton_take(ready);
    srandom(1);
    for (int i = 0; i < 2000; i++) {
        snprintf(name, sizeof name, "p%ld", random() % MANY);
        port = port_join(name);
        send_number(port, (uint64_t)i);
        yoke_close(port);
    }
    return 0;
}

static void thousand_endpoints_share_one_wait(void **state)
{
    struct rlimit limit;
    static yoke_endpoint *ports[MANY];
    struct yoke_options options = YOKE_OPTIONS_INIT;
    struct yoke_ready ready[16];
    static bool seen[2000];
    struct baton go;
    char name[16];

    (void)state;
    getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_max < MANY + 100)
        skip_test("at most %llu descriptors", (unsigned long long)limit.rlim_max);
    limit.rlim_cur = limit.rlim_max < 4096 ? limit.rlim_max : 4096;
    setrlimit(RLIMIT_NOFILE, &limit);
    options.depth = 16;
    options.max_message = 8;
    options.participants = 4;
    yoke_set *set = set_make();
    int before = open_descriptors();
    baton_make(&go);
    pid_t sender = role_start(role_sends_to_some, &go);
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "p%d", i);
        ports[i] = port_make(name, &options);
        must(yoke_set_add(set, ports[i], ports[i]));
    }
    assert_true(open_descriptors() - before < MANY + 10); /* a lock each, and one doorbell */
    nothing_is_ready(set);
    baton_pass(&go);
    for (int received = 0; received < 2000;) {
        ssize_t count = must(yoke_set_wait(set, ready, 16, SOON_MS * MS));
        for (ssize_t k = 0; k < count; k++) {
            uint64_t number;
            if (yoke_recv(ready[k].user, &number, sizeof number, YOKE_NOW) < 0)
                continue;
            assert_true(number < 2000 && !seen[number]);
            seen[number] = true;
            received++;
        }
    }
    assert_int_equal(role_wait(sender, SOON_MS), 0);
    for (int i = 0; i < MANY; i++)
        yoke_close(ports[i]);
    yoke_set_close(set);
    baton_drop(&go);
}

static int64_t wait_for_long(void *set)
{
    struct yoke_ready ready;

    return yoke_set_wait(set, &ready, 1, LONG_WAIT);
}

static int64_t wait_for_50_ms(void *set)
{
    struct yoke_ready ready;

    return yoke_set_wait(set, &ready, 1, 50 * MS);
}

static int64_t wait_in_a_new_set(void *unused)
{
    yoke_set *set;

    (void)unused;
    return yoke_set_create(&set) < 0 ? 1 : wait_for_long(set);
}

static void waits_end_by_cancel_time_and_signal(void **state)
{
    yoke_set *set = set_make();
    struct worker worker;

    (void)state;
    assert_times_out(wait_for_50_ms, set, 50 * MS);
    worker_start(&worker, wait_for_long, set);
    worker_wait_asleep(&worker);
    must(yoke_set_cancel(set));
    must_fail(worker_join(&worker), ECANCELED);
    must_fail(wait_for_long(set), ECANCELED);
    yoke_set_close(set);
    must_fail(interrupted_result(wait_in_a_new_set, NULL), EINTR);
}

static void thread_that_is_cancelled_comes_back_from_its_call_first(void **state)
{
    yoke_set *set = set_make();
    struct worker worker;

    (void)state;
    worker_start(&worker, wait_for_long, set);
    worker_wait_asleep(&worker);
    assert_int_equal(pthread_cancel(worker.thread), 0);
    must(yoke_set_cancel(set));
    int64_t result = worker_join(&worker);
    assert_true(result == -ECANCELED || result == -EINTR);
    yoke_set_close(set);
}

static void *come_and_go(void *rounds)
{
    yoke_endpoint *port;
    yoke_peer *peer;

    for (;; pthread_testcancel()) {
        if (yoke_peer_join(&peer, "bob", NULL) == 0)
            yoke_peer_leave(peer);
        if (yoke_open(&port, "port:jobs", 0, NULL) == 0) {
            yoke_fd(port);
            yoke_close(port);
        }
        atomic_fetch_add((atomic_uint *)rounds, 1);
    }
    return NULL;
}

static void thread_that_is_cancelled_leaves_nothing_locked_and_nothing_open(void **state)
{
    yoke_endpoint *port = port_make("jobs", NULL), *first = port_join("jobs");

    (void)state;
    must(yoke_fd(first)); /* the process's own inotify instance stays */
    yoke_close(first);
    int before = open_descriptors();
    for (int i = 0; i < 100; i++) {
        struct worker worker = {.result = 0};
        atomic_uint rounds = 0;

        assert_int_equal(pthread_create(&worker.thread, NULL, come_and_go, &rounds), 0);
        while (atomic_load(&rounds) == 0)
            sched_yield();
        assert_int_equal(pthread_cancel(worker.thread), 0);
        worker_join(&worker);
        yoke_peer_leave(join("bob"));
    }
    yoke_close(port_join("jobs"));
    assert_int_equal(open_descriptors(), before);
    yoke_close(port);
}

static int role_makes_its_own(void *argument)
{
    yoke_set *parents = argument, *set = set_make();
    struct yoke_ready ready;

    must_fail(yoke_set_wait(parents, &ready, 1, YOKE_NOW), EPERM);
    must_fail(yoke_set_add_timer(parents, 1, 0, NULL), EPERM);
    yoke_set_close(parents);
    yoke_endpoint *port = port_join("jobs");
    must(yoke_set_add(set, port, NULL));
    assert_ptr_equal(next_of(set).endpoint, port);
    yoke_close(port);
    yoke_set_close(set);
    return 0;
}

static void a_child_makes_its_own_set(void **state)
{
    yoke_set *set = set_make();
    yoke_endpoint *port = port_make("jobs", NULL);

    (void)state;
    must(yoke_set_add(set, port, NULL));
    must(yoke_set_add_gone(set, "nobody", NULL));
    assert_int_equal(next_of(set).what, YOKE_SET_GONE);
    nothing_is_ready(set);
    send_number(port, 1);
    assert_int_equal(role_wait(role_start(role_makes_its_own, set), SOON_MS), 0);
    assert_ptr_equal(next_of(set).endpoint, port); /* the parent's goes on */
    recv_number(port, YOKE_NOW);
    nothing_is_ready(set);
    send_number(port, 1);
    assert_ptr_equal(next_of(set).endpoint, port);
    yoke_close(port);
    yoke_set_close(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        api_test(misuse_is_refused),
        api_test(messages_come_from_whichever_endpoint_has_some),
        api_test(all_take_turns),
        api_test(descriptors_take_turns),
        api_test(timers_descriptors_and_peers_are_told_as_what_they_are),
        api_test(end_of_a_peer_is_told_once),
        api_test(end_of_a_peer_that_is_heard_of_twice_is_told_once),
        api_test(nonsense_in_the_doorbell_hides_nothing),
        api_test(message_of_a_dead_receiver_is_told),
        api_test(a_set_can_be_polled_itself),
        api_test(thousand_endpoints_share_one_wait),
        api_test(waits_end_by_cancel_time_and_signal),
        api_test(thread_that_is_cancelled_comes_back_from_its_call_first),
        api_test(thread_that_is_cancelled_leaves_nothing_locked_and_nothing_open),
        api_test(a_child_makes_its_own_set),
    };
    return cmocka_run_group_tests(tests, api_setup, NULL);
}
