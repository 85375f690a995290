/*
 * model.h - what must be true of a port's ring, whoever died or stands still wherever.
 *
 * The two checkers of this directory drive the same start states (starts.c) and operations (operations.c) in
 * the world of world.h. `sweep` single-steps the operations as they ship; `schedules` runs them as coroutines.
 * After every step both put the image to the questions below (model.c). A failure says why in `why`.
 */
#ifndef CRASH_MODEL_H
#define CRASH_MODEL_H

#include "world.h"

/* ---- the sequential model: what must be there, and what may ---- */

#define MESSAGES_MAX 96

struct expected {
    struct {
        uint32_t id;
        uint8_t ring;
        uint8_t maybe; /* 1: may be there; 0: must be */
        uint8_t taken; /* how often it was delivered, as far as the model knows */
    } message[MESSAGES_MAX];
    uint32_t count;
    uint32_t slack;     /* deliveries that the model can not know of: of those who died in a take */
    uint64_t uncertain; /* bit i: message i may have been dropped with its dead holder */
    uint64_t floor[RINGS_MAX_HERE]; /* what is sent from now on has at least this sequence number */
};

void expect(struct expected *expected, uint64_t id, uint32_t number, bool maybe);
void expect_gone(struct expected *expected, uint64_t id);
int find_expected(const struct expected *expected, uint64_t id); /* its index, or -1 */

/* ---- start states ---- */

extern const int start_count;
const char *start_name(int start);

/* Builds it in `image`; the messages are sent by `sender`. False: this setup has no such state. */
bool start_build(int start, enum participant sender, struct expected *ret);

/* ---- operations ---- */

enum operation {
    OP_SEND,
    OP_SEND_TWO, /* two, with the hint carried on */
    OP_RECV,     /* take, copy, release */
    OP_RECV_TWO, /* two takes with the hint carried on, then two releases */
    OP_BORROW,
    OP_RELEASE,
    OP_RETURN,
    OP_RECV_PARKED,
    OP_RETURN_PARKED,
    OP_RECV_SMALL, /* with a buffer that is too small for most messages */
    OP_RECOVER_DEAD,
    OP_RECOVER_FIRST,
    OPERATIONS
};

extern const char *const operation_names[];

/* Bytes that the buffer of OP_RECV_SMALL has. */
#define SMALL_BUFFER 8

/*
 * What an operation did so far. It is shared between the one who steps and the one who is stepped, so the
 * fields that tell how far it got are volatile and written before, or after, what they speak of.
 */
struct result {
    uint32_t operation;
    uint32_t who;
    uint32_t id; /* of its first message */
    volatile int32_t status;
    volatile uint32_t begun, done;
    volatile uint32_t sent;      /* commits that returned 1 */
    volatile uint32_t got;       /* takes that returned 1 */
    volatile uint32_t releasing; /* releases begun */
    volatile uint64_t sequence[2];
    volatile uint64_t got_id[2];
    struct yk_held held[2];
    /* kept by who steps it */
    uint64_t floor[RINGS_MAX_HERE];
    uint32_t
        could; /* how many messages it would have sent, or got, had it run alone from its begin */
    uint32_t disturbed; /* somebody else who could take that away was at work meanwhile */
};

/* What comes before the operation proper (a message to release, say). False: impossible here. */
bool operation_prepare(enum operation operation, enum participant who, uint32_t id,
                       struct result *ret);

/* Notes what it could do from here. To be called right before operation_run(), which others may step. */
void operation_begin(struct result *result, const uint64_t *floor);

void operation_run(struct result *result);

/* Can `other`, running beside it, take away what `one` could have done? */
bool operation_disturbs(enum operation other, enum operation one);

bool is_send(uint32_t operation);
bool takes(uint32_t operation);
uint32_t wanted(uint32_t operation);          /* how many messages it is about */
uint32_t ring_for(uint32_t who, uint64_t id); /* where it sends that message */

/* ---- the questions ---- */

/* True at every instant, read from the cells alone. */
bool ring_holds_invariants(void);

/* Which of the messages that `who` holds now may be dropped by who recovers it (policy once, or too many parked). */
uint64_t uncertain_with(enum participant who);

/*
 * Everybody stops here, for ever. First nobody recovers anything: the others still take every message there is,
 * and still send. Then, from here again, the dead are recovered, twice: every message is where the model says, counted, in order,
 * once; nothing is lost, leaked or left over; and the port takes exactly `depth` messages again. The image is left as
 * it was.
 */
bool all_is_well_if_all_stop(const struct expected *expected, const struct result *results,
                             uint32_t count);

#endif
