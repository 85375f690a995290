/*
 * sweep - kills, or stops, a participant after every single instruction of every operation.
 *
 * The operations are those of the optimised objects that ship. A child runs them under ptrace, one instruction
 * at a time; after each the parent compares the shared memory with the last state and, where it has
 * changed, asks the questions of model.h on it: a process killed there is the same as one that never runs again.
 *
 *   single  one operation
 *   pair    the first stops at each of its states; there a second process is stepped through its own operation
 *   resume  the first stops at each *instruction*, others run whole operations, the first goes on to its end
 *
 * Instead of starting a new process for each place, a child's registers and the stack that it uses are saved and put
 * back: tens of thousands of places a second.
 */
#include "model.h"
#include "stepper.h"
#include "tried.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum mode { SINGLE, PAIR, RESUME };

static struct {
    enum mode mode;
    enum stepper_kind kind;
    double share, second_share, seconds;
    uint64_t seed;
    const char *setup, *start;
    bool go_on;
} limits = {.mode = SINGLE, .share = 1, .second_share = 0.1, .seconds = 1e9, .seed = 1};

static struct seen seen;
static long steps, places, checked, combinations;
static int failures;
static double started;

static struct stepper first, second;
static struct result *shared_results; /* of the two */

static void one_step(struct stepper *stepper)
{
    stepper_step(stepper);
    steps++;
}

/* ---- places ---- */

struct scene {
    const struct setup *setup;
    int start;
    bool wrap;
    enum participant sender;
    struct expected expected;
};

