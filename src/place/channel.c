/*
 * channel.c - see channel.h.
 *
 * A message that is too big for the caller's buffer is to stay where it is, but the kernel has no
 * way to look at a message without taking it. So it is put back at once, under the odd number above
 * its priority's own: before all others of its priority, behind those of the next one. If the queue
 * was filled meanwhile it is held here instead, and what is received next through this handle; until
 * then each receiving call, and closing, tries to put it back. What that does not keep: other
 * processes may receive the messages behind it in between, and a process that dies in between takes
 * it along.
 */
#include "channel.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/sys.h"

#define MAGIC  UINT32_C(0x314b4f59) /* "YOK1" */
#define MARKED UINT32_C(0x80000000) /* or'ed to it: sent with YOKE_MESSAGE_AGAIN */

/* Before the bytes of each message. What no yoke wrote is no message. */
struct header {
    uint64_t tag;
    int32_t sender;
    uint32_t magic;
};

const size_t yk_channel_header = sizeof(struct header);

#define PUT_BACK 1u /* added to the kernel's priority */

static uint32_t kernel_priority(uint32_t priority)
{
    return priority * 2;
}

static const char *address_of(const struct yk_channel *channel)
{
    return yk_entry_address(channel->queues.entry);
}

size_t yk_channel_max_message(void *self)
{
    const struct yk_channel *channel = self;
    return channel->queues.message_size - sizeof(struct header);
}

/* ---- one handle ---- */

static void init_private(struct yk_channel *channel)
{
    pthread_mutex_init(&channel->sending, NULL);
    pthread_mutex_init(&channel->receiving, NULL);
    yk_store32_relaxed(&channel->visitors, 0);
    channel->sender = yk_sys_process_id();
}

static int make_event(const struct yk_channel *channel, int *ret_fd)
{
    int fd = yk_sys_eventfd();
    if (fd < 0)
        return yk_fail(-fd, "no descriptor for %s: %s", address_of(channel), strerror(-fd));
    *ret_fd = fd;
    return 0;
}

int yk_channel_init(struct yk_channel *channel, const struct yk_channel_kind *kind, int out, int in)
{
    struct yk_queues *queues = &channel->queues;
    channel->kind = kind;
    channel->out = queues->fds[out];
    channel->in = queues->fds[in];
    channel->end = channel->epoll = channel->holding = channel->bell = -1;
    init_private(channel);
    int result = queues->message_size > sizeof(struct header)
                     ? make_event(channel, &channel->bell)
                     : yk_fail(EPROTO,
                               "the message queue of %s has room for %llu bytes: no yoke "
                               "made it",
                               address_of(channel), (unsigned long long)queues->message_size);
    channel->out_buffer = yk_sys_allocate(1, queues->message_size);
    channel->in_buffer = yk_sys_allocate(1, queues->message_size);
    if (result == 0 && (!channel->out_buffer || !channel->in_buffer))
        result = yk_fail(ENOMEM, "no memory for messages of %llu bytes",
                         (unsigned long long)queues->message_size);
    if (result == 0)
        return 0;
    yk_channel_fini(channel);
    yk_queues_close(queues);
    return result;
}

static void close_if_open(int fd)
{
    if (fd >= 0)
        yk_sys_close(fd);
}

/* Gives an event, or what yoke_fd() gave out, a new content under its old number. */
static int renew(int fd, int fresh)
{
    int result = fresh < 0 ? fresh : yk_sys_replace(fd, fresh);
    close_if_open(fresh);
    return result < 0
               ? yk_fail(-result, "after fork, no descriptor is to be had: %s", strerror(-result))
               : 0;
}

static int watch_all(const struct yk_channel *channel, int epoll);

/* In a forked child nobody is inside any more, and events are to be this process's own. */
static int refresh(struct yk_channel *channel)
{
    init_private(channel);
    channel->held = 0; /* the parent's */
    int result = renew(channel->bell, yk_sys_eventfd());
    if (result < 0 || channel->epoll < 0)
        return result;
    result = renew(channel->holding, yk_sys_eventfd());
    if (result == 0)
        result = renew(channel->epoll, yk_sys_epoll());
    return result < 0 ? result : watch_all(channel, channel->epoll);
}

static int rejoin(struct yk_channel *channel)
{
    int result = refresh(channel);
    if (result == 0)
        result = yk_queues_rejoin(&channel->queues);
    if (result == 0 && channel->kind->joined)
        result = channel->kind->joined(channel);
    if (result == 0) /* SYNC queues.joined release: after all that joining has set */
        yk_store_release(&channel->queues.fork_stamp, yk_fork_stamp());
    return result;
}

