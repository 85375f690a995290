/*
 * directory.c - see directory.h.
 */
#include "memory/directory.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "base/error.h"
#include "base/sys.h"

#define PATH_MOST      254
#define NAP_MIN        50000
#define NAP_MAX        2000000
#define SHARED_DEFAULT "/run/yoke"

void yk_directory_path(char path[256])
{
    const char *chosen = secure_getenv("YOKE_DIR");
    uint32_t uid = yk_sys_effective_uid();
    if (chosen && chosen[0] != '\0')
        snprintf(path, 256, "%s", chosen);
    else if (uid == 0)
        snprintf(path, 256, SHARED_DEFAULT);
    else
        snprintf(path, 256, "/dev/shm/yoke-%u", uid);
}

/*
 * The directory that all share has a mode that mkdir() can not set, for the umask: set here; which
 * also mends what one who died in between left.
 */
static void make_shared(const struct yk_directory *directory, struct stat *facts)
{
    if (strcmp(directory->path, SHARED_DEFAULT) == 0 && (facts->st_mode & 07777) != 01777 &&
        yk_sys_chmod(directory->fd, 01777) == 0) /* only its owner and root can */
        facts->st_mode = (facts->st_mode & S_IFMT) | 01777;
}

static int make_directory(const char *path)
{
    int result = yk_sys_mkdir(path, 0700);
    if (result < 0 && result != -EEXIST)
        return yk_fail(-result, "the name directory %s can not be made: %s", path,
                       strerror(-result));
    return 0;
}

/*
 * Who may write into it can make names vanish: only its trusted owner, or everybody in a sticky
 * one.
 */
static int check_directory(const struct yk_directory *directory, const struct stat *facts)
{
    uint32_t me = yk_sys_effective_uid();
    if (facts->st_uid != me && facts->st_uid != 0)
        return yk_fail(
            EACCES,
            "the name directory %s belongs to uid %u, neither root nor this process's uid %u",
            directory->path, facts->st_uid, me);
    if ((facts->st_mode & 022) != 0 && (facts->st_mode & S_ISVTX) == 0)
        return yk_fail(
            EACCES,
            "the name directory %s has mode %04o: others may remove names in it; make it 0700, or "
            "sticky (1777)",
            directory->path, facts->st_mode & 07777);
    return 0;
}

static int open_directory(struct yk_directory *ret)
{
    struct stat facts;
    int fd = yk_sys_open(AT_FDCWD, ret->path, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0) {
        bool link = fd == -ENOTDIR || fd == -ELOOP;
        return yk_fail(link ? EACCES : -fd, "the name directory %s can not be opened: %s",
                       ret->path, link ? "it is a symbolic link, or no directory" : strerror(-fd));
    }
    ret->fd = fd;
    int result = yk_sys_stat(fd, &facts);
    if (result == 0) {
        make_shared(ret, &facts);
        ret->dev = facts.st_dev;
        ret->ino = facts.st_ino;
        ret->uid = facts.st_uid;
        result = check_directory(ret, &facts);
    } else {
        yk_fail(-result, "the name directory %s can not be asked: %s", ret->path,
                strerror(-result));
    }
    if (result < 0)
        yk_sys_close(fd);
    return result;
}

int yk_directory_open(struct yk_directory *ret, const char *path, bool existing_only)
{
    struct yk_directory directory;
    if (path)
        snprintf(directory.path, sizeof directory.path, "%s", path);
    else
        yk_directory_path(directory.path);
    if (strlen(directory.path) > PATH_MOST || directory.path[0] != '/')
        return yk_fail(EINVAL,
                       "YOKE_DIR must be an absolute path of at most 254 bytes, not '%.60s%s'",
                       directory.path, strlen(directory.path) > 60 ? "…" : "");
    int result = open_directory(&directory);
    if (result == -ENOENT && !existing_only) {
        result = make_directory(directory.path);
        if (result == 0)
            result = open_directory(&directory);
    }
    if (result == 0)
        *ret = directory;
    return result;
}

void yk_directory_close(struct yk_directory *directory)
{
    yk_sys_close(directory->fd);
}

struct entries_walk {
    int (*each)(const char *name, void *context);
    void *context;
    int said; /* by each() */
};

static int visit_entry(const char *name, void *context)
{
    struct entries_walk *walk = context;
    return walk->said = walk->each(name, walk->context);
}

