/* See model.h. */
#include "model.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- the sequential model ---- */

void expect(struct expected *expected, uint64_t id, uint32_t number, bool maybe)
{
    if (expected->count == MESSAGES_MAX)
        give_up("the model has room for no more messages");
    expected->message[expected->count].id = (uint32_t)id;
    expected->message[expected->count].ring = (uint8_t)number;
    expected->message[expected->count].maybe = maybe;
    expected->message[expected->count].taken = 0;
    expected->count++;
}

int find_expected(const struct expected *expected, uint64_t id)
{
    for (uint32_t i = 0; i < expected->count; i++)
        if (expected->message[i].id == id)
            return (int)i;
    return -1;
}

void expect_gone(struct expected *expected, uint64_t id)
{
    int i = find_expected(expected, id);
    if (i >= 0)
        expected->message[i] = expected->message[--expected->count];
}

/* Would giving this held message back park it? */
static bool would_park(const struct look *look)
{
    return !ring.geometry.once && look->deliveries + 1 >= ring.geometry.max_deliveries;
}

uint64_t uncertain_with(enum participant who)
{
    uint32_t parked = count_parking();
    uint64_t uncertain = 0;
    FOR_EACH_CELL(look)
    if (look.state == YK_CELL_HELD && look.owner == who && look.named &&
        (ring.geometry.once || (would_park(&look) && ++parked + 1 > ring.geometry.max_parked)))
        uncertain |= UINT64_C(1) << (look.id & 63);
    return uncertain;
}

/* ---- what the operations did to the model ---- */

/* Nobody sends from this pool now: each of its blocks is free, or a cell names it. */
static bool leaves_no_block(uint32_t who)
{
    for (uint32_t k = 0; k < ring.geometry.blocks_each; k++) {
        uint32_t number = who * ring.geometry.blocks_each + k;
        uint64_t word = yk_ring_block(&ring, number)->word.raw;
        if (word == 0)
            continue;
        struct look look = look_at(word >> 1 & 31, index_of(word >> 6));
        if (look.state == YK_CELL_EMPTY || look.block != number)
            return fail("block %u is used, but its living owner is not sending it", number);
    }
    return true;
}

/* Too big for a small buffer: was there such a message at all? */
static bool settle_too_big(const struct expected *start, const struct result *results,
                           uint32_t count)
{
    for (uint32_t i = 0; i < start->count; i++)
        if (size_of(start->message[i].id) > SMALL_BUFFER)
            return true;
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t k = 0; is_send(results[i].operation) && k < results[i].sent; k++)
            if (size_of(results[i].id + k) > SMALL_BUFFER)
                return true;
        for (uint32_t k = 0; k < results[i].got; k++)
            if (size_of(results[i].got_id[k]) > SMALL_BUFFER)
                return true;
    }
    FOR_EACH_CELL(look)
    if (look.named && size_of(look.id) > SMALL_BUFFER)
        return true;
    return fail("a message is called too big, but there was none");
}

static bool settle_send(struct expected *expected, const struct result *x)
{
    uint32_t number = ring_for(x->who, x->id);
    for (uint32_t k = 0; k < x->sent; k++) {
        expect(expected, x->id + k, number, false);
        if (x->sequence[k] < x->floor[number] || (k > 0 && x->sequence[k] <= x->sequence[k - 1]))
            return fail(
                "message %u was sent at sequence %llu, behind which others had been sent before",
                x->id + k, (unsigned long long)x->sequence[k]);
    }
    if (!x->done && x->sent < wanted(x->operation))
        expect(expected, x->id + x->sent, number, true);
    if (x->done && !x->disturbed && x->sent < x->could)
        return fail("participant %u sent %u though there was room for %u", x->who, x->sent,
                    x->could);
    return true;
}

/* The message is released, or (`maybe`) may be. */
static bool settle_release(struct expected *expected, uint64_t id, bool maybe)
{
    int i = find_expected(expected, id);
    if (i < 0)
        return fail("message %llu was delivered though it was not there (twice, or torn)",
                    (unsigned long long)id);
    if (maybe)
        expected->message[i].maybe = 1;
    else
        expect_gone(expected, id);
    return true;
}

