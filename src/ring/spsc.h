/*
 * spsc.h - the algorithm of one direction of a link: a bounded queue with a single sender and a
 * single receiver, in which no death can wedge or lose anything.
 *
 * It works on any byte array, makes no system call and never waits: 1 is done, 0 full or empty,
 * else a negative errno. spsc.c holds the proof.
 *
 *   slots, one for each of the last 2^slots_log2 messages      buffer, for what is bigger
 *   +--------+--------+--------+--------+                      +---------------------------------+
 *   |word|  hi there  | word| offset,tag|  ...                 |  | 1 MiB |   | 300 B |           |
 *   +--------+--------+--------+--------+                      +---------------------------------+
 *        ^ 5 (lap 0)       ^ 6 (lap 0)      ^ 7: the word's stamp is of an earlier lap: nothing yet
 *
 * Message i lies in slot i modulo their number. A small one travels in the cache line that holds
 * its word: one line moves for each message. Others lie in the buffer, in one piece each.
 */
#ifndef YK_RING_SPSC_H
#define YK_RING_SPSC_H

#include <stddef.h>
#include <string.h>

#include "base/atomic.h"

/*
 * word: stamp 32 | 0 | marked 1 | buffered 1 | tagged 1 | size 27. The stamp is the message's lap + 1,
 * so that zeroed memory holds no message of lap 0. Marked: it may have been sent before, says its
 * sender, which counts as one delivery.
 */
#define YK_SPSC_SIZE_MASK UINT64_C(0x07ffffff)
#define YK_SPSC_TAGGED    (UINT64_C(1) << 27)
#define YK_SPSC_BUFFERED  (UINT64_C(1) << 28)
#define YK_SPSC_MARKED    (UINT64_C(1) << 29)

/* From the word to the bytes of a small message: without, and with a tag of the sender's. */
#define YK_SPSC_BYTES        8u
#define YK_SPSC_TAG          8u
#define YK_SPSC_TAGGED_BYTES 16u
/* A buffered message's slot has its offset there, and behind it the tag (or 0). */
#define YK_SPSC_OFFSET       8u
#define YK_SPSC_BUFFERED_TAG 16u

/*
 * receipt: stamp 32 (as the slot's) | done 1 | again 1 | how often it was delivered before 30.
 * `again`: it was given back, and the count has that delivery in it already.
 */
#define YK_SPSC_DONE  (UINT64_C(1) << 31)
#define YK_SPSC_AGAIN (UINT64_C(1) << 30)
/*
 * The last of so many laps renews the receipts (spsc.c). Fewer than the 2^32 after which a stamp comes
 * again; so many that it costs nothing, and so few that every test that lasts comes by.
 */
#define YK_SPSC_PERIOD (UINT64_C(1) << 16)

/*
 * field    | written by              | read by     | order              | a crash leaves
 * ---------+-------------------------+-------------+--------------------+-----------------------
 * word     | the sender, last        | receiver    | release / acquire  | the message, or none
 *          |                         |             | SYNC spsc.publish  |
 * the rest | the sender, before the  | receiver    | ordered by the     | bytes that no word
 * of a slot| word, once `released`   |             | word               | speaks of
 * & buffer | says that it may        |             |                    |
 * released | the receiver, or its    | sender      | release / acquire  | messages before it are
 *          | recoverer               |             | SYNC spsc.release  | acknowledged
 * taken    | the same                | recoverer   | relaxed; behind    | from `released` on:
 *          |                         |             | the life lock      | delivered again, marked
 * receipts | the same                | recoverer,  | relaxed; behind    | one delivery more than
 *          |                         | successor   | the life lock      | anybody saw
 * redeliv- | the same                | stat        | relaxed            | off by one
 * ered,    |                         |             |                    |
 * dropped  |                         |             |                    |
 *
 * The receiver's words are 128 bytes away from everything that the sender writes. All of it is
 * input: each side survives whatever the other one stores. (tests/crash/spsc_sweep.c steps through it.)
 */
