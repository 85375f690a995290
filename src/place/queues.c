/*
 * queues.c - see queues.h.
 */
#include "queues.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/error.h"
#include "base/sys.h"
#include "yoke.h"

/* Of the record, and of what stands before each message (channel.c). */
#define QUEUES_LAYOUT ((uint64_t)YK_QUEUES_VERSION)

#define SEAT_PATIENCE INT64_C(20000000)
#define NAP           INT64_C(500000)

/* ---- who has it open ---- */

/* Into queues->lock.fd, which is guarded already. */
static int open_lock_file(struct yk_queues *queues, const struct yk_directory *directory, int flags)
{
    char path[48];
    yk_live_path(path, queues->record.nonce);
    yk_guards_lock(); /* a child forked between these two would share the description unseen */
    int fd = yk_live_open(directory, path, flags);
    if (fd >= 0)
        queues->lock.fd = fd;
    yk_guards_unlock();
    if (fd < 0 && fd != -ENOENT)
        return yk_fail(-fd, "the lock file %s/%s can not be opened: %s", directory->path, path,
                       fd == -EPROTO ? "it is not what yoke made" : strerror(-fd));
    return fd < 0 ? fd : 0;
}

/* One try. -EAGAIN: all are locked. */
static int lock_any_byte(struct yk_queues *queues)
{
    uint32_t count = queues->seat == YK_ANY_SEAT ? queues->record.participants : 1;
    uint32_t first =
        queues->seat == YK_ANY_SEAT ? (uint32_t)yk_sys_process_id() : (uint32_t)queues->seat;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t slot = queues->seat == YK_ANY_SEAT ? (first + i) % count : first;
        int result = yk_sys_lock_byte(queues->lock.fd, YK_LIFE_BYTE(slot));
        if (result == 0)
            queues->slot = slot;
        if (result != -EAGAIN)
            return result;
    }
    return -EAGAIN;
}

static int all_taken(const struct yk_queues *queues, bool removing)
{
    const char *address = yk_entry_address(queues->entry);
    int fd = queues->lock.fd;
    if (removing)
        return yk_fail(EBUSY, "process %d is removing %s, which nobody had open",
                       yk_lock_holder(fd, YK_RECOVERY_BYTE(0)), address);
    if (queues->seat == YK_ANY_SEAT)
        return yk_fail(ENOSPC,
                       "%s has %u participants, and all are alive: it was created for no more",
                       address, queues->record.participants);
    int32_t holder = yk_lock_holder(fd, YK_LIFE_BYTE(queues->seat));
    if (holder == yk_sys_process_id())
        return yk_fail(EADDRINUSE, "%s is open already, in this very process %d", address, holder);
    return yk_fail(EADDRINUSE, "%s belongs to process %d, which is alive", address, holder);
}

/*
 * Who had the only seat may just be ending. Who holds all bytes, those that are nobody's included, is
 * taking the name away.
 */
static int join(struct yk_queues *queues)
{
    int64_t begin = yk_now();
    for (;;) {
        int result = lock_any_byte(queues);
        if (result != -EAGAIN)
            return result < 0 ? yk_fail(-result, "no lock can be had on %s: %s",
                                        yk_entry_address(queues->entry), strerror(-result))
                              : 0;
        bool removing = yk_sys_byte_is_locked(queues->lock.fd, YK_RECOVERY_BYTE(0), 1) == 1;
        int64_t patience = removing ? YK_PATIENCE : queues->seat == YK_ANY_SEAT ? 0 : SEAT_PATIENCE;
        if (yk_now() - begin >= patience)
            return all_taken(queues, removing);
        yk_nap(NAP);
    }
}

/* ---- what is there already ---- */

static void close_all(struct yk_queues *queues)
{
    for (int i = 0; i < YK_QUEUES_MAX; i++) {
        if (queues->fds[i] >= 0)
            yk_sys_close(queues->fds[i]);
        queues->fds[i] = -1;
    }
    yk_unguard_and_close(&queues->lock);
}

static void begin(struct yk_queues *queues)
{
    for (int i = 0; i < YK_QUEUES_MAX; i++)
        queues->fds[i] = -1;
    yk_guard(&queues->lock, -1, true);
    yk_store_relaxed(&queues->fork_stamp, yk_fork_stamp());
}

