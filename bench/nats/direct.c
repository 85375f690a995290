/*
 * direct.c - the NATS C client used directly, for `yoke bench --place nats://...`: what somebody would write who
 * knows it well, with the same promise as yoke's port has. A work queue in file storage each way, messages
 * published with an id and an answer, so that they can be sent again when there is none, a pull consumer, explicit
 * acknowledgements.
 *
 * One message at a time: js_Publish(), and a connection that sends at once. Several: the asynchronous publish, of
 * which so many are on their way as yoke sends in one call, and the next goes out with each answer.
 *
 * Questions without JetStream are the other reference: what the servers do for a message that they do not keep.
 *
 *   nats-direct SIDE NAME: the place, which may have a password in it, is in $YOKE_BENCH_PLACE
 */
#include <errno.h>
#include <nats/nats.h>
#include <stdio.h>
#include <stdlib.h>

#include "../far.h"
#include "nats/login.h"

#define CONSUMER     "receivers"
#define SUBJECT_MOST 160
#define ACK_WAIT_NS  (30 * YK_SECOND_NS)
#define HEADERS_MOST 512

struct direct {
    natsConnection *connection;
    jsCtx *js;
    natsSubscription *in, *questions;
    int replicas;
    char subject[2][SUBJECT_MOST], stream[2][SUBJECT_MOST],
        asked[SUBJECT_MOST]; /* to side 0, to side 1 */
};

static struct yk_nats_where where;
static char sentence[400]; /* of where.c and login.c */

/* For those two, which have it from the library elsewhere. */
int yk_fail(int error, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    return -error;
}

static int check(struct bench_far *far, natsStatus status, const char *what)
{
    return status == NATS_OK ? 0 : bench_far_fail(far, "%s: %s", what, natsStatus_GetText(status));
}

/* ---- making and removing --------------------------------------------------------------------- */

static natsStatus add_stream(const struct direct *direct, int to, size_t size, int replicas,
                             jsErrCode *code)
{
    const char *subject = direct->subject[to];
    jsStreamConfig config;

    jsStreamConfig_Init(&config);
    config.Name = direct->stream[to];
    config.Subjects = &subject;
    config.SubjectsLen = 1;
    config.Retention = js_WorkQueuePolicy;
    config.Discard = js_DiscardNew;
    config.Storage = js_FileStorage;
    config.MaxMsgs = BENCH_FAR_DEPTH;
    config.MaxMsgSize = (int32_t)size + HEADERS_MOST;
    config.Replicas = replicas;
    *code = 0;
    return js_AddStream(NULL, direct->js, &config, NULL, code);
}

static natsStatus make_queue(struct direct *direct, int to, size_t size)
{
    jsConsumerConfig consumer;
    jsErrCode code;
    int replicas = where.replicas ? where.replicas : 3;
    natsStatus status = add_stream(direct, to, size, replicas, &code);

    if (status != NATS_OK && code == JSStreamReplicasNotSupportedErr && where.replicas == 0)
        status = add_stream(direct, to, size, 1, &code);
    if (status != NATS_OK)
        return status;
    jsConsumerConfig_Init(&consumer);
    consumer.Durable = CONSUMER;
    consumer.AckPolicy = js_AckExplicit;
    consumer.AckWait = ACK_WAIT_NS;
    consumer.MaxDeliver = -1;
    consumer.MaxAckPending = -1;
    return js_AddConsumer(NULL, direct->js, direct->stream[to], &consumer, NULL, &code);
}

static int connect_it(struct bench_far *far, struct direct *direct)
{
    natsOptions *options = NULL;
    jsOptions js;
    natsStatus status = natsOptions_Create(&options);

    if (status == NATS_OK)
        status = natsOptions_SetServers(options, (const char **)where.servers, where.count);
    if (status == NATS_OK)
        status = natsOptions_SetSendAsap(options, true);
    if (status == NATS_OK && yk_nats_login(options, &where) < 0) {
        natsOptions_Destroy(options);
        return bench_far_fail(far, "%s", sentence);
    }
    if (status == NATS_OK)
        status = natsConnection_Connect(&direct->connection, options);
    natsOptions_Destroy(options);
    jsOptions_Init(&js);
    js.PublishAsync.MaxPending = BENCH_FAR_BURST;
    js.PublishAsync.StallWait = BENCH_FAR_WAIT_MS;
    if (status == NATS_OK)
        status = natsConnection_JetStream(&direct->js, direct->connection, &js);
    return check(far, status, "connecting");
}

static int subscribe(struct bench_far *far, struct direct *direct)
{
    jsSubOptions options;
    natsStatus status = NATS_OK;

    for (int to = 0; far->side == 0 && to < 2 && status == NATS_OK; to++)
        status = make_queue(direct, to, far->size);
    jsSubOptions_Init(&options);
    options.Stream = direct->stream[far->side];
    options.Consumer = CONSUMER;
    if (status == NATS_OK)
        status = js_PullSubscribe(&direct->in, direct->js, direct->subject[far->side], CONSUMER,
                                  NULL, &options, NULL);
    if (status == NATS_OK && far->side == 1)
        status =
            natsConnection_SubscribeSync(&direct->questions, direct->connection, direct->asked);
    if (status == NATS_OK)
        status = natsConnection_FlushTimeout(direct->connection, BENCH_FAR_WAIT_MS);
    return check(far, status, "making a queue");
}

