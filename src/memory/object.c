/*
 * object.c - finding, making, joining and leaving a shared object. See object.h and names.h for the protocol.
 */
#include "memory/object.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "base/error.h"
#include "base/sys.h"
#include "yoke.h"

#define SIZE_MOST (UINT64_C(1) << 46) /* 64 TiB: half of what x86-64 can map */

/* ---- all objects of this process, so that a forked child drops its parent's locks at once ---- */

static pthread_mutex_t list_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct yk_object *list;

static void before_fork(void)
{
    pthread_mutex_lock(&list_mutex);
}

static void after_fork_in_parent(void)
{
    pthread_mutex_unlock(&list_mutex);
}

/* A description of its own for the child: the parent's lock then goes when the parent goes. */
static void after_fork_in_child(void)
{
    for (struct yk_object *object = list; object; object = object->next) {
        if (object->lock_fd < 0)
            continue;
        int fresh = yk_sys_reopen(object->lock_fd, O_RDWR);
        yk_sys_close(object->lock_fd);
        object->lock_fd = fresh < 0 ? -1 : fresh;
    }
    pthread_mutex_init(&list_mutex, NULL);
}

static void init_process(void)
{
    yk_fork_set_child_hook(before_fork, after_fork_in_parent, after_fork_in_child);
}

static void list_add(struct yk_object *object)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, init_process);
    pthread_mutex_lock(&list_mutex);
    object->previous = NULL;
    object->next = list;
    if (list)
        list->previous = object;
    list = object;
    pthread_mutex_unlock(&list_mutex);
}

static void list_remove(struct yk_object *object)
{
    pthread_mutex_lock(&list_mutex);
    if (object->previous)
        object->previous->next = object->next;
    else
        list = object->next;
    if (object->next)
        object->next->previous = object->previous;
    pthread_mutex_unlock(&list_mutex);
}

/* ---- attaching ---- */

int yk_fixed_check(const struct yk_shm_fixed *fixed, uint64_t true_size, uint32_t kind)
{
    if (fixed->layout != YK_LAYOUT)
        return yk_fail(EPROTONOSUPPORT, "it was made by a yoke with layout %016llx, this one has %016llx",
                       (unsigned long long)fixed->layout, (unsigned long long)YK_LAYOUT);
    uint64_t slots = YK_PAGE + (uint64_t)fixed->participants * sizeof(struct yk_shm_slot);
    bool sound = fixed->kind == kind && fixed->size <= true_size && fixed->participants >= 1 &&
                 fixed->participants <= YOKE_PARTICIPANTS_MAX && fixed->body_offset % YK_PAGE == 0 &&
                 fixed->body_offset >= slots && fixed->body_offset <= fixed->size &&
                 fixed->body_size <= fixed->size - fixed->body_offset && memchr(fixed->name, '\0', sizeof fixed->name);
    return sound ? 0 : yk_fail(EPROTO, "its header holds what no yoke wrote");
}

static uint64_t body_offset(uint32_t participants)
{
    uint64_t end = YK_PAGE + (uint64_t)participants * sizeof(struct yk_shm_slot);
    return (end + YK_PAGE - 1) & ~(uint64_t)(YK_PAGE - 1);
}

static int open_lock_file(const struct yk_directory *directory, uint64_t nonce, int flags, mode_t mode)
{
    char path[48];
    yk_live_path(path, nonce);
    int fd = yk_sys_open(directory->fd, path, O_RDWR | flags, mode);
    if (fd == -EMFILE || fd == -ENFILE)
        return yk_fail(-fd, "no descriptor for the lock file: %s", strerror(-fd));
    if (fd < 0 && fd != -ENOENT)
        return yk_fail(-fd, "the lock file %s/%s can not be opened: %s", directory->path, path, strerror(-fd));
    return fd;
}

static int join(struct yk_object *object)
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

static void detach(struct yk_object *object)
{
    yk_sys_shm_detach(object->base);
    if (object->lock_fd >= 0)
        yk_sys_close(object->lock_fd);
}

