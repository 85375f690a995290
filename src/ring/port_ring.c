/*
 * port_ring.c - the port's ring, "own pools" form. See docs/decisions/001-port-ring.md for the
 * comparison with the alternatives. The idea that head and tail are only hints and one
 * compare-and-swap on a cell decides goes back to Colvin and Groves' and Shafiei's array queues;
 * stamping the position into the block, marking held cells on, and giving back in place are yoke's.
 *
 * Steps
 *   send     1 fill a FREE block of one's own pool
 *            2 find the tail's cell EMPTY in its lap, and the one `depth` before it not FULL
 *            3 word := USED(position)   4 cell EMPTY -> FULL (CAS): sent
 *   take     if raised != settled: 1 scan for AGAIN, lowest position first
 *            2 AGAIN -> HELD(me) (CAS)   3 deliveries + 1   4 returning := 0
 *            else at the head: FULL -> HELD(me) (CAS)
 *   release  1 word := FREE   2 HELD -> EMPTY, lap + 1 (CAS; again when the lap was raised)
 *   return   1 returning := RETURNING   2 raised + 1   3 HELD -> AGAIN (CAS, in place)
 *   park     1 returning := PARKING   2 count those that are parked, or HELD and PARKING
 *            3 fewer than max_parked: HELD -> PARKED (CAS); else drop: count it, and release
 *   recover  each HELD cell of the dead: is its block's word USED of this very cell? Then return it
 *            for the dead, else EMPTY. Each USED block of its pool: its cell names it: leave it;
 *            else FREE.
 *
 * Invariants
 *   I1  A position is passed by the tail only when its cell was filled, or its lap raised for that
 *       position, so a message is never committed before one that its sender saw committed (first
 *       in, first out).
 *   I2  `cell(p) names b and word(b) is USED(p)` says exactly: committed and not released. USED(p)
 *       is stored only after cell(p) was read EMPTY in p's lap, and the CAS fails unless it still
 *       is; release clears the word first.
 *   I3  A block is in at most one cell that is not EMPTY: its word is USED from before the commit
 *       until the release, and only a FREE block is filled.
 *   I4  AGAIN implies raised != settled: `raised` grows before the cell turns AGAIN, and `settled`
 *       is set only to a value that was read before a scan which saw neither AGAIN nor a holder
 *       that is returning.
 *   I5  Only the owner of a HELD cell, or who holds the recovery byte of its dead owner, moves it
 *       on; senders change only its lap.
 *   I6  Never more than max_parked are PARKED: of any that are, the one that was marked PARKING last
 *       counted all others, since each was marked before it, and parked itself all the same.
 *
 * Stopping (or dying) after any step: a send before 4 leaves a FREE block or a USED one whose cell
 * does not name it; the others never look at it. A take after its CAS leaves HELD. A release
 * between 1 and 2 leaves HELD with a FREE block: recovery frees the cell, the message is not
 * delivered again. A return before 3 leaves HELD and at worst `raised` ahead: every take scans
 * until the holder goes on or is recovered. Nobody ever waits for another's step: a HELD, AGAIN or
 * PARKED cell that stands in the tail's way is marked on (its lap raised), which skips that one
 * position.
 *
 * Why no fence after storing the word: word and commit are a relaxed store and a seq_cst CAS after
 * it in program order; who reads the cell FULL (acquire) sees the word. Why no lock against the ABA
 * of a cell: a cell's value recurs only after 2^25 laps. Who stood still for exactly as long before its CAS then sends,
 * or takes, what is free, or waits, in that very cell now; all that asks whether a block is its cell's (I2) compares
 * places in the ring, which are the same. Only the number in the block is an old one.
 */
#include "ring/port_ring.h"

#include <errno.h>
#include <string.h>

#define OWNER_SHIFT (YK_CELL_BLOCK_BITS + 3)
#define LAP_SHIFT   (YK_CELL_OWNER_BITS + OWNER_SHIFT)
#define LAP_MASK    ((UINT64_C(1) << YK_CELL_LAP_BITS) - 1)
#define OWNER_MASK  ((UINT64_C(1) << YK_CELL_OWNER_BITS) - 1)
#define BLOCK_MASK  ((UINT64_C(1) << YK_CELL_BLOCK_BITS) - 1)
#define KEY_MASK    ((UINT64_C(1) << LAP_SHIFT) - 1)

/* Kept out of the callers, whose usual way is short. */
#define COLD __attribute__((noinline, cold))

#define CELLS_LOG2_MIN 8
#define CELLS_LOG2_MAX 23
#define SPREAD_LOG2    3
#define GROUP_LOG2     9
#define SMALL_MESSAGE  4096
#define HEADER_SMALL   32
#define HEADER_LARGE   64
#define SPARE          16
#define WINDOW_LOOKS   16
#define RECEIVE_AHEAD  8
#define MUCH_ROOM      64 /* positions */
#define COUNT_TRIES    8
#define DEPTH_MAX      (UINT32_C(1) << 20)
#define MESSAGE_MAX    (UINT64_C(64) << 20)
/* Only a peer that writes a cell without end can make an owner try this often. */
#define OWNER_TRIES (1u << 20)

