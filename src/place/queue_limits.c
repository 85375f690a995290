/*
 * queue_limits.c - see queue_limits.h.
 */
#include "queue_limits.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/sys.h"
#include "memory/queue.h"

#define DEPTH_DEFAULT   256
#define MESSAGE_DEFAULT 4096
#define SHARE           8 /* a queue of the default depth takes this part of the user's bytes, or less */

/* One of the numbers in /proc/sys/fs/mqueue. */
static uint64_t limit_of(const char *name, uint64_t otherwise)
{
    char path[64], text[32];
    snprintf(path, sizeof path, "/proc/sys/fs/mqueue/%s", name);
    int fd = yk_sys_open(AT_FDCWD, path, O_RDONLY, 0);
    if (fd < 0)
        return otherwise;
    ssize_t size = yk_sys_read_all(fd, text, sizeof text - 1, 0);
    yk_sys_close(fd);
    text[size < 0 ? 0 : size] = '\0';
    uint64_t limit = strtoull(text, NULL, 10);
    return limit > 0 ? limit : otherwise;
}

static uint64_t depth_most(void)
{
    return limit_of("msg_max", 10);
}

static uint64_t bytes_most(void)
{
    return limit_of("msgsize_max", 8192);
}

static uint64_t smaller(uint64_t one, uint64_t other)
{
    return one < other ? one : other;
}

void yk_queue_size_default(struct yk_queue_size *size)
{
    if (size->max_message == 0)
        size->max_message =
            smaller(MESSAGE_DEFAULT, bytes_most() > size->header ? bytes_most() - size->header : 1);
    if (size->depth > 0)
        return;
    uint64_t share = yk_sys_queue_limit() / SHARE;
    uint64_t fit = share / yk_queue_bytes(1, size->max_message + size->header);
    size->depth = smaller(smaller(DEPTH_DEFAULT, depth_most()), fit > 0 ? fit : 1);
}

static int too_big_for_one(const char *address, const struct yk_queue_size *size)
{
    uint64_t bytes = size->max_message + size->header;
    if (size->depth > depth_most())
        return yk_fail(EINVAL,
                       "%s: a depth of %llu is more than this machine's message queues may have, "
                       "%llu: root can raise it (sysctl fs.mqueue.msg_max=%llu)",
                       address, (unsigned long long)size->depth, (unsigned long long)depth_most(),
                       (unsigned long long)size->depth);
    if (bytes > bytes_most())
        return yk_fail(EINVAL,
                       "%s: messages of %llu bytes, with %llu of yoke's own, are more than this "
                       "machine's message queues may have, %llu: root can raise it (sysctl "
                       "fs.mqueue.msgsize_max=%llu)",
                       address, (unsigned long long)size->max_message,
                       (unsigned long long)size->header, (unsigned long long)bytes_most(),
                       (unsigned long long)bytes);
    return yk_fail(EINVAL, "%s: the kernel makes no message queue of %llu times %llu bytes",
                   address, (unsigned long long)size->depth, (unsigned long long)bytes);
}

static int too_much_in_all(const char *address, const struct yk_queue_size *size)
{
    uint64_t bytes = yk_queue_bytes(size->depth, size->max_message + size->header);
    uint64_t most = yk_sys_queue_limit();
    return yk_fail(ENOSPC,
                   "%s takes %llu bytes of the %llu that all message queues of this user may take, "
                   "and there are not as many left: remove some ('yoke ls'), make it smaller, or "
                   "raise RLIMIT_MSGQUEUE (ulimit -q)",
                   address, (unsigned long long)bytes, (unsigned long long)most);
}

int yk_queue_size_refused(int result, const char *entry, const struct yk_queue_size *size,
                          int spare)
{
    const char *address = yk_entry_address(entry);
    int more = result == -EMFILE ? yk_sys_duplicate(spare) : -EMFILE;
    if (more >= 0)
        yk_sys_close(more); /* so it is not for want of descriptors */
    if (more >= 0)
        return too_much_in_all(address, size);
    switch (result) {
    case -EINVAL:
    case -EOVERFLOW:
        return too_big_for_one(address, size);
    case -ENOSPC:
        return yk_fail(ENOSPC,
                       "%s: there are as many message queues on this machine as there may be, "
                       "%llu: remove some, or let root raise it (sysctl fs.mqueue.queues_max)",
                       address, (unsigned long long)limit_of("queues_max", 256));
    case -ENOSYS:
        return yk_fail(ENOTSUP, "%s: this kernel has no POSIX message queues", address);
    default:
        return yk_fail(-result, "no message queue can be made for %s: %s", address,
                       strerror(-result));
    }
}
