/*
 * port.c - see port.h: opening, closing, removing, and how calls wait.
 */
#include "port.h"
#include "fork.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define DEPTH_DEFAULT      256
#define MESSAGE_DEFAULT    4096
#define DELIVERIES_DEFAULT 16
#define BORROWED_DEFAULT   64
#define HEADERS_MOST       512 /* of a message, which the server counts with its size */
#define DUPLICATES_NS      (120 * YK_SECOND_NS)
#define WAITING_MOST       65536 /* receivers */
#define CLOSING_NS         YK_SECOND_NS
#define CLOSING_LOOK_NS    (10 * YK_MILLISECOND_NS)
#define OPEN_TRIES         8 /* each is lost to another one that creates or removes */

/* ---- beginning ------------------------------------------------------------------------------- */

static void arrived(struct yk_line *line, char kind, uint64_t token, natsMsg *message)
{
    struct yk_nats_port *port = (struct yk_nats_port *)line;

    pthread_mutex_lock(&port->mutex);
    if (kind == YK_ASKED_SEND || kind == YK_ASKED_STATE)
        yk_nats_port_take_answer(port, kind, token, message);
    else if (kind == YK_ASKED_PARK)
        yk_nats_port_take_parked(port, token, message);
    else if (kind == YK_ASKED_RENEW)
        yk_here_answer(&port->here, message);
    pthread_mutex_unlock(&port->mutex);
    natsMsg_Destroy(message);
}

static json_t *describe(const struct yk_nats_port *port)
{
    json_t *all = json_copy(port->description);
    json_t *now = json_pack("{s:I, s:I, s:I, s:I, s:I, s:b}", "sent", (json_int_t)port->sent,
                            "received", (json_int_t)port->received, "held",
                            (json_int_t)port->held_count, "empty", (json_int_t)port->empty, "full",
                            (json_int_t)port->full, "parked", (int)port->parked);

    if (all && now)
        json_object_update(all, now);
    json_decref(now);
    return all;
}

static void tick(struct yk_line *line, int64_t now)
{
    struct yk_nats_port *port = (struct yk_nats_port *)line;

    pthread_mutex_lock(&port->mutex);
    yk_nats_port_receiving_tick(port, now);
    if (yk_here_is_due(&port->here, now))
        yk_here_renew(&port->here, now, describe(port));
    pthread_mutex_unlock(&port->mutex);
}

static void compose_subjects(struct yk_nats_port *port)
{
    const struct yk_hub *hub = port->line.hub;
    uint64_t generation = port->facts.generation;
    char source[YK_NATS_SUBJECT_MOST];

    yk_nats_subject(port->subject, hub, "port", port->name, generation);
    yk_nats_stream(port->stream, hub, "port", port->name, generation);
    yk_nats_subject(port->parked_subject, hub, "parked", port->name, generation);
    yk_nats_stream(source, hub, port->parked ? "parked" : "port", port->name, generation);
    snprintf(port->next_subject, sizeof port->next_subject, "$JS.API.CONSUMER.MSG.NEXT.%s.%s",
             source, YK_NATS_CONSUMER);
    snprintf(port->state_subject, sizeof port->state_subject, "$JS.API.STREAM.INFO.%s",
             port->stream);
}

static void choose_scope(struct yk_nats_port *port, const char *as)
{
    char unique[33];

    port->named = as != NULL;
    yk_nats_random_hex(unique, 16);
    snprintf(port->scope, sizeof port->scope, "%s", as ? as : unique);
}

static void drop_everything(struct yk_nats_port *port)
{
    for (struct yk_doubt *doubt; (doubt = port->doubts) != NULL;) {
        port->doubts = doubt->next;
        free(doubt);
    }
    for (struct yk_loan *loan; (loan = port->loans) != NULL;) {
        port->loans = loan->next;
        free(loan);
    }
    for (struct yk_parking *parking; (parking = port->parkings) != NULL;) {
        port->parkings = parking->next;
        free(parking);
    }
    for (struct yk_delivery *delivery; (delivery = port->queue) != NULL;) {
        port->queue = delivery->next;
        free(delivery);
    }
    for (struct yk_delivery *delivery; (delivery = port->held) != NULL;) {
        port->held = delivery->next;
        free(delivery);
    }
}

