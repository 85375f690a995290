/*
 * endpoint.c - the verbs of yoke.h: validates, then hands over to the kind.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/sys.h"
#include "endpoint.h"
#include "endpoint_options.h"
#include "peer.h"
#include "place.h"
#include "set.h"
#include "stream.h"

static bool is_link(const yoke_endpoint *endpoint)
{
    return endpoint->kind == YK_KIND_LINK && !endpoint->operations;
}

/* Neither a port nor a link in memory: its operations say what it can do. */
static bool is_other(const yoke_endpoint *endpoint)
{
    return yk_unlikely(endpoint->operations != NULL);
}

static int can_not(const yoke_endpoint *endpoint, const char *verb)
{
    return yk_fail(ENOTSUP, "%s can not %s", endpoint->operations->what, verb);
}

static int no_endpoint(void)
{
    return yk_fail(EINVAL, "the endpoint is NULL");
}

static int no_output(const char *what)
{
    return yk_fail(EINVAL, "%s is NULL: there is nowhere to put the result", what);
}

/* ---- opening and closing ---- */

static int open_kind(yoke_endpoint *endpoint, const struct yk_address *address, uint32_t flags,
                     const struct yoke_options *options)
{
    if (endpoint->kind == YK_KIND_LINK && address->whole)
        return yk_fail(EINVAL,
                       "a link is opened by the other peer's name alone, such as link:bob, and "
                       "yoke_options.as says who this is");
    if (address->place && address->where[0] != '\0') { /* a module, which has not these checks */
        int result = yk_options_check(endpoint->kind, flags, options);
        if (result == 0 && endpoint->kind == YK_KIND_LINK)
            result = yk_link_check_as(address->name, options);
        if (result < 0)
            return result;
    }
    if (address->place)
        return address->place->open(endpoint, address, flags, options);
    if (endpoint->kind == YK_KIND_PORT)
        return yk_port_open(&endpoint->port, address->name, flags, options);
    if (endpoint->kind == YK_KIND_STREAM)
        return yk_stream_open(endpoint, address->name, flags, options);
    return yk_link_open(&endpoint->link, address->name, flags, options);
}

yoke_endpoint *yk_endpoint_new(enum yk_kind kind)
{
    /* apart from all else that other threads write */
    yoke_endpoint *endpoint = yk_sys_allocate_aligned(128, sizeof *endpoint);
    if (!endpoint) {
        yk_fail(ENOMEM, "no memory for an endpoint");
        return NULL;
    }
    endpoint->kind = kind;
    return endpoint;
}

static int open_endpoint(yoke_endpoint **ret_endpoint, const struct yk_address *address,
                         uint32_t flags, const struct yoke_options *options)
{
    yoke_endpoint *endpoint = yk_endpoint_new(address->kind);
    if (!endpoint)
        return -ENOMEM;
    int result = open_kind(endpoint, address, flags, options);
    if (result < 0)
        free(endpoint);
    else
        *ret_endpoint = endpoint;
    return result;
}

YOKE_API int yoke_open(yoke_endpoint **ret_endpoint, const char *address, uint32_t flags,
                       const struct yoke_options *options)
{
    static const struct yoke_options defaults = YOKE_OPTIONS_INIT;
    struct yk_address parsed;
    if (!ret_endpoint)
        return no_output("ret_endpoint");
    int result = yk_address_parse(address, &parsed);
    if (result < 0)
        return result;
    if (parsed.kind == YK_KIND_REGION)
        return yk_fail(ENOTSUP, "%s is no endpoint: use yoke_region_open()", address);
    if (parsed.kind == YK_KIND_PEER)
        return yk_fail(ENOTSUP, "%s is no endpoint: open link:%s, or use yoke_peer_wait()", address,
                       parsed.name);
    if (parsed.kind == YK_KIND_SIGNALS)
        return yk_fail(ENOTSUP, "%s is opened by its peer alone: yoke_signals_open()", address);
    return open_endpoint(ret_endpoint, &parsed, flags, options ? options : &defaults);
}

