/* Signals: sent by a peer's name, received from its inbox; in memory and in the kernel; UNIX signals. */
#include "api.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Where an inbox may be; each test of `both` runs in each. */
enum place { MEMORY, KERNEL };

static yoke_peer *join(const char *name)
{
    yoke_peer *peer = NULL;

    must(yoke_peer_join(&peer, name, NULL));
    return peer;
}

static const char *address(const char *name, enum place place)
{
    static _Thread_local char text[200];

    snprintf(text, sizeof text, "peer:%s%s", name, place == KERNEL ? "@kernel" : "");
    return text;
}

static uint32_t flags_of(enum place place)
{
    return place == KERNEL ? YOKE_SIGNALS_KERNEL : 0;
}

/* A peer with its inbox, in this process. */
struct receiver {
    yoke_peer *peer;
    yoke_endpoint *inbox;
};

static struct receiver receive_as(const char *name, enum place place,
                                  const struct yoke_options *options)
{
    struct receiver receiver = {.peer = join(name)};

    must(yoke_signals_open(&receiver.inbox, receiver.peer, flags_of(place), options));
    return receiver;
}

static void end(struct receiver *receiver)
{
    must(yoke_close(receiver->inbox));
    yoke_peer_leave(receiver->peer);
}

static struct yoke_signal recv_signal(yoke_endpoint *inbox)
{
    struct yoke_signal signal;

    memset(&signal, 0xee, sizeof signal);
    must(yoke_signal_recv(inbox, &signal, SOON_MS * MS));
    return signal;
}

static void assert_none(yoke_endpoint *inbox)
{
    struct yoke_signal signal;

    must_fail(yoke_signal_recv(inbox, &signal, YOKE_NOW), EAGAIN);
}

/* ---- sent and received ------------------------------------------------------------------------ */

static void arrive_in_order_with_all_that_was_said(enum place place)
{
    struct receiver bob = receive_as("bob", place, NULL);
    yoke_peer *alice = join("alice");
    uint64_t last = 0;

    for (uint32_t i = 0; i < 500; i++) {
        must(yoke_signal_send(i % 2 ? alice : NULL, address("bob", place), i, UINT64_MAX - i));
        if (i % 5 < 4)
            continue;
        for (uint32_t k = i - 4; k <= i; k++) {
            struct yoke_signal signal = recv_signal(bob.inbox);

            assert_int_equal(signal.number, k);
            assert_true(signal.value == UINT64_MAX - k);
            assert_string_equal(signal.sender, k % 2 ? "alice" : "");
            assert_int_equal(signal.pid, getpid());
            assert_int_equal(signal.uid, geteuid());
            assert_int_equal(signal.unix_signal, 0);
            assert_int_equal(signal.merged, 0);
            assert_int_equal(signal.origin, place == MEMORY ? YOKE_SIGNAL_STATED
                                            : k % 2         ? YOKE_SIGNAL_NAMED
                                                            : YOKE_SIGNAL_PROVEN);
            assert_true(k == 0 || signal.sequence > last);
            last = signal.sequence;
        }
    }
    assert_none(bob.inbox);
    yoke_peer_leave(alice);
    end(&bob);
}

static void full_inbox_refuses_and_says_so_and_keeps_what_it_has(enum place place)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;
    struct receiver bob;
    uint32_t sent = 0;

    options.depth = place == MEMORY ? 100 : 0;
    bob = receive_as("bob", place, &options);
    for (int round = 0; round < 3; round++) {
        for (sent = 0; yoke_signal_send(NULL, address("bob", place), sent, 0) == 0; sent++)
            assert_true(sent < 1000000);
        must_fail(yoke_signal_send(NULL, address("bob", place), sent, 0), EAGAIN);
        assert_non_null(strstr(yoke_explain(), "peer:bob"));
        assert_non_null(strstr(yoke_explain(), place == MEMORY ? "100" : "max_dgram_qlen"));
        if (place == MEMORY)
            assert_int_equal(sent, 100);
        for (uint32_t i = 0; i < sent; i++)
            assert_int_equal(recv_signal(bob.inbox).number, i);
        assert_none(bob.inbox);
    }
    end(&bob);
}

