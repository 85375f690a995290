/*
 * report.c - what wordcount says at its end, on standard output.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "wordcount.h"

char *grouped(char to[32], uint64_t number)
{
    char digits[24];
    int length = snprintf(digits, sizeof digits, "%llu", (unsigned long long)number);
    char *at = to;

    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0)
            *at++ = ',';
        *at++ = digits[i];
    }
    *at = '\0';
    return to;
}

static void print_counts(const struct text *text, const struct outcome *outcome)
{
    char a[32], b[32];

    printf("text          %s bytes in %s files\n", grouped(a, text->bytes),
           grouped(b, text->file_count));
    printf("lines         %s", grouped(a, text->lines));
    if (text->pieces != text->lines)
        printf(" (%s messages: lines of more than %zu bytes were cut between two words)",
               grouped(a, text->pieces), text->piece_max);
    printf("\nwords         %s, of them %s different\n", grouped(a, outcome->words),
           grouped(b, outcome->distinct));
}

static void print_speed(const struct report *report)
{
    const struct outcome *outcome = &report->outcome;
    char a[32], b[32];

    printf("time          %.3f s: %s messages/s (%s lines, and as many counts)\n", outcome->seconds,
           grouped(a, (uint64_t)(2 * (double)outcome->lines / outcome->seconds)),
           grouped(b, outcome->lines));
    if (report->calls.problem) {
        printf("system calls  not measured: %s\n", report->calls.problem);
        return;
    }
    printf("system calls  %.3f per message, of them %.3f to sleep and to wake\n",
           (double)report->calls.calls / (double)report->call_messages,
           (double)report->calls.futex / (double)report->call_messages);
    if (report->traced)
        printf("              (by ptrace, which slows all down and makes this more, over %s\n"
               "              messages; %s)\n",
               grouped(a, report->call_messages),
               geteuid() != 0 ? "run it as root to see the true number"
                              : "not even root may use perf events here");
    else
        puts("              (all that these processes made in this run, counted by the kernel)");
}

static void print_drama(const struct outcome *outcome)
{
    char a[32], b[32], c[32];

    printf("killed        worker %d, by SIGKILL, while it held %s borrowed lines\n",
           (int)outcome->killed, grouped(a, outcome->killed_held));
    printf("redelivered   %s lines; the counts of %s came twice and were added once\n",
           grouped(a, outcome->redelivered), grouped(b, outcome->ignored));
    if (outcome->stopped)
        printf("stopped       worker %d, by SIGSTOP, for %.3f s; %s lines were counted meanwhile\n",
               (int)outcome->stopped, outcome->stopped_seconds,
               grouped(c, outcome->counted_meanwhile));
    if (outcome->replaced)
        printf("replaced      %u more workers that somebody killed\n", outcome->replaced);
}

void report_print(const struct text *text, const struct report *report)
{
    print_counts(text, &report->outcome);
    print_speed(report);
    print_drama(&report->outcome);
    if (report->left.segments || report->left.names)
        printf("left behind   %u segments and %u names\n", report->left.segments,
               report->left.names);
    else
        printf("left behind   nothing: no memory, no name\n");
    printf("check         %s\n", report->check < 0 ? "could not be done"
                                 : report->check == 0
                                     ? "equal to sort | uniq -c over the same files"
                                     : "NOT what sort | uniq -c says");
}

/* ---- the most frequent words --------------------------------------------------------------- */

struct ranked {
    unsigned long long count;
    char *line; /* "COUNT WORD" */
};

static int more_frequent_first(const void *left, const void *right)
{
    const struct ranked *a = left, *b = right;

    if (a->count != b->count)
        return a->count < b->count ? 1 : -1;
    return strcmp(strchr(a->line, ' '), strchr(b->line, ' '));
}

static size_t read_table(FILE *table, struct ranked *words, size_t max)
{
    size_t count = 0, room = 0;

    rewind(table);
    while (count < max) {
        words[count].line = NULL;
        room = 0;
        if (getline(&words[count].line, &room, table) <= 0) {
            free(words[count].line);
            break;
        }
        words[count].count = strtoull(words[count].line, NULL, 10);
        count++;
    }
    return count;
}

void report_top(FILE *table, const struct outcome *outcome, unsigned long top)
{
    struct ranked *words = calloc((size_t)outcome->distinct + 1, sizeof *words);
    size_t count = words ? read_table(table, words, (size_t)outcome->distinct) : 0;

    if (count)
        qsort(words, count, sizeof *words, more_frequent_first);
    for (size_t i = 0; i < count; i++) {
        if (i < top)
            printf("%10llu%s", words[i].count, strchr(words[i].line, ' '));
        free(words[i].line);
    }
    free(words);
}
