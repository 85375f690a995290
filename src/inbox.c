/*
 * inbox.c - receiving signals: the endpoint that yoke_signals_open() makes. See signals.h.
 *
 * Signals come from two places: the peer's port (or its socket in the kernel), and the signalfd of
 * the UNIX signals that it catches. Where it catches any, it looks at both in turns, lest one keeps
 * the other waiting, and sleeps on a descriptor of both: the port's (notice.h) or the socket, and the
 * signalfd. Where it catches none, it sleeps as every receiver of a port does. Across machines the port is
 * the place's, an endpoint behind this one.
 *
 * An inbox belongs to the process that opened it: a signal is for a living process, and a forked
 * child is another one.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/sys.h"
#include "endpoint.h"
#include "notice.h"
#include "peer.h"
#include "peer_lock.h"
#include "place.h"
#include "signal_socket.h"
#include "signals.h"

#define DEPTH_DEFAULT  1024
#define PLACES_DEFAULT 256 /* participants: the owner, and who sends */

struct inbox {
    struct yk_port port; /* not in memory: only object.cancelled and object.visitors of it */
    yoke_endpoint far;   /* across machines: self and operations; else those are NULL */
    char name[YOKE_PEER_NAME_MAX + 1];
    bool kernel;
    struct yk_guarded_fd socket; /* in the kernel */
    int cancelling;              /* in the kernel: an eventfd; readable: cancelled */
    struct yk_peer *peer;        /* NULL across machines, whose place knows it */
    uint64_t fork_stamp;         /* of the process that it belongs to */
    yk_atomic32 signals;         /* the signalfd plus 1; 0: no UNIX signals are caught */
    yk_atomic32 turn;            /* which of the two to look at first */
    yk_atomic64 received;        /* from the socket */
    yk_atomic64 caught;          /* UNIX signals */
    uint64_t catching;           /* which; this and all below under the process-wide mutex */
    int descriptor;              /* yoke_fd(): an epoll of all sources; -1: not asked for */
};

static bool is_mine(const struct inbox *inbox)
{
    return inbox->fork_stamp == yk_fork_stamp();
}

static const char *name_of(const struct inbox *inbox)
{
    return inbox->name;
}

static bool is_far(const struct inbox *inbox)
{
    return inbox->far.operations != NULL;
}

static int signals_of(const struct inbox *inbox)
{
    return (int)yk_load32_acquire(&inbox->signals) - 1; /* SYNC inbox.signals acquire */
}

/* ---- what comes from where: 1 and the signal, 0 nothing now, or an error ---- */

static int no_yoke_wrote(const struct inbox *inbox)
{
    return yk_fail(EPROTO, "peer:%s was sent a signal that no yoke wrote", name_of(inbox));
}

static int take_packet(struct yoke_signal *ret, const struct inbox *inbox,
                       const struct yk_signal_packet *packet, size_t size)
{
    struct yoke_signal signal = {.value = packet->value, .number = packet->number};
    memcpy(signal.sender, packet->sender, sizeof packet->sender);
    if (size != sizeof *packet ||
        (signal.sender[0] != '\0' && yk_name_check(YK_KIND_PEER, signal.sender) < 0))
        return no_yoke_wrote(inbox);
    *ret = signal;
    return 1;
}

static int take_from_port(struct inbox *inbox, struct yoke_signal *ret, int64_t timeout_ns)
{
    struct yk_signal_packet packet;
    struct yoke_message message = {.data = &packet, .capacity = sizeof packet};
    ssize_t result =
        is_far(inbox) ? inbox->far.operations->recv_many(inbox->far.self, &message, 1, timeout_ns)
                      : yk_port_recv_many(&inbox->port, &message, 1, timeout_ns);
    if (result == -EMSGSIZE)
        return no_yoke_wrote(inbox);
    if (result < 0)
        return (int)result;
    result = take_packet(ret, inbox, &packet, message.size);
    if (result == 1) {
        ret->sequence = message.sequence;
        ret->pid = message.sender;
        ret->uid = packet.uid;
    }
    return (int)result;
}

/*
 * Does the process that the kernel says sent it hold the lock of the name that it gave? It says
 * through which descriptor; who says a wrong one is not proven.
 */
