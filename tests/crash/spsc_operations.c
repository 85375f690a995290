/* spsc_operations.c - what the two sides do, and how the ledger follows it. See spsc_model.h. */
#include "spsc_model.h"

#include <errno.h>
#include <string.h>

/* What stands before it has happened before what stands behind it, as seen by who steps us. */
#define NOW() __asm__ volatile("" ::: "memory")

const char *const spsc_operation_names[] = {
    "nothing",      "send",     "send-tagged", "send-buffered", "send-two",
    "loan",         "commit",   "commit-last", "cancel",        "resume-sender",
    "take",         "take-two", "recv",        "take-small",    "release",
    "release-last", "return",   "return-last", "recover",       "resume-receiver",
};

#define SMALL_BUFFER 3

/* All messages are pieces of one pattern, so that nobody needs a buffer of its own for them. */
static const unsigned char *bytes_of(uint32_t id)
{
    static unsigned char pattern[SPSC_IMAGE_MAX];
    if (pattern[1] == 0)
        for (size_t i = 0; i < sizeof pattern; i++)
            pattern[i] = (unsigned char)(i * 11);
    return pattern + (id * 37 + id / 256) % 256;
}

bool spsc_bytes_match(uint32_t id, const unsigned char *bytes, size_t size)
{
    return size == spsc_size_of(id) && memcmp(bytes, bytes_of(id), size) == 0;
}

uint64_t spsc_tag_of(uint32_t id)
{
    enum spsc_kind kind = (enum spsc_kind)(id % 10);
    return kind == TAGGED || kind == BUFFERED_TAGGED ? UINT64_C(0x7a60000000000000) | id : 0;
}

bool spsc_is_marked(uint32_t id)
{
    enum spsc_kind kind = (enum spsc_kind)(id % 10);
    return kind == EMPTY || kind == BUFFERED_TAGGED;
}

static struct yk_spsc_sender *sender_of(uint32_t process)
{
    return &spsc_world->senders[process].sender;
}

static struct yk_spsc_receiver *receiver_of(uint32_t process)
{
    return &spsc_world->receivers[process].receiver;
}

static struct spsc_ledger *ledger(void)
{
    return &spsc_world->ledger;
}

/* ---- sending ---- */

static void send_begins(uint32_t id)
{
    NOW();
    ledger()->pending = id;
    NOW();
}

static bool send_ended(uint32_t id, int result, bool must_go)
{
    NOW();
    struct spsc_ledger *book = ledger();
    if (result == 1) {
        if (book->sent == SPSC_MOST)
            give_up("the ledger has room for no more messages");
        book->message[book->sent].id = id;
        NOW();
        book->sent++;
        NOW();
        book->pending = 0;
        NOW();
        return true;
    }
    book->pending = 0;
    NOW();
    if (result != 0)
        spsc_fault("sending %u gave %d", id, result);
    else if (must_go)
        spsc_fault("there is no room for %u, though there must be", id);
    return false;
}

bool spsc_send(uint32_t process, uint32_t id)
{
    const unsigned char *bytes = bytes_of(id);
    size_t size = spsc_size_of(id);
    bool must_go = spsc_must_go(process, id);
    send_begins(id);
    bool plain = spsc_tag_of(id) == 0 && !spsc_is_marked(id);
    int result =
        plain && yk_spsc_send_small(sender_of(process), bytes, size)
            ? 1
            : yk_spsc_send(sender_of(process), bytes, size, spsc_tag_of(id), spsc_is_marked(id));
    return send_ended(id, result, must_go);
}

static unsigned char *loan_bytes(const struct spsc_sending *sending, uint32_t which)
{
    return sending->loans[which].block;
}

bool spsc_loan(uint32_t process, uint32_t id)
{
    struct spsc_sending *sending = &spsc_world->senders[process];
    void *block = NULL;
    bool must_go = spsc_must_go(process, id);
    ledger()->loaned = 1;
    if (sending->loan_count == SPSC_LOANS_MOST)
        return false;
    int result = yk_spsc_loan(&sending->sender, spsc_size_of(id), &block);
    if (result < 0)
        spsc_fault("a loan for %u gave %d", id, result);
    if (result == 0 && must_go)
        spsc_fault("there is no loan for %u, though there must be", id);
    if (result != 1)
        return false;
    if (yk_spsc_loan_size(&sending->sender, block) < (int64_t)spsc_size_of(id))
        spsc_fault("the loan for %u is too small", id);
    yk_check_yield();
    memcpy(block, bytes_of(id), spsc_size_of(id));
    sending->loans[sending->loan_count++] = (struct spsc_loan){block, id};
    return true;
}

static void forget_loan(struct spsc_sending *sending, uint32_t which)
{
    if (which == 0)
        sending->loans[0] = sending->loans[1];
    sending->loan_count--;
}

