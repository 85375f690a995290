/*
 * fifo.c - see fifo.h.
 */
#include "fifo.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/sys.h"
#include "yoke.h"

#define USERS    0 /* the bytes of the file */
#define CHANGING 1

#define TEXT_OF(x)    #x
#define VALUE_OF(x)   TEXT_OF(x)
#define LINE          "yoke-fifo" VALUE_OF(YK_FIFO_VERSION) " capacity=%" PRIu64 " kept=%d\n"
#define LINE_SCAN     "yoke-fifo" VALUE_OF(YK_FIFO_VERSION) " capacity=%" SCNu64 " kept=%d%c"
#define NOTHING       "-" /* in the place of the line: there is none any more, or not yet */
#define LINE_MOST     80
#define NAP           500000
#define CAPACITY_MOST (UINT64_C(1) << 31)

static void fifo_path(char path[YK_ENTRY_MAX], const char *name)
{
    snprintf(path, YK_ENTRY_MAX, ".fifo-%.200s", name);
}

void yk_fifo_entry(char entry[YK_ENTRY_MAX], const char *name)
{
    snprintf(entry, YK_ENTRY_MAX, "stream.%.200s" YK_FIFO_ENTRY, name); /* names are shorter */
}

bool yk_fifo_is_entry(const char *entry, char name[YK_ENTRY_MAX])
{
    size_t length = strnlen(entry, YK_ENTRY_MAX), before = sizeof "stream." - 1,
           behind = sizeof YK_FIFO_ENTRY - 1;
    if (length >= YK_ENTRY_MAX || length <= before + behind ||
        strncmp(entry, "stream.", before) != 0 ||
        strcmp(entry + length - behind, YK_FIFO_ENTRY) != 0)
        return false;
    memcpy(name, entry + before, length - before - behind);
    name[length - before - behind] = '\0';
    return yk_name_check(YK_KIND_STREAM, name) == 0;
}

/* ---- the file ---- */

static int no_access(const struct yk_directory *directory, const char *name, int error)
{
    bool link = error == -ELOOP, other = error == -EISDIR || error == -ENXIO;
    return yk_fail(link    ? EACCES
                   : other ? EPROTO
                           : -error,
                   "stream:%s@kernel in %s can not be opened: %s", name, directory->path,
                   link    ? "it is a symbolic link"
                   : other ? "it is not what yoke made"
                           : strerror(-error));
}

static int no_facts(const struct yk_directory *directory, const char *path, int error)
{
    return yk_fail(-error, "%s/%s can not be asked: %s", directory->path, path, strerror(-error));
}

/* Does the path still lead to this very file? 1, 0, or an error with its sentence. */
static int is_at(int fd, const struct yk_directory *directory, const char *path)
{
    struct stat one, other;
    int result = yk_sys_stat_at(directory->fd, path, &other);
    if (result == -ENOENT)
        return 0;
    if (result == 0)
        result = yk_sys_stat(fd, &one);
    return result < 0 ? no_facts(directory, path, result)
                      : one.st_ino == other.st_ino && one.st_dev == other.st_dev;
}

/* Its owner can change it, others can only be users. */
static int open_file(const struct yk_directory *directory, const char *name, int flags)
{
    char path[YK_ENTRY_MAX];
    yk_fifo_entry(path, name);
    int fd = yk_sys_open(directory->fd, path, O_RDWR | flags, 0600);
    return fd == -EACCES && flags == 0 ? yk_sys_open(directory->fd, path, O_RDONLY, 0) : fd;
}

static int no_fifo(const struct yk_directory *directory, const char *path)
{
    return yk_fail(EPROTO, "%s/%s is not what yoke made", directory->path, path);
}

/*
 * The file's line. 0; -ENOENT: it has none, or not all of it; -EPROTONOSUPPORT: another version's;
 * -EPROTO: no yoke wrote that, or (a hard link) it is some other file, too.
 */
