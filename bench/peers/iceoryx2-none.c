/*
 * iceoryx2-none.c - takes iceoryx2.c's place in a build without what cargo makes of iceoryx2/.
 */
#include "absent.h"

BENCH_DEFINE_ABSENT(bench_iceoryx2, "iceoryx2", "iceoryx2 (cargo, Rust 1.89 or newer)");
