/*
 * watch.h - being told by the kernel that a file changed: a lock file was closed (its process may
 * have died), a name came into a directory, somebody wrote to a memory file.
 *
 * One inotify instance serves the whole process, since a user has few of them. Whoever finds its
 * descriptor readable drains it for all: each watch that is concerned is stirred.
 */
#ifndef YK_WATCH_H
#define YK_WATCH_H

#include <stdbool.h>

#include "base/atomic.h"

struct yk_watch {
    /*
     * In whichever thread drains; is to note it and ring a bell, and nothing else. `written`: nobody
     * closed it, or came or went.
     */
    void (*stir)(struct yk_watch *watch, bool written);
    int number;             /* inotify's; several may have the same */
    uint64_t fork_stamp;    /* whose it is; 0: nothing is watched */
    yk_atomic32 stirred;    /* by something else than writing, and nobody has looked yet */
    yk_atomic32 looks;      /* how often still to look; private to the process, as all of this */
    yk_atomic64 stirred_at; /* when somebody looked */
    struct yk_watch *next;
};

/* Begins to watch: 0, or a negative errno (-EMFILE: no instance is to be had), and it is not begun. */
int yk_watch_file(struct yk_watch *watch, const char *path);
int yk_watch_names(struct yk_watch *watch, const char *directory);
/* Ends it; not begun is fine. It is not stirred after this returned. */
void yk_watch_end(struct yk_watch *watch);

/*
 * The process's descriptor once something was watched; negative before. It stays: a forked child's copy
 * would keep a closed one in every epoll descriptor that it is in, readable for ever.
 */
int yk_watch_descriptor(void);
/* Stirs whom what has happened concerns. */
void yk_watch_drain(void);

/*
 * A closed lock file is told of just before its lock is dropped. So whoever was stirred looks at once,
 * and some more times later, also when it found something: of two that die at once it may be one.
 * Is it time to look, and, after that, in how many nanoseconds again? 0: when it is stirred. What
 * could not be watched is always due, every 50 ms.
 */
bool yk_watch_is_due(struct yk_watch *watch);
int64_t yk_watch_again(struct yk_watch *watch, bool looked);

#endif
