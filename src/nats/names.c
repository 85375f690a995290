/*
 * names.c - see names.h.
 */
#include "names.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define REPLICAS      3
#define MADE_LOOKS    1000
#define MADE_PAUSE_NS (10 * YK_MILLISECOND_NS)
#define OVERLAP_TRIES 3
#define NONE_LOOKS    4
#define NONE_PAUSE_NS (50 * YK_MILLISECOND_NS)
#define LIST          "names" /* the stream */
#define HEX           "0123456789ABCDEF"

/* ---- names as tokens ---- */

static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
}

void yk_nats_encode(char token[YK_NATS_TOKEN_MOST], const char *name)
{
    for (; *name; name++) {
        unsigned char byte = (unsigned char)*name;
        if (is_plain(*name)) {
            *token++ = *name;
            continue;
        }
        *token++ = '=';
        *token++ = HEX[byte >> 4];
        *token++ = HEX[byte & 15];
    }
    *token = '\0';
}

static int hex_digit(char c)
{
    const char *at = c ? strchr(HEX, c) : NULL;

    return at ? (int)(at - HEX) : -1;
}

bool yk_nats_decode(char name[YK_ENTRY_MAX], const char *token)
{
    size_t length = 0;

    for (; *token && length + 1 < YK_ENTRY_MAX; token++) {
        if (*token != '=') {
            if (!is_plain(*token))
                return false;
            name[length++] = *token;
            continue;
        }
        int high = hex_digit(token[1]), low = high < 0 ? -1 : hex_digit(token[2]);
        if (low < 0 || high * 16 + low <= ' ' || high * 16 + low > '~' || high * 16 + low == '/')
            return false;
        name[length++] = (char)(high * 16 + low);
        token += 2;
    }
    name[length] = '\0';
    return *token == '\0' && length > 0 && name[0] != '.';
}

static void compose(char *text, char between, const struct yk_hub *hub, const char *what,
                    const char *name, uint64_t generation)
{
    char token[YK_NATS_TOKEN_MOST];

    yk_nats_encode(token, name);
    snprintf(text, YK_NATS_SUBJECT_MOST, "%s%c%s%c%s%c%" PRIu64, hub->where.prefix, between, what,
             between, token, between, generation);
}

void yk_nats_subject(char subject[YK_NATS_SUBJECT_MOST], const struct yk_hub *hub, const char *what,
                     const char *name, uint64_t generation)
{
    compose(subject, '.', hub, what, name, generation);
}

void yk_nats_stream(char stream[YK_NATS_SUBJECT_MOST], const struct yk_hub *hub, const char *what,
                    const char *name, uint64_t generation)
{
    compose(stream, '-', hub, what, name, generation);
}

/* ---- streams ---- */

/*
 * nats-server (2.9.10) tells of a stream, takes messages for it and looks for them in it before its store is made: asked
 * for a message then, it dies of a null pointer. What tells is that it was created at no time yet.
 */
static bool is_made(const jsStreamInfo *info)
{
    return info->Created > 0;
}

int yk_nats_stream_info(struct yk_hub *hub, const char *stream, jsStreamInfo **ret)
{
    natsStatus status;
    jsErrCode code;
    int64_t until = 0;

    for (int look = 0; look < MADE_LOOKS; look++) {
        do {
            code = 0;
            status = js_GetStreamInfo(ret, hub->js, stream, NULL, &code);
        } while (yk_hub_again(hub, status, code, &until));
        if (code == JSStreamNotFoundErr)
            return 0;
        if (status != NATS_OK)
            return yk_hub_fail(status, code, "looking for a stream");
        if (is_made(*ret))
            return 1;
        jsStreamInfo_Destroy(*ret);
        nanosleep(&(struct timespec){.tv_nsec = MADE_PAUSE_NS}, NULL);
    }
    return yk_fail(EREMOTEIO, "the server makes the stream %s, and does not end", stream);
}

int yk_nats_await_stream(struct yk_hub *hub, const char *stream)
{
    jsStreamInfo *info;
    int result = yk_nats_stream_info(hub, stream, &info);

    if (result == 1)
        jsStreamInfo_Destroy(info);
    return result;
}

static natsStatus add_stream(struct yk_hub *hub, jsStreamConfig *config, jsErrCode *code)
{
    natsStatus status;
    int64_t until = 0;

    do {
        *code = 0;
        status = js_AddStream(NULL, hub->js, config, NULL, code);
    } while (yk_hub_again(hub, status, *code, &until));
    return status;
}

