/* actor.c - see actor.h. */
#include "actor.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "inspect.h"
#include "peer.h"
#include "place/channel.h"
#include "port.h"
#include "stream.h"
#include "yoke.h"

const char *const verb_names[VERBS] = {
    [DO_NOTHING] = "nothing",
    [DO_FORK] = "fork",
    [DO_REGION_CREATE] = "region_create",
    [DO_REGION_OPEN] = "region_open",
    [DO_PORT_OPEN] = "port_open",
    [DO_PEER_JOIN] = "peer_join",
    [DO_LINK_OPEN] = "link_open",
    [DO_PAIR] = "pair",
    [DO_PAIR_OPEN] = "pair_open",
    [DO_CLOSE] = "close",
    [DO_REMOVE_REGION] = "remove_region",
    [DO_REMOVE_PORT] = "remove_port",
    [DO_GC] = "gc",
    [DO_MARK] = "mark",
    [DO_READ_MARK] = "read_mark",
    [DO_LOCK] = "lock",
    [DO_UNLOCK] = "unlock",
    [DO_LOCK_WORD] = "lock_word",
    [DO_SEMAPHORE_INIT] = "semaphore_init",
    [DO_SEMAPHORE_ACQUIRE] = "semaphore_acquire",
    [DO_SEMAPHORE_RELEASE] = "semaphore_release",
    [DO_SEMAPHORE_VALUE] = "semaphore_value",
    [DO_NOTIFY] = "notify",
    [DO_EVENT_WAIT] = "event_wait",
    [DO_EVENT_COUNT] = "event_count",
    [DO_SEND] = "send",
    [DO_RECV] = "recv",
    [DO_LOAN] = "loan",
    [DO_COMMIT] = "commit",
    [DO_BORROW] = "borrow",
    [DO_RELEASE] = "release",
    [DO_RETURN] = "return",
    [DO_COUNT] = "count",
    [DO_FD] = "fd",
    [DO_LOOP] = "loop",
    [DO_STREAM_PAIR] = "stream_pair",
    [DO_STREAM_OPEN] = "stream_open",
    [DO_SIGNALS_OPEN] = "signals_open",
    [DO_REMOVE] = "remove",
    [DO_SEND_ONE] = "send",
    [DO_SEND_TWO] = "send two",
    [DO_RECV_ONE] = "recv",
    [DO_BORROW_ONE] = "borrow",
    [DO_COMMIT_MANY] = "commit_many",
    [DO_WAITER] = "waiter",
    [DO_WAITER_ENDS] = "waiter_ends",
    [DO_CANCEL] = "cancel",
    [DO_REGION_CANCEL] = "region_cancel",
    [DO_WRITE] = "write",
    [DO_READ] = "read",
    [DO_MOVE_OUT] = "move out",
    [DO_MOVE_IN] = "move in",
    [DO_INSIDE] = "inside",
    [DO_THERE] = "there",
    [DO_STREAM_END] = "stream_end",
    [DO_PEER_WAIT] = "peer_wait",
    [DO_PEER_LIST] = "peer_list",
    [DO_PEER_ACCEPT] = "peer_accept",
    [DO_PEER_NEXT] = "peer_next",
    [DO_PEER_FD] = "peer_fd",
    [DO_LINK_WAIT] = "link_wait",
    [DO_SIGNAL] = "signal_send",
    [DO_SIGNAL_RECV] = "signal_recv",
    [DO_CATCH] = "signals_catch",
    [DO_SIGNAL_KILL] = "signal_kill",
    [DO_SIGNAL_QUEUE] = "signal_queue",
    [DO_SET_CREATE] = "set_create",
    [DO_SET_ADD] = "set_add",
    [DO_SET_ADD_PEER] = "set_add_peer",
    [DO_SET_ADD_GONE] = "set_add_gone",
    [DO_SET_REMOVE] = "set_remove",
    [DO_SET_WAIT] = "set_wait",
    [DO_SET_FD] = "set_fd",
    [DO_SET_CANCEL] = "set_cancel",
    [DO_SET_CLOSE] = "set_close",
};

