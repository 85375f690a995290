/*
 * loops.c - the loops for systems that are called through their pointers, as a library is.
 */
#include "loops.h"

static int calling_ping(const struct bench_run *run, const struct bench_batch *batch)
{
    return bench_ping(run->state, batch, run->system->send, run->system->recv);
}

static int calling_pong(const struct bench_run *run, const struct bench_batch *batch)
{
    return bench_pong(run->state, batch, run->system->send, run->system->recv);
}

static int calling_consume(const struct bench_run *run, const struct bench_batch *batch)
{
    return bench_consume(run->state, batch, run->system->recv);
}

static int calling_produce(const struct bench_run *run, const struct bench_batch *batch)
{
    return bench_produce(run->state, batch, run->system->send);
}

const struct bench_loops bench_calling_loops = {calling_ping, calling_pong, calling_consume,
                                                calling_produce};

int bench_reopen(const struct bench_run *run, const struct bench_batch *batch)
{
    uint64_t done = 0;

    for (size_t entry = 0; done < batch->count; entry++) {
        uint64_t left = batch->count - done, group = left < batch->group ? left : batch->group;
        uint64_t opening = 0, closing = 0;

        for (uint64_t group_end = done + group; done < group_end; done++) {
            uint64_t start = bench_now(), opened;
            int error = run->system->reopen(run->state, &opened);
            if (error < 0)
                return error;
            opening += opened - start;
            closing += bench_now() - opened;
        }
        batch->times[entry] = (double)opening / (double)group;
        if (batch->closings)
            batch->closings[entry] = (double)closing / (double)group;
    }
    return 0;
}
