/*
 * port.c - see port.h.
 */
#include "port.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/single_threaded.h>

#include "base/error.h"
#include "base/sys.h"
#include "base/trace.h"
#include "endpoint_options.h"
#include "notice.h"
#include "pool.h"
#include "ring/spsc.h"

#define BUSY_CLOCK 8                   /* messages after which a busy receiver looks at the clock */
#define BUSY_LOOK  UINT64_C(100000000) /* ns after which a busy receiver asks whether anybody died */

/* Looks for a message without a pause and without a clock: somewhat more than a round trip. */
#define SHORT_SPIN  400
#define COPY_INLINE 256
/* Bytes that are worth a look for room before they are copied, and are copied once only. */
#define COPY_ONCE 16384
/* How often, and with how many pauses before it, a sender looks for more room than it needs. */
#define ROOM_LOOKS  40
#define ROOM_PAUSES 10

#define BORROWED_DEFAULT 64
#define DEFAULT_BYTES    (UINT64_C(1) << 40) /* what the default of max_borrowed may lead to */

/* ---- opening ---- */

uint64_t yk_port_blocks_offset(const struct yk_ring_geometry *geometry)
{
    uint64_t end = YK_PORT_RINGS_OFFSET + yk_ring_rings_bytes(geometry);
    return (end + YK_PAGE - 1) & ~(uint64_t)(YK_PAGE - 1);
}

int yk_port_check(const struct yk_shm_fixed *fixed, struct yk_ring_geometry *ret_geometry)
{
    struct yk_port_fixed own;
    memcpy(&own, fixed->details, sizeof own);
    if (own.layout != YK_PORT_LAYOUT)
        return yk_fail(EPROTONOSUPPORT,
                       "%s:%s was made with port layout %016llx, this yoke has %016llx",
                       yk_kind_name(fixed->kind), fixed->name, (unsigned long long)own.layout,
                       (unsigned long long)YK_PORT_LAYOUT);
    int result = yk_ring_check_geometry(&own.geometry);
    if (result == 0) {
        uint64_t blocks = yk_ring_blocks_bytes(&own.geometry),
                 room = fixed->size - fixed->body_offset;
        uint64_t offset = yk_port_blocks_offset(&own.geometry);
        if (blocks == 0 || offset > room || blocks > room - offset ||
            own.geometry.participants != fixed->participants)
            result = -EPROTO;
    }
    if (result < 0)
        return yk_fail(EPROTO, "%s:%s has a geometry that no yoke wrote", yk_kind_name(fixed->kind),
                       fixed->name);
    *ret_geometry = own.geometry;
    return 0;
}

static void plan_borrowed(struct yk_ring_geometry *g, uint32_t wanted)
{
    g->max_borrowed = wanted ? wanted : BORROWED_DEFAULT;
    yk_ring_plan(g);
    while (wanted == 0 && g->max_borrowed > 1 &&
           yk_ring_blocks_bytes(g) - 1 >= DEFAULT_BYTES) { /* too many to be numbered: 0 */
        g->max_borrowed /= 2;
        yk_ring_plan(g);
    }
}

/* Fills the geometry from the options, whose zeroes mean defaults. */
static int plan_geometry(struct yk_ring_geometry *g, const struct yoke_options *options)
{
    *g = (struct yk_ring_geometry){
        .rings = options->priorities ? options->priorities : 1,
        .depth = options->depth ? options->depth : 256,
        .participants = options->participants ? options->participants : 128,
        .max_deliveries = options->max_deliveries ? options->max_deliveries : 16,
        .max_message = options->max_message ? options->max_message : 4096,
        .once = options->policy == YOKE_POLICY_ONCE,
    };
    g->max_parked = options->max_parked ? options->max_parked : g->depth / 4 + (g->depth < 4);
    if (g->rings > YOKE_PRIORITIES_MAX)
        return yk_fail(EINVAL, "%u priorities are more than %d", g->rings, YOKE_PRIORITIES_MAX);
    if (g->participants > YOKE_PARTICIPANTS_MAX)
        return yk_fail(EINVAL, "%u participants are more than %d", g->participants,
                       YOKE_PARTICIPANTS_MAX);
    plan_borrowed(g, options->max_borrowed);
    if (yk_ring_blocks_bytes(g) == 0)
        return yk_fail(
            EINVAL,
            "a port may have %u blocks: depth %u and max_parked %u in %u priorities, and "
            "%u borrowed by each of %u participants, are too much together: lower one",
            1u << YK_CELL_BLOCK_BITS, g->depth, g->max_parked, g->rings, g->max_borrowed,
            g->participants);
    return 0;
}

