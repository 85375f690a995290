/*
 * here.c - see here.h.
 */
#include "here.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "api.h"

#define RENEWALS 6 /* in a lease */

static void stream_name(char stream[YK_NATS_PREFIX_MOST + 8], const struct yk_hub *hub)
{
    sprintf(stream, "%s-here", hub->where.prefix);
}

static int find_lease(struct yk_hub *hub, const char *stream)
{
    jsStreamInfo *info;
    int result = yk_nats_stream_info(hub, stream, &info);

    if (result == 1) {
        hub->lease_ns = info->Config->MaxAge;
        jsStreamInfo_Destroy(info);
    }
    return result < 0 ? result : 0;
}

/* It is as long as whoever came first said. */
static int ensure_stream(struct yk_hub *hub)
{
    char stream[YK_NATS_PREFIX_MOST + 8], subject[YK_NATS_PREFIX_MOST + 16];
    jsStreamConfig config;

    if (hub->lease_ns > 0)
        return 0;
    stream_name(stream, hub);
    int result = find_lease(hub, stream);
    if (result < 0 || hub->lease_ns > 0)
        return result;
    sprintf(subject, "%s.here.>", hub->where.prefix);
    jsStreamConfig_Init(&config);
    config.Name = stream;
    config.Subjects = (const char *[]){subject};
    config.SubjectsLen = 1;
    config.MaxMsgsPerSubject = 1;
    config.Storage = js_FileStorage; /* so a single server that was started again has it, too */
    config.MaxAge = hub->where.lease_ns;
    config.Duplicates = hub->where.lease_ns; /* no more than the age, and none is used */
    result = yk_nats_add_stream(hub, &config, 0, "making the stream of who is there");
    if (result < 0 && find_lease(hub, stream) == 0 && hub->lease_ns > 0)
        return 0; /* another one made it, with another lease */
    hub->lease_ns = result == 0 ? hub->where.lease_ns : 0;
    return result;
}

json_t *yk_here_describe(void)
{
    char host[65] = "", command[17] = "";
    struct timespec now;
    FILE *file = fopen("/proc/self/comm", "re");

    if (file && fgets(command, sizeof command, file))
        command[strcspn(command, "\n")] = '\0';
    if (file)
        fclose(file);
    if (gethostname(host, sizeof host - 1) < 0)
        host[0] = '\0';
    yk_nats_make_plain(command);
    yk_nats_make_plain(host);
    clock_gettime(CLOCK_REALTIME, &now);
    return json_pack("{s:s, s:I, s:s%, s:I, s:I}", "host", host, "pid", (json_int_t)getpid(),
                     "command", command, strnlen(command, 15), "uid", (json_int_t)getuid(), "since",
                     (json_int_t)(now.tv_sec * YK_SECOND_NS + now.tv_nsec));
}

static char *take_text(json_t *description)
{
    char *text = description ? json_dumps(description, JSON_COMPACT) : NULL;

    json_decref(description);
    return text;
}

/* It goes on while the process, or the machine, is stopped. */
static int64_t boot_time(void)
{
    struct timespec now;

    clock_gettime(CLOCK_BOOTTIME, &now);
    return now.tv_sec * YK_SECOND_NS + now.tv_nsec;
}

static int enter(struct yk_here *here, const char *text, jsPubOptions *options)
{
    struct yk_line *line = here->line;
    jsPubAck *answer = NULL;
    natsStatus status;
    jsErrCode code;
    int64_t until = 0;

    do { /* one without an answer may have been written, and would stand in its own way */
        code = 0;
        here->confirmed = boot_time();
        status = js_Publish(&answer, line->hub->js, here->subject, text, (int)strlen(text), options,
                            &code);
    } while (status != NATS_TIMEOUT && yk_hub_again(line->hub, status, code, &until));

    if (status == NATS_OK)
        here->sequence = here->expected = answer->Sequence;
    jsPubAck_Destroy(answer);
    here->next = yk_nats_now() + line->hub->lease_ns / RENEWALS;
    if (code == JSStreamWrongLastSequenceErr)
        return -EADDRINUSE;
    return status == NATS_OK ? 0 : yk_hub_fail(status, code, "saying who is there");
}

int yk_here_enter(struct yk_here *here, struct yk_line *line, const char *kind, const char *name,
                  uint64_t generation, json_t *description)
{
    char base[YK_NATS_SUBJECT_MOST], what[32];
    char *text = take_text(description);

    if (!text)
        return yk_fail(ENOMEM, "no memory for an endpoint");
    *here = (struct yk_here){.line = line};
    yk_nats_random_hex(here->owner, 8);
    snprintf(what, sizeof what, "here.%s", kind);
    yk_nats_subject(base, line->hub, what, name, generation);
    snprintf(here->subject, sizeof here->subject, "%s.%s", base, here->owner);
    int result = ensure_stream(line->hub);
    if (result == 0)
        result = enter(here, text, NULL);
    free(text);
    return result;
}

