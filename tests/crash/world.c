/* See world.h. */
#include "world.h"

#include <stdio.h>
#include <string.h>

#define UNLIMITED UINT32_MAX

/* Small enough for every corner to be reached in a few steps: that is what finds faults. */
#define SMALL(log2, spread, ring_count, bound, blocks)                                      \
    .cells_log2 = (log2), .spread_log2 = (spread), .rings = (ring_count), .depth = (bound), \
    .participants = PARTICIPANTS, .blocks_each = (blocks), .payload_offset = 32,            \
    .max_message = 24, .block_stride = 64

const struct setup setups[] = {
    {"two-cells", {SMALL(1, 0, 1, 2, 2), .max_deliveries = UNLIMITED}},
    {"window", {SMALL(2, 0, 1, 2, 2), .max_deliveries = UNLIMITED}},
    {"four-cells", {SMALL(2, 0, 1, 4, 2), .max_deliveries = UNLIMITED}},
    {"parking", {SMALL(2, 0, 1, 3, 2), .max_deliveries = 2, .max_parked = 2}},
    {"once", {SMALL(1, 0, 1, 2, 2), .max_deliveries = UNLIMITED, .once = 1}},
    {"priorities", {SMALL(1, 0, 2, 2, 3), .max_deliveries = UNLIMITED}},
    {"spread", {SMALL(3, 2, 1, 2, 2), .max_deliveries = UNLIMITED}},
    {"one-block", {SMALL(1, 0, 1, 1, 1), .max_deliveries = UNLIMITED}},
};
const int setup_count = sizeof setups / sizeof setups[0];

struct yk_ring ring;
unsigned char *image;
size_t image_size;

static const struct setup *opened_setup;
static bool opened_wrap;

/* ---- the world ---- */

void world_open(const struct setup *setup, bool wrap, unsigned char *memory)
{
    uint64_t rings = yk_ring_rings_bytes(&setup->geometry);
    opened_setup = setup;
    opened_wrap = wrap;
    image = memory;
    image_size = rings + yk_ring_blocks_bytes(&setup->geometry);
    if (image_size > IMAGE_MAX || yk_ring_check_geometry(&setup->geometry) != 0)
        give_up("a setup does not fit the checker");
    yk_ring_attach(&ring, &setup->geometry, memory, memory + rings);
    memset(image, 0, image_size);
    uint64_t lap = wrap ? LAPS_MASK - 1 : 0;
    for (uint32_t number = 0; number < ring.geometry.rings; number++) {
        struct yk_shm_ring *shm = yk_ring_shm(&ring, number);
        shm->tail.raw = shm->head.raw = lap << ring.geometry.cells_log2;
        for (uint32_t i = 0; i < cell_count(); i++)
            shm->cells[i].raw = lap << (3 + YK_CELL_BLOCK_BITS + YK_CELL_OWNER_BITS);
    }
}

void world_reset(void)
{
    world_open(opened_setup, opened_wrap, image);
}

/* ---- reading the image, independently of port_ring.c ---- */

uint32_t cell_count(void)
{
    return UINT32_C(1) << ring.geometry.cells_log2;
}

uint32_t index_of(uint64_t position)
{
    uint32_t spread = ring.geometry.spread_log2, all = ring.geometry.cells_log2;
    uint64_t in_lap = position % cell_count();
    return (uint32_t)((in_lap % (1u << spread)) * (1u << (all - spread)) + in_lap / (1u << spread));
}

struct look look_at(uint32_t number, uint32_t index)
{
    uint64_t cell = yk_ring_shm(&ring, number)->cells[index].raw;
    struct look look = {.ring = number, .index = index, .state = cell & 7};
    cell >>= 3;
    look.block = cell & ((1u << YK_CELL_BLOCK_BITS) - 1);
    cell >>= YK_CELL_BLOCK_BITS;
    look.owner = cell & ((1u << YK_CELL_OWNER_BITS) - 1);
    look.lap = cell >> YK_CELL_OWNER_BITS;
    if (look.state != YK_CELL_EMPTY && look.block < ring.blocks_total) {
        struct yk_shm_block *block = yk_ring_block(&ring, look.block);
        look.word = block->word.raw;
        look.position = look.word >> 6;
        look.named = (look.word & 1) != 0 && (look.word >> 1 & 31) == number &&
                     index_of(look.position) == index;
        memcpy(&look.id, yk_ring_payload(&ring, look.block), sizeof look.id);
        look.deliveries = block->deliveries.raw;
        look.returning = block->returning.raw;
    }
    return look;
}

uint64_t dropped_count(void)
{
    uint64_t dropped = 0;
    for (uint32_t number = 0; number < ring.geometry.rings; number++)
        dropped += yk_ring_shm(&ring, number)->dropped.raw;
    return dropped;
}

uint32_t count_state(uint32_t state)
{
    uint32_t count = 0;
    FOR_EACH_CELL(look)
    count += look.state == state;
    return count;
}

uint32_t count_parking(void)
{
    uint32_t count = count_state(YK_CELL_PARKED);
    FOR_EACH_CELL(look)
    count += look.state == YK_CELL_HELD && look.named && look.returning == YK_PARKING;
    return count;
}

uint32_t free_blocks(enum participant who)
{
    uint32_t count = 0;
    for (uint32_t k = 0; k < ring.geometry.blocks_each; k++)
        count += yk_ring_block(&ring, who * ring.geometry.blocks_each + k)->word.raw == 0;
    return count;
}