/* All that is not settings, in the process that it is to be used in. */
static void begin(struct yk_nats_port *port, struct yk_hub *hub)
{
    pthread_mutex_init(&port->mutex, NULL);
    pthread_cond_init(&port->left, NULL);
    port->forks = yk_nats_forks();
    port->line = (struct yk_line){.hub = hub, .arrived = arrived, .tick = tick};
    port->next = (struct yk_ear){&port->line, YK_ASKED_NEXT, NULL, yk_nats_port_hear};
    port->watcher = (struct yk_ear){&port->line, YK_ASKED_WATCH, NULL, yk_nats_port_hear};
    port->description = yk_here_describe();
    compose_subjects(port);
    yk_hub_add(hub, &port->line);
}

/* Says that it is there. */
static int enter(struct yk_nats_port *port)
{
    return yk_here_enter(&port->here, &port->line, "port", port->name, port->facts.generation,
                         describe(port));
}

/* ---- waiting --------------------------------------------------------------------------------- */

/* What a child inherited: the settings are of use, all else is the parent's. */
static int reopen(struct yk_nats_port *port)
{
    struct yk_nats_port fresh = {
        .facts = port->facts, .parked = port->parked, .watched = port->watched};
    struct yk_hub *hub;
    int cancel = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
        bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int result = cancel < 0 || bell < 0 ? yk_fail(EMFILE, "no descriptor for an endpoint") : 0;

    if (result == 0)
        result = yk_hub_get(&hub, port->place);
    if (result < 0) {
        close(cancel);
        close(bell);
        return result;
    }
    /* the number that the parent knows stays, for what is polled already */
    dup3(cancel, port->cancel, O_CLOEXEC);
    dup3(bell, port->bell, O_CLOEXEC);
    close(cancel);
    close(bell);
    drop_everything(port);
    json_decref(port->description);
    fresh.cancel = port->cancel;
    fresh.bell = port->bell;
    strcpy(fresh.name, port->name);
    strcpy(fresh.place, port->place);
    strcpy(fresh.scope, port->scope);
    fresh.named = port->named;
    *port = fresh;
    if (!port->named)
        choose_scope(port, NULL);
    begin(port, hub);
    return enter(port);
}

static int check_forks(struct yk_nats_port *port)
{
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* of the first calls in a child */
    int result = 0;

    if (port->forks == yk_nats_forks())
        return 0;
    pthread_mutex_lock(&mutex);
    if (port->forks != yk_nats_forks())
        result = reopen(port);
    pthread_mutex_unlock(&mutex);
    return result;
}

int yk_nats_port_visit(struct yk_nats_port *port)
{
    int result = check_forks(port);

    if (result == 0)
        pthread_mutex_lock(&port->mutex);
    return result;
}

int yk_nats_port_enter(struct yk_nats_port *port)
{
    int result = check_forks(port);

    if (result < 0)
        return result;
    pthread_mutex_lock(&port->mutex);
    if (!port->cancelled) {
        port->inside++;
        return 0;
    }
    pthread_mutex_unlock(&port->mutex);
    return yk_fail(ECANCELED, "the endpoint was cancelled");
}

void yk_nats_port_leave(struct yk_nats_port *port)
{
    if (--port->inside == 0)
        pthread_cond_broadcast(&port->left);
    pthread_mutex_unlock(&port->mutex);
}

int yk_question_begin(struct yk_nats_port *port, struct yk_question *question, size_t count,
                      enum yk_outcome *outcomes)
{
    int bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    if (bell < 0)
        return yk_fail(errno, "no descriptor to wait by: %s", strerror(errno));
    memset(outcomes, 0, count * sizeof *outcomes);
    *question = (struct yk_question){.first = port->token + 1,
                                     .count = count,
                                     .unanswered = count,
                                     .outcomes = outcomes,
                                     .bell = bell,
                                     .next = port->questions};
    port->token += count;
    port->questions = question;
    return 0;
}

void yk_question_end(struct yk_nats_port *port, struct yk_question *question)
{
    for (struct yk_question **at = &port->questions; *at; at = &(*at)->next)
        if (*at == question) {
            *at = question->next;
            break;
        }
    close(question->bell);
}

int yk_nats_port_sleep(struct yk_nats_port *port, int first, int second, int64_t until)
{
    struct pollfd fds[3] = {{.fd = port->cancel, .events = POLLIN},
                            {.fd = first, .events = POLLIN},
                            {.fd = second, .events = POLLIN}};
    int64_t left = until == INT64_MAX ? INT64_MAX : until - yk_nats_now();
    struct timespec time = {.tv_sec = left / YK_SECOND_NS, .tv_nsec = left % YK_SECOND_NS};

    if (left <= 0)
        time = (struct timespec){.tv_sec = 0};
    pthread_mutex_unlock(&port->mutex);
    int ready = ppoll(fds, 3, until == INT64_MAX ? NULL : &time, NULL);
    int result = ready < 0 ? -errno : ready == 0 ? -ETIMEDOUT : 0;
    pthread_mutex_lock(&port->mutex);
    if (port->cancelled)
        return yk_fail(ECANCELED, "the endpoint was cancelled");
    return result;
}

