/*
 * channel.h - what ports and links on JetStream have in common: messages that are published with an id until a
 * server answers, deliveries that wait in a queue until a call takes them and are acknowledged then, a name that
 * says which streams there are, and that whoever uses it says so.
 *
 * One mutex guards all of an endpoint; what arrives is put there by the client's thread, and each call sleeps
 * in poll() on descriptors, so that signals interrupt it as they do everywhere.
 */
#ifndef YK_NATS_CHANNEL_H
#define YK_NATS_CHANNEL_H

#include <pthread.h>

#include "here.h"

#define YK_NATS_HEADERS_MOST 512 /* of a message, which the server counts with its size */
/* Deliveries that are not acknowledged: no bound (libnats leaves out -1, and the servers say 1,000 then). */
#define YK_NATS_PENDING_MOST ((int64_t)8 << 20)
#define YK_NATS_ID_MOST      192 /* of a message's id, its end included */

#define YK_TRY_NS   (2 * YK_SECOND_NS)  /* for an answer, before it is asked once more */
#define YK_DOUBT_NS (15 * YK_SECOND_NS) /* then what is sent is in doubt, whatever the time-out */

/* Kinds of questions, in the subjects of their answers; YK_ASKED_RENEW, too. */
enum {
    YK_ASKED_SEND = 's',
    YK_ASKED_STATE = 'i',
    YK_ASKED_NEXT = 'n',
    YK_ASKED_WATCH = 'w',
    YK_ASKED_PARK = 'p',
    YK_ASKED_ELECTED = 'e',
    YK_ASKED_PURGE = 'x', /* whatever is answered */
};

enum yk_outcome {
    YK_UNANSWERED,
    YK_ACCEPTED,
    YK_FULL,
    YK_NOBODY,  /* no server has it just now, or none any more */
    YK_TOO_BIG, /* for the stream */
    YK_STALE,   /* another message was the last one, not that which was said to be */
    YK_REFUSED  /* `code` says why */
};

/* What a stream has; of a consumer: the first that is not acknowledged, and the last that it delivered. */
struct yk_state {
    uint64_t messages, first, last; /* sequences; with no message, first is last + 1 */
};

/* What a thread asked and waits for: tokens first to first + count - 1. */
struct yk_question {
    uint64_t first;
    size_t count, unanswered;
    enum yk_outcome *outcomes; /* one each */
    int code;                  /* of one that was refused */
    uint64_t number;           /* how many deliveries are to come */
    struct yk_state state;     /* of the stream that was asked about */
    int bell;                  /* rung when all are answered */
    struct yk_question *next;
};

/* One delivery. Its bytes follow, 16-byte aligned. */
struct yk_delivery {
    struct yk_delivery *next;
    uint64_t sequence, tag;
    uint32_t deliveries;
    int32_t sender;
    uint32_t marked; /* of those deliveries: 1, for one that may have been sent before */
    size_t size;
    int64_t arrived;                  /* CLOCK_MONOTONIC */
    char reply[YK_NATS_SUBJECT_MOST]; /* where it is acknowledged */
    _Alignas(16) unsigned char bytes[];
};

/* What the servers say of a delivery, beside what is in it. */
struct yk_delivered {
    uint64_t deliveries, sequence;
    bool again;      /* it may have been delivered before, though they do not say so */
    uint64_t number; /* the consumer's: how many it had delivered, with this one */
};

/* A message whose id is kept for when it is sent again: because it may be there, or others behind it are. */
struct yk_doubt {
    struct yk_doubt *next;
    uint64_t hash;
    bool again; /* it may be there */
    char id[YK_NATS_ID_MOST];
};

struct yk_loan {
    struct yk_loan *next;
    size_t size;
    _Alignas(16) unsigned char bytes[];
};

struct yk_channel;

/* What a kind has its own way. With the channel's mutex where nothing else is said. */
struct yk_channel_kind {
    const char *name;        /* "port": in subjects and sentences */
    uint32_t max_deliveries; /* unless options say so */
    int64_t ack_wait_ns;     /* at most; 0: as the place says */
    bool
        names_senders; /* options.as is for messages' ids: the same message, sent by another process, is known */
    /* Its streams, of that generation: are they there? Makes what is missing; removes them. */
    bool (*is_whole)(struct yk_hub *hub, const char *name, uint64_t generation);
    int (*make_whole)(struct yk_hub *hub, const char *name, const struct yk_nats_facts *facts);
    int (*remove_streams)(struct yk_hub *hub, const char *name, uint64_t generation);

