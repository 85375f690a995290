/*
 * Who may do what: a table, each cell of which is tried by a process that became that user, entered
 * that namespace, or is that setuid program. The table is the one of docs/access.md: --table prints it,
 * and tests/docs/access.py compares the two.
 *
 * The owner, uid 10001, has a living process with one of everything, all made with the mode at the
 * head of the column, and for group 20000. What is asked is who lets in, not what happens then: a call
 * that finds nothing to receive was let in.
 */
#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../api/api.h"
#include "inspect.h"
#include "memory/names.h"

#define OWNER    1
#define STRANGER 3
#define TEAM     20000u

/* Beside 0 and negative errors. */
enum answer { NAME_ONLY = 1, NOT_SEEN = 2, LEFT_ALONE = 3, NOT_TRIED = 4 };

/* Where the descriptor of a pair comes from, in every process that tries something. */
#define RECEIVED_FROM 50

/* ---- what is tried --------------------------------------------------------------------------------- */

static int let_in(int64_t result)
{
    return result == -EAGAIN || result >= 0 ? 0 : (int)result;
}

/* Of the kernel's own calls. */
static int answer_of(long result)
{
    return result == -1 ? -errno : 0;
}

static int try_create(void)
{
    yoke_region *region = NULL;
    int result = yoke_region_create(&region, "new", 4096, NULL);

    yoke_region_close(region);
    return result;
}

static int with_endpoint(const char *address, uint32_t flags, const char *as,
                         int64_t (*use)(yoke_endpoint *endpoint))
{
    struct yoke_options options = YOKE_OPTIONS_INIT;
    yoke_endpoint *endpoint = NULL;
    int result;

    options.as = as;
    result = yoke_open(&endpoint, address, flags, &options);
    if (result == 0 && use)
        result = let_in(use(endpoint));
    yoke_close(endpoint);
    return result;
}

static int64_t send_one(yoke_endpoint *endpoint)
{
    return yoke_send(endpoint, "x", 1, YOKE_NOW);
}

static int64_t receive_one(yoke_endpoint *endpoint)
{
    char message[8192];

    return yoke_recv(endpoint, message, sizeof message, YOKE_NOW);
}

static int64_t borrow_one(yoke_endpoint *endpoint)
{
    const void *message;
    int64_t result = yoke_borrow(endpoint, &message, YOKE_NOW);

    return result < 0 ? result : yoke_return(endpoint, message);
}

static int64_t write_one(yoke_endpoint *endpoint)
{
    return yoke_write(endpoint, "x", 1, YOKE_NOW);
}

static int64_t read_one(yoke_endpoint *endpoint)
{
    char byte;

    return yoke_read(endpoint, &byte, 1, YOKE_NOW);
}

static int try_create_in_kernel(void)
{
    return with_endpoint("port:new@kernel", YOKE_CREATE, NULL, NULL);
}

static int attach(uint32_t flags)
{
    yoke_region *region = NULL;
    int result = yoke_region_open(&region, "thing", flags);

    yoke_region_close(region);
    return result;
}

static int try_attach(void)
{
    return attach(0);
}

static int try_attach_read_only(void)
{
    return attach(YOKE_READ_ONLY);
}

static int try_send(void)
{
    return with_endpoint("port:thing", 0, NULL, send_one);
}

static int try_receive(void)
{
    return with_endpoint("port:thing", 0, NULL, receive_one);
}

static int try_borrow(void)
{
    return with_endpoint("port:thing", 0, NULL, borrow_one);
}

static int try_send_kernel(void)
{
    return with_endpoint("port:thing@kernel", 0, NULL, send_one);
}

static int try_receive_kernel(void)
{
    return with_endpoint("port:thing@kernel", 0, NULL, receive_one);
}

static int try_write(void)
{
    return with_endpoint("stream:thing", YOKE_WRITE, NULL, write_one);
}

static int try_read(void)
{
    return with_endpoint("stream:thing", YOKE_READ, NULL, read_one);
}

static int try_write_kernel(void)
{
    return with_endpoint("stream:thing@kernel", YOKE_WRITE, NULL, write_one);
}

