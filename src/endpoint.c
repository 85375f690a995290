/*
 * endpoint.c - the verbs of yoke.h: validates, then hands over to the kind.
 */
#include <errno.h>
#include <stdlib.h>

#include "address.h"
#include "base/error.h"
#include "base/sys.h"
#include "port.h"
#include "yoke.h"

struct yoke_endpoint {
    struct yk_port port;
};

static int no_endpoint(void)
{
    return yk_fail(EINVAL, "the endpoint is NULL");
}

static int no_output(const char *what)
{
    return yk_fail(EINVAL, "%s is NULL: there is nowhere to put the result", what);
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
    if (parsed.kind != YK_KIND_PORT)
        return yk_fail(ENOTSUP, "%s is no endpoint: use yoke_region_open()", address);
    yoke_endpoint *endpoint = calloc(1, sizeof *endpoint);
    if (!endpoint)
        return yk_fail(ENOMEM, "no memory for an endpoint");
    result = yk_port_open(&endpoint->port, parsed.name, flags, options ? options : &defaults);
    if (result < 0)
        free(endpoint);
    else
        *ret_endpoint = endpoint;
    return result;
}

YOKE_API int yoke_cancel(yoke_endpoint *endpoint)
{
    if (!endpoint)
        return no_endpoint();
    struct yk_object *object = &endpoint->port.object;
    int result = yk_object_enter(object);
    if (result < 0)
        return result;
    yk_store32_release(&object->cancelled, 1);
    yk_wake_own(object);
    return 0;
}

YOKE_API int yoke_close(yoke_endpoint *endpoint)
{
    if (!endpoint)
        return 0;
    struct yk_object *object = &endpoint->port.object;
    /*
     * in a forked child that never used it, there is nobody to wait for, and the slot is the
     * parent's
     */
    if (yk_load_relaxed(&object->fork_stamp) == yk_fork_stamp()) {
        yoke_cancel(endpoint);
        yk_wait_for_visitors(object);
    }
    yk_port_close(&endpoint->port);
    free(endpoint);
    return 0;
}

YOKE_API int yoke_remove(const char *address)
{
    struct yk_address parsed;
    int result = yk_address_parse(address, &parsed);
    return result < 0 ? result : yk_object_remove(parsed.kind, parsed.name);
}

YOKE_API size_t yoke_max_message(yoke_endpoint *endpoint)
{
    return endpoint ? endpoint->port.ring.geometry.max_message : 0;
}

YOKE_API ssize_t yoke_send(yoke_endpoint *endpoint, const void *message, size_t size,
                           int64_t timeout_ns)
{
    struct yoke_message one = {.data = (void *)(uintptr_t)message, .size = size};
    ssize_t sent = yoke_send_many(endpoint, &one, 1, timeout_ns);
    return sent == 1 ? 0 : sent;
}

YOKE_API ssize_t yoke_recv(yoke_endpoint *endpoint, void *buffer, size_t capacity,
                           int64_t timeout_ns)
{
    struct yoke_message one = {.data = buffer, .capacity = capacity};
    ssize_t received = yoke_recv_many(endpoint, &one, 1, timeout_ns);
    return received == 1 ? (ssize_t)one.size : received;
}

YOKE_API int yoke_loan(yoke_endpoint *endpoint, size_t size, void **ret_block, int64_t timeout_ns)
{
    if (!endpoint)
        return no_endpoint();
    if (!ret_block)
        return no_output("ret_block");
    if (timeout_ns < YOKE_FOREVER)
        return yk_bad_timeout(timeout_ns);
    return yk_port_loan(&endpoint->port, size, ret_block, timeout_ns);
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
    return endpoint ? yk_port_release(&endpoint->port, message) : no_endpoint();
}

YOKE_API int yoke_return(yoke_endpoint *endpoint, const void *message)
{
    return endpoint ? yk_port_return(&endpoint->port, message) : no_endpoint();
}

/* What the ..._many calls have in common. */
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

YOKE_API ssize_t yoke_send_many(yoke_endpoint *endpoint, const struct yoke_message *messages,
                                size_t count, int64_t timeout_ns)
{
    int result = check_many(endpoint, messages, count, timeout_ns);
    return result < 0 ? result : yk_port_send(&endpoint->port, messages, count, timeout_ns);
}

YOKE_API ssize_t yoke_recv_many(yoke_endpoint *endpoint, struct yoke_message *messages,
                                size_t count, int64_t timeout_ns)
{
    int result = check_many(endpoint, messages, count, timeout_ns);
    return result < 0 ? result : yk_port_recv(&endpoint->port, messages, count, timeout_ns);
}

YOKE_API ssize_t yoke_commit_many(yoke_endpoint *endpoint, const struct yoke_message *messages,
                                  size_t count, int64_t timeout_ns)
{
    int result = check_many(endpoint, messages, count, timeout_ns);
    return result < 0 ? result : yk_port_commit(&endpoint->port, messages, count, timeout_ns);
}

YOKE_API ssize_t yoke_borrow_many(yoke_endpoint *endpoint, struct yoke_message *messages,
                                  size_t count, int64_t timeout_ns)
{
    int result = check_many(endpoint, messages, count, timeout_ns);
    return result < 0 ? result : yk_port_borrow(&endpoint->port, messages, count, timeout_ns);
}
