/*
 * sys.h - one thin wrapper for each system call that yoke makes; nobody else calls the kernel.
 *
 * Results are >= 0 or a negative errno. Descriptors are close-on-exec, and none of them is one of the
 * three standard ones, even where those are closed. Interrupted calls are begun again, except waiting
 * on a futex, whose interruption is an answer.
 */
#ifndef YK_BASE_SYS_H
#define YK_BASE_SYS_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "base/atomic.h"

/*
 * files; paths are relative to `dir` (AT_FDCWD for absolute ones), symbolic links are never
 * followed
 */
int yk_sys_open(int dir, const char *path, int flags, mode_t mode); /* -EBUSY: leased */
int yk_sys_close(int fd);
int yk_sys_reopen(int fd, int flags); /* a new open description of the same file, by way of /proc */
ssize_t yk_sys_read_all(int fd, void *buffer, size_t capacity, off_t offset);
/* -EFBIG, and no signal, when it would be beyond RLIMIT_FSIZE. */
int yk_sys_write_all(int fd, const void *data, size_t size, off_t offset);
/*
 * Once, of whatever the descriptor is: how many bytes, 0 at the end, -EAGAIN. Writing raises neither
 * SIGPIPE nor SIGXFSZ: -EPIPE, -EFBIG. The socket forms do not wait, whatever its flags say.
 */
ssize_t yk_sys_read(int fd, void *buffer, size_t size);
ssize_t yk_sys_write(int fd, const void *data, size_t size);
/* The same for pipes: one system call on Linux 6.18 and later, instead of four. */
ssize_t yk_sys_write_pipe(int fd, const void *data, size_t size);
ssize_t yk_sys_receive(int socket, void *buffer, size_t size);
ssize_t yk_sys_send(int socket, const void *data, size_t size);
/* 1: it keeps apart what was sent (datagrams, packets); 0: it is one stream of bytes. */
int yk_sys_socket_has_messages(int socket);
int yk_sys_stat(int fd, struct stat *ret);
int yk_sys_stat_at(int dir, const char *path, struct stat *ret);
int yk_sys_stat_path(const char *path, struct stat *ret); /* follows links: for /proc */
int yk_sys_mkdir(const char *path, mode_t mode);
int yk_sys_mkdir_at(int dir, const char *path, mode_t mode);
int yk_sys_chmod(int fd, mode_t mode);
int yk_sys_chown(int fd, uid_t uid, gid_t gid);
int yk_sys_unlink(int dir, const char *path);
int yk_sys_link(int fd, int dir, const char *to); /* another name for the very file of `fd` */
int yk_sys_rename(int from_dir, const char *from, int to_dir, const char *to); /* replaces `to` */
/* -EEXIST when `to` is there */
int yk_sys_rename_exclusive(int from_dir, const char *from, int to_dir, const char *to);

/* locks on one byte of a file, owned by the open description, dropped by the kernel at death */
int yk_sys_lock_byte(int fd, off_t byte);               /* 0, or -EAGAIN: somebody else has it */
int yk_sys_lock_bytes(int fd, off_t byte, off_t count); /* all of them, or -EAGAIN */
int yk_sys_share_byte(int fd, off_t byte); /* with others who share it; in place of an own lock */
int yk_sys_unlock_byte(int fd, off_t byte);
int yk_sys_byte_is_locked(int fd, off_t byte, off_t count); /* by another description: 1 or 0 */
int yk_sys_byte_is_held_alone(int fd, off_t byte); /* the same, but by one who does not share it */
int yk_sys_byte_is_locked_by(int fd, off_t byte);  /* by the very description of fd: 1 or 0 */

/* System V segments */
int yk_sys_shm_get(key_t key, size_t size, int flags);
int yk_sys_shm_attach(int id, bool read_only, void **ret_base);
int yk_sys_shm_detach(const void *base);
int yk_sys_shm_stat(int id, struct shmid_ds *ret);
int yk_sys_shm_set(int id, struct shmid_ds *facts);
int yk_sys_shm_remove(int id);

/* private memory, zeroed; NULL: there is none. errno stays as it is */
void *yk_sys_allocate(size_t count, size_t size);
void *yk_sys_allocate_aligned(size_t alignment, size_t size);
void *yk_sys_reallocate(void *array, size_t count, size_t size); /* what is added is not zeroed */

