/*
 * link.h - links in shared memory: two rings (ring/spsc.h), one each way, and waiting, behind one
 * handle. The same for a link between two named peers and for one that was handed over as a
 * descriptor.
 */
#ifndef YK_LINK_H
#define YK_LINK_H

#include "notice.h"
#include "ring/spsc.h"
#include "wait.h"
#include "yoke.h"

/* The kind's part of the fixed header. */
struct yk_link_fixed {
    uint64_t layout; /* YK_LINK_LAYOUT */
    struct yk_spsc_geometry geometry;
};

enum yk_side_state {
    YK_SIDE_NEW = 0, /* nobody was there yet */
    YK_SIDE_OPEN = 1,
    YK_SIDE_CLOSED = 2,
    YK_SIDE_DIED = 3,
};

/*
 * Beside it in a side's state word: the number of the owner that it is about (the generation of its slot), so that
 * nobody's end is taken for another one's, who is only just coming.
 */
#define YK_SIDE_STATE_BITS 2

static inline enum yk_side_state yk_side_state_of(uint32_t word)
{
    return (enum yk_side_state)(word & ((1u << YK_SIDE_STATE_BITS) - 1));
}

static inline uint32_t yk_side_owner_of(uint32_t word)
{
    return word >> YK_SIDE_STATE_BITS;
}

/*
 * field      | written by            | read by    | order            | a crash leaves
 * -----------+-----------------------+------------+------------------+---------------------------
 * state      | its process: OPEN,    | the other  | release/acquire  | OPEN, though dead: DIED
 *            | CLOSED; a recoverer:  | side       | SYNC link.end    | as soon as somebody
 *            | DIED                  |            |                  | recovers
 * membarrier | its process, when it  | the other  | relaxed: see     | the old one's: a fence too
 *            | joins; its receiving  | side       | wake_other(),    | many, or a wake-up that
 *            | thread                |            | choose_fences()  | is 100 ms late
 * left       | its process, before   | its name's | SYNC link.end    | an old one: the link is
 *            | CLOSED                | next owner |                  | offered once more (peer.c)
 */
struct yk_shm_link_side {
    yk_atomic32 state;      /* owner's number 30 | enum yk_side_state 2 */
    yk_atomic32 membarrier; /* 1: before its threads sleep they call membarrier(); 0: make fences */
    yk_atomic64 left; /* CLOSED: the number of the last one on the other side that it knew of */
    uint64_t pad[6];
};

/*
 *   body   +----------------+---------+---------+---------------------+---------------------+
 *          | yk_shm_waiters | side 0  | side 1  | ring from 0 to 1    | ring from 1 to 0    |
 *          +----------------+---------+---------+---------------------+---------------------+
 *
 * Side 0 is the peer whose name comes first. A side is the participant's slot of the same number.
 */
struct yk_shm_link {
    struct yk_shm_waiters waiters;
    struct yk_shm_link_side sides[2];
};
_Static_assert(sizeof(struct yk_shm_link) % 128 == 0, "the rings are 128-byte aligned");

#define YK_LINK_LAYOUT                                                          \
    (sizeof(struct yk_shm_link) << 32 | sizeof(struct yk_spsc_geometry) << 16 | \
     sizeof(struct yk_shm_spsc))

struct yk_link {
    struct yk_object object; /* first: the kind's callbacks get it */
    struct yk_waiting waiting;
    struct yk_shm_link *shm;
    struct yk_spsc_sender out;
    struct yk_spsc_receiver in;
    bool membarrier;       /* this process's threads may do without fences */
    yk_atomic32 inside[2]; /* private: a thread is in a call that waits: to receive, to send */
    uint32_t run;          /* messages received in a row without waiting */
    uint32_t size;         /* of the last one that was received the short way: a guess */
    uint32_t waits;        /* to receive, since it was last thought about whether that is often: */
    uint64_t waits_from;   /* from this message on */
    uint32_t ended;        /* the other side's state word that told a receiver of its end, and */
    uint64_t ended_at;     /* how many had been received then; UINT64_MAX: no end was told */
    struct yk_notice peers; /* the doorbell of the peer that it is open as (peer_next.c) */
    bool noticed;           /* it has been begun */
    struct yk_link *next;   /* the open links of this process (peer.c) */
    struct yk_peer *peer;   /* whom it is open as; NULL: it has no names */
    char me[YOKE_PEER_NAME_MAX + 1], other[YOKE_PEER_NAME_MAX + 1];
};

