/*
 * kernel_link.c - links in the kernel place: a message queue each way between two peers.
 *
 * Each side has a seat, the byte of its number in the lock file, a FIFO, its *end*, and in the lock
 * file, at that number, a byte that says how it was left. As long as it lives a side has its own end
 * open for writing, and the other's for reading: when the last writer of a FIFO is gone the kernel
 * hangs up, at once, for good, and visibly to poll() and epoll, and takes that back when there is a
 * writer again. So a side is gone when its end is hung up; how, says the byte.
 *
 *   comes   lock the seat; open the other's end; open the own end; write OPEN
 *   goes    write CLOSED; close the own end; unlock the seat
 *
 * Whoever dies leaves OPEN, or what was there before, or nothing at all if it never came so far.
 * A reader is not told of what was hung up before it opened the FIFO. So one who finds that the other
 * side has been there opens its end for writing, and closes it: now it is told, unless that one is
 * there still, or again.
 *
 * field | written by                  | read by    | a crash leaves
 * ------+-----------------------------+------------+---------------------------------------------
 * byte  | its side, with its seat     | the other  | OPEN, or the one before: then it had not yet
 *       |                             | side       | come, or had no end open any more
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/sys.h"
#include "kernel.h"
#include "peer.h"

enum { SIDE_NEW = 0, SIDE_OPEN = 1, SIDE_CLOSED = 2 };

struct kernel_link {
    struct yk_channel channel; /* first: the endpoint's operations get it */
    struct yk_peer *peer;
    struct yk_guarded_fd own_end;
    int side;
    char other[YOKE_PEER_NAME_MAX + 1];
};

/* ---- the bytes ---- */

static unsigned char read_state(const struct yk_channel *channel, int side)
{
    unsigned char state = SIDE_NEW;
    yk_sys_read_all(channel->queues.lock.fd, &state, 1, side);
    return state;
}

static int write_state(const struct kernel_link *link, unsigned char state)
{
    return yk_sys_write_all(link->channel.queues.lock.fd, &state, 1, link->side);
}

/* Was the other side ever there? Hung up, it was; how it left, the byte says. */
static int other_end(const struct yk_channel *channel)
{
    const struct kernel_link *link = (const struct kernel_link *)channel;
    struct pollfd end = {.fd = channel->end};
    if (yk_sys_poll_all(&end, 1, 0) <= 0 || !(end.revents & POLLHUP))
        return 0;
    return read_state(channel, 1 - link->side) == SIDE_CLOSED ? -EPIPE : -EOWNERDEAD;
}

/* ---- the ends ---- */

static int check_end(const struct kernel_link *link, int fd)
{
    struct stat facts;
    int result = yk_sys_stat(fd, &facts);
    if (result == 0 &&
        (!S_ISFIFO(facts.st_mode) || facts.st_uid != link->channel.queues.record.uid))
        result = yk_fail(EPROTO, "an end of %s is no FIFO that yoke made",
                         yk_entry_address(link->channel.queues.entry));
    return result;
}

static int open_end(const struct kernel_link *link, const struct yk_directory *directory, int side,
                    int flags)
{
    char path[48];
    yk_end_path(path, link->channel.queues.record.nonce, side);
    int fd = yk_sys_open(directory->fd, path, flags, 0);
    if (fd < 0)
        return yk_fail(-fd, "%s/%s, an end of %s, can not be opened: %s", directory->path, path,
                       yk_entry_address(link->channel.queues.entry), strerror(-fd));
    int result = check_end(link, fd);
    if (result < 0)
        yk_sys_close(fd);
    return result < 0 ? result : fd;
}

static int open_other_end(struct kernel_link *link, const struct yk_directory *directory)
{
    int side = 1 - link->side;
    int fd = open_end(link, directory, side, O_RDONLY);
    if (fd < 0)
        return fd;
    link->channel.end = fd;
    if (read_state(&link->channel, side) == SIDE_NEW)
        return 0;
    fd = open_end(link, directory, side, O_WRONLY);
    if (fd >= 0)
        yk_sys_close(fd);
    return fd < 0 ? fd : 0;
}

/* For reading, too: else it could not be opened before the other side comes. */
static int open_own_end(struct kernel_link *link, const struct yk_directory *directory)
{
    yk_guards_lock(); /* a child that is forked does not get it */
    int fd = open_end(link, directory, link->side, O_RDWR);
    if (fd >= 0)
        link->own_end.fd = fd;
    yk_guards_unlock();
    int result = fd < 0 ? fd : write_state(link, SIDE_OPEN);
    if (fd >= 0 && result < 0)
        return yk_fail(-result, "%s can not be joined: its lock file can not be written: %s",
                       yk_entry_address(link->channel.queues.entry), strerror(-result));
    return result;
}

