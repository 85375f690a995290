/*
 * fork.h - noticing a fork, however it was made, and keeping locks out of children.
 *
 * A word in memory that the kernel wipes in a forked child (MADV_WIPEONFORK) tells each process
 * from its ancestors: fork handlers alone would miss _Fork and clone. They are used besides: a lock
 * belongs to an open description, which a child shares, so without them a child that never calls
 * yoke would keep its dead parent's locks alive. And they wipe the word where nothing else does, which
 * an emulator may keep silent about.
 */
#ifndef YK_BASE_FORK_H
#define YK_BASE_FORK_H

#include <stdbool.h>

#include "base/atomic.h"

struct yk_fork_page {
    yk_atomic64 stamp; /* this process's random number; 0: a child that has not asked yet */
    /* process-wide; free again in a child, whatever the parent did */
    yk_atomic32 mutex, watch_mutex;
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
/* Another one, which may be taken while that one is held: of watch.c. */
void yk_watch_lock(void);
void yk_watch_unlock(void);

/*
 * A descriptor whose description holds locks. Guarded from before the first lock is taken until it
 * is closed: in a forked child it is closed, or replaced by a description of the child's own (fd
 * then is that one, or -1).
 */
struct yk_guarded_fd {
    int fd;
    bool reopen;
    struct yk_guarded_fd *next, *previous;
};

void yk_guards_lock(
    void); /* no fork happens meanwhile: for opening and storing a guarded descriptor in one step */
void yk_guards_unlock(void);
void yk_guard(struct yk_guarded_fd *guarded, int fd, bool reopen);
void yk_unguard_and_close(struct yk_guarded_fd *guarded);

#endif
