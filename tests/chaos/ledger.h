/*
 * ledger.h - the account of each message and each byte, kept beside yoke, exact under kill -9.
 *
 * A *flow* is what messages go through: a port, one direction of a link, a stream, an inbox. A sender notes
 * of each number TRIED before the call and DONE or REFUSED after it; so of one that was killed inside,
 * exactly the numbers that are left TRIED may be there or not. A receiver notes each number while it has the
 * message in hand. What is then promised (yoke.h):
 *
 *   redeliver   DONE comes out at least once; TRIED perhaps; REFUSED and what was never tried does not. Once
 *               acknowledged (released, or received) it does not come again. Each delivery bears a higher count
 *               than all that were noted before, so a first one, unmarked, comes once. Whoever has a message
 *               in hand is the only one. Who was killed with it in hand is followed by another delivery.
 *   once        never twice. What may be missing: what a killed or closing receiver had in hand, or
 *               gave back, and one for each message that a receiver killed inside a call may have had.
 *
 * A receiver killed inside a call that copies and acknowledges: its buffer lies here, too, and yoke copies
 * before it acknowledges. A message that is whole in the buffer *may* have been acknowledged (MAYBE); one
 * that is not was not. So nothing is allowed for but this.
 *
 * Order: `sequence` grows with a sender's numbers in each priority, and stays a message's own; a receiver gets
 * first deliveries by growing sequence (of a link: by growing number).
 */
#ifndef CHAOS_LEDGER_H
#define CHAOS_LEDGER_H

#include "shared.h"
#include "yoke.h"

enum sent { NOT_SENT, TRIED, DONE, REFUSED };
enum got { NOT_GOT, HELD, FREEING, RETURNED, MAYBE, ACKNOWLEDGED };

#define FLOWS_MAX 32

struct flow {
    char name[24];
    bool once;      /* the policy */
    bool marked;    /* receivers are told the number of deliveries */
    bool sequenced; /* and a sequence */
    bool by_number; /* one sender at a time: first deliveries by growing number */
    bool words;     /* a stream */
    bool signals;   /* judged by its receivers alone */
    uint32_t priorities;
    uint32_t max_deliveries; /* 0: without end */
    size_t max_message;
    _Atomic uint64_t allowed; /* once: may be missing */
};
extern struct flow *flows; /* shared; FLOWS_MAX of them */
extern uint32_t flow_count;

void ledger_begin_round(void);
uint32_t ledger_flow(const char *name);
void ledger_lane(uint32_t seat, uint32_t flow, uint32_t room);

/* ---- messages: 8-byte words, whose size and content follow from sender and number ---- */

size_t message_size(uint32_t lane, uint32_t number, size_t max);
void message_fill(void *data, uint32_t lane, uint32_t number, size_t size);
uint32_t message_priority(uint32_t lane, uint32_t number, uint32_t priorities);

/* ---- sending ---- */

/* The next `count` numbers of this lane are tried; returns the first, or UINT32_MAX when it is full. */
uint32_t lane_try(struct lane *lane, uint32_t count);
void lane_tried(struct lane *lane, uint32_t first, uint32_t count, uint32_t done);

/* Has this message come, and been acknowledged, or may it have been? */
bool lane_arrived(const struct lane *lane, uint32_t number);

/* ---- receiving ---- */

/* One life's view of a flow. */
struct receiver {
    uint32_t flow, seat, life;
    bool parked;
    uint64_t last[PRIORITY_MAX]; /* sequence, or number */
    uint64_t *last_of;           /* signals, words: of each lane, + 1 */
};

struct given {
    uint32_t lane, number;
};

/* A message is in hand. False: it is none that can be accounted for. details->deliveries 0: not told. */
bool note_given(struct receiver *receiver, const struct yoke_message *details, struct given *ret);
/* Before and after it is released; before it is returned. */
void note_freeing(const struct receiver *receiver, const struct given *given);
void note_acknowledged(const struct given *given);
void note_returned(const struct receiver *receiver, const struct given *given);

/* Words of a stream. */
#define WORD_BYTES 8
#define WHOLE_MOST 4096 /* bytes that are written all at once */
uint64_t word_make(uint32_t lane, uint32_t number, bool whole, bool last);
/* `alone`: nobody else reads. *follows: what must come next in a whole write; 0: anything. */
void note_words(struct receiver *receiver, const uint64_t *words, size_t count, bool alone,
                uint64_t *follows);

/* ---- the dead ---- */

/* The process of this seat is reaped: what may it have acknowledged without noting it? */
void ledger_bury(uint32_t seat);

/* ---- the sums ---- */

struct sums {
    uint64_t tried, done, refused, received, maybe, dropped, lost;
};

/* Has all that was sent arrived? Else *ret_text says what is missing, of which flow. For waiting. */
bool ledger_settled(char *ret_text, size_t size, uint32_t *ret_flow);
/* When all is drained: each message's fate is one that was promised, else a fault. */
void ledger_judge(struct sums *messages, struct sums *words);

#endif
