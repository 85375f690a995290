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
#define NOW_NS     (5 * YK_MILLISECOND_NS)   /* for a count that is behind */
#define UNHEARD_NS (250 * YK_MILLISECOND_NS) /* then it is asked once more: a request can be lost */
#define BEHIND_NS  (50 * YK_MILLISECOND_NS)  /* for a consumer that is */
#define REST_NS    (20 * YK_MILLISECOND_NS)  /* for the rest of several */
#define KEEP_NS    YK_SECOND_NS              /* for the next call */
#define GONE_NS    YK_SECOND_NS /* without any server that has it: is it there at all? */
#define BATCH_MOST 256
#define BEATS      3 /* in the time that a receiver may be silent */

/* ---- what arrives (in the client's thread) --------------------------------------------------- */

/* The fields that end a delivery's reply subject: deliveries, sequence, the consumer's, time, pending. */
static bool parse_reply(const char *reply, uint64_t *ret_deliveries, uint64_t *ret_sequence)
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
    *ret_deliveries = strtoull(field[first], NULL, 10);
    *ret_sequence = strtoull(field[first + 1], NULL, 10);
    return *ret_deliveries > 0;
}

static uint64_t header_number(natsMsg *message, const char *key)
{
    const char *value = NULL;

    return natsMsgHeader_Get(message, key, &value) == NATS_OK && value ? strtoull(value, NULL, 10)
                                                                       : 0;
}

static struct yk_delivery *delivery_new(natsMsg *message, uint64_t deliveries, uint64_t sequence)
{
    size_t size = (size_t)natsMsg_GetDataLength(message);
    struct yk_delivery *delivery = aligned_alloc(16, (sizeof *delivery + size + 15) / 16 * 16);

    if (!delivery)
        return NULL;
    *delivery = (struct yk_delivery){.sequence = sequence,
                                     .tag = header_number(message, "Yoke-Tag"),
                                     .sender = (int32_t)header_number(message, "Yoke-Sender"),
                                     .size = size,
                                     .arrived = yk_nats_now()};
    deliveries += header_number(message, "Yoke-Again") != 0;
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

static void ring(struct yk_nats_port *port)
{
    uint64_t one = 1;

    if (write(port->bell, &one, sizeof one) < 0)
        return; /* it is rung already */
}

static void silence(struct yk_nats_port *port)
{
    uint64_t count;

    if (!port->cancelled && read(port->bell, &count, sizeof count) < 0)
        return; /* it was not rung */
}

static void enqueue(struct yk_nats_port *port, struct yk_delivery *delivery)
{
    delivery->next = NULL;
    if (port->queue)
        port->queue_end->next = delivery;
    else
        port->queue = delivery;
    port->queue_end = delivery;
    ring(port);
}

static void give_back(struct yk_nats_port *port, struct yk_delivery *delivery)
{
    yk_hub_acknowledge(port->line.hub, delivery->reply, "-NAK");
    free(delivery);
}

/* Delivered too often: to the parked ones, and only when it is there, away from here. */
static void park(struct yk_nats_port *port, natsMsg *message, uint64_t deliveries,
                 uint64_t sequence)
{
    char answer[YK_NATS_REPLY_MOST], text[32];
    struct yk_parking *parking = calloc(1, sizeof *parking);
    natsMsg *copy = NULL;
    const char *tag = NULL, *sender = NULL;

    if (!parking)
        return; /* it comes again, to somebody */
    parking->token = ++port->token;
    strcpy(parking->reply, natsMsg_GetReply(message));
    yk_hub_reply(&port->line, YK_ASKED_PARK, parking->token, answer);
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
    if (natsConnection_PublishMsg(port->line.hub->connection, copy) == NATS_OK) {
        parking->next = port->parkings;
        port->parkings = parking;
    } else {
        free(parking);
    }
    natsMsg_Destroy(copy);
}

void yk_nats_port_take_parked(struct yk_nats_port *port, uint64_t token, natsMsg *message)
{
    int code;

    for (struct yk_parking **at = &port->parkings; *at; at = &(*at)->next) {
        struct yk_parking *parking = *at;
        if (parking->token != token)
            continue;
        enum yk_outcome outcome = yk_outcome_of(message, &code);
        if (outcome == YK_ACCEPTED || outcome == YK_FULL) /* full: dropped, as it is said */
            yk_hub_acknowledge(port->line.hub, parking->reply, "+ACK");
        *at = parking->next;
        free(parking);
        return;
    }
}

static struct yk_question *find_question(struct yk_nats_port *port, uint64_t token)
{
    struct yk_question *question = port->questions;

