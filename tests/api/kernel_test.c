/*
 * The kernel place: ports on message queues. What is special about it; what it has in common with
 * memory is short here. All queues are small: the tests of one user share its RLIMIT_MSGQUEUE.
 */
#include "api.h"

#include <fcntl.h>
#include <inttypes.h>
#include <mqueue.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "endpoint.h"
#include "inspect.h"
#include "memory/queue.h"

#define PORT "mailbox@kernel"

static struct yoke_options small(uint32_t depth)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;

    options.depth = depth;
    options.participants = 16;
    options.max_message = 64;
    return options;
}

static yoke_endpoint *make_small(uint32_t depth)
{
    struct yoke_options options = small(depth);

    return port_make(PORT, &options);
}

static void send_text(yoke_endpoint *endpoint, const char *text)
{
    assert_int_equal(must(yoke_send(endpoint, text, strlen(text), YOKE_NOW)), 0);
}

static void assert_next(yoke_endpoint *endpoint, const char *text)
{
    char buffer[64] = "";

    assert_int_equal(must(yoke_recv(endpoint, buffer, sizeof buffer, YOKE_NOW)), strlen(text));
    assert_string_equal(buffer, text);
}

static void assert_nothing(yoke_endpoint *endpoint)
{
    char buffer[64];

    must_fail(yoke_recv(endpoint, buffer, sizeof buffer, YOKE_NOW), EAGAIN);
}

/* What yoke_fd() gives out. */
static int descriptor_of(yoke_endpoint *endpoint)
{
    return (int)must(endpoint->operations->fd(endpoint->self));
}

static bool is_readable(int fd)
{
    return poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 0) == 1;
}

/* The kernel's name of the queue of a name, whether that is there or not any more. */
static void queue_of(const char *entry, char name[YK_QUEUE_NAME])
{
    struct yk_directory directory;
    struct yk_record record;

    must(yk_directory_open(&directory, NULL, true));
    must(yk_record_read(&directory, entry, &record));
    yk_queue_name(name, &directory, record.nonce, 0);
    yk_directory_close(&directory);
}

static bool queue_exists(const char *name)
{
    mqd_t queue = mq_open(name, O_RDONLY);

    if (queue >= 0)
        mq_close(queue);
    return queue >= 0;
}

/* ---- messages ----------------------------------------------------------------------------------- */

static void messages_come_in_order_the_highest_priority_first(void **state)
{
    struct yoke_options options = small(6);
    yoke_endpoint *port;
    struct yoke_message message;
    char buffer[64];

    (void)state;
    options.priorities = 3;
    port = port_make(PORT, &options);
    send_details(port, "low", 3, 0, 1);
    send_details(port, "high", 4, 2, UINT64_MAX);
    send_details(port, "middle", 6, 1, 3);
    send_details(port, "high too", 8, 2, 4);
    for (int i = 0; i < 4; i++) {
        static const char *expected[] = {"high", "high too", "middle", "low"};
        static const uint64_t tags[] = {UINT64_MAX, 4, 3, 1};
        static const uint32_t priorities[] = {2, 2, 1, 0};

        message = (struct yoke_message){.data = buffer, .capacity = sizeof buffer};
        assert_int_equal(must(yoke_recv_many(port, &message, 1, YOKE_NOW)), 1);
        assert_int_equal(message.size, strlen(expected[i]));
        assert_memory_equal(buffer, expected[i], message.size);
        assert_true(message.tag == tags[i]);
        assert_int_equal(message.priority, priorities[i]);
        assert_int_equal(message.sender, getpid());
        assert_int_equal(message.deliveries, 1);
        assert_int_equal(message.sequence, 0); /* the kernel counts none */
    }
    assert_nothing(port);
    must(yoke_close(port));
}

static void empty_and_full_are_answers(void **state)
{
    yoke_endpoint *port = make_small(2);

    (void)state;
    assert_int_equal(yoke_max_message(port), 64);
    must(yoke_send(port, NULL, 0, YOKE_NOW));
    send_text(port, "second");
    must_fail(yoke_send(port, "x", 1, YOKE_NOW), EAGAIN);
    must_fail(yoke_send(port, "x", 1, 20 * MS), ETIMEDOUT);
    assert_int_equal(must(yoke_recv(port, NULL, 0, YOKE_NOW)), 0);
    assert_next(port, "second");
    assert_nothing(port);
    must_fail(yoke_recv(port, NULL, 0, 20 * MS), ETIMEDOUT);
    must(yoke_close(port));
}

