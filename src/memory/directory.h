/*
 * directory.h - the name directory: where it is, whether it can be trusted, and the locks on names.
 *
 *   KIND.NAME                a published name: one line of text (names.h)
 *   KIND.NAME@kernel         the same, of what lives in the kernel place (queue.h)
 *   .live-NONCE              the lock file of one object: a participant locks the byte of its slot
 *   .bell-NONCE              a doorbell, by a nonce of its own: a FIFO (doorbell.h)
 *   .signals-NONCE           where a peer receives signals in the kernel: a socket (signal_socket.h)
 *   .end0-NONCE, .end1-NONCE the two ends of a link in the kernel place: FIFOs (place/kernel_link.c)
 *   .lock-UID                whoever changes a name of UID locks the byte that the name hashes to
 *   .intents-UID/KIND.NAME   what UID is creating or removing: whoever comes later can finish it
 *   .intents-UID/.NONCE      the same, of another IPC namespace: only there it can be finished
 *
 * What is called after a user belongs to that user, or it is not used: nobody else can have made it,
 * and in a sticky directory nobody else but root can take it away or put another in its place.
 */
#ifndef YK_MEMORY_DIRECTORY_H
#define YK_MEMORY_DIRECTORY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/fork.h"

#define YK_INTENTS ".intents-"

struct yk_directory {
    int fd;
    uint64_t dev, ino;
    uint32_t uid; /* of its owner */
    char path[288];
};

/* $YOKE_DIR, else /run/yoke (root) or /dev/shm/yoke-UID. The text stays the caller's. */
void yk_directory_path(char path[256]);

/*
 * Opens the one at `path` (NULL: the one in force), having made it (unless `existing_only`) and
 * checked it. 0, -ENOENT (existing_only), -EACCES …
 */
int yk_directory_open(struct yk_directory *ret, const char *path, bool existing_only);
void yk_directory_close(struct yk_directory *directory);

/*
 * The intents of `uid`: a directory of that user's, which nobody else may look into. With `make`
 * (uid is then this process's) made if it is not there, else -ENOENT. -EACCES when somebody else put
 * it there.
 */
int yk_directory_intents(struct yk_directory *ret, const struct yk_directory *directory,
                         uint32_t uid, bool make);

/*
 * Calls `each` with the intents of every user whose intents this process may finish: its own, for
 * root all. Stops at the first result that is not 0, and returns it.
 */
int yk_directory_each_intents(const struct yk_directory *directory,
                              int (*each)(const struct yk_directory *intents, void *context),
                              void *context);

/*
 * Calls `each` with the name of every entry; stops at the first result that is not 0, and returns it.
 * If not all could be listed, the error, with its sentence.
 */
int yk_directory_entries(const struct yk_directory *directory,
                         int (*each)(const char *name, void *context), void *context);

/*
 * The lock on names that `uid` owns, for `entry` ("port.jobs"). 0, or -EBUSY with a sentence naming
 * the holder when it is still held after `patience_ns`. A child that is forked meanwhile does not
 * get it.
 */
struct yk_name_lock {
    struct yk_guarded_fd file;
    off_t byte;
};
int yk_directory_lock(struct yk_name_lock *ret_lock, const struct yk_directory *directory,
                      uint32_t uid, const char *entry, int64_t patience_ns);
void yk_directory_unlock(struct yk_name_lock *lock);

/* "port.jobs" as users know it, "port:jobs" ("link:alice/bob@kernel"): for sentences. The thread's, until its next call. */
const char *yk_entry_address(const char *entry);
/* 64 bits that tell names apart, but for rare accidents. */
uint64_t yk_name_hash(const char *name);

/*
 * Which process holds the lock of this byte, as /proc shows: a pid, or 0 when it can not be seen.
 */
int32_t yk_lock_holder(int fd, off_t byte);
/* The same; or why it could not be looked for: a negative errno. */
int32_t yk_lock_look_for_holder(int fd, off_t byte);
/*
 * Does this very pid hold it? 1, 0 (or it can not be seen, or *budget, less each descriptor that was
 * looked at, is used up; NULL: no bound), or why it could not be looked at.
 */
int yk_lock_held_by(int32_t pid, uint64_t dev, uint64_t ino, off_t byte, uint32_t *budget);
/* By this descriptor of its? Much quicker, where it has many. */
bool yk_lock_held_through(int32_t pid, int32_t fd, uint64_t dev, uint64_t ino, off_t byte);

#endif
