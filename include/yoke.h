/*
 * yoke.h - shared memory and message passing between processes on Linux.
 *
 * The whole public interface. Plain C (C99 and later, C++11 and later); link with -lyoke.
 *
 * Results. Functions return 0 or a count on success and a negative errno on failure; `errno` itself
 * is not touched, and neither is anything that an output parameter points to. What went wrong, with
 * the object, the limit and the value, stands in one sentence in yoke_explain(). Every error has
 * one meaning everywhere:
 *
 *   -EAGAIN           full or empty now (the call was not to wait)
 *   -ETIMEDOUT        the time given is over
 *   -EINTR            a signal handler ran in this thread while the call slept
 *   -ECANCELED        yoke_cancel() or yoke_close() ended the wait
 *   -EOWNERDEAD       the other side died
 *   -EPIPE            the other side closed
 *   -EPROTO           the shared memory holds what no yoke wrote
 *   -EPROTONOSUPPORT  the object has another layout version
 *   -EMSGSIZE         a message too big for the port, or for the buffer given
 *   -ENOSPC           no place left: participants, segments, memory
 *   -EADDRINUSE       a living peer has the name
 *   -ECOMM            in doubt: no server answered whether the message was taken; the same, sent
 *                     again from the same endpoint, is taken once
 *   -EHOSTUNREACH     no server of the place answers
 *   -EBADF            not an open descriptor
 *   -EBUSY            somebody is creating, removing or recovering this very name; or: this
 *                     endpoint has borrowed as many messages as it may
 *   -EDEADLK          the calling thread holds this lock already
 *   -EPERM            the caller does not hold this
 *   -EEXIST -ENOENT -EACCES -EINVAL -ENOMEM -EMFILE -ENFILE   as usual
 *   -ENOTSUP          this place, kind or machine can not do that
 *   -EREMOTEIO        a server of the place refused it
 *
 * Names. Objects and peers that have a name meet in the name directory: $YOKE_DIR if that is set,
 * else /run/yoke for root and /dev/shm/yoke-UID for others. Who is to meet there must use the same
 * one, and the same IPC namespace.
 *
 * Time. Every waiting call takes a time-out in nanoseconds: 0 (YOKE_NOW) does not wait, -1
 * (YOKE_FOREVER) waits for ever. A signal handler that runs while the call sleeps ends it with
 * -EINTR, even when it was installed with SA_RESTART. The one correct loop:
 *
 *   do
 *       size = yoke_recv(endpoint, buffer, sizeof buffer, YOKE_FOREVER);
 *   while (size == -EINTR && !my_program_should_stop);
 *
 * Threads. A port's endpoint and a region's handle may be used by several threads at once. A handle
 * is closed once, by one thread, while no other thread is inside a call on it, except one that
 * waits there (it gets -ECANCELED), and none begins another. A call that was not to wait is not
 * waiting. Where threads may be inside or between calls, yoke_cancel() first, join them, then
 * close. No call is a cancellation point: a thread that pthread_cancel() is to end comes back from
 * its call first, and yoke_cancel() ends the wait there. (Not so in the place nats://: no thread may be
 * cancelled in a call there.) In a signal handler no function of yoke's may be called, not even
 * yoke_cancel(): it could be waiting for what it interrupted.
 *
 * Descriptors. What a handle has open is closed by closing the handle, and not otherwise: who closes
 * all descriptors that there are (closefrom(3), some ways to become a daemon) and goes on with its
 * handles is dead for all others, and they take its place beside it.
 *
 * Fork. A child may go on using every handle that its parent had open: at its first call it joins
 * as a participant of its own. What the parent had borrowed, loaned or locked stays the parent's.
 * The handles may also be left alone in the child, or closed there. All this is for fork(): a child
 * made otherwise (vfork, posix_spawn, clone, _Fork) is to exec or exit without a call of yoke's.
 * The child must still be allowed to open the object's lock file: one of a process that gave up its
 * user id after it opened the object may not be, and is told so (-EACCES).
 *
 * Death. What a dead process held is given back by whoever notices first: anyone who opens the
 * object, finds it empty or full (asked for every 50 ms at most), or waits on it (within 100 ms).
 * Two limits:
 *
 * - A process is dead for yoke when the kernel has closed its files. A child made otherwise than by
 *   fork() has the same open files until it execs or exits. If its parent dies before, that one
 *   counts as alive until then, and keeps its place, its name, its locks and its messages.
 * - One process recovers a dead one. If it is stopped just then, the dead one's messages, its place
 *   and its peer's name stay withheld until it goes on or is killed: receivers find nothing
 *   (-EAGAIN, -ETIMEDOUT), openers may get -ENOSPC or -EADDRINUSE. All else goes on; locks and
 *   semaphore units are taken over without it.
 */
#ifndef YOKE_H
#define YOKE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define YOKE_VERSION_MAJOR 0
#define YOKE_VERSION_MINOR 1
#define YOKE_VERSION_PATCH 0

#define YOKE_API __attribute__((visibility("default")))

#define YOKE_NOW     ((int64_t)0)
#define YOKE_FOREVER ((int64_t)-1)

/* A name: 1 to 128 printable ASCII characters, none of them '/', '@' or space, no '.' in front. */
#define YOKE_NAME_MAX 128
/* A peer's name may be shorter: the link between two has both in its own. */
#define YOKE_PEER_NAME_MAX 112
/* The biggest message that a port may be made for: 64 MiB. What is bigger belongs into a region. */
#define YOKE_MESSAGE_MAX ((size_t)64 << 20)
/* Most priorities that a port may have: 0 (lowest) to 31. */
#define YOKE_PRIORITIES_MAX 32
/* Most participants (open read-write handles, over all processes) that one object may have. */
#define YOKE_PARTICIPANTS_MAX 1023

/*
 * ---- flags of the open and create calls -------------------------------------------------------
 */

#define YOKE_CREATE    0x01u /* make the object if there is none */
#define YOKE_EXCLUSIVE 0x02u /* with YOKE_CREATE: -EEXIST if there is one already */
/*
 * What is created lives until it is removed, not just until its last user. -ENOTSUP where the
 * kernel removes every segment with its last user (kernel.shm_rmid_forced = 1).
 */
#define YOKE_KEPT      0x04u
#define YOKE_READ_ONLY 0x08u /* regions: attach for reading only; takes no participant's place */
#define YOKE_PARKED    0x10u /* ports: receive the parked messages instead of the others */
#define YOKE_HUGE      0x20u /* with YOKE_CREATE: in huge pages; -ENOMEM or -EPERM without */
#define YOKE_POPULATE  0x40u /* with YOKE_CREATE: make all pages present now, or -ENOMEM */
/*
 * With YOKE_CREATE: reserve nothing; pages come when touched, or fail then. -EINVAL together with
 * YOKE_HUGE or YOKE_POPULATE.
 */
#define YOKE_SPARSE 0x80u
#define YOKE_READ   0x100u /* streams: open the reading end */
#define YOKE_WRITE  0x200u /* streams: open the writing end */

/*
 * ---- errors -----------------------------------------------------------------------------------
 */

/*
 * The sentence that belongs to the calling thread's last yoke call, if that failed; never NULL. It
 * stays valid until the thread's next call of yoke. -EAGAIN, -ETIMEDOUT and -EINTR do not write
 * one: those are answers, not faults (but for the -EAGAIN of sending signals).
 */
YOKE_API const char *yoke_explain(void);

/*
 * What an error of yoke's means in general ("full or empty now"); takes -EAGAIN or EAGAIN. Never
 * NULL.
 */
YOKE_API const char *yoke_strerror(int error);

/* The library's version, "0.1.0". */
YOKE_API const char *yoke_version(void);

/*
 * ---- regions: shared memory -------------------------------------------------------------------
 */

typedef struct yoke_region yoke_region;

