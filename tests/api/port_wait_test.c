/* Ports: waiting for a message and for room, what ends a wait, and several threads on one endpoint. */
#include "api.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static const char *name = "waiting";

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

    return port_make(name, &options);
}

/* A port with no room left; its one message is 1000. */
static yoke_endpoint *make_full(void)
{
    yoke_endpoint *port = make_small(1);

    send_number(port, 1000);
    return port;
}

/* ---- calls for threads, each with the time-out that its name says ------------------------------- */

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

static int64_t borrow(void *endpoint)
{
    const void *message;
    ssize_t size = yoke_borrow(endpoint, &message, LONG_WAIT);

    return size < 0 ? size : yoke_release(endpoint, message);
}

static int64_t send_2000(void *endpoint)
{
    return yoke_send(endpoint, &(uint64_t){2000}, 8, LONG_WAIT);
}

static int64_t loan(void *endpoint)
{
    void *block;
    int result = yoke_loan(endpoint, 8, &block, LONG_WAIT);

    return result < 0 ? result : yoke_release(endpoint, block);
}

static int64_t receive_for_30_ms(void *endpoint)
{
    return yoke_recv(endpoint, NULL, 0, 30 * MS);
}

static int64_t borrow_for_30_ms(void *endpoint)
{
    const void *message;

    return yoke_borrow(endpoint, &message, 30 * MS);
}

static int64_t send_for_30_ms(void *endpoint)
{
    return yoke_send(endpoint, "x", 1, 30 * MS);
}

static int64_t loan_for_30_ms(void *endpoint)
{
    void *block;

    return yoke_loan(endpoint, 8, &block, 30 * MS);
}

static const thread_call receivers[] = {receive, receive_for_ever, borrow};
static const thread_call senders[] = {send_2000, loan};

#define RECEIVERS (sizeof receivers / sizeof receivers[0])
#define SENDERS   (sizeof senders / sizeof senders[0])

/* ---- what ends a wait -------------------------------------------------------------------------- */

static void waiting_receiver_is_woken_by_a_message(void **state)
{
    yoke_endpoint *port = make_small(4), *other = port_join(name);

    (void)state;
    for (size_t i = 0; i < 10 * RECEIVERS; i++) {
        struct worker waiter;

        worker_start(&waiter, receivers[i % RECEIVERS], port);
        worker_wait_asleep(&waiter);
        send_number(i % 2 ? port : other, 1);
        assert_true(worker_join(&waiter) >= 0);
    }
    yoke_close(other);
    yoke_close(port);
}

static void waiting_sender_is_woken_by_room(void **state)
{
    yoke_endpoint *port = make_full(), *other = port_join(name);

    (void)state;
    for (size_t i = 0; i < 10 * SENDERS; i++) {
        struct worker waiter;

        worker_start(&waiter, senders[i % SENDERS], port);
        worker_wait_asleep(&waiter);
        recv_number(i % 4 < 2 ? port : other, YOKE_NOW);
        assert_int_equal(worker_join(&waiter), 0);
        if (senders[i % SENDERS] == loan)
            send_number(port, 1000);
    }
    yoke_close(other);
    yoke_close(port);
}

static void every_sleeping_receiver_is_woken_by_a_message_of_its_own(void **state)
{
    enum { COUNT = 6 };
    yoke_endpoint *port = make_small(16), *others[COUNT];
    struct worker waiters[COUNT];
    uint64_t sum = 0;

    (void)state;
    for (int i = 0; i < COUNT; i++) {
        others[i] = port_join(name);
        worker_start(&waiters[i], receive, i % 2 ? others[i] : others[0]);
    }
    for (int i = 0; i < COUNT; i++)
        worker_wait_asleep(&waiters[i]);
    for (uint64_t i = 0; i < COUNT; i++)
        send_number(port, UINT64_C(1) << i);
    for (int i = 0; i < COUNT; i++)
        sum += (uint64_t)worker_join(&waiters[i]);
    assert_int_equal(sum, (1 << COUNT) - 1);
    for (int i = 0; i < COUNT; i++)
        yoke_close(others[i]);
    yoke_close(port);
}

static void time_out_comes_when_the_time_is_over_and_not_before(void **state)
{
    yoke_endpoint *port = make_small(1);

    (void)state;
    assert_times_out(receive_for_30_ms, port, 30 * MS);
    assert_times_out(borrow_for_30_ms, port, 30 * MS);
    send_number(port, 1);
    assert_times_out(send_for_30_ms, port, 30 * MS);
    assert_times_out(loan_for_30_ms, port, 30 * MS);
    must_fail(yoke_send(port, "x", 1, YOKE_NOW), EAGAIN);
    must_fail(yoke_send(port, "x", 1, 1), ETIMEDOUT);
    assert_int_equal(recv_number(port, YOKE_NOW), 1);
    must_fail(yoke_recv(port, NULL, 0, YOKE_NOW), EAGAIN);
    must_fail(yoke_recv(port, NULL, 0, 1), ETIMEDOUT);
    yoke_close(port);
}