static void many_go_as_far_as_they_can(void **state)
{
    yoke_endpoint *port = make_small(3);
    struct yoke_message messages[4] = {{0}};
    char buffers[4][64] = {{0}};

    (void)state;
    for (int i = 0; i < 4; i++)
        messages[i] = (struct yoke_message){.data = buffers[i], .size = (size_t)i + 1};
    assert_int_equal(must(yoke_send_many(port, messages, 4, YOKE_NOW)), 3);
    must_fail(yoke_send_many(port, messages, 4, YOKE_NOW), EAGAIN);
    for (int i = 0; i < 4; i++)
        messages[i] = (struct yoke_message){.data = buffers[i], .capacity = i == 2 ? 2 : 64};
    assert_int_equal(must(yoke_recv_many(port, messages, 4, YOKE_NOW)), 2);
    assert_int_equal(messages[1].size, 2);
    assert_int_equal(must(yoke_recv_many(port, messages, 4, YOKE_NOW)), 1);
    assert_int_equal(messages[0].size, 3);
    must(yoke_close(port));
}

static void message_that_fits_no_buffer_stays_where_it_was(void **state)
{
    struct yoke_options options = small(4);
    yoke_endpoint *port, *other;
    char buffer[3];

    (void)state;
    options.priorities = 2;
    port = port_make(PORT, &options);
    other = port_join(PORT);
    send_text(port, "first");
    send_text(port, "second");
    must_fail(yoke_recv(port, buffer, sizeof buffer, YOKE_FOREVER), EMSGSIZE);
    assert_non_null(strstr(yoke_explain(), "5 bytes"));
    must_fail(yoke_recv(other, buffer, sizeof buffer, YOKE_NOW), EMSGSIZE);
    send_details(port, "urgent", 6, 1, 0);
    assert_next(other, "urgent");
    assert_next(other, "first");
    assert_next(port, "second");
    assert_nothing(port);
    must(yoke_close(other));
    must(yoke_close(port));
}

/* A sender that the kernel itself has waiting: its message is in as soon as one is out. */
static int64_t write_raw(void *context)
{
    struct {
        uint64_t tag;
        int32_t sender;
        uint32_t magic;
        char text[4];
    } message = {.tag = 7, .sender = 1, .magic = 0x314b4f59, .text = "raw"};
    mqd_t queue = mq_open(context, O_WRONLY);
    int result = queue < 0 ? -errno : mq_send(queue, (const char *)&message, 16 + 3, 0);

    if (queue >= 0)
        mq_close(queue);
    return result;
}

/* Of a full queue of one: "first" is held by the endpoint, "raw" is in its place. */
static void hold_first(yoke_endpoint *port, struct worker *writer, char name[YK_QUEUE_NAME])
{
    char buffer[3];

    queue_of("port." PORT, name);
    send_text(port, "first");
    worker_start(writer, write_raw, name);
    worker_wait_asleep(writer);
    must_fail(yoke_recv(port, buffer, sizeof buffer, YOKE_NOW), EMSGSIZE);
    assert_int_equal(worker_join(writer), 0);
}

static yoke_endpoint *make_holding(struct worker *writer, char name[YK_QUEUE_NAME])
{
    yoke_endpoint *port = make_small(1);

    hold_first(port, writer, name);
    return port;
}

static void message_that_does_not_go_back_is_received_next_here(void **state)
{
    char name[YK_QUEUE_NAME];
    struct worker writer;
    yoke_endpoint *port = make_holding(&writer, name);
    char buffer[3];

    (void)state;
    must_fail(yoke_recv(port, buffer, sizeof buffer, YOKE_NOW), EMSGSIZE);
    assert_next(port, "first");
    assert_next(port, "raw");
    assert_nothing(port);
    must(yoke_close(port));
}

