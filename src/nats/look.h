/*
 * look.h - looking at the objects of a place without taking part: what struct yk_place_view (place.h) asks for.
 *
 * All of it asks the servers and changes nothing but collect(). What is asked for: the messages of the streams
 * PREFIX-names and PREFIX-here, what there is to tell of an object's streams and their consumers, and tap() for
 * messages. Looks share one connection, which stays for the next one.
 */
#ifndef YK_NATS_LOOK_H
#define YK_NATS_LOOK_H

#include "api.h"

extern const struct yk_place_view yk_nats_view; /* look.c */

/* The place's hub, until another place is looked at. As yk_hub_get(). */
int yk_look_hub(struct yk_hub **ret, const char *where);

/* A name, or what is left of one that went. */
struct yk_named {
    char kind[8];
    char name[YK_ENTRY_MAX];
    uint64_t sequence; /* of the last word about it */
    bool there, sound; /* it has not gone; `facts` could be read */
    struct yk_nats_facts facts;
};
/* All of them, until the first result that is not 0. */
int yk_look_names(struct yk_hub *hub, int (*each)(const struct yk_named *named, void *context),
                  void *context);
/* One. -ENOENT, with a sentence: no word was ever said of it. */
int yk_look_name(struct yk_hub *hub, const char *kind, const char *name, struct yk_named *ret);

/* Who takes part, as they said last. */
struct yk_present {
    char kind[8];
    char name[YK_ENTRY_MAX];
    uint64_t generation;
    struct yk_participant_facts facts;
};
struct yk_presence {
    struct yk_present *all; /* owned */
    size_t count;
    int64_t lease_ns; /* 0: nobody ever came */
};
/* In all, or (kind not NULL) in that object. */
int yk_look_presence(struct yk_hub *hub, const char *kind, const char *name, uint64_t generation,
                     struct yk_presence *ret);
void yk_presence_fini(struct yk_presence *presence);

/* What the servers tell of a stream, and of its consumer. */
struct yk_stream_facts {
    uint64_t messages, bytes, last; /* last: sequence number */
    uint32_t replicas, behind, consumers;
    bool cluster, disk;
    char server[YK_HOST_TEXT]; /* its leader; "": there is none just now */
    char away[160]; /* the servers whose copies are not up to date: "b (away), c (behind)" */
};
struct yk_consumer_facts {
    uint64_t delivered, given; /* the last number delivered; deliveries */
    uint64_t held;             /* delivered and not acknowledged */
    uint32_t receivers;        /* requests that wait */
};
/* -ENOENT: there is none. */
int yk_look_stream(struct yk_hub *hub, const char *stream, struct yk_stream_facts *ret);
int yk_look_consumer(struct yk_hub *hub, const char *stream, struct yk_consumer_facts *ret);
/* The same of the only one that it may have, whatever that is called; none: nothing of it. */
int yk_look_only_consumer(struct yk_hub *hub, const char *stream, struct yk_consumer_facts *ret);

/* What stands in a stream's description ($JS.API.STREAM.INFO and LIST). */
bool yk_stream_facts_read(const json_t *stream, struct yk_stream_facts *ret);

/* The object as inspect.h has it; what is wrong with it is its `problem`. */
void yk_look_at_named(struct yk_hub *hub, const struct yk_named *named,
                      const struct yk_presence *presence, struct yk_object_facts *ret);

int yk_nats_tap_open(void **ret, const struct yk_address *address);
int yk_nats_tap_look(void *self, uint32_t most, yk_each_tapped *each, void *context,
                     uint64_t *ret_unseen);
void yk_nats_tap_close(void *self);
int yk_nats_check(const char *where, yk_tell_finding *tell, void *context);
int yk_nats_collect(const char *where, bool dry_run, yk_tell_item *each, void *context);

#endif
