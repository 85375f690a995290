/*
 * descriptor_test.c - descriptors between processes: no message and no death is missed through one.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../api/api.h"

enum kind { PORT, LINK, PAIR, KINDS };

/* A pair's descriptors; made before the forks. */
static int ends[2];

static yoke_endpoint *open_receiver(enum kind kind)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;
    yoke_endpoint *endpoint;

    options.depth = 64;
    if (kind == PORT)
        return port_make("rung", &options);
    if (kind == LINK)
        return link_make("bob", "alice", &options);
    must(yoke_pair(ends, &options));
    must(yoke_open_descriptor(&endpoint, ends[1], NULL));
    close(ends[1]);
    return endpoint;
}

static yoke_endpoint *open_sender(enum kind kind)
{
    yoke_endpoint *endpoint;

    if (kind == PORT)
        return port_join("rung");
    if (kind == LINK)
        return link_join("alice", "bob");
    must(yoke_open_descriptor(&endpoint, ends[0], NULL));
    return endpoint;
}

/* What a dead sender left of its name. */
static void clear_sender(enum kind kind)
{
    yoke_peer *alice;

    if (kind == PAIR)
        close(ends[0]);
    if (kind != LINK)
        return;
    must(yoke_peer_join(&alice, "alice", NULL));
    yoke_peer_leave(alice);
}

static int watch(int fd)
{
    int epoll = epoll_create1(EPOLL_CLOEXEC);

    assert_true(epoll >= 0);
    assert_int_equal(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &(struct epoll_event){.events = EPOLLIN}),
                     0);
    return epoll;
}

/* False: never. */
static bool becomes_readable(int epoll)
{
    struct epoll_event event;

    return epoll_wait(epoll, &event, 1, SOON_MS) == 1;
}

/* ---- no message is missed -------------------------------------------------------------------- */

/*
 * Senders wait until what they sent was received before they go on, so that a ring that is lost is not made up
 * for by the next message: then nothing moves any more.
 */
#define SENDERS 3
#define ROUNDS  1500

struct traffic {
    enum kind kind;
    int senders;
    bool drains; /* until -EAGAIN; else one message for each time that it is readable */
    struct {
        _Alignas(128) atomic_uint received;
    } * from; /* shared */
};

static uint32_t random_below(uint32_t *state, uint32_t limit)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state % limit;
}

/* Anything from nothing to some microseconds, now and then more. */
static void pause_a_little(uint32_t *random)
{
    uint32_t what = random_below(random, 64);

    if (what == 0)
        nanosleep(&(struct timespec){.tv_nsec = 20000}, NULL);
    else if (what < 8)
        sched_yield();
    else
        for (volatile uint32_t i = random_below(random, 1u << what % 12); i > 0; i--)
            ;
}

static void await_reception(const struct traffic *traffic, uint64_t sender, uint32_t sent)
{
    int64_t end = now_ns() + SOON_MS * MS;

    while (atomic_load(&traffic->from[sender].received) != sent) {
        if (now_ns() > end)
            fail_msg(
                "sender %d: of %u messages %u were received, and the descriptor is not readable",
                (int)sender, sent, atomic_load(&traffic->from[sender].received));
        sched_yield();
    }
}

static void send_all(const struct traffic *traffic, uint64_t sender)
{
    yoke_endpoint *endpoint = open_sender(traffic->kind);
    uint32_t random = (uint32_t)(test_seed() * 977 + sender + 1), sent = 0;

    for (int round = 0; round < ROUNDS; round++) {
        for (uint32_t burst = 1 + random_below(&random, 4); burst > 0; burst--) {
            send_number(endpoint, sender << 32 | sent++);
            pause_a_little(&random);
        }
        await_reception(traffic, sender, sent);
    }
    send_number(endpoint, UINT64_MAX);
    yoke_close(endpoint);
}

struct sender {
    const struct traffic *traffic;
    uint64_t number;
};

static int role_sends(void *argument)
{
    struct sender *sender = argument;

    send_all(sender->traffic, sender->number);
    return 0;
}

/* How many senders are through, by this message. */
static int take(const struct traffic *traffic, uint64_t number)
{
    if (number == UINT64_MAX)
        return 1;
    assert_in_range(number >> 32, 0, (uint64_t)traffic->senders - 1);
    assert_int_equal(atomic_load(&traffic->from[number >> 32].received), (uint32_t)number);
    atomic_fetch_add(&traffic->from[number >> 32].received, 1);
    return 0;
}