static uint64_t recover_participant(struct yk_object *object, uint32_t slot)
{
    struct yk_port *port = (struct yk_port *)object;
    uint32_t used = yk_load32_acquire(&yk_object_slot(object, slot)->pool_used);
    uint32_t given_back = yk_ring_recover(&port->ring, slot, used);
    /*
     * One wake for each message given back; and places may have become free, for whoever wants
     * them.
     */
    yk_unarm_all(&port->waiting, slot);
    if (given_back > 0)
        yk_message_came(&port->waiting, given_back);
    yk_changed(&port->waiting, YK_WAIT_ROOM);
    for (uint32_t i = 0; i < object->fixed.participants; i++)
        yk_changed_for(&port->waiting, YK_WAIT_POOL, i);
    return given_back;
}

/*
 * A new slot, with the pool of whoever had it before: some of its blocks may still be in the ring.
 */
static void joined(struct yk_object *object)
{
    struct yk_port *port = (struct yk_port *)object;
    uint32_t used = yk_load32_acquire(&yk_object_slot(object, object->slot)->pool_used);
    port->sender = (uint32_t)yk_sys_process_id();
    /* After a fork: what the parent had in hand is the parent's. Not more is touched than it was. */
    memset(port->in_hand, 0, yk_load32_relaxed(&port->used) * sizeof *port->in_hand);
    yk_store32_relaxed(&port->used, used < port->ring.geometry.blocks_each
                                        ? used
                                        : port->ring.geometry.blocks_each);
    yk_store32_relaxed(&port->cursor, 0);
    yk_store32_relaxed(&port->borrowed, 0);
    for (int i = 0; i < YOKE_PRIORITIES_MAX; i++)
        yk_store_relaxed(&port->open[i], 0);
    yk_waiting_join(&port->waiting);
}

/* The private view of a freshly attached segment. Called before the participant joins. */
static int prepare(struct yk_object *object)
{
    struct yk_port *port = (struct yk_port *)object;
    struct yk_ring_geometry geometry;
    int result = yk_port_check(&object->fixed, &geometry);
    if (result < 0)
        return result;
    unsigned char *body = yk_object_body(object);
    yk_ring_attach(&port->ring, &geometry, body + YK_PORT_RINGS_OFFSET,
                   body + yk_port_blocks_offset(&geometry));
    port->waiting.object = object;
    port->waiting.shm = (struct yk_shm_waiters *)body;
    port->waiting.words = (geometry.participants + 63) / 64;
    yk_store32_relaxed(&port->used, 0);
    port->in_hand = yk_sys_allocate(geometry.blocks_each, sizeof *port->in_hand);
    return port->in_hand
               ? 0
               : yk_fail(ENOMEM, "no private memory for a pool of %u blocks", geometry.blocks_each);
}

static void unprepare(struct yk_object *object)
{
    struct yk_port *port = (struct yk_port *)object;
    yk_waiting_end(&port->waiting);
    free(port->in_hand);
    port->in_hand = NULL;
}

static const struct yk_kind_operations operations = {
    .prepare = prepare,
    .unprepare = unprepare,
    .recover = recover_participant,
    .joined = joined,
};

int yk_port_open_as(struct yk_port *port, enum yk_kind kind, int32_t seat, const char *name,
                    uint32_t flags, const struct yoke_options *options)
{
    struct yk_port_fixed fixed = {.layout = YK_PORT_LAYOUT};
    int result = yk_options_check(YK_KIND_PORT, flags, options);
    if (result == 0)
        result = plan_geometry(&fixed.geometry, options);
    if (result < 0)
        return result;
    uint64_t bytes = yk_port_blocks_offset(&fixed.geometry) + yk_ring_blocks_bytes(&fixed.geometry);
    struct yk_object_plan plan = {
        .kind = kind,
        .name = name,
        .flags = flags,
        .mode = options->mode,
        .group = options->group,
        .participants = fixed.geometry.participants,
        .seat = seat,
        .body_bytes = bytes,
        .reserve = yk_options_reserve(flags, bytes),
        .smaller = "participants, max_borrowed, depth, priorities or max_message",
        .details = &fixed,
        .details_size = sizeof fixed,
        .operations = &operations,
    };
    port->parked = (flags & YOKE_PARKED) != 0;
    yk_store_relaxed(&port->last_look, (uint64_t)yk_now_coarse());
    port->waiting.spin_ns = options->spin_ns == -1 ? yk_default_spin() : options->spin_ns;
    return yk_object_open(&port->object, &plan);
}

int yk_port_open(struct yk_port *port, const char *name, uint32_t flags,
                 const struct yoke_options *options)
{
    return yk_port_open_as(port, YK_KIND_PORT, YK_ANY_SEAT, name, flags, options);
}

void yk_port_close(struct yk_port *port)
{
    yk_descriptor_close(&port->waiting); /* while the slot is ours */
    yk_object_close(&port->object);
}

/* ---- sending ---- */

