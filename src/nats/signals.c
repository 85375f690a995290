/*
 * signals.c - see signals.h.
 *
 * One signal is delivered at a time, and the next one when that is acknowledged, as it is when it is taken: so they come in
 * order, whatever is lost on the way. What comes again is known by its number, and not taken twice. One that the servers
 * stored twice (a new leader may not know the id of what its predecessor had) is known by the number that its
 * sender gave it as its tag.
 *
 * What is left of an inbox whose owner died goes when the name's next owner opens one, or by yoke gc: its name is
 * deleted by its number, so nobody can mean another one by it, however long he was stopped.
 */
#include "signals.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api.h"
#include "peer.h"
#include "port.h"

#define DEPTH_DEFAULT 1024
#define RECENT_MOST   1024 /* of the taken ones: one that comes twice is known among so many */
#define PACKET_MOST   128
#define ACK_WAIT_NS   (5 * YK_SECOND_NS)
#define SLICE_NS      YK_SECOND_NS /* of waiting, between two looks whether the name is ours */
#define AGAIN_NS      (50 * YK_MILLISECOND_NS) /* while no server has the answer */
#define OPEN_TRIES    4
#define ASKED_OWNER   'q'

struct signals {
    struct yk_nats_port port;  /* first */
    struct yk_nats_peer *peer; /* whose it is; NULL: this one sends */
    /* with the channel's mutex */
    uint64_t taken; /* the last one's number */
    uint64_t recent[RECENT_MOST];
    size_t recent_count;
    bool told; /* by the bell, that the name is lost */
    /* of who sends: what may have been sent, and its tag */
    size_t doubted_size;
    unsigned char doubted[PACKET_MOST];
    uint64_t doubted_tag;
};

static int lost(const struct yk_channel *channel)
{
    return yk_fail(EOWNERDEAD,
                   "peer:%s: this process was not heard of for longer than the lease of that name, "
                   "which is another's by now, or was: leave, and join anew",
                   channel->name);
}

/* ---- receiving ------------------------------------------------------------------------------- */

/* Is the name still this process's? With the mutex, which is free meanwhile. */
static int check_mine(struct signals *signals)
{
    struct yk_channel *channel = &signals->port.channel;
    char owner[YK_HERE_OWNER];

    if (yk_nats_peer_is_lost(signals->peer))
        return lost(channel);
    if (yk_nats_peer_is_certain(signals->peer))
        return 0;
    pthread_mutex_unlock(&channel->mutex);
    int result = yk_nats_peer_owner(channel->line.hub, channel->name, owner);
    pthread_mutex_lock(&channel->mutex);
    if (result < 0)
        return result;
    /* nobody's: it may be had again, and until then nobody sends */
    return owner[0] == '\0' || strcmp(owner, channel->facts.owner) == 0 ? 0 : lost(channel);
}

static bool is_recent(const struct signals *signals, uint64_t tag)
{
    size_t count = signals->recent_count < RECENT_MOST ? signals->recent_count : RECENT_MOST;

    for (size_t i = 0; i < count; i++)
        if (signals->recent[i] == tag)
            return true;
    return false;
}

/* The first in the queue: was it taken before? If not, it is now. */
static bool is_known(struct signals *signals)
{
    const struct yk_delivery *delivery = signals->port.channel.queue;

    if (delivery->sequence <= signals->taken ||
        (delivery->marked && delivery->tag != 0 && is_recent(signals, delivery->tag)))
        return true;
    signals->taken = delivery->sequence;
    signals->recent[signals->recent_count++ % RECENT_MOST] = delivery->tag;
    return false;
}

