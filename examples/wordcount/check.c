/*
 * check.c - is the collector's table what `sort | uniq -c` says of the same files?
 *
 * Both lists come in the order of the words' bytes, so they are compared line by line.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "wordcount.h"

/* Reads file names, each ended by a NUL, and writes "COUNT WORD" lines. The echo ends the last line
 * of a file that does not do so itself. */
static const char pipeline[] =
    "export LC_ALL=C\n"
    "xargs -0 sh -c 'for file; do cat <\"$file\"; echo; done' sh |\n"
    "tr -cs '[:alnum:]' '\\n' | tr A-Z a-z | sed '/^$/d' | sort | uniq -c\n";

static FILE *names_of(const struct text *text)
{
    FILE *names = tmpfile();

    for (size_t i = 0; names && i < text->file_count; i++)
        fwrite(text->files[i], 1, strlen(text->files[i]) + 1, names);
    if (names && (fflush(names) || fseek(names, 0, SEEK_SET))) {
        fclose(names);
        return NULL;
    }
    return names;
}

/* Starts the pipeline and returns what it writes. */
static FILE *start_pipeline(const struct text *text, pid_t *ret_pid)
{
    FILE *names = names_of(text), *out = NULL;
    int ends[2];

    if (!names || pipe(ends) < 0)
        goto done;
    *ret_pid = fork();
    if (*ret_pid == 0) {
        dup2(fileno(names), STDIN_FILENO);
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        close(ends[1]);
        execl("/bin/sh", "sh", "-c", pipeline, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    if (*ret_pid > 0)
        out = fdopen(ends[0], "r");
    else
        close(ends[0]);
done:
    if (names)
        fclose(names);
    return out;
}

struct line {
    char *text;
    size_t room;
    unsigned long long count;
    const char *word; /* NULL: no more lines */
};

static void next_line(struct line *line, FILE *from)
{
    ssize_t length = getline(&line->text, &line->room, from);
    char *after;

    line->word = NULL;
    if (length <= 0)
        return;
    line->text[length - 1] = '\0';
    line->count = strtoull(line->text, &after, 10);
    line->word = after + 1;
}

static bool same(const struct line *ours, const struct line *theirs)
{
    if (!ours->word || !theirs->word)
        return ours->word == theirs->word;
    return ours->count == theirs->count && strcmp(ours->word, theirs->word) == 0;
}

static void print_difference(const char *who, const struct line *line)
{
    if (line->word)
        fprintf(stderr, "  %-14s %llu × \"%.100s\"\n", who, line->count, line->word);
    else
        fprintf(stderr, "  %-14s no more words\n", who);
}

static int compare(FILE *table, FILE *other)
{
    struct line ours = {0}, theirs = {0};
    int result;

    do {
        next_line(&ours, table);
        next_line(&theirs, other);
    } while (same(&ours, &theirs) && ours.word);
    result = same(&ours, &theirs) ? 0 : 1;
    if (result && !job_over) { /* an interrupt cuts the pipeline short, too */
        fputs("wordcount: the table is not what sort | uniq -c says; the first difference:\n",
              stderr);
        print_difference("wordcount", &ours);
        print_difference("sort | uniq -c", &theirs);
    }
    free(ours.text);
    free(theirs.text);
    return result;
}

int check_table(const struct text *text, FILE *table)
{
    pid_t pid = -1;
    FILE *other = start_pipeline(text, &pid);
    int result, status = 0;

    if (!other) {
        fprintf(stderr, "wordcount: sort | uniq -c could not be started: %s\n", strerror(errno));
        return -1;
    }
    rewind(table);
    result = compare(table, other);
    fclose(other);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (result == 0 && status != 0) { /* where the lists differ, it was us who cut it short */
        fputs("wordcount: sort | uniq -c failed\n", stderr);
        return -1;
    }
    return result;
}
