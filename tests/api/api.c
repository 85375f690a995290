/* api.c - see api.h. */
#include "api.h"

#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- a name directory ------------------------------------------------------------------------- */

static char made_directory[64];
static pid_t made_by;

static const char *directory_path(void)
{
    const char *path = getenv("YOKE_DIR");

    if (!path)
        fail_msg("YOKE_DIR is not set");
    return path;
}

/* Only what yoke leaves there on purpose; the rest is a leak and makes rmdir fail. */
static void remove_directory(void)
{
    char path[600];

    if (getpid() != made_by)
        return;
    snprintf(path, sizeof path, "%s/.lock-%u", made_directory, geteuid());
    unlink(path);
    snprintf(path, sizeof path, "%s/.intents-%u", made_directory, geteuid());
    rmdir(path);
    if (rmdir(made_directory) != 0)
        fprintf(stderr, "left behind: something in %s\n", made_directory);
}

int api_setup(void **state)
{
    (void)state;
    if (getenv("YOKE_DIR"))
        return 0;
    snprintf(made_directory, sizeof made_directory, "/tmp/yoke-test-XXXXXX");
    if (!mkdtemp(made_directory))
        return -1;
    made_by = getpid();
    atexit(remove_directory);
    return setenv("YOKE_DIR", made_directory, 1);
}

const char *name_path(const char *entry)
{
    static _Thread_local char path[600];

    snprintf(path, sizeof path, "%s/%s", directory_path(), entry);
    return path;
}

/* ---- results ---------------------------------------------------------------------------------- */

int64_t must_succeed(int64_t result, const char *call, const char *file, int line)
{
    if (result < 0) {
        print_error("%s: %s: %s\n", call, strerror((int)-result), yoke_explain());
        _fail(file, line);
    }
    return result;
}

void must_refuse(int64_t result, int error, const char *call, const char *file, int line)
{
    if (result == -error)
        return;
    print_error("%s: %" PRId64 " (%s; %s) instead of -%s\n", call, result,
                result < 0 ? strerror((int)-result) : "success", result < 0 ? yoke_explain() : "",
                strerrorname_np(error));
    _fail(file, line);
}

/* ---- objects ---------------------------------------------------------------------------------- */

yoke_endpoint *port_make(const char *name, const struct yoke_options *options)
{
    char address[200];
    yoke_endpoint *endpoint = NULL;

    snprintf(address, sizeof address, "port:%s", name);
    must(yoke_open(&endpoint, address, YOKE_CREATE, options));
    return endpoint;
}

yoke_endpoint *port_join(const char *name)
{
    char address[200];
    yoke_endpoint *endpoint = NULL;

    snprintf(address, sizeof address, "port:%s", name);
    must(yoke_open(&endpoint, address, 0, NULL));
    return endpoint;
}

int link_try(yoke_endpoint **ret_link, const char *me, const char *other, uint32_t flags,
             const struct yoke_options *options)
{
    struct yoke_options own = YOKE_OPTIONS_INIT;
    char address[200];

    if (options)
        own = *options;
    own.as = me;
    snprintf(address, sizeof address, "link:%s", other);
    return yoke_open(ret_link, address, flags, &own);
}

yoke_endpoint *link_make(const char *me, const char *other, const struct yoke_options *options)
{
    yoke_endpoint *link = NULL;

    must(link_try(&link, me, other, YOKE_CREATE, options));
    return link;
}

yoke_endpoint *link_join(const char *me, const char *other)
{
    yoke_endpoint *link = NULL;

    must(link_try(&link, me, other, 0, NULL));
    return link;
}

yoke_region *region_make(const char *name, size_t size)
{
    yoke_region *region = NULL;

    must(yoke_region_create(&region, name, size, NULL));
    return region;
}

yoke_region *region_join(const char *name)
{
    yoke_region *region = NULL;

    must(yoke_region_open(&region, name, 0));
    return region;
}

void send_number(yoke_endpoint *endpoint, uint64_t number)
{
    must(yoke_send(endpoint, &number, sizeof number, SOON_MS * MS));
}

uint64_t recv_number(yoke_endpoint *endpoint, int64_t timeout_ns)
{
    uint64_t number = 0;

    assert_int_equal(must(yoke_recv(endpoint, &number, sizeof number, timeout_ns)), sizeof number);
    return number;
}

