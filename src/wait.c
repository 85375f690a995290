/*
 * wait.c - see wait.h.
 *
 * Why no wake-up is lost between living, running processes. The sleeper: sets its bit (seq_cst),
 * makes a fence, then looks, by whatever loads, then sleeps. The other: changes a cell (seq_cst
 * compare-and-swap, or a store and a fence), then loads the row (seq_cst). In the single total order
 * either the change comes before the fence, and the look finds it, or the bit comes before the load
 * of the row, and the bell is rung; the bell's value was read before the bit was set, so a bell rung
 * before futex_wait() makes that return at once.
 *
 * A wake-up that was meant for a sleeper which leaves for another reason (time over, signal,
 * cancelled, or because it found another message just then) is not swallowed: it tries once more,
 * and passes the wake-up on. Its caller does that, too, where it took one thing and sees another
 * one there (port.c).
 */
#include "wait.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/sys.h"
#include "base/trace.h"
#include "doorbell.h"
#include "notice.h"

#define SPIN_DEFAULT 20000
#define BELLS        32 /* of others that are kept open: descriptors are few */

/*
 * How a spinning thread looks: often for a message; seldom for room, since each look takes the very
 * cell that the receiver is about to change into this core's cache (8 B messages, one way: 0.16 of
 * Vyukov's rate with one pause between looks, 0.3 with 200).
 */
#define RECEIVE_LOOKS  16 /* between two readings of the clock */
#define RECEIVE_PAUSES 1
#define ROOM_LOOKS     1
#define ROOM_PAUSES    200

static int bell_of(enum yk_reason reason)
{
    return reason == YK_WAIT_ROOM || reason == YK_WAIT_POOL;
}

static bool ring_bell(const struct yk_object *object, uint32_t slot, int bell)
{
    yk_atomic32 *word = &yk_object_slot(object, slot)->bell[bell];
    yk_add32_seq(word, 1);
    int woken = yk_sys_futex_wake(word, 1);
    YK_TRACE_OBJECT(wake, object, slot, bell, woken);
    return woken > 0;
}

/* True when this call cleared the bit: the wake-up is then ours to deliver. */
static bool take_bit(const struct yk_waiting *waiting, enum yk_reason reason, uint32_t slot)
{
    uint64_t bit = UINT64_C(1) << slot % 64;
    return (yk_and_seq(&waiting->shm->bits[slot / 64][reason], ~bit) & bit) != 0;
}

static void set_bit(const struct yk_waiting *waiting, enum yk_reason reason)
{
    uint32_t slot = waiting->object->slot;
    yk_or_seq(&waiting->shm->bits[slot / 64][reason],
              UINT64_C(1) << slot % 64); /* SYNC wait.receive, wait.room */
}

void yk_wake_any(const struct yk_waiting *waiting, enum yk_reason reason)
{
    /* Begin behind oneself, so that the same one is not always the first. */
    uint32_t first = waiting->object->slot / 64;
    for (uint32_t i = 0; i < waiting->words; i++) {
        uint32_t word = (first + i) % waiting->words;
        uint64_t bits = yk_load_seq(&waiting->shm->bits[word][reason]);
        while (bits != 0) {
            uint32_t slot = word * 64 + (uint32_t)__builtin_ctzll(bits);
            bits &= bits - 1;
            if (slot >= waiting->object->fixed.participants || !take_bit(waiting, reason, slot))
                continue;
            /*
             * Nobody slept there (it died, or is just about to sleep and will look): one more may
             * be needed.
             */
            if (ring_bell(waiting->object, slot, bell_of(reason)))
                return;
        }
    }
}

/* ---- descriptors ---- */

static void ring(struct yk_waiting *waiting, uint32_t slot, uint32_t which, uint64_t nonce,
                 uint64_t mark)
{
    struct yk_object *object = waiting->object;
    uint32_t free = 0, place = slot * YK_NOTICES + which;
    struct yk_doorbell once = {.nonce = 0};
    int result = -ENOENT;
    if (nonce != 0) {
        bool taken = yk_cas32_seq(&waiting->bells_taken, &free, 1);
        if (taken && !waiting->bells)
            waiting->bells = yk_sys_allocate(BELLS, sizeof *waiting->bells);
        struct yk_doorbell *bell = taken && waiting->bells ? &waiting->bells[place % BELLS] : &once;
        result = yk_doorbell_ring(bell, object->directory, nonce, mark);
        yk_doorbell_close(&once);
        if (taken)
            yk_store32_release(&waiting->bells_taken, 0);
    }
    YK_TRACE_OBJECT(doorbell, object, slot, result);
    /*
     * No doorbell, or none that we can ring: no descriptor is left, no right to it, it is gone. All
     * who watch the object are told instead, which takes nothing that we do not have.
     */
    if (result < 0) {
        yk_log(
            "%s:%s: the doorbell of participant %u can not be rung: %s; the lock file is touched "
            "instead",
            yk_kind_name(object->fixed.kind), object->fixed.name, slot, strerror(-result));
        yk_sys_touch(object->lock.fd, object->anonymous ? object->size : 0);
    }
}

