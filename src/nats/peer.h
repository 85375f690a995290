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

#include "ends.h"
#include "here.h"

#define YK_PEER "peer" /* in subjects */

/* A link to the peer that it may be expected to open. */
struct yk_newcomer {
    struct yk_newcomer *next;
    char other[YOKE_PEER_NAME_MAX + 1];
    uint64_t generation;
    int64_t not_before, pause; /* of one that could not be opened: when it is tried again */
};

struct yk_nats_peer {
    struct yk_line line; /* first */
    char name[YOKE_PEER_NAME_MAX + 1];
    unsigned users; /* with all down to `mutex`, under the hub's peers_mutex */
    struct yk_nats_peer *next;
    struct yk_nats_link *links;
    bool inbox;                  /* somebody has its inbox of signals open */
    struct yk_nats_link *served; /* that yoke_peer_next() returned last */
    bool opened;                 /* what it returned last was a link that somebody opened */
    bool serves;                 /* somebody waits for its links, or did */
    int bell,
        door; /* eventfds, once it serves: of yoke_peer_next(), yoke_peer_fd(); of yoke_peer_accept() */
    pthread_mutex_t looking; /* who looks at the words; above all others */
    uint64_t seen;           /* the newest that was looked at */
    struct yk_ear words;     /* of others' ends of links to it */
    pthread_mutex_t mutex;   /* of the rest */
    struct yk_here here;
    json_t *description;
    bool due;      /* there may be a word that was not looked at */
    bool missed;   /* one that was may have been forgotten: all are to be looked at again */
    int64_t asked; /* when that was asked for */
    int64_t until; /* a word that was heard is stored by then, or never */
    struct yk_newcomer *newcomers;
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

/* ---- peer_next.c: waiting for its links ---- */

void yk_nats_peer_init_waiting(struct yk_nats_peer *peer);
void yk_nats_peer_end_waiting(struct yk_nats_peer *peer);
/* In a forked child: the parent's descriptors are none of its. */
void yk_nats_peer_forget_waiting(struct yk_nats_peer *peer);
/* From now on it hears of links that others open, and its links of messages. 0, or as yk_hub_fail(). */
int yk_nats_peer_serve(struct yk_nats_peer *peer);
/* That link is closed here: somebody may have come to its other end. */
void yk_nats_peer_suspect(struct yk_nats_peer *peer, const char *other, uint64_t generation);
/* With the mutex: from a line's functions. */
void yk_nats_peer_waiting_tick(struct yk_nats_peer *peer, int64_t now);
void yk_nats_peer_waiting_answer(struct yk_nats_peer *peer, natsMsg *message);
#define YK_ASKED_WORDS 'k'

/* As yk_place_peers.next(); `cancel` is readable when it is to return -ECANCELED. */
int yk_nats_peer_next(struct yk_nats_peer *peer, int cancel, yoke_endpoint *fresh,
                      yoke_endpoint **ret_ready, int64_t timeout_ns);

extern const struct yk_place_peers yk_nats_peers; /* peers.c */

#endif
