/*
 * spsc.c - one direction of a link. The form is that of Lamport's single-producer single-consumer
 * queue with the sequence in the slot, as in FastForward (Giacomoni, Moseley, Vachharajani 2008)
 * and Vyukov's rings; receipts, taking over from the dead and the buffer beside it are yoke's.
 *
 * Steps
 *   send     1 slot `sent` is free: sent - released < depth   2 the bytes, into the slot or a free
 *            piece of the buffer   3 the word, with the lap's stamp (store): sent
 *   take     1 the stamp of slot `taken` is this lap's   2 taken + 1 (store)   3 the caller reads
 *   renew    (before 2 of take, where the lap is the last of its period, or a receipt may be about the
 *            message) its receipt is written with its stamp: what it said of it, else nothing
 *   release  in order: released + 1 (store), and beyond those released before. Out of order: a
 *            receipt says `done`
 *   mark     a bit of the word: the sender says that it may have sent the message before. It goes with
 *            the message, so no death can part them, and counts as one delivery more than the receipt's
 *   return   a receipt `again` with one delivery more; taken again, `again` goes
 *   recover  (a dead receiver) each message in [released, taken) without `done` or `again`: a receipt
 *            `again` with one delivery more; then taken := released
 *   resume   receiver: from `released` on, as the receipts say. Sender: the first slot from
 *            `released` on whose stamp is not this lap's is the next to be sent.
 *
 * Invariants
 *   I1  A slot's stamp is written by the sender alone, once for each message, and last: so
 *       `stamp(i) says i` means exactly that message i is sent. Where the bytes of a message lie,
 *       no word ever lies, so no content of a message is taken for a word.
 *   I2  released <= taken, and sent - released <= depth: the sender writes slot i only when
 *       i - depth is released, and a piece of the buffer only when the message that it held is.
 *   I3  Each word has one writer, so no step can fail, and none needs to be tried again.
 *   I4  A receipt bears its message's stamp: one that is left behind means nothing in later laps, so
 *       nobody has to clear it, and no death between clearing and releasing can matter. A stamp comes
 *       again after 2^32 laps, but no receipt that is read is older than YK_SPSC_PERIOD laps: see below.
 *
 * Stopping (or dying) after any step. Sender before 3: bytes that nobody looks at; whoever comes
 * back writes them anew. After 3: sent. Receiver after 2 of take: in hand, so recovery gives it
 * back, marked. After `released`: acknowledged. Between a receipt `done` and `released`: the
 * receipt decides, it is not delivered again. Recovery that is broken off and done again finds its
 * own receipts: no delivery is counted twice, and none drops a message too early.
 *
 * Why no receipt that is read is older than a period (I4). (a) Who releases a message of a renewing
 * lap, the last of each period, took it himself, since a receiver begins at `released`, and took it
 * the slow way, which renews, since the index alone tells which lap that is. So once it is
 * released, the receipt in its slot is of that lap or a later one. (b) A receipt is read for
 * message i only when `released` is beyond i - depth, so all messages before i in that slot are
 * released. By (a) then, between the lap of the receipt and that of i no lap renews: they are one
 * period apart at most. Deaths and stops change nothing in this, wherever they come: what a dead
 * one had not released its successor takes, and renews, again, and it says the same again. A
 * renewed receipt may say nothing: that is as good as none, as zeroed memory is in the lap whose
 * stamp is 0. What a hostile sender writes there harms its own messages alone.
 *
 * Why no fence between the bytes and the word, or between reading and `released`: a release store
 * orders both. Why no lock against two receivers: the life lock of the side (memory/participant.c).
 */
#include "ring/spsc.h"

#include <errno.h>
#include <stdlib.h>

#define SLOTS_LOG2_MIN 3
#define SLOTS_LOG2_MAX 20
#define DEPTH_MAX      (UINT32_C(1) << SLOTS_LOG2_MAX)
#define MESSAGE_MAX    (UINT64_C(64) << 20)
#define LINES_MOST     17  /* of a slot that has room for each message: 1 KiB and some more */
#define LINES_MIXED    5   /* else */
#define UNIT           64u /* pieces of the buffer are multiples of it */
/*
 * What a link keeps on the way: more than the caches of two cores, less than what all cores share;
 * but some of its biggest messages.
 */
