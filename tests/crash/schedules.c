/*
 * schedules - every interleaving of the real ring's code at its shared accesses.
 *
 * port_ring.c is compiled with YK_CHECK, so that it calls yk_check_yield() before each access to shared
 * memory. Two or three participants run as coroutines; at every yield any of them may go on. The walk keeps
 * each state whole (the image, the coroutines' stacks, what the operations have reported), and a state that was seen before
 * is not walked again: so it is not some schedules but all of them, as far as --states reaches.
 *
 * In every state everybody may be dead, or stopped for ever: each distinct state is put to the questions of
 * model.h. One who dies while the others go on is one who is not scheduled again, so deaths need no step of
 * their own, except where somebody waits for one: who recovers a participant takes its lock first, and may die
 * with it.
 *
 * The model of memory is sequentially consistent: what weaker hardware does besides is not seen here.
 */
#include "coroutine.h"
#include "model.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROCESSES_MAX 3
#define LENGTH_MAX    2
#define STACK_SIZE    16384
#define PATH_MAX_HERE 2000

/* ---- coroutines ---- */

struct process {
    void *stack_pointer;
    int length, current; /* of its script */
    bool between;        /* two operations: the next one begins when it is scheduled */
    bool finished, dead;
    struct result results[LENGTH_MAX];
};

static struct process processes[PROCESSES_MAX];
static unsigned char stacks[PROCESSES_MAX][STACK_SIZE] __attribute__((aligned(64)));
static int process_count, running = -1;
static void *scheduler_stack;

void yk_check_yield(void)
{
    if (running >= 0)
        coroutine_switch(&processes[running].stack_pointer, scheduler_stack);
}

static void process_body(void)
{
    struct process *process = &processes[running];
    while (process->current < process->length) {
        process->between = true;
        yk_check_yield();
        process->between = false;
        operation_run(&process->results[process->current]);
        process->current++;
    }
    process->finished = true;
    for (;;)
        yk_check_yield();
}

static void process_step(int number)
{
    running = number;
    coroutine_switch(&scheduler_stack, processes[number].stack_pointer);
    running = -1;
}

static void process_make(int number)
{
    struct process *process = &processes[number];
    process->stack_pointer = coroutine_make(stacks[number], STACK_SIZE, process_body);
    process->current = 0;
    process->finished = process->dead = false;
    process_step(number); /* up to where it is between two operations */
}

/* ---- what may happen next ---- */

static bool in_the_middle(const struct process *process, uint32_t operation)
{
    return !process->finished && !process->between &&
           process->results[process->current].operation == operation;
}

static bool is_about_to(const struct process *process, uint32_t operation)
{
    return !process->finished && !process->dead && process->between &&
           process->results[process->current].operation == operation;
}

/* Recovering somebody takes its lock: nobody else living has it, and it is dead. */
static bool may_recover(uint32_t operation)
{
    for (int i = 0; i < process_count; i++)
        if (!processes[i].dead && in_the_middle(&processes[i], operation))
            return false;
    return operation == OP_RECOVER_DEAD || processes[0].dead || processes[0].finished;
}

static bool may_step(int number)
{
    const struct process *process = &processes[number];
    if (process->finished || process->dead)
        return false;
    for (uint32_t operation = OP_RECOVER_DEAD; operation <= OP_RECOVER_FIRST; operation++)
        if (is_about_to(process, operation))
            return may_recover(operation);
    return true;
}

