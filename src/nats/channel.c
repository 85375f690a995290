/*
 * channel.c - see channel.h: opening, closing, removing, and how calls wait.
 */
#include "channel.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "fork.h"

#define DEPTH_DEFAULT    256
#define MESSAGE_DEFAULT  4096
#define BORROWED_DEFAULT 64
#define DUPLICATES_NS    (120 * YK_SECOND_NS)
#define CLOSING_NS       YK_SECOND_NS
#define CLOSING_LOOK_NS  (10 * YK_MILLISECOND_NS)
#define SENTENCE_MOST    512
#define AWAY_MS          2000
#define STREAM_MOST      255 /* bytes of a stream's name, by the servers */
#define AROUND_NAME      30  /* "-signals-", "-" and a generation */
#define OPEN_TRIES       8   /* each is lost to another one that creates or removes */

/* ---- beginning ------------------------------------------------------------------------------- */

static void arrived(struct yk_line *line, char kind, uint64_t token, natsMsg *message)
{
    struct yk_channel *channel = (struct yk_channel *)line;

    pthread_mutex_lock(&channel->mutex);
    if (kind == YK_ASKED_SEND || kind == YK_ASKED_STATE)
        yk_channel_take_answer(channel, kind, token, message);
    else if (kind == YK_ASKED_RENEW)
        yk_here_answer(&channel->here, token, message);
    else
        channel->kind->arrived(channel, kind, token, message);
    pthread_mutex_unlock(&channel->mutex);
    natsMsg_Destroy(message);
}

static void interrupted(struct yk_line *line, bool over)
{
    struct yk_channel *channel = (struct yk_channel *)line;

    pthread_mutex_lock(&channel->mutex);
    if (channel->kind->interrupted)
        channel->kind->interrupted(channel, over);
    pthread_mutex_unlock(&channel->mutex);
}

static json_t *describe(const struct yk_channel *channel)
{
    json_t *all = json_copy(channel->description);
    json_t *now = json_pack("{s:I, s:I, s:I, s:I, s:I, s:b}", "sent", (json_int_t)channel->sent,
                            "received", (json_int_t)channel->received, "held",
                            (json_int_t)channel->held_count, "empty", (json_int_t)channel->empty,
                            "full", (json_int_t)channel->full, "parked", (int)channel->parked);

    if (all && now)
        json_object_update(all, now);
    json_decref(now);
    return all;
}

static void tick(struct yk_line *line, int64_t now)
{
    struct yk_channel *channel = (struct yk_channel *)line;

    pthread_mutex_lock(&channel->mutex);
    channel->kind->tick(channel, now);
    if (yk_here_is_due(&channel->here, now))
        yk_here_renew(&channel->here, now, describe(channel));
    pthread_mutex_unlock(&channel->mutex);
}

/* Also in a child, of what is the parent's. */
static void drop_everything(struct yk_channel *channel)
{
    for (struct yk_doubt *doubt; (doubt = channel->doubts) != NULL;) {
        channel->doubts = doubt->next;
        free(doubt);
    }
    for (struct yk_loan *loan; (loan = channel->loans) != NULL;) {
        channel->loans = loan->next;
        free(loan);
    }
    for (struct yk_delivery *delivery; (delivery = channel->queue) != NULL;) {
        channel->queue = delivery->next;
        free(delivery);
    }
    for (struct yk_delivery *delivery; (delivery = channel->held) != NULL;) {
        channel->held = delivery->next;
        free(delivery);
    }
    json_decref(channel->description);
    channel->description = NULL;
    channel->kind->forget(channel);
}

/* All that is not settings, in the process that it is to be used in. */
static void begin(struct yk_channel *channel, struct yk_hub *hub)
{
    pthread_mutex_init(&channel->mutex, NULL);
    pthread_cond_init(&channel->left, NULL);
    channel->forks = yk_nats_forks();
    channel->line =
        (struct yk_line){.hub = hub, .arrived = arrived, .tick = tick, .interrupted = interrupted};
    channel->description = yk_here_describe();
    channel->kind->begin(channel);
    yk_hub_add(hub, &channel->line);
}