/* Whether the descriptor is asked for before that happens, or after. */
static void message_that_does_not_go_back_keeps_the_descriptor_readable(void **state)
{
    char name[YK_QUEUE_NAME];
    struct worker writer;

    (void)state;
    for (int before = 0; before < 2; before++) {
        yoke_endpoint *port = make_small(1), *other = port_join(PORT);
        int fd;

        if (before)
            descriptor_of(port);
        hold_first(port, &writer, name);
        fd = descriptor_of(port);
        assert_next(other, "raw");
        assert_true(is_readable(fd));
        assert_next(port, "first");
        assert_false(is_readable(fd));
        must(yoke_close(other));
        must(yoke_close(port));
    }
}

static void message_that_is_held_goes_back_when_there_is_room(void **state)
{
    char name[YK_QUEUE_NAME], buffer[3];
    struct worker writer;
    yoke_endpoint *port = make_holding(&writer, name), *other = port_join(PORT);

    (void)state;
    assert_next(other, "raw");
    must_fail(yoke_recv(port, buffer, sizeof buffer, YOKE_NOW), EMSGSIZE);
    assert_next(other, "first");
    assert_nothing(port);
    must(yoke_close(other));
    must(yoke_close(port));
}

static void message_that_is_held_goes_back_when_its_endpoint_closes(void **state)
{
    char name[YK_QUEUE_NAME];
    struct worker writer;
    yoke_endpoint *port = make_holding(&writer, name), *other = port_join(PORT);

    (void)state;
    assert_next(other, "raw");
    must(yoke_close(port));
    assert_next(other, "first");
    must(yoke_close(other));
}

static void what_no_yoke_sent_is_refused_and_gone(void **state)
{
    yoke_endpoint *port = make_small(3);
    char name[YK_QUEUE_NAME], text[40] = "neither header nor anything";
    mqd_t queue;

    (void)state;
    queue_of("port." PORT, name);
    queue = mq_open(name, O_WRONLY);
    assert_true(queue >= 0);
    assert_int_equal(mq_send(queue, text, 3, 0), 0);
    assert_int_equal(mq_send(queue, text, sizeof text, 0), 0);
    must_fail(yoke_recv(port, text, sizeof text, YOKE_NOW), EPROTO);
    must_fail(yoke_recv(port, text, sizeof text, YOKE_NOW), EPROTO);
    assert_non_null(strstr(yoke_explain(), "port:mailbox@kernel"));
    assert_nothing(port);
    mq_close(queue);
    must(yoke_close(port));
}

/* ---- waiting ------------------------------------------------------------------------------------ */

static int64_t receive(void *endpoint)
{
    uint64_t number = 0;
    ssize_t size = yoke_recv(endpoint, &number, sizeof number, LONG_WAIT);

    return size < 0 ? size : (int64_t)number;
}

static int64_t receive_for_ever(void *endpoint)
{
    uint64_t number = 0;
    ssize_t size = yoke_recv(endpoint, &number, sizeof number, YOKE_FOREVER);

    return size < 0 ? size : (int64_t)number;
}

static int64_t send_7(void *endpoint)
{
    return yoke_send(endpoint, &(uint64_t){7}, 8, LONG_WAIT);
}

static int64_t receive_for_30_ms(void *endpoint)
{
    return yoke_recv(endpoint, NULL, 0, 30 * MS);
}

static void waiting_receiver_and_waiting_sender_are_woken(void **state)
{
    yoke_endpoint *port = make_small(1);
    struct worker worker;

    (void)state;
    worker_start(&worker, receive_for_ever, port);
    worker_wait_asleep(&worker);
    send_number(port, 4711);
    assert_int_equal(worker_join(&worker), 4711);
    send_number(port, 1);
    worker_start(&worker, send_7, port);
    worker_wait_asleep(&worker);
    assert_int_equal(recv_number(port, YOKE_NOW), 1);
    assert_int_equal(worker_join(&worker), 0);
    assert_int_equal(recv_number(port, YOKE_NOW), 7);
    must(yoke_close(port));
}

