/*
 * report.c - the results as tables for people and as JSON for programs.
 */
#include "report.h"

#include "goals.h"
#include "json.h"
#include "output.h"
#include "peers/peers.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- values in words ------------------------------------------------------------------------ */

/* In the unit that suits `like`. */
static char *scaled_text(char text[BENCH_VALUE_TEXT], double value, double like,
                         const char *const units[4])
{
    size_t unit = 0;

    if (isnan(value))
        return strcpy(text, "-");
    for (; like >= (unit == 0 ? 9999.5 : 999.5) && unit < 3; unit++) {
        like /= 1000;
        value /= 1000;
    }
    snprintf(text, BENCH_VALUE_TEXT, "%.*f %s",
             value < 9.995   ? 2
             : value < 99.95 ? 1
                             : 0,
             value, units[unit]);
    return text;
}

char *bench_time_text_like(char text[BENCH_VALUE_TEXT], double ns, double like)
{
    static const char *const units[] = {"ns", "us", "ms", "s"};
    return scaled_text(text, ns, like, units);
}

char *bench_time_text(char text[BENCH_VALUE_TEXT], double ns)
{
    return bench_time_text_like(text, ns, ns);
}

char *bench_spread_text(char text[BENCH_VALUE_TEXT], double spread)
{
    if (isnan(spread))
        snprintf(text, BENCH_VALUE_TEXT, "-");
    else
        snprintf(text, BENCH_VALUE_TEXT, "%.0f%%", 100 * spread);
    return text;
}

char *bench_value_text(char text[BENCH_VALUE_TEXT], const struct bench_row *row, double value)
{
    static const char *const rates[] = {"/s", "k/s", "M/s", "G/s"};
    static const char *const bytes[] = {"GB/s", "TB/s", "PB/s", "EB/s"};

    if (!bench_row_is_rate(row))
        return bench_time_text(text, value);
    return scaled_text(text, value, value, row->setting.topic == BENCH_TOPIC_SIZE ? bytes : rates);
}

char *bench_count_text(char text[BENCH_VALUE_TEXT], double count)
{
    if (count < 0)
        snprintf(text, BENCH_VALUE_TEXT, "-");
    else if (count > 0 && count < 0.005)
        snprintf(text, BENCH_VALUE_TEXT, "<0.01");
    else
        snprintf(text, BENCH_VALUE_TEXT, "%.*f", count == 0 || count >= 99.5 ? 0 : 2, count);
    return text;
}

static void add_count(struct yk_table *table, double count)
{
    char text[BENCH_VALUE_TEXT];

    yk_table_add(table, "%s", bench_count_text(text, count));
}

/* ---- tables --------------------------------------------------------------------------------- */

/* clang-format off */
static const struct yk_column columns[] = {
    {"CASE", false}, {"SIZE", true}, {"SYSTEM", false}, {"MODE", false},
    {"VALUE", true}, {"SPREAD", true}, {"ALSO", false},
    {"X LIMIT", true}, {"SPREAD", true}, {"OF", false}, {"CALLS", true}, {"ROUNDS", true},
    {"ASIDE", true},
};
static const struct yk_column growth_columns[] = {
    {"CASE", false}, {"COUNT", true}, {"OF", false}, {"VALUE", true}, {"SPREAD", true},
    {"X ONE", true},
};
static const struct yk_column watched_columns[] = {
    {"CASE", false}, {"OF", false}, {"ALONE", true}, {"RATE", true}, {"X WATCHED", true},
    {"10% TO 90%", true}, {"X ALONE AGAIN", true}, {"10% TO 90%", true}, {"X RATE", true},
};
static const struct yk_column goal_columns[] = {
    {"GOAL", false}, {"SYSTEM", false}, {"IS TO BE", false}, {"MEASURED", true},
    {"REACHED", false}, {"FROM", false},
};
static const struct yk_column killed_columns[] = {
    {"CASE", false}, {"SYSTEM", false}, {"MODE", false}, {"SENDER, RECEIVER KILLED", false},
    {"RECEIVER, SENDER KILLED", false}, {"LEFT BEHIND", false},
};
static const struct yk_column death_columns[] = {
    {"CASE", false}, {"VICTIM", false}, {"KNOWN BY", false}, {"KILLS", true}, {"LATE", true},
    {"AFTER CLOSING", true}, {"P99", true}, {"WORST", true},
    {"AFTER SIGKILL", true}, {"P99", true}, {"WORST", true},
};
/* clang-format on */

