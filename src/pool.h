/*
 * pool.h - a port's endpoint and the blocks of its own pool.
 *
 * Which blocks are FREE stands in shared memory (ring/port_ring.h); which of them threads of this
 * process have in hand, filling or on loan, is this process's own business: after its death those
 * are simply FREE.
 */
#ifndef YK_POOL_H
#define YK_POOL_H

#include "port.h"

enum yk_in_hand {
    YK_BLOCK_FREE = 0,
    YK_BLOCK_FILLING = 1,
    YK_BLOCK_LOANED = 2,
};

uint32_t yk_pool_start(const struct yk_port *port); /* its first block's number */

/* Takes a FREE block, if there is one. */
bool yk_pool_take(struct yk_port *port, enum yk_in_hand how, uint32_t *ret_block);
/* Fetches the lines of a block that is likely to be taken soon, for a message of `size` bytes. */
void yk_pool_prefetch(const struct yk_port *port, size_t size);
void yk_pool_put_back(struct yk_port *port, uint32_t block);

/* The loaned block whose bytes `data` points to: its number, or -1. */
int64_t yk_pool_find_loan(const struct yk_port *port, const void *data);

#endif