/* As the place says, or else as what is there has; 0: that is found out. */
static int replicas_of(const struct yk_hub *hub)
{
    return hub->where.replicas ? hub->where.replicas : hub->replicas;
}

int yk_nats_add_stream(struct yk_hub *hub, jsStreamConfig *config, int replicas, const char *what)
{
    jsErrCode code;
    bool given = replicas > 0, unsure = !given && replicas_of(hub) == 0;

    config->Replicas = given ? replicas : unsure ? REPLICAS : replicas_of(hub);
    natsStatus status = add_stream(hub, config, &code);
    if (status != NATS_OK && unsure && code == JSStreamReplicasNotSupportedErr) {
        config->Replicas = 1;
        status = add_stream(hub, config, &code);
    }
    for (int again = 0; code == JSStreamSubjectOverlapErr && again < OVERLAP_TRIES; again++)
        status = add_stream(hub, config, &code); /* with itself: another one made it just then */
    if (status == NATS_OK) {
        if (!given)
            hub->replicas = (int)config->Replicas;
        int result =
            yk_nats_await_stream(hub, config->Name); /* who came second is answered at once */
        return result < 0 ? result : 0;
    }
    /* one that is there already was made with other options: by another prefix's yoke, or by hand */
    return yk_hub_fail(status, code, what);
}

static void list_stream(char stream[YK_NATS_PREFIX_MOST + 8], const struct yk_hub *hub,
                        const char *list)
{
    snprintf(stream, YK_NATS_PREFIX_MOST + 8, "%s-%.6s", hub->where.prefix, list);
}

static void name_subject(char subject[YK_NATS_SUBJECT_MOST], const struct yk_hub *hub,
                         const char *kind, const char *name)
{
    char token[YK_NATS_TOKEN_MOST];

    yk_nats_encode(token, name);
    snprintf(subject, YK_NATS_SUBJECT_MOST, "%s.names.%s.%s", hub->where.prefix, kind, token);
}

int yk_nats_ensure_list(struct yk_hub *hub, const char *list)
{
    char stream[YK_NATS_PREFIX_MOST + 8], subject[YK_NATS_PREFIX_MOST + 16];
    jsStreamInfo *info;
    jsStreamConfig config;

    list_stream(stream, hub, list);
    int result = yk_nats_stream_info(hub, stream, &info);
    if (result == 1) {
        /* with as many replicas as whoever came first said */
        hub->replicas = hub->replicas ? hub->replicas : (int)info->Config->Replicas;
        jsStreamInfo_Destroy(info);
    }
    if (result != 0)
        return result < 0 ? result : 0;
    snprintf(subject, sizeof subject, "%s.%.6s.>", hub->where.prefix, list);
    jsStreamConfig_Init(&config);
    config.Name = stream;
    config.Subjects = (const char *[]){subject};
    config.SubjectsLen = 1;
    config.MaxMsgsPerSubject = 1;
    config.Storage = js_FileStorage;
    return yk_nats_add_stream(hub, &config, 0, "making a list in the place");
}

/* ---- what a name says ---- */

static json_t *facts_to_json(const char *kind, const struct yk_nats_facts *facts)
{
    return json_pack("{s:s, s:I, s:b, s:I, s:I, s:I, s:I, s:I, s:b, s:I, s:I, s:I, s:I, s:s, s:s}",
                     "kind", kind, "generation", (json_int_t)facts->generation, "closing",
                     (int)facts->closing, "max_message", (json_int_t)facts->max_message, "depth",
                     (json_int_t)facts->depth, "max_deliveries", (json_int_t)facts->max_deliveries,
                     "max_parked", (json_int_t)facts->max_parked, "max_borrowed",
                     (json_int_t)facts->max_borrowed, "kept", (int)facts->kept, "replicas",
                     (json_int_t)facts->replicas, "ack_wait_ns", (json_int_t)facts->ack_wait_ns,
                     "created_ns", (json_int_t)facts->created_ns, "creator",
                     (json_int_t)facts->creator, "host", facts->host, "owner", facts->owner);
}

