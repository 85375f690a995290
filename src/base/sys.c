/*
 * sys.c - the system calls. See sys.h.
 */
#include "base/sys.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <linux/magic.h>
#include <linux/membarrier.h>
#include <mqueue.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_READ  22
#define MADV_POPULATE_WRITE 23
#endif

#define NO_MEMORY_NAP INT64_C(1000000)

/* Makes the call once; leaves the caller's errno alone. */
#define DIRECT(expression)                 \
    ({                                     \
        int saved_ = errno;                \
        long result_ = (long)(expression); \
        if (result_ == -1)                 \
            result_ = -errno;              \
        errno = saved_;                    \
        result_;                           \
    })

/*
 * The same for what POSIX lets pthread_cancel() end: a thread that ended here would leave locks taken and
 * handles half-changed. So it goes on until it is back in its program.
 */
#define ONCE(expression)                                             \
    ({                                                               \
        int cancelled_;                                              \
        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancelled_); \
        long once_ = DIRECT(expression);                             \
        pthread_setcancelstate(cancelled_, NULL);                    \
        once_;                                                       \
    })

/* Until no signal interrupts it. */
#define CALL(expression)                \
    ({                                  \
        long called_;                   \
        do                              \
            called_ = ONCE(expression); \
        while (called_ == -EINTR);      \
        called_;                        \
    })

/* A umask that takes the owner's own rights away would lock this user out of what it just made. */
static void restore_owner_rights(int fd, mode_t mode)
{
    char path[32];
    struct stat facts;
    if (fstat(fd, &facts) != 0 || facts.st_uid != geteuid() ||
        (facts.st_mode & mode & 0700) == (mode & 0700))
        return;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd); /* fchmod() does not take O_PATH's */
    (void)!chmod(path, (facts.st_mode & 07777) | (mode & 0700));
}

/*
 * Where a program has closed its standard descriptors, what it, or YOKE_LOG, says there would be
 * written into a lock file, or over the memory of a pair, and what it reads there would be its signals:
 * no descriptor of yoke's has one of their numbers.
 */
static int above_standard(int fd)
{
    if (fd < 0 || fd > STDERR_FILENO)
        return fd;
    int above = yk_sys_duplicate(fd);
    yk_sys_close(fd);
    return above == -EINVAL ? -EMFILE : above; /* no more than three may be open */
}

int yk_sys_open(int dir, const char *path, int flags, mode_t mode)
{
    int saved = errno;
    flags |= O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK;
    int fd = above_standard((int)CALL(openat(dir, path, flags, mode)));
    if (fd >= 0 && (flags & O_CREAT))
        restore_owner_rights(fd, mode);
    errno = saved;
    return fd == -EAGAIN ? -EBUSY
                         : fd; /* somebody has a lease on it; EAGAIN means something else */
}

int yk_sys_close(int fd)
{
    (void)ONCE(close(fd)); /* never again after EINTR: on Linux the descriptor is gone */
    return 0;
}

int yk_sys_reopen(int fd, int flags)
{
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return above_standard((int)CALL(open(path, flags | O_CLOEXEC | O_NOCTTY)));
}

ssize_t yk_sys_read_all(int fd, void *buffer, size_t capacity, off_t offset)
{
    size_t done = 0;
    while (done < capacity) {
        long got = CALL(pread(fd, (char *)buffer + done, capacity - done, offset + (off_t)done));
        if (got < 0)
            return got;
        if (got == 0)
            break;
        done += (size_t)got;
    }
    return (ssize_t)done;
}

int yk_sys_write_all(int fd, const void *data, size_t size, off_t offset)
{
    struct rlimit limit;
    /* the kernel would answer with SIGXFSZ, which ends a process that does not expect it */
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && (uint64_t)offset + size > limit.rlim_cur)
        return -EFBIG;
    long done = CALL(pwrite(fd, data, size, offset));
    if (done < 0)
        return (int)done;
    return (size_t)done == size ? 0 : -ENOSPC;
}

ssize_t yk_sys_read(int fd, void *buffer, size_t size)
{
    return CALL(read(fd, buffer, size));
}

