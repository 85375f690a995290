/*
 * fd_test.c - yoke_fd() and yoke_peer_fd(): a descriptor is readable whenever receiving would not wait.
 *
 * What is told of every kind of endpoint is tried on each: a port, a link, a pair.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "api.h"

#define TRIES 100 /* more often than that it is not readable for nothing */

/* ---- looking --------------------------------------------------------------------------------- */

static bool is_readable(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

    assert_in_range(poll(&poll_fd, 1, 0), 0, 1);
    assert_int_equal(poll_fd.revents & ~POLLIN, 0);
    return poll_fd.revents != 0;
}

static void becomes_readable(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

    if (poll(&poll_fd, 1, SOON_MS) != 1)
        fail_msg("the descriptor was not readable within %d ms", SOON_MS);
}

/* Nothing is there: it may say so once too often, and no more. */
static void is_quiet(yoke_endpoint *endpoint)
{
    uint64_t number;
    int tries = 0;

    must_fail(yoke_recv(endpoint, &number, sizeof number, YOKE_NOW), EAGAIN);
    for (; is_readable(yoke_fd(endpoint)) && tries < TRIES; tries++)
        must_fail(yoke_recv(endpoint, &number, sizeof number, YOKE_NOW), EAGAIN);
    assert_in_range(tries, 0, TRIES - 1);
}

static void peer_is_quiet(yoke_peer *peer)
{
    yoke_endpoint *link;
    int tries = 0;

    must_fail(yoke_peer_next(peer, &link, YOKE_NOW), EAGAIN);
    for (; is_readable(yoke_peer_fd(peer)) && tries < TRIES; tries++)
        must_fail(yoke_peer_next(peer, &link, YOKE_NOW), EAGAIN);
    assert_in_range(tries, 0, TRIES - 1);
}

/* As an event loop does: until it is so. What was readable for nothing is passed over. */
static int64_t loop_until_not(yoke_endpoint *endpoint, int64_t what)
{
    uint64_t number;
    int64_t result;

    do {
        becomes_readable(yoke_fd(endpoint));
        result = yoke_recv(endpoint, &number, sizeof number, YOKE_NOW);
    } while (result == what);
    return result;
}

/* ---- two ends of every kind ------------------------------------------------------------------ */

struct ends {
    yoke_endpoint *sender, *receiver;
};

static struct ends open_port_ends(void)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;
    struct ends ends;

    options.depth = 16;
    ends.receiver = port_make("fd", &options);
    ends.sender = port_join("fd");
    return ends;
}

static struct ends open_link_ends(void)
{
    struct ends ends = {.receiver = link_make("bob", "alice", NULL)};

    ends.sender = link_join("alice", "bob");
    return ends;
}

static struct ends open_pair_ends(void)
{
    struct ends ends;
    int pair[2];

    must(yoke_pair(pair, NULL));
    must(yoke_open_descriptor(&ends.sender, pair[0], NULL));
    must(yoke_open_descriptor(&ends.receiver, pair[1], NULL));
    close(pair[0]);
    close(pair[1]);
    return ends;
}

static void close_ends(struct ends *ends)
{
    yoke_close(ends->sender);
    yoke_close(ends->receiver);
}

enum kind { PORT, LINK, PAIR, KINDS };

static struct ends open_ends(enum kind kind)
{
    return kind == PORT ? open_port_ends() : kind == LINK ? open_link_ends() : open_pair_ends();
}

/* Runs a test on each kind. */
static void on_each(void (*test)(struct ends *ends))
{
    for (enum kind kind = PORT; kind < KINDS; kind++) {
        struct ends ends = open_ends(kind);

        test(&ends);
        close_ends(&ends);
    }
}

/* Every way to send, in turns. */
static void send_in_some_way(yoke_endpoint *endpoint, uint64_t number)
{
    struct yoke_message message = {.data = &number, .size = sizeof number};
    void *block;

    switch (number % 4) {
    case 0:
        must(yoke_send(endpoint, &number, sizeof number, YOKE_NOW));
        break;
    case 1:
        must(yoke_send_many(endpoint, &message, 1, YOKE_NOW));
        break;
    case 2:
        must(yoke_loan(endpoint, sizeof number, &block, YOKE_NOW));
        memcpy(block, &number, sizeof number);
        must(yoke_commit(endpoint, block, sizeof number));
        break;
    default:
        must(yoke_loan(endpoint, sizeof number, &message.data, YOKE_NOW));
        memcpy(message.data, &number, sizeof number);
        must(yoke_commit_many(endpoint, &message, 1, YOKE_NOW));
    }
}

/* ---- what it says of messages ---------------------------------------------------------------- */

