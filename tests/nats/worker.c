/*
 * worker.c - a sender or a receiver of numbered messages, for the fault tests of the place nats, over yoke.h alone.
 *
 *     worker send ADDRESS RECORDS NAME PAUSE_US   sends "NAME 0", "NAME 1", ... until SIGTERM
 *     worker recv ADDRESS RECORDS PAUSE_US        receives until SIGTERM, holds each message for so long
 *
 * Of a link, it is the peer $WORKER_AS.
 *
 * What it did is appended to the file RECORDS, a line by one write, so that it is there when the worker is killed
 * after it:
 *     NANOSECONDS NUMBER TRIES          of a message whose sending succeeded
 *     NANOSECONDS NAME NUMBER DELIVERIES of one that was received, before it is released (acknowledged)
 * A message is sent until that succeeds, whatever comes between: so each number up to the last one recorded was
 * sent, and at most the next one may have been. Errors that are no answers of the place end it with status 1.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "yoke.h"

#define SECOND      (INT64_C(1000000000))
#define PATIENCE_NS (5 * SECOND) /* of one call: it is made again */

static volatile sig_atomic_t over;

static void end(int number)
{
    (void)number;
    over = 1;
}

static int64_t now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * SECOND + time.tv_nsec;
}

static int complain(const char *what, int64_t error)
{
    fprintf(stderr, "worker: %s: %" PRId64 ": %s\n", what, error, yoke_explain());
    return 1;
}

static bool record(int file, const char *line, int size)
{
    return size > 0 && write(file, line, (size_t)size) == size;
}

/* Of a link: the other end is away, or this one still belongs to who was killed. */
static bool is_alone(int64_t error)
{
    return error == -EOWNERDEAD || error == -EADDRINUSE;
}

/* What a place may answer while parts of it are down: the call is to be made again. */
static bool is_passing(int64_t error)
{
    return error == -EAGAIN || error == -ETIMEDOUT || error == -EINTR || error == -ECOMM ||
           error == -EHOSTUNREACH || is_alone(error);
}

static int send_numbers(yoke_endpoint *port, int records, const char *name, long pause_us)
{
    const struct timespec pause = {.tv_nsec = pause_us * 1000};
    char message[64], line[96];

    for (uint64_t number = 0; !over; number++) {
        int size = snprintf(message, sizeof message, "%s %" PRIu64, name, number), tries = 0;
        int64_t result;

        do {
            result = yoke_send(port, message, (size_t)size, PATIENCE_NS);
            tries++;
        } while (is_passing(result) && !over);
        if (is_passing(result))
            return 0; /* it is not known of this last one */
        if (result < 0)
            return complain("send", result);
        size = snprintf(line, sizeof line, "%" PRId64 " %" PRIu64 " %d\n", now(), number, tries);
        if (!record(records, line, size))
            return complain("records", -errno);
        nanosleep(&pause, NULL);
    }
    return 0;
}

static int receive_numbers(yoke_endpoint *port, int records, long pause_us)
{
    const struct timespec pause = {.tv_nsec = pause_us * 1000};

    while (!over) {
        struct yoke_message message = {0};
        char line[160];
        int64_t result = yoke_borrow_many(port, &message, 1, PATIENCE_NS);

        if (is_passing(result))
            continue;
        if (result == -EPIPE)
            return 0; /* who sent on a link has ended */
        if (result < 0)
            return complain("borrow", result);
        if (!record(records, line,
                    snprintf(line, sizeof line, "%" PRId64 " %.*s %" PRIu32 "\n", now(),
                             (int)message.size, (const char *)message.data, message.deliveries)))
            return complain("records", -errno);
        if (pause_us > 0)
            nanosleep(&pause, NULL);
        result = yoke_release(port, message.data);
        if (result < 0)
            return complain("release", result);
    }
    return 0;
}

int main(int count, char **words)
{
    const struct sigaction action = {.sa_handler = end};
    bool sending = count == 6 && strcmp(words[1], "send") == 0;
    struct yoke_options options = YOKE_OPTIONS_INIT;
    yoke_endpoint *port;
    int records, result;

    if (!sending && !(count == 5 && strcmp(words[1], "recv") == 0)) {
        fputs(
            "usage: worker send ADDRESS RECORDS NAME PAUSE_US, worker recv ADDRESS RECORDS PAUSE_US\n",
            stderr);
        return 2;
    }
    sigaction(SIGTERM, &action, NULL);
    records = open(words[3], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (records < 0)
        return complain(words[3], -errno);
    options.as = getenv("WORKER_AS");
    do
        result = yoke_open(&port, words[2], options.as ? YOKE_CREATE : 0, &options);
    while (is_passing(result) && !over);
    if (result < 0)
        return is_passing(result) ? 0 : complain(words[2], result);
    result = sending ? send_numbers(port, records, words[4], atol(words[5]))
                     : receive_numbers(port, records, atol(words[4]));
    yoke_close(port);
    return result;
}
