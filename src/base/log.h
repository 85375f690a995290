/*
 * log.h - what the library decided on its slow paths, a line each on standard error, for who asks for
 * it with $YOKE_LOG=debug. By default nothing is ever written.
 *
 * For what happens seldom: an object opened or made, a dead process recovered, the weaker way taken
 * where the kernel has not the better one. Never for each message (trace.h has those), never what a
 * message holds, and no address of memory.
 */
#ifndef YK_BASE_LOG_H
#define YK_BASE_LOG_H

/*
 * Writes "yoke[PID]: " and the text by one write(2), so that lines of threads and processes do not mix;
 * what does not fit, or can not be written at once, is lost: locks that others wait for may be held, so
 * nobody waits here until somebody reads. The text may hold what others wrote: control characters
 * become '?'.
 */
void yk_log(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