/* Asked before, lest one who is not to have any waits; and after, as he may have been stopped meanwhile. */
static int await_delivery(struct signals *signals, int64_t deadline, int64_t timeout_ns)
{
    struct yk_channel *channel = &signals->port.channel;

    for (;;) {
        int64_t left = deadline == INT64_MAX ? INT64_MAX : deadline - yk_nats_now();
        int64_t slice = left < SLICE_NS ? left : SLICE_NS;
        int result = check_mine(signals);
        if (result == 0)
            result = yk_nats_port_await(channel, 1, timeout_ns == 0 ? 0 : slice > 0 ? slice : 1);
        if (result == 0)
            result = check_mine(signals);
        /* only the name's next owner takes the inbox away, or yoke gc when the name is free */
        if (result == -ENOENT)
            return lost(channel);
        if (result == 0 && !channel->queue) /* another thread was faster */
            continue;
        if ((result != -ETIMEDOUT && result != -EHOSTUNREACH) || left <= slice)
            return result;
        if (result == -EHOSTUNREACH) /* a while without servers is waited for, as in a port */
            result = yk_channel_sleep(channel, -1, -1, yk_nats_now() + AGAIN_NS);
        if (result < 0 && result != -ETIMEDOUT)
            return result;
    }
}

static int await(struct yk_channel *channel, size_t wanted, int64_t timeout_ns)
{
    struct signals *signals = (struct signals *)channel;
    int64_t deadline = yk_nats_deadline(timeout_ns);
    int result;

    (void)wanted;
    while ((result = await_delivery(signals, deadline, timeout_ns)) == 0 && is_known(signals))
        yk_channel_acknowledge(channel, yk_channel_dequeue(channel));
    return result;
}

static void tick(struct yk_channel *channel, int64_t now)
{
    struct signals *signals = (struct signals *)channel;

    if (!signals->peer)
        return;
    yk_nats_port_tick(channel, now);
    if (!signals->told && channel->watched && yk_nats_peer_is_lost(signals->peer)) {
        signals->told = true;
        yk_channel_ring(channel);
    }
}

/* What an election, or a break, brings with it is the receiver's affair. */
static int start(struct yk_channel *channel)
{
    return ((struct signals *)channel)->peer ? yk_nats_port_start(channel) : 0;
}

static void interrupted(struct yk_channel *channel, bool over)
{
    if (((struct signals *)channel)->peer)
        yk_nats_port_interrupted(channel, over);
}

/* ---- sending --------------------------------------------------------------------------------- */

/* In the client's thread: who has the peer's name now? */
static enum yk_outcome compare_owner(const struct yk_channel *channel, natsMsg *message)
{
    json_t *answer =
        json_loadb(natsMsg_GetData(message), (size_t)natsMsg_GetDataLength(message), 0, NULL);
    const json_t *error = json_object_get(answer, "error");
    enum yk_outcome outcome = YK_NOBODY;
    char owner[YK_HERE_OWNER];
    struct yk_stored stored;

    if (error && json_integer_value(json_object_get(error, "err_code")) == JSNoMessageFoundErr) {
        outcome = YK_STALE;
    } else if (answer && !error && yk_stored_read(answer, "asking who is a peer", &stored) == 1) {
        yk_nats_peer_read_owner((const char *)stored.data, stored.size, owner);
        outcome = strcmp(owner, channel->facts.owner) == 0 ? YK_ACCEPTED : YK_STALE;
        yk_stored_fini(&stored);
    }
    json_decref(answer);
    return outcome;
}

static void arrived(struct yk_channel *channel, char kind, uint64_t token, natsMsg *message)
{
    struct yk_question *question = kind == ASKED_OWNER ? yk_question_find(channel, token) : NULL;

    if (question && question->unanswered)
        yk_question_answer(question, compare_owner(channel, message));
    else if (kind != ASKED_OWNER)
        yk_nats_port_take_parked(channel, kind, token, message);
}