static void who_is_not_there_and_who_takes_none_are_told_apart(enum place place)
{
    yoke_peer *bob;
    struct receiver again;

    must_fail(yoke_signal_send(NULL, address("bob", place), 1, 1), ENOENT);
    assert_non_null(strstr(yoke_explain(), "peer:bob"));
    bob = join("bob");
    must_fail(yoke_signal_send(NULL, address("bob", place), 1, 1), ENOTSUP);
    assert_non_null(strstr(yoke_explain(), "peer:bob"));
    again = receive_as("bob", place, NULL);
    must(yoke_signal_send(NULL, address("bob", place), 1, 1));
    /* only where its inbox is */
    must_fail(yoke_signal_send(NULL, address("bob", place == MEMORY ? KERNEL : MEMORY), 1, 1),
              ENOTSUP);
    end(&again);
    must_fail(yoke_signal_send(NULL, address("bob", place), 1, 1), ENOTSUP);
    yoke_peer_leave(bob);
    must_fail(yoke_signal_send(NULL, address("bob", place), 1, 1), ENOENT);
    assert_int_equal(names_left(), 0);
}

static void inbox_is_one_keeps_the_name_and_takes_along_what_waits(enum place place)
{
    struct receiver bob = receive_as("bob", place, NULL);
    yoke_peer *again = join("bob");
    yoke_endpoint *second = NULL;

    must_fail(yoke_signals_open(&second, bob.peer, 0, NULL), EBUSY);
    must_fail(yoke_signals_open(&second, again, YOKE_SIGNALS_KERNEL, NULL), EBUSY);
    assert_null(second);
    yoke_peer_leave(bob.peer);
    yoke_peer_leave(again);
    must(yoke_peer_wait("bob", YOKE_PEER_HERE, YOKE_NOW));
    for (uint32_t i = 0; i < 5; i++)
        must(yoke_signal_send(NULL, address("bob", place), i, 0));
    yoke_close(bob.inbox);
    must(yoke_peer_wait("bob", YOKE_PEER_GONE, YOKE_NOW));
    assert_int_equal(names_left(), 0);
    for (int round = 0; round < 3; round++) {
        bob = receive_as("bob", place, NULL);
        assert_none(bob.inbox);
        must(yoke_signal_send(NULL, address("bob", place), 77, 0));
        assert_int_equal(recv_signal(bob.inbox).number, 77);
        must(yoke_signal_send(NULL, address("bob", place), 78, 0));
        end(&bob);
    }
}

static void each_of_many_gets_its_own(enum place place)
{
    struct receiver receivers[40];
    char name[20];

    for (int i = 0; i < 40; i++) {
        snprintf(name, sizeof name, "bob%d", i);
        receivers[i] = receive_as(name, place, NULL);
    }
    for (uint32_t round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < 40; i++) {
            snprintf(name, sizeof name, "bob%u", i);
            must(yoke_signal_send(receivers[i].peer, address(name, place), i, round));
        }
        for (uint32_t i = 0; i < 40; i++) {
            struct yoke_signal signal = recv_signal(receivers[i].inbox);

            assert_int_equal(signal.number, i);
            assert_int_equal(signal.value, round);
            assert_none(receivers[i].inbox);
        }
    }
    for (int i = 0; i < 40; i++)
        end(&receivers[i]);
    assert_int_equal(names_left(), 0);
}

static void names_of_full_length_arrive_whole(enum place place)
{
    char name[YOKE_PEER_NAME_MAX + 1], other[YOKE_PEER_NAME_MAX + 1];
    struct receiver receiver;
    yoke_peer *sender;

    memset(name, 'r', YOKE_PEER_NAME_MAX);
    memset(other, 's', YOKE_PEER_NAME_MAX);
    name[YOKE_PEER_NAME_MAX] = other[YOKE_PEER_NAME_MAX] = '\0';
    receiver = receive_as(name, place, NULL);
    sender = join(other);
    must(yoke_signal_send(sender, address(name, place), 1, 2));
    assert_string_equal(recv_signal(receiver.inbox).sender, other);
    yoke_peer_leave(sender);
    end(&receiver);
}

/* ---- waiting ---------------------------------------------------------------------------------- */

struct wait {
    yoke_endpoint *inbox;
    struct yoke_signal signal;
};

