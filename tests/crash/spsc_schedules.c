/*
 * spsc_schedules - every interleaving of the two sides of a link at their shared accesses (walk.h), and of those
 * who come after one that died.
 *
 *   two processes    a sender and a receiver, each with a script of one to three operations
 *   three processes  and a successor of one of them: it goes on, once that one is dead (anywhere) or has left
 *
 * In every state everybody may be dead, or stopped for ever: each distinct state is put to the questions of
 * spsc_model.h.
 *
 * usage: spsc_schedules [--processes 2|3] [--length 1|2|3] [--preemptions N] [--states N] [--share F] [--seconds N]
 *                       [--seed N] [--setup NAME] [--start NAME] [--go-on] [--verbose]
 */
#include "spsc_model.h"
#include "tried.h"
#include "walk.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LENGTH_MAX 3

struct script {
    uint32_t operations[LENGTH_MAX];
};

static const struct script sender_scripts[][16] = {
    {{{OP_SEND}},
     {{OP_SEND_TAGGED}},
     {{OP_SEND_BUFFERED}},
     {{OP_SEND_TWO}},
     {{OP_LOAN}},
     {{OP_COMMIT}},
     {{OP_COMMIT_LAST}},
     {{OP_CANCEL}},
     {{OP_RESUME_SENDER}}},
    {{{OP_SEND, OP_SEND}},
     {{OP_SEND_BUFFERED, OP_SEND}},
     {{OP_SEND_TWO, OP_SEND_TWO}},
     {{OP_LOAN, OP_COMMIT}},
     {{OP_COMMIT_LAST, OP_COMMIT}},
     {{OP_CANCEL, OP_SEND_BUFFERED}},
     {{OP_RESUME_SENDER, OP_SEND}},
     {{OP_RESUME_SENDER, OP_SEND_BUFFERED}}},
    {{{OP_SEND, OP_SEND, OP_SEND}},
     {{OP_SEND_BUFFERED, OP_SEND_BUFFERED, OP_SEND_BUFFERED}},
     {{OP_SEND_TWO, OP_SEND_TAGGED, OP_SEND_TWO}},
     {{OP_LOAN, OP_SEND_BUFFERED, OP_COMMIT}},
     {{OP_RESUME_SENDER, OP_SEND_BUFFERED, OP_SEND_BUFFERED}}},
};
static const struct script receiver_scripts[][16] = {
    {{{OP_TAKE}},
     {{OP_TAKE_TWO}},
     {{OP_RECV}},
     {{OP_TAKE_SMALL}},
     {{OP_RELEASE}},
     {{OP_RELEASE_LAST}},
     {{OP_RETURN}},
     {{OP_RETURN_LAST}},
     {{OP_RECOVER}},
     {{OP_RESUME_RECEIVER}}},
    {{{OP_RECV, OP_RECV}},
     {{OP_TAKE, OP_RELEASE}},
     {{OP_TAKE_TWO, OP_RELEASE_LAST}},
     {{OP_RELEASE_LAST, OP_RELEASE}},
     {{OP_RETURN, OP_RECV}},
     {{OP_RETURN_LAST, OP_TAKE}},
     {{OP_RECOVER, OP_RESUME_RECEIVER}},
     {{OP_RESUME_RECEIVER, OP_RECV}}},
    {{{OP_RECV, OP_RECV, OP_RECV}},
     {{OP_TAKE_TWO, OP_RELEASE_LAST, OP_RELEASE}},
     {{OP_TAKE, OP_RETURN, OP_RECV}},
     {{OP_RECOVER, OP_RESUME_RECEIVER, OP_TAKE_TWO}},
     {{OP_TAKE_TWO, OP_RETURN_LAST, OP_RECV}}},
};
/* Of a dead sender; of a dead receiver. */
static const struct script successor_scripts[][4] = {
    {{{OP_RESUME_SENDER, OP_SEND}}, {{OP_RESUME_SENDER, OP_SEND_BUFFERED}}},
    {{{OP_RECOVER, OP_RESUME_RECEIVER, OP_RECV}}, {{OP_RECOVER, OP_RESUME_RECEIVER, OP_TAKE}}},
};

static uint64_t count_scripts(const struct script *of, uint64_t most)
{
    uint64_t count = 0;
    while (count < most && of[count].operations[0] != OP_NONE)
        count++;
    return count;
}

