/*
 * crew.h - many workers at one object: threads that share a handle, threads with handles of their own in one
 * process (the same memory at two addresses), and processes.
 *
 * A *scene* says what they do, and what must be so. A round of it is planned by chance, from a seed: how many
 * workers there are, which of them share a handle or a process, how big the object is. Every worker numbers
 * what it sends; the *board*, memory that all share, notes what came. Nothing here needs any library but yoke,
 * so that it also runs where there is only a cross compiler.
 */
#ifndef THREADS_CREW_H
#define THREADS_CREW_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "yoke.h"

#define MS            INT64_C(1000000)
#define WORKERS_MAX   16
#define HANDLES_MAX   4 /* in each process */
#define PROCESSES_MAX 4
#define NUMBERS_MAX   1024 /* of each sender */

struct worker {
    uint32_t number; /* among all */
    uint32_t sender; /* among those that send; else UINT32_MAX */
    uint32_t process, handle, role;
    uint64_t random;
};

struct round {
    const struct scene *scene;
    char name[64]; /* of its objects */
    uint64_t random;
    uint32_t processes;
    uint32_t each; /* numbers that each sender sends */
    uint32_t workers, senders;
    struct worker worker[WORKERS_MAX];
    /* how the object is made */
    uint32_t depth, priorities, size;
    bool spins, pair;
    bool one_handle; /* in each process */
    bool gives_back; /* messages */
    int descriptors[2];
    void *anchor; /* keeps the object; children inherit it, and use it as their handle 0 */
};

struct scene {
    const char *name;
    void (*plan)(struct round *round);
    void (*prepare)(struct round *round); /* before anybody is started; may be NULL */
    void (*dispose)(struct round *round); /* when all are done; may be NULL */
    void *(*open)(struct round *round, uint32_t process, uint32_t handle);
    void (*close)(void *handle, uint32_t handle_number);
    void (*work)(struct round *round, struct worker *worker, void *handle);
    void (*check)(struct round *round); /* may be NULL */
    bool one_process;
};

/* In the order in which they are run; the last one is NULL. */
extern const struct scene *const scenes[];

/* Shared by all processes. */
struct board {
    atomic_uint failures;
    char text[512];            /* of the first */
    atomic_ullong progress_ns; /* when something last came about */
    atomic_uint opened, finished;
    atomic_ullong arrived; /* of all senders' */
    atomic_uchar seen[WORKERS_MAX][NUMBERS_MAX];
    atomic_uchar returned[WORKERS_MAX][NUMBERS_MAX]; /* may come out of order from then on */
    atomic_ullong counter, inside;                   /* the scene's own */
};
extern struct board *board;

/* ---- chance ---- */

uint64_t random_next(uint64_t *state);
uint32_t below(uint64_t *state, uint32_t limit);
bool one_in(uint64_t *state, uint32_t n);
/* From not waiting at all to longer than any look of the library's. */
int64_t some_time(uint64_t *state);

/* ---- planning ---- */

/* One worker more. Somewhere, unless the scene then says otherwise. */
struct worker *add_worker(struct round *round, uint32_t role, bool sends);

/* ---- working ---- */

/* Counts a failure; the first one is told. */
void wrong(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* False once something failed, or when nothing has come about for much too long. */
bool go_on(void);
/* Until all handles of all processes are open. */
void wait_for_all(const struct round *round);
/* A result that is no failure: true when it is one of success. */
bool went(int64_t result, const char *what);

/* `number` of a sender has come: for the first time, and whole. Counts. */
void note_arrival(uint32_t sender, uint32_t number);
bool all_arrived(const struct round *round);
/*
 * In order? `last` is the receiver's own, for this sender: one more than what it had last. What was given
 * back once may come later.
 */
void check_order(uint32_t *last, uint32_t sender, uint32_t number);

/* ---- messages: who sent it, which one it is, and bytes that follow from both ---- */

struct packet {
    uint32_t sender, number;
    unsigned char bytes[];
};
#define PACKET_MAX 12000

/* Fills in a packet of `size` bytes, at least those of the header. */
void packet_fill(void *where, uint32_t sender, uint32_t number, size_t size);
/* Whole? Then who and which; else it is a failure, and false. */
bool packet_check(const struct round *round, const void *where, size_t size, uint32_t *ret_sender,
                  uint32_t *ret_number);

/* `processes` 1: threads alone. Prints TAP, returns the exit status. */
int crew_main(int argc, char **argv, uint32_t processes);

/* Where a thread's own chance is to begin, for pauses.c; called at the start of each. */
extern void (*crew_began)(uint64_t random);

#endif
