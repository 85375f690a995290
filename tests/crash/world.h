/*
 * world.h - the small world in which the ring is checked: one ring in one byte array, six participants.
 *
 * The image is read here independently of port_ring.c (look_at() knows the layout of port_ring.h alone), and written
 * through the ring's calls only, the way a port does it (send_one, take_one ...).
 */
#ifndef CRASH_WORLD_H
#define CRASH_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "ring/port_ring.h"
#include "tools.h"

enum participant {
    FILLER,   /* lives; sends and takes what moves the ring on */
    FIRST,    /* runs an operation */
    SECOND,   /* runs an operation */
    DEAD,     /* what the start state leaves half-done is his */
    OBSERVER, /* lives; looks afterwards */
    THIRD,    /* runs an operation */
    PARTICIPANTS
};

struct setup {
    const char *name;
    struct yk_ring_geometry geometry;
};

extern const struct setup setups[];
extern const int setup_count;

#define IMAGE_MAX      8192
#define RINGS_MAX_HERE 2
#define BLOCKS_MAX     64

extern struct yk_ring ring;
extern unsigned char *image; /* what the participants share */
extern size_t image_size;

/* `memory`: IMAGE_MAX bytes, 128-byte aligned. `wrap`: the laps of the cells run over 2^25 within the first rounds. */
void world_open(const struct setup *setup, bool wrap, unsigned char *memory);

/* As it was when it was opened. */
void world_reset(void);

/* ---- reading ---- */

#define LAPS_MASK ((UINT64_C(1) << YK_CELL_LAP_BITS) - 1)

struct look {
    uint32_t ring, index, state, owner, block;
    uint64_t lap;
    uint64_t word, position; /* of the block */
    bool named;              /* the block's word says this very cell */
    uint64_t id;
    uint32_t deliveries, returning;
};

struct look look_at(uint32_t number, uint32_t index);

/* For each cell of each ring, as look_at() sees it. */
#define FOR_EACH_CELL(look)                                              \
    for (uint32_t number_ = 0; number_ < ring.geometry.rings; number_++) \
        for (uint32_t index_ = 0; index_ < cell_count(); index_++)       \
            for (struct look look = look_at(number_, index_), *once_ = &look; once_; once_ = NULL)

uint32_t cell_count(void);
uint32_t index_of(uint64_t position);
uint64_t dropped_count(void);
uint32_t count_state(uint32_t state);
uint32_t count_parking(void); /* those that are parked, or about to be */
uint32_t free_blocks(enum participant who);

/* Says in words what differs between two images. */
void print_difference(const unsigned char *before, const unsigned char *after);

/* ---- messages: a number, from which size and bytes follow ---- */

uint32_t size_of(uint64_t id);

/* What a sender does to a FREE block of its own before the commit. */
void fill_block(uint32_t number, uint32_t who, uint64_t id);

/* What a receiver does with a message: its id, or 0 when it is torn. */
uint64_t read_message(const struct yk_held *held);

/* A free block of the pool, or -1. */
int64_t find_free(uint32_t who);

/* Sends at or after *hint; the hint in shared memory is the caller's business. *open: as yk_ring_commit() has it. */
bool send_at(uint32_t number, uint32_t who, uint64_t id, uint64_t *hint, uint64_t *open,
             uint64_t *ret_sequence);
bool send_one(uint32_t number, uint32_t who, uint64_t id, uint64_t *ret_sequence);

/* As yk_ring_take(), over all rings, the highest first. */
int take_one(uint32_t who, uint64_t capacity, struct yk_held *ret_held);
int take_parked_one(uint32_t who, struct yk_held *ret_held);

#endif