static const char *print_cell(uint64_t cell)
{
    static const char *const names[] = {"EMPTY",  "FULL", "HELD", "AGAIN",
                                        "PARKED", "5?",   "6?",   "7?"};
    static char text[2][80];
    static int turn;
    char *out = text[turn ^= 1];
    uint64_t owner = cell >> (3 + YK_CELL_BLOCK_BITS) & ((1u << YK_CELL_OWNER_BITS) - 1);
    uint64_t block = cell >> 3 & ((1u << YK_CELL_BLOCK_BITS) - 1);
    snprintf(out, sizeof text[0], "%s(lap %llu, owner %llu, block %llu)", names[cell & 7],
             (unsigned long long)(cell >> (3 + YK_CELL_BLOCK_BITS + YK_CELL_OWNER_BITS)),
             (unsigned long long)owner, (unsigned long long)block);
    return out;
}

void print_difference(const unsigned char *before, const unsigned char *after)
{
    for (size_t at = 0; at < image_size; at += 8) {
        uint64_t old, new;
        memcpy(&old, before + at, 8);
        memcpy(&new, after + at, 8);
        if (old == new)
            continue;
        size_t rings = (size_t)(ring.blocks - (unsigned char *)ring.rings[0]);
        if (at >= rings) {
            static const char *const names[] = {"word", "tag", "size,sender",
                                                "deliveries,returning"};
            size_t block = (at - rings) / ring.geometry.block_stride;
            size_t field = (at - rings) % ring.geometry.block_stride / 8;
            printf("      block %zu %s: %llx -> %llx", block, field < 4 ? names[field] : "payload",
                   (unsigned long long)old, (unsigned long long)new);
            if (field == 0 && new != 0)
                printf(" (USED position %llu ring %llu)", (unsigned long long)(new >> 6),
                       (unsigned long long)(new >> 1 & 31));
            printf("\n");
            continue;
        }
        size_t number = at / ring.ring_stride, offset = at % ring.ring_stride;
        if (offset >= sizeof(struct yk_shm_ring))
            printf("      ring %zu cell %zu: %s -> %s\n", number,
                   (offset - sizeof(struct yk_shm_ring)) / 8, print_cell(old), print_cell(new));
        else
            printf("      ring %zu %s: %llu -> %llu\n", number,
                   offset == 0     ? "tail"
                   : offset == 8   ? "skipped"
                   : offset == 128 ? "head"
                   : offset == 256 ? "raised"
                   : offset == 264 ? "settled"
                   : offset == 272 ? "redelivered"
                                   : "dropped",
                   (unsigned long long)old, (unsigned long long)new);
    }
}

/* ---- messages ---- */

static uint64_t word_of(uint64_t id, uint32_t number)
{
    return number == 0 ? id : (id + number) * UINT64_C(0x9E3779B97F4A7C15);
}

uint32_t size_of(uint64_t id)
{
    return 8 * (1 + (uint32_t)(id % 3));
}

/* What a sender does to a FREE block of its own before the commit. */
void fill_block(uint32_t number, uint32_t who, uint64_t id)
{
    struct yk_shm_block *block = yk_ring_block(&ring, number);
    volatile uint64_t *payload = (volatile uint64_t *)(void *)yk_ring_payload(&ring, number);
    yk_check_yield();
    block->tag.raw = id;
    block->size.raw = size_of(id);
    block->sender.raw = who;
    block->deliveries.raw = 0;
    block->returning.raw = 0;
    for (uint32_t i = 0; i < size_of(id) / 8; i++)
        payload[i] = word_of(id, i);
}

/* What a receiver does with a message: its id, or 0 when it is torn. */
uint64_t read_message(const struct yk_held *held)
{
    const volatile uint64_t *payload =
        (volatile uint64_t *)(void *)yk_ring_payload(&ring, held->block);
    yk_check_yield();
    uint64_t id = payload[0];
    if (held->size != size_of(id))
        return 0;
    for (uint32_t i = 1; i < held->size / 8; i++)
        if (payload[i] != word_of(id, i))
            return 0;
    return id;
}

/* The lowest free block of the pool: the earliest reuse, which is what confuses. */
int64_t find_free(uint32_t who)
{
    for (uint32_t k = 0; k < ring.geometry.blocks_each; k++)
        if (yk_ring_is_free(&ring, who * ring.geometry.blocks_each + k))
            return who * ring.geometry.blocks_each + k;
    return -1;
}

/* Sends at or after *hint. */
bool send_at(uint32_t number, uint32_t who, uint64_t id, uint64_t *hint, uint64_t *open,
             uint64_t *ret_sequence)
{
    int64_t block = find_free(who);
    if (block < 0)
        return false;
    fill_block((uint32_t)block, who, id);
    return yk_ring_commit(&ring, number, (uint32_t)block, hint, open, ret_sequence) == 1;
}

bool send_one(uint32_t number, uint32_t who, uint64_t id, uint64_t *ret_sequence)
{
    uint64_t hint = yk_ring_tail(&ring, number), open = 0;
    if (!send_at(number, who, id, &hint, &open, ret_sequence))
        return false;
    yk_ring_hint(&yk_ring_shm(&ring, number)->tail, hint);
    return true;
}

int take_one(uint32_t who, uint64_t capacity, struct yk_held *ret_held)
{
    for (uint32_t number = ring.geometry.rings; number-- > 0;) {
        uint64_t hint = yk_ring_head(&ring, number);
        int result = yk_ring_take(&ring, number, who, capacity, &hint, ret_held);
        if (result == 1)
            yk_ring_hint(&yk_ring_shm(&ring, number)->head, hint);
        if (result != 0)
            return result;
    }
    return 0;
}

int take_parked_one(uint32_t who, struct yk_held *ret_held)
{
    for (uint32_t number = ring.geometry.rings; number-- > 0;) {
        int result = yk_ring_take_parked(&ring, number, who, ring.geometry.max_message, ret_held);
        if (result != 0)
            return result;
    }
    return 0;
}
