/*
 * stat.c - yoke stat: one object and who uses it, once or again and again.
 */
#include "stat.h"
#include "cli.h"
#include "facts.h"
#include "held.h"
#include "json.h"
#include "latency.h"
#include "link.h"
#include "look.h"
#include "options.h"
#include "output.h"
#include "stop.h"
#include "survey_of.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yoke.h>

#define SECOND 1000000000ll

static const struct yk_usage usage = {
    "stat",
    "Usage: yoke stat ADDRESS [OPTION...]\n"
    "       yoke stat --openmetrics | --talks [OPTION...] [ADDRESS...]\n"
    "Shows one object and the processes that take part in it: pid and command as they\n"
    "gave them ('?': the pid is not proven), state (T: stopped), what their threads\n"
    "wait for, messages sent, received and held (borrowed), and which those are; of a\n"
    "link each way, too; of a stream bytes, and held is 1 in the midst of a copy.\n\n"
    "  --interval T   look twice, T apart: rates, and how long what is held\n"
    "  --watch [T]    go on: a line for each interval (1s) until a signal comes\n"
    "  --latency      watch some messages for an interval (1s): how long they wait\n"
    "  --openmetrics  of these objects, or of all: for Prometheus\n"
    "  --talks        who sends to what, and what is received by whom\n"
    "  --dot          with --talks: for graphviz\n"
    "  --output FILE  with these: write the file as a whole, or not at all\n"
    "  --place P      with these: all of that place (nats://HOST:PORT…)\n"
    "  --json         an object; with --watch one a line\n"
    "  --as NAME      of link:OTHER: the one of NAME; the same as link:NAME/OTHER\n"
    "\n"
    "Without --interval the rates are those since the port was created.\n"
    "\n"
    "Example:\n"
    "  yoke stat port:jobs --watch\n",
};

enum {
    INTERVAL = YK_OPTION_FIRST,
    WATCH,
    LATENCY,
    OPENMETRICS,
    TALKS,
    DOT,
    OUTPUT,
    PLACE,
    JSON,
    AS
};

static const struct option options[] = {
    {"interval", required_argument, NULL, INTERVAL},
    {"watch", optional_argument, NULL, WATCH},
    {"latency", no_argument, NULL, LATENCY},
    {"openmetrics", no_argument, NULL, OPENMETRICS},
    {"talks", no_argument, NULL, TALKS},
    {"dot", no_argument, NULL, DOT},
    {"output", required_argument, NULL, OUTPUT},
    {"place", required_argument, NULL, PLACE},
    {"json", no_argument, NULL, JSON},
    {"as", required_argument, NULL, AS},
    YK_OPTION_END,
};

struct request {
    char link[YK_LINK_ADDRESS]; /* where `address` may lie */
    const char *address;
    int64_t interval; /* 0: none */
    bool watch, json, latency;
    struct yk_survey survey; /* of several objects, where that was asked for */
};

static void parse_option(struct request *request, int option, int argc, char **argv)
{
    switch (option) {
    case INTERVAL:
        request->interval = yk_parse_interval(&usage, "--interval", optarg);
        break;
    case WATCH:
        request->watch = true;
        request->interval =
            yk_parse_watch(&usage, argc, argv, request->interval ? request->interval : SECOND);
        break;
    case LATENCY:
        request->latency = true;
        break;
    case OPENMETRICS:
        request->survey.openmetrics = true;
        break;
    case TALKS:
        request->survey.talks = true;
        break;
    case DOT:
        request->survey.dot = true;
        break;
    case OUTPUT:
        request->survey.output = optarg;
        break;
    case PLACE:
        request->survey.place = optarg;
        break;
    case JSON:
        yk_json_require(&usage);
        request->json = true;
        break;
    }
}

