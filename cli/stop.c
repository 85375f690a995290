/*
 * stop.c - a clean end on SIGINT, SIGTERM and SIGHUP.
 *
 * A flag alone has a gap: a signal that comes after the flag was looked at and before the process
 * sleeps would be noticed only when the sleep ends, perhaps never. So the handler also starts a
 * timer whose signal keeps coming, and each one ends a sleep with EINTR.
 */
#include "stop.h"

#include <signal.h>
#include <stddef.h>
#include <sys/time.h>
#include <unistd.h>

#define NUDGE_US 20000

static const int stop_signals[] = {SIGINT, SIGTERM, SIGHUP};
#define STOP_SIGNALS (sizeof stop_signals / sizeof stop_signals[0])

static volatile sig_atomic_t stopped_by;

static void on_nudge(int number)
{
    (void)number;
}

static void on_stop(int number)
{
    /* One system call on Linux, so a handler may use it though POSIX does not list it. */
    const struct itimerval nudge = {{0, NUDGE_US}, {0, NUDGE_US}};

    stopped_by = number;
    setitimer(ITIMER_REAL, &nudge, NULL);
}

void yk_stop_install(void)
{
    struct sigaction action = {.sa_handler = on_nudge}, old;

    sigemptyset(&action.sa_mask);
    sigaction(SIGALRM, &action, NULL);
    action.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &action, NULL);
    action.sa_handler = on_stop;
    action.sa_flags = (int)SA_RESETHAND;
    for (size_t i = 0; i < STOP_SIGNALS; i++)
        if (sigaction(stop_signals[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
            sigaction(stop_signals[i], &action, NULL);
}

int yk_stop_signal(void)
{
    return (int)stopped_by;
}

int yk_stop_wait(void)
{
    while (!stopped_by)
        pause(); /* a signal just before this is made good by the timer */
    return (int)stopped_by;
}

int yk_stop_finish(void)
{
    const struct itimerval never = {{0, 0}, {0, 0}};
    int number = (int)stopped_by;

    setitimer(ITIMER_REAL, &never, NULL);
    signal(number, SIG_DFL);
    raise(number);
    return 128 + number; /* still here: it is blocked */
}
