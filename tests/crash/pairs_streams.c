/*
 * pairs_streams.c - the calls that may meet on a stream, in memory and in the kernel. See pairs.h.
 *
 * Who stands inside a stream keeps its side for itself, as it would keep a lock (yoke.h): another
 * one of that side is told -EAGAIN, or waits.
 */
#include <errno.h>

#include "pairs.h"
#include "yoke.h"

#define OUT   0
#define IN    1
#define WAITS .timeout_ns = LONG_NS

static bool in_kernel(void)
{
    return run.scene->world == &kernel_stream_world;
}

static void opens(struct side *side, uint32_t handle)
{
    struct order order = {.verb = DO_STREAM_OPEN,
                          .name = in_kernel() ? "x@kernel" : "x",
                          .handle = handle,
                          .flags = (in_kernel() ? YOKE_CREATE : 0) |
                                   (handle == OUT ? YOKE_WRITE : YOKE_READ)};
    side_does(0, side, order);
}

static void opens_out(struct side *side)
{
    opens(side, OUT);
}

static void opens_in(struct side *side)
{
    opens(side, IN);
}

static void has_record(struct side *side)
{
    opens_in(side);
    supply();
}

static void is_full(struct side *side)
{
    opens_out(side);
    for (int i = 0; i < DEPTH; i++)
        supply();
}

static void record_comes(struct side *side)
{
    (void)side;
    supply();
}

static const struct part stream_parts[] = {
    {"open to write",
     NULL,
     {.verb = DO_STREAM_OPEN, .handle = OUT, .flags = YOKE_WRITE},
     .gives = {0}},
    {"open to read",
     NULL,
     {.verb = DO_STREAM_OPEN, .handle = IN, .flags = YOKE_READ},
     .gives = {0}},
    {"close the writing end", opens_out, {.verb = DO_CLOSE, .handle = OUT}, .gives = {0}},
    {"close the reading end", opens_in, {.verb = DO_CLOSE, .handle = IN}, .gives = {0}},
    {"write", opens_out, {.verb = DO_WRITE, .handle = OUT}, .gives = {1, -EAGAIN}, .holds = INSIDE},
    {"write, waiting",
     is_full,
     {.verb = DO_WRITE, .handle = OUT, WAITS},
     .gives = {1},
     .wakes = make_room,
     .holds = INSIDE,
     .wants = INSIDE},
    {"read", has_record, {.verb = DO_READ, .handle = IN}, .gives = {1, -EAGAIN}, .holds = INSIDE},
    {"read, waiting",
     opens_in,
     {.verb = DO_READ, .handle = IN, WAITS},
     .gives = {1},
     .wakes = record_comes,
     .holds = INSIDE,
     .wants = INSIDE},
    {"move in",
     opens_out,
     {.verb = DO_MOVE_IN, .handle = OUT},
     .gives = {1, -EAGAIN},
     .holds = INSIDE},
    {"move out",
     has_record,
     {.verb = DO_MOVE_OUT, .handle = IN},
     .gives = {1, -EAGAIN},
     .holds = INSIDE},
    {"ask for the other end", opens_in, {.verb = DO_STREAM_END, .handle = IN}, .gives = {0}},
    {"fd", opens_in, {.verb = DO_FD, .handle = IN}, .gives = {0}},
    {"cancel", opens_in, {.verb = DO_CANCEL, .handle = IN}, .gives = {0}},
};

const struct meeting stream_meeting = {
    .name = "stream",
    .world = &stream_world,
    .plan = {.depth = DEPTH, .priorities = 1, .participants = PLACES, .max_message = 32},
    .parts = stream_parts,
    .count = sizeof stream_parts / sizeof stream_parts[0],
};

/* ---- in the kernel ---- */

#define KERNEL(handle_, end)                                             \
    {                                                                    \
        .verb = DO_STREAM_OPEN, .name = "x@kernel", .handle = (handle_), \
        .flags = YOKE_CREATE | (end)                                     \
    }

static const struct part kernel_stream_parts[] = {
    {"open to write", NULL, KERNEL(OUT, YOKE_WRITE), .gives = {0}},
    {"open to read", NULL, KERNEL(IN, YOKE_READ), .gives = {0}},
    {"close the writing end", opens_out, {.verb = DO_CLOSE, .handle = OUT}, .gives = {0}},
    {"close the reading end", opens_in, {.verb = DO_CLOSE, .handle = IN}, .gives = {0}},
    {"write", opens_out, {.verb = DO_WRITE, .handle = OUT}, .gives = {1, -EAGAIN}},
    {"write, waiting",
     is_full,
     {.verb = DO_WRITE, .handle = OUT, WAITS},
     .gives = {1},
     .wakes = make_room},
    {"read", has_record, {.verb = DO_READ, .handle = IN}, .gives = {1, -EAGAIN}},
    {"read, waiting",
     opens_in,
     {.verb = DO_READ, .handle = IN, WAITS},
     .gives = {1},
     .wakes = record_comes},
    {"move in", opens_out, {.verb = DO_MOVE_IN, .handle = OUT}, .gives = {1, -EAGAIN}},
    {"move out", has_record, {.verb = DO_MOVE_OUT, .handle = IN}, .gives = {1, -EAGAIN}},
    {"ask for the other end", opens_in, {.verb = DO_STREAM_END, .handle = IN}, .gives = {0}},
    {"fd", opens_in, {.verb = DO_FD, .handle = IN}, .gives = {0}},
    {"cancel", opens_in, {.verb = DO_CANCEL, .handle = IN}, .gives = {0}},
};

const struct meeting kernel_stream_meeting = {
    .name = "kernel stream",
    .world = &kernel_stream_world,
    .plan = {.depth = DEPTH, .priorities = 1, .max_message = 32},
    .parts = kernel_stream_parts,
    .count = sizeof kernel_stream_parts / sizeof kernel_stream_parts[0],
};
