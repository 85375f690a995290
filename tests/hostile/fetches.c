/*
 * fetches.c - double fetches: words of shared memory that one public call reads twice.
 *
 * Whatever was checked after the first read may not hold for the second. Two hunts, over each scene of
 * scenes.c:
 *
 *   table    all reads of the call are traced (tracer.h), atomic and plain ones, memcpy() included. Each
 *            field that was read more than once must stand in the table below, with why that is harmless;
 *            and each row of the table must be of use.
 *   changes  the scene is run once for each read of the call and each of some values, and the word is
 *            changed right before that read: also between two reads of the same word. The call must return
 *            something that it may return, the sanitizers must be content, no byte outside of the mappings
 *            (guards.h) may be touched, and everything can be closed.
 *
 *   fetches [--seed N] [--seconds N] [--scene NAME] [--at N --how N] [--table]
 *
 * The table first, then changes, in an order that the seed decides, for so many seconds, or all of them.
 * --table prints each field that is read twice, and ends there.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "guards.h"
#include "link.h"
#include "memory/layout.h"
#include "port.h"
#include "scenes.h"
#include "stream.h"
#include "tracer.h"
#include "watched.h"

#define FIELDS_MOST 64

/* ---- what is read twice, and why that is no harm ---------------------------------------------------- */

static struct row {
    const char *scene; /* all that begin so */
    const char *field;
    const char *why;
    bool used;
} table[] = {
#include "fetches.inc"
};

#define ROWS (sizeof table / sizeof *table)

/* ---- whose word is it? ------------------------------------------------------------------------------ */

struct field {
    char name[64];
    unsigned reads;    /* plain ones, of the word that was read most often */
    bool after_change; /* read again after a compare-and-swap, … */
};

struct part {
    size_t offset, size;
    const char *name;
};

/* The name of the part that `at` lies in, or NULL. */
static const char *part_of(const struct part *parts, size_t count, size_t at)
{
    for (size_t i = 0; i < count; i++) {
        if (at >= parts[i].offset && at - parts[i].offset < parts[i].size)
            return parts[i].name;
    }
    return NULL;
}

#define PART(type, member)                                           \
    {                                                                \
        offsetof(type, member), sizeof(((type *)0)->member), #member \
    }
#define PART_OF(parts, at) part_of(parts, sizeof parts / sizeof *parts, (at))

static void name_header(char name[64], size_t at)
{
    static const struct part parts[] = {
        PART(struct yk_shm_fixed, magic),         PART(struct yk_shm_fixed, layout),
        PART(struct yk_shm_fixed, nonce),         PART(struct yk_shm_fixed, directory_dev),
        PART(struct yk_shm_fixed, directory_ino), PART(struct yk_shm_fixed, size),
        PART(struct yk_shm_fixed, body_offset),   PART(struct yk_shm_fixed, body_size),
        PART(struct yk_shm_fixed, created_ns),    PART(struct yk_shm_fixed, kind),
        PART(struct yk_shm_fixed, flags),         PART(struct yk_shm_fixed, participants),
        PART(struct yk_shm_fixed, creator),       PART(struct yk_shm_fixed, mode),
        PART(struct yk_shm_fixed, pad),           PART(struct yk_shm_fixed, name),
        PART(struct yk_shm_fixed, details),       PART(struct yk_shm_header, ready),
        PART(struct yk_shm_header, looked),
    };
    const char *part = PART_OF(parts, at);

    snprintf(name, 64, "header.%s", part ? part : "?");
}

static void name_slot(char name[64], size_t at)
{
    static const struct part parts[] = {
        PART(struct yk_shm_slot, word),    PART(struct yk_shm_slot, joined),
        PART(struct yk_shm_slot, command), PART(struct yk_shm_slot, pid),
        PART(struct yk_shm_slot, uid),     PART(struct yk_shm_slot, bell),
        PART(struct yk_shm_slot, waiting), PART(struct yk_shm_slot, pool_used),
        PART(struct yk_shm_slot, sent),    PART(struct yk_shm_slot, received),
        PART(struct yk_shm_slot, counts),  PART(struct yk_shm_slot, before),
    };
    static const struct part notices[] = {
        PART(struct yk_shm_notice, armed),
        PART(struct yk_shm_notice, doorbell),
        PART(struct yk_shm_notice, mark),
    };
    size_t notice = offsetof(struct yk_shm_slot, notice);

    if (at >= notice && at < offsetof(struct yk_shm_slot, sent))
        snprintf(name, 64, "notice.%s",
                 PART_OF(notices, (at - notice) % sizeof(struct yk_shm_notice)));
    else
        snprintf(name, 64, "slot.%s", PART_OF(parts, at) ? PART_OF(parts, at) : "?");
}

