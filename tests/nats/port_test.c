/*
 * port_test.c - what ports on NATS promise beside what all ports do (conformance_test.c): a dead receiver's
 * message, parked ones, messages in doubt, ids. Runs beside a nats-server of its own (with_server.py).
 */
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../api/api.h"

#define ACK_WAIT_S 2 /* how long a receiver may be silent here */

/* Each test, which is a process, has a prefix of its own. */
static const char *address(const char *name)
{
    static char text[4][256];
    static unsigned next;
    static int pid;
    char *here = text[next++ % 4];

    pid = pid ? pid : (int)getpid();
    snprintf(here, sizeof text[0], "port:%s@%s/test%d?ack_wait=%d", name, getenv("YOKE_NATS_URL"),
             pid, ACK_WAIT_S);
    return here;
}

static yoke_endpoint *make(const char *name, const struct yoke_options *options)
{
    yoke_endpoint *port;

    must(yoke_open(&port, address(name), YOKE_CREATE, options));
    return port;
}

static void signal_server(int number)
{
    const char *pid = getenv("YOKE_NATS_PID");

    if (!pid || kill(atoi(pid), number) < 0)
        fail_msg("no server to send signal %d to", number);
}

/* The stop reaches one thread after the other. */
static bool is_all_stopped(const char *pid)
{
    char path[64], line[512];
    bool all = true;

    snprintf(path, sizeof path, "/proc/%s/task", pid);
    DIR *tasks = opendir(path);
    for (struct dirent *task; tasks && (task = readdir(tasks)) != NULL;) {
        if (task->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "/proc/%s/task/%.16s/stat", pid, task->d_name);
        FILE *file = fopen(path, "re");
        const char *end = file && fgets(line, sizeof line, file) ? strrchr(line, ')') : NULL;
        all = all && end && end[2] == 'T';
        if (file)
            fclose(file);
    }
    if (tasks)
        closedir(tasks);
    return all;
}

static void stop_server(void)
{
    int64_t give_up = now_ns() + SOON_MS * MS;

    signal_server(SIGSTOP);
    while (!is_all_stopped(getenv("YOKE_NATS_PID")) && now_ns() < give_up)
        sched_yield();
}

/* ---- dead receivers ---- */

struct holder {
    struct baton holds;
};

static int role_holds(void *context)
{
    struct holder *holder = context;
    const void *message;
    yoke_endpoint *port = make("jobs", NULL);

    must(yoke_borrow(port, &message, LONG_WAIT));
    baton_pass(&holder->holds);
    pause();
    return 1;
}

static void what_a_killed_receiver_held_comes_again_marked(void **state)
{
    yoke_endpoint *port = make("jobs", NULL);
    struct holder holder;
    struct yoke_message message;

    (void)state;
    send_number(port, 7);
    baton_make(&holder.holds);
    pid_t pid = role_start(role_holds, &holder);
    baton_take(&holder.holds);
    role_kill(pid);
    borrow_details(port, &message);
    assert_int_equal(*(const uint64_t *)message.data, 7);
    assert_int_equal(message.deliveries, 2);
    assert_int_equal(message.flags, YOKE_MESSAGE_AGAIN);
    must(yoke_release(port, message.data));
    must_fail(yoke_borrow(port, &(const void *){NULL}, YOKE_NOW), EAGAIN);
    yoke_close(port);
    baton_drop(&holder.holds);
}

static void who_works_for_long_keeps_the_message(void **state)
{
    yoke_endpoint *port = make("jobs", NULL), *other = make("jobs", NULL);
    struct yoke_message message;

    (void)state;
    send_number(port, 7);
    borrow_details(port, &message);
    must_fail(yoke_borrow(other, &(const void *){NULL}, 3 * ACK_WAIT_S * 1000 * MS), ETIMEDOUT);
    must(yoke_release(port, message.data));
    yoke_close(other);
    yoke_close(port);
}

static void what_is_closed_gives_back_at_once(void **state)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;
    yoke_endpoint *port = make("jobs", &options), *other = make("jobs", NULL);
    struct yoke_message message;

    (void)state;
    for (uint64_t i = 0; i < 3; i++)
        send_number(port, i);
    for (int i = 0; i < 3; i++)
        borrow_details(other, &message);
    yoke_close(other);
    for (uint64_t i = 0; i < 3; i++) {
        borrow_details(port, &message);
        assert_int_equal(message.deliveries, 2);
        must(yoke_release(port, message.data));
    }
    must_fail(yoke_borrow(port, &(const void *){NULL}, YOKE_NOW), EAGAIN);
    yoke_close(port);
}

