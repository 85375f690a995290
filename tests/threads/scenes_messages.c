/*
 * scenes_messages.c - ports, links and signals: each number comes once, whole, and in its sender's order.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "scenes.h"

enum { SEND, RECEIVE };

#define AT_ONCE 4

#if defined(__SANITIZE_THREAD__)
#define SANITIZES_THREADS true
#elif defined(__has_feature)
#define SANITIZES_THREADS __has_feature(thread_sanitizer)
#else
#define SANITIZES_THREADS false
#endif

struct yoke_options scene_options(const struct round *round)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;
    options.spin_ns = round->spins ? -1 : 0;
    return options;
}

void *scene_open(const char *address, uint32_t flags, const struct yoke_options *options)
{
    yoke_endpoint *endpoint = NULL;
    int result = yoke_open(&endpoint, address, flags, options);
    if (result < 0)
        wrong("%s can not be opened: %s", address, yoke_explain());
    return endpoint;
}

void scene_close(void *handle, uint32_t number)
{
    (void)number;
    yoke_close(handle);
}

void scene_dispose(struct round *round)
{
    round->scene->close(round->anchor, 0);
}

/* What a sender has under way: some of its numbers, in a few messages. */
struct outgoing {
    _Alignas(8) unsigned char bytes[AT_ONCE][PACKET_MAX];
    struct yoke_message messages[AT_ONCE];
    size_t count;
};

/* What a receiver keeps: the last number of each sender, for each priority. */
struct incoming {
    uint32_t last[WORKERS_MAX][2];
    _Alignas(8) unsigned char bytes[AT_ONCE][PACKET_MAX];
};

static void *new_zeroed(size_t size)
{
    void *memory = calloc(1, size);
    if (!memory)
        wrong("no memory");
    return memory;
}

static size_t some_size(const struct round *round, uint64_t *random)
{
    size_t least = sizeof(struct packet);
    switch (below(random, 3)) {
    case 0:
        return least + below(random, 40);
    case 1:
        return least + below(random, round->size - (uint32_t)least + 1);
    default:
        return least;
    }
}

static void arrived(struct incoming *incoming, const struct yoke_message *message,
                    const struct round *round)
{
    uint32_t sender, number;
    if (!packet_check(round, message->data, message->size, &sender, &number))
        return;
    check_order(&incoming->last[sender][message->priority & 1], sender, number);
    note_arrival(sender, number);
}

/* ---- ports ---- */

static void port_plan(struct round *round)
{
    uint64_t *random = &round->random;
    round->depth = 1 + below(random, one_in(random, 2) ? 4 : 64);
    round->priorities = 1 + below(random, 2);
    round->size = 48 + below(random, 400);
    round->spins = one_in(random, 2);
    for (uint32_t i = 1 + below(random, 4); i > 0; i--)
        add_worker(round, SEND, true);
    for (uint32_t i = 1 + below(random, 4); i > 0; i--)
        add_worker(round, RECEIVE, false);
    round->one_handle = one_in(random, 2);
    for (uint32_t i = 0; i < round->workers && round->one_handle; i++)
        round->worker[i].handle = 0;
    /*
     * A message that a thread reads, gives back, and that another one then takes and releases at another
     * address, is ordered by words that ThreadSanitizer sees at that address alone: it would tell of a race
     * with who fills the block next at the first address.
     */
    round->gives_back = !SANITIZES_THREADS || (round->one_handle && round->processes == 1);
}

static void port_prepare(struct round *round)
{
    struct yoke_options options = scene_options(round);
    char address[80];
    options.depth = round->depth;
    options.priorities = round->priorities;
    options.max_message = round->size;
    options.max_borrowed = 4;
    options.participants = 32;
    options.max_deliveries = UINT32_MAX; /* none is parked */
    snprintf(address, sizeof address, "port:%s", round->name);
    round->anchor = scene_open(address, YOKE_CREATE, &options);
}

