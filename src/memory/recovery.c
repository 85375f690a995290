/*
 * recovery.c - repairs what the dead left: participants' slots, interrupted creations and removals,
 * dead names.
 *
 * The rule everywhere: take the lock that the dead one held, look again under it, repair, unlock.
 * The kernel gives that lock to one process at a time and drops it when that one dies, so exactly
 * one recovers, and is recovered in its turn.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "base/sys.h"
#include "base/trace.h"
#include "memory/object.h"
#include "memory/queue.h"

#define LOOK_INTERVAL INT64_C(50000000)
#define SLICE         INT64_C(100000000)

/* ---- participants ---- */

static bool owner_is_dead(const struct yk_object *object, uint32_t number)
{
    return (yk_load_acquire(&yk_object_slot(object, number)->word) & 1) !=
               0 && /* SYNC slot.claim acquire */
           yk_sys_byte_is_locked(object->lock.fd, YK_LIFE_BYTE(number), 1) == 0;
}

void yk_recover_owner(struct yk_object *object, uint32_t number)
{
    /* relaxed: only told; it may be any number */
    int32_t pid = (int32_t)yk_load32_relaxed(&yk_object_slot(object, number)->pid);
    uint64_t given_back = object->operations->recover(object, number);
    YK_TRACE_OBJECT(recover, object, number, pid, given_back);
    yk_log("%s:%s: participant %u, process %d, is dead: recovered, %llu messages given back",
           yk_kind_name(object->fixed.kind), object->fixed.name, number, pid,
           (unsigned long long)given_back);
}

/* The caller holds object->mutex. True when the slot's owner was dead and is recovered now. */
static bool recover_slot(struct yk_object *object, uint32_t number)
{
    struct yk_shm_slot *slot = yk_object_slot(object, number);
    if (number == object->slot || !owner_is_dead(object, number) ||
        yk_sys_lock_byte(object->lock.fd, YK_RECOVERY_BYTE(number)) < 0)
        return false;
    bool dead = owner_is_dead(object, number); /* again, now that nobody else can claim it */
    if (dead) {
        yk_recover_owner(object, number);
        /* SYNC slot.claim release: last, then nothing of it is touched */
        yk_store_release(&slot->word, yk_load_relaxed(&slot->word) & ~UINT64_C(1));
    }
    yk_sys_unlock_byte(object->lock.fd, YK_RECOVERY_BYTE(number));
    return dead;
}

uint32_t yk_recover_dead(struct yk_object *object)
{
    uint32_t found = 0;
    pthread_mutex_lock(&object->mutex);
    for (uint32_t i = 0; i < object->fixed.participants; i++) {
        if (yk_load_relaxed(&yk_object_slot(object, i)->word) & 1)
            found += recover_slot(object, i);
    }
    if (object->operations->look)
        found += object->operations->look(object);
    pthread_mutex_unlock(&object->mutex);
    return found;
}

uint32_t yk_recover_dead_sometimes(struct yk_object *object)
{
    yk_atomic64 *looked = &yk_object_header(object)->looked;
    uint64_t last = yk_load_relaxed(looked), now = (uint64_t)yk_now_coarse();
    /*
     * unsigned: a time from the future (a hostile peer, or another time namespace) does not stop us
     * for long
     */
    if (now - last < LOOK_INTERVAL || !yk_cas_seq(looked, &last, now))
        return 0;
    return yk_recover_dead(object);
}

int64_t yk_recovery_slice(const struct yk_object *object)
{
    /* relaxed: only a time. Shared memory: it may be any, so the slice is neither short nor long */
    uint64_t ago = (uint64_t)yk_now_coarse() - yk_load_relaxed(&yk_object_header(object)->looked);
    return ago < LOOK_INTERVAL ? SLICE - (int64_t)ago : SLICE;
}

/* ---- names ---- */

/* A hostile record may name what is somebody else's. */
static int unlink_own(const struct yk_directory *directory, const char *path, uint32_t uid)
{
    struct stat facts;
    int result = yk_sys_stat_at(directory->fd, path, &facts);
    if (result == 0 && facts.st_uid == uid)
        result = yk_sys_unlink(directory->fd, path);
    return result == -ENOENT ? 0 : result;
}