static int read_line(const struct yk_directory *directory, const char *name, int fd,
                     const struct stat *file, struct yk_fifo_facts *ret)
{
    char text[LINE_MOST + 1], path[YK_ENTRY_MAX], end;
    int kept;
    uint64_t version;
    yk_fifo_entry(path, name);
    if (!S_ISREG(file->st_mode))
        return no_fifo(directory, path);
    ssize_t size = yk_sys_read_all(fd, text, LINE_MOST, 0);
    if (size < 0)
        return no_facts(directory, path, (int)size);
    text[size] = '\0';
    int saved = errno; /* which sscanf() changes */
    bool whole = text[0] != NOTHING[0] && strchr(text, '\n');
    bool ours = whole && sscanf(text, LINE_SCAN, &ret->capacity, &kept, &end) == 3 && end == '\n';
    bool others = whole && !ours && sscanf(text, "yoke-fifo%" SCNu64 "%c", &version, &end) == 2 &&
                  end == ' ' && version != YK_FIFO_VERSION;
    errno = saved;
    if (ours) {
        ret->kept = kept != 0;
        return 0;
    }
    if (others)
        return yk_layout_check(yk_entry_address(path), version, YK_FIFO_VERSION);
    return whole || file->st_nlink > 1 ? no_fifo(directory, path) : -ENOENT;
}

/* As read_line(); -ENOENT, too, when the FIFO is not there, and -EPROTO when it is another's. */
static int read_facts(const struct yk_directory *directory, int fd, const char *name,
                      struct yk_fifo_facts *ret)
{
    char path[YK_ENTRY_MAX];
    struct stat file, fifo;
    struct yk_fifo_facts facts = {.kept = false};
    yk_fifo_entry(path, name);
    int result = yk_sys_stat(fd, &file);
    if (result < 0)
        return no_facts(directory, path, result);
    result = read_line(directory, name, fd, &file, &facts);
    if (result < 0)
        return result;
    fifo_path(path, name);
    result = yk_sys_stat_at(directory->fd, path, &fifo);
    if (result < 0)
        return result == -ENOENT ? result : no_facts(directory, path, result);
    if (!S_ISFIFO(fifo.st_mode) || fifo.st_uid != file.st_uid)
        return no_fifo(directory, path);
    facts.mode = fifo.st_mode & 0777;
    facts.uid = fifo.st_uid;
    facts.gid = fifo.st_gid;
    facts.created_ns = (int64_t)file.st_mtim.tv_sec * 1000000000 + file.st_mtim.tv_nsec;
    *ret = facts;
    return 0;
}

/* ---- who changes it ---- */

/*
 * One at a time: by the lock on the name, which nobody but the owner and root can open. Everybody who
 * uses the stream may read its file, and so could share byte CHANGING and keep it for ever; that the
 * changer has it alone only shows them that somebody is at it.
 */
struct change {
    struct yk_name_lock lock;
    int fd;
};

static void show_change(struct change *change, int fd)
{
    change->fd = fd;
    if (fd >= 0)
        yk_sys_lock_byte(fd, CHANGING);
}

/*
 * `fd` is negative when there is no file yet. 0, -EXDEV (without a sentence): another user's, -EBUSY:
 * after so long.
 */
static int begin_change(struct change *change, const struct yk_directory *directory, int fd,
                        const char *name, int64_t patience_ns)
{
    char path[YK_ENTRY_MAX];
    uint32_t me = yk_sys_effective_uid();
    struct stat facts = {.st_uid = me};
    yk_fifo_entry(path, name);
    int result = fd < 0 ? 0 : yk_sys_stat(fd, &facts);
    if (result < 0)
        return no_facts(directory, path, result);
    if (facts.st_uid != me && me != 0)
        return -EXDEV;
    result = yk_directory_lock(&change->lock, directory, facts.st_uid, path, patience_ns);
    if (result == 0)
        show_change(change, fd);
    return result;
}