/* Deaths that somebody waits for; the others need no step. */
static bool may_die(int number)
{
    if (processes[number].finished || processes[number].dead)
        return false;
    for (int i = 0; i < process_count; i++) {
        if (number == 0 && is_about_to(&processes[i], OP_RECOVER_FIRST))
            return true;
        for (uint32_t operation = OP_RECOVER_DEAD; operation <= OP_RECOVER_FIRST; operation++)
            if (is_about_to(&processes[i], operation) &&
                in_the_middle(&processes[number], operation))
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

/* A state as it is kept: image, processes, the live part of each stack. */
static unsigned char *arena;
static size_t arena_size = (size_t)256 << 20, arena_used;

struct node {
    size_t kept; /* where in the arena */
    uint64_t uncertain;
    int8_t last, preemptions;
    uint8_t choice_count, next_choice;
    int8_t choices[2 * PROCESSES_MAX]; /* >= 0: this one steps; < 0: -1 - it dies */
};
static struct node path[PATH_MAX_HERE];
static int depth;

static struct expected expected_start;
static uint64_t uncertain; /* as in struct expected, part of the state */
static struct seen seen_states, seen_images;
static long states, checked, combinations, cut, schedules_ended;
static int failures;
static double started;

static size_t live_stack(int number)
{
    return (size_t)(stacks[number] + STACK_SIZE - (unsigned char *)processes[number].stack_pointer);
}

static void keep(struct node *node)
{
    unsigned char *to = arena + arena_used;
    node->kept = arena_used;
    memcpy(to, image, image_size);
    to += image_size;
    memcpy(to, (void *)processes, sizeof processes);
    to += sizeof processes;
    for (int i = 0; i < process_count; i++) {
        memcpy(to, processes[i].stack_pointer, live_stack(i));
        to += live_stack(i);
    }
    arena_used = (size_t)(to - arena);
    if (arena_used + ((size_t)1 << 16) > arena_size)
        give_up("no room for more states");
}

static void restore(const struct node *node)
{
    const unsigned char *from = arena + node->kept;
    memcpy(image, from, image_size);
    from += image_size;
    memcpy((void *)processes, from, sizeof processes);
    from += sizeof processes;
    for (int i = 0; i < process_count; i++) {
        memcpy(processes[i].stack_pointer, from, live_stack(i));
        from += live_stack(i);
    }
    uncertain = node->uncertain;
}

static uint64_t hash_results(uint64_t hash)
{
    for (int i = 0; i < process_count; i++)
        hash = hash_bytes(processes[i].results, sizeof processes[i].results, hash);
    return hash ^ uncertain * UINT64_C(0xD6E8FEB86659FD93);
}

static uint64_t hash_state(uint64_t hash, int last, int preemptions)
{
    for (int i = 0; i < process_count; i++) {
        const struct process *process = &processes[i];
        hash = hash_bytes(process->stack_pointer, live_stack(i), hash);
        hash = hash * 31 + (uint64_t)process->current * 8 + process->between * 4u +
               process->finished * 2u + process->dead;
    }
    if (limits.preemptions >= 0)
        hash = hash * 31 + (uint64_t)(last + 1) * 64 + (uint64_t)preemptions;
    return hash * UINT64_C(0x9E3779B97F4A7C15);
}

static void list_choices(struct node *node)
{
    node->choice_count = node->next_choice = 0;
    bool last_may = node->last >= 0 && may_step(node->last) && !processes[node->last].between;
    bool bound = limits.preemptions >= 0 && node->preemptions >= limits.preemptions && last_may;
    for (int i = 0; i < process_count; i++) {
        if (may_step(i) && (!bound || i == node->last))
            node->choices[node->choice_count++] = (int8_t)i;
        if (may_die(i))
            node->choices[node->choice_count++] = (int8_t)(-1 - i);
    }
}

/* The newest sequence number of each ring whose send is over, and one more. */
static void find_floor(uint64_t *floor)
{
    memcpy(floor, expected_start.floor, sizeof expected_start.floor);
    for (int i = 0; i < process_count; i++)
        for (int k = 0; k <= processes[i].current && k < processes[i].length; k++) {
            const struct result *x = &processes[i].results[k];
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
    struct process *process = &processes[number];
    struct result *mine = &process->results[process->current];
    if (process->between) {
        uint64_t floor[RINGS_MAX_HERE];
        find_floor(floor);
        operation_begin(mine, floor);
        if (mine->operation == OP_RECOVER_FIRST)
            uncertain |= uncertain_with(FIRST);
        if (mine->operation == OP_RECOVER_DEAD)
            uncertain |= uncertain_with(DEAD);
    }
    for (int i = 0; i < process_count; i++) {
        struct process *other = &processes[i];
        if (i == number || other->finished || other->between)
            continue;
        struct result *theirs = &other->results[other->current];
        if (operation_disturbs(mine->operation, theirs->operation))
            theirs->disturbed = 1;
        if (operation_disturbs(theirs->operation, mine->operation))
            mine->disturbed = 1;
    }
}

static bool apply(int choice)
{
    if (choice < 0) {
        processes[-1 - choice].dead = true;
        return true;
    }
    announce(choice);
    process_step(choice);
    return ring_holds_invariants();
}

/* Everybody dies, or is stopped for ever, here. */
static bool survive_here(void)
{
    struct result results[PROCESSES_MAX * LENGTH_MAX];
    uint32_t count = 0;
    struct expected expected = expected_start;

    checked++;
    expected.uncertain = uncertain;
    for (int i = 0; i < process_count; i++)
        for (int k = 0; k < processes[i].length; k++)
            results[count++] = processes[i].results[k];
    return all_is_well_if_all_stop(&expected, results, count);
}

/* ---- telling of a failure ---- */

static void print_path(const struct node *first, int last_choice)
{
    static unsigned char before[IMAGE_MAX];
    for (int i = 0; i <= depth; i++) {
        int choice = i < depth ? first[i].choices[first[i].next_choice - 1] : last_choice;
        restore(&first[i]);
        memcpy(before, image, image_size);
        if (choice < 0) {
            printf("    participant %u dies\n", processes[-1 - choice].results[0].who);
            continue;
        }
        struct process *process = &processes[choice];
        bool begins = process->between;
        uint32_t who = process->results[0].who,
                 operation = process->results[process->current].operation;
        announce(choice);
        process_step(choice);
        if (begins)
            printf("    %u begins %s\n", who, operation_names[operation]);
        if (memcmp(before, image, image_size) != 0) {
            printf("    %u writes:\n", who);
            print_difference(before, image);
        } else if (!begins) {
            printf("    %u looks\n", who);
        }
    }
}

static void report(const char *name, const struct setup *setup, const char *start, int last_choice)
{
    char said[sizeof why];
    memcpy(said, why, sizeof said);
    failures++;
    printf("FAULT setup %s, start %s, %s: %s\n", setup->name, start, name, said);
    if (failures <= 3)
        print_path(path, last_choice);
    fflush(stdout);
}

/* Walks all schedules from the processes' present state. False: a fault was found. */
static bool walk(const char *name, const struct setup *setup, const char *start)
{
    seen_clear(&seen_states);
    seen_clear(&seen_images);
    arena_used = 0;
    uncertain = 0;
    depth = 0;
    path[0] = (struct node){.last = -1};
    keep(&path[0]);
    list_choices(&path[0]);
    bool live = true;
    long before = states;
    for (;;) {
        struct node *node = &path[depth];
        if (node->next_choice == node->choice_count) {
            schedules_ended += node->choice_count == 0;
            arena_used = node->kept;
            if (depth-- == 0)
                return true;
            live = false;
            continue;
        }
        if (!live)
            restore(node);
        int choice = node->choices[node->next_choice++];
        bool well = apply(choice);
        struct node next = {.last = (int8_t)(choice < 0 ? -1 : choice),
                            .preemptions = node->preemptions};
        if (choice >= 0 && node->last >= 0 && choice != node->last && limits.preemptions >= 0 &&
            !processes[node->last].between && may_step(node->last))
            next.preemptions++;
        uint64_t hash = hash_results(hash_bytes(image, image_size, 0));
        if (well && seen_add(&seen_images, hash))
            well = survive_here();
        if (!well) {
            report(name, setup, start, choice);
            return false;
        }
        live = false;
        if (!seen_add(&seen_states, hash_state(hash, next.last, next.preemptions)))
            continue;
        if (++states - before > limits.states) {
            cut++;
            return true;
        }
        if (depth + 2 > PATH_MAX_HERE) {
            snprintf(why, sizeof why, "an operation goes on for ever");
            report(name, setup, start, choice);
            return false;
        }
        depth++;
        path[depth] = next;
        path[depth].uncertain = uncertain;
        keep(&path[depth]);
        list_choices(&path[depth]);
        live = true;
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
    process_count = limits.processes;
    memset((void *)processes, 0, sizeof processes);
    for (int i = 0; i < process_count; i++) {
        const int8_t *of = script(chosen[i]);
        processes[i].length = of[1] < 0 ? 1 : 2;
        for (int k = 0; k < processes[i].length; k++)
            if (!operation_prepare((enum operation)of[k], who[i], (uint32_t)(10 * (i + 1) + 4 * k),
                                   &processes[i].results[k]))
                return false;
    }
    for (int i = 0; i < process_count; i++)
        process_make(i);
    return true;
}

/* Runs one combination; false when the whole run shall end. */
static bool try_combination(const struct setup *setup, int start, bool wrap, uint32_t sender,
                            const int *chosen)
{
    static unsigned char memory[IMAGE_MAX] __attribute__((aligned(128)));
    char name[160] = "";
    world_open(setup, wrap, memory);
    if (!start_build(start, sender, &expected_start) || !prepare(chosen))
        return true;
    for (int i = 0; i < process_count; i++)
        for (int k = 0; k < processes[i].length; k++)
            snprintf(name + strlen(name), sizeof name - strlen(name), "%s%s",
                     operation_names[processes[i].results[k].operation],
                     k + 1 < processes[i].length ? "+"
                     : i + 1 < process_count     ? " | "
                                                 : "");
    snprintf(name + strlen(name), sizeof name - strlen(name), ", sent by %u%s", sender,
             wrap ? ", laps wrap" : "");
    combinations++;
    long before = states;
    bool well = walk(name, setup, start_name(start));
    if (limits.verbose)
        printf("%s, %s, %s: %ld states\n", setup->name, start_name(start), name, states - before);
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
    int start = (int)(index % (uint64_t)start_count), chosen[PROCESSES_MAX] = {0};
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
    arena = malloc(arena_size);
    if (arena == NULL)
        return 1;
    started = seconds_now();
    bool all = try_all();
    printf(
        "schedules: %d processes, %d operations each, %ld combinations (%ld cut short), %ld states, "
        "%ld of them with everybody dead, %ld ends, seed %llu, %.1f s%s: %d faults\n",
        limits.processes, limits.length, combinations, cut, states, checked, schedules_ended,
        (unsigned long long)limits.seed, seconds_now() - started,
        all || failures > 0 ? "" : " (out of time)", failures);
    return failures > 0;
}