int yk_nats_port_check_there(struct yk_nats_port *port)
{
    struct yk_nats_facts facts;
    int result = yk_nats_find(port->line.hub, "port", port->name, &facts);

    if (result == 0 && facts.generation == port->facts.generation)
        return 0;
    if (result == 0 || result == -ENOENT)
        return yk_fail(ENOENT, "port:%s was removed while it was open", port->name);
    return 0; /* nobody says so */
}

/* ---- making and removing --------------------------------------------------------------------- */

static int add_stream(struct yk_hub *hub, const char *what, const char *name,
                      const struct yk_nats_facts *facts, uint32_t most)
{
    char stream[YK_NATS_SUBJECT_MOST], subject[YK_NATS_SUBJECT_MOST];
    jsStreamConfig config;

    yk_nats_stream(stream, hub, what, name, facts->generation);
    yk_nats_subject(subject, hub, what, name, facts->generation);
    jsStreamConfig_Init(&config);
    config.Name = stream;
    config.Subjects = (const char *[]){subject};
    config.SubjectsLen = 1;
    config.Retention = js_WorkQueuePolicy;
    config.Discard = js_DiscardNew;
    config.Storage = js_FileStorage;
    config.MaxMsgs = most;
    config.MaxMsgSize = (int32_t)facts->max_message + HEADERS_MOST;
    config.Duplicates = DUPLICATES_NS;
    int result = yk_nats_add_stream(hub, &config, "making the stream of a port");
    if (result < 0)
        return result;

    jsConsumerConfig consumer;
    jsErrCode code = 0;
    jsConsumerConfig_Init(&consumer);
    consumer.Durable = YK_NATS_CONSUMER;
    consumer.AckPolicy = js_AckExplicit;
    consumer.AckWait = facts->ack_wait_ns;
    consumer.MaxDeliver = -1;
    consumer.MaxAckPending = -1;
    consumer.MaxWaiting = WAITING_MOST;
    natsStatus status = js_AddConsumer(NULL, hub->js, stream, &consumer, NULL, &code);
    return status == NATS_OK ? 0 : yk_hub_fail(status, code, "making the consumer of a port");
}

/* Are both streams there? The second is made last. */
static bool is_whole(struct yk_hub *hub, const char *name, uint64_t generation)
{
    char stream[YK_NATS_SUBJECT_MOST];
    jsConsumerInfo *info = NULL;

    yk_nats_stream(stream, hub, "parked", name, generation);
    natsStatus status = js_GetConsumerInfo(&info, hub->js, stream, YK_NATS_CONSUMER, NULL, NULL);
    jsConsumerInfo_Destroy(info);
    return status == NATS_OK;
}

static int make_whole(struct yk_hub *hub, const char *name, const struct yk_nats_facts *facts)
{
    int result = add_stream(hub, "port", name, facts, facts->depth);

    return result == 0 ? add_stream(hub, "parked", name, facts, facts->max_parked) : result;
}

static int facts_of(struct yk_nats_facts *facts, struct yk_hub *hub, uint32_t flags,
                    const struct yoke_options *options)
{
    int64_t most = natsConnection_GetMaxPayload(hub->connection) - HEADERS_MOST;

    *facts = (struct yk_nats_facts){
        .max_message = options->max_message ? options->max_message : MESSAGE_DEFAULT,
        .depth = options->depth ? options->depth : DEPTH_DEFAULT,
        .max_deliveries = options->max_deliveries ? options->max_deliveries : DELIVERIES_DEFAULT,
        .max_parked = options->max_parked,
        .max_borrowed = options->max_borrowed ? options->max_borrowed : BORROWED_DEFAULT,
        .kept = (flags & YOKE_KEPT) != 0,
        .ack_wait_ns = hub->where.ack_wait_ns,
    };
    if (facts->max_parked == 0)
        facts->max_parked = facts->depth / 4 ? facts->depth / 4 : 1;
    if ((int64_t)facts->max_message > most)
        return yk_fail(
            EINVAL,
            "messages of %llu bytes: this server carries %lld at most (its max_payload, less %d for "
            "headers)",
            (unsigned long long)facts->max_message, (long long)most, HEADERS_MOST);
    return 0;
}

