/*
 * link_receive.c - receiving from a link on JetStream. Who receives has the end alone, so what comes is asked for
 * ahead, and what is given back stays here and is the next to come.
 *
 * The consumer counts what it delivers. Where a number is missing, a delivery was lost on its way: a new consumer
 * delivers all again that is not acknowledged, of which what is known is not taken twice.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nats_link.h"

#define REQUEST_NS (3 * YK_SECOND_NS) /* of one request: a new leader knows nothing of older ones */
#define GRACE_NS   (YK_SECOND_NS)     /* for the answer that the time is over */
#define AGAIN_NS   (50 * YK_MILLISECOND_NS)
#define COMING_NS  (2 * YK_SECOND_NS) /* for what is there and was asked for */
#define LOOK_NS    (5 * YK_MILLISECOND_NS)
#define BATCH_MOST 256
#define AHEAD_MOST (4u << 20) /* bytes */

/* ---- how often something was delivered ------------------------------------------------------- */

static uint32_t delivered_before(const struct yk_end *end, uint64_t sequence)
{
    for (size_t i = 0; i < end->step_count; i++)
        if (sequence <= end->steps[i].upto)
            return end->steps[i].count;
    return 0;
}

/* Two steps become one, and what is in the first counts as much as what is in the second, or the other way round. */
static void shorten(struct yk_end *end)
{
    struct yk_step *steps = end->steps;

    if (steps[0].count > steps[1].count)
        steps[1].count = steps[0].count;
    end->step_count--;
    memmove(steps, steps + 1, end->step_count * sizeof *steps);
}

static void add_step(struct yk_end *end, uint64_t upto, uint32_t count)
{
    struct yk_step *last = end->step_count ? &end->steps[end->step_count - 1] : NULL;

    if (last && last->count == count) {
        last->upto = upto;
        return;
    }
    if (end->step_count == YK_STEPS_MOST)
        shorten(end);
    end->steps[end->step_count++] = (struct yk_step){.upto = upto, .count = count};
}

void yk_end_count(struct yk_end *end, uint64_t upto)
{
    struct yk_end before = *end;
    uint64_t done = 0;

    end->step_count = 0;
    for (size_t i = 0; i < before.step_count; i++) {
        const struct yk_step *step = &before.steps[i];
        if (step->upto > upto && done < upto) {
            add_step(end, upto, step->count + 1);
            done = upto;
        }
        add_step(end, step->upto, step->count + (step->upto <= upto));
        done = step->upto;
    }
    if (done < upto)
        add_step(end, upto, 1);
}

static int by_sequence(const void *a, const void *b)
{
    const struct yk_step *x = a, *y = b;

    return x->upto < y->upto ? -1 : x->upto > y->upto;
}

static size_t count_list(const struct yk_delivery *delivery, uint32_t less, struct yk_step *steps)
{
    size_t count = 0;

    for (; delivery; delivery = delivery->next, count++)
        if (steps)
            steps[count] =
                (struct yk_step){.upto = delivery->sequence,
                                 .count = delivery->deliveries - delivery->marked - less};
    return count;
}

void yk_nats_link_count_up(struct yk_nats_link *link, struct yk_end *ret)
{
    const struct yk_channel *channel = &link->channel;
    size_t held = count_list(channel->held, 0, NULL),
           all = held + count_list(channel->queue, 1, NULL);
    struct yk_step *steps = calloc(all + 1, sizeof *steps);

    ret->step_count = 0;
    if (steps) {
        count_list(channel->held, 0, steps);
        count_list(channel->queue, 1, steps + held);
        qsort(steps, all, sizeof *steps, by_sequence);
    }
    for (size_t i = 0; steps && i < all; i++)
        add_step(ret, steps[i].upto, steps[i].count);
    for (size_t i = 0; i < link->mine.step_count; i++)
        if (link->mine.steps[i].upto > link->seen)
            add_step(ret, link->mine.steps[i].upto, link->mine.steps[i].count);
    free(steps);
    while (ret->step_count > 0 && ret->steps[ret->step_count - 1].count == 0)
        ret->step_count--;
}

/* ---- what arrives (in the client's thread) --------------------------------------------------- */

static struct yk_delivery *find(struct yk_delivery *delivery, uint64_t sequence)
{
    while (delivery && delivery->sequence != sequence)
        delivery = delivery->next;
    return delivery;
}

/* It is here already, or was released: then the servers did not hear of that. */
static void take_known(struct yk_channel *channel, natsMsg *message, uint64_t sequence)
{
    struct yk_delivery *known = find(channel->queue, sequence);

    if (!known)
        known = find(channel->held, sequence);
    if (known)
        strcpy(known->reply, natsMsg_GetReply(message));
    else
        yk_hub_acknowledge(channel->line.hub, natsMsg_GetReply(message), "+ACK");
}

