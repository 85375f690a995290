/*
 * pool.c - see pool.h.
 */
#include "pool.h"

#include <sys/single_threaded.h>

#define TURN_BLOCKS 8
#define AHEAD       2
/* A new block of so many bytes costs more, in pages, than a look at so many used ones. */
#define LARGE_BLOCK 65536
#define LARGE_LOOKS 64

/* Several threads of this process may want the same block; other processes never do. */
static bool take_in_hand(yk_atomic32 *in_hand, enum yk_in_hand how)
{
    uint32_t expected = YK_BLOCK_FREE;
    if (__libc_single_threaded) {
        if (yk_load32_relaxed(in_hand) != YK_BLOCK_FREE)
            return false;
        yk_store32_relaxed(in_hand, how);
        return true;
    }
    return yk_cas32_seq(in_hand, &expected, how);
}

uint32_t yk_pool_start(const struct yk_port *port)
{
    return port->object.slot * port->ring.geometry.blocks_each;
}

/*
 * Free first, so that one in the ring is not even touched; free again once it is in hand, since
 * between the two another thread may have filled it, sent it and put it back.
 */
static inline bool try_block(struct yk_port *port, uint32_t index, enum yk_in_hand how)
{
    uint32_t block = yk_pool_start(port) + index;
    if (!yk_ring_is_free(&port->ring, block) || !take_in_hand(&port->in_hand[index], how))
        return false;
    if (__libc_single_threaded || yk_ring_is_free(&port->ring, block))
        return true;
    yk_pool_put_back(port, block);
    return false;
}

/* The recoverer looks at so many blocks, at least. */
static void announce_used(const struct yk_port *port, uint32_t used)
{
    yk_atomic32 *shared = &yk_object_slot(&port->object, port->object.slot)->pool_used;
    uint32_t known = yk_load32_relaxed(shared);
    /* only threads of this process write it; bounded, lest somebody else does */
    for (int tries = 0; tries < 1000 && known < used; tries++) {
        if (yk_cas32_seq(shared, &known, used))
            break;
    }
}

/*
 * One more block that was never used. The recoverer must know it before any thread of this process can
 * stamp it, so it is told before the others are.
 */
static bool extend_pool(struct yk_port *port, enum yk_in_hand how, uint32_t *ret_index)
{
    uint32_t used = yk_load32_relaxed(&port->used);
    do {
        if (used >= port->ring.geometry.blocks_each)
            return false;
        announce_used(port, used + 1);
    } while (!yk_cas32_seq(&port->used, &used, used + 1));
    *ret_index = used;
    return try_block(port, used, how);
}

/* Looks at up to `tries` blocks from the cursor on. */
static bool find_block(struct yk_port *port, enum yk_in_hand how, uint32_t tries,
                       uint32_t *ret_index)
{
    uint32_t used = yk_load32_relaxed(&port->used), index = yk_load32_relaxed(&port->cursor);
    for (uint32_t i = 0; i < tries && i < used; i++, index++) {
        if (index >= used)
            index = 0;
        if (try_block(port, index, how)) {
            *ret_index = index;
            return true;
        }
    }
    return false;
}

/*
 * A FREE block of the pool. Blocks are freed about in the order in which they were sent, so the one
 * at the cursor is the likeliest; where it is not free the pool grows: it stays as small, and as
 * warm, as the traffic allows. But not smaller than some blocks: one that was freed just now lies in
 * the cache of who freed it; and where blocks are large, as small as it can: a new one costs pages that
 * nobody had, and no cache holds many. Only when it can not grow any more are all blocks looked at.
 */
static __attribute__((noinline)) bool look_for_block(struct yk_port *port, enum yk_in_hand how,
                                                     uint32_t *ret_block)
{
    uint32_t index = yk_load32_relaxed(&port->cursor);
    uint32_t used = yk_load32_relaxed(&port->used);
    bool large = port->ring.geometry.block_stride >= LARGE_BLOCK;
    bool grows = index >= used && used < (large ? 1 : TURN_BLOCKS);
    if (!(grows && extend_pool(port, how, &index)) &&
        !find_block(port, how, large ? LARGE_LOOKS : 2, &index) &&
        !extend_pool(port, how, &index) && !find_block(port, how, UINT32_MAX, &index))
        return false;
    yk_store32_relaxed(&port->cursor, index + 1);
    *ret_block = yk_pool_start(port) + index;
    return true;
}

bool yk_pool_take(struct yk_port *port, enum yk_in_hand how, uint32_t *ret_block)
{
    uint32_t index = yk_load32_relaxed(&port->cursor);
    if (yk_unlikely(index >= yk_load32_relaxed(&port->used) || !try_block(port, index, how)))
        return look_for_block(port, how, ret_block);
    yk_store32_relaxed(&port->cursor, index + 1);
    *ret_block = yk_pool_start(port) + index;
    return true;
}

void yk_pool_prefetch(const struct yk_port *port, size_t size)
{
    uint32_t index = yk_load32_relaxed(&port->cursor) + AHEAD,
             used = yk_load32_relaxed(&port->used);
    if (index >= used)
        index = index - used < used ? index - used : 0;
    const unsigned char *lines =
        (const unsigned char *)yk_ring_block(&port->ring, yk_pool_start(port) + index);
    yk_prefetch_write(lines);
    if (size > 64 - port->ring.geometry.payload_offset) /* where that is 64, the next line, too */
        yk_prefetch_write(lines + 64);
}

void yk_pool_put_back(struct yk_port *port, uint32_t block)
{
    yk_store32_release(&port->in_hand[block - yk_pool_start(port)], YK_BLOCK_FREE);
}

/* The loaned block that `data` points to the bytes of: its number, or -1. */
int64_t yk_pool_find_loan(const struct yk_port *port, const void *data)
{
    const unsigned char *first = yk_ring_payload(&port->ring, yk_pool_start(port));
    const unsigned char *bytes = data;
    if (bytes < first)
        return -1;
    uint64_t distance = (uint64_t)(bytes - first),
             index = distance / port->ring.geometry.block_stride;
    if (distance % port->ring.geometry.block_stride != 0 ||
        index >= port->ring.geometry.blocks_each ||
        yk_load32_relaxed(&port->in_hand[index]) != YK_BLOCK_LOANED)
        return -1;
    return (int64_t)(yk_pool_start(port) + index);
}
