/*
 * goals.c - what yoke wants to reach, each time beside what this run says about it.
 *
 * A goal looks at the rows of one system in one topic, mode and range of sizes, takes a figure of
 * each, and is judged by the worst of them. A row without a sample, or without a count, has no
 * figure; a goal without a figure is neither reached nor missed. Those of deaths have kills instead
 * of rows.
 */
#include "goals.h"

#include "output.h"
#include "peers/peers.h"

#include <math.h>
#include <stdio.h>

#define K   ((size_t)1 << 10)
#define M   ((size_t)1 << 20)
#define ANY SIZE_MAX

/* One figure of a row, NAN if it has none. */
typedef double figure_function(const struct bench_results *results, const struct bench_row *row);

/* ---- figures -------------------------------------------------------------------------------- */

static double ratio_of(const struct bench_results *results, const struct bench_row *row)
{
    struct bench_figures figures;

    (void)results;
    return bench_row_figures(row, &figures) ? figures.ratio : NAN;
}

static double microseconds_of(const struct bench_results *results, const struct bench_row *row)
{
    struct bench_figures figures;

    (void)results;
    return bench_row_figures(row, &figures) ? figures.value / 1000 : NAN;
}

/* In place the limit is the same with a small message, as messages a second. */
static double cost_of(const struct bench_results *results, const struct bench_row *row)
{
    return 1 / ratio_of(results, row);
}

/* All are compared with Vyukov's ring; the best of the many-to-many rings may be another one. */
static double ratio_to_best_ring(const struct bench_results *results, const struct bench_row *row)
{
    static const struct bench_system *const rings[] = {&bench_ck_mpmc, &bench_dpdk_ring};
    double best = 1;

    for (size_t i = 0; i < sizeof rings / sizeof rings[0]; i++) {
        const struct bench_row *ring =
            bench_row_beside(results->rows, results->row_count, row, rings[i]);

        if (ring && ring->setting.mode == row->setting.mode)
            best = fmax(best, ratio_of(results, ring));
    }
    return ratio_of(results, row) / best;
}

static double counted(double count)
{
    return count < 0 ? (double)NAN : count;
}

static double calls_of(const struct bench_results *results, const struct bench_row *row)
{
    (void)results;
    return counted(row->calls);
}

static double wakes_of(const struct bench_results *results, const struct bench_row *row)
{
    (void)results;
    return counted(row->futex_wakes);
}

static double idle_of(const struct bench_results *results, const struct bench_row *row)
{
    (void)results;
    return counted(row->idle_wakeups);
}

/* ---- the goals ------------------------------------------------------------------------------ */

struct goal {
    const char *what;
    const struct bench_system *system;
    uint32_t topics; /* bits 1 << BENCH_TOPIC_... */
    enum bench_mode mode;
    size_t size_min, size_max;
    figure_function *of;
    double least, most; /* 0, INFINITY: no such bound */
    const char *unit;   /* what follows the bound */
};

#define TOPIC(name)  (1u << BENCH_TOPIC_##name)
#define UP_TO(most)  0, most
#define LEAST(least) least, (double)INFINITY

