/*
 * polled.h - receiving as in an event loop: until nothing is there, then asleep in poll() on yoke's
 * descriptor.
 */
#ifndef YK_BENCH_POLLED_H
#define YK_BENCH_POLLED_H

#include <errno.h>
#include <poll.h>
#include <yoke.h>

/* As yoke_recv(), which it calls with YOKE_NOW; `set`, unless NULL, says which endpoint has any. */
static inline ssize_t bench_recv_polled(yoke_endpoint *endpoint, yoke_set *set, void *buffer,
                                        size_t size)
{
    struct pollfd ready = {set ? yoke_set_fd(set) : yoke_fd(endpoint), POLLIN, 0};
    ssize_t got = ready.fd;

    while (got >= 0) {
        struct yoke_ready found = {.endpoint = endpoint};

        got = set ? yoke_set_wait(set, &found, 1, YOKE_NOW) : 1;
        if (got > 0)
            got = yoke_recv(found.endpoint, buffer, size, YOKE_NOW);
        if (got != -EAGAIN)
            break;
        got = poll(&ready, 1, -1) < 0 ? -errno : 0;
    }
    return got;
}

#endif