/* Says that it is there. */
static int join(struct yk_channel *channel)
{
    int result = channel->kind->join ? channel->kind->join(channel) : 0;

    if (result < 0 || channel->unseen)
        return result;
    result = yk_here_enter(&channel->here, &channel->line, channel->kind->name, channel->name,
                           channel->facts.generation, describe(channel));
    if (result < 0 && channel->kind->leave)
        channel->kind->leave(channel);
    return result;
}

static int start(struct yk_channel *channel)
{
    return channel->kind->start ? channel->kind->start(channel) : 0;
}

/* Undoes begin() and, if that was done, join(). */
static void withdraw(struct yk_channel *channel, bool joined)
{
    channel->kind->deafen(channel);
    yk_hub_remove(&channel->line);
    if (joined)
        yk_here_leave(&channel->here);
    if (joined && channel->kind->leave)
        channel->kind->leave(channel);
    drop_everything(channel);
    pthread_cond_destroy(&channel->left);
    pthread_mutex_destroy(&channel->mutex);
}

/* ---- in a forked child ----------------------------------------------------------------------- */

/* The number that the parent knows stays, for what is polled already. */
static int renew_descriptors(const struct yk_channel *channel)
{
    int cancel = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
        bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int result = cancel < 0 || bell < 0 ? yk_fail(EMFILE, "no descriptor for an endpoint") : 0;

    if (result == 0) {
        dup3(cancel, channel->cancel, O_CLOEXEC);
        dup3(bell, channel->bell, O_CLOEXEC);
    }
    close(cancel);
    close(bell);
    return result;
}

static void reset(struct yk_channel *channel)
{
    struct yk_channel fresh = {.kind = channel->kind,
                               .facts = channel->facts,
                               .parked = channel->parked,
                               .unseen = channel->unseen,
                               .watched = channel->watched,
                               .cancel = channel->cancel,
                               .bell = channel->bell,
                               .also = -1,
                               .endpoint = channel->endpoint};

    drop_everything(channel);
    strcpy(fresh.name, channel->name);
    strcpy(fresh.label, channel->label);
    strcpy(fresh.place, channel->place);
    strcpy(fresh.as, channel->as);
    yk_nats_random_hex(fresh.scope, 16);
    *channel = fresh;
}

/* What a child inherited: the settings are of use, all else is the parent's. */
static int reopen(struct yk_channel *channel)
{
    unsigned before = channel->forks;
    struct yk_hub *hub;
    int result = yk_hub_get(&hub, channel->place);

    if (result < 0)
        return result;
    result = renew_descriptors(channel);
    if (result < 0) {
        yk_hub_put(hub);
        return result;
    }
    reset(channel);
    begin(channel, hub);
    result = join(channel);
    bool joined = result == 0;
    if (joined)
        result = start(channel);
    if (result == 0 && channel->watched)
        result = channel->kind->watch(channel);
    if (result < 0) {
        withdraw(channel, joined);
        channel->forks = before; /* the next call tries again */
        yk_hub_put(hub);
    }
    return result;
}

static int check_forks(struct yk_channel *channel)
{
    int result = 0;

    if (channel->forks == yk_nats_forks())
        return 0;
    pthread_mutex_lock(&yk_nats_reopening);
    if (channel->forks != yk_nats_forks())
        result = reopen(channel);
    pthread_mutex_unlock(&yk_nats_reopening);
    return result;
}

int yk_channel_visit(struct yk_channel *channel)
{
    int result = check_forks(channel);

    if (result == 0)
        pthread_mutex_lock(&channel->mutex);
    return result;
}

int yk_channel_enter(struct yk_channel *channel)
{
    int result = check_forks(channel);

    if (result < 0)
        return result;
    pthread_mutex_lock(&channel->mutex);
    if (!channel->cancelled) {
        channel->inside++;
        return 0;
    }
    pthread_mutex_unlock(&channel->mutex);
    return yk_fail(ECANCELED, "the endpoint was cancelled");
}

void yk_channel_leave(struct yk_channel *channel)
{
    if (--channel->inside == 0)
        pthread_cond_broadcast(&channel->left);
    pthread_mutex_unlock(&channel->mutex);
}

/* ---- waiting --------------------------------------------------------------------------------- */

