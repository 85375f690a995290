/* spsc_model.c - the ledger, and the questions. See spsc_model.h. */
#include "spsc_model.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static struct spsc_ledger *ledger(void)
{
    return &spsc_world->ledger;
}

static uint32_t depth(void)
{
    return spsc_ring.geometry.depth;
}

void spsc_fault(const char *format, ...)
{
    va_list arguments;
    if (ledger()->fault[0] != '\0')
        return;
    va_start(arguments, format);
    vsnprintf(ledger()->fault, sizeof ledger()->fault, format, arguments);
    va_end(arguments);
}

/* ---- reading the image, independently of spsc.c ---- */

static uint64_t word_at(uint64_t index)
{
    return yk_spsc_word(yk_spsc_slot(&spsc_ring, index))->raw;
}

static uint64_t stamp_of(uint64_t index)
{
    return (index / (spsc_ring.mask + 1) + 1) & UINT32_MAX;
}

static bool stamp_says(uint64_t index)
{
    return word_at(index) >> 32 == stamp_of(index);
}

/* As positions: how many messages came before. */
static uint32_t released_in_image(void)
{
    return (uint32_t)(spsc_ring.shm->released.raw - spsc_base);
}

static uint32_t sent_in_image(void)
{
    uint32_t sent = released_in_image();
    while (sent - released_in_image() <= spsc_ring.mask && stamp_says(spsc_base + sent))
        sent++;
    return sent;
}

/* Is this message whole where the slot says it is? */
static bool lies_there(uint32_t position, uint32_t id)
{
    uint64_t word = word_at(spsc_base + position), size = word & YK_SPSC_SIZE_MASK, at[3];
    const unsigned char *slot = yk_spsc_slot(&spsc_ring, spsc_base + position);
    memcpy(at, slot, sizeof at);
    if (((word & YK_SPSC_MARKED) != 0) != spsc_is_marked(id))
        return false;
    if (word & YK_SPSC_BUFFERED)
        return at[1] % 64 == 0 && at[1] + size <= spsc_ring.geometry.buffer &&
               at[2] == spsc_tag_of(id) && spsc_bytes_match(id, spsc_ring.buffer + at[1], size);
    if (word & YK_SPSC_TAGGED)
        return size <= 48 && at[1] == spsc_tag_of(id) && spsc_bytes_match(id, slot + 16, size);
    return size <= 56 && spsc_tag_of(id) == 0 && spsc_bytes_match(id, slot + 8, size);
}

/* ---- what may happen to a message ---- */

static bool is_over(const struct spsc_message_fate *one)
{
    return one->fate == ACKED || one->fate == GONE;
}

static uint32_t id_at(uint32_t position)
{
    return position < ledger()->sent ? ledger()->message[position].id : ledger()->pending;
}

bool spsc_used_up(uint32_t position, uint32_t deliveries)
{
    uint32_t marked = spsc_is_marked(id_at(position));
    return deliveries > 0 && deliveries + marked >= spsc_ring.geometry.max_deliveries;
}

/* May it be dropped instead of being delivered (again)? */
static bool may_be_dropped(uint32_t position)
{
    const struct spsc_message_fate *one = &ledger()->message[position];
    if (spsc_ring.geometry.once)
        return one->lost != 0 || one->seen > 0;
    return spsc_used_up(position, one->seen + one->slack);
}

static bool must_be_dropped(uint32_t position)
{
    uint32_t seen = ledger()->message[position].seen;
    return spsc_ring.geometry.once ? seen > 0 : spsc_used_up(position, seen);
}

/* A later one was delivered, or it is said that there is nothing. */
static void pass(uint32_t position)
{
    struct spsc_message_fate *one = &ledger()->message[position];
    if (one->fate == MAYBE || one->fate == PASSING ||
        ((one->fate == FRESH || one->fate == BACK) && may_be_dropped(position)))
        one->fate = GONE;
    else if (one->fate == FRESH || one->fate == BACK)
        spsc_fault("message %u was passed over", position);
}

static bool check_delivered(uint32_t position)
{
    if (position >= SPSC_MOST || position > ledger()->sent ||
        (position == ledger()->sent && ledger()->pending == 0)) {
        spsc_fault("message %u was delivered, and never sent", position);
        return false;
    }
    for (uint32_t i = 0; i < position; i++)
        pass(i);
    const struct spsc_message_fate *one = &ledger()->message[position];
    if (one->fate != FRESH && one->fate != BACK && one->fate != MAYBE)
        spsc_fault("message %u was delivered again (it was %u)", position, one->fate);
    if (must_be_dropped(position))
        spsc_fault("message %u was delivered once too often", position);
    return true;
}