struct yk_shm_spsc {
    yk_atomic64 released;
    yk_atomic64 taken;
    yk_atomic64 redelivered;
    yk_atomic64 dropped;
    uint64_t pad[12];
    /* then: slots, receipts (a word for each slot), buffer, each 128-byte aligned */
};
_Static_assert(sizeof(struct yk_shm_spsc) == 128, "the receiver's words have two lines alone");

/* Fixed when the link is made; every process works with a private, checked copy. */
struct yk_spsc_geometry {
    uint32_t depth;       /* messages that are sent and not released, at most */
    uint32_t slots_log2;  /* at least `depth` */
    uint32_t slot_stride; /* bytes: lines of 64 */
    uint32_t max_deliveries;
    uint32_t once; /* 1: what a receiver had in hand when it died is dropped */
    uint32_t pad;
    uint64_t max_message;
    uint64_t buffer; /* bytes, a multiple of 64 */
};

/* One process's view of one direction. */
struct yk_spsc {
    struct yk_spsc_geometry geometry;
    struct yk_shm_spsc *shm;
    unsigned char *slots;
    yk_atomic64 *receipts;
    unsigned char *buffer;
    uint64_t mask; /* slots - 1 */
};

/* A piece of the buffer in use: by a loan, or by a message from when it is sent. */
struct yk_spsc_piece {
    uint64_t offset, size;
    uint64_t index; /* of its message; YK_SPSC_LOANED, or YK_SPSC_UNUSED: not needed any more */
};
#define YK_SPSC_LOANED UINT64_MAX
#define YK_SPSC_UNUSED (UINT64_MAX - 1)

/* The sender's private state. `pieces` is a ring of its own, of 2 << slots_log2 entries. */
struct yk_spsc_sender {
    struct yk_spsc ring;
    uint64_t sent;     /* the next message's index */
    uint64_t released; /* as last seen */
    struct yk_spsc_piece *pieces;
    uint64_t first_piece, end_piece;
};

enum yk_spsc_state {
    YK_SPSC_FRESH = 0, /* or released long ago */
    YK_SPSC_LENT = 1,
    YK_SPSC_RETURNED = 2, /* to be delivered again */
    YK_SPSC_RELEASED = 3, /* while an older one is not */
};

/* What the receiver knows of a message that it took. */
struct yk_spsc_lent {
    const unsigned char *bytes;
    uint64_t tag;
    uint32_t size;
    uint16_t state;  /* enum yk_spsc_state */
    uint16_t marked; /* 1: as its word says */
};

/* The receiver's private state. `lent` has an entry for each slot. */
struct yk_spsc_receiver {
    struct yk_spsc ring;
    uint64_t taken;       /* the next message's index */
    uint64_t released;    /* all before it are released */
    uint64_t quick_until; /* those before it are taken without a look at their receipts */
    uint64_t returned;    /* how many entries of `lent` are YK_SPSC_RETURNED */
    struct yk_spsc_lent *lent;
    uint64_t receipts_until; /* from here on no message was delivered before */
};

/* A message in the receiver's hand. */
struct yk_spsc_message {
    const unsigned char *bytes;
    uint64_t index;
    uint64_t tag;
    uint32_t size;
    uint32_t deliveries; /* this one included; and that which a mark stands for */
};

struct yk_spsc_counts {
    uint64_t sent, released, taken;
    uint64_t bytes; /* of the messages that are sent and not released */
};

/* Chooses the derived fields (slots_log2, slot_stride, buffer) from depth and max_message. */
void yk_spsc_plan(struct yk_spsc_geometry *geometry);
/* -EPROTO when it is none that yk_spsc_plan() makes possible. */
int yk_spsc_check_geometry(const struct yk_spsc_geometry *geometry);
/* Bytes that one direction takes, all zero at first, 128-byte aligned. */
uint64_t yk_spsc_bytes(const struct yk_spsc_geometry *geometry);
void yk_spsc_attach(struct yk_spsc *ring, const struct yk_spsc_geometry *geometry, void *memory);

static inline size_t yk_spsc_pieces_max(const struct yk_spsc_geometry *geometry)
{
    return (size_t)2 << geometry->slots_log2;
}