static void end_change(struct change *change)
{
    if (change->fd >= 0)
        yk_sys_unlock_byte(change->fd, CHANGING);
    yk_directory_unlock(&change->lock);
}

/*
 * May it be written to? What else has the name, such as a link that somebody hostile made to another file
 * of ours, is not yoke's; nor is another version's this one's. Gone names' files have no link.
 */
static int check_plain(int fd, const struct yk_directory *directory, const char *name)
{
    char path[YK_ENTRY_MAX];
    struct yk_fifo_facts facts;
    struct stat file;
    yk_fifo_entry(path, name);
    int result = yk_sys_stat(fd, &file);
    if (result < 0)
        return no_facts(directory, path, result);
    if (!S_ISREG(file.st_mode) || file.st_nlink > 1 || file.st_size > LINE_MOST)
        return no_fifo(directory, path);
    result = read_line(directory, name, fd, &file, &facts);
    return result == -ENOENT ? 0 : result;
}

/* ---- making and removing; the caller changes it ---- */

static void unmake(const struct yk_directory *directory, int fd, const char *name)
{
    char path[YK_ENTRY_MAX];
    yk_sys_write_all(fd, NOTHING, 1, 0); /* no line any more: from here on there is no stream */
    fifo_path(path, name);
    int result = yk_sys_unlink(directory->fd, path);
    yk_fifo_entry(path, name);
    if (result == 0 || result == -ENOENT) /* else the FIFO could not be found by it any more */
        yk_sys_unlink(directory->fd, path);
}

static int set_access(int fd, uint32_t mode, int64_t group)
{
    int result = group < 0 ? 0 : yk_sys_chown(fd, (uid_t)-1, (gid_t)group);
    return result < 0 ? result : yk_sys_chmod(fd, mode);
}

static int make_fifo(const struct yk_directory *directory, const struct yk_fifo_plan *plan)
{
    char path[YK_ENTRY_MAX];
    fifo_path(path, plan->name);
    int result = yk_sys_unlink(directory->fd, path); /* of who died while it made one */
    if (result == -EISDIR)                           /* another user's lies in the way */
        return -EACCES;
    if (result == 0 || result == -ENOENT)
        result = yk_sys_make_fifo(directory->fd, path, 0600, (uint32_t)-1);
    /* both ways: so it opens at once, and nobody else can have it open yet */
    int fd = result < 0 ? result : yk_sys_open(directory->fd, path, O_RDWR, 0);
    if (fd < 0)
        return fd;
    result = set_access(fd, plan->mode ? plan->mode : 0600, plan->group);
    yk_sys_close(fd);
    return result;
}

static int make(const struct yk_directory *directory, int fd, const struct yk_fifo_plan *plan)
{
    char line[LINE_MOST];
    uint32_t mode = plan->mode ? plan->mode : 0600;
    int length = snprintf(line, sizeof line, LINE, plan->capacity, (plan->flags & YOKE_KEPT) != 0);
    int result = make_fifo(directory, plan);
    /* who may use the FIFO in any way may read the file, and so be its user */
    if (result == 0)
        result = set_access(fd, ((mode | mode << 1) & 0444) | 0200, plan->group);
    if (result == 0)
        result = yk_sys_write_all(fd, line, (size_t)length, 0);
    if (result < 0)
        unmake(directory, fd, plan->name);
    return result < 0 ? yk_fail(-result, "stream:%s@kernel can not be made in %s: %s", plan->name,
                                directory->path, strerror(-result))
                      : 0;
}

static int somebody_is_at_it(int fd, off_t byte, const char *name)
{
    return yk_fail(EBUSY, "process %d is creating or removing stream:%s@kernel",
                   yk_lock_holder(fd, byte), name);
}

