/*
 * talks.c - see talks.h.
 *
 * Which message of a port went from whom to whom nobody counts: that would cost each of them. What
 * each process sent and received stands in its own slot, so an edge leads to an object, or from it. What
 * those did who are no longer there is the rest: all that went through, less what is known.
 */
#include "talks.h"

#include "facts.h"
#include "json.h"
#include "output.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yoke.h>

#define SECOND 1e9
#define LABEL  (YOKE_PEER_NAME_MAX + 40)

struct edge {
    const struct yk_look *look;
    const struct yk_participant_facts
        *one;                          /* NULL: those who are gone, or a peer that is not there */
    char peer[YOKE_PEER_NAME_MAX + 1]; /* "": none that is known */
    bool sends;
    uint64_t count, bytes; /* of streams only bytes, in `count`; of links `bytes` is not counted */
    double per_second;
    bool has_rate;
};

struct talks {
    const struct yk_looks *looks, *before;
    struct edge *edges; /* owned */
    size_t count, room;
};

/* ---- finding them ----------------------------------------------------------------------------- */

static void copy_name(char peer[YOKE_PEER_NAME_MAX + 1], const char *name)
{
    snprintf(peer, YOKE_PEER_NAME_MAX + 1, "%.*s", YOKE_PEER_NAME_MAX, name);
}

/* The name under which a process has joined; only one whose pid is proven is believed. */
static void find_peer(const struct yk_looks *looks, const struct yk_participant_facts *one,
                      char peer[YOKE_PEER_NAME_MAX + 1])
{
    peer[0] = '\0';
    for (size_t i = 0; i < looks->count && one->proven; i++) {
        const struct yk_look *look = &looks->all[i];
        if (!yk_facts_is_peer(&look->facts))
            continue;
        for (size_t k = 0; k < look->count; k++)
            if (look->participants[k].proven && look->participants[k].pid == one->pid)
                copy_name(peer, look->facts.name);
    }
}

static uint64_t count_of(const struct yk_participant_facts *one, bool sends)
{
    return sends ? one->sent : one->received;
}

static struct edge *add_edge(struct talks *talks, const struct edge *edge)
{
    if (talks->count == talks->room) {
        talks->room = talks->room ? 2 * talks->room : 64;
        talks->edges = yk_grow(talks->edges, talks->room * sizeof *talks->edges);
    }
    talks->edges[talks->count] = *edge;
    return &talks->edges[talks->count++];
}

/* By two looks, or on average since it joined. */
static void add_rate(const struct talks *talks, struct edge *edge)
{
    const struct yk_look *then = talks->before ? yk_looks_find(talks->before, edge->look) : NULL;
    int64_t age = yk_time_real() - (int64_t)edge->one->joined_ns;

    if (!talks->before && edge->one->joined_ns > 0 && age > 0) {
        edge->per_second = (double)edge->count * SECOND / (double)age;
        edge->has_rate = true;
    }
    for (size_t i = 0; then && i < then->count; i++) {
        const struct yk_participant_facts *was = &then->participants[i];
        uint64_t before = count_of(was, edge->sends);
        int64_t ns = edge->look->at - then->at;
        if (was->slot != edge->one->slot || was->joined_ns != edge->one->joined_ns || ns <= 0)
            continue;
        edge->has_rate = true;
        edge->per_second =
            edge->count > before ? (double)(edge->count - before) * SECOND / (double)ns : 0;
    }
}

/* Returns what went over it. */
static uint64_t add_participant(struct talks *talks, const struct yk_look *look,
                                const struct yk_participant_facts *one, bool sends)
{
    struct edge edge = {.look = look, .one = one, .sends = sends, .count = count_of(one, sends)};

    if (edge.count == 0)
        return 0;
    edge.bytes = sends ? one->bytes_sent : one->bytes_received;
    find_peer(talks->looks, one, edge.peer);
    add_rate(talks, add_edge(talks, &edge));
    return edge.count;
}

static void add_side(struct talks *talks, const struct yk_look *look, bool sends)
{
    uint64_t all = sends ? look->facts.sent : look->facts.received, known = 0;

    for (size_t i = 0; i < look->count; i++)
        known += add_participant(talks, look, &look->participants[i], sends);
    if (all > known)
        add_edge(talks, &(struct edge){.look = look, .sends = sends, .count = all - known});
}

