/* Ports: borrowing, giving back, and what becomes of messages that were never acknowledged. */
#include "api.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "inspect.h"

static struct yoke_options small(void)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;

    options.depth = 8;
    options.participants = 6;
    options.max_message = 64;
    return options;
}

static const char *name = "again";
static const char *address = "port:again";

static yoke_endpoint *make_small(void)
{
    struct yoke_options options = small();

    return port_make(name, &options);
}

static yoke_endpoint *join_parked(void)
{
    yoke_endpoint *endpoint;

    must(yoke_open(&endpoint, address, YOKE_PARKED, NULL));
    return endpoint;
}

static struct yk_object_facts facts(void)
{
    struct yk_object_facts found;

    must(yk_inspect(address, &found, NULL, NULL));
    return found;
}

static void assert_empty(yoke_endpoint *endpoint)
{
    const void *message;

    must_fail(yoke_borrow(endpoint, &message, YOKE_NOW), EAGAIN);
}

/* Borrows the next message, which must be this number with so many deliveries; returns where it is. */
static void *borrow_number(yoke_endpoint *endpoint, uint64_t number, uint32_t deliveries)
{
    struct yoke_message message;

    borrow_details(endpoint, &message);
    assert_int_equal(message.size, sizeof number);
    assert_int_equal(*(uint64_t *)message.data, number);
    assert_int_equal(message.deliveries, deliveries);
    return message.data;
}

/* ---- borrow, release, return ------------------------------------------------------------------ */

static void borrowed_message_counts_as_received_at_release(void **state)
{
    yoke_endpoint *port = make_small(), *other = port_join(name);
    void *message;

    (void)state;
    send_number(port, 1);
    message = borrow_number(port, 1, 1);
    assert_empty(other);
    assert_int_equal(facts().held, 1);
    must(yoke_release(port, message));
    assert_int_equal(facts().held, 0);
    assert_empty(other);
    yoke_close(port);
    assert_empty(other); /* acknowledged is acknowledged */
    yoke_close(other);
}

static void returned_message_comes_again_before_newer_ones_with_all_its_details(void **state)
{
    yoke_endpoint *port = make_small(), *other = port_join(name);
    struct yoke_message first, again;

    (void)state;
    send_details(port, "first", 5, 0, 11);
    send_details(port, "second", 6, 0, 22);
    borrow_details(port, &first);
    must(yoke_return(port, first.data));
    for (uint32_t deliveries = 2; deliveries <= 10; deliveries++) {
        yoke_endpoint *taker = deliveries % 2 ? port : other;

        borrow_details(taker, &again);
        assert_int_equal(again.deliveries, deliveries);
        assert_int_equal(again.sequence, first.sequence);
        assert_int_equal(again.tag, 11);
        assert_int_equal(again.size, 5);
        assert_int_equal(again.sender, getpid());
        assert_memory_equal(again.data, "first", 5);
        must(yoke_return(taker, again.data));
    }
    assert_int_equal(facts().redelivered, 9);
    borrow_details(other, &again);
    must(yoke_release(other, again.data));
    borrow_details(port, &again);
    assert_int_equal(again.tag, 22);
    assert_int_equal(again.deliveries, 1);
    must(yoke_release(port, again.data));
    assert_empty(port);
    yoke_close(other);
    yoke_close(port);
}

static void returned_messages_come_again_in_the_order_of_sending(void **state)
{
    static const int orders[][3] = {{0, 1, 2}, {2, 1, 0}, {1, 2, 0}, {2, 0, 1}};
    yoke_endpoint *port = make_small();

    (void)state;
    for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++) {
        void *messages[3];

        for (uint64_t j = 0; j < 5; j++)
            send_number(port, j);
        for (uint64_t j = 0; j < 3; j++)
            messages[j] = borrow_number(port, j, 1);
        for (int j = 0; j < 3; j++)
            must(yoke_return(port, messages[orders[i][j]]));
        for (uint64_t j = 0; j < 5; j++)
            must(yoke_release(port, borrow_number(port, j, j < 3 ? 2 : 1)));
    }
    yoke_close(port);
}