/* What one participant did, for stat; totals are counted by the ring. */
static void count_sent(struct yk_port *port, uint64_t count, uint64_t bytes)
{
    struct yk_shm_slot *slot = yk_object_slot(&port->object, port->object.slot);
    bool alone = yk_counts_alone(&port->object);
    yk_count(&slot->sent, count, alone);
    yk_count(&slot->counts[YK_COUNT_BYTES_SENT], bytes, alone);
}

static void count_received(struct yk_port *port, uint64_t count, uint64_t bytes)
{
    struct yk_shm_slot *slot = yk_object_slot(&port->object, port->object.slot);
    bool alone = yk_counts_alone(&port->object);
    yk_count(&slot->received, count, alone);
    yk_count(&slot->counts[YK_COUNT_BYTES_RECEIVED], bytes, alone);
}

/* `before`: how often it was delivered already, as its sender says. */
static void fill_header(struct yk_port *port, uint32_t block, size_t size, uint64_t tag,
                        uint32_t before)
{
    struct yk_shm_block *header = yk_ring_block(&port->ring, block);
    yk_store_relaxed(&header->tag, tag);
    yk_store32_relaxed(&header->size, (uint32_t)size);
    yk_store32_relaxed(&header->sender, port->sender);
    yk_store32_relaxed(&header->deliveries, before);
    yk_store32_relaxed(&header->returning, 0);
}

static int check_bytes(const struct yk_port *port, const void *data, size_t size)
{
    if (yk_unlikely(size > port->ring.geometry.max_message))
        return yk_fail(EMSGSIZE, "port:%s takes messages of up to %llu bytes, this one has %zu",
                       port->object.fixed.name, (unsigned long long)port->ring.geometry.max_message,
                       size);
    if (yk_unlikely(!data && size > 0))
        return yk_fail(EINVAL, "the message is NULL and has %zu bytes", size);
    return 0;
}

static int check_message(const struct yk_port *port, const struct yoke_message *message)
{
    if (yk_unlikely(message->priority >= port->ring.geometry.rings))
        return yk_fail(EINVAL, "the highest priority of port:%s is %u, and %u was asked for",
                       port->object.fixed.name, port->ring.geometry.rings - 1, message->priority);
    return check_bytes(port, message->data, message->size);
}

/* A call of memcpy() costs as much as all the rest of a small message. */
static void copy(void *to, const void *from, size_t size)
{
    if (size <= COPY_INLINE)
        yk_spsc_copy(to, from, size);
    else
        memcpy(to, from, size);
}

/*
 * A send under way: which of the messages, and the block that the first unsent one already lies in.
 */
struct sending {
    struct yk_port *port;
    const struct yoke_message *messages;
    size_t count;
    size_t sent;
    bool loans;  /* the messages are loans */
    bool filled; /* `block` holds messages[sent] */
    bool waits;  /* for room; then what is copied before there is any is not copied in vain */
    int error;   /* why messages[sent] can not go at all */
    uint32_t block;
};

static bool get_block(struct sending *sending, const struct yoke_message *message)
{
    struct yk_port *port = sending->port;
    if (sending->filled)
        return true;
    if (sending->loans) {
        int64_t loan = yk_pool_find_loan(port, message->data);
        /* it was one when the call began: named twice, or released by another thread */
        if (loan < 0) {
            sending->error =
                yk_fail(EINVAL, "%p is no loan any more: it was committed or released meanwhile",
                        message->data);
            return false;
        }
        sending->block = (uint32_t)loan;
    } else {
        if (!yk_pool_take(port, YK_BLOCK_FILLING, &sending->block))
            return false;
        copy(yk_ring_payload(&port->ring, sending->block), message->data ? message->data : "",
             message->size);
    }
    fill_header(port, sending->block, message->size, message->tag,
                message->flags & YOKE_MESSAGE_AGAIN ? 1 : 0);
    sending->filled = true;
    return true;
}

/* A call that does not wait may find a port full again and again, and would copy for nothing. */
static bool copies_in_vain(const struct sending *sending, const struct yoke_message *message)
{
    return !sending->waits && !sending->filled && !sending->loans && message->size > COPY_ONCE &&
           !yk_ring_has_room(&sending->port->ring, message->priority);
}