static void every_waiting_receiver_gets_a_message_of_its_own(void **state)
{
    yoke_endpoint *port = make_small(4);
    struct worker workers[4];
    int64_t sum = 0;

    (void)state;
    for (int i = 0; i < 4; i++)
        worker_start(&workers[i], receive, port);
    for (int i = 0; i < 4; i++)
        worker_wait_asleep(&workers[i]);
    for (uint64_t i = 0; i < 4; i++)
        send_number(port, UINT64_C(1) << i);
    for (int i = 0; i < 4; i++)
        sum += worker_join(&workers[i]);
    assert_int_equal(sum, 15);
    must(yoke_close(port));
}

static void time_out_comes_when_the_time_is_over(void **state)
{
    yoke_endpoint *port = make_small(1);

    (void)state;
    assert_times_out(receive_for_30_ms, port, 30 * MS);
    must(yoke_close(port));
}

static void signal_handler_ends_every_wait_even_with_sa_restart(void **state)
{
    yoke_endpoint *port = make_small(1);

    (void)state;
    assert_int_equal(interrupted_result(receive_for_ever, port), -EINTR);
    assert_int_equal(interrupted_result(receive, port), -EINTR);
    send_number(port, 1);
    assert_int_equal(interrupted_result(send_7, port), -EINTR);
    assert_int_equal(recv_number(port, YOKE_NOW), 1);
    assert_nothing(port);
    must(yoke_close(port));
}

static void cancel_ends_this_wait_and_later_ones_of_that_endpoint_only(void **state)
{
    yoke_endpoint *port = make_small(1), *other = port_join(PORT);
    struct worker worker;

    (void)state;
    worker_start(&worker, receive_for_ever, port);
    worker_wait_asleep(&worker);
    must(yoke_cancel(port));
    assert_int_equal(worker_join(&worker), -ECANCELED);
    must_fail(receive(port), ECANCELED);
    must_fail(yoke_recv(port, NULL, 0, YOKE_NOW), ECANCELED);
    send_number(other, 5); /* what goes at once is done */
    assert_int_equal(recv_number(port, YOKE_NOW), 5);
    must_fail(yoke_recv(other, NULL, 0, 10 * MS), ETIMEDOUT);
    must(yoke_close(port));
    must(yoke_close(other));
}

static void closing_ends_the_waits_of_other_threads(void **state)
{
    yoke_endpoint *port = make_small(1);
    struct worker workers[2];

    (void)state;
    for (int i = 0; i < 2; i++)
        worker_start(&workers[i], receive_for_ever, port);
    for (int i = 0; i < 2; i++)
        worker_wait_asleep(&workers[i]);
    must(yoke_close(port));
    for (int i = 0; i < 2; i++)
        assert_int_equal(worker_join(&workers[i]), -ECANCELED);
}

static void descriptor_is_readable_as_long_as_there_is_a_message(void **state)
{
    yoke_endpoint *port = make_small(2);
    int fd = descriptor_of(port);
    char buffer[1];

    (void)state;
    assert_int_equal(descriptor_of(port), fd);
    assert_false(is_readable(fd));
    send_text(port, "a");
    send_text(port, "bb");
    assert_true(is_readable(fd));
    assert_next(port, "a");
    must_fail(yoke_recv(port, buffer, 1, YOKE_NOW), EMSGSIZE);
    assert_true(is_readable(fd));
    assert_next(port, "bb");
    assert_false(is_readable(fd));
    must(yoke_close(port));
    assert_int_equal(fcntl(fd, F_GETFD), -1);
}

#define SHARED_MESSAGES 2000

static int64_t receive_share(void *endpoint)
{
    int64_t sum = 0;

    for (;;) {
        uint64_t number;
        ssize_t size = yoke_recv(endpoint, &number, sizeof number, LONG_WAIT);
        if (size != sizeof number)
            return size < 0 ? size : -EBADMSG;
        if (number == 0)
            return sum;
        sum += (int64_t)number;
    }
}

static void threads_that_share_an_endpoint_lose_and_double_nothing(void **state)
{
    yoke_endpoint *port = make_small(5);
    struct worker workers[3];
    int64_t sum = 0;

    (void)state;
    for (int i = 0; i < 3; i++)
        worker_start(&workers[i], receive_share, port);
    for (uint64_t i = 1; i <= SHARED_MESSAGES; i++)
        send_number(port, i);
    for (int i = 0; i < 3; i++)
        send_number(port, 0);
    for (int i = 0; i < 3; i++)
        sum += must(worker_join(&workers[i]));
    assert_int_equal(sum, SHARED_MESSAGES * (SHARED_MESSAGES + 1) / 2);
    must(yoke_close(port));
}

