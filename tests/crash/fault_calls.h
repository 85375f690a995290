/*
 * fault_calls.h - every call that yoke makes of the kernel and of the allocator passes through here,
 * is numbered, and can be made to fail.
 *
 * The linker puts us in between (--wrap, see `wrap` in tests/meson.build): the library is the one that
 * ships, unchanged. Only what the library does between calls_begin() and calls_end() counts and fails;
 * what it has allocated and mapped is counted between calls_watch(true) and calls_watch(false), too.
 */
#ifndef CRASH_FAULT_CALLS_H
#define CRASH_FAULT_CALLS_H

#include <stdbool.h>
#include <stdint.h>

/* What a call did that was made to fail, for the judgement of what came of it. */
#define CALL_CLEARS \
    1u /* takes something away, or asks whether it may: what could not be taken away stays */
#define CALL_SLEEPS 2u /* waits: an interruption is an answer */

#define CALLS_MOST 4096

/*
 * The `at`-th call (from 1) fails with the `choice`-th of the errors that it can have. A lasting one is
 * a resource that has run out: from there on every call fails that can fail with `error`.
 */
struct fault {
    uint32_t at, choice;
    int error; /* not 0: lasting, and `choice` does not count */
};

/* Of one numbering. `kinds` says for each call which it was. */
struct calls {
    uint32_t count;  /* how many calls there were, failed or not */
    uint32_t failed; /* how many were made to fail */
    uint32_t flags;  /* CALL_… of those */
    int errors[2];   /* what the first and the last of them failed with */
    bool transient;  /* all were only a call interrupted, or half done */
    uint8_t kinds[CALLS_MOST];
    char text[160]; /* which failed */
};

void calls_begin(struct calls *calls, const struct fault *faults, uint32_t count);
void calls_end(void);
void calls_watch(bool on);

/* How many blocks are allocated, and pieces mapped, that the library asked for. */
uint32_t calls_blocks(void);
uint32_t calls_mappings(void);

/* Of a kind of call: its name; how many errors it can have; whether `error` is one of them. */
uint32_t calls_kinds(void);
const char *call_name(uint32_t kind);
uint32_t call_errors(uint32_t kind);
bool call_can(uint32_t kind, int error);

/* Is the symbol one that we stand in for? */
bool calls_wrap(const char *symbol);

/* Prints where the failing calls come from, as addresses for addr2line. */
extern bool calls_trace;

#endif