static uint64_t make_cell(uint64_t lap, uint32_t owner, uint32_t block, enum yk_cell_state state)
{
    return (lap & LAP_MASK) << LAP_SHIFT | (uint64_t)owner << OWNER_SHIFT | (uint64_t)block << 3 |
           (uint64_t)state;
}

static uint32_t cell_state(uint64_t cell)
{
    return (uint32_t)(cell & 7);
}

static uint32_t cell_block(uint64_t cell)
{
    return (uint32_t)(cell >> 3 & BLOCK_MASK);
}

static uint32_t cell_owner(uint64_t cell)
{
    return (uint32_t)(cell >> OWNER_SHIFT & OWNER_MASK);
}

static uint64_t cell_lap(uint64_t cell)
{
    return cell >> LAP_SHIFT;
}

static bool is_lap_and_state(uint64_t cell, uint64_t lap, enum yk_cell_state state)
{
    return ((cell ^ make_cell(lap, 0, 0, state)) & ~(KEY_MASK & ~UINT64_C(7))) == 0;
}

static uint64_t with_lap(uint64_t cell, uint64_t lap)
{
    return (cell & KEY_MASK) | (lap & LAP_MASK) << LAP_SHIFT;
}

static uint32_t cells_of(const struct yk_ring *ring)
{
    return UINT32_C(1) << ring->geometry.cells_log2;
}

/*
 * Neighbours lie in different cache lines, so that a sender and a receiver seldom write the same
 * line; but not so far apart that they compete for the same places of a cache, or that a port which
 * is little used touches many pages.
 */
static uint32_t position_index(const struct yk_ring *ring, uint64_t position)
{
    uint32_t low_bits = (uint32_t)position; /* no ring has more cells than that tells apart */
    return (low_bits & ring->high_mask) | (low_bits & ring->low_mask) << ring->low_shift |
           (low_bits & ring->group_mask) >> ring->geometry.spread_log2;
}

static uint64_t position_lap(const struct yk_ring *ring, uint64_t position)
{
    return position >> ring->geometry.cells_log2 & LAP_MASK;
}

static yk_atomic64 *position_cell(const struct yk_ring *ring, struct yk_shm_ring *shm,
                                  uint64_t position)
{
    return &shm->cells[position_index(ring, position)];
}

static uint64_t make_word(uint64_t position, uint32_t number)
{
    return position << 6 | (uint64_t)number << 1 | 1;
}

static uint64_t word_position(uint64_t word)
{
    return word >> 6;
}

static uint64_t sequence_of(const struct yk_ring *ring, uint64_t position, uint32_t number)
{
    return position * ring->geometry.rings + number;
}

/* ---- geometry ---- */

static uint32_t log2_at_least(uint64_t value)
{
    uint32_t log = 0;
    while ((UINT64_C(1) << log) < value)
        log++;
    return log;
}

/*
 * How many messages of one ring, and of all rings, may be HELD at once: what everybody may have
 * borrowed, one that each is just receiving, and some more, for processes of several threads. As
 * many may be HELD or AGAIN in a ring, since nobody takes a FULL one where he saw an AGAIN one.
 */
static uint64_t held_most(const struct yk_ring_geometry *geometry)
{
    return (uint64_t)geometry->participants * (geometry->max_borrowed + UINT64_C(1)) + SPARE;
}

void yk_ring_plan(struct yk_ring_geometry *geometry)
{
    uint64_t held = held_most(geometry);
    /*
     * Twice the depth: a hole (released out of order) lasts a lap, and must not take a waiting
     * message's place.
     */
    uint32_t log = log2_at_least((uint64_t)geometry->depth * 2 + held + geometry->max_parked);
    uint64_t blocks =
        ((uint64_t)geometry->depth + geometry->max_parked) * geometry->rings + held + SPARE;
    geometry->cells_log2 = log < CELLS_LOG2_MIN ? CELLS_LOG2_MIN : log;
    geometry->spread_log2 = SPREAD_LOG2;
    geometry->blocks_each = blocks < UINT32_MAX ? (uint32_t)blocks : UINT32_MAX;
    geometry->payload_offset = geometry->max_message <= SMALL_MESSAGE ? HEADER_SMALL : HEADER_LARGE;
    geometry->block_stride =
        (geometry->payload_offset + geometry->max_message + 63) & ~UINT64_C(63);
}

static uint64_t ring_stride(const struct yk_ring_geometry *geometry)
{
    uint64_t bytes = sizeof(struct yk_shm_ring) + (sizeof(yk_atomic64) << geometry->cells_log2);
    return (bytes + 127) & ~UINT64_C(127);
}

uint64_t yk_ring_rings_bytes(const struct yk_ring_geometry *geometry)
{
    return ring_stride(geometry) * geometry->rings;
}

static uint64_t blocks_total(const struct yk_ring_geometry *geometry)
{
    return (uint64_t)geometry->blocks_each * geometry->participants;
}

uint64_t yk_ring_blocks_bytes(const struct yk_ring_geometry *geometry)
{
    uint64_t total = blocks_total(geometry);
    if (total > BLOCK_MASK + 1)
        return 0;
    return (total * geometry->block_stride + 127) & ~UINT64_C(127);
}

