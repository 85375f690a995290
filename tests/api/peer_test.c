/* Peers: who has a name and until when, waiting for others to come and go, the list, and accepting links. */
#include "api.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

static yoke_peer *join(const char *name)
{
    yoke_peer *peer = NULL;

    must(yoke_peer_join(&peer, name, NULL));
    return peer;
}

/* Clears what one who died left of its name. */
static void clear(const char *name)
{
    yoke_peer_leave(join(name));
}

static void assert_here(const char *name)
{
    must(yoke_peer_wait(name, YOKE_PEER_HERE, YOKE_NOW));
    must_fail(yoke_peer_wait(name, YOKE_PEER_GONE, YOKE_NOW), EAGAIN);
}

static void assert_gone(const char *name)
{
    must(yoke_peer_wait(name, YOKE_PEER_GONE, YOKE_NOW));
    must_fail(yoke_peer_wait(name, YOKE_PEER_HERE, YOKE_NOW), EAGAIN);
}

/* ---- a peer in another process ---------------------------------------------------------------- */

struct host {
    const char *name;
    struct baton ready, end;
};

static int role_is_there(void *argument)
{
    struct host *host = argument;
    yoke_peer *peer = join(host->name);

    baton_pass(&host->ready);
    baton_take(&host->end);
    yoke_peer_leave(peer);
    return 0;
}

static void host_make(struct host *host, const char *name)
{
    host->name = name;
    baton_make(&host->ready);
    baton_make(&host->end);
}

static void host_drop(struct host *host)
{
    baton_drop(&host->ready);
    baton_drop(&host->end);
}

static pid_t host_start(struct host *host)
{
    pid_t pid = role_start(role_is_there, host);

    baton_take(&host->ready);
    return pid;
}

static void host_end(struct host *host, pid_t pid)
{
    baton_pass(&host->end);
    assert_int_equal(role_wait(pid, SOON_MS), 0);
}

/* ---- whose the name is ------------------------------------------------------------------------ */

static void name_belongs_to_the_process_until_it_left_as_often_as_it_joined(void **state)
{
    yoke_peer *one, *two;

    (void)state;
    assert_gone("alice");
    one = join("alice");
    assert_here("alice");
    two = join("alice");
    yoke_peer_leave(one);
    assert_here("alice");
    yoke_peer_leave(two);
    assert_gone("alice");
    must(yoke_peer_leave(NULL));
    assert_int_equal(names_left(), 0);
}

static void name_stays_until_the_last_link_under_it_is_closed(void **state)
{
    yoke_endpoint *first = link_make("alice", "bob", NULL);
    yoke_endpoint *second = link_make("alice", "carol", NULL);
    yoke_peer *peer = join("alice");

    (void)state;
    yoke_close(first);
    assert_here("alice");
    yoke_peer_leave(peer);
    assert_here("alice");
    assert_gone("carol"); /* nobody came */
    yoke_close(second);
    assert_gone("alice");
}

static int role_is_refused(void *argument)
{
    yoke_peer *peer = NULL;
    char pid[32];

    (void)argument;
    snprintf(pid, sizeof pid, "process %d", getppid());
    must_fail(yoke_peer_join(&peer, "alice", NULL), EADDRINUSE);
    assert_non_null(strstr(yoke_explain(), "peer:alice"));
    assert_non_null(strstr(yoke_explain(), pid));
    assert_null(peer);
    peer = join("alice2");
    yoke_peer_leave(peer);
    return 0;
}

static void name_of_a_living_process_is_refused_with_its_pid(void **state)
{
    yoke_peer *peer = join("alice");

    (void)state;
    assert_int_equal(role_wait(role_start(role_is_refused, NULL), SOON_MS), 0);
    assert_here("alice");
    yoke_peer_leave(peer);
}