static void returned_message_keeps_its_priority(void **state)
{
    struct yoke_options options = small();
    yoke_endpoint *port;
    struct yoke_message message;

    (void)state;
    options.priorities = 2;
    port = port_make(name, &options);
    send_details(port, "low", 3, 0, 1);
    borrow_details(port, &message);
    must(yoke_return(port, message.data));
    send_details(port, "high", 4, 1, 2);
    borrow_details(port, &message);
    assert_int_equal(message.tag, 2);
    must(yoke_release(port, message.data));
    borrow_details(port, &message);
    assert_int_equal(message.tag, 1);
    assert_int_equal(message.priority, 0);
    assert_int_equal(message.deliveries, 2);
    must(yoke_release(port, message.data));
    yoke_close(port);
}

static void returned_message_that_does_not_fit_stays_where_it_is(void **state)
{
    yoke_endpoint *port = make_small();
    const void *message;
    char buffer[16];

    (void)state;
    must(yoke_send(port, "twelve bytes", 12, YOKE_NOW));
    must(yoke_borrow(port, &message, YOKE_NOW));
    must(yoke_return(port, message));
    for (int i = 0; i < 20; i++)
        must_fail(yoke_recv(port, buffer, 11, YOKE_FOREVER), EMSGSIZE);
    struct yoke_message again = {.data = buffer, .capacity = sizeof buffer};
    assert_int_equal(yoke_recv_many(port, &again, 1, YOKE_NOW), 1);
    assert_int_equal(again.deliveries, 2); /* the refused calls were no deliveries */
    assert_memory_equal(buffer, "twelve bytes", 12);
    assert_empty(port);
    yoke_close(port);
}

static void what_is_not_held_can_not_be_released_or_returned(void **state)
{
    yoke_endpoint *port = make_small(), *other = port_join(name);
    unsigned char *message;
    uint64_t on_the_stack;

    (void)state;
    send_number(port, 5);
    send_number(port, 6);
    message = borrow_number(port, 5, 1);

    const void *junk[] = {NULL,         &on_the_stack, message + 1,    message - 1,
                          message + 96, message + 64,  (void *)-1,     (void *)1,
                          message - 96, port,          message + 4096, message + (1 << 30)};

    for (size_t i = 0; i < sizeof junk / sizeof junk[0]; i++) {
        must_fail(yoke_release(port, junk[i]), EINVAL);
        assert_non_null(strstr(yoke_explain(), "neither a borrowed message nor a loan"));
        must_fail(yoke_return(port, junk[i]), EINVAL);
    }
    must_fail(yoke_release(other, message), EINVAL); /* another handle's, at its own address */
    must_fail(yoke_return(other, message), EINVAL);
    must_fail(yoke_release(NULL, message), EINVAL);
    must_fail(yoke_return(NULL, message), EINVAL);
    assert_int_equal(*(uint64_t *)message, 5);
    must(yoke_release(port, message));
    must_fail(yoke_release(port, message), EINVAL);
    must_fail(yoke_return(port, message), EINVAL);
    message = borrow_number(port, 6, 1);
    must(yoke_return(port, message));
    must_fail(yoke_return(port, message), EINVAL);
    must_fail(yoke_release(port, message), EINVAL);
    must(yoke_release(port, borrow_number(port, 6, 2)));
    assert_empty(other);
    yoke_close(other);
    yoke_close(port);
}

static void one_handle_can_not_release_what_another_of_its_process_borrowed(void **state)
{
    yoke_endpoint *port = make_small(), *other = port_join(name);
    struct yoke_message mine, theirs;
    ptrdiff_t distance;

    (void)state;
    /* The distance between the two mappings, by way of one message seen through both. */
    send_number(port, 1);
    borrow_details(port, &mine);
    must(yoke_return(port, mine.data));
    borrow_details(other, &theirs);
    distance = (char *)theirs.data - (char *)mine.data;
    must_fail(yoke_release(port, (char *)theirs.data - distance), EINVAL);
    must_fail(yoke_return(port, (char *)theirs.data - distance), EINVAL);
    must(yoke_release(other, theirs.data));
    yoke_close(other);
    yoke_close(port);
}