static bool is_named(const struct inbox *inbox, const struct yoke_signal *signal, int32_t proof)
{
    struct yk_directory directory;
    struct yk_record record;
    if (signal->sender[0] == '\0' || signal->pid <= 0 ||
        yk_directory_open(&directory, inbox->peer->object.directory, true) < 0)
        return false;
    int lock_file = yk_peer_open_lock(&directory, signal->sender, &record);
    bool is = lock_file >= 0 && yk_peer_lock_held_through(lock_file, signal->pid, proof);
    if (lock_file >= 0)
        yk_sys_close(lock_file);
    yk_directory_close(&directory);
    return is;
}

static int take_from_socket(struct inbox *inbox, struct yoke_signal *ret)
{
    struct yk_signal_packet packet;
    struct yk_sender sender;
    ssize_t size = yk_sys_datagram_recv(inbox->socket.fd, &packet, sizeof packet, &sender);
    if (size == -EAGAIN)
        return 0;
    if (size < 0)
        return yk_fail((int)-size, "the signals of peer:%s can not be received: %s", name_of(inbox),
                       strerror((int)-size));
    int result = take_packet(ret, inbox, &packet, (size_t)size);
    if (result == 1) {
        ret->sequence = yk_add_seq(&inbox->received, 1);
        ret->pid = sender.pid;
        ret->uid = sender.uid;
        ret->origin = is_named(inbox, ret, packet.proof) ? YOKE_SIGNAL_NAMED : YOKE_SIGNAL_PROVEN;
    }
    return result;
}

static int take_unix(struct inbox *inbox, struct yoke_signal *ret, int fd)
{
    struct yk_unix_signal caught;
    int result = yk_sys_read_signal(fd, &caught);
    if (result != 1)
        return result;
    *ret = (struct yoke_signal){
        .value = caught.value,
        .sequence = yk_add_seq(&inbox->caught, 1),
        .number = (uint32_t)caught.number,
        .origin = caught.proven ? YOKE_SIGNAL_PROVEN : YOKE_SIGNAL_STATED,
        .pid = caught.pid,
        .uid = caught.uid,
        .unix_signal = caught.number,
        .merged = caught.number < yk_sys_first_queued_signal(),
    };
    return 1;
}

/* ---- its descriptor: an epoll of all sources ---- */

static int no_descriptor(const struct inbox *inbox, int error)
{
    return yk_fail(-error, "no descriptor for the signals of peer:%s: %s", name_of(inbox),
                   strerror(-error));
}

static int add_source(const struct inbox *inbox, int fd)
{
    int result = yk_sys_epoll_add(inbox->descriptor, fd, YK_SYS_READABLE, (uint64_t)fd);
    return result < 0 ? no_descriptor(inbox, result) : 0;
}

static int open_descriptor(struct inbox *inbox, int messages)
{
    inbox->descriptor = yk_sys_epoll();
    if (inbox->descriptor < 0)
        return no_descriptor(inbox, inbox->descriptor);
    int result = add_source(inbox, messages);
    if (result == 0 && inbox->kernel)
        result = add_source(inbox, inbox->cancelling);
    if (result == 0 && signals_of(inbox) >= 0)
        result = add_source(inbox, signals_of(inbox));
    if (result < 0) {
        yk_sys_close(inbox->descriptor);
        inbox->descriptor = -1;
    }
    return result;
}

static int descriptor(struct inbox *inbox)
{
    int messages = inbox->kernel   ? inbox->socket.fd
                   : is_far(inbox) ? inbox->far.operations->fd(inbox->far.self)
                                   : yk_descriptor_open(&inbox->port.waiting);
    if (messages < 0)
        return messages;
    yk_process_lock();
    int result = inbox->descriptor >= 0 ? 0 : open_descriptor(inbox, messages);
    if (result == 0)
        result = inbox->descriptor;
    yk_process_unlock();
    return result;
}

/* ---- waiting ---- */

static int take_message(struct inbox *inbox, struct yoke_signal *ret)
{
    if (inbox->kernel)
        return take_from_socket(inbox, ret);
    int result = take_from_port(inbox, ret, YOKE_NOW); /* arms its descriptor, if it has one */
    return result == -EAGAIN ? 0 : result;
}

