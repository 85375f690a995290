/*
 * Signals whose senders and receivers die; who a UNIX signal reaches, whatever the shared memory says
 * of pids; and several users, of whom the kernel knows more than they say.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "../api/api.h"
#include "peer.h"

enum place { MEMORY, KERNEL };

static const char *address_of(enum place place)
{
    return place == KERNEL ? "peer:bob@kernel" : "peer:bob";
}

static yoke_peer *join(const char *name, uint32_t mode)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;
    yoke_peer *peer = NULL;

    options.mode = mode;
    must(yoke_peer_join(&peer, name, &options));
    return peer;
}

static yoke_endpoint *open_inbox(yoke_peer *peer, enum place place, uint32_t mode)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;
    yoke_endpoint *inbox = NULL;

    options.mode = mode;
    must(yoke_signals_open(&inbox, peer, place == KERNEL ? YOKE_SIGNALS_KERNEL : 0, &options));
    return inbox;
}

static void assert_none(yoke_endpoint *inbox)
{
    struct yoke_signal signal;

    must_fail(yoke_signal_recv(inbox, &signal, YOKE_NOW), EAGAIN);
}

/* Clears what one who died left of its name. */
static void clear(const char *name)
{
    yoke_peer_leave(join(name, 0));
}

/* ---- senders killed anywhere ------------------------------------------------------------------ */

struct sending {
    enum place place;
    uint32_t life;             /* which of the senders it is */
    atomic_uint_fast64_t sent; /* by this one: what it was told is sent */
};

static int role_sends_until_killed(void *argument)
{
    struct sending *sending = argument;

    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that failed must not leave it going on */
    for (uint64_t i = 0;;) {
        int result = yoke_signal_send(NULL, address_of(sending->place), sending->life, i);

        if (result == -EAGAIN)
            continue;
        must(result);
        atomic_store(&sending->sent, ++i);
    }
    return 0;
}

/*
 * A sender's signals come as 0, 1, 2 and so on, at least as many as it was told were sent, and at most
 * one more, which it was just sending when it was killed.
 */
static void senders_killed_while_sending(enum place place, int lives)
{
    struct sending *sending = shared_new(sizeof *sending);
    yoke_peer *bob = join("bob", 0);
    yoke_endpoint *inbox = open_inbox(bob, place, 0);
    struct yoke_signal signal;

    sending->place = place;
    for (int life = 0; life < lives; life++) {
        uint64_t next = 0, enough = 1 + (uint64_t)rand() % 400;

        sending->life = (uint32_t)life;
        atomic_store(&sending->sent, 0);
        pid_t pid = role_start(role_sends_until_killed, sending);
        while (next < enough) {
            must(yoke_signal_recv(inbox, &signal, SOON_MS * MS));
            assert_int_equal(signal.number, life);
            assert_int_equal(signal.value, next++);
            assert_int_equal(signal.pid, pid);
        }
        role_kill(pid);
        while (yoke_signal_recv(inbox, &signal, YOKE_NOW) == 0) {
            assert_int_equal(signal.number, life);
            assert_int_equal(signal.value, next++);
        }
        assert_true(next >= atomic_load(&sending->sent));
        assert_true(next <= atomic_load(&sending->sent) + 1);
    }
    yoke_close(inbox);
    yoke_peer_leave(bob);
    shared_drop(sending, sizeof *sending);
}

static void sender_killed_while_sending_none_is_lost_or_comes_twice(void **state)
{
    (void)state;
    senders_killed_while_sending(MEMORY, 150);
}

static void sender_killed_while_sending_to_the_kernel_none_is_lost_or_comes_twice(void **state)
{
    (void)state;
    senders_killed_while_sending(KERNEL, 60);
}

/* ---- receivers killed ------------------------------------------------------------------------- */

struct hosting {
    enum place place;
    struct baton ready, end;
    int32_t wrong_pid; /* not 0: what it writes over its own in shared memory */
    uint32_t mode;
    atomic_int terminated;
};

static struct hosting *hosting_new(enum place place)
{
    struct hosting *hosting = shared_new(sizeof *hosting);

    hosting->place = place;
    baton_make(&hosting->ready);
    baton_make(&hosting->end);
    return hosting;
}

static void hosting_drop(struct hosting *hosting)
{
    baton_drop(&hosting->ready);
    baton_drop(&hosting->end);
    shared_drop(hosting, sizeof *hosting);
}

