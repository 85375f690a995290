/*
 * bytes_sweep - kills, or stops, who writes or reads a stream after every single instruction.
 *
 * The operations are those of the optimised objects that ship, stepped through one instruction at a time
 * (stepper.h); wherever the shared memory or the ledger has changed, the questions of bytes_model.h are put to a
 * copy.
 *
 *   single  one operation, from each start state
 *   pair    it stops after each instruction that changed something; there another one is stepped through its own
 *           operation, and the questions are put after each of its instructions
 *   resume  it stops at each *instruction*; another one runs whole operations meanwhile; it goes on to its end
 *
 * usage: bytes_sweep [--mode single|pair|resume] [--by trap|ptrace] [--share F] [--seed N] [--seconds N] [--go-on]
 */
#include "bytes_model.h"
#include "stepper.h"
#include "tried.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum mode { SINGLE, PAIR, RESUME };
static const char *const mode_names[] = {"single", "pair", "resume"};

static struct {
    enum mode mode;
    bool go_on;
    enum stepper_kind kind;
    double share, seconds;
    uint64_t seed;
} limits = {.share = 1, .seconds = 1e9, .seed = 1};

/* What all see: the image, the world, the task of who is stepped. */
struct kept {
    struct bytes_image image;
    struct bytes_world world;
    struct bytes_task task, second;
};
static struct kept *shared;

static struct stepper stepper, second;
static long steps, places, checked, scenes;
static int failures;
static double started;

struct scene {
    int start;
    bool wrap;
    uint32_t operation, other; /* other: what is done meanwhile */
};

static bool fault(const struct scene *scene, long at)
{
    failures++;
    printf("FAULT start %s%s, %s@%ld%s%s: %s\n", bytes_start_name(scene->start),
           scene->wrap ? ", wraps" : "", bytes_operation_names[scene->operation], at,
           scene->other ? ", meanwhile " : "",
           scene->other ? bytes_operation_names[scene->other] : "", why);
    return limits.go_on && failures < 20;
}

static void begin(const struct scene *scene)
{
    bytes_open(scene->wrap, &shared->image, &shared->world);
    bytes_start_build(scene->start);
    shared->task = (struct bytes_task){.operation = scene->operation, .process = 1};
    stepper_begin(&stepper);
}

static bool sweep_single(const struct scene *scene)
{
    static struct kept last;
    begin(scene);
    for (long at = 0;; at++) {
        bool done = shared->task.done;
        places++;
        if (at == 0 || done || memcmp(&last, shared, sizeof last) != 0) {
            memcpy(&last, shared, sizeof last);
            checked++;
            if (!bytes_all_is_well() && !fault(scene, at))
                return false;
        }
        if (done)
            return true;
        stepper_step(&stepper);
        steps++;
    }
}

/* Another process's operations, whole; twice. */
static void do_other(const struct scene *scene)
{
    for (int i = 0; i < 2; i++) {
        struct bytes_task task = {.operation = scene->other, .process = 2};
        bytes_run(&task);
    }
}

/* The first stands: the other one goes through its own. */
static bool step_second(const struct scene *scene, long at)
{
    static struct kept last;
    shared->second = (struct bytes_task){.operation = scene->other, .process = 2};
    stepper_begin(&second);
    for (long number = 0;; number++) {
        bool done = shared->second.done;
        places++;
        if (number == 0 || done || memcmp(&last, shared, sizeof last) != 0) {
            memcpy(&last, shared, sizeof last);
            checked++;
            if (!bytes_all_is_well() && !fault(scene, at))
                return false;
        }
        if (done)
            return true;
        stepper_step(&second);
        steps++;
    }
}

static bool sweep_pair(const struct scene *scene)
{
    static struct kept last;
    bool go_on = true;
    begin(scene);
    for (long at = 0; go_on; at++) {
        bool done = shared->task.done;
        if (at == 0 || done || memcmp(&last, shared, sizeof last) != 0) {
            memcpy(&last, shared, sizeof last);
            go_on = step_second(scene, at);
            memcpy(shared, &last, sizeof last);
        }
        if (done)
            break;
        stepper_step(&stepper);
        steps++;
    }
    return go_on;
}

