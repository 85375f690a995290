/*
 * recv_output.c - writing received messages to standard output or to files, so that afterwards it
 * is known which of them are wholly written.
 *
 * Nothing is buffered here: what is written has been given to the kernel. The bytes are borrowed,
 * in shared memory, and go from there to write(2); only JSON looks at them, in a copy, since a
 * hostile sender may change what lies in shared memory while it is being looked at.
 */
#include "recv_output.h"

#include "json.h"
#include "output.h"
#include "stop.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define PIECES_PER_MESSAGE 3 /* details, bytes, terminator */
#define DETAILS_TEXT       192

/* ---- a batch as pieces for writev(2) --------------------------------------------------------- */

struct batch {
    struct iovec pieces[PIECES_PER_MESSAGE * YK_RECV_BATCH];
    size_t piece_count;
    size_t
        ends[YK_RECV_BATCH]; /* where each message ends, in bytes from the beginning of the batch */
    size_t size;
    char details[YK_RECV_BATCH][DETAILS_TEXT];
    char *lines[YK_RECV_BATCH]; /* JSON; owned */
};

static void add_piece(struct batch *batch, const void *data, size_t size)
{
    /* writev() only reads, whatever its type says. */
    batch->pieces[batch->piece_count++] = (struct iovec){(void *)(uintptr_t)data, size};
    batch->size += size;
}

static void add_details(struct batch *batch, size_t i, const struct yoke_message *message)
{
    int size = snprintf(batch->details[i], DETAILS_TEXT,
                        "sequence=%" PRIu64 " priority=%" PRIu32 " deliveries=%" PRIu32
                        " tag=%" PRIu64 " sender=%" PRId32 " size=%zu\t",
                        message->sequence, message->priority, message->deliveries, message->tag,
                        message->sender, message->size);

    add_piece(batch, batch->details[i], (size_t)size);
}

static void add_json(struct batch *batch, size_t i, const struct yoke_message *message)
{
    yk_json *object = yk_json_object();
    char *copy = yk_grow(NULL, message->size + 1);
    size_t size;

    if (message->size)
        memcpy(copy, message->data, message->size);
    yk_json_bytes(object, "data", copy, message->size);
    free(copy);
    yk_json_unsigned(object, "size", message->size);
    yk_json_unsigned(object, "sequence", message->sequence);
    yk_json_unsigned(object, "priority", message->priority);
    yk_json_unsigned(object, "deliveries", message->deliveries);
    yk_json_unsigned(object, "tag", message->tag);
    yk_json_signed(object, "sender", message->sender);
    batch->lines[i] = yk_json_line(object, &size);
    add_piece(batch, batch->lines[i], size);
}

static void fill_batch(struct batch *batch, const struct yk_recv_output *output,
                       const struct yoke_message *messages, size_t count)
{
    batch->piece_count = 0;
    batch->size = 0;
    for (size_t i = 0; i < count; i++) {
        if (output->json) {
            add_json(batch, i, &messages[i]);
        } else {
            if (output->details)
                add_details(batch, i, &messages[i]);
            add_piece(batch, messages[i].data, messages[i].size);
            add_piece(batch, &output->terminator, 1);
        }
        batch->ends[i] = batch->size;
    }
}

static void free_lines(struct batch *batch, const struct yk_recv_output *output, size_t count)
{
    for (size_t i = 0; output->json && i < count; i++)
        free(batch->lines[i]);
}

/* ---- writing all of it ----------------------------------------------------------------------- */

/* After a failed write: 0 to try again, else what to give up with. */
static int after_failure(int fd, int error)
{
    struct pollfd waiting = {.fd = fd, .events = POLLOUT};

    if (error == EINTR)
        return yk_stop_signal() ? -EINTR : 0;
    if (error != EAGAIN)
        return -error;
    /* Somebody else made the descriptor non-blocking; it is not ours to change. */
    if (poll(&waiting, 1, -1) < 0 && errno != EINTR)
        return -errno;
    return yk_stop_signal() ? -EINTR : 0;
}

/* Takes `size` written bytes off the front of the pieces; returns the first that is not done. */
static struct iovec *advance(struct iovec *piece, size_t size)
{
    while (size > 0 && size >= piece->iov_len) {
        size -= piece->iov_len;
        piece++;
    }
    if (size > 0) {
        piece->iov_base = (char *)piece->iov_base + size;
        piece->iov_len -= size;
    }
    return piece;
}