/* A thread that writes without the signals that the kernel raises for it: they are errors here. */
struct hush {
    sigset_t before, pending;
};

static sigset_t writers_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    sigaddset(&set, SIGXFSZ);
    return set;
}

static void hush_begin(struct hush *hush)
{
    sigset_t set = writers_signals();
    pthread_sigmask(SIG_BLOCK, &set, &hush->before);
    sigpending(&hush->pending);
}

/* `result` is the call's: only with these two errors has the kernel raised one. */
static void hush_end(const struct hush *hush, long result)
{
    static const struct timespec now = {0, 0};
    int number = result == -EPIPE ? SIGPIPE : result == -EFBIG ? SIGXFSZ : 0;
    if (number != 0 && !sigismember(&hush->pending, number)) {
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, number);
        (void)CALL(sigtimedwait(&set, NULL, &now));
    }
    pthread_sigmask(SIG_SETMASK, &hush->before, NULL);
}

#ifndef RWF_NOSIGNAL
#define RWF_NOSIGNAL 0x00000100 /* Linux 6.18 */
#endif

ssize_t yk_sys_write_pipe(int fd, const void *data, size_t size)
{
    static yk_atomic32 refused; /* this process's own */
    struct iovec piece = {(void *)(uintptr_t)data, size};
    if (yk_load32_relaxed(&refused))
        return yk_sys_write(fd, data, size);
    long result = CALL(pwritev2(fd, &piece, 1, -1, RWF_NOSIGNAL));
    if (result != -EOPNOTSUPP && result != -ENOSYS && result != -EINVAL)
        return result;
    yk_store32_relaxed(&refused, 1);
    return yk_sys_write(fd, data, size);
}

ssize_t yk_sys_write(int fd, const void *data, size_t size)
{
    struct hush hush;
    hush_begin(&hush);
    long result = CALL(write(fd, data, size));
    hush_end(&hush, result);
    return result;
}

ssize_t yk_sys_receive(int socket, void *buffer, size_t size)
{
    return CALL(recv(socket, buffer, size, MSG_DONTWAIT));
}

ssize_t yk_sys_send(int socket, const void *data, size_t size)
{
    return CALL(send(socket, data, size, MSG_DONTWAIT | MSG_NOSIGNAL));
}

int yk_sys_socket_has_messages(int socket)
{
    int type = 0;
    socklen_t size = sizeof type;
    int result = (int)CALL(getsockopt(socket, SOL_SOCKET, SO_TYPE, &type, &size));
    return result < 0 ? result : type != SOCK_STREAM;
}

int yk_sys_stat(int fd, struct stat *ret)
{
    return (int)CALL(fstat(fd, ret));
}

int yk_sys_stat_at(int dir, const char *path, struct stat *ret)
{
    return (int)CALL(fstatat(dir, path, ret, AT_SYMLINK_NOFOLLOW));
}

int yk_sys_stat_path(const char *path, struct stat *ret)
{
    return (int)CALL(stat(path, ret));
}

int yk_sys_mkdir(const char *path, mode_t mode)
{
    return yk_sys_mkdir_at(AT_FDCWD, path, mode);
}