static void name_is_free_at_once_after_leaving_and_after_kill(void **state)
{
    struct host host;

    (void)state;
    host_make(&host, "mortal");
    for (int i = 0; i < 20; i++) {
        pid_t pid = host_start(&host);
        yoke_peer *peer = NULL;

        assert_here("mortal");
        must_fail(yoke_peer_join(&peer, "mortal", NULL), EADDRINUSE);
        if (i % 2)
            role_kill(pid);
        else
            host_end(&host, pid);
        peer = join("mortal");
        assert_here("mortal");
        yoke_peer_leave(peer);
        assert_gone("mortal");
    }
    host_drop(&host);
}

static void misuse_is_refused(void **state)
{
    static const char *const bad[] = {"", "a/b", "a b", ".a", "\x7f", "@memory"};
    struct yoke_options options = YOKE_OPTIONS_INIT;
    char name[YOKE_PEER_NAME_MAX + 2];
    yoke_endpoint *link = NULL;
    yoke_peer *peer = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        must_fail(yoke_peer_join(&peer, bad[i], NULL), EINVAL);
        must_fail(yoke_peer_wait(bad[i], YOKE_PEER_HERE, YOKE_NOW), EINVAL);
    }
    must_fail(yoke_peer_join(&peer, "a@b", NULL), ENOTSUP); /* a place that there is not */
    must_fail(yoke_peer_wait("a@kernel", YOKE_PEER_HERE, YOKE_NOW), ENOTSUP);
    must_fail(yoke_peer_wait("a@memory", YOKE_PEER_HERE, YOKE_NOW), EAGAIN);
    must_fail(yoke_peer_join(&peer, NULL, NULL), EINVAL);
    must_fail(yoke_peer_wait(NULL, YOKE_PEER_HERE, YOKE_NOW), EINVAL);
    must_fail(yoke_peer_join(NULL, "alice", NULL), EINVAL);
    memset(name, 'x', sizeof name);
    name[sizeof name - 1] = 0;
    must_fail(yoke_peer_join(&peer, name, NULL), EINVAL);
    name[YOKE_PEER_NAME_MAX] = 0;
    yoke_peer_leave(join(name));
    options.struct_size = 1;
    must_fail(yoke_peer_join(&peer, "alice", &options), EINVAL);
    options = (struct yoke_options)YOKE_OPTIONS_INIT;
    options.mode = 0777;
    must_fail(yoke_peer_join(&peer, "alice", &options), EINVAL);
    must_fail(yoke_peer_wait("alice", 0, YOKE_NOW), EINVAL);
    must_fail(yoke_peer_wait("alice", YOKE_PEER_HERE | YOKE_PEER_GONE, YOKE_NOW), EINVAL);
    must_fail(yoke_peer_wait("alice", YOKE_PEER_HERE, -2), EINVAL);
    must_fail(yoke_peer_list(NULL, 1), EINVAL);
    must_fail(yoke_peer_accept(NULL, &link, NULL, YOKE_NOW), EINVAL);
    assert_null(peer);
    peer = join("alice");
    must_fail(yoke_peer_accept(peer, NULL, NULL, YOKE_NOW), EINVAL);
    must_fail(yoke_peer_accept(peer, &link, NULL, -2), EINVAL);
    options.struct_size = 1;
    must_fail(yoke_peer_accept(peer, &link, &options, YOKE_NOW), EINVAL);
    must_fail(yoke_open(&link, "peer:alice", 0, NULL), ENOTSUP);
    assert_null(link);
    yoke_peer_leave(peer);
}

/* ---- waiting for others ----------------------------------------------------------------------- */

static int64_t wait_here(void *name)
{
    return yoke_peer_wait(name, YOKE_PEER_HERE, LONG_WAIT);
}

static int64_t wait_gone(void *name)
{
    return yoke_peer_wait(name, YOKE_PEER_GONE, LONG_WAIT);
}

static int64_t wait_here_for_ever(void *name)
{
    return yoke_peer_wait(name, YOKE_PEER_HERE, YOKE_FOREVER);
}

static int64_t wait_here_for_120_ms(void *name)
{
    return yoke_peer_wait(name, YOKE_PEER_HERE, 120 * MS);
}