/* ---- the sender; one thread at a time ---- */

/*
 * Takes over from whoever sent before (nobody, or a dead one): sender->ring and ->pieces are set.
 */
void yk_spsc_resume_sender(struct yk_spsc_sender *sender);

/* Sends a copy, marked or not. 1 sent; 0 full. -EPROTO: the receiver's words are impossible. */
int yk_spsc_send(struct yk_spsc_sender *sender, const void *data, size_t size, uint64_t tag,
                 bool marked);
bool yk_spsc_has_room(struct yk_spsc_sender *sender);

/* Takes `size` bytes of the buffer, 64-byte aligned. 1, 0 or -EPROTO. */
int yk_spsc_loan(struct yk_spsc_sender *sender, size_t size, void **ret_block);
/* How many bytes the loan at `block` has; -EINVAL when it is none. */
int64_t yk_spsc_loan_size(const struct yk_spsc_sender *sender, const void *block);
/* Sends a loan's first bytes. 1, 0 (it stays a loan), -EINVAL or -EPROTO. */
int yk_spsc_commit(struct yk_spsc_sender *sender, void *block, size_t size, uint64_t tag,
                   bool marked);
/* 1, or -EINVAL. */
int yk_spsc_cancel_loan(struct yk_spsc_sender *sender, const void *block);

/* ---- the receiver; one thread at a time ---- */

/* The same for the receiver: receiver->ring and ->lent are set. */
void yk_spsc_resume_receiver(struct yk_spsc_receiver *receiver);

/*
 * Takes the next message (a returned one first). 1 taken: it is lent until it is released or
 * returned; 0 nothing there; -EMSGSIZE: it has more than `capacity` bytes, and stays; -EPROTO.
 */
int yk_spsc_take(struct yk_spsc_receiver *receiver, uint64_t capacity,
                 struct yk_spsc_message *ret_message);
/*
 * The same, copied and released at once, where the message is fresh, fits, no other is lent, and the
 * lap renews no receipts: true, and its size; else nothing happened. yk_spsc_recv_small() below is for
 * small ones alone.
 */
bool yk_spsc_recv_big(struct yk_spsc_receiver *receiver, void *buffer, size_t capacity,
                      size_t *ret_size);
/* Acknowledges it, or gives it back. 1, or -EINVAL: it is not lent. */
int yk_spsc_release(struct yk_spsc_receiver *receiver, uint64_t index);
int yk_spsc_return(struct yk_spsc_receiver *receiver, uint64_t index);
/* Which message is lent at `bytes`: its index, or -EINVAL. */
int64_t yk_spsc_find_lent(const struct yk_spsc_receiver *receiver, const void *bytes);

/*
 * Gives back what a dead (or leaving) receiver had in hand: how many messages. The caller holds its
 * life lock, or is it. May be interrupted anywhere and done again.
 */
uint64_t yk_spsc_recover_receiver(const struct yk_spsc *ring);

/* What is where, for statistics. */
void yk_spsc_count(const struct yk_spsc *ring, struct yk_spsc_counts *ret_counts);

/*
 * Message `index` (from `released` to `sent`, as counted) as one sees it who only looks on. Whoever
 * copies its bytes counts again afterwards: while it is not released the copy is one of this very
 * message.
 */
bool yk_spsc_look(const struct yk_spsc *ring, uint64_t index, struct yk_spsc_message *ret_message);

/* What became of message `index`, any one: 0 it is not sent yet, 1 nobody took it so far, 2 taken. */
int yk_spsc_stage(const struct yk_spsc *ring, uint64_t index);

/* ---- the short ways, for the calls that a program makes all the time ---- */

static inline unsigned char *yk_spsc_slot(const struct yk_spsc *ring, uint64_t index)
{
    return ring->slots + (index & ring->mask) * ring->geometry.slot_stride;
}

static inline yk_atomic64 *yk_spsc_word(unsigned char *slot)
{
    return (yk_atomic64 *)(void *)slot;
}

