/*
 * mailbox.c - indirect communication: a mailbox, several workers, and each job to exactly one of them.
 *
 * One worker is killed while it has a job in hand. The job is delivered again, to another one.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <yoke.h>

#define WORKERS 3
#define JOBS    30

static int work(int number)
{
    yoke_endpoint *jobs, *results;

    if (yoke_open(&jobs, "port:jobs", 0, NULL) < 0 ||
        yoke_open(&results, "port:results", 0, NULL) < 0)
        return fprintf(stderr, "%s\n", yoke_explain()), EXIT_FAILURE;
    for (;;) {
        struct yoke_message job = {.data = NULL};
        if (yoke_borrow_many(jobs, &job, 1, YOKE_FOREVER) != 1)
            return EXIT_FAILURE;
        if (number == 0)
            raise(SIGKILL); /* with a job in hand */
        long result[2] = {*(const int *)job.data, job.deliveries};
        if (result[0] == 0) /* the last one */
            return yoke_release(jobs, job.data);
        yoke_send(results, result, sizeof result, YOKE_FOREVER);
        yoke_release(jobs, job.data); /* done: it will not come again */
    }
}

int main(void)
{
    yoke_endpoint *jobs, *results;
    long sum = 0, again = 0, result[2];
    const int stop = 0;

    if (yoke_open(&jobs, "port:jobs", YOKE_CREATE, NULL) < 0 ||
        yoke_open(&results, "port:results", YOKE_CREATE, NULL) < 0)
        return fprintf(stderr, "%s\n", yoke_explain()), EXIT_FAILURE;
    for (int i = 0; i < WORKERS; i++) {
        if (fork() == 0)
            exit(work(i));
        for (int job = 1; i == 0 && job <= JOBS; job++) /* the first worker takes one, and dies */
            yoke_send(jobs, &job, sizeof job, YOKE_FOREVER);
        if (i == 0)
            wait(NULL);
    }
    for (int i = 0; i < JOBS; i++) {
        if (yoke_recv(results, result, sizeof result, YOKE_FOREVER) < 0)
            return fprintf(stderr, "%s\n", yoke_explain()), EXIT_FAILURE;
        sum += result[0];
        again += result[1] > 1;
    }
    for (int i = 1; i < WORKERS; i++)
        yoke_send(jobs, &stop, sizeof stop, YOKE_FOREVER);
    while (wait(NULL) > 0)
        ;
    printf("%d jobs done, sum %ld; delivered again after a death: %ld\n", JOBS, sum, again);
    yoke_close(results);
    return yoke_close(jobs);
}
