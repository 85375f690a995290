/*
 * chart.h - line charts and bars as SVG within a page: no script, colours from the page's style.
 */
#ifndef YK_BENCH_CHART_H
#define YK_BENCH_CHART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct bench_point {
    double x, y;
};

struct bench_series {
    char name[64];
    bool limit; /* drawn dashed, in the colour of the text */
    bool own;   /* drawn thick */
    bool dotted;
    unsigned color;
    struct bench_point *points; /* owned by the chart; x rises */
    size_t count;
};

/* What the numbers along an axis are, which decides how they are written. */
enum bench_axis {
    BENCH_AXIS_SIZE,
    BENCH_AXIS_COUNT,
    BENCH_AXIS_TIME,
    BENCH_AXIS_GIGABYTES,
    BENCH_AXIS_RATE,
    BENCH_AXIS_PERCENT
};

struct bench_chart {
    const char *title, *x_label, *y_label;
    enum bench_axis x_axis, y_axis;
    bool y_linear;               /* else logarithmic, as x always is */
    bool bare;                   /* no dots: there are too many points */
    struct bench_series *series; /* owned */
    size_t count;
};

/* Adds a series; it is the caller's to fill through bench_series_add(), until the next one. */
struct bench_series *bench_chart_add(struct bench_chart *chart, const char *name);
void bench_series_add(struct bench_series *series, double x, double y);

/* Writes a <figure> with legend, or nothing if there is no point in it. Frees the series. */
void bench_chart_write(FILE *out, struct bench_chart *chart);

/* A bar for each row, on a logarithmic axis with a line at 1. */
struct bench_bar {
    char name[96];
    bool own;
    double value;
};
void bench_bars_write(FILE *out, const char *title, const struct bench_bar *bars, size_t count);

/* Text with what HTML would take for its own replaced. */
void bench_html_text(FILE *out, const char *text);

#endif