int yk_directory_entries(const struct yk_directory *directory,
                         int (*each)(const char *name, void *context), void *context)
{
    struct entries_walk walk = {each, context, 0};
    int result = yk_sys_entries(directory->fd, ".", visit_entry, &walk);
    return result < 0 && walk.said == 0
               ? yk_fail(-result, "%s can not be listed: %s", directory->path, strerror(-result))
               : result;
}

/* ---- intents ---- */

static int not_theirs(const struct yk_directory *directory, const char *entry, uint32_t uid,
                      const struct stat *facts)
{
    return yk_fail(EACCES,
                   "%s/%s belongs to uid %u, not to uid %u after whom it is called: somebody else "
                   "put it there, and may take it away, or root",
                   directory->path, entry, facts->st_uid, uid);
}

/*
 * The descriptor is what is checked, and all that follows goes by it: its owner could put a symbolic
 * link in its place at any time.
 */
static int open_intents(struct yk_directory *ret, const struct yk_directory *directory,
                        const char *entry, uint32_t uid)
{
    struct stat facts;
    int fd = yk_sys_open(directory->fd, entry, O_RDONLY | O_DIRECTORY, 0);
    if (fd == -ENOENT)
        return fd;
    if ((fd == -ENOTDIR || fd == -ELOOP || fd == -EACCES) &&
        yk_sys_stat_at(directory->fd, entry, &facts) == 0 && facts.st_uid != uid)
        return not_theirs(directory, entry, uid, &facts);
    if (fd < 0)
        return yk_fail(-fd, "%s/%s can not be opened: %s", directory->path, entry, strerror(-fd));
    int result = yk_sys_stat(fd, &facts);
    bool theirs = result < 0 || facts.st_uid == uid;
    if (result == 0 && theirs && (facts.st_mode & 07777) != 0700)
        result = yk_sys_chmod(fd, 0700);
    if (result < 0 || !theirs) {
        yk_sys_close(fd);
        return !theirs ? not_theirs(directory, entry, uid, &facts)
                       : yk_fail(-result, "%s/%s can not be used: %s", directory->path, entry,
                                 strerror(-result));
    }
    ret->fd = fd;
    ret->dev = facts.st_dev;
    ret->ino = facts.st_ino;
    ret->uid = uid;
    snprintf(ret->path, sizeof ret->path, "%.254s/%s", directory->path, entry);
    return 0;
}

int yk_directory_intents(struct yk_directory *ret, const struct yk_directory *directory,
                         uint32_t uid, bool make)
{
    char entry[32];
    snprintf(entry, sizeof entry, YK_INTENTS "%u", uid);
    int result = open_intents(ret, directory, entry, uid);
    if (result != -ENOENT || !make)
        return result;
    result = yk_sys_mkdir_at(directory->fd, entry, 0700);
    if (result < 0 && result != -EEXIST)
        return yk_fail(-result, "%s/%s can not be made: %s", directory->path, entry,
                       strerror(-result));
    result = open_intents(ret, directory, entry, uid);
    return result == -ENOENT
               ? yk_fail(EBUSY, "%s/%s is made and removed all the time", directory->path, entry)
               : result;
}

struct intents_walk {
    const struct yk_directory *directory;
    int (*each)(const struct yk_directory *intents, void *context);
    void *context;
};

static int walk_intents(const struct intents_walk *walk, uint32_t uid)
{
    struct yk_directory intents;
    if (yk_directory_intents(&intents, walk->directory, uid, false) < 0)
        return 0; /* not there; or not that user's, who then has none */
    int result = walk->each(&intents, walk->context);
    yk_directory_close(&intents);
    return result;
}

static int look_at_entry(const char *entry, void *context)
{
    const char *digits = entry + strlen(YK_INTENTS);
    char *end;
    if (strncmp(entry, YK_INTENTS, strlen(YK_INTENTS)) != 0 || !isdigit((unsigned char)*digits))
        return 0;
    int saved = errno; /* which strtoul() changes */
    unsigned long uid = strtoul(digits, &end, 10);
    errno = saved;
    return *end == '\0' && uid <= UINT32_MAX ? walk_intents(context, (uint32_t)uid) : 0;
}

int yk_directory_each_intents(const struct yk_directory *directory,
                              int (*each)(const struct yk_directory *intents, void *context),
                              void *context)
{
    struct intents_walk walk = {directory, each, context};
    uint32_t me = yk_sys_effective_uid();
    return me == 0 ? yk_directory_entries(directory, look_at_entry, &walk)
                   : walk_intents(&walk, me);
}

/* ---- locks on names ---- */