void send_details(yoke_endpoint *endpoint, const void *data, size_t size, uint32_t priority,
                  uint64_t tag)
{
    struct yoke_message message = {
        .data = (void *)(uintptr_t)data,
        .size = size,
        .priority = priority,
        .tag = tag,
    };

    assert_int_equal(must(yoke_send_many(endpoint, &message, 1, YOKE_NOW)), 1);
}

void borrow_details(yoke_endpoint *endpoint, struct yoke_message *into)
{
    *into = (struct yoke_message){.data = NULL};
    assert_int_equal(must(yoke_borrow_many(endpoint, into, 1, LONG_WAIT)), 1);
}

/* ---- waiting calls ---------------------------------------------------------------------------- */

static void *run_worker(void *context)
{
    struct worker *worker = context;

    atomic_store(&worker->id, gettid());
    worker->result = worker->call(worker->context);
    return NULL;
}

void worker_start(struct worker *worker, thread_call call, void *context)
{
    worker->call = call;
    worker->context = context;
    worker->result = INT64_MIN;
    atomic_store(&worker->id, 0);
    assert_int_equal(pthread_create(&worker->thread, NULL, run_worker, worker), 0);
}

void worker_wait_asleep(struct worker *worker)
{
    while (atomic_load(&worker->id) == 0)
        sched_yield();
    role_wait_asleep(atomic_load(&worker->id), SOON_MS);
}

int64_t worker_join(struct worker *worker)
{
    struct timespec end;

    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += SOON_MS / 1000;
    if (pthread_timedjoin_np(worker->thread, NULL, &end) != 0)
        fail_msg("a thread did not end within %d ms", SOON_MS);
    return worker->result;
}

struct interruption {
    struct baton ready;
    thread_call call;
    void *context;
    int64_t *result;
};

static void on_signal(int number)
{
    (void)number;
}

static int role_interrupted(void *argument)
{
    struct interruption *interruption = argument;
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};

    sigaction(SIGUSR1, &action, NULL);
    baton_pass(&interruption->ready);
    *interruption->result = interruption->call(interruption->context);
    return 0;
}

int64_t interrupted_result(thread_call call, void *context)
{
    struct interruption interruption = {.call = call, .context = context};
    int64_t *shared = shared_new(sizeof *shared), end = now_ns() + SOON_MS * MS, result;
    pid_t pid;
    int fd;

    interruption.result = shared;
    *shared = INT64_MIN;
    baton_make(&interruption.ready);
    pid = role_start(role_interrupted, &interruption);
    fd = pidfd_open(pid, 0);
    assert_true(fd >= 0);
    baton_take(&interruption.ready);
    /* One signal may come before the call sleeps, or between two slices of its sleep. */
    while (poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 5) == 0 && now_ns() < end)
        kill(pid, SIGUSR1);
    close(fd);
    assert_int_equal(role_wait(pid, 1), 0);
    baton_drop(&interruption.ready);
    result = *shared;
    shared_drop(shared, sizeof *shared);
    return result;
}

void assert_times_out(thread_call call, void *context, int64_t timeout_ns)
{
    int64_t begin = now_ns();

    must_fail(call(context), ETIMEDOUT);
    assert_true(now_ns() - begin >= timeout_ns);
}

/* ---- the outside of it ------------------------------------------------------------------------ */

void *shared_new(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED)
        fail_msg("mmap of %zu bytes: %s", size, strerror(errno));
    return memory;
}

void shared_drop(void *memory, size_t size)
{
    munmap(memory, size);
}

/* Calls `visit` for every row of /proc/sysvipc/shm. */
static void each_segment(void (*visit)(const struct segment_facts *facts, pid_t maker,
                                       void *context),
                         void *context)
{
    FILE *file = fopen("/proc/sysvipc/shm", "re");
    char line[512];

    if (!file)
        fail_msg("/proc/sysvipc/shm: %s", strerror(errno));
    while (fgets(line, sizeof line, file)) {
        struct segment_facts facts;
        int maker;

        if (sscanf(line,
                   "%*d %d %o %" SCNu64 " %d %*d %" SCNu64 " %u %u %*u %*u %*u %*u %*u %" SCNu64,
                   &facts.id, &facts.mode, &facts.size, &maker, &facts.attached, &facts.uid,
                   &facts.gid, &facts.resident) == 8)
            visit(&facts, maker, context);
    }
    fclose(file);
}

struct segment_search {
    pid_t maker;
    size_t count;
    struct segment_facts biggest;
};

static void count_segment(const struct segment_facts *facts, pid_t maker, void *context)
{
    struct segment_search *search = context;

    if (maker != search->maker)
        return;
    if (search->count++ == 0 || facts->size > search->biggest.size)
        search->biggest = *facts;
}