/* Handle 0 is the one that was opened before any process was forked. */
static void *port_open(struct round *round, uint32_t process, uint32_t handle)
{
    struct yoke_options options = scene_options(round);
    char address[80];
    (void)process;
    snprintf(address, sizeof address, "port:%s", round->name);
    return handle == 0 ? round->anchor : scene_open(address, 0, &options);
}

/* One number, in a block of the port's own. */
static ssize_t send_loan(yoke_endpoint *port, struct yoke_message *message, int64_t timeout)
{
    void *block;
    int result = yoke_loan(port, message->size, &block, timeout);
    if (result < 0)
        return result;
    memcpy(block, message->data, message->size);
    struct yoke_message loan = *message;
    loan.data = block;
    ssize_t sent = yoke_commit_many(port, &loan, 1, timeout);
    if (sent != 1 && yoke_release(port, block) < 0)
        return -EINVAL;
    return sent;
}

static void fill_next(const struct round *round, struct worker *worker, struct outgoing *outgoing,
                      uint32_t next)
{
    uint32_t left = round->each - next, most = 1 + below(&worker->random, AT_ONCE);
    outgoing->count = most < left ? most : left;
    for (uint32_t i = 0; i < outgoing->count; i++) {
        size_t size = some_size(round, &worker->random);
        packet_fill(outgoing->bytes[i], worker->sender, next + i, size);
        outgoing->messages[i] = (struct yoke_message){
            .data = outgoing->bytes[i],
            .size = size,
            .priority = round->priorities ? below(&worker->random, round->priorities) : 0,
            .tag = one_in(&worker->random, 2) ? next + i : 0,
        };
    }
}

/* Sends some of them: how many went. */
static ssize_t send_some(struct worker *worker, yoke_endpoint *endpoint, struct outgoing *outgoing,
                         size_t from)
{
    int64_t timeout = some_time(&worker->random);
    struct yoke_message *first = &outgoing->messages[from];
    switch (below(&worker->random, 3)) {
    case 0:
        return yoke_send_many(endpoint, first, outgoing->count - from, timeout);
    case 1:
        return send_loan(endpoint, first, timeout);
    default:
        if (first->priority > 0 || first->tag > 0)
            return yoke_send_many(endpoint, first, 1, timeout);
        ssize_t result = yoke_send(endpoint, first->data, first->size, timeout);
        return result == 0 ? 1 : result;
    }
}

static void send_all(struct round *round, struct worker *worker, yoke_endpoint *endpoint)
{
    struct outgoing *outgoing = new_zeroed(sizeof *outgoing);
    for (uint32_t next = 0; outgoing && next < round->each;) {
        fill_next(round, worker, outgoing, next);
        for (size_t sent = 0; sent < outgoing->count && go_on();) {
            ssize_t result = send_some(worker, endpoint, outgoing, sent);
            sent += went(result, "sending") ? (size_t)result : 0;
        }
        next += (uint32_t)outgoing->count;
        if (!go_on())
            break;
    }
    free(outgoing);
}

static void receive_copies(struct round *round, struct worker *worker, yoke_endpoint *endpoint,
                           struct incoming *incoming, int64_t timeout)
{
    struct yoke_message messages[AT_ONCE];
    uint32_t count = 1 + below(&worker->random, AT_ONCE);
    for (uint32_t i = 0; i < count; i++)
        messages[i] = (struct yoke_message){.data = incoming->bytes[i], .capacity = PACKET_MAX};
    ssize_t result = yoke_recv_many(endpoint, messages, count, timeout);
    if (!went(result, "receiving several"))
        return;
    for (ssize_t i = 0; i < result; i++)
        arrived(incoming, &messages[i], round);
}

/* Gives it back: from now on it may come in any order. */
static void give_back(const struct round *round, yoke_endpoint *endpoint,
                      const struct yoke_message *message)
{
    uint32_t sender, number;
    if (!packet_check(round, message->data, message->size, &sender, &number))
        return;
    atomic_store(&board->returned[sender][number], 1);
    went(yoke_return(endpoint, message->data), "giving back");
}

