/*
 * crew.c - see crew.h.
 */
#include "crew.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Only against hanging: a machine may stand still for a minute. */
#define WEDGED_NS     (INT64_C(120000) * MS)
#define HANGS_SECONDS 600

struct board *board;
void (*crew_began)(uint64_t random);

/* ---- chance ---- */

uint64_t random_next(uint64_t *state)
{
    uint64_t value = *state += UINT64_C(0x9E3779B97F4A7C15);
    value = (value ^ value >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    value = (value ^ value >> 27) * UINT64_C(0x94D049BB133111EB);
    return value ^ value >> 31;
}

uint32_t below(uint64_t *state, uint32_t limit)
{
    return (uint32_t)((random_next(state) >> 32) * limit >> 32);
}

bool one_in(uint64_t *state, uint32_t n)
{
    return below(state, n) == 0;
}

int64_t some_time(uint64_t *state)
{
    static const int64_t times[] = {0, 0, 1 * MS, 20 * MS, 5000 * MS};
    return times[below(state, sizeof times / sizeof times[0])];
}

/* ---- failing, and going on ---- */

static int64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

void wrong(const char *format, ...)
{
    va_list arguments;
    if (atomic_fetch_add(&board->failures, 1) > 0)
        return;
    va_start(arguments, format);
    vsnprintf(board->text, sizeof board->text, format, arguments);
    va_end(arguments);
}

static void came_about(void)
{
    atomic_store_explicit(&board->progress_ns, (unsigned long long)now(), memory_order_relaxed);
}

bool go_on(void)
{
    int64_t last = (int64_t)atomic_load_explicit(&board->progress_ns, memory_order_relaxed);
    if (atomic_load(&board->failures) == 0 && now() - last > WEDGED_NS)
        wrong("nothing came about for %lld s", (long long)(WEDGED_NS / (1000 * MS)));
    return atomic_load(&board->failures) == 0;
}

bool went(int64_t result, const char *what)
{
    if (result >= 0)
        return true;
    if (result == -EAGAIN || result == -ETIMEDOUT)
        sched_yield();
    else
        wrong("%s: %s (%s)", what, strerror((int)-result), yoke_explain());
    return false;
}

/* ---- what came ---- */

void note_arrival(uint32_t sender, uint32_t number)
{
    if (atomic_fetch_add(&board->seen[sender][number], 1) > 0)
        wrong("number %u of sender %u came twice", number, sender);
    came_about();
    atomic_fetch_add(&board->arrived, 1);
}

bool all_arrived(const struct round *round)
{
    return atomic_load(&board->arrived) >= (uint64_t)round->senders * round->each;
}

void check_order(uint32_t *last, uint32_t sender, uint32_t number)
{
    if (atomic_load(&board->returned[sender][number]))
        return;
    if (number < *last)
        wrong("number %u of sender %u came after number %u", number, sender, *last - 1);
    *last = number + 1;
}

static unsigned char byte_of(uint32_t sender, uint32_t number, size_t i)
{
    return (unsigned char)(sender * 41 + number * 7 + i);
}

void packet_fill(void *where, uint32_t sender, uint32_t number, size_t size)
{
    struct packet *packet = where;
    packet->sender = sender;
    packet->number = number;
    for (size_t i = 0; i + sizeof *packet < size; i++)
        packet->bytes[i] = byte_of(sender, number, i);
}

bool packet_check(const struct round *round, const void *where, size_t size, uint32_t *ret_sender,
                  uint32_t *ret_number)
{
    const struct packet *packet = where;
    if (size < sizeof *packet || packet->sender >= round->senders ||
        packet->number >= round->each) {
        wrong("a message of %zu bytes that nobody sent", size);
        return false;
    }
    for (size_t i = 0; i + sizeof *packet < size; i++) {
        if (packet->bytes[i] != byte_of(packet->sender, packet->number, i)) {
            wrong("byte %zu of number %u of sender %u is another one's", i, packet->number,
                  packet->sender);
            return false;
        }
    }
    *ret_sender = packet->sender;
    *ret_number = packet->number;
    return true;
}

/* ---- a round ---- */

struct worker *add_worker(struct round *round, uint32_t role, bool sends)
{
    struct worker *worker = &round->worker[round->workers];
    *worker = (struct worker){
        .number = round->workers++,
        .sender = sends ? round->senders++ : UINT32_MAX,
        .process = below(&round->random, round->processes),
        .handle = below(&round->random, HANDLES_MAX - 1),
        .role = role,
        .random = random_next(&round->random),
    };
    return worker;
}

static bool uses(const struct round *round, uint32_t process, uint32_t handle)
{
    for (uint32_t i = 0; i < round->workers; i++) {
        if (round->worker[i].process == process && round->worker[i].handle == handle)
            return true;
    }
    return false;
}

void wait_for_all(const struct round *round)
{
    uint32_t handles = 0;
    for (uint32_t process = 0; process < round->processes; process++) {
        for (uint32_t handle = 0; handle < HANDLES_MAX; handle++)
            handles += uses(round, process, handle);
    }
    while (atomic_load(&board->opened) < handles && go_on())
        sched_yield();
}

struct job {
    struct round *round;
    struct worker *worker;
    void *handle;
};

static void *run_worker(void *argument)
{
    struct job *job = argument;
    if (crew_began)
        crew_began(job->worker->random);
    job->round->scene->work(job->round, job->worker, job->handle);
    atomic_fetch_add(&board->finished, 1);
    return NULL;
}

static void run_process(struct round *round, uint32_t process)
{
    void *handles[HANDLES_MAX] = {NULL};
    struct job jobs[WORKERS_MAX];
    pthread_t threads[WORKERS_MAX];
    uint32_t count = 0;
    if (crew_began)
        crew_began(round->random + process);
    for (uint32_t handle = 0; handle < HANDLES_MAX; handle++) {
        if (!uses(round, process, handle))
            continue;
        handles[handle] = round->scene->open(round, process, handle);
        atomic_fetch_add(&board->opened, 1);
    }
    for (uint32_t i = 0; i < round->workers; i++) {
        struct worker *worker = &round->worker[i];
        if (worker->process != process)
            continue;
        jobs[count] = (struct job){round, worker, handles[worker->handle]};
        if (pthread_create(&threads[count], NULL, run_worker, &jobs[count]) == 0)
            count++;
        else
            wrong("no thread");
    }
    for (uint32_t i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    for (uint32_t handle = 0; handle < HANDLES_MAX; handle++) {
        if (handles[handle] && handles[handle] != round->anchor)
            round->scene->close(handles[handle], handle);
    }
}

static void start_process(struct round *round, uint32_t process, pid_t *ret_child)
{
    *ret_child = fork();
    if (*ret_child != 0) {
        if (*ret_child < 0)
            wrong("no process: %s", strerror(errno));
        return;
    }
    alarm(HANGS_SECONDS); /* which a fork does not pass on */
    run_process(round, process);
    if (round->anchor)
        round->scene->close(round->anchor, 0);
    _exit(0);
}

static void run_round(const struct scene *scene, uint64_t seed, uint32_t number, uint32_t processes,
                      uint32_t each)
{
    pid_t children[PROCESSES_MAX] = {0};
    struct round round = {.scene = scene, .each = each, .descriptors = {-1, -1}};
    round.random = seed + number;
    random_next(&round.random);
    round.processes =
        processes > 1 && !scene->one_process ? 1 + below(&round.random, processes) : 1;
    snprintf(round.name, sizeof round.name, "%s%u", scene->name, number);
    memset(board, 0, sizeof *board);
    came_about();
    alarm(HANGS_SECONDS);
    scene->plan(&round);
    if (scene->prepare)
        scene->prepare(&round);
    for (uint32_t process = 1; process < round.processes && go_on(); process++)
        start_process(&round, process, &children[process]);
    if (go_on())
        run_process(&round, 0);
    for (uint32_t process = 1; process < round.processes; process++) {
        int status = 0;
        if (children[process] > 0 && waitpid(children[process], &status, 0) == children[process] &&
            status != 0)
            wrong("process %u ended with status 0x%x", process, status);
    }
    if (go_on() && !all_arrived(&round))
        wrong("%llu of %u numbers came", (unsigned long long)atomic_load(&board->arrived),
              round.senders * round.each);
    if (go_on() && scene->check)
        scene->check(&round);
    if (scene->dispose)
        scene->dispose(&round);
    alarm(0);
}

/* ---- the program ---- */

static struct {
    uint64_t seed;
    double seconds;
    uint32_t rounds, each;
    const char *scene;
    uint32_t first;
} options = {.seed = 1, .seconds = 10, .each = 200};

static bool parse(int argc, char **argv)
{
    for (int i = 1; i + 1 < argc; i += 2) {
        char *end = argv[i + 1];
        if (strcmp(argv[i], "--seed") == 0)
            options.seed = strtoull(argv[i + 1], &end, 0);
        else if (strcmp(argv[i], "--seconds") == 0)
            options.seconds = strtod(argv[i + 1], &end);
        else if (strcmp(argv[i], "--rounds") == 0)
            options.rounds = (uint32_t)strtoul(argv[i + 1], &end, 0);
        else if (strcmp(argv[i], "--first") == 0)
            options.first = (uint32_t)strtoul(argv[i + 1], &end, 0);
        else if (strcmp(argv[i], "--each") == 0)
            options.each = (uint32_t)strtoul(argv[i + 1], &end, 0);
        else if (strcmp(argv[i], "--scene") == 0)
            options.scene = argv[i + 1];
        if (end != argv[i + 1] && *end == '\0')
            continue;
        if (strcmp(argv[i], "--scene") != 0)
            return false;
    }
    return argc % 2 == 1 && options.each > 0 && options.each <= NUMBERS_MAX;
}

/* Each scene has its share of the time; one round of it is run in any case. */
static bool run_scene(const struct scene *scene, uint32_t processes, double seconds)
{
    int64_t end = now() + (int64_t)(seconds * 1e9);
    uint32_t number = options.first, rounds = 0;
    do {
        run_round(scene, options.seed * 1000003, number, processes, options.each);
        rounds++;
        if (atomic_load(&board->failures) > 0) {
            printf("# %s: %s (and %u more)\n", scene->name, board->text,
                   atomic_load(&board->failures) - 1);
            printf(
                "# again, as far as chance allows: --scene %s --seed %llu --first %u --rounds 1\n",
                scene->name, (unsigned long long)options.seed, number);
            return false;
        }
        number++;
    } while (options.rounds > 0 ? rounds < options.rounds : now() < end);
    printf("# %s: %u rounds\n", scene->name, rounds);
    return true;
}

int crew_main(int argc, char **argv, uint32_t processes)
{
    uint32_t ran = 0, failed = 0;
    if (!parse(argc, argv)) {
        fprintf(stderr,
                "usage: %s [--seed N] [--seconds S] [--each N] [--scene NAME [--first ROUND] "
                "[--rounds N]]\n",
                argv[0]);
        return 2;
    }
    board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (board == MAP_FAILED) {
        perror("mmap");
        return 99;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    uint32_t count = 0;
    while (scenes[count])
        count++;
    for (uint32_t i = 0; i < count; i++) {
        if (options.scene && strcmp(options.scene, scenes[i]->name) != 0)
            continue;
        bool good = run_scene(scenes[i], processes,
                              options.scene ? options.seconds : options.seconds / count);
        printf("%sok %u - %s\n", good ? "" : "not ", ++ran, scenes[i]->name);
        failed += !good;
    }
    printf("1..%u\n", ran);
    return failed > 0 || ran == 0;
}
