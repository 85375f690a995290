/*
 * box.c - a place of its own for processes that are going to be killed.
 */
#include "box.h"

#include "stop.h"
#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAMES "/dev/shm/names"

static bool write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool written = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

    if (fd >= 0)
        close(fd);
    return written;
}

/* A user who is not root becomes one's own master first. */
static bool unshare_all(void)
{
    unsigned uid = geteuid(), gid = getegid();
    char map[64];

    if (unshare(CLONE_NEWIPC | CLONE_NEWNS) == 0)
        return true;
    if (unshare(CLONE_NEWUSER | CLONE_NEWIPC | CLONE_NEWNS) < 0)
        return false;
    snprintf(map, sizeof map, "%u %u 1", uid, uid);
    if (!write_file("/proc/self/setgroups", "deny") || !write_file("/proc/self/uid_map", map))
        return false;
    snprintf(map, sizeof map, "%u %u 1", gid, gid);
    return write_file("/proc/self/gid_map", map);
}

bool bench_box_enter(void)
{
    if (!unshare_all() || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777") < 0 ||
        mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777") < 0)
        return false;
    (void)mount("mqueue", "/dev/mqueue", "mqueue", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
    return mkdir(NAMES, S_IRWXU) == 0 && setenv("YOKE_DIR", NAMES, 1) == 0;
}

int bench_box_run(void (*work)(void *argument), void *argument)
{
    struct bench_child child = BENCH_NO_CHILD;
    int error = bench_child_start(&child, -1, work, argument);

    while (!error) {
        struct pollfd ended = {child.pidfd, POLLIN, 0};

        if (yk_stop_signal())
            error = -EINTR;
        else if (poll(&ended, 1, 100) > 0)
            break;
    }
    bench_child_end(&child);
    return error;
}