int yk_ring_check_geometry(const struct yk_ring_geometry *g)
{
    bool sound =
        g->cells_log2 >= 1 && g->cells_log2 <= CELLS_LOG2_MAX && g->spread_log2 <= SPREAD_LOG2 &&
        g->spread_log2 <= g->cells_log2 && g->rings >= 1 && g->rings <= YK_RINGS_MAX &&
        g->depth >= 1 && g->depth <= DEPTH_MAX && g->max_parked <= YK_RING_PARKED_MAX &&
        g->max_borrowed <= YK_RING_BORROWED_MAX && g->depth <= UINT64_C(1) << g->cells_log2 &&
        g->participants >= 1 && g->participants <= OWNER_MASK && g->blocks_each >= 1 &&
        blocks_total(g) <= BLOCK_MASK + 1 && g->max_message <= MESSAGE_MAX &&
        g->payload_offset >= sizeof(struct yk_shm_block) && g->payload_offset <= HEADER_LARGE &&
        g->payload_offset % 16 == 0 && /* as loans and borrowed messages are promised to be */
        g->block_stride % 64 == 0 && g->block_stride >= g->payload_offset + g->max_message &&
        g->block_stride <= 2 * MESSAGE_MAX;
    return sound ? 0 : -EPROTO;
}

void yk_ring_attach(struct yk_ring *ring, const struct yk_ring_geometry *geometry, void *rings,
                    void *blocks)
{
    ring->geometry = *geometry;
    ring->blocks = blocks;
    ring->ring_stride = ring_stride(geometry);
    for (uint32_t i = 0; i < geometry->rings; i++)
        ring->rings[i] = (struct yk_shm_ring *)((uintptr_t)rings + i * ring->ring_stride);
    ring->blocks_total = (uint32_t)blocks_total(geometry);
    uint32_t group = geometry->cells_log2 < GROUP_LOG2 ? geometry->cells_log2 : GROUP_LOG2;
    ring->low_mask = (UINT32_C(1) << geometry->spread_log2) - 1;
    ring->group_mask = (UINT32_C(1) << group) - 1;
    ring->high_mask = ((UINT32_C(1) << geometry->cells_log2) - 1) & ~ring->group_mask;
    ring->low_shift = group - geometry->spread_log2;
    ring->steps_most = 3 * cells_of(ring) + 8;
}

/* ---- walking over the cells ---- */

/*
 * In the order of positions, so that a walk in the ring's first lap ends where nobody has been yet:
 * a position is passed only when it was filled or marked on (I1), so behind the first cell that is
 * still as the memory was at first there is none that anybody holds. Whoever takes one there later
 * does so after the walk began. In later laps a cell may look like that again; the tail hint tells
 * (it is at least a lap on then, unless it is 2^25 laps old).
 */
struct walk {
    const struct yk_ring *ring;
    struct yk_shm_ring *shm;
    uint32_t next, end;
    bool first_lap;
    uint32_t index; /* where it is, and what is there */
    uint64_t cell;
};

static struct walk walk_begin(const struct yk_ring *ring, struct yk_shm_ring *shm)
{
    return (struct walk){.ring = ring,
                         .shm = shm,
                         .end = cells_of(ring),
                         .first_lap = yk_load_relaxed(&shm->tail) < cells_of(ring)};
}

static bool walk_on(struct walk *walk)
{
    if (walk->next == walk->end)
        return false;
    walk->index = position_index(walk->ring, walk->next++);
    /* SYNC port.publish, port.again acquire */
    walk->cell = yk_load_acquire(&walk->shm->cells[walk->index]);
    return walk->cell != 0 || !walk->first_lap;
}

/* ---- send ---- */

/*
 * Is the position `depth` before this one still waiting? Once it is not, it never is again. Asked
 * for every position that the tail passes, filled or marked on, so that nothing at or before p -
 * depth is FULL when p is passed.
 */
static bool window_is_full(const struct yk_ring *ring, struct yk_shm_ring *shm, uint64_t position)
{
    uint64_t oldest = position - ring->geometry.depth;
    uint64_t cell = yk_load_seq(position_cell(ring, shm, oldest)); /* seq: SYNC wait.room */
    return is_lap_and_state(cell, position_lap(ring, oldest), YK_CELL_FULL);
}

/*
 * The same, remembered. What lies before the head was taken, so as far as that reaches is open without a
 * look at each cell: those were last written by receivers, and come from them line by line. Where the
 * port is nearly full that is not far, and it looks at several positions at once, which all lie before the
 * tail, so what is seen of them stays true. A sender takes a line from the receivers for many messages
 * then, or for some where it is close behind them, not for each.
 */
static bool window_is_open(const struct yk_ring *ring, struct yk_shm_ring *shm, uint64_t position,
                           uint64_t *open)
{
    if (yk_likely((int64_t)(*open - position) > 0))
        return true;
    if (window_is_full(ring, shm, position))
        return false;
    uint64_t waiting = position - yk_load_acquire(&shm->head); /* SYNC port.hint acquire */
    uint64_t seen = waiting < ring->geometry.depth ? ring->geometry.depth - waiting : 1;
    while (seen < WINDOW_LOOKS && seen < ring->geometry.depth &&
           !window_is_full(ring, shm, position + seen))
        seen++;
    *open = position + seen;
    return true;
}

/*
 * The cell of `tail` is still held. Is it worth marking on: does an EMPTY cell come before an old
 * FULL one? Reads only, so that a full port is left as it is.
 */
