/*
 * bounded_buffer.c - producer and consumer: a port of depth 4 is the textbook's bounded buffer.
 *
 * The producer waits when it is full, the consumer when it is empty, and neither has a semaphore to
 * forget.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <yoke.h>

#define ITEMS 1000
#define DEPTH 4

static int produce(yoke_endpoint *buffer)
{
    for (int item = 1; item <= ITEMS; item++) {
        if (yoke_send(buffer, &item, sizeof item, YOKE_FOREVER) < 0)
            return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}

int main(void)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;
    yoke_endpoint *buffer;
    long sum = 0;
    int item;

    options.depth = DEPTH;
    options.max_message = sizeof item;
    if (yoke_open(&buffer, "port:buffer", YOKE_CREATE, &options) < 0)
        return fprintf(stderr, "%s\n", yoke_explain()), EXIT_FAILURE;
    if (fork() == 0)
        exit(produce(buffer));
    for (int i = 0; i < ITEMS; i++) {
        if (yoke_recv(buffer, &item, sizeof item, YOKE_FOREVER) < 0)
            return fprintf(stderr, "%s\n", yoke_explain()), EXIT_FAILURE;
        sum += item;
    }
    wait(NULL);
    printf("consumed %d items, sum %ld, through a buffer of %d\n", ITEMS, sum, DEPTH);
    return yoke_close(buffer);
}
