/*
 * look.c - see look.h.
 */
#include "look.h"

#include "facts.h"
#include "output.h"
#include "stop.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SECOND 1e9

int yk_look_at(struct yk_look *ret, const char *address)
{
    ret->participants = NULL;
    ret->count = 0;
    int result = yk_inspect(address, &ret->facts, &ret->participants, &ret->count);
    ret->at = yk_time_monotonic();
    return result;
}

void yk_look_fini(struct yk_look *look)
{
    free(look->participants);
}

static double per_second(uint64_t before, uint64_t after, int64_t ns)
{
    return after > before && ns > 0 ? (double)(after - before) * SECOND / (double)ns : 0;
}

struct yk_rates yk_rates_between(const struct yk_look *before, const struct yk_look *after)
{
    int64_t ns = after->at - before->at;

    return (struct yk_rates){per_second(before->facts.sent, after->facts.sent, ns),
                             per_second(before->facts.received, after->facts.received, ns), true};
}

struct yk_rates yk_rates_since_creation(const struct yk_look *look)
{
    int64_t ns = yk_time_real() - look->facts.created_ns;

    return (struct yk_rates){per_second(0, look->facts.sent, ns),
                             per_second(0, look->facts.received, ns), false};
}

static int add_look(const struct yk_object_facts *facts,
                    const struct yk_participant_facts *participants, size_t count, void *context)
{
    struct yk_looks *looks = context;
    struct yk_look *look;

    if (looks->count == looks->room) {
        looks->room = looks->room ? 2 * looks->room : 16;
        looks->all = yk_grow(looks->all, looks->room * sizeof *looks->all);
    }
    look = &looks->all[looks->count++];
    *look = (struct yk_look){.facts = *facts, .count = count, .at = yk_time_monotonic()};
    if (count > 0) {
        look->participants = yk_grow(NULL, count * sizeof *participants);
        memcpy(look->participants, participants, count * sizeof *participants);
    }
    return 0;
}

static int compare(const void *a, const void *b)
{
    const struct yk_look *first = a, *second = b;

    return yk_facts_compare(&first->facts, &second->facts);
}

int yk_looks_take(struct yk_looks *ret)
{
    struct yk_looks looks = {NULL, 0, 0};
    int result = yk_inspect_each(add_look, &looks);

    if (looks.count > 0)
        qsort(looks.all, looks.count, sizeof *looks.all, compare);
    if (result < 0)
        yk_looks_fini(&looks);
    else
        *ret = looks;
    return result;
}

void yk_looks_fini(struct yk_looks *looks)
{
    for (size_t i = 0; i < looks->count; i++)
        yk_look_fini(&looks->all[i]);
    free(looks->all);
    *looks = (struct yk_looks){NULL, 0, 0};
}

const struct yk_look *yk_looks_find(const struct yk_looks *looks, const struct yk_look *like)
{
    const struct yk_look *found =
        looks->count == 0 ? NULL
                          : bsearch(like, looks->all, looks->count, sizeof *looks->all, compare);
    bool same = found && found->facts.created_ns == like->facts.created_ns &&
                found->facts.segment == like->facts.segment;

    return same ? found : NULL;
}

bool yk_look_pause(int64_t ns)
{
    int64_t end = yk_time_monotonic() + ns;
    struct timespec until = {end / (int64_t)SECOND, end % (int64_t)SECOND};

    while (!yk_stop_signal())
        if (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == 0)
            return true;
    return false;
}