/* ---- the processes: 0 sends, 1 receives, 2 comes after `ancestor` ---- */

static struct spsc_task tasks[WALK_PROCESSES_MAX][LENGTH_MAX];
static int ancestor;

static void run_operation(int process, int operation)
{
    spsc_run(&tasks[process][operation]);
}

static bool has_left(int process)
{
    return walk_processes[process].dead || walk_processes[process].finished;
}

/* Who comes after somebody takes the lock of its side first. */
static bool may_step(int process)
{
    return process < 2 || has_left(ancestor);
}

static bool may_die(int process)
{
    return walk_count == 3 && process == ancestor;
}

static void died(int process)
{
    if (process == 0)
        spsc_sender_died();
    else
        spsc_receiver_died();
}

/* One who has left by itself is no different to its successor. */
static void announce(int process)
{
    if (process == 2 && walk_processes[2].between && walk_processes[2].current == 0 &&
        !walk_processes[ancestor].dead)
        died(ancestor);
}

static void print_step(int process, bool begins, const unsigned char *before)
{
    static const char *const names[] = {"sender", "receiver", "successor"};
    if (begins)
        printf("    the %s begins %s\n", names[process],
               spsc_operation_names[tasks[process][walk_processes[process].current].operation]);
    if (memcmp(before, spsc_image, spsc_image_size) != 0) {
        printf("    the %s writes:\n", names[process]);
        spsc_print_difference(before, spsc_image);
    } else if (!begins) {
        printf("    the %s looks\n", names[process]);
    }
}

/* ---- the combinations ---- */

static struct {
    int processes, length;
    struct walk_limits walk;
    double seconds, share;
    uint64_t seed;
    const char *setup, *start;
    bool verbose, go_on;
} limits = {.processes = 2,
            .length = 1,
            .walk = {.preemptions = -1, .states = 1000000},
            .seconds = 1e9,
            .share = 1,
            .seed = 1};

static long combinations;
static int failures;
static double started;

struct scene {
    const struct spsc_setup *setup;
    int start;
    bool wrap;
    const struct script *scripts[WALK_PROCESSES_MAX];
};

static bool prepare(const struct scene *scene)
{
    static struct walk_rules rules;
    int lengths[WALK_PROCESSES_MAX] = {0};
    memset((void *)tasks, 0, sizeof tasks);
    for (int i = 0; i < limits.processes; i++)
        for (int k = 0; k < LENGTH_MAX && scene->scripts[i]->operations[k] != OP_NONE; k++) {
            tasks[i][k] = (struct spsc_task){.operation = scene->scripts[i]->operations[k],
                                             .process = i == 2,
                                             .id = 500 + 40 * (uint32_t)i + 4 * (uint32_t)k};
            lengths[i] = k + 1;
        }
    /* What comes before a script is the first operation's; of both sides, since it may be a death. */
    if (!spsc_prepare(&tasks[0][0]) || !spsc_prepare(&tasks[1][0]))
        return false;
    rules = (struct walk_rules){
        .parts = {{spsc_image, spsc_image_size},
                  {spsc_world, sizeof *spsc_world},
                  {tasks, sizeof tasks}},
        .run = run_operation,
        .may_step = may_step,
        .may_die = may_die,
        .announce = announce,
        .died = died,
        .holds = spsc_holds_invariants,
        .survives = spsc_all_is_well,
        .print_step = print_step,
    };
    walk_begin(&rules, limits.processes, lengths);
    return true;
}

static void name_scene(const struct scene *scene, char *name, size_t size)
{
    snprintf(name, size, "setup %s%s, start %s", scene->setup->name,
             scene->wrap ? ", stamps wrap" : "", spsc_start_name(scene->start));
    for (int i = 0; i < limits.processes; i++)
        for (int k = 0; k < walk_processes[i].length; k++)
            snprintf(name + strlen(name), size - strlen(name), "%s%s",
                     k > 0    ? "+"
                     : i == 0 ? ", "
                     : i == 2 ? (ancestor == 0 ? " | then sender " : " | then receiver ")
                              : " | ",
                     spsc_operation_names[tasks[i][k].operation]);
}

