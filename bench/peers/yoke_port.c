/*
 * yoke_port.c - yoke's ports, as a program uses them: yoke_send() and yoke_recv() on `port:NAME`,
 * and in place: yoke_loan(), yoke_commit(), yoke_borrow(), yoke_release().
 *
 * The parent makes the ports and keeps them open; each worker opens its own endpoints by name.
 * They are transient, so they are gone with the last of the three, however that ends. Blocking
 * means no spinning at all (spin_ns 0), spinning means no sleep within any time that a sample
 * takes, polling that the receiver sleeps in poll() on the port's descriptor.
 */
#include "../loops.h"
#include "in_place.h"
#include "peers.h"
#include "polled.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <yoke.h>

#define SPIN_NS (3600 * INT64_C(1000000000))
/* The parent, and one that is opened and closed beside a worker's own. */
#define MORE_PARTICIPANTS 2u

struct ports {
    struct yoke_options options;
    char address[BENCH_CHANNELS][64];
    yoke_endpoint *made[BENCH_CHANNELS]; /* the parent's */
    yoke_endpoint *port[BENCH_CHANNELS]; /* a worker's */
    bool polls;
};

static uint32_t one_or_more(uint32_t processes)
{
    return processes ? processes : 1;
}

static struct yoke_options options_for(const struct bench_setting *setting)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;

    options.max_message = setting->size;
    options.depth = setting->depth;
    options.participants =
        one_or_more(setting->senders) + one_or_more(setting->receivers) + MORE_PARTICIPANTS;
    options.spin_ns = setting->mode == BENCH_SPIN ? SPIN_NS : 0;
    return options;
}

static int open_port(struct bench_run *run, yoke_endpoint **ret_port, const char *address,
                     uint32_t flags)
{
    struct ports *state = run->state;
    int error = yoke_open(ret_port, address, flags, &state->options);

    if (error < 0)
        snprintf(run->reason, sizeof run->reason, "%s", yoke_explain());
    return error;
}

static void yoke_port_teardown(struct bench_run *run)
{
    struct ports *state = run->state;

    for (int channel = 0; channel < BENCH_CHANNELS; channel++)
        yoke_close(state->made[channel]);
    free(state);
}

static int yoke_port_setup(struct bench_run *run)
{
    static unsigned serial;
    struct ports *state = calloc(1, sizeof *state);

    if (!state)
        return -ENOMEM;
    run->state = state;
    state->options = options_for(&run->setting);
    state->polls = run->setting.mode == BENCH_POLL;
    for (int channel = 0; channel < BENCH_CHANNELS; channel++) {
        snprintf(state->address[channel], sizeof state->address[channel], "port:bench-%ld-%u",
                 (long)getpid(), serial++);
        int error = open_port(run, &state->made[channel], state->address[channel],
                              YOKE_CREATE | YOKE_EXCLUSIVE);
        if (error < 0) {
            yoke_port_teardown(run);
            return error;
        }
    }
    return 0;
}

static int yoke_port_join(struct bench_run *run)
{
    struct ports *state = run->state;

    for (int channel = 0; channel < BENCH_CHANNELS; channel++) {
        int error = open_port(run, &state->port[channel], state->address[channel], 0);
        if (error < 0)
            return error;
    }
    return 0;
}

static int yoke_port_send(void *data, enum bench_channel channel, const void *message, size_t size)
{
    const struct ports *state = data;

    return (int)yoke_send(state->port[channel], message, size, YOKE_FOREVER);
}

static int yoke_port_recv(void *data, enum bench_channel channel, void *buffer, size_t size)
{
    const struct ports *state = data;
    ssize_t got = state->polls ? bench_recv_polled(state->port[channel], NULL, buffer, size)
                               : yoke_recv(state->port[channel], buffer, size, YOKE_FOREVER);

    if (got < 0)
        return (int)got;
    return (size_t)got == size ? 0 : -EBADMSG;
}

static int yoke_port_reopen(void *data, uint64_t *ret_opened)
{
    const struct ports *state = data;
    yoke_endpoint *port;
    int error = yoke_open(&port, state->address[BENCH_TO_0], 0, &state->options);

    *ret_opened = bench_now();
    return error < 0 ? error : yoke_close(port);
}

/* ---- in place ------------------------------------------------------------------------------- */

static int loan_produce(const struct bench_run *run, const struct bench_batch *batch)
{
    const struct ports *state = run->state;

    return bench_produce_in_place(state->port[BENCH_TO_0], batch);
}

static int borrow_consume(const struct bench_run *run, const struct bench_batch *batch)
{
    const struct ports *state = run->state;

    return bench_consume_in_place(state->port[BENCH_TO_0], batch);
}

static const struct bench_loops in_place_loops = {.consume = borrow_consume,
                                                  .produce = loan_produce};

const struct bench_system bench_yoke_port = {
    .name = "yoke-port",
    .own = true,
    .quick = true,
    .many = true,
    .cases = 1 << BENCH_LATENCY | 1 << BENCH_RATE | 1 << BENCH_OPEN,
    .modes = 1 << BENCH_SPIN | 1 << BENCH_BLOCK | 1 << BENCH_POLL,
    .size_min = BENCH_SIZE_MIN,
    .size_max = YOKE_MESSAGE_MAX,
    .setup = yoke_port_setup,
    .join = yoke_port_join,
    .teardown = yoke_port_teardown,
    .send = yoke_port_send,
    .recv = yoke_port_recv,
    .reopen = yoke_port_reopen,
};

const struct bench_system bench_yoke_port_loan = {
    .name = "yoke-port-loan",
    .own = true,
    .quick = true,
    .in_place = true,
    .cases = 1 << BENCH_RATE,
    .modes = 1 << BENCH_SPIN | 1 << BENCH_BLOCK,
    .size_min = BENCH_SIZE_MIN,
    .size_max = YOKE_MESSAGE_MAX,
    .setup = yoke_port_setup,
    .join = yoke_port_join,
    .teardown = yoke_port_teardown,
    .loops = &in_place_loops,
};
