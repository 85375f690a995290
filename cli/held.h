/*
 * held.h - which messages somebody has borrowed, who, and for how long at least.
 *
 * When a message was taken stands nowhere: to note it would cost each receiver a look at the clock. So
 * it is what looks tell: seen in the same hands in two of them, it was held for the time between.
 */
#ifndef YK_HELD_H
#define YK_HELD_H

#include "json.h"

#include <stddef.h>
#include <stdint.h>

#define YK_HELD_MOST 256 /* that are listed: the oldest */

struct yk_held_message {
    uint64_t sequence;
    int64_t since; /* CLOCK_MONOTONIC of the first look that found it there */
    int way;       /* of a link */
    uint32_t holder, size, deliveries;
};

struct yk_held_list {
    struct yk_held_message *all; /* owned */
    size_t count;
    uint64_t more; /* not listed */
    int64_t first; /* look that there was */
};

/* Looks anew; `now` is that look's CLOCK_MONOTONIC. Where nothing can be seen the list is empty. */
void yk_held_look(struct yk_held_list *list, const char *address, int64_t now);
void yk_held_fini(struct yk_held_list *list);

void yk_held_print(const struct yk_held_list *list, int64_t now);
yk_json *yk_held_json(const struct yk_held_list *list, int64_t now);

#endif
