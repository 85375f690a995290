/*
 * bytes.c - see bytes.h.
 *
 * Why it holds, whoever stops or dies wherever:
 *
 * - Bytes from `read` to `written` are whole. Only who is inside WRITING changes bytes, and only
 *   those that are not between the two: it has read `written`, which nobody else changes meanwhile,
 *   and a `read` that may be old, which makes the room smaller than it is, never bigger. It copies,
 *   then stores `written`: before that store it has written nothing, after it everything.
 * - No byte is skipped: only who is inside READING moves `read`, and only over what it has copied.
 *   One that dies between the copy and the store leaves them to be read again.
 * - One at a time: `inside` leaves 0 by a compare-and-swap, and becomes 0 again by the one who is
 *   named there, or when that one is dead. Who recovers names the dead one in a compare-and-swap, so
 *   it never expels a successor. A dead one stores nothing any more, so its successor finds the
 *   counters as they will stay.
 * - Nobody waits for anybody of the other side: the two share the counters alone, and each side
 *   stores only its own.
 * - The end. A participant's bit is set before it is counted in `came`, and cleared when it leaves
 *   or is recovered. So whoever has read `came`, then finds no bit, then finds `came` as it was,
 *   knows of a moment at which nobody was there, though somebody had been. What the last one wrote
 *   it wrote before its bit went: a reader that looks for bytes once more finds all of them.
 *
 * A process that is stopped inside keeps its side, as it would keep a lock: others of that side
 * wait for it, the other side goes on with what is there.
 */
#include "ring/bytes.h"

#include <errno.h>
#include <string.h>

uint64_t yk_bytes_plan(uint64_t wanted)
{
    uint64_t capacity = YK_BYTES_CAPACITY_MIN;
    while (capacity < wanted && capacity < YK_BYTES_CAPACITY_MAX)
        capacity *= 2;
    return capacity;
}

bool yk_bytes_is_capacity(uint64_t capacity)
{
    return capacity >= YK_BYTES_CAPACITY_MIN && capacity <= YK_BYTES_CAPACITY_MAX &&
           (capacity & (capacity - 1)) == 0;
}

uint64_t yk_bytes_size(uint64_t capacity)
{
    return sizeof(struct yk_shm_bytes) + capacity;
}

void yk_bytes_attach(struct yk_bytes *ring, uint64_t capacity, void *memory)
{
    memset(ring, 0, sizeof *ring);
    ring->shm = memory;
    ring->bytes = (unsigned char *)memory + sizeof(struct yk_shm_bytes);
    ring->capacity = capacity;
}

/* ---- one at a time ---- */

bool yk_bytes_enter(struct yk_bytes *ring, enum yk_bytes_side side, uint64_t me)
{
    yk_atomic64 *inside = &ring->shm->sides[side].inside;
    uint64_t nobody = 0;
    /* a look first: a compare-and-swap that fails would take the line from who is inside */
    if (yk_load_seq(inside) != 0 ||
        !yk_cas_seq(inside, &nobody, me)) /* SYNC bytes.inside acquire */
        return false;
    yk_atomic64 *own = side == YK_BYTES_WRITING ? &ring->shm->written : &ring->shm->read;
    ring->at[side] = yk_load_acquire(own); /* nobody else changes it now */
    return true;
}

void yk_bytes_leave(struct yk_bytes *ring, enum yk_bytes_side side)
{
    /* SYNC bytes.inside release: after all that was done there */
    yk_store_release(&ring->shm->sides[side].inside, 0);
}

uint64_t yk_bytes_inside(const struct yk_bytes *ring, enum yk_bytes_side side)
{
    return yk_load_acquire(&ring->shm->sides[side].inside); /* SYNC bytes.inside acquire */
}

void yk_bytes_expel(struct yk_bytes *ring, enum yk_bytes_side side, uint64_t dead)
{
    /* SYNC bytes.inside release */
    if (dead != 0)
        yk_cas_seq(&ring->shm->sides[side].inside, &dead, 0);
}

void yk_bytes_recover(struct yk_bytes *ring, uint32_t slot)
{
    for (enum yk_bytes_side side = YK_BYTES_READING; side <= YK_BYTES_WRITING; side++) {
        uint64_t inside = yk_bytes_inside(ring, side);
        if ((inside & YK_BYTES_SLOT) == slot)
            yk_bytes_expel(ring, side, inside);
    }
}

/* ---- how much ---- */