static void check_combination(const struct request *request, int arguments)
{
    const struct yk_survey *survey = &request->survey;

    if (survey->openmetrics && (survey->talks || request->json))
        yk_usage_error(&usage, "stat: one of --openmetrics, --talks and --json is enough");
    if (survey->dot && (!survey->talks || request->json))
        yk_usage_error(&usage, "stat: --dot is for --talks, and instead of --json");
    if (survey->output && !survey->openmetrics && !survey->talks)
        yk_usage_error(&usage, "stat: --output is for --openmetrics and --talks");
    if (survey->place && ((!survey->openmetrics && !survey->talks) || arguments > 0))
        yk_usage_error(&usage,
                       "stat: --place is for --openmetrics and --talks of all that is there; an "
                       "address has its place behind '@'");
    if (request->latency && (survey->talks || (survey->openmetrics && arguments != 1)))
        yk_usage_error(&usage, "stat: --latency is for one object");
}

static void parse(struct request *request, int argc, char **argv)
{
    struct yk_survey *survey = &request->survey;
    const char *as = NULL;
    int option;

    while ((option = yk_option_next(&usage, argc, argv, ":h", options)) >= 0) {
        if (option == AS)
            as = optarg;
        parse_option(request, option, argc, argv);
    }
    if (!survey->openmetrics && !survey->talks)
        yk_arguments_check(&usage, argc, 1, 1, "ADDRESS");
    check_combination(request, argc - optind);
    if (argc - optind == 1)
        argv[optind] = (char *)yk_link_whole(&usage, request->link, argv[optind], as);
    else if (as)
        yk_usage_error(&usage, "stat: --as is for one address");
    request->address = argv[optind];
    if (request->latency && request->interval == 0)
        request->interval = SECOND;
    survey->addresses = argv + optind;
    survey->count = (size_t)(argc - optind);
    survey->interval = request->interval;
    survey->watch = request->watch;
    survey->json = request->json;
    survey->latency = request->latency;
}

/* ---- for people ------------------------------------------------------------------------------ */

static void print_owner(const struct yk_object_facts *facts)
{
    char user[YK_OWNER_TEXT], group[YK_OWNER_TEXT];

    printf("owner         %s, group %s", yk_format_user(user, facts->uid),
           yk_format_group(group, facts->gid));
    if (facts->known & YK_KNOWN_MEMORY)
        printf(", mode %04" PRIo32, facts->mode);
    putchar('\n');
}

/* How servers keep it, and which promises are others there. */
static void print_far(const struct yk_object_facts *facts)
{
    const struct yk_far_facts *far = &facts->far;
    char size[YK_SIZE_TEXT], time[YK_AGE_TEXT];

    if (!(facts->known & YK_KNOWN_MEMORY))
        return;
    printf("stored        %s %s, %" PRIu32 " %s", yk_format_size(size, facts->memory_used),
           far->disk ? "on disk" : "in the servers' memory", far->replicas,
           yk_plural(far->replicas, "replica", "replicas"));
    if (far->cluster && far->behind > 0)
        printf(", %" PRIu32 " of them not up to date", far->behind);
    if (far->cluster)
        printf(", led by %s\n", far->server[0] ? far->server : "no server now");
    else
        printf(" on the only server\n");
    if (strcmp(facts->kind, "signals") == 0) {
        printf("a death       is noticed when its owner was silent for %s\n",
               yk_format_duration(time, far->lease_ns));
        return;
    }
    if (yk_facts_is_port(facts))
        printf(
            "order         first in, first out, but for what is delivered again: that loses its place\n");
    printf("a death       is noticed when a receiver was silent for %s",
           yk_format_duration(time, far->silence_ns));
    if (far->lease_ns > 0)
        printf(", a participant for %s", yk_format_duration(time, far->lease_ns));
    putchar('\n');
}

static void print_memory(const struct yk_object_facts *facts)
{
    char used[YK_SIZE_TEXT], mapped[YK_SIZE_TEXT];

    if (yk_facts_is_far(facts)) {
        print_far(facts);
        return;
    }
    if (facts->place[0] != '\0') {
        if ((facts->known & YK_KNOWN_MEMORY) && facts->memory_used > 0)
            printf("queue         %s of RLIMIT_MSGQUEUE\n",
                   yk_format_size(used, facts->memory_used));
        return;
    }
    printf("memory        ");
    if (facts->known & YK_KNOWN_MEMORY)
        printf("%s in use, %s mapped, ", yk_format_size(used, facts->memory_used),
               yk_format_size(mapped, facts->memory_mapped));
    printf("segment %d", facts->segment);
    if (facts->known & YK_KNOWN_MEMORY)
        printf(", %" PRIu32 " %s", facts->attached,
               yk_plural(facts->attached, "attachment", "attachments"));
    putchar('\n');
}

