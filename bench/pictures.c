/*
 * pictures.c - the page's charts, made from the results.
 *
 * A system has the same colour in all of them. A limit is drawn from the probes of all rows that
 * are compared with it, so it is there even if the limit itself was no row.
 */
#include "pictures.h"

#include "chart.h"
#include "output.h"

#include <stdlib.h>
#include <string.h>

/* Systems whose distribution is drawn, the first of the list: more would hide each other. */
#define DISTRIBUTIONS_MAX 6u
/* Round trips of messages up to this many bytes tell near from far. */
#define PROBE_SIZE_MAX 64u

typedef double figure_function(const struct bench_row *row, const struct bench_figures *figures);

static double value_of(const struct bench_row *row, const struct bench_figures *figures)
{
    (void)row;
    return figures->value;
}

static double limit_of(const struct bench_row *row, const struct bench_figures *figures)
{
    (void)row;
    return figures->limit;
}

static double per_second_of(const struct bench_row *row, const struct bench_figures *figures)
{
    (void)row;
    return figures->per_second;
}

static double limit_per_second_of(const struct bench_row *row, const struct bench_figures *figures)
{
    return figures->limit * 1e9 / (double)row->setting.size;
}

static unsigned color_of(const struct bench_system *system)
{
    unsigned color = 0;

    while (bench_systems[color] && bench_systems[color] != system)
        color++;
    return color;
}

static struct bench_series *add_system(struct bench_chart *chart, const struct bench_system *system,
                                       const char *more)
{
    char name[64];
    struct bench_series *series;

    snprintf(name, sizeof name, "%.40s%s", system->name, more);
    series = bench_chart_add(chart, name);
    series->color = color_of(system);
    series->own = system->own;
    return series;
}

static bool is_in(const struct bench_row *row, enum bench_topic topic, enum bench_mode mode)
{
    return row->kept_count > 0 && row->setting.topic == topic && row->setting.mode == mode;
}

size_t bench_typical_size(const struct bench_results *results, enum bench_topic topic)
{
    size_t smallest = 0;

    for (size_t i = 0; i < results->row_count; i++) {
        const struct bench_row *row = &results->rows[i];

        if (row->setting.topic != topic || row->kept_count == 0)
            continue;
        if (row->setting.size == 64)
            return 64;
        if (smallest == 0 || row->setting.size < smallest)
            smallest = row->setting.size;
    }
    return smallest;
}

/* ---- against size --------------------------------------------------------------------------- */

/* Rows of one system stand in the order of their sizes only if --size gave them so. */
static void sort_points(struct bench_series *series)
{
    for (size_t i = 1; i < series->count; i++)
        for (size_t k = i; k > 0 && series->points[k].x < series->points[k - 1].x; k--) {
            struct bench_point swapped = series->points[k];
            series->points[k] = series->points[k - 1];
            series->points[k - 1] = swapped;
        }
}

static void add_line(struct bench_chart *chart, const struct bench_results *results,
                     const struct bench_system *system, enum bench_topic topic,
                     enum bench_mode mode, figure_function *of)
{
    struct bench_series *series = NULL;
    struct bench_figures figures;

    for (size_t i = 0; i < results->row_count; i++) {
        const struct bench_row *row = &results->rows[i];

        if (row->system != system || !is_in(row, topic, mode) ||
            bench_limit_for(system, &row->setting) == system || !bench_row_figures(row, &figures))
            continue;
        if (!series)
            series = add_system(chart, system, "");
        bench_series_add(series, (double)row->setting.size, of(row, &figures));
    }
    if (series)
        sort_points(series);
}

/* One size: the median over what all rows say of this limit. */
static void add_limit_point(struct bench_series *series, const struct bench_results *results,
                            const struct bench_row *like, const struct bench_system *limit,
                            figure_function *of)
{
    double *values = yk_grow(NULL, results->row_count * sizeof *values);
    struct bench_figures figures;
    size_t count = 0;

    for (size_t i = 0; i < results->row_count; i++) {
        const struct bench_row *row = &results->rows[i];

        if (is_in(row, like->setting.topic, like->setting.mode) &&
            row->setting.size == like->setting.size &&
            bench_limit_for(row->system, &row->setting) == limit &&
            bench_row_figures(row, &figures))
            values[count++] = of(row, &figures);
    }
    bench_series_add(series, (double)like->setting.size, bench_median(values, count));
    free(values);
}