static void follow(struct ends *ends)
{
    int fd = (int)must(yoke_fd(ends->receiver));

    is_quiet(ends->receiver);
    for (uint64_t i = 0; i < 16; i++) {
        send_in_some_way(ends->sender, i);
        assert_true(is_readable(fd));
        assert_int_equal(recv_number(ends->receiver, YOKE_NOW), i);
        is_quiet(ends->receiver);
    }
    assert_int_equal(yoke_fd(ends->receiver), fd);
}

static void descriptor_is_readable_when_a_message_came_and_not_after_eagain(void **state)
{
    (void)state;
    on_each(follow);
}

static void stay(struct ends *ends)
{
    int fd;

    send_number(ends->sender, 0); /* before anybody asked for a descriptor */
    fd = (int)must(yoke_fd(ends->receiver));
    assert_true(is_readable(fd));
    for (uint64_t i = 1; i < 8; i++)
        send_number(ends->sender, i);
    for (uint64_t i = 0; i < 8; i++) {
        assert_true(is_readable(fd));
        assert_int_equal(recv_number(ends->receiver, YOKE_NOW), i);
    }
    is_quiet(ends->receiver);
    for (uint64_t i = 0; i < 4; i++)
        send_number(ends->sender, i);
    for (uint64_t i = 0; i < 4; i++) {
        assert_true(is_readable(fd));
        assert_int_equal(recv_number(ends->receiver, YOKE_NOW), i);
    }
    is_quiet(ends->receiver);
}

static void descriptor_stays_readable_as_long_as_there_is_something(void **state)
{
    (void)state;
    on_each(stay);
}

static int64_t receive_blocking(void *endpoint)
{
    uint64_t number;

    return yoke_recv(endpoint, &number, sizeof number, LONG_WAIT);
}

static void mix(struct ends *ends)
{
    struct worker worker;
    uint64_t number;
    char byte;

    must(yoke_fd(ends->receiver));
    is_quiet(ends->receiver);
    send_number(ends->sender, 1); /* taken by a blocking call */
    recv_number(ends->receiver, LONG_WAIT);
    is_quiet(ends->receiver);
    must_fail(yoke_recv(ends->receiver, &number, sizeof number, 5 * MS), ETIMEDOUT);
    send_number(ends->sender, 2);
    assert_true(is_readable(yoke_fd(ends->receiver)));
    must_fail(yoke_recv(ends->receiver, &byte, sizeof byte, YOKE_NOW), EMSGSIZE);
    assert_true(is_readable(yoke_fd(ends->receiver)));
    recv_number(ends->receiver, LONG_WAIT);
    is_quiet(ends->receiver);
    worker_start(&worker, receive_blocking, ends->receiver);
    worker_wait_asleep(&worker);
    send_number(ends->sender, 3);
    assert_int_equal(worker_join(&worker), sizeof number);
    is_quiet(ends->receiver);
    send_number(ends->sender, 4);
    assert_true(is_readable(yoke_fd(ends->receiver)));
    recv_number(ends->receiver, YOKE_NOW);
}

static void blocking_calls_and_time_outs_beside_it_lose_nothing(void **state)
{
    (void)state;
    on_each(mix);
}

static void give_back(struct ends *ends)
{
    const void *message;
    int fd = (int)must(yoke_fd(ends->receiver));

    send_number(ends->sender, 1);
    must(yoke_borrow(ends->receiver, &message, YOKE_NOW));
    is_quiet(ends->receiver);
    must(yoke_return(ends->receiver, message));
    assert_true(is_readable(fd));
    recv_number(ends->receiver, YOKE_NOW);
    is_quiet(ends->receiver);
}

static void what_is_given_back_is_told(void **state)
{
    (void)state;
    on_each(give_back);
}

static void what_another_endpoint_gives_back_is_told(void **state)
{
    struct ends ends = open_port_ends();
    const void *message;

    (void)state;
    must(yoke_fd(ends.receiver));
    send_number(ends.sender, 1);
    must(yoke_borrow(ends.sender, &message, YOKE_NOW));
    is_quiet(ends.receiver);
    must(yoke_return(ends.sender, message));
    assert_true(is_readable(yoke_fd(ends.receiver)));
    recv_number(ends.receiver, YOKE_NOW);
    close_ends(&ends);
}

static int role_answers_by_its_descriptor(void *argument)
{
    yoke_endpoint *port = port_join("fd");
    struct baton *batons = argument;

    must(yoke_fd(port));
    is_quiet(port);
    baton_pass(&batons[0]);
    becomes_readable(yoke_fd(port));
    baton_pass(&batons[0]);
    baton_take(&batons[1]);
    yoke_close(port);
    return 0;
}

