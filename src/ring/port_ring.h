/*
 * port_ring.h - the algorithm of ports: bounded queues of blocks that no death can wedge.
 *
 * A port has one ring of cells for each priority and a pool of blocks for each participant. The
 * functions here work on any byte array, make no system call and never wait: they answer 1 (done),
 * 0 (full, or empty), or a negative errno. port_ring.c holds the proof.
 *
 *   ring of a priority                     pools (blocks_each = 4)
 *
 *   position  ...  5     6     7     8      participant 0   [FREE ][USED6][FREE ][FREE ]
 *             +-----+-----+-----+-----+     participant 1   [USED7][FREE ][FREE ][FREE ]
 *      cells  |EMPTY|HELD |FULL |EMPTY|                        ^
 *             |     |by 2 |     |     |                        |
 *             |     |bl 1 |bl 4 |     |-- a cell names a block-+, the block names its position
 *             +-----+-----+-----+-----+
 *                head hint ^     ^ tail hint   (both may lag behind, never matter for safety)
 */
#ifndef YK_RING_PORT_RING_H
#define YK_RING_PORT_RING_H

#include <stddef.h>

#include "base/atomic.h"

/*
 * A cell, 64 bits: lap 25 | owner 10 | block 26 | state 3.
 * The lap says which round of the ring the cell serves; the cell of position p is
 * `position_index(p)`, in lap p / cells. Memory that was never written is EMPTY in lap 0. Comparing laps modulo 2^25 tells only "one behind", "same"
 * and "ahead", so a hint of any age is harmless until it is 2^25 laps (at least 2^33 messages) old.
 */
enum yk_cell_state {
    YK_CELL_EMPTY = 0,  /* free for the position of its lap */
    YK_CELL_FULL = 1,   /* committed, not yet taken */
    YK_CELL_HELD = 2,   /* borrowed by its owner */
    YK_CELL_AGAIN = 3,  /* given back, to be delivered again */
    YK_CELL_PARKED = 4, /* delivered too often; only a receiver of parked messages takes it */
};

#define YK_CELL_LAP_BITS   25
#define YK_CELL_OWNER_BITS 10
#define YK_CELL_BLOCK_BITS 26

/*
 * The fields that several processes touch; P is a participant's process.
 *
 * field    | written by                      | read by   | order               | a crash leaves
 * ---------+---------------------------------+-----------+---------------------+----------------
 * cell     | senders EMPTY -> FULL; takers   | all       | CAS seq_cst, load   | a normal state;
 *          | FULL, AGAIN, PARKED -> HELD;    |           | acquire or seq      | HELD of a dead
 *          | its owner (or that one's        |           | SYNC port.publish   | owner is mended
 *          | recoverer) HELD -> the others;  |           | SYNC port.release   | by recovery
 *          | senders raise the lap of one    |           |                     |
 *          | that is neither EMPTY nor FULL  |           |                     |
 * tail,    | whoever passes                  | all       | release / acquire:  | a longer walk,
 * head     |                                 |           | SYNC port.hint      | some looks more
 * skipped  | who marked a position on        | stat      | add                 | off by one
 * raised   | who gives back, before the cell | takers    | add, load: seq_cst  | one scan more
 *          |                                 |           | SYNC port.again     |
 * settled  | a taker whose scan was in vain  | takers    | relaxed             | one scan more
 * redeliv- | who does it                     | stat      | add                 | off by one
 * ered,    |                                 |           |                     |
 * dropped  |                                 |           |                     |
 * word     | FREE -> USED: its pool's owner, | recoverer,| store relaxed before| USED of a block
 *          | after it read the cell EMPTY,   | pool's    | the commit; release | that no cell
 *          | before the commit. USED -> FREE:| owner,    | store / acquire     | names; HELD with
 *          | the holder, before the cell; the| takers    | load                | a FREE block:
 *          | owner when the commit failed;   | (AGAIN)   | SYNC port.block     | mended by
 *          | a recoverer                     |           |                     | recovery
 * tag,     | the pool's owner, before the    | holder    | plain or relaxed,   | a FREE block's:
 * size,    | commit                          |           | ordered by          | nothing
 * sender,  |                                 |           | SYNC port.publish   |
 * payload  |                                 |           |                     |
 * deliver- | holder, or its recoverer; the   | holder,   | ordered by the cell;| one delivery that
 * ies, re- | pool's owner, before the commit | takers,   | returning: release /| nobody saw, or one
 * turning  |                                 | who parks | acquire, port.again;| scan more; counted as
 *          |                                 |           | fence, port.park    | parked until recovery
 *
 * (tests/crash steps through every one of these.)
 * Only `word` and `cell` decide anything. All are input, that is: hostile values must be survived.
 */
struct yk_shm_ring {
    yk_atomic64 tail;
    yk_atomic64 skipped; /* positions that were marked on, not filled */
    uint64_t pad0[14];
    yk_atomic64 head;
    uint64_t pad1[15];
    yk_atomic64 raised; /* how often something was about to be given back */
    yk_atomic64
        settled; /* the value of `raised` for which a scan found nothing left to deliver again */
    yk_atomic64 redelivered;
    yk_atomic64 dropped;
    uint64_t pad2[12];
    yk_atomic64 cells[];
};
_Static_assert(sizeof(struct yk_shm_ring) == 3 * 128,
               "hot words of different writers are 128 bytes apart");