static void take_new(struct yk_nats_link *link, natsMsg *message,
                     const struct yk_delivered *delivered)
{
    struct yk_channel *channel = &link->channel;
    struct yk_delivered counted = *delivered;
    uint32_t before = delivered_before(&link->mine, delivered->sequence);

    if (before >= channel->facts.max_deliveries && channel->facts.max_deliveries != UINT32_MAX) {
        yk_hub_acknowledge(channel->line.hub, natsMsg_GetReply(message), "+ACK");
        link->seen = delivered->sequence;
        link->dropped++;
        return;
    }
    counted.deliveries = before + UINT64_C(1);
    counted.again = before == 0 && delivered->sequence <= link->mine.perhaps;
    struct yk_delivery *delivery = yk_delivery_new(message, &counted);
    if (!delivery) { /* as if it had been lost on its way */
        link->broken = true;
        return;
    }
    link->seen = delivered->sequence;
    yk_channel_enqueue(channel, delivery);
}

/* By the subject of the acknowledgement. */
static bool is_from(const char *reply, const char *consumer)
{
    const char *at = strstr(reply, consumer);

    return at && at > reply && at[-1] == '.' && at[strlen(consumer)] == '.';
}

void yk_nats_link_delivered(struct yk_channel *channel, char kind, natsMsg *message,
                            const struct yk_delivered *delivered)
{
    struct yk_nats_link *link = (struct yk_nats_link *)channel;

    (void)kind;
    if (channel->closing || link->broken ||
        !is_from(natsMsg_GetReply(message), link->mine.consumer))
        return; /* it comes again, to whom it may concern */
    if (link->credit > 0 && --link->credit == 0)
        link->until = 0; /* all that was asked for is here: more may be asked for at once */
    if (delivered->number > link->number + 1) {
        link->broken = true;
        yk_channel_ring(channel);
        return;
    }
    link->number = delivered->number;
    if (delivered->sequence <= link->seen)
        take_known(channel, message, delivered->sequence);
    else
        take_new(link, message, delivered);
}

/* The time of a request is over, or nobody has the consumer now: there is another request in a moment. */
void yk_nats_link_told(struct yk_channel *channel, char kind, uint64_t token, natsMsg *message)
{
    struct yk_nats_link *link = (struct yk_nats_link *)channel;
    const char *status = NULL;

    (void)kind;
    if (natsMsgHeader_Get(message, "Status", &status) != NATS_OK || !status || status[0] == '1' ||
        token != link->asking)
        return;
    bool nobody = strcmp(status, "503") == 0 || strcmp(status, "409") == 0;
    link->credit = 0;
    link->until = nobody ? yk_nats_now() + AGAIN_NS : 0;
}

/* ---- asking ---------------------------------------------------------------------------------- */

static size_t ahead(const struct yk_channel *channel)
{
    size_t most = AHEAD_MOST / (channel->facts.max_message + 1);

    most = most < BATCH_MOST ? most : BATCH_MOST;
    return most > 0 ? most : 1;
}

/*
 * Where deliveries are bounded, what nobody took must not count as delivered when this process dies: then only
 * what is wanted is asked for.
 */
static void ask(struct yk_nats_link *link, size_t wanted, int64_t now)
{
    struct yk_channel *channel = &link->channel;
    char reply[YK_NATS_REPLY_MOST], text[96], subject[sizeof link->source + 96];

    if (!link->started || link->lost || link->broken || link->making || channel->closing ||
        link->credit > 0 || now < link->until)
        return;
    if (channel->facts.max_deliveries == UINT32_MAX || wanted > ahead(channel))
        wanted = ahead(channel);
    link->credit = wanted;
    link->asking = ++channel->token;
    link->until = now + REQUEST_NS + GRACE_NS;
    yk_ear_reply(&link->next, link->asking, reply);
    snprintf(text, sizeof text, "{\"batch\":%zu,\"expires\":%lld}", wanted, (long long)REQUEST_NS);
    snprintf(subject, sizeof subject, "$JS.API.CONSUMER.MSG.NEXT.%s.%s", link->source,
             link->mine.consumer);
    yk_hub_ask(&channel->line, subject, reply, text, strlen(text));
}

void yk_nats_link_receiving_tick(struct yk_nats_link *link, int64_t now)
{
    struct yk_channel *channel = &link->channel;

    if (!link->started || channel->queue || !(link->waiting > 0 || channel->watched))
        return;
    if (link->broken) /* whoever was told so could not mend it then */
        yk_channel_ring(channel);
    if (link->credit > 0 && now > link->until) { /* not even an answer: is the consumer there? */
        link->broken = true;
        yk_channel_ring(channel);
    }
    ask(link, 1, now);
}

