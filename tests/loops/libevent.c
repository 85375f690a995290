/* libevent.c - a descriptor in a persistent, level-triggered event. */
#include <event2/event.h>
#include <stddef.h>

#include "loop.h"

struct watched {
    struct event_base *base;
    bool (*ready)(void *context);
    void *context;
};

static void on_readable(evutil_socket_t fd, short events, void *context)
{
    struct watched *watched = context;

    (void)fd;
    (void)events;
    if (!watched->ready(watched->context))
        event_base_loopbreak(watched->base);
}

const char *run_loop(int fd, bool (*ready)(void *context), void *context)
{
    struct watched watched = {.base = event_base_new(), .ready = ready, .context = context};
    struct event *event;

    if (!watched.base)
        return "libevent has no loop here";
    event = event_new(watched.base, fd, EV_READ | EV_PERSIST, on_readable, &watched);
    event_add(event, NULL);
    event_base_dispatch(watched.base);
    event_free(event);
    event_base_free(watched.base);
    return NULL;
}
