/*
 * death.c - how soon the others know that a process died.
 *
 * Each kill has three processes:
 *
 *   victim     opens what the way takes, says so through a pipe, and sleeps
 *   observer   waits in that way; the same one for all kills of a lane
 *   lane       starts the victim, sends SIGKILL when the observer has lain down, and reads the pipe
 *              to its end: that is when the kernel has closed the victim's files, as far as it can
 *              be told, and what an ordinary program would go by
 *
 * A call that blocks looks at who is alive every 100 ms, so its victims are killed at any moment
 * within that, and to have so many kills in a short time there are several lanes, each with names of
 * its own. They are asleep nearly all the time. Ways that need not wait have one lane, so nothing
 * else runs.
 *
 * All that happens in a box (box.h).
 */
#include "death.h"

#include "box.h"
#include "loops.h"
#include "rows.h"
#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <yoke.h>

#define MILLISECOND UINT64_C(1000000)
#define SECOND      INT64_C(1000000000)
/* Of whatever does not hang. */
#define SOON_MS 30000
#define SOON_NS (20 * SECOND)
/* What is not known by then is missed. */
#define MISSED_NS   (5 * SECOND)
#define KILLS       1000u
#define KILLS_OTHER 200u /* of victims that are not plain */
#define QUICK       40u
#define QUICK_OTHER 10u
#define KILLS_LEAST 2u  /* however little time is left */
#define LANES       16u /* of a way that blocks */
#define THREADS     3
#define CHILDREN    2
/* From when the observer says that it lies down until the kill: at least, and so much more at most. */
#define LIE_NS   (300 * UINT64_C(1000))
#define MORE_NS  (700 * UINT64_C(1000))
#define SLICE_NS (100 * MILLISECOND) /* what a blocking call sleeps at most */
/* A kill of a way that blocks takes so many times as long as one of another way, with all lanes. */
#define BLOCKING_COST 3.0

/* What victim, observer and lane say to each other. */
struct word {
    int error; /* 0: goes well */
    uint64_t ns;
    char reason[160];
};

struct one {
    double closed, known; /* ns since the kill */
};

/* All kills of one way and one kind of victim; shared by the lanes. */
struct kills {
    _Atomic uint32_t begun, known, missed;
    struct one of[KILLS];
    char reason[200]; /* of the lane that failed last */
};

struct shared {
    struct kills kills;
    struct kills pipe; /* of all ways with the same kind of victim */
    int count;
    struct bench_death deaths[BENCH_DEATHS_MAX];
};

struct plan {
    struct shared *shared;
    bool quick;
    uint64_t end_ns; /* of all */
    bool boxed;
};

struct lane {
    struct kills *kills;
    enum bench_death_way way;
    enum bench_death_victim victim;
    uint32_t target;
    uint64_t end_ns, random;
    bool boxed;
    int pipe[2], talk[2]; /* victim to lane; lane and observer */
    char victim_name[64], observer_name[64], link[80], port[80];

    /* an observer's, or a victim's */
    yoke_endpoint *endpoint;
    yoke_set *set;
    int member; /* of the set; negative: none */
};

/* ---- words ---------------------------------------------------------------------------------- */

static void say(int fd, int error)
{
    struct word word = {.error = error < 0 ? error : 0, .ns = bench_now()};
    bool answer = error == -EAGAIN || error == -ETIMEDOUT || error == -EINTR;
    const char *sentence = answer ? "" : yoke_explain(); /* an answer has none */

    if (error < 0)
        snprintf(word.reason, sizeof word.reason, "%s",
                 sentence[0] ? sentence : yoke_strerror(error));
    if (write(fd, &word, sizeof word) != sizeof word)
        _exit(EXIT_FAILURE); /* nobody is there to hear it */
}