bool spsc_commit(uint32_t process, uint32_t which)
{
    struct spsc_sending *sending = &spsc_world->senders[process];
    struct spsc_loan loan = sending->loans[which];
    if (!spsc_bytes_match(loan.id, loan_bytes(sending, which), spsc_size_of(loan.id)))
        spsc_fault("the loan for %u was overwritten", loan.id);
    send_begins(loan.id);
    int result = yk_spsc_commit(&sending->sender, loan.block, spsc_size_of(loan.id),
                                spsc_tag_of(loan.id), spsc_is_marked(loan.id));
    bool sent = send_ended(loan.id, result, false);
    if (sent)
        forget_loan(sending, which);
    return sent;
}

void spsc_cancel(uint32_t process, uint32_t which)
{
    struct spsc_sending *sending = &spsc_world->senders[process];
    int result = yk_spsc_cancel_loan(&sending->sender, sending->loans[which].block);
    if (result != 1)
        spsc_fault("cancelling a loan gave %d", result);
    forget_loan(sending, which);
}

void spsc_resume_sender(uint32_t process)
{
    struct spsc_sending *sending = &spsc_world->senders[process];
    sending->loan_count = 0;
    sending->sender.ring = spsc_ring;
    sending->sender.pieces = sending->pieces;
    yk_spsc_resume_sender(&sending->sender);
    NOW();
    ledger()->sender = process;
    ledger()->sender_dead = 0;
    if (sending->sender.sent - spsc_base != ledger()->sent)
        spsc_fault("a new sender goes on at %lld, and %u are sent",
                   (long long)(sending->sender.sent - spsc_base), ledger()->sent);
}

/* ---- receiving ---- */

int spsc_in_hand(bool newest)
{
    int found = -1;
    for (uint32_t i = 0; i <= ledger()->sent; i++)
        if (ledger()->message[i].fate == HAND && (found < 0 || newest))
            found = (int)i;
    return found;
}

bool spsc_take(uint32_t process, uint64_t capacity)
{
    struct yk_spsc_message message;
    uint32_t sent_before = ledger()->sent;
    NOW();
    ledger()->taking = 1;
    NOW();
    int result = yk_spsc_take(receiver_of(process), capacity, &message);
    NOW();
    if (result == 1)
        spsc_delivered(&message);
    else if (result == 0)
        spsc_nothing_there(sent_before);
    else if (result == -EMSGSIZE)
        spsc_too_big(capacity);
    else
        spsc_fault("taking gave %d", result);
    NOW();
    ledger()->taking = 0;
    NOW();
    if (result == 1 &&
        yk_spsc_find_lent(receiver_of(process), message.bytes) != (int64_t)message.index)
        spsc_fault("message %llu is not found by its bytes", (unsigned long long)message.index);
    return result == 1;
}

/* As yk_link_recv() does it. */
bool spsc_recv(uint32_t process)
{
    unsigned char bytes[128];
    size_t size = 0;
    NOW();
    ledger()->swallowing = 1;
    NOW();
    if (yk_spsc_recv_small(receiver_of(process), bytes, sizeof bytes, &size) ||
        yk_spsc_recv_big(receiver_of(process), bytes, sizeof bytes, &size)) {
        NOW();
        spsc_swallowed(bytes, size);
        NOW();
        ledger()->swallowing = 0;
        return true;
    }
    ledger()->swallowing = 0;
    NOW();
    if (!spsc_take(process, UINT64_MAX))
        return false;
    int position = spsc_in_hand(true);
    if (position >= 0)
        spsc_release(process, (uint32_t)position);
    return true;
}

/* What the caller does before it gives a message up: it reads it. */
static void look_at_it(uint32_t position)
{
    const struct spsc_message_fate *one = &ledger()->message[position];
    yk_check_yield();
    uint32_t id = position < ledger()->sent ? one->id : ledger()->pending;
    if (!spsc_bytes_match(id, one->bytes, spsc_size_of(id)))
        spsc_fault("message %u changed in its receiver's hand", position);
}

void spsc_release(uint32_t process, uint32_t position)
{
    struct spsc_message_fate *one = &ledger()->message[position];
    look_at_it(position);
    NOW();
    one->fate = ACKING;
    NOW();
    int result = yk_spsc_release(receiver_of(process), spsc_base + position);
    NOW();
    one->fate = ACKED;
    if (result != 1)
        spsc_fault("releasing message %u gave %d", position, result);
    if (yk_spsc_release(receiver_of(process), spsc_base + position) != -EINVAL)
        spsc_fault("message %u was released twice", position);
}

void spsc_return(uint32_t process, uint32_t position)
{
    struct spsc_message_fate *one = &ledger()->message[position];
    bool dropped = spsc_ring.geometry.once || spsc_used_up(position, one->seen);
    look_at_it(position);
    NOW();
    one->fate = RETURNING;
    NOW();
    int result = yk_spsc_return(receiver_of(process), spsc_base + position);
    NOW();
    one->fate = dropped ? ACKED : BACK;
    if (result != 1)
        spsc_fault("returning message %u gave %d", position, result);
}

void spsc_recover(void)
{
    if (!ledger()->receiver_dead)
        spsc_receiver_died();
    NOW();
    yk_spsc_recover_receiver(&spsc_ring);
}

