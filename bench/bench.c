/*
 * bench.c - `yoke bench`: what messages cost here, beside what this machine allows.
 *
 * First what is counted and observed, each once: system calls, wake-ups, deaths, growth. Then
 * rounds: every round takes one sample of every system in every setting, so that whatever changes
 * on the machine meanwhile changes for all. Rounds go on until the time is over.
 */
#include "bench.h"

#include "calls.h"
#include "cli.h"
#include "fan.h"
#include "far.h"
#include "html.h"
#include "idle.h"
#include "json.h"
#include "options.h"
#include "output.h"
#include "plan.h"
#include "report.h"
#include "stop.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <yoke.h>

#define MILLISECOND UINT64_C(1000000)
#define ROUNDS_MAX  100000u
/* How many times its share of the time a row may have before it lets the others go first. */
#define SHARES 4u
/* The other systems have a turn in one of so many rounds: their ratios are far from the limit. */
#define OTHERS 3u
/* At most such a part of all time is for counting system calls, at least such a one for rounds;
 * where the time is for rounds alone, counting may have as much again. */
#define COUNTING_PART 4
#define ROUNDS_PART   4
/* With --place. */
#define FAR_TOPICS   (1u << BENCH_TOPIC_LATENCY | 1u << BENCH_TOPIC_RATE)
#define FAR_NS       ((int64_t)(60000 * MILLISECOND))
#define FAR_QUICK_NS ((int64_t)(5000 * MILLISECOND))

static const struct yk_usage usage = {
    "bench",
    "Usage: yoke bench [OPTION...]\n"
    "Measures yoke, other systems, this machine's limits: docs/performance.md\n"
    "  --quick            under 40 seconds, not some 4 minutes: fewer systems, sizes\n"
    "  --case NAME,...    all of these unless given:\n"
    "                     latency  round trip\n"
    "                     rate     one way, messages a second\n"
    "                     size     one way, GB/s, from 8 bytes to 64 MiB\n"
    "                     wake     round trip when both sleep; wake-ups while idle\n"
    "                     fan-in   up to 64 senders and 64 receivers\n"
    "                     open     one more endpoint\n"
    "                     grow     more ports, links, messages waiting, processes\n"
    "                     watched  beside 'yoke stat --watch', and without\n"
    "                     kill, death  what is seen of kill -9; how soon it is known\n"
    "  --size SIZE,...    bytes of each message, instead of each case's own\n"
    "  --against NAME,... which systems beside yoke's; 'all', 'none'\n"
    "  --rounds N         exactly so many rounds, however long they take\n"
    "  --time TIME        how long to go on with rounds\n"
    "  --report FILE      also write a page in HTML\n"
    "  --place nats://... latency and rate there, beside the NATS client itself\n"
    "  --json             one object a line\n"
    "  --help             this text\n"
    "\n"
    "VALUE: median of the ROUNDS kept; SPREAD: of the middle 80 %; X LIMIT: median\n"
    "ratio to the limit OF; ASIDE: samples whose limit was not twice the same.\n",
};

/* What was asked for. */
struct request {
    struct bench_plan plan;
    uint64_t rounds; /* 0: until `time_ns` is over */
    int64_t time_ns;
    bool rounds_only; /* the time is for rounds alone, else for all of it */
    struct bench_pace pace;
    uint64_t observe_ns, idle_ns; /* a killed process's other side; an idle receiver */
    uint64_t death_ns;            /* for all that die one after the other */
    const char *report;           /* NULL: none */
    const char *place;            /* NULL: this machine's memory, and the kernel */
    bool cases, against;          /* were given */
    bool json;
};

/* ---- options -------------------------------------------------------------------------------- */

