/*
 * grow.c - what a message costs as the number of ports and links, of messages waiting and of
 * processes grows.
 *
 * One process, on one CPU, sends a message and receives one, over and over: no cache line moves
 * between cores, so what is left is the work itself, and what grows with the numbers shows. Each
 * point is the median over rounds of up to a thousand such pairs.
 *
 * What is expected: nothing grows with the processes attached, nor with the messages waiting, but
 * for what caches hold: a million messages, or a thousand ports or links, are more than fit.
 */
#include "grow.h"

#include "loops.h"
#include "peers/peers.h"
#include "rows.h"
#include "stop.h"
#include "worker.h"

#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>
#include <yoke.h>

/* A round has so many pairs, or less where these take long; the clock is read once for some. */
#define PAIRS           1000u
#define PAIRS_UNCLOCKED 20u
#define ROUND_NS        (10 * MILLISECOND)
#define ROUNDS          101u
#define ROUNDS_LEAST    3u
#define POINT_NS        (400 * MILLISECOND)
#define POINT_QUICK_NS  (60 * MILLISECOND)
#define WARM_PAIRS      5000u
#define WARM_MOST_NS    (100 * MILLISECOND)
#define WARM_NS         (100 * MILLISECOND)
#define COUNT_MAX       1000000u /* of messages waiting */
#define MANY            1000u    /* of ports, links, and processes */
#define DEPTH_MANY      16u      /* of each of many */
#define DEPTH_WAITING   (1u << 20)
/* It takes some seconds; a busy machine may need longer. */
#define TIMEOUT_NS       (40000 * MILLISECOND)
#define TIMEOUT_QUICK_NS (6000 * MILLISECOND)
/* From being told to stop until all is closed. */
#define CLOSE_NS    (10000 * MILLISECOND)
#define MILLISECOND UINT64_C(1000000)

struct shared {
    _Atomic uint32_t stop; /* set by the tool: no time is left, or the user wants an end */
    int count;
    struct bench_growth points[BENCH_GROWTHS_MAX];
    char reason[200];
};

struct task {
    struct shared *shared;
    bool quick;
    uint64_t point_ns; /* so long for one point, but a few rounds in any case */
    pid_t tool;        /* names are made from it */
};

const char *bench_curve_name(enum bench_curve curve)
{
    static const char *const names[BENCH_CURVES] = {"ports",      "waiting", "processes",   "links",
                                                    "links-next", "set",     "link-waiting"};
    return names[curve];
}

const char *bench_curve_title(enum bench_curve curve)
{
    static const char *const titles[BENCH_CURVES] = {"ports open in one process, used in turn",
                                                     "messages waiting in the port",
                                                     "processes attached to the port, asleep",
                                                     "links of one peer, used in turn",
                                                     "links of one peer, waited for together",
                                                     "links in a wait set, any one at a time",
                                                     "messages waiting in the link"};
    return titles[curve];
}

/* ---- one point ------------------------------------------------------------------------------ */

/* Where a message goes in and where it comes out: of a port both are the same. */
struct channel {
    yoke_endpoint *in, *out;
};

/* The channels, and through what one waits for any of them; both NULL: they take turns. */
struct pairs {
    const struct channel *channels;
    size_t count;
    yoke_peer *any;
    yoke_set *set; /* which channel has the message is left to chance */
};

static bool is_to_stop(const struct task *task)
{
    return atomic_load_explicit(&task->shared->stop, memory_order_relaxed);
}

/* Says what yoke says about an error. */
static int explain(const struct task *task, int error)
{
    if (error < 0)
        snprintf(task->shared->reason, sizeof task->shared->reason, "%s", yoke_explain());
    return error;
}

/* `name` is a number of its own for each object and each peer; `kind` "" for a peer. */
static void make_name(char text[64], const struct task *task, const char *kind, unsigned name)
{
    snprintf(text, 64, "%sbench-grow-%ld-%u", kind, (long)task->tool, name);
}

static int open_port(const struct task *task, yoke_endpoint **ret_port, unsigned name,
                     uint32_t depth, uint32_t participants)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;
    char address[64];

    if (is_to_stop(task))
        return -ECANCELED;
    make_name(address, task, "port:", name);
    options.max_message = BENCH_GROWTH_SIZE;
    options.depth = depth;
    options.participants = participants;
    return explain(task, yoke_open(ret_port, address, depth ? YOKE_CREATE | YOKE_EXCLUSIVE : 0,
                                   &options));
}

