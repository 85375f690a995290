/*
 * address.c - see address.h.
 */
#include "address.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/hide.h"
#include "place.h"

#define SHOWN 256 /* of an address, in sentences */

/* How much may stand in a sentence of what is no place: what follows may be a user's password. */
static int open_part(const char *text, char end)
{
    char stop[] = {end, '\0'};
    size_t length = strcspn(text, stop);

    return (int)(length < 160 ? length : 160);
}

/* Never said again: it may have a password in it. */
static int keep_text(struct yk_address *parsed, const char *place)
{
    if (strlen(place) >= sizeof parsed->where)
        return yk_fail(EINVAL, "the place of %.128s is longer than %d bytes", parsed->name,
                       YK_PLACE_MAX - 1);
    strcpy(parsed->where, place);
    return 0;
}

/* Regions are always in memory, and peers, unless the place is one across machines. */
static const char *place_of_environment(enum yk_kind kind)
{
    const char *place = secure_getenv("YOKE_PLACE");
    if (kind == YK_KIND_REGION || kind == YK_KIND_SIGNALS)
        return NULL;
    return kind == YK_KIND_PEER && place && !strstr(place, "://") ? NULL : place;
}

static int find_place(struct yk_address *parsed, const char *place, const char *address)
{
    const char *from = "";
    enum yk_kind kind = parsed->kind;
    if (!place) {
        place = place_of_environment(kind);
        from = " (from $YOKE_PLACE)";
    }
    if (place && place[0] == '\0' && from[0] == '\0')
        return yk_fail(EINVAL, "%.160s: the place is empty: 'memory' is one, or leave out the '@'",
                       address);
    if (!place || place[0] == '\0' || strcmp(place, "memory") == 0)
        return 0;
    int error;
    parsed->place = yk_place_find(place, &error);
    if (!parsed->place && error < 0)
        return error;
    if (!parsed->place)
        return yk_fail(ENOTSUP, "%.*s: the place '%.*s'%s is not to be had; this yoke has: %s",
                       open_part(address, '@'), address, open_part(place, ':'), place, from,
                       yk_place_names());
    if (!parsed->place->carries(kind))
        return yk_fail(ENOTSUP, "%s:%.160s: a %s can not be in the place '%.60s'%s",
                       yk_kind_name(kind), parsed->name, yk_kind_name(kind), parsed->place->name,
                       from); /* not the address: it may have a password in it */
    return keep_text(parsed, place);
}

/* "bob", or "alice/bob" in either order. */
static int parse_link(struct yk_address *parsed)
{
    char *slash = strchr(parsed->name, '/');
    parsed->whole = slash != NULL;
    if (!slash)
        return yk_name_check(YK_KIND_PEER, parsed->name);
    *slash = '\0';
    char first[sizeof parsed->name], second[sizeof parsed->name];
    strcpy(first, parsed->name);
    strcpy(second, slash + 1);
    int result = yk_name_check(YK_KIND_PEER, first);
    if (result == 0)
        result = yk_name_check(YK_KIND_PEER, second);
    if (result == 0)
        yk_name_link(parsed->name, first, second);
    return result < 0 ? result : yk_name_check(YK_KIND_LINK, parsed->name);
}

int yk_address_parse(const char *address, struct yk_address *ret)
{
    const char *colon = address ? strchr(address, ':') : NULL;
    char shown[SHOWN];
    yk_hide_logins(shown, sizeof shown, address ? address : "(NULL)");
    if (!colon)
        return yk_fail(EINVAL, "'%.160s' is not an address: KIND:NAME is one, such as port:jobs",
                       shown);
    int kind = yk_kind_from_name(address, (size_t)(colon - address));
    if (kind == 0)
        return yk_fail(ENOTSUP,
                       "%.160s: the kind '%.*s' is not to be had; this yoke has: region, port, "
                       "link, peer, signals, stream",
                       shown, (int)(colon - address < 40 ? colon - address : 40), address);
    const char *name = colon + 1, *at = strchr(name, '@');
    size_t length = at ? (size_t)(at - name) : strlen(name);
    struct yk_address parsed = {.kind = (enum yk_kind)kind, .whole = true};
    if (length >= sizeof parsed.name)
        return yk_fail(EINVAL, "the name '%.20s…' is longer than %d bytes", name, YOKE_NAME_MAX);
    memcpy(parsed.name, name, length);
    int result =
        kind == YK_KIND_LINK ? parse_link(&parsed) : yk_name_check((uint32_t)kind, parsed.name);
    if (result == 0)
        result = find_place(&parsed, at ? at + 1 : NULL, shown);
    if (result == 0)
        *ret = parsed;
    return result;
}

int yk_address_parse_peer(const char *name, struct yk_address *ret)
{
    const char *at = name ? strchr(name, '@') : NULL;
    size_t length = !name ? 0 : at ? (size_t)(at - name) : strlen(name);
    struct yk_address parsed = {.kind = YK_KIND_PEER, .whole = true};
    if (length >= sizeof parsed.name)
        return yk_fail(EINVAL, "the name '%.20s…' is longer than %d bytes", name,
                       YOKE_PEER_NAME_MAX);
    if (length > 0)
        memcpy(parsed.name, name, length);
    int result = yk_name_check(YK_KIND_PEER, name ? parsed.name : NULL);
    if (result == 0)
        result = find_place(&parsed, at ? at + 1 : NULL, parsed.name);
    if (result == 0)
        *ret = parsed;
    return result;
}

int yk_address_parse_whole(const char *address, struct yk_address *ret)
{
    struct yk_address parsed;
    int result = yk_address_parse(address, &parsed);
    if (result < 0)
        return result;
    if (!parsed.whole)
        return yk_fail(EINVAL, "%s does not say whose link: link:alice/%s would", address,
                       parsed.name);
    *ret = parsed;
    return 0;
}

void yk_address_entry(char entry[YK_ENTRY_MAX], const struct yk_address *address)
{
    if (address->place == &yk_place_kernel)
        yk_kernel_entry(entry, address->kind, address->name);
    else
        yk_name_entry(entry, address->kind, address->name);
}
