/*
 * conformance_test.c - the same expectations of everything that carries messages, whatever its kind
 * and place: order, limits, time-outs, interruption, closing, death, permissions, bad input.
 *
 * A kind in a place is one line in `subjects`; what it can not do is missing among its words there, and
 * then the test expects the refusal. Streams and signals, which have verbs of their own, have tables of
 * their own: stream_conformance_test.c, signal_conformance_test.c.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conformance.h"

#define DEPTH \
    8u /* the kernel place has room for 10 messages in a queue, unless root said otherwise */
#define MAX_MESSAGE 256u

enum {
    LOANS = 1,      /* loan, commit, borrow, release, return */
    REDELIVERS = 2, /* what its receiver did not release comes again */
    TWO_ENDS = 4,   /* each with one owner, which is told when the other is gone */
    NAMED = 8,      /* opened by an address, so that others can come */
    PRIORITIES = 16,
    TAGS = 32,
    SEQUENCE = 64,
    REMOTE = 128, /* on servers: who may is their affair, and what a fork copies is of no use */
};

struct subject {
    const char *name;
    const char *address[2], *as[2]; /* of its two ends */
    unsigned can;
};

static const struct subject subjects[] = {
    {"port in memory",
     {"port:conform", "port:conform"},
     {NULL, NULL},
     LOANS | REDELIVERS | NAMED | PRIORITIES | TAGS | SEQUENCE},
    {"link in memory",
     {"link:bob", "link:alice"},
     {"alice", "bob"},
     LOANS | REDELIVERS | TWO_ENDS | NAMED | TAGS | SEQUENCE},
    {"port in the kernel",
     {"port:conform@kernel", "port:conform@kernel"},
     {NULL, NULL},
     NAMED | PRIORITIES | TAGS},
    {"link in the kernel",
     {"link:bob@kernel", "link:alice@kernel"},
     {"alice", "bob"},
     TWO_ENDS | NAMED | TAGS},
    {"pair", {NULL, NULL}, {NULL, NULL}, LOANS | REDELIVERS | TWO_ENDS | TAGS | SEQUENCE},
};

/* Instead of these where tests/nats/with_server.py started a server, which is at $YOKE_NATS_URL. */
static const struct subject remote_subjects[] = {
    {"port on NATS",
     {"port:conform", "port:conform"},
     {NULL, NULL},
     LOANS | REDELIVERS | NAMED | TAGS | SEQUENCE | REMOTE},
    {"link on NATS",
     {"link:bob", "link:alice"},
     {"alice", "bob"},
     LOANS | REDELIVERS | TWO_ENDS | NAMED | TAGS | SEQUENCE | REMOTE},
};

/* ---- the subject of a test ---- */

/* On a server each case, which is a process, has names of its own: nobody else takes them away. */
static const char *address_of(const struct subject *subject, int end)
{
    static char address[2][288];

    if (!(subject->can & REMOTE))
        return subject->address[end];
    if (address[end][0] == '\0')
        for (int i = 0; i < 2; i++)
            snprintf(address[i], sizeof address[i], "%s@%s/case%d?lease=5", subject->address[i],
                     getenv("YOKE_NATS_URL"), (int)getpid());
    return address[end];
}

static struct yoke_options options_of(const struct subject *subject, int end)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;

    options.as = subject->as[end];
    options.depth = DEPTH;
    options.max_message = MAX_MESSAGE;
    return options;
}

/* One end at a time is open in a process; of a pair whoever has the descriptor opens it. */
struct ends {
    const struct subject *subject;
    int descriptors[2];
};

static struct ends ends_make(void **state)
{
    struct ends ends = {.subject = *state, .descriptors = {-1, -1}};
    struct yoke_options options = options_of(ends.subject, 0);

    if (!(ends.subject->can & NAMED))
        must(yoke_pair(ends.descriptors, &options));
    return ends;
}

static void ends_drop(const struct ends *ends)
{
    for (int i = 0; i < 2 && ends->descriptors[i] >= 0; i++)
        close(ends->descriptors[i]);
}

static int try_open(yoke_endpoint **ret, const struct ends *ends, int end, uint32_t flags)
{
    struct yoke_options options = options_of(ends->subject, end);

    return ends->subject->can & NAMED
               ? yoke_open(ret, address_of(ends->subject, end), flags, &options)
               : yoke_open_descriptor(ret, ends->descriptors[end], NULL);
}

