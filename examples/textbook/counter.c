/*
 * counter.c - shared memory: one number that several processes count up, and a lock around it.
 *
 * "x = x + 1" is a read, an addition and a write: two processes that do it at once lose counts. So each
 * takes the lock first. One of them is killed while it has the lock; the next one is told so, looks
 * whether the number is whole, and goes on.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <yoke.h>

#define PROCESSES 4
#define TIMES     10000

struct shared {
    yoke_lock lock;
    long count, begun; /* equal unless somebody was stopped half-way */
    long mended;
};

static void take(yoke_region *region, struct shared *shared)
{
    if (yoke_lock_acquire(region, &shared->lock, YOKE_FOREVER) == YOKE_OWNER_DIED) {
        shared->begun = shared->count; /* what it began never happened */
        shared->mended++;
    }
}

static void count_up(yoke_region *region, struct shared *shared, int dies)
{
    take(region, shared);
    shared->begun++;
    if (dies)
        raise(SIGKILL);
    shared->count++;
    yoke_lock_release(region, &shared->lock);
}

static int counter(int number)
{
    yoke_region *region;

    if (yoke_region_open(&region, "counter", 0) < 0)
        return fprintf(stderr, "%s\n", yoke_explain()), EXIT_FAILURE;
    for (int i = 0; i < TIMES; i++)
        count_up(region, yoke_region_data(region), number == 0 && i == TIMES / 2);
    return yoke_region_close(region);
}

int main(void)
{
    yoke_region *region;

    if (yoke_region_create(&region, "counter", sizeof(struct shared), NULL) < 0)
        return fprintf(stderr, "%s\n", yoke_explain()), EXIT_FAILURE;
    for (int i = 0; i < PROCESSES; i++) {
        if (fork() == 0)
            exit(counter(i));
    }
    while (wait(NULL) > 0)
        ;
    struct shared *shared = yoke_region_data(region);
    take(region, shared); /* who died may have been the last of them */
    printf("counted %ld, and mended after %ld that died with the lock\n", shared->count,
           shared->mended);
    yoke_lock_release(region, &shared->lock);
    return yoke_region_close(region);
}
