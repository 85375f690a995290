/*
 * rows.c - what becomes of samples: which ones count, and what a row's figures are.
 */
#include "rows.h"

#include "output.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define AGREEMENT    1.25
#define OFF_CPU      10.0
#define GIVE_UP_MOST 3u

const char *bench_topic_name(enum bench_topic topic)
{
    static const char *const names[BENCH_TOPICS] = {"latency", "rate", "size",    "wake", "fan-in",
                                                    "open",    "grow", "watched", "kill", "death"};
    return names[topic];
}

const char *bench_mode_name(enum bench_mode mode)
{
    static const char *const names[BENCH_MODES] = {"spin", "block", "poll"};
    return names[mode];
}

bool bench_row_is_rate(const struct bench_row *row)
{
    return row->setting.what == BENCH_RATE;
}

const char *bench_row_unit(const struct bench_row *row)
{
    if (!bench_row_is_rate(row))
        return "ns";
    return row->setting.topic == BENCH_TOPIC_SIZE ? "GB/s" : "messages/s";
}

/* What a sample's value is multiplied with to be in the unit of the row. */
static double unit_factor(const struct bench_row *row)
{
    return row->setting.topic == BENCH_TOPIC_SIZE ? (double)row->setting.size / 1e9 : 1;
}

/* ---- samples -------------------------------------------------------------------------------- */

void bench_row_init(struct bench_row *row, const struct bench_system *system,
                    const struct bench_setting *setting)
{
    *row = (struct bench_row){.system = system,
                              .setting = *setting,
                              .calls = -1,
                              .futex_calls = -1,
                              .futex_wakes = -1,
                              .idle_wakeups = -1};
}

void bench_row_fini(struct bench_row *row)
{
    free(row->kept);
}

static bool probes_agree(const struct bench_sample *sample)
{
    double a = sample->limit_before, b = sample->limit_after;
    return a < b ? b <= a * AGREEMENT : a <= b * AGREEMENT;
}

static double better(const struct bench_row *row, double a, double b)
{
    if (a == 0 || b == 0)
        return a + b;
    return bench_row_is_rate(row) ? fmax(a, b) : fmin(a, b);
}

void bench_row_add(struct bench_row *row, const struct bench_sample *sample)
{
    row->best_limit =
        better(row, row->best_limit, better(row, sample->limit_before, sample->limit_after));
    if (!bench_row_is_rate(row)) {
        bench_histogram_add(&row->probes, sample->limit_before);
        bench_histogram_add(&row->probes, sample->limit_after);
    }
    if (!probes_agree(sample)) {
        row->set_aside++;
        return;
    }
    if (row->kept_count == row->kept_capacity) {
        row->kept_capacity = row->kept_capacity ? 2 * row->kept_capacity : 32;
        row->kept = yk_grow(row->kept, row->kept_capacity * sizeof *row->kept);
    }
    row->kept[row->kept_count++] = *sample;
}

bool bench_row_give_up(struct bench_row *row)
{
    row->set_aside++;
    row->given_up++;
    return row->kept_count + row->set_aside == row->given_up &&
           (row->given_up >= GIVE_UP_MOST || row->setting.size >= BENCH_HUGE_MESSAGE);
}

/* Whether both are compared with the same limit in the same setting. */
static bool same_limit(const struct bench_row *a, const struct bench_row *b)
{
    const struct bench_setting *x = &a->setting, *y = &b->setting;

    return bench_limit_for(a->system, x) == bench_limit_for(b->system, y) && x->what == y->what &&
           x->mode == y->mode && x->size == y->size &&
           (x->topic == BENCH_TOPIC_FAN_IN) == (y->topic == BENCH_TOPIC_FAN_IN);
}

static bool was_off_cpu(const struct bench_row *row, const struct bench_sample *sample, double best)
{
    double limit = better(row, sample->limit_before, sample->limit_after);

    return bench_row_is_rate(row) ? limit * OFF_CPU <= best : limit >= best * OFF_CPU;
}

static void settle_row(struct bench_row *row, double best)
{
    size_t kept = 0;

    for (size_t i = 0; i < row->kept_count; i++) {
        if (was_off_cpu(row, &row->kept[i], best))
            continue;
        row->kept[kept] = row->kept[i];
        bench_histogram_merge(&row->singles, &row->kept[kept++].singles);
    }
    row->off_cpu = row->kept_count - kept;
    row->set_aside += row->off_cpu;
    row->kept_count = kept;
}

