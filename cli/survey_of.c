/*
 * survey_of.c - see survey_of.h.
 */
#include "survey_of.h"

#include "cli.h"
#include "facts.h"
#include "latency.h"
#include "look.h"
#include "openmetrics.h"
#include "output.h"
#include "replace.h"
#include "stop.h"
#include "talks.h"

#include <stdlib.h>
#include <string.h>

/* The objects that are meant by the addresses, which may name a link by its peers in either order. */
struct wanted {
    struct yk_look *all; /* owned; NULL: everything is wanted */
    size_t count;
};

static int find_wanted(const struct yk_survey *survey, struct wanted *ret)
{
    *ret = (struct wanted){NULL, 0};
    if (survey->count > 0)
        ret->all = yk_grow(NULL, survey->count * sizeof *ret->all);
    for (; ret->count < survey->count; ret->count++) {
        int result = yk_look_at(&ret->all[ret->count], survey->addresses[ret->count]);
        if (result < 0)
            return yk_report_on(survey->addresses[ret->count], result);
    }
    return YK_DONE;
}

static void forget_wanted(struct wanted *wanted)
{
    for (size_t i = 0; i < wanted->count; i++)
        yk_look_fini(&wanted->all[i]);
    free(wanted->all);
}

static bool is_wanted(const struct yk_look *look, const void *context)
{
    const struct wanted *wanted = context;

    for (size_t i = 0; i < wanted->count; i++)
        if (yk_facts_compare(&look->facts, &wanted->all[i].facts) == 0)
            return true;
    return wanted->all == NULL;
}

static void print_openmetrics(const struct yk_looks *looks, const struct wanted *wanted,
                              const struct yk_latency *latency)
{
    struct yk_look *those = yk_grow(NULL, (looks->count + 1) * sizeof *those);
    size_t count = 0;

    for (size_t i = 0; i < looks->count; i++)
        if (is_wanted(&looks->all[i], wanted))
            those[count++] = looks->all[i];
    yk_openmetrics_print(those, count, latency);
    free(those);
}

static int print(const struct yk_survey *survey, const struct yk_looks *looks,
                 const struct yk_looks *before, const struct wanted *wanted,
                 const struct yk_latency *latency)
{
    struct yk_replace replace;

    if (survey->output && yk_replace_begin(&replace, survey->output) < 0)
        return YK_FAILED;
    if (survey->openmetrics)
        print_openmetrics(looks, wanted, latency);
    else
        yk_talks_print(looks, before, is_wanted, wanted,
                       survey->json  ? YK_TALKS_JSON
                       : survey->dot ? YK_TALKS_DOT
                                     : YK_TALKS_TEXT);
    if (survey->output)
        return yk_replace_end(&replace) < 0 ? YK_FAILED : YK_DONE;
    return yk_flush_output() < 0 ? YK_FAILED : YK_DONE;
}

/* With --latency messages are watched meanwhile; what is found is added to what was. */
static int pass_interval(const struct yk_survey *survey, struct yk_latency *latency,
                         struct yk_latency_watch **watch)
{
    bool stopped = false;
    int result;

    if (latency) {
        result = yk_latency_watch(watch, latency, survey->addresses[0], survey->interval, &stopped);
        if (result < 0)
            return yk_report_on(survey->addresses[0], result);
    } else {
        stopped = !yk_look_pause(survey->interval);
    }
    return stopped ? YK_STOPPED : YK_DONE;
}

/* All that there is, and those of the addresses that are somewhere else. */
static int take_looks(const struct yk_survey *survey, const struct yk_looks *before,
                      struct yk_looks *ret)
{
    int result = yk_looks_take(ret, survey->place, before, true);

    if (result < 0)
        return yk_report(result);
    for (size_t i = 0; i < survey->count; i++) {
        const char *address = survey->addresses[i];
        result = strstr(address, "://") ? yk_looks_add(ret, address, before) : 0;
        if (result < 0) {
            yk_looks_fini(ret);
            return yk_report_on(address, result);
        }
    }
    return YK_DONE;
}

/* After the interval, if there is one; `looks` are the newer ones then. */
static int survey_once(const struct yk_survey *survey, struct yk_looks *looks,
                       struct yk_latency *latency, struct yk_latency_watch **watch)
{
    struct yk_looks newer = {NULL, 0, 0};
    struct wanted wanted;
    int status = survey->interval ? pass_interval(survey, latency, watch) : YK_DONE;

    if (status == YK_DONE)
        status = take_looks(survey, looks, &newer);
    if (status != YK_DONE)
        return status;
    status = find_wanted(survey, &wanted);
    if (status == YK_DONE)
        status = print(survey, &newer, survey->interval ? looks : NULL, &wanted, latency);
    forget_wanted(&wanted);
    yk_looks_fini(looks);
    *looks = newer;
    return status;
}

int yk_survey_of(const struct yk_survey *survey)
{
    const struct yk_looks none = {NULL, 0, 0};
    struct yk_looks looks = none;
    struct yk_latency *latency = NULL;
    struct yk_latency_watch *watch = NULL;
    int status = survey->interval ? take_looks(survey, &none, &looks) : YK_DONE;

    if (status != YK_DONE)
        return status;
    if (survey->latency) {
        latency = yk_grow(NULL, sizeof *latency);
        memset(latency, 0, sizeof *latency);
    }
    do
        status = survey_once(survey, &looks, latency, &watch);
    while (survey->watch && status == YK_DONE);
    yk_looks_fini(&looks);
    free(latency);
    yk_latency_end(watch);
    return status;
}