static int64_t wait_gone_for_120_ms(void *name)
{
    return yoke_peer_wait(name, YOKE_PEER_GONE, 120 * MS);
}

static char alice[] = "alice", mortal[] = "mortal";

static void waiting_for_what_does_not_happen_times_out(void **state)
{
    yoke_peer *peer;

    (void)state;
    assert_times_out(wait_here_for_120_ms, alice, 120 * MS);
    peer = join("alice");
    assert_times_out(wait_gone_for_120_ms, alice, 120 * MS);
    yoke_peer_leave(peer);
}

static void waiting_ends_when_the_peer_comes(void **state)
{
    struct worker worker;
    yoke_peer *peer;

    (void)state;
    worker_start(&worker, wait_here, alice);
    worker_wait_asleep(&worker);
    yoke_peer_leave(join("bob")); /* another one's coming is not it */
    peer = join("alice");
    must(worker_join(&worker));
    yoke_peer_leave(peer);
    worker_start(&worker, wait_here_for_ever, alice);
    worker_wait_asleep(&worker);
    peer = join("alice");
    must(worker_join(&worker));
    yoke_peer_leave(peer);
}

/* Others have the peer's memory attached: it comes into an object that is there. */
static void waiting_ends_when_a_peer_comes_back_whose_link_is_there(void **state)
{
    yoke_endpoint *link = link_make("alice", "bob", NULL);
    struct worker worker;
    yoke_endpoint *back;
    char bob[] = "bob";

    (void)state;
    yoke_close(link_join("bob", "alice"));
    assert_gone("bob");
    worker_start(&worker, wait_here, bob);
    worker_wait_asleep(&worker);
    back = link_join("bob", "alice");
    must(worker_join(&worker));
    yoke_close(back);
    yoke_close(link);
}

static void waiting_ends_when_the_peer_leaves_or_dies(void **state)
{
    struct host host;

    (void)state;
    host_make(&host, "mortal");
    for (int i = 0; i < 6; i++) {
        pid_t pid = host_start(&host);
        struct worker worker;

        worker_start(&worker, wait_gone, mortal);
        worker_wait_asleep(&worker);
        if (i % 2)
            role_kill(pid);
        else
            host_end(&host, pid);
        must(worker_join(&worker));
        assert_gone("mortal");
        if (i % 2)
            clear("mortal");
        assert_int_equal(names_left(), 0); /* who watched took away what it kept alive */
    }
    host_drop(&host);
}

static int role_waits_until_gone(void *argument)
{
    struct host *host = argument;

    baton_pass(&host->ready);
    return yoke_peer_wait(host->name, YOKE_PEER_GONE, LONG_WAIT) == 0 ? 0 : 1;
}

static void peer_that_was_replaced_between_two_looks_is_gone(void **state)
{
    struct host host;

    (void)state;
    host_make(&host, "mortal");
    for (int i = 0; i < 4; i++) {
        pid_t first = host_start(&host), watcher = role_start(role_waits_until_gone, &host), second;

        baton_take(&host.ready);
        role_wait_asleep(watcher, SOON_MS);
        /* it lies between two looks in its own slices of 100 ms, or is about to look again */
        for (int k = 0; k < 3; k++)
            must_fail(yoke_peer_wait("mortal", YOKE_PEER_GONE, 50 * MS), ETIMEDOUT);
        role_stop(watcher);
        if (i % 2)
            role_kill(first);
        else
            host_end(&host, first);
        second = host_start(&host);
        role_resume(watcher);
        assert_int_equal(role_wait(watcher, SOON_MS), 0);
        assert_here("mortal");
        host_end(&host, second);
        assert_gone("mortal");
    }
    host_drop(&host);
}

static int64_t wait_here_in_a_role(void *name)
{
    return wait_here(name);
}

static int64_t wait_gone_in_a_role(void *name)
{
    return wait_gone(name);
}