/* False: it did not come, or is an error, and the lane has its reason. */
static bool hear(struct lane *lane, int fd, const char *who, struct word *ret_word)
{
    struct pollfd ready = {fd, POLLIN, 0};

    if (poll(&ready, 1, SOON_MS) != 1 || read(fd, ret_word, sizeof *ret_word) != sizeof *ret_word)
        *ret_word = (struct word){.error = -EIO, .reason = "no word came"};
    if (ret_word->error)
        snprintf(lane->kills->reason, sizeof lane->kills->reason, "the %s: %.159s", who,
                 ret_word->reason);
    return ret_word->error == 0;
}

/* ---- the ways: what the victim opens, and how the observer gets to know ---------------------- */

static int open_link(struct lane *lane, const char *as, const char *other)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;

    options.as = as;
    options.depth = 8;
    options.max_message = BENCH_SIZE_MIN;
    snprintf(lane->link, sizeof lane->link, "link:%s", other);
    return yoke_open(&lane->endpoint, lane->link, YOKE_CREATE, &options);
}

static int open_port(struct lane *lane)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;

    options.depth = 8;
    options.participants = 8;
    options.max_message = BENCH_SIZE_MIN;
    return yoke_open(&lane->endpoint, lane->port, YOKE_CREATE, &options);
}

static int attend_link(struct lane *lane)
{
    return open_link(lane, lane->victim_name, lane->observer_name);
}

static int attend_peer(struct lane *lane)
{
    yoke_peer *peer;

    return yoke_peer_join(&peer, lane->victim_name, NULL);
}

/* Dies with a message in its hands. */
static int attend_port(struct lane *lane)
{
    uint64_t message = 1;
    const void *held;
    ssize_t result = open_port(lane);

    if (result >= 0)
        result = yoke_send(lane->endpoint, &message, sizeof message, YOKE_NOW);
    if (result >= 0)
        result = yoke_borrow(lane->endpoint, &held, YOKE_NOW);
    return result < 0 ? (int)result : 0;
}

static int begin_link(struct lane *lane)
{
    return open_link(lane, lane->observer_name, lane->victim_name);
}

static int begin_set(struct lane *lane)
{
    return yoke_set_create(&lane->set);
}

static int begin_nothing(struct lane *lane)
{
    (void)lane;
    return 0;
}

/* There is nothing to receive; and the descriptor, if it was asked for, is not readable. */
static int find_nothing(const struct lane *lane)
{
    uint64_t message;
    ssize_t result = yoke_recv(lane->endpoint, &message, sizeof message, YOKE_NOW);

    return result == -EAGAIN ? 0 : result < 0 ? (int)result : -EBUSY;
}

static int prepare_link(struct lane *lane)
{
    int error = yoke_link_wait(lane->endpoint, SOON_NS);

    return error < 0 ? error : find_nothing(lane);
}

static int prepare_descriptor(struct lane *lane)
{
    int result = yoke_fd(lane->endpoint);

    if (result < 0)
        return result;
    return lane->way == BENCH_DEATH_LINK_FD ? prepare_link(lane) : find_nothing(lane);
}

static int prepare_peer(struct lane *lane)
{
    return yoke_peer_wait(lane->victim_name, YOKE_PEER_HERE, SOON_NS);
}

static int prepare_set(struct lane *lane)
{
    struct yoke_ready ready;
    ssize_t result = prepare_peer(lane);

    if (lane->member >= 0)
        yoke_set_remove(lane->set, lane->member);
    if (result >= 0)
        result = lane->member = yoke_set_add_gone(lane->set, lane->victim_name, NULL);
    if (result >= 0)
        result = yoke_set_wait(lane->set, &ready, 1, YOKE_NOW);
    return result == -EAGAIN ? 0 : result < 0 ? (int)result : -EBUSY;
}