/* Commits as many as go now. 1 when at least one went, else 0. */
static ssize_t attempt_send(void *context, enum yk_reason *reason)
{
    struct sending *sending = context;
    struct yk_port *port = sending->port;
    size_t before = sending->sent;
    uint64_t hint = 0, bytes = 0, sequence;
    uint32_t ring = UINT32_MAX;

    while (sending->sent < sending->count) {
        const struct yoke_message *message = &sending->messages[sending->sent];
        if (yk_unlikely(copies_in_vain(sending, message))) {
            *reason = YK_WAIT_ROOM;
            break;
        }
        if (!get_block(sending, message)) {
            *reason = YK_WAIT_POOL;
            break;
        }
        if (ring != message->priority) {
            if (ring != UINT32_MAX)
                yk_ring_hint(&yk_ring_shm(&port->ring, ring)->tail, hint);
            ring = message->priority;
            hint = yk_ring_tail(&port->ring, ring);
        }
        uint64_t open = yk_load_relaxed(&port->open[ring]);
        bool committed = yk_ring_commit(&port->ring, ring, sending->block, &hint, &open, &sequence);
        yk_store_relaxed(&port->open[ring], open);
        if (!committed) {
            *reason = YK_WAIT_ROOM;
            break;
        }
        YK_TRACE_OBJECT(send, &port->object, message->size, sequence, ring);
        yk_pool_put_back(port, sending->block);
        sending->filled = false;
        sending->sent++;
        bytes += message->size;
    }
    if (ring != UINT32_MAX)
        yk_ring_hint(&yk_ring_shm(&port->ring, ring)->tail, hint);
    size_t sent = sending->sent - before;
    if (sent == 0)
        return sending->error;
    count_sent(port, sent, bytes);
    yk_message_came(&port->waiting, sent);
    return 1;
}

static bool has_room(const struct yk_port *port)
{
    for (uint32_t ring = 0; ring < port->ring.geometry.rings; ring++) {
        if (yk_ring_has_room(&port->ring, ring))
            return true;
    }
    return false;
}

/* A wake-up for a place may have been used up by a call that took another one: pass it on. */
static void pass_on_room(struct yk_port *port)
{
    if (yk_anyone_waits(&port->waiting, YK_WAIT_ROOM) && has_room(port))
        yk_wake_any(&port->waiting, YK_WAIT_ROOM);
}

/* A block that was not sent is free again: another thread of this process may wait for one. */
static void give_back(struct yk_port *port, uint32_t block)
{
    yk_pool_put_back(port, block);
    yk_fence_seq(); /* free before the look who waits: SYNC wait.room */
    yk_changed_for(&port->waiting, YK_WAIT_POOL, port->object.slot);
}

static ssize_t run_send(struct sending *sending, int64_t timeout_ns)
{
    enum yk_reason reason;
    struct yk_port *port = sending->port;
    sending->waits = timeout_ns != 0;
    ssize_t result = attempt_send(sending, &reason);
    bool waits = result == 0;
    if (yk_unlikely(waits)) {
        yk_visit_begin(&port->object);
        result = yk_wait(&port->waiting, attempt_send, sending, reason, timeout_ns);
        pass_on_room(port);
    }
    if (sending->filled && !sending->loans)
        give_back(port, sending->block);
    if (waits)
        yk_visit_end(&port->object);
    return result < 0 ? result : (ssize_t)sending->sent;
}

/*
 * The short way of one message with no details: a block, a place, and nobody to wait for. False:
 * nothing happened, but the bytes may have been copied.
 */
static bool send_short(struct yk_port *port, const void *data, size_t size)
{
    uint32_t block;
    uint64_t hint = yk_ring_tail(&port->ring, 0), sequence;
    uint64_t open = yk_load_relaxed(&port->open[0]);
    if (size > COPY_ONCE)
        return false;
    yk_ring_prefetch_cell(&port->ring, 0, hint); /* comes over while the block is filled */
    if (!yk_pool_take(port, YK_BLOCK_FILLING, &block))
        return false;
    copy(yk_ring_payload(&port->ring, block), data, size);
    fill_header(port, block, size, 0, 0);
    bool sent = yk_ring_commit(&port->ring, 0, block, &hint, &open, &sequence);
    yk_store_relaxed(&port->open[0], open);
    if (yk_likely(sent)) {
        YK_TRACE_OBJECT(send, &port->object, size, sequence, 0);
        yk_ring_prefetch_cell(&port->ring, 0, hint + 1);
        yk_ring_hint(&yk_ring_shm(&port->ring, 0)->tail, hint);
        count_sent(port, 1, size);
    }
    yk_pool_put_back(port, block);
    return sent;
}

/*
 * A sender that finds the port full again and again, a place at a time, looks at the very cells that
 * the receivers are changing, and both are slow. So it first waits for several places, a few
 * microseconds at most.
 */
static bool much_room_soon(struct yk_port *port)
{
    bool room = false;
    for (int i = 0; i < ROOM_LOOKS && !room; i++) {
        for (int k = 0; k < ROOM_PAUSES; k++)
            yk_pause();
        room = yk_ring_has_much_room(&port->ring, 0);
    }
    return room;
}

