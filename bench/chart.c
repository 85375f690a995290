/*
 * chart.c - line charts and bars as SVG within a page.
 *
 * Both axes are logarithmic unless said otherwise: what is compared here differs by factors.
 * Nothing but text, lines and dots; each dot carries its figures as a title, which a browser shows
 * when one points at it.
 */
#include "chart.h"

#include "output.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WIDTH    760.0
#define HEIGHT   380.0
#define LEFT     78.0
#define RIGHT    16.0
#define TOP      14.0
#define BOTTOM   48.0
#define COLORS   12u
#define BAR      24.0
#define BAR_LEFT 250.0

struct scale {
    double least, most; /* of the values */
    double from, to;    /* of the picture */
    bool linear;
};

void bench_html_text(FILE *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '<')
            fputs("&lt;", out);
        else if (*text == '&')
            fputs("&amp;", out);
        else if (*text == '"')
            fputs("&quot;", out);
        else if ((unsigned char)*text < 0x20 || (unsigned char)*text >= 0x7f)
            fputc('?', out);
        else
            fputc(*text, out);
    }
}

/* ---- series --------------------------------------------------------------------------------- */

struct bench_series *bench_chart_add(struct bench_chart *chart, const char *name)
{
    struct bench_series *series;

    chart->series = yk_grow(chart->series, (chart->count + 1) * sizeof *chart->series);
    series = &chart->series[chart->count++];
    *series = (struct bench_series){.color = (unsigned)chart->count - 1};
    snprintf(series->name, sizeof series->name, "%s", name);
    return series;
}

void bench_series_add(struct bench_series *series, double x, double y)
{
    series->points = yk_grow(series->points, (series->count + 1) * sizeof *series->points);
    series->points[series->count++] = (struct bench_point){x, y};
}

static void free_series(struct bench_chart *chart)
{
    for (size_t i = 0; i < chart->count; i++)
        free(chart->series[i].points);
    free(chart->series);
    chart->series = NULL;
    chart->count = 0;
}

/* ---- numbers in words ----------------------------------------------------------------------- */

static void write_scaled(char text[32], double value, const char *const units[], size_t count)
{
    size_t unit = 0;

    for (; value >= 999.5 && unit + 1 < count; unit++)
        value /= 1000;
    snprintf(text, 32, "%.3g%s", value, units[unit]);
}

static void format_value(char text[32], enum bench_axis axis, double value)
{
    static const char *const times[] = {" ns", " us", " ms", " s"};
    static const char *const counts[] = {"", "k", "M", "G"};
    static const char *const rates[] = {"/s", "k/s", "M/s", "G/s"};
    static const char *const bytes[] = {" MB/s", " GB/s", " TB/s", " PB/s"};
    char size[YK_SIZE_TEXT];

    switch (axis) {
    case BENCH_AXIS_SIZE:
        snprintf(text, 32, "%s", yk_format_size_exact(size, (uint64_t)value));
        break;
    case BENCH_AXIS_COUNT:
        write_scaled(text, value, counts, 4);
        break;
    case BENCH_AXIS_TIME:
        write_scaled(text, value, times, 4);
        break;
    case BENCH_AXIS_RATE:
        write_scaled(text, value, rates, 4);
        break;
    case BENCH_AXIS_GIGABYTES:
        write_scaled(text, 1000 * value, bytes, 4);
        break;
    case BENCH_AXIS_PERCENT:
        snprintf(text, 32, "%.3g %%", value);
        break;
    }
}

/* ---- axes ----------------------------------------------------------------------------------- */

static double place(const struct scale *scale, double value)
{
    double part = scale->linear ? (value - scale->least) / (scale->most - scale->least)
                                : log(value / scale->least) / log(scale->most / scale->least);

    return scale->from + part * (scale->to - scale->from);
}

/* A little room around the values, so that no dot lies on the frame. */
static void widen(struct scale *scale)
{
    if (scale->linear) {
        scale->least = 0;
        scale->most = scale->most > 0 ? scale->most * 1.15 : 1;
    } else {
        scale->least /= 1.25;
        scale->most *= 1.25;
    }
}

static bool find_scales(const struct bench_chart *chart, struct scale *x, struct scale *y)
{
    bool any = false;

    *x = (struct scale){INFINITY, 0, LEFT, WIDTH - RIGHT, false};
    *y = (struct scale){INFINITY, 0, HEIGHT - BOTTOM, TOP, chart->y_linear};
    for (size_t i = 0; i < chart->count; i++) {
        for (size_t k = 0; k < chart->series[i].count; k++) {
            const struct bench_point *point = &chart->series[i].points[k];

            x->least = fmin(x->least, point->x);
            x->most = fmax(x->most, point->x);
            y->least = fmin(y->least, point->y);
            y->most = fmax(y->most, point->y);
            any = true;
        }
    }
    widen(x);
    widen(y);
    return any;
}