static COLD bool room_behind(const struct yk_ring *ring, struct yk_shm_ring *shm, uint64_t tail)
{
    for (uint32_t ahead = 0; ahead < cells_of(ring); ahead++) {
        uint64_t position = tail + ahead;
        uint64_t cell = yk_load_acquire(position_cell(ring, shm, position));
        uint64_t distance = (cell_lap(cell) - position_lap(ring, position)) & LAP_MASK;
        if (window_is_full(ring, shm, position))
            return false;
        if (distance != LAP_MASK)
            return true;
        if (cell_state(cell) == YK_CELL_FULL || cell_state(cell) == YK_CELL_EMPTY)
            return false;
    }
    return false;
}

/* The next position to try when the cell of `position` is `distance` laps ahead of it. */
static uint64_t jump(const struct yk_ring *ring, uint64_t position, uint64_t distance,
                     uint64_t proven)
{
    if (distance > proven)
        position += (distance - proven) << ring->geometry.cells_log2;
    return position + 1;
}

int yk_ring_commit(const struct yk_ring *ring, uint32_t number, uint32_t block, uint64_t *hint,
                   uint64_t *open, uint64_t *ret_sequence)
{
    struct yk_shm_ring *shm = yk_ring_shm(ring, number);
    yk_atomic64 *word = &yk_ring_block(ring, block)->word;
    uint64_t position = *hint;
    bool stamped = false, looked = false;

    for (uint32_t step = 0; step < ring->steps_most; step++) {
        yk_atomic64 *at = position_cell(ring, shm, position);
        uint64_t lap = position_lap(ring, position);
        uint64_t cell = yk_load_acquire(at); /* SYNC port.release acquire */
        uint64_t distance = (cell_lap(cell) - lap) & LAP_MASK;
        uint32_t state = cell_state(cell);

        if (yk_likely(is_lap_and_state(cell, lap, YK_CELL_EMPTY))) {
            if (yk_unlikely(!window_is_open(ring, shm, position, open)))
                break;
            /*
             * relaxed: the CAS below publishes it; I2 needs only that it comes after reading EMPTY
             */
            yk_store_relaxed(word, make_word(position, number));
            stamped = true;
            /* SYNC port.publish release: header, payload and word before the cell.
             * seq: before the caller's look at who sleeps (SYNC wait.receive) */
            if (yk_likely(yk_cas_seq(at, &cell, make_cell(lap, 0, block, YK_CELL_FULL)))) {
                *hint = position + 1;
                *ret_sequence = sequence_of(ring, position, number);
                return 1;
            }
            continue;
        }
        if (distance != LAP_MASK) {
            position = jump(ring, position, distance, 1);
            looked = false;
            continue;
        }
        if (state == YK_CELL_FULL || state == YK_CELL_EMPTY)
            break;
        if (!looked && !room_behind(ring, shm, position))
            break;
        looked = true;
        if (window_is_full(ring, shm, position))
            break;
        if (yk_cas_seq(at, &cell, with_lap(cell, lap))) {
            position++;
            yk_add_seq(&shm->skipped, 1);
        }
    }
    if (stamped)
        yk_store_release(word, 0);
    return 0;
}

void yk_ring_prefetch_cell(const struct yk_ring *ring, uint32_t number, uint64_t position)
{
    yk_prefetch_write(position_cell(ring, yk_ring_shm(ring, number), position));
}

void yk_ring_prefetch_block(const struct yk_ring *ring, uint32_t block)
{
    const unsigned char *lines = (const unsigned char *)yk_ring_block(ring, block);
    yk_prefetch(lines);
    if (ring->geometry.block_stride > 64)
        yk_prefetch(lines + 64);
}

bool yk_ring_has_much_room(const struct yk_ring *ring, uint32_t number)
{
    struct yk_shm_ring *shm = yk_ring_shm(ring, number);
    uint32_t depth = ring->geometry.depth, much = depth / 4 < MUCH_ROOM ? depth / 4 : MUCH_ROOM;
    return !window_is_full(ring, shm, yk_load_relaxed(&shm->tail) + much);
}

/* The first position that was not passed yet. False: the bound was exhausted, by hostile values. */
static bool find_tail(const struct yk_ring *ring, struct yk_shm_ring *shm, uint64_t *ret_position)
{
    uint64_t position = yk_load_acquire(&shm->tail); /* SYNC port.hint acquire */
    for (uint32_t step = 0; step < ring->steps_most; step++) {
        uint64_t cell = yk_load_acquire(position_cell(ring, shm, position));
        uint64_t distance = (cell_lap(cell) - position_lap(ring, position)) & LAP_MASK;
        *ret_position = position;
        if (distance == LAP_MASK || (distance == 0 && cell_state(cell) == YK_CELL_EMPTY))
            return true;
        position = jump(ring, position, distance, 1);
    }
    return false;
}

bool yk_ring_has_room(const struct yk_ring *ring, uint32_t number)
{
    struct yk_shm_ring *shm = yk_ring_shm(ring, number);
    uint64_t position;
    return find_tail(ring, shm, &position) && room_behind(ring, shm, position);
}

/* ---- take ---- */

/* Fills in *ret_held from a cell that is ours. The block's fields are read once, here. */
static inline void hold(const struct yk_ring *ring, uint32_t number, uint32_t index, uint64_t cell,
                        struct yk_held *ret_held)
{
    struct yk_shm_block *block = yk_ring_block(ring, cell_block(cell));
    uint64_t word = yk_load_acquire(&block->word);
    uint32_t size = yk_load32_relaxed(&block->size);

