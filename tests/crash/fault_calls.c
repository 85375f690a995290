/*
 * fault_calls.c - see fault_calls.h.
 *
 * Each kind of call has the errors that its manual lists and that can happen to a caller who makes no
 * mistake; not EBADF, EFAULT, EINVAL for a bad argument, nor those that say something of an object that
 * is not so ("it is gone"). EIO and ENOMEM are there wherever a file system may say so.
 */
#include "fault_calls.h"

#include <dirent.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <mqueue.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#define HALF   -1 /* no error: half of it is done, as the manual allows */
#define CLEARS CALL_CLEARS

/* kind, how it is called in findings, flags, errors */
#define KINDS(X)                                                                                \
    X(OPEN, "open", 0, EACCES, EMFILE, ENFILE, ENOMEM, EINTR, EIO, EPERM, EWOULDBLOCK)          \
    X(CREATE, "open (creating)", 0, EACCES, EDQUOT, EINTR, EIO, EMFILE, ENFILE, ENOMEM, ENOSPC, \
      EPERM, EROFS)                                                                             \
    X(CLOSE, "close", 0, EINTR, EIO, ENOSPC, EDQUOT)                                            \
    X(READ, "read", 0, EAGAIN, EINTR)                                                           \
    X(PREAD, "pread", 0, EINTR, EIO, ENOMEM, HALF)                                              \
    X(WRITE, "write", 0, EINTR, ENOMEM)                                                         \
    X(PWRITE, "pwrite", 0, EINTR, EIO, ENOSPC, EDQUOT, EFBIG, HALF)                             \
    X(STAT, "stat", 0, EACCES, EIO, ENOMEM)                                                     \
    X(MKDIR, "mkdir", 0, EACCES, EDQUOT, EMLINK, ENOMEM, ENOSPC, EPERM, EROFS)                  \
    X(CHMOD, "chmod", 0, EIO, ENOMEM, EPERM, EROFS)                                             \
    X(CHOWN, "chown", 0, EDQUOT, EIO, ENOMEM, EPERM, EROFS)                                     \
    X(UNLINK, "unlink", CLEARS, EACCES, EBUSY, EIO, ENOMEM, EPERM, EROFS)                       \
    X(LINK, "link", 0, EACCES, EDQUOT, EIO, EMLINK, ENOMEM, ENOSPC, EPERM, EROFS)               \
    X(RENAME, "rename", CLEARS, EACCES, EBUSY, EDQUOT, ENOMEM, ENOSPC, EPERM, EROFS)            \
    X(PUBLISH, "rename (exclusive)", 0, EACCES, EDQUOT, EINVAL, ENOMEM, ENOSPC, EPERM, EROFS)   \
    X(SETLK, "fcntl F_OFD_SETLK", 0, EAGAIN, EINTR, ENOLCK)                                     \
    X(GETLK, "fcntl F_OFD_GETLK", 0, EINTR, ENOLCK)                                             \
    X(SEAL, "fcntl F_ADD_SEALS", 0, EPERM)                                                      \
    X(DUP, "fcntl F_DUPFD", 0, EMFILE)                                                          \
    X(SHMGET, "shmget", 0, EACCES, EEXIST, ENFILE, ENOMEM, ENOSPC)                              \
    X(SHMFIND, "shmget (finding)", CLEARS, EACCES)                                              \
    X(SHMAT, "shmat", 0, EACCES, ENOMEM)                                                        \
    X(SHMSTAT, "shmctl IPC_STAT", CLEARS, EACCES)                                               \
    X(SHMSET, "shmctl IPC_SET", 0, EPERM)                                                       \
    X(SHMRMID, "shmctl IPC_RMID", CLEARS, EPERM)                                                \
    X(POPULATE, "madvise POPULATE", 0, EAGAIN, EINVAL, EIO, ENOMEM, EINTR, EHWPOISON)           \
    X(WIPE, "madvise WIPEONFORK", 0, EINVAL, ENOMEM)                                            \
    X(MMAP, "mmap", 0, EAGAIN, ENFILE, ENOMEM)                                                  \
    X(SLEEP, "futex wait", CALL_SLEEPS, EAGAIN, EINTR)                                          \
    X(MEMBARRIER, "membarrier", 0, ENOSYS, EPERM)                                               \
    X(MEMFD, "memfd_create", 0, EMFILE, ENFILE, ENOMEM, ENOSYS)                                 \
    X(TRUNCATE, "ftruncate", 0, EFBIG, EINTR, EIO, ENOMEM)                                      \
    X(INOTIFY, "inotify_init1", 0, EMFILE, ENFILE, ENOMEM)                                      \
    X(ADD_WATCH, "inotify_add_watch", 0, EACCES, ENOMEM, ENOSPC)                                \
    X(MKFIFO, "mkfifo", 0, EACCES, EDQUOT, ENOMEM, ENOSPC, EROFS)                               \
    X(EVENTFD, "eventfd", 0, EMFILE, ENFILE, ENOMEM)                                            \
    X(PIPE, "pipe2", 0, EMFILE, ENFILE)                                                         \
    X(EPOLL, "epoll_create1", 0, EMFILE, ENFILE, ENOMEM)                                        \
    X(EPOLL_CTL, "epoll_ctl", 0, ENOMEM, ENOSPC)                                                \
    X(EPOLL_WAIT, "epoll_wait", CALL_SLEEPS, EINTR)                                             \
    X(POLL, "ppoll", CALL_SLEEPS, EINTR, ENOMEM)                                                \
    X(TIMER, "timerfd_create", 0, EMFILE, ENFILE, ENOMEM)                                       \
    X(RANDOM, "getrandom", 0, EINTR, ENOSYS)                                                    \
    X(PIDFD, "pidfd_open", 0, EMFILE, ENFILE, ENOMEM)                                           \
    X(KILL, "pidfd_send_signal", 0, EAGAIN, EPERM)                                              \
    X(SIGNALFD, "signalfd", 0, EMFILE, ENFILE, ENOMEM)                                          \
    X(SOCKET, "socket", 0, EACCES, EMFILE, ENFILE, ENOMEM)                                      \
    X(OPTION, "setsockopt", 0, ENOMEM)                                                          \
    X(BIND, "bind", 0, EACCES, ENOMEM, EROFS)                                                   \
    X(SENDTO, "sendto", 0, EACCES, EAGAIN, EINTR, ENOBUFS, ENOMEM)                              \
    X(RECVMSG, "recvmsg", 0, EAGAIN, EINTR, ENOMEM)                                             \
    X(QUEUE, "mq_open", 0, EACCES, EMFILE, ENFILE, ENOMEM, ENOSPC)                              \
    X(UNQUEUE, "mq_unlink", CLEARS, EACCES)                                                     \
    X(SENDQUEUE, "mq_send", 0, EINTR)                                                           \
    X(RECVQUEUE, "mq_receive", 0, EINTR)                                                        \
    X(DUP3, "dup3", 0, EBUSY, EINTR)                                                            \
    X(RECV, "recv", 0, EAGAIN, EINTR, ENOMEM)                                                   \
    X(SEND, "send", 0, EAGAIN, EINTR, ENOMEM)                                                   \
    X(SPLICE, "splice", 0, EAGAIN, EINTR, ENOMEM)                                               \
    X(PIPESIZE, "fcntl F_SETPIPE_SZ", 0, ENOMEM, EPERM)                                         \
    X(CPUS, "sched_getaffinity", 0, EINVAL)                                                     \
    X(NAME, "prctl PR_GET_NAME", 0, EPERM)                                                      \
    X(NAP, "nanosleep", 0, EINTR)                                                               \
    X(OPENDIR, "fdopendir", 0, ENOMEM)                                                          \
    X(READDIR, "readdir", 0, EIO, ENOMEM)                                                       \
    X(ALLOCATE, "malloc", 0, ENOMEM)

