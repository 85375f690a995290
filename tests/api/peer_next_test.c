/*
 * peer_next_test.c - yoke_peer_next(): one wait over all links of a peer, and over newcomers.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api.h"

#define UNTOUCHED ((yoke_endpoint *)(uintptr_t)0x10)

static yoke_peer *join(const char *name)
{
    yoke_peer *peer;

    must(yoke_peer_join(&peer, name, NULL));
    return peer;
}

/* Clears what one who died left of its name. */
static void clear(const char *name)
{
    yoke_peer_leave(join(name));
}

static yoke_endpoint *next_is(yoke_peer *peer, int what)
{
    yoke_endpoint *link;

    assert_int_equal(must(yoke_peer_next(peer, &link, SOON_MS * MS)), what);
    return link;
}

static void misuse_is_refused_and_nothing_there_times_out(void **state)
{
    yoke_peer *bob = join("bob");
    yoke_endpoint *link = UNTOUCHED;

    (void)state;
    must_fail(yoke_peer_next(NULL, &link, YOKE_NOW), EINVAL);
    must_fail(yoke_peer_next(bob, NULL, YOKE_NOW), EINVAL);
    must_fail(yoke_peer_next(bob, &link, -2), EINVAL);
    must_fail(yoke_peer_next(bob, &link, YOKE_NOW), EAGAIN);
    must_fail(yoke_peer_next(bob, &link, 30 * MS), ETIMEDOUT);
    assert_ptr_equal(link, UNTOUCHED);
    yoke_peer_leave(bob);
}

static void newcomers_messages_and_ends_come_one_after_the_other(void **state)
{
    yoke_peer *bob = join("bob");
    yoke_endpoint *alices = link_make("alice", "bob", NULL), *carols, *bobs;
    char text[8];

    (void)state;
    bobs = next_is(bob, YOKE_NEXT_OPENED);
    assert_string_equal(yoke_link_other(bobs), "alice");
    must_fail(yoke_peer_next(bob, &carols, YOKE_NOW), EAGAIN);
    must(yoke_send(alices, "hi", 3, YOKE_NOW));
    assert_ptr_equal(next_is(bob, YOKE_NEXT_READY), bobs);
    assert_int_equal(yoke_recv(bobs, text, sizeof text, YOKE_NOW), 3);
    yoke_close(alices);
    assert_ptr_equal(next_is(bob, YOKE_NEXT_READY), bobs);
    must_fail(yoke_recv(bobs, text, sizeof text, YOKE_NOW), EPIPE);
    yoke_close(bobs);
    must_fail(yoke_peer_next(bob, &bobs, YOKE_NOW), EAGAIN);
    yoke_peer_leave(bob);
}

static void nothing_is_next(yoke_peer *peer)
{
    yoke_endpoint *link;

    must_fail(yoke_peer_next(peer, &link, YOKE_NOW), EAGAIN);
}

/* A server that was told of a client's end, and a client that is started again before the server has closed the link. */
static void alice_comes_back(yoke_peer *bob, yoke_endpoint **ret_alices, yoke_endpoint **ret_bobs)
{
    char text[8];

    *ret_alices = link_make("alice", "bob", NULL);
    *ret_bobs = next_is(bob, YOKE_NEXT_OPENED);
    yoke_close(*ret_alices);
    assert_ptr_equal(next_is(bob, YOKE_NEXT_READY), *ret_bobs);
    must_fail(yoke_recv(*ret_bobs, text, sizeof text, YOKE_NOW), EPIPE);
    *ret_alices = link_join("alice", "bob");
    send_number(*ret_alices, 7);
}

static void bob_leaves_alice(yoke_peer *bob, yoke_endpoint *alices, yoke_endpoint *bobs)
{
    char text[8];

    yoke_close(bobs);
    must_fail(yoke_recv(alices, text, sizeof text, SOON_MS * MS), EPIPE);
    nothing_is_next(bob);
    yoke_close(alices);
}

static void who_comes_back_before_the_link_is_closed_is_somebody_new(void **state)
{
    yoke_peer *bob = join("bob");
    yoke_endpoint *alices, *bobs;

    (void)state;
    alice_comes_back(bob, &alices, &bobs);
    yoke_close(bobs);
    bobs = next_is(bob, YOKE_NEXT_OPENED);
    assert_ptr_equal(next_is(bob, YOKE_NEXT_READY), bobs);
    assert_int_equal(recv_number(bobs, YOKE_NOW), 7);
    send_number(bobs, 8);
    assert_int_equal(recv_number(alices, YOKE_NOW), 8);
    bob_leaves_alice(bob, alices, bobs); /* this one is known */
    yoke_peer_leave(bob);
}