struct yoke_region_options {
    size_t struct_size; /* sizeof of this struct: set by the initialiser */
    uint32_t flags;     /* YOKE_EXCLUSIVE, YOKE_KEPT, YOKE_HUGE, YOKE_POPULATE, YOKE_SPARSE */
    uint32_t mode;      /* permission bits as of a file; 0 means 0600. Execute bits are refused */
    int64_t group;      /* group id that owns it; -1: the caller's; see docs/access.md */
    uint32_t participants; /* how many read-write handles at once; 0: 128 */
    uint32_t reserved;     /* 0 */
};
#define YOKE_REGION_OPTIONS_INIT                           \
    {                                                      \
        sizeof(struct yoke_region_options), 0, 0, -1, 0, 0 \
    }

/*
 * Creates region NAME (a bare name, no "region:") of at least `size` bytes and attaches it
 * read-write. The memory reads as zero. Without YOKE_EXCLUSIVE an existing region is attached if
 * its size is the same, else -EEXIST. Transient unless YOKE_KEPT: it goes with its last user,
 * however that ends.
 *
 * The caller owns *ret_region until yoke_region_close(). Blocks for as long as the kernel takes to
 * provide the memory, and up to 250 ms when another process is creating the same name.
 *
 * -EINVAL (name, size 0 or absurd, unknown flags), -EEXIST, -EACCES (directory, other user's
 * object), -ENOSPC (shmmni, shmall, participants), -ENOMEM, -EBUSY, -EPERM (huge pages), -EMFILE,
 * -ENFILE, -EPROTO, -EPROTONOSUPPORT.
 */
YOKE_API int yoke_region_create(yoke_region **ret_region, const char *name, size_t size,
                                const struct yoke_region_options *options);

/*
 * Attaches the existing region NAME. `flags`: 0, or YOKE_READ_ONLY (the memory is then mapped
 * unwritable; needs only read permission; no locks, semaphores or events through this handle). A
 * process may attach a region several times; each handle has an address of its own.
 *
 * -ENOENT, -EACCES, -EINVAL, -ENOSPC (all participants' places taken), -ENOTSUP (the name belongs
 * to another IPC namespace), -EMFILE, -ENFILE, -ENOMEM, -EPROTO, -EPROTONOSUPPORT.
 */
YOKE_API int yoke_region_open(yoke_region **ret_region, const char *name, uint32_t flags);

/* Where this handle sees the memory: page-aligned, valid until the handle is closed. Never NULL. */
YOKE_API void *yoke_region_data(yoke_region *region);

/* The size that it was created with, in bytes. */
YOKE_API size_t yoke_region_size(yoke_region *region);

/*
 * Detaches and frees the handle; NULL is fine. Locks that were taken through it count as left
 * behind by a dead owner, semaphore units go back. Pointers into this attachment are invalid
 * afterwards. Always succeeds: 0.
 */
YOKE_API int yoke_region_close(yoke_region *region);

/*
 * Removes region NAME: the name is free at once, the memory goes with the last process that has it
 * attached. Never under anyone's feet. -ENOENT, -EACCES, -EINVAL, -EBUSY.
 */
YOKE_API int yoke_region_remove(const char *name);

/*
 * ---- in a region: lock, semaphore, event -------------------------------------------------------
 */

/*
 * These live in a region's memory wherever the program puts them, 8-byte aligned, and work between
 * all processes that have the region attached read-write, at whatever address. They are named by
 * the caller's handle and the caller's own pointer. All-zero memory is a free lock and an event
 * that was never notified: new regions need no initialisation of these two. From all of these
 * calls: -EINVAL for a pointer outside the region, or a misaligned one; -EACCES through a handle
 * that was opened YOKE_READ_ONLY.
 */
typedef struct yoke_lock {
    uint64_t opaque[4];
} yoke_lock;

typedef struct yoke_event {
    uint64_t opaque[4];
} yoke_event;

typedef struct yoke_semaphore yoke_semaphore;

/* What taking a lock returns when it was free, and when its last owner died holding it. */
#define YOKE_LOCKED     0
#define YOKE_OWNER_DIED 1

/*
 * Takes the lock for the calling thread. YOKE_LOCKED (0), or YOKE_OWNER_DIED (1): the lock is the
 * caller's, but its last owner died (or closed its handle) while holding it, so what it protects
 * may be half-changed; mend that, then go on. If this owner dies before it releases, the next one
 * is told again. Waits up to `timeout_ns`. -EAGAIN (held, time-out 0), -ETIMEDOUT, -EINTR,
 * -ECANCELED, -EDEADLK (this thread has it already, through this handle), -EINVAL, -EACCES (the
 * handle is read-only), -EPROTO.
 */
YOKE_API int yoke_lock_acquire(yoke_region *region, yoke_lock *lock, int64_t timeout_ns);

/*
 * Releases it. Only the thread that took it may, through the same handle: else -EPERM. A thread that
 * ends without having released it leaves it taken until its process ends, or closes the handle.
 */
YOKE_API int yoke_lock_release(yoke_region *region, yoke_lock *lock);

/* How many bytes of region memory a semaphore of `units` takes (a multiple of 8). */
#define YOKE_SEMAPHORE_UNITS_MAX   65536u
#define YOKE_SEMAPHORE_SIZE(units) (32u + 8u * (size_t)(units))

/*
 * Makes a semaphore of `units` (1 to YOKE_SEMAPHORE_UNITS_MAX) free units at `semaphore`, which
 * points to YOKE_SEMAPHORE_SIZE(units) bytes of the region. One process does this before the others
 * use it.
 */
YOKE_API int yoke_semaphore_init(yoke_region *region, yoke_semaphore *semaphore, uint32_t units);

/*
 * Takes one unit for this handle (any of its threads may give it back). Units that a process held
 * when it died, or closed its handle, come back by themselves. For counting notifications use an
 * event, for handing things over a port. -EAGAIN, -ETIMEDOUT, -EINTR, -ECANCELED, -EINVAL, -EPROTO.
 */
YOKE_API int yoke_semaphore_acquire(yoke_region *region, yoke_semaphore *semaphore,
                                    int64_t timeout_ns);

/* Gives one unit back. -EPERM: this handle holds none. */
YOKE_API int yoke_semaphore_release(yoke_region *region, yoke_semaphore *semaphore);

/*
 * How many units are free now (a dead holder's count as free once somebody noticed), or an error.
 */
YOKE_API int yoke_semaphore_value(yoke_region *region, yoke_semaphore *semaphore);

/*
 * Counts one notification and wakes all who wait. One atomic addition; no system call if nobody
 * waits.
 */
YOKE_API int yoke_event_notify(yoke_region *region, yoke_event *event);

/*
 * Waits until the event's count is another one than *seen (it was notified since, or the memory was
 * made anew), then stores the new count there and returns 0. *seen is the caller's own (in private
 * memory): start with yoke_event_count() to wait for what comes next, with 0 for anything since the
 * region was made. No notification is missed between two waits. -EAGAIN, -ETIMEDOUT, -EINTR,
 * -ECANCELED, -EINVAL.
 */
YOKE_API int yoke_event_wait(yoke_region *region, yoke_event *event, uint64_t *seen,
                             int64_t timeout_ns);

/* How often it was notified so far (0 for a bad pointer, or through a read-only handle). */
YOKE_API uint64_t yoke_event_count(yoke_region *region, const yoke_event *event);

/*
 * Ends every wait (now and later) through this handle with -ECANCELED. May be called from any
 * thread.
 */
YOKE_API int yoke_region_cancel(yoke_region *region);

/*
 * ---- endpoints: message passing -----------------------------------------------------------------
 */

typedef struct yoke_endpoint yoke_endpoint;

/* What becomes of a message whose receiver died, or gave it back, before it was released. */
#define YOKE_POLICY_DEFAULT   0u /* the strongest that the place has: redeliver, in memory */
#define YOKE_POLICY_REDELIVER 1u /* delivered again, marked with its number of deliveries */
#define YOKE_POLICY_ONCE      2u /* dropped, and counted */

struct yoke_options {
    size_t struct_size; /* sizeof of this struct: set by the initialiser */

