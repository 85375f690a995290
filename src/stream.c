/*
 * stream.c - see stream.h.
 */
#include "stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/sys.h"
#include "base/trace.h"
#include "endpoint_options.h"
#include "notice.h"

#define UNNAMED "(unnamed)"

static bool reads(const struct yk_stream *stream)
{
    return stream->side == YK_BYTES_READING;
}

static struct yk_shm_bytes_end *my_end(const struct yk_stream *stream)
{
    return &stream->shm->ends[stream->side];
}

static struct yk_shm_bytes_end *other_end(const struct yk_stream *stream)
{
    return &stream->shm->ends[1 - stream->side];
}

/* ---- who is there ---- */

/* Nobody is at the other end, and somebody was, in this endpoint's time. */
static bool other_left(const struct yk_stream *stream)
{
    uint64_t came;
    return yk_bytes_left(other_end(stream), stream->waiting.words, stream->mark, &came);
}

/* For a reader: they left, and all is read. */
static bool is_over(const struct yk_stream *stream, uint64_t *ret_came)
{
    return yk_bytes_is_over(&stream->ring, other_end(stream), stream->waiting.words, stream->mark,
                            ret_came);
}

/* The caller is told so. One that comes later need not be told of that again. */
static bool tell_end(const struct yk_stream *stream)
{
    uint64_t came;
    struct yk_shm_bytes_end *writers = other_end(stream);
    if (!is_over(stream, &came))
        return false;
    /* relaxed: an older number only means that it is told once more */
    if ((int64_t)(came - yk_load_relaxed(&writers->told)) > 0)
        yk_store_relaxed(&writers->told, came);
    return true;
}

/*
 * From when on is the other end gone, if nobody is there? A reader is told of writers whose end no
 * reader was told of; a writer of readers that are there, or come. Who was handed its end: of
 * anybody.
 */
static uint64_t first_mark(const struct yk_stream *stream)
{
    const struct yk_shm_bytes_end *other = other_end(stream);
    if (stream->object.anonymous)
        return 0;
    if (reads(stream))
        return yk_load_relaxed(&other->told);
    uint64_t came = yk_load_seq(&other->came);
    return yk_bytes_anybody(other, stream->waiting.words) ? came - 1 : came;
}

static void wake_all(const struct yk_stream *stream)
{
    yk_fence_seq(); /* what was changed before the look at the rows */
    for (uint32_t i = 0; i < stream->object.fixed.participants; i++) {
        yk_changed_for(&stream->waiting, YK_WAIT_RECEIVE, i);
        yk_changed_for(&stream->waiting, YK_WAIT_ROOM, i);
    }
}

static int end(void *self)
{
    struct yk_stream *stream = self;
    int result = yk_object_enter(&stream->object);
    if (result < 0 || !other_left(stream))
        return result;
    return yk_load32_acquire(&other_end(stream)->ended) ==
                   YK_BYTES_DIED /* SYNC bytes.end acquire */
               ? yk_fail(EOWNERDEAD, "the last %s of stream:%s died",
                         reads(stream) ? "writer" : "reader", stream->object.fixed.name)
               : yk_fail(EPIPE, "the last %s of stream:%s closed it",
                         reads(stream) ? "writer" : "reader", stream->object.fixed.name);
}

/* ---- the object ---- */

int yk_stream_check(const struct yk_shm_fixed *fixed, uint64_t *ret_capacity)
{
    struct yk_stream_fixed own;
    memcpy(&own, fixed->details, sizeof own);
    if (own.layout != YK_STREAM_LAYOUT)
        return yk_fail(EPROTONOSUPPORT,
                       "the stream was made with stream layout %016llx, this yoke has %016llx",
                       (unsigned long long)own.layout, (unsigned long long)YK_STREAM_LAYOUT);
    uint64_t room = fixed->size - fixed->body_offset;
    if (!yk_bytes_is_capacity(own.capacity) || own.capacity > room ||
        room - own.capacity < sizeof(struct yk_shm_stream))
        return yk_fail(EPROTO, "the stream has a capacity that no yoke wrote");
    *ret_capacity = own.capacity;
    return 0;
}

static uint64_t recover_participant(struct yk_object *object, uint32_t slot)
{
    struct yk_stream *stream = (struct yk_stream *)object;
    yk_bytes_recover(&stream->ring, slot);
    for (int i = 0; i < 2; i++)
        yk_bytes_go(&stream->shm->ends[i], slot, YK_BYTES_DIED);
    yk_unarm_all(&stream->waiting, slot);
    wake_all(stream);
    yk_ring_descriptors(&stream->waiting);
    return 0;
}

