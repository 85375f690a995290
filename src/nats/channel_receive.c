/*
 * channel_receive.c - what receiving from ports and links on JetStream has in common: what comes is put into
 * the endpoint's queue, where any call finds it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "channel.h"

/* ---- what arrives (in the client's thread) --------------------------------------------------- */

/* The fields that end a delivery's reply subject: deliveries, sequence, the consumer's, time, pending. */
static bool parse_reply(const char *reply, struct yk_delivered *ret)
{
    const char *field[16];
    int count = 0;

    for (const char *at = reply; at && count < 16; at = strchr(at, '.')) {
        at += at != reply;
        field[count++] = at;
    }
    /* $JS.ACK.STREAM.CONSUMER.…, or $JS.ACK.DOMAIN.ACCOUNT.STREAM.CONSUMER.… and one more at the end */
    int first = count == 9 ? 4 : count >= 11 ? 6 : 0;
    if (first == 0 || strlen(reply) >= YK_NATS_SUBJECT_MOST)
        return false;
    *ret = (struct yk_delivered){.deliveries = strtoull(field[first], NULL, 10),
                                 .sequence = strtoull(field[first + 1], NULL, 10),
                                 .number = strtoull(field[first + 2], NULL, 10)};
    return ret->deliveries > 0;
}

static uint64_t header_number(natsMsg *message, const char *key)
{
    const char *value = NULL;

    return natsMsgHeader_Get(message, key, &value) == NATS_OK && value ? strtoull(value, NULL, 10)
                                                                       : 0;
}

struct yk_delivery *yk_delivery_new(natsMsg *message, const struct yk_delivered *delivered)
{
    uint64_t deliveries = delivered->deliveries;
    size_t size = (size_t)natsMsg_GetDataLength(message);
    struct yk_delivery *delivery = aligned_alloc(16, (sizeof *delivery + size + 15) / 16 * 16);

    if (!delivery)
        return NULL;
    *delivery = (struct yk_delivery){.sequence = delivered->sequence,
                                     .tag = header_number(message, "Yoke-Tag"),
                                     .sender = (int32_t)header_number(message, "Yoke-Sender"),
                                     .size = size,
                                     .arrived = yk_nats_now()};
    delivery->marked = delivered->again || header_number(message, "Yoke-Again") != 0;
    deliveries += delivery->marked;
    uint64_t parked = header_number(message, "Yoke-Deliveries");
    if (parked) { /* it keeps its number, and how often it was delivered before */
        delivery->sequence = header_number(message, "Yoke-Sequence");
        deliveries += parked - 1;
    }
    delivery->deliveries = deliveries > UINT32_MAX ? UINT32_MAX : (uint32_t)deliveries;
    strcpy(delivery->reply, natsMsg_GetReply(message));
    memcpy(delivery->bytes, natsMsg_GetData(message), size);
    return delivery;
}

void yk_channel_acknowledge(struct yk_channel *channel, struct yk_delivery *delivery)
{
    yk_hub_acknowledge(channel->line.hub, delivery->reply, "+ACK");
    strcpy(channel->acknowledged, delivery->reply);
    free(delivery);
}

void yk_channel_ring(struct yk_channel *channel)
{
    yk_nats_ring(channel->bell);
    yk_nats_ring(channel->also);
}

void yk_channel_silence(struct yk_channel *channel)
{
    uint64_t count;

    if (!channel->cancelled && read(channel->bell, &count, sizeof count) < 0)
        return; /* it was not rung */
}

void yk_channel_enqueue(struct yk_channel *channel, struct yk_delivery *delivery)
{
    delivery->next = NULL;
    if (channel->queue) { /* then it is rung */
        channel->queue_end->next = delivery;
        channel->queue_end = delivery;
        return;
    }
    channel->queue = channel->queue_end = delivery;
    yk_channel_ring(channel);
}

void yk_channel_hear(struct yk_ear *ear, uint64_t token, natsMsg *message)
{
    struct yk_channel *channel = (struct yk_channel *)ear->line;
    const char *reply = natsMsg_GetReply(message);
    struct yk_delivered delivered;

    pthread_mutex_lock(&channel->mutex);
    if (token == 0 && reply && parse_reply(reply, &delivered))
        channel->kind->delivered(channel, ear->kind, message, &delivered);
    else
        channel->kind->told(channel, ear->kind, token, message);
    pthread_mutex_unlock(&channel->mutex);
    natsMsg_Destroy(message);
}

struct yk_delivery *yk_channel_dequeue(struct yk_channel *channel)
{
    struct yk_delivery *delivery = channel->queue;

    channel->queue = delivery->next;
    if (!channel->queue) {
        yk_channel_silence(channel);
        channel->kind->emptied(channel);
    }
    return delivery;
}

/* ---- the calls ------------------------------------------------------------------------------- */

static void describe(struct yoke_message *message, const struct yk_delivery *delivery)
{
    message->size = delivery->size;
    message->sequence = delivery->sequence;
    message->tag = delivery->tag;
    message->priority = 0;
    message->deliveries = delivery->deliveries;
    message->sender = delivery->sender;
    message->flags = delivery->deliveries > 1 ? YOKE_MESSAGE_AGAIN : 0;
}

static ssize_t count_empty(struct yk_channel *channel, ssize_t result)
{
    channel->empty += result == -EAGAIN || result == -ETIMEDOUT;
    if (result == -EAGAIN && !channel->queue)
        yk_channel_silence(channel);
    return result;
}

