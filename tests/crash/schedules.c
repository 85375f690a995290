/*
 * schedules - every interleaving of the real ring's code at its shared accesses (walk.h).
 *
 * In every state everybody may be dead, or stopped for ever: each distinct state is put to the questions of
 * model.h. Who recovers a participant takes its lock first, and may die with it.
 */
#include "model.h"
#include "tried.h"
#include "walk.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LENGTH_MAX 2

static struct result results[WALK_PROCESSES_MAX][LENGTH_MAX];

static struct result *current(int number)
{
    return &results[number][walk_processes[number].current];
}

static void run_operation(int number, int operation)
{
    operation_run(&results[number][operation]);
}

/* ---- what may happen next ---- */

static bool in_the_middle(int number, uint32_t operation)
{
    const struct walk_process *process = &walk_processes[number];
    return !process->finished && !process->between && current(number)->operation == operation;
}

static bool is_about_to(int number, uint32_t operation)
{
    const struct walk_process *process = &walk_processes[number];
    return !process->finished && !process->dead && process->between &&
           current(number)->operation == operation;
}

/* Recovering somebody takes its lock: nobody else living has it, and it is dead. */
static bool may_recover(uint32_t operation)
{
    for (int i = 0; i < walk_count; i++)
        if (!walk_processes[i].dead && in_the_middle(i, operation))
            return false;
    return operation == OP_RECOVER_DEAD || walk_processes[0].dead || walk_processes[0].finished;
}

static bool may_step(int number)
{
    for (uint32_t operation = OP_RECOVER_DEAD; operation <= OP_RECOVER_FIRST; operation++)
        if (is_about_to(number, operation))
            return may_recover(operation);
    return true;
}

/* Deaths that somebody waits for; the others need no step. */
static bool may_die(int number)
{
    for (int i = 0; i < walk_count; i++) {
        if (number == 0 && is_about_to(i, OP_RECOVER_FIRST))
            return true;
        for (uint32_t operation = OP_RECOVER_DEAD; operation <= OP_RECOVER_FIRST; operation++)
            if (is_about_to(i, operation) && in_the_middle(number, operation))
                return true;
    }
    return false;
}

/* ---- the walk ---- */

struct limits {
    int processes, length;
    int preemptions; /* -1: no limit */
    long states;     /* of one combination */
    double seconds;
    uint64_t seed;
    double share; /* of the combinations */
    const char *setup, *start;
    bool verbose, go_on;
};
static struct limits limits = {.processes = 2,
                               .length = 1,
                               .preemptions = -1,
                               .states = 1000000,
                               .seconds = 1e9,
                               .seed = 1,
                               .share = 1};

static struct expected expected_start;
static uint64_t uncertain; /* as in struct expected, part of the state */
static long combinations;
static int failures;
static double started;

/* The newest sequence number of each ring whose send is over, and one more. */
static void find_floor(uint64_t *floor)
{
    memcpy(floor, expected_start.floor, sizeof expected_start.floor);
    for (int i = 0; i < walk_count; i++)
        for (int k = 0; k <= walk_processes[i].current && k < walk_processes[i].length; k++) {
            const struct result *x = &results[i][k];
            for (uint32_t m = 0; m < x->sent; m++) {
                uint64_t *at = &floor[x->sequence[m] % ring.geometry.rings];
                if (x->sequence[m] >= *at)
                    *at = x->sequence[m] + 1;
            }
        }
}

/* Before process `number` goes on: what its neighbours must know of it. */
static void announce(int number)
{
    struct result *mine = current(number);
    if (walk_processes[number].between) {
        uint64_t floor[RINGS_MAX_HERE];
        find_floor(floor);
        operation_begin(mine, floor);
        if (mine->operation == OP_RECOVER_FIRST)
            uncertain |= uncertain_with(FIRST);
        if (mine->operation == OP_RECOVER_DEAD)
            uncertain |= uncertain_with(DEAD);
    }
    for (int i = 0; i < walk_count; i++) {
        if (i == number || walk_processes[i].finished || walk_processes[i].between)
            continue;
        struct result *theirs = current(i);
        if (operation_disturbs(mine->operation, theirs->operation))
            theirs->disturbed = 1;
        if (operation_disturbs(theirs->operation, mine->operation))
            mine->disturbed = 1;
    }
}