/* ---- names and lives ---------------------------------------------------------------------------- */

static void transient_port_goes_with_its_last_user(void **state)
{
    yoke_endpoint *port = make_small(2), *other;
    char name[YK_QUEUE_NAME];

    (void)state;
    queue_of("port." PORT, name);
    send_text(port, "for the other");
    other = port_join(PORT);
    must(yoke_close(port));
    assert_true(queue_exists(name));
    assert_next(other, "for the other");
    must(yoke_close(other));
    assert_false(queue_exists(name));
    assert_int_equal(names_left(), 0);
    must_fail(yoke_open(&port, "port:" PORT, 0, NULL), ENOENT);
    assert_non_null(strstr(yoke_explain(), "port:" PORT));
}

static void kept_port_stays_until_it_is_removed(void **state)
{
    struct yoke_options options = small(2);
    yoke_endpoint *port, *late;
    char name[YK_QUEUE_NAME];

    (void)state;
    must(yoke_open(&port, "port:" PORT, YOKE_CREATE | YOKE_KEPT, &options));
    queue_of("port." PORT, name);
    send_text(port, "kept");
    must(yoke_close(port));
    port = port_join(PORT);
    assert_next(port, "kept");
    must(yoke_remove("port:" PORT));
    assert_int_equal(names_left(), 0);
    assert_false(queue_exists(name));
    send_text(port, "under nobody's feet");
    assert_next(port, "under nobody's feet");
    late = make_small(1); /* another one */
    assert_nothing(late);
    send_text(late, "new");
    assert_nothing(port);
    must(yoke_close(port));
    must(yoke_close(late));
}

static void what_is_there_keeps_what_it_was_made_with(void **state)
{
    struct yoke_options options = small(2), more = small(9);
    yoke_endpoint *port = port_make(PORT, &options), *other;

    (void)state;
    more.max_message = 128;
    must_fail(yoke_open(&other, "port:" PORT, YOKE_CREATE | YOKE_EXCLUSIVE, NULL), EEXIST);
    must(yoke_open(&other, "port:" PORT, YOKE_CREATE, &more));
    assert_int_equal(yoke_max_message(other), 64);
    must(yoke_close(other));
    must(yoke_close(port));
}

static void name_in_memory_is_another_port(void **state)
{
    struct yoke_options options = small(2);
    yoke_endpoint *port = make_small(2), *memory = port_make("mailbox", &options), *again;

    (void)state;
    send_text(port, "kernel");
    assert_nothing(memory);
    assert_int_equal(setenv("YOKE_PLACE", "kernel", 1), 0);
    must(yoke_open(&again, "port:mailbox", 0, NULL));
    unsetenv("YOKE_PLACE");
    assert_next(again, "kernel");
    must(yoke_close(again));
    must(yoke_close(memory));
    must(yoke_close(port));
}

static void participants_are_counted(void **state)
{
    struct yoke_options options = small(1);
    yoke_endpoint *port, *second, *third;

    (void)state;
    options.participants = 2;
    port = port_make(PORT, &options);
    second = port_join(PORT);
    must_fail(yoke_open(&third, "port:" PORT, 0, NULL), ENOSPC);
    assert_non_null(strstr(yoke_explain(), "2 participants"));
    must(yoke_close(second));
    third = port_join(PORT);
    must(yoke_close(third));
    must(yoke_close(port));
}

/* ---- limits ------------------------------------------------------------------------------------- */

static uint64_t limit_of(const char *name)
{
    char path[64];
    unsigned long long value = 0;
    FILE *file;

    snprintf(path, sizeof path, "/proc/sys/fs/mqueue/%s", name);
    file = fopen(path, "re");
    if (!file || fscanf(file, "%llu", &value) != 1)
        value = 0;
    if (file)
        fclose(file);
    return value;
}

