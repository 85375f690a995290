/*
 * hub.h - one connection to a place's servers, shared by all of this process that is open there, with
 * one inbox for every answer, and one thread that keeps alive what is held.
 *
 * A line is one endpoint's share of it: answers to what was asked through it come to it alone. Threads
 * of libnats and the keeper call it; they take no signals, so that those go to the program's own.
 *
 * A forked child has no hubs: what it inherited opens one of its own, see fork.h.
 *
 * Locks: the hub's, then a line's owner's; libnats's own are below both.
 */
#ifndef YK_NATS_HUB_H
#define YK_NATS_HUB_H

#include <nats/nats.h>
#include <pthread.h>

#include "fork.h"
#include "where.h"

#define YK_NATS_REPLY_MOST 96 /* of the subject of an answer */
#define YK_NATS_CALL_MS    5000

struct yk_hub;

struct yk_line {
    struct yk_hub *hub;
    uint64_t id;
    /*
     * An answer, to the question with that kind and token. The message is the callee's to destroy.
     * Called by one thread at a time.
     */
    void (*arrived)(struct yk_line *line, char kind, uint64_t token, natsMsg *message);
    void (*tick)(struct yk_line *line, int64_t now); /* some times a second */
    /* The connection was lost; and is there again, to another server perhaps. What was told meanwhile was missed. */
    void (*interrupted)(struct yk_line *line, bool over);
    struct yk_line *next;
};

struct yk_hub {
    natsConnection *connection;
    jsCtx *js;
    struct yk_nats_where where;
    int replicas;     /* of what is created; found out once the first was */
    int64_t lease_ns; /* how long who is there need not say so; 0: not known yet */
    /* the rest is hub.c's */
    char place[YK_PLACE_MAX];
    char inbox[48];
    natsSubscription *answers;
    pthread_mutex_t wire_mutex; /* of the connection's socket; nothing is locked inside */
    struct yk_wire wire;
    unsigned gathering;      /* how many calls are */
    pthread_mutex_t mutex;   /* of `lines` */
    pthread_cond_t finished; /* tells the keeper, with `ends` */
    struct yk_line *lines;
    uint64_t last_line; /* the newest one's id */
    int64_t since;      /* when it was connected last; under `mutex` */
    bool ends;
    bool away;   /* no server answered to the last flush; under `mutex` */
    bool closed; /* the client calls nothing of it any more; under `mutex` */
    pthread_t keeper;
    pthread_mutex_t peers_mutex; /* of the next, see peer.h; above `mutex` */
    struct yk_nats_peer *peers;
    unsigned users; /* under the table's mutex, with `next` */
    struct yk_hub *next;
};

/*
 * The hub of that place, connected, until yk_hub_put(). -EHOSTUNREACH (no server answers), -EACCES (it
 * does not let this user in), -ENOTSUP (no JetStream, too old), -EINVAL, -ENOMEM.
 */
int yk_hub_get(struct yk_hub **ret, const char *place);
void yk_hub_put(struct yk_hub *hub);
/* From now on it gets what arrives. */
void yk_hub_add(struct yk_hub *hub, struct yk_line *line);
/* Neither of its functions runs any more, and what arrives later is given back to the server. */
void yk_hub_remove(struct yk_line *line);

/* Where the answer to a question of this kind and token is to be sent. */
void yk_hub_reply(const struct yk_line *line, char kind, uint64_t token,
                  char reply[YK_NATS_REPLY_MOST]);

/*
 * Deliveries keep the subject under which they were sent, so that who asked for them is only known by the
 * subscription that they come through: each who receives has one of his own, an ear.
 */
struct yk_ear {
    struct yk_line *line;
    char kind;
    natsSubscription *subscription; /* NULL: it does not listen */
    bool over;                      /* the client calls arrived() no more; under the hub's mutex */
    /* As a line's; token 0: a delivery, which does not say what it answers. */
    void (*arrived)(struct yk_ear *ear, uint64_t token, natsMsg *message);
};
int yk_ear_open(struct yk_ear *ear);
/* The same for whatever is published there: all of it comes with token 0. */
int yk_ear_open_at(struct yk_ear *ear, const char *subject);
/* Nothing that was on its way is lost: arrived() gets it before this returns. */
void yk_ear_close(struct yk_ear *ear);
void yk_ear_reply(const struct yk_ear *ear, uint64_t token, char reply[YK_NATS_REPLY_MOST]);

/* Sends it at once, or keeps it until there is a connection. As natsConnection_PublishRequest(). */
natsStatus yk_hub_ask(const struct yk_line *line, const char *subject, const char *reply,
                      const void *data, size_t size);
/* Acknowledgements: of one delivery, known by the subject that it asks to be answered at. */
void yk_hub_acknowledge(struct yk_hub *hub, const char *reply, const char *verb);
/* What is sent until the second of these goes out in few pieces; in time, if there is none. */
void yk_hub_gather(struct yk_hub *hub);
void yk_hub_scatter(struct yk_hub *hub);
/* What was sent before is with the server when it returns (true), or the time is over. */
bool yk_hub_flush(struct yk_hub *hub, int64_t milliseconds);
/* Was that so the last time? Then it is tried again, for a moment: who closes waits for servers that are away once. */
bool yk_hub_is_away(struct yk_hub *hub);
bool yk_hub_connected(const struct yk_hub *hub);
/* Are there several servers, by their own word? */
bool yk_hub_is_clustered(const struct yk_hub *hub);

/*
 * After a question that may be asked twice: is the error one that goes by itself, as while a cluster has no leader
 * for something? Then it waits a little, and it is to be asked again; until that has gone on for long (*until: 0 at
 * first).
 */
bool yk_hub_again(const struct yk_hub *hub, natsStatus status, jsErrCode code, int64_t *until);

/* The sentence for what libnats said, with what was to be done. Returns the negative errno. */
int yk_hub_fail(natsStatus status, jsErrCode code, const char *what);

#endif
