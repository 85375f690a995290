/*
 * doorbell.c - see doorbell.h.
 */
#include "doorbell.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/sys.h"

/* Each process that collects may be in the way once, before one is open. */
#define TRIES 64

/*
 * Made, and open both ways: then there is always a writer, and no end of file when the last left. Whoever
 * collects takes one for deserted until it is open, and may take its name away after that. So it gets another
 * name first, and its own when it is open. -ENOENT: somebody took it away before.
 */
static int make_and_open(const struct yk_directory *directory, const char *path,
                         const struct stat *lock_file)
{
    uint64_t other;
    char fresh[48];
    int result = yk_sys_random(&other, sizeof other);
    if (result < 0)
        return result;
    yk_bell_path(fresh, other);
    /* who may write the object may ring: that takes the right to read, too (open_bell()) */
    mode_t writers = lock_file->st_mode & 0222;
    result = yk_sys_make_fifo(directory->fd, fresh, writers | writers << 1, lock_file->st_gid);
    if (result == -EEXIST)
        return result;
    int fd = result < 0 ? result : yk_sys_open(directory->fd, fresh, O_RDWR, 0);
    result = fd < 0 ? fd : yk_sys_rename(directory->fd, fresh, directory->fd, path);
    if (result == 0)
        return fd;
    yk_sys_unlink(directory->fd, fresh);
    if (fd >= 0)
        yk_sys_close(fd);
    return result;
}

int yk_doorbell_make(const char *directory, uint64_t nonce, const struct stat *lock_file)
{
    struct yk_directory opened;
    char path[48];
    int result = yk_directory_open(&opened, directory, true), fd = -ENOENT;
    if (result < 0)
        return result;
    yk_bell_path(path, nonce);
    for (int i = 0; i < TRIES && fd == -ENOENT; i++)
        fd = make_and_open(&opened, path, lock_file);
    if (fd < 0)
        yk_fail(-fd, "the doorbell %s/%s can not be made: %s", opened.path, path, strerror(-fd));
    yk_directory_close(&opened);
    return fd;
}

/* Needs no descriptor, the lack of which may be why it goes. */
void yk_doorbell_remove(const char *directory, uint64_t nonce)
{
    char path[sizeof((struct yk_directory *)0)->path + 64], bell[48];
    yk_bell_path(bell, nonce);
    snprintf(path, sizeof path, "%s/%s", directory, bell);
    yk_sys_unlink(AT_FDCWD, path);
}

static int open_bell(const char *directory, uint64_t nonce)
{
    struct yk_directory opened;
    struct stat facts;
    char path[48];
    int result = yk_directory_open(&opened, directory, true);
    if (result < 0)
        return result;
    yk_bell_path(path, nonce);
    /*
     * For both ways, though only ever written: then it never waits for a reader, and there is one
     * when the peer dies. Without any, ringing would raise SIGPIPE in this process.
     */
    int fd = yk_sys_open(opened.fd, path, O_RDWR, 0);
    yk_directory_close(&opened);
    if (fd >= 0 && (yk_sys_stat(fd, &facts) < 0 || !S_ISFIFO(facts.st_mode))) {
        yk_sys_close(fd);
        return -EPROTO;
    }
    return fd;
}

int yk_doorbell_ring(struct yk_doorbell *bell, const char *directory, uint64_t nonce, uint64_t mark)
{
    if (bell->nonce != nonce) {
        int fd = open_bell(directory, nonce);
        if (fd < 0)
            return fd; /* perhaps only now: no descriptor is left */
        yk_doorbell_close(bell);
        bell->fd = fd;
        bell->nonce = nonce;
    }
    return yk_sys_ring(bell->fd, mark);
}

void yk_doorbell_close(struct yk_doorbell *bell)
{
    if (bell->nonce != 0)
        yk_sys_close(bell->fd);
    bell->nonce = 0;
}