/* In place: some are given back, the others released, in another order than they came. */
static void receive_in_place(struct round *round, struct worker *worker, yoke_endpoint *endpoint,
                             struct incoming *incoming, int64_t timeout)
{
    struct yoke_message messages[2] = {{.data = NULL}};
    ssize_t result = yoke_borrow_many(endpoint, messages, 1 + below(&worker->random, 2), timeout);
    if (result == -EBUSY) /* threads that share the handle have as many as it may */
        result = -EAGAIN;
    if (!went(result, "borrowing"))
        return;
    bool back[2] = {round->gives_back && one_in(&worker->random, 6),
                    round->gives_back && one_in(&worker->random, 6)};
    for (ssize_t i = 0; i < result; i++) {
        if (!back[i])
            arrived(incoming, &messages[i], round);
    }
    for (ssize_t i = result; i-- > 0;) {
        if (back[i])
            give_back(round, endpoint, &messages[i]);
        else
            went(yoke_release(endpoint, messages[i].data), "releasing");
    }
}

/* As an event loop does. */
static void receive_polling(struct round *round, struct worker *worker, yoke_endpoint *endpoint,
                            struct incoming *incoming)
{
    int fd = yoke_fd(endpoint);
    if (!went(fd, "asking for a descriptor"))
        return;
    struct pollfd polled = {.fd = fd, .events = POLLIN};
    poll(&polled, 1, 20);
    for (uint32_t i = 1 + below(&worker->random, 8); i > 0; i--)
        receive_copies(round, worker, endpoint, incoming, YOKE_NOW);
}

static void receive_from_set(struct round *round, struct worker *worker, struct incoming *incoming)
{
    yoke_endpoint *own = port_open(round, worker->process, 1);
    yoke_set *set = NULL;
    struct yoke_ready ready;
    if (own && went(yoke_set_create(&set), "making a set") &&
        went(yoke_set_add(set, own, own), "adding to a set")) {
        while (!all_arrived(round) && go_on()) {
            if (went(yoke_set_wait(set, &ready, 1, 20 * MS), "waiting in a set"))
                receive_copies(round, worker, ready.endpoint, incoming, YOKE_NOW);
        }
    }
    yoke_set_close(set);
    yoke_close(own);
}

static void port_receive(struct round *round, struct worker *worker, yoke_endpoint *port)
{
    struct incoming *incoming = new_zeroed(sizeof *incoming);
    uint32_t habit = below(&worker->random, round->one_handle ? 4 : 5);
    if (habit == 4 && incoming) /* by a handle of its own */
        receive_from_set(round, worker, incoming);
    while (incoming && !all_arrived(round) && go_on()) {
        /* bounded, since the last number may come to somebody else */
        int64_t timeout = one_in(&worker->random, 4) ? YOKE_NOW : 20 * MS;
        struct yoke_message one = {.data = incoming->bytes[0]};
        switch (one_in(&worker->random, 4) ? below(&worker->random, 3) : habit) {
        case 0:
            receive_copies(round, worker, port, incoming, timeout);
            break;
        case 1:
            receive_in_place(round, worker, port, incoming, timeout);
            break;
        case 3:
            receive_polling(round, worker, port, incoming);
            break;
        default: {
            /* of which priority it is, is not told */
            ssize_t result = yoke_recv(port, one.data, PACKET_MAX, timeout);
            one.size = (size_t)result;
            uint32_t sender, number;
            if (went(result, "receiving") &&
                packet_check(round, one.data, one.size, &sender, &number))
                note_arrival(sender, number);
        }
        }
    }
    free(incoming);
}

static void port_work(struct round *round, struct worker *worker, void *handle)
{
    wait_for_all(round);
    if (worker->role == SEND)
        send_all(round, worker, handle);
    else
        port_receive(round, worker, handle);
}

const struct scene port_scene = {
    .name = "ports",
    .plan = port_plan,
    .prepare = port_prepare,
    .dispose = scene_dispose,
    .open = port_open,
    .close = scene_close,
    .work = port_work,
};

/* ---- links: a handle for each end, which one thread sends through and another receives ---- */