static int open_ends(struct kernel_link *link)
{
    struct yk_directory directory;
    int result = yk_directory_open(&directory, link->channel.queues.directory, true);
    if (result < 0)
        return result;
    if (link->channel.end < 0)
        result = open_other_end(link, &directory);
    if (result == 0)
        result = open_own_end(link, &directory);
    yk_directory_close(&directory);
    return result;
}

/* ---- in a forked child ---- */

static int enter_link(struct yk_channel *channel)
{
    return yk_peer_enter(&((struct kernel_link *)channel)->peer);
}

/* The parent is gone, then: the seat was free. */
static int joined(struct yk_channel *channel)
{
    struct kernel_link *link = (struct kernel_link *)channel;
    if (link->own_end.fd >= 0) /* a child made otherwise than by fork() */
        yk_sys_close(link->own_end.fd);
    link->own_end.fd = -1;
    return open_ends(link);
}

static const struct yk_channel_kind kind = {
    .other_end = other_end,
    .enter = enter_link,
    .joined = joined,
};

/* ---- opening and closing ---- */

/* Who is told by the end may find the seat taken for a moment, and waits for it (queues.c). */
static void leave(struct kernel_link *link)
{
    yk_unguard_and_close(&link->own_end);
    yk_queues_close(&link->channel.queues);
    yk_peer_drop(link->peer);
}

static void close_link(void *self)
{
    struct kernel_link *link = self;
    bool mine = yk_queues_joined(&link->channel.queues);
    yk_channel_fini(&link->channel);
    if (mine)
        write_state(link, SIDE_CLOSED); /* if it can not, it died */
    leave(link);
    free(link);
}

/* Nothing tells that there is a writer again, so it is looked for. */
#define MEET_SLICE INT64_C(100000000)

static int attempt_meet(void *context)
{
    struct kernel_link *link = context;
    bool there =
        read_state(&link->channel, 1 - link->side) == SIDE_OPEN && other_end(&link->channel) == 0;
    return there || yk_channel_has_message(&link->channel);
}

static int link_wait(void *self, int64_t timeout_ns)
{
    struct kernel_link *link = self;
    struct yk_channel_waiting waiting = {&link->channel,   attempt_meet, link,
                                         link->channel.in, POLLIN,       MEET_SLICE};
    int result = yk_channel_enter(&link->channel);
    if (result == 0)
        result = yk_channel_wait(&waiting, timeout_ns);
    return result < 0 ? result : 0;
}

static const char *link_other(void *self)
{
    return ((struct kernel_link *)self)->other;
}

static const struct yk_endpoint_operations operations = {
    .what = "a link in the kernel place",
    .close = close_link,
    .cancel = yk_channel_cancel,
    .max_message = yk_channel_max_message,
    .fd = yk_channel_fd,
    .send_many = yk_channel_send_many,
    .recv_many = yk_channel_recv_many,
    .link_other = link_other,
    .link_wait = link_wait,
};

/* Having the peer's name. */
static int open_queues(struct kernel_link *link, uint32_t flags, const struct yoke_options *options)
{
    char name[YK_ENTRY_MAX];
    yk_name_link(name, options->as, link->other);
    struct yk_queues_plan plan = {
        .kind = YK_KIND_LINK,
        .name = name,
        .flags = flags,
        .mode = options->mode,
        .group = options->group,
        .participants = 2,
        .priorities = 1,
        .seat = link->side,
        .size = {options->depth, options->max_message, yk_channel_header},
    };
    yk_queue_size_default(&plan.size);
    int result = yk_queues_open(&link->channel.queues, &plan);
    if (result == 0)
        result = yk_channel_init(&link->channel, &kind, link->side, 1 - link->side);
    return result;
}

static int open_link(struct kernel_link *link, uint32_t flags, const struct yoke_options *options)
{
    int result = open_queues(link, flags, options);
    if (result < 0) {
        yk_peer_drop(link->peer);
        return result;
    }
    yk_guard(&link->own_end, -1, false);
    result = open_ends(link);
    if (result < 0) {
        yk_channel_fini(&link->channel);
        leave(link);
    }
    return result;
}

int yk_kernel_link_open(yoke_endpoint *endpoint, const struct yk_address *address, uint32_t flags,
                        const struct yoke_options *options)
{
    struct kernel_link *link = yk_sys_allocate(1, sizeof *link);
    if (!link)
        return yk_fail(ENOMEM, "no memory for an endpoint");
    int result = yk_link_hold_peer(&link->peer, address->name, options);
    if (result == 0) {
        strcpy(link->other, address->name); /* both are checked */
        link->side = strcmp(options->as, link->other) < 0 ? 0 : 1;
        result = open_link(link, flags, options);
    }
    if (result < 0) {
        free(link);
        return result;
    }
    endpoint->self = link;
    endpoint->operations = &operations;
    return 0;
}