/* Of whom something was received is known, too. */
static void who_was_received_from_is_left_by_who_closes(void **state)
{
    yoke_peer *bob = join("bob");
    yoke_endpoint *alices, *bobs;

    (void)state;
    alice_comes_back(bob, &alices, &bobs);
    assert_int_equal(recv_number(bobs, YOKE_NOW), 7);
    bob_leaves_alice(bob, alices, bobs);
    alices = link_make("alice", "bob", NULL);
    bobs = next_is(bob, YOKE_NEXT_OPENED);
    yoke_close(alices);
    yoke_close(bobs);
    yoke_peer_leave(bob);
}

static void links_take_turns(void **state)
{
    yoke_peer *bob = join("bob");
    yoke_endpoint *theirs[3], *ours[3];
    const char *const names[] = {"alice", "carol", "dave"};
    unsigned turns[3] = {0};
    char text[8];

    (void)state;
    for (int i = 0; i < 3; i++) {
        theirs[i] = link_make(names[i], "bob", NULL);
        ours[i] = next_is(bob, YOKE_NEXT_OPENED);
    }
    for (int k = 0; k < 30; k++)
        must(yoke_send(theirs[k % 3], "x", 1, YOKE_NOW));
    for (int k = 0; k < 15; k++) {
        yoke_endpoint *link = next_is(bob, YOKE_NEXT_READY);
        for (int i = 0; i < 3; i++)
            turns[i] += link == ours[i];
        must(yoke_recv(link, text, sizeof text, YOKE_NOW));
    }
    for (int i = 0; i < 3; i++) {
        assert_int_equal(turns[i], 5);
        yoke_close(theirs[i]);
        yoke_close(ours[i]);
    }
    yoke_peer_leave(bob);
}

static int role_serves_until_it_is_killed(void *argument)
{
    yoke_peer *bob = join("bob");
    yoke_endpoint *link;
    char text[8];

    (void)argument;
    for (;;) {
        if (must(yoke_peer_next(bob, &link, YOKE_FOREVER)) == YOKE_NEXT_READY)
            must(yoke_recv(link, text, sizeof text, YOKE_NOW));
    }
    return 0;
}

static void message_to_one_who_died_while_it_waited_for_all_raises_no_signal(void **state)
{
    pid_t server = role_start(role_serves_until_it_is_killed, NULL);
    yoke_endpoint *link = link_make("alice", "bob", NULL);

    (void)state;
    signal(SIGPIPE, SIG_DFL);
    for (int i = 0; i < 3; i++) { /* it sleeps, and is rung */
        role_wait_asleep(server, SOON_MS);
        must(yoke_send(link, "x", 1, YOKE_NOW));
    }
    role_wait_asleep(server, SOON_MS);
    role_kill(server);
    must(yoke_send(link, "x", 1, YOKE_NOW));
    must(yoke_send(link, "x", 1, YOKE_NOW));
    yoke_close(link);
    clear("bob");
    names_await_none();
}

static void link_that_can_not_be_opened_holds_up_nobody(void **state)
{
    yoke_peer *bob = join("bob");
    yoke_endpoint *broken = link_make("alice", "bob", NULL), *sound, *link;
    char command[300];

    (void)state;
    snprintf(command, sizeof command, "rm -f '%s'/.live-*", getenv("YOKE_DIR"));
    assert_int_equal(system(command), 0); /* the peers' and the link's lock files */
    sound = link_make("carol", "bob", NULL);
    link = next_is(bob, YOKE_NEXT_OPENED);
    assert_string_equal(yoke_link_other(link), "carol");
    must_fail(yoke_peer_next(bob, &broken, 30 * MS), ETIMEDOUT);
    yoke_close(link);
    yoke_close(sound);
    yoke_close(broken);
    yoke_peer_leave(bob);
}

static int role_floods(void *argument)
{
    yoke_endpoint *link = link_make("alice", "bob", NULL);

    (void)argument;
    while (yoke_send(link, "x", 1, YOKE_FOREVER) == 0)
        ;
    yoke_close(link);
    return 0;
}

static void link_that_is_never_empty_hides_no_newcomer_and_no_death(void **state)
{
    yoke_peer *bob = join("bob");
    pid_t flood = role_start(role_floods, NULL);
    yoke_endpoint *floods = next_is(bob, YOKE_NEXT_OPENED), *link = floods, *carols;
    int64_t end = now_ns() + SOON_MS * MS;
    char text[8];

    (void)state;
    carols = link_make("carol", "bob", NULL);
    while (link == floods) {
        assert_true(now_ns() < end);
        must(yoke_peer_next(bob, &link, YOKE_NOW));
        if (link == floods) /* as many as there are: it is full again at once */
            must(yoke_recv(link, text, sizeof text, SOON_MS * MS));
    }
    assert_string_equal(yoke_link_other(link), "carol");
    yoke_close(link);
    yoke_close(carols);
    role_kill(flood);
    yoke_close(floods);
    clear("alice");
    yoke_peer_leave(bob);
}

