/*
 * directory.h - the name directory: where it is, whether it can be trusted, and the locks on names.
 *
 *   KIND.NAME                a published name: one line of text (names.h)
 *   .live-NONCE              the lock file of one object: a participant locks the byte of its slot
 *   .bell-NONCE              the doorbell of a peer: a FIFO (doorbell.h)
 *   .lock-UID                whoever changes a name of UID locks the byte that the name hashes to
 *   .intents/UID.KIND.NAME   what is being created or removed: whoever comes later can finish it
 */
#ifndef YK_MEMORY_DIRECTORY_H
#define YK_MEMORY_DIRECTORY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/fork.h"

#define YK_INTENTS ".intents"

struct yk_directory {
    int fd;
    uint64_t dev, ino;
    bool shared; /* sticky, for several users */
    char path[256];
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

/* "port.jobs" as users know it, "port:jobs" ("link:alice/bob"): for sentences. The thread's, until its next call. */
const char *yk_entry_address(const char *entry);

/*
 * Which process holds the lock of this byte, as /proc shows: a pid, or 0 when it can not be seen.
 */
int32_t yk_lock_holder(int fd, off_t byte);
/* Does this very pid hold it? */
bool yk_lock_held_by(int32_t pid, uint64_t dev, uint64_t ino, off_t byte);

#endif
