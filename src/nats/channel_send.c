/*
 * channel_send.c - what sending to ports and links on JetStream has in common. Each message has an id, is
 * published with a request for an answer, and again with the same id until there is one: the servers drop
 * what they have already.
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

#include "channel.h"

#define TAG_MOST     24
#define GRACE_NS     (500 * YK_MILLISECOND_NS)
#define FULL_NS      (1 * YK_MILLISECOND_NS)
#define FULL_MOST_NS (32 * YK_MILLISECOND_NS) /* between two looks for room */
#define NOBODY_NS    (50 * YK_MILLISECOND_NS)
#define GONE_NS      YK_SECOND_NS

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
    if (code == JSStreamWrongLastSequenceErr || code == JSStreamWrongLastMsgIDErr)
        return YK_STALE;
    return code == JSClusterNotAvailErr || code == JSClusterNotLeaderErr ? YK_NOBODY : YK_REFUSED;
}

enum yk_outcome yk_outcome_of(natsMsg *message, int *ret_code)
{
    const char *data = natsMsg_GetData(message), *status = NULL;
    size_t size = (size_t)natsMsg_GetDataLength(message);
    enum yk_outcome outcome = YK_REFUSED;

    *ret_code = 0;
    if (size == 0 || !data)
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

static bool read_stream(json_t *answer, struct yk_state *ret)
{
    json_int_t messages, first, last;

    if (json_unpack(answer, "{s:{s:I, s:I, s:I}}", "state", "messages", &messages, "first_seq",
                    &first, "last_seq", &last) < 0 ||
        messages < 0 || first < 0 || last < 0)
        return false;
    *ret = (struct yk_state){.messages = (uint64_t)messages,
                             .first = messages > 0 ? (uint64_t)first : (uint64_t)last + 1,
                             .last = (uint64_t)last};
    return true;
}

static bool read_consumer(json_t *answer, struct yk_state *ret)
{
    json_int_t delivered, floor;

    if (json_unpack(answer, "{s:{s:I}, s:{s:I}}", "delivered", "stream_seq", &delivered,
                    "ack_floor", "stream_seq", &floor) < 0 ||
        delivered < 0 || floor < 0)
        return false;
    *ret = (struct yk_state){.first = (uint64_t)floor + 1, .last = (uint64_t)delivered};
    return true;
}

enum yk_outcome yk_state_of(natsMsg *message, struct yk_state *ret)
{
    json_t *answer =
        json_loadb(natsMsg_GetData(message), (size_t)natsMsg_GetDataLength(message), 0, NULL);
    bool good = answer && (read_stream(answer, ret) || read_consumer(answer, ret));