enum kind {
#define NUMBER(kind, ...) KIND_##kind,
    KINDS(NUMBER)
#undef NUMBER
        KIND_COUNT,
    KIND_NONE /* can not fail */
};

#define ERRORS_MOST 12
static const struct {
    const char *name;
    uint32_t flags;
    int errors[ERRORS_MOST]; /* ends with 0 */
} kinds[] = {
#define ROW(kind, name, flags, ...) {name, flags, {__VA_ARGS__}},
    KINDS(ROW)
#undef ROW
};

bool calls_trace;

static struct calls *now; /* NULL: nothing is numbered */
static const struct fault *faults;
static uint32_t fault_count;
static bool watching;

uint32_t calls_kinds(void)
{
    return KIND_COUNT;
}

const char *call_name(uint32_t kind)
{
    return kinds[kind].name;
}

uint32_t call_errors(uint32_t kind)
{
    uint32_t count = 0;
    while (kinds[kind].errors[count] != 0)
        count++;
    return count;
}

bool call_can(uint32_t kind, int error)
{
    for (int i = 0; i < ERRORS_MOST; i++) {
        if (kinds[kind].errors[i] == error)
            return error != 0;
    }
    return false;
}

void calls_begin(struct calls *calls, const struct fault *wanted, uint32_t count)
{
    memset(calls, 0, sizeof *calls);
    calls->transient = true;
    faults = wanted;
    fault_count = count;
    now = calls;
    watching = true;
}