/* 0, or -EPROTO: it is not what the record's owner made. */
static int check_queue(struct yk_queues *queues, int fd)
{
    struct yk_sys_queue facts;
    struct stat file;
    int result = yk_sys_queue_look(fd, &facts);
    if (result == 0)
        result = yk_sys_stat(fd, &file);
    if (result < 0)
        return yk_fail(-result, "the message queue of %s can not be asked: %s",
                       yk_entry_address(queues->entry), strerror(-result));
    if (file.st_uid != queues->record.uid || facts.message_size == 0)
        return yk_fail(EPROTO, "the message queue of %s belongs to uid %u, its name to uid %u",
                       yk_entry_address(queues->entry), file.st_uid, queues->record.uid);
    queues->depth = facts.depth;
    queues->message_size = facts.message_size;
    return 0;
}

static int open_queue(struct yk_queues *queues, const struct yk_directory *directory, int number)
{
    char name[YK_QUEUE_NAME];
    yk_queue_name(name, directory, queues->record.nonce, number);
    int fd = yk_sys_queue_open(name, O_RDWR);
    if (fd == -ENOENT)
        return fd;
    if (fd < 0)
        return yk_fail(-fd,
                       "the message queue of %s, which belongs to uid %u, can not be opened: %s",
                       yk_entry_address(queues->entry), queues->record.uid, strerror(-fd));
    queues->fds[number] = fd;
    return check_queue(queues, fd);
}

static int check_record(const struct yk_queues *queues, const struct yk_directory *directory)
{
    const struct yk_record *record = &queues->record;
    const char *address = yk_entry_address(queues->entry);
    int result = yk_layout_check(address, record->layout, QUEUES_LAYOUT);
    if (result < 0)
        return result;
    if (record->participants == 0 || record->participants > YOKE_PARTICIPANTS_MAX ||
        record->priorities == 0 || record->priorities > YOKE_PRIORITIES_MAX)
        return yk_fail(EPROTO, "the name of %s holds what no yoke wrote", address);
    result = yk_record_is_foreign(record);
    if (result <= 0)
        return result;
    return yk_record_is_dead(directory, record, true) == 1
               ? -ENOENT
               : yk_record_refuse_foreign(queues->entry, record);
}

/* Once the byte is locked nobody takes the name away because there are no users; but before? */
static int look_again(const struct yk_queues *queues, const struct yk_directory *directory)
{
    struct yk_record now;
    int result = yk_record_read(directory, queues->entry, &now);
    return result == 0 && now.nonce != queues->record.nonce ? -ENOENT : result;
}

/* -ENOENT: it is gone. */
static int open_existing(struct yk_queues *queues, const struct yk_directory *directory)
{
    int result = check_record(queues, directory);
    if (result < 0)
        return result;
    begin(queues);
    for (int i = 0; i < yk_queue_count(queues->record.kind) && result == 0; i++)
        result = open_queue(queues, directory, i);
    if (result == 0)
        result = open_lock_file(queues, directory, 0);
    if (result == 0)
        result = join(queues);
    if (result == 0)
        result = look_again(queues, directory);
    if (result < 0)
        close_all(queues);
    return result;
}

/* ---- creating ---- */

static mode_t users_mode(const struct yk_queues_plan *plan)
{
    uint32_t mode = plan->mode ? plan->mode : 0600;
    return (mode_t)((mode & 0222) | (mode & 0222) << 1); /* who may write may use it, both ways */
}

/* Before anybody else can know it. */
static int give_away(int fd, const struct yk_queues *queues, const struct yk_queues_plan *plan)
{
    int result = plan->group < 0 ? 0 : yk_sys_chown(fd, (uid_t)-1, (gid_t)plan->group);
    if (result == 0)
        result = yk_sys_chmod(fd, users_mode(plan));
    return result < 0
               ? yk_fail(-result, "%s can not be given to group %lld: %s",
                         yk_entry_address(queues->entry), (long long)plan->group, strerror(-result))
               : 0;
}

static int make_queue(struct yk_queues *queues, const struct yk_directory *directory,
                      const struct yk_queues_plan *plan, int number)
{
    char name[YK_QUEUE_NAME];
    yk_queue_name(name, directory, queues->record.nonce, number);
    int fd =
        yk_sys_queue_make(name, 0600, plan->size.depth, plan->size.max_message + plan->size.header);
    if (fd < 0)
        return yk_queue_size_refused(fd, queues->entry, &plan->size, queues->lock.fd);
    queues->fds[number] = fd;
    queues->depth = plan->size.depth;
    queues->message_size = plan->size.max_message + plan->size.header;
    return give_away(fd, queues, plan);
}