static void parse_cases(struct bench_plan *plan, char *list)
{
    plan->topics = 0;
    for (char *word; (word = strsep(&list, ","));) {
        uint32_t found = 0;

        for (int topic = 0; topic < BENCH_TOPICS; topic++)
            if (strcmp(word, bench_topic_name((enum bench_topic)topic)) == 0)
                found = 1u << topic;
        if (!found)
            yk_usage_error(&usage, "--case '%s': there is no such case", word);
        plan->topics |= found;
    }
}

static void parse_sizes(struct bench_plan *plan, char *list)
{
    plan->size_count = 0;
    for (char *word; (word = strsep(&list, ","));) {
        if (plan->size_count == BENCH_SIZES_MAX)
            yk_usage_error(&usage, "--size: more than %d sizes", BENCH_SIZES_MAX);
        plan->sizes[plan->size_count++] =
            (size_t)yk_parse_size(&usage, "--size", word, BENCH_SIZE_MIN, YOKE_MESSAGE_MAX);
    }
}

static _Noreturn void refuse_system(const char *word)
{
    char names[1000] = "";
    size_t length = 0;

    for (size_t i = 0; bench_systems[i] && length < sizeof names; i++)
        length += (size_t)snprintf(names + length, sizeof names - length, "%s%s", i ? ", " : "",
                                   bench_systems[i]->name);
    yk_usage_error(&usage, "--against '%s': there is no such system; there are %s", word, names);
}

/* Yoke's own, and those that `takes` says. */
static uint64_t choose_systems(bool takes(const struct bench_system *, const char *),
                               const char *word)
{
    uint64_t systems = 0;

    for (size_t i = 0; bench_systems[i]; i++)
        if (takes(bench_systems[i], word))
            systems |= UINT64_C(1) << i;
    return systems;
}

static bool is_own(const struct bench_system *system, const char *word)
{
    (void)word;
    return system->own;
}

static bool is_quick(const struct bench_system *system, const char *word)
{
    (void)word;
    return system->quick;
}

static bool is_named(const struct bench_system *system, const char *word)
{
    return strcmp(word, "all") == 0 || strcmp(word, system->name) == 0;
}

static void parse_systems(struct bench_plan *plan, char *list)
{
    plan->systems = choose_systems(is_own, NULL);
    for (char *word; (word = strsep(&list, ","));) {
        uint64_t found = choose_systems(is_named, word);

        if (!found && strcmp(word, "none") != 0)
            refuse_system(word);
        plan->systems |= found;
    }
}

static void set_quick(struct request *request)
{
    request->plan.quick = true;
    request->time_ns = (int64_t)(33000 * MILLISECOND);
    request->pace = (struct bench_pace){.warm_ns = 1 * MILLISECOND,
                                        .probe_ns = 6 * MILLISECOND,
                                        .system_ns = 15 * MILLISECOND,
                                        .most_ns = 4000 * MILLISECOND};
    request->observe_ns = 250 * MILLISECOND;
    request->idle_ns = 500 * MILLISECOND;
    request->death_ns = 4000 * MILLISECOND;
}

/* What is measured on other machines is little, and beside one other. */
static void check_far(const struct request *request)
{
    if (strncmp(request->place, "nats://", 7) != 0)
        yk_usage_error(&usage,
                       "--place '%s': other places than nats://HOST:PORT are measured without it",
                       request->place);
    if (request->against || request->report)
        yk_usage_error(&usage, "--place goes with neither --against nor --report");
    if (request->cases && request->plan.topics & ~FAR_TOPICS)
        yk_usage_error(&usage, "--place measures the cases latency and rate");
    for (size_t i = 0; i < request->plan.size_count; i++)
        if (request->plan.sizes[i] > BENCH_FAR_SIZE_MAX)
            yk_usage_error(&usage, "--size %zu: with --place they are %zu bytes at most",
                           request->plan.sizes[i], BENCH_FAR_SIZE_MAX);
}

