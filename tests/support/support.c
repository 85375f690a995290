/* support.c - see support.h. */
#include "support.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CASE_SKIPPED 77
#define CASE_MOST_MS (3 * SOON_MS) /* one that hangs is not to take the others' time */
#define GRACE_MS     10000         /* for processes that are about to end */

static bool in_case, case_failed;

void skip_because(const char *format, ...)
{
    va_list arguments;
    char reason[256];

    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    print_message("# SKIP %s\n", reason);
    if (in_case) {
        fflush(NULL);
        _exit(CASE_SKIPPED);
    }
}

/* ---- roles ------------------------------------------------------------------------------------ */

pid_t role_start(int (*role)(void *argument), void *argument)
{
    pid_t pid;

    fflush(NULL); /* else the child would print it again */
    pid = fork();
    if (pid < 0)
        fail_msg("fork: %s", strerror(errno));
    if (pid == 0) {
        int status;

        /* cmocka would go on with the next test, in the child. */
        setenv("CMOCKA_TEST_ABORT", "1", 1);
        status = role(argument);
        fflush(NULL);
        _exit(status);
    }
    return pid;
}

static int reap(pid_t pid)
{
    int status;

    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            fail_msg("waitpid(%d): %s", pid, strerror(errno));
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* Polls one descriptor for at most timeout_ms, whatever signals arrive; true if it is readable. */
static bool readable_within(int fd, int timeout_ms)
{
    int64_t end = now_ns() + (int64_t)timeout_ms * 1000000;

    for (;;) {
        int64_t left_ms = (end - now_ns()) / 1000000;
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        int found = poll(&wait, 1, left_ms > 0 ? (int)left_ms : 0);

        if (found > 0)
            return true;
        if (found < 0 && errno != EINTR)
            fail_msg("poll: %s", strerror(errno));
        if (found == 0 && left_ms <= 0)
            return false;
    }
}

int role_wait(pid_t pid, int timeout_ms)
{
    int fd = pidfd_open(pid, 0);
    bool ended;

    if (fd < 0)
        fail_msg("pidfd_open(%d): %s", pid, strerror(errno));
    ended = readable_within(fd, timeout_ms);
    close(fd);
    if (!ended) {
        char state = process_state(pid);

        role_kill(pid);
        fail_msg("process %d did not end within %d ms; its state was %c", pid, timeout_ms, state);
    }
    return reap(pid);
}

void role_kill(pid_t pid)
{
    kill(pid, SIGKILL);
    reap(pid);
}

void role_stop(pid_t pid)
{
    int status;

    kill(pid, SIGSTOP);
    while (waitpid(pid, &status, WUNTRACED) < 0)
        if (errno != EINTR)
            fail_msg("waitpid(%d): %s", pid, strerror(errno));
    if (!WIFSTOPPED(status))
        fail_msg("process %d ended instead of stopping (status 0x%x)", pid, (unsigned)status);
}

void role_resume(pid_t pid)
{
    kill(pid, SIGCONT);
}

void role_wait_asleep(pid_t pid, int timeout_ms)
{
    int64_t end = now_ns() + (int64_t)timeout_ms * 1000000;
    char state;

    while ((state = process_state(pid)) != 'S') {
        if (now_ns() >= end || !state || state == 'Z')
            fail_msg("process %d does not sleep; its state is %c", pid, state ? state : '-');
        sched_yield();
    }
}

/* ---- cases ------------------------------------------------------------------------------------ */

/* The address sanitizer's, if it is there: else it looks at a program's end, to which no role comes. */
void __lsan_do_leak_check(void) __attribute__((weak));

static int role_of_case(void *argument)
{
    const struct test_case *one = argument;
    void *state = one->state;

    in_case = true;
    one->test(&state);
    if (__lsan_do_leak_check)
        __lsan_do_leak_check();
    return 0;
}

void case_run(void **state)
{
    int status;

    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); /* what it leaves running is then ours */
    case_failed = true;
    status = role_wait(role_start(role_of_case, *state), CASE_MOST_MS);
    case_failed = status != 0 && status != CASE_SKIPPED;
    if (status == CASE_SKIPPED)
        skip();
    if (case_failed)
        fail_msg("its process ended with status %d; what it said is on stderr", status);
}

