/*
 * kernel_stream.c - see kernel_stream.h.
 *
 * The reading end is a descriptor of the pipe that does not wait. It tells the end of the stream
 * from a stream that nobody has come to yet as poll() does: POLLHUP is there when a writer was, and
 * is gone.
 *
 * The writing end is one, too, but it is there only when somebody reads: a FIFO can not be opened
 * for writing before that. Opening it both ways would do, and hide for ever that the last reader
 * left. So the first write waits for the first reader; nothing is held for one that has not come.
 *
 * Between the pipe and a descriptor bytes are moved by splice(), which hands pages on where the
 * kernel can. It asks the descriptor's own flags whether it is to wait, so one that waits as long as it
 * likes (a socket without O_NONBLOCK) is copied to and from. What was taken out of the pipe can not
 * be put back, so what such a descriptor does not take is *held* by the endpoint, and comes first when
 * it reads or moves again. tee() and vmsplice() are not used: nothing here needs the same bytes twice, and a
 * page of the caller's own that was lent to a pipe would change in it when the caller writes there
 * again.
 */
#include "kernel_stream.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/sys.h"
#include "endpoint_options.h"
#include "fifo.h"
#include "outside.h"
#include "place.h"
#include "stream.h"

#define SLICE        INT64_C(100000000)
#define MOVE_MOST    ((size_t)1 << 20) /* by one system call */
#define COPY_MOST    4096              /* PIPE_BUF: a pipe that can be written takes that */
#define CLOSE_NAP    100000
#define UNNAMED      "(a pipe)"
#define LIMIT_FILE   "/proc/sys/fs/pipe-max-size"
#define SIZE_DEFAULT 65536

struct kernel_stream {
    struct yk_outside pipe; /* its fd is ours */
    yk_atomic32 connected;  /* pipe.fd is there */
    pthread_mutex_t mutex;  /* who connects */
    bool writing, named;
    struct yk_fifo fifo; /* named: who uses it */
    yk_atomic32 cancelled;
    yk_atomic32 visitors;   /* threads inside a call */
    yk_atomic64 fork_stamp; /* the process that they belong to */
    /* yoke_fd(): of the pipe, and of an eventfd that is rung when it is cancelled; -1: not asked for */
    int epoll, bell;
    pthread_mutex_t holding; /* the reading end's: who copies; all of these belong to it */
    yk_atomic32 held;        /* bytes that are out of the pipe, and went nowhere yet */
    size_t held_at;          /* where they begin */
    char hold[COPY_MOST];
    char name[YK_ENTRY_MAX + 8]; /* for sentences: "log@kernel" */
};

/* ---- time ---- */

/* What is left of a call's time. */
struct patience {
    int64_t timeout_ns, deadline;
};

static struct patience patience_for(int64_t timeout_ns)
{
    return (struct patience){timeout_ns, timeout_ns > 0 ? yk_deadline(timeout_ns) : 0};
}

static int64_t left(const struct patience *patience)
{
    if (patience->timeout_ns <= 0)
        return patience->timeout_ns;
    int64_t rest = patience->deadline - yk_now();
    return rest > 0 ? rest : 0;
}

/* -EAGAIN of a wait whose time was over before it began. */
static int out_of_time(const struct patience *patience, int result)
{
    return result == -EAGAIN && patience->timeout_ns != 0 ? -ETIMEDOUT : result;
}

static int await(const struct kernel_stream *stream, const struct yk_outside *what,
                 const struct patience *patience)
{
    return out_of_time(patience, yk_outside_wait(what, &stream->cancelled, left(patience)));
}

static bool holds(const struct kernel_stream *stream)
{
    return yk_load32_acquire(&stream->held) != 0;
}