/* -ENOENT: the object is gone (its name is only still there). */
static int attach_record(struct yk_object *object, const struct yk_directory *directory,
                         const struct yk_record *record, const struct yk_object_plan *plan)
{
    object->read_only = (plan->flags & YOKE_READ_ONLY) != 0;
    object->segment = record->segment;
    object->lock_fd = -1;
    int result = yk_segment_attach(record->segment, record->nonce, object->read_only, &object->base, &object->size);
    if (result < 0)
        return result;
    memcpy(&object->fixed, object->base, sizeof object->fixed);
    result = yk_fixed_check(&object->fixed, object->size, plan->kind);
    if (result == 0 && !object->read_only) {
        result = open_lock_file(directory, record->nonce, 0, 0);
        object->lock_fd = result;
    }
    if (result >= 0)
        result = join(object);
    if (result < 0)
        detach(object);
    return result;
}

static int open_existing(struct yk_object *object, const struct yk_directory *directory, const char *entry,
                         const struct yk_record *record, const struct yk_object_plan *plan)
{
    if (record->layout != YK_LAYOUT)
        return yk_fail(EPROTONOSUPPORT, "%s was made by a yoke with layout %016llx, this one has %016llx", entry,
                       (unsigned long long)record->layout, (unsigned long long)YK_LAYOUT);
    if (record->namespace != yk_ipc_namespace())
        return yk_fail(ENOTSUP, "%s lives in IPC namespace %llu, this process is in %llu: its memory can only be reached "
                       "from there", entry, (unsigned long long)record->namespace, (unsigned long long)yk_ipc_namespace());
    return attach_record(object, directory, record, plan);
}

/* ---- creating ---- */

struct creation {
    const struct yk_object_plan *plan;
    const struct yk_directory *directory;
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
    int fd = open_lock_file(creation->directory, creation->record.nonce, O_CREAT | O_EXCL, 0600);
    if (fd < 0)
        return fd;
    object->lock_fd = fd;
    int result = creation->segment.group < 0 ? 0 : yk_sys_chown(fd, (uid_t)-1, (gid_t)creation->segment.group);
    if (result == 0)
        result = yk_sys_chmod(fd, live_mode(creation->segment.mode));
    if (result < 0)
        return yk_fail(-result, "%s can not be given to group %lld: %s", creation->entry,
                       (long long)creation->segment.group, strerror(-result));
    return 0;
}