static void what_is_there_is_taken_at_once_whatever_the_time_out(void **state)
{
    static const int64_t timeouts[] = {YOKE_NOW, 1, 1000, LONG_WAIT, INT64_MAX, YOKE_FOREVER};
    yoke_endpoint *port = make_small(2);

    (void)state;
    for (size_t i = 0; i < sizeof timeouts / sizeof timeouts[0]; i++) {
        uint64_t number = i;

        must(yoke_send(port, &number, sizeof number, timeouts[i]));
        assert_int_equal(recv_number(port, timeouts[i]), i);
    }
    yoke_close(port);
}

static void signal_handler_ends_every_wait_even_with_sa_restart(void **state)
{
    yoke_endpoint *port = make_small(1);

    (void)state;
    for (size_t i = 0; i < RECEIVERS; i++)
        must_fail(interrupted_result(receivers[i], port), EINTR);
    send_number(port, 1);
    for (size_t i = 0; i < SENDERS; i++)
        must_fail(interrupted_result(senders[i], port), EINTR);
    assert_int_equal(recv_number(port, YOKE_NOW), 1);
    must_fail(yoke_recv(port, NULL, 0, YOKE_NOW), EAGAIN); /* nothing was sent by the interrupted */
    yoke_close(port);
}

static void cancel_ends_this_wait_and_later_ones_of_that_endpoint_only(void **state)
{
    yoke_endpoint *port = make_small(1), *other = port_join(name);
    struct worker waiters[RECEIVERS], bystander;

    (void)state;
    worker_start(&bystander, receive, other);
    for (size_t i = 0; i < RECEIVERS; i++)
        worker_start(&waiters[i], receivers[i], port);
    for (size_t i = 0; i < RECEIVERS; i++)
        worker_wait_asleep(&waiters[i]);
    worker_wait_asleep(&bystander);
    must(yoke_cancel(port));
    for (size_t i = 0; i < RECEIVERS; i++)
        must_fail(worker_join(&waiters[i]), ECANCELED);
    must_fail(receive_for_ever(port), ECANCELED);
    must_fail(yoke_recv(port, NULL, 0, YOKE_NOW), ECANCELED);
    send_number(other, 5);
    assert_int_equal(worker_join(&bystander), 5);
    send_number(other, 6);
    must_fail(yoke_send(port, "x", 1, YOKE_FOREVER), ECANCELED);
    must_fail(loan(port), ECANCELED);
    assert_int_equal(recv_number(port, YOKE_FOREVER), 6); /* it need not wait for this one */
    must_fail(yoke_cancel(NULL), EINVAL);
    yoke_close(other);
    yoke_close(port);
}

static void cancelled_senders_leave_nothing_behind(void **state)
{
    yoke_endpoint *port = make_full(), *other = port_join(name);
    struct worker waiters[SENDERS];

    (void)state;
    for (size_t i = 0; i < SENDERS; i++)
        worker_start(&waiters[i], senders[i], other);
    for (size_t i = 0; i < SENDERS; i++)
        worker_wait_asleep(&waiters[i]);
    must(yoke_cancel(other));
    for (size_t i = 0; i < SENDERS; i++)
        must_fail(worker_join(&waiters[i]), ECANCELED);
    assert_int_equal(recv_number(port, YOKE_NOW), 1000);
    must_fail(yoke_recv(port, NULL, 0, YOKE_NOW), EAGAIN);
    yoke_close(other);
    yoke_close(port);
}

/* A close runs beside the last instructions of the waits that it ends: under ASan, again and again. */
static void closing_ends_the_waits_of_other_threads(void **state)
{
    enum { COUNT = 3 };

    (void)state;
    for (size_t i = 0; i < 60; i++) {
        bool full = i % 2;
        yoke_endpoint *port = full ? make_full() : make_small(1), *other = port_join(name);
        struct worker waiters[COUNT];

        for (size_t j = 0; j < COUNT; j++)
            worker_start(&waiters[j], full ? senders[j % SENDERS] : receivers[j % RECEIVERS],
                         other);
        for (size_t j = 0; j < COUNT; j++)
            worker_wait_asleep(&waiters[j]);
        must(yoke_close(other));
        for (size_t j = 0; j < COUNT; j++)
            must_fail(worker_join(&waiters[j]), ECANCELED);
        yoke_close(port);
    }
}

