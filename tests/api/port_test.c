/* Ports: order, priorities, sizes, depth, loans, several at once, and who holds what open. */
#include "api.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define KIB ((size_t)1024)
#define MIB ((size_t)1024 * 1024)

/* Options for a small port: few blocks, so that everything goes round often. */
static struct yoke_options small(uint32_t depth)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;

    options.depth = depth;
    options.participants = 4;
    options.max_message = 64;
    return options;
}

static yoke_endpoint *make_small(const char *name, uint32_t depth)
{
    struct yoke_options options = small(depth);

    return port_make(name, &options);
}

static int try_number(yoke_endpoint *endpoint, uint64_t number)
{
    return (int)yoke_send(endpoint, &number, sizeof number, YOKE_NOW);
}

static void assert_empty(yoke_endpoint *endpoint)
{
    char byte;

    must_fail(yoke_recv(endpoint, &byte, 1, YOKE_NOW), EAGAIN);
}

/* ---- order ------------------------------------------------------------------------------------ */

static void messages_come_in_the_order_in_which_they_were_sent(void **state)
{
    yoke_endpoint *port = make_small("order", 50);
    uint64_t sent = 0, received = 0;

    (void)state;
    srandom((unsigned)test_seed());
    while (received < 20000) {
        for (long i = random() % 60; i > 0; i--)
            if (try_number(port, sent) == 0)
                sent++;
        for (long i = random() % 60; i > 0 && received < sent; i--)
            assert_int_equal(recv_number(port, YOKE_NOW), received++);
    }
    yoke_close(port);
}

static void highest_priority_comes_first_and_within_it_the_oldest(void **state)
{
    struct yoke_options options = small(8);
    yoke_endpoint *port;
    uint32_t next[YOKE_PRIORITIES_MAX] = {0};

    (void)state;
    options.priorities = YOKE_PRIORITIES_MAX;
    port = port_make("urgent", &options);
    for (int i = 0; i < 4 * YOKE_PRIORITIES_MAX; i++) {
        uint32_t priority = (uint32_t)i * 13 % YOKE_PRIORITIES_MAX;

        send_details(port, "", 0, priority, next[priority]++);
    }
    for (uint32_t priority = YOKE_PRIORITIES_MAX; priority-- > 0;)
        for (uint64_t tag = 0; tag < 4; tag++) {
            struct yoke_message message;

            borrow_details(port, &message);
            assert_int_equal(message.priority, priority);
            assert_int_equal(message.tag, tag);
            must(yoke_release(port, message.data));
        }
    assert_empty(port);
    yoke_close(port);
}

static void a_later_message_of_higher_priority_overtakes(void **state)
{
    struct yoke_options options = small(8);
    yoke_endpoint *port;
    char text[8];

    (void)state;
    options.priorities = 2;
    port = port_make("overtaking", &options);
    send_details(port, "low", 4, 0, 0);
    send_details(port, "high", 5, 1, 0);
    must(yoke_recv(port, text, sizeof text, YOKE_NOW));
    assert_string_equal(text, "high");
    must(yoke_recv(port, text, sizeof text, YOKE_NOW));
    assert_string_equal(text, "low");
    yoke_close(port);
}

/* ---- sizes ------------------------------------------------------------------------------------ */

static void every_size_from_nothing_to_the_most_arrives_whole(void **state)
{
    static const size_t most[] = {1, 8, 31, 32, 33, 64, 4096, 4097, 70000};
    unsigned char *out = malloc(70000), *in = malloc(70000);

    (void)state;
    assert_non_null(out);
    assert_non_null(in);
    for (size_t i = 0; i < 70000; i++)
        out[i] = (unsigned char)(i * 7 + i / 251);
    for (size_t i = 0; i < sizeof most / sizeof most[0]; i++) {
        struct yoke_options options = small(4);
        yoke_endpoint *port;

        options.max_message = most[i];
        port = port_make("sizes", &options);
        assert_int_equal(yoke_max_message(port), most[i]);
        for (size_t size = 0; size <= most[i]; size += size < 100             ? 1
                                                       : most[i] - size > 999 ? 999
                                                                              : 1) {
            must(yoke_send(port, out, size, YOKE_NOW));
            memset(in, 0, size + (size < 70000));
            assert_int_equal(yoke_recv(port, in, most[i], YOKE_NOW), size);
            assert_memory_equal(in, out, size);
        }
        must_fail(yoke_send(port, out, most[i] + 1, YOKE_NOW), EMSGSIZE);
        assert_empty(port);
        yoke_close(port);
    }
    free(out);
    free(in);
}

