/* See shuffle.h. */
#include "shuffle.h"

uint64_t random_next(uint64_t *state)
{
    uint64_t value = *state += UINT64_C(0x9E3779B97F4A7C15);
    value = (value ^ value >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    value = (value ^ value >> 27) * UINT64_C(0x94D049BB133111EB);
    return value ^ value >> 31;
}

static uint64_t common_divisor(uint64_t a, uint64_t b)
{
    while (b != 0) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

struct shuffle shuffle_make(uint64_t total, uint64_t seed)
{
    struct shuffle shuffle = {.total = total, .offset = random_next(&seed) % total};
    do
        shuffle.factor = random_next(&seed) % total;
    while (total > 1 && common_divisor(shuffle.factor, total) != 1);
    return shuffle;
}

uint64_t shuffle_at(const struct shuffle *shuffle, uint64_t i)
{
    return (uint64_t)(((unsigned __int128)shuffle->factor * i + shuffle->offset) % shuffle->total);
}