static void receive_all(const struct traffic *traffic, yoke_endpoint *receiver)
{
    int epoll = watch((int)must(yoke_fd(receiver))), through = 0;
    uint32_t random = (uint32_t)test_seed() * 31 + 7;

    while (through < traffic->senders) {
        uint64_t number;
        ssize_t result;

        if (!becomes_readable(epoll))
            fail_msg("the descriptor was not readable for %d ms: a ring was lost", SOON_MS);
        do {
            result = yoke_recv(receiver, &number, sizeof number, YOKE_NOW);
            if (result == sizeof number)
                through += take(traffic, number);
            else if (result != -EAGAIN && result != -EPIPE)
                must(result);
            pause_a_little(&random);
        } while (traffic->drains && result > 0);
    }
    close(epoll);
}

static void run_traffic(enum kind kind, int senders, bool drains)
{
    struct traffic traffic = {.kind = kind, .senders = senders, .drains = drains};
    size_t size = sizeof *traffic.from * SENDERS;
    yoke_endpoint *receiver = open_receiver(kind);
    struct sender roles[SENDERS];
    pid_t pids[SENDERS];

    traffic.from = shared_new(size);
    for (int i = 0; i < senders; i++) {
        roles[i] = (struct sender){&traffic, (uint64_t)i};
        pids[i] = role_start(role_sends, &roles[i]);
    }
    receive_all(&traffic, receiver);
    for (int i = 0; i < senders; i++)
        assert_int_equal(role_wait(pids[i], SOON_MS), 0);
    shared_drop(traffic.from, size);
    if (kind == PAIR)
        close(ends[0]);
    yoke_close(receiver);
}

static void no_message_of_a_port_is_missed(void **state)
{
    (void)state;
    for (int senders = 1; senders <= SENDERS; senders++) {
        run_traffic(PORT, senders, true);
        run_traffic(PORT, senders, false);
    }
}

static void no_message_of_a_link_is_missed(void **state)
{
    (void)state;
    run_traffic(LINK, 1, true);
    run_traffic(LINK, 1, false);
}

static void no_message_of_a_pair_is_missed(void **state)
{
    (void)state;
    run_traffic(PAIR, 1, true);
    run_traffic(PAIR, 1, false);
}

/* The same over a peer's descriptor: three links, and newcomers. */
static int role_sends_over_a_link(void *argument)
{
    static const char *const names[SENDERS] = {"alice", "carol", "dave"};
    struct sender *sender = argument;
    yoke_endpoint *link = link_make(names[sender->number], "bob", NULL);
    uint32_t random = (uint32_t)(test_seed() * 977 + sender->number + 1), sent = 0;

    for (int round = 0; round < ROUNDS; round++) {
        send_number(link, sender->number << 32 | sent++);
        pause_a_little(&random);
        await_reception(sender->traffic, sender->number, sent);
    }
    yoke_close(link);
    return 0;
}

static void no_message_to_a_peer_is_missed(void **state)
{
    struct traffic traffic = {.kind = LINK, .senders = SENDERS};
    size_t size = sizeof *traffic.from * SENDERS;
    struct sender roles[SENDERS];
    pid_t pids[SENDERS];
    yoke_endpoint *link;
    yoke_peer *bob;
    int epoll, left = 0;

    (void)state;
    traffic.from = shared_new(size);
    must(yoke_peer_join(&bob, "bob", NULL));
    epoll = watch((int)must(yoke_peer_fd(bob)));
    for (int i = 0; i < SENDERS; i++) {
        roles[i] = (struct sender){&traffic, (uint64_t)i};
        pids[i] = role_start(role_sends_over_a_link, &roles[i]);
    }
    while (left < SENDERS) {
        uint64_t number;
        int what;

        if (!becomes_readable(epoll))
            fail_msg("the peer's descriptor was not readable for %d ms", SOON_MS);
        what = yoke_peer_next(bob, &link, YOKE_NOW);
        if (what == -EAGAIN)
            continue;
        if (must(what) != YOKE_NEXT_READY)
            continue;
        ssize_t result = yoke_recv(link, &number, sizeof number, YOKE_NOW);
        if (result == sizeof number) {
            take(&traffic, number);
        } else if (result == -EPIPE) {
            yoke_close(link);
            left++;
        } else {
            assert_int_equal(result, -EAGAIN);
        }
    }
    for (int i = 0; i < SENDERS; i++)
        assert_int_equal(role_wait(pids[i], SOON_MS), 0);
    close(epoll);
    yoke_peer_leave(bob);
    shared_drop(traffic.from, size);
}

/* ---- no death is missed ---------------------------------------------------------------------- */