static void what_comes_back_too_often_is_parked(void **state)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;
    struct yoke_message message;
    yoke_endpoint *parked;

    (void)state;
    options.max_deliveries = 3;
    yoke_endpoint *port = make("jobs", &options);
    send_details(port, "bad", 3, 0, 99);
    for (uint32_t i = 1; i <= 3; i++) {
        borrow_details(port, &message);
        assert_int_equal(message.deliveries, i);
        must(yoke_return(port, message.data));
    }
    uint64_t sequence = message.sequence;
    must(yoke_open(&parked, address("jobs"), YOKE_PARKED, NULL));
    /* whoever asks next is given it, and parks it */
    must_fail(yoke_borrow(port, &(const void *){NULL}, 100 * MS), ETIMEDOUT);
    borrow_details(parked, &message);
    assert_int_equal(message.size, 3);
    assert_memory_equal(message.data, "bad", 3);
    assert_int_equal(message.tag, 99);
    assert_int_equal(message.sequence, sequence);
    assert_int_equal(message.deliveries, 3);
    must(yoke_release(parked, message.data));
    must_fail(yoke_borrow(parked, &(const void *){NULL}, YOKE_NOW), EAGAIN);
    must_fail(yoke_borrow(port, &(const void *){NULL}, YOKE_NOW), EAGAIN);
    yoke_close(parked);
    yoke_close(port);
}

/* ---- ids and doubts ---- */

static void sent_again_in_the_same_name_it_is_there_once(void **state)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;
    char x = 'x';
    struct yoke_message message = {.data = &x, .size = 1, .sequence = 41};
    struct yoke_message got = {.data = NULL};

    (void)state;
    options.as = "billing-7";
    yoke_endpoint *stays = make("jobs", NULL);
    for (int i = 0; i < 3; i++) {
        yoke_endpoint *port = make("jobs", &options);
        assert_int_equal(must(yoke_send_many(port, &message, 1, LONG_WAIT)), 1);
        yoke_close(port);
    }
    message.sequence = 42;
    yoke_endpoint *port = make("jobs", &options);
    assert_int_equal(must(yoke_send_many(port, &message, 1, LONG_WAIT)), 1);
    yoke_close(port);
    for (int i = 0; i < 2; i++) {
        borrow_details(stays, &got);
        must(yoke_release(stays, got.data));
    }
    must_fail(yoke_borrow(stays, &(const void *){NULL}, YOKE_NOW), EAGAIN);
    yoke_close(stays);
}

static void in_doubt_and_sent_again_it_is_there_once(void **state)
{
    yoke_endpoint *port = make("jobs", NULL);
    uint64_t number = 5;

    (void)state;
    stop_server();
    for (int i = 0; i < 3; i++)
        must_fail(yoke_send(port, &number, sizeof number, 100 * MS), ECOMM);
    assert_non_null(strstr(yoke_explain(), "port:jobs"));
    signal_server(SIGCONT);
    must(yoke_send(port, &number, sizeof number, LONG_WAIT));
    number = 6;
    must(yoke_send(port, &number, sizeof number, LONG_WAIT));
    must(yoke_send(port, &number, sizeof number,
                   LONG_WAIT)); /* not in doubt: another one, if the same */
    assert_int_equal(recv_number(port, LONG_WAIT), 5);
    assert_int_equal(recv_number(port, LONG_WAIT), 6);
    assert_int_equal(recv_number(port, LONG_WAIT), 6);
    must_fail(yoke_recv(port, &number, sizeof number, YOKE_NOW), EAGAIN);
    yoke_close(port);
}

static void many_go_and_come_whole_and_in_order(void **state)
{
    enum { COUNT = 5000, AT_ONCE = 64 };
    struct yoke_message messages[AT_ONCE];
    static uint64_t numbers[AT_ONCE];
    uint64_t sent = 0, received = 0;
    yoke_endpoint *port = make("jobs", NULL);

    (void)state;
    while (received < COUNT) {
        for (uint64_t i = 0; i < AT_ONCE; i++) {
            numbers[i] = sent + i;
            messages[i] = (struct yoke_message){.data = &numbers[i], .size = 8};
        }
        if (sent < COUNT)
            sent += (uint64_t)must(yoke_send_many(port, messages, AT_ONCE, LONG_WAIT));
        for (uint64_t i = 0; i < AT_ONCE; i++)
            messages[i] = (struct yoke_message){.data = &numbers[i], .capacity = 8};
        ssize_t count = must(yoke_recv_many(port, messages, AT_ONCE, LONG_WAIT));
        for (ssize_t i = 0; i < count; i++)
            assert_int_equal(numbers[i], received++);
    }
    yoke_close(port);
}

