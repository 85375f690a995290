/*
 * pictures.h - the page's charts, made from the results (html.h).
 *
 * Each writes nothing where the results have nothing to show.
 */
#ifndef YK_BENCH_PICTURES_H
#define YK_BENCH_PICTURES_H

#include "results.h"

#include <stdio.h>

/* The size that stands for small messages in a topic: 64 if it was measured, else the smallest. */
size_t bench_typical_size(const struct bench_results *results, enum bench_topic topic);

void bench_picture_ratios(FILE *out, const struct bench_results *results);
void bench_picture_latency(FILE *out, const struct bench_results *results);
void bench_picture_throughput(FILE *out, const struct bench_results *results);
void bench_picture_distribution(FILE *out, const struct bench_results *results);
void bench_picture_fan_in(FILE *out, const struct bench_results *results);
/* How long after SIGKILL it is known, in each way, that a plain victim died. */
void bench_picture_deaths(FILE *out, const struct bench_results *results);
void bench_picture_growth(FILE *out, const struct bench_results *results);
/* What the limit took in all samples: one hump, or one for near and one for far CPUs. */
void bench_picture_probes(FILE *out, const struct bench_results *results);

#endif