    /* for creating; what exists already keeps what it was created with; 0 means the default */
    size_t max_message;      /* bytes; default 4096; at most YOKE_MESSAGE_MAX */
    uint32_t depth;          /* messages waiting in each priority; default 256; at most 2^20 */
    uint32_t priorities;     /* default 1; at most YOKE_PRIORITIES_MAX */
    uint32_t participants;   /* endpoints open at once, over all processes; default 128 */
    uint32_t policy;         /* YOKE_POLICY_... */
    uint32_t max_deliveries; /* then a message is parked; default 16; UINT32_MAX: never */
    uint32_t max_parked;     /* in each priority, later ones are dropped; default depth / 4 */
    uint32_t max_borrowed;   /* by one endpoint at once; default 64, see below; at most 65536 */
    uint32_t mode;           /* permission bits; default 0600 */
    int64_t group;           /* group id; -1: the caller's */

    /* for this endpoint */
    int64_t spin_ns; /* how long a waiting call spins before it sleeps; -1: the default */
    const char *as;  /* links: the name of the peer that this process is; else NULL */

    /* for creating a stream: bytes that it holds; 0: the default. See yoke_stream_capacity() */
    size_t capacity;
};
#define YOKE_OPTIONS_INIT                                                       \
    {                                                                           \
        sizeof(struct yoke_options), 0, 0, 0, 0, 0, 0, 0, 0, 0, -1, -1, NULL, 0 \
    }

/*
 * How many messages wait in a port at most: depth, counted from the oldest that waits to the newest. A place
 * between them that was passed over, since somebody still holds the message there or it is parked, counts
 * as well: a port may then be full with fewer.
 *
 * How big a port is. Each participant has a pool of
 *     (depth + max_parked) x priorities + participants x (max_borrowed + 1) + 32
 * blocks of max_message bytes, and a little more, so that senders find a block, and room, while all
 * others keep as much as they may. Pages that were never written take no memory: what a port really
 * takes follows from what is in it at once. Memory is reserved when the port is made if all of it
 * is at most 64 MiB, or with YOKE_POPULATE or YOKE_HUGE. Otherwise, or with YOKE_SPARSE, it comes
 * when it is first written, and where the system has none left the out-of-memory killer comes
 * instead. (Where vm.overcommit_memory is 2 the kernel counts all of it when the port is made: 4.3
 * GiB with default options, 27 MiB with 16 participants and max_borrowed 4.) max_borrowed 0 means
 * 64, or less (not below 1) where that would make more than 1 TiB.
 */

/*
 * A message with its details, for the ..._many calls.
 * Sending reads data, size, priority, tag and flags. Receiving fills in all but `data` and
 * `capacity` (borrowing fills in `data`, too). So what was received can be sent on as it is.
 */
struct yoke_message {
    void *data;          /* the bytes; for sending they are only read */
    size_t size;         /* how many */
    size_t capacity;     /* receiving into a buffer: how big the buffer at `data` is */
    uint64_t sequence;   /* its own number, kept when it is delivered again; grows in a priority */
    uint64_t tag;        /* the sender's, passed on untouched */
    uint32_t priority;   /* 0 is the lowest; less than the port's number of priorities */
    uint32_t deliveries; /* 1: the first time; 2 and more: redelivered, sent again, or parked */
    int32_t sender;      /* process id that the sender gave when it joined: a hint, not a proof */
    uint32_t flags;      /* 0, or YOKE_MESSAGE_AGAIN; sending refuses all others (-EINVAL) */
};

/*
 * The message may have come, or gone, before. Who sends says so of what it sends a second time, not
 * knowing what became of the first, or sends on for one that died doing so: the first delivery then
 * counts as the second, so that receivers look whether they know it. (Of max_deliveries it has one
 * less, but comes once at least.) Receiving sets it where deliveries is 2 and more.
 */
#define YOKE_MESSAGE_AGAIN 0x01u

/*
 * Opens an endpoint on ADDRESS = KIND:NAME[@PLACE], such as "port:jobs". KIND: port, link, stream
 * (see below). PLACE: memory, kernel, or nats://HOST:PORT (see below); where the address names none,
 * $YOKE_PLACE does. flags: 0 opens what exists; YOKE_CREATE makes it if there is none, with
 * YOKE_EXCLUSIVE only if there is none, with YOKE_KEPT it then outlives its users; YOKE_PARKED
 * receives the parked messages. options: NULL means YOKE_OPTIONS_INIT.
 *
 * The caller owns *ret_endpoint until yoke_close(). Each endpoint is one participant. Blocks at
 * most 250 ms, for a name that another process is creating; in the place nats for as long as the
 * servers take: some seconds when a cluster makes what is opened. Errors: as yoke_region_create()
 * and yoke_region_open(); -ENOTSUP for a kind, place or policy that is not to be had; in the place
 * nats -EHOSTUNREACH and -EREMOTEIO, too.
 */
YOKE_API int yoke_open(yoke_endpoint **ret_endpoint, const char *address, uint32_t flags,
                       const struct yoke_options *options);

/*
 * The place kernel: "port:jobs@kernel", "link:bob@kernel". Messages are in the kernel's hands (POSIX
 * message queues: one for a port, one each way for a link), each call is a system call, and those
 * who talk share no memory. The same calls, errors and time-outs; what differs:
 *
 * - Each message is delivered once (YOKE_POLICY_ONCE, the default there): the one that a receiver has
 *   just taken is gone with it when it dies. Refused with -ENOTSUP, when opening where that can be
 *   told: YOKE_POLICY_REDELIVER, max_deliveries, max_parked, max_borrowed, YOKE_PARKED, YOKE_HUGE,
 *   YOKE_POPULATE, YOKE_SPARSE; loans and borrowing. spin_ns does nothing.
 * - depth counts the messages of all priorities together. What was not asked for is 256 messages of
 *   4096 bytes, or less: as much as /proc/sys/fs/mqueue (msg_max, msgsize_max), and an eighth of
 *   RLIMIT_MSGQUEUE, allow. What was asked for and is beyond is -EINVAL; -ENOSPC when it does not fit
 *   beside the user's other queues. Each message takes 16 bytes more than its size.
 * - sequence is 0: the kernel does not count. deliveries is 1, or 2 for what was sent with
 *   YOKE_MESSAGE_AGAIN. sender is what the sender said, as in memory: message
 *   queues do not tell who sent. mode lets those who may write both send and receive.
 * - A message that is too big for the buffer (-EMSGSIZE) is taken out and put back, before all others
 *   of its priority: other processes may receive what is behind it in between. If the queue was filled
 *   in between it is held by this endpoint, which receives it next, or puts it back when it closes;
 *   closed while the queue is full, or killed, it takes the message along.
 * - A queue outlives its users, even when all are killed: the next user of a transient name, or `yoke
 *   gc`, takes it away then. A forked child counts as a user from its first call on.
 * - That a link's other side closed or died is told at once; that it came, to yoke_link_wait(), within
 *   100 ms. yoke_peer_accept() and yoke_peer_next() do not see these links: both sides open them by
 *   name.
 *
 * -EPROTO: the queue held a message that no yoke wrote; it is gone.
 */

