/*
 * The port's ring alone, on byte arrays: what it promises to one caller, what it refuses, and what it survives.
 * What several do at once, and die doing, is the business of tests/crash.
 */
#include "ring/port_ring.h"

#include "support.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define UNLIMITED UINT32_MAX
#define LAPS      (UINT64_C(1) << YK_CELL_LAP_BITS)
#define LAP_SHIFT (3 + YK_CELL_BLOCK_BITS + YK_CELL_OWNER_BITS)

/* ---- a ring to play with ---------------------------------------------------------------------- */

struct play {
    struct yk_ring ring;
    unsigned char *rings,
        *blocks; /* each of exactly the size that it needs: the sanitizer sees a byte too far */
    size_t rings_size, blocks_size;
};

static void open_play(struct play *play, const struct yk_ring_geometry *geometry)
{
    play->rings_size = yk_ring_rings_bytes(geometry);
    play->blocks_size = yk_ring_blocks_bytes(geometry);
    play->rings = aligned_alloc(128, play->rings_size);
    play->blocks = aligned_alloc(128, play->blocks_size);
    assert_non_null(play->rings);
    assert_non_null(play->blocks);
    memset(play->rings, 0, play->rings_size);
    memset(play->blocks, 0, play->blocks_size);
    yk_ring_attach(&play->ring, geometry, play->rings, play->blocks);
}

static void close_play(struct play *play)
{
    free(play->rings);
    free(play->blocks);
}

static struct yk_ring_geometry planned(uint32_t depth, uint32_t rings, uint64_t max_message)
{
    struct yk_ring_geometry geometry = {.depth = depth,
                                        .rings = rings,
                                        .participants = 4,
                                        .max_message = max_message,
                                        .max_deliveries = UNLIMITED,
                                        .max_parked = 4,
                                        .max_borrowed = 8};
    yk_ring_plan(&geometry);
    return geometry;
}

/* Tinier than a plan ever is. */
static struct yk_ring_geometry tiny(uint32_t cells_log2, uint32_t depth)
{
    struct yk_ring_geometry geometry = planned(depth, 1, 24);
    geometry.cells_log2 = cells_log2;
    geometry.spread_log2 = 0;
    geometry.blocks_each = 4;
    return geometry;
}

static struct yk_shm_ring *shm(const struct play *play, uint32_t number)
{
    return yk_ring_shm(&play->ring, number);
}

static bool fill(const struct play *play, uint32_t who, uint64_t id, uint32_t size,
                 uint32_t *ret_block)
{
    const struct yk_ring *ring = &play->ring;
    for (uint32_t k = 0; k < ring->geometry.blocks_each; k++) {
        uint32_t number = who * ring->geometry.blocks_each + k;
        struct yk_shm_block *block = yk_ring_block(ring, number);
        if (!yk_ring_is_free(ring, number))
            continue;
        yk_store_relaxed(&block->tag, id);
        yk_store32_relaxed(&block->size, size);
        yk_store32_relaxed(&block->sender, who);
        yk_store32_relaxed(&block->deliveries, 0);
        yk_store32_relaxed(&block->returning, 0);
        memset(yk_ring_payload(ring, number), (int)(id & 255), size);
        *ret_block = number;
        return true;
    }
    return false;
}

/* 1: sent. 0: full (or no free block). */
static int send_sized(const struct play *play, uint32_t number, uint32_t who, uint64_t id,
                      uint32_t size)
{
    uint32_t block;
    uint64_t hint = yk_ring_tail(&play->ring, number), open = 0, sequence;
    if (!fill(play, who, id, size, &block))
        return 0;
    int result = yk_ring_commit(&play->ring, number, block, &hint, &open, &sequence);
    if (result == 1)
        yk_ring_hint(&shm(play, number)->tail, hint);
    return result;
}

static int send_id(const struct play *play, uint32_t who, uint64_t id)
{
    return send_sized(play, 0, who, id, 8);
}

static int take(const struct play *play, uint32_t number, uint32_t who, uint64_t capacity,
                struct yk_held *held)
{
    uint64_t hint = yk_ring_head(&play->ring, number);
    int result = yk_ring_take(&play->ring, number, who, capacity, &hint, held);
    if (result == 1)
        yk_ring_hint(&shm(play, number)->head, hint);
    return result;
}

static uint64_t tag_of(const struct play *play, const struct yk_held *held)
{
    return yk_load_relaxed(&yk_ring_block(&play->ring, held->block)->tag);
}

/* Takes and releases the next message, which must be this one. */
static void expect_next(const struct play *play, uint64_t id)
{
    struct yk_held held;
    assert_int_equal(take(play, 0, 3, UINT64_MAX, &held), 1);
    assert_int_equal(tag_of(play, &held), id);
    assert_int_equal(yk_ring_release(&play->ring, &held), 1);
}

static void expect_nothing(const struct play *play)
{
    struct yk_held held;
    assert_int_equal(take(play, 0, 3, UINT64_MAX, &held), 0);
}

static struct yk_ring_counts counts(const struct play *play)
{
    struct yk_ring_counts result;
    yk_ring_count(&play->ring, 0, &result);
    return result;
}

/* ---- geometry --------------------------------------------------------------------------------- */

static void every_plan_is_accepted(void **state)
{
    static const uint32_t depths[] = {1, 2, 3, 100, 128, 129, 1024, 65536, 1u << 20};
    static const uint64_t sizes[] = {0, 1, 31, 32, 4096, 4097, 65536, UINT64_C(64) << 20};
    (void)state;
    for (size_t d = 0; d < sizeof depths / sizeof depths[0]; d++)
        for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
            struct yk_ring_geometry geometry = planned(depths[d], 1, sizes[s]);
            assert_int_equal(yk_ring_check_geometry(&geometry), 0);
            assert_true(UINT64_C(1) << geometry.cells_log2 >= 2 * (uint64_t)geometry.depth);
            assert_true(geometry.blocks_each > geometry.depth);
            assert_int_equal(yk_ring_rings_bytes(&geometry) % 128, 0);
            assert_int_equal(yk_ring_blocks_bytes(&geometry) % 128, 0);
            assert_true(yk_ring_blocks_bytes(&geometry) >= (uint64_t)geometry.blocks_each *
                                                               geometry.participants *
                                                               geometry.max_message);
        }
}

static void refuse(struct yk_ring_geometry geometry)
{
    assert_int_equal(yk_ring_check_geometry(&geometry), -EPROTO);
}