static void empty_message_is_a_message(void **state)
{
    yoke_endpoint *port = make_small("empty", 4);
    const void *message = NULL;

    (void)state;
    must(yoke_send(port, NULL, 0, YOKE_NOW));
    must(yoke_send(port, "", 0, YOKE_NOW));
    must(yoke_send(port, NULL, 0, YOKE_NOW));
    assert_int_equal(yoke_recv(port, NULL, 0, YOKE_NOW), 0);
    assert_int_equal(yoke_borrow(port, &message, YOKE_NOW), 0);
    assert_non_null(message);
    must(yoke_release(port, message));
    assert_int_equal(yoke_recv(port, &(char){0}, 1, YOKE_NOW), 0);
    assert_empty(port);
    yoke_close(port);
}

static void message_bigger_than_the_buffer_stays_where_it_is(void **state)
{
    yoke_endpoint *port = make_small("tight", 4);
    unsigned char buffer[64];

    (void)state;
    memset(buffer, 0xee, sizeof buffer);
    must(yoke_send(port, "twelve bytes", 12, YOKE_NOW));
    must(yoke_send(port, "x", 1, YOKE_NOW));
    for (int i = 0; i < 5; i++) {
        must_fail(yoke_recv(port, buffer, 11, i % 2 ? YOKE_NOW : YOKE_FOREVER), EMSGSIZE);
        assert_non_null(strstr(yoke_explain(), "11 bytes"));
        assert_non_null(strstr(yoke_explain(), "64"));
        must_fail(yoke_recv(port, NULL, 0, YOKE_NOW), EMSGSIZE);
        assert_int_equal(buffer[0], 0xee);
    }
    assert_int_equal(yoke_recv(port, buffer, 12, YOKE_NOW), 12);
    assert_memory_equal(buffer, "twelve bytes", 12);
    assert_int_equal(buffer[12], 0xee);
    assert_int_equal(yoke_recv(port, buffer, 12, YOKE_NOW), 1); /* the order is as it was */
    yoke_close(port);
}

static void port_for_the_biggest_messages_takes_only_the_memory_it_uses(void **state)
{
    struct yoke_options options = small(4);
    struct segment_facts facts;
    yoke_endpoint *port;
    unsigned char *message;

    (void)state;
    options.max_message = YOKE_MESSAGE_MAX;
    port = port_make("big", &options);
    assert_true(biggest_segment(&facts));
    assert_true(facts.size > 16 * YOKE_MESSAGE_MAX);
    assert_true(facts.resident < MIB);
    for (uint64_t i = 0; i < 1000; i++) {
        send_number(port, i);
        assert_int_equal(recv_number(port, YOKE_NOW), i);
    }
    assert_true(biggest_segment(&facts));
    assert_true(facts.resident < 2 * MIB);

    message = calloc(1, YOKE_MESSAGE_MAX + 1);
    assert_non_null(message);
    message[0] = message[YOKE_MESSAGE_MAX - 1] = 'm';
    must_fail(yoke_send(port, message, YOKE_MESSAGE_MAX + 1, YOKE_NOW), EMSGSIZE);
    must(yoke_send(port, message, YOKE_MESSAGE_MAX, YOKE_NOW));
    message[0] = message[YOKE_MESSAGE_MAX - 1] = 0;
    assert_int_equal(yoke_recv(port, message, YOKE_MESSAGE_MAX, YOKE_NOW), YOKE_MESSAGE_MAX);
    assert_int_equal(message[0], 'm');
    assert_int_equal(message[YOKE_MESSAGE_MAX - 1], 'm');
    assert_true(biggest_segment(&facts));
    assert_true(facts.resident < YOKE_MESSAGE_MAX + 4 * MIB);
    free(message);
    yoke_close(port);
}