int yk_sys_mkdir_at(int dir, const char *path, mode_t mode)
{
    int saved = errno;
    int result = (int)CALL(mkdirat(dir, path, mode));
    int fd = result < 0
                 ? -1
                 : (int)ONCE(openat(dir, path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (fd >= 0) {
        restore_owner_rights(fd, mode);
        yk_sys_close(fd);
    }
    errno = saved;
    return result;
}

int yk_sys_chmod(int fd, mode_t mode)
{
    return (int)CALL(fchmod(fd, mode));
}

int yk_sys_chown(int fd, uid_t uid, gid_t gid)
{
    return (int)CALL(fchown(fd, uid, gid));
}

int yk_sys_unlink(int dir, const char *path)
{
    return (int)CALL(unlinkat(dir, path, 0));
}

int yk_sys_link(int fd, int dir, const char *to)
{
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return (int)CALL(linkat(AT_FDCWD, path, dir, to, AT_SYMLINK_FOLLOW));
}

int yk_sys_rename(int from_dir, const char *from, int to_dir, const char *to)
{
    return (int)CALL(renameat(from_dir, from, to_dir, to));
}

int yk_sys_rename_exclusive(int from_dir, const char *from, int to_dir, const char *to)
{
    return (int)CALL(renameat2(from_dir, from, to_dir, to, RENAME_NOREPLACE));
}

static int byte_lock(int fd, int command, short type, off_t byte, off_t count, struct flock *ret)
{
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = count};
    int result;
    do /* which is no cancellation point, but where it waits for a lock */
        result = (int)DIRECT(fcntl(fd, command, &lock));
    while (result == -EINTR);
    if (ret)
        *ret = lock;
    return result == -EACCES ? -EAGAIN : result;
}

int yk_sys_lock_bytes(int fd, off_t byte, off_t count)
{
    return byte_lock(fd, F_OFD_SETLK, F_WRLCK, byte, count, NULL);
}

int yk_sys_lock_byte(int fd, off_t byte)
{
    return yk_sys_lock_bytes(fd, byte, 1);
}

int yk_sys_share_byte(int fd, off_t byte)
{
    return byte_lock(fd, F_OFD_SETLK, F_RDLCK, byte, 1, NULL);
}

int yk_sys_unlock_byte(int fd, off_t byte)
{
    return byte_lock(fd, F_OFD_SETLK, F_UNLCK, byte, 1, NULL);
}

static int ask_for_lock(int fd, short type, off_t byte, off_t count)
{
    struct flock lock;
    int result = byte_lock(fd, F_OFD_GETLK, type, byte, count, &lock);
    return result < 0 ? result : lock.l_type != F_UNLCK;
}

int yk_sys_byte_is_locked(int fd, off_t byte, off_t count)
{
    return ask_for_lock(fd, F_WRLCK, byte, count);
}

int yk_sys_byte_is_held_alone(int fd, off_t byte)
{
    return ask_for_lock(fd, F_RDLCK, byte, 1);
}

/*
 * A description never hears of its own locks, a process hears of all that descriptions have: what
 * the one is told of and the other is not is the description's.
 */
int yk_sys_byte_is_locked_by(int fd, off_t byte)
{
    struct flock lock;
    int result = byte_lock(fd, F_GETLK, F_WRLCK, byte, 1, &lock);
    if (result < 0 || lock.l_type == F_UNLCK)
        return result;
    result = yk_sys_byte_is_locked(fd, byte, 1);
    return result < 0 ? result : !result;
}

int yk_sys_shm_get(key_t key, size_t size, int flags)
{
    return (int)CALL(shmget(key, size, flags));
}

int yk_sys_shm_attach(int id, bool read_only, void **ret_base)
{
    int saved = errno, result = 0;
    void *base = shmat(id, NULL, read_only ? SHM_RDONLY : 0);
    if (base == (void *)-1)
        result = -errno;
    else
        *ret_base = base;
    errno = saved;
    return result;
}

int yk_sys_shm_detach(const void *base)
{
    return (int)CALL(shmdt(base));
}

int yk_sys_shm_stat(int id, struct shmid_ds *ret)
{
    return (int)CALL(shmctl(id, IPC_STAT, ret));
}

int yk_sys_shm_set(int id, struct shmid_ds *facts)
{
    return (int)CALL(shmctl(id, IPC_SET, facts));
}

int yk_sys_shm_remove(int id)
{
    return (int)CALL(shmctl(id, IPC_RMID, NULL));
}

void *yk_sys_allocate(size_t count, size_t size)
{
    int saved = errno;
    void *memory = calloc(count, size);
    errno = saved;
    return memory;
}

void *yk_sys_allocate_aligned(size_t alignment, size_t size)
{
    int saved = errno;
    size = (size + alignment - 1) / alignment * alignment;
    void *memory = aligned_alloc(alignment, size);
    errno = saved;
    return memory ? memset(memory, 0, size) : NULL;
}

void *yk_sys_reallocate(void *array, size_t count, size_t size)
{
    int saved = errno;
    void *larger = reallocarray(array, count, size);
    errno = saved;
    return larger;
}

int yk_sys_populate(void *base, size_t size)
{
    int result = (int)CALL(madvise(base, size, MADV_POPULATE_WRITE));
    return result == -EINVAL                           ? -ENOTSUP
           : result == -EFAULT || result == -EHWPOISON ? -ENOMEM
                                                       : result;
}

bool yk_sys_can_read(void *base, size_t size)
{
    return (int)CALL(madvise(base, size, MADV_POPULATE_READ)) != -EFAULT;
}

int yk_sys_map_wiped_on_fork(size_t size, void **ret_base)
{
    int saved = errno, result = 0;
    void *base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED) {
        result = -errno;
    } else if (madvise(base, size, MADV_WIPEONFORK) < 0) {
        result = -errno;
        munmap(base, size);
    } else {
        *ret_base = base;
    }
    errno = saved;
    return result;
}

