/*
 * bench.c - `yoke bench`: what messages cost here, beside what this machine allows.
 *
 * Rounds: every round takes one sample of every system in every setting, so that whatever changes
 * on the machine meanwhile changes for all. Rounds go on until the time is over.
 */
#include "bench.h"

#include "cli.h"
#include "cpus.h"
#include "json.h"
#include "options.h"
#include "output.h"
#include "report.h"
#include "sample.h"
#include "stop.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <yoke.h>

#define MILLISECOND UINT64_C(1000000)
#define SIZES_MAX   16
#define ROUNDS_MAX  100000u
/*
 * A channel holds as many messages as a port by default, but no more than so many bytes of them:
 * more than a core's own cache (see limit.c), less than what all cores share.
 */
#define DEPTH_MAX     256u
#define DEPTH_LEAST   4u
#define CHANNEL_BYTES (UINT64_C(4) << 20)

static const struct yk_usage usage = {
    "bench",
    "Usage: yoke bench [OPTION...]\n"
    "Measures messages between two processes on this machine: yoke, other systems, and the raw\n"
    "limit, interleaved in rounds.\n"
    "\n"
    "  --quick            under 40 seconds instead of some 2 minutes\n"
    "  --case NAME,...    latency (round trip), rate (one way); both unless given\n"
    "  --size SIZE,...    bytes of each message, 8 and more; 8,64,1K,64K unless given\n"
    "  --against NAME,... which systems beside yoke's, 'all' (unless given) or 'none':\n"
    "                     pipe, unix-stream, unix-seqpacket, mq, sysv-msg, zeromq, nng,\n"
    "                     boost-mq, ck-spsc, ck-mpmc, dpdk-ring, iceoryx2, vyukov,\n"
    "                     raw-one-line, raw-two-line, raw-futex, raw-ring, raw-memcpy\n"
    "  --rounds N         exactly so many rounds, however long they take\n"
    "  --time TIME        how long to go on with rounds\n"
    "  --json             one object a line\n"
    "  --help             this text\n"
    "\n"
    "Each sample stands between two probes of the raw limit for the same message size; samples\n"
    "whose probes differ by more than a quarter are set aside (column ASIDE). VALUE is the median\n"
    "over the ROUNDS that are kept, X LIMIT the median ratio of sample and probes (lower is better\n"
    "for latency, higher for rate), OF says which limit; SPREAD is how far the middle 80 % of what\n"
    "stands before it lie apart. See also docs/performance.md.\n"
    "\n"
    "Example:\n"
    "  yoke bench --quick --case latency --size 64 --against pipe,raw-two-line\n",
};

struct plan {
    uint32_t cases;   /* bits 1 << BENCH_... */
    uint32_t systems; /* bits, as in bench_systems[] */
    size_t sizes[SIZES_MAX];
    size_t size_count;
    uint64_t rounds; /* 0: until `time_ns` is over */
    int64_t time_ns;
    struct bench_pace pace;
    struct bench_cpus cpus;
    bool json;
    /* what follows from it */
    struct bench_row *rows;
    size_t row_count;
};

/* ---- options -------------------------------------------------------------------------------- */

static void parse_cases(struct plan *plan, char *list)
{
    plan->cases = 0;
    for (char *word; (word = strsep(&list, ","));) {
        uint32_t found = 0;

        for (int what = 0; what < BENCH_CASES; what++)
            if (strcmp(word, bench_case_name((enum bench_case)what)) == 0)
                found = 1u << what;
        if (!found)
            yk_usage_error(&usage, "--case '%s': neither latency nor rate", word);
        plan->cases |= found;
    }
}

static void parse_sizes(struct plan *plan, char *list)
{
    plan->size_count = 0;
    for (char *word; (word = strsep(&list, ","));) {
        if (plan->size_count == SIZES_MAX)
            yk_usage_error(&usage, "--size: more than %d sizes", SIZES_MAX);
        plan->sizes[plan->size_count++] =
            (size_t)yk_parse_size(&usage, "--size", word, BENCH_SIZE_MIN, YOKE_MESSAGE_MAX);
    }
}

