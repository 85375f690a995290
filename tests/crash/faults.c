/*
 * faults.c - every call that yoke makes of the kernel and of the allocator fails, one after the other,
 * with each error that it can have.
 *
 * A scenario (fault_scenarios.c) is run once to number the calls of the library inside one public call,
 * then once for each of them and each of its errors, once for each resource that runs out there and stays
 * out, and with two faults at places that the seed picks; each time in a process of its own. Then
 *
 *   - the public call has the result that it has without faults, and all works afterwards; or
 *   - it fails: with the error that was met, in a sentence; errno and what it would have given back are
 *     as they were; nothing has changed, of files, segments, locks, descriptors, mappings, watches; and
 *     the same call, tried again, succeeds.
 *   - In the end nothing is left: none of these, and no memory. Only where it was the taking away that
 *     failed, yk_gc() is asked first.
 *
 *   faults [--long] [--seed N] [--seconds N] [--lanes N] [--scenario NAME] [--fault AT.CHOICE|AT.ERROR!]...
 *          [--trace]
 *
 * Without --long it ends when each single fault and each that lasts was there once.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools.h" /* first: cmocka has another fail() */

#include "../api/api.h"
#include "base/fork.h"
#include "fault_calls.h"
#include "fault_scenarios.h"
#include "inspect.h"
#include "watch.h"

#define SHOWN_MOST    40
#define LANES_MOST    16
#define SCENES_MOST   256
#define PAIR_EVERY    8 /* while there are single ones left */
#define HANG_S        120
#define FOR_NEXT_USER 3
#define UNTOUCHED     4711 /* errno */
#define OLD           "the region is NULL"

struct reference {
    int64_t result;
    struct calls calls;
};

static struct shared {
    uint64_t runs, singles, lasting, pairs, failed, went_on, unreached, findings, next;
    bool wrong; /* in the lane's run; a lane has its own struct */
    struct reference references[SCENES_MOST];
    struct calls calls[LANES_MOST + 1];
    bool found[LANES_MOST + 1];
} * shared;

static struct {
    uint64_t seed;
    double seconds;
    uint32_t lanes;
    bool thorough;
    const char *scenario;
    struct fault faults[2];
    uint32_t fault_count;
} options = {.seconds = 1e9, .lanes = 2};

/* A run. */
struct task {
    uint32_t scene, count;
    struct fault faults[2];
};

static uint32_t lane; /* 0: the parent's own */
static const struct task *running;
static double started;
static char base[300];

static uint32_t scenarios_in_all(void)
{
    return scenario_count + stream_scenario_count;
}

static const struct scenario *scenario_at(uint32_t scene)
{
    return scene < scenario_count ? &scenarios[scene] : &stream_scenarios[scene - scenario_count];
}

static bool time_is_over(void)
{
    return seconds_now() - started > options.seconds;
}

/* ---- findings --------------------------------------------------------------------------------------- */

static const char *where(void)
{
    static char text[300];
    size_t used =
        (size_t)snprintf(text, sizeof text, "--scenario \"%s\"", scenario_at(running->scene)->name);
    for (uint32_t i = 0; i < running->count; i++) {
        const struct fault *fault = &running->faults[i];
        used += (size_t)snprintf(text + used, sizeof text - used,
                                 fault->error ? " --fault %u.%d!" : " --fault %u.%d", fault->at,
                                 fault->error ? fault->error : (int)fault->choice);
    }
    return text;
}

void wrong(const char *format, ...)
{
    char text[2000];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (shared->found[lane])
        return; /* what follows from it */
    shared->found[lane] = true;
    if (__atomic_add_fetch(&shared->findings, 1, __ATOMIC_SEQ_CST) <= SHOWN_MOST)
        fprintf(stderr, "# wrong: %s\n#   %s\n#   %s\n", text, where(), shared->calls[lane].text);
}

/* ---- the world ---------------------------------------------------------------------------------------- */

