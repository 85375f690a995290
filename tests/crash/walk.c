/* See walk.h. */
#include "walk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic.h"
#include "coroutine.h"

#define STACK_SIZE    16384
#define PATH_MAX_HERE 2000

struct walk_process walk_processes[WALK_PROCESSES_MAX];
int walk_count;
struct walk_counts walk_counts;

static const struct walk_rules *rules;

/* ---- coroutines ---- */

static unsigned char stacks[WALK_PROCESSES_MAX][STACK_SIZE] __attribute__((aligned(64)));
static int running = -1;
static void *scheduler_stack;

void yk_check_yield(void)
{
    if (running >= 0)
        coroutine_switch(&walk_processes[running].stack_pointer, scheduler_stack);
}

static void process_body(void)
{
    int number = running;
    struct walk_process *process = &walk_processes[number];
    while (process->current < process->length) {
        process->between = true;
        yk_check_yield();
        process->between = false;
        rules->run(number, process->current);
        process->current++;
    }
    process->finished = true;
    for (;;)
        yk_check_yield();
}

static void process_step(int number)
{
    running = number;
    coroutine_switch(&scheduler_stack, walk_processes[number].stack_pointer);
    running = -1;
}

void walk_begin(const struct walk_rules *new_rules, int count, const int *lengths)
{
    rules = new_rules;
    walk_count = count;
    memset(walk_processes, 0, sizeof walk_processes);
    for (int i = 0; i < count; i++) {
        walk_processes[i].length = lengths[i];
        walk_processes[i].stack_pointer = coroutine_make(stacks[i], STACK_SIZE, process_body);
        process_step(i); /* up to where it is between two operations */
    }
}

static bool may_step(int number)
{
    const struct walk_process *process = &walk_processes[number];
    return !process->finished && !process->dead && rules->may_step(number);
}

static bool may_die(int number)
{
    const struct walk_process *process = &walk_processes[number];
    return !process->finished && !process->dead && rules->may_die(number);
}

/* ---- states ---- */

/* A state as it is kept: the parts, the processes, the live part of each stack. */
static unsigned char *arena;
static const size_t arena_size = (size_t)256 << 20;
static size_t arena_used;

struct node {
    size_t kept; /* where in the arena */
    int8_t last, preemptions;
    uint8_t choice_count, next_choice;
    int8_t choices[2 * WALK_PROCESSES_MAX]; /* >= 0: this one steps; < 0: -1 - it dies */
};
static struct node path[PATH_MAX_HERE];
static int depth;

static struct seen seen_states, seen_parts;

#define PARTS ((int)(sizeof rules->parts / sizeof rules->parts[0]))

static size_t live_stack(int number)
{
    return (size_t)(stacks[number] + STACK_SIZE -
                    (unsigned char *)walk_processes[number].stack_pointer);
}

static void keep(struct node *node)
{
    unsigned char *to = arena + arena_used;
    node->kept = arena_used;
    for (int i = 0; i < PARTS; i++) {
        if (rules->parts[i].size > 0)
            memcpy(to, rules->parts[i].memory, rules->parts[i].size);
        to += rules->parts[i].size;
    }
    memcpy(to, walk_processes, sizeof walk_processes);
    to += sizeof walk_processes;
    for (int i = 0; i < walk_count; i++) {
        memcpy(to, walk_processes[i].stack_pointer, live_stack(i));
        to += live_stack(i);
    }
    arena_used = (size_t)(to - arena);
    if (arena_used + ((size_t)1 << 16) > arena_size)
        give_up("no room for more states");
}

static void restore(const struct node *node)
{
    const unsigned char *from = arena + node->kept;
    for (int i = 0; i < PARTS; i++) {
        if (rules->parts[i].size > 0)
            memcpy(rules->parts[i].memory, from, rules->parts[i].size);
        from += rules->parts[i].size;
    }
    memcpy(walk_processes, from, sizeof walk_processes);
    from += sizeof walk_processes;
    for (int i = 0; i < walk_count; i++) {
        memcpy(walk_processes[i].stack_pointer, from, live_stack(i));
        from += live_stack(i);
    }
}

static uint64_t hash_parts(void)
{
    uint64_t hash = 0;
    for (int i = 0; i < PARTS; i++)
        if (rules->parts[i].size > 0)
            hash = hash_bytes(rules->parts[i].memory, rules->parts[i].size, hash);
    return hash;
}

