/* The kernel place: links, a message queue each way. */
#include "api.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "endpoint.h"
#include "inspect.h"

static struct yoke_options small(uint32_t depth)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;

    options.depth = depth;
    options.max_message = 64;
    return options;
}

/* One side of a link of that depth, made if there is none. */
static yoke_endpoint *side_of(const char *me, const char *other, uint32_t depth)
{
    struct yoke_options options = small(depth);

    return link_make(me, other, &options);
}

static yoke_endpoint *alice(void)
{
    return side_of("alice", "bob@kernel", 2);
}

static yoke_endpoint *bob(void)
{
    return side_of("bob", "alice@kernel", 2);
}

static void send_text(yoke_endpoint *endpoint, const char *text)
{
    must(yoke_send(endpoint, text, strlen(text), YOKE_NOW));
}

static void assert_next(yoke_endpoint *endpoint, const char *text)
{
    char buffer[64] = "";

    assert_int_equal(must(yoke_recv(endpoint, buffer, sizeof buffer, YOKE_NOW)), strlen(text));
    assert_string_equal(buffer, text);
}

static void assert_refuses(yoke_endpoint *endpoint, int error)
{
    char buffer[64];

    must_fail(yoke_recv(endpoint, buffer, sizeof buffer, YOKE_NOW), error);
}

static int descriptor_of(yoke_endpoint *endpoint)
{
    return (int)must(endpoint->operations->fd(endpoint->self));
}

static bool is_readable(int fd)
{
    return poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 0) == 1;
}

/* ---- messages ----------------------------------------------------------------------------------- */

static void what_was_sent_before_the_other_came_waits_for_it(void **state)
{
    yoke_endpoint *one = alice(), *two;
    char buffer[64];
    struct yoke_message message = {.data = buffer, .capacity = sizeof buffer};

    (void)state;
    send_details(one, "early", 5, 0, 42);
    send_text(one, "two");
    must_fail(yoke_send(one, "x", 1, YOKE_NOW), EAGAIN);
    assert_refuses(one, EAGAIN);
    two = bob();
    assert_int_equal(must(yoke_recv_many(two, &message, 1, YOKE_NOW)), 1);
    assert_int_equal(message.size, 5);
    assert_int_equal(message.tag, 42);
    assert_int_equal(message.sender, getpid());
    assert_next(two, "two");
    assert_refuses(two, EAGAIN);
    send_text(two, "back");
    assert_next(one, "back");
    assert_string_equal(yoke_link_other(one), "bob");
    assert_string_equal(yoke_link_other(two), "alice");
    assert_int_equal(yoke_max_message(two), 64);
    must(yoke_close(one));
    must(yoke_close(two));
    assert_int_equal(names_left(), 0);
}

static void message_that_fits_no_buffer_stays_where_it_was(void **state)
{
    yoke_endpoint *one = alice(), *two = bob();
    char buffer[2];

    (void)state;
    send_text(one, "first");
    send_text(one, "second");
    must_fail(yoke_recv(two, buffer, sizeof buffer, YOKE_NOW), EMSGSIZE);
    assert_next(two, "first");
    assert_next(two, "second");
    must(yoke_close(one));
    must(yoke_close(two));
}

/* ---- the other side's end ----------------------------------------------------------------------- */

static void closing_is_told_after_what_was_sent_before(void **state)
{
    yoke_endpoint *one = alice(), *two = bob();

    (void)state;
    send_text(two, "last words");
    must(yoke_close(two));
    assert_next(one, "last words");
    assert_refuses(one, EPIPE);
    assert_refuses(one, EPIPE);
    assert_non_null(strstr(yoke_explain(), "link:alice/bob@kernel"));
    must_fail(yoke_recv(one, NULL, 0, YOKE_FOREVER), EPIPE);
    send_text(one, "a"); /* waits for its return */
    send_text(one, "b");
    must_fail(yoke_send(one, "c", 1, YOKE_FOREVER), EPIPE);
    two = bob();
    assert_refuses(one, EAGAIN);
    must_fail(yoke_send(one, "c", 1, YOKE_NOW), EAGAIN);
    assert_next(two, "a");
    assert_next(two, "b");
    must(yoke_close(one));
    assert_refuses(two, EPIPE);
    must(yoke_close(two));
}