/* The lines of what the kernel says of a descriptor that tell of locks and of watches. */
static void describe_details(FILE *into, const char *number)
{
    char path[300], line[300];
    snprintf(path, sizeof path, "/proc/self/fdinfo/%s", number);
    FILE *in = fopen(path, "re");
    while (in && fgets(line, sizeof line, in)) {
        if (strncmp(line, "lock:", 5) == 0 || strncmp(line, "inotify", 7) == 0)
            fputs(line, into);
    }
    if (in)
        fclose(in);
}

/* What signals in the kernel are sent by: one without a name, that the process keeps. */
static bool is_senders_socket(int fd)
{
    struct sockaddr_un name;
    socklen_t size = sizeof name, type_size = sizeof(int);
    int type = 0;
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_size) == 0 && type == SOCK_DGRAM &&
           getsockname(fd, (struct sockaddr *)&name, &size) == 0 && size == sizeof(sa_family_t);
}

/* The one instance that the process keeps is none of a call's; its watches are. */
static void describe_descriptors(FILE *into)
{
    int instance = yk_fork_page ? yk_watch_descriptor() : -1;
    DIR *stream = opendir("/proc/self/fd");
    for (struct dirent *entry; stream && (entry = readdir(stream));) {
        char target[300] = "";
        int fd = atoi(entry->d_name);
        if (entry->d_name[0] == '.' || fd == dirfd(stream) ||
            readlinkat(dirfd(stream), entry->d_name, target, sizeof target - 1) < 0 ||
            strstr(target, "/fdinfo"))
            continue;
        if (fd != instance && !is_senders_socket(fd))
            fprintf(into, "descriptor %s\n", target);
        describe_details(into, entry->d_name);
    }
    if (stream)
        closedir(stream);
}

/* All that a call could have changed; of the heap, see calls_blocks(). To be freed. */
static char *describe(void)
{
    char *text = NULL, *world = world_describe();
    size_t size;
    FILE *into = open_memstream(&text, &size);
    fputs(strchr(world, '\n') + 1, into); /* without the number of descriptors */
    free(world);
    fprintf(into, "%u mappings\n", calls_mappings() - (yk_fork_page != NULL));
    fclose(into);
    /* memory for the stream itself is no descriptor: the list comes when it is closed */
    char *list = NULL;
    into = open_memstream(&list, &size);
    fputs(text, into);
    describe_descriptors(into);
    fclose(into);
    free(text);
    return list;
}

/* The lines that one has and the other has not. */
static const char *differences(const char *before, const char *after)
{
    static char text[1500];
    const char *texts[] = {before, after};
    size_t used = 0;
    text[0] = '\0';
    for (int side = 0; side < 2; side++) {
        for (const char *line = texts[side]; *line; line = strchr(line, '\n') + 1) {
            char one[400];
            snprintf(one, sizeof one, "%.*s", (int)(strchr(line, '\n') - line + 1), line);
            if (!strstr(texts[1 - side], one) && used + strlen(one) + 8 < sizeof text)
                used += (size_t)snprintf(text + used, sizeof text - used, "%s%.*s; ",
                                         side ? "+ " : "- ", (int)strlen(one) - 1, one);
        }
    }
    return text[0] ? text : "the same lines more often";
}

static void expect_world(const char *expected, const char *when)
{
    char *is = describe();
    if (strcmp(is, expected) != 0)
        wrong("%s: %s", when, differences(expected, is));
    free(is);
}

/* ---- one run ------------------------------------------------------------------------------------------ */

static void watched(void (*function)(void))
{
    calls_watch(true);
    if (function)
        function();
    calls_watch(false);
}

static int64_t call_once(const struct scenario *scenario, int *ret_errno)
{
    memset(&out, 0xa5, sizeof out);
    yoke_region_cancel(NULL); /* its sentence is not this call's */
    errno = UNTOUCHED;
    int64_t result = scenario->call();
    *ret_errno = errno;
    return result;
}

static bool is_an_answer(int64_t result)
{
    return result == -EAGAIN || result == -ETIMEDOUT || result == -EINTR || result == -ECANCELED;
}