/* What stands in the column ALSO: the figure that one asks for next. */
static void add_more(struct yk_table *table, const struct bench_row *row,
                     const struct bench_figures *figures)
{
    char p50[BENCH_VALUE_TEXT], p99[BENCH_VALUE_TEXT];
    double median = bench_histogram_percentile(&row->singles, 50);

    if (row->idle_wakeups >= 0)
        yk_table_add(table, "%.1f wake-ups/s idle", row->idle_wakeups);
    else if (row->setting.topic == BENCH_TOPIC_OPEN)
        yk_table_add(table, "closing %s, p99 %s", bench_time_text(p50, figures->closing),
                     bench_time_text(p99, bench_histogram_percentile(&row->singles, 99)));
    else if (!bench_row_is_rate(row))
        yk_table_add(table, "p50 %s, p99 %s", bench_time_text(p50, median),
                     bench_time_text_like(p99, bench_histogram_percentile(&row->singles, 99),
                                          median));
    else if (row->setting.topic == BENCH_TOPIC_SIZE)
        yk_table_add(table, "%.0f/s", figures->per_second);
    else
        yk_table_add(table, "%.2f GB/s", figures->per_second * (double)row->setting.size / 1e9);
}

static void add_measured(struct yk_table *table, const struct bench_row *row,
                         const struct bench_figures *figures)
{
    char text[BENCH_VALUE_TEXT];

    yk_table_add(table, "%s", bench_value_text(text, row, figures->value));
    yk_table_add(table, "%s", bench_spread_text(text, figures->spread));
    add_more(table, row, figures);
    yk_table_add(table, "%.2f", figures->ratio);
    yk_table_add(table, "%s", bench_spread_text(text, figures->ratio_spread));
    yk_table_add(table, "%s", bench_limit_for(row->system, &row->setting)->name);
    add_count(table, row->calls);
    yk_table_add(table, "%zu", row->kept_count);
    yk_table_add(table, "%zu", row->set_aside);
}

static void add_unmeasured(struct yk_table *table, const struct bench_row *row)
{
    static const char *const states[] = {
        [BENCH_MEASURED] = "-", [BENCH_SKIPPED] = "skipped", [BENCH_FAILED] = "failed"};

    yk_table_add(table, "%s", states[row->state]);
    for (int column = 0; column < 4; column++)
        yk_table_add(table, "-");
    yk_table_add(table, "%s", bench_limit_for(row->system, &row->setting)->name);
    add_count(table, row->calls);
    yk_table_add(table, "0");
    yk_table_add(table, "%zu", row->set_aside);
}

static void print_rows(const struct bench_row *rows, size_t count)
{
    struct bench_figures figures;
    struct yk_table table;
    char size[YK_SIZE_TEXT];

    yk_table_init(&table, columns, sizeof columns / sizeof columns[0]);
    for (const struct bench_row *row = rows; row < rows + count; row++) {
        const struct bench_setting *setting = &row->setting;

        if (setting->topic == BENCH_TOPIC_FAN_IN)
            yk_table_add(&table, "fan-in %u:%u", setting->senders, setting->receivers);
        else
            yk_table_add(&table, "%s", bench_topic_name(setting->topic));
        yk_table_add(&table, "%s", yk_format_size_exact(size, setting->size));
        yk_table_add(&table, "%s", row->system->name);
        yk_table_add(&table, "%s", bench_mode_name(setting->mode));
        if (bench_row_figures(row, &figures))
            add_measured(&table, row, &figures);
        else
            add_unmeasured(&table, row);
    }
    yk_table_print(&table);
    yk_table_fini(&table);
}

