/*
 * link.c - see link.h.
 *
 * Waking. A port's sender has just made a compare-and-swap, which is a full fence, before it looks
 * who sleeps. A link's sender has made a plain store, and a fence after it costs as much as all the
 * rest of a message. So the one who lies down pays: between setting its bit and its last look it
 * calls membarrier(), after which every store that a running sender made before its look at the row
 * is visible, or that look sees the bit. This holds only while both sides take part (`membarrier` in
 * their side); otherwise the fence is made. A side that comes back without it, while the other
 * still thinks that it has it, is woken 100 ms late at worst.
 *
 * Who lies down for nearly each message pays more than fences cost: some microseconds, and an interruption of the
 * other side. So it takes `membarrier` back, and calls it a last time. Whoever sends has then either looked
 * before that call, so that its message is seen after it, or sees that it is to make the fence.
 */
#include "link.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/single_threaded.h>

#include "base/error.h"
#include "base/sys.h"
#include "base/trace.h"
#include "endpoint_options.h"
#include "peer.h"

/* After so many waits a receiver thinks about how often it lay down, for how many messages each time. */
#define WAITS      8
#define OFTEN      (WAITS / 2)
#define FEW_A_TIME 8

/* Looks at the next slot without a pause and without a clock: some round trips, also of far cores. */
#define SHORT_SPIN 4000

/*
 * Who received so many messages without waiting, and then finds none, has caught up with a sender
 * that is at it: looking at once takes each line from the sender as it is written. A little later
 * there are several, which come together.
 */
#define STREAMING 32
#define LAG       32

/* Of messages that take no more lines of 64 bytes than this all are fetched while one waits for them. */
#define LINES_FETCHED 3u
#define LINE          64u

enum { RECEIVING, SENDING };

#define UNNAMED "(unnamed)" /* as the other peer, in sentences */

/* ---- opening ---- */

void yk_link_plan(struct yk_spsc_geometry *geometry, const struct yoke_options *options)
{
    *geometry = (struct yk_spsc_geometry){
        .depth = options->depth ? options->depth : 256,
        .max_message = options->max_message ? options->max_message : 4096,
        .max_deliveries = options->max_deliveries ? options->max_deliveries : UINT32_MAX,
        .once = options->policy == YOKE_POLICY_ONCE,
    };
    yk_spsc_plan(geometry);
}

uint64_t yk_link_body_bytes(const struct yk_spsc_geometry *geometry)
{
    return sizeof(struct yk_shm_link) + 2 * yk_spsc_bytes(geometry);
}

int yk_link_check(const struct yk_shm_fixed *fixed, struct yk_spsc_geometry *ret_geometry)
{
    struct yk_link_fixed own;
    memcpy(&own, fixed->details, sizeof own);
    if (own.layout != YK_LINK_LAYOUT)
        return yk_fail(EPROTONOSUPPORT,
                       "the link was made with link layout %016llx, this yoke has %016llx",
                       (unsigned long long)own.layout, (unsigned long long)YK_LINK_LAYOUT);
    if (yk_spsc_check_geometry(&own.geometry) < 0 || fixed->participants != 2 ||
        yk_link_body_bytes(&own.geometry) > fixed->size - fixed->body_offset)
        return yk_fail(EPROTO, "the link has a geometry that no yoke wrote");
    *ret_geometry = own.geometry;
    return 0;
}

void yk_link_ring(struct yk_spsc *ring, const struct yk_spsc_geometry *geometry, void *body,
                  int from)
{
    unsigned char *first = (unsigned char *)body + sizeof(struct yk_shm_link);
    yk_spsc_attach(ring, geometry, from == 0 ? first : first + yk_spsc_bytes(geometry));
}

static uint32_t my_side(const struct yk_link *link)
{
    return (uint32_t)link->object.seat & 1;
}

/* Of the other side. SYNC link.end acquire: what it sent before is seen after this */
static uint32_t other_state(const struct yk_link *link)
{
    return yk_load32_acquire(&link->shm->sides[1 - my_side(link)].state);
}

static bool other_is(const struct yk_link *link, enum yk_side_state state)
{
    return yk_side_state_of(other_state(link)) == state;
}

/* SYNC link.end release: after all that was done as that, or before it */
static void set_my_state(struct yk_link *link, enum yk_side_state state)
{
    yk_store32_release(&link->shm->sides[my_side(link)].state,
                       (uint32_t)link->object.generation << YK_SIDE_STATE_BITS | state);
}

