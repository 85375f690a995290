/*
 * address.h - KIND:NAME[@PLACE].
 */
#ifndef YK_ADDRESS_H
#define YK_ADDRESS_H

#include "memory/layout.h"
#include "yoke.h"

struct yk_address {
    enum yk_kind kind;
    char name[YOKE_NAME_MAX + 1];
};

/*
 * Splits and checks an address. Where it names no place, $YOKE_PLACE does (not for regions: those
 * are always in memory). -EINVAL, or -ENOTSUP for a kind or place that is not to be had.
 */
int yk_address_parse(const char *address, struct yk_address *ret);

#endif
