/* Links: the contract of each verb, who may open one, who waits for whom, and what is told of the other side. */
#include "api.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/shm.h>
#include <unistd.h>

static struct yoke_options small(uint32_t depth)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;

    options.depth = depth;
    options.max_message = 200;
    return options;
}

/* Both ends, in this process: it may be several peers. */
struct ends {
    yoke_endpoint *alice, *bob;
};

static struct ends open_ends(const struct yoke_options *options)
{
    struct ends ends = {.alice = link_make("alice", "bob", options)};

    ends.bob = link_join("bob", "alice");
    return ends;
}

static struct ends open_small(uint32_t depth)
{
    struct yoke_options options = small(depth);

    return open_ends(&options);
}

static void close_ends(struct ends *ends)
{
    yoke_close(ends->alice);
    yoke_close(ends->bob);
}

static void assert_nothing_comes(yoke_endpoint *link)
{
    must_fail(yoke_recv(link, NULL, 0, YOKE_NOW), EAGAIN);
}

/* ---- opening ---------------------------------------------------------------------------------- */

static void one_link_is_there_whoever_opens_it_first(void **state)
{
    static const char *const names[2] = {"alice", "bob"};

    (void)state;
    for (int first = 0; first < 2; first++) {
        const char *me = names[first], *other = names[1 - first];
        yoke_endpoint *mine, *others = NULL;

        must_fail(link_try(&mine, me, other, 0, NULL), ENOENT);
        mine = link_make(me, other, NULL);
        must_fail(link_try(&others, other, me, YOKE_CREATE | YOKE_EXCLUSIVE, NULL), EEXIST);
        others = link_make(other, me, NULL); /* finds it */
        send_number(mine, 1);
        send_number(others, 2);
        assert_int_equal(recv_number(others, YOKE_NOW), 1);
        assert_int_equal(recv_number(mine, YOKE_NOW), 2);
        yoke_close(first ? mine : others);
        yoke_close(first ? others : mine);
        assert_int_equal(names_left(), 0);
    }
}

static void link_keeps_what_it_was_created_with(void **state)
{
    struct yoke_options mine = small(3), others = small(50);
    yoke_endpoint *alice = link_make("alice", "bob", &mine), *bob;

    (void)state;
    others.max_message = 100000;
    bob = link_make("bob", "alice", &others);
    assert_int_equal(yoke_max_message(bob), 200);
    for (uint64_t i = 0; i < 3; i++)
        must(yoke_send(bob, &i, sizeof i, YOKE_NOW));
    must_fail(yoke_send(bob, "", 0, YOKE_NOW), EAGAIN);
    yoke_close(bob);
    yoke_close(alice);
}

static void options_that_a_link_can_not_have_are_refused_and_nothing_is_left(void **state)
{
    static const struct {
        int error;
        uint32_t flags, priorities, participants, max_parked, depth, policy;
        size_t max_message;
        int64_t spin_ns;
    } cases[] = {
        {ENOTSUP, .priorities = 2},
        {ENOTSUP, .flags = YOKE_PARKED},
        {ENOTSUP, .max_parked = 1},
        {ENOTSUP, .flags = YOKE_READ_ONLY},
        {EINVAL, .participants = 1},
        {EINVAL, .participants = 3},
        {EINVAL, .flags = 0x8000},
        {EINVAL, .depth = (1u << 20) + 1},
        {EINVAL, .max_message = YOKE_MESSAGE_MAX + 1},
        {EINVAL, .policy = 3},
        {EINVAL, .spin_ns = -2},
    };
    struct yoke_options options;
    yoke_endpoint *link = NULL;
    char *before = world_describe(), *after;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        options = (struct yoke_options)YOKE_OPTIONS_INIT;
        options.priorities = cases[i].priorities;
        options.participants = cases[i].participants;
        options.max_parked = cases[i].max_parked;
        options.depth = cases[i].depth;
        options.policy = cases[i].policy;
        options.max_message = cases[i].max_message;
        options.spin_ns = cases[i].spin_ns;
        must_fail(link_try(&link, "alice", "bob", YOKE_CREATE | cases[i].flags, &options),
                  cases[i].error);
        assert_true(strlen(yoke_explain()) > 10);
    }
    must_fail(link_try(&link, "alice", "bob", YOKE_EXCLUSIVE, NULL), EINVAL); /* without CREATE */
    must_fail(link_try(&link, "alice", "bob", YOKE_KEPT, NULL), EINVAL);
    options = (struct yoke_options)YOKE_OPTIONS_INIT;
    options.struct_size--;
    must_fail(link_try(&link, "alice", "bob", YOKE_CREATE, &options), EINVAL);
    options = (struct yoke_options)YOKE_OPTIONS_INIT;
    options.mode = 0700;
    must_fail(link_try(&link, "alice", "bob", YOKE_CREATE, &options), EINVAL);
    assert_null(link);
    after = world_describe();
    assert_string_equal(after, before);
    free(before);
    free(after);
    options = small(4);
    options.participants = 2;
    options.priorities = 1;
    yoke_close(link_make("alice", "bob", &options));
}

static void link_needs_two_names_that_differ(void **state)
{
    static const char *const bad[] = {"", "a/b", "a b", ".a", "a@b", "\x01", "\xc3\xa4"};
    char long_name[200];
    yoke_endpoint *link = NULL;

    (void)state;
    must_fail(yoke_open(&link, "link:bob", YOKE_CREATE, NULL), EINVAL);
    must_fail(link_try(&link, NULL, "bob", YOKE_CREATE, NULL), EINVAL);
    assert_non_null(strstr(yoke_explain(), "as"));
    must_fail(link_try(&link, "bob", "bob", YOKE_CREATE, NULL), EINVAL);
    must_fail(link_try(&link, "alice", "alice/bob", YOKE_CREATE, NULL), EINVAL);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        must_fail(link_try(&link, bad[i], "bob", YOKE_CREATE, NULL), EINVAL);
        if (!strchr(bad[i], '/') && !strchr(bad[i], '@'))
            must_fail(link_try(&link, "alice", bad[i], YOKE_CREATE, NULL), EINVAL);
    }
    memset(long_name, 'x', sizeof long_name);
    long_name[YOKE_PEER_NAME_MAX + 1] = 0;
    must_fail(link_try(&link, long_name, "bob", YOKE_CREATE, NULL), EINVAL);
    must_fail(link_try(&link, "alice", long_name, YOKE_CREATE, NULL), EINVAL);
    long_name[YOKE_PEER_NAME_MAX] = 0;
    {
        char other[YOKE_PEER_NAME_MAX + 1];

        memcpy(other, long_name, sizeof other);
        other[0] = 'y';
        link = link_make(long_name, other, NULL); /* both as long as they may be */
        assert_string_equal(yoke_link_other(link), other);
        yoke_close(link);
    }
    must_fail(link_try(&link, "alice", "bob@disk", YOKE_CREATE, NULL), ENOTSUP);
    yoke_close(link_make("alice", "bob@memory", NULL));
    assert_int_equal(names_left(), 0);
}