/* As a visitor where there are other threads, since one of them may be closing the handle. */
static __attribute__((noinline)) ssize_t send_waiting(struct yk_port *port, const void *data,
                                                      size_t size, int64_t timeout_ns)
{
    struct yoke_message message = {.data = (void *)(uintptr_t)data, .size = size};
    struct sending sending = {.port = port, .messages = &message, .count = 1};
    bool visits = !__libc_single_threaded;
    ssize_t sent = 1;
    if (visits)
        yk_visit_begin(&port->object);
    if (size <= COPY_ONCE && timeout_ns != 0 && port->waiting.spin_ns > 0 && much_room_soon(port) &&
        send_short(port, data, size))
        yk_message_came(&port->waiting, 1);
    else
        sent = run_send(&sending, timeout_ns);
    if (visits)
        yk_visit_end(&port->object);
    return sent < 0 ? sent : 0;
}

ssize_t yk_port_send(struct yk_port *port, const void *data, size_t size, int64_t timeout_ns)
{
    int result = yk_object_enter(&port->object);
    if (yk_likely(result == 0))
        result = check_bytes(port, data, size);
    if (yk_unlikely(result < 0))
        return result;
    if (yk_unlikely(!send_short(port, data, size)))
        return send_waiting(port, data, size, timeout_ns);
    yk_message_came(&port->waiting, 1);
    yk_pool_prefetch(port, size);
    return 0;
}

ssize_t yk_port_send_many(struct yk_port *port, const struct yoke_message *messages, size_t count,
                          int64_t timeout_ns)
{
    int result = yk_object_enter(&port->object);
    for (size_t i = 0; i < count && result == 0; i++)
        result = check_message(port, &messages[i]);
    if (result < 0 || count == 0)
        return result;
    struct sending sending = {.port = port, .messages = messages, .count = count};
    return run_send(&sending, timeout_ns);
}

struct loaning {
    struct yk_port *port;
    uint32_t block;
};

static ssize_t attempt_loan(void *context, enum yk_reason *reason)
{
    struct loaning *loaning = context;
    *reason = YK_WAIT_ROOM;
    if (!has_room(loaning->port))
        return 0;
    *reason = YK_WAIT_POOL;
    return yk_pool_take(loaning->port, YK_BLOCK_LOANED, &loaning->block);
}

int yk_port_loan(struct yk_port *port, size_t size, void **ret_block, int64_t timeout_ns)
{
    struct yoke_message message = {.data = ret_block,
                                   .size = size}; /* any pointer: only the size is checked */
    struct loaning loaning = {.port = port};
    enum yk_reason reason;
    int result = yk_object_enter(&port->object);
    if (result == 0)
        result = check_message(port, &message);
    if (result < 0)
        return result;
    ssize_t taken = attempt_loan(&loaning, &reason);
    bool waits = taken == 0;
    if (waits) {
        yk_visit_begin(&port->object);
        taken = yk_wait(&port->waiting, attempt_loan, &loaning, reason, timeout_ns);
        pass_on_room(port); /* a loan takes no place itself */
    }
    if (taken > 0)
        *ret_block = yk_ring_payload(&port->ring, loaning.block);
    if (waits)
        yk_visit_end(&port->object);
    return taken < 0 ? (int)taken : 0;
}

ssize_t yk_port_commit(struct yk_port *port, const struct yoke_message *messages, size_t count,
                       int64_t timeout_ns)
{
    int result = yk_object_enter(&port->object);
    for (size_t i = 0; i < count && result == 0; i++) {
        result = check_message(port, &messages[i]);
        if (result == 0 && yk_pool_find_loan(port, messages[i].data) < 0)
            result = yk_fail(EINVAL, "message %zu is not a loan of this endpoint of port:%s", i,
                             port->object.fixed.name);
    }
    if (result < 0 || count == 0)
        return result;
    struct sending sending = {.port = port, .messages = messages, .count = count, .loans = true};
    return run_send(&sending, timeout_ns);
}

/* ---- receiving ---- */

struct receiving {
    struct yk_port *port;
    struct yoke_message *messages;
    size_t count;
    size_t received;
    bool borrow; /* hand out the blocks themselves; else copy and release */
};

static void describe(const struct yk_port *port, const struct yk_held *held,
                     struct yoke_message *message)
{
    struct yk_shm_block *header = yk_ring_block(&port->ring, held->block);
    message->size = held->size;
    message->sequence = held->sequence;
    message->tag = yk_load_relaxed(&header->tag);
    message->priority = held->ring;
    message->deliveries = held->deliveries;
    message->sender = (int32_t)yk_load32_relaxed(&header->sender);
    message->flags = held->deliveries > 1 ? YOKE_MESSAGE_AGAIN : 0;
}

static __attribute__((noinline)) void tell_of_block(struct yk_port *port, uint32_t block)
{
    yk_changed(&port->waiting, YK_WAIT_ROOM);
    yk_changed_for(&port->waiting, YK_WAIT_POOL, block / port->ring.geometry.blocks_each);
}