/* For something to read. What another thread leaves held nobody rings for. */
static int await_bytes(const struct kernel_stream *stream, const struct patience *patience)
{
    int result = -ETIMEDOUT;
    while (result == -ETIMEDOUT && !holds(stream)) {
        int64_t rest = left(patience);
        bool last = rest >= 0 && rest <= SLICE;
        result = yk_outside_wait(&stream->pipe, &stream->cancelled, last ? rest : SLICE);
        if (last)
            return out_of_time(patience, result);
    }
    return result == -ETIMEDOUT ? 0 : result;
}

/* ---- the first reader ---- */

/* 1: connected; 0: nobody reads yet; or an error. */
static int connect_now(struct kernel_stream *stream)
{
    int result = 1;
    pthread_mutex_lock(&stream->mutex);
    if (!yk_load32_relaxed(&stream->connected)) {
        int fd = yk_fifo_connect(&stream->fifo, stream->writing);
        result = fd == -ENXIO ? 0 : fd < 0 ? fd : 1;
        if (fd >= 0) {
            /* what it was made for; what this process may not have, or what is in it, leaves it as it is */
            if (stream->fifo.facts.capacity != (uint64_t)yk_sys_pipe_capacity(fd))
                yk_sys_set_pipe_capacity(fd, (size_t)stream->fifo.facts.capacity);
            stream->pipe.fd = stream->pipe.descriptor = fd;
            yk_store32_release(&stream->connected, 1);
        }
    }
    pthread_mutex_unlock(&stream->mutex);
    return result;
}

/* Whoever opens the FIFO is seen at once where inotify is to be had; else every 100 ms. */
static int await_reader(struct kernel_stream *stream, const struct patience *patience)
{
    int watch = yk_fifo_watch(&stream->fifo), result;
    for (;;) {
        result = yk_load32_acquire(&stream->cancelled) ? -ECANCELED : connect_now(stream);
        if (result != 0)
            break;
        int64_t rest = left(patience);
        if (rest == 0) {
            result = patience->timeout_ns == 0 ? -EAGAIN : -ETIMEDOUT;
            break;
        }
        int woken = yk_sys_poll(watch, -1, rest < 0 || rest > SLICE ? SLICE : rest);
        if (woken == 1)
            yk_sys_clear(watch);
        if (woken < 0) {
            result = woken;
            break;
        }
    }
    if (watch >= 0)
        yk_sys_close(watch);
    return result;
}

static int connect_stream(struct kernel_stream *stream, const struct patience *patience)
{
    if (yk_likely(yk_load32_acquire(&stream->connected)))
        return 1;
    int result = connect_now(stream);
    if (result != 0)
        return result;
    return patience->timeout_ns == 0 ? -EAGAIN : await_reader(stream, patience);
}

/* ---- its descriptor ---- */

static void close_descriptor(struct kernel_stream *stream)
{
    if (stream->epoll >= 0)
        yk_sys_close(stream->epoll);
    if (stream->bell >= 0)
        yk_sys_close(stream->bell);
    stream->epoll = stream->bell = -1;
}

/* Under the process-wide mutex: it is readable for what the pipe does not tell. */
static void show(const struct kernel_stream *stream)
{
    if (stream->bell < 0 || yk_load_relaxed(&stream->fork_stamp) != yk_fork_stamp())
        return; /* the parent's: nobody waits here yet */
    yk_sys_clear(stream->bell);
    if (yk_load32_seq(&stream->cancelled) || holds(stream))
        yk_sys_ring(stream->bell, 1);
}

static int open_descriptor(struct kernel_stream *stream)
{
    stream->epoll = yk_sys_epoll();
    stream->bell = stream->epoll < 0 ? stream->epoll : yk_sys_eventfd();
    int result = stream->bell;
    if (result >= 0)
        result = yk_sys_epoll_add(stream->epoll, stream->pipe.fd, YK_SYS_READABLE, 0);
    if (result >= 0)
        result = yk_sys_epoll_add(stream->epoll, stream->bell, YK_SYS_READABLE, 0);
    if (result >= 0)
        show(stream);
    if (result >= 0)
        return 0;
    close_descriptor(stream);
    return yk_fail(-result, "no descriptor for stream:%s: %s", stream->name, strerror(-result));
}

