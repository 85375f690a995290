/*
 * bytes.h - the algorithm of a stream: a ring of bytes, in which no death can wedge anything.
 *
 * It works on any byte array, makes no system call and never waits. bytes.c holds the proof.
 *
 *         read          written
 *           v              v
 *   [.......##############............]   byte i lies at i modulo the capacity, a power of two
 *
 * Several may write, and several may read, one of each at a time: who copies is *inside* its side,
 * by a word that it signs with one compare-and-swap, and gives back when the copy is done. A word
 * that names a dead one is given back by whoever proves the death.
 */
#ifndef YK_RING_BYTES_H
#define YK_RING_BYTES_H

#include <stddef.h>

#include "base/atomic.h"

#define YK_BYTES_END_WORDS 16 /* 1024 participants */

enum yk_bytes_side { YK_BYTES_READING = 0, YK_BYTES_WRITING = 1 };

/*
 * field   | written by               | read by     | order                | a crash leaves
 * --------+--------------------------+-------------+----------------------+------------------------
 * written | who is inside WRITING,   | all         | release / acquire    | bytes that nobody
 *         | after the bytes          |             | SYNC bytes.written   | speaks of
 * read    | who is inside READING,   | all         | release / acquire    | bytes that the next
 *         | after it copied them     |             | SYNC bytes.read      | reader has again
 * inside  | who goes in: 0 -> its    | who wants   | CAS, release store   | the dead one's name:
 *         | name; itself, or who     | to go in    | SYNC bytes.inside    | given back by who
 *         | recovers it: -> 0        |             |                      | recovers it
 * bytes   | who is inside WRITING    | who is      | ordered by the       | garbage behind
 *         |                          | in READING  | counters             | `written`
 *
 * Each word has two lines alone. All of it is input: whoever reads it survives whatever stands
 * there.
 */
struct yk_shm_bytes {
    yk_atomic64 written;
    uint64_t pad0[15];
    yk_atomic64 read;
    uint64_t pad1[15];
    struct {
        yk_atomic64 inside;
        uint64_t pad[15];
    } sides[2];
    /* then: the bytes */
};
_Static_assert(sizeof(struct yk_shm_bytes) == 512, "two lines for each word");

/* How the last one left that was at an end. */
enum yk_bytes_ended {
    YK_BYTES_NEW = 0, /* nobody did */
    YK_BYTES_CLOSED = 1,
    YK_BYTES_DIED = 2,
};

/*
 * Who is at one end of the stream.
 *
 * field   | written by               | read by    | order              | a crash leaves
 * --------+--------------------------+------------+--------------------+------------------------
 * present | a participant its own    | other end  | or, and: seq_cst;  | a bit: cleared by who
 *         | bit: set when it joins,  |            | acquire            | recovers the slot
 *         | cleared when it leaves;  |            | SYNC bytes.end    |
 *         | who recovers it: cleared |            |                    |
 * came    | who joins, after its bit | other end  | add seq, acquire   | not counted: nobody
 *         |                          |            | SYNC bytes.end    | came
 * told    | a reader, of the writers:| readers    | relaxed            | an older one: the end is
 *         | `came` at an end that it | that open  |                    | told once more
 *         | told its caller          |            |                    |
 * ended   | who leaves, or recovers, | other end  | before the bit     | of one who is there:
 *         | before the bit goes      |            | SYNC bytes.end    | overwritten when it goes
 */
struct yk_shm_bytes_end {
    yk_atomic64 present[YK_BYTES_END_WORDS];
    yk_atomic64 came;
    yk_atomic64 told;
    yk_atomic32 ended; /* enum yk_bytes_ended */
    uint32_t pad0;
    uint64_t pad1[13];
};
_Static_assert(sizeof(struct yk_shm_bytes_end) == 256,
               "what the other end reads has its own lines");