static int role_opens_what_is_taken(void *argument)
{
    yoke_endpoint *link = NULL;
    char pid[32];

    (void)argument;
    snprintf(pid, sizeof pid, "process %d", getppid());
    must_fail(link_try(&link, "alice", "bob", 0, NULL), EADDRINUSE);
    assert_non_null(strstr(yoke_explain(), "alice"));
    assert_non_null(strstr(yoke_explain(), pid));
    must_fail(link_try(&link, "alice", "carol", YOKE_CREATE, NULL), EADDRINUSE);
    assert_non_null(strstr(yoke_explain(), pid));
    assert_null(link);
    return 0;
}

static void second_process_under_a_living_name_is_refused_and_told_who_has_it(void **state)
{
    yoke_endpoint *alice = link_make("alice", "bob", NULL);

    (void)state;
    assert_int_equal(role_wait(role_start(role_opens_what_is_taken, NULL), SOON_MS), 0);
    yoke_close(alice);
}

static int role_is_carol(void *argument)
{
    yoke_endpoint *link = NULL;

    (void)argument;
    must_fail(link_try(&link, "bob", "alice", 0, NULL), EADDRINUSE);
    link = link_make("carol", "bob", NULL);
    send_number(link, 3);
    assert_nothing_comes(link);
    yoke_close(link);
    return 0;
}

static void third_peer_has_a_link_of_its_own(void **state)
{
    struct ends ends = open_small(4);
    yoke_endpoint *carols = link_make("bob", "carol", NULL);

    (void)state;
    send_number(ends.alice, 1);
    send_number(carols, 5);
    recv_number(ends.bob, YOKE_NOW);
    /* what bob sent her is taken by nobody else */
    {
        yoke_endpoint *other = link_make("carol", "bob", NULL);

        assert_int_equal(recv_number(other, YOKE_NOW), 5);
        yoke_close(other);
    }
    assert_int_equal(role_wait(role_start(role_is_carol, NULL), SOON_MS), 0);
    assert_int_equal(recv_number(carols, YOKE_NOW), 3);
    assert_nothing_comes(ends.bob);
    assert_nothing_comes(ends.alice);
    yoke_close(carols);
    close_ends(&ends);
}

static void end_that_this_process_has_open_is_not_opened_twice(void **state)
{
    struct ends ends = open_small(4);
    yoke_endpoint *again = NULL;

    (void)state;
    must_fail(link_try(&again, "alice", "bob", 0, NULL), EADDRINUSE);
    assert_null(again);
    send_number(ends.alice, 1);
    assert_int_equal(recv_number(ends.bob, YOKE_NOW), 1);
    close_ends(&ends);
}

static void links_are_removed_by_both_names(void **state)
{
    struct yoke_options options = small(4);
    yoke_endpoint *alice, *bob;

    (void)state;
    must_fail(yoke_remove("link:alice/bob"), ENOENT);
    must_fail(yoke_remove("link:bob"), EINVAL);
    must_fail(yoke_remove("link:bob/bob"), EINVAL);
    for (int i = 0; i < 2; i++) {
        must(link_try(&alice, "alice", "bob", YOKE_CREATE | YOKE_KEPT, &options));
        yoke_close(alice);
        must(yoke_remove(i ? "link:alice/bob" : "link:bob/alice"));
        must_fail(link_try(&alice, "alice", "bob", 0, NULL), ENOENT);
    }
    alice = link_make("alice", "bob", NULL);
    must(yoke_remove("link:bob/alice"));
    send_number(alice, 7); /* never under anyone's feet */
    must_fail(link_try(&bob, "bob", "alice", 0, NULL), ENOENT);
    bob = link_make("bob", "alice", NULL); /* another one */
    assert_nothing_comes(bob);
    yoke_close(bob);
    yoke_close(alice);
    must_fail(yoke_remove("peer:alice"), ENOTSUP);
}

static int role_is_bob_as_another_user(void *argument)
{
    yoke_endpoint *link = NULL;
    int result;

    become_user(1);
    result = link_try(&link, "bob", "alice", 0, NULL);
    if (result == 0)
        send_number(link, 1);
    *(int *)argument = result;
    return 0;
}

static void mode_and_group_say_who_may_open_it(void **state)
{
    static const struct {
        uint32_t mode;
        int64_t group;
        int result;
    } cases[] = {{0600, -1, -EACCES}, {0660, -1, -EACCES}, {0660, USER_ID(1), 0}, {0666, -1, 0}};
    int *result;

    (void)state;
    share_directory();
    result = shared_new(sizeof *result);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct yoke_options options = small(4);
        struct segment_facts facts;
        yoke_endpoint *alice;

        options.mode = cases[i].mode;
        options.group = cases[i].group;
        alice = link_make("alice", "bob", &options);
        assert_true(biggest_segment(&facts));
        assert_int_equal(facts.mode & 0777, cases[i].mode);
        assert_int_equal(role_wait(role_start(role_is_bob_as_another_user, result), SOON_MS), 0);
        assert_int_equal(*result, cases[i].result);
        if (*result == 0)
            recv_number(alice, SOON_MS * MS);
        yoke_close(alice);
        yoke_close(link_make("bob", "x", NULL)); /* clears what a role left of its name */
    }
    shared_drop(result, sizeof *result);
}