/*
 * Ports in the place nats://, across machines: "port:jobs@nats://HOST:PORT". NATS servers with JetStream
 * keep the messages; man 7 yoke-nats has the form of the place, and the table of all that differs. Above all:
 *
 * - A send waits for a server's answer. Without one for 15 s, or the time-out, it is in doubt: -ECOMM. If
 *   the next message that this endpoint sends is the same, it is sent as the same, and is there once. Who
 *   names himself (options.as) and numbers his messages (sequence, not 0) may send one again from another
 *   process, too, for two minutes.
 * - What a dead receiver held comes again when its acknowledgement time is over (30 s unless the place said
 *   ?ack_wait=SECONDS when the port was made), marked, after what waits. Who works for longer need do nothing.
 *   One that was stopped for longer shares its message with whoever got it then.
 * - A released message is acknowledged on its way: one whose acknowledgement is lost with its connection
 *   comes again, marked. yoke_close() waits until all are with a server.
 * - After a server died or the connection was lost, whatever was waiting then is marked: it may have been
 *   delivered before, and no server knows.
 * - In a cluster depth and max_parked are kept by those who send, each by what it last saw: several at
 *   once may go beyond it.
 * - One priority; the policy redeliver; no YOKE_HUGE, YOKE_POPULATE, YOKE_SPARSE: else -ENOTSUP. max_message
 *   is bounded by the servers (-EINVAL). participants is no bound; mode and group do nothing: the servers'
 *   accounts say who may. Loans are this process's own memory.
 * - A call that is not to wait still asks the servers: it may take 2 s, and a signal handler ends it (-EINTR).
 * - The messages of one call of yoke_send_many() may be out of order if others fill the port just then.
 * - A transient port whose users were all killed stays until it is removed: from afar that looks as if they
 *   were cut off, and might come back.
 *
 * -ECOMM: in doubt. -EHOSTUNREACH: no server answers. -EACCES: it does not let us in. -EREMOTEIO: it
 * refused. -ENOENT: the port was removed while it was open. -ENOTSUP: no JetStream there, or no module here.
 */

/*
 * Closes it; NULL is fine. What it had borrowed is given back, what it had loaned is gone, what it
 * sent stays. Another thread's wait on it ends with -ECANCELED. Always succeeds: 0.
 */
YOKE_API int yoke_close(yoke_endpoint *endpoint);

/* Removes what ADDRESS names ("region:frames", too), as yoke_region_remove() does. */
YOKE_API int yoke_remove(const char *address);

/*
 * Ends every wait (now and later) on this endpoint with -ECANCELED. May be called from any thread.
 */
YOKE_API int yoke_cancel(yoke_endpoint *endpoint);

/* The biggest message that it carries, in bytes. */
YOKE_API size_t yoke_max_message(yoke_endpoint *endpoint);

/*
 * Sends a copy of `size` bytes (0 is fine) with priority 0. When it returns 0 the message is sent,
 * whatever becomes of the sender. Waits for room up to `timeout_ns`. Returns 0. -EAGAIN (full,
 * time-out 0), -ETIMEDOUT, -EINTR, -ECANCELED, -EMSGSIZE, -EINVAL, -EPROTO. When it fails nothing was
 * sent, but for -ECOMM in the place nats: it may have been.
 */
YOKE_API ssize_t yoke_send(yoke_endpoint *endpoint, const void *message, size_t size,
                           int64_t timeout_ns);

/*
 * Receives the oldest message of the highest priority into `buffer` and acknowledges it: once this
 * returns, it is the caller's and will not be delivered again. Returns its size.
 * -EMSGSIZE: it is bigger than `capacity`; nothing was changed, the message is where it was.
 * -EAGAIN (empty, time-out 0), -ETIMEDOUT, -EINTR, -ECANCELED, -EINVAL, -EPROTO.
 */
YOKE_API ssize_t yoke_recv(yoke_endpoint *endpoint, void *buffer, size_t capacity,
                           int64_t timeout_ns);

/*
 * Loan: takes an empty block for a message of up to `size` bytes; *ret_block points to it in shared
 * memory, 16-byte aligned, with whatever an earlier message left in it. The caller writes into it
 * and then commits or releases it. Waits for room up to `timeout_ns`. A process may have as many
 * loans as the port is deep. Errors as yoke_send().
 */
YOKE_API int yoke_loan(yoke_endpoint *endpoint, size_t size, void **ret_block, int64_t timeout_ns);

/*
 * Commits a loan: sends its first `size` bytes, with priority 0. Does not wait: -EAGAIN when the
 * port is full by now; the loan then stays the caller's, to be committed again or released.
 * -EINVAL: not a loan of this endpoint. -EMSGSIZE.
 */
YOKE_API int yoke_commit(yoke_endpoint *endpoint, void *block, size_t size);

/*
 * Borrow: as yoke_recv(), but in place: *ret_message points to the message in shared memory, for
 * reading, until yoke_release() or yoke_return(). It counts as received at release. Returns its
 * size. (A hostile sender can change a borrowed message under the reader's eyes; where that
 * matters, use yoke_recv().)
 *
 * -EBUSY: this endpoint of a port has max_borrowed messages in hand already: release one first. It
 * does not wait for that. yoke_recv() never says so.
 */
YOKE_API ssize_t yoke_borrow(yoke_endpoint *endpoint, const void **ret_message, int64_t timeout_ns);

/*
 * Done with a borrowed message (acknowledges it), or with a loan that is not to be sent. -EINVAL:
 * neither.
 */
YOKE_API int yoke_release(yoke_endpoint *endpoint, const void *message);

/*
 * Gives a borrowed message back: it will be delivered again, before newer ones, with one more
 * delivery to its count; beyond max_deliveries it is parked; under the policy `once` it is dropped.
 * -EINVAL.
 */
YOKE_API int yoke_return(yoke_endpoint *endpoint, const void *message);

/*
 * Several at once, with details. Each waits up to `timeout_ns` until the first can go, then takes
 * what goes without waiting, and returns how many that were (1 to count); the error of the first if
 * there was none. Costs less than as many single calls. `count` 0 returns 0. For one message with
 * details, count is 1.
 *
 * yoke_recv_many: each messages[i] has `data` and `capacity`; stops before a message that does not
 * fit. yoke_commit_many: each messages[i].data is a loan; those after the returned count stay the
 * caller's.
 */
YOKE_API ssize_t yoke_send_many(yoke_endpoint *endpoint, const struct yoke_message *messages,
                                size_t count, int64_t timeout_ns);
YOKE_API ssize_t yoke_recv_many(yoke_endpoint *endpoint, struct yoke_message *messages,
                                size_t count, int64_t timeout_ns);
YOKE_API ssize_t yoke_commit_many(yoke_endpoint *endpoint, const struct yoke_message *messages,
                                  size_t count, int64_t timeout_ns);
YOKE_API ssize_t yoke_borrow_many(yoke_endpoint *endpoint, struct yoke_message *messages,
                                  size_t count, int64_t timeout_ns);

/*
 * A descriptor for an event loop: poll, epoll, io_uring and whatever is built on them. It is
 * readable whenever receiving would not wait: a message, or the other side's end, or what else
 * yoke_recv() has to say. It may be so once too often: receiving then says -EAGAIN, which clears it.
 * So the loop is: when it is readable, receive with YOKE_NOW until that says -EAGAIN, or once each
 * time (it stays readable as long as there is something). Receiving by blocking calls is fine, too.
 *
 * While it is readable, and while nobody asked for one, it costs senders nothing; else the first
 * message rings it, by one system call. While nothing comes nobody is woken, but for some looks in the
 * half minute after another participant left. The death of another participant is seen through it
 * within 10 ms, as far as it matters to who receives.
 *
 * The same one every time; it is the endpoint's: not to be read, written or closed, and gone when
 * the endpoint is closed. A forked child asks for its own. Thread-safe. Does not block. -EINVAL,
 * -ENOTSUP (parked messages; the writing end of a stream), -EBUSY (it is in a wait set), -EMFILE,
 * -ENFILE, -ENOMEM, -EACCES.
 */
YOKE_API int yoke_fd(yoke_endpoint *endpoint);

/*
 * ---- peers and links ----------------------------------------------------------------------------
 */