/* Who is inside signs with its slot (10 bits) and that slot's generation: never 0. */
#define YK_BYTES_SLOT_BITS 10
#define YK_BYTES_SLOT      ((UINT64_C(1) << YK_BYTES_SLOT_BITS) - 1)

#define YK_BYTES_CAPACITY_MIN ((uint64_t)4096)
#define YK_BYTES_CAPACITY_MAX (UINT64_C(1) << 40)

/* One process's view. What is private here changes only while its thread is inside. */
struct yk_bytes {
    struct yk_shm_bytes *shm;
    unsigned char *bytes;
    uint64_t capacity; /* the checked copy */
    uint64_t at[2];    /* inside: how far this side is */
    uint64_t seen[2];  /* how far the other side was when it was last looked at */
};

/* The least possible capacity that is not below `wanted`. */
uint64_t yk_bytes_plan(uint64_t wanted);
bool yk_bytes_is_capacity(uint64_t capacity);
/* Bytes of memory that a ring takes, all zero at first, 128-byte aligned. */
uint64_t yk_bytes_size(uint64_t capacity);
void yk_bytes_attach(struct yk_bytes *ring, uint64_t capacity, void *memory);

/* False: somebody is inside. `me` is never 0. */
bool yk_bytes_enter(struct yk_bytes *ring, enum yk_bytes_side side, uint64_t me);
void yk_bytes_leave(struct yk_bytes *ring, enum yk_bytes_side side);
/* Who is inside; 0: nobody. */
uint64_t yk_bytes_inside(const struct yk_bytes *ring, enum yk_bytes_side side);
/* Gives back what `dead` held, if it still does: the caller has proved that it is dead. */
void yk_bytes_expel(struct yk_bytes *ring, enum yk_bytes_side side, uint64_t dead);
/* The same for every owner that slot `slot` had; its lock is the caller's. May be done again. */
void yk_bytes_recover(struct yk_bytes *ring, uint32_t slot);

/*
 * How many bytes can be read, or written, now; at least `least` where that is so, and perhaps less
 * than there are. The caller is inside. -EPROTO: the counters are impossible.
 */
int64_t yk_bytes_available(struct yk_bytes *ring, enum yk_bytes_side side, uint64_t least);
/* A guess at the same, for who is not inside. */
uint64_t yk_bytes_guess(const struct yk_bytes *ring, enum yk_bytes_side side);

/* Inside, and as many are available: copies the next bytes in or out, and counts them. */
void yk_bytes_put(struct yk_bytes *ring, const void *data, uint64_t size);
void yk_bytes_take(struct yk_bytes *ring, void *buffer, uint64_t size);
/* The same in place: where the next ones lie, up to *size of them in one piece; then counts them. */
unsigned char *yk_bytes_piece(const struct yk_bytes *ring, enum yk_bytes_side side, uint64_t *size);
void yk_bytes_count(struct yk_bytes *ring, enum yk_bytes_side side, uint64_t size);

/* ---- who is at an end ---- */

/* Participant `slot` is there; counted, which it is once its bit can be seen. */
void yk_bytes_come(struct yk_shm_bytes_end *end, uint32_t slot);
/* It is gone. True when it was there. May be done again. */
bool yk_bytes_go(struct yk_shm_bytes_end *end, uint32_t slot, enum yk_bytes_ended how);
/* Of the first 64 * words participants. */
bool yk_bytes_anybody(const struct yk_shm_bytes_end *end, uint32_t words);
/*
 * Was there a moment at which nobody was there, though somebody had come since `came` was `mark`?
 * Then *ret_came is `came` of that moment.
 */
bool yk_bytes_left(const struct yk_shm_bytes_end *end, uint32_t words, uint64_t mark,
                   uint64_t *ret_came);
/* Did the writers leave so, and is all that they wrote read? */
bool yk_bytes_is_over(const struct yk_bytes *ring, const struct yk_shm_bytes_end *writers,
                      uint32_t words, uint64_t mark, uint64_t *ret_came);

#endif