/* ---- messages --------------------------------------------------------------------------------- */

static void every_verb_works_both_ways(void **state)
{
    struct ends ends = open_small(8);
    yoke_endpoint *from = ends.alice, *to = ends.bob;

    (void)state;
    for (int way = 0; way < 2; way++, from = ends.bob, to = ends.alice) {
        char one[] = "a", three[] = "ccc";
        struct yoke_message out[3] = {{.data = one, .size = 1, .tag = 7},
                                      {.data = NULL, .size = 0},
                                      {.data = three, .size = 3, .tag = 9}};
        char buffers[3][200];
        struct yoke_message in[3] = {{.data = buffers[0], .capacity = 200},
                                     {.data = NULL, .capacity = 0},
                                     {.data = buffers[2], .capacity = 200}};
        const void *message;
        void *block;

        assert_int_equal(must(yoke_send_many(from, out, 3, YOKE_NOW)), 3);
        assert_int_equal(must(yoke_recv_many(to, in, 3, YOKE_NOW)), 3);
        for (uint64_t i = 0; i < 3; i++) {
            assert_int_equal(in[i].size, out[i].size);
            assert_int_equal(in[i].tag, out[i].tag);
            assert_int_equal(in[i].sequence, i);
            assert_int_equal(in[i].priority, 0);
            assert_int_equal(in[i].deliveries, 1);
            assert_int_equal(in[i].sender, getpid());
        }
        assert_memory_equal(buffers[2], "ccc", 3);
        must(yoke_loan(from, 200, &block, YOKE_NOW));
        assert_int_equal((uintptr_t)block % 16, 0);
        memset(block, 'x', 200);
        must(yoke_commit(from, block, 150));
        assert_int_equal(must(yoke_borrow(to, &message, YOKE_NOW)), 150);
        assert_int_equal((uintptr_t)message % 64, 0);
        assert_int_equal(((const char *)message)[149], 'x');
        must(yoke_return(to, message));
        in[0] = (struct yoke_message){.data = NULL};
        assert_int_equal(must(yoke_borrow_many(to, in, 1, YOKE_NOW)), 1);
        assert_ptr_equal(in[0].data, message);
        assert_int_equal(in[0].deliveries, 2);
        must(yoke_release(to, message));
        for (size_t size = 0; size <= 200; size++) {
            char text[200];

            memset(text, (int)size, sizeof text);
            must(yoke_send(from, text, size, YOKE_NOW));
            must(yoke_send(from, text, size, YOKE_NOW));
            assert_int_equal(must(yoke_borrow(to, &message, YOKE_NOW)), size);
            assert_int_equal((uintptr_t)message % 8, 0);
            assert_memory_equal(message, text, size);
            must(yoke_release(to, message));
            assert_int_equal(must(yoke_recv(to, buffers[0], size, YOKE_NOW)), size);
            assert_memory_equal(buffers[0], text, size);
        }
        assert_nothing_comes(to);
        assert_nothing_comes(from);
        assert_int_equal(must(yoke_send_many(from, NULL, 0, YOKE_NOW)), 0);
        assert_int_equal(must(yoke_recv_many(from, NULL, 0, YOKE_NOW)), 0);
    }
    close_ends(&ends);
}

static void many_of_which_not_all_fit_go_as_far_as_they_do(void **state)
{
    struct ends ends = open_small(3);
    char buffer[8], text[] = "12345678";
    struct yoke_message out[5], in[5];
    void *blocks[3];

    (void)state;
    for (int i = 0; i < 5; i++) {
        out[i] = (struct yoke_message){.data = text, .size = (size_t)(i == 1 ? 8 : 2)};
        in[i] = (struct yoke_message){.data = buffer, .capacity = 4};
    }
    assert_int_equal(must(yoke_send_many(ends.alice, out, 5, YOKE_NOW)), 3);
    must_fail(yoke_send_many(ends.alice, out + 3, 2, YOKE_NOW), EAGAIN);
    assert_int_equal(must(yoke_recv_many(ends.bob, in, 5, YOKE_NOW)), 1);
    must_fail(yoke_recv_many(ends.bob, in, 5, YOKE_NOW), EMSGSIZE);
    in[0].capacity = 8;
    assert_int_equal(must(yoke_recv_many(ends.bob, in, 5, YOKE_NOW)), 2);
    for (int i = 0; i < 3; i++) {
        must(yoke_loan(ends.alice, 8, &blocks[i], YOKE_NOW));
        out[i] = (struct yoke_message){.data = blocks[i], .size = 8};
    }
    must(yoke_send(ends.alice, "", 0, YOKE_NOW));
    assert_int_equal(must(yoke_commit_many(ends.alice, out, 3, YOKE_NOW)), 2);
    must_fail(yoke_commit_many(ends.alice, out + 2, 1, YOKE_NOW), EAGAIN);
    must_fail(yoke_commit(ends.alice, blocks[2], 8), EAGAIN);
    must_fail(yoke_commit_many(ends.alice, out + 2, 1, 20 * MS), ETIMEDOUT);
    must(yoke_release(ends.alice, blocks[2])); /* it stayed the caller's */
    close_ends(&ends);
}