static int role_has_an_inbox(void *argument)
{
    struct hosting *hosting = argument;
    yoke_peer *bob = join("bob", 0);
    yoke_endpoint *inbox = open_inbox(bob, hosting->place, 0);

    baton_pass(&hosting->ready);
    baton_take(&hosting->end);
    yoke_close(inbox);
    yoke_peer_leave(bob);
    return 0;
}

static void what_was_sent_to_one_who_died_does_not_reach_the_next(enum place place)
{
    struct hosting *hosting = hosting_new(place);
    struct yoke_signal signal;

    for (int round = 0; round < 20; round++) {
        pid_t pid = role_start(role_has_an_inbox, hosting);

        baton_take(&hosting->ready);
        for (uint32_t i = 0; i < 5; i++)
            must(yoke_signal_send(NULL, address_of(place), 1, i));
        role_kill(pid);
        must_fail(yoke_signal_send(NULL, address_of(place), 2, 0), ENOENT);
        yoke_peer *bob = join("bob", 0);
        must_fail(yoke_signal_send(NULL, address_of(place), 3, 0), ENOTSUP);
        yoke_endpoint *inbox = open_inbox(bob, place, 0);
        assert_none(inbox);
        must(yoke_signal_send(NULL, address_of(place), 4, 0));
        must(yoke_signal_recv(inbox, &signal, YOKE_NOW));
        assert_int_equal(signal.number, 4);
        assert_none(inbox);
        yoke_close(inbox);
        yoke_peer_leave(bob);
    }
    assert_int_equal(names_left(), 0);
    hosting_drop(hosting);
}

static void what_was_sent_to_one_who_died_does_not_reach_the_next_in_memory(void **state)
{
    (void)state;
    what_was_sent_to_one_who_died_does_not_reach_the_next(MEMORY);
}

static void what_was_sent_to_one_who_died_does_not_reach_the_next_in_the_kernel(void **state)
{
    (void)state;
    what_was_sent_to_one_who_died_does_not_reach_the_next(KERNEL);
}

/* A sender goes on while the receiver is killed and replaced, again and again. */
static int role_sends_the_round(void *argument)
{
    atomic_uint_fast64_t *round = argument;

    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that failed must not leave it going on */
    for (uint64_t now; (now = atomic_load(round)) != UINT64_MAX;) {
        int result = yoke_signal_send(NULL, "bob", 1, now);

        if (result < 0 && result != -EAGAIN && result != -ENOENT && result != -ENOTSUP &&
            result != -EBUSY)
            must(result);
    }
    return 0;
}

struct rounds {
    atomic_uint_fast64_t *round;
    struct baton ready;
};

/* Receives some, of this round or, sent by who had looked before it began, of the one before. */
static int role_receives_of_its_round(void *argument)
{
    struct rounds *rounds = argument;
    yoke_peer *bob = join("bob", 0);
    yoke_endpoint *inbox = open_inbox(bob, MEMORY, 0);
    struct yoke_signal signal;

    uint64_t mine = atomic_fetch_add(rounds->round, 1) + 1;
    for (uint64_t seen = 0; seen != mine; seen = signal.value) {
        must(yoke_signal_recv(inbox, &signal, SOON_MS * MS));
        assert_in_range(signal.value, mine - 1, mine);
    }
    baton_pass(&rounds->ready);
    for (;;)
        pause();
    return 0;
}

static void replaced_receivers_are_found_by_who_goes_on_sending(void **state)
{
    atomic_uint_fast64_t *round = shared_new(sizeof *round);
    struct rounds rounds = {.round = round};
    pid_t sender = role_start(role_sends_the_round, round);

    (void)state;
    baton_make(&rounds.ready);
    for (int i = 0; i < 40; i++) {
        pid_t receiver = role_start(role_receives_of_its_round, &rounds);

        baton_take(&rounds.ready);
        role_kill(receiver);
    }
    atomic_store(round, UINT64_MAX);
    assert_int_equal(role_wait(sender, SOON_MS), 0);
    baton_drop(&rounds.ready);
    shared_drop(round, sizeof *round);
    clear("bob");
}

/* ---- UNIX signals, and pids that are not to be believed --------------------------------------- */

static struct hosting *terminating;

static void on_usr2(int number)
{
    (void)number;
    atomic_fetch_add(&terminating->terminated, 1);
}