    /* Without the mutex. Where the channel is first used in a process; it can not fail. */
    void (*begin)(struct yk_channel *channel);
    /* Before it says that it is there, and after it was; and when it is known to stay. NULL: nothing to do. */
    int (*join)(struct yk_channel *channel);
    void (*leave)(struct yk_channel *channel);
    int (*start)(struct yk_channel *channel);
    /* It is closed: nothing is delivered any more; and, when nothing arrives either, what it has goes back. */
    void (*deafen)(struct yk_channel *channel);
    void (*end)(struct yk_channel *channel);
    /* Frees what is its own, and begin() is next, or free(). Also in a child, of what is the parent's. */
    void (*forget)(struct yk_channel *channel);

    /* In the client's thread. An answer that is none of the common ones; the message is the channel's. */
    void (*arrived)(struct yk_channel *channel, char kind, uint64_t token, natsMsg *message);
    void (*delivered)(struct yk_channel *channel, char kind, natsMsg *message,
                      const struct yk_delivered *delivered);
    void (*told)(struct yk_channel *channel, char kind, uint64_t token, natsMsg *message);
    void (*tick)(struct yk_channel *channel, int64_t now);
    void (*interrupted)(struct yk_channel *channel,
                        bool over); /* as a line's; NULL: nothing to do */

    /* How many were sent, of messages that are good; or why the first was not. */
    ssize_t (*send)(struct yk_channel *channel, const struct yoke_message *messages, size_t count,
                    int64_t timeout_ns);
    /* Until there is a delivery in the queue; `wanted` could be taken at once. */
    int (*await)(struct yk_channel *channel, size_t wanted, int64_t timeout_ns);
    void (*emptied)(struct yk_channel *channel); /* the queue, by a call */
    /* What was borrowed is not wanted; the delivery is its to free, or to keep. */
    void (*give_back)(struct yk_channel *channel, struct yk_delivery *delivery);
    int (*watch)(
        struct yk_channel *channel); /* from now on `watched`: the bell tells of messages */
};

struct yk_channel {
    struct yk_line line; /* first */
    const struct yk_channel_kind *kind;
    struct yk_here here;
    json_t *description; /* of this process; what changes is added when it is sent */
    char place[YK_PLACE_MAX];
    unsigned forks; /* as yk_nats_forks() when it was opened, in this process */
    struct yk_nats_facts facts;
    char name[YK_ENTRY_MAX];            /* the object's */
    char label[YK_ENTRY_MAX + 8];       /* "port:jobs", "link:bob": for sentences */
    bool parked;                        /* ports: receives those */
    char subject[YK_NATS_SUBJECT_MOST]; /* where it sends to, and that stream's state */
    char state_subject[YK_NATS_SUBJECT_MOST + 64];
    yoke_endpoint *endpoint;         /* whose it is, once it is open */
    char scope[33];                  /* of its messages' ids */
    char as[YOKE_PEER_NAME_MAX + 1]; /* of those that have a number; "": none */
    char owner[YK_OWNER_MOST];       /* what it makes is that one's: see names.h */
    bool unseen;                     /* it does not say that it is there, and makes nothing */

    pthread_mutex_t mutex; /* of all that follows */
    pthread_cond_t left;
    unsigned inside; /* calls */
    bool cancelled, closing;
    int cancel; /* readable once it is cancelled */
    int bell;   /* readable while there is a delivery in `queue`, or it is cancelled */
    int also;   /* rung with it; -1: none */
    uint64_t token, numbered;
    struct yk_question *questions;
    struct yk_delivery *queue, *queue_end, *held;
    size_t held_count;
    bool watched; /* somebody has its descriptor: one message is to be here when there is one */
    struct yk_loan *loans;
    struct yk_doubt *doubts; /* in the order in which they were to be sent */
    size_t doubts_new; /* the first so many are of the messages that an id was chosen for last */
    uint64_t sent, received, empty, full;
    char acknowledged[YK_NATS_SUBJECT_MOST]; /* the reply of the delivery that was so last */
};