static int try_read_kernel(void)
{
    return with_endpoint("stream:thing@kernel", YOKE_READ, NULL, read_one);
}

static int try_link(void)
{
    return with_endpoint("link:ann", 0, "bob", send_one);
}

static int try_link_kernel(void)
{
    return with_endpoint("link:ann@kernel", 0, "bob", send_one);
}

static int receive_descriptor(void)
{
    char byte, room[CMSG_SPACE(sizeof(int))];
    struct iovec bytes = {&byte, 1};
    struct msghdr message = {
        .msg_iov = &bytes, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
    int fd;

    if (recvmsg(RECEIVED_FROM, &message, MSG_CMSG_CLOEXEC) != 1 || !CMSG_FIRSTHDR(&message))
        return -1;
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
    return fd;
}

static int try_descriptor(void)
{
    yoke_endpoint *end = NULL;
    int result = yoke_open_descriptor(&end, receive_descriptor(), NULL);

    yoke_close(end);
    return result;
}

static int join(const char *name)
{
    yoke_peer *peer = NULL;
    int result = yoke_peer_join(&peer, name, NULL);

    yoke_peer_leave(peer);
    return result;
}

static int try_join(void)
{
    return join("new");
}

static int try_take_over(void)
{
    return join("ann");
}

static int try_receive_signals(void)
{
    struct yoke_signal signal;
    yoke_endpoint *inbox = NULL;
    yoke_peer *peer = NULL;
    int result = yoke_peer_join(&peer, "new", NULL);

    if (result == 0)
        result = yoke_signals_open(&inbox, peer, 0, NULL);
    if (result == 0)
        result = let_in(yoke_signal_recv(inbox, &signal, YOKE_NOW));
    yoke_close(inbox);
    yoke_peer_leave(peer);
    return result;
}

static int try_see_peer(void)
{
    struct yoke_peer_info infos[8];
    ssize_t count = yoke_peer_list(infos, 8);

    for (ssize_t i = 0; i < count; i++)
        if (strcmp(infos[i].name, "ann") == 0)
            return 0;
    return count < 0 ? (int)count : NOT_SEEN;
}

static int try_await_end(void)
{
    int result = yoke_peer_wait("ann", YOKE_PEER_GONE, YOKE_NOW);

    return result == 0 ? NOT_SEEN : let_in(result);
}

static int try_add_to_set(void)
{
    struct yoke_ready ready;
    yoke_set *set = NULL;
    int result = yoke_set_create(&set);

    if (result == 0)
        result = let_in(yoke_set_add_gone(set, "ann", NULL));
    if (result == 0 && yoke_set_wait(set, &ready, 1, YOKE_NOW) == 1)
        result = NOT_SEEN; /* as of one who is not there */
    yoke_set_close(set);
    return result;
}

static int try_signal(void)
{
    return let_in(yoke_signal_send(NULL, "peer:ann", 1, 1));
}

static int try_signal_kernel(void)
{
    return let_in(yoke_signal_send(NULL, "peer:kim@kernel", 1, 1));
}

static int try_signal_unix(void)
{
    return yoke_signal_kill("ann", 0);
}

static int try_list(void)
{
    struct yk_object_facts *all = NULL;
    ssize_t count = yk_inspect_list(&all);
    int result = count < 0 ? (int)count : NOT_SEEN;

    for (ssize_t i = 0; i < count; i++)
        if (strcmp(all[i].kind, "region") == 0 && strcmp(all[i].name, "thing") == 0)
            result = all[i].problem[0] ? NAME_ONLY : 0;
    free(all);
    return result;
}

static int try_stat(void)
{
    struct yk_object_facts facts;
    int result = yk_inspect("port:thing", &facts, NULL, NULL);

    return result == 0 && facts.problem[0] ? NAME_ONLY : result;
}

static int try_remove(void)
{
    return yoke_remove("region:gone");
}

static int try_remove_kernel(void)
{
    return yoke_remove("port:gone@kernel");
}

static int try_gc(void)
{
    struct yk_gc_item *items = NULL;
    ssize_t count = yk_gc(false, &items);
    bool found = false;

    for (ssize_t i = 0; i < count; i++)
        found = found || strcmp(items[i].name, "region:dead") == 0;
    free(items);
    return count < 0 ? (int)count : found ? 0 : LEFT_ALONE;
}

/* ---- the same without yoke: what stands between a user and the things themselves -------------------- */

/* What root sees, for those who could find it out: ids and nonces are no secrets. */
static struct facts {
    char directory[300];
    int segment;
    char lock_file[48], doorbell[48];
} * facts;

static const char *path_of(const char *entry)
{
    static char path[700];

    snprintf(path, sizeof path, "%s/%s", facts->directory, entry);
    return path;
}

static int open_raw(const char *entry, int flags)
{
    int fd = open(path_of(entry), flags | O_NONBLOCK | O_CLOEXEC);
    int result = answer_of(fd);

    if (fd >= 0)
        close(fd);
    return result;
}

static int try_map_to_write(void)
{
    return answer_of((long)shmat(facts->segment, NULL, 0));
}

static int try_map_to_read(void)
{
    return answer_of((long)shmat(facts->segment, NULL, SHM_RDONLY));
}

static int try_change_mode_of_memory(void)
{
    struct shmid_ds kernel = {.shm_perm.mode = 0};
    int result = answer_of(shmctl(facts->segment, IPC_STAT, &kernel));

    return result < 0 ? result : answer_of(shmctl(facts->segment, IPC_SET, &kernel));
}

static int try_lock_file(void)
{
    return open_raw(facts->lock_file, O_RDWR);
}

static int try_write_name(void)
{
    return open_raw("region.thing", O_WRONLY);
}

static int try_move_name(void)
{
    char moved[700];
    int result;

    snprintf(moved, sizeof moved, "%s", path_of("region.moved"));
    result = answer_of(rename(path_of("region.thing"), moved));
    if (result == 0 && rename(moved, path_of("region.thing")) != 0)
        fail();
    return result;
}

static int try_ring(void)
{
    return open_raw(facts->doorbell, O_RDWR);
}

/* ---- the table --------------------------------------------------------------------------------------- */

enum column {
    BY_OWNER,
    TEAM_0660,
    TEAM_0640,
    TEAM_0600,
    OTHER_0666,
    OTHER_0644,
    OTHER_0600,
    OWN_GROUP_0660,
    BY_ROOT,
    OTHER_IPC,
    OTHER_PID,
    USER_NAMESPACE,
    SETUID,
    COLUMNS
};

static const struct {
    const char *title;
    uint32_t mode;
} columns[COLUMNS] = {
    [BY_OWNER] = {"owner", 0600},        [TEAM_0660] = {"group 0660", 0660},
    [TEAM_0640] = {"group 0640", 0640},  [TEAM_0600] = {"group 0600", 0600},
    [OTHER_0666] = {"other 0666", 0666}, [OTHER_0644] = {"other 0644", 0644},
    [OTHER_0600] = {"other 0600", 0600}, [OWN_GROUP_0660] = {"maker's group", 0660},
    [BY_ROOT] = {"root", 0600},          [OTHER_IPC] = {"other IPC", 0600},
    [OTHER_PID] = {"other PID", 0600},   [USER_NAMESPACE] = {"mapped root", 0600},
    [SETUID] = {"setuid", 0600},
};

static const struct row {
    const char *what;
    int (*attempt)(void);
    const char *cells[COLUMNS];
} rows[] = {
#include "access_table.h"
};
#define ROWS (sizeof rows / sizeof *rows)

static const char *text_of(int answer)
{
    switch (answer) {
    case 0:
        return "may";
    case NAME_ONLY:
        return "name only";
    case NOT_SEEN:
        return "not seen";
    case LEFT_ALONE:
        return "left alone";
    case NOT_TRIED:
        return "not tried";
    case -ENOTSUP: /* which has two names */
        return "ENOTSUP";
    default:
        return strerrorname_np(-answer) ? strerrorname_np(-answer) : "?";
    }
}

static int print_table(void)
{
    printf("| what |");
    for (int i = 0; i < COLUMNS; i++)
        printf(" %s |", columns[i].title);
    printf("\n| --- |");
    for (int i = 0; i < COLUMNS; i++)
        printf(" --- |");
    for (size_t i = 0; i < ROWS; i++) {
        printf("\n| %s |", rows[i].what);
        for (int j = 0; j < COLUMNS; j++)
            printf(" %s |", rows[i].cells[j]);
    }
    putchar('\n');
    return 0;
}

/* ---- the owner --------------------------------------------------------------------------------------- */

static void become(unsigned user, gid_t own, gid_t group)
{
    if (setgroups(group ? 1 : 0, &group) != 0 || setresgid(own, own, own) != 0 ||
        setresuid(USER_ID(user), USER_ID(user), USER_ID(user)) != 0)
        fail_msg("becoming user %u: %s", USER_ID(user), strerror(errno));
}

static void become_owner(void)
{
    become(OWNER, USER_ID(OWNER), TEAM);
}

struct host {
    struct baton ready, over;
    uint32_t mode;
};

static yoke_endpoint *open_one(const char *address, uint32_t flags,
                               const struct yoke_options *options)
{
    yoke_endpoint *endpoint = NULL;

    must(yoke_open(&endpoint, address, flags | YOKE_CREATE, options));
    return endpoint;
}

static void host_memory(const struct yoke_options *options, const char *name)
{
    struct yoke_region_options own = YOKE_REGION_OPTIONS_INIT;
    yoke_region *region;

    own.mode = options->mode;
    own.group = options->group;
    own.flags = YOKE_KEPT;
    must(yoke_region_create(&region, name, 4096, &own));
}

static void host_channels(struct yoke_options *options)
{
    yoke_endpoint *port = open_one("port:thing", 0, options);

    send_number(port, 1);
    must(yoke_fd(port));
    send_number(open_one("port:thing@kernel", 0, options), 1);
    open_one("port:gone@kernel", YOKE_KEPT, options);
    open_one("stream:thing", YOKE_READ, options);
    must(yoke_write(open_one("stream:thing", YOKE_WRITE, options), "bytes", 5, YOKE_NOW));
    open_one("stream:thing@kernel", YOKE_READ, options);
    must(yoke_write(open_one("stream:thing@kernel", YOKE_WRITE, options), "bytes", 5, YOKE_NOW));
    options->as = "ann";
    open_one("link:bob", 0, options);
    open_one("link:bob@kernel", 0, options);
    options->as = NULL;
}

static int role_hosts(void *argument)
{
    const struct host *host = argument;
    struct yoke_options options = YOKE_OPTIONS_INIT;
    yoke_peer *ann, *kim;
    yoke_endpoint *inboxes[2];

    become_owner();
    prctl(PR_SET_DUMPABLE, 1); /* as a process that was never root's: /proc shows it to its user */
    options.mode = host->mode;
    options.group = TEAM;
    must(yoke_peer_join(&ann, "ann", &options));
    must(yoke_peer_join(&kim, "kim", &options));
    must(yoke_signals_open(&inboxes[0], ann, 0, &options));
    must(yoke_signals_open(&inboxes[1], kim, YOKE_SIGNALS_KERNEL, &options));
    host_memory(&options, "thing");
    host_memory(&options, "gone");
    host_channels(&options);
    baton_pass(&host->ready);
    baton_take(&host->over);
    return 0; /* all of it goes with the process */
}

static void find_facts(void)
{
    char text[1000] = "", bell[48] = "";
    int fd = open(name_path("region.thing"), O_RDONLY | O_CLOEXEC);
    struct dirent *entry;
    DIR *directory = opendir(name_path(""));

    assert_true(read(fd, text, sizeof text - 1) > 0);
    close(fd);
    while ((entry = readdir(directory)))
        if (strncmp(entry->d_name, ".bell-", 6) == 0)
            snprintf(bell, sizeof bell, "%.40s", entry->d_name);
    closedir(directory);
    snprintf(facts->directory, sizeof facts->directory, "%s", getenv("YOKE_DIR"));
    facts->segment = atoi(strstr(text, "segment=") + strlen("segment="));
    snprintf(facts->lock_file, sizeof facts->lock_file, ".live-%.16s",
             strstr(text, "nonce=") + strlen("nonce="));
    snprintf(facts->doorbell, sizeof facts->doorbell, "%s", bell);
}

/* ---- before a try ------------------------------------------------------------------------------------ */

static int role_dies_with_a_region(void *argument)
{
    yoke_region *region;

    (void)argument;
    become_owner();
    must(yoke_region_create(&region, "dead", 4096, NULL));
    _exit(0);
}

static int role_sends_a_descriptor(void *argument)
{
    int *to = argument, ends[2];
    char room[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec bytes = {(char[]){"x"}, 1};
    struct msghdr message = {
        .msg_iov = &bytes, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);

    become_owner();
    must(yoke_pair(ends, NULL));
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(head), &ends[1], sizeof(int));
    return sendmsg(*to, &message, 0) == 1 ? 0 : 1;
}

static void prepare(const struct row *row)
{
    int sockets[2];

    if (row->attempt == try_gc)
        assert_int_equal(role_wait(role_start(role_dies_with_a_region, NULL), SOON_MS), 0);
    if (row->attempt != try_descriptor)
        return;
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, sockets), 0);
    assert_int_equal(role_wait(role_start(role_sends_a_descriptor, &sockets[1]), SOON_MS), 0);
    assert_int_equal(dup2(sockets[0], RECEIVED_FROM), RECEIVED_FROM);
    close(sockets[0]);
    close(sockets[1]);
}