/* Does this error say what happened? */
static bool is_true(const struct calls *calls, int64_t result)
{
    if (result == -EINTR)
        return calls->flags & CALL_SLEEPS;
    for (uint32_t i = 0; i < 2; i++) {
        int error = calls->errors[i];
        if (result == -error || (error < 0 && result == -ENOSPC) ||
            (error == ENOLCK && result == -EBUSY) || (error == EAGAIN && result == -EBUSY) ||
            (error == ENOMEM && result == -ETIMEDOUT) /* as if nothing came, to the end */ ||
            (error == EHWPOISON && result == -ENOMEM) || (error == ENOBUFS && result == -ENOMEM) ||
            (error == EINVAL && result == -ENOTSUP) ||
            (error == EMFILE && result == -ENOSPC) /* mq_open: its own limit, too */)
            return true;
    }
    /* what could not be cleared is in the way, and says so */
    return (calls->flags & CALL_CLEARS) && result == -EBUSY;
}

static void judge_failure(const struct calls *calls, int64_t result)
{
    if (calls->failed == 0)
        wrong("it fails without a fault: %lld, %s", (long long)result, yoke_explain());
    else if (!is_true(calls, result))
        wrong("it fails with -%s, '%s'", strerrorname_np((int)-result),
              is_an_answer(result) ? "" : yoke_explain());
    if (!is_an_answer(result) && (yoke_explain()[0] == '\0' || strcmp(yoke_explain(), OLD) == 0))
        wrong("it fails with -%s and says nothing", strerrorname_np((int)-result));
    for (size_t i = 0; i < sizeof out; i++) {
        if (out.bytes[i] != 0xa5)
            wrong("it fails with -%s and has changed what it gives back",
                  strerrorname_np((int)-result));
    }
}

static bool is_as_ever(const struct scenario *scenario, int64_t result, int64_t expected)
{
    return result == expected || ((scenario->flags & SOME) && result >= 0 && expected >= 0);
}

static bool is_passed_over(const struct scenario *scenario, int64_t result)
{
    return (scenario->flags & LATER) && (result == -EAGAIN || result == -ETIMEDOUT);
}

/* The call with its faults, and again without. */
static void call_twice(const struct scenario *scenario, const struct task *task, const char *world)
{
    struct calls *calls = &shared->calls[lane];
    const struct reference *reference = &shared->references[task->scene];
    int error;
    calls_begin(calls, task->faults, task->count);
    pid_t child = scenario->flags & FORKED ? fork() : 0;
    if (child != 0) {
        int status = 0;
        calls_end();
        if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
            wrong("the forked child ended with status %#x", status);
        return;
    }
    int64_t result = call_once(scenario, &error);
    calls_end();
    if (error != UNTOUCHED)
        wrong("it left errno changed, to %s", strerrorname_np(error));
    if (task->count == 0)
        shared->references[task->scene].result = result;
    bool went_on = is_as_ever(scenario, result, reference->result);
    __atomic_add_fetch(calls->failed == 0 ? &shared->unreached
                       : went_on          ? &shared->went_on
                                          : &shared->failed,
                       1, __ATOMIC_SEQ_CST);
    if (!went_on) {
        if (result >= 0)
            wrong("it returns %lld instead of %lld", (long long)result,
                  (long long)reference->result);
        else if (!is_passed_over(scenario, result))
            judge_failure(calls, result);
        if (!(scenario->flags & (EFFECT | FORKED)) && !(calls->flags & CALL_CLEARS) &&
            calls->failed == 1)
            expect_world(world, "it failed, and has changed");
        calls_watch(true);
        do
            result = call_once(scenario, &error);
        while (is_passed_over(scenario, result));
        calls_watch(false);
        if (!is_as_ever(scenario, result, reference->result))
            wrong("tried again it returns %lld, %s", (long long)result,
                  result < 0 ? yoke_explain() : "");
    }
    watched(scenario->after);
    if (scenario->flags & FORKED)
        _exit(0);
}

