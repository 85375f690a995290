/*
 * watched.c - see watched.h.
 *
 * Sender and receiver send and receive without end; the watcher is a third process, which works in one
 * part of each round and sleeps in the other two: alone, watched, alone. So whatever else changes on the
 * machine changes for all three. What is compared is the CPU time of those who are watched, for each
 * message: on a machine with two CPUs the watcher takes its own time from one of them, which makes the
 * rate a little lower, and is no cost of the messages. The two parts alone tell how much that figure
 * goes up and down by itself.
 */
#include "watched.h"

#include "inspect.h"
#include "latency.h"
#include "loops.h"
#include "output.h"
#include "stop.h"
#include "worker.h"

#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <yoke.h>

#define MILLISECOND  UINT64_C(1000000)
#define PARTS        3
#define ROUNDS       15
#define ROUNDS_QUICK 3
#define PART         (300 * MILLISECOND)
#define PART_QUICK   (60 * MILLISECOND)
#define SETTLE       (20 * MILLISECOND) /* after the watcher has begun, or has been told to rest */
#define LOOK         (50 * MILLISECOND) /* between two looks at the whole object */
#define START        (10000 * MILLISECOND)

#define MESSAGES_LEAST 1000u

enum role { RECEIVER, SENDER, WATCHER, ROLES };

struct shared {
    _Alignas(128) _Atomic uint64_t received;
    _Alignas(128) _Atomic uint32_t watch; /* the watcher works */
    _Alignas(128) _Atomic uint64_t seen;
};

struct watching {
    const char *what;
    char address[2][80]; /* the receiver's, the sender's; the watcher's is whole[] */
    char whole[160];
    struct yoke_options options[2];
    yoke_peer *peers[2];
    yoke_endpoint *keeper; /* of the port */
    struct shared *shared;
    struct bench_child children[ROLES];
};

struct part {
    double cpu_ns, rate;
};

struct member {
    struct watching *watching;
    enum role role;
};

/* ---- those who are watched, and the watcher --------------------------------------------------- */

static int run_side(struct watching *watching, enum role role)
{
    unsigned char message[BENCH_WATCHED_SIZE] = {0};
    struct shared *shared = watching->shared;
    yoke_endpoint *end;
    ssize_t result =
        yoke_open(&end, watching->address[role], YOKE_CREATE, &watching->options[role]);

    for (uint64_t count = 1; result >= 0; count++) {
        if (role == SENDER) {
            result = yoke_send(end, message, sizeof message, YOKE_FOREVER);
        } else {
            result = yoke_recv(end, message, sizeof message, YOKE_FOREVER);
            atomic_store_explicit(&shared->received, count, memory_order_relaxed);
        }
    }
    return (int)result;
}

static void watch_on(struct watching *watching)
{
    struct yk_latency *latency = calloc(1, sizeof *latency);
    struct yk_participant_facts *participants;
    struct yk_object_facts facts;
    size_t count;
    struct yk_latency_watch *watch = NULL;
    bool stopped = false;

    while (latency && !stopped) {
        if (!atomic_load(&watching->shared->watch)) {
            yk_latency_end(watch);
            watch = NULL;
            (void)poll(NULL, 0, 1);
            continue;
        }
        if (yk_inspect(watching->whole, &facts, &participants, &count) == 0)
            free(participants);
        if (yk_latency_watch(&watch, latency, watching->whole, LOOK, &stopped) < 0)
            return;
        atomic_store(&watching->shared->seen, latency->at_most.total);
    }
}

static void work(void *argument)
{
    const struct member *member = argument;

    if (member->role == WATCHER)
        watch_on(member->watching);
    else
        (void)run_side(member->watching, member->role);
    _exit(EXIT_FAILURE); /* what has no end has ended */
}

/* ---- the parent ------------------------------------------------------------------------------- */

