/*
 * peer.h - the names under which this process has joined. A name belongs to the process as a whole:
 * what is opened under it shares one peer, which leaves with the last of them.
 */
#ifndef YK_PEER_H
#define YK_PEER_H

#include "memory/object.h"
#include "yoke.h"

struct yk_link;

struct yoke_peer {
    struct yk_object object; /* first: the kind's callbacks get it */
    uint32_t references;     /* these three under the process-wide mutex */
    struct yk_link *links;   /* that are open as this peer */
    struct yk_link *served;  /* that yoke_peer_next() returned last */
    int bell, names;         /* its doorbell, and a watch on the directory; -1: not made yet */
    struct yoke_peer *next;
};

/* Joins as `name`, or finds that this process has: then one reference more. -EADDRINUSE … */
int yk_peer_hold(struct yoke_peer **ret_peer, const char *name, const struct yoke_options *options);
/* One less; the last one leaves. */
void yk_peer_drop(struct yoke_peer *peer);

void yk_peer_add_link(struct yoke_peer *peer, struct yk_link *link);
void yk_peer_remove_link(struct yoke_peer *peer, struct yk_link *link);

/* A link to this peer that is not open in this process: 1, and who the other one is; 0; an error. */
int yk_peer_find_link(struct yoke_peer *peer, const struct yk_directory *directory,
                      char ret_other[YOKE_PEER_NAME_MAX + 1]);

/*
 * Waits for a link to this peer that is not open in this process: 0, and who the other one is.
 * -EAGAIN, -ETIMEDOUT, -EINTR, -ECANCELED.
 */
int yk_peer_await_link(struct yoke_peer *peer, char ret_other[YOKE_PEER_NAME_MAX + 1],
                       int64_t timeout_ns);

/*
 * Waits for the next link of this peer that has something (YOKE_NEXT_READY and *ret_link), or that
 * somebody opened (YOKE_NEXT_OPENED and *ret_other).
 */
int yk_peer_next(struct yoke_peer *peer, struct yk_link **ret_link,
                 char ret_other[YOKE_PEER_NAME_MAX + 1], int64_t timeout_ns);

#endif