static int64_t accept_in_a_role(void *name)
{
    yoke_endpoint *link;
    yoke_peer *peer = join(name);
    int64_t result = yoke_peer_accept(peer, &link, NULL, LONG_WAIT);

    yoke_peer_leave(peer);
    return result;
}

static void signal_handler_ends_every_wait_even_with_sa_restart(void **state)
{
    yoke_peer *peer = join("alice");

    (void)state;
    must_fail(interrupted_result(wait_here_in_a_role, mortal), EINTR);
    must_fail(interrupted_result(wait_gone_in_a_role, alice), EINTR);
    must_fail(interrupted_result(accept_in_a_role, mortal), EINTR);
    yoke_peer_leave(peer);
}

/* Opens inotify instances until the user has no more. False: he has too many to try. */
static bool exhaust_inotify(void)
{
    for (int i = 0; i < 1000; i++)
        if (inotify_init1(IN_CLOEXEC) < 0)
            return errno == EMFILE;
    return false;
}

static int role_waits_without_inotify(void *argument)
{
    struct host *host = argument;
    yoke_endpoint *link, *other;
    yoke_peer *peer;
    struct worker worker;

    become_user(2);
    if (!exhaust_inotify())
        return 77;
    worker_start(&worker, wait_here, mortal);
    worker_wait_asleep(&worker);
    peer = join("mortal");
    must(worker_join(&worker));
    worker_start(&worker, wait_gone, mortal);
    worker_wait_asleep(&worker);
    other = link_make("bob", "mortal", NULL);
    must(yoke_peer_accept(peer, &link, NULL, LONG_WAIT));
    assert_string_equal(yoke_link_other(link), "bob");
    yoke_close(link);
    yoke_close(other);
    yoke_peer_leave(peer);
    must(worker_join(&worker));
    baton_pass(&host->ready);
    return 0;
}

static void without_inotify_waiting_works_by_looking(void **state)
{
    struct host host;
    int status;

    (void)state;
    share_directory();
    host_make(&host, "mortal");
    status = role_wait(role_start(role_waits_without_inotify, &host), SOON_MS);
    host_drop(&host);
    if (status == 77)
        skip_test("this user may have more than a thousand inotify instances");
    assert_int_equal(status, 0);
}

static int role_looks_as_another_user(void *argument)
{
    int *results = argument;

    become_user(1);
    results[0] = yoke_peer_wait("alice", YOKE_PEER_HERE, YOKE_NOW);
    results[1] = yoke_peer_wait("alice", YOKE_PEER_GONE, YOKE_NOW);
    results[2] = (int)yoke_peer_list(NULL, 0);
    return 0;
}

static void mode_says_who_may_see_that_a_peer_is_there(void **state)
{
    int *results;

    (void)state;
    share_directory();
    results = shared_new(3 * sizeof *results);
    for (int i = 0; i < 2; i++) {
        struct yoke_options options = YOKE_OPTIONS_INIT;
        yoke_peer *peer;

        options.mode = i ? 0666 : 0600;
        must(yoke_peer_join(&peer, "alice", &options));
        assert_int_equal(role_wait(role_start(role_looks_as_another_user, results), SOON_MS), 0);
        assert_int_equal(results[0], i ? 0 : -EACCES);
        assert_int_equal(results[1], i ? -EAGAIN : -EACCES);
        assert_int_equal(results[2], i);
        yoke_peer_leave(peer);
    }
    shared_drop(results, 3 * sizeof *results);
}

/* ---- the list --------------------------------------------------------------------------------- */