static bool has_point(const struct bench_series *series, double x)
{
    for (size_t i = 0; i < series->count; i++)
        if (series->points[i].x == x)
            return true;
    return false;
}

static void add_limit_line(struct bench_chart *chart, const struct bench_results *results,
                           const struct bench_system *limit, enum bench_topic topic,
                           enum bench_mode mode, figure_function *of)
{
    struct bench_series *series = NULL;

    for (size_t i = 0; i < results->row_count; i++) {
        const struct bench_row *row = &results->rows[i];

        if (!is_in(row, topic, mode) || bench_limit_for(row->system, &row->setting) != limit ||
            (limit == row->system && !limit->raw)) /* compared with itself */
            continue;
        if (!series) {
            series = add_system(chart, limit, " (limit)");
            series->limit = true;
        }
        if (!has_point(series, (double)row->setting.size))
            add_limit_point(series, results, row, limit, of);
    }
    if (series)
        sort_points(series);
}

static void draw_by_size(FILE *out, const struct bench_results *results, struct bench_chart chart,
                         enum bench_topic topic, enum bench_mode mode, figure_function *of,
                         figure_function *limit)
{
    chart.x_label = "bytes in each message";
    chart.x_axis = BENCH_AXIS_SIZE;
    for (size_t i = 0; bench_systems[i]; i++)
        add_line(&chart, results, bench_systems[i], topic, mode, of);
    for (size_t i = 0; bench_systems[i]; i++)
        add_limit_line(&chart, results, bench_systems[i], topic, mode, limit);
    bench_chart_write(out, &chart);
}

void bench_picture_latency(FILE *out, const struct bench_results *results)
{
    struct bench_chart chart = {.y_label = "one round trip", .y_axis = BENCH_AXIS_TIME};

    chart.title = "Round trip, both sides spinning";
    draw_by_size(out, results, chart, BENCH_TOPIC_LATENCY, BENCH_SPIN, value_of, limit_of);
    chart.title = "Round trip, both sides blocking";
    draw_by_size(out, results, chart, BENCH_TOPIC_LATENCY, BENCH_BLOCK, value_of, limit_of);
}

void bench_picture_throughput(FILE *out, const struct bench_results *results)
{
    struct bench_chart bytes = {.title = "One way, bytes (spinning where it can be chosen)",
                                .y_label = "moved in a second",
                                .y_axis = BENCH_AXIS_GIGABYTES};
    struct bench_chart messages = {.y_label = "messages in a second", .y_axis = BENCH_AXIS_RATE};

    draw_by_size(out, results, bytes, BENCH_TOPIC_SIZE, BENCH_SPIN, value_of, limit_of);
    messages.title = "The same, as messages: in place, a message's size does not matter";
    draw_by_size(out, results, messages, BENCH_TOPIC_SIZE, BENCH_SPIN, per_second_of,
                 limit_per_second_of);
    messages.title = "One way, messages, both sides spinning";
    draw_by_size(out, results, messages, BENCH_TOPIC_RATE, BENCH_SPIN, value_of, limit_of);
    messages.title = "One way, messages, both sides blocking";
    draw_by_size(out, results, messages, BENCH_TOPIC_RATE, BENCH_BLOCK, value_of, limit_of);
}

/* ---- ratios --------------------------------------------------------------------------------- */

static void draw_ratios(FILE *out, const struct bench_results *results, const char *title,
                        enum bench_topic topic, enum bench_mode mode, size_t size)
{
    struct bench_bar *bars = yk_grow(NULL, (results->row_count + 1) * sizeof *bars);
    struct bench_figures figures;
    char text[YK_SIZE_TEXT], whole[160];
    size_t count = 0;

    for (size_t i = 0; i < results->row_count; i++) {
        const struct bench_row *row = &results->rows[i];

        if (!is_in(row, topic, mode) || row->setting.size != size ||
            !bench_row_figures(row, &figures))
            continue;
        bars[count] = (struct bench_bar){.own = row->system->own, .value = figures.ratio};
        if (topic == BENCH_TOPIC_FAN_IN)
            snprintf(bars[count].name, sizeof bars[0].name, "%.40s, %u to %u", row->system->name,
                     row->setting.senders, row->setting.receivers);
        else
            snprintf(bars[count].name, sizeof bars[0].name, "%.40s / %.30s", row->system->name,
                     bench_limit_for(row->system, &row->setting)->name);
        count++;
    }
    snprintf(whole, sizeof whole, "%s: messages of %s", title, yk_format_size_exact(text, size));
    bench_bars_write(out, whole, bars, count);
    free(bars);
}

