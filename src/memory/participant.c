/*
 * participant.c - the slots of an object: joining, leaving, and the proof that somebody is dead.
 *
 * A participant holds an OFD write lock on the byte of its slot, through a description that only it has. The kernel
 * drops the lock when the process dies, and it works across PID namespaces. Who gets the lock of a used slot has
 * proved its owner dead, and is the only one who may recover it. Through our own description the kernel calls our own byte
 * free: it is never asked.
 */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/sys.h"
#include "memory/object.h"

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
    object->slot = number;
    object->generation = (word >> 1) + 1;
    yk_store_release(&slot->word, object->generation << 1 | 1); /* SYNC slot.claim release */
    object->operations->joined(object);
}

static int try_slot(struct yk_object *object, uint32_t number)
{
    struct yk_shm_slot *slot = yk_object_slot(object, number);
    int result = yk_sys_lock_byte(object->lock_fd, (off_t)number);
    if (result < 0)
        return result;
    uint64_t word = yk_load_acquire(&slot->word); /* SYNC slot.claim acquire */
    if (word & 1)
        object->operations->recover(object, number);
    claim_slot(object, number, word);
    return 0;
}

int yk_participant_join(struct yk_object *object)
{
    int result = -EAGAIN;
    /* first the free ones, then those whose owners may be dead */
    for (uint64_t used = 0; used <= 1; used++) {
        for (uint32_t i = 0; i < object->fixed.participants; i++) {
            if ((yk_load_relaxed(&yk_object_slot(object, i)->word) & 1) != used)
                continue;
            result = try_slot(object, i);
            if (result == 0)
                return 0;
            if (result != -EAGAIN)
                return yk_fail(-result, "the lock of participant %u can not be taken: %s", i, strerror(-result));
        }
    }
    return yk_fail(ENOSPC, "%s:%s has %u participants, and all are alive: it was created for no more",
                   yk_kind_name(object->fixed.kind), object->fixed.name, object->fixed.participants);
}

void yk_participant_leave(struct yk_object *object)
{
    object->operations->recover(object, object->slot);
    /* SYNC slot.claim release: all is given back before the slot is free. The lock goes with the descriptor. */
    yk_store_release(&yk_object_slot(object, object->slot)->word, object->generation << 1);
}
