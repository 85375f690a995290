/*
 * far.c - `yoke bench --place nats://...`: what a message to another machine takes, beside the same job done
 * with the servers' own client.
 *
 * In each round every job is done once by each contestant, right after each other and in turns first, so that
 * whatever changes meanwhile on the machine, the network or the servers changes for both; a ratio is
 * taken within a round, and the median of those is reported. The first round warms up and does not count.
 */
#include "far.h"

#include "cli.h"
#include "json.h"
#include "output.h"
#include "rows.h"
#include "stop.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <yoke.h>

#define TRIES_FIRST 32
#define ROUNDS_MOST 1000
#define SLICE_NS    (200 * INT64_C(1000000)) /* for one job of one contestant */
#define SLICE_QUICK (40 * INT64_C(1000000))
#define COUNT_MOST  (1u << 18)
#define HELPER      "nats-direct"

enum { YOKE, CLIENT, CONTESTANTS };
static const char *const contestant_names[CONTESTANTS] = {"yoke", "nats client"};

struct job {
    const char *name, *title;
    enum bench_topic topic;
    bool rate; /* messages a second; else nanoseconds each */
    unsigned burst;
    bool yoke; /* does it, too */
};
static const struct job jobs[] = {
    {"round", "round trip", BENCH_TOPIC_LATENCY, false, 1, true},
    {"ask", "round trip, nothing kept", BENCH_TOPIC_LATENCY, false, 1, false},
    {"many", "rate, several a call", BENCH_TOPIC_RATE, true, BENCH_FAR_BURST, true},
    {"one", "rate, one a call", BENCH_TOPIC_RATE, true, 1, true},
};
#define JOBS (sizeof jobs / sizeof jobs[0])

/* One process: what is written to it and read from it. */
struct worker {
    pid_t pid;
    FILE *out, *in;
};

struct contestant {
    struct worker sides[2];
    bool there;
    char reason[400]; /* why it is not, or not any more */
};

/* What was seen of one job with one size. */
struct far_row {
    const struct job *job;
    size_t size;
    uint64_t count[CONTESTANTS]; /* messages or round trips of the next sample */
    size_t rounds;
    double *values[CONTESTANTS], *ratios; /* of each round; nanoseconds a message */
};

struct far_run {
    const struct bench_far_request *request;
    struct contestant contestants[CONTESTANTS];
    char name[BENCH_FAR_NAME];
    struct far_row *rows;
    size_t row_count;
    uint64_t rounds;
};

/* ---- the processes --------------------------------------------------------------------------- */

static void path_of_helper(char path[512])
{
    const char *directory = secure_getenv("YOKE_PLUGINS");

    snprintf(path, 512, "%s/" HELPER, directory && directory[0] ? directory : YK_PLUGIN_DIRECTORY);
}

static _Noreturn void become_client(const struct far_run *run, int side)
{
    char path[512], number[2] = {(char)('0' + side), '\0'};

    path_of_helper(path);
    setenv("YOKE_BENCH_PLACE", run->request->place,
           1); /* not on the command line, where all can read it */
    execl(path, HELPER, number, run->name, (char *)NULL);
    printf("fail %s: %s\n", path, strerror(errno));
    fflush(stdout);
    _exit(1);
}

static _Noreturn void become_yoke(const struct far_run *run, int side)
{
    struct bench_far far = {.side = side, .place = run->request->place, .name = run->name};

    bench_far_work(&far, &bench_far_yoke);
    fflush(stdout);
    _exit(0);
}

/* The ends of others' sockets are closed with exec, or here: a worker's end of input is to be seen by it. */
static void become(const struct far_run *run, int which, int side, int socket)
{
    for (int i = 0; i < CONTESTANTS; i++)
        for (int k = 0; k < 2; k++)
            if (run->contestants[i].sides[k].pid > 0) {
                close(fileno(run->contestants[i].sides[k].out));
                close(fileno(run->contestants[i].sides[k].in));
            }
    if (dup2(socket, STDIN_FILENO) < 0 || dup2(socket, STDOUT_FILENO) < 0)
        _exit(1);
    if (which == YOKE)
        become_yoke(run, side);
    become_client(run, side);
}

