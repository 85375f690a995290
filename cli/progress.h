/*
 * progress.h - how far a command is: a line on standard error that is written over again and again,
 * where that is a terminal and the work lasts longer than a second. Else nothing.
 */
#ifndef YK_PROGRESS_H
#define YK_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

/* How often it is to be looked at, by who waits meanwhile; ns. */
#define YK_PROGRESS_LOOK 200000000ll

struct yk_progress {
    bool on;
    int64_t begun, said; /* CLOCK_MONOTONIC; said: 0, never */
    int length;          /* of the line that stands there */
};

/* Where it is not `wanted`, or no terminal, none of the others does anything. */
void yk_progress_begin(struct yk_progress *progress, bool wanted);
/* Is it time to say something? */
bool yk_progress_is_due(const struct yk_progress *progress);
void yk_progress_say(struct yk_progress *progress, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Takes the line away. */
void yk_progress_clear(struct yk_progress *progress);
/* Leaves it there, if there is one, and goes to the next. */
void yk_progress_keep(struct yk_progress *progress);

double yk_progress_seconds(const struct yk_progress *progress);

#endif
