/*
 * port_send.c - sending to a port on JetStream. Each message has an id, is published with a request for an
 * answer, and again with the same id until there is one: the servers drop what they have already.
 *
 * Several go at once where there is room for them by the servers' last word. If others fill the port
 * meanwhile, so that one is refused and a later one is not, the refused ones are sent until they are taken:
 * those of one call then may be out of order, and none is missing.
 *
 * What is in doubt when the time is over (or a signal, or a cancellation ended the wait) is remembered by its
 * content: the next message, if it is the same, gets the same id.
 */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "port.h"

#define TRY_NS       (2 * YK_SECOND_NS)  /* for an answer, before it is sent once more */
#define DOUBT_NS     (15 * YK_SECOND_NS) /* then it is in doubt, whatever the time-out */
#define GRACE_NS     (500 * YK_MILLISECOND_NS)
#define FULL_NS      (1 * YK_MILLISECOND_NS)
#define FULL_MOST_NS (32 * YK_MILLISECOND_NS) /* between two looks for room */
#define NOBODY_NS    (50 * YK_MILLISECOND_NS)
#define GONE_NS      YK_SECOND_NS
#define BATCH_MOST   256
#define BATCH_LEAST  4 /* from here on it pays to ask for the room */
#define TAG_MOST     24

/* ---- answers (in the client's thread) -------------------------------------------------------- */

static enum yk_outcome outcome_of_error(const json_t *error, int *ret_code)
{
    int code = (int)json_integer_value(json_object_get(error, "err_code"));
    const char *text = json_string_value(json_object_get(error, "description"));

    *ret_code = code;
    if (code == JSStreamStoreFailedErr && text && strstr(text, "maximum"))
        return YK_FULL;
    if (code == JSStreamMessageExceedsMaximumErr)
        return YK_TOO_BIG;
    return code == JSClusterNotAvailErr || code == JSClusterNotLeaderErr ? YK_NOBODY : YK_REFUSED;
}

enum yk_outcome yk_outcome_of(natsMsg *message, int *ret_code)
{
    const char *data = natsMsg_GetData(message), *status = NULL;
    size_t size = (size_t)natsMsg_GetDataLength(message);
    enum yk_outcome outcome = YK_REFUSED;

    *ret_code = 0;
    if (size == 0)
        return natsMsgHeader_Get(message, "Status", &status) == NATS_OK ? YK_NOBODY : YK_REFUSED;
    if (!memmem(data, size, "\"error\"", 7))
        return memmem(data, size, "\"seq\"", 5) ? YK_ACCEPTED : YK_REFUSED;
    json_t *answer = json_loadb(data, size, 0, NULL);
    const json_t *error = json_object_get(answer, "error");
    if (error)
        outcome = outcome_of_error(error, ret_code);
    json_decref(answer);
    return outcome;
}

/* Of a stream: how many messages it has, and its last sequence; of a consumer: the last that it delivered. */
static bool parse_state(natsMsg *message, struct yk_question *question)
{
    json_int_t messages = 0, last = 0;
    json_t *answer =
        json_loadb(natsMsg_GetData(message), (size_t)natsMsg_GetDataLength(message), 0, NULL);
    bool good = answer && (json_unpack(answer, "{s:{s:I, s:I}}", "state", "messages", &messages,
                                       "last_seq", &last) == 0 ||
                           json_unpack(answer, "{s:{s:I}}", "delivered", "stream_seq", &last) == 0);

    json_decref(answer);
    question->number = (uint64_t)messages;
    question->last = (uint64_t)last;
    return good && messages >= 0 && last >= 0;
}

void yk_nats_port_take_answer(struct yk_nats_port *port, char kind, uint64_t token,
                              natsMsg *message)
{
    struct yk_question *question = port->questions;
    uint64_t one = 1;

    while (question && (token < question->first || token - question->first >= question->count))
        question = question->next;
    if (!question || question->outcomes[token - question->first] != YK_UNANSWERED)
        return; /* it took too long, or it is the answer to the same message sent once more */
    if (kind == YK_ASKED_STATE) {
        question->outcomes[0] = parse_state(message, question) ? YK_ACCEPTED : YK_REFUSED;
    } else {
        int code = 0;
        question->outcomes[token - question->first] = yk_outcome_of(message, &code);
        question->code = code ? code : question->code;
    }
    if (--question->unanswered == 0 && write(question->bell, &one, sizeof one) < 0)
        return; /* it is rung already */
}

