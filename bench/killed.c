/*
 * killed.c - what the others see when a process is killed, and what is left behind.
 *
 * Three generations, so that nothing gets a chance to tidy up:
 *
 *   box       has IPC and mount namespaces of its own (box.h); looks at what is left in them at
 *             the end; whatever that is, it vanishes with the box
 *   holder    sets the system up, starts the two workers, kills one, observes the other, then kills
 *             that one and itself, so teardown() never runs
 *   workers   one sends without end, one receives without end
 *
 * Where such namespaces are not to be had, nothing would clear away what is left: then the holder
 * tears down as usual, and nobody looks.
 */
#include "killed.h"

#include "box.h"
#include "loops.h"
#include "output.h"
#include "worker.h"

#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MILLISECOND UINT64_C(1000000)
/* Until the first messages have moved. */
#define START_NS (60000 * MILLISECOND)
/* Then so much longer, so that the kill finds them in full flow. */
#define FLOW_NS        (5 * MILLISECOND)
#define MESSAGES_LEAST 8u

enum { RECEIVER, SENDER }; /* sides: 0 receives, 1 sends, as in a rate */

struct shared {
    struct {
        _Alignas(128) _Atomic uint64_t moved;
        _Atomic uint32_t joined, ended;
        int error;         /* of the call that ended it; valid when `ended` is set */
        uint64_t ended_ns; /* when */
        char reason[BENCH_REASON];
    } side[BENCH_SIDES];
    bool measured;
    char reason[BENCH_REASON];
    struct bench_outcome outcome;
    int left_count;
    char left[BENCH_LEFT_MAX][96];
};

struct scene {
    struct shared *shared;
    struct bench_run *run;
    const struct bench_cpus *cpus;
    uint64_t observe_ns;
    int victim;
    bool boxed;      /* whatever is left vanishes with the box */
    int worker_side; /* in a worker */
};

/* ---- workers -------------------------------------------------------------------------------- */

static int move_one(struct bench_run *run, unsigned char *message, uint64_t number)
{
    size_t size = run->setting.size;

    if (run->side == RECEIVER)
        return run->system->recv(run->state, BENCH_TO_0, message, size);
    bench_stamp(message, size, number);
    return run->system->send(run->state, BENCH_TO_0, message, size);
}

static void work(void *argument)
{
    struct scene *scene = argument;
    struct bench_run *run = scene->run;
    int side = scene->worker_side;
    unsigned char *message = calloc(1, run->setting.size);
    uint64_t moved = 0;
    int error = message ? 0 : -ENOMEM;

    signal(SIGPIPE, SIG_IGN);
    run->side = side;
    if (!error && run->system->join)
        error = run->system->join(run);
    if (error < 0)
        snprintf(scene->shared->side[side].reason, BENCH_REASON, "%s",
                 run->reason[0] ? run->reason : strerror(-error));
    else
        atomic_store(&scene->shared->side[side].joined, 1);
    while (error >= 0 && (error = move_one(run, message, moved)) >= 0)
        atomic_store_explicit(&scene->shared->side[side].moved, ++moved, memory_order_relaxed);
    scene->shared->side[side].error = error;
    scene->shared->side[side].ended_ns = bench_now();
    atomic_store(&scene->shared->side[side].ended, 1);
    for (;;)
        pause(); /* with all that it has open */
}

/* ---- the holder ----------------------------------------------------------------------------- */

static void nap(void)
{
    (void)poll(NULL, 0, 1);
}

/* Both joined and moved the first messages; else says what is wrong. */
static bool wait_for_flow(struct scene *scene)
{
    struct shared *shared = scene->shared;
    uint64_t deadline = bench_now() + START_NS;
    bool left = false;

    while (bench_now() < deadline) {
        bool joined = atomic_load(&shared->side[RECEIVER].joined) &&
                      atomic_load(&shared->side[SENDER].joined);

        if (joined && !left && scene->run->system->leave)
            scene->run->system->leave(scene->run);
        left |= joined;
        if (atomic_load(&shared->side[RECEIVER].moved) >= MESSAGES_LEAST)
            return true;
        for (int side = 0; side < BENCH_SIDES; side++) {
            if (!atomic_load(&shared->side[side].ended))
                continue;
            snprintf(shared->reason, sizeof shared->reason, "%s",
                     shared->side[side].reason[0] ? shared->side[side].reason
                                                  : strerror(-shared->side[side].error));
            return false;
        }
        nap();
    }
    snprintf(shared->reason, sizeof shared->reason, "no messages within %d s",
             (int)(START_NS / (1000 * MILLISECOND)));
    return false;
}