/* Everybody dies, or is stopped for ever, here. */
static bool survive_here(void)
{
    struct result all[WALK_PROCESSES_MAX * LENGTH_MAX];
    uint32_t count = 0;
    struct expected expected = expected_start;
    expected.uncertain = uncertain;
    for (int i = 0; i < walk_count; i++)
        for (int k = 0; k < walk_processes[i].length; k++)
            all[count++] = results[i][k];
    return all_is_well_if_all_stop(&expected, all, count);
}

static void print_step(int number, bool begins, const unsigned char *before)
{
    uint32_t who = results[number][0].who;
    if (begins)
        printf("    %u begins %s\n", who, operation_names[current(number)->operation]);
    if (memcmp(before, image, image_size) != 0) {
        printf("    %u writes:\n", who);
        print_difference(before, image);
    } else if (!begins) {
        printf("    %u looks\n", who);
    }
}

/* ---- the combinations ---- */

static const int8_t scripts_of_one[][LENGTH_MAX] = {
    {OP_SEND, -1},          {OP_SEND_TWO, -1},   {OP_RECV, -1},         {OP_RECV_TWO, -1},
    {OP_BORROW, -1},        {OP_RELEASE, -1},    {OP_RETURN, -1},       {OP_RECV_PARKED, -1},
    {OP_RETURN_PARKED, -1}, {OP_RECV_SMALL, -1}, {OP_RECOVER_DEAD, -1}, {OP_RECOVER_FIRST, -1},
};
static const int8_t scripts_of_two[][LENGTH_MAX] = {
    {OP_SEND, OP_SEND},          {OP_RECV, OP_RECV},          {OP_SEND, OP_RECV},
    {OP_RECV, OP_SEND},          {OP_BORROW, OP_SEND},        {OP_RELEASE, OP_SEND},
    {OP_RETURN, OP_RECV},        {OP_RELEASE, OP_RECV},       {OP_RETURN, OP_SEND},
    {OP_RECOVER_DEAD, OP_RECV},  {OP_RECOVER_FIRST, OP_RECV}, {OP_RECV_PARKED, OP_RECV},
    {OP_RETURN_PARKED, OP_RECV}, {OP_RETURN, OP_RETURN},      {OP_RECV_SMALL, OP_RECV},
};
#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))

static int script_count(void)
{
    return limits.length == 1 ? COUNT(scripts_of_one) : COUNT(scripts_of_two);
}

static const int8_t *script(int number)
{
    return limits.length == 1 ? scripts_of_one[number] : scripts_of_two[number];
}

static bool contains(const int8_t *of, int operation)
{
    return of[0] == operation || of[1] == operation;
}

/* A second operation that needs a message in hand is prepared when the first one is. */
static bool prepare(const int *chosen)
{
    static const uint32_t who[] = {FIRST, SECOND, THIRD};
    static struct walk_rules rules;
    int lengths[WALK_PROCESSES_MAX] = {0};
    memset((void *)results, 0, sizeof results);
    uncertain = 0;
    for (int i = 0; i < limits.processes; i++) {
        const int8_t *of = script(chosen[i]);
        lengths[i] = of[1] < 0 ? 1 : 2;
        for (int k = 0; k < lengths[i]; k++)
            if (!operation_prepare((enum operation)of[k], who[i], (uint32_t)(10 * (i + 1) + 4 * k),
                                   &results[i][k]))
                return false;
    }
    rules = (struct walk_rules){
        .parts = {{image, image_size}, {results, sizeof results}, {&uncertain, sizeof uncertain}},
        .run = run_operation,
        .may_step = may_step,
        .may_die = may_die,
        .announce = announce,
        .holds = ring_holds_invariants,
        .survives = survive_here,
        .print_step = print_step,
    };
    walk_begin(&rules, limits.processes, lengths);
    return true;
}

