/*
 * text.c - which files, and their lines one by one.
 *
 * Without names on the command line: all of /usr/share/common-licenses and
 * /usr/share/doc/(any)/copyright, each file once. Many of those names are symbolic links; they are
 * followed, and what turns out to be the same file (device and inode) as one before is left out.
 * Files named on the command line are read as often as they are named.
 *
 * A line is what stands before a newline, or before the end of the file. One longer than
 * `piece_max` is cut into several messages, between two words and never inside one, so that the
 * counts come out the same; for this, piece_max is at least as long as the longest word.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "wordcount.h"

#define PIECE_USUAL 2048u               /* bytes: hardly any line of real text is longer */
#define WORD_MAX    ((size_t)4 << 20)   /* bytes */
#define BUFFER_SIZE ((size_t)256 << 10) /* bytes: so much of a file is read at once */

static int complain(const char *file, const char *why)
{
    fprintf(stderr, "wordcount: %s: %s\n", file, why);
    return -1;
}

/* ---- the reader ---------------------------------------------------------------------------- */

int reader_open(struct reader *reader, const struct text *text)
{
    *reader = (struct reader){.text = text, .fd = -1, .at_end = true};
    reader->capacity = text->piece_max < BUFFER_SIZE / 4 ? BUFFER_SIZE : 4 * text->piece_max;
    reader->buffer = malloc(reader->capacity);
    return reader->buffer ? 0 : complain("reading", strerror(ENOMEM));
}

void reader_close(struct reader *reader)
{
    if (reader->fd >= 0)
        close(reader->fd);
    free(reader->buffer);
}

/* The longest beginning of at most `max` bytes that does not end inside a word. There are more than
 * `max`. */
static size_t cut_between_words(const char *start, size_t max)
{
    size_t size = max;

    while (size > 0 && is_word_byte((unsigned char)start[size - 1]) &&
           is_word_byte((unsigned char)start[size]))
        size--;
    return size;
}

bool reader_take(struct reader *reader, const char **ret_piece, size_t *ret_size)
{
    const char *start = reader->buffer + reader->start;
    size_t available = reader->end - reader->start;
    size_t max = reader->text->piece_max;
    const char *newline = memchr(start, '\n', available <= max ? available : max + 1);
    size_t size, taken;

    if (newline) {
        size = (size_t)(newline - start);
        taken = size + 1;
    } else if (available > max) {
        size = taken = cut_between_words(start, max);
        if (size == 0) /* the file grew a longer word since it was measured; the check will tell */
            size = taken = max;
    } else if (reader->at_end && available > 0) {
        size = taken = available;
    } else {
        return false;
    }
    reader->start += taken;
    reader->line_ended = newline || (reader->at_end && reader->start == reader->end);
    *ret_piece = start;
    *ret_size = size;
    return true;
}

static int open_next_file(struct reader *reader)
{
    const char *file;

    if (reader->fd >= 0)
        close(reader->fd);
    reader->fd = -1;
    if (reader->next_file == reader->text->file_count)
        return 0;
    file = reader->text->files[reader->next_file++];
    reader->fd = open(file, O_RDONLY | O_CLOEXEC);
    if (reader->fd < 0)
        return complain(file, strerror(errno));
    reader->start = reader->end = 0;
    reader->at_end = false;
    return 1;
}

int reader_fill(struct reader *reader)
{
    ssize_t got;

    if (reader->at_end) {
        int opened = open_next_file(reader);

        if (opened <= 0)
            return opened;
    }
    memmove(reader->buffer, reader->buffer + reader->start, reader->end - reader->start);
    reader->end -= reader->start;
    reader->start = 0;
    do
        got = read(reader->fd, reader->buffer + reader->end, reader->capacity - reader->end);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return complain(reader->text->files[reader->next_file - 1], strerror(errno));
    reader->end += (size_t)got;
    reader->at_end = got == 0;
    return 1;
}

/* ---- the list of files --------------------------------------------------------------------- */