/* ---- ids and doubts -------------------------------------------------------------------------- */

/* FNV-1a (Fowler, Noll, Vo), over all that makes two messages different for who receives them. */
static uint64_t hash_of(const struct yoke_message *message)
{
    const unsigned char *bytes = message->data;
    uint64_t hash = UINT64_C(14695981039346656037);

    for (size_t i = 0; i < message->size; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(1099511628211);
    hash = (hash ^ message->size) * UINT64_C(1099511628211);
    hash = (hash ^ message->tag) * UINT64_C(1099511628211);
    return (hash ^ message->sequence) * UINT64_C(1099511628211);
}

static void forget_doubts(struct yk_nats_port *port)
{
    for (struct yk_doubt *doubt; (doubt = port->doubts) != NULL;) {
        port->doubts = doubt->next;
        free(doubt);
    }
}

static void remember_doubt(struct yk_nats_port *port, const struct yoke_message *message,
                           const char *id)
{
    struct yk_doubt **end = &port->doubts, *doubt = calloc(1, sizeof *doubt);

    if (!doubt)
        return; /* sent again it may come twice, as if nobody had asked */
    doubt->hash = hash_of(message);
    strcpy(doubt->id, id);
    while (*end)
        end = &(*end)->next;
    *end = doubt;
}

/* The id of a message: that of the same one that is in doubt, its own, or the next. */
static void choose_id(struct yk_nats_port *port, const struct yoke_message *message,
                      char id[YK_NATS_ID_MOST])
{
    struct yk_doubt *doubt = port->doubts;

    if (doubt && doubt->hash == hash_of(message)) {
        strcpy(id, doubt->id);
        port->doubts = doubt->next;
        free(doubt);
        return;
    }
    forget_doubts(port); /* another one comes: whoever wanted to repeat it has not */
    if (port->named && message->sequence != 0)
        snprintf(id, YK_NATS_ID_MOST, "%s-%" PRIu64, port->scope, message->sequence);
    else
        snprintf(id, YK_NATS_ID_MOST, "%s.%" PRIu64, port->scope, ++port->numbered);
}

/* ---- one round of publishing ----------------------------------------------------------------- */

/* Where the connection is away the client keeps it; where it can not, the next round comes. */
static void publish(struct yk_nats_port *port, const struct yoke_message *message, const char *id,
                    uint64_t token)
{
    char reply[YK_NATS_REPLY_MOST], text[TAG_MOST];
    natsMsg *out = NULL;

    yk_hub_reply(&port->line, YK_ASKED_SEND, token, reply);
    if (natsMsg_Create(&out, port->subject, reply, message->data, (int)message->size) != NATS_OK)
        return;
    natsMsgHeader_Set(out, "Nats-Msg-Id", id);
    snprintf(text, sizeof text, "%d", (int)getpid());
    natsMsgHeader_Set(out, "Yoke-Sender", text);
    if (message->tag) {
        snprintf(text, sizeof text, "%" PRIu64, message->tag);
        natsMsgHeader_Set(out, "Yoke-Tag", text);
    }
    if (message->flags & YOKE_MESSAGE_AGAIN)
        natsMsgHeader_Set(out, "Yoke-Again", "1");
    natsConnection_PublishMsg(port->line.hub->connection, out);
    natsMsg_Destroy(out);
}

struct round {
    struct yk_nats_port *port;
    const struct yoke_message *messages;
    size_t count;
    char (*ids)[YK_NATS_ID_MOST];
    enum yk_outcome *outcomes;
    struct yk_question question;
};

static void publish_unanswered(struct round *round)
{
    for (size_t i = 0; i < round->count; i++)
        if (round->outcomes[i] == YK_UNANSWERED)
            publish(round->port, &round->messages[i], round->ids[i], round->question.first + i);
}

/*
 * Sends all of them, and once more what is not answered, until all are or `until`: 0, or as
 * yk_nats_port_sleep(), and then some outcomes are YK_UNANSWERED.
 */
static int run_round(struct round *round, int64_t until)
{
    struct yk_nats_port *port = round->port;
    int result = yk_question_begin(port, &round->question, round->count, round->outcomes);

    if (result < 0)
        return result;
    int64_t again = 0;
    while (result == 0 && round->question.unanswered) {
        int64_t now = yk_nats_now();
        if (now >= again) {
            publish_unanswered(round);
            again = now + TRY_NS;
        }
        result = yk_nats_port_sleep(port, round->question.bell, -1, again < until ? again : until);
        if (result == -ETIMEDOUT && yk_nats_now() < until)
            result = 0;
    }
    if (result == -ETIMEDOUT && !round->question.unanswered)
        result = 0;
    int code = round->question.code;
    yk_question_end(port, &round->question);
    round->question.code = code;
    return result;
}

/* ---- what to do with the answers ------------------------------------------------------------- */

static int refused(const struct yk_nats_port *port, const struct round *round,
                   enum yk_outcome outcome, size_t size)
{
    if (outcome == YK_TOO_BIG)
        return yk_fail(EMSGSIZE, "port:%s: a message of %zu bytes is too big for its stream",
                       port->name, size);
    return yk_fail(EREMOTEIO, "port:%s: JetStream refused a message (error %d)", port->name,
                   round->question.code);
}

static int in_doubt(const struct yk_nats_port *port)
{
    return yk_fail(
        ECOMM,
        "port:%s: no server answered whether it has the message; sent again next, it will be there "
        "once",
        port->name);
}

struct sending {
    int64_t deadline; /* for room */
    bool now;         /* no waiting for room */
    int64_t nobody_since, pause;
};

/* Not taken, as no room or no server was there: a while later again (0), or the end of it. */
static int pause_sending(struct yk_nats_port *port, struct sending *sending,
                         enum yk_outcome outcome)
{
    int64_t now = yk_nats_now(), wait = NOBODY_NS;

    if (outcome == YK_FULL) {
        sending->nobody_since = 0;
        if (sending->now)
            return -EAGAIN;
        wait = sending->pause = sending->pause ? sending->pause * 2 : FULL_NS;
        if (wait > FULL_MOST_NS)
            wait = sending->pause = FULL_MOST_NS;
    } else {
        sending->nobody_since = sending->nobody_since ? sending->nobody_since : now;
        if (now - sending->nobody_since > GONE_NS) {
            pthread_mutex_unlock(&port->mutex);
            int result = yk_nats_port_check_there(port);
            pthread_mutex_lock(&port->mutex);
            if (result < 0)
                return result;
        }
        if (now - sending->nobody_since > DOUBT_NS)
            return yk_fail(EHOSTUNREACH, "port:%s: no server has its stream now", port->name);
    }
    if (now >= sending->deadline && !(sending->now && outcome == YK_NOBODY))
        return -ETIMEDOUT;
    int64_t until = now + wait < sending->deadline || sending->now ? now + wait : sending->deadline;
    int result = yk_nats_port_sleep(port, -1, -1, until);
    return result == -ETIMEDOUT ? 0 : result;
}

/* How long an answer may take; where little time is left, long enough for one that is on its way. */
static int64_t answer_until(const struct sending *sending)
{
    int64_t now = yk_nats_now();

    if (sending->now || sending->deadline > now + DOUBT_NS)
        return now + DOUBT_NS;
    return sending->deadline > now + GRACE_NS ? sending->deadline : now + GRACE_NS;
}

/* One message, until it is taken: 1, or why it is not. */
static ssize_t send_one(struct yk_nats_port *port, const struct yoke_message *message,
                        const char *id, struct sending *sending)
{
    char ids[1][YK_NATS_ID_MOST];
    enum yk_outcome outcome = YK_UNANSWERED;

    strcpy(ids[0], id);
    for (;;) {
        struct round round = {
            .port = port, .messages = message, .count = 1, .ids = ids, .outcomes = &outcome};
        int result = run_round(&round, answer_until(sending));
        if (result < 0) {
            remember_doubt(port, message, id);
            return result == -ETIMEDOUT ? in_doubt(port) : result;
        }
        if (outcome == YK_ACCEPTED)
            return 1;
        if (outcome != YK_FULL && outcome != YK_NOBODY)
            return refused(port, &round, outcome, message->size);
        result = pause_sending(port, sending, outcome);
        if (result < 0)
            return result;
    }
}

bool yk_nats_port_ask_state(struct yk_nats_port *port, const char *subject, uint64_t *ret_messages,
                            uint64_t *ret_last)
{
    char reply[YK_NATS_REPLY_MOST];
    struct yk_question question;
    enum yk_outcome outcome = YK_UNANSWERED;

    if (yk_question_begin(port, &question, 1, &outcome) < 0)
        return false;
    yk_hub_reply(&port->line, YK_ASKED_STATE, question.first, reply);
    yk_hub_ask(&port->line, subject, reply, "", 0);
    yk_nats_port_sleep(port, question.bell, -1, yk_nats_now() + TRY_NS);
    yk_question_end(port, &question);
    *ret_messages = question.number;
    *ret_last = question.last;
    return outcome == YK_ACCEPTED;
}

/* How many may go at once: half of the room that there is, by the servers' word. */
static size_t room_for(struct yk_nats_port *port, size_t count)
{
    uint64_t waiting = UINT64_MAX, last;

    if (count > BATCH_MOST)
        count = BATCH_MOST;
    if (!yk_nats_port_ask_state(port, port->state_subject, &waiting, &last))
        return 1;
    size_t room = waiting < port->facts.depth ? (size_t)(port->facts.depth - waiting) / 2 : 0;
    return room < 1 ? 1 : room < count ? room : count;
}

/*
 * The answers to several: how many of them count as sent. One that was refused before one that was taken is
 * sent until it is taken, too.
 */
static ssize_t settle(struct round *round, struct sending *sending)
{
    size_t last = 0;
    struct sending insisting = {.deadline = INT64_MAX};

    for (size_t i = 0; i < round->count; i++)
        if (round->outcomes[i] == YK_ACCEPTED)
            last = i + 1;
    (void)sending;
    for (size_t i = 0; i < last; i++) {
        if (round->outcomes[i] == YK_ACCEPTED)
            continue;
        ssize_t result = send_one(round->port, &round->messages[i], round->ids[i], &insisting);
        if (result == 1)
            continue;
        for (size_t k = i + 1; k < last; k++) /* these, sent again, are the same */
            remember_doubt(round->port, &round->messages[k], round->ids[k]);
        return i > 0 ? (ssize_t)i : result;
    }
    return (ssize_t)last;
}

static ssize_t send_several(struct yk_nats_port *port, const struct yoke_message *messages,
                            size_t count, struct sending *sending)
{
    struct round round = {.port = port, .messages = messages, .count = count};
    ssize_t sent = -ENOMEM;

    round.ids = calloc(count, sizeof *round.ids);
    round.outcomes = calloc(count, sizeof *round.outcomes);
    if (round.ids && round.outcomes) {
        for (size_t i = 0; i < count; i++)
            choose_id(port, &messages[i], round.ids[i]);
        sent = run_round(&round, yk_nats_now() + DOUBT_NS);
        if (sent == 0)
            sent = settle(&round, sending);
        else
            for (size_t i = 0; i < count; i++)
                remember_doubt(port, &messages[i], round.ids[i]);
        if (sent == -ETIMEDOUT)
            sent = in_doubt(port);
    } else {
        yk_fail(ENOMEM, "no memory for %zu messages", count);
    }
    free(round.ids);
    free(round.outcomes);
    return sent;
}

static ssize_t send_all(struct yk_nats_port *port, const struct yoke_message *messages,
                        size_t count, int64_t timeout_ns)
{
    struct sending sending = {.deadline = yk_nats_deadline(timeout_ns), .now = timeout_ns == 0};
    size_t sent = 0;
    ssize_t result = 1;

    while (sent < count && result > 0) {
        size_t several = count - sent >= BATCH_LEAST ? room_for(port, count - sent) : 1;
        char id[YK_NATS_ID_MOST];
        if (several > 1) {
            result = send_several(port, messages + sent, several, &sending);
        } else {
            choose_id(port, &messages[sent], id);
            result = send_one(port, &messages[sent], id, &sending);
        }
        sent += result > 0 ? (size_t)result : 0;
        sending.now = true; /* what comes after the first does not wait */
    }
    port->sent += sent;
    port->full += sent == 0 && (result == -EAGAIN || result == -ETIMEDOUT);
    return sent > 0 ? (ssize_t)sent : result;
}

/* ---- the calls ------------------------------------------------------------------------------- */

static int check_message(const struct yk_nats_port *port, const struct yoke_message *message)
{
    if (!message->data && message->size > 0)
        return yk_fail(EINVAL, "a message of %zu bytes is at NULL", message->size);
    if (message->size > port->facts.max_message)
        return yk_fail(EMSGSIZE, "port:%s: a message of %zu bytes, it carries %llu at most",
                       port->name, message->size, (unsigned long long)port->facts.max_message);
    if (message->priority != 0)
        return yk_fail(EINVAL, "port:%s: priority %u, it has one: 0", port->name,
                       message->priority);
    if (message->flags & ~YOKE_MESSAGE_AGAIN)
        return yk_fail(EINVAL, "port:%s: flags 0x%x of a message are not known", port->name,
                       message->flags);
    return 0;
}

ssize_t yk_nats_port_send_many(void *self, const struct yoke_message *messages, size_t count,
                               int64_t timeout_ns)
{
    struct yk_nats_port *port = self;
    size_t good = 0;
    int result = 0;

    while (result == 0 && good < count) {
        result = check_message(port, &messages[good]);
        good += result == 0;
    }
    if (good == 0)
        return result;
    result = yk_nats_port_enter(port);
    if (result < 0)
        return result;
    ssize_t sent = send_all(port, messages, good, timeout_ns);
    yk_nats_port_leave(port);
    return sent;
}

int yk_nats_port_loan(void *self, size_t size, void **ret_block, int64_t timeout_ns)
{
    struct yk_nats_port *port = self;
    (void)timeout_ns; /* a loan is this process's own memory: there is room at once */
    if (size > port->facts.max_message)
        return yk_fail(EMSGSIZE, "port:%s: a loan of %zu bytes, it carries %llu at most",
                       port->name, size, (unsigned long long)port->facts.max_message);
    struct yk_loan *loan = aligned_alloc(16, (sizeof *loan + size + 15) / 16 * 16);
    if (!loan)
        return yk_fail(ENOMEM, "no memory for a loan of %zu bytes", size);
    loan->size = size;
    int result = yk_nats_port_visit(port);
    if (result < 0) {
        free(loan);
        return result;
    }
    loan->next = port->loans;
    port->loans = loan;
    pthread_mutex_unlock(&port->mutex);
    *ret_block = loan->bytes;
    return 0;
}

static int check_loan(struct yk_nats_port *port, const struct yoke_message *message)
{
    const struct yk_loan *loan = port->loans;

    while (loan && loan->bytes != message->data)
        loan = loan->next;
    if (!loan)
        return yk_fail(EINVAL, "port:%s: this is not a loan of this endpoint", port->name);
    if (message->size > loan->size)
        return yk_fail(EMSGSIZE, "port:%s: %zu bytes of a loan of %zu", port->name, message->size,
                       loan->size);
    return 0;
}

ssize_t yk_nats_port_commit_many(void *self, const struct yoke_message *messages, size_t count,
                                 int64_t timeout_ns)
{
    struct yk_nats_port *port = self;
    size_t good = 0;
    int result = yk_nats_port_visit(port);

    if (result < 0)
        return result;
    while (result == 0 && good < count) {
        result = check_loan(port, &messages[good]);
        good += result == 0;
    }
    pthread_mutex_unlock(&port->mutex);
    if (good == 0)
        return result;
    ssize_t sent = yk_nats_port_send_many(port, messages, good, timeout_ns);
    for (ssize_t i = 0; i < sent; i++)
        yk_nats_port_release(port, messages[i].data);
    return sent;
}