/* ---- channel.c: opening, closing, and how calls wait ---- */

/*
 * Opens the channel, which has its kind, name, label, place and the kind's own settings; all else is zero. It is
 * the endpoint's from then on; where that fails it is freed.
 */
int yk_channel_open(yoke_endpoint *endpoint, struct yk_channel *channel,
                    const struct yk_endpoint_operations *operations, uint32_t flags,
                    const struct yoke_options *options);
/* What can be refused of any: memory's flags, priorities, the policy once. */
int yk_channel_check(const struct yk_channel_kind *kind, uint32_t flags,
                     const struct yoke_options *options);
/* It is a part of the name of a stream, which has a bound: -EINVAL. */
int yk_channel_check_name(const char *kind, const char *name);
int yk_channel_remove(const struct yk_channel_kind *kind, const char *place, const char *name);
/* A work-queue stream for its messages. */
int yk_channel_add_stream(struct yk_hub *hub, const char *what, const char *name,
                          const struct yk_nats_facts *facts, int64_t most);
int yk_channel_remove_stream(struct yk_hub *hub, const char *what, const char *name,
                             uint64_t generation);

/*
 * A call begins: 0, with the mutex taken, or -ECANCELED. In a forked child the first one opens it anew (or fails
 * as yk_hub_get() does). With the mutex: it ends, and frees it.
 */
int yk_channel_enter(struct yk_channel *channel);
void yk_channel_leave(struct yk_channel *channel);
/* The same for one that does not wait, also of a cancelled one: the mutex is taken. */
int yk_channel_visit(struct yk_channel *channel);

/*
 * With the mutex: asks `count` questions, whose first token is then question->first; -EMFILE and
 * others. And forgets them.
 */
int yk_question_begin(struct yk_channel *channel, struct yk_question *question, size_t count,
                      enum yk_outcome *outcomes);
void yk_question_end(struct yk_channel *channel, struct yk_question *question);
struct yk_question *yk_question_find(struct yk_channel *channel, uint64_t token);
/* The only one of a question is answered. */
void yk_question_answer(struct yk_question *question, enum yk_outcome outcome);
/*
 * With the mutex, which is free meanwhile: until one of both (-1: none) is readable, or it is cancelled. 0;
 * -ETIMEDOUT; -EINTR; -ECANCELED.
 */
int yk_channel_sleep(struct yk_channel *channel, int first, int second, int64_t until);
/* Is the object itself gone? -ENOENT with a sentence, or 0. With the mutex, which is free meanwhile. */
int yk_channel_check_there(struct yk_channel *channel);

/* Operations, and what they call. */
void yk_channel_close(void *self);
int yk_channel_cancel(void *self);
size_t yk_channel_max_message(void *self);

/* ---- channel_send.c ---- */

/* One or several messages on their way at once. */
struct yk_round {
    struct yk_channel *channel;
    const struct yoke_message *messages;
    size_t count;
    char (*ids)[YK_NATS_ID_MOST];
    enum yk_outcome *outcomes;
    uint64_t after; /* the sequence that the stream's last message is to have; with `exact` */
    bool exact;
    /*
     * They may have them already: published more than once, or in doubt before. Servers drop what has an id that
     * they know; but a new leader, or one that was started again, does not know all. So these are marked.
     */
    bool again;
    bool
        marked; /* exact, and said again where the last number may be another: they may be there twice */
    bool out; /* something was handed to the client */
    struct yk_question question;
};

/*
 * Sends all of them, and once more what is not answered, until all are or `until`: 0, or as
 * yk_channel_sleep(), and then some outcomes are YK_UNANSWERED. -EHOSTUNREACH: there was no connection in all the
 * time, and nothing was sent.
 */
