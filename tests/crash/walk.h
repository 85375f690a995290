/*
 * walk.h - every interleaving of a few coroutines at their shared accesses.
 *
 * The ring's code is compiled with YK_CHECK, so that it calls yk_check_yield() before each access to
 * shared memory; at every yield any process may go on. The walk keeps each state whole (the parts that its
 * rules name, and the coroutines' stacks), and a state that was seen before is not walked again: so it is
 * not some schedules but all of them, as far as the limits reach.
 *
 * In every state everybody may be dead, or stopped for ever: each distinct state is put to the question
 * `survives`. One who dies while the others go on is one who is not scheduled again, so deaths need no step
 * of their own, except where somebody waits for one: `may_die`.
 *
 * The model of memory is sequentially consistent: what weaker hardware does besides is not seen here.
 */
#ifndef CRASH_WALK_H
#define CRASH_WALK_H

#include "tools.h"

#define WALK_PROCESSES_MAX 3

struct walk_process {
    void *stack_pointer;
    int length, current; /* of its script */
    bool between;        /* two operations: the next one begins when it is scheduled */
    bool finished, dead;
};
extern struct walk_process walk_processes[WALK_PROCESSES_MAX];
extern int walk_count; /* of processes */

struct walk_part {
    void *memory;
    size_t size; /* a multiple of 8 */
};

struct walk_rules {
    struct walk_part parts[4];               /* what a state is made of, but for the stacks */
    void (*run)(int process, int operation); /* within the coroutine */
    bool (*may_step)(int process);           /* living and not finished it is */
    bool (*may_die)(int process);            /* for somebody who waits for its death */
    void (*announce)(int process);           /* right before it goes on; may be NULL */
    void (*died)(int process);               /* may be NULL */
    bool (*holds)(void);                     /* after every step */
    bool (*survives)(void);                  /* in every state that differs: everybody stops here */
    void (*print_step)(int process, bool begins, const unsigned char *before); /* the first part */
};

struct walk_limits {
    int preemptions; /* -1: no limit */
    long states;     /* of one walk */
};

/* How much was done, over all walks. */
struct walk_counts {
    long states, checked, cut, ends;
};
extern struct walk_counts walk_counts;

/* Makes each process, at the begin of its script of `lengths[i]` operations. */
void walk_begin(const struct walk_rules *rules, int count, const int *lengths);

/* Walks all schedules from there. False: a fault was found; the path to it is printed after `title` if that is given. */
bool walk_all(const struct walk_limits *limits, const char *title, bool print_path);

#endif