/* Says another process's pid of itself. */
static int role_is_bob_under_a_wrong_pid(void *argument)
{
    struct hosting *hosting = terminating = argument;
    struct sigaction action = {.sa_handler = on_usr2};
    yoke_peer *bob = join("bob", hosting->mode);

    sigaction(SIGUSR2, &action, NULL);
    yk_store32_relaxed(&yk_object_slot(&bob->peer->object, 0)->pid, (uint32_t)hosting->wrong_pid);
    baton_pass(&hosting->ready);
    baton_take(&hosting->end);
    while (atomic_load(&hosting->terminated) == 0)
        usleep(1000);
    yoke_peer_leave(bob);
    return 0;
}

static int role_must_not_be_signalled(void *argument)
{
    (void)argument;
    for (;;)
        pause();
    return 0;
}

static void assert_untouched(pid_t victim)
{
    assert_int_equal(kill(victim, 0), 0);
    assert_true(process_state(victim) == 'S');
}

static void unix_signal_goes_to_who_holds_the_name_whatever_pid_stands_in_memory(void **state)
{
    struct hosting *hosting = hosting_new(MEMORY);
    pid_t victim = role_start(role_must_not_be_signalled, NULL), bob;

    (void)state;
    role_wait_asleep(victim, SOON_MS);
    hosting->wrong_pid = victim;
    bob = role_start(role_is_bob_under_a_wrong_pid, hosting);
    baton_take(&hosting->ready);
    must(yoke_signal_kill("bob", SIGUSR2)); /* would end the victim */
    baton_pass(&hosting->end);
    assert_int_equal(role_wait(bob, SOON_MS), 0);
    assert_untouched(victim);

    /* and when its owner is dead, nobody gets it, though the pid that stands there is alive */
    hosting->terminated = 0;
    bob = role_start(role_is_bob_under_a_wrong_pid, hosting);
    baton_take(&hosting->ready);
    role_kill(bob);
    must_fail(yoke_signal_kill("bob", SIGUSR2), ENOENT);
    must_fail(yoke_signal_queue("bob", SIGRTMIN, 1), ENOENT);
    assert_untouched(victim);
    role_kill(victim);
    hosting_drop(hosting);
    clear("bob");
}

/* ---- several users ---------------------------------------------------------------------------- */

static int role_other_user_kills(void *argument)
{
    (void)argument;
    become_user(1);
    must_fail(yoke_signal_kill("bob", SIGUSR2), EPERM);
    assert_non_null(strstr(yoke_explain(), "/proc"));
    return 0;
}

static void unix_signal_is_refused_where_proc_does_not_show_who_it_would_hit(void **state)
{
    struct hosting *hosting = hosting_new(MEMORY);
    pid_t bob;

    (void)state;
    share_directory();
    hosting->mode = 0666; /* others may see that it lives */
    hosting->wrong_pid = 1;
    bob = role_start(role_is_bob_under_a_wrong_pid, hosting);
    baton_take(&hosting->ready);
    assert_int_equal(role_wait(role_start(role_other_user_kills, NULL), SOON_MS), 0);
    assert_int_equal(hosting->terminated, 0);
    role_kill(bob);
    hosting_drop(hosting);
    clear("bob");
}

static int role_other_user_may_not(void *argument)
{
    become_user(1);
    must_fail(yoke_signal_send(NULL, address_of(*(enum place *)argument), 1, 1), EACCES);
    assert_non_null(strstr(yoke_explain(), "no permission to send signals to peer:bob"));
    return 0;
}

/* As nobody in particular, as itself, and under a name that it does not hold. */
static int role_other_user_sends(void *argument)
{
    enum place place = *(enum place *)argument;
    yoke_peer *mallory;

    become_user(1);
    must(yoke_signal_send(NULL, address_of(place), 1, 0));
    mallory = join("mallory", 0666);
    must(yoke_signal_send(mallory, address_of(place), 2, 0));
    strcpy(mallory->peer->object.fixed.name, "alice"); /* its private copy, not the name's */
    must(yoke_signal_send(mallory, address_of(place), 3, 0));
    strcpy(mallory->peer->object.fixed.name, "mallory");
    for (;;)
        pause();
    return 0;
}

static struct yoke_signal recv_signal(yoke_endpoint *inbox)
{
    struct yoke_signal signal = {.number = 0};

    must(yoke_signal_recv(inbox, &signal, SOON_MS * MS));
    return signal;
}