static void hostile_geometry_is_refused(void **state)
{
    struct yk_ring_geometry good = planned(100, 2, 100), bad;
    (void)state;
#define REFUSE(field, value) (bad = good, bad.field = (value), refuse(bad))
    REFUSE(cells_log2, 0);
    REFUSE(cells_log2, 6); /* fewer cells than the depth */
    REFUSE(cells_log2, 24);
    REFUSE(cells_log2, 63);
    REFUSE(cells_log2, UINT32_MAX);
    REFUSE(spread_log2, 9);
    REFUSE(spread_log2, UINT32_MAX);
    REFUSE(rings, 0);
    REFUSE(rings, 33);
    REFUSE(rings, UINT32_MAX);
    REFUSE(depth, 0);
    REFUSE(depth, 257);
    REFUSE(depth, UINT32_MAX);
    REFUSE(max_parked, (1u << 20) + 1);
    REFUSE(max_borrowed, 65537);
    REFUSE(participants, 0);
    REFUSE(participants, 1024);
    REFUSE(participants, UINT32_MAX);
    REFUSE(blocks_each, 0);
    REFUSE(blocks_each, 1u << 25);
    REFUSE(blocks_each, UINT32_MAX);
    REFUSE(payload_offset, 0);
    REFUSE(payload_offset, 31);
    REFUSE(payload_offset, 33); /* messages are 16-byte aligned */
    REFUSE(payload_offset, 40);
    REFUSE(payload_offset, 65);
    REFUSE(payload_offset, UINT32_MAX);
    REFUSE(max_message, (UINT64_C(64) << 20) + 1);
    REFUSE(max_message, UINT64_MAX);
    REFUSE(max_message, good.block_stride - good.payload_offset + 1);
    REFUSE(block_stride, 0);
    REFUSE(block_stride, good.block_stride + 1);
    REFUSE(block_stride, good.block_stride - 64);
    REFUSE(block_stride, UINT64_MAX - 63);
#undef REFUSE
    bad = good;
    bad.cells_log2 = 2;
    bad.depth = 4;
    bad.spread_log2 = 3; /* more places than cells */
    refuse(bad);
}

/* Whatever passes the check, the sizes of it do not overflow. */
static void random_geometry_that_is_accepted_has_finite_sizes(void **state)
{
    uint64_t random = test_seed();
    (void)state;
    for (int i = 0; i < 200000; i++) {
        struct yk_ring_geometry geometry = planned(100, 2, 100);
        uint32_t *fields = (uint32_t *)(void *)&geometry;
        for (int k = 0; k < 2; k++) {
            random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
            fields[(random >> 33) % 11] = (uint32_t)(random >> (random >> 59));
        }
        if (yk_ring_check_geometry(&geometry) != 0)
            continue;
        assert_in_range(yk_ring_rings_bytes(&geometry), 1, UINT64_C(1) << 40);
        assert_in_range(yk_ring_blocks_bytes(&geometry), 1, UINT64_C(1) << 54);
    }
}

static void blocks_that_can_not_be_numbered_take_no_bytes(void **state)
{
    struct yk_ring_geometry geometry = planned(1u << 20, 32, 8);
    (void)state;
    geometry.participants = 1023;
    assert_int_equal(yk_ring_blocks_bytes(&geometry), 0);
    refuse(geometry);
}

/* ---- order and bounds ------------------------------------------------------------------------- */

static void messages_come_in_the_order_they_were_sent(void **state)
{
    struct yk_ring_geometry geometry = planned(100, 1, 24);
    struct play play;
    uint64_t sent = 0, got = 0;
    (void)state;
    open_play(&play, &geometry);
    for (uint32_t round = 0; round < 300;
         round++) { /* over many laps, filled to different heights */
        for (uint32_t i = 0; i < round % 90; i++)
            assert_int_equal(send_id(&play, (uint32_t)(sent % 3), sent), 1), sent++;
        while (got < sent)
            expect_next(&play, got++);
        expect_nothing(&play);
    }
    close_play(&play);
}

static void exactly_depth_messages_fit(void **state)
{
    static const uint32_t depths[] = {1, 2, 3, 100, 128};
    (void)state;
    for (size_t d = 0; d < sizeof depths / sizeof depths[0]; d++) {
        struct yk_ring_geometry geometry = planned(depths[d], 1, 24);
        struct play play;
        open_play(&play, &geometry);
        for (uint64_t round = 0; round < 5; round++) {
            for (uint64_t i = 0; i < depths[d]; i++) {
                assert_true(yk_ring_has_room(&play.ring, 0));
                assert_int_equal(send_id(&play, (uint32_t)(i % 3), i), 1);
            }
            assert_false(yk_ring_has_room(&play.ring, 0));
            assert_int_equal(send_id(&play, 3, 999), 0);
            assert_int_equal(counts(&play).waiting, depths[d]);
            /* one out, one in */
            expect_next(&play, 0);
            assert_int_equal(send_id(&play, 3, depths[d]), 1);
            assert_int_equal(send_id(&play, 3, 999), 0);
            for (uint64_t i = 1; i <= depths[d]; i++)
                expect_next(&play, i);
            expect_nothing(&play);
        }
        close_play(&play);
    }
}

static void refused_message_leaves_its_block_free_and_the_ring_as_it_was(void **state)
{
    struct yk_ring_geometry geometry = tiny(2, 2);
    struct play play;
    unsigned char before[1024];
    uint32_t block;
    uint64_t hint, open = 0, sequence;
    (void)state;
    open_play(&play, &geometry);
    assert_int_equal(send_id(&play, 0, 1), 1);
    assert_int_equal(send_id(&play, 0, 2), 1);
    assert_true(play.rings_size <= sizeof before);
    memcpy(before, play.rings, play.rings_size);
    assert_true(fill(&play, 1, 3, 8, &block));
    hint = yk_ring_tail(&play.ring, 0);
    assert_int_equal(yk_ring_commit(&play.ring, 0, block, &hint, &open, &sequence), 0);
    assert_true(yk_ring_is_free(&play.ring, block));
    assert_memory_equal(before, play.rings, play.rings_size);
    close_play(&play);
}

/* Held ones do not count: they stand in nobody's way, however many laps pass. */
static void held_messages_neither_stop_nor_bound_the_others(void **state)
{
    struct yk_ring_geometry geometry = tiny(3, 2);
    struct play play;
    struct yk_held held[3];
    (void)state;
    open_play(&play, &geometry);
    for (uint64_t i = 0; i < 3; i++) {
        assert_int_equal(send_id(&play, 0, 100 + i), 1);
        assert_int_equal(take(&play, 0, 2, UINT64_MAX, &held[i]), 1);
    }
    for (uint64_t i = 0; i < 100; i++) {
        assert_int_equal(send_id(&play, 1, i), 1);
        assert_in_range(counts(&play).waiting, 1, 2);
        expect_next(&play, i);
    }
    assert_int_equal(counts(&play).held, 3);
    for (uint64_t i = 0; i < 3; i++) {
        assert_int_equal(tag_of(&play, &held[i]), 100 + i);
        assert_int_equal(held[i].sequence, i);
        assert_int_equal(yk_ring_release(&play.ring, &held[i]), 1);
    }
    for (uint64_t i = 0; i < 100; i++) {
        assert_int_equal(send_id(&play, 0, i), 1);
        expect_next(&play, i);
    }
    close_play(&play);
}