static bool settle_take(struct expected *expected, const struct result *x)
{
    bool parked = x->operation == OP_RECV_PARKED;
    for (uint32_t k = 0; k < x->got; k++) {
        int i = find_expected(expected, x->got_id[k]);
        if (i < 0)
            return fail("participant %u got message %llu, which was not there (twice, or torn)",
                        x->who, (unsigned long long)x->got_id[k]);
        expected->message[i].taken += !parked;
        /* It was the first in line: no older one waits. */
        FOR_EACH_CELL(look)
        if (!parked && x->held[k].deliveries == 1 && look.ring == x->held[k].ring &&
            look.state == YK_CELL_FULL &&
            look.position * ring.geometry.rings + look.ring < x->held[k].sequence)
            return fail("participant %u got message %llu though %llu waits before it", x->who,
                        (unsigned long long)x->got_id[k], (unsigned long long)look.id);
    }
    if (!x->done && x->got < wanted(x->operation) && !parked)
        expected->slack++;
    for (uint32_t k = 0; k < x->releasing; k++)
        if (!settle_release(expected, x->got_id[k], !x->done && k + 1 == x->releasing))
            return false;
    if (x->done && !x->disturbed && x->got < x->could)
        return fail("participant %u got %u though %u waited", x->who, x->got, x->could);
    return true;
}

static bool settle_return(struct expected *expected, const struct result *x, uint32_t others)
{
    int i = find_expected(expected, x->got_id[0]);
    if (i < 0)
        return fail("participant %u returned message %llu, which was not there", x->who,
                    (unsigned long long)x->got_id[0]);
    if (ring.geometry.once && x->done)
        expect_gone(expected, x->got_id[0]);
    else if (ring.geometry.once)
        expected->message[i].maybe = 1;
    else if (x->held[0].deliveries >= ring.geometry.max_deliveries &&
             x->could + others >= ring.geometry.max_parked)
        expected->message[i].maybe = 1;
    return true;
}

/* A borrower that nobody recovered still has what it borrowed. */
static bool settle_borrow(const struct result *results, uint32_t count, const struct result *x)
{
    for (uint32_t i = 0; i < count; i++)
        if (x->who == FIRST && results[i].begun && results[i].operation == OP_RECOVER_FIRST)
            return true;
    for (uint32_t k = x->releasing; k < x->got; k++) {
        struct look look = look_at(x->held[k].ring, x->held[k].index);
        if (look.state != YK_CELL_HELD || look.owner != x->who || look.block != x->held[k].block ||
            !look.named || look.id != x->got_id[k])
            return fail("participant %u borrowed message %llu, but the cell says otherwise", x->who,
                        (unsigned long long)x->got_id[k]);
        if (look.returning != 0)
            return fail("message %llu is held, yet marked as being returned",
                        (unsigned long long)look.id);
    }
    return true;
}

/* No operation ends with an error, but for the one that has too small a buffer. */
static bool settle_statuses(const struct expected *expected, const struct result *results,
                            uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct result *x = &results[i];
        if (!x->begun || x->status >= 0)
            continue;
        if (x->operation != OP_RECV_SMALL || x->status != -EMSGSIZE)
            return fail("participant %u: %s says %d", x->who, operation_names[x->operation],
                        x->status);
        if (!settle_too_big(expected, results, count))
            return false;
    }
    return true;
}

/* What was taken in advance, to be released or returned. */
static bool settle_prepared(struct expected *expected, const struct result *x)
{
    if (x->operation != OP_RELEASE && x->operation != OP_RETURN)
        return true;
    int i = find_expected(expected, x->got_id[0]);
    if (i < 0)
        return fail("participant %u was given message %llu, which was not there", x->who,
                    (unsigned long long)x->got_id[0]);
    expected->message[i].taken++;
    return true;
}

static bool parks(const struct result *x)
{
    return x->begun && (x->operation == OP_RETURN || x->operation == OP_RETURN_PARKED ||
                        x->operation == OP_RECOVER_DEAD || x->operation == OP_RECOVER_FIRST);
}