static void misuse_is_refused_and_changes_nothing(void **state)
{
    struct ends ends = open_small(4);
    char bytes[300] = "";
    struct yoke_message message = {.data = bytes, .size = 1, .priority = 1};
    const void *borrowed;
    void *block;

    (void)state;
    must_fail(yoke_send(ends.alice, bytes, 201, YOKE_NOW), EMSGSIZE);
    must_fail(yoke_send(ends.alice, NULL, 1, YOKE_NOW), EINVAL);
    must_fail(yoke_send(ends.alice, bytes, 1, -2), EINVAL);
    must_fail(yoke_send_many(ends.alice, &message, 1, YOKE_NOW), EINVAL); /* a priority */
    must_fail(yoke_send_many(ends.alice, NULL, 1, YOKE_NOW), EINVAL);
    must_fail(yoke_loan(ends.alice, 201, &block, YOKE_NOW), EMSGSIZE);
    must_fail(yoke_loan(ends.alice, 1, NULL, YOKE_NOW), EINVAL);
    must_fail(yoke_recv(ends.bob, NULL, 1, YOKE_NOW), EINVAL);
    must_fail(yoke_borrow(ends.bob, NULL, YOKE_NOW), EINVAL);
    must_fail(yoke_commit(ends.alice, bytes, 1), EINVAL);
    must_fail(yoke_release(ends.alice, bytes), EINVAL);
    must_fail(yoke_return(ends.alice, bytes), EINVAL);
    must_fail(yoke_release(ends.alice, NULL), EINVAL);
    must(yoke_loan(ends.alice, 64, &block, YOKE_NOW));
    must_fail(yoke_commit(ends.alice, block, 65), EMSGSIZE);
    must_fail(yoke_commit(ends.bob, block, 1), EINVAL);
    must_fail(yoke_return(ends.alice, block), EINVAL);
    must(yoke_commit(ends.alice, block, 64));
    must_fail(yoke_commit(ends.alice, block, 1), EINVAL);
    must_fail(yoke_release(ends.alice, block), EINVAL);
    must_fail(yoke_recv(ends.bob, bytes, 63, YOKE_NOW), EMSGSIZE);
    assert_non_null(strstr(yoke_explain(), "200"));
    must(yoke_borrow(ends.bob, &borrowed, YOKE_NOW));
    must_fail(yoke_release(ends.bob, (const char *)borrowed + 1), EINVAL);
    must_fail(yoke_commit(ends.bob, (void *)(uintptr_t)borrowed, 1), EINVAL);
    must_fail(yoke_release(ends.alice, borrowed), EINVAL);
    must(yoke_release(ends.bob, borrowed));
    must_fail(yoke_release(ends.bob, borrowed), EINVAL);
    must_fail(yoke_return(ends.bob, borrowed), EINVAL);
    assert_nothing_comes(ends.bob);
    assert_string_equal(yoke_link_other(NULL), "");
    close_ends(&ends);
}

static void what_is_no_link_has_no_other(void **state)
{
    yoke_endpoint *port = port_make("a-port", NULL);
    struct ends ends = open_small(1);

    (void)state;
    assert_string_equal(yoke_link_other(port), "");
    assert_string_equal(yoke_link_other(ends.alice), "bob");
    assert_string_equal(yoke_link_other(ends.bob), "alice");
    yoke_close(port);
    close_ends(&ends);
}

static void message_that_stays_borrowed_holds_all_behind_it(void **state)
{
    struct ends ends = open_small(3);
    const void *messages[3];

    (void)state;
    for (uint64_t i = 0; i < 3; i++)
        send_number(ends.alice, i);
    for (int i = 0; i < 3; i++)
        must(yoke_borrow(ends.bob, &messages[i], YOKE_NOW));
    must(yoke_release(ends.bob, messages[1]));
    must(yoke_release(ends.bob, messages[2]));
    must_fail(yoke_send(ends.alice, "", 0, YOKE_NOW), EAGAIN);
    must(yoke_release(ends.bob, messages[0]));
    for (uint64_t i = 0; i < 3; i++)
        must(yoke_send(ends.alice, &i, sizeof i, YOKE_NOW));
    must_fail(yoke_send(ends.alice, "", 0, YOKE_NOW), EAGAIN);
    close_ends(&ends);
}

static void message_is_dropped_after_max_deliveries(void **state)
{
    struct yoke_options options = small(4);
    const void *message;
    struct ends ends;

    (void)state;
    options.max_deliveries = 2;
    ends = open_ends(&options);
    send_number(ends.alice, 1);
    send_number(ends.alice, 2);
    must(yoke_borrow(ends.bob, &message, YOKE_NOW));
    must(yoke_return(ends.bob, message));
    yoke_close(ends.bob); /* which delivers nothing */
    ends.bob = link_join("bob", "alice");
    must(yoke_borrow(ends.bob, &message, YOKE_NOW));
    assert_int_equal(*(const uint64_t *)message, 1);
    yoke_close(ends.bob);
    ends.bob = link_join("bob", "alice");
    assert_int_equal(recv_number(ends.bob, YOKE_NOW), 2);
    close_ends(&ends);
}

static void under_once_a_returned_message_is_gone(void **state)
{
    struct yoke_options options = small(4);
    const void *message;
    struct ends ends;

    (void)state;
    options.policy = YOKE_POLICY_ONCE;
    ends = open_ends(&options);
    for (uint64_t i = 0; i < 3; i++)
        send_number(ends.alice, i);
    must(yoke_borrow(ends.bob, &message, YOKE_NOW));
    must(yoke_return(ends.bob, message));
    must(yoke_borrow(ends.bob, &message, YOKE_NOW));
    yoke_close(ends.bob);
    ends.bob = link_join("bob", "alice");
    assert_int_equal(recv_number(ends.bob, YOKE_NOW), 2);
    assert_nothing_comes(ends.bob);
    close_ends(&ends);
}

static void biggest_messages_arrive_whole_by_copy_and_by_loan(void **state)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;
    const size_t words = YOKE_MESSAGE_MAX / sizeof(uint64_t);
    uint64_t *data = malloc(YOKE_MESSAGE_MAX), *buffer = malloc(YOKE_MESSAGE_MAX);
    const void *message;
    struct ends ends;
    void *block;

    (void)state;
    assert_non_null(data);
    assert_non_null(buffer);
    options.max_message = YOKE_MESSAGE_MAX;
    options.depth = 4;
    ends = open_ends(&options);
    for (size_t i = 0; i < words; i++)
        data[i] = i * UINT64_C(0x9e3779b97f4a7c15);
    must(yoke_send(ends.alice, data, YOKE_MESSAGE_MAX, YOKE_NOW));
    assert_int_equal(must(yoke_recv(ends.bob, buffer, YOKE_MESSAGE_MAX, YOKE_NOW)),
                     YOKE_MESSAGE_MAX);
    assert_memory_equal(buffer, data, YOKE_MESSAGE_MAX);
    must(yoke_loan(ends.bob, YOKE_MESSAGE_MAX, &block, YOKE_NOW));
    memcpy(block, data, YOKE_MESSAGE_MAX);
    must(yoke_commit(ends.bob, block, YOKE_MESSAGE_MAX));
    assert_int_equal(must(yoke_borrow(ends.alice, &message, YOKE_NOW)), YOKE_MESSAGE_MAX);
    assert_memory_equal(message, data, YOKE_MESSAGE_MAX);
    must(yoke_release(ends.alice, message));
    close_ends(&ends);
    free(data);
    free(buffer);
}