/* ---- death and closing ------------------------------------------------------------------------ */

static void message_borrowed_by_a_closed_endpoint_comes_again(void **state)
{
    yoke_endpoint *port = make_small();

    (void)state;
    for (uint64_t i = 0; i < 4; i++)
        send_number(port, i);
    for (uint32_t round = 1; round <= 5; round++) {
        yoke_endpoint *other = port_join(name);

        for (uint64_t i = 0; i < 4; i++)
            borrow_number(other, i, round);
        yoke_close(other);
    }
    for (uint64_t i = 0; i < 4; i++)
        must(yoke_release(port, borrow_number(port, i, 6)));
    assert_empty(port);
    yoke_close(port);
}

struct borrower {
    struct baton ready;
    int count;
};

static int role_borrows_and_waits(void *argument)
{
    struct borrower *borrower = argument;
    yoke_endpoint *port = port_join(name);
    const void *message;

    for (int i = 0; i < borrower->count; i++)
        must(yoke_borrow(port, &message, YOKE_NOW));
    baton_pass(&borrower->ready);
    for (;;)
        pause();
    return 0;
}

/* Starts a process that borrows the next `count` messages, and kills it. */
static void kill_a_borrower(int count)
{
    struct borrower borrower = {.count = count};
    pid_t pid;

    baton_make(&borrower.ready);
    pid = role_start(role_borrows_and_waits, &borrower);
    baton_take(&borrower.ready);
    role_kill(pid);
    baton_drop(&borrower.ready);
}

static void receiver_killed_while_borrowing_message_is_delivered_again(void **state)
{
    yoke_endpoint *port = make_small();

    (void)state;
    for (uint64_t i = 0; i < 5; i++)
        send_number(port, i);
    for (int i = 0; i < 4; i++)
        kill_a_borrower(3); /* each one, opening the port, finds what the last one left */
    yoke_close(port_join(name));
    for (uint64_t i = 0; i < 5; i++)
        must(yoke_release(port, borrow_number(port, i, i < 3 ? 5 : 1)));
    assert_empty(port);
    assert_int_equal(facts().held, 0);
    assert_int_equal(facts().redelivered, 12);
    yoke_close(port);
}

static void waiting_receiver_gets_the_message_of_one_killed_meanwhile(void **state)
{
    yoke_endpoint *port = make_small();
    struct borrower borrower = {.count = 1};
    struct yoke_message message;
    pid_t pid;

    (void)state;
    baton_make(&borrower.ready);
    for (uint64_t i = 0; i < 10; i++) {
        send_number(port, i);
        pid = role_start(role_borrows_and_waits, &borrower);
        baton_take(&borrower.ready);
        assert_empty(port);
        role_kill(pid);
        borrow_details(port, &message);
        assert_int_equal(*(uint64_t *)message.data, i);
        assert_int_equal(message.deliveries, 2);
        must(yoke_release(port, message.data));
    }
    baton_drop(&borrower.ready);
    yoke_close(port);
}

static int role_receives_and_dies(void *argument)
{
    yoke_endpoint *port = port_join(name);

    (void)argument;
    if (recv_number(port, YOKE_NOW) != 1)
        return 1;
    raise(SIGKILL);
    return 0;
}

static void received_message_is_not_delivered_again_though_its_receiver_died(void **state)
{
    yoke_endpoint *port = make_small();

    (void)state;
    send_number(port, 1);
    send_number(port, 2);
    assert_int_equal(role_wait(role_start(role_receives_and_dies, NULL), SOON_MS), 128 + SIGKILL);
    must(yoke_release(port, borrow_number(port, 2, 1)));
    must_fail(yoke_recv(port, NULL, 0, 150 * MS), ETIMEDOUT); /* long enough to look for the dead */
    yoke_close(port);
}

/* ---- parked ----------------------------------------------------------------------------------- */

