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