const char *yk_entry_address(const char *entry)
{
    static _Thread_local char address[256];
    snprintf(address, sizeof address, "%s", entry);
    char *dot = strchr(address, '.'), *at = strchr(address, '@');
    if (dot)
        *dot = ':';
    if (at && strncmp(address, "link:", 5) == 0)
        *at = '/'; /* a second one, or any other kind's, stands before the place */
    return address;
}

/* FNV-1a */
uint64_t yk_name_hash(const char *name)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (; *name; name++)
        hash = (hash ^ (unsigned char)*name) * UINT64_C(0x100000001b3);
    return hash;
}

/* Two names that meet in one byte only wait for each other a little. */
static off_t name_byte(const char *entry)
{
    return (off_t)(yk_name_hash(entry) >> 2);
}

/*
 * Root makes another user's lock file: under its name it appears only when it is that user's, so
 * root dying in between locks nobody out. What it then leaves, or another root is just making, under
 * the first name is taken away: the link is made to this very file, whatever that name leads to.
 */
static int make_lock_file_for(const struct yk_directory *directory, const char *path, uint32_t uid)
{
    char fresh[48];
    snprintf(fresh, sizeof fresh, "%s.new", path);
    yk_sys_unlink(directory->fd, fresh);
    int fd = yk_sys_open(directory->fd, fresh, O_RDWR | O_CREAT | O_EXCL, 0600);
    if (fd < 0)
        return fd;
    int result = yk_sys_chown(fd, uid, (gid_t)-1);
    if (result == 0)
        result = yk_sys_link(fd, directory->fd, path);
    yk_sys_unlink(directory->fd, fresh);
    if (result == 0)
        return fd;
    yk_sys_close(fd);
    return result == -EEXIST ? yk_sys_open(directory->fd, path, O_RDWR, 0) : result;
}

static int open_lock_file(const struct yk_directory *directory, uint32_t uid)
{
    char path[32];
    struct stat facts;
    snprintf(path, sizeof path, ".lock-%u", uid);
    /*
     * O_CREAT only when it is not there: fs.protected_regular refuses it on another user's file,
     * even to root
     */
    int fd = yk_sys_open(directory->fd, path, O_RDWR, 0);
    if (fd == -ENOENT)
        fd = yk_sys_effective_uid() == uid
                 ? yk_sys_open(directory->fd, path, O_RDWR | O_CREAT, 0600)
                 : make_lock_file_for(directory, path, uid);
    if (fd == -EACCES && yk_sys_stat_at(directory->fd, path, &facts) == 0 && facts.st_uid != uid)
        return not_theirs(directory, path, uid, &facts);
    if (fd < 0)
        return yk_fail(-fd, "%s/%s can not be opened: %s", directory->path, path, strerror(-fd));
    int result = yk_sys_stat(fd, &facts);
    if (result < 0)
        yk_fail(-result, "%s/%s can not be asked: %s", directory->path, path, strerror(-result));
    else if (facts.st_uid != uid)
        result = not_theirs(directory, path, uid, &facts);
    else if (!S_ISREG(facts.st_mode))
        result = yk_fail(EACCES, "%s/%s is not a file", directory->path, path);
    if (result < 0) {
        yk_sys_close(fd);
        return result;
    }
    return fd;
}

int yk_directory_lock(struct yk_name_lock *ret_lock, const struct yk_directory *directory,
                      uint32_t uid, const char *entry, int64_t patience_ns)
{
    yk_guard(&ret_lock->file, -1, false);
    yk_guards_lock();
    int fd = ret_lock->file.fd = open_lock_file(directory, uid);
    yk_guards_unlock();
    if (fd < 0) {
        yk_unguard_and_close(&ret_lock->file);
        return fd;
    }
    ret_lock->byte = name_byte(entry);
    int64_t deadline = yk_now() + patience_ns, nap = NAP_MIN;
    int result;
    while ((result = yk_sys_lock_byte(fd, ret_lock->byte)) == -EAGAIN && yk_now() < deadline) {
        yk_nap(nap);
        nap = nap < NAP_MAX ? nap * 2 : NAP_MAX;
    }
    if (result == 0)
        return 0;
    int32_t holder = result == -EAGAIN && patience_ns > 0 ? yk_lock_holder(fd, ret_lock->byte) : 0;
    yk_unguard_and_close(&ret_lock->file);
    if (result != -EAGAIN)
        return yk_fail(-result, "the lock on %s can not be taken: %s", yk_entry_address(entry),
                       strerror(-result));
    if (holder > 0)
        return yk_fail(EBUSY, "process %d is creating, removing or recovering %s", holder,
                       yk_entry_address(entry));
    return yk_fail(EBUSY,
                   "somebody whom this process can not see is creating, removing or recovering %s",
                   yk_entry_address(entry));
}