static void close_may_meet_the_very_message_that_was_waited_for(void **state)
{
    (void)state;
    for (size_t i = 0; i < 200; i++) {
        bool full = i % 2;
        yoke_endpoint *port = full ? make_full() : make_small(1), *other = port_join(name);
        struct worker waiter;
        int64_t result;

        /* calls that are not followed by another one on the closed endpoint */
        worker_start(&waiter, full ? send_2000 : i % 4 ? receive : receive_for_ever, other);
        worker_wait_asleep(&waiter);
        if (full)
            recv_number(port, YOKE_NOW);
        else
            send_number(port, 1);
        must(yoke_close(other));
        result = worker_join(&waiter);
        assert_true(result >= 0 || result == -ECANCELED);
        yoke_close(port);
    }
}

/* ---- several threads on one endpoint ------------------------------------------------------------ */

#define THREADS 3
#define EACH    60000

struct crew {
    yoke_endpoint *endpoint;
    atomic_uint_fast64_t sum, count;
};

static int64_t send_loan(yoke_endpoint *endpoint, uint64_t number)
{
    struct yoke_message message = {.size = sizeof number};
    int64_t result;

    result = yoke_loan(endpoint, sizeof number, &message.data, LONG_WAIT);
    if (result < 0)
        return result;
    memcpy(message.data, &number, sizeof number);
    result = yoke_commit_many(endpoint, &message, 1, LONG_WAIT);
    return result;
}

static int64_t send_each(void *context)
{
    struct crew *crew = context;

    for (uint64_t i = 1; i <= EACH; i++) {
        int64_t result;

        if (i % 4 == 0)
            result = send_loan(crew->endpoint, i);
        else
            result = yoke_send(crew->endpoint, &i, sizeof i, LONG_WAIT);
        if (result < 0)
            return result;
    }
    return 0;
}

static int64_t receive_borrowed(yoke_endpoint *endpoint, uint64_t *ret_number)
{
    const void *message;
    int64_t size;

    size = yoke_borrow(endpoint, &message, LONG_WAIT);
    if (size < 0)
        return size;
    if (size == sizeof *ret_number)
        memcpy(ret_number, message, sizeof *ret_number);
    return yoke_release(endpoint, message) < 0 ? -1 : size;
}

static int64_t receive_each(void *context)
{
    struct crew *crew = context;
    uint64_t mine;

    while ((mine = atomic_fetch_add(&crew->count, 1)) < (uint64_t)THREADS * EACH) {
        uint64_t number = 0;
        int64_t size;

        if (mine % 3 == 0)
            size = receive_borrowed(crew->endpoint, &number);
        else
            size = yoke_recv(crew->endpoint, &number, sizeof number, LONG_WAIT);
        if (size != sizeof number)
            return size < 0 ? size : -1;
        atomic_fetch_add(&crew->sum, number);
    }
    return 0;
}

static void threads_share_endpoints(yoke_endpoint *sending, yoke_endpoint *receiving)
{
    struct crew send = {.endpoint = sending}, receive = {.endpoint = receiving};
    struct worker workers[2 * THREADS];

    for (int i = 0; i < THREADS; i++) {
        worker_start(&workers[i], receive_each, &receive);
        worker_start(&workers[THREADS + i], send_each, &send);
    }
    for (int i = 0; i < 2 * THREADS; i++)
        assert_int_equal(worker_join(&workers[i]), 0);
    assert_int_equal(receive.sum, (uint64_t)THREADS * EACH * (EACH + 1) / 2);
    must_fail(yoke_recv(receiving, NULL, 0, YOKE_NOW), EAGAIN);
}

static void threads_that_share_one_endpoint_lose_and_double_nothing(void **state)
{
    static const uint32_t depths[] = {2, 64};

    (void)state;
    for (int i = 0; i < 2; i++) {
        yoke_endpoint *port = make_small(depths[i]);

        threads_share_endpoints(port, port);
        yoke_close(port);
    }
}

static void threads_that_share_two_endpoints_lose_and_double_nothing(void **state)
{
    yoke_endpoint *port = make_small(16), *other = port_join(name);

    (void)state;
    threads_share_endpoints(port, other);
    yoke_close(other);
    yoke_close(port);
}

/* ---- threads that are interrupted all the time ------------------------------------------------- */

static _Thread_local timer_t interruption;

static void interrupt_soon(void)
{
    /* by a different distance each time, so that every instruction has its turn */
    struct itimerspec soon = {.it_value.tv_nsec = 20000 + now_ns() % 30000};

    timer_settime(interruption, 0, &soon, NULL);
}

/* Stops in the middle of whatever the thread was doing, for long enough that others do a lot. */
static void on_interruption(int number)
{
    int before = errno;

    (void)number;
    nanosleep(&(struct timespec){.tv_nsec = 1}, NULL);
    interrupt_soon();
    errno = before;
}