static int measure_far(const struct request *request)
{
    static const size_t sizes[] = {64, 1024};
    const struct bench_far_request far = {
        .place = request->place,
        .topics = request->plan.topics & FAR_TOPICS,
        .sizes = request->plan.size_count ? request->plan.sizes : sizes,
        .size_count = request->plan.size_count ? request->plan.size_count : 2,
        .rounds = request->rounds,
        .time_ns = request->rounds_only  ? request->time_ns
                   : request->plan.quick ? FAR_QUICK_NS
                                         : FAR_NS,
        .json = request->json,
        .quick = request->plan.quick,
    };

    return bench_far_main(&far);
}

static void parse_options(struct request *request, int argc, char **argv)
{
    enum { QUICK = YK_OPTION_FIRST, CASE, SIZE, AGAINST, ROUNDS, TIME, REPORT, PLACE, JSON };
    static const struct option options[] = {
        {"quick", no_argument, NULL, QUICK},         {"case", required_argument, NULL, CASE},
        {"size", required_argument, NULL, SIZE},     {"against", required_argument, NULL, AGAINST},
        {"rounds", required_argument, NULL, ROUNDS}, {"time", required_argument, NULL, TIME},
        {"report", required_argument, NULL, REPORT}, {"place", required_argument, NULL, PLACE},
        {"json", no_argument, NULL, JSON},           YK_OPTION_END,
    };
    int64_t time_ns = 0;
    int option;

    while ((option = yk_option_next(&usage, argc, argv, ":h", options)) != -1) {
        switch (option) {
        case QUICK:
            set_quick(request);
            break;
        case CASE:
            parse_cases(&request->plan, optarg);
            request->cases = true;
            break;
        case SIZE:
            parse_sizes(&request->plan, optarg);
            break;
        case AGAINST:
            parse_systems(&request->plan, optarg);
            request->against = true;
            break;
        case ROUNDS:
            request->rounds = yk_parse_number(&usage, "--rounds", optarg, 1, ROUNDS_MAX);
            break;
        case TIME:
            time_ns = yk_parse_duration(&usage, "--time", optarg);
            if (time_ns == 0)
                yk_usage_error(&usage, "--time '%s': nothing can be measured in no time", optarg);
            break;
        case REPORT:
            request->report = optarg;
            break;
        case PLACE:
            request->place = optarg;
            break;
        case JSON:
            yk_json_require(&usage);
            request->json = true;
            break;
        }
    }
    yk_arguments_check(&usage, argc, 0, 0, "nothing");
    if (time_ns != 0) {
        request->time_ns = time_ns;
        request->rounds_only = true;
    }
    if (request->place)
        check_far(request);
    if (!request->plan.systems) /* --against was not given */
        request->plan.systems = request->plan.quick ? choose_systems(is_quick, NULL) : UINT64_MAX;
}

/* ---- progress ------------------------------------------------------------------------------- */

static void say_progress(const char *what, const struct bench_row *row)
{
    char size[YK_SIZE_TEXT];

    if (!isatty(STDERR_FILENO))
        return;
    fprintf(stderr, "\r\033[K%s", what);
    if (row)
        fprintf(stderr, ": %s, %s, %s, %s", bench_topic_name(row->setting.topic),
                yk_format_size_exact(size, row->setting.size), row->system->name,
                bench_mode_name(row->setting.mode));
    fflush(stderr);
}

static void say_round(const struct request *request, uint64_t round, const struct bench_row *row)
{
    char text[64];

    if (request->rounds > 0)
        snprintf(text, sizeof text, "round %llu of %llu", (unsigned long long)round,
                 (unsigned long long)request->rounds);
    else
        snprintf(text, sizeof text, "round %llu", (unsigned long long)round);
    say_progress(text, row);
}

/* ---- what is counted and observed once ------------------------------------------------------ */