void yk_ring_descriptor(struct yk_waiting *waiting, uint32_t slot)
{
    for (uint32_t which = 0; which < YK_NOTICES; which++) {
        struct yk_shm_notice *notice = &yk_object_slot(waiting->object, slot)->notice[which];
        uint64_t armed = yk_load_seq(&notice->armed); /* SYNC notice.armed acquire */
        if ((armed & 1) == 0)
            continue;
        ring(waiting, slot, which, yk_load_relaxed(&notice->doorbell),
             yk_load_relaxed(&notice->mark));
        yk_cas_seq(&notice->armed, &armed, armed & ~UINT64_C(1)); /* fails: it is armed anew */
    }
}

void yk_ring_descriptors(struct yk_waiting *waiting)
{
    for (uint32_t word = 0; word < waiting->words; word++) {
        uint64_t bits = yk_load_seq(&waiting->shm->bits[word][YK_WAIT_DESCRIPTOR]);
        for (; bits != 0; bits &= bits - 1) {
            uint32_t slot = word * 64 + (uint32_t)__builtin_ctzll(bits);
            if (slot < waiting->object->fixed.participants)
                yk_ring_descriptor(waiting, slot);
        }
    }
}

void yk_tell_of_messages(struct yk_waiting *waiting, size_t sleepers, bool descriptors)
{
    if (descriptors)
        yk_ring_descriptors(waiting);
    for (size_t i = 0; i < sleepers && yk_anyone_waits(waiting, YK_WAIT_RECEIVE); i++)
        yk_wake_any(waiting, YK_WAIT_RECEIVE);
}

void yk_unarm(const struct yk_waiting *waiting, uint32_t slot, uint32_t which)
{
    yk_and_seq(&yk_object_slot(waiting->object, slot)->notice[which].armed, ~UINT64_C(1));
}

void yk_unarm_all(const struct yk_waiting *waiting, uint32_t slot)
{
    yk_and_seq(&waiting->shm->bits[slot / 64][YK_WAIT_DESCRIPTOR], ~(UINT64_C(1) << slot % 64));
    for (uint32_t which = 0; which < YK_NOTICES; which++)
        yk_unarm(waiting, slot, which);
}

void yk_ring_own(struct yk_waiting *waiting)
{
    yk_process_lock(); /* another thread may be making or closing what is rung */
    struct yk_descriptor *descriptor = yk_descriptor_of(waiting);
    if (descriptor)
        yk_notice_ring(&descriptor->notice);
    if (waiting->member)
        yk_notice_ring(waiting->member);
    yk_process_unlock();
}

void yk_waiting_join(struct yk_waiting *waiting)
{
    for (int i = 0; i < YK_WAIT_REASONS; i++)
        yk_store32_relaxed(&waiting->sleepers[i], 0);
    yk_store32_relaxed(&waiting->bells_taken, 0);
    waiting->member = NULL; /* the parent's set has it */
    yk_descriptor_close(waiting);
}

void yk_waiting_end(struct yk_waiting *waiting)
{
    for (uint32_t i = 0; waiting->bells && i < BELLS; i++)
        yk_doorbell_close(&waiting->bells[i]);
    free(waiting->bells);
    waiting->bells = NULL;
}

/* ---- sleepers ---- */

void yk_wake_slot(const struct yk_waiting *waiting, enum yk_reason reason, uint32_t slot)
{
    if (take_bit(waiting, reason, slot))
        ring_bell(waiting->object, slot, bell_of(reason));
}

void yk_wake_own(struct yk_object *object)
{
    for (int bell = 0; bell < 2; bell++) {
        yk_atomic32 *word = &yk_object_slot(object, object->slot)->bell[bell];
        yk_add32_seq(word, 1);
        yk_sys_futex_wake(word, INT_MAX);
    }
}

void yk_cancel(struct yk_waiting *waiting)
{
    yk_store32_release(&waiting->object->cancelled, 1);
    yk_fence_seq(); /* before the look who is inside, and before the bells */
    yk_wake_own(waiting->object);
    yk_ring_own(waiting);
}

