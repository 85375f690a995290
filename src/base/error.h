/*
 * error.h - negative errnos with one sentence for people. The sentence lives in the calling thread.
 */
#ifndef YK_BASE_ERROR_H
#define YK_BASE_ERROR_H

/*
 * Stores the sentence and returns -error. For cold paths only: full, empty and timed out cost
 * nothing.
 */
int yk_fail(int error, const char *format, ...) __attribute__((format(printf, 2, 3), cold));

/* -EINVAL for a time-out below -1. */
int yk_bad_timeout(long long timeout_ns) __attribute__((cold));

/* yoke's meaning of an errno (either sign), or NULL when yoke gives it none of its own. */
const char *yk_error_meaning(int error);

#endif