YOKE_API int yoke_open_descriptor(yoke_endpoint **ret_endpoint, int descriptor,
                                  const struct yoke_options *options)
{
    static const struct yoke_options defaults = YOKE_OPTIONS_INIT;
    if (!ret_endpoint)
        return no_output("ret_endpoint");
    options = options ? options : &defaults;
    struct stat facts;
    int asked = yk_sys_stat(descriptor, &facts);
    if (asked < 0 && asked != -EBADF)
        return yk_fail(-asked, "descriptor %d can not be asked: %s", descriptor, strerror(-asked));
    bool pipe = asked == 0 && S_ISFIFO(facts.st_mode);
    int kind = pipe ? YK_KIND_STREAM : yk_anonymous_kind(descriptor, YK_KIND_LINK);
    if (kind < 0)
        return kind;
    yoke_endpoint *endpoint = yk_endpoint_new((enum yk_kind)kind);
    if (!endpoint)
        return -ENOMEM;
    int result = pipe ? yk_place_kernel.open_descriptor(endpoint, descriptor, options)
                 : endpoint->kind == YK_KIND_STREAM
                     ? yk_stream_open_descriptor(endpoint, descriptor, options)
                     : yk_link_open_descriptor(&endpoint->link, descriptor, options);
    if (result < 0)
        free(endpoint);
    else
        *ret_endpoint = endpoint;
    return result;
}

static int64_t time_left(int64_t deadline)
{
    int64_t left = deadline - yk_now();
    return deadline == INT64_MAX ? YOKE_FOREVER : left > 0 ? left : 0;
}

static int check_wait(const yoke_peer *peer, yoke_endpoint **ret_link, int64_t timeout_ns)
{
    if (!peer)
        return yk_fail(EINVAL, "the peer is NULL");
    if (!ret_link)
        return no_output("ret_link");
    return timeout_ns < YOKE_FOREVER ? yk_bad_timeout(timeout_ns) : 0;
}

/* What a link that somebody else made is opened with. */
static struct yoke_options options_as(const yoke_peer *peer, int64_t spin_ns)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;
    options.as = peer->peer->object.fixed.name;
    options.spin_ns = spin_ns;
    return options;
}

/*
 * Opens a link that was seen: 1, or an error, or 0 for none. If it could not be opened, and that lies
 * with the link (it went meanwhile, it is another user's, it is broken), it must not stand in the
 * way of others: it is passed over for a while, and the next one is looked for.
 */
static int open_seen(yoke_endpoint **ret_link, yoke_peer *peer, const struct yk_address *address,
                     int64_t spin_ns)
{
    struct yoke_options options = options_as(peer, spin_ns);
    if (!yk_peer_begin_opening(peer->peer, address->name))
        return 0;
    int result = open_endpoint(ret_link, address, 0, &options);
    yk_peer_end_opening(peer->peer);
    if (result == 0)
        return 1;
    if (result == -EMFILE || result == -ENFILE || result == -ENOMEM || result == -ENOLCK)
        return result;
    yk_peer_refuse(peer->peer, address->name);
    return 0;
}

static int out_of_time(int result, int64_t timeout_ns)
{
    return result == -EAGAIN && timeout_ns != 0 ? -ETIMEDOUT : result;
}

static int accept_link(yoke_endpoint **ret_link, yoke_peer *peer, int64_t spin_ns,
                       int64_t timeout_ns)
{
    struct yk_address address = {.kind = YK_KIND_LINK};
    int64_t deadline = yk_deadline(timeout_ns);
    for (int64_t left = timeout_ns;; left = time_left(deadline)) {
        int result = yk_peer_await_link(peer, address.name, left);
        if (result < 0)
            return out_of_time(result, timeout_ns);
        result = open_seen(ret_link, peer, &address, spin_ns);
        if (result != 0)
            return result < 0 ? result : 0;
    }
}

/* In a place with peers of its own, which opens what it finds; `any`: or a link that has something. */
static int next_elsewhere(yoke_endpoint **ret_link, const yoke_peer *peer, bool any,
                          int64_t timeout_ns)
{
    yoke_endpoint *fresh = yk_endpoint_new(YK_KIND_LINK), *ready = NULL;
    if (!fresh)
        return -ENOMEM;
    int result = peer->elsewhere->next(peer->self, fresh, any ? &ready : NULL, timeout_ns);
    if (result == YOKE_NEXT_OPENED)
        *ret_link = fresh;
    else
        free(fresh);
    if (result == YOKE_NEXT_READY)
        *ret_link = ready;
    return result;
}