static void message_delivered_too_often_is_parked_and_can_be_received_as_such(void **state)
{
    struct yoke_options options = small();
    yoke_endpoint *port, *parked;
    struct yoke_message message;

    (void)state;
    options.max_deliveries = 3;
    options.max_parked = 2;
    port = port_make(name, &options);
    parked = join_parked();
    assert_empty(parked);
    send_details(port, "poison", 6, 0, 1);
    send_details(port, "fine", 4, 0, 2);
    for (uint32_t i = 1; i <= 3; i++) {
        borrow_details(port, &message);
        assert_int_equal(message.tag, 1);
        assert_int_equal(message.deliveries, i);
        must(yoke_return(port, message.data));
    }
    assert_int_equal(facts().parked, 1);
    borrow_details(port, &message);
    assert_int_equal(message.tag, 2); /* the next one's turn */
    must(yoke_release(port, message.data));
    assert_empty(port);

    borrow_details(parked, &message);
    assert_int_equal(message.tag, 1);
    assert_int_equal(message.deliveries, 3); /* after so many it was parked */
    assert_memory_equal(message.data, "poison", 6);
    must(yoke_return(parked, message.data)); /* stays parked */
    assert_empty(port);
    borrow_details(parked, &message);
    assert_int_equal(message.tag, 1);
    must(yoke_release(parked, message.data));
    assert_empty(parked);
    assert_int_equal(facts().parked, 0);
    yoke_close(parked);
    yoke_close(port);
}

static void message_sent_again_has_one_delivery_less(void **state)
{
    struct yoke_options options = small();
    struct yoke_message message;
    char twice[] = "twice";
    yoke_endpoint *port, *parked;

    (void)state;
    for (uint32_t most = 1; most <= 3; most++) {
        options.max_deliveries = most;
        port = port_make(name, &options);
        parked = join_parked();
        message = (struct yoke_message){.data = twice, .size = 5, .flags = YOKE_MESSAGE_AGAIN};
        assert_int_equal(must(yoke_send_many(port, &message, 1, YOKE_NOW)), 1);
        for (uint32_t deliveries = 2; deliveries == 2 || deliveries <= most; deliveries++) {
            assert_int_equal(facts().parked, 0);
            borrow_details(port, &message);
            assert_int_equal(message.deliveries, deliveries);
            must(yoke_return(port, message.data));
        }
        assert_empty(port);
        borrow_details(parked, &message);
        assert_int_equal(message.flags, YOKE_MESSAGE_AGAIN);
        must(yoke_release(parked, message.data));
        yoke_close(parked);
        yoke_close(port);
    }
}

static void message_that_kills_its_receivers_is_parked(void **state)
{
    struct yoke_options options = small();
    yoke_endpoint *port, *parked;
    struct yoke_message message;

    (void)state;
    options.max_deliveries = 3;
    port = port_make(name, &options);
    send_number(port, 666);
    send_number(port, 7);
    for (int i = 0; i < 3; i++)
        kill_a_borrower(1);
    parked = join_parked();
    borrow_details(port, &message);
    assert_int_equal(*(uint64_t *)message.data, 7);
    must(yoke_release(port, message.data));
    borrow_details(parked, &message);
    assert_int_equal(*(uint64_t *)message.data, 666);
    must(yoke_release(parked, message.data));
    yoke_close(parked);
    yoke_close(port);
}

static void parked_messages_are_capped_and_the_rest_is_dropped_and_counted(void **state)
{
    struct yoke_options options = small();
    yoke_endpoint *port, *parked;

    (void)state;
    options.max_deliveries = 1;
    options.max_parked = 3;
    port = port_make(name, &options);
    for (uint64_t i = 0; i < 8; i++) {
        send_number(port, i);
        must(yoke_return(port, borrow_number(port, i, 1)));
    }
    assert_int_equal(facts().parked, 3);
    assert_int_equal(facts().dropped, 5);
    assert_empty(port);
    parked = join_parked();
    for (uint64_t i = 0; i < 3; i++) /* the oldest first */
        assert_int_equal(recv_number(parked, YOKE_NOW), i);
    assert_empty(parked);
    send_number(port, 9);
    must(yoke_return(port, borrow_number(port, 9, 1)));
    assert_int_equal(recv_number(parked, YOKE_NOW), 9);
    yoke_close(parked);
    yoke_close(port);
}

