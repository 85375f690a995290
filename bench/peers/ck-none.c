/*
 * ck-none.c - takes ck.c's place in a build without Concurrency Kit.
 */
#include "absent.h"

BENCH_DEFINE_ABSENT(bench_ck_spsc, "ck-spsc", "libck-dev");
BENCH_DEFINE_ABSENT(bench_ck_mpmc, "ck-mpmc", "libck-dev");
