/*
 * direct.c - direct communication: two processes that name each other, and the one link between them.
 *
 * send(Q, message) and receive(P, message) of the textbook: P opens link:Q as P, Q opens link:P as Q.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <yoke.h>

static yoke_endpoint *open_link(const char *me, const char *address)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;
    yoke_endpoint *link;

    options.as = me;
    if (yoke_open(&link, address, YOKE_CREATE, &options) < 0) {
        fprintf(stderr, "%s: %s\n", me, yoke_explain());
        exit(EXIT_FAILURE);
    }
    return link;
}

static int process_q(void)
{
    yoke_endpoint *link = open_link("Q", "link:P");
    char text[100];

    if (yoke_recv(link, text, sizeof text, YOKE_FOREVER) < 0)
        return EXIT_FAILURE;
    printf("Q received: %s\n", text);
    fflush(stdout);
    yoke_send(link, "the same to you", 16, YOKE_FOREVER);
    return yoke_close(link);
}

int main(void)
{
    char text[100];

    if (fork() == 0)
        exit(process_q());
    yoke_endpoint *link = open_link("P", "link:Q");
    yoke_send(link, "good morning, Q", 16, YOKE_FOREVER); /* waits for Q in the link */
    if (yoke_recv(link, text, sizeof text, YOKE_FOREVER) < 0)
        return fprintf(stderr, "%s\n", yoke_explain()), EXIT_FAILURE;
    printf("P received: %s\n", text);
    wait(NULL);
    return yoke_close(link);
}
