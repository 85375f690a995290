/*
 * facts.h - what yk_inspect() tells of an object, as address and as JSON.
 */
#ifndef YK_FACTS_H
#define YK_FACTS_H

#include "inspect.h"
#include "json.h"

#include <yoke.h>

#define YK_ADDRESS_TEXT                                                                      \
    (sizeof((struct yk_object_facts *)0)->kind + sizeof((struct yk_object_facts *)0)->name + \
     sizeof((struct yk_object_facts *)0)->where + 2)

struct yk_ends {
    char from[YOKE_PEER_NAME_MAX + 1], to[YOKE_PEER_NAME_MAX + 1];
};

bool yk_facts_is_port(const struct yk_object_facts *facts);
bool yk_facts_is_stream(const struct yk_object_facts *facts);
/* A port or a link. */
bool yk_facts_has_messages(const struct yk_object_facts *facts);
bool yk_facts_is_link(const struct yk_object_facts *facts);
bool yk_facts_is_peer(const struct yk_object_facts *facts);
/* How many messages wait there is known: but of signals in the kernel. */
bool yk_facts_has_count(const struct yk_object_facts *facts);
/* The same, and what went through it is counted. */
bool yk_facts_has_traffic(const struct yk_object_facts *facts);

/* Is it on servers, not on this machine? */
bool yk_facts_is_far(const struct yk_object_facts *facts);

/* "port:jobs", "port:jobs@kernel". Returns `text`. */
char *yk_facts_address(char text[YK_ADDRESS_TEXT], const struct yk_object_facts *facts);

/* The order of lists: by kind, then by name, then by place; as strcmp(). */
int yk_facts_compare(const struct yk_object_facts *first, const struct yk_object_facts *second);

/* Of link:alice/bob the names of the peers at the two ends of this way. */
void yk_facts_ends(const struct yk_object_facts *facts, int way, struct yk_ends *ret);

/* Every fact that the object's kind has and that is known. */
yk_json *yk_facts_json(const struct yk_object_facts *facts);
/* Under "signals" of a peer: its inbox (yk_inspect_inbox()). */
void yk_facts_add_inbox(yk_json *peer, const struct yk_object_facts *inbox);
yk_json *yk_participants_json(const struct yk_object_facts *facts,
                              const struct yk_participant_facts *participants, size_t count);

#endif
