/* spsc_starts.c - the world of a link's direction, and the states from which the checkers begin. See spsc_model.h. */
#include "spsc_model.h"

#include <stdio.h>
#include <string.h>

#define FOR_EVER UINT32_MAX
#define UNIT     64

/* Small enough for every corner to be reached in a few steps: that is what finds faults. */
#define RING(slots, bound, most, units)                                                \
    .slots_log2 = (slots), .depth = (bound), .slot_stride = 64, .max_message = (most), \
    .buffer = (units)*UNIT

const struct spsc_setup spsc_setups[] = {
    {"one", {RING(1, 1, 130, 3), .max_deliveries = FOR_EVER}},
    {"two-of-two", {RING(1, 2, 130, 4), .max_deliveries = FOR_EVER}},
    {"three-of-four", {RING(2, 3, 130, 5), .max_deliveries = FOR_EVER}},
    {"four-of-four", {RING(2, 4, 190, 10), .max_deliveries = FOR_EVER}},
    {"twice-at-most", {RING(1, 2, 130, 6), .max_deliveries = 2}},
    {"once", {RING(2, 3, 130, 6), .max_deliveries = FOR_EVER, .once = 1}},
    {"planned", {RING(2, 3, 130, 15), .max_deliveries = FOR_EVER}}, /* as yk_spsc_plan() has it */
    {"big", {RING(1, 2, 5000, 240), .max_deliveries = FOR_EVER}},
};
const int spsc_setup_count = sizeof spsc_setups / sizeof spsc_setups[0];

struct spsc_world *spsc_world;
unsigned char *spsc_image;
size_t spsc_image_size;
struct yk_spsc spsc_ring;
uint64_t spsc_base;

/*
 * Where stamps wrap, each slot still has one of these, with the stamp that it had in lap 0 and has again in the lap
 * after the renewing one. Whoever believes it loses a message, or counts a delivery that was none.
 */
static const uint64_t old_receipts[] = {YK_SPSC_DONE, YK_SPSC_AGAIN | 1, 1};

void spsc_open(const struct spsc_setup *setup, bool wrap, unsigned char *memory,
               struct spsc_world *world)
{
    const struct yk_spsc_geometry *geometry = &setup->geometry;
    spsc_world = world;
    spsc_image = memory;
    spsc_image_size = yk_spsc_bytes(geometry);
    if (spsc_image_size > SPSC_IMAGE_MAX || yk_spsc_check_geometry(geometry) != 0 ||
        1u << geometry->slots_log2 > SPSC_SLOTS_MAX)
        give_up("a setup does not fit the checker");
    memset(spsc_image, 0, spsc_image_size);
    memset((void *)spsc_world, 0, sizeof *spsc_world);
    yk_spsc_attach(&spsc_ring, geometry, memory);
    /* The first lap bears the last stamp, 2^32 - 1. Then come 0, in a lap that renews the receipts, and 1. */
    spsc_base = wrap ? UINT64_C(0xfffffffe) << geometry->slots_log2 : 0;
    spsc_ring.shm->released.raw = spsc_ring.shm->taken.raw = spsc_base;
    for (uint64_t i = 0; i <= spsc_ring.mask && wrap; i++) {
        yk_spsc_word(yk_spsc_slot(&spsc_ring, i))->raw = UINT64_C(0xfffffffe) << 32;
        spsc_ring.receipts[i].raw = UINT64_C(1) << 32 | old_receipts[i % 3];
    }
    spsc_bytes_match(0, spsc_image, 1); /* makes the pattern, once */
    spsc_resume_sender(0);
    spsc_resume_receiver(0);
}