/* ---- becoming who tries ------------------------------------------------------------------------------ */

static int *answer;       /* shared */
static char program[300]; /* the copy that is setuid; "": none can be */

static bool write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool written = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

    if (fd >= 0)
        close(fd);
    return written;
}

static bool become_mapped_root(void)
{
    char map[40];

    become_user(STRANGER);
    prctl(PR_SET_DUMPABLE, 1); /* else /proc/self is root's */
    if (unshare(CLONE_NEWUSER) != 0)
        return false;
    snprintf(map, sizeof map, "0 %u 1", USER_ID(STRANGER));
    return write_text("/proc/self/uid_map", map) && write_text("/proc/self/setgroups", "deny") &&
           write_text("/proc/self/gid_map", map) && geteuid() == 0;
}

/* As the first process of a namespace, with a /proc of its own. */
static int try_in_pid_namespace(const struct row *row)
{
    pid_t pid;

    if (unshare(CLONE_NEWPID | CLONE_NEWNS) != 0)
        return NOT_TRIED;
    pid = fork();
    if (pid == 0) {
        if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
            mount("proc", "/proc", "proc", 0, NULL) != 0)
            _exit(1);
        become_owner();
        *answer = row->attempt();
        _exit(0);
    }
    int status;
    return waitpid(pid, &status, 0) == pid && status == 0 ? *answer : NOT_TRIED;
}