static int64_t wait_long(void *context)
{
    struct wait *wait = context;

    return yoke_signal_recv(wait->inbox, &wait->signal, LONG_WAIT);
}

static int64_t wait_shortly(void *context)
{
    struct wait *wait = context;

    return yoke_signal_recv(wait->inbox, &wait->signal, 30 * MS);
}

/* Its own inbox, since a child's is its own. */
static int64_t open_and_wait(void *context)
{
    struct receiver bob = {.peer = NULL};
    struct yoke_signal signal;
    int64_t result = yoke_peer_join(&bob.peer, "bob", NULL);

    if (result == 0)
        result = yoke_signals_open(&bob.inbox, bob.peer, *(uint32_t *)context, NULL);
    if (result == 0)
        result = yoke_signal_recv(bob.inbox, &signal, LONG_WAIT);
    yoke_close(bob.inbox);
    yoke_peer_leave(bob.peer);
    return result;
}

static void catch_usr2(yoke_endpoint *inbox)
{
    const int signals[] = {SIGUSR2};

    must(yoke_signals_catch(inbox, signals, 1));
}

static void sleeper_is_woken_cancelled_and_closed(enum place place)
{
    for (int catching = 0; catching < 2; catching++) {
        struct receiver bob = receive_as("bob", place, NULL);
        struct wait wait = {.inbox = bob.inbox};
        struct worker worker;

        if (catching)
            catch_usr2(bob.inbox);
        assert_times_out(wait_shortly, &wait, 30 * MS);
        worker_start(&worker, wait_long, &wait);
        worker_wait_asleep(&worker);
        must(yoke_signal_send(NULL, address("bob", place), 5, 6));
        assert_int_equal(worker_join(&worker), 0);
        assert_int_equal(wait.signal.number, 5);
        worker_start(&worker, wait_long, &wait);
        worker_wait_asleep(&worker);
        if (catching)
            must(yoke_close(bob.inbox));
        else
            must(yoke_cancel(bob.inbox));
        assert_int_equal(worker_join(&worker), -ECANCELED);
        if (!catching) {
            must_fail(yoke_signal_recv(bob.inbox, &wait.signal, LONG_WAIT), ECANCELED);
            yoke_close(bob.inbox);
        }
        yoke_peer_leave(bob.peer);
    }
}

static void signal_handler_ends_the_wait(enum place place)
{
    uint32_t flags = flags_of(place);

    assert_int_equal(interrupted_result(open_and_wait, &flags), -EINTR);
}

static bool is_readable(int fd, int timeout_ms)
{
    struct pollfd waiting = {.fd = fd, .events = POLLIN};

    return poll(&waiting, 1, timeout_ms) == 1;
}

static void descriptor_is_readable_while_there_is_a_signal(enum place place)
{
    struct receiver bob = receive_as("bob", place, NULL);
    int fd = (int)must(yoke_fd(bob.inbox));

    for (int round = 0; round < 50; round++) {
        assert_none(bob.inbox); /* it may be readable once too often */
        assert_false(is_readable(fd, 0));
        must(yoke_signal_send(NULL, address("bob", place), 1, 0));
        must(yoke_signal_send(NULL, address("bob", place), 2, 0));
        assert_true(is_readable(fd, SOON_MS));
        assert_int_equal(recv_signal(bob.inbox).number, 1);
        assert_true(is_readable(fd, SOON_MS));
        assert_int_equal(recv_signal(bob.inbox).number, 2);
        if (round == 20)
            catch_usr2(bob.inbox); /* the same descriptor says so of these, too */
        assert_int_equal(must(yoke_fd(bob.inbox)), fd);
        if (round >= 20) {
            assert_none(bob.inbox);
            assert_false(is_readable(fd, 0));
            must(yoke_signal_kill("bob", SIGUSR2));
            assert_true(is_readable(fd, SOON_MS));
            assert_int_equal(recv_signal(bob.inbox).unix_signal, SIGUSR2);
        }
    }
    must(yoke_cancel(bob.inbox));
    assert_true(is_readable(fd, SOON_MS));
    end(&bob);
}