void spsc_resume_receiver(uint32_t process)
{
    struct spsc_receiving *receiving = &spsc_world->receivers[process];
    receiving->receiver.ring = spsc_ring;
    receiving->receiver.lent = receiving->lent;
    yk_spsc_resume_receiver(&receiving->receiver);
    NOW();
    ledger()->receiver = process;
    ledger()->receiver_dead = 0;
}

/* ---- operations ---- */

bool spsc_is_senders(uint32_t operation)
{
    return operation <= OP_RESUME_SENDER;
}

static uint32_t id_for(const struct spsc_task *task, enum spsc_kind kind)
{
    return spsc_id(task->id, kind);
}

static bool prepare_loans(const struct spsc_task *task)
{
    struct spsc_sending *sending = &spsc_world->senders[task->process];
    while (sending->loan_count < (task->operation == OP_COMMIT_LAST ? 2 : 1))
        if (!spsc_loan(task->process, spsc_id(task->id + 5 + sending->loan_count, BUFFERED)))
            return false;
    return true;
}

static bool prepare_hand(const struct spsc_task *task)
{
    bool last = task->operation == OP_RELEASE_LAST || task->operation == OP_RETURN_LAST;
    while (spsc_in_hand(false) < 0 || (last && spsc_in_hand(false) == spsc_in_hand(true)))
        if (!spsc_take(task->process, UINT64_MAX))
            return false;
    return true;
}

bool spsc_prepare(struct spsc_task *task)
{
    task->done = 0;
    switch ((enum spsc_operation)task->operation) {
    case OP_RECOVER:
        if (!ledger()->receiver_dead)
            spsc_receiver_died();
        return true;
    case OP_RESUME_RECEIVER:
        spsc_recover();
        return true;
    case OP_RESUME_SENDER:
        spsc_sender_died();
        return true;
    case OP_COMMIT:
    case OP_COMMIT_LAST:
    case OP_CANCEL:
        return !ledger()->sender_dead && prepare_loans(task);
    case OP_RELEASE:
    case OP_RELEASE_LAST:
    case OP_RETURN:
    case OP_RETURN_LAST:
        return !ledger()->receiver_dead && prepare_hand(task);
    default:
        return spsc_is_senders(task->operation) ? !ledger()->sender_dead : !ledger()->receiver_dead;
    }
}

static void run_sender(const struct spsc_task *task)
{
    uint32_t process = task->process, operation = task->operation;
    if (spsc_world->senders[process].loan_count == 0 &&
        (operation == OP_COMMIT || operation == OP_COMMIT_LAST || operation == OP_CANCEL))
        return;
    switch ((enum spsc_operation)operation) {
    case OP_SEND:
        spsc_send(process, id_for(task, SMALL));
        break;
    case OP_SEND_TAGGED:
        spsc_send(process, id_for(task, TAGGED));
        break;
    case OP_SEND_BUFFERED:
        spsc_send(process, id_for(task, BUFFERED_TAGGED));
        break;
    case OP_SEND_TWO:
        spsc_send(process, id_for(task, BUFFERED));
        spsc_send(process, spsc_id(task->id + 1, SMALL));
        break;
    case OP_LOAN:
        spsc_loan(process, id_for(task, BUFFERED));
        break;
    case OP_COMMIT:
        spsc_commit(process, 0);
        break;
    case OP_COMMIT_LAST:
        spsc_commit(process, spsc_world->senders[process].loan_count - 1);
        break;
    case OP_CANCEL:
        spsc_cancel(process, 0);
        break;
    default:
        spsc_resume_sender(process);
    }
}

static void run_receiver(const struct spsc_task *task)
{
    uint32_t process = task->process;
    int position;
    switch ((enum spsc_operation)task->operation) {
    case OP_TAKE:
        spsc_take(process, UINT64_MAX);
        break;
    case OP_TAKE_TWO:
        if (spsc_take(process, UINT64_MAX))
            spsc_take(process, UINT64_MAX);
        break;
    case OP_RECV:
        spsc_recv(process);
        break;
    case OP_TAKE_SMALL:
        spsc_take(process, SMALL_BUFFER);
        break;
    case OP_RELEASE:
    case OP_RELEASE_LAST:
        position = spsc_in_hand(task->operation == OP_RELEASE_LAST);
        if (position >= 0)
            spsc_release(process, (uint32_t)position);
        break;
    case OP_RETURN:
    case OP_RETURN_LAST:
        position = spsc_in_hand(task->operation == OP_RETURN_LAST);
        if (position >= 0)
            spsc_return(process, (uint32_t)position);
        break;
    case OP_RECOVER:
        spsc_recover();
        break;
    default:
        spsc_resume_receiver(process);
    }
}

/* Kept out of line so that who is stepped enters it with the arguments alone. */
__attribute__((noinline)) void spsc_run(struct spsc_task *task)
{
    if (spsc_is_senders(task->operation)) {
        ledger()->sender_busy = 1;
        NOW();
        run_sender(task);
        NOW();
        ledger()->sender_busy = 0;
    } else {
        ledger()->receiver_busy = 1;
        NOW();
        run_receiver(task);
        NOW();
        ledger()->receiver_busy = 0;
    }
    NOW();
    task->done = 1;
}
