/* role_stream.c - who writes numbered words into a stream, and who reads them. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "worker.h"

#define WORDS_MOST 12000 /* of a write that may be mixed with others: some 96 KiB */

/* The lives in which the seats of a role have this stream open: the same before and after a call means all the time. */
#define LOOKED_MOST 8
struct ends {
    uint32_t lives[LOOKED_MOST];
};

static void look_at_ends(enum role role, struct ends *ret)
{
    uint32_t found = 0;
    for (uint32_t i = 1; i < shared->seats && found < LOOKED_MOST; i++) {
        const struct seat *seat = &shared->seat[i];
        if (seat->role != role || seat->object != me.seat->object)
            continue;
        uint32_t life = atomic_load(&seat->end_life);
        ret->lives[found++] = is_living(i, life) ? life : 0;
    }
    for (; found < LOOKED_MOST; found++)
        ret->lives[found] = 0;
}

static bool somebody_stayed(enum role role, const struct ends *before)
{
    struct ends after;
    look_at_ends(role, &after);
    for (uint32_t i = 0; i < LOOKED_MOST; i++)
        if (before->lives[i] && before->lives[i] == after.lives[i])
            return true;
    return false;
}

static void write_some(yoke_endpoint *stream, const struct object *object)
{
    static uint64_t words[WORDS_MOST];
    struct lane *lane = &me.seat->lane;
    struct ends readers;
    bool whole = !once_in(50);
    uint32_t count = 1 + pick(whole ? (once_in(10) ? WHOLE_MOST / WORD_BYTES : 40) : WORDS_MOST);
    uint32_t first = lane_try(lane, count);
    if (first == UINT32_MAX) {
        rest(MS);
        return;
    }
    for (uint32_t i = 0; i < count; i++)
        words[i] = word_make(me.number, first + i, whole, i + 1 == count);
    look_at_ends(STREAM_READER, &readers);
    int64_t result = DOING(WRITING, yoke_write(stream, words, count * WORD_BYTES, some_timeout()));
    atomic_store(&me.seat->end_life, me.life); /* a forked child has it open since its first call */
    bool false_end = result == -EPIPE && somebody_stayed(STREAM_READER, &readers);
    uint32_t done = result < 0 ? 0 : (uint32_t)result / WORD_BYTES;
    lane_tried(lane, first, count, done);
    atomic_fetch_add_explicit(&me.seat->sent, done, memory_order_relaxed);
    if (false_end)
        fault("%s: a reader is there, and writing said -EPIPE", flows[object->flow].name);
    if (result >= 0 && (result % WORD_BYTES != 0 || (whole && done != count)))
        fault("%s: %lld of %u bytes were written", flows[object->flow].name, (long long)result,
              count * WORD_BYTES);
    is_answer(result, "yoke_write", EAGAIN, ETIMEDOUT, EPIPE, 0);
    if (result == -EPIPE)
        rest(MS / 5);
}

void play_stream_writer(void)
{
    const struct object *object = &objects[me.seat->object];
    yoke_endpoint *stream = open_endpoint(object->address, YOKE_WRITE, NULL);
    if (stream)
        atomic_store(&me.seat->end_life, me.life);
    atomic_store(&me.seat->attached, me.life);
    while (stream && goes_on() && may_send()) {
        write_some(stream, object);
        if (once_in(1000))
            forks();
    }
    if (closes())
        DOING(CLOSING, yoke_close(stream));
}

/* True: the end. */
static bool read_some(struct receiver *receiver, yoke_endpoint *stream, const struct object *object,
                      int64_t timeout_ns, uint64_t *follows)
{
    size_t most = me.seat->buffer_each / WORD_BYTES,
           count = 1 + pick(once_in(4) ? (uint32_t)most : 64);
    struct ends writers;
    memset(me.seat->buffer, 0, count * WORD_BYTES);
    look_at_ends(STREAM_WRITER, &writers);
    atomic_store(&me.seat->open, (uint32_t)(count * WORD_BYTES));
    int64_t result = DOING(timeout_ns ? AWAITING : RECEIVING_NOW,
                           yoke_read(stream, me.seat->buffer, count * WORD_BYTES, timeout_ns));
    if (result > 0 && result % WORD_BYTES == 0)
        note_words(receiver, (const uint64_t *)(const void *)me.seat->buffer,
                   (size_t)result / WORD_BYTES, object->readers == 1, follows);
    atomic_store(&me.seat->open, 0);
    if (result > 0 && result % WORD_BYTES != 0)
        fault("%s: %lld bytes were read of words of %d", flows[object->flow].name,
              (long long)result, WORD_BYTES);
    if (result == 0 && somebody_stayed(STREAM_WRITER, &writers))
        fault("%s: a writer is there, and reading said that it is the end",
              flows[object->flow].name);
    is_answer(result, "yoke_read", EAGAIN, ETIMEDOUT, 0);
    return result == 0;
}

void play_stream_reader(void)
{
    const struct object *object = &objects[me.seat->object];
    uint64_t last_of[SEATS_MAX] = {0}, follows = 0;
    struct receiver receiver = receiver_new(object->flow);
    yoke_endpoint *stream = open_endpoint(object->address, YOKE_READ, NULL);
    bool by_descriptor = once_in(2), over = false;
    receiver.last_of = last_of;
    if (stream)
        atomic_store(&me.seat->end_life, me.life);
    atomic_store(&me.seat->attached, me.life);
    while (stream && !over && goes_on()) {
        if (by_descriptor) {
            int fd = yoke_fd(stream);
            if (is_answer(fd, "yoke_fd", 0))
                DOING(AWAITING, poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, -1));
        }
        uint32_t phase = atomic_load(&shared->phase);
        bool end = read_some(&receiver, stream, object, by_descriptor ? YOKE_NOW : some_timeout(),
                             &follows);
        over = end && phase == FINISH; /* nobody comes any more */
        if (end)
            rest(MS / 5);
    }
    if (closes())
        DOING(CLOSING, yoke_close(stream));
}
