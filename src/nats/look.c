/*
 * look.c - see look.h: names, who takes part, and what the servers tell of an object.
 */
#include "look.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fork.h"
#include "port.h"
#include "signals.h"

static const char strange[] = "%s: the answer is none of JetStream's";

int yk_look_hub(struct yk_hub **ret, const char *where)
{
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    static struct yk_hub *last;
    static char place[YK_PLACE_MAX];
    static unsigned forks;
    int result = 0;

    pthread_mutex_lock(&mutex);
    if (last && forks != yk_nats_forks())
        last = NULL; /* it is the parent's */
    if (last && strcmp(place, where) != 0) {
        yk_hub_put(last);
        last = NULL;
    }
    if (!last) {
        result = yk_hub_get(&last, where);
        if (result < 0)
            last = NULL;
        snprintf(place, sizeof place, "%s", where);
        forks = yk_nats_forks();
    }
    *ret = last;
    pthread_mutex_unlock(&mutex);
    return result;
}

/* It goes to terminals, and others wrote it. */
static void copy_printable(char *to, size_t room, const char *from)
{
    snprintf(to, room, "%s", from ? from : "");
    yk_nats_make_plain(to);
}

/* ---- names ----------------------------------------------------------------------------------- */

/* The next token of a subject, ended in place; NULL: there is none. */
static char *next_token(char **rest)
{
    char *token = *rest ? strsep(rest, ".") : NULL;

    return token && token[0] != '\0' ? token : NULL;
}

/* "PREFIX.WHAT.KIND.NAME…": false if it is none. `text` is taken apart, *ret_rest is what follows. */
static bool parse_subject(char *text, const struct yk_hub *hub, const char *what, char kind[8],
                          char name[YK_ENTRY_MAX], char **ret_rest)
{
    const char *prefix = next_token(&text), *found = next_token(&text);
    const char *its_kind = next_token(&text), *token = next_token(&text);

    if (!prefix || !found || !its_kind || !token || strcmp(prefix, hub->where.prefix) != 0 ||
        strcmp(found, what) != 0 || strlen(its_kind) >= 8 ||
        its_kind[strspn(its_kind, "abcdefghijklmnopqrstuvwxyz")] != '\0' ||
        !yk_nats_decode(name, token))
        return false;
    strcpy(kind, its_kind);
    *ret_rest = text;
    return true;
}

static bool read_named(struct yk_hub *hub, struct yk_stored *stored, struct yk_named *ret)
{
    char *rest;

    *ret = (struct yk_named){.sequence = stored->sequence, .there = stored->size > 0};
    if (!parse_subject(stored->subject, hub, "names", ret->kind, ret->name, &rest) || rest)
        return false;
    ret->sound = ret->there && yk_nats_facts_read((const char *)stored->data, stored->size,
                                                  stored->sequence, &ret->facts);
    return true;
}

static void names_stream(char stream[YK_NATS_SUBJECT_MOST], const struct yk_hub *hub)
{
    snprintf(stream, YK_NATS_SUBJECT_MOST, "%s-names", hub->where.prefix);
}

int yk_look_names(struct yk_hub *hub, int (*each)(const struct yk_named *named, void *context),
                  void *context)
{
    char stream[YK_NATS_SUBJECT_MOST], filter[YK_NATS_PREFIX_MOST + 16];
    uint64_t from = 1;
    int result = 0;

    names_stream(stream, hub);
    snprintf(filter, sizeof filter, "%s.names.>", hub->where.prefix);
    while (result == 0) {
        struct yk_stored stored;
        struct yk_named named;
        result = yk_api_next(hub, stream, from, filter, &stored);
        if (result <= 0)
            return result;
        from = stored.sequence + 1;
        result = read_named(hub, &stored, &named) ? each(&named, context) : 0;
        yk_stored_fini(&stored);
    }
    return result;
}