static void print_growths(const struct bench_growth *growths, size_t count)
{
    char text[BENCH_VALUE_TEXT];
    struct yk_table table;

    yk_table_init(&table, growth_columns, sizeof growth_columns / sizeof growth_columns[0]);
    for (const struct bench_growth *point = growths; point < growths + count; point++) {
        yk_table_add(&table, "grow");
        yk_table_add(&table, "%llu", (unsigned long long)point->count);
        yk_table_add(&table, "%s", bench_curve_title(point->curve));
        yk_table_add(&table, "%s", bench_time_text(text, point->value));
        yk_table_add(&table, "%s", bench_spread_text(text, point->spread));
        yk_table_add(&table, "%.2f", point->value / point->limit);
    }
    yk_table_print(&table);
    yk_table_fini(&table);
}

static void add_ratio(struct yk_table *table, const struct bench_ratio *ratio)
{
    yk_table_add(table, "%.3f", ratio->median);
    yk_table_add(table, "%.3f to %.3f", ratio->low, ratio->high);
}

static void print_watched(const struct bench_watched *watched, size_t count)
{
    char text[BENCH_VALUE_TEXT], rate[YK_RATE_TEXT];
    struct yk_table table;

    yk_table_init(&table, watched_columns, sizeof watched_columns / sizeof watched_columns[0]);
    for (const struct bench_watched *one = watched; one < watched + count; one++) {
        yk_table_add(&table, "watched");
        yk_table_add(&table, "%s", one->what);
        yk_table_add(&table, "%s CPU", bench_time_text(text, one->cpu_ns));
        yk_table_add(&table, "%s", yk_format_rate(rate, one->rate));
        add_ratio(&table, &one->cpu);
        add_ratio(&table, &one->noise);
        yk_table_add(&table, "%.3f", one->speed.median);
    }
    yk_table_print(&table);
    yk_table_fini(&table);
}

static void print_killed(const struct bench_killed *killed, size_t count)
{
    char outcome[BENCH_OUTCOME_TEXT], left[BENCH_LEFT_TEXT];
    struct yk_table table;

    yk_table_init(&table, killed_columns, sizeof killed_columns / sizeof killed_columns[0]);
    for (const struct bench_killed *one = killed; one < killed + count; one++) {
        yk_table_add(&table, "kill");
        yk_table_add(&table, "%s", one->system->name);
        yk_table_add(&table, "%s", bench_mode_name(one->mode));
        if (one->measured) {
            yk_table_add(&table, "%s", bench_outcome_text(outcome, &one->after_receiver, false));
            yk_table_add(&table, "%s", bench_outcome_text(outcome, &one->after_sender, true));
            yk_table_add(&table, "%s", bench_left_text(left, one));
        } else {
            yk_table_add(&table, "-");
            yk_table_add(&table, "-");
            yk_table_add(&table, "not to be had: %s", one->reason);
        }
    }
    yk_table_print(&table);
    yk_table_fini(&table);
}

static void add_death_times(struct yk_table *table, const struct bench_death_times *times)
{
    const double values[] = {times->median, times->p99, times->worst};
    char text[BENCH_VALUE_TEXT];

    for (int i = 0; i < 3; i++)
        yk_table_add(table, "%s", bench_time_text(text, values[i]));
}

static void print_deaths(const struct bench_death *deaths, size_t count)
{
    struct yk_table table;

    yk_table_init(&table, death_columns, sizeof death_columns / sizeof death_columns[0]);
    for (const struct bench_death *death = deaths; death < deaths + count; death++) {
        yk_table_add(&table, "death");
        yk_table_add(&table, "%s", bench_death_victim_name(death->victim));
        yk_table_add(&table, "%s", bench_death_way_name(death->way));
        yk_table_add(&table, "%zu", death->kills + death->missed);
        yk_table_add(&table, "%zu", death->late);
        add_death_times(&table, &death->closed);
        add_death_times(&table, &death->killed);
    }
    yk_table_print(&table);
    yk_table_fini(&table);
}