static void joined(struct yk_object *object)
{
    struct yk_stream *stream = (struct yk_stream *)object;
    if (object->anonymous)
        stream->side = (enum yk_bytes_side)(object->seat & 1);
    stream->me = object->generation << YK_BYTES_SLOT_BITS | object->slot;
    yk_waiting_join(&stream->waiting);
    if (!stream->marked)
        stream->mark = first_mark(stream);
    stream->marked = true;
    yk_bytes_come(my_end(stream), object->slot);
    wake_all(stream); /* who was told of the end may be told otherwise now */
}

static int prepare(struct yk_object *object)
{
    struct yk_stream *stream = (struct yk_stream *)object;
    uint64_t capacity;
    int result = yk_stream_check(&object->fixed, &capacity);
    if (result < 0)
        return result;
    stream->shm = (struct yk_shm_stream *)(void *)yk_object_body(object);
    stream->waiting.object = object;
    stream->waiting.shm = &stream->shm->waiters;
    stream->waiting.words = (object->fixed.participants + 63) / 64;
    yk_bytes_attach(&stream->ring, capacity, &stream->shm->ring);
    return 0;
}

static void unprepare(struct yk_object *object)
{
    yk_waiting_end(&((struct yk_stream *)object)->waiting);
}

/*
 * Of a stream without a name: nobody has been at the other end, and nobody can come any more, since
 * all copies of its descriptor are closed. Of any: a name in `inside` that is no living
 * participant's, which only nonsense can be, as the dead are recovered by their slots. True when
 * this call changed something.
 */
static bool look(struct yk_object *object)
{
    struct yk_stream *stream = (struct yk_stream *)object;
    struct yk_shm_bytes_end *other = other_end(stream);
    uint64_t none = 0;
    for (enum yk_bytes_side side = YK_BYTES_READING; side <= YK_BYTES_WRITING; side++) {
        uint64_t inside = yk_bytes_inside(&stream->ring, side);
        if (inside != 0 && yk_participant_is_dead(object, (uint32_t)(inside & YK_BYTES_SLOT),
                                                  inside >> YK_BYTES_SLOT_BITS))
            yk_bytes_expel(&stream->ring, side, inside);
    }
    if (!object->anonymous || yk_load_relaxed(&other->came) != 0 ||
        yk_sys_byte_is_locked(object->lock.fd, YK_HANDLE_BYTE(1 - stream->side), 1) != 0)
        return false;
    yk_store32_release(&other->ended, YK_BYTES_CLOSED); /* SYNC bytes.end release */
    return yk_cas_seq(&other->came, &none, 1);
}

static const struct yk_kind_operations kind_operations = {
    .prepare = prepare,
    .unprepare = unprepare,
    .recover = recover_participant,
    .joined = joined,
    .look = look,
};

/* ---- opening and closing ---- */

static int cancel(void *self)
{
    struct yk_stream *stream = self;
    int result = yk_object_enter(&stream->object);
    if (result == 0)
        yk_cancel(&stream->waiting);
    return result;
}

static void close_stream(void *self)
{
    struct yk_stream *stream = self;
    /* in a forked child that never used it there is nobody to wait for, and the end is the parent's */
    if (yk_load_relaxed(&stream->object.fork_stamp) == yk_fork_stamp()) {
        yk_cancel(&stream->waiting);
        yk_wait_for_visitors(&stream->object);
        yk_bytes_go(my_end(stream), stream->object.slot, YK_BYTES_CLOSED);
    }
    yk_descriptor_close(&stream->waiting); /* while the slot is ours */
    yk_object_close(&stream->object);      /* and wakes those who wait: recover_participant() */
    free(stream);
}

/* ---- descriptors ---- */

static struct yk_waiting *waiting_of(void *self)
{
    return &((struct yk_stream *)self)->waiting;
}

/*
 * Would reading not wait? While somebody else is inside it would, whatever is there: who leaves
 * rings.
 */
static bool ready(void *self)
{
    const struct yk_stream *stream = self;
    uint64_t came;
    return yk_load32_relaxed(&stream->object.cancelled) ||
           (yk_bytes_inside(&stream->ring, YK_BYTES_READING) == 0 &&
            yk_bytes_guess(&stream->ring, YK_BYTES_READING) > 0) ||
           is_over(stream, &came);
}