int yk_question_begin(struct yk_channel *channel, struct yk_question *question, size_t count,
                      enum yk_outcome *outcomes)
{
    int bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    if (bell < 0)
        return yk_fail(errno, "no descriptor to wait by: %s", strerror(errno));
    memset(outcomes, 0, count * sizeof *outcomes);
    *question = (struct yk_question){.first = channel->token + 1,
                                     .count = count,
                                     .unanswered = count,
                                     .outcomes = outcomes,
                                     .bell = bell,
                                     .next = channel->questions};
    channel->token += count;
    channel->questions = question;
    return 0;
}

void yk_question_end(struct yk_channel *channel, struct yk_question *question)
{
    for (struct yk_question **at = &channel->questions; *at; at = &(*at)->next)
        if (*at == question) {
            *at = question->next;
            break;
        }
    close(question->bell);
}

struct yk_question *yk_question_find(struct yk_channel *channel, uint64_t token)
{
    struct yk_question *question = channel->questions;

    while (question && (token < question->first || token - question->first >= question->count))
        question = question->next;
    return question;
}

void yk_question_answer(struct yk_question *question, enum yk_outcome outcome)
{
    uint64_t one = 1;

    question->outcomes[0] = outcome;
    question->unanswered = 0;
    if (write(question->bell, &one, sizeof one) < 0)
        return; /* it is rung already */
}

int yk_channel_sleep(struct yk_channel *channel, int first, int second, int64_t until)
{
    struct pollfd fds[3] = {{.fd = channel->cancel, .events = POLLIN},
                            {.fd = first, .events = POLLIN},
                            {.fd = second, .events = POLLIN}};
    int64_t left = until == INT64_MAX ? INT64_MAX : until - yk_nats_now();
    struct timespec time = {.tv_sec = left / YK_SECOND_NS, .tv_nsec = left % YK_SECOND_NS};

    if (left <= 0)
        time = (struct timespec){.tv_sec = 0};
    pthread_mutex_unlock(&channel->mutex);
    int ready = ppoll(fds, 3, until == INT64_MAX ? NULL : &time, NULL);
    int result = ready < 0 ? -errno : ready == 0 ? -ETIMEDOUT : 0;
    pthread_mutex_lock(&channel->mutex);
    if (channel->cancelled)
        return yk_fail(ECANCELED, "the endpoint was cancelled");
    return result;
}

int yk_channel_check_there(struct yk_channel *channel)
{
    struct yk_nats_facts facts;

    if (!yk_hub_connected(channel->line.hub))
        return 0; /* nobody says so */
    pthread_mutex_unlock(&channel->mutex);
    int result = yk_nats_find(channel->line.hub, channel->kind->name, channel->name, &facts);
    pthread_mutex_lock(&channel->mutex);
    if (result == 0 && facts.generation == channel->facts.generation)
        return 0;
    if (result == 0 || result == -ENOENT)
        return yk_fail(ENOENT, "%s was removed while it was open", channel->label);
    return 0; /* nobody says so */
}

/* ---- making and removing --------------------------------------------------------------------- */

int yk_channel_add_stream(struct yk_hub *hub, const char *what, const char *name,
                          const struct yk_nats_facts *facts, int64_t most)
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
    config.MaxMsgSize = (int32_t)facts->max_message + YK_NATS_HEADERS_MOST;
    config.Duplicates = DUPLICATES_NS;
    return yk_nats_add_stream(hub, &config, facts->replicas, "making a stream");
}

int yk_channel_remove_stream(struct yk_hub *hub, const char *what, const char *name,
                             uint64_t generation)
{
    char stream[YK_NATS_SUBJECT_MOST];
    jsErrCode code = 0;

    yk_nats_stream(stream, hub, what, name, generation);
    natsStatus status;
    int64_t until = 0;

    do {
        code = 0;
        status = js_DeleteStream(hub->js, stream, NULL, &code);
    } while (yk_hub_again(hub, status, code, &until));
    return status == NATS_OK || code == JSStreamNotFoundErr
               ? 0
               : yk_hub_fail(status, code, "removing a stream");
}