/* Everybody holds as many as he may, all of one sender's, and as many are parked as may be. */
static void depth_messages_fit_beside_all_that_may_be_held_and_parked(void **state)
{
    static const uint32_t depths[] = {1, 2, 5};
    (void)state;
    for (size_t d = 0; d < sizeof depths / sizeof depths[0]; d++) {
        struct yk_ring_geometry geometry = planned(depths[d], 2, 24);
        struct play play;
        struct yk_held held;
        geometry.max_borrowed = 300;
        geometry.max_parked = 100;
        geometry.max_deliveries = 1;
        yk_ring_plan(&geometry);
        open_play(&play, &geometry);
        for (uint32_t number = 0; number < 2; number++)
            for (uint32_t i = 0; i < 100; i++) {
                assert_int_equal(send_sized(&play, number, 0, i, 8), 1);
                assert_int_equal(take(&play, number, 1, UINT64_MAX, &held), 1);
                assert_int_equal(yk_ring_return(&play.ring, &held), 1);
            }
        for (uint32_t i = 0; i < 4 * 300; i++) {
            assert_int_equal(send_id(&play, 0, i), 1);
            assert_int_equal(take(&play, 0, i % 4, UINT64_MAX, &held), 1);
        }
        assert_int_equal(counts(&play).held, 1200);
        assert_int_equal(counts(&play).parked, 100);
        for (uint32_t round = 0; round < 5000; round++) {
            uint32_t fit = 0;
            while (send_id(&play, 0, fit) == 1)
                fit++;
            /* what is held within the window takes its place there */
            assert_in_range(fit, round == 0 ? depths[d] : 1, depths[d]);
            if (round == 0)
                for (uint32_t i = 0; i < depths[d]; i++)
                    assert_int_equal(send_sized(&play, 1, 0, i, 8), 1);
            for (uint32_t i = 0; i < fit; i++)
                expect_next(&play, i);
        }
        close_play(&play);
    }
}

/* However many cells are held in a row behind it, no window of waiting messages is wider than the depth. */
static void depth_holds_before_a_stretch_of_held_cells(void **state)
{
    (void)state;
    for (uint32_t held_count = 1; held_count <= 4; held_count++)
        for (uint32_t passed = 0; passed < 16; passed++) {
            struct yk_ring_geometry geometry = tiny(4, 2);
            struct play play;
            struct yk_held held;
            open_play(&play, &geometry);
            for (uint32_t i = 0; i < held_count; i++) {
                assert_int_equal(send_id(&play, 0, 1), 1);
                assert_int_equal(take(&play, 0, 2, UINT64_MAX, &held), 1);
            }
            for (uint32_t i = 0; i < passed; i++) {
                assert_int_equal(send_id(&play, 1, 2), 1);
                expect_next(&play, 2);
            }
            uint64_t sent = 0;
            while (sent < 20 && send_id(&play, sent % 2 ? 1 : 3, 3 + sent) == 1)
                sent++;
            assert_in_range(sent, 1, 2);
            for (uint64_t i = 0; i < sent; i++)
                expect_next(&play, 3 + i);
            close_play(&play);
        }
}

static void hint_carried_through_a_batch_keeps_order_and_bound(void **state)
{
    struct yk_ring_geometry geometry = planned(10, 1, 24);
    struct play play;
    (void)state;
    open_play(&play, &geometry);
    for (int round = 0; round < 100; round++) {
        uint64_t hint = yk_ring_tail(&play.ring, 0), open = 0, sequence, last = 0;
        uint32_t block, sent = 0;
        struct yk_held held;
        while (fill(&play, 0, sent, 8, &block) &&
               yk_ring_commit(&play.ring, 0, block, &hint, &open, &sequence) == 1) {
            assert_true(sent == 0 || sequence == last + 1);
            last = sequence;
            sent++;
        }
        assert_int_equal(sent, 10);
        hint = yk_ring_head(&play.ring, 0); /* the tail hint was never stored: it is only a hint */
        for (uint32_t i = 0; i < sent; i++) {
            assert_int_equal(yk_ring_take(&play.ring, 0, 3, UINT64_MAX, &hint, &held), 1);
            assert_int_equal(tag_of(&play, &held), i);
            assert_int_equal(yk_ring_release(&play.ring, &held), 1);
        }
        assert_int_equal(yk_ring_take(&play.ring, 0, 3, UINT64_MAX, &hint, &held), 0);
    }
    close_play(&play);
}

static void priorities_are_rings_of_their_own(void **state)
{
    struct yk_ring_geometry geometry = planned(4, 3, 24);
    struct play play;
    struct yk_held held;
    uint64_t seen[12];
    (void)state;
    open_play(&play, &geometry);
    for (uint32_t i = 0; i < 12; i++)
        assert_int_equal(send_sized(&play, i % 3, 0, i, 8), 1);
    for (uint32_t number = 0; number < 3; number++)
        assert_int_equal(send_sized(&play, number, 0, 99, 8), 0);
    for (uint32_t number = 0; number < 3; number++)
        for (uint32_t i = 0; i < 4; i++) {
            assert_int_equal(take(&play, number, 1, UINT64_MAX, &held), 1);
            assert_int_equal(tag_of(&play, &held), i * 3 + number);
            assert_int_equal(held.ring, number);
            seen[number * 4 + i] = held.sequence;
            assert_int_equal(yk_ring_release(&play.ring, &held), 1);
        }
    for (int i = 0; i < 12; i++)
        for (int k = 0; k < i; k++)
            assert_int_not_equal(seen[i], seen[k]);
    close_play(&play);
}

static void neighbouring_positions_use_every_cell_once(void **state)
{
    struct yk_ring_geometry geometry = planned(256, 1, 24);
    struct play play;
    (void)state;
    geometry.cells_log2 = 8;
    open_play(&play, &geometry);
    for (uint64_t i = 0; i < 256; i++)
        assert_int_equal(send_id(&play, 0, i), 1);
    assert_int_equal(counts(&play).waiting, 256);
    assert_int_equal(send_id(&play, 0, 999), 0);
    for (uint64_t i = 0; i < 256; i++)
        expect_next(&play, i);
    close_play(&play);
}