static void default_size_is_what_the_kernel_allows(void **state)
{
    struct yk_object_facts facts;
    yoke_endpoint *port = port_make(PORT, NULL);

    (void)state;
    if (limit_of("msgsize_max") == 0)
        skip_test("/proc/sys/fs/mqueue is not there");
    must(yk_inspect("port:" PORT, &facts, NULL, NULL));
    assert_true(facts.depth >= 1 && facts.depth <= 256 && facts.depth <= limit_of("msg_max"));
    assert_true(yoke_max_message(port) <= 4096);
    assert_true(yoke_max_message(port) + 16 <= limit_of("msgsize_max"));
    for (uint32_t i = 0; i < facts.depth; i++)
        must(yoke_send(port, "x", 1, YOKE_NOW));
    must_fail(yoke_send(port, "x", 1, YOKE_NOW), EAGAIN);
    must(yoke_close(port));
}

static void assert_refused(const struct yoke_options *options, int error, const char *word,
                           const char *number)
{
    yoke_endpoint *port;

    must_fail(yoke_open(&port, "port:" PORT, YOKE_CREATE, options), error);
    assert_non_null(strstr(yoke_explain(), "port:" PORT));
    assert_non_null(strstr(yoke_explain(), word));
    assert_non_null(strstr(yoke_explain(), number));
    assert_int_equal(names_left(), 0);
}

static void size_beyond_a_limit_is_refused_with_its_name_and_value(void **state)
{
    struct yoke_options deep = small(70000), big = small(1);
    char number[32];

    (void)state;
    if (limit_of("msg_max") == 0)
        skip_test("/proc/sys/fs/mqueue is not there");
    snprintf(number, sizeof number, "%" PRIu64, limit_of("msg_max"));
    assert_refused(&deep, EINVAL, "fs.mqueue.msg_max=70000", number);
    big.max_message = 20 << 20; /* more than the kernel's own bound */
    snprintf(number, sizeof number, "%" PRIu64, limit_of("msgsize_max"));
    assert_refused(&big, EINVAL, "fs.mqueue.msgsize_max=20971536", number);
}

static int role_has_few_bytes(void *unused)
{
    struct yoke_options options = small(4);

    (void)unused;
    setrlimit(RLIMIT_MSGQUEUE, &(struct rlimit){100, 100});
    assert_refused(&options, ENOSPC, "RLIMIT_MSGQUEUE", "704 bytes of the 100 ");
    return 0;
}

static int role_has_no_descriptors(void *unused)
{
    struct yoke_options options = small(1);
    yoke_endpoint *port = NULL;

    (void)unused;
    for (rlim_t most = 0;; most++) {
        int result;

        setrlimit(RLIMIT_NOFILE, &(struct rlimit){most, 4096});
        result = yoke_open(&port, "port:" PORT, YOKE_CREATE, &options);
        setrlimit(RLIMIT_NOFILE, &(struct rlimit){256, 4096});
        if (result == 0)
            break;
        assert_int_equal(result, -EMFILE);
        assert_int_equal(names_left(), 0);
    }
    yoke_close(port);
    return 0;
}

static void user_without_bytes_or_descriptors_is_told_which(void **state)
{
    (void)state;
    assert_int_equal(role_wait(role_start(role_has_few_bytes, NULL), SOON_MS), 0);
    assert_int_equal(role_wait(role_start(role_has_no_descriptors, NULL), SOON_MS), 0);
}

/* ---- what this place can not do ----------------------------------------------------------------- */

static void what_the_place_can_not_do_is_refused_by_name(void **state)
{
    struct yoke_options redeliver = small(1), deliveries = small(1), parked = small(1),
                        borrowed = small(1), once = small(1);
    yoke_endpoint *port;
    void *block;
    const void *message;

    (void)state;
    redeliver.policy = YOKE_POLICY_REDELIVER;
    deliveries.max_deliveries = 3;
    parked.max_parked = 4;
    borrowed.max_borrowed = 5;
    once.policy = YOKE_POLICY_ONCE;
#define REFUSED(flags, options, word)                                                      \
    (must_fail(yoke_open(&port, "port:" PORT, YOKE_CREATE | (flags), (options)), ENOTSUP), \
     assert_non_null(strstr(yoke_explain(), word)))
    REFUSED(0, &redeliver, "redeliver");
    REFUSED(0, &deliveries, "max_deliveries of 3");
    REFUSED(0, &parked, "max_parked of 4");
    REFUSED(0, &borrowed, "max_borrowed of 5");
    REFUSED(YOKE_PARKED, NULL, "YOKE_PARKED");
    REFUSED(YOKE_HUGE, NULL, "YOKE_HUGE");
    REFUSED(YOKE_POPULATE, NULL, "YOKE_POPULATE");
    REFUSED(YOKE_SPARSE, NULL, "YOKE_SPARSE");
    assert_int_equal(names_left(), 0);
    port = port_make(PORT, &once);
    must_fail(yoke_loan(port, 1, &block, YOKE_NOW), ENOTSUP);
    must_fail(yoke_borrow(port, &message, YOKE_NOW), ENOTSUP);
    must_fail(yoke_release(port, "x"), ENOTSUP);
    must_fail(yoke_return(port, "x"), ENOTSUP);
    must(yoke_close(port));
}