static bool facts_from_json(const char *data, size_t size, struct yk_nats_facts *facts)
{
    json_int_t generation, max_message, depth, max_deliveries, max_parked, max_borrowed, replicas,
        ack_wait, created, creator;
    const char *host, *owner = "";
    int kept, closing;
    json_t *object = json_loadb(data, size, 0, NULL);
    bool good =
        object &&
        json_unpack(object,
                    "{s:I, s:b, s:I, s:I, s:I, s:I, s:I, s:b, s:I, s:I, s:I, s:I, s:s, s?s}",
                    "generation", &generation, "closing", &closing, "max_message", &max_message,
                    "depth", &depth, "max_deliveries", &max_deliveries, "max_parked", &max_parked,
                    "max_borrowed", &max_borrowed, "kept", &kept, "replicas", &replicas,
                    "ack_wait_ns", &ack_wait, "created_ns", &created, "creator", &creator, "host",
                    &host, "owner", &owner) == 0 &&
        max_message >= 0 && max_message <= (json_int_t)YOKE_MESSAGE_MAX && depth > 0 &&
        depth <= 1 << 20 && max_deliveries >= 0 && max_deliveries <= UINT32_MAX &&
        max_parked >= 0 && max_parked <= UINT32_MAX && max_borrowed > 0 &&
        max_borrowed <= UINT32_MAX && ack_wait > 0;

    if (good) {
        *facts = (struct yk_nats_facts){
            .generation = (uint64_t)generation, /* 0: the first word's own number */
            .closing = closing != 0,
            .max_message = (uint64_t)max_message,
            .depth = (uint32_t)depth,
            .max_deliveries = (uint32_t)max_deliveries,
            .max_parked = (uint32_t)max_parked,
            .max_borrowed = (uint32_t)max_borrowed,
            .kept = kept != 0,
            .replicas = (int32_t)replicas,
            .ack_wait_ns = ack_wait,
            .created_ns = created,
            .creator = (int32_t)creator};
        snprintf(facts->host, sizeof facts->host, "%s", host);
        snprintf(facts->owner, sizeof facts->owner, "%s", owner);
    }
    json_decref(object);
    return good;
}

bool yk_nats_facts_read(const char *data, size_t size, uint64_t sequence, struct yk_nats_facts *ret)
{
    struct yk_nats_facts facts;

    if (!facts_from_json(data, size, &facts))
        return false;
    *ret = facts;
    ret->sequence = sequence;
    ret->generation = facts.generation ? facts.generation : sequence;
    return true;
}

/* What the servers say now: a message that was taken away is none. The list's stream is made. */
static int last_word(struct yk_hub *hub, const char *list, const char *subject,
                     uint64_t *ret_sequence, natsMsg **ret)
{
    char stream[YK_NATS_PREFIX_MOST + 8];
    natsMsg *message = NULL;
    natsStatus status;
    jsErrCode code;
    int64_t until = 0;

    *ret = NULL;
    *ret_sequence = 0;
    list_stream(stream, hub, list);
    do {
        code = 0;
        status = js_GetLastMsg(&message, hub->js, stream, subject, NULL, &code);
    } while (yk_hub_again(hub, status, code, &until));
    if (code == JSStreamNotFoundErr || code == JSNoMessageFoundErr || status == NATS_NOT_FOUND)
        return 0;
    if (status != NATS_OK)
        return yk_hub_fail(status, code, "looking for a name");
    *ret_sequence = natsMsg_GetSequence(message);
    if (natsMsg_GetDataLength(message) > 0)
        *ret = message;
    else
        natsMsg_Destroy(message);
    return 0;
}

/*
 * A server that has just become the leader of the stream may answer before it has all that its predecessor
 * had: in a cluster "none" is believed when it was said some times.
 */
int yk_nats_last_word(struct yk_hub *hub, const char *list, const char *subject,
                      uint64_t *ret_sequence, natsMsg **ret)
{
    int looks = yk_hub_is_clustered(hub) ? NONE_LOOKS : 1;
    char stream[YK_NATS_PREFIX_MOST + 8];

    *ret = NULL;
    *ret_sequence = 0;
    list_stream(stream, hub, list);
    int result = yk_nats_await_stream(hub, stream);
    if (result <= 0)
        return result;
    result = 0;
    for (int i = 0; i < looks && result == 0 && !*ret; i++) {
        if (i > 0)
            nanosleep(&(struct timespec){.tv_nsec = NONE_PAUSE_NS}, NULL);
        result = last_word(hub, list, subject, ret_sequence, ret);
    }
    return result;
}