static int add_file(struct text *text, const char *file)
{
    char **grown = realloc(text->files, (text->file_count + 1) * sizeof *grown);

    if (!grown)
        return complain(file, strerror(ENOMEM));
    text->files = grown;
    grown[text->file_count] = strdup(file);
    if (!grown[text->file_count])
        return complain(file, strerror(ENOMEM));
    text->file_count++;
    return 0;
}

static int add_named(struct text *text, char **named, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct stat status;

        if (stat(named[i], &status) < 0)
            return complain(named[i], strerror(errno));
        if (!S_ISREG(status.st_mode))
            return complain(named[i], "not a regular file; the text is read more than once");
        if (add_file(text, named[i]) < 0)
            return -1;
    }
    return 0;
}

struct identity {
    dev_t device;
    ino_t inode;
};

static bool is_new(struct identity *known, size_t *count, const struct stat *status)
{
    for (size_t i = 0; i < *count; i++)
        if (known[i].device == status->st_dev && known[i].inode == status->st_ino)
            return false;
    known[(*count)++] = (struct identity){status->st_dev, status->st_ino};
    return true;
}

static int add_debians(struct text *text)
{
    struct identity *known = NULL;
    size_t known_count = 0;
    glob_t found = {0};
    int result = -1;

    glob("/usr/share/common-licenses/*", 0, NULL, &found);
    glob("/usr/share/doc/*/copyright", GLOB_APPEND, NULL, &found);
    known = calloc(found.gl_pathc + 1, sizeof *known);
    if (!known)
        goto out;
    for (size_t i = 0; i < found.gl_pathc; i++) {
        struct stat status;

        if (stat(found.gl_pathv[i], &status) < 0 || !S_ISREG(status.st_mode))
            continue; /* a link to nothing */
        if (is_new(known, &known_count, &status) && add_file(text, found.gl_pathv[i]) < 0)
            goto out;
    }
    result = 0;
    if (text->file_count == 0)
        result = complain("/usr/share/common-licenses", "no text there; name some files");
out:
    free(known);
    globfree(&found);
    return result;
}

/* ---- measuring ----------------------------------------------------------------------------- */

/* Adds up a file's bytes and finds its longest word: piece_max is not known before. */
static int measure_words(struct text *text, const char *file, char *buffer, size_t *longest)
{
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    size_t length = 0;
    ssize_t got = -1;

    while (fd >= 0 && (got = read(fd, buffer, BUFFER_SIZE)) > 0) {
        text->bytes += (uint64_t)got;
        for (ssize_t i = 0; i < got; i++) {
            length = is_word_byte((unsigned char)buffer[i]) ? length + 1 : 0;
            if (length > *longest)
                *longest = length;
        }
    }
    if (got < 0)
        complain(file, strerror(errno));
    if (fd >= 0)
        close(fd);
    if (got == 0 && *longest > WORD_MAX) {
        fprintf(stderr, "wordcount: %s: a word of more than %zu bytes\n", file, WORD_MAX);
        got = -1;
    }
    return got < 0 ? -1 : 0;
}

static int measure_lines(struct text *text)
{
    struct reader reader;
    const char *piece;
    size_t size;
    int more = reader_open(&reader, text);

    while (more >= 0 && (more = reader_fill(&reader)) > 0)
        while (reader_take(&reader, &piece, &size)) {
            text->pieces++;
            text->lines += reader.line_ended;
        }
    reader_close(&reader);
    return more;
}

int text_find(struct text *text, char **named, size_t count)
{
    static char buffer[BUFFER_SIZE];
    size_t longest = 0;

    *text = (struct text){0};
    if ((count ? add_named(text, named, count) : add_debians(text)) < 0)
        return -1;
    for (size_t i = 0; i < text->file_count; i++)
        if (measure_words(text, text->files[i], buffer, &longest) < 0)
            return -1;
    text->piece_max = longest < PIECE_USUAL ? PIECE_USUAL : longest;
    if (measure_lines(text) < 0)
        return -1;
    if (text->pieces == 0)
        return complain(text->files[0], "no text in it");
    return 0;
}

void text_free(struct text *text)
{
    for (size_t i = 0; i < text->file_count; i++)
        free(text->files[i]);
    free(text->files);
}
