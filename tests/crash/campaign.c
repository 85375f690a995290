/* campaign.c - see campaign.h. */
#include "campaign.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support.h"
#include "tried.h"

#define SHOWN_MOST 12
#define LANES_MOST 32

struct campaign_options options = {.mode = -1, .then = -1, .lanes = 2, .seconds = 1e9};
struct totals *totals;
char directory[256];
const char *const mode_names[MODES] = {"kill", "stop", "pair"};

static const struct campaign *running;
static int64_t started_ns;
static const char *program;

bool time_is_over(void)
{
    return totals->places > 0 && (double)(monotonic_ns() - started_ns) * 1e-9 > options.seconds;
}

void wrong(const char *format, ...)
{
    char text[1000];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (__atomic_add_fetch(&totals->failures, 1, __ATOMIC_SEQ_CST) <= SHOWN_MOST)
        fprintf(stderr, "# wrong: %s\n#   %s\n", text, running->where());
}

/* ---- lanes ------------------------------------------------------------------------------------------- */

static void run_tasks(void)
{
    uint32_t modes = running->modes, tasks = modes * running->scenes, turn;
    while ((turn = __atomic_fetch_add(&totals->next, 1, __ATOMIC_SEQ_CST)) < tasks && !time_is_over()) {
        uint32_t task = (uint32_t)((turn + options.seed * 37) % tasks); /* when time is short, not always the same ones */
        uint32_t scene = task / modes;
        enum mode mode = (enum mode)(task % modes);
        uint64_t random = options.seed * 1000003 + task;
        const char *name = running->name(scene);
        if ((options.scene && strcmp(options.scene, name) != 0) || (options.mode >= 0 && options.mode != (int)mode) ||
            (options.family && strcmp(options.family, running->family(scene)) != 0))
            continue;
        uint64_t before = totals->places;
        running->run(scene, mode, &random);
        __atomic_add_fetch(&totals->scenes, mode == KILL && totals->places > before, __ATOMIC_SEQ_CST);
        if (getenv("YOKE_VERBOSE"))
            fprintf(stderr, "# %s, %s: %llu places so far\n", name, mode_names[mode], (unsigned long long)totals->places);
    }
}

static void run_lane(void)
{
    char path[300];
    const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";
    snprintf(directory, sizeof directory, "%s/crash-XXXXXX", base);
    if (!mkdtemp(directory)) {
        perror(directory);
        _exit(99);
    }
    setenv("YOKE_DIR", directory, 1);
    if (unshare(CLONE_NEWIPC) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWIPC) == 0)
        leftovers_open(); /* else segments are told only by who made them, and queues not at all */
    actors_open();
    run_tasks();
    actors_kill_all();
    leftovers_clear(directory);
    snprintf(path, sizeof path, "%s/.lock-%u", directory, geteuid());
    unlink(path);
    snprintf(path, sizeof path, "%s/.intents-%u", directory, geteuid());
    rmdir(path);
    rmdir(directory);
    leftovers_close();
}

static void report(void)
{
    struct rusage usage;
    getrusage(RUSAGE_CHILDREN, &usage);
    long long cpu_ms = (long long)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000 +
                       (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000;
    printf("# seed %llu: %llu places to be killed or stopped at", (unsigned long long)options.seed,
           (unsigned long long)totals->places);
    if (totals->states)
        printf(", %llu half-done states recovered from", (unsigned long long)totals->states);
    if (totals->busy)
        printf(", %llu times -EBUSY", (unsigned long long)totals->busy);
    printf("; %llu instructions surveyed, slowest call %lld ms, %lld ms of CPU, %lld ms in all\n",
           (unsigned long long)totals->instructions, (long long)totals->slowest_ns / 1000000, cpu_ms,
           (long long)(monotonic_ns() - started_ns) / 1000000);
    tried(&(struct tried){.program = program,
                          .scenes = totals->scenes,
                          .places = totals->places,
                          .pairs = totals->pairs,
                          .stopped = totals->stopped,
                          .sigstop = totals->frozen,
                          .killed = totals->killed,
                          .sigkill = totals->killed + totals->pairs});
}

static void run_lanes(void)
{
    pid_t lanes[LANES_MOST];
    for (uint32_t i = 0; i < options.lanes; i++) {
        fflush(NULL);
        lanes[i] = fork();
        if (lanes[i] == 0) {
            run_lane();
            fflush(NULL);
            _exit(0);
        }
    }
    for (uint32_t i = 0; i < options.lanes; i++) {
        int status = 0;
        while (waitpid(lanes[i], &status, 0) == -1 && errno == EINTR) {
        }
        if (status != 0) {
            fprintf(stderr, "# lane %u ended with status 0x%x\n", i, (unsigned)status);
            totals->failures++;
        }
    }
}

static void the_promise_holds(void **state)
{
    (void)state;
    run_lanes();
    report();
    assert_int_equal(totals->failures, 0);
    assert_true(totals->places > 0);
}

/* ---- options ----------------------------------------------------------------------------------------- */

static bool parse_place(const char *text, struct place *ret)
{
    return sscanf(text, "%u.%u", &ret->stops, &ret->steps) == 2;
}

static bool parse_mode(const char *text)
{
    for (options.mode = 0; options.mode < (int)running->modes; options.mode++) {
        if (strcmp(mode_names[options.mode], text) == 0)
            return true;
    }
    return false;
}

static bool parse_one(const char *option, const char *value)
{
    if (strcmp(option, "--scene") == 0)
        options.scene = value;
    else if (strcmp(option, "--family") == 0)
        options.family = value;
    else if (strcmp(option, "--mode") == 0)
        return parse_mode(value);
    else if (strcmp(option, "--place") == 0)
        return options.one_place = parse_place(value, &options.place);
    else if (strcmp(option, "--second") == 0)
        return parse_place(value, &options.second);
    else if (strcmp(option, "--broken") == 0)
        return options.one_broken = parse_place(value, &options.broken);
    else if (strcmp(option, "--then") == 0)
        options.then = atoi(value);
    else if (strcmp(option, "--lanes") == 0)
        options.lanes = (uint32_t)atoi(value);
    else if (strcmp(option, "--seed") == 0)
        options.seed = strtoull(value, NULL, 0);
    else if (strcmp(option, "--seconds") == 0)
        options.seconds = atof(value);
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
        else if (i + 1 == argc || !parse_one(argv[i], argv[i + 1]))
            return false;
        else
            i++;
    }
    return true;
}

int campaign_main(int argc, char **argv, const struct campaign *campaign, const char *promise)
{
    running = campaign;
    program = strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1 : argv[0];
    if (!parse_options(argc, argv)) {
        fprintf(stderr, "usage: %s\n", campaign->usage);
        return 2;
    }
    actors_open();
    const char *fails = tracing_fails();
    if (fails) {
        printf("%s\n", fails);
        return 77;
    }
    totals = mmap(NULL, sizeof *totals, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (totals == MAP_FAILED) {
        perror("mmap");
        return 99;
    }
    started_ns = monotonic_ns();
    const struct CMUnitTest tests[] = {
        {promise, the_promise_holds, NULL, NULL, NULL},
        {campaign->complete_name, campaign->complete, NULL, NULL, NULL},
    };
    return _cmocka_run_group_tests("tests", tests, campaign->complete ? 2 : 1, NULL, NULL);
}