int yk_link_open(struct yk_link *link, const char *other, uint32_t flags,
                 const struct yoke_options *options);
/* Who opens a link to `other`, wherever it is, joins as options->as: checks that; and does it, too. */
int yk_link_check_as(const char *other, const struct yoke_options *options);
int yk_link_hold_peer(struct yk_peer **ret_peer, const char *other,
                      const struct yoke_options *options);
/* The end whose descriptor this is (yoke_pair()). */
int yk_link_open_descriptor(struct yk_link *link, int descriptor,
                            const struct yoke_options *options);
/* As yk_object_enter(): in a forked child, as a peer of its own. */
int yk_link_enter_afresh(struct yk_link *link);

static inline int yk_link_enter(struct yk_link *link)
{
    /* SYNC object.joined acquire: as in yk_object_enter() */
    if (yk_likely(yk_load_acquire(&link->object.fork_stamp) == yk_fork_stamp()))
        return 0;
    return yk_link_enter_afresh(link);
}

/* The same for the short ways: false means that yk_link_enter() has to be asked. */
static inline bool yk_link_entered(const struct yk_link *link)
{
    /* SYNC object.joined acquire */
    return yk_load_acquire(&link->object.fork_stamp) == yk_load_relaxed(&yk_fork_page->stamp);
}

void yk_link_close(struct yk_link *link);
/* Ends the waits that are going on, and returns when they have ended. */
void yk_link_expel(struct yk_link *link);

/* See yoke.h. */
ssize_t yk_link_send(struct yk_link *link, const void *data, size_t size, int64_t timeout_ns);
ssize_t yk_link_recv(struct yk_link *link, void *buffer, size_t capacity, int64_t timeout_ns);
ssize_t yk_link_send_many(struct yk_link *link, const struct yoke_message *messages, size_t count,
                          int64_t timeout_ns);
ssize_t yk_link_recv_many(struct yk_link *link, struct yoke_message *messages, size_t count,
                          int64_t timeout_ns);
ssize_t yk_link_borrow_many(struct yk_link *link, struct yoke_message *messages, size_t count,
                            int64_t timeout_ns);
ssize_t yk_link_commit_many(struct yk_link *link, const struct yoke_message *messages, size_t count,
                            int64_t timeout_ns);
int yk_link_loan(struct yk_link *link, size_t size, void **ret_block, int64_t timeout_ns);
int yk_link_wait(struct yk_link *link, int64_t timeout_ns);
int yk_link_release(struct yk_link *link, const void *message);
int yk_link_return(struct yk_link *link, const void *message);

/* Has it something for a receiver: a message, or the other side's end? */
bool yk_link_is_ready(struct yk_link *link);

/* Fills in the geometry from the options, which are checked. */
void yk_link_plan(struct yk_spsc_geometry *geometry, const struct yoke_options *options);
uint64_t yk_link_body_bytes(const struct yk_spsc_geometry *geometry);
/* Checks a segment's link header for the inspector, too: 0 or -EPROTO / -EPROTONOSUPPORT. */
int yk_link_check(const struct yk_shm_fixed *fixed, struct yk_spsc_geometry *ret_geometry);
/* Did this side leave the link, and nobody came to the other one since? */
bool yk_link_is_left(const struct yk_object *object, int side);
/* The ring that side `from` sends on. */
void yk_link_ring(struct yk_spsc *ring, const struct yk_spsc_geometry *geometry, void *body,
                  int from);

#endif