static void clear_what_could_not_be(void)
{
    struct yk_gc_item *items = NULL;
    if (yk_gc(false, &items) >= 0)
        free(items);
}

/*
 * What one who lacks a descriptor or memory at its end leaves there is a dead object's name: whoever uses
 * yoke next in the same directory clears it.
 */
static int next_user(const struct task *task)
{
    yoke_region *none;
    (void)task;
    if (yoke_region_open(&none, "none", 0) != -ENOENT)
        wrong("the next user can not use the directory: %s", yoke_explain());
    char *world = describe(), *file = strstr(world, "file "), *segment = strstr(world, "segment ");
    if (file || segment)
        wrong("the next user leaves %s", file ? file : segment);
    free(world);
    return 0;
}

/* Descriptors, mappings and watches are gone; files may be left to the next user. */
static int expect_end(const char *nothing, const struct calls *calls)
{
    char *is = describe();
    const char *left = strcmp(is, nothing) == 0 ? NULL : differences(nothing, is);
    bool own =
        left && (strstr(left, "descriptor") || strstr(left, "mapping") || strstr(left, "inotify"));
    if (left && (own || calls->failed == 0))
        wrong("in the end there is left: %s", left);
    free(is);
    return left && !own && calls->failed > 0 ? FOR_NEXT_USER : 0;
}

static int run_in_child(const struct task *task)
{
    const struct scenario *scenario = scenario_at(task->scene);
    struct calls *calls = &shared->calls[lane];
    memset(calls, 0, sizeof *calls);
    alarm(HANG_S);
    char *nothing = describe();
    watched(scenario->before);
    char *world = describe();
    call_twice(scenario, task, world);
    if (scenario->flags & FORKED)
        watched(scenarios_close);
    if (calls->flags & CALL_CLEARS)
        watched(clear_what_could_not_be);
    int status = expect_end(nothing, calls);
    if (calls_blocks() != 0)
        wrong("in the end %u blocks of memory are left", calls_blocks());
    free(nothing);
    free(world);
    return status;
}

static void clear_directory(const char *path)
{
    DIR *stream = opendir(path);
    for (struct dirent *entry; stream && (entry = readdir(stream));) {
        char inner[700];
        snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name);
        if (strncmp(entry->d_name, ".intents-", 9) == 0)
            clear_directory(inner);
        else if (entry->d_name[0] != '.' || entry->d_name[1] != '\0')
            unlink(inner);
    }
    if (stream)
        closedir(stream);
    rmdir(path);
}

/* All that there is in this IPC namespace, if it is our own. */
static void clear_segments(void)
{
    struct shm_info info;
    struct shmid_ds facts;
    int last = own_namespace("ipc") ? shmctl(0, SHM_INFO, (struct shmid_ds *)(void *)&info) : -1;
    for (int index = 0; index <= last; index++) {
        int id = shmctl(index, SHM_STAT, &facts);
        if (id >= 0)
            shmctl(id, IPC_RMID, NULL);
    }
}

static void prepare_directory(bool fresh, bool rubbish)
{
    const char *path = getenv("YOKE_DIR");
    if (fresh || rubbish)
        clear_directory(path);
    if (rubbish)
        clear_segments();
    if (!fresh)
        mkdir(path, 0700);
}

/* Its exit status. */
static int in_a_process(int (*what)(const struct task *task), const struct task *task)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        int result = what(task);
        fflush(NULL);
        _exit(result);
    }
    int status = 0;
    while (waitpid(pid, &status, 0) == -1 && errno == EINTR)
        ;
    if (!WIFSIGNALED(status))
        return WEXITSTATUS(status);
    wrong("it %s", WTERMSIG(status) == SIGALRM ? "hangs" : strsignal(WTERMSIG(status)));
    return 0;
}