/* ---- the other one has not come, is gone, is back ---------------------------------------------- */

static void what_is_sent_before_the_other_comes_waits_for_it(void **state)
{
    yoke_endpoint *alice = link_make("alice", "bob", NULL), *bob;

    (void)state;
    for (uint64_t i = 0; i < 100; i++)
        send_number(alice, i);
    assert_nothing_comes(alice); /* the other may yet come: no end */
    bob = link_join("bob", "alice");
    for (uint64_t i = 0; i < 100; i++)
        assert_int_equal(recv_number(bob, YOKE_NOW), i);
    assert_nothing_comes(bob);
    yoke_close(bob);
    yoke_close(alice);
    must_fail(link_try(&alice, "alice", "bob", 0, NULL), ENOENT); /* it went with both */
}

static void kept_link_keeps_messages_while_nobody_has_it_open(void **state)
{
    yoke_endpoint *link;

    (void)state;
    must(link_try(&link, "alice", "bob", YOKE_CREATE | YOKE_KEPT, NULL));
    send_number(link, 1);
    send_number(link, 2);
    yoke_close(link);
    link = link_join("bob", "alice");
    assert_int_equal(recv_number(link, YOKE_NOW), 1);
    send_number(link, 3);
    yoke_close(link);
    link = link_join("alice", "bob");
    assert_int_equal(recv_number(link, YOKE_NOW), 3);
    yoke_close(link);
    link = link_join("bob", "alice");
    assert_int_equal(recv_number(link, YOKE_NOW), 2);
    must_fail(yoke_recv(link, NULL, 0, YOKE_NOW), EPIPE);
    yoke_close(link);
    must(yoke_remove("link:alice/bob"));
}

/* Alice's view of bob's end, whatever it was: `error` after what he sent, until he is back. */
static void assert_end_is_told_until_it_is_over(yoke_endpoint *alice, int error)
{
    const void *message;
    yoke_endpoint *bob;
    uint64_t i = 100, data[25] = {0};
    void *block;
    int64_t result;

    assert_int_equal(recv_number(alice, SOON_MS * MS), 1);
    assert_int_equal(recv_number(alice, YOKE_NOW), 2);
    for (int k = 0; k < 3; k++) {
        must_fail(yoke_recv(alice, NULL, 0, k == 0 ? LONG_WAIT : YOKE_NOW), error);
        must_fail(yoke_borrow(alice, &message, LONG_WAIT), error);
        assert_non_null(strstr(yoke_explain(), "bob"));
    }
    /* there is room: it waits for him, small or big */
    do
        data[0] = i;
    while ((result = yoke_send(alice, data, i % 2 ? 8 : 200, LONG_WAIT)) == 0 && i++ < 200);
    must_fail(result, error);
    assert_int_equal(i, 104);
    must_fail(yoke_send(alice, &i, sizeof i, YOKE_NOW), error);
    must_fail(yoke_loan(alice, 8, &block, LONG_WAIT), error);
    bob = link_join("bob", "alice");
    assert_nothing_comes(alice);
    must_fail(yoke_send(alice, &i, sizeof i, YOKE_NOW), EAGAIN);
    must_fail(yoke_loan(alice, 8, &block, YOKE_NOW), EAGAIN);
    for (uint64_t k = 100; k < 104; k++) {
        assert_int_equal(must(yoke_recv(bob, data, sizeof data, YOKE_NOW)), k % 2 ? 8 : 200);
        assert_int_equal(data[0], k);
    }
    send_number(bob, 5);
    send_number(alice, 6);
    assert_int_equal(recv_number(alice, YOKE_NOW), 5);
    assert_int_equal(recv_number(bob, YOKE_NOW), 6);
    yoke_close(bob);
}

static void end_of_one_that_closed_is_told_after_all_that_it_sent_until_it_is_back(void **state)
{
    struct ends ends = open_small(4);

    (void)state;
    send_number(ends.bob, 1);
    send_number(ends.bob, 2);
    yoke_close(ends.bob);
    assert_end_is_told_until_it_is_over(ends.alice, EPIPE);
    yoke_close(ends.alice);
}

static int role_sends_two_and_dies(void *argument)
{
    yoke_endpoint *bob = link_join("bob", "alice");

    (void)argument;
    send_number(bob, 1);
    send_number(bob, 2);
    raise(SIGKILL);
    return 0;
}

static void end_of_one_that_died_is_told_after_all_that_it_sent_until_it_is_back(void **state)
{
    struct yoke_options options = small(4);
    yoke_endpoint *alice = link_make("alice", "bob", &options);

    (void)state;
    assert_int_equal(role_wait(role_start(role_sends_two_and_dies, NULL), SOON_MS), 128 + SIGKILL);
    assert_end_is_told_until_it_is_over(alice, EOWNERDEAD);
    yoke_close(alice);
}

static int64_t receive(void *link)
{
    uint64_t number = 0;
    ssize_t size = yoke_recv(link, &number, sizeof number, LONG_WAIT);

    return size < 0 ? size : (int64_t)number;
}

static int64_t receive_for_ever(void *link)
{
    uint64_t number = 0;
    ssize_t size = yoke_recv(link, &number, sizeof number, YOKE_FOREVER);

    return size < 0 ? size : (int64_t)number;
}

static int64_t borrow(void *link)
{
    const void *message;

    return yoke_borrow(link, &message, LONG_WAIT);
}

static int64_t send_one(void *link)
{
    return yoke_send(link, &(uint64_t){77}, 8, LONG_WAIT);
}

