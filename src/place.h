/*
 * place.h - where an endpoint's data may live, other than in shared memory. Each place is one
 * constant, made in src/place/; address.c finds it by name, endpoint.c opens and removes by it.
 */
#ifndef YK_PLACE_H
#define YK_PLACE_H

#include "endpoint.h"
#include "inspect.h"

/*
 * What the tool asks of a place whose objects have no names in the directory, as inspect.h has it. `where` is
 * the place's text; those in the facts are without user and password.
 */
struct yk_place_view {
    int (*each)(const char *where, bool participants, yk_each_object *each, void *context);
    /* *ret_people, if asked for, is the caller's to free(); NULL: there are none. */
    int (*look)(const struct yk_address *address, struct yk_object_facts *ret,
                struct yk_participant_facts **ret_people, size_t *ret_count);
    int (*tap_open)(void **ret, const struct yk_address *address);
    int (*tap_look)(void *tap, uint32_t most, yk_each_tapped *each, void *context,
                    uint64_t *ret_unseen);
    void (*tap_close)(void *tap);
    int (*check)(const char *where, yk_tell_finding *tell, void *context);
    /* Hands on what it clears. */
    int (*collect)(const char *where, bool dry_run, yk_tell_item *each, void *context);
};

/* What yoke.h says of peers, in a place that has its own. The arguments are checked. */
struct yk_place_peers {
    int (*join)(void **ret_peer, const char *where, const char *name);
    void (*leave)(void *peer); /* also in a child of who joined */
    int (*wait)(const char *where, const char *name, uint32_t what, int64_t timeout_ns);
    ssize_t (*list)(const char *where, struct yoke_peer_info *infos, size_t capacity);
    /*
     * yoke_peer_next(): YOKE_NEXT_OPENED, and `fresh` (from yk_endpoint_new()) is that link, or YOKE_NEXT_READY and
     * *ret_ready. And yoke_peer_accept(), where ret_ready is NULL.
     */
    int (*next)(void *peer, yoke_endpoint *fresh, yoke_endpoint **ret_ready, int64_t timeout_ns);
    int (*fd)(void *peer);
};

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
    /*
     * For inspect.c: looks at an object that has its name in the directory, without taking part in
     * it. Fills in what it can tell; of the participants, if there is room for them, the slot, the
     * process and whether that is proven. 0, or an error, with a sentence, that says what is missing.
     */
    int (*look)(const struct yk_directory *directory, const struct yk_record *record,
                struct yk_object_facts *facts, struct yk_participant_facts *people, size_t *count);
    const struct yk_place_view *view;   /* instead of look() */
    const struct yk_place_peers *peers; /* NULL: who is at its links is a peer in memory */
};

extern const struct yk_place yk_place_kernel; /* place/kernel.h */

/*
 * NULL: no place of that name (memory is none of these). *ret_error then is 0, or an error whose
 * sentence stands already: there is such a place, but it is not to be had.
 */
const struct yk_place *yk_place_find(const char *text, int *ret_error);
/*
 * How a place is looked at from outside: 0, with NULL if its objects have names in the directory; or
 * -ENOTSUP and others. The second refuses those, too.
 */
int yk_place_view(const char *text, const struct yk_place_view **ret);
int yk_place_view_needed(const char *text, const struct yk_place_view **ret);
/* "memory, kernel": for sentences. */
const char *yk_place_names(void);

#endif