static void parked_messages_leave_room_for_the_others(void **state)
{
    struct yoke_options options = small();
    yoke_endpoint *port;

    (void)state;
    options.max_deliveries = 1;
    options.max_parked = 8;
    port = port_make(name, &options);
    for (uint64_t i = 0; i < 8; i++) {
        send_number(port, i);
        must(yoke_return(port, borrow_number(port, i, 1)));
    }
    for (uint64_t i = 0; i < 3000; i++) {
        send_number(port, i);
        assert_int_equal(recv_number(port, YOKE_NOW), i);
    }
    assert_int_equal(facts().parked, 8);
    yoke_close(port);
}

static void message_is_never_parked_where_the_number_of_deliveries_has_no_limit(void **state)
{
    struct yoke_options options = small();
    yoke_endpoint *port;

    (void)state;
    options.max_deliveries = UINT32_MAX;
    port = port_make(name, &options);
    send_number(port, 1);
    for (uint32_t i = 1; i <= 3000; i++)
        must(yoke_return(port, borrow_number(port, 1, i)));
    assert_int_equal(facts().parked, 0);
    must(yoke_release(port, borrow_number(port, 1, 3001)));
    yoke_close(port);
}

static void default_is_sixteen_deliveries_and_a_quarter_of_the_depth_parked(void **state)
{
    yoke_endpoint *port = make_small();

    (void)state;
    for (uint64_t i = 0; i < 3; i++) {
        send_number(port, i);
        for (uint32_t j = 1; j <= 16; j++)
            must(yoke_return(port, borrow_number(port, i, j)));
        assert_empty(port);
    }
    assert_int_equal(facts().parked, 2);
    assert_int_equal(facts().dropped, 1);
    yoke_close(port);
}

static int64_t receive_for_long(void *endpoint)
{
    char bytes[64];

    return yoke_recv(endpoint, bytes, sizeof bytes, LONG_WAIT);
}

static void receiver_that_waits_for_parked_messages_gets_one(void **state)
{
    struct yoke_options options = small();
    yoke_endpoint *port, *parked;
    struct worker waiter;

    (void)state;
    options.max_deliveries = 1;
    port = port_make(name, &options);
    parked = join_parked();
    worker_start(&waiter, receive_for_long, parked);
    worker_wait_asleep(&waiter);
    send_number(port, 3);
    must(yoke_return(port, borrow_number(port, 3, 1)));
    assert_int_equal(worker_join(&waiter), 8);
    must_fail(yoke_recv(parked, NULL, 0, 20 * MS), ETIMEDOUT);
    yoke_close(parked);
    yoke_close(port);
}

/* ---- how many one may have -------------------------------------------------------------------- */

/* With an extra one waiting, so that it is not that there is nothing. */
static void assert_no_more_may_be_borrowed(yoke_endpoint *endpoint, const char *limit)
{
    const void *message;

    must_fail(yoke_borrow(endpoint, &message, LONG_WAIT), EBUSY);
    assert_non_null(strstr(yoke_explain(), limit));
    assert_non_null(strstr(yoke_explain(), address));
}