/* ---- removed and refused ---- */

/* It thinks that there is room, by what it asked just before the other one filled it. */
static void many_that_find_no_room_after_all_are_told_so(void **state)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;
    char job[] = "job";
    struct yoke_message messages[64];
    ssize_t sent = 0;

    (void)state;
    options.depth = 64;
    yoke_endpoint *sender = make("jobs", &options), *other = make("jobs", NULL);
    for (size_t i = 0; i < 64; i++)
        messages[i] = (struct yoke_message){.data = job, .size = 3};
    assert_int_equal(yoke_send_many(sender, messages, 4, LONG_WAIT), 4);
    for (size_t filled = 4; filled < 64; filled += (size_t)sent)
        must(sent = yoke_send_many(other, messages, 64 - filled, LONG_WAIT));
    must_fail(yoke_send_many(sender, messages, 8, 0), EAGAIN);
    must_fail(yoke_send_many(sender, messages, 8, 50 * MS), ETIMEDOUT);
    yoke_close(sender);
    yoke_close(other);
}

static void a_removed_port_says_so_to_who_has_it_open(void **state)
{
    yoke_endpoint *port = make("jobs", NULL);

    (void)state;
    must(yoke_remove(address("jobs")));
    must_fail(yoke_send(port, "x", 1, LONG_WAIT), ENOENT);
    yoke_endpoint *next = make("jobs", NULL); /* of the same name, and another one */
    must(yoke_send(next, "y", 1, LONG_WAIT));
    must_fail(yoke_send(port, "x", 1, LONG_WAIT), ENOENT);
    yoke_close(port);
    char byte;
    must(yoke_recv(next, &byte, 1, LONG_WAIT));
    assert_int_equal(byte, 'y');
    yoke_close(next);
}

static void a_receiver_of_a_removed_port_does_not_wait_for_ever(void **state)
{
    yoke_endpoint *port = make("jobs", NULL);
    char byte;

    (void)state;
    must(yoke_remove(address("jobs")));
    must_fail(yoke_recv(port, &byte, 1, LONG_WAIT), ENOENT);
    yoke_close(port);
}

/* ---- a new place ---- */

#define COMERS     3
#define NEW_PLACES 40

static int role_comes(void *context)
{
    pthread_barrier_t *together = context;
    int parent = (int)getppid();
    char text[256];
    yoke_endpoint *port;

    for (int i = 0; i < NEW_PLACES; i++) {
        snprintf(text, sizeof text, "port:jobs@%s/new%d-%d", getenv("YOKE_NATS_URL"), parent, i);
        pthread_barrier_wait(together);
        must(yoke_open(&port, text, YOKE_CREATE, NULL));
        must(yoke_close(port));
    }
    return 0;
}

/* A server that is asked for a message of a stream that it is only just making dies of it. */
static void who_come_to_a_new_place_at_once_all_find_it(void **state)
{
    pthread_barrier_t *together = shared_new(sizeof *together);
    pthread_barrierattr_t attributes;
    pid_t comers[COMERS];

    (void)state;
    pthread_barrierattr_init(&attributes);
    pthread_barrierattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_barrier_init(together, &attributes, COMERS);
    for (int i = 0; i < COMERS; i++)
        comers[i] = role_start(role_comes, together);
    for (int i = 0; i < COMERS; i++)
        assert_int_equal(role_wait(comers[i], SOON_MS), 0);
    pthread_barrierattr_destroy(&attributes);
    shared_drop(together, sizeof *together);
}