static void name_waiters(char name[64], size_t at)
{
    static const char *const rows[] = {"receive", "room", "pool", "descriptor"};

    snprintf(name, 64, "waiters.%s", rows[at / 8 % YK_WAIT_ROWS]);
}

static void name_port(char name[64], const struct yk_shm_fixed *fixed, size_t at)
{
    static const struct part ring_parts[] = {
        PART(struct yk_shm_ring, tail),    PART(struct yk_shm_ring, skipped),
        PART(struct yk_shm_ring, head),    PART(struct yk_shm_ring, raised),
        PART(struct yk_shm_ring, settled), PART(struct yk_shm_ring, redelivered),
        PART(struct yk_shm_ring, dropped),
    };
    static const struct part block_parts[] = {
        PART(struct yk_shm_block, word),       PART(struct yk_shm_block, tag),
        PART(struct yk_shm_block, size),       PART(struct yk_shm_block, sender),
        PART(struct yk_shm_block, deliveries), PART(struct yk_shm_block, returning),
    };
    struct yk_port_fixed own;
    struct yk_ring ring;
    size_t blocks;

    memcpy(&own, fixed->details, sizeof own);
    yk_ring_attach(&ring, &own.geometry, NULL, NULL);
    blocks = yk_port_blocks_offset(&own.geometry);
    if (at < YK_PORT_RINGS_OFFSET) {
        name_waiters(name, at);
    } else if (at < blocks) {
        const char *part = PART_OF(ring_parts, (at - YK_PORT_RINGS_OFFSET) % ring.ring_stride);
        snprintf(name, 64, "ring.%s", part ? part : "cell");
    } else {
        const char *part = PART_OF(block_parts, (at - blocks) % own.geometry.block_stride);
        snprintf(name, 64, "block.%s", part ? part : "bytes");
    }
}

static void name_link(char name[64], const struct yk_shm_fixed *fixed, size_t at)
{
    static const struct part sides[] = {
        PART(struct yk_shm_link_side, state),
        PART(struct yk_shm_link_side, membarrier),
        PART(struct yk_shm_link_side, left),
    };
    static const struct part counters[] = {
        PART(struct yk_shm_spsc, released),
        PART(struct yk_shm_spsc, taken),
        PART(struct yk_shm_spsc, redelivered),
        PART(struct yk_shm_spsc, dropped),
    };
    struct yk_link_fixed own;
    struct yk_spsc ring;
    uintptr_t receipts, buffer;

    memcpy(&own, fixed->details, sizeof own);
    if (at < offsetof(struct yk_shm_link, sides)) {
        name_waiters(name, at);
        return;
    }
    if (at < sizeof(struct yk_shm_link)) {
        at = (at - offsetof(struct yk_shm_link, sides)) % sizeof(struct yk_shm_link_side);
        snprintf(name, 64, "side.%s", PART_OF(sides, at));
        return;
    }
    yk_spsc_attach(&ring, &own.geometry, NULL);
    at = (at - sizeof(struct yk_shm_link)) % yk_spsc_bytes(&own.geometry);
    receipts = (uintptr_t)ring.receipts;
    buffer = (uintptr_t)ring.buffer;
    if (at < sizeof(struct yk_shm_spsc))
        snprintf(name, 64, "way.%s", PART_OF(counters, at));
    else if (at >= buffer)
        snprintf(name, 64, "way.buffer");
    else if (at >= receipts)
        snprintf(name, 64, "way.receipt");
    else if ((at - sizeof(struct yk_shm_spsc)) % own.geometry.slot_stride < 8)
        snprintf(name, 64, "way.word");
    else
        snprintf(name, 64, "way.slot");
}

