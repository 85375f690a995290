/*
 * link.c - see nats_link.h: opening and closing, and what is known of both ends.
 */
#include "nats_link.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FUSE         1000 /* messages beyond the depth, which the sender keeps to */
#define WAITING_MOST 16
#define ASKED_ENDS   'e'
#define ASKED_THEIRS 'o'
#define ASKS         6 /* in a lease: is the other end there? */
#define ABSENT_MOST  4 /* times: in a cluster a new leader may not know yet */
#define BARRIER_MS   2000
#define SETTLED      3 /* part of a lease, after connecting, in which those who are there say so again */

/* ---- what is said of its ends ----------------------------------------------------------------- */

/* From whom to whom, which is what an end's word is known by. */
static int read_end(const struct yk_nats_link *link, int side, struct yk_end *ret)
{
    bool mine = side == link->side;

    return yk_end_read(link->channel.line.hub, mine ? link->me : link->other,
                       mine ? link->other : link->me, link->channel.facts.generation, ret);
}

/* -EOWNERDEAD: somebody else did meanwhile. */
static int write_end(const struct yk_nats_link *link, struct yk_end *end)
{
    int result = yk_end_write(link->channel.line.hub, link->me, link->other,
                              link->channel.facts.generation, end);

    return result == -EEXIST ? yk_nats_link_lost(link) : result;
}

/* ---- how the other end is -------------------------------------------------------------------- */

int yk_nats_link_lost(const struct yk_nats_link *link)
{
    return yk_fail(
        EOWNERDEAD,
        "%s: this process was not heard of for longer than the lease of peer:%s, which is "
        "another's by now, or free: open the link anew",
        link->channel.label, link->me);
}

int yk_nats_link_ended(const struct yk_nats_link *link)
{
    switch (link->theirs.state) {
    case YK_END_CLOSED:
        return yk_fail(EPIPE, "the other side of %s closed it", link->channel.label);
    case YK_END_DIED:
        return yk_fail(EOWNERDEAD, "the other side of %s died", link->channel.label);
    default:
        return 0;
    }
}

/* Who receives is told, once all that came before was received; see yk_nats_link_emptied(). */
static void set_theirs(struct yk_nats_link *link, enum yk_end_state state)
{
    if (state == link->theirs.state)
        return;
    link->theirs.state = state;
    link->absent = 0;
    if (state == YK_END_CLOSED || state == YK_END_DIED)
        yk_channel_ring(&link->channel);
    else if (!link->channel.queue)
        yk_channel_silence(&link->channel);
}

/* What is published may yet be refused; who closes it must be who had it. */
static void take_word(struct yk_nats_link *link, const struct yk_end *end)
{
    if (end->state == YK_END_CLOSED && strcmp(end->owner, link->theirs.owner) != 0)
        return;
    strcpy(link->theirs.owner, end->owner);
    set_theirs(link, end->state);
}

static void end_spoke(struct yk_ear *ear, uint64_t token, natsMsg *message)
{
    struct yk_nats_link *link = (struct yk_nats_link *)ear->line;
    struct yk_end end;

    (void)token;
    pthread_mutex_lock(&link->channel.mutex);
    if (yk_end_parse(natsMsg_GetData(message), (size_t)natsMsg_GetDataLength(message), &end))
        take_word(link, &end);
    pthread_mutex_unlock(&link->channel.mutex);
    natsMsg_Destroy(message);
}

/* The answer to whether its owner still takes part. */
static void arrived(struct yk_channel *channel, char kind, uint64_t token, natsMsg *message)
{
    struct yk_nats_link *link = (struct yk_nats_link *)channel;
    int most = yk_hub_is_clustered(channel->line.hub) ? ABSENT_MOST : 1;

    (void)token;
    if (kind != ASKED_THEIRS)
        return;
    bool gone = yk_here_is_gone(message);
    link->absent = gone ? link->absent + 1 : 0;
    if (!gone && link->theirs.state == YK_END_DIED)
        set_theirs(link, YK_END_OPEN); /* as after all servers were away for long */
    else if (link->absent >= most && link->theirs.state == YK_END_OPEN)
        set_theirs(link, YK_END_DIED);
}