/* Of a writing end nothing is received, and when it could be written to nobody rings. */
static int enter(void *self)
{
    struct yk_stream *stream = self;
    return reads(stream) ? yk_object_enter(&stream->object)
                         : yk_fail(ENOTSUP, "stream:%s was opened for writing: nothing is received",
                                   stream->object.fixed.name);
}

static size_t capacity(void *self)
{
    return (size_t)((const struct yk_stream *)self)->ring.capacity;
}

static const struct yk_endpoint_operations operations = {
    .what = "a stream, which has bytes and not messages,",
    .close = close_stream,
    .cancel = cancel,
    .waiting = waiting_of,
    .ready = ready,
    .enter = enter,
    .write = yk_stream_write,
    .read = yk_stream_read,
    .move = yk_stream_move,
    .capacity = capacity,
    .end = end,
};

static struct yk_stream *new_stream(const struct yoke_options *options)
{
    /* apart from all else that other threads write */
    struct yk_stream *stream = yk_sys_allocate_aligned(128, (sizeof *stream + 127) / 128 * 128);
    if (!stream) {
        yk_fail(ENOMEM, "no memory for an endpoint");
        return NULL;
    }
    memset(stream, 0, sizeof *stream);
    stream->waiting.spin_ns = options->spin_ns == -1 ? yk_default_spin() : options->spin_ns;
    return stream;
}

static int hand_over(yoke_endpoint *endpoint, struct yk_stream *stream, int result)
{
    if (result < 0) {
        free(stream);
        return result;
    }
    endpoint->self = stream;
    endpoint->operations = &operations;
    return 0;
}

static struct yk_stream_fixed plan_fixed(const struct yoke_options *options)
{
    uint64_t wanted = options->capacity ? options->capacity : YK_STREAM_CAPACITY_DEFAULT;
    return (struct yk_stream_fixed){.layout = YK_STREAM_LAYOUT, .capacity = yk_bytes_plan(wanted)};
}

static uint64_t body_bytes(const struct yk_stream_fixed *fixed)
{
    return sizeof(struct yk_shm_stream) + fixed->capacity;
}

int yk_stream_side(uint32_t flags)
{
    switch (flags & (YOKE_READ | YOKE_WRITE)) {
    case YOKE_READ:
        return YK_BYTES_READING;
    case YOKE_WRITE:
        return YK_BYTES_WRITING;
    default:
        return yk_fail(EINVAL, "a stream has two ends: exactly one of YOKE_READ and YOKE_WRITE "
                               "says which one this is");
    }
}

int yk_stream_open(yoke_endpoint *endpoint, const char *name, uint32_t flags,
                   const struct yoke_options *options)
{
    int side = 0, result = yk_options_check(YK_KIND_STREAM, flags, options);
    if (result == 0)
        result = side = yk_stream_side(flags);
    struct yk_stream *stream = result < 0 ? NULL : new_stream(options);
    if (!stream)
        return result < 0 ? result : -ENOMEM;
    struct yk_stream_fixed fixed = plan_fixed(options);
    struct yk_object_plan plan = {
        .kind = YK_KIND_STREAM,
        .name = name,
        .flags = flags,
        .mode = options->mode,
        .group = options->group,
        .participants = options->participants ? options->participants : 128,
        .seat = YK_ANY_SEAT,
        .body_bytes = body_bytes(&fixed),
        .reserve = yk_options_reserve(flags, body_bytes(&fixed)),
        .details = &fixed,
        .details_size = sizeof fixed,
        .operations = &kind_operations,
    };
    stream->side = (enum yk_bytes_side)side;
    return hand_over(endpoint, stream, yk_object_open(&stream->object, &plan));
}

/* ---- without a name ---- */

YOKE_API int yoke_stream_pair(int ret_descriptors[2], const struct yoke_options *options)
{
    static const struct yoke_options defaults = YOKE_OPTIONS_INIT;
    if (!ret_descriptors)
        return yk_fail(EINVAL, "ret_descriptors is NULL: there is nowhere to put the result");
    options = options ? options : &defaults;
    int result = yk_options_check(YK_KIND_STREAM, YOKE_CREATE, options);
    if (result == 0 && options->participants != 0 && options->participants != 2)
        result = yk_fail(EINVAL, "%u participants: a stream without a name has two",
                         options->participants);
    if (result < 0)
        return result;
    struct yk_stream_fixed fixed = plan_fixed(options);
    struct yk_object_plan plan = {
        .kind = YK_KIND_STREAM,
        .name = "",
        .participants = 2,
        .body_bytes = body_bytes(&fixed),
        .details = &fixed,
        .details_size = sizeof fixed,
    };
    return yk_object_create_anonymous(&plan, ret_descriptors);
}