    while (question && (token < question->first || token - question->first >= question->count))
        question = question->next;
    return question;
}

static void answer_question(struct yk_question *question, enum yk_outcome outcome)
{
    uint64_t one = 1;

    question->outcomes[0] = outcome;
    question->unanswered = 0;
    if (write(question->bell, &one, sizeof one) < 0)
        return; /* it is rung already */
}

static void watch(struct yk_nats_port *port);

/* No message but an answer: there is none, the time is over, nobody has the port. */
static void take_status(struct yk_nats_port *port, char kind, uint64_t token, natsMsg *message)
{
    struct yk_question *question = kind == YK_ASKED_NEXT ? find_question(port, token) : NULL;
    const char *status = NULL;

    if (natsMsgHeader_Get(message, "Status", &status) != NATS_OK || !status)
        return;
    if (status[0] == '1') /* a sign of life */
        return;
    bool nobody = strcmp(status, "503") == 0 || strcmp(status, "409") == 0;
    if (question)
        answer_question(question, nobody ? YK_NOBODY : YK_ACCEPTED);
    if (kind == YK_ASKED_WATCH && token == port->token_watched) {
        port->watch_over = nobody ? yk_nats_now() + AGAIN_NS : 0;
        watch(port);
    }
}

/* The oldest request that is not satisfied: deliveries come in the order of requests, one server's at least. */
static void count_delivery(struct yk_nats_port *port)
{
    struct yk_question *oldest = NULL;

    for (struct yk_question *question = port->questions; question; question = question->next)
        if (question->number > 0)
            oldest = question;
    if (oldest && --oldest->number == 0)
        answer_question(oldest, YK_ACCEPTED);
}

static void take_delivery(struct yk_nats_port *port, char kind, natsMsg *message,
                          uint64_t deliveries, uint64_t sequence)
{
    if (kind == YK_ASKED_WATCH)
        port->watch_over = 0;
    else
        count_delivery(port);
    if (!port->parked && deliveries > port->facts.max_deliveries &&
        port->facts.max_deliveries != UINT32_MAX) {
        park(port, message, deliveries, sequence);
        return;
    }
    struct yk_delivery *delivery =
        port->closing ? NULL : delivery_new(message, deliveries, sequence);
    if (delivery)
        enqueue(port, delivery);
    else /* for one that is closed: to others at once */
        yk_hub_acknowledge(port->line.hub, natsMsg_GetReply(message), "-NAK");
}

void yk_nats_port_hear(struct yk_ear *ear, uint64_t token, natsMsg *message)
{
    struct yk_nats_port *port = (struct yk_nats_port *)ear->line;
    const char *reply = natsMsg_GetReply(message);
    uint64_t deliveries, sequence;

    pthread_mutex_lock(&port->mutex);
    if (token == 0 && reply && parse_reply(reply, &deliveries, &sequence))
        take_delivery(port, ear->kind, message, deliveries, sequence);
    else
        take_status(port, ear->kind, token, message);
    pthread_mutex_unlock(&port->mutex);
    natsMsg_Destroy(message);
}

/* ---- asking ---------------------------------------------------------------------------------- */

/*
 * One request, for `batch` messages. It has a time in any case: one for what is there "now" alone is answered
 * by a count that is a little behind what was sent.
 */
static void request(struct yk_ear *ear, uint64_t token, size_t batch, bool now, int64_t time)
{
    struct yk_nats_port *port = (struct yk_nats_port *)ear->line;
    char reply[YK_NATS_REPLY_MOST], text[96];

    yk_ear_reply(ear, token, reply);
    snprintf(text, sizeof text, "{\"batch\":%zu,%s\"expires\":%lld}", batch,
             now ? "\"no_wait\":true," : "", (long long)time);
    yk_hub_ask(&port->line, port->next_subject, reply, text, strlen(text));
}

/* Where somebody has the descriptor, one message is asked for whenever none is here. */
static void watch(struct yk_nats_port *port)
{
    int64_t now = yk_nats_now();

    if (!port->watched || port->cancelled || port->queue || port->watch_over > now)
        return;
    port->token_watched = ++port->token;
    port->watch_over = now + REQUEST_NS + GRACE_NS;
    request(&port->watcher, port->token_watched, 1, false, REQUEST_NS);
}

/* Those that nobody has taken for a while, and those that are being worked on. */
void yk_nats_port_receiving_tick(struct yk_nats_port *port, int64_t now)
{
    while (!port->watched && port->queue && port->inside == 0 &&
           now - port->queue->arrived > KEEP_NS) {
        struct yk_delivery *delivery = port->queue;
        port->queue = delivery->next;
        give_back(port, delivery);
        if (!port->queue)
            silence(port);
    }
    if (now - port->beaten >= port->facts.ack_wait_ns / BEATS) {
        port->beaten = now;
        for (struct yk_delivery *delivery = port->held; delivery; delivery = delivery->next)
            yk_hub_acknowledge(port->line.hub, delivery->reply, "+WPI");
        for (struct yk_delivery *delivery = port->queue; delivery; delivery = delivery->next)
            yk_hub_acknowledge(port->line.hub, delivery->reply, "+WPI");
    }
    watch(port);
}

static struct yk_delivery *dequeue(struct yk_nats_port *port)
{
    struct yk_delivery *delivery = port->queue;

