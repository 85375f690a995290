/* libuv.c - a descriptor in a uv_poll_t. */
#include <stddef.h>
#include <uv.h>

#include "loop.h"

struct watched {
    uv_poll_t poll; /* first */
    bool (*ready)(void *context);
    void *context;
};

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct watched *watched = (struct watched *)poll;

    (void)events;
    if (status < 0 || !watched->ready(watched->context))
        uv_poll_stop(poll);
}

const char *run_loop(int fd, bool (*ready)(void *context), void *context)
{
    struct watched watched = {.ready = ready, .context = context};
    uv_loop_t loop;

    if (uv_loop_init(&loop) != 0 || uv_poll_init(&loop, &watched.poll, fd) != 0)
        return "libuv can not watch a descriptor here";
    uv_poll_start(&watched.poll, UV_READABLE, on_readable);
    uv_run(&loop, UV_RUN_DEFAULT); /* until nothing is watched */
    uv_close((uv_handle_t *)&watched.poll, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
    return NULL;
}