/* The files that go with an object: its lock file, last, a link's FIFOs, a peer's socket. */
static int unlink_files(const struct yk_directory *directory, const struct yk_record *record)
{
    char paths[4][48];
    int count = 0, result = 0;
    bool ends = record->kind == YK_KIND_LINK && (record->flags & YK_OBJECT_QUEUES) != 0;
    for (int side = 0; ends && side < 2; side++)
        yk_end_path(paths[count++], record->nonce, side);
    if (record->kind == YK_KIND_PEER)
        yk_socket_path(paths[count++], record->nonce);
    yk_live_path(paths[count++], record->nonce);
    for (int i = 0; i < count && result == 0; i++)
        result = unlink_own(directory, paths[i], record->uid);
    return result;
}

/* The segment, or the queues, and the files of a record. 0 when nothing is left of them. */
static int undo_record(const struct yk_directory *directory, const struct yk_record *record)
{
    struct yk_segment_identity segment = yk_record_segment(record);
    int result = record->flags & YK_OBJECT_QUEUES ? yk_queues_retire(directory, record)
                                                  : yk_segment_retire(&segment);
    if (result == 0)
        result = unlink_files(directory, record);
    return result < 0 ? yk_fail(EBUSY, "what is left of %s:%s can not be cleared now: %s",
                                yk_kind_name(record->kind), record->name, strerror(-result))
                      : 0;
}

/*
 * A transient object's segment was marked before its id was written, and so is gone with its
 * creator. Of the others something may be left where it can not be reached from here.
 */
static int put_aside(const struct yk_directory *directory, const struct yk_directory *intents,
                     const char *entry, const struct yk_record *record)
{
    char aside[48];
    if (entry[0] == '.')
        return 0; /* it is */
    if (record->segment >= 0 && !(record->flags & YK_OBJECT_KEPT)) {
        int result = unlink_files(directory, record);
        return result < 0 ? result : yk_sys_unlink(intents->fd, entry);
    }
    snprintf(aside, sizeof aside, ".%016llx", (unsigned long long)record->nonce);
    return yk_sys_rename(intents->fd, entry, intents->fd, aside);
}

int yk_recover_intent(const struct yk_directory *directory, const struct yk_directory *intents,
                      const char *entry)
{
    struct yk_record record;
    int result = yk_record_read(intents, entry, &record);
    if (result == -ENOENT)
        return 0;
    /* one link: a hostile hard link to the owner's published name is no intent of the owner's */
    bool foul =
        result == -EPROTO || (result == 0 && (record.uid != intents->uid || record.links != 1));
    if (result < 0 && !foul)
        return result;
    int foreign = foul ? 0 : yk_record_is_foreign(&record);
    if (foreign < 0)
        return foreign;
    if (foreign) {
        yk_log("%s: what another IPC namespace's process began to make or remove is put aside",
               yk_entry_address(entry));
        result = put_aside(directory, intents, entry, &record);
        return result < 0 ? yk_fail(EBUSY, "%s/%s can not be put aside: %s", intents->path, entry,
                                    strerror(-result))
                          : 0;
    }
    /* foul: its writer died before it made anything, or is not who the name says */
    result = foul ? 0 : undo_record(directory, &record);
    if (result < 0)
        return result;
    result = yk_sys_unlink(intents->fd, entry); /* last: until here all of it can be done again */
    yk_log("%s: what its intent names, memory and files, is cleared away", yk_entry_address(entry));
    return result == 0 || result == -ENOENT ? 0
                                            : yk_fail(EBUSY, "%s/%s can not be cleared: %s",
                                                      intents->path, entry, strerror(-result));
}

static int refuse_foreign(const struct yk_directory *directory, const char *entry,
                          const struct yk_record *record)
{
    uint64_t own;
    int result = yk_ipc_namespace(&own);
    return result < 0
               ? result
               : yk_fail(
                     ENOTSUP,
                     "%s belongs to IPC namespace %llu, this process is in %llu: remove it there, "
                     "or, when that one is gone, delete %s/%s",
                     yk_entry_address(entry), (unsigned long long)record->namespace,
                     (unsigned long long)own, directory->path, entry);
}