enum yk_returning {
    YK_NOT_RETURNING = 0,
    YK_RETURNING = 1, /* its cell is about to be AGAIN */
    YK_PARKING = 2,   /* its cell is about to be PARKED, if not too many are; or is */
};

/* word: 0 is FREE; USED is position 58 | ring 5 | 1. */
struct yk_shm_block {
    yk_atomic64 word;
    yk_atomic64 tag;
    yk_atomic32 size;
    yk_atomic32 sender;
    yk_atomic32 deliveries; /* before this one; as sent: 0, or 1 for what was sent before */
    yk_atomic32 returning;  /* enum yk_returning, while its holder is giving it back */
};
_Static_assert(sizeof(struct yk_shm_block) == 32, "a small message shares its header's cache line");

/* Fixed when the port is made; every process works with a private, checked copy. */
struct yk_ring_geometry {
    uint32_t cells_log2;  /* cells of each ring */
    uint32_t spread_log2; /* so many neighbouring positions lie in different cache lines */
    uint32_t rings;       /* priorities */
    uint32_t depth;       /* positions from the oldest message waiting to the newest, at most */
    uint32_t participants;
    uint32_t blocks_each;    /* blocks in each participant's pool */
    uint32_t max_deliveries; /* UINT32_MAX: no limit */
    uint32_t max_parked;
    uint32_t max_borrowed;   /* by each participant */
    uint32_t once;           /* 1: policy once */
    uint32_t payload_offset; /* from a block's header to its bytes */
    uint64_t max_message;
    uint64_t block_stride;
};

#define YK_RINGS_MAX 32

/* One process's view. */
struct yk_ring {
    struct yk_ring_geometry geometry;
    struct yk_shm_ring *rings[YK_RINGS_MAX];
    unsigned char *blocks;
    uint64_t ring_stride;
    uint32_t blocks_total;
    /* where the cell of a position lies: position_index() */
    uint32_t low_mask, group_mask, high_mask, low_shift;
    uint32_t steps_most; /* the bound of a walk from a hint, which only hostile values reach */
};

/* A message that the caller holds. Private to the caller, taken from shared memory once. */
struct yk_held {
    uint64_t sequence;
    uint64_t cell; /* its value when it became ours; the lap may have been raised since */
    uint32_t ring;
    uint32_t index; /* of the cell */
    uint32_t block;
    uint32_t size;
    uint32_t deliveries; /* this one included */
};

struct yk_ring_counts {
    uint64_t waiting, held, parked; /* now */
    uint64_t sent, received;        /* ever; received: acknowledged */
};

#define YK_RING_BORROWED_MAX UINT32_C(65536)
#define YK_RING_PARKED_MAX   (UINT32_C(1) << 20)

/*
 * Chooses the derived fields (cells_log2 .. block_stride) from the others. There are so many cells,
 * and so many blocks in each pool, that while every participant holds as many messages as it may,
 * and as many are parked as may be, `depth` others still fit into each ring, even if all of them
 * and those come from one sender.
 */
void yk_ring_plan(struct yk_ring_geometry *geometry);

/*
 * Bytes that the rings and the pools take; 0 when that overflows. Both areas begin 128-byte
 * aligned, all zero.
 */
uint64_t yk_ring_rings_bytes(const struct yk_ring_geometry *geometry);
uint64_t yk_ring_blocks_bytes(const struct yk_ring_geometry *geometry);

/* -EPROTO when the geometry is not one that yk_ring_plan() makes possible. */
int yk_ring_check_geometry(const struct yk_ring_geometry *geometry);

void yk_ring_attach(struct yk_ring *ring, const struct yk_ring_geometry *geometry, void *rings,
                    void *blocks);

static inline struct yk_shm_ring *yk_ring_shm(const struct yk_ring *ring, uint32_t number)
{
    return ring->rings[number];
}

static inline struct yk_shm_block *yk_ring_block(const struct yk_ring *ring, uint32_t block)
{
    return (struct yk_shm_block *)(ring->blocks + block * ring->geometry.block_stride);
}

static inline unsigned char *yk_ring_payload(const struct yk_ring *ring, uint32_t block)
{
    return (unsigned char *)yk_ring_block(ring, block) + ring->geometry.payload_offset;
}

/* Is this block free to be filled? Only the owner of its pool may ask in order to fill it. */
static inline bool yk_ring_is_free(const struct yk_ring *ring, uint32_t block)
{
    /* SYNC port.block acquire: what its last holder read, it read before it freed the block */
    return yk_load_acquire(&yk_ring_block(ring, block)->word) == 0;
}

/* Where to begin; a caller that sends or takes several carries the hint on and stores it once. */
static inline uint64_t yk_ring_tail(const struct yk_ring *ring, uint32_t number)
{
    return yk_load_acquire(&yk_ring_shm(ring, number)->tail); /* SYNC port.hint acquire */
}

