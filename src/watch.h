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
#include <stdint.h>

struct yk_watch {
    /*
     * In whichever thread drains; is to note it and ring a bell, and nothing else. `written`: nobody
     * closed it, or came or went.
     */
    void (*stir)(struct yk_watch *watch, bool written);
    int number; /* inotify's; several may have the same */
    uint64_t fork_stamp;
    struct yk_watch *next;
};

/* Begins to watch: 0, or a negative errno (-EMFILE: no instance is to be had), and it is not begun. */
int yk_watch_file(struct yk_watch *watch, const char *path);
int yk_watch_names(struct yk_watch *watch, const char *directory);
/* Ends it; not begun is fine. It is not stirred after this returned. */
void yk_watch_end(struct yk_watch *watch);

/* The process's descriptor while something is watched; negative else. */
int yk_watch_descriptor(void);
/* Stirs whom what has happened concerns. */
void yk_watch_drain(void);

#endif