/* Each source in turn the first one: neither keeps the other waiting. */
static int look(struct inbox *inbox, struct yoke_signal *ret)
{
    int signals = signals_of(inbox);
    bool unix_first = signals >= 0 && (yk_add32_seq(&inbox->turn, 1) & 1) != 0;
    int result = unix_first ? take_unix(inbox, ret, signals) : 0;
    if (result == 0)
        result = take_message(inbox, ret);
    if (result == 0 && signals >= 0 && !unix_first)
        result = take_unix(inbox, ret, signals);
    return result == 0 && yk_load32_seq(&inbox->port.object.cancelled) ? -ECANCELED : result;
}

/* A port's sender may be stopped before it rings; the kernel never is, and servers wake a place. */
static int64_t slice_of(const struct inbox *inbox, int64_t deadline)
{
    int64_t left = deadline == INT64_MAX ? INT64_MAX : deadline - yk_now();
    return inbox->kernel || is_far(inbox) || left < YK_SLICE ? left : YK_SLICE;
}

static int wait_for_all(struct inbox *inbox, struct yoke_signal *ret, int64_t timeout_ns)
{
    int64_t deadline = yk_deadline(timeout_ns);
    int fd = timeout_ns == 0 ? 0 : descriptor(inbox);
    if (fd < 0)
        return fd;
    for (;;) {
        int result = look(inbox, ret);
        bool away = result == -EHOSTUNREACH && timeout_ns != 0; /* a place's servers, for a while */
        if (result != 0 && !away)
            return result < 0 ? result : 0;
        if (timeout_ns == 0)
            return -EAGAIN;
        int64_t slice = slice_of(inbox, deadline);
        if (slice <= 0)
            return away ? result : -ETIMEDOUT;
        if (away) /* its descriptor is readable as long as they are */
            slice = slice < YK_SLICE ? slice : YK_SLICE;
        result = yk_sys_poll(away ? signals_of(inbox) : fd, -1, slice);
        if (result < 0)
            return result;
    }
}

static int receive(struct inbox *inbox, struct yoke_signal *ret, int64_t timeout_ns)
{
    struct yoke_signal signal;
    int result;
    if (inbox->kernel || signals_of(inbox) >= 0)
        result = wait_for_all(inbox, &signal, timeout_ns);
    else /* by the futex alone */
        result = take_from_port(inbox, &signal, timeout_ns);
    if (result >= 0)
        *ret = signal;
    return result < 0 ? result : 0;
}

/* ---- the endpoint ---- */

static int not_mine(const struct inbox *inbox)
{
    return yk_fail(EPERM,
                   "the inbox of peer:%s belongs to the process that opened it, and this is a "
                   "child of it: it may join and open one of its own",
                   name_of(inbox));
}

/* In a forked child nobody waits, and what there is stays the parent's. */
static int cancel(void *self)
{
    struct inbox *inbox = self;
    struct yk_object *object = &inbox->port.object;
    yk_store32_release(&object->cancelled, 1);
    if (!is_mine(inbox))
        return 0;
    yk_fence_seq(); /* before the look who is inside, and before the bells */
    if (inbox->kernel) {
        yk_sys_ring(inbox->cancelling, 1);
    } else if (is_far(inbox)) {
        inbox->far.operations->cancel(inbox->far.self);
    } else {
        yk_wake_own(object);
        yk_ring_own(&inbox->port.waiting);
    }
    return 0;
}

/* Before the memory goes: from now on nobody finds it. Senders that have it open see its owner gone. */
static void retire(struct inbox *inbox)
{
    struct yk_directory directory;
    char entry[YK_ENTRY_MAX];
    struct yk_object *object = &inbox->port.object;
    if (yk_directory_open(&directory, object->directory, true) < 0)
        return;
    yk_name_entry(entry, YK_KIND_SIGNALS, object->fixed.name);
    yk_name_retire(&directory, entry, object->fixed.nonce, false, YK_PATIENCE);
    yk_directory_close(&directory);
}

static void close_sources(struct inbox *inbox)
{
    if (inbox->descriptor >= 0)
        yk_sys_close(inbox->descriptor);
    if (signals_of(inbox) >= 0)
        yk_sys_close(signals_of(inbox));
    if (inbox->kernel) {
        yk_sys_close(inbox->cancelling);
        yk_signal_socket_remove(&inbox->socket, inbox->peer);
        return;
    }
    if (is_far(inbox)) {
        inbox->far.operations->close(inbox->far.self);
        return;
    }
    if (is_mine(inbox))
        retire(inbox);
    yk_port_close(&inbox->port);
}