/* clang-format off */
static const struct goal all_goals[] = {
    {"round trip, spinning, up to one line (56 B)", &bench_yoke_link, TOPIC(LATENCY), BENCH_SPIN,
     8, 56, ratio_of, UP_TO(1.15), "x raw-one-line"},
    {"round trip, spinning, 1 KiB", &bench_yoke_link, TOPIC(LATENCY), BENCH_SPIN,
     K, K, ratio_of, UP_TO(1.15), "x raw-two-line"},
    {"round trip, spinning, 64 B", &bench_yoke_port, TOPIC(LATENCY), BENCH_SPIN,
     64, 64, ratio_of, UP_TO(1.4), "x raw-two-line"},
    {"one way, spinning, 64 B", &bench_yoke_link, TOPIC(RATE), BENCH_SPIN,
     64, 64, ratio_of, LEAST(0.8), "x raw-ring"},
    {"one way, spinning, 64 B", &bench_yoke_port, TOPIC(RATE), BENCH_SPIN,
     64, 64, ratio_to_best_ring, LEAST(0.8), "x best many-to-many ring"},
    {"two senders, two receivers, spinning", &bench_yoke_port, TOPIC(FAN_IN), BENCH_SPIN,
     0, ANY, ratio_of, LEAST(0.7), "x one to one"},
    {"two senders, two receivers, blocking", &bench_yoke_port, TOPIC(FAN_IN), BENCH_BLOCK,
     0, ANY, ratio_of, LEAST(0.7), "x one to one"},
    {"round trip, both asleep in between", &bench_yoke_link, TOPIC(WAKE), BENCH_BLOCK,
     0, ANY, ratio_of, UP_TO(1.1), "x raw-futex"},
    {"round trip, both asleep in between", &bench_yoke_port, TOPIC(WAKE), BENCH_BLOCK,
     0, ANY, ratio_of, UP_TO(1.1), "x raw-futex"},
    {"wakes to a sleeping receiver", &bench_yoke_link, TOPIC(WAKE), BENCH_BLOCK,
     0, ANY, wakes_of, UP_TO(1), "a message"},
    {"wakes to a sleeping receiver", &bench_yoke_port, TOPIC(WAKE), BENCH_BLOCK,
     0, ANY, wakes_of, UP_TO(1), "a message"},
    {"copying 1 MiB", &bench_yoke_link, TOPIC(SIZE), BENCH_SPIN,
     M, M, ratio_of, LEAST(0.95), "x raw-memcpy"},
    {"copying 1 MiB", &bench_yoke_port, TOPIC(SIZE), BENCH_SPIN,
     M, M, ratio_of, LEAST(0.95), "x raw-memcpy"},
    {"copying 64 MiB", &bench_yoke_link, TOPIC(SIZE), BENCH_SPIN,
     64 * M, 64 * M, ratio_of, LEAST(0.95), "x raw-memcpy"},
    {"copying 64 MiB", &bench_yoke_port, TOPIC(SIZE), BENCH_SPIN,
     64 * M, 64 * M, ratio_of, LEAST(0.95), "x raw-memcpy"},
    {"in place, 64 MiB", &bench_yoke_link_loan, TOPIC(SIZE), BENCH_SPIN,
     64 * M, 64 * M, cost_of, 0.8, 1.2, "x what 64 B cost"},
    {"in place, 64 MiB", &bench_yoke_port_loan, TOPIC(SIZE), BENCH_SPIN,
     64 * M, 64 * M, cost_of, 0.8, 1.2, "x what 64 B cost"},
    {"system calls, both busy", &bench_yoke_link, TOPIC(LATENCY) | TOPIC(RATE), BENCH_SPIN,
     0, ANY, calls_of, UP_TO(0), "a message"},
    {"system calls, both busy", &bench_yoke_port, TOPIC(LATENCY) | TOPIC(RATE), BENCH_SPIN,
     0, ANY, calls_of, UP_TO(0), "a message"},
    {"wake-ups while idle in a call", &bench_yoke_link, TOPIC(WAKE), BENCH_BLOCK,
     0, ANY, idle_of, UP_TO(10), "a second"},
    {"wake-ups while idle in a call", &bench_yoke_port, TOPIC(WAKE), BENCH_BLOCK,
     0, ANY, idle_of, UP_TO(10), "a second"},
    {"wake-ups while idle in poll on yoke_fd", &bench_yoke_link, TOPIC(WAKE), BENCH_POLL,
     0, ANY, idle_of, UP_TO(0), "a second"},
    {"wake-ups while idle in poll on yoke_fd", &bench_yoke_port, TOPIC(WAKE), BENCH_POLL,
     0, ANY, idle_of, UP_TO(0), "a second"},
    {"wake-ups while idle in poll on yoke_set_fd", &bench_yoke_set, TOPIC(WAKE), BENCH_POLL,
     0, ANY, idle_of, UP_TO(0), "a second"},
    {"opening one more endpoint", &bench_yoke_link, TOPIC(OPEN), BENCH_BLOCK,
     0, ANY, microseconds_of, UP_TO(50), "us"},
    {"opening one more endpoint", &bench_yoke_port, TOPIC(OPEN), BENCH_BLOCK,
     0, ANY, microseconds_of, UP_TO(50), "us"},
};
/* clang-format on */
#define GOALS (sizeof all_goals / sizeof all_goals[0])

/* Of deaths, from when the files are closed. */
static const struct death_goal {
    const char *what, *system;
    enum bench_death_way way;
    double most_ms;
} death_goals[] = {
    {"death known through a link's descriptor", "yoke-link", BENCH_DEATH_LINK_FD, 10},
    {"death known through a port's descriptor", "yoke-port", BENCH_DEATH_PORT_FD, 10},
    {"death known through a wait set", "yoke-set", BENCH_DEATH_SET, 10},
    {"death known in a blocking yoke_recv", "yoke-link", BENCH_DEATH_RECV, 100},
    {"death known in yoke_peer_wait", "yoke-peer", BENCH_DEATH_WAIT, 100},
};
#define DEATH_GOALS (sizeof death_goals / sizeof death_goals[0])
_Static_assert(GOALS + DEATH_GOALS <= BENCH_GOALS_MAX, "more goals than places for them");

