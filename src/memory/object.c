/*
 * object.c - finding, making, joining and leaving a shared object. See object.h and names.h for the
 * protocol.
 */
#include "memory/object.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "base/sys.h"
#include "base/trace.h"
#include "yoke.h"

#define SIZE_MOST (UINT64_C(1) << 46) /* 64 TiB: half of what x86-64 can map */

static void tell(const struct yk_object *object, const char *what)
{
    const struct yk_shm_fixed *fixed = &object->fixed;
    yk_log("%s:%s: %s, %s, %llu bytes, participant %d of %u", yk_kind_name(fixed->kind),
           fixed->name, what, fixed->flags & YK_OBJECT_KEPT ? "kept" : "transient",
           (unsigned long long)object->size, object->read_only ? -1 : (int)object->slot,
           fixed->participants);
}

/* ---- attaching ---- */

int yk_fixed_check(const struct yk_shm_fixed *fixed, uint64_t true_size, uint32_t kind)
{
    if (fixed->layout != YK_LAYOUT)
        return -EPROTONOSUPPORT;
    uint64_t slots = YK_PAGE + (uint64_t)fixed->participants * sizeof(struct yk_shm_slot);
    bool sound = fixed->kind == kind && fixed->size <= true_size && fixed->participants >= 1 &&
                 fixed->participants <= YOKE_PARTICIPANTS_MAX &&
                 fixed->body_offset % YK_PAGE == 0 && fixed->body_offset >= slots &&
                 fixed->body_offset <= fixed->size &&
                 fixed->body_size <= fixed->size - fixed->body_offset &&
                 memchr(fixed->name, '\0', sizeof fixed->name);
    return sound ? 0 : -EPROTO;
}

static int refuse_header(int result, const struct yk_object *object,
                         const struct yk_object_plan *plan)
{
    char entry[YK_ENTRY_MAX];
    yk_name_entry(entry, plan->kind, plan->name);
    const char *address = yk_entry_address(entry);
    return result == -EPROTO ? yk_fail(EPROTO, "the header of %s holds what no yoke wrote", address)
                             : yk_layout_check(address, object->fixed.layout, YK_LAYOUT);
}

uint64_t yk_object_body_offset(uint32_t participants)
{
    uint64_t end = YK_PAGE + (uint64_t)participants * sizeof(struct yk_shm_slot);
    return (end + YK_PAGE - 1) & ~(uint64_t)(YK_PAGE - 1);
}

/*
 * Beside what yk_live_open() has looked at: it is empty, and of the object's owner. Whoever may write the
 * directory could have put another file there, which yk_sys_touch() would then cut.
 */
static int check_lock_file(const struct yk_object *object, const struct yk_directory *directory,
                           const struct yk_record *record)
{
    struct stat facts;
    char path[48];
    int result = yk_sys_stat(object->lock.fd, &facts);
    yk_live_path(path, record->nonce);
    if (result < 0)
        return yk_fail(-result, "%s/%s can not be asked: %s", directory->path, path,
                       strerror(-result));
    if (facts.st_size != 0 || facts.st_uid != record->uid)
        return yk_fail(EPROTO, "%s/%s is not the lock file that yoke made", directory->path, path);
    return 0;
}

/* Into object->lock.fd, which is guarded already. */
static int open_lock_file(struct yk_object *object, const struct yk_directory *directory,
                          uint64_t nonce, int flags)
{
    char path[48];
    yk_live_path(path, nonce);
    /* a child forked between these two lines would share the description unseen */
    yk_guards_lock();
    int fd = yk_live_open(directory, path, flags);
    if (fd >= 0)
        object->lock.fd = fd;
    yk_guards_unlock();
    if (fd == -EMFILE || fd == -ENFILE)
        return yk_fail(-fd, "no descriptor for the lock file: %s", strerror(-fd));
    if (fd < 0 && fd != -ENOENT)
        return yk_fail(-fd, "the lock file %s/%s can not be opened: %s", directory->path, path,
                       fd == -EPROTO ? "it is not what yoke made" : strerror(-fd));
    return fd;
}