const char *const verb_functions[VERBS] = {
    [DO_REGION_CREATE] = "yoke_region_create",
    [DO_REGION_OPEN] = "yoke_region_open",
    [DO_PORT_OPEN] = "yoke_open",
    [DO_PEER_JOIN] = "yoke_peer_join",
    [DO_LINK_OPEN] = "yoke_open",
    [DO_PAIR] = "yoke_pair",
    [DO_STREAM_PAIR] = "yoke_stream_pair",
    [DO_PAIR_OPEN] = "yoke_open_descriptor",
    [DO_STREAM_OPEN] = "yoke_open",
    [DO_SIGNALS_OPEN] = "yoke_signals_open",
    [DO_CLOSE] = "yoke_close",
    [DO_REMOVE_REGION] = "yoke_region_remove",
    [DO_REMOVE_PORT] = "yoke_remove",
    [DO_REMOVE] = "yoke_remove",
    [DO_LOCK] = "yoke_lock_acquire",
    [DO_UNLOCK] = "yoke_lock_release",
    [DO_SEMAPHORE_INIT] = "yoke_semaphore_init",
    [DO_SEMAPHORE_ACQUIRE] = "yoke_semaphore_acquire",
    [DO_SEMAPHORE_RELEASE] = "yoke_semaphore_release",
    [DO_SEMAPHORE_VALUE] = "yoke_semaphore_value",
    [DO_NOTIFY] = "yoke_event_notify",
    [DO_EVENT_WAIT] = "yoke_event_wait",
    [DO_EVENT_COUNT] = "yoke_event_count",
    [DO_SEND] = "yoke_send_many",
    [DO_RECV] = "yoke_recv_many",
    [DO_LOAN] = "yoke_loan",
    [DO_COMMIT] = "yoke_commit",
    [DO_BORROW] = "yoke_borrow_many",
    [DO_RELEASE] = "yoke_release",
    [DO_RETURN] = "yoke_return",
    [DO_FD] = "yoke_fd",
    [DO_SEND_ONE] = "yoke_send",
    [DO_SEND_TWO] = "yoke_send_many",
    [DO_RECV_ONE] = "yoke_recv",
    [DO_BORROW_ONE] = "yoke_borrow",
    [DO_COMMIT_MANY] = "yoke_commit_many",
    [DO_CANCEL] = "yoke_cancel",
    [DO_REGION_CANCEL] = "yoke_region_cancel",
    [DO_WRITE] = "yoke_write",
    [DO_READ] = "yoke_read",
    [DO_MOVE_OUT] = "yoke_move",
    [DO_MOVE_IN] = "yoke_move",
    [DO_STREAM_END] = "yoke_stream_end",
    [DO_PEER_WAIT] = "yoke_peer_wait",
    [DO_PEER_LIST] = "yoke_peer_list",
    [DO_PEER_ACCEPT] = "yoke_peer_accept",
    [DO_PEER_NEXT] = "yoke_peer_next",
    [DO_PEER_FD] = "yoke_peer_fd",
    [DO_LINK_WAIT] = "yoke_link_wait",
    [DO_SIGNAL] = "yoke_signal_send",
    [DO_SIGNAL_RECV] = "yoke_signal_recv",
    [DO_CATCH] = "yoke_signals_catch",
    [DO_SIGNAL_KILL] = "yoke_signal_kill",
    [DO_SIGNAL_QUEUE] = "yoke_signal_queue",
    [DO_SET_CREATE] = "yoke_set_create",
    [DO_SET_ADD] = "yoke_set_add",
    [DO_SET_ADD_PEER] = "yoke_set_add_peer",
    [DO_SET_ADD_GONE] = "yoke_set_add_gone",
    [DO_SET_REMOVE] = "yoke_set_remove",
    [DO_SET_WAIT] = "yoke_set_wait",
    [DO_SET_FD] = "yoke_set_fd",
    [DO_SET_CANCEL] = "yoke_set_cancel",
    [DO_SET_CLOSE] = "yoke_set_close",
};

struct port_plan port_plan = {.depth = 4, .priorities = 1, .participants = 6, .max_deliveries = 0, .max_message = 32};

#define ANSWER_MOST_MS 120000
#define HANDLES        2
#define LOANS_MOST     16
#define NAPS           4
#define FDS_MOST       256

/* Sleeps in a futex, or over descriptors? */
static bool task_sleeps(pid_t pid, pid_t tid)
{
    char path[64], text[64] = "";
    snprintf(path, sizeof path, "/proc/%d/task/%d/syscall", pid, tid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t size = read(fd, text, sizeof text - 1);
    close(fd);
    long call = strtol(text, NULL, 10);
    return size > 0 && text[0] != 'r' &&
           (call == SYS_futex || call == SYS_poll || call == SYS_ppoll || call == SYS_epoll_wait ||
            call == SYS_epoll_pwait || call == SYS_epoll_pwait2);
}

/* ---- in the actor --------------------------------------------------------------------------------- */

/* What lies in a region of ours. */
struct furniture {
    yoke_lock lock;
    yoke_event event;
    uint64_t mark;
    uint64_t semaphore[32];
};

static struct board *boards;
static yoke_region *regions[HANDLES];
static yoke_endpoint *endpoints[HANDLES];
static yoke_peer *peers[HANDLES];
static yoke_set *set;
static int last_member;
static int pair[2]; /* 0: none yet */
static int files[ACTORS_MAX]; /* of each actor */
static uint32_t my_number;
static enum verb receives_by[HANDLES];
static uint64_t seen_event[HANDLES];
static const void *borrowed[LOANS_MOST];
static uint32_t borrowed_count;
static void *loan;

static struct furniture *furniture(uint32_t handle)
{
    return yoke_region_data(regions[handle]);
}

static yoke_semaphore *semaphore(uint32_t handle)
{
    return (yoke_semaphore *)furniture(handle)->semaphore;
}

static int64_t create_region(const struct order *order, const char *name)
{
    struct yoke_region_options options = YOKE_REGION_OPTIONS_INIT;
    options.flags = order->flags & ~YOKE_CREATE;
    options.participants = 6;
    return yoke_region_create(&regions[order->handle], name, REGION_SIZE, &options);
}

static int64_t open_link(const struct order *order, const char *name)
{
    char me[32] = "", other[32] = "", address[64];
    struct yoke_options options = YOKE_OPTIONS_INIT;
    sscanf(name, "%31[^:]:%31s", me, other);
    options.as = me;
    options.depth = port_plan.depth;
    options.max_message = port_plan.max_message;
    options.spin_ns = 0;
    snprintf(address, sizeof address, "link:%s", other);
    return yoke_open(&endpoints[order->handle], address, order->flags, &options);
}

static int64_t open_end(const struct order *order)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;
    options.spin_ns = 0;
    return yoke_open_descriptor(&endpoints[order->handle], pair[order->value], &options);
}

