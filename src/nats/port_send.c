/*
 * port_send.c - sending to a port on JetStream; see channel_send.c.
 *
 * Several go at once where there is room for them by the servers' last word. If others fill the port
 * meanwhile, so that one is refused and a later one is not, the refused ones are sent until they are taken:
 * those of one call then may be out of order, and none is missing.
 *
 * In a cluster a stream that is full by the servers' own count is not to be had: each replica decides for itself
 * what still fits, and they lose messages by it (nats-server 2.9.10; tests/nats/facts.py). There the senders
 * keep the depth, each by what the stream had when it last asked; several may go beyond it together, by what they
 * were granted then.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "port.h"

#define BATCH_MOST  256
#define BATCH_LEAST 4                         /* from here on it pays to ask for the room */
#define GRANT_NS    (100 * YK_MILLISECOND_NS) /* how long the stream's state is of use */
#define GRANT_PART  4                         /* of the room that there is */

/* One message, until it is taken: 1, or why it is not. */
static ssize_t send_one(struct yk_channel *channel, const struct yoke_message *message,
                        const char *id, bool again, struct yk_sending *sending)
{
    char ids[1][YK_NATS_ID_MOST];
    enum yk_outcome outcome = YK_UNANSWERED;

    strcpy(ids[0], id);
    for (;;) {
        struct yk_round round = {.channel = channel,
                                 .messages = message,
                                 .count = 1,
                                 .ids = ids,
                                 .outcomes = &outcome,
                                 .again = again};
        int result = yk_round_run(&round, yk_sending_answer_until(sending));
        again = round.again;
        if (result < 0) {
            yk_channel_doubt(channel, message, id);
            return result == -ETIMEDOUT ? yk_channel_in_doubt(channel) : result;
        }
        if (outcome == YK_ACCEPTED)
            return 1;
        if (outcome != YK_FULL && outcome != YK_NOBODY)
            return yk_round_refused(&round, outcome, message->size);
        result = outcome == YK_FULL ? yk_sending_await_room(channel, sending)
                                    : yk_sending_await_servers(channel, sending);
        if (result < 0) {
            if (again)
                yk_channel_doubt(channel, message, id);
            return result;
        }
    }
}

/*
 * How many may go at once: half of the room that there is, by the servers' word, which holds for a while; what
 * others send meanwhile is to have the other half.
 */
static size_t room_for(struct yk_channel *channel, size_t count)
{
    struct yk_nats_port *port = (struct yk_nats_port *)channel;
    int64_t now = yk_nats_now();
    struct yk_state state;

    if (count > BATCH_MOST)
        count = BATCH_MOST;
    if (port->granted < count || now > port->granted_until) {
        port->granted = 0;
        port->granted_until = now + GRANT_NS;
        if (yk_channel_ask_state(channel, channel->state_subject, now + YK_TRY_NS, &state) == 0 &&
            state.messages < channel->facts.depth)
            port->granted = (channel->facts.depth - state.messages) / 2;
    }
    count = count < port->granted ? count : (size_t)port->granted;
    port->granted -= count;
    return count > 1 ? count : 1;
}

/*
 * The answers to several: how many of them count as sent. One that was refused before one that was taken is
 * sent until it is taken, too.
 */
static ssize_t settle(struct yk_round *round)
{
    size_t last = 0;
    struct yk_sending insisting = {.deadline = INT64_MAX};

    for (size_t i = 0; i < round->count; i++)
        if (round->outcomes[i] == YK_ACCEPTED)
            last = i + 1;
        else
            ((struct yk_nats_port *)round->channel)->granted = 0;
    for (size_t i = 0; i < last; i++) {
        if (round->outcomes[i] == YK_ACCEPTED)
            continue;
        ssize_t result =
            send_one(round->channel, &round->messages[i], round->ids[i], round->again, &insisting);
        if (result == 1)
            continue;
        if (round->channel->doubts_new == 0) /* then neither is it, and those after it are found */
            yk_channel_doubt(round->channel, &round->messages[i], round->ids[i]);
        for (size_t k = i + 1; k < last; k++) /* these, sent again, are the same */
            yk_channel_doubt(round->channel, &round->messages[k], round->ids[k]);
        return i > 0 ? (ssize_t)i : result;
    }
    for (size_t i = last; round->again && i < round->count; i++)
        yk_channel_doubt(round->channel, &round->messages[i], round->ids[i]);
    return (ssize_t)last;
}