/* False when the whole run shall end. */
static bool try_scene(const struct scene *scene)
{
    static unsigned char memory[SPSC_IMAGE_MAX] __attribute__((aligned(128)));
    static struct spsc_world world;
    char name[300];
    spsc_open(scene->setup, scene->wrap, memory, &world);
    if (!spsc_start_build(scene->start) || !prepare(scene))
        return true;
    name_scene(scene, name, sizeof name);
    combinations++;
    long before = walk_counts.states;
    bool well = walk_all(&limits.walk, name, failures < 3);
    failures += !well;
    if (limits.verbose)
        printf("%s: %ld states\n", name, walk_counts.states - before);
    return (well || limits.go_on) && failures < 20 && seconds_now() - started < limits.seconds;
}

/* Number `index` of all combinations. Where the laps are, and who dies, is not enumerated: the seed decides. */
static bool try_index(uint64_t index)
{
    uint64_t random = limits.seed ^ index << 20;
    struct scene scene = {.wrap = random_chance(&random, 0.5)};
    const struct script *ours = sender_scripts[limits.length - 1],
                        *theirs = receiver_scripts[limits.length - 1];
    uint64_t senders = count_scripts(ours, 16), receivers = count_scripts(theirs, 16);
    ancestor = random_chance(&random, 0.5);
    scene.setup = &spsc_setups[index % (uint64_t)spsc_setup_count];
    index /= (uint64_t)spsc_setup_count;
    scene.start = (int)(index % (uint64_t)spsc_start_count);
    index /= (uint64_t)spsc_start_count;
    scene.scripts[0] = &ours[index % senders];
    scene.scripts[1] = &theirs[index / senders % receivers];
    scene.scripts[2] = &successor_scripts[ancestor][random_next(&random) % 2];
    if ((limits.setup != NULL && strcmp(limits.setup, scene.setup->name) != 0) ||
        (limits.start != NULL && strcmp(limits.start, spsc_start_name(scene.start)) != 0) ||
        scene.setup->geometry.max_message > 4096) /* it differs in its copying only */
        return true;
    return try_scene(&scene);
}

static bool try_all(void)
{
    uint64_t total = (uint64_t)spsc_setup_count * (uint64_t)spsc_start_count *
                     count_scripts(sender_scripts[limits.length - 1], 16) *
                     count_scripts(receiver_scripts[limits.length - 1], 16);
    struct shuffle shuffle = shuffle_make(total, limits.seed);
    for (uint64_t i = 0; (double)i < (double)total * limits.share; i++)
        if (!try_index(shuffle_at(&shuffle, i)))
            return false;
    return true;
}

static void read_arguments(int count, char **arguments)
{
    static const struct option options[] = {
        {"processes", 1, NULL, 'p'}, {"length", 1, NULL, 'l'},  {"preemptions", 1, NULL, 'b'},
        {"states", 1, NULL, 'n'},    {"seconds", 1, NULL, 's'}, {"seed", 1, NULL, 'r'},
        {"share", 1, NULL, 'f'},     {"setup", 1, NULL, 'u'},   {"start", 1, NULL, 'a'},
        {"verbose", 0, NULL, 'v'},   {"go-on", 0, NULL, 'g'},   {NULL, 0, NULL, 0}};
    int option;
    while ((option = getopt_long(count, arguments, "", options, NULL)) != -1)
        switch (option) {
        case 'p':
            limits.processes = atoi(optarg);
            break;
        case 'l':
            limits.length = atoi(optarg);
            break;
        case 'b':
            limits.walk.preemptions = atoi(optarg);
            break;
        case 'n':
            limits.walk.states = atol(optarg);
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
        case 'u':
            limits.setup = optarg;
            break;
        case 'a':
            limits.start = optarg;
            break;
        case 'v':
            limits.verbose = true;
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
        "spsc_schedules: %d processes, %d operations each, %ld combinations (%ld cut short), %ld states, "
        "%ld of them with everybody dead, %ld ends, seed %llu, %.1f s%s: %d faults\n",
        limits.processes, limits.length, combinations, walk_counts.cut, walk_counts.states,
        walk_counts.checked, walk_counts.ends, (unsigned long long)limits.seed,
        seconds_now() - started, all || failures > 0 ? "" : " (out of time)", failures);
    tried(&(struct tried){.program = "crash-spsc_schedules",
                          .scenes = (uint64_t)combinations,
                          .places = (uint64_t)walk_counts.checked,
                          .killed = (uint64_t)walk_counts.checked,
                          .schedules = (uint64_t)walk_counts.states});
    return failures > 0;
}
