/*
 * wordcount - counts the words of a text with several processes, some of which meet with accidents.
 *
 * A sender puts the lines of the text on a port, workers take them and send the counts of their
 * words to another port, a collector adds them up. Half-way a worker is killed while it holds
 * lines, and another one is stopped for a while. The result must be what `sort | uniq -c` says of
 * the same files.
 */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "wordcount.h"

#define TRACED_LINES 20000u /* at most, in the run under ptrace, which is slow */

static const char usage[] =
    "usage: wordcount [--workers N] [--top N] [--quiet] [FILE...]\n"
    "Counts words with several processes that pass messages through yoke.\n"
    "Kills one of them and stops another half-way, and checks the result with sort | uniq -c.\n"
    "Without FILE: /usr/share/common-licenses/* and /usr/share/doc/*/copyright, each file once.\n"
    "\n"
    "  --workers N   worker processes, 2 to 100 (4)\n"
    "  --top N       also print the N most frequent words\n"
    "  --quiet       print nothing but what went wrong\n"
    "  --help        print this\n"
    "\n"
    "Exit status: 0 counted and equal, 1 not, 2 wrong usage, 130 interrupted.\n";

struct settings {
    unsigned workers;
    unsigned long top;
    bool quiet;
};

static bool parse_number(const char *text, unsigned long least, unsigned long most,
                         unsigned long *ret_number)
{
    char *end;

    errno = 0;
    *ret_number = strtoul(text, &end, 10);
    return !errno && *text >= '0' && *text <= '9' && !*end && *ret_number >= least &&
           *ret_number <= most;
}

/* Returns -1 to go on, or the exit status. */
static int parse_options(int count, char **arguments, struct settings *ret_settings)
{
    static const struct option known[] = {{"workers", required_argument, NULL, 'w'},
                                          {"top", required_argument, NULL, 't'},
                                          {"quiet", no_argument, NULL, 'q'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    static char program[] = "wordcount";
    unsigned long number;
    int option;

    *ret_settings = (struct settings){.workers = 4};
    arguments[0] = program; /* for getopt's messages */
    while ((option = getopt_long(count, arguments, "", known, NULL)) != -1) {
        if (option == 'w' && parse_number(optarg, 2, 100, &number)) {
            ret_settings->workers = (unsigned)number;
        } else if (option == 't' && parse_number(optarg, 0, 1000000000, &number)) {
            ret_settings->top = number;
        } else if (option == 'q') {
            ret_settings->quiet = true;
        } else if (option == 'h') {
            fputs(usage, stdout);
            return 0;
        } else {
            if (option == 'w')
                fprintf(stderr, "wordcount: --workers %s: a number from 2 to 100 is needed\n",
                        optarg);
            if (option == 't')
                fprintf(stderr, "wordcount: --top %s: a number is needed\n", optarg);
            fputs("Try wordcount --help.\n", stderr);
            return 2;
        }
    }
    return -1;
}

static void on_signal(int signal)
{
    (void)signal;
    job_over = 1;
}

/* All processes of the job inherit this. No SA_RESTART: who sleeps is woken. */
static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal};

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
}

/* ---- the runs ------------------------------------------------------------------------------ */

struct traced_run {
    struct job job;
    char name[48];
};

static int run_traced(const void *argument)
{
    struct traced_run run = *(const struct traced_run *)argument;
    struct outcome outcome;

    return job_run(&run.job, run.name, &outcome);
}

/* The same job once more, without accidents, to count its system calls. */
static void trace_job(const struct job *job, const char *name, struct report *report)
{
    struct traced_run run = {.job = *job};

    snprintf(run.name, sizeof run.name, "%s-traced", name);
    run.job.total = job->total < TRACED_LINES ? job->total : TRACED_LINES;
    run.job.drama = false;
    run.job.progress = false;
    run.job.table = NULL;
    calls_trace(run_traced, &run, &report->calls);
    report->traced = true;
    report->call_messages = 2 * run.job.total;
}

/* Runs the job, and counts its system calls: as it runs if we may, or else in another run. */
static int run_counted(struct job *job, const char *name, struct report *report)
{
    struct call_watch watch;
    bool watched = calls_watch(&watch);
    int status = job_run(job, name, &report->outcome);

    if (watched) {
        calls_watched(&watch, &report->calls);
        report->call_messages = 2 * job->total;
    } else if (status == 0) {
        trace_job(job, name, report);
    }
    return status;
}

/* What must be true at the end, besides the table. */
static bool all_well(const struct report *report)
{
    const struct outcome *outcome = &report->outcome;
    bool well = true;

    if (outcome->redelivered < outcome->killed_held || outcome->ignored < outcome->killed_sent) {
        fputs("wordcount: what the killed worker held was not delivered again\n", stderr);
        well = false;
    }
    if (report->left.segments || report->left.names) {
        fprintf(stderr, "wordcount: %u segments and %u names were left behind\n",
                report->left.segments, report->left.names);
        well = false;
    }
    return well && report->check == 0;
}

static int count_and_report(const struct text *text, const struct settings *settings, FILE *table)
{
    struct job job = {.text = text,
                      .total = text->pieces,
                      .workers = settings->workers,
                      .drama = true,
                      .progress = !settings->quiet && isatty(STDERR_FILENO),
                      .table = table};
    struct report report = {.traced = false};
    char name[32];
    int status;

    snprintf(name, sizeof name, "wordcount-%d", (int)getpid());
    status = run_counted(&job, name, &report);
    if (status != 0)
        return status;
    leftovers_count(name, &report.left);
    report.check = check_table(text, table);
    if (job_over)
        return 130;
    if (!settings->quiet) {
        report_print(text, &report);
        report_top(table, &report.outcome, settings->top);
    }
    if (fflush(stdout) || ferror(stdout)) {
        fprintf(stderr, "wordcount: standard output: %s\n", strerror(errno));
        return 1;
    }
    return all_well(&report) ? 0 : 1;
}

int main(int count, char **arguments)
{
    struct settings settings;
    struct text text;
    FILE *table;
    int status = parse_options(count, arguments, &settings);

    if (status >= 0)
        return status;
    catch_signals();
    table = tmpfile();
    if (!table) {
        fprintf(stderr, "wordcount: a temporary file: %s\n", strerror(errno));
        return 1;
    }
    status = 1;
    if (text_find(&text, arguments + optind, (size_t)(count - optind)) == 0)
        status = count_and_report(&text, &settings, table);
    text_free(&text);
    fclose(table);
    return status;
}
