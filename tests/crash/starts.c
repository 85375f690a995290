/*
 * starts.c - the states of the ring in which the operations begin.
 *
 * Each is reached through the ring's own calls, except for what somebody left half-done: that is written as a
 * death would have left it. DEAD is always the one who did.
 */
#include "model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UNLIMITED UINT32_MAX

static struct expected *building;
static uint64_t next_sequence[RINGS_MAX_HERE]; /* behind the newest message that was sent */

/* Sends what must be there; false when it does not fit. */
static bool put(uint32_t who, uint64_t id, uint32_t number)
{
    uint64_t sequence;
    if (!send_one(number, who, id, &sequence))
        return false;
    next_sequence[number] = sequence + 1;
    expect(building, id, number, false);
    return true;
}

/* Takes the next message for `who`, counted in the model. */
static bool get(uint32_t who, struct yk_held *ret_held)
{
    if (take_one(who, ring.geometry.max_message, ret_held) != 1)
        return false;
    int i = find_expected(building, read_message(ret_held));
    if (i < 0) {
        printf("FAULT a message came twice while a start state was made\n");
        exit(1);
    }
    building->message[i].taken++;
    return true;
}

static void drop_expected(const struct yk_held *held)
{
    expect_gone(building, read_message(held));
}

/* Moves tail and head of the lowest ring `count` positions on, over what is held. */
static bool turn(uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct yk_held held;
        if (!put(FILLER, 900, 0) || !get(FILLER, &held))
            return false;
        drop_expected(&held);
        yk_ring_release(&ring, &held);
    }
    return true;
}

/* Gives the next message to be received back until its next return would park it, or (`park`) does. */
static bool wear_out(bool park)
{
    struct yk_held held;
    uint32_t times = ring.geometry.max_deliveries - !park;
    if (ring.geometry.max_deliveries == UNLIMITED || ring.geometry.once)
        return false;
    for (uint32_t i = 0; i < times; i++)
        if (!get(FILLER, &held) || yk_ring_return(&ring, &held) != 1)
            return false;
    return true;
}

static uint32_t fill_up(uint32_t sender, uint64_t id, uint32_t number)
{
    const uint32_t senders[] = {sender, OBSERVER, FILLER, SECOND};
    uint32_t count = 0;
    for (uint32_t i = 0; i < 4;)
        if (put(senders[i], id + count, number))
            count++;
        else
            i++;
    return count;
}

/* DEAD holds a message; the others went round until the tail has come to its cell. */
static bool hold_for_a_lap(uint32_t sender, struct yk_held *held)
{
    return put(sender, 1, 0) && get(DEAD, held) && turn(cell_count() - 1);
}

/* Each builder is called in a world where some messages have passed. */
static bool start_empty(uint32_t sender)
{
    (void)sender;
    return true;
}

static bool start_one(uint32_t sender)
{
    return put(sender, 1, 0);
}

static bool start_small(uint32_t sender)
{
    return put(sender, 3, 0);
}

static bool start_full(uint32_t sender)
{
    return fill_up(sender, 1, 0) > 0;
}

static bool start_skipped(uint32_t sender)
{
    struct yk_held held;
    return hold_for_a_lap(sender, &held) && put(sender, 2, 0);
}

static bool start_to_be_skipped(uint32_t sender)
{
    struct yk_held held;
    return hold_for_a_lap(sender, &held);
}

static bool start_again(uint32_t sender)
{
    struct yk_held held;
    if (ring.geometry.once || !put(sender, 1, 0) || !get(DEAD, &held))
        return false;
    return yk_ring_return(&ring, &held) == 1;
}

static bool start_again_a_lap_old(uint32_t sender)
{
    struct yk_held held;
    return !ring.geometry.once && hold_for_a_lap(sender, &held) &&
           yk_ring_return(&ring, &held) == 1;
}

static bool start_again_raised(uint32_t sender)
{
    struct yk_held held;
    return !ring.geometry.once && hold_for_a_lap(sender, &held) && put(sender, 2, 0) &&
           yk_ring_return(&ring, &held) == 1;
}

static bool start_two_again(uint32_t sender)
{
    struct yk_held first, second;
    if (ring.geometry.once || !put(sender, 1, 0) || !get(DEAD, &first) || !put(sender, 2, 0) ||
        !get(DEAD, &second))
        return false;
    return yk_ring_return(&ring, &second) == 1 && yk_ring_return(&ring, &first) == 1;
}

static bool start_died_in_release(uint32_t sender)
{
    struct yk_held held;
    if (!hold_for_a_lap(sender, &held))
        return false;
    drop_expected(&held);
    yk_ring_block(&ring, held.block)->word.raw = 0;
    return true;
}

static bool start_died_in_release_reused(uint32_t sender)
{
    return start_died_in_release(sender) &&
           put(sender, 2, 0); /* the lowest free block: the same one */
}

static bool start_died_stamped(uint32_t sender)
{
    if (!put(sender, 1, 0))
        return false;
    uint32_t block = DEAD * ring.geometry.blocks_each;
    fill_block(block, DEAD, 77);
    yk_ring_block(&ring, block)->word.raw = yk_ring_tail(&ring, 0) << 6 | 1;
    return true;
}

