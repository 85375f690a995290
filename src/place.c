/*
 * place.c - see place.h. The places that this library was built with.
 */
#include "place.h"

#include <string.h>

#include "plugin.h"

#define NATS "nats"

static const struct yk_place *const places[] = {&yk_place_kernel, NULL};

const struct yk_place *yk_place_find(const char *text, int *ret_error)
{
    *ret_error = 0;
    if (strncmp(text, NATS "://", sizeof NATS "://" - 1) == 0)
        return yk_plugin_place(NATS, ret_error);
    for (const struct yk_place *const *place = places; *place; place++) {
        if (strcmp((*place)->name, text) == 0)
            return *place;
    }
    return NULL;
}

const char *yk_place_names(void)
{
    return "memory, kernel, nats://HOST:PORT";
}