/* Becomes a user. Who makes or removes it holds the byte alone, for a moment only. */
static int share_patiently(int fd, const char *name)
{
    int64_t deadline = yk_now() + YK_PATIENCE;
    for (;;) {
        int result = yk_sys_share_byte(fd, USERS);
        if (result != -EAGAIN)
            return result < 0 ? yk_fail(-result, "stream:%s@kernel can not be locked: %s", name,
                                        strerror(-result))
                              : 0;
        if (yk_now() > deadline)
            return somebody_is_at_it(fd, USERS, name);
        yk_nap(NAP);
    }
}

/* Has everybody who used it died? Then it is the caller's alone, who changes it. */
static bool is_deserted(int fd)
{
    return yk_sys_lock_byte(fd, USERS) == 0;
}

/*
 * Under the change: nobody alive makes or removes it, and there is no stream. Its file may have users all the
 * same: they had it open when somebody removed it, who died at that.
 */
static bool is_half_gone(const struct yk_directory *directory, int fd, const char *name)
{
    struct yk_fifo_facts facts;
    return read_facts(directory, fd, name, &facts) == -ENOENT;
}

/* ---- opening ---- */

/*
 * The file's user now, and it is the one of that name. -EAGAIN: it went meanwhile. -ENOENT: there
 * is no stream, or only what dead ones left of it.
 */
static int use(const struct yk_directory *directory, int fd, const char *name,
               struct yk_fifo_facts *ret)
{
    char path[YK_ENTRY_MAX];
    yk_fifo_entry(path, name);
    int result = share_patiently(fd, name);
    if (result < 0)
        return result;
    int there = is_at(fd, directory, path);
    if (there != 1)
        return there < 0 ? there : -EAGAIN;
    result = read_facts(directory, fd, name, ret);
    /* its maker is at it */
    for (int64_t end = yk_now() + YK_PATIENCE;
         result == -ENOENT && yk_sys_byte_is_held_alone(fd, CHANGING) == 1 && yk_now() < end;) {
        yk_nap(NAP);
        there = is_at(fd, directory, path);
        result = there == 1 ? read_facts(directory, fd, name, ret) : there < 0 ? there : -EAGAIN;
    }
    if (result == -ENOENT && yk_sys_byte_is_held_alone(fd, CHANGING) == 1)
        return somebody_is_at_it(fd, CHANGING, name);
    /* all who used it are dead: what was in it went with them */
    if (result == 0 && !ret->kept && yk_sys_byte_is_locked(fd, USERS, 1) == 0)
        return -ENOENT;
    return result;
}

static int open_guarded(const struct yk_directory *directory, const char *name, int flags,
                        struct yk_guarded_fd *file)
{
    yk_guards_lock();
    int fd = file->fd = open_file(directory, name, flags);
    yk_guards_unlock();
    return fd;
}

static int open_existing(const struct yk_directory *directory, const char *name,
                         struct yk_guarded_fd *file, struct yk_fifo_facts *ret)
{
    int result = open_guarded(directory, name, 0, file);
    if (result >= 0)
        result = use(directory, file->fd, name, ret);
    else if (result != -ENOENT)
        return no_access(directory, name, result);
    return result;
}

/* Nothing whole is there, and nobody uses it: it is made. -EAGAIN: to be looked for again. */
static int create_locked(const struct yk_directory *directory, int fd,
                         const struct yk_fifo_plan *plan, struct yk_fifo_facts *ret)
{
    char path[YK_ENTRY_MAX];
    yk_fifo_entry(path, plan->name);
    int there = is_at(fd, directory, path);
    if (there != 1)
        return there < 0 ? there : -EAGAIN;
    int result = check_plain(fd, directory, plan->name);
    if (result < 0)
        return result;
    if (!is_deserted(fd)) {
        if (is_half_gone(directory, fd, plan->name))
            unmake(directory, fd, plan->name);
        return -EAGAIN;
    }
    result = read_facts(directory, fd, plan->name, ret);
    if (result == 0 && ret->kept)
        return -EAGAIN;
    if (result < 0 && result != -ENOENT && result != -EPROTO)
        return result;
    yk_sys_write_all(fd, NOTHING, 1, 0); /* what the dead left is nothing */
    result = make(directory, fd, plan);
    bool made = result == 0;
    if (made)
        result = read_facts(directory, fd, plan->name, ret);
    int shared = result == 0 ? yk_sys_share_byte(fd, USERS) : 0; /* the only user so far */
    if (shared < 0)
        result = yk_fail(-shared, "stream:%s@kernel can not be locked: %s", plan->name,
                         strerror(-shared));
    if (result < 0 && made)
        unmake(directory, fd, plan->name);
    return result;
}

