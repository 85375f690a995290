/*
 * endpoint.h - what is behind a yoke_endpoint.
 *
 * Ports and links in memory are known to endpoint.c by name: their verbs are called directly. All
 * else that has an endpoint (streams, signals, other places) brings a table of what it can do.
 */
#ifndef YK_ENDPOINT_H
#define YK_ENDPOINT_H

#include "address.h"
#include "link.h"
#include "port.h"
#include "yoke.h"

/*
 * What the public calls of the same names do for such an endpoint: the arguments are checked (no
 * NULL where there must be something, a possible time-out). `self` is the endpoint's. NULL: it can
 * not do that, and the caller is told so (-ENOTSUP). Of one that is not opened as a participant,
 * threads that wait are told by cancel(), and awaited by close().
 */
struct yk_endpoint_operations {
    const char *what; /* it is, for sentences: "a stream" */
    void (*close)(void *self);
    int (*cancel)(void *self);
    size_t (*max_message)(void *self);
    int (*fd)(void *self);
    ssize_t (*send_many)(void *self, const struct yoke_message *messages, size_t count,
                         int64_t timeout_ns);
    ssize_t (*recv_many)(void *self, struct yoke_message *messages, size_t count,
                         int64_t timeout_ns);
    ssize_t (*borrow_many)(void *self, struct yoke_message *messages, size_t count,
                           int64_t timeout_ns);
    ssize_t (*commit_many)(void *self, const struct yoke_message *messages, size_t count,
                           int64_t timeout_ns);
    int (*loan)(void *self, size_t size, void **ret_block, int64_t timeout_ns);
    int (*release)(void *self, const void *message);
    int (*give_back)(void *self, const void *message);
    const char *(*link_other)(void *self);
    int (*link_wait)(void *self, int64_t timeout_ns);
    /* Where `fd` is NULL: what it waits by in memory, and whether receiving would not wait. */
    struct yk_waiting *(*waiting)(void *self);
    bool (*ready)(void *self);
    int (*enter)(void *self); /* as yk_object_enter() */
    /* streams have all of these, and only they */
    ssize_t (*write)(void *self, const void *data, size_t size, int64_t timeout_ns);
    ssize_t (*read)(void *self, void *buffer, size_t capacity, int64_t timeout_ns);
    ssize_t (*move)(void *self, int descriptor, size_t size, int64_t timeout_ns);
    size_t (*capacity)(void *self);
    int (*end)(void *self);
};

struct yoke_endpoint {
    union {
        struct yk_object object; /* ports and links in memory begin with it */
        struct yk_port port;
        struct yk_link link;
        void *self; /* with operations */
    };
    const struct yk_endpoint_operations *operations; /* NULL: a port or link in memory */
    enum yk_kind kind;
    struct yk_member *member; /* in a wait set; NULL: it is in none */
};

/*
 * What it waits by in memory, as a participant of this process's own; NULL: it has a descriptor. An
 * error if it can not be waited for.
 */
int yk_endpoint_waiting(yoke_endpoint *endpoint, struct yk_waiting **ret);

/* All zero but kind, on lines of its own. NULL: no memory, and the sentence is there. */
yoke_endpoint *yk_endpoint_new(enum yk_kind kind);

#endif