static void name_stream(char name[64], size_t at)
{
    static const struct part ends[] = {
        PART(struct yk_shm_bytes_end, present),
        PART(struct yk_shm_bytes_end, came),
        PART(struct yk_shm_bytes_end, told),
        PART(struct yk_shm_bytes_end, ended),
    };
    static const struct part parts[] = {
        PART(struct yk_shm_bytes, written),
        PART(struct yk_shm_bytes, read),
        {offsetof(struct yk_shm_bytes, sides), sizeof(((struct yk_shm_bytes *)0)->sides), "inside"},
    };
    size_t ring = offsetof(struct yk_shm_stream, ring);

    if (at < offsetof(struct yk_shm_stream, ends)) {
        name_waiters(name, at);
    } else if (at < ring) {
        at = (at - offsetof(struct yk_shm_stream, ends)) % sizeof(struct yk_shm_bytes_end);
        snprintf(name, 64, "end.%s", PART_OF(ends, at));
    } else {
        const char *part = PART_OF(parts, at - ring);
        snprintf(name, 64, "ring.%s", part ? part : "bytes");
    }
}

static void name_region(char name[64], size_t at)
{
    static const struct part parts[] = {
        {0, 8, "lock.word"},       {8, 4, "lock.bell"},       {64, 4, "semaphore.units"},
        {68, 4, "semaphore.hint"}, {72, 4, "semaphore.bell"}, {96, 24, "semaphore.unit"},
        {256, 8, "event.count"},   {264, 4, "event.bell"},
    };

    snprintf(name, 64, "%s", PART_OF(parts, at) ? PART_OF(parts, at) : "region");
}

static void name_place(char name[64], const unsigned char *base, size_t at)
{
    struct yk_shm_fixed fixed;

    memcpy(&fixed, base, sizeof fixed);
    if (at < YK_PAGE) {
        name_header(name, at);
    } else if (at < YK_PAGE + fixed.participants * sizeof(struct yk_shm_slot)) {
        name_slot(name, (at - YK_PAGE) % sizeof(struct yk_shm_slot));
    } else {
        at -= fixed.body_offset;
        switch (fixed.kind) {
        case YK_KIND_PORT:
        case YK_KIND_SIGNALS:
            name_port(name, &fixed, at);
            break;
        case YK_KIND_LINK:
            name_link(name, &fixed, at);
            break;
        case YK_KIND_STREAM:
            name_stream(name, at);
            break;
        default:
            name_region(name, at);
        }
    }
}

/* ---- which were read twice -------------------------------------------------------------------------- */

/* For each four bytes of a mapping: how often it was read, whether changed and then read. */
struct count {
    uint16_t reads;
    bool changed, after_change;
    size_t copied; /* number of the copy that read it last */
};

/*
 * A memcpy() reads some bytes twice: the last vector overlaps the one before, or the first and the last word
 * are read by themselves, and then all from an aligned one on.
 */
#define OVERLAP_MOST 80 /* words */
#define ENDS_MOST    2  /* accesses before the others */

static bool copies(size_t i, size_t map)
{
    for (size_t ahead = 0; ahead <= ENDS_MOST && i + ahead < access_count; ahead++) {
        const struct access *access = &accesses[i + ahead];
        if (access->map != map || access->kind != ACCESS_READ)
            return false;
        if (access->copies)
            return true;
    }
    return false;
}

static void count_copy(struct count *word, size_t copy, size_t *overlap)
{
    if (word->copied == copy && ++*overlap <= OVERLAP_MOST)
        return;
    word->copied = copy;
    word->reads++;
    word->after_change |= word->changed;
}

static void count_all(struct count *counts, size_t map)
{
    size_t copy = 0, overlap = 0, first = 0;
    bool copying = false;

    for (size_t i = 0; i < access_count; i++) {
        const struct access *access = &accesses[i];
        if (access->map != map)
            continue;
        /* one that begins where the last one began is another one */
        bool begins = copies(i, map) && (!copying || access->offset == first);
        if (begins) {
            copy++;
            overlap = 0;
            first = access->offset;
        }
        copying = copies(i, map);
        for (size_t at = access->offset / 4; at < (access->offset + access->size + 3) / 4; at++) {
            if (copying) {
                count_copy(&counts[at], copy, &overlap);
            } else if (access->kind == ACCESS_CHANGE) {
                counts[at].changed = true;
            } else if (access->kind == ACCESS_READ) {
                counts[at].reads++;
                counts[at].after_change |= counts[at].changed;
            }
        }
    }
}