static int find_or_make(struct yk_hub *hub, const char *name, uint32_t flags,
                        const struct yoke_options *options, struct yk_nats_facts *ret)
{
    for (int tries = 0; tries < OPEN_TRIES; tries++) {
        int result = yk_nats_find(hub, "port", name, ret);
        if (result == 0 && (flags & YOKE_EXCLUSIVE))
            return yk_fail(EEXIST, "port:%s is there already", name);
        if (result == 0)
            return is_whole(hub, name, ret->generation) ? 0 : make_whole(hub, name, ret);
        if (result != -ENOENT || !(flags & YOKE_CREATE))
            return result;
        result = facts_of(ret, hub, flags, options);
        if (result == 0)
            result = yk_nats_create(hub, "port", name, ret);
        if (result == 0)
            return make_whole(hub, name, ret);
        if (result != -EEXIST)
            return result;
    }
    return yk_fail(EBUSY, "port:%s is being made and removed all the time", name);
}

static int remove_stream(struct yk_hub *hub, const char *what, const char *name,
                         uint64_t generation)
{
    char stream[YK_NATS_SUBJECT_MOST];
    jsErrCode code = 0;

    yk_nats_stream(stream, hub, what, name, generation);
    natsStatus status = js_DeleteStream(hub->js, stream, NULL, &code);
    return status == NATS_OK || code == JSStreamNotFoundErr
               ? 0
               : yk_hub_fail(status, code, "removing a stream");
}

static int retire(struct yk_hub *hub, const char *name, const struct yk_nats_facts *facts)
{
    int result = yk_nats_retire(hub, "port", name, facts);

    if (result == 0)
        result = remove_stream(hub, "port", name, facts->generation);
    return result == 0 ? remove_stream(hub, "parked", name, facts->generation) : result;
}

/* The last user of a transient port takes it along; see names.h. */
static void retire_if_last(struct yk_hub *hub, const char *name, uint64_t generation)
{
    struct yk_nats_facts facts;
    uint64_t others = 0;

    if (yk_here_count(hub, "port", name, generation, &others) < 0 || others > 0 ||
        yk_nats_find(hub, "port", name, &facts) < 0 || facts.generation != generation ||
        facts.closing || yk_nats_mark(hub, "port", name, &facts, true) < 0)
        return;
    if (yk_here_count(hub, "port", name, generation, &others) < 0 || others > 0)
        yk_nats_mark(hub, "port", name, &facts, false);
    else
        retire(hub, name, &facts);
}

/* Is the port that it has entered still there, and to stay? 0; -ENOENT: it went; -EAGAIN: it is going. */
static int check_stays(struct yk_hub *hub, const char *name, uint64_t generation)
{
    struct yk_nats_facts facts;
    int64_t give_up = yk_nats_now() + CLOSING_NS;

    for (;;) {
        int result = yk_nats_find(hub, "port", name, &facts);
        if (result < 0)
            return result;
        if (facts.generation != generation)
            return -ENOENT;
        if (!facts.closing)
            return 0;
        if (yk_nats_now() > give_up) /* whoever was going to remove it does not go on */
            yk_nats_mark(hub, "port", name, &facts, false);
        else
            nanosleep(&(struct timespec){.tv_nsec = CLOSING_LOOK_NS}, NULL);
    }
}

int yk_nats_port_remove(const struct yk_address *address)
{
    struct yk_nats_facts facts;
    struct yk_hub *hub;
    int result = yk_hub_get(&hub, address->where);

    if (result < 0)
        return result;
    result = yk_nats_find(hub, "port", address->name, &facts);
    if (result == 0)
        result = retire(hub, address->name, &facts);
    yk_hub_put(hub);
    return result;
}

/* ---- opening and closing --------------------------------------------------------------------- */

static int check(uint32_t flags, const struct yoke_options *options)
{
    if (flags & (YOKE_HUGE | YOKE_POPULATE | YOKE_SPARSE))
        return yk_fail(ENOTSUP,
                       "a port on NATS has no memory of its own: %s is for the place memory",
                       flags & YOKE_HUGE       ? "YOKE_HUGE"
                       : flags & YOKE_POPULATE ? "YOKE_POPULATE"
                                               : "YOKE_SPARSE");
    if (options->priorities > 1)
        return yk_fail(
            ENOTSUP,
            "%u priorities: a port on NATS has one order, in which JetStream stores its messages; use "
            "a port for each priority",
            options->priorities);
    if (options->policy == YOKE_POLICY_ONCE)
        return yk_fail(ENOTSUP,
                       "the policy once: a port on NATS delivers again what was not acknowledged");
    if (options->as && (options->as[0] == '\0' || strlen(options->as) > YOKE_PEER_NAME_MAX))
        return yk_fail(EINVAL, "yoke_options.as is to have 1 to %d characters", YOKE_PEER_NAME_MAX);
    return 0;
}