/* ---- depth ------------------------------------------------------------------------------------ */

static void exactly_as_many_messages_wait_as_the_port_is_deep(void **state)
{
    static const uint32_t depths[] = {1, 2, 3, 5, 64, 127, 128, 129, 300};

    (void)state;
    srandom((unsigned)test_seed());
    for (size_t i = 0; i < sizeof depths / sizeof depths[0]; i++) {
        yoke_endpoint *port = make_small("depth", depths[i]), *other = port_join("depth");
        uint64_t sent = 0, received = 0;

        for (int round = 0; round < 200; round++) {
            long fill = random() % ((long)depths[i] + 1);

            while (sent - received < depths[i])
                must(try_number(sent % 2 ? port : other, sent)), sent++;
            must_fail(try_number(port, sent), EAGAIN);
            must_fail(try_number(other, sent), EAGAIN);
            for (; fill >= 0 && received < sent; fill--)
                assert_int_equal(recv_number(fill % 2 ? port : other, YOKE_NOW), received++);
        }
        yoke_close(port);
        yoke_close(other);
    }
}

static void each_priority_has_a_depth_of_its_own(void **state)
{
    struct yoke_options options = small(3);
    struct yoke_message message = {.size = 0};
    yoke_endpoint *port;

    (void)state;
    options.priorities = 3;
    port = port_make("levels", &options);
    for (message.priority = 0; message.priority < 3; message.priority++) {
        for (int i = 0; i < 3; i++)
            assert_int_equal(yoke_send_many(port, &message, 1, YOKE_NOW), 1);
        must_fail(yoke_send_many(port, &message, 1, YOKE_NOW), EAGAIN);
    }
    for (int i = 0; i < 9; i++)
        must(yoke_recv(port, NULL, 0, YOKE_NOW));
    assert_empty(port);
    yoke_close(port);
}

static void messages_held_for_long_leave_room_for_others(void **state)
{
    yoke_endpoint *port = make_small("held", 4), *holder = port_join("held");
    const void *held[2];

    (void)state;
    send_number(port, 1000);
    send_number(port, 1001);
    must(yoke_borrow(holder, &held[0], YOKE_NOW));
    must(yoke_borrow(holder, &held[1], YOKE_NOW));
    for (uint64_t i = 0; i < 5000; i++) { /* many laps round the two */
        send_number(port, i);
        assert_int_equal(recv_number(port, YOKE_NOW), i);
    }
    assert_int_equal(*(const uint64_t *)held[0], 1000);
    must(yoke_release(holder, held[1]));
    must(yoke_release(holder, held[0]));
    for (uint64_t i = 0; i < 4; i++)
        must(try_number(port, i));
    for (uint64_t i = 0; i < 4; i++)
        assert_int_equal(recv_number(port, YOKE_NOW), i);
    yoke_close(holder);
    yoke_close(port);
}

/* ---- details ---------------------------------------------------------------------------------- */

static void details_of_a_message_are_those_of_its_sender(void **state)
{
    struct yoke_options options = small(8);
    struct yoke_message message;
    char buffer[16];
    yoke_endpoint *port;

    (void)state;
    options.priorities = 4;
    port = port_make("details", &options);
    send_details(port, "hello", 5, 2, UINT64_C(0xfedcba9876543210));
    message = (struct yoke_message){.data = buffer, .capacity = sizeof buffer, .flags = 9};
    assert_int_equal(yoke_recv_many(port, &message, 1, YOKE_NOW), 1);
    assert_ptr_equal(message.data, buffer);
    assert_int_equal(message.capacity, sizeof buffer);
    assert_int_equal(message.size, 5);
    assert_memory_equal(buffer, "hello", 5);
    assert_int_equal(message.priority, 2);
    assert_true(message.tag == UINT64_C(0xfedcba9876543210));
    assert_int_equal(message.deliveries, 1);
    assert_int_equal(message.sender, getpid());
    assert_int_equal(message.flags, 0);
    must(yoke_send(port, "plain", 5, YOKE_NOW));
    borrow_details(port, &message);
    assert_int_equal(message.priority, 0);
    assert_int_equal(message.tag, 0);
    must(yoke_release(port, message.data));
    yoke_close(port);
}

