/*
 * limit.c - the raw limits, written as plainly as possible; limit.h says what each one is.
 *
 * Ping-pong. Each direction has a flag with the number of the message that was sent last, and its
 * payload. The sender copies the payload in, then stores the flag; the receiver waits for the
 * flag, then copies the payload out. Nobody overwrites what is not read yet, because the next
 * message that way comes only after the answer.
 *
 * Ring. Each slot has the number of the message in it, with the payload behind; the receiver
 * publishes how many it has taken, which the sender looks at only when its last look says that
 * the ring is full.
 */
#include "limit.h"

#include "loops.h"

#include <linux/futex.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Two lines: on many processors a line is fetched together with its neighbour. */
#define APART 128u
#define LINE  64u
/* Payloads beyond SMALL go round in so many bytes, which is more than a core's own cache has. */
#define SMALL        4096u
#define PLACES_BYTES (4u << 20)

static size_t round_up(size_t size, size_t unit)
{
    return (size + unit - 1) / unit * unit;
}

/* ---- ping-pong ------------------------------------------------------------------------------ */

struct line {
    _Atomic uint32_t flag;
    char unused[4];
    unsigned char payload[56];
};

struct ping_pong {
    unsigned char *memory; /* shared: for each channel its flag, then its places for a payload */
    size_t channel_size, memory_size, place_size;
    uint32_t place_mask; /* places - 1; messages take them in turn */
    uint32_t sent[BENCH_CHANNELS], received[BENCH_CHANNELS]; /* private to each worker */
    int bell[BENCH_CHANNELS];                                /* mode `poll` */
};

/*
 * How many payloads a channel has room for. A small one is fastest in the same lines again and
 * again. A big one would be written over lines that the other side's cache still holds, each of
 * which must be taken from there first; it is faster into lines that have left that cache
 * meanwhile (measured: 64 KiB in 6.4 us instead of 17.5 us).
 */
static uint32_t places_for(size_t size)
{
    uint32_t places = 1;

    while (size > SMALL && places * 2 * size <= PLACES_BYTES)
        places *= 2;
    return places;
}

static int ping_pong_setup(struct bench_run *run)
{
    struct ping_pong *state = calloc(1, sizeof *state);

    if (!state)
        return -ENOMEM;
    state->place_size = round_up(run->setting.size, APART);
    state->place_mask = places_for(run->setting.size) - 1;
    state->channel_size = APART + (state->place_mask + 1) * state->place_size;
    state->memory_size = state->channel_size * BENCH_CHANNELS;
    state->memory = bench_map_shared(state->memory_size);
    if (!state->memory) {
        free(state);
        return -ENOMEM;
    }
    run->state = state;
    return 0;
}

static void ping_pong_teardown(struct bench_run *run)
{
    struct ping_pong *state = run->state;

    bench_unmap_shared(state->memory, state->memory_size);
    free(state);
}

BENCH_INLINE _Atomic uint32_t *flag_of(struct ping_pong *state, enum bench_channel channel)
{
    return (_Atomic uint32_t *)(state->memory + channel * state->channel_size);
}

BENCH_INLINE unsigned char *payload_of(struct ping_pong *state, enum bench_channel channel,
                                       uint32_t number)
{
    return state->memory + channel * state->channel_size + APART +
           (number & state->place_mask) * state->place_size;
}

BENCH_INLINE int one_line_send(void *data, enum bench_channel channel, const void *message,
                               size_t size)
{
    struct ping_pong *state = data;
    struct line *line = (struct line *)flag_of(state, channel);

    memcpy(line->payload, message, size);
    atomic_store_explicit(&line->flag, ++state->sent[channel], memory_order_release);
    return 0;
}

BENCH_INLINE int one_line_recv(void *data, enum bench_channel channel, void *buffer, size_t size)
{
    struct ping_pong *state = data;
    struct line *line = (struct line *)flag_of(state, channel);
    uint32_t next = ++state->received[channel];

    while (atomic_load_explicit(&line->flag, memory_order_acquire) != next)
        bench_look_again();
    memcpy(buffer, line->payload, size);
    return 0;
}

BENCH_DEFINE_LOOPS(one_line);

