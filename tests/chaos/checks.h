/* checks.h - what must be in the end as it was in the beginning. */
#ifndef CHAOS_CHECKS_H
#define CHAOS_CHECKS_H

#include <stddef.h>

/* What a process has. */
struct belongings {
    int descriptors;
    size_t mappings, heap_bytes, mapped_bytes;
};
void belongings_count(struct belongings *ret);
void belongings_compare(const char *whose, const struct belongings *before,
                        const struct belongings *after);

/*
 * Clears what is provably dead, as `yoke gc` does; then nothing of yoke's may be left: no name, no file beside
 * them, no segment (where this test has an IPC namespace of its own: no System V object), nothing in /dev/shm.
 */
void leftovers_check(void);

#endif