void spsc_delivered(const struct yk_spsc_message *message)
{
    uint32_t position = (uint32_t)(message->index - spsc_base);
    if (!check_delivered(position))
        return;
    struct spsc_message_fate *one = &ledger()->message[position];
    uint32_t id = id_at(position), marked = spsc_is_marked(id), least = one->seen + 1u + marked;
    if (!spsc_bytes_match(id, message->bytes, message->size) || message->tag != spsc_tag_of(id))
        spsc_fault("message %u is torn", position);
    if (message->deliveries < least || message->deliveries > least + one->slack)
        spsc_fault("message %u is said to be delivered %u times, and it was %u", position,
                   message->deliveries, least);
    one->seen = (uint8_t)(message->deliveries - marked);
    one->slack = 0;
    one->bytes = message->bytes;
    one->fate = HAND;
}

void spsc_swallowed(const unsigned char *bytes, size_t size)
{
    uint32_t position = 0;
    while (position < SPSC_MOST - 1 && is_over(&ledger()->message[position]))
        position++;
    if (!check_delivered(position))
        return;
    if (!spsc_bytes_match(id_at(position), bytes, size))
        spsc_fault("message %u is torn", position);
    ledger()->message[position].seen = 1;
    ledger()->message[position].fate = ACKED;
}

void spsc_nothing_there(uint32_t sent_before)
{
    /* What was being sent meanwhile may have come, and gone. */
    for (uint32_t i = 0; i < sent_before || (i <= ledger()->sent && i < released_in_image()); i++)
        pass(i);
}

void spsc_too_big(uint64_t capacity)
{
    for (uint32_t i = 0; i < released_in_image(); i++)
        pass(i);
    for (uint32_t i = 0; i <= ledger()->sent; i++) {
        const struct spsc_message_fate *one = &ledger()->message[i];
        bool there =
            id_at(i) != 0 && (one->fate == FRESH || one->fate == BACK || one->fate == MAYBE);
        if (there && spsc_size_of(id_at(i)) > capacity)
            return;
        if (there && one->fate != MAYBE && !may_be_dropped(i))
            break;
    }
    spsc_fault("a message is called too big, and the next one is not");
}

bool spsc_must_go(uint32_t process, uint32_t id)
{
    uint32_t over = 0;
    bool buffer_free = spsc_world->senders[process].loan_count == 0;
    while (over < ledger()->sent && is_over(&ledger()->message[over]))
        over++;
    for (uint32_t i = over; i < ledger()->sent; i++)
        buffer_free = buffer_free && ledger()->message[i].id % 10 != BUFFERED &&
                      ledger()->message[i].id % 10 != BUFFERED_TAGGED;
    bool buffered = id % 10 == BUFFERED || id % 10 == BUFFERED_TAGGED;
    /* Room for two more of the biggest than may be on the way: then one goes wherever the others lie. */
    uint64_t piece = (spsc_ring.geometry.max_message + 63) / 64 * 64;
    bool planned = spsc_ring.geometry.buffer >= (depth() + 2) * piece && !ledger()->loaned;
    return ledger()->sent - over < depth() && (!buffered || buffer_free || planned);
}

/* ---- deaths ---- */

void spsc_sender_died(void)
{
    struct spsc_ledger *book = ledger();
    if (book->pending != 0 && sent_in_image() > book->sent) {
        book->message[book->sent].id = book->pending;
        book->sent++;
    }
    book->pending = 0;
    book->sender_busy = 0;
    book->sender_dead = 1;
}

/*
 * In a take that nobody saw the end of, one message may have been delivered: the oldest that was to come again,
 * or else the newest that is said to be taken.
 */
static void unseen_delivery(uint32_t released, uint32_t taken)
{
    bool found = false;
    for (uint32_t i = released; i < taken && !found; i++) {
        struct spsc_message_fate *one = &ledger()->message[i];
        bool in_line =
            one->fate == BACK || one->fate == MAYBE || (one->fate == FRESH && i + 1 == taken);
        if (!in_line || must_be_dropped(i))
            continue;
        found = one->fate != MAYBE && !may_be_dropped(i);
        one->slack++;
        one->lost = 1;
    }
}