static void wait_set_tells_of_it(enum place place)
{
    struct receiver bob = receive_as("bob", place, NULL);
    struct yoke_ready ready[2];
    yoke_set *set = NULL;

    catch_usr2(bob.inbox);
    must(yoke_set_create(&set));
    must(yoke_set_add(set, bob.inbox, &bob));
    for (int round = 0; round < 20; round++) {
        while (yoke_set_wait(set, ready, 2, YOKE_NOW) == 1) /* once too often at most */
            assert_none(bob.inbox);
        if (round % 2)
            must(yoke_signal_kill("bob", SIGUSR2));
        else
            must(yoke_signal_send(NULL, address("bob", place), 1, 0));
        assert_int_equal(must(yoke_set_wait(set, ready, 2, SOON_MS * MS)), 1);
        assert_int_equal(ready[0].what, YOKE_SET_ENDPOINT);
        assert_ptr_equal(ready[0].endpoint, bob.inbox);
        assert_ptr_equal(ready[0].user, &bob);
        recv_signal(bob.inbox);
    }
    yoke_set_close(set);
    end(&bob);
}

/* ---- several threads and processes ------------------------------------------------------------ */

#define SENDERS 4
#define EACH    2000

struct flood {
    enum place place;
    uint32_t number;
};

static int64_t send_many(void *context)
{
    const struct flood *flood = context;

    for (uint64_t i = 0; i < EACH;) {
        int result = yoke_signal_send(NULL, address("bob", flood->place), flood->number, i);

        if (result < 0 && result != -EAGAIN)
            return result;
        if (result == -EAGAIN)
            usleep(100); /* full: that is all this test's senders can do */
        else
            i++;
    }
    return 0;
}

static void threads_send_at_once_and_none_is_lost_or_out_of_order(enum place place)
{
    struct receiver bob = receive_as("bob", place, NULL);
    struct worker workers[SENDERS];
    struct flood floods[SENDERS];
    uint64_t next[SENDERS] = {0};

    for (uint32_t i = 0; i < SENDERS; i++) {
        floods[i] = (struct flood){place, i};
        worker_start(&workers[i], send_many, &floods[i]);
    }
    for (int i = 0; i < SENDERS * EACH; i++) {
        struct yoke_signal signal = recv_signal(bob.inbox);

        assert_true(signal.number < SENDERS);
        assert_int_equal(signal.value, next[signal.number]++);
    }
    for (int i = 0; i < SENDERS; i++)
        assert_int_equal(worker_join(&workers[i]), 0);
    assert_none(bob.inbox);
    end(&bob);
}

static int role_child(void *argument)
{
    struct flood *flood = argument;
    yoke_peer *other = join("carol");

    /* by what the parent had open, and by its own */
    must(yoke_signal_send(other, address("bob", flood->place), 2, 0));
    must(yoke_signal_send(NULL, address("bob", flood->place), 3, 0));
    yoke_peer_leave(other);
    return 0;
}

static struct receiver inherited;

static int role_has_inherited_an_inbox(void *argument)
{
    struct yoke_signal signal;
    yoke_endpoint *own = NULL;
    int signals[] = {SIGUSR2};

    (void)argument;
    must_fail(yoke_signal_recv(inherited.inbox, &signal, YOKE_NOW), EPERM);
    must_fail(yoke_signals_catch(inherited.inbox, signals, 1), EPERM);
    must_fail(yoke_fd(inherited.inbox), EPERM);
    must_fail(yoke_signals_open(&own, inherited.peer, 0, NULL), EADDRINUSE);
    must_fail(yoke_signal_send(inherited.peer, "bob", 1, 1), EADDRINUSE);
    must(yoke_close(inherited.inbox));
    return 0;
}

static void child_sends_as_itself_and_does_not_receive(enum place place)
{
    struct receiver bob = inherited = receive_as("bob", place, NULL);
    struct flood flood = {.place = place};
    pid_t child;

    must(yoke_signal_send(NULL, address("bob", place), 1, 0));
    child = role_start(role_child, &flood);
    assert_int_equal(role_wait(child, SOON_MS), 0);
    assert_int_equal(recv_signal(bob.inbox).pid, getpid());
    for (uint32_t number = 2; number <= 3; number++) {
        struct yoke_signal signal = recv_signal(bob.inbox);

        assert_int_equal(signal.number, number);
        assert_int_equal(signal.pid, child);
        assert_string_equal(signal.sender, number == 2 ? "carol" : "");
    }
    assert_int_equal(role_wait(role_start(role_has_inherited_an_inbox, NULL), SOON_MS), 0);
    must(yoke_signal_send(NULL, address("bob", place), 4, 0));
    assert_int_equal(recv_signal(bob.inbox).number, 4);
    end(&bob);
}

