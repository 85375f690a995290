/*
 * nats_link.h - a link on JetStream: two work-queue streams, one each way, and for each end what is known of it.
 *
 * An end has one owner, who has the peer's name (peer.h). What it receives from has a consumer of the owner's own:
 * the next owner makes another and takes away the old one, so that what was not acknowledged comes again, first and
 * in order, and what an owner that was thought dead still acknowledges or asks for is of no effect. What it sends says
 * which message is to be the last one before it: nothing that is sent late comes between what others sent.
 *
 * The stream PREFIX-ends has one message for each end: who has it, whether it is open, and how often what waits for it
 * was delivered. Where it is open and its owner's participation is not renewed any more, the owner died.
 */
#ifndef YK_NATS_LINK_H
#define YK_NATS_LINK_H

#include "channel.h"
#include "ends.h"
#include "peer.h"

struct yk_nats_link {
    struct yk_channel channel; /* first */
    char me[YOKE_PEER_NAME_MAX + 1], other[YOKE_PEER_NAME_MAX + 1];
    int side; /* 0: of the peer whose name comes first */
    struct yk_nats_peer *peer;
    struct yk_nats_link *next_open; /* in peer->links */
    struct yk_ear next;             /* of messages */
    struct yk_ear ends;             /* of what the other end says of itself */
    char source
        [YK_NATS_SUBJECT_MOST]; /* the stream that it receives from, and how its state is asked for */
    char source_subject[YK_NATS_SUBJECT_MOST + 64];

    /* with the channel's mutex */
    struct yk_end mine, theirs;
    char ended[YK_HERE_OWNER]; /* whose end a receiver was told of, and */
    uint64_t ended_at;     /* how many had been received then; UINT64_MAX: no end was told */
    bool lost;             /* the peer's name, or this end, is another's */
    int absent;            /* how often in a row theirs was not found to be there */
    int64_t asked;         /* when it was asked for */
    bool known;            /* the state of the stream that it sends to: */
    uint64_t first, last;  /* the oldest that is not released, or an older one; the newest */
    bool started;          /* it can be asked for messages */
    unsigned waiting;      /* calls that receive */
    bool broken;           /* a delivery was lost, or the consumer was: there is to be a new one */
    bool making;           /* it is being made: what is asked of it now, no server hears */
    uint64_t seen, number; /* the newest message that came; how many came from this consumer */
    uint64_t asking;       /* the token of the request for more */
    size_t credit;         /* what may yet come for it */
    int64_t until;         /* then it is over */
    bool removed;          /* so it was found when there was to be a new consumer */
    int64_t mended;        /* when that was tried last for who waits for all of the peer's links */
    uint64_t dropped;      /* delivered too often */
};

int yk_nats_link_open(yoke_endpoint *endpoint, const struct yk_address *address, uint32_t flags,
                      const struct yoke_options *options);
int yk_nats_link_remove(const struct yk_address *address);

/* ---- for the files of the link ---- */

/* Why receiving has nothing, or sending no room, for good: -EPIPE, -EOWNERDEAD; 0. Under the mutex. */
int yk_nats_link_ended(const struct yk_nats_link *link);
int yk_nats_link_lost(const struct yk_nats_link *link);

/*
 * With the mutex, which is free meanwhile: a new consumer, by whose first deliveries all comes that is not
 * acknowledged. 0; -EOWNERDEAD: the end is another's; or as yk_hub_fail().
 */
int yk_nats_link_renew(struct yk_nats_link *link);
/* The same: is the end its own? 0; -EOWNERDEAD; -ENOENT: the link is gone. */
int yk_nats_link_check(struct yk_nats_link *link);
/* The same, but the servers are asked only where it is not certain. */
int yk_nats_link_own(struct yk_nats_link *link);

/*
 * For peer_next.c, under the hub's peers_mutex: from now on messages are asked for without a call that receives, and
 * `bell`, too, is rung when there is something. And: is there, so that receiving would not wait?
 */
void yk_nats_link_serve(struct yk_nats_link *link, int bell);
bool yk_nats_link_is_open(struct yk_nats_link *link); /* or only just being opened */
bool yk_nats_link_is_ready(struct yk_nats_link *link);
/*
 * The same: does nothing come any more, so that there is to be a new consumer? Then it stays, though it be closed
 * meanwhile, until yk_nats_link_mend() has tried that: 0, or as yk_nats_link_renew().
 */
bool yk_nats_link_needs_mending(struct yk_nats_link *link, int64_t now);
int yk_nats_link_mend(struct yk_nats_link *link);

/* link_receive.c, link_send.c: see struct yk_channel_kind. */
ssize_t yk_nats_link_send(struct yk_channel *channel, const struct yoke_message *messages,
                          size_t count, int64_t timeout_ns);
int yk_nats_link_await(struct yk_channel *channel, size_t wanted, int64_t timeout_ns);
void yk_nats_link_delivered(struct yk_channel *channel, char kind, natsMsg *message,
                            const struct yk_delivered *delivered);
void yk_nats_link_told(struct yk_channel *channel, char kind, uint64_t token, natsMsg *message);
void yk_nats_link_receiving_tick(struct yk_nats_link *link, int64_t now);
void yk_nats_link_interrupted(struct yk_channel *channel, bool over);
void yk_nats_link_emptied(struct yk_channel *channel);
void yk_nats_link_give_back(struct yk_channel *channel, struct yk_delivery *delivery);
int yk_nats_link_watch(struct yk_channel *channel);
int yk_nats_link_wait(void *self, int64_t timeout_ns);
/* How often what is not acknowledged was delivered, for the next owner. Nothing arrives any more. */
void yk_nats_link_count_up(struct yk_nats_link *link, struct yk_end *ret);
/* One delivery more of all up to that one. */
void yk_end_count(struct yk_end *end, uint64_t upto);

#endif