static void sequence_numbers_are_unique_and_grow_within_a_priority(void **state)
{
    enum { COUNT = 3000 };
    struct yoke_options options = small(16);
    uint64_t *seen = calloc(COUNT, sizeof *seen), last[3] = {0};
    yoke_endpoint *port;

    (void)state;
    assert_non_null(seen);
    options.priorities = 3;
    port = port_make("numbers", &options);
    for (uint32_t i = 0; i < COUNT; i += 6) {
        for (uint32_t j = 0; j < 6; j++)
            send_details(port, "", 0, (i + j * j) % 3, 0);
        for (uint32_t j = 0; j < 6; j++) {
            struct yoke_message message;

            borrow_details(port, &message);
            assert_true(last[message.priority] == 0 || message.sequence > last[message.priority]);
            last[message.priority] = message.sequence;
            seen[i + j] = message.sequence;
            must(yoke_release(port, message.data));
        }
    }
    for (size_t i = 0; i < COUNT; i++)
        for (size_t j = i + 1; j < COUNT && j < i + 500; j++)
            assert_true(seen[i] != seen[j]);
    free(seen);
    yoke_close(port);
}

static int role_sends_its_pid(void *argument)
{
    yoke_endpoint *port = port_join("author");

    (void)argument;
    send_number(port, (uint64_t)getpid());
    yoke_close(port);
    return 0;
}

static void messages_of_a_process_that_ended_are_there_and_name_it(void **state)
{
    yoke_endpoint *port = make_small("author", 8);
    pid_t pids[4];

    (void)state;
    for (int i = 0; i < 4; i++) {
        pids[i] = role_start(role_sends_its_pid, NULL);
        assert_int_equal(role_wait(pids[i], SOON_MS), 0);
    }
    for (int i = 0; i < 4; i++) {
        struct yoke_message message;

        borrow_details(port, &message);
        assert_int_equal(message.sender, pids[i]);
        assert_int_equal(*(uint64_t *)message.data, pids[i]);
        must(yoke_release(port, message.data));
    }
    yoke_close(port);
}

/* ---- several at once --------------------------------------------------------------------------- */

static void several_are_sent_as_far_as_there_is_room(void **state)
{
    yoke_endpoint *port = make_small("several", 5);
    uint64_t numbers[8];
    struct yoke_message messages[8];

    (void)state;
    for (uint64_t i = 0; i < 8; i++) {
        numbers[i] = i;
        messages[i] =
            (struct yoke_message){.data = &numbers[i], .size = sizeof numbers[i], .tag = i};
    }
    assert_int_equal(yoke_send_many(port, messages, 0, YOKE_NOW), 0);
    assert_int_equal(yoke_send_many(port, messages, 3, YOKE_NOW), 3);
    assert_int_equal(yoke_send_many(port, messages + 3, 5, YOKE_FOREVER), 2);
    must_fail(yoke_send_many(port, messages + 5, 3, YOKE_NOW), EAGAIN);
    for (uint64_t i = 0; i < 5; i++)
        assert_int_equal(recv_number(port, YOKE_NOW), i);
    assert_empty(port);
    yoke_close(port);
}

static void one_bad_message_among_several_sends_none(void **state)
{
    yoke_endpoint *port = make_small("spoilt", 8);
    char byte = 'b';
    struct yoke_message one = {.data = &byte, .size = 1}, messages[3] = {one, one, one};

    (void)state;
    messages[1].size = 65;
    must_fail(yoke_send_many(port, messages, 3, YOKE_NOW), EMSGSIZE);
    messages[1].size = 1;
    messages[2].priority = 1;
    must_fail(yoke_send_many(port, messages, 3, YOKE_NOW), EINVAL);
    messages[2].priority = 0;
    messages[2].data = NULL;
    must_fail(yoke_send_many(port, messages, 3, YOKE_NOW), EINVAL);
    assert_empty(port);
    yoke_close(port);
}