static int ask_owner(struct yk_channel *channel, int64_t until, enum yk_outcome *ret)
{
    char token[YK_NATS_TOKEN_MOST], reply[YK_NATS_REPLY_MOST];
    char subject[YK_NATS_PREFIX_MOST + 64], body[YK_NATS_SUBJECT_MOST + 64];
    const char *prefix = channel->line.hub->where.prefix;
    struct yk_question question;
    int result = yk_question_begin(channel, &question, 1, ret);

    if (result < 0)
        return result;
    yk_nats_encode(token, channel->name);
    snprintf(subject, sizeof subject, "$JS.API.STREAM.MSG.GET.%s-here", prefix);
    snprintf(body, sizeof body, "{\"last_by_subj\":\"%s.here." YK_PEER ".%s\"}", prefix, token);
    yk_hub_reply(&channel->line, ASKED_OWNER, question.first, reply);
    yk_hub_ask(&channel->line, subject, reply, body, strlen(body));
    result = yk_channel_sleep(channel, question.bell, -1, until);
    yk_question_end(channel, &question);
    return result == -ETIMEDOUT ? 0 : result;
}

/* Has the inbox's owner still the peer's name? 0; -ESTALE: no, or there is a doubt about it. */
static int prove(struct yk_channel *channel)
{
    int64_t give_up = yk_nats_now() + YK_DOUBT_NS, now;

    while ((now = yk_nats_now()) < give_up) {
        enum yk_outcome outcome = YK_UNANSWERED;
        int result = ask_owner(channel, now + YK_TRY_NS, &outcome);
        if (outcome == YK_ACCEPTED)
            return 0;
        if (outcome == YK_STALE)
            return -ESTALE;
        if (result == 0 && outcome == YK_NOBODY)
            result = yk_channel_sleep(channel, -1, -1, yk_nats_now() + AGAIN_NS);
        if (result < 0 && result != -ETIMEDOUT)
            return result;
    }
    return yk_fail(EHOSTUNREACH,
                   "no server says whether peer:%s is there, so the signal was not sent",
                   channel->name);
}

static uint64_t new_tag(void)
{
    char text[17];

    yk_nats_random_hex(text, 8);
    return strtoull(text, NULL, 16) | 1;
}

/* One that is in doubt keeps its tag, so that it is the same when it is sent again. */
static uint64_t tag_of(const struct signals *signals, const struct yoke_message *message)
{
    bool again = signals->doubted_size > 0 && signals->doubted_size == message->size &&
                 memcmp(signals->doubted, message->data, message->size) == 0;

    return again ? signals->doubted_tag : new_tag();
}

static void note_doubt(struct signals *signals, const struct yoke_message *message)
{
    signals->doubted_size = 0;
    if (!signals->port.channel.doubts || message->size > sizeof signals->doubted)
        return;
    memcpy(signals->doubted, message->data, message->size);
    signals->doubted_size = message->size;
    signals->doubted_tag = message->tag;
}

/* The first one. */
static ssize_t send_one(struct yk_channel *channel, const struct yoke_message *messages,
                        size_t count, int64_t timeout_ns)
{
    struct signals *signals = (struct signals *)channel;
    struct yoke_message message = messages[0];
    ssize_t result = prove(channel);

    (void)count;
    if (result < 0)
        return result;
    message.tag = tag_of(signals, &message);
    result = yk_nats_port_send(channel, &message, 1, timeout_ns);
    note_doubt(signals, &message);
    if (result == -EAGAIN)
        return yk_fail(
            EAGAIN,
            "as many signals wait for peer:%s as its inbox was opened for (depth %u): it does "
            "not receive them",
            channel->name, channel->facts.depth);
    return result == -ENOENT ? -ESTALE : result;
}

/* ---- the kind -------------------------------------------------------------------------------- */

static bool is_whole(struct yk_hub *hub, const char *name, uint64_t generation)
{
    return yk_nats_port_has_stream(hub, YK_SIGNALS, name, generation);
}

static int make_whole(struct yk_hub *hub, const char *name, const struct yk_nats_facts *facts)
{
    return yk_nats_port_add_stream(hub, YK_SIGNALS, name, facts, facts->depth, 1);
}

static int remove_streams(struct yk_hub *hub, const char *name, uint64_t generation)
{
    return yk_channel_remove_stream(hub, YK_SIGNALS, name, generation);
}