static void bad_messages_are_refused(void **state)
{
    yoke_endpoint *port = make_small(1);
    char big[65] = "";
    struct yoke_message message = {.data = big, .size = 1, .priority = 1};

    (void)state;
    must_fail(yoke_send(port, big, sizeof big, YOKE_NOW), EMSGSIZE);
    assert_non_null(strstr(yoke_explain(), "65 bytes"));
    must_fail(yoke_send(port, NULL, 1, YOKE_NOW), EINVAL);
    must_fail(yoke_send_many(port, &message, 1, YOKE_NOW), EINVAL);
    assert_non_null(strstr(yoke_explain(), "0 to 0"));
    must_fail(yoke_recv(port, NULL, 1, YOKE_NOW), EINVAL);
    assert_nothing(port);
    must(yoke_close(port));
}

/* ---- other users -------------------------------------------------------------------------------- */

static int role_stranger(void *unused)
{
    yoke_endpoint *port;

    (void)unused;
    become_user(1);
    must_fail(yoke_open(&port, "port:" PORT, 0, NULL), EACCES);
    return 0;
}

static int role_guest(void *unused)
{
    yoke_endpoint *port;

    (void)unused;
    become_user(1);
    port = port_join(PORT);
    send_text(port, "from the guest");
    must_fail(yoke_remove("port:" PORT), EACCES);
    must(yoke_close(port));
    return 0;
}

static void mode_says_who_may_use_it(void **state)
{
    struct yoke_options options = small(1);
    yoke_endpoint *port;

    (void)state;
    share_directory();
    port = port_make(PORT, &options);
    assert_int_equal(role_wait(role_start(role_stranger, NULL), SOON_MS), 0);
    must(yoke_close(port));
    options.mode = 0666;
    port = port_make(PORT, &options);
    assert_int_equal(role_wait(role_start(role_guest, NULL), SOON_MS), 0);
    assert_next(port, "from the guest");
    must(yoke_close(port));
}

/* ---- what is left ------------------------------------------------------------------------------- */

static void facts_tell_what_the_kernel_knows(void **state)
{
    yoke_endpoint *port = make_small(3);
    struct yk_object_facts facts;
    struct yk_participant_facts *people;
    size_t count;

    (void)state;
    send_text(port, "one");
    send_text(port, "two");
    must(yk_inspect("port:" PORT, &facts, &people, &count));
    assert_string_equal(facts.problem, "");
    assert_string_equal(facts.name, "mailbox");
    assert_string_equal(facts.place, "kernel");
    assert_int_equal(facts.waiting, 2);
    assert_int_equal(facts.depth, 3);
    assert_int_equal(facts.max_message, 64);
    assert_int_equal(facts.memory_used, 3 * (64 + 16 + 96));
    assert_int_equal(facts.participants_max, 16);
    assert_int_equal(facts.participants_used, 1);
    assert_int_equal(facts.mode, 0600);
    assert_false(facts.kept);
    assert_int_equal(count, 1);
    assert_int_equal(people[0].pid, getpid());
    assert_true(people[0].proven);
    free(people);
    must(yoke_close(port));
}

static bool found(const struct yk_gc_item *items, ssize_t count, const char *what, const char *name)
{
    for (ssize_t i = 0; i < count; i++)
        if (strcmp(items[i].what, what) == 0 && strcmp(items[i].name, name) == 0)
            return true;
    return false;
}