void calls_end(void)
{
    now = NULL;
    watching = false;
}

void calls_watch(bool on)
{
    watching = on;
}

/* ---- what is held ------------------------------------------------------------------------------ */

#define HELD_MOST 65536

struct held {
    void *places[HELD_MOST]; /* by hash */
    uint32_t count;
};
static struct held blocks, mappings;
#define GONE ((void *)1)

static uint32_t hash(const void *at)
{
    return (uint32_t)(((uintptr_t)at >> 4) * 2654435761u) % HELD_MOST;
}

static void hold(struct held *held, void *at)
{
    if (!watching || !at)
        return;
    uint32_t i = hash(at);
    while (held->places[i] && held->places[i] != GONE)
        i = (i + 1) % HELD_MOST;
    held->places[i] = at;
    held->count++;
}

static void let_go(struct held *held, const void *at)
{
    for (uint32_t i = hash(at), k = 0; held->places[i] && k < HELD_MOST;
         i = (i + 1) % HELD_MOST, k++) {
        if (held->places[i] == at && at) {
            held->places[i] = GONE;
            held->count--;
            return;
        }
    }
}

uint32_t calls_blocks(void)
{
    return blocks.count;
}

uint32_t calls_mappings(void)
{
    return mappings.count;
}

/* ---- failing ------------------------------------------------------------------------------------ */

static void trace(enum kind kind, int error)
{
    void *frames[24];
    struct calls *kept = now;
    now = NULL; /* what backtrace() calls is none of yoke's */
    int count = backtrace(frames, 24);
    fprintf(stderr, "# call %u, %s, fails with %d, called from\n", kept->count, kinds[kind].name,
            error);
    backtrace_symbols_fd(frames + 2, count - 2, 2);
    now = kept;
}

static int fail_with(enum kind kind, int error)
{
    size_t used = strlen(now->text);
    if (calls_trace)
        trace(kind, error);
    now->errors[now->failed > 0] = now->errors[1] = error;
    now->failed++;
    now->flags |= kinds[kind].flags;
    now->transient = now->transient && (error == EINTR || error == HALF);
    if (now->failed <= 3)
        snprintf(now->text + used, sizeof now->text - used, "%scall %u, %s: %s", used ? "; " : "",
                 now->count, kinds[kind].name,
                 error == HALF ? "half done" : strerrorname_np(error));
    return error;
}

/* Numbers the call. 0: it is to be made, HALF, or the error that it is to fail with. */
static int fails(enum kind kind)
{
    if (!now || kind == KIND_NONE)
        return 0;
    uint32_t number = ++now->count;
    if (number <= CALLS_MOST)
        now->kinds[number - 1] = (uint8_t)kind;
    for (uint32_t i = 0; i < fault_count; i++) {
        const struct fault *fault = &faults[i];
        if (fault->error == 0 && number == fault->at)
            return fail_with(kind, kinds[kind].errors[fault->choice % call_errors(kind)]);
        /* what runs out is not needed for taking away */
        if (fault->error != 0 && number >= fault->at && !(kinds[kind].flags & CLEARS) &&
            call_can(kind, fault->error))
            return fail_with(kind, fault->error);
    }
    return 0;
}

/* ---- the calls ----------------------------------------------------------------------------------- */