static ssize_t send_several(struct yk_channel *channel, const struct yoke_message *messages,
                            size_t count)
{
    struct yk_round round = {.channel = channel, .messages = messages, .count = count};
    ssize_t sent = -ENOMEM;

    round.ids = calloc(count, sizeof *round.ids);
    round.outcomes = calloc(count, sizeof *round.outcomes);
    if (round.ids && round.outcomes) {
        for (size_t i = 0; i < count; i++)
            round.again = yk_channel_choose_id(channel, &messages[i], round.ids[i]) || round.again;
        sent = yk_round_run(&round, yk_nats_now() + YK_DOUBT_NS);
        if (sent == 0)
            sent = settle(&round);
        else
            for (size_t i = 0; i < count; i++)
                yk_channel_doubt(channel, &messages[i], round.ids[i]);
        if (sent == -ETIMEDOUT)
            sent = yk_channel_in_doubt(channel);
    } else {
        yk_fail(ENOMEM, "no memory for %zu messages", count);
    }
    free(round.ids);
    free(round.outcomes);
    return sent;
}

/*
 * In a cluster: how many of them may go now, at least one; or why none may, when it was waited for as long as that
 * was wanted.
 */
static ssize_t grant(struct yk_channel *channel, size_t count, struct yk_sending *sending)
{
    struct yk_nats_port *port = (struct yk_nats_port *)channel;
    struct yk_state state;

    while (port->granted == 0 || yk_nats_now() > port->granted_until) {
        int64_t now = yk_nats_now();
        int result = yk_channel_ask_state(channel, channel->state_subject, now + YK_TRY_NS, &state);
        port->granted = 0;
        port->granted_until = now + GRANT_NS;
        if (result == 0 && state.messages < channel->facts.depth)
            port->granted = (channel->facts.depth - state.messages + GRANT_PART - 1) / GRANT_PART;
        else if (result == 0)
            result = yk_sending_await_room(channel, sending);
        else if (result == -ENXIO || result == -ETIMEDOUT)
            result = yk_sending_await_servers(channel, sending);
        if (result < 0)
            return result;
    }
    if (count > BATCH_MOST)
        count = BATCH_MOST;
    count = count < port->granted ? count : (size_t)port->granted;
    port->granted -= count;
    return (ssize_t)count;
}

ssize_t yk_nats_port_send(struct yk_channel *channel, const struct yoke_message *messages,
                          size_t count, int64_t timeout_ns)
{
    struct yk_sending sending = yk_sending_begin(timeout_ns);
    size_t sent = 0;
    ssize_t result = 1;

    while (sent < count && result > 0) {
        char id[YK_NATS_ID_MOST];
        ssize_t several = 1;
        if (channel->facts.replicas > 1)
            several = grant(channel, count - sent, &sending);
        else if (count - sent >= BATCH_LEAST)
            several = (ssize_t)room_for(channel, count - sent);
        if (several <= 0) {
            result = several;
            break;
        }
        result = several > 1 ? send_several(channel, messages + sent, (size_t)several) : 0;
        if (result == 0) { /* one, or none of them was taken: the first is waited for */
            bool again = yk_channel_choose_id(channel, &messages[sent], id);
            result = send_one(channel, &messages[sent], id, again, &sending);
        }
        sent += result > 0 ? (size_t)result : 0;
        sending.now = true; /* what comes after the first does not wait */
    }
    channel->sent += sent;
    channel->full += sent == 0 && (result == -EAGAIN || result == -ETIMEDOUT);
    return sent > 0 ? (ssize_t)sent : result;
}
