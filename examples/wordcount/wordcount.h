/*
 * wordcount.h - what the parts of the word count share.
 *
 *                    port lines                    port counts
 *     sender  ──────────────────────▶  workers  ──────────────────▶  collector
 *     (1)       one message a line      (4 ...)   one message with       (1)
 *                                                 each line's counts
 *
 * The director (director.c) starts all of them, kills one worker with SIGKILL while it holds lines,
 * stops another one with SIGSTOP, and waits for the end. What the processes have to tell each other
 * beside the messages stands on the board: a struct in a region, that is, in shared memory.
 *
 * Read in this order: sender.c, worker.c, collector.c (the three roles), role.c, director.c.
 */
#ifndef WORDCOUNT_H
#define WORDCOUNT_H

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>
#include <yoke.h>

/* ---- text.c: which files, and their lines one by one --------------------------------------- */

struct text {
    char **files;
    size_t file_count;
    uint64_t bytes;
    uint64_t lines;
    uint64_t pieces;  /* messages that they make: a line longer than piece_max makes several */
    size_t piece_max; /* bytes: no message is longer, and no word */
};

/* Takes the files named, or all that every Debian has. Measures them. 0, or -1 after saying why. */
int text_find(struct text *text, char **named, size_t count);
void text_free(struct text *text);

/* Is this byte part of a word? What `tr -cs '[:alnum:]' '\n'` keeps under LC_ALL=C. */
static inline bool is_word_byte(unsigned char byte)
{
    return (unsigned)(byte | 32) - 'a' < 26u || (unsigned)byte - '0' < 10u;
}

struct reader {
    const struct text *text;
    size_t next_file;
    int fd; /* the file being read, or -1 */
    char *buffer;
    size_t capacity;
    size_t start, end; /* what of the buffer is not yet taken */
    bool at_end;       /* of the file being read */
    bool line_ended;   /* the piece taken last ended its line */
};

int reader_open(struct reader *reader, const struct text *text);
/* The next line, or piece of a long one, if the buffer holds it whole. Valid until reader_fill().
 */
bool reader_take(struct reader *reader, const char **ret_piece, size_t *ret_size);
/* Reads more. 1: there is more; 0: that was all; -1: failed, and said why. */
int reader_fill(struct reader *reader);
void reader_close(struct reader *reader);

/* ---- table.c: how often each word was seen ------------------------------------------------- */

struct word {
    size_t offset; /* of its bytes in the table's `bytes` */
    uint32_t length;
    uint32_t hash;
    uint32_t slot;
    uint64_t count;
};

struct table {
    struct word *words;
    size_t used, room;
    uint32_t *slots; /* hash table of indexes into `words`, plus one */
    size_t slot_count;
    char *bytes;
    size_t bytes_used, bytes_room;
};

int table_add(struct table *table, const char *word, size_t length, uint64_t count);
void table_clear(struct table *table); /* keeps its memory; costs as much as it holds */
void table_free(struct table *table);
/* Writes "COUNT WORD" lines in the order of the words' bytes, which is that of `LC_ALL=C sort`. */
int table_write(struct table *table, FILE *out);

/* ---- the board ----------------------------------------------------------------------------- */

/* A new region reads as zero, which is the right first value of everything here. */
struct board {
    yoke_event news;               /* for the director: look here */
    yoke_event gate;               /* for the sender: go on */
    _Atomic uint64_t sent;         /* lines that the sender has sent, or is just sending */
    _Atomic uint64_t counted;      /* lines that the collector has added up */
    _Atomic int32_t victim;        /* pid of the worker that waits to be killed */
    _Atomic uint64_t victim_holds; /* lines that it has borrowed and will never release */
    _Atomic uint64_t victim_sent;  /* for how many of those it had sent the counts */
    _Atomic bool victim_ready;     /* all this has happened: kill it now */
    /* the collector's results, written before it ends */
    int64_t ended_ns;
    uint64_t words;
    uint64_t distinct;
    uint64_t redelivered; /* lines that came to a worker a second time */
    uint64_t ignored;     /* counts of a line that had been counted already */
};

/* ---- the job ------------------------------------------------------------------------------- */

