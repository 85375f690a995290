/*
 * doctor_machine.c - see doctor.h: the kernel, its limits, the name directory.
 *
 * Only reads: files of /proc, of the kernel's settings and of logind's, and asks the kernel what it
 * can. What can not be read is not judged.
 */
#include "doctor.h"
#include "inspect.h"
#include "output.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MQUEUE_MAGIC 0x19800202 /* in no header */
#define ORDINARY_UID 1000       /* logind leaves the system's own users' things alone */

/* The first number in a file; false when there is none. */
static bool read_number(const char *path, unsigned long long *ret)
{
    FILE *file = fopen(path, "re");
    bool is = file && fscanf(file, "%llu", ret) == 1;

    if (file)
        fclose(file);
    return is;
}

/* ---- System V segments ----------------------------------------------------------------------- */

struct segments {
    unsigned long long count, pages;
};

static struct segments count_segments(void)
{
    struct shm_info info = {0};
    /* of this IPC namespace; the cast is how shmctl() takes it (man shmctl) */
    int result = shmctl(0, SHM_INFO, (struct shmid_ds *)(void *)&info);

    if (result < 0)
        return (struct segments){0, 0};
    return (struct segments){(unsigned long long)info.used_ids, info.shm_tot};
}

static void look_at_segments(struct yk_findings *findings)
{
    struct segments now = count_segments();
    unsigned long long most, pages, forced;

    if (read_number("/proc/sys/kernel/shmmni", &most))
        yk_find(findings,
                now.count >= most            ? YK_FAULT
                : now.count >= most / 10 * 9 ? YK_WARNING
                                             : YK_FINE,
                "kernel.shmmni",
                now.count >= most / 10 * 9 ? "sysctl -w kernel.shmmni=32768" : NULL,
                "%llu of %llu System V segments exist%s", now.count, most,
                now.count >= most / 10 * 9 ? "; at the limit nothing more can be created (\"No "
                                             "space left on device\")"
                                           : "");
    if (read_number("/proc/sys/kernel/shmall", &pages))
        yk_find(findings, now.pages >= pages / 10 * 9 ? YK_WARNING : YK_FINE, "kernel.shmall",
                now.pages >= pages / 10 * 9 ? "sysctl -w kernel.shmall=18446744073692774399" : NULL,
                "%llu of %llu pages that all System V segments together may have are taken",
                now.pages, pages);
    if (read_number("/proc/sys/kernel/shm_rmid_forced", &forced))
        yk_find(findings, forced ? YK_WARNING : YK_FINE, "kernel.shm_rmid_forced",
                forced ? "sysctl -w kernel.shm_rmid_forced=0" : NULL,
                forced ? "is 1: the kernel removes each segment with its last user, so nothing can "
                         "be kept"
                       : "is 0: kept objects stay until they are removed");
}

static void look_at_memory(struct yk_findings *findings)
{
    unsigned long long policy;

    if (!read_number("/proc/sys/vm/overcommit_memory", &policy))
        return;
    yk_find(findings, policy == 2 ? YK_NOTE : YK_FINE, "vm.overcommit_memory", NULL,
            policy == 2
                ? "is 2: all of a port's memory counts when it is made (4.3 GiB for one with "
                  "the defaults), not what it uses: make ports with fewer participants, "
                  "max-borrowed or depth"
                : "is %llu: memory counts when it is used",
            policy);
}

/* ---- what ends with a session ---------------------------------------------------------------- */

/* The last RemoveIPC= of a file, -1 if it has none. */
static int remove_ipc_in(const char *path)
{
    FILE *file = fopen(path, "re");
    char line[256], value[16];
    int found = -1;

    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, " RemoveIPC = %15s", value) == 1)
            found = strcmp(value, "no") != 0 && strcmp(value, "false") != 0 &&
                    strcmp(value, "off") != 0 && strcmp(value, "0") != 0;
    if (file)
        fclose(file);
    return found;
}