/* Each key is in the intent before the segment is made under it. */
static int make_segment(struct yk_object *object, struct creation *creation)
{
    for (int attempt = 0; attempt < 16; attempt++) {
        int result = yk_sys_random(&creation->record.key, sizeof creation->record.key);
        if (result < 0)
            return yk_fail(-result, "no random numbers: %s", strerror(-result));
        creation->record.key = (creation->record.key & INT_MAX) | 1;
        result = yk_intent_write(creation->directory, creation->entry, &creation->record);
        if (result < 0)
            return result;
        result = yk_segment_create(creation->record.key, &creation->segment);
        if (result == -EEXIST)
            continue;
        object->segment = result;
        return result < 0 ? result : 0;
    }
    return yk_fail(ENOSPC, "no free System V key was found for %s", creation->entry);
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

static void fill_header(struct yk_object *object, const struct creation *creation)
{
    const struct yk_object_plan *plan = creation->plan;
    struct yk_shm_fixed *fixed = &object->fixed;
    *fixed = (struct yk_shm_fixed){
        .magic = YK_MAGIC,
        .layout = YK_LAYOUT,
        .nonce = creation->record.nonce,
        .directory_dev = creation->directory->dev,
        .directory_ino = creation->directory->ino,
        .size = creation->segment.size,
        .body_offset = body_offset(plan->participants),
        .body_size = plan->body_size,
        .created_ns = yk_now_wall(),
        .kind = plan->kind,
        .flags = plan->flags & YOKE_KEPT ? YK_OBJECT_KEPT : 0,
        .participants = plan->participants,
        .creator = yk_sys_process_id(),
        .mode = creation->segment.mode,
    };
    strncpy(fixed->name, plan->name, sizeof fixed->name - 1);
    if (plan->details_size > 0)
        memcpy(fixed->details, plan->details, plan->details_size);
    memcpy(object->base, fixed, sizeof *fixed);
}

/* Everything between the intent and the published name; on failure the caller undoes by way of the intent. */
static int build(struct yk_object *object, struct creation *creation)
{
    int result = make_segment(object, creation);
    if (result == 0)
        result = attach_new(object, creation);
    if (result < 0)
        return result;
    fill_header(object, creation);
    if (!(creation->plan->flags & YOKE_KEPT))
        yk_sys_shm_remove(object->segment); /* marked: it goes with its last attachment, whatever happens */
    creation->record.segment = object->segment;
    result = make_lock_file(object, creation);
    if (result == 0 && (creation->plan->flags & YOKE_POPULATE)) {
        result = yk_sys_populate(object->base, object->size);
        if (result < 0)
            yk_fail(-result, "%llu bytes can not be made present now: %s", (unsigned long long)object->size,
                    strerror(-result));
    }
    if (result == 0)
        result = join(object);
    if (result < 0)
        return result;
    yk_store32_release(&yk_object_header(object)->ready, 1); /* SYNC object.ready release: all of it before */
    result = yk_intent_publish(creation->directory, creation->entry, &creation->record, &creation->segment);
    if (result < 0)
        object->operations->unprepare(object);
    return result;
}

static int plan_segment(struct creation *creation)
{
    const struct yk_object_plan *plan = creation->plan;
    uint64_t offset = body_offset(plan->participants);
    if (plan->body_bytes > SIZE_MOST - offset)
        return yk_fail(EINVAL, "%s would take %llu bytes: more than the %llu that can be mapped", creation->entry,
                       (unsigned long long)plan->body_bytes, (unsigned long long)SIZE_MOST);
    if (plan->mode & ~0666u)
        return yk_fail(EINVAL, "mode %04o has other bits than read and write (0666)", plan->mode);
    creation->segment = (struct yk_segment_plan){
        .size = offset + plan->body_bytes,
        .mode = plan->mode ? plan->mode : 0600,
        .group = plan->group,
        .reserve = plan->reserve,
        .huge = (plan->flags & YOKE_HUGE) != 0,
    };
    creation->record = (struct yk_record){
        .kind = plan->kind,
        .flags = plan->flags & YOKE_KEPT ? YK_OBJECT_KEPT : 0,
        .segment = -1,
        .namespace = yk_ipc_namespace(),
        .layout = YK_LAYOUT,
        .size = creation->segment.size,
    };
    return yk_sys_random(&creation->record.nonce, sizeof creation->record.nonce);
}

/* Under the name's lock. */
static int create_locked(struct yk_object *object, struct creation *creation)
{
    struct yk_record old;
    uint32_t me = yk_sys_effective_uid();
    yk_recover_intent(creation->directory, me, creation->entry);
    int result = yk_record_read(creation->directory, creation->entry, &old);
    if (result == 0)
        return -EEXIST;
    if (result != -ENOENT)
        return result;
    object->base = NULL;
    object->segment = -1;
    object->lock_fd = -1;
    object->read_only = false;
    object->created = true;
    result = build(object, creation);
    if (result < 0) {
        /* what was built is undone by way of the intent, just as after a death */
        if (object->lock_fd >= 0)
            yk_sys_close(object->lock_fd);
        yk_recover_intent(creation->directory, me, creation->entry);
        if (object->base)
            yk_sys_shm_detach(object->base);
    }
    return result;
}

static int create(struct yk_object *object, const struct yk_directory *directory, const char *entry,
                  const struct yk_object_plan *plan)
{
    struct creation creation = {.plan = plan, .directory = directory, .entry = entry};
    int result = plan_segment(&creation);
    if (result < 0)
        return result;
    int lock = yk_directory_lock(directory, yk_sys_effective_uid(), entry, YK_PATIENCE);
    if (lock < 0)
        return lock;
    result = create_locked(object, &creation);
    yk_sys_close(lock);
    return result;
}

/* ---- the three steps of a handle ---- */

/* A name whose object is gone: take it away, if we may. 0 when the name is free now. */
static int reap(const struct yk_directory *directory, const char *entry, uint64_t nonce)
{
    int result = yk_name_retire(directory, entry, nonce, true);
    return result == -ENOENT || result == -EBUSY ? 0 : result;
}

static int find_or_make(struct yk_object *object, const struct yk_directory *directory, const char *entry,
                        const struct yk_object_plan *plan)
{
    bool make = (plan->flags & YOKE_CREATE) != 0;
    for (int attempt = 0; attempt < 16; attempt++) {
        struct yk_record record;
        object->created = false;
        int result = yk_record_read(directory, entry, &record);
        if (result == 0 && (plan->flags & YOKE_EXCLUSIVE) && !yk_record_is_dead(&record, true))
            return yk_fail(EEXIST, "%s exists already", entry);
        bool named = result == 0;
        if (named)
            result = open_existing(object, directory, entry, &record, plan);
        if (result != -ENOENT)
            return result;
        if (named) {
            result = reap(directory, entry, record.nonce);
            if (make && result < 0)
                return result == -EACCES ? yk_fail(EEXIST, "%s is the name of a dead object of uid %u: only its owner or "
                                                   "root can clear it", entry, record.uid)
                                         : result;
        }
        if (!make)
            return yk_fail(ENOENT, "there is no %s in %s", entry, directory->path);
        result = create(object, directory, entry, plan);
        if (result != -EEXIST)
            return result;
    }
    return yk_fail(EBUSY, "%s is created and removed all the time", entry);
}

int yk_object_open(struct yk_object *object, const struct yk_object_plan *plan)
{
    struct yk_directory directory;
    char entry[YK_ENTRY_MAX];
    int result = yk_name_check(plan->name);
    if (result == 0)
        result = yk_fork_init();
    if (result < 0)
        return result;
    yk_name_entry(entry, plan->kind, plan->name);
    result = yk_directory_open(&directory, NULL, (plan->flags & YOKE_CREATE) == 0);
    if (result < 0)
        return result;
    yk_recover_names(&directory);
    object->operations = plan->operations;
    yk_store32_relaxed(&object->cancelled, 0);
    yk_store32_relaxed(&object->visitors, 0);
    pthread_mutex_init(&object->mutex, NULL);
    memcpy(object->directory, directory.path, sizeof object->directory);
    result = find_or_make(object, &directory, entry, plan);
    yk_directory_close(&directory);
    if (result == 0) {
        list_add(object);
        if (!object->read_only)
            yk_recover_dead(object);
    }
    return result;
}

/* Fresh description, fresh slot. The inherited ones are the parent's. */
static int rejoin_locked(struct yk_object *object)
{
    struct yk_directory directory;
    int fresh = object->lock_fd >= 0 ? yk_sys_reopen(object->lock_fd, O_RDWR) : -ENOENT;
    if (fresh < 0) {
        int result = yk_directory_open(&directory, object->directory, true);
        if (result < 0)
            return result;
        fresh = open_lock_file(&directory, object->fixed.nonce, 0, 0);
        yk_directory_close(&directory);
        if (fresh < 0)
            return yk_fail(-fresh, "after fork, %s:%s can not be joined: its lock file is gone",
                           yk_kind_name(object->fixed.kind), object->fixed.name);
    }
    if (object->lock_fd >= 0)
        yk_sys_close(object->lock_fd);
    object->lock_fd = fresh;
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
            yk_store_release(&object->fork_stamp, stamp);
    }
    yk_process_unlock();
    return result;
}