static int64_t send_big(void *link)
{
    static const char big[200];

    return yoke_send(link, big, sizeof big, LONG_WAIT);
}

static int64_t loan(void *link)
{
    void *block;

    return yoke_loan(link, 8, &block, LONG_WAIT);
}

static const thread_call receiving_calls[] = {receive, receive_for_ever, borrow};
static const thread_call sending_calls[] = {send_one, send_big, loan};

/* A worker that waits in this call on alice's end of a link; the link is full both ways, or empty. */
static void start_waiting(struct worker *worker, struct ends *ends, thread_call call, bool sends)
{
    *ends = open_small(1);
    if (sends)
        send_number(ends->alice, 1);
    worker_start(worker, call, ends->alice);
    worker_wait_asleep(worker);
}

static void waiting_call_is_told_when_the_other_closes(void **state)
{
    (void)state;
    for (int i = 0; i < 6; i++) {
        struct worker worker;
        struct ends ends;

        start_waiting(&worker, &ends, i < 3 ? receiving_calls[i] : sending_calls[i - 3], i >= 3);
        yoke_close(ends.bob);
        must_fail(worker_join(&worker), EPIPE);
        yoke_close(ends.alice);
    }
}

/* ---- waiting ---------------------------------------------------------------------------------- */

static void waiting_calls_go_on_when_there_is_something(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct worker worker;
        struct ends ends;

        start_waiting(&worker, &ends, receiving_calls[i], false);
        send_number(ends.bob, 5);
        assert_int_equal(worker_join(&worker), i == 2 ? 8 : 5);
        close_ends(&ends);
        start_waiting(&worker, &ends, sending_calls[i], true);
        assert_int_equal(recv_number(ends.bob, YOKE_NOW), 1);
        assert_int_equal(worker_join(&worker), 0);
        close_ends(&ends);
    }
}

#define TRIPS 400

static int64_t answer(void *link)
{
    for (int i = 0; i < TRIPS; i++) {
        int64_t number = receive(link);

        if (number < 0 || yoke_send(link, &number, 8, LONG_WAIT) < 0)
            return -EBADMSG;
    }
    return 0;
}

static int64_t send_trips(void *link)
{
    for (uint64_t i = 0; i < TRIPS; i++)
        if (yoke_send(link, &i, 8, LONG_WAIT) < 0)
            return -EBADMSG;
    return 0;
}

/* If they only looked by themselves, every 100 ms, it would take forty seconds. */
static void sleepers_are_woken_for_messages_and_for_room(void **state)
{
    struct yoke_options options = small(1);
    int64_t end = now_ns() + SOON_MS * MS;
    struct worker worker;
    struct ends ends;

    (void)state;
    options.spin_ns = 0;
    ends = open_ends(&options);
    worker_start(&worker, answer, ends.bob);
    for (uint64_t i = 0; i < TRIPS; i++) {
        must(yoke_send(ends.alice, &i, 8, LONG_WAIT));
        assert_int_equal(recv_number(ends.alice, LONG_WAIT), i);
    }
    must(worker_join(&worker));
    worker_start(&worker, send_trips, ends.bob); /* into a ring with room for one */
    for (uint64_t i = 0; i < TRIPS; i++) {
        while (yoke_recv(ends.alice, &(uint64_t){0}, 8, LONG_WAIT) != 8)
            continue;
        if (i % 2)
            sched_yield();
    }
    must(worker_join(&worker));
    assert_true(now_ns() < end);
    close_ends(&ends);
}

static int64_t wait_for_the_other(void *link)
{
    return yoke_link_wait(link, LONG_WAIT);
}

static int64_t wait_for_the_other_for_50_ms(void *link)
{
    return yoke_link_wait(link, 50 * MS);
}

static void waiting_for_the_other_end_ends_when_it_is_open_or_has_left_something(void **state)
{
    yoke_endpoint *alice = link_make("alice", "bob", NULL), *bob,
                  *port = port_make("no-link", NULL);
    struct worker worker;

    (void)state;
    must_fail(yoke_link_wait(NULL, YOKE_NOW), EINVAL);
    must_fail(yoke_link_wait(port, YOKE_NOW), EINVAL);
    must_fail(yoke_link_wait(alice, -2), EINVAL);
    must_fail(yoke_link_wait(alice, YOKE_NOW), EAGAIN); /* nobody came yet */
    assert_times_out(wait_for_the_other_for_50_ms, alice, 50 * MS);
    for (int i = 0; i < 3; i++) {
        worker_start(&worker, wait_for_the_other, alice);
        worker_wait_asleep(&worker);
        bob = link_join("bob", "alice");
        must(worker_join(&worker));
        must(yoke_link_wait(alice, YOKE_NOW));
        must_fail(yoke_recv(alice, NULL, 0, YOKE_NOW), EAGAIN);
        yoke_close(bob);
        must_fail(yoke_link_wait(alice, YOKE_NOW), EAGAIN);
    }
    bob = link_join("bob", "alice");
    send_number(bob, 1);
    yoke_close(bob); /* has come, and gone, and left something */
    must(yoke_link_wait(alice, YOKE_NOW));
    recv_number(alice, YOKE_NOW);
    must_fail(yoke_link_wait(alice, YOKE_NOW), EAGAIN);
    worker_start(&worker, wait_for_the_other, alice);
    worker_wait_asleep(&worker);
    yoke_close(alice);
    must_fail(worker_join(&worker), ECANCELED);
    yoke_close(port);
}

#define RETURNS 400

struct meeting {
    yoke_endpoint *link;
    atomic_int steps; /* he is there; he is not; he is there ... */
};

static int64_t meet_again_and_again(void *argument)
{
    struct meeting *meeting = argument;

    for (int i = 0; i < RETURNS; i++) {
        if (wait_for_the_other(meeting->link) != 0)
            return -EBADMSG;
        atomic_fetch_add(&meeting->steps, 1);
        if (receive(meeting->link) != -EPIPE)
            return -EBADMSG;
        atomic_fetch_add(&meeting->steps, 1);
    }
    return 0;
}

