/*
 * flow.c - see flow.h.
 */
#include "flow.h"

#include "cli.h"
#include "inspect.h"
#include "json.h"
#include "output.h"
#include "stop.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000LL
#define LOOK   YK_PROGRESS_LOOK   /* how often the progress is shown, and the clock looked at */
#define PIECE  ((size_t)16 << 20) /* by one call */
#define NAP    (SECOND / 50)

static void take_option(struct yk_flow *flow, int option)
{
    switch (option) {
    case YK_FLOW_TIMEOUT:
        flow->timeout = yk_parse_duration(flow->usage, "--timeout", optarg);
        break;
    case YK_FLOW_CAPACITY:
        flow->options.capacity =
            yk_parse_size(flow->usage, "--capacity", optarg, 1, YOKE_STREAM_CAPACITY_MAX);
        break;
    case YK_FLOW_TRANSIENT:
        flow->transient = true;
        break;
    case YK_FLOW_QUIET:
        flow->quiet = true;
        break;
    default:
        yk_json_require(flow->usage);
        flow->json = true;
        break;
    }
}

void yk_flow_parse(struct yk_flow *flow, int argc, char **argv)
{
    static const struct option options[] = {YK_FLOW_OPTIONS, YK_OPTION_END};
    int option;

    while ((option = yk_option_next(flow->usage, argc, argv, ":h", options)) >= 0)
        take_option(flow, option);
    yk_arguments_check(flow->usage, argc, 1, 1, "ADDRESS");
    flow->address = argv[optind];
    if (strchr(flow->address, ':') && strncmp(flow->address, "stream:", 7) != 0)
        yk_usage_error(flow->usage, "%s: %s is no stream", flow->usage->name, flow->address);
    flow->flags =
        YOKE_CREATE | (flow->transient ? 0 : YOKE_KEPT) | (flow->writing ? YOKE_WRITE : YOKE_READ);
}

/* ---- progress -------------------------------------------------------------------------------- */

/* "12M  3.4M/s  45%, 7s left" */
static void say_progress(struct yk_flow *flow)
{
    char size[YK_SIZE_TEXT], rate[YK_SIZE_TEXT], left[YK_AGE_TEXT], rest[64] = "";
    double seconds = yk_progress_seconds(&flow->progress);
    double per_second = seconds > 0 ? (double)flow->bytes / seconds : 0;

    if (flow->total > 0 && flow->bytes <= flow->total && per_second > 0)
        snprintf(rest, sizeof rest, "  %d%%, %s left", (int)(100 * flow->bytes / flow->total),
                 yk_format_duration(left, (int64_t)((double)(flow->total - flow->bytes) /
                                                    per_second * (double)SECOND)));
    yk_progress_say(&flow->progress, "%s  %s/s%s", yk_format_size(size, flow->bytes),
                    yk_format_size(rate, (uint64_t)per_second), rest);
}

/* How far it came stays there. */
static void end_progress(struct yk_flow *flow)
{
    if (flow->progress.said)
        say_progress(flow);
    yk_progress_keep(&flow->progress);
}

/* What standard input still has, where it is a file. */
static uint64_t size_of(int descriptor)
{
    struct stat facts;
    off_t at = lseek(descriptor, 0, SEEK_CUR);

    if (at < 0 || fstat(descriptor, &facts) < 0 || !S_ISREG(facts.st_mode) || facts.st_size <= at)
        return 0;
    return (uint64_t)(facts.st_size - at);
}

/* ---- flowing --------------------------------------------------------------------------------- */

static int report_nothing(const struct yk_flow *flow)
{
    char waited[YK_AGE_TEXT];
    const char *what = flow->writing ? "written" : "read";

    if (flow->timeout == YOKE_NOW)
        yk_complain("%s: nothing more can be %s now; %" PRIu64 " bytes before", flow->address, what,
                    flow->bytes);
    else
        yk_complain("%s: nothing could be %s for %s; %" PRIu64 " bytes before", flow->address, what,
                    yk_format_duration(waited, flow->timeout), flow->bytes);
    return YK_NOTHING;
}