static void forget_pair(void)
{
    for (int i = 0; i < 2; i++) {
        if (pair[i] > 0)
            close(pair[i]);
        pair[i] = 0;
    }
}

static int64_t make_pair(void)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;
    options.depth = port_plan.depth;
    options.max_message = port_plan.max_message;
    forget_pair();
    return yoke_pair(pair, &options);
}

static int64_t make_stream_pair(void)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;
    options.capacity = port_plan.depth * RECORD_SIZE;
    forget_pair();
    return yoke_stream_pair(pair, &options);
}

static int64_t open_stream(const struct order *order, const char *name)
{
    char address[80];
    struct yoke_options options = YOKE_OPTIONS_INIT;
    options.capacity = port_plan.depth * RECORD_SIZE;
    options.participants = strchr(name, '@') ? 0 : port_plan.participants;
    options.spin_ns = 0;
    snprintf(address, sizeof address, "stream:%s", name);
    return yoke_open(&endpoints[order->handle], address, order->flags, &options);
}

static int64_t open_inbox(const struct order *order)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;
    options.spin_ns = 0;
    if (!(order->flags & YOKE_SIGNALS_KERNEL)) {
        options.depth = port_plan.depth;
        options.participants = port_plan.participants;
    }
    return yoke_signals_open(&endpoints[order->handle], peers[0], order->flags, &options);
}

static int64_t open_port(const struct order *order, const char *name)
{
    char address[80];
    struct yoke_options options = YOKE_OPTIONS_INIT;
    bool kernel = strchr(name, '@') != NULL; /* it has some of the options only */
    options.depth = port_plan.depth;
    options.priorities = port_plan.priorities;
    options.participants = kernel ? 0 : port_plan.participants;
    options.max_deliveries = port_plan.max_deliveries;
    options.policy = port_plan.policy;
    options.max_message = port_plan.max_message;
    options.spin_ns = 0; /* so that the same instructions run each time */
    snprintf(address, sizeof address, "port:%s", name);
    return yoke_open(&endpoints[order->handle], address, order->flags, &options);
}

static int64_t close_handle(uint32_t handle)
{
    yoke_region *region = regions[handle];
    yoke_endpoint *endpoint = endpoints[handle];
    yoke_peer *peer = peers[handle];
    peers[handle] = NULL;
    regions[handle] = NULL;
    endpoints[handle] = NULL;
    borrowed_count = 0;
    loan = NULL;
    return region ? yoke_region_close(region) : peer ? yoke_peer_leave(peer) : yoke_close(endpoint);
}

static int64_t collect_garbage(void)
{
    struct yk_gc_item *items = NULL;
    ssize_t result = yk_gc(false, &items);
    free(items);
    return result;
}

/* ---- streams ---- */

struct record {
    uint64_t id, bytes[RECORD_SIZE / 8 - 1];
};

static void fill(struct record *record, uint64_t id)
{
    record->id = id;
    for (uint64_t i = 0; i < RECORD_SIZE / 8 - 1; i++)
        record->bytes[i] = id * 1000003 + i;
}

static bool is_whole(const struct record *record)
{
    struct record expected;
    fill(&expected, record->id);
    return memcmp(record, &expected, sizeof expected) == 0;
}

static int64_t write_record(const struct order *order)
{
    struct record record;
    fill(&record, order->value);
    if (order->priority > 0)
        return yoke_write(endpoints[order->handle], &record, order->priority, order->timeout_ns);
    int64_t result =
        yoke_write(endpoints[order->handle], &record, sizeof record, order->timeout_ns);
    return result == RECORD_SIZE ? 1 : result;
}

static int64_t read_record(const struct order *order, struct answer *answer)
{
    struct record record;
    if (order->priority > 0)
        return yoke_read(endpoints[order->handle], &record, order->priority, order->timeout_ns);
    int64_t result = yoke_read(endpoints[order->handle], &record, sizeof record, order->timeout_ns);
    if (result <= 0)
        return result;
    answer->value = result == RECORD_SIZE && is_whole(&record) ? record.id : UINT64_MAX;
    answer->deliveries = 1;
    return 1;
}

static int64_t move_record(const struct order *order)
{
    int file = files[my_number];
    lseek(file, 0, order->verb == DO_MOVE_OUT ? SEEK_END : SEEK_SET);
    int64_t result = yoke_move(endpoints[order->handle], file, RECORD_SIZE, order->timeout_ns);
    return result == RECORD_SIZE ? 1 : result;
}

/* ---- messages ---- */

static int64_t send_message(const struct order *order)
{
    struct yoke_message message = {
        .data = (void *)(uintptr_t)&order->value, .size = sizeof order->value, .priority = order->priority};
    return yoke_send_many(endpoints[order->handle], &message, 1, order->timeout_ns);
}

static int64_t receive_message(const struct order *order, struct answer *answer)
{
    uint64_t bytes[8];
    struct yoke_message message = {.data = bytes, .capacity = sizeof bytes};
    int64_t result = yoke_recv_many(endpoints[order->handle], &message, 1, order->timeout_ns);
    if (result == 1) {
        answer->value = message.size == sizeof order->value ? bytes[0] : UINT64_MAX;
        answer->deliveries = message.deliveries;
    }
    return result;
}