static void message_of_no_bytes_and_of_all_bytes_pass(void **state)
{
    struct yk_ring_geometry geometry = planned(4, 1, 5000);
    struct play play;
    struct yk_held held;
    (void)state;
    open_play(&play, &geometry);
    assert_int_equal(send_sized(&play, 0, 0, 1, 0), 1);
    assert_int_equal(send_sized(&play, 0, 0, 2, 5000), 1);
    assert_int_equal(take(&play, 0, 1, 0, &held), 1);
    assert_int_equal(held.size, 0);
    assert_int_equal(yk_ring_release(&play.ring, &held), 1);
    assert_int_equal(take(&play, 0, 1, 5000, &held), 1);
    assert_int_equal(held.size, 5000);
    assert_int_equal(yk_ring_payload(&play.ring, held.block)[4999], 2);
    assert_int_equal(yk_ring_release(&play.ring, &held), 1);
    close_play(&play);
}

/* ---- laps ------------------------------------------------------------------------------------- */

/* As after some 2^25 laps: cells and hints of lap `lap`. */
static void set_lap(const struct play *play, uint64_t lap)
{
    uint32_t cells = 1u << play->ring.geometry.cells_log2;
    for (uint32_t i = 0; i < cells; i++)
        shm(play, 0)->cells[i].raw = lap % LAPS << LAP_SHIFT;
    shm(play, 0)->head.raw = shm(play, 0)->tail.raw = lap * cells;
}

static void laps_wrap_round_unnoticed(void **state)
{
    static const uint64_t bases[] = {LAPS - 3, 5 * LAPS - 2};
    (void)state;
    for (size_t b = 0; b < 2; b++) {
        struct yk_ring_geometry geometry = tiny(2, 3);
        struct play play;
        struct yk_held old, held;
        open_play(&play, &geometry);
        set_lap(&play, bases[b]);
        /* one is held over the wrap, one given back before it, both skipped by the tail lap after lap */
        assert_int_equal(send_id(&play, 0, 1000), 1);
        assert_int_equal(send_id(&play, 0, 1001), 1);
        assert_int_equal(take(&play, 0, 2, UINT64_MAX, &old), 1);
        assert_int_equal(old.sequence, bases[b] * 4);
        for (uint64_t i = 0; i < 40; i++) {
            assert_int_equal(send_id(&play, 1, i), 1);
            assert_int_equal(take(&play, 0, 3, UINT64_MAX, &held), 1);
            assert_int_equal(tag_of(&play, &held), i == 0 ? 1001 : i - 1);
            assert_int_equal(yk_ring_release(&play.ring, &held), 1);
        }
        expect_next(&play, 39);
        assert_int_equal(yk_ring_return(&play.ring, &old), 1);
        uint64_t sent = 0; /* the cell that is passed over counts where it lies within the depth */
        while (sent < 9 && send_id(&play, 1, sent) == 1)
            sent++;
        assert_in_range(sent, 2, 3);
        assert_int_equal(take(&play, 0, 3, UINT64_MAX, &held), 1);
        assert_int_equal(tag_of(&play, &held), 1000);
        assert_int_equal(held.sequence, bases[b] * 4);
        assert_int_equal(yk_ring_release(&play.ring, &held), 1);
        for (uint64_t i = 0; i < sent; i++)
            expect_next(&play, i);
        expect_nothing(&play);
        close_play(&play);
    }
}

static void hint_of_any_age_is_harmless(void **state)
{
    static const uint64_t ages[] = {1, 2, 3, 4, 5, 7, 8, 9, 100, 4 * (LAPS - 4)};
    (void)state;
    for (size_t a = 0; a < sizeof ages / sizeof ages[0]; a++)
        for (int which = 1; which <= 3; which++) {
            struct yk_ring_geometry geometry = tiny(2, 3);
            struct play play;
            open_play(&play, &geometry);
            set_lap(&play, LAPS + 5);
            for (uint64_t i = 0; i < 30; i++) {
                uint64_t position = shm(&play, 0)->tail.raw;
                assert_int_equal(send_id(&play, 0, 2 * i), 1);
                if (which & 1)
                    shm(&play, 0)->tail.raw = position - ages[a];
                assert_int_equal(send_id(&play, 1, 2 * i + 1), 1);
                if (which & 2)
                    shm(&play, 0)->head.raw = position - ages[a];
                expect_next(&play, 2 * i);
                expect_next(&play, 2 * i + 1);
                expect_nothing(&play);
                shm(&play, 0)->tail.raw = shm(&play, 0)->head.raw = position + 2;
            }
            close_play(&play);
        }
}

/* ---- too small a buffer ----------------------------------------------------------------------- */

static void buffer_too_small_changes_nothing(void **state)
{
    struct yk_ring_geometry geometry = planned(4, 1, 24);
    struct play play, before;
    struct yk_held held, untouched;
    (void)state;
    open_play(&play, &geometry);
    open_play(&before, &geometry);
    assert_int_equal(send_sized(&play, 0, 0, 1, 24), 1);
    for (int again = 0; again < 2;
         again++) { /* waiting for the first time; to be delivered again */
        memcpy(before.rings, play.rings, play.rings_size);
        memcpy(before.blocks, play.blocks, play.blocks_size);
        memset(&held, 0x5a, sizeof held);
        memset(&untouched, 0x5a, sizeof untouched);
        uint64_t hint = yk_ring_head(&play.ring, 0), same = hint;
        assert_int_equal(yk_ring_take(&play.ring, 0, 1, 23, &hint, &held), -EMSGSIZE);
        assert_int_equal(yk_ring_take(&play.ring, 0, 1, 0, &hint, &held), -EMSGSIZE);
        assert_int_equal(hint, same);
        assert_memory_equal(&held, &untouched, sizeof held);
        assert_memory_equal(before.rings, play.rings, play.rings_size);
        assert_memory_equal(before.blocks, play.blocks, play.blocks_size);
        assert_int_equal(take(&play, 0, 1, 24, &held), 1);
        assert_int_equal(yk_ring_return(&play.ring, &held), 1);
    }
    close_play(&before);
    close_play(&play);
}

/* ---- giving back ------------------------------------------------------------------------------ */

static void returned_message_comes_first_again_and_is_counted(void **state)
{
    struct yk_ring_geometry geometry = planned(8, 1, 24);
    struct play play;
    struct yk_held held;
    (void)state;
    open_play(&play, &geometry);
    for (uint64_t i = 0; i < 3; i++)
        assert_int_equal(send_id(&play, 0, i), 1);
    for (uint32_t delivery = 1; delivery <= 300; delivery++) {
        assert_int_equal(take(&play, 0, 1 + delivery % 3, UINT64_MAX, &held), 1);
        assert_int_equal(tag_of(&play, &held), 0);
        assert_int_equal(held.sequence, 0);
        assert_int_equal(held.deliveries, delivery);
        assert_int_equal(yk_ring_return(&play.ring, &held), 1);
        assert_true(yk_ring_peek(&play.ring, 0));
    }
    assert_int_equal(yk_load_relaxed(&shm(&play, 0)->redelivered), 299);
    for (uint64_t i = 0; i < 3; i++)
        expect_next(&play, i);
    expect_nothing(&play);
    assert_false(yk_ring_peek(&play.ring, 0)); /* and nobody looks for it any more */
    close_play(&play);
}