static void one_message_rings_all_descriptors_of_a_port(void **state)
{
    struct ends ends = open_port_ends();
    yoke_endpoint *more = port_join("fd");
    struct baton batons[2];
    pid_t other;

    (void)state;
    baton_make(&batons[0]);
    baton_make(&batons[1]);
    other = role_start(role_answers_by_its_descriptor, batons);
    baton_take(&batons[0]);
    must(yoke_fd(ends.receiver));
    must(yoke_fd(ends.sender));
    must(yoke_fd(more));
    is_quiet(ends.receiver);
    is_quiet(ends.sender);
    is_quiet(more);
    send_number(ends.sender, 1);
    assert_true(is_readable(yoke_fd(ends.receiver)));
    assert_true(is_readable(yoke_fd(ends.sender)));
    assert_true(is_readable(yoke_fd(more)));
    baton_take(&batons[0]);
    recv_number(more, YOKE_NOW);
    is_quiet(ends.receiver);
    is_quiet(ends.sender);
    baton_pass(&batons[1]);
    assert_int_equal(role_wait(other, SOON_MS), 0);
    baton_drop(&batons[0]);
    baton_drop(&batons[1]);
    yoke_close(more);
    close_ends(&ends);
}

static void cancelled(struct ends *ends)
{
    uint64_t number;

    must(yoke_fd(ends->receiver));
    is_quiet(ends->receiver);
    must(yoke_cancel(ends->receiver));
    for (int i = 0; i < 3; i++) {
        assert_true(is_readable(yoke_fd(ends->receiver)));
        must_fail(yoke_recv(ends->receiver, &number, sizeof number, YOKE_NOW), ECANCELED);
    }
}

static void cancelled_endpoint_stays_readable(void **state)
{
    (void)state;
    on_each(cancelled);
}

/* ---- what it says of the other side's end ---------------------------------------------------- */

static void closed_other_side_stays_readable_until_it_is_back(void **state)
{
    uint64_t number;

    (void)state;
    for (enum kind kind = LINK; kind < KINDS; kind++) {
        struct ends ends = open_ends(kind);

        must(yoke_fd(ends.receiver));
        is_quiet(ends.receiver);
        yoke_close(ends.sender);
        for (int i = 0; i < 3; i++) {
            assert_true(is_readable(yoke_fd(ends.receiver)));
            must_fail(yoke_recv(ends.receiver, &number, sizeof number, YOKE_NOW), EPIPE);
        }
        if (kind == LINK) {
            ends.sender = link_join("alice", "bob");
            is_quiet(ends.receiver);
            send_number(ends.sender, 5);
            assert_true(is_readable(yoke_fd(ends.receiver)));
            recv_number(ends.receiver, YOKE_NOW);
            yoke_close(ends.sender);
        }
        yoke_close(ends.receiver);
    }
}

struct other_side {
    enum kind kind;
    int descriptor;
    struct baton ready;
};

static int role_is_the_other_side(void *argument)
{
    struct other_side *other = argument;
    yoke_endpoint *endpoint;

    if (other->kind == LINK)
        endpoint = link_join("alice", "bob");
    else
        must(yoke_open_descriptor(&endpoint, other->descriptor, NULL));
    send_number(endpoint, 1);
    baton_pass(&other->ready);
    pause();
    return 0;
}

static void dead_other_side_stays_readable(void **state)
{
    uint64_t number;

    (void)state;
    for (enum kind kind = LINK; kind < KINDS; kind++) {
        struct other_side other = {.kind = kind};
        yoke_endpoint *receiver;
        int pair[2] = {-1, -1};
        pid_t pid;

        baton_make(&other.ready);
        if (kind == LINK) {
            receiver = link_make("bob", "alice", NULL);
        } else {
            must(yoke_pair(pair, NULL));
            must(yoke_open_descriptor(&receiver, pair[1], NULL));
            other.descriptor = pair[0];
        }
        must(yoke_fd(receiver));
        pid = role_start(role_is_the_other_side, &other);
        baton_take(&other.ready);
        close(pair[0]);
        close(pair[1]);
        becomes_readable(yoke_fd(receiver));
        recv_number(receiver, YOKE_NOW);
        is_quiet(receiver);
        role_kill(pid);
        must_fail(loop_until_not(receiver, -EAGAIN), EOWNERDEAD);
        for (int i = 0; i < 3; i++) {
            assert_true(is_readable(yoke_fd(receiver)));
            must_fail(yoke_recv(receiver, &number, sizeof number, YOKE_NOW), EOWNERDEAD);
        }
        baton_drop(&other.ready);
        yoke_close(receiver);
        if (kind == LINK) { /* what the dead one left of its name */
            yoke_peer *alice;

            must(yoke_peer_join(&alice, "alice", NULL));
            yoke_peer_leave(alice);
        }
    }
}

