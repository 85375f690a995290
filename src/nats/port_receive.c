/*
 * port_receive.c - receiving from a port on JetStream. Each call asks the servers for the next message (a
 * pull request) and sleeps; what comes is put into the endpoint's queue, where any call finds it.
 *
 * A request may outlive its call, by REQUEST_NS: what comes for nobody is kept for the next call for
 * a second and then given back, with one delivery more to its count.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "port.h"

#define REQUEST_NS (3 * YK_SECOND_NS) /* of one request: a new leader knows nothing of older ones */
#define GRACE_NS   (250 * YK_MILLISECOND_NS) /* for the answer that the time is over */
#define ANSWER_NS  (2 * YK_SECOND_NS)        /* for an answer at once */
#define AGAIN_NS   (50 * YK_MILLISECOND_NS)  /* while no server has the port */
#define UNHEARD_NS (250 * YK_MILLISECOND_NS) /* then it is asked once more: a request can be lost */
#define BEHIND_NS  (50 * YK_MILLISECOND_NS)  /* for a consumer that is */
#define REST_NS    (20 * YK_MILLISECOND_NS)  /* for the rest of several */
#define KEEP_NS    YK_SECOND_NS              /* for the next call */
#define GONE_NS    YK_SECOND_NS /* without any server that has it: is it there at all? */
#define BATCH_MOST 256
#define BEATS      3 /* in the time that a receiver may be silent */
#define TELLS      3 /* in a lease */

#define SERVER_ID_MOST 64

/* ---- what arrives (in the client's thread) --------------------------------------------------- */

void yk_nats_port_give_back(struct yk_channel *channel, struct yk_delivery *delivery)
{
    yk_hub_acknowledge(channel->line.hub, delivery->reply, "-NAK");
    free(delivery);
}

/* Delivered too often: to the parked ones, and only when it is there, away from here. */
static void park(struct yk_channel *channel, natsMsg *message, uint64_t deliveries,
                 uint64_t sequence)
{
    struct yk_nats_port *port = (struct yk_nats_port *)channel;
    char answer[YK_NATS_REPLY_MOST], text[32];
    struct yk_parking *parking = calloc(1, sizeof *parking);
    natsMsg *copy = NULL;
    const char *tag = NULL, *sender = NULL;

    if (!parking)
        return; /* it comes again, to somebody */
    parking->token = ++channel->token;
    strcpy(parking->reply, natsMsg_GetReply(message));
    yk_hub_reply(&channel->line, YK_ASKED_PARK, parking->token, answer);
    if (natsMsg_Create(&copy, port->parked_subject, answer, natsMsg_GetData(message),
                       natsMsg_GetDataLength(message)) != NATS_OK) {
        free(parking);
        return;
    }
    snprintf(text, sizeof text, "parked-%llu", (unsigned long long)sequence);
    natsMsgHeader_Set(copy, "Nats-Msg-Id", text);
    snprintf(text, sizeof text, "%llu", (unsigned long long)deliveries - 1);
    natsMsgHeader_Set(copy, "Yoke-Deliveries", text);
    snprintf(text, sizeof text, "%llu", (unsigned long long)sequence);
    natsMsgHeader_Set(copy, "Yoke-Sequence", text);
    if (natsMsgHeader_Get(message, "Yoke-Tag", &tag) == NATS_OK)
        natsMsgHeader_Set(copy, "Yoke-Tag", tag);
    if (natsMsgHeader_Get(message, "Yoke-Sender", &sender) == NATS_OK)
        natsMsgHeader_Set(copy, "Yoke-Sender", sender);
    if (natsConnection_PublishMsg(channel->line.hub->connection, copy) == NATS_OK) {
        parking->next = port->parkings;
        port->parkings = parking;
    } else {
        free(parking);
    }
    natsMsg_Destroy(copy);
}

static void ask_elected(struct yk_nats_port *port)
{
    char reply[YK_NATS_REPLY_MOST];

    yk_hub_reply(&port->channel.line, YK_ASKED_ELECTED, 0, reply);
    yk_hub_ask(&port->channel.line, port->source_subject, reply, "", 0);
    port->elected_asked = yk_nats_now();
}

