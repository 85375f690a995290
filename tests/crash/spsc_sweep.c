/*
 * spsc_sweep - kills, or stops, one side of a link after every single instruction of every operation.
 *
 * The operations are those of the optimised objects that ship, stepped through one instruction at a time
 * (stepper.h); wherever the shared memory or the ledger has changed, the questions of spsc_model.h are put to a copy.
 *
 *   single  one operation
 *   pair    the first stops at each of its states; there the other side, or who comes after a dead one, is stepped
 *           through an operation of its own: among them the recovery, which dies in its turn
 *   resume  the first stops at each *instruction*, the other side runs whole operations, the first goes on to its end
 *
 * usage: spsc_sweep [--mode single|pair|resume] [--by trap|ptrace] [--share F] [--seconds N] [--seed N]
 *                   [--setup NAME] [--start NAME] [--go-on]
 */
#include "spsc_model.h"
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
} limits = {.share = 1, .second_share = 0.3, .seconds = 1e9, .seed = 1};

/* What all see: the image, the world, the tasks of those who are stepped. */
static struct shared {
    unsigned char image[SPSC_IMAGE_MAX] __attribute__((aligned(128)));
    struct spsc_world world;
    struct spsc_task tasks[2];
} * shared;

struct snapshot {
    unsigned char image[SPSC_IMAGE_MAX];
    struct spsc_world world;
};

static struct stepper steppers[2];
static struct seen seen;
static long steps, places, checked, combinations;
static int failures;
static double started;

struct scene {
    const struct spsc_setup *setup;
    int start;
    bool wrap;
};

static void keep(struct snapshot *to)
{
    memcpy(to->image, spsc_image, spsc_image_size);
    memcpy(&to->world, spsc_world, sizeof to->world);
}

static void put_back(const struct snapshot *from)
{
    memcpy(spsc_image, from->image, spsc_image_size);
    memcpy(spsc_world, &from->world, sizeof from->world);
}

static void one_step(int number)
{
    stepper_step(&steppers[number]);
    steps++;
}