static void forget_name(const struct yk_object *object)
{
    struct yk_directory directory;
    char entry[YK_ENTRY_MAX];
    if (yk_segment_exists(object->segment) || yk_directory_open(&directory, object->directory, true) < 0)
        return;
    yk_name_entry(entry, object->fixed.kind, object->fixed.name);
    yk_name_retire(&directory, entry, object->fixed.nonce, true);
    yk_directory_close(&directory);
}

void yk_object_close(struct yk_object *object)
{
    /* relaxed: own process. A child that never joined has nothing to give back. */
    bool joined = yk_load_relaxed(&object->fork_stamp) == yk_fork_stamp();
    list_remove(object);
    if (joined && !object->read_only)
        yk_participant_leave(object);
    object->operations->unprepare(object);
    detach(object);
    pthread_mutex_destroy(&object->mutex);
    if (!(object->fixed.flags & YK_OBJECT_KEPT))
        forget_name(object);
}

int yk_object_remove(enum yk_kind kind, const char *name)
{
    struct yk_directory directory;
    char entry[YK_ENTRY_MAX];
    int result = yk_name_check(name);
    if (result < 0)
        return result;
    yk_name_entry(entry, kind, name);
    result = yk_directory_open(&directory, NULL, true);
    if (result < 0)
        return result;
    yk_recover_names(&directory);
    result = yk_name_retire(&directory, entry, 0, false);
    yk_directory_close(&directory);
    return result;
}