static bool start_died_stamped_overtaken(uint32_t sender)
{
    if (!start_died_stamped(sender) || !put(sender, 2, 0)) /* fills the very position */
        return sender == FIRST && ring.geometry.depth > 1 && put(FILLER, 2, 0);
    return true;
}

static bool start_held_and_full(uint32_t sender)
{
    struct yk_held held;
    return put(sender, 1, 0) && get(DEAD, &held) && fill_up(sender, 2, 0) > 0;
}

static bool start_all_held(uint32_t sender)
{
    const uint32_t senders[] = {sender, FILLER, OBSERVER, SECOND, THIRD};
    uint32_t held_count = 0;
    for (uint32_t i = 0; i < 5;) {
        struct yk_held held;
        if (put(senders[i], 1 + held_count, 0)) {
            if (!get(DEAD, &held))
                return false;
            held_count++;
        } else {
            i++;
        }
    }
    return held_count >= 2;
}

static bool start_died_returning(uint32_t sender)
{
    struct yk_held held;
    if (ring.geometry.once || !put(sender, 1, 0) || !get(DEAD, &held) ||
        held.deliveries >= ring.geometry.max_deliveries)
        return false;
    yk_ring_block(&ring, held.block)->returning.raw = YK_RETURNING;
    yk_ring_shm(&ring, 0)->raised.raw++;
    return true;
}

static bool start_died_before_raising(uint32_t sender)
{
    if (!start_died_returning(sender))
        return false;
    yk_ring_shm(&ring, 0)->raised.raw--;
    return true;
}

/* Taken again, not yet counted, not yet `returning` = 0. */
static bool start_died_taking_again(uint32_t sender)
{
    struct yk_held held;
    if (!start_again(sender) || take_one(DEAD, ring.geometry.max_message, &held) != 1)
        return false;
    yk_ring_block(&ring, held.block)->deliveries.raw--;
    yk_ring_block(&ring, held.block)->returning.raw = 1;
    building->slack++;
    return true;
}

/* The same, counted, so that who gives it back for the dead parks it. */
static bool start_died_taking_again_counted(uint32_t sender)
{
    struct yk_held held;
    if (!put(sender, 1, 0) || !wear_out(false) || !get(DEAD, &held))
        return false;
    yk_ring_block(&ring, held.block)->returning.raw = 1;
    return true;
}

static bool start_unsettled(uint32_t sender)
{
    yk_ring_shm(&ring, 0)->raised.raw += 3;
    return put(sender, 1, 0);
}

static bool start_old_hints(uint32_t sender)
{
    struct yk_held held;
    struct yk_shm_ring *shm = yk_ring_shm(&ring, 0);
    uint64_t position = shm->tail.raw;
    if (!put(sender, 1, 0) || !get(DEAD, &held) || !turn(cell_count() / 2 - 1))
        return false;
    fill_up(sender, 2, 0);
    drop_expected(&held);
    yk_ring_release(&ring, &held); /* a hole before what waits */
    shm->head.raw = position - cell_count();
    shm->tail.raw = position - cell_count();
    return true;
}

static bool start_old_head(uint32_t sender)
{
    if (!start_skipped(sender))
        return false;
    yk_ring_shm(&ring, 0)->head.raw -= 2 * cell_count() + 1;
    return true;
}

static bool start_old_tail(uint32_t sender)
{
    if (!start_skipped(sender))
        return false;
    yk_ring_shm(&ring, 0)->tail.raw -= 2 * cell_count() + 1;
    return true;
}

/* Skipped in a lap, then released: the cell says "two laps on" though its last position was never used. */
static bool start_skipped_and_released(uint32_t sender)
{
    struct yk_held held;
    struct yk_shm_ring *shm = yk_ring_shm(&ring, 0);
    uint64_t position = shm->tail.raw;
    if (!hold_for_a_lap(sender, &held) || !put(sender, 2, 0))
        return false;
    drop_expected(&held);
    yk_ring_release(&ring, &held);
    shm->head.raw = position;
    return true;
}

static bool start_window(uint32_t sender)
{
    return ring.geometry.depth < cell_count() && fill_up(sender, 1, 0) == ring.geometry.depth;
}

static bool start_window_but_one(uint32_t sender)
{
    struct yk_held held;
    if (!start_window(sender) || !get(FILLER, &held))
        return false;
    drop_expected(&held);
    yk_ring_release(&ring, &held);
    return true;
}

/* As many as the depth stand in the tail's way, right behind a window that is full. */
static bool start_window_before_held(uint32_t sender)
{
    struct yk_held held;
    uint32_t depth = ring.geometry.depth;
    if (2 * depth >= cell_count())
        return false;
    for (uint32_t i = 0; i < depth; i++)
        if (!put(i == 0 ? sender : FILLER, 1 + i, 0) || !get(DEAD, &held))
            return false;
    return turn(cell_count() - 2 * depth) && fill_up(sender, 50, 0) == depth;
}

