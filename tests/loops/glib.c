/* glib.c - a descriptor as a source of GLib's main loop. */
#include <glib-unix.h>

#include "loop.h"

struct watched {
    GMainLoop *loop;
    bool (*ready)(void *context);
    void *context;
};

static gboolean on_readable(gint fd, GIOCondition condition, gpointer context)
{
    struct watched *watched = context;

    (void)fd;
    (void)condition;
    if (watched->ready(watched->context))
        return G_SOURCE_CONTINUE;
    g_main_loop_quit(watched->loop);
    return G_SOURCE_REMOVE;
}

const char *run_loop(int fd, bool (*ready)(void *context), void *context)
{
    struct watched watched = {
        .loop = g_main_loop_new(NULL, FALSE), .ready = ready, .context = context};

    g_unix_fd_add(fd, G_IO_IN, on_readable, &watched);
    g_main_loop_run(watched.loop);
    g_main_loop_unref(watched.loop);
    return NULL;
}