int yk_object_join(struct yk_object *object)
{
    yk_store_relaxed(&object->fork_stamp, yk_fork_stamp());
    int result = object->operations->prepare(object);
    if (result < 0 || object->read_only)
        return result;
    result = yk_participant_join(object);
    if (result < 0)
        object->operations->unprepare(object);
    return result;
}

void yk_object_detach(struct yk_object *object)
{
    if (object->anonymous)
        yk_sys_unmap(object->base, object->size);
    else
        yk_sys_shm_detach(object->base);
    yk_unguard_and_close(&object->lock);
}

/* -ENOENT: the object is gone (its name is only still there). */
static int attach_record(struct yk_object *object, const struct yk_directory *directory,
                         const struct yk_record *record, const struct yk_object_plan *plan)
{
    object->read_only = (plan->flags & YOKE_READ_ONLY) != 0;
    object->segment = record->segment;
    int result =
        yk_record_attach(record, object->read_only, &object->base, &object->size, &object->fixed);
    int dead = result == -ENOENT ? yk_record_is_dead(directory, record, true) : 0;
    if (dead < 0)
        return dead;
    if (result == -ENOENT && !dead)
        return yk_fail(EPROTO, "the header of %s:%s holds what no yoke wrote",
                       yk_kind_name(record->kind), record->name);
    if (result < 0)
        return result;
    yk_guard(&object->lock, -1, true);
    result = yk_fixed_check(&object->fixed, object->size, plan->kind);
    if (result < 0)
        refuse_header(result, object, plan);
    else if (strcmp(object->fixed.name, plan->name) != 0)
        result = yk_fail(EPROTO, "the name %s:%s leads to an object of another name",
                         yk_kind_name(plan->kind), plan->name);
    if (result == 0 && !object->read_only)
        result = open_lock_file(object, directory, record->nonce, 0);
    if (result >= 0 && !object->read_only)
        result = check_lock_file(object, directory, record);
    if (result >= 0)
        result = yk_object_join(object);
    if (result < 0)
        yk_object_detach(object);
    return result;
}

/*
 * The namespace is asked for last, since that costs as much as ten of the other questions: what is
 * somewhere else is not found here, whoever has that id here.
 */
static int open_existing(struct yk_object *object, const struct yk_directory *directory,
                         const char *entry, const struct yk_record *record,
                         const struct yk_object_plan *plan)
{
    if (record->layout != YK_LAYOUT)
        return yk_record_is_dead(directory, record, true) == 1
                   ? -ENOENT
                   : yk_layout_check(yk_entry_address(entry), record->layout, YK_LAYOUT);
    int result = attach_record(object, directory, record, plan);
    if (result == 0)
        return 0;
    uint64_t own;
    int asked = yk_ipc_namespace(&own);
    if (asked < 0 || record->namespace == own)
        return asked < 0 ? asked : result;
    return yk_record_is_dead(directory, record, true) == 1
               ? -ENOENT
               : yk_record_refuse_foreign(entry, record);
}

/* ---- creating ---- */

struct creation {
    const struct yk_object_plan *plan;
    const struct yk_directory *directory;
    struct yk_directory intents;
    const char *entry;
    struct yk_segment_plan segment;
    struct yk_record record;
};

static mode_t live_mode(uint32_t mode)
{
    return (mode_t)((mode & 0222) | (mode & 0222) << 1);
}

static int make_lock_file(struct yk_object *object, const struct creation *creation)
{
    int fd = open_lock_file(object, creation->directory, creation->record.nonce, O_CREAT | O_EXCL);
    if (fd < 0)
        return fd;
    int result = creation->segment.group < 0
                     ? 0
                     : yk_sys_chown(fd, (uid_t)-1, (gid_t)creation->segment.group);
    if (result == 0)
        result = yk_sys_chmod(fd, live_mode(creation->segment.mode));
    if (result < 0)
        return yk_fail(-result, "%s can not be given to group %lld: %s",
                       yk_entry_address(creation->entry), (long long)creation->segment.group,
                       strerror(-result));
    return 0;
}

static int no_random(int result)
{
    return yk_fail(-result, "no random numbers: %s", strerror(-result));
}

