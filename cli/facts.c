/*
 * facts.c - what yk_inspect() tells of an object, as address and as JSON.
 */
#include "facts.h"

#include "output.h"

#include <stdio.h>
#include <string.h>

#define SECOND 1e9

bool yk_facts_is_port(const struct yk_object_facts *facts)
{
    return strcmp(facts->kind, "port") == 0 || strcmp(facts->kind, "signals") == 0;
}

bool yk_facts_is_stream(const struct yk_object_facts *facts)
{
    return strcmp(facts->kind, "stream") == 0;
}

bool yk_facts_has_messages(const struct yk_object_facts *facts)
{
    return yk_facts_is_port(facts) || yk_facts_is_link(facts);
}

bool yk_facts_is_link(const struct yk_object_facts *facts)
{
    return strcmp(facts->kind, "link") == 0;
}

bool yk_facts_is_peer(const struct yk_object_facts *facts)
{
    return strcmp(facts->kind, "peer") == 0;
}

void yk_facts_ends(const struct yk_object_facts *facts, int way, struct yk_ends *ret)
{
    int length = (int)strcspn(facts->name, "/");
    const char *second = facts->name + length + (facts->name[length] == '/');

    snprintf(way == 0 ? ret->from : ret->to, sizeof ret->from, "%.*s", length, facts->name);
    snprintf(way == 0 ? ret->to : ret->from, sizeof ret->to, "%s", second);
}

bool yk_facts_has_count(const struct yk_object_facts *facts)
{
    bool in_kernel = strcmp(facts->kind, "signals") == 0 && strcmp(facts->place, "kernel") == 0;

    return yk_facts_has_messages(facts) && (facts->known & YK_KNOWN_INSIDE) != 0 && !in_kernel;
}

bool yk_facts_has_traffic(const struct yk_object_facts *facts)
{
    return yk_facts_has_messages(facts) && (facts->known & YK_KNOWN_TRAFFIC) != 0;
}

char *yk_facts_address(char text[YK_ADDRESS_TEXT], const struct yk_object_facts *facts)
{
    snprintf(text, YK_ADDRESS_TEXT, "%s:%s%s%s", facts->kind, facts->name,
             facts->place[0] ? "@" : "", facts->where[0] ? facts->where : facts->place);
    return text;
}

bool yk_facts_is_far(const struct yk_object_facts *facts)
{
    return facts->where[0] != '\0';
}

int yk_facts_compare(const struct yk_object_facts *first, const struct yk_object_facts *second)
{
    int kinds = strcmp(first->kind, second->kind);
    int names = kinds ? kinds : strcmp(first->name, second->name);

    int places = names ? names : strcmp(first->place, second->place);

    return places ? places : strcmp(first->where, second->where);
}

static void add_mode(yk_json *object, uint32_t mode)
{
    char text[16];

    snprintf(text, sizeof text, "%04o", mode);
    yk_json_string(object, "mode", text);
}

static void add_messages(yk_json *object, const struct yk_object_facts *facts)
{
    yk_json_unsigned(object, "max_message", facts->max_message);
    yk_json_unsigned(object, "depth", facts->depth);
    yk_json_unsigned(object, "priorities", facts->priorities);
    yk_json_string(object, "policy", facts->once ? "once" : "redeliver");
    if (yk_facts_has_count(facts))
        yk_json_unsigned(object, "waiting", facts->waiting);
    if (!(facts->known & YK_KNOWN_TRAFFIC))
        return;
    if (facts->max_deliveries != UINT32_MAX) /* without it: no limit */
        yk_json_unsigned(object, "max_deliveries", facts->max_deliveries);
    yk_json_unsigned(object, "max_parked", facts->max_parked);
    yk_json_unsigned(object, "max_borrowed", facts->max_borrowed);
    yk_json_unsigned(object, "held", facts->held);
    yk_json_unsigned(object, "parked", facts->parked);
    yk_json_unsigned(object, "sent", facts->sent);
    yk_json_unsigned(object, "received", facts->received);
    yk_json_unsigned(object, "redelivered", facts->redelivered);
    if (facts->known & YK_KNOWN_COUNTS)
        yk_json_unsigned(object, "dropped", facts->dropped);
}