/* Those that this run has rows about. */
static void print_goals(const struct bench_results *results)
{
    struct bench_goal_result goals[BENCH_GOALS_MAX];
    size_t count = bench_goals(results, goals);
    struct yk_table table;

    yk_table_init(&table, goal_columns, sizeof goal_columns / sizeof goal_columns[0]);
    for (const struct bench_goal_result *goal = goals; goal < goals + count; goal++) {
        if (!goal->asked)
            continue;
        yk_table_add(&table, "%s", goal->what);
        yk_table_add(&table, "%s", goal->system);
        yk_table_add(&table, "%s", goal->goal);
        yk_table_add(&table, "%s", goal->measured);
        yk_table_add(&table, "%s", goal->reached);
        yk_table_add(&table, "%s", goal->from);
    }
    yk_table_print(&table);
    yk_table_fini(&table);
}

void bench_report_table(const struct bench_results *results)
{
    const char *between = "";

    if (results->row_count > 0) {
        print_rows(results->rows, results->row_count);
        between = "\n";
    }
    if (results->growth_count > 0) {
        fputs(between, stdout);
        print_growths(results->growths, results->growth_count);
        between = "\n";
    }
    if (results->watched_count > 0) {
        fputs(between, stdout);
        print_watched(results->watched, results->watched_count);
        between = "\n";
    }
    if (results->killed_count > 0) {
        fputs(between, stdout);
        print_killed(results->killed, results->killed_count);
        between = "\n";
    }
    if (results->death_count > 0) {
        fputs(between, stdout);
        print_deaths(results->deaths, results->death_count);
        between = "\n";
    }
    if (results->row_count + results->death_count > 0) {
        fputs(between, stdout);
        print_goals(results);
    }
}

/* ---- JSON ----------------------------------------------------------------------------------- */

/* The fields that every line begins with. */
static yk_json *json_line(enum bench_topic topic, const struct bench_system *system,
                          enum bench_mode mode, size_t size)
{
    yk_json *object = yk_json_object();

    yk_json_string(object, "case", bench_topic_name(topic));
    yk_json_string(object, "system", system->name);
    yk_json_string(object, "mode", bench_mode_name(mode));
    yk_json_unsigned(object, "size", size);
    return object;
}

static void add_json_times(yk_json *object, const struct bench_row *row)
{
    yk_json_real(object, "p50", bench_histogram_percentile(&row->singles, 50));
    yk_json_real(object, "p90", bench_histogram_percentile(&row->singles, 90));
    yk_json_real(object, "p99", bench_histogram_percentile(&row->singles, 99));
    yk_json_real(object, "p999", bench_histogram_percentile(&row->singles, 99.9));
}

static void add_json_rates(yk_json *object, const struct bench_results *results,
                           const struct bench_row *row, const struct bench_figures *figures)
{
    const struct bench_row *vyukov;
    struct bench_figures other;

    if (row->setting.topic == BENCH_TOPIC_SIZE)
        yk_json_real(object, "messages_per_second", figures->per_second);
    else
        yk_json_real(object, "gigabytes_per_second",
                     figures->per_second * (double)row->setting.size / 1e9);
    if (row->setting.topic != BENCH_TOPIC_FAN_IN)
        return;
    vyukov = bench_row_beside(results->rows, results->row_count, row, &bench_vyukov);
    if (vyukov && bench_row_figures(vyukov, &other))
        yk_json_real(object, "ratio_vyukov", figures->value / other.value);
}