enum sort { PLAIN, THREADED, WITH_CHILD, WITH_UNHANDLED_CHILD, IN_PID_NAMESPACE, SORTS };

struct victim {
    enum kind kind;
    enum sort sort;
    struct baton ready;
    pid_t *child; /* shared: of the victim; as its parent sees it */
};

static void *wait_for_ever(void *context)
{
    for (;;)
        pause();
    return context;
}

static void add_threads(void)
{
    for (int i = 0; i < 4; i++) {
        pthread_t thread;

        assert_int_equal(pthread_create(&thread, NULL, wait_for_ever, NULL), 0);
    }
}

/* The other side of a link, or who holds a message of a port. */
static void be_someone(const struct victim *victim)
{
    yoke_endpoint *endpoint;
    const void *message;

    if (victim->sort == THREADED)
        add_threads();
    endpoint = open_sender(victim->kind);
    if (victim->kind == PORT)
        must(yoke_borrow(endpoint, &message, SOON_MS * MS));
    if (victim->sort == WITH_CHILD || victim->sort == WITH_UNHANDLED_CHILD) {
        pid_t child = victim->sort == WITH_CHILD ? fork() : _Fork();

        if (child == 0)
            wait_for_ever(NULL);
        *victim->child = child;
    }
    baton_pass(&victim->ready);
    wait_for_ever(NULL);
}

/* Its first child is process 1 of a namespace; this one stays outside, and is who is killed: they die together. */
static int role_is_killed(void *argument)
{
    struct victim *victim = argument;

    if (victim->sort != IN_PID_NAMESPACE)
        be_someone(victim);
    if (unshare(CLONE_NEWPID) != 0)
        return 77;
    if (fork() == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        be_someone(victim);
    }
    wait_for_ever(NULL);
    return 0;
}

static void reap(pid_t pid)
{
    if (waitpid(pid, NULL, 0) != pid)
        fail_msg("process %d is not there to be reaped", pid);
}

/* The word that receiving is to say; a message comes again. */
static void assert_tells(yoke_endpoint *receiver, enum kind kind)
{
    int epoll = watch((int)must(yoke_fd(receiver)));
    struct yoke_message message;
    uint64_t number;
    ssize_t result;

    do {
        if (!becomes_readable(epoll))
            fail_msg("the descriptor was not readable for %d ms after a death", SOON_MS);
        message = (struct yoke_message){.data = &number, .capacity = sizeof number};
        result = yoke_recv_many(receiver, &message, 1, YOKE_NOW);
    } while (result == -EAGAIN);
    if (kind == PORT) {
        assert_int_equal(must(result), 1);
        assert_int_equal(message.deliveries, 2);
    } else {
        must_fail(result, EOWNERDEAD);
    }
    close(epoll);
}

static void let_die(struct victim *victim)
{
    yoke_endpoint *receiver = open_receiver(victim->kind);
    uint64_t number;
    pid_t pid;

    must(yoke_fd(receiver));
    if (victim->kind == PORT)
        send_number(receiver, 1);
    pid = role_start(role_is_killed, victim);
    baton_take(&victim->ready);
    must_fail(yoke_recv(receiver, &number, sizeof number, YOKE_NOW), EAGAIN);
    role_kill(pid);
    if (victim->sort ==
        WITH_UNHANDLED_CHILD) { /* it has the lock, too, and so counts as the same */
        must_fail(yoke_recv(receiver, &number, sizeof number, 150 * MS), ETIMEDOUT);
        kill(*victim->child, SIGKILL);
        reap(*victim->child);
    }
    assert_tells(receiver, victim->kind);
    if (victim->sort == WITH_CHILD) {
        kill(*victim->child, SIGKILL);
        reap(*victim->child);
    }
    if (victim->sort == IN_PID_NAMESPACE)
        assert_true(wait(NULL) > 0);
    yoke_close(receiver);
    clear_sender(victim->kind);
}

static void let_all_kinds_die(enum sort sort)
{
    struct victim victim = {.sort = sort, .child = shared_new(sizeof *victim.child)};

    prctl(PR_SET_CHILD_SUBREAPER, 1);
    baton_make(&victim.ready);
    for (victim.kind = PORT; victim.kind < KINDS; victim.kind++)
        let_die(&victim);
    baton_drop(&victim.ready);
    prctl(PR_SET_CHILD_SUBREAPER, 0);
    shared_drop(victim.child, sizeof *victim.child);
}

static void death_is_told(void **state)
{
    (void)state;
    let_all_kinds_die(PLAIN);
}