struct job {
    const struct text *text;
    uint64_t total; /* messages to send: all of the text, or its beginning */
    unsigned workers;
    bool drama;    /* kill one worker and stop another */
    bool progress; /* show a line with how far it is */
    FILE *table;   /* the collector writes its table here */
    /* job_run() fills these in */
    char board_name[64];
    char lines[64]; /* addresses of the ports */
    char counts[64];
    uint32_t batch; /* messages taken or sent in one call */
};

struct outcome {
    uint64_t lines; /* counted */
    uint64_t words, distinct, redelivered, ignored;
    double seconds; /* from the start of the first process to the collector's end */
    pid_t killed;
    uint64_t killed_held, killed_sent;
    pid_t stopped;
    double stopped_seconds;
    uint64_t counted_meanwhile;
    unsigned replaced; /* workers that died for a reason that was not the director's */
};

/* Before this line, counted from 0, the sender pauses until the director has killed one worker and
 * stopped another. It lies after the half of the text at which a worker offers itself as the
 * victim. */
static inline uint64_t job_gate(const struct job *job)
{
    return job->total / 2 + (job->total < 10 ? 1 : job->total / 10);
}

/* director.c: 0; 1 after saying why; 130 when it was interrupted. */
int job_run(struct job *job, const char *name, struct outcome *ret_outcome);

/* The roles. Each is the whole life of one process and returns its exit status. */
int sender_main(const struct job *job);    /* sender.c */
int worker_main(const struct job *job);    /* worker.c */
int collector_main(const struct job *job); /* collector.c */

/* role.c: what every role begins with: the board and its endpoints. NULL after saying why not. */
struct board *board_open(const struct job *job, yoke_region **ret_region);
yoke_endpoint *port_open(const char *address);
/* Says "wordcount: ROLE: CALL: why" and returns 1. */
int fail(const char *role, const char *call, ssize_t error);
int64_t now_ns(void);
/* Set in every process of a job when it should end, by a signal: see main.c. */
extern volatile sig_atomic_t job_over;

/* What a counts message begins with. Each word follows as: count, length (var-ints), bytes. */
struct counts_header {
    uint64_t sequence;   /* of the line: the same when it is delivered again */
    uint32_t deliveries; /* of the line */
    uint32_t words;      /* distinct ones that follow */
};
/* How long the counts of a line of `size` bytes can get: 3 bytes for a word of one byte and its
 * separator, and for longer ones less. */
static inline size_t counts_size_max(size_t size)
{
    return sizeof(struct counts_header) + 2 * size + 16;
}

/* ---- what the report needs beside the job -------------------------------------------------- */

/* check.c: 0 when the table equals what sort | uniq -c says; 1 when not, -1 when it could not be
 * run. */
int check_table(const struct text *text, FILE *table);

/* How many system calls the processes of a job make: all of theirs, from start to end, for reading
 * the files and opening the ports as well. Only the director's are left out: it carries no
 * messages. */
struct call_count {
    uint64_t calls;
    uint64_t futex; /* of them: going to sleep and waking up somebody */
    pid_t director;
    const char *problem; /* NULL, or why nothing could be measured */
};
struct call_watch { /* perf events: [0] counts all calls, [1] futex only */
    int all[2];     /* of this process and those that it starts */
    int own[2];     /* of this process */
};

/* watched.c: the kernel counts the calls of the processes that this one starts from here on. False:
 * we may not have that. */
bool calls_watch(struct call_watch *watch);
void calls_watched(struct call_watch *watch, struct call_count *ret_count);

/* traced.c: runs run(argument) in a process of its own and counts the calls of the processes it
 * starts. */
void calls_trace(int (*run)(const void *), const void *argument, struct call_count *ret_count);

/* leftovers.c */
struct leftovers {
    unsigned segments; /* System V segments made by one of our processes that are still there */
    unsigned names;    /* entries of the name directory with our name in them */
};
void leftovers_note_pid(pid_t pid); /* this process is one of ours */
void leftovers_count(const char *name, struct leftovers *ret_leftovers);

/* report.c */
struct report {
    struct outcome outcome;
    struct call_count calls;
    bool traced;            /* and not watched */
    uint64_t call_messages; /* that the calls were made for */
    struct leftovers left;
    int check; /* what check_table() said */
};
void report_print(const struct text *text, const struct report *report);
void report_top(FILE *table, const struct outcome *outcome, unsigned long top);
char *grouped(char to[32], uint64_t number); /* "1,234,567" */

#endif