static int descriptor_of(void *self)
{
    struct kernel_stream *stream = self;
    if (stream->writing)
        return yk_fail(ENOTSUP, "stream:%s was opened for writing: nothing is received",
                       stream->name);
    yk_process_lock();
    int result = stream->epoll >= 0 ? 0 : open_descriptor(stream);
    if (result == 0)
        result = stream->epoll;
    yk_process_unlock();
    return result;
}

/* ---- calls ---- */

/* In a forked child: the threads inside were the parent's, and it is a user of its own. */
static int enter_afresh(struct kernel_stream *stream)
{
    int result = stream->named ? yk_fifo_enter(&stream->fifo) : 0;
    yk_process_lock();
    if (result == 0 && yk_load_relaxed(&stream->fork_stamp) != yk_fork_stamp()) {
        close_descriptor(stream);
        yk_store32_relaxed(&stream->visitors, 0);
        pthread_mutex_init(&stream->mutex, NULL);
        pthread_mutex_init(&stream->holding, NULL);
        yk_store32_relaxed(&stream->held, 0); /* that is the parent's */
        /* SYNC fifo.joined release: after what was made afresh */
        yk_store_release(&stream->fork_stamp, yk_fork_stamp());
    }
    yk_process_unlock();
    return result;
}

static int enter(void *self)
{
    struct kernel_stream *stream = self;
    /* SYNC fifo.joined acquire: another thread of a forked child may just have entered afresh */
    return yk_likely(yk_load_acquire(&stream->fork_stamp) == yk_fork_stamp())
               ? 0
               : enter_afresh(stream);
}

/* From here on close() waits for us. */
static int begin(struct kernel_stream *stream, bool writing, const char *what)
{
    if (stream->writing != writing)
        return yk_fail(ENOTSUP, "stream:%s was opened for %s, and can not be %s", stream->name,
                       stream->writing ? "writing" : "reading", what);
    int result = enter(stream);
    if (result == 0)
        yk_add32_seq(&stream->visitors, 1);
    return result;
}

static ssize_t finish(struct kernel_stream *stream, size_t done, ssize_t result)
{
    if (done == 0 && result == -EPIPE)
        yk_fail(EPIPE, "nobody reads stream:%s any more", stream->name);
    yk_add32_seq(&stream->visitors, UINT32_MAX); /* the last that is done with it */
    return done > 0 ? (ssize_t)done : result;
}

/* Of the pipe: what is no answer gets a sentence. */
static ssize_t of_pipe(const struct kernel_stream *stream, ssize_t result)
{
    return result >= 0 || result == -EAGAIN || result == -EPIPE
               ? result
               : yk_fail((int)-result, "the pipe of stream:%s can not be %s: %s", stream->name,
                         stream->writing ? "written" : "read", strerror((int)-result));
}

static ssize_t write_stream(void *self, const void *data, size_t size, int64_t timeout_ns)
{
    struct kernel_stream *stream = self;
    struct patience patience = patience_for(timeout_ns);
    size_t done = 0;
    ssize_t result = begin(stream, true, "written to");
    if (result < 0)
        return result;
    result = size > 0 ? connect_stream(stream, &patience) : 0;
    while (done < size && result >= 0) {
        if (stream->pipe.patient)
            result = await(stream, &stream->pipe, &patience);
        if (result >= 0)
            result = of_pipe(stream, yk_outside_write(&stream->pipe, (const char *)data + done,
                                                      size - done));
        if (result > 0)
            done += (size_t)result;
        if (result == -EAGAIN && !stream->pipe.patient)
            result = await(stream, &stream->pipe, &patience);
    }
    return finish(stream, done, result);
}