static void x_tick(FILE *out, const struct bench_chart *chart, const struct scale *x, double value)
{
    double at = place(x, value);
    char text[32];

    format_value(text, chart->x_axis, value);
    fprintf(out, "<line class=\"grid\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>", at, at,
            TOP, HEIGHT - BOTTOM);
    fprintf(out, "<text class=\"tick\" text-anchor=\"middle\" x=\"%.1f\" y=\"%.1f\">%s</text>\n",
            at, HEIGHT - BOTTOM + 17, text);
}

static void y_tick(FILE *out, const struct bench_chart *chart, const struct scale *y, double value)
{
    double at = place(y, value);
    char text[32];

    format_value(text, chart->y_axis, value);
    fprintf(out, "<line class=\"grid\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>", LEFT,
            WIDTH - RIGHT, at, at);
    fprintf(out, "<text class=\"tick\" text-anchor=\"end\" x=\"%.1f\" y=\"%.1f\">%s</text>\n",
            LEFT - 6, at + 4, text);
}

/* Where x has few values that mean something, those are the ticks. */
static void x_ticks_at_points(FILE *out, const struct bench_chart *chart, const struct scale *x)
{
    double last = 0;

    for (;;) {
        double next = INFINITY;

        for (size_t i = 0; i < chart->count; i++)
            for (size_t k = 0; k < chart->series[i].count; k++)
                if (chart->series[i].points[k].x > last)
                    next = fmin(next, chart->series[i].points[k].x);
        if (isinf(next))
            return;
        x_tick(out, chart, x, next);
        last = next;
    }
}

/* Calls tick() at 1, 10, 100 ..., and at what lies between where that is not enough. */
static void log_ticks(FILE *out, const struct bench_chart *chart, const struct scale *scale,
                      void tick(FILE *, const struct bench_chart *, const struct scale *, double))
{
    static const double steps[] = {1, 2, 5};
    double decades = log10(scale->most / scale->least);
    size_t fine = decades < 2.5 ? 3 : 1;

    for (int power = (int)floor(log10(scale->least)); power <= log10(scale->most); power++) {
        for (size_t i = 0; i < fine; i++) {
            double value = steps[i] * pow(10, power);

            if (value >= scale->least && value <= scale->most)
                tick(out, chart, scale, value);
        }
    }
}

static void linear_ticks(FILE *out, const struct bench_chart *chart, const struct scale *y)
{
    double step = pow(10, floor(log10(y->most / 2)));

    while (y->most / step > 8)
        step *= y->most / step > 16 ? 5 : 2;
    for (int i = 0; i * step <= y->most; i++) /* not added up: the errors would, too */
        y_tick(out, chart, y, i * step);
}