static bool settle_pools(const struct result *results, uint32_t count)
{
    for (uint32_t who = FIRST; who < PARTICIPANTS; who++) {
        bool was_sending = false, is_busy = false;
        for (uint32_t i = 0; i < count; i++) {
            was_sending |= results[i].who == who && is_send(results[i].operation);
            is_busy |= results[i].who == who && results[i].begun && !results[i].done;
        }
        if (was_sending && !is_busy && !leaves_no_block(who))
            return false;
    }
    return true;
}

/*
 * Brings the model up to what the operations did, in whatever order they did it: what was sent is there before it is
 * taken, and what was given back may have been taken again since.
 */
static bool settle_all(struct expected *expected, const struct result *results, uint32_t count)
{
    uint32_t parkers = 0;
    if (!settle_statuses(expected, results, count) || !settle_pools(results, count))
        return false;
    for (uint32_t i = 0; i < count; i++) {
        parkers += parks(&results[i]);
        if (results[i].begun && is_send(results[i].operation) &&
            !settle_send(expected, &results[i]))
            return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct result *x = &results[i];
        if (!settle_prepared(expected, x))
            return false;
        if (x->begun && (x->operation == OP_RETURN || x->operation == OP_RETURN_PARKED) &&
            !settle_return(expected, x, parkers - 1))
            return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct result *x = &results[i];
        if (!x->begun)
            continue;
        if ((takes(x->operation) || x->operation == OP_RECV_PARKED) &&
            (!settle_take(expected, x) || !settle_borrow(results, count, x)))
            return false;
        if (x->operation == OP_RELEASE && x->releasing &&
            !settle_release(expected, x->got_id[0], !x->done))
            return false;
    }
    for (uint32_t i = 0; i < expected->count; i++)
        expected->message[i].maybe |= expected->uncertain >> (expected->message[i].id & 63) & 1;
    return true;
}

/* ---- invariants ---- */

static bool window_holds(uint32_t number)
{
    uint64_t oldest = UINT64_MAX, newest = 0;
    for (uint32_t i = 0; i < cell_count(); i++) {
        struct look look = look_at(number, i);
        if (look.state != YK_CELL_FULL)
            continue;
        oldest = look.position < oldest ? look.position : oldest;
        newest = look.position > newest ? look.position : newest;
    }
    if (oldest != UINT64_MAX && newest - oldest >= ring.geometry.depth)
        return fail("messages wait at positions %llu to %llu, with depth %u",
                    (unsigned long long)oldest, (unsigned long long)newest, ring.geometry.depth);
    return true;
}

bool ring_holds_invariants(void)
{
    uint8_t named[BLOCKS_MAX] = {0};
    bool again[RINGS_MAX_HERE] = {false};
    uint32_t parked[RINGS_MAX_HERE] = {0};
    FOR_EACH_CELL(look)
    {
        if (look.state > YK_CELL_PARKED || look.block >= ring.blocks_total)
            return fail("cell %u has impossible values", look.index);
        if (look.state == YK_CELL_EMPTY)
            continue;
        if (look.state != YK_CELL_HELD && !look.named)
            return fail("cell %u is in state %u, but its block %u is not of that cell", look.index,
                        look.state, look.block);
        if (look.named && named[look.block]++ != 0)
            return fail("block %u is in two cells", look.block);
        uint64_t word_lap = look.position >> ring.geometry.cells_log2 & LAPS_MASK;
        if (look.state == YK_CELL_FULL && word_lap != look.lap)
            return fail("cell %u: FULL, but not of its block's lap", look.index);
        if (look.named && ((look.lap - word_lap) & LAPS_MASK) > 1000)
            return fail("cell %u: its lap went back", look.index);
        if (look.state == YK_CELL_FULL && (look.deliveries != 0 || look.returning != 0))
            return fail("cell %u: FULL, but delivered before", look.index);
        again[look.ring] |= look.state == YK_CELL_AGAIN;
        parked[look.ring] += look.state == YK_CELL_PARKED;
    }
    for (uint32_t number = 0; number < ring.geometry.rings; number++) {
        struct yk_shm_ring *shm = yk_ring_shm(&ring, number);
        if (again[number] && shm->raised.raw == shm->settled.raw)
            return fail("a message is to be delivered again, but nobody would look for it");
        if (parked[number] > ring.geometry.max_parked)
            return fail("%u messages are parked, at most %u may be", parked[number],
                        ring.geometry.max_parked);
        if (!window_holds(number))
            return false;
    }
    return true;
}