int64_t yk_default_spin(void)
{
    return yk_sys_cpus() > 1 ? SPIN_DEFAULT : 0;
}

static bool membarrier_usable;

static void register_for_membarrier(void)
{
    const char *wanted = secure_getenv("YOKE_MEMBARRIER");
    membarrier_usable = (!wanted || strcmp(wanted, "off") != 0) &&
                        yk_sys_membarrier_register() == 0 && yk_sys_membarrier() == 0;
    if (!membarrier_usable)
        yk_log(
            "membarrier() is not to be had here, or YOKE_MEMBARRIER is off: on links each message "
            "costs its sender a fence");
}

bool yk_membarrier_usable(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, register_for_membarrier);
    return membarrier_usable;
}

#define CLOSING (UINT32_C(1) << 31)

void yk_visit_begin(struct yk_object *object)
{
    yk_add32_seq(&object->visitors, 1);
}

void yk_visit_end(struct yk_object *object)
{
    if (yk_add32_seq(&object->visitors, UINT32_MAX) == (CLOSING | 1))
        yk_sys_futex_wake(&object->visitors, INT_MAX); /* by address only */
}

void yk_wait_for_visitors(struct yk_object *object)
{
    uint32_t visitors = yk_or32_seq(&object->visitors, CLOSING) | CLOSING;
    while (visitors != CLOSING) {
        yk_sys_futex_wait(&object->visitors, visitors, YK_SLICE);
        visitors = yk_load32_seq(&object->visitors);
    }
}

/* ---- waiting ---- */

static ssize_t spin(struct yk_waiting *waiting, yk_attempt attempt, void *context,
                    enum yk_reason *reason, int64_t deadline)
{
    if (waiting->spin_ns <= 0)
        return 0;
    int64_t now = yk_now(), look = now + YK_SLICE / 2;
    int64_t end = waiting->spin_ns < deadline - now ? now + waiting->spin_ns : deadline;
    do {
        bool receives = *reason == YK_WAIT_RECEIVE;
        for (int i = 0; i < (receives ? RECEIVE_LOOKS : ROOM_LOOKS); i++) {
            ssize_t result = attempt(context, reason);
            if (result != 0)
                return result;
            for (int k = 0; k < (receives ? RECEIVE_PAUSES : ROOM_PAUSES); k++)
                yk_pause();
        }
        if (yk_load32_relaxed(&waiting->object->cancelled))
            return -ECANCELED;
        now = yk_now();
        if (yk_unlikely(now >= look)) { /* spins for long: as a sleeper would */
            yk_recover_dead_sometimes(waiting->object);
            look = now + YK_SLICE / 2;
        }
    } while (now < end);
    return 0;
}

/* What keeps the look behind the bit, and lets it see what was changed before another look at the row. */
static void look_behind_bit(struct yk_waiting *waiting, enum yk_reason row)
{
    bool fenced = !waiting->barrier;
    if (!fenced && row == YK_WAIT_RECEIVE) {
        waiting->naps++;
        fenced = waiting->fenced;
    }
    if (fenced)
        yk_fence_seq(); /* SYNC wait.receive, wait.room */
    else
        yk_sys_membarrier();
}

/*
 * One time that the thread lies down. Returns what the attempt said, or what ended the sleep (0:
 * look again).
 */
static ssize_t sleep_once(struct yk_waiting *waiting, yk_attempt attempt, void *context,
                          enum yk_reason *reason, int64_t deadline)
{
    enum yk_reason row = *reason;
    struct yk_object *object = waiting->object;
    struct yk_shm_slot *slot = yk_object_slot(object, object->slot);
    yk_atomic32 *bell = &slot->bell[bell_of(row)];
    uint32_t heard = yk_load32_seq(bell);

    if (row != YK_WAIT_ALONE) {
        yk_add32_seq(&waiting->sleepers[row], 1);
        set_bit(waiting, row);
        look_behind_bit(waiting, row);
    }
    ssize_t result = attempt(context, reason);
    if (result == 0 && yk_load32_seq(&object->cancelled))
        result = -ECANCELED;
    int64_t left = deadline == INT64_MAX ? YK_SLICE : deadline - yk_now();
    int64_t slice = yk_recovery_slice(object);
    if (result == 0 && *reason == row && left > 0) {
        yk_add32_seq(&slot->waiting[bell_of(row)], 1);
        int woken = yk_sys_futex_wait(bell, heard, left < slice ? left : slice);
        yk_add32_seq(&slot->waiting[bell_of(row)], UINT32_MAX);
        result = woken == -EINTR ? -EINTR : 0;
    }
    if (row != YK_WAIT_ALONE && yk_add32_seq(&waiting->sleepers[row], UINT32_MAX) == 1)
        take_bit(waiting, row, object->slot);
    return result;
}