/* A slot's word says this, above its low 32 bits, when message `index` is in it. */
static inline uint32_t yk_spsc_stamp(const struct yk_spsc *ring, uint64_t index)
{
    return (uint32_t)(index >> ring->geometry.slots_log2) + 1;
}

/* Is there anything for yk_spsc_take()? It may say yes once too often. */
static inline bool yk_spsc_peek(const struct yk_spsc_receiver *receiver)
{
    uint64_t word = yk_load_acquire(yk_spsc_word(yk_spsc_slot(&receiver->ring, receiver->taken)));
    return (uint32_t)(word >> 32) == yk_spsc_stamp(&receiver->ring, receiver->taken) ||
           receiver->returned > 0;
}

#define YK_SPSC_COPY_CALLED 128

/*
 * The bytes of a small message. Moves of fixed size, since a call of memcpy() costs as much as all
 * the rest; none overlaps another, since a copy of what was just copied would then have to wait
 * until all of it has left the store buffer.
 */
static inline void yk_spsc_copy(unsigned char *to, const unsigned char *from, size_t size)
{
    yk_check_yield(); /* under the schedule checker only: others may run between word and bytes */
    if (size > YK_SPSC_COPY_CALLED) {
        memcpy(to, from, size);
        return;
    }
    for (; size >= 16; to += 16, from += 16, size -= 16)
        memcpy(to, from, 16);
    if (size & 8) {
        memcpy(to, from, 8);
        to += 8;
        from += 8;
    }
    if (size & 4) {
        memcpy(to, from, 4);
        to += 4;
        from += 4;
    }
    if (size & 2) {
        memcpy(to, from, 2);
        to += 2;
        from += 2;
    }
    if (size & 1)
        *to = *from;
}

/*
 * As yk_spsc_send(), where the message is small, bears neither tag nor mark, and the ring surely has
 * room: true, else nothing happened.
 */
static inline bool yk_spsc_send_small(struct yk_spsc_sender *sender, const void *data, size_t size)
{
    const struct yk_spsc *ring = &sender->ring;
    uint64_t index = sender->sent;
    if (size > ring->geometry.slot_stride - YK_SPSC_BYTES ||
        index - sender->released >= ring->geometry.depth)
        return false;
    unsigned char *slot = yk_spsc_slot(ring, index);
    yk_spsc_copy(slot + YK_SPSC_BYTES, data, size);
    /* SYNC spsc.publish release: the bytes before the word. This store is the commit. */
    yk_store_release(yk_spsc_word(slot), (uint64_t)yk_spsc_stamp(ring, index) << 32 | size);
    sender->sent = index + 1;
    return true;
}

/*
 * Takes, copies and releases the next message where it is small, fresh, without tag and mark, and
 * fits, no other is lent, and the lap renews no receipts: true, and its size; else nothing happened.
 */
static inline bool yk_spsc_recv_small(struct yk_spsc_receiver *receiver, void *buffer,
                                      size_t capacity, size_t *ret_size)
{
    const struct yk_spsc *ring = &receiver->ring;
    uint64_t index = receiver->taken;
    unsigned char *slot = yk_spsc_slot(ring, index);
    uint64_t word = yk_load_acquire(yk_spsc_word(slot)); /* SYNC spsc.publish acquire */
    size_t size = (uint32_t)word; /* with a flag set it is bigger than any small one */
    if ((uint32_t)(word >> 32) != yk_spsc_stamp(ring, index))
        return false;
    if (size > ring->geometry.slot_stride - YK_SPSC_BYTES || size > capacity ||
        index >= receiver->quick_until || receiver->released != index)
        return false;
    /* relaxed: only for who comes after this process's death; then it was in hand */
    yk_store_relaxed(&ring->shm->taken, index + 1);
    yk_fence_compiler();
    yk_spsc_copy(buffer, slot + YK_SPSC_BYTES, size);
    receiver->taken = receiver->released = index + 1;
    /* SYNC spsc.release release: after the copy */
    yk_store_release(&ring->shm->released, index + 1);
    *ret_size = size;
    return true;
}

#endif
