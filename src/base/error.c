/*
 * error.c - the one table of errors, and each thread's sentence.
 */
#include "base/error.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/hide.h"
#include "yoke.h"

#define SENTENCE_WHOLE 2048 /* before what is not to be shown is left out of it */

#define ERRORS(X)                                                            \
    X(EAGAIN, "full or empty now")                                           \
    X(ETIMEDOUT, "the time given is over")                                   \
    X(EINTR, "a signal handler ran")                                         \
    X(ECANCELED, "the wait was cancelled, or its handle closed")             \
    X(EOWNERDEAD, "the other side died")                                     \
    X(EPIPE, "the other side closed")                                        \
    X(EPROTO, "the shared memory holds what no yoke wrote")                  \
    X(EPROTONOSUPPORT, "the object has another layout version")              \
    X(EMSGSIZE, "the message is too big")                                    \
    X(ENOSPC, "no place left")                                               \
    X(EADDRINUSE, "a living peer has the name")                              \
    X(EBADF, "not an open descriptor")                                       \
    X(EBUSY, "somebody is creating, removing or recovering it, or holds it") \
    X(EDEADLK, "the calling thread holds this lock already")                 \
    X(EPERM, "the caller does not hold it, or may not do that")              \
    X(EEXIST, "it exists already")                                           \
    X(ENOENT, "there is no such object")                                     \
    X(EACCES, "permission denied")                                           \
    X(EINVAL, "the argument is not valid")                                   \
    X(ENOMEM, "not enough memory")                                           \
    X(EMFILE, "this process has too many open files")                        \
    X(ENFILE, "the system has too many open files")                          \
    X(ENOTSUP, "this place, kind or machine can not do that")                \
    X(EREMOTEIO, "a server of the place refused it")

static _Thread_local char sentence[512];

int yk_fail(int error, const char *format, ...)
{
    char whole[SENTENCE_WHOLE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(whole, sizeof whole, format, arguments);
    va_end(arguments);
    yk_hide_logins(sentence, sizeof sentence, whole);
    return -error;
}

int yk_bad_timeout(long long timeout_ns)
{
    return yk_fail(EINVAL, "the time-out %lld is neither -1 (for ever) nor a number of nanoseconds",
                   timeout_ns);
}

static int positive(int error)
{
    return error >= 0 ? error : error == INT_MIN ? INT_MAX : -error;
}

const char *yk_error_meaning(int error)
{
    switch (positive(error)) {
#define MEANING(number, text) \
    case number:              \
        return text;
        ERRORS(MEANING)
#undef MEANING
    default:
        return NULL;
    }
}

YOKE_API const char *yoke_explain(void)
{
    return sentence;
}

YOKE_API const char *yoke_strerror(int error)
{
    const char *meaning = yk_error_meaning(error);
    if (meaning)
        return meaning;
    const char *text = strerrordesc_np(positive(error));
    return text ? text : "unknown error";
}

YOKE_API const char *yoke_version(void)
{
#define TEXT(x)  #x
#define VALUE(x) TEXT(x)
    return VALUE(YOKE_VERSION_MAJOR) "." VALUE(YOKE_VERSION_MINOR) "." VALUE(YOKE_VERSION_PATCH);
}
