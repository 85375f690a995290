/*
 * layout.h - what every shared object begins with.
 *
 *   0                4096                      body_offset                       size
 *   +----------------+-------------------------+---------------------------------+
 *   | yk_shm_header  | yk_shm_slot × N         | region: the user's memory       |
 *   | fixed | live   | one for each participant| port: waiters, rings, pools     |
 *   |                |                         | link: waiters, sides, two rings |
 *   |                |                         | stream: waiters, ends, a ring   |
 *   +----------------+-------------------------+---------------------------------+
 *
 * All numbers are little or big endian as the machine is: an object never leaves its machine.
 * Changing anything here or in a body's layout needs a new YK_LAYOUT_VERSION and a decision record.
 */
#ifndef YK_MEMORY_LAYOUT_H
#define YK_MEMORY_LAYOUT_H

#include <stddef.h>

#include "base/atomic.h"

#define YK_MAGIC UINT64_C(0x314a424f656b6f79) /* "yokeOBJ1" */
#define YK_PAGE  4096

/* Of the memory; of the records and messages of the kernel place (queues.c); of its streams (fifo.c). */
#ifndef YK_LAYOUT_VERSION /* tests build a second library, to which this one is another version */
#define YK_LAYOUT_VERSION 6
#define YK_QUEUES_VERSION 2
#define YK_FIFO_VERSION   1
#endif

enum yk_kind {
    YK_KIND_REGION = 1,
    YK_KIND_PORT = 2,
    YK_KIND_LINK = 3, /* its name is those of its two peers in order, "alice@bob" */
    YK_KIND_PEER = 4,
    YK_KIND_SIGNALS = 5, /* of the peer of that name: a port, see signals.h */
    YK_KIND_STREAM = 6,
};

enum yk_object_flag {
    YK_OBJECT_KEPT = 1,
    YK_OBJECT_QUEUES = 2, /* only in records: in the kernel place, without a segment (queue.h) */
};

/*
 * Written by the creator before `ready`, never changed after. Each process checks it once, copies
 * it to private memory, and uses only the copy.
 */
struct yk_shm_fixed {
    uint64_t magic;
    uint64_t layout; /* YK_LAYOUT: another value means another layout; nothing else is looked at */
    uint64_t nonce;  /* also in the name file: a reused segment id is never mistaken */
    uint64_t directory_dev; /* the name directory that the object belongs to */
    uint64_t directory_ino;
    uint64_t size; /* of the segment */
    uint64_t body_offset;
    uint64_t body_size; /* regions: what the user asked for */
    int64_t created_ns; /* CLOCK_REALTIME */
    uint32_t kind;
    uint32_t flags;
    uint32_t participants;
    int32_t creator; /* process id, in its PID namespace */
    uint32_t mode;
    uint32_t pad;
    char name[264];       /* bare, for segments found without their name */
    uint8_t details[128]; /* the kind's own: ports: struct yk_port_fixed */
};

/*
 * field   | written by           | read | order             | a crash leaves
 * --------+----------------------+------+-------------------+------------------------------
 * fixed   | creator, before      | all  | plain,            | a half-built object that no
 *         | `ready`              |      | SYNC object.ready | name shows, undone by intent
 * ready   | creator, once        | all  | release / acquire | 0: undone by intent
 * looked  | who looks for dead   | all  | CAS, relaxed      | an old time: looked at sooner
 */
struct yk_shm_header {
    struct yk_shm_fixed fixed;
    uint8_t pad0[1024 - sizeof(struct yk_shm_fixed)];
    yk_atomic32 ready;
    uint32_t pad1[31];
    yk_atomic64 looked; /* CLOCK_MONOTONIC: when somebody last looked for dead participants */
    uint8_t pad2[YK_PAGE - 1024 - 128 - 8];
};
_Static_assert(sizeof(struct yk_shm_header) == YK_PAGE, "the header is one page");

