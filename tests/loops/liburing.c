/* liburing.c - a descriptor polled by io_uring: one poll for each time, as it says what is so when it is asked. */
#include <liburing.h>
#include <poll.h>
#include <stddef.h>

#include "loop.h"

const char *run_loop(int fd, bool (*ready)(void *context), void *context)
{
    struct io_uring ring;
    struct io_uring_cqe *done;

    if (io_uring_queue_init(8, &ring, 0) < 0)
        return "io_uring is forbidden here";
    do {
        io_uring_prep_poll_add(io_uring_get_sqe(&ring), fd, POLLIN);
        if (io_uring_submit(&ring) != 1 || io_uring_wait_cqe(&ring, &done) < 0 || done->res < 0)
            break;
        io_uring_cqe_seen(&ring, done);
    } while (ready(context));
    io_uring_queue_exit(&ring);
    return NULL;
}