static bool fault(const struct scene *scene, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static bool fault(const struct scene *scene, const char *format, ...)
{
    va_list arguments;
    failures++;
    printf("FAULT setup %s%s, start %s, ", scene->setup->name, scene->wrap ? ", stamps wrap" : "",
           spsc_start_name(scene->start));
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf(": %s\n", why);
    fflush(stdout);
    return limits.go_on && failures < 20;
}

static const char *name_of(int number)
{
    return spsc_operation_names[shared->tasks[number].operation];
}

/* Something has changed since `last` that the others, or the ledger, can know of. */
static bool has_changed(struct snapshot *last)
{
    bool same = memcmp(last->image, spsc_image, spsc_image_size) == 0 &&
                memcmp(&last->world.ledger, &spsc_world->ledger, sizeof last->world.ledger) == 0;
    if (!same)
        keep(last);
    return !same;
}

/* What is private to who stands still matters to nobody; what the other one has does. */
static bool is_new(void)
{
    uint64_t hash = hash_bytes(spsc_image, spsc_image_size, 0);
    hash = hash_bytes(&spsc_world->ledger, sizeof spsc_world->ledger, hash);
    if (!spsc_world->ledger.sender_busy)
        hash = hash_bytes(spsc_world->senders, sizeof spsc_world->senders, hash);
    if (!spsc_world->ledger.receiver_busy)
        hash = hash_bytes(spsc_world->receivers, sizeof spsc_world->receivers, hash);
    if (seen.used > 2000000)
        seen_clear(&seen);
    return seen_add(&seen, hash);
}

static bool place_is_well(void)
{
    checked++;
    return spsc_all_is_well();
}

/* ---- one operation; at each of its states perhaps a second one ---- */

/* The other side; or who comes after the first one, which is dead then. */
static bool may_be_second(uint32_t first, uint32_t second)
{
    if (spsc_is_senders(first) != spsc_is_senders(second))
        return true;
    return second == OP_RECOVER || second == OP_RESUME_RECEIVER || second == OP_RESUME_SENDER;
}

static bool step_second(const struct scene *scene, uint32_t operation, long at)
{
    static struct snapshot last;
    struct spsc_task *task = &shared->tasks[1];
    uint32_t first = shared->tasks[0].operation;
    bool succeeds = spsc_is_senders(operation) == spsc_is_senders(first);
    *task = (struct spsc_task){.operation = operation, .process = succeeds, .id = 600};
    if (!spsc_prepare(task))
        return true;
    stepper_begin(&steppers[1]);
    keep(&last);
    for (long number = 0;; number++) {
        bool done = task->done;
        places++;
        if ((number == 0 || done || has_changed(&last)) && is_new() && !place_is_well() &&
            !fault(scene, "1 stands at %s@%ld, 2 at %s@%ld%s", name_of(0), at, name_of(1), number,
                   done ? " (done)" : ""))
            return false;
        if (done)
            return true;
        one_step(1);
    }
}

static bool step_all_seconds(const struct scene *scene, long at, uint64_t *random)
{
    static struct snapshot kept;
    keep(&kept);
    bool go_on = true;
    for (uint32_t other = OP_NONE + 1; other < SPSC_OPERATIONS && go_on; other++) {
        if (!may_be_second(shared->tasks[0].operation, other) ||
            !random_chance(random, other == OP_RECOVER ? 1 : limits.second_share))
            continue;
        go_on = step_second(scene, other, at);
        put_back(&kept);
    }
    return go_on;
}

static bool sweep_first(const struct scene *scene, uint64_t *random)
{
    static struct snapshot last;
    struct spsc_task *task = &shared->tasks[0];
    stepper_begin(&steppers[0]);
    keep(&last);
    seen_clear(&seen);
    for (long number = 0;; number++) {
        bool done = task->done;
        places++;
        if (number == 0 || done || has_changed(&last)) {
            if (is_new() && !place_is_well() &&
                !fault(scene, "1 stands at %s@%ld%s", name_of(0), number, done ? " (done)" : ""))
                return false;
            if (limits.mode == PAIR && !step_all_seconds(scene, number, random))
                return false;
        }
        if (done)
            return true;
        one_step(0);
    }
}

/* ---- stop and resume ---- */

/* What the other side does meanwhile, in turn; each script as often as it says. */
static const struct script {
    int rounds;
    uint32_t operations[6];
    int count;
} sender_scripts[] =
    {
        {6, {OP_SEND}, 1},
        {3, {OP_SEND_BUFFERED, OP_SEND_TAGGED}, 2},
        {2, {OP_LOAN, OP_SEND, OP_COMMIT, OP_SEND_TWO}, 4},
        {1, {OP_RESUME_SENDER, OP_SEND, OP_SEND_BUFFERED, OP_SEND, OP_SEND}, 5},
        {2, {OP_SEND_TWO, OP_LOAN, OP_CANCEL, OP_SEND}, 4},
},
  receiver_scripts[] = {
      {1, {OP_RECV}, 1},
      {6, {OP_RECV}, 1},
      {1, {OP_TAKE, OP_TAKE, OP_RELEASE_LAST, OP_TAKE, OP_RELEASE, OP_RELEASE}, 6},
      {2, {OP_TAKE, OP_RETURN, OP_TAKE, OP_RELEASE}, 4},
      {1, {OP_RECOVER, OP_RESUME_RECEIVER, OP_RECV, OP_RECV, OP_RECV, OP_RECV}, 6},
      {1, {OP_TAKE, OP_TAKE, OP_RECOVER, OP_RESUME_RECEIVER, OP_RECV, OP_TAKE}, 6},
};
#define SCRIPTS(a)   ((int)(sizeof(a) / sizeof((a)[0])))
#define SCRIPTS_MOST 6
#define BIG_SHARE    0.1

static void run_script(const struct script *script)
{
    uint32_t process = 0;
    for (int i = 0; i < script->rounds * script->count; i++) {
        struct spsc_task task = {.operation = script->operations[i % script->count],
                                 .process = process,
                                 .id = 700 + 10 * (uint32_t)i};
        if (task.operation == OP_RESUME_RECEIVER || task.operation == OP_RESUME_SENDER)
            task.process = process = 1;
        if (spsc_prepare(&task))
            spsc_run(&task);
    }
}

static bool resume_here(const struct scene *scene, int number, const struct script *script, long at)
{
    static struct snapshot kept;
    struct spsc_task before = shared->tasks[0];
    bool go_on = true;
    keep(&kept);
    stepper_keep(&steppers[0]);
    run_script(script);
    if (!shared->tasks[0].done)
        stepper_run_on(&steppers[0]);
    places++;
    if (!place_is_well())
        go_on = fault(scene, "1 stood at %s@%ld, the other did script %d, 1 went on", name_of(0),
                      at, number);
    put_back(&kept);
    shared->tasks[0] = before;
    stepper_put_back(&steppers[0]);
    return go_on;
}

static bool resume_first(const struct scene *scene, int number)
{
    bool sends = spsc_is_senders(shared->tasks[0].operation);
    if (number >= (sends ? SCRIPTS(receiver_scripts) : SCRIPTS(sender_scripts)))
        return true;
    const struct script *script = sends ? &receiver_scripts[number] : &sender_scripts[number];
    bool go_on = true;
    stepper_begin(&steppers[0]);
    for (long at = 0; go_on; at++) {
        go_on = resume_here(scene, number, script, at);
        if (shared->tasks[0].done)
            break;
        one_step(0);
    }
    return go_on;
}

/* ---- all of it ---- */

static void run_task(void *task)
{
    spsc_run(task);
}

/* A stepped process has a copy of what describes the world: a new one when that changes. */
static void open_scene(const struct scene *scene)
{
    static const struct spsc_setup *opened;
    static bool wrapped;
    spsc_open(scene->setup, scene->wrap, shared->image, &shared->world);
    if (opened == scene->setup && wrapped == scene->wrap)
        return;
    for (int i = 0; i < 2; i++) {
        struct spsc_task *task = &shared->tasks[i];
        if (opened != NULL)
            stepper_close(&steppers[i]);
        const char *refused =
            stepper_open(&steppers[i], limits.kind, (struct stepped){run_task, task, &task->done});
        if (refused != NULL) {
            printf("%s\n", refused);
            exit(77);
        }
    }
    opened = scene->setup;
    wrapped = scene->wrap;
}

#define OPERATIONS_HERE ((uint64_t)SPSC_OPERATIONS - 1) /* without OP_NONE */

/* Number `index` of all combinations; in RESUME, the scripts of the other side are part of it. */
static bool sweep_index(uint64_t index)
{
    uint64_t random = limits.seed ^ index << 20;
    struct scene scene = {.wrap = index & 1};
    index /= 2;
    scene.setup = &spsc_setups[index % (uint64_t)spsc_setup_count];
    index /= (uint64_t)spsc_setup_count;
    scene.start = (int)(index % (uint64_t)spsc_start_count);
    index /= (uint64_t)spsc_start_count;
    uint32_t operation = 1 + (uint32_t)(index % OPERATIONS_HERE);
    if ((limits.setup != NULL && strcmp(limits.setup, scene.setup->name) != 0) ||
        (limits.start != NULL && strcmp(limits.start, spsc_start_name(scene.start)) != 0))
        return true;
    /* Copying a big message makes hundreds of states that differ in its bytes only. */
    if (scene.setup->geometry.max_message > 4096 && !random_chance(&random, BIG_SHARE))
        return true;
    open_scene(&scene);
    bool built = spsc_start_build(scene.start);
    shared->tasks[0] = (struct spsc_task){.operation = operation, .id = 500};
    built = built && spsc_prepare(&shared->tasks[0]);
    if (spsc_world->ledger.fault[0] != '\0') {
        spsc_holds_invariants();
        return fault(&scene, "before %s", spsc_operation_names[operation]);
    }
    if (!built)
        return true;
    combinations++;
    bool go_on = limits.mode == RESUME ? resume_first(&scene, (int)(index / OPERATIONS_HERE))
                                       : sweep_first(&scene, &random);
    return go_on && seconds_now() - started < limits.seconds;
}

static bool sweep_all(void)
{
    uint64_t total = 2 * (uint64_t)spsc_setup_count * (uint64_t)spsc_start_count * OPERATIONS_HERE *
                     (limits.mode == RESUME ? SCRIPTS_MOST : 1);
    struct shuffle shuffle = shuffle_make(total, limits.seed);
    for (uint64_t i = 0; (double)i < (double)total * limits.share; i++)
        if (!sweep_index(shuffle_at(&shuffle, i)))
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
    bool all = sweep_all();
    printf(
        "spsc_sweep %s: %ld combinations, %ld places, %ld different ones checked, %ld instructions, seed %llu, "
        "%.1f s%s: %d faults\n",
        names[limits.mode], combinations, places, checked, steps, (unsigned long long)limits.seed,
        seconds_now() - started, all || failures > 0 ? "" : " (out of time)", failures);
    tried(&(struct tried){.program = "crash-spsc_sweep",
                          .scenes = (uint64_t)combinations,
                          .places = (uint64_t)places,
                          .pairs = limits.mode == PAIR ? (uint64_t)places : 0,
                          .stopped = limits.mode == RESUME ? (uint64_t)places : 0,
                          .killed = limits.mode == RESUME ? 0 : (uint64_t)places});
    return failures > 0;
}
