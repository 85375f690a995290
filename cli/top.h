/*
 * top.h - what the parts of `yoke top` agree on: top.c parses and prints as text, top_screen.c has the
 * keys, top_draw.c draws.
 */
#ifndef YK_TOP_H
#define YK_TOP_H

#include "facts.h"
#include "listing.h"

enum yk_top_view { YK_TOP_LIST, YK_TOP_INSIDE, YK_TOP_HELP };

#define YK_TOP_PATTERN 128

struct yk_top {
    struct yk_choice choice;
    struct yk_listing listing;
    int64_t interval;
    bool once, json;

    /* the rest is the screen's */
    int64_t next;   /* when to look again: CLOCK_MONOTONIC */
    int64_t looked; /* when that was: CLOCK_REALTIME */
    char said[160]; /* what went wrong, until the next look */
    enum yk_top_view view;
    bool paused, typing;              /* typing: a pattern, which is in `typed` */
    char typed[YK_TOP_PATTERN];       /* as it was typed */
    char pattern[YK_TOP_PATTERN + 4]; /* as choice.pattern has it */
    char chosen[YK_ADDRESS_TEXT];     /* which object; "": none */
    size_t first;                     /* of the rows, or of the lines, that the screen shows */
};

/* With keys, until one ends it, or a signal. The exit status. */
int yk_top_run(struct yk_top *top);

/* The number of the chosen row; of the first one, when that object is no longer there. */
size_t yk_top_chosen(const struct yk_top *top);
/* How many rows or lines the screen shows at once. */
size_t yk_top_page(const struct yk_top *top);
void yk_top_draw(struct yk_top *top);

/* "12/256", "512K/1.0M" of a stream; "-". */
#define YK_TOP_CELL 64
void yk_top_depth(char text[YK_TOP_CELL], const struct yk_row *row);
/* "2r", "1s", "2r1s": threads that wait to receive, to send; "-". */
void yk_top_waits(char text[YK_TOP_CELL], const struct yk_row *row);
/* "3", "3 >12s": messages that are borrowed, and for how long the oldest one was seen so; "-". */
void yk_top_held(char text[YK_TOP_CELL], const struct yk_row *row);

#endif