static void await_step(struct meeting *meeting, int step)
{
    int64_t end = now_ns() + SOON_MS * MS;

    while (atomic_load(&meeting->steps) < step) {
        assert_true(now_ns() < end);
        sched_yield();
    }
}

/* If she only looked by herself, every 100 ms, it would take forty seconds. */
static void one_who_waits_for_the_other_end_is_woken_when_it_is_opened(void **state)
{
    struct yoke_options options = small(4);
    int64_t end = now_ns() + SOON_MS * MS;
    struct meeting meeting = {.link = NULL};
    struct worker worker;

    (void)state;
    options.spin_ns = 0;
    meeting.link = link_make("alice", "bob", &options);
    worker_start(&worker, meet_again_and_again, &meeting);
    for (int i = 0; i < RETURNS; i++) {
        yoke_endpoint *bob;

        worker_wait_asleep(&worker);
        bob = link_join("bob", "alice");
        await_step(&meeting, 2 * i + 1);
        yoke_close(bob);
        await_step(&meeting, 2 * i + 2);
    }
    must(worker_join(&worker));
    assert_true(now_ns() < end);
    yoke_close(meeting.link);
}

static int64_t receive_for_50_ms(void *link)
{
    return yoke_recv(link, NULL, 0, 50 * MS);
}

static int64_t borrow_for_150_ms(void *link)
{
    const void *message;

    return yoke_borrow(link, &message, 150 * MS);
}

static int64_t send_for_50_ms(void *link)
{
    return yoke_send(link, "", 0, 50 * MS);
}

static int64_t loan_for_150_ms(void *link)
{
    void *block;

    return yoke_loan(link, 1, &block, 150 * MS);
}

static void calls_time_out_and_not_too_early(void **state)
{
    struct ends ends = open_small(1);
    void *block;

    (void)state;
    assert_times_out(receive_for_50_ms, ends.alice, 50 * MS);
    assert_times_out(borrow_for_150_ms, ends.alice, 150 * MS);
    must_fail(yoke_borrow(ends.alice, (const void **)&block, YOKE_NOW), EAGAIN);
    send_number(ends.alice, 1);
    assert_times_out(send_for_50_ms, ends.alice, 50 * MS);
    assert_times_out(loan_for_150_ms, ends.alice, 150 * MS);
    must_fail(yoke_send(ends.alice, "", 0, YOKE_NOW), EAGAIN);
    must_fail(yoke_loan(ends.alice, 1, &block, YOKE_NOW), EAGAIN);
    close_ends(&ends);
}

/* The link is made full, so that the same end may wait for room, too. */
static int64_t open_and_call(void *context)
{
    thread_call call = *(const thread_call *)context;
    struct yoke_options options = small(1);
    yoke_endpoint *link = link_make("alice", "bob", &options);

    send_number(link, 1);
    return call(link);
}

static void signal_handler_ends_every_wait_even_with_sa_restart(void **state)
{
    (void)state;
    for (int i = 0; i < 6; i++) {
        const thread_call *call = i < 3 ? &receiving_calls[i] : &sending_calls[i - 3];

        must_fail(interrupted_result(open_and_call, (void *)(uintptr_t)call), EINTR);
        yoke_close(link_make("alice", "bob", NULL)); /* clears what is left of the role's */
    }
}

static void cancel_ends_waits_now_and_later(void **state)
{
    (void)state;
    for (int i = 0; i < 6; i++) {
        thread_call call = i < 3 ? receiving_calls[i] : sending_calls[i - 3];
        struct worker worker;
        struct ends ends;

        start_waiting(&worker, &ends, call, i >= 3);
        must(yoke_cancel(ends.alice));
        must_fail(worker_join(&worker), ECANCELED);
        must_fail(call(ends.alice), ECANCELED);
        if (i < 3)
            must_fail(yoke_recv(ends.alice, NULL, 0, YOKE_NOW), ECANCELED);
        /* the other end is none of its business */
        assert_int_equal(yoke_recv(ends.bob, &(uint64_t){0}, 8, 10 * MS), i < 3 ? -ETIMEDOUT : 8);
        close_ends(&ends);
    }
}

static void close_ends_the_waits_of_other_threads(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct worker receiver, sender;
        struct ends ends;

        start_waiting(&receiver, &ends, receiving_calls[i], true);
        worker_start(&sender, sending_calls[i], ends.alice);
        worker_wait_asleep(&sender);
        yoke_close(ends.alice);
        must_fail(worker_join(&receiver), ECANCELED);
        must_fail(worker_join(&sender), ECANCELED);
        assert_int_equal(recv_number(ends.bob, YOKE_NOW), 1);
        must_fail(yoke_recv(ends.bob, NULL, 0, YOKE_NOW), EPIPE);
        yoke_close(ends.bob);
    }
}

/* ---- threads ---------------------------------------------------------------------------------- */

#define STREAM 40000u

static size_t size_of(uint64_t number)
{
    return number % 1000 == 0 ? 200 : 8 + number % 120;
}

static int64_t send_stream(void *link)
{
    uint64_t message[25] = {0};

    for (uint64_t i = 0; i < STREAM; i++) {
        size_t size = size_of(i);
        int64_t result;
        void *block;

        message[0] = i;
        if (i % 7 == 0) {
            if ((result = yoke_loan(link, size, &block, LONG_WAIT)) < 0)
                return result;
            memcpy(block, message, size);
            while ((result = yoke_commit(link, block, size)) == -EAGAIN)
                continue;
        } else {
            result = yoke_send(link, message, size, LONG_WAIT);
        }
        if (result < 0)
            return result;
    }
    return 0;
}

static int64_t receive_stream(void *link)
{
    for (uint64_t i = 0; i < STREAM; i++) {
        uint64_t message[25];
        const void *borrowed;
        int64_t size;

        if (i % 5 == 0) {
            if ((size = yoke_borrow(link, &borrowed, LONG_WAIT)) < 0)
                return size;
            memcpy(message, borrowed, 8);
            yoke_release(link, borrowed);
        } else if ((size = yoke_recv(link, message, sizeof message, LONG_WAIT)) < 0) {
            return size;
        }
        if (message[0] != i || (size_t)size != size_of(i))
            return -EBADMSG;
    }
    return 0;
}