static bool sweep_resume(const struct scene *scene)
{
    static struct kept kept;
    bool go_on = true;
    begin(scene);
    for (long at = 0; go_on; at++) {
        bool done = shared->task.done;
        memcpy(&kept, shared, sizeof kept);
        stepper_keep(&stepper);
        do_other(scene);
        if (!done)
            stepper_run_on(&stepper);
        places++;
        checked++;
        if (!bytes_all_is_well())
            go_on = fault(scene, at);
        memcpy(shared, &kept, sizeof kept);
        stepper_put_back(&stepper);
        if (done)
            break;
        stepper_step(&stepper);
        steps++;
    }
    return go_on;
}

#define OTHERS (limits.mode != SINGLE ? (uint64_t)BYTES_OPERATIONS - 1 : 1)

static bool sweep_index(uint64_t index)
{
    struct scene scene = {.wrap = index & 1};
    index /= 2;
    scene.start = (int)(index % (uint64_t)bytes_start_count);
    index /= (uint64_t)bytes_start_count;
    scene.other = limits.mode != SINGLE ? 1 + (uint32_t)(index % OTHERS) : OP_NONE;
    scene.operation = 1 + (uint32_t)(index / OTHERS);
    scenes++;
    return (limits.mode == RESUME ? sweep_resume(&scene)
            : limits.mode == PAIR ? sweep_pair(&scene)
                                  : sweep_single(&scene)) &&
           seconds_now() - started < limits.seconds;
}

static bool sweep_all(void)
{
    uint64_t total = 2 * (uint64_t)bytes_start_count * (BYTES_OPERATIONS - 1) * OTHERS;
    struct shuffle shuffle = shuffle_make(total, limits.seed);
    for (uint64_t i = 0; (double)i < (double)total * limits.share; i++)
        if (!sweep_index(shuffle_at(&shuffle, i)))
            return false;
    return true;
}

static void run_task(void *task)
{
    bytes_run(task);
}

static void read_arguments(int count, char **arguments)
{
    static const struct option options[] = {{"mode", 1, NULL, 'm'},    {"by", 1, NULL, 'b'},
                                            {"share", 1, NULL, 'f'},   {"seed", 1, NULL, 'r'},
                                            {"seconds", 1, NULL, 's'}, {"go-on", 0, NULL, 'g'},
                                            {NULL, 0, NULL, 0}};
    int option;
    while ((option = getopt_long(count, arguments, "", options, NULL)) != -1)
        switch (option) {
        case 'm':
            limits.mode = strcmp(optarg, "pair") == 0     ? PAIR
                          : strcmp(optarg, "resume") == 0 ? RESUME
                                                          : SINGLE;
            break;
        case 'b':
            limits.kind = strcmp(optarg, "ptrace") == 0 ? BY_PTRACE : BY_TRAP;
            break;
        case 'f':
            limits.share = atof(optarg);
            break;
        case 'r':
            limits.seed = strtoull(optarg, NULL, 0);
            break;
        case 's':
            limits.seconds = atof(optarg);
            break;
        case 'g':
            limits.go_on = true;
            break;
        default:
            exit(2);
        }
}

int main(int count, char **arguments)
{
    read_arguments(count, arguments);
    if (limits.mode == RESUME && limits.kind == BY_PTRACE) {
        printf("what is stepped by ptrace can not be put back\n");
        return 2;
    }
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) {
        printf("no memory\n");
        return 1;
    }
    started = seconds_now();
    bytes_open(false, &shared->image, &shared->world);
    const char *refused = stepper_open(
        &stepper, limits.kind, (struct stepped){run_task, &shared->task, &shared->task.done});
    if (refused == NULL)
        refused = stepper_open(&second, limits.kind,
                               (struct stepped){run_task, &shared->second, &shared->second.done});
    if (refused != NULL) {
        printf("%s\n", refused);
        return 77;
    }
    bool all = sweep_all();
    stepper_close(&stepper);
    stepper_close(&second);
    printf(
        "bytes_sweep %s: %ld places, %ld checked, %ld instructions, seed %llu, %.1f s%s: %d faults\n",
        mode_names[limits.mode], places, checked, steps, (unsigned long long)limits.seed,
        seconds_now() - started, all || failures > 0 ? "" : " (out of time)", failures);
    tried(&(struct tried){.program = "crash-bytes_sweep",
                          .scenes = (uint64_t)scenes,
                          .places = (uint64_t)places,
                          .pairs = limits.mode == PAIR ? (uint64_t)places : 0,
                          .stopped = limits.mode == RESUME ? (uint64_t)places : 0,
                          .killed = limits.mode == RESUME ? 0 : (uint64_t)places});
    return failures > 0;
}
