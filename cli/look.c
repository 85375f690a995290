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
    ret->held_since = NULL;
    ret->count = 0;
    int result = yk_inspect(address, &ret->facts, &ret->participants, &ret->count);
    ret->at = yk_time_monotonic();
    return result;
}

void yk_look_fini(struct yk_look *look)
{
    free(look->participants);
    free(look->held_since);
}

bool yk_rates_are_known(const struct yk_object_facts *facts)
{
    return yk_facts_has_traffic(facts) ||
           (yk_facts_is_stream(facts) && (facts->known & YK_KNOWN_INSIDE));
}

void yk_rates_add_json(yk_json *object, const struct yk_object_facts *facts,
                       const struct yk_rates *rates)
{
    bool bytes = yk_facts_is_stream(facts);

    if (!yk_rates_are_known(facts))
        return;
    yk_json_real(object, bytes ? "written_per_second" : "sent_per_second", rates->in);
    yk_json_real(object, bytes ? "read_per_second" : "received_per_second", rates->out);
    yk_json_bool(object, "rates_measured", rates->measured);
}

static double per_second(uint64_t before, uint64_t after, int64_t ns)
{
    return after > before && ns > 0 ? (double)(after - before) * SECOND / (double)ns : 0;
}

static struct yk_rates make_rates(const struct yk_object_facts *before,
                                  const struct yk_object_facts *after, int64_t ns, bool measured)
{
    bool bytes = yk_facts_is_stream(after);
    double in = per_second(before->sent, after->sent, ns);
    double out = per_second(before->received, after->received, ns);

    if (yk_facts_is_port(after) && (after->known & YK_KNOWN_TRAFFIC))
        return (struct yk_rates){in, out, per_second(before->bytes_sent, after->bytes_sent, ns),
                                 per_second(before->bytes_received, after->bytes_received, ns),
                                 measured};
    return (struct yk_rates){in, out, bytes ? in : -1, bytes ? out : -1, measured};
}

struct yk_rates yk_rates_between(const struct yk_look *before, const struct yk_look *after)
{
    return make_rates(&before->facts, &after->facts, after->at - before->at, true);
}

struct yk_rates yk_rates_since_creation(const struct yk_look *look)
{
    static const struct yk_object_facts nothing;

    return make_rates(&nothing, &look->facts, yk_time_real() - look->facts.created_ns, false);
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

static const struct yk_participant_facts *find_participant(const struct yk_look *look,
                                                           const struct yk_participant_facts *like,
                                                           size_t *ret_index)
{
    for (size_t i = 0; look && i < look->count; i++)
        if (look->participants[i].slot == like->slot &&
            look->participants[i].joined_ns == like->joined_ns) {
            *ret_index = i;
            return &look->participants[i];
        }
    return NULL;
}

static void note_since(struct yk_look *look, const struct yk_look *before)
{
    look->held_since = yk_grow(NULL, look->count * sizeof *look->held_since);
    for (size_t i = 0; i < look->count; i++) {
        const struct yk_participant_facts *one = &look->participants[i];
        size_t index = 0;
        const struct yk_participant_facts *then = find_participant(before, one, &index);
        bool same = then && then->oldest == one->oldest && before->held_since;

        look->held_since[i] = same ? before->held_since[index] : look->at;
    }
}

int64_t yk_look_held_for(const struct yk_look *look)
{
    int64_t longest = -1;

    for (size_t i = 0; i < look->count; i++)
        if (look->participants[i].oldest != YK_NONE_HELD &&
            look->at - look->held_since[i] > longest)
            longest = look->at - look->held_since[i];
    return longest;
}

int yk_looks_take(struct yk_looks *ret, const char *place, const struct yk_looks *before,
                  bool participants)
{
    struct yk_looks looks = {NULL, 0, 0};
    int result = yk_inspect_place(place, participants, add_look, &looks);

    if (looks.count > 0)
        qsort(looks.all, looks.count, sizeof *looks.all, compare);
    for (size_t i = 0; i < looks.count; i++)
        if (looks.all[i].count > 0)
            note_since(&looks.all[i], yk_looks_find(before, &looks.all[i]));
    if (result < 0)
        yk_looks_fini(&looks);
    else
        *ret = looks;
    return result;
}

int yk_looks_add(struct yk_looks *looks, const char *address, const struct yk_looks *before)
{
    struct yk_look look;
    int result = yk_look_at(&look, address);

    if (result < 0)
        return result;
    if (yk_looks_find(looks, &look)) {
        yk_look_fini(&look);
        return 0;
    }
    if (look.count > 0)
        note_since(&look, yk_looks_find(before, &look));
    looks->all = yk_grow(looks->all, (looks->count + 1) * sizeof *looks->all);
    looks->all[looks->count++] = look;
    looks->room = looks->count;
    qsort(looks->all, looks->count, sizeof *looks->all, compare);
    return 0;
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