static void ask_for_theirs(struct yk_nats_link *link, int64_t now)
{
    struct yk_channel *channel = &link->channel;
    const struct yk_hub *hub = channel->line.hub;

    if (link->theirs.state != YK_END_OPEN && link->theirs.state != YK_END_DIED)
        return;
    if (now - hub->since < hub->lease_ns / SETTLED ||
        (link->absent == 0 && now - link->asked < hub->lease_ns / ASKS))
        return;
    link->asked = now;
    yk_here_ask(&channel->line, ASKED_THEIRS, "link", channel->name, channel->facts.generation,
                link->theirs.owner);
}

static void tick(struct yk_channel *channel, int64_t now)
{
    struct yk_nats_link *link = (struct yk_nats_link *)channel;

    if (!link->lost && link->peer && yk_nats_peer_is_lost(link->peer)) {
        link->lost = true;
        yk_channel_ring(channel);
    }
    ask_for_theirs(link, now);
    yk_nats_link_receiving_tick(link, now);
}

/* ---- the consumer ---------------------------------------------------------------------------- */

static int remove_consumers(struct yk_hub *hub, const char *stream)
{
    jsConsumerNamesList *list = NULL;
    jsErrCode code = 0;
    natsStatus status;
    int64_t until = 0;

    do {
        code = 0;
        status = js_ConsumerNames(&list, hub->js, stream, NULL, &code);
    } while (yk_hub_again(hub, status, code, &until));

    if (status == NATS_NOT_FOUND && code == 0)
        return 0;
    for (int i = 0; status == NATS_OK && i < list->Count; i++) {
        do {
            code = 0;
            status = js_DeleteConsumer(hub->js, stream, list->List[i], NULL, &code);
        } while (yk_hub_again(hub, status, code, &until));
        if (code == JSConsumerNotFoundErr)
            status = NATS_OK;
    }
    jsConsumerNamesList_Destroy(list);
    return status == NATS_OK ? 0 : yk_hub_fail(status, code, "removing a consumer of a link");
}

static int make_consumer(const struct yk_nats_link *link, const char *name)
{
    struct yk_hub *hub = link->channel.line.hub;
    jsConsumerConfig consumer;
    jsErrCode code = 0;

    jsConsumerConfig_Init(&consumer);
    consumer.Durable = name;
    consumer.AckPolicy = js_AckExplicit;
    consumer.AckWait = link->channel.facts.ack_wait_ns;
    consumer.MaxDeliver = -1;
    consumer.MaxAckPending = YK_NATS_PENDING_MOST;
    consumer.MaxWaiting = WAITING_MOST;
    natsStatus status;
    int64_t until = 0;

    do {
        code = 0;
        status = js_AddConsumer(NULL, hub->js, link->source, &consumer, NULL, &code);
    } while (yk_hub_again(hub, status, code, &until));
    return status == NATS_OK ? 0 : yk_hub_fail(status, code, "making the consumer of a link");
}

static int find_last(const struct yk_nats_link *link, uint64_t *ret)
{
    jsStreamInfo *info;
    int result = yk_nats_stream_info(link->channel.line.hub, link->source, &info);

    if (result == 0)
        return yk_fail(EREMOTEIO, "the stream of a link, %s, is not there", link->source);
    if (result < 0)
        return result;
    *ret = info->State.LastSeq;
    jsStreamInfo_Destroy(info);
    return 0;
}

/*
 * How far the one before it came, as it did not close. A consumer that was never made delivered nothing. One whose
 * server was killed, too, may know of less than it delivered: all that waits now may have been.
 */
static int count_predecessor(const struct yk_nats_link *link, struct yk_end *end)
{
    jsConsumerInfo *info = NULL;
    jsErrCode code = 0;

    if (end->state != YK_END_OPEN)
        return 0;
    struct yk_hub *hub = link->channel.line.hub;
    natsStatus status;
    int64_t until = 0;

    do {
        code = 0;
        status = js_GetConsumerInfo(&info, hub->js, link->source, end->consumer, NULL, &code);
    } while (yk_hub_again(hub, status, code, &until));
    if (status == NATS_OK)
        yk_end_count(end, info->Delivered.Stream);
    jsConsumerInfo_Destroy(info);
    if (status == NATS_OK || code == JSConsumerNotFoundErr)
        return find_last(link, &end->perhaps);
    return yk_hub_fail(status, code, "looking for the consumer of a link");
}