/* Until it is known how much there was, all counts. */
void yk_nats_port_elected(struct yk_ear *ear, uint64_t token, natsMsg *message)
{
    struct yk_nats_port *port = (struct yk_nats_port *)ear->line;

    (void)token;
    natsMsg_Destroy(message);
    pthread_mutex_lock(&port->channel.mutex);
    port->elected_after = UINT64_MAX;
    port->swept = false;
    ask_elected(port);
    pthread_mutex_unlock(&port->channel.mutex);
}

void yk_nats_port_interrupted(struct yk_channel *channel, bool over)
{
    struct yk_nats_port *port = (struct yk_nats_port *)channel;

    port->elected_after = UINT64_MAX;
    port->swept = false;
    if (over)
        ask_elected(port);
}

/*
 * What is known of it is told to those who come later, and with it, of a single server, which one that was: it has
 * another id each time that it is started.
 */
static void tell_elected(struct yk_nats_port *port)
{
    struct yk_channel *channel = &port->channel;
    char word[YK_HERE_WORD_MOST], server[SERVER_ID_MOST] = "-";

    if (channel->facts.replicas < 2)
        natsConnection_GetConnectedServerId(channel->line.hub->connection, server, sizeof server);
    snprintf(word, sizeof word, "%llu %s", (unsigned long long)port->elected_after, server);
    yk_here_write_word(&channel->line, "elected", channel->name, channel->facts.generation, word);
    port->elected_told = yk_nats_now();
}

int yk_nats_port_ask_before(struct yk_nats_port *port)
{
    struct yk_channel *channel = &port->channel;
    char word[YK_HERE_WORD_MOST], server[SERVER_ID_MOST] = "";
    int result = yk_here_read_word(&channel->line, "elected", channel->name,
                                   channel->facts.generation, word);

    if (result < 0)
        return result;
    const char *before = strchr(word, ' ');
    pthread_mutex_lock(&channel->mutex);
    port->elected_after = strtoull(word, NULL, 10);
    if (before && channel->facts.replicas < 2 &&
        natsConnection_GetConnectedServerId(channel->line.hub->connection, server, sizeof server) ==
            NATS_OK &&
        strcmp(before + 1, server) != 0) {
        port->elected_after = UINT64_MAX;
        ask_elected(port);
    }
    pthread_mutex_unlock(&channel->mutex);
    return 0;
}

static void take_elected(struct yk_nats_port *port, natsMsg *message)
{
    struct yk_state state;

    if (yk_state_of(message, &state) != YK_ACCEPTED)
        return; /* it is asked again */
    port->elected_after = state.last;
    tell_elected(port);
}

/* A single server's id is of use for a lease after it was told. */
static bool is_to_be_told(const struct yk_nats_port *port, int64_t now)
{
    const struct yk_channel *channel = &port->channel;

    return channel->facts.replicas < 2 && (port->next.subscription || channel->watched) &&
           port->elected_after != UINT64_MAX &&
           now - port->elected_told > channel->line.hub->lease_ns / TELLS;
}

void yk_nats_port_take_parked(struct yk_channel *channel, char kind, uint64_t token,
                              natsMsg *message)
{
    struct yk_nats_port *port = (struct yk_nats_port *)channel;
    int code;

    if (kind == YK_ASKED_ELECTED)
        take_elected(port, message);
    if (kind != YK_ASKED_PARK)
        return;
    for (struct yk_parking **at = &port->parkings; *at; at = &(*at)->next) {
        struct yk_parking *parking = *at;
        if (parking->token != token)
            continue;
        enum yk_outcome outcome = yk_outcome_of(message, &code);
        if (outcome == YK_ACCEPTED || outcome == YK_FULL) /* full: dropped, as it is said */
            yk_hub_acknowledge(channel->line.hub, parking->reply, "+ACK");
        *at = parking->next;
        free(parking);
        return;
    }
}

static void watch(struct yk_channel *channel);