int yk_here_enter_alone(struct yk_here *here, struct yk_line *line, const char *kind,
                        const char *name, json_t *description)
{
    char token[YK_NATS_TOKEN_MOST];
    jsPubOptions options;

    *here = (struct yk_here){.line = line, .alone = true};
    yk_nats_random_hex(here->owner, 8);
    json_object_set_new(description, "owner", json_string(here->owner));
    char *text = take_text(description);
    if (!text)
        return yk_fail(ENOMEM, "no memory for a peer");
    yk_nats_encode(token, name);
    snprintf(here->subject, sizeof here->subject, "%s.here.%s.%s", line->hub->where.prefix, kind,
             token);
    jsPubOptions_Init(&options);
    options.ExpectNoMessage = true;
    int result = ensure_stream(line->hub);
    if (result == 0)
        result = enter(here, text, &options);
    free(text);
    return result == -EADDRINUSE
               ? yk_fail(EADDRINUSE, "%s:%s is the name of another living process", kind, name)
               : result;
}

bool yk_here_is_due(const struct yk_here *here, int64_t now)
{
    return here->sequence != 0 && !here->lost && now >= here->next;
}

static void renew_alone(struct yk_here *here, const char *reply, const char *text)
{
    char number[64];
    natsMsg *message = NULL;

    here->begun = here->begun ? here->begun : boot_time();
    if (natsMsg_Create(&message, here->subject, reply, text, (int)strlen(text)) != NATS_OK)
        return;
    snprintf(number, sizeof number, "%" PRIu64, here->expected);
    natsMsgHeader_Set(message, "Nats-Expected-Last-Subject-Sequence", number);
    snprintf(number, sizeof number, "%s.%" PRIu64, here->owner, here->number);
    natsMsgHeader_Set(message, "Nats-Msg-Id", number);
    natsConnection_PublishMsg(here->line->hub->connection, message);
    natsMsg_Destroy(message);
}

static void ask_whose(const struct yk_here *here, const char *reply)
{
    char stream[YK_NATS_PREFIX_MOST + 8], subject[sizeof stream + 32];
    char body[sizeof here->subject + 32];

    stream_name(stream, here->line->hub);
    snprintf(subject, sizeof subject, "$JS.API.STREAM.MSG.GET.%s", stream);
    snprintf(body, sizeof body, "{\"last_by_subj\":\"%s\"}", here->subject);
    yk_hub_ask(here->line, subject, reply, body, strlen(body));
}

void yk_here_renew(struct yk_here *here, int64_t now, json_t *description)
{
    char reply[YK_NATS_REPLY_MOST];
    char *text = take_text(description);

    here->next = now + here->line->hub->lease_ns / RENEWALS;
    if (!text)
        return;
    yk_hub_reply(here->line, YK_ASKED_RENEW, here->number, reply);
    if (here->doubted)
        ask_whose(here, reply);
    else if (here->alone)
        renew_alone(here, reply, text);
    else
        yk_hub_ask(here->line, here->subject, reply, text, strlen(text));
    free(text);
}

/*
 * The message was another than that which was to be renewed. None: the servers lost it, as they do when a single one
 * is started again; then it is made anew, which succeeds unless somebody else is there by then. Else it is looked
 * whose it is: the answer to a renewal may have been lost with the server that gave it, whose successor does not
 * know its id any more.
 */
static void renewal_refused(struct yk_here *here, const json_t *error)
{
    const char *text = json_string_value(json_object_get(error, "description"));
    const char *colon = text ? strrchr(text, ':') : NULL;

    if (json_integer_value(json_object_get(error, "err_code")) != JSStreamWrongLastSequenceErr)
        return;
    here->number++;
    here->begun = here->next = 0;
    here->doubted = !colon || strtoull(colon + 1, NULL, 10) != 0;
    if (!here->doubted)
        here->expected = 0;
}

/* Whose it is, or that there is none by now. No answer to that: it is asked again. */
static void take_whose(struct yk_here *here, const json_t *answer, const json_t *error)
{
    struct yk_stored stored;

    if (error) {
        if (json_integer_value(json_object_get(error, "err_code")) != JSNoMessageFoundErr)
            return;
        here->expected = 0;
    } else if (yk_stored_read(answer, "renewing a name", &stored) == 1) {
        here->lost = !strstr((const char *)stored.data, here->owner);
        here->sequence = here->expected = stored.sequence;
        yk_stored_fini(&stored);
    } else {
        return;
    }
    here->doubted = false;
    here->number++;
    here->next = 0;
}

void yk_here_answer(struct yk_here *here, uint64_t number, natsMsg *message)
{
    json_t *answer =
        json_loadb(natsMsg_GetData(message), (size_t)natsMsg_GetDataLength(message), 0, NULL);
    const json_t *error = json_object_get(answer, "error");
    json_int_t sequence = json_integer_value(json_object_get(answer, "seq"));

    if (number == here->number && here->doubted) {
        take_whose(here, answer, error);
    } else if (number == here->number && error && here->alone) {
        renewal_refused(here, error);
    } else if (number == here->number && sequence > 0) {
        here->sequence = here->expected = (uint64_t)sequence;
        here->number += here->alone;
        here->confirmed = here->begun;
        here->begun = 0;
    }
    json_decref(answer);
}