    port->queue = delivery->next;
    if (!port->queue) {
        silence(port);
        watch(port);
    }
    return delivery;
}

/*
 * Asks once and sleeps until there is a delivery in the queue (0; where it was asked for what is there now, all
 * of that), or the servers said that there is none (-EAGAIN), or that they have no such port now (-ENXIO); or
 * as yk_nats_port_sleep().
 */
static int ask_once(struct yk_nats_port *port, size_t batch, bool now, int64_t time, int64_t until)
{
    enum yk_outcome outcome;
    struct yk_question question;
    int result = port->next.subscription ? 0 : yk_ear_open(&port->next);

    if (result == 0)
        result = yk_question_begin(port, &question, 1, &outcome);
    if (result < 0)
        return result;
    question.number = batch;
    request(&port->next, question.first, batch, now, time);
    while (result == 0 && question.unanswered && (now || !port->queue)) {
        int64_t rest = yk_nats_now() + REST_NS;
        bool some = port->queue != NULL;
        result = yk_nats_port_sleep(port, some ? -1 : port->bell, question.bell,
                                    some && rest < until ? rest : until);
    }
    yk_question_end(port, &question);
    if (port->queue)
        return 0;
    if (result == 0)
        result = outcome == YK_NOBODY ? -ENXIO : -EAGAIN;
    return result;
}

/* Nobody has the port now: a while later, unless it is gone. */
static int after_nobody(struct yk_nats_port *port, int64_t since, int64_t until)
{
    int64_t now = yk_nats_now();
    int result = 0;

    if (now - since > GONE_NS) {
        pthread_mutex_unlock(&port->mutex);
        result = yk_nats_port_check_there(port);
        pthread_mutex_lock(&port->mutex);
    }
    if (result == 0) {
        result = yk_nats_port_sleep(port, port->bell, -1,
                                    now + AGAIN_NS < until ? now + AGAIN_NS : until);
        result = result == -ETIMEDOUT ? 0 : result;
    }
    return result;
}

static int no_answer(void)
{
    return yk_fail(EHOSTUNREACH, "the servers of the place do not answer");
}

/*
 * The consumer said that there is nothing. In a cluster it may lead on another server than the stream, and be
 * behind: what its stream has, and how far it was delivered, tells.
 */
static bool is_behind(struct yk_nats_port *port)
{
    uint64_t messages, last, none, delivered;

    if (port->facts.replicas < 2 ||
        !yk_nats_port_ask_state(port, port->source_subject, &messages, &last) || messages == 0)
        return false;
    return yk_nats_port_ask_state(port, port->consumer_subject, &none, &delivered) &&
           delivered < last;
}

/* Without waiting: what is there now, by the servers' word. */
static int look_now(struct yk_nats_port *port, size_t batch)
{
    int64_t begin = yk_nats_now(), until = begin + ANSWER_NS;
    int result = ask_once(port, batch, true, NOW_NS, begin + UNHEARD_NS);

    while ((result == -ENXIO || result == -EAGAIN || result == -ETIMEDOUT) &&
           yk_nats_now() < until) {
        if (result == -ENXIO) {
            result = after_nobody(port, begin, until);
            if (result < 0)
                return result;
        } else if (result == -EAGAIN && !is_behind(port)) {
            return port->cancelled ? -ECANCELED : -EAGAIN;
        }
        result =
            port->queue ? 0 : ask_once(port, batch, true, BEHIND_NS, yk_nats_now() + UNHEARD_NS);
    }
    return result == -ENXIO || result == -ETIMEDOUT ? no_answer() : result;
}

/*
 * Until one comes. Those that are there at that moment come with it, up to `batch`: so is no_wait with a time
 * understood. (Not if others asked for more than there is: that is answered at once, and then one is enough.)
 */
static int wait_for_some(struct yk_nats_port *port, size_t batch, int64_t deadline)
{
    int64_t nobody_since = 0;

    for (;;) {
        int64_t now = yk_nats_now(), left = deadline == INT64_MAX ? REQUEST_NS : deadline - now;
        if (left <= 0)
            return -ETIMEDOUT;
        int64_t time = left < REQUEST_NS ? left : REQUEST_NS;
        int result = ask_once(port, batch, batch > 1, time, now + time + GRACE_NS);
        batch = 1;
        if (result == -ENXIO) {
            nobody_since = nobody_since ? nobody_since : now;
            result = after_nobody(port, nobody_since, deadline);
        } else {
            nobody_since = 0;
        }
        if (port->queue)
            return 0;
        if (result < 0 && result != -EAGAIN && result != -ETIMEDOUT)
            return result;
    }
}

/* Until there is a delivery in the queue. */
static int await(struct yk_nats_port *port, size_t wanted, int64_t timeout_ns)
{
    int64_t deadline = yk_nats_deadline(timeout_ns);

    if (port->queue)
        return 0;
    if (wanted > BATCH_MOST)
        wanted = BATCH_MOST;
    return timeout_ns != 0 ? wait_for_some(port, wanted, deadline) : look_now(port, wanted);
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

static ssize_t count_empty(struct yk_nats_port *port, ssize_t result)
{
    port->empty += result == -EAGAIN || result == -ETIMEDOUT;
    return result;
}

/* -EMSGSIZE, and it is where it was. */
static int too_big(const struct yk_delivery *delivery, size_t capacity)
{
    return yk_fail(EMSGSIZE, "the message has %zu bytes, the buffer %zu: nothing was received",
                   delivery->size, capacity);
}

static ssize_t copy_out(struct yk_nats_port *port, struct yoke_message *messages, size_t count)
{
    size_t done = 0;

    while (done < count && port->queue) {
        struct yk_delivery *delivery = port->queue;
        if (delivery->size > messages[done].capacity)
            break;
        dequeue(port);
        if (delivery->size > 0)
            memcpy(messages[done].data, delivery->bytes, delivery->size);
        describe(&messages[done++], delivery);
        yk_hub_acknowledge(port->line.hub, delivery->reply, "+ACK");
        port->received++;
        free(delivery);
    }
    return done > 0 ? (ssize_t)done : too_big(port->queue, messages[0].capacity);
}

ssize_t yk_nats_port_recv_many(void *self, struct yoke_message *messages, size_t count,
                               int64_t timeout_ns)
{
    struct yk_nats_port *port = self;

    size_t good = 0;

    while (good < count && (messages[good].data || messages[good].capacity == 0))
        good++;
    if (count == 0)
        return 0;
    if (good == 0)
        return yk_fail(EINVAL, "a buffer of %zu bytes is at NULL", messages[0].capacity);
    count = good;
    ssize_t result = yk_nats_port_enter(port);
    if (result < 0)
        return result;
    result = await(port, count, timeout_ns);
    result = result == 0 ? copy_out(port, messages, count) : count_empty(port, result);
    yk_nats_port_leave(port);
    return result;
}

static void hold(struct yk_nats_port *port, struct yk_delivery *delivery)
{
    delivery->next = port->held;
    port->held = delivery;
    port->held_count++;
}

ssize_t yk_nats_port_borrow_many(void *self, struct yoke_message *messages, size_t count,
                                 int64_t timeout_ns)
{
    struct yk_nats_port *port = self;

    if (count == 0)
        return 0;
    ssize_t result = yk_nats_port_enter(port);
    if (result < 0)
        return result;
    size_t room = port->facts.max_borrowed > port->held_count
                      ? port->facts.max_borrowed - port->held_count
                      : 0;
    if (room == 0)
        result =
            yk_fail(EBUSY, "port:%s: this endpoint has borrowed %zu messages, max_borrowed is %u",
                    port->name, port->held_count, port->facts.max_borrowed);
    else
        result = await(port, count < room ? count : room, timeout_ns);
    if (result == 0) {
        for (; (size_t)result < count && (size_t)result < room && port->queue; result++) {
            struct yk_delivery *delivery = dequeue(port);
            describe(&messages[result], delivery);
            messages[result].data = delivery->bytes;
            hold(port, delivery);
        }
    } else {
        count_empty(port, result);
    }
    yk_nats_port_leave(port);
    return result;
}

static struct yk_delivery *take_held(struct yk_nats_port *port, const void *message)
{
    for (struct yk_delivery **at = &port->held; *at; at = &(*at)->next) {
        struct yk_delivery *delivery = *at;
        if (delivery->bytes != message)
            continue;
        *at = delivery->next;
        port->held_count--;
        return delivery;
    }
    return NULL;
}

static bool drop_loan(struct yk_nats_port *port, const void *block)
{
    for (struct yk_loan **at = &port->loans; *at; at = &(*at)->next) {
        struct yk_loan *loan = *at;
        if (loan->bytes != block)
            continue;
        *at = loan->next;
        free(loan);
        return true;
    }
    return false;
}

int yk_nats_port_release(void *self, const void *message)
{
    struct yk_nats_port *port = self;
    int result = yk_nats_port_visit(port);

    if (result < 0)
        return result;
    struct yk_delivery *delivery = take_held(port, message);
    if (delivery) {
        yk_hub_acknowledge(port->line.hub, delivery->reply, "+ACK");
        port->received++;
        free(delivery);
    } else if (!drop_loan(port, message)) {
        result = yk_fail(EINVAL, "port:%s: this is neither borrowed nor loaned by this endpoint",
                         port->name);
    }
    pthread_mutex_unlock(&port->mutex);
    return result;
}

int yk_nats_port_give_back(void *self, const void *message)
{
    struct yk_nats_port *port = self;
    int result = yk_nats_port_visit(port);

    if (result < 0)
        return result;
    struct yk_delivery *delivery = take_held(port, message);
    if (delivery)
        give_back(port, delivery);
    else
        result = yk_fail(EINVAL, "port:%s: this is not borrowed by this endpoint", port->name);
    pthread_mutex_unlock(&port->mutex);
    return result;
}

int yk_nats_port_fd(void *self)
{
    struct yk_nats_port *port = self;
    int result = yk_nats_port_visit(port);

    if (result < 0)
        return result;
    if (!port->watcher.subscription)
        result = yk_ear_open(&port->watcher);
    port->watched = port->watched || result == 0;
    watch(port);
    pthread_mutex_unlock(&port->mutex);
    return result < 0 ? result : port->bell;
}

void yk_nats_port_give_all_back(struct yk_nats_port *port)
{
    for (struct yk_delivery *delivery; (delivery = port->held) != NULL;) {
        port->held = delivery->next;
        give_back(port, delivery);
    }
    for (struct yk_delivery *delivery; (delivery = port->queue) != NULL;) {
        port->queue = delivery->next;
        give_back(port, delivery);
    }
}
