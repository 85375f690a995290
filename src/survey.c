/*
 * survey.c - see survey.h.
 */
#include "survey.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/sys.h"
#include "memory/names.h"

#define TEXT_FIRST 16384

/*
 * The whole file as a string, which the caller frees; NULL when there is no memory. Such files have
 * no size.
 */
static char *read_text(int fd)
{
    size_t room = TEXT_FIRST, size = 0;
    char *text = yk_sys_reallocate(NULL, room, 1);
    while (text) {
        ssize_t got = yk_sys_read_all(fd, text + size, room - size, (off_t)size);
        size += got > 0 ? (size_t)got : 0;
        if (size < room) {
            text[size] = '\0';
            return text;
        }
        char *larger = yk_sys_reallocate(text, room, 2);
        if (!larger)
            free(text);
        text = larger;
        room *= 2;
    }
    return NULL;
}

static int parse_row(const char *line, struct yk_segment_row *ret)
{
    uint64_t resident, swapped;
    int saved = errno; /* which sscanf() changes */
    int fields = sscanf(line,
                        "%" SCNd32 " %d %" SCNo32 " %" SCNu64 " %*d %*d %" SCNu64 " %" SCNu32
                        " %*u %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64,
                        &ret->key, &ret->id, &ret->mode, &ret->size, &ret->attached, &ret->uid,
                        &resident, &swapped);
    errno = saved;
    ret->used = fields == 8 ? resident + swapped : 0;
    return fields == 8 ? 0 : -EPROTO;
}

static int add_row(struct yk_segment_table *table, size_t *room, const char *line)
{
    struct yk_segment_row row;
    if (parse_row(line, &row) < 0)
        return 0; /* the headline, or the end */
    void *rows = yk_grow_array(table->rows, table->count, room, sizeof row);
    if (!rows)
        return -ENOMEM;
    table->rows = rows;
    table->rows[table->count++] = row;
    return 0;
}

static int parse_rows(struct yk_segment_table *table, char *text)
{
    size_t room = 0;
    int result = 0;
    for (char *line; result == 0 && (line = strsep(&text, "\n"));)
        result = add_row(table, &room, line);
    return result;
}

int yk_segment_table_read(struct yk_segment_table *ret)
{
    struct yk_segment_table table = {NULL, 0};
    int fd = yk_sys_open(AT_FDCWD, "/proc/sysvipc/shm", O_RDONLY, 0);
    if (fd >= 0) {
        char *text = read_text(fd);
        yk_sys_close(fd);
        int result = text ? parse_rows(&table, text) : -ENOMEM;
        free(text);
        if (result < 0) {
            yk_segment_table_free(&table);
            return yk_fail(ENOMEM, "no memory for the table of System V segments");
        }
    }
    *ret = table;
    return 0;
}

void yk_segment_table_free(struct yk_segment_table *table)
{
    free(table->rows);
}

const struct yk_segment_row *yk_segment_table_find(const struct yk_segment_table *table, int id)
{
    for (size_t i = 0; i < table->count; i++) {
        if (table->rows[i].id == id)
            return &table->rows[i];
    }
    return NULL;
}

uint32_t yk_entry_kind(const char *entry, const char **ret_name)
{
    char plain[YK_ENTRY_MAX];
    const char *dot = strchr(entry, '.');
    int kind = dot ? yk_kind_from_name(entry, (size_t)(dot - entry)) : 0;
    if (kind == 0)
        return 0;
    const char *name = yk_kernel_name((uint32_t)kind, dot + 1, plain) ? plain : dot + 1;
    if (yk_name_check((uint32_t)kind, name) < 0)
        return 0;
    *ret_name = dot + 1;
    return (uint32_t)kind;
}

void *yk_grow_array(void *array, size_t count, size_t *room, size_t size)
{
    if (count < *room)
        return array;
    size_t wanted = *room ? *room * 2 : 16;
    void *larger = yk_sys_reallocate(array, wanted, size);
    if (larger)
        *room = wanted;
    return larger;
}
