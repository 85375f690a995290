/*
 * yoke_link.c - yoke's links, as a program uses them: yoke_pair(), then yoke_send() and yoke_recv();
 * and in place: yoke_loan(), yoke_commit(), yoke_borrow(), yoke_release().
 *
 * The parent makes the pair; each worker opens its end by the descriptor that it inherits. There is
 * no name, so nothing can be left behind. A link between named peers moves messages in the same way.
 * Blocking means no spinning at all (spin_ns 0), spinning means no sleep within any time that a
 * sample takes.
 */
#include "../limit.h"
#include "in_place.h"
#include "peers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <yoke.h>

#define SPIN_NS (3600 * INT64_C(1000000000))
/* From here on a message's cost is that of its copies. */
#define BIG_MESSAGE 4096u

struct link {
    struct yoke_options options;
    int ends[2];        /* of side 0 and of side 1 */
    yoke_endpoint *end; /* a worker's */
};

static void yoke_link_teardown(struct bench_run *run)
{
    struct link *state = run->state;

    close(state->ends[0]);
    close(state->ends[1]);
    free(state);
}

static int yoke_link_setup(struct bench_run *run)
{
    static const struct yoke_options defaults = YOKE_OPTIONS_INIT;
    struct link *state = calloc(1, sizeof *state);
    int error;

    if (!state)
        return -ENOMEM;
    state->options = defaults;
    state->options.max_message = run->setting.size;
    state->options.depth = run->setting.depth;
    state->options.spin_ns = run->setting.mode == BENCH_SPIN ? SPIN_NS : 0;
    error = yoke_pair(state->ends, &state->options);
    if (error < 0) {
        snprintf(run->reason, sizeof run->reason, "%s", yoke_explain());
        free(state);
        return error;
    }
    run->state = state;
    return 0;
}

static int yoke_link_join(struct bench_run *run)
{
    struct link *state = run->state;
    int error = yoke_open_descriptor(&state->end, state->ends[run->side], &state->options);

    if (error < 0)
        snprintf(run->reason, sizeof run->reason, "%s", yoke_explain());
    return error;
}

static int yoke_link_send(void *data, enum bench_channel channel, const void *message, size_t size)
{
    const struct link *state = data;

    (void)channel; /* each side has one end, which leads to the other */
    return (int)yoke_send(state->end, message, size, YOKE_FOREVER);
}

static int yoke_link_recv(void *data, enum bench_channel channel, void *buffer, size_t size)
{
    const struct link *state = data;
    ssize_t got = yoke_recv(state->end, buffer, size, YOKE_FOREVER);

    (void)channel;
    if (got < 0)
        return (int)got;
    return (size_t)got == size ? 0 : -EBADMSG;
}

/* One sender and one receiver: compared with what one sender and one receiver can do at best. */
static const struct bench_system *limit_for(const struct bench_setting *setting)
{
    if (setting->what == BENCH_LATENCY && setting->mode == BENCH_SPIN)
        return setting->size <= bench_raw_one_line.size_max ? &bench_raw_one_line
                                                            : &bench_raw_two_line;
    if (setting->topic == BENCH_TOPIC_RATE && setting->size < BIG_MESSAGE)
        return &bench_raw_ring;
    return NULL;
}

/* ---- in place ------------------------------------------------------------------------------- */

static int loan_produce(const struct bench_run *run, const struct bench_batch *batch)
{
    const struct link *state = run->state;

    return bench_produce_in_place(state->end, batch);
}

static int borrow_consume(const struct bench_run *run, const struct bench_batch *batch)
{
    const struct link *state = run->state;

    return bench_consume_in_place(state->end, batch);
}

static const struct bench_loops in_place_loops = {.consume = borrow_consume,
                                                  .produce = loan_produce};

const struct bench_system bench_yoke_link = {
    .name = "yoke-link",
    .own = true,
    .quick = true,
    .cases = 1 << BENCH_LATENCY | 1 << BENCH_RATE,
    .modes = 1 << BENCH_SPIN | 1 << BENCH_BLOCK,
    .size_min = BENCH_SIZE_MIN,
    .size_max = YOKE_MESSAGE_MAX,
    .setup = yoke_link_setup,
    .join = yoke_link_join,
    .teardown = yoke_link_teardown,
    .send = yoke_link_send,
    .recv = yoke_link_recv,
    .limit_for = limit_for,
};

const struct bench_system bench_yoke_link_loan = {
    .name = "yoke-link-loan",
    .own = true,
    .quick = true,
    .in_place = true,
    .cases = 1 << BENCH_RATE,
    .modes = 1 << BENCH_SPIN | 1 << BENCH_BLOCK,
    .size_min = BENCH_SIZE_MIN,
    .size_max = YOKE_MESSAGE_MAX,
    .setup = yoke_link_setup,
    .join = yoke_link_join,
    .teardown = yoke_link_teardown,
    .loops = &in_place_loops,
    .limit_for = limit_for,
};
