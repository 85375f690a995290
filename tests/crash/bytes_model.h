/*
 * bytes_model.h - the small world in which the ring of streams is checked, and what must be true of it,
 * whoever died or stands still wherever.
 *
 * Both ends and a ring of a few bytes in one array (`image`); participants with a private view each; and
 * the *ledger*: what the calls have told their callers so far. The byte at each position follows from the
 * position, so what lies anywhere can be judged.
 *
 * bytes_sweep.c single-steps the operations as they ship; bytes_schedules.c runs them as coroutines.
 */
#ifndef CRASH_BYTES_MODEL_H
#define CRASH_BYTES_MODEL_H

#include "ring/bytes.h"
#include "tools.h"

#define BYTES_CAPACITY 8 /* less than any real one: the ring does not mind */
#define BYTES_MOST     64
#define BYTES_PEOPLE   3

struct bytes_image {
    struct yk_shm_bytes_end ends[2];
    struct yk_shm_bytes ring;
    unsigned char bytes[BYTES_CAPACITY];
};

struct bytes_ledger {
    uint8_t delivered[BYTES_MOST]; /* how often, by position */
    uint8_t inside[BYTES_PEOPLE];  /* the side that it is in, + 1 */
    uint8_t busy[BYTES_PEOPLE];    /* within an operation: the side, + 1 */
    uint8_t present[BYTES_PEOPLE]; /* surely a writer, by what the calls said */
    uint32_t absences;             /* how often there was none any more */
    uint32_t strays; /* writes of participants that never came: only come-and-go does */
    char fault[112];
};

struct bytes_world {
    struct yk_bytes views[BYTES_PEOPLE];
    struct bytes_ledger ledger;
    uint64_t base; /* the first byte's position */
};

extern struct bytes_world *bytes_world;
extern struct bytes_image *bytes_image;
#define bytes_base (bytes_world->base)

/* `wrap`: the counters run over 2^64 soon. */
void bytes_open(bool wrap, struct bytes_image *image, struct bytes_world *world);

enum bytes_operation {
    OP_NONE,
    OP_WRITE,
    OP_WRITE_MUCH,  /* as much as there is room for */
    OP_WRITE_PLACE, /* in place, as yoke_move() does */
    OP_COME_AND_GO, /* comes, writes, leaves */
    OP_READ,
    OP_READ_ALL,
    OP_READ_PLACE,
    OP_READ_TO_END, /* and says so where there is one */
    OP_RECOVER,     /* a dead one: participant 0 */
    BYTES_OPERATIONS
};
extern const char *const bytes_operation_names[];

struct bytes_task {
    uint32_t operation, process; /* process: 0, 1, 2 */
    volatile uint32_t done;
    uint32_t pad;
};

bool bytes_is_writers(uint32_t operation);
void bytes_run(struct bytes_task *task);
void bytes_died(uint32_t process);

extern const int bytes_start_count;
const char *bytes_start_name(int start);
void bytes_start_build(int start);

/* True at every instant. */
bool bytes_holds_invariants(void);
/*
 * Everybody stops here for ever. The side that nobody stands in goes on; then the dead are recovered,
 * twice: every byte that was written comes, in order, once; there is room for all again. The world is left
 * as it was.
 */
bool bytes_all_is_well(void);

#endif
