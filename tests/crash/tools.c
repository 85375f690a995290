/* See tools.h. */
#include "tools.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

char why[256];

bool fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why, sizeof why, format, arguments);
    va_end(arguments);
    return false;
}

uint64_t hash_bytes(const void *bytes, size_t size, uint64_t seed)
{
    uint64_t hash = seed ^ UINT64_C(0x2545F4914F6CDD1D);
    for (size_t at = 0; at < size; at += 8) {
        uint64_t value;
        memcpy(&value, (const unsigned char *)bytes + at, 8);
        hash = (hash ^ value) * UINT64_C(0x9E3779B97F4A7C15);
        hash ^= hash >> 29;
    }
    hash *= UINT64_C(0xBF58476D1CE4E5B9);
    return hash ^ hash >> 32;
}

void seen_clear(struct seen *seen)
{
    if (seen->slots == NULL) {
        seen->mask = (1u << 12) - 1;
        seen->slots = calloc(seen->mask + 1, sizeof *seen->slots);
    } else {
        memset(seen->slots, 0, (seen->mask + 1) * sizeof *seen->slots);
    }
    seen->used = 0;
}

bool seen_add(struct seen *seen, uint64_t hash)
{
    hash += hash == 0;
    if (seen->used * 2 > seen->mask) {
        struct seen bigger = {.mask = seen->mask * 4 + 3, .used = 0};
        bigger.slots = calloc(bigger.mask + 1, sizeof *bigger.slots);
        if (bigger.slots == NULL)
            give_up("out of memory");
        for (uint64_t i = 0; i <= seen->mask; i++)
            if (seen->slots[i] != 0)
                seen_add(&bigger, seen->slots[i]);
        free(seen->slots);
        *seen = bigger;
    }
    uint64_t at = hash & seen->mask;
    while (seen->slots[at] != 0) {
        if (seen->slots[at] == hash)
            return false;
        at = (at + 1) & seen->mask;
    }
    seen->slots[at] = hash;
    seen->used++;
    return true;
}

_Noreturn void give_up(const char *what)
{
    printf("FAULT of the checker itself: %s\n", what);
    exit(1);
}

double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

bool random_chance(uint64_t *state, double share)
{
    return (double)(random_next(state) >> 11) * 0x1p-53 < share;
}
