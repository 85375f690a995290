/*
 * peer_lock.h - whether a peer lives, and which process it is, by its lock alone: no memory of its is
 * believed, and it may be in another IPC namespace.
 */
#ifndef YK_PEER_LOCK_H
#define YK_PEER_LOCK_H

#include "memory/names.h"

/*
 * The lock file of peer NAME, if a living process has that name: a descriptor, and what its name's
 * file says. -ENOENT: nobody is; -EACCES: it can not be seen.
 */
int yk_peer_open_lock(const struct yk_directory *directory, const char *name,
                      struct yk_record *ret_record);

/* Does a living process hold the peer's lock (still)? */
bool yk_peer_lock_is_held(int lock_file);

/* The process that holds it, as /proc shows: `hint`, if that is it, or another; 0: not seen. */
int32_t yk_peer_lock_holder(int lock_file, int32_t hint);
/* Does this very pid? 1, 0, or why it could not be looked at. */
int yk_peer_lock_held_by(int lock_file, int32_t pid);
/* By that descriptor of its? */
bool yk_peer_lock_held_through(int lock_file, int32_t pid, int32_t fd);

/*
 * A descriptor of the process that is peer NAME, proven after it was opened: it stands for this very
 * process for ever. -ENOENT: nobody is; -EPERM: no process could be proven to be it.
 */
int yk_peer_open_process(const char *name);

#endif