int yk_channel_enter(struct yk_channel *channel)
{
    if (yk_likely(yk_queues_joined(&channel->queues)))
        return 0;
    int result = channel->kind->enter ? channel->kind->enter(channel) : 0;
    if (result < 0)
        return result;
    yk_process_lock();
    if (!yk_queues_joined(&channel->queues))
        result = rejoin(channel);
    yk_process_unlock();
    return result;
}

int yk_channel_cancel(void *self)
{
    struct yk_channel *channel = self;
    int result = yk_channel_enter(channel);
    if (result < 0)
        return result;
    yk_store32_release(&channel->cancelled, 1);
    return yk_sys_ring(channel->bell, 1); /* for ever: it is never cleared */
}

/* ---- who waits ---- */

#define CLOSING (UINT32_C(1) << 31)

static void visit_begin(struct yk_channel *channel)
{
    yk_add32_seq(&channel->visitors, 1);
}

/* The last that a call does with the handle, which may be gone right after. */
static void visit_end(struct yk_channel *channel)
{
    if (yk_add32_seq(&channel->visitors, UINT32_MAX) == (CLOSING | 1))
        yk_sys_futex_wake(&channel->visitors, INT_MAX); /* by address only */
}

static void expel(struct yk_channel *channel)
{
    yk_store32_release(&channel->cancelled, 1);
    yk_sys_ring(channel->bell, 1);
    uint32_t visitors = yk_or32_seq(&channel->visitors, CLOSING) | CLOSING;
    while (visitors != CLOSING) {
        yk_sys_futex_wait(&channel->visitors, visitors, INT64_C(100000000));
        visitors = yk_load32_seq(&channel->visitors);
    }
}

static int sleep_once(const struct yk_channel_waiting *waiting, int64_t deadline)
{
    struct yk_channel *channel = waiting->channel;
    struct pollfd fds[] = {{.fd = waiting->fd, .events = waiting->events},
                           {.fd = channel->bell, .events = POLLIN},
                           {.fd = waiting->slice > 0 ? -1 : channel->end}};
    int64_t left = deadline == INT64_MAX ? -1 : deadline - yk_now();
    if (deadline != INT64_MAX && left <= 0)
        return -ETIMEDOUT;
    if (waiting->slice > 0 && (left < 0 || left > waiting->slice))
        left = waiting->slice;
    int result = yk_sys_poll_all(fds, 3, left);
    return result < 0 ? result : 0;
}

static int wait_until(const struct yk_channel_waiting *waiting, int64_t deadline)
{
    int result = 0;
    while (result == 0) {
        /* yoke_cancel() ends a wait, not what can be done at once */
        if (yk_load32_acquire(&waiting->channel->cancelled))
            return -ECANCELED;
        int slept = sleep_once(waiting, deadline);
        if (slept == -EINTR)
            return slept;
        result = waiting->attempt(waiting->context);
        if (result == 0 && slept < 0)
            return slept;
    }
    return result;
}

int yk_channel_wait(const struct yk_channel_waiting *waiting, int64_t timeout_ns)
{
    int result = waiting->attempt(waiting->context);
    if (result != 0)
        return result;
    if (timeout_ns == 0)
        return yk_load32_acquire(&waiting->channel->cancelled) ? -ECANCELED : -EAGAIN;
    visit_begin(waiting->channel);
    result = wait_until(waiting, yk_deadline(timeout_ns));
    visit_end(waiting->channel);
    return result;
}

static int explain_end(const struct yk_channel *channel, int result)
{
    if (result == -EPIPE)
        return yk_fail(EPIPE, "the other side of %s closed it", address_of(channel));
    if (result == -EOWNERDEAD)
        return yk_fail(EOWNERDEAD, "the other side of %s died", address_of(channel));
    return result;
}

static int other_end(const struct yk_channel *channel)
{
    return channel->kind->other_end ? channel->kind->other_end(channel) : 0;
}

/* ---- sending ---- */

struct sending {
    struct yk_channel *channel;
    const struct yoke_message *messages;
    size_t count, sent;
};

static int check_message(const struct yk_channel *channel, const struct yoke_message *message)
{
    size_t most = yk_channel_max_message((void *)(uintptr_t)channel);
    if (!message->data && message->size > 0)
        return yk_fail(EINVAL, "the message is NULL and has %zu bytes", message->size);
    if (message->size > most)
        return yk_fail(EMSGSIZE, "%zu bytes are more than a message on %s may have, %zu",
                       message->size, address_of(channel), most);
    if (message->priority >= channel->queues.record.priorities)
        return yk_fail(EINVAL, "%s has the priorities 0 to %u; %u is not one of them",
                       address_of(channel), channel->queues.record.priorities - 1,
                       message->priority);
    return 0;
}

