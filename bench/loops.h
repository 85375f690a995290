/*
 * loops.h - the four loops that are timed, once for all systems.
 *
 * They are forced inline, with the two functions that move a message as arguments: loops.c
 * compiles them with a system's pointers, which is what a program that calls a library pays, and
 * limit.c with the limit's own functions, so that a raw limit is as good as written by hand.
 *
 * All systems do the same checks: a number is stored at both ends of each message before it is
 * sent, and compared at both ends after it arrived. Both ends are in caches at that moment. The
 * bytes between are compared after the clock has stopped (sample.c).
 */
#ifndef YK_BENCH_LOOPS_H
#define YK_BENCH_LOOPS_H

#include "system.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#define BENCH_INLINE static inline __attribute__((always_inline))

typedef int bench_send_function(void *state, enum bench_channel channel, const void *message,
                                size_t size);
typedef int bench_recv_function(void *state, enum bench_channel channel, void *buffer, size_t size);

BENCH_INLINE uint64_t bench_now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/* Numbers without an order that any cache or timer could follow; *state is not 0. */
BENCH_INLINE uint64_t bench_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Returns the time when the rest is over. */
BENCH_INLINE uint64_t bench_rest(uint64_t rest_ns)
{
    uint64_t start = bench_now(), now = start;

    while (now - start < rest_ns)
        now = bench_now();
    return now;
}

BENCH_INLINE void bench_stamp(unsigned char *message, size_t size, uint64_t number)
{
    memcpy(message, &number, sizeof number);
    memcpy(message + size - sizeof number, &number, sizeof number);
}

BENCH_INLINE bool bench_is_stamped(const unsigned char *message, size_t size, uint64_t number)
{
    uint64_t first, last;

    memcpy(&first, message, sizeof first);
    memcpy(&last, message + size - sizeof last, sizeof last);
    return first == number && last == number;
}

BENCH_INLINE int bench_ping(void *state, const struct bench_batch *batch, bench_send_function *send,
                            bench_recv_function *recv)
{
    uint64_t number = batch->first, end = batch->first + batch->count;
    uint64_t start;
    int error;

    for (double *time = batch->times; number < end; time++) {
        uint64_t left = end - number, group = left < batch->group ? left : batch->group;

        start = bench_rest(batch->rest_ns);
        for (uint64_t group_end = number + group; number < group_end; number++) {
            bench_stamp(batch->message, batch->size, number);
            error = send(state, BENCH_TO_1, batch->message, batch->size);
            if (error < 0)
                return error;
            error = recv(state, BENCH_TO_0, batch->buffer, batch->size);
            if (error < 0)
                return error;
            if (!bench_is_stamped(batch->buffer, batch->size, number))
                return -EBADMSG;
        }
        *time = (double)(bench_now() - start) / (double)group;
    }
    return 0;
}

BENCH_INLINE int bench_pong(void *state, const struct bench_batch *batch, bench_send_function *send,
                            bench_recv_function *recv)
{
    for (uint64_t i = 0; i < batch->count; i++) {
        int error = recv(state, BENCH_TO_1, batch->buffer, batch->size);
        if (error < 0)
            return error;
        error = send(state, BENCH_TO_0, batch->buffer, batch->size);
        if (error < 0)
            return error;
    }
    return 0;
}

BENCH_INLINE int bench_consume(void *state, const struct bench_batch *batch,
                               bench_recv_function *recv)
{
    for (uint64_t number = batch->first; number < batch->first + batch->count; number++) {
        int error = recv(state, BENCH_TO_0, batch->buffer, batch->size);
        if (error < 0)
            return error;
        if (!bench_is_stamped(batch->buffer, batch->size, number))
            return -EBADMSG;
    }
    return 0;
}

BENCH_INLINE int bench_produce(void *state, const struct bench_batch *batch,
                               bench_send_function *send)
{
    for (uint64_t number = batch->first; number < batch->first + batch->count; number++) {
        bench_stamp(batch->message, batch->size, number);
        int error = send(state, BENCH_TO_0, batch->message, batch->size);
        if (error < 0)
            return error;
    }
    return 0;
}

/* Defines NAME_loops from NAME_send and NAME_recv, which are compiled into them. */
#define BENCH_DEFINE_LOOPS(name)                                                              \
    static int name##_ping(const struct bench_run *run, const struct bench_batch *batch)      \
    {                                                                                         \
        return bench_ping(run->state, batch, name##_send, name##_recv);                       \
    }                                                                                         \
    static int name##_pong(const struct bench_run *run, const struct bench_batch *batch)      \
    {                                                                                         \
        return bench_pong(run->state, batch, name##_send, name##_recv);                       \
    }                                                                                         \
    static int name##_consume(const struct bench_run *run, const struct bench_batch *batch)   \
    {                                                                                         \
        return bench_consume(run->state, batch, name##_recv);                                 \
    }                                                                                         \
    static int name##_produce(const struct bench_run *run, const struct bench_batch *batch)   \
    {                                                                                         \
        return bench_produce(run->state, batch, name##_send);                                 \
    }                                                                                         \
    static const struct bench_loops name##_loops = {name##_ping, name##_pong, name##_consume, \
                                                    name##_produce}

/* For every system that has send() and recv(): loops.c. */
extern const struct bench_loops bench_calling_loops;

/* Opens and closes `count` times; one entry of `times` and `closings` for each, or for `group` of them. */
int bench_reopen(const struct bench_run *run, const struct bench_batch *batch);

#endif