/* Who calls it says where the names are; it does not listen to that. */
static int try_as_setuid_program(const struct row *row)
{
    char number[20], segment[20];
    int status;
    pid_t pid;

    if (!program[0])
        return NOT_TRIED;
    snprintf(number, sizeof number, "%zu", (size_t)(row - rows));
    snprintf(segment, sizeof segment, "%d", facts->segment);
    pid = fork();
    if (pid == 0) {
        become_user(STRANGER);
        setenv("YOKE_PLACE", "nowhere", 1);
        execl(program, program, "--try", number, facts->directory, segment, facts->lock_file,
              facts->doorbell, NULL);
        _exit(127);
    }
    return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) < 127
               ? (WEXITSTATUS(status) < 8 ? WEXITSTATUS(status) : -(WEXITSTATUS(status) - 8))
               : NOT_TRIED;
}

struct attempt {
    const struct row *row;
    enum column column;
};

static int role_tries(void *argument)
{
    const struct attempt *attempt = argument;

    switch (attempt->column) {
    case BY_OWNER:
        become_owner();
        break;
    case TEAM_0660:
    case TEAM_0640:
    case TEAM_0600:
        become(STRANGER, USER_ID(STRANGER), TEAM);
        break;
    case OWN_GROUP_0660:
        become(STRANGER, USER_ID(OWNER), 0);
        break;
    case BY_ROOT:
        break;
    case OTHER_IPC:
        if (unshare(CLONE_NEWIPC) != 0)
            return 0;
        become_owner();
        break;
    case OTHER_PID:
        *answer = try_in_pid_namespace(attempt->row);
        return 0;
    case USER_NAMESPACE:
        if (!become_mapped_root())
            return 0;
        break;
    case SETUID:
        *answer = try_as_setuid_program(attempt->row);
        return 0;
    default:
        become_user(STRANGER);
    }
    *answer = attempt->row->attempt();
    return 0;
}

