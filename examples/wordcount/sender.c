/*
 * sender.c - the sender: puts the text on the port `lines`, one message a line.
 *
 * Lines are sent many at once, which costs less than as many single calls. When the port is full,
 * because the workers are slower, the call waits. In a job with drama the sender makes one pause, a
 * little after half-way: until the director has killed one worker and stopped another. So the
 * second half of the text is certain to be counted after the one and during the other, however
 * quick the machine is.
 */
#include <errno.h>
#include <stdlib.h>

#include "wordcount.h"

struct sender {
    const struct job *job;
    struct board *board;
    yoke_region *region;
    yoke_endpoint *lines;
    struct yoke_message *batch;
    uint32_t filled;
    uint64_t sent; /* the batch included */
};

/* Sends what the batch holds. The pieces of text in it stay where they are until this returns. */
static int flush(struct sender *sender)
{
    uint32_t done = 0;

    /* Before they are sent, so that no worker can see a line that the board does not know of. */
    atomic_store(&sender->board->sent, sender->sent);
    while (done < sender->filled) {
        ssize_t n = yoke_send_many(sender->lines, sender->batch + done, sender->filled - done,
                                   YOKE_FOREVER);

        if (n < 0 && (n != -EINTR || job_over))
            return fail("sender", "yoke_send_many", n);
        if (n > 0)
            done += (uint32_t)n;
    }
    sender->filled = 0;
    return 0;
}

static int wait_at_gate(struct sender *sender)
{
    uint64_t seen = 0;
    int result;

    if (flush(sender) != 0)
        return 1;
    do
        result = yoke_event_wait(sender->region, &sender->board->gate, &seen, YOKE_FOREVER);
    while (result == -EINTR && !job_over);
    return result < 0 ? fail("sender", "yoke_event_wait", result) : 0;
}

static int send_line(struct sender *sender, const char *line, size_t size)
{
    const struct job *job = sender->job;

    if (job->drama && sender->sent == job_gate(job) && wait_at_gate(sender) != 0)
        return 1;
    sender->batch[sender->filled++] = (struct yoke_message){.data = (void *)line, .size = size};
    sender->sent++;
    return sender->filled == job->batch ? flush(sender) : 0;
}

/* Sends all lines that the reader's buffer holds whole. */
static int send_buffer(struct sender *sender, struct reader *reader)
{
    const char *line;
    size_t size;

    while (sender->sent < sender->job->total && reader_take(reader, &line, &size))
        if (send_line(sender, line, size) != 0)
            return 1;
    return flush(sender); /* reader_fill() moves what the batch points to */
}

static int send_text(struct sender *sender)
{
    struct reader reader;
    bool good = reader_open(&reader, sender->job->text) == 0;

    while (good && !job_over && sender->sent < sender->job->total) {
        int more = reader_fill(&reader);

        if (more == 0)
            fputs("wordcount: sender: the files have become shorter meanwhile\n", stderr);
        good = more > 0 && send_buffer(sender, &reader) == 0;
    }
    reader_close(&reader);
    return good && sender->sent == sender->job->total ? 0 : 1;
}

int sender_main(const struct job *job)
{
    struct sender sender = {.job = job};
    int status = 1;

    sender.board = board_open(job, &sender.region);
    sender.lines = port_open(job->lines);
    sender.batch = calloc(job->batch, sizeof *sender.batch);
    if (sender.board && sender.lines && sender.batch)
        status = send_text(&sender);
    free(sender.batch);
    yoke_close(sender.lines);
    yoke_region_close(sender.region);
    return status;
}