/* One end of the link between two peers, both of which are this process. */
static int open_end(const struct task *task, yoke_endpoint **ret_end, unsigned as, unsigned other,
                    uint32_t depth)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;
    char name[64], address[64];

    if (is_to_stop(task))
        return -ECANCELED;
    make_name(name, task, "", as);
    make_name(address, task, "link:", other);
    options.as = name;
    options.max_message = BENCH_GROWTH_SIZE;
    options.depth = depth;
    return explain(task, yoke_open(ret_end, address, YOKE_CREATE, &options));
}

static int open_link(const struct task *task, struct channel *channel, unsigned hub, unsigned other,
                     uint32_t depth)
{
    int error = open_end(task, &channel->in, other, hub, depth);

    return error < 0 ? error : open_end(task, &channel->out, hub, other, depth);
}

static void close_channels(const struct channel *channels, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (channels[i].in != channels[i].out)
            yoke_close(channels[i].in);
        yoke_close(channels[i].out);
    }
}

/* What the set says may be so once too often. */
static ssize_t receive_from(yoke_set *set, void *message, size_t size)
{
    struct yoke_ready ready;
    ssize_t result;

    do {
        result = yoke_set_wait(set, &ready, 1, YOKE_NOW);
        if (result < 0)
            return result;
        result = yoke_recv(ready.endpoint, message, size, YOKE_NOW);
    } while (result == -EAGAIN);
    return result;
}

/* Sends one and receives it. */
static ssize_t move_one(const struct pairs *pairs, const struct channel *channel)
{
    unsigned char message[BENCH_GROWTH_SIZE] = {0};
    yoke_endpoint *out = channel->out;
    ssize_t result = yoke_send(channel->in, message, sizeof message, YOKE_NOW);

    if (result >= 0 && pairs->set)
        return receive_from(pairs->set, message, sizeof message);
    if (result >= 0 && pairs->any)
        result = yoke_peer_next(pairs->any, &out, YOKE_NOW);
    return result < 0 ? result : yoke_recv(out, message, sizeof message, YOKE_NOW);
}

/* Which channel has its turn after number `at`. */
static size_t next_turn(const struct pairs *pairs, size_t at)
{
    static uint64_t random = 1;

    if (pairs->set)
        return bench_random(&random) % pairs->count;
    return at + 1 == pairs->count ? 0 : at + 1;
}

/* Channel after channel, from number *at on; returns nanoseconds a message, or an error. */
static double run_pairs(const struct pairs *pairs, size_t *at)
{
    uint64_t start = bench_now(), now = start;
    size_t done = 0;

    while (done < PAIRS && now - start < ROUND_NS) {
        for (size_t i = 0; i < PAIRS_UNCLOCKED; i++) {
            ssize_t result = move_one(pairs, &pairs->channels[*at]);

            if (result < 0)
                return (double)result;
            *at = next_turn(pairs, *at);
        }
        done += PAIRS_UNCLOCKED;
        now = bench_now();
    }
    return (double)(now - start) / (double)done;
}

/* All channels have been used twice, or it takes too long. */
static double warm_up(const struct pairs *pairs, size_t *at)
{
    uint64_t start = bench_now();
    double value = 0;

    for (size_t done = 0; value >= 0 && done < 2 * pairs->count + WARM_PAIRS; done += PAIRS) {
        value = run_pairs(pairs, at);
        if (bench_now() - start > WARM_MOST_NS)
            break;
    }
    return value;
}

static const struct bench_growth *first_of(const struct shared *shared, enum bench_curve curve)
{
    const struct bench_growth *point = shared->points;

    while (point < shared->points + shared->count && point->curve != curve)
        point++;
    return point;
}

static int add_point(const struct task *task, enum bench_curve curve, uint64_t count,
                     const struct pairs *pairs)
{
    struct shared *shared = task->shared;
    struct bench_growth *point = &shared->points[shared->count];
    size_t at = 0, rounds = 0;
    double values[ROUNDS], value = warm_up(pairs, &at);
    uint64_t start = bench_now();

    if (shared->count == BENCH_GROWTHS_MAX)
        return -ENOSPC;
    while (value >= 0 && rounds < ROUNDS &&
           (rounds < ROUNDS_LEAST || bench_now() - start < task->point_ns)) {
        value = values[rounds++] = run_pairs(pairs, &at);
        if (is_to_stop(task))
            return -ECANCELED;
    }
    if (value < 0) {
        snprintf(shared->reason, sizeof shared->reason, "%s at %llu: %s", bench_curve_name(curve),
                 (unsigned long long)count, yoke_strerror((int)value));
        return (int)value;
    }
    *point = (struct bench_growth){.curve = curve,
                                   .system = curve < BENCH_CURVE_LINKS ? &bench_yoke_port
                                                                       : &bench_yoke_link,
                                   .count = count,
                                   .rounds = rounds,
                                   .value = bench_median(values, rounds),
                                   .spread = bench_spread(values, rounds)};
    point->limit = point->value;
    shared->count++;
    point->limit = first_of(shared, curve)->value;
    return 0;
}