static void observe(struct scene *scene, uint64_t killed_ns)
{
    struct shared *shared = scene->shared;
    int survivor = !scene->victim;
    uint64_t end = killed_ns + scene->observe_ns, moved = 0, now;

    while ((now = bench_now()) < end && !atomic_load(&shared->side[survivor].ended)) {
        /* A channel may be filled or emptied for a while; later than that it really goes on. */
        if (now < killed_ns + scene->observe_ns / 4 * 3)
            moved = atomic_load(&shared->side[survivor].moved);
        nap();
    }
    shared->outcome.after_ms = (double)(now - killed_ns) / 1e6;
    if (atomic_load(&shared->side[survivor].ended)) {
        double after = ((double)shared->side[survivor].ended_ns - (double)killed_ns) / 1e6;

        shared->outcome.what = BENCH_TOLD;
        shared->outcome.error = shared->side[survivor].error;
        shared->outcome.after_ms = after > 0 ? after : 0;
    } else {
        shared->outcome.what =
            atomic_load(&shared->side[survivor].moved) != moved ? BENCH_GOES_ON : BENCH_WAITS;
    }
    shared->measured = true;
}

static void hold(void *argument)
{
    struct scene *scene = argument;
    struct shared *shared = scene->shared;
    struct bench_child children[BENCH_SIDES] = {BENCH_NO_CHILD, BENCH_NO_CHILD};
    int error = scene->run->system->setup(scene->run);

    if (error) {
        snprintf(shared->reason, sizeof shared->reason, "%s",
                 scene->run->reason[0] ? scene->run->reason : strerror(-error));
        return;
    }
    for (int side = 0; side < BENCH_SIDES && !error; side++) {
        scene->worker_side = side;
        error = bench_child_start(&children[side], scene->cpus->side[side], work, scene);
    }
    if (!error && wait_for_flow(scene)) {
        uint64_t end = bench_now() + FLOW_NS;

        while (bench_now() < end)
            nap();
        bench_child_end(&children[scene->victim]);
        observe(scene, bench_now());
    }
    for (int side = 0; side < BENCH_SIDES; side++)
        bench_child_end(&children[side]);
    if (scene->boxed)
        kill(getpid(), SIGKILL);
    scene->run->system->teardown(scene->run);
}

/* ---- what is left behind --------------------------------------------------------------------- */

static struct shared *left_in; /* nftw() passes nothing through */

static void note_left(const char *what, unsigned long long size)
{
    char text[YK_SIZE_TEXT];

    if (left_in->left_count < BENCH_LEFT_MAX)
        snprintf(left_in->left[left_in->left_count], sizeof left_in->left[0], "%.64s (%s)", what,
                 yk_format_size(text, size));
    left_in->left_count++;
}

/* Directories are no burden; what is in them may be. Lock files of no bytes count, too. */
static int note_file(const char *path, const struct stat *facts, int type, struct FTW *walk)
{
    (void)walk;
    if (type != FTW_D && type != FTW_DP && type != FTW_DNR)
        note_left(path, (unsigned long long)facts->st_size);
    return 0;
}

/* /proc/sysvipc: a line of titles, then one for each object. */
static void note_ipc(const char *path, const char *what)
{
    FILE *file = fopen(path, "re");
    unsigned long long size;
    char line[400];
    bool title = true;

    if (!file)
        return;
    for (; fgets(line, sizeof line, file); title = false)
        if (!title && sscanf(line, "%*s %*s %*s %llu", &size) == 1)
            note_left(what, size);
    fclose(file);
}

