/*
 * names.h - which objects there are: the stream PREFIX-names has one message for each, by whose sequence
 * number the streams of the object are named, so that no stream's name is ever used twice (what
 * a server still has of a removed one would come back in it).
 *
 * A creator writes the name first, then makes the streams; whoever finds the name without them makes them. To
 * remove, the name goes first: its message is deleted by its sequence, which one of two who try can. (A change
 * names the sequence that it changes, too, but in a cluster several may succeed: nats-server 2.9.10, see
 * tests/nats/facts.py. That is enough for a mark, which only who deletes it relies on.)
 *
 * A transient object goes with its last user: who leaves marks the name as closing, looks who is there, and then
 * either removes the object or takes the mark away. Who comes says that he is there first and reads the name then:
 * either he finds the mark, and waits or takes it away himself, or the other one finds him.
 */
#ifndef YK_NATS_NAMES_H
#define YK_NATS_NAMES_H

#include "hub.h"

#define YK_NATS_TOKEN_MOST   (3 * YK_ENTRY_MAX) /* a name, encoded */
#define YK_NATS_SUBJECT_MOST (YK_NATS_TOKEN_MOST + 128)
#define YK_OWNER_MOST        17 /* bytes of the text that tells one owner from another, its end included */

/* What is said of an object when it is made; it keeps that. */
struct yk_nats_facts {
    uint64_t generation;
    uint64_t sequence; /* of the name's last word: the generation, or a later mark's */
    bool closing;
    uint64_t max_message;
    uint32_t depth, max_deliveries, max_parked, max_borrowed;
    bool kept;
    int32_t replicas;
    int64_t ack_wait_ns;
    int64_t created_ns; /* CLOCK_REALTIME of the creator */
    int32_t creator;    /* its process id */
    char host[65];      /* and machine */
    char owner
        [YK_OWNER_MOST]; /* of what goes with one owner of a peer's name: that one's number; "": of all else */
};

/* A name as one token of a subject, and as a part of a stream's name. */
void yk_nats_encode(char token[YK_NATS_TOKEN_MOST], const char *name);
/* The other way round; false: no such encoding makes that. */
bool yk_nats_decode(char name[YK_ENTRY_MAX], const char *token);

/* "PREFIX.port.NAME.GENERATION" and so on. */
void yk_nats_subject(char subject[YK_NATS_SUBJECT_MOST], const struct yk_hub *hub, const char *what,
                     const char *name, uint64_t generation);
void yk_nats_stream(char stream[YK_NATS_SUBJECT_MOST], const struct yk_hub *hub, const char *what,
                    const char *name, uint64_t generation);

/* A name's message, which has that number in the stream of names. false: no yoke wrote it. */
bool yk_nats_facts_read(const char *data, size_t size, uint64_t sequence,
                        struct yk_nats_facts *ret);
/* The object's facts. -ENOENT: there is none; -EPROTO: what stands there no yoke wrote. */
int yk_nats_find(struct yk_hub *hub, const char *kind, const char *name, struct yk_nats_facts *ret);
/* Writes its name: 0, with the generation filled in. -EEXIST: another was faster. */
int yk_nats_create(struct yk_hub *hub, const char *kind, const char *name,
                   struct yk_nats_facts *facts);
/* Takes the name away. -ENOENT: it went, or was changed, meanwhile. */
int yk_nats_retire(struct yk_hub *hub, const char *kind, const char *name,
                   const struct yk_nats_facts *facts);
/* Marks it, or takes the mark away. -EEXIST: it was changed meanwhile. */
int yk_nats_mark(struct yk_hub *hub, const char *kind, const char *name,
                 struct yk_nats_facts *facts, bool closing);

/*
 * A list has the last word about each of its subjects; the names are one, in the stream PREFIX-names. 0, with the
 * word's sequence (0: there was none) and its message (NULL: none, or it was taken away). And writes the next one:
 * -EEXIST if `last` was not the last.
 */
int yk_nats_ensure_list(struct yk_hub *hub, const char *list); /* makes it if there is none */
int yk_nats_last_word(struct yk_hub *hub, const char *list, const char *subject,
                      uint64_t *ret_sequence, natsMsg **ret);
int yk_nats_write_word(struct yk_hub *hub, const char *subject, const char *data, uint64_t last,
                       uint64_t *ret_sequence);

/*
 * Is the stream there, and made? 1, and *ret is the caller's; 0: it is not; or as yk_hub_fail(). A server that is asked
 * for a message of one that it is only just making dies of it, so this comes before each such question about a stream
 * which somebody else may be making now. And the same with nothing to hand back.
 */
int yk_nats_stream_info(struct yk_hub *hub, const char *stream, jsStreamInfo **ret);
int yk_nats_await_stream(struct yk_hub *hub, const char *stream);

/*
 * Adds the stream, with so many replicas; 0: with as many as the place says, or else with three where there is a cluster,
 * and hub->replicas is as many from then on.
 */
int yk_nats_add_stream(struct yk_hub *hub, jsStreamConfig *config, int replicas, const char *what);

#endif
