/*
 * listing.h - the rows of `yoke ls` and `yoke top`: every object as two looks show it, those that are
 * wanted, in the order that is wanted.
 */
#ifndef YK_LISTING_H
#define YK_LISTING_H

#include "json.h"
#include "look.h"
#include "options.h"
#include "output.h"

enum yk_key {
    YK_BY_KIND, /* and name, as yk_facts_compare() has it */
    YK_BY_NAME, /* whatever kind it has */
    YK_BY_SIZE, /* room: bytes, or messages times their size */
    YK_BY_WAITING,
    YK_BY_FILL, /* how much of the room is taken */
    YK_BY_RATE, /* in and out together */
    YK_BY_HELD, /* for how long the oldest message that is borrowed was */
    YK_BY_USERS,
    YK_BY_MEMORY,
    YK_BY_AGE,
    YK_BY_OWNER,
    YK_BY_STUCK, /* the worst first */
    YK_KEYS
};

/* Which are wanted, and in which order. */
struct yk_choice {
    const char *pattern; /* NULL: all; see yk_choice_matches() */
    const char *place;   /* NULL: this machine's */
    bool mine;           /* only this user's */
    bool stuck;          /* only those in trouble */
    bool reverse;
    bool participants; /* who takes part is looked at, too, which costs more */
    enum yk_key key;
};

/* "rate"; NULL beyond the last. */
const char *yk_key_name(enum yk_key key);
/* Numbers come biggest first, names smallest; --reverse turns it round. */
enum yk_key yk_parse_key(const struct yk_usage *usage, const char *option, const char *text);

/* How bad it is that something does not go on. */
enum yk_trouble { YK_GOES_ON, YK_MARKED, YK_STUCK };
#define YK_TROUBLE_TEXT 200

struct yk_row {
    const struct yk_look *look;
    struct yk_rates rates; /* measured, or nothing is known of them yet */
    int64_t held_for;      /* yk_look_held_for() */
    enum yk_trouble trouble;
    char why[YK_TROUBLE_TEXT]; /* "": nothing to be said */
};

struct yk_listing {
    struct yk_looks looks, before;
    struct yk_row *rows; /* owned; into `looks` */
    size_t count;
};

/* Looks anew: 0, or a negative errno, and then the listing is as it was. */
int yk_listing_look(struct yk_listing *listing, const struct yk_choice *choice);
/* The same looks, after the choice was changed. */
void yk_listing_arrange(struct yk_listing *listing, const struct yk_choice *choice);
void yk_listing_fini(struct yk_listing *listing);

/* How many messages (of a stream: bytes) have room; 0 where that means nothing. */
uint64_t yk_row_room(const struct yk_row *row);
/* Threads that wait now, over all living participants. */
uint32_t yk_row_receivers(const struct yk_row *row);
uint32_t yk_row_senders(const struct yk_row *row);

/* "1.2k/s", of a stream "3.4MB/s"; "-" if it is not known. */
char *yk_format_row_rate(char text[YK_RATE_TEXT], const struct yk_row *row, double rate);

/* What `yoke ls --json` has, and the rates if they were measured. */
yk_json *yk_row_json(const struct yk_row *row);

#endif