static void end_of_a_pair_that_nobody_can_open_any_more_is_told(void **state)
{
    yoke_endpoint *receiver;
    int pair[2];

    (void)state;
    must(yoke_pair(pair, NULL));
    must(yoke_open_descriptor(&receiver, pair[1], NULL));
    close(pair[1]);
    must(yoke_fd(receiver));
    is_quiet(receiver);
    close(pair[0]);
    must_fail(loop_until_not(receiver, -EAGAIN), EOWNERDEAD);
    yoke_close(receiver);
}

/* ---- refusals, and what is left -------------------------------------------------------------- */

static void misuse_is_refused(void **state)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;
    yoke_endpoint *port, *parked;

    (void)state;
    must_fail(yoke_fd(NULL), EINVAL);
    must_fail(yoke_peer_fd(NULL), EINVAL);
    options.max_deliveries = 1;
    port = port_make("fd", &options);
    must(yoke_open(&parked, "port:fd", YOKE_PARKED, NULL));
    must_fail(yoke_fd(parked), ENOTSUP);
    yoke_close(parked);
    yoke_close(port);
}

/* A process keeps the one inotify instance that it has once it needed it. */
static void need_inotify(void)
{
    struct ends ends = open_port_ends();

    must(yoke_fd(ends.receiver));
    close_ends(&ends);
}

static void closing_leaves_nothing(void **state)
{
    (void)state;
    need_inotify();
    for (enum kind kind = PORT; kind < KINDS; kind++) {
        char *before, *after;
        struct ends ends;

        before = world_describe();
        ends = open_ends(kind);
        must(yoke_fd(ends.receiver));
        must(yoke_fd(ends.sender));
        is_quiet(ends.receiver);
        send_number(ends.sender, 1);
        recv_number(ends.receiver, YOKE_NOW);
        close_ends(&ends);
        after = world_describe();
        assert_string_equal(before, after);
        free(before);
        free(after);
    }
}

static int role_asks_and_waits(void *argument)
{
    yoke_endpoint *port = port_join("fd");

    must(yoke_fd(port));
    is_quiet(port);
    baton_pass(argument);
    pause();
    return 0;
}

/* While somebody has rung it, it is open there, and stays: the next user takes it away after that. */
static void what_a_killed_one_had_is_taken_away_by_the_next_user(void **state)
{
    struct ends ends = open_port_ends();
    int64_t end = now_ns() + SOON_MS * MS;
    struct baton ready;
    pid_t pid;

    (void)state;
    baton_make(&ready);
    for (int i = 0; i < 3; i++) {
        pid = role_start(role_asks_and_waits, &ready);
        baton_take(&ready);
        send_number(ends.sender, 1);
        recv_number(ends.receiver, YOKE_NOW);
        role_kill(pid);
    }
    baton_drop(&ready);
    close_ends(&ends);
    while (names_left() > 0 && now_ns() < end) {
        yoke_close(port_make("passing", NULL));
        poll(NULL, 0, 10); /* it is done at most once a second */
    }
    assert_int_equal(names_left(), 0);
}

/* ---- limits ---------------------------------------------------------------------------------- */

static int taken[256];
static int taken_count;