/* ---- each column ------------------------------------------------------------------------------------- */

/* Everything that must be there for a program to be setuid here. */
static void make_setuid_program(void)
{
    const char *parent = getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";
    char command[1000];
    struct statvfs filesystem;

    if (statvfs(parent, &filesystem) != 0 || (filesystem.f_flag & ST_NOSUID) != 0) {
        print_message("# %s is mounted nosuid: no setuid program can be tried\n", parent);
        return;
    }
    snprintf(program, sizeof program, "%s/yoke-setuid-%d", parent, getpid());
    snprintf(command, sizeof command, "cp /proc/%d/exe '%s' && chmod 0711 '%s'", getpid(), program,
             strcmp(parent, "/tmp") == 0 ? program : parent);
    assert_int_equal(system(command), 0);
    assert_int_equal(chown(program, USER_ID(OWNER), USER_ID(OWNER)), 0);
    assert_int_equal(chmod(program, 04755), 0);
}

/* The directory that it took instead. */
static void drop_setuid_program(void)
{
    char command[200];

    if (!program[0])
        return;
    unlink(program);
    snprintf(command, sizeof command, "test -d /dev/shm/yoke-%u && rm -rf /dev/shm/yoke-%u",
             USER_ID(OWNER), USER_ID(OWNER));
    assert_int_equal(system(command), 0);
}

