/*
 * peer_lock.c - see peer_lock.h.
 */
#include "peer_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/error.h"
#include "base/sys.h"
#include "memory/object.h"

#define TRIES 4 /* the name may change hands while one looks */

static int nobody(const char *name)
{
    return yk_fail(ENOENT, "nobody is peer:%s", name);
}

bool yk_peer_lock_is_held(int lock_file)
{
    return yk_sys_byte_is_locked(lock_file, YK_LIFE_BYTE(0), 1) != 0;
}

int yk_peer_open_lock(const struct yk_directory *directory, const char *name,
                      struct yk_record *ret_record)
{
    char entry[YK_ENTRY_MAX], path[48];
    yk_name_entry(entry, YK_KIND_PEER, name);
    int result = yk_record_read(directory, entry, ret_record);
    if (result == -ENOENT)
        return nobody(name);
    if (result < 0)
        return result;
    yk_live_path(path, ret_record->nonce);
    int fd = yk_sys_open(directory->fd, path, O_RDONLY, 0);
    if (fd == -EACCES)
        return yk_fail(EACCES, "peer:%s belongs to uid %u: no permission to see whether it lives",
                       name, ret_record->uid);
    if (fd == -ENOENT)
        return nobody(name);
    if (fd < 0)
        return yk_fail(-fd, "the lock file of peer:%s can not be opened: %s", name, strerror(-fd));
    if (yk_peer_lock_is_held(fd))
        return fd;
    yk_sys_close(fd);
    return nobody(name);
}

int yk_peer_lock_held_by(int lock_file, int32_t pid)
{
    struct stat facts;
    int result = pid > 0 ? yk_sys_stat(lock_file, &facts) : 0;
    if (pid <= 0 || result < 0)
        return result;
    return yk_lock_held_by(pid, facts.st_dev, facts.st_ino, YK_LIFE_BYTE(0), NULL);
}

bool yk_peer_lock_held_through(int lock_file, int32_t pid, int32_t fd)
{
    struct stat facts;
    return pid > 0 && yk_sys_stat(lock_file, &facts) == 0 &&
           yk_lock_held_through(pid, fd, facts.st_dev, facts.st_ino, YK_LIFE_BYTE(0));
}

int32_t yk_peer_lock_holder(int lock_file, int32_t hint)
{
    return yk_peer_lock_held_by(lock_file, hint) == 1 ? hint
                                                      : yk_lock_holder(lock_file, YK_LIFE_BYTE(0));
}

/* What the peer wrote of itself; 0 where its memory can not be read. */
static int32_t stated_pid(const struct yk_record *record)
{
    void *base;
    uint64_t size;
    struct yk_shm_fixed fixed;
    int32_t pid = 0;
    if (yk_record_is_foreign(record) != 0 || record->layout != YK_LAYOUT ||
        yk_record_attach(record, true, &base, &size, &fixed) < 0)
        return 0;
    const struct yk_shm_slot *seat = (void *)((unsigned char *)base + YK_PAGE);
    if (size >= YK_PAGE + sizeof *seat)
        pid = (int32_t)yk_load32_relaxed(&seat->pid); /* relaxed: a hint, proved later */
    yk_sys_shm_detach(base);
    return pid;
}

/*
 * Opened first, proved then: by the number that /proc has for this very process, if that holds the
 * lock. Should it end in between and its number be used again, the descriptor still means the one
 * that ended. A descriptor, -ESRCH, or why it could not be proved.
 */
static int open_proven(int lock_file, int32_t pid)
{
    int fd = pid > 0 ? yk_sys_pidfd_open(pid) : -ESRCH;
    if (fd < 0)
        return fd == -EINVAL ? -ESRCH : fd; /* EINVAL: a thread's number */
    int32_t is = yk_sys_pidfd_pid(fd);
    int proven = is < 0 ? is : yk_peer_lock_held_by(lock_file, is);
    if (proven == 1)
        return fd;
    yk_sys_close(fd);
    return proven < 0 && proven != -ENOENT ? proven : -ESRCH; /* ENOENT: without /proc */
}

static int not_proven(const char *name, int lock_file)
{
    if (!yk_peer_lock_is_held(lock_file))
        return nobody(name);
    return yk_fail(EPERM,
                   "a living process is peer:%s, but /proc does not show to this process which one "
                   "(another user's, or in another PID namespace), and no pid is taken on trust",
                   name);
}

static int open_process(const struct yk_directory *directory, const char *name)
{
    struct yk_record record;
    int lock_file = yk_peer_open_lock(directory, name, &record);
    if (lock_file < 0)
        return lock_file;
    int result = open_proven(lock_file, stated_pid(&record));
    for (int i = 0; i < TRIES && result == -ESRCH; i++) {
        int32_t holder = yk_lock_look_for_holder(lock_file, YK_LIFE_BYTE(0));
        result = holder < 0 ? holder : open_proven(lock_file, holder);
        if (holder <= 0)
            break;
    }
    if (result == -ESRCH)
        result = not_proven(name, lock_file);
    else if (result < 0)
        yk_fail(-result, "the process that is peer:%s can not be opened: %s", name,
                strerror(-result));
    yk_sys_close(lock_file);
    return result;
}

int yk_peer_open_process(const char *name)
{
    struct yk_directory directory;
    int result = yk_directory_open(&directory, NULL, true);
    if (result == -ENOENT)
        return nobody(name);
    if (result < 0)
        return result;
    result = open_process(&directory, name);
    yk_directory_close(&directory);
    return result;
}
