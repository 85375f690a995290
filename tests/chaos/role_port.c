/*
 * role_port.c - who sends to a port and who receives from it, by every verb; and the part of that which links
 * share.
 */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>

#include "worker.h"

#define AT_ONCE 3

/* ---- sending ---- */

static bool loan_and_commit(yoke_endpoint *endpoint, uint32_t flow, int64_t timeout_ns)
{
    struct lane *lane = &me.seat->lane;
    void *block;
    int64_t result = DOING(timeout_ns ? SENDING : RELEASING,
                           yoke_loan(endpoint, flows[flow].max_message, &block, timeout_ns));
    if (result < 0)
        return is_answer(result, "yoke_loan", EAGAIN, ETIMEDOUT, EINTR, EPIPE, EOWNERDEAD, 0);
    uint32_t first = lane_try(lane, 1);
    if (first != UINT32_MAX) {
        size_t size = message_size(me.number, first, flows[flow].max_message);
        message_fill(block, me.number, first, size);
        if (once_in(64))
            nap(50000);
        result = DOING(SENDING, yoke_commit(endpoint, block, size));
        lane_tried(lane, first, 1, result == 0);
        atomic_fetch_add_explicit(&me.seat->sent, result == 0, memory_order_relaxed);
    }
    if (first != UINT32_MAX && result == 0)
        return true;
    is_answer(result, "yoke_commit", EAGAIN, EPIPE, EOWNERDEAD, 0);
    result = DOING(RELEASING, yoke_release(endpoint, block));
    return is_answer(result, "yoke_release of a loan", 0);
}

void send_some(yoke_endpoint *endpoint, const struct object *object, uint32_t flow,
               int64_t timeout_ns)
{
    static _Alignas(16) unsigned char bytes[AT_ONCE][32768];
    struct yoke_message messages[AT_ONCE] = {{.data = NULL}};
    struct lane *lane = &me.seat->lane;
    uint32_t count = 1 + pick(AT_ONCE);
    bool single = object->priorities == 1 && once_in(2);
    if (!object->kernel && once_in(4)) {
        loan_and_commit(endpoint, flow, timeout_ns);
        return;
    }
    if (single)
        count = 1;
    uint32_t first = lane_try(lane, count);
    if (first == UINT32_MAX) {
        rest(MS);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        size_t size = message_size(me.number, first + i, flows[flow].max_message);
        message_fill(bytes[i], me.number, first + i, size);
        messages[i] = (struct yoke_message){
            .data = bytes[i],
            .size = size,
            .tag = first + i,
            .priority = message_priority(me.number, first + i, object->priorities),
        };
    }
    int64_t result =
        DOING(SENDING, single ? yoke_send(endpoint, bytes[0], messages[0].size, timeout_ns)
                              : yoke_send_many(endpoint, messages, count, timeout_ns));
    uint32_t sent = result < 0 ? 0 : single ? 1 : (uint32_t)result;
    lane_tried(lane, first, count, sent);
    atomic_fetch_add_explicit(&me.seat->sent, sent, memory_order_relaxed);
    is_answer(result, "sending", EAGAIN, ETIMEDOUT, EINTR, EPIPE, EOWNERDEAD, 0);
}

/* Nobody else sends: if this one wakes nobody, nothing does. */
static void keep_step(void)
{
    struct lane *lane = &me.seat->lane;
    uint32_t next = atomic_load(&lane->next);
    if (next == 0 || atomic_load(&lane->sent[next - 1]) != DONE)
        return;
    doing_begins(IN_STEP);
    for (uint32_t looks = 0; !lane_arrived(lane, next - 1) && atomic_load(&shared->phase) != STOP;
         looks++)
        if (looks < 100)
            sched_yield();
        else
            nap(MS / 20);
    doing_ends(0);
}

void play_port_sender(void)
{
    const struct object *object = &objects[me.seat->object];
    yoke_endpoint *port = open_endpoint(object->address, 0, NULL);
    atomic_store(&me.seat->attached, me.life);
    while (port && goes_on() && may_send()) {
        send_some(port, object, object->flow, some_timeout());
        if (object->in_step)
            keep_step();
        if (once_in(3000))
            forks(); /* and both go on */
        if (once_in(2000))
            rest((1 + pick(10)) * MS / 10);
    }
    if (closes())
        DOING(CLOSING, yoke_close(port));
}

/* ---- receiving ---- */

struct receiver receiver_new(uint32_t flow)
{
    atomic_store(&me.seat->from, flow);
    return (struct receiver){.flow = flow, .seat = me.number, .life = me.life};
}

/* Lets go of what is in hand, in any order. */
static void let_go(struct receiver *receiver, yoke_endpoint *endpoint, const struct given *given,
                   const struct yoke_message *message)
{
    int64_t result;
    if (once_in(40)) {
        note_returned(receiver, given);
        result = DOING(RELEASING, yoke_return(endpoint, message->data));
        is_answer(result, "yoke_return", 0);
        return;
    }
    note_freeing(receiver, given);
    result = DOING(RELEASING, yoke_release(endpoint, message->data));
    if (is_answer(result, "yoke_release", 0))
        note_acknowledged(given);
}

static void let_go_of_all(struct receiver *receiver, yoke_endpoint *endpoint,
                          const struct yoke_message *messages, const struct given *given,
                          const bool *good, uint32_t count)
{
    uint32_t from = pick(count); /* out of order */
    for (uint32_t k = 0; k < count; k++) {
        uint32_t i = (from + k) % count;
        if (good[i])
            let_go(receiver, endpoint, &given[i], &messages[i]);
    }
}