void bench_rows_settle(struct bench_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        double best = 0;

        for (size_t k = 0; k < count; k++)
            if (same_limit(&rows[i], &rows[k]))
                best = better(&rows[i], best, rows[k].best_limit);
        settle_row(&rows[i], best);
    }
}

/* ---- medians -------------------------------------------------------------------------------- */

static double value_of(const struct bench_sample *sample)
{
    return sample->value;
}

static double limit_of(const struct bench_sample *sample)
{
    return (sample->limit_before + sample->limit_after) / 2;
}

static double ratio_of(const struct bench_sample *sample)
{
    return sample->value / limit_of(sample);
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Of sorted values (at least one), between two neighbours. */
static double percentile(const double *values, size_t count, double percent)
{
    double rank = percent / 100 * (double)(count - 1);
    size_t below = (size_t)rank;

    if (below + 1 == count)
        return values[below];
    return values[below] + (rank - (double)below) * (values[below + 1] - values[below]);
}

double bench_percentile(double *values, size_t count, double percent)
{
    qsort(values, count, sizeof *values, compare_doubles);
    return percentile(values, count, percent);
}

double bench_median(double *values, size_t count)
{
    return bench_percentile(values, count, 50);
}

double bench_spread(double *values, size_t count)
{
    double median = bench_median(values, count);

    if (count < 2)
        return NAN;
    return (percentile(values, count, 90) - percentile(values, count, 10)) / median;
}

/* Over the samples kept, of which there is at least one. */
static double closing_of(const struct bench_sample *sample)
{
    return sample->closing;
}

static double median_of(const struct bench_row *row, double of(const struct bench_sample *),
                        double *ret_spread)
{
    double *values = yk_grow(NULL, row->kept_count * sizeof *values);
    double median;

    for (size_t i = 0; i < row->kept_count; i++)
        values[i] = of(&row->kept[i]);
    median = bench_median(values, row->kept_count);
    if (ret_spread)
        *ret_spread = bench_spread(values, row->kept_count);
    free(values);
    return median;
}

bool bench_row_figures(const struct bench_row *row, struct bench_figures *ret_figures)
{
    struct bench_figures figures;
    double value;

    if (row->kept_count == 0)
        return false;
    value = median_of(row, value_of, &figures.spread);
    figures.value = value * unit_factor(row);
    figures.limit = median_of(row, limit_of, NULL) * unit_factor(row);
    figures.ratio = median_of(row, ratio_of, &figures.ratio_spread);
    figures.closing = median_of(row, closing_of, NULL);
    figures.per_second = bench_row_is_rate(row) ? value : 1e9 / value;
    *ret_figures = figures;
    return true;
}

/* ---- rows beside each other ----------------------------------------------------------------- */

static bool same_setting(const struct bench_setting *a, const struct bench_setting *b)
{
    return a->topic == b->topic && a->what == b->what && a->size == b->size &&
           a->senders == b->senders && a->receivers == b->receivers;
}

const struct bench_row *bench_row_beside(const struct bench_row *rows, size_t count,
                                         const struct bench_row *row,
                                         const struct bench_system *system)
{
    const struct bench_row *found = NULL;

    /* A system that knows the row's mode is compared in that one, else in the one it knows. */
    for (size_t i = 0; i < count; i++) {
        if (rows[i].system != system || rows[i].kept_count == 0 ||
            !same_setting(&rows[i].setting, &row->setting))
            continue;
        if (!found || rows[i].setting.mode == row->setting.mode)
            found = &rows[i];
    }
    return found;
}

struct bench_quality bench_rows_quality(const struct bench_row *rows, size_t count)
{
    struct bench_quality quality = {0};

    for (size_t i = 0; i < count; i++) {
        if (rows[i].state != BENCH_MEASURED)
            continue;
        quality.measured++;
        quality.kept += rows[i].kept_count;
        quality.set_aside += rows[i].set_aside;
        quality.off_cpu += rows[i].off_cpu;
        quality.given_up += rows[i].given_up;
        quality.none += rows[i].kept_count == 0;
        quality.few += rows[i].kept_count > 0 && rows[i].kept_count < BENCH_KEPT_LEAST;
    }
    return quality;
}

bool bench_is_noisy(const struct bench_quality *quality)
{
    return quality->set_aside > quality->kept;
}
