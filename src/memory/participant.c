/*
 * participant.c - the slots of an object: joining, leaving, and the proof that somebody is dead.
 *
 * A participant holds an OFD write lock on the life byte of its slot, through a description that
 * only it has. The kernel drops the lock when the process dies, and it works across PID namespaces.
 * A used slot whose life byte is free has a dead owner.
 *
 * Whoever recovers or claims a slot holds its recovery byte meanwhile, so exactly one does, and one
 * that dies there is followed by the next. Asking who is dead takes no lock: a process that is
 * stopped while it recovers keeps nobody else from knowing.
 *
 * Through the description that holds a lock the kernel calls it free: a handle never asks for its
 * own slot.
 */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/sys.h"
#include "memory/object.h"

#define SEAT_PATIENCE  INT64_C(20000000)
#define SEAT_NAP       INT64_C(500000)
#define PLACE_PATIENCE YK_PATIENCE
#define PLACE_NAP      INT64_C(100000)

static void claim_slot(struct yk_object *object, uint32_t number, uint64_t word)
{
    struct yk_shm_slot *slot = yk_object_slot(object, number);
    union {
        char name[16];
        uint64_t words[2];
    } command;
    yk_sys_process_name(command.name);
    for (int i = 0; i < 2; i++) {
        yk_store_relaxed(&slot->command[i], command.words[i]);
        yk_store32_relaxed(&slot->waiting[i], 0);
    }
    yk_store_relaxed(&slot->joined, (uint64_t)yk_now_wall());
    yk_store32_relaxed(&slot->pid, (uint32_t)yk_sys_process_id());
    yk_store32_relaxed(&slot->uid, yk_sys_effective_uid());
    yk_store_relaxed(&slot->sent, 0);
    yk_store_relaxed(&slot->received, 0);
    for (int i = 0; i < YK_COUNTS; i++)
        yk_store_relaxed(&slot->before[i], yk_load_relaxed(&slot->counts[i]));
    object->slot = number;
    object->generation = (word >> 1) + 1;
    yk_store_release(&slot->word, object->generation << 1 | 1); /* SYNC slot.claim release */
    object->operations->joined(object);
}

/* Under the recovery byte. */
static int claim_if_free(struct yk_object *object, uint32_t number)
{
    struct yk_shm_slot *slot = yk_object_slot(object, number);
    int locked = yk_sys_byte_is_locked(object->lock.fd, YK_LIFE_BYTE(number), 1);
    if (locked != 0)
        return locked < 0 ? locked : -EAGAIN;
    uint64_t word = yk_load_acquire(&slot->word); /* SYNC slot.claim acquire */
    if (word & 1) {
        yk_recover_owner(object, number);
        word &= ~UINT64_C(1);
        yk_store_release(
            &slot->word,
            word); /* before the life byte is ours: nobody takes us for its old owner */
    }
    int result = yk_sys_lock_byte(object->lock.fd, YK_LIFE_BYTE(number));
    if (result == 0)
        claim_slot(object, number, word);
    return result;
}

static int try_slot(struct yk_object *object, uint32_t number)
{
    int result = yk_sys_lock_byte(object->lock.fd, YK_RECOVERY_BYTE(number));
    if (result < 0)
        return result;
    result = claim_if_free(object, number);
    yk_sys_unlock_byte(object->lock.fd, YK_RECOVERY_BYTE(number));
    return result;
}

static int no_lock(int result, uint32_t number)
{
    return yk_fail(-result, "the lock of participant %u can not be taken: %s", number,
                   strerror(-result));
}

static uint32_t first_slot(const struct yk_object *object)
{
    return object->seat == YK_NOT_FIRST_SEAT ? 1 : 0;
}

/* Tries the slots that nobody uses. 1: took one, 0: there is none. */
static int take_unused_slot(struct yk_object *object)
{
    for (uint32_t i = first_slot(object); i < object->fixed.participants; i++) {
        if (yk_load_relaxed(&yk_object_slot(object, i)->word) & 1)
            continue; /* relaxed: looked at again under the recovery byte */
        int result = try_slot(object, i);
        if (result != -EAGAIN)
            return result < 0 ? no_lock(result, i) : 1;
    }
    return 0;
}

