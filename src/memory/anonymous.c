/*
 * anonymous.c - objects without a name: memory in a sealed memory file, handed over by descriptors.
 *
 * Each seat has a descriptor with an open description of its own, opened here by the parent. It does
 * two things: it holds a lock on the seat's handle byte for as long as any process has a copy of it,
 * so the other side knows whether anybody can still come; and the memory can be had through it.
 *
 * Whoever takes the seat opens a description of its own by way of /proc, and locks the seat's life
 * byte through that, so that its death is noticed whoever else has a copy of the descriptor. The
 * memory file's mode lets every user do so: whoever has a descriptor may use the memory anyhow, and
 * nobody else comes near the file. Where it is refused (no /proc, a sandbox) the descriptor's own
 * description must do: then the seat seems taken until the last copy of it is closed, and two
 * processes with copies of one descriptor are not told apart.
 *
 * Which seat a descriptor is for is told by the handle byte that its description holds. A holder of
 * one end can give its own byte up, and so make its end useless to all who have a copy, but it can
 * not take the byte of the other end while anybody has that.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "base/sys.h"
#include "base/trace.h"
#include "memory/object.h"

#define SEATS 2

/* ---- making one ---- */

static int map_and_fill(int file, const struct yk_object_plan *plan, uint64_t size)
{
    struct yk_object object = {.segment = -1, .anonymous = true};
    struct yk_shm_fixed own = {.size = size, .mode = 0600};
    int result = yk_sys_random(&own.nonce, sizeof own.nonce);
    if (result == 0)
        result = yk_sys_map_shared(file, size, &object.base);
    if (result < 0)
        return result;
    yk_object_fill_header(&object, plan, &own);
    yk_store32_release(&yk_object_header(&object)->ready, 1); /* SYNC object.ready release */
    return yk_sys_unmap(object.base, size);
}

static int open_seat(int file, int seat)
{
    int fd = yk_sys_reopen(file, O_RDWR);
    if (fd < 0)
        return fd;
    int result = yk_sys_lock_byte(fd, YK_HANDLE_BYTE(seat));
    if (result == 0)
        return fd;
    yk_sys_close(fd);
    return result == -EAGAIN ? -EBUSY : result;
}

static int open_seats(int file, int ret[SEATS])
{
    int first = open_seat(file, 0);
    int second = first < 0 ? first : open_seat(file, 1);
    if (second < 0) {
        if (first >= 0)
            yk_sys_close(first);
        return second;
    }
    ret[0] = first;
    ret[1] = second;
    return 0;
}

int yk_object_create_anonymous(const struct yk_object_plan *plan, int ret_descriptors[2])
{
    uint64_t size = yk_object_body_offset(plan->participants) + plan->body_bytes;
    size = (size + YK_PAGE - 1) & ~(uint64_t)(YK_PAGE - 1);
    int file = yk_sys_memfd("yoke", size);
    if (file < 0)
        return yk_fail(-file, "a memory file of %llu bytes can not be made: %s",
                       (unsigned long long)size, strerror(-file));
    int result = yk_sys_chmod(file, 0666);
    if (result == 0)
        result = map_and_fill(file, plan, size);
    if (result == 0)
        result = open_seats(file, ret_descriptors);
    yk_sys_close(file);
    return result < 0 ? yk_fail(-result, "a memory file can not be shared: %s", strerror(-result))
                      : 0;
}

/* ---- attaching ---- */

static int refuse(int descriptor, int64_t size)
{
    if (size == -EBADF)
        return yk_fail(EBADF, "%d is not an open descriptor", descriptor);
    if (size == -EPERM)
        return yk_fail(EPROTO,
                       "descriptor %d is a memory file that could still shrink: yoke seals its own",
                       descriptor);
    if (size == -ENOTSUP) /* a hole that somebody punches may not be filled again: SIGBUS */
        return yk_fail(EPROTO, "descriptor %d is a memory file of huge pages: yoke makes none",
                       descriptor);
    if (size != -EINVAL)
        return yk_fail((int)-size, "descriptor %d can not be asked: %s", descriptor,
                       strerror((int)-size));
    return yk_fail(
        EINVAL,
        "descriptor %d is no end of a link or stream: yoke_pair() and yoke_stream_pair() "
        "make them",
        descriptor);
}

int yk_anonymous_kind(int descriptor, enum yk_kind otherwise)
{
    struct yk_shm_fixed fixed;
    int64_t size = yk_sys_memfd_size(descriptor);
    bool none = size == -EINVAL || size == -EPERM || size == -EBADF; /* which opening it refuses */
    if (none || (size >= 0 && size < (int64_t)sizeof fixed))
        return (int)otherwise;
    if (size >= 0)
        size = yk_sys_read_all(descriptor, &fixed, sizeof fixed, 0);
    if (size == -EOPNOTSUPP) /* huge pages: refused when it is opened, too */
        return (int)otherwise;
    if (size < 0)
        return yk_fail((int)-size, "descriptor %d can not be read: %s", descriptor,
                       strerror((int)-size));
    bool is =
        size == (ssize_t)sizeof fixed && fixed.magic == YK_MAGIC && fixed.kind == YK_KIND_STREAM;
    return is ? YK_KIND_STREAM : (int)otherwise;
}