/* System calls, and wake-ups while idle. 0 or -EINTR. */
static int count_for_row(const struct request *request, struct bench_row *row)
{
    struct bench_run run = {.system = row->system, .setting = row->setting, .side = BENCH_PARENT};
    struct bench_calls calls;
    int error = bench_calls_count(&run, &request->plan.cpus, &calls);

    if (!error) {
        row->calls = calls.all;
        row->futex_calls = calls.futex;
        row->futex_wakes = calls.wakes;
    } else {
        snprintf(row->calls_problem, sizeof row->calls_problem, "%.100s", run.reason);
    }
    if (error == -EINTR || row->setting.topic != BENCH_TOPIC_WAKE || !row->system->recv)
        return error == -EINTR ? error : 0;
    error = bench_idle_count(&run, request->idle_ns, &request->plan.cpus, &row->idle_wakeups);
    return error == -EINTR ? error : 0;
}

/*
 * On a busy machine each takes long; what is counted is not to use up the time for the rounds.
 * `own`: yoke's rows, else the others.
 */
static int count_for_rows(const struct request *request, struct bench_results *results,
                          int64_t start, bool own)
{
    int error = 0;

    for (size_t i = 0; i < results->row_count && !error; i++) {
        struct bench_row *row = &results->rows[i];

        if (row->system->own != own ||
            (row->setting.topic != BENCH_TOPIC_LATENCY && row->setting.topic != BENCH_TOPIC_RATE &&
             row->setting.topic != BENCH_TOPIC_WAKE))
            continue;
        if (!request->rounds && request->time_ns != YOKE_FOREVER &&
            yk_time_monotonic() - start >
                request->time_ns / (request->rounds_only ? 1 : COUNTING_PART)) {
            snprintf(row->calls_problem, sizeof row->calls_problem, "no time was left for it");
            continue;
        }
        say_progress("counting system calls", row);
        error = yk_stop_signal() ? -EINTR : count_for_row(request, row);
    }
    return error;
}

static int observe_kills(const struct request *request, struct bench_results *results)
{
    struct bench_setting setting;
    int error = 0;

    for (size_t i = 0; bench_systems[i] && !error; i++) {
        struct bench_killed *killed;

        if (!bench_plan_kill(&request->plan, i, &setting))
            continue;
        say_progress("killing", NULL);
        results->killed =
            yk_grow(results->killed, (results->killed_count + 1) * sizeof *results->killed);
        killed = &results->killed[results->killed_count];
        error = bench_killed_observe(bench_systems[i], &setting, request->observe_ns,
                                     &request->plan.cpus, killed);
        results->killed_count += !error;
    }
    return error;
}

static int observe_deaths(const struct request *request, struct bench_results *results)
{
    int count;

    say_progress("killing, and seeing when it is known", NULL);
    count = bench_death_observe(results->deaths, request->plan.quick, request->death_ns);
    if (count < 0)
        return count;
    results->death_count = (size_t)count;
    return 0;
}

static int observe_growth(const struct request *request, struct bench_results *results)
{
    int count;

    say_progress("growing", NULL);
    count = bench_grow(results->growths, request->plan.quick, &request->plan.cpus,
                       results->growth_reason);
    if (count < 0)
        return count;
    results->growth_count = (size_t)count;
    return 0;
}

static int observe_watched(const struct request *request, struct bench_results *results)
{
    int count;

    say_progress("being watched", NULL);
    count = bench_watched_measure(results->watched, request->plan.quick, &request->plan.cpus,
                                  results->watched_reason);
    if (count < 0)
        return count;
    results->watched_count = (size_t)count;
    return 0;
}

/* ---- rounds --------------------------------------------------------------------------------- */

/* Sets up the system and its limit, and takes one sample. */
static int take_sample(const struct request *request, struct bench_run *run,
                       struct bench_sample *ret_sample)
{
    struct bench_run limit = {.system = bench_limit_for(run->system, &run->setting),
                              .setting = bench_limit_setting(run->system, &run->setting),
                              .side = BENCH_PARENT};
    int error;