/*
 * Tries all slots but those whose owners live. 1: took one, 0: all owners live; or -EAGAIN: somebody
 * is taking or recovering *ret_changing just now.
 */
static int take_dead_slot(struct yk_object *object, uint32_t *ret_changing)
{
    bool changing = false;
    for (uint32_t i = first_slot(object); i < object->fixed.participants; i++) {
        int result = yk_sys_byte_is_locked(object->lock.fd, YK_LIFE_BYTE(i), 1);
        if (result == 1)
            continue;
        if (result == 0)
            result = try_slot(object, i);
        if (result != -EAGAIN)
            return result < 0 ? no_lock(result, i) : 1;
        changing = true;
        *ret_changing = i;
    }
    return changing ? -EAGAIN : 0;
}

/*
 * That all places are taken is said only after one look at which every owner was alive. A place that
 * changes hands during the look proves nothing, and is looked at again: but not for ever, since who
 * recovers it may be stopped.
 */
static int take_any_slot(struct yk_object *object)
{
    uint32_t changing = 0;
    int64_t deadline = 0;
    for (;;) {
        int result = take_unused_slot(object);
        if (result == 0)
            result = take_dead_slot(object, &changing);
        if (result == 0)
            return yk_fail(ENOSPC,
                           "%s:%s has %u participants, and all are alive: it was created for no "
                           "more",
                           yk_kind_name(object->fixed.kind), object->fixed.name,
                           object->fixed.participants);
        if (result != -EAGAIN)
            return result < 0 ? result : 0;
        if (deadline == 0)
            deadline = yk_now() + PLACE_PATIENCE;
        else if (yk_now() > deadline)
            return yk_fail(EBUSY,
                           "process %d is recovering the only place of %s:%s that may be free",
                           yk_lock_holder(object->lock.fd, YK_RECOVERY_BYTE(changing)),
                           yk_kind_name(object->fixed.kind), object->fixed.name);
        yk_nap(PLACE_NAP);
    }
}

static int refuse_seat(const struct yk_object *object, int32_t holder)
{
    char entry[YK_ENTRY_MAX];
    yk_name_entry(entry, object->fixed.kind, object->fixed.name);
    if (holder == yk_sys_process_id())
        return yk_fail(EADDRINUSE, "%s is open already, in this very process %d",
                       yk_entry_address(entry), holder);
    return yk_fail(EADDRINUSE, "%s belongs to process %d, which is alive", yk_entry_address(entry),
                   holder);
}

/*
 * Whoever had the seat may just be ending: the kernel drops a dead process's locks one after the
 * other, and another process may be about to recover it.
 */
static int take_seat(struct yk_object *object)
{
    uint32_t seat = (uint32_t)object->seat;
    int result = -EAGAIN;
    for (int64_t start = yk_now(); result == -EAGAIN;) {
        result = try_slot(object, seat);
        if (result == -EAGAIN && yk_now() - start > SEAT_PATIENCE)
            return refuse_seat(object, yk_lock_holder(object->lock.fd, YK_LIFE_BYTE(seat)));
        if (result == -EAGAIN)
            yk_nap(SEAT_NAP);
    }
    return result < 0 ? no_lock(result, seat) : 0;
}

int yk_participant_join(struct yk_object *object)
{
    return object->seat < 0 ? take_any_slot(object) : take_seat(object);
}

void yk_participant_leave(struct yk_object *object)
{
    object->operations->recover(object, object->slot);
    /* SYNC slot.claim release: all is given back before the slot is free */
    yk_store_release(&yk_object_slot(object, object->slot)->word, object->generation << 1);
    /* closing alone would not do where somebody else has a copy of the description */
    yk_sys_unlock_byte(object->lock.fd, YK_LIFE_BYTE(object->slot));
}

bool yk_participant_is_dead(const struct yk_object *object, uint32_t number, uint64_t generation)
{
    if (number >= object->fixed.participants)
        return true;
    /* SYNC slot.claim acquire */
    if (yk_load_acquire(&yk_object_slot(object, number)->word) != (generation << 1 | 1))
        return true;
    return number != object->slot &&
           yk_sys_byte_is_locked(object->lock.fd, YK_LIFE_BYTE(number), 1) == 0;
}