static void direct_close(struct bench_far *far)
{
    struct direct *direct = far->state;

    natsSubscription_Destroy(direct->in);
    natsSubscription_Destroy(direct->questions);
    for (int to = 0; direct->js && far->side == 0 && to < 2; to++)
        js_DeleteStream(direct->js, direct->stream[to], NULL, NULL);
    jsCtx_Destroy(direct->js);
    natsConnection_Destroy(direct->connection);
    free(direct);
}

static int direct_open(struct bench_far *far)
{
    struct direct *direct = calloc(1, sizeof *direct);

    if (!direct)
        return bench_far_fail(far, "no memory");
    far->state = direct;
    for (int to = 0; to < 2; to++) {
        snprintf(direct->subject[to], SUBJECT_MOST, "%s.%s.%d", where.prefix, far->name, to);
        snprintf(direct->stream[to], SUBJECT_MOST, "%s-%s-%d", where.prefix, far->name, to);
    }
    snprintf(direct->asked, SUBJECT_MOST, "%s.%s.asked", where.prefix, far->name);
    int result = connect_it(far, direct);
    if (result == 0)
        result = subscribe(far, direct);
    if (result < 0)
        direct_close(far);
    return result;
}

/* ---- moving messages ------------------------------------------------------------------------- */

static int direct_send(struct bench_far *far, size_t count)
{
    struct direct *direct = far->state;
    const char *subject = direct->subject[!far->side];
    natsStatus status = NATS_OK;
    jsPubOptions options;
    char id[BENCH_FAR_NAME + 24];

    jsPubOptions_Init(&options);
    options.MsgId = id;
    for (size_t i = 0; i < count && status == NATS_OK; i++) {
        snprintf(id, sizeof id, "%s.%llu", far->name, (unsigned long long)far->next[0]);
        const void *message = bench_far_message(far, i);
        status =
            count == 1
                ? js_Publish(NULL, direct->js, subject, message, (int)far->size, &options, NULL)
                : js_PublishAsync(direct->js, subject, message, (int)far->size, &options);
    }
    return check(far, status, "publishing");
}

static int direct_settle(struct bench_far *far)
{
    struct direct *direct = far->state;
    jsPubOptions options;

    jsPubOptions_Init(&options);
    options.MaxWait = BENCH_FAR_WAIT_MS;
    return check(far, js_PublishAsyncComplete(direct->js, &options), "js_PublishAsyncComplete");
}

static ssize_t direct_recv(struct bench_far *far, size_t most)
{
    struct direct *direct = far->state;
    natsMsgList list = {0};
    natsStatus status =
        natsSubscription_Fetch(&list, direct->in, (int)most, BENCH_FAR_WAIT_MS, NULL);
    int result = check(far, status, "natsSubscription_Fetch");
    int count = list.Count;

    for (int i = 0; i < count && result == 0; i++) {
        result = bench_far_check(far, natsMsg_GetData(list.Msgs[i]),
                                 (size_t)natsMsg_GetDataLength(list.Msgs[i]));
        if (result == 0)
            result = check(far, natsMsg_Ack(list.Msgs[i], NULL), "natsMsg_Ack");
    }
    natsMsgList_Destroy(&list);
    return result < 0 ? result : count;
}

static int direct_ask(struct bench_far *far)
{
    struct direct *direct = far->state;
    natsMsg *answer = NULL;
    natsStatus status =
        natsConnection_Request(&answer, direct->connection, direct->asked,
                               bench_far_message(far, 0), (int)far->size, BENCH_FAR_WAIT_MS);

    if (status != NATS_OK)
        return check(far, status, "natsConnection_Request");
    int result =
        bench_far_check(far, natsMsg_GetData(answer), (size_t)natsMsg_GetDataLength(answer));
    natsMsg_Destroy(answer);
    return result;
}

static int direct_answer(struct bench_far *far)
{
    struct direct *direct = far->state;
    natsMsg *question = NULL;
    natsStatus status = natsSubscription_NextMsg(&question, direct->questions, BENCH_FAR_WAIT_MS);

    if (status != NATS_OK)
        return check(far, status, "natsSubscription_NextMsg");
    int result =
        bench_far_check(far, natsMsg_GetData(question), (size_t)natsMsg_GetDataLength(question));
    if (result == 0)
        status = natsConnection_Publish(direct->connection, natsMsg_GetReply(question),
                                        bench_far_message(far, 0), (int)far->size);
    natsMsg_Destroy(question);
    return result < 0 ? result : check(far, status, "natsConnection_Publish");
}

static const struct bench_far_hands hands = {
    .open = direct_open,
    .close = direct_close,
    .send = direct_send,
    .settle = direct_settle,
    .recv = direct_recv,
    .ask = direct_ask,
    .answer = direct_answer,
};

int main(int argc, char **argv)
{
    struct bench_far far = {.place = getenv("YOKE_BENCH_PLACE")};

    if (argc != 3 || !far.place || (strcmp(argv[1], "0") != 0 && strcmp(argv[1], "1") != 0)) {
        fputs("nats-direct is a part of `yoke bench --place nats://...`, which starts it\n",
              stderr);
        return 2;
    }
    far.side = argv[1][0] - '0';
    far.name = argv[2];
    if (yk_nats_where_parse(far.place, &where) < 0) {
        fprintf(stderr, "nats-direct: %s\n", sentence);
        return 1;
    }
    bench_far_work(&far, &hands);
    nats_Close();
    return 0;
}