    ret_held->sequence = sequence_of(ring, word_position(word), number);
    ret_held->cell = cell;
    ret_held->ring = number;
    ret_held->index = index;
    ret_held->block = cell_block(cell);
    ret_held->size = size;
    ret_held->deliveries = yk_load32_relaxed(&block->deliveries) + 1;
}

/*
 * Before a cell is taken: does its message fit? 1 yes, 0 look again (the cell changed), or an
 * error.
 */
static inline int fits(const struct yk_ring *ring, yk_atomic64 *at, uint64_t cell,
                       uint64_t capacity)
{
    if (cell_block(cell) >= ring->blocks_total)
        return yk_load_acquire(at) == cell ? -EPROTO : 0;
    if (capacity >= ring->geometry.max_message)
        return 1;
    uint32_t size = yk_load32_relaxed(&yk_ring_block(ring, cell_block(cell))->size);
    if (size <= capacity)
        return 1;
    /*
     * The size belongs to this message only if the cell still names the block. acquire: the load
     * above stays above
     */
    return yk_load_acquire(at) == cell ? -EMSGSIZE : 0;
}

/*
 * After the CAS that made a cell ours. A size that no honest sender wrote goes back, and is parked
 * in the end.
 */
static inline int own(const struct yk_ring *ring, uint32_t number, uint32_t index, uint64_t cell,
                      uint64_t capacity, struct yk_held *ret_held)
{
    hold(ring, number, index, cell, ret_held);
    if (ret_held->size <= ring->geometry.max_message && ret_held->size <= capacity)
        return 1;
    yk_ring_return(ring, ret_held);
    return -EPROTO;
}

struct candidate {
    uint32_t index;
    uint64_t cell;
    uint64_t position;
    bool found;
    bool doubt; /* somebody is giving back, or died doing so */
};

/* The cell in `state` with the lowest position. */
static int scan(const struct yk_ring *ring, struct yk_shm_ring *shm, enum yk_cell_state state,
                struct candidate *ret)
{
    struct candidate best = {0, 0, 0, false, false};
    for (struct walk walk = walk_begin(ring, shm); walk_on(&walk);) {
        uint64_t cell = walk.cell;
        uint32_t found = cell_state(cell);
        if (found != (uint32_t)state && found != YK_CELL_HELD)
            continue;
        if (cell_block(cell) >= ring->blocks_total)
            return -EPROTO;
        struct yk_shm_block *block = yk_ring_block(ring, cell_block(cell));
        if (found == YK_CELL_HELD) {
            /* SYNC port.again acquire */
            best.doubt |= yk_load32_acquire(&block->returning) == YK_RETURNING;
            continue;
        }
        uint64_t position = word_position(yk_load_acquire(&block->word));
        if (!best.found || position < best.position) {
            best.found = true;
            best.index = walk.index;
            best.cell = cell;
            best.position = position;
        }
    }
    *ret = best;
    return 0;
}

/*
 * Takes the oldest message in `state` (AGAIN or PARKED). `raised`: what to settle when there is
 * none.
 */
static COLD int take_by_scan(const struct yk_ring *ring, uint32_t number, uint32_t me,
                             enum yk_cell_state state, uint64_t capacity, uint64_t raised,
                             struct yk_held *ret_held)
{
    struct yk_shm_ring *shm = yk_ring_shm(ring, number);
    for (uint32_t attempt = 0; attempt < 64; attempt++) {
        struct candidate best;
        int result = scan(ring, shm, state, &best);
        if (result < 0)
            return result;
        if (!best.found) {
            if (state == YK_CELL_AGAIN && !best.doubt)
                yk_store_relaxed(&shm->settled, raised);
            return 0;
        }
        yk_atomic64 *at = &shm->cells[best.index];
        result = fits(ring, at, best.cell, capacity);
        if (result < 0)
            return result;
        uint64_t mine = make_cell(cell_lap(best.cell), me, cell_block(best.cell), YK_CELL_HELD);
        if (result == 0 || !yk_cas_seq(at, &best.cell, mine))
            continue;
        struct yk_shm_block *block = yk_ring_block(ring, cell_block(mine));
        if (state == YK_CELL_AGAIN) {
            yk_store32_relaxed(&block->deliveries, yk_load32_relaxed(&block->deliveries) + 1);
            yk_add_seq(&shm->redelivered, 1);
        }
        yk_store32_release(&block->returning, YK_NOT_RETURNING);
        return own(ring, number, best.index, mine, capacity, ret_held);
    }
    return 0;
}

/* A FULL cell: where it is, and what was in it. */
struct full {
    uint64_t position, cell;
    uint32_t index;
};