static inline void block_freed(struct yk_port *port, uint32_t block)
{
    if (yk_unlikely(yk_anyone_waits_to_send(&port->waiting)))
        tell_of_block(port, block);
}

/* What was taken becomes the caller's: copied and released, or lent. */
static int hand_over(struct receiving *receiving, const struct yk_held *held,
                     struct yoke_message *message)
{
    struct yk_port *port = receiving->port;
    unsigned char *bytes = yk_ring_payload(&port->ring, held->block);
    describe(port, held, message);
    if (receiving->borrow) {
        message->data = bytes;
        YK_TRACE_OBJECT(borrow, &port->object, held->size, held->sequence, held->ring,
                        held->deliveries);
        yk_changed(&port->waiting, YK_WAIT_ROOM);
        return 1;
    }
    copy(message->data, bytes, held->size);
    int result = yk_ring_release(&port->ring, held);
    YK_TRACE_OBJECT(recv, &port->object, held->size, held->sequence, held->ring, held->deliveries);
    block_freed(port, held->block);
    return result;
}

/* One borrowed message more, if this endpoint may. Undone by one_less(). */
static bool one_more(struct yk_port *port)
{
    uint32_t borrowed = yk_load32_relaxed(&port->borrowed);
    do {
        if (borrowed >= port->ring.geometry.max_borrowed)
            return false;
    } while (!yk_cas32_seq(&port->borrowed, &borrowed, borrowed + 1));
    return true;
}

/* Bounded below, too: another process may write what makes messages ours. */
static void one_less(struct yk_port *port)
{
    uint32_t borrowed = yk_load32_relaxed(&port->borrowed);
    while (borrowed > 0 && !yk_cas32_seq(&port->borrowed, &borrowed, borrowed - 1))
        ;
}

/* On a port that is never empty nobody waits, and what a dead one held would not be missed. */
static void look_for_the_dead(struct yk_port *port)
{
    uint64_t now = (uint64_t)yk_now_coarse();
    if (yk_likely(now - yk_load_relaxed(&port->last_look) < BUSY_LOOK))
        return;
    yk_store_relaxed(&port->last_look, now);
    yk_recover_dead_sometimes(&port->object);
}

/* The same where even the clock costs too much. */
static void look_now_and_then(struct yk_port *port, uint64_t received)
{
    uint64_t total = yk_count(&port->deliveries, received, true);
    if (yk_unlikely(total / BUSY_CLOCK != (total + received) / BUSY_CLOCK))
        look_for_the_dead(port);
}

static void received_some(struct yk_port *port, uint64_t count, uint64_t bytes)
{
    count_received(port, count, bytes);
    look_now_and_then(port, count);
}

static int take_any(struct yk_port *port, uint32_t ring, uint64_t capacity, uint64_t *hint,
                    struct yk_held *ret_held)
{
    return port->parked
               ? yk_ring_take_parked(&port->ring, ring, port->object.slot, capacity, ret_held)
               : yk_ring_take(&port->ring, ring, port->object.slot, capacity, hint, ret_held);
}

/*
 * Counted before it is taken, so that the bound holds; and only where there is something to take,
 * lest one who waits keeps another thread from the last that it may have.
 */
static int borrow_one(struct yk_port *port, uint32_t ring, uint64_t *hint, struct yk_held *ret_held)
{
    bool full = yk_load32_relaxed(&port->borrowed) >= port->ring.geometry.max_borrowed;
    if (!full && !port->parked && !yk_ring_peek(&port->ring, ring))
        return 0;
    if (full || !one_more(port))
        return -EBUSY;
    int result = take_any(port, ring, UINT64_MAX, hint, ret_held);
    if (result != 1)
        one_less(port);
    return result;
}

static int take_one(struct receiving *receiving, uint32_t ring, uint64_t *hint)
{
    struct yk_port *port = receiving->port;
    struct yoke_message *message = &receiving->messages[receiving->received];
    struct yk_held held;
    int result = receiving->borrow ? borrow_one(port, ring, hint, &held)
                                   : take_any(port, ring, message->capacity, hint, &held);
    return result == 1 ? hand_over(receiving, &held, message) : result;
}

/*
 * Takes as many as there are, the highest priority first. 1 when at least one, 0 none, or the error
 * of the first.
 */
static ssize_t attempt_receive(void *context, enum yk_reason *reason)
{
    struct receiving *receiving = context;
    struct yk_port *port = receiving->port;
    size_t before = receiving->received;
    uint64_t bytes = 0;
    int result = 0;
    *reason = port->parked ? YK_WAIT_ALONE : YK_WAIT_RECEIVE;

    for (uint32_t ring = port->ring.geometry.rings;
         ring-- > 0 && result >= 0 && receiving->received < receiving->count;) {
        uint64_t hint = yk_ring_head(&port->ring, ring);
        while (receiving->received < receiving->count &&
               (result = take_one(receiving, ring, &hint)) == 1)
            bytes += receiving->messages[receiving->received++].size;
        yk_ring_hint(&yk_ring_shm(&port->ring, ring)->head, hint);
    }
    size_t received = receiving->received - before;
    if (received == 0)
        return result;
    if (receiving->borrow)
        look_for_the_dead(port); /* a borrowed one counts when it is released */
    else
        received_some(port, received, bytes);
    return 1;
}

