/*
 * talks.h - who talks to whom: an edge from each process to what it sends to, and from that to each
 * process that receives from it, with what went over it.
 */
#ifndef YK_TALKS_H
#define YK_TALKS_H

#include "look.h"

#include <stdbool.h>
#include <stddef.h>

enum yk_talks_form { YK_TALKS_TEXT, YK_TALKS_JSON, YK_TALKS_DOT };

/*
 * Prints the edges of those objects that are `wanted` (NULL: of all), on stdout. The others tell which
 * process is which peer. `before` are earlier looks, for rates, or NULL.
 */
void yk_talks_print(const struct yk_looks *looks, const struct yk_looks *before,
                    bool wanted(const struct yk_look *look, const void *context),
                    const void *context, enum yk_talks_form form);

#endif
