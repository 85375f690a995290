/*
 * link_send.c - sending to a link on JetStream. Who sends is alone, and says with each message which one is to be
 * the last before it: so several go at once and none is out of order, and it knows by itself what room there is.
 *
 * It asks which one is the last, then makes sure that the end is its own, then sends: where another one has the end
 * since, and has sent anything, the servers refuse it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "api.h"
#include "nats_link.h"

#define BATCH_MOST 64

/* There is no room: the other end is not to come; or, a while later, it is looked for once more (0). */
static int await_room(struct yk_nats_link *link, struct yk_sending *sending)
{
    int result = yk_nats_link_ended(link);

    if (result < 0)
        return result;
    link->known = false;
    return yk_sending_await_room(&link->channel, sending);
}

static int await_servers(struct yk_nats_link *link, struct yk_sending *sending)
{
    link->known = false;
    return yk_sending_await_servers(&link->channel, sending);
}

/* How many messages have room: more than 0, or why there is none. */
static ssize_t find_room(struct yk_nats_link *link, struct yk_sending *sending)
{
    struct yk_channel *channel = &link->channel;
    bool fresh = false;

    for (;;) {
        int result = 0;
        if (link->lost)
            return yk_nats_link_lost(link);
        uint64_t used = link->last + 1 - link->first;
        if (link->known && used < channel->facts.depth)
            return (ssize_t)(channel->facts.depth - used);
        if (link->known && fresh) {
            result = await_room(link, sending);
        } else {
            struct yk_state state;
            result = yk_channel_ask_state(channel, channel->state_subject,
                                          yk_nats_now() + YK_TRY_NS, &state);
            fresh = link->known = result == 0;
            if (result == 0) {
                link->first = state.first;
                link->last = state.last;
                sending->nobody_since = 0;
                result = yk_nats_link_own(link);
                link->known = result == 0;
            } else if (result == -ENXIO || result == -ETIMEDOUT) {
                result = await_servers(link, sending);
            }
        }
        if (result < 0)
            return result;
    }
}

static bool is_stored(struct yk_nats_link *link, const char *stream, uint64_t sequence,
                      const char *id)
{
    struct yk_channel *channel = &link->channel;
    char header[YK_NATS_ID_MOST + 32];
    struct yk_stored stored;

    if (yk_api_next(channel->line.hub, stream, sequence, channel->subject, &stored) != 1)
        return false;
    snprintf(header, sizeof header, "\r\nNats-Msg-Id: %s\r\n", id);
    bool is = stored.sequence == sequence && strstr(stored.headers, header);
    yk_stored_fini(&stored);
    return is;
}

/*
 * Another message was the last one: perhaps the very one that was to be sent, whose answer was lost with the server
 * that gave it; its successor may not know the id any more. How many are stored already, from the i-th on.
 */
static size_t find_stored(struct yk_nats_link *link, const struct yk_round *round, size_t i)
{
    struct yk_channel *channel = &link->channel;
    char stream[YK_NATS_SUBJECT_MOST];
    size_t found = 0;

    snprintf(stream, sizeof stream, "%s", strrchr(channel->state_subject, '.') + 1);
    pthread_mutex_unlock(&channel->mutex);
    while (i + found < round->count &&
           is_stored(link, stream, round->after + i + found + 1, round->ids[i + found]))
        found++;
    pthread_mutex_lock(&channel->mutex);
    return found;
}

/* What is to become of the first that was not taken: 0, it is sent once more. */
static int handle(struct yk_nats_link *link, struct yk_sending *sending,
                  const struct yk_round *round, size_t i)
{
    link->known = false;
    switch (round->outcomes[i]) {
    case YK_STALE: /* what was in doubt came after all, or this end is another's */
        return yk_nats_link_check(link);
    case YK_FULL:
        return await_room(link, sending);
    case YK_NOBODY:
        return await_servers(link, sending);
    default:
        return yk_round_refused(round, round->outcomes[i], round->messages[i].size);
    }
}

/* Those have room: how many were sent, or why the first was not. What was not taken keeps its id. */
static ssize_t send_some(struct yk_nats_link *link, struct yk_sending *sending,
                         const struct yoke_message *messages, size_t count)
{
    struct yk_channel *channel = &link->channel;
    char ids[BATCH_MOST][YK_NATS_ID_MOST];
    enum yk_outcome outcomes[BATCH_MOST];
    size_t sent = 0;
    bool again = false;
    int result = 0;

    for (size_t i = 0; i < count; i++)
        again = yk_channel_choose_id(channel, &messages[i], ids[i]) || again;
    while (sent < count && result == 0) {
        ssize_t room = find_room(link, sending);
        if (room < 0) {
            result = (int)room;
            break;
        }
        size_t more = count - sent < (size_t)room ? count - sent : (size_t)room;
        struct yk_round round = {.channel = channel,
                                 .messages = messages + sent,
                                 .count = more,
                                 .ids = ids + sent,
                                 .outcomes = outcomes,
                                 .after = link->last,
                                 .exact = true,
                                 .again = again,
                                 .marked = again};
        result = yk_round_run(&round, yk_sending_answer_until(sending));
        again = round.again;
        size_t taken = 0;
        while (taken < more && outcomes[taken] == YK_ACCEPTED)
            taken++;
        if (result == 0 && taken < more && outcomes[taken] == YK_STALE) {
            taken += find_stored(link, &round, taken);
            again = again || taken < more; /* what was received already is not found */
        }
        link->last += taken;
        link->known = link->known && !again;
        sent += taken;
        sending->now = sending->now || sent > 0; /* what comes after the first does not wait */
        if (result < 0) {
            link->known = false;
            again = again || round.out;
            result = result == -ETIMEDOUT ? yk_channel_in_doubt(channel) : result;
        } else if (taken < more) {
            result = handle(link, sending, &round, taken);
        }
    }
    for (size_t i = sent; again && i < count; i++)
        yk_channel_doubt(channel, &messages[i], ids[i], true);
    return sent > 0 ? (ssize_t)sent : result;
}

ssize_t yk_nats_link_send(struct yk_channel *channel, const struct yoke_message *messages,
                          size_t count, int64_t timeout_ns)
{
    struct yk_nats_link *link = (struct yk_nats_link *)channel;
    struct yk_sending sending = yk_sending_begin(timeout_ns);
    size_t sent = 0;
    ssize_t result = 1;

    while (sent < count && result > 0) {
        result = find_room(link, &sending);
        if (result > 0) {
            size_t some = count - sent < (size_t)result ? count - sent : (size_t)result;
            result =
                send_some(link, &sending, messages + sent, some < BATCH_MOST ? some : BATCH_MOST);
        }
        sent += result > 0 ? (size_t)result : 0;
        sending.now = sending.now || sent > 0;
    }
    channel->sent += sent;
    channel->full += sent == 0 && (result == -EAGAIN || result == -ETIMEDOUT);
    return sent > 0 ? (ssize_t)sent : result;
}
