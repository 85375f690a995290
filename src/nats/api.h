/*
 * api.h - questions to JetStream's own interface ($JS.API.…), whose answers are read as they are: for who
 * looks on, who needs more of them than the client's calls hand on. No right is needed but to ask.
 */
#ifndef YK_NATS_API_H
#define YK_NATS_API_H

#include <jansson.h>

#include "names.h"

/* What there is not, among the codes of refusals. */
#define YK_API_NO_STREAM(code)   ((code) == JSStreamNotFoundErr)
#define YK_API_NO_CONSUMER(code) ((code) == JSConsumerNotFoundErr)

/*
 * Asks "$JS.API.WHAT", with the body (stolen; NULL: none). 0, and the answer is the caller's. -ENOENT: there is no
 * such stream, consumer or message; else as yk_hub_fail(), with `doing` in the sentence.
 */
int yk_api_ask(struct yk_hub *hub, const char *what, json_t *body, const char *doing, json_t **ret);

/* What there is to tell of all streams, from that one on: as many as an answer holds. */
int yk_api_list(struct yk_hub *hub, size_t offset, json_t **ret);

/* A message as it is stored. */
struct yk_stored {
    uint64_t sequence;
    char *subject, *headers; /* owned; headers: "" if it has none */
    unsigned char *data;     /* owned */
    size_t size;
};
void yk_stored_fini(struct yk_stored *stored);
/* The number that a header says, or 0. */
uint64_t yk_stored_number(const struct yk_stored *stored, const char *header);

/* Out of the answer of $JS.API.STREAM.MSG.GET: 1, or as yk_api_ask(), with `doing` in the sentence. */
int yk_stored_read(const json_t *answer, const char *doing, struct yk_stored *ret);

/* The first one from that number on whose subject fits: 1; 0: there is none; or as yk_api_ask(). */
int yk_api_next(struct yk_hub *hub, const char *stream, uint64_t from, const char *subject,
                struct yk_stored *ret);

#endif
