/*
 * event_loop.c - non-blocking receive: other work goes on, and messages are taken when they are there.
 *
 * poll() waits for a mailbox and for a pipe at once, as an event loop does for whatever it has. The
 * mailbox's descriptor is readable whenever receiving would not wait; it may be so once too often,
 * and receiving with YOKE_NOW then says -EAGAIN.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <yoke.h>

#define MESSAGES 100

static int send_both(int pipe_end)
{
    yoke_endpoint *port;

    if (yoke_open(&port, "port:events", 0, NULL) < 0)
        return EXIT_FAILURE;
    for (int i = 0; i < MESSAGES; i++) {
        yoke_send(port, &i, sizeof i, YOKE_FOREVER);
        if (i % 10 == 0 && write(pipe_end, "x", 1) != 1)
            return EXIT_FAILURE;
    }
    return yoke_close(port);
}

int main(void)
{
    yoke_endpoint *port;
    int ends[2], messages = 0, bytes = 0, number;
    char byte;

    if (yoke_open(&port, "port:events", YOKE_CREATE, NULL) < 0 || pipe(ends) < 0)
        return fprintf(stderr, "%s\n", yoke_explain()), EXIT_FAILURE;
    if (fork() == 0)
        exit(send_both(ends[1]));
    struct pollfd wait_for[] = {{.fd = yoke_fd(port), .events = POLLIN},
                                {.fd = ends[0], .events = POLLIN}};
    while (messages < MESSAGES || bytes < MESSAGES / 10) {
        if (poll(wait_for, 2, -1) < 0 && errno != EINTR)
            return EXIT_FAILURE;
        while (yoke_recv(port, &number, sizeof number, YOKE_NOW) >= 0)
            messages++;
        if (wait_for[1].revents && read(ends[0], &byte, 1) == 1)
            bytes++;
    }
    wait(NULL);
    printf("%d messages and %d bytes through one loop\n", messages, bytes);
    return yoke_close(port);
}
