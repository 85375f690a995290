/*
 * openmetrics.h - looks as OpenMetrics 1.0 text, which Prometheus and its node_exporter's textfile
 * collector read, and others.
 */
#ifndef YK_OPENMETRICS_H
#define YK_OPENMETRICS_H

#include "latency.h"
#include "look.h"

#include <stddef.h>

/* On stdout; `latency` belongs to the only look, or is NULL. */
void yk_openmetrics_print(const struct yk_look *looks, size_t count,
                          const struct yk_latency *latency);

#endif