void spsc_print_difference(const unsigned char *before, const unsigned char *after)
{
    static const char *const names[] = {"released", "taken", "redelivered", "dropped"};
    size_t receipts = (size_t)((unsigned char *)spsc_ring.receipts - spsc_image);
    size_t buffer = (size_t)(spsc_ring.buffer - spsc_image), slots = sizeof(struct yk_shm_spsc);
    for (size_t at = 0; at < spsc_image_size; at += 8) {
        uint64_t old, new;
        memcpy(&old, before + at, 8);
        memcpy(&new, after + at, 8);
        if (old == new)
            continue;
        if (at < slots)
            printf("      %s", at / 8 < 4 ? names[at / 8] : "nothing's");
        else if (at < receipts)
            printf("      slot %zu + %zu", (at - slots) / 64, (at - slots) % 64);
        else if (at < buffer)
            printf("      receipt %zu", (at - receipts) / 8);
        else
            printf("      buffer %zu", at - buffer);
        printf(": %llx -> %llx\n", (unsigned long long)old, (unsigned long long)new);
    }
}

/* ---- messages ---- */

uint32_t spsc_id(uint32_t number, enum spsc_kind kind)
{
    return number * 10 + (uint32_t)kind;
}

uint32_t spsc_size_of(uint32_t id)
{
    uint32_t most = (uint32_t)spsc_ring.geometry.max_message, number = id / 10;
    switch ((enum spsc_kind)(id % 10)) {
    case SMALL:
        return 1 + number * 7 % 56;
    case TAGGED:
        return number * 5 % 49;
    case BUFFERED:
    case BUFFERED_TAGGED: {
        uint32_t least =
            most > 4096 ? 4097 : 57; /* of the big ones all are beyond what is reused at once */
        return number % 3 == 0 ? most : least + number * 41 % (most - least);
    }
    default:
        return 0;
    }
}

/* ---- start states ---- */

static uint32_t next_number;
static int pattern; /* which kinds are sent: 0 small, 1 buffered, 2 all in turn */

static bool send_next(void)
{
    static const enum spsc_kind kinds[][5] = {{SMALL, SMALL, SMALL, SMALL, SMALL},
                                              {BUFFERED, BUFFERED_TAGGED, BUFFERED, BUFFERED,
                                               BUFFERED},
                                              {SMALL, BUFFERED, TAGGED, EMPTY, BUFFERED_TAGGED}};
    uint32_t number = next_number++;
    return spsc_send(0, spsc_id(number, kinds[pattern][number % 5]));
}

static bool send_up_to(uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (!send_next() && i == 0)
            return false;
    return true;
}

static bool take(uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (!spsc_take(0, UINT64_MAX))
            return false;
    return true;
}

static bool die(void)
{
    spsc_receiver_died();
    return true;
}

static bool succeed(void)
{
    spsc_receiver_died();
    spsc_recover();
    spsc_resume_receiver(0);
    return true;
}

/* So many messages after the beginning of the first lap. */
static bool go_to(uint64_t messages)
{
    for (uint64_t i = 0; i < messages; i++)
        if (!send_next() || !spsc_recv(0))
            return false;
    return true;
}

static bool go_round(void)
{
    return go_to(2 * spsc_ring.mask + 3);
}

static bool empty(void)
{
    return true;
}

static bool one(void)
{
    return send_next();
}

static bool full(void)
{
    return send_up_to(spsc_ring.geometry.depth);
}

static bool wrapped_empty(void)
{
    return go_round();
}

static bool wrapped_full(void)
{
    return go_round() && full();
}

static bool last_one_waits(void)
{
    return full() && take(1) && (spsc_release(0, (uint32_t)spsc_in_hand(false)), true);
}

static bool borrowed(void)
{
    return full() && take(1);
}

static bool all_borrowed(void)
{
    return full() && take(1) && (take(spsc_ring.geometry.depth - 1), true);
}

static bool released_out_of_order(void)
{
    if (!full() || !take(2))
        return false;
    spsc_release(0, (uint32_t)spsc_in_hand(true));
    return true;
}

static bool middle_released(void)
{
    if (!full() || !take(3))
        return false;
    spsc_release(0, (uint32_t)spsc_in_hand(false) + 1);
    return true;
}