static void leave_nothing(pid_t pid, const struct host *host)
{
    static const char *const kept[] = {"region:thing", "region:gone", "port:gone@kernel"};

    baton_pass(&host->over);
    assert_int_equal(role_wait(pid, SOON_MS), 0);
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        yoke_remove(kept[i]);
    for (int64_t end = now_ns() + SOON_MS * MS; names_left() > 0 && now_ns() < end;) {
        struct yk_gc_item *items = NULL;

        must(yk_gc(false, &items));
        free(items);
    }
}

static void try_column(enum column column)
{
    struct host host = {.mode = columns[column].mode};
    size_t wrong = 0, tried = 0;
    pid_t pid;

    share_directory();
    if (column == OTHER_IPC && !own_namespace("ipc"))
        skip_test("needs root, to make IPC namespaces");
    if (column == SETUID)
        make_setuid_program();
    facts = shared_new(sizeof *facts);
    answer = shared_new(sizeof *answer);
    baton_make(&host.ready);
    baton_make(&host.over);
    pid = role_start(role_hosts, &host);
    baton_take(&host.ready);
    find_facts();
    for (size_t i = 0; i < ROWS; i++) {
        struct attempt attempt = {&rows[i], column};

        prepare(&rows[i]);
        *answer = NOT_TRIED;
        assert_int_equal(role_wait(role_start(role_tries, &attempt), SOON_MS), 0);
        tried += *answer != NOT_TRIED;
        if (*answer == NOT_TRIED || strcmp(text_of(*answer), rows[i].cells[column]) == 0)
            continue;
        wrong++;
        print_error("%s | %s: %s instead of %s\n", columns[column].title, rows[i].what,
                    text_of(*answer), rows[i].cells[column]);
    }
    close(RECEIVED_FROM);
    leave_nothing(pid, &host);
    if (column == SETUID)
        drop_setuid_program();
    baton_drop(&host.ready);
    baton_drop(&host.over);
    assert_int_equal(wrong, 0);
    if (tried == 0)
        skip_test("none of it could be tried here");
    assert_int_equal(tried, ROWS);
}

#define COLUMN(function, column)       \
    static void function(void **state) \
    {                                  \
        (void)state;                   \
        try_column(column);            \
    }
