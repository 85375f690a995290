/*
 * link.h - what the commands that take an address add for links: --as.
 *
 * An address like link:bob names the other end only; --as says which end this command is. What looks
 * at a link or removes it, without being one of its ends, needs both: link:alice/bob.
 * Peers' names are given by it to the commands for signals, too.
 */
#ifndef YK_CLI_LINK_H
#define YK_CLI_LINK_H

#include "options.h"

#include <stdbool.h>
#include <yoke.h>

#define YK_LINK_ADDRESS 820 /* "link:", two names, a slash, and a place */

bool yk_is_link(const char *address);

/* The NAME of --as, which is a bare one. */
const char *yk_parse_as(const struct yk_usage *usage, const char *as);
/* NAME[@PLACE], where no address says the place. */
const char *yk_parse_as_somewhere(const struct yk_usage *usage, const char *as);

/*
 * Refuses --as without a link, a link without --as, and one named by both ends. Then fills in how to
 * open it: as that peer, made if there is none, kept.
 */
void yk_link_options(const struct yk_usage *usage, const char *address, const char *as,
                     struct yoke_options *options, uint32_t *flags);

/* "link:bob" and --as alice: "link:alice/bob" in `text`; any other address itself. */
const char *yk_link_whole(const struct yk_usage *usage, char text[YK_LINK_ADDRESS],
                          const char *address, const char *as);

#endif
