/*
 * openmetrics.c - see openmetrics.h.
 *
 * Each family stands together, and in it a line for each object that has that fact: a table of
 * families, each with the function that says whether an object has it, and what it is. Types are
 * those that the older text format of Prometheus knows, too (counter, gauge, histogram).
 */
#include "openmetrics.h"

#include "facts.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define SECOND 1e9

struct family {
    const char *name, *type, *unit, *help; /* a name ends in its unit, if it has one */
    bool (*value)(const struct yk_look *look, double *ret);
};

/* ---- what there is to tell of an object ------------------------------------------------------- */

static bool is_known(const struct yk_look *look, uint32_t what)
{
    return (look->facts.known & what) != 0;
}

static bool has_bytes(const struct yk_look *look) /* that are counted */
{
    return is_known(look, YK_KNOWN_COUNTS) && yk_facts_is_port(&look->facts);
}

static bool is_open_stream(const struct yk_look *look)
{
    return yk_facts_is_stream(&look->facts) && is_known(look, YK_KNOWN_INSIDE);
}

#define VALUE(name, condition, what)                          \
    static bool name(const struct yk_look *look, double *ret) \
    {                                                         \
        const struct yk_object_facts *facts = &look->facts;   \
        *ret = (double)(what);                                \
        return (condition);                                   \
    }

VALUE(is_readable, true, facts->problem[0] == '\0')
VALUE(created, is_known(look, YK_KNOWN_HEADER), (double)facts->created_ns / SECOND)
VALUE(sent, yk_facts_has_traffic(facts), facts->sent)
VALUE(received, yk_facts_has_traffic(facts), facts->received)
VALUE(redelivered, yk_facts_has_traffic(facts), facts->redelivered)
VALUE(dropped, yk_facts_has_traffic(facts) && is_known(look, YK_KNOWN_COUNTS), facts->dropped)
VALUE(waiting, yk_facts_has_count(facts), facts->waiting)
VALUE(held, yk_facts_has_traffic(facts), facts->held)
VALUE(parked, is_known(look, YK_KNOWN_TRAFFIC) && yk_facts_is_port(facts), facts->parked)
VALUE(depth, yk_facts_has_messages(facts) && is_known(look, YK_KNOWN_INSIDE), facts->depth)
VALUE(bytes_sent, has_bytes(look) || is_open_stream(look),
      is_open_stream(look) ? facts->sent : facts->bytes_sent)
VALUE(bytes_received, has_bytes(look) || is_open_stream(look),
      is_open_stream(look) ? facts->received : facts->bytes_received)
VALUE(bytes_waiting, is_open_stream(look), facts->waiting)
VALUE(capacity, yk_facts_is_stream(facts) && is_known(look, YK_KNOWN_HEADER), facts->capacity)
VALUE(empty,
      is_known(look, YK_KNOWN_COUNTS) && facts->participants_max > 0 &&
          (yk_facts_has_traffic(facts) || is_open_stream(look)),
      facts->empty)
VALUE(full,
      is_known(look, YK_KNOWN_COUNTS) && facts->participants_max > 0 &&
          (yk_facts_has_traffic(facts) || is_open_stream(look)),
      facts->full)
VALUE(participants, is_known(look, YK_KNOWN_INSIDE), facts->participants_used)
VALUE(participants_max, is_known(look, YK_KNOWN_HEADER) && facts->participants_max > 0,
      facts->participants_max)
VALUE(stored, is_known(look, YK_KNOWN_MEMORY) && yk_facts_is_far(facts), facts->memory_used)
VALUE(replicas, is_known(look, YK_KNOWN_INSIDE) && yk_facts_is_far(facts), facts->far.replicas)
VALUE(behind, is_known(look, YK_KNOWN_INSIDE) && facts->far.cluster, facts->far.behind)
VALUE(resident, is_known(look, YK_KNOWN_MEMORY) && facts->place[0] == '\0', facts->memory_used)
VALUE(mapped, is_known(look, YK_KNOWN_MEMORY) && facts->place[0] == '\0', facts->memory_mapped)