BENCH_INLINE int two_line_send(void *data, enum bench_channel channel, const void *message,
                               size_t size)
{
    struct ping_pong *state = data;
    uint32_t number = ++state->sent[channel];

    memcpy(payload_of(state, channel, number), message, size);
    atomic_store_explicit(flag_of(state, channel), number, memory_order_release);
    return 0;
}

BENCH_INLINE int two_line_recv(void *data, enum bench_channel channel, void *buffer, size_t size)
{
    struct ping_pong *state = data;
    _Atomic uint32_t *flag = flag_of(state, channel);
    uint32_t next = ++state->received[channel];

    while (atomic_load_explicit(flag, memory_order_acquire) != next)
        bench_look_again();
    memcpy(buffer, payload_of(state, channel, next), size);
    return 0;
}

BENCH_DEFINE_LOOPS(two_line);

static long futex(_Atomic uint32_t *word, int operation, uint32_t value)
{
    return syscall(SYS_futex, word, operation, value, NULL, NULL, 0);
}

BENCH_INLINE int futex_send(void *data, enum bench_channel channel, const void *message,
                            size_t size)
{
    struct ping_pong *state = data;

    two_line_send(state, channel, message, size);
    futex(flag_of(state, channel), FUTEX_WAKE, 1);
    return 0;
}

BENCH_INLINE int futex_recv(void *data, enum bench_channel channel, void *buffer, size_t size)
{
    struct ping_pong *state = data;
    _Atomic uint32_t *flag = flag_of(state, channel);
    uint32_t next = ++state->received[channel];

    while (atomic_load_explicit(flag, memory_order_acquire) != next)
        futex(flag, FUTEX_WAIT, next - 1);
    memcpy(buffer, payload_of(state, channel, next), size);
    return 0;
}

BENCH_DEFINE_LOOPS(futex);

static void eventfd_teardown(struct bench_run *run)
{
    const struct ping_pong *state = run->state;

    for (int channel = 0; channel < BENCH_CHANNELS; channel++)
        if (state->bell[channel] >= 0)
            close(state->bell[channel]);
    ping_pong_teardown(run);
}

static int eventfd_setup(struct bench_run *run)
{
    int error = ping_pong_setup(run);
    struct ping_pong *state = run->state;

    if (error)
        return error;
    for (int channel = 0; channel < BENCH_CHANNELS; channel++) {
        state->bell[channel] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (state->bell[channel] < 0)
            error = -errno;
    }
    if (error)
        eventfd_teardown(run);
    return error;
}

BENCH_INLINE int eventfd_send(void *data, enum bench_channel channel, const void *message,
                              size_t size)
{
    struct ping_pong *state = data;

    two_line_send(state, channel, message, size);
    return eventfd_write(state->bell[channel], 1) < 0 ? -errno : 0;
}

BENCH_INLINE int eventfd_recv(void *data, enum bench_channel channel, void *buffer, size_t size)
{
    struct ping_pong *state = data;
    _Atomic uint32_t *flag = flag_of(state, channel);
    uint32_t next = ++state->received[channel];

    while (atomic_load_explicit(flag, memory_order_acquire) != next) {
        struct pollfd bell = {state->bell[channel], POLLIN, 0};
        eventfd_t rung;

        if (poll(&bell, 1, -1) > 0)
            (void)eventfd_read(bell.fd, &rung);
    }
    memcpy(buffer, payload_of(state, channel, next), size);
    return 0;
}

BENCH_DEFINE_LOOPS(eventfd);

/* ---- ring ----------------------------------------------------------------------------------- */

struct ring_shared {
    _Alignas(APART) _Atomic uint64_t taken; /* messages that the receiver is done with */
    _Alignas(APART) unsigned char slots[];  /* each: the number of its message, then the payload */
};

struct ring {
    struct ring_shared *shared;
    size_t shared_size, slot_size;
    uint64_t mask; /* slots - 1 */
    /* private to each worker */
    uint64_t sent, received, taken_seen;
};

static int ring_setup(struct bench_run *run)
{
    struct ring *state = calloc(1, sizeof *state);

    if (!state)
        return -ENOMEM;
    state->slot_size = round_up(sizeof(uint64_t) + run->setting.size, LINE);
    state->mask = run->setting.depth - 1;
    state->shared_size = sizeof *state->shared + run->setting.depth * state->slot_size;
    state->shared = bench_map_shared(state->shared_size);
    if (!state->shared) {
        free(state);
        return -ENOMEM;
    }
    run->state = state;
    return 0;
}