static bool only_first_unreleased(void)
{
    if (!all_borrowed())
        return false;
    for (int newest; (newest = spsc_in_hand(true)) != spsc_in_hand(false);)
        spsc_release(0, (uint32_t)newest);
    return true;
}

static bool returned(void)
{
    return borrowed() && (spsc_return(0, (uint32_t)spsc_in_hand(false)), true);
}

static bool last_returned(void)
{
    return full() && take(2) && (spsc_return(0, (uint32_t)spsc_in_hand(true)), true);
}

static bool returned_and_taken_again(void)
{
    return returned() && take(1);
}

static bool redelivered(void)
{
    return all_borrowed() && succeed();
}

static bool redelivered_and_taken(void)
{
    return redelivered() && take(1);
}

static bool died_twice(void)
{
    return redelivered_and_taken() && succeed();
}

static bool dead(void)
{
    return borrowed() && die();
}

static bool dead_out_of_order(void)
{
    return released_out_of_order() && die();
}

static bool dead_with_returned(void)
{
    return last_returned() && die();
}

static bool recovered_out_of_order(void)
{
    return middle_released() && succeed();
}

/* The recoverer died before its last store. */
static bool recovery_interrupted(void)
{
    if (!all_borrowed())
        return false;
    uint64_t taken = spsc_ring.shm->taken.raw;
    spsc_recover();
    spsc_ring.shm->taken.raw = taken;
    return true;
}

/* After the first receipt. */
static bool recovery_just_begun(void)
{
    static uint64_t receipts[SPSC_SLOTS_MAX];
    if (!all_borrowed())
        return false;
    uint64_t taken = spsc_ring.shm->taken.raw, released = spsc_ring.shm->released.raw;
    memcpy(receipts, (void *)spsc_ring.receipts, (spsc_ring.mask + 1) * 8);
    spsc_recover();
    for (uint64_t i = released + 1; i - released <= spsc_ring.mask; i++)
        spsc_ring.receipts[i & spsc_ring.mask].raw = receipts[i & spsc_ring.mask];
    spsc_ring.shm->taken.raw = taken;
    return true;
}

static bool successor_dies_at_once(void)
{
    return redelivered() && die();
}

static bool loan(void)
{
    return spsc_loan(0, spsc_id(next_number++, BUFFERED));
}

static bool one_loan(void)
{
    return one() && loan();
}

static bool two_loans(void)
{
    return loan() && loan();
}

static bool committed_in_other_order(void)
{
    return two_loans() && spsc_commit(0, 1) && spsc_commit(0, 0) && send_up_to(1);
}

static bool loan_between(void)
{
    return loan() && one() && loan() && spsc_commit(0, 1);
}

static bool loan_cancelled(void)
{
    return two_loans() && (spsc_cancel(0, 0), true);
}

static bool around_the_end(void)
{
    /* the last piece lies before the first */
    return full() && spsc_recv(0) && (send_up_to(2), true) && spsc_recv(0) && (send_up_to(2), true);
}

/* The same, seen at other places of the buffer. */
static bool go_on_round(uint32_t count)
{
    if (!full())
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (!spsc_recv(0) || (!send_next() && i == 0))
            return false;
    return true;
}

static bool five_around(void)
{
    return go_on_round(5);
}

static bool six_around(void)
{
    return go_on_round(6) && spsc_recv(0);
}

static bool eight_around(void)
{
    return go_on_round(8);
}

static bool sender_resumed(void)
{
    if (!full())
        return false;
    spsc_sender_died();
    spsc_resume_sender(0);
    return true;
}

static bool sender_resumed_with_loans_lost(void)
{
    if (!committed_in_other_order() || !spsc_recv(0) || !loan())
        return false;
    spsc_sender_died();
    spsc_resume_sender(0);
    return true;
}

static bool sender_dead(void)
{
    if (!two_loans() || !spsc_commit(0, 1))
        return false;
    spsc_sender_died();
    return true;
}