static int report_failure(const struct yk_flow *flow, int error)
{
    char sentence[512];

    if (error == -EINTR)
        return YK_STOPPED;
    if (error == -EAGAIN || error == -ETIMEDOUT)
        return report_nothing(flow);
    snprintf(sentence, sizeof sentence, "%s", yoke_explain());
    if (error == -EPIPE && flow->writing && yoke_stream_end(flow->endpoint) == -EOWNERDEAD) {
        yk_complain("%s: the last reader died; %" PRIu64 " bytes were written", flow->address,
                    flow->bytes);
        return YK_DIED;
    }
    yk_complain("%s; %" PRIu64 " bytes before", sentence, flow->bytes);
    return yk_status_of(error);
}

/* At the end of what was read: a writer that died may have had more to say. */
static int report_end(const struct yk_flow *flow)
{
    if (flow->writing || yoke_stream_end(flow->endpoint) != -EOWNERDEAD)
        return YK_DONE;
    yk_complain("%s: its last writer died; what it wrote before is here, %" PRIu64 " bytes",
                flow->address, flow->bytes);
    return YK_DIED;
}

/* How long the next call may wait: the time left, or until the progress is to be shown again. */
static int64_t next_wait(const struct yk_flow *flow, int64_t last)
{
    int64_t left = flow->timeout < 0 ? LOOK : last + flow->timeout - yk_time_monotonic();

    return left < 0 ? 0 : left < LOOK ? left : LOOK;
}

/* 0 at the end, or a negative errno. */
static int flow_on(struct yk_flow *flow, int descriptor)
{
    int64_t last = yk_time_monotonic(); /* when something flowed */

    for (;;) {
        int64_t wait = next_wait(flow, last);
        ssize_t moved =
            yk_stop_signal() ? -EINTR : yoke_move(flow->endpoint, descriptor, PIECE, wait);

        if (moved == 0)
            return 0;
        if (moved > 0) {
            flow->bytes += (uint64_t)moved;
            last = yk_time_monotonic();
        }
        if (yk_progress_is_due(&flow->progress))
            say_progress(flow);
        if (moved > 0 || (moved == -EINTR && !yk_stop_signal()))
            continue;
        if ((moved != -EAGAIN && moved != -ETIMEDOUT) ||
            (flow->timeout >= 0 && yk_time_monotonic() - last >= flow->timeout))
            return (int)moved;
    }
}

/* A transient stream in memory goes with its last user: not before a reader has come, or all is read. */
static int await_reader(const struct yk_flow *flow)
{
    const struct timespec nap = {0, NAP};
    struct yk_object_facts facts;
    int64_t begun = yk_time_monotonic();

    while (yk_inspect(flow->address, &facts, NULL, NULL) == 0 && !facts.kept &&
           facts.known & YK_KNOWN_INSIDE && facts.readers == 0 && facts.waiting > 0) {
        if (yk_stop_signal())
            return YK_STOPPED;
        if (flow->timeout >= 0 && yk_time_monotonic() - begun >= flow->timeout)
            return report_nothing(flow);
        nanosleep(&nap, NULL);
    }
    return YK_DONE;
}

/* Standard output has the bytes themselves when they are read. */
static void print_summary(const struct yk_flow *flow)
{
    yk_json *object = yk_json_object();
    size_t size;
    char *text;

    yk_json_unsigned(object, flow->writing ? "written" : "read", flow->bytes);
    yk_json_real(object, "seconds", yk_progress_seconds(&flow->progress));
    text = yk_json_line(object, &size);
    fwrite(text, 1, size, flow->writing ? stdout : stderr);
    free(text);
}

int yk_flow_run(struct yk_flow *flow, int descriptor)
{
    int result, status;

    yk_stop_install();
    result = yoke_open(&flow->endpoint, flow->address, flow->flags, &flow->options);
    if (result < 0)
        return yk_report_on(flow->address, result);
    flow->total = flow->writing ? size_of(descriptor) : 0;
    yk_progress_begin(&flow->progress, !flow->quiet);
    result = flow_on(flow, descriptor);
    end_progress(flow);
    status = result < 0 ? report_failure(flow, result) : report_end(flow);
    if (status == YK_DONE && flow->writing && flow->transient)
        status = await_reader(flow);
    yoke_close(flow->endpoint);
    if (flow->json)
        print_summary(flow);
    return status;
}