static uint64_t hash_state(uint64_t hash, const struct walk_limits *limits, int last,
                           int preemptions)
{
    for (int i = 0; i < walk_count; i++) {
        const struct walk_process *process = &walk_processes[i];
        hash = hash_bytes(process->stack_pointer, live_stack(i), hash);
        hash = hash * 31 + (uint64_t)process->current * 8 + process->between * 4u +
               process->finished * 2u + process->dead;
    }
    if (limits->preemptions >= 0)
        hash = hash * 31 + (uint64_t)(last + 1) * 64 + (uint64_t)preemptions;
    return hash * UINT64_C(0x9E3779B97F4A7C15);
}

static void list_choices(struct node *node, const struct walk_limits *limits)
{
    node->choice_count = node->next_choice = 0;
    bool last_may = node->last >= 0 && may_step(node->last) && !walk_processes[node->last].between;
    bool bound = limits->preemptions >= 0 && node->preemptions >= limits->preemptions && last_may;
    for (int i = 0; i < walk_count; i++) {
        if (may_step(i) && (!bound || i == node->last))
            node->choices[node->choice_count++] = (int8_t)i;
        if (may_die(i))
            node->choices[node->choice_count++] = (int8_t)(-1 - i);
    }
}

static bool apply(int choice)
{
    if (choice < 0) {
        walk_processes[-1 - choice].dead = true;
        if (rules->died)
            rules->died(-1 - choice);
        return true;
    }
    if (rules->announce)
        rules->announce(choice);
    process_step(choice);
    return rules->holds();
}

/* ---- telling of a failure ---- */

static void print_way(int last_choice)
{
    unsigned char *before = malloc(rules->parts[0].size);
    for (int i = 0; i <= depth && before != NULL; i++) {
        int choice = i < depth ? path[i].choices[path[i].next_choice - 1] : last_choice;
        restore(&path[i]);
        memcpy(before, rules->parts[0].memory, rules->parts[0].size);
        if (choice < 0) {
            printf("    process %d dies\n", -1 - choice);
            continue;
        }
        bool begins = walk_processes[choice].between;
        apply(choice);
        rules->print_step(choice, begins, before);
    }
    free(before);
}

static bool report(const char *title, bool print_path, int last_choice)
{
    printf("FAULT %s: %s\n", title, why);
    if (print_path)
        print_way(last_choice);
    fflush(stdout);
    return false;
}

/* ---- the walk ---- */

/* After a step from `node` by `choice`. */
static struct node next_node(const struct walk_limits *limits, const struct node *node, int choice)
{
    struct node next = {.last = (int8_t)(choice < 0 ? -1 : choice),
                        .preemptions = node->preemptions};
    if (choice >= 0 && node->last >= 0 && choice != node->last && limits->preemptions >= 0 &&
        !walk_processes[node->last].between && may_step(node->last))
        next.preemptions++;
    return next;
}

static void walk_start(const struct walk_limits *limits)
{
    if (arena == NULL)
        arena = malloc(arena_size);
    if (arena == NULL)
        give_up("out of memory");
    seen_clear(&seen_states);
    seen_clear(&seen_parts);
    arena_used = 0;
    depth = 0;
    path[0] = (struct node){.last = -1};
    keep(&path[0]);
    list_choices(&path[0], limits);
}

bool walk_all(const struct walk_limits *limits, const char *title, bool print_path)
{
    walk_start(limits);
    bool live = true;
    long before = walk_counts.states;
    for (;;) {
        struct node *node = &path[depth];
        if (node->next_choice == node->choice_count) {
            walk_counts.ends += node->choice_count == 0;
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
        struct node next = next_node(limits, node, choice);
        uint64_t hash = hash_parts();
        if (well && seen_add(&seen_parts, hash)) {
            walk_counts.checked++;
            well = rules->survives();
        }
        if (!well)
            return report(title, print_path, choice);
        live = false;
        if (!seen_add(&seen_states, hash_state(hash, limits, next.last, next.preemptions)))
            continue;
        if (++walk_counts.states - before > limits->states) {
            walk_counts.cut++;
            return true;
        }
        if (depth + 2 > PATH_MAX_HERE) {
            fail("an operation goes on for ever");
            return report(title, print_path, choice);
        }
        path[++depth] = next;
        keep(&path[depth]);
        list_choices(&path[depth], limits);
        live = true;
    }
}