void spsc_receiver_died(void)
{
    struct spsc_ledger *book = ledger();
    uint32_t released = released_in_image(),
             taken = (uint32_t)(spsc_ring.shm->taken.raw - spsc_base);
    if (book->swallowing && released > 0 && released <= SPSC_MOST &&
        !is_over(&book->message[released - 1]))
        book->message[released - 1].fate = ACKED; /* the call had acknowledged it */
    if ((book->taking || book->swallowing) && taken - released <= depth() && taken <= SPSC_MOST)
        unseen_delivery(released, taken);
    for (uint32_t i = 0; i < SPSC_MOST; i++) {
        struct spsc_message_fate *one = &book->message[i];
        bool dropping = spsc_ring.geometry.once || spsc_used_up(i, one->seen);
        if (one->fate == ACKING || (one->fate == RETURNING && dropping))
            one->fate = MAYBE;
        else if (one->fate == HAND || one->fate == RETURNING)
            one->fate = BACK;
        if (i < released &&
            (one->fate == MAYBE || one->fate == PASSING || (book->taking && may_be_dropped(i))))
            one->fate = GONE;
        else if (i >= released && is_over(one))
            one->fate = PASSING;
    }
    book->taking = book->swallowing = book->receiver_busy = 0;
    book->receiver_dead = 1;
}

/* ---- true at every instant ---- */

static bool released_rightly(uint32_t position)
{
    const struct spsc_message_fate *one = &ledger()->message[position];
    bool in_call = ledger()->taking && may_be_dropped(position);
    bool swallowed = ledger()->swallowing && position + 1 == released_in_image();
    bool dropping =
        one->fate == RETURNING && (spsc_ring.geometry.once || spsc_used_up(position, one->seen));
    if (is_over(one) || one->fate == ACKING || one->fate == MAYBE || one->fate == PASSING ||
        dropping || in_call || swallowed)
        return true;
    return fail("message %u is released, and nobody has acknowledged it", position);
}

/*
 * A receipt that bears the stamp of a message which may come now or later is about that very message: somebody
 * had it, and not less often than the receipt says.
 */
static bool receipt_is_true(uint32_t position)
{
    const struct spsc_message_fate *one = &ledger()->message[position];
    uint64_t index = spsc_base + position, receipt = spsc_ring.receipts[index & spsc_ring.mask].raw;
    uint32_t count = receipt & (YK_SPSC_AGAIN - 1);
    if (receipt >> 32 != stamp_of(index) || (uint32_t)receipt == 0)
        return true;
    if (one->seen + one->slack == 0)
        return fail("message %u has a receipt, and nobody had it", position);
    return count <= (uint32_t)one->seen + one->slack ||
           fail("message %u was delivered %u times, says its receipt", position, count);
}

bool spsc_holds_invariants(void)
{
    const struct spsc_ledger *book = ledger();
    uint64_t taken = spsc_ring.shm->taken.raw, released = spsc_ring.shm->released.raw;
    uint32_t sent = sent_in_image(), gone = released_in_image();
    if (book->fault[0] != '\0')
        return fail("%s", book->fault);
    if (taken - released > depth() || gone > SPSC_MOST)
        return fail("released %llu, taken %llu", (unsigned long long)(released - spsc_base),
                    (unsigned long long)(taken - spsc_base));
    if (sent != book->sent && (sent != book->sent + 1 || book->pending == 0))
        return fail("by the slots %u are sent, by the ledger %u", sent, book->sent);
    if (sent - gone > depth())
        return fail("%u messages are on the way", sent - gone);
    for (uint32_t i = 0; i < gone; i++)
        if (!released_rightly(i))
            return false;
    for (uint32_t i = gone; i < sent; i++)
        if (!lies_there(i, id_at(i)))
            return fail("message %u is sent, and not whole", i);
    for (uint32_t i = gone; i - gone <= spsc_ring.mask && i < SPSC_MOST; i++)
        if (!receipt_is_true(i))
            return false;
    for (uint32_t i = 0; i <= book->sent; i++)
        if (book->message[i].fate == HAND &&
            !spsc_bytes_match(id_at(i), book->message[i].bytes, spsc_size_of(id_at(i))))
            return fail("message %u changes in its receiver's hand", i);
    return true;
}

/* ---- everybody stops ---- */

#define QUESTIONS_ID 2000

static uint32_t next_id;

static uint32_t some_id(enum spsc_kind kind)
{
    return spsc_id(next_id++, kind);
}

static bool well(const char *when)
{
    char said[sizeof why];
    if (spsc_holds_invariants())
        return true;
    memcpy(said, why, sizeof said);
    return fail("%s: %s", when, said);
}

static void new_sender(void)
{
    spsc_sender_died();
    spsc_resume_sender(1);
}

static void new_receiver(void)
{
    if (!ledger()->receiver_dead)
        spsc_receiver_died();
    spsc_recover();
    spsc_recover();
    spsc_resume_receiver(1);
}