static int setup_port(struct watching *watching)
{
    for (int side = 0; side < 2; side++) {
        watching->options[side] = (struct yoke_options)YOKE_OPTIONS_INIT;
        snprintf(watching->address[side], sizeof watching->address[side], "port:bench-watched-%ld",
                 (long)getpid());
    }
    snprintf(watching->whole, sizeof watching->whole, "%s", watching->address[0]);
    return yoke_open(&watching->keeper, watching->whole, YOKE_CREATE, &watching->options[0]);
}

static int setup_link(struct watching *watching)
{
    static const char letters[] = "rs";
    char names[2][32];

    for (int side = 0; side < 2; side++) {
        snprintf(names[side], sizeof names[side], "bench-watched-%c-%ld", letters[side],
                 (long)getpid());
        watching->options[side] = (struct yoke_options)YOKE_OPTIONS_INIT;
    }
    for (int side = 0; side < 2; side++) {
        snprintf(watching->address[side], sizeof watching->address[side], "link:%s",
                 names[1 - side]);
        watching->options[side].as = strdup(names[side]);
        if (!watching->options[side].as)
            return -ENOMEM;
    }
    snprintf(watching->whole, sizeof watching->whole, "link:%s/%s", names[0], names[1]);
    return 0;
}

/* The sides were killed: their names go with whoever comes back under them, and leaves. */
static void take_names_away(struct watching *watching)
{
    yoke_endpoint *end;

    for (int side = 0; side < 2; side++)
        if (watching->options[side].as &&
            yoke_open(&end, watching->address[side], 0, &watching->options[side]) == 0)
            yoke_close(end);
}

static void teardown(struct watching *watching)
{
    for (int i = 0; i < ROLES; i++)
        bench_child_end(&watching->children[i]);
    take_names_away(watching);
    yoke_close(watching->keeper);
    for (int side = 0; side < 2; side++)
        free((char *)watching->options[side].as);
    if (watching->shared)
        bench_unmap_shared(watching->shared, sizeof *watching->shared);
}

/* Sleeps; an error if one of them ends or the user wants an end. */
static int sleep_beside(struct watching *watching, uint64_t ns)
{
    struct timespec time = {(time_t)(ns / 1000000000), (long)(ns % 1000000000)};
    struct pollfd ended[ROLES];

    for (int i = 0; i < ROLES; i++)
        ended[i] = (struct pollfd){watching->children[i].pidfd, POLLIN, 0};
    (void)ppoll(ended, ROLES, &time, NULL);
    if (yk_stop_signal())
        return -EINTR;
    for (int i = 0; i < ROLES; i++)
        if (ended[i].revents & POLLIN)
            return -EIO;
    return 0;
}

static int start(struct watching *watching, const struct bench_cpus *cpus)
{
    uint64_t deadline = bench_now() + START;
    int error = 0;

    for (int role = 0; role < ROLES && !error; role++) {
        struct member member = {watching, (enum role)role};
        error = bench_child_start(&watching->children[role],
                                  role == WATCHER ? -1 : cpus->side[role], work, &member);
    }
    while (!error && atomic_load(&watching->shared->received) == 0)
        error = bench_now() > deadline ? -ETIMEDOUT : sleep_beside(watching, MILLISECOND);
    return error;
}