struct starving {
    struct baton ready, ask;
    int fillers[4096], count;
};

/* Until there is no more, not even one. */
static void take_all_descriptors(struct starving *starving)
{
    struct rlimit limit = {4096, 4096};

    setrlimit(RLIMIT_NOFILE, &limit);
    while ((starving->fillers[starving->count] = dup(STDERR_FILENO)) >= 0)
        starving->count++;
    assert_int_equal(errno, EMFILE);
}

static int64_t give_them_back_when_asked(void *argument)
{
    struct starving *starving = argument;

    baton_take(&starving->ask);
    for (int i = 0; i < starving->count; i++)
        close(starving->fillers[i]);
    return 0;
}

static int role_waits_without_descriptors(void *argument)
{
    struct starving *starving = argument;
    yoke_peer *bob = join("bob");
    yoke_endpoint *alices = next_is(bob, YOKE_NEXT_OPENED), *link = UNTOUCHED;
    struct worker worker;
    char text[8];

    must(yoke_recv(alices, text, sizeof text, SOON_MS * MS));
    worker_start(&worker, give_them_back_when_asked, starving);
    take_all_descriptors(starving);
    must_fail(yoke_peer_next(bob, &link, 120 * MS), ETIMEDOUT);
    must_fail(yoke_peer_next(bob, &link, YOKE_NOW), EMFILE);
    assert_ptr_equal(link, UNTOUCHED);
    baton_pass(&starving->ready);
    assert_int_equal(must(yoke_peer_next(bob, &link, LONG_WAIT)), YOKE_NEXT_READY);
    assert_ptr_equal(link, alices);
    must(yoke_recv(alices, text, sizeof text, YOKE_NOW));
    baton_pass(&starving->ready);
    assert_int_equal(must(yoke_peer_next(bob, &link, LONG_WAIT)), YOKE_NEXT_OPENED);
    assert_string_equal(yoke_link_other(link), "carol");
    must(worker_join(&worker));
    yoke_close(link);
    yoke_close(alices);
    yoke_peer_leave(bob);
    return 0;
}

static void without_descriptors_messages_come_and_newcomers_as_soon_as_there_are_some(void **state)
{
    struct starving *starving = shared_new(sizeof *starving);
    yoke_endpoint *alices, *carols;
    pid_t server;

    (void)state;
    baton_make(&starving->ready);
    baton_make(&starving->ask);
    alices = link_make("alice", "bob", NULL);
    must(yoke_send(alices, "x", 1, YOKE_NOW));
    server = role_start(role_waits_without_descriptors, starving);
    baton_take(&starving->ready);
    role_wait_asleep(server, SOON_MS);
    must(yoke_send(alices, "x", 1, YOKE_NOW));
    baton_take(&starving->ready);
    carols = link_make("carol", "bob", NULL);
    role_wait_asleep(server, SOON_MS);
    baton_pass(&starving->ask);
    assert_int_equal(role_wait(server, SOON_MS), 0);
    yoke_close(carols);
    yoke_close(alices);
    baton_drop(&starving->ready);
    baton_drop(&starving->ask);
    shared_drop(starving, sizeof *starving);
}

/* What came to the descriptor is looked at, and nothing was there: how long that took to come again. */
static int64_t idle_once(yoke_peer *peer, int fd)
{
    struct pollfd waiting = {.fd = fd, .events = POLLIN};
    yoke_endpoint *link;

    must_fail(yoke_peer_next(peer, &link, YOKE_NOW), EAGAIN);
    int64_t begun = now_ns();
    assert_true(poll(&waiting, 1, (int)SOON_MS) >= 0);
    return now_ns() - begun;
}

/*
 * Nobody need look often for somebody to come back to a link that this peer has left: who comes rings.
 * (Each wait is twice as long as the one before, so a long one comes soon; there was a time when none did.)
 */
