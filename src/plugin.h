/*
 * plugin.h - places that are not in this library but in a module of their own, which is loaded when an
 * address first names such a place, and never else: yoke itself depends on none of what they need.
 *
 * A module `SCHEME.so` exports yoke_place(). It is built from the same source as the library, and
 * both see to it that they are of one version.
 */
#ifndef YK_PLUGIN_H
#define YK_PLUGIN_H

#include <stdarg.h>

#include "place.h"

/* What a module gets from the library that loaded it. */
struct yk_plugin_host {
    const char *version; /* of the library, as yoke_version() */
    unsigned layout;     /* sizeof(struct yk_place), ... : what a compiler would have to agree on */
    int (*fail)(int error, const char *sentence);
    const char *(*explain)(void); /* the last such sentence, without logins */
    void (*hide)(char *shown, size_t room, const char *text); /* yk_hide_logins() */
};

#define YK_PLUGIN_LAYOUT                                                                     \
    (unsigned)(sizeof(struct yk_place) * 31 + sizeof(struct yk_place_view) * 67 +            \
               sizeof(struct yk_place_peers) * 83 +                                          \
               sizeof(struct yk_plugin_host) * 71 + sizeof(struct yk_tapped) * 73 +          \
               sizeof(struct yk_gc_item) * 79 + sizeof(struct yk_endpoint_operations) * 37 + \
               sizeof(struct yoke_endpoint) * 41 + sizeof(struct yk_object_facts) * 43 +     \
               sizeof(struct yk_participant_facts) * 47 + sizeof(struct yk_address) * 53 +   \
               sizeof(struct yoke_options) * 59 + sizeof(struct yoke_message) * 61)

/* What a module exports under the name "yoke_place". NULL, with a sentence: it does not fit. */
typedef const struct yk_place *yk_plugin_entry(const struct yk_plugin_host *host);

/*
 * The place whose module is SCHEME.so, loaded once a process: from $YOKE_PLUGINS if that is set, else
 * from where yoke was installed. NULL, with -ENOTSUP in *ret_error and a sentence. Any thread.
 */
const struct yk_place *yk_plugin_place(const char *scheme, int *ret_error);

#endif
