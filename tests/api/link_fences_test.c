/*
 * A link's receiver that lies down for nearly each message has the sender make the fences instead of
 * calling membarrier() itself (src/link.c, choose_fences()), and takes that back when it does not.
 * That no wake-up is lost meanwhile is tests/model's business (wakeup-tso-adapt).
 */
#include "api.h"

#include <pthread.h>
#include <unistd.h>

#include "endpoint.h"

#define MOST 100000 /* messages until it must have happened */

static void open_ends(yoke_endpoint *ends[2], int64_t spin_ns)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;
    int descriptors[2];
    options.spin_ns = spin_ns;
    must(yoke_pair(descriptors, NULL));
    for (int i = 0; i < 2; i++) {
        must(yoke_open_descriptor(&ends[i], descriptors[i], &options));
        close(descriptors[i]);
    }
}

static void close_ends(yoke_endpoint *ends[2])
{
    for (int i = 0; i < 2; i++)
        yoke_close(ends[i]);
}

/* Does this end ask the other one for fences? */
static bool asks(const yoke_endpoint *end)
{
    return yk_load32_relaxed(&end->link.shm->sides[end->link.object.slot].membarrier) == 0;
}

static void *answer(void *argument)
{
    yoke_endpoint *end = argument;
    uint64_t message = 0;
    while (yoke_recv(end, &message, sizeof message, YOKE_FOREVER) > 0)
        must(yoke_send(end, &message, sizeof message, YOKE_FOREVER));
    return NULL;
}

static void skip_without_membarrier(void)
{
    if (!yk_membarrier_usable())
        skip_test("%s", "membarrier() is not to be had here");
}

/* Answers that are not there yet when they are asked for: each time the receiver lies down. */
static void who_sleeps_for_each_message_asks_for_fences(void **state)
{
    (void)state;
    skip_without_membarrier();
    yoke_endpoint *ends[2];
    pthread_t thread;
    open_ends(ends, 0);
    assert_false(asks(ends[0]));
    assert_int_equal(pthread_create(&thread, NULL, answer, ends[1]), 0);
    uint64_t sent = 0, came = 0;
    while (sent < MOST && !(asks(ends[0]) && asks(ends[1]))) {
        sent++;
        must(yoke_send(ends[0], &sent, sizeof sent, YOKE_FOREVER));
        assert_int_equal(yoke_recv(ends[0], &came, sizeof came, YOKE_FOREVER), sizeof came);
        assert_int_equal(came, sent);
    }
    assert_true(sent < MOST);
    yoke_close(ends[0]);
    pthread_join(thread, NULL);
    yoke_close(ends[1]);
}

/* Many messages between two looks at an empty link: a fence each would be the dearer way. */
static void who_finds_many_at_a_time_takes_it_back(void **state)
{
    (void)state;
    skip_without_membarrier();
    yoke_endpoint *ends[2];
    char message[8] = "";
    open_ends(ends, 0);
    for (int naps = 0; naps < MOST && !asks(ends[1]); naps++)
        assert_int_equal(yoke_recv(ends[1], message, sizeof message, 1), -ETIMEDOUT);
    assert_true(asks(ends[1]));
    for (int rounds = 0; rounds < 100 && asks(ends[1]); rounds++) {
        for (int i = 0; i < 100; i++)
            must(yoke_send(ends[0], message, sizeof message, YOKE_NOW));
        for (int i = 0; i < 100; i++)
            assert_int_equal(yoke_recv(ends[1], message, sizeof message, YOKE_NOW), sizeof message);
        assert_int_equal(yoke_recv(ends[1], message, sizeof message, YOKE_NOW), -EAGAIN);
    }
    assert_false(asks(ends[1]));
    close_ends(ends);
}

/* Who has its answers while it spins never lies down. */
static void who_spins_does_not_ask(void **state)
{
    (void)state;
    skip_without_membarrier();
    yoke_endpoint *ends[2];
    char message[8] = "";
    open_ends(ends, INT64_C(1000000000));
    for (int i = 0; i < 1000; i++) {
        must(yoke_send(ends[0], message, sizeof message, YOKE_NOW));
        assert_int_equal(yoke_recv(ends[1], message, sizeof message, YOKE_FOREVER), sizeof message);
        assert_int_equal(yoke_recv(ends[1], message, sizeof message, YOKE_NOW), -EAGAIN);
        assert_false(asks(ends[1]));
    }
    close_ends(ends);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        api_test(who_sleeps_for_each_message_asks_for_fences),
        api_test(who_finds_many_at_a_time_takes_it_back),
        api_test(who_spins_does_not_ask),
    };
    return cmocka_run_group_tests(tests, api_setup, NULL);
}