#define SYMBOLS(X)                                                                                \
    X(__mq_open_2)                                                                                \
    X(__open64_2)                                                                                 \
    X(aligned_alloc)                                                                              \
    X(bind)                                                                                       \
    X(calloc)                                                                                     \
    X(chmod)                                                                                      \
    X(close) X(dup3) X(epoll_create1) X(epoll_ctl) X(epoll_wait) X(eventfd) X(fchmod) X(fchmodat) \
        X(fchown) X(fchownat) X(fcntl64) X(fdopendir) X(free) X(getsockopt) X(fstat64)            \
            X(fstatat64) X(fstatfs64) X(ftruncate64) X(getrandom) X(inotify_add_watch)            \
                X(inotify_init1) X(linkat) X(madvise) X(malloc) X(memfd_create) X(mkdirat)        \
                    X(mkfifoat) X(mmap64) X(mq_open) X(mq_receive) X(mq_send) X(mq_unlink)        \
                        X(munmap) X(nanosleep) X(open64) X(openat64) X(pipe2) X(poll) X(ppoll)    \
                            X(prctl) X(pread64) X(pwrite64) X(pwritev64v2) X(read) X(readdir64)   \
                                X(realloc) X(reallocarray) X(recv) X(recvmsg) X(renameat)         \
                                    X(renameat2) X(sched_getaffinity) X(send) X(sendto)           \
                                        X(setsockopt) X(shmat) X(shmctl) X(shmdt) X(shmget)       \
                                            X(signalfd) X(socket) X(splice) X(stat64) X(syscall)  \
                                                X(timerfd_create) X(unlinkat) X(write)

static const char *const symbols[] = {
#define TEXT(symbol) #symbol,
    SYMBOLS(TEXT)
#undef TEXT
};

bool calls_wrap(const char *symbol)
{
    for (size_t i = 0; i < sizeof symbols / sizeof symbols[0]; i++) {
        if (strcmp(symbols[i], symbol) == 0)
            return true;
    }
    return false;
}

#define WRAP(kind, type, name, parameters, arguments) \
    type __real_##name parameters;                    \
    type __wrap_##name parameters;                    \
    type __wrap_##name parameters                     \
    {                                                 \
        int error = fails(kind);                      \
        if (error == 0)                               \
            return __real_##name arguments;           \
        errno = error;                                \
        return (type)-1;                              \
    }

WRAP(KIND_CHMOD, int, chmod, (const char *path, mode_t mode), (path, mode))
WRAP(KIND_CHMOD, int, fchmod, (int fd, mode_t mode), (fd, mode))
WRAP(KIND_CHMOD, int, fchmodat, (int fd, const char *path, mode_t mode, int flags),
     (fd, path, mode, flags))
WRAP(KIND_CHOWN, int, fchown, (int fd, uid_t uid, gid_t gid), (fd, uid, gid))
WRAP(KIND_CHOWN, int, fchownat, (int fd, const char *path, uid_t uid, gid_t gid, int flags),
     (fd, path, uid, gid, flags))
WRAP(KIND_EPOLL, int, epoll_create1, (int flags), (flags))
WRAP(operation == EPOLL_CTL_DEL ? KIND_NONE : KIND_EPOLL_CTL, int, epoll_ctl,
     (int epoll, int operation, int fd, struct epoll_event *event), (epoll, operation, fd, event))
WRAP(KIND_EPOLL_WAIT, int, epoll_wait,
     (int epoll, struct epoll_event *events, int most, int timeout), (epoll, events, most, timeout))
WRAP(KIND_EVENTFD, int, eventfd, (unsigned value, int flags), (value, flags))
WRAP(KIND_STAT, int, fstat64, (int fd, struct stat *facts), (fd, facts))
WRAP(KIND_STAT, int, fstatat64, (int fd, const char *path, struct stat *facts, int flags),
     (fd, path, facts, flags))
WRAP(KIND_STAT, int, fstatfs64, (int fd, struct statfs *facts), (fd, facts))
WRAP(KIND_STAT, int, stat64, (const char *path, struct stat *facts), (path, facts))
WRAP(KIND_TRUNCATE, int, ftruncate64, (int fd, off_t size), (fd, size))
WRAP(KIND_RANDOM, ssize_t, getrandom, (void *buffer, size_t size, unsigned flags),
     (buffer, size, flags))
WRAP(KIND_ADD_WATCH, int, inotify_add_watch, (int fd, const char *path, uint32_t mask),
     (fd, path, mask))
WRAP(KIND_INOTIFY, int, inotify_init1, (int flags), (flags))
WRAP(KIND_LINK, int, linkat, (int from, const char *path, int to, const char *name, int flags),
     (from, path, to, name, flags))
WRAP(advice == MADV_WIPEONFORK ? KIND_WIPE : KIND_POPULATE, int, madvise,
     (void *base, size_t size, int advice), (base, size, advice))
