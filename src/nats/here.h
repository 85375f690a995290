/*
 * here.h - who takes part, as far as the servers know: the stream PREFIX-here has one message for each, which its
 * owner renews, and which goes by itself when that has not happened for the place's lease.
 */
#ifndef YK_NATS_HERE_H
#define YK_NATS_HERE_H

#include <jansson.h>

#include "names.h"

#define YK_HERE_OWNER  YK_OWNER_MOST
#define YK_ASKED_RENEW 'h' /* the kind of its questions */

/* One participant. Its owner guards it; entering and leaving wait for the servers, renewing does not. */
struct yk_here {
    struct yk_line *line;
    char subject[YK_NATS_SUBJECT_MOST + 64];
    uint64_t sequence; /* of its message; 0: it has none */
    int64_t next;      /* when it is renewed (CLOCK_MONOTONIC) */
    /* of one who is alone: there is one message for all who could be it */
    bool alone;
    bool lost;         /* another one is, or was: it had not renewed it in time */
    uint64_t expected; /* what is renewed */
    bool doubted;      /* it was another message: whose? */
    uint64_t number;   /* of the renewal, which is repeated until it is answered */
    int64_t
        begun; /* when that was sent first, and the last one that was answered (CLOCK_BOOTTIME) */
    int64_t confirmed;
    char owner[YK_HERE_OWNER]; /* unique, as is the subject's end of one who is not alone */
};

/* What is the same for all of a process: host, pid, command, uid and since when. A new JSON object, or NULL. */
json_t *yk_here_describe(void);

/* Says that it is there. It steals the description. 0, or as yk_hub_fail(). */
int yk_here_enter(struct yk_here *here, struct yk_line *line, const char *kind, const char *name,
                  uint64_t generation, json_t *description);
/*
 * Says that it is there (and who, in the description), and nobody else under that name: -EADDRINUSE where somebody is, or was and did not leave,
 * for as long as the lease.
 */
int yk_here_enter_alone(struct yk_here *here, struct yk_line *line, const char *kind,
                        const char *name, json_t *description);
/* Is it time to say so again? */
bool yk_here_is_due(const struct yk_here *here, int64_t now);
/* Says so again, and steals the description; the answer comes to the line. */
void yk_here_renew(struct yk_here *here, int64_t now, json_t *description);
void yk_here_answer(struct yk_here *here, uint64_t number, natsMsg *message);
void yk_here_leave(struct yk_here *here);

/*
 * Asks whether that participant of an object is there; the answer comes to the line, of that kind, and yk_here_is_gone()
 * understands it. `owner` is as its yk_here has it.
 */
void yk_here_ask(struct yk_line *line, char kind, const char *what, const char *name,
                 uint64_t generation, const char *owner);
bool yk_here_is_gone(natsMsg *answer);

/* Of one who is alone: is it certain that nobody else is there? Not when it was not renewed within the lease. */
bool yk_here_is_certain(const struct yk_here *here);

/* How many take part in that object now. */
int yk_here_count(struct yk_hub *hub, const char *kind, const char *name, uint64_t generation,
                  uint64_t *ret);

/* A word that all who take part in that object share, until a lease after it was written last; "": none. */
#define YK_HERE_WORD_MOST 128
int yk_here_read_word(struct yk_line *line, const char *what, const char *name, uint64_t generation,
                      char ret[YK_HERE_WORD_MOST]);
void yk_here_write_word(struct yk_line *line, const char *what, const char *name,
                        uint64_t generation, const char *word);

#endif