static void oldest_of_the_returned_comes_first(void **state)
{
    struct yk_ring_geometry geometry = planned(8, 1, 24);
    struct play play;
    struct yk_held held[5];
    static const int order[] = {3, 0, 4, 1, 2};
    (void)state;
    open_play(&play, &geometry);
    for (uint64_t i = 0; i < 6; i++)
        assert_int_equal(send_id(&play, 0, i), 1);
    for (int i = 0; i < 5; i++)
        assert_int_equal(take(&play, 0, 1, UINT64_MAX, &held[i]), 1);
    for (int i = 0; i < 5; i++)
        assert_int_equal(yk_ring_return(&play.ring, &held[order[i]]), 1);
    for (uint64_t i = 0; i < 6; i++)
        expect_next(&play, i);
    close_play(&play);
}

/* Takes and returns the next message until it is parked (or dropped): as often as it may be delivered. */
static void wear_out(const struct play *play, uint64_t id)
{
    struct yk_held held;
    for (uint32_t delivery = 1; delivery <= play->ring.geometry.max_deliveries; delivery++) {
        assert_int_equal(take(play, 0, 1, UINT64_MAX, &held), 1);
        assert_int_equal(tag_of(play, &held), id);
        assert_int_equal(held.deliveries, delivery);
        assert_int_equal(yk_ring_return(&play->ring, &held), 1);
    }
}

static void message_returned_too_often_is_parked_and_only_taken_as_such(void **state)
{
    struct yk_ring_geometry geometry = planned(8, 1, 24);
    struct play play;
    struct yk_held held;
    (void)state;
    geometry.max_deliveries = 3;
    geometry.max_parked = 2;
    open_play(&play, &geometry);
    for (uint64_t i = 0; i < 2; i++)
        assert_int_equal(send_id(&play, 0, i), 1);
    wear_out(&play, 0);
    assert_int_equal(counts(&play).parked, 1);
    wear_out(&play, 1);
    expect_nothing(&play);
    assert_int_equal(counts(&play).parked, 2);
    assert_int_equal(counts(&play).waiting, 0);
    assert_int_equal(yk_load_relaxed(&shm(&play, 0)->dropped), 0);
    /* the oldest first; given back, it is parked again; a buffer too small leaves it there */
    assert_int_equal(yk_ring_take_parked(&play.ring, 0, 2, 7, &held), -EMSGSIZE);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(yk_ring_take_parked(&play.ring, 0, 2, 8, &held), 1);
        assert_int_equal(tag_of(&play, &held), 0);
        assert_int_equal(held.deliveries, 3);
        assert_int_equal(counts(&play).parked, 1);
        assert_int_equal(yk_ring_return(&play.ring, &held), 1);
    }
    for (uint64_t i = 0; i < 2; i++) {
        assert_int_equal(yk_ring_take_parked(&play.ring, 0, 2, 8, &held), 1);
        assert_int_equal(tag_of(&play, &held), i);
        assert_int_equal(yk_ring_release(&play.ring, &held), 1);
    }
    assert_int_equal(yk_ring_take_parked(&play.ring, 0, 2, 8, &held), 0);
    close_play(&play);
}

static void message_is_dropped_and_counted_where_too_many_are_parked(void **state)
{
    struct yk_ring_geometry geometry = tiny(3, 4);
    struct play play;
    (void)state;
    geometry.max_deliveries = 1;
    geometry.max_parked = 2;
    open_play(&play, &geometry);
    for (uint64_t i = 0; i < 10; i++) {
        assert_int_equal(send_id(&play, 0, i), 1);
        wear_out(&play, i);
        assert_int_equal(counts(&play).parked, i < 2 ? i + 1 : 2);
        assert_int_equal(yk_load_relaxed(&shm(&play, 0)->dropped), i < 2 ? 0 : i - 1);
    }
    expect_nothing(&play);
    close_play(&play);
}

static void policy_once_drops_and_counts_what_is_returned(void **state)
{
    struct yk_ring_geometry geometry = tiny(2, 2);
    struct play play;
    struct yk_held held;
    (void)state;
    geometry.once = 1;
    open_play(&play, &geometry);
    for (uint64_t i = 0; i < 10; i++) {
        assert_int_equal(send_id(&play, 0, i), 1);
        assert_int_equal(take(&play, 0, 1, UINT64_MAX, &held), 1);
        assert_int_equal(held.deliveries, 1);
        if (i % 2)
            assert_int_equal(yk_ring_return(&play.ring, &held), 1);
        else
            assert_int_equal(yk_ring_recover(&play.ring, 1, UNLIMITED), 1);
        assert_int_equal(yk_load_relaxed(&shm(&play, 0)->dropped), i + 1);
        expect_nothing(&play);
    }
    assert_int_equal(counts(&play).held, 0);
    close_play(&play);
}

static void what_is_held_is_found_by_its_block_and_by_its_holder_only(void **state)
{
    struct yk_ring_geometry geometry = planned(8, 2, 24);
    struct play play;
    struct yk_held held, found;
    uint32_t by[4] = {0};
    (void)state;
    open_play(&play, &geometry);
    assert_int_equal(send_sized(&play, 1, 0, 5, 8), 1);
    assert_int_equal(yk_ring_find_held(&play.ring, 1, 0, &found), 0);
    assert_int_equal(take(&play, 1, 1, UINT64_MAX, &held), 1);
    assert_int_equal(yk_ring_find_held(&play.ring, 2, held.block, &found), 0);
    assert_int_equal(yk_ring_find_held(&play.ring, 1, held.block + 1, &found), 0);
    assert_int_equal(yk_ring_find_held(&play.ring, 1, held.block, &found), 1);
    assert_int_equal(found.sequence, held.sequence);
    assert_int_equal(found.ring, 1);
    assert_int_equal(found.deliveries, 1);
    yk_ring_count_held(&play.ring, by);
    assert_int_equal(by[0] + by[2] + by[3], 0);
    assert_int_equal(by[1], 1);
    assert_int_equal(yk_ring_release(&play.ring, &found), 1);
    assert_int_equal(yk_ring_find_held(&play.ring, 1, held.block, &found), 0);
    assert_int_equal(yk_ring_release(&play.ring, &held), -EPROTO); /* a second time */
    close_play(&play);
}

/* ---- half-written states, as a death leaves them ---------------------------------------------- */

