/*
 * sys.c - the system calls. See sys.h.
 */
#include "base/sys.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <mqueue.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_READ  22
#define MADV_POPULATE_WRITE 23
#endif

/* Runs the call until no signal interrupts it; leaves the caller's errno alone. */
#define CALL(expression)                         \
    ({                                           \
        int saved_ = errno;                      \
        long result_;                            \
        do                                       \
            result_ = (long)(expression);        \
        while (result_ == -1 && errno == EINTR); \
        if (result_ == -1)                       \
            result_ = -errno;                    \
        errno = saved_;                          \
        result_;                                 \
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

int yk_sys_open(int dir, const char *path, int flags, mode_t mode)
{
    int saved = errno;
    flags |= O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK;
    int fd = (int)CALL(openat(dir, path, flags, mode));
    if (fd >= 0 && (flags & O_CREAT))
        restore_owner_rights(fd, mode);
    errno = saved;
    return fd == -EAGAIN ? -EBUSY
                         : fd; /* somebody has a lease on it; EAGAIN means something else */
}

int yk_sys_close(int fd)
{
    int saved = errno;
    close(fd); /* never again after EINTR: on Linux the descriptor is gone */
    errno = saved;
    return 0;
}

int yk_sys_reopen(int fd, int flags)
{
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return (int)CALL(open(path, flags | O_CLOEXEC | O_NOCTTY));
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
    int fd = result < 0 ? -1 : openat(dir, path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0) {
        restore_owner_rights(fd, mode);
        close(fd);
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
    int result = (int)CALL(fcntl(fd, command, &lock));
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

int yk_sys_unlock_byte(int fd, off_t byte)
{
    return byte_lock(fd, F_OFD_SETLK, F_UNLCK, byte, 1, NULL);
}

int yk_sys_byte_is_locked(int fd, off_t byte, off_t count)
{
    struct flock lock;
    int result = byte_lock(fd, F_OFD_GETLK, F_WRLCK, byte, count, &lock);
    return result < 0 ? result : lock.l_type != F_UNLCK;
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
    int fd = (int)CALL(memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
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
    int seals = (int)CALL(fcntl(fd, F_GET_SEALS));
    if (seals < 0)
        return seals;
    if ((seals & SEALS) != SEALS)
        return -EPERM;
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
    return (int)CALL(fcntl(fd, F_DUPFD_CLOEXEC, 3));
}

int yk_sys_replace(int fd, int by)
{
    return (int)CALL(dup3(by, fd, O_CLOEXEC));
}

static int watch(const char *path, uint32_t events)
{
    int fd = (int)CALL(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    if (fd < 0)
        return fd;
    int result = (int)CALL(inotify_add_watch(fd, path, events | IN_DONT_FOLLOW));
    if (result >= 0)
        return fd;
    yk_sys_close(fd);
    return result;
}

int yk_sys_watch_names(const char *directory)
{
    return watch(directory, IN_MOVED_TO | IN_ONLYDIR);
}

int yk_sys_watch_file(const char *path)
{
    return watch(path, IN_CLOSE_WRITE | IN_DELETE_SELF);
}

void yk_sys_clear(int fd)
{
    char events[4096];
    for (int i = 0; i < 64 && CALL(read(fd, events, sizeof events)) > 0; i++)
        ;
}

int yk_sys_make_fifo(int dir, const char *path, mode_t mode)
{
    int result = (int)CALL(mkfifoat(dir, path, 0600));
    return result < 0 ? result : (int)CALL(fchmodat(dir, path, mode, 0));
}

int yk_sys_ring(int fd)
{
    int result = (int)CALL(write(fd, "", 1));
    return result == -EAGAIN ? 0 : result < 0 ? result : 0; /* full: it is rung already */
}

int yk_sys_poll(int fd, int other, int64_t timeout_ns)
{
    struct pollfd both[] = {{.fd = fd, .events = POLLIN}, {.fd = other, .events = POLLIN}};
    struct timespec time = {.tv_sec = timeout_ns / 1000000000, .tv_nsec = timeout_ns % 1000000000};
    int saved = errno;
    int result = ppoll(both, 2, &time, NULL);
    result = result < 0 ? -errno : result > 0;
    errno = saved;
    return result;
}

int yk_sys_poll_all(struct pollfd *fds, size_t count, int64_t timeout_ns)
{
    struct timespec time = {.tv_sec = timeout_ns / 1000000000, .tv_nsec = timeout_ns % 1000000000};
    int saved = errno;
    int result = ppoll(fds, count, timeout_ns < 0 ? NULL : &time, NULL);
    result = result < 0 ? -errno : result;
    errno = saved;
    return result;
}

int yk_sys_make_event(void)
{
    return (int)CALL(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
}

int yk_sys_set_event(int fd)
{
    uint64_t one = 1;
    long result = CALL(write(fd, &one, sizeof one));
    return result < 0 && result != -EAGAIN ? (int)result : 0;
}

int yk_sys_make_epoll(void)
{
    return (int)CALL(epoll_create1(EPOLL_CLOEXEC));
}

int yk_sys_epoll_add(int epoll, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events};
    return (int)CALL(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
}

int yk_sys_queue_make(const char *name, mode_t mode, uint64_t depth, uint64_t message_size)
{
    struct mq_attr wanted = {.mq_maxmsg = (long)depth, .mq_msgsize = (long)message_size};
    int flags = O_RDWR | O_CREAT | O_EXCL | O_NONBLOCK | O_CLOEXEC;
    int fd = (int)CALL(mq_open(name, flags, mode, &wanted));
    int result = fd < 0 ? fd : (int)CALL(fchmod(fd, mode));
    if (result >= 0)
        return fd;
    if (fd >= 0) {
        yk_sys_queue_unlink(name);
        yk_sys_close(fd);
    }
    return result;
}

int yk_sys_queue_open(const char *name, int flags)
{
    return (int)CALL(mq_open(name, flags | O_NONBLOCK | O_CLOEXEC));
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
    int saved = errno;
    long result = syscall(SYS_futex, &word->raw, FUTEX_WAIT, expected, &time, NULL, 0);
    if (result < 0)
        result = -errno;
    errno = saved;
    return (int)result;
}

int yk_sys_futex_wake(const yk_atomic32 *word, int count)
{
    return (int)CALL(syscall(SYS_futex, &word->raw, FUTEX_WAKE, count, NULL, NULL, 0));
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
    int fd = (int)CALL(openat(dir, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
    if (fd < 0)
        return fd;
    int saved = errno, result = 0;
    DIR *stream = fdopendir(fd);
    if (!stream) {
        result = -errno;
        close(fd);
    } else {
        for (struct dirent *entry; result == 0 && (entry = readdir(stream));) {
            if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
                result = each(entry->d_name, context);
        }
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
    int saved = errno;
    nanosleep(&time, NULL);
    errno = saved;
}

int64_t yk_deadline(int64_t timeout_ns)
{
    if (timeout_ns < 0)
        return INT64_MAX;
    int64_t start = yk_now();
    return timeout_ns > INT64_MAX - start ? INT64_MAX : start + timeout_ns;
}