/* A row is asked after something else was changed: the two must not change places. */
static void wake_any_side(struct yk_link *link, uint32_t side)
{
    yk_fence_seq(); /* the state of a side before the look at the rows: SYNC link.end */
    if (yk_load_seq(&link->shm->waiters.bits[0][YK_WAIT_DESCRIPTOR]) >> side & 1)
        yk_ring_descriptor(&link->waiting, side);
    yk_changed_for(&link->waiting, YK_WAIT_RECEIVE, side);
    yk_changed_for(&link->waiting, YK_WAIT_ROOM, side);
}

static uint64_t recover_side(struct yk_object *object, uint32_t slot)
{
    struct yk_link *link = (struct yk_link *)object;
    struct yk_shm_link_side *side = &link->shm->sides[slot & 1];
    struct yk_spsc ring;
    if (slot > 1)
        return 0;
    yk_link_ring(&ring, &link->in.ring.geometry, link->shm, slot == 0);
    uint64_t given_back = yk_spsc_recover_receiver(&ring);
    uint32_t state = yk_load32_relaxed(&side->state); /* relaxed: only we may write it now */
    if (yk_side_state_of(state) == YK_SIDE_OPEN)
        yk_store32_release(&side->state, state | YK_SIDE_DIED); /* SYNC link.end release */
    yk_unarm_all(&link->waiting, slot);
    wake_any_side(link, 1 - slot);
    return given_back;
}

static void joined(struct yk_object *object)
{
    struct yk_link *link = (struct yk_link *)object;
    struct yk_shm_link_side *side = &link->shm->sides[my_side(link)];
    yk_spsc_resume_sender(&link->out);
    yk_spsc_resume_receiver(&link->in);
    yk_waiting_join(&link->waiting);
    link->noticed = false;
    link->ended_at = UINT64_MAX;
    for (int i = 0; i < 2; i++)
        yk_store32_relaxed(&link->inside[i], 0);
    link->membarrier = link->waiting.barrier = yk_membarrier_usable();
    link->waiting.fenced = false;
    yk_store32_relaxed(&side->membarrier, link->membarrier);
    set_my_state(link, YK_SIDE_OPEN);
    wake_any_side(link, 1 - my_side(link)); /* it may wait for us: yoke_link_wait() */
}

static bool look(struct yk_object *object);

static int prepare(struct yk_object *object)
{
    struct yk_link *link = (struct yk_link *)object;
    struct yk_spsc_geometry geometry;
    int result = yk_link_check(&object->fixed, &geometry);
    if (result < 0)
        return result;
    int side = (int)my_side(link);
    link->shm = (struct yk_shm_link *)(void *)yk_object_body(object);
    link->waiting.object = object;
    link->waiting.shm = &link->shm->waiters;
    link->waiting.words = 1;
    link->waiting.personal = true;
    yk_link_ring(&link->out.ring, &geometry, link->shm, side);
    yk_link_ring(&link->in.ring, &geometry, link->shm, 1 - side);
    link->out.pieces = yk_sys_allocate(yk_spsc_pieces_max(&geometry), sizeof *link->out.pieces);
    link->in.lent = yk_sys_allocate(link->in.ring.mask + 1, sizeof *link->in.lent);
    if (link->out.pieces && link->in.lent)
        return 0;
    object->operations->unprepare(object);
    return yk_fail(ENOMEM, "no private memory for a link of depth %u", geometry.depth);
}

static void unprepare(struct yk_object *object)
{
    struct yk_link *link = (struct yk_link *)object;
    yk_waiting_end(&link->waiting);
    free(link->out.pieces);
    free(link->in.lent);
    link->out.pieces = NULL;
    link->in.lent = NULL;
}

static const struct yk_kind_operations operations = {
    .prepare = prepare,
    .unprepare = unprepare,
    .recover = recover_side,
    .joined = joined,
    .look = look,
};

static int open_as(struct yk_link *link, const char *other, uint32_t flags,
                   const struct yoke_options *options)
{
    char name[YK_ENTRY_MAX];
    struct yk_link_fixed fixed = {.layout = YK_LINK_LAYOUT};
    yk_link_plan(&fixed.geometry, options);
    yk_name_link(name, options->as, other);
    uint64_t bytes = yk_link_body_bytes(&fixed.geometry);
    struct yk_object_plan plan = {
        .kind = YK_KIND_LINK,
        .name = name,
        .flags = flags,
        .mode = options->mode,
        .group = options->group,
        .participants = 2,
        .seat = strcmp(options->as, other) < 0 ? 0 : 1,
        .body_bytes = bytes,
        .reserve = yk_options_reserve(flags, bytes),
        .smaller = "depth or max_message",
        .details = &fixed,
        .details_size = sizeof fixed,
        .operations = &operations,
    };
    strcpy(link->me, options->as); /* both are checked */
    strcpy(link->other, other);
    link->waiting.spin_ns = options->spin_ns == -1 ? yk_default_spin() : options->spin_ns;
    return yk_object_open(&link->object, &plan);
}

