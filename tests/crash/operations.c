/* operations.c - what participants do, and how one who steps them sees how far they got. */
#include "model.h"

#include <errno.h>
#include <string.h>

uint32_t ring_for(uint32_t who, uint64_t id)
{
    return ring.geometry.rings == 1 ? 0 : (uint32_t)((id + who) & 1);
}

const char *const operation_names[] = {
    "send",   "send-two",    "recv",          "recv-two",   "borrow",       "release",
    "return", "recv-parked", "return-parked", "recv-small", "recover-dead", "recover-first",
};

bool is_send(uint32_t operation)
{
    return operation == OP_SEND || operation == OP_SEND_TWO;
}

static bool is_take(uint32_t operation)
{
    return operation == OP_RECV || operation == OP_RECV_TWO || operation == OP_BORROW;
}

bool takes(uint32_t operation)
{
    return is_take(operation) || operation == OP_RECV_SMALL;
}

uint32_t wanted(uint32_t operation)
{
    return operation == OP_SEND_TWO || operation == OP_RECV_TWO ? 2 : 1;
}

bool operation_disturbs(enum operation other, enum operation one)
{
    if (is_send(one))
        return is_send(other);
    /* A return may park what would have been delivered; a taker of parked ones may hold what was to be parked. */
    if (one == OP_RECV_PARKED)
        return other == OP_RECV_PARKED || other == OP_RETURN_PARKED;
    return takes(other);
}

bool operation_prepare(enum operation operation, enum participant who, uint32_t id,
                       struct result *ret)
{
    memset((void *)ret, 0, sizeof *ret);
    ret->operation = operation;
    ret->who = who;
    ret->id = id;
    if (operation == OP_RELEASE || operation == OP_RETURN) {
        if (take_one(who, ring.geometry.max_message, &ret->held[0]) != 1)
            return false;
        ret->got_id[0] = read_message(&ret->held[0]);
    }
    if (operation == OP_RETURN_PARKED) {
        if (take_parked_one(who, &ret->held[0]) != 1)
            return false;
        ret->got_id[0] = read_message(&ret->held[0]);
    }
    if (operation == OP_RECV_PARKED && count_state(YK_CELL_PARKED) == 0 &&
        ring.geometry.max_parked == 0)
        return false;
    if (operation == OP_RECOVER_FIRST && who == FIRST)
        return false;
    return true;
}

void operation_begin(struct result *result, const uint64_t *floor)
{
    static unsigned char kept[IMAGE_MAX];
    memcpy(result->floor, floor, sizeof result->floor);
    result->could = 0;
    result->disturbed = 0;
    result->begun = 1;
    if (result->operation == OP_RETURN || result->operation == OP_RETURN_PARKED) {
        result->could = count_parking();
        return;
    }
    if (!is_send(result->operation) && !is_take(result->operation) &&
        result->operation != OP_RECV_PARKED)
        return;
    struct result alone = *result;
    memcpy(kept, image, image_size);
    operation_run(&alone);
    memcpy(image, kept, image_size);
    result->could = is_send(result->operation) ? alone.sent : alone.got;
}

static void run_send(struct result *result)
{
    uint32_t count = wanted(result->operation), number = ring_for(result->who, result->id);
    uint64_t hint = yk_ring_tail(&ring, number), open = 0;
    for (uint32_t k = 0; k < count; k++) {
        uint64_t sequence;
        if (!send_at(number, result->who, result->id + k, &hint, &open, &sequence))
            break;
        result->sequence[k] = sequence;
        result->sent = k + 1;
    }
    if (result->sent > 0)
        yk_ring_hint(&yk_ring_shm(&ring, number)->tail, hint);
    result->status = result->sent > 0;
}

static void run_release(struct result *result, uint32_t k)
{
    result->releasing = k + 1;
    int status = yk_ring_release(&ring, &result->held[k]);
    if (status != 1)
        result->status = status == 0 ? -EIO : status;
}

static void run_take(struct result *result)
{
    uint32_t count = wanted(result->operation), number = ring.geometry.rings;
    uint64_t hint = 0;
    int status = 1;
    /* As a port does it: ring by ring, the hint carried on within one. */
    while (result->got < count && number-- > 0) {
        hint = yk_ring_head(&ring, number);
        uint32_t before = result->got;
        do {
            uint32_t k = result->got;
            status = yk_ring_take(&ring, number, result->who, ring.geometry.max_message, &hint,
                                  &result->held[k]);
            if (status == 1) {
                result->got_id[k] = read_message(&result->held[k]);
                result->got = k + 1;
            }
        } while (status == 1 && result->got < count);
        if (result->got > before)
            yk_ring_hint(&yk_ring_shm(&ring, number)->head, hint);
        if (status < 0)
            break;
    }
    result->status = status < 0 ? status : (int32_t)result->got;
    if (result->operation == OP_BORROW)
        return;
    for (uint32_t k = 0; k < result->got; k++)
        run_release(result, k);
}

/* Kept out of line so that a stepped process enters it with the arguments alone. */
__attribute__((noinline)) void operation_run(struct result *result)
{
    struct yk_held held;
    switch ((enum operation)result->operation) {
    case OP_SEND:
    case OP_SEND_TWO:
        run_send(result);
        break;
    case OP_RECV:
    case OP_RECV_TWO:
    case OP_BORROW:
        run_take(result);
        break;
    case OP_RELEASE:
        /* As a port does it: from the block to what is held there. */
        result->status = yk_ring_find_held(&ring, result->who, result->held[0].block, &held);
        if (result->status == 1 && held.sequence != result->held[0].sequence)
            result->status = -EIO;
        result->held[0] = held;
        run_release(result, 0);
        break;
    case OP_RETURN:
    case OP_RETURN_PARKED:
        result->releasing = 1;
        result->status = yk_ring_return(&ring, &result->held[0]);
        break;
    case OP_RECV_PARKED:
        result->status = take_parked_one(result->who, &result->held[0]);
        if (result->status == 1) {
            result->got_id[0] = read_message(&result->held[0]);
            result->got = 1;
            run_release(result, 0);
        }
        break;
    case OP_RECV_SMALL:
        result->status = take_one(result->who, SMALL_BUFFER, &result->held[0]);
        if (result->status == 1) {
            result->got_id[0] = read_message(&result->held[0]);
            result->got = 1;
            run_release(result, 0);
        }
        break;
    case OP_RECOVER_DEAD:
        yk_ring_recover(&ring, DEAD, ring.geometry.blocks_each);
        break;
    case OP_RECOVER_FIRST:
        yk_ring_recover(&ring, FIRST, ring.geometry.blocks_each);
        break;
    case OPERATIONS:
        break;
    }
    result->done = 1;
}