int yk_look_name(struct yk_hub *hub, const char *kind, const char *name, struct yk_named *ret)
{
    char stream[YK_NATS_SUBJECT_MOST], token[YK_NATS_TOKEN_MOST];
    char subject[YK_NATS_SUBJECT_MOST];
    struct yk_stored stored;

    names_stream(stream, hub);
    yk_nats_encode(token, name);
    snprintf(subject, sizeof subject, "%s.names.%s.%s", hub->where.prefix, kind, token);
    int result = yk_api_next(hub, stream, 1, subject, &stored); /* there is one at most */
    if (result == 0)
        return yk_fail(ENOENT, "there is no %s:%s in this place", kind, name);
    if (result < 0)
        return result;
    bool read = read_named(hub, &stored, ret);
    yk_stored_fini(&stored);
    return read ? 0 : yk_fail(EREMOTEIO, strange, "looking for a name");
}

/* ---- who takes part -------------------------------------------------------------------------- */

static uint64_t number(const json_t *object, const char *key)
{
    json_int_t value = json_integer_value(json_object_get(object, key));

    return value > 0 ? (uint64_t)value : 0;
}

static const char *text(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static void read_participant(const json_t *said, uint32_t slot, struct yk_participant_facts *ret)
{
    *ret = (struct yk_participant_facts){
        .slot = slot,
        .pid = (int32_t)number(said, "pid"),
        .uid = (uint32_t)number(said, "uid"),
        .alive = true, /* its lease runs */
        .state = '?',
        .sent = number(said, "sent"),
        .received = number(said, "received"),
        .empty = number(said, "empty"),
        .full = number(said, "full"),
        .held = (uint32_t)number(said, "held"),
        .oldest = YK_NONE_HELD,
        .joined_ns = number(said, "since"),
    };
    copy_printable(ret->command, sizeof ret->command, text(said, "command"));
    copy_printable(ret->host, sizeof ret->host, text(said, "host"));
}

static int add_present(struct yk_hub *hub, struct yk_stored *stored, struct yk_presence *presence)
{
    struct yk_present one = {.generation = 0};
    char *rest;

    if (!parse_subject(stored->subject, hub, "here", one.kind, one.name, &rest) || !rest)
        return 0;
    one.generation = strtoull(rest, &rest, 10);
    json_t *said = json_loadb((const char *)stored->data, stored->size, 0, NULL);
    /* a random number of its own is the last token: by a part of it two looks know it again */
    read_participant(said, rest[0] == '.' ? (uint32_t)strtoull(rest + 1, NULL, 16) : 0, &one.facts);
    json_decref(said);
    struct yk_present *all = realloc(presence->all, (presence->count + 1) * sizeof *all);
    if (!all)
        return yk_fail(ENOMEM, "no memory for a list of participants");
    presence->all = all;
    all[presence->count++] = one;
    return 0;
}

static int find_lease(struct yk_hub *hub, const char *stream, int64_t *ret)
{
    char what[YK_NATS_SUBJECT_MOST + 16];
    json_t *answer;

    snprintf(what, sizeof what, "STREAM.INFO.%s", stream);
    int result = yk_api_ask(hub, what, NULL, "looking who takes part", &answer);
    if (result < 0)
        return result;
    *ret = (int64_t)number(json_object_get(answer, "config"), "max_age");
    json_decref(answer);
    return 0;
}

static int read_presence(struct yk_hub *hub, const char *stream, const char *filter,
                         struct yk_presence *presence)
{
    uint64_t from = 1;

    for (;;) {
        struct yk_stored stored;
        int result = yk_api_next(hub, stream, from, filter, &stored);
        if (result <= 0)
            return result;
        from = stored.sequence + 1;
        result = add_present(hub, &stored, presence);
        yk_stored_fini(&stored);
        if (result < 0)
            return result;
    }
}

int yk_look_presence(struct yk_hub *hub, const char *kind, const char *name, uint64_t generation,
                     struct yk_presence *ret)
{
    char stream[YK_NATS_SUBJECT_MOST], what[16], base[YK_NATS_SUBJECT_MOST];
    char filter[YK_NATS_SUBJECT_MOST + 2];

    *ret = (struct yk_presence){.all = NULL};
    snprintf(stream, sizeof stream, "%s-here", hub->where.prefix);
    if (kind) {
        snprintf(what, sizeof what, "here.%.8s", kind);
        yk_nats_subject(base, hub, what, name, generation);
    } else {
        snprintf(base, sizeof base, "%s.here", hub->where.prefix);
    }
    snprintf(filter, sizeof filter, "%s.>", base);
    int result = find_lease(hub, stream, &ret->lease_ns);
    if (result == 0)
        result = read_presence(hub, stream, filter, ret);
    if (result < 0)
        yk_presence_fini(ret);
    return result == -ENOENT ? 0 : result;
}

void yk_presence_fini(struct yk_presence *presence)
{
    free(presence->all);
    *presence = (struct yk_presence){.all = NULL};
}

/* ---- streams and consumers ------------------------------------------------------------------- */

static void note_replica(const json_t *replica, struct yk_stream_facts *ret)
{
    bool away = json_is_true(json_object_get(replica, "offline"));
    size_t used = strlen(ret->away);
    char name[YK_HOST_TEXT];

    if (!away && json_is_true(json_object_get(replica, "current")))
        return;
    ret->behind++;
    copy_printable(name, sizeof name, text(replica, "name"));
    snprintf(ret->away + used, sizeof ret->away - used, "%s%s (%s)", used ? ", " : "", name,
             away ? "away" : "behind");
}

bool yk_stream_facts_read(const json_t *stream, struct yk_stream_facts *ret)
{
    const json_t *config = json_object_get(stream, "config");
    const json_t *state = json_object_get(stream, "state");
    const json_t *cluster = json_object_get(stream, "cluster");
    const json_t *replicas = json_object_get(cluster, "replicas");
    const char *storage = text(config, "storage");

    if (!config || !state || !storage)
        return false;
    *ret = (struct yk_stream_facts){
        .messages = number(state, "messages"),
        .bytes = number(state, "bytes"),
        .last = number(state, "last_seq"),
        .replicas = (uint32_t)number(config, "num_replicas"),
        .consumers = (uint32_t)number(state, "consumer_count"),
        .cluster = cluster != NULL,
        .disk = strcmp(storage, "file") == 0,
    };
    copy_printable(ret->server, sizeof ret->server, text(cluster, "leader"));
    for (size_t i = 0; i < json_array_size(replicas); i++)
        note_replica(json_array_get(replicas, i), ret);
    return true;
}

int yk_look_stream(struct yk_hub *hub, const char *stream, struct yk_stream_facts *ret)
{
    static const char doing[] = "looking at its stream";
    char what[YK_NATS_SUBJECT_MOST + 16];
    json_t *answer;

    snprintf(what, sizeof what, "STREAM.INFO.%s", stream);
    int result = yk_api_ask(hub, what, NULL, doing, &answer);
    if (result < 0)
        return result;
    if (!yk_stream_facts_read(answer, ret))
        result = yk_fail(EREMOTEIO, strange, doing);
    json_decref(answer);
    return result;
}

static void read_consumer(const json_t *consumer, struct yk_consumer_facts *ret)
{
    const json_t *delivered = json_object_get(consumer, "delivered");

    *ret = (struct yk_consumer_facts){
        .delivered = number(delivered, "stream_seq"),
        .given = number(delivered, "consumer_seq"),
        .held = number(consumer, "num_ack_pending"),
        .receivers = (uint32_t)number(consumer, "num_waiting"),
    };
}

int yk_look_only_consumer(struct yk_hub *hub, const char *stream, struct yk_consumer_facts *ret)
{
    char what[YK_NATS_SUBJECT_MOST + 32];
    json_t *answer;

    snprintf(what, sizeof what, "CONSUMER.LIST.%s", stream);
    int result = yk_api_ask(hub, what, NULL, "looking at its receivers", &answer);
    if (result < 0)
        return result;
    read_consumer(json_array_get(json_object_get(answer, "consumers"), 0), ret);
    json_decref(answer);
    return 0;
}

int yk_look_consumer(struct yk_hub *hub, const char *stream, struct yk_consumer_facts *ret)
{
    char what[YK_NATS_SUBJECT_MOST + 32];
    json_t *answer;

    snprintf(what, sizeof what, "CONSUMER.INFO.%s.%s", stream, YK_NATS_CONSUMER);
    int result = yk_api_ask(hub, what, NULL, "looking at its receivers", &answer);
    if (result < 0)
        return result;
    read_consumer(answer, ret);
    json_decref(answer);
    return 0;
}

/* ---- an object ------------------------------------------------------------------------------- */

static void note_problem(struct yk_object_facts *facts, const char *problem)
{
    snprintf(facts->problem, sizeof facts->problem, "%s", problem);
}

/* What its name says. */
static void copy_entry(struct yk_object_facts *ret, const struct yk_nats_facts *entry)
{
    ret->known = YK_KNOWN_NAME | YK_KNOWN_HEADER;
    ret->kept = entry->kept;
    ret->created_ns = entry->created_ns;
    ret->creator = entry->creator;
    ret->max_message = entry->max_message;
    ret->depth = entry->depth;
    ret->priorities = 1;
    ret->max_deliveries = entry->max_deliveries;
    ret->max_parked = entry->max_parked;
    ret->max_borrowed = entry->max_borrowed;
    ret->far.silence_ns = entry->ack_wait_ns;
    copy_printable(ret->far.host, sizeof ret->far.host, entry->host);
}

static void copy_storage(struct yk_object_facts *ret, const struct yk_stream_facts *stream)
{
    ret->far.cluster = stream->cluster;
    ret->far.disk = stream->disk;
    ret->far.replicas = stream->replicas;
    ret->far.behind = stream->behind;
    snprintf(ret->far.server, sizeof ret->far.server, "%s", stream->server);
}

static void copy_traffic(struct yk_object_facts *ret, const struct yk_stream_facts *stream,
                         const struct yk_consumer_facts *consumer,
                         const struct yk_stream_facts *parked)
{
    uint64_t there = stream->messages + parked->messages;

    ret->known |= YK_KNOWN_MEMORY | YK_KNOWN_INSIDE | YK_KNOWN_TRAFFIC;
    ret->memory_used = stream->bytes + parked->bytes;
    ret->held = consumer->held < stream->messages ? consumer->held : stream->messages;
    ret->waiting = stream->messages - ret->held;
    ret->parked = parked->messages;
    ret->sent = stream->last;
    ret->received = stream->last > there ? stream->last - there : 0;
    ret->redelivered =
        consumer->given > consumer->delivered ? consumer->given - consumer->delivered : 0;
    ret->far.receivers = consumer->receivers;
    copy_storage(ret, stream);
}

/* What is made last is not there: who made it, or removes it, is at it or was interrupted. */
static void note_incomplete(struct yk_object_facts *facts)
{
    facts->far.incomplete = true;
    note_problem(facts, "its streams are not all there: whoever made it, or removed them, was "
                        "interrupted; the next who opens it makes them");
}

static void look_at_port(struct yk_hub *hub, const char *name, uint64_t generation,
                         struct yk_object_facts *ret)
{
    char stream[YK_NATS_SUBJECT_MOST], parked_stream[YK_NATS_SUBJECT_MOST];
    struct yk_stream_facts main, parked = {.consumers = 0};
    struct yk_consumer_facts consumer;

    yk_nats_stream(stream, hub, "port", name, generation);
    yk_nats_stream(parked_stream, hub, "parked", name, generation);
    int result = yk_look_stream(hub, parked_stream, &parked);
    if (result == -ENOENT || (result == 0 && parked.consumers == 0)) {
        note_incomplete(ret);
        return;
    }
    if (result == 0)
        result = yk_look_stream(hub, stream, &main);
    if (result == 0)
        result = yk_look_consumer(hub, stream, &consumer);
    if (result == 0)
        copy_traffic(ret, &main, &consumer, &parked);
    ret->far.broken = result == -ENOENT;
    if (result == -ENOENT)
        note_problem(ret, "its stream, or the consumer of that, was removed, and not by yoke: the "
                          "messages are lost, and it can not be used any more");
    else if (result < 0)
        note_problem(ret, yk_nats_explain());
}

/* A port without parked messages, which goes with its owner. */
static void look_at_signals(struct yk_hub *hub, const char *name, const struct yk_nats_facts *entry,
                            struct yk_object_facts *ret)
{
    char stream[YK_NATS_SUBJECT_MOST];
    struct yk_stream_facts main, none = {.consumers = 0};
    struct yk_consumer_facts consumer;
    int result = yk_nats_signals_lives(hub, name, entry, &ret->attended);

    ret->kept = false;
    ret->max_deliveries = ret->max_parked = ret->max_borrowed = 0;
    yk_nats_stream(stream, hub, YK_SIGNALS, name, entry->generation);
    if (result == 0)
        result = yk_look_stream(hub, stream, &main);
    if (result == 0)
        result = yk_look_consumer(hub, stream, &consumer);
    if (result == 0)
        copy_traffic(ret, &main, &consumer, &none);
    ret->far.incomplete = result == -ENOENT;
    if (result == -ENOENT)
        note_problem(ret, "its stream, or the consumer of that, is not there: whoever made it was "
                          "interrupted, or somebody removed it, and not by yoke");
    else if (result < 0)
        note_problem(ret, yk_nats_explain());
}

/* What is on the way in a direction. */
static void add_way(struct yk_object_facts *ret, int way, const struct yk_stream_facts *stream,
                    const struct yk_consumer_facts *consumer)
{
    uint64_t held = consumer->held < stream->messages ? consumer->held : stream->messages;

    ret->ways[way] = (struct yk_way_facts){
        .waiting = stream->messages - held,
        .held = held,
        .bytes = stream->bytes,
        .sent = stream->last,
        .received = stream->last - stream->messages,
    };
    ret->waiting += stream->messages - held;
    ret->held += held;
    ret->sent += stream->last;
    ret->received += stream->last - stream->messages;
    ret->memory_used += stream->bytes;
    ret->far.receivers += consumer->receivers;
    if (consumer->given > consumer->delivered)
        ret->redelivered += consumer->given - consumer->delivered;
}

static void look_at_link(struct yk_hub *hub, const char *name, uint64_t generation,
                         struct yk_object_facts *ret)
{
    static const char *const ways[2] = {"link1", "link0"}; /* the second one is made last */
    struct yk_object_facts facts = *ret;

    for (int i = 0; i < 2; i++) {
        char stream[YK_NATS_SUBJECT_MOST];
        struct yk_stream_facts one;
        struct yk_consumer_facts consumer;
        yk_nats_stream(stream, hub, ways[i], name, generation);
        int result = yk_look_stream(hub, stream, &one);
        if (result == 0)
            result = yk_look_only_consumer(hub, stream, &consumer);
        if (result == -ENOENT && i == 0) {
            note_incomplete(ret);
            return;
        }
        ret->far.broken = result == -ENOENT;
        if (result < 0) {
            note_problem(ret, result == -ENOENT
                                  ? "one of its streams was removed, and not by yoke: it can "
                                    "not be used any more"
                                  : yk_nats_explain());
            return;
        }
        add_way(&facts, 1 - i, &one, &consumer);
        copy_storage(&facts, &one);
    }
    facts.known |= YK_KNOWN_MEMORY | YK_KNOWN_INSIDE | YK_KNOWN_TRAFFIC;
    *ret = facts;
}

static bool takes_part(const struct yk_present *one, const struct yk_named *named)
{
    return one->generation == named->facts.generation && strcmp(one->kind, named->kind) == 0 &&
           strcmp(one->name, named->name) == 0;
}

void yk_look_at_named(struct yk_hub *hub, const struct yk_named *named,
                      const struct yk_presence *presence, struct yk_object_facts *ret)
{
    *ret = (struct yk_object_facts){.segment = -1};
    snprintf(ret->kind, sizeof ret->kind, "%s", named->kind);
    copy_printable(ret->name, sizeof ret->name, named->name);
    ret->name[strcspn(ret->name, "@")] = strchr(ret->name, '@') ? '/' : '\0'; /* as users know it */
    snprintf(ret->place, sizeof ret->place, "%s", yk_nats_place.name);
    yk_nats_hide(ret->where, sizeof ret->where, hub->place);
    if (!named->sound) {
        note_problem(ret, "what the place says of it was written by no yoke");
        return;
    }
    copy_entry(ret, &named->facts);
    ret->far.lease_ns = presence->lease_ns;
    for (size_t i = 0; i < presence->count; i++)
        ret->participants_used += takes_part(&presence->all[i], named);
    if (strcmp(named->kind, "port") == 0)
        look_at_port(hub, named->name, named->facts.generation, ret);
    else if (strcmp(named->kind, "link") == 0)
        look_at_link(hub, named->name, named->facts.generation, ret);
    else if (strcmp(named->kind, YK_SIGNALS) == 0)
        look_at_signals(hub, named->name, &named->facts, ret);
}

static int compare_people(const void *a, const void *b)
{
    const struct yk_participant_facts *first = a, *second = b;

    if (first->joined_ns != second->joined_ns)
        return first->joined_ns < second->joined_ns ? -1 : 1;
    return first->slot < second->slot ? -1 : first->slot > second->slot;
}

/* Those of one object: 0, or -ENOMEM. */
static int pick_people(const struct yk_presence *presence, const struct yk_named *named,
                       struct yk_participant_facts **ret, size_t *ret_count)
{
    struct yk_participant_facts *people = calloc(presence->count + 1, sizeof *people);
    size_t count = 0;

    if (!people)
        return yk_fail(ENOMEM, "no memory for a list of participants");
    for (size_t i = 0; i < presence->count; i++) {
        if (!takes_part(&presence->all[i], named))
            continue;
        people[count++] = presence->all[i].facts;
    }
    qsort(people, count, sizeof *people, compare_people); /* they come as they said so last */
    *ret = people;
    *ret_count = count;
    return 0;
}

/* ---- what the tool asks ---------------------------------------------------------------------- */

struct walk {
    struct yk_hub *hub;
    struct yk_presence presence;
    yk_each_object *each;
    void *context;
};

static int walk_to(const struct yk_named *named, void *context)
{
    struct walk *walk = context;
    struct yk_participant_facts *people = NULL;
    struct yk_object_facts facts;
    size_t count = 0;

    if (!named->there)
        return 0;
    yk_look_at_named(walk->hub, named, &walk->presence, &facts);
    int result = pick_people(&walk->presence, named, &people, &count);
    if (result == 0)
        result = walk->each(&facts, people, count, walk->context);
    free(people);
    return result;
}

static int each_object(const char *where, bool participants, yk_each_object *each, void *context)
{
    YK_KEEP_ERRNO;
    struct walk walk = {.each = each, .context = context};
    int result = yk_look_hub(&walk.hub, where);

    (void)participants; /* their number is wanted in any case */
    if (result == 0)
        result = yk_look_presence(walk.hub, NULL, NULL, 0, &walk.presence);
    if (result == 0)
        result = yk_look_names(walk.hub, walk_to, &walk);
    yk_presence_fini(&walk.presence);
    return result;
}

static int look_at(const struct yk_address *address, struct yk_object_facts *ret,
                   struct yk_participant_facts **ret_people, size_t *ret_count)
{
    YK_KEEP_ERRNO;
    struct yk_presence presence = {.all = NULL};
    const char *kind = address->kind == YK_KIND_LINK      ? "link"
                       : address->kind == YK_KIND_SIGNALS ? YK_SIGNALS
                                                          : "port";
    struct yk_named named;
    struct yk_hub *hub;
    int result = 0;

    if (address->kind == YK_KIND_PEER)
        result = yk_fail(ENOTSUP, "of %.128s in this place is told by 'yoke peers --place'",
                         address->name);
    if (result == 0)
        result = yk_look_hub(&hub, address->where);

    if (result == 0)
        result = yk_look_name(hub, kind, address->name, &named);
    if (result == 0 && !named.there)
        result = yk_fail(ENOENT, "there is no %s:%s in this place", kind, address->name);
    if (result == 0)
        result = yk_look_presence(hub, kind, address->name, named.facts.generation, &presence);
    if (result < 0)
        return result;
    yk_look_at_named(hub, &named, &presence, ret);
    if (ret_people)
        result = pick_people(&presence, &named, ret_people, ret_count);
    yk_presence_fini(&presence);
    return result;
}

const struct yk_place_view yk_nats_view = {
    .each = each_object,
    .look = look_at,
    .tap_open = yk_nats_tap_open,
    .tap_look = yk_nats_tap_look,
    .tap_close = yk_nats_tap_close,
    .check = yk_nats_check,
    .collect = yk_nats_collect,
};