/* `intents`: NULL when there are none, and this process can not make them. */
static int retire_record(const struct yk_directory *directory, const struct yk_directory *intents,
                         const char *entry, const struct yk_record *record)
{
    int foreign = yk_record_is_foreign(record), result;
    if (foreign < 0)
        return foreign;
    if (foreign && (record->flags & YK_OBJECT_KEPT))
        return refuse_foreign(directory, entry, record);
    if (foreign || !intents) {
        /* foreign memory goes by itself */
        result = foreign ? unlink_files(directory, record) : undo_record(directory, record);
        if (!foreign && result < 0)
            return result;
        /* dying in between leaves the name of a dead object, which the next one reaps */
        result = result < 0 ? result : yk_sys_unlink(directory->fd, entry);
    } else {
        result = yk_sys_rename(directory->fd, entry, intents->fd, entry);
        if (result == 0) /* the name is free */
            yk_recover_intent(directory, intents, entry);
    }
    return result < 0 ? yk_fail(-result, "%s/%s can not be removed: %s", directory->path, entry,
                                strerror(-result))
                      : 0;
}

/*
 * Queues do not go by themselves with their last user, as segments do: who takes a transient one's
 * name away because nobody has it any more keeps everybody out meanwhile. Whoever locked a byte after
 * that looks at the name once more (place/queues.c). -EAGAIN: somebody has it.
 */
static int keep_users_out(struct yk_guarded_fd *lock, const struct yk_directory *directory,
                          const struct yk_record *record)
{
    char path[48];
    struct stat facts;
    yk_live_path(path, record->nonce);
    yk_guards_lock();
    int result = lock->fd = yk_sys_open(directory->fd, path, O_RDWR, 0);
    yk_guards_unlock();
    if (result < 0)
        return result == -ENOENT ? 0 : result;
    if (yk_sys_stat(lock->fd, &facts) < 0 || facts.st_uid != record->uid)
        return 0; /* as yk_record_is_deserted() has it */
    return yk_sys_lock_bytes(lock->fd, 0, 0);
}

static int retire_deserted(const struct yk_directory *directory, const struct yk_directory *intents,
                           const char *entry, const struct yk_record *record)
{
    struct yk_guarded_fd lock;
    yk_guard(&lock, -1, false);
    int result = keep_users_out(&lock, directory, record);
    if (result == 0)
        result = retire_record(directory, intents, entry, record);
    yk_unguard_and_close(&lock);
    return result;
}

/* What yk_name_retire() asks for. */
struct retirement {
    const struct yk_directory *directory;
    const char *entry;
    uint64_t nonce;
    bool only_dead;
};

static int retire_locked(const struct retirement *wanted, const struct yk_directory *intents,
                         uint32_t uid)
{
    const struct yk_directory *directory = wanted->directory;
    struct yk_record record;
    int result = intents ? yk_recover_intent(directory, intents, wanted->entry) : 0;
    if (result < 0)
        return result;
    result = yk_record_read(directory, wanted->entry, &record);
    if (result < 0)
        return result == -ENOENT ? yk_fail(ENOENT, "there is no %s in %s",
                                           yk_entry_address(wanted->entry), directory->path)
                                 : result;
    int dead = wanted->only_dead ? yk_record_is_dead(directory, &record, true) : 1;
    if (dead < 0)
        return dead;
    if (record.uid != uid || (wanted->nonce != 0 && record.nonce != wanted->nonce) || !dead)
        return -EAGAIN; /* it is another object's name by now */
    if (wanted->only_dead && (record.flags & YK_OBJECT_QUEUES))
        return retire_deserted(directory, intents, wanted->entry, &record);
    return retire_record(directory, intents, wanted->entry, &record);
}

/* One try, when `uid` was seen to own the name. -EAGAIN: it is another object's by now. */
static int retire_of(const struct retirement *wanted, uint32_t uid, int64_t patience_ns)
{
    struct yk_name_lock lock;
    struct yk_directory intents;
    bool own = uid == yk_sys_effective_uid();
    int found = yk_directory_intents(&intents, wanted->directory, uid, own);
    if (found < 0 && own)
        return found;
    int result = yk_directory_lock(&lock, wanted->directory, uid, wanted->entry, patience_ns);
    if (result == 0) {
        result = retire_locked(wanted, found == 0 ? &intents : NULL, uid);
        yk_directory_unlock(&lock);
    }
    if (found == 0)
        yk_directory_close(&intents);
    return result;
}

