/*
 * fork.h - noticing a fork, however it was made.
 *
 * A word in memory that the kernel wipes in a forked child (MADV_WIPEONFORK) tells each process from its
 * ancestors: fork handlers alone would miss _Fork and clone. They are used besides, so that a child which never
 * calls yoke does not keep its parent's locks alive.
 */
#ifndef YK_BASE_FORK_H
#define YK_BASE_FORK_H

#include "base/atomic.h"

struct yk_fork_page {
    yk_atomic64 stamp; /* this process's random number; 0: a child that has not asked yet */
    yk_atomic32 mutex; /* 0 free, 1 taken: process-wide, and free again in a child whatever the parent did */
};

extern struct yk_fork_page *yk_fork_page;

/* Once a process, before anything else here. 0 or a negative errno. */
int yk_fork_init(void);

/* Differs from what it was in every ancestor. Never 0. */
uint64_t yk_fork_stamp_slow(void);

static inline uint64_t yk_fork_stamp(void)
{
    uint64_t stamp = yk_load_relaxed(&yk_fork_page->stamp); /* relaxed: own process only */
    return yk_likely(stamp != 0) ? stamp : yk_fork_stamp_slow();
}

/* The process-wide mutex for cold paths: rejoining after a fork. Holders never sleep long. */
void yk_process_lock(void);
void yk_process_unlock(void);

/* Something to be told in the child right after fork(): used by one caller, the list of open objects. */
void yk_fork_set_child_hook(void (*prepare)(void), void (*parent)(void), void (*child)(void));

#endif