static int plan(struct yk_nats_facts *facts, const struct yk_channel_kind *kind, struct yk_hub *hub,
                uint32_t flags, const struct yoke_options *options)
{
    int64_t most = natsConnection_GetMaxPayload(hub->connection) - YK_NATS_HEADERS_MOST;
    int64_t ack_wait = hub->where.ack_wait_ns;

    if (kind->ack_wait_ns > 0 && ack_wait > kind->ack_wait_ns)
        ack_wait = kind->ack_wait_ns;
    *facts = (struct yk_nats_facts){
        .max_message = options->max_message ? options->max_message : MESSAGE_DEFAULT,
        .depth = options->depth ? options->depth : DEPTH_DEFAULT,
        .max_deliveries = options->max_deliveries ? options->max_deliveries : kind->max_deliveries,
        .max_parked = options->max_parked,
        .max_borrowed = options->max_borrowed ? options->max_borrowed : BORROWED_DEFAULT,
        .kept = (flags & YOKE_KEPT) != 0,
        .ack_wait_ns = ack_wait,
    };
    if (facts->max_parked == 0)
        facts->max_parked = facts->depth / 4 ? facts->depth / 4 : 1;
    if ((int64_t)facts->max_message > most)
        return yk_fail(
            EINVAL,
            "messages of %llu bytes: this server carries %lld at most (its max_payload, less %d for "
            "headers)",
            (unsigned long long)facts->max_message, (long long)most, YK_NATS_HEADERS_MOST);
    return 0;
}

static int retire(struct yk_hub *hub, const struct yk_channel_kind *kind, const char *name,
                  const struct yk_nats_facts *facts)
{
    int result = yk_nats_retire(hub, kind->name, name, facts);

    return result == 0 ? kind->remove_streams(hub, name, facts->generation) : result;
}

/*
 * Its streams could not be made: then its name goes, too, unless another one made them meanwhile, or is about to
 * use it. Returns why, once more.
 */
static int abandon(const struct yk_channel *channel, struct yk_hub *hub, int why)
{
    const struct yk_channel_kind *kind = channel->kind;
    struct yk_nats_facts facts = channel->facts;
    char sentence[SENTENCE_MOST];
    uint64_t users = 0;

    if (why == -EHOSTUNREACH)
        return why; /* nobody hears it; whoever opens it next makes them */
    snprintf(sentence, sizeof sentence, "%s", yk_nats_explain());
    if (yk_nats_mark(hub, kind->name, channel->name, &facts, true) == 0) {
        int result = yk_here_count(hub, kind->name, channel->name, facts.generation, &users);
        if (result < 0 || users > 0 || kind->is_whole(hub, channel->name, facts.generation))
            yk_nats_mark(hub, kind->name, channel->name, &facts, false);
        else
            retire(hub, kind, channel->name, &facts);
    }
    return yk_fail(-why, "%s", sentence);
}

/* Whoever used it last may take it along while it is made whole. */
static bool went(const struct yk_channel *channel, struct yk_hub *hub)
{
    struct yk_nats_facts facts;
    int result = yk_nats_find(hub, channel->kind->name, channel->name, &facts);

    return result == -ENOENT || (result == 0 && facts.generation != channel->facts.generation);
}

/* One that is there: 0; -ENOENT: there is none, or it went. */
static int find(struct yk_channel *channel, struct yk_hub *hub, uint32_t flags)
{
    const struct yk_channel_kind *kind = channel->kind;
    struct yk_nats_facts *facts = &channel->facts;
    int result = yk_nats_find(hub, kind->name, channel->name, facts);

    if (result == 0 && (flags & YOKE_EXCLUSIVE))
        return yk_fail(EEXIST, "%s is there already", channel->label);
    if (result < 0 || channel->unseen || kind->is_whole(hub, channel->name, facts->generation))
        return result;
    result = kind->make_whole(hub, channel->name, facts);
    return result < 0 && went(channel, hub) ? -ENOENT : result;
}

/* -EEXIST: another one was faster; -ENOENT: it was there, and went. */
static int make(struct yk_channel *channel, struct yk_hub *hub, uint32_t flags,
                const struct yoke_options *options)
{
    const struct yk_channel_kind *kind = channel->kind;
    struct yk_nats_facts *facts = &channel->facts;
    int result = plan(facts, kind, hub, flags, options);

    strcpy(facts->owner, channel->owner);
    if (result == 0)
        result = yk_nats_create(hub, kind->name, channel->name, facts);
    if (result < 0)
        return result;
    result = kind->make_whole(hub, channel->name, facts);
    if (result == 0)
        return 0;
    return went(channel, hub) ? -ENOENT : abandon(channel, hub, result);
}

