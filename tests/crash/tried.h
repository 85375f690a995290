/*
 * tried.h - the line that every program here ends with: how much it tried. docs/proof.md is written from these.
 */
#ifndef CRASH_TRIED_H
#define CRASH_TRIED_H

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>

struct tried {
    const char *program;
    uint64_t scenes; /* kinds of operation, each with what is there before it */
    uint64_t places; /* in all, where one died or stood, and the others were asked */
    uint64_t pairs;  /* of these: while one stood another one died */
    uint64_t
        stopped; /* of these: it stood while others worked, and then went on (or, in links and lifecycle, died) */
    uint64_t sigstop;   /* of those: by a real SIGSTOP */
    uint64_t killed;    /* of these: it never went on after that place */
    uint64_t sigkill;   /* real SIGKILLs of real processes */
    uint64_t schedules; /* states of several processes that a checker of schedules came to */
};

static inline void tried(const struct tried *tried)
{
    printf("# tried: program=%s scenes=%" PRIu64 " places=%" PRIu64 " pairs=%" PRIu64
           " stopped=%" PRIu64 " sigstop=%" PRIu64 " killed=%" PRIu64 " sigkill=%" PRIu64
           " schedules=%" PRIu64 "\n",
           tried->program, tried->scenes, tried->places, tried->pairs, tried->stopped,
           tried->sigstop, tried->killed, tried->sigkill, tried->schedules);
}

#endif
