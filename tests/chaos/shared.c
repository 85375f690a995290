/* shared.c - see shared.h. */
#include "shared.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define ROOM         ((size_t)1 << 30)
#define SHOWN_FAULTS 10

struct shared *shared;
static unsigned char *room;
static size_t used;

static void *map(size_t size)
{
    void *memory =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        perror("chaos: mmap");
        exit(99);
    }
    return memory;
}

void shared_open(void)
{
    shared = map(sizeof *shared);
    room = map(ROOM);
}

void shared_begin_round(uint32_t round, uint64_t seed)
{
    uint32_t faults = atomic_load(&shared->faults);
    if (madvise(room, ROOM, MADV_REMOVE) != 0 ||
        madvise(shared, sizeof *shared, MADV_REMOVE) != 0) {
        perror("chaos: madvise");
        exit(99);
    }
    used = 0;
    atomic_store(&shared->faults, faults);
    shared->round = round;
    shared->seed = seed;
    shared->seats = 1;
    atomic_store(&shared->seat[AUDITOR].life, 1);
}

void *shared_room(size_t size)
{
    void *here = room + used;
    used += (size + 127) & ~(size_t)127;
    if (used > ROOM) {
        fprintf(stderr, "chaos: a round needs more than %zu bytes of ledger\n", ROOM);
        exit(99);
    }
    return here;
}

bool is_living(uint32_t seat, uint32_t life)
{
    return (life & 1) != 0 && seat < SEATS_MAX && atomic_load(&shared->seat[seat].life) == life;
}

void fault(const char *format, ...)
{
    char text[700];
    va_list arguments;
    uint32_t before = atomic_fetch_add(&shared->faults, 1);
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (before < SHOWN_FAULTS)
        fprintf(stderr, "# fault in round %u: %s\n", shared->round, text);
}

uint64_t random_next(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

uint64_t random_mix(uint64_t a, uint64_t b)
{
    uint64_t state = a * UINT64_C(0xd1342543de82ef95) + b;
    return random_next(&state);
}

void nap(int64_t ns)
{
    nanosleep(&(struct timespec){.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000}, NULL);
}