YOKE_API int yoke_peer_accept(yoke_peer *peer, yoke_endpoint **ret_link,
                              const struct yoke_options *options, int64_t timeout_ns)
{
    int result = check_wait(peer, ret_link, timeout_ns);
    if (result == 0 && options && options->struct_size != sizeof *options)
        result = yk_fail(EINVAL, "the options were not initialised with YOKE_OPTIONS_INIT");
    if (result == 0 && peer->elsewhere) {
        result = next_elsewhere(ret_link, peer, false, timeout_ns);
        return result < 0 ? result : 0;
    }
    if (result == 0)
        result = yk_peer_visit_begin(peer);
    if (result < 0)
        return result;
    result = accept_link(ret_link, peer, options ? options->spin_ns : -1, timeout_ns);
    yk_peer_visit_end(peer);
    return result;
}

static int next_link(yoke_endpoint **ret_link, yoke_peer *peer, int64_t timeout_ns)
{
    struct yk_address address = {.kind = YK_KIND_LINK};
    struct yk_link *link = NULL;
    int64_t deadline = yk_deadline(timeout_ns);
    for (int64_t left = timeout_ns;; left = time_left(deadline)) {
        int result = yk_peer_next(peer, &link, address.name, left);
        if (result == YOKE_NEXT_READY)
            *ret_link = (yoke_endpoint *)link; /* its first member */
        if (result != YOKE_NEXT_OPENED)
            return out_of_time(result, timeout_ns);
        result = open_seen(ret_link, peer, &address, -1);
        if (result != 0)
            return result < 0 ? result : YOKE_NEXT_OPENED;
    }
}

YOKE_API int yoke_peer_next(yoke_peer *peer, yoke_endpoint **ret_link, int64_t timeout_ns)
{
    int result = check_wait(peer, ret_link, timeout_ns);
    if (result == 0 && peer->elsewhere)
        return next_elsewhere(ret_link, peer, true, timeout_ns);
    if (result == 0)
        result = yk_peer_visit_begin(peer);
    if (result < 0)
        return result;
    result = next_link(ret_link, peer, timeout_ns);
    yk_peer_visit_end(peer);
    return result;
}

YOKE_API const char *yoke_link_other(yoke_endpoint *link)
{
    if (!link)
        return "";
    if (is_other(link))
        return link->operations->link_other ? link->operations->link_other(link->self) : "";
    return is_link(link) && link->link.peer ? link->link.other : "";
}

YOKE_API int yoke_link_wait(yoke_endpoint *link, int64_t timeout_ns)
{
    if (!link)
        return no_endpoint();
    if (!is_link(link) && !(is_other(link) && link->operations->link_wait))
        return yk_fail(EINVAL, "the endpoint is no link: there is no other end to wait for");
    if (timeout_ns < YOKE_FOREVER)
        return yk_bad_timeout(timeout_ns);
    if (is_other(link))
        return link->operations->link_wait(link->self, timeout_ns);
    return yk_link_wait(&link->link, timeout_ns);
}

/* ---- descriptors ---- */

static struct yk_waiting *waiting_of(yoke_endpoint *endpoint)
{
    if (is_other(endpoint))
        return endpoint->operations->waiting ? endpoint->operations->waiting(endpoint->self) : NULL;
    return is_link(endpoint) ? &endpoint->link.waiting : &endpoint->port.waiting;
}

static int enter(yoke_endpoint *endpoint)
{
    if (is_other(endpoint))
        return endpoint->operations->enter ? endpoint->operations->enter(endpoint->self) : 0;
    return is_link(endpoint) ? yk_link_enter(&endpoint->link) : yk_object_enter(&endpoint->object);
}

int yk_endpoint_waiting(yoke_endpoint *endpoint, struct yk_waiting **ret)
{
    if (is_other(endpoint) && !endpoint->operations->fd && !endpoint->operations->waiting)
        return can_not(endpoint, "be waited for through a descriptor");
    if (!is_other(endpoint) && !is_link(endpoint) && endpoint->port.parked)
        return yk_fail(ENOTSUP, "nothing tells when a message is parked: look now and then");
    int result = enter(endpoint);
    if (result == 0)
        *ret = waiting_of(endpoint);
    return result;
}

YOKE_API int yoke_fd(yoke_endpoint *endpoint)
{
    struct yk_waiting *waiting;
    if (!endpoint)
        return no_endpoint();
    int result = yk_endpoint_waiting(endpoint, &waiting);
    if (result < 0)
        return result;
    return waiting ? yk_descriptor_open(waiting) : endpoint->operations->fd(endpoint->self);
}

YOKE_API int yoke_peer_fd(yoke_peer *peer)
{
    if (!peer)
        return yk_fail(EINVAL, "the peer is NULL");
    if (peer->elsewhere)
        return peer->elsewhere->fd(peer->self);
    int result = yk_peer_visit_begin(peer);
    if (result < 0)
        return result;
    result = yk_peer_descriptor(peer->peer);
    yk_peer_visit_end(peer);
    return result;
}

