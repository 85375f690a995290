/*
 * place.h - where an endpoint's data may live, other than in shared memory. Each place is one
 * constant, made in src/place/; address.c finds it by name, endpoint.c opens and removes by it.
 */
#ifndef YK_PLACE_H
#define YK_PLACE_H

#include "endpoint.h"

struct yk_place {
    const char *name;
    bool (*carries)(enum yk_kind kind);
    /* Sets endpoint->self and endpoint->operations. As yoke_open(): options are given. */
    int (*open)(yoke_endpoint *endpoint, const struct yk_address *address, uint32_t flags,
                const struct yoke_options *options);
    int (*remove)(const struct yk_address *address);
    /* Opens what the descriptor is an end of. NULL: nothing here is handed over by descriptors. */
    int (*open_descriptor)(yoke_endpoint *endpoint, int descriptor,
                           const struct yoke_options *options);
};

extern const struct yk_place yk_place_kernel; /* place/kernel.c */

/* NULL: no place of that name (memory is none of these). */
const struct yk_place *yk_place_find(const char *name);
/* "memory, kernel": for sentences. */
const char *yk_place_names(void);

#endif