/* As an event loop does; the message is what the dead one held. */
static int know_by_descriptor(struct lane *lane)
{
    uint64_t message, end = bench_now() + MISSED_NS, now;
    ssize_t result = -EAGAIN;

    while (result == -EAGAIN && (now = bench_now()) < end) {
        struct pollfd ready = {yoke_fd(lane->endpoint), POLLIN, 0};

        if (poll(&ready, 1, (int)((end - now) / MILLISECOND) + 1) > 0)
            result = yoke_recv(lane->endpoint, &message, sizeof message, YOKE_NOW);
    }
    if (lane->way == BENCH_DEATH_LINK_FD)
        return result == -EOWNERDEAD ? 0 : result == -EAGAIN ? -ETIMEDOUT : (int)result;
    return result > 0 ? 0 : result == -EAGAIN ? -ETIMEDOUT : (int)result;
}

static int know_by_set(struct lane *lane)
{
    struct yoke_ready ready;
    ssize_t result = yoke_set_wait(lane->set, &ready, 1, MISSED_NS);

    return result < 0 ? (int)result : ready.what == YOKE_SET_GONE ? 0 : -EBUSY;
}

static int know_by_recv(struct lane *lane)
{
    uint64_t message;
    ssize_t result = yoke_recv(lane->endpoint, &message, sizeof message, MISSED_NS);

    return result == -EOWNERDEAD ? 0 : result < 0 ? (int)result : -EBUSY;
}

static int know_by_wait(struct lane *lane)
{
    return yoke_peer_wait(lane->victim_name, YOKE_PEER_GONE, MISSED_NS);
}

/* Functions that return 0 or a negative errno. */
static const struct way {
    const char *name;
    double promise_ns;
    int (*attend)(struct lane *lane);  /* the victim */
    int (*begin)(struct lane *lane);   /* the observer, once */
    int (*prepare)(struct lane *lane); /* a new victim has come: nothing is to be known yet */
    int (*know)(struct lane *lane);    /* waits until it is; -ETIMEDOUT: never */
} ways[BENCH_DEATH_WAYS] = {
    [BENCH_DEATH_PIPE] = {.name = "pipe"},
    [BENCH_DEATH_LINK_FD] = {"link-fd", 10e6, attend_link, begin_link, prepare_descriptor,
                             know_by_descriptor},
    [BENCH_DEATH_PORT_FD] = {"port-fd", 10e6, attend_port, open_port, prepare_descriptor,
                             know_by_descriptor},
    [BENCH_DEATH_SET] = {"set-gone", 10e6, attend_peer, begin_set, prepare_set, know_by_set},
    [BENCH_DEATH_RECV] = {"link-recv", 100e6, attend_link, begin_link, prepare_link, know_by_recv},
    [BENCH_DEATH_WAIT] = {"peer-wait", 100e6, attend_peer, begin_nothing, prepare_peer,
                          know_by_wait},
};

const char *bench_death_way_name(enum bench_death_way way)
{
    return ways[way].name;
}

double bench_death_promise(enum bench_death_way way)
{
    return ways[way].promise_ns;
}

const char *bench_death_victim_name(enum bench_death_victim victim)
{
    static const char *const names[BENCH_VICTIMS] = {"plain", "threads", "forked", "namespace"};
    return names[victim];
}

static bool blocks(enum bench_death_way way)
{
    return way == BENCH_DEATH_RECV || way == BENCH_DEATH_WAIT;
}

/* ---- the victim ----------------------------------------------------------------------------- */

static void *sleep_for_ever(void *unused)
{
    for (;;)
        pause();
    return unused;
}

static int start_threads(void)
{
    pthread_t thread;
    int error = 0;

    for (int i = 0; i < THREADS && !error; i++)
        error = pthread_create(&thread, NULL, sleep_for_ever, NULL);
    return -error;
}

/* Each has all that its parent has open, and ends. */
static int outlive_children(void)
{
    for (int i = 0; i < CHILDREN; i++) {
        pid_t pid = fork();

        if (pid == 0)
            _exit(EXIT_SUCCESS);
        if (pid < 0 || waitpid(pid, NULL, 0) != pid)
            return -errno;
    }
    return 0;
}

