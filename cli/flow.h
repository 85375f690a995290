/*
 * flow.h - what yoke write and yoke read have in common: bytes that flow between a stream and a
 * standard descriptor until they end, and on a terminal how far they are.
 */
#ifndef YK_FLOW_H
#define YK_FLOW_H

#include "options.h"
#include "progress.h"

#include <stdbool.h>
#include <stdint.h>
#include <yoke.h>

struct yk_flow {
    const struct yk_usage *usage;
    const char *address;
    struct yoke_options options;
    uint32_t flags;
    int64_t timeout; /* how long nothing may flow */
    bool transient, quiet, json;
    bool writing;
    /* while it goes on */
    yoke_endpoint *endpoint;
    uint64_t bytes, total; /* total: 0 where it is not known */
    struct yk_progress progress;
};

enum {
    YK_FLOW_TIMEOUT = YK_OPTION_FIRST,
    YK_FLOW_CAPACITY,
    YK_FLOW_TRANSIENT,
    YK_FLOW_QUIET,
    YK_FLOW_JSON,
};

/* The rows for both commands' options. */
/* clang-format off */
#define YK_FLOW_OPTIONS                                   \
    {"timeout", required_argument, NULL, YK_FLOW_TIMEOUT},   \
    {"capacity", required_argument, NULL, YK_FLOW_CAPACITY}, \
    {"transient", no_argument, NULL, YK_FLOW_TRANSIENT},     \
    {"quiet", no_argument, NULL, YK_FLOW_QUIET},             \
    {"json", no_argument, NULL, YK_FLOW_JSON}
/* clang-format on */

/* And the lines for their help. */
#define YK_FLOW_HELP                                                                 \
    "  --capacity SIZE  bytes that it holds, when this command makes it (1M; 64K)\n" \
    "  --transient      when this command makes it: it goes with its last user\n"    \
    "  --quiet          no progress, though standard error is a terminal\n"

void yk_flow_parse(struct yk_flow *flow, int argc, char **argv);
/* From the opening to the closing; `descriptor` is the other end. Returns the exit status. */
int yk_flow_run(struct yk_flow *flow, int descriptor);

#endif