/* What could not be had is left out: a line that guesses would be believed. */
static void print_common(const struct yk_object_facts *facts)
{
    char address[YK_ADDRESS_TEXT], age[YK_AGE_TEXT];

    printf("address       %s\n", yk_facts_address(address, facts));
    if (facts->known & YK_KNOWN_NAME)
        printf("life          %s%s\n",
               facts->kept ? "kept until it is removed" : "transient: goes with its last user",
               facts->removed ? "; removed, still in use" : "");
    if (facts->known & YK_KNOWN_OWNER)
        print_owner(facts);
    if (facts->known & YK_KNOWN_HEADER)
        printf("age           %s", yk_format_age(age, facts->created_ns));
    if ((facts->known & YK_KNOWN_HEADER) && facts->creator > 0)
        printf(", created by process %" PRId32, facts->creator);
    if ((facts->known & YK_KNOWN_HEADER) && facts->far.host[0] != '\0')
        printf(" on %s", facts->far.host);
    if (facts->known & YK_KNOWN_HEADER)
        putchar('\n');
    if (facts->known & YK_KNOWN_NAME)
        print_memory(facts);
}

static void print_bytes(const char *what, uint64_t bytes, double rate, const struct yk_rates *rates)
{
    char size[YK_SIZE_TEXT], per_second[YK_SIZE_TEXT];

    printf("%-13s %s", what, yk_format_size(size, bytes));
    if (bytes >= 1024)
        printf(" (%" PRIu64 " bytes)", bytes);
    printf(", %s/s%s\n", yk_format_size(per_second, (uint64_t)rate),
           rates->measured ? "" : " on average");
}

/* A look for a message or for room, that was in vain. */
static void print_vain(const struct yk_object_facts *facts)
{
    printf("found empty   %" PRIu64 " %s; full: %" PRIu64 "\n", facts->empty,
           yk_plural(facts->empty, "time", "times"), facts->full);
}

static void print_messages(const struct yk_object_facts *facts, const struct yk_rates *rates)
{
    const char *span = rates->measured ? "" : " on average";
    char size[YK_SIZE_TEXT], in[YK_RATE_TEXT], out[YK_RATE_TEXT];

    printf("room          %" PRIu32 " %s%s, %" PRIu32 " %s, %s bytes each at most\n", facts->depth,
           yk_plural(facts->depth, "message", "messages"),
           yk_facts_is_link(facts) ? " each way" : "", facts->priorities,
           yk_plural(facts->priorities, "priority", "priorities"),
           yk_format_size_exact(size, facts->max_message));
    if (!(facts->known & YK_KNOWN_TRAFFIC)) {
        printf("policy        once: what a dead receiver had is gone\n");
        if (yk_facts_has_count(facts))
            printf("messages      %" PRIu64 " waiting\n", facts->waiting);
        return;
    }
    if (!yk_facts_is_port(facts) && !facts->once && facts->max_deliveries != UINT32_MAX)
        printf("policy        redeliver; dropped after %" PRIu32 " %s\n", facts->max_deliveries,
               yk_plural(facts->max_deliveries, "delivery", "deliveries"));
    else if (facts->once)
        printf("policy        once: what a dead receiver had is dropped\n");
    else if (facts->max_deliveries == UINT32_MAX)
        printf("policy        redeliver, however often\n");
    else
        printf("policy        redeliver; parked after %" PRIu32 " %s, at most %" PRIu32 "\n",
               facts->max_deliveries, yk_plural(facts->max_deliveries, "delivery", "deliveries"),
               facts->max_parked);
    printf("messages      %" PRIu64 " waiting, %" PRIu64 " held, %" PRIu64 " parked\n",
           facts->waiting, facts->held, facts->parked);
    printf("sent          %" PRIu64 ", %s%s\n", facts->sent, yk_format_rate(in, rates->in), span);
    printf("received      %" PRIu64 ", %s%s\n", facts->received, yk_format_rate(out, rates->out),
           span);
    bool counts = (facts->known & YK_KNOWN_COUNTS) != 0;
    if (counts && yk_facts_is_port(facts)) {
        print_bytes("bytes in", facts->bytes_sent, rates->bytes_in, rates);
        print_bytes("bytes out", facts->bytes_received, rates->bytes_out, rates);
    }
    if (counts)
        print_vain(facts);
    printf("redelivered   %" PRIu64 "\n", facts->redelivered);
    if (counts)
        printf("dropped       %" PRIu64 "\n", facts->dropped);
}

