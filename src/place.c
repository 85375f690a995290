/*
 * place.c - see place.h. The places that this library was built with.
 */
#include "place.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/hide.h"
#include "plugin.h"

_Static_assert(YK_WHERE_TEXT == YK_PLACE_MAX, "a place is shown whole");

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

int yk_place_view(const char *text, const struct yk_place_view **ret)
{
    char shown[80];
    int error;
    const struct yk_place *place = yk_place_find(text, &error);
    if (!place && error < 0)
        return error;
    yk_hide_logins(shown, sizeof shown, text);
    if (!place)
        return yk_fail(ENOTSUP, "the place '%s' is not to be had; this yoke has: %s", shown,
                       yk_place_names());
    if (strlen(text) >= YK_PLACE_MAX)
        return yk_fail(EINVAL, "the place %s… is longer than %d bytes", shown, YK_PLACE_MAX - 1);
    *ret = place->view;
    return 0;
}

int yk_place_view_needed(const char *text, const struct yk_place_view **ret)
{
    const struct yk_place_view *view = NULL;
    int result = strcmp(text, "memory") == 0 ? 0 : yk_place_view(text, &view);
    if (result < 0)
        return result;
    if (!view)
        return yk_fail(EINVAL,
                       "the place %s is on this machine, which is looked at without --place", text);
    *ret = view;
    return 0;
}

const char *yk_place_names(void)
{
    return "memory, kernel, nats://HOST:PORT";
}