#define BUFFER_MOST     (UINT64_C(8) << 20)
#define BUFFER_MESSAGES 4
#define COUNT_MASK      (YK_SPSC_AGAIN - 1)
#define COUNT_TRIES     8
/*
 * An empty buffer is begun anew from its start, which both caches still know; for bigger messages
 * only after so many bytes, since lines that have left the receiver's cache are cheaper to
 * overwrite.
 */
#define REUSE_SMALL 4096u
#define REUSE_BYTES (UINT64_C(4) << 20)

/* ---- geometry ---- */

static uint64_t round_up(uint64_t value, uint64_t unit)
{
    return (value + unit - 1) / unit * unit;
}

/*
 * A message that lies in its slot is there with the first line that comes over; for one in the
 * buffer the receiver must read where, and then wait once more. So slots have room for all messages
 * where these are small, and for most where they are not. An odd number of lines spreads the first
 * ones of all slots over a cache; two are fetched together.
 */
static uint32_t plan_stride(uint64_t max_message)
{
    uint64_t lines = (YK_SPSC_BYTES + max_message + UNIT - 1) / UNIT;
    if (lines > LINES_MOST)
        lines = LINES_MIXED;
    return (uint32_t)(lines > 2 ? lines | 1 : lines) * UNIT;
}

void yk_spsc_plan(struct yk_spsc_geometry *geometry)
{
    uint64_t piece = round_up(geometry->max_message ? geometry->max_message : 1, UNIT);
    uint64_t all = (geometry->depth + UINT64_C(2)) * piece;
    uint64_t most = piece * BUFFER_MESSAGES > BUFFER_MOST ? piece * BUFFER_MESSAGES : BUFFER_MOST;
    geometry->slots_log2 = SLOTS_LOG2_MIN;
    while (UINT64_C(1) << geometry->slots_log2 < geometry->depth)
        geometry->slots_log2++;
    geometry->slot_stride = plan_stride(geometry->max_message);
    geometry->buffer = all < most ? all : most;
    geometry->pad = 0;
}

int yk_spsc_check_geometry(const struct yk_spsc_geometry *g)
{
    bool sound = g->slots_log2 >= 1 && g->slots_log2 <= SLOTS_LOG2_MAX && g->depth >= 1 &&
                 g->depth <= UINT64_C(1) << g->slots_log2 && g->slot_stride % UNIT == 0 &&
                 g->slot_stride >= UNIT && g->slot_stride <= LINES_MOST * UNIT &&
                 g->max_message <= MESSAGE_MAX && g->buffer % UNIT == 0 &&
                 g->buffer >= g->max_message && g->buffer >= UNIT &&
                 g->buffer <= DEPTH_MAX * MESSAGE_MAX;
    return sound ? 0 : -EPROTO;
}

static uint64_t slots_bytes(const struct yk_spsc_geometry *geometry)
{
    return round_up((uint64_t)geometry->slot_stride << geometry->slots_log2, 128);
}

static uint64_t receipts_bytes(const struct yk_spsc_geometry *geometry)
{
    return round_up(sizeof(yk_atomic64) << geometry->slots_log2, 128);
}

uint64_t yk_spsc_bytes(const struct yk_spsc_geometry *geometry)
{
    return sizeof(struct yk_shm_spsc) + slots_bytes(geometry) + receipts_bytes(geometry) +
           round_up(geometry->buffer, 128);
}

void yk_spsc_attach(struct yk_spsc *ring, const struct yk_spsc_geometry *geometry, void *memory)
{
    ring->geometry = *geometry;
    ring->shm = memory;
    ring->slots = (unsigned char *)memory + sizeof(struct yk_shm_spsc);
    ring->receipts = (yk_atomic64 *)(void *)(ring->slots + slots_bytes(geometry));
    ring->buffer = ring->slots + slots_bytes(geometry) + receipts_bytes(geometry);
    ring->mask = (UINT64_C(1) << geometry->slots_log2) - 1;
}

static bool is_sent(const struct yk_spsc *ring, uint64_t index)
{
    /* SYNC spsc.publish acquire */
    uint64_t word = yk_load_acquire(yk_spsc_word(yk_spsc_slot(ring, index)));
    return (uint32_t)(word >> 32) == yk_spsc_stamp(ring, index);
}