int64_t yk_bytes_available(struct yk_bytes *ring, enum yk_bytes_side side, uint64_t least)
{
    bool writing = side == YK_BYTES_WRITING;
    uint64_t capacity = ring->capacity, at = ring->at[side];
    /* what was seen is never too good: the other side only goes on */
    uint64_t used = writing ? at - ring->seen[side] : ring->seen[side] - at;
    uint64_t available = writing ? capacity - used : used;
    if (used <= capacity && available >= least && available > 0)
        return (int64_t)available;
    /* SYNC bytes.written acquire, SYNC bytes.read acquire: then its bytes may be touched */
    ring->seen[side] = yk_load_seq(writing ? &ring->shm->read : &ring->shm->written);
    used = writing ? at - ring->seen[side] : ring->seen[side] - at;
    if (used > capacity)
        return -EPROTO;
    return (int64_t)(writing ? capacity - used : used);
}

uint64_t yk_bytes_guess(const struct yk_bytes *ring, enum yk_bytes_side side)
{
    uint64_t capacity = ring->capacity;
    /* seq: who is about to sleep looks after its bit is set (wait.c) */
    uint64_t own = yk_load_seq(side == YK_BYTES_WRITING ? &ring->shm->written : &ring->shm->read);
    uint64_t other = yk_load_seq(side == YK_BYTES_WRITING ? &ring->shm->read : &ring->shm->written);
    uint64_t used = side == YK_BYTES_WRITING ? own - other : other - own;
    /* others went on between the two looks, or nonsense stands there: to be looked at from inside */
    if (used > capacity)
        return capacity;
    return side == YK_BYTES_WRITING ? capacity - used : used;
}

/* ---- the bytes ---- */

unsigned char *yk_bytes_piece(const struct yk_bytes *ring, enum yk_bytes_side side, uint64_t *size)
{
    uint64_t offset = ring->at[side] & (ring->capacity - 1);
    if (*size > ring->capacity - offset)
        *size = ring->capacity - offset;
    yk_check_yield(); /* under the schedule checker only: others may run before the bytes */
    return ring->bytes + offset;
}

void yk_bytes_count(struct yk_bytes *ring, enum yk_bytes_side side, uint64_t size)
{
    yk_atomic64 *own = side == YK_BYTES_WRITING ? &ring->shm->written : &ring->shm->read;
    ring->at[side] += size;
    /* SYNC bytes.written release, SYNC bytes.read release: after the bytes. This store decides. */
    yk_store_release(own, ring->at[side]);
}

void yk_bytes_put(struct yk_bytes *ring, const void *data, uint64_t size)
{
    uint64_t first = size;
    unsigned char *piece = yk_bytes_piece(ring, YK_BYTES_WRITING, &first);
    memcpy(piece, data, first);
    if (first < size)
        memcpy(ring->bytes, (const unsigned char *)data + first, size - first);
    yk_bytes_count(ring, YK_BYTES_WRITING, size);
}

void yk_bytes_take(struct yk_bytes *ring, void *buffer, uint64_t size)
{
    uint64_t first = size;
    const unsigned char *piece = yk_bytes_piece(ring, YK_BYTES_READING, &first);
    memcpy(buffer, piece, first);
    if (first < size)
        memcpy((unsigned char *)buffer + first, ring->bytes, size - first);
    yk_bytes_count(ring, YK_BYTES_READING, size);
}

/* ---- who is at an end ---- */

void yk_bytes_come(struct yk_shm_bytes_end *end, uint32_t slot)
{
    /* SYNC bytes.end release: the bit first, so that who is counted has been there */
    yk_or_seq(&end->present[slot / 64], UINT64_C(1) << slot % 64);
    yk_add_seq(&end->came, 1);
}

bool yk_bytes_go(struct yk_shm_bytes_end *end, uint32_t slot, enum yk_bytes_ended how)
{
    uint64_t bit = UINT64_C(1) << slot % 64;
    if ((yk_load_acquire(&end->present[slot / 64]) & bit) == 0)
        return false;
    yk_store32_release(&end->ended, how); /* SYNC bytes.end release: before the bit goes */
    yk_and_seq(&end->present[slot / 64], ~bit);
    return true;
}

bool yk_bytes_anybody(const struct yk_shm_bytes_end *end, uint32_t words)
{
    for (uint32_t i = 0; i < words; i++) {
        if (yk_load_seq(&end->present[i]) != 0) /* SYNC bytes.end acquire */
            return true;
    }
    return false;
}

bool yk_bytes_left(const struct yk_shm_bytes_end *end, uint32_t words, uint64_t mark,
                   uint64_t *ret_came)
{
    uint64_t came = yk_load_seq(&end->came); /* SYNC bytes.end acquire */
    *ret_came = came;
    return came != mark && !yk_bytes_anybody(end, words) && yk_load_seq(&end->came) == came;
}

bool yk_bytes_is_over(const struct yk_bytes *ring, const struct yk_shm_bytes_end *writers,
                      uint32_t words, uint64_t mark, uint64_t *ret_came)
{
    /* in this order: what they wrote is there when they are gone */
    return yk_bytes_left(writers, words, mark, ret_came) &&
           yk_bytes_guess(ring, YK_BYTES_READING) == 0;
}