static void close_inbox(void *self)
{
    struct inbox *inbox = self;
    cancel(inbox);
    if (is_mine(inbox))
        yk_wait_for_visitors(&inbox->port.object);
    close_sources(inbox);
    if (!is_far(inbox))
        yk_peer_close_inbox(inbox->peer, inbox->fork_stamp);
    free(inbox);
}

static int enter(void *self)
{
    return is_mine(self) ? 0 : not_mine(self);
}

static int own_descriptor(void *self)
{
    return descriptor(self);
}

static const struct yk_endpoint_operations operations = {
    .what = "an inbox of signals",
    .close = close_inbox,
    .cancel = cancel,
    .fd = own_descriptor,
    .enter = enter,
};

/* ---- opening ---- */

static int open_in_memory(struct inbox *inbox, const struct yoke_options *options)
{
    const char *name = name_of(inbox);
    struct yoke_options own = YOKE_OPTIONS_INIT;
    own.max_message = sizeof(struct yk_signal_packet);
    own.depth = options->depth ? options->depth : DEPTH_DEFAULT;
    own.participants = options->participants ? options->participants : PLACES_DEFAULT;
    own.policy = YOKE_POLICY_ONCE;
    own.max_parked = own.max_borrowed = 1;
    own.mode = options->mode;
    own.group = options->group;
    own.spin_ns = options->spin_ns;
    if (own.participants < 2)
        return yk_fail(EINVAL, "an inbox for %u participant has no place for who sends",
                       own.participants);
    int result = yk_object_remove(YK_KIND_SIGNALS, name); /* an earlier owner's of this name */
    if (result < 0 && result != -ENOENT)
        return result;
    return yk_port_open_as(&inbox->port, YK_KIND_SIGNALS, YK_SIGNALS_OWNER, name,
                           YOKE_CREATE | YOKE_EXCLUSIVE, &own);
}

static int open_in_kernel(struct inbox *inbox, const struct yoke_options *options)
{
    inbox->kernel = true;
    inbox->cancelling = yk_sys_eventfd();
    if (inbox->cancelling < 0)
        return no_descriptor(inbox, inbox->cancelling);
    int result = yk_signal_socket_make(&inbox->socket, inbox->peer, options);
    if (result < 0)
        yk_sys_close(inbox->cancelling);
    return result;
}

static int open_far(struct inbox *inbox, const yoke_peer *peer, uint32_t flags,
                    const struct yoke_options *options)
{
    struct yk_address address = peer->at;
    if (flags & YOKE_SIGNALS_KERNEL)
        return yk_fail(ENOTSUP,
                       "peer:%s is in a place across machines: its signals wait there, and not in "
                       "the kernel",
                       address.name);
    if (options->depth > 1u << 20)
        return yk_fail(EINVAL, "a depth of %u is more than %u", options->depth, 1u << 20);
    address.kind = YK_KIND_SIGNALS;
    return address.place->open(&inbox->far, &address, YOKE_CREATE, options);
}

static int open_inbox(struct inbox *inbox, yoke_peer *peer, uint32_t flags,
                      const struct yoke_options *options)
{
    const char *name;
    int result = yk_peer_name(peer, &name);
    if (result < 0)
        return result;
    strcpy(inbox->name, name);
    inbox->fork_stamp = yk_fork_stamp();
    inbox->descriptor = -1;
    if (peer->elsewhere)
        return open_far(inbox, peer, flags, options);
    result = yk_peer_open_inbox(peer, &inbox->peer);
    if (result < 0)
        return result;
    result = flags & YOKE_SIGNALS_KERNEL ? open_in_kernel(inbox, options)
                                         : open_in_memory(inbox, options);
    if (result < 0)
        yk_peer_close_inbox(inbox->peer, inbox->fork_stamp);
    return result;
}