static void limit_descriptors(rlim_t most)
{
    struct rlimit limit;

    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = most;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* Only so many more can be opened. */
static void leave_descriptors(int count)
{
    int highest = -1;

    for (taken_count = 0; taken_count < 256 && highest < 200; taken_count++)
        highest = taken[taken_count] = dup(2);
    assert_true(highest >= 200); /* all below are in use now */
    limit_descriptors((rlim_t)(highest + 1 + count));
}

static void give_descriptors_back(void)
{
    limit_descriptors(512);
    while (taken_count > 0)
        close(taken[--taken_count]);
}

static void run_out_of_descriptors(struct ends *ends)
{
    int result = -EMFILE, count = 0;

    need_inotify();
    for (; result < 0 && count < 20; count++) {
        char *before = world_describe(), *after;

        leave_descriptors(count);
        result = yoke_fd(ends->receiver);
        give_descriptors_back();
        after = world_describe();
        if (result < 0) {
            must_fail(result, EMFILE);
            assert_true(strlen(yoke_explain()) > 10);
            assert_string_equal(before, after);
        }
        free(before);
        free(after);
    }
    assert_in_range(count, 2, 20);
    assert_true(result >= 0);
    is_quiet(ends->receiver);
    send_number(ends->sender, 1);
    becomes_readable(yoke_fd(ends->receiver));
}

static int role_runs_out_on_each_kind(void *argument)
{
    (void)argument;
    for (enum kind kind = PORT; kind < KINDS; kind++) {
        struct ends ends = open_ends(kind);

        run_out_of_descriptors(&ends);
        close_ends(&ends);
    }
    return 0;
}

static void without_descriptors_it_is_refused_and_nothing_changes(void **state)
{
    (void)state;
    assert_int_equal(role_wait(role_start(role_runs_out_on_each_kind, NULL), SOON_MS), 0);
}

static int role_sends_without_descriptors(void *argument)
{
    yoke_endpoint *port = port_join("fd");

    (void)argument;
    leave_descriptors(0);
    send_number(port, 7);
    give_descriptors_back();
    yoke_close(port);
    return 0;
}

static void sender_that_has_no_descriptor_left_is_heard(void **state)
{
    struct ends ends = open_port_ends();

    (void)state;
    must(yoke_fd(ends.receiver));
    for (int i = 0; i < 3; i++) {
        is_quiet(ends.receiver);
        assert_int_equal(role_wait(role_start(role_sends_without_descriptors, NULL), SOON_MS), 0);
        assert_int_equal(loop_until_not(ends.receiver, -EAGAIN), 8);
    }
    close_ends(&ends);
}

static int role_pair_sends_with_no_file_size(void *argument)
{
    struct ends *ends = argument;
    struct rlimit none = {0, 0};

    setrlimit(RLIMIT_FSIZE, &none);
    must(yoke_fd(ends->receiver));
    is_quiet(ends->receiver);
    send_number(ends->sender, 1);
    assert_true(is_readable(yoke_fd(ends->receiver)));
    return 0;
}

static int role_pair_within_limits(void *argument)
{
    struct ends ends = open_pair_ends();

    (void)argument;
    return role_pair_sends_with_no_file_size(&ends);
}

static void sender_that_may_write_no_files_is_heard(void **state)
{
    (void)state;
    assert_int_equal(role_wait(role_start(role_pair_within_limits, NULL), SOON_MS), 0);
}

/* Without /proc its description is the one that it was given, whose writes go to the end of the file. */
static int role_pair_sends_without_proc(void *argument)
{
    yoke_endpoint *sender;

    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        umount2("/proc", MNT_DETACH) != 0)
        return 77;
    must(yoke_open_descriptor(&sender, *(int *)argument, NULL));
    send_number(sender, 1);
    yoke_close(sender);
    return 0;
}

static void sender_without_proc_is_heard(void **state)
{
    yoke_endpoint *receiver;
    int pair[2], result;

    (void)state;
    for (int side = 0; side < 2; side++) {
        must(yoke_pair(pair, NULL));
        must(yoke_open_descriptor(&receiver, pair[side], NULL));
        must(yoke_fd(receiver));
        is_quiet(receiver);
        result = role_wait(role_start(role_pair_sends_without_proc, &pair[1 - side]), SOON_MS);
        if (result == 0)
            assert_int_equal(loop_until_not(receiver, -EAGAIN), 8);
        yoke_close(receiver);
        close(pair[0]);
        close(pair[1]);
        if (result == 77)
            skip_test("/proc can not be taken away: %s", "that takes root");
        assert_int_equal(result, 0);
    }
}

static int role_user_has_a_port(void *argument)
{
    struct baton *batons = argument;
    yoke_endpoint *port;

    become_user(1);
    port = port_make("users", NULL);
    baton_pass(&batons[0]);
    baton_take(&batons[1]);
    send_number(port, 1); /* it may not open root's doorbell */
    baton_pass(&batons[0]);
    baton_take(&batons[1]);
    yoke_close(port);
    return 0;
}

static void sender_with_no_right_to_the_doorbell_is_heard(void **state)
{
    struct baton batons[2];
    yoke_endpoint *port;
    pid_t user;

    (void)state;
    share_directory();
    baton_make(&batons[0]);
    baton_make(&batons[1]);
    user = role_start(role_user_has_a_port, batons);
    baton_take(&batons[0]);
    port = port_join("users");
    must(yoke_fd(port));
    is_quiet(port);
    baton_pass(&batons[1]);
    baton_take(&batons[0]);
    assert_int_equal(loop_until_not(port, -EAGAIN), 8);
    yoke_close(port);
    baton_pass(&batons[1]);
    assert_int_equal(role_wait(user, SOON_MS), 0);
    baton_drop(&batons[0]);
    baton_drop(&batons[1]);
}

/* From now on this process has no inotify, as when its user has used up all instances. */
static void lose_inotify(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_inotify_init1, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EMFILE),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof filter / sizeof *filter, .filter = filter};

    assert_int_equal(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        fail_msg("no seccomp filter: %s", strerror(errno));
}

static int role_holds_a_message(void *argument)
{
    yoke_endpoint *port = port_join("fd");
    const void *message;

    must(yoke_borrow(port, &message, LONG_WAIT));
    baton_pass(argument);
    pause();
    return 0;
}