/* ---- progress ---- */

struct list {
    struct look look[BLOCKS_MAX];
    uint32_t count;
};

static bool comes_before(const struct look *a, const struct look *b)
{
    if (a->ring != b->ring)
        return a->ring > b->ring;
    if (a->state != b->state)
        return a->state == YK_CELL_AGAIN;
    return a->position < b->position;
}

/* In the order in which one who is alone receives them. */
static void insert(struct list *list, const struct look *look)
{
    uint32_t at = list->count++;
    for (; at > 0 && comes_before(look, &list->look[at - 1]); at--)
        list->look[at] = list->look[at - 1];
    list->look[at] = *look;
}

static bool peek(void)
{
    bool there = false;
    for (uint32_t number = 0; number < ring.geometry.rings; number++)
        there |= yk_ring_peek(&ring, number);
    return there;
}

/* Takes and releases all of them; `parked`: from the parked ones. */
static bool drain(const struct list *list, bool parked)
{
    struct yk_held held;
    for (uint32_t i = 0; i < list->count; i++) {
        const struct look *next = &list->look[i];
        if (!parked && !peek())
            return fail("message %llu waits, but a look says that nothing does",
                        (unsigned long long)next->id);
        int status = parked ? take_parked_one(OBSERVER, &held)
                            : take_one(OBSERVER, ring.geometry.max_message, &held);
        if (status != 1)
            return fail("message %llu can not be taken: %d", (unsigned long long)next->id, status);
        uint64_t id = read_message(&held);
        if (id != next->id)
            return fail("message %llu came where %llu was next", (unsigned long long)id,
                        (unsigned long long)next->id);
        uint32_t deliveries = next->deliveries + 1 + (next->state == YK_CELL_AGAIN);
        if (held.deliveries != deliveries)
            return fail("message %llu: delivery %u, counted as %u", (unsigned long long)id,
                        deliveries, held.deliveries);
        if (yk_ring_block(&ring, held.block)->returning.raw != 0)
            return fail("message %llu is held, yet marked as being returned",
                        (unsigned long long)id);
        if (yk_ring_release(&ring, &held) != 1)
            return fail("message %llu can not be released", (unsigned long long)id);
    }
    int status = parked ? take_parked_one(OBSERVER, &held)
                        : take_one(OBSERVER, ring.geometry.max_message, &held);
    if (status != 0)
        return fail("there should be nothing left, but take says %d", status);
    return true;
}

/* Sends as much as fits, takes it out again in order. */
static bool fill_and_drain(const uint32_t *senders, uint32_t sender_count, uint32_t least,
                           uint32_t most)
{
    static uint64_t id = 5000;
    static unsigned char before[IMAGE_MAX];
    uint32_t count = 0;
    uint64_t sequence, first = id;
    struct yk_held held;
    for (uint32_t i = 0; i < sender_count;) {
        bool room = yk_ring_has_room(&ring, 0), has_block = find_free(senders[i]) >= 0;
        memcpy(before, ring.rings[0], ring.ring_stride);
        bool sent = send_one(0, senders[i], id, &sequence);
        if (!sent && memcmp(before, ring.rings[0], ring.ring_stride) != 0)
            return fail("a send was refused, but it left a trace");
        if (sent != (room && has_block))
            return fail("there is %sroom, but a send was %s", room ? "" : "no ",
                        sent ? "done" : "refused");
        if (sent) {
            id++;
            if (++count > most)
                return fail("%u messages fit, depth is %u", count, most);
        } else {
            i++;
        }
    }
    if (count < least)
        return fail("only %u messages fit, at least %u should", count, least);
    for (uint32_t i = 0; i < count; i++) {
        if (take_one(OBSERVER, ring.geometry.max_message, &held) != 1)
            return fail("only %u of %u messages came", i, count);
        if (read_message(&held) != first + i || held.deliveries != 1)
            return fail("out of order: message %u of %u", i, count);
        yk_ring_release(&ring, &held);
    }
    if (id > 100000)
        id = 5000;
    return true;
}

