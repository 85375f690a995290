/*
 * kill.h - stopping an actor at a chosen place of what it does, and killing it there.
 *
 * A *place* is counted from the first instruction of the call: so many system-call stops (each system
 * call has two, before and after), then so many instructions. A *survey* walks through a call and lists the places after
 * which something that others can see has changed: behind a system call that has an effect, and behind each instruction
 * after which shared memory reads otherwise. A kill anywhere between two of those leaves the same; a sample of them is
 * tried all the same.
 *
 * What is left of a killed process is looked for in $YOKE_DIR, among the System V segments and, where their file
 * system can be mounted (leftovers_open), among the POSIX message queues.
 */
#ifndef CRASH_KILL_H
#define CRASH_KILL_H

#include "actor.h"

struct place {
    uint32_t stops, steps;
};

#define STRETCHES_MOST 512

struct places {
    struct place *list;
    uint32_t count, room;
    uint64_t instructions; /* stepped through */
    bool slept;
    bool busy[STRETCHES_MOST]; /* shared memory changes between system call n and the next */
};

enum where {
    AT_PLACE,
    AT_END,    /* the call is over */
    AT_SLEEP,  /* it sleeps in a futex: go on with victim_go() once somebody woke it */
    AT_NOTHING /* it died by itself, or nothing makes sense */
};

/* 0, or why this machine can not do it. Single-steps a process of its own. */
const char *tracing_fails(void);

/* Tells the actor, and stops it right before the call. */
bool victim_begin(struct actor *actor, const struct order *order);

/* Lets it go on to a place. */
enum where victim_go(struct actor *actor, const struct place *place);

/* Lets it finish the call and be an actor as before. False: it did not within a very long time. */
bool victim_finish(struct actor *actor);

/*
 * Stands it there by SIGSTOP, and traces it no more: what is left to do with it is victim_finish() or
 * victim_kill(). False: it is as it was, asleep or at its end; or it does not stand.
 */
bool victim_freeze(struct actor *actor);

/* It sleeps: stops it there. victim_finish() lets it go on. */
void victim_hold(struct actor *actor);

void victim_kill(struct actor *actor);

/* What those below need: where chance comes from, when to come to an end, and what to do when the victim sleeps. */
struct surveyor {
    uint64_t *random;
    bool (*enough)(void); /* looked at after each stop: the survey is then over, with what it has listed so far */
    void (*asleep)(void *context);
    void *context;
};

/*
 * All of them walk through the rest of a call (after victim_begin).
 *
 * survey_calls() stops at its system calls only. It lists where one that has an effect is over, and a sample of all others; and notes
 * between which of them shared memory changes. survey_memory(), run over a second victim that does the same, steps through
 * those stretches and adds the instructions that change it (and a sample of the others). Together they find each different thing that a death can leave.
 *
 * survey_instructions() steps through all of it, and also lists one instruction in `sample` (1: each) of those that change nothing.
 */
bool survey_calls(struct actor *actor, const struct surveyor *surveyor, struct places *ret);
bool survey_memory(struct actor *actor, const struct surveyor *surveyor, struct places *places);
bool survey_instructions(struct actor *actor, const struct surveyor *surveyor, uint32_t sample, struct places *ret);
void places_free(struct places *places);

/* ---- what is left ---------------------------------------------------------------------------------- */

struct leftovers {
    uint32_t names, intents, live_files, others, segments;
    /* of the kernel place: names of ports, links and streams; FIFOs of streams and of links' ends; queues */
    uint32_t kernel_ports, kernel_links, kernel_streams, fifos, ends, queues;
    uint32_t sockets; /* of inboxes in the kernel */
    char text[600];
};

/* In an IPC namespace of its own: all queues that are there are ours. False: they can not be seen here, and are not counted. */
bool leftovers_open(void);
bool leftovers_see_queues(void);
void leftovers_close(void);

/* `directory`: $YOKE_DIR. Of segments, only those that our actors made. */
void leftovers_count(const char *directory, struct leftovers *ret);
static inline bool leftovers_none(const struct leftovers *left)
{
    return left->names + left->intents + left->live_files + left->others + left->segments + left->kernel_ports +
               left->kernel_links + left->kernel_streams + left->fifos + left->ends + left->queues + left->sockets ==
           0;
}

/* A number that differs with the sizes of the files, and with how far the segments' headers are filled in. */
uint64_t leftovers_sizes(const char *directory);

/* Wipes all of it, so that the next place starts afresh. */
void leftovers_clear(const char *directory);

uint64_t random_of(uint64_t *state);

#endif