bool biggest_segment(struct segment_facts *ret)
{
    struct segment_search search = {.maker = getpid()};

    each_segment(count_segment, &search);
    *ret = search.biggest;
    return search.count > 0;
}

size_t segments_made_by(pid_t pid)
{
    struct segment_search search = {.maker = pid};

    each_segment(count_segment, &search);
    return search.count;
}

static void describe_segment(const struct segment_facts *facts, pid_t maker, void *context)
{
    (void)maker;
    fprintf(context, "segment %d: %" PRIu64 " bytes, mode %o, %" PRIu64 " attached\n", facts->id,
            facts->size, facts->mode, facts->attached);
}

/* True for what yoke keeps in its directory on purpose. */
static bool is_furniture(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strncmp(name, ".lock-", 6) == 0 ||
           strncmp(name, ".intents-", 9) == 0;
}

static int is_interesting(const struct dirent *entry)
{
    return !is_furniture(entry->d_name);
}

/* Lists a folder of the name directory into `out` (may be NULL); returns the number of entries. */
static size_t list_names(const char *folder, FILE *out)
{
    struct dirent **entries;
    struct stat facts;
    char path[1200];
    int count;

    snprintf(path, sizeof path, "%s", name_path(folder));
    count = scandir(path, &entries, is_interesting, alphasort);
    for (int i = 0; i < count; i++) {
        char file[1500];

        snprintf(file, sizeof file, "%s/%s", path, entries[i]->d_name);
        if (out && lstat(file, &facts) == 0)
            fprintf(out, "file %s/%s: mode %o, %lld bytes, inode %llu\n", folder,
                    entries[i]->d_name, facts.st_mode, (long long)facts.st_size,
                    (unsigned long long)facts.st_ino);
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
    return count < 0 ? 0 : (size_t)count;
}

static int is_intents(const struct dirent *entry)
{
    return strncmp(entry->d_name, ".intents-", 9) == 0;
}

/* The same of all users' intents. */
static size_t list_intents(FILE *out)
{
    struct dirent **users;
    int count = scandir(directory_path(), &users, is_intents, alphasort);
    size_t found = 0;

    for (int i = 0; i < count; i++) {
        found += list_names(users[i]->d_name, out);
        free(users[i]);
    }
    if (count >= 0)
        free(users);
    return found;
}

size_t names_left(void)
{
    return list_names("", NULL) + list_intents(NULL);
}

void names_await_none(void)
{
    int64_t end = now_ns() + SOON_MS * MS;

    while (names_left() > 0 && now_ns() < end) {
        yoke_close(port_make("passing", NULL));
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
}

char *world_describe(void)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    if (!out)
        fail_msg("memory: %s", strerror(errno));
    fprintf(out, "%d descriptors\n", open_descriptors());
    list_names("", out);
    list_intents(out);
    if (own_namespace("ipc"))
        each_segment(describe_segment, out);
    fclose(out);
    return text;
}

static void remove_object(const char *entry)
{
    char *address = strdup(entry), *dot = strchr(address, '.'), *at = strchr(address, '@');

    if (dot && dot != address) {
        *dot = ':';
        if (at)
            *at = '/'; /* of a link */
        yoke_remove(address);
    }
    free(address);
}

int api_clean(void **state)
{
    struct dirent **entries;
    bool failed, clean = case_end(&failed);
    int count = scandir(directory_path(), &entries, is_interesting, alphasort);

    (void)state;
    for (int i = 0; i < count; i++) {
        if (!failed)
            print_error("left behind: %s\n", entries[i]->d_name);
        remove_object(entries[i]->d_name);
    }
    for (int i = 0; i < count; i++) { /* what is left over even so */
        unlink(name_path(entries[i]->d_name));
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
    return (count <= 0 && clean) || failed ? 0 : -1;
}

void share_directory(void)
{
    if (geteuid() != 0)
        skip_test("only root can play several users");
    if (chmod(directory_path(), 01777) != 0)
        fail_msg("%s: %s", directory_path(), strerror(errno));
}

void become_user(unsigned number)
{
    gid_t group = USER_ID(number);

    if (setgroups(0, NULL) != 0 || setresgid(group, group, group) != 0 ||
        setresuid(USER_ID(number), USER_ID(number), USER_ID(number)) != 0)
        fail_msg("becoming user %u: %s", USER_ID(number), strerror(errno));
}
