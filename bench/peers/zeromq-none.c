/*
 * zeromq-none.c - takes zeromq.c's place in a build without libzmq.
 */
#include "absent.h"

BENCH_DEFINE_ABSENT(bench_zeromq, "zeromq", "libzmq3-dev");