/* Mounts the queues where they are looked for; in a mount namespace of its own. */
static int role_clears(void *unused)
{
    yoke_endpoint *healthy, *port;
    struct yoke_options options = small(1);
    char orphan[YK_QUEUE_NAME], kept[YK_QUEUE_NAME], foreign[] = "/yoke-0123456789abcdef-1.1-0";
    struct yk_gc_item *items;
    ssize_t count;
    mqd_t queue;

    (void)unused;
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", "/dev", "tmpfs", 0, "mode=755") != 0 || mkdir("/dev/mqueue", 01777) != 0 ||
        mount("mqueue", "/dev/mqueue", "mqueue", 0, NULL) != 0)
        return 77;
    healthy = make_small(1);
    must(yoke_open(&port, "port:lost@kernel", YOKE_CREATE | YOKE_KEPT, &options));
    queue_of("port.lost@kernel", orphan);
    queue_of("port." PORT, kept);
    queue = mq_open(foreign, O_RDONLY | O_CREAT, 0600,
                    &(struct mq_attr){.mq_maxmsg = 1, .mq_msgsize = 1});
    assert_true(queue >= 0);
    assert_int_equal(unlink(name_path("port.lost@kernel")), 0);
    must(yoke_close(port));

    count = must(yk_gc(true, &items));
    assert_true(found(items, count, "queue", orphan));
    assert_false(found(items, count, "queue", kept));
    assert_false(found(items, count, "queue", foreign)); /* of another name directory */
    assert_true(queue_exists(orphan));
    free(items);
    count = must(yk_gc(false, &items));
    assert_true(found(items, count, "queue", orphan));
    free(items);
    assert_false(queue_exists(orphan));
    assert_true(queue_exists(kept) && queue_exists(foreign));
    assert_int_equal(must(yk_gc(false, &items)), 0);
    mq_close(queue);
    mq_unlink(foreign);
    must(yoke_close(healthy));
    return 0;
}

static void gc_finds_queues_to_which_no_name_leads(void **state)
{
    int status = role_wait(role_start(role_clears, NULL), SOON_MS);

    (void)state;
    if (status == 77)
        skip_test("needs to mount the queues' file system");
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        api_test(messages_come_in_order_the_highest_priority_first),
        api_test(empty_and_full_are_answers),
        api_test(many_go_as_far_as_they_can),
        api_test(message_that_fits_no_buffer_stays_where_it_was),
        api_test(message_that_does_not_go_back_is_received_next_here),
        api_test(message_that_does_not_go_back_keeps_the_descriptor_readable),
        api_test(message_that_is_held_goes_back_when_there_is_room),
        api_test(message_that_is_held_goes_back_when_its_endpoint_closes),
        api_test(what_no_yoke_sent_is_refused_and_gone),
        api_test(waiting_receiver_and_waiting_sender_are_woken),
        api_test(every_waiting_receiver_gets_a_message_of_its_own),
        api_test(time_out_comes_when_the_time_is_over),
        api_test(signal_handler_ends_every_wait_even_with_sa_restart),
        api_test(cancel_ends_this_wait_and_later_ones_of_that_endpoint_only),
        api_test(closing_ends_the_waits_of_other_threads),
        api_test(descriptor_is_readable_as_long_as_there_is_a_message),
        api_test(threads_that_share_an_endpoint_lose_and_double_nothing),
        api_test(transient_port_goes_with_its_last_user),
        api_test(kept_port_stays_until_it_is_removed),
        api_test(what_is_there_keeps_what_it_was_made_with),
        api_test(name_in_memory_is_another_port),
        api_test(participants_are_counted),
        api_test(default_size_is_what_the_kernel_allows),
        api_test(size_beyond_a_limit_is_refused_with_its_name_and_value),
        api_test(user_without_bytes_or_descriptors_is_told_which),
        api_test(what_the_place_can_not_do_is_refused_by_name),
        api_test(bad_messages_are_refused),
        api_test(mode_says_who_may_use_it),
        api_test(facts_tell_what_the_kernel_knows),
        api_test(gc_finds_queues_to_which_no_name_leads),
    };

    return cmocka_run_group_tests(tests, api_setup, NULL);
}