/* Each key is in the intent before the segment is made under it. */
static int make_segment(struct yk_object *object, struct creation *creation)
{
    for (int attempt = 0; attempt < 16; attempt++) {
        int result = yk_sys_random(&creation->record.key, sizeof creation->record.key);
        if (result < 0)
            return no_random(result);
        creation->record.key = (creation->record.key & INT_MAX) | 1;
        if (yk_sys_shm_get((key_t)creation->record.key, 0, 0) != -ENOENT)
            continue; /* no intent ever names what is somebody else's */
        result = yk_intent_write(&creation->intents, creation->entry, &creation->record);
        if (result < 0)
            return result;
        result = yk_segment_create(creation->record.key, &creation->segment);
        if (result == -EEXIST)
            continue;
        object->segment = result;
        return result < 0 ? result : 0;
    }
    return yk_fail(ENOSPC, "no free System V key was found for %s",
                   yk_entry_address(creation->entry));
}

static int attach_new(struct yk_object *object, const struct creation *creation)
{
    int result = yk_segment_set_group(object->segment, &creation->segment);
    if (result < 0)
        return result;
    result = yk_sys_shm_attach(object->segment, false, &object->base);
    if (result < 0)
        return yk_fail(-result, "a segment of %llu bytes can not be attached: %s",
                       (unsigned long long)creation->segment.size, strerror(-result));
    object->size = creation->segment.size;
    return 0;
}

void yk_object_fill_header(struct yk_object *object, const struct yk_object_plan *plan,
                           const struct yk_shm_fixed *own)
{
    struct yk_shm_fixed *fixed = &object->fixed;
    *fixed = *own;
    fixed->magic = YK_MAGIC;
    fixed->layout = YK_LAYOUT;
    fixed->body_offset = yk_object_body_offset(plan->participants);
    fixed->body_size = plan->body_size;
    fixed->created_ns = yk_now_wall();
    fixed->kind = plan->kind;
    fixed->flags = plan->flags & YOKE_KEPT ? YK_OBJECT_KEPT : 0;
    fixed->participants = plan->participants;
    fixed->creator = yk_sys_process_id();
    strncpy(fixed->name, plan->name, sizeof fixed->name - 1);
    if (plan->details_size > 0)
        memcpy(fixed->details, plan->details, plan->details_size);
    memcpy(object->base, fixed, sizeof *fixed);
}

static void fill_header(struct yk_object *object, const struct creation *creation)
{
    struct yk_shm_fixed own = {
        .nonce = creation->record.nonce,
        .directory_dev = creation->directory->dev,
        .directory_ino = creation->directory->ino,
        .size = creation->segment.size,
        .mode = creation->segment.mode,
    };
    yk_object_fill_header(object, creation->plan, &own);
}

/* Everything between the intent and the published name; on failure the caller undoes. */
static int build(struct yk_object *object, struct creation *creation)
{
    int result = make_segment(object, creation);
    if (result == 0)
        result = attach_new(object, creation);
    if (result < 0)
        return result;
    fill_header(object, creation);
    if (!(creation->plan->flags & YOKE_KEPT))
        /* marked: it goes with its last attachment, whatever happens */
        result = yk_sys_shm_remove(object->segment);
    if (result < 0)
        return yk_fail(-result, "segment %d can not be marked for removal: %s", object->segment,
                       strerror(-result));
    creation->record.segment = object->segment;
    result = make_lock_file(object, creation);
    if (result == 0 && (creation->plan->flags & YOKE_POPULATE)) {
        result = yk_sys_populate(object->base, object->size);
        if (result < 0)
            yk_fail(-result, "%llu bytes can not be made present now: %s",
                    (unsigned long long)object->size, strerror(-result));
    }
    if (result == 0)
        result = yk_object_join(object);
    if (result < 0)
        return result;
    yk_store32_release(&yk_object_header(object)->ready,
                       1); /* SYNC object.ready release: all of it before */
    result = yk_intent_publish(creation->directory, &creation->intents, creation->entry,
                               &creation->record, &creation->segment);
    if (result < 0)
        object->operations->unprepare(object);
    return result;
}

