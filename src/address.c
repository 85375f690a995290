/*
 * address.c - see address.h.
 */
#include "address.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "memory/names.h"

static int check_place(enum yk_kind kind, const char *place, const char *address)
{
    const char *from = "";
    if (!place) {
        place = kind == YK_KIND_REGION ? NULL : secure_getenv("YOKE_PLACE");
        from = " (from $YOKE_PLACE)";
    }
    if (!place || place[0] == '\0' || strcmp(place, "memory") == 0)
        return 0;
    return yk_fail(ENOTSUP, "%.160s: the place '%.60s'%s is not to be had; this yoke has: memory",
                   address, place, from);
}

int yk_address_parse(const char *address, struct yk_address *ret)
{
    const char *colon = address ? strchr(address, ':') : NULL;
    if (!colon)
        return yk_fail(EINVAL, "'%.160s' is not an address: KIND:NAME is one, such as port:jobs",
                       address ? address : "(NULL)");
    int kind = yk_kind_from_name(address, (size_t)(colon - address));
    if (kind == 0)
        return yk_fail(ENOTSUP,
                       "%.160s: the kind '%.*s' is not to be had; this yoke has: region, port",
                       address, (int)(colon - address < 40 ? colon - address : 40), address);
    const char *name = colon + 1, *at = strchr(name, '@');
    size_t length = at ? (size_t)(at - name) : strlen(name);
    struct yk_address parsed = {.kind = (enum yk_kind)kind};
    if (length > YOKE_NAME_MAX)
        return yk_fail(EINVAL, "the name '%.20s…' is longer than %d bytes", name, YOKE_NAME_MAX);
    memcpy(parsed.name, name, length);
    int result = yk_name_check(parsed.name);
    if (result == 0)
        result = check_place(parsed.kind, at ? at + 1 : NULL, address);
    if (result == 0)
        *ret = parsed;
    return result;
}