static void print_stream(const struct yk_object_facts *facts, const struct yk_rates *rates)
{
    char capacity[YK_SIZE_TEXT], waiting[YK_SIZE_TEXT];

    printf("capacity      %s\n", yk_format_size_exact(capacity, facts->capacity));
    if (facts->place[0] != '\0')
        printf("users         %s\n", facts->participants_used ? "one or more" : "none");
    if (!(facts->known & YK_KNOWN_INSIDE))
        return;
    printf("waiting       %s (%" PRIu64 " bytes)\n", yk_format_size(waiting, facts->waiting),
           facts->waiting);
    print_bytes("written", facts->sent, rates->in, rates);
    print_bytes("read", facts->received, rates->out, rates);
    print_vain(facts);
    printf("ends          %" PRIu32 " %s, %" PRIu32 " %s\n", facts->writers,
           yk_plural(facts->writers, "writer", "writers"), facts->readers,
           yk_plural(facts->readers, "reader", "readers"));
}

static void add_number(struct yk_table *table, bool known, uint64_t number)
{
    if (known)
        yk_table_add(table, "%" PRIu64, number);
    else
        yk_table_add(table, "-");
}

/* Of a link: what is on the way to either end. */
static void print_ways(const struct yk_object_facts *facts)
{
    static const struct yk_column columns[] = {
        {"FROM", false}, {"TO", false},  {"DEPTH", true}, {"WAITING", true},
        {"HELD", true},  {"SIZE", true}, {"SENT", true},  {"RECEIVED", true},
    };
    bool traffic = yk_facts_has_traffic(facts); /* the kernel counts only what waits */
    struct yk_table table;

    putchar('\n');
    yk_table_init(&table, columns, sizeof columns / sizeof columns[0]);
    for (int way = 0; way < 2; way++) {
        const struct yk_way_facts *one = &facts->ways[way];
        char size[YK_SIZE_TEXT];
        struct yk_ends ends;

        yk_facts_ends(facts, way, &ends);
        yk_table_add(&table, "%s", ends.from);
        yk_table_add(&table, "%s", ends.to);
        yk_table_add(&table, "%" PRIu32, facts->depth);
        yk_table_add(&table, "%" PRIu64, one->waiting);
        add_number(&table, traffic, one->held);
        yk_table_add(&table, "%s", traffic ? yk_format_size(size, one->bytes) : "-");
        add_number(&table, traffic, one->sent);
        add_number(&table, traffic, one->received);
    }
    yk_table_print(&table);
    yk_table_fini(&table);
}

/* Of a peer: who it is. */
static void print_process(const struct yk_look *sample)
{
    for (size_t i = 0; i < sample->count; i++) {
        const struct yk_participant_facts *one = &sample->participants[i];

        if (one->alive)
            printf("process       %" PRId32 "%s (%.16s)\n", one->pid, one->proven ? "" : "?",
                   one->command);
    }
}

/* Of a peer: where it takes signals. */
static void print_inbox(const struct yk_object_facts *peer)
{
    struct yk_object_facts inbox;
    char address[YK_ADDRESS_TEXT];

    if (yk_inspect_inbox(peer->name, &inbox) < 0) {
        printf("signals       none taken\n");
        return;
    }
    printf("signals       %s", yk_facts_address(address, &inbox));
    if (yk_facts_has_count(&inbox))
        printf(", %" PRIu64 " of %" PRIu32 " waiting", inbox.waiting, inbox.depth);
    putchar('\n');
}