static void list_has_who_is_there_with_pid_and_uid(void **state)
{
    struct yoke_peer_info infos[8];
    yoke_peer *peer = join("alice");
    struct host host;
    pid_t pid;

    (void)state;
    host_make(&host, "mortal");
    pid = host_start(&host);
    yoke_close(port_make("no-peer", NULL));
    assert_int_equal(must(yoke_peer_list(NULL, 0)), 2);
    memset(infos, 0xa5, sizeof infos);
    assert_int_equal(must(yoke_peer_list(infos, 1)), 2);
    assert_int_equal(infos[1].pid, (int32_t)0xa5a5a5a5); /* untouched */
    assert_int_equal(must(yoke_peer_list(infos, 8)), 2);
    for (int i = 0; i < 2; i++) {
        bool me = strcmp(infos[i].name, "alice") == 0;

        assert_string_equal(infos[i].name, me ? "alice" : "mortal");
        assert_int_equal(infos[i].pid, me ? getpid() : pid);
        assert_int_equal(infos[i].uid, geteuid());
        assert_true(infos[i].joined_ns > 0);
    }
    assert_string_not_equal(infos[0].name, infos[1].name);
    role_kill(pid);
    assert_int_equal(must(yoke_peer_list(infos, 8)), 1);
    assert_string_equal(infos[0].name, "alice");
    yoke_peer_leave(peer);
    assert_int_equal(must(yoke_peer_list(infos, 8)), 0);
    clear("mortal");
    host_drop(&host);
}

/* ---- accepting -------------------------------------------------------------------------------- */

static yoke_endpoint *accept_now(yoke_peer *peer)
{
    yoke_endpoint *link = NULL;

    must(yoke_peer_accept(peer, &link, NULL, YOKE_NOW));
    return link;
}

static void assert_none_to_accept(yoke_peer *peer)
{
    yoke_endpoint *link = NULL;

    must_fail(yoke_peer_accept(peer, &link, NULL, YOKE_NOW), EAGAIN);
    assert_null(link);
}

static void links_that_others_opened_are_accepted_once_each(void **state)
{
    yoke_endpoint *bobs = link_make("bob", "alice", NULL), *carols, *links[2];
    yoke_peer *peer = join("alice");

    (void)state;
    carols = link_make("carol", "alice", NULL);
    send_number(bobs, 1);
    send_number(carols, 2);
    for (int i = 0; i < 2; i++) {
        links[i] = accept_now(peer);
        assert_int_equal(recv_number(links[i], YOKE_NOW),
                         strcmp(yoke_link_other(links[i]), "bob") == 0 ? 1 : 2);
    }
    assert_string_not_equal(yoke_link_other(links[0]), yoke_link_other(links[1]));
    assert_none_to_accept(peer);
    yoke_close(links[0]);
    yoke_close(links[1]);
    yoke_close(bobs);
    yoke_close(carols);
    yoke_peer_leave(peer);
}

static void links_of_others_are_none_of_ours(void **state)
{
    /* names that begin and end as ours does */
    yoke_endpoint *one = link_make("alice2", "bob", NULL), *two = link_make("2alice", "bob", NULL);
    yoke_endpoint *three = link_make("lice", "bob", NULL), *own = link_make("alice", "zoe", NULL);
    yoke_peer *peer = join("alice");

    (void)state;
    assert_none_to_accept(peer); /* its own is open */
    yoke_close(one);
    yoke_close(two);
    yoke_close(three);
    yoke_close(own);
    yoke_peer_leave(peer);
}

/* A link whose lock file somebody took away can be seen, and not opened. */
static void link_that_can_not_be_opened_does_not_hold_up_accepting(void **state)
{
    yoke_peer *peer = join("alice");
    struct dirent **entries;
    yoke_endpoint *bobs;
    char *before = world_describe(), *live;
    int count;

    (void)state;
    bobs = link_make("bob", "alice", NULL);
    count = scandir(name_path(""), &entries, NULL, alphasort);
    assert_true(count > 0);
    for (int i = 0; i < count; i++) {
        live = entries[i]->d_name;
        if (strncmp(live, ".live-", 6) == 0 && !strstr(before, live))
            unlink(name_path(live));
        free(entries[i]);
    }
    free(entries);
    assert_none_to_accept(peer);
    yoke_close(bobs);
    yoke_peer_leave(peer);
    free(before);
}