static int role_has_no_inotify(void *argument)
{
    struct ends ends = open_port_ends(), pair;
    struct baton ready;
    pid_t holder;

    (void)argument;
    lose_inotify();
    baton_make(&ready);
    must(yoke_fd(ends.receiver));
    send_number(ends.sender, 1);
    holder = role_start(role_holds_a_message, &ready);
    baton_take(&ready);
    must_fail(yoke_recv(ends.receiver, NULL, 0, YOKE_NOW), EAGAIN);
    role_kill(holder);
    assert_int_equal(loop_until_not(ends.receiver, -EAGAIN), 8);
    send_number(ends.sender, 2);
    assert_int_equal(loop_until_not(ends.receiver, -EAGAIN), 8);
    close_ends(&ends);

    pair = open_pair_ends();
    must(yoke_fd(pair.receiver));
    for (uint64_t i = 0; i < 3; i++) {
        must_fail(yoke_recv(pair.receiver, NULL, 0, YOKE_NOW), EAGAIN);
        send_number(pair.sender, i);
        assert_int_equal(loop_until_not(pair.receiver, -EAGAIN), 8);
    }
    close_ends(&pair);
    baton_drop(&ready);
    return 0;
}

static void without_inotify_it_looks_by_itself(void **state)
{
    (void)state;
    assert_int_equal(role_wait(role_start(role_has_no_inotify, NULL), SOON_MS), 0);
}

/* ---- threads and forked children ------------------------------------------------------------- */

#define THREADS  3
#define MESSAGES 3000

struct crowd {
    yoke_endpoint *receiver;
    atomic_int received, failed;
    int fds[THREADS];
    atomic_int next;
};

/* Each is an event loop of its own on the one descriptor. */
static int64_t receive_in_crowd(void *context)
{
    struct crowd *crowd = context;
    int fd = yoke_fd(crowd->receiver);
    uint64_t number;

    crowd->fds[atomic_fetch_add(&crowd->next, 1)] = fd;
    while (atomic_load(&crowd->received) < MESSAGES) {
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

        /* the last message leaves the others with nothing to come */
        if (poll(&poll_fd, 1, SOON_MS / 4) == 0 && atomic_load(&crowd->received) < MESSAGES) {
            atomic_store(&crowd->failed, 1);
            return -ETIMEDOUT;
        }
        while (yoke_recv(crowd->receiver, &number, sizeof number, YOKE_NOW) == sizeof number) {
            if (atomic_fetch_add(&crowd->received, 1) + 1 == MESSAGES)
                yoke_cancel(crowd->receiver);
        }
    }
    return 0;
}

static void threads_share_a_descriptor(void **state)
{
    struct ends ends = open_port_ends();
    struct crowd crowd = {.receiver = ends.receiver};
    struct worker workers[THREADS];

    (void)state;
    for (int i = 0; i < THREADS; i++)
        worker_start(&workers[i], receive_in_crowd, &crowd);
    for (uint64_t i = 0; i < MESSAGES; i++) {
        send_number(ends.sender, i);
        if (i % 3 == 0)
            sched_yield();
    }
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(worker_join(&workers[i]), 0);
    assert_int_equal(atomic_load(&crowd.failed), 0);
    for (int i = 1; i < THREADS; i++)
        assert_int_equal(crowd.fds[i], crowd.fds[0]);
    close_ends(&ends);
}

struct inheritance {
    struct ends ends;
    struct baton to_child, to_parent;
};

static int role_child_asks(void *argument)
{
    struct inheritance *inheritance = argument;

    must(yoke_fd(inheritance->ends.receiver));
    is_quiet(inheritance->ends.receiver);
    baton_pass(&inheritance->to_parent);
    baton_take(&inheritance->to_child);
    assert_true(is_readable(yoke_fd(inheritance->ends.receiver)));
    baton_pass(&inheritance->to_parent);
    baton_take(&inheritance->to_child);
    close_ends(&inheritance->ends);
    return 0;
}

static void forked_child_has_a_descriptor_of_its_own(void **state)
{
    struct inheritance inheritance = {.ends = open_port_ends()};
    yoke_endpoint *receiver = inheritance.ends.receiver;
    pid_t child;

    (void)state;
    baton_make(&inheritance.to_child);
    baton_make(&inheritance.to_parent);
    must(yoke_fd(receiver));
    is_quiet(receiver);
    child = role_start(role_child_asks, &inheritance);
    baton_take(&inheritance.to_parent);
    is_quiet(receiver); /* the child's asking has changed nothing here */
    send_number(inheritance.ends.sender, 1);
    assert_true(is_readable(yoke_fd(receiver)));
    baton_pass(&inheritance.to_child);
    baton_take(&inheritance.to_parent);
    recv_number(receiver, YOKE_NOW);
    is_quiet(receiver);
    baton_pass(&inheritance.to_child);
    assert_int_equal(role_wait(child, SOON_MS), 0);
    is_quiet(receiver); /* nor has its closing */
    send_number(inheritance.ends.sender, 2);
    assert_true(is_readable(yoke_fd(receiver)));
    recv_number(receiver, YOKE_NOW);
    baton_drop(&inheritance.to_child);
    baton_drop(&inheritance.to_parent);
    close_ends(&inheritance.ends);
}

