/*
 * host.h - what the module gets from the library that loaded it, under the names that the library
 * has for it, and what all files here share. The module calls libc, libnats and jansson as it likes: it
 * shares no memory with other processes, and nothing here needs the order of two stores.
 */
#ifndef YK_NATS_HOST_H
#define YK_NATS_HOST_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "plugin.h"

/* As base/error.h. */
int yk_fail(int error, const char *format, ...) __attribute__((format(printf, 2, 3), cold));

/* As yoke_explain(), and yk_hide_logins(). */
const char *yk_nats_explain(void);
void yk_nats_hide(char *shown, size_t room, const char *text);

#define YK_SECOND_NS      INT64_C(1000000000)
#define YK_MILLISECOND_NS INT64_C(1000000)

/* CLOCK_MONOTONIC, in nanoseconds. */
int64_t yk_nats_now(void);
/* When a time-out that begins now is over; INT64_MAX: never. */
int64_t yk_nats_deadline(int64_t timeout_ns);
/* What moves a terminal: servers, and others there, have a part in what is said to users. */
void yk_nats_hide_controls(char *text);
/* Other than visible characters become '?': what is said of this machine need be no UTF-8, and JSON is. */
void yk_nats_make_plain(char *text);
/* `bytes` random bytes as lower case hex digits, and the end of the text. */
void yk_nats_random_hex(char *text, size_t bytes);

/* An eventfd: readable from now on, and not any more. -1: none. */
void yk_nats_ring(int bell);
void yk_nats_silence(int bell);

/*
 * First in each function that the library calls: errno is the program's, and what is called here changes it.
 */
#define YK_KEEP_ERRNO \
    __attribute__((cleanup(yk_nats_restore_errno), unused)) const int errno_before = errno
static inline void yk_nats_restore_errno(const int *before)
{
    errno = *before;
}

extern const struct yk_place yk_nats_place; /* nats.c */

#endif