static void add_json_figures(yk_json *object, const struct bench_results *results,
                             const struct bench_row *row, const struct bench_figures *figures)
{
    yk_json_real(object, "value", figures->value);
    yk_json_real(object, "limit", figures->limit);
    yk_json_real(object, "ratio", figures->ratio);
    if (!isnan(figures->spread)) {
        yk_json_real(object, "spread", figures->spread);
        yk_json_real(object, "ratio_spread", figures->ratio_spread);
    }
    if (bench_row_is_rate(row))
        add_json_rates(object, results, row, figures);
    else
        add_json_times(object, row);
    if (row->setting.topic == BENCH_TOPIC_OPEN)
        yk_json_real(object, "closing", figures->closing);
}

static void add_json_counts(yk_json *object, const struct bench_row *row)
{
    if (row->calls >= 0) {
        yk_json_real(object, "syscalls_per_message", row->calls);
        yk_json_real(object, "futex_calls_per_message", row->futex_calls);
        yk_json_real(object, "futex_wakes_per_message", row->futex_wakes);
    } else if (row->calls_problem[0]) {
        yk_json_string(object, "syscalls_not_counted", row->calls_problem);
    }
    if (row->idle_wakeups >= 0)
        yk_json_real(object, "idle_wakeups_per_second", row->idle_wakeups);
}

static void print_json_row(const struct bench_results *results, const struct bench_row *row)
{
    const struct bench_setting *setting = &row->setting;
    yk_json *object = json_line(setting->topic, row->system, setting->mode, setting->size);
    struct bench_figures figures;

    if (setting->topic == BENCH_TOPIC_FAN_IN) {
        yk_json_unsigned(object, "senders", setting->senders);
        yk_json_unsigned(object, "receivers", setting->receivers);
    }
    yk_json_string(object, "unit", bench_row_unit(row));
    yk_json_string(object, "limit_system", bench_limit_for(row->system, setting)->name);
    yk_json_unsigned(object, "rounds", row->kept_count);
    yk_json_unsigned(object, "set_aside", row->set_aside);
    if (row->given_up > 0)
        yk_json_unsigned(object, "given_up", row->given_up);
    if (row->off_cpu > 0)
        yk_json_unsigned(object, "off_cpu", row->off_cpu);
    if (row->state != BENCH_MEASURED)
        yk_json_string(object, row->state == BENCH_SKIPPED ? "skipped" : "failed", row->reason);
    if (bench_row_figures(row, &figures))
        add_json_figures(object, results, row, &figures);
    add_json_counts(object, row);
    yk_json_print_line(object);
}

static void print_json_growth(const struct bench_growth *point)
{
    yk_json *object = json_line(BENCH_TOPIC_GROW, point->system, BENCH_SPIN, BENCH_GROWTH_SIZE);

    yk_json_string(object, "curve", bench_curve_name(point->curve));
    yk_json_unsigned(object, "count", point->count);
    yk_json_string(object, "unit", "ns");
    yk_json_string(object, "limit_system", point->system->name);
    yk_json_unsigned(object, "rounds", point->rounds);
    yk_json_real(object, "value", point->value);
    yk_json_real(object, "limit", point->limit);
    yk_json_real(object, "ratio", point->value / point->limit);
    yk_json_real(object, "spread", point->spread);
    yk_json_print_line(object);
}

static void add_json_ratio(yk_json *object, const char *key, const struct bench_ratio *ratio)
{
    yk_json *inner = yk_json_object();

    yk_json_real(inner, "median", ratio->median);
    yk_json_real(inner, "p10", ratio->low);
    yk_json_real(inner, "p90", ratio->high);
    yk_json_add(object, key, inner);
}

static void print_json_watched(const struct bench_watched *watched)
{
    yk_json *object = yk_json_object();

    yk_json_string(object, "case", bench_topic_name(BENCH_TOPIC_WATCHED));
    yk_json_string(object, "of", watched->what);
    yk_json_unsigned(object, "size", BENCH_WATCHED_SIZE);
    yk_json_unsigned(object, "rounds", watched->rounds);
    yk_json_real(object, "cpu_ns_per_message", watched->cpu_ns);
    yk_json_real(object, "messages_per_second", watched->rate);
    add_json_ratio(object, "cpu_watched_to_alone", &watched->cpu);
    add_json_ratio(object, "cpu_alone_to_alone", &watched->noise);
    add_json_ratio(object, "rate_watched_to_alone", &watched->speed);
    yk_json_unsigned(object, "latencies_seen", watched->seen);
    yk_json_print_line(object);
}