/* -EMSGSIZE, and it is where it was. */
static int too_big(const struct yk_delivery *delivery, size_t capacity)
{
    return yk_fail(EMSGSIZE, "the message has %zu bytes, the buffer %zu: nothing was received",
                   delivery->size, capacity);
}

static ssize_t copy_out(struct yk_channel *channel, struct yoke_message *messages, size_t count)
{
    size_t done = 0;
    bool several = count > 1 && channel->queue->next;

    if (several)
        yk_hub_gather(channel->line.hub);
    while (done < count && channel->queue) {
        struct yk_delivery *delivery = channel->queue;
        if (delivery->size > messages[done].capacity)
            break;
        yk_channel_dequeue(channel);
        if (delivery->size > 0)
            memcpy(messages[done].data, delivery->bytes, delivery->size);
        describe(&messages[done++], delivery);
        yk_channel_acknowledge(channel, delivery);
        channel->received++;
    }
    if (several)
        yk_hub_scatter(channel->line.hub);
    return done > 0 ? (ssize_t)done : too_big(channel->queue, messages[0].capacity);
}

ssize_t yk_channel_recv_many(void *self, struct yoke_message *messages, size_t count,
                             int64_t timeout_ns)
{
    YK_KEEP_ERRNO;
    struct yk_channel *channel = self;

    size_t good = 0;

    while (good < count && (messages[good].data || messages[good].capacity == 0))
        good++;
    if (count == 0)
        return 0;
    if (good == 0)
        return yk_fail(EINVAL, "a buffer of %zu bytes is at NULL", messages[0].capacity);
    count = good;
    ssize_t result = yk_channel_enter(channel);
    if (result < 0)
        return result;
    result = channel->kind->await(channel, count, timeout_ns);
    result = result == 0 ? copy_out(channel, messages, count) : count_empty(channel, result);
    yk_channel_leave(channel);
    return result;
}

static void hold(struct yk_channel *channel, struct yk_delivery *delivery)
{
    delivery->next = channel->held;
    channel->held = delivery;
    channel->held_count++;
}

ssize_t yk_channel_borrow_many(void *self, struct yoke_message *messages, size_t count,
                               int64_t timeout_ns)
{
    YK_KEEP_ERRNO;
    struct yk_channel *channel = self;

    if (count == 0)
        return 0;
    ssize_t result = yk_channel_enter(channel);
    if (result < 0)
        return result;
    size_t room = channel->facts.max_borrowed > channel->held_count
                      ? channel->facts.max_borrowed - channel->held_count
                      : 0;
    if (room == 0)
        result = yk_fail(EBUSY, "%s: this endpoint has borrowed %zu messages, max_borrowed is %u",
                         channel->label, channel->held_count, channel->facts.max_borrowed);
    else
        result = channel->kind->await(channel, count < room ? count : room, timeout_ns);
    if (result == 0) {
        for (; (size_t)result < count && (size_t)result < room && channel->queue; result++) {
            struct yk_delivery *delivery = yk_channel_dequeue(channel);
            describe(&messages[result], delivery);
            messages[result].data = delivery->bytes;
            hold(channel, delivery);
        }
    } else {
        count_empty(channel, result);
    }
    yk_channel_leave(channel);
    return result;
}

static struct yk_delivery *take_held(struct yk_channel *channel, const void *message)
{
    for (struct yk_delivery **at = &channel->held; *at; at = &(*at)->next) {
        struct yk_delivery *delivery = *at;
        if (delivery->bytes != message)
            continue;
        *at = delivery->next;
        channel->held_count--;
        return delivery;
    }
    return NULL;
}

static bool drop_loan(struct yk_channel *channel, const void *block)
{
    for (struct yk_loan **at = &channel->loans; *at; at = &(*at)->next) {
        struct yk_loan *loan = *at;
        if (loan->bytes != block)
            continue;
        *at = loan->next;
        free(loan);
        return true;
    }
    return false;
}

int yk_channel_release(void *self, const void *message)
{
    YK_KEEP_ERRNO;
    struct yk_channel *channel = self;
    int result = yk_channel_visit(channel);

    if (result < 0)
        return result;
    struct yk_delivery *delivery = take_held(channel, message);
    if (delivery) {
        yk_channel_acknowledge(channel, delivery);
        channel->received++;
    } else if (!drop_loan(channel, message)) {
        result = yk_fail(EINVAL, "%s: this is neither borrowed nor loaned by this endpoint",
                         channel->label);
    }
    pthread_mutex_unlock(&channel->mutex);
    return result;
}

int yk_channel_give_back(void *self, const void *message)
{
    YK_KEEP_ERRNO;
    struct yk_channel *channel = self;
    int result = yk_channel_visit(channel);

    if (result < 0)
        return result;
    struct yk_delivery *delivery = take_held(channel, message);
    if (delivery)
        channel->kind->give_back(channel, delivery);
    else
        result = yk_fail(EINVAL, "%s: this is not borrowed by this endpoint", channel->label);
    pthread_mutex_unlock(&channel->mutex);
    return result;
}

int yk_channel_fd(void *self)
{
    YK_KEEP_ERRNO;
    struct yk_channel *channel = self;
    int result = yk_channel_visit(channel);

    if (result < 0)
        return result;
    result = channel->kind->watch(channel);
    pthread_mutex_unlock(&channel->mutex);
    return result < 0 ? result : channel->bell;
}