/* Writes the pieces; *ret_written counts the bytes that went, also when it fails. */
static int write_pieces(int fd, struct iovec *pieces, size_t count, size_t size,
                        size_t *ret_written)
{
    struct iovec *piece = pieces;

    *ret_written = 0;
    while (*ret_written < size) {
        ssize_t went = writev(fd, piece, (int)(pieces + count - piece));
        if (went < 0) {
            int error = after_failure(fd, errno);
            if (error < 0)
                return error;
            continue;
        }
        *ret_written += (size_t)went;
        piece = advance(piece, (size_t)went);
    }
    return 0;
}

static size_t write_standard_output(struct yk_recv_output *output,
                                    const struct yoke_message *messages, size_t count,
                                    int *ret_error)
{
    static struct batch batch;
    size_t written, whole = 0;

    fill_batch(&batch, output, messages, count);
    *ret_error = write_pieces(STDOUT_FILENO, batch.pieces, batch.piece_count, batch.size, &written);
    if (*ret_error < 0 && *ret_error != -EINTR)
        yk_complain("cannot write to standard output: %s", strerror(-*ret_error));
    while (whole < count && batch.ends[whole] <= written)
        whole++;
    free_lines(&batch, output, count);
    return whole;
}

/* ---- into files ------------------------------------------------------------------------------ */

/* The name of the file for the next message; the caller frees it. */
static char *next_name(const struct yk_recv_output *output)
{
    char *name;
    int length = output->numbered
                     ? asprintf(&name, "%s.%" PRIu64, output->file, output->written + 1)
                     : asprintf(&name, "%s", output->file);

    if (length < 0)
        yk_out_of_memory();
    return name;
}

static int check_name(const char *name)
{
    char *copy;
    int result;

    if (access(name, F_OK) == 0)
        return access(name, W_OK) == 0 ? 0 : -errno;
    copy = strdup(name);
    if (!copy)
        yk_out_of_memory();
    result = access(dirname(copy), W_OK | X_OK) == 0 ? 0 : -errno;
    free(copy);
    return result;
}

static int check_file(const struct yk_recv_output *output)
{
    char *name = next_name(output);
    int result = check_name(name);

    if (result < 0)
        yk_complain("%s: %s", name, strerror(-result));
    free(name);
    return result;
}

/* A pipe whose reader is gone says so before anything is written to it. */
static int check_standard_output(void)
{
    struct pollfd output = {.fd = STDOUT_FILENO};

    if (poll(&output, 1, 0) <= 0 || !(output.revents & (POLLERR | POLLHUP)))
        return 0;
    yk_complain("cannot write to standard output: nobody reads it any more");
    return -EPIPE;
}

int yk_recv_output_check(const struct yk_recv_output *output)
{
    return output->file ? check_file(output) : check_standard_output();
}

static int write_file(const char *name, const struct yoke_message *message)
{
    struct iovec piece = {message->data, message->size};
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666), error;
    size_t written;

    if (fd < 0)
        return errno == EINTR && yk_stop_signal() ? -EINTR : -errno;
    error = write_pieces(fd, &piece, 1, message->size, &written);
    /* Over a network, close() may be the first to tell of a full disk. */
    if (close(fd) < 0 && error == 0 && errno != EINTR)
        error = -errno;
    return error;
}

static size_t write_files(struct yk_recv_output *output, const struct yoke_message *messages,
                          size_t count, int *ret_error)
{
    size_t whole = 0;

    *ret_error = 0;
    while (whole < count) {
        char *name = next_name(output);
        *ret_error = write_file(name, &messages[whole]);
        if (*ret_error < 0 && *ret_error != -EINTR)
            yk_complain("%s: %s", name, strerror(-*ret_error));
        free(name);
        if (*ret_error < 0)
            break;
        whole++;
        output->written++;
    }
    return whole;
}

size_t yk_recv_output_write(struct yk_recv_output *output, const struct yoke_message *messages,
                            size_t count, int *ret_error)
{
    size_t whole;

    if (output->file)
        return write_files(output, messages, count, ret_error);
    whole = write_standard_output(output, messages, count, ret_error);
    output->written += whole;
    return whole;
}