static void who_comes_later_is_told_that_the_other_has_left(void **state)
{
    struct yoke_options options = small(2);
    yoke_endpoint *one, *two;

    (void)state;
    must(link_try(&one, "alice", "bob@kernel", YOKE_CREATE | YOKE_KEPT, &options));
    assert_refuses(one, EAGAIN);
    send_text(one, "was here");
    must(yoke_close(one));
    two = link_join("bob", "alice@kernel");
    assert_next(two, "was here");
    assert_refuses(two, EPIPE);
    must(yoke_close(two));
    must(yoke_remove("link:bob/alice@kernel"));
    assert_int_equal(names_left(), 0);
}

static int64_t receive_for_ever(void *endpoint)
{
    uint64_t number = 0;
    ssize_t size = yoke_recv(endpoint, &number, sizeof number, YOKE_FOREVER);

    return size < 0 ? size : (int64_t)number;
}

static int64_t send_7_for_ever(void *endpoint)
{
    return yoke_send(endpoint, &(uint64_t){7}, 8, YOKE_FOREVER);
}

static void who_waits_is_told_of_a_message_and_of_the_end(void **state)
{
    yoke_endpoint *one = side_of("alice", "bob@kernel", 1),
                  *two = side_of("bob", "alice@kernel", 1);
    struct worker receiver, sender;

    (void)state;
    worker_start(&receiver, receive_for_ever, one);
    worker_wait_asleep(&receiver);
    send_number(two, 4711);
    assert_int_equal(worker_join(&receiver), 4711);
    send_number(one, 1);
    worker_start(&receiver, receive_for_ever, one);
    worker_start(&sender, send_7_for_ever, one);
    worker_wait_asleep(&receiver);
    worker_wait_asleep(&sender);
    must(yoke_close(two));
    assert_int_equal(worker_join(&receiver), -EPIPE);
    assert_int_equal(worker_join(&sender), -EPIPE);
    must(yoke_close(one));
}

static void who_waits_for_one_that_never_came_is_told_nothing(void **state)
{
    yoke_endpoint *one = alice();
    struct worker worker;

    (void)state;
    must_fail(yoke_recv(one, NULL, 0, 30 * MS), ETIMEDOUT);
    assert_int_equal(interrupted_result(receive_for_ever, one),
                     -EADDRINUSE); /* a child: not alice */
    worker_start(&worker, receive_for_ever, one);
    worker_wait_asleep(&worker);
    must(yoke_cancel(one));
    assert_int_equal(worker_join(&worker), -ECANCELED);
    must(yoke_close(one));
}

static void descriptor_is_readable_for_a_message_and_for_the_end(void **state)
{
    yoke_endpoint *one = alice(), *two;
    int fd = descriptor_of(one);

    (void)state;
    assert_false(is_readable(fd));
    two = bob();
    assert_false(is_readable(fd));
    send_text(two, "x");
    assert_true(is_readable(fd));
    assert_next(one, "x");
    assert_false(is_readable(fd));
    must(yoke_close(two));
    assert_true(is_readable(fd));
    assert_refuses(one, EPIPE);
    assert_true(is_readable(fd));
    two = bob();
    assert_false(is_readable(fd));
    must(yoke_close(two));
    must(yoke_close(one));
}

static int64_t wait_for_the_other(void *link)
{
    return yoke_link_wait(link, LONG_WAIT);
}

static void the_other_sides_coming_can_be_waited_for(void **state)
{
    yoke_endpoint *one = alice(), *two;
    struct worker worker;

    (void)state;
    must_fail(yoke_link_wait(one, YOKE_NOW), EAGAIN);
    must_fail(yoke_link_wait(one, 20 * MS), ETIMEDOUT);
    for (int i = 0; i < 2; i++) {
        worker_start(&worker, wait_for_the_other, one);
        worker_wait_asleep(&worker);
        two = bob();
        assert_int_equal(worker_join(&worker), 0);
        must(yoke_link_wait(one, YOKE_NOW));
        must(yoke_close(two));
        must_fail(yoke_link_wait(one, YOKE_NOW), EAGAIN);
    }
    two = bob();
    send_text(two, "left behind");
    must(yoke_close(two));
    must(yoke_link_wait(one, YOKE_NOW));
    assert_next(one, "left behind");
    must_fail(yoke_link_wait(one, YOKE_NOW), EAGAIN);
    worker_start(&worker, wait_for_the_other, one);
    worker_wait_asleep(&worker);
    must(yoke_cancel(one));
    assert_int_equal(worker_join(&worker), -ECANCELED);
    must(yoke_close(one));
}

