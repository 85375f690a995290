/*
 * traced.c - counts the system calls of a job with ptrace, which needs no rights beyond those over
 * one's own children.
 *
 * The job runs once more, in a process of its own, which is traced together with everything that it
 * starts. The kernel stops a traced process at each system call it makes, so none is missed. But
 * these stops make each call some hundred times as long as it is otherwise, so the processes wait
 * for each other more often, and the count is higher than that of a job which runs freely.
 *
 * Some systems forbid it (/proc/sys/kernel/yama/ptrace_scope, seccomp filters of containers); and
 * who is being traced already, as by a debugger, can not do it either. Then the problem is said and
 * nothing is counted.
 */
#include <errno.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "wordcount.h"

/* glibc's <sys/ptrace.h> and the kernel's can not both be included; this is the part needed of the
 * latter. */
#ifndef PTRACE_SYSCALL_INFO_ENTRY
#define PTRACE_SYSCALL_INFO_ENTRY 1
#endif

static pid_t start_traced(int (*run)(const void *), const void *argument)
{
    pid_t pid = fork();

    if (pid == 0) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
            _exit(1);
        raise(SIGSTOP); /* until the parent is ready */
        _exit(run(argument));
    }
    return pid;
}

/* A process stands before or behind a system call. */
static int note_call(pid_t pid, struct call_count *count)
{
    struct __ptrace_syscall_info info = {0};
    void *size = (void *)sizeof info; /* NOLINT: ptrace() takes it as a pointer */

    if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, size, &info) < 0)
        return errno == ESRCH ? 0 : -1; /* ESRCH: it was killed just now */
    if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
        count->calls++;
        count->futex += info.entry.nr == SYS_futex;
    }
    return 0;
}

/* Lets a stopped process go on, with the signal that it was stopped for. The director runs freely.
 */
static int go_on(pid_t pid, int status, struct call_count *count)
{
    bool is_director = pid == count->director;
    int signal = WSTOPSIG(status);
    int result = 0;

    if (signal == (SIGTRAP | 0x80))
        result = is_director ? 0 : note_call(pid, count);
    if ((signal & 0x7f) == SIGTRAP || signal == SIGSTOP) /* ptrace's own stops */
        signal = 0;
    ptrace(is_director ? PTRACE_CONT : PTRACE_SYSCALL, pid, NULL, (void *)(intptr_t)signal);
    return result;
}

static const char *trace(struct call_count *count)
{
    const char *problem = NULL;
    int status;
    pid_t pid;

    for (;;) {
        pid = waitpid(-1, &status, __WALL);
        if (pid < 0 && errno == EINTR)
            continue;
        if (pid < 0)
            return problem; /* no processes left */
        if (pid == count->director && !WIFSTOPPED(status) && status != 0)
            problem = "the job failed while it was traced";
        else if (WIFSTOPPED(status) && go_on(pid, status, count) < 0)
            problem =
                "this kernel does not say where a traced process stands (PTRACE_GET_SYSCALL_INFO)";
    }
}

void calls_trace(int (*run)(const void *), const void *argument, struct call_count *ret_count)
{
    const long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
                         PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL;
    int status = 0;

    *ret_count = (struct call_count){0};
    fflush(NULL);
    ret_count->director = start_traced(run, argument);
    if (ret_count->director < 0 || waitpid(ret_count->director, &status, 0) < 0) {
        ret_count->problem = strerror(errno);
    } else if (!WIFSTOPPED(status)) {
        ret_count->problem = "ptrace is not allowed here";
    } else if (ptrace(PTRACE_SETOPTIONS, ret_count->director, NULL, (void *)options) < 0) {
        ret_count->problem = strerror(errno);
        kill(ret_count->director, SIGKILL);
        waitpid(ret_count->director, NULL, 0);
    } else {
        leftovers_note_pid(ret_count->director);
        ptrace(PTRACE_CONT, ret_count->director, NULL, NULL);
        ret_count->problem = trace(ret_count);
    }
}