/*
 * A peer is a process under a name. A name has one living owner: as long as that process lives, and
 * not a moment longer, whatever ends it. It belongs to the whole process; a forked child is not the
 * peer, but may join under another name, or under this one once its parent is gone.
 *
 * A link is the message channel between two peers, named by naming the other one:
 *
 *     struct yoke_options options = YOKE_OPTIONS_INIT;
 *     options.as = "alice";
 *     yoke_open(&link, "link:bob", YOKE_CREATE, &options);
 *
 * There is one link for each pair of peers, whoever opens it first. Every verb of endpoints works
 * on it, both ways; one thread may send while another one receives. Differences from a port:
 *
 * - What was sent before the other peer came waits for it. So does what is sent after it left:
 *   sending says -EPIPE (it closed) or -EOWNERDEAD (it died) only when the link is full. Receiving
 *   says so as soon as everything that came before was received, and again until it is back.
 * - All that is said of what waits holds while the link is there. A transient one goes with its last
 *   user: who opens a link, sends, and closes it before the other peer has opened it, must make it
 *   with YOKE_KEPT, or wait for an answer. Whoever makes the link decides its depth and its biggest
 *   message (yoke_max_message()).
 * - A peer that comes back under its name finds the link as it left it; what it had borrowed is
 *   delivered again with its count (policy `once`: dropped).
 * - depth: messages on the way in each direction, from the oldest that is not released. All of them
 *   together may have depth x max_message bytes, but no more than 8 MiB or four of the biggest.
 * - Room is freed in the order of sending: a message that stays borrowed holds all behind it, and a
 *   loan that is neither committed nor released holds the room of all that was taken after it.
 * - max_deliveries: then a message is dropped and counted; for ever unless given. No priorities, no
 *   parked messages, no bound on what is borrowed but the depth: -ENOTSUP for who asks.
 * - A borrowed message is 8-byte aligned, or 64-byte when it was sent by a loan.
 *
 * Opening a link joins as `as` if this process has not, and keeps the name until the last such link
 * is closed. -EADDRINUSE: another living process is that peer. -EINVAL: no `as`, or it is the other
 * one's name. YOKE_KEPT links outlive both peers.
 */

/*
 * Links and peers in the place nats://, across machines: "link:bob@nats://host", and "bob@nats://host"
 * as the name in the calls on peers; or all of them by $YOKE_PLACE. The same calls, order and errors;
 * what differs:
 *
 * - Servers can not see a process die. Who has a name says so again six times in each lease (30 s; the
 *   first who uses a prefix chooses it by nats://host/PREFIX?lease=SECONDS): one that was killed is gone,
 *   and its name free, when that is over. -EOWNERDEAD then; -EPIPE, of one that closed, at once.
 * - Who was stopped, or cut off from the servers, for longer than its lease has lost its name if
 *   somebody else took it meanwhile: its calls say -EOWNERDEAD, and it opens anew. What it had borrowed
 *   comes to the next owner, and its release of that is of no effect. What it sends is taken as if sent
 *   before the next owner came, or refused. It may have received, and worked on, what the next one gets
 *   again, marked.
 * - What was not released when its receiver died comes again first, in order, marked. All else that
 *   waited then is marked, too, as it may have been on its way to the dead process (of max_deliveries only
 *   what is known to have been delivered is counted).
 * - sequence counts in each direction from 1. sender is the process id on the sender's machine. depth is
 *   from the oldest that is not released. policy `once`, YOKE_HUGE, YOKE_POPULATE, YOKE_SPARSE: -ENOTSUP.
 *   mode and group do nothing: who may is the servers' affair. A loan is the process's own memory.
 * - Both names, the prefix and 30 bytes more are a stream's name of 255 bytes at most; in it letters, digits,
 *   '_' and '-' take one byte, others three: else -EINVAL.
 * - -ECOMM, -EHOSTUNREACH and -EREMOTEIO as with ports there. While no server answers, what was received
 *   ahead is still had until the lease is over.
 * - yoke_peer_wait() looks ten times a second. pid and uid of yoke_peer_list() are as that process says
 *   itself. yoke_set_add_gone() of such a peer: -ENOTSUP.
 * - yoke_peer_accept() and yoke_peer_next() ask the servers who is new. With time-out 0 that is what
 *   they know then, but a message counts once it has come here: of one sent just now yoke_peer_next()
 *   may say -EAGAIN, and yoke_peer_fd() is readable in a moment. Where no server answers, time-out 0
 *   is -EHOSTUNREACH, and others wait; what was opened meanwhile is found when one answers again, within
 *   a third of a lease. A link whose opener was killed is there all the same. One that can not be opened
 *   is tried again 250 ms later, then ever more seldom, in the end every 10 s. -EOWNERDEAD: the peer's name is
 *   another's by now; leave, and join anew.
 */

typedef struct yoke_peer yoke_peer;

/*
 * Joins under NAME (1 to YOKE_PEER_NAME_MAX characters, and @PLACE where there are peers of its own,
 * see above) without a link, or once more if this process has joined. Of the options only mode and group count: who may see that it is there, which
 * takes the right to write (0660, 0666). The caller owns *ret_peer until yoke_peer_leave().
 * Thread-safe. May block for 250 ms, as yoke_open().
 * -EADDRINUSE (a living process has it), -EINVAL, -EACCES, -ENOSPC, -ENOMEM, -EBUSY, -EMFILE,
 * -ENFILE.
 */
YOKE_API int yoke_peer_join(yoke_peer **ret_peer, const char *name,
                            const struct yoke_options *options);

/*
 * Gives the handle up; NULL is fine. The name is free when no link is open under it either. Ends
 * waits on it with -ECANCELED. Always succeeds: 0.
 */
YOKE_API int yoke_peer_leave(yoke_peer *peer);

#define YOKE_PEER_HERE 1u /* a living process has joined under the name */
#define YOKE_PEER_GONE 2u /* nobody has, or whoever had when the call began has left or died */

/*
 * Waits until peer NAME is there, or gone: 0. Needs no peer of one's own. -EAGAIN (not so now,
 * time-out 0), -ETIMEDOUT, -EINTR, -EINVAL, -EACCES (another user's, who does not let us look: that takes
 * the right to write), -EPROTONOSUPPORT (another layout's), -ENOTSUP (in another IPC namespace).
 */
YOKE_API int yoke_peer_wait(const char *name, uint32_t what, int64_t timeout_ns);

struct yoke_peer_info {
    char name[YOKE_PEER_NAME_MAX + 1];
    int32_t pid;       /* of the process that holds the name's lock, as /proc shows; 0: not seen */
    uint32_t uid;      /* as it said when it joined */
    int64_t joined_ns; /* CLOCK_REALTIME */
};

/*
 * Who is there: fills in up to `capacity` of them, in no order, and returns how many there are in
 * all (infos may be NULL for 0). Those that this user may not look at are left out.
 */
YOKE_API ssize_t yoke_peer_list(struct yoke_peer_info *infos, size_t capacity);

/*
 * Waits until somebody has opened a link to this peer that this process has not open, and opens it:
 * 0, and *ret_link is the caller's. Links that are there already count; one that this peer closed
 * counts again when somebody new came to its other end: also before it was closed, if this peer had been
 * told of the last one's end (by receiving), and received nothing since. Errors as yoke_open(), and -EAGAIN, -ETIMEDOUT, -EINTR, -ECANCELED. Of the options only spin_ns
 * counts.
 */
YOKE_API int yoke_peer_accept(yoke_peer *peer, yoke_endpoint **ret_link,
                              const struct yoke_options *options, int64_t timeout_ns);

#define YOKE_NEXT_READY  0 /* *ret_link has a message, or its other side is gone */
#define YOKE_NEXT_OPENED 1 /* *ret_link is new: somebody opened it, and it is open here now */

/*
 * One wait over all links that this process has open as this peer, and over those that others open
 * to it: a server's loop. YOKE_NEXT_READY (0): the next thing to do with *ret_link, which the
 * caller has already, is to receive; links take turns. YOKE_NEXT_OPENED (1): as yoke_peer_accept().
 * A link whose other side is gone is ready (-EPIPE, -EOWNERDEAD) until it is closed here. One
 * thread at a time for each peer, and not while another one receives from one of its links.
 *
 * Where no descriptor is left to sleep on, it looks every 100 ms; where there is none to look for
 * newcomers with, those wait until there is (-EMFILE, -ENFILE with time-out 0, or when one was
 * found).
 * -EAGAIN, -ETIMEDOUT, -EINTR, -ECANCELED, and the errors of yoke_open().
 */
YOKE_API int yoke_peer_next(yoke_peer *peer, yoke_endpoint **ret_link, int64_t timeout_ns);