static void tell_retired(const char *entry, bool only_dead)
{
    const char *address = yk_entry_address(entry);
    YK_TRACE(remove, address, only_dead);
    yk_log("%s: %s", address,
           only_dead ? "nobody has it any more: its name is taken away" : "removed");
}

int yk_name_retire(const struct yk_directory *directory, const char *entry, uint64_t nonce,
                   bool only_dead, int64_t patience_ns)
{
    struct retirement wanted = {directory, entry, nonce, only_dead};
    struct stat facts;
    uint32_t me = yk_sys_effective_uid();
    for (int attempt = 0; attempt < 8; attempt++) {
        int result = yk_sys_stat_at(directory->fd, entry, &facts);
        if (result == -ENOENT)
            return yk_fail(ENOENT, "there is no %s in %s", yk_entry_address(entry),
                           directory->path);
        if (result < 0)
            return yk_fail(-result, "%s/%s can not be asked: %s", directory->path, entry,
                           strerror(-result));
        if (facts.st_uid != me && me != 0)
            return yk_fail(
                EACCES,
                "%s belongs to uid %u, this process is uid %u: only its owner or root may remove "
                "it",
                yk_entry_address(entry), facts.st_uid, me);
        result = retire_of(&wanted, facts.st_uid, patience_ns);
        if (result == 0)
            tell_retired(entry, only_dead);
        if (result != -EAGAIN)
            return result;
        if (nonce != 0 || only_dead)
            break;
    }
    return yk_fail(EBUSY, "%s is created and removed all the time", yk_entry_address(entry));
}

struct intents_walk {
    const struct yk_directory *directory, *intents;
};

static int look_at_intent(const char *entry, void *context)
{
    const struct intents_walk *walk = context;
    struct yk_name_lock lock;
    if (yk_directory_lock(&lock, walk->directory, walk->intents->uid, entry, 0) == 0) {
        yk_recover_intent(walk->directory, walk->intents, entry);
        yk_directory_unlock(&lock);
    }
    return 0;
}

static int look_at_intents(const struct yk_directory *intents, void *context)
{
    struct intents_walk walk = {context, intents};
    yk_sys_entries(intents->fd, ".", look_at_intent, &walk);
    return 0;
}

static void look_at_bell(const struct yk_directory *directory, const char *name)
{
    if (!yk_bell_is_deserted(directory, name))
        return;
    yk_log("%s/%s: the doorbell of a dead process is taken away", directory->path, name);
    unlink_own(directory, name, yk_sys_effective_uid());
}

static int look_at_name(const char *name, void *context)
{
    const struct yk_directory *directory = context;
    struct yk_record record;
    uint32_t me = yk_sys_effective_uid();
    if (strncmp(name, ".bell-", 6) == 0)
        look_at_bell(directory, name);
    if (name[0] == '.' || yk_record_read(directory, name, &record) < 0)
        return 0;
    if ((record.uid == me || me == 0) && yk_record_is_dead(directory, &record, false) == 1)
        yk_name_retire(directory, name, record.nonce, true, 0);
    return 0;
}

void yk_recover_names_sometimes(const struct yk_directory *directory)
{
    static yk_atomic64 last; /* this process's own */
    uint64_t now = (uint64_t)yk_now_coarse(), before = yk_load_relaxed(&last);
    if (now - before < 1000000000 || !yk_cas_seq(&last, &before, now))
        return;
    yk_directory_each_intents(directory, look_at_intents, (void *)directory);
    yk_sys_entries(directory->fd, ".", look_at_name, (void *)directory);
}

void yk_recover_names(const struct yk_directory *directory)
{
    struct yk_directory own;
    if (yk_directory_intents(&own, directory, yk_sys_effective_uid(), false) == 0) {
        look_at_intents(&own, (void *)directory);
        yk_directory_close(&own);
    }
    yk_recover_names_sometimes(directory);
}
