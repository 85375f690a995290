/*
 * streams.h - the streams in which a prefix's objects keep what they have, whether their names are there or not.
 */
#ifndef YK_NATS_STREAMS_H
#define YK_NATS_STREAMS_H

#include "look.h"

struct yk_stream {
    char stream[YK_NATS_SUBJECT_MOST];
    const char *kind; /* of its object, whose name and generation these are */
    char name[YK_ENTRY_MAX];
    uint64_t generation;
    bool main; /* not the parked ones', nor that of a link's other way */
    struct yk_stream_facts facts;
};
struct yk_streams {
    struct yk_stream *all; /* owned */
    size_t count;
};

/* All of them. 0, or as yk_api_ask(). */
int yk_streams_list(struct yk_hub *hub, struct yk_streams *ret);
void yk_streams_fini(struct yk_streams *streams);

enum yk_stream_state {
    YK_STREAM_ALIVE,
    YK_STREAM_DEAD,   /* its object was removed */
    YK_STREAM_UNKNOWN /* nothing says so, and no name leads to it */
};
int yk_stream_state(struct yk_hub *hub, const struct yk_stream *stream, enum yk_stream_state *ret);

#endif