/*
 * As yoke_fd(): readable whenever yoke_peer_next() would not wait; -EAGAIN from that clears it. It
 * belongs to the peer, whatever handle it was asked for by, and goes when its last one is left. Ten
 * times a second it may be readable for nothing while there is a link that can not be opened; ever
 * more seldom, in the end every 32 s, while there is one that this peer has left and that is still
 * there. (Who opens that again rings; the rest is for one who may not.)
 */
YOKE_API int yoke_peer_fd(yoke_peer *peer);

/*
 * ---- signals ------------------------------------------------------------------------------------
 *
 * A signal is a small notification to a peer: a number and a value of 64 bits. A peer that wants
 * signals opens its inbox; others send by its name. They are queued, in order, and none is lost
 * without a word: when the queue is full the sender is told. Only the living owner of the name
 * receives, and only what was sent while its inbox was open: what waits when an inbox is closed, or
 * its process ends, goes with it, and never reaches a later owner of the name.
 *
 * Where they wait: in memory, or (YOKE_SIGNALS_KERNEL) in the kernel, as datagrams. In memory a
 * signal costs what a message costs, and one system call, which proves that the receiver lives. In
 * the kernel no memory is shared, and the kernel says who sent it; how many may wait is
 * net.unix.max_dgram_qlen.
 *
 * The inbox receives UNIX signals, too, if it is told which (yoke_signals_catch()). These differ:
 * a standard one (below SIGRTMIN) that is sent again while it is pending is merged with it, so what
 * is received once may have been sent several times, and it has no value; those from SIGRTMIN to
 * SIGRTMAX are queued, each with its value.
 *
 * A peer that joined in the place nats:// takes its signals there, across machines. The same calls and
 * promises; what differs:
 *
 * - Each signal asks the servers whether the peer's lease runs, and is then stored by them: two round
 *   trips. So the sender is told that the peer was killed (-ENOENT) when its lease is over, and what was
 *   sent until then goes with it. Room is there again a moment after a signal was received.
 * - Who was stopped, or cut off, for longer than its lease while somebody else took its name receives no
 *   more: -EOWNERDEAD; it leaves, and joins anew.
 * - sender, pid (on the sender's machine) and uid are what the sender says (YOKE_SIGNAL_STATED). sequence
 *   counts from 1 in each inbox. Of the options only depth counts; who may send is the servers' affair.
 * - Sending may take 15 s: -ECOMM, in doubt, as no server answered whether it has the signal; -EINTR, a
 *   signal handler ran meanwhile, and it may be so, too. The same signal, if it is the next that this process
 *   sends to that peer, then arrives once. -EHOSTUNREACH: nothing was sent.
 * - UNIX signals that this process catches are received beside them; to a peer there none can be sent
 *   (-ENOTSUP): its process is another machine's.
 */

/* How much is known of who sent a signal. */
#define YOKE_SIGNAL_STATED 0u /* sender, pid and uid are what the sender says of itself */
#define YOKE_SIGNAL_PROVEN 1u /* pid and uid are the kernel's word (a privileged one may feign) */
#define YOKE_SIGNAL_NAMED  2u /* and when it was received process `pid` held the name `sender` */

struct yoke_signal {
    uint64_t value;    /* UNIX signals: 0 unless it was queued with one */
    uint64_t sequence; /* grows; of its own for UNIX signals */
    uint32_t number;   /* UNIX signals: the same as unix_signal */
    uint32_t origin;   /* YOKE_SIGNAL_... */
    int32_t pid;       /* of the sender; 0: it can not be seen from here */
    uint32_t uid;
    int32_t unix_signal; /* 0: it is yoke's own */
    uint32_t merged;     /* 1: a standard UNIX signal, which may stand for several */
    uint64_t reserved[2];
    char sender[YOKE_PEER_NAME_MAX + 1]; /* the name that the sender has joined under; "": none */
};

#define YOKE_SIGNALS_KERNEL 0x01u /* they wait in the kernel: peer:NAME@kernel */

/*
 * Opens the peer's inbox: from now on it can be sent signals. One for each peer. It is an endpoint
 * that yoke_signal_recv() receives from; yoke_fd(), yoke_cancel() and yoke_close() work on it, the
 * verbs of messages do not (-ENOTSUP). It keeps the peer's name until it is closed. It belongs to
 * this process: in a forked child it can only be closed.
 *
 * Of the options these count: depth, how many may wait (default 1024; in the kernel what that has);
 * participants, this one and the processes that send, at once (default 256; not in the kernel); mode
 * and group, who may send; spin_ns. options NULL: the defaults. The caller owns *ret_inbox until
 * yoke_close().
 *
 * -EBUSY (it has one; or somebody recovers what an earlier owner left), -EINVAL, -EADDRINUSE (in a
 * forked child: its parent is this peer), -ENOTSUP (a depth that the kernel has not; the kernel, for a
 * peer across machines), -EACCES, -ENOSPC, -ENOMEM, -EMFILE, -ENFILE. May block for 250 ms, as
 * yoke_open(); across machines as that does there.
 */
YOKE_API int yoke_signals_open(yoke_endpoint **ret_inbox, yoke_peer *peer, uint32_t flags,
                               const struct yoke_options *options);

/*
 * Receives the next signal: 0, and *ret_signal is filled in. Any thread may, several at once, too.
 * What shared memory, or a place across machines, says of its sender is what that one states
 * (YOKE_SIGNAL_STATED).
 *
 * -EAGAIN (none there, time-out 0), -ETIMEDOUT, -EINTR, -ECANCELED, -EINVAL, -EPERM (a forked
 * child), -EPROTO (somebody wrote what no yoke writes: that one is gone, the next may be good),
 * -EMFILE, -ENFILE (the first wait that is for UNIX signals, too), -EOWNERDEAD (across machines).
 */
YOKE_API int yoke_signal_recv(yoke_endpoint *inbox, struct yoke_signal *ret_signal,
                              int64_t timeout_ns);

/*
 * Sends a signal to a peer: TO is "peer:bob" (or "bob"), or "peer:bob@kernel" if that is where bob's
 * inbox is, or "peer:bob@nats://host" (or that by $YOKE_PLACE) where bob joined there. FROM is the peer as which it is sent; NULL: nobody in particular. When it returns 0 the
 * signal lies in the inbox of a living process. It never waits for room: -EAGAIN, full; this one
 * writes a sentence that says how many wait there. Thread-safe.
 *
 * The first signal to a peer opens its inbox, as yoke_open() does (and may block as long); the last
 * 16 peers that this process sent to stay open, and each takes a place among the participants there
 * until the process ends.
 *
 * -EAGAIN; -ENOENT (nobody is that peer now); -ENOTSUP (it takes no signals, or not in this place);
 * -EACCES (its inbox's mode, or somebody else made what has its name); -EINVAL; -ENOSPC (as many
 * processes send to it as its inbox has places); -EADDRINUSE (FROM, in a forked child); -EPROTO,
 * -EPROTONOSUPPORT, -ENOMEM, -EMFILE, -ENFILE; across machines -ECOMM, -EINTR and -EHOSTUNREACH, too.
 */
YOKE_API int yoke_signal_send(yoke_peer *from, const char *to, uint32_t number, uint64_t value);

/*
 * Sends the process that is PEER ("bob" or "peer:bob") a UNIX signal: as kill(2) does; 0 only looks
 * whether it could. The process is found by the lock of its name, which /proc must show it to hold
 * after a descriptor for it (pidfd) was opened: no pid is believed, so none that is used again can be
 * hit. Needs no inbox there. Does not block.
 *
 * -ENOENT (nobody is that peer), -EPERM (/proc does not show who holds the name: another user's, or
 * another PID namespace; or this process may not signal that one), -EINVAL, -EACCES, -ENOTSUP (before
 * Linux 5.3; or a peer in a place across machines), -EMFILE, -ENFILE.
 */
YOKE_API int yoke_signal_kill(const char *peer, int unix_signal);