static void ring_teardown(struct bench_run *run)
{
    struct ring *state = run->state;

    bench_unmap_shared(state->shared, state->shared_size);
    free(state);
}

BENCH_INLINE int ring_send(void *data, enum bench_channel channel, const void *message, size_t size)
{
    struct ring *state = data;
    uint64_t number = state->sent++;
    unsigned char *slot = state->shared->slots + (number & state->mask) * state->slot_size;

    (void)channel;
    while (number - state->taken_seen > state->mask) {
        state->taken_seen = atomic_load_explicit(&state->shared->taken, memory_order_acquire);
        bench_look_again();
    }
    memcpy(slot + sizeof(uint64_t), message, size);
    atomic_store_explicit((_Atomic uint64_t *)slot, number + 1, memory_order_release);
    return 0;
}

BENCH_INLINE int ring_recv(void *data, enum bench_channel channel, void *buffer, size_t size)
{
    struct ring *state = data;
    uint64_t number = state->received++;
    unsigned char *slot = state->shared->slots + (number & state->mask) * state->slot_size;

    (void)channel;
    while (atomic_load_explicit((_Atomic uint64_t *)slot, memory_order_acquire) != number + 1)
        bench_look_again();
    memcpy(buffer, slot + sizeof(uint64_t), size);
    atomic_store_explicit(&state->shared->taken, number + 1, memory_order_release);
    return 0;
}

BENCH_DEFINE_LOOPS(ring);

/* ---- the list ------------------------------------------------------------------------------- */

const struct bench_system bench_raw_one_line = {
    .name = "raw-one-line",
    .raw = true,
    .cases = 1 << BENCH_LATENCY,
    .modes = 1 << BENCH_SPIN,
    .size_min = BENCH_SIZE_MIN,
    .size_max = sizeof((struct line *)0)->payload,
    .setup = ping_pong_setup,
    .teardown = ping_pong_teardown,
    .loops = &one_line_loops,
};

const struct bench_system bench_raw_two_line = {
    .name = "raw-two-line",
    .raw = true,
    .quick = true,
    .cases = 1 << BENCH_LATENCY,
    .modes = 1 << BENCH_SPIN,
    .size_min = BENCH_SIZE_MIN,
    .size_max = SIZE_MAX,
    .setup = ping_pong_setup,
    .teardown = ping_pong_teardown,
    .loops = &two_line_loops,
};

const struct bench_system bench_raw_futex = {
    .name = "raw-futex",
    .raw = true,
    .quick = true,
    .cases = 1 << BENCH_LATENCY,
    .modes = 1 << BENCH_BLOCK,
    .size_min = BENCH_SIZE_MIN,
    .size_max = SIZE_MAX,
    .setup = ping_pong_setup,
    .teardown = ping_pong_teardown,
    .loops = &futex_loops,
};

const struct bench_system bench_raw_eventfd = {
    .name = "raw-eventfd",
    .raw = true,
    .quick = true,
    .cases = 1 << BENCH_LATENCY,
    .modes = 1 << BENCH_POLL,
    .size_min = BENCH_SIZE_MIN,
    .size_max = SIZE_MAX,
    .setup = eventfd_setup,
    .teardown = eventfd_teardown,
    .loops = &eventfd_loops,
};

const struct bench_system bench_raw_ring = {
    .name = "raw-ring",
    .raw = true,
    .topics = 1 << BENCH_TOPIC_RATE,
    .cases = 1 << BENCH_RATE,
    .modes = 1 << BENCH_SPIN,
    .size_min = BENCH_SIZE_MIN,
    .size_max = 4095,
    .setup = ring_setup,
    .teardown = ring_teardown,
    .loops = &ring_loops,
};

const struct bench_system bench_raw_memcpy = {
    .name = "raw-memcpy",
    .raw = true,
    .quick = true,
    .cases = 1 << BENCH_RATE,
    .modes = 1 << BENCH_SPIN,
    .size_min = 4096,
    .size_max = SIZE_MAX,
    .setup = ring_setup,
    .teardown = ring_teardown,
    .loops = &ring_loops,
};
