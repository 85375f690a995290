/*
 * collect.c - the streams that a prefix's objects left behind, when whoever removed them was interrupted.
 *
 * Such a stream is dead for sure when a later word about its name says that the object went, or was made anew: the
 * name's messages are numbered in the order in which they were written, and the stream's own name has the number
 * of the one that made it. One whose name nobody speaks of any more, or only with smaller numbers, may have
 * outlived the stream of names, and is left alone; but for an inbox of signals, which nobody finds without a name, when
 * nobody is the peer who would receive from it.
 *
 * And the inboxes of peers who died, name and all: their signals were for nobody else.
 */
#include "signals.h"
#include "streams.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "peer.h"

#define PAGE_MOST 100000 /* of pages of streams: far more than a server has */

/* ---- all streams of a prefix ----------------------------------------------------------------- */

/* The streams by which an object keeps what it has. */
static const struct sort {
    const char *what, *kind;
    bool main;
} sorts[] = {{"port", "port", true},
             {"parked", "port", false},
             {"link0", "link", true},
             {"link1", "link", false},
             {YK_SIGNALS, YK_SIGNALS, true}};

static const struct sort *sort_of(const char *what)
{
    for (size_t i = 0; i < sizeof sorts / sizeof sorts[0]; i++)
        if (strcmp(sorts[i].what, what) == 0)
            return &sorts[i];
    return NULL;
}

/* "PREFIX.WHAT.NAME.GENERATION", which no other prefix can be part of; and the stream is called after it. */
static bool parse_stream(struct yk_hub *hub, const json_t *stream, struct yk_stream *ret)
{
    const json_t *config = json_object_get(stream, "config");
    const char *name = json_string_value(json_object_get(config, "name"));
    const char *subject = json_string_value(json_array_get(json_object_get(config, "subjects"), 0));
    size_t length = strlen(hub->where.prefix);
    char what[8], token[YK_NATS_TOKEN_MOST], expected[YK_NATS_SUBJECT_MOST];
    unsigned long long generation;
    int end = 0;

    if (!name || !subject || strlen(name) >= sizeof ret->stream ||
        strlen(subject) >= sizeof expected || strncmp(subject, hub->where.prefix, length) != 0 ||
        subject[length] != '.' ||
        sscanf(subject + length + 1, "%7[^.].%767[^.].%llu%n", what, token, &generation, &end) !=
            3 ||
        subject[length + 1 + (size_t)end] != '\0' || !sort_of(what) ||
        !yk_nats_decode(ret->name, token) || !yk_stream_facts_read(stream, &ret->facts))
        return false;
    strcpy(ret->stream, name);
    ret->kind = sort_of(what)->kind;
    ret->main = sort_of(what)->main;
    ret->generation = generation;
    yk_nats_stream(expected, hub, what, ret->name, generation);
    return strcmp(expected, name) == 0;
}

static int add_page(struct yk_hub *hub, const json_t *page, struct yk_streams *ret)
{
    for (size_t i = 0; i < json_array_size(page); i++) {
        struct yk_stream one;
        if (!parse_stream(hub, json_array_get(page, i), &one))
            continue;
        struct yk_stream *all = realloc(ret->all, (ret->count + 1) * sizeof *all);
        if (!all)
            return yk_fail(ENOMEM, "no memory for a list of streams");
        ret->all = all;
        all[ret->count++] = one;
    }
    return 0;
}

int yk_streams_list(struct yk_hub *hub, struct yk_streams *ret)
{
    size_t offset = 0, total = 1;
    int result = 0;

    *ret = (struct yk_streams){.all = NULL};
    for (int pages = 0; result == 0 && offset < total && pages < PAGE_MOST; pages++) {
        json_t *answer;
        result = yk_api_list(hub, offset, &answer);
        if (result < 0)
            break;
        const json_t *page = json_object_get(answer, "streams");
        total = (size_t)json_integer_value(json_object_get(answer, "total"));
        offset += json_array_size(page);
        if (json_array_size(page) == 0)
            total = 0; /* that was all, whatever it says */
        result = add_page(hub, page, ret);
        json_decref(answer);
    }
    if (result < 0)
        yk_streams_fini(ret);
    return result;
}

void yk_streams_fini(struct yk_streams *streams)
{
    free(streams->all);
    *streams = (struct yk_streams){.all = NULL};
}