    if (run->setting.topic == BENCH_TOPIC_FAN_IN)
        return bench_fan_take(run, &request->pace, &request->plan.cpus, ret_sample);
    error = limit.system->setup(&limit);
    if (error)
        return error;
    error = run->system->setup(run);
    if (!error) {
        error = bench_sample_take(run, &limit, &request->pace, &request->plan.cpus, ret_sample);
        run->system->teardown(run);
    }
    limit.system->teardown(&limit);
    return error;
}

/* 0; -EINTR: the user wants an end. */
static int take_row_sample(const struct request *request, struct bench_row *row)
{
    struct bench_run run = {.system = row->system, .setting = row->setting, .side = BENCH_PARENT};
    struct bench_sample sample;
    int64_t start = yk_time_monotonic();
    int error = take_sample(request, &run, &sample);

    row->spent_ns += (uint64_t)(yk_time_monotonic() - start);
    row->samples++;
    if (!error) {
        bench_row_add(row, &sample);
    } else if (error == -ETIMEDOUT && !bench_row_give_up(row)) {
        error = 0;
    } else if (error != -EINTR) {
        /* Whether it hangs or the machine is too busy, nobody can tell. */
        row->state = error == -ENOTSUP || error == -ETIMEDOUT ? BENCH_SKIPPED : BENCH_FAILED;
        snprintf(row->reason, sizeof row->reason, "%s",
                 run.reason[0] ? run.reason : strerror(-error));
        error = 0;
    }
    return error;
}

static bool is_over(const struct request *request, uint64_t round, int64_t start)
{
    if (request->rounds > 0)
        return round > request->rounds;
    return request->time_ns != YOKE_FOREVER && yk_time_monotonic() - start > request->time_ns;
}

/*
 * A sample of 64 MiB takes as long as a hundred of 64 bytes: without a fixed number of rounds it
 * is not taken in each; nor when it would not end in time. Nor are the many other systems in each.
 */
static bool has_its_turn(const struct request *request, const struct bench_results *results,
                         const struct bench_row *row, uint64_t round, int64_t start)
{
    int64_t left = request->time_ns - (yk_time_monotonic() - start);
    uint64_t spent = 0;

    if (row->state != BENCH_MEASURED)
        return false;
    if (request->rounds > 0)
        return true;
    if (row->samples == 0)
        return round > 1 || row->setting.size < BENCH_HUGE_MESSAGE; /* they take long */
    if (!row->system->own && round % OTHERS != 1)
        return false;
    if (request->time_ns != YOKE_FOREVER && (int64_t)(row->spent_ns / row->samples) > left)
        return false;
    for (size_t i = 0; i < results->row_count; i++)
        spent += results->rows[i].spent_ns;
    return row->spent_ns <= SHARES * (spent / results->row_count);
}

/* The rows of yoke's, or the others. Says how many had their turn; 0 or -EINTR. */
static int take_round(const struct request *request, struct bench_results *results, uint64_t round,
                      int64_t start, bool own, size_t *ret_turns)
{
    int error = 0;

    for (size_t i = 0; i < results->row_count && !error; i++) {
        struct bench_row *row = &results->rows[i];

        if (row->system->own != own || is_over(request, round, start) ||
            !has_its_turn(request, results, row, round, start))
            continue;
        ++*ret_turns;
        say_round(request, round, row);
        error = yk_stop_signal() ? -EINTR : take_row_sample(request, row);
    }
    return error;
}

/*
 * Until the time is over, or no row has had its turn for so long that none ever will. Yoke's come
 * first: if there is time for one round only, the goals can be told.
 */
static int take_rounds(const struct request *request, struct bench_results *results, int64_t start)
{
    unsigned idle = 0;
    int error = 0;

    for (uint64_t round = 1; !error && idle < OTHERS && !is_over(request, round, start); round++) {
        size_t turns = 0;

        error = take_round(request, results, round, start, true, &turns);
        if (!error)
            error = take_round(request, results, round, start, false, &turns);
        idle = turns > 0 ? 0 : idle + 1;
    }
    return error;
}