static void add_waits(struct yk_table *table, const struct yk_participant_facts *participant)
{
    if (participant->waiting_receive && participant->waiting_send)
        yk_table_add(table, "both");
    else if (participant->waiting_receive)
        yk_table_add(table, "receive %" PRIu32, participant->waiting_receive);
    else if (participant->waiting_send)
        yk_table_add(table, "send %" PRIu32, participant->waiting_send);
    else
        yk_table_add(table, "-");
}

static void add_participant(struct yk_table *table, const struct yk_participant_facts *participant,
                            bool traffic)
{
    char age[YK_AGE_TEXT];

    yk_table_add(table, "%" PRIu32, participant->slot);
    yk_table_add(table, "%" PRId32 "%s", participant->pid, participant->proven ? "" : "?");
    yk_table_add(table, "%.16s", participant->command);
    yk_table_add(table, "%" PRIu32, participant->uid);
    if (participant->alive)
        yk_table_add(table, "%c", participant->state);
    else
        yk_table_add(table, "dead");
    yk_table_add(table, "%s",
                 participant->joined_ns > 0 ? yk_format_age(age, (int64_t)participant->joined_ns)
                                            : "-");
    if (!traffic)
        return;
    add_waits(table, participant);
    yk_table_add(table, "%" PRIu64, participant->sent);
    yk_table_add(table, "%" PRIu64, participant->received);
    yk_table_add(table, "%" PRIu32, participant->held);
}

/* Of a place across machines: as they said themselves. */
static void print_far_participants(const struct yk_look *sample)
{
    static const struct yk_column columns[] = {
        {"HOST", false}, {"PID", true},  {"COMMAND", false}, {"UID", true},
        {"AGE", true},   {"SENT", true}, {"RECEIVED", true}, {"HELD", true},
    };
    char age[YK_AGE_TEXT];
    struct yk_table table;

    printf("participants  %" PRIu32 "; %" PRIu32 " %s to receive\n",
           sample->facts.participants_used, sample->facts.far.receivers,
           yk_plural(sample->facts.far.receivers, "call waits", "calls wait"));
    if (sample->count == 0)
        return;
    putchar('\n');
    yk_table_init(&table, columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < sample->count; i++) {
        const struct yk_participant_facts *one = &sample->participants[i];

        yk_table_add(&table, "%s", one->host);
        yk_table_add(&table, "%" PRId32, one->pid);
        yk_table_add(&table, "%.16s", one->command);
        yk_table_add(&table, "%" PRIu32, one->uid);
        yk_table_add(&table, "%s", yk_format_age(age, (int64_t)one->joined_ns));
        yk_table_add(&table, "%" PRIu64, one->sent);
        yk_table_add(&table, "%" PRIu64, one->received);
        yk_table_add(&table, "%" PRIu32, one->held);
    }
    yk_table_print(&table);
    yk_table_fini(&table);
}

static void print_participants(const struct yk_look *sample)
{
    static const struct yk_column columns[] = {
        {"SLOT", true}, {"PID", true},    {"COMMAND", false}, {"UID", true},      {"STATE", false},
        {"AGE", true},  {"WAITS", false}, {"SENT", true},     {"RECEIVED", true}, {"HELD", true},
    };
    const size_t for_all = 6; /* of these columns; the rest is for what carries messages */
    bool traffic = yk_facts_has_traffic(&sample->facts) || yk_facts_is_stream(&sample->facts);
    struct yk_table table;

    printf("participants  %" PRIu32 " of %" PRIu32 "\n", sample->facts.participants_used,
           sample->facts.participants_max);
    if (sample->count == 0)
        return;
    putchar('\n');
    yk_table_init(&table, columns, traffic ? sizeof columns / sizeof columns[0] : for_all);
    for (size_t i = 0; i < sample->count; i++)
        add_participant(&table, &sample->participants[i], traffic);
    yk_table_print(&table);
    yk_table_fini(&table);
}

