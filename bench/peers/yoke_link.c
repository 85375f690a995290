/*
 * yoke_link.c - yoke's links, as a program uses them: yoke_pair(), then yoke_send() and yoke_recv();
 * and in place: yoke_loan(), yoke_commit(), yoke_borrow(), yoke_release().
 *
 * The parent makes the pair; each worker opens its end by the descriptor that it inherits. There is
 * no name, so nothing can be left behind. A link between named peers moves messages in the same way;
 * opening is measured on such links: the parent is two peers and made a link to a third one as each
 * of them; side 0 is the third, has one of the links open and opens the other.
 * Blocking means no spinning at all (spin_ns 0), spinning means no sleep within any time that a
 * sample takes, polling that the receiver sleeps in poll(): on the link's own descriptor, or on that
 * of a wait set in which the link is (yoke-set).
 */
#include "../limit.h"
#include "../loops.h"
#include "in_place.h"
#include "peers.h"
#include "polled.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <yoke.h>

#define SPIN_NS (3600 * INT64_C(1000000000))
/* From here on a message's cost is that of its copies. */
#define BIG_MESSAGE 4096u

#define OTHERS 2

struct link {
    struct yoke_options options;
    int ends[2];        /* of side 0 and of side 1 */
    yoke_endpoint *end; /* a worker's */
    yoke_set *set;      /* yoke-set: in which it is */
    bool polls;
    /* BENCH_OPEN: the peer that side 0 is, its addresses for the two others, the parent's ends */
    char peer[64], address[OTHERS][64];
    yoke_endpoint *made[OTHERS];
};

static void yoke_link_teardown(struct bench_run *run)
{
    struct link *state = run->state;
    yoke_peer *peer;

    for (int end = 0; end < 2; end++)
        if (state->ends[end] >= 0)
            close(state->ends[end]);
    for (int other = 0; other < OTHERS; other++)
        yoke_close(state->made[other]);
    /* A killed worker leaves its peer's name; whoever has joined takes it away. */
    if (state->peer[0] && yoke_peer_join(&peer, state->peer, NULL) == 0)
        yoke_peer_leave(peer);
    free(state);
}

static int make_named(struct link *state)
{
    static unsigned serial;
    struct yoke_options options = state->options;
    char mine[80];
    int error = 0;

    snprintf(state->peer, sizeof state->peer, "bench-%ld-%u", (long)getpid(), serial++);
    snprintf(mine, sizeof mine, "link:%s", state->peer);
    for (int other = 0; other < OTHERS && error >= 0; other++) {
        snprintf(state->address[other], sizeof state->address[0], "link:bench-%ld-%u",
                 (long)getpid(), serial++);
        options.as = state->address[other] + strlen("link:");
        error = yoke_open(&state->made[other], mine, YOKE_CREATE, &options);
    }
    state->options.as = state->peer;
    return error;
}

static int yoke_link_setup(struct bench_run *run)
{
    static const struct yoke_options defaults = YOKE_OPTIONS_INIT;
    struct link *state = calloc(1, sizeof *state);
    int error;

    if (!state)
        return -ENOMEM;
    run->state = state;
    state->ends[0] = state->ends[1] = -1;
    state->polls = run->setting.mode == BENCH_POLL;
    state->options = defaults;
    state->options.max_message = run->setting.size;
    state->options.depth = run->setting.depth;
    state->options.spin_ns = run->setting.mode == BENCH_SPIN ? SPIN_NS : 0;
    error = run->setting.what == BENCH_OPEN ? make_named(state)
                                            : yoke_pair(state->ends, &state->options);
    if (error < 0) {
        snprintf(run->reason, sizeof run->reason, "%s", yoke_explain());
        yoke_link_teardown(run);
        return error;
    }
    return 0;
}

static int yoke_link_join(struct bench_run *run)
{
    struct link *state = run->state;
    int error;

    if (run->setting.what != BENCH_OPEN)
        error = yoke_open_descriptor(&state->end, state->ends[run->side], &state->options);
    else
        error = run->side == 0 ? yoke_open(&state->end, state->address[0], 0, &state->options) : 0;
    if (error >= 0 && run->system == &bench_yoke_set)
        error = yoke_set_create(&state->set);
    if (error >= 0 && state->set)
        error = yoke_set_add(state->set, state->end, NULL);
    if (error < 0)
        snprintf(run->reason, sizeof run->reason, "%s", yoke_explain());
    return error < 0 ? error : 0;
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
    ssize_t got = state->polls ? bench_recv_polled(state->end, state->set, buffer, size)
                               : yoke_recv(state->end, buffer, size, YOKE_FOREVER);

    (void)channel;
    if (got < 0)
        return (int)got;
    return (size_t)got == size ? 0 : -EBADMSG;
}

static int yoke_link_reopen(void *data, uint64_t *ret_opened)
{
    const struct link *state = data;
    yoke_endpoint *link;
    int error = yoke_open(&link, state->address[1], 0, &state->options);

    *ret_opened = bench_now();
    return error < 0 ? error : yoke_close(link);
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
    .cases = 1 << BENCH_LATENCY | 1 << BENCH_RATE | 1 << BENCH_OPEN,
    .modes = 1 << BENCH_SPIN | 1 << BENCH_BLOCK | 1 << BENCH_POLL,
    .size_min = BENCH_SIZE_MIN,
    .size_max = YOKE_MESSAGE_MAX,
    .setup = yoke_link_setup,
    .join = yoke_link_join,
    .teardown = yoke_link_teardown,
    .send = yoke_link_send,
    .recv = yoke_link_recv,
    .reopen = yoke_link_reopen,
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

const struct bench_system bench_yoke_set = {
    .name = "yoke-set",
    .own = true,
    .quick = true,
    .topics = 1 << BENCH_TOPIC_WAKE,
    .cases = 1 << BENCH_LATENCY,
    .modes = 1 << BENCH_POLL,
    .size_min = BENCH_SIZE_MIN,
    .size_max = YOKE_MESSAGE_MAX,
    .setup = yoke_link_setup,
    .join = yoke_link_join,
    .teardown = yoke_link_teardown,
    .send = yoke_link_send,
    .recv = yoke_link_recv,
};