/* No message but an answer: there is none, the time is over, nobody has the port. */
void yk_nats_port_told(struct yk_channel *channel, char kind, uint64_t token, natsMsg *message)
{
    struct yk_nats_port *port = (struct yk_nats_port *)channel;
    struct yk_question *question = kind == YK_ASKED_NEXT ? yk_question_find(channel, token) : NULL;
    const char *status = NULL;

    if (natsMsgHeader_Get(message, "Status", &status) != NATS_OK || !status)
        return;
    if (status[0] == '1') /* a sign of life */
        return;
    bool nobody = strcmp(status, "503") == 0 || strcmp(status, "409") == 0;
    if (question)
        yk_question_answer(question, nobody ? YK_NOBODY : YK_ACCEPTED);
    if (kind == YK_ASKED_WATCH && token == port->token_watched) {
        port->watch_over = 0;
        if (!nobody) /* else a while later */
            watch(channel);
    }
}

/* The oldest request that is not satisfied: deliveries come in the order of requests, one server's at least. */
static void count_delivery(struct yk_channel *channel)
{
    struct yk_question *oldest = NULL;

    for (struct yk_question *question = channel->questions; question; question = question->next)
        if (question->number > 0)
            oldest = question;
    if (oldest && --oldest->number == 0)
        yk_question_answer(oldest, YK_ACCEPTED);
}

/* May it have been delivered before, though they do not say so? */
static bool is_perhaps_again(struct yk_nats_port *port, char kind,
                             const struct yk_delivered *delivered)
{
    uint64_t *newest = kind == YK_ASKED_WATCH ? &port->newest_watched : &port->newest;
    if (delivered->deliveries != 1)
        return false;
    bool is_new = delivered->sequence > *newest;
    if (is_new)
        *newest = delivered->sequence;
    return !is_new || delivered->sequence <= port->elected_after;
}

void yk_nats_port_delivered(struct yk_channel *channel, char kind, natsMsg *message,
                            const struct yk_delivered *delivered)
{
    struct yk_nats_port *port = (struct yk_nats_port *)channel;

    if (kind == YK_ASKED_WATCH)
        port->watch_over = 0;
    else
        count_delivery(channel);
    if (!channel->parked && delivered->deliveries > channel->facts.max_deliveries &&
        channel->facts.max_deliveries != UINT32_MAX) {
        park(channel, message, delivered->deliveries, delivered->sequence);
        return;
    }
    struct yk_delivered known = *delivered;
    known.again = is_perhaps_again(port, kind, delivered);
    struct yk_delivery *delivery = channel->closing ? NULL : yk_delivery_new(message, &known);
    if (delivery)
        yk_channel_enqueue(channel, delivery);
    else /* for one that is closed: to others at once */
        yk_hub_acknowledge(channel->line.hub, natsMsg_GetReply(message), "-NAK");
}

/* ---- asking ---------------------------------------------------------------------------------- */

/* One request, for `batch` messages: for what is there now, or within that time. */
static void request(struct yk_ear *ear, uint64_t token, size_t batch, bool now, int64_t time)
{
    struct yk_nats_port *port = (struct yk_nats_port *)ear->line;
    char reply[YK_NATS_REPLY_MOST], text[96];

    yk_ear_reply(ear, token, reply);
    if (time > 0)
        snprintf(text, sizeof text, "{\"batch\":%zu,%s\"expires\":%lld}", batch,
                 now ? "\"no_wait\":true," : "", (long long)time);
    else
        snprintf(text, sizeof text, "{\"batch\":%zu,\"no_wait\":true}", batch);
    yk_hub_ask(&port->channel.line, port->next_subject, reply, text, strlen(text));
}

/* Where somebody has the descriptor, one message is asked for whenever none is here. */
static void watch(struct yk_channel *channel)
{
    struct yk_nats_port *port = (struct yk_nats_port *)channel;
    int64_t now = yk_nats_now();

    if (!channel->watched || channel->cancelled || channel->queue || port->watch_over > now)
        return;
    if (port->watch_over != 0) /* not even an answer came: who receives finds out why */
        yk_channel_ring(channel);
    port->token_watched = ++channel->token;
    port->watch_over = now + REQUEST_NS + GRACE_NS;
    request(&port->watcher, port->token_watched, 1, false, REQUEST_NS);
}

void yk_nats_port_emptied(struct yk_channel *channel)
{
    watch(channel);
}

