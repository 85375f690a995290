/*
 * port.h - a port on JetStream: a work-queue stream, one durable consumer that all receivers share, and a
 * second stream of the same sort for what was delivered too often.
 */
#ifndef YK_NATS_PORT_H
#define YK_NATS_PORT_H

#include "channel.h"

#define YK_NATS_CONSUMER "receivers"

/* A message on its way to the parked ones. */
struct yk_parking {
    struct yk_parking *next;
    uint64_t token;
    char reply[YK_NATS_SUBJECT_MOST];
};

struct yk_nats_port {
    struct yk_channel channel;   /* first */
    struct yk_ear next, watcher; /* of the calls' requests; of those for its descriptor */
    struct yk_ear elections;     /* of leaders, in a cluster */
    char purge_subject[YK_NATS_SUBJECT_MOST + 64];
    char parked_subject[YK_NATS_SUBJECT_MOST];
    char next_subject[YK_NATS_SUBJECT_MOST + 64]; /* what is asked for the next message */
    char source_subject[YK_NATS_SUBJECT_MOST +
                        64]; /* how much is in the stream that it receives from */
    char elected_subject[YK_NATS_SUBJECT_MOST + 64];
    char consumer_subject[YK_NATS_SUBJECT_MOST + 64]; /* and how much of that was delivered */

    /* with the channel's mutex */
    int64_t watch_over; /* until when one is asked for; 0: none is */
    uint64_t token_watched;
    int64_t beaten; /* when the servers were told last that held ones are being worked on */
    struct yk_parking *parkings;
    uint64_t
        granted; /* messages that may be sent until then without asking: several, in a cluster any */
    int64_t granted_until;
    /*
     * The stream's last message when another server became the consumer's leader, or this connection was lost, and
     * with it, perhaps, word of that; or the only server was started again. Who leads then does not know all of
     * what was delivered before: what is not newer may come for the second time, whatever it says. UINT64_MAX: it
     * is being asked for.
     */
    uint64_t elected_after;
    int64_t elected_asked, elected_told; /* when; told: to those who come later */
    /*
     * The newest that came here for the first time, by its deliverer's word. One server delivers what is new in order: what
     * is not newer comes from another, which may be heard before word of its election. By ear, since each has a thread.
     */
    uint64_t newest, newest_watched;
    bool swept; /* of what servers that were started again deliver to nobody */
    uint64_t
        seen_done; /* the last look saw that all before that one was acknowledged, and there was no more */
};

int yk_nats_port_open(yoke_endpoint *endpoint, const struct yk_address *address, uint32_t flags,
                      const struct yoke_options *options);
int yk_nats_port_remove(const struct yk_address *address);

/* Its stream and that one's consumer, which delivers so many at once that are not acknowledged. */
int yk_nats_port_add_stream(struct yk_hub *hub, const char *what, const char *name,
                            const struct yk_nats_facts *facts, uint32_t depth, int64_t pending);
/* Are both there? */
bool yk_nats_port_has_stream(struct yk_hub *hub, const char *what, const char *name,
                             uint64_t generation);

/* ---- for the files of the port: see struct yk_channel_kind ---- */

void yk_nats_port_begin(struct yk_channel *channel);
int yk_nats_port_start(struct yk_channel *channel);
void yk_nats_port_deafen(struct yk_channel *channel);
void yk_nats_port_end(struct yk_channel *channel);
void yk_nats_port_forget(struct yk_channel *channel);
ssize_t yk_nats_port_send(struct yk_channel *channel, const struct yoke_message *messages,
                          size_t count, int64_t timeout_ns);
int yk_nats_port_await(struct yk_channel *channel, size_t wanted, int64_t timeout_ns);
void yk_nats_port_delivered(struct yk_channel *channel, char kind, natsMsg *message,
                            const struct yk_delivered *delivered);
void yk_nats_port_told(struct yk_channel *channel, char kind, uint64_t token, natsMsg *message);
/* In the client's thread: another server leads the consumer. */
void yk_nats_port_interrupted(struct yk_channel *channel, bool over);
void yk_nats_port_elected(struct yk_ear *ear, uint64_t token, natsMsg *message);
/* Before anything is received: what those who were there before know of that. Without the mutex. */
int yk_nats_port_ask_before(struct yk_nats_port *port);
void yk_nats_port_take_parked(struct yk_channel *channel, char kind, uint64_t token,
                              natsMsg *message);
void yk_nats_port_tick(struct yk_channel *channel, int64_t now);
void yk_nats_port_emptied(struct yk_channel *channel);
void yk_nats_port_give_back(struct yk_channel *channel, struct yk_delivery *delivery);
int yk_nats_port_watch(struct yk_channel *channel);

#endif
