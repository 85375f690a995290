/*
 * stepper.h - runs an operation one machine instruction at a time.
 *
 *   by ptrace  in another process, as a real participant
 *   by trap    in this process, on a stack of its own, with the processor's trap flag: several times quicker, and its
 *              whole state is a piece of memory that can be kept and put back
 */
#ifndef CRASH_STEPPER_H
#define CRASH_STEPPER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum stepper_kind { BY_TRAP, BY_PTRACE };

/* What is stepped: run(argument), which sets *done at its end. Both lie in shared memory. */
struct stepped {
    void (*run)(void *argument);
    void *argument;
    const volatile uint32_t *done;
};

struct stepper {
    enum stepper_kind kind;
    struct stepped what;
    pid_t pid;            /* by ptrace */
    void *registers;      /* by ptrace: right before an operation */
    unsigned char *stack; /* by trap */
    void *pointer;        /* by trap */
    bool free;            /* by trap: runs on without being stepped */
    unsigned char *kept;
    void *kept_pointer;
};

/* NULL, or why it can not be done here. The world is as it will be: who is stepped by ptrace has a copy of it. */
const char *stepper_open(struct stepper *stepper, enum stepper_kind kind, struct stepped what);
void stepper_close(struct stepper *stepper);

/* Before the first instruction of it, wherever it was. */
void stepper_begin(struct stepper *stepper);
void stepper_step(struct stepper *stepper);

/* By trap only. To the end of the operation at full speed; keep the present state; put it back. */
void stepper_run_on(struct stepper *stepper);
void stepper_keep(struct stepper *stepper);
void stepper_put_back(struct stepper *stepper);

#endif