/* When the time for rounds began, given when all began. */
static int64_t rounds_start(const struct request *request, int64_t start)
{
    int64_t now = yk_time_monotonic();
    int64_t latest = now - request->time_ns / ROUNDS_PART * (ROUNDS_PART - 1);

    if (request->rounds_only)
        return now;
    return start > latest ? start : latest;
}

/* ---- all of it ------------------------------------------------------------------------------ */

static int measure(const struct request *request, struct bench_results *results)
{
    uint32_t topics = request->plan.topics;
    int64_t start = yk_time_monotonic();
    int error = count_for_rows(request, results, start, true);

    if (!error)
        error = count_for_rows(request, results, start, false);
    if (!error && topics & 1u << BENCH_TOPIC_KILL)
        error = observe_kills(request, results);
    if (!error && topics & 1u << BENCH_TOPIC_DEATH)
        error = observe_deaths(request, results);
    if (!error && topics & 1u << BENCH_TOPIC_GROW)
        error = observe_growth(request, results);
    if (!error && topics & 1u << BENCH_TOPIC_WATCHED)
        error = observe_watched(request, results);
    if (!error)
        error = take_rounds(request, results, rounds_start(request, start));
    bench_rows_settle(results->rows, results->row_count);
    say_progress("\r", NULL);
    results->seconds = (double)(yk_time_monotonic() - start) / 1e9;
    return error;
}

static int report(const struct request *request, const struct bench_results *results)
{
    if (request->json)
        bench_report_json(results);
    else
        bench_report_table(results);
    fflush(stdout); /* so that the warnings stand below */
    bench_report_warnings(results);
    return request->report ? bench_html_write(request->report, results) : 0;
}

static bool any_failed(const struct bench_results *results)
{
    for (size_t i = 0; i < results->row_count; i++)
        if (results->rows[i].state == BENCH_FAILED)
            return true;
    return false;
}

static void results_fini(struct bench_results *results)
{
    for (size_t i = 0; i < results->row_count; i++)
        bench_row_fini(&results->rows[i]);
    free(results->rows);
    free(results->killed);
}

static void warn_about_build(void)
{
#if !defined(__OPTIMIZE__) || defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    yk_complain(
        "this yoke was built without optimisation or with a sanitizer: its figures mean nothing");
#endif
}

int yk_bench_main(int argc, char **argv)
{
    struct request request = {
        .plan.topics = (1u << BENCH_TOPICS) - 1,
        .time_ns = (int64_t)(240000 * MILLISECOND),
        .pace = {.warm_ns = 2 * MILLISECOND,
                 .probe_ns = 8 * MILLISECOND,
                 .system_ns = 16 * MILLISECOND,
                 .most_ns = 12000 * MILLISECOND},
        .observe_ns = 500 * MILLISECOND,
        .idle_ns = 1000 * MILLISECOND,
        .death_ns = 45000 * MILLISECOND,
    };
    struct bench_results results = {0};
    int error, status;

    parse_options(&request, argc, argv);
    if (request.report && bench_html_try(request.report) < 0)
        return YK_FAILED;
    warn_about_build();
    if (request.place)
        return measure_far(&request);
    bench_cpus_choose(&request.plan.cpus);
    results.cpus = request.plan.cpus;
    bench_one_cpu = request.plan.cpus.side[1] < 0;
    if (bench_one_cpu)
        yk_complain("only one CPU: both sides share it, unpinned, and spinning is left out");
    bench_plan_rows(&request.plan, &results);

    yk_stop_install();
    error = measure(&request, &results);
    if (!error)
        error = report(&request, &results);
    status = error == -EINTR ? YK_STOPPED : error || any_failed(&results) ? YK_FAILED : YK_DONE;
    results_fini(&results);
    return status;
}
