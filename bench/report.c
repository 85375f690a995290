/*
 * report.c - what becomes of samples: which ones count, their medians, the table and the JSON.
 *
 * A sample counts if the probes before and after it differ by no more than a quarter: else the
 * CPUs moved, or something else ran. Its ratio is taken against its own two probes, and the ratio
 * reported is the median of those, not the ratio of two medians: so it holds for near and far
 * cores alike.
 */
#include "report.h"

#include "json.h"
#include "output.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AGREEMENT 1.25
/* Fewer samples than this say little. */
#define KEPT_LEAST 3u

const char *bench_case_name(enum bench_case what)
{
    static const char *const names[BENCH_CASES] = {"latency", "rate"};
    return names[what];
}

const char *bench_mode_name(enum bench_mode mode)
{
    static const char *const names[BENCH_MODES] = {"spin", "block"};
    return names[mode];
}

/* ---- samples -------------------------------------------------------------------------------- */

static bool probes_agree(const struct bench_sample *sample)
{
    double a = sample->limit_before, b = sample->limit_after;
    return a < b ? b <= a * AGREEMENT : a <= b * AGREEMENT;
}

void bench_row_add(struct bench_row *row, const struct bench_sample *sample)
{
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

void bench_row_fini(struct bench_row *row)
{
    free(row->kept);
}

static double value_of(const struct bench_sample *sample)
{
    return sample->value;
}

static double p99_of(const struct bench_sample *sample)
{
    return sample->p99;
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

/* The percentile of something over the samples kept (at least one), between two neighbours. */
static double percentile(const struct bench_row *row, double of(const struct bench_sample *),
                         double percent)
{
    double *values = yk_grow(NULL, row->kept_count * sizeof *values);
    double rank = percent / 100 * (double)(row->kept_count - 1), result;
    size_t below = (size_t)rank;

    for (size_t i = 0; i < row->kept_count; i++)
        values[i] = of(&row->kept[i]);
    qsort(values, row->kept_count, sizeof *values, compare_doubles);
    result = values[below];
    if (below + 1 < row->kept_count)
        result += (rank - (double)below) * (values[below + 1] - values[below]);
    free(values);
    return result;
}

static double median(const struct bench_row *row, double of(const struct bench_sample *))
{
    return percentile(row, of, 50);
}

/* How far the middle 80 % lie apart, as a part of their median. */
static double spread(const struct bench_row *row, double of(const struct bench_sample *))
{
    return (percentile(row, of, 90) - percentile(row, of, 10)) / median(row, of);
}

static double gigabytes(const struct bench_row *row, double messages)
{
    return messages * (double)row->setting.size / 1e9;
}

/* ---- table ---------------------------------------------------------------------------------- */

/* clang-format off */
static const struct yk_column columns[] = {
    {"CASE", false}, {"SIZE", true}, {"SYSTEM", false}, {"MODE", false},
    {"VALUE", true}, {"UNIT", false}, {"SPREAD", true}, {"ALSO", false},
    {"X LIMIT", true}, {"SPREAD", true}, {"OF", false}, {"ROUNDS", true}, {"ASIDE", true},
};
/* clang-format on */

/* Three or four digits and a unit of the right size. */
static const char *scale(const struct bench_row *row, double *value)
{
    static const char *const times[] = {"ns", "us", "ms", "s"};
    static const char *const rates[] = {"/s", "k/s", "M/s", "G/s"};
    size_t unit = 0;

    for (; *value >= (unit == 0 ? 9999.5 : 999.5) && unit < 3; unit++)
        *value /= 1000;
    return row->setting.what == BENCH_LATENCY ? times[unit] : rates[unit];
}

static int decimals(double value)
{
    return value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
}

static void add_measured(struct yk_table *table, const struct bench_row *row)
{
    double value = median(row, value_of), p99;
    const char *unit = scale(row, &value);

    yk_table_add(table, "%.*f", decimals(value), value);
    yk_table_add(table, "%s", unit);
    yk_table_add(table, "%.0f%%", 100 * spread(row, value_of));
    if (row->setting.what == BENCH_LATENCY) {
        p99 = median(row, p99_of);
        unit = scale(row, &p99);
        yk_table_add(table, "p99 %.*f %s", decimals(p99), p99, unit);
    } else {
        yk_table_add(table, "%.2f GB/s", gigabytes(row, median(row, value_of)));
    }
    yk_table_add(table, "%.2f", median(row, ratio_of));
    yk_table_add(table, "%.0f%%", 100 * spread(row, ratio_of));
    yk_table_add(table, "%s", bench_limit_for(&row->setting)->name);
    yk_table_add(table, "%zu", row->kept_count);
    yk_table_add(table, "%zu", row->set_aside);
}

static void add_unmeasured(struct yk_table *table, const struct bench_row *row)
{
    static const char *const states[] = {
        [BENCH_MEASURED] = "-", [BENCH_SKIPPED] = "skipped", [BENCH_FAILED] = "failed"};

    yk_table_add(table, "-");
    yk_table_add(table, "%s", states[row->state]);
    for (int column = 0; column < 5; column++)
        yk_table_add(table, "-");
    yk_table_add(table, "0");
    yk_table_add(table, "%zu", row->set_aside);
}

void bench_report_table(const struct bench_row *rows, size_t count)
{
    struct yk_table table;
    char size[YK_SIZE_TEXT];

    yk_table_init(&table, columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < count; i++) {
        const struct bench_row *row = &rows[i];

        yk_table_add(&table, "%s", bench_case_name(row->setting.what));
        yk_table_add(&table, "%s", yk_format_size_exact(size, row->setting.size));
        yk_table_add(&table, "%s", row->system->name);
        yk_table_add(&table, "%s", bench_mode_name(row->setting.mode));
        if (row->kept_count > 0)
            add_measured(&table, row);
        else
            add_unmeasured(&table, row);
    }
    yk_table_print(&table);
    yk_table_fini(&table);
}

/* ---- JSON ----------------------------------------------------------------------------------- */

static void add_json_values(yk_json *object, const struct bench_row *row)
{
    double value = median(row, value_of);

    yk_json_real(object, "value", value);
    if (row->setting.what == BENCH_LATENCY)
        yk_json_real(object, "p99", median(row, p99_of));
    else
        yk_json_real(object, "gigabytes_per_second", gigabytes(row, value));
    yk_json_real(object, "limit", median(row, limit_of));
    yk_json_real(object, "ratio", median(row, ratio_of));
    yk_json_real(object, "spread", spread(row, value_of));
    yk_json_real(object, "ratio_spread", spread(row, ratio_of));
}

void bench_report_json(const struct bench_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct bench_row *row = &rows[i];
        yk_json *object = yk_json_object();

        yk_json_string(object, "case", bench_case_name(row->setting.what));
        yk_json_string(object, "system", row->system->name);
        yk_json_string(object, "mode", bench_mode_name(row->setting.mode));
        yk_json_unsigned(object, "size", row->setting.size);
        yk_json_string(object, "unit", row->setting.what == BENCH_LATENCY ? "ns" : "messages/s");
        yk_json_string(object, "limit_system", bench_limit_for(&row->setting)->name);
        yk_json_unsigned(object, "rounds", row->kept_count);
        yk_json_unsigned(object, "set_aside", row->set_aside);
        if (row->state != BENCH_MEASURED)
            yk_json_string(object, row->state == BENCH_SKIPPED ? "skipped" : "failed", row->reason);
        if (row->kept_count > 0)
            add_json_values(object, row);
        yk_json_print_line(object);
    }
}

/* ---- warnings ------------------------------------------------------------------------------- */

/* True if an earlier row of the same system gave the same reason: saying it once is enough. */
static bool is_said(const struct bench_row *rows, const struct bench_row *row)
{
    for (const struct bench_row *earlier = rows; earlier < row; earlier++)
        if (earlier->system == row->system && strcmp(earlier->reason, row->reason) == 0)
            return true;
    return false;
}

void bench_report_warnings(const struct bench_row *rows, size_t count)
{
    size_t measured = 0, few = 0, kept = 0, set_aside = 0;

    for (const struct bench_row *row = rows; row < rows + count; row++) {
        if (row->state == BENCH_MEASURED) {
            measured++;
            kept += row->kept_count;
            set_aside += row->set_aside;
            few += row->kept_count < KEPT_LEAST;
        } else if (!is_said(rows, row)) {
            yk_complain("%s %s: %s", row->system->name,
                        row->state == BENCH_SKIPPED ? "skipped" : "failed", row->reason);
        }
    }
    if (set_aside > kept)
        yk_complain(
            "this machine was too noisy to tell: %zu of %zu samples were set aside because the "
            "limit before and after differed by more than a quarter",
            set_aside, kept + set_aside);
    if (few > 0)
        yk_complain(
            "%zu of %zu rows rest on fewer than %u samples: take more rounds, or a quieter machine",
            few, measured, KEPT_LEAST);
}