/*
 * The same for a queued signal, SIGRTMIN to SIGRTMAX, with a value, as sigqueue(3) does (whoever
 * receives such a one knows pid and uid only as the sender states them). -EINVAL: a standard
 * signal, whose value could be lost. -EAGAIN: as many are queued as may be (RLIMIT_SIGPENDING); this
 * one writes a sentence. Errors as yoke_signal_kill().
 */
YOKE_API int yoke_signal_queue(const char *peer, int unix_signal, uint64_t value);

/*
 * From now on the inbox receives these UNIX signals of the process, too, by whomever they were
 * sent; a second call adds to the first. They are blocked in the calling thread, and stay so when
 * the inbox is closed. The program sees to it that they are blocked in its other threads: threads
 * that are started after this call inherit that. One that some thread does not block goes there,
 * as ever. So do programs that it starts inherit it: before exec, or by posix_spawnattr_setsigmask(),
 * unblock them, or SIGTERM does not end those. A call that waits on the inbox already does not notice.
 *
 * -EINVAL (no inbox, or a signal that can not be caught: SIGKILL, SIGSTOP), -EPERM (a forked child),
 * -EMFILE, -ENFILE, -ENOMEM.
 */
YOKE_API int yoke_signals_catch(yoke_endpoint *inbox, const int *unix_signals, size_t count);

/*
 * A link without names, as a socketpair is a connection without addresses: two descriptors, one for
 * each end, close-on-exec. The memory lives in a sealed memory file; no name, no directory and no
 * IPC namespace is needed. Options: as for creating a link, without `as`.
 *
 * A descriptor may be inherited, sent (SCM_RIGHTS) or kept; whoever has it opens the end by
 * yoke_open_descriptor(), and another process after that one is gone. Close the copies that a
 * process does not need: when the last copy of an end's descriptor is closed before anybody opened
 * that end, the other one gets -EOWNERDEAD. So it does after the death of who had opened it, until
 * somebody opens it anew, which yoke_link_wait() waits for. The caller owns both. Does not block.
 * -EINVAL, -ENOTSUP, -ENOMEM, -EMFILE, -ENFILE, -ENOENT (no /proc).
 */
YOKE_API int yoke_pair(int ret_descriptors[2], const struct yoke_options *options);

/*
 * Opens the end of a link, or of a stream, that the descriptor stands for; it stays the caller's,
 * and may be closed. (A pipe is a stream, too: see there.) Of the options only spin_ns counts. A
 * forked child opens its end itself; what its parent has open stays the parent's. -EADDRINUSE (a
 * living process has this end), -EINVAL (no such descriptor), -EBADF, -EPROTO, -EPROTONOSUPPORT,
 * -ENOMEM, -EMFILE, -ENFILE.
 */
YOKE_API int yoke_open_descriptor(yoke_endpoint **ret_endpoint, int descriptor,
                                  const struct yoke_options *options);

/*
 * Waits until the other end of a link is open, or has left something to receive: 0, at once when it
 * is so. What to do between the end of one process and the beginning of the next, while receiving
 * says -EPIPE or -EOWNERDEAD; as of who starts a helper again, at the other end of a pair:
 *
 *     size = yoke_recv(link, buffer, sizeof buffer, YOKE_FOREVER);
 *     if (size == -EOWNERDEAD && start_helper(descriptor) == 0)
 *         result = yoke_link_wait(link, timeout_ns);
 *
 * It waits as a receiving call does, in that thread's stead. -EAGAIN (not so now, time-out 0),
 * -ETIMEDOUT, -EINTR, -ECANCELED, -EINVAL (no link). Of a pair, -EPIPE or -EOWNERDEAD: the last
 * copy of the other end's descriptor is closed, so nobody can come.
 */
YOKE_API int yoke_link_wait(yoke_endpoint *link, int64_t timeout_ns);

/* The other peer's name. It stays valid until the link is closed; "" for what is no link. */
YOKE_API const char *yoke_link_other(yoke_endpoint *link);

/*
 * ---- streams ------------------------------------------------------------------------------------
 */

/*
 * A stream carries bytes, as a pipe does: what is written comes out in the same order, without
 * marks in between; a full one makes writers wait, an empty one readers. It has a reading end and a
 * writing end, each an endpoint of its own, and each may be open several times:
 *
 *     yoke_open(&out, "stream:log", YOKE_CREATE | YOKE_WRITE, NULL);
 *     yoke_open(&in, "stream:log", YOKE_READ, NULL);
 *
 * Exactly one of YOKE_READ and YOKE_WRITE, else -EINVAL. Options: capacity, participants, mode,
 * group, spin_ns; what belongs to messages is refused (-ENOTSUP), as is every verb of messages on a
 * stream, and each of these calls on anything else.
 *
 * The end of the stream comes when the last writer closed *or died*, and everything was read:
 * reading then returns 0, until somebody opens the writing end anew. A reader that comes before the
 * first writer waits for it. What was written while no reader was there waits for the next one, as
 * long as the stream itself is there (YOKE_KEPT); a reader that comes after the last writer left
 * gets what is left, then the end, once: the next reader after that waits for the next writer.
 *
 * When the last reader closed or died, writing says -EPIPE, and no SIGPIPE is raised. A writer that
 * opens when no reader is there waits for one as soon as the stream is full.
 *
 * Several writers take turns: a write of up to 4096 bytes is never mixed with another one's, a
 * longer one may be. Several readers take turns, too: each byte goes to one of them, in pieces that
 * belong together. The bytes are acknowledged as they are copied: what a reader had not got out
 * when it was killed is read by the next one. One that is *stopped* in the midst of a copy (64 KiB
 * at most for a writer) keeps its turn until it goes on or dies; the others of its end wait, and
 * `yoke stat` shows it as holding the stream. Calls on one endpoint may be made by several threads.
 *
 * yoke_fd() and wait sets take the reading end: readable when there are bytes, and at the end, which
 * lasts until somebody writes again. Who waits for the next writer meanwhile opens the reading end
 * once more, which knows nothing of that end, and then closes the first: so a reader is always there.
 */

/*
 * stream:NAME@kernel is the same over a FIFO of the kernel's: each write and read is a system call,
 * and the parties share no memory. Of the options, capacity (by default 64 KiB; -EPERM, with the
 * limit, beyond /proc/sys/fs/pipe-max-size), mode and group. What a pipe has its own way:
 *
 * - The first write waits for the first reader: a FIFO holds nothing for one that has not come.
 * - What was not read goes with the last user, also of a kept one. What a reader had in hand when
 *   it was killed is gone.
 * - That the other end died is not told from that it closed (yoke_stream_end(): -EPIPE).
 * - A forked child has what its parent had open at once, as it has any pipe: the end of the stream
 *   comes when it has closed it, too, or exits.
 *
 * yoke_open_descriptor() takes a descriptor of any pipe or FIFO, too, such as standard input, and
 * makes it such a stream without a name.
 */

/* The biggest stream in memory: 1 TiB. */
#define YOKE_STREAM_CAPACITY_MAX ((uint64_t)1 << 40)

/*
 * Writes `size` bytes from `data` into the stream, waiting for room until `timeout_ns` is over.
 * Returns how many bytes went: all, unless the time was over, a signal came, the wait was cancelled
 * or the last reader left meanwhile; then those that went before, if there were any. Up to 4096
 * bytes go all at once or not at all. 0 bytes are written at once, and 0 is returned.
 *
 * When nothing went: -EAGAIN (no room, time-out 0), -ETIMEDOUT, -EINTR, -ECANCELED, -EPIPE (the
 * last reader closed, or died: yoke_stream_end() tells), -EINVAL, -ENOTSUP (this is the reading
 * end), -EPROTO. May block up to `timeout_ns`; copies.
 */
YOKE_API ssize_t yoke_write(yoke_endpoint *endpoint, const void *data, size_t size,
                            int64_t timeout_ns);