static void add_json_outcome(yk_json *object, const char *key, const struct bench_outcome *outcome,
                             bool receives)
{
    static const char *const words[] = {
        [BENCH_TOLD] = "error", [BENCH_WAITS] = "waits", [BENCH_GOES_ON] = "goes on"};
    bool end = outcome->what == BENCH_TOLD && receives && outcome->error == -EPIPE;
    yk_json *inner = yk_json_object();
    const char *name;

    yk_json_string(inner, "outcome", end ? "end of file" : words[outcome->what]);
    if (outcome->what == BENCH_TOLD) {
        name = strerrorname_np(-outcome->error);
        yk_json_string(inner, "errno", name ? name : "?");
    }
    yk_json_real(inner, outcome->what == BENCH_TOLD ? "after_ms" : "observed_ms",
                 outcome->after_ms);
    yk_json_add(object, key, inner);
}

static void print_json_killed(const struct bench_killed *killed)
{
    yk_json *object = json_line(BENCH_TOPIC_KILL, killed->system, killed->mode, killed->size);
    char left[BENCH_LEFT_TEXT];

    if (killed->measured) {
        add_json_outcome(object, "after_receiver_killed", &killed->after_receiver, false);
        add_json_outcome(object, "after_sender_killed", &killed->after_sender, true);
        yk_json_string(object, "left_behind", bench_left_text(left, killed));
    } else {
        yk_json_string(object, "skipped", killed->reason);
    }
    yk_json_print_line(object);
}

static void add_json_death_times(yk_json *object, const char *key,
                                 const struct bench_death_times *times)
{
    yk_json *inner = yk_json_object();

    yk_json_real(inner, "p50", times->median);
    yk_json_real(inner, "p99", times->p99);
    yk_json_real(inner, "worst", times->worst);
    yk_json_add(object, key, inner);
}

static void print_json_death(const struct bench_death *death)
{
    yk_json *object = yk_json_object();

    yk_json_string(object, "case", bench_topic_name(BENCH_TOPIC_DEATH));
    yk_json_string(object, "victim", bench_death_victim_name(death->victim));
    yk_json_string(object, "known_by", bench_death_way_name(death->way));
    yk_json_string(object, "unit", "ns");
    yk_json_unsigned(object, "kills", death->kills + death->missed);
    yk_json_unsigned(object, "missed", death->missed);
    if (death->way != BENCH_DEATH_PIPE) {
        yk_json_real(object, "promise", bench_death_promise(death->way));
        yk_json_unsigned(object, "late", death->late);
    }
    if (!isnan(death->closed.worst))
        add_json_death_times(object, "after_closing", &death->closed);
    if (!isnan(death->killed.worst))
        add_json_death_times(object, "after_sigkill", &death->killed);
    if (death->reason[0])
        yk_json_string(object, "ended", death->reason);
    yk_json_print_line(object);
}

void bench_report_json(const struct bench_results *results)
{
    for (size_t i = 0; i < results->row_count; i++)
        print_json_row(results, &results->rows[i]);
    for (size_t i = 0; i < results->growth_count; i++)
        print_json_growth(&results->growths[i]);
    for (size_t i = 0; i < results->watched_count; i++)
        print_json_watched(&results->watched[i]);
    for (size_t i = 0; i < results->killed_count; i++)
        print_json_killed(&results->killed[i]);
    for (size_t i = 0; i < results->death_count; i++)
        print_json_death(&results->deaths[i]);
}

/* ---- warnings ------------------------------------------------------------------------------- */

/* True if an earlier row of the same system ended the same way: its reason stands for all. */
static bool is_said(const struct bench_row *rows, const struct bench_row *row)
{
    for (const struct bench_row *earlier = rows; earlier < row; earlier++)
        if (earlier->system == row->system && earlier->state == row->state)
            return true;
    return false;
}

