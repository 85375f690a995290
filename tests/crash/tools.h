/* tools.h - what the checkers of both rings need: saying why, hashing, chance. */
#ifndef CRASH_TOOLS_H
#define CRASH_TOOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shuffle.h"

extern char why[256];
bool fail(const char *format, ...) __attribute__((format(printf, 1, 2))); /* false */

uint64_t hash_bytes(const void *bytes, size_t size, uint64_t seed); /* size: a multiple of 8 */

/* A set of 64-bit hashes. All zero is an empty one. */
struct seen {
    uint64_t *slots;
    uint64_t mask, used;
};
void seen_clear(struct seen *seen);
bool seen_add(struct seen *seen, uint64_t hash); /* true: it is new */

/* Ends the program: the checker itself has come to a limit of its own. */
_Noreturn void give_up(const char *what);

double seconds_now(void);
bool random_chance(uint64_t *state, double share);

#endif