/* Of one in the kernel place only the capacity is known from outside. */
static void add_stream(yk_json *object, const struct yk_object_facts *facts)
{
    yk_json_unsigned(object, "capacity", facts->capacity);
    if (!(facts->known & YK_KNOWN_INSIDE))
        return;
    yk_json_unsigned(object, "waiting", facts->waiting);
    yk_json_unsigned(object, "written", facts->sent);
    yk_json_unsigned(object, "read", facts->received);
}

static yk_json *way_json(const struct yk_object_facts *facts, int way)
{
    const struct yk_way_facts *one = &facts->ways[way];
    yk_json *object = yk_json_object();
    struct yk_ends ends;

    yk_facts_ends(facts, way, &ends);
    yk_json_string(object, "from", ends.from);
    yk_json_string(object, "to", ends.to);
    yk_json_unsigned(object, "depth", facts->depth);
    yk_json_unsigned(object, "waiting", one->waiting);
    if (!yk_facts_has_traffic(facts))
        return object;
    yk_json_unsigned(object, "held", one->held);
    yk_json_unsigned(object, "bytes", one->bytes);
    yk_json_unsigned(object, "sent", one->sent);
    yk_json_unsigned(object, "received", one->received);
    return object;
}

static void add_ways(yk_json *object, const struct yk_object_facts *facts)
{
    yk_json *array = yk_json_array();

    for (int way = 0; way < 2; way++)
        yk_json_append(array, way_json(facts, way));
    yk_json_add(object, "ways", array);
}

static void add_memory(yk_json *object, const struct yk_object_facts *facts)
{
    if (yk_facts_is_far(facts)) {
        yk_json_unsigned(object, "bytes_stored", facts->memory_used);
        return;
    }
    add_mode(object, facts->mode);
    yk_json_unsigned(object, "memory_used", facts->memory_used);
    if (facts->place[0] != '\0')
        return;
    yk_json_unsigned(object, "memory_mapped", facts->memory_mapped);
    yk_json_unsigned(object, "attached", facts->attached);
}

static void add_header(yk_json *object, const struct yk_object_facts *facts)
{
    yk_json_real(object, "created", (double)facts->created_ns / SECOND);
    if (facts->creator > 0)
        yk_json_signed(object, "creator", facts->creator);
    if (yk_facts_is_far(facts)) {
        yk_json_string(object, "creator_host", facts->far.host);
        return;
    }
    if (yk_facts_is_stream(facts))
        add_stream(object, facts);
    yk_json_unsigned(object, "participants_max", facts->participants_max);
    if (strcmp(facts->kind, "region") == 0)
        yk_json_unsigned(object, "size", facts->region_size);
}

static void add_far(yk_json *object, const struct yk_far_facts *far)
{
    yk_json_string(object, "storage", far->disk ? "file" : "memory");
    yk_json_unsigned(object, "replicas", far->replicas);
    if (far->cluster) {
        yk_json_unsigned(object, "replicas_behind", far->behind);
        yk_json_string(object, "leader", far->server);
    }
    yk_json_real(object, "ack_wait", (double)far->silence_ns / SECOND);
    if (far->lease_ns > 0)
        yk_json_real(object, "lease", (double)far->lease_ns / SECOND);
    yk_json_unsigned(object, "receivers_waiting", far->receivers);
}

static void add_inside(yk_json *object, const struct yk_object_facts *facts)
{
    yk_json_unsigned(object, "participants_used", facts->participants_used);
    if (yk_facts_is_far(facts))
        add_far(object, &facts->far);
    if (facts->known & YK_KNOWN_COUNTS &&
        (yk_facts_has_traffic(facts) || yk_facts_is_stream(facts))) {
        yk_json_unsigned(object, "found_empty", facts->empty);
        yk_json_unsigned(object, "found_full", facts->full);
    }
    if (facts->known & YK_KNOWN_COUNTS && yk_facts_is_port(facts)) {
        yk_json_unsigned(object, "bytes_sent", facts->bytes_sent);
        yk_json_unsigned(object, "bytes_received", facts->bytes_received);
    }
    if (yk_facts_has_messages(facts))
        add_messages(object, facts);
    if (yk_facts_is_link(facts))
        add_ways(object, facts);
}