static const struct yk_channel_kind kind = {
    .name = YK_SIGNALS,
    .max_deliveries = UINT32_MAX, /* none is parked */
    .ack_wait_ns = ACK_WAIT_NS,
    .is_whole = is_whole,
    .make_whole = make_whole,
    .remove_streams = remove_streams,
    .begin = yk_nats_port_begin,
    .start = start,
    .deafen = yk_nats_port_deafen,
    .end = yk_nats_port_end,
    .forget = yk_nats_port_forget,
    .arrived = arrived,
    .delivered = yk_nats_port_delivered,
    .told = yk_nats_port_told,
    .tick = tick,
    .interrupted = interrupted,
    .send = send_one,
    .await = await,
    .emptied = yk_nats_port_emptied,
    .give_back = yk_nats_port_give_back,
    .watch = yk_nats_port_watch,
};

int yk_nats_signals_lives(struct yk_hub *hub, const char *name, const struct yk_nats_facts *facts,
                          bool *ret)
{
    char owner[YK_HERE_OWNER];
    int result = yk_nats_peer_owner(hub, name, owner);

    *ret = result == 0 && strcmp(owner, facts->owner) == 0;
    return result;
}

int yk_nats_signals_clear(struct yk_hub *hub, const char *name, const struct yk_nats_facts *facts)
{
    int result = yk_nats_retire(hub, YK_SIGNALS, name, facts);

    return result == 0 ? remove_streams(hub, name, facts->generation) : result;
}

/* ---- closing --------------------------------------------------------------------------------- */

static void let_go(struct yk_nats_peer *peer)
{
    struct yk_hub *hub = peer->line.hub;

    pthread_mutex_lock(&hub->peers_mutex);
    peer->inbox = false;
    pthread_mutex_unlock(&hub->peers_mutex);
    yk_nats_peer_drop(peer);
    yk_hub_put(hub);
}

/* Of the inbox, which goes with it; a child has only its memory. */
static void close_inbox(void *self)
{
    YK_KEEP_ERRNO;
    struct signals *signals = self;
    struct yk_channel *channel = &signals->port.channel;
    struct yk_nats_peer *peer = signals->peer;
    struct yk_nats_facts facts = channel->facts;

    if (channel->forks != yk_nats_forks()) {
        yk_channel_close(self);
        return;
    }
    yk_channel_close(self);
    yk_nats_signals_clear(peer->line.hub, peer->name, &facts);
    let_go(peer);
}

static const struct yk_endpoint_operations receiving = {
    .what = "an inbox of signals on NATS",
    .close = close_inbox,
    .cancel = yk_channel_cancel,
    .fd = yk_channel_fd,
    .recv_many = yk_channel_recv_many,
};

static const struct yk_endpoint_operations sending = {
    .what = "a way to an inbox of signals on NATS",
    .close = yk_channel_close,
    .cancel = yk_channel_cancel,
    .send_many = yk_channel_send_many,
};

/* ---- opening --------------------------------------------------------------------------------- */

static int open_channel(yoke_endpoint *endpoint, const struct yk_address *address,
                        struct yk_nats_peer *peer, const char *owner,
                        const struct yoke_options *options)
{
    struct signals *signals = calloc(1, sizeof *signals);

    if (!signals)
        return yk_fail(ENOMEM, "no memory for signals");
    signals->peer = peer;
    struct yk_channel *channel = &signals->port.channel;
    channel->kind = &kind;
    channel->unseen = !peer;
    strcpy(channel->owner, owner);
    strcpy(channel->name, address->name);
    strcpy(channel->place, address->where);
    snprintf(channel->label, sizeof channel->label, YK_SIGNALS ":%s", channel->name);
    return yk_channel_open(endpoint, channel, peer ? &receiving : &sending,
                           peer ? YOKE_CREATE | YOKE_EXCLUSIVE | YOKE_KEPT : 0, options);
}

/*
 * What an earlier owner of the name left. It was read before it is made certain that the name is still ours, so it is no
 * later one's.
 */
