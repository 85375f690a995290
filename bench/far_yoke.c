/*
 * far_yoke.c - yoke's ports in a place on other machines, as a program uses them: one port each way.
 */
#include "far.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <yoke.h>

struct ports {
    yoke_endpoint *port[2]; /* out, in */
    char address[2][512];   /* to side 0, to side 1 */
    struct yoke_message messages[BENCH_FAR_BURST];
    unsigned char *buffer;
};

static int failed(struct bench_far *far)
{
    return bench_far_fail(far, "%s", yoke_explain());
}

static void yoke_close_it(struct bench_far *far)
{
    struct ports *state = far->state;

    for (int i = 0; i < 2; i++) {
        yoke_close(state->port[i]);
        if (far->side == 0)
            (void)yoke_remove(
                state->address[i]); /* if there is one; who asks for an end waits for no reason */
    }
    free(state->buffer);
    free(state);
}

static int yoke_open_it(struct bench_far *far)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;
    struct ports *state = calloc(1, sizeof *state);
    int error = 0;

    if (state)
        state->buffer = malloc(BENCH_FAR_BURST * far->size);
    if (!state || !state->buffer) {
        free(state);
        return bench_far_fail(far, "no memory");
    }
    far->state = state;
    options.max_message = far->size;
    options.depth = BENCH_FAR_DEPTH;
    for (int to = 0; to < 2; to++)
        snprintf(state->address[to], sizeof state->address[to], "port:%s-%d@%s", far->name, to,
                 far->place);
    for (int to = 0; to < 2 && error == 0; to++)
        error = yoke_open(&state->port[to == far->side], state->address[to],
                          far->side == 0 ? YOKE_CREATE | YOKE_EXCLUSIVE | YOKE_KEPT : 0, &options);
    if (error == 0)
        return 0;
    failed(far);
    yoke_close_it(far);
    return BENCH_FAR_FAIL;
}

static int send_one(struct bench_far *far, struct ports *state)
{
    ssize_t sent = yoke_send(state->port[0], bench_far_message(far, 0), far->size, YOKE_FOREVER);

    return sent < 0 ? failed(far) : 0;
}

static int yoke_send_some(struct bench_far *far, size_t count)
{
    struct ports *state = far->state;

    if (count == 1)
        return send_one(far, state);
    for (size_t i = 0; i < count; i++)
        state->messages[i] =
            (struct yoke_message){.data = bench_far_message(far, i), .size = far->size};
    for (size_t done = 0; done < count;) {
        ssize_t sent =
            yoke_send_many(state->port[0], state->messages + done, count - done, YOKE_FOREVER);
        if (sent < 0)
            return failed(far);
        done += (size_t)sent;
    }
    return 0;
}

static ssize_t yoke_recv_some(struct bench_far *far, size_t most)
{
    struct ports *state = far->state;

    for (size_t i = 0; i < most; i++)
        state->messages[i] =
            (struct yoke_message){.data = state->buffer + i * far->size, .capacity = far->size};
    ssize_t got =
        yoke_recv_many(state->port[1], state->messages, most, BENCH_FAR_WAIT_MS * INT64_C(1000000));
    if (got == -ETIMEDOUT)
        return bench_far_fail(far, "no message came in %d s", BENCH_FAR_WAIT_MS / 1000);
    if (got < 0)
        return failed(far);
    for (ssize_t i = 0; i < got; i++)
        if (bench_far_check(far, state->messages[i].data, state->messages[i].size) < 0)
            return BENCH_FAR_FAIL;
    return got;
}

const struct bench_far_hands bench_far_yoke = {
    .open = yoke_open_it,
    .close = yoke_close_it,
    .send = yoke_send_some,
    .recv = yoke_recv_some,
};