yk_json *yk_facts_json(const struct yk_object_facts *facts)
{
    yk_json *object = yk_json_object();
    char address[YK_ADDRESS_TEXT];

    yk_json_string(object, "address", yk_facts_address(address, facts));
    yk_json_string(object, "kind", facts->kind);
    yk_json_string(object, "name", facts->name);
    yk_json_string(object, "place", facts->place[0] ? facts->place : "memory");
    if (facts->problem[0] != '\0')
        yk_json_string(object, "problem", facts->problem);
    if (facts->known & YK_KNOWN_OWNER) {
        yk_json_unsigned(object, "uid", facts->uid);
        yk_json_unsigned(object, "gid", facts->gid);
    }
    if (facts->known & YK_KNOWN_NAME) {
        yk_json_bool(object, "kept", facts->kept);
        yk_json_bool(object, "removed", facts->removed);
        if (facts->place[0] == '\0')
            yk_json_signed(object, "segment", facts->segment);
    }
    if (facts->known & YK_KNOWN_MEMORY)
        add_memory(object, facts);
    if (facts->known & YK_KNOWN_HEADER)
        add_header(object, facts);
    if (facts->known & YK_KNOWN_INSIDE)
        add_inside(object, facts);
    return object;
}

void yk_facts_add_inbox(yk_json *peer, const struct yk_object_facts *inbox)
{
    yk_json *object = yk_json_object();
    char address[YK_ADDRESS_TEXT];

    yk_json_string(object, "address", yk_facts_address(address, inbox));
    yk_json_string(object, "place", inbox->place[0] ? inbox->place : "memory");
    if (inbox->known & YK_KNOWN_INSIDE)
        yk_json_unsigned(object, "depth", inbox->depth);
    if (yk_facts_has_count(inbox))
        yk_json_unsigned(object, "waiting", inbox->waiting);
    yk_json_add(peer, "signals", object);
}

static void add_traffic(yk_json *object, const struct yk_participant_facts *participant)
{
    if (participant->host[0] == '\0') {
        yk_json_unsigned(object, "waiting_receive", participant->waiting_receive);
        yk_json_unsigned(object, "waiting_send", participant->waiting_send);
    }
    yk_json_unsigned(object, "sent", participant->sent);
    yk_json_unsigned(object, "received", participant->received);
    yk_json_unsigned(object, "held", participant->held);
}

static void add_end(yk_json *object, const struct yk_participant_facts *participant)
{
    bool reads = participant->end == 'r';

    yk_json_string(object, "end", reads ? "reading" : "writing");
    yk_json_unsigned(object, reads ? "waiting_receive" : "waiting_send",
                     reads ? participant->waiting_receive : participant->waiting_send);
    yk_json_unsigned(object, reads ? "read" : "written",
                     reads ? participant->received : participant->sent);
    yk_json_bool(object, "inside", participant->held != 0);
}

static yk_json *participant_json(const struct yk_participant_facts *participant, bool traffic,
                                 bool bytes)
{
    yk_json *object = yk_json_object();
    char state[2] = {participant->state, '\0'};

    bool far = participant->host[0] != '\0';

    if (far)
        yk_json_string(object, "host", participant->host);
    else
        yk_json_unsigned(object, "slot", participant->slot);
    yk_json_signed(object, "pid", participant->pid);
    yk_json_string(object, "command", participant->command);
    yk_json_unsigned(object, "uid", participant->uid);
    yk_json_bool(object, "alive", participant->alive);
    if (!far) {
        yk_json_bool(object, "proven", participant->proven);
        yk_json_string(object, "state", state);
    }
    if (traffic)
        add_traffic(object, participant);
    if (bytes) {
        yk_json_unsigned(object, "bytes_sent", participant->bytes_sent);
        yk_json_unsigned(object, "bytes_received", participant->bytes_received);
    }
    if (traffic || participant->end != '\0') {
        yk_json_unsigned(object, "found_empty", participant->empty);
        yk_json_unsigned(object, "found_full", participant->full);
    }
    if (participant->end != '\0')
        add_end(object, participant);
    if (participant->joined_ns > 0)
        yk_json_real(object, "joined", (double)participant->joined_ns / SECOND);
    return object;
}

yk_json *yk_participants_json(const struct yk_object_facts *facts,
                              const struct yk_participant_facts *participants, size_t count)
{
    yk_json *array = yk_json_array();
    bool traffic = yk_facts_has_traffic(facts);

    for (size_t i = 0; i < count; i++)
        yk_json_append(array, participant_json(&participants[i], traffic,
                                               traffic && yk_facts_is_port(facts) &&
                                                   !yk_facts_is_far(facts)));
    return array;
}
