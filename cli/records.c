/*
 * records.c - lines, or NUL-separated pieces, of a file descriptor, read in big blocks.
 */
#include "records.h"

#include "output.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK ((size_t)256 << 10)

void yk_records_init(struct yk_records *records, int fd, char separator, size_t limit)
{
    *records = (struct yk_records){.fd = fd, .separator = separator, .limit = limit};
    records->capacity = BLOCK;
    records->buffer = yk_grow(NULL, BLOCK);
}

void yk_records_fini(struct yk_records *records)
{
    free(records->buffer);
}

int yk_records_take(struct yk_records *records, char **ret_data, size_t *ret_size)
{
    char *start = records->buffer + records->begin;
    char *separator = memchr(records->buffer + records->looked, records->separator,
                             records->end - records->looked);
    size_t size = separator ? (size_t)(separator - start) : records->end - records->begin;

    records->looked = records->end;
    if (size > records->limit) {
        records->number++;
        return -EMSGSIZE;
    }
    if (!separator && (!records->ended || size == 0))
        return 0;

    records->begin += separator ? size + 1 : size;
    records->looked = records->begin;
    records->number++;
    *ret_data = start;
    *ret_size = size;
    return 1;
}

/* What is not taken yet goes to the front; if that is most of the buffer, it grows. */
static void make_room(struct yk_records *records)
{
    size_t left = records->end - records->begin;

    memmove(records->buffer, records->buffer + records->begin, left);
    records->looked -= records->begin;
    records->begin = 0;
    records->end = left;
    /* A record never gets past the limit here, so neither does the buffer by more than twice. */
    if (left > records->capacity / 2) {
        records->capacity *= 2;
        records->buffer = yk_grow(records->buffer, records->capacity);
    }
}

int yk_records_read(struct yk_records *records)
{
    ssize_t size;

    make_room(records);
    size = read(records->fd, records->buffer + records->end, records->capacity - records->end);
    if (size < 0 && errno == EAGAIN) {
        /* Somebody else made the descriptor non-blocking; it is not ours to change. */
        struct pollfd waiting = {.fd = records->fd, .events = POLLIN};
        return poll(&waiting, 1, -1) < 0 ? -errno : 0;
    }
    if (size < 0)
        return -errno;
    records->ended = size == 0;
    records->end += (size_t)size;
    return 0;
}
