/*
 * replace.c - see replace.h.
 */
#include "replace.h"

#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int refuse(const char *path, int error)
{
    yk_complain("'%s' can not be written: %s", path, strerror(error));
    return -1;
}

int yk_replace_begin(struct yk_replace *replace, const char *path)
{
    int file;

    replace->path = path;
    /* One of a process that was killed is in nobody's way, and is what the next of that pid writes. */
    if (asprintf(&replace->temporary, "%s.%ld.new", path, (long)getpid()) < 0)
        yk_out_of_memory();
    file = open(replace->temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (file < 0) {
        int error = errno;
        free(replace->temporary);
        return refuse(path, error);
    }
    fflush(stdout);
    replace->saved = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    dup2(file, STDOUT_FILENO);
    close(file);
    return 0;
}

int yk_replace_end(struct yk_replace *replace)
{
    int result = fflush(stdout) == 0 && !ferror(stdout) ? 0 : errno ? errno : EIO;

    clearerr(stdout);
    if (replace->saved >= 0) {
        dup2(replace->saved, STDOUT_FILENO);
        close(replace->saved);
    }
    if (result == 0 && rename(replace->temporary, replace->path) < 0)
        result = errno;
    if (result != 0)
        unlink(replace->temporary);
    free(replace->temporary);
    return result == 0 ? 0 : refuse(replace->path, result);
}