static size_t note_field(struct field *fields, size_t count, const char *name,
                         const struct count *word)
{
    size_t i = 0;

    while (i < count && strcmp(fields[i].name, name) != 0)
        i++;
    if (i == FIELDS_MOST)
        abort();
    if (i == count) {
        fields[i] = (struct field){.reads = 0};
        snprintf(fields[i].name, sizeof fields[i].name, "%s", name);
        count++;
    }
    if (word->reads > fields[i].reads)
        fields[i].reads = word->reads;
    fields[i].after_change |= word->after_change;
    return count;
}

static size_t find_doubles(struct field fields[FIELDS_MOST])
{
    size_t found = 0;

    for (size_t map = 0; map < GUARDED_MOST; map++) {
        size_t words = guarded[map].size / 4;
        struct count *counts = guarded[map].base ? calloc(words + 1, sizeof *counts) : NULL;
        if (!counts)
            continue;
        count_all(counts, map);
        for (size_t at = 0; at < words; at++) {
            char name[64];
            if (counts[at].reads < 2 && !counts[at].after_change)
                continue;
            name_place(name, guarded[map].base, at * 4);
            found = note_field(fields, found, name, &counts[at]);
        }
        free(counts);
    }
    return found;
}

static bool is_argued(const char *scene, const char *field)
{
    bool argued = false;

    for (size_t i = 0; i < ROWS; i++) {
        if (strncmp(scene, table[i].scene, strlen(table[i].scene)) == 0 &&
            strcmp(field, table[i].field) == 0)
            argued = table[i].used = true;
    }
    return argued;
}

static unsigned failures;

static void look_for_doubles(const struct scene *scene, bool show)
{
    struct field fields[FIELDS_MOST];
    struct world world;
    size_t count;

    scene_begin(scene, &world);
    tracer_begin();
    scene->call(&world);
    tracer_end();
    count = find_doubles(fields);
    for (size_t i = 0; i < count; i++) {
        bool argued = is_argued(scene->name, fields[i].name);
        failures += !argued;
        if (show || !argued)
            printf("# %s%s: %s is read %u times%s\n", argued ? "" : "NOT ARGUED: ", scene->name,
                   fields[i].name, fields[i].reads,
                   fields[i].after_change ? ", also after it was changed" : "");
    }
    scene_end(&world);
}

/* ---- changes ---------------------------------------------------------------------------------------- */

static struct {
    volatile uint64_t begun;
    uint64_t scene, at, how, runs, reads;
} * state;

static struct {
    uint64_t seed;
    double seconds;
    const char *scene;
    size_t at;
    unsigned how;
    bool show;
} wanted = {.seed = 1, .seconds = 1e9, .at = SIZE_MAX};

static double seconds_now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/* How many accesses read. */
static size_t run_changed(unsigned number, size_t at, unsigned how)
{
    struct world world;
    size_t reads = 0;
    int64_t result;

    state->scene = number;
    state->at = at;
    state->how = how;
    state->begun = state->begun + 1;
    change.at = SIZE_MAX;
    scene_begin(&scenes[number], &world);
    change.at = at;
    change.how = how;
    tracer_begin();
    result = scenes[number].call(&world);
    tracer_end();
    if (!scene_is_known(result)) {
        fprintf(stderr, "%lld is no result\n", (long long)result);
        abort();
    }
    for (size_t i = 0; i < access_count; i++)
        reads += accesses[i].kind != ACCESS_WRITE;
    scene_end(&world);
    state->runs++;
    return reads;
}

