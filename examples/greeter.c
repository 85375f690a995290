/*
 * greeter.c - a server and three clients, over links.
 *
 * The server joins as the peer "greeter" and waits for whatever comes next: a link that somebody
 * opened, or something on one of its links. Each client opens a link to it under a name of its own,
 * asks, and waits for the answer.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <yoke.h>

#define CLIENTS 3

static int fail(const char *who)
{
    fprintf(stderr, "%s: %s\n", who, yoke_explain());
    return EXIT_FAILURE;
}

static int client(const char *name)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;
    yoke_endpoint *link;
    char answer[100];

    options.as = name;
    if (yoke_open(&link, "link:greeter", YOKE_CREATE, &options) < 0 ||
        yoke_send(link, "hello", 6, YOKE_FOREVER) < 0 ||
        yoke_recv(link, answer, sizeof answer, YOKE_FOREVER) < 0)
        return fail(name);
    printf("%s was told: %s\n", name, answer);
    return yoke_close(link);
}

/* One question answered, or the link closed because its other end is gone: then 1. */
static int serve(yoke_endpoint *link)
{
    char question[100], answer[200];
    ssize_t size = yoke_recv(link, question, sizeof question, YOKE_NOW);

    if (size == -EPIPE || size == -EOWNERDEAD) {
        yoke_close(link);
        return 1;
    }
    if (size > 0) {
        int length = snprintf(answer, sizeof answer, "%.*s, %s", (int)size - 1, question,
                              yoke_link_other(link));
        yoke_send(link, answer, (size_t)length + 1, YOKE_NOW);
    }
    return 0;
}

int main(void)
{
    static const char *const names[CLIENTS] = {"alice", "bob", "carol"};
    yoke_peer *greeter;

    if (yoke_peer_join(&greeter, "greeter", NULL) < 0)
        return fail("greeter");
    for (int i = 0; i < CLIENTS; i++) {
        if (fork() == 0)
            exit(client(names[i]));
    }
    for (int gone = 0; gone < CLIENTS;) {
        yoke_endpoint *link;
        int next = yoke_peer_next(greeter, &link, YOKE_FOREVER);

        if (next < 0 && next != -EINTR)
            return fail("greeter");
        if (next == YOKE_NEXT_READY)
            gone += serve(link);
    }
    while (wait(NULL) > 0)
        ;
    return yoke_peer_leave(greeter);
}