static int clear_earlier(struct yk_nats_peer *peer)
{
    struct yk_hub *hub = peer->line.hub;
    struct yk_nats_facts facts;
    int result = yk_nats_find(hub, YK_SIGNALS, peer->name, &facts);

    if (result < 0)
        return result == -ENOENT ? 0 : result;
    if (!yk_nats_peer_is_certain(peer))
        return yk_fail(EOWNERDEAD,
                       "peer:%s: no server has heard of this process for longer than the lease of "
                       "that name: leave, and join anew",
                       peer->name);
    result = yk_nats_signals_clear(hub, peer->name, &facts);
    return result == -ENOENT ? 0 : result;
}

static int open_inbox(yoke_endpoint *endpoint, const struct yk_address *address,
                      struct yk_nats_peer *peer, const struct yoke_options *options)
{
    struct yoke_options own = YOKE_OPTIONS_INIT;
    char owner[YK_HERE_OWNER];
    int result = -EEXIST;

    own.max_message = PACKET_MOST;
    own.depth = options->depth ? options->depth : DEPTH_DEFAULT;
    own.max_parked = own.max_borrowed = 1;
    pthread_mutex_lock(&peer->mutex);
    strcpy(owner, peer->here.owner);
    pthread_mutex_unlock(&peer->mutex);
    for (int tries = 0; tries < OPEN_TRIES && result == -EEXIST; tries++) {
        result = clear_earlier(peer);
        if (result == 0)
            result = open_channel(endpoint, address, peer, owner, &own);
    }
    return result;
}

static int claim(struct yk_nats_peer *peer)
{
    pthread_mutex_lock(&peer->line.hub->peers_mutex);
    bool taken = peer->inbox;
    peer->inbox = true;
    pthread_mutex_unlock(&peer->line.hub->peers_mutex);
    return taken ? yk_fail(EBUSY, "peer:%s has its inbox open already", peer->name) : 0;
}

static int open_owner(yoke_endpoint *endpoint, const struct yk_address *address,
                      const struct yoke_options *options)
{
    struct yk_nats_peer *peer;
    struct yk_hub *hub;
    int result = yk_channel_check_name(YK_SIGNALS, address->name);

    if (result == 0)
        result = yk_hub_get(&hub, address->where);
    if (result < 0)
        return result;
    result = yk_nats_peer_hold(&peer, hub, address->name);
    if (result < 0) {
        yk_hub_put(hub);
        return result;
    }
    result = claim(peer);
    if (result < 0) {
        yk_nats_peer_drop(peer);
        yk_hub_put(hub);
        return result;
    }
    result = open_inbox(endpoint, address, peer, options);
    if (result < 0)
        let_go(peer);
    return result;
}

/* Whoever has the name now is to be the one who made it. */
static int open_sender(yoke_endpoint *endpoint, const struct yk_address *address,
                       struct yk_hub *hub)
{
    static const struct yoke_options defaults = YOKE_OPTIONS_INIT;
    const char *name = address->name;
    char owner[YK_HERE_OWNER];
    int result = yk_nats_peer_owner(hub, name, owner);

    if (result == 0 && owner[0] == '\0')
        return yk_fail(ENOENT, "nobody is peer:%s in this place", name);
    if (result == 0)
        result = open_channel(endpoint, address, NULL, "", &defaults);
    if (result == 0 && strcmp(((struct yk_channel *)endpoint->self)->facts.owner, owner) != 0) {
        yk_channel_close(endpoint->self);
        result = -ENOENT; /* an earlier owner left it */
    }
    return result == -ENOENT ? yk_fail(ENOTSUP,
                                       "peer:%s takes no signals in this place: it has not called "
                                       "yoke_signals_open(), or has closed its inbox",
                                       name)
                             : result;
}

int yk_nats_signals_open(yoke_endpoint *endpoint, const struct yk_address *address, uint32_t flags,
                         const struct yoke_options *options)
{
    struct yk_hub *hub;

    if (flags & YOKE_CREATE)
        return open_owner(endpoint, address, options);
    int result = yk_hub_get(&hub, address->where);
    if (result < 0)
        return result;
    result = open_sender(endpoint, address, hub);
    yk_hub_put(hub);
    return result;
}
