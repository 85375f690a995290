/*
 * survey.h - what there is to be looked at: the kernel's table of System V segments, and which
 * entries of the name directory are names. For inspect.c and gc.c.
 */
#ifndef YK_SURVEY_H
#define YK_SURVEY_H

#include <stddef.h>
#include <stdint.h>

/*
 * One line of /proc/sysvipc/shm: what the kernel tells everybody of a segment, permission or not.
 */
struct yk_segment_row {
    int id;
    int32_t key;
    uint32_t mode; /* with the kernel's own bits: 01000 is "marked for removal" */
    uint32_t uid;
    uint64_t size;
    uint64_t attached;
    uint64_t used; /* bytes present, in memory or swapped out */
};

struct yk_segment_table {
    struct yk_segment_row *rows;
    size_t count;
};

/* All segments of this IPC namespace; none where there is no /proc. 0 or -ENOMEM. */
int yk_segment_table_read(struct yk_segment_table *ret);
void yk_segment_table_free(struct yk_segment_table *table);

/* The row of a segment, or NULL. */
const struct yk_segment_row *yk_segment_table_find(const struct yk_segment_table *table, int id);

/*
 * "port.jobs": its kind, and *ret_name is "jobs" in the same text; of "port.jobs@kernel",
 * "jobs@kernel". 0: no name of yoke's.
 */
uint32_t yk_entry_kind(const char *entry, const char **ret_name);

/*
 * Makes room for one more element of `size` bytes: the array, perhaps moved, or NULL when there is
 * no memory.
 */
void *yk_grow_array(void *array, size_t count, size_t *room, size_t size);

#endif