static int plan_segment(struct creation *creation)
{
    const struct yk_object_plan *plan = creation->plan;
    uint64_t offset = yk_object_body_offset(plan->participants);
    if (plan->body_bytes > SIZE_MOST - offset)
        return yk_fail(EINVAL,
                       "%s would take %llu bytes, %llu of them for yoke's own use: more than the "
                       "%llu that can be mapped",
                       yk_entry_address(creation->entry),
                       (unsigned long long)(plan->body_bytes + offset), (unsigned long long)offset,
                       (unsigned long long)SIZE_MOST);
    creation->segment = (struct yk_segment_plan){
        .size = offset + plan->body_bytes,
        .mode = plan->mode ? plan->mode : 0600,
        .group = plan->group,
        /* else touching a page could fail later: by SIGBUS, or the out-of-memory killer */
        .reserve = plan->reserve || (plan->flags & (YOKE_HUGE | YOKE_POPULATE)) != 0,
        .huge = (plan->flags & YOKE_HUGE) != 0,
        .smaller = plan->smaller,
    };
    creation->record = (struct yk_record){
        .kind = plan->kind,
        .flags = plan->flags & YOKE_KEPT ? YK_OBJECT_KEPT : 0,
        .segment = -1,
        .layout = YK_LAYOUT,
        .size = creation->segment.size,
    };
    strncpy(creation->record.name, plan->name, sizeof creation->record.name - 1);
    int result = yk_ipc_namespace(&creation->record.namespace);
    if (result < 0)
        return result;
    result = yk_sys_random(&creation->record.nonce, sizeof creation->record.nonce);
    return result < 0 ? no_random(result) : 0;
}

/* Needs neither a descriptor nor memory, the lack of which may be why it failed. */
static void undo(struct yk_object *object, const struct creation *creation)
{
    char path[48];
    int removed = object->segment >= 0 ? yk_sys_shm_remove(object->segment) : 0;
    if (object->base)
        yk_sys_shm_detach(object->base);
    yk_unguard_and_close(&object->lock);
    if (removed < 0)
        return; /* by the intent it is done later */
    yk_live_path(path, creation->record.nonce);
    yk_sys_unlink(creation->directory->fd, path);
    yk_sys_unlink(creation->intents.fd, creation->entry); /* last: the rest is found by it */
}

/* Under the name's lock. */
static int create_locked(struct yk_object *object, struct creation *creation)
{
    struct yk_record old;
    int result = yk_recover_intent(creation->directory, &creation->intents, creation->entry);
    if (result < 0)
        return result;
    result = yk_record_read(creation->directory, creation->entry, &old);
    if (result == 0)
        return -EEXIST;
    if (result != -ENOENT)
        return result;
    object->base = NULL;
    object->segment = -1;
    yk_guard(&object->lock, -1, true);
    object->read_only = false;
    object->created = true;
    result = build(object, creation);
    if (result < 0)
        undo(object, creation);
    return result;
}

static int create(struct yk_object *object, const struct yk_directory *directory, const char *entry,
                  const struct yk_object_plan *plan)
{
    struct creation creation = {.plan = plan, .directory = directory, .entry = entry};
    int result = plan_segment(&creation);
    if (result == 0 && (plan->flags & YOKE_KEPT) && yk_segments_are_forced_away())
        result = yk_fail(ENOTSUP,
                         "%s can not be kept: with kernel.shm_rmid_forced = 1 the kernel removes "
                         "each segment with its last user",
                         yk_entry_address(entry));
    if (result < 0)
        return result;
    yk_recover_names(directory);
    uint32_t me = yk_sys_effective_uid();
    struct yk_name_lock lock;
    result = yk_directory_intents(&creation.intents, directory, me, true);
    if (result < 0)
        return result;
    result = yk_directory_lock(&lock, directory, me, entry, YK_PATIENCE);
    if (result == 0) {
        result = create_locked(object, &creation);
        yk_directory_unlock(&lock);
    }
    yk_directory_close(&creation.intents);
    return result;
}

/* ---- the three steps of a handle ---- */

/* A name whose object is gone: take it away, if we may. 0 when the name is free now. */
static int reap(const struct yk_directory *directory, const char *entry, uint64_t nonce)
{
    int result = yk_name_retire(directory, entry, nonce, true, YK_PATIENCE);
    return result == -ENOENT || result == -EBUSY ? 0 : result;
}

