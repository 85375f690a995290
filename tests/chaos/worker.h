/*
 * worker.h - the process that sits on a seat: what all roles share.
 */
#ifndef CHAOS_WORKER_H
#define CHAOS_WORKER_H

#include "ledger.h"
#include "shared.h"
#include "world.h"
#include "yoke.h"

/* This process; a forked child has a seat of its own. */
struct me {
    uint32_t number;
    struct seat *seat;
    uint32_t life;
    uint64_t random;
    uint32_t left; /* turns until it leaves by itself */
};
extern struct me me;

/* Plays the seat's role until it is to leave: never returns. The seat's life is odd already. */
__attribute__((noreturn)) void worker_run(uint32_t seat);

/* 0 to n - 1; true once in n times. */
uint32_t pick(uint32_t n);
bool once_in(uint32_t n);

/* One turn more? False: leave. */
bool goes_on(void);
/* May it send now? Waits while senders are to pause. False: never again. */
bool may_send(void);
/* Nothing to do for a moment. */
void rest(int64_t ns);

/* The process lets go of all that it holds, from now on. Then it ends, having closed what it has, or not. */
void retire(void);
bool closes(void);

/*
 * Takes the seat's child seat, if it is free, and forks, so that the child is nobody's but the supervisor's to
 * reap. True in the child, which goes on with what was open; `me` is then the child.
 */
bool forks(void);

/* A call of yoke's; the watch knows what it is inside of. */
#define DOING(what, call) (doing_begins(what), doing_ends((call)))
void doing_begins(enum verb verb);
int64_t doing_ends(int64_t result);

/* A result that nothing explains here is a fault. The errors that are answers follow, up to 0. */
bool is_answer(int64_t result, const char *call, ...);

/* Opens again and again while a dead one's place is being recovered; NULL: it is time to leave. */
yoke_endpoint *open_endpoint(const char *address, uint32_t flags, const char *as);
yoke_endpoint *open_end(int descriptor);
yoke_region *open_region(const char *name);

/* The roles. Each returns when its process is to end. */
void play_port_sender(void);
void play_port_receiver(void);
void play_link_peer(void);
void play_stream_writer(void);
void play_stream_reader(void);
void play_locker(void);
void play_unit_taker(void);
void play_notifier(void);
void play_signaller(void);
void play_inbox(void);
/* One turn at a lock of the region. */
void take_turn_once(yoke_region *region);
void play_churner(void);
void play_steady(void);
void play_citizen(void);

/* ---- parts of roles ---- */

/* Sends one message or some. Errors in `quiet` are answers. */
void send_some(yoke_endpoint *endpoint, const struct object *object, uint32_t flow,
               int64_t timeout_ns);
/* Receives, by whatever verb, what there is, and lets go of it. True: something came; *ret_error else. */
bool receive_some(struct receiver *receiver, yoke_endpoint *endpoint, const struct object *object,
                  int64_t timeout_ns, int64_t *ret_error);
struct receiver receiver_new(uint32_t flow);

/* How long a call is to wait: not, shortly, or for ever. */
int64_t some_timeout(void);

#endif