static int open_endpoint(yoke_endpoint **ret_inbox, yoke_peer *peer, uint32_t flags,
                         const struct yoke_options *options)
{
    struct inbox *inbox = yk_sys_allocate_aligned(128, (sizeof *inbox + 127) / 128 * 128);
    yoke_endpoint *endpoint = yk_endpoint_new(YK_KIND_SIGNALS);
    int result = inbox && endpoint ? 0 : yk_fail(ENOMEM, "no memory for an inbox");
    if (result == 0) {
        memset(inbox, 0, sizeof *inbox);
        result = open_inbox(inbox, peer, flags, options);
    }
    if (result < 0) {
        free(inbox);
        free(endpoint);
        return result;
    }
    endpoint->self = inbox;
    endpoint->operations = &operations;
    *ret_inbox = endpoint;
    return 0;
}

YOKE_API int yoke_signals_open(yoke_endpoint **ret_inbox, yoke_peer *peer, uint32_t flags,
                               const struct yoke_options *options)
{
    static const struct yoke_options defaults = YOKE_OPTIONS_INIT;
    if (!ret_inbox)
        return yk_fail(EINVAL, "ret_inbox is NULL: there is nowhere to put the result");
    if (!peer)
        return yk_fail(EINVAL, "the peer is NULL");
    if (flags & ~YOKE_SIGNALS_KERNEL)
        return yk_fail(EINVAL, "flags 0x%x are not known here", flags & ~YOKE_SIGNALS_KERNEL);
    if (options && options->struct_size != sizeof *options)
        return yk_fail(EINVAL, "the options were not initialised with YOKE_OPTIONS_INIT");
    return open_endpoint(ret_inbox, peer, flags, options ? options : &defaults);
}

/* ---- using it ---- */

/* The inbox behind it: 0 or an error. */
static int inbox_of(struct inbox **ret, const yoke_endpoint *endpoint)
{
    if (!endpoint)
        return yk_fail(EINVAL, "the endpoint is NULL");
    if (endpoint->operations != &operations)
        return yk_fail(EINVAL, "this endpoint is no inbox: yoke_signals_open() opens one");
    *ret = endpoint->self;
    return is_mine(*ret) ? 0 : not_mine(*ret);
}

YOKE_API int yoke_signal_recv(yoke_endpoint *endpoint, struct yoke_signal *ret_signal,
                              int64_t timeout_ns)
{
    struct inbox *inbox;
    int result = inbox_of(&inbox, endpoint);
    if (result == 0 && !ret_signal)
        result = yk_fail(EINVAL, "ret_signal is NULL: there is nowhere to put the result");
    if (result == 0 && timeout_ns < YOKE_FOREVER)
        result = yk_bad_timeout(timeout_ns);
    if (result < 0)
        return result;
    yk_visit_begin(&inbox->port.object);
    result = receive(inbox, ret_signal, timeout_ns);
    yk_visit_end(&inbox->port.object);
    return result;
}

static int catch_locked(struct inbox *inbox, uint64_t set)
{
    int fd = signals_of(inbox);
    int result = yk_sys_signalfd(fd, inbox->catching | set);
    if (result < 0)
        return yk_fail(-result, "no descriptor for UNIX signals: %s", strerror(-result));
    if (fd < 0 && inbox->descriptor >= 0) {
        int added = add_source(inbox, result);
        if (added < 0) {
            yk_sys_close(result);
            return added;
        }
    }
    inbox->catching |= set;
    yk_store32_release(&inbox->signals, (uint32_t)result + 1); /* SYNC inbox.signals release */
    return 0;
}

YOKE_API int yoke_signals_catch(yoke_endpoint *endpoint, const int *unix_signals, size_t count)
{
    struct inbox *inbox;
    uint64_t set = 0;
    int result = inbox_of(&inbox, endpoint);
    if (result == 0 && !unix_signals && count > 0)
        result = yk_fail(EINVAL, "unix_signals is NULL and count %zu", count);
    for (size_t i = 0; i < count && result == 0; i++) {
        uint64_t bit = yk_sys_signal_bit(unix_signals[i]);
        set |= bit;
        if (bit == 0)
            result = yk_fail(EINVAL, "UNIX signal %d is none that can be caught", unix_signals[i]);
    }
    if (result == 0) {
        yk_process_lock();
        result = catch_locked(inbox, set);
        yk_process_unlock();
    }
    if (result == 0)
        result = yk_sys_block_signals(set); /* can not fail */
    return result;
}
