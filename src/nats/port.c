/*
 * port.c - see port.h: which streams a port has, and what is refused.
 */
#include "port.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DELIVERIES_DEFAULT 16
#define WAITING_MOST       65536  /* receivers */
#define CLUSTER_RESERVE    100000 /* messages */

void yk_nats_port_begin(struct yk_channel *channel)
{
    struct yk_nats_port *port = (struct yk_nats_port *)channel;
    const struct yk_hub *hub = channel->line.hub;
    uint64_t generation = channel->facts.generation;
    const char *what = channel->kind->name;
    char source[YK_NATS_SUBJECT_MOST], target[YK_NATS_SUBJECT_MOST];

    port->next =
        (struct yk_ear){.line = &channel->line, .kind = YK_ASKED_NEXT, .arrived = yk_channel_hear};
    port->watcher =
        (struct yk_ear){.line = &channel->line, .kind = YK_ASKED_WATCH, .arrived = yk_channel_hear};
    port->elections = (struct yk_ear){
        .line = &channel->line, .kind = YK_ASKED_ELECTED, .arrived = yk_nats_port_elected};
    yk_nats_subject(channel->subject, hub, what, channel->name, generation);
    yk_nats_stream(target, hub, what, channel->name, generation);
    yk_nats_subject(port->parked_subject, hub, "parked", channel->name, generation);
    yk_nats_stream(source, hub, channel->parked ? "parked" : what, channel->name, generation);
    snprintf(port->next_subject, sizeof port->next_subject, "$JS.API.CONSUMER.MSG.NEXT.%s.%s",
             source, YK_NATS_CONSUMER);
    snprintf(port->consumer_subject, sizeof port->consumer_subject, "$JS.API.CONSUMER.INFO.%s.%s",
             source, YK_NATS_CONSUMER);
    snprintf(port->elected_subject, sizeof port->elected_subject,
             "$JS.EVENT.ADVISORY.CONSUMER.LEADER_ELECTED.%s.%s", source, YK_NATS_CONSUMER);
    snprintf(port->purge_subject, sizeof port->purge_subject, "$JS.API.STREAM.PURGE.%s", source);
    snprintf(port->source_subject, sizeof port->source_subject, "$JS.API.STREAM.INFO.%s", source);
    snprintf(channel->state_subject, sizeof channel->state_subject, "$JS.API.STREAM.INFO.%s",
             target);
}

/* From before it receives anything. */
int yk_nats_port_start(struct yk_channel *channel)
{
    struct yk_nats_port *port = (struct yk_nats_port *)channel;
    int result = 0;

    if (channel->facts.replicas > 1)
        result = yk_ear_open_at(&port->elections, port->elected_subject);
    return result == 0 ? yk_nats_port_ask_before(port) : result;
}

void yk_nats_port_deafen(struct yk_channel *channel)
{
    struct yk_nats_port *port = (struct yk_nats_port *)channel;

    yk_ear_close(&port->next);
    yk_ear_close(&port->watcher);
    yk_ear_close(&port->elections);
}

/* All that it has goes back. */
void yk_nats_port_end(struct yk_channel *channel)
{
    for (struct yk_delivery *delivery; (delivery = channel->held) != NULL;) {
        channel->held = delivery->next;
        yk_nats_port_give_back(channel, delivery);
    }
    for (struct yk_delivery *delivery; (delivery = channel->queue) != NULL;) {
        channel->queue = delivery->next;
        yk_nats_port_give_back(channel, delivery);
    }
}

void yk_nats_port_forget(struct yk_channel *channel)
{
    struct yk_nats_port *port = (struct yk_nats_port *)channel;

    for (struct yk_parking *parking; (parking = port->parkings) != NULL;) {
        port->parkings = parking->next;
        free(parking);
    }
    port->watch_over = port->beaten = port->granted_until = 0;
    port->granted = port->elected_after = port->newest = port->newest_watched = 0;
    port->elected_asked = port->elected_told = 0;
    port->token_watched = 0;
    port->swept = false;
    port->seen_done = 0;
}

/* ---- its streams ----------------------------------------------------------------------------- */

/* In a cluster the servers' own bound is far off: see port_send.c. */
static int64_t most_of(const struct yk_nats_facts *facts, uint32_t depth)
{
    return facts->replicas > 1 ? (int64_t)depth * 4 + CLUSTER_RESERVE : depth;
}