static yk_atomic64 *slot_field(const struct yk_spsc *ring, uint64_t index, unsigned offset)
{
    return (yk_atomic64 *)(void *)(yk_spsc_slot(ring, index) + offset);
}

/* ---- what a word says ---- */

/* Where the bytes of a message are. 0, or -EPROTO: no yoke wrote that. Each value is read once. */
static int decode(const struct yk_spsc *ring, uint64_t index, uint64_t word,
                  struct yk_spsc_message *ret)
{
    uint64_t size = word & YK_SPSC_SIZE_MASK, room = ring->geometry.slot_stride - YK_SPSC_BYTES;
    const unsigned char *bytes = yk_spsc_slot(ring, index) + YK_SPSC_BYTES;
    uint64_t tag = 0;
    if (word & YK_SPSC_BUFFERED) {
        uint64_t offset = yk_load_relaxed(slot_field(ring, index, YK_SPSC_OFFSET));
        tag = yk_load_relaxed(slot_field(ring, index, YK_SPSC_BUFFERED_TAG));
        room = offset % UNIT == 0 && offset <= ring->geometry.buffer
                   ? ring->geometry.buffer - offset
                   : 0;
        bytes = ring->buffer + (room > 0 ? offset : 0);
    } else if (word & YK_SPSC_TAGGED) {
        tag = yk_load_relaxed(slot_field(ring, index, YK_SPSC_TAG));
        room = ring->geometry.slot_stride - YK_SPSC_TAGGED_BYTES;
        bytes = yk_spsc_slot(ring, index) + YK_SPSC_TAGGED_BYTES;
    }
    if (size > room || size > ring->geometry.max_message)
        return -EPROTO;
    ret->bytes = bytes;
    ret->index = index;
    ret->tag = tag;
    ret->size = (uint32_t)size;
    return 0;
}

/* ---- the buffer: pieces are used and freed about in the order in which they are taken ---- */

static struct yk_spsc_piece *piece_at(const struct yk_spsc_sender *sender, uint64_t number)
{
    return &sender->pieces[number & (yk_spsc_pieces_max(&sender->ring.geometry) - 1)];
}

/* Looks at the receiver's word. 0 or -EPROTO. */
static int look_released(struct yk_spsc_sender *sender)
{
    /* SYNC spsc.release acquire; and after the bell was announced: SYNC wait.room */
    uint64_t released = yk_load_seq(&sender->ring.shm->released);
    if (sender->sent - released > sender->ring.geometry.depth)
        return -EPROTO;
    sender->released = released;
    return 0;
}

static void drop_unused_pieces(struct yk_spsc_sender *sender)
{
    while (sender->first_piece != sender->end_piece) {
        uint64_t index = piece_at(sender, sender->first_piece)->index;
        if (index == YK_SPSC_LOANED ||
            (index != YK_SPSC_UNUSED && (int64_t)(sender->released - index) <= 0))
            return;
        sender->first_piece++;
    }
}

/*
 * A place for `size` bytes beside the pieces in use, which lie in one run, perhaps around the end.
 */
static bool find_place(const struct yk_spsc_sender *sender, uint64_t size, uint64_t *ret_offset)
{
    uint64_t all = sender->ring.geometry.buffer;
    const struct yk_spsc_piece *last = piece_at(sender, sender->end_piece - 1);
    uint64_t end = last->offset + last->size;
    if (sender->first_piece == sender->end_piece) {
        bool anew = size <= REUSE_SMALL || end >= REUSE_BYTES || size > all - end;
        *ret_offset = anew ? 0 : end;
        return size <= all;
    }
    if (sender->end_piece - sender->first_piece >= yk_spsc_pieces_max(&sender->ring.geometry))
        return false;
    uint64_t begin = piece_at(sender, sender->first_piece)->offset;
    bool around = end <= begin;
    if (!around && size > all - end) {
        around = true;
        end = 0;
    }
    *ret_offset = end;
    return !around || size <= begin - end;
}

/* Takes a piece. 1, 0 when there is no room, or -EPROTO. */
static int take_piece(struct yk_spsc_sender *sender, uint64_t size, uint64_t index,
                      uint64_t *ret_offset)
{
    int result = 0;
    uint64_t need = round_up(size > 0 ? size : 1, UNIT);
    drop_unused_pieces(sender);
    bool found = need <= REUSE_SMALL && find_place(sender, need, ret_offset);
    if (!found) {
        result = look_released(sender);
        drop_unused_pieces(sender);
        found = result == 0 && find_place(sender, need, ret_offset);
    }
    if (!found)
        return result;
    *piece_at(sender, sender->end_piece++) =
        (struct yk_spsc_piece){.offset = *ret_offset, .size = need, .index = index};
    return 1;
}