static int role_child_closes_what_it_never_used(void *argument)
{
    close_ends(&((struct inheritance *)argument)->ends);
    return 0;
}

static void child_that_closes_what_it_never_used_changes_nothing(void **state)
{
    (void)state;
    for (enum kind kind = PORT; kind < KINDS; kind++) {
        struct inheritance inheritance = {.ends = open_ends(kind)};
        struct ends *ends = &inheritance.ends;

        must(yoke_fd(ends->receiver));
        is_quiet(ends->receiver);
        assert_int_equal(
            role_wait(role_start(role_child_closes_what_it_never_used, &inheritance), SOON_MS), 0);
        is_quiet(ends->receiver);
        send_number(ends->sender, 1);
        assert_true(is_readable(yoke_fd(ends->receiver)));
        recv_number(ends->receiver, YOKE_NOW);
        close_ends(ends);
    }
}

static void removed_port_is_told_of_as_before(void **state)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;
    struct ends ends;
    struct baton ready;
    pid_t holder;

    (void)state;
    must(yoke_open(&ends.receiver, "port:fd", YOKE_CREATE | YOKE_KEPT, &options));
    ends.sender = port_join("fd");
    baton_make(&ready);
    send_number(ends.sender, 1);
    holder = role_start(role_holds_a_message, &ready);
    baton_take(&ready);
    must(yoke_remove("port:fd"));
    must(yoke_fd(ends.receiver));
    is_quiet(ends.receiver);
    role_kill(holder);
    assert_int_equal(loop_until_not(ends.receiver, -EAGAIN), 8);
    baton_drop(&ready);
    close_ends(&ends);
}

/* ---- peers ----------------------------------------------------------------------------------- */

static yoke_peer *join(const char *name)
{
    yoke_peer *peer;

    must(yoke_peer_join(&peer, name, NULL));
    return peer;
}

/* As an event loop does. */
static yoke_endpoint *next_by_descriptor(yoke_peer *peer, int what)
{
    yoke_endpoint *link;
    int result;

    do {
        becomes_readable(yoke_peer_fd(peer));
        result = yoke_peer_next(peer, &link, YOKE_NOW);
    } while (result == -EAGAIN);
    assert_int_equal(result, what);
    return link;
}

static void peer_is_told_of_newcomers_messages_and_ends(void **state)
{
    yoke_peer *bob = join("bob");
    yoke_endpoint *alices, *bobs, *link;
    int fd = (int)must(yoke_peer_fd(bob));

    (void)state;
    peer_is_quiet(bob);
    alices = link_make("alice", "bob", NULL);
    bobs = next_by_descriptor(bob, YOKE_NEXT_OPENED);
    peer_is_quiet(bob);
    for (uint64_t i = 0; i < 8; i++) {
        send_in_some_way(alices, i);
        send_in_some_way(alices, i);
        for (int k = 0; k < 2; k++) {
            assert_true(is_readable(fd));
            assert_int_equal(yoke_peer_next(bob, &link, YOKE_NOW), YOKE_NEXT_READY);
            assert_ptr_equal(link, bobs);
            assert_int_equal(recv_number(link, YOKE_NOW), i);
        }
        peer_is_quiet(bob);
    }
    assert_int_equal(yoke_peer_fd(bob), fd);
    yoke_close(alices);
    for (int i = 0; i < 3; i++) {
        assert_true(is_readable(fd));
        assert_int_equal(yoke_peer_next(bob, &link, YOKE_NOW), YOKE_NEXT_READY);
    }
    yoke_close(bobs);
    peer_is_quiet(bob);
    yoke_peer_leave(bob);
}

static void peer_is_told_of_what_waited_in_a_link_before_it_was_opened(void **state)
{
    yoke_peer *bob = join("bob");
    yoke_endpoint *alices, *bobs;

    (void)state;
    must(yoke_peer_fd(bob));
    must(link_try(&alices, "alice", "bob", YOKE_CREATE | YOKE_KEPT, NULL));
    yoke_close(next_by_descriptor(bob, YOKE_NEXT_OPENED)); /* and left: not offered again */
    send_number(alices, 1);
    peer_is_quiet(bob);
    bobs = link_join("bob", "alice");
    assert_true(is_readable(yoke_peer_fd(bob)));
    assert_ptr_equal(next_by_descriptor(bob, YOKE_NEXT_READY), bobs);
    recv_number(bobs, YOKE_NOW);
    yoke_close(bobs);
    yoke_close(alices);
    must(yoke_remove("link:alice/bob"));
    yoke_peer_leave(bob);
}