/* ---- UNIX signals ----------------------------------------------------------------------------- */

static void standard_ones_are_merged_and_marked_so(enum place place)
{
    struct receiver bob = receive_as("bob", place, NULL);
    const int signals[] = {SIGUSR2, SIGURG};
    struct yoke_signal signal;

    must(yoke_signals_catch(bob.inbox, signals, 2));
    must(yoke_signal_kill("bob", 0));
    assert_none(bob.inbox);
    for (int i = 0; i < 5; i++)
        must(yoke_signal_kill("peer:bob", SIGUSR2));
    signal = recv_signal(bob.inbox);
    assert_int_equal(signal.unix_signal, SIGUSR2);
    assert_int_equal(signal.number, SIGUSR2);
    assert_int_equal(signal.merged, 1);
    assert_int_equal(signal.value, 0);
    assert_int_equal(signal.pid, getpid());
    assert_int_equal(signal.uid, getuid());
    assert_int_equal(signal.origin, YOKE_SIGNAL_PROVEN);
    assert_string_equal(signal.sender, "");
    assert_none(bob.inbox);
    end(&bob);
}

static void queued_ones_come_each_with_its_value(enum place place)
{
    struct receiver bob = receive_as("bob", place, NULL);
    const int signals[] = {SIGRTMIN + 3};
    uint64_t values = sizeof(void *) == 8 ? UINT64_MAX - 100 : 1;

    must(yoke_signals_catch(bob.inbox, signals, 1));
    for (uint64_t i = 0; i < 50; i++)
        must(yoke_signal_queue("bob", SIGRTMIN + 3, values + i));
    for (uint64_t i = 0; i < 50; i++) {
        struct yoke_signal signal = recv_signal(bob.inbox);

        assert_int_equal(signal.unix_signal, SIGRTMIN + 3);
        assert_int_equal(signal.merged, 0);
        assert_true(signal.value == values + i);
        assert_int_equal(signal.pid, getpid());
        assert_int_equal(signal.origin, YOKE_SIGNAL_STATED); /* as who queues it says */
        assert_int_equal(signal.sequence, i);
    }
    assert_none(bob.inbox);
    end(&bob);
}

static void neither_kind_keeps_the_other_waiting(enum place place)
{
    struct receiver bob = receive_as("bob", place, NULL);
    const int signals[] = {SIGRTMIN};
    int own = 0, unix_signals = 0;

    must(yoke_signals_catch(bob.inbox, signals, 1));
    for (uint32_t i = 0; i < 8; i++) {
        must(yoke_signal_queue("bob", SIGRTMIN, i));
        must(yoke_signal_send(NULL, address("bob", place), i, 0));
    }
    for (int i = 0; i < 8; i++) {
        if (recv_signal(bob.inbox).unix_signal == SIGRTMIN)
            unix_signals++;
        else
            own++;
    }
    assert_int_equal(own, 4);
    assert_int_equal(unix_signals, 4);
    for (int i = 0; i < 8; i++)
        recv_signal(bob.inbox);
    assert_none(bob.inbox);
    end(&bob);
}

static void value_that_could_be_lost_is_refused(void **state)
{
    struct receiver bob = receive_as("bob", MEMORY, NULL);

    (void)state;
    must_fail(yoke_signal_queue("bob", SIGTERM, 1), EINVAL);
    assert_non_null(strstr(yoke_explain(), "SIGRTMIN"));
    must_fail(yoke_signal_queue("bob", SIGRTMAX + 1, 1), EINVAL);
    must_fail(yoke_signal_kill("bob", SIGRTMAX + 1), EINVAL);
    must_fail(yoke_signal_kill("bob", -1), EINVAL);
    end(&bob);
    must_fail(yoke_signal_kill("bob", SIGTERM), ENOENT);
    assert_non_null(strstr(yoke_explain(), "peer:bob"));
}

