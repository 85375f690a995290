/*
 * records.h - lines, or NUL-separated pieces, of a file descriptor, read in big blocks.
 *
 * Taking and reading are apart, so that the caller can pass on what is there before it waits for
 * more:
 *
 *   for (;;) {
 *       while (yk_records_take(...) > 0)
 *           use it;
 *       if (records.ended)
 *           break;
 *       yk_records_read(...);
 *   }
 */
#ifndef YK_RECORDS_H
#define YK_RECORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct yk_records {
    int fd;
    char separator;
    bool ended;      /* the file has */
    size_t limit;    /* bytes that a record may have */
    uint64_t number; /* of the record taken last: the first is 1 */
    char *buffer;    /* owned */
    size_t capacity;
    size_t begin, looked, end; /* not yet taken; how far there is no separator; read */
};

void yk_records_init(struct yk_records *records, int fd, char separator, size_t limit);
void yk_records_fini(struct yk_records *records);

/*
 * Takes the next record without reading: 1, and *ret_data is valid until the next
 * yk_records_read(); 0 if none is whole yet (or the file has ended and all are taken); -EMSGSIZE if
 * it exceeds the limit (records->number is then its number). The last one needs no separator.
 */
int yk_records_take(struct yk_records *records, char **ret_data, size_t *ret_size);

/* Reads what is there, or waits until something is. 0, or a negative errno, -EINTR included. */
int yk_records_read(struct yk_records *records);

#endif