/* ---- names -------------------------------------------------------------------------------------- */

static int role_is_refused(void *unused)
{
    yoke_endpoint *link;

    (void)unused;
    must_fail(link_try(&link, "alice", "bob@kernel", YOKE_CREATE, NULL), EADDRINUSE);
    return 0;
}

static void second_process_or_handle_is_refused(void **state)
{
    yoke_endpoint *one = alice(), *again;

    (void)state;
    assert_int_equal(role_wait(role_start(role_is_refused, NULL), SOON_MS), 0);
    must_fail(link_try(&again, "alice", "bob@kernel", 0, NULL), EADDRINUSE);
    assert_non_null(strstr(yoke_explain(), "this very process"));
    must(yoke_close(one));
    again = alice();
    must(yoke_close(again));
}

static void peer_joins_by_its_link_and_leaves_with_it(void **state)
{
    yoke_endpoint *one = alice(), *accepted;
    struct yoke_peer_info info;
    yoke_peer *peer;

    (void)state;
    assert_int_equal(must(yoke_peer_list(&info, 1)), 1);
    assert_string_equal(info.name, "alice");
    assert_int_equal(info.pid, getpid());
    must(yoke_peer_wait("alice", YOKE_PEER_HERE, YOKE_NOW));
    must(yoke_peer_join(&peer, "bob", NULL));
    /* the kernel's links are not accepted: they are opened by name */
    must_fail(yoke_peer_accept(peer, &accepted, NULL, YOKE_NOW), EAGAIN);
    must(yoke_peer_leave(peer));
    must(yoke_close(one));
    must(yoke_peer_wait("alice", YOKE_PEER_GONE, YOKE_NOW));
}

static void link_in_memory_and_a_peer_called_kernel_are_something_else(void **state)
{
    yoke_endpoint *one = alice(), *memory = side_of("alice", "bob", 2),
                  *named = side_of("alice", "kernel", 2),
                  *both = side_of("alice", "kernel@kernel", 2), *two;

    (void)state;
    send_text(one, "kernel's");
    assert_int_equal(setenv("YOKE_PLACE", "kernel", 1), 0);
    two = link_join("bob", "alice");
    unsetenv("YOKE_PLACE");
    assert_next(two, "kernel's");
    assert_int_equal(access(name_path("link.alice@kernel"), F_OK), 0);
    assert_int_equal(access(name_path("link.alice@kernel@kernel"), F_OK), 0);
    assert_int_equal(access(name_path("link.alice@bob"), F_OK), 0);
    assert_int_equal(access(name_path("link.alice@bob@kernel"), F_OK), 0);
    must(yoke_close(two));
    must(yoke_close(both));
    must(yoke_close(named));
    must(yoke_close(memory));
    must(yoke_close(one));
}

static void what_a_link_can_not_do_is_refused_by_name(void **state)
{
    struct yoke_options options = small(1), priorities = small(1), redeliver = small(1),
                        deliveries = small(1);
    yoke_endpoint *link;

    (void)state;
    priorities.priorities = 2;
    redeliver.policy = YOKE_POLICY_REDELIVER;
    deliveries.max_deliveries = 2;
#define REFUSED(me, other, options, error, word)                         \
    (must_fail(link_try(&link, me, other, YOKE_CREATE, options), error), \
     assert_non_null(strstr(yoke_explain(), word)))
    REFUSED("alice", "bob@kernel", &priorities, ENOTSUP, "2 priorities");
    REFUSED("alice", "bob@kernel", &redeliver, ENOTSUP, "redeliver");
    REFUSED("alice", "bob@kernel", &deliveries, ENOTSUP, "max_deliveries of 2");
    REFUSED(NULL, "bob@kernel", &options, EINVAL, "yoke_options.as");
    REFUSED("alice", "alice@kernel", &options, EINVAL, "this one itself");
    REFUSED("alice", "alice/bob@kernel", &options, EINVAL, "other peer's name alone");
    options.depth = 70000;
    REFUSED("alice", "bob@kernel", &options, EINVAL, "msg_max");
    must_fail(link_try(&link, "alice", "bob@kernel", 0, NULL), ENOENT);
    assert_int_equal(names_left(), 0);
    must_fail(yoke_remove("link:alice/bob@kernel"), ENOENT);
    must_fail(yoke_remove("link:bob@kernel"), EINVAL);
}