/* On servers the name of one that was killed is free only when its lease is over. */
static yoke_endpoint *open_end(const struct ends *ends, int end)
{
    yoke_endpoint *endpoint;
    int result = try_open(&endpoint, ends, end, YOKE_CREATE);

    for (int64_t until = now_ns() + SOON_MS * MS;
         result == -EADDRINUSE && (ends->subject->can & REMOTE) && now_ns() < until;)
        result = try_open(&endpoint, ends, end, YOKE_CREATE);
    must(result);
    return endpoint;
}

/* Both in this process: 0 sends and 1 receives. */
struct both {
    struct ends ends;
    yoke_endpoint *sender, *receiver;
};

static struct both both_make(void **state)
{
    struct both both = {.ends = ends_make(state)};

    both.sender = open_end(&both.ends, 0);
    both.receiver = open_end(&both.ends, 1);
    return both;
}

static void both_drop(struct both *both)
{
    yoke_close(both->sender);
    yoke_close(both->receiver);
    ends_drop(&both->ends);
}

/* Until it is full: how many numbers went in. */
static uint64_t fill(yoke_endpoint *sender)
{
    uint64_t count = 0;

    while (yoke_send(sender, &count, sizeof count, YOKE_NOW) == 0) {
        count++;
        assert_true(count < 100000);
    }
    must_fail(yoke_send(sender, &count, sizeof count, YOKE_NOW), EAGAIN);
    return count;
}

/* ---- order and limits ---- */

static void messages_come_whole_and_in_order(void **state)
{
    struct both both = both_make(state);
    unsigned char sent[MAX_MESSAGE], got[MAX_MESSAGE];

    for (unsigned i = 0; i < 300; i++) {
        size_t size = i < 3 ? (size_t[]){0, 1, MAX_MESSAGE}[i] : i * 7919 % (MAX_MESSAGE + 1);
        for (size_t k = 0; k < size; k++)
            sent[k] = (unsigned char)(i + k);
        must(yoke_send(both.sender, sent, size, YOKE_NOW));
        memset(got, 0, sizeof got);
        assert_int_equal(must(yoke_recv(both.receiver, got, sizeof got, SOON_MS * MS)), size);
        assert_memory_equal(got, sent, size);
    }
    for (uint64_t round = 0; round < 20; round++) {
        for (uint64_t i = 0; i < DEPTH; i++)
            send_number(both.sender, round * DEPTH + i);
        for (uint64_t i = 0; i < DEPTH; i++)
            assert_int_equal(recv_number(both.receiver, SOON_MS * MS), round * DEPTH + i);
    }
    must_fail(yoke_recv(both.receiver, got, sizeof got, YOKE_NOW), EAGAIN);
    both_drop(&both);
}

static void what_is_full_takes_no_more_and_loses_nothing(void **state)
{
    struct both both = both_make(state);
    uint64_t count = fill(both.sender);

    assert_true(count >= DEPTH);
    assert_int_equal(recv_number(both.receiver, YOKE_NOW), 0);
    uint64_t more = count;
    must(yoke_send(both.sender, &more, sizeof more, SOON_MS * MS));
    for (uint64_t i = 1; i <= count; i++)
        assert_int_equal(recv_number(both.receiver, YOKE_NOW), i);
    must_fail(yoke_recv(both.receiver, &more, sizeof more, YOKE_NOW), EAGAIN);
    both_drop(&both);
}

static void what_is_too_big_is_refused_and_stays_where_it_is(void **state)
{
    struct both both = both_make(state);
    unsigned char bytes[MAX_MESSAGE + 1] = {1, 2, 3};

    assert_int_equal(yoke_max_message(both.sender), MAX_MESSAGE);
    must_fail(yoke_send(both.sender, bytes, sizeof bytes, YOKE_NOW), EMSGSIZE);
    must_fail(yoke_recv(both.receiver, bytes, sizeof bytes, YOKE_NOW), EAGAIN);
    must(yoke_send(both.sender, bytes, 100, YOKE_NOW));
    must(yoke_send(both.sender, "next", 4, YOKE_NOW));
    for (int i = 0; i < 3; i++)
        must_fail(yoke_recv(both.receiver, bytes, 99, YOKE_NOW), EMSGSIZE);
    must_fail(yoke_recv(both.receiver, NULL, 0, YOKE_NOW), EMSGSIZE);
    memset(bytes, 0, sizeof bytes);
    assert_int_equal(must(yoke_recv(both.receiver, bytes, 100, YOKE_NOW)), 100);
    assert_int_equal(bytes[2], 3);
    assert_int_equal(must(yoke_recv(both.receiver, bytes, 4, YOKE_NOW)), 4);
    assert_memory_equal(bytes, "next", 4);
    both_drop(&both);
}