static void link_plan(struct round *round)
{
    uint64_t *random = &round->random;
    round->depth = 1 + below(random, one_in(random, 2) ? 4 : 64);
    round->size = one_in(random, 2) ? 64 : PACKET_MAX;
    round->spins = one_in(random, 2);
    round->pair = one_in(random, 2);
    for (uint32_t end = 0; end < 2; end++) {
        uint32_t process = below(random, round->processes);
        for (uint32_t role = SEND; role <= RECEIVE; role++) {
            struct worker *worker = add_worker(round, role, role == SEND);
            worker->process = process;
            worker->handle = end;
        }
    }
}

static struct yoke_options link_options(const struct round *round)
{
    struct yoke_options options = scene_options(round);
    options.depth = round->depth;
    options.max_message = round->size;
    return options;
}

static void link_prepare(struct round *round)
{
    struct yoke_options options = link_options(round);
    options.spin_ns = -1;
    if (round->pair && yoke_pair(round->descriptors, &options) < 0)
        wrong("no pair: %s", yoke_explain());
}

static void link_dispose(struct round *round)
{
    if (round->pair) {
        close(round->descriptors[0]);
        close(round->descriptors[1]);
    }
}

static void *link_open(struct round *round, uint32_t process, uint32_t end)
{
    struct yoke_options options = link_options(round);
    char me[80], other[80];
    yoke_endpoint *link = NULL;
    (void)process;
    if (round->pair) {
        struct yoke_options own = scene_options(round);
        if (yoke_open_descriptor(&link, round->descriptors[end], &own) < 0)
            wrong("the end of a pair can not be opened: %s", yoke_explain());
        return link;
    }
    snprintf(me, sizeof me, "%s.%u", round->name, end);
    snprintf(other, sizeof other, "link:%s.%u", round->name, 1 - end);
    options.as = me;
    return scene_open(other, YOKE_CREATE, &options);
}

/* One sender: what comes is the very next one, always. */
static void next_in_line(const struct round *round, const struct yoke_message *message,
                         uint32_t *next, bool counts)
{
    uint32_t sender, number;
    if (!packet_check(round, message->data, message->size, &sender, &number))
        return;
    if (number != *next)
        wrong("number %u came through a link instead of number %u", number, *next);
    if (message->tag != 0 && message->tag != number)
        wrong("number %u has the tag of number %llu", number, (unsigned long long)message->tag);
    if (!counts)
        return;
    (*next)++;
    note_arrival(sender, number);
}

static void link_receive(struct round *round, struct worker *worker, yoke_endpoint *link)
{
    struct incoming *incoming = new_zeroed(sizeof *incoming);
    uint32_t next = 0;
    while (incoming && next < round->each && go_on()) {
        int64_t timeout = some_time(&worker->random);
        struct yoke_message messages[AT_ONCE] = {{.data = NULL}};
        uint32_t how = below(&worker->random, 8), count = 1 + below(&worker->random, AT_ONCE);
        ssize_t result;
        for (uint32_t i = 0; i < AT_ONCE; i++)
            messages[i] = (struct yoke_message){.data = incoming->bytes[i], .capacity = PACKET_MAX};
        if (how < 4) {
            result = yoke_recv(link, messages[0].data, PACKET_MAX, timeout);
            messages[0].size = (size_t)result;
            if (went(result, "receiving"))
                next_in_line(round, &messages[0], &next, true);
        } else if (how < 6) {
            result = yoke_recv_many(link, messages, count, timeout);
            for (ssize_t i = 0; went(result, "receiving several") && i < result; i++)
                next_in_line(round, &messages[i], &next, true);
        } else if (how == 6) { /* in place, and released in the opposite order */
            result = yoke_borrow_many(link, messages, count, timeout);
            for (ssize_t i = 0; went(result, "borrowing") && i < result; i++)
                next_in_line(round, &messages[i], &next, true);
            for (ssize_t i = result; i-- > 0;)
                went(yoke_release(link, messages[i].data), "releasing");
        } else { /* and given back: then it comes next, again */
            result = yoke_borrow_many(link, messages, 1, timeout);
            if (went(result, "borrowing") && result == 1) {
                next_in_line(round, &messages[0], &next, false);
                went(yoke_return(link, messages[0].data), "giving back");
            }
        }
    }
    free(incoming);
}

