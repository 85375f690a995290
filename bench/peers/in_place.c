/*
 * in_place.c - see in_place.h.
 *
 * Only the first bytes are written and compared, so that a message of any size has this side touch
 * one line, and what grows with the size is what moving it costs.
 */
#include "in_place.h"

#include "../loops.h"

int bench_produce_in_place(yoke_endpoint *endpoint, const struct bench_batch *batch)
{
    for (uint64_t number = batch->first; number < batch->first + batch->count; number++) {
        void *block;
        int error = yoke_loan(endpoint, batch->size, &block, YOKE_FOREVER);

        if (error < 0)
            return error;
        bench_stamp(block, sizeof number, number);
        /* There are as many blocks as places or more; a full channel is a matter of moments. */
        while ((error = yoke_commit(endpoint, block, batch->size)) == -EAGAIN)
            bench_yield_cpu();
        if (error < 0)
            return error;
    }
    return 0;
}

int bench_consume_in_place(yoke_endpoint *endpoint, const struct bench_batch *batch)
{
    for (uint64_t number = batch->first; number < batch->first + batch->count; number++) {
        const void *message;
        ssize_t size = yoke_borrow(endpoint, &message, YOKE_FOREVER);

        if (size < 0)
            return (int)size;
        if ((size_t)size != batch->size || !bench_is_stamped(message, sizeof number, number))
            return -EBADMSG;
        int error = yoke_release(endpoint, message);
        if (error < 0)
            return error;
    }
    return 0;
}