/*
 * Where nothing was delivered of what is said to be delivered, as the process died in here, that is said too often of a
 * message, never too seldom.
 */
static int take_over(struct yk_nats_link *link, struct yk_end *end)
{
    yk_nats_random_hex(end->consumer, 8);
    int result = write_end(link, end);
    if (result == 0)
        result = remove_consumers(link->channel.line.hub, link->source);
    return result;
}

int yk_nats_link_check(struct yk_nats_link *link)
{
    struct yk_end end;
    int result = yk_channel_check_there(&link->channel);

    if (result < 0)
        return result;
    pthread_mutex_unlock(&link->channel.mutex);
    result = read_end(link, link->side, &end);
    pthread_mutex_lock(&link->channel.mutex);
    if (result < 0)
        return result;
    if (end.state == YK_END_OPEN && strcmp(end.owner, link->mine.owner) == 0)
        return 0;
    link->lost = true;
    return yk_nats_link_lost(link);
}

int yk_nats_link_own(struct yk_nats_link *link)
{
    if (link->lost)
        return yk_nats_link_lost(link);
    return yk_nats_peer_is_certain(link->peer) ? 0 : yk_nats_link_check(link);
}

/* What is delivered from here on is known by the new name. */
static void use_consumer(struct yk_nats_link *link, const struct yk_end *end)
{
    link->mine = *end;
    link->number = 0;
    link->credit = 0;
    link->broken = false;
}

int yk_nats_link_renew(struct yk_nats_link *link)
{
    int result = yk_nats_link_check(link);
    struct yk_end end = link->mine;

    if (result < 0)
        return result;
    pthread_mutex_unlock(&link->channel.mutex);
    result = take_over(link, &end);
    pthread_mutex_lock(&link->channel.mutex);
    if (result < 0)
        return result;
    use_consumer(link, &end);
    link->making = true;
    pthread_mutex_unlock(&link->channel.mutex);
    result = make_consumer(link, end.consumer);
    pthread_mutex_lock(&link->channel.mutex);
    link->making = false;
    link->broken = result < 0;
    return result;
}

/* ---- its streams ----------------------------------------------------------------------------- */

static const char *const ways[2] = {"link0", "link1"}; /* by the side that sends */

static bool is_whole(struct yk_hub *hub, const char *name, uint64_t generation)
{
    char stream[YK_NATS_SUBJECT_MOST];

    yk_nats_stream(stream, hub, ways[1], name, generation);
    return yk_nats_await_stream(hub, stream) == 1;
}

static int make_whole(struct yk_hub *hub, const char *name, const struct yk_nats_facts *facts)
{
    int result = 0;

    for (int i = 0; i < 2 && result == 0; i++)
        result = yk_channel_add_stream(hub, ways[i], name, facts, (int64_t)facts->depth + FUSE);
    return result;
}

static int remove_streams(struct yk_hub *hub, const char *name, uint64_t generation)
{
    int result = 0;

    for (int i = 0; i < 2 && result == 0; i++)
        result = yk_channel_remove_stream(hub, ways[i], name, generation);
    yk_ends_remove(hub, name, generation);
    return result;
}

/* ---- opening and closing --------------------------------------------------------------------- */

static void begin(struct yk_channel *channel)
{
    struct yk_nats_link *link = (struct yk_nats_link *)channel;
    const struct yk_hub *hub = channel->line.hub;
    uint64_t generation = channel->facts.generation;
    char target[YK_NATS_SUBJECT_MOST];

    link->next =
        (struct yk_ear){.line = &channel->line, .kind = YK_ASKED_NEXT, .arrived = yk_channel_hear};
    link->ends = (struct yk_ear){.line = &channel->line, .kind = ASKED_ENDS, .arrived = end_spoke};
    yk_nats_subject(channel->subject, hub, ways[link->side], channel->name, generation);
    yk_nats_stream(target, hub, ways[link->side], channel->name, generation);
    yk_nats_stream(link->source, hub, ways[1 - link->side], channel->name, generation);
    snprintf(channel->state_subject, sizeof channel->state_subject, "$JS.API.STREAM.INFO.%s",
             target);
    snprintf(link->source_subject, sizeof link->source_subject, "$JS.API.STREAM.INFO.%s",
             link->source);
}

