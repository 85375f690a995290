/*
 * notify.c - a signal: one process tells another, by its name, that something happened.
 *
 * It is received like a message, beside the messages, by one wait for both: no handler runs in the
 * midst of something, and none is merged with another one, or lost.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <yoke.h>

#define JOBS     20
#define ALL_SENT 1 /* the signal's number; its value says how many jobs there are */

static int boss(void)
{
    yoke_endpoint *port;
    yoke_peer *me;

    if (yoke_peer_join(&me, "boss", NULL) < 0 || yoke_open(&port, "port:work", 0, NULL) < 0)
        return EXIT_FAILURE;
    for (int job = 0; job < JOBS; job++)
        yoke_send(port, &job, sizeof job, YOKE_FOREVER);
    if (yoke_signal_send(me, "peer:worker", ALL_SENT, JOBS) < 0)
        return fprintf(stderr, "%s\n", yoke_explain()), EXIT_FAILURE;
    yoke_close(port);
    return yoke_peer_leave(me);
}

int main(void)
{
    yoke_peer *me;
    yoke_endpoint *port, *inbox;
    yoke_set *set;
    struct yoke_ready ready;
    struct yoke_signal signal = {.number = 0};
    uint64_t jobs = 0;
    int job;

    if (yoke_peer_join(&me, "worker", NULL) < 0 || yoke_signals_open(&inbox, me, 0, NULL) < 0 ||
        yoke_open(&port, "port:work", YOKE_CREATE, NULL) < 0 || yoke_set_create(&set) < 0 ||
        yoke_set_add(set, port, NULL) < 0 || yoke_set_add(set, inbox, NULL) < 0)
        return fprintf(stderr, "%s\n", yoke_explain()), EXIT_FAILURE;
    if (fork() == 0)
        exit(boss());
    while (signal.number != ALL_SENT || jobs < signal.value) {
        if (yoke_set_wait(set, &ready, 1, YOKE_FOREVER) != 1)
            continue;
        if (ready.endpoint == inbox)
            yoke_signal_recv(inbox, &signal, YOKE_NOW);
        else if (yoke_recv(port, &job, sizeof job, YOKE_NOW) >= 0)
            jobs++;
    }
    wait(NULL);
    printf("%s said that there are %d jobs: all are done\n", signal.sender, (int)signal.value);
    yoke_set_close(set);
    yoke_close(inbox);
    yoke_close(port);
    return yoke_peer_leave(me);
}
