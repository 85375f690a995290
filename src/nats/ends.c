/*
 * ends.c - see ends.h.
 */
#include "ends.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api.h"

#define LIST "ends"

static void stream_name(char stream[YK_NATS_PREFIX_MOST + 8], const struct yk_hub *hub)
{
    sprintf(stream, "%s-" LIST, hub->where.prefix);
}

void yk_end_subject(char subject[YK_END_SUBJECT], const struct yk_hub *hub, const char *whose,
                    const char *other, uint64_t generation)
{
    char first[YK_NATS_TOKEN_MOST], second[YK_NATS_TOKEN_MOST];

    yk_nats_encode(first, whose);
    yk_nats_encode(second, other);
    snprintf(subject, YK_END_SUBJECT, "%s." LIST ".%s.%s.%" PRIu64, hub->where.prefix, first,
             second, generation);
}

/* ---- a word ---------------------------------------------------------------------------------- */

static char *to_text(const struct yk_end *end)
{
    json_t *steps = json_array();

    for (size_t i = 0; steps && i < end->step_count; i++)
        json_array_append_new(steps, json_pack("[I, I]", (json_int_t)end->steps[i].upto,
                                               (json_int_t)end->steps[i].count));
    json_t *object = json_pack("{s:s, s:s, s:s, s:s, s:o, s:I}", "state",
                               end->state == YK_END_OPEN ? "open" : "closed", "owner", end->owner,
                               "consumer", end->consumer, "left", end->left, "delivered", steps,
                               "perhaps", (json_int_t)end->perhaps);
    char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
    json_decref(object);
    return text;
}

static void take_steps(struct yk_end *end, const json_t *steps)
{
    json_int_t upto, count;

    for (size_t i = 0; i < json_array_size(steps) && end->step_count < YK_STEPS_MOST; i++)
        if (json_unpack(json_array_get(steps, i), "[I, I]", &upto, &count) == 0 && upto > 0 &&
            count > 0 && count < UINT32_MAX)
            end->steps[end->step_count++] =
                (struct yk_step){.upto = (uint64_t)upto, .count = (uint32_t)count};
}

/* False: no yoke wrote that. */
bool yk_end_parse(const char *data, size_t size, struct yk_end *ret)
{
    const char *state, *owner, *consumer, *left;
    json_int_t perhaps;
    json_t *steps, *object = json_loadb(data, size, 0, NULL);
    bool good = object &&
                json_unpack(object, "{s:s, s:s, s:s, s:s, s:o, s:I}", "state", &state, "owner",
                            &owner, "consumer", &consumer, "left", &left, "delivered", &steps,
                            "perhaps", &perhaps) == 0 &&
                perhaps >= 0 && strlen(owner) < sizeof ret->owner &&
                strlen(consumer) < sizeof ret->consumer && strlen(left) < sizeof ret->left;

    if (good) {
        *ret = (struct yk_end){.state = strcmp(state, "open") == 0 ? YK_END_OPEN : YK_END_CLOSED,
                               .perhaps = (uint64_t)perhaps};
        strcpy(ret->owner, owner);
        strcpy(ret->consumer, consumer);
        strcpy(ret->left, left);
        take_steps(ret, steps);
    }
    json_decref(object);
    return good;
}

int yk_end_read(struct yk_hub *hub, const char *whose, const char *other, uint64_t generation,
                struct yk_end *ret)
{
    char subject[YK_END_SUBJECT];
    uint64_t word;
    natsMsg *message;

    yk_end_subject(subject, hub, whose, other, generation);
    int result = yk_nats_last_word(hub, LIST, subject, &word, &message);
    if (result < 0)
        return result;
    *ret = (struct yk_end){.state = YK_END_NEW};
    if (message &&
        !yk_end_parse(natsMsg_GetData(message), (size_t)natsMsg_GetDataLength(message), ret))
        result = yk_fail(EPROTO,
                         "what the place says of the link of peer:%s and peer:%s was written by "
                         "no yoke",
                         whose, other);
    natsMsg_Destroy(message);
    ret->word = word;
    return result;
}

int yk_end_write(struct yk_hub *hub, const char *whose, const char *other, uint64_t generation,
                 struct yk_end *end)
{
    char subject[YK_END_SUBJECT];
    char *text = to_text(end);

    if (!text)
        return yk_fail(ENOMEM, "no memory for the end of a link");
    yk_end_subject(subject, hub, whose, other, generation);
    int result = yk_nats_write_word(hub, subject, text, end->word, &end->word);
    free(text);
    return result;
}

/* ---- all of them ----------------------------------------------------------------------------- */

int yk_ends_ensure(struct yk_hub *hub)
{
    return yk_nats_ensure_list(hub, LIST);
}