int yk_sys_membarrier_register(void)
{
    return (int)CALL(syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0, 0));
}

int yk_sys_membarrier(void)
{
    return (int)CALL(syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0));
}

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

int yk_sys_memfd(const char *name, uint64_t size)
{
    int fd = above_standard((int)CALL(memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING)));
    if (fd < 0)
        return fd;
    int result = (int)CALL(fchmod(fd, 0600)); /* 0777 unless told */
    if (result == 0)
        result = (int)CALL(ftruncate(fd, (off_t)size));
    if (result == 0)
        result = (int)CALL(fcntl(fd, F_ADD_SEALS, SEALS));
    if (result == 0)
        return fd;
    yk_sys_close(fd);
    return result;
}

int64_t yk_sys_memfd_size(int fd)
{
    struct stat facts;
    struct statfs system;
    int seals = (int)CALL(fcntl(fd, F_GET_SEALS));
    if (seals < 0)
        return seals;
    if ((seals & SEALS) != SEALS)
        return -EPERM;
    int asked = (int)CALL(fstatfs(fd, &system));
    if (asked < 0)
        return asked;
    if (system.f_type == HUGETLBFS_MAGIC)
        return -ENOTSUP;
    int result = yk_sys_stat(fd, &facts);
    return result < 0 ? result : (int64_t)facts.st_size;
}

int yk_sys_map_shared(int fd, size_t size, void **ret_base)
{
    int saved = errno, result = 0;
    void *base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (base == MAP_FAILED)
        result = -errno;
    else
        *ret_base = base;
    errno = saved;
    return result;
}

int yk_sys_unmap(void *base, size_t size)
{
    return (int)CALL(munmap(base, size));
}

int yk_sys_file_flags(int fd)
{
    return (int)CALL(fcntl(fd, F_GETFL));
}

int yk_sys_duplicate(int fd)
{
    return (int)CALL(fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
}

int yk_sys_replace(int fd, int by)
{
    return (int)CALL(dup3(by, fd, O_CLOEXEC));
}

int yk_sys_watch_opens(const char *path)
{
    int fd = yk_sys_inotify();
    if (fd < 0)
        return fd;
    int result = (int)CALL(
        inotify_add_watch(fd, path, IN_OPEN | IN_DELETE_SELF | IN_ATTRIB | IN_DONT_FOLLOW));
    if (result >= 0)
        return fd;
    yk_sys_close(fd);
    return result;
}

void yk_sys_clear(int fd)
{
    char events[4096];
    for (int i = 0; i < 64 && CALL(read(fd, events, sizeof events)) > 0; i++)
        ;
}

int yk_sys_make_fifo(int dir, const char *path, mode_t mode, uint32_t group)
{
    int result = (int)CALL(mkfifoat(dir, path, 0600));
    if (result < 0)
        return result;
    /* a group that can not be had only means that its members ring in vain */
    CALL(fchownat(dir, path, (uid_t)-1, group, AT_SYMLINK_NOFOLLOW));
    return (int)CALL(fchmodat(dir, path, mode, 0));
}

int yk_sys_ring(int fd, uint64_t mark)
{
    int result = (int)CALL(write(fd, &mark, sizeof mark));
    return result == -EAGAIN ? 0 : result < 0 ? result : 0; /* full: it is rung already */
}

int yk_sys_eventfd(void)
{
    return above_standard((int)CALL(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)));
}

