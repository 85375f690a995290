/*
 * role_signal.c - numbered signals to a peer, and the peer whose inbox they come to.
 *
 * Of one sender, between two that came to the same inbox nothing is missing that was sent: all went there, in
 * order. What an earlier owner of the name left unread is gone; what was sent, for certain, before this one opened
 * its inbox never comes.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>

#include "worker.h"

/* seat 12 | life of the inbox when the call began 20 | number 32 */
static uint64_t make_value(uint32_t life, uint32_t number)
{
    return (uint64_t)me.number << 52 | (uint64_t)(life & 0xfffff) << 32 | number;
}

static uint32_t inbox_life(uint32_t object)
{
    for (uint32_t i = 1; i < shared->seats; i++)
        if (shared->seat[i].role == INBOX && shared->seat[i].object == object)
            return atomic_load(&shared->seat[i].end_life);
    return 0;
}

static void signal_once(const struct object *object)
{
    struct lane *lane = &me.seat->lane;
    uint32_t number = lane_try(lane, 1);
    if (number == UINT32_MAX) {
        rest(MS);
        return;
    }
    uint64_t value = make_value(inbox_life(me.seat->object), number);
    int64_t result = DOING(SIGNALLING, yoke_signal_send(NULL, object->address, me.number, value));
    lane_tried(lane, number, 1, result == 0);
    atomic_fetch_add_explicit(&me.seat->sent, result == 0, memory_order_relaxed);
    is_answer(result, "yoke_signal_send", EAGAIN, ENOENT, ENOTSUP, ENOSPC, EBUSY, 0);
    if (result < 0)
        rest(MS / 5);
}

void play_signaller(void)
{
    const struct object *object = &objects[me.seat->object];
    atomic_store(&me.seat->attached, me.life);
    while (goes_on() && may_send()) {
        signal_once(object);
        if (once_in(200)) {
            int64_t result = DOING(SIGNALLING, yoke_signal_kill(object->peers[0], 0));
            is_answer(result, "yoke_signal_kill", ENOENT, EPERM, 0);
        }
    }
}

/* ---- the inbox ---- */

static void note_signal(struct receiver *receiver, const struct yoke_signal *signal)
{
    struct given given = {(uint32_t)(signal->value >> 52), (uint32_t)signal->value};
    uint32_t life = (uint32_t)(signal->value >> 32 & 0xfffff);
    const char *name = flows[receiver->flow].name;
    struct lane *lane = &shared->seat[given.lane].lane;
    if (signal->number != given.lane || given.lane >= SEATS_MAX ||
        lane->flow != receiver->flow + 1 || given.number >= atomic_load(&lane->next)) {
        fault("%s: signal %u with value %llx was never sent", name, signal->number,
              (unsigned long long)signal->value);
        return;
    }
    uint64_t last = receiver->last_of[given.lane];
    uint8_t sent = atomic_load_explicit(&lane->sent[given.number], memory_order_acquire);
    if (sent != TRIED && sent != DONE)
        fault("%s: signal %u of seat %u came, and was refused", name, given.number, given.lane);
    if (given.number < last)
        fault("%s: signal %u of seat %u came after signal %llu", name, given.number, given.lane,
              (unsigned long long)last - 1);
    for (uint64_t i = last; last != 0 && i < given.number; i++)
        if (atomic_load_explicit(&lane->sent[i], memory_order_acquire) == DONE)
            fault("%s: signal %llu of seat %u is missing between %llu and %u", name,
                  (unsigned long long)i, given.lane, (unsigned long long)last - 1, given.number);
    if (life != 0 && life > (me.life & 0xfffff))
        fault("%s: signal %u of seat %u was sent to a later owner of the name", name, given.number,
              given.lane);
    receiver->last_of[given.lane] = given.number + UINT64_C(1);
    atomic_fetch_add_explicit(&me.seat->received, 1, memory_order_relaxed);
}

/* Numbers up to these were sent, for certain, before the inbox was opened. */
static void note_what_is_over(struct receiver *receiver, uint64_t *over)
{
    for (uint32_t i = 1; i < shared->seats; i++) {
        const struct lane *lane = &shared->seat[i].lane;
        uint32_t next = lane->flow == receiver->flow + 1 ? atomic_load(&lane->next) : 0;
        if (next && atomic_load_explicit(&lane->sent[next - 1], memory_order_acquire) == TRIED)
            next--; /* on its way, perhaps */
        over[i] = next;
    }
}

static yoke_peer *join(const char *name)
{
    yoke_peer *peer = NULL;
    int64_t result;
    doing_begins(OPENING);
    while ((result = yoke_peer_join(&peer, name, NULL)) < 0 &&
           is_answer(result, "yoke_peer_join", EADDRINUSE, EBUSY, ENOSPC, 0) &&
           atomic_load(&shared->phase) != STOP)
        nap(MS);
    doing_ends(0);
    return result < 0 ? NULL : peer;
}

static yoke_endpoint *open_inbox(yoke_peer *peer, bool kernel)
{
    yoke_endpoint *inbox = NULL;
    int64_t result;
    doing_begins(OPENING);
    while ((result = yoke_signals_open(&inbox, peer, kernel ? YOKE_SIGNALS_KERNEL : 0, NULL)) < 0 &&
           is_answer(result, "yoke_signals_open", EBUSY, ENOSPC, 0) &&
           atomic_load(&shared->phase) != STOP)
        nap(MS);
    doing_ends(0);
    return result < 0 ? NULL : inbox;
}

static void read_inbox(struct receiver *receiver, yoke_endpoint *inbox, const uint64_t *over)
{
    struct yoke_signal signal;
    int64_t result = DOING(AWAITING, yoke_signal_recv(inbox, &signal, some_timeout()));
    if (!is_answer(result, "yoke_signal_recv", EAGAIN, ETIMEDOUT, 0) || result < 0)
        return;
    uint32_t lane = (uint32_t)(signal.value >> 52), number = (uint32_t)signal.value;
    if (lane < SEATS_MAX && number < over[lane])
        fault("%s: signal %u of seat %u was sent before this inbox was opened",
              flows[receiver->flow].name, number, lane);
    note_signal(receiver, &signal);
}

void play_inbox(void)
{
    const struct object *object = &objects[me.seat->object];
    static uint64_t last_of[SEATS_MAX], over[SEATS_MAX];
    struct receiver receiver = receiver_new(object->flow);
    yoke_peer *peer = join(object->peers[0]);
    receiver.last_of = last_of;
    note_what_is_over(&receiver, over);
    yoke_endpoint *inbox = peer ? open_inbox(peer, object->kernel) : NULL;
    if (inbox)
        atomic_store(&me.seat->end_life, me.life);
    atomic_store(&me.seat->attached, me.life);
    while (inbox && goes_on())
        read_inbox(&receiver, inbox, over);
    if (!closes())
        return;
    DOING(CLOSING, yoke_close(inbox));
    DOING(CLOSING, yoke_peer_leave(peer));
}