/* How many bytes; 0: the end; -EAGAIN: nothing now, or nobody has come to write yet; or an error. */
static ssize_t read_once(const struct kernel_stream *stream, void *buffer, size_t size)
{
    ssize_t got = yk_outside_read(&stream->pipe, buffer, size);
    if (got != 0)
        return got;
    if (!yk_sys_hung_up(stream->pipe.fd))
        return -EAGAIN;
    return yk_outside_read(&stream->pipe, buffer,
                           size); /* what came since, and then its writer left */
}

/* ---- what is held; the caller has `holding` ---- */

static void hold(struct kernel_stream *stream, size_t at, size_t size)
{
    bool held = holds(stream);
    stream->held_at = at;
    yk_store32_release(&stream->held, (uint32_t)size);
    if (held == (size > 0))
        return;
    yk_process_lock();
    show(stream);
    yk_process_unlock();
}

/* What is held comes before what is in the pipe. */
static ssize_t take(struct kernel_stream *stream, void *buffer, size_t size)
{
    if (yk_likely(!holds(stream)))
        return read_once(stream, buffer, size);
    pthread_mutex_lock(&stream->holding);
    size_t held = yk_load32_relaxed(&stream->held), taken = held < size ? held : size;
    memcpy(buffer, stream->hold + stream->held_at, taken);
    if (held > 0)
        hold(stream, stream->held_at + taken, held - taken);
    pthread_mutex_unlock(&stream->holding);
    return taken > 0 ? (ssize_t)taken : read_once(stream, buffer, size);
}

static ssize_t read_stream(void *self, void *buffer, size_t size, int64_t timeout_ns)
{
    struct kernel_stream *stream = self;
    struct patience patience = patience_for(timeout_ns);
    int result = begin(stream, false, "read");
    if (result < 0)
        return result;
    ssize_t got = size == 0              ? 0
                  : stream->pipe.patient ? -EAGAIN
                                         : of_pipe(stream, take(stream, buffer, size));
    while (got == -EAGAIN) {
        result = await_bytes(stream, &patience);
        got = result < 0 ? result : of_pipe(stream, take(stream, buffer, size));
        if (result < 0)
            break;
    }
    return finish(stream, 0, got);
}

/* ---- moving ---- */

struct moving {
    struct kernel_stream *stream;
    struct yk_outside outside;
    struct patience patience;
    bool copies; /* the two can not be spliced */
};

/* By pages, where the kernel can. As read_once(). */
static ssize_t splice_once(const struct moving *moving, size_t size)
{
    const struct kernel_stream *stream = moving->stream;
    int pipe = stream->pipe.fd, other = moving->outside.fd;
    size = size < MOVE_MOST ? size : MOVE_MOST;
    if (stream->writing)
        return yk_sys_splice(other, pipe, size);
    ssize_t moved = yk_sys_splice(pipe, other, size);
    if (moved != 0)
        return moved;
    return yk_sys_hung_up(pipe) ? yk_sys_splice(pipe, other, size) : -EAGAIN;
}

/* One of the two was not ready: waits for that one. */
static int await_either(const struct moving *moving)
{
    const struct kernel_stream *stream = moving->stream;
    if (stream->writing && yk_sys_hung_up(stream->pipe.fd))
        return -EPIPE;
    if (left(&moving->patience) == 0) /* also where both say that they are ready */
        return out_of_time(&moving->patience, -EAGAIN);
    if (holds(stream) || yk_sys_poll_for(stream->pipe.fd, stream->writing, 0) == 1)
        return await(stream, &moving->outside, &moving->patience);
    return stream->writing ? await(stream, &stream->pipe, &moving->patience)
                           : await_bytes(stream, &moving->patience);
}

/*
 * By a buffer, out of the pipe: what does not go is held. -EAGAIN: there is nothing, or the descriptor
 * takes nothing.
 */