/* The first one at or behind full->position. False: nothing waits. */
static inline bool find_full(const struct yk_ring *ring, struct yk_shm_ring *shm, struct full *full)
{
    for (uint32_t step = 0; step < ring->steps_most; step++) {
        uint64_t lap = position_lap(ring, full->position);
        full->index = position_index(ring, full->position);
        /* SYNC port.publish acquire; seq: SYNC wait.receive */
        full->cell = yk_load_seq(&shm->cells[full->index]);
        if (yk_likely(is_lap_and_state(full->cell, lap, YK_CELL_FULL)))
            return true;
        uint64_t distance = (cell_lap(full->cell) - lap) & LAP_MASK;
        uint32_t state = cell_state(full->cell);
        if (distance == LAP_MASK || (distance == 0 && state == YK_CELL_EMPTY))
            return false;
        /* An EMPTY cell of a later lap only proves that the tail passed the lap before that one. */
        full->position = jump(ring, full->position, distance, state == YK_CELL_EMPTY ? 2 : 1);
    }
    return false;
}

/* All that will be wanted comes at once: the cell to be written, and the lines of the block. */
static void prefetch(const struct yk_ring *ring, const yk_atomic64 *at, uint32_t block)
{
    yk_prefetch_write(at);
    if (block >= ring->blocks_total)
        return;
    const unsigned char *lines = (const unsigned char *)yk_ring_block(ring, block);
    yk_prefetch_write(lines);
    if (ring->geometry.block_stride > 64)
        yk_prefetch(lines + 64);
}

/* A message that will be taken soon, if it is there already. */
static void prefetch_ahead(const struct yk_ring *ring, struct yk_shm_ring *shm, uint64_t position)
{
    uint64_t cell = yk_load_relaxed(position_cell(ring, shm, position)); /* only a hint */
    if (is_lap_and_state(cell, position_lap(ring, position), YK_CELL_FULL))
        prefetch(ring, position_cell(ring, shm, position), cell_block(cell));
}

static int take_at_head(const struct yk_ring *ring, uint32_t number, uint32_t me, uint64_t capacity,
                        uint64_t *hint, struct yk_held *ret_held)
{
    struct yk_shm_ring *shm = yk_ring_shm(ring, number);
    struct full full = {.position = *hint};

    for (uint32_t attempt = 0; attempt < ring->steps_most && find_full(ring, shm, &full);
         attempt++) {
        yk_atomic64 *at = &shm->cells[full.index];
        prefetch(ring, at, cell_block(full.cell));
        int result = fits(ring, at, full.cell, capacity);
        if (result < 0)
            return result;
        uint64_t mine = make_cell(cell_lap(full.cell), me, cell_block(full.cell), YK_CELL_HELD);
        if (result == 0 || !yk_cas_seq(at, &full.cell, mine))
            continue;
        *hint = full.position + 1;
        prefetch_ahead(ring, shm, full.position + RECEIVE_AHEAD);
        return own(ring, number, full.index, mine, capacity, ret_held);
    }
    return 0;
}

bool yk_ring_peek(const struct yk_ring *ring, uint32_t number)
{
    struct yk_shm_ring *shm = yk_ring_shm(ring, number);
    struct full full = {.position = yk_load_acquire(&shm->head)}; /* SYNC port.hint acquire */
    return yk_load_seq(&shm->raised) != yk_load_relaxed(&shm->settled) ||
           find_full(ring, shm, &full);
}

int yk_ring_take(const struct yk_ring *ring, uint32_t number, uint32_t me, uint64_t capacity,
                 uint64_t *hint, struct yk_held *ret_held)
{
    struct yk_shm_ring *shm = yk_ring_shm(ring, number);
    uint64_t raised = yk_load_seq(&shm->raised); /* before the scan: I4; seq: SYNC wait.receive */
    if (yk_unlikely(raised != yk_load_relaxed(&shm->settled))) {
        int result = take_by_scan(ring, number, me, YK_CELL_AGAIN, capacity, raised, ret_held);
        if (result != 0)
            return result;
    }
    return take_at_head(ring, number, me, capacity, hint, ret_held);
}

int yk_ring_take_parked(const struct yk_ring *ring, uint32_t number, uint32_t me, uint64_t capacity,
                        struct yk_held *ret_held)
{
    return take_by_scan(ring, number, me, YK_CELL_PARKED, capacity, 0, ret_held);
}

int yk_ring_find_held(const struct yk_ring *ring, uint32_t me, uint32_t block,
                      struct yk_held *ret_held)
{
    uint64_t word = yk_load_acquire(&yk_ring_block(ring, block)->word);
    uint32_t number = (uint32_t)(word >> 1 & 31);
    if ((word & 1) == 0 || number >= ring->geometry.rings)
        return 0;
    uint32_t index = position_index(ring, word_position(word));
    uint64_t cell = yk_load_acquire(&yk_ring_shm(ring, number)->cells[index]);
    if (cell_state(cell) != YK_CELL_HELD || cell_owner(cell) != me || cell_block(cell) != block)
        return 0;
    hold(ring, number, index, cell, ret_held);
    return 1;
}

/* ---- release, return, recover: what only the holder of a cell's rights does ---- */

/* Moves the held cell on, whatever its lap has become. `lap_step` 1 frees it for the next lap. */
static int move_held(const struct yk_ring *ring, const struct yk_held *held, uint64_t lap_step,
                     uint32_t block, enum yk_cell_state state)
{
    yk_atomic64 *at = &yk_ring_shm(ring, held->ring)->cells[held->index];
    uint64_t cell = held->cell;
    for (uint32_t attempt = 0; attempt < OWNER_TRIES; attempt++) {
        /* SYNC port.release release: what was read of the block before its cell. And seq:
         * SYNC wait.room */
        if (yk_cas_seq(at, &cell, make_cell(cell_lap(cell) + lap_step, 0, block, state)))
            return 1;
        if ((cell & KEY_MASK) != (held->cell & KEY_MASK))
            return -EPROTO;
    }
    return -EPROTO;
}