static void be_victim(void *argument)
{
    struct lane *lane = argument;
    int error;

    close(lane->pipe[0]);
    error = ways[lane->way].attend(lane);
    if (error >= 0 && lane->victim == BENCH_VICTIM_THREADS)
        error = start_threads();
    if (error >= 0 && lane->victim == BENCH_VICTIM_FORKED)
        error = outlive_children();
    say(lane->pipe[1], error);
    sleep_for_ever(NULL);
}

/* ---- the observer --------------------------------------------------------------------------- */

static void observe(void *argument)
{
    struct lane *lane = argument;
    const struct way *way = &ways[lane->way];
    int talk = lane->talk[1], error;
    struct word go;
    yoke_peer *peer;

    close(lane->talk[0]);
    error = way->begin(lane);
    while (read(talk, &go, sizeof go) == sizeof go) {
        if (error >= 0)
            error = way->prepare(lane);
        say(talk, error);
        if (error < 0)
            break;
        error = way->know(lane);
        say(talk, error);
        if (error == -ETIMEDOUT)
            error = 0;
    }
    yoke_set_close(lane->set);
    yoke_close(lane->endpoint);
    /* A victim leaves its peer's name; whoever has joined takes it away. */
    if (lane->way != BENCH_DEATH_PORT_FD && yoke_peer_join(&peer, lane->victim_name, NULL) == 0)
        yoke_peer_leave(peer);
}

/* ---- a lane --------------------------------------------------------------------------------- */

static void sleep_until(uint64_t ns)
{
    struct timespec time = {.tv_sec = (time_t)(ns / SECOND), .tv_nsec = (long)(ns % SECOND)};

    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL) == EINTR)
        ;
}

static uint64_t time_of_kill(struct lane *lane)
{
    return bench_now() + LIE_NS +
           bench_random(&lane->random) % (blocks(lane->way) ? SLICE_NS : MORE_NS);
}

static void note(struct kills *kills, double closed, double known)
{
    uint32_t index = atomic_fetch_add(&kills->known, 1);

    if (index < KILLS)
        kills->of[index] = (struct one){closed, known};
}

/* The victim is there. False: something is wrong, and the lane has its reason. */
static bool kill_victim(struct lane *lane, const struct bench_child *victim)
{
    uint64_t killed_ns, closed_ns;
    struct word word;
    bool told;
    char end;

    say(lane->talk[0], 0);
    if (!hear(lane, lane->talk[0], "observer", &word))
        return false;
    sleep_until(time_of_kill(lane));
    killed_ns = bench_now();
    kill(victim->pid, SIGKILL);
    while (read(lane->pipe[0], &end, sizeof end) != 0)
        ;
    closed_ns = bench_now();
    told = hear(lane, lane->talk[0], "observer", &word);
    if (told)
        note(lane->kills, (double)(closed_ns - killed_ns), (double)word.ns - (double)killed_ns);
    if (told || word.error != -ETIMEDOUT)
        return told;
    atomic_fetch_add(&lane->kills->missed, 1);
    lane->kills->reason[0] = '\0'; /* it goes on */
    return true;
}

static bool kill_one(struct lane *lane)
{
    struct bench_child victim = BENCH_NO_CHILD;
    struct word word;
    bool done = false;

    if (pipe2(lane->pipe, O_CLOEXEC) < 0)
        return false;
    if (bench_child_start(&victim, -1, be_victim, lane) == 0) {
        close(lane->pipe[1]);
        lane->pipe[1] = -1;
        done = hear(lane, lane->pipe[0], "victim", &word) && kill_victim(lane, &victim);
    }
    bench_child_end(&victim);
    for (int end = 0; end < 2; end++)
        if (lane->pipe[end] >= 0)
            close(lane->pipe[end]);
    return done;
}

static void be_init(void *unused)
{
    sleep_for_ever(unused);
}

