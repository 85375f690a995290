/*
 * systems.c - the list of all systems, and which raw limit goes with which setting.
 */
#include "system.h"

#include "limit.h"
#include "peers/peers.h"

#include <sched.h>
#include <sys/mman.h>

/* From here on a message's cost is that of its copies. */
#define BIG_MESSAGE 4096u
/* In place a message of any size should cost what one of this size does. */
#define IN_PLACE 64u

/* clang-format off */
const struct bench_system *const bench_systems[] = {
    /* yoke */
    &bench_yoke_link, &bench_yoke_link_loan, &bench_yoke_port,
    &bench_yoke_port_loan, &bench_yoke_set,
    /* the kernel's channels */
    &bench_pipe, &bench_unix_stream, &bench_unix_seqpacket, &bench_mq, &bench_sysv_msg,
    /* other libraries */
    &bench_zeromq, &bench_nng, &bench_boost_mq, &bench_ck_spsc, &bench_ck_mpmc, &bench_dpdk_ring,
    &bench_iceoryx2,
    /* limits */
    &bench_vyukov, &bench_raw_one_line, &bench_raw_two_line, &bench_raw_futex, &bench_raw_eventfd,
    &bench_raw_ring, &bench_raw_memcpy, &bench_raw_open, &bench_raw_shmat,
    NULL,
};
/* clang-format on */

const struct bench_system *bench_limit_for(const struct bench_system *system,
                                           const struct bench_setting *setting)
{
    const struct bench_system *own = system->limit_for ? system->limit_for(setting) : NULL;

    if (own)
        return own;
    if (setting->topic == BENCH_TOPIC_FAN_IN)
        return system; /* alone on each side */
    if (system->in_place && setting->topic == BENCH_TOPIC_SIZE)
        return system; /* with small messages: see bench_limit_setting() */
    if (setting->what == BENCH_OPEN)
        return &bench_raw_open;
    if (setting->what == BENCH_LATENCY)
        return setting->mode == BENCH_SPIN   ? &bench_raw_two_line
               : setting->mode == BENCH_POLL ? &bench_raw_eventfd
                                             : &bench_raw_futex;
    if (setting->topic == BENCH_TOPIC_SIZE)
        return &bench_raw_memcpy;
    /* A port is many-to-many, so small messages are compared with the best many-to-many ring. */
    return setting->size < BIG_MESSAGE ? &bench_vyukov : &bench_raw_memcpy;
}

struct bench_setting bench_limit_setting(const struct bench_system *system,
                                         const struct bench_setting *setting)
{
    struct bench_setting limit = *setting;

    if (system->in_place && bench_limit_for(system, setting) == system && limit.size > IN_PLACE)
        limit.size = IN_PLACE;
    return limit;
}

void *bench_map_shared(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    return memory == MAP_FAILED ? NULL : memory;
}

void bench_unmap_shared(void *memory, size_t size)
{
    munmap(memory, size);
}

int bench_one_cpu;

void bench_yield_cpu(void)
{
    sched_yield();
}