static void who_sent(enum place place)
{
    yoke_peer *bob, *alice;
    yoke_endpoint *inbox;
    struct yoke_signal signal;

    share_directory();
    bob = join("bob", 0666);
    alice = join("alice", 0666);
    inbox = open_inbox(bob, place, 0600);
    assert_int_equal(role_wait(role_start(role_other_user_may_not, &place), SOON_MS), 0);
    yoke_close(inbox);
    inbox = open_inbox(bob, place, 0666);
    pid_t other = role_start(role_other_user_sends, &place);
    for (uint32_t number = 1; number <= 3; number++) {
        signal = recv_signal(inbox);
        assert_int_equal(signal.number, number);
        assert_int_equal(signal.uid, USER_ID(1));
        assert_int_equal(signal.pid, other);
        assert_string_equal(signal.sender, number == 1 ? "" : number == 2 ? "mallory" : "alice");
        assert_int_equal(signal.origin, place == MEMORY ? YOKE_SIGNAL_STATED
                                        : number == 2   ? YOKE_SIGNAL_NAMED
                                                        : YOKE_SIGNAL_PROVEN);
    }
    role_kill(other);
    clear("mallory");
    yoke_close(inbox);
    yoke_peer_leave(alice);
    yoke_peer_leave(bob);
}

static void memory_says_what_senders_say_of_themselves(void **state)
{
    (void)state;
    who_sent(MEMORY);
}

static void kernel_proves_who_sent_whatever_name_is_given(void **state)
{
    (void)state;
    who_sent(KERNEL);
}

/* In a directory that several users share, somebody else puts himself where bob would receive. */
static int role_squats(void *argument)
{
    struct hosting *hosting = argument;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    become_user(1);
    umask(0);
    snprintf(address.sun_path, sizeof address.sun_path, "%s",
             name_path(".signals-0000000000000000"));
    snprintf(strrchr(address.sun_path, '-'), 18, "-%016llx",
             (unsigned long long)*(uint64_t *)(hosting + 1));
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    baton_pass(&hosting->ready);
    baton_take(&hosting->end);
    char byte;
    assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), -1);
    return 0;
}

static void another_users_socket_in_its_place_is_not_sent_to(void **state)
{
    struct hosting *hosting = shared_new(sizeof *hosting + sizeof(uint64_t));
    yoke_peer *bob;
    yoke_endpoint *inbox;

    (void)state;
    share_directory();
    baton_make(&hosting->ready);
    baton_make(&hosting->end);
    bob = join("bob", 0);
    *(uint64_t *)(hosting + 1) = bob->peer->object.fixed.nonce;
    pid_t squatter = role_start(role_squats, hosting);
    baton_take(&hosting->ready);
    must_fail(yoke_signal_send(NULL, "peer:bob@kernel", 1, 1), ENOTSUP);
    inbox = open_inbox(bob, KERNEL, 0); /* root takes it away */
    must(yoke_signal_send(NULL, "peer:bob@kernel", 2, 2));
    assert_int_equal(recv_signal(inbox).number, 2);
    baton_pass(&hosting->end);
    assert_int_equal(role_wait(squatter, SOON_MS), 0);
    yoke_close(inbox);
    yoke_peer_leave(bob);
    baton_drop(&hosting->ready);
    baton_drop(&hosting->end);
    shared_drop(hosting, sizeof *hosting + sizeof(uint64_t));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        api_test(sender_killed_while_sending_none_is_lost_or_comes_twice),
        api_test(sender_killed_while_sending_to_the_kernel_none_is_lost_or_comes_twice),
        api_test(what_was_sent_to_one_who_died_does_not_reach_the_next_in_memory),
        api_test(what_was_sent_to_one_who_died_does_not_reach_the_next_in_the_kernel),
        api_test(replaced_receivers_are_found_by_who_goes_on_sending),
        api_test(unix_signal_goes_to_who_holds_the_name_whatever_pid_stands_in_memory),
        api_test(unix_signal_is_refused_where_proc_does_not_show_who_it_would_hit),
        api_test(memory_says_what_senders_say_of_themselves),
        api_test(kernel_proves_who_sent_whatever_name_is_given),
        api_test(another_users_socket_in_its_place_is_not_sent_to),
    };

    return cmocka_run_group_tests_name("signals and death", tests, api_setup, NULL);
}