int yk_ring_release(const struct yk_ring *ring, const struct yk_held *held)
{
    /*
     * SYNC port.block release: the word before the cell (I2), and after all that was read of the
     * payload
     */
    yk_store_release(&yk_ring_block(ring, held->block)->word, 0);
    return move_held(ring, held, 1, 0, YK_CELL_EMPTY);
}

/* Does the block's word say that it is the message of this very cell: not released? */
static bool is_named_by(const struct yk_ring *ring, uint64_t word, uint32_t number, uint32_t index)
{
    return (word & 1) != 0 && (word >> 1 & 31) == number &&
           position_index(ring, word_position(word)) == index;
}

/* Those that are parked, or that somebody may be about to park, but for the one in cell `own`. */
static uint32_t count_parked(const struct yk_ring *ring, uint32_t number, uint32_t own)
{
    uint32_t parked = 0;
    for (struct walk walk = walk_begin(ring, yk_ring_shm(ring, number)); walk_on(&walk);) {
        uint32_t state = cell_state(walk.cell), block = cell_block(walk.cell);
        if (walk.index == own)
            continue;
        /* SYNC port.park: after the fence that follows one's own mark */
        if (state == YK_CELL_HELD && block < ring->blocks_total &&
            yk_load32_acquire(&yk_ring_block(ring, block)->returning) == YK_PARKING)
            parked += is_named_by(ring, yk_load_acquire(&yk_ring_block(ring, block)->word), number,
                                  walk.index);
        else
            parked += state == YK_CELL_PARKED;
    }
    return parked;
}

static int drop(const struct yk_ring *ring, const struct yk_held *held)
{
    yk_add_seq(&yk_ring_shm(ring, held->ring)->dropped, 1);
    return yk_ring_release(ring, held);
}

static int park(const struct yk_ring *ring, const struct yk_held *held)
{
    yk_store32_release(&yk_ring_block(ring, held->block)->returning, YK_PARKING);
    yk_fence_seq(); /* SYNC port.park: one's own mark before the look at the others' (I6) */
    if (count_parked(ring, held->ring, held->index) >= ring->geometry.max_parked)
        return drop(ring, held);
    return move_held(ring, held, 0, held->block, YK_CELL_PARKED);
}

int yk_ring_return(const struct yk_ring *ring, const struct yk_held *held)
{
    if (ring->geometry.once)
        return drop(ring, held);
    if (held->deliveries >= ring->geometry.max_deliveries)
        return park(ring, held);
    /* SYNC port.again release */
    yk_store32_release(&yk_ring_block(ring, held->block)->returning, YK_RETURNING);
    yk_add_seq(&yk_ring_shm(ring, held->ring)->raised, 1);       /* before the cell: I4 */
    return move_held(ring, held, 0, held->block, YK_CELL_AGAIN); /* SYNC port.again release */
}

/* One HELD cell of the dead: 1 when its message was given back. */
static uint32_t recover_cell(const struct yk_ring *ring, uint32_t number, uint32_t index,
                             uint64_t cell)
{
    struct yk_held held;
    if (cell_block(cell) >= ring->blocks_total) {
        held = (struct yk_held){.cell = cell, .ring = number, .index = index};
        move_held(ring, &held, 1, 0, YK_CELL_EMPTY);
        return 0;
    }
    hold(ring, number, index, cell, &held);
    uint64_t word = yk_load_acquire(&yk_ring_block(ring, held.block)->word);
    if (is_named_by(ring, word, number, index)) {
        yk_ring_return(ring, &held);
        return 1;
    }
    move_held(ring, &held, 1, 0, YK_CELL_EMPTY);
    return 0;
}

/* A USED block of the dead one's pool: is it committed and not released? Then its cell names it. */
static bool is_committed(const struct yk_ring *ring, uint32_t block, uint64_t word)
{
    uint32_t number = (uint32_t)(word >> 1 & 31);
    if (number >= ring->geometry.rings)
        return false;
    uint32_t index = position_index(ring, word_position(word));
    uint64_t cell = yk_load_acquire(&yk_ring_shm(ring, number)->cells[index]);
    return cell_state(cell) != YK_CELL_EMPTY && cell_block(cell) == block;
}

uint32_t yk_ring_recover(const struct yk_ring *ring, uint32_t dead, uint32_t used)
{
    uint32_t given_back = 0;
    for (uint32_t number = 0; number < ring->geometry.rings; number++) {
        for (struct walk walk = walk_begin(ring, yk_ring_shm(ring, number)); walk_on(&walk);) {
            if (cell_state(walk.cell) == YK_CELL_HELD && cell_owner(walk.cell) == dead)
                given_back += recover_cell(ring, number, walk.index, walk.cell);
        }
    }
    for (uint32_t k = 0; k < used && k < ring->geometry.blocks_each; k++) {
        uint32_t block = dead * ring->geometry.blocks_each + k;
        yk_atomic64 *stamp = &yk_ring_block(ring, block)->word;
        uint64_t word = yk_load_acquire(stamp);
        /* a store will do: nobody stamps it meanwhile, and who releases it stores the same */
        if ((word & 1) != 0 && !is_committed(ring, block, word))
            yk_store_release(stamp, 0);
    }
    return given_back;
}