int yk_sys_pipe(int ret[2])
{
    int ends[2], result = (int)CALL(pipe2(ends, O_CLOEXEC | O_NONBLOCK));
    if (result < 0)
        return result;
    for (int i = 0; i < 2; i++) {
        ends[i] = above_standard(ends[i]);
        result = ends[i] < 0 ? ends[i] : result;
    }
    for (int i = 0; i < 2; i++) {
        if (result == 0)
            ret[i] = ends[i];
        else if (ends[i] >= 0)
            yk_sys_close(ends[i]);
    }
    return result;
}

int yk_sys_pipe_capacity(int fd)
{
    return (int)CALL(fcntl(fd, F_GETPIPE_SZ));
}

int yk_sys_set_pipe_capacity(int fd, size_t capacity)
{
    return capacity > INT_MAX ? -EINVAL : (int)CALL(fcntl(fd, F_SETPIPE_SZ, (int)capacity));
}

int yk_sys_pipe_waiting(int fd)
{
    int waiting = 0, result = (int)CALL(ioctl(fd, FIONREAD, &waiting));
    return result < 0 ? result : waiting;
}

int yk_sys_hung_up(int fd)
{
    struct pollfd one = {.fd = fd};
    long result = CALL(poll(&one, 1, 0));
    return result > 0 && (one.revents & (POLLHUP | POLLERR)) != 0;
}

ssize_t yk_sys_splice(int from, int to, size_t size)
{
    struct hush hush;
    hush_begin(&hush);
    long result = CALL(splice(from, NULL, to, NULL, size, SPLICE_F_NONBLOCK | SPLICE_F_MOVE));
    hush_end(&hush, result);
    return result;
}

int yk_sys_touch(int fd, uint64_t size)
{
    return (int)CALL(ftruncate(fd, (off_t)size));
}

int yk_sys_epoll(void)
{
    return above_standard((int)CALL(epoll_create1(EPOLL_CLOEXEC)));
}

static int epoll_control(int epoll, int operation, int fd, uint32_t events, uint64_t data)
{
    struct epoll_event event = {.events = events, .data.u64 = data};
    return (int)CALL(epoll_ctl(epoll, operation, fd, &event));
}

int yk_sys_epoll_add(int epoll, int fd, uint32_t events, uint64_t data)
{
    return epoll_control(epoll, EPOLL_CTL_ADD, fd, events, data);
}

int yk_sys_epoll_change(int epoll, int fd, uint32_t events, uint64_t data)
{
    return epoll_control(epoll, EPOLL_CTL_MOD, fd, events, data);
}

int yk_sys_epoll_remove(int epoll, int fd)
{
    return epoll_control(epoll, EPOLL_CTL_DEL, fd, 0, 0);
}

int yk_sys_epoll_wait(int epoll, struct epoll_event *events, int count, int64_t timeout_ns)
{
    int result = timeout_ns > 0 ? yk_sys_poll(epoll, -1, timeout_ns) : 1; /* in nanoseconds */
    return result > 0 ? (int)ONCE(epoll_wait(epoll, events, count, 0)) : result;
}

int yk_sys_timer(void)
{
    return above_standard(
        (int)CALL(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)));
}

int yk_sys_timer_set(int fd, int64_t first_ns, int64_t every_ns)
{
    struct itimerspec times = {
        .it_value = {first_ns / 1000000000, first_ns % 1000000000},
        .it_interval = {every_ns / 1000000000, every_ns % 1000000000},
    };
    return (int)CALL(timerfd_settime(fd, 0, &times, NULL));
}

int yk_sys_inotify(void)
{
    return above_standard((int)CALL(inotify_init1(IN_CLOEXEC | IN_NONBLOCK)));
}

int yk_sys_inotify_names(int fd, const char *directory)
{
    return (int)CALL(inotify_add_watch(fd, directory, IN_MOVED_TO | IN_ONLYDIR));
}

int yk_sys_inotify_file(int fd, const char *path)
{
    return (int)CALL(inotify_add_watch(fd, path, IN_CLOSE_WRITE | IN_MODIFY | IN_DELETE_SELF));
}