/*
 * Reads what is there, at most `capacity` bytes, into `buffer`, and returns how many: at least one.
 * Waits for the first up to `timeout_ns`. 0: the end of the stream (or `capacity` is 0). -EAGAIN
 * (nothing there, time-out 0), -ETIMEDOUT, -EINTR, -ECANCELED, -EINVAL, -ENOTSUP (this is the
 * writing end), -EPROTO.
 */
YOKE_API ssize_t yoke_read(yoke_endpoint *endpoint, void *buffer, size_t capacity,
                           int64_t timeout_ns);

/*
 * Moves up to `size` bytes (SIZE_MAX: all that come) between the stream and an open file, socket,
 * pipe or terminal: from a reading end into `descriptor`, from `descriptor` into a writing end.
 * Returns how many, when `size` is reached, what they come from has ended, or the time is over; 0
 * when it had ended at once. What was moved is neither lost nor there twice, whatever ends the
 * call, except a death: when this process is killed, the last piece (64 KiB at most) may be in the
 * descriptor and still in the stream, or taken from the descriptor and not in the stream.
 *
 * A stream in memory is read and written in place, with one copy; a kernel stream by splice(2),
 * with none where the kernel can. Where it can not at all, as with a terminal, or a file opened
 * with O_APPEND, or a socket without O_NONBLOCK, which splice(2) would wait for, bytes go through a
 * buffer: 4096 at most are lost when the last reader of the stream leaves just then, and as many may
 * wait in the reading end for its next call, and go with it when it is closed.
 *
 * The descriptor stays the caller's; its offset moves, if it has one. It may be blocking or not:
 * the call waits as long as its own time-out says. (A file's disk is waited for, and so is a device,
 * or a terminal that this process may not open anew, that takes fewer bytes than it promised.) A
 * socket of messages (datagrams, packets) is refused (-ENOTSUP): it would cut them.
 *
 * When nothing was moved: as yoke_read() and yoke_write(), -EPIPE also when nobody reads what
 * `descriptor` leads to (no SIGPIPE), -EFBIG (no SIGXFSZ), -EBADF, and what else read(2) and
 * write(2) say of the descriptor.
 */
YOKE_API ssize_t yoke_move(yoke_endpoint *endpoint, int descriptor, size_t size,
                           int64_t timeout_ns);

/*
 * How many bytes the stream holds; 0 for what is none. In memory that is a power of two, at least
 * 4096: what yoke_options.capacity said, or more; 1 MiB unless it said anything.
 */
YOKE_API size_t yoke_stream_capacity(yoke_endpoint *stream);

/*
 * What became of the other end, as this endpoint sees it: 0 somebody is there, or nobody has come
 * yet; -EPIPE the last one closed; -EOWNERDEAD the last one died. Of a reading end it is told
 * whether or not everything was read. Also -EINVAL, -ENOTSUP.
 */
YOKE_API int yoke_stream_end(yoke_endpoint *stream);

/*
 * A stream without a name, as pipe(2) makes one: ret_descriptors[0] stands for the reading end,
 * ret_descriptors[1] for the writing end. Everything else is as with yoke_pair(): a memory file
 * that needs no name, no directory and no IPC namespace; descriptors that are close-on-exec, the
 * caller's, and may be inherited or sent; yoke_open_descriptor() opens the end, for one process at
 * a time. When the last copy of an end's descriptor is closed before anybody opened that end, it
 * counts as closed. Of the options capacity counts. Does not block. -EINVAL, -ENOTSUP, -ENOMEM,
 * -EMFILE, -ENFILE, -ENOENT (no /proc).
 */
YOKE_API int yoke_stream_pair(int ret_descriptors[2], const struct yoke_options *options);

/*
 * ---- wait sets ----------------------------------------------------------------------------------
 */

/*
 * One wait over many things: endpoints, peers, other peers' deaths, timers, and plain descriptors.
 * What a wait costs depends on what is ready, not on how many are watched.
 *
 * A set is used by one thread at a time (yoke_set_cancel() excepted), in the process that made it: a
 * forked child only closes it. It owns nothing that is added: whoever closes an endpoint or leaves a
 * peer that is in a set does so in the set's thread, and thereby takes it out. A plain descriptor is
 * removed before it is closed.
 */
typedef struct yoke_set yoke_set;

#define YOKE_SET_ENDPOINT   1u /* receiving from it would not wait */
#define YOKE_SET_PEER       2u /* yoke_peer_next() would not wait */
#define YOKE_SET_GONE       3u /* the other peer has left or died; said once */
#define YOKE_SET_TIMER      4u
#define YOKE_SET_DESCRIPTOR 5u

struct yoke_ready {
    uint32_t what;   /* YOKE_SET_… */
    uint32_t events; /* descriptors: POLLIN, POLLOUT, POLLERR, POLLHUP … */
    int32_t member;  /* as yoke_set_add…() returned it */
    int32_t descriptor;
    uint64_t count; /* timers: how often its time came since it was told last */
    yoke_endpoint *endpoint;
    yoke_peer *peer;
    void *user; /* as it was added with */
};

/*
 * The caller owns *ret_set until yoke_set_close(). -EMFILE, -ENFILE, -ENOMEM.
 */
YOKE_API int yoke_set_create(yoke_set **ret_set);

/* NULL is fine. Always succeeds: 0. */
YOKE_API int yoke_set_close(yoke_set *set);

/*
 * Each adds a member with the caller's `user`, and returns its number (0 and up), by which it is
 * removed. None of them blocks. -EINVAL, -ENOMEM, -ENOSPC (65,536 members), -EPERM (a parent's set);
 * and for
 *
 * - an endpoint: -EBUSY (it is in a set, or has a descriptor of its own), -ENOTSUP (as yoke_fd()),
 *   -EMFILE, -ENFILE, -EACCES;
 * - a peer of this process: as yoke_peer_fd(), and -EBUSY;
 * - another peer's end, by its name: ready once whoever has the name now has left or died, or at
 *   once if nobody has it. -EACCES, -EPROTONOSUPPORT, -ENOTSUP as yoke_peer_wait();
 * - a timer: ready after first_ns (0: at once), and then every every_ns (0: only once). -EMFILE;
 * - a descriptor: ready as poll() says for `events` (POLLIN, POLLPRI, POLLOUT, POLLRDHUP; POLLERR
 *   and POLLHUP always). -EBADF, -EEXIST (it is in this set), -EPERM (a regular file).
 */
YOKE_API int yoke_set_add(yoke_set *set, yoke_endpoint *endpoint, void *user);
YOKE_API int yoke_set_add_peer(yoke_set *set, yoke_peer *peer, void *user);
YOKE_API int yoke_set_add_gone(yoke_set *set, const char *peer, void *user);
YOKE_API int yoke_set_add_timer(yoke_set *set, int64_t first_ns, int64_t every_ns, void *user);
YOKE_API int yoke_set_add_descriptor(yoke_set *set, int descriptor, uint32_t events, void *user);

/* Takes a member out; its number may be given to the next. -EINVAL: there is no such member. */
YOKE_API int yoke_set_remove(yoke_set *set, int member);

/*
 * Waits until something is ready, and fills in up to `capacity` of `ready`: how many. A member is
 * told again and again as long as it is ready (timers and deaths: once), and all take turns. What is
 * told of an endpoint may be so once too often, as with yoke_fd(): receive with YOKE_NOW. -EAGAIN,
 * -ETIMEDOUT, -EINTR, -ECANCELED, -EINVAL, -EPERM.
 */
YOKE_API ssize_t yoke_set_wait(yoke_set *set, struct yoke_ready *ready, size_t capacity,
                               int64_t timeout_ns);

/* Ends every wait on it, now and later, with -ECANCELED. From any thread. */
YOKE_API int yoke_set_cancel(yoke_set *set);

/*
 * As yoke_fd(), for all of the set: readable whenever yoke_set_wait() would not wait, and perhaps
 * once too often; -EAGAIN from that clears it. The set's own.
 */
YOKE_API int yoke_set_fd(yoke_set *set);

#ifdef __cplusplus
}
#endif

#endif