static ssize_t copy_out(const struct moving *moving, size_t size)
{
    struct kernel_stream *stream = moving->stream;
    int result = await(stream, &moving->outside, &moving->patience);
    if (result == 0 && stream->pipe.patient)
        result = await_bytes(stream, &moving->patience);
    if (result < 0)
        return result;
    pthread_mutex_lock(&stream->holding);
    ssize_t got = yk_load32_relaxed(&stream->held), went = 0;
    if (got == 0) {
        stream->held_at = 0;
        got = read_once(stream, stream->hold, size < COPY_MOST ? size : COPY_MOST);
    }
    if (got > 0) {
        went = yk_outside_write(&moving->outside, stream->hold + stream->held_at,
                                (size_t)got < size ? (size_t)got : size);
        size_t gone = went > 0 ? (size_t)went : 0;
        hold(stream, stream->held_at + gone, (size_t)got - gone);
    }
    pthread_mutex_unlock(&stream->holding);
    return got > 0 ? went : got;
}

/*
 * By a buffer, into the pipe, and so little that it takes it when it can be written. Where somebody else
 * was faster it is waited for, even when the time is over: what was read can not be put back.
 */
static ssize_t copy_in(const struct moving *moving, size_t size)
{
    const struct kernel_stream *stream = moving->stream;
    char buffer[COPY_MOST];
    int result = await(stream, &stream->pipe, &moving->patience);
    if (result == 0 && moving->outside.patient)
        result = await(stream, &moving->outside, &moving->patience);
    if (result < 0)
        return result;
    if (yk_sys_poll_for(stream->pipe.fd, true, 0) != 1)
        return -EAGAIN; /* not any more */
    ssize_t got = yk_outside_read(&moving->outside, buffer, size < COPY_MOST ? size : COPY_MOST);
    for (ssize_t done = 0; done < got;) {
        ssize_t went = yk_outside_write(&stream->pipe, buffer + done, (size_t)(got - done));
        if (went == -EAGAIN) {
            yk_sys_poll_for(stream->pipe.fd, true, SLICE);
            continue;
        }
        if (went < 0)
            return went;
        done += went;
    }
    return got;
}

static ssize_t move_once(struct moving *moving, size_t size)
{
    const struct kernel_stream *stream = moving->stream;
    if (!moving->copies && !holds(stream)) {
        ssize_t moved = splice_once(moving, size);
        if (moved != -EINVAL)
            return moved;
        moving->copies = true;
    }
    return stream->writing ? copy_in(moving, size) : copy_out(moving, size);
}

static ssize_t move_bytes(struct moving *moving, size_t size, size_t *done)
{
    ssize_t result = 1;
    while (*done < size && result > 0) {
        result = move_once(moving, size - *done);
        if (result > 0)
            *done += (size_t)result;
        if (result == -EAGAIN) {
            result = await_either(moving);
            result = result < 0 ? result : 1;
        }
    }
    return result;
}

static ssize_t move_stream(void *self, int descriptor, size_t size, int64_t timeout_ns)
{
    struct kernel_stream *stream = self;
    struct moving moving = {.stream = stream, .patience = patience_for(timeout_ns)};
    size_t done = 0;
    ssize_t result = begin(stream, stream->writing, "moved");
    if (result < 0)
        return result;
    result = yk_outside_open(&moving.outside, descriptor, !stream->writing);
    if (result < 0)
        return finish(stream, 0, result);
    moving.copies = moving.outside.waits;
    result = connect_stream(stream, &moving.patience);
    bool connected = result > 0;
    if (connected)
        result = move_bytes(&moving, size, &done);
    yk_outside_close(&moving.outside);
    /* whose error it is: the stream's, when nobody reads that; else the descriptor's */
    if (done == 0 && result < 0 && connected &&
        !(stream->writing && yk_sys_hung_up(stream->pipe.fd))) {
        finish(stream, 0, 0);
        return yk_outside_explain(&moving.outside, (int)result);
    }
    return finish(stream, done, result > 0 ? 0 : result);
}

/* ---- what it is ---- */

