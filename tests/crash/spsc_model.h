/*
 * spsc_model.h - the small world in which the ring of links is checked, and what must be true of it,
 * whoever died or stands still wherever.
 *
 * One direction in one byte array (`image`); a sender and a receiver with a successor each, whose private
 * state is a piece of memory, too; and the *ledger*: what the calls have told their callers so far. It
 * is a plain sequential model. Each operation writes it step by step, so that it is right at every
 * instruction: "being sent" before a call, "sent" after it.
 *
 * spsc_sweep.c single-steps the operations as they ship; spsc_schedules.c runs them as coroutines.
 */
#ifndef CRASH_SPSC_MODEL_H
#define CRASH_SPSC_MODEL_H

#include "ring/spsc.h"
#include "tools.h"

#define SPSC_SLOTS_MAX  4
#define SPSC_IMAGE_MAX  24576
#define SPSC_MOST       64 /* messages in one life of the world */
#define SPSC_LOANS_MOST 2

struct spsc_setup {
    const char *name;
    struct yk_spsc_geometry geometry;
};
extern const struct spsc_setup spsc_setups[];
extern const int spsc_setup_count;

/* ---- the world ---- */

struct spsc_loan {
    void *block;
    uint32_t id;
};

struct spsc_sending {
    struct yk_spsc_sender sender;
    struct yk_spsc_piece pieces[2 * SPSC_SLOTS_MAX];
    struct spsc_loan loans[SPSC_LOANS_MOST];
    uint32_t loan_count, pad;
};

struct spsc_receiving {
    struct yk_spsc_receiver receiver;
    struct yk_spsc_lent lent[SPSC_SLOTS_MAX];
};

enum spsc_fate {
    FRESH = 0, /* nobody had it */
    HAND,      /* a receiver has it */
    BACK,      /* to be delivered again */
    RETURNING,
    ACKING,
    ACKED,
    MAYBE,   /* who acknowledged it died meanwhile */
    PASSING, /* acknowledged by one who died; its successor has not come by yet */
    GONE,    /* passed: dropped, or acknowledged after all */
};

struct spsc_message_fate {
    uint32_t id;
    uint8_t fate;
    uint8_t seen;               /* how often it was delivered */
    uint8_t slack;              /* deliveries that nobody lived to see */
    uint8_t lost;               /* policy once: may be dropped unseen */
    const unsigned char *bytes; /* HAND: where they lie */
};

struct spsc_ledger {
    struct spsc_message_fate message[SPSC_MOST];
    uint32_t sent;                       /* sends that have returned */
    uint32_t pending;                    /* the id of the one that is going on */
    uint32_t sender_busy, receiver_busy; /* within an operation */
    uint32_t sender_dead, receiver_dead;
    uint32_t sender, receiver; /* which of the two processes it is now */
    uint32_t taking;           /* within a take */
    uint32_t swallowing;       /* within a call that acknowledges what it takes */
    uint32_t loaned, pad;      /* loaned: there was a loan, so the buffer may have holes */
    char fault[160];           /* the first thing that was wrong */
};

struct spsc_world {
    struct spsc_sending senders[2];
    struct spsc_receiving receivers[2];
    struct spsc_ledger ledger;
};

extern struct spsc_world *spsc_world;
extern unsigned char *spsc_image;
extern size_t spsc_image_size;
extern struct yk_spsc spsc_ring;
extern uint64_t spsc_base; /* the first message's index */

/*
 * `memory`: SPSC_IMAGE_MAX bytes, 128-byte aligned; `world` beside it. `wrap`: the stamps run over 2^32 within
 * the first laps, and receipts that are as old lie about.
 */
void spsc_open(const struct spsc_setup *setup, bool wrap, unsigned char *memory,
               struct spsc_world *world);

/* Says in words what differs between two images. */
void spsc_print_difference(const unsigned char *before, const unsigned char *after);

/* ---- messages: a number, whose last digit is its kind, and from which size, tag, mark and bytes follow ---- */