static void endpoint_borrows_no_more_than_it_may_at_once(void **state)
{
    struct yoke_options options = small();
    yoke_endpoint *port, *other;
    struct yoke_message several[5];
    void *borrowed[3];

    (void)state;
    options.max_borrowed = 3;
    port = port_make(name, &options);
    other = port_join(name);
    assert_int_equal(facts().max_borrowed, 3);
    for (uint64_t i = 0; i < 8; i++)
        send_number(port, i);
    for (uint64_t i = 0; i < 3; i++)
        borrowed[i] = borrow_number(port, i, 1);
    assert_no_more_may_be_borrowed(port, " 3 messages");
    assert_int_equal(recv_number(port, YOKE_NOW), 3); /* receiving is not bounded */
    borrow_number(other, 4, 1);                       /* nor are others */
    must(yoke_return(port, borrowed[0]));
    borrowed[0] = borrow_number(port, 0, 2);
    assert_no_more_may_be_borrowed(port, " 3 messages");
    for (uint64_t i = 0; i < 3; i++)
        must(yoke_release(port, borrowed[i]));
    assert_int_equal(yoke_borrow_many(port, several, 5, YOKE_NOW), 3);
    must_fail(yoke_borrow_many(port, several, 5, YOKE_NOW), EBUSY);
    assert_int_equal(facts().held, 4);
    yoke_close(other);
    yoke_close(port);
}

static void receiver_of_parked_messages_is_bounded_as_well(void **state)
{
    struct yoke_options options = small();
    yoke_endpoint *port, *parked;
    struct yoke_message message;

    (void)state;
    options.max_borrowed = 1;
    options.max_deliveries = 1;
    port = port_make(name, &options);
    parked = join_parked();
    for (uint64_t i = 0; i < 2; i++) {
        send_number(port, i);
        must(yoke_return(port, borrow_number(port, i, 1)));
    }
    borrow_details(parked, &message);
    assert_no_more_may_be_borrowed(parked, " 1 messages");
    assert_int_equal(recv_number(parked, YOKE_NOW), 1);
    must(yoke_return(parked, message.data));
    borrow_details(parked, &message);
    must(yoke_release(parked, message.data));
    yoke_close(parked);
    yoke_close(port);
}

static int role_borrow_second(void *endpoint)
{
    must(yoke_release(endpoint, borrow_number(endpoint, 2, 1)));
    return 0;
}

static void child_may_borrow_as_many_as_its_parent(void **state)
{
    struct yoke_options options = small();
    yoke_endpoint *port;

    (void)state;
    options.max_borrowed = 1;
    port = port_make(name, &options);
    send_number(port, 1);
    send_number(port, 2);
    borrow_number(port, 1, 1);
    assert_int_equal(role_wait(role_start(role_borrow_second, port), SOON_MS), 0);
    assert_no_more_may_be_borrowed(port, " 1 messages");
    yoke_close(port);
}

/* However many others keep as much as they may, and do nothing more. */
static void borrowers_that_stand_still_stop_nobody(void **state)
{
    static const uint32_t depths[] = {1, 4, 256};

    (void)state;
    for (size_t d = 0; d < sizeof depths / sizeof depths[0]; d++) {
        struct yoke_options options = small();
        yoke_endpoint *port, *borrowers[5];
        struct yoke_message message;
        uint64_t held = 0;

        options.depth = depths[d];
        options.max_borrowed = 0;
        port = port_make(name, &options);
        for (int i = 0; i < 5; i++) {
            borrowers[i] = port_join(name);
            for (uint32_t k = 0; k < 64; k++, held++) {
                send_number(port, held);
                borrow_details(borrowers[i], &message);
            }
            must_fail(yoke_borrow_many(borrowers[i], &message, 1, YOKE_NOW), EBUSY);
        }
        for (uint32_t k = 0; k < 64; k++, held++) {
            send_number(port, held);
            borrow_details(port, &message);
        }
        assert_int_equal(facts().held, 6 * 64);
        for (uint64_t i = 0; i < 3000; i++) {
            must(yoke_send(port, &i, sizeof i, YOKE_NOW));
            assert_int_equal(recv_number(port, YOKE_NOW), i);
        }
        for (int i = 0; i < 5; i++)
            yoke_close(borrowers[i]);
        yoke_close(port);
    }
}