int yk_link_check_as(const char *other, const struct yoke_options *options)
{
    if (!options->as)
        return yk_fail(EINVAL, "link:%s has two ends: yoke_options.as says which peer this is",
                       other);
    int result = yk_name_check(YK_KIND_PEER, options->as);
    if (result == 0 && strcmp(options->as, other) == 0)
        return yk_fail(EINVAL, "a link leads to another peer, and '%s' is this one itself", other);
    return result;
}

int yk_link_hold_peer(struct yk_peer **ret_peer, const char *other,
                      const struct yoke_options *options)
{
    int result = yk_link_check_as(other, options);
    return result < 0 ? result : yk_peer_hold(ret_peer, options->as, options);
}

int yk_link_open(struct yk_link *link, const char *other, uint32_t flags,
                 const struct yoke_options *options)
{
    int result = yk_options_check(YK_KIND_LINK, flags, options);
    if (result == 0)
        result = yk_link_hold_peer(&link->peer, other, options);
    if (result < 0)
        return result;
    result = open_as(link, other, flags, options);
    if (result < 0) {
        yk_peer_drop(link->peer);
        return result;
    }
    yk_peer_add_link(link->peer, link);
    if (other_is(link, YK_SIDE_CLOSED)) /* if it leaves only now, it looks itself whether we are there */
        yk_peer_stir(link->object.directory, other);
    return 0;
}

int yk_link_enter_afresh(struct yk_link *link)
{
    int result = link->peer ? yk_peer_enter_link(link) : 0;
    return result == 0 ? yk_object_enter(&link->object) : result;
}

/* ---- without names ---- */

YOKE_API int yoke_pair(int ret_descriptors[2], const struct yoke_options *options)
{
    static const struct yoke_options defaults = YOKE_OPTIONS_INIT;
    struct yk_link_fixed fixed = {.layout = YK_LINK_LAYOUT};
    if (!ret_descriptors)
        return yk_fail(EINVAL, "ret_descriptors is NULL: there is nowhere to put the result");
    options = options ? options : &defaults;
    int result = yk_options_check(YK_KIND_LINK, YOKE_CREATE, options);
    if (result == 0 && options->as)
        result = yk_fail(EINVAL, "a pair has no names: '%.100s' can not be one end", options->as);
    if (result < 0)
        return result;
    yk_link_plan(&fixed.geometry, options);
    struct yk_object_plan plan = {
        .kind = YK_KIND_LINK,
        .name = "",
        .participants = 2,
        .body_bytes = yk_link_body_bytes(&fixed.geometry),
        .details = &fixed,
        .details_size = sizeof fixed,
    };
    return yk_object_create_anonymous(&plan, ret_descriptors);
}

int yk_link_open_descriptor(struct yk_link *link, int descriptor,
                            const struct yoke_options *options)
{
    struct yk_object_plan plan = {.kind = YK_KIND_LINK, .name = UNNAMED, .operations = &operations};
    int result = yk_fork_init();
    if (result == 0)
        result = yk_options_check(YK_KIND_LINK, 0, options);
    if (result < 0)
        return result;
    strcpy(link->other, UNNAMED);
    link->waiting.spin_ns = options->spin_ns == -1 ? yk_default_spin() : options->spin_ns;
    return yk_object_open_anonymous(&link->object, descriptor, &plan);
}

/* Of a pair: has anybody a descriptor for this end? (Not being able to ask is no proof.) */
static bool can_come(const struct yk_object *object, uint32_t side)
{
    return yk_sys_byte_is_locked(object->lock.fd, YK_HANDLE_BYTE(side), 1) != 0;
}

/*
 * Nobody has been at the other end, and nobody can come any more: all copies of its descriptor are
 * closed. True when this call found it out.
 */
static bool look(struct yk_object *object)
{
    const struct yk_link *link = (const struct yk_link *)object;
    uint32_t other = 1 - my_side(link);
    yk_atomic32 *state = &link->shm->sides[other].state;
    uint32_t new = YK_SIDE_NEW;
    if (!object->anonymous || yk_load32_relaxed(state) != new || can_come(object, other))
        return false;
    return yk_cas32_seq(state, &new, YK_SIDE_DIED); /* SYNC link.end release */
}

/* ---- closing ---- */

void yk_link_expel(struct yk_link *link)
{
    /* `cancelled` (endpoint.c) before the look which other thread is inside: go_in() */
    if (link->membarrier && !__libc_single_threaded)
        yk_sys_membarrier();
    for (int i = 0; i < 2; i++) {
        while (yk_load32_acquire(&link->inside[i]) != 0) {
            yk_wake_own(&link->object);
            yk_nap(100000);
        }
    }
}