/* From now on this process's children are in a PID namespace that it is not in itself. */
static bool leave_namespace(struct lane *lane, struct bench_child *ret_init)
{
    if (unshare(CLONE_NEWPID) == 0 && bench_child_start(ret_init, -1, be_init, NULL) == 0)
        return true;
    snprintf(lane->kills->reason, sizeof lane->kills->reason, "no PID namespace is to be had: %s",
             strerror(errno));
    return false;
}

static void name_all(struct lane *lane)
{
    long number = (long)getpid();
    const char *names = getenv("YOKE_DIR");
    char own[200];

    /* Who comes to a directory looks at all that is in it, and thereby wakes who watches that. */
    snprintf(own, sizeof own, "%s/%ld", names ? names : "", number);
    if (lane->boxed && mkdir(own, S_IRWXU) == 0)
        setenv("YOKE_DIR", own, 1);
    snprintf(lane->victim_name, sizeof lane->victim_name, "bench-victim-%ld", number);
    snprintf(lane->observer_name, sizeof lane->observer_name, "bench-observer-%ld", number);
    snprintf(lane->port, sizeof lane->port, "port:bench-death-%ld", number);
    lane->random = (uint64_t)number;
}

static void run_lane(void *argument)
{
    struct lane *lane = argument;
    struct bench_child observer = BENCH_NO_CHILD, init = BENCH_NO_CHILD;
    struct pollfd ended;
    bool goes_on;

    name_all(lane);
    signal(SIGPIPE, SIG_IGN);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, lane->talk) < 0)
        return;
    goes_on = bench_child_start(&observer, -1, observe, lane) == 0;
    close(lane->talk[1]);
    if (goes_on && lane->victim == BENCH_VICTIM_NAMESPACE)
        goes_on = leave_namespace(lane, &init);
    while (goes_on && (bench_now() < lane->end_ns || lane->kills->begun < KILLS_LEAST) &&
           atomic_fetch_add(&lane->kills->begun, 1) < lane->target)
        goes_on = kill_one(lane);
    bench_child_end(&init);
    close(lane->talk[0]); /* so the observer tidies up and ends: nobody else has this end */
    ended = (struct pollfd){observer.pidfd, POLLIN, 0};
    (void)poll(&ended, 1, SOON_MS);
    bench_child_end(&observer);
}

/* ---- all ------------------------------------------------------------------------------------ */

static struct bench_death_times times_of(double *values, size_t count)
{
    return (struct bench_death_times){.median = bench_percentile(values, count, 50),
                                      .p99 = bench_percentile(values, count, 99),
                                      .worst = bench_percentile(values, count, 100)};
}

static void fill_in(struct bench_death *death, const struct kills *kills, enum bench_death_way way,
                    enum bench_death_victim victim)
{
    static const struct bench_death_times none = {NAN, NAN, NAN};
    static double closed[KILLS], killed[KILLS];
    size_t count = kills->known < KILLS ? kills->known : KILLS;
    double promise = bench_death_promise(way);

    *death = (struct bench_death){.way = way,
                                  .victim = victim,
                                  .kills = count,
                                  .missed = kills->missed,
                                  .late = kills->missed};
    for (size_t i = 0; i < count; i++) {
        killed[i] = kills->of[i].known;
        closed[i] = killed[i] > kills->of[i].closed ? killed[i] - kills->of[i].closed : 0;
        death->late += promise > 0 && closed[i] > promise;
        bench_histogram_add(&death->since_killed, killed[i]);
    }
    death->closed = count > 0 && way != BENCH_DEATH_PIPE ? times_of(closed, count) : none;
    death->killed = count > 0 ? times_of(killed, count) : none;
    snprintf(death->reason, sizeof death->reason, "%s", kills->reason);
}

static uint32_t kills_of(const struct plan *plan, enum bench_death_victim victim)
{
    if (victim == BENCH_VICTIM_PLAIN)
        return plan->quick ? QUICK : KILLS;
    return plan->quick ? QUICK_OTHER : KILLS_OTHER;
}

