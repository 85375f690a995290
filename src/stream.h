/*
 * stream.h - streams in shared memory: a ring of bytes (ring/bytes.h), who is at its ends, and
 * waiting, behind one handle. The same for one with a name and for one that was handed over as a
 * descriptor.
 */
#ifndef YK_STREAM_H
#define YK_STREAM_H

#include "endpoint.h"
#include "ring/bytes.h"
#include "wait.h"

/* The kind's part of the fixed header. */
struct yk_stream_fixed {
    uint64_t layout; /* YK_STREAM_LAYOUT */
    uint64_t capacity;
};

/*
 *   body   +----------------+----------------+----------------+----------------------+
 *          | yk_shm_waiters | readers        | writers        | ring (ring/bytes.h)  |
 *          +----------------+----------------+----------------+----------------------+
 */
struct yk_shm_stream {
    struct yk_shm_waiters waiters;
    struct yk_shm_bytes_end ends[2]; /* by enum yk_bytes_side */
    struct yk_shm_bytes ring;
};
_Static_assert(offsetof(struct yk_shm_stream, ring) % 128 == 0, "the ring is 128-byte aligned");

#define YK_STREAM_LAYOUT                                                          \
    (sizeof(struct yk_shm_stream) << 32 | sizeof(struct yk_shm_bytes_end) << 16 | \
     YK_BYTES_SLOT_BITS)

#define YK_STREAM_CAPACITY_DEFAULT ((uint64_t)1 << 20)
/* A write of so many bytes goes whole, or not at all, as into a pipe (PIPE_BUF). */
#define YK_STREAM_WHOLE ((size_t)4096)

struct yk_stream {
    struct yk_object object; /* first: the kind's callbacks get it */
    struct yk_waiting waiting;
    struct yk_shm_stream *shm;
    struct yk_bytes ring;
    enum yk_bytes_side side; /* which end this is */
    bool marked;             /* `mark` is set: it stays over a fork */
    uint64_t mark; /* the other end's `came`, when it is gone without having been there for us */
    uint64_t me;   /* how this participant signs in the ring */
};

/*
 * A call that copies, as it goes on: `copy` is called while the caller is inside, with at least
 * `least` bytes available: it copies some, adds them to `done` and returns 1, or an error.
 */
struct yk_stream_call {
    struct yk_stream *stream;
    size_t size, done;
    uint64_t least;
    int (*copy)(struct yk_stream_call *call, uint64_t available);
    void *to;
    const void *from;
    int64_t timeout_ns, deadline; /* deadline: 0 until the first wait */
    bool waits;                   /* within a wait: looks before it goes in */
    bool visiting;
    bool ended; /* what it reads has */
};

/* Checks, and takes in a fork. `what` is what the call does, for sentences. */
int yk_stream_enter(struct yk_stream *stream, enum yk_bytes_side side, const char *what);
/* Copies once, waiting until that can be. 1, or an error. */
int yk_stream_run(struct yk_stream_call *call);
/* How long it may still wait. */
int64_t yk_stream_left(struct yk_stream_call *call);
/* From now to its end the endpoint stays, even when it is closed meanwhile. */
void yk_stream_visit(struct yk_stream_call *call);
/* What the call returns, when it ended with `result`. */
ssize_t yk_stream_finish(struct yk_stream_call *call, int result);
/* Somewhere in a copy: what it did may be what somebody waits for. */
void yk_stream_copied(struct yk_stream *stream, uint64_t size);

/* Copied and counted in one go: the other side can follow, others of this side get their turn. */
#define YK_STREAM_PIECE ((uint64_t)64 << 10)

/* Sets endpoint->self and endpoint->operations. */
int yk_stream_open(yoke_endpoint *endpoint, const char *name, uint32_t flags,
                   const struct yoke_options *options);
/* The end whose descriptor this is (yoke_stream_pair()). */
int yk_stream_open_descriptor(yoke_endpoint *endpoint, int descriptor,
                              const struct yoke_options *options);

/* Which end the flags ask for; -EINVAL when it is not exactly one. */
int yk_stream_side(uint32_t flags);

/* The public calls of the same names, for `self`. */
ssize_t yk_stream_write(void *self, const void *data, size_t size, int64_t timeout_ns);
ssize_t yk_stream_read(void *self, void *buffer, size_t capacity, int64_t timeout_ns);
ssize_t yk_stream_move(void *self, int descriptor, size_t size, int64_t timeout_ns);

/* Checks a segment's stream header for the inspector, too: 0 or -EPROTO / -EPROTONOSUPPORT. */
int yk_stream_check(const struct yk_shm_fixed *fixed, uint64_t *ret_capacity);

#endif