void yk_stat_print(const struct yk_look *sample, const struct yk_rates *rates)
{
    const struct yk_object_facts *facts = &sample->facts;
    char size[YK_SIZE_TEXT];

    print_common(facts);
    if ((facts->known & YK_KNOWN_HEADER) && strcmp(facts->kind, "region") == 0)
        printf("size          %s (%" PRIu64 " bytes)\n", yk_format_size(size, facts->region_size),
               facts->region_size);
    if ((facts->known & YK_KNOWN_HEADER) && yk_facts_is_stream(facts))
        print_stream(facts, rates);
    if (!(facts->known & YK_KNOWN_INSIDE))
        return;
    if (yk_facts_has_messages(facts))
        print_messages(facts, rates);
    if (yk_facts_is_peer(facts)) {
        print_process(sample);
        print_inbox(facts);
    }
    (yk_facts_is_far(facts) ? print_far_participants : print_participants)(sample);
    if (yk_facts_is_link(facts))
        print_ways(facts);
}

/* ---- for programs ---------------------------------------------------------------------------- */

static yk_json *to_json(const struct yk_look *sample, const struct yk_rates *rates)
{
    yk_json *object = yk_facts_json(&sample->facts);
    struct yk_object_facts inbox;

    if (!(sample->facts.known & YK_KNOWN_INSIDE))
        return object;
    yk_rates_add_json(object, &sample->facts, rates);
    if (yk_facts_is_stream(&sample->facts)) {
        yk_json_unsigned(object, "readers", sample->facts.readers);
        yk_json_unsigned(object, "writers", sample->facts.writers);
    }
    for (size_t i = 0; i < sample->count && yk_facts_is_peer(&sample->facts); i++)
        if (sample->participants[i].alive)
            yk_json_signed(object, "pid", sample->participants[i].pid);
    if (yk_facts_is_peer(&sample->facts) && yk_inspect_inbox(sample->facts.name, &inbox) == 0)
        yk_facts_add_inbox(object, &inbox);
    yk_json_add(object, "participants",
                yk_participants_json(&sample->facts, sample->participants, sample->count));
    return object;
}

/* ---- once, twice, or again and again --------------------------------------------------------- */

/* What is looked at besides, and kept from look to look. */
struct watched {
    struct yk_look look; /* the last one */
    struct yk_held_list held;
    struct yk_latency *latency; /* of the last interval; NULL: was not measured */
    struct yk_latency_watch *watch;
};

static int complain_of_problem(const struct yk_look *sample)
{
    char address[YK_ADDRESS_TEXT];

    if (sample->facts.problem[0] == '\0')
        return YK_DONE;
    yk_complain("%s: %s", yk_facts_address(address, &sample->facts), sample->facts.problem);
    return YK_FAILED;
}

static yk_json *watched_json(const struct watched *watched, const struct yk_rates *rates)
{
    yk_json *object = to_json(&watched->look, rates);

    if (yk_facts_has_traffic(&watched->look.facts) && !yk_facts_is_far(&watched->look.facts))
        yk_json_add(object, "holding", yk_held_json(&watched->held, watched->look.at));
    if (watched->latency)
        yk_json_add(object, "latency", yk_latency_json(watched->latency));
    return object;
}

static int print_sample(const struct request *request, const struct watched *watched,
                        const struct yk_rates *rates)
{
    if (request->json) {
        yk_json_print(watched_json(watched, rates));
    } else {
        yk_stat_print(&watched->look, rates);
        yk_held_print(&watched->held, watched->look.at);
        if (watched->latency)
            putchar('\n');
        if (watched->latency)
            yk_latency_print(watched->latency);
    }
    return complain_of_problem(&watched->look);
}

static void print_number(bool known, int width, uint64_t number)
{
    if (known)
        printf(" %*" PRIu64, width, number);
    else
        printf(" %*s", width, "-");
}