static void several_are_received_as_far_as_they_are_there_and_fit(void **state)
{
    struct yoke_options options = small(8);
    char buffers[6][16];
    struct yoke_message messages[6];
    yoke_endpoint *port;

    (void)state;
    options.priorities = 2;
    port = port_make("batch", &options);
    for (int i = 0; i < 6; i++)
        messages[i] = (struct yoke_message){.data = buffers[i], .capacity = 4};
    must_fail(yoke_recv_many(port, messages, 6, YOKE_NOW), EAGAIN);
    assert_int_equal(yoke_recv_many(port, messages, 0, YOKE_FOREVER), 0);
    send_details(port, "3", 1, 0, 3);
    send_details(port, "1", 1, 1, 1);
    send_details(port, "2", 1, 1, 2);
    send_details(port, "too big", 7, 0, 4);
    send_details(port, "5", 1, 0, 5);
    assert_int_equal(yoke_recv_many(port, messages, 6, YOKE_FOREVER), 3);
    for (uint64_t i = 0; i < 3; i++) {
        assert_int_equal(messages[i].tag, i + 1);
        assert_int_equal(buffers[i][0], '1' + (char)i);
        assert_int_equal(messages[i].size, 1);
    }
    must_fail(yoke_recv_many(port, messages, 6, YOKE_FOREVER), EMSGSIZE);
    messages[0].capacity = 16;
    assert_int_equal(yoke_recv_many(port, messages, 6, YOKE_FOREVER), 2);
    assert_int_equal(messages[0].tag, 4);
    assert_int_equal(messages[1].tag, 5);
    assert_empty(port);
    yoke_close(port);
}

static void several_are_borrowed_at_once(void **state)
{
    yoke_endpoint *port = make_small("bundle", 8);
    struct yoke_message messages[8];

    (void)state;
    for (uint64_t round = 0; round < 100; round++) {
        for (uint64_t i = 0; i < 5; i++)
            send_number(port, round * 5 + i);
        assert_int_equal(yoke_borrow_many(port, messages, 8, YOKE_FOREVER), 5);
        for (uint64_t i = 0; i < 5; i++)
            assert_int_equal(*(uint64_t *)messages[i].data, round * 5 + i);
        for (uint64_t i = 0; i < 5; i++) /* in another order */
            must(yoke_release(port, messages[(i * 3 + round) % 5].data));
    }
    must_fail(yoke_borrow_many(port, messages, 8, YOKE_NOW), EAGAIN);
    yoke_close(port);
}

/* ---- loans ------------------------------------------------------------------------------------ */

static void committed_loan_is_sent_and_can_be_borrowed_in_place(void **state)
{
    yoke_endpoint *port = make_small("loans", 4);
    const void *message;
    void *block;

    (void)state;
    for (uint64_t i = 0; i < 1000; i++) {
        must(yoke_loan(port, 64, &block, YOKE_NOW));
        assert_int_equal((uintptr_t)block % 16, 0);
        memset(block, (int)i, 64);
        must(yoke_commit(port, block, 1 + i % 64));
        assert_int_equal(yoke_borrow(port, &message, YOKE_NOW), 1 + i % 64);
        assert_ptr_equal(message, block); /* nothing was copied */
        for (uint64_t j = 0; j < 1 + i % 64; j++)
            assert_int_equal(((const unsigned char *)message)[j], i % 256);
        must(yoke_release(port, message));
    }
    yoke_close(port);
}

static void as_many_loans_as_the_port_is_deep_are_all_different(void **state)
{
    enum { DEPTH = 40 };
    yoke_endpoint *port = make_small("deep", DEPTH);
    void *blocks[DEPTH];

    (void)state;
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < DEPTH; i++) {
            must(yoke_loan(port, 8, &blocks[i], YOKE_NOW));
            *(uint64_t *)blocks[i] = (uint64_t)i;
            for (int j = 0; j < i; j++)
                assert_ptr_not_equal(blocks[i], blocks[j]);
        }
        for (int i = DEPTH; i-- > 0;)
            must(yoke_commit(port, blocks[i], 8));
        for (int i = DEPTH; i-- > 0;)
            assert_int_equal(recv_number(port, YOKE_NOW), i);
    }
    yoke_close(port);
}