static void parse_systems(struct plan *plan, char *list)
{
    plan->systems = 1; /* yoke's own */
    for (char *word; (word = strsep(&list, ","));) {
        uint32_t found = 0;

        if (strcmp(word, "none") == 0)
            continue;
        for (size_t i = 0; bench_systems[i]; i++)
            if (strcmp(word, "all") == 0 || strcmp(word, bench_systems[i]->name) == 0)
                found |= 1u << i;
        if (!found)
            yk_usage_error(&usage, "--against '%s': there is no such system", word);
        plan->systems |= found;
    }
}

static void set_quick(struct plan *plan)
{
    plan->time_ns = (int64_t)(33000 * MILLISECOND);
    plan->pace = (struct bench_pace){
        .warm_ns = 1 * MILLISECOND, .probe_ns = 6 * MILLISECOND, .system_ns = 15 * MILLISECOND};
}

static void parse_options(struct plan *plan, int argc, char **argv)
{
    enum { QUICK = YK_OPTION_FIRST, CASE, SIZE, AGAINST, ROUNDS, TIME, JSON };
    static const struct option options[] = {
        {"quick", no_argument, NULL, QUICK},         {"case", required_argument, NULL, CASE},
        {"size", required_argument, NULL, SIZE},     {"against", required_argument, NULL, AGAINST},
        {"rounds", required_argument, NULL, ROUNDS}, {"time", required_argument, NULL, TIME},
        {"json", no_argument, NULL, JSON},           YK_OPTION_END,
    };
    int64_t time_ns = 0;
    int option;

    while ((option = yk_option_next(&usage, argc, argv, ":h", options)) != -1) {
        switch (option) {
        case QUICK:
            set_quick(plan);
            break;
        case CASE:
            parse_cases(plan, optarg);
            break;
        case SIZE:
            parse_sizes(plan, optarg);
            break;
        case AGAINST:
            parse_systems(plan, optarg);
            break;
        case ROUNDS:
            plan->rounds = yk_parse_number(&usage, "--rounds", optarg, 1, ROUNDS_MAX);
            break;
        case TIME:
            time_ns = yk_parse_duration(&usage, "--time", optarg);
            break;
        case JSON:
            yk_json_require(&usage);
            plan->json = true;
            break;
        }
    }
    yk_arguments_check(&usage, argc, 0, 0, "nothing");
    if (time_ns != 0)
        plan->time_ns = time_ns;
}

/* ---- the rows ------------------------------------------------------------------------------- */

static uint32_t depth_for(size_t size)
{
    uint32_t depth = DEPTH_MAX;

    while (depth > DEPTH_LEAST && depth * (uint64_t)size > CHANNEL_BYTES)
        depth /= 2;
    return depth;
}

static bool makes_sense(const struct plan *plan, const struct bench_system *system,
                        const struct bench_setting *setting)
{
    /* On one CPU whoever spins only keeps the other side from going on. */
    if (plan->cpus.side[1] < 0 && setting->mode == BENCH_SPIN)
        return false;
    return (system->cases & 1u << setting->what) && (system->modes & 1u << setting->mode) &&
           setting->size >= system->size_min && setting->size <= system->size_max;
}

static void add_rows_for(struct plan *plan, struct bench_setting setting)
{
    for (size_t i = 0; bench_systems[i]; i++) {
        if (!(plan->systems & 1u << i))
            continue;
        for (int mode = 0; mode < BENCH_MODES; mode++) {
            setting.mode = (enum bench_mode)mode;
            if (!makes_sense(plan, bench_systems[i], &setting))
                continue;
            plan->rows = yk_grow(plan->rows, (plan->row_count + 1) * sizeof *plan->rows);
            plan->rows[plan->row_count++] =
                (struct bench_row){.system = bench_systems[i], .setting = setting};
        }
    }
}

static void make_rows(struct plan *plan)
{
    for (int what = 0; what < BENCH_CASES; what++) {
        if (!(plan->cases & 1u << what))
            continue;
        for (size_t i = 0; i < plan->size_count; i++)
            add_rows_for(plan, (struct bench_setting){.what = (enum bench_case)what,
                                                      .size = plan->sizes[i],
                                                      .depth = depth_for(plan->sizes[i])});
    }
}

/* ---- rounds --------------------------------------------------------------------------------- */