/* memory */
int yk_sys_populate(void *base, size_t size); /* -ENOMEM …; -ENOTSUP before Linux 5.14 */
/* False when reading there would raise SIGBUS. Before Linux 5.14 that can not be asked: true. */
bool yk_sys_can_read(void *base, size_t size);
int yk_sys_map_wiped_on_fork(size_t size, void **ret_base);

/*
 * membarrier(2) over all processes that registered: a full fence in each of their running threads.
 * Negative where the kernel or a sandbox does not have it.
 */
int yk_sys_membarrier_register(void);
int yk_sys_membarrier(void);

/* memory files: sealed against shrinking and growing, mode 0600 */
int yk_sys_memfd(const char *name, uint64_t size);
/*
 * Its size, or -EPERM when it could still shrink (SIGBUS), -ENOTSUP when it is of huge pages (which may
 * be missing: SIGBUS), or -EINVAL when it is no memory file.
 */
int64_t yk_sys_memfd_size(int fd);
int yk_sys_map_shared(int fd, size_t size, void **ret_base);
int yk_sys_unmap(void *base, size_t size);
int yk_sys_duplicate(int fd);
int yk_sys_file_flags(int fd);      /* O_APPEND … */
int yk_sys_replace(int fd, int by); /* `fd` is then another descriptor of what `by` is */

/*
 * futexes in shared memory. Waiting: 0 woken (or for no reason), -EAGAIN value differs, -ETIMEDOUT,
 * -EINTR
 */
int yk_sys_futex_wait(const yk_atomic32 *word, uint32_t expected, int64_t timeout_ns);
int yk_sys_futex_wake(const yk_atomic32 *word, int count); /* how many were woken */

/* A descriptor that becomes readable when the file is opened, or goes. */
int yk_sys_watch_opens(const char *path);
/* Takes away what made it readable. */
void yk_sys_clear(int fd);
/* Waits until one of two is readable (1), for that long (0); -EINTR. Negative ones are passed over. */
int yk_sys_poll(int fd, int other, int64_t timeout_ns);
/* Waits until it can be read, or written, or has failed (1), for that long (0); -EINTR. */
int yk_sys_poll_for(int fd, bool writing, int64_t timeout_ns);

/* doorbells: a FIFO or an eventfd is rung by a number (not 0) in it, and readable until cleared */
/* group -1: the one that it has by itself */
int yk_sys_make_fifo(int dir, const char *path, mode_t mode, uint32_t group);
int yk_sys_ring(int fd, uint64_t mark);
int yk_sys_eventfd(void);
/* Whoever watches the file is told that it changed, though it has that size already. */
int yk_sys_touch(int fd, uint64_t size);

/* many descriptors behind one */
#define YK_SYS_READABLE 1u /* POLLIN, EPOLLIN */
int yk_sys_epoll(void);
int yk_sys_epoll_add(int epoll, int fd, uint32_t events, uint64_t data);
int yk_sys_epoll_change(int epoll, int fd, uint32_t events, uint64_t data);
int yk_sys_epoll_remove(int epoll, int fd);
struct epoll_event;
/* How many of them are ready, 0 when the time is over, -EINTR. */
int yk_sys_epoll_wait(int epoll, struct epoll_event *events, int count, int64_t timeout_ns);

/* a descriptor that is readable when its time has come: 0 stops it */
int yk_sys_timer(void);
int yk_sys_timer_set(int fd, int64_t first_ns, int64_t every_ns);

/* one instance over many files; events are struct inotify_event, had by yk_sys_read() */
int yk_sys_inotify(void);
int yk_sys_inotify_names(int fd, const char *directory);
/* Closed after writing, written, or gone. Follows links: for /proc. */
int yk_sys_inotify_file(int fd, const char *path);
int yk_sys_inotify_remove(int fd, int wd);

/*
 * UNIX signals; a set of them is a word with bit `number - 1` for each. A process is signalled by a
 * descriptor that stands for it and never for another one.
 */