int yk_nats_find(struct yk_hub *hub, const char *kind, const char *name, struct yk_nats_facts *ret)
{
    char subject[YK_NATS_SUBJECT_MOST];
    uint64_t sequence;
    natsMsg *message;

    name_subject(subject, hub, kind, name);
    int result = yk_nats_last_word(hub, LIST, subject, &sequence, &message);
    if (result < 0)
        return result;
    if (!message)
        return yk_fail(ENOENT, "there is no %s:%s in this place", kind, name);
    if (!yk_nats_facts_read(natsMsg_GetData(message), (size_t)natsMsg_GetDataLength(message),
                            sequence, ret))
        result = yk_fail(EPROTO, "what the place says of %s:%s was written by no yoke", kind, name);
    natsMsg_Destroy(message);
    return result;
}

int yk_nats_write_word(struct yk_hub *hub, const char *subject, const char *data, uint64_t last,
                       uint64_t *ret_sequence)
{
    jsPubOptions options;
    jsPubAck *answer = NULL;
    natsStatus status;
    jsErrCode code;
    int64_t until = 0;

    jsPubOptions_Init(&options);
    options.ExpectLastSubjectSeq = last;
    options.ExpectNoMessage = last == 0;
    do { /* one without an answer may have been written, and would stand in its own way */
        code = 0;
        status = js_Publish(&answer, hub->js, subject, data, (int)strlen(data), &options, &code);
    } while (status != NATS_TIMEOUT && yk_hub_again(hub, status, code, &until));
    if (status == NATS_OK && ret_sequence)
        *ret_sequence = answer->Sequence;
    jsPubAck_Destroy(answer);
    if (code == JSStreamWrongLastSequenceErr)
        return -EEXIST;
    return status == NATS_OK ? 0 : yk_hub_fail(status, code, "writing a name");
}

static int write_facts(struct yk_hub *hub, const char *kind, const char *subject,
                       const struct yk_nats_facts *facts, uint64_t last, uint64_t *ret_sequence)
{
    json_t *object = facts_to_json(kind, facts);
    char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;

    json_decref(object);
    if (!text)
        return yk_fail(ENOMEM, "no memory for a name");
    int result = yk_nats_write_word(hub, subject, text, last, ret_sequence);
    free(text);
    return result;
}

int yk_nats_create(struct yk_hub *hub, const char *kind, const char *name,
                   struct yk_nats_facts *facts)
{
    char subject[YK_NATS_SUBJECT_MOST];
    uint64_t last;
    natsMsg *message;
    struct timespec now;

    int result = yk_nats_ensure_list(hub, LIST);
    name_subject(subject, hub, kind, name);
    if (result == 0)
        result = last_word(hub, LIST, subject, &last, &message);
    if (result < 0)
        return result;
    if (message) {
        natsMsg_Destroy(message);
        return -EEXIST;
    }
    clock_gettime(CLOCK_REALTIME, &now);
    facts->created_ns = now.tv_sec * YK_SECOND_NS + now.tv_nsec;
    facts->creator = getpid();
    facts->replicas = replicas_of(hub);
    if (gethostname(facts->host, sizeof facts->host - 1) < 0)
        facts->host[0] = '\0';
    yk_nats_make_plain(facts->host);
    facts->generation = 0; /* the number that it gets */
    facts->closing = false;
    result = write_facts(hub, kind, subject, facts, last, &facts->sequence);
    facts->generation = facts->sequence;
    return result;
}

int yk_nats_mark(struct yk_hub *hub, const char *kind, const char *name,
                 struct yk_nats_facts *facts, bool closing)
{
    char subject[YK_NATS_SUBJECT_MOST];
    struct yk_nats_facts marked = *facts;

    marked.closing = closing;
    name_subject(subject, hub, kind, name);
    int result = write_facts(hub, kind, subject, &marked, facts->sequence, &marked.sequence);
    if (result == 0)
        *facts = marked;
    return result;
}

int yk_nats_retire(struct yk_hub *hub, const char *kind, const char *name,
                   const struct yk_nats_facts *facts)
{
    char stream[YK_NATS_PREFIX_MOST + 8];
    natsStatus status;
    jsErrCode code;
    int64_t until = 0;

    list_stream(stream, hub, LIST);
    do {
        code = 0;
        status = js_DeleteMsg(hub->js, stream, facts->sequence, NULL, &code);
    } while (yk_hub_again(hub, status, code, &until));
    if (code == JSSequenceNotFoundErr)
        return yk_fail(ENOENT, "%s:%s was removed or changed meanwhile", kind, name);
    return status == NATS_OK ? 0 : yk_hub_fail(status, code, "removing a name");
}
