/* See stepper.h. */
#include "stepper.h"

#include "coroutine.h"
#include "tools.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if !defined(__x86_64__)

const char *stepper_open(struct stepper *stepper, enum stepper_kind kind, struct stepped what)
{
    (void)stepper;
    (void)kind;
    (void)what;
    /* A load-exclusive that is stepped loses its reservation, for one. */
    return "single-stepping is written for x86-64 only";
}

void stepper_close(struct stepper *stepper)
{
    (void)stepper;
}

void stepper_begin(struct stepper *stepper)
{
    (void)stepper;
}

void stepper_step(struct stepper *stepper)
{
    (void)stepper;
}

void stepper_run_on(struct stepper *stepper)
{
    (void)stepper;
}

void stepper_keep(struct stepper *stepper)
{
    (void)stepper;
}

void stepper_put_back(struct stepper *stepper)
{
    (void)stepper;
}

#else

#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

/* ---- by ptrace ---- */

static void wait_for_trap(const struct stepper *stepper)
{
    int status;
    while (waitpid(stepper->pid, &status, __WALL) < 0)
        if (errno != EINTR)
            give_up("waitpid");
    if (!WIFSTOPPED(status) || WSTOPSIG(status) != SIGTRAP) {
        printf("stepper: the stepped process ended, or got a signal (status 0x%x)\n",
               (unsigned)status);
        exit(1);
    }
}

static _Noreturn void be_stepped(const struct stepped *what)
{
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
        _exit(77);
    raise(SIGSTOP);
    for (;;) {
        __asm__ volatile("int3" ::: "memory");
        what->run(what->argument);
    }
}

static const char *open_process(struct stepper *stepper)
{
    int status;
    fflush(stdout);
    stepper->registers = malloc(sizeof(struct user_regs_struct));
    stepper->pid = fork();
    if (stepper->registers == NULL || stepper->pid < 0)
        give_up("fork");
    if (stepper->pid == 0)
        be_stepped(&stepper->what);
    if (waitpid(stepper->pid, &status, __WALL) < 0)
        give_up("waitpid");
    if (WIFEXITED(status)) {
        stepper->pid = 0;
        return "ptrace is not permitted here";
    }
    if (ptrace(PTRACE_SETOPTIONS, stepper->pid, NULL, (void *)(uintptr_t)PTRACE_O_EXITKILL) != 0 ||
        ptrace(PTRACE_CONT, stepper->pid, NULL, NULL) != 0)
        give_up("ptrace");
    wait_for_trap(stepper);
    if (ptrace(PTRACE_GETREGS, stepper->pid, NULL, stepper->registers) != 0)
        give_up("PTRACE_GETREGS");
    return NULL;
}

static void close_process(struct stepper *stepper)
{
    int status;
    if (stepper->pid > 0) {
        kill(stepper->pid, SIGKILL);
        waitpid(stepper->pid, &status, __WALL);
    }
    free(stepper->registers);
}

/* ---- by trap ---- */

#define STACK_SIZE 65536
#define TRAP_FLAG  0x100

static struct stepper *running; /* the one whose turn it is */
static void *driver_pointer;

/* After each instruction. On the stepper's own stack, with the trap flag off until it returns. */
static void on_trap(int signal, siginfo_t *info, void *context)
{
    struct stepper *stepper = running;
    ucontext_t *user = context;
    (void)signal;
    (void)info;
    if (!stepper->free)
        coroutine_switch(&stepper->pointer, driver_pointer);
    if (stepper->free)
        user->uc_mcontext.gregs[REG_EFL] &= ~(greg_t)TRAP_FLAG;
}

static void trapped_body(void)
{
    struct stepper *stepper = running;
    __asm__ volatile("pushfq\n orq %0, (%%rsp)\n popfq" ::"i"(TRAP_FLAG) : "memory", "cc");
    stepper->what.run(stepper->what.argument);
    __asm__ volatile("pushfq\n andq %0, (%%rsp)\n popfq" ::"i"(~TRAP_FLAG) : "memory", "cc");
    for (;;)
        coroutine_switch(&stepper->pointer, driver_pointer);
}

static void resume_trapped(struct stepper *stepper)
{
    running = stepper;
    coroutine_switch(&driver_pointer, stepper->pointer);
}

static const char *open_trap(struct stepper *stepper)
{
    /* Not deferred: the handler is left by switching stacks, and others are stepped before it returns. */
    struct sigaction action = {.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO | SA_NODEFER};
    stepper->stack = aligned_alloc(64, STACK_SIZE);
    stepper->kept = malloc(STACK_SIZE);
    if (stepper->stack == NULL || stepper->kept == NULL || sigaction(SIGTRAP, &action, NULL) != 0)
        give_up("out of memory");
    return NULL;
}

static size_t live_bytes(const struct stepper *stepper, const void *pointer)
{
    return (size_t)(stepper->stack + STACK_SIZE - (const unsigned char *)pointer);
}

/* ---- both ---- */

const char *stepper_open(struct stepper *stepper, enum stepper_kind kind, struct stepped what)
{
    *stepper = (struct stepper){.kind = kind, .what = what};
    return kind == BY_PTRACE ? open_process(stepper) : open_trap(stepper);
}

void stepper_close(struct stepper *stepper)
{
    if (stepper->kind == BY_PTRACE)
        close_process(stepper);
    free(stepper->stack);
    free(stepper->kept);
    *stepper = (struct stepper){.kind = stepper->kind};
}

void stepper_begin(struct stepper *stepper)
{
    if (stepper->kind == BY_PTRACE) {
        if (ptrace(PTRACE_SETREGS, stepper->pid, NULL, stepper->registers) != 0)
            give_up("PTRACE_SETREGS");
        return;
    }
    stepper->free = false;
    stepper->pointer = coroutine_make(stepper->stack, STACK_SIZE, trapped_body);
}

void stepper_step(struct stepper *stepper)
{
    if (stepper->kind == BY_TRAP) {
        resume_trapped(stepper);
        return;
    }
    if (ptrace(PTRACE_SINGLESTEP, stepper->pid, NULL, NULL) != 0)
        give_up("PTRACE_SINGLESTEP");
    wait_for_trap(stepper);
}

void stepper_run_on(struct stepper *stepper)
{
    stepper->free = true;
    resume_trapped(stepper);
    if (!*stepper->what.done)
        give_up("an operation did not come to its end");
}

void stepper_keep(struct stepper *stepper)
{
    stepper->kept_pointer = stepper->pointer;
    memcpy(stepper->kept, stepper->pointer, live_bytes(stepper, stepper->pointer));
}

void stepper_put_back(struct stepper *stepper)
{
    stepper->free = false;
    stepper->pointer = stepper->kept_pointer;
    memcpy(stepper->pointer, stepper->kept, live_bytes(stepper, stepper->pointer));
}

#endif