struct accepting {
    yoke_peer *peer;
    yoke_endpoint *link;
};

static int64_t accept_later(void *argument)
{
    struct accepting *accepting = argument;

    return yoke_peer_accept(accepting->peer, &accepting->link, NULL, LONG_WAIT);
}

static int64_t accept_for_120_ms(void *argument)
{
    struct accepting *accepting = argument;

    return yoke_peer_accept(accepting->peer, &accepting->link, NULL, 120 * MS);
}

static void accepting_waits_until_somebody_opens_a_link(void **state)
{
    struct accepting accepting = {.peer = join("alice")};
    struct worker worker;
    yoke_endpoint *bobs;

    (void)state;
    assert_times_out(accept_for_120_ms, &accepting, 120 * MS);
    worker_start(&worker, accept_later, &accepting);
    worker_wait_asleep(&worker);
    bobs = link_make("bob", "alice", NULL);
    must(worker_join(&worker));
    send_number(bobs, 1);
    assert_int_equal(recv_number(accepting.link, YOKE_NOW), 1);
    yoke_close(accepting.link);
    yoke_close(bobs);
    yoke_peer_leave(accepting.peer);
}

enum { ACCEPTORS = 3 };

/* Each finds each of them; only one may get it, and no other may fail or get it, too. */
static void threads_that_accept_at_once_get_each_link_once(void **state)
{
    (void)state;
    for (int round = 0; round < 100; round++) {
        struct accepting accepting[ACCEPTORS];
        struct worker workers[ACCEPTORS];
        yoke_endpoint *theirs[ACCEPTORS];
        yoke_peer *peer = join("alice");

        for (int i = 0; i < ACCEPTORS; i++) {
            accepting[i] = (struct accepting){.peer = peer};
            worker_start(&workers[i], accept_later, &accepting[i]);
        }
        for (int i = 0; i < ACCEPTORS; i++) {
            char name[16];

            snprintf(name, sizeof name, "bob-%d", i);
            theirs[i] = link_make(name, "alice", NULL);
        }
        for (int i = 0; i < ACCEPTORS; i++)
            must(worker_join(&workers[i]));
        for (int i = 0; i < ACCEPTORS; i++)
            for (int k = 0; k < i; k++)
                assert_string_not_equal(yoke_link_other(accepting[i].link),
                                        yoke_link_other(accepting[k].link));
        for (int i = 0; i < ACCEPTORS; i++) {
            yoke_close(accepting[i].link);
            yoke_close(theirs[i]);
        }
        yoke_peer_leave(peer);
    }
}

static void link_that_was_closed_is_accepted_again_when_somebody_new_came(void **state)
{
    yoke_endpoint *bobs = link_make("bob", "alice", NULL);
    struct accepting accepting = {.peer = join("alice")};
    struct worker worker;

    (void)state;
    for (int i = 0; i < 3; i++) {
        yoke_close(accept_now(accepting.peer));
        assert_none_to_accept(accepting.peer);
        send_number(bobs, 1);
        assert_none_to_accept(accepting.peer);
        worker_start(&worker, accept_later, &accepting);
        worker_wait_asleep(&worker);
        yoke_close(bobs);
        bobs = link_make("bob", "alice", NULL);
        must(worker_join(&worker));
        yoke_close(accepting.link);
        yoke_close(bobs);
        bobs = link_make("bob", "alice", NULL);
    }
    yoke_close(bobs);
    yoke_peer_leave(accepting.peer);
}

static void kept_link_that_both_left_is_not_accepted_until_somebody_comes(void **state)
{
    yoke_endpoint *bobs, *mine;
    yoke_peer *peer = join("alice");

    (void)state;
    must(link_try(&bobs, "bob", "alice", YOKE_CREATE | YOKE_KEPT, NULL));
    mine = accept_now(peer);
    yoke_close(mine);
    yoke_close(bobs); /* he leaves after her: nobody new */
    assert_none_to_accept(peer);
    bobs = link_join("bob", "alice");
    send_number(bobs, 9);
    yoke_close(bobs); /* he came, and left something */
    mine = accept_now(peer);
    assert_int_equal(recv_number(mine, YOKE_NOW), 9);
    must_fail(yoke_recv(mine, NULL, 0, YOKE_NOW), EPIPE);
    yoke_close(mine);
    assert_none_to_accept(peer);
    yoke_peer_leave(peer);
    must(yoke_remove("link:alice/bob"));
}