WRAP(KIND_MEMFD, int, memfd_create, (const char *name, unsigned flags), (name, flags))
WRAP(KIND_MKDIR, int, mkdirat, (int fd, const char *path, mode_t mode), (fd, path, mode))
WRAP(KIND_MKFIFO, int, mkfifoat, (int fd, const char *path, mode_t mode), (fd, path, mode))
WRAP(KIND_NAP, int, nanosleep, (const struct timespec *time, struct timespec *left), (time, left))
WRAP(KIND_PIPE, int, pipe2, (int fds[2], int flags), (fds, flags))
WRAP(KIND_POLL, int, ppoll,
     (struct pollfd * fds, nfds_t count, const struct timespec *time, const sigset_t *mask),
     (fds, count, time, mask))
WRAP(KIND_READ, ssize_t, read, (int fd, void *buffer, size_t size), (fd, buffer, size))
WRAP(KIND_WRITE, ssize_t, write, (int fd, const void *data, size_t size), (fd, data, size))
WRAP(KIND_RENAME, int, renameat, (int from, const char *old, int to, const char *new),
     (from, old, to, new))
WRAP(KIND_PUBLISH, int, renameat2,
     (int from, const char *old, int to, const char *new, unsigned flags),
     (from, old, to, new, flags))
WRAP(KIND_CPUS, int, sched_getaffinity, (pid_t pid, size_t size, cpu_set_t *set), (pid, size, set))
WRAP(command == IPC_STAT   ? KIND_SHMSTAT
     : command == IPC_SET  ? KIND_SHMSET
     : command == IPC_RMID ? KIND_SHMRMID
                           : KIND_NONE,
     int, shmctl, (int id, int command, struct shmid_ds *facts), (id, command, facts))
WRAP(flags &IPC_CREAT ? KIND_SHMGET : KIND_SHMFIND, int, shmget,
     (key_t key, size_t size, int flags), (key, size, flags))
WRAP(KIND_BIND, int, bind, (int fd, const struct sockaddr *address, socklen_t size),
     (fd, address, size))
WRAP(KIND_RECVMSG, ssize_t, recvmsg, (int fd, struct msghdr *message, int flags),
     (fd, message, flags))
WRAP(KIND_SENDTO, ssize_t, sendto,
     (int fd, const void *data, size_t size, int flags, const struct sockaddr *address,
      socklen_t room),
     (fd, data, size, flags, address, room))
WRAP(KIND_OPTION, int, setsockopt,
     (int fd, int level, int option, const void *value, socklen_t size),
     (fd, level, option, value, size))
WRAP(KIND_OPTION, int, getsockopt, (int fd, int level, int option, void *value, socklen_t *size),
     (fd, level, option, value, size))
WRAP(KIND_SIGNALFD, int, signalfd, (int fd, const sigset_t *set, int flags), (fd, set, flags))
WRAP(KIND_SOCKET, int, socket, (int family, int type, int protocol), (family, type, protocol))
WRAP(KIND_UNQUEUE, int, mq_unlink, (const char *name), (name))
WRAP(KIND_SENDQUEUE, int, mq_send, (mqd_t queue, const char *data, size_t size, unsigned priority),
     (queue, data, size, priority))
WRAP(KIND_RECVQUEUE, ssize_t, mq_receive,
     (mqd_t queue, char *buffer, size_t size, unsigned *priority), (queue, buffer, size, priority))
WRAP(KIND_DUP3, int, dup3, (int from, int to, int flags), (from, to, flags))
WRAP(KIND_RECV, ssize_t, recv, (int fd, void *buffer, size_t size, int flags),
     (fd, buffer, size, flags))
WRAP(KIND_SEND, ssize_t, send, (int fd, const void *data, size_t size, int flags),
     (fd, data, size, flags))
WRAP(KIND_WRITE, ssize_t, pwritev64v2,
     (int fd, const struct iovec *pieces, int count, off_t offset, int flags),
     (fd, pieces, count, offset, flags))
WRAP(KIND_SPLICE, ssize_t, splice,
     (int from, off_t *at, int to, off_t *place, size_t size, unsigned flags),
     (from, at, to, place, size, flags))
WRAP(KIND_POLL, int, poll, (struct pollfd * fds, nfds_t count, int timeout), (fds, count, timeout))
WRAP(KIND_TIMER, int, timerfd_create, (int clock, int flags), (clock, flags))
WRAP(KIND_UNLINK, int, unlinkat, (int fd, const char *path, int flags), (fd, path, flags))

