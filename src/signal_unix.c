/*
 * signal_unix.c - the kernel's own signals, to a peer by its name: by a descriptor of the process
 * that /proc proved to hold the peer's lock (peer_lock.h), never by a number.
 */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/sys.h"
#include "peer_lock.h"
#include "signals.h"

static int explain(int error, const char *name, int number)
{
    switch (error) {
    case -ESRCH:
        return yk_fail(ENOENT, "nobody is peer:%s: its process has just ended", name);
    case -EPERM:
        return yk_fail(EPERM, "this process, uid %u, may not send UNIX signals to peer:%s",
                       yk_sys_effective_uid(), name);
    case -EAGAIN:
        return yk_fail(EAGAIN,
                       "UNIX signal %d is not sent: as many are queued for the user of peer:%s as "
                       "may be (RLIMIT_SIGPENDING)",
                       number, name);
    case -ENOSYS:
        return yk_fail(ENOTSUP, "this kernel can not signal by descriptor: that takes Linux 5.3");
    default:
        return yk_fail(-error, "UNIX signal %d can not be sent to peer:%s: %s", number, name,
                       strerror(-error));
    }
}

static int send_signal(const char *peer, int number, const uint64_t *value)
{
    struct yk_signal_address address;
    int result = yk_signal_address_parse(peer, &address);
    if (result == 0 && address.place)
        result = yk_fail(ENOTSUP,
                         "peer:%s is in a place across machines: UNIX signals go to processes of "
                         "this one, found by their names in memory",
                         address.name);
    if (result < 0)
        return result;
    int fd = yk_peer_open_process(address.name);
    if (fd < 0)
        return fd == -ENOSYS ? explain(fd, address.name, number) : fd;
    result = yk_sys_pidfd_signal(fd, number, value);
    yk_sys_close(fd);
    return result < 0 ? explain(result, address.name, number) : 0;
}

YOKE_API int yoke_signal_kill(const char *peer, int unix_signal)
{
    int last = yk_sys_last_signal();
    if (unix_signal < 0 || unix_signal > last)
        return yk_fail(EINVAL, "%d is not the number of a UNIX signal, nor 0: they go to %d",
                       unix_signal, last);
    return send_signal(peer, unix_signal, NULL);
}

YOKE_API int yoke_signal_queue(const char *peer, int unix_signal, uint64_t value)
{
    int first = yk_sys_first_queued_signal(), last = yk_sys_last_signal();
    if (unix_signal < first || unix_signal > last)
        return yk_fail(EINVAL,
                       "UNIX signal %d is not queued, so its value could be lost: those from "
                       "SIGRTMIN (%d) to SIGRTMAX (%d) are",
                       unix_signal, first, last);
    if (value > UINTPTR_MAX)
        return yk_fail(EINVAL, "the value %llu has more bits than a pointer has here",
                       (unsigned long long)value);
    return send_signal(peer, unix_signal, &value);
}
