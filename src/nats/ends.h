/*
 * ends.h - what is said of the ends of links: the stream PREFIX-ends has the last word about each, under the subject
 * PREFIX.ends.WHOSE.OTHER.GENERATION. So all ends of others' links to a peer are one filter, PREFIX.ends.*.PEER.*, by
 * which a peer that waits for others to open links hears of them, and looks for those of which it did not hear.
 */
#ifndef YK_NATS_ENDS_H
#define YK_NATS_ENDS_H

#include "names.h"

#define YK_STEPS_MOST  64
#define YK_END_SUBJECT (2 * YK_NATS_TOKEN_MOST + 128)

/* How often messages were delivered to earlier owners, up to and including a sequence. */
struct yk_step {
    uint64_t upto;
    uint32_t count;
};

enum yk_end_state {
    YK_END_NEW, /* nobody was there yet */
    YK_END_OPEN,
    YK_END_CLOSED,
    YK_END_DIED,
};

/* What is said of one. */
struct yk_end {
    enum yk_end_state state;
    uint64_t word; /* the sequence of its message; 0: there is none */
    char owner[17], consumer[17];
    char left
        [17]; /* of one that is closed: who then was the last owner of the other end; "": nobody */
    struct yk_step steps[YK_STEPS_MOST];
    size_t step_count;
    uint64_t perhaps; /* up to here a message may have been delivered without being counted */
};

void yk_end_subject(char subject[YK_END_SUBJECT], const struct yk_hub *hub, const char *whose,
                    const char *other, uint64_t generation);
/* The end of WHOSE on the link with OTHER. 0, or as yk_hub_fail(); -EPROTO: no yoke wrote that. */
int yk_end_read(struct yk_hub *hub, const char *whose, const char *other, uint64_t generation,
                struct yk_end *ret);
bool yk_end_parse(const char *data, size_t size, struct yk_end *ret);
/* The next word after end->word, which becomes its number. -EEXIST: somebody else wrote one meanwhile. */
int yk_end_write(struct yk_hub *hub, const char *whose, const char *other, uint64_t generation,
                 struct yk_end *end);

int yk_ends_ensure(struct yk_hub *hub); /* makes the stream if there is none */
/* Of a link that is removed. What stays, where that fails, is of no use to anybody. */
void yk_ends_remove(struct yk_hub *hub, const char *link, uint64_t generation);

/* "PREFIX.ends.*.PEER.*". */
void yk_ends_filter(char filter[YK_END_SUBJECT], const struct yk_hub *hub, const char *peer);
/*
 * The next end of somebody's link to that peer, by its word with that number or a later one. 1, with the word's number,
 * whose end it is ("": no yoke wrote that) and the link's generation; 0: there is none; or as yk_hub_fail().
 */
int yk_ends_next(struct yk_hub *hub, const char *peer, uint64_t from, uint64_t *ret_word,
                 char ret_other[YOKE_PEER_NAME_MAX + 1], uint64_t *ret_generation);
/* Asks whether there is one; the answer comes to the line. Does it say so? Nothing waits here. */
void yk_ends_ask(const struct yk_line *line, char kind, const char *peer, uint64_t from);
bool yk_ends_are_there(natsMsg *answer);

/*
 * May that peer, who has not this link open, be expected to open it? 1: it never did, or somebody new came to the other
 * end since it closed it; 0; or as yk_hub_fail().
 */
int yk_end_is_news(struct yk_hub *hub, const char *peer, const char *other, uint64_t generation);

#endif
