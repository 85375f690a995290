/* ledger.c - see ledger.h. */
#include "ledger.h"

#include <stdio.h>
#include <string.h>

#define MESSAGE_MAGIC UINT64_C(0xc4a0)
#define WORD_MAGIC    UINT64_C(0x57a7)
#define WORD_STEP     UINT64_C(0x9e3779b97f4a7c15)

struct flow *flows;
uint32_t flow_count;
static uint32_t settled_up_to[SEATS_MAX]; /* the supervisor's own: all below is final */

void ledger_begin_round(void)
{
    flows = shared_room(FLOWS_MAX * sizeof *flows);
    flow_count = 0;
    memset(settled_up_to, 0, sizeof settled_up_to);
}

uint32_t ledger_flow(const char *name)
{
    snprintf(flows[flow_count].name, sizeof flows[flow_count].name, "%s", name);
    return flow_count++;
}

void ledger_lane(uint32_t seat, uint32_t flow, uint32_t room)
{
    struct lane *lane = &shared->seat[seat].lane;
    lane->flow = flow + 1;
    lane->room = room;
    lane->sent = shared_room(room);
    if (flows[flow].words) {
        lane->words = shared_room(room);
        return;
    }
    lane->got = shared_room(room * sizeof *lane->got);
    lane->sequence = shared_room(room * sizeof *lane->sequence);
    lane->deliveries = shared_room(room * sizeof *lane->deliveries);
}

static const struct flow *flow_of(const struct lane *lane)
{
    return &flows[lane->flow - 1];
}

/* ---- messages ---- */

/* Mostly small; some as big as they may be. */
size_t message_size(uint32_t lane, uint32_t number, size_t max)
{
    uint64_t random = random_mix(lane, number);
    size_t most = random % 64 == 0 || max <= 256 ? max : 256;
    return 8 * (1 + (random >> 8) % (most / 8));
}

uint32_t message_priority(uint32_t lane, uint32_t number, uint32_t priorities)
{
    return (uint32_t)(random_mix(lane, number) >> 40) % priorities;
}

static uint64_t make_id(uint32_t lane, uint32_t number)
{
    return MESSAGE_MAGIC << 48 | (uint64_t)lane << 32 | number;
}

void message_fill(void *data, uint32_t lane, uint32_t number, size_t size)
{
    uint64_t *words = data, value = make_id(lane, number);
    for (size_t i = 0; i < size / 8; i++, value += WORD_STEP)
        words[i] = value;
}

/* Is it a whole message, as its first word says? */
static bool read_message(const void *data, size_t room, size_t max, struct given *ret,
                         size_t *ret_size)
{
    const uint64_t *words = data;
    uint64_t value = words[0];
    uint32_t lane = (uint32_t)(value >> 32 & 0xffff), number = (uint32_t)value;
    if (value >> 48 != MESSAGE_MAGIC || lane >= SEATS_MAX)
        return false;
    size_t size = message_size(lane, number, max);
    if (size > room)
        return false;
    for (size_t i = 0; i < size / 8; i++, value += WORD_STEP)
        if (words[i] != value)
            return false;
    *ret = (struct given){lane, number};
    *ret_size = size;
    return true;
}

/* ---- sending ---- */

uint32_t lane_try(struct lane *lane, uint32_t count)
{
    uint32_t first = atomic_load(&lane->next);
    if (lane->room - first < count)
        return UINT32_MAX;
    for (uint32_t i = 0; i < count; i++)
        atomic_store_explicit(&lane->sent[first + i], TRIED, memory_order_relaxed);
    atomic_store(&lane->next, first + count);
    return first;
}

void lane_tried(struct lane *lane, uint32_t first, uint32_t count, uint32_t done)
{
    for (uint32_t i = 0; i < count; i++)
        atomic_store_explicit(&lane->sent[first + i], i < done ? DONE : REFUSED,
                              memory_order_release);
}

/* ---- receiving ---- */

static uint64_t make_got(enum got got, uint32_t seat, uint32_t life)
{
    return (uint64_t)got << 56 | (uint64_t)(seat & 0xffffff) << 32 | life;
}

static enum got got_of(uint64_t note)
{
    return (enum got)(note >> 56);
}

static bool holder_lives(uint64_t note)
{
    return is_living((uint32_t)(note >> 32 & 0xffffff), (uint32_t)note);
}

static struct lane *lane_at(const struct given *given)
{
    return &shared->seat[given->lane].lane;
}