static int find_or_make(struct yk_object *object, const struct yk_directory *directory,
                        const char *entry, const struct yk_object_plan *plan)
{
    bool make = (plan->flags & YOKE_CREATE) != 0;
    for (int attempt = 0; attempt < 16; attempt++) {
        struct yk_record record;
        object->created = false;
        int result = yk_record_read(directory, entry, &record);
        int dead = result == 0 && (plan->flags & YOKE_EXCLUSIVE)
                       ? yk_record_is_dead(directory, &record, true)
                       : 1;
        if (dead == 0 || dead == -EACCES) /* another user's, who does not let us look */
            return yk_fail(EEXIST, "%s exists already", yk_entry_address(entry));
        if (dead < 0)
            return dead;
        bool named = result == 0;
        if (named)
            result = open_existing(object, directory, entry, &record, plan);
        if (result != -ENOENT)
            return result;
        if (named) {
            result = reap(directory, entry, record.nonce);
            if (make && result < 0)
                return result == -EACCES && record.uid != yk_sys_effective_uid()
                           ? yk_fail(EEXIST,
                                     "%s is the name of a dead object of uid %u: only its owner or "
                                     "root can clear it",
                                     yk_entry_address(entry), record.uid)
                           : result;
        }
        if (!make)
            return yk_fail(ENOENT, "there is no %s in %s", yk_entry_address(entry),
                           directory->path);
        result = create(object, directory, entry, plan);
        if (result != -EEXIST)
            return result;
    }
    return yk_fail(EBUSY, "%s is created and removed all the time", yk_entry_address(entry));
}

/* Pages that are to be there, and those that only come in huge pieces, can not be left to luck. */
static int check_pages(const struct yk_object_plan *plan)
{
    if (!(plan->flags & YOKE_SPARSE) || !(plan->flags & (YOKE_POPULATE | YOKE_HUGE)))
        return 0;
    return yk_fail(EINVAL, "%s:%s: sparse reserves nothing, %s", yk_kind_name(plan->kind),
                   plan->name,
                   plan->flags & YOKE_HUGE ? "but huge pages are only to be had reserved"
                                           : "and populate makes all of it present: one or the "
                                             "other");
}

int yk_access_check(uint32_t mode, int64_t group)
{
    if (mode & ~0666u)
        return yk_fail(EINVAL, "mode %04o has other bits than read and write (0666)", mode);
    if (mode != 0 && (mode & 0600) != 0600)
        return yk_fail(
            EINVAL, "mode %04o keeps the owner out: the owner needs read and write (0600)", mode);
    if (group < -1 || group >= UINT32_MAX)
        return yk_fail(EINVAL, "%lld is not a group id, nor -1 for the caller's", (long long)group);
    return 0;
}

void yk_object_prepare_handle(struct yk_object *object, const struct yk_object_plan *plan)
{
    object->operations = plan->operations;
    object->seat = plan->seat;
    object->anonymous = false;
    yk_store32_relaxed(&object->cancelled, 0);
    yk_store32_relaxed(&object->visitors, 0);
    pthread_mutex_init(&object->mutex, NULL);
}

int yk_object_open(struct yk_object *object, const struct yk_object_plan *plan)
{
    struct yk_directory directory;
    char entry[YK_ENTRY_MAX];
    int result = yk_name_check(plan->kind, plan->name);
    if (result == 0)
        result = yk_access_check(plan->mode, plan->group);
    if (result == 0)
        result = check_pages(plan);
    if (result == 0)
        result = yk_fork_init();
    if (result < 0)
        return result;
    yk_name_entry(entry, plan->kind, plan->name);
    result = yk_directory_open(&directory, NULL, (plan->flags & YOKE_CREATE) == 0);
    if (result < 0)
        return result;
    yk_recover_names_sometimes(&directory);
    yk_object_prepare_handle(object, plan);
    memcpy(object->directory, directory.path, sizeof object->directory);
    result = find_or_make(object, &directory, entry, plan);
    yk_directory_close(&directory);
    if (result == 0) {
        YK_TRACE_OBJECT(open, object, object->size, object->slot, object->created);
        tell(object, object->created ? "created" : "opened");
    }
    if (result == 0 && !object->read_only)
        yk_recover_dead(object);
    return result;
}