/* One end is open once in a process. */
static int join(struct yk_channel *channel)
{
    struct yk_nats_link *link = (struct yk_nats_link *)channel;
    struct yk_hub *hub = channel->line.hub;
    struct yk_nats_peer *peer;
    int result = yk_nats_peer_hold(&peer, hub, link->me);

    if (result < 0)
        return result;
    pthread_mutex_lock(&hub->peers_mutex);
    for (const struct yk_nats_link *open = peer->links; open; open = open->next_open)
        if (strcmp(open->other, link->other) == 0)
            result = -EADDRINUSE;
    if (result == 0) {
        link->next_open = peer->links;
        peer->links = link;
        pthread_mutex_lock(&channel->mutex);
        link->peer = peer;
        pthread_mutex_unlock(&channel->mutex);
        if (peer->serves)
            yk_nats_link_serve(link, peer->bell);
    }
    pthread_mutex_unlock(&hub->peers_mutex);
    if (result < 0) {
        yk_nats_peer_drop(peer);
        return yk_fail(EADDRINUSE, "%s is open in this process as peer:%s already", channel->label,
                       link->me);
    }
    return 0;
}

static void leave(struct yk_channel *channel)
{
    struct yk_nats_link *link = (struct yk_nats_link *)channel;
    struct yk_hub *hub = channel->line.hub;

    pthread_mutex_lock(&hub->peers_mutex);
    for (struct yk_nats_link **at = &link->peer->links; *at; at = &(*at)->next_open)
        if (*at == link) {
            *at = link->next_open;
            break;
        }
    if (link->peer->served == link)
        link->peer->served = NULL;
    pthread_mutex_unlock(&hub->peers_mutex);
    if (channel
            ->endpoint) /* somebody may have come to the other end of whom this one has not heard */
        yk_nats_peer_suspect(link->peer, link->other, channel->facts.generation);
    yk_nats_peer_drop(link->peer);
}

/* From now on what the other end says of itself is heard; what it said before is asked for. */
static int meet(struct yk_nats_link *link)
{
    char subject[YK_END_SUBJECT];
    struct yk_end theirs;

    yk_end_subject(subject, link->channel.line.hub, link->other, link->me,
                   link->channel.facts.generation);
    int result = yk_ear_open_at(&link->ends, subject);
    if (result == 0)
        result = read_end(link, 1 - link->side, &theirs);
    if (result < 0)
        return result;
    pthread_mutex_lock(&link->channel.mutex);
    if (link->theirs.state == YK_END_NEW && theirs.state != YK_END_NEW) {
        strcpy(link->theirs.owner, theirs.owner);
        set_theirs(link, theirs.state);
    }
    pthread_mutex_unlock(&link->channel.mutex);
    return 0;
}

static int start(struct yk_channel *channel)
{
    struct yk_nats_link *link = (struct yk_nats_link *)channel;
    struct yk_end end;
    int result = yk_ends_ensure(channel->line.hub);

    if (result == 0)
        result = read_end(link, link->side, &end);
    if (result == 0)
        result = count_predecessor(link, &end);
    if (result < 0)
        return result;
    end.state = YK_END_OPEN;
    end.left[0] = '\0';
    strcpy(end.owner, channel->here.owner);
    result = take_over(link, &end);
    if (result < 0)
        return result;
    pthread_mutex_lock(&channel->mutex);
    use_consumer(link, &end);
    link->known = false;
    link->seen = 0;
    link->ended_at = UINT64_MAX;
    pthread_mutex_unlock(&channel->mutex);
    result = make_consumer(link, end.consumer);
    if (result == 0)
        result = yk_ear_open(&link->next);
    if (result == 0)
        result = meet(link);
    if (result == 0) {
        pthread_mutex_lock(&channel->mutex);
        link->started = true;
        yk_nats_link_emptied(channel); /* where it is watched, it asks for messages by itself */
        pthread_mutex_unlock(&channel->mutex);
    }
    return result;
}

