/*
 * in_place.h - moving messages without copying them: yoke_loan(), yoke_commit(), yoke_borrow(),
 * yoke_release(), on whichever kind of endpoint.
 */
#ifndef YK_BENCH_IN_PLACE_H
#define YK_BENCH_IN_PLACE_H

#include "../system.h"

#include <yoke.h>

int bench_produce_in_place(yoke_endpoint *endpoint, const struct bench_batch *batch);
int bench_consume_in_place(yoke_endpoint *endpoint, const struct bench_batch *batch);

#endif