static void as_many_parked_as_may_be_stop_nobody(void **state)
{
    struct yoke_options options = small();
    yoke_endpoint *port;

    (void)state;
    options.depth = 4;
    options.max_deliveries = 1;
    options.max_parked = 3000;
    port = port_make(name, &options);
    for (uint64_t i = 0; i < 3100; i++) {
        send_number(port, i);
        must(yoke_return(port, borrow_number(port, i, 1)));
    }
    assert_int_equal(facts().parked, 3000);
    assert_int_equal(facts().dropped, 100);
    for (uint64_t i = 0; i < 4; i++)
        send_number(port, i);
    for (uint64_t i = 0; i < 4; i++)
        assert_int_equal(recv_number(port, YOKE_NOW), i);
    yoke_close(port);
}

static void default_bound_gives_way_to_many_participants_and_big_messages(void **state)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;

    (void)state;
    yoke_close(port_make(name, &options));
    yoke_endpoint *port = port_make(name, &options);
    assert_int_equal(facts().max_borrowed, 64);
    yoke_close(port);
    options.participants = 1023;
    port = port_make(name, &options);
    assert_in_range(facts().max_borrowed, 1, 63);
    yoke_close(port);
    options.participants = 128;
    options.max_message = 16 << 20;
    port = port_make(name, &options);
    assert_in_range(facts().max_borrowed, 1, 63);
    yoke_close(port);
}

/* ---- once ------------------------------------------------------------------------------------- */

static void under_once_what_was_not_acknowledged_is_dropped_and_counted(void **state)
{
    struct yoke_options options = small();
    yoke_endpoint *port, *other;

    (void)state;
    options.policy = YOKE_POLICY_ONCE;
    port = port_make(name, &options);
    for (uint64_t i = 0; i < 6; i++)
        send_number(port, i);
    must(yoke_return(port, borrow_number(port, 0, 1)));
    assert_int_equal(facts().dropped, 1);
    kill_a_borrower(2);
    other = port_join(name);
    borrow_number(other, 3, 1);
    yoke_close(other);
    assert_int_equal(facts().dropped, 4);
    must(yoke_release(port, borrow_number(port, 4, 1)));
    assert_int_equal(recv_number(port, YOKE_NOW), 5);
    assert_empty(port);
    assert_int_equal(facts().dropped, 4);
    assert_int_equal(facts().redelivered, 0);
    assert_int_equal(facts().parked, 0);
    yoke_close(port);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        api_test(borrowed_message_counts_as_received_at_release),
        api_test(returned_message_comes_again_before_newer_ones_with_all_its_details),
        api_test(returned_messages_come_again_in_the_order_of_sending),
        api_test(returned_message_keeps_its_priority),
        api_test(returned_message_that_does_not_fit_stays_where_it_is),
        api_test(what_is_not_held_can_not_be_released_or_returned),
        api_test(one_handle_can_not_release_what_another_of_its_process_borrowed),
        api_test(message_borrowed_by_a_closed_endpoint_comes_again),
        api_test(receiver_killed_while_borrowing_message_is_delivered_again),
        api_test(waiting_receiver_gets_the_message_of_one_killed_meanwhile),
        api_test(received_message_is_not_delivered_again_though_its_receiver_died),
        api_test(message_delivered_too_often_is_parked_and_can_be_received_as_such),
        api_test(message_sent_again_has_one_delivery_less),
        api_test(message_that_kills_its_receivers_is_parked),
        api_test(parked_messages_are_capped_and_the_rest_is_dropped_and_counted),
        api_test(parked_messages_leave_room_for_the_others),
        api_test(message_is_never_parked_where_the_number_of_deliveries_has_no_limit),
        api_test(default_is_sixteen_deliveries_and_a_quarter_of_the_depth_parked),
        api_test(receiver_that_waits_for_parked_messages_gets_one),
        api_test(endpoint_borrows_no_more_than_it_may_at_once),
        api_test(receiver_of_parked_messages_is_bounded_as_well),
        api_test(child_may_borrow_as_many_as_its_parent),
        api_test(borrowers_that_stand_still_stop_nobody),
        api_test(as_many_parked_as_may_be_stop_nobody),
        api_test(default_bound_gives_way_to_many_participants_and_big_messages),
        api_test(under_once_what_was_not_acknowledged_is_dropped_and_counted),
    };

    return cmocka_run_group_tests(tests, api_setup, NULL);
}
