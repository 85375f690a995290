/*
 * far_worker.c - one side of a contestant: does what far.c says, line by line. Linked into the tool and into
 * the programs of other contestants, so it needs nothing but libc.
 */
#include "far.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

int bench_far_fail(struct bench_far *far, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(far->said, sizeof far->said, format, arguments);
    va_end(arguments);
    far->said[strcspn(far->said, "\n")] = '\0';
    return BENCH_FAR_FAIL;
}

int bench_far_check(struct bench_far *far, const void *message, size_t size)
{
    const unsigned char *bytes = message;
    uint64_t due = far->next[1]++, first, last;

    if (size != far->size)
        return bench_far_fail(far, "a message of %zu bytes came, of %zu sent", size, far->size);
    memcpy(&first, bytes, sizeof first);
    memcpy(&last, bytes + size - sizeof last, sizeof last);
    if (first != due || last != due)
        return bench_far_fail(far, "message %llu came where %llu was due",
                              (unsigned long long)first, (unsigned long long)due);
    return 0;
}

static int64_t now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

static int receive_all(struct bench_far *far, const struct bench_far_hands *hands, uint64_t count,
                       size_t burst)
{
    while (count > 0) {
        ssize_t got = hands->recv(far, count < burst ? (size_t)count : burst);
        if (got < 0)
            return BENCH_FAR_FAIL;
        count -= (uint64_t)got;
    }
    return 0;
}

static int send_all(struct bench_far *far, const struct bench_far_hands *hands, uint64_t count,
                    size_t burst)
{
    int result = 0;

    while (count > 0 && result == 0) {
        size_t some = count < burst ? (size_t)count : burst;
        result = hands->send(far, some);
        count -= some;
    }
    if (result == 0 && hands->settle)
        result = hands->settle(far);
    return result;
}

static int round_trips(struct bench_far *far, const struct bench_far_hands *hands, uint64_t count)
{
    int result = 0;

    for (; count > 0 && result == 0; count--) {
        if (far->side == 0)
            result = hands->send(far, 1);
        if (result == 0)
            result = hands->recv(far, 1) < 0 ? BENCH_FAR_FAIL : 0;
        if (result == 0 && far->side == 1)
            result = hands->send(far, 1);
    }
    return result;
}

static int questions(struct bench_far *far, const struct bench_far_hands *hands, uint64_t count)
{
    int (*one)(struct bench_far *) = far->side == 0 ? hands->ask : hands->answer;
    int result = one ? 0 : bench_far_fail(far, "nothing of that sort");

    for (; count > 0 && result == 0; count--)
        result = one(far);
    return result;
}

static int open_it(struct bench_far *far, const struct bench_far_hands *hands, uint64_t size)
{
    far->memory = calloc(BENCH_FAR_BURST, size);
    if (!far->memory)
        return bench_far_fail(far, "no memory for messages of %llu bytes",
                              (unsigned long long)size);
    far->size = (size_t)size;
    far->next[0] = far->next[1] = 0;
    int result = hands->open(far);
    if (result < 0) {
        free(far->memory);
        far->memory = NULL;
    }
    return result;
}

static void close_it(struct bench_far *far, const struct bench_far_hands *hands)
{
    if (!far->memory)
        return;
    hands->close(far);
    free(far->memory);
    far->memory = NULL;
}

static int do_job(struct bench_far *far, const struct bench_far_hands *hands, const char *job,
                  uint64_t number)
{
    size_t burst = strcmp(job, "many") == 0 ? BENCH_FAR_BURST : 1;

    if (strcmp(job, "open") == 0)
        return open_it(far, hands, number);
    if (strcmp(job, "close") == 0)
        return close_it(far, hands), 0;
    if (strcmp(job, "round") == 0)
        return round_trips(far, hands, number);
    if (strcmp(job, "ask") == 0)
        return questions(far, hands, number);
    if (far->side == 0)
        return receive_all(far, hands, number, burst);
    return send_all(far, hands, number, burst);
}

void bench_far_work(struct bench_far *far, const struct bench_far_hands *hands)
{
    char job[16];
    unsigned long long number;

    /* They go with the end of their input, and take away what they made. */
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    while (scanf("%15s %llu", job, &number) == 2) {
        int64_t start = now();
        if (do_job(far, hands, job, number) < 0)
            printf("fail %s\n", far->said);
        else
            printf("ok %lld\n", (long long)(now() - start));
        fflush(stdout);
    }
    close_it(far, hands);
}