/* Threads of the living ones that wait now. */
static double waiting_threads(const struct yk_look *look, bool to_send)
{
    double count = 0;

    for (size_t i = 0; i < look->count; i++) {
        const struct yk_participant_facts *one = &look->participants[i];
        if (one->alive)
            count += to_send ? one->waiting_send : one->waiting_receive;
    }
    return count;
}

static bool has_waiters(const struct yk_look *look)
{
    return yk_facts_has_traffic(&look->facts) || is_open_stream(look);
}

static bool receivers(const struct yk_look *look, double *ret)
{
    *ret = waiting_threads(look, false) + look->facts.far.receivers;
    return has_waiters(look);
}

static bool senders(const struct yk_look *look, double *ret)
{
    *ret = waiting_threads(look, true);
    return has_waiters(look) && !yk_facts_is_far(&look->facts);
}

static bool stopped(const struct yk_look *look, double *ret)
{
    *ret = 0;
    for (size_t i = 0; i < look->count; i++)
        *ret += look->participants[i].alive && look->participants[i].state == 'T';
    return is_known(look, YK_KNOWN_INSIDE) && !yk_facts_is_far(&look->facts);
}

/* clang-format off */
static const struct family families[] = {
    {"yoke_readable", "gauge", "", "Whether the object could be looked at (1) or not (0).", is_readable},
    {"yoke_created_seconds", "gauge", "seconds", "When the object was created, since 1970.", created},
    {"yoke_sent_messages", "counter", "messages", "Messages sent, since the object was created.", sent},
    {"yoke_received_messages", "counter", "messages",
     "Messages received and acknowledged, since the object was created.", received},
    {"yoke_redelivered_messages", "counter", "messages",
     "Messages given back, by their receiver or because it died, to be delivered again.", redelivered},
    {"yoke_dropped_messages", "counter", "messages",
     "Messages dropped, as the object's policy has it.", dropped},
    {"yoke_sent_bytes", "counter", "bytes",
     "Bytes of the messages sent; of a stream bytes written.", bytes_sent},
    {"yoke_received_bytes", "counter", "bytes",
     "Bytes of the messages received; of a stream bytes read.", bytes_received},
    {"yoke_found_empty", "counter", "",
     "Calls that found nothing to receive, and waited or went away.", empty},
    {"yoke_found_full", "counter", "",
     "Calls that found no room to send, and waited or went away.", full},
    {"yoke_waiting_messages", "gauge", "messages", "Messages waiting to be received.", waiting},
    {"yoke_held_messages", "gauge", "messages", "Messages borrowed now.", held},
    {"yoke_parked_messages", "gauge", "messages", "Messages parked: delivered too often.", parked},
    {"yoke_depth_messages", "gauge", "messages",
     "How many messages may wait, in each priority or each way.", depth},
    {"yoke_waiting_bytes", "gauge", "bytes", "Bytes in a stream.", bytes_waiting},
    {"yoke_capacity_bytes", "gauge", "bytes", "How many bytes a stream may hold.", capacity},
    {"yoke_participants", "gauge", "", "Living processes' handles on the object.", participants},
    {"yoke_participants_max", "gauge", "", "How many there may be.", participants_max},
    {"yoke_stopped_participants", "gauge", "", "Those whose process is stopped.", stopped},
    {"yoke_waiting_receivers", "gauge", "", "Threads that wait to receive.", receivers},
    {"yoke_waiting_senders", "gauge", "", "Threads that wait for room to send.", senders},
    {"yoke_memory_resident_bytes", "gauge", "bytes",
     "Memory that is really there, what was swapped out included.", resident},
    {"yoke_memory_mapped_bytes", "gauge", "bytes", "Address space of the object.", mapped},
    {"yoke_stored_bytes", "gauge", "bytes", "Bytes that servers store, one replica of them.", stored},
    {"yoke_replicas", "gauge", "", "Servers that are to have it.", replicas},
    {"yoke_replicas_behind", "gauge", "", "Those of them that are away or not up to date.", behind},
};
/* clang-format on */