/* The FIFO that tells whether one end of a link is there (kernel_link.c). */
static int make_end(const struct yk_queues *queues, const struct yk_directory *directory,
                    const struct yk_queues_plan *plan, int side)
{
    char path[48];
    yk_end_path(path, queues->record.nonce, side);
    int result = yk_sys_make_fifo(directory->fd, path, 0600, (uint32_t)-1);
    int fd = result < 0 ? result : yk_sys_open(directory->fd, path, O_RDONLY, 0);
    if (fd < 0)
        return yk_fail(-fd, "%s/%s can not be made: %s", directory->path, path, strerror(-fd));
    result = give_away(fd, queues, plan);
    yk_sys_close(fd);
    return result;
}

/* Everything between the intent and the published name; on failure the caller undoes. */
static int build(struct yk_queues *queues, const struct yk_directory *directory,
                 const struct yk_queues_plan *plan)
{
    int result = open_lock_file(queues, directory, O_CREAT | O_EXCL);
    if (result == 0)
        result = give_away(queues->lock.fd, queues, plan);
    if (result == 0)
        result = join(queues);
    for (int i = 0; i < 2 && result == 0 && plan->kind == YK_KIND_LINK; i++)
        result = make_end(queues, directory, plan, i);
    for (int i = 0; i < yk_queue_count(plan->kind) && result == 0; i++)
        result = make_queue(queues, directory, plan, i);
    return result;
}

/* Needs no descriptor, the lack of which may be why it failed. */
static void undo(struct yk_queues *queues, const struct yk_directory *directory,
                 const struct yk_directory *intents)
{
    char path[48];
    yk_queues_retire(directory, &queues->record);
    for (int i = 0; i < 2 && queues->record.kind == YK_KIND_LINK; i++) {
        yk_end_path(path, queues->record.nonce, i);
        yk_sys_unlink(directory->fd, path);
    }
    yk_live_path(path, queues->record.nonce);
    yk_sys_unlink(directory->fd, path);
    close_all(queues);
    yk_sys_unlink(intents->fd, queues->entry); /* last: the rest is found by it */
}

/* Under the name's lock. */
static int create_locked(struct yk_queues *queues, const struct yk_directory *directory,
                         const struct yk_directory *intents, const struct yk_queues_plan *plan)
{
    struct yk_record old;
    struct yk_segment_plan access = {.mode = plan->mode ? plan->mode : 0600, .group = plan->group};
    int result = yk_recover_intent(directory, intents, queues->entry);
    if (result < 0)
        return result;
    result = yk_record_read(directory, queues->entry, &old);
    if (result != -ENOENT)
        return result == 0 ? -EEXIST : result;
    begin(queues);
    result = yk_intent_write(intents, queues->entry, &queues->record);
    if (result == 0)
        result = build(queues, directory, plan);
    if (result == 0)
        result = yk_intent_publish(directory, intents, queues->entry, &queues->record, &access);
    if (result < 0)
        undo(queues, directory, intents);
    return result;
}

static int create(struct yk_queues *queues, const struct yk_directory *directory,
                  const struct yk_queues_plan *plan)
{
    struct yk_name_lock lock;
    struct yk_directory intents;
    uint32_t me = yk_sys_effective_uid();
    queues->record = (struct yk_record){
        .kind = plan->kind,
        .flags = YK_OBJECT_QUEUES | (plan->flags & YOKE_KEPT ? YK_OBJECT_KEPT : 0),
        .segment = -1,
        .layout = QUEUES_LAYOUT,
        .priorities = plan->priorities,
        .participants = plan->participants,
        .uid = me,
    };
    strncpy(queues->record.name, plan->name, sizeof queues->record.name - 1);
    int result = yk_ipc_namespace(&queues->record.namespace);
    if (result < 0)
        return result;
    result = yk_sys_random(&queues->record.nonce, sizeof queues->record.nonce);
    if (result < 0)
        return yk_fail(-result, "no random numbers: %s", strerror(-result));
    if (result == 0)
        result = yk_directory_intents(&intents, directory, me, true);
    if (result < 0)
        return result;
    result = yk_directory_lock(&lock, directory, me, queues->entry, YK_PATIENCE);
    if (result == 0) {
        result = create_locked(queues, directory, &intents, plan);
        yk_directory_unlock(&lock);
    }
    yk_directory_close(&intents);
    return result;
}

/* ---- opening and closing ---- */