int __real_close(int fd);
int __wrap_close(int fd);
int __wrap_close(int fd) /* it is closed, whatever it says */
{
    int error = fails(KIND_CLOSE), result = __real_close(fd);
    if (error == 0)
        return result;
    errno = error;
    return -1;
}

static bool creates(int flags)
{
    return (flags & O_CREAT) != 0;
}

int __real_openat64(int dir, const char *path, int flags, ...);
int __wrap_openat64(int dir, const char *path, int flags, ...);
int __wrap_openat64(int dir, const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = creates(flags) ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    int error = fails(creates(flags) ? KIND_CREATE : KIND_OPEN);
    if (error == 0)
        return __real_openat64(dir, path, flags, mode);
    errno = error;
    return -1;
}

int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = creates(flags) ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    int error = fails(creates(flags) ? KIND_CREATE : KIND_OPEN);
    if (error == 0)
        return __real_open64(path, flags, mode);
    errno = error;
    return -1;
}

mqd_t __real_mq_open(const char *name, int flags, ...);
mqd_t __wrap_mq_open(const char *name, int flags, ...);
mqd_t __wrap_mq_open(const char *name, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = creates(flags) ? va_arg(arguments, mode_t) : 0;
    struct mq_attr *wanted = creates(flags) ? va_arg(arguments, struct mq_attr *) : NULL;
    va_end(arguments);
    int error = fails(KIND_QUEUE);
    if (error == 0)
        return __real_mq_open(name, flags, mode, wanted);
    errno = error;
    return -1;
}

mqd_t __wrap___mq_open_2(const char *name, int flags);
mqd_t __wrap___mq_open_2(const char *name, int flags)
{
    return __wrap_mq_open(name, flags);
}

/* as a fortified build calls it */
int __wrap___open64_2(const char *path, int flags);
int __wrap___open64_2(const char *path, int flags)
{
    return __wrap_open64(path, flags);
}

static enum kind fcntl_kind(int command, const void *argument)
{
    const struct flock *lock = argument;
    switch (command) {
    case F_OFD_SETLK: /* giving one up needs no memory: none of them is ever split */
        return lock->l_type == F_UNLCK ? KIND_NONE : KIND_SETLK;
    case F_OFD_GETLK:
    case F_GETLK:
        return KIND_GETLK;
    case F_ADD_SEALS:
        return KIND_SEAL;
    case F_DUPFD_CLOEXEC:
        return KIND_DUP;
    case F_SETPIPE_SZ:
        return KIND_PIPESIZE;
    default:
        return KIND_NONE;
    }
}

int __real_fcntl64(int fd, int command, ...);
int __wrap_fcntl64(int fd, int command, ...);
int __wrap_fcntl64(int fd, int command, ...)
{
    va_list arguments;
    va_start(arguments, command);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    int error = fails(fcntl_kind(command, argument));
    if (error == 0)
        return __real_fcntl64(fd, command, argument);
    errno = error;
    return -1;
}

static enum kind syscall_kind(long number, long operation)
{
    switch (number) {
    case SYS_membarrier:
        return KIND_MEMBARRIER;
    case SYS_pidfd_open:
        return KIND_PIDFD;
    case SYS_pidfd_send_signal:
        return KIND_KILL;
    default:
        return number == SYS_futex && operation == FUTEX_WAIT ? KIND_SLEEP : KIND_NONE;
    }
}

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...)
{
    long words[6];
    va_list arguments;
    va_start(arguments, number);
    for (int i = 0; i < 6; i++)
        words[i] = va_arg(arguments, long);
    va_end(arguments);
    int error = fails(syscall_kind(number, words[1] & 0xffffffff));
    if (error == 0)
        return __real_syscall(number, words[0], words[1], words[2], words[3], words[4], words[5]);
    errno = error;
    return -1;
}

int __real_prctl(int option, ...);
int __wrap_prctl(int option, ...);
int __wrap_prctl(int option, ...)
{
    va_list arguments;
    va_start(arguments, option);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    int error = fails(KIND_NAME);
    if (error == 0)
        return __real_prctl(option, argument);
    errno = error;
    return -1;
}

ssize_t __real_pread64(int fd, void *buffer, size_t size, off_t offset);
ssize_t __wrap_pread64(int fd, void *buffer, size_t size, off_t offset);
ssize_t __wrap_pread64(int fd, void *buffer, size_t size, off_t offset)
{
    int error = fails(KIND_PREAD);
    if (error == 0 || error == HALF)
        return __real_pread64(fd, buffer, error == HALF && size > 7 ? 7 : size, offset);
    errno = error;
    return -1;
}

