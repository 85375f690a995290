/*
 * bytes_schedules - every interleaving of those who use a stream's ring at their shared accesses (walk.h), and of
 * who comes after one that died anywhere.
 *
 *   two processes    any two of reader and writer, each with a script of one or two operations
 *   three processes  two such, the first of which may die; then the third recovers it, and goes on. Or three at once
 *
 * In every state everybody may be dead, or stopped for ever: each distinct state is put to the questions of
 * bytes_model.h.
 *
 * usage: bytes_schedules [--processes 2|3] [--length 1|2] [--share F] [--seconds N] [--seed N] [--start NAME] [--go-on]
 */
#include "bytes_model.h"
#include "tried.h"
#include "walk.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LENGTH_MAX 2

static struct {
    int processes, length;
    double seconds, share;
    uint64_t seed;
    const char *start;
    bool go_on;
} limits = {.processes = 2, .length = 1, .seconds = 1e9, .share = 1, .seed = 1};

static struct bytes_task tasks[WALK_PROCESSES_MAX][LENGTH_MAX];
static bool comes_after; /* the third one: only once the first is gone */
static long combinations;
static int failures;
static double started;

static void run_operation(int process, int operation)
{
    bytes_run(&tasks[process][operation]);
}

static bool may_step(int process)
{
    return !(comes_after && process == 2) || walk_processes[0].dead || walk_processes[0].finished;
}

static bool may_die(int process)
{
    return comes_after && process == 0;
}

static void died(int process)
{
    bytes_died(tasks[process][0].process);
}

static void print_step(int process, bool begins, const unsigned char *before)
{
    const struct bytes_image *was = (const struct bytes_image *)(const void *)before;
    if (begins)
        printf("    %d begins %s\n", process,
               bytes_operation_names[tasks[process][walk_processes[process].current].operation]);
    else if (memcmp(was, bytes_image, sizeof *was) == 0)
        printf("    %d looks\n", process);
    else
        printf("    %d: written %d, read %d, inside %llx %llx, there %llx, came %d\n", process,
               (int)(bytes_image->ring.written.raw - bytes_base),
               (int)(bytes_image->ring.read.raw - bytes_base),
               (unsigned long long)bytes_image->ring.sides[1].inside.raw,
               (unsigned long long)bytes_image->ring.sides[0].inside.raw,
               (unsigned long long)bytes_image->ends[1].present[0].raw,
               (int)bytes_image->ends[1].came.raw);
}

static void prepare(int start, bool wrap, const uint32_t operations[][LENGTH_MAX])
{
    static struct walk_rules rules;
    static struct bytes_image image;
    static struct bytes_world world;
    int lengths[WALK_PROCESSES_MAX] = {0};
    bytes_open(wrap, &image, &world);
    bytes_start_build(start);
    memset((void *)tasks, 0, sizeof tasks);
    for (int i = 0; i < limits.processes; i++)
        for (int k = 0; k < LENGTH_MAX && operations[i][k] != OP_NONE; k++) {
            /* participant 0 is the one that dies: with two processes it may have, at the start */
            tasks[i][k] =
                (struct bytes_task){.operation = operations[i][k],
                                    .process = (uint32_t)(limits.processes == 2 ? i + 1 : i)};
            lengths[i] = k + 1;
        }
    rules = (struct walk_rules){
        .parts = {{&image, sizeof image}, {&world, sizeof world}, {tasks, sizeof tasks}},
        .run = run_operation,
        .may_step = may_step,
        .may_die = may_die,
        .died = died,
        .holds = bytes_holds_invariants,
        .survives = bytes_all_is_well,
        .print_step = print_step,
    };
    walk_begin(&rules, limits.processes, lengths);
}

static bool try_scene(int start, bool wrap, const uint32_t operations[][LENGTH_MAX])
{
    static const struct walk_limits walk = {.preemptions = -1, .states = 1000000};
    char name[300];
    prepare(start, wrap, operations);
    snprintf(name, sizeof name, "start %s%s", bytes_start_name(start), wrap ? ", wraps" : "");
    for (int i = 0; i < limits.processes; i++)
        for (int k = 0; k < walk_processes[i].length; k++)
            snprintf(name + strlen(name), sizeof name - strlen(name), "%s%s", k ? "+" : " | ",
                     bytes_operation_names[operations[i][k]]);
    combinations++;
    bool well = walk_all(&walk, name, failures < 3);
    failures += !well;
    return (well || limits.go_on) && failures < 20 && seconds_now() - started < limits.seconds;
}