static size_t capacity(void *self)
{
    const struct kernel_stream *stream = self;
    int size = yk_load32_acquire(&stream->connected) ? yk_sys_pipe_capacity(stream->pipe.fd) : -1;
    return size > 0 ? (size_t)size : (size_t)stream->fifo.facts.capacity;
}

static int end(void *self)
{
    const struct kernel_stream *stream = self;
    if (!yk_load32_acquire(&stream->connected) || !yk_sys_hung_up(stream->pipe.fd))
        return 0;
    return yk_fail(EPIPE, "nobody %s stream:%s any more", stream->writing ? "reads" : "writes to",
                   stream->name);
}

static int cancel(void *self)
{
    struct kernel_stream *stream = self;
    yk_store32_release(&stream->cancelled, 1);
    yk_process_lock();
    show(stream);
    yk_process_unlock();
    return 0;
}

static void let_go(struct kernel_stream *stream, bool abandon)
{
    cancel(stream);
    /* in a forked child the others are the parent's */
    while (yk_load_relaxed(&stream->fork_stamp) == yk_fork_stamp() &&
           yk_load32_seq(&stream->visitors) != 0)
        yk_nap(CLOSE_NAP);
    close_descriptor(stream);
    if (yk_load32_relaxed(&stream->connected))
        yk_sys_close(stream->pipe.fd);
    if (stream->named)
        yk_fifo_close(&stream->fifo, abandon);
    pthread_mutex_destroy(&stream->mutex);
    pthread_mutex_destroy(&stream->holding);
    free(stream);
}

static void close_stream(void *self)
{
    let_go(self, false);
}

static const struct yk_endpoint_operations operations = {
    .what = "a stream, which has bytes and not messages,",
    .close = close_stream,
    .cancel = cancel,
    .fd = descriptor_of,
    .enter = enter,
    .write = write_stream,
    .read = read_stream,
    .move = move_stream,
    .capacity = capacity,
    .end = end,
};

/* ---- opening ---- */

static struct kernel_stream *new_stream(bool writing)
{
    struct kernel_stream *stream = yk_sys_allocate(1, sizeof *stream);
    if (!stream) {
        yk_fail(ENOMEM, "no memory for an endpoint");
        return NULL;
    }
    stream->writing = writing;
    stream->epoll = stream->bell = -1;
    stream->pipe = (struct yk_outside){.fd = -1, .writing = writing, .pipe = true};
    yk_store_relaxed(&stream->fork_stamp, yk_fork_stamp());
    pthread_mutex_init(&stream->mutex, NULL);
    pthread_mutex_init(&stream->holding, NULL);
    return stream;
}

static void hand_over(yoke_endpoint *endpoint, struct kernel_stream *stream)
{
    endpoint->self = stream;
    endpoint->operations = &operations;
}

static int refuse_capacity(size_t wanted, int error)
{
    char text[32] = "";
    int fd = yk_sys_open(AT_FDCWD, LIMIT_FILE, O_RDONLY, 0);
    ssize_t size = fd < 0 ? 0 : yk_sys_read_all(fd, text, sizeof text - 1, 0);
    if (fd >= 0)
        yk_sys_close(fd);
    text[size < 0 ? 0 : size] = '\0';
    text[strcspn(text, "\n")] = '\0';
    return yk_fail(-error,
                   "a pipe of %zu bytes: " LIMIT_FILE " allows %s to who is not root, and "
                   "pipe-user-pages-soft, beside it, so much in all: %s",
                   wanted, text, strerror(-error));
}

/* What a pipe of that size really has: asked with one that goes at once. */
static int64_t plan_capacity(size_t wanted)
{
    int ends[2], result = yk_sys_pipe(ends);
    if (result < 0)
        return yk_fail(-result, "a pipe can not be made: %s", strerror(-result));
    result = wanted ? yk_sys_set_pipe_capacity(ends[0], wanted) : 0;
    int size = yk_sys_pipe_capacity(ends[0]);
    yk_sys_close(ends[0]);
    yk_sys_close(ends[1]);
    if (result < 0)
        return refuse_capacity(wanted, result);
    return size > 0 ? size : SIZE_DEFAULT;
}