/*
 * Whoever came to the other side after the end of the one before was told, and of whom nothing was received, is somebody
 * new: this side leaves the one before, and is offered the link again.
 */
static void leave(struct yk_link *link)
{
    bool newer = link->ended_at == link->in.taken; /* if anybody is */
    /* relaxed: SYNC link.end orders it */
    yk_store_relaxed(&link->shm->sides[my_side(link)].left,
                     yk_side_owner_of(newer ? link->ended : other_state(link)));
    set_my_state(link, YK_SIDE_CLOSED);
}

/* By the owner's number alone: who left after this side did is nobody new. */
bool yk_link_is_left(const struct yk_object *object, int side)
{
    const struct yk_shm_link *shm = (const struct yk_shm_link *)(void *)yk_object_body(object);
    /* SYNC link.end acquire, both */
    return yk_side_state_of(yk_load32_acquire(&shm->sides[side].state)) == YK_SIDE_CLOSED &&
           yk_load_relaxed(&shm->sides[side].left) ==
               yk_side_owner_of(yk_load32_acquire(&shm->sides[1 - side].state));
}

void yk_link_close(struct yk_link *link)
{
    /* relaxed: own process. In a child that never used it the side is the parent's. */
    if (yk_load_relaxed(&link->object.fork_stamp) == yk_fork_stamp())
        leave(link);
    if (link->peer)
        yk_peer_remove_link(link->peer, link);
    yk_descriptor_close(&link->waiting); /* while the slot is ours */
    yk_object_close(&link->object);
    if (link->peer)
        yk_peer_drop(link->peer);
}

/* ---- waiting ---- */

/*
 * A thread that waits is inside. Only one can be, so it takes no counting: it leaves by a plain
 * store, after which the handle may be gone.
 */
static void go_in(struct yk_link *link, int way)
{
    yk_store32_relaxed(&link->inside[way], 1);
    /*
     * `inside` before the look whether the handle is cancelled. A fence here would wait until the
     * line of what was sent last has come over: whoever closes pays, by a membarrier().
     */
    if (yk_likely(link->membarrier))
        yk_fence_compiler();
    else
        yk_fence_seq();
}

static void go_out(struct yk_link *link, int way)
{
    yk_store32_release(&link->inside[way], 0);
}

static void wake_sleeper(struct yk_link *link, enum yk_reason reason)
{
    uint32_t other = 1 - my_side(link);
    yk_changed_for(&link->waiting, reason, other);
    if (reason == YK_WAIT_RECEIVE)
        yk_ring_descriptor(&link->waiting, other);
}

/* After a change that the other side may sleep for. */
static inline void wake_other(struct yk_link *link, enum yk_reason reason)
{
    uint32_t other = 1 - my_side(link);
    const struct yk_shm_link *shm = link->shm;
    yk_fence_compiler(); /* the change before the look who is to make the fence: choose_fences() */
    if (yk_likely(link->membarrier && yk_load32_relaxed(&shm->sides[other].membarrier)))
        yk_fence_compiler();
    else
        yk_fence_seq(); /* the change before the look at the row: SYNC wait.receive, wait.room */
    const yk_atomic64 *rows = shm->waiters.bits[0];
    uint64_t row = yk_load_relaxed(&rows[reason]);
    if (reason == YK_WAIT_RECEIVE)
        row |= yk_load_relaxed(&rows[YK_WAIT_DESCRIPTOR]);
    if (yk_unlikely(row >> other & 1))
        wake_sleeper(link, reason);
}

/* -EPIPE or -EOWNERDEAD when the side is gone, 0 while somebody is there or may yet come. */
static int end_of(uint32_t state)
{
    switch (yk_side_state_of(state)) {
    case YK_SIDE_CLOSED:
        return -EPIPE;
    case YK_SIDE_DIED:
        return -EOWNERDEAD;
    default:
        return 0;
    }
}

static int other_end(const struct yk_link *link)
{
    return end_of(other_state(link));
}

static void explain(const struct yk_link *link, ssize_t result, size_t capacity)
{
    if (result == -EPIPE)
        yk_fail(EPIPE, "the other side of link:%s closed it", link->other);
    else if (result == -EOWNERDEAD)
        yk_fail(EOWNERDEAD, "the other side of link:%s died", link->other);
    else if (result == -EMSGSIZE)
        yk_fail(EMSGSIZE,
                "the next message of link:%s is bigger than the buffer of %zu bytes; "
                "yoke_max_message() says %llu",
                link->other, capacity, (unsigned long long)link->in.ring.geometry.max_message);
    else if (result == -EPROTO)
        yk_fail(EPROTO, "the memory of link:%s holds what no yoke wrote", link->other);
}