static void released_loan_is_not_sent_and_can_be_had_again(void **state)
{
    yoke_endpoint *port = make_small("unsent", 2);
    void *block = NULL;

    (void)state;
    for (int i = 0; i < 100; i++) {
        must(yoke_loan(port, 64, &block, YOKE_NOW));
        must(yoke_release(port, block));
        must_fail(yoke_release(port, block), EINVAL);
        must_fail(yoke_commit(port, block, 1), EINVAL);
    }
    assert_empty(port);
    yoke_close(port);
}

static void loan_stays_the_callers_when_the_port_is_full_by_then(void **state)
{
    yoke_endpoint *port = make_small("crammed", 2);
    void *block, *none = NULL;

    (void)state;
    must(yoke_loan(port, 8, &block, YOKE_NOW));
    *(uint64_t *)block = 3;
    send_number(port, 1);
    send_number(port, 2);
    must_fail(yoke_commit(port, block, 8), EAGAIN);
    must_fail(yoke_loan(port, 8, &none, YOKE_NOW),
              EAGAIN); /* full: there is nothing to write for */
    assert_null(none);
    assert_int_equal(recv_number(port, YOKE_NOW), 1);
    must(yoke_commit(port, block, 8));
    assert_int_equal(recv_number(port, YOKE_NOW), 2);
    assert_int_equal(recv_number(port, YOKE_NOW), 3);
    assert_empty(port);
    yoke_close(port);
}

static void commit_refuses_what_is_too_big_and_what_is_no_loan(void **state)
{
    yoke_endpoint *port = make_small("picky", 4), *other = port_join("picky");
    void *block, *none = NULL;
    char bytes[64] = "";

    (void)state;
    must_fail(yoke_loan(port, 65, &none, YOKE_NOW), EMSGSIZE);
    must_fail(yoke_loan(port, SIZE_MAX, &none, YOKE_NOW), EMSGSIZE);
    assert_null(none);
    must(yoke_loan(port, 8, &block, YOKE_NOW));
    must_fail(yoke_commit(port, block, 65), EMSGSIZE);
    must_fail(yoke_commit(port, (char *)block + 8, 8), EINVAL);
    must_fail(yoke_commit(port, (char *)block + 96, 8), EINVAL); /* where a neighbour may be */
    must_fail(yoke_commit(port, bytes, 8), EINVAL);
    must_fail(yoke_commit(port, NULL, 0), EINVAL);
    must_fail(yoke_commit(other, block, 8), EINVAL);
    must_fail(yoke_release(other, block), EINVAL);
    must_fail(yoke_return(port, block), EINVAL);
    assert_non_null(strstr(yoke_explain(), "loan"));
    assert_empty(port);
    must(yoke_commit(port, block, 8));
    must_fail(yoke_commit(port, block, 8), EINVAL);
    must(yoke_recv(port, bytes, sizeof bytes, YOKE_NOW));
    must_fail(yoke_release(port, block), EINVAL);
    yoke_close(other);
    yoke_close(port);
}

static void several_loans_are_committed_at_once_with_details(void **state)
{
    struct yoke_options options = small(2);
    struct yoke_message messages[3] = {{0}}, got;
    yoke_endpoint *port;

    (void)state;
    options.priorities = 2;
    port = port_make("lots", &options);
    for (uint32_t i = 0; i < 3; i++) {
        must(yoke_loan(port, 8, &messages[i].data, YOKE_NOW));
        *(uint64_t *)messages[i].data = i;
        messages[i].size = 8;
        messages[i].tag = 100 + i;
        messages[i].priority = 1;
    }
    assert_int_equal(yoke_commit_many(port, messages, 3, YOKE_NOW), 2);
    must_fail(yoke_commit_many(port, messages + 2, 1, YOKE_NOW), EAGAIN);
    messages[2].priority = 0;
    assert_int_equal(yoke_commit_many(port, messages + 2, 1, YOKE_NOW), 1);
    for (uint64_t i = 0; i < 3; i++) {
        borrow_details(port, &got);
        assert_int_equal(got.tag, 100 + i);
        assert_int_equal(got.priority, i < 2);
        assert_int_equal(*(uint64_t *)got.data, i);
        must(yoke_release(port, got.data));
    }
    yoke_close(port);
}