static void peer_is_told_of_what_is_given_back(void **state)
{
    yoke_peer *bob = join("bob");
    yoke_endpoint *alices = link_make("alice", "bob", NULL), *bobs = link_join("bob", "alice");
    const void *message;

    (void)state;
    must(yoke_peer_fd(bob));
    send_number(alices, 1);
    must(yoke_borrow(bobs, &message, YOKE_NOW));
    peer_is_quiet(bob);
    must(yoke_return(bobs, message));
    assert_true(is_readable(yoke_peer_fd(bob)));
    assert_ptr_equal(next_by_descriptor(bob, YOKE_NEXT_READY), bobs);
    recv_number(bobs, YOKE_NOW);
    yoke_close(bobs);
    yoke_close(alices);
    yoke_peer_leave(bob);
}

static void peer_is_told_when_another_comes_back_to_a_link_that_it_left(void **state)
{
    yoke_peer *bob = join("bob");
    yoke_endpoint *alices, *bobs;
    yoke_peer *alice = join("alice"); /* so that her coming back makes no name */

    (void)state;
    must(yoke_peer_fd(bob));
    must(link_try(&alices, "alice", "bob", YOKE_CREATE | YOKE_KEPT, NULL));
    bobs = next_by_descriptor(bob, YOKE_NEXT_OPENED);
    yoke_close(bobs);
    yoke_close(alices);
    peer_is_quiet(bob);
    alices = link_join("alice", "bob");
    bobs = next_by_descriptor(bob, YOKE_NEXT_OPENED);
    yoke_close(bobs);
    yoke_close(alices);
    must(yoke_remove("link:alice/bob"));
    yoke_peer_leave(alice);
    yoke_peer_leave(bob);
}

static void peer_leaves_nothing(void **state)
{
    yoke_endpoint *alices, *bobs;
    char *before, *after;
    yoke_peer *bob;

    (void)state;
    need_inotify();
    before = world_describe();
    bob = join("bob");
    alices = link_make("alice", "bob", NULL);
    must(yoke_peer_fd(bob));
    bobs = next_by_descriptor(bob, YOKE_NEXT_OPENED);
    must(yoke_fd(bobs)); /* both at once */
    is_quiet(bobs);
    peer_is_quiet(bob);
    send_number(alices, 1);
    assert_true(is_readable(yoke_fd(bobs)));
    assert_true(is_readable(yoke_peer_fd(bob)));
    yoke_close(bobs);
    yoke_close(alices);
    yoke_peer_leave(bob);
    after = world_describe();
    assert_string_equal(before, after);
    free(before);
    free(after);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        api_test(descriptor_is_readable_when_a_message_came_and_not_after_eagain),
        api_test(descriptor_stays_readable_as_long_as_there_is_something),
        api_test(blocking_calls_and_time_outs_beside_it_lose_nothing),
        api_test(what_is_given_back_is_told),
        api_test(what_another_endpoint_gives_back_is_told),
        api_test(one_message_rings_all_descriptors_of_a_port),
        api_test(cancelled_endpoint_stays_readable),
        api_test(closed_other_side_stays_readable_until_it_is_back),
        api_test(dead_other_side_stays_readable),
        api_test(end_of_a_pair_that_nobody_can_open_any_more_is_told),
        api_test(misuse_is_refused),
        api_test(closing_leaves_nothing),
        api_test(what_a_killed_one_had_is_taken_away_by_the_next_user),
        api_test(without_descriptors_it_is_refused_and_nothing_changes),
        api_test(sender_that_has_no_descriptor_left_is_heard),
        api_test(sender_that_may_write_no_files_is_heard),
        api_test(sender_without_proc_is_heard),
        api_test(sender_with_no_right_to_the_doorbell_is_heard),
        api_test(without_inotify_it_looks_by_itself),
        api_test(threads_share_a_descriptor),
        api_test(forked_child_has_a_descriptor_of_its_own),
        api_test(child_that_closes_what_it_never_used_changes_nothing),
        api_test(removed_port_is_told_of_as_before),
        api_test(peer_is_told_of_newcomers_messages_and_ends),
        api_test(peer_is_told_of_what_waited_in_a_link_before_it_was_opened),
        api_test(peer_is_told_of_what_is_given_back),
        api_test(peer_is_told_when_another_comes_back_to_a_link_that_it_left),
        api_test(peer_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, api_setup, NULL);
}