static void run(const struct task *task)
{
    running = task;
    prepare_directory(scenario_at(task->scene)->flags & FRESH, shared->found[lane]);
    shared->found[lane] = false;
    int status = in_a_process(run_in_child, task);
    if (status == FOR_NEXT_USER)
        status = in_a_process(next_user, task);
    if (status != 0)
        wrong("it exits with status %d", status);
    __atomic_add_fetch(&shared->runs, 1, __ATOMIC_SEQ_CST);
}

/* ---- which runs there are ------------------------------------------------------------------------------ */

static struct task *tasks;
static uint32_t task_count, task_room;

static void add_task(uint32_t scene, struct fault fault)
{
    if (task_count == task_room) {
        task_room = task_room ? 2 * task_room : 4096;
        tasks = realloc(tasks, task_room * sizeof *tasks);
        if (!tasks)
            give_up("memory");
    }
    tasks[task_count++] = (struct task){.scene = scene, .count = 1, .faults = {fault}};
}

static bool is_wanted(uint32_t scene)
{
    return !options.scenario || strcmp(options.scenario, scenario_at(scene)->name) == 0;
}

static void plan_scene(uint32_t scene)
{
    static const int lasting[] = {EMFILE, ENFILE, ENOMEM, ENOSPC};
    const struct calls *calls = &shared->references[scene].calls;
    uint32_t count = calls->count < CALLS_MOST ? calls->count : CALLS_MOST;
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t choice = 0; choice < call_errors(calls->kinds[i]); choice++)
            add_task(scene, (struct fault){i + 1, choice, 0});
        for (uint32_t k = 0; k < sizeof lasting / sizeof lasting[0]; k++) {
            if (call_can(calls->kinds[i], lasting[k]))
                add_task(scene, (struct fault){i + 1, 0, lasting[k]});
        }
    }
}

static void take_references(void)
{
    for (uint32_t scene = 0; scene < scenarios_in_all(); scene++) {
        struct task task = {.scene = scene};
        if (!is_wanted(scene))
            continue;
        run(&task);
        shared->references[scene].calls = shared->calls[lane];
        if (getenv("YOKE_VERBOSE"))
            fprintf(stderr, "# %.2f s: %s: %lld, %u calls\n", seconds_now() - started,
                    scenario_at(scene)->name, (long long)shared->references[scene].result,
                    shared->calls[lane].count);
    }
}

static struct task pair_task(uint64_t number)
{
    uint64_t random = options.seed * 1000003 + number;
    struct task task = {.count = 2};
    do
        task.scene = (uint32_t)(random_next(&random) % scenarios_in_all());
    while (!is_wanted(task.scene) || shared->references[task.scene].calls.count == 0);
    uint32_t calls = shared->references[task.scene].calls.count;
    for (int i = 0; i < 2; i++) {
        uint32_t from = i ? task.faults[0].at : 0,
                 room = calls - from + 8; /* more may come of the first */
        task.faults[i].at = from + 1 + (uint32_t)(random_next(&random) % (i ? room : calls));
        task.faults[i].choice = (uint32_t)(random_next(&random) >> 40);
    }
    return task;
}

static bool next_task(struct task *ret)
{
    static struct shuffle shuffle;
    if (shuffle.total == 0)
        shuffle = shuffle_make(task_count, options.seed);
    uint64_t number = __atomic_fetch_add(&shared->next, 1, __ATOMIC_SEQ_CST),
             turn = number - number / PAIR_EVERY;
    if (number % PAIR_EVERY != PAIR_EVERY - 1 && turn < task_count) {
        *ret = tasks[shuffle_at(&shuffle, turn)];
        __atomic_add_fetch(ret->faults[0].error ? &shared->lasting : &shared->singles, 1,
                           __ATOMIC_SEQ_CST);
        return true;
    }
    if (turn >= task_count && !options.thorough)
        return false;
    *ret = pair_task(number);
    __atomic_add_fetch(&shared->pairs, 1, __ATOMIC_SEQ_CST);
    return true;
}

/* ---- lanes ---------------------------------------------------------------------------------------------- */