/*
 * Before the receiving thread waits. Only it lies down in the row for messages, so no other thread can be
 * about to look at that row for want of a membarrier() while `membarrier` becomes 1 again.
 */
static void choose_fences(struct yk_link *link)
{
    struct yk_waiting *waiting = &link->waiting;
    if (++link->waits < WAITS)
        return;
    uint64_t messages = link->in.taken - link->waits_from;
    bool often = waiting->naps >= OFTEN && messages <= (uint64_t)waiting->naps * FEW_A_TIME;
    link->waits = waiting->naps = 0;
    link->waits_from = link->in.taken;
    if (often == waiting->fenced || !waiting->barrier)
        return;
    /* relaxed: the membarrier() below is what counts, and to be late with a 1 is a fence too many */
    yk_store32_relaxed(&link->shm->sides[my_side(link)].membarrier, !often);
    if (often)
        yk_sys_membarrier();
    waiting->fenced = often;
}

/*
 * Tries, and if need be waits until the attempt is not 0. Whoever waits is inside to the very end.
 */
static ssize_t try_and_wait(struct yk_link *link, int way, yk_attempt attempt, void *context,
                            size_t capacity, int64_t timeout_ns)
{
    enum yk_reason reason;
    ssize_t result = attempt(context, &reason);
    /* relaxed: only this thread writes it; recv_soon() is inside already, and leaves itself */
    bool enters = result == 0 && yk_load32_relaxed(&link->inside[way]) == 0;
    if (enters)
        go_in(link, way);
    if (enters && way == RECEIVING)
        choose_fences(link);
    if (result == 0)
        result = yk_wait(&link->waiting, attempt, context, reason, timeout_ns);
    if (yk_unlikely(result < 0))
        explain(link, result, capacity);
    if (enters)
        go_out(link, way);
    return result;
}

/* ---- sending ---- */

/* What the sending thread has just sent. */
#define TRACE_SENT(link, size) YK_TRACE_OBJECT(send, &(link)->object, size, (link)->out.sent - 1, 0)

static int check_message(const struct yk_link *link, const void *data, size_t size)
{
    if (yk_unlikely(size > link->out.ring.geometry.max_message))
        return yk_fail(EMSGSIZE, "link:%s takes messages of up to %llu bytes, this one has %zu",
                       link->other, (unsigned long long)link->out.ring.geometry.max_message, size);
    if (yk_unlikely(!data && size > 0))
        return yk_fail(EINVAL, "the message is NULL and has %zu bytes", size);
    return 0;
}

struct sending {
    struct yk_link *link;
    const struct yoke_message *messages;
    size_t count;
    size_t sent;
    bool loans; /* the messages are loans */
};

static int send_one(struct sending *sending)
{
    const struct yoke_message *message = &sending->messages[sending->sent];
    struct yk_spsc_sender *out = &sending->link->out;
    bool again = (message->flags & YOKE_MESSAGE_AGAIN) != 0;
    int result = sending->loans
                     ? yk_spsc_commit(out, message->data, message->size, message->tag, again)
                     : yk_spsc_send(out, message->data ? message->data : "", message->size,
                                    message->tag, again);
    if (result == 1)
        TRACE_SENT(sending->link, message->size);
    return result;
}

/* Sends as many as go now. 1 when at least one went, 0, or the error of the first. */
static ssize_t attempt_send(void *context, enum yk_reason *reason)
{
    struct sending *sending = context;
    struct yk_link *link = sending->link;
    int result = 1;
    *reason = YK_WAIT_ROOM;
    while (sending->sent < sending->count && (result = send_one(sending)) == 1)
        sending->sent++;
    if (sending->sent == 0)
        return result < 0 ? result : other_end(link);
    wake_other(link, YK_WAIT_RECEIVE);
    return 1;
}

static ssize_t run_send(struct sending *sending, int64_t timeout_ns)
{
    ssize_t result = try_and_wait(sending->link, SENDING, attempt_send, sending, 0, timeout_ns);
    return result < 0 ? result : (ssize_t)sending->sent;
}

ssize_t yk_link_send_many(struct yk_link *link, const struct yoke_message *messages, size_t count,
                          int64_t timeout_ns)
{
    int result = yk_link_enter(link);
    for (size_t i = 0; i < count && result == 0; i++) {
        result = check_message(link, messages[i].data, messages[i].size);
        if (result == 0 && messages[i].priority != 0)
            result = yk_fail(EINVAL, "link:%s has one priority, 0; %u is not it", link->other,
                             messages[i].priority);
    }
    if (result < 0 || count == 0)
        return result;
    struct sending sending = {.link = link, .messages = messages, .count = count};
    return run_send(&sending, timeout_ns);
}