/* False: there is no such process. */
static bool process_parent(pid_t pid, pid_t *ret_parent, char *ret_state)
{
    char path[64], text[512], *end;
    FILE *file;
    size_t size;

    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    file = fopen(path, "re");
    if (!file)
        return false;
    size = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[size] = 0;
    end = strrchr(text, ')');
    return end && sscanf(end + 1, " %c %d", ret_state, ret_parent) == 2;
}

/* A child of this process that has not ended, or 0. */
static pid_t living_child(void)
{
    DIR *directory = opendir("/proc");
    struct dirent *entry;
    pid_t found = 0;

    while (directory && !found && (entry = readdir(directory))) {
        pid_t pid = atoi(entry->d_name), parent;
        char state;

        if (pid > 0 && process_parent(pid, &parent, &state) && parent == getpid() && state != 'Z')
            found = pid;
    }
    if (directory)
        closedir(directory);
    return found;
}

bool case_end(bool *ret_failed)
{
    int64_t end = now_ns() + (case_failed ? 0 : GRACE_MS * INT64_C(1000000));
    bool clean = true;

    while (waitpid(-1, NULL, WNOHANG) >= 0) { /* < 0: there are none */
        pid_t pid = now_ns() < end ? 0 : living_child();

        if (pid && !case_failed)
            print_error("left behind: process %d\n", pid);
        if (pid) {
            clean = case_failed;
            role_kill(pid);
        } else {
            poll(NULL, 0, 2); /* between two looks */
        }
    }
    *ret_failed = case_failed;
    return clean;
}

/* ---- batons ----------------------------------------------------------------------------------- */

void baton_make(struct baton *baton)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) != 0)
        fail_msg("pipe: %s", strerror(errno));
    *baton = (struct baton){.out = ends[0], .in = ends[1]};
}

void baton_drop(struct baton *baton)
{
    close(baton->out);
    close(baton->in);
}

void baton_pass(const struct baton *baton)
{
    if (write(baton->in, "", 1) != 1)
        fail_msg("baton: %s", strerror(errno));
}

bool baton_take_within(const struct baton *baton, int timeout_ms)
{
    char byte;

    if (!readable_within(baton->out, timeout_ms))
        return false;
    if (read(baton->out, &byte, 1) != 1)
        fail_msg("baton: nobody holds the other end");
    return true;
}

void baton_take(const struct baton *baton)
{
    if (!baton_take_within(baton, SOON_MS))
        fail_msg("baton: nobody passed it within %d ms", SOON_MS);
}

/* ---- facts ------------------------------------------------------------------------------------ */

int64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int open_descriptors(void)
{
    DIR *directory = opendir("/proc/self/fd");
    int count = 0;

    if (!directory)
        fail_msg("/proc/self/fd: %s", strerror(errno));
    while (readdir(directory))
        count++;
    closedir(directory);
    return count - 3; /* ".", "..", and the directory's own */
}

char process_state(pid_t pid)
{
    pid_t parent;
    char state;

    return process_parent(pid, &parent, &state) ? state : 0;
}

bool own_namespace(const char *kind)
{
    const char *words = getenv("YOKE_TEST_NAMESPACES");

    return words && strstr(words, kind);
}

/* ---- long proofs ------------------------------------------------------------------------------ */

uint64_t test_seed(void)
{
    const char *seed = getenv("YOKE_SEED");

    return seed && *seed ? strtoull(seed, NULL, 0) : 1;
}

unsigned test_seconds(unsigned otherwise)
{
    const char *seconds = getenv("YOKE_LONG_SECONDS");

    return seconds && *seconds ? (unsigned)strtoul(seconds, NULL, 10) : otherwise;
}