static void death_with_threads_is_told(void **state)
{
    (void)state;
    let_all_kinds_die(THREADED);
}

static void death_with_a_living_child_is_told(void **state)
{
    (void)state;
    let_all_kinds_die(WITH_CHILD);
}

static void death_with_a_child_that_has_its_locks_is_told_when_that_ends(void **state)
{
    (void)state;
    let_all_kinds_die(WITH_UNHANDLED_CHILD);
}

static int role_may_have_a_pid_namespace(void *argument)
{
    (void)argument;
    return unshare(CLONE_NEWPID) == 0 ? 0 : 77;
}

static void death_in_another_pid_namespace_is_told(void **state)
{
    (void)state;
    if (role_wait(role_start(role_may_have_a_pid_namespace, NULL), SOON_MS) != 0)
        skip_test("a PID namespace can not be had: %s", "that takes root");
    let_all_kinds_die(IN_PID_NAMESPACE);
}

/* Two at once: who finds one of them is to find the other one, too. */
static int role_holds_one(void *argument)
{
    yoke_endpoint *port = port_join("rung");
    const void *message;

    must(yoke_borrow(port, &message, SOON_MS * MS));
    baton_pass(argument);
    pause();
    return 0;
}

static void many_deaths_at_once_are_all_told(void **state)
{
    enum { MANY = 8 };
    yoke_endpoint *receiver = open_receiver(PORT);
    int epoll = watch((int)must(yoke_fd(receiver))), got = 0;
    struct baton ready;
    pid_t pids[MANY];

    (void)state;
    baton_make(&ready);
    for (int round = 0; round < 10; round++) {
        uint64_t number;

        for (int i = 0; i < MANY; i++) {
            send_number(receiver, 1);
            pids[i] = role_start(role_holds_one, &ready);
            baton_take(&ready);
        }
        must_fail(yoke_recv(receiver, &number, sizeof number, YOKE_NOW), EAGAIN);
        for (int i = 0; i < MANY; i++)
            kill(pids[i], SIGKILL);
        for (got = 0; got < MANY;) {
            if (!becomes_readable(epoll))
                fail_msg("of %d messages of the dead only %d came", MANY, got);
            got += yoke_recv(receiver, &number, sizeof number, YOKE_NOW) == sizeof number;
        }
        for (int i = 0; i < MANY; i++)
            reap(pids[i]);
    }
    close(epoll);
    baton_drop(&ready);
    yoke_close(receiver);
}

/* ---- where the newer calls are forbidden ------------------------------------------------------ */

static void forbid_newer_calls(void)
{
#define FORBID(number)                                   \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (number), 0, 1), \
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS)
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        FORBID(425), /* io_uring_setup, _enter, _register */
        FORBID(426),
        FORBID(427),
        FORBID(441), /* epoll_pwait2 */
        FORBID(449), /* futex_waitv */
        FORBID(454), /* futex_wake, _wait, _requeue */
        FORBID(455),
        FORBID(456),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof filter / sizeof *filter, .filter = filter};

    assert_int_equal(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        fail_msg("no seccomp filter: %s", strerror(errno));
    assert_int_equal(syscall(425, 1, NULL), -1);
    assert_int_equal(errno, ENOSYS);
}

static int role_works_without_them(void *argument)
{
    (void)argument;
    forbid_newer_calls();
    for (enum kind kind = PORT; kind < KINDS; kind++)
        run_traffic(kind, 1, true);
    let_all_kinds_die(PLAIN);
    return 0;
}

static void all_of_it_works_where_io_uring_and_newer_calls_are_forbidden(void **state)
{
    (void)state;
    assert_int_equal(role_wait(role_start(role_works_without_them, NULL), 3 * SOON_MS), 0);
}

/* A program that has closed its standard descriptors, and goes on talking. */
static void talk(void)
{
    static const char words[] = "what nobody should have to read\n";

    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        (void)!write(fd, words, sizeof words - 1);
}

static int role_sends_in_silence(void *argument)
{
    yoke_endpoint *const *ports = argument;
    bool sent = true;

    talk();
    for (int i = 0; i < 4; i++) {
        sent = sent && yoke_send(ports[i], "x", 1, YOKE_NOW) == 0;
        talk();
    }
    return sent ? 0 : 1;
}