static void port_free(struct yk_nats_port *port)
{
    struct yk_hub *hub = port->line.hub;

    drop_everything(port);
    json_decref(port->description);
    close(port->cancel);
    close(port->bell);
    pthread_cond_destroy(&port->left);
    pthread_mutex_destroy(&port->mutex);
    if (hub && port->forks == yk_nats_forks())
        yk_hub_put(hub);
    free(port);
}

static int cancel(void *self)
{
    struct yk_nats_port *port = self;
    uint64_t one = 1;

    pthread_mutex_lock(&port->mutex);
    port->cancelled = true;
    if (write(port->cancel, &one, sizeof one) < 0 || write(port->bell, &one, sizeof one) < 0)
        one = 0; /* both are rung already */
    pthread_mutex_unlock(&port->mutex);
    return 0;
}

static void close_port(void *self)
{
    struct yk_nats_port *port = self;

    if (port->forks != yk_nats_forks()) { /* what is open is the parent's, and so are the locks */
        port_free(port);
        return;
    }
    cancel(port);
    pthread_mutex_lock(&port->mutex);
    while (port->inside > 0)
        pthread_cond_wait(&port->left, &port->mutex);
    pthread_mutex_unlock(&port->mutex);
    pthread_mutex_lock(&port->mutex);
    port->closing = true;
    pthread_mutex_unlock(&port->mutex);
    yk_ear_close(&port->next);
    yk_ear_close(&port->watcher);
    yk_hub_remove(&port->line);
    yk_nats_port_give_all_back(port);
    yk_hub_flush(port->line.hub,
                 YK_NATS_CALL_MS); /* what was acknowledged is so when this returns */
    yk_here_leave(&port->here);
    if (!port->facts.kept)
        retire_if_last(port->line.hub, port->name, port->facts.generation);
    port_free(port);
}

static size_t max_message(void *self)
{
    return ((struct yk_nats_port *)self)->facts.max_message;
}

static const struct yk_endpoint_operations operations = {
    .what = "a port on NATS",
    .close = close_port,
    .cancel = cancel,
    .max_message = max_message,
    .fd = yk_nats_port_fd,
    .send_many = yk_nats_port_send_many,
    .recv_many = yk_nats_port_recv_many,
    .borrow_many = yk_nats_port_borrow_many,
    .commit_many = yk_nats_port_commit_many,
    .loan = yk_nats_port_loan,
    .release = yk_nats_port_release,
    .give_back = yk_nats_port_give_back,
};

static struct yk_nats_port *port_new(void)
{
    struct yk_nats_port *port = calloc(1, sizeof *port);

    if (!port)
        return NULL;
    port->cancel = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    port->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return port;
}

/* Undoes begin() and enter(). */
static void withdraw(struct yk_nats_port *port)
{
    yk_here_leave(&port->here);
    yk_hub_remove(&port->line);
    json_decref(port->description);
    pthread_cond_destroy(&port->left);
    pthread_mutex_destroy(&port->mutex);
}

static int port_start(struct yk_nats_port *port, uint32_t flags, const struct yoke_options *options)
{
    struct yk_hub *hub;
    int result =
        port->cancel < 0 || port->bell < 0 ? yk_fail(EMFILE, "no descriptor for an endpoint") : 0;

    if (result == 0)
        result = yk_hub_get(&hub, port->place);
    if (result < 0)
        return result;
    for (int tries = 0; tries < OPEN_TRIES; tries++) {
        result = find_or_make(hub, port->name, flags, options, &port->facts);
        if (result < 0)
            break;
        begin(port, hub);
        result = enter(port);
        if (result == 0)
            result = check_stays(hub, port->name, port->facts.generation);
        if (result == 0)
            return 0;
        withdraw(port);
        if (result != -ENOENT)
            break;
    }
    yk_hub_put(hub);
    return result;
}

int yk_nats_port_open(yoke_endpoint *endpoint, const struct yk_address *address, uint32_t flags,
                      const struct yoke_options *options)
{
    int result = check(flags, options);
    if (result < 0)
        return result;
    struct yk_nats_port *port = port_new();
    if (!port)
        return yk_fail(ENOMEM, "no memory for an endpoint");
    strcpy(port->name, address->name);
    strcpy(port->place, address->where);
    port->parked = (flags & YOKE_PARKED) != 0;
    choose_scope(port, options->as);
    result = port_start(port, flags, options);
    if (result < 0) {
        close(port->cancel);
        close(port->bell);
        free(port);
        return result;
    }
    endpoint->self = port;
    endpoint->operations = &operations;
    return 0;
}