static void warn_about_row(const struct bench_row *rows, size_t count, const struct bench_row *row)
{
    const char *what = row->state == BENCH_SKIPPED ? "skipped" : "failed";
    size_t same = 0;

    for (const struct bench_row *other = rows; other < rows + count; other++)
        same += other->system == row->system && other->state == row->state;
    if (same == 1)
        yk_complain("%s %s: %s", row->system->name, what, row->reason);
    else
        yk_complain("%s %s in %zu rows: %s", row->system->name, what, same, row->reason);
}

static void warn_about_rows(const struct bench_row *rows, size_t count)
{
    const char *problem = NULL;

    for (const struct bench_row *row = rows; row < rows + count; row++) {
        if (row->state != BENCH_MEASURED && !is_said(rows, row))
            warn_about_row(rows, count, row);
        if (row->calls_problem[0] && row->state == BENCH_MEASURED && !problem)
            problem = row->calls_problem;
    }
    if (problem)
        yk_complain("system calls were not counted everywhere: %s", problem);
}

const char *bench_death_reason(const struct bench_results *results, size_t index)
{
    const struct bench_death *deaths = results->deaths;

    for (size_t i = 0; i < index; i++)
        if (strcmp(deaths[i].reason, deaths[index].reason) == 0)
            return NULL;
    return deaths[index].reason[0] ? deaths[index].reason : NULL;
}

size_t bench_quality_warnings(const struct bench_quality *quality,
                              char texts[BENCH_WARNINGS][BENCH_WARNING_TEXT])
{
    static const char remedy[] =
        "take more time or rounds, a quieter machine, or as root `chrt -f 50 yoke bench`";
    size_t samples = quality->kept + quality->set_aside, count = 0;

    if (bench_is_noisy(quality))
        snprintf(texts[count++], BENCH_WARNING_TEXT,
                 "this machine was too noisy to tell: %zu of %zu %s set aside", quality->set_aside,
                 samples, yk_plural(samples, "sample was", "samples were"));
    if (quality->off_cpu + quality->given_up > 0)
        snprintf(texts[count++], BENCH_WARNING_TEXT,
                 "set aside: %zu because the limit itself took ten times what it takes at best, "
                 "%zu because they did not end in time",
                 quality->off_cpu, quality->given_up);
    if (quality->none > 0)
        snprintf(texts[count++], BENCH_WARNING_TEXT, "%zu of %zu %s no sample, so no value: %s",
                 quality->none, quality->measured,
                 yk_plural(quality->measured, "row has", "rows have"), remedy);
    if (quality->few > 0)
        snprintf(texts[count++], BENCH_WARNING_TEXT,
                 "%zu of %zu %s on fewer than %u samples and %s little: %s", quality->few,
                 quality->measured, yk_plural(quality->measured, "row rests", "rows rest"),
                 BENCH_KEPT_LEAST, yk_plural(quality->measured, "says", "say"), remedy);
    return count;
}

void bench_report_warnings(const struct bench_results *results)
{
    struct bench_quality quality = bench_rows_quality(results->rows, results->row_count);
    char texts[BENCH_WARNINGS][BENCH_WARNING_TEXT];
    size_t count = bench_quality_warnings(&quality, texts);

    warn_about_rows(results->rows, results->row_count);
    for (size_t i = 0; i < results->death_count; i++)
        if (bench_death_reason(results, i))
            yk_complain("death, victim %s: no more kills: %s",
                        bench_death_victim_name(results->deaths[i].victim),
                        bench_death_reason(results, i));
    if (results->watched_reason[0])
        yk_complain("%s", results->watched_reason);
    if (results->growth_reason[0])
        yk_complain("a curve of growth ends early: %s", results->growth_reason);
    for (size_t i = 0; i < count; i++)
        yk_complain("%s", texts[i]);
}