/* What part of the time that is left from this row on it may have. */
static double share_of(const struct plan *plan, int row)
{
    double own = 0, all = 0;

    for (int i = BENCH_DEATHS_MAX - 1; i >= row; i--) {
        enum bench_death_way way = (enum bench_death_way)(i % BENCH_DEATH_WAYS);

        own = kills_of(plan, (enum bench_death_victim)(i / BENCH_DEATH_WAYS)) *
              (way == BENCH_DEATH_PIPE ? 0
               : blocks(way)           ? BLOCKING_COST
                                       : 1.0);
        all += own;
    }
    return own / all;
}

static void measure_way(const struct plan *plan, enum bench_death_way way,
                        enum bench_death_victim victim, uint64_t end_ns)
{
    struct lane lane = {.kills = &plan->shared->kills,
                        .way = way,
                        .victim = victim,
                        .target = kills_of(plan, victim),
                        .end_ns = end_ns,
                        .boxed = plan->boxed,
                        .member = -1};
    struct bench_child lanes[LANES];
    unsigned count = blocks(way) ? LANES : 1;

    memset(lane.kills, 0, sizeof *lane.kills);
    for (unsigned i = 0; i < count; i++) {
        lanes[i] = (struct bench_child)BENCH_NO_CHILD;
        (void)bench_child_start(&lanes[i], -1, run_lane, &lane);
    }
    for (unsigned i = 0; i < count; i++) {
        struct pollfd ended = {lanes[i].pidfd, POLLIN, 0};

        while (lanes[i].pid > 0 && poll(&ended, 1, -1) <= 0)
            ;
        bench_child_end(&lanes[i]);
    }
}

/* The pipe was read in all kills; its row has those of the ways that have one lane. */
static void measure_victim(const struct plan *plan, enum bench_death_victim victim)
{
    struct shared *shared = plan->shared;
    struct bench_death *deaths = &shared->deaths[victim * BENCH_DEATH_WAYS];

    memset(&shared->pipe, 0, sizeof shared->pipe);
    for (int way = BENCH_DEATH_PIPE + 1; way < BENCH_DEATH_WAYS; way++) {
        uint64_t now = bench_now(), left = now < plan->end_ns ? plan->end_ns - now : 0;
        double share = share_of(plan, (int)victim * BENCH_DEATH_WAYS + way);

        measure_way(plan, (enum bench_death_way)way, victim,
                    now + (uint64_t)(share * (double)left));
        for (uint32_t i = 0; i < shared->kills.known && !blocks((enum bench_death_way)way); i++)
            note(&shared->pipe, shared->kills.of[i].closed, shared->kills.of[i].closed);
        if (shared->kills.reason[0])
            memcpy(shared->pipe.reason, shared->kills.reason, sizeof shared->pipe.reason);
        fill_in(&deaths[way], &shared->kills, (enum bench_death_way)way, victim);
    }
    fill_in(&deaths[BENCH_DEATH_PIPE], &shared->pipe, BENCH_DEATH_PIPE, victim);
    shared->count += BENCH_DEATH_WAYS;
}

static void measure_all(void *argument)
{
    struct plan *plan = argument;

    plan->boxed = bench_box_enter(); /* else observers tidy up */
    for (int victim = 0; victim < BENCH_VICTIMS; victim++)
        measure_victim(plan, (enum bench_death_victim)victim);
}

int bench_death_observe(struct bench_death deaths[BENCH_DEATHS_MAX], bool quick, uint64_t ns)
{
    struct plan plan = {.quick = quick, .end_ns = bench_now() + ns};
    int result;

    plan.shared = bench_map_shared(sizeof *plan.shared);
    if (!plan.shared)
        return -ENOMEM;
    result = bench_box_run(measure_all, &plan);
    if (!result) {
        result = plan.shared->count;
        memcpy(deaths, plan.shared->deaths, (size_t)result * sizeof *deaths);
    }
    bench_unmap_shared(plan.shared, sizeof *plan.shared);
    return result;
}