/* ---- send ---- */

/* 1 when message `sent` has a slot, 0 full, or -EPROTO. */
static int get_slot(struct yk_spsc_sender *sender)
{
    uint32_t depth = sender->ring.geometry.depth;
    if (sender->sent - sender->released < depth)
        return 1;
    int result = look_released(sender);
    return result < 0 ? result : sender->sent - sender->released < depth;
}

bool yk_spsc_has_room(struct yk_spsc_sender *sender)
{
    return get_slot(sender) == 1;
}

static void publish(struct yk_spsc_sender *sender, uint64_t flags, size_t size)
{
    const struct yk_spsc *ring = &sender->ring;
    uint64_t stamp = yk_spsc_stamp(ring, sender->sent);
    /* SYNC spsc.publish release: the bytes before the word. This store is the commit. */
    yk_store_release(yk_spsc_word(yk_spsc_slot(ring, sender->sent)), stamp << 32 | flags | size);
    sender->sent++;
}

/* `mark`: YK_SPSC_MARKED, or 0. */
static void publish_buffered(struct yk_spsc_sender *sender, uint64_t offset, size_t size,
                             uint64_t tag, uint64_t mark)
{
    const struct yk_spsc *ring = &sender->ring;
    /* relaxed, both: SYNC spsc.publish orders them */
    yk_store_relaxed(slot_field(ring, sender->sent, YK_SPSC_OFFSET), offset);
    yk_store_relaxed(slot_field(ring, sender->sent, YK_SPSC_BUFFERED_TAG), tag);
    publish(sender, YK_SPSC_BUFFERED | mark, size);
}

static void publish_tagged(struct yk_spsc_sender *sender, const void *data, size_t size,
                           uint64_t tag, uint64_t mark)
{
    const struct yk_spsc *ring = &sender->ring;
    yk_store_relaxed(slot_field(ring, sender->sent, YK_SPSC_TAG), tag);
    yk_spsc_copy(yk_spsc_slot(ring, sender->sent) + YK_SPSC_TAGGED_BYTES, data, size);
    publish(sender, YK_SPSC_TAGGED | mark, size);
}

int yk_spsc_send(struct yk_spsc_sender *sender, const void *data, size_t size, uint64_t tag,
                 bool marked)
{
    const struct yk_spsc *ring = &sender->ring;
    uint64_t mark = marked ? YK_SPSC_MARKED : 0;
    bool plain = tag == 0 && !marked;
    uint64_t offset;
    int result = get_slot(sender);
    if (result != 1)
        return result;
    if (plain && yk_spsc_send_small(sender, data, size))
        return 1;
    if (!plain && size <= ring->geometry.slot_stride - YK_SPSC_TAGGED_BYTES) {
        publish_tagged(sender, data, size, tag, mark);
        return 1;
    }
    result = take_piece(sender, size, sender->sent, &offset);
    if (result != 1)
        return result;
    yk_check_yield(); /* as in yk_spsc_copy() */
    memcpy(ring->buffer + offset, data, size);
    publish_buffered(sender, offset, size, tag, mark);
    return 1;
}

/* ---- loans ---- */

static struct yk_spsc_piece *find_loan(const struct yk_spsc_sender *sender, const void *block)
{
    for (uint64_t i = sender->end_piece; i-- != sender->first_piece;) {
        struct yk_spsc_piece *piece = piece_at(sender, i);
        if (sender->ring.buffer + piece->offset == block && piece->index == YK_SPSC_LOANED)
            return piece;
    }
    return NULL;
}

int yk_spsc_loan(struct yk_spsc_sender *sender, size_t size, void **ret_block)
{
    uint64_t offset;
    int result = get_slot(sender);
    if (result == 1)
        result = take_piece(sender, size, YK_SPSC_LOANED, &offset);
    if (result == 1)
        *ret_block = sender->ring.buffer + offset;
    return result;
}

int64_t yk_spsc_loan_size(const struct yk_spsc_sender *sender, const void *block)
{
    const struct yk_spsc_piece *piece = find_loan(sender, block);
    return piece ? (int64_t)piece->size : -EINVAL;
}