void yk_directory_unlock(struct yk_name_lock *lock)
{
    /* closing alone would not do if a child (made by _Fork, say) shares the description */
    yk_sys_unlock_byte(lock->file.fd, lock->byte);
    yk_unguard_and_close(&lock->file);
}

/*
 * ---- who holds a lock: /proc/PID/fdinfo/FD has a line "lock: 1: OFDLCK ADVISORY WRITE PID
 * MAJ:MIN:INO FROM TO" ----
 */

struct search {
    uint64_t dev, ino;
    off_t byte;
    int32_t pid; /* being looked at, then: found */
    char path[64];
    uint32_t *budget; /* descriptors that may still be looked at; NULL: as many as there are */
};

static bool line_matches(const struct search *search, const char *line)
{
    unsigned int major_, minor_;
    unsigned long long ino, from, to = UINT64_MAX;
    char end[32];
    const char *write = strstr(line, "WRITE");
    if (!strstr(line, "OFDLCK") || !write)
        return false;
    if (sscanf(write, "WRITE %*d %x:%x:%llu %llu %31s", &major_, &minor_, &ino, &from, end) != 5)
        return false;
    if (strcmp(end, "EOF") != 0)
        to = strtoull(end, NULL, 10);
    return makedev(major_, minor_) == search->dev && ino == search->ino &&
           from <= (uint64_t)search->byte && (uint64_t)search->byte <= to;
}

/* What says nothing of the lock, but that this process could not look. */
static int trouble(long result)
{
    return result == -EMFILE || result == -ENFILE || result == -ENOMEM || result == -EIO
               ? (int)result
               : 0;
}

static int look_at_descriptor(const char *name, void *context)
{
    struct search *search = context;
    if (search->budget && (*search->budget)-- == 0) {
        *search->budget = 0;
        return -E2BIG;
    }
    char path[sizeof search->path + 280], text[2048];
    snprintf(path, sizeof path, "%s/%s", search->path, name);
    int fd = yk_sys_open(AT_FDCWD, path, O_RDONLY, 0);
    if (fd < 0)
        return trouble(fd);
    ssize_t size = yk_sys_read_all(fd, text, sizeof text - 1, 0);
    yk_sys_close(fd);
    if (size <= 0)
        return trouble(size);
    text[size] = '\0';
    char *rest = text;
    for (char *line; (line = strsep(&rest, "\n"));) {
        if (strncmp(line, "lock:", 5) == 0 && line_matches(search, line))
            return 1;
    }
    return 0;
}

int yk_lock_held_by(int32_t pid, uint64_t dev, uint64_t ino, off_t byte, uint32_t *budget)
{
    struct search search = {.dev = dev, .ino = ino, .byte = byte, .pid = pid, .budget = budget};
    snprintf(search.path, sizeof search.path, "/proc/%d/fdinfo", pid);
    int result = yk_sys_entries(AT_FDCWD, search.path, look_at_descriptor, &search);
    return result == 1 ? 1 : trouble(result);
}

bool yk_lock_held_through(int32_t pid, int32_t fd, uint64_t dev, uint64_t ino, off_t byte)
{
    struct search search = {.dev = dev, .ino = ino, .byte = byte, .pid = pid};
    char name[16];
    snprintf(search.path, sizeof search.path, "/proc/%d/fdinfo", pid);
    snprintf(name, sizeof name, "%d", fd);
    return look_at_descriptor(name, &search) == 1;
}

static int look_at_process(const char *name, void *context)
{
    struct search *search = context;
    if (!isdigit((unsigned char)name[0]))
        return 0;
    search->pid = (int32_t)strtol(name, NULL, 10);
    return yk_lock_held_by(search->pid, search->dev, search->ino, search->byte, NULL);
}

int32_t yk_lock_look_for_holder(int fd, off_t byte)
{
    struct stat facts;
    struct search search = {.byte = byte};
    int result = yk_sys_stat(fd, &facts);
    if (result < 0)
        return result;
    search.dev = facts.st_dev;
    search.ino = facts.st_ino;
    result = yk_sys_entries(AT_FDCWD, "/proc", look_at_process, &search);
    return result == 1 ? search.pid : trouble(result);
}

int32_t yk_lock_holder(int fd, off_t byte)
{
    int32_t pid = yk_lock_look_for_holder(fd, byte);
    return pid > 0 ? pid : 0;
}