static int find_or_make(struct yk_channel *channel, struct yk_hub *hub, uint32_t flags,
                        const struct yoke_options *options)
{
    for (int tries = 0; tries < OPEN_TRIES; tries++) {
        int result = find(channel, hub, flags);
        if (result != -ENOENT || !(flags & YOKE_CREATE))
            return result;
        result = make(channel, hub, flags, options);
        if (result != -EEXIST && result != -ENOENT)
            return result;
    }
    return yk_fail(EBUSY, "%s is being made and removed all the time", channel->label);
}

/* The last user of a transient object takes it along; see names.h. */
static void retire_if_last(const struct yk_channel *channel)
{
    struct yk_hub *hub = channel->line.hub;
    const char *kind = channel->kind->name, *name = channel->name;
    uint64_t generation = channel->facts.generation, others = 0;
    struct yk_nats_facts facts;

    if (yk_here_count(hub, kind, name, generation, &others) < 0 || others > 0 ||
        yk_nats_find(hub, kind, name, &facts) < 0 || facts.generation != generation ||
        facts.closing || yk_nats_mark(hub, kind, name, &facts, true) < 0)
        return;
    if (yk_here_count(hub, kind, name, generation, &others) < 0 || others > 0)
        yk_nats_mark(hub, kind, name, &facts, false);
    else
        retire(hub, channel->kind, name, &facts);
}

/* Is what it has joined still there, and to stay? 0; -ENOENT: it went. */
static int check_stays(const struct yk_channel *channel, struct yk_hub *hub)
{
    const char *kind = channel->kind->name, *name = channel->name;
    struct yk_nats_facts facts;
    int64_t give_up = yk_nats_now() + CLOSING_NS;

    for (;;) {
        int result = yk_nats_find(hub, kind, name, &facts);
        if (result < 0)
            return result;
        if (facts.generation != channel->facts.generation)
            return -ENOENT;
        if (!facts.closing)
            return 0;
        if (yk_nats_now() > give_up) /* whoever was going to remove it does not go on */
            yk_nats_mark(hub, kind, name, &facts, false);
        else
            nanosleep(&(struct timespec){.tv_nsec = CLOSING_LOOK_NS}, NULL);
    }
}

int yk_channel_remove(const struct yk_channel_kind *kind, const char *place, const char *name)
{
    struct yk_nats_facts facts;
    struct yk_hub *hub;
    int result = yk_hub_get(&hub, place);

    if (result < 0)
        return result;
    result = yk_nats_find(hub, kind->name, name, &facts);
    if (result == 0)
        result = retire(hub, kind, name, &facts);
    yk_hub_put(hub);
    return result;
}

/* ---- opening and closing --------------------------------------------------------------------- */

int yk_channel_check(const struct yk_channel_kind *kind, uint32_t flags,
                     const struct yoke_options *options)
{
    if (flags & (YOKE_HUGE | YOKE_POPULATE | YOKE_SPARSE))
        return yk_fail(ENOTSUP, "a %s on NATS has no memory of its own: %s is for the place memory",
                       kind->name,
                       flags & YOKE_HUGE       ? "YOKE_HUGE"
                       : flags & YOKE_POPULATE ? "YOKE_POPULATE"
                                               : "YOKE_SPARSE");
    if (options->policy == YOKE_POLICY_ONCE)
        return yk_fail(ENOTSUP,
                       "the policy once: a %s on NATS delivers again what was not acknowledged",
                       kind->name);
    return 0;
}

int yk_channel_check_name(const char *kind, const char *name)
{
    char token[YK_NATS_TOKEN_MOST];
    int most = STREAM_MOST - YK_NATS_PREFIX_MOST - AROUND_NAME;

    yk_nats_encode(token, name);
    if (strlen(token) > (size_t)most)
        return yk_fail(
            EINVAL,
            "%s:%s: its name, of a link those of both peers, takes %zu bytes here, where "
            "letters, digits, '_' and '-' count 1 and others 3, and has %d",
            kind, name, strlen(token), most);
    return 0;
}