/* A directory, and where it can be had an IPC namespace, of its own. False: segments are in common. */
static bool enter_lane(uint32_t number)
{
    char path[400];
    lane = number;
    const char *parent = access("/dev/shm", W_OK) == 0 ? "/dev/shm"
                         : getenv("TMPDIR")            ? getenv("TMPDIR")
                                                       : "/tmp";
    snprintf(base, sizeof base, "%s/faults-XXXXXX", parent);
    if (!mkdtemp(base))
        give_up(base);
    snprintf(path, sizeof path, "%s/names", base);
    setenv("YOKE_DIR", path, 1);
    if (unshare(CLONE_NEWIPC) != 0)
        return false;
    setenv("YOKE_TEST_NAMESPACES", "ipc", 1);
    return true;
}

static void leave_lane(void)
{
    prepare_directory(true, true);
    rmdir(base);
}

static void run_lane(uint32_t number)
{
    struct task task;
    enter_lane(number);
    while (!time_is_over() && next_task(&task))
        run(&task);
    leave_lane();
}

static void run_lanes(void)
{
    pid_t lanes[LANES_MOST];
    for (uint32_t i = 0; i < options.lanes; i++) {
        fflush(NULL);
        lanes[i] = fork();
        if (lanes[i] == 0) {
            run_lane(i + 1);
            fflush(NULL);
            _exit(0);
        }
    }
    for (uint32_t i = 0; i < options.lanes; i++) {
        int status = 0;
        while (waitpid(lanes[i], &status, 0) == -1 && errno == EINTR)
            ;
        if (status != 0) {
            fprintf(stderr, "# lane %u ended with status %#x\n", i, status);
            shared->findings++;
        }
    }
}

static void report(void)
{
    uint64_t calls = 0;
    for (uint32_t i = 0; i < scenarios_in_all(); i++)
        calls += shared->references[i].calls.count;
    printf(
        "# seed %llu: %llu calls in %u scenarios; of %u faults %llu single ones and %llu that last, and %llu "
        "pairs, in %.0f s: %llu times the call failed and was tried again, %llu times it went on, %llu times it "
        "never came there\n",
        (unsigned long long)options.seed, (unsigned long long)calls, scenarios_in_all(), task_count,
        (unsigned long long)shared->singles, (unsigned long long)shared->lasting,
        (unsigned long long)shared->pairs, seconds_now() - started,
        (unsigned long long)shared->failed, (unsigned long long)shared->went_on,
        (unsigned long long)shared->unreached);
}

static void run_one(void)
{
    struct task task = {.count = options.fault_count};
    memcpy(task.faults, options.faults, sizeof task.faults);
    for (uint32_t scene = 0; scene < scenarios_in_all(); scene++) {
        task.scene = scene;
        if (is_wanted(scene))
            run(&task);
    }
}

static bool find_scenario(void)
{
    for (uint32_t scene = 0; scene < scenarios_in_all(); scene++) {
        if (is_wanted(scene))
            return true;
    }
    return false;
}

static void every_call_may_fail(void **state)
{
    (void)state;
    if (options.scenario && !find_scenario())
        fail_msg("there is no scenario \"%s\"", options.scenario);
    if (!enter_lane(0))
        options.lanes = 1; /* others' segments would be in sight */
    take_references();
    if (options.fault_count > 0) {
        run_one();
    } else if (shared->findings == 0) {
        for (uint32_t scene = 0; scene < scenarios_in_all(); scene++)
            plan_scene(scene);
        shared->failed = shared->went_on = shared->unreached = 0;
        run_lanes();
        report();
    }
    leave_lane();
    assert_int_equal(shared->findings, 0);
}