int yk_sys_inotify_remove(int fd, int wd)
{
    return (int)CALL(inotify_rm_watch(fd, wd));
}

/* How many are ready. Without end for a negative time-out. */
static int wait_ready(struct pollfd *fds, size_t count, int64_t timeout_ns)
{
    struct timespec time = {.tv_sec = timeout_ns / 1000000000, .tv_nsec = timeout_ns % 1000000000};
    int result = (int)ONCE(ppoll(fds, count, timeout_ns < 0 ? NULL : &time, NULL));
    if (result != -ENOMEM)
        return result;
    /* as if nothing came in a short time */
    yk_nap(timeout_ns >= 0 && timeout_ns < NO_MEMORY_NAP ? timeout_ns : NO_MEMORY_NAP);
    for (size_t i = 0; i < count; i++)
        fds[i].revents = 0;
    return 0;
}

int yk_sys_poll(int fd, int other, int64_t timeout_ns)
{
    struct pollfd both[] = {{.fd = fd, .events = POLLIN}, {.fd = other, .events = POLLIN}};
    int result = wait_ready(both, 2, timeout_ns);
    return result < 0 ? result : result > 0;
}

int yk_sys_poll_for(int fd, bool writing, int64_t timeout_ns)
{
    struct pollfd one = {.fd = fd, .events = writing ? POLLOUT : POLLIN};
    return wait_ready(&one, 1, timeout_ns);
}

int yk_sys_poll_all(struct pollfd *fds, size_t count, int64_t timeout_ns)
{
    return wait_ready(fds, count, timeout_ns);
}

int yk_sys_queue_make(const char *name, mode_t mode, uint64_t depth, uint64_t message_size)
{
    struct mq_attr wanted = {.mq_maxmsg = (long)depth, .mq_msgsize = (long)message_size};
    int flags = O_RDWR | O_CREAT | O_EXCL | O_NONBLOCK | O_CLOEXEC;
    int made = (int)CALL(mq_open(name, flags, mode, &wanted));
    int fd = above_standard(made);
    int result = fd < 0 ? fd : (int)CALL(fchmod(fd, mode));
    if (result >= 0)
        return fd;
    if (made >= 0)
        yk_sys_queue_unlink(name);
    if (fd >= 0)
        yk_sys_close(fd);
    return result;
}

int yk_sys_queue_open(const char *name, int flags)
{
    return above_standard((int)CALL(mq_open(name, flags | O_NONBLOCK | O_CLOEXEC)));
}

int yk_sys_queue_unlink(const char *name)
{
    return (int)CALL(mq_unlink(name));
}

int yk_sys_queue_look(int fd, struct yk_sys_queue *ret)
{
    struct mq_attr facts;
    int result = (int)CALL(mq_getattr(fd, &facts));
    if (result == 0)
        *ret = (struct yk_sys_queue){.depth = (uint64_t)facts.mq_maxmsg,
                                     .message_size = (uint64_t)facts.mq_msgsize,
                                     .waiting = (uint64_t)facts.mq_curmsgs};
    return result;
}

int yk_sys_queue_send(int fd, const void *message, size_t size, uint32_t priority)
{
    return (int)CALL(mq_send(fd, message, size, priority));
}

ssize_t yk_sys_queue_receive(int fd, void *buffer, size_t capacity, uint32_t *ret_priority)
{
    unsigned int priority = 0;
    ssize_t size = CALL(mq_receive(fd, buffer, capacity, &priority));
    if (size >= 0)
        *ret_priority = priority;
    return size;
}

uint64_t yk_sys_queue_limit(void)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_MSGQUEUE, &limit) == 0 ? limit.rlim_cur : UINT64_MAX;
}

int yk_sys_futex_wait(const yk_atomic32 *word, uint32_t expected, int64_t timeout_ns)
{
    /* Plain FUTEX_WAIT with a time-out: the only form that returns EINTR under SA_RESTART. */
    struct timespec time = {.tv_sec = timeout_ns / 1000000000, .tv_nsec = timeout_ns % 1000000000};
    return (int)DIRECT(syscall(SYS_futex, &word->raw, FUTEX_WAIT, expected, &time, NULL, 0));
}