/* Out of line, so that the short way needs no stack. */
static __attribute__((noinline)) ssize_t send_slowly(struct yk_link *link, const void *data,
                                                     size_t size, int64_t timeout_ns)
{
    int result = yk_link_enter(link);
    if (result == 0)
        result = check_message(link, data, size);
    if (result == 0)
        result = yk_spsc_send(&link->out, data ? data : "", size, 0, false);
    if (result == 1) {
        TRACE_SENT(link, size);
        wake_other(link, YK_WAIT_RECEIVE);
        return 0;
    }
    if (result < 0 && result != -EPROTO)
        return result;
    struct yoke_message message = {.data = (void *)(uintptr_t)data, .size = size};
    struct sending sending = {.link = link, .messages = &message, .count = 1};
    ssize_t sent = run_send(&sending, timeout_ns);
    return sent < 0 ? sent : 0;
}

ssize_t yk_link_send(struct yk_link *link, const void *data, size_t size, int64_t timeout_ns)
{
    if (yk_likely(yk_link_entered(link) && data && size <= link->out.ring.geometry.max_message &&
                  yk_spsc_send_small(&link->out, data, size))) {
        TRACE_SENT(link, size);
        wake_other(link, YK_WAIT_RECEIVE);
        return 0;
    }
    return send_slowly(link, data, size, timeout_ns);
}

ssize_t yk_link_commit_many(struct yk_link *link, const struct yoke_message *messages, size_t count,
                            int64_t timeout_ns)
{
    int result = yk_link_enter(link);
    for (size_t i = 0; i < count && result == 0; i++) {
        int64_t room = yk_spsc_loan_size(&link->out, messages[i].data);
        if (room < 0)
            result =
                yk_fail(EINVAL, "message %zu is not a loan of this end of link:%s", i, link->other);
        else if (messages[i].size > (uint64_t)room)
            result = yk_fail(EMSGSIZE, "%zu bytes are more than the loan's %lld", messages[i].size,
                             (long long)room);
        else
            result = check_message(link, messages[i].data, messages[i].size);
    }
    if (result < 0 || count == 0)
        return result;
    struct sending sending = {.link = link, .messages = messages, .count = count, .loans = true};
    return run_send(&sending, timeout_ns);
}

struct loaning {
    struct yk_link *link;
    size_t size;
    void *block;
};

static ssize_t attempt_loan(void *context, enum yk_reason *reason)
{
    struct loaning *loaning = context;
    *reason = YK_WAIT_ROOM;
    int result = yk_spsc_loan(&loaning->link->out, loaning->size, &loaning->block);
    return result != 0 ? result : other_end(loaning->link);
}

int yk_link_loan(struct yk_link *link, size_t size, void **ret_block, int64_t timeout_ns)
{
    struct loaning loaning = {.link = link, .size = size};
    int entered = yk_link_enter(link);
    if (entered == 0)
        entered = check_message(link, link, size);
    if (entered < 0)
        return entered;
    ssize_t result = try_and_wait(link, SENDING, attempt_loan, &loaning, 0, timeout_ns);
    if (result > 0)
        *ret_block = loaning.block;
    return result < 0 ? (int)result : 0;
}

/* ---- receiving ---- */

struct receiving {
    struct yk_link *link;
    struct yoke_message *messages;
    size_t count;
    size_t received;
    bool borrow; /* hand out the bytes where they are; else copy and release */
};

static int take_one(struct receiving *receiving)
{
    struct yk_link *link = receiving->link;
    struct yoke_message *message = &receiving->messages[receiving->received];
    struct yk_spsc_message taken;
    int result =
        yk_spsc_take(&link->in, receiving->borrow ? UINT64_MAX : message->capacity, &taken);
    if (result != 1)
        return result;
    message->size = taken.size;
    message->sequence = taken.index;
    message->tag = taken.tag;
    message->priority = 0;
    message->deliveries = taken.deliveries;
    message->sender =
        (int32_t)yk_load32_relaxed(&yk_object_slot(&link->object, 1 - my_side(link))->pid);
    message->flags = taken.deliveries > 1 ? YOKE_MESSAGE_AGAIN : 0;
    if (receiving->borrow) {
        message->data = (void *)(uintptr_t)taken.bytes;
        YK_TRACE_OBJECT(borrow, &link->object, taken.size, taken.index, 0, taken.deliveries);
        return 1;
    }
    if (taken.size > 0) /* the buffer for an empty message may be NULL */
        memcpy(message->data, taken.bytes, taken.size);
    int released = yk_spsc_release(&link->in, taken.index);
    YK_TRACE_OBJECT(recv, &link->object, taken.size, taken.index, 0, taken.deliveries);
    return released;
}