/* ---- closing ---- */

YOKE_API int yoke_cancel(yoke_endpoint *endpoint)
{
    if (!endpoint)
        return no_endpoint();
    if (is_other(endpoint))
        return endpoint->operations->cancel(endpoint->self);
    struct yk_object *object = &endpoint->object;
    int result = is_link(endpoint) ? yk_link_enter(&endpoint->link) : yk_object_enter(object);
    if (result < 0)
        return result;
    yk_cancel(waiting_of(endpoint));
    return 0;
}

static void expel(yoke_endpoint *endpoint)
{
    yoke_cancel(endpoint);
    if (is_link(endpoint))
        yk_link_expel(&endpoint->link);
    else
        yk_wait_for_visitors(&endpoint->object);
}

YOKE_API int yoke_close(yoke_endpoint *endpoint)
{
    if (!endpoint)
        return 0;
    yk_set_drop(endpoint->member);
    if (is_other(endpoint)) {
        endpoint->operations->close(endpoint->self);
        free(endpoint);
        return 0;
    }
    /*
     * in a forked child that never used it, there is nobody to wait for, and the slot is the
     * parent's
     */
    if (yk_load_relaxed(&endpoint->object.fork_stamp) == yk_fork_stamp())
        expel(endpoint);
    if (is_link(endpoint))
        yk_link_close(&endpoint->link);
    else
        yk_port_close(&endpoint->port);
    free(endpoint);
    return 0;
}

YOKE_API int yoke_remove(const char *address)
{
    struct yk_address parsed;
    int result = yk_address_parse_whole(address, &parsed);
    if (result < 0)
        return result;
    if (parsed.kind == YK_KIND_PEER || parsed.kind == YK_KIND_SIGNALS)
        return yk_fail(ENOTSUP, "%s can not be removed: it goes with its process", address);
    return parsed.place ? parsed.place->remove(&parsed)
                        : yk_object_remove(parsed.kind, parsed.name);
}

YOKE_API size_t yoke_max_message(yoke_endpoint *endpoint)
{
    if (!endpoint)
        return 0;
    if (is_other(endpoint))
        return endpoint->operations->max_message ? endpoint->operations->max_message(endpoint->self)
                                                 : 0;
    return is_link(endpoint) ? endpoint->link.out.ring.geometry.max_message
                             : endpoint->port.ring.geometry.max_message;
}

/* ---- streams ---- */

/* The checks that the calls on a stream have in common. `where` is NULL where there must be memory. */
static int check_stream(const yoke_endpoint *endpoint, const void *where, size_t size,
                        int64_t timeout_ns)
{
    if (yk_unlikely(!endpoint))
        return no_endpoint();
    if (yk_unlikely(endpoint->kind != YK_KIND_STREAM))
        return yk_fail(ENOTSUP, "a %s has messages, not bytes: yoke_send() and yoke_recv()",
                       yk_kind_name(endpoint->kind));
    if (yk_unlikely(!where && size > 0))
        return yk_fail(EINVAL, "the buffer is NULL and has %zu bytes", size);
    return yk_unlikely(timeout_ns < YOKE_FOREVER) ? yk_bad_timeout(timeout_ns) : 0;
}

/* What a result can say. */
static size_t at_most(size_t size)
{
    return size < (size_t)SSIZE_MAX ? size : (size_t)SSIZE_MAX;
}

YOKE_API ssize_t yoke_write(yoke_endpoint *endpoint, const void *data, size_t size,
                            int64_t timeout_ns)
{
    int result = check_stream(endpoint, data, size, timeout_ns);
    return result < 0
               ? result
               : endpoint->operations->write(endpoint->self, data, at_most(size), timeout_ns);
}

YOKE_API ssize_t yoke_read(yoke_endpoint *endpoint, void *buffer, size_t capacity,
                           int64_t timeout_ns)
{
    int result = check_stream(endpoint, buffer, capacity, timeout_ns);
    return result < 0
               ? result
               : endpoint->operations->read(endpoint->self, buffer, at_most(capacity), timeout_ns);
}

YOKE_API ssize_t yoke_move(yoke_endpoint *endpoint, int descriptor, size_t size, int64_t timeout_ns)
{
    int result = check_stream(endpoint, "", 0, timeout_ns);
    return result < 0
               ? result
               : endpoint->operations->move(endpoint->self, descriptor, at_most(size), timeout_ns);
}

