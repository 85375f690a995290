/*
 * here.c - see here.h.
 */
#include "here.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define RENEWALS 6 /* in a lease */

static void stream_name(char stream[YK_NATS_PREFIX_MOST + 8], const struct yk_hub *hub)
{
    sprintf(stream, "%s-here", hub->where.prefix);
}

static int find_lease(struct yk_hub *hub, const char *stream)
{
    jsStreamInfo *info = NULL;
    jsErrCode code = 0;
    natsStatus status = js_GetStreamInfo(&info, hub->js, stream, NULL, &code);

    if (status == NATS_OK)
        hub->lease_ns = info->Config->MaxAge;
    jsStreamInfo_Destroy(info);
    if (code == JSStreamNotFoundErr)
        return 0;
    return status == NATS_OK ? 0
                             : yk_hub_fail(status, code, "looking for the stream of who is there");
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
    config.Storage = js_MemoryStorage;
    config.MaxAge = hub->where.lease_ns;
    config.Duplicates = hub->where.lease_ns; /* no more than the age, and none is used */
    result = yk_nats_add_stream(hub, &config, "making the stream of who is there");
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

int yk_here_enter(struct yk_here *here, struct yk_line *line, const char *kind, const char *name,
                  uint64_t generation, json_t *description)
{
    char unique[17];
    jsPubAck *answer = NULL;
    jsErrCode code = 0;
    char *text = take_text(description);

    if (!text)
        return yk_fail(ENOMEM, "no memory for an endpoint");
    int result = ensure_stream(line->hub);
    if (result == 0) {
        char base[YK_NATS_SUBJECT_MOST], what[32];
        *here = (struct yk_here){.line = line};
        snprintf(what, sizeof what, "here.%s", kind);
        yk_nats_subject(base, line->hub, what, name, generation);
        yk_nats_random_hex(unique, 8);
        snprintf(here->subject, sizeof here->subject, "%s.%s", base, unique);
        natsStatus status =
            js_Publish(&answer, line->hub->js, here->subject, text, (int)strlen(text), NULL, &code);
        if (status == NATS_OK)
            here->sequence = answer->Sequence;
        else
            result = yk_hub_fail(status, code, "saying who is there");
        jsPubAck_Destroy(answer);
        here->next = yk_nats_now() + line->hub->lease_ns / RENEWALS;
    }
    free(text);
    return result;
}

bool yk_here_is_due(const struct yk_here *here, int64_t now)
{
    return here->sequence != 0 && now >= here->next;
}

void yk_here_renew(struct yk_here *here, int64_t now, json_t *description)
{
    char reply[YK_NATS_REPLY_MOST];
    char *text = take_text(description);

    here->next = now + here->line->hub->lease_ns / RENEWALS;
    if (!text)
        return;
    yk_hub_reply(here->line, YK_ASKED_RENEW, 0, reply);
    yk_hub_ask(here->line, here->subject, reply, text, strlen(text));
    free(text);
}

void yk_here_answer(struct yk_here *here, natsMsg *message)
{
    json_t *answer =
        json_loadb(natsMsg_GetData(message), (size_t)natsMsg_GetDataLength(message), 0, NULL);
    json_int_t sequence = json_integer_value(json_object_get(answer, "seq"));

    if (sequence > 0)
        here->sequence = (uint64_t)sequence;
    json_decref(answer);
}

/* One that is renewed just now may be left behind, and goes when its time is over. */
void yk_here_leave(struct yk_here *here)
{
    char stream[YK_NATS_PREFIX_MOST + 8];

    if (here->sequence == 0)
        return;
    stream_name(stream, here->line->hub);
    js_DeleteMsg(here->line->hub->js, stream, here->sequence, NULL, NULL);
    here->sequence = 0;
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
    if (status == NATS_OK)
        *ret = info->State.Subjects ? (uint64_t)info->State.Subjects->Count : 0;
    jsStreamInfo_Destroy(info);
    return status == NATS_OK ? 0 : yk_hub_fail(status, code, "asking who is there");
}