/* A name whose object is gone: taken away, if that may be. 0 when it is worth another look. */
static int reap(const struct yk_queues *queues, const struct yk_directory *directory)
{
    int result = yk_name_retire(directory, queues->entry, queues->record.nonce, true, YK_PATIENCE);
    if (result == -EACCES)
        return yk_fail(EEXIST,
                       "%s is the name of a dead object of uid %u: only its owner or root can "
                       "clear it",
                       yk_entry_address(queues->entry), queues->record.uid);
    return result == -ENOENT || result == -EBUSY ? 0 : result;
}

static int find_or_make(struct yk_queues *queues, const struct yk_directory *directory,
                        const struct yk_queues_plan *plan)
{
    bool make = (plan->flags & YOKE_CREATE) != 0;
    for (int attempt = 0; attempt < 16; attempt++) {
        int result = yk_record_read(directory, queues->entry, &queues->record);
        bool named = result == 0;
        int dead = named ? yk_record_is_dead(directory, &queues->record, true) : 0;
        if (dead < 0)
            return dead;
        if (named && !dead && (plan->flags & YOKE_EXCLUSIVE))
            return yk_fail(EEXIST, "%s exists already", yk_entry_address(queues->entry));
        if (named)
            result = dead ? -ENOENT : open_existing(queues, directory);
        if (result != -ENOENT)
            return result;
        result = named ? reap(queues, directory) : 0;
        if (!make)
            return yk_fail(ENOENT, "there is no %s in %s", yk_entry_address(queues->entry),
                           directory->path);
        if (result == 0)
            result = create(queues, directory, plan);
        if (result != -EEXIST)
            return result;
    }
    return yk_fail(EBUSY, "%s is created and removed all the time",
                   yk_entry_address(queues->entry));
}

static int check_access(const struct yk_queues_plan *plan)
{
    if ((plan->mode & ~0666u) != 0 || (plan->mode != 0 && (plan->mode & 0600) != 0600))
        return yk_fail(EINVAL,
                       "mode %04o is not possible: read and write bits (0666), and the owner needs "
                       "both (0600)",
                       plan->mode);
    if (plan->group < -1 || plan->group >= UINT32_MAX)
        return yk_fail(EINVAL, "%lld is not a group id, nor -1 for the caller's",
                       (long long)plan->group);
    return 0;
}

int yk_queues_open(struct yk_queues *queues, const struct yk_queues_plan *plan)
{
    struct yk_directory directory;
    int result = yk_name_check(plan->kind, plan->name);
    if (result == 0)
        result = check_access(plan);
    if (result == 0)
        result = yk_fork_init();
    if (result == 0)
        result = yk_directory_open(&directory, NULL, (plan->flags & YOKE_CREATE) == 0);
    if (result < 0)
        return result;
    yk_recover_names(&directory);
    yk_kernel_entry(queues->entry, plan->kind, plan->name);
    memcpy(queues->directory, directory.path, sizeof queues->directory);
    queues->seat = plan->seat;
    result = find_or_make(queues, &directory, plan);
    yk_directory_close(&directory);
    return result;
}

int yk_queues_rejoin(struct yk_queues *queues)
{
    /* closed, or a description of this process's own already, when fork() made it */
    struct yk_directory directory;
    yk_guards_lock();
    int inherited = queues->lock.fd;
    int fresh = inherited >= 0 ? yk_sys_reopen(inherited, O_RDWR) : -ENOENT;
    if (fresh >= 0)
        queues->lock.fd = fresh;
    yk_guards_unlock();
    if (fresh < 0) {
        fresh = yk_directory_open(&directory, queues->directory, true);
        if (fresh >= 0) {
            fresh = open_lock_file(queues, &directory, 0);
            yk_directory_close(&directory);
        }
    }
    if (fresh < 0)
        return fresh == -ENOENT
                   ? yk_fail(ENOENT, "after fork, %s can not be joined: its lock file is gone",
                             yk_entry_address(queues->entry))
                   : fresh;
    if (inherited >= 0)
        yk_sys_close(inherited);
    return join(queues);
}

void yk_queues_close(struct yk_queues *queues)
{
    struct yk_directory directory;
    if (yk_queues_joined(queues)) /* closing alone would not do where a child has a copy */
        yk_sys_unlock_byte(queues->lock.fd, YK_LIFE_BYTE(queues->slot));
    close_all(queues);
    if ((queues->record.flags & YK_OBJECT_KEPT) ||
        yk_directory_open(&directory, queues->directory, true) < 0)
        return;
    if (yk_record_is_deserted(&directory, &queues->record))
        yk_name_retire(&directory, queues->entry, queues->record.nonce, true, YK_PATIENCE);
    yk_directory_close(&directory);
}
