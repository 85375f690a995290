/*
 * nng-none.c - takes nng.c's place in a build without libnng.
 */
#include "absent.h"

BENCH_DEFINE_ABSENT(bench_nng, "nng", "libnng-dev");