int yk_spsc_commit(struct yk_spsc_sender *sender, void *block, size_t size, uint64_t tag,
                   bool marked)
{
    struct yk_spsc_piece *piece = find_loan(sender, block);
    if (!piece)
        return -EINVAL;
    int result = get_slot(sender);
    if (result != 1)
        return result;
    piece->index = sender->sent;
    publish_buffered(sender, piece->offset, size, tag, marked ? YK_SPSC_MARKED : 0);
    return 1;
}

int yk_spsc_cancel_loan(struct yk_spsc_sender *sender, const void *block)
{
    struct yk_spsc_piece *piece = find_loan(sender, block);
    if (!piece)
        return -EINVAL;
    piece->index = YK_SPSC_UNUSED;
    while (sender->end_piece != sender->first_piece &&
           piece_at(sender, sender->end_piece - 1)->index == YK_SPSC_UNUSED)
        sender->end_piece--;
    return 1;
}

/* ---- taking over as a sender ---- */

static int by_offset(const void *a, const void *b)
{
    const struct yk_spsc_piece *x = a, *y = b;
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* Which of the pieces, sorted by offset, has the most room before it: the run begins there. */
static uint64_t widest_gap(const struct yk_spsc_piece *pieces, uint64_t count, uint64_t all)
{
    uint64_t best = 0, most = 0;
    for (uint64_t i = 0; i < count; i++) {
        const struct yk_spsc_piece *before = &pieces[(i + count - 1) % count];
        uint64_t end = before->offset + before->size;
        uint64_t gap = i == 0 ? all - end + pieces[0].offset
                              : (pieces[i].offset > end ? pieces[i].offset - end : 0);
        if (i == 0 || gap > most) {
            best = i;
            most = gap;
        }
    }
    return best;
}

/*
 * Loans may have been committed in another order than they were taken, so the order of messages is
 * not that of the buffer: the pieces are put in order, around the end, with the widest gap last.
 */
static void order_pieces(struct yk_spsc_sender *sender, uint64_t count)
{
    struct yk_spsc_piece *pieces = sender->pieces;
    qsort(pieces, count, sizeof *pieces, by_offset);
    uint64_t begin = widest_gap(pieces, count, sender->ring.geometry.buffer);
    for (uint64_t i = 0; i < begin; i++)
        pieces[count + i] = pieces[i]; /* at most half of the entries are in use */
    sender->first_piece = begin;
    sender->end_piece = begin + count;
}

void yk_spsc_resume_sender(struct yk_spsc_sender *sender)
{
    const struct yk_spsc *ring = &sender->ring;
    struct yk_spsc_message message;
    uint64_t count = 0, index = yk_load_acquire(&ring->shm->released);
    sender->released = index;
    for (; index - sender->released < ring->geometry.depth && is_sent(ring, index); index++) {
        /* relaxed: is_sent() has just acquired it */
        uint64_t word = yk_load_relaxed(yk_spsc_word(yk_spsc_slot(ring, index)));
        /* one that no yoke wrote takes no room: the receiver will find the same */
        if ((word & YK_SPSC_BUFFERED) == 0 || decode(ring, index, word, &message) < 0)
            continue;
        sender->pieces[count++] = (struct yk_spsc_piece){
            .offset = (uint64_t)(message.bytes - ring->buffer),
            .size = round_up(message.size > 0 ? message.size : 1, UNIT),
            .index = index,
        };
    }
    sender->sent = index;
    sender->first_piece = sender->end_piece = 0;
    if (count > 0)
        order_pieces(sender, count);
    else
        *piece_at(sender, UINT64_MAX) = (struct yk_spsc_piece){.offset = 0};
}

/* ---- receive ---- */

_Static_assert(YK_SPSC_PERIOD < UINT64_C(1) << 32, "no receipt sees its stamp again");

static struct yk_spsc_lent *lent_at(const struct yk_spsc_receiver *receiver, uint64_t index)
{
    return &receiver->lent[index & receiver->ring.mask];
}

/* How often message `index` was delivered before, and the two flags. Relaxed: see the table. */
static uint64_t read_receipt(const struct yk_spsc *ring, uint64_t index)
{
    uint64_t receipt = yk_load_relaxed(&ring->receipts[index & ring->mask]);
    return receipt >> 32 != yk_spsc_stamp(ring, index) ? 0 : (uint32_t)receipt;
}

static void write_receipt(const struct yk_spsc *ring, uint64_t index, uint64_t value)
{
    yk_store_relaxed(&ring->receipts[index & ring->mask],
                     (uint64_t)yk_spsc_stamp(ring, index) << 32 | value);
}

static uint64_t one_more(uint64_t receipt)
{
    uint64_t count = receipt & COUNT_MASK;
    return count < COUNT_MASK ? count + 1 : count;
}

/*
 * It goes out (again): who dies from now on had it in hand. How many deliveries that makes. The receipt
 * is written also where it was not about this message: renewed.
 */
static uint32_t count_delivery(const struct yk_spsc *ring, uint64_t index, uint64_t receipt)
{
    write_receipt(ring, index, receipt & COUNT_MASK);
    return (uint32_t)one_more(receipt);
}

/* Relaxed, and no read-modify-write: the receiver is the only writer. */
static void count_one(yk_atomic64 *counter)
{
    yk_store_relaxed(counter, yk_load_relaxed(counter) + 1);
}

/* All before the oldest one that is still in hand is released. */
static void advance(struct yk_spsc_receiver *receiver)
{
    do
        lent_at(receiver, receiver->released++)->state = YK_SPSC_FRESH;
    while (receiver->released != receiver->taken &&
           lent_at(receiver, receiver->released)->state == YK_SPSC_RELEASED);
    /* SYNC spsc.release release: after all that was read of these messages */
    yk_store_release(&receiver->ring.shm->released, receiver->released);
}

static void step_over(struct yk_spsc_receiver *receiver, uint64_t index)
{
    receiver->taken = index + 1;
    /* relaxed: only for who comes after this process's death */
    yk_store_relaxed(&receiver->ring.shm->taken, receiver->taken);
}

/*
 * How far from `taken` on may messages be taken without a look at their receipts? Not at all, while
 * there may be any; else up to this period's last lap, which is not ahead if it is this one.
 */
static void look_ahead(struct yk_spsc_receiver *receiver)
{
    uint32_t slots_log2 = receiver->ring.geometry.slots_log2;
    uint64_t last_lap = receiver->taken >> slots_log2 | (YK_SPSC_PERIOD - 1);
    bool slow = receiver->taken < receiver->receipts_until;
    receiver->quick_until = slow ? 0 : last_lap << slots_log2;
}

/*
 * A message that may have been delivered before, to a process that died: is it to be delivered (again)?
 * Else it is passed. One that nobody had is delivered, whatever its mark says.
 */
static bool is_due(struct yk_spsc_receiver *receiver, uint64_t index, uint32_t marked,
                   uint32_t *ret_deliveries)
{
    const struct yk_spsc *ring = &receiver->ring;
    uint64_t receipt = read_receipt(ring, index), count = receipt & COUNT_MASK;
    bool done = (receipt & YK_SPSC_DONE) != 0;
    if (!done && (count == 0 || count + marked < ring->geometry.max_deliveries)) {
        *ret_deliveries = count_delivery(ring, index, receipt) + marked;
        return true;
    }
    if (!done) {
        write_receipt(ring, index, YK_SPSC_DONE);
        count_one(&ring->shm->dropped);
    }
    step_over(receiver, index);
    look_ahead(receiver);
    lent_at(receiver, index)->state = YK_SPSC_RELEASED;
    if (index == receiver->released)
        advance(receiver);
    return false;
}

static int take_returned(struct yk_spsc_receiver *receiver, uint64_t capacity,
                         struct yk_spsc_message *ret)
{
    uint64_t index = receiver->released;
    while (lent_at(receiver, index)->state != YK_SPSC_RETURNED) {
        if (++index == receiver->taken)
            return 0;
    }
    struct yk_spsc_lent *lent = lent_at(receiver, index);
    if (lent->size > capacity)
        return -EMSGSIZE;
    lent->state = YK_SPSC_LENT;
    receiver->returned--;
    count_one(&receiver->ring.shm->redelivered);
    *ret = (struct yk_spsc_message){
        .bytes = lent->bytes,
        .index = index,
        .tag = lent->tag,
        .size = lent->size,
        .deliveries = count_delivery(&receiver->ring, index, read_receipt(&receiver->ring, index)) +
                      lent->marked,
    };
    return 1;
}

int yk_spsc_take(struct yk_spsc_receiver *receiver, uint64_t capacity, struct yk_spsc_message *ret)
{
    const struct yk_spsc *ring = &receiver->ring;
    if (receiver->returned > 0)
        return take_returned(receiver, capacity, ret);
    for (uint64_t step = 0; step <= ring->geometry.depth; step++) {
        uint64_t index = receiver->taken;
        /* SYNC spsc.publish acquire; seq: after the bell was announced, SYNC wait.receive */
        uint64_t word = yk_load_seq(yk_spsc_word(yk_spsc_slot(ring, index)));
        uint32_t marked = (word & YK_SPSC_MARKED) != 0;
        struct yk_spsc_message message = {.deliveries = 1 + marked};
        if ((uint32_t)(word >> 32) != yk_spsc_stamp(ring, index))
            return 0;
        /* an honest sender waits for `released`; of another one each message has its place in `lent` */
        if (index - receiver->released >= ring->geometry.depth)
            return -EPROTO;
        bool quick = index < receiver->quick_until;
        if (!quick && !is_due(receiver, index, marked, &message.deliveries))
            continue;
        int result = decode(ring, index, word, &message);
        if (result < 0)
            return result;
        if (message.size > capacity)
            return -EMSGSIZE;
        step_over(receiver, index);
        if (!quick)
            look_ahead(receiver);
        *lent_at(receiver, index) = (struct yk_spsc_lent){.bytes = message.bytes,
                                                          .tag = message.tag,
                                                          .size = message.size,
                                                          .state = YK_SPSC_LENT,
                                                          .marked = (uint16_t)marked};
        if (message.deliveries > 1 + marked)
            count_one(&ring->shm->redelivered);
        *ret = message;
        return 1;
    }
    return -EPROTO;
}

bool yk_spsc_recv_big(struct yk_spsc_receiver *receiver, void *buffer, size_t capacity,
                      size_t *ret_size)
{
    const struct yk_spsc *ring = &receiver->ring;
    uint64_t index = receiver->taken;
    struct yk_spsc_message message;
    /* SYNC spsc.publish acquire */
    uint64_t word = yk_load_acquire(yk_spsc_word(yk_spsc_slot(ring, index)));
    if ((uint32_t)(word >> 32) != yk_spsc_stamp(ring, index) || index >= receiver->quick_until ||
        receiver->released != index || decode(ring, index, word, &message) < 0 ||
        message.size > capacity)
        return false;
    step_over(receiver, index);
    yk_fence_compiler();
    yk_check_yield();
    memcpy(buffer, message.bytes, message.size);
    receiver->released = index + 1;
    /* SYNC spsc.release release: after the copy */
    yk_store_release(&ring->shm->released, index + 1);
    *ret_size = message.size;
    return true;
}

/* ---- release, return ---- */

static struct yk_spsc_lent *find_state(const struct yk_spsc_receiver *receiver, uint64_t index)
{
    struct yk_spsc_lent *lent = lent_at(receiver, index);
    bool in_hand = index - receiver->released < receiver->taken - receiver->released;
    return in_hand && lent->state == YK_SPSC_LENT ? lent : NULL;
}

int yk_spsc_release(struct yk_spsc_receiver *receiver, uint64_t index)
{
    struct yk_spsc_lent *lent = find_state(receiver, index);
    if (!lent)
        return -EINVAL;
    lent->state = YK_SPSC_RELEASED;
    if (index == receiver->released)
        advance(receiver);
    else
        write_receipt(&receiver->ring, index, YK_SPSC_DONE);
    return 1;
}

int yk_spsc_return(struct yk_spsc_receiver *receiver, uint64_t index)
{
    const struct yk_spsc_geometry *geometry = &receiver->ring.geometry;
    struct yk_spsc_lent *lent = find_state(receiver, index);
    if (!lent)
        return -EINVAL;
    uint64_t deliveries = one_more(read_receipt(&receiver->ring, index));
    if (geometry->once || deliveries + lent->marked >= geometry->max_deliveries) {
        count_one(&receiver->ring.shm->dropped);
        return yk_spsc_release(receiver, index);
    }
    write_receipt(&receiver->ring, index, YK_SPSC_AGAIN | deliveries);
    lent->state = YK_SPSC_RETURNED;
    receiver->returned++;
    return 1;
}

int64_t yk_spsc_find_lent(const struct yk_spsc_receiver *receiver, const void *bytes)
{
    for (uint64_t index = receiver->released; index != receiver->taken; index++) {
        const struct yk_spsc_lent *lent = lent_at(receiver, index);
        if (lent->bytes == bytes && lent->state == YK_SPSC_LENT)
            return (int64_t)index;
    }
    return -EINVAL;
}

/* ---- taking over as a receiver ---- */

void yk_spsc_resume_receiver(struct yk_spsc_receiver *receiver)
{
    const struct yk_spsc *ring = &receiver->ring;
    uint64_t released = yk_load_acquire(&ring->shm->released);
    receiver->released = receiver->taken = receiver->receipts_until = released;
    receiver->returned = 0;
    memset(receiver->lent, 0, (ring->mask + 1) * sizeof *receiver->lent);
    for (uint64_t i = released; i - released < ring->geometry.depth; i++) {
        if (read_receipt(ring, i) != 0)
            receiver->receipts_until = i + 1;
    }
    look_ahead(receiver);
}

uint64_t yk_spsc_recover_receiver(const struct yk_spsc *ring)
{
    uint64_t released = yk_load_acquire(&ring->shm->released), given_back = 0;
    uint64_t in_hand = yk_load_relaxed(&ring->shm->taken) - released;
    if (in_hand > ring->geometry.depth) /* `taken` may lag behind, or be what no yoke wrote */
        in_hand = 0;
    for (uint64_t i = released; i - released < in_hand; i++) {
        uint64_t receipt = read_receipt(ring, i);
        if (receipt & (YK_SPSC_DONE | YK_SPSC_AGAIN))
            continue;
        if (ring->geometry.once)
            count_one(&ring->shm->dropped);
        write_receipt(ring, i,
                      ring->geometry.once ? YK_SPSC_DONE : YK_SPSC_AGAIN | one_more(receipt));
        given_back++;
    }
    /* release: the receipts before it, so that who is interrupted here does it all again */
    yk_store_release(&ring->shm->taken, released);
    return given_back;
}

void yk_spsc_count(const struct yk_spsc *ring, struct yk_spsc_counts *ret)
{
    uint64_t released = yk_load_acquire(&ring->shm->released), now = released, sent, in_hand, bytes;
    int tries = 0;
    do { /* what is released meanwhile may be overwritten, and then does not look sent */
        released = now;
        in_hand = yk_load_relaxed(&ring->shm->taken) - released;
        bytes = 0;
        for (sent = released; sent - released < ring->geometry.depth && is_sent(ring, sent); sent++)
            /* relaxed: is_sent() has just acquired it, and the sum is only shown */
            bytes += yk_load_relaxed(yk_spsc_word(yk_spsc_slot(ring, sent))) & YK_SPSC_SIZE_MASK;
        now = yk_load_acquire(&ring->shm->released);
    } while (now != released && ++tries < COUNT_TRIES);
    *ret = (struct yk_spsc_counts){
        .sent = sent,
        .released = released,
        /* who looks while both sides go on may see fewer than were in hand */
        .taken = released + (in_hand <= sent - released ? in_hand : 0),
        .bytes = bytes,
    };
}

bool yk_spsc_look(const struct yk_spsc *ring, uint64_t index, struct yk_spsc_message *ret_message)
{
    /* SYNC spsc.publish acquire */
    uint64_t word = yk_load_acquire(yk_spsc_word(yk_spsc_slot(ring, index)));
    if ((uint32_t)(word >> 32) != yk_spsc_stamp(ring, index) ||
        decode(ring, index, word, ret_message) < 0)
        return false;
    ret_message->deliveries =
        (uint32_t)(read_receipt(ring, index) & COUNT_MASK) + ((word & YK_SPSC_MARKED) != 0);
    return true;
}

int yk_spsc_stage(const struct yk_spsc *ring, uint64_t index)
{
    bool sent = is_sent(ring, index);
    /* relaxed: only shown */
    bool taken = (int64_t)(yk_load_relaxed(&ring->shm->taken) - index) > 0 ||
                 (int64_t)(yk_load_acquire(&ring->shm->released) - index) > 0;
    return taken ? 2 : sent;
}