static uint64_t cpu_ns(const struct watching *watching)
{
    uint64_t sum = 0;

    for (int role = RECEIVER; role <= SENDER; role++) {
        struct timespec time = {0, 0};
        clockid_t clock;
        if (clock_getcpuclockid(watching->children[role].pid, &clock) == 0)
            (void)clock_gettime(clock, &time);
        sum += (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
    }
    return sum;
}

/* Goes on until so many messages came: on a busy machine each process has its turn seldom. */
static int take_part(struct watching *watching, bool watched, uint64_t ns, struct part *ret)
{
    struct shared *shared = watching->shared;
    uint64_t begin, cpu, first, received = 0, passed = 0;
    int error;

    atomic_store(&shared->watch, watched);
    error = sleep_beside(watching, SETTLE + (watched ? 0 : LOOK)); /* it ends its look first */
    begin = bench_now();
    cpu = cpu_ns(watching);
    first = atomic_load(&shared->received);
    while (!error && received < MESSAGES_LEAST && passed < START) {
        error = sleep_beside(watching, ns);
        received = atomic_load(&shared->received) - first;
        passed = bench_now() - begin;
    }
    if (!error && received < MESSAGES_LEAST)
        error = -ETIMEDOUT;
    if (!error)
        *ret = (struct part){(double)(cpu_ns(watching) - cpu) / (double)received,
                             (double)received / (double)passed * 1e9};
    return error;
}

static int by_size(const void *a, const void *b)
{
    double first = *(const double *)a, second = *(const double *)b;

    return first < second ? -1 : first > second;
}

static struct bench_ratio settle(double *values, unsigned count)
{
    qsort(values, count, sizeof *values, by_size);
    return (struct bench_ratio){values[count / 2], values[count / 10],
                                values[count - 1 - count / 10]};
}

static int take_rounds(struct watching *watching, bool quick, struct bench_watched *ret)
{
    double cpu[ROUNDS] = {0}, noise[ROUNDS] = {0}, speed[ROUNDS] = {0}, cost[ROUNDS] = {0},
           rate[ROUNDS] = {0};
    unsigned rounds = quick ? ROUNDS_QUICK : ROUNDS;
    int error = 0;

    for (unsigned i = 0; i < rounds && !error; i++) {
        struct part parts[PARTS];
        for (int k = 0; k < PARTS && !error; k++)
            error = take_part(watching, k == 1, quick ? PART_QUICK : PART, &parts[k]);
        if (error)
            break;
        cost[i] = (parts[0].cpu_ns + parts[2].cpu_ns) / 2;
        rate[i] = (parts[0].rate + parts[2].rate) / 2;
        cpu[i] = parts[1].cpu_ns / cost[i];
        noise[i] = parts[2].cpu_ns / parts[0].cpu_ns;
        speed[i] = parts[1].rate / rate[i];
    }
    if (error)
        return error;
    *ret = (struct bench_watched){.what = watching->what,
                                  .rounds = rounds,
                                  .cpu_ns = settle(cost, rounds).median,
                                  .rate = settle(rate, rounds).median,
                                  .cpu = settle(cpu, rounds),
                                  .noise = settle(noise, rounds),
                                  .speed = settle(speed, rounds),
                                  .seen = atomic_load(&watching->shared->seen)};
    return 0;
}

static int measure(struct watching *watching, bool quick, const struct bench_cpus *cpus,
                   struct bench_watched *ret)
{
    int error;

    for (int i = 0; i < ROLES; i++)
        watching->children[i].pidfd = -1;
    watching->shared = bench_map_shared(sizeof *watching->shared);
    error = !watching->shared                     ? -ENOMEM
            : strcmp(watching->what, "port") == 0 ? setup_port(watching)
                                                  : setup_link(watching);
    if (!error)
        error = start(watching, cpus);
    if (!error)
        error = take_rounds(watching, quick, ret);
    teardown(watching);
    return error;
}

int bench_watched_measure(struct bench_watched ret[BENCH_WATCHED_MAX], bool quick,
                          const struct bench_cpus *cpus, char ret_reason[BENCH_WATCHED_REASON])
{
    static const char *const all[BENCH_WATCHED_MAX] = {"port", "link"};
    int count = 0;

    ret_reason[0] = '\0';
    for (int i = 0; i < BENCH_WATCHED_MAX; i++) {
        struct watching watching = {.what = all[i]};
        int error = measure(&watching, quick, cpus, &ret[count]);
        if (error == -EINTR)
            return error;
        if (error)
            snprintf(ret_reason, BENCH_WATCHED_REASON, "a watched %s was not measured: %s", all[i],
                     strerror(-error));
        count += !error;
    }
    return count;
}