static void block_stamped_but_not_committed_is_freed(void **state)
{
    struct yk_ring_geometry geometry = tiny(2, 2);
    struct play play;
    uint32_t block;
    (void)state;
    open_play(&play, &geometry);
    assert_int_equal(send_id(&play, 0, 1), 1);
    assert_true(fill(&play, 2, 7, 8, &block));
    yk_ring_block(&play.ring, block)->word.raw = 1 << 6 | 1; /* USED(1) */
    assert_int_equal(send_id(&play, 0, 2), 1); /* but another one came to position 1 */
    assert_false(yk_ring_is_free(&play.ring, block));
    assert_int_equal(yk_ring_recover(&play.ring, 2, UNLIMITED), 0);
    assert_true(yk_ring_is_free(&play.ring, block));
    expect_next(&play, 1);
    expect_next(&play, 2);
    close_play(&play);
}

static void block_beyond_those_in_use_is_left_alone(void **state)
{
    struct yk_ring_geometry geometry = tiny(2, 2);
    struct play play;
    (void)state;
    open_play(&play, &geometry);
    for (uint32_t k = 0; k < 4; k++)
        yk_ring_block(&play.ring, 2 * 4 + k)->word.raw = 1;
    yk_ring_recover(&play.ring, 2, 3);
    for (uint32_t k = 0; k < 4; k++)
        assert_int_equal(yk_ring_is_free(&play.ring, 2 * 4 + k), k < 3);
    close_play(&play);
}

static void what_was_committed_by_the_dead_still_comes(void **state)
{
    struct yk_ring_geometry geometry = tiny(2, 2);
    struct play play;
    (void)state;
    open_play(&play, &geometry);
    assert_int_equal(send_id(&play, 2, 1), 1);
    shm(&play, 0)->tail.raw = 0; /* it died before it stored the hint */
    assert_int_equal(yk_ring_recover(&play.ring, 2, UNLIMITED), 0);
    assert_int_equal(send_id(&play, 2, 2), 1); /* his successor */
    expect_next(&play, 1);
    expect_next(&play, 2);
    close_play(&play);
}

static void release_that_freed_only_the_block_is_finished(void **state)
{
    struct yk_ring_geometry geometry = tiny(1, 2);
    struct play play;
    struct yk_held held;
    (void)state;
    open_play(&play, &geometry);
    assert_int_equal(send_id(&play, 0, 1), 1);
    assert_int_equal(take(&play, 0, 1, UINT64_MAX, &held), 1);
    yk_ring_block(&play.ring, held.block)->word.raw = 0;
    assert_int_equal(send_id(&play, 0, 2), 1); /* the same block, in another cell */
    assert_int_equal(yk_ring_recover(&play.ring, 1, UNLIMITED), 0);
    assert_int_equal(counts(&play).held, 0);
    expect_next(&play, 2);
    expect_nothing(&play);
    close_play(&play);
}

/* After each of the three steps of giving back. */
static void return_that_was_broken_off_is_done_again(void **state)
{
    (void)state;
    for (int steps = 0; steps <= 2; steps++) {
        struct yk_ring_geometry geometry = tiny(2, 3);
        struct play play;
        struct yk_held held, mine;
        open_play(&play, &geometry);
        assert_int_equal(send_id(&play, 0, 1), 1);
        assert_int_equal(take(&play, 0, 1, UINT64_MAX, &held), 1);
        yk_ring_block(&play.ring, held.block)->returning.raw = steps >= 1;
        shm(&play, 0)->raised.raw += steps >= 2;
        expect_nothing(&play); /* this must not settle what is not settled */
        assert_int_equal(yk_ring_recover(&play.ring, 1, UNLIMITED), 1);
        assert_int_equal(yk_ring_recover(&play.ring, 1, UNLIMITED), 0);
        assert_int_equal(take(&play, 0, 2, UINT64_MAX, &mine), 1);
        assert_int_equal(mine.deliveries, 2);
        assert_int_equal(mine.sequence, held.sequence);
        expect_nothing(&play);
        assert_false(yk_ring_peek(&play.ring, 0)); /* held, and nobody looks for it */
        assert_int_equal(yk_ring_release(&play.ring, &mine), 1);
        close_play(&play);
    }
}

static void message_taken_again_by_one_who_died_at_once_is_not_lost(void **state)
{
    for (int steps = 0; steps <= 1; steps++) {
        struct yk_ring_geometry geometry = tiny(2, 3);
        struct play play;
        struct yk_held held;
        (void)state;
        geometry.max_deliveries = 2;
        open_play(&play, &geometry);
        assert_int_equal(send_id(&play, 0, 1), 1);
        assert_int_equal(take(&play, 0, 1, UINT64_MAX, &held), 1);
        assert_int_equal(yk_ring_return(&play.ring, &held), 1);
        assert_int_equal(take(&play, 0, 1, UINT64_MAX, &held), 1);
        yk_ring_block(&play.ring, held.block)->returning.raw = 1; /* died before this was cleared */
        if (steps == 0)
            yk_ring_block(&play.ring, held.block)->deliveries.raw--; /* and before it was counted */
        assert_int_equal(yk_ring_recover(&play.ring, 1, UNLIMITED), 1);
        if (steps == 0) {
            assert_int_equal(take(&play, 0, 2, UINT64_MAX, &held), 1);
        } else {
            assert_int_equal(yk_ring_take_parked(&play.ring, 0, 2, UINT64_MAX, &held), 1);
            expect_nothing(&play);
            assert_false(
                yk_ring_peek(&play.ring, 0)); /* though a parked one was once on its way back */
        }
        assert_int_equal(held.deliveries, 2);
        assert_int_equal(yk_ring_release(&play.ring, &held), 1);
        close_play(&play);
    }
}

/* Pages of a mapping that exist. */
static size_t pages_present(void *memory, size_t bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), pages = (bytes + page - 1) / page, present = 0;
    unsigned char *vector = malloc(pages);
    assert_int_equal(mincore(memory, bytes, vector), 0);
    for (size_t i = 0; i < pages; i++)
        present += vector[i] & 1;
    free(vector);
    return present;
}