static void say_progress(const struct plan *plan, uint64_t round, const struct bench_row *row)
{
    char size[YK_SIZE_TEXT];

    if (!isatty(STDERR_FILENO))
        return;
    if (row) {
        fprintf(stderr, "\r\033[Kround %llu", (unsigned long long)round);
        if (plan->rounds > 0)
            fprintf(stderr, " of %llu", (unsigned long long)plan->rounds);
        fprintf(stderr, ": %s, %s, %s, %s", bench_case_name(row->setting.what),
                yk_format_size_exact(size, row->setting.size), row->system->name,
                bench_mode_name(row->setting.mode));
    } else {
        fputs("\r\033[K", stderr);
    }
    fflush(stderr);
}

/* Sets up the system and its limit, and takes one sample. 0; -EINTR: the user wants an end. */
static int take_row_sample(const struct plan *plan, struct bench_row *row)
{
    struct bench_run run = {.system = row->system, .setting = row->setting};
    struct bench_run limit = {.system = bench_limit_for(&row->setting), .setting = row->setting};
    struct bench_sample sample;
    int error;

    error = limit.system->setup(&limit);
    if (!error) {
        error = run.system->setup(&run);
        if (!error) {
            error = bench_sample_take(&run, &limit, &plan->pace, &plan->cpus, &sample);
            run.system->teardown(&run);
        }
        limit.system->teardown(&limit);
    }
    if (!error) {
        bench_row_add(row, &sample);
    } else if (error != -EINTR) {
        row->state = error == -ENOTSUP ? BENCH_SKIPPED : BENCH_FAILED;
        snprintf(row->reason, sizeof row->reason, "%s",
                 run.reason[0] ? run.reason : strerror(-error));
        error = 0;
    }
    return error;
}

static bool is_over(const struct plan *plan, uint64_t round, int64_t start)
{
    if (plan->rounds > 0)
        return round > plan->rounds;
    return plan->time_ns != YOKE_FOREVER && yk_time_monotonic() - start > plan->time_ns;
}

static int take_rounds(struct plan *plan)
{
    int64_t start = yk_time_monotonic();
    int error = 0;

    for (uint64_t round = 1; !error && !is_over(plan, round, start); round++) {
        for (size_t i = 0; i < plan->row_count && !error && !is_over(plan, round, start); i++) {
            if (plan->rows[i].state != BENCH_MEASURED)
                continue;
            say_progress(plan, round, &plan->rows[i]);
            error = yk_stop_signal() ? -EINTR : take_row_sample(plan, &plan->rows[i]);
        }
    }
    say_progress(plan, 0, NULL);
    return error;
}

static bool any_failed(const struct plan *plan)
{
    for (size_t i = 0; i < plan->row_count; i++)
        if (plan->rows[i].state == BENCH_FAILED)
            return true;
    return false;
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
    struct plan plan = {
        .cases = (1u << BENCH_CASES) - 1,
        .systems = UINT32_MAX,
        .sizes = {8, 64, 1024, 65536},
        .size_count = 4,
        .time_ns = (int64_t)(120000 * MILLISECOND),
        .pace = {.warm_ns = 2 * MILLISECOND,
                 .probe_ns = 12 * MILLISECOND,
                 .system_ns = 25 * MILLISECOND},
    };
    int error, status;

    parse_options(&plan, argc, argv);
    warn_about_build();
    bench_cpus_choose(&plan.cpus);
    bench_one_cpu = plan.cpus.side[1] < 0;
    if (bench_one_cpu)
        yk_complain("only one CPU: both sides share it, unpinned, and spinning is left out");
    make_rows(&plan);

    yk_stop_install();
    error = take_rounds(&plan);
    if (!error) {
        if (plan.json)
            bench_report_json(plan.rows, plan.row_count);
        else
            bench_report_table(plan.rows, plan.row_count);
        bench_report_warnings(plan.rows, plan.row_count);
    }
    status = error ? YK_STOPPED : any_failed(&plan) ? YK_FAILED : YK_DONE;
    for (size_t i = 0; i < plan.row_count; i++)
        bench_row_fini(&plan.rows[i]);
    free(plan.rows);
    return status;
}
