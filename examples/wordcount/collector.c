/*
 * collector.c - the collector: takes the counts of each line from the port `counts` and adds them
 * up.
 *
 * A line counts once, however often its counts come: a bit for each sequence number says which
 * lines were counted already. The collector ends when every line is counted and, in a job with
 * drama, everything that the victim held has come a second time; then it writes the table for the
 * director.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "wordcount.h"

#define LOOK_UP_NS (100 * INT64_C(1000000)) /* see worker.c */

struct collector {
    const struct job *job;
    struct board *board;
    yoke_region *region;
    yoke_endpoint *counts;
    struct yoke_message *batch;
    struct table table;
    uint64_t *seen;    /* a bit for each sequence number */
    size_t seen_words; /* so many words of 64 bits */
    uint64_t lines, words, redelivered, ignored;
};

/* Marks a line as counted. 1: it was not; 0: it was already; negative: no memory. */
static int mark_counted(struct collector *collector, uint64_t sequence)
{
    size_t index = (size_t)(sequence / 64);
    uint64_t bit = UINT64_C(1) << sequence % 64;

    if (index >= collector->seen_words) {
        size_t words = 2 * index + 1024;
        uint64_t *grown = realloc(collector->seen, words * sizeof *grown);

        if (!grown)
            return -ENOMEM;
        memset(grown + collector->seen_words, 0, (words - collector->seen_words) * sizeof *grown);
        collector->seen = grown;
        collector->seen_words = words;
    }
    if (collector->seen[index] & bit)
        return 0;
    collector->seen[index] |= bit;
    return 1;
}

/* Reads a number that put_number() wrote. NULL when the message ends before it does. */
static const unsigned char *get_number(const unsigned char *from, const unsigned char *end,
                                       uint64_t *ret_number)
{
    uint64_t number = 0;

    for (unsigned shift = 0; from && from < end && shift < 64; shift += 7) {
        number |= (uint64_t)(*from & 127) << shift;
        if (*from++ < 128) {
            *ret_number = number;
            return from;
        }
    }
    return NULL;
}

static int add_words(struct collector *collector, const unsigned char *from,
                     const unsigned char *end, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint64_t times = 0, length = 0;

        from = get_number(from, end, &times);
        from = get_number(from, end, &length);
        if (!from || length > (uint64_t)(end - from))
            return -EPROTO;
        if (table_add(&collector->table, (const char *)from, (size_t)length, times) < 0)
            return -ENOMEM;
        collector->words += times;
        from += length;
    }
    return 0;
}

static int add_counts(struct collector *collector, const struct yoke_message *message)
{
    const unsigned char *bytes = message->data;
    struct counts_header header;
    int fresh;

    if (message->size < sizeof header)
        return -EPROTO;
    memcpy(&header, bytes, sizeof header);
    if (header.deliveries > 1)
        collector->redelivered++;
    fresh = mark_counted(collector, header.sequence);
    if (fresh < 0)
        return fresh;
    if (fresh == 0) {
        collector->ignored++;
        return 0;
    }
    collector->lines++;
    return add_words(collector, bytes + sizeof header, bytes + message->size, header.words);
}

static bool all_done(const struct collector *collector)
{
    return collector->lines >= collector->job->total &&
           collector->redelivered >= atomic_load(&collector->board->victim_holds);
}

static int collect(struct collector *collector)
{
    while (!all_done(collector) && !job_over) {
        ssize_t count = yoke_borrow_many(collector->counts, collector->batch, collector->job->batch,
                                         LOOK_UP_NS);

        if (count == -EINTR || count == -ETIMEDOUT)
            continue;
        if (count < 0)
            return fail("collector", "yoke_borrow_many", count);
        for (ssize_t i = 0; i < count; i++) {
            int result = add_counts(collector, &collector->batch[i]);

            if (result < 0)
                return fail("collector", "a message", result);
            yoke_release(collector->counts, collector->batch[i].data);
        }
        atomic_store(&collector->board->counted, collector->lines);
    }
    return job_over ? 1 : 0;
}

static int publish(struct collector *collector)
{
    struct board *board = collector->board;

    board->ended_ns = now_ns();
    board->words = collector->words;
    board->distinct = collector->table.used;
    board->redelivered = collector->redelivered;
    board->ignored = collector->ignored;
    yoke_event_notify(collector->region, &board->news);
    if (collector->job->table && table_write(&collector->table, collector->job->table) < 0)
        return fail("collector", "writing the table", -errno);
    return 0;
}

int collector_main(const struct job *job)
{
    struct collector collector = {.job = job};
    int status = 1;

    collector.board = board_open(job, &collector.region);
    collector.counts = port_open(job->counts);
    collector.batch = calloc(job->batch, sizeof *collector.batch);
    if (collector.board && collector.counts && collector.batch)
        status = collect(&collector);
    if (status == 0)
        status = publish(&collector);
    table_free(&collector.table);
    free(collector.seen);
    free(collector.batch);
    yoke_close(collector.counts);
    yoke_region_close(collector.region);
    return status;
}