bool yk_port_is_ready(const struct yk_port *port)
{
    for (uint32_t ring = 0; ring < port->ring.geometry.rings; ring++) {
        if (yk_ring_peek(&port->ring, ring))
            return true;
    }
    return false;
}

static void pass_on_message(struct yk_port *port)
{
    if (yk_anyone_waits(&port->waiting, YK_WAIT_RECEIVE) && yk_port_is_ready(port))
        yk_wake_any(&port->waiting, YK_WAIT_RECEIVE);
}

static void explain_receive(const struct receiving *receiving, ssize_t result)
{
    const struct yk_port *port = receiving->port;
    if (result == -EMSGSIZE)
        yk_fail(EMSGSIZE,
                "the next message of port:%s is bigger than the buffer of %zu bytes; "
                "yoke_max_message() says %llu",
                port->object.fixed.name, receiving->messages[0].capacity,
                (unsigned long long)port->ring.geometry.max_message);
    else if (result == -EBUSY)
        yk_fail(EBUSY,
                "this endpoint has borrowed %u messages of port:%s, as many as it may at "
                "once: release one, or create the port with a bigger max_borrowed",
                port->ring.geometry.max_borrowed, port->object.fixed.name);
    else if (result == -EPROTO)
        yk_fail(EPROTO, "%s:%s holds a message that no yoke wrote",
                yk_kind_name(port->object.fixed.kind), port->object.fixed.name);
}

static ssize_t run_receive(struct receiving *receiving, int64_t timeout_ns)
{
    enum yk_reason reason;
    struct yk_port *port = receiving->port;
    ssize_t result = attempt_receive(receiving, &reason);
    bool waits = result == 0;
    if (waits) {
        yk_visit_begin(&port->object);
        result = yk_wait(&port->waiting, attempt_receive, receiving, reason, timeout_ns);
        pass_on_message(port);
    }
    if (yk_unlikely(result < 0))
        explain_receive(receiving, result);
    if (waits)
        yk_visit_end(&port->object);
    return result < 0 ? result : (ssize_t)receiving->received;
}

/* A block came: which one will, as far as one can tell, is what followed it last time. */
static void note_block(struct yk_port *port, uint32_t block)
{
    uint32_t before = yk_load32_relaxed(&port->last_came);
    yk_store32_relaxed(&port->followed[before % YK_FOLLOWED], block);
    yk_store32_relaxed(&port->last_came, block);
}

static uint32_t guess_block(const struct yk_port *port)
{
    return yk_load32_relaxed(&port->followed[yk_load32_relaxed(&port->last_came) % YK_FOLLOWED]);
}

/* The short way of one message into a buffer. 1, with its size; 0, or an error: nothing happened. */
static int receive_short(struct yk_port *port, void *buffer, size_t capacity, size_t *ret_size)
{
    struct yk_held held;
    int result = 0;
    uint32_t ring = port->ring.geometry.rings;
    while (ring-- > 0 && result == 0) {
        uint64_t hint = yk_ring_head(&port->ring, ring);
        result = take_any(port, ring, capacity, &hint, &held);
        if (result == 1)
            yk_ring_hint(&yk_ring_shm(&port->ring, ring)->head, hint);
    }
    if (result != 1)
        return result;
    copy(buffer, yk_ring_payload(&port->ring, held.block), held.size);
    *ret_size = held.size;
    note_block(port, held.block);
    result = yk_ring_release(&port->ring, &held);
    YK_TRACE_OBJECT(recv, &port->object, held.size, held.sequence, held.ring, held.deliveries);
    block_freed(port, held.block);
    return result;
}

/*
 * What comes within about a round trip is had without a clock, and without the pauses of those who
 * wait longer. The block is fetched while nothing says yet that it is sent: with a right guess it comes
 * over together with the cell and not after it, and a wrong one costs its sender a line.
 */
static int receive_soon(struct yk_port *port, void *buffer, size_t capacity, size_t *ret_size)
{
    int result = 0;
    uint32_t guess = guess_block(port);
    for (int i = 0; i < SHORT_SPIN && result == 0; i++) {
        yk_ring_prefetch_block(&port->ring, guess);
        result = receive_short(port, buffer, capacity, ret_size);
    }
    if (result == 1)
        received_some(port, 1, *ret_size);
    return result;
}