static void several_go_and_come_in_one_call(void **state)
{
    struct both both = both_make(state);
    const struct subject *subject = *state;
    struct yoke_message out[4] = {{.data = NULL}}, in[8] = {{.data = NULL}};
    uint64_t numbers[8] = {10, 11, 12, 13};

    assert_int_equal(yoke_send_many(both.sender, NULL, 0, YOKE_NOW), 0);
    assert_int_equal(yoke_recv_many(both.receiver, NULL, 0, YOKE_NOW), 0);
    for (int i = 0; i < 4; i++) {
        out[i] = (struct yoke_message){.data = &numbers[i], .size = sizeof numbers[i]};
        if (subject->can & TAGS)
            out[i].tag = 1000 + (unsigned)i;
    }
    assert_int_equal(must(yoke_send_many(both.sender, out, 4, YOKE_NOW)), 4);
    memset(numbers, 0, sizeof numbers);
    for (int i = 0; i < 8; i++)
        in[i] = (struct yoke_message){.data = &numbers[i], .capacity = sizeof numbers[i]};
    for (int got = 0; got < 4;) {
        ssize_t count = must(yoke_recv_many(both.receiver, in + got, 8 - (size_t)got, YOKE_NOW));
        assert_in_range(count, 1, 4 - got);
        got += (int)count;
    }
    for (int i = 0; i < 4; i++) {
        assert_int_equal(numbers[i], 10 + i);
        assert_int_equal(in[i].size, 8);
        assert_int_equal(in[i].deliveries, 1);
        if (subject->can & TAGS)
            assert_int_equal(in[i].tag, 1000 + i);
        if ((subject->can & SEQUENCE) && i > 0)
            assert_true(in[i].sequence > in[i - 1].sequence);
    }
    must_fail(yoke_recv_many(both.receiver, in, 8, YOKE_NOW), EAGAIN);
    both_drop(&both);
}

/* ---- what may have been sent before ---- */

static void send_marked(yoke_endpoint *sender, void *data, size_t size, uint64_t tag)
{
    struct yoke_message message = {
        .data = data, .size = size, .tag = tag, .flags = YOKE_MESSAGE_AGAIN};

    assert_int_equal(must(yoke_send_many(sender, &message, 1, YOKE_NOW)), 1);
}

static void expect_deliveries(yoke_endpoint *receiver, size_t size, uint64_t tag,
                              uint32_t deliveries)
{
    unsigned char bytes[MAX_MESSAGE];
    struct yoke_message message = {.data = bytes, .capacity = sizeof bytes, .flags = 99};

    assert_int_equal(must(yoke_recv_many(receiver, &message, 1, SOON_MS * MS)), 1);
    assert_int_equal(message.size, size);
    assert_true(message.tag == tag);
    assert_int_equal(message.deliveries, deliveries);
    assert_int_equal(message.flags, deliveries > 1 ? YOKE_MESSAGE_AGAIN : 0);
}

static void what_is_sent_again_comes_as_the_second_delivery(void **state)
{
    struct both both = both_make(state);
    const struct subject *subject = *state;
    static const size_t sizes[] = {0, 1, 8, 50, 56, 57, MAX_MESSAGE};
    unsigned char bytes[MAX_MESSAGE] = {7};

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (int tagged = 0; tagged < (subject->can & TAGS ? 2 : 1); tagged++) {
            uint64_t tag = tagged ? 1000 + i : 0;
            send_marked(both.sender, bytes, sizes[i], tag);
            must(yoke_send(both.sender, bytes, sizes[i], YOKE_NOW));
            send_marked(both.sender, bytes, sizes[i], tag);
            expect_deliveries(both.receiver, sizes[i], tag, 2);
            expect_deliveries(both.receiver, sizes[i], 0, 1);
            assert_int_equal(must(yoke_recv(both.receiver, bytes, sizeof bytes, SOON_MS * MS)),
                             sizes[i]);
        }
    }
    both_drop(&both);
}

/* A struct that was received is one to be sent. */
static void what_came_again_is_sent_on_as_such(void **state)
{
    struct both both = both_make(state);
    uint64_t number = 7;
    struct yoke_message message = {.data = &number, .capacity = sizeof number};

    send_marked(both.sender, &number, sizeof number, 0);
    must(yoke_send(both.sender, &number, sizeof number, YOKE_NOW));
    for (uint32_t deliveries = 2; deliveries >= 1; deliveries--) {
        assert_int_equal(must(yoke_recv_many(both.receiver, &message, 1, SOON_MS * MS)), 1);
        assert_int_equal(must(yoke_send_many(both.sender, &message, 1, YOKE_NOW)), 1);
    }
    expect_deliveries(both.receiver, sizeof number, 0, 2);
    expect_deliveries(both.receiver, sizeof number, 0, 1);
    both_drop(&both);
}