/* A buffered one first: it must not come where another one lies. */
static bool send_all_that_goes(void)
{
    uint32_t who = ledger()->sender;
    while (ledger()->sent < SPSC_MOST - 2 && spsc_send(who, some_id(BUFFERED_TAGGED)) &&
           spsc_send(who, some_id(SMALL))) {
    }
    while (ledger()->sent < SPSC_MOST - 2 && spsc_send(who, some_id(SMALL))) {
    }
    uint32_t on_the_way = ledger()->sent - released_in_image();
    if (ledger()->fault[0] == '\0' && on_the_way != depth())
        return fail("full with %u messages on the way", on_the_way);
    return well("the sender goes on");
}

/* Two at a time, the newer of which is released first. Ends by "nothing there". */
static bool take_all(void)
{
    uint32_t who = ledger()->receiver;
    for (int left; (left = spsc_in_hand(true)) >= 0;)
        spsc_release(who, (uint32_t)left);
    for (uint32_t i = 0; i <= SPSC_MOST && spsc_take(who, UINT64_MAX); i++) {
        spsc_take(who, UINT64_MAX);
        for (int left; (left = spsc_in_hand(true)) >= 0;)
            spsc_release(who, (uint32_t)left);
    }
    for (uint32_t i = 0; ledger()->fault[0] == '\0' && i < ledger()->sent; i++)
        if (!is_over(&ledger()->message[i]))
            return fail("message %u was never delivered", i);
    if (ledger()->fault[0] == '\0' && released_in_image() != sent_in_image())
        return fail("all is acknowledged, and %u of %u is released", released_in_image(),
                    sent_in_image());
    return well("the receiver takes all");
}

/* All is taken: `depth` messages go, not one more, and then they come. */
static bool room_is_back(void)
{
    uint32_t who = ledger()->sender, to = ledger()->receiver;
    while (spsc_world->senders[who].loan_count > 0)
        spsc_cancel(who, 0);
    for (int i = 0; i < 3; i++)
        if (!spsc_send(who, spsc_id(3 * (100u + (uint32_t)i), BUFFERED)) || !spsc_recv(to))
            return well("one of the biggest goes"),
                   fail("the biggest message does not go through (%s)", why);
    if (!yk_spsc_has_room(&spsc_world->senders[who].sender))
        return fail("all is taken, and there is no room");
    for (uint32_t i = 0; i < depth(); i++)
        if (!spsc_send(who, some_id(i % 2 == 0 ? SMALL : TAGGED)))
            return well("room"), fail("there is room for %u messages only (%s)", i, why);
    if (spsc_send(who, some_id(SMALL)) || yk_spsc_has_room(&spsc_world->senders[who].sender))
        return fail("there is room for more than %u messages", depth());
    for (uint32_t i = 0; i < depth(); i++)
        if (!spsc_recv(to))
            return well("all come"), fail("only %u messages come (%s)", i, why);
    if (spsc_recv(to))
        return fail("a message comes that nobody sent");
    return well("as at first");
}

/* Questions in the order in which they are asked; each begins with the world as it stands. */
enum { STOPPED, DEAD, RECEIVER_TAKES, QUESTIONS };

static bool ask(int question, bool new_one)
{
    struct spsc_ledger *book = ledger();
    bool receiver_lives = !book->receiver_busy && !book->receiver_dead;
    bool sender_lives = !book->sender_busy && !book->sender_dead;
    if (question == RECEIVER_TAKES) { /* the sender stands still, or is dead */
        if (!receiver_lives || (!new_one && sender_lives))
            return true;
        if (new_one)
            new_sender();
        bool taken = take_all();
        if (taken && !new_one)
            new_sender();
        return taken && room_is_back();
    }
    if (!new_one && !sender_lives)
        return true;
    if (new_one)
        new_sender();
    if (question == STOPPED && !send_all_that_goes()) /* the receiver stands still */
        return false;
    new_receiver();
    return well("recovered") && take_all() && room_is_back();
}

bool spsc_all_is_well(void)
{
    static unsigned char kept[SPSC_IMAGE_MAX];
    static struct spsc_world world;
    static const char *const names[] = {"the receiver stops, then dies", "the receiver dies",
                                        "the sender stops"};
    memcpy(kept, spsc_image, spsc_image_size);
    memcpy(&world, spsc_world, sizeof world);
    bool is_well = spsc_holds_invariants();
    for (int i = 0; i < 2 * QUESTIONS && is_well; i++) {
        next_id = QUESTIONS_ID + (uint32_t)i;
        is_well = ask(i / 2, i % 2 == 1);
        if (!is_well) {
            char said[sizeof why];
            memcpy(said, why, sizeof said);
            fail("%s%s: %s", names[i / 2], i % 2 == 1 ? ", a new sender" : "", said);
        }
        memcpy(spsc_image, kept, spsc_image_size);
        memcpy(spsc_world, &world, sizeof world);
    }
    return is_well;
}