int yk_nats_port_watch(struct yk_channel *channel)
{
    struct yk_nats_port *port = (struct yk_nats_port *)channel;
    int result = port->watcher.subscription ? 0 : yk_ear_open(&port->watcher);

    channel->watched = channel->watched || result == 0;
    watch(channel);
    return result;
}

/* Those that nobody has taken for a while, and those that are being worked on. */
void yk_nats_port_tick(struct yk_channel *channel, int64_t now)
{
    struct yk_nats_port *port = (struct yk_nats_port *)channel;

    while (!channel->watched && channel->queue && channel->inside == 0 &&
           now - channel->queue->arrived > KEEP_NS) {
        struct yk_delivery *delivery = channel->queue;
        channel->queue = delivery->next;
        yk_nats_port_give_back(channel, delivery);
        if (!channel->queue)
            yk_channel_silence(channel);
    }
    if (now - port->beaten >= channel->facts.ack_wait_ns / BEATS) {
        port->beaten = now;
        for (struct yk_delivery *delivery = channel->held; delivery; delivery = delivery->next)
            yk_hub_acknowledge(channel->line.hub, delivery->reply, "+WPI");
        for (struct yk_delivery *delivery = channel->queue; delivery; delivery = delivery->next)
            yk_hub_acknowledge(channel->line.hub, delivery->reply, "+WPI");
    }
    if (port->elected_after == UINT64_MAX && now - port->elected_asked > YK_TRY_NS)
        ask_elected(port);
    if (is_to_be_told(port, now))
        tell_elected(port);
    watch(channel);
}

/*
 * Asks once and sleeps until there is a delivery in the queue (0; where it was asked for what is there now, all
 * of that), or the servers said that there is none (-EAGAIN), or that they have no such port now (-ENXIO); or
 * as yk_channel_sleep().
 */
static int ask_once(struct yk_channel *channel, size_t batch, bool now, int64_t time, int64_t until)
{
    struct yk_nats_port *port = (struct yk_nats_port *)channel;
    enum yk_outcome outcome;
    struct yk_question question;
    int result = port->next.subscription ? 0 : yk_ear_open(&port->next);

    if (result == 0)
        result = yk_question_begin(channel, &question, 1, &outcome);
    if (result < 0)
        return result;
    question.number = batch;
    request(&port->next, question.first, batch, now, time);
    while (result == 0 && question.unanswered && (now || !channel->queue)) {
        int64_t rest = yk_nats_now() + REST_NS;
        bool some = channel->queue != NULL;
        result = yk_channel_sleep(channel, some ? -1 : channel->bell, question.bell,
                                  some && rest < until ? rest : until);
    }
    yk_question_end(channel, &question);
    if (channel->queue)
        return 0;
    if (result == 0)
        result = outcome == YK_NOBODY ? -ENXIO : -EAGAIN;
    return result;
}

/* Nobody has the port now: a while later, unless it is gone. */
static int after_nobody(struct yk_channel *channel, int64_t since, int64_t until)
{
    int64_t now = yk_nats_now();
    int result = 0;

    if (now - since > GONE_NS)
        result = yk_channel_check_there(channel);
    if (result == 0) {
        result = yk_channel_sleep(channel, channel->bell, -1,
                                  now + AGAIN_NS < until ? now + AGAIN_NS : until);
        result = result == -ETIMEDOUT ? 0 : result;
    }
    return result;
}

static void purge(const struct yk_nats_port *port, uint64_t before)
{
    char text[64], reply[YK_NATS_REPLY_MOST];

    snprintf(text, sizeof text, "{\"seq\":%llu}", (unsigned long long)before);
    yk_hub_reply(&port->channel.line, YK_ASKED_PURGE, 0, reply);
    yk_hub_ask(&port->channel.line, port->purge_subject, reply, text, strlen(text));
}

/*
 * A server that was started again may have messages that are acknowledged, by its own word, and so are delivered to
 * nobody and take room for ever (nats-server 2.9.10). All before the first that is not acknowledged go. In a cluster,
 * where one server may lead the consumer and another one the stream, only if all that there is was acknowledged, and
 * nothing has changed since the look before.
 */