static int check(uint32_t flags, const struct yoke_options *options)
{
    int result = yk_options_check(YK_KIND_STREAM, flags, options);
    if (result == 0)
        result = yk_access_check(options->mode, options->group);
    if (result == 0 && (flags & (YOKE_HUGE | YOKE_POPULATE | YOKE_SPARSE)))
        result = yk_fail(ENOTSUP, "a stream in the kernel place has no memory of its own: huge, "
                                  "populate and sparse are for the place memory");
    if (result == 0 && options->participants != 0)
        result = yk_fail(ENOTSUP,
                         "%u participants: how many may have a stream in the kernel place "
                         "open can not be said",
                         options->participants);
    return result < 0 ? result : yk_stream_side(flags);
}

int yk_kernel_stream_open(yoke_endpoint *endpoint, const struct yk_address *address, uint32_t flags,
                          const struct yoke_options *options)
{
    int side = check(flags, options);
    if (side < 0)
        return side;
    int64_t wanted = flags & YOKE_CREATE ? plan_capacity(options->capacity) : 0;
    int result = wanted < 0 ? (int)wanted : yk_fork_init();
    struct kernel_stream *stream = result < 0 ? NULL : new_stream(side == YK_BYTES_WRITING);
    if (!stream)
        return result < 0 ? result : -ENOMEM;
    struct yk_fifo_plan plan = {
        .name = address->name,
        .flags = flags,
        .mode = options->mode,
        .group = options->group,
        .capacity = (uint64_t)wanted,
    };
    result = yk_fifo_open(&stream->fifo, &plan);
    stream->named = result == 0;
    snprintf(stream->name, sizeof stream->name, "%s@kernel", address->name);
    if (result == 0)
        result = connect_now(stream);
    if (result < 0) /* what was made goes again, unless somebody has found it already */
        let_go(stream, true);
    else
        hand_over(endpoint, stream);
    return result < 0 ? result : 0;
}

/* A description of our own, if that can be: then it does not wait, and the caller's does as it did. */
static int take_descriptor(struct kernel_stream *stream, int descriptor)
{
    int result = yk_outside_open(&stream->pipe, descriptor, stream->writing);
    if (result < 0)
        return result;
    stream->pipe.fd = stream->pipe.own ? stream->pipe.fd : yk_sys_duplicate(descriptor);
    if (stream->pipe.fd < 0)
        return yk_fail(-stream->pipe.fd, "no descriptor for the pipe of descriptor %d: %s",
                       descriptor, strerror(-stream->pipe.fd));
    yk_store32_release(&stream->connected, 1);
    return 0;
}

int yk_kernel_stream_open_descriptor(yoke_endpoint *endpoint, int descriptor,
                                     const struct yoke_options *options)
{
    int result = yk_options_check(YK_KIND_STREAM, 0, options);
    int access = yk_sys_file_flags(descriptor) & O_ACCMODE;
    if (result == 0)
        result = yk_fork_init();
    if (result == 0 && access == O_RDWR)
        result =
            yk_fail(EINVAL, "descriptor %d is both ends of a FIFO: a stream is one", descriptor);
    struct kernel_stream *stream = result < 0 ? NULL : new_stream(access == O_WRONLY);
    if (!stream)
        return result < 0 ? result : -ENOMEM;
    strcpy(stream->name, UNNAMED);
    result = take_descriptor(stream, descriptor);
    if (result == 0 && options->capacity > 0) {
        result = yk_sys_set_pipe_capacity(stream->pipe.fd, options->capacity);
        result = result < 0 ? refuse_capacity(options->capacity, result) : 0;
    }
    if (result < 0)
        close_stream(stream);
    else
        hand_over(endpoint, stream);
    return result;
}

int yk_kernel_stream_remove(const struct yk_address *address)
{
    return yk_fifo_remove(address->name);
}