int yk_sys_futex_wake(const yk_atomic32 *word, int count)
{
    return (int)DIRECT(syscall(SYS_futex, &word->raw, FUTEX_WAKE, count, NULL, NULL, 0));
}

int yk_sys_pidfd_open(int32_t pid)
{
    return above_standard((int)CALL(syscall(SYS_pidfd_open, pid, 0)));
}

int32_t yk_sys_pidfd_pid(int pidfd)
{
    char path[40], text[512];
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", pidfd);
    int fd = yk_sys_open(AT_FDCWD, path, O_RDONLY, 0);
    ssize_t size = fd < 0 ? fd : yk_sys_read_all(fd, text, sizeof text - 1, 0);
    if (fd >= 0)
        yk_sys_close(fd);
    if (size < 0)
        return (int32_t)size;
    text[size] = '\0';
    const char *line = strstr(text, "\nPid:");
    long pid = line ? strtol(line + 5, NULL, 10) : 0;
    return pid > 0 ? (int32_t)pid : 0;
}

int yk_sys_pidfd_signal(int pidfd, int number, const uint64_t *value)
{
    siginfo_t info = {.si_signo = number, .si_code = SI_QUEUE};
    info.si_pid = getpid();
    info.si_uid = getuid();
    info.si_value.sival_ptr = (void *)(uintptr_t)(value ? *value : 0);
    return (int)CALL(syscall(SYS_pidfd_send_signal, pidfd, number, value ? &info : NULL, 0));
}

uint64_t yk_sys_signal_bit(int number)
{
    bool can = number >= 1 && number <= SIGRTMAX && number != SIGKILL && number != SIGSTOP &&
               (number < 32 || number >= SIGRTMIN); /* those between are the C library's */
    return can ? UINT64_C(1) << (number - 1) : 0;
}

int yk_sys_first_queued_signal(void)
{
    return SIGRTMIN;
}

int yk_sys_last_signal(void)
{
    return SIGRTMAX;
}

static void to_sigset(sigset_t *ret, uint64_t set)
{
    sigemptyset(ret);
    for (int number = 1; number <= SIGRTMAX; number++) {
        if (set & yk_sys_signal_bit(number))
            sigaddset(ret, number);
    }
}

int yk_sys_block_signals(uint64_t set)
{
    sigset_t signals;
    to_sigset(&signals, set);
    return -pthread_sigmask(SIG_BLOCK, &signals, NULL);
}

int yk_sys_signalfd(int fd, uint64_t set)
{
    sigset_t signals;
    to_sigset(&signals, set);
    return above_standard((int)CALL(signalfd(fd, &signals, SFD_CLOEXEC | SFD_NONBLOCK)));
}

int yk_sys_read_signal(int fd, struct yk_unix_signal *ret)
{
    struct signalfd_siginfo info;
    int result = (int)CALL(read(fd, &info, sizeof info));
    if (result < 0)
        return result == -EAGAIN ? 0 : result;
    /*
     * What comes with a negative code was written by the sender, except by tgkill(). No pid: it is
     * of another namespace, or there was no memory to queue it.
     */
    *ret = (struct yk_unix_signal){
        .number = (int)info.ssi_signo,
        .proven = (info.ssi_code >= 0 || info.ssi_code == SI_TKILL) && info.ssi_pid != 0,
        .pid = (int32_t)info.ssi_pid,
        .uid = info.ssi_uid,
        .value = info.ssi_code == SI_QUEUE ? info.ssi_ptr : 0,
    };
    return 1;
}

/* By way of /proc: a path may be longer than an address has room for. */
static void to_address(struct sockaddr_un *ret, int dir, const char *path)
{
    *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(ret->sun_path, sizeof ret->sun_path, "/proc/self/fd/%d/%s", dir, path);
}

int yk_sys_datagram_socket(void)
{
    return above_standard(
        (int)CALL(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)));
}