static void sweep(struct yk_nats_port *port, const struct yk_state *there,
                  const struct yk_state *delivered)
{
    bool done = delivered->first > delivered->last, seen = port->seen_done == delivered->first;
    bool single = port->channel.facts.replicas < 2;

    port->swept = done && there->first >= delivered->first;
    port->seen_done = done && delivered->last == there->last ? delivered->first : 0;
    if (there->first < delivered->first && (single || (seen && port->seen_done)))
        purge(port, delivered->first);
}

/*
 * The consumer said that there is nothing. It is a little behind its stream, and in a cluster, where another
 * server may lead it, by much: what the stream has, and how far it was delivered, tells.
 */
static bool is_behind(struct yk_channel *channel)
{
    struct yk_nats_port *port = (struct yk_nats_port *)channel;
    int64_t until = yk_nats_now() + YK_TRY_NS;
    struct yk_state there, delivered;

    if (yk_channel_ask_state(channel, port->source_subject, until, &there) < 0)
        return false;
    port->swept = there.messages == 0;
    if (there.messages == 0 ||
        yk_channel_ask_state(channel, port->consumer_subject, until, &delivered) < 0)
        return false;
    sweep(port, &there, &delivered);
    return delivered.last < there.last;
}

/* Without waiting: what is there now, by the servers' word. */
static int look_now(struct yk_channel *channel, size_t batch)
{
    int64_t begin = yk_nats_now(), until = begin + ANSWER_NS;

    if (!yk_hub_connected(channel->line.hub))
        return yk_channel_no_answer(channel);
    int result = ask_once(channel, batch, true, 0, begin + UNHEARD_NS);

    while ((result == -ENXIO || result == -EAGAIN || result == -ETIMEDOUT) &&
           yk_nats_now() < until) {
        if (result == -ENXIO) {
            result = after_nobody(channel, begin, until);
            if (result < 0)
                return result;
        } else if (result == -EAGAIN && !is_behind(channel)) {
            return channel->cancelled ? -ECANCELED : -EAGAIN;
        }
        result = channel->queue
                     ? 0
                     : ask_once(channel, batch, true, BEHIND_NS, yk_nats_now() + UNHEARD_NS);
    }
    if (result == -ENXIO)
        result = yk_channel_check_there(channel) < 0 ? -ENOENT : -ETIMEDOUT;
    return result == -ETIMEDOUT ? yk_channel_no_answer(channel) : result;
}

/*
 * Until one comes. Those that are there at that moment come with it, up to `batch`: so is no_wait with a time
 * understood. (Not if others asked for more than there is: that is answered at once, and then one is enough.)
 */
static int wait_for_some(struct yk_channel *channel, size_t batch, int64_t deadline)
{
    struct yk_nats_port *port = (struct yk_nats_port *)channel;
    int64_t nobody_since = 0;

    for (;;) {
        int64_t now = yk_nats_now(), left = deadline == INT64_MAX ? REQUEST_NS : deadline - now;
        if (left <= 0)
            return yk_hub_connected(channel->line.hub) ? -ETIMEDOUT : yk_channel_no_answer(channel);
        int64_t time = left < REQUEST_NS ? left : REQUEST_NS;
        int result = ask_once(channel, batch, batch > 1, time, now + time + GRACE_NS);
        batch = 1;
        if (result == -EAGAIN && !port->swept)
            is_behind(channel); /* it sweeps; what is there comes to the next request */
        if (result == -ENXIO) {
            nobody_since = nobody_since ? nobody_since : now;
            result = after_nobody(channel, nobody_since, deadline);
        } else {
            nobody_since = 0;
        }
        if (result == -ETIMEDOUT && time == REQUEST_NS) /* nothing at all came to a request */
            result = yk_channel_check_there(channel);
        if (channel->queue)
            return 0;
        if (result < 0 && result != -EAGAIN && result != -ETIMEDOUT)
            return result;
    }
}

/* Until there is a delivery in the queue. */
int yk_nats_port_await(struct yk_channel *channel, size_t wanted, int64_t timeout_ns)
{
    int64_t deadline = yk_nats_deadline(timeout_ns);

    if (channel->queue)
        return 0;
    if (wanted > BATCH_MOST)
        wanted = BATCH_MOST;
    return timeout_ns != 0 ? wait_for_some(channel, wanted, deadline) : look_now(channel, wanted);
}
