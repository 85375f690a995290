/*
 * place.c - see place.h. The places that this library was built with.
 */
#include "place.h"

#include <string.h>

static const struct yk_place *const places[] = {&yk_place_kernel, NULL};

const struct yk_place *yk_place_find(const char *name)
{
    for (const struct yk_place *const *place = places; *place; place++) {
        if (strcmp((*place)->name, name) == 0)
            return *place;
    }
    return NULL;
}

const char *yk_place_names(void)
{
    return "memory, kernel";
}