static void no_walk_touches_cells_that_were_never_used(void **state)
{
    struct yk_ring_geometry geometry = planned(1u << 20, 1, 24);
    struct play play = {.rings_size = yk_ring_rings_bytes(&geometry),
                        .blocks_size = yk_ring_blocks_bytes(&geometry)};
    struct yk_held held;
    uint32_t by[4] = {0};
    (void)state;
    play.rings = mmap(NULL, play.rings_size, PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    play.blocks = mmap(NULL, play.blocks_size, PROT_READ | PROT_WRITE,
                       MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_true(play.rings != MAP_FAILED && play.blocks != MAP_FAILED);
    yk_ring_attach(&play.ring, &geometry, play.rings, play.blocks);
    for (uint64_t i = 0; i < 100; i++) {
        assert_int_equal(send_id(&play, 0, i), 1);
        assert_int_equal(take(&play, 0, 1 + i % 2, UINT64_MAX, &held), 1);
    }
    assert_int_equal(counts(&play).held, 100);
    yk_ring_count_held(&play.ring, by);
    assert_int_equal(by[1] + by[2], 100);
    assert_int_equal(yk_ring_recover(&play.ring, 1, 100), 50);
    assert_int_equal(yk_ring_recover(&play.ring, 2, 100), 50);
    assert_int_equal(counts(&play).waiting, 100);
    for (uint64_t i = 0; i < 100; i++)
        expect_next(&play, i);
    expect_nothing(&play); /* looked at all that were given back */
    assert_false(yk_ring_peek(&play.ring, 0));
    assert_in_range(pages_present(play.rings, play.rings_size), 1, 4);
    munmap(play.rings, play.rings_size);
    munmap(play.blocks, play.blocks_size);
}

/* A cell in lap 2^25 looks as if it had never been used. */
static void what_is_held_behind_cells_of_the_lap_after_the_last_is_found(void **state)
{
    struct yk_ring_geometry geometry = tiny(3, 4);
    struct play play;
    struct yk_held held;
    (void)state;
    open_play(&play, &geometry);
    set_lap(&play, LAPS - 1);
    for (uint64_t i = 0; i < 8; i++) {
        assert_int_equal(send_id(&play, 0, i), 1);
        assert_int_equal(take(&play, 0, 1, UINT64_MAX, &held), 1);
        if (i != 6)
            assert_int_equal(yk_ring_release(&play.ring, &held), 1);
    }
    assert_int_equal(counts(&play).held, 1);
    assert_int_equal(yk_ring_recover(&play.ring, 1, UNLIMITED), 1);
    expect_next(&play, 6);
    close_play(&play);
}

static void recovery_takes_nothing_from_the_living(void **state)
{
    struct yk_ring_geometry geometry = planned(8, 2, 24);
    struct play play;
    struct yk_held held[4];
    (void)state;
    open_play(&play, &geometry);
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(send_sized(&play, i / 2, i, i, 8), 1);
        assert_int_equal(take(&play, i / 2, i, UINT64_MAX, &held[i]), 1);
    }
    assert_int_equal(yk_ring_recover(&play.ring, 2, UNLIMITED), 1);
    for (uint32_t i = 0; i < 4; i++)
        assert_int_equal(yk_ring_release(&play.ring, &held[i]), i == 2 ? -EPROTO : 1);
    close_play(&play);
}

/* ---- hostile memory --------------------------------------------------------------------------- */

static uint64_t next_random(uint64_t *random)
{
    uint64_t value = *random += UINT64_C(0x9E3779B97F4A7C15);
    value = (value ^ value >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    value = (value ^ value >> 27) * UINT64_C(0x94D049BB133111EB);
    return value ^ value >> 31;
}

/* A value of the kind that lies there, now and then with something impossible in it. */
static uint64_t hostile_cell(const struct play *play, uint64_t *random)
{
    uint64_t dice = next_random(random), lap = dice >> 8 & 3, owner = dice >> 12 & 3;
    uint64_t block = dice >> 16 & 31;
    if ((dice & 7) == 0)
        return next_random(random);
    if ((dice & 63) == 1)
        lap = LAPS - 1;
    if ((dice & 63) == 2)
        owner = 1023;
    if ((dice & 63) == 3)
        block = (UINT64_C(1) << YK_CELL_BLOCK_BITS) - 1;
    if ((dice & 63) == 4)
        block = play->ring.blocks_total;
    return lap << LAP_SHIFT | owner << (3 + YK_CELL_BLOCK_BITS) | block << 3 | dice >> 56 % 6;
}

static void scribble(const struct play *play, uint64_t *random)
{
    for (uint32_t number = 0; number < play->ring.geometry.rings; number++) {
        struct yk_shm_ring *at = shm(play, number);
        for (uint32_t i = 0; i < 1u << play->ring.geometry.cells_log2; i++)
            yk_store_relaxed(&at->cells[i], hostile_cell(play, random));
        yk_store_relaxed(&at->head, next_random(random) >> next_random(random) % 64);
        yk_store_relaxed(&at->tail, next_random(random) >> next_random(random) % 64);
        yk_store_relaxed(&at->raised, next_random(random) & 1);
        yk_store_relaxed(&at->settled, next_random(random) & 1);
    }
    for (uint32_t number = 0; number < play->ring.blocks_total; number++) {
        struct yk_shm_block *block = yk_ring_block(&play->ring, number);
        uint64_t dice = next_random(random);
        yk_store_relaxed(&block->word, dice & 1 ? dice >> dice % 64 : 0);
        yk_store32_relaxed(&block->size, (dice & 6) == 6 ? (uint32_t)next_random(random)
                                                         : (uint32_t)(dice >> 8 & 31));
        yk_store32_relaxed(&block->deliveries,
                           (dice & 8) != 0 ? UINT32_MAX : (uint32_t)(dice >> 16 & 3));
        yk_store32_relaxed(&block->returning, (uint32_t)(dice >> 24 & 1));
    }
}

/* What was handed out can be used: the whole message lies in the memory. */
static void read_all(const struct play *play, const struct yk_held *held)
{
    static volatile unsigned char sink;
    const unsigned char *payload = yk_ring_payload(&play->ring, held->block);
    assert_in_range(held->block, 0, play->ring.blocks_total - 1);
    assert_in_range(held->size, 0, play->ring.geometry.max_message);
    assert_in_range(held->index, 0, (1u << play->ring.geometry.cells_log2) - 1);
    for (uint32_t i = 0; i < held->size; i++)
        sink = payload[i];
    (void)sink;
}

/* Every call, each on what the one before has left. */
static void call_everything(const struct play *play, uint64_t *random)
{
    const struct yk_ring *ring = &play->ring;
    uint32_t number = (uint32_t)(next_random(random) % ring->geometry.rings), block, by[8] = {0};
    uint64_t hint = next_random(random) >> next_random(random) % 64, open = hint & 7, sequence;
    struct yk_ring_counts seen;
    struct yk_held held;
    int result;

    result = send_sized(play, number, 0, 1, 8);
    assert_true(result == 0 || result == 1);
    if (fill(play, 1, 2, 24, &block)) {
        result = yk_ring_commit(ring, number, block, &hint, &open, &sequence);
        assert_true(result == 0 || result == 1);
    }
    yk_ring_has_room(ring, number);
    yk_ring_peek(ring, number);
    for (int i = 0; i < 3; i++) {
        result = i == 2 ? yk_ring_take_parked(ring, number, 1, 24, &held)
                        : take(play, number, 1, i == 0 ? 24 : 8, &held);
        assert_true(result == 0 || result == 1 || result == -EPROTO || result == -EMSGSIZE);
        if (result != 1)
            continue;
        read_all(play, &held);
        assert_true(held.size <= (i == 1 ? 8 : 24));
        result =
            next_random(random) & 1 ? yk_ring_release(ring, &held) : yk_ring_return(ring, &held);
        assert_true(result == 1 || result == -EPROTO);
    }
    for (uint32_t k = 0; k < ring->blocks_total; k++)
        if (yk_ring_find_held(ring, 1, k, &held) == 1)
            assert_in_range(held.index, 0, (1u << ring->geometry.cells_log2) - 1);
    yk_ring_recover(ring, (uint32_t)(next_random(random) % ring->geometry.participants),
                    (uint32_t)next_random(random));
    yk_ring_count(ring, number, &seen);
    yk_ring_count_held(ring, by);
}

/* An endless loop would run into the test's time limit; this says sooner, and which test. */
#define HOSTILE_SECONDS 60

static void random_memory_is_survived(void **state)
{
    static const struct {
        uint32_t cells_log2, spread_log2, rings, depth, once, max_deliveries;
    } kinds[] = {
        {1, 0, 1, 2, 0, UNLIMITED}, {2, 0, 2, 2, 0, 2}, {3, 2, 1, 4, 1, 1}, {4, 3, 3, 16, 0, 3}};
    uint64_t random = test_seed();
    (void)state;
    alarm(HOSTILE_SECONDS);
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        struct yk_ring_geometry geometry = tiny(kinds[k].cells_log2, kinds[k].depth);
        struct play play;
        geometry.spread_log2 = kinds[k].spread_log2;
        geometry.rings = kinds[k].rings;
        geometry.once = kinds[k].once;
        geometry.max_deliveries = kinds[k].max_deliveries;
        assert_int_equal(yk_ring_check_geometry(&geometry), 0);
        open_play(&play, &geometry);
        for (int i = 0; i < 5000; i++) {
            scribble(&play, &random);
            for (int calls = 0; calls < 3; calls++)
                call_everything(&play, &random);
        }
        close_play(&play);
    }
    alarm(0);
}

/* As it lies in a file of garbage: no structure at all. */
static void plain_noise_is_survived(void **state)
{
    uint64_t random = test_seed() + 1;
    struct yk_ring_geometry geometry = planned(4, 2, 24);
    struct play play;
    (void)state;
    alarm(HOSTILE_SECONDS);
    open_play(&play, &geometry);
    for (int i = 0; i < 300; i++) {
        for (size_t at = 0; at + 8 <= play.rings_size; at += 8) {
            uint64_t value = next_random(&random);
            memcpy(play.rings + at, &value, 8);
        }
        for (size_t at = 0; at + 8 <= play.blocks_size; at += 8) {
            uint64_t value = next_random(&random);
            memcpy(play.blocks + at, &value, 8);
        }
        call_everything(&play, &random);
    }
    close_play(&play);
    alarm(0);
}

struct scribbler {
    const struct play *play;
    yk_atomic32 stop;
};

static void *scribble_on(void *argument)
{
    struct scribbler *scribbler = argument;
    uint64_t random = 7;
    while (yk_load32_relaxed(&scribbler->stop) == 0)
        scribble(scribbler->play, &random);
    return NULL;
}

static void memory_that_changes_under_the_calls_is_survived(void **state)
{
    uint64_t random = test_seed() + 2;
    struct yk_ring_geometry geometry = tiny(2, 3);
    struct play play;
    struct scribbler scribbler = {.play = &play, .stop = {0}};
    pthread_t thread;
    (void)state;
    alarm(HOSTILE_SECONDS);
    geometry.max_deliveries = 2;
    open_play(&play, &geometry);
    assert_int_equal(pthread_create(&thread, NULL, scribble_on, &scribbler), 0);
    for (int i = 0; i < 20000; i++)
        call_everything(&play, &random);
    yk_store32_relaxed(&scribbler.stop, 1);
    assert_int_equal(pthread_join(thread, NULL), 0);
    close_play(&play);
    alarm(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_plan_is_accepted),
        cmocka_unit_test(hostile_geometry_is_refused),
        cmocka_unit_test(random_geometry_that_is_accepted_has_finite_sizes),
        cmocka_unit_test(blocks_that_can_not_be_numbered_take_no_bytes),
        cmocka_unit_test(messages_come_in_the_order_they_were_sent),
        cmocka_unit_test(exactly_depth_messages_fit),
        cmocka_unit_test(refused_message_leaves_its_block_free_and_the_ring_as_it_was),
        cmocka_unit_test(held_messages_neither_stop_nor_bound_the_others),
        cmocka_unit_test(depth_messages_fit_beside_all_that_may_be_held_and_parked),
        cmocka_unit_test(depth_holds_before_a_stretch_of_held_cells),
        cmocka_unit_test(hint_carried_through_a_batch_keeps_order_and_bound),
        cmocka_unit_test(priorities_are_rings_of_their_own),
        cmocka_unit_test(neighbouring_positions_use_every_cell_once),
        cmocka_unit_test(message_of_no_bytes_and_of_all_bytes_pass),
        cmocka_unit_test(laps_wrap_round_unnoticed),
        cmocka_unit_test(hint_of_any_age_is_harmless),
        cmocka_unit_test(buffer_too_small_changes_nothing),
        cmocka_unit_test(returned_message_comes_first_again_and_is_counted),
        cmocka_unit_test(oldest_of_the_returned_comes_first),
        cmocka_unit_test(message_returned_too_often_is_parked_and_only_taken_as_such),
        cmocka_unit_test(message_is_dropped_and_counted_where_too_many_are_parked),
        cmocka_unit_test(policy_once_drops_and_counts_what_is_returned),
        cmocka_unit_test(what_is_held_is_found_by_its_block_and_by_its_holder_only),
        cmocka_unit_test(block_stamped_but_not_committed_is_freed),
        cmocka_unit_test(block_beyond_those_in_use_is_left_alone),
        cmocka_unit_test(what_was_committed_by_the_dead_still_comes),
        cmocka_unit_test(release_that_freed_only_the_block_is_finished),
        cmocka_unit_test(return_that_was_broken_off_is_done_again),
        cmocka_unit_test(message_taken_again_by_one_who_died_at_once_is_not_lost),
        cmocka_unit_test(no_walk_touches_cells_that_were_never_used),
        cmocka_unit_test(what_is_held_behind_cells_of_the_lap_after_the_last_is_found),
        cmocka_unit_test(recovery_takes_nothing_from_the_living),
        cmocka_unit_test(random_memory_is_survived),
        cmocka_unit_test(plain_noise_is_survived),
        cmocka_unit_test(memory_that_changes_under_the_calls_is_survived),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
