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
#include <sys/stat.h>
#include <unistd.h>

#define TEMPORARIES 100

static int refuse(const char *path, int error)
{
    yk_complain("'%s' can not be written: %s", path, strerror(error));
    return -1;
}

/* A device, a pipe or a directory would be gone, and a file in its place. */
static int check_target(const char *path)
{
    struct stat facts;

    if (stat(path, &facts) < 0 || S_ISREG(facts.st_mode))
        return 0;
    yk_complain("'%s' is no file that could be replaced", path);
    return -1;
}

/*
 * A new one: what is there by that name may be another process's, of another PID namespace, or what
 * somebody else made to have a say in it. What killed processes left is in nobody's way.
 */
static int open_temporary(struct yk_replace *replace)
{
    int file = -1;

    for (int attempt = 0; attempt < TEMPORARIES && file < 0; attempt++) {
        free(replace->temporary);
        if (asprintf(&replace->temporary, "%s.%ld.%d.new", replace->path, (long)getpid(), attempt) <
            0)
            yk_out_of_memory();
        file = open(replace->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (file < 0 && errno != EEXIST)
            break;
    }
    return file;
}

int yk_replace_begin(struct yk_replace *replace, const char *path)
{
    int file, error = 0;

    *replace = (struct yk_replace){.path = path, .saved = -1};
    if (check_target(path) < 0)
        return -1;
    file = open_temporary(replace);
    if (file < 0) {
        error = errno;
        free(replace->temporary);
        return refuse(path, error);
    }
    fflush(stdout);
    replace->saved = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (replace->saved < 0 || dup2(file, STDOUT_FILENO) < 0)
        error = errno;
    close(file);
    if (error == 0)
        return 0;
    if (replace->saved >= 0)
        close(replace->saved);
    unlink(replace->temporary);
    free(replace->temporary);
    return refuse(path, error);
}

int yk_replace_end(struct yk_replace *replace)
{
    int result = fflush(stdout) == 0 && !ferror(stdout) ? 0 : errno ? errno : EIO;

    clearerr(stdout);
    dup2(replace->saved, STDOUT_FILENO);
    close(replace->saved);
    if (result == 0 && rename(replace->temporary, replace->path) < 0)
        result = errno;
    if (result != 0)
        unlink(replace->temporary);
    free(replace->temporary);
    return result == 0 ? 0 : refuse(replace->path, result);
}