/* The ends of a link go by their peers' names, there or not. */
static void add_end(struct talks *talks, const struct yk_look *look, int end, bool sends)
{
    const struct yk_way_facts *way = &look->facts.ways[sends ? end : 1 - end];
    struct edge edge = {.look = look, .sends = sends, .count = sends ? way->sent : way->received};
    struct yk_ends ends;

    if (edge.count == 0)
        return;
    yk_facts_ends(&look->facts, end, &ends);
    copy_name(edge.peer, ends.from);
    for (size_t i = 0; i < look->count; i++)
        if ((int)(look->participants[i].slot & 1) == end)
            edge.one = &look->participants[i];
    struct edge *added = add_edge(talks, &edge);
    if (added->one)
        add_rate(talks, added);
}

static void add_object(struct talks *talks, const struct yk_look *look)
{
    const struct yk_object_facts *facts = &look->facts;
    bool stream = yk_facts_is_stream(facts) && (facts->known & YK_KNOWN_INSIDE);

    if (!(facts->known & YK_KNOWN_TRAFFIC) || !(stream || yk_facts_has_messages(facts)))
        return;
    for (int sends = 1; sends >= 0; sends--) {
        if (!yk_facts_is_link(facts))
            add_side(talks, look, sends != 0);
        for (int end = 0; end < 2 && yk_facts_is_link(facts); end++)
            add_end(talks, look, end, sends != 0);
    }
}

/* ---- showing them ----------------------------------------------------------------------------- */

/* "alice", "worker(1234)", "worker(1234?)": not proven, "(gone)". */
static char *format_who(char text[LABEL], const struct edge *edge)
{
    if (edge->peer[0] != '\0')
        snprintf(text, LABEL, "%s", edge->peer);
    else if (edge->one)
        snprintf(text, LABEL, "%.15s(%" PRId32 "%s)", edge->one->command, edge->one->pid,
                 edge->one->proven ? "" : "?");
    else
        snprintf(text, LABEL, "(gone)");
    return text;
}

static bool is_in_bytes(const struct edge *edge)
{
    return yk_facts_is_stream(&edge->look->facts);
}

static bool has_bytes(const struct edge *edge)
{
    return edge->one && yk_facts_is_port(&edge->look->facts);
}

static void print_text(const struct talks *talks)
{
    static const struct yk_column columns[] = {
        {"FROM", false}, {"TO", false}, {"MESSAGES", true}, {"BYTES", true}, {"RATE", true},
    };
    struct yk_table table;

    yk_table_init(&table, columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < talks->count; i++) {
        const struct edge *edge = &talks->edges[i];
        char who[LABEL], address[YK_ADDRESS_TEXT], rate[YK_RATE_TEXT], size[YK_SIZE_TEXT];

        format_who(who, edge);
        yk_facts_address(address, &edge->look->facts);
        yk_table_add(&table, "%s", edge->sends ? who : address);
        yk_table_add(&table, "%s", edge->sends ? address : who);
        if (is_in_bytes(edge))
            yk_table_add(&table, "-");
        else
            yk_table_add(&table, "%" PRIu64, edge->count);
        if (is_in_bytes(edge) || has_bytes(edge))
            yk_table_add(&table, "%s",
                         yk_format_size(size, is_in_bytes(edge) ? edge->count : edge->bytes));
        else
            yk_table_add(&table, "-");
        if (!edge->has_rate)
            yk_table_add(&table, "-");
        else if (is_in_bytes(edge))
            yk_table_add(&table, "%s/s", yk_format_size(size, (uint64_t)edge->per_second));
        else
            yk_table_add(&table, "%s", yk_format_rate(rate, edge->per_second));
    }
    yk_table_print(&table);
    yk_table_fini(&table);
}