static void look_around(struct shared *shared)
{
    static const char *const places[] = {"/dev/shm", "/tmp", "/dev/mqueue"};

    left_in = shared;
    shared->left_count = 0;
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
        (void)nftw(places[i], note_file, 16, FTW_PHYS | FTW_MOUNT);
    note_ipc("/proc/sysvipc/shm", "System V segment");
    note_ipc("/proc/sysvipc/sem", "System V semaphores");
    note_ipc("/proc/sysvipc/msg", "System V queue");
}

static void box(void *argument)
{
    struct scene *scene = argument;
    struct bench_child holder = BENCH_NO_CHILD;

    scene->boxed = bench_box_enter();
    scene->shared->left_count = -1;
    if (bench_child_start(&holder, -1, hold, scene) == 0)
        while (waitpid(holder.pid, &holder.status, 0) < 0 && errno == EINTR)
            ;
    if (scene->boxed)
        look_around(scene->shared);
}

/* ---- in the tool ---------------------------------------------------------------------------- */

static int observe_one(struct bench_killed *killed, struct scene *scene,
                       struct bench_outcome *ret_outcome)
{
    struct shared *shared = scene->shared;
    int error;

    memset(shared, 0, sizeof *shared);
    error = bench_box_run(box, scene);
    if (error)
        return error;
    *ret_outcome = shared->outcome;
    killed->measured = shared->measured;
    memcpy(killed->reason, shared->reason, sizeof killed->reason);
    /* The two kills may leave different things: the worse counts. */
    if (shared->left_count >= killed->left_count) {
        killed->left_count = shared->left_count;
        memcpy(killed->left, shared->left, sizeof killed->left);
    }
    return 0;
}

int bench_killed_observe(const struct bench_system *system, const struct bench_setting *setting,
                         uint64_t ns, const struct bench_cpus *cpus,
                         struct bench_killed *ret_killed)
{
    struct bench_run run = {.system = system, .setting = *setting, .side = BENCH_PARENT};
    struct bench_killed killed = {
        .system = system, .mode = setting->mode, .size = setting->size, .left_count = -1};
    struct scene scene = {.run = &run, .cpus = cpus, .observe_ns = ns, .victim = RECEIVER};
    int error;

    scene.shared = bench_map_shared(sizeof *scene.shared);
    if (!scene.shared)
        return -ENOMEM;
    error = observe_one(&killed, &scene, &killed.after_receiver);
    if (!error && killed.measured) {
        scene.victim = SENDER;
        error = observe_one(&killed, &scene, &killed.after_sender);
    }
    bench_unmap_shared(scene.shared, sizeof *scene.shared);
    if (!error)
        *ret_killed = killed;
    return error;
}

/* ---- in words ------------------------------------------------------------------------------- */

char *bench_outcome_text(char text[BENCH_OUTCOME_TEXT], const struct bench_outcome *outcome,
                         bool receives)
{
    const char *name = strerrorname_np(-outcome->error);

    if (outcome->what == BENCH_TOLD && receives && outcome->error == -EPIPE)
        snprintf(text, BENCH_OUTCOME_TEXT, "end of file after %.1f ms", outcome->after_ms);
    else if (outcome->what == BENCH_TOLD)
        snprintf(text, BENCH_OUTCOME_TEXT, "%s after %.1f ms", name ? name : "an error",
                 outcome->after_ms);
    else
        snprintf(text, BENCH_OUTCOME_TEXT, "%s (observed for %.1f s)",
                 outcome->what == BENCH_WAITS ? "waits" : "goes on", outcome->after_ms / 1000);
    return text;
}

char *bench_left_text(char text[BENCH_LEFT_TEXT], const struct bench_killed *killed)
{
    size_t length = 0;

    if (killed->left_count <= 0) {
        snprintf(text, BENCH_LEFT_TEXT, "%s",
                 killed->left_count == 0 ? "nothing" : "not looked at: no namespaces here");
        return text;
    }
    for (int i = 0; i < killed->left_count && i < BENCH_LEFT_MAX; i++)
        length += (size_t)snprintf(text + length, BENCH_LEFT_TEXT - length, "%s%s", i ? ", " : "",
                                   killed->left[i]);
    if (killed->left_count > BENCH_LEFT_MAX)
        snprintf(text + length, BENCH_LEFT_TEXT - length, ", and %d more",
                 killed->left_count - BENCH_LEFT_MAX);
    return text;
}
