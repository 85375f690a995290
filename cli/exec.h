/*
 * exec.h - yoke recv --exec: a command for each message, several at the same time.
 *
 * A message is borrowed while its command runs. It is released when the command succeeds, and given
 * back when it fails; when this process is killed it is delivered again, and the commands are told to
 * end (SIGTERM), since somebody else now has their messages.
 */
#ifndef YK_EXEC_H
#define YK_EXEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <yoke.h>

#define YK_EXEC_JOBS_MAX 1024

struct yk_exec {
    const char *command; /* for the shell */
    const char *address;
    yoke_endpoint *endpoint;
    size_t jobs; /* at the same time, at most */
    uint64_t succeeded, failed;
    /* its own */
    struct yk_exec_job {
        pid_t process;
        int descriptor; /* a pidfd */
        struct yoke_message message;
    } *running; /* owned */
    size_t count;
};

void yk_exec_init(struct yk_exec *exec);
void yk_exec_fini(struct yk_exec *exec);

/*
 * Starts the command with a borrowed message, which is its own from now on, on its standard input. 0,
 * or a negative errno after a complaint; then the message was given back.
 */
int yk_exec_start(struct yk_exec *exec, const struct yoke_message *message);

/*
 * Waits until a command has ended, or, with `messages`, something has come; and settles what has
 * ended. 0, -EINTR, or a negative errno after a complaint.
 */
int yk_exec_wait(struct yk_exec *exec, bool messages);

#endif