static void transient_link_goes_with_its_last_user(void **state)
{
    yoke_endpoint *one = alice(), *two = bob();

    (void)state;
    send_text(one, "gone with it");
    must(yoke_close(one));
    must(yoke_close(two));
    assert_int_equal(names_left(), 0);
    one = alice();
    assert_refuses(one, EAGAIN);
    two = bob();
    assert_refuses(two, EAGAIN);
    must(yoke_remove("link:alice/bob@kernel")); /* under nobody's feet */
    send_text(one, "still here");
    assert_next(two, "still here");
    must(yoke_close(one));
    assert_refuses(two, EPIPE);
    must(yoke_close(two));
}

static void facts_tell_who_has_which_side(void **state)
{
    yoke_endpoint *one = alice(), *two = bob();
    struct yk_object_facts facts;
    struct yk_participant_facts *people;
    size_t count;

    (void)state;
    send_text(one, "x");
    send_text(two, "y");
    must(yk_inspect("link:bob/alice@kernel", &facts, &people, &count));
    assert_string_equal(facts.problem, "");
    assert_string_equal(facts.name, "alice/bob");
    assert_string_equal(facts.place, "kernel");
    assert_int_equal(facts.waiting, 2);
    assert_int_equal(facts.participants_used, 2);
    assert_int_equal(facts.memory_used, 2 * 2 * (64 + 16 + 96));
    assert_int_equal(count, 2);
    assert_int_equal(people[1].slot, 1);
    assert_int_equal(people[1].pid, getpid());
    free(people);
    must(yoke_close(one));
    must(yoke_close(two));
}

/* ---- other users -------------------------------------------------------------------------------- */

static int role_guest(void *unused)
{
    yoke_endpoint *two;

    (void)unused;
    become_user(1);
    two = bob();
    send_number(two, recv_number(two, SOON_MS * MS) + 1);
    must(yoke_close(two));
    return 0;
}

static void users_talk_where_the_mode_lets_them(void **state)
{
    struct yoke_options options = small(2);
    yoke_endpoint *one;
    pid_t guest;

    (void)state;
    share_directory();
    options.mode = 0666;
    one = link_make("alice", "bob@kernel", &options);
    guest = role_start(role_guest, NULL);
    send_number(one, 1);
    assert_int_equal(recv_number(one, SOON_MS * MS), 2);
    assert_int_equal(role_wait(guest, SOON_MS), 0);
    assert_refuses(one, EPIPE);
    must(yoke_close(one));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        api_test(what_was_sent_before_the_other_came_waits_for_it),
        api_test(message_that_fits_no_buffer_stays_where_it_was),
        api_test(closing_is_told_after_what_was_sent_before),
        api_test(who_comes_later_is_told_that_the_other_has_left),
        api_test(who_waits_is_told_of_a_message_and_of_the_end),
        api_test(who_waits_for_one_that_never_came_is_told_nothing),
        api_test(descriptor_is_readable_for_a_message_and_for_the_end),
        api_test(the_other_sides_coming_can_be_waited_for),
        api_test(second_process_or_handle_is_refused),
        api_test(peer_joins_by_its_link_and_leaves_with_it),
        api_test(link_in_memory_and_a_peer_called_kernel_are_something_else),
        api_test(what_a_link_can_not_do_is_refused_by_name),
        api_test(transient_link_goes_with_its_last_user),
        api_test(facts_tell_who_has_which_side),
        api_test(users_talk_where_the_mode_lets_them),
    };

    return cmocka_run_group_tests(tests, api_setup, NULL);
}