/* Assertions would be silent, too: what failed is told by the number. */
static int role_works_in_silence(void *argument)
{
    yoke_endpoint *ports[4], *end;
    const int *pair = argument;

    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        close(fd);
    for (int i = 0; i < 4; i++) {
        char address[] = "port:silent0";
        address[strlen(address) - 1] = (char)('0' + i);
        if (yoke_open(&ports[i], address, 0, NULL) < 0)
            return 1;
        talk();
    }
    for (int i = 0; i < 2; i++) {
        if (yoke_open_descriptor(&end, pair[i], NULL) < 0)
            return 2;
        talk();
    }
    return role_wait(role_start(role_sends_in_silence, ports), SOON_MS) == 0 ? 0 : 3;
}

static void what_is_said_where_standard_descriptors_are_closed_is_written_into_nothing(void **state)
{
    const struct yoke_options small = {sizeof small, 64, 8, 0, 8, 0, 0, 0, 1, 0, -1, -1, NULL, 0};
    yoke_endpoint *keepers[4], *end, *other;
    char name[] = "silent0";
    int pair[2];

    (void)state;
    for (int i = 0; i < 4; i++) {
        name[strlen(name) - 1] = (char)('0' + i);
        keepers[i] = port_make(name, &small);
    }
    must(yoke_pair(pair, NULL));
    assert_int_equal(role_wait(role_start(role_works_in_silence, pair), SOON_MS), 0);
    for (int i = 0; i < 4; i++) {
        name[strlen(name) - 1] = (char)('0' + i);
        other = port_join(name);
        yoke_close(other);
        yoke_close(keepers[i]);
    }
    for (int i = 0; i < 2; i++) {
        must(yoke_open_descriptor(&end, pair[i], NULL));
        yoke_close(end);
        close(pair[i]);
    }
}

static bool standard_ones_are_closed(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) != -1)
            return false;
    }
    return true;
}

/* A program that has closed its standard descriptors, and makes one of each. Told by the number, as above. */
static int role_makes_all_in_silence(void *unused)
{
    static const char *const addresses[] = {"port:told", "stream:told", "port:told@kernel",
                                            "stream:told@kernel"};
    const struct yoke_options small = {sizeof small, 64, 4, 0, 0, 0, 0, 0, 0, 0, -1, -1, NULL, 0};
    yoke_endpoint *endpoints[5], *accepted;
    yoke_peer *peer;
    yoke_set *set;

    (void)unused;
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        close(fd);
    for (int i = 0; i < 4; i++) {
        uint32_t flags = YOKE_CREATE | (i % 2 ? YOKE_READ : 0);
        if (yoke_open(&endpoints[i], addresses[i], flags, i % 2 ? NULL : &small) < 0 ||
            yoke_fd(endpoints[i]) < 0 || !standard_ones_are_closed())
            return 1 + i;
    }
    if (yoke_set_create(&set) < 0 || yoke_set_add_timer(set, MS, MS, NULL) < 0 ||
        !standard_ones_are_closed())
        return 5;
    if (yoke_peer_join(&peer, "told", NULL) < 0 || yoke_peer_fd(peer) < 0 ||
        yoke_peer_accept(peer, &accepted, NULL, MS) != -ETIMEDOUT || !standard_ones_are_closed())
        return 6;
    if (yoke_signals_open(&endpoints[4], peer, YOKE_SIGNALS_KERNEL, NULL) < 0 ||
        yoke_signals_catch(endpoints[4], &(int){SIGUSR1}, 1) < 0 || yoke_fd(endpoints[4]) < 0 ||
        !standard_ones_are_closed())
        return 7;
    for (int i = 0; i < 5; i++)
        yoke_close(endpoints[i]);
    yoke_set_close(set);
    yoke_peer_leave(peer);
    return 0;
}

static void no_descriptor_has_the_number_of_a_standard_one(void **state)
{
    (void)state;
    assert_int_equal(role_wait(role_start(role_makes_all_in_silence, NULL), SOON_MS), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        api_test(no_message_of_a_port_is_missed),
        api_test(no_message_of_a_link_is_missed),
        api_test(no_message_of_a_pair_is_missed),
        api_test(no_message_to_a_peer_is_missed),
        api_test(death_is_told),
        api_test(death_with_threads_is_told),
        api_test(death_with_a_living_child_is_told),
        api_test(death_with_a_child_that_has_its_locks_is_told_when_that_ends),
        api_test(death_in_another_pid_namespace_is_told),
        api_test(many_deaths_at_once_are_all_told),
        api_test(all_of_it_works_where_io_uring_and_newer_calls_are_forbidden),
        api_test(what_is_said_where_standard_descriptors_are_closed_is_written_into_nothing),
        api_test(no_descriptor_has_the_number_of_a_standard_one),
    };

    return cmocka_run_group_tests(tests, api_setup, NULL);
}
