/*
 * worker.c - a worker: takes lines from the port `lines`, counts their words, and sends each line's
 * counts to the port `counts`. There are several, and the port gives each line to one of them.
 *
 * A line is borrowed: read where it lies in shared memory, and released only after its counts are
 * sent. So a worker may die at any moment: what it had not released is delivered again to another
 * one. That other one may then send counts that the dead one had sent already; the collector knows
 * them by the line's sequence number. The counts are written in place, too: into a block on loan,
 * which is then committed.
 *
 * In a job with drama the first worker that holds lines of the second half becomes the victim: it
 * sends the counts of half of what it holds, releases nothing, tells the director, and waits to be
 * killed.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "wordcount.h"

/* A signal may come just before a call goes to sleep: then the call ends after this long, not at
 * once. */
#define LOOK_UP_NS (100 * INT64_C(1000000))

struct worker {
    const struct job *job;
    struct board *board;
    yoke_region *region;
    yoke_endpoint *lines;
    yoke_endpoint *counts;
    struct yoke_message *held; /* the lines borrowed */
    struct yoke_message *out;  /* the counts to send */
    struct table table;        /* of one line */
    char *lower;               /* the line in lower case */
};

static int count_words(struct worker *worker, const unsigned char *line, size_t size)
{
    char *lower = worker->lower;
    size_t start = 0, at = 0;

    table_clear(&worker->table);
    for (at = 0; at < size; at++) {
        unsigned char byte = line[at];

        if (is_word_byte(byte)) {
            lower[at] = (char)(byte | 32); /* makes a letter small, and leaves a digit as it is */
            continue;
        }
        if (at > start && table_add(&worker->table, lower + start, at - start, 1) < 0)
            return -1;
        start = at + 1;
    }
    return at > start ? table_add(&worker->table, lower + start, at - start, 1) : 0;
}

static unsigned char *put_number(unsigned char *to, uint64_t number)
{
    while (number >= 128) {
        *to++ = (unsigned char)(number | 128);
        number >>= 7;
    }
    *to++ = (unsigned char)number;
    return to;
}

/* Writes the counts of one line as the message that wordcount.h describes. Returns its size. */
static size_t write_counts(const struct worker *worker, const struct yoke_message *line,
                           void *block)
{
    const struct table *table = &worker->table;
    struct counts_header header = {line->sequence, line->deliveries, (uint32_t)table->used};
    unsigned char *to = block;

    memcpy(to, &header, sizeof header);
    to += sizeof header;
    for (size_t i = 0; i < table->used; i++) {
        const struct word *word = &table->words[i];

        to = put_number(to, word->count);
        to = put_number(to, word->length);
        memcpy(to, table->bytes + word->offset, word->length);
        to += word->length;
    }
    return (size_t)(to - (unsigned char *)block);
}

/* Takes a block on loan, and writes the line's counts into it. */
static int prepare_counts(struct worker *worker, const struct yoke_message *line,
                          struct yoke_message *ret_out)
{
    void *block;
    int result;

    if (count_words(worker, line->data, line->size) < 0)
        return fail("worker", "counting", -ENOMEM);
    do
        result = yoke_loan(worker->counts, counts_size_max(line->size), &block, YOKE_FOREVER);
    while (result == -EINTR && !job_over);
    if (result < 0)
        return fail("worker", "yoke_loan", result);
    *ret_out = (struct yoke_message){.data = block, .size = write_counts(worker, line, block)};
    return 0;
}

static int send_counts(struct worker *worker, size_t from, size_t to)
{
    size_t done = from;

    for (size_t i = from; i < to; i++)
        if (prepare_counts(worker, &worker->held[i], &worker->out[i]) != 0)
            return 1;
    while (done < to) {
        ssize_t n = yoke_commit_many(worker->counts, worker->out + done, to - done, YOKE_FOREVER);

        if (n < 0 && (n != -EINTR || job_over))
            return fail("worker", "yoke_commit_many", n);
        if (n > 0)
            done += (size_t)n;
    }
    return 0;
}

/* Is this worker, which holds lines now, the one to be killed? Only the first to ask is. */
static bool becomes_victim(struct worker *worker)
{
    int32_t nobody = 0;

    if (!worker->job->drama || atomic_load(&worker->board->victim) != 0 ||
        atomic_load(&worker->board->sent) < worker->job->total / 2)
        return false;
    return atomic_compare_exchange_strong(&worker->board->victim, &nobody, getpid());
}

/* Waits to be killed, holding `count` lines of which half are counted. Returns only if nobody did
 * it. */
static int play_victim(struct worker *worker, size_t count)
{
    size_t half = (count + 1) / 2;
    struct timespec moment = {0, LOOK_UP_NS};

    atomic_store(&worker->board->victim_sent, half);
    atomic_store(&worker->board->victim_holds, count);
    if (send_counts(worker, 0, half) != 0)
        return 1;
    atomic_store(&worker->board->victim_ready, true);
    yoke_event_notify(worker->region, &worker->board->news);
    while (!job_over)
        nanosleep(&moment, NULL);
    return 1;
}

static int work(struct worker *worker)
{
    while (!job_over) {
        ssize_t count =
            yoke_borrow_many(worker->lines, worker->held, worker->job->batch, LOOK_UP_NS);

        if (count == -EINTR || count == -ETIMEDOUT)
            continue;
        if (count < 0)
            return fail("worker", "yoke_borrow_many", count);
        if (becomes_victim(worker))
            return play_victim(worker, (size_t)count);
        if (send_counts(worker, 0, (size_t)count) != 0)
            return 1;
        for (ssize_t i = 0; i < count; i++)
            yoke_release(worker->lines, worker->held[i].data);
    }
    return 0;
}

int worker_main(const struct job *job)
{
    struct worker worker = {.job = job};
    int status = 1;

    worker.board = board_open(job, &worker.region);
    worker.lines = port_open(job->lines);
    worker.counts = port_open(job->counts);
    worker.held = calloc(job->batch, sizeof *worker.held);
    worker.out = calloc(job->batch, sizeof *worker.out);
    worker.lower = malloc(job->text->piece_max);
    if (worker.board && worker.lines && worker.counts && worker.held && worker.out && worker.lower)
        status = work(&worker);
    table_free(&worker.table);
    free(worker.lower);
    free(worker.out);
    free(worker.held);
    yoke_close(worker.counts);
    yoke_close(worker.lines);
    yoke_region_close(worker.region);
    return status;
}
