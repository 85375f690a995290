/*
 * role_region.c - counters behind robust locks, units of a semaphore, notifications of an event.
 *
 * A seat's count is the number of its turn, and `total` is the sum of all counts, whenever somebody has the
 * lock and was not told that its last owner died. A unit's holder says so in its seat, so that more holders than
 * there are units would be seen.
 */
#include <errno.h>
#include <sched.h>

#include "worker.h"

static struct ground *ground_of(yoke_region *region)
{
    return yoke_region_data(region);
}

static uint64_t my_mark(void)
{
    return (uint64_t)me.number << 32 | me.life;
}

static uint64_t sum_of(const struct record *record)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < shared->seats; i++)
        sum += record->counts[i];
    return sum;
}

/* What the lock protects must be as its owner left it, or it was said that its owner died. */
static void enter(struct record *record, int64_t result)
{
    volatile uint64_t *inside = &record->inside;
    if (result == YOKE_OWNER_DIED) {
        atomic_fetch_add(&me.seat->owners_died, 1);
        if (*inside && is_living((uint32_t)(*inside >> 32), (uint32_t)*inside))
            fault("a lock was taken over from seat %u, which lives", (unsigned)(*inside >> 32));
        record->total = sum_of(record);
        record->dirty = 0;
    } else if (*inside) {
        fault("a lock was free, and seat %u is inside", (unsigned)(*inside >> 32));
    } else if (record->dirty || record->total != sum_of(record)) {
        fault("a lock was free, and what it protects half-done: total %llu of %llu",
              (unsigned long long)record->total, (unsigned long long)sum_of(record));
    }
    *inside = my_mark();
}

static void count_up(struct record *record, uint32_t number)
{
    volatile struct record *slow = record; /* in this order, and each for itself */
    uint32_t mine = me.number;
    uint64_t turn = atomic_load(&me.seat->tried[number]) + 1;
    atomic_store(&me.seat->tried[number], turn);
    slow->dirty = 1;
    uint64_t total = slow->total, before = slow->counts[mine];
    slow->counts[mine] = turn;
    if (once_in(30))
        sched_yield();
    slow->total = total + (turn - before);
    slow->dirty = 0;
    atomic_store(&me.seat->done[number], turn);
    if (slow->inside != my_mark())
        fault("two are inside of a lock: seats %u and %u", me.number,
              (unsigned)(slow->inside >> 32));
    slow->inside = 0;
}

/* False: it left with the lock in hand. */
static bool take_turn(yoke_region *region)
{
    uint32_t number = pick(LOCKS);
    struct record *record = &ground_of(region)->records[number];
    int64_t result = DOING(LOCKING, yoke_lock_acquire(region, &record->lock, some_timeout()));
    if (!is_answer(result, "yoke_lock_acquire", EAGAIN, ETIMEDOUT, 0) || result < 0)
        return true;
    enter(record, result);
    count_up(record, number);
    if (once_in(400))
        return false;
    result = DOING(RELEASING, yoke_lock_release(region, &record->lock));
    is_answer(result, "yoke_lock_release", 0);
    return true;
}

void take_turn_once(yoke_region *region)
{
    if (!take_turn(region))
        me.left = 0;
}

void play_locker(void)
{
    yoke_region *region = open_region(objects[me.seat->object].address);
    atomic_store(&me.seat->attached, me.life);
    while (region && goes_on() && may_send() && take_turn(region))
        if (once_in(1000))
            forks();
    if (closes())
        DOING(CLOSING, yoke_region_close(region));
}

/* ---- units ---- */

/* How many have a unit at one moment: those that were seen to, and have not moved until all were looked at. */
static uint32_t holders(void)
{
    uint32_t seats[2 * UNITS], lives[2 * UNITS], seen = 0, found = 0;
    uint64_t steps[2 * UNITS];
    for (uint32_t i = 1; i < shared->seats && seen < 2 * UNITS; i++) {
        const struct seat *seat = &shared->seat[i];
        steps[seen] = atomic_load(&seat->steps);
        lives[seen] = atomic_load(&seat->inside_life);
        if (is_living(i, lives[seen]))
            seats[seen++] = i;
    }
    for (uint32_t k = 0; k < seen; k++) {
        const struct seat *seat = &shared->seat[seats[k]];
        found += atomic_load(&seat->inside_life) == lives[k] && is_living(seats[k], lives[k]) &&
                 atomic_load(&seat->steps) == steps[k];
    }
    return found;
}

static void take_unit(yoke_region *region)
{
    yoke_semaphore *semaphore = (yoke_semaphore *)(void *)ground_of(region)->semaphore;
    int64_t result = DOING(TAKING, yoke_semaphore_acquire(region, semaphore, some_timeout()));
    if (!is_answer(result, "yoke_semaphore_acquire", EAGAIN, ETIMEDOUT, 0) || result < 0)
        return;
    atomic_store(&me.seat->inside_life, me.life);
    uint32_t count = holders();
    if (count > UNITS)
        fault("%u units of the semaphore are held, and there are %d", count, UNITS);
    if (once_in(30))
        nap(MS / 10);
    atomic_store(&me.seat->inside_life, 0);
    result = DOING(RELEASING, yoke_semaphore_release(region, semaphore));
    is_answer(result, "yoke_semaphore_release", 0);
}

void play_unit_taker(void)
{
    yoke_region *region = open_region(objects[me.seat->object].address);
    atomic_store(&me.seat->attached, me.life);
    while (region && goes_on() && may_send())
        take_unit(region);
    if (closes())
        DOING(CLOSING, yoke_region_close(region));
}

/* ---- notifications ---- */

/* Counts what others notified, and notifies: tried, and done, for the sum in the end. */
void play_notifier(void)
{
    yoke_region *region = open_region(objects[me.seat->object].address);
    uint64_t seen = 0, before = 0;
    atomic_store(&me.seat->attached, me.life);
    while (region && goes_on() && may_send()) {
        yoke_event *event = &ground_of(region)->event;
        if (once_in(2)) {
            atomic_fetch_add(&me.seat->notify_tried, 1);
            int64_t result = DOING(NOTIFYING, yoke_event_notify(region, event));
            atomic_fetch_add(&me.seat->notified, 1);
            is_answer(result, "yoke_event_notify", 0);
            continue;
        }
        int64_t result = DOING(NOTIFYING, yoke_event_wait(region, event, &seen, pick(3) * MS));
        is_answer(result, "yoke_event_wait", EAGAIN, ETIMEDOUT, 0);
        if (result == 0 && seen <= before)
            fault("an event's wait ended, and its count went from %llu to %llu",
                  (unsigned long long)before, (unsigned long long)seen);
        before = seen;
    }
    if (closes())
        DOING(CLOSING, yoke_region_close(region));
}