/* ---- what is refused -------------------------------------------------------------------------- */

static void bad_input_is_refused_and_changes_nothing(void **state)
{
    struct receiver bob = receive_as("bob", MEMORY, NULL);
    yoke_endpoint *port = port_make("p", NULL), *none = NULL;
    yoke_peer *carol = join("carol");
    struct yoke_options wrong = YOKE_OPTIONS_INIT, one = YOKE_OPTIONS_INIT;
    struct yoke_signal signal;
    const int bad[] = {SIGUSR2, SIGKILL}, zero[] = {0};
    char byte = 0, *before;

    (void)state;
    wrong.struct_size--;
    one.participants = 1;
    yoke_signal_send(NULL, "peer:nobody", 1, 1); /* what it makes once is there now */
    before = world_describe();
    must_fail(yoke_signals_open(NULL, carol, 0, NULL), EINVAL);
    must_fail(yoke_signals_open(&none, NULL, 0, NULL), EINVAL);
    must_fail(yoke_signals_open(&none, carol, 0x80, NULL), EINVAL);
    must_fail(yoke_signals_open(&none, carol, 0, &wrong), EINVAL);
    must_fail(yoke_signals_open(&none, carol, 0, &one), EINVAL);
    one.participants = YOKE_PARTICIPANTS_MAX + 1;
    must_fail(yoke_signals_open(&none, carol, 0, &one), EINVAL);
    one.participants = 0;
    one.depth = UINT32_MAX;
    must_fail(yoke_signals_open(&none, carol, 0, &one), EINVAL);
    must_fail(yoke_signals_open(&none, carol, YOKE_SIGNALS_KERNEL, &one), ENOTSUP);
    must_fail(yoke_signal_recv(NULL, &signal, YOKE_NOW), EINVAL);
    must_fail(yoke_signal_recv(port, &signal, YOKE_NOW), EINVAL);
    must_fail(yoke_signal_recv(bob.inbox, NULL, YOKE_NOW), EINVAL);
    must_fail(yoke_signal_recv(bob.inbox, &signal, -2), EINVAL);
    must_fail(yoke_signals_catch(port, zero, 1), EINVAL);
    must_fail(yoke_signals_catch(bob.inbox, NULL, 1), EINVAL);
    must_fail(yoke_signals_catch(bob.inbox, bad, 2), EINVAL);
    must_fail(yoke_signals_catch(bob.inbox, zero, 1), EINVAL);
    must_fail(yoke_signal_send(NULL, NULL, 1, 1), EINVAL);
    must_fail(yoke_signal_send(NULL, "", 1, 1), EINVAL);
    must_fail(yoke_signal_send(NULL, "peer:", 1, 1), EINVAL);
    must_fail(yoke_signal_send(NULL, "port:bob", 1, 1), EINVAL);
    must_fail(yoke_signal_send(NULL, "peer:a/b", 1, 1), EINVAL);
    must_fail(yoke_signal_send(NULL, "peer:bob@nowhere", 1, 1), ENOTSUP);
    must_fail(yoke_signal_send(NULL, "peer:bob@", 1, 1), EINVAL);
    must_fail(yoke_signal_kill(NULL, SIGTERM), EINVAL);
    must_fail(yoke_send(bob.inbox, "x", 1, YOKE_NOW), ENOTSUP);
    must_fail(yoke_recv(bob.inbox, &byte, 1, YOKE_NOW), ENOTSUP);
    must_fail(yoke_open(&none, "signals:bob", YOKE_CREATE, NULL), ENOTSUP);
    must_fail(yoke_remove("signals:bob"), ENOTSUP);
    assert_null(none);
    assert_none(bob.inbox);
    char *after = world_describe();
    assert_string_equal(before, after);
    free(before);
    free(after);
    yoke_peer_leave(carol);
    yoke_close(port);
    end(&bob);
}

