/*
 * address.h - KIND:NAME[@PLACE].
 */
#ifndef YK_ADDRESS_H
#define YK_ADDRESS_H

#include "memory/names.h"
#include "yoke.h"

/* A link's is "link:bob", with `name` the other peer's, or "link:alice/bob", both in `name`. */
struct yk_place;

#define YK_PLACE_MAX 512 /* bytes of a place's text, its end included: YK_WHERE_TEXT */

struct yk_address {
    enum yk_kind kind;
    const struct yk_place *place; /* NULL: memory */
    char where[YK_PLACE_MAX];     /* the place's text; only of those with a scheme */
    bool whole;                   /* `name` is the object's name; else a link's other peer */
    char name[YK_ENTRY_MAX];
};

/*
 * Splits and checks an address. Where it names no place, $YOKE_PLACE does (not for regions: those
 * are always in memory). -EINVAL, or -ENOTSUP for a kind or place that is not to be had.
 */
int yk_address_parse(const char *address, struct yk_address *ret);

/*
 * A peer's name as the calls on peers take it: NAME[@PLACE]. Where it names no place, $YOKE_PLACE does if that is one
 * which has peers of its own; `place` is NULL for all others, whose peers are in memory.
 */
int yk_address_parse_peer(const char *name, struct yk_address *ret);

/* The same, and it must name an object, whoever asks: -EINVAL for "link:bob". */
int yk_address_parse_whole(const char *address, struct yk_address *ret);

/* Where in the name directory an object of that whole address has its name. */
void yk_address_entry(char entry[YK_ENTRY_MAX], const struct yk_address *address);

#endif