static int64_t send_one(const struct order *order)
{
    int64_t result = yoke_send(endpoints[order->handle], &order->value, sizeof order->value,
                               order->timeout_ns);
    return result == 0 ? 1 : result;
}

static int64_t send_two(const struct order *order)
{
    uint64_t values[2] = {order->value, order->value + 1};
    struct yoke_message messages[2] = {{.data = &values[0], .size = sizeof values[0]},
                                       {.data = &values[1], .size = sizeof values[1]}};
    return yoke_send_many(endpoints[order->handle], messages, 2, order->timeout_ns);
}

static int64_t receive_one(const struct order *order, struct answer *answer)
{
    uint64_t bytes[8];
    int64_t result =
        yoke_recv(endpoints[order->handle], bytes, sizeof bytes, order->timeout_ns);
    if (result < 0)
        return result;
    answer->value = result == sizeof bytes[0] ? bytes[0] : UINT64_MAX;
    answer->deliveries = 1;
    return 1;
}

static int64_t receive_signal(const struct order *order, struct answer *answer)
{
    struct yoke_signal signal;
    int64_t result =
        yoke_signal_recv(endpoints[order->handle], &signal, order->timeout_ns);
    if (result < 0)
        return result;
    answer->value = signal.unix_signal ? (uint64_t)signal.unix_signal : signal.value;
    answer->deliveries = 1;
    return 1;
}

static int64_t receive_any(const struct order *order, struct answer *answer)
{
    switch (receives_by[order->handle]) {
    case DO_READ:
        return read_record(order, answer);
    case DO_SIGNAL_RECV:
        return receive_signal(order, answer);
    default:
        return receive_message(order, answer);
    }
}

static int64_t loop(const struct order *order, struct answer *answer)
{
    struct order now = {.verb = DO_RECV, .handle = order->handle};
    struct pollfd fd = {.fd = yoke_fd(endpoints[order->handle]), .events = POLLIN};
    int64_t end = monotonic_ns() + order->timeout_ns, result = -EAGAIN;
    if (fd.fd < 0)
        return fd.fd;
    while (result == -EAGAIN) {
        int64_t left = end - monotonic_ns();
        if (left <= 0 || poll(&fd, 1, (int)(left / 1000000) + 1) == 0)
            return -ETIMEDOUT;
        result = receive_any(&now, answer);
    }
    return result;
}

static int64_t borrow_message(const struct order *order, struct answer *answer)
{
    struct yoke_message message = {.data = NULL};
    if (borrowed_count == LOANS_MOST)
        return -ENOBUFS;
    int64_t result = yoke_borrow_many(endpoints[order->handle], &message, 1, order->timeout_ns);
    if (result == 1) {
        memcpy(&answer->value, message.data, sizeof answer->value);
        answer->deliveries = message.deliveries;
        borrowed[borrowed_count++] = message.data;
    }
    return result;
}

static const void *oldest_borrowed(void)
{
    const void *oldest = borrowed[0];
    if (borrowed_count == 0)
        return NULL;
    memmove(borrowed, borrowed + 1, --borrowed_count * sizeof borrowed[0]);
    return oldest;
}

static int64_t give_up(const struct order *order)
{
    const void *message = oldest_borrowed();
    if (!message) {
        message = loan;
        loan = NULL;
    }
    return order->verb == DO_RELEASE ? yoke_release(endpoints[order->handle], message)
                                     : yoke_return(endpoints[order->handle], message);
}

static int64_t borrow_one(const struct order *order, struct answer *answer)
{
    const void *message;
    if (borrowed_count == LOANS_MOST)
        return -ENOBUFS;
    int64_t result = yoke_borrow(endpoints[order->handle], &message, order->timeout_ns);
    if (result < 0)
        return result;
    memcpy(&answer->value, message, sizeof answer->value);
    answer->deliveries = 1;
    borrowed[borrowed_count++] = message;
    return 1;
}

static int64_t commit_many(const struct order *order)
{
    struct yoke_message message = {.data = loan, .size = sizeof order->value};
    int64_t result = yoke_commit_many(endpoints[order->handle], &message, 1, order->timeout_ns);
    return result == 1 ? 0 : result;
}

/* ---- another thread, which waits ---- */

static struct {
    pthread_t thread;
    struct order order;
    struct answer answer;
    volatile pid_t tid;
} waiter;

static void *wait_in_thread(void *none)
{
    (void)none;
    waiter.tid = (pid_t)syscall(SYS_gettid);
    waiter.answer.result =
        waiter.order.verb == DO_LOCK
            ? yoke_lock_acquire(regions[waiter.order.handle],
                                &furniture(waiter.order.handle)->lock, waiter.order.timeout_ns)
            : receive_any(&waiter.order, &waiter.answer);
    return NULL;
}

static int64_t start_waiter(const struct order *order)
{
    waiter.order = *order;
    waiter.order.timeout_ns = -1;
    if (regions[order->handle])
        waiter.order.verb = DO_LOCK;
    waiter.tid = 0;
    if (pthread_create(&waiter.thread, NULL, wait_in_thread, NULL) != 0)
        return -EAGAIN;
    for (int i = 0; i < ANSWER_MOST_MS; i++) {
        if (waiter.tid != 0 && task_sleeps(getpid(), waiter.tid))
            return 0;
        usleep(1000); /* between two looks */
    }
    return -ETIME;
}