static int send_one(struct yk_channel *channel, const struct yoke_message *message)
{
    bool marked = (message->flags & YOKE_MESSAGE_AGAIN) != 0;
    struct header header = {
        .tag = message->tag, .sender = channel->sender, .magic = marked ? MAGIC | MARKED : MAGIC};
    pthread_mutex_lock(&channel->sending);
    memcpy(channel->out_buffer, &header, sizeof header);
    if (message->size > 0)
        memcpy(channel->out_buffer + sizeof header, message->data, message->size);
    int result = yk_sys_queue_send(channel->out, channel->out_buffer, sizeof header + message->size,
                                   kernel_priority(message->priority));
    pthread_mutex_unlock(&channel->sending);
    if (result == -EAGAIN)
        return 0;
    return result < 0 ? yk_fail(-result, "the kernel does not take a message for %s: %s",
                                address_of(channel), strerror(-result))
                      : 1;
}

/* The other side's end is told only when there is no room. */
static int attempt_send(void *context)
{
    struct sending *sending = context;
    int result = 1;
    while (sending->sent < sending->count && result == 1) {
        result = send_one(sending->channel, &sending->messages[sending->sent]);
        sending->sent += result == 1;
    }
    if (sending->sent > 0)
        return 1;
    return result == 0 ? other_end(sending->channel) : result;
}

ssize_t yk_channel_send_many(void *self, const struct yoke_message *messages, size_t count,
                             int64_t timeout_ns)
{
    struct yk_channel *channel = self;
    struct sending sending = {.channel = channel, .messages = messages, .count = count};
    struct yk_channel_waiting waiting = {channel, attempt_send, &sending, channel->out, POLLOUT, 0};
    int result = yk_channel_enter(channel);
    for (size_t i = 0; i < count && result == 0; i++)
        result = check_message(channel, &messages[i]);
    if (result < 0 || count == 0)
        return result;
    result = yk_channel_wait(&waiting, timeout_ns);
    return result < 0 ? explain_end(channel, result) : (ssize_t)sending.sent;
}

/* ---- receiving ---- */

/* Back to where it was, or else held here. The caller has the mutex. */
static void put_back(struct yk_channel *channel, size_t size, uint32_t priority)
{
    bool back = yk_sys_queue_send(channel->in, channel->in_buffer, size, priority | PUT_BACK) == 0;
    channel->held = back ? 0 : size;
    channel->held_priority = priority;
    if (channel->holding < 0)
        return;
    if (back)
        yk_sys_clear(channel->holding);
    else
        yk_sys_ring(channel->holding, 1);
}

/* Into in_buffer: its size and the kernel's priority, or -EAGAIN … */
static ssize_t take_next(struct yk_channel *channel, uint32_t *ret_priority)
{
    if (channel->held > 0) /* others may have made room meanwhile: then what is first comes first */
        put_back(channel, channel->held, channel->held_priority);
    if (channel->held == 0)
        return yk_sys_queue_receive(channel->in, channel->in_buffer, channel->queues.message_size,
                                    ret_priority);
    *ret_priority = channel->held_priority;
    return (ssize_t)channel->held;
}

static void hold_nothing(struct yk_channel *channel)
{
    if (channel->held == 0)
        return;
    channel->held = 0;
    if (channel->holding >= 0)
        yk_sys_clear(channel->holding);
}

static int refuse_foreign(const struct yk_channel *channel)
{
    return yk_fail(EPROTO, "%s held a message that no yoke wrote; it is gone now",
                   address_of(channel));
}

static int refuse_big(const struct yk_channel *channel, size_t size, size_t capacity)
{
    return yk_fail(EMSGSIZE,
                   "the next message of %s has %zu bytes, the buffer %zu; yoke_max_message() says "
                   "%zu",
                   address_of(channel), size, capacity,
                   yk_channel_max_message((void *)(uintptr_t)channel));
}

static int take_locked(struct yk_channel *channel, struct yoke_message *message)
{
    struct header header;
    uint32_t priority;
    ssize_t size = take_next(channel, &priority);
    if (size < 0)
        return size == -EAGAIN ? 0
                               : yk_fail((int)-size, "nothing can be received from %s: %s",
                                         address_of(channel), strerror((int)-size));
    size_t bytes = (size_t)size - sizeof header;
    bool sound = (size_t)size >= sizeof header && priority / 2 < channel->queues.record.priorities;
    if (sound)
        memcpy(&header, channel->in_buffer, sizeof header);
    if (!sound || (header.magic & ~MARKED) != MAGIC) {
        hold_nothing(channel);
        return refuse_foreign(channel);
    }
    if (bytes > message->capacity) {
        if (channel->held == 0)
            put_back(channel, (size_t)size, priority);
        return refuse_big(channel, bytes, message->capacity);
    }
    if (bytes > 0)
        memcpy(message->data, channel->in_buffer + sizeof header, bytes);
    hold_nothing(channel);
    message->size = bytes;
    message->sequence = 0;
    message->tag = header.tag;
    message->priority = priority / 2;
    message->deliveries = header.magic & MARKED ? 2 : 1;
    message->sender = header.sender;
    message->flags = message->deliveries > 1 ? YOKE_MESSAGE_AGAIN : 0;
    return 1;
}