int yk_sys_datagram_bind(int dir, const char *path, mode_t mode, int64_t group)
{
    struct sockaddr_un address;
    int yes = 1, fd = yk_sys_datagram_socket();
    if (fd < 0)
        return fd;
    to_address(&address, dir, path);
    int result = (int)CALL(setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &yes, sizeof yes));
    if (result == 0)
        result = (int)CALL(fchmod(fd, 0)); /* the file gets these bits, and no others */
    if (result == 0)
        result = (int)CALL(bind(fd, (struct sockaddr *)&address, sizeof address));
    if (result == 0 && group >= 0)
        result = (int)CALL(fchownat(dir, path, (uid_t)-1, (gid_t)group, AT_SYMLINK_NOFOLLOW));
    if (result == 0)
        result = (int)CALL(fchmodat(dir, path, mode, 0));
    if (result == 0)
        return fd;
    yk_sys_close(fd);
    return result;
}

int yk_sys_datagram_send(int fd, int dir, const char *path, const void *data, size_t size)
{
    struct sockaddr_un address;
    to_address(&address, dir, path);
    return (int)CALL(
        sendto(fd, data, size, MSG_NOSIGNAL, (struct sockaddr *)&address, sizeof address));
}

ssize_t yk_sys_datagram_recv(int fd, void *buffer, size_t capacity, struct yk_sender *ret)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(struct ucred))];
    } control;
    struct iovec vector = {.iov_base = buffer, .iov_len = capacity};
    struct msghdr message = {.msg_iov = &vector,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    ssize_t size = CALL(recvmsg(fd, &message, MSG_DONTWAIT | MSG_TRUNC | MSG_CMSG_CLOEXEC));
    if (size < 0)
        return size;
    *ret = (struct yk_sender){.pid = 0, .uid = UINT32_MAX};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_CREDENTIALS) {
        struct ucred credentials;
        memcpy(&credentials, CMSG_DATA(header), sizeof credentials);
        *ret = (struct yk_sender){.pid = credentials.pid, .uid = credentials.uid};
    }
    return size;
}

int yk_sys_random(void *buffer, size_t size)
{
    long got = CALL(getrandom(buffer, size, 0));
    return got < 0 ? (int)got : (size_t)got == size ? 0 : -EIO;
}

int32_t yk_sys_thread_id(void)
{
    return (int32_t)syscall(SYS_gettid);
}

int32_t yk_sys_process_id(void)
{
    return (int32_t)getpid();
}

uint32_t yk_sys_effective_uid(void)
{
    return (uint32_t)geteuid();
}

int yk_sys_cpus(void)
{
    cpu_set_t set;
    if (CALL(sched_getaffinity(0, sizeof set, &set)) < 0)
        return (int)sysconf(_SC_NPROCESSORS_ONLN) > 1 ? 2 : 1;
    int count = CPU_COUNT(&set);
    return count > 0 ? count : 1;
}

int yk_sys_process_name(char name[16])
{
    memset(name, 0, 16);
    return (int)CALL(prctl(PR_GET_NAME, name));
}

int yk_sys_entries(int dir, const char *path, int (*each)(const char *name, void *context),
                   void *context)
{
    int fd = above_standard(
        (int)CALL(openat(dir, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)));
    if (fd < 0)
        return fd;
    int saved = errno, result = 0;
    DIR *stream = fdopendir(fd);
    if (!stream) {
        result = -errno;
        yk_sys_close(fd);
    } else {
        struct dirent *entry;
        do {
            errno = 0; /* the end is told from an error by it */
            entry = readdir(stream);
            if (!entry)
                result = -errno;
            else if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
                result = each(entry->d_name, context);
        } while (entry && result == 0);
        closedir(stream);
    }
    errno = saved;
    return result;
}

static int64_t now(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

int64_t yk_now(void)
{
    return now(CLOCK_MONOTONIC);
}

int64_t yk_now_coarse(void)
{
    return now(CLOCK_MONOTONIC_COARSE);
}

int64_t yk_now_wall(void)
{
    return now(CLOCK_REALTIME);
}

void yk_nap(int64_t ns)
{
    struct timespec time = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
    (void)ONCE(nanosleep(&time, NULL));
}

int64_t yk_deadline(int64_t timeout_ns)
{
    if (timeout_ns < 0)
        return INT64_MAX;
    int64_t start = yk_now();
    return timeout_ns > INT64_MAX - start ? INT64_MAX : start + timeout_ns;
}