static bool both_dead(void)
{
    if (!all_borrowed())
        return false;
    spsc_sender_died();
    return die();
}

/* What the sender knows of the receiver is old. */
static bool sender_behind(void)
{
    return full() && spsc_recv(0) && (spsc_recv(0), true);
}

/* ---- around the lap that renews the receipts, which is the second one where stamps wrap ---- */

static bool renewing_next(void)
{
    return go_to(spsc_ring.mask) && full();
}

static bool renewing(void)
{
    return go_to(spsc_ring.mask + 1) && full();
}

static bool renewing_for_the_last(void)
{
    return go_to(2 * spsc_ring.mask + 1) && full();
}

/* One of the lap before is lent, or was released after a younger one. */
static bool renewing_while_lent(void)
{
    return renewing_next() && take(2);
}

static bool renewing_out_of_order(void)
{
    return renewing_while_lent() && (spsc_release(0, (uint32_t)spsc_in_hand(true)), true);
}

static bool renewing_returned(void)
{
    return renewing() && take(1) && (spsc_return(0, (uint32_t)spsc_in_hand(false)), true);
}

static bool renewing_dead(void)
{
    return renewing() && take(1) && die();
}

static bool renewing_succeeded(void)
{
    return renewing() && take(1) && (take(1), succeed());
}

/* Its receiver began before it, at the first message, and in the middle; and takes it over without one in hand. */
static bool renewing_begun_before(void)
{
    return go_to(spsc_ring.mask) && succeed() && full();
}

static bool renewing_begun_there(void)
{
    return go_to(spsc_ring.mask + 1) && succeed() && full();
}

static bool renewing_begun_within(void)
{
    return go_to(spsc_ring.mask + 2) && succeed() && full();
}

static bool renewed_by_two(void)
{
    return renewing_begun_within() && take(1) && succeed();
}

static const struct {
    const char *name;
    bool (*build)(void);
} starts[] = {
#define START(function)     \
    {                       \
#function, function \
    }
    START(empty),
    START(one),
    START(full),
    START(wrapped_empty),
    START(wrapped_full),
    START(last_one_waits),
    START(borrowed),
    START(all_borrowed),
    START(released_out_of_order),
    START(middle_released),
    START(only_first_unreleased),
    START(returned),
    START(last_returned),
    START(returned_and_taken_again),
    START(redelivered),
    START(redelivered_and_taken),
    START(died_twice),
    START(dead),
    START(dead_out_of_order),
    START(dead_with_returned),
    START(recovered_out_of_order),
    START(recovery_interrupted),
    START(recovery_just_begun),
    START(successor_dies_at_once),
    START(one_loan),
    START(two_loans),
    START(committed_in_other_order),
    START(loan_between),
    START(loan_cancelled),
    START(around_the_end),
    START(five_around),
    START(six_around),
    START(eight_around),
    START(sender_resumed),
    START(sender_resumed_with_loans_lost),
    START(sender_dead),
    START(both_dead),
    START(sender_behind),
    START(renewing_next),
    START(renewing),
    START(renewing_for_the_last),
    START(renewing_while_lent),
    START(renewing_out_of_order),
    START(renewing_returned),
    START(renewing_dead),
    START(renewing_succeeded),
    START(renewing_begun_before),
    START(renewing_begun_there),
    START(renewing_begun_within),
    START(renewed_by_two),
};
#define PATTERNS 3
const int spsc_start_count = (int)(sizeof starts / sizeof starts[0]) * PATTERNS;

const char *spsc_start_name(int start)
{
    static const char *const patterns[] = {"small", "buffered", "mixed"};
    static char name[80];
    snprintf(name, sizeof name, "%s/%s", starts[start / PATTERNS].name, patterns[start % PATTERNS]);
    return name;
}

bool spsc_start_build(int start)
{
    pattern = start % PATTERNS;
    next_number = 1;
    return starts[start / PATTERNS].build() && spsc_world->ledger.fault[0] == '\0';
}