YOKE_API size_t yoke_stream_capacity(yoke_endpoint *stream)
{
    return stream && stream->kind == YK_KIND_STREAM ? stream->operations->capacity(stream->self)
                                                    : 0;
}

YOKE_API int yoke_stream_end(yoke_endpoint *stream)
{
    int result = check_stream(stream, "", 0, YOKE_NOW);
    return result < 0 ? result : stream->operations->end(stream->self);
}

/* ---- one message ---- */

static ssize_t send_other(yoke_endpoint *endpoint, const void *message, size_t size,
                          int64_t timeout_ns)
{
    struct yoke_message one = {.data = (void *)(uintptr_t)message, .size = size};
    ssize_t sent = yoke_send_many(endpoint, &one, 1, timeout_ns);
    return sent < 0 ? sent : 0;
}

static ssize_t recv_other(yoke_endpoint *endpoint, void *buffer, size_t capacity,
                          int64_t timeout_ns)
{
    struct yoke_message one = {.data = buffer, .capacity = capacity};
    ssize_t received = yoke_recv_many(endpoint, &one, 1, timeout_ns);
    return received < 0 ? received : (ssize_t)one.size;
}

YOKE_API ssize_t yoke_send(yoke_endpoint *endpoint, const void *message, size_t size,
                           int64_t timeout_ns)
{
    if (yk_unlikely(!endpoint))
        return no_endpoint();
    if (yk_unlikely(timeout_ns < YOKE_FOREVER))
        return yk_bad_timeout(timeout_ns);
    if (is_other(endpoint))
        return send_other(endpoint, message, size, timeout_ns);
    if (is_link(endpoint))
        return yk_link_send(&endpoint->link, message, size, timeout_ns);
    return yk_port_send(&endpoint->port, message, size, timeout_ns);
}

YOKE_API ssize_t yoke_recv(yoke_endpoint *endpoint, void *buffer, size_t capacity,
                           int64_t timeout_ns)
{
    if (yk_unlikely(!endpoint))
        return no_endpoint();
    if (yk_unlikely(timeout_ns < YOKE_FOREVER))
        return yk_bad_timeout(timeout_ns);
    if (is_other(endpoint))
        return recv_other(endpoint, buffer, capacity, timeout_ns);
    if (is_link(endpoint))
        return yk_link_recv(&endpoint->link, buffer, capacity, timeout_ns);
    return yk_port_recv(&endpoint->port, buffer, capacity, timeout_ns);
}

YOKE_API int yoke_loan(yoke_endpoint *endpoint, size_t size, void **ret_block, int64_t timeout_ns)
{
    if (!endpoint)
        return no_endpoint();
    if (!ret_block)
        return no_output("ret_block");
    if (timeout_ns < YOKE_FOREVER)
        return yk_bad_timeout(timeout_ns);
    if (is_other(endpoint))
        return endpoint->operations->loan
                   ? endpoint->operations->loan(endpoint->self, size, ret_block, timeout_ns)
                   : can_not(endpoint, "lend memory for a message: use yoke_send()");
    return is_link(endpoint) ? yk_link_loan(&endpoint->link, size, ret_block, timeout_ns)
                             : yk_port_loan(&endpoint->port, size, ret_block, timeout_ns);
}

YOKE_API int yoke_commit(yoke_endpoint *endpoint, void *block, size_t size)
{
    struct yoke_message one = {.data = block, .size = size};
    ssize_t sent = yoke_commit_many(endpoint, &one, 1, YOKE_NOW);
    return sent == 1 ? 0 : (int)sent;
}

YOKE_API ssize_t yoke_borrow(yoke_endpoint *endpoint, const void **ret_message, int64_t timeout_ns)
{
    struct yoke_message one = {.data = NULL};
    if (!ret_message)
        return no_output("ret_message");
    ssize_t received = yoke_borrow_many(endpoint, &one, 1, timeout_ns);
    if (received != 1)
        return received;
    *ret_message = one.data;
    return (ssize_t)one.size;
}

YOKE_API int yoke_release(yoke_endpoint *endpoint, const void *message)
{
    if (!endpoint)
        return no_endpoint();
    if (is_other(endpoint))
        return endpoint->operations->release
                   ? endpoint->operations->release(endpoint->self, message)
                   : can_not(endpoint, "have messages borrowed or loaned");
    return is_link(endpoint) ? yk_link_release(&endpoint->link, message)
                             : yk_port_release(&endpoint->port, message);
}