static void link_work(struct round *round, struct worker *worker, void *handle)
{
    wait_for_all(round);
    if (worker->role == SEND)
        send_all(round, worker, handle);
    else
        link_receive(round, worker, handle);
}

const struct scene link_scene = {
    .name = "links",
    .plan = link_plan,
    .prepare = link_prepare,
    .dispose = link_dispose,
    .open = link_open,
    .close = scene_close,
    .work = link_work,
};

/* ---- signals: handle 0 is the inbox, in process 0; handle 1 whoever sends ---- */

struct signaller {
    yoke_peer *peer;
    yoke_endpoint *inbox;
};

static void signal_plan(struct round *round)
{
    uint64_t *random = &round->random;
    round->depth = 2 + below(random, 30);
    round->spins = one_in(random, 2);
    for (uint32_t i = 1 + below(random, 3); i > 0; i--) {
        struct worker *worker = add_worker(round, RECEIVE, false);
        worker->process = worker->handle = 0;
    }
    for (uint32_t i = 1 + below(random, 4); i > 0; i--)
        add_worker(round, SEND, true)->handle = 1;
}

static void *signal_open(struct round *round, uint32_t process, uint32_t handle)
{
    struct signaller *signaller = new_zeroed(sizeof *signaller);
    struct yoke_options options = scene_options(round);
    char name[80];
    if (!signaller)
        return NULL;
    options.depth = round->depth;
    snprintf(name, sizeof name, handle == 0 ? "%s" : "%s.%u", round->name, process);
    if (!went(yoke_peer_join(&signaller->peer, name, NULL), "joining") ||
        (handle == 0 &&
         !went(yoke_signals_open(&signaller->inbox, signaller->peer, 0, &options), "an inbox")))
        wrong("no signals: %s", yoke_explain());
    return signaller;
}

static void signal_close(void *handle, uint32_t number)
{
    struct signaller *signaller = handle;
    (void)number;
    yoke_close(signaller->inbox);
    yoke_peer_leave(signaller->peer);
    free(signaller);
}

static void signal_receive(struct round *round, struct worker *worker, yoke_endpoint *inbox)
{
    uint32_t last[WORKERS_MAX] = {0};
    struct yoke_signal signal;
    while (!all_arrived(round) && go_on()) {
        int64_t timeout = one_in(&worker->random, 3) ? YOKE_NOW : 20 * MS;
        if (!went(yoke_signal_recv(inbox, &signal, timeout), "receiving a signal"))
            continue;
        uint32_t sender = (uint32_t)(signal.value >> 32), number = (uint32_t)signal.value;
        if (sender >= round->senders || number >= round->each || signal.number != number % 50) {
            wrong("a signal that nobody sent: %u %llx", signal.number,
                  (unsigned long long)signal.value);
            return;
        }
        check_order(&last[sender], sender, number);
        note_arrival(sender, number);
    }
}

static void signal_send(struct round *round, struct worker *worker, yoke_peer *peer)
{
    char to[80];
    snprintf(to, sizeof to, "peer:%s", round->name);
    for (uint32_t number = 0; number < round->each && go_on();) {
        int result = yoke_signal_send(one_in(&worker->random, 3) ? NULL : peer, to, number % 50,
                                      (uint64_t)worker->sender << 32 | number);
        number += went(result, "sending a signal");
    }
}

static void signal_work(struct round *round, struct worker *worker, void *handle)
{
    struct signaller *signaller = handle;
    wait_for_all(round);
    if (!signaller || !go_on())
        return;
    if (worker->role == SEND)
        signal_send(round, worker, signaller->peer);
    else
        signal_receive(round, worker, signaller->inbox);
}

const struct scene signal_scene = {
    .name = "signals",
    .plan = signal_plan,
    .open = signal_open,
    .close = signal_close,
    .work = signal_work,
};