static bool borrow_some(struct receiver *receiver, yoke_endpoint *endpoint,
                        const struct object *object, int64_t timeout_ns, int64_t *ret_error)
{
    struct yoke_message messages[AT_ONCE] = {{.data = NULL}};
    struct given given[AT_ONCE];
    bool good[AT_ONCE] = {false};
    uint32_t count = 1 + pick(object->max_borrowed < AT_ONCE ? object->max_borrowed : AT_ONCE);
    if (flows[receiver->flow].once)
        atomic_store(&me.seat->open, count);
    int64_t result = DOING(timeout_ns ? AWAITING : RECEIVING_NOW,
                           yoke_borrow_many(endpoint, messages, count, timeout_ns));
    for (int64_t i = 0; i < result; i++)
        good[i] = note_given(receiver, &messages[i], &given[i]);
    atomic_store(&me.seat->open, 0);
    *ret_error = result;
    if (result <= 0)
        return false;
    if (once_in(100))
        nap((1 + pick(20)) * MS / 10);
    if (once_in(2000) && forks()) {
        *receiver = receiver_new(receiver->flow);
        return true; /* what the parent has in hand stays the parent's */
    }
    let_go_of_all(receiver, endpoint, messages, given, good, (uint32_t)result);
    return true;
}

static void prepare_buffers(struct yoke_message *messages, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        unsigned char *buffer = me.seat->buffer + i * me.seat->buffer_each;
        atomic_store((_Atomic uint64_t *)(void *)buffer, 0); /* no message, until one is copied */
        messages[i] = (struct yoke_message){.data = buffer, .capacity = me.seat->buffer_each};
    }
    atomic_store(&me.seat->open, count);
}

static bool copy_some(struct receiver *receiver, yoke_endpoint *endpoint, int64_t timeout_ns,
                      int64_t *ret_error)
{
    struct yoke_message messages[BUFFERS];
    struct given given;
    bool single = once_in(3);
    uint32_t count = single ? 1 : 1 + pick(BUFFERS);
    enum verb verb = timeout_ns ? AWAITING : RECEIVING_NOW;
    prepare_buffers(messages, count);
    int64_t result =
        single
            ? DOING(verb, yoke_recv(endpoint, messages[0].data, messages[0].capacity, timeout_ns))
            : DOING(verb, yoke_recv_many(endpoint, messages, count, timeout_ns));
    *ret_error = result;
    if (single && result >= 0) {
        messages[0].size = (size_t)result;
        result = 1;
    }
    for (int64_t i = 0; i < result; i++)
        if (note_given(receiver, &messages[i], &given))
            note_acknowledged(&given);
    atomic_store(&me.seat->open, 0);
    return result > 0;
}

bool receive_some(struct receiver *receiver, yoke_endpoint *endpoint, const struct object *object,
                  int64_t timeout_ns, int64_t *ret_error)
{
    if (object->kernel || once_in(3))
        return copy_some(receiver, endpoint, timeout_ns, ret_error);
    return borrow_some(receiver, endpoint, object, timeout_ns, ret_error);
}

/* Until there is something to receive, as event loops wait. */
static void await_descriptor(yoke_endpoint *endpoint)
{
    int fd = yoke_fd(endpoint);
    if (is_answer(fd, "yoke_fd", 0))
        DOING(AWAITING, poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, -1));
}

static void await_set(yoke_set *set)
{
    struct yoke_ready ready;
    int64_t result = DOING(AWAITING, yoke_set_wait(set, &ready, 1, YOKE_FOREVER));
    is_answer(result, "yoke_set_wait", 0);
}

static yoke_set *set_of(yoke_endpoint *endpoint)
{
    yoke_set *set = NULL;
    int64_t result = yoke_set_create(&set);
    if (result == 0)
        result = yoke_set_add(set, endpoint, NULL);
    is_answer(result, "yoke_set_add", 0);
    return set;
}

/* Styles: 0 blocking calls, 1 a descriptor, 2 a wait set. */
void play_port_receiver(void)
{
    const struct object *object = &objects[me.seat->object];
    bool parked = me.seat->role == PARKED_RECEIVER;
    struct receiver receiver = receiver_new(object->flow);
    yoke_endpoint *port = open_endpoint(object->address, parked ? YOKE_PARKED : 0, NULL);
    uint32_t style = parked                     ? 0
                     : flows[object->flow].once ? 1
                     : object->in_step          ? 1 + pick(2)
                                                : pick(3);
    yoke_set *set = port && style == 2 ? set_of(port) : NULL;
    atomic_store(&me.seat->attached, me.life);
    receiver.parked = parked;
    while (port && goes_on()) {
        int64_t error, timeout_ns = style ? YOKE_NOW : parked ? 30 * MS : some_timeout();
        bool came = receive_some(&receiver, port, object, timeout_ns, &error);
        is_answer(error, "receiving", EAGAIN, ETIMEDOUT, 0);
        if (me.seat->is_child)
            style = style == 2 ? 1 : style; /* a set is the parent's */
        if (!came && style == 1)
            await_descriptor(port);
        else if (!came && style == 2)
            await_set(set);
    }
    if (!closes())
        return;
    if (!me.seat->is_child)
        DOING(CLOSING, yoke_set_close(set));
    DOING(CLOSING, yoke_close(port));
}