/* Each of the numbers that the client's descriptors had is the program's by then. */
static void a_fork_leaves_the_programs_files_alone(void **state)
{
    enum { FILES = 32 };
    int files[FILES], bad = 0, status;

    (void)state;
    must(yoke_close(make("jobs", NULL)));
    for (int i = 0; i < FILES; i++)
        files[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
    pid_t pid = fork();
    if (pid == 0) {
        for (int i = 0; i < FILES; i++)
            bad += files[i] < 0 || fcntl(files[i], F_GETFD) < 0;
        _exit(bad);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    for (int i = 0; i < FILES; i++)
        close(files[i]);
}

/* The kernel cuts it after 15 bytes, through a character if need be. */
static void the_programs_name_need_be_no_text(void **state)
{
    char before[16];

    (void)state;
    prctl(PR_GET_NAME, before);
    prctl(PR_SET_NAME, "abcdefghijklmn\xc3");
    must(yoke_close(make("jobs", NULL)));
    prctl(PR_SET_NAME, before);
}

static void what_can_not_be_made_leaves_nothing(void **state)
{
    char name[YOKE_NAME_MAX + 1] = "", more[320];
    yoke_endpoint *port, *first = make("first", NULL);

    (void)state;
    memset(name, '.', YOKE_NAME_MAX);
    name[0] = name[YOKE_NAME_MAX - 1] = 'a';
    must_fail(yoke_open(&port, address(name), YOKE_CREATE, NULL), EINVAL);
    must_fail(yoke_open(&port, address(name), 0, NULL), EINVAL);
    if (strcmp(getenv("YOKE_NATS_REPLICAS"), "1") == 0) {
        snprintf(more, sizeof more, "%s&replicas=3", address("second"));
        must_fail(yoke_open(&port, more, YOKE_CREATE | YOKE_KEPT, NULL), EREMOTEIO);
        assert_non_null(strstr(yoke_explain(), "10074"));
    }
    must_fail(yoke_open(&port, address("second"), 0, NULL), ENOENT);
    must(yoke_close(first));
}

static void places_that_are_none_are_refused(void **state)
{
    static const struct {
        const char *address;
        int error;
    } tries[] = {
        {"port:jobs@nats://", EINVAL},
        {"port:jobs@nats://:4222", EINVAL},
        {"port:jobs@nats://127.0.0.1:1/a.b", EINVAL},
        {"port:jobs@nats://127.0.0.1:1/abcdefghijklmnopqrstuvwxyz0123456", EINVAL},
        {"port:jobs@nats://127.0.0.1:1?ack_wait=0", EINVAL},
        {"port:jobs@nats://127.0.0.1:1?ack_wait=x", EINVAL},
        {"port:jobs@nats://127.0.0.1:1?colour=red", EINVAL},
        {"port:jobs@nats://127.0.0.1:1", EHOSTUNREACH},
        {"stream:jobs@nats://127.0.0.1:1", ENOTSUP},
        {"region:jobs@nats://127.0.0.1:1", ENOTSUP},
    };
    yoke_endpoint *port;

    (void)state;
    for (size_t i = 0; i < sizeof tries / sizeof *tries; i++)
        must_fail(yoke_open(&port, tries[i].address, YOKE_CREATE, NULL), tries[i].error);
    must_fail(yoke_open(&port, "port:jobs@nats://user:verysecret@127.0.0.1:1", YOKE_CREATE, NULL),
              EHOSTUNREACH);
    assert_null(strstr(yoke_explain(), "verysecret"));
    must_fail(yoke_open(&port, "port:jobs@nats://user:verysecret@127.0.0.1:1/a.b", YOKE_CREATE,
                        NULL),
              EINVAL);
    assert_null(strstr(yoke_explain(), "verysecret"));
    must_fail(yoke_open(&port, "port:jobs@nats://user:pass/verysecret@127.0.0.1:1", 0, NULL),
              EINVAL);
    assert_null(strstr(yoke_explain(), "verysecret"));
    must_fail(yoke_open(&port, "port:jobs@nats://user:pass?verysecret@127.0.0.1:1", 0, NULL),
              EINVAL);
    assert_null(strstr(yoke_explain(), "verysecret"));
    must_fail(yoke_open(&port, "port:jobs@nats://user:pass?lease=verysecret@h", 0, NULL), EINVAL);
    assert_null(strstr(yoke_explain(), "verysecret"));
    must_fail(yoke_open(&port, "stream:jobs@nats://user:verysecret@127.0.0.1:1", YOKE_READ, NULL),
              ENOTSUP);
    assert_null(strstr(yoke_explain(), "verysecret"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        api_test(what_a_killed_receiver_held_comes_again_marked),
        api_test(who_works_for_long_keeps_the_message),
        api_test(what_is_closed_gives_back_at_once),
        api_test(what_comes_back_too_often_is_parked),
        api_test(sent_again_in_the_same_name_it_is_there_once),
        api_test(in_doubt_and_sent_again_it_is_there_once),
        api_test(many_go_and_come_whole_and_in_order),
        api_test(many_that_find_no_room_after_all_are_told_so),
        api_test(a_removed_port_says_so_to_who_has_it_open),
        api_test(a_receiver_of_a_removed_port_does_not_wait_for_ever),
        api_test(who_come_to_a_new_place_at_once_all_find_it),
        api_test(a_fork_leaves_the_programs_files_alone),
        api_test(the_programs_name_need_be_no_text),
        api_test(what_can_not_be_made_leaves_nothing),
        api_test(places_that_are_none_are_refused),
    };
    return cmocka_run_group_tests(tests, api_setup, NULL);
}