/* What the library asks for, and what of it we stand in for: all that can fail. */
static void no_call_is_overlooked(void **state)
{
    static const char *const harmless[] = {
        "_GLOBAL_OFFSET_TABLE_", "clock_gettime", "closedir", "epoll_ctl", "geteuid", "getpid",
        "getuid", "getrlimit64", "inotify_rm_watch", "mq_getattr", "ioctl", "sigtimedwait",
        "pthread_atfork", "pthread_mutex_destroy", "pthread_mutex_init", "pthread_mutex_lock",
        "pthread_mutex_unlock", "pthread_once", "pthread_self", "pthread_setcancelstate",
        "pthread_sigmask", "secure_getenv", "sysconf", "timerfd_settime", "sscanf", "snprintf",
        "vsnprintf", "qsort", "sigaddset", "sigismember", "sigpending", "sigemptyset", "memchr",
        "memrchr",
        /* of modules, which tests/nats/module.py has fail */
        "dlopen", "dlsym", "dlerror", "dlclose", "memcmp", "memcpy", "memset", "memmove",
        "strerrordesc_np"};
    char command[600], symbol[200];
    uint32_t seen = 0, overlooked = 0;
    (void)state;
    if (!getenv("YOKE_BUILD_DIR"))
        skip_test("YOKE_BUILD_DIR does not say where libyoke.a is");
    snprintf(command, sizeof command, "nm -u '%s/src/libyoke.a' 2> /dev/null",
             getenv("YOKE_BUILD_DIR"));
    FILE *in = popen(command, "re");
    while (in && fscanf(in, " %199s", symbol) == 1) {
        bool known = symbol[1] == '\0' || strchr(symbol, ':') || strncmp(symbol, "yk_", 3) == 0 ||
                     strncmp(symbol, "yoke_", 5) == 0 || calls_wrap(symbol) ||
                     (symbol[0] == '_' && !strstr(symbol, "open")) ||
                     strncmp(symbol, "str", 3) == 0;
        for (size_t i = 0; i < sizeof harmless / sizeof harmless[0] && !known; i++)
            known = strcmp(symbol, harmless[i]) == 0;
        if (!known)
            print_error("%s can fail, and is not made to (fault_calls.c)\n", symbol);
        seen += calls_wrap(symbol);
        overlooked += !known;
    }
    pclose(in);
    assert_int_equal(overlooked, 0);
    if (seen == 0)
        skip_test("no nm, or no libyoke.a");
}

/* ---- options --------------------------------------------------------------------------------------------- */

static bool parse_fault(const char *text)
{
    char last = '\0';
    unsigned at, number;
    if (options.fault_count == 2 || sscanf(text, "%u.%u%c", &at, &number, &last) < 2)
        return false;
    options.faults[options.fault_count++] =
        (struct fault){at, last == '!' ? 0 : number, last == '!' ? (int)number : 0};
    return true;
}

static bool parse_one(const char *option, const char *value)
{
    if (strcmp(option, "--scenario") == 0)
        options.scenario = value;
    else if (strcmp(option, "--seed") == 0)
        options.seed = strtoull(value, NULL, 0);
    else if (strcmp(option, "--seconds") == 0)
        options.seconds = atof(value);
    else if (strcmp(option, "--lanes") == 0)
        options.lanes = (uint32_t)atoi(value);
    else if (strcmp(option, "--fault") == 0)
        return parse_fault(value);
    else
        return false;
    return options.lanes >= 1 && options.lanes <= LANES_MOST;
}

static bool parse_options(int argc, char **argv)
{
    options.seed = test_seed();
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--long") == 0)
            options.thorough = true;
        else if (strcmp(argv[i], "--trace") == 0)
            calls_trace = true;
        else if (i + 1 == argc || !parse_one(argv[i], argv[i + 1]))
            return false;
        else
            i++;
    }
    return true;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_call_is_overlooked),
        cmocka_unit_test(every_call_may_fail),
    };
    if (!parse_options(argc, argv)) {
        fprintf(stderr,
                "usage: faults [--long] [--seed N] [--seconds N] [--lanes N] [--scenario NAME] "
                "[--fault AT.CHOICE|AT.ERROR!]... [--trace]\n");
        return 2;
    }
    started = seconds_now();
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED || scenarios_in_all() > SCENES_MOST)
        give_up("shared memory");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