static inline uint64_t yk_ring_head(const struct yk_ring *ring, uint32_t number)
{
    return yk_load_acquire(&yk_ring_shm(ring, number)->head); /* SYNC port.hint acquire */
}

/*
 * Hints only go forward, except when a stopped process wakes up with an old one, which is harmless.
 * SYNC port.hint release: whoever begins at the hint sees the cells before it as passed, and shows
 * them so to whom it tells of its own. Else, where stores are not ordered, a hint may come over before the
 * cell that it is behind, and what a second sender has sent could not be received yet.
 */
static inline void yk_ring_hint(yk_atomic64 *hint, uint64_t position)
{
    if ((int64_t)(position - yk_load_relaxed(hint)) > 0)
        yk_store_release(hint, position);
}

/*
 * Commits a filled block of the caller's own pool (FREE so far; header and payload written) at or
 * after position *hint. 1: sent, *hint is the position behind it, *ret_sequence its number. 0:
 * full, the block is FREE. *open is what the caller may keep privately from one call on this ring
 * to the next, 0 at first: before this position the depth was looked at already.
 */
int yk_ring_commit(const struct yk_ring *ring, uint32_t number, uint32_t block, uint64_t *hint,
                   uint64_t *open, uint64_t *ret_sequence);

/* Fetches the cell of a position that will be written soon. */
void yk_ring_prefetch_cell(const struct yk_ring *ring, uint32_t number, uint64_t position);
/* Fetches the header of a block, and the bytes of a small message, that will be read soon. */
void yk_ring_prefetch_block(const struct yk_ring *ring, uint32_t block);

/*
 * Has the full ring become so empty that many can be sent? Looks at a place to which the receivers
 * come later, so as not to disturb them where they are.
 */
bool yk_ring_has_much_room(const struct yk_ring *ring, uint32_t number);

/* Would a commit find a place now? */
bool yk_ring_has_room(const struct yk_ring *ring, uint32_t number);

/*
 * Takes the next message of one ring for participant `me`: those to be delivered again first. 1:
 * taken. 0: nothing. -EMSGSIZE: it has more than `capacity` bytes and stays; -EPROTO: impossible
 * values.
 */
int yk_ring_take(const struct yk_ring *ring, uint32_t number, uint32_t me, uint64_t capacity,
                 uint64_t *hint, struct yk_held *ret_held);

/* The same for parked messages, oldest first. */
int yk_ring_take_parked(const struct yk_ring *ring, uint32_t number, uint32_t me, uint64_t capacity,
                        struct yk_held *ret_held);

/* Would yk_ring_take() find something? It may say yes once too often. */
bool yk_ring_peek(const struct yk_ring *ring, uint32_t number);

/* What `me` holds in this block: 1, or 0 when it holds nothing there. */
int yk_ring_find_held(const struct yk_ring *ring, uint32_t me, uint32_t block,
                      struct yk_held *ret_held);

/*
 * Done with a message. 1, or -EPROTO when its cell is no longer ours (somebody wrote what no yoke
 * writes).
 */
int yk_ring_release(const struct yk_ring *ring, const struct yk_held *held);

/* Gives it back: AGAIN, PARKED or dropped, as geometry and deliveries say. 1 or -EPROTO. */
int yk_ring_return(const struct yk_ring *ring, const struct yk_held *held);

/*
 * Gives back what the dead participant held, and frees the uncommitted ones among the first `used`
 * blocks of its pool. The caller holds the dead one's lock throughout. May be interrupted anywhere
 * and done again. Returns how many messages were given back.
 */
uint32_t yk_ring_recover(const struct yk_ring *ring, uint32_t dead, uint32_t used);

/*
 * How many messages are in which state now, and were sent and received: a walk over the cells in
 * use, for statistics. Exact while nobody is at work; off by one for who died in the middle of it.
 */
void yk_ring_count(const struct yk_ring *ring, uint32_t number, struct yk_ring_counts *ret_counts);

/* How many messages each participant holds; `held` has one entry for each participant. */
void yk_ring_count_held(const struct yk_ring *ring, uint32_t *held);

/*
 * A message as one sees it who only looks on, from the cell that it is in. Whoever copies its bytes
 * asks again afterwards: with the same `word` the copy is one of this very message.
 */
struct yk_ring_seen {
    uint64_t word, sequence, tag;
    uint32_t block, size, sender, deliveries;
    uint32_t owner; /* HELD: the participant that has borrowed it */
    enum yk_cell_state state;
};
bool yk_ring_look(const struct yk_ring *ring, uint32_t number, uint32_t index,
                  struct yk_ring_seen *ret_seen);
uint32_t yk_ring_cells(const struct yk_ring *ring);

/*
 * What became of one position, for who only looks on: 0 nothing is in it yet, 1 a message that nobody
 * took so far, 2 taken, -1 passed over. A look at one cell; any position will do.
 */
int yk_ring_stage(const struct yk_ring *ring, uint32_t number, uint64_t position);

#endif