YOKE_API int yoke_return(yoke_endpoint *endpoint, const void *message)
{
    if (!endpoint)
        return no_endpoint();
    if (is_other(endpoint))
        return endpoint->operations->give_back
                   ? endpoint->operations->give_back(endpoint->self, message)
                   : can_not(endpoint, "take a message back");
    return is_link(endpoint) ? yk_link_return(&endpoint->link, message)
                             : yk_port_return(&endpoint->port, message);
}

/* ---- several messages ---- */

/* What the ..._many calls have in common, whatever the kind and place. */
static int check_many(const yoke_endpoint *endpoint, const struct yoke_message *messages,
                      size_t count, int64_t timeout_ns)
{
    if (yk_unlikely(!endpoint))
        return no_endpoint();
    if (yk_unlikely(!messages && count > 0))
        return yk_fail(EINVAL, "messages is NULL and count %zu", count);
    if (yk_unlikely(timeout_ns < YOKE_FOREVER))
        return yk_bad_timeout(timeout_ns);
    return 0;
}

/* And those that send. */
static int check_sending(const yoke_endpoint *endpoint, const struct yoke_message *messages,
                         size_t count, int64_t timeout_ns)
{
    int result = check_many(endpoint, messages, count, timeout_ns);
    for (size_t i = 0; i < count && result == 0; i++) {
        if (yk_unlikely((messages[i].flags & ~YOKE_MESSAGE_AGAIN) != 0))
            result =
                yk_fail(EINVAL, "a message's flags may be 0 or %#x (YOKE_MESSAGE_AGAIN), not %#x",
                        YOKE_MESSAGE_AGAIN, messages[i].flags);
    }
    return result;
}

YOKE_API ssize_t yoke_send_many(yoke_endpoint *endpoint, const struct yoke_message *messages,
                                size_t count, int64_t timeout_ns)
{
    int result = check_sending(endpoint, messages, count, timeout_ns);
    if (result < 0)
        return result;
    if (is_other(endpoint))
        return endpoint->operations->send_many
                   ? endpoint->operations->send_many(endpoint->self, messages, count, timeout_ns)
                   : can_not(endpoint, "send messages");
    return is_link(endpoint) ? yk_link_send_many(&endpoint->link, messages, count, timeout_ns)
                             : yk_port_send_many(&endpoint->port, messages, count, timeout_ns);
}

YOKE_API ssize_t yoke_recv_many(yoke_endpoint *endpoint, struct yoke_message *messages,
                                size_t count, int64_t timeout_ns)
{
    int result = check_many(endpoint, messages, count, timeout_ns);
    if (result < 0)
        return result;
    if (is_other(endpoint))
        return endpoint->operations->recv_many
                   ? endpoint->operations->recv_many(endpoint->self, messages, count, timeout_ns)
                   : can_not(endpoint, "receive messages");
    return is_link(endpoint) ? yk_link_recv_many(&endpoint->link, messages, count, timeout_ns)
                             : yk_port_recv_many(&endpoint->port, messages, count, timeout_ns);
}

YOKE_API ssize_t yoke_commit_many(yoke_endpoint *endpoint, const struct yoke_message *messages,
                                  size_t count, int64_t timeout_ns)
{
    int result = check_sending(endpoint, messages, count, timeout_ns);
    if (result < 0)
        return result;
    if (is_other(endpoint))
        return endpoint->operations->commit_many
                   ? endpoint->operations->commit_many(endpoint->self, messages, count, timeout_ns)
                   : can_not(endpoint, "lend memory for a message: use yoke_send()");
    return is_link(endpoint) ? yk_link_commit_many(&endpoint->link, messages, count, timeout_ns)
                             : yk_port_commit(&endpoint->port, messages, count, timeout_ns);
}

YOKE_API ssize_t yoke_borrow_many(yoke_endpoint *endpoint, struct yoke_message *messages,
                                  size_t count, int64_t timeout_ns)
{
    int result = check_many(endpoint, messages, count, timeout_ns);
    if (result < 0)
        return result;
    if (is_other(endpoint))
        return endpoint->operations->borrow_many
                   ? endpoint->operations->borrow_many(endpoint->self, messages, count, timeout_ns)
                   : can_not(endpoint, "be read in place: use yoke_recv()");
    return is_link(endpoint) ? yk_link_borrow_many(&endpoint->link, messages, count, timeout_ns)
                             : yk_port_borrow(&endpoint->port, messages, count, timeout_ns);
}