/* Whoever changes it makes it; who comes second finds it. -EAGAIN: to be looked for again. */
static int create(const struct yk_directory *directory, const struct yk_fifo_plan *plan,
                  struct yk_guarded_fd *file, struct yk_fifo_facts *ret)
{
    struct change change;
    int fd = open_guarded(directory, plan->name, 0, file);
    if (fd < 0 && fd != -ENOENT)
        return no_access(directory, plan->name, fd);
    int result = begin_change(&change, directory, fd, plan->name, YK_PATIENCE);
    if (result == -EXDEV)
        return yk_fail(EEXIST,
                       "stream:%s@kernel is the name of a dead stream of another user: only its "
                       "owner or root can clear it",
                       plan->name);
    if (result < 0)
        return result;
    if (fd < 0) {
        fd = open_guarded(directory, plan->name, O_CREAT | O_EXCL, file);
        show_change(&change, fd);
    }
    result = fd >= 0         ? create_locked(directory, fd, plan, ret)
             : fd == -EEXIST ? -EAGAIN
                             : no_access(directory, plan->name, fd);
    end_change(&change);
    return result;
}

static void drop(struct yk_guarded_fd *file)
{
    yk_guards_lock();
    if (file->fd >= 0)
        yk_sys_close(file->fd);
    file->fd = -1;
    yk_guards_unlock();
}

static int find_or_make(struct yk_fifo *fifo, const struct yk_directory *directory,
                        const struct yk_fifo_plan *plan)
{
    for (int attempt = 0; attempt < 16; attempt++) {
        int result = open_existing(directory, plan->name, &fifo->file, &fifo->facts);
        if (result == 0 && (plan->flags & YOKE_EXCLUSIVE))
            return yk_fail(EEXIST, "stream:%s@kernel exists already", plan->name);
        if (result != -ENOENT && result != -EAGAIN)
            return result;
        drop(&fifo->file);
        if (result == -ENOENT && !(plan->flags & YOKE_CREATE)) {
            yk_fifo_reap(directory, plan->name, false);
            return yk_fail(ENOENT, "there is no stream:%s@kernel in %s", plan->name,
                           directory->path);
        }
        if (result == -EAGAIN)
            yk_nap(NAP);
        if (result == -EAGAIN)
            continue;
        result = create(directory, plan, &fifo->file, &fifo->facts);
        fifo->created = result == 0;
        if (result != -EAGAIN)
            return result;
        drop(&fifo->file);
        yk_nap(NAP);
    }
    return yk_fail(EBUSY, "stream:%s@kernel is created and removed all the time", plan->name);
}

int yk_fifo_open(struct yk_fifo *fifo, const struct yk_fifo_plan *plan)
{
    struct yk_directory directory;
    int result = yk_name_check(YK_KIND_STREAM, plan->name);
    if (result == 0)
        result = yk_fork_init();
    if (result == 0)
        result = yk_directory_open(&directory, NULL, (plan->flags & YOKE_CREATE) == 0);
    if (result < 0)
        return result;
    *fifo = (struct yk_fifo){.fork_stamp = yk_fork_stamp()};
    snprintf(fifo->name, sizeof fifo->name, "%s", plan->name);
    memcpy(fifo->directory, directory.path, sizeof fifo->directory);
    yk_guard(&fifo->file, -1, true);
    result = find_or_make(fifo, &directory, plan);
    yk_directory_close(&directory);
    if (result < 0)
        yk_unguard_and_close(&fifo->file);
    return result;
}

