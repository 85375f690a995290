/*
 * chaos.c - processes of every role over ports, links, streams, locks and signals; killed, stopped, resumed, forked and
 * started anew every few milliseconds; and a ledger that is kept beside, which must agree in the end.
 *
 *   chaos [--seed N] [--seconds N] [--messages N] [--kills N] [--processes N] [--round N [--rounds N]]
 *
 * Rounds follow each other until so many messages were received, so many processes killed, so many were attached at
 * one time, and the seconds are over. Each makes its own objects, from a seed that follows from the run's and its number:
 *
 *   flow    some 40 processes, of which one is killed or stopped every few ms
 *   storm   the same, one every half ms: most live for less than 20 ms
 *   crowd   --processes of them on one port, one stream and one region
 *
 * In the end of each all are gone, everything was drained and counted, and nothing is left (ledger.h, world.h,
 * checks.h). --seed with --round does the same round again: the same objects, roles, choices and deeds in the same
 * order. How the kernel runs the processes in between can not be had again.
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "checks.h"
#include "ledger.h"
#include "shared.h"
#include "support.h"
#include "tormentor.h"
#include "world.h"

#define HANG_SECONDS 900 /* for one round, on a machine that is slow, and busy */

static struct {
    uint64_t seed, messages, kills;
    double seconds;
    uint32_t processes, first, rounds;
} options = {.messages = 1, .kills = 1, .rounds = UINT32_MAX};

static struct {
    struct deeds deeds;
    struct sums messages, words;
    uint64_t again, waiting, parked;
    uint32_t rounds;
} total;

static int64_t started_ns;

static const char *const kind_names[] = {"flow", "storm", "crowd"};

static enum round_kind kind_of(uint32_t round)
{
    if (round % 25 == 2 && options.processes)
        return CROWD;
    return round % 4 == 0 ? FLOW : STORM;
}

static struct torment plan_of(enum round_kind kind, uint64_t seed)
{
    static const struct torment plans[] = {
        [FLOW] = {.actions = 150, .gap_ns = 4 * MS, .at_once = 1, .hushes = 25},
        [STORM] = {.actions = 600, .gap_ns = MS, .at_once = 8, .hushes = 60},
        [CROWD] = {.actions = 100, .gap_ns = 4 * MS, .at_once = 5, .gather = true},
    };
    struct torment plan = plans[kind];
    plan.seed = random_mix(seed, 3);
    plan.abrupt = kind == CROWD || random_mix(seed, 4) % 3 == 0;
    if (plan.abrupt) /* some of these leave parked messages, which do not arrive */
        plan.hushes = random_mix(seed, 6) % 2 ? plan.hushes : 0;
    return plan;
}

/* ---- one round ---- */

static void add_sums(struct sums *to, const struct sums *sums)
{
    to->tried += sums->tried;
    to->done += sums->done;
    to->refused += sums->refused;
    to->received += sums->received;
    to->maybe += sums->maybe;
    to->dropped += sums->dropped;
    to->lost += sums->lost;
}

static void say_round(uint32_t round, enum round_kind kind, const struct deeds *deeds,
                      const struct sums *messages, uint64_t waiting, uint64_t parked, int64_t begun)
{
    printf("# round %u (%s): %llu kills, %llu stops, %llu forks, %llu messages received, "
           "%llu waited, %llu parked; %lld ms\n",
           round, kind_names[kind], (unsigned long long)deeds->kills,
           (unsigned long long)deeds->stops, (unsigned long long)deeds->forks,
           (unsigned long long)messages->received, (unsigned long long)waiting,
           (unsigned long long)parked, (long long)((now_ns() - begun) / MS));
    fflush(stdout);
}

static void run_round(uint32_t round)
{
    uint64_t seed = random_mix(options.seed, round), waiting, parked;
    enum round_kind kind = kind_of(round);
    struct torment plan = plan_of(kind, seed);
    struct sums messages = {0}, words = {0};
    struct deeds deeds = {0};
    int64_t begun = now_ns();
    alarm(HANG_SECONDS);
    shared_begin_round(round, seed);
    shared->laziness = kind == CROWD ? 4 : kind == FLOW ? 2048 : 4u << random_mix(seed, 5) % 4;
    world_make(kind, random_mix(seed, 1), options.processes, plan.hushes == 0);
    torment(&plan, &deeds);
    world_audit(&waiting, &parked);
    ledger_judge(&messages, &words);
    leftovers_check();
    for (uint32_t i = 0; i < shared->seats; i++)
        total.again += shared->seat[i].again;
    add_sums(&total.messages, &messages);
    add_sums(&total.words, &words);
    total.waiting += waiting;
    total.parked += parked;
    total.deeds.kills += deeds.kills;
    total.deeds.stops += deeds.stops;
    total.deeds.starts += deeds.starts;
    total.deeds.forks += deeds.forks;
    total.deeds.hushes += deeds.hushes;
    if (deeds.attached_most > total.deeds.attached_most)
        total.deeds.attached_most = deeds.attached_most;
    total.rounds++;
    say_round(round, kind, &deeds, &messages, waiting, parked, begun);
}

/* ---- all rounds ---- */

static bool is_enough(void)
{
    if (options.rounds != UINT32_MAX)
        return total.rounds >= options.rounds;
    return total.messages.received >= options.messages && total.deeds.kills >= options.kills &&
           total.deeds.attached_most >= options.processes &&
           (double)(now_ns() - started_ns) * 1e-9 >= options.seconds;
}