/* A description of this process's own, in the place of the inherited one. */
static int renew_description(struct yk_object *object)
{
    struct yk_directory directory;
    yk_guards_lock();
    int inherited = object->lock.fd;
    int fresh = inherited >= 0 ? yk_sys_reopen(inherited, O_RDWR) : -ENOENT;
    if (fresh >= 0)
        object->lock.fd = fresh;
    yk_guards_unlock();
    if (fresh < 0 && !object->anonymous) {
        fresh = yk_directory_open(&directory, object->directory, true);
        if (fresh < 0)
            return fresh;
        fresh = open_lock_file(object, &directory, object->fixed.nonce, 0);
        yk_directory_close(&directory);
    }
    if (fresh == -ENOENT)
        return yk_fail(ENOENT, "after fork, %s:%s can not be joined: its lock file is gone",
                       yk_kind_name(object->fixed.kind), object->fixed.name);
    if (fresh == -EACCES)
        return yk_fail(EACCES,
                       "after fork, %s:%s can not be joined: this process, uid %u by now, may not "
                       "open its lock file in %s",
                       yk_kind_name(object->fixed.kind), object->fixed.name, yk_sys_effective_uid(),
                       object->directory);
    if (fresh < 0)
        return yk_fail(-fresh, "after fork, %s:%s can not be joined: %s",
                       yk_kind_name(object->fixed.kind), object->fixed.name, strerror(-fresh));
    if (inherited >= 0)
        yk_sys_close(inherited);
    return 0;
}

static int rejoin_locked(struct yk_object *object)
{
    int result = renew_description(object);
    if (result < 0)
        return result;
    pthread_mutex_init(&object->mutex, NULL);
    yk_store32_relaxed(&object->visitors, 0);
    return yk_participant_join(object);
}

int yk_object_rejoin(struct yk_object *object)
{
    int result = 0;
    uint64_t stamp = yk_fork_stamp();
    yk_process_lock();
    if (yk_load_relaxed(&object->fork_stamp) != stamp) {
        if (!object->read_only)
            result = rejoin_locked(object);
        if (result == 0)
            tell(object, "after a fork, joined afresh");
        if (result == 0) /* SYNC object.joined release: after the slot, and what joining has set */
            yk_store_release(&object->fork_stamp, stamp);
    }
    yk_process_unlock();
    return result;
}

static void forget_name(const struct yk_object *object)
{
    struct yk_directory directory;
    char entry[YK_ENTRY_MAX];
    if (yk_segment_exists(object->segment) ||
        yk_directory_open(&directory, object->directory, true) < 0)
        return;
    yk_name_entry(entry, object->fixed.kind, object->fixed.name);
    yk_name_retire(&directory, entry, object->fixed.nonce, true, YK_PATIENCE);
    yk_directory_close(&directory);
}

void yk_object_close(struct yk_object *object)
{
    /* relaxed: own process. A child that never joined has nothing to give back. */
    bool joined = yk_load_relaxed(&object->fork_stamp) == yk_fork_stamp();
    if (joined && !object->read_only)
        yk_participant_leave(object);
    object->operations->unprepare(object);
    if (joined) {
        YK_TRACE_OBJECT(close, object, object->slot);
        tell(object, "closed");
    }
    yk_object_detach(object);
    pthread_mutex_destroy(&object->mutex);
    if (!(object->fixed.flags & YK_OBJECT_KEPT) && !object->anonymous)
        forget_name(object);
}

int yk_object_remove(enum yk_kind kind, const char *name)
{
    struct yk_directory directory;
    char entry[YK_ENTRY_MAX];
    int result = yk_name_check(kind, name);
    if (result < 0)
        return result;
    yk_name_entry(entry, kind, name);
    result = yk_directory_open(&directory, NULL, true);
    if (result < 0)
        return result;
    yk_recover_names(&directory);
    result = yk_name_retire(&directory, entry, 0, false, YK_PATIENCE);
    yk_directory_close(&directory);
    return result;
}