/* After a fork the file is open anew, or not at all, and nothing is locked. */
static int enter_afresh(struct yk_fifo *fifo)
{
    struct yk_directory directory;
    int result = yk_directory_open(&directory, fifo->directory, true);
    if (result < 0)
        return result;
    if (fifo->file.fd < 0) {
        yk_guards_lock();
        fifo->file.fd = open_file(&directory, fifo->name, 0);
        yk_guards_unlock();
    }
    result = fifo->file.fd < 0 ? no_access(&directory, fifo->name, fifo->file.fd)
                               : share_patiently(fifo->file.fd, fifo->name);
    yk_directory_close(&directory);
    return result;
}

int yk_fifo_enter(struct yk_fifo *fifo)
{
    int result = 0;
    if (yk_likely(fifo->fork_stamp == yk_fork_stamp()))
        return 0;
    yk_process_lock();
    if (fifo->fork_stamp != yk_fork_stamp())
        result = enter_afresh(fifo);
    if (result == 0)
        fifo->fork_stamp = yk_fork_stamp();
    yk_process_unlock();
    return result;
}

/* ---- closing and removing ---- */

/* Through `fd`, which may be a user's own. True when nobody else uses it, or it was half gone: it is gone now. */
static bool unmake_if_deserted(const struct yk_directory *directory, int fd, const char *name,
                               bool also_kept, bool dry_run)
{
    char path[YK_ENTRY_MAX];
    struct yk_fifo_facts facts;
    struct change change;
    yk_fifo_entry(path, name);
    if (begin_change(&change, directory, fd, name, 0) < 0)
        return false; /* somebody else is at it; or this is not the owner's */
    bool is = is_at(fd, directory, path) == 1 && check_plain(fd, directory, name) == 0 &&
              (is_deserted(fd) || is_half_gone(directory, fd, name));
    int result = is && !also_kept ? read_facts(directory, fd, name, &facts) : -ENOENT;
    is = is && (result == -ENOENT || result == -EPROTO || (result == 0 && !facts.kept));
    if (is && !dry_run)
        unmake(directory, fd, name);
    end_change(&change);
    return is;
}

void yk_fifo_close(struct yk_fifo *fifo, bool abandon)
{
    struct yk_directory directory;
    bool used = fifo->fork_stamp == yk_fork_stamp();
    bool may_go = !fifo->facts.kept || (abandon && fifo->created);
    if (used && may_go && yk_directory_open(&directory, fifo->directory, true) == 0) {
        unmake_if_deserted(&directory, fifo->file.fd, fifo->name, true, false);
        yk_directory_close(&directory);
    }
    yk_unguard_and_close(&fifo->file);
}

int yk_fifo_reap(const struct yk_directory *directory, const char *name, bool dry_run)
{
    int fd = open_file(directory, name, 0);
    if (fd < 0)
        return 0;
    bool is = unmake_if_deserted(directory, fd, name, false, dry_run);
    yk_sys_close(fd);
    return is;
}

int yk_fifo_look(const struct yk_directory *directory, const char *name, struct yk_fifo_facts *ret)
{
    int fd = open_file(directory, name, 0);
    if (fd < 0)
        return fd == -ENOENT ? fd : no_access(directory, name, fd);
    int result = read_facts(directory, fd, name, ret);
    if (result == 0)
        ret->used = yk_sys_byte_is_locked(fd, USERS, 1) != 0;
    yk_sys_close(fd);
    return result;
}

static int remove_locked(const struct yk_directory *directory, int fd, const char *name)
{
    char path[YK_ENTRY_MAX];
    struct yk_fifo_facts facts;
    struct stat file;
    yk_fifo_entry(path, name);
    int there = is_at(fd, directory, path);
    if (there != 1)
        return there < 0 ? there : -ENOENT;
    int result = yk_sys_stat(fd, &file);
    result = result < 0 ? no_facts(directory, path, result)
                        : read_line(directory, name, fd, &file, &facts);
    if (result < 0 && result != -EPROTONOSUPPORT)
        return result;
    unmake(directory, fd, name);
    return 0;
}

