/*
 * pauses.c - the crew's scenes by processes and threads, with pauses of any length at any step.
 *
 * The library is compiled with YK_CHECK, so that it calls yk_check_yield() before each atomic access
 * (src/base/atomic.h), as the schedule checkers of tests/crash have it. Here that throws dice: mostly nothing
 * happens; else some turns of a loop, or the processor is given away, or the thread sleeps, up to a
 * millisecond, and rarely so long that others lie down and look by themselves meanwhile. So states that last
 * for some nanoseconds otherwise are there for long, in real processes on real processors.
 *
 * The same seed plans the same rounds and throws the same dice; what the kernel makes of it is not the same.
 */
#include <sched.h>
#include <time.h>

#include "base/atomic.h"
#include "crew.h"

static _Thread_local uint64_t dice = 1;

static void begin(uint64_t random)
{
    dice = random;
}

static void sleep_for(uint32_t microseconds)
{
    struct timespec time = {.tv_nsec = (long)microseconds * 1000};
    nanosleep(&time, NULL);
}

void yk_check_yield(void)
{
    uint32_t thrown = below(&dice, 20000);
    if (thrown >= 2000)
        return;
    if (thrown >= 200) {
        for (uint32_t turns = below(&dice, 500); turns > 0; turns--)
            yk_pause();
    } else if (thrown >= 30) {
        sched_yield();
    } else if (thrown > 0) {
        sleep_for(below(&dice, 1000));
    } else if (one_in(&dice, 8)) {
        sleep_for(20000);
    }
}

int main(int argc, char **argv)
{
    crew_began = begin;
    return crew_main(argc, argv, PROCESSES_MAX);
}