void bench_picture_ratios(FILE *out, const struct bench_results *results)
{
    size_t latency = bench_typical_size(results, BENCH_TOPIC_LATENCY);
    size_t rate = bench_typical_size(results, BENCH_TOPIC_RATE), most = 0;

    for (size_t i = 0; i < results->row_count; i++)
        if (results->rows[i].setting.topic == BENCH_TOPIC_SIZE && results->rows[i].kept_count > 0 &&
            results->rows[i].setting.size > most)
            most = results->rows[i].setting.size;
    draw_ratios(out, results, "Round trip, spinning (less is better)", BENCH_TOPIC_LATENCY,
                BENCH_SPIN, latency);
    draw_ratios(out, results, "Round trip, all asleep in between (less is better)",
                BENCH_TOPIC_WAKE, BENCH_BLOCK, bench_typical_size(results, BENCH_TOPIC_WAKE));
    draw_ratios(out, results, "Round trip, all asleep on descriptors (less is better)",
                BENCH_TOPIC_WAKE, BENCH_POLL, bench_typical_size(results, BENCH_TOPIC_WAKE));
    draw_ratios(out, results, "Messages one way, spinning (more is better)", BENCH_TOPIC_RATE,
                BENCH_SPIN, rate);
    draw_ratios(out, results, "The biggest messages one way (more is better)", BENCH_TOPIC_SIZE,
                BENCH_SPIN, most);
    draw_ratios(out, results, "Opening (less is better)", BENCH_TOPIC_OPEN, BENCH_BLOCK,
                bench_typical_size(results, BENCH_TOPIC_OPEN));
}

/* ---- distribution --------------------------------------------------------------------------- */

/* Shares in percent, from the first bucket with anything in it to the last. */
static void add_histogram(struct bench_series *series, const struct bench_histogram *histogram)
{
    unsigned first = 0, last = BENCH_HISTOGRAM_BUCKETS - 1;

    while (first < last && histogram->count[first] == 0)
        first++;
    while (last > first && histogram->count[last] == 0)
        last--;
    for (unsigned i = first; i <= last; i++) {
        double share = 100.0 * histogram->count[i] / (double)histogram->total;

        bench_series_add(series, bench_histogram_edge(i), share);
        bench_series_add(series, bench_histogram_edge(i + 1), share);
    }
}

static void draw_distribution(FILE *out, const struct bench_results *results, const char *title,
                              enum bench_mode mode)
{
    struct bench_chart chart = {.title = title,
                                .x_label = "one round trip",
                                .y_label = "share of round trips",
                                .x_axis = BENCH_AXIS_TIME,
                                .y_axis = BENCH_AXIS_PERCENT,
                                .y_linear = true,
                                .bare = true};
    size_t size = bench_typical_size(results, BENCH_TOPIC_LATENCY);

    for (size_t i = 0; i < results->row_count; i++) {
        const struct bench_row *row = &results->rows[i];
        struct bench_series *series;

        if (!is_in(row, BENCH_TOPIC_LATENCY, mode) || row->setting.size != size ||
            row->singles.total == 0)
            continue;
        if (chart.count == DISTRIBUTIONS_MAX && !row->system->raw)
            continue;
        series = add_system(&chart, row->system, "");
        series->limit = bench_limit_for(row->system, &row->setting) == row->system;
        add_histogram(series, &row->singles);
    }
    bench_chart_write(out, &chart);
}

void bench_picture_distribution(FILE *out, const struct bench_results *results)
{
    draw_distribution(out, results, "Single round trips, spinning", BENCH_SPIN);
    draw_distribution(out, results, "Single round trips, blocking", BENCH_BLOCK);
}