/* Runs one combination; false when the whole run shall end. */
static bool try_combination(const struct setup *setup, int start, bool wrap, uint32_t sender,
                            const int *chosen)
{
    static unsigned char memory[IMAGE_MAX] __attribute__((aligned(128)));
    char name[240] = "";
    world_open(setup, wrap, memory);
    if (!start_build(start, sender, &expected_start) || !prepare(chosen))
        return true;
    snprintf(name, sizeof name, "setup %s, start %s, ", setup->name, start_name(start));
    for (int i = 0; i < walk_count; i++)
        for (int k = 0; k < walk_processes[i].length; k++)
            snprintf(name + strlen(name), sizeof name - strlen(name), "%s%s",
                     operation_names[results[i][k].operation],
                     k + 1 < walk_processes[i].length ? "+"
                     : i + 1 < walk_count             ? " | "
                                                      : "");
    snprintf(name + strlen(name), sizeof name - strlen(name), ", sent by %u%s", sender,
             wrap ? ", laps wrap" : "");
    combinations++;
    long before = walk_counts.states;
    struct walk_limits bounds = {.preemptions = limits.preemptions, .states = limits.states};
    bool well = walk_all(&bounds, name, failures < 3);
    failures += !well;
    if (limits.verbose)
        printf("%s: %ld states\n", name, walk_counts.states - before);
    return (well || limits.go_on) && failures < 20 && seconds_now() - started < limits.seconds;
}

static bool is_worth_it(const int *chosen)
{
    int count = limits.processes;
    if (contains(script(chosen[0]), OP_RECOVER_FIRST))
        return false; /* nobody recovers himself */
    /* The participants are alike but for FIRST, whom RECOVER_FIRST means. */
    bool first_matters = false;
    for (int i = 1; i < count; i++)
        first_matters |= contains(script(chosen[i]), OP_RECOVER_FIRST);
    for (int i = first_matters ? 1 : 0; i + 1 < count; i++)
        if (chosen[i] > chosen[i + 1])
            return false;
    return true;
}

/* Number `index` of all combinations. Where the laps are is not enumerated: the seed decides. */
static bool try_index(uint64_t index)
{
    static const uint32_t senders[] = {FIRST, SECOND, OBSERVER};
    uint64_t scripts = (uint64_t)script_count(), random = limits.seed ^ index << 20;
    bool wrap = random_chance(&random, 0.5);
    uint32_t sender = senders[index % COUNT(senders)];
    index /= COUNT(senders);
    const struct setup *setup = &setups[index % (uint64_t)setup_count];
    index /= (uint64_t)setup_count;
    int start = (int)(index % (uint64_t)start_count), chosen[WALK_PROCESSES_MAX] = {0};
    index /= (uint64_t)start_count;
    for (int i = 0; i < limits.processes; i++, index /= scripts)
        chosen[i] = (int)(index % scripts);
    if ((limits.setup != NULL && strcmp(limits.setup, setup->name) != 0) ||
        (limits.start != NULL && strcmp(limits.start, start_name(start)) != 0) ||
        !is_worth_it(chosen))
        return true;
    return try_combination(setup, start, wrap, sender, chosen);
}

static bool try_all(void)
{
    uint64_t total = 3 * (uint64_t)setup_count * (uint64_t)start_count;
    for (int i = 0; i < limits.processes; i++)
        total *= (uint64_t)script_count();
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
            limits.preemptions = atoi(optarg);
            break;
        case 'n':
            limits.states = atol(optarg);
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
    if (limits.processes < 2 || limits.processes > 3 || limits.length < 1 || limits.length > 2)
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
        "schedules: %d processes, %d operations each, %ld combinations (%ld cut short), %ld states, "
        "%ld of them with everybody dead, %ld ends, seed %llu, %.1f s%s: %d faults\n",
        limits.processes, limits.length, combinations, walk_counts.cut, walk_counts.states,
        walk_counts.checked, walk_counts.ends, (unsigned long long)limits.seed,
        seconds_now() - started, all || failures > 0 ? "" : " (out of time)", failures);
    tried(&(struct tried){.program = "crash-schedules",
                          .scenes = (uint64_t)combinations,
                          .places = (uint64_t)walk_counts.checked,
                          .killed = (uint64_t)walk_counts.checked,
                          .schedules = (uint64_t)walk_counts.states});
    return failures > 0;
}
