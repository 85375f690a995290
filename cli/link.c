/*
 * link.c - see link.h.
 */
#include "link.h"

#include "inspect.h"

#include <stdio.h>
#include <string.h>

bool yk_is_link(const char *address)
{
    return strncmp(address, "link:", 5) == 0;
}

/* "link:alice/bob": the place behind an '@' may have a '/', too. */
static bool names_both(const char *address)
{
    return memchr(address, '/', strcspn(address, "@")) != NULL;
}

/*
 * The library would refuse it, too, but as part of an address, and by other words than --as. It would
 * take "peer:bob", which then is another peer than bob.
 */
const char *yk_parse_as(const struct yk_usage *usage, const char *as)
{
    if (yk_inspect_peer_name(as) < 0)
        yk_usage_error(usage, "%s: --as: %s", usage->name, yoke_explain());
    if (strncmp(as, "peer:", 5) == 0)
        yk_usage_error(usage, "%s: --as: '%s': it takes the bare name, '%s'", usage->name, as,
                       as + 5);
    return as;
}

const char *yk_parse_as_somewhere(const struct yk_usage *usage, const char *as)
{
    char name[YK_LINK_ADDRESS];

    /* not its place, which may have a password */
    snprintf(name, sizeof name, "%.*s", (int)strcspn(as, "@"), as);
    yk_parse_as(usage, name);
    return as;
}

void yk_link_options(const struct yk_usage *usage, const char *address, const char *as,
                     struct yoke_options *options, uint32_t *flags)
{
    if (as && !yk_is_link(address))
        yk_usage_error(usage, "%s: --as is for links, and %s is none", usage->name, address);
    if (!yk_is_link(address))
        return;
    if (!as)
        yk_usage_error(usage, "%s: %s has two ends: say which one this is, by --as NAME",
                       usage->name, address);
    yk_parse_as(usage, as);
    if (names_both(address))
        yk_usage_error(usage,
                       "%s: %s names both ends: name the other one alone, such as link:bob, "
                       "and this one by --as",
                       usage->name, address);
    options->as = as;
    *flags |= YOKE_CREATE | YOKE_KEPT;
}

const char *yk_link_whole(const struct yk_usage *usage, char text[YK_LINK_ADDRESS],
                          const char *address, const char *as)
{
    if (!as)
        return address;
    if (!yk_is_link(address) || names_both(address))
        yk_usage_error(usage, "%s: --as is for an address like link:bob, and %s is none",
                       usage->name, address);
    yk_parse_as(usage, as);
    if (snprintf(text, YK_LINK_ADDRESS, "link:%s/%s", as, address + 5) >= YK_LINK_ADDRESS)
        yk_usage_error(usage, "%s: the names '%.20s...' and '%.20s...' are too long", usage->name,
                       as, address + 5);
    return text;
}