/* What was on its way to us may be lost: it is delivered again by a new consumer. */
void yk_nats_link_interrupted(struct yk_channel *channel, bool over)
{
    struct yk_nats_link *link = (struct yk_nats_link *)channel;

    if (!over || (link->credit == 0 && link->number == 0))
        return;
    link->broken = true;
    yk_channel_ring(channel);
}

/* The other end's end stays to be told, and so does what else receiving has to say. */
void yk_nats_link_emptied(struct yk_channel *channel)
{
    struct yk_nats_link *link = (struct yk_nats_link *)channel;

    if (link->lost || link->broken || link->theirs.state == YK_END_CLOSED ||
        link->theirs.state == YK_END_DIED)
        yk_channel_ring(channel);
    if (channel->watched)
        ask(link, 1, yk_nats_now());
}

int yk_nats_link_watch(struct yk_channel *channel)
{
    channel->watched = true;
    yk_nats_link_emptied(channel);
    return 0;
}

/* ---- for who waits for all links of a peer --------------------------------------------------- */

void yk_nats_link_serve(struct yk_nats_link *link, int bell)
{
    pthread_mutex_lock(&link->channel.mutex);
    link->channel.also = bell;
    yk_nats_link_watch(&link->channel);
    pthread_mutex_unlock(&link->channel.mutex);
}

/* One that is only just being opened is nobody's to receive from yet. */
static bool is_to_be_had(const struct yk_channel *channel)
{
    return channel->endpoint && !channel->closing;
}

bool yk_nats_link_is_open(struct yk_nats_link *link)
{
    pthread_mutex_lock(&link->channel.mutex);
    bool open = link->channel.endpoint != NULL;
    pthread_mutex_unlock(&link->channel.mutex);
    return open;
}

bool yk_nats_link_is_ready(struct yk_nats_link *link)
{
    struct yk_channel *channel = &link->channel;

    pthread_mutex_lock(&channel->mutex);
    bool ready = is_to_be_had(channel) &&
                 (channel->queue || link->lost || link->removed ||
                  link->theirs.state == YK_END_CLOSED || link->theirs.state == YK_END_DIED);
    pthread_mutex_unlock(&channel->mutex);
    return ready;
}

bool yk_nats_link_needs_mending(struct yk_nats_link *link, int64_t now)
{
    struct yk_channel *channel = &link->channel;

    pthread_mutex_lock(&channel->mutex);
    bool needs = is_to_be_had(channel) && !channel->cancelled && link->broken && !link->removed &&
                 !link->lost && !channel->queue && now - link->mended >= AGAIN_NS;
    if (needs) {
        link->mended = now;
        channel->inside++; /* so it is not closed meanwhile */
    }
    pthread_mutex_unlock(&channel->mutex);
    return needs;
}

int yk_nats_link_mend(struct yk_nats_link *link)
{
    struct yk_channel *channel = &link->channel;

    pthread_mutex_lock(&channel->mutex);
    int result = yk_nats_link_renew(link);
    link->removed = result == -ENOENT;
    yk_nats_link_emptied(channel); /* it asks for what there is */
    yk_channel_leave(channel);
    return result;
}

/* ---- what is given back ---------------------------------------------------------------------- */

/* Before newer ones, and the one that was sent first first. */
void yk_nats_link_give_back(struct yk_channel *channel, struct yk_delivery *delivery)
{
    struct yk_nats_link *link = (struct yk_nats_link *)channel;
    struct yk_delivery **at = &channel->queue;

    if (delivery->deliveries >= channel->facts.max_deliveries) {
        yk_channel_acknowledge(channel, delivery);
        link->dropped++;
        return;
    }
    delivery->deliveries++;
    while (*at && (*at)->sequence < delivery->sequence)
        at = &(*at)->next;
    delivery->next = *at;
    *at = delivery;
    if (!delivery->next)
        channel->queue_end = delivery;
    yk_channel_ring(channel);
}

/* ---- waiting --------------------------------------------------------------------------------- */

/*
 * Is there anything that has not come yet? 1; 0: no, by the servers' word; or an error. Others than those that are
 * here may be those whose acknowledgement is on its way.
 */
static int look(struct yk_nats_link *link)
{
    struct yk_channel *channel = &link->channel;
    struct yk_state there;
    size_t here = channel->held_count;
    int result =
        yk_channel_ask_state(channel, link->source_subject, yk_nats_now() + YK_TRY_NS, &there);

    if (result < 0)
        return result;
    for (const struct yk_delivery *delivery = channel->queue; delivery; delivery = delivery->next)
        here++;
    return there.messages > here && there.last > link->seen;
}

