/*
 * api.c - see api.h.
 */
#include "api.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_MS 3000
#define LIST_MS   8000 /* servers wait for 4 s for those of them that are away */
#define WHAT_MOST (YK_NATS_SUBJECT_MOST + 64)

/* ---- asking ---------------------------------------------------------------------------------- */

/* Who may not ask gets no answer: what the server said of it comes by itself. */
static int fail_silent(struct yk_hub *hub, natsStatus status, const char *doing)
{
    const char *said = NULL;

    if (status == NATS_TIMEOUT &&
        natsConnection_GetLastError(hub->connection, &said) == NATS_NOT_PERMITTED)
        return yk_fail(EACCES, "%s: this user may not: %.300s", doing, said ? said : "");
    return yk_hub_fail(status, 0, doing);
}

static int read_answer(natsMsg *message, const char *doing, json_t **ret)
{
    json_t *answer =
        json_loadb(natsMsg_GetData(message), (size_t)natsMsg_GetDataLength(message), 0, NULL);
    json_t *error = json_object_get(answer, "error");
    const char *text = json_string_value(json_object_get(error, "description"));
    json_int_t status = json_integer_value(json_object_get(error, "code"));
    json_int_t code = json_integer_value(json_object_get(error, "err_code"));
    int result = 0;

    if (!json_is_object(answer))
        result = yk_fail(EREMOTEIO, "%s: the answer is none of JetStream's", doing);
    else if (error && status == 404)
        result = yk_fail(ENOENT, "%s: %.200s", doing, text ? text : "there is none");
    else if (error)
        result = yk_fail(EREMOTEIO, "%s: %.200s (JetStream says %d)", doing,
                         text ? text : "refused", (int)code);
    if (result < 0)
        json_decref(answer);
    else
        *ret = answer;
    return result;
}

static int ask(struct yk_hub *hub, const char *what, json_t *body, const char *doing,
               int64_t milliseconds, json_t **ret)
{
    char subject[WHAT_MOST];
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    natsMsg *message = NULL;

    snprintf(subject, sizeof subject, "$JS.API.%s", what);
    natsStatus status = natsConnection_Request(&message, hub->connection, subject, text ? text : "",
                                               text ? (int)strlen(text) : 0, milliseconds);
    json_decref(body);
    free(text);
    if (status != NATS_OK)
        return fail_silent(hub, status, doing);
    int result = read_answer(message, doing, ret);
    natsMsg_Destroy(message);
    return result;
}

int yk_api_ask(struct yk_hub *hub, const char *what, json_t *body, const char *doing, json_t **ret)
{
    return ask(hub, what, body, doing, ANSWER_MS, ret);
}

int yk_api_list(struct yk_hub *hub, size_t offset, json_t **ret)
{
    return ask(hub, "STREAM.LIST", json_pack("{s:I}", "offset", (json_int_t)offset),
               "listing the streams", LIST_MS, ret);
}

/* ---- stored messages ------------------------------------------------------------------------- */

static int digit_of(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c ? strchr(digits, c) : NULL;

    return at ? (int)(at - digits) : -1;
}

/* Of base64; one byte more follows, which is 0. NULL: no memory. */
static unsigned char *decode(const char *text, size_t *ret_size)
{
    unsigned char *bytes = malloc(strlen(text) / 4 * 3 + 4);
    unsigned bits = 0, count = 0;
    size_t size = 0;

    for (; bytes && *text; text++) {
        int digit = digit_of(*text);
        if (digit < 0)
            break; /* what fills it up at its end */
        bits = (bits << 6 | (unsigned)digit) & 0xffff;
        count += 6;
        if (count >= 8) {
            count -= 8;
            bytes[size++] = (unsigned char)(bits >> count);
        }
    }
    if (bytes)
        bytes[size] = '\0';
    *ret_size = size;
    return bytes;
}

void yk_stored_fini(struct yk_stored *stored)
{
    free(stored->subject);
    free(stored->headers);
    free(stored->data);
}

uint64_t yk_stored_number(const struct yk_stored *stored, const char *header)
{
    size_t length = strlen(header);

    for (const char *line = stored->headers; (line = strstr(line, "\r\n")) != NULL;) {
        line += 2;
        if (strncmp(line, header, length) == 0 && line[length] == ':')
            return strtoull(line + length + 1, NULL, 10);
    }
    return 0;
}

int yk_stored_read(const json_t *answer, const char *doing, struct yk_stored *ret)
{
    const json_t *message = json_object_get(answer, "message");
    const char *subject = json_string_value(json_object_get(message, "subject"));
    const char *headers = json_string_value(json_object_get(message, "hdrs"));
    const char *data = json_string_value(json_object_get(message, "data"));
    json_int_t sequence = json_integer_value(json_object_get(message, "seq"));
    size_t size;

    if (!subject || sequence <= 0)
        return yk_fail(EREMOTEIO, "%s: the answer is none of JetStream's", doing);
    *ret = (struct yk_stored){.sequence = (uint64_t)sequence, .subject = strdup(subject)};
    ret->headers = (char *)decode(headers ? headers : "", &size);
    ret->data = decode(data ? data : "", &ret->size);
    if (ret->subject && ret->headers && ret->data)
        return 1;
    yk_stored_fini(ret);
    return yk_fail(ENOMEM, "no memory for a message");
}

int yk_api_next(struct yk_hub *hub, const char *stream, uint64_t from, const char *subject,
                struct yk_stored *ret)
{
    static const char doing[] = "looking at the messages of a stream";
    char what[WHAT_MOST];
    json_t *answer;

    snprintf(what, sizeof what, "STREAM.MSG.GET.%s", stream);
    int result = from <= 1 ? yk_nats_await_stream(hub, stream) : 1; /* later in it, there was one */
    if (result <= 0)
        return result;
    result = yk_api_ask(hub, what,
                        json_pack("{s:I, s:s}", "seq", (json_int_t)(from ? from : 1),
                                  "next_by_subj", subject),
                        doing, &answer);
    if (result < 0)
        return result == -ENOENT ? 0 : result;
    result = yk_stored_read(answer, doing, ret);
    json_decref(answer);
    if (result == 1 && ret->sequence < from) { /* it would go on for ever */
        yk_stored_fini(ret);
        result = yk_fail(EREMOTEIO, "%s: the answer is none of JetStream's", doing);
    }
    return result;
}