/* Was it sent at all, on this flow? */
static bool was_sent(uint32_t flow, const struct given *given)
{
    struct lane *lane = lane_at(given);
    const char *name = flows[flow].name;
    if (lane->flow != flow + 1 || given->number >= lane->room) {
        fault("%s: message %u of seat %u is not of this flow", name, given->number, given->lane);
        return false;
    }
    uint8_t sent = atomic_load_explicit(&lane->sent[given->number], memory_order_acquire);
    if (sent != TRIED && sent != DONE)
        fault("%s: message %u of seat %u came, and was %s", name, given->number, given->lane,
              sent == REFUSED ? "refused when it was sent" : "never sent");
    return true;
}

static void check_again(const struct receiver *receiver, const struct given *given, uint64_t note,
                        uint32_t deliveries)
{
    const struct flow *flow = &flows[receiver->flow];
    struct lane *lane = lane_at(given);
    uint32_t noted = atomic_load(&lane->deliveries[given->number]);
    enum got got = got_of(note);
    if (got == ACKNOWLEDGED)
        fault("%s: message %u of seat %u came again after it was acknowledged, as delivery %u",
              flow->name, given->number, given->lane, deliveries);
    else if ((got == HELD || got == FREEING) && holder_lives(note))
        fault("%s: message %u of seat %u came while seat %u has it in hand", flow->name,
              given->number, given->lane, (unsigned)(note >> 32 & 0xffffff));
    if (flow->once && got != NOT_GOT)
        fault("%s: message %u of seat %u came twice, under the policy once", flow->name,
              given->number, given->lane);
    if (!flow->marked || deliveries == 0)
        return;
    if (receiver->parked ? deliveries < noted || deliveries < flow->max_deliveries
                         : deliveries <= noted)
        fault("%s: message %u of seat %u came as delivery %u, after delivery %u", flow->name,
              given->number, given->lane, deliveries, noted);
    if (flow->max_deliveries && deliveries > flow->max_deliveries)
        fault("%s: message %u of seat %u came as delivery %u of at most %u", flow->name,
              given->number, given->lane, deliveries, flow->max_deliveries);
}

static void check_order(struct receiver *receiver, const struct yoke_message *details,
                        const struct given *given)
{
    const struct flow *flow = &flows[receiver->flow];
    struct lane *lane = lane_at(given);
    uint64_t *last = &receiver->last[details->priority % PRIORITY_MAX];
    uint64_t place = flow->by_number ? given->number + UINT64_C(1) : details->sequence + 1;
    if (flow->sequenced && details->deliveries) {
        uint64_t known = atomic_exchange(&lane->sequence[given->number], details->sequence + 1);
        if (known && known != details->sequence + 1)
            fault("%s: message %u of seat %u had sequence %llu, now %llu", flow->name,
                  given->number, given->lane, (unsigned long long)known - 1,
                  (unsigned long long)details->sequence);
    }
    if (receiver->parked || details->deliveries != 1 || (!flow->sequenced && !flow->by_number))
        return;
    if (place <= *last)
        fault("%s: message %u of seat %u, place %llu, came after place %llu", flow->name,
              given->number, given->lane, (unsigned long long)place, (unsigned long long)*last);
    *last = place;
}

bool note_given(struct receiver *receiver, const struct yoke_message *details, struct given *ret)
{
    const struct flow *flow = &flows[receiver->flow];
    size_t size;
    if (!read_message(details->data, details->size, flow->max_message, ret, &size) ||
        size != details->size) {
        fault("%s: what came is no message of ours: %zu bytes, begins with %016llx", flow->name,
              details->size, details->size >= 8 ? *(unsigned long long *)details->data : 0);
        return false;
    }
    if (!was_sent(receiver->flow, ret))
        return false;
    struct lane *lane = lane_at(ret);
    uint64_t note = atomic_load(&lane->got[ret->number]);
    check_again(receiver, ret, note, details->deliveries);
    check_order(receiver, details, ret);
    if (details->deliveries)
        atomic_store(&lane->deliveries[ret->number], (uint16_t)details->deliveries);
    atomic_store(&lane->got[ret->number], make_got(HELD, receiver->seat, receiver->life));
    struct seat *seat = &shared->seat[receiver->seat];
    atomic_fetch_add_explicit(got_of(note) == NOT_GOT ? &seat->received : &seat->again, 1,
                              memory_order_relaxed);
    return true;
}

void note_freeing(const struct receiver *receiver, const struct given *given)
{
    atomic_store(&lane_at(given)->got[given->number],
                 make_got(FREEING, receiver->seat, receiver->life));
}

void note_acknowledged(const struct given *given)
{
    atomic_store(&lane_at(given)->got[given->number], make_got(ACKNOWLEDGED, 0, 0));
}

void note_returned(const struct receiver *receiver, const struct given *given)
{
    atomic_store(&lane_at(given)->got[given->number],
                 make_got(RETURNED, receiver->seat, receiver->life));
}

/* ---- words of streams ---- */