/* 0, 1, or an error; -EINVAL: it holds neither handle byte (another program's, or opened anew), or both. */
static int seat_of(int descriptor)
{
    int first = yk_sys_byte_is_locked_by(descriptor, YK_HANDLE_BYTE(0));
    int second = yk_sys_byte_is_locked_by(descriptor, YK_HANDLE_BYTE(1));
    return first < 0 ? first : second < 0 || first != second ? second : -EINVAL;
}

/* A description of one's own, or the caller's. The mapping never holds the one with the lock. */
static int own_description(int descriptor)
{
    int fd = yk_sys_reopen(descriptor, O_RDWR);
    bool refused = fd == -ENOENT || fd == -EACCES || fd == -EPERM;
    return refused ? yk_sys_duplicate(descriptor) : fd;
}

static int map_it(struct yk_object *object, int descriptor)
{
    int fd = own_description(descriptor);
    if (fd < 0)
        return fd;
    int result = yk_sys_map_shared(fd, object->size, &object->base);
    yk_sys_close(fd);
    return result;
}

static int open_lock(struct yk_object *object, int descriptor)
{
    yk_guard(&object->lock, -1, true);
    /* a child forked between these lines would share the description unseen */
    yk_guards_lock();
    int fd = own_description(descriptor);
    if (fd >= 0)
        object->lock.fd = fd;
    yk_guards_unlock();
    return fd;
}

static int check(struct yk_object *object, const struct yk_object_plan *plan, int descriptor)
{
    const struct yk_shm_header *header = yk_object_header(object);
    char what[32];
    /* SYNC object.ready acquire */
    if (yk_load32_acquire(&header->ready) != 1)
        return refuse(descriptor, -EINVAL);
    yk_fixed_copy(&object->fixed, object->base);
    if (object->fixed.magic != YK_MAGIC)
        return refuse(descriptor, -EINVAL);
    snprintf(what, sizeof what, "descriptor %d", descriptor);
    int result = yk_fixed_check(&object->fixed, object->size, plan->kind);
    if (result == -EPROTONOSUPPORT)
        yk_layout_check(what, object->fixed.layout, YK_LAYOUT);
    else if (result < 0)
        yk_fail(-result, "the memory of %s holds what no yoke wrote", what);
    if (result == 0 && object->fixed.participants != SEATS)
        result = yk_fail(EPROTO, "descriptor %d has %u seats: no yoke wrote that", descriptor,
                         object->fixed.participants);
    /* the name would go into sentences */
    memset(object->fixed.name, 0, sizeof object->fixed.name);
    strncpy(object->fixed.name, plan->name, sizeof object->fixed.name - 1);
    return result;
}

int yk_object_open_anonymous(struct yk_object *object, int descriptor,
                             const struct yk_object_plan *plan)
{
    int64_t size = yk_sys_memfd_size(descriptor);
    if (size < 2 * YK_PAGE)
        return refuse(descriptor, size < 0 ? size : -EINVAL);
    int seat = seat_of(descriptor);
    if (seat < 0)
        return refuse(descriptor, seat);
    yk_object_prepare_handle(object, plan);
    object->anonymous = true;
    object->segment = -1;
    object->read_only = false;
    object->size = (uint64_t)size;
    object->seat = seat;
    int result = map_it(object, descriptor);
    if (result == -EPERM || result == -EACCES) /* sealed against writing, or not open for it */
        return refuse(descriptor, -EINVAL);
    if (result < 0)
        return yk_fail(-result, "descriptor %d can not be mapped: %s", descriptor,
                       strerror(-result));
    result = open_lock(object, descriptor);
    if (result < 0)
        yk_fail(-result, "no descriptor for the lock of descriptor %d: %s", descriptor,
                strerror(-result));
    else
        result = check(object, plan, descriptor);
    if (result == 0)
        result = yk_object_join(object);
    if (result < 0) {
        yk_object_detach(object);
        return result;
    }
    YK_TRACE_OBJECT(open, object, object->size, object->slot, 0);
    yk_log("%s:%s: opened by descriptor %d, %llu bytes, participant %u of %u",
           yk_kind_name(object->fixed.kind), object->fixed.name, descriptor,
           (unsigned long long)object->size, object->slot, object->fixed.participants);
    yk_recover_dead(object);
    return 0;
}