static yk_json *edge_json(const struct talks *talks, const struct edge *edge)
{
    yk_json *object = yk_json_object();
    char address[YK_ADDRESS_TEXT];

    yk_json_string(object, "object", yk_facts_address(address, &edge->look->facts));
    yk_json_string(object, "direction", edge->sends ? "sends" : "receives");
    if (edge->peer[0] != '\0')
        yk_json_string(object, "peer", edge->peer);
    if (edge->one) {
        yk_json_signed(object, "pid", edge->one->pid);
        yk_json_string(object, "command", edge->one->command);
        yk_json_bool(object, "proven", edge->one->proven);
    }
    yk_json_bool(object, "alive", edge->one && edge->one->alive);
    yk_json_unsigned(object, is_in_bytes(edge) ? "bytes" : "messages", edge->count);
    if (has_bytes(edge))
        yk_json_unsigned(object, "bytes", edge->bytes);
    if (edge->has_rate) {
        yk_json_real(object, "per_second", edge->per_second);
        yk_json_bool(object, "rate_measured", talks->before != NULL);
    }
    return object;
}

static void print_json(const struct talks *talks)
{
    yk_json *array = yk_json_array();

    for (size_t i = 0; i < talks->count; i++)
        yk_json_append(array, edge_json(talks, &talks->edges[i]));
    yk_json_print(array);
}

/* ---- for graphviz ----------------------------------------------------------------------------- */

static void print_quoted(const char *text)
{
    putchar('"');
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            putchar('\\');
        putchar((unsigned char)*text < ' ' || (unsigned char)*text > '~' ? '?' : *text);
    }
    putchar('"');
}

/* A process is one node, whatever it talks through; those who are gone are one for each object. */
static void print_node_name(const struct edge *edge)
{
    char name[LABEL + YK_ADDRESS_TEXT], who[LABEL], address[YK_ADDRESS_TEXT];

    format_who(who, edge);
    snprintf(name, sizeof name, "%s%s", who,
             edge->one || edge->peer[0] ? "" : yk_facts_address(address, &edge->look->facts));
    print_quoted(name);
}

static void print_dot_nodes(const struct edge *edge)
{
    char who[LABEL + 16], address[YK_ADDRESS_TEXT];
    bool there = edge->one && edge->one->alive;

    fputs("  ", stdout);
    print_quoted(yk_facts_address(address, &edge->look->facts));
    fputs(" [shape=box];\n  ", stdout);
    print_node_name(edge);
    fputs(" [label=", stdout);
    print_quoted(format_who(who, edge));
    printf("%s];\n", there ? "" : ", style=dashed");
}

static void print_dot_edge(const struct edge *edge)
{
    char address[YK_ADDRESS_TEXT], size[YK_SIZE_TEXT], rate[YK_RATE_TEXT];

    yk_facts_address(address, &edge->look->facts);
    fputs("  ", stdout);
    edge->sends ? print_node_name(edge) : print_quoted(address);
    fputs(" -> ", stdout);
    edge->sends ? print_quoted(address) : print_node_name(edge);
    if (is_in_bytes(edge))
        printf(" [label=\"%s", yk_format_size(size, edge->count));
    else
        printf(" [label=\"%" PRIu64, edge->count);
    if (edge->has_rate && is_in_bytes(edge))
        printf(", %s/s", yk_format_size(size, (uint64_t)edge->per_second));
    else if (edge->has_rate)
        printf(", %s", yk_format_rate(rate, edge->per_second));
    puts("\"];");
}

static void print_dot(const struct talks *talks)
{
    puts("digraph yoke {\n  rankdir=LR;");
    for (size_t i = 0; i < talks->count; i++)
        print_dot_nodes(&talks->edges[i]);
    for (size_t i = 0; i < talks->count; i++)
        print_dot_edge(&talks->edges[i]);
    puts("}");
}

void yk_talks_print(const struct yk_looks *looks, const struct yk_looks *before,
                    bool wanted(const struct yk_look *look, const void *context),
                    const void *context, enum yk_talks_form form)
{
    struct talks talks = {.looks = looks, .before = before};

    for (size_t i = 0; i < looks->count; i++)
        if (!wanted || wanted(&looks->all[i], context))
            add_object(&talks, &looks->all[i]);
    if (form == YK_TALKS_JSON)
        print_json(&talks);
    else if (form == YK_TALKS_DOT)
        print_dot(&talks);
    else
        print_text(&talks);
    free(talks.edges);
}
