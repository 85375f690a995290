/*
 * dpdk_ring-none.c - takes dpdk_ring.c's place in a build without DPDK.
 */
#include "absent.h"

BENCH_DEFINE_ABSENT(bench_dpdk_ring, "dpdk-ring", "libdpdk-dev");