/* magic 16 | lane 14 | number 32 | whole 1 | last 1 */
uint64_t word_make(uint32_t lane, uint32_t number, bool whole, bool last)
{
    return WORD_MAGIC << 48 | (uint64_t)lane << 34 | (uint64_t)number << 2 | (uint64_t)whole << 1 |
           last;
}

static bool word_read(uint64_t word, struct given *ret)
{
    *ret = (struct given){(uint32_t)(word >> 34 & 0x3fff), (uint32_t)(word >> 2)};
    return word >> 48 == WORD_MAGIC && ret->lane < SEATS_MAX;
}

static void note_word(struct receiver *receiver, const struct given *given)
{
    struct lane *lane = lane_at(given);
    uint64_t *last = &receiver->last_of[given->lane];
    const char *name = flows[receiver->flow].name;
    if (!was_sent(receiver->flow, given))
        return;
    if (given->number < *last)
        fault("%s: word %u of seat %u came after word %llu", name, given->number, given->lane,
              (unsigned long long)*last - 1);
    *last = given->number + UINT64_C(1);
    if (atomic_exchange(&lane->words[given->number], ACKNOWLEDGED) == ACKNOWLEDGED)
        fault("%s: word %u of seat %u came twice", name, given->number, given->lane);
}

void note_words(struct receiver *receiver, const uint64_t *words, size_t count, bool alone,
                uint64_t *follows)
{
    struct given given;
    for (size_t i = 0; i < count; i++) {
        if (!word_read(words[i], &given)) {
            fault("%s: word %zu of %zu that were read is %016llx", flows[receiver->flow].name, i,
                  count, (unsigned long long)words[i]);
            return;
        }
        if (alone && *follows && words[i] >> 2 != *follows)
            fault("%s: a write of at most %u bytes was mixed with another: %016llx",
                  flows[receiver->flow].name, WHOLE_MOST, (unsigned long long)words[i]);
        *follows = (words[i] & 3) == 2 ? (words[i] >> 2) + 1 : 0;
        note_word(receiver, &given);
    }
    atomic_fetch_add_explicit(&shared->seat[receiver->seat].received, count, memory_order_relaxed);
}

/* ---- the dead ---- */

static void bury_words(const struct seat *seat, size_t bytes)
{
    const uint64_t *words = (const uint64_t *)(const void *)seat->buffer;
    struct given given;
    for (size_t i = 0; i < bytes / WORD_BYTES && word_read(words[i], &given); i++) {
        struct lane *lane = lane_at(&given);
        uint8_t nothing = NOT_GOT;
        if (lane->words && given.number < lane->room)
            atomic_compare_exchange_strong(&lane->words[given.number], &nothing, MAYBE);
    }
}

/*
 * The note says what was known before this one took the message; unless somebody who lives has it in hand by
 * now. Each death is noted before the next process is started or killed, so whoever had it before is not
 * taken for that.
 */
static void bury_message(const struct seat *seat, const unsigned char *buffer)
{
    struct given given;
    size_t size;
    uint32_t flow = atomic_load(&seat->from);
    if (!read_message(buffer, seat->buffer_each, flows[flow].max_message, &given, &size) ||
        lane_at(&given)->flow != flow + 1 || given.number >= lane_at(&given)->room)
        return;
    _Atomic uint64_t *at = &lane_at(&given)->got[given.number];
    uint64_t note = atomic_load(at);
    enum got got = got_of(note);
    bool in_hand = (got == HELD || got == FREEING) && holder_lives(note);
    if (got != ACKNOWLEDGED && !in_hand)
        atomic_compare_exchange_strong(at, &note, make_got(MAYBE, 0, 0));
}

void ledger_bury(uint32_t number)
{
    struct seat *seat = &shared->seat[number];
    uint32_t open = atomic_exchange(&seat->open, 0);
    if (open == 0)
        return;
    struct flow *flow = &flows[atomic_load(&seat->from)];
    if (flow->words) {
        bury_words(seat, open);
        return;
    }
    if (flow->once)
        atomic_fetch_add(&flow->allowed, open);
    else
        for (uint32_t i = 0; i < open; i++)
            bury_message(seat, seat->buffer + i * seat->buffer_each);
}

/* ---- the sums ---- */

enum fate { FINAL, OWED, MISSING };

/* What has become of one that may be there. */
static enum fate fate_of(const struct flow *flow, const struct lane *lane, uint32_t number)
{
    uint8_t sent = atomic_load_explicit(&lane->sent[number], memory_order_acquire);
    if (sent != DONE && sent != TRIED)
        return FINAL;
    if (flow->words) {
        uint8_t got = atomic_load(&lane->words[number]);
        return got != NOT_GOT || sent == TRIED ? FINAL : OWED;
    }
    uint64_t note = atomic_load(&lane->got[number]);
    switch (got_of(note)) {
    case NOT_GOT:
        return sent == TRIED ? FINAL : flow->once ? MISSING : OWED;
    case HELD:
    case RETURNED:
        return flow->once && (got_of(note) == RETURNED || !holder_lives(note)) ? FINAL : OWED;
    default:
        return FINAL;
    }
}