/* ---- statistics ---- */

/* The tail, with how many positions before it were marked instead of filled. */
static uint64_t count_tail(const struct yk_ring *ring, struct yk_shm_ring *shm,
                           uint64_t *ret_skipped)
{
    uint64_t tail = 0, skipped;
    int tries = 0;
    do {
        skipped = yk_load_relaxed(&shm->skipped);
        find_tail(ring, shm, &tail);
        *ret_skipped = yk_load_relaxed(&shm->skipped);
    } while (*ret_skipped != skipped && ++tries < COUNT_TRIES);
    return tail;
}

void yk_ring_count(const struct yk_ring *ring, uint32_t number, struct yk_ring_counts *ret_counts)
{
    struct yk_shm_ring *shm = yk_ring_shm(ring, number);
    uint64_t skipped, tail = count_tail(ring, shm, &skipped), here = 0;
    uint64_t lap = position_lap(ring, tail), offset = tail & (cells_of(ring) - 1);
    *ret_counts = (struct yk_ring_counts){.waiting = 0};
    for (struct walk walk = walk_begin(ring, shm); walk_on(&walk);) {
        uint32_t state = cell_state(walk.cell);
        if (state == YK_CELL_EMPTY)
            continue;
        ret_counts->waiting += state == YK_CELL_FULL || state == YK_CELL_AGAIN;
        ret_counts->held += state == YK_CELL_HELD;
        ret_counts->parked += state == YK_CELL_PARKED;
        /* Sent since the tail was read? Then it must not be missing from what was sent before. */
        uint64_t distance = (cell_lap(walk.cell) - lap) & LAP_MASK;
        here += distance == 0 ? walk.next - 1 < offset : distance > LAP_MASK / 2;
    }
    /*
     * Each position was filled or marked on; each message is in a cell, or was dropped, or
     * received. Of those before the tail fewer and fewer are in cells, so neither count ever sinks;
     * but who died between two of these may make it less than none.
     */
    ret_counts->sent = tail - skipped;
    uint64_t gone = here + yk_load_relaxed(&shm->dropped);
    ret_counts->received = ret_counts->sent > gone ? ret_counts->sent - gone : 0;
}

void yk_ring_count_held(const struct yk_ring *ring, uint32_t *held)
{
    for (uint32_t number = 0; number < ring->geometry.rings; number++) {
        for (struct walk walk = walk_begin(ring, yk_ring_shm(ring, number)); walk_on(&walk);) {
            uint32_t owner = cell_owner(walk.cell);
            if (cell_state(walk.cell) == YK_CELL_HELD && owner < ring->geometry.participants)
                held[owner]++;
        }
    }
}

uint32_t yk_ring_cells(const struct yk_ring *ring)
{
    return cells_of(ring);
}

bool yk_ring_look(const struct yk_ring *ring, uint32_t number, uint32_t index,
                  struct yk_ring_seen *ret_seen)
{
    /* SYNC port.publish acquire */
    uint64_t cell = yk_load_acquire(&yk_ring_shm(ring, number)->cells[index]);
    if (cell_state(cell) == YK_CELL_EMPTY || cell_state(cell) > YK_CELL_PARKED ||
        cell_block(cell) >= ring->blocks_total)
        return false;
    struct yk_shm_block *block = yk_ring_block(ring, cell_block(cell));
    uint64_t word = yk_load_acquire(&block->word); /* SYNC port.block acquire */
    if ((word & 1) == 0 || (word >> 1 & 31) != number ||
        position_index(ring, word_position(word)) != index)
        return false;
    *ret_seen = (struct yk_ring_seen){
        .word = word,
        .sequence = sequence_of(ring, word_position(word), number),
        .tag = yk_load_relaxed(&block->tag), /* relaxed, all: asked again, or only shown */
        .block = cell_block(cell),
        .size = yk_load32_relaxed(&block->size),
        .sender = yk_load32_relaxed(&block->sender),
        .deliveries = yk_load32_relaxed(&block->deliveries),
        .owner = cell_owner(cell),
        .state = (enum yk_cell_state)cell_state(cell),
    };
    return ret_seen->size <= ring->geometry.max_message;
}

int yk_ring_stage(const struct yk_ring *ring, uint32_t number, uint64_t position)
{
    /* SYNC port.publish acquire: the cell before its block */
    uint64_t cell = yk_load_acquire(position_cell(ring, yk_ring_shm(ring, number), position));
    uint64_t distance = (cell_lap(cell) - position_lap(ring, position)) & LAP_MASK;
    if (distance != 0)
        return distance > LAP_MASK / 2 ? 0 : 2;
    if (cell_state(cell) == YK_CELL_EMPTY || cell_state(cell) == YK_CELL_FULL)
        return cell_state(cell) == YK_CELL_FULL;
    if (cell_block(cell) >= ring->blocks_total)
        return -1;
    /* SYNC port.block acquire: is it of this lap, or was it in the way, and its lap was raised? */
    uint64_t word = yk_load_acquire(&yk_ring_block(ring, cell_block(cell))->word);
    return word >> 6 == position << 6 >> 6 ? 2 : -1; /* a position has 58 bits there */
}
