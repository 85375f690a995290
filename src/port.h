/*
 * port.h - ports in shared memory: the ring (ring/port_ring.h), pools of blocks, and waiting,
 * behind one handle.
 */
#ifndef YK_PORT_H
#define YK_PORT_H

#include "ring/port_ring.h"
#include "wait.h"
#include "yoke.h"

/* The kind's part of the fixed header. */
struct yk_port_fixed {
    uint64_t layout; /* YK_PORT_LAYOUT */
    struct yk_ring_geometry geometry;
};

/*
 *   body   +------------------+----------------------+------------------------------------------+
 *          | yk_shm_waiters   | ring of priority 0,  | pool of participant 0, 1, …              |
 *          |                  | 1, … (128-aligned)   | (page-aligned; untouched pages cost      |
 *          |                  |                      | nothing)                                 |
 *          +------------------+----------------------+------------------------------------------+
 */
#define YK_PORT_RINGS_OFFSET sizeof(struct yk_shm_waiters)

#define YK_FOLLOWED 16 /* pools are used in turns of 8 blocks at least */

#define YK_PORT_LAYOUT                                                             \
    (sizeof(struct yk_shm_waiters) << 48 | sizeof(struct yk_ring_geometry) << 32 | \
     sizeof(struct yk_shm_ring) << 16 | sizeof(struct yk_shm_block) << 8 | YK_CELL_LAP_BITS)

struct yk_port {
    struct yk_object object; /* first: the kind's callbacks get it */
    struct yk_ring ring;
    struct yk_waiting waiting;
    bool parked;            /* receives parked messages */
    yk_atomic64 deliveries; /* to this process, or somewhat less: private */
    yk_atomic64 last_look;  /* when a busy receiver last asked whether anybody died; private */
    uint32_t sender;        /* this process's id, for the messages */
    yk_atomic32 borrowed; /* messages that this process has in hand through this handle; private */
    /* One's own pool. Private: which of its blocks threads of this process have in hand. */
    yk_atomic32 *in_hand;                  /* per block: 0, BLOCK_FILLING or BLOCK_LOANED */
    yk_atomic64 open[YOKE_PRIORITIES_MAX]; /* what yk_ring_commit() keeps */
    yk_atomic32 cursor;
    yk_atomic32 used; /* blocks that were ever used; also in the slot, for the recoverer */
    /*
     * A guess, private: senders take the blocks of their pools in turn, so what came after a block once
     * comes after it again. `last_came` is the last one, `followed` by which, those that differ little.
     */
    yk_atomic32 last_came, followed[YK_FOLLOWED];
};

int yk_port_open(struct yk_port *port, const char *name, uint32_t flags,
                 const struct yoke_options *options);
/* The same for whatever has a port behind it, under a kind of its own; `seat` as of an object. */
int yk_port_open_as(struct yk_port *port, enum yk_kind kind, int32_t seat, const char *name,
                    uint32_t flags, const struct yoke_options *options);
void yk_port_close(struct yk_port *port);

/* See yoke.h. */
ssize_t yk_port_send(struct yk_port *port, const void *data, size_t size, int64_t timeout_ns);
ssize_t yk_port_recv(struct yk_port *port, void *buffer, size_t capacity, int64_t timeout_ns);
ssize_t yk_port_send_many(struct yk_port *port, const struct yoke_message *messages, size_t count,
                          int64_t timeout_ns);
ssize_t yk_port_recv_many(struct yk_port *port, struct yoke_message *messages, size_t count,
                          int64_t timeout_ns);
ssize_t yk_port_borrow(struct yk_port *port, struct yoke_message *messages, size_t count,
                       int64_t timeout_ns);
int yk_port_loan(struct yk_port *port, size_t size, void **ret_block, int64_t timeout_ns);
ssize_t yk_port_commit(struct yk_port *port, const struct yoke_message *messages, size_t count,
                       int64_t timeout_ns);
int yk_port_release(struct yk_port *port, const void *message);
int yk_port_return(struct yk_port *port, const void *message);

/* Would receiving not wait? */
bool yk_port_is_ready(const struct yk_port *port);

/* Checks a segment's port header for the inspector, too: 0 or -EPROTO / -EPROTONOSUPPORT. */
int yk_port_check(const struct yk_shm_fixed *fixed, struct yk_ring_geometry *ret_geometry);
uint64_t yk_port_blocks_offset(const struct yk_ring_geometry *geometry);

#endif