/* One that is renewed just now, or without a connection, may be left behind, and goes when its time is over. */
void yk_here_leave(struct yk_here *here)
{
    char stream[YK_NATS_PREFIX_MOST + 8];

    if (here->sequence == 0 || here->lost || yk_hub_is_away(here->line->hub))
        return;
    stream_name(stream, here->line->hub);
    js_DeleteMsg(here->line->hub->js, stream, here->sequence, NULL, NULL);
    here->sequence = 0;
}

void yk_here_ask(struct yk_line *line, char kind, const char *what, const char *name,
                 uint64_t generation, const char *owner)
{
    char reply[YK_NATS_REPLY_MOST], stream[YK_NATS_PREFIX_MOST + 8], base[YK_NATS_SUBJECT_MOST];
    char subject[sizeof stream + 32], body[sizeof base + 64], here[32];

    stream_name(stream, line->hub);
    snprintf(subject, sizeof subject, "$JS.API.STREAM.MSG.GET.%s", stream);
    snprintf(here, sizeof here, "here.%s", what);
    yk_nats_subject(base, line->hub, here, name, generation);
    snprintf(body, sizeof body, "{\"last_by_subj\":\"%s.%s\"}", base, owner);
    yk_hub_reply(line, kind, 0, reply);
    yk_hub_ask(line, subject, reply, body, strlen(body));
}

bool yk_here_is_gone(natsMsg *answer)
{
    json_t *said =
        json_loadb(natsMsg_GetData(answer), (size_t)natsMsg_GetDataLength(answer), 0, NULL);
    const json_t *error = json_object_get(said, "error");
    bool gone =
        error && json_integer_value(json_object_get(error, "err_code")) == JSNoMessageFoundErr;

    json_decref(said);
    return gone;
}

bool yk_here_is_certain(const struct yk_here *here)
{
    return !here->lost && boot_time() - here->confirmed < here->line->hub->lease_ns;
}

int yk_here_count(struct yk_hub *hub, const char *kind, const char *name, uint64_t generation,
                  uint64_t *ret)
{
    char stream[YK_NATS_PREFIX_MOST + 8], base[YK_NATS_SUBJECT_MOST], what[32];
    char filter[sizeof base + 2];
    jsStreamInfo *info = NULL;
    jsErrCode code = 0;
    jsOptions options;

    stream_name(stream, hub);
    snprintf(what, sizeof what, "here.%s", kind);
    yk_nats_subject(base, hub, what, name, generation);
    snprintf(filter, sizeof filter, "%s.>", base);
    jsOptions_Init(&options);
    options.Stream.Info.SubjectsFilter = filter;
    natsStatus status = js_GetStreamInfo(&info, hub->js, stream, &options, &code);
    if (code == JSStreamNotFoundErr) { /* nobody ever was there, of anything */
        *ret = 0;
        return 0;
    }
    if (status == NATS_OK)
        *ret = info->State.Subjects ? (uint64_t)info->State.Subjects->Count : 0;
    jsStreamInfo_Destroy(info);
    return status == NATS_OK ? 0 : yk_hub_fail(status, code, "asking who is there");
}

/* ---- words ----------------------------------------------------------------------------------- */

int yk_here_read_word(struct yk_line *line, const char *what, const char *name, uint64_t generation,
                      char ret[YK_HERE_WORD_MOST])
{
    char stream[YK_NATS_PREFIX_MOST + 8], subject[YK_NATS_SUBJECT_MOST], kind[32];
    natsMsg *message = NULL;
    jsErrCode code = 0;

    ret[0] = '\0';
    stream_name(stream, line->hub);
    snprintf(kind, sizeof kind, "here.%s", what);
    yk_nats_subject(subject, line->hub, kind, name, generation);
    natsStatus status;
    int64_t until = 0;

    do {
        code = 0;
        status = js_GetLastMsg(&message, line->hub->js, stream, subject, NULL, &code);
    } while (yk_hub_again(line->hub, status, code, &until));
    if (code == JSNoMessageFoundErr)
        return 0;
    if (status != NATS_OK)
        return yk_hub_fail(status, code, "asking what happened before");
    snprintf(ret, YK_HERE_WORD_MOST, "%.*s", natsMsg_GetDataLength(message),
             natsMsg_GetData(message));
    natsMsg_Destroy(message);
    return 0;
}

void yk_here_write_word(struct yk_line *line, const char *what, const char *name,
                        uint64_t generation, const char *word)
{
    char subject[YK_NATS_SUBJECT_MOST], kind[32];

    snprintf(kind, sizeof kind, "here.%s", what);
    yk_nats_subject(subject, line->hub, kind, name, generation);
    natsConnection_Publish(line->hub->connection, subject, word, (int)strlen(word));
}