int yk_stream_open_descriptor(yoke_endpoint *endpoint, int descriptor,
                              const struct yoke_options *options)
{
    struct yk_object_plan plan = {
        .kind = YK_KIND_STREAM, .name = UNNAMED, .operations = &kind_operations};
    int result = yk_fork_init();
    if (result == 0)
        result = yk_options_check(YK_KIND_STREAM, 0, options);
    struct yk_stream *stream = result < 0 ? NULL : new_stream(options);
    if (!stream)
        return result < 0 ? result : -ENOMEM;
    return hand_over(endpoint, stream,
                     yk_object_open_anonymous(&stream->object, descriptor, &plan));
}

/* ---- a call ---- */

static enum yk_reason reason_of(enum yk_bytes_side side)
{
    return side == YK_BYTES_READING ? YK_WAIT_RECEIVE : YK_WAIT_ROOM;
}

/* Without: the state of things is told by whoever comes first, and so is what it allows. */
void yk_stream_copied(struct yk_stream *stream, uint64_t size)
{
    struct yk_shm_slot *slot = yk_object_slot(&stream->object, stream->object.slot);
    yk_atomic64 *counter = reads(stream) ? &slot->received : &slot->sent;
    /* relaxed: a number for stat; threads that count at once may lose some */
    yk_store_relaxed(counter, yk_load_relaxed(counter) + size);
    yk_fence_seq(); /* the counters of the ring before the look who waits */
    if (reads(stream)) {
        YK_TRACE_OBJECT(read, &stream->object, size);
        yk_changed(&stream->waiting, YK_WAIT_ROOM);
    } else {
        YK_TRACE_OBJECT(write, &stream->object, size);
        yk_message_came(&stream->waiting, 1);
    }
}

/*
 * Out again: somebody else of this side may have been kept out meanwhile, and is asleep. It waits for
 * what is left, or for nothing, if nobody is left who writes.
 */
static void leave(struct yk_stream *stream)
{
    enum yk_reason reason = reason_of(stream->side);
    uint64_t came;
    yk_bytes_leave(&stream->ring, stream->side);
    yk_fence_seq(); /* out before the look who waits */
    bool armed = reads(stream) && yk_anyone_waits(&stream->waiting, YK_WAIT_DESCRIPTOR);
    if (yk_likely(!armed && !yk_anyone_waits(&stream->waiting, reason)))
        return;
    bool over = reads(stream) && is_over(stream, &came);
    if (!over && yk_bytes_guess(&stream->ring, stream->side) == 0)
        return;
    if (armed)
        yk_ring_descriptors(&stream->waiting);
    if (over)
        wake_all(stream);
    else
        yk_wake_any(&stream->waiting, reason);
}

/* 1 copied, 0 there is nothing, or somebody else is at it; or an error. */
static int take_turn(struct yk_stream_call *call)
{
    struct yk_stream *stream = call->stream;
    if (call->waits && yk_bytes_guess(&stream->ring, stream->side) < call->least)
        return 0;
    if (!yk_bytes_enter(&stream->ring, stream->side, stream->me))
        return 0;
    int64_t available = yk_bytes_available(&stream->ring, stream->side, call->least);
    int result = available < 0                        ? (int)available
                 : (uint64_t)available >= call->least ? call->copy(call, (uint64_t)available)
                                                      : 0;
    leave(stream);
    return result;
}

static ssize_t attempt(void *context, enum yk_reason *reason)
{
    struct yk_stream_call *call = context;
    struct yk_stream *stream = call->stream;
    *reason = reason_of(stream->side);
    if (!reads(stream)) {
        bool read = yk_bytes_anybody(other_end(stream), stream->waiting.words);
        return !read && other_left(stream) ? -EPIPE : take_turn(call);
    }
    int result = take_turn(call);
    if (result != 0 || !tell_end(stream))
        return result;
    call->ended = true;
    return 1;
}