/* ---- judging -------------------------------------------------------------------------------- */

static bool is_about(const struct goal *goal, const struct bench_row *row)
{
    const struct bench_setting *setting = &row->setting;

    return row->system == goal->system && goal->topics & 1u << setting->topic &&
           setting->mode == goal->mode && setting->size >= goal->size_min &&
           setting->size <= goal->size_max &&
           (setting->topic != BENCH_TOPIC_FAN_IN ||
            (setting->senders == 2 && setting->receivers == 2));
}

/* How far a figure is on the wrong side of the goal's bounds, or how close to it. */
static double badness(const struct goal *goal, double figure)
{
    return fmax(figure - goal->most, goal->least - figure);
}

static void describe_rows(struct bench_goal_result *result, const struct goal *goal,
                          const struct bench_row *row, size_t rows)
{
    bool sampled = goal->of != calls_of && goal->of != wakes_of && goal->of != idle_of;
    struct bench_figures figures;
    int length;

    if (!sampled || !bench_row_figures(row, &figures)) {
        snprintf(result->from, sizeof result->from, "counted in %zu %s", rows,
                 yk_plural(rows, "row", "rows"));
        return;
    }
    length = snprintf(result->from, sizeof result->from, "%zu %s", row->kept_count,
                      yk_plural(row->kept_count, "sample", "samples"));
    if (!isnan(figures.ratio_spread))
        snprintf(result->from + length, sizeof result->from - (size_t)length, ", spread %.0f %%",
                 100 * (goal->of == microseconds_of ? figures.spread : figures.ratio_spread));
}

static void judge(const struct bench_results *results, const struct goal *goal,
                  struct bench_goal_result *result)
{
    const struct bench_row *worst = NULL;
    double measured = NAN;
    size_t rows = 0;

    for (size_t i = 0; i < results->row_count; i++) {
        const struct bench_row *row = &results->rows[i];
        double figure;

        if (!is_about(goal, row))
            continue;
        result->asked = true;
        figure = goal->of(results, row);
        if (isnan(figure))
            continue;
        rows++;
        if (!worst || badness(goal, figure) > badness(goal, measured)) {
            worst = row;
            measured = figure;
        }
    }
    if (!worst)
        return;
    snprintf(result->measured, sizeof result->measured, "%.3g", measured);
    result->reached = badness(goal, measured) <= 0 ? "yes" : "no";
    describe_rows(result, goal, worst, rows);
}

/* By the worst of all kills: it is a promise, not a speed. */
static void judge_deaths(const struct bench_results *results, const struct death_goal *goal,
                         struct bench_goal_result *result)
{
    size_t kills = 0, late = 0;
    double worst = 0;

    *result = (struct bench_goal_result){
        .what = goal->what, .system = goal->system, .measured = "-", .reached = "-"};
    snprintf(result->goal, sizeof result->goal, "<= %g ms after closing", goal->most_ms);
    for (size_t i = 0; i < results->death_count; i++) {
        const struct bench_death *death = &results->deaths[i];

        if (death->way != goal->way)
            continue;
        result->asked = true;
        kills += death->kills + death->missed;
        late += death->late;
        worst = fmax(worst, death->closed.worst / 1e6);
    }
    if (kills == 0)
        return;
    snprintf(result->measured, sizeof result->measured, "%.3g", worst);
    result->reached = late == 0 ? "yes" : "no";
    snprintf(result->from, sizeof result->from, "%zu %s, %zu later", kills,
             yk_plural(kills, "kill", "kills"), late);
}

size_t bench_goals(const struct bench_results *results,
                   struct bench_goal_result goals[BENCH_GOALS_MAX])
{
    for (size_t i = 0; i < GOALS; i++) {
        const struct goal *goal = &all_goals[i];
        struct bench_goal_result *result = &goals[i];

        *result = (struct bench_goal_result){
            .what = goal->what, .system = goal->system->name, .measured = "-", .reached = "-"};
        if (isinf(goal->most))
            snprintf(result->goal, sizeof result->goal, ">= %g %s", goal->least, goal->unit);
        else if (goal->least > 0)
            snprintf(result->goal, sizeof result->goal, "%g to %g %s", goal->least, goal->most,
                     goal->unit);
        else
            snprintf(result->goal, sizeof result->goal, "<= %g %s", goal->most, goal->unit);
        judge(results, goal, result);
    }
    for (size_t i = 0; i < DEATH_GOALS; i++)
        judge_deaths(results, &death_goals[i], &goals[GOALS + i]);
    return GOALS + DEATH_GOALS;
}
