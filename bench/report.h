/*
 * report.h - the results as tables for people and as JSON for programs.
 */
#ifndef YK_BENCH_REPORT_H
#define YK_BENCH_REPORT_H

#include "results.h"

/* Both on stdout, one line a row. */
void bench_report_table(const struct bench_results *results);
void bench_report_json(const struct bench_results *results);

#define BENCH_WARNINGS     4
#define BENCH_WARNING_TEXT 250
/* What is to be said about the samples, a sentence each; returns how many. */
size_t bench_quality_warnings(const struct bench_quality *quality,
                              char texts[BENCH_WARNINGS][BENCH_WARNING_TEXT]);

/* On stderr: these, and what was skipped or failed. */
void bench_report_warnings(const struct bench_results *results);

/* Why there were no more kills in this row; NULL: there were, or an earlier row says the same. */
const char *bench_death_reason(const struct bench_results *results, size_t index);

#define BENCH_VALUE_TEXT 32
/* A value in the unit of a row, with three or four digits and a unit that fits: "1.23 us". */
char *bench_value_text(char text[BENCH_VALUE_TEXT], const struct bench_row *row, double value);
/* The same for nanoseconds ("-" for NAN); and in the unit that suits another time. */
char *bench_time_text(char text[BENCH_VALUE_TEXT], double ns);
char *bench_time_text_like(char text[BENCH_VALUE_TEXT], double ns, double like);
/* "12%"; "-" for NAN. */
char *bench_spread_text(char text[BENCH_VALUE_TEXT], double spread);
/* "1.98"; "0" is none at all, "-" not counted. */
char *bench_count_text(char text[BENCH_VALUE_TEXT], double count);

#endif