static uint64_t random_next(uint64_t *random)
{
    uint64_t z = *random += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static bool is_wanted(unsigned number)
{
    return !wanted.scene || strcmp(wanted.scene, scenes[number].name) == 0;
}

static bool is_any_wanted(void)
{
    bool any = false;
    for (unsigned i = 0; i < scene_count; i++)
        any |= is_wanted(i);
    return any;
}

static void change_one_read(void)
{
    for (unsigned i = 0; i < scene_count; i++) {
        if (!is_wanted(i))
            continue;
        size_t reads = run_changed(i, wanted.at, wanted.how);
        state->reads += reads;
        if (wanted.at >= reads)
            fprintf(stderr, "# '%s': nothing was changed, it has %zu reads\n", scenes[i].name, reads);
    }
}

/* All changes in rounds: of each scene one of so many, the first of which the seed chooses. */
static void change_all(void *nothing)
{
    static size_t reads[256];
    double end = seconds_now() + wanted.seconds;
    uint64_t random = wanted.seed, most = 0;

    (void)nothing;
    if (wanted.at != SIZE_MAX) {
        change_one_read();
        return;
    }
    for (unsigned i = 0; i < scene_count; i++) {
        reads[i] = is_wanted(i) ? run_changed(i, SIZE_MAX, 0) : 0;
        state->reads += reads[i];
        most = reads[i] * CHANGES > most ? reads[i] * CHANGES : most;
    }
    uint64_t first = random_next(&random);
    for (uint64_t round = 0; round < most; round++) {
        for (unsigned i = 0; i < scene_count; i++) {
            uint64_t total = reads[i] * CHANGES;
            if (round >= total || seconds_now() >= end)
                continue;
            /* 1 + 8 k has no factor in common with what is mostly a power of two: each once or nearly */
            uint64_t which = (first + round) % total;
            run_changed(i, which / CHANGES, (unsigned)(which % CHANGES));
        }
    }
}

/* ----------------------------------------------------------------------------------------------------- */

static void result(bool well, unsigned number, const char *what)
{
    printf("%s %u - %s\n", well ? "ok" : "not ok", number, what);
    fflush(stdout);
}

static bool check_table(void)
{
    for (unsigned i = 0; i < scene_count; i++) {
        if (is_wanted(i))
            look_for_doubles(&scenes[i], wanted.show);
    }
    for (size_t i = 0; i < ROWS; i++) {
        if (wanted.scene || table[i].used)
            continue;
        printf("# nothing reads it twice any more: %s, %s\n", table[i].scene, table[i].field);
        failures++;
    }
    return failures == 0;
}

static bool try_changes(void)
{
    int status;
    unsigned calls = 0;
    char text[200];

    for (unsigned i = 0; i < scene_count; i++)
        calls += is_wanted(i);
    state = watched_memory(sizeof *state);
    status = watched_run(change_all, NULL, &state->begun);
    if (status != 0)
        printf("# it %s: --scene '%s' --at %llu --how %llu\n",
               status == WATCHED_HUNG ? "hung" : "crashed", scenes[state->scene].name,
               (unsigned long long)state->at, (unsigned long long)state->how);
    snprintf(text, sizeof text, "%llu changes before any of %llu reads in %u calls",
             (unsigned long long)state->runs, (unsigned long long)state->reads, calls);
    result(status == 0, 2, text);
    return status == 0;
}

int main(int argc, char **argv)
{
    bool well;

    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--table") == 0)
            wanted.show = true;
        else if (strcmp(argv[i], "--seed") == 0)
            wanted.seed = strtoull(value, NULL, 0);
        else if (strcmp(argv[i], "--seconds") == 0)
            wanted.seconds = strtod(value, NULL);
        else if (strcmp(argv[i], "--scene") == 0)
            wanted.scene = value;
        else if (strcmp(argv[i], "--at") == 0)
            wanted.at = strtoull(value, NULL, 0);
        else if (strcmp(argv[i], "--how") == 0)
            wanted.how = (unsigned)strtoul(value, NULL, 0);
        else
            continue;
        i += strcmp(argv[i], "--table") != 0;
    }
    if (!is_any_wanted()) {
        fprintf(stderr, "fetches: no scene is named '%s'\n", wanted.scene);
        return 2;
    }
    if (!tracer_works_here()) {
        puts("1..0 # SKIP the tracer knows x86-64 alone");
        return 77;
    }
    tracer_install();
    well = check_table();
    result(well, 1, "each field that is read twice in one call is argued for");
    if (!wanted.show)
        well &= try_changes();
    puts(wanted.show ? "1..1" : "1..2");
    return well ? 0 : 1;
}