/* Its main file, then the pieces in alphabetical order: the last word counts. It is on by itself. */
static bool logind_removes(void)
{
    static const char *const pieces[] = {"/usr/lib/systemd/logind.conf.d",
                                         "/run/systemd/logind.conf.d",
                                         "/etc/systemd/logind.conf.d"};
    int said = remove_ipc_in("/etc/systemd/logind.conf");
    char path[300];

    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        struct dirent **entries;
        int count = scandir(pieces[i], &entries, NULL, alphasort);
        for (int k = 0; k < count; k++) {
            snprintf(path, sizeof path, "%s/%.200s", pieces[i], entries[k]->d_name);
            int here = strstr(path, ".conf") ? remove_ipc_in(path) : -1;
            said = here >= 0 ? here : said;
            free(entries[k]);
        }
        if (count >= 0)
            free(entries);
    }
    return said != 0;
}

static void look_at_sessions(struct yk_findings *findings)
{
    char linger[300], user[YK_OWNER_TEXT];

    if (geteuid() < ORDINARY_UID || access("/run/systemd/seats", F_OK) < 0)
        return; /* logind does not run here, or does not mean this user */
    snprintf(linger, sizeof linger, "/var/lib/systemd/linger/%s", yk_format_user(user, geteuid()));
    bool removes = logind_removes() && access(linger, F_OK) < 0;
    yk_find(findings, removes ? YK_WARNING : YK_FINE, "logind",
            removes ? "loginctl enable-linger (or RemoveIPC=no in /etc/systemd/logind.conf)" : NULL,
            removes
                ? "RemoveIPC is on: when this user's last session ends, segments that nobody has "
                  "attached, message queues and what lies in /dev/shm are removed: kept objects, "
                  "and all names"
                : "leaves this user's memory alone when the last session ends");
}

/* ---- the name directory ---------------------------------------------------------------------- */

static void look_at_space(struct yk_findings *findings, const char *path)
{
    struct statfs space;

    if (statfs(path, &space) < 0)
        return;
    bool full = space.f_bavail < 16 || (space.f_files > 0 && space.f_ffree < 16);
    yk_find(findings, full ? YK_FAULT : YK_FINE, path, NULL,
            full ? "its file system is full: no name can be written"
                 : "its file system has room for names");
    if (space.f_type != TMPFS_MAGIC && space.f_type != RAMFS_MAGIC)
        yk_find(findings, YK_NOTE, path, NULL,
                "is not in memory: names of transient objects are left over a restart, until 'yoke "
                "gc', and opening is slower where the file system is");
}

static void look_at_directory(struct yk_findings *findings)
{
    const char *path = yk_inspect_directory();
    struct stat facts;

    if (lstat(path, &facts) < 0) {
        yk_find(findings, errno == ENOENT ? YK_FINE : YK_FAULT, path, NULL, "%s",
                errno == ENOENT ? "is not there: nobody has created anything" : strerror(errno));
        return;
    }
    bool sticky = (facts.st_mode & S_ISVTX) != 0;
    if (!S_ISDIR(facts.st_mode))
        yk_find(findings, YK_FAULT, path, "set YOKE_DIR to a directory of your own",
                "is no directory: no object can be found");
    else if (facts.st_uid != geteuid() && facts.st_uid != 0)
        yk_find(findings, YK_FAULT, path, "set YOKE_DIR to a directory of your own",
                "belongs to uid %u, neither to root nor to this user: yoke refuses it",
                facts.st_uid);
    else if ((facts.st_mode & 022) && !sticky)
        yk_find(findings, YK_FAULT, path, "chmod 0700, or 1777 where several users meet",
                "has mode %04o: others could take names away; yoke refuses it",
                facts.st_mode & 07777);
    else if (access(path, R_OK | W_OK | X_OK) < 0)
        yk_find(findings, YK_FAULT, path, "set YOKE_DIR to a directory of your own",
                "can not be used by this user: %s", strerror(errno));
    else
        yk_find(findings, YK_FINE, path, NULL, "has owner uid %u and mode %04o", facts.st_uid,
                facts.st_mode & 07777);
    look_at_space(findings, path);
}

/* ---- what the kernel can --------------------------------------------------------------------- */