static void print_line(const struct watched *watched, const struct yk_rates *rates)
{
    const struct yk_object_facts *facts = &watched->look.facts;
    bool traffic = (facts->known & YK_KNOWN_TRAFFIC) != 0;
    char in[YK_RATE_TEXT], out[YK_RATE_TEXT], half[YK_TIME_TEXT], most[YK_TIME_TEXT];
    bool timed = watched->latency && watched->latency->at_most.total > 0;

    printf("%12s %12s", traffic ? yk_format_rate(in, rates->in) : "-",
           traffic ? yk_format_rate(out, rates->out) : "-");
    print_number(traffic || yk_facts_has_count(facts), 9, facts->waiting);
    print_number(traffic, 9, facts->held);
    print_number(traffic, 8, facts->parked);
    printf(" %6" PRIu32 " %7s %7s\n", facts->participants_used,
           timed ? yk_format_time(half, yk_times_percentile(&watched->latency->at_most, 50)) : "-",
           timed ? yk_format_time(most, yk_times_percentile(&watched->latency->at_most, 99)) : "-");
}

static int print_watched(const struct request *request, const struct watched *watched,
                         const struct yk_rates *rates)
{
    if (request->json)
        yk_json_print_line(watched_json(watched, rates));
    else
        print_line(watched, rates);
    if (!request->json && request->latency && watched->latency)
        yk_latency_print(watched->latency);
    return yk_flush_output() < 0 ? YK_FAILED : complain_of_problem(&watched->look);
}

/* The time between two looks, in which messages are watched if that was asked for, and can be. */
static int pass_interval(const struct request *request, struct watched *watched)
{
    bool stopped;
    int result = -ENOTSUP;

    free(watched->latency);
    watched->latency = NULL;
    if (request->latency || (request->watch && !yk_facts_is_far(&watched->look.facts))) {
        struct yk_latency *latency = yk_grow(NULL, sizeof *latency);
        memset(latency, 0, sizeof *latency);
        result = yk_latency_watch(&watched->watch, latency, request->address, request->interval,
                                  &stopped);
        if (result == 0)
            watched->latency = latency;
        else
            free(latency);
    }
    if (result < 0 && request->latency)
        return yk_report_on(request->address, result);
    if (result < 0)
        stopped = !yk_look_pause(request->interval);
    return stopped ? YK_STOPPED : YK_DONE;
}

/* Servers do not tell it. */
static void look_who_holds(struct watched *watched, const char *address)
{
    if (yk_facts_has_traffic(&watched->look.facts) && !yk_facts_is_far(&watched->look.facts))
        yk_held_look(&watched->held, address, watched->look.at);
}

/* Waits, looks again and prints; `watched` is then the newer one. */
static int next_sample(const struct request *request, struct watched *watched)
{
    struct yk_look newer;
    struct yk_rates rates;
    int result = pass_interval(request, watched);

    if (result != YK_DONE)
        return result;
    result = yk_look_at(&newer, request->address);
    if (result < 0)
        return yk_report_on(request->address, result);
    rates = yk_rates_between(&watched->look, &newer);
    yk_look_fini(&watched->look);
    watched->look = newer;
    look_who_holds(watched, request->address);
    return request->watch ? print_watched(request, watched, &rates)
                          : print_sample(request, watched, &rates);
}

static int show(const struct request *request, struct watched *watched)
{
    struct yk_rates rates = yk_rates_since_creation(&watched->look);
    int status;

    look_who_holds(watched, request->address);
    if (request->interval == 0)
        return print_sample(request, watched, &rates);
    if (request->watch && !request->json)
        printf("%12s %12s %9s %9s %8s %6s %7s %7s\n", "SENT", "RECEIVED", "WAITING", "HELD",
               "PARKED", "USERS", "P50", "P99");
    do
        status = next_sample(request, watched);
    while (request->watch && status == YK_DONE);
    return status;
}

int yk_stat_main(int argc, char **argv)
{
    struct request request = {0};
    struct watched watched = {0};
    int result, status;

    parse(&request, argc, argv);
    if (request.interval)
        yk_stop_install();
    if (request.survey.openmetrics || request.survey.talks)
        return yk_survey_of(&request.survey);
    result = yk_look_at(&watched.look, request.address);
    if (result < 0)
        return yk_report_on(request.address, result);
    status = show(&request, &watched);
    yk_look_fini(&watched.look);
    yk_held_fini(&watched.held);
    free(watched.latency);
    yk_latency_end(watched.watch);
    return status;
}
