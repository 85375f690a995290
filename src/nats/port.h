/*
 * port.h - a port on JetStream: a work-queue stream, one durable consumer that all receivers share, and a
 * second stream of the same sort for what was delivered too often.
 *
 * One mutex guards all of an endpoint; what arrives is put there by the client's thread (port_receive.c,
 * port_send.c), and each call sleeps in poll() on descriptors, so that signals interrupt it as they do
 * everywhere.
 */
#ifndef YK_NATS_PORT_H
#define YK_NATS_PORT_H

#include <pthread.h>

#include "here.h"

#define YK_NATS_CONSUMER "receivers"
#define YK_NATS_ID_MOST  192 /* of a message's id, its end included */

/* Kinds of questions, in the subjects of their answers. */
enum {
    YK_ASKED_SEND = 's',
    YK_ASKED_STATE = 'i',
    YK_ASKED_NEXT = 'n',
    YK_ASKED_WATCH = 'w',
    YK_ASKED_PARK = 'p'
};

enum yk_outcome {
    YK_UNANSWERED,
    YK_ACCEPTED,
    YK_FULL,
    YK_NOBODY,  /* no server has it just now, or none any more */
    YK_TOO_BIG, /* for the stream */
    YK_REFUSED  /* `code` says why */
};

/* What a thread asked and waits for: tokens first to first + count - 1. */
struct yk_question {
    uint64_t first;
    size_t count, unanswered;
    enum yk_outcome *outcomes; /* one each */
    int code;                  /* of one that was refused */
    uint64_t number, last;     /* the answer, where it is one: messages there, and a sequence */
    int bell;                  /* rung when all are answered */
    struct yk_question *next;
};

/* One delivery. Its bytes follow, 16-byte aligned. */
struct yk_delivery {
    struct yk_delivery *next;
    uint64_t sequence, tag;
    uint32_t deliveries;
    int32_t sender;
    size_t size;
    int64_t arrived;                  /* CLOCK_MONOTONIC */
    char reply[YK_NATS_SUBJECT_MOST]; /* where it is acknowledged */
    _Alignas(16) unsigned char bytes[];
};

/* A message of which it is not known whether it was sent. */
struct yk_doubt {
    struct yk_doubt *next;
    uint64_t hash;
    char id[YK_NATS_ID_MOST];
};

/* A message on its way to the parked ones. */
struct yk_parking {
    struct yk_parking *next;
    uint64_t token;
    char reply[YK_NATS_SUBJECT_MOST];
};

struct yk_loan {
    struct yk_loan *next;
    size_t size;
    _Alignas(16) unsigned char bytes[];
};

struct yk_nats_port {
    struct yk_line line; /* first */
    struct yk_here here;
    json_t *description; /* of this process; what changes is added when it is sent */
    char place[YK_PLACE_MAX];
    unsigned forks;              /* as yk_nats_forks() when it was opened, in this process */
    struct yk_ear next, watcher; /* of the calls' requests; of those for its descriptor */
    struct yk_nats_facts facts;
    char name[YK_ENTRY_MAX];
    bool parked;                                                      /* receives those */
    char subject[YK_NATS_SUBJECT_MOST], stream[YK_NATS_SUBJECT_MOST]; /* where it sends to */
    char parked_subject[YK_NATS_SUBJECT_MOST];
    char next_subject[YK_NATS_SUBJECT_MOST + 64];     /* what is asked for the next message */
    char state_subject[YK_NATS_SUBJECT_MOST + 64];    /* and how much is in its stream */
    char source_subject[YK_NATS_SUBJECT_MOST + 64];   /* in the one that it receives from */
    char consumer_subject[YK_NATS_SUBJECT_MOST + 64]; /* and how much of that was delivered */
    char scope[YOKE_PEER_NAME_MAX + 40];              /* of its messages' ids */
    bool named;                                       /* the scope is options.as */