static void write_axes(FILE *out, const struct bench_chart *chart, const struct scale *x,
                       const struct scale *y)
{
    if (chart->x_axis == BENCH_AXIS_TIME)
        log_ticks(out, chart, x, x_tick);
    else
        x_ticks_at_points(out, chart, x);
    if (y->linear)
        linear_ticks(out, chart, y);
    else
        log_ticks(out, chart, y, y_tick);
    fprintf(out, "<rect class=\"frame\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>\n",
            LEFT, TOP, WIDTH - RIGHT - LEFT, HEIGHT - BOTTOM - TOP);
    fprintf(out, "<text class=\"label\" text-anchor=\"middle\" x=\"%.1f\" y=\"%.1f\">",
            (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10);
    bench_html_text(out, chart->x_label);
    fprintf(out,
            "</text>\n<text class=\"label\" text-anchor=\"middle\" transform=\"rotate(-90)\" "
            "x=\"%.1f\" y=\"14\">",
            -(TOP + HEIGHT - BOTTOM) / 2);
    bench_html_text(out, chart->y_label);
    fputs("</text>\n", out);
}

/* ---- a line chart --------------------------------------------------------------------------- */

/* More systems than colours: the next dozen is dotted, too. */
static void write_class(FILE *out, const struct bench_series *series)
{
    if (series->limit)
        fputs("class=\"limit\"", out);
    else
        fprintf(out, "class=\"c%u%s%s\"", series->color % COLORS, series->own ? " own" : "",
                series->dotted || series->color >= COLORS ? " dotted" : "");
}

static void write_series(FILE *out, const struct bench_chart *chart,
                         const struct bench_series *series, const struct scale *x,
                         const struct scale *y)
{
    char at[32], value[32];

    fputs("<g ", out);
    write_class(out, series);
    fputs("><polyline points=\"", out);
    for (size_t i = 0; i < series->count; i++)
        fprintf(out, "%s%.1f,%.1f", i ? " " : "", place(x, series->points[i].x),
                place(y, series->points[i].y));
    fputs("\"/>\n", out);
    for (size_t i = 0; i < series->count && !chart->bare; i++) {
        format_value(at, chart->x_axis, series->points[i].x);
        format_value(value, chart->y_axis, series->points[i].y);
        fprintf(out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"%s\"><title>",
                place(x, series->points[i].x), place(y, series->points[i].y),
                series->own ? "4" : "3");
        bench_html_text(out, series->name);
        fprintf(out, ", %s: %s</title></circle>\n", at, value);
    }
    fputs("</g>\n", out);
}

static void write_legend(FILE *out, const struct bench_chart *chart)
{
    fputs("<ul class=\"legend\">", out);
    for (size_t i = 0; i < chart->count; i++) {
        fputs("<li><svg width=\"26\" height=\"10\" aria-hidden=\"true\"><g ", out);
        write_class(out, &chart->series[i]);
        fputs("><polyline points=\"1,5 25,5\"/></g></svg> ", out);
        bench_html_text(out, chart->series[i].name);
        fputs("</li>\n", out);
    }
    fputs("</ul>", out);
}

void bench_chart_write(FILE *out, struct bench_chart *chart)
{
    struct scale x, y;

    if (find_scales(chart, &x, &y)) {
        fputs("<figure><figcaption>", out);
        bench_html_text(out, chart->title);
        fprintf(out,
                "</figcaption>\n<div class=\"wide\"><svg class=\"chart\" viewBox=\"0 0 %.0f %.0f\" "
                "role=\"img\" aria-label=\"",
                WIDTH, HEIGHT);
        bench_html_text(out, chart->title);
        fputs("\">\n", out);
        write_axes(out, chart, &x, &y);
        for (size_t i = 0; i < chart->count; i++)
            write_series(out, chart, &chart->series[i], &x, &y);
        fputs("</svg></div>\n", out);
        write_legend(out, chart);
        fputs("</figure>\n", out);
    }
    free_series(chart);
}

/* ---- bars ----------------------------------------------------------------------------------- */

static void write_bar(FILE *out, const struct bench_bar *bar, const struct scale *x, double top)
{
    double one = place(x, 1), end = place(x, bar->value);

    fprintf(out, "<text class=\"name\" text-anchor=\"end\" x=\"%.1f\" y=\"%.1f\">", BAR_LEFT - 10,
            top + BAR / 2 + 4);
    bench_html_text(out, bar->name);
    fprintf(out, "</text><rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>",
            bar->own ? "bar own" : "bar", fmin(one, end), top + 4, fmax(fabs(end - one), 1.5),
            BAR - 8);
    fprintf(out, "<text class=\"tick\" x=\"%.1f\" y=\"%.1f\">", fmax(one, end) + 6,
            top + BAR / 2 + 4);
    fprintf(out, bar->value < 999.5 ? "%.3g</text>\n" : "%.0f</text>\n", bar->value);
}

void bench_bars_write(FILE *out, const char *title, const struct bench_bar *bars, size_t count)
{
    struct scale x = {1, 1, BAR_LEFT, WIDTH - 60, false};
    double height = (double)count * BAR + 8;

    if (count == 0)
        return;
    for (size_t i = 0; i < count; i++) {
        x.least = fmin(x.least, bars[i].value);
        x.most = fmax(x.most, bars[i].value);
    }
    widen(&x);
    fputs("<figure><figcaption>", out);
    bench_html_text(out, title);
    fprintf(out,
            "</figcaption>\n<div class=\"wide\"><svg class=\"chart\" viewBox=\"0 0 %.0f %.0f\" "
            "role=\"img\" aria-label=\"",
            WIDTH, height);
    bench_html_text(out, title);
    fputs("\">\n", out);
    for (size_t i = 0; i < count; i++)
        write_bar(out, &bars[i], &x, 4 + (double)i * BAR);
    fprintf(out, "<line class=\"one\" x1=\"%.1f\" x2=\"%.1f\" y1=\"0\" y2=\"%.1f\"/></svg></div>",
            place(&x, 1), place(&x, 1), height);
    fputs("</figure>\n", out);
}