static int take_some(struct receiving *receiving)
{
    int result = 1;
    while (receiving->received < receiving->count && (result = take_one(receiving)) == 1)
        receiving->received++;
    return result;
}

/* Whose end it is is noted with it: leave(). */
static int tell_end(struct yk_link *link, uint32_t state)
{
    int end = end_of(state);
    if (end != 0) {
        link->ended = state;
        link->ended_at = link->in.taken;
    }
    return end;
}

/*
 * Takes as many as there are. 1 when at least one, 0 none, or the error of the first. The other
 * side's end is told when there is still nothing after it was seen.
 */
static ssize_t attempt_receive(void *context, enum yk_reason *reason)
{
    struct receiving *receiving = context;
    struct yk_link *link = receiving->link;
    *reason = YK_WAIT_RECEIVE;
    uint64_t released = link->in.released;
    uint32_t state = YK_SIDE_NEW;
    int result = take_some(receiving);
    if (result == 0 && receiving->received == 0 && end_of(state = other_state(link)) != 0)
        result = take_some(receiving);
    if (link->in.released != released) /* also by those that are passed, as dropped */
        wake_other(link, YK_WAIT_ROOM);
    if (receiving->received > 0)
        return 1;
    return result < 0 ? result : tell_end(link, state);
}

static ssize_t run_receive(struct receiving *receiving, int64_t timeout_ns)
{
    ssize_t result = try_and_wait(receiving->link, RECEIVING, attempt_receive, receiving,
                                  receiving->messages[0].capacity, timeout_ns);
    return result < 0 ? result : (ssize_t)receiving->received;
}

ssize_t yk_link_recv_many(struct yk_link *link, struct yoke_message *messages, size_t count,
                          int64_t timeout_ns)
{
    int result = yk_link_enter(link);
    for (size_t i = 0; i < count && result == 0; i++) {
        if (!messages[i].data && messages[i].capacity > 0)
            result = yk_fail(EINVAL, "the buffer of message %zu is NULL and has %zu bytes", i,
                             messages[i].capacity);
    }
    if (result < 0 || count == 0)
        return result;
    struct receiving receiving = {.link = link, .messages = messages, .count = count};
    return run_receive(&receiving, timeout_ns);
}

ssize_t yk_link_borrow_many(struct yk_link *link, struct yoke_message *messages, size_t count,
                            int64_t timeout_ns)
{
    int result = yk_link_enter(link);
    if (result < 0 || count == 0)
        return result;
    struct receiving receiving = {
        .link = link, .messages = messages, .count = count, .borrow = true};
    return run_receive(&receiving, timeout_ns);
}

/* What the receiving thread has just had the short way: fresh, so delivered once. */
#define TRACE_RECEIVED(link, size) \
    YK_TRACE_OBJECT(recv, &(link)->object, size, (link)->in.taken - 1, 0, 1)

static bool recv_now(struct yk_link *link, void *buffer, size_t capacity, size_t *ret_size)
{
    if (!yk_spsc_recv_small(&link->in, buffer, capacity, ret_size) &&
        !yk_spsc_recv_big(&link->in, buffer, capacity, ret_size))
        return false;
    link->size = (uint32_t)*ret_size;
    TRACE_RECEIVED(link, *ret_size);
    wake_other(link, YK_WAIT_ROOM);
    return true;
}

static ssize_t recv_one(struct yk_link *link, void *buffer, size_t capacity, int64_t timeout_ns)
{
    size_t size;
    if (recv_now(link, buffer, capacity, &size))
        return (ssize_t)size;
    struct yoke_message message = {.data = buffer, .capacity = capacity};
    struct receiving receiving = {.link = link, .messages = &message, .count = 1};
    ssize_t received = run_receive(&receiving, timeout_ns);
    return received < 0 ? received : (ssize_t)message.size;
}

/*
 * How many lines of the next message, if it is as big as the last one, lie behind the one that is looked at.
 * Fetched while one waits they come over together with it. Of more than a few most would be fetched while the
 * sender still writes them, and have to go back.
 */
static uint32_t lines_behind(const struct yk_link *link)
{
    uint32_t bytes = YK_SPSC_BYTES + link->size, lines = (bytes + LINE - 1) / LINE;
    return lines <= LINES_FETCHED && bytes <= link->in.ring.geometry.slot_stride ? lines - 1 : 0;
}

