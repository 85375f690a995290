/* shuffle.h - chance, by a seed; all numbers up to one, in an order of chance, without a list of them. */
#ifndef CRASH_SHUFFLE_H
#define CRASH_SHUFFLE_H

#include <stdint.h>

uint64_t random_next(uint64_t *state);

/* The numbers 0 .. total - 1, each once, in an order that the seed decides. */
struct shuffle {
    uint64_t total, factor, offset;
};
struct shuffle shuffle_make(uint64_t total, uint64_t seed);
uint64_t shuffle_at(const struct shuffle *shuffle, uint64_t i);

#endif