static void deafen(struct yk_channel *channel)
{
    struct yk_nats_link *link = (struct yk_nats_link *)channel;

    yk_ear_close(&link->next);
    yk_ear_close(&link->ends);
}

/*
 * Whoever is next finds what was not acknowledged. Whoever came to the other end after the end of the one before was
 * told, and of whom nothing was received, is somebody new: it is the one before who is left.
 */
static void end(struct yk_channel *channel)
{
    struct yk_nats_link *link = (struct yk_nats_link *)channel;
    struct yk_hub *hub = channel->line.hub;
    struct yk_end end = link->mine;
    struct yk_nats_facts facts;
    natsMsg *answer = NULL;

    if (link->lost || yk_hub_is_away(hub) ||
        yk_nats_find(hub, channel->kind->name, channel->name, &facts) < 0 ||
        facts.generation != channel->facts.generation)
        return;
    if (channel->acknowledged[0]) /* once more, for an answer: then all before it is done, too */
        natsConnection_RequestString(&answer, hub->connection, channel->acknowledged, "+ACK",
                                     BARRIER_MS);
    natsMsg_Destroy(answer);
    yk_nats_link_count_up(link, &end);
    end.state = YK_END_CLOSED;
    strcpy(end.left, link->ended_at == channel->received ? link->ended : link->theirs.owner);
    write_end(link, &end);
}

static void forget(struct yk_channel *channel)
{
    struct yk_nats_link *link = (struct yk_nats_link *)channel;

    link->peer = NULL;
    link->mine = link->theirs = (struct yk_end){.state = YK_END_NEW};
    link->lost = link->known = link->broken = link->removed = link->started = false;
    link->absent = 0;
    link->asked = link->until = 0;
    link->waiting = 0;
    link->seen = link->number = link->asking = 0;
    link->ended_at = UINT64_MAX;
    link->credit = 0;
}

static const char *other(void *self)
{
    return ((struct yk_nats_link *)self)->other;
}

static const struct yk_channel_kind kind = {
    .name = "link",
    .max_deliveries = UINT32_MAX,
    .is_whole = is_whole,
    .make_whole = make_whole,
    .remove_streams = remove_streams,
    .begin = begin,
    .join = join,
    .leave = leave,
    .start = start,
    .deafen = deafen,
    .end = end,
    .forget = forget,
    .arrived = arrived,
    .delivered = yk_nats_link_delivered,
    .told = yk_nats_link_told,
    .tick = tick,
    .interrupted = yk_nats_link_interrupted,
    .send = yk_nats_link_send,
    .await = yk_nats_link_await,
    .emptied = yk_nats_link_emptied,
    .give_back = yk_nats_link_give_back,
    .watch = yk_nats_link_watch,
};

static const struct yk_endpoint_operations operations = {
    .what = "a link on NATS",
    YK_CHANNEL_OPERATIONS,
    .link_other = other,
    .link_wait = yk_nats_link_wait,
};

int yk_nats_link_remove(const struct yk_address *address)
{
    return yk_channel_remove(&kind, address->where, address->name);
}

int yk_nats_link_open(yoke_endpoint *endpoint, const struct yk_address *address, uint32_t flags,
                      const struct yoke_options *options)
{
    int result = yk_channel_check(&kind, flags, options);
    if (result < 0)
        return result;
    struct yk_nats_link *link = calloc(1, sizeof *link);
    if (!link)
        return yk_fail(ENOMEM, "no memory for an endpoint");
    struct yk_channel *channel = &link->channel;
    channel->kind = &kind;
    strcpy(link->me, options->as);
    strcpy(link->other, address->name); /* both are checked */
    link->side = strcmp(link->me, link->other) < 0 ? 0 : 1;
    snprintf(channel->name, sizeof channel->name, "%s@%s", link->side == 0 ? link->me : link->other,
             link->side == 0 ? link->other : link->me);
    snprintf(channel->label, sizeof channel->label, "link:%s", link->other);
    strcpy(channel->place, address->where);
    return yk_channel_open(endpoint, channel, &operations, flags, options);
}