/* A message that comes within about a round trip is had without a system call or a clock. */
static ssize_t recv_soon(struct yk_link *link, void *buffer, size_t capacity, int64_t timeout_ns)
{
    go_in(link, RECEIVING);
    choose_fences(link);
    for (int i = 0; link->run >= STREAMING && i < LAG; i++)
        yk_pause();
    link->run = 0;
    uint32_t behind = lines_behind(link);
    const unsigned char *slot = yk_spsc_slot(&link->in.ring, link->in.taken);
    for (int i = 0; i < SHORT_SPIN && !yk_spsc_peek(&link->in); i++) {
        for (uint32_t line = 1; line <= behind; line++)
            yk_prefetch(slot + line * LINE);
    }
    ssize_t size = recv_one(link, buffer, capacity, timeout_ns);
    go_out(link, RECEIVING);
    return size;
}

static __attribute__((noinline)) ssize_t recv_slowly(struct yk_link *link, void *buffer,
                                                     size_t capacity, int64_t timeout_ns)
{
    int result = yk_link_enter(link);
    if (result < 0)
        return result;
    if (!buffer && capacity > 0)
        return yk_fail(EINVAL, "the buffer is NULL and has %zu bytes", capacity);
    if (yk_spsc_peek(&link->in) || timeout_ns == 0 || link->waiting.spin_ns <= 0)
        return recv_one(link, buffer, capacity, timeout_ns);
    return recv_soon(link, buffer, capacity, timeout_ns);
}

ssize_t yk_link_recv(struct yk_link *link, void *buffer, size_t capacity, int64_t timeout_ns)
{
    size_t size;
    if (yk_likely(yk_link_entered(link) && buffer &&
                  yk_spsc_recv_small(&link->in, buffer, capacity, &size))) {
        link->run++;
        link->size = (uint32_t)size;
        TRACE_RECEIVED(link, size);
        wake_other(link, YK_WAIT_ROOM);
        return (ssize_t)size;
    }
    return recv_slowly(link, buffer, capacity, timeout_ns);
}

/* 1 when the other side is there, or has left something; an error when it never can be. */
static ssize_t attempt_meet(void *context, enum yk_reason *reason)
{
    struct yk_link *link = context;
    uint32_t other = 1 - my_side(link);
    *reason = YK_WAIT_RECEIVE;
    if (other_is(link, YK_SIDE_OPEN) || yk_spsc_peek(&link->in))
        return 1;
    return link->object.anonymous && !can_come(&link->object, other) ? other_end(link) : 0;
}

int yk_link_wait(struct yk_link *link, int64_t timeout_ns)
{
    int result = yk_link_enter(link);
    if (result < 0)
        return result;
    yk_recover_dead(&link->object); /* one whose death nobody noticed is not there */
    ssize_t met = try_and_wait(link, RECEIVING, attempt_meet, link, 0, timeout_ns);
    return met < 0 ? (int)met : 0;
}

bool yk_link_is_ready(struct yk_link *link)
{
    return yk_spsc_peek(&link->in) || other_end(link) != 0;
}

/* ---- giving up ---- */

static int no_message(const struct yk_link *link, const void *message)
{
    return yk_fail(EINVAL, "%p is neither a borrowed message nor a loan of this end of link:%s",
                   message, link->other);
}

/* A loan is the sending thread's business, a borrowed message the receiving one's. */
static bool is_outgoing(const struct yk_link *link, const void *message)
{
    const struct yk_spsc *ring = &link->out.ring;
    uintptr_t at = (uintptr_t)message, begin = (uintptr_t)ring->buffer;
    return at >= begin && at - begin < ring->geometry.buffer;
}

int yk_link_release(struct yk_link *link, const void *message)
{
    int result = yk_link_enter(link);
    if (result < 0)
        return result;
    if (is_outgoing(link, message))
        return yk_spsc_cancel_loan(&link->out, message) == 1 ? 0 : no_message(link, message);
    int64_t index = yk_spsc_find_lent(&link->in, message);
    if (index < 0)
        return no_message(link, message);
    yk_spsc_release(&link->in, (uint64_t)index);
    YK_TRACE_OBJECT(release, &link->object, index);
    wake_other(link, YK_WAIT_ROOM);
    return 0;
}

int yk_link_return(struct yk_link *link, const void *message)
{
    int result = yk_link_enter(link);
    if (result < 0)
        return result;
    if (is_outgoing(link, message) && yk_spsc_loan_size(&link->out, message) >= 0)
        return yk_fail(EINVAL, "%p is a loan: release it, or commit it", message);
    int64_t index = is_outgoing(link, message) ? -1 : yk_spsc_find_lent(&link->in, message);
    if (index < 0)
        return no_message(link, message);
    yk_spsc_return(&link->in, (uint64_t)index);
    YK_TRACE_OBJECT(return, &link->object, index);
    wake_other(link, YK_WAIT_ROOM); /* it may have been dropped */
    yk_fence_seq(); /* what waits again before the look who is armed: SYNC notice.armed */
    yk_ring_descriptor(&link->waiting, my_side(link));
    return 0;
}