static void flags_that_there_are_not_are_refused(void **state)
{
    struct both both = both_make(state);
    char bytes[] = "ab";
    struct yoke_message messages[2] = {{.data = bytes, .size = 2},
                                       {.data = bytes, .size = 1, .flags = YOKE_MESSAGE_AGAIN | 2}};

    must_fail(yoke_send_many(both.sender, messages, 2, YOKE_NOW), EINVAL);
    assert_non_null(strstr(yoke_explain(), "YOKE_MESSAGE_AGAIN"));
    messages[1].flags = UINT32_MAX;
    must_fail(yoke_send_many(both.sender, messages + 1, 1, YOKE_NOW), EINVAL);
    must_fail(yoke_recv(both.receiver, NULL, 0, YOKE_NOW), EAGAIN);
    both_drop(&both);
}

/* By a loan, given back, and in the hand of one who dies. */
static void what_is_sent_again_is_counted_from_there(void **state)
{
    const struct subject *subject = *state;
    struct both both = both_make(state);
    struct yoke_message message = {.flags = YOKE_MESSAGE_AGAIN};

    if (subject->can & LOANS) {
        must(yoke_loan(both.sender, 3, &message.data, YOKE_NOW));
        memcpy(message.data, "new", message.size = 3);
        assert_int_equal(must(yoke_commit_many(both.sender, &message, 1, YOKE_NOW)), 1);
        for (uint32_t deliveries = 2; deliveries < 6; deliveries++) {
            borrow_details(both.receiver, &message);
            assert_int_equal(message.deliveries, deliveries);
            assert_int_equal(message.flags, YOKE_MESSAGE_AGAIN);
            must(yoke_return(both.receiver, message.data));
        }
        borrow_details(both.receiver, &message);
        must(yoke_release(both.receiver, message.data));
    }
    both_drop(&both);
}

/* ---- what not all can do ---- */

static void loans_are_had_or_refused(void **state)
{
    struct both both = both_make(state);
    const struct subject *subject = *state;
    const void *message;
    void *block;

    if (subject->can & LOANS) {
        must(yoke_loan(both.sender, 5, &block, YOKE_NOW));
        memcpy(block, "lent!", 5);
        must(yoke_commit(both.sender, block, 5));
        assert_int_equal(must(yoke_borrow(both.receiver, &message, YOKE_NOW)), 5);
        assert_memory_equal(message, "lent!", 5);
        must(yoke_return(both.receiver, message));
        struct yoke_message again = {.data = NULL};
        borrow_details(both.receiver, &again);
        assert_int_equal(again.deliveries, 2);
        must(yoke_release(both.receiver, again.data));
        must_fail(yoke_release(both.receiver, again.data), EINVAL);
    } else {
        must_fail(yoke_loan(both.sender, 5, &block, YOKE_NOW), ENOTSUP);
        must_fail(yoke_commit(both.sender, &both, 5), ENOTSUP);
        must_fail(yoke_borrow(both.receiver, &message, YOKE_NOW), ENOTSUP);
        must_fail(yoke_release(both.receiver, &both), ENOTSUP);
        must_fail(yoke_return(both.receiver, &both), ENOTSUP);
    }
    both_drop(&both);
}

static void what_a_place_can_not_do_is_refused_when_it_is_opened(void **state)
{
    const struct subject *subject = *state;
    struct yoke_options options = options_of(subject, 0);
    yoke_endpoint *endpoint;

    if (!(subject->can & NAMED))
        return;
    options.policy = YOKE_POLICY_REDELIVER;
    int result = yoke_open(&endpoint, address_of(subject, 0), YOKE_CREATE, &options);
    if (subject->can & REDELIVERS)
        yoke_close((must(result), endpoint));
    else
        must_fail(result, ENOTSUP);
    options = options_of(subject, 0);
    options.priorities = 2;
    result = yoke_open(&endpoint, address_of(subject, 0), YOKE_CREATE, &options);
    if (subject->can & PRIORITIES)
        yoke_close((must(result), endpoint));
    else
        must_fail(result, ENOTSUP);
    options.priorities = 0;
    options.max_parked = 1;
    result = yoke_open(&endpoint, address_of(subject, 0), YOKE_CREATE, &options);
    if ((subject->can & REDELIVERS) && !(subject->can & TWO_ENDS))
        yoke_close((must(result), endpoint));
    else
        must_fail(result, ENOTSUP);
}

