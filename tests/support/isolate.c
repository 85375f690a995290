/*
 * isolate - runs one test by itself and sees to it that nothing is left of it.
 *
 *     isolate PROGRAM [ARGUMENT...]
 *
 * The program gets
 *   - an empty name directory of its own in $YOKE_DIR and a scratch directory in $TMPDIR;
 *   - IPC and mount namespaces of its own where the machine allows it (root, or user namespaces), with
 *     an empty /dev/shm: whatever is found in them afterwards is the test's. $YOKE_TEST_NAMESPACES then
 *     holds the words "ipc" and "shm", as far as it worked;
 *   - a session of its own; this program is the reaper of everything that it forks, however detached.
 *
 * Afterwards these are leaks, each is named on stderr, undone, and makes the test fail:
 *   - a process that lives on;
 *   - a System V segment, semaphore set or message queue;
 *   - anything in $YOKE_DIR but what yoke keeps there on purpose: empty files .lock-UID, and empty
 *     directories .intents-UID;
 *   - anything of yoke's in /dev/shm and among the POSIX message queues.
 *
 * Exit status: the test's own (128 + n if signal n killed it), or 1 if it passed or skipped but leaked.
 *
 * Without namespaces ($ISOLATE_NAMESPACES=no, or refused) other tests' objects are in sight, too. What
 * was there before the test does not count then, and a segment counts only if its creator was seen among
 * the test's processes. Those are looked at every 20 ms, so a segment of a process that lived
 * shorter than that is missed; and message queues are only seen where their file system is mounted:
 * weaker, but never a false alarm.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/*
 * How long processes may take to go after the test itself has ended: some were just killed, and the machine
 * may be busy. $ISOLATE_GRACE_MS says otherwise.
 */
#define GRACE_MS 20000
/* How often the processes are looked at where segments are told by their creators. */
#define LOOK_MS 20

struct numbers {
    long *values;
    size_t count, room;
};

struct names {
    char **values;
    size_t count, room;
};

struct process {
    pid_t pid, parent;
    char state;
    char command[32];
    bool ours;
};

static char base_directory[512], name_directory[600], scratch_directory[600], queue_directory[600];
static bool own_ipc, own_shm;
static bool something_left;
static struct numbers seen_pids, segments_before;
static struct names shm_before, queues_before;

static void die(const char *what)
{
    fprintf(stderr, "isolate: %s: %s\n", what, strerror(errno));
    exit(99);
}

__attribute__((format(printf, 1, 2))) static void left_behind(const char *format, ...)
{
    va_list arguments;

    something_left = true;
    fflush(stdout);
    fputs("isolate: left behind: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
}

/* ---- small sets ------------------------------------------------------------------------------- */

static void *grow(void *values, size_t *room, size_t size)
{
    *room = *room ? *room * 2 : 64;
    values = realloc(values, *room * size);
    if (!values)
        die("memory");
    return values;
}

static bool has_number(const struct numbers *set, long value)
{
    for (size_t i = set->count; i-- > 0;)
        if (set->values[i] == value)
            return true;
    return false;
}

static void add_number(struct numbers *set, long value)
{
    if (has_number(set, value))
        return;
    if (set->count == set->room)
        set->values = grow(set->values, &set->room, sizeof *set->values);
    set->values[set->count++] = value;
}

static bool has_name(const struct names *set, const char *name)
{
    for (size_t i = 0; i < set->count; i++)
        if (strcmp(set->values[i], name) == 0)
            return true;
    return false;
}

static void add_name(struct names *set, const char *name)
{
    if (set->count == set->room)
        set->values = grow(set->values, &set->room, sizeof *set->values);
    set->values[set->count] = strdup(name);
    if (!set->values[set->count++])
        die("memory");
}

/* ---- a world of its own ----------------------------------------------------------------------- */

static bool write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

    if (fd >= 0)
        close(fd);
    return done;
}