    json_decref(answer);
    return good ? YK_ACCEPTED : YK_NOBODY;
}

void yk_channel_take_answer(struct yk_channel *channel, char kind, uint64_t token, natsMsg *message)
{
    struct yk_question *question = yk_question_find(channel, token);
    uint64_t one = 1;

    if (!question || question->outcomes[token - question->first] != YK_UNANSWERED)
        return; /* it took too long, or it is the answer to the same message sent once more */
    if (kind == YK_ASKED_STATE) {
        question->outcomes[0] = yk_state_of(message, &question->state);
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

static void forget_doubts(struct yk_channel *channel)
{
    for (struct yk_doubt *doubt; (doubt = channel->doubts) != NULL;) {
        channel->doubts = doubt->next;
        free(doubt);
    }
    channel->doubts_new = 0;
}

void yk_channel_doubt(struct yk_channel *channel, const struct yoke_message *message,
                      const char *id, bool again)
{
    struct yk_doubt **at = &channel->doubts, *doubt = calloc(1, sizeof *doubt);

    if (!doubt)
        return; /* sent again it may come twice, as if nobody had asked */
    doubt->hash = hash_of(message);
    doubt->again = again;
    strcpy(doubt->id, id);
    for (size_t i = 0; i < channel->doubts_new; i++)
        at = &(*at)->next;
    doubt->next = *at;
    *at = doubt;
    channel->doubts_new++;
}

bool yk_channel_choose_id(struct yk_channel *channel, const struct yoke_message *message,
                          char id[YK_NATS_ID_MOST])
{
    struct yk_doubt *doubt = channel->doubts;

    channel->doubts_new = 0;
    if (doubt && doubt->hash == hash_of(message)) {
        bool again = doubt->again;
        strcpy(id, doubt->id);
        channel->doubts = doubt->next;
        free(doubt);
        return again;
    }
    forget_doubts(channel); /* another one comes: whoever wanted to repeat it has not */
    if (channel->as[0] && message->sequence != 0)
        snprintf(id, YK_NATS_ID_MOST, "%s-%" PRIu64, channel->as, message->sequence);
    else
        snprintf(id, YK_NATS_ID_MOST, "%s.%" PRIu64, channel->scope, ++channel->numbered);
    return false;
}

/* ---- waiting to send ------------------------------------------------------------------------- */

struct yk_sending yk_sending_begin(int64_t timeout_ns)
{
    int64_t deadline = yk_nats_deadline(timeout_ns);

    return (struct yk_sending){
        .deadline = deadline,
        .answers = timeout_ns == 0 ? yk_nats_now() + YK_TRY_NS : deadline,
        .now = timeout_ns == 0,
    };
}

int64_t yk_sending_answer_until(const struct yk_sending *sending)
{
    int64_t now = yk_nats_now(), until = now + YK_DOUBT_NS;

    if (until > sending->answers)
        until = sending->answers;
    return until > now + GRACE_NS ? until : now + GRACE_NS;
}

static int sleep_until(struct yk_channel *channel, const struct yk_sending *sending, int64_t time)
{
    int result =
        yk_channel_sleep(channel, -1, -1, time < sending->answers ? time : sending->answers);

    return result == -ETIMEDOUT ? 0 : result;
}

int yk_sending_await_room(struct yk_channel *channel, struct yk_sending *sending)
{
    int64_t now = yk_nats_now();

    sending->nobody_since = 0;
    if (sending->now)
        return -EAGAIN;
    if (now >= sending->deadline)
        return -ETIMEDOUT;
    sending->pause = sending->pause ? sending->pause * 2 : FULL_NS;
    if (sending->pause > FULL_MOST_NS)
        sending->pause = FULL_MOST_NS;
    return sleep_until(channel, sending, now + sending->pause);
}

int yk_sending_await_servers(struct yk_channel *channel, struct yk_sending *sending)
{
    int64_t now = yk_nats_now();

    sending->nobody_since = sending->nobody_since ? sending->nobody_since : now;
    if (now - sending->nobody_since > GONE_NS) {
        int result = yk_channel_check_there(channel);
        if (result < 0)
            return result;
    }
    if (now - sending->nobody_since > YK_DOUBT_NS || now >= sending->answers)
        return yk_fail(EHOSTUNREACH, "%s: no server has its stream now", channel->label);
    return sleep_until(channel, sending, now + NOBODY_NS);
}

/* ---- one round of publishing ----------------------------------------------------------------- */

static void add_number(natsMsg *message, const char *key, uint64_t number)
{
    char text[TAG_MOST];

    snprintf(text, sizeof text, "%" PRIu64, number);
    natsMsgHeader_Set(message, key, text);
}

/* Where the connection is away the client keeps it; where it can not, the next round comes. */
static natsStatus publish(const struct yk_round *round, size_t i)
{
    const struct yk_channel *channel = round->channel;
    const struct yoke_message *message = &round->messages[i];
    char reply[YK_NATS_REPLY_MOST];
    natsMsg *out = NULL;

    yk_hub_reply(&channel->line, YK_ASKED_SEND, round->question.first + i, reply);
    natsStatus status =
        natsMsg_Create(&out, channel->subject, reply, message->data, (int)message->size);
    if (status != NATS_OK)
        return status;
    natsMsgHeader_Set(out, "Nats-Msg-Id", round->ids[i]);
    if (round->exact)
        add_number(out, "Nats-Expected-Last-Sequence", round->after + i);
    if (round->exact && i > 0) /* another owner's may have that number */
        natsMsgHeader_Set(out, "Nats-Expected-Last-Msg-Id", round->ids[i - 1]);
    add_number(out, "Yoke-Sender", (uint64_t)getpid());
    if (message->tag)
        add_number(out, "Yoke-Tag", message->tag);
    /* where each has a place of its own, no second one is stored */
    if ((message->flags & YOKE_MESSAGE_AGAIN) || (round->again && !round->exact) || round->marked)
        natsMsgHeader_Set(out, "Yoke-Again", "1");
    status = natsConnection_PublishMsg(channel->line.hub->connection, out);
    natsMsg_Destroy(out);
    return status;
}

/* One that is bigger than what this server carries, by its word, is not sent: that is its answer. */
static void publish_unanswered(struct yk_round *round)
{
    if (round->count > 1)
        yk_hub_gather(round->channel->line.hub);
    for (size_t i = 0; i < round->count; i++)
        if (round->outcomes[i] == YK_UNANSWERED && publish(round, i) == NATS_MAX_PAYLOAD) {
            round->outcomes[i] = YK_TOO_BIG;
            round->question.unanswered--;
        }
    if (round->count > 1)
        yk_hub_scatter(round->channel->line.hub);
}

/* What is given to the client without a connection goes out when there is one, be it after the call. */
static int await_connection(struct yk_channel *channel, int64_t until)
{
    int result = 0;

    while (result == 0 && !yk_hub_connected(channel->line.hub)) {
        int64_t now = yk_nats_now();
        if (now >= until)
            return yk_channel_no_answer(channel);
        result =
            yk_channel_sleep(channel, -1, -1, now + NOBODY_NS < until ? now + NOBODY_NS : until);
        result = result == -ETIMEDOUT ? 0 : result;
    }
    return result;
}

int yk_round_run(struct yk_round *round, int64_t until)
{
    struct yk_channel *channel = round->channel;
    int result = await_connection(channel, until);

    if (result == 0)
        result = yk_question_begin(channel, &round->question, round->count, round->outcomes);
    if (result < 0)
        return result;
    int64_t again = 0;
    while (result == 0 && round->question.unanswered) {
        int64_t now = yk_nats_now();
        if (now >= again) {
            round->again = round->again || again > 0;
            round->out = true;
            publish_unanswered(round);
            again = now + YK_TRY_NS;
            continue;
        }
        result = yk_channel_sleep(channel, round->question.bell, -1, again < until ? again : until);
        if (result == -ETIMEDOUT && yk_nats_now() < until)
            result = 0;
    }
    if (result == -ETIMEDOUT && !round->question.unanswered)
        result = 0;
    int code = round->question.code;
    yk_question_end(channel, &round->question);
    round->question.code = code;
    return result;
}

int yk_round_refused(const struct yk_round *round, enum yk_outcome outcome, size_t size)
{
    const struct yk_channel *channel = round->channel;

    if (outcome == YK_TOO_BIG)
        return yk_fail(EMSGSIZE,
                       "%s: a message of %zu bytes is too big for its stream, or the server",
                       channel->label, size);
    return yk_fail(EREMOTEIO, "%s: JetStream refused a message (error %d)", channel->label,
                   round->question.code);
}

int yk_channel_no_answer(const struct yk_channel *channel)
{
    return yk_fail(EHOSTUNREACH, "%s: the servers of the place do not answer", channel->label);
}

int yk_channel_in_doubt(const struct yk_channel *channel)
{
    return yk_fail(
        ECOMM,
        "%s: no server answered whether it has the message; sent again next, it will be there "
        "once",
        channel->label);
}

int yk_channel_ask_state(struct yk_channel *channel, const char *subject, int64_t until,
                         struct yk_state *ret)
{
    char reply[YK_NATS_REPLY_MOST];
    struct yk_question question;
    enum yk_outcome outcome = YK_UNANSWERED;
    int result = yk_question_begin(channel, &question, 1, &outcome);

    if (result < 0)
        return result;
    yk_hub_reply(&channel->line, YK_ASKED_STATE, question.first, reply);
    yk_hub_ask(&channel->line, subject, reply, "", 0);
    result = yk_channel_sleep(channel, question.bell, -1, until);
    if (outcome == YK_ACCEPTED)
        *ret = question.state;
    else if (result == 0)
        result = -ENXIO;
    yk_question_end(channel, &question);
    return result;
}

/* ---- the calls ------------------------------------------------------------------------------- */

static int check_message(const struct yk_channel *channel, const struct yoke_message *message)
{
    if (!message->data && message->size > 0)
        return yk_fail(EINVAL, "a message of %zu bytes is at NULL", message->size);
    if (message->size > channel->facts.max_message)
        return yk_fail(EMSGSIZE, "%s: a message of %zu bytes, it carries %llu at most",
                       channel->label, message->size,
                       (unsigned long long)channel->facts.max_message);
    if (message->priority != 0)
        return yk_fail(EINVAL, "%s: priority %u, it has one: 0", channel->label, message->priority);
    if (message->flags & ~YOKE_MESSAGE_AGAIN)
        return yk_fail(EINVAL, "%s: flags 0x%x of a message are not known", channel->label,
                       message->flags);
    return 0;
}

ssize_t yk_channel_send_many(void *self, const struct yoke_message *messages, size_t count,
                             int64_t timeout_ns)
{
    YK_KEEP_ERRNO;
    struct yk_channel *channel = self;
    size_t good = 0;
    int result = 0;

    while (result == 0 && good < count) {
        result = check_message(channel, &messages[good]);
        good += result == 0;
    }
    if (good == 0)
        return result;
    result = yk_channel_enter(channel);
    if (result < 0)
        return result;
    ssize_t sent = timeout_ns == 0 && !yk_hub_connected(channel->line.hub)
                       ? yk_channel_no_answer(channel)
                       : channel->kind->send(channel, messages, good, timeout_ns);
    yk_channel_leave(channel);
    return sent;
}

int yk_channel_loan(void *self, size_t size, void **ret_block, int64_t timeout_ns)
{
    YK_KEEP_ERRNO;
    struct yk_channel *channel = self;
    (void)timeout_ns; /* a loan is this process's own memory: there is room at once */
    if (size > channel->facts.max_message)
        return yk_fail(EMSGSIZE, "%s: a loan of %zu bytes, it carries %llu at most", channel->label,
                       size, (unsigned long long)channel->facts.max_message);
    struct yk_loan *loan = aligned_alloc(16, (sizeof *loan + size + 15) / 16 * 16);
    if (!loan)
        return yk_fail(ENOMEM, "no memory for a loan of %zu bytes", size);
    loan->size = size;
    int result = yk_channel_visit(channel);
    if (result < 0) {
        free(loan);
        return result;
    }
    loan->next = channel->loans;
    channel->loans = loan;
    pthread_mutex_unlock(&channel->mutex);
    *ret_block = loan->bytes;
    return 0;
}

static int check_loan(struct yk_channel *channel, const struct yoke_message *message)
{
    const struct yk_loan *loan = channel->loans;

    while (loan && loan->bytes != message->data)
        loan = loan->next;
    if (!loan)
        return yk_fail(EINVAL, "%s: this is not a loan of this endpoint", channel->label);
    if (message->size > loan->size)
        return yk_fail(EMSGSIZE, "%s: %zu bytes of a loan of %zu", channel->label, message->size,
                       loan->size);
    return 0;
}

ssize_t yk_channel_commit_many(void *self, const struct yoke_message *messages, size_t count,
                               int64_t timeout_ns)
{
    YK_KEEP_ERRNO;
    struct yk_channel *channel = self;
    size_t good = 0;
    int result = yk_channel_visit(channel);

    if (result < 0)
        return result;
    while (result == 0 && good < count) {
        result = check_loan(channel, &messages[good]);
        good += result == 0;
    }
    pthread_mutex_unlock(&channel->mutex);
    if (good == 0)
        return result;
    ssize_t sent = yk_channel_send_many(channel, messages, good, timeout_ns);
    for (ssize_t i = 0; i < sent; i++)
        yk_channel_release(channel, messages[i].data);
    return sent;
}
