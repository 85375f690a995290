/*
 * exec.c - see exec.h.
 */
#include "exec.h"

#include "output.h"
#include "stop.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

void yk_exec_init(struct yk_exec *exec)
{
    exec->running = yk_grow(NULL, exec->jobs * sizeof *exec->running);
    exec->count = 0;
}

void yk_exec_fini(struct yk_exec *exec)
{
    free(exec->running);
}

/* ---- starting -------------------------------------------------------------------------------- */

static int write_all(int descriptor, const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t went = write(descriptor, bytes, size);
        if (went < 0 && errno == EINTR && !yk_stop_signal())
            continue;
        if (went < 0)
            return -errno;
        bytes += went;
        size -= (size_t)went;
    }
    return 0;
}

/*
 * The message as a file that the command can read from its beginning: a copy, so neither a hostile
 * sender nor a command that reads slowly is in anybody's way. A descriptor or a negative errno.
 */
static int message_file(const struct yoke_message *message)
{
    int descriptor = memfd_create("yoke-message", MFD_CLOEXEC);

    if (descriptor < 0)
        return -errno;
    int error = write_all(descriptor, message->data, message->size);
    if (error == 0 && lseek(descriptor, 0, SEEK_SET) < 0)
        error = -errno;
    if (error < 0)
        close(descriptor);
    return error < 0 ? error : descriptor;
}

static void set_variable(const char *name, const char *format, uint64_t value)
{
    char text[24];

    snprintf(text, sizeof text, format, value);
    setenv(name, text, 1);
}

static void set_variables(const struct yk_exec *exec, const struct yoke_message *message)
{
    setenv("YOKE_ADDRESS", exec->address, 1);
    set_variable("YOKE_SIZE", "%" PRIu64, message->size);
    set_variable("YOKE_SEQUENCE", "%" PRIu64, message->sequence);
    set_variable("YOKE_PRIORITY", "%" PRIu64, message->priority);
    set_variable("YOKE_DELIVERIES", "%" PRIu64, message->deliveries);
    set_variable("YOKE_TAG", "%" PRIu64, message->tag);
    set_variable("YOKE_SENDER", "%" PRId64, (uint64_t)message->sender);
}

/* In the child. The parent may have died before the kernel was told to tell of it. */
static _Noreturn void become_command(const struct yk_exec *exec, const struct yoke_message *message,
                                     int input, pid_t parent)
{
    struct sigaction usual = {.sa_handler = SIG_DFL};

    sigaction(SIGPIPE, &usual, NULL);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        _exit(1);
    set_variables(exec, message);
    if (dup2(input, STDIN_FILENO) >= 0)
        execl("/bin/sh", "sh", "-c", exec->command, (char *)NULL);
    yk_complain("/bin/sh: %s", strerror(errno));
    _exit(127);
}

static int watch(pid_t process)
{
    int descriptor = (int)syscall(SYS_pidfd_open, process, 0u); /* close-on-exec by itself */

    return descriptor < 0 ? -errno : descriptor;
}

/* Runs the command with `input`. 0 or a negative errno. */
static int start(struct yk_exec *exec, const struct yoke_message *message, int input)
{
    pid_t parent = getpid(), child = fork();

    if (child == 0)
        become_command(exec, message, input, parent);
    if (child < 0)
        return -errno;
    int descriptor = watch(child);
    if (descriptor < 0) {
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        return descriptor;
    }
    exec->running[exec->count++] = (struct yk_exec_job){child, descriptor, *message};
    return 0;
}

int yk_exec_start(struct yk_exec *exec, const struct yoke_message *message)
{
    int input = message_file(message);
    int error = input < 0 ? input : start(exec, message, input);

    if (input >= 0)
        close(input);
    if (error == 0)
        return 0;
    if (error != -EINTR)
        yk_complain("%s: no command can be started: %s", exec->address, strerror(-error));
    int result = yoke_return(exec->endpoint, message->data);
    if (result < 0)
        yk_report_on(exec->address, result);
    return error;
}

/* ---- ending ---------------------------------------------------------------------------------- */

static void explain_failure(const struct yk_exec *exec, const struct yk_exec_job *job, int status)
{
    char how[64];

    if (WIFSIGNALED(status))
        snprintf(how, sizeof how, "was killed by SIG%s", sigabbrev_np(WTERMSIG(status)));
    else
        snprintf(how, sizeof how, "failed with status %d", WEXITSTATUS(status));
    yk_complain("%s: message %" PRIu64 " is given back: the command %s (delivery %" PRIu32 ")",
                exec->address, job->message.sequence, how, job->message.deliveries);
}

/* The command has ended, or is about to. 0, or a negative errno after a complaint. */
static int settle(struct yk_exec *exec, size_t index)
{
    struct yk_exec_job job = exec->running[index];
    int status = 0;

    while (waitpid(job.process, &status, 0) < 0 && errno == EINTR) {
    }
    close(job.descriptor);
    exec->running[index] = exec->running[--exec->count];
    bool succeeded = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (!succeeded)
        explain_failure(exec, &job, status);
    *(succeeded ? &exec->succeeded : &exec->failed) += 1;
    int result = succeeded ? yoke_release(exec->endpoint, job.message.data)
                           : yoke_return(exec->endpoint, job.message.data);
    if (result < 0)
        yk_report_on(exec->address, result);
    return result;
}

int yk_exec_wait(struct yk_exec *exec, bool messages)
{
    struct pollfd *waiting = yk_grow(NULL, (exec->count + 1) * sizeof *waiting);
    size_t count = exec->count;
    int result = 0;

    for (size_t i = 0; i < count; i++)
        waiting[i] = (struct pollfd){.fd = exec->running[i].descriptor, .events = POLLIN};
    waiting[count] =
        (struct pollfd){.fd = messages ? yoke_fd(exec->endpoint) : -1, .events = POLLIN};
    if (messages && waiting[count].fd < 0) {
        result = waiting[count].fd;
        yk_report_on(exec->address, result);
    } else if (poll(waiting, count + 1, -1) < 0) {
        result = -errno;
    }
    for (size_t i = count;
         result == 0 && i-- > 0;) { /* from behind: the last takes an ended one's place */
        if (waiting[i].revents)
            result = settle(exec, i);
    }
    free(waiting);
    return result;
}