/* What the peer's file names are is no secret: anybody who may write the socket can send anything. */
static void datagram_that_no_yoke_wrote_is_told_and_the_next_is_received(void **state)
{
    struct receiver bob = receive_as("bob", KERNEL, NULL);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct yoke_signal signal;
    char bytes[300];

    (void)state;
    struct sockaddr_storage self;
    socklen_t size = sizeof self;
    /* the only socket of this process that has a name */
    for (int i = 3; i < 100; i++) {
        size = sizeof self;
        if (getsockname(i, (struct sockaddr *)&self, &size) == 0 && self.ss_family == AF_UNIX &&
            size > sizeof self.ss_family)
            break;
        size = 0;
    }
    assert_true(size > 0);
    /* its path goes by a descriptor that is closed by now */
    const char *name = strrchr(((char *)&self) + sizeof self.ss_family, '/') + 1;
    struct {
        sa_family_t family;
        char path[108];
    } to = {.family = AF_UNIX};
    snprintf(to.path, sizeof to.path, "%s", name_path(name));
    memset(bytes, '/', sizeof bytes); /* in no name */
    for (size_t length = 0; length < sizeof bytes; length += 64) {
        assert_int_equal(sendto(fd, bytes, length, 0, (struct sockaddr *)&to, sizeof to), length);
        must(yoke_signal_send(NULL, "peer:bob@kernel", 5, length));
        must_fail(yoke_signal_recv(bob.inbox, &signal, YOKE_NOW), EPROTO);
        assert_int_equal(recv_signal(bob.inbox).value, length);
    }
    close(fd);
    end(&bob);
}

/* ---- all of them ------------------------------------------------------------------------------ */

#define IN_BOTH(name)                              \
    static void name##_in_memory(void **state)     \
    {                                              \
        (void)state;                               \
        name(MEMORY);                              \
    }                                              \
    static void name##_in_the_kernel(void **state) \
    {                                              \
        (void)state;                               \
        name(KERNEL);                              \
    }
#define BOTH(name) api_test(name##_in_memory), api_test(name##_in_the_kernel)

IN_BOTH(arrive_in_order_with_all_that_was_said)
IN_BOTH(full_inbox_refuses_and_says_so_and_keeps_what_it_has)
IN_BOTH(who_is_not_there_and_who_takes_none_are_told_apart)
IN_BOTH(inbox_is_one_keeps_the_name_and_takes_along_what_waits)
IN_BOTH(each_of_many_gets_its_own)
IN_BOTH(names_of_full_length_arrive_whole)
IN_BOTH(sleeper_is_woken_cancelled_and_closed)
IN_BOTH(signal_handler_ends_the_wait)
IN_BOTH(descriptor_is_readable_while_there_is_a_signal)
IN_BOTH(wait_set_tells_of_it)
IN_BOTH(threads_send_at_once_and_none_is_lost_or_out_of_order)
IN_BOTH(child_sends_as_itself_and_does_not_receive)
IN_BOTH(standard_ones_are_merged_and_marked_so)
IN_BOTH(queued_ones_come_each_with_its_value)
IN_BOTH(neither_kind_keeps_the_other_waiting)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(arrive_in_order_with_all_that_was_said),
        BOTH(full_inbox_refuses_and_says_so_and_keeps_what_it_has),
        BOTH(who_is_not_there_and_who_takes_none_are_told_apart),
        BOTH(inbox_is_one_keeps_the_name_and_takes_along_what_waits),
        BOTH(each_of_many_gets_its_own),
        BOTH(names_of_full_length_arrive_whole),
        BOTH(sleeper_is_woken_cancelled_and_closed),
        BOTH(signal_handler_ends_the_wait),
        BOTH(descriptor_is_readable_while_there_is_a_signal),
        BOTH(wait_set_tells_of_it),
        BOTH(threads_send_at_once_and_none_is_lost_or_out_of_order),
        BOTH(child_sends_as_itself_and_does_not_receive),
        BOTH(standard_ones_are_merged_and_marked_so),
        BOTH(queued_ones_come_each_with_its_value),
        BOTH(neither_kind_keeps_the_other_waiting),
        api_test(value_that_could_be_lost_is_refused),
        api_test(bad_input_is_refused_and_changes_nothing),
        api_test(datagram_that_no_yoke_wrote_is_told_and_the_next_is_received),
    };

    return cmocka_run_group_tests_name("signals", tests, api_setup, NULL);
}