static void link_that_was_left_costs_nothing_until_it_is_opened_again(void **state)
{
    yoke_peer *bob = join("bob"), *alice = join("alice"); /* her coming would be seen, too */
    yoke_endpoint *alices, *bobs;
    int64_t gap = 0;

    (void)state;
    must(link_try(&alices, "alice", "bob", YOKE_CREATE | YOKE_KEPT, NULL));
    bobs = next_is(bob, YOKE_NEXT_OPENED);
    yoke_close(bobs);
    yoke_close(alices);
    int fd = (int)must(yoke_peer_fd(bob));
    for (int looks = 0; gap < 700 * MS && looks < 40; looks++)
        gap = idle_once(bob, fd);
    assert_true(gap >= 700 * MS);
    must_fail(yoke_peer_next(bob, &bobs, YOKE_NOW), EAGAIN);
    must(link_try(&alices, "alice", "bob", 0, NULL));
    assert_int_equal(poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 0), 1);
    bobs = next_is(bob, YOKE_NEXT_OPENED);
    yoke_close(bobs);
    yoke_close(alices);
    must(yoke_remove("link:alice/bob"));
    yoke_peer_leave(alice);
    yoke_peer_leave(bob);
}

/* ---- a doorbell that somebody else has hung there ---- */

struct foul {
    struct baton here, hung, done;
    bool fifo, root;
};

/* The name of the doorbell is known to everybody: that of the peer's object. */
static void bell_path(char path[300])
{
    DIR *directory = opendir(getenv("YOKE_DIR"));
    const struct dirent *entry;

    assert_non_null(directory);
    path[0] = '\0';
    while ((entry = readdir(directory)))
        if (strncmp(entry->d_name, ".live-", 6) == 0)
            snprintf(path, 300, "%s/.bell-%.16s", getenv("YOKE_DIR"), entry->d_name + 6);
    closedir(directory);
    assert_true(path[0]);
}

static int role_hangs_another_doorbell(void *argument)
{
    const struct foul *foul = argument;
    char path[300];

    become_user(2);
    umask(0);
    baton_take(&foul->here);
    bell_path(path);
    if (foul->fifo)
        assert_int_equal(mkfifo(path, 0666), 0);
    int fd = open(path, foul->fifo ? O_RDWR | O_NONBLOCK : O_RDWR | O_CREAT | O_EXCL, 0666);
    assert_true(fd >= 0);
    baton_pass(&foul->hung);
    baton_take(&foul->done);
    char byte;
    assert_true(read(fd, &byte, 1) <= 0); /* nothing was written to it */
    unlink(path);
    return 0;
}

static int role_waits_with_another_ones_doorbell(void *argument)
{
    const struct foul *foul = argument;
    yoke_endpoint *link, *alices;

    if (!foul->root)
        become_user(1);
    yoke_peer *bob = join("bob");
    baton_pass(&foul->here);
    baton_take(&foul->hung);
    must(yoke_peer_fd(bob));
    must_fail(yoke_peer_next(bob, &link, 250 * MS), ETIMEDOUT);
    must_fail(yoke_peer_next(bob, &link, YOKE_NOW), EAGAIN);
    alices = link_make("alice", "bob", NULL);
    link = next_is(bob, YOKE_NEXT_OPENED);
    yoke_close(link);
    yoke_close(alices);
    baton_pass(&foul->done);
    yoke_peer_leave(bob);
    return 0;
}

static void another_users_doorbell_is_not_waited_on(void **state)
{
    (void)state;
    share_directory();
    for (int i = 0; i < 4; i++) {
        struct foul foul = {.fifo = i % 2, .root = i / 2};

        baton_make(&foul.here);
        baton_make(&foul.hung);
        baton_make(&foul.done);
        pid_t hangs = role_start(role_hangs_another_doorbell, &foul);
        assert_int_equal(
            role_wait(role_start(role_waits_with_another_ones_doorbell, &foul), SOON_MS), 0);
        assert_int_equal(role_wait(hangs, SOON_MS), 0);
        baton_drop(&foul.here);
        baton_drop(&foul.hung);
        baton_drop(&foul.done);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        api_test(misuse_is_refused_and_nothing_there_times_out),
        api_test(newcomers_messages_and_ends_come_one_after_the_other),
        api_test(who_comes_back_before_the_link_is_closed_is_somebody_new),
        api_test(who_was_received_from_is_left_by_who_closes),
        api_test(links_take_turns),
        api_test(message_to_one_who_died_while_it_waited_for_all_raises_no_signal),
        api_test(link_that_can_not_be_opened_holds_up_nobody),
        api_test(without_descriptors_messages_come_and_newcomers_as_soon_as_there_are_some),
        api_test(link_that_is_never_empty_hides_no_newcomer_and_no_death),
        api_test(link_that_was_left_costs_nothing_until_it_is_opened_again),
        api_test(another_users_doorbell_is_not_waited_on),
    };

    return cmocka_run_group_tests(tests, api_setup, NULL);
}