/* As a visitor where there are other threads, since one of them may be closing the handle. */
static __attribute__((noinline)) ssize_t receive_waiting(struct yk_port *port, void *buffer,
                                                         size_t capacity, int64_t timeout_ns)
{
    struct yoke_message message = {.data = buffer, .capacity = capacity};
    struct receiving receiving = {.port = port, .messages = &message, .count = 1};
    bool visits = !__libc_single_threaded;
    ssize_t received = 0;
    if (visits)
        yk_visit_begin(&port->object);
    if (timeout_ns != 0 && port->waiting.spin_ns > 0 && !port->parked)
        received = receive_soon(port, buffer, capacity, &message.size);
    if (received != 1)
        received = run_receive(&receiving, timeout_ns);
    if (visits)
        yk_visit_end(&port->object);
    return received < 0 ? received : (ssize_t)message.size;
}

ssize_t yk_port_recv(struct yk_port *port, void *buffer, size_t capacity, int64_t timeout_ns)
{
    size_t size;
    int result = yk_object_enter(&port->object);
    if (yk_unlikely(result < 0))
        return result;
    if (yk_unlikely(!buffer && capacity > 0))
        return yk_fail(EINVAL, "the buffer is NULL and has %zu bytes", capacity);
    if (yk_unlikely(receive_short(port, buffer, capacity, &size) != 1))
        return receive_waiting(port, buffer, capacity, timeout_ns);
    received_some(port, 1, size);
    return (ssize_t)size;
}

ssize_t yk_port_recv_many(struct yk_port *port, struct yoke_message *messages, size_t count,
                          int64_t timeout_ns)
{
    struct receiving receiving = {.port = port, .messages = messages, .count = count};
    int result = yk_object_enter(&port->object);
    for (size_t i = 0; i < count && result == 0; i++) {
        if (yk_unlikely(!messages[i].data && messages[i].capacity > 0))
            result = yk_fail(EINVAL, "the buffer of message %zu is NULL and has %zu bytes", i,
                             messages[i].capacity);
    }
    if (result < 0 || count == 0)
        return result;
    return run_receive(&receiving, timeout_ns);
}

ssize_t yk_port_borrow(struct yk_port *port, struct yoke_message *messages, size_t count,
                       int64_t timeout_ns)
{
    struct receiving receiving = {
        .port = port, .messages = messages, .count = count, .borrow = true};
    int result = yk_object_enter(&port->object);
    if (result < 0 || count == 0)
        return result;
    return run_receive(&receiving, timeout_ns);
}

/* ---- giving blocks up ---- */

/*
 * What the caller holds at `message`: 1 a borrowed message, 0 a loan (its block in held->block), or
 * -EINVAL.
 */
static int find_message(struct yk_port *port, const void *message, struct yk_held *held)
{
    const unsigned char *bytes = message, *first = yk_ring_payload(&port->ring, 0);
    uint64_t stride = port->ring.geometry.block_stride;
    if (bytes >= first && (uint64_t)(bytes - first) % stride == 0 &&
        (uint64_t)(bytes - first) / stride < port->ring.blocks_total) {
        uint32_t block = (uint32_t)((uint64_t)(bytes - first) / stride);
        if (yk_ring_find_held(&port->ring, port->object.slot, block, held) == 1)
            return 1;
        held->block = block;
        if (yk_pool_find_loan(port, message) >= 0)
            return 0;
    }
    return yk_fail(EINVAL,
                   "%p is neither a borrowed message nor a loan of this endpoint of port:%s",
                   message, port->object.fixed.name);
}

int yk_port_release(struct yk_port *port, const void *message)
{
    struct yk_held held;
    int result = yk_object_enter(&port->object);
    if (result == 0)
        result = find_message(port, message, &held);
    if (result < 0)
        return result;
    if (result == 0) {
        give_back(port, held.block);
        return 0;
    }
    result = yk_ring_release(&port->ring, &held);
    if (result == 1) {
        YK_TRACE_OBJECT(release, &port->object, held.sequence);
        one_less(port);
        count_received(port, 1, held.size);
    }
    block_freed(port, held.block);
    return result < 0
               ? yk_fail(EPROTO, "somebody else changed what only the holder of a message may")
               : 0;
}

int yk_port_return(struct yk_port *port, const void *message)
{
    struct yk_held held;
    int result = yk_object_enter(&port->object);
    if (result == 0)
        result = find_message(port, message, &held);
    if (result < 0)
        return result;
    if (result == 0)
        return yk_fail(EINVAL, "%p is a loan: release it, or commit it", message);
    result = yk_ring_return(&port->ring, &held);
    if (result == 1) {
        YK_TRACE_OBJECT(return, &port->object, held.sequence);
        one_less(port);
    }
    yk_message_came(&port->waiting, 1);
    block_freed(port, held.block);
    return result < 0
               ? yk_fail(EPROTO, "somebody else changed what only the holder of a message may")
               : 0;
}
