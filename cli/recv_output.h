/*
 * recv_output.h - writing received messages to standard output or to files, so that afterwards it
 * is known which of them are wholly written.
 */
#ifndef YK_RECV_OUTPUT_H
#define YK_RECV_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <yoke.h>

/* Messages that are written in one go. */
#define YK_RECV_BATCH 64

struct yk_recv_output {
    char terminator;  /* follows each message on standard output */
    bool json;        /* one JSON object a line instead of the bytes */
    bool details;     /* sequence, priority and so on stand before the bytes */
    const char *file; /* not NULL: each message's bytes go to this file instead, and nothing else */
    bool numbered;    /* several messages: FILE.1, FILE.2, ... */
    uint64_t written; /* messages */
};

/*
 * Whether the next message could be written, as far as can be told without writing: is there
 * somebody to read, may the file be written? A message should not be taken for nothing. 0, or a
 * negative errno after a complaint.
 */
int yk_recv_output_check(const struct yk_recv_output *output);

/*
 * Writes `count` messages (YK_RECV_BATCH at most). Returns how many of them were written to their
 * last byte and stores 0, -EINTR for a signal that stops the command, or a negative errno after a
 * complaint.
 */
size_t yk_recv_output_write(struct yk_recv_output *output, const struct yoke_message *messages,
                            size_t count, int *ret_error);

#endif