#define ALIVE ((uint64_t)OP_RECOVER - 1) /* operations of whoever lives: 1 … */

static bool try_index(uint64_t index)
{
    uint64_t random = limits.seed ^ index << 20;
    uint32_t operations[WALK_PROCESSES_MAX][LENGTH_MAX] = {{0}};
    int start = (int)(index % (uint64_t)bytes_start_count);
    bool wrap = random_chance(&random, 0.3);
    index /= (uint64_t)bytes_start_count;
    if (limits.start != NULL && strcmp(limits.start, bytes_start_name(start)) != 0)
        return true;
    for (int i = 0; i < limits.processes; i++)
        for (int k = 0; k < limits.length; k++) {
            operations[i][k] = 1 + (uint32_t)(index % ALIVE);
            index /= ALIVE;
        }
    comes_after = limits.processes == 3 && random_chance(&random, 0.7);
    bool recovers = comes_after || (limits.processes == 2 && random_chance(&random, 0.3));
    if (recovers) { /* the last one, first of all */
        operations[limits.processes - 1][1] = operations[limits.processes - 1][0];
        operations[limits.processes - 1][0] = OP_RECOVER;
        if (!comes_after && random_chance(&random, 0.3)) /* both at once */
            operations[0][0] = OP_RECOVER;
    }
    return try_scene(start, wrap, (const uint32_t(*)[LENGTH_MAX])operations);
}

static bool try_all(void)
{
    uint64_t total = (uint64_t)bytes_start_count;
    for (int i = 0; i < limits.processes * limits.length; i++)
        total *= ALIVE;
    struct shuffle shuffle = shuffle_make(total, limits.seed);
    for (uint64_t i = 0; (double)i < (double)total * limits.share; i++)
        if (!try_index(shuffle_at(&shuffle, i)))
            return false;
    return true;
}

static void read_arguments(int count, char **arguments)
{
    static const struct option options[] = {{"processes", 1, NULL, 'p'}, {"length", 1, NULL, 'l'},
                                            {"seconds", 1, NULL, 's'},   {"seed", 1, NULL, 'r'},
                                            {"share", 1, NULL, 'f'},     {"start", 1, NULL, 'a'},
                                            {"go-on", 0, NULL, 'g'},     {NULL, 0, NULL, 0}};
    int option;
    while ((option = getopt_long(count, arguments, "", options, NULL)) != -1)
        switch (option) {
        case 'p':
            limits.processes = atoi(optarg);
            break;
        case 'l':
            limits.length = atoi(optarg);
            break;
        case 's':
            limits.seconds = atof(optarg);
            break;
        case 'r':
            limits.seed = strtoull(optarg, NULL, 0);
            break;
        case 'f':
            limits.share = atof(optarg);
            break;
        case 'a':
            limits.start = optarg;
            break;
        case 'g':
            limits.go_on = true;
            break;
        default:
            exit(2);
        }
    if (limits.processes < 2 || limits.processes > 3 || limits.length < 1 ||
        limits.length > LENGTH_MAX)
        exit(2);
}

int main(int count, char **arguments)
{
    read_arguments(count, arguments);
#ifdef NO_COROUTINES
    printf("no coroutines for this processor: write coroutine_switch() for it\n");
    return 77;
#endif
    started = seconds_now();
    bool all = try_all();
    printf(
        "bytes_schedules: %d processes, %d operations each, %ld combinations (%ld cut short), "
        "%ld states, %ld of them with everybody dead, %ld ends, seed %llu, %.1f s%s: %d faults\n",
        limits.processes, limits.length, combinations, walk_counts.cut, walk_counts.states,
        walk_counts.checked, walk_counts.ends, (unsigned long long)limits.seed,
        seconds_now() - started, all || failures > 0 ? "" : " (out of time)", failures);
    tried(&(struct tried){.program = "crash-bytes_schedules",
                          .scenes = (uint64_t)combinations,
                          .places = (uint64_t)walk_counts.checked,
                          .killed = (uint64_t)walk_counts.checked,
                          .schedules = (uint64_t)walk_counts.states});
    return failures > 0;
}