/*
 * The thread does not lie down in this row again. Others of this handle may sleep on the same bell: the
 * bit is theirs now, and one of them may have slept through. (Who lies down again sets the bit itself
 * and looks once more, for all of them; if it rang each time, two would keep each other awake.)
 */
static void leave_row(const struct yk_waiting *waiting, enum yk_reason row)
{
    if (row == YK_WAIT_ALONE || yk_likely(yk_load32_seq(&waiting->sleepers[row]) == 0))
        return;
    set_bit(waiting, row);
    ring_bell(waiting->object, waiting->object->slot, bell_of(row));
}

static ssize_t wait_until(struct yk_waiting *waiting, yk_attempt attempt, void *context,
                          int64_t deadline)
{
    enum yk_reason reason = YK_WAIT_RECEIVE;
    ssize_t result = attempt(context, &reason);
    if (result == 0)
        result = spin(waiting, attempt, context, &reason, deadline);
    while (result == 0) {
        enum yk_reason row = reason;
        result = sleep_once(waiting, attempt, context, &reason, deadline);
        if (result == 0 && yk_recover_dead_sometimes(waiting->object) > 0)
            result = attempt(context, &reason);
        if (result == 0 && deadline != INT64_MAX && yk_now() >= deadline) {
            result = attempt(context, &reason);
            if (result == 0)
                result = -ETIMEDOUT;
        }
        if (result != 0 || reason != row)
            leave_row(waiting, row);
        /* Leaving empty-handed: a wake-up that was meant for us goes to somebody else. */
        if ((result == -EINTR || result == -ECANCELED) && row != YK_WAIT_ALONE &&
            !waiting->personal)
            yk_changed(waiting, row);
    }
    YK_TRACE_OBJECT(wait_end, waiting->object, result, reason);
    return result;
}

/*
 * Nothing there: a descriptor is to say when there is. What is found now was there before anybody
 * would ring for it.
 */
static ssize_t arm_descriptor(struct yk_waiting *waiting, yk_attempt attempt, void *context)
{
    struct yk_descriptor *descriptor = yk_descriptor_of(waiting);
    enum yk_reason reason = YK_WAIT_RECEIVE;
    ssize_t result = attempt(context, &reason);
    if (result != 0 || reason != YK_WAIT_RECEIVE)
        return result;
    yk_descriptor_arm(descriptor);
    result = attempt(context, &reason);
    if (result == 0 && yk_load32_seq(&waiting->object->cancelled))
        result = -ECANCELED;
    if (result != 0)
        yk_notice_ring(&descriptor->notice);
    return result;
}

static ssize_t look_once(struct yk_waiting *waiting, yk_attempt attempt, void *context)
{
    enum yk_reason reason = YK_WAIT_RECEIVE;
    if (yk_load32_relaxed(&waiting->object->cancelled))
        return -ECANCELED;
    /* What a dead one held may be just what is missing. */
    ssize_t result = yk_recover_dead_sometimes(waiting->object) > 0 ? attempt(context, &reason) : 0;
    if (result == 0 && yk_descriptor_of(waiting))
        result = arm_descriptor(waiting, attempt, context);
    return result != 0 ? result : -EAGAIN;
}

ssize_t yk_wait(struct yk_waiting *waiting, yk_attempt attempt, void *context,
                enum yk_reason missing, int64_t timeout_ns)
{
    struct yk_shm_slot *slot = yk_object_slot(waiting->object, waiting->object->slot);
    yk_count(&slot->counts[bell_of(missing) ? YK_COUNT_FULL : YK_COUNT_EMPTY], 1,
             yk_counts_alone(waiting->object));
    if (timeout_ns == 0)
        return look_once(waiting, attempt, context);
    if (yk_load32_seq(&waiting->object->cancelled))
        return -ECANCELED;
    YK_TRACE_OBJECT(wait_begin, waiting->object, timeout_ns);
    ssize_t result = wait_until(waiting, attempt, context, yk_deadline(timeout_ns));
    if (result == -ETIMEDOUT && yk_descriptor_of(waiting)) {
        result = arm_descriptor(waiting, attempt, context);
        return result != 0 ? result : -ETIMEDOUT;
    }
    return result;
}