/* ---- the curves ----------------------------------------------------------------------------- */

/* One number for each object and peer. */
enum { NAME_WARM = 0, NAME_WAITING = 1, NAME_PROCESSES = 2, NAME_HUB = 3, NAME_MANY = 1000 };

static void grow_ports(const struct task *task)
{
    struct channel *channels = calloc(MANY, sizeof *channels);
    size_t open = 0;
    int error = channels ? 0 : -ENOMEM;

    for (size_t count = 1; count <= MANY && !error; count *= 10) {
        for (; open < count && !error; open += !error) {
            error = open_port(task, &channels[open].in, NAME_MANY + (unsigned)open, DEPTH_MANY, 2);
            channels[open].out = channels[open].in;
        }
        if (!error)
            error = add_point(task, BENCH_CURVE_PORTS, count,
                              &(struct pairs){.channels = channels, .count = open});
    }
    close_channels(channels, open);
    free(channels);
}

/* One message to any one of the channels, received through a set in which all of them are. */
static int add_set_point(const struct task *task, const struct channel *channels, size_t count)
{
    yoke_set *set = NULL;
    int error = explain(task, yoke_set_create(&set));

    for (size_t i = 0; i < count && error >= 0; i++)
        error = explain(task, yoke_set_add(set, channels[i].out, NULL));
    if (error >= 0)
        error = add_point(task, BENCH_CURVE_SET, count,
                          &(struct pairs){.channels = channels, .count = count, .set = set});
    yoke_set_close(set);
    return error;
}

/* All links of one peer, and the ways to receive from them. */
static void grow_links(const struct task *task)
{
    struct channel *channels = calloc(MANY, sizeof *channels);
    yoke_peer *hub = NULL;
    char name[64];
    size_t open = 0, most = task->quick ? MANY / 10 : MANY;
    int error = channels ? 0 : -ENOMEM;

    make_name(name, task, "", NAME_HUB);
    if (!error)
        error = explain(task, yoke_peer_join(&hub, name, NULL));
    for (size_t count = 1; count <= most && !error; count *= 10) {
        for (; open < count && !error; open++) /* also one of which only one end is open */
            error =
                open_link(task, &channels[open], NAME_HUB, NAME_MANY + (unsigned)open, DEPTH_MANY);
        if (!error)
            error = add_point(task, BENCH_CURVE_LINKS, count,
                              &(struct pairs){.channels = channels, .count = open});
        if (!error)
            error = add_point(task, BENCH_CURVE_NEXT, count,
                              &(struct pairs){.channels = channels, .count = open, .any = hub});
        if (!error)
            error = add_set_point(task, channels, open);
    }
    close_channels(channels, open);
    yoke_peer_leave(hub);
    free(channels);
}

static void grow_waiting(const struct task *task, enum bench_curve curve)
{
    unsigned char message[BENCH_GROWTH_SIZE] = {0};
    struct channel channel = {NULL, NULL};
    ssize_t error;

    if (curve == BENCH_CURVE_WAITING)
        error = open_port(task, &channel.in, NAME_WAITING, DEPTH_WAITING, 2);
    else
        error = open_link(task, &channel, NAME_HUB, NAME_WAITING, DEPTH_WAITING);
    if (!channel.out)
        channel.out = channel.in;
    for (uint64_t count = 1, sent = 0; count <= COUNT_MAX && error >= 0; count *= 10) {
        /* One less than waits while the next one has been sent. */
        for (; sent + 1 < count && error >= 0; sent++)
            error = yoke_send(channel.in, message, sizeof message, YOKE_NOW);
        if (error == -EAGAIN) /* a link is full before its depth where its buffer is */
            break;
        if (error >= 0)
            error =
                add_point(task, curve, count, &(struct pairs){.channels = &channel, .count = 1});
    }
    close_channels(&channel, 1);
}