static int64_t end_waiter(struct answer *answer)
{
    pthread_join(waiter.thread, NULL);
    *answer = waiter.answer;
    return waiter.answer.result;
}

/* ---- peers, signals, sets ---- */

static int64_t next_link(const struct order *order, struct answer *answer)
{
    yoke_endpoint *link = NULL;
    struct order now = {.verb = DO_RECV, .handle = 1};
    int64_t result = yoke_peer_next(peers[0], &link, order->timeout_ns);
    if (result < 0)
        return result;
    endpoints[1] = link;
    if (result == YOKE_NEXT_OPENED)
        return 2;
    return receive_message(&now, answer);
}

static int64_t send_signal(const char *name, const struct order *order)
{
    int64_t result = yoke_signal_send(peers[0], name, 1, order->value);
    return result == 0 ? 1 : result;
}

static int64_t catch_signal(const struct order *order)
{
    int number = (int)order->value;
    return yoke_signals_catch(endpoints[order->handle], &number, 1);
}

static int64_t added(int64_t member)
{
    last_member = (int)member;
    return member < 0 ? member : 0;
}

static int64_t wait_on_set(const struct order *order, struct answer *answer)
{
    struct yoke_ready ready[4];
    int64_t end = monotonic_ns() + order->timeout_ns, result;
    do {
        int64_t left = order->timeout_ns > 0 ? end - monotonic_ns() : 0;
        result = yoke_set_wait(set, ready, 4, left > 0 ? left : 0);
        if (result < 1)
            return result;
        struct order now = {.verb = DO_RECV, .handle = order->handle};
        result = ready[0].what == YOKE_SET_ENDPOINT ? receive_any(&now, answer)
                 : ready[0].what == YOKE_SET_PEER   ? next_link(&now, answer)
                                                    : 1;
    } while (result == -EAGAIN && monotonic_ns() < end);
    return result;
}

static int64_t close_set(void)
{
    yoke_set *closed = set;
    set = NULL;
    return yoke_set_close(closed);
}

/* One in memory. */
static bool is_stream(const yoke_endpoint *endpoint)
{
    return endpoint && endpoint->kind == YK_KIND_STREAM && endpoint->operations->waiting;
}

static uint64_t bytes_there(const yoke_endpoint *endpoint)
{
    const struct yk_stream *stream = endpoint->self;
    return yk_bytes_guess(&stream->ring, YK_BYTES_READING);
}

/* The number of the file of this kind that the process has open. */
static uint64_t number_of_file(const char *part)
{
    char path[64], target[512];
    struct stat facts;
    for (int fd = 0; fd < FDS_MOST; fd++) {
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        ssize_t size = readlink(path, target, sizeof target - 1);
        target[size > 0 ? size : 0] = '\0';
        if (strstr(target, part) && fstat(fd, &facts) == 0)
            return facts.st_ino;
    }
    return 0;
}

/* What nothing can be left in, or be looked at without being taken, is told by its own number. 0: it is something else. */
static uint64_t own_number(uint32_t handle)
{
    yoke_endpoint *endpoint = endpoints[handle];
    uint64_t number = peers[0] ? peers[0]->peer->object.fixed.nonce : 0;
    if (!endpoint)
        return handle == 0 ? number : 0;
    if (endpoint->kind == YK_KIND_SIGNALS && ((struct yk_port *)endpoint->self)->object.fixed.nonce != 0)
        return ((struct yk_port *)endpoint->self)->object.fixed.nonce;
    if (endpoint->kind == YK_KIND_SIGNALS)
        return number; /* the socket is its peer's */
    if (endpoint->kind == YK_KIND_LINK && !endpoint->operations)
        return endpoint->object.fixed.nonce;
    if (endpoint->kind == YK_KIND_STREAM)
        return is_stream(endpoint) ? 0 : number_of_file("/.fifo-");
    return endpoint->operations ? ((struct yk_channel *)endpoint->self)->queues.record.nonce : 0;
}

static int64_t mark(const struct order *order)
{
    if (own_number(order->handle) != 0)
        return 0;
    if (is_stream(endpoints[order->handle])) {
        struct order bytes = {.handle = order->handle, .priority = (uint32_t)order->value};
        return write_record(&bytes);
    }
    if (endpoints[order->handle])
        return send_message(order);
    furniture(order->handle)->mark = order->value;
    return 0;
}

static int64_t read_mark(const struct order *order, struct answer *answer)
{
    struct order borrow = {.verb = DO_BORROW, .handle = order->handle};
    struct order back = {.verb = DO_RETURN, .handle = order->handle};
    answer->value = own_number(order->handle);
    if (answer->value != 0)
        return 0;
    if (!endpoints[order->handle]) {
        answer->value = furniture(order->handle)->mark;
        return 0;
    }
    if (is_stream(endpoints[order->handle])) {
        answer->value = bytes_there(endpoints[order->handle]) % STREAM_MARK_MOST;
        return 0;
    }
    int64_t result = borrow_message(&borrow, answer);
    return result == 1 ? give_up(&back) : result == -EAGAIN ? 0 : result;
}