/*
 * A descriptor of a participant, which somebody polls: how to make it readable. See notice.h.
 *
 * field    | written by              | read by     | order               | a crash leaves
 * ---------+-------------------------+-------------+---------------------+---------------------
 * armed    | its process: a higher   | who changed | seq_cst             | armed, though dead:
 *          | number, odd; who rang:  | something   | SYNC notice.armed   | rung in vain, until
 *          | even, by CAS            |             |                     | it is recovered
 * doorbell | its process, before     | the same    | SYNC notice.armed   | the dead one's
 * mark     | `armed`                 |             |                     |
 */
struct yk_shm_notice {
    yk_atomic64 armed;    /* odd: to be rung when there is something */
    yk_atomic64 doorbell; /* the nonce of its FIFO; 0: there is none, the lock file is touched */
    yk_atomic64 mark;     /* what to write */
};
#define YK_NOTICES 2 /* its own, and the one of the peer that it belongs to */

/*
 * One participant. "Its process" is the process that holds the lock of the slot's byte in the lock
 * file.
 *
 * field     | written by                | read by     | order            | a crash leaves
 * ----------+---------------------------+-------------+------------------+---------------------
 * word      | its process; a recoverer  | all         | release/acquire  | USED, though dead:
 *           | (under the recovery byte) |             | SYNC slot.claim  | recovered
 * pid, uid, | its process, before       | stat        | SYNC slot.claim  | hints only
 * command,  | `word`                    |             |                  |
 * joined    |                           |             |                  |
 * bell      | who wakes (add)           | its threads | futex; seq_cst   | nothing to repair
 * waiting   | its threads (add)         | stat        | seq_cst          | reset when claimed
 * pool_used | its process, before it    | recoverer   | CAS / acquire    | too big by one: one
 *           | uses a new block          |             |                  | more look
 * notice    | see above                 |             |                  |
 * sent,     | its threads: several add, | stat        | relaxed          | off by one call (totals
 * received  | one stores (yk_count())   |             | (add: seq_cst)   | are port_ring.h's)
 * counts    | its threads: on from what | stat        | relaxed          | the same: they are
 *           | earlier owners counted    |             |                  | the object's totals
 * before    | its process, before       | stat        | SYNC slot.claim  | hints only
 *           | `word`: `counts` then     |             |                  |
 *
 * What it counts has lines of its own, which the others do not read: not they, nor who looks on,
 * are in the way of a message. So `counts` cost a sender a load, an add and a store; an atomic add
 * where several threads count through one handle.
 */
enum yk_count {
    YK_COUNT_BYTES_SENT = 0, /* of messages, in ports */
    YK_COUNT_BYTES_RECEIVED = 1,
    YK_COUNT_EMPTY = 2, /* calls that found nothing, and waited or went away */
    YK_COUNT_FULL = 3,  /* and those that found no room */
    YK_COUNTS = 4,
};

struct yk_shm_slot {
    yk_atomic64 word;       /* generation << 1 | used */
    yk_atomic64 joined;     /* CLOCK_REALTIME */
    yk_atomic64 command[2]; /* the process's name */
    yk_atomic32 pid;
    yk_atomic32 uid;
    yk_atomic32 bell[2];    /* futexes: its threads that wait to receive, and to send, sleep here */
    yk_atomic32 waiting[2]; /* how many threads wait to receive, and to send */
    yk_atomic32
        pool_used; /* ports: blocks of its pool that were ever used, by it or an earlier owner */
    uint32_t pad0[5];
    struct yk_shm_notice notice[YK_NOTICES];
    yk_atomic64 sent;
    yk_atomic64 received;
    yk_atomic64 counts[YK_COUNTS];
    yk_atomic64 before[YK_COUNTS];
    uint64_t pad1[6];
};
_Static_assert(sizeof(struct yk_shm_slot) == 256 && offsetof(struct yk_shm_slot, sent) == 128,
               "what different processes write is 128 bytes apart");

/* A hash over what a build thinks of the layout: builds with another layout refuse each other. */
#define YK_MIX(a, b) ((a)*UINT64_C(0x9e3779b97f4a7c15) + (uint64_t)(b))
#define YK_LAYOUT                                                         \
    YK_MIX(YK_MIX(YK_MIX(YK_LAYOUT_VERSION, sizeof(struct yk_shm_fixed)), \
                  offsetof(struct yk_shm_fixed, details)),                \
           sizeof(struct yk_shm_slot))

#endif