static int no_answer(struct yk_nats_link *link)
{
    int result = yk_channel_check_there(&link->channel);

    return result < 0
               ? result
               : yk_fail(EHOSTUNREACH, "%s: no server has its stream now", link->channel.label);
}

/* Whose end it is is noted with it: see end() in link.c. */
static int tell_end(struct yk_nats_link *link)
{
    int result = yk_nats_link_ended(link);

    if (result < 0) {
        strcpy(link->ended, link->theirs.owner);
        link->ended_at = link->channel.received;
    }
    return result;
}

/*
 * Nothing is here: what receiving without waiting says then, or where the other side is gone. 0: look into the queue, or
 * ask once more; or wait, since somebody came while the servers were asked.
 */
static int nothing_now(struct yk_nats_link *link, int64_t begin, bool waits)
{
    struct yk_channel *channel = &link->channel;
    int64_t now = yk_nats_now();
    int result = look(link);

    if (channel->queue || result == -ECANCELED || result == -EINTR)
        return result < 0 && !channel->queue ? result : 0;
    if (result == 0) {
        int ended = tell_end(link);
        return ended < 0 || waits ? ended : -EAGAIN;
    }
    if (result < 0 && now - begin > COMING_NS)
        return no_answer(link);
    if (result > 0 && now - begin > COMING_NS)
        link->broken = true;
    ask(link, 1, now);
    result = yk_channel_sleep(channel, -1, -1, now + LOOK_NS);
    return result == -ETIMEDOUT ? 0 : result;
}

/* A new consumer; while the servers can not do that, and there is time, it is tried again. */
static int mend(struct yk_nats_link *link, bool now)
{
    int result = yk_nats_link_renew(link);

    if (result == 0 || now || result == -EOWNERDEAD || result == -ENOENT)
        return result;
    result = yk_channel_sleep(&link->channel, -1, -1, yk_nats_now() + AGAIN_NS);
    return result == -ETIMEDOUT ? 0 : result;
}

static int await(struct yk_nats_link *link, size_t wanted, int64_t deadline, bool now)
{
    struct yk_channel *channel = &link->channel;
    int64_t begin = yk_nats_now();
    int result = 0;

    while (result == 0 && !channel->queue) {
        if (link->broken) {
            result = mend(link, now);
            begin = yk_nats_now();
            continue;
        }
        ask(link, wanted, yk_nats_now());
        if (now || yk_nats_link_ended(link) < 0) {
            result = nothing_now(link, begin, !now);
        } else {
            result = yk_channel_sleep(channel, channel->bell, -1, deadline);
            begin = yk_nats_now();
            if (link->lost)
                return yk_nats_link_lost(link);
            if (result == 0 && !channel->queue && !link->broken && !link->lost &&
                yk_nats_link_ended(link) == 0)
                yk_channel_silence(channel);
        }
    }
    return channel->queue ? 0 : result;
}

int yk_nats_link_await(struct yk_channel *channel, size_t wanted, int64_t timeout_ns)
{
    struct yk_nats_link *link = (struct yk_nats_link *)channel;

    int result = yk_nats_link_own(link); /* what is here may be another's by now */

    if (result < 0)
        return result;
    link->waiting++;
    result = await(link, wanted, yk_nats_deadline(timeout_ns), timeout_ns == 0);
    link->waiting--;
    return result;
}

/* ---- the other end's beginning --------------------------------------------------------------- */

static int meet(struct yk_nats_link *link, int64_t deadline, bool now)
{
    for (;;) {
        if (link->lost)
            return yk_nats_link_lost(link);
        int result = link->theirs.state == YK_END_OPEN || link->channel.queue ? 1 : look(link);
        if (result == 1)
            return 0;
        if (result < 0 && result != -ENXIO && result != -ETIMEDOUT)
            return result;
        int64_t time = yk_nats_now();
        if (now || time >= deadline)
            return now ? -EAGAIN : -ETIMEDOUT;
        int64_t until = time + 2 * AGAIN_NS < deadline ? time + 2 * AGAIN_NS : deadline;
        result = yk_channel_sleep(&link->channel, -1, -1, until);
        if (result < 0 && result != -ETIMEDOUT)
            return result;
    }
}

int yk_nats_link_wait(void *self, int64_t timeout_ns)
{
    YK_KEEP_ERRNO;
    struct yk_nats_link *link = self;
    int result = yk_channel_enter(&link->channel);

    if (result < 0)
        return result;
    result = meet(link, yk_nats_deadline(timeout_ns), timeout_ns == 0);
    yk_channel_leave(&link->channel);
    return result;
}