static int64_t count_messages(const struct order *order, struct answer *answer)
{
    const struct yk_port *port = (const struct yk_port *)endpoints[order->handle];
    for (uint32_t ring = 0; ring < port->ring.geometry.rings; ring++) {
        struct yk_ring_counts counts;
        yk_ring_count(&port->ring, ring, &counts);
        answer->waiting += (uint32_t)counts.waiting;
        answer->held += (uint32_t)counts.held;
        answer->parked += (uint32_t)counts.parked;
    }
    return 0;
}

static int64_t perform_more(const struct order *order, const char *name, struct answer *answer)
{
    uint32_t handle = order->handle;
    yoke_endpoint *endpoint = endpoints[handle];
    switch (order->verb) {
    case DO_SEND_ONE:
        return send_one(order);
    case DO_SEND_TWO:
        return send_two(order);
    case DO_RECV_ONE:
        return receive_one(order, answer);
    case DO_BORROW_ONE:
        return borrow_one(order, answer);
    case DO_COMMIT_MANY:
        return commit_many(order);
    case DO_WAITER:
        return start_waiter(order);
    case DO_WAITER_ENDS:
        return end_waiter(answer);
    case DO_CANCEL:
        return yoke_cancel(endpoint);
    case DO_REGION_CANCEL:
        return yoke_region_cancel(regions[handle]);
    case DO_WRITE:
        return write_record(order);
    case DO_READ:
        return read_record(order, answer);
    case DO_MOVE_OUT:
    case DO_MOVE_IN:
        return move_record(order);
    case DO_INSIDE: {
        const struct yk_stream *stream = endpoint->self;
        return yk_bytes_inside(&stream->ring, (enum yk_bytes_side)order->value) != 0;
    }
    case DO_THERE:
        return (int64_t)bytes_there(endpoint);
    case DO_STREAM_END:
        return yoke_stream_end(endpoint);
    case DO_PEER_WAIT:
        return yoke_peer_wait(name, (uint32_t)order->value, order->timeout_ns);
    case DO_PEER_LIST: {
        struct yoke_peer_info infos[ACTORS_MAX];
        return yoke_peer_list(infos, ACTORS_MAX);
    }
    case DO_PEER_ACCEPT:
        return yoke_peer_accept(peers[0], &endpoints[1], NULL, order->timeout_ns);
    case DO_PEER_NEXT:
        return next_link(order, answer);
    case DO_PEER_FD:
        return yoke_peer_fd(peers[0]) < 0 ? -ENOSYS : 0;
    case DO_LINK_WAIT:
        return yoke_link_wait(endpoint, order->timeout_ns);
    case DO_SIGNAL:
        return send_signal(name, order);
    case DO_SIGNAL_RECV:
        return receive_signal(order, answer);
    case DO_CATCH:
        return catch_signal(order);
    case DO_SIGNAL_KILL:
        return yoke_signal_kill(name, (int)order->value);
    case DO_SIGNAL_QUEUE:
        return yoke_signal_queue(name, (int)order->value, 4711);
    case DO_SET_CREATE:
        return yoke_set_create(&set);
    case DO_SET_ADD:
        return added(yoke_set_add(set, endpoint, NULL));
    case DO_SET_ADD_PEER:
        return added(yoke_set_add_peer(set, peers[0], NULL));
    case DO_SET_ADD_GONE:
        return added(yoke_set_add_gone(set, name, NULL));
    case DO_SET_REMOVE:
        return yoke_set_remove(set, last_member);
    case DO_SET_WAIT:
        return wait_on_set(order, answer);
    case DO_SET_FD:
        return yoke_set_fd(set) < 0 ? -ENOSYS : 0;
    case DO_SET_CANCEL:
        return yoke_set_cancel(set);
    case DO_SET_CLOSE:
        return close_set();
    default:
        return -ENOSYS;
    }
}

