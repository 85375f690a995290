/*
 * guards.h - shared memory is mapped between guard pages: a byte before or behind it is a crash.
 *
 * shmat, shmdt, mmap and munmap are wrapped (tests/meson.build) for the library and the test alike.
 */
#ifndef HOSTILE_GUARDS_H
#define HOSTILE_GUARDS_H

#include <stdbool.h>
#include <stddef.h>

struct guarded {
    unsigned char *base; /* NULL: none */
    size_t size;         /* whole pages */
    bool read_only;
};

#define GUARDED_MOST 64
extern struct guarded guarded[GUARDED_MOST];

size_t guarded_count(void);
bool guarded_contains(const void *bytes, size_t size);

/* Called for each new mapping, if it is not NULL. */
extern void (*guarded_new)(const struct guarded *one);

/* As an attacker maps what others have: without guards, and not noted. NULL when that fails. */
void *attack_segment(int id, size_t *ret_size);
void *attack_file(int fd, size_t *ret_size);
void attack_segment_end(void *base);

#endif