static uint32_t smaller(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static bool others_make_progress(void)
{
    static const uint32_t senders[] = {OBSERVER, FILLER};
    struct list waiting = {.count = 0}, parked = {.count = 0};
    uint32_t held = 0, depth = smaller(ring.geometry.depth, cell_count());
    FOR_EACH_CELL(look)
    {
        if (look.state == YK_CELL_FULL || look.state == YK_CELL_AGAIN)
            insert(&waiting, &look);
        else if (look.state == YK_CELL_PARKED)
            insert(&parked, &look);
        else if (look.state == YK_CELL_HELD && look.ring == 0)
            held++;
    }
    if (!drain(&waiting, false) || !drain(&parked, true))
        return false;
    uint32_t blocks = free_blocks(OBSERVER) + free_blocks(FILLER);
    uint32_t least = held >= cell_count() ? 0 : smaller(blocks, depth > held ? depth - held : 1);
    /* The first time, cells that were skipped and released since are still of no use. */
    if (!fill_and_drain(senders, 2, least > 0, depth))
        return false;
    for (uint32_t round = 0; round < 2; round++)
        if (!fill_and_drain(senders, 2, round == 0 ? least > 0 : least, depth))
            return false;
    return true;
}

/* ---- recovery ---- */

/* What the cells say must come of each message, seen before anybody recovers anything. */
static bool foresee(struct list *ret_waiting, struct list *ret_parked, struct list *ret_to_park,
                    struct expected *expected)
{
    *ret_waiting = *ret_parked = *ret_to_park = (struct list){.count = 0};
    FOR_EACH_CELL(look)
    {
        if (look.state == YK_CELL_EMPTY || (look.state == YK_CELL_HELD && !look.named))
            continue;
        int i = find_expected(expected, look.id);
        if (i < 0)
            return fail("message %llu is there, but should not be", (unsigned long long)look.id);
        uint32_t taken = expected->message[i].taken, most = taken + expected->slack;
        uint32_t counted =
            look.deliveries + (look.state == YK_CELL_HELD || look.state == YK_CELL_AGAIN ||
                               look.state == YK_CELL_PARKED);
        if (counted > most || counted < taken)
            return fail("message %llu is counted as delivered %u times; it was %u to %u times",
                        (unsigned long long)look.id, counted, taken, most);
        if (look.state == YK_CELL_PARKED) {
            insert(ret_parked, &look);
        } else if (look.state != YK_CELL_HELD) {
            insert(ret_waiting, &look);
        } else if (ring.geometry.once) {
            expect_gone(expected, look.id);
        } else if (would_park(&look)) {
            insert(ret_to_park, &look);
        } else {
            look.state = YK_CELL_AGAIN;
            insert(ret_waiting, &look);
        }
    }
    return true;
}

/* Which of those to be parked were: all, or as many as there was room for; the others are counted as dropped. */
static bool check_parked(struct list *parked, const struct list *to_park, struct expected *expected,
                         uint64_t dropped)
{
    uint32_t room =
        ring.geometry.max_parked > parked->count ? ring.geometry.max_parked - parked->count : 0;
    uint32_t fit = smaller(room, to_park->count);
    uint32_t done = 0;
    for (uint32_t i = 0; i < to_park->count; i++) {
        struct look now = look_at(to_park->look[i].ring, to_park->look[i].index);
        if (now.state == YK_CELL_PARKED && now.id == to_park->look[i].id) {
            insert(parked, &now);
            done++;
        } else {
            expect_gone(expected, to_park->look[i].id);
        }
    }
    if (done != fit)
        return fail("%u messages were parked, %u should have been", done, fit);
    if (dropped < to_park->count - fit)
        return fail("%u messages were dropped, counted as %llu", to_park->count - fit,
                    (unsigned long long)dropped);
    return true;
}

/* After recovery nothing is held, and the blocks and the cells agree. */
static bool check_consistent(bool empty)
{
    bool named[BLOCKS_MAX] = {false};
    FOR_EACH_CELL(look)
    {
        if (look.state == YK_CELL_HELD)
            return fail("cell %u is still held by %u", look.index, look.owner);
        if (empty && look.state != YK_CELL_EMPTY)
            return fail("cell %u is not empty at the end", look.index);
        if (look.state != YK_CELL_EMPTY)
            named[look.block] = true;
    }
    for (uint32_t block = 0; block < ring.blocks_total; block++)
        if ((yk_ring_block(&ring, block)->word.raw != 0) != named[block])
            return fail(named[block] ? "block %u is free, but waits in a cell"
                                     : "block %u has leaked",
                        block);
    return true;
}

static bool recovery_mends_all(const struct expected *before, const uint32_t *dead,
                               uint32_t dead_count)
{
    struct expected expected = *before;
    struct list waiting, parked, to_park;
    uint64_t dropped = dropped_count(), sequence;
    if (!foresee(&waiting, &parked, &to_park, &expected))
        return false;
    for (uint32_t i = 0; i < dead_count; i++)
        yk_ring_recover(&ring, dead[i], ring.geometry.blocks_each);
    if (!ring_holds_invariants() || !check_consistent(false) ||
        !check_parked(&parked, &to_park, &expected, dropped_count() - dropped))
        return false;
    for (uint32_t i = 0; i < dead_count; i++)
        if (yk_ring_recover(&ring, dead[i], ring.geometry.blocks_each) != 0)
            return fail("participant %u was recovered twice", dead[i]);
    /* The sequential model agrees with what the cells say. */
    for (uint32_t i = 0; i < expected.count; i++) {
        bool there = false;
        for (uint32_t k = 0; k < waiting.count; k++)
            there |= waiting.look[k].id == expected.message[i].id;
        for (uint32_t k = 0; k < parked.count; k++)
            there |= parked.look[k].id == expected.message[i].id;
        if (!there && !expected.message[i].maybe)
            return fail("message %u is lost", expected.message[i].id);
    }
    /* The pools of the dead are used at once, what still waits in them included. */
    for (uint32_t i = 0; i < dead_count; i++) {
        struct look look;
        if (!send_one(0, dead[i], 600 + dead[i], &sequence))
            continue;
        look = look_at(0, index_of(sequence / ring.geometry.rings));
        if (look.id != 600 + dead[i] || look.state != YK_CELL_FULL)
            return fail("what the successor of %u sent is not where it should be", dead[i]);
        insert(&waiting, &look);
    }
    if (!drain(&waiting, false) || !drain(&parked, true) || !check_consistent(true))
        return false;
    for (uint32_t number = 0; number < ring.geometry.rings; number++) {
        struct yk_shm_ring *shm = yk_ring_shm(&ring, number);
        if (shm->raised.raw != shm->settled.raw)
            return fail("nothing is to be delivered again, yet everybody looks for it");
    }
    if (peek())
        return fail("nothing waits, but a look says that something does");
    /* Once round, so that cells that were skipped are used again; then exactly `depth` fit. */
    static const uint32_t all[] = {FIRST, SECOND, DEAD, OBSERVER, THIRD, FILLER};
    uint32_t depth = smaller(ring.geometry.depth, cell_count());
    for (uint32_t passed = 0; passed < 2 * cell_count(); passed++)
        if (!fill_and_drain(&all[passed % PARTICIPANTS], 1, 1, depth))
            return false;
    return fill_and_drain(all, PARTICIPANTS, depth, depth);
}

bool all_is_well_if_all_stop(const struct expected *before, const struct result *results,
                             uint32_t count)
{
    static const uint32_t orders[2][4] = {{FIRST, SECOND, DEAD, THIRD},
                                          {THIRD, DEAD, SECOND, FIRST}};
    static unsigned char kept[IMAGE_MAX];
    struct expected expected = *before;
    if (!settle_all(&expected, results, count))
        return false;
    memcpy(kept, image, image_size);
    bool well = others_make_progress();
    for (uint32_t i = 0; i < 2 && well; i++) {
        memcpy(image, kept, image_size);
        well = recovery_mends_all(&expected, orders[i], 4);
    }
    memcpy(image, kept, image_size);
    return well;
}