static int64_t perform(const struct order *order, const char *name, struct answer *answer)
{
    uint32_t handle = order->handle;
    yoke_region *region = regions[handle];
    switch (order->verb) {
    case DO_REGION_CREATE:
        return create_region(order, name);
    case DO_REGION_OPEN:
        return yoke_region_open(&regions[handle], name, order->flags);
    case DO_PORT_OPEN:
        return open_port(order, name);
    case DO_PEER_JOIN:
        return yoke_peer_join(&peers[handle], name, NULL);
    case DO_LINK_OPEN:
        receives_by[handle] = DO_RECV;
        return open_link(order, name);
    case DO_PAIR:
        return make_pair();
    case DO_STREAM_PAIR:
        return make_stream_pair();
    case DO_PAIR_OPEN:
        receives_by[handle] = order->flags & (YOKE_READ | YOKE_WRITE) ? DO_READ : DO_RECV;
        return open_end(order);
    case DO_STREAM_OPEN:
        receives_by[handle] = DO_READ;
        return open_stream(order, name);
    case DO_SIGNALS_OPEN:
        receives_by[handle] = DO_SIGNAL_RECV;
        return open_inbox(order);
    case DO_CLOSE:
        return close_handle(handle);
    case DO_REMOVE_REGION:
        return yoke_region_remove(name);
    case DO_REMOVE_PORT: {
        char address[80];
        snprintf(address, sizeof address, "port:%s", name);
        return yoke_remove(address);
    }
    case DO_REMOVE:
        return yoke_remove(name);
    case DO_GC:
        return collect_garbage();
    case DO_MARK:
        return mark(order);
    case DO_READ_MARK:
        return read_mark(order, answer);
    case DO_LOCK:
        return yoke_lock_acquire(region, &furniture(handle)->lock, order->timeout_ns);
    case DO_UNLOCK:
        return yoke_lock_release(region, &furniture(handle)->lock);
    case DO_LOCK_WORD:
        answer->value = furniture(handle)->lock.opaque[0];
        return 0;
    case DO_SEMAPHORE_INIT:
        return yoke_semaphore_init(region, semaphore(handle), (uint32_t)order->value);
    case DO_SEMAPHORE_ACQUIRE:
        return yoke_semaphore_acquire(region, semaphore(handle), order->timeout_ns);
    case DO_SEMAPHORE_RELEASE:
        return yoke_semaphore_release(region, semaphore(handle));
    case DO_SEMAPHORE_VALUE:
        return yoke_semaphore_value(region, semaphore(handle));
    case DO_NOTIFY:
        return yoke_event_notify(region, &furniture(handle)->event);
    case DO_EVENT_WAIT:
        return yoke_event_wait(region, &furniture(handle)->event, &seen_event[handle], order->timeout_ns);
    case DO_EVENT_COUNT:
        answer->value = seen_event[handle] = yoke_event_count(region, &furniture(handle)->event);
        return 0;
    case DO_SEND:
        return send_message(order);
    case DO_RECV:
        return receive_message(order, answer);
    case DO_LOAN: {
        int64_t result = yoke_loan(endpoints[handle], sizeof order->value, &loan, order->timeout_ns);
        if (result == 0)
            memcpy(loan, &order->value, sizeof order->value);
        return result;
    }
    case DO_COMMIT:
        return yoke_commit(endpoints[handle], loan, sizeof order->value);
    case DO_BORROW:
        return borrow_message(order, answer);
    case DO_RELEASE:
    case DO_RETURN:
        return give_up(order);
    case DO_COUNT:
        return count_messages(order, answer);
    case DO_FD:
        return yoke_fd(endpoints[handle]) < 0 ? -ENOSYS : 0;
    case DO_LOOP:
        return loop(order, answer);
    default:
        return perform_more(order, name, answer);
    }
}

static long futex(volatile uint32_t *word, int operation, uint32_t value, const struct timespec *time)
{
    return syscall(SYS_futex, word, operation, value, time, NULL, 0);
}

/* Whoever traces us sees this; nobody else is told to do it. */
static void stop_here(void)
{
    syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), SIGTRAP);
}

static void serve(struct board *board);

static int64_t fork_actor(const struct order *order)
{
    pid_t pid = fork();
    if (pid == 0) {
        signal(SIGCHLD, SIG_IGN);
        serve(&boards[order->value]);
    }
    return pid;
}

static __attribute__((noreturn)) void serve_once_more(struct board *board, uint32_t heard)
{
    for (;;) {
        while (board->told == heard)
            futex(&board->told, FUTEX_WAIT, heard, NULL);
        heard++;
        struct answer answer = {.result = 0};
        struct order order = board->order;
        if (board->traced)
            stop_here();
        board->begun = 1;
        int64_t start = monotonic_ns();
        answer.result = order.verb == DO_FORK ? fork_actor(&order) : perform(&order, board->name, &answer);
        answer.took_ns = monotonic_ns() - start;
        board->ended = 1;
        if (answer.result < 0)
            snprintf(answer.sentence, sizeof answer.sentence, "%s", yoke_explain());
        board->answer = answer;
        if (board->traced)
            stop_here();
        __atomic_store_n(&board->answered, heard, __ATOMIC_SEQ_CST);
        futex(&board->answered, FUTEX_WAKE, INT_MAX, NULL);
    }
}

static void serve(struct board *board)
{
    my_number = (uint32_t)(board - boards);
    serve_once_more(board, 0);
}

/* ---- in the test ------------------------------------------------------------------------------------ */

static struct actor actors[ACTORS_MAX];
static unsigned char *pids_seen; /* a bit each */
#define PIDS_MAX (1u << 22)

int64_t monotonic_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void *shared_memory(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        perror("mmap");
        exit(99);
    }
    return memory;
}

void actors_open(void)
{
    boards = shared_memory(ACTORS_MAX * sizeof *boards);
    pids_seen = shared_memory(PIDS_MAX / 8);
    for (int i = 0; i < ACTORS_MAX; i++)
        files[i] = memfd_create("crash", MFD_CLOEXEC);
}

void actor_file_begin(const struct actor *actor, uint64_t id)
{
    struct record record;
    int file = files[actor->number];
    fill(&record, id);
    if (ftruncate(file, 0) != 0 || pwrite(file, &record, sizeof record, 0) != sizeof record)
        abort();
}

bool actor_file_has(const struct actor *actor, uint64_t *ret_id)
{
    struct record record;
    struct stat facts;
    int file = files[actor->number];
    if (fstat(file, &facts) != 0 || facts.st_size != 2 * RECORD_SIZE ||
        pread(file, &record, sizeof record, RECORD_SIZE) != sizeof record)
        return false;
    *ret_id = is_whole(&record) ? record.id : UINT64_MAX;
    return true;
}

