/*
 * watched.c - see watched.h.
 */
#include "watched.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define HANG_SECONDS 60

void *watched_memory(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED) {
        perror("mmap");
        exit(2);
    }
    return memory;
}

static time_t seconds_now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec;
}

static int watch(pid_t child, const volatile uint64_t *progress)
{
    struct timespec nap = {0, 20000000};
    time_t since = seconds_now();
    uint64_t seen = *progress;
    int status;

    for (;;) {
        if (waitpid(child, &status, WNOHANG) == child)
            return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
        if (*progress != seen) {
            seen = *progress;
            since = seconds_now();
        } else if (seconds_now() - since > HANG_SECONDS) {
            kill(child, SIGKILL);
            waitpid(child, &status, 0);
            return WATCHED_HUNG;
        }
        nanosleep(&nap, NULL);
    }
}

int watched_run(void (*run)(void *context), void *context, const volatile uint64_t *progress)
{
    pid_t child;

    fflush(stdout);
    child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        run(context);
        exit(0);
    }
    return child < 0 ? 2 : watch(child, progress);
}