static int start_worker(struct far_run *run, int which, int side)
{
    struct worker *worker = &run->contestants[which].sides[side];
    int sockets[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) < 0)
        return -errno;
    fflush(stdout);
    fflush(stderr);
    pid_t pid = fork();
    if (pid == 0) {
        close(sockets[0]);
        become(run, which, side, sockets[1]);
    }
    close(sockets[1]);
    if (pid < 0) {
        close(sockets[0]);
        return -errno;
    }
    worker->pid = pid;
    worker->out = fdopen(sockets[0], "w");
    worker->in = fdopen(fcntl(sockets[0], F_DUPFD_CLOEXEC, 0), "r");
    if (!worker->out || !worker->in)
        yk_out_of_memory();
    return 0;
}

/* It takes away what it made. */
static void end_worker(struct worker *worker)
{
    if (worker->pid <= 0)
        return;
    fclose(worker->out);
    fclose(worker->in);
    while (waitpid(worker->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    worker->pid = 0;
}

/* Side 1 goes first: the other one made what both have open. */
static void end_contestant(struct contestant *contestant)
{
    end_worker(&contestant->sides[1]);
    end_worker(&contestant->sides[0]);
    contestant->there = false;
}

static void tell(struct contestant *contestant, int side, const char *job, uint64_t number)
{
    fprintf(contestant->sides[side].out, "%s %llu\n", job, (unsigned long long)number);
    fflush(contestant->sides[side].out); /* who is gone is seen when it does not answer */
}

/* Its answer: nanoseconds, -EINTR, or BENCH_FAR_FAIL with the contestant's reason. */
static int64_t hear(struct contestant *contestant, int side)
{
    FILE *in = contestant->sides[side].in;
    struct pollfd ready = {fileno(in), POLLIN, 0};
    char line[400];
    long long ns;

    while (poll(&ready, 1, -1) < 0)
        if (yk_stop_signal())
            return -EINTR;
    if (!fgets(line, sizeof line, in)) {
        snprintf(contestant->reason, sizeof contestant->reason, "its process has ended");
        return BENCH_FAR_FAIL;
    }
    line[strcspn(line, "\n")] = '\0';
    if (sscanf(line, "ok %lld", &ns) == 1)
        return ns;
    snprintf(contestant->reason, sizeof contestant->reason, "%s",
             strncmp(line, "fail ", 5) == 0 ? line + 5 : "it does not answer as it should");
    return BENCH_FAR_FAIL;
}

/* One after the other, where they are not to meet. */
static int64_t tell_both(struct contestant *contestant, int first, const char *job, uint64_t number)
{
    int64_t result = 0;

    for (int i = 0; i < 2 && result >= 0; i++) {
        int side = i == 0 ? first : !first;
        tell(contestant, side, job, number);
        result = hear(contestant, side);
    }
    return result < 0 ? result : 0;
}

/* Side 0 has its clock running when side 1 begins. */
static int64_t do_job(struct contestant *contestant, const struct job *job, uint64_t count)
{
    tell(contestant, 0, job->name, count);
    tell(contestant, 1, job->name, count);
    int64_t other = hear(contestant, 1);
    if (other < 0)
        return other;
    return hear(contestant, 0);
}

/* ---- rounds ---------------------------------------------------------------------------------- */

static bool takes_part(const struct far_run *run, int which, const struct job *job)
{
    return run->contestants[which].there && (which != YOKE || job->yoke);
}

/* The next sample takes about a slice. */
static void choose_count(const struct far_run *run, struct far_row *row, int which, int64_t ns)
{
    double slice = (double)(run->request->quick ? SLICE_QUICK : SLICE_NS);
    double count = (double)row->count[which] * slice / (double)(ns > 0 ? ns : 1);
    double least = row->job->burst > 1 ? 4.0 * BENCH_FAR_BURST : 8;

    count = count < least ? least : count > COUNT_MOST ? COUNT_MOST : count;
    row->count[which] = (uint64_t)count;
}

/* One job by all, the one or the other first. 0, -EINTR, or BENCH_FAR_FAIL: one of them is out. */
static int take_turns(struct far_run *run, struct far_row *row, bool counts)
{
    double value[CONTESTANTS] = {NAN, NAN};

    for (int i = 0; i < CONTESTANTS; i++) {
        int which = (i + (int)run->rounds) % CONTESTANTS;
        if (!takes_part(run, which, row->job))
            continue;
        int64_t ns = yk_stop_signal()
                         ? -EINTR
                         : do_job(&run->contestants[which], row->job, row->count[which]);
        if (ns == -EINTR)
            return -EINTR;
        if (ns < 0) {
            end_contestant(&run->contestants[which]);
            if (which == YOKE)
                return BENCH_FAR_FAIL;
            continue;
        }
        value[which] = (double)ns / (double)row->count[which];
        choose_count(run, row, which, ns);
    }
    if (!counts || row->rounds == ROUNDS_MOST)
        return 0;
    for (int which = 0; which < CONTESTANTS; which++)
        row->values[which][row->rounds] = value[which];
    row->ratios[row->rounds++] = value[YOKE] / value[CLIENT];
    return 0;
}

static int open_all(struct far_run *run, size_t size)
{
    for (int which = 0; which < CONTESTANTS; which++) {
        struct contestant *contestant = &run->contestants[which];
        int64_t result = contestant->there ? tell_both(contestant, 0, "open", size) : 0;
        if (result == -EINTR)
            return -EINTR;
        if (result < 0)
            end_contestant(contestant);
        if (result < 0 && which == YOKE)
            return BENCH_FAR_FAIL;
    }
    return 0;
}

static void close_all(struct far_run *run)
{
    for (int which = 0; which < CONTESTANTS; which++)
        if (run->contestants[which].there)
            (void)tell_both(&run->contestants[which], 1, "close", 0);
}

static bool is_over(const struct far_run *run, uint64_t round, int64_t end)
{
    if (run->request->rounds > 0)
        return round > run->request->rounds;
    return round > 1 && yk_time_monotonic() >= end;
}

/* Round 0 is for finding out how many messages make a sample, and for all to get warm. */
static int measure_size(struct far_run *run, size_t size, int64_t time_ns)
{
    int result = open_all(run, size);
    int64_t end = 0;

    for (uint64_t round = 0; result == 0; round++) {
        if (round == 1)
            end = yk_time_monotonic() + time_ns;
        if (is_over(run, round, end))
            break;
        for (size_t i = 0; i < run->row_count && result == 0; i++)
            if (run->rows[i].size == size)
                result = take_turns(run, &run->rows[i], round > 0);
        run->rounds++;
    }
    if (result == 0)
        close_all(run);
    return result;
}

/* ---- the report ------------------------------------------------------------------------------ */

static bool has(const double *values, size_t count)
{
    return count > 0 && !isnan(values[0]);
}

static const char *value_text(char text[YK_RATE_TEXT], const struct far_row *row,
                              const double *values)
{
    double copy[ROUNDS_MOST];

    if (!has(values, row->rounds))
        return "-";
    memcpy(copy, values, row->rounds * sizeof *copy);
    double value = bench_median(copy, row->rounds);
    return row->job->rate ? yk_format_rate(text, 1e9 / value)
                          : yk_format_time(text, (int64_t)value);
}

static void print_table(struct far_run *run)
{
    static const struct yk_column columns[] = {{"CASE", false}, {"SIZE", true},
                                               {"YOKE", true},  {"NATS CLIENT", true},
                                               {"RATIO", true}, {"SPREAD", true},
                                               {"ROUNDS", true}};
    struct yk_table table;

    yk_table_init(&table, columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < run->row_count; i++) {
        struct far_row *row = &run->rows[i];
        char size[YK_SIZE_TEXT], text[YK_RATE_TEXT];

        yk_table_add(&table, "%s", row->job->title);
        yk_table_add(&table, "%s", yk_format_size_exact(size, row->size));
        for (int which = 0; which < CONTESTANTS; which++)
            yk_table_add(&table, "%s", value_text(text, row, row->values[which]));
        if (has(row->ratios, row->rounds)) {
            yk_table_add(&table, "%.2f", bench_median(row->ratios, row->rounds));
            double spread = bench_spread(row->ratios, row->rounds);
            yk_table_add(&table, isnan(spread) ? "-" : "%.0f %%", 100 * spread);
        } else {
            yk_table_add(&table, "-");
            yk_table_add(&table, "-");
        }
        yk_table_add(&table, "%zu", row->rounds);
    }
    yk_table_print(&table);
    yk_table_fini(&table);
    puts(
        "\nRATIO: what yoke takes for a message, as a multiple of what the NATS C client used directly takes\n"
        "for the same promise (JetStream work queue in files, published with ids and answers, explicit\n"
        "acknowledgements). It is the median of each round's own ratio, so it may differ from the quotient of\n"
        "the columns, which are medians, too. SPREAD: from the 10th to the 90th percentile of those ratios,\n"
        "divided by their median. Nothing kept: request and reply without JetStream, which promises nothing.");
}

static void print_json(struct far_run *run)
{
    for (size_t i = 0; i < run->row_count; i++) {
        struct far_row *row = &run->rows[i];
        yk_json *object = yk_json_object();

        yk_json_string(object, "case", row->job->name);
        yk_json_unsigned(object, "size", row->size);
        yk_json_unsigned(object, "messages_a_call", row->job->burst);
        yk_json_string(object, "unit", row->job->rate ? "messages/s" : "ns");
        for (int which = 0; which < CONTESTANTS; which++)
            if (has(row->values[which], row->rounds)) {
                double value = bench_median(row->values[which], row->rounds);
                yk_json_real(object, which == YOKE ? "yoke" : "nats_client",
                             row->job->rate ? 1e9 / value : value);
            }
        if (has(row->ratios, row->rounds)) {
            double ratio = bench_median(row->ratios, row->rounds);
            double spread = bench_spread(row->ratios, row->rounds);
            yk_json_real(object, "ratio", ratio);
            if (!isnan(spread))
                yk_json_real(object, "ratio_spread", spread);
        }
        yk_json_unsigned(object, "rounds", row->rounds);
        yk_json_print_line(object);
    }
}

/* ---- all of it ------------------------------------------------------------------------------- */

static void plan_rows(struct far_run *run)
{
    const struct bench_far_request *request = run->request;

    run->rows = yk_grow(NULL, request->size_count * JOBS * sizeof *run->rows);
    for (size_t k = 0; k < JOBS; k++)
        for (size_t i = 0; i < request->size_count; i++) {
            if (!(request->topics & 1u << jobs[k].topic))
                continue;
            struct far_row *row = &run->rows[run->row_count++];
            uint64_t first = jobs[k].burst > 1 ? 4 * BENCH_FAR_BURST : TRIES_FIRST;
            *row = (struct far_row){
                .job = &jobs[k], .size = request->sizes[i], .count = {first, first}};
            for (int which = 0; which < CONTESTANTS; which++)
                row->values[which] = yk_grow(NULL, ROUNDS_MOST * sizeof(double));
            row->ratios = yk_grow(NULL, ROUNDS_MOST * sizeof(double));
        }
}

static int start_all(struct far_run *run)
{
    for (int which = 0; which < CONTESTANTS; which++) {
        struct contestant *contestant = &run->contestants[which];
        for (int side = 0; side < 2; side++) {
            int error = start_worker(run, which, side);
            if (error < 0) {
                yk_complain("bench: no process for %s: %s", contestant_names[which],
                            strerror(-error));
                return error;
            }
        }
        contestant->there = true;
    }
    return 0;
}

static void run_fini(struct far_run *run)
{
    for (int which = 0; which < CONTESTANTS; which++)
        end_contestant(&run->contestants[which]);
    for (size_t i = 0; i < run->row_count; i++) {
        for (int which = 0; which < CONTESTANTS; which++)
            free(run->rows[i].values[which]);
        free(run->rows[i].ratios);
    }
    free(run->rows);
}

static int measure(struct far_run *run)
{
    const struct bench_far_request *request = run->request;
    int result = start_all(run);

    for (size_t i = 0; i < request->size_count && result == 0; i++)
        result =
            measure_size(run, request->sizes[i], request->time_ns / (int64_t)request->size_count);
    return result;
}

int bench_far_main(const struct bench_far_request *request)
{
    struct far_run run = {.request = request};

    snprintf(run.name, sizeof run.name, "bench-%ld-%llx", (long)getpid(),
             (unsigned long long)yk_time_real());
    plan_rows(&run);
    yk_stop_install();
    int result = measure(&run);
    if (result == BENCH_FAR_FAIL)
        yk_complain("bench: %s", run.contestants[YOKE].reason);
    for (int which = 0; which < CONTESTANTS && result == 0; which++)
        if (run.contestants[which].reason[0])
            yk_complain("bench: %s was not measured to the end: %s", contestant_names[which],
                        run.contestants[which].reason);
    if (result == 0 && request->json)
        print_json(&run);
    else if (result == 0)
        print_table(&run);
    run_fini(&run);
    return result == 0 ? YK_DONE : result == -EINTR ? YK_STOPPED : YK_FAILED;
}