/* Of one that no name leads to. */
static int nameless_state(struct yk_hub *hub, const struct yk_stream *stream,
                          enum yk_stream_state *ret)
{
    char owner[YK_HERE_OWNER] = "?";
    int result =
        strcmp(stream->kind, YK_SIGNALS) == 0 ? yk_nats_peer_owner(hub, stream->name, owner) : 0;

    *ret = result == 0 && owner[0] == '\0' ? YK_STREAM_DEAD : YK_STREAM_UNKNOWN;
    return result;
}

int yk_stream_state(struct yk_hub *hub, const struct yk_stream *stream, enum yk_stream_state *ret)
{
    struct yk_named named;
    int result = yk_look_name(hub, stream->kind, stream->name, &named);

    if (result < 0 && result != -ENOENT)
        return result;
    if (result == -ENOENT || named.sequence < stream->generation || (named.there && !named.sound))
        return nameless_state(hub, stream, ret);
    if (named.there && named.facts.generation == stream->generation)
        *ret = YK_STREAM_ALIVE;
    else
        *ret = YK_STREAM_DEAD;
    return 0;
}

/* ---- clearing -------------------------------------------------------------------------------- */

/* 1: it is gone now; 0: somebody else was faster. */
static int remove_stream(struct yk_hub *hub, const struct yk_stream *stream)
{
    char what[YK_NATS_SUBJECT_MOST + 16];
    json_t *answer;

    snprintf(what, sizeof what, "STREAM.DELETE.%s", stream->stream);
    int result = yk_api_ask(hub, what, NULL, "removing a stream", &answer);
    if (result < 0)
        return result == -ENOENT ? 0 : result;
    json_decref(answer);
    return 1;
}

static int clear(struct yk_hub *hub, const struct yk_stream *stream, bool dry_run,
                 yk_tell_item *each, void *context)
{
    struct yk_gc_item item = {.what = "stream", .bytes = stream->facts.bytes};
    enum yk_stream_state state;
    int result = yk_stream_state(hub, stream, &state);

    if (result < 0 || state != YK_STREAM_DEAD)
        return result;
    result = dry_run ? 1 : remove_stream(hub, stream);
    if (result <= 0)
        return result;
    snprintf(item.name, sizeof item.name, "%s", stream->stream);
    snprintf(item.reason, sizeof item.reason, "its %s was removed; %llu messages", stream->kind,
             (unsigned long long)stream->facts.messages);
    return each(&item, context);
}

/* ---- inboxes whose owners died --------------------------------------------------------------- */

struct inboxes {
    struct yk_hub *hub;
    bool dry_run;
    yk_tell_item *each;
    void *context;
};

static int clear_inbox(const struct yk_named *named, void *context)
{
    const struct inboxes *inboxes = context;
    struct yk_object_facts facts;
    struct yk_presence nobody = {.all = NULL};
    struct yk_gc_item item = {.what = "inbox"};
    bool lives = true;

    if (strcmp(named->kind, YK_SIGNALS) != 0 || !named->there || !named->sound)
        return 0;
    int result = yk_nats_signals_lives(inboxes->hub, named->name, &named->facts, &lives);
    if (result < 0 || lives)
        return result;
    yk_look_at_named(inboxes->hub, named, &nobody, &facts);
    if (!inboxes->dry_run)
        result = yk_nats_signals_clear(inboxes->hub, named->name, &named->facts);
    if (result < 0)
        return result == -ENOENT ? 0 : result; /* somebody else was faster */
    item.bytes = facts.memory_used;
    snprintf(item.name, sizeof item.name, "%s:%s", named->kind, named->name);
    snprintf(item.reason, sizeof item.reason, "its owner died, or lost the name; %llu signals",
             (unsigned long long)(facts.waiting + facts.held));
    return inboxes->each(&item, inboxes->context);
}

int yk_nats_collect(const char *where, bool dry_run, yk_tell_item *each, void *context)
{
    YK_KEEP_ERRNO;
    struct yk_streams streams = {.all = NULL};
    struct yk_hub *hub;
    int result = yk_look_hub(&hub, where);

    if (result == 0)
        result = yk_look_names(hub, clear_inbox, &(struct inboxes){hub, dry_run, each, context});
    if (result == 0)
        result = yk_streams_list(hub, &streams);
    if (result != 0)
        return result;
    for (size_t i = 0; i < streams.count && result == 0; i++)
        result = clear(hub, &streams.all[i], dry_run, each, context);
    yk_streams_fini(&streams);
    return result;
}
