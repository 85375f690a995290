/*
 * replay.c - runs image_fuzz.c without libFuzzer: each input of a corpus, then inputs made of those by
 * chance, for so many seconds.
 *
 *   image_fuzz [--seed N] [--seconds N] [FILE|DIRECTORY...]
 *
 * The inputs run in a child. When that crashes, or is at one input for a minute, the input is printed in
 * hexadecimal: `xxd -r -p` makes a file of it that can be replayed, and belongs into the corpus.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "image_fuzz.h"
#include "watched.h"

#define INPUT_MOST  4096
#define CORPUS_MOST 8192

/* Shared by who runs the inputs and who watches. */
static struct {
    volatile uint64_t begun;
    uint64_t replayed, made;
    uint64_t by_kind[64];
    volatile size_t size;
    uint8_t data[INPUT_MOST];
} * state;

static struct {
    uint8_t *data;
    size_t size;
} corpus[CORPUS_MOST];
static size_t corpus_count;
static uint64_t chance = 1;

static uint64_t random_next(void)
{
    uint64_t z = chance += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static double seconds_now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/* ---- the corpus ------------------------------------------------------------------------------------- */

static void load_file(const char *path)
{
    uint8_t data[INPUT_MOST];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size = fd < 0 ? -1 : read(fd, data, sizeof data);

    if (size < 0 || corpus_count == CORPUS_MOST) {
        fprintf(stderr, "%s: %s\n", path, size < 0 ? strerror(errno) : "the corpus is too big");
        exit(2);
    }
    close(fd);
    corpus[corpus_count].data = malloc((size_t)size + 1);
    memcpy(corpus[corpus_count].data, data, (size_t)size);
    corpus[corpus_count++].size = (size_t)size;
}

static void load(const char *path)
{
    struct stat facts;
    struct dirent **entries;
    char file[1200];
    int count;

    if (stat(path, &facts) < 0 || !S_ISDIR(facts.st_mode)) {
        load_file(path);
        return;
    }
    count = scandir(path, &entries, NULL, alphasort); /* in the same order everywhere */
    for (int i = 0; i < count; i++) {
        if (entries[i]->d_name[0] != '.') {
            snprintf(file, sizeof file, "%s/%s", path, entries[i]->d_name);
            load_file(file);
        }
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
}

/* ---- making inputs ---------------------------------------------------------------------------------- */

static void insert(const void *bytes, size_t count, size_t at)
{
    if (state->size + count > INPUT_MOST)
        return;
    memmove(state->data + at + count, state->data + at, state->size - at);
    memcpy(state->data + at, bytes, count);
    state->size = state->size + count;
}

/* Commands as image_fuzz.c reads them: below 128 an edit, above it a call. */
static void insert_command(size_t at)
{
    uint64_t bytes[3] = {random_next(), random_next(), random_next()};
    uint8_t *command = (uint8_t *)bytes;
    bool edits = random_next() % 3 != 0;
    static const size_t lengths[] = {4, 11, 4, 4, 5, 7, 20, 5};

    *command = edits ? (uint8_t)(*command & 127) : (uint8_t)(*command | 128);
    if (edits && (*command >> 2 & 7) >= 6 && random_next() % 4)
        *command &= 0x0f; /* whole pieces leave nothing of what honest ones wrote: not so often */
    if (edits && random_next() % 4)
        *command |= 1; /* a place that matters */
    insert(command, edits ? lengths[*command >> 2 & 7] : 3, at);
}

static void mutate(void)
{
    size_t at = state->size > 1 ? 1 + random_next() % (state->size - 1) : 0;

    switch (random_next() % 8) {
    case 0:
        if (state->size > 1)
            state->data[at] ^= (uint8_t)(1 << random_next() % 8);
        break;
    case 1:
        if (state->size > 1)
            state->data[at] = (uint8_t)random_next();
        break;
    case 2: /* some bytes less */
        if (state->size > 1) {
            size_t count = 1 + random_next() % 8;
            if (at + count <= state->size) {
                memmove(state->data + at, state->data + at + count, state->size - at - count);
                state->size = state->size - count;
            }
        }
        break;
    case 3: { /* the end of another one */
        size_t other = random_next() % (corpus_count + 1), from;
        if (other == corpus_count || corpus[other].size < 2)
            break;
        from = 1 + random_next() % (corpus[other].size - 1);
        state->size = at;
        insert(corpus[other].data + from, corpus[other].size - from, state->size);
        break;
    }
    default:
        insert_command(random_next() % 2 ? at : state->size);
    }
}

static void make_input(void)
{
    size_t base = random_next() % (corpus_count + 2);
    uint64_t rounds = 1 + random_next() % 12;

    if (base < corpus_count && corpus[base].size > 0) {
        state->size = corpus[base].size;
        memcpy(state->data, corpus[base].data, state->size);
    } else {
        state->size = 1;
        state->data[0] = (uint8_t)(random_next() % image_kinds());
        rounds += 12;
    }
    while (rounds-- > 0)
        mutate();
    if (state->size == 0)
        state->size = 1;
}

/* ---- running them ----------------------------------------------------------------------------------- */

static void run(void)
{
    uint8_t *exact = malloc(state->size + 1); /* so that reading beyond it is seen */

    memcpy(exact, state->data, state->size);
    state->begun = state->begun + 1;
    state->by_kind[exact[0] % image_kinds()]++;
    LLVMFuzzerTestOneInput(exact, state->size);
    free(exact);
}

static void run_all(void *seconds)
{
    double end;

    LLVMFuzzerInitialize(NULL, NULL);
    for (size_t i = 0; i < corpus_count; i++) {
        state->size = corpus[i].size;
        memcpy(state->data, corpus[i].data, state->size);
        run();
        state->replayed++;
    }
    end = seconds_now() + *(const unsigned *)seconds;
    while (seconds_now() < end) {
        make_input();
        run();
        state->made++;
    }
}

static void print_input(void)
{
    printf("# %s, %zu bytes:\n# ", image_kind(state->data, state->size), state->size);
    for (size_t i = 0; i < state->size; i++)
        printf("%02x", state->data[i]);
    printf("\n");
}

static void report(int status)
{
    const char *ok = status == 0 ? "ok" : "not ok";

    for (unsigned i = 0; i < image_kinds(); i++) {
        uint8_t kind = (uint8_t)i;
        printf("# %s: %llu inputs\n", image_kind(&kind, 1), (unsigned long long)state->by_kind[i]);
    }
    if (status != 0) {
        printf("# it %s\n", status == WATCHED_HUNG ? "was at one input for a minute" : "crashed");
        print_input();
    }
    printf("%s 1 - hostile images: %llu of the corpus, %llu made of them\n1..1\n", ok,
           (unsigned long long)state->replayed, (unsigned long long)state->made);
}

int main(int argc, char **argv)
{
    unsigned seconds = 0;
    int status;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc)
            chance = strtoull(argv[++i], NULL, 0);
        else if (strcmp(argv[i], "--seconds") == 0 && i + 1 < argc)
            seconds = (unsigned)strtoul(argv[++i], NULL, 0);
        else
            load(argv[i]);
    }
    state = watched_memory(sizeof *state);
    status = watched_run(run_all, &seconds, &state->begun);
    report(status);
    image_clear();
    for (size_t i = 0; i < corpus_count; i++)
        free(corpus[i].data);
    return status == 0 ? 0 : 1;
}
