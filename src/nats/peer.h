/*
 * peer.h - the names under which this process has joined in a place. A name belongs to the process as a whole: what
 * is opened under it shares one peer, which leaves with the last of them.
 *
 * Whoever has the name's message in the stream of who is there has the name. It is renewed as long as the process
 * lives and can reach the servers, and is gone a lease after the last time: then the next one can be that peer. One
 * who comes back only then, as after SIGSTOP, has lost it.
 */
#ifndef YK_NATS_PEER_H
#define YK_NATS_PEER_H

#include "here.h"

#define YK_PEER "peer" /* in subjects */

struct yk_nats_peer {
    struct yk_line line; /* first */
    char name[YOKE_PEER_NAME_MAX + 1];
    unsigned users; /* with those up to `inbox`, under the hub's peers_mutex */
    struct yk_nats_peer *next;
    struct yk_nats_link *links;
    bool inbox;            /* somebody has its inbox of signals open */
    pthread_mutex_t mutex; /* of the rest */
    struct yk_here here;
    json_t *description;
};

/* Joins as `name`, or finds that this process has. -EADDRINUSE: another living process is that peer. */
int yk_nats_peer_hold(struct yk_nats_peer **ret, struct yk_hub *hub, const char *name);
/* The last one leaves. */
void yk_nats_peer_drop(struct yk_nats_peer *peer);
/* Is it another one's by now? */
bool yk_nats_peer_is_lost(struct yk_nats_peer *peer);
/* Is it certainly not? */
bool yk_nats_peer_is_certain(struct yk_nats_peer *peer);

/* Who has the name, by the servers' word: its owner's number, "" if nobody has it. */
int yk_nats_peer_owner(struct yk_hub *hub, const char *name, char owner[YK_HERE_OWNER]);
/* The number of that message's owner, or "?". */
void yk_nats_peer_read_owner(const char *data, size_t size, char owner[YK_HERE_OWNER]);

extern const struct yk_place_peers yk_nats_peers; /* peers.c */

#endif