static void remove_word(struct yk_hub *hub, const char *whose, const char *other,
                        uint64_t generation)
{
    char subject[YK_END_SUBJECT], stream[YK_NATS_PREFIX_MOST + 8];
    jsOptions options;

    stream_name(stream, hub);
    yk_end_subject(subject, hub, whose, other, generation);
    jsOptions_Init(&options);
    options.Stream.Purge.Subject = subject;
    js_PurgeStream(hub->js, stream, &options, NULL);
}

void yk_ends_remove(struct yk_hub *hub, const char *link, uint64_t generation)
{
    char first[YK_ENTRY_MAX];
    const char *at = strchr(link, '@');

    if (!at)
        return;
    snprintf(first, sizeof first, "%.*s", (int)(at - link), link);
    remove_word(hub, first, at + 1, generation);
    remove_word(hub, at + 1, first, generation);
}

void yk_ends_filter(char filter[YK_END_SUBJECT], const struct yk_hub *hub, const char *peer)
{
    char token[YK_NATS_TOKEN_MOST];

    yk_nats_encode(token, peer);
    snprintf(filter, YK_END_SUBJECT, "%s." LIST ".*.%s.*", hub->where.prefix, token);
}

/* "PREFIX.ends.OTHER.PEER.GENERATION". */
static bool parse_subject(const struct yk_hub *hub, const char *subject,
                          char ret_other[YOKE_PEER_NAME_MAX + 1], uint64_t *ret_generation)
{
    size_t prefix = strlen(hub->where.prefix) + sizeof "." LIST ".";
    char token[YK_NATS_TOKEN_MOST], name[YK_ENTRY_MAX];
    const char *begin = strlen(subject) < prefix ? "" : subject + prefix - 1;
    const char *end = strchr(begin, '.'), *last = strrchr(begin, '.');

    if (!end || last == end || (size_t)(end - begin) >= sizeof token)
        return false;
    memcpy(token, begin, (size_t)(end - begin));
    token[end - begin] = '\0';
    if (!yk_nats_decode(name, token) || strlen(name) > YOKE_PEER_NAME_MAX)
        return false;
    strcpy(ret_other, name);
    *ret_generation = strtoull(last + 1, NULL, 10);
    return *ret_generation > 0;
}

int yk_ends_next(struct yk_hub *hub, const char *peer, uint64_t from, uint64_t *ret_word,
                 char ret_other[YOKE_PEER_NAME_MAX + 1], uint64_t *ret_generation)
{
    char stream[YK_NATS_PREFIX_MOST + 8], filter[YK_END_SUBJECT];
    struct yk_stored stored;

    stream_name(stream, hub);
    yk_ends_filter(filter, hub, peer);
    int result = yk_api_next(hub, stream, from, filter, &stored);
    if (result <= 0)
        return result == -ENOENT ? 0 : result;
    *ret_word = stored.sequence;
    if (!parse_subject(hub, stored.subject, ret_other, ret_generation))
        ret_other[0] = '\0';
    yk_stored_fini(&stored);
    return 1;
}

void yk_ends_ask(const struct yk_line *line, char kind, const char *peer, uint64_t from)
{
    char stream[YK_NATS_PREFIX_MOST + 8], subject[sizeof stream + 32], filter[YK_END_SUBJECT];
    char reply[YK_NATS_REPLY_MOST], body[sizeof filter + 64];

    stream_name(stream, line->hub);
    snprintf(subject, sizeof subject, "$JS.API.STREAM.MSG.GET.%s", stream);
    yk_ends_filter(filter, line->hub, peer);
    snprintf(body, sizeof body, "{\"seq\":%" PRIu64 ",\"next_by_subj\":\"%s\"}", from ? from : 1,
             filter);
    yk_hub_reply(line, kind, 0, reply);
    yk_hub_ask(line, subject, reply, body, strlen(body));
}

bool yk_ends_are_there(natsMsg *answer)
{
    json_t *said =
        json_loadb(natsMsg_GetData(answer), (size_t)natsMsg_GetDataLength(answer), 0, NULL);
    bool there = json_is_object(json_object_get(said, "message"));

    json_decref(said);
    return there;
}

/* ---- who is new ------------------------------------------------------------------------------ */

int yk_end_is_news(struct yk_hub *hub, const char *peer, const char *other, uint64_t generation)
{
    char name[YK_ENTRY_MAX];
    struct yk_nats_facts facts;
    struct yk_end mine, theirs;
    bool first = strcmp(peer, other) < 0;

    snprintf(name, sizeof name, "%s@%s", first ? peer : other, first ? other : peer);
    int result = yk_nats_find(hub, "link", name, &facts);
    if (result == -ENOENT || (result == 0 && facts.generation != generation))
        return 0;
    if (result == 0)
        result = yk_end_read(hub, other, peer, generation, &theirs);
    if (result == 0)
        result = yk_end_read(hub, peer, other, generation, &mine);
    if (result < 0 || theirs.state == YK_END_NEW)
        return result;
    return mine.state != YK_END_CLOSED || strcmp(mine.left, theirs.owner) != 0;
}