static void looking_for_links_leaves_nothing_of_those_that_go_meanwhile(void **state)
{
    struct accepting accepting = {.peer = join("alice")};
    struct worker worker;

    (void)state;
    for (int i = 0; i < 30; i++) {
        yoke_endpoint *bobs = NULL;

        worker_start(&worker, accept_for_120_ms, &accepting);
        bobs = link_make("bob", "alice", NULL);
        yoke_close(bobs);
        if (worker_join(&worker) == 0)
            yoke_close(accepting.link);
        assert_int_equal(names_left(), 2); /* her own name, and its lock file */
    }
    yoke_peer_leave(accepting.peer);
}

static void leaving_ends_the_wait_of_another_thread(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++) {
        struct accepting accepting = {.peer = join("alice")};
        yoke_endpoint *link = i % 2 ? link_make("alice", "bob", NULL) : NULL; /* the name stays */
        struct worker worker;

        worker_start(&worker, accept_later, &accepting);
        worker_wait_asleep(&worker);
        yoke_peer_leave(accepting.peer);
        must_fail(worker_join(&worker), ECANCELED);
        yoke_close(link);
        assert_gone("alice");
    }
}

static void leaving_ends_no_wait_of_who_joined_besides(void **state)
{
    struct accepting accepting = {.peer = join("alice")};
    yoke_peer *other = join("alice");
    yoke_endpoint *bobs;
    struct worker worker;

    (void)state;
    worker_start(&worker, accept_later, &accepting);
    worker_wait_asleep(&worker);
    yoke_peer_leave(other);
    bobs = link_make("bob", "alice", NULL);
    must(worker_join(&worker));
    yoke_close(accepting.link);
    yoke_close(bobs);
    yoke_peer_leave(accepting.peer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        api_test(name_belongs_to_the_process_until_it_left_as_often_as_it_joined),
        api_test(name_stays_until_the_last_link_under_it_is_closed),
        api_test(name_of_a_living_process_is_refused_with_its_pid),
        api_test(name_is_free_at_once_after_leaving_and_after_kill),
        api_test(misuse_is_refused),
        api_test(waiting_for_what_does_not_happen_times_out),
        api_test(waiting_ends_when_the_peer_comes),
        api_test(waiting_ends_when_a_peer_comes_back_whose_link_is_there),
        api_test(waiting_ends_when_the_peer_leaves_or_dies),
        api_test(peer_that_was_replaced_between_two_looks_is_gone),
        api_test(signal_handler_ends_every_wait_even_with_sa_restart),
        api_test(without_inotify_waiting_works_by_looking),
        api_test(mode_says_who_may_see_that_a_peer_is_there),
        api_test(list_has_who_is_there_with_pid_and_uid),
        api_test(links_that_others_opened_are_accepted_once_each),
        api_test(links_of_others_are_none_of_ours),
        api_test(link_that_can_not_be_opened_does_not_hold_up_accepting),
        api_test(accepting_waits_until_somebody_opens_a_link),
        api_test(threads_that_accept_at_once_get_each_link_once),
        api_test(link_that_was_closed_is_accepted_again_when_somebody_new_came),
        api_test(kept_link_that_both_left_is_not_accepted_until_somebody_comes),
        api_test(looking_for_links_leaves_nothing_of_those_that_go_meanwhile),
        api_test(leaving_ends_the_wait_of_another_thread),
        api_test(leaving_ends_no_wait_of_who_joined_besides),
    };

    return cmocka_run_group_tests(tests, api_setup, NULL);
}