    pthread_mutex_t mutex; /* of all that follows */
    pthread_cond_t left;
    unsigned inside; /* calls */
    bool cancelled, closing;
    int cancel; /* readable once it is cancelled */
    int bell;   /* readable while there is a delivery in `queue`, or it is cancelled */
    uint64_t token, numbered;
    struct yk_question *questions;
    struct yk_delivery *queue, *queue_end, *held;
    size_t held_count;
    bool watched; /* somebody has its descriptor: one message is to be here when there is one */
    int64_t watch_over; /* until when one is asked for; 0: none is */
    uint64_t token_watched;
    int64_t beaten; /* when the servers were told last that held ones are being worked on */
    struct yk_parking *parkings;
    struct yk_loan *loans;
    struct yk_doubt *doubts;
    uint64_t sent, received, empty, full;
};

int yk_nats_port_open(yoke_endpoint *endpoint, const struct yk_address *address, uint32_t flags,
                      const struct yoke_options *options);
int yk_nats_port_remove(const struct yk_address *address);

/* ---- for the files of the port ---- */

/*
 * A call begins: 0, with the mutex taken, or -ECANCELED. In a forked child the first one opens it anew (or fails
 * as yk_hub_get() does). With the mutex: it ends, and frees it.
 */
int yk_nats_port_enter(struct yk_nats_port *port);
void yk_nats_port_leave(struct yk_nats_port *port);
/* The same for one that does not wait, also of a cancelled one: the mutex is taken. */
int yk_nats_port_visit(struct yk_nats_port *port);

/*
 * With the mutex: asks `count` questions, whose first token is then question->first; -EMFILE and
 * others. And forgets them.
 */
int yk_question_begin(struct yk_nats_port *port, struct yk_question *question, size_t count,
                      enum yk_outcome *outcomes);
void yk_question_end(struct yk_nats_port *port, struct yk_question *question);
/*
 * With the mutex, which is free meanwhile: until one of both (-1: none) is readable, or it is cancelled. 0;
 * -ETIMEDOUT; -EINTR; -ECANCELED.
 */
int yk_nats_port_sleep(struct yk_nats_port *port, int first, int second, int64_t until);
/* Is the port itself gone? -ENOENT with a sentence, or 0. Without the mutex. */
int yk_nats_port_check_there(struct yk_nats_port *port);

/*
 * With the mutex, which is free meanwhile: asks for the state of a stream or a consumer. False: no answer. Else
 * how many messages the stream has, and its last sequence; or the last that the consumer delivered.
 */
bool yk_nats_port_ask_state(struct yk_nats_port *port, const char *subject, uint64_t *ret_messages,
                            uint64_t *ret_last);

/* The answers. With the mutex; the message stays the caller's. */
void yk_nats_port_take_answer(struct yk_nats_port *port, char kind, uint64_t token,
                              natsMsg *message);
void yk_nats_port_hear(struct yk_ear *ear, uint64_t token, natsMsg *message);
void yk_nats_port_take_parked(struct yk_nats_port *port, uint64_t token, natsMsg *message);
/* What an answer to a send says. */
enum yk_outcome yk_outcome_of(natsMsg *message, int *ret_code);
void yk_nats_port_receiving_tick(struct yk_nats_port *port, int64_t now);
/* All that it has goes back. */
void yk_nats_port_give_all_back(struct yk_nats_port *port);

ssize_t yk_nats_port_send_many(void *self, const struct yoke_message *messages, size_t count,
                               int64_t timeout_ns);
ssize_t yk_nats_port_commit_many(void *self, const struct yoke_message *messages, size_t count,
                                 int64_t timeout_ns);
int yk_nats_port_loan(void *self, size_t size, void **ret_block, int64_t timeout_ns);
ssize_t yk_nats_port_recv_many(void *self, struct yoke_message *messages, size_t count,
                               int64_t timeout_ns);
ssize_t yk_nats_port_borrow_many(void *self, struct yoke_message *messages, size_t count,
                                 int64_t timeout_ns);
int yk_nats_port_release(void *self, const void *message);
int yk_nats_port_give_back(void *self, const void *message);
int yk_nats_port_fd(void *self);

#endif