#define CASES(X)                                                          \
    X(owner_may_all, BY_OWNER)                                            \
    X(group_may_what_0660_says, TEAM_0660)                                \
    X(group_may_what_0640_says, TEAM_0640)                                \
    X(group_may_what_0600_says, TEAM_0600)                                \
    X(others_may_what_0666_says, OTHER_0666)                              \
    X(others_may_what_0644_says, OTHER_0644)                              \
    X(others_may_what_0600_says, OTHER_0600)                              \
    X(makers_own_group_is_let_in_by_the_kernel_alone, OWN_GROUP_0660)     \
    X(root_may_all, BY_ROOT)                                              \
    X(other_ipc_namespace_reaches_no_memory, OTHER_IPC)                   \
    X(other_pid_namespace_makes_no_difference_but_for_signals, OTHER_PID) \
    X(root_of_a_user_namespace_is_a_stranger, USER_NAMESPACE)             \
    X(setuid_program_does_not_listen_to_its_caller, SETUID)
CASES(COLUMN)

/* ---- a directory of one's own ------------------------------------------------------------------------- */

static int role_is_at_home(void *directory)
{
    struct yoke_region_options options = YOKE_REGION_OPTIONS_INIT;
    yoke_region *region;

    setenv("YOKE_DIR", directory, 1);
    if (!become_mapped_root())
        return 77;
    options.flags = YOKE_KEPT;
    must(yoke_region_create(&region, "mine", 4096, &options));
    *(char *)yoke_region_data(region) = 'm';
    return yoke_region_close(region);
}

static int role_comes_from_outside(void *directory)
{
    yoke_region *region;

    setenv("YOKE_DIR", directory, 1);
    become_user(STRANGER);
    region = region_join("mine");
    assert_int_equal(*(char *)yoke_region_data(region), 'm');
    yoke_region_close(region);
    return (int)must(yoke_remove("region:mine"));
}

static void root_of_a_user_namespace_is_himself_in_a_directory_of_his_own(void **state)
{
    char directory[300], command[400];
    int inside, outside = 0;

    (void)state;
    share_directory();
    snprintf(directory, sizeof directory, "%s", name_path("own"));
    assert_int_equal(mkdir(directory, 0700), 0);
    assert_int_equal(chown(directory, USER_ID(STRANGER), USER_ID(STRANGER)), 0);
    inside = role_wait(role_start(role_is_at_home, directory), SOON_MS);
    if (inside == 0)
        outside = role_wait(role_start(role_comes_from_outside, directory), SOON_MS);
    snprintf(command, sizeof command, "rm -rf '%s'", directory);
    assert_int_equal(system(command), 0);
    if (inside == 77)
        skip_test("no user namespace can be made here");
    assert_int_equal(inside, 0);
    assert_int_equal(outside, 0);
}

/* As the setuid program, started by try_as_setuid_program(). */
static int try_here(char **arguments)
{
    size_t row = strtoul(arguments[2], NULL, 10);
    int result;

    facts = calloc(1, sizeof *facts);
    if (!facts || row >= ROWS)
        return 127;
    snprintf(facts->directory, sizeof facts->directory, "%s", arguments[3]);
    facts->segment = atoi(arguments[4]);
    snprintf(facts->lock_file, sizeof facts->lock_file, "%s", arguments[5]);
    snprintf(facts->doorbell, sizeof facts->doorbell, "%s", arguments[6]);
    result = rows[row].attempt();
    return result < 0 ? 8 - result : result;
}

int main(int count, char **arguments)
{
    if (count == 2 && strcmp(arguments[1], "--table") == 0)
        return print_table();
    if (count == 7 && strcmp(arguments[1], "--try") == 0)
        _exit(
            try_here(arguments)); /* no look for leaks, which can not be had in a setuid program */
#define CASE(function, column) api_test(function),
    const struct CMUnitTest tests[] = {
        CASES(CASE) api_test(root_of_a_user_namespace_is_himself_in_a_directory_of_his_own)};

    return cmocka_run_group_tests(tests, api_setup, NULL);
}