static void higher_priorities_come_first(void **state)
{
    const struct subject *subject = *state;
    struct yoke_options options = options_of(subject, 0);
    yoke_endpoint *port;
    uint64_t number;

    if (!(subject->can & PRIORITIES))
        return;
    options.priorities = 3;
    must(yoke_open(&port, address_of(subject, 0), YOKE_CREATE, &options));
    for (uint64_t i = 0; i < 6; i++)
        send_details(port, &i, sizeof i, (uint32_t)(i % 3), 0);
    for (int i = 0; i < 6; i++) {
        must(yoke_recv(port, &number, sizeof number, YOKE_NOW));
        assert_int_equal(number % 3, 2 - i / 2);
    }
    struct yoke_message beyond = {.data = &number, .size = 8, .priority = 3};
    must_fail(yoke_send_many(port, &beyond, 1, YOKE_NOW), EINVAL);
    yoke_close(port);
}

/* ---- waiting ---- */

static int64_t recv_for_50_ms(void *endpoint)
{
    char bytes[MAX_MESSAGE];

    return yoke_recv(endpoint, bytes, sizeof bytes, 50 * MS);
}

static int64_t send_for_50_ms(void *endpoint)
{
    return yoke_send(endpoint, "x", 1, 50 * MS);
}

static int64_t recv_for_long(void *endpoint)
{
    char bytes[MAX_MESSAGE];

    return yoke_recv(endpoint, bytes, sizeof bytes, LONG_WAIT);
}

static int64_t send_for_long(void *endpoint)
{
    return yoke_send(endpoint, "x", 1, LONG_WAIT);
}

static void waits_end_when_their_time_is_over(void **state)
{
    struct both both = both_make(state);

    must_fail(recv_for_50_ms(both.receiver), ETIMEDOUT);
    assert_times_out(recv_for_50_ms, both.receiver, 50 * MS);
    fill(both.sender);
    assert_times_out(send_for_50_ms, both.sender, 50 * MS);
    both_drop(&both);
}

static void waits_end_when_there_is_something(void **state)
{
    struct both both = both_make(state);
    struct worker worker;

    worker_start(&worker, recv_for_long, both.receiver);
    worker_wait_asleep(&worker);
    must(yoke_send(both.sender, "abc", 3, YOKE_NOW));
    assert_int_equal(worker_join(&worker), 3);
    fill(both.sender);
    worker_start(&worker, send_for_long, both.sender);
    worker_wait_asleep(&worker);
    assert_int_equal(recv_number(both.receiver, YOKE_NOW), 0);
    assert_int_equal(worker_join(&worker), 0);
    both_drop(&both);
}

static void cancelling_ends_waits_now_and_later(void **state)
{
    struct both both = both_make(state);
    struct worker worker;

    worker_start(&worker, recv_for_long, both.receiver);
    worker_wait_asleep(&worker);
    must(yoke_cancel(both.receiver));
    must_fail(worker_join(&worker), ECANCELED);
    must_fail(recv_for_long(both.receiver), ECANCELED);
    fill(both.sender);
    worker_start(&worker, send_for_long, both.sender);
    worker_wait_asleep(&worker);
    must(yoke_cancel(both.sender));
    must_fail(worker_join(&worker), ECANCELED);
    both_drop(&both);
}

static void closing_ends_another_threads_wait(void **state)
{
    struct both both = both_make(state);
    struct worker worker;

    worker_start(&worker, recv_for_long, both.receiver);
    worker_wait_asleep(&worker);
    yoke_close(both.receiver);
    must_fail(worker_join(&worker), ECANCELED);
    both.receiver = NULL;
    both_drop(&both);
}

/* In a child, which opens that end itself. */
static int64_t recv_in_a_child(void *context)
{
    yoke_endpoint *receiver;
    int result = try_open(&receiver, context, 1, 0);

    if (result < 0)
        return result;
    int64_t received = recv_for_long(receiver);
    yoke_close(receiver);
    return received;
}

static int64_t send_in_a_child(void *context)
{
    yoke_endpoint *sender;
    int result = try_open(&sender, context, 0, 0);

    if (result < 0)
        return result;
    while (result == 0)
        result = (int)yoke_send(sender, "x", 1, LONG_WAIT); /* until it is full, and then waits */
    yoke_close(sender);
    return result;
}

static void signal_handlers_end_waits(void **state)
{
    struct ends ends = ends_make(state);
    yoke_endpoint *other = open_end(&ends, 0);

    must_fail(interrupted_result(recv_in_a_child, &ends), EINTR);
    yoke_close(other);
    if (!(ends.subject->can & NAMED)) { /* the child had it: a new pair */
        ends_drop(&ends);
        ends = ends_make(state);
    }
    other = open_end(&ends, 1);
    must_fail(interrupted_result(send_in_a_child, &ends), EINTR);
    yoke_close(other);
    ends_drop(&ends);
}