static void the_same_loan_twice_in_one_call_is_sent_once(void **state)
{
    yoke_endpoint *port = make_small("twice", 8);
    struct yoke_message messages[2] = {{.size = 8}, {.size = 8}};

    (void)state;
    must(yoke_loan(port, 8, &messages[0].data, YOKE_NOW));
    *(uint64_t *)messages[0].data = 77;
    messages[1].data = messages[0].data;
    assert_int_equal(yoke_commit_many(port, messages, 2, YOKE_NOW), 1);
    must_fail(yoke_commit_many(port, messages + 1, 1, YOKE_NOW), EINVAL);
    assert_int_equal(recv_number(port, YOKE_NOW), 77);
    assert_empty(port);
    yoke_close(port);
}

static void loans_of_a_closed_endpoint_are_gone_and_take_no_room(void **state)
{
    yoke_endpoint *port = make_small("left", 8);

    (void)state;
    for (int round = 0; round < 20; round++) {
        yoke_endpoint *other = port_join("left");
        void *block;

        for (int i = 0; i < 8; i++)
            must(yoke_loan(other, 8, &block, YOKE_NOW));
        yoke_close(other);
    }
    for (uint64_t i = 0; i < 8; i++)
        must(try_number(port, i));
    for (uint64_t i = 0; i < 8; i++)
        assert_int_equal(recv_number(port, YOKE_NOW), i);
    yoke_close(port);
}

/* ---- lives ------------------------------------------------------------------------------------ */

static void kept_port_keeps_its_messages_without_users(void **state)
{
    yoke_endpoint *port;

    (void)state;
    must(yoke_open(&port, "port:store", YOKE_CREATE | YOKE_KEPT, NULL));
    for (uint64_t i = 0; i < 10; i++)
        send_number(port, i);
    yoke_close(port);
    for (uint64_t i = 0; i < 10; i++) {
        port = port_join("store");
        assert_int_equal(recv_number(port, YOKE_NOW), i);
        yoke_close(port);
    }
    must(yoke_remove("port:store"));
    must_fail(yoke_open(&port, "port:store", 0, NULL), ENOENT);
    assert_int_equal(segments_made_by(getpid()), 0);
    assert_int_equal(names_left(), 0);
}

static void transient_port_goes_with_its_last_endpoint(void **state)
{
    yoke_endpoint *port = port_make("brief", NULL), *other = port_join("brief");

    (void)state;
    send_number(port, 1);
    yoke_close(port);
    assert_int_equal(recv_number(other, YOKE_NOW), 1); /* what it sent stays */
    send_number(other, 2);
    yoke_close(other);
    assert_int_equal(segments_made_by(getpid()), 0);
    assert_int_equal(names_left(), 0);
    port = port_make("brief", NULL);
    assert_empty(port);
    yoke_close(port);
    must(yoke_close(NULL));
}

static void removed_port_works_on_for_its_users(void **state)
{
    yoke_endpoint *port = port_make("cut", NULL), *other = port_join("cut"), *new;

    (void)state;
    must(yoke_remove("port:cut"));
    new = port_make("cut", NULL);
    send_number(port, 1);
    assert_empty(new);
    assert_int_equal(recv_number(other, YOKE_NOW), 1);
    yoke_close(other);
    yoke_close(port);
    send_number(new, 2);
    port = port_join("cut");
    assert_int_equal(recv_number(port, YOKE_NOW), 2);
    yoke_close(port);
    yoke_close(new);
}

static void existing_port_keeps_what_it_was_created_with(void **state)
{
    struct yoke_options options = small(2);
    yoke_endpoint *port = port_make("firm", &options), *other = NULL;

    (void)state;
    options.depth = 100;
    options.max_message = 1 << 20;
    other = port_make("firm", &options);
    assert_int_equal(yoke_max_message(other), 64);
    must(try_number(other, 1));
    must(try_number(other, 2));
    must_fail(try_number(other, 3), EAGAIN);
    must_fail(yoke_open(&other, "port:firm", YOKE_CREATE | YOKE_EXCLUSIVE, NULL), EEXIST);
    yoke_close(other);
    yoke_close(port);
}