static void report(void)
{
    printf(
        "# seed %llu: %u rounds, %llu processes killed, %llu stopped, %llu started, %llu forked by others; "
        "at most %llu attached at once; %llu times all was let arrive\n",
        (unsigned long long)options.seed, total.rounds, (unsigned long long)total.deeds.kills,
        (unsigned long long)total.deeds.stops, (unsigned long long)total.deeds.starts,
        (unsigned long long)total.deeds.forks, (unsigned long long)total.deeds.attached_most,
        (unsigned long long)total.deeds.hushes);
    printf(
        "# messages: %llu sent, %llu tried by the killed; %llu received (%llu of these waited or were "
        "parked in the end: %llu, %llu), %llu perhaps by the killed, %llu dropped (policy once), %llu lost; "
        "%llu delivered again, marked\n",
        (unsigned long long)total.messages.done, (unsigned long long)total.messages.tried,
        (unsigned long long)total.messages.received,
        (unsigned long long)(total.waiting + total.parked), (unsigned long long)total.waiting,
        (unsigned long long)total.parked, (unsigned long long)total.messages.maybe,
        (unsigned long long)total.messages.dropped, (unsigned long long)total.messages.lost,
        (unsigned long long)total.again);
    printf(
        "# streams: %llu words of 8 bytes written, %llu read, %llu perhaps by the killed, %llu lost\n",
        (unsigned long long)total.words.done, (unsigned long long)total.words.received,
        (unsigned long long)total.words.maybe, (unsigned long long)total.words.lost);
}

/* The first round is for what the library keeps for ever; then nothing may grow. */
static void each_message_is_accounted_for_and_nothing_is_left_whoever_is_killed(void **state)
{
    struct belongings before = {0}, after;
    (void)state;
    for (uint32_t round = options.first; !is_enough() && !atomic_load(&shared->faults); round++) {
        run_round(round);
        if (total.rounds == 1)
            belongings_count(&before);
    }
    belongings_count(&after);
    if (total.rounds > 1)
        belongings_compare("the supervisor", &before, &after);
    report();
    if (atomic_load(&shared->faults))
        printf("# the same round again: --seed %llu --processes %u --round %u\n",
               (unsigned long long)options.seed, options.processes,
               options.first + total.rounds - 1);
    assert_int_equal(atomic_load(&shared->faults), 0);
}

static void as_much_was_done_as_was_asked_for(void **state)
{
    (void)state;
    if (options.rounds != UINT32_MAX)
        skip_test("some rounds only were asked for");
    assert_true(total.messages.received >= options.messages);
    assert_true(total.deeds.kills >= options.kills);
    assert_true(total.deeds.attached_most >= options.processes);
}

/* ---- the program ---- */

static bool parse_options(int argc, char **argv)
{
    options.seed = test_seed();
    for (int i = 1; i + 1 < argc; i += 2) {
        unsigned long long value = strtoull(argv[i + 1], NULL, 0);
        if (strcmp(argv[i], "--seed") == 0)
            options.seed = value;
        else if (strcmp(argv[i], "--seconds") == 0)
            options.seconds = atof(argv[i + 1]);
        else if (strcmp(argv[i], "--messages") == 0)
            options.messages = value;
        else if (strcmp(argv[i], "--kills") == 0)
            options.kills = value;
        else if (strcmp(argv[i], "--processes") == 0)
            options.processes = (uint32_t)value;
        else if (strcmp(argv[i], "--rounds") == 0)
            options.rounds = (uint32_t)value;
        else if (strcmp(argv[i], "--round") == 0)
            options.first = (uint32_t)value, options.rounds = 1;
        else
            return false;
    }
    return argc % 2 == 1 && options.processes + 1 < SEATS_MAX;
}

static void interrupt(int number)
{
    (void)number; /* ends a wait, nothing else */
}

static char made_directory[64];

/* What malloc() keeps in its caches would count as in use: so it keeps nothing. It reads that when a program begins. */
static void run_without_caches(char **argv)
{
    if (getenv("GLIBC_TUNABLES"))
        return;
    setenv("GLIBC_TUNABLES", "glibc.malloc.tcache_count=0", 1);
    execv("/proc/self/exe", argv);
    perror("chaos: /proc/self/exe");
    exit(99);
}

static void prepare(void)
{
    struct sigaction action = {.sa_handler = interrupt};
    sigaction(SIGUSR1, &action, NULL);
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    if (!getenv("YOKE_DIR")) { /* by hand */
        snprintf(made_directory, sizeof made_directory, "/tmp/yoke-chaos-XXXXXX");
        if (!mkdtemp(made_directory))
            exit(99);
        setenv("YOKE_DIR", made_directory, 1);
    }
    shared_open();
    started_ns = now_ns();
}

int main(int argc, char **argv)
{
    if (!parse_options(argc, argv)) {
        fprintf(stderr,
                "usage: chaos [--seed N] [--seconds N] [--messages N] [--kills N] [--processes N] "
                "[--round N] [--rounds N]\n");
        return 2;
    }
    run_without_caches(argv);
    prepare();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_message_is_accounted_for_and_nothing_is_left_whoever_is_killed),
        cmocka_unit_test(as_much_was_done_as_was_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