/* Opens the port, says so, and sleeps until its parent dies. */
static _Noreturn void attend(const struct task *task, int ready)
{
    yoke_endpoint *port;
    bool opened;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    opened = open_port(task, &port, NAME_PROCESSES, 0, 0) >= 0;
    if (write(ready, opened ? "y" : "n", 1) == 1)
        for (;;)
            pause();
    _exit(EXIT_FAILURE);
}

static int add_process(const struct task *task, const int ready[2])
{
    pid_t pid = fork();
    char answer;

    if (pid == 0)
        attend(task, ready[1]);
    if (pid < 0) {
        snprintf(task->shared->reason, sizeof task->shared->reason, "no further process: %s",
                 strerror(errno));
        return -EAGAIN;
    }
    return read(ready[0], &answer, 1) == 1 && answer == 'y' ? 0 : -EIO;
}

/* The process that calls this is one of them; the others end with it. */
static void grow_processes(const struct task *task)
{
    struct channel channel;
    int ready[2];
    int error;

    if (pipe(ready) < 0)
        return;
    error = open_port(task, &channel.in, NAME_PROCESSES, DEPTH_MANY, MANY);
    if (error < 0)
        return;
    channel.out = channel.in;
    for (uint64_t count = 1, attached = 1; count <= MANY && !error; count *= 10) {
        for (; attached < count && !error; attached++)
            error = add_process(task, ready);
        if (!error)
            error = add_point(task, BENCH_CURVE_PROCESSES, count,
                              &(struct pairs){.channels = &channel, .count = 1});
    }
    close_channels(&channel, 1);
}

/* Each port may take a descriptor. */
static void allow_descriptors(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/* For long enough that the clock is up and the library's code is in the caches. */
static void warm_clock(const struct task *task)
{
    uint64_t start = bench_now();
    struct channel channel;
    size_t at = 0;

    if (open_port(task, &channel.in, NAME_WARM, DEPTH_MANY, 2) < 0)
        return;
    channel.out = channel.in;
    while (bench_now() - start < WARM_NS)
        (void)run_pairs(&(struct pairs){.channels = &channel, .count = 1}, &at);
    close_channels(&channel, 1);
}

static void grow(void *argument)
{
    const struct task *task = argument;

    /* Killed, it would leave a thousand names behind: it is told to stop instead. */
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    allow_descriptors();
    warm_clock(task);
    grow_ports(task);
    grow_waiting(task, BENCH_CURVE_WAITING);
    grow_waiting(task, BENCH_CURVE_LINK_WAITING);
    grow_links(task);
    grow_processes(task); /* last: they attend until this process ends */
}

/* Waits until it has ended; true if it did so in time. */
static bool wait_for_end(const struct bench_child *child, uint64_t ns, bool until_stopped)
{
    uint64_t deadline = bench_now() + ns;

    while (bench_now() < deadline && !(until_stopped && yk_stop_signal())) {
        struct pollfd end = {child->pidfd, POLLIN, 0};

        if (poll(&end, 1, 100) > 0)
            return true;
    }
    return false;
}

/* Some of the curves are measured together. */
static int compare_points(const void *a, const void *b)
{
    const struct bench_growth *x = a, *y = b;

    if (x->curve != y->curve)
        return x->curve < y->curve ? -1 : 1;
    return x->count < y->count ? -1 : x->count > y->count;
}

int bench_grow(struct bench_growth points[BENCH_GROWTHS_MAX], bool quick,
               const struct bench_cpus *cpus, char reason[200])
{
    struct task task = {
        .quick = quick, .point_ns = quick ? POINT_QUICK_NS : POINT_NS, .tool = getpid()};
    struct bench_child child = BENCH_NO_CHILD;
    int result;

    task.shared = bench_map_shared(sizeof *task.shared);
    if (!task.shared)
        return -ENOMEM;
    result = bench_child_start(&child, cpus->side[0], grow, &task);
    if (!result && !wait_for_end(&child, quick ? TIMEOUT_QUICK_NS : TIMEOUT_NS, true)) {
        atomic_store(&task.shared->stop, 1);
        wait_for_end(&child, CLOSE_NS, false);
        snprintf(task.shared->reason, sizeof task.shared->reason, "no time was left for it");
    }
    bench_child_end(&child);
    if (yk_stop_signal())
        result = -EINTR;
    if (!result) {
        result = task.shared->count;
        memcpy(points, task.shared->points, (size_t)result * sizeof *points);
        qsort(points, (size_t)result, sizeof *points, compare_points);
        memcpy(reason, task.shared->reason, sizeof task.shared->reason);
    }
    bench_unmap_shared(task.shared, sizeof *task.shared);
    return result;
}
