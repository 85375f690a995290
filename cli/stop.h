/*
 * stop.h - a clean end on SIGINT, SIGTERM and SIGHUP.
 */
#ifndef YK_STOP_H
#define YK_STOP_H

/*
 * From now on the first such signal only makes yk_stop_signal() say so and ends whatever the
 * process sleeps in with EINTR; a second one of the same kind ends the process. A signal that was
 * ignored before (nohup) stays so. Writing to a pipe that nobody reads fails with EPIPE.
 */
void yk_stop_install(void);

/* The signal that came, or 0. */
int yk_stop_signal(void);

/* Sleeps until one comes, and returns it. */
int yk_stop_wait(void);

/* Ends the process by the signal that came, as if it had never been caught. */
int yk_stop_finish(void);

#endif
