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

const struct bench_system *const bench_systems[] = {
    &bench_yoke_port,
    &bench_yoke_port_loan,
    &bench_pipe,
    &bench_mq,
    &bench_vyukov,
    &bench_raw_one_line,
    &bench_raw_two_line,
    &bench_raw_futex,
    &bench_raw_ring,
    &bench_raw_memcpy,
    &bench_raw_open,
    &bench_raw_shmat,
    NULL,
};

const struct bench_system *bench_limit_for(const struct bench_system *system,
                                           const struct bench_setting *setting)
{
    const struct bench_system *own = system->limit_for ? system->limit_for(setting) : NULL;

    if (own)
        return own;
    if (setting->topic == BENCH_TOPIC_FAN_IN)
        return system; /* alone on each side */
    if (setting->what == BENCH_OPEN)
        return &bench_raw_open;
    if (setting->what == BENCH_LATENCY)
        return setting->mode == BENCH_SPIN ? &bench_raw_two_line : &bench_raw_futex;
    if (setting->topic == BENCH_TOPIC_SIZE)
        return &bench_raw_memcpy;
    /* A port is many-to-many, so small messages are compared with the best many-to-many ring. */
    return setting->size < BIG_MESSAGE ? &bench_vyukov : &bench_raw_memcpy;
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