static void stream_both_ways(uint32_t depth, int64_t spin_ns)
{
    struct yoke_options options = small(depth);
    struct worker workers[4];
    struct ends ends;

    options.spin_ns = spin_ns;
    ends = open_ends(&options);
    worker_start(&workers[0], send_stream, ends.alice);
    worker_start(&workers[1], receive_stream, ends.alice);
    worker_start(&workers[2], send_stream, ends.bob);
    worker_start(&workers[3], receive_stream, ends.bob);
    for (int i = 0; i < 4; i++)
        must(worker_join(&workers[i]));
    close_ends(&ends);
}

static void one_thread_sends_while_another_receives_on_each_end(void **state)
{
    (void)state;
    stream_both_ways(64, -1);
    stream_both_ways(3, 0);
}

/* ---- what no yoke wrote ------------------------------------------------------------------------ */

static void nothing_in_shared_memory_makes_a_call_crash_or_hang(void **state)
{
    static const uint64_t values[] = {0,
                                      1,
                                      64,
                                      UINT32_MAX,
                                      UINT64_MAX,
                                      UINT64_C(1) << 63,
                                      (UINT64_C(1) << 32) + 200,
                                      UINT64_C(3) << 27};

    (void)state;
    srandom((unsigned)test_seed());
    for (int round = 0; round < 100; round++) {
        struct ends ends = open_small(4);
        struct segment_facts facts;
        char buffer[200];
        uint64_t *memory;

        assert_true(biggest_segment(&facts));
        memory = shmat(facts.id, NULL, 0);
        assert_true(memory != (void *)-1);
        send_number(ends.alice, 1);
        for (int i = 0; i < 20; i++) {
            yoke_endpoint *one = i % 2 ? ends.alice : ends.bob,
                          *other = i % 2 ? ends.bob : ends.alice;
            const void *message;
            void *block;

            for (long k = random() % 20; k >= 0; k--) {
                size_t at = 512 + (size_t)random() % (facts.size / 8 - 512);

                memory[at] = random() % 2
                                 ? values[random() % 8]
                                 : (uint64_t)(random() % 3) << 32 | (uint64_t)random() % 256;
            }
            yoke_send(one, buffer, (size_t)random() % 201, YOKE_NOW);
            if (yoke_loan(one, 100, &block, YOKE_NOW) == 0)
                yoke_commit(one, block, 100);
            if (yoke_borrow(other, &message, YOKE_NOW) >= 0)
                yoke_return(other, message);
            yoke_recv(other, buffer, sizeof buffer, MS);
            yoke_send(one, buffer, 1, MS);
        }
        shmdt(memory);
        close_ends(&ends);
        if (names_left() != 0)
            yoke_close(link_make("alice", "bob", NULL));
    }
}

static void end_that_reads_nonsense_says_so(void **state)
{
    struct ends ends = open_small(4);
    struct segment_facts facts;
    uint64_t *memory;

    (void)state;
    assert_true(biggest_segment(&facts));
    memory = shmat(facts.id, NULL, 0);
    assert_true(memory != (void *)-1);
    memset((char *)memory + 8192, 0xff, facts.size - 8192);
    for (int i = 0; i < 4; i++)
        must(yoke_send(ends.alice, "", 0, YOKE_NOW)); /* there was room when it looked last */
    must_fail(yoke_send(ends.alice, "", 0, LONG_WAIT), EPROTO);
    assert_true(strlen(yoke_explain()) > 10);
    shmdt(memory);
    close_ends(&ends);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        api_test(one_link_is_there_whoever_opens_it_first),
        api_test(link_keeps_what_it_was_created_with),
        api_test(options_that_a_link_can_not_have_are_refused_and_nothing_is_left),
        api_test(link_needs_two_names_that_differ),
        api_test(second_process_under_a_living_name_is_refused_and_told_who_has_it),
        api_test(third_peer_has_a_link_of_its_own),
        api_test(end_that_this_process_has_open_is_not_opened_twice),
        api_test(links_are_removed_by_both_names),
        api_test(mode_and_group_say_who_may_open_it),
        api_test(every_verb_works_both_ways),
        api_test(many_of_which_not_all_fit_go_as_far_as_they_do),
        api_test(misuse_is_refused_and_changes_nothing),
        api_test(what_is_no_link_has_no_other),
        api_test(message_that_stays_borrowed_holds_all_behind_it),
        api_test(message_is_dropped_after_max_deliveries),
        api_test(under_once_a_returned_message_is_gone),
        api_test(biggest_messages_arrive_whole_by_copy_and_by_loan),
        api_test(what_is_sent_before_the_other_comes_waits_for_it),
        api_test(kept_link_keeps_messages_while_nobody_has_it_open),
        api_test(end_of_one_that_closed_is_told_after_all_that_it_sent_until_it_is_back),
        api_test(end_of_one_that_died_is_told_after_all_that_it_sent_until_it_is_back),
        api_test(waiting_call_is_told_when_the_other_closes),
        api_test(waiting_calls_go_on_when_there_is_something),
        api_test(sleepers_are_woken_for_messages_and_for_room),
        api_test(waiting_for_the_other_end_ends_when_it_is_open_or_has_left_something),
        api_test(one_who_waits_for_the_other_end_is_woken_when_it_is_opened),
        api_test(calls_time_out_and_not_too_early),
        api_test(signal_handler_ends_every_wait_even_with_sa_restart),
        api_test(cancel_ends_waits_now_and_later),
        api_test(close_ends_the_waits_of_other_threads),
        api_test(one_thread_sends_while_another_receives_on_each_end),
        api_test(nothing_in_shared_memory_makes_a_call_crash_or_hang),
        api_test(end_that_reads_nonsense_says_so),
    };

    if (argc > 1 && strcmp(argv[1], "--fences") == 0) /* see tests/meson.build */
        setenv("YOKE_MEMBARRIER", "off", 1);
    return cmocka_run_group_tests(tests, api_setup, NULL);
}