static bool start_parked(uint32_t sender)
{
    return put(sender, 1, 0) && wear_out(true);
}

static bool start_parked_a_lap_old(uint32_t sender)
{
    return start_parked(sender) && turn(cell_count() - 1);
}

static bool start_worn_out(uint32_t sender)
{
    return put(sender, 1, 0) && wear_out(false);
}

static bool start_parked_full_and_worn_out(uint32_t sender)
{
    for (uint32_t i = 0; i < ring.geometry.max_parked; i++)
        if (!put(i == 0 ? sender : FILLER, 1 + i, 0) || !wear_out(true))
            return false;
    return put(sender, 50, 0) && wear_out(false);
}

static bool start_holds_worn_out(uint32_t sender)
{
    struct yk_held held;
    return put(sender, 1, 0) && wear_out(false) && get(DEAD, &held);
}

static bool start_died_parking(uint32_t sender)
{
    struct yk_held held;
    if (!put(sender, 1, 0) || !wear_out(true) || !put(FILLER, 2, 0) || !wear_out(false) ||
        !get(DEAD, &held) || !put(OBSERVER, 3, 0) || !wear_out(false))
        return false;
    yk_ring_block(&ring, held.block)->returning.raw = YK_PARKING;
    return true;
}

static bool start_holds_parked(uint32_t sender)
{
    struct yk_held held;
    return start_parked(sender) && take_parked_one(DEAD, &held) == 1;
}

static bool start_two_rings(uint32_t sender)
{
    struct yk_held held;
    if (ring.geometry.rings < 2 || !put(sender, 1, 1) || !get(DEAD, &held) || !put(sender, 2, 0) ||
        !get(FILLER, &held) || yk_ring_return(&ring, &held) != 1)
        return false;
    return put(FILLER, 3, 1) && put(OBSERVER, 4, 0);
}

/* In the first lap of all: cells behind these were never used. */
static bool start_first_held(uint32_t sender)
{
    struct yk_held held, released;
    if (!put(sender, 1, 0) || !put(FILLER, 2, 0))
        return false;
    if (!get(FILLER, &released) || !get(DEAD, &held))
        return false;
    drop_expected(&released);
    return yk_ring_release(&ring, &released) == 1;
}

static bool start_first_again(uint32_t sender)
{
    struct yk_held held;
    return start_first_held(sender) && !ring.geometry.once && put(sender, 3, 0) &&
           get(DEAD, &held) && yk_ring_return(&ring, &held) == 1;
}

static const struct {
    const char *name;
    bool (*build)(uint32_t sender);
} starts[] = {
    {"empty", start_empty},
    {"one", start_one},
    {"small", start_small},
    {"full", start_full},
    {"skipped", start_skipped},
    {"to-be-skipped", start_to_be_skipped},
    {"again", start_again},
    {"again-a-lap-old", start_again_a_lap_old},
    {"again-raised", start_again_raised},
    {"two-again", start_two_again},
    {"died-in-release", start_died_in_release},
    {"died-in-release-reused", start_died_in_release_reused},
    {"died-stamped", start_died_stamped},
    {"died-stamped-overtaken", start_died_stamped_overtaken},
    {"held-and-full", start_held_and_full},
    {"all-held", start_all_held},
    {"died-returning", start_died_returning},
    {"died-before-raising", start_died_before_raising},
    {"died-taking-again", start_died_taking_again},
    {"died-taking-again-counted", start_died_taking_again_counted},
    {"unsettled", start_unsettled},
    {"old-hints", start_old_hints},
    {"old-head", start_old_head},
    {"old-tail", start_old_tail},
    {"skipped-and-released", start_skipped_and_released},
    {"window", start_window},
    {"window-but-one", start_window_but_one},
    {"window-before-held", start_window_before_held},
    {"parked", start_parked},
    {"parked-a-lap-old", start_parked_a_lap_old},
    {"worn-out", start_worn_out},
    {"parked-full-and-worn-out", start_parked_full_and_worn_out},
    {"holds-worn-out", start_holds_worn_out},
    {"died-parking", start_died_parking},
    {"holds-parked", start_holds_parked},
    {"two-rings", start_two_rings},
    {"first-none", start_empty},
    {"first-held", start_first_held},
    {"first-again", start_first_again},
};
const int start_count = sizeof starts / sizeof starts[0];
#define FIRST_LAP_STARTS 3 /* the last ones: before them, no messages have passed */

const char *start_name(int start)
{
    return starts[start].name;
}

bool start_build(int start, enum participant sender, struct expected *ret)
{
    memset(ret, 0, sizeof *ret);
    memset(next_sequence, 0, sizeof next_sequence);
    building = ret;
    world_reset();
    if (start < start_count - FIRST_LAP_STARTS && !turn(2 * cell_count() + 1)) {
        printf("FAULT not even the first messages pass\n");
        exit(1);
    }
    if (!starts[start].build(sender))
        return false;
    memcpy(ret->floor, next_sequence, sizeof ret->floor);
    if (!ring_holds_invariants()) {
        printf("FAULT start state %s is itself wrong: %s\n", starts[start].name, why);
        exit(1);
    }
    return true;
}