int yk_sys_pidfd_open(int32_t pid);
/* Its pid as /proc has it: 0 when it is dead, or not to be seen from here. */
int32_t yk_sys_pidfd_pid(int pidfd);
/* As kill() does; with a value, queued, as sigqueue() does. */
int yk_sys_pidfd_signal(int pidfd, int number, const uint64_t *value);
uint64_t yk_sys_signal_bit(int number);    /* 0: there is no such signal, or it can not be caught */
int yk_sys_first_queued_signal(void);      /* SIGRTMIN */
int yk_sys_last_signal(void);              /* SIGRTMAX */
int yk_sys_block_signals(uint64_t set);    /* in the calling thread */
int yk_sys_signalfd(int fd, uint64_t set); /* -1: a new one */
struct yk_unix_signal {
    int number;
    bool proven; /* the kernel, not the sender, says who sent it */
    int32_t pid;
    uint32_t uid;
    uint64_t value;
};
/* 1, or 0 when there is none. */
int yk_sys_read_signal(int fd, struct yk_unix_signal *ret);

/* datagrams to a socket with a name; sending and receiving do not wait: -EAGAIN */
struct yk_sender {
    int32_t pid; /* 0: can not be seen from here */
    uint32_t uid;
};
/* One that learns who sent. `mode`: who may send; it has only these bits from its first moment on. */
int yk_sys_datagram_bind(int dir, const char *path, mode_t mode, int64_t group);
int yk_sys_datagram_socket(void);
int yk_sys_datagram_send(int fd, int dir, const char *path, const void *data, size_t size);
/* Its size, which may be more than there was room for. */
ssize_t yk_sys_datagram_recv(int fd, void *buffer, size_t capacity, struct yk_sender *ret);

/* The same for more of them, in pollfd's words: how many are ready. For ever when negative. */
int yk_sys_poll_all(struct pollfd *fds, size_t count, int64_t timeout_ns);

/*
 * POSIX message queues: descriptors like others, never waiting: -EAGAIN. They need not be mounted.
 * The permission bits are set whatever the umask is. -EMFILE is both: too many descriptors, or
 * beyond RLIMIT_MSGQUEUE.
 */
struct yk_sys_queue {
    uint64_t depth, message_size, waiting;
};
int yk_sys_queue_make(const char *name, mode_t mode, uint64_t depth, uint64_t message_size);
int yk_sys_queue_open(const char *name, int flags);
int yk_sys_queue_unlink(const char *name);
int yk_sys_queue_look(int fd, struct yk_sys_queue *ret);
int yk_sys_queue_send(int fd, const void *message, size_t size, uint32_t priority);
ssize_t yk_sys_queue_receive(int fd, void *buffer, size_t capacity, uint32_t *ret_priority);
uint64_t yk_sys_queue_limit(void); /* RLIMIT_MSGQUEUE */

/* pipes and FIFOs */
int yk_sys_pipe(int ret[2]); /* neither end waits */
int yk_sys_pipe_capacity(int fd);
int yk_sys_set_pipe_capacity(int fd, size_t capacity); /* what it is then, which may be more */
int yk_sys_pipe_waiting(int fd);                       /* bytes in it */
/* Is the other end of a pipe gone, having been there? 1 or 0. */
int yk_sys_hung_up(int fd);
/* Between two descriptors, one of them a pipe. As yk_sys_write(). -EINVAL: not these two. */
ssize_t yk_sys_splice(int from, int to, size_t size);

/* other */
int yk_sys_random(void *buffer, size_t size);
int32_t yk_sys_thread_id(void);
int32_t yk_sys_process_id(void);
uint32_t yk_sys_effective_uid(void);
int yk_sys_cpus(void); /* how many this thread may run on; at least 1 */
int yk_sys_process_name(char name[16]);
/* Stops at the first result of each() that is not 0, and returns it; or why not all could be listed. */
int yk_sys_entries(int dir, const char *path, int (*each)(const char *name, void *context),
                   void *context);

/* CLOCK_MONOTONIC, its cheap coarse form (some milliseconds old at most), and CLOCK_REALTIME */
int64_t yk_now(void);
int64_t yk_now_coarse(void);
int64_t yk_now_wall(void);
void yk_nap(int64_t ns);

/* When a wait that begins now must end; INT64_MAX for a negative time-out. */
int64_t yk_deadline(int64_t timeout_ns);

#endif