/* ---- writing it ------------------------------------------------------------------------------- */

/* Names are ASCII; what else may come is made so that no line can be broken. */
static void print_escaped(const char *text)
{
    for (; *text; text++) {
        if (*text == '\\' || *text == '"')
            printf("\\%c", *text);
        else if (*text == '\n')
            fputs("\\n", stdout);
        else
            putchar((unsigned char)*text < ' ' || (unsigned char)*text > '~' ? '?' : *text);
    }
}

static void print_labels(const struct yk_object_facts *facts, const char *more)
{
    char address[YK_ADDRESS_TEXT];

    fputs("{object=\"", stdout);
    print_escaped(yk_facts_address(address, facts));
    printf("\",kind=\"%s\",name=\"", facts->kind);
    print_escaped(facts->name);
    printf("\",place=\"%s\"%s}", facts->place[0] ? facts->place : "memory", more);
}

static void print_header(const struct family *family)
{
    printf("# TYPE %s %s\n", family->name, family->type);
    if (family->unit[0])
        printf("# UNIT %s %s\n", family->name, family->unit);
    printf("# HELP %s %s\n", family->name, family->help);
}

static void print_value(double value)
{
    if (fabs(value) < 1e15 && value == (double)(int64_t)value)
        printf(" %" PRId64 "\n", (int64_t)value);
    else
        printf(" %.9f\n", value);
}

static void print_family(const struct family *family, const struct yk_look *looks, size_t count)
{
    bool counter = strcmp(family->type, "counter") == 0, begun = false;
    double value;

    for (size_t i = 0; i < count; i++) {
        if (!family->value(&looks[i], &value))
            continue;
        if (!begun)
            print_header(family);
        begun = true;
        printf("%s%s", family->name, counter ? "_total" : "");
        print_labels(&looks[i].facts, "");
        print_value(value);
        if (!counter)
            continue;
        printf("%s_created", family->name);
        print_labels(&looks[i].facts, "");
        print_value((double)looks[i].facts.created_ns / SECOND);
    }
}

static void print_bucket(const struct yk_look *look, const char *name, int64_t edge, uint64_t count)
{
    char label[40];

    if (edge > 0)
        snprintf(label, sizeof label, ",le=\"%.12g\"", (double)edge / SECOND);
    else
        snprintf(label, sizeof label, ",le=\"+Inf\"");
    printf("%s_bucket", name);
    print_labels(&look->facts, label);
    print_value((double)count);
}

/* At the ends of its own buckets, where the counts are exact: 1.024 us, doubled up to 137 s. */
static void print_latency(const struct yk_look *look, const struct yk_latency *latency)
{
    static const struct family family = {
        "yoke_latency_seconds", "histogram", "seconds",
        "For how long messages that were watched waited at most until they were taken.", NULL};
    const struct yk_times *times = &latency->at_most;

    print_header(&family);
    for (int64_t edge = 1024; edge < INT64_C(200000000000); edge *= 2)
        print_bucket(look, family.name, edge, yk_times_until(times, edge));
    print_bucket(look, family.name, 0, times->total);
    printf("%s_count", family.name);
    print_labels(&look->facts, "");
    print_value((double)times->total);
    printf("%s_sum", family.name);
    print_labels(&look->facts, "");
    print_value((double)times->sum / SECOND);
}

void yk_openmetrics_print(const struct yk_look *looks, size_t count,
                          const struct yk_latency *latency)
{
    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++)
        print_family(&families[i], looks, count);
    if (latency && count == 1)
        print_latency(&looks[0], latency);
    puts("# EOF");
}