int yk_nats_port_add_stream(struct yk_hub *hub, const char *what, const char *name,
                            const struct yk_nats_facts *facts, uint32_t depth, int64_t pending)
{
    char stream[YK_NATS_SUBJECT_MOST];
    jsConsumerConfig consumer;
    jsErrCode code = 0;
    int result = yk_channel_add_stream(hub, what, name, facts, most_of(facts, depth));

    if (result < 0)
        return result;
    yk_nats_stream(stream, hub, what, name, facts->generation);
    jsConsumerConfig_Init(&consumer);
    consumer.Durable = YK_NATS_CONSUMER;
    consumer.AckPolicy = js_AckExplicit;
    consumer.AckWait = facts->ack_wait_ns;
    consumer.MaxDeliver = -1;
    consumer.MaxAckPending = pending;
    consumer.MaxWaiting = WAITING_MOST;
    natsStatus status;
    int64_t until = 0;

    do {
        code = 0;
        status = js_AddConsumer(NULL, hub->js, stream, &consumer, NULL, &code);
    } while (yk_hub_again(hub, status, code, &until));
    return status == NATS_OK ? 0 : yk_hub_fail(status, code, "making the consumer of a port");
}

bool yk_nats_port_has_stream(struct yk_hub *hub, const char *what, const char *name,
                             uint64_t generation)
{
    char stream[YK_NATS_SUBJECT_MOST];
    jsConsumerInfo *info = NULL;

    yk_nats_stream(stream, hub, what, name, generation);
    natsStatus status = js_GetConsumerInfo(&info, hub->js, stream, YK_NATS_CONSUMER, NULL, NULL);
    jsConsumerInfo_Destroy(info);
    return status == NATS_OK;
}

/* Are both streams there? The second is made last. */
static bool is_whole(struct yk_hub *hub, const char *name, uint64_t generation)
{
    return yk_nats_port_has_stream(hub, "parked", name, generation);
}

static int make_whole(struct yk_hub *hub, const char *name, const struct yk_nats_facts *facts)
{
    int result =
        yk_nats_port_add_stream(hub, "port", name, facts, facts->depth, YK_NATS_PENDING_MOST);

    return result == 0 ? yk_nats_port_add_stream(hub, "parked", name, facts, facts->max_parked,
                                                 YK_NATS_PENDING_MOST)
                       : result;
}

static int remove_streams(struct yk_hub *hub, const char *name, uint64_t generation)
{
    int result = yk_channel_remove_stream(hub, "port", name, generation);

    return result == 0 ? yk_channel_remove_stream(hub, "parked", name, generation) : result;
}

/* ---- opening --------------------------------------------------------------------------------- */

static const struct yk_channel_kind kind = {
    .name = "port",
    .max_deliveries = DELIVERIES_DEFAULT,
    .names_senders = true,
    .is_whole = is_whole,
    .make_whole = make_whole,
    .remove_streams = remove_streams,
    .begin = yk_nats_port_begin,
    .start = yk_nats_port_start,
    .deafen = yk_nats_port_deafen,
    .end = yk_nats_port_end,
    .forget = yk_nats_port_forget,
    .arrived = yk_nats_port_take_parked,
    .delivered = yk_nats_port_delivered,
    .told = yk_nats_port_told,
    .tick = yk_nats_port_tick,
    .interrupted = yk_nats_port_interrupted,
    .send = yk_nats_port_send,
    .await = yk_nats_port_await,
    .emptied = yk_nats_port_emptied,
    .give_back = yk_nats_port_give_back,
    .watch = yk_nats_port_watch,
};

static const struct yk_endpoint_operations operations = {
    .what = "a port on NATS",
    YK_CHANNEL_OPERATIONS,
};

static int check(uint32_t flags, const struct yoke_options *options)
{
    int result = yk_channel_check(&kind, flags, options);

    if (result < 0)
        return result;
    if (options->priorities > 1)
        return yk_fail(
            ENOTSUP,
            "%u priorities: a port on NATS has one order, in which JetStream stores its messages; use "
            "a port for each priority",
            options->priorities);
    if (options->as && (options->as[0] == '\0' || strlen(options->as) > YOKE_PEER_NAME_MAX))
        return yk_fail(EINVAL, "yoke_options.as is to have 1 to %d characters", YOKE_PEER_NAME_MAX);
    return 0;
}

int yk_nats_port_remove(const struct yk_address *address)
{
    return yk_channel_remove(&kind, address->where, address->name);
}

int yk_nats_port_open(yoke_endpoint *endpoint, const struct yk_address *address, uint32_t flags,
                      const struct yoke_options *options)
{
    int result = check(flags, options);
    if (result < 0)
        return result;
    struct yk_nats_port *port = calloc(1, sizeof *port);
    if (!port)
        return yk_fail(ENOMEM, "no memory for an endpoint");
    struct yk_channel *channel = &port->channel;
    channel->kind = &kind;
    channel->parked = (flags & YOKE_PARKED) != 0;
    strcpy(channel->name, address->name);
    strcpy(channel->place, address->where);
    snprintf(channel->label, sizeof channel->label, "port:%s", channel->name);
    return yk_channel_open(endpoint, channel, &operations, flags, options);
}
