/* none.c - in the place of a loop whose library is not installed. */
#include "loop.h"

const char *run_loop(int fd, bool (*ready)(void *context), void *context)
{
    (void)fd;
    (void)ready;
    (void)context;
    return NEEDED_LIBRARY " is not installed";
}