static void endpoints_give_back_their_descriptors_and_places(void **state)
{
    struct yoke_options options = small(2);
    yoke_endpoint *port, *others[4] = {NULL};
    int before = open_descriptors();

    (void)state;
    port = port_make("places", &options);
    for (int round = 0; round < 20; round++) {
        for (int i = 1; i < 4; i++)
            others[i] = port_join("places");
        must_fail(yoke_open(&others[0], "port:places", 0, NULL), ENOSPC);
        assert_non_null(strstr(yoke_explain(), "4 participants"));
        for (int i = 1; i < 4; i++)
            yoke_close(others[i]);
    }
    yoke_close(port);
    assert_int_equal(open_descriptors(), before);
}

/* A new block costs pages that nobody had: one is enough for those who take turns. */
static void large_messages_lie_in_as_few_blocks_as_they_can(void **state)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;
    const void *first = NULL, *block;
    static unsigned char bytes[100000];

    (void)state;
    options.max_message = sizeof bytes;
    yoke_endpoint *endpoint = port_make("large", &options);
    for (int i = 0; i < 50; i++) {
        must(yoke_send(endpoint, bytes, sizeof bytes, YOKE_NOW));
        must(yoke_borrow(endpoint, &block, YOKE_NOW));
        must(yoke_release(endpoint, block));
        if (!first)
            first = block;
        assert_ptr_equal(block, first);
    }
    must(yoke_close(endpoint));
}

/* Nobody may read these bytes, and nobody does where there is no place for them. */
static void large_message_is_not_copied_where_no_place_is_free(void **state)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;
    size_t size = 1 << 20;

    (void)state;
    options.max_message = (uint32_t)size;
    options.depth = 1;
    yoke_endpoint *endpoint = port_make("large", &options);
    void *bytes = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(bytes != MAP_FAILED);
    must(yoke_send(endpoint, "", 0, YOKE_NOW));
    must_fail(yoke_send(endpoint, bytes, size, YOKE_NOW), EAGAIN);
    munmap(bytes, size);
    must(yoke_close(endpoint));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        api_test(messages_come_in_the_order_in_which_they_were_sent),
        api_test(highest_priority_comes_first_and_within_it_the_oldest),
        api_test(a_later_message_of_higher_priority_overtakes),
        api_test(every_size_from_nothing_to_the_most_arrives_whole),
        api_test(empty_message_is_a_message),
        api_test(message_bigger_than_the_buffer_stays_where_it_is),
        api_test(port_for_the_biggest_messages_takes_only_the_memory_it_uses),
        api_test(exactly_as_many_messages_wait_as_the_port_is_deep),
        api_test(each_priority_has_a_depth_of_its_own),
        api_test(messages_held_for_long_leave_room_for_others),
        api_test(details_of_a_message_are_those_of_its_sender),
        api_test(sequence_numbers_are_unique_and_grow_within_a_priority),
        api_test(messages_of_a_process_that_ended_are_there_and_name_it),
        api_test(several_are_sent_as_far_as_there_is_room),
        api_test(one_bad_message_among_several_sends_none),
        api_test(several_are_received_as_far_as_they_are_there_and_fit),
        api_test(several_are_borrowed_at_once),
        api_test(committed_loan_is_sent_and_can_be_borrowed_in_place),
        api_test(as_many_loans_as_the_port_is_deep_are_all_different),
        api_test(released_loan_is_not_sent_and_can_be_had_again),
        api_test(loan_stays_the_callers_when_the_port_is_full_by_then),
        api_test(commit_refuses_what_is_too_big_and_what_is_no_loan),
        api_test(several_loans_are_committed_at_once_with_details),
        api_test(the_same_loan_twice_in_one_call_is_sent_once),
        api_test(loans_of_a_closed_endpoint_are_gone_and_take_no_room),
        api_test(kept_port_keeps_its_messages_without_users),
        api_test(transient_port_goes_with_its_last_endpoint),
        api_test(removed_port_works_on_for_its_users),
        api_test(existing_port_keeps_what_it_was_created_with),
        api_test(endpoints_give_back_their_descriptors_and_places),
        api_test(large_messages_lie_in_as_few_blocks_as_they_can),
        api_test(large_message_is_not_copied_where_no_place_is_free),
    };

    return cmocka_run_group_tests(tests, api_setup, NULL);
}