/* What is left of one that is in no hub. */
static void channel_free(struct yk_channel *channel)
{
    if (channel->cancel >= 0)
        close(channel->cancel);
    if (channel->bell >= 0)
        close(channel->bell);
    free(channel);
}

int yk_channel_cancel(void *self)
{
    YK_KEEP_ERRNO;
    struct yk_channel *channel = self;
    uint64_t one = 1;

    pthread_mutex_lock(&channel->mutex);
    channel->cancelled = true;
    if (write(channel->cancel, &one, sizeof one) < 0 || write(channel->bell, &one, sizeof one) < 0)
        one = 0; /* both are rung already */
    pthread_mutex_unlock(&channel->mutex);
    return 0;
}

static void await_calls(struct yk_channel *channel)
{
    pthread_mutex_lock(&channel->mutex);
    while (channel->inside > 0)
        pthread_cond_wait(&channel->left, &channel->mutex);
    channel->closing = true;
    pthread_mutex_unlock(&channel->mutex);
}

void yk_channel_close(void *self)
{
    YK_KEEP_ERRNO;
    struct yk_channel *channel = self;
    struct yk_hub *hub = channel->line.hub;

    if (channel->forks != yk_nats_forks()) { /* what is open is the parent's, so are the locks */
        drop_everything(channel);
        channel_free(channel);
        return;
    }
    yk_channel_cancel(channel);
    await_calls(channel);
    /* without servers all else is left to the lease */
    yk_hub_flush(hub, yk_hub_connected(hub) ? YK_NATS_CALL_MS : AWAY_MS);
    channel->kind->deafen(channel);
    yk_hub_remove(&channel->line);
    channel->kind->end(channel);
    if (!yk_hub_is_away(hub))
        yk_hub_flush(hub, YK_NATS_CALL_MS); /* what was acknowledged is so when this returns */
    yk_here_leave(&channel->here);
    if (!channel->facts.kept && !yk_hub_is_away(hub))
        retire_if_last(channel);
    if (channel->kind->leave)
        channel->kind->leave(channel);
    drop_everything(channel);
    pthread_cond_destroy(&channel->left);
    pthread_mutex_destroy(&channel->mutex);
    channel_free(channel);
    yk_hub_put(hub);
}

size_t yk_channel_max_message(void *self)
{
    return ((struct yk_channel *)self)->facts.max_message;
}

static int channel_start(struct yk_channel *channel, struct yk_hub *hub, uint32_t flags,
                         const struct yoke_options *options)
{
    int result = 0;

    for (int tries = 0; tries < OPEN_TRIES; tries++) {
        result = find_or_make(channel, hub, flags, options);
        if (result < 0)
            break;
        begin(channel, hub);
        result = join(channel);
        bool joined = result == 0;
        if (joined)
            result = check_stays(channel, hub);
        if (result == 0)
            result = start(channel);
        if (result == 0)
            break;
        withdraw(channel, joined);
        if (result != -ENOENT)
            break;
    }
    return result;
}

int yk_channel_open(yoke_endpoint *endpoint, struct yk_channel *channel,
                    const struct yk_endpoint_operations *operations, uint32_t flags,
                    const struct yoke_options *options)
{
    struct yk_hub *hub;
    int result = 0;

    yk_nats_random_hex(channel->scope, 16);
    if (channel->kind->names_senders && options->as)
        snprintf(channel->as, sizeof channel->as, "%s", options->as);
    channel->cancel = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    channel->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    channel->also = -1;
    if (channel->cancel < 0 || channel->bell < 0)
        result = yk_fail(EMFILE, "no descriptor for an endpoint");
    if (result == 0)
        result = yk_channel_check_name(channel->kind->name, channel->name);
    if (result == 0)
        result = yk_hub_get(&hub, channel->place);
    if (result == 0) {
        result = channel_start(channel, hub, flags, options);
        if (result < 0)
            yk_hub_put(hub);
    }
    if (result < 0) {
        channel_free(channel);
        return result;
    }
    endpoint->self = channel;
    endpoint->operations = operations;
    pthread_mutex_lock(&channel->mutex);
    channel->endpoint = endpoint;
    yk_nats_ring(channel->also); /* what came while it was opened may be received now */
    pthread_mutex_unlock(&channel->mutex);
    return 0;
}