static void descriptor_is_readable_whenever_receiving_would_not_wait(void **state)
{
    struct both both = both_make(state);
    int fd = (int)must(yoke_fd(both.receiver));
    uint64_t number;

    for (uint64_t i = 0; i < 50; i++) {
        while (is_readable(fd, 0))
            must_fail(yoke_recv(both.receiver, &number, sizeof number, YOKE_NOW), EAGAIN);
        send_number(both.sender, i);
        if (i % 2)
            send_number(both.sender, i);
        for (uint64_t k = 0; k <= i % 2; k++) {
            assert_true(is_readable(fd, SOON_MS));
            assert_int_equal(recv_number(both.receiver, YOKE_NOW), i);
        }
    }
    assert_int_equal(yoke_fd(both.receiver), fd);
    both_drop(&both);
}

static void wait_sets_take_it(void **state)
{
    struct both both = both_make(state);
    struct yoke_ready ready;
    yoke_set *set;
    uint64_t number;

    must(yoke_set_create(&set));
    must(yoke_set_add(set, both.receiver, &both));
    must_fail(yoke_set_add(set, both.receiver, &both), EBUSY);
    for (uint64_t i = 0; i < 50; i++) {
        while (yoke_set_wait(set, &ready, 1, YOKE_NOW) == 1)
            must_fail(yoke_recv(both.receiver, &number, sizeof number, YOKE_NOW), EAGAIN);
        send_number(both.sender, i);
        assert_int_equal(must(yoke_set_wait(set, &ready, 1, SOON_MS * MS)), 1);
        assert_ptr_equal(ready.endpoint, both.receiver);
        assert_ptr_equal(ready.user, &both);
        assert_int_equal(recv_number(both.receiver, YOKE_NOW), i);
    }
    both_drop(&both);
    must_fail(yoke_set_wait(set, &ready, 1, YOKE_NOW), EAGAIN);
    yoke_set_close(set);
}

/* ---- the end of one side ---- */

struct acting {
    const struct ends *ends;
    struct baton done;
};

static int role_sends_three_and_stays(void *argument)
{
    struct acting *acting = argument;
    yoke_endpoint *sender = open_end(acting->ends, 0);

    for (uint64_t i = 0; i < 3; i++)
        send_number(sender, i);
    baton_pass(&acting->done);
    pause();
    return 1;
}

static int role_sends_three_and_closes(void *argument)
{
    struct acting *acting = argument;
    yoke_endpoint *sender = open_end(acting->ends, 0);

    for (uint64_t i = 0; i < 3; i++)
        send_number(sender, i);
    yoke_close(sender);
    return 0;
}

/* What came before is received; then a side that has one owner is told how that one ended. */
static void expect_three_and(yoke_endpoint *receiver, const struct subject *subject, int end)
{
    int fd = (int)must(yoke_fd(receiver));
    uint64_t number;

    for (uint64_t i = 0; i < 3; i++)
        assert_int_equal(recv_number(receiver, SOON_MS * MS), i);
    if (!(subject->can & TWO_ENDS)) {
        must_fail(yoke_recv(receiver, &number, sizeof number, YOKE_NOW), EAGAIN);
        return;
    }
    must_fail(yoke_recv(receiver, &number, sizeof number, SOON_MS * MS), end);
    must_fail(yoke_recv(receiver, &number, sizeof number, YOKE_NOW), end);
    assert_true(is_readable(fd, SOON_MS));
}

static void what_a_killed_process_sent_arrives(void **state)
{
    struct ends ends = ends_make(state);
    struct acting acting = {.ends = &ends};
    yoke_endpoint *receiver = open_end(&ends, 1);

    baton_make(&acting.done);
    pid_t pid = role_start(role_sends_three_and_stays, &acting);
    baton_take(&acting.done);
    role_kill(pid);
    expect_three_and(receiver, *state, EOWNERDEAD);
    yoke_endpoint *successor = open_end(&ends, 0); /* its place is free at once */
    send_number(successor, 9);
    assert_int_equal(recv_number(receiver, SOON_MS * MS), 9);
    yoke_close(successor);
    yoke_close(receiver);
    baton_drop(&acting.done);
    ends_drop(&ends);
}

static int role_borrows_and_stays(void *argument)
{
    const struct acting *acting = argument;
    struct yoke_message message = {.size = 0};

    borrow_details(open_end(acting->ends, 1), &message);
    baton_pass(&acting->done);
    return pause();
}