void bench_picture_deaths(FILE *out, const struct bench_results *results)
{
    struct bench_chart chart = {.title = "When the death of a process is known",
                                .x_label = "after SIGKILL",
                                .y_label = "share of kills",
                                .x_axis = BENCH_AXIS_TIME,
                                .y_axis = BENCH_AXIS_PERCENT,
                                .y_linear = true,
                                .bare = true};

    for (size_t i = 0; i < results->death_count; i++) {
        const struct bench_death *death = &results->deaths[i];
        struct bench_series *series;

        if (death->victim != BENCH_VICTIM_PLAIN || death->kills == 0)
            continue;
        series = bench_chart_add(&chart, bench_death_way_name(death->way));
        series->color = (unsigned)death->way;
        series->limit = death->way == BENCH_DEATH_PIPE;
        add_histogram(series, &death->since_killed);
    }
    bench_chart_write(out, &chart);
}

void bench_picture_probes(FILE *out, const struct bench_results *results)
{
    struct bench_chart chart = {.title = "What the raw limit took before and after each sample",
                                .x_label = "one round trip of the limit",
                                .y_label = "share of probes",
                                .x_axis = BENCH_AXIS_TIME,
                                .y_axis = BENCH_AXIS_PERCENT,
                                .y_linear = true,
                                .bare = true};
    struct bench_histogram *all = yk_grow(NULL, sizeof *all);
    struct bench_series *series;

    memset(all, 0, sizeof *all);
    for (size_t i = 0; i < results->row_count; i++) {
        const struct bench_setting *setting = &results->rows[i].setting;

        if (setting->topic == BENCH_TOPIC_LATENCY && setting->mode == BENCH_SPIN &&
            setting->size <= PROBE_SIZE_MAX)
            bench_histogram_merge(all, &results->rows[i].probes);
    }
    if (all->total > 0) {
        series = bench_chart_add(&chart, "probes of up to 64 bytes, those set aside included");
        series->limit = true;
        add_histogram(series, all);
    }
    bench_chart_write(out, &chart);
    free(all);
}

/* ---- fan-in and growth ---------------------------------------------------------------------- */

/* The rate of one to one is what the samples were compared with. */
static void add_fan_line(struct bench_chart *chart, const struct bench_results *results,
                         const struct bench_system *system, enum bench_mode mode)
{
    struct bench_series *series = NULL;
    struct bench_figures figures;
    char more[16];

    snprintf(more, sizeof more, ", %s", bench_mode_name(mode));
    for (size_t i = 0; i < results->row_count; i++) {
        const struct bench_row *row = &results->rows[i];

        if (row->system != system || !is_in(row, BENCH_TOPIC_FAN_IN, mode) ||
            row->setting.senders != row->setting.receivers || !bench_row_figures(row, &figures))
            continue;
        if (!series) {
            series = add_system(chart, system, more);
            series->dotted = mode == BENCH_BLOCK;
            bench_series_add(series, 1, figures.limit);
        }
        bench_series_add(series, row->setting.senders, figures.value);
    }
}

void bench_picture_fan_in(FILE *out, const struct bench_results *results)
{
    struct bench_chart chart = {.title = "Many senders and as many receivers on one channel",
                                .x_label = "senders, and receivers (on two CPUs)",
                                .y_label = "messages in a second",
                                .x_axis = BENCH_AXIS_COUNT,
                                .y_axis = BENCH_AXIS_RATE};

    for (size_t i = 0; bench_systems[i]; i++)
        for (int mode = 0; mode < BENCH_MODES; mode++)
            add_fan_line(&chart, results, bench_systems[i], (enum bench_mode)mode);
    bench_chart_write(out, &chart);
}

void bench_picture_growth(FILE *out, const struct bench_results *results)
{
    for (int curve = 0; curve < BENCH_CURVES; curve++) {
        struct bench_chart chart = {.title = bench_curve_title((enum bench_curve)curve),
                                    .x_label = bench_curve_title((enum bench_curve)curve),
                                    .y_label = "sending and receiving one",
                                    .x_axis = BENCH_AXIS_COUNT,
                                    .y_axis = BENCH_AXIS_TIME,
                                    .y_linear = true};
        struct bench_series *series = NULL;

        for (size_t i = 0; i < results->growth_count; i++) {
            const struct bench_growth *point = &results->growths[i];

            if (point->curve != (enum bench_curve)curve)
                continue;
            if (!series)
                series = add_system(&chart, point->system, "");
            bench_series_add(series, (double)point->count, point->value);
        }
        bench_chart_write(out, &chart);
    }
}