static int take_one(struct yk_channel *channel, struct yoke_message *message)
{
    pthread_mutex_lock(&channel->receiving);
    int result = take_locked(channel, message);
    pthread_mutex_unlock(&channel->receiving);
    return result;
}

struct receiving {
    struct yk_channel *channel;
    struct yoke_message *messages;
    size_t count, received;
};

static int take_some(struct receiving *receiving)
{
    int result = 1;
    while (receiving->received < receiving->count && result == 1) {
        result = take_one(receiving->channel, &receiving->messages[receiving->received]);
        receiving->received += result == 1;
    }
    return receiving->received > 0 ? 1 : result;
}

/* The other side's end is told when there is still nothing after it was seen. */
static int attempt_receive(void *context)
{
    struct receiving *receiving = context;
    int end, result = take_some(receiving);
    if (result != 0 || (end = other_end(receiving->channel)) == 0)
        return result;
    result = take_some(receiving);
    return result == 0 ? end : result;
}

ssize_t yk_channel_recv_many(void *self, struct yoke_message *messages, size_t count,
                             int64_t timeout_ns)
{
    struct yk_channel *channel = self;
    struct receiving receiving = {.channel = channel, .messages = messages, .count = count};
    struct yk_channel_waiting waiting = {channel,     attempt_receive, &receiving,
                                         channel->in, POLLIN,          0};
    int result = yk_channel_enter(channel);
    for (size_t i = 0; i < count && result == 0; i++) {
        if (!messages[i].data && messages[i].capacity > 0)
            result = yk_fail(EINVAL, "the buffer of message %zu is NULL and has %zu bytes", i,
                             messages[i].capacity);
    }
    if (result < 0 || count == 0)
        return result;
    result = yk_channel_wait(&waiting, timeout_ns);
    return result < 0 ? explain_end(channel, result) : (ssize_t)receiving.received;
}

bool yk_channel_has_message(struct yk_channel *channel)
{
    struct yk_sys_queue queue;
    pthread_mutex_lock(&channel->receiving);
    bool has =
        channel->held > 0 || (yk_sys_queue_look(channel->in, &queue) == 0 && queue.waiting > 0);
    pthread_mutex_unlock(&channel->receiving);
    return has;
}

/* ---- readiness ---- */

static int watch_all(const struct yk_channel *channel, int epoll)
{
    int result = yk_sys_epoll_add(epoll, channel->in, POLLIN, 0);
    if (result == 0)
        result = yk_sys_epoll_add(epoll, channel->holding, POLLIN, 0);
    if (result == 0 && channel->end >= 0) /* for its end alone, which is always told */
        result = yk_sys_epoll_add(epoll, channel->end, 0, 0);
    return result < 0 ? yk_fail(-result, "%s can not be watched: %s", address_of(channel),
                                strerror(-result))
                      : 0;
}

/* The caller has the mutex. */
static int make_fd(struct yk_channel *channel)
{
    int epoll = yk_sys_epoll();
    if (epoll < 0)
        return yk_fail(-epoll, "no descriptor for %s: %s", address_of(channel), strerror(-epoll));
    int result = make_event(channel, &channel->holding);
    if (result == 0)
        result = watch_all(channel, epoll);
    if (result < 0) {
        close_if_open(channel->holding);
        channel->holding = -1;
        yk_sys_close(epoll);
        return result;
    }
    if (channel->held > 0)
        yk_sys_ring(channel->holding, 1);
    channel->epoll = epoll;
    return 0;
}

int yk_channel_fd(void *self)
{
    struct yk_channel *channel = self;
    int result = yk_channel_enter(channel);
    if (result < 0)
        return result;
    pthread_mutex_lock(&channel->receiving);
    if (channel->epoll < 0)
        result = make_fd(channel);
    int fd = channel->epoll;
    pthread_mutex_unlock(&channel->receiving);
    return result < 0 ? result : fd;
}

/* ---- closing ---- */

void yk_channel_fini(struct yk_channel *channel)
{
    if (yk_queues_joined(&channel->queues)) {
        if (channel->bell >= 0)
            expel(channel);
        if (channel->held > 0)
            put_back(channel, channel->held, channel->held_priority);
    }
    close_if_open(channel->bell);
    close_if_open(channel->epoll);
    close_if_open(channel->holding);
    close_if_open(channel->end);
    free(channel->out_buffer);
    free(channel->in_buffer);
    pthread_mutex_destroy(&channel->sending);
    pthread_mutex_destroy(&channel->receiving);
}