ssize_t __real_pwrite64(int fd, const void *data, size_t size, off_t offset);
ssize_t __wrap_pwrite64(int fd, const void *data, size_t size, off_t offset);
ssize_t __wrap_pwrite64(int fd, const void *data, size_t size, off_t offset)
{
    int error = fails(KIND_PWRITE);
    if (error == 0 || error == HALF)
        return __real_pwrite64(fd, data, error == HALF && size > 1 ? size / 2 : size, offset);
    errno = error;
    return -1;
}

DIR *__real_fdopendir(int fd);
DIR *__wrap_fdopendir(int fd);
DIR *__wrap_fdopendir(int fd)
{
    int error = fails(KIND_OPENDIR);
    if (error == 0)
        return __real_fdopendir(fd);
    errno = error;
    return NULL;
}

struct dirent *__real_readdir64(DIR *stream);
struct dirent *__wrap_readdir64(DIR *stream);
struct dirent *__wrap_readdir64(DIR *stream)
{
    int error = fails(KIND_READDIR);
    if (error == 0)
        return __real_readdir64(stream);
    errno = error;
    return NULL;
}

/* ---- mappings ------------------------------------------------------------------------------------- */

static void *mapped(void *base)
{
    if (base != MAP_FAILED)
        hold(&mappings, base);
    return base;
}

void *__real_mmap64(void *base, size_t size, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap64(void *base, size_t size, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap64(void *base, size_t size, int protection, int flags, int fd, off_t offset)
{
    int error = fails(KIND_MMAP);
    if (error == 0)
        return mapped(__real_mmap64(base, size, protection, flags, fd, offset));
    errno = error;
    return MAP_FAILED;
}

int __real_munmap(void *base, size_t size);
int __wrap_munmap(void *base, size_t size);
int __wrap_munmap(void *base, size_t size)
{
    let_go(&mappings, base);
    return __real_munmap(base, size);
}

void *__real_shmat(int id, const void *base, int flags);
void *__wrap_shmat(int id, const void *base, int flags);
void *__wrap_shmat(int id, const void *base, int flags)
{
    int error = fails(KIND_SHMAT);
    if (error == 0)
        return mapped(__real_shmat(id, base, flags));
    errno = error;
    return MAP_FAILED;
}

int __real_shmdt(const void *base);
int __wrap_shmdt(const void *base);
int __wrap_shmdt(const void *base)
{
    let_go(&mappings, base);
    return __real_shmdt(base);
}

/* ---- the allocator --------------------------------------------------------------------------------- */

#define WRAP_ALLOCATION(name, parameters, arguments) \
    void *__real_##name parameters;                  \
    void *__wrap_##name parameters;                  \
    void *__wrap_##name parameters                   \
    {                                                \
        if (fails(KIND_ALLOCATE) != 0) {             \
            errno = ENOMEM;                          \
            return NULL;                             \
        }                                            \
        void *block = __real_##name arguments;       \
        hold(&blocks, block);                        \
        return block;                                \
    }

WRAP_ALLOCATION(malloc, (size_t size), (size))
WRAP_ALLOCATION(calloc, (size_t count, size_t size), (count, size))
WRAP_ALLOCATION(aligned_alloc, (size_t alignment, size_t size), (alignment, size))

#define WRAP_REALLOCATION(name, parameters, arguments) \
    void *__real_##name parameters;                    \
    void *__wrap_##name parameters;                    \
    void *__wrap_##name parameters                     \
    {                                                  \
        if (fails(KIND_ALLOCATE) != 0) {               \
            errno = ENOMEM;                            \
            return NULL;                               \
        }                                              \
        uintptr_t old = (uintptr_t)block;              \
        void *larger = __real_##name arguments;        \
        if (larger) {                                  \
            let_go(&blocks, (void *)old);              \
            hold(&blocks, larger);                     \
        }                                              \
        return larger;                                 \
    }

WRAP_REALLOCATION(realloc, (void *block, size_t size), (block, size))
WRAP_REALLOCATION(reallocarray, (void *block, size_t count, size_t size), (block, count, size))

void __real_free(void *block);
void __wrap_free(void *block);
void __wrap_free(void *block)
{
    let_go(&blocks, block);
    __real_free(block);
}