static bool fault(const struct scene *scene, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static bool fault(const struct scene *scene, const char *format, ...)
{
    va_list arguments;
    failures++;
    printf("FAULT setup %s%s, start %s (sent by %u), ", scene->setup->name,
           scene->wrap ? ", laps wrap" : "", start_name(scene->start), scene->sender);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf(": %s\n", why);
    fflush(stdout);
    return limits.go_on && failures < 20;
}

static bool is_new(const struct result *results, uint32_t count, uint64_t salt)
{
    if (seen.used > 4000000)
        seen_clear(&seen);
    return seen_add(&seen, hash_bytes(results, count * sizeof *results,
                                      hash_bytes(image, image_size, salt)));
}

static bool place_is_well(const struct scene *scene, const struct result *results, uint32_t count)
{
    checked++;
    return ring_holds_invariants() && all_is_well_if_all_stop(&scene->expected, results, count);
}

/* `second` goes through `operation` while `first` stands still. */
static bool step_second(struct scene *scene, enum operation operation, enum operation of_first,
                        long at)
{
    static unsigned char last[IMAGE_MAX];
    struct result *mine = &shared_results[1];
    struct expected kept = scene->expected;
    if (!operation_prepare(operation, SECOND, 20, mine))
        return true;
    operation_begin(mine, scene->expected.floor);
    if (operation == OP_RECOVER_FIRST)
        scene->expected.uncertain |= uncertain_with(FIRST);
    if (operation == OP_RECOVER_DEAD)
        scene->expected.uncertain |= uncertain_with(DEAD);
    stepper_begin(&second);
    bool go_on = true;
    for (long number = 0; go_on; number++) {
        bool done = mine->done;
        places++;
        if (number == 0 || done || memcmp(last, image, image_size) != 0) {
            memcpy(last, image, image_size);
            if (is_new(shared_results, 2, 2) && !place_is_well(scene, shared_results, 2))
                go_on = fault(scene, "1 stands at %s@%ld, 2 at %s@%ld%s", operation_names[of_first],
                              at, operation_names[operation], number, done ? " (done)" : "");
        }
        if (done)
            break;
        one_step(&second);
    }
    scene->expected = kept;
    return go_on;
}

static bool sweep_first(struct scene *scene, enum operation operation, uint64_t *random)
{
    static unsigned char last[IMAGE_MAX], kept[IMAGE_MAX];
    struct result *mine = &shared_results[0];
    if (!start_build(scene->start, scene->sender, &scene->expected) ||
        !operation_prepare(operation, FIRST, 10, mine))
        return true;
    combinations++;
    memset((void *)&shared_results[1], 0, sizeof shared_results[1]);
    operation_begin(mine, scene->expected.floor);
    if (operation == OP_RECOVER_DEAD)
        scene->expected.uncertain |= uncertain_with(DEAD);
    stepper_begin(&first);
    bool go_on = true;
    seen_clear(&seen);
    for (long number = 0; go_on; number++) {
        bool done = mine->done;
        places++;
        if (number == 0 || done || memcmp(last, image, image_size) != 0) {
            memcpy(last, image, image_size);
            if (is_new(mine, 1, 1) && !place_is_well(scene, mine, 1))
                go_on = fault(scene, "1 stands at %s@%ld%s", operation_names[operation], number,
                              done ? " (done)" : "");
            if (limits.mode == PAIR) {
                memcpy(kept, image, image_size);
                for (int other = 0; other < OPERATIONS && go_on; other++) {
                    bool chosen = random_chance(random, limits.second_share);
                    /* The lock of the dead is the stopped one's while he recovers. */
                    if (chosen &&
                        !(operation == OP_RECOVER_DEAD && other == OP_RECOVER_DEAD && !done))
                        go_on = step_second(scene, (enum operation)other, operation, number);
                    memcpy(image, kept, image_size);
                }
            }
        }
        if (done)
            break;
        one_step(&first);
    }
    return go_on;
}

/* ---- stop and resume ---- */

/* What the others do meanwhile. Repeated `rounds` times; 0: as many as the ring has cells, and one. */
static const struct {
    int rounds;
    enum operation operations[4];
    int count;
} others[] = {
    {1, {OP_SEND, OP_RECV}, 2},
    {0, {OP_SEND, OP_RECV}, 2},
    {0, {OP_RECV}, 1},
    {0, {OP_SEND}, 1},
    {0, {OP_RECV, OP_SEND_TWO}, 2},
    {1, {OP_RETURN, OP_RECV, OP_SEND, OP_RETURN}, 4},
    {0, {OP_RETURN, OP_RECV, OP_SEND}, 3},
    {1, {OP_RECOVER_DEAD, OP_RECV, OP_SEND, OP_RELEASE}, 4},
    {1, {OP_RECV_PARKED, OP_RETURN_PARKED, OP_RETURN, OP_RETURN}, 4},
    {1, {OP_RECV_TWO, OP_SEND_TWO, OP_SEND_TWO, OP_RECV}, 4},
    {1, {OP_RECV_SMALL, OP_BORROW, OP_SEND, OP_RETURN}, 4},
};
#define OTHERS ((int)(sizeof others / sizeof others[0]))

#define RESULTS_MAX 64

static uint32_t run_others(int number, struct scene *scene, struct result *mine,
                           struct result *results)
{
    int rounds =
        others[number].rounds > 0 ? others[number].rounds : (2 << ring.geometry.cells_log2) + 1;
    uint32_t count = 1, id = 100;
    uint64_t floor[RINGS_MAX_HERE];
    memcpy(floor, scene->expected.floor, sizeof floor);
    for (int round = 0; round < rounds; round++)
        for (int i = 0; i < others[number].count; i++) {
            enum operation operation = others[number].operations[i];
            struct result *result = &results[count];
            if (operation == OP_RECOVER_DEAD && mine->operation == OP_RECOVER_DEAD && !mine->done)
                continue;
            if (!operation_prepare(operation, SECOND, id, result))
                continue;
            if (operation == OP_RECOVER_DEAD)
                scene->expected.uncertain |= uncertain_with(DEAD);
            operation_begin(result, floor);
            operation_run(result);
            /* What was prepared was taken, too. */
            if (!mine->done && (operation_disturbs(operation, (enum operation)mine->operation) ||
                                operation_disturbs(OP_BORROW, (enum operation)mine->operation)))
                mine->disturbed = 1;
            for (uint32_t k = 0; k < result->sent; k++)
                floor[result->sequence[k] % ring.geometry.rings] = result->sequence[k] + 1;
            id += 2;
            if (++count == RESULTS_MAX - 1)
                return count;
        }
    return count;
}

static bool resume_here(struct scene *scene, enum operation operation, int number, long at)
{
    static struct result results[RESULTS_MAX];
    static unsigned char kept[IMAGE_MAX];
    struct result before = shared_results[0];
    struct expected expected = scene->expected;
    memcpy(kept, image, image_size);
    stepper_keep(&first);
    uint32_t count = run_others(number, scene, &shared_results[0], results);
    if (!shared_results[0].done)
        stepper_run_on(&first);
    results[0] = shared_results[0];
    bool go_on = true;
    places++;
    if (!place_is_well(scene, results, count))
        go_on = fault(scene, "1 stood at %s@%ld, the others did script %d, 1 went on",
                      operation_names[operation], at, number);
    memcpy(image, kept, image_size);
    shared_results[0] = before;
    scene->expected = expected;
    stepper_put_back(&first);
    return go_on;
}

static bool resume_first(struct scene *scene, enum operation operation, int number)
{
    struct result *mine = &shared_results[0];
    if (!start_build(scene->start, scene->sender, &scene->expected) ||
        !operation_prepare(operation, FIRST, 10, mine))
        return true;
    combinations++;
    operation_begin(mine, scene->expected.floor);
    if (operation == OP_RECOVER_DEAD)
        scene->expected.uncertain |= uncertain_with(DEAD);
    stepper_begin(&first);
    bool go_on = true;
    for (long at = 0; go_on; at++) {
        go_on = resume_here(scene, operation, number, at);
        if (mine->done)
            break;
        one_step(&first);
    }
    return go_on;
}

/* ---- all of it ---- */

static void run_operation(void *result)
{
    operation_run(result);
}

static struct stepped stepped_operation(int number)
{
    struct result *result = &shared_results[number];
    return (struct stepped){.run = run_operation, .argument = result, .done = &result->done};
}

/* The world, and who is stepped in it. A stepped process has a copy of what describes it: a new one when that changes. */
static void open_scene(const struct scene *scene, unsigned char *memory)
{
    static const struct setup *opened;
    static bool wrapped;
    if (opened == scene->setup && wrapped == scene->wrap)
        return;
    if (opened != NULL) {
        stepper_close(&first);
        stepper_close(&second);
    }
    world_open(scene->setup, scene->wrap, memory);
    opened = scene->setup;
    wrapped = scene->wrap;
    const char *refused = stepper_open(&first, limits.kind, stepped_operation(0));
    if (refused == NULL)
        refused = stepper_open(&second, limits.kind, stepped_operation(1));
    if (refused != NULL) {
        printf("%s\n", refused);
        exit(77);
    }
}

/* Number `index` of all combinations; in RESUME, the scripts of the others are part of it. */
static bool sweep_index(uint64_t index, unsigned char *memory)
{
    uint64_t random = limits.seed ^ index << 20;
    struct scene scene = {.wrap = index & 1, .sender = index & 2 ? FIRST : OBSERVER};
    index /= 4;
    scene.setup = &setups[index % (uint64_t)setup_count];
    index /= (uint64_t)setup_count;
    scene.start = (int)(index % (uint64_t)start_count);
    index /= (uint64_t)start_count;
    enum operation operation = (enum operation)(index % OPERATIONS);
    index /= OPERATIONS;
    if ((limits.setup != NULL && strcmp(limits.setup, scene.setup->name) != 0) ||
        (limits.start != NULL && strcmp(limits.start, start_name(scene.start)) != 0) ||
        operation == OP_RECOVER_FIRST) /* nobody recovers himself */
        return true;
    open_scene(&scene, memory);
    bool go_on = limits.mode == RESUME ? resume_first(&scene, operation, (int)index)
                                       : sweep_first(&scene, operation, &random);
    return go_on && seconds_now() - started < limits.seconds;
}

static bool sweep_all(unsigned char *memory)
{
    uint64_t total = 4 * (uint64_t)setup_count * (uint64_t)start_count * OPERATIONS *
                     (limits.mode == RESUME ? OTHERS : 1);
    struct shuffle shuffle = shuffle_make(total, limits.seed);
    for (uint64_t i = 0; (double)i < (double)total * limits.share; i++)
        if (!sweep_index(shuffle_at(&shuffle, i), memory))
            return false;
    return true;
}

static void read_arguments(int count, char **arguments)
{
    static const struct option options[] = {{"mode", 1, NULL, 'm'},  {"by", 1, NULL, 'b'},
                                            {"share", 1, NULL, 'f'}, {"seconds", 1, NULL, 's'},
                                            {"seed", 1, NULL, 'r'},  {"setup", 1, NULL, 'u'},
                                            {"start", 1, NULL, 'a'}, {"go-on", 0, NULL, 'g'},
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
        case '2':
            limits.second_share = atof(optarg);
            break;
        case 's':
            limits.seconds = atof(optarg);
            break;
        case 'r':
            limits.seed = strtoull(optarg, NULL, 0);
            break;
        case 'u':
            limits.setup = optarg;
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
}

int main(int count, char **arguments)
{
    static const char *const names[] = {"single", "pair", "resume"};
    read_arguments(count, arguments);
    unsigned char *memory =
        mmap(NULL, IMAGE_MAX + 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        printf("no memory\n");
        return 1;
    }
    if (limits.mode == RESUME && limits.kind == BY_PTRACE) {
        printf("what is stepped by ptrace can not be put back\n");
        return 2;
    }
    shared_results = (struct result *)(void *)(memory + IMAGE_MAX);
    started = seconds_now();
    bool all = sweep_all(memory);
    printf(
        "sweep %s: %ld combinations, %ld places, %ld different ones checked, %ld instructions, seed %llu, "
        "%.1f s%s: %d faults\n",
        names[limits.mode], combinations, places, checked, steps, (unsigned long long)limits.seed,
        seconds_now() - started, all || failures > 0 ? "" : " (out of time)", failures);
    tried(&(struct tried){.program = "crash-sweep",
                          .scenes = (uint64_t)combinations,
                          .places = (uint64_t)places,
                          .pairs = limits.mode == PAIR ? (uint64_t)places : 0,
                          .stopped = limits.mode == RESUME ? (uint64_t)places : 0,
                          .killed = limits.mode == RESUME ? 0 : (uint64_t)places});
    return failures > 0;
}