static int remove_file(const struct yk_directory *directory, int fd, const char *name)
{
    struct change change;
    int result = begin_change(&change, directory, fd, name, YK_PATIENCE);
    if (result < 0)
        return result;
    result = remove_locked(directory, fd, name);
    end_change(&change);
    return result;
}

int yk_fifo_remove(const char *name)
{
    struct yk_directory directory;
    int result = yk_name_check(YK_KIND_STREAM, name);
    if (result == 0)
        result = yk_directory_open(&directory, NULL, true);
    if (result < 0)
        return result;
    char path[YK_ENTRY_MAX];
    yk_fifo_entry(path, name);
    int fd = yk_sys_open(directory.fd, path, O_RDWR, 0);
    result = fd == -EACCES ? -EXDEV : fd;
    if (fd < 0 && fd != -ENOENT && fd != -EACCES)
        result = no_access(&directory, name, fd);
    if (fd >= 0) {
        result = remove_file(&directory, fd, name);
        yk_sys_close(fd);
    }
    if (result == -EXDEV)
        result = yk_fail(EACCES,
                         "stream:%s@kernel belongs to another user: only its owner or root may "
                         "remove it",
                         name);
    if (result == -ENOENT)
        yk_fail(ENOENT, "there is no stream:%s@kernel in %s", name, directory.path);
    yk_directory_close(&directory);
    return result < 0 ? result : 0;
}

/* ---- its ends ---- */

/* While the owner takes it away, another user can put a FIFO in its place. 1, 0, or an error. */
static int is_theirs(const struct yk_fifo *fifo, const struct yk_directory *directory,
                     const char *path, int fd)
{
    struct stat facts;
    int result = yk_sys_stat(fd, &facts);
    return result < 0 ? no_facts(directory, path, result)
                      : S_ISFIFO(facts.st_mode) && facts.st_uid == fifo->facts.uid;
}

/* The file is open here, so no other one can have its number. */
static int connect_in(const struct yk_fifo *fifo, const struct yk_directory *directory,
                      bool writing)
{
    char path[YK_ENTRY_MAX], file[YK_ENTRY_MAX];
    fifo_path(path, fifo->name);
    yk_fifo_entry(file, fifo->name);
    int fd = yk_sys_open(directory->fd, path, writing ? O_WRONLY : O_RDONLY, 0);
    if (fd != -ENXIO && fd != -ENOENT && fd < 0) /* ENXIO: nobody reads */
        return no_access(directory, fifo->name, fd);
    int there = fd == -ENOENT ? 0 : is_at(fifo->file.fd, directory, file);
    if (there == 1 && fd >= 0)
        there = is_theirs(fifo, directory, path, fd);
    if (there == 1)
        return fd;
    if (fd >= 0) /* of another one that has the name now */
        yk_sys_close(fd);
    if (there < 0)
        return there;
    return yk_fail(ENOENT, "stream:%s@kernel was removed before this end was connected",
                   fifo->name);
}

int yk_fifo_connect(const struct yk_fifo *fifo, bool writing)
{
    struct yk_directory directory;
    int result = yk_directory_open(&directory, fifo->directory, true);
    if (result < 0)
        return result;
    result = connect_in(fifo, &directory, writing);
    yk_directory_close(&directory);
    return result;
}

int yk_fifo_watch(const struct yk_fifo *fifo)
{
    char path[sizeof fifo->directory + YK_ENTRY_MAX], name[YK_ENTRY_MAX];
    fifo_path(name, fifo->name);
    snprintf(path, sizeof path, "%s/%s", fifo->directory, name);
    return yk_sys_watch_opens(path);
}