bool lane_arrived(const struct lane *lane, uint32_t number)
{
    return got_of(atomic_load(&lane->got[number])) >= MAYBE ||
           got_of(atomic_load(&lane->got[number])) == FREEING;
}

bool ledger_settled(char *ret_text, size_t size, uint32_t *ret_flow)
{
    uint64_t missing[FLOWS_MAX] = {0};
    for (uint32_t i = 1; i < shared->seats; i++) {
        const struct lane *lane = &shared->seat[i].lane;
        if (!lane->flow || flow_of(lane)->signals)
            continue;
        uint32_t next = atomic_load(&lane->next), number = settled_up_to[i];
        for (bool final = true; number < next; number++) {
            enum fate fate = fate_of(flow_of(lane), lane, number);
            if (fate == OWED) {
                *ret_flow = lane->flow - 1;
                snprintf(
                    ret_text, size,
                    "%s: message %u of seat %u was sent and does not come (noted: %d by seat %u, %d deliveries)",
                    flow_of(lane)->name, number, i, lane->got ? (int)got_of(lane->got[number]) : -1,
                    lane->got ? (unsigned)(lane->got[number] >> 32 & 0xffffff) : 0,
                    lane->got ? lane->deliveries[number] : 0);
                return false;
            }
            missing[lane->flow - 1] += fate == MISSING;
            final = final && fate == FINAL;
            if (final)
                settled_up_to[i] = number + 1;
        }
    }
    for (uint32_t i = 0; i < flow_count; i++) {
        uint64_t allowed = atomic_load(&flows[i].allowed);
        if (missing[i] > allowed) {
            *ret_flow = i;
            snprintf(ret_text, size,
                     "%s: %llu messages were sent and do not come, at most %llu went with the dead",
                     flows[i].name, (unsigned long long)missing[i], (unsigned long long)allowed);
            return false;
        }
    }
    return true;
}

static void judge_sequences(uint32_t seat, const struct lane *lane)
{
    uint64_t last[PRIORITY_MAX] = {0};
    for (uint32_t n = 0; n < lane->next; n++) {
        uint64_t sequence = lane->sequence[n];
        if (!sequence)
            continue;
        uint64_t *before = &last[(sequence - 1) % flow_of(lane)->priorities]; /* as they are made */
        if (sequence <= *before)
            fault("%s: message %u of seat %u has sequence %llu, an earlier one %llu",
                  flow_of(lane)->name, n, seat, (unsigned long long)sequence - 1,
                  (unsigned long long)*before - 1);
        *before = sequence;
    }
}

static void judge_lane(uint32_t seat, const struct lane *lane, uint64_t *missing, struct sums *sums)
{
    const struct flow *flow = flow_of(lane);
    for (uint32_t n = 0; n < lane->next; n++) {
        uint8_t sent = lane->sent[n];
        enum got got = flow->words ? (enum got)lane->words[n] : got_of(lane->got[n]);
        enum fate fate = fate_of(flow, lane, n);
        sums->tried += sent == TRIED;
        sums->done += sent == DONE;
        sums->refused += sent == REFUSED;
        sums->received += got == ACKNOWLEDGED;
        sums->maybe += got == MAYBE || got == FREEING;
        sums->dropped += fate == MISSING || (flow->once && (got == HELD || got == RETURNED));
        *missing += fate == MISSING;
        if (fate != OWED)
            continue;
        if (sums->lost++ < 4)
            fault("%s: message %u of seat %u is lost: sent %d, noted %d by seat %u, %u deliveries",
                  flow->name, n, seat, sent, got,
                  lane->got ? (unsigned)(lane->got[n] >> 32 & 0xffffff) : 0,
                  lane->got ? lane->deliveries[n] : 0);
    }
}

void ledger_judge(struct sums *messages, struct sums *words)
{
    for (uint32_t f = 0; f < flow_count; f++) {
        uint64_t missing = 0;
        if (flows[f].signals)
            continue;
        for (uint32_t i = 1; i < shared->seats; i++) {
            const struct lane *lane = &shared->seat[i].lane;
            if (lane->flow != f + 1)
                continue;
            judge_lane(i, lane, &missing, flows[f].words ? words : messages);
            if (flows[f].sequenced && !flows[f].by_number)
                judge_sequences(i, lane);
        }
        if (missing > flows[f].allowed)
            fault("%s: %llu messages are lost, %llu may be", flows[f].name,
                  (unsigned long long)missing, (unsigned long long)flows[f].allowed);
    }
}
