/*
 * recovery.c - repairs what the dead left: participants' slots, interrupted creations and removals,
 * dead names.
 *
 * The rule everywhere: take the lock that the dead one held, look again under it, repair, unlock.
 * The kernel gives that lock to one process at a time and drops it when that one dies, so exactly
 * one recovers, and is recovered in its turn.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/sys.h"
#include "memory/object.h"

#define LOOK_INTERVAL INT64_C(50000000)

/* ---- participants ---- */

static bool owner_is_dead(const struct yk_object *object, uint32_t number)
{
    return (yk_load_acquire(&yk_object_slot(object, number)->word) & 1) !=
               0 && /* SYNC slot.claim acquire */
           yk_sys_byte_is_locked(object->lock.fd, YK_LIFE_BYTE(number), 1) == 0;
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
        object->operations->recover(object, number);
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

/* ---- names ---- */

/* A hostile intent may name what is somebody else's. */
static void unlink_own(const struct yk_directory *directory, const char *path, uint32_t uid)
{
    struct stat facts;
    if (yk_sys_stat_at(directory->fd, path, &facts) == 0 && facts.st_uid == uid)
        yk_sys_unlink(directory->fd, path);
}

/* The segment and the lock file of an intent. 0 when nothing is left of them. */
static int undo_record(const struct yk_directory *directory, const struct yk_record *record)
{
    char path[48];
    int result = record->segment >= 0
                     ? yk_segment_retire(record->segment, record->nonce, record->uid)
                     : yk_segment_undo(record->key, record->nonce, record->size, record->uid);
    if (result < 0)
        return result;
    yk_live_path(path, record->nonce);
    unlink_own(directory, path, record->uid);
    if (record->kind == YK_KIND_PEER) {
        yk_bell_path(path, record->nonce);
        unlink_own(directory, path, record->uid);
    }
    return 0;
}

int yk_recover_intent(const struct yk_directory *directory, uint32_t uid, const char *entry)
{
    char path[YK_ENTRY_MAX + 32];
    struct yk_record record;
    yk_intent_path(path, uid, entry);
    int result = yk_record_read(directory, path, &record);
    if (result == -ENOENT)
        return 0;
    /* one link: a hostile hard link to the owner's published name is no intent of the owner's */
    if (result == -EPROTO || (result == 0 && (record.uid != uid || record.links != 1))) {
        yk_sys_unlink(
            directory->fd,
            path); /* its writer died before it made anything, or is not who the name says */
        return 0;
    }
    if (result < 0)
        return result;
    if (record.namespace != yk_ipc_namespace())
        return yk_fail(
            EBUSY,
            "somebody in IPC namespace %llu died while creating or removing %s: finish it there, "
            "or, when "
            "that one is gone, delete %s/%s",
            (unsigned long long)record.namespace, yk_entry_address(entry), directory->path, path);
    result = undo_record(directory, &record);
    if (result < 0)
        return yk_fail(EBUSY, "what a dead process left of %s can not be cleared now: %s",
                       yk_entry_address(entry), strerror(-result));
    yk_sys_unlink(directory->fd, path); /* last: until here all of it can be done again */
    return 0;
}

static int retire_locked(const struct yk_directory *directory, uint32_t uid, const char *entry,
                         uint64_t nonce, bool only_dead)
{
    char path[YK_ENTRY_MAX + 32];
    struct yk_record record;
    int result = yk_recover_intent(directory, uid, entry);
    if (result < 0)
        return result;
    result = yk_record_read(directory, entry, &record);
    if (result < 0)
        return result == -ENOENT ? yk_fail(ENOENT, "there is no %s in %s", yk_entry_address(entry),
                                           directory->path)
                                 : result;
    if (record.uid != uid || (nonce != 0 && record.nonce != nonce) ||
        (only_dead && !yk_record_is_dead(&record, true)))
        return -EAGAIN; /* it is another object's name by now */
    bool foreign = record.namespace != yk_ipc_namespace();
    if (foreign && (record.flags & YK_OBJECT_KEPT))
        return yk_fail(
            ENOTSUP,
            "%s belongs to IPC namespace %llu, this process is in %llu: remove it there, or, when "
            "that one is gone, delete %s/%s",
            yk_entry_address(entry), (unsigned long long)record.namespace,
            (unsigned long long)yk_ipc_namespace(), directory->path, entry);
    if (foreign) {
        char live[48];
        yk_live_path(live, record.nonce);
        yk_sys_unlink(directory->fd, live);
        return yk_sys_unlink(directory->fd, entry);
    }
    yk_intent_path(path, uid, entry);
    result = yk_sys_rename(directory->fd, entry, path); /* from here on the name is free */
    if (result < 0)
        return yk_fail(-result, "%s/%s can not be removed: %s", directory->path, entry,
                       strerror(-result));
    yk_recover_intent(directory, uid, entry);
    return 0;
}

int yk_name_retire(const struct yk_directory *directory, const char *entry, uint64_t nonce,
                   bool only_dead, int64_t patience_ns)
{
    struct yk_name_lock lock;
    struct stat facts;
    uint32_t me = yk_sys_effective_uid();
    for (int attempt = 0; attempt < 8; attempt++) {
        int result = yk_sys_stat_at(directory->fd, entry, &facts);
        if (result < 0)
            return yk_fail(-result, "there is no %s in %s", yk_entry_address(entry),
                           directory->path);
        if (facts.st_uid != me && me != 0)
            return yk_fail(
                EACCES,
                "%s belongs to uid %u, this process is uid %u: only its owner or root may remove "
                "it",
                yk_entry_address(entry), facts.st_uid, me);
        result = yk_directory_lock(&lock, directory, facts.st_uid, entry, patience_ns);
        if (result < 0)
            return result;
        result = retire_locked(directory, facts.st_uid, entry, nonce, only_dead);
        yk_directory_unlock(&lock);
        if (result != -EAGAIN)
            return result;
        if (nonce != 0 || only_dead)
            break;
    }
    return yk_fail(EBUSY, "%s is created and removed all the time", yk_entry_address(entry));
}

static int look_at_intent(const char *name, void *context)
{
    const struct yk_directory *directory = context;
    char *end;
    unsigned long uid = strtoul(name, &end, 10);
    uint32_t me = yk_sys_effective_uid();
    if (*end != '.' || end == name || (uid != me && me != 0))
        return 0;
    struct yk_name_lock lock;
    if (yk_directory_lock(&lock, directory, (uint32_t)uid, end + 1, 0) == 0) {
        yk_recover_intent(directory, (uint32_t)uid, end + 1);
        yk_directory_unlock(&lock);
    }
    return 0;
}

static int look_at_name(const char *name, void *context)
{
    const struct yk_directory *directory = context;
    struct yk_record record;
    uint32_t me = yk_sys_effective_uid();
    if (name[0] == '.' || yk_record_read(directory, name, &record) < 0)
        return 0;
    if ((record.uid == me || me == 0) && yk_record_is_dead(&record, false))
        yk_name_retire(directory, name, record.nonce, true, 0);
    return 0;
}

void yk_recover_names(const struct yk_directory *directory)
{
    static yk_atomic64 last; /* this process's own */
    uint64_t now = (uint64_t)yk_now_coarse(), before = yk_load_relaxed(&last);
    yk_sys_entries(directory->fd, YK_INTENTS, look_at_intent, (void *)directory);
    if (now - before < 1000000000 || !yk_cas_seq(&last, &before, now))
        return;
    yk_sys_entries(directory->fd, ".", look_at_name, (void *)directory);
}
