/*
 * outside.c - see outside.h.
 *
 * A descriptor may be blocking, and its flags belong to whoever shares it: they are not ours to
 * change. A socket takes the wish not to wait with each call. A pipe or a terminal can be opened once
 * more by way of /proc, with flags of its own. Files and memory devices never wait long. What is left
 * (other devices, and those two where /proc refuses) is asked by poll() first, and then gets so little
 * that it takes it.
 */
#include "outside.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "base/error.h"
#include "base/sys.h"

#define LITTLE 4096 /* PIPE_BUF: who is ready to be written takes that much */
#define SLICE  INT64_C(100000000)

/* Major numbers: of /dev/null and its like; of consoles and serial lines; of pseudo-terminals. */
#define MEMORY_DEVICES  1
#define TERMINALS       4
#define FIRST_TERMINALS 136
#define LAST_TERMINALS  143

static bool never_waits(const struct stat *facts)
{
    return S_ISREG(facts->st_mode) || S_ISBLK(facts->st_mode) || S_ISDIR(facts->st_mode) ||
           (S_ISCHR(facts->st_mode) && major(facts->st_rdev) == MEMORY_DEVICES);
}

/* Not what is opened as /dev/tty, or as /dev/ptmx: another opening of that leads elsewhere. */
static bool is_terminal(const struct stat *facts)
{
    unsigned int number = major(facts->st_rdev);
    return S_ISCHR(facts->st_mode) &&
           (number == TERMINALS || (number >= FIRST_TERMINALS && number <= LAST_TERMINALS));
}

static int check_socket(const struct yk_outside *outside)
{
    int messages = yk_sys_socket_has_messages(outside->fd);
    if (messages < 0)
        return yk_fail(-messages, "the socket of descriptor %d can not be asked: %s",
                       outside->descriptor, strerror(-messages));
    return messages > 0 ? yk_fail(ENOTSUP,
                                  "descriptor %d is a socket of messages (datagrams, packets), and "
                                  "a stream has bytes: some would be cut",
                                  outside->descriptor)
                        : 0;
}

static void open_once_more(struct yk_outside *outside)
{
    int fd =
        yk_sys_reopen(outside->descriptor, (outside->writing ? O_WRONLY : O_RDONLY) | O_NONBLOCK);
    outside->own = fd >= 0;
    outside->fd = fd >= 0 ? fd : outside->descriptor;
}

int yk_outside_open(struct yk_outside *outside, int descriptor, bool writing)
{
    struct stat facts;
    *outside = (struct yk_outside){.fd = descriptor, .descriptor = descriptor, .writing = writing};
    int flags = yk_sys_file_flags(descriptor);
    int result = flags < 0 ? flags : yk_sys_stat(descriptor, &facts);
    if (result < 0)
        return yk_fail(-result, "%d is not an open descriptor", descriptor);
    int access = flags & O_ACCMODE;
    if ((flags & O_PATH) || (access != O_RDWR && access != (writing ? O_WRONLY : O_RDONLY)))
        return yk_fail(EBADF, "descriptor %d is not open for %s", descriptor,
                       writing ? "writing" : "reading");
    outside->socket = S_ISSOCK(facts.st_mode);
    outside->pipe = S_ISFIFO(facts.st_mode);
    if (outside->socket) {
        outside->waits = (flags & O_NONBLOCK) == 0;
        return check_socket(outside);
    }
    if ((flags & O_NONBLOCK) || never_waits(&facts))
        return 0;
    if (outside->pipe || is_terminal(&facts))
        open_once_more(outside);
    outside->patient = !outside->own;
    outside->waits = outside->patient && !outside->pipe; /* of a pipe splice() does as it is told */
    return 0;
}

void yk_outside_close(struct yk_outside *outside)
{
    if (outside->own)
        yk_sys_close(outside->fd);
    outside->own = false;
}

static size_t at_once(const struct yk_outside *outside, size_t size)
{
    return outside->patient && size > LITTLE ? LITTLE : size;
}

ssize_t yk_outside_write(const struct yk_outside *outside, const void *data, size_t size)
{
    if (outside->socket)
        return yk_sys_send(outside->fd, data, size);
    size = at_once(outside, size);
    return outside->pipe ? yk_sys_write_pipe(outside->fd, data, size)
                         : yk_sys_write(outside->fd, data, size);
}

ssize_t yk_outside_read(const struct yk_outside *outside, void *buffer, size_t size)
{
    return outside->socket ? yk_sys_receive(outside->fd, buffer, size)
                           : yk_sys_read(outside->fd, buffer, at_once(outside, size));
}

int yk_outside_wait(const struct yk_outside *outside, const yk_atomic32 *cancelled,
                    int64_t timeout_ns)
{
    int64_t deadline = yk_deadline(timeout_ns);
    for (;;) {
        int64_t left = deadline == INT64_MAX ? SLICE : deadline - yk_now();
        left = left < 0 ? 0 : left < SLICE ? left : SLICE;
        int result = yk_load32_acquire(cancelled)
                         ? -ECANCELED
                         : yk_sys_poll_for(outside->fd, outside->writing, left);
        if (result != 0)
            return result < 0 ? result : 0;
        if (deadline != INT64_MAX && yk_now() >= deadline)
            return timeout_ns == 0 ? -EAGAIN : -ETIMEDOUT;
    }
}

int yk_outside_explain(const struct yk_outside *outside, int error)
{
    switch (error) {
    case -EAGAIN:
    case -ETIMEDOUT:
    case -EINTR:
    case -ECANCELED:
        return error;
    case -EPIPE:
        return yk_fail(EPIPE, "nobody reads what descriptor %d leads to any more",
                       outside->descriptor);
    default:
        return yk_fail(-error, "descriptor %d can not be %s: %s", outside->descriptor,
                       outside->writing ? "written" : "read", strerror(-error));
    }
}
