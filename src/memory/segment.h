/*
 * segment.h - the backing of named objects: System V segments.
 *
 * No unprivileged process can truncate one (no SIGBUS), the kernel frees a marked one with its last
 * attachment, and it is not bounded by a small /dev/shm.
 */
#ifndef YK_MEMORY_SEGMENT_H
#define YK_MEMORY_SEGMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "memory/layout.h"

struct yk_segment_plan {
    uint64_t size;
    uint32_t mode;
    int64_t group; /* -1: the caller's */
    bool reserve;  /* charge the memory now, so that touching it can not fail later */
    bool huge;
    const char *smaller; /* for a sentence: what makes it smaller, or NULL */
};

/*
 * A new zeroed segment under `key`; -EEXIST when the key is taken. Returns its id. Sentences for
 * people on failure.
 */
int yk_segment_create(uint32_t key, const struct yk_segment_plan *plan);

/* Group and mode, before anybody else can know the segment. */
int yk_segment_set_group(int id, const struct yk_segment_plan *plan);

/* Copies the fixed part, and keeps the compiler from reading the original again instead. */
void yk_fixed_copy(struct yk_shm_fixed *ret_fixed, const void *base);

/*
 * What a name's record says of the memory. What is in the memory proves nothing of it: whoever may
 * write there can make it say anything. The key is random, and nobody can give a segment a key or
 * another size, or take it away from who made it.
 */
struct yk_segment_identity {
    int id; /* -1: not known yet */
    uint32_t key;
    uint64_t size;
    uint32_t uid; /* who made it, and owns it */
};

/*
 * Attaches a yoke object: 0, its base and true size, and a copy of the fixed part of its header, which
 * is made before anything in it is looked at: whoever uses the header uses this copy. -ENOENT when
 * there is no such object (any more), -EXDEV (without a sentence) when another user than `uid` made
 * it, …
 */
int yk_segment_attach(const struct yk_segment_identity *identity, uint64_t nonce, bool read_only,
                      void **ret_base, uint64_t *ret_size, struct yk_shm_fixed *ret_fixed);

enum yk_segment_verdict {
    YK_SEGMENT_IS_NOT = 0, /* proved: there is none of this id, or another one */
    YK_SEGMENT_IS = 1,     /* proved: it has the key and the size */
    YK_SEGMENT_MAY_BE = 2, /* marked for removal, and so without a key: only the size is right */
};

/* Asks the kernel: a verdict, or an error (-EACCES: can not tell). */
int yk_segment_judge(const struct yk_segment_identity *identity);

/* Is there any segment of this id? True when that can not be told. */
bool yk_segment_exists(int id);

/*
 * Marks the segment for removal, unless that is done. What its creator, who died at once, may have
 * made under the key without leaving its id is found by the key. The memory is not looked at. 0:
 * done, or there is nothing (any more) to do; else it could not be told, or not be done.
 */
int yk_segment_retire(const struct yk_segment_identity *identity);

/* Does the kernel remove every segment with its last attachment here (kernel.shm_rmid_forced)? */
bool yk_segments_are_forced_away(void);

/* This process's IPC namespace, as a number (without /proc: 0); ids mean nothing in another. */
int yk_ipc_namespace(uint64_t *ret);

#endif