void yk_stream_visit(struct yk_stream_call *call)
{
    if (!call->visiting)
        yk_visit_begin(&call->stream->object);
    call->visiting = true;
}

int64_t yk_stream_left(struct yk_stream_call *call)
{
    if (call->timeout_ns <= 0)
        return call->timeout_ns;
    if (call->deadline == 0) {
        call->deadline = yk_deadline(call->timeout_ns);
        return call->timeout_ns;
    }
    int64_t left = call->deadline - yk_now();
    return left > 0 ? left : 1; /* not 0, which is another question, with another answer */
}

int yk_stream_run(struct yk_stream_call *call)
{
    enum yk_reason reason;
    ssize_t result = attempt(call, &reason);
    if (result == 0) {
        yk_stream_visit(call);
        call->waits = true;
        result = yk_wait(&call->stream->waiting, attempt, call, reason, yk_stream_left(call));
        call->waits = false;
    }
    return (int)result;
}

static void explain(const struct yk_stream *stream, int result)
{
    const char *name = stream->object.fixed.name;
    if (result == -EPIPE)
        yk_fail(EPIPE, "nobody reads stream:%s any more", name);
    else if (result == -EPROTO)
        yk_fail(EPROTO, "the memory of stream:%s holds what no yoke wrote", name);
}

ssize_t yk_stream_finish(struct yk_stream_call *call, int result)
{
    struct yk_stream *stream = call->stream;
    if (yk_unlikely(result < 0 && call->done == 0))
        explain(stream, result);
    if (call->visiting)
        yk_visit_end(&stream->object); /* the last that is done with it */
    return call->done > 0 || result >= 0 ? (ssize_t)call->done : result;
}

int yk_stream_enter(struct yk_stream *stream, enum yk_bytes_side side, const char *what)
{
    if (yk_unlikely(stream->side != side))
        return yk_fail(ENOTSUP, "stream:%s was opened for %s, and can not be %s",
                       stream->object.fixed.name, reads(stream) ? "reading" : "writing", what);
    int result = yk_object_enter(&stream->object);
    /* a reader finds nothing, and waits; a writer may find room for long though no reader lives */
    if (result == 0 && !reads(stream))
        yk_recover_dead_sometimes(&stream->object);
    return result;
}

/* ---- writing and reading ---- */

static int copy_in(struct yk_stream_call *call, uint64_t available)
{
    uint64_t size = call->size - call->done;
    size = size < available ? size : available;
    size = size < YK_STREAM_PIECE ? size : YK_STREAM_PIECE;
    yk_bytes_put(&call->stream->ring, (const unsigned char *)call->from + call->done, size);
    call->done += size;
    yk_stream_copied(call->stream, size);
    return 1;
}

ssize_t yk_stream_write(void *self, const void *data, size_t size, int64_t timeout_ns)
{
    struct yk_stream_call call = {
        .stream = self,
        .size = size,
        .least = size <= YK_STREAM_WHOLE ? size : 1,
        .copy = copy_in,
        .from = data,
        .timeout_ns = timeout_ns,
    };
    int result = yk_stream_enter(self, YK_BYTES_WRITING, "written to");
    if (result < 0)
        return result;
    while (call.done < size && (result = yk_stream_run(&call)) > 0)
        ;
    return yk_stream_finish(&call, result);
}

/* All that is there and wanted belongs together, so it is read without leaving in between. */
static int copy_out(struct yk_stream_call *call, uint64_t available)
{
    uint64_t end = call->size < available ? call->size : available;
    while (call->done < end) {
        uint64_t size = end - call->done;
        size = size < YK_STREAM_PIECE ? size : YK_STREAM_PIECE;
        yk_bytes_take(&call->stream->ring, (unsigned char *)call->to + call->done, size);
        call->done += size;
        yk_stream_copied(call->stream, size);
    }
    return 1;
}

ssize_t yk_stream_read(void *self, void *buffer, size_t size, int64_t timeout_ns)
{
    struct yk_stream_call call = {
        .stream = self,
        .size = size,
        .least = 1,
        .copy = copy_out,
        .to = buffer,
        .timeout_ns = timeout_ns,
    };
    int result = yk_stream_enter(self, YK_BYTES_READING, "read");
    if (result == 0 && size > 0)
        result = yk_stream_run(&call);
    else if (result < 0)
        return result;
    return yk_stream_finish(&call, result);
}
