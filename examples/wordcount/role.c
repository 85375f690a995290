/*
 * role.c - what the roles have in common: opening what they use, and saying what went wrong.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "wordcount.h"

volatile sig_atomic_t job_over;

int64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

int fail(const char *role, const char *call, ssize_t error)
{
    if (error == -EINTR && job_over)
        return 1; /* was told to end: no fault */
    /* Of its own faults yoke says more than the error's general meaning. */
    fprintf(stderr, "wordcount: %s: %s: %s\n", role, call,
            strncmp(call, "yoke_", 5) == 0 ? yoke_explain() : yoke_strerror((int)error));
    return 1;
}

struct board *board_open(const struct job *job, yoke_region **ret_region)
{
    int result = yoke_region_open(ret_region, job->board_name, 0);

    if (result < 0) {
        fail(job->board_name, "yoke_region_open", result);
        return NULL;
    }
    return yoke_region_data(*ret_region);
}

yoke_endpoint *port_open(const char *address)
{
    yoke_endpoint *port = NULL;
    int result = yoke_open(&port, address, 0, NULL);

    if (result < 0)
        fail(address, "yoke_open", result);
    return port;
}