static void look_at_kernel(struct yk_findings *findings)
{
    static const char *const subject = "kernel";
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    bool populates = page != MAP_FAILED && madvise(page, 4096, MADV_POPULATE_READ) == 0;
    long barriers = syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);
    bool barrier = barriers > 0 && (barriers & MEMBARRIER_CMD_GLOBAL_EXPEDITED);
    long self = syscall(SYS_pidfd_open, getpid(), 0u);

    if (page != MAP_FAILED)
        munmap(page, 4096);
    if (self >= 0)
        close((int)self);
    yk_find(findings, populates ? YK_FINE : YK_NOTE, subject, NULL,
            populates ? "can make pages present at once (MADV_POPULATE_READ)"
                      : "can not make pages present at once (MADV_POPULATE_READ, Linux 5.14): "
                        "populate is refused");
    yk_find(findings, barrier ? YK_FINE : YK_NOTE, subject, NULL,
            barrier
                ? "has membarrier(): a link's sender needs no fence"
                : "has no membarrier() here (a sandbox may forbid it): each send on a link has a "
                  "fence, and is slower");
    yk_find(findings, self >= 0 ? YK_FINE : YK_WARNING, subject, NULL,
            self >= 0 ? "has pidfd_open(): UNIX signals go to a proven process"
                      : "has no pidfd_open() here: UNIX signals to a peer are refused");
    yk_find(findings, access("/proc/self/fdinfo", R_OK) == 0 ? YK_FINE : YK_WARNING, "/proc",
            "mount -t proc proc /proc",
            access("/proc/self/fdinfo", R_OK) == 0
                ? "is there: it shows which process holds a lock"
                : "is not there: no pid can be proven, and UNIX signals to a peer are refused");
}

static void look_at_watches(struct yk_findings *findings)
{
    int watch = inotify_init1(IN_CLOEXEC);
    bool limit = watch < 0 && (errno == EMFILE || errno == ENOMEM);

    yk_find(findings, watch < 0 ? YK_NOTE : YK_FINE, "inotify",
            limit ? "sysctl -w fs.inotify.max_user_instances=1024" : NULL,
            watch >= 0 ? "a death is told through a descriptor at once"
                       : "no instance is to be had (%s): deaths are seen by looking every 100 ms",
            strerror(errno));
    if (watch >= 0)
        close(watch);
}

static void look_at_descriptors(struct yk_findings *findings)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_cur == RLIM_INFINITY)
        return;
    yk_find(findings, files.rlim_cur < 256 ? YK_WARNING : YK_FINE, "RLIMIT_NOFILE",
            files.rlim_cur < 256 ? "ulimit -n 1024" : NULL,
            "%llu descriptors; an open endpoint takes one, with yoke_fd() two",
            (unsigned long long)files.rlim_cur);
}

static void look_at_cpus(struct yk_findings *findings)
{
    cpu_set_t set;
    int count = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 0;

    if (count > 0)
        yk_find(findings, count == 1 ? YK_NOTE : YK_FINE, "CPUs", NULL,
                count == 1
                    ? "this process may use one only: waiting calls do not spin but sleep at "
                      "once, and each message is a switch"
                    : "this process may use %d",
                count);
}

static void look_at_queues(struct yk_findings *findings)
{
    struct rlimit bytes;
    unsigned long long depth = 0, size = 0;
    struct statfs mounted;

    if (!read_number("/proc/sys/fs/mqueue/msg_max", &depth)) {
        yk_find(findings, YK_NOTE, "kernel place", NULL,
                "this kernel has no POSIX message queues: ports and links @kernel are refused");
        return;
    }
    read_number("/proc/sys/fs/mqueue/msgsize_max", &size);
    if (getrlimit(RLIMIT_MSGQUEUE, &bytes) == 0)
        yk_find(findings, YK_FINE, "kernel place", NULL,
                "ports of up to %llu messages of %llu bytes; %llu bytes for all queues of a user",
                depth, size, (unsigned long long)bytes.rlim_cur);
    if (statfs("/dev/mqueue", &mounted) < 0 || mounted.f_type != MQUEUE_MAGIC)
        yk_find(findings, YK_NOTE, "/dev/mqueue", "mount -t mqueue none /dev/mqueue",
                "is not mounted: queues whose names are gone can not be found by 'yoke gc'");
}

void yk_doctor_machine(struct yk_findings *findings)
{
    look_at_directory(findings);
    look_at_segments(findings);
    look_at_memory(findings);
    look_at_sessions(findings);
    look_at_kernel(findings);
    look_at_watches(findings);
    look_at_descriptors(findings);
    look_at_cpus(findings);
    look_at_queues(findings);
}