static void what_was_sent_again_is_so_after_its_receivers_death(void **state)
{
    const struct subject *subject = *state;
    struct ends ends = ends_make(state);
    struct acting acting = {.ends = &ends};
    yoke_endpoint *sender = open_end(&ends, 0);
    uint64_t number = 9;

    baton_make(&acting.done);
    if (subject->can & REDELIVERS) {
        send_marked(sender, &number, sizeof number, 0);
        pid_t pid = role_start(role_borrows_and_stays, &acting);
        baton_take(&acting.done);
        role_kill(pid);
        yoke_endpoint *receiver = open_end(&ends, 1);
        expect_deliveries(receiver, sizeof number, 0, 3);
        yoke_close(receiver);
    }
    yoke_close(sender);
    baton_drop(&acting.done);
    ends_drop(&ends);
}

static void what_was_sent_before_closing_arrives(void **state)
{
    struct ends ends = ends_make(state);
    struct acting acting = {.ends = &ends};
    yoke_endpoint *receiver = open_end(&ends, 1);

    assert_int_equal(role_wait(role_start(role_sends_three_and_closes, &acting), SOON_MS), 0);
    expect_three_and(receiver, *state, EPIPE);
    yoke_close(receiver);
    ends_drop(&ends);
}

static void what_was_sent_before_the_other_came_waits(void **state)
{
    struct ends ends = ends_make(state);
    yoke_endpoint *sender = open_end(&ends, 0);

    for (uint64_t i = 0; i < 3; i++)
        send_number(sender, i);
    yoke_endpoint *receiver = open_end(&ends, 1);
    for (uint64_t i = 0; i < 3; i++)
        assert_int_equal(recv_number(receiver, YOKE_NOW), i);
    yoke_close(sender);
    yoke_close(receiver);
    ends_drop(&ends);
}

static int role_takes_an_end(void *argument)
{
    struct acting *acting = argument;
    yoke_endpoint *endpoint;

    return try_open(&endpoint, acting->ends, 0, 0) == -EADDRINUSE ? 0 : 1;
}

static void an_end_has_one_living_owner(void **state)
{
    struct ends ends = ends_make(state);
    struct acting acting = {.ends = &ends};

    if (!(ends.subject->can & TWO_ENDS)) {
        ends_drop(&ends);
        return;
    }
    yoke_endpoint *first = open_end(&ends, 0);
    assert_int_equal(role_wait(role_start(role_takes_an_end, &acting), SOON_MS), 0);
    yoke_close(first);
    ends_drop(&ends);
}

static int role_sends_through_what_it_inherited(void *argument)
{
    send_number(argument, 5);
    yoke_close(argument);
    return 0;
}

static void forked_child_goes_on_with_it(void **state)
{
    struct both both = both_make(state);
    const struct subject *subject = *state;

    if (!(subject->can & TWO_ENDS)) { /* else the end is the parent's */
        pid_t child = role_start(role_sends_through_what_it_inherited, both.sender);
        assert_int_equal(recv_number(both.receiver, SOON_MS * MS), 5);
        assert_int_equal(role_wait(child, SOON_MS), 0);
    }
    send_number(both.sender, 6);
    assert_int_equal(recv_number(both.receiver, YOKE_NOW), 6);
    both_drop(&both);
}

/* ---- names and permissions ---- */

static void names_are_made_found_kept_and_removed(void **state)
{
    struct ends ends = ends_make(state);
    const char *address = address_of(ends.subject, 0);
    yoke_endpoint *endpoint;
    char whole[320];

    if (!(ends.subject->can & NAMED))
        return (void)ends_drop(&ends);
    must_fail(try_open(&endpoint, &ends, 0, 0), ENOENT);
    yoke_close(open_end(&ends, 0));
    must_fail(try_open(&endpoint, &ends, 0, 0), ENOENT); /* transient: it went with its last user */
    must(try_open(&endpoint, &ends, 0, YOKE_CREATE | YOKE_EXCLUSIVE | YOKE_KEPT));
    send_number(endpoint, 3);
    yoke_close(endpoint);
    must_fail(try_open(&endpoint, &ends, 0, YOKE_CREATE | YOKE_EXCLUSIVE), EEXIST);
    must(try_open(&endpoint, &ends, 1, 0));
    assert_int_equal(recv_number(endpoint, YOKE_NOW), 3);
    const char *place = strchr(address, '@');
    snprintf(whole, sizeof whole, "%s%s",
             ends.subject->can & TWO_ENDS ? "link:alice/bob" : "port:conform", place ? place : "");
    must(yoke_remove(whole));
    must_fail(yoke_remove(whole), ENOENT);
    yoke_close(endpoint);
}