/* From now on this thread is interrupted; returns false when there are no timers. */
static bool start_interruptions(void)
{
    struct sigaction action = {.sa_handler = on_interruption, .sa_flags = SA_RESTART};
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR2};

    event._sigev_un._tid = gettid();
    sigaction(SIGUSR2, &action, NULL);
    if (timer_create(CLOCK_MONOTONIC, &event, &interruption) != 0)
        return false;
    interrupt_soon();
    return true;
}

static void end_interruptions(void)
{
    sigset_t signals;

    sigemptyset(&signals);
    sigaddset(&signals, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    timer_delete(interruption);
}

struct sums {
    yoke_endpoint *endpoint;
    atomic_uint_fast64_t sent, received;
    atomic_uint_fast64_t next; /* each number is sent once */
    int64_t end_ns;
};

/* Sends numbers, and receives whenever there is no room: never sleeps. */
static int64_t send_and_receive(void *context)
{
    struct sums *sums = context;
    int64_t result = start_interruptions() ? 0 : -ENOTSUP;

    while (result == 0 && now_ns() < sums->end_ns) {
        uint64_t number = atomic_fetch_add(&sums->next, 1);

        result = yoke_send(sums->endpoint, &number, sizeof number, YOKE_NOW);
        if (result == 0) {
            atomic_fetch_add(&sums->sent, number);
        } else if (result == -EAGAIN) {
            result = 0;
            if (yoke_recv(sums->endpoint, &number, sizeof number, YOKE_NOW) > 0)
                atomic_fetch_add(&sums->received, number);
        }
    }
    end_interruptions();
    return result;
}

static void threads_interrupted_at_any_instruction_lose_and_double_nothing(void **state)
{
    static const uint32_t depths[] = {1, 4, 32};

    (void)state;
    for (int i = 0; i < 3; i++) {
        struct sums sums = {.endpoint = make_small(depths[i]), .end_ns = now_ns() + 700 * MS};
        struct worker workers[THREADS];
        uint64_t number;

        for (int j = 0; j < THREADS; j++)
            worker_start(&workers[j], send_and_receive, &sums);
        for (int j = 0; j < THREADS; j++)
            assert_int_equal(worker_join(&workers[j]), 0);
        while (yoke_recv(sums.endpoint, &number, sizeof number, YOKE_NOW) > 0)
            sums.received += number;
        assert_true(sums.sent > 0);
        assert_int_equal(sums.received, sums.sent);
        yoke_close(sums.endpoint);
    }
}

/*
 * Ten times a second each looks by itself; but who looked in vain does not have the others look, who would
 * do the same. (Once that made 40,000 wake-ups in this time.)
 */
static void threads_that_wait_on_one_endpoint_leave_each_other_asleep(void **state)
{
    enum { WAITERS = 8 };
    yoke_endpoint *port = make_small(64);
    struct worker workers[WAITERS];
    struct rusage before, after;

    (void)state;
    for (int i = 0; i < WAITERS; i++)
        worker_start(&workers[i], receive, port);
    for (int i = 0; i < WAITERS; i++)
        worker_wait_asleep(&workers[i]);
    getrusage(RUSAGE_SELF, &before);
    nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
    getrusage(RUSAGE_SELF, &after);
    assert_in_range(after.ru_nvcsw - before.ru_nvcsw, 0, 40 * WAITERS);
    for (uint64_t i = 1; i <= WAITERS; i++)
        send_number(port, i);
    for (int i = 0; i < WAITERS; i++)
        assert_in_range(worker_join(&workers[i]), 1, WAITERS);
    yoke_close(port);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        api_test(waiting_receiver_is_woken_by_a_message),
        api_test(waiting_sender_is_woken_by_room),
        api_test(every_sleeping_receiver_is_woken_by_a_message_of_its_own),
        api_test(time_out_comes_when_the_time_is_over_and_not_before),
        api_test(what_is_there_is_taken_at_once_whatever_the_time_out),
        api_test(signal_handler_ends_every_wait_even_with_sa_restart),
        api_test(cancel_ends_this_wait_and_later_ones_of_that_endpoint_only),
        api_test(cancelled_senders_leave_nothing_behind),
        api_test(closing_ends_the_waits_of_other_threads),
        api_test(close_may_meet_the_very_message_that_was_waited_for),
        api_test(threads_that_share_one_endpoint_lose_and_double_nothing),
        api_test(threads_interrupted_at_any_instruction_lose_and_double_nothing),
        api_test(threads_that_share_two_endpoints_lose_and_double_nothing),
        api_test(threads_that_wait_on_one_endpoint_leave_each_other_asleep),
    };

    return cmocka_run_group_tests(tests, api_setup, NULL);
}