bool actor_was(pid_t pid)
{
    return pid > 0 && (uint32_t)pid < PIDS_MAX && (pids_seen[pid / 8] >> pid % 8 & 1);
}

static struct actor *free_actor(void)
{
    for (uint32_t i = 0; i < ACTORS_MAX; i++) {
        if (actors[i].pid != 0)
            continue;
        memset(&boards[i], 0, sizeof boards[i]);
        actors[i] = (struct actor){.number = i, .board = &boards[i]};
        return &actors[i];
    }
    fprintf(stderr, "too many actors at once\n");
    abort();
}

static struct actor *born(struct actor *actor, pid_t pid, bool child)
{
    if (pid < 0) {
        perror("fork");
        exit(99);
    }
    actor->pid = pid;
    actor->child = child;
    if ((uint32_t)pid < PIDS_MAX)
        pids_seen[pid / 8] |= (unsigned char)(1 << pid % 8);
    return actor;
}

struct actor *actor_start(void)
{
    struct actor *actor = free_actor();
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        signal(SIGALRM, SIG_IGN);
        signal(SIGCHLD, SIG_IGN); /* what it forks is reaped at once */
        serve(actor->board);
    }
    return born(actor, pid, true);
}

struct actor *actor_fork(struct actor *parent)
{
    struct actor *actor = free_actor();
    struct answer answer = ask(parent, .verb = DO_FORK, .value = actor->number);
    return born(actor, (pid_t)answer.result, false);
}

void actor_tell(struct actor *actor, const struct order *order)
{
    struct board *board = actor->board;
    board->order = *order;
    snprintf(board->name, sizeof board->name, "%s", order->name ? order->name : "x");
    board->begun = board->ended = 0;
    actor->waits = true;
    __atomic_add_fetch(&board->told, 1, __ATOMIC_SEQ_CST);
    futex(&board->told, FUTEX_WAKE, INT_MAX, NULL);
}

bool actor_hear(struct actor *actor, struct answer *ret, int timeout_ms)
{
    struct board *board = actor->board;
    int64_t end = monotonic_ns() + (int64_t)timeout_ms * 1000000;
    uint32_t answered;
    while ((answered = __atomic_load_n(&board->answered, __ATOMIC_SEQ_CST)) != board->told) {
        int64_t left = end - monotonic_ns();
        if (left <= 0)
            return false;
        struct timespec time = {.tv_sec = left / 1000000000, .tv_nsec = left % 1000000000};
        futex(&board->answered, FUTEX_WAIT, answered, &time);
    }
    actor->waits = false;
    *ret = board->answer;
    return true;
}

struct answer actor_ask(struct actor *actor, const struct order *order)
{
    struct answer answer = {.result = -ETIME, .sentence = "it never answered"};
    actor_tell(actor, order);
    actor_hear(actor, &answer, ANSWER_MOST_MS);
    return answer;
}

bool actor_sleeps(const struct actor *actor)
{
    return task_sleeps(actor->pid, actor->pid) && actor->board->begun && !actor->board->ended;
}

bool actor_fell_asleep(const struct actor *actor)
{
    int64_t end = monotonic_ns() + (int64_t)ANSWER_MOST_MS * 1000000;
    while (!actor_sleeps(actor)) {
        if (actor->board->ended || monotonic_ns() > end)
            return false;
        sched_yield();
    }
    return true;
}

/* How often it has gone to sleep. */
static unsigned long naps_of(pid_t pid)
{
    char path[64], line[128];
    unsigned long naps = 0;
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file)) {
        if (sscanf(line, "voluntary_ctxt_switches: %lu", &naps) == 1)
            break;
    }
    if (file)
        fclose(file);
    return naps;
}

void actor_looked_again(const struct actor *actor)
{
    int64_t end = monotonic_ns() + (int64_t)ANSWER_MOST_MS * 1000000;
    unsigned long before = naps_of(actor->pid);
    while (!actor->board->ended && naps_of(actor->pid) < before + NAPS && monotonic_ns() < end)
        usleep(1000); /* between two looks */
}

void nobody_there(void)
{
    fprintf(stderr, "an actor was to be killed that is none: that would be everybody\n");
    abort();
}

void actor_buried(struct actor *actor)
{
    actor->pid = 0;
}

/*
 * Of one that is not ours to reap. Until it is dead it sleeps on its board's word, which whoever
 * comes next has, too: it would be woken in the other's place.
 */
static void await_death(int fd)
{
    struct pollfd death = {.fd = fd, .events = POLLIN};
    while (poll(&death, 1, -1) == -1 && errno == EINTR) {
    }
    close(fd);
}

void actor_kill(struct actor *actor)
{
    int status;
    if (actor->pid <= 0)
        nobody_there();
    int fd = actor->child ? -1 : (int)syscall(SYS_pidfd_open, actor->pid, 0);
    kill(actor->pid, SIGKILL);
    if (actor->child)
        while (waitpid(actor->pid, &status, __WALL) == -1 && errno == EINTR) {
        }
    else if (fd >= 0)
        await_death(fd);
    actor_buried(actor);
}

void actor_end(struct actor *actor)
{
    actor_kill(actor); /* it waits to be told something: nothing of yoke's is under way */
}

void actors_kill_all(void)
{
    for (uint32_t i = 0; i < ACTORS_MAX; i++) {
        if (actors[i].pid != 0)
            actor_kill(&actors[i]);
    }
}