static int role_is_another_user(void *argument)
{
    struct acting *acting = argument;
    yoke_endpoint *endpoint;

    become_user(1);
    return try_open(&endpoint, acting->ends, 1, 0) == -EACCES ? 0 : 1;
}

static void other_users_may_not_unless_the_mode_says_so(void **state)
{
    struct ends ends = ends_make(state);
    struct acting acting = {.ends = &ends};

    if (!(ends.subject->can & NAMED) || (ends.subject->can & REMOTE))
        return (void)ends_drop(&ends);
    share_directory();
    yoke_endpoint *mine = open_end(&ends, 0);
    assert_int_equal(role_wait(role_start(role_is_another_user, &acting), SOON_MS), 0);
    yoke_close(mine);
}

static void bad_input_gets_an_answer(void **state)
{
    struct both both = both_make(state);
    const struct subject *subject = *state;
    yoke_endpoint *endpoint;
    char byte, address[320];

    must_fail(yoke_send(NULL, "x", 1, YOKE_NOW), EINVAL);
    must_fail(yoke_send(both.sender, NULL, 1, YOKE_NOW), EINVAL);
    must_fail(yoke_send(both.sender, "x", 1, -2), EINVAL);
    must_fail(yoke_recv(both.receiver, NULL, 1, YOKE_NOW), EINVAL);
    must_fail(yoke_recv(both.receiver, &byte, 1, -2), EINVAL);
    must_fail(yoke_send_many(both.sender, NULL, 1, YOKE_NOW), EINVAL);
    must_fail(yoke_recv_many(both.receiver, NULL, 1, YOKE_NOW), EINVAL);
    must_fail(yoke_recv(both.receiver, &byte, 1, YOKE_NOW), EAGAIN); /* nothing was changed */
    if (subject->can & NAMED) {
        struct yoke_options options = options_of(subject, 0);
        must_fail(yoke_open(&endpoint, address_of(subject, 0), 0x80000000u, &options), EINVAL);
        options.struct_size--;
        must_fail(yoke_open(&endpoint, address_of(subject, 0), YOKE_CREATE, &options), EINVAL);
        options = options_of(subject, 0);
        options.depth = (1u << 20) + 1;
        must_fail(yoke_open(&endpoint, address_of(subject, 0), YOKE_CREATE, &options), EINVAL);
        snprintf(address, sizeof address, "%.*s@nowhere", (int)strcspn(address_of(subject, 0), "@"),
                 address_of(subject, 0));
        must_fail(yoke_open(&endpoint, address, 0, NULL), ENOTSUP);
    }
    both_drop(&both);
}

/* ---- all of them ---- */

static const struct expectation expectations[] = {
    EXPECTATION(messages_come_whole_and_in_order),
    EXPECTATION(what_is_full_takes_no_more_and_loses_nothing),
    EXPECTATION(what_is_too_big_is_refused_and_stays_where_it_is),
    EXPECTATION(several_go_and_come_in_one_call),
    EXPECTATION(what_is_sent_again_comes_as_the_second_delivery),
    EXPECTATION(what_came_again_is_sent_on_as_such),
    EXPECTATION(flags_that_there_are_not_are_refused),
    EXPECTATION(what_is_sent_again_is_counted_from_there),
    EXPECTATION(loans_are_had_or_refused),
    EXPECTATION(what_a_place_can_not_do_is_refused_when_it_is_opened),
    EXPECTATION(higher_priorities_come_first),
    EXPECTATION(waits_end_when_their_time_is_over),
    EXPECTATION(waits_end_when_there_is_something),
    EXPECTATION(cancelling_ends_waits_now_and_later),
    EXPECTATION(closing_ends_another_threads_wait),
    EXPECTATION(signal_handlers_end_waits),
    EXPECTATION(descriptor_is_readable_whenever_receiving_would_not_wait),
    EXPECTATION(wait_sets_take_it),
    EXPECTATION(what_a_killed_process_sent_arrives),
    EXPECTATION(what_was_sent_again_is_so_after_its_receivers_death),
    EXPECTATION(what_was_sent_before_closing_arrives),
    EXPECTATION(what_was_sent_before_the_other_came_waits),
    EXPECTATION(an_end_has_one_living_owner),
    EXPECTATION(forked_child_goes_on_with_it),
    EXPECTATION(names_are_made_found_kept_and_removed),
    EXPECTATION(other_users_may_not_unless_the_mode_says_so),
    EXPECTATION(bad_input_gets_an_answer),
};

int main(void)
{
    const char *url = getenv("YOKE_NATS_URL");

    return url ? conform(remote_subjects, expectations) : conform(subjects, expectations);
}