/* A user namespace in which this user is itself and nobody else exists. */
static bool enter_user_namespace(void)
{
    char map[64];
    uid_t uid = getuid();
    gid_t gid = getgid();

    if (unshare(CLONE_NEWUSER | CLONE_NEWIPC | CLONE_NEWNS) != 0)
        return false;
    snprintf(map, sizeof map, "%u %u 1", uid, uid);
    if (!write_file("/proc/self/uid_map", map))
        die("/proc/self/uid_map");
    write_file("/proc/self/setgroups", "deny");
    snprintf(map, sizeof map, "%u %u 1", gid, gid);
    if (!write_file("/proc/self/gid_map", map))
        die("/proc/self/gid_map");
    return true;
}

static void enter_namespaces(void)
{
    const char *wanted = getenv("ISOLATE_NAMESPACES");

    if (wanted && strcmp(wanted, "no") == 0)
        return;
    if (unshare(CLONE_NEWIPC) == 0) {
        own_ipc = true;
        if (unshare(CLONE_NEWNS) != 0)
            return;
    } else if (enter_user_namespace()) {
        own_ipc = true;
    } else {
        return;
    }
    /*
     * Without this a mount made here could show up outside. It fails in a chroot, whose root is no mount
     * point; then /dev/shm stays as it is.
     */
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        return;
    own_shm = mount("tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777") == 0;
    if (own_shm && access("/dev/mqueue", F_OK) == 0)
        mount("mqueue", "/dev/mqueue", "mqueue", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
}

static void make_directories(void)
{
    const char *parent = getenv("TMPDIR");

    if (!parent || !*parent)
        parent = "/tmp";
    if (snprintf(base_directory, sizeof base_directory, "%s/yoke-test-XXXXXX", parent) >=
        (int)sizeof base_directory) {
        errno = ENAMETOOLONG;
        die("TMPDIR");
    }
    if (!mkdtemp(base_directory))
        die(base_directory);
    snprintf(name_directory, sizeof name_directory, "%s/names", base_directory);
    snprintf(scratch_directory, sizeof scratch_directory, "%s/tmp", base_directory);
    snprintf(queue_directory, sizeof queue_directory, "%s/mqueue", base_directory);
    /* A test that plays several users opens its own directories to them; they must be able to get there. */
    if (chmod(base_directory, 0711) != 0 || mkdir(name_directory, 0700) != 0 ||
        mkdir(scratch_directory, 0700) != 0 || mkdir(queue_directory, 0700) != 0)
        die(base_directory);
}

static void remove_directories(void)
{
    char *paths[] = {base_directory, NULL};
    FTS *walk = fts_open(paths, FTS_PHYSICAL | FTS_XDEV | FTS_NOCHDIR, NULL);
    FTSENT *entry;

    if (!walk)
        die(base_directory);
    while ((entry = fts_read(walk))) {
        if (entry->fts_info == FTS_D)
            chmod(entry->fts_accpath,
                  0700); /* a test may have made it unreadable; read after this */
        else if (entry->fts_info == FTS_DP || entry->fts_info == FTS_DNR)
            rmdir(entry->fts_accpath);
        else
            unlink(entry->fts_accpath);
    }
    fts_close(walk);
    if (access(base_directory, F_OK) == 0)
        fprintf(stderr, "isolate: %s could not be removed\n", base_directory);
}

/* ---- processes -------------------------------------------------------------------------------- */

static bool read_process(pid_t pid, struct process *ret)
{
    char path[64], text[1024], *name, *end;
    FILE *file;
    size_t size;
    int parent;

    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    file = fopen(path, "re");
    if (!file)
        return false;
    size = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[size] = 0;
    name = strchr(text, '(');
    end = strrchr(text, ')'); /* a command may hold parentheses itself */
    if (!name || !end)
        return false;
    *end = 0;
    *ret = (struct process){.pid = pid};
    snprintf(ret->command, sizeof ret->command, "%s", name + 1);
    if (sscanf(end + 1, " %c %d", &ret->state, &parent) != 2)
        return false;
    ret->parent = parent;
    return true;
}

/* Calls `visit` for every living process that descends from this one; returns their number. */
static size_t each_descendant(void (*visit)(const struct process *))
{
    struct process *all = NULL;
    size_t count = 0, room = 0, found = 0;
    struct dirent *entry;
    DIR *directory = opendir("/proc");
    pid_t self = getpid();

    if (!directory)
        die("/proc");
    while ((entry = readdir(directory))) {
        char *end;
        long pid = strtol(entry->d_name, &end, 10);

        if (*end || pid <= 0)
            continue;
        if (count == room)
            all = grow(all, &room, sizeof *all);
        if (read_process((pid_t)pid, &all[count]))
            count++;
    }
    closedir(directory);

    for (bool changed = true; changed;) {
        changed = false;
        for (size_t i = 0; i < count; i++) {
            bool ours = all[i].parent == self;

            for (size_t j = 0; j < count && !ours; j++)
                ours = all[j].ours && all[j].pid == all[i].parent;
            if (ours && !all[i].ours)
                all[i].ours = changed = true;
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (all[i].ours && all[i].state != 'Z' && all[i].state != 'X') {
            found++;
            visit(&all[i]);
        }
    }
    free(all);
    return found;
}

static void remember_process(const struct process *process)
{
    add_number(&seen_pids, process->pid);
}

static void report_process(const struct process *process)
{
    left_behind("process %d (%s), state %c", process->pid, process->command, process->state);
}

static void describe_process(const struct process *process)
{
    char path[64], where[128] = "";
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/wchan", process->pid);
    file = fopen(path, "re");
    if (file) {
        where[fread(where, 1, sizeof where - 1, file)] = 0;
        fclose(file);
    }
    fprintf(stderr, "isolate: process %d (%s), state %c, in %s\n", process->pid, process->command,
            process->state, where);
}

static void kill_process(const struct process *process)
{
    kill(process->pid, SIGKILL);
}

static void kill_descendants(void)
{
    for (int tries = 0; tries < 500 && each_descendant(kill_process) > 0; tries++) {
        while (waitpid(-1, NULL, WNOHANG) > 0)
            continue;
        nanosleep(&(struct timespec){.tv_nsec = 10 * 1000 * 1000}, NULL);
    }
    while (waitpid(-1, NULL, WNOHANG) > 0)
        continue;
}

/* ---- what else can be left -------------------------------------------------------------------- */

/* The columns of /proc/sysvipc/shm after key, id and mode; the other two tables only share those three. */
struct segment_row {
    long size, creator, last_user, attached, uid;
};

static void each_ipc_object(const char *kind,
                            void (*visit)(const char *kind, long id, const struct segment_row *row))
{
    char path[64], line[512];
    FILE *file;

    snprintf(path, sizeof path, "/proc/sysvipc/%s", kind);
    file = fopen(path, "re");
    if (!file)
        return;
    while (fgets(line, sizeof line, file)) {
        struct segment_row row = {0};
        long id;

        if (sscanf(line, "%*d %ld %*o %ld %ld %ld %ld %ld", &id, &row.size, &row.creator,
                   &row.last_user, &row.attached, &row.uid) >= 1)
            visit(kind, id, &row);
    }
    fclose(file);
}

static void remember_segment(const char *kind, long id, const struct segment_row *row)
{
    (void)kind;
    (void)row;
    add_number(&segments_before, id);
}

static void check_ipc_object(const char *kind, long id, const struct segment_row *row)
{
    if (strcmp(kind, "shm") != 0) {
        left_behind("System V object (%s) %ld", kind, id);
        return;
    }
    if (!own_ipc && (has_number(&segments_before, id) || !has_number(&seen_pids, row->creator) ||
                     (uid_t)row->uid != getuid()))
        return;
    left_behind("segment %ld of %ld bytes, made by process %ld, %ld attached", id, row->size,
                row->creator, row->attached);
    shmctl((int)id, IPC_RMID, NULL);
}

static void check_ipc_objects(void)
{
    each_ipc_object("shm", check_ipc_object);
    if (own_ipc) {
        each_ipc_object("sem", check_ipc_object);
        each_ipc_object("msg", check_ipc_object);
    }
}

/* Is it `prefix` and a user's number? */
static bool is_of_a_user(const char *name, const char *prefix)
{
    const char *digits = name + strlen(prefix);

    return strncmp(name, prefix, strlen(prefix)) == 0 && *digits &&
           strspn(digits, "0123456789") == strlen(digits);
}

/* Everything in `path` below the name directory; `prefix` is what to call it. */
static void check_name_directory(const char *path, const char *prefix)
{
    DIR *directory = opendir(path);
    struct dirent *entry;

    if (!directory) {
        if (errno != ENOENT) /* the test may remove it */
            left_behind("a name directory that cannot be read: %s", strerror(errno));
        return;
    }
    while ((entry = readdir(directory))) {
        const char *name = entry->d_name;
        struct stat status;
        bool top = !*prefix;

        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
            fstatat(dirfd(directory), name, &status, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        if (top && S_ISREG(status.st_mode) && status.st_size == 0 && is_of_a_user(name, ".lock-"))
            continue;
        if (top && S_ISDIR(status.st_mode) && is_of_a_user(name, ".intents-")) {
            char below[900], called[300];

            snprintf(below, sizeof below, "%s/%s", path, name);
            snprintf(called, sizeof called, "%s/", name);
            check_name_directory(below, called);
            continue;
        }
        left_behind("%s $YOKE_DIR/%s%s, %lld bytes", S_ISDIR(status.st_mode) ? "directory" : "file",
                    prefix, name, (long long)status.st_size);
    }
    closedir(directory);
}

static void each_name(const char *path, void (*visit)(const char *path, const char *name))
{
    DIR *directory = opendir(path);
    struct dirent *entry;

    if (!directory)
        return;
    while ((entry = readdir(directory)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            visit(path, entry->d_name);
    closedir(directory);
}

static bool is_yokes(const char *name)
{
    return strncmp(name, "yoke", 4) == 0;
}

static void remember_shm(const char *path, const char *name)
{
    (void)path;
    add_name(&shm_before, name);
}

static void remember_queue(const char *path, const char *name)
{
    (void)path;
    add_name(&queues_before, name);
}

static void check_shm(const char *path, const char *name)
{
    if (own_shm || (is_yokes(name) && !has_name(&shm_before, name)))
        left_behind("%s/%s", path, name);
}

static void check_queue(const char *path, const char *name)
{
    if (own_ipc || (is_yokes(name) && !has_name(&queues_before, name)))
        left_behind("POSIX message queue %s (in %s)", name, path);
}

static void check_queues(void)
{
    /* The queues of an own namespace show wherever one mounts their file system. */
    if (!own_shm)
        each_name("/dev/mqueue", check_queue);
    else if (mount("mqueue", queue_directory, "mqueue", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) ==
             0) {
        each_name(queue_directory, check_queue);
        umount2(queue_directory, MNT_DETACH);
    }
}

/* ---- the run ---------------------------------------------------------------------------------- */

static void look_before(void)
{
    if (!own_ipc)
        each_ipc_object("shm", remember_segment);
    if (!own_shm) {
        each_name("/dev/shm", remember_shm);
        each_name("/dev/mqueue", remember_queue);
    }
}

/* Under nohup, or from an interrupted script, some are ignored, and would be by all that follows. */
static void reset_signals(void)
{
    for (int number = 1; number <= SIGRTMAX; number++)
        signal(number, SIG_DFL); /* fails for those that nobody can ignore */
}

static pid_t start(char **arguments, const sigset_t *mask)
{
    char words[16] = "";
    pid_t pid = fork();

    if (pid < 0)
        die("fork");
    if (pid > 0)
        return pid;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setsid();
    reset_signals();
    sigprocmask(SIG_SETMASK, mask, NULL);
    /* Tests kill processes on purpose; a core file would only make each of those slow. */
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    snprintf(words, sizeof words, "%s%s", own_ipc ? "ipc" : "", own_shm ? " shm" : "");
    setenv("YOKE_TEST_NAMESPACES", words, 1);
    setenv("YOKE_DIR", name_directory, 1);
    setenv("TMPDIR", scratch_directory, 1);
    unsetenv("YOKE_PLACE");
    setenv("LC_ALL", "C", 1);
    int null = open("/dev/null", O_RDONLY);
    if (null >= 0) {
        dup2(null, STDIN_FILENO);
        if (null != STDIN_FILENO)
            close(null);
    }
    execvp(arguments[0], arguments);
    fprintf(stderr, "isolate: %s: %s\n", arguments[0], strerror(errno));
    _exit(127);
}

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Reaps what can be reaped. True when no child is left at all; the test's own status goes to *status. */
static bool reap(pid_t test, int *status, bool *ended)
{
    for (;;) {
        int one;
        pid_t pid = waitpid(-1, &one, WNOHANG);

        if (pid < 0)
            return errno == ECHILD;
        if (pid == 0)
            return false;
        if (!own_ipc)
            add_number(&seen_pids, pid);
        if (pid == test) {
            *status = one;
            *ended = true;
        }
    }
}

/* The time is over, or somebody pressed a key: say where everybody was, and clear up. */
static void interrupted(int number)
{
    fprintf(stderr, "isolate: ended by signal %d (%s); the test's processes were:\n", number,
            strsignal(number));
    each_descendant(describe_process);
    kill_descendants();
    check_ipc_objects();
    remove_directories();
    exit(128 + number);
}

static int grace_ms(void)
{
    const char *text = getenv("ISOLATE_GRACE_MS");

    return text && *text ? atoi(text) : GRACE_MS;
}

/* Waits until the test has ended and, for a little longer, until all that it started has gone. */
static int run_to_end(pid_t test, const sigset_t *signals)
{
    int status = 0;
    bool ended = false;
    int64_t end_ms = 0;

    while (!reap(test, &status, &ended)) {
        int64_t wait_ms = own_ipc ? 1000 : LOOK_MS;
        int number;

        if (ended && !end_ms)
            end_ms = now_ms() + grace_ms();
        if (end_ms && now_ms() >= end_ms)
            break;
        if (end_ms && wait_ms > end_ms - now_ms())
            wait_ms = end_ms - now_ms() + 1;
        if (!own_ipc)
            each_descendant(remember_process);
        number = sigtimedwait(signals, NULL,
                              &(struct timespec){wait_ms / 1000, wait_ms % 1000 * 1000000});
        if (number > 0 && number != SIGCHLD)
            interrupted(number);
    }
    return status;
}

int main(int count, char **arguments)
{
    sigset_t signals, before;
    int status;

    if (count < 2) {
        fputs("usage: isolate PROGRAM [ARGUMENT...]\n", stderr);
        return 99;
    }
    sigemptyset(&signals);
    sigaddset(&signals, SIGCHLD);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    sigprocmask(SIG_BLOCK, &signals, &before);
    if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0)
        die("subreaper");
    make_directories();
    enter_namespaces();
    look_before();

    status = run_to_end(start(arguments + 1, &before), &signals);
    fflush(stdout);
    each_descendant(report_process);
    kill_descendants();
    check_ipc_objects();
    check_name_directory(name_directory, "");
    each_name("/dev/shm", check_shm);
    check_queues();
    remove_directories();

    if (WIFSIGNALED(status)) {
        fprintf(stderr, "isolate: the test was killed by signal %d (%s)\n", WTERMSIG(status),
                strsignal(WTERMSIG(status)));
        return 128 + WTERMSIG(status);
    }
    status = WEXITSTATUS(status);
    return something_left && (status == 0 || status == 77) ? 1 : status;
}