enum spsc_kind { SMALL, TAGGED, BUFFERED, BUFFERED_TAGGED, EMPTY, SPSC_KINDS };

uint32_t spsc_id(uint32_t number, enum spsc_kind kind);
uint32_t spsc_size_of(uint32_t id);
uint64_t spsc_tag_of(uint32_t id);
bool spsc_is_marked(uint32_t id); /* sent as one that may have been sent before */

/* ---- operations (spsc_operations.c) ---- */

enum spsc_operation {
    OP_NONE,
    OP_SEND, /* the short way, where it goes */
    OP_SEND_TAGGED,
    OP_SEND_BUFFERED,
    OP_SEND_TWO, /* a buffered one, then a small one */
    OP_LOAN,
    OP_COMMIT,      /* the oldest loan */
    OP_COMMIT_LAST, /* the newest */
    OP_CANCEL,
    OP_RESUME_SENDER,
    OP_TAKE,
    OP_TAKE_TWO,
    OP_RECV,       /* the short way, where it goes: take, copy, release */
    OP_TAKE_SMALL, /* with a buffer that is too small for most */
    OP_RELEASE,
    OP_RELEASE_LAST, /* out of order */
    OP_RETURN,
    OP_RETURN_LAST,
    OP_RECOVER, /* a dead receiver */
    OP_RESUME_RECEIVER,
    SPSC_OPERATIONS
};
extern const char *const spsc_operation_names[];

struct spsc_task {
    uint32_t operation, process; /* who: 0, or 1 the successor */
    uint32_t id;
    volatile uint32_t done;
};

bool spsc_is_senders(uint32_t operation);
/* What comes before the operation proper (a message to release, say). False: impossible here. */
bool spsc_prepare(struct spsc_task *task);
void spsc_run(struct spsc_task *task);

/* Those of which other operations, starts and questions are made. False: it was not done; a fault is in the ledger. */
bool spsc_send(uint32_t process, uint32_t id);
bool spsc_loan(uint32_t process, uint32_t id);
bool spsc_commit(uint32_t process, uint32_t which);
void spsc_cancel(uint32_t process, uint32_t which);
void spsc_resume_sender(uint32_t process);
bool spsc_take(uint32_t process, uint64_t capacity);
bool spsc_recv(uint32_t process);
void spsc_release(uint32_t process, uint32_t position);
void spsc_return(uint32_t process, uint32_t position);
void spsc_recover(void);
void spsc_resume_receiver(uint32_t process);
/* The oldest (newest) one in hand, or -1. */
int spsc_in_hand(bool newest);

/* ---- the ledger (spsc_model.c) ---- */

void spsc_fault(const char *format, ...) __attribute__((format(printf, 1, 2)));
void spsc_sender_died(void);
void spsc_receiver_died(void);
/* Must a send of this message succeed, whatever the others do meanwhile? */
bool spsc_must_go(uint32_t process, uint32_t id);
/* After so many deliveries, may it come once more? Its mark counts as one, but not before the first. */
bool spsc_used_up(uint32_t position, uint32_t deliveries);
void spsc_delivered(const struct yk_spsc_message *message);
/* A copy was delivered and acknowledged by one call. */
void spsc_swallowed(const unsigned char *bytes, size_t size);
void spsc_nothing_there(uint32_t sent_before);
void spsc_too_big(uint64_t capacity);
bool spsc_bytes_match(uint32_t id, const unsigned char *bytes, size_t size);

/* ---- start states (spsc_starts.c) ---- */

extern const int spsc_start_count;
const char *spsc_start_name(int start);
/* False: this setup has no such state. */
bool spsc_start_build(int start);

/* ---- the questions (spsc_model.c) ---- */

/* True at every instant. */
bool spsc_holds_invariants(void);

/*
 * Everybody stops here for ever. The other side goes on; then the dead are recovered, twice, and have
 * successors: every message comes once, in order, whole, rightly counted, and in the end there is room for
 * `depth` messages again. The world is left as it was.
 */
bool spsc_all_is_well(void);

#endif