int yk_round_run(struct yk_round *round, int64_t until);
/* How a call waits to send: for room, and for the servers' answers. */
struct yk_sending {
    int64_t deadline; /* for room */
    int64_t answers;  /* for the servers: later, where there is no waiting for room */
    bool now;         /* no waiting for room */
    int64_t nobody_since, pause;
};
struct yk_sending yk_sending_begin(int64_t timeout_ns);
/* How long an answer may take; where little time is left, long enough for one that is on its way. */
int64_t yk_sending_answer_until(const struct yk_sending *sending);
/*
 * With the mutex, which is free meanwhile: there is no room, or no server has the stream; a while later it is to be
 * tried again (0). For room: -EAGAIN, -ETIMEDOUT; for servers: -EHOSTUNREACH, -ENOENT; or as yk_channel_sleep().
 */
int yk_sending_await_room(struct yk_channel *channel, struct yk_sending *sending);
int yk_sending_await_servers(struct yk_channel *channel, struct yk_sending *sending);

/* The sentence for an outcome that does not get better. */
int yk_round_refused(const struct yk_round *round, enum yk_outcome outcome, size_t size);
/* The id of a message: the one that was kept for it (true: it may be there), its own, or the next. */
bool yk_channel_choose_id(struct yk_channel *channel, const struct yoke_message *message,
                          char id[YK_NATS_ID_MOST]);
void yk_channel_doubt(struct yk_channel *channel, const struct yoke_message *message,
                      const char *id, bool again);
int yk_channel_in_doubt(const struct yk_channel *channel);
int yk_channel_no_answer(const struct yk_channel *channel);
/*
 * With the mutex, which is free meanwhile: asks about a stream or consumer, by its subject for that, until `until`.
 * 0; -ENXIO: no server has it now; or as yk_channel_sleep().
 */
int yk_channel_ask_state(struct yk_channel *channel, const char *subject, int64_t until,
                         struct yk_state *ret);
/* The answers. With the mutex; the message stays the caller's. */
void yk_channel_take_answer(struct yk_channel *channel, char kind, uint64_t token,
                            natsMsg *message);
/* What an answer to a send says. */
enum yk_outcome yk_state_of(natsMsg *message, struct yk_state *ret);
enum yk_outcome yk_outcome_of(natsMsg *message, int *ret_code);

ssize_t yk_channel_send_many(void *self, const struct yoke_message *messages, size_t count,
                             int64_t timeout_ns);
ssize_t yk_channel_commit_many(void *self, const struct yoke_message *messages, size_t count,
                               int64_t timeout_ns);
int yk_channel_loan(void *self, size_t size, void **ret_block, int64_t timeout_ns);

/* ---- channel_receive.c ---- */

/* An ear's arrived(). */
void yk_channel_hear(struct yk_ear *ear, uint64_t token, natsMsg *message);
/* NULL: no memory. */
struct yk_delivery *yk_delivery_new(natsMsg *message, const struct yk_delivered *delivered);
/* At the end of the queue, which is told by the bell. */
void yk_channel_enqueue(struct yk_channel *channel, struct yk_delivery *delivery);
struct yk_delivery *yk_channel_dequeue(struct yk_channel *channel);
/* It is received: frees it. */
void yk_channel_acknowledge(struct yk_channel *channel, struct yk_delivery *delivery);
void yk_channel_ring(struct yk_channel *channel);
void yk_channel_silence(struct yk_channel *channel);

ssize_t yk_channel_recv_many(void *self, struct yoke_message *messages, size_t count,
                             int64_t timeout_ns);
ssize_t yk_channel_borrow_many(void *self, struct yoke_message *messages, size_t count,
                               int64_t timeout_ns);
int yk_channel_release(void *self, const void *message);
int yk_channel_give_back(void *self, const void *message);
int yk_channel_fd(void *self);

/* What an endpoint of any kind can do by all of these. */
#define YK_CHANNEL_OPERATIONS                                                                      \
    .close = yk_channel_close, .cancel = yk_channel_cancel, .max_message = yk_channel_max_message, \
    .fd = yk_channel_fd, .send_many = yk_channel_send_many, .recv_many = yk_channel_recv_many,     \
    .borrow_many = yk_channel_borrow_many, .commit_many = yk_channel_commit_many,                  \
    .loan = yk_channel_loan, .release = yk_channel_release, .give_back = yk_channel_give_back

#endif
