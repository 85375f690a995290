/* See bytes_model.h. */
#include "bytes_model.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct bytes_world *bytes_world;
struct bytes_image *bytes_image;

#define LEDGER  (&bytes_world->ledger)
#define WRITERS (&bytes_image->ends[YK_BYTES_WRITING])
#define WORDS   1

static unsigned char byte_at(uint64_t position)
{
    return (unsigned char)(1 + (position - bytes_base) * 37 % 251);
}

static uint64_t name_of(uint32_t process)
{
    return UINT64_C(7) << YK_BYTES_SLOT_BITS | process;
}

static void fault(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void fault(const char *format, ...)
{
    va_list arguments;
    if (LEDGER->fault[0] != '\0')
        return;
    va_start(arguments, format);
    vsnprintf(LEDGER->fault, sizeof LEDGER->fault, format, arguments);
    va_end(arguments);
}

/* As they stand, without a yield. */
static uint64_t raw(const yk_atomic64 *word)
{
    return word->raw;
}

void bytes_open(bool wrap, struct bytes_image *image, struct bytes_world *world)
{
    bytes_image = image;
    bytes_world = world;
    memset((void *)image, 0, sizeof *image);
    memset((void *)world, 0, sizeof *world);
    bytes_base = wrap ? UINT64_MAX - 9 : 0;
    image->ring.written.raw = image->ring.read.raw = bytes_base;
    for (int i = 0; i < BYTES_PEOPLE; i++) {
        yk_bytes_attach(&world->views[i], BYTES_CAPACITY, &image->ring);
        world->views[i].seen[0] = world->views[i].seen[1] = bytes_base;
    }
}

/* ---- operations ---- */

const char *const bytes_operation_names[] = {
    "none", "write",    "write-much", "write-in-place", "come-and-go",
    "read", "read-all", "read-place", "read-to-end",    "recover",
};

bool bytes_is_writers(uint32_t operation)
{
    return operation >= OP_WRITE && operation <= OP_COME_AND_GO;
}

static bool enter(uint32_t process, enum yk_bytes_side side)
{
    if (!yk_bytes_enter(&bytes_world->views[process], side, name_of(process)))
        return false;
    for (uint32_t i = 0; i < BYTES_PEOPLE; i++)
        if (LEDGER->inside[i] == (uint8_t)side + 1)
            fault("participants %u and %u are both inside", i, process);
    LEDGER->inside[process] = (uint8_t)(side + 1);
    return true;
}

static void leave(uint32_t process, enum yk_bytes_side side)
{
    LEDGER->inside[process] = 0;
    yk_bytes_leave(&bytes_world->views[process], side);
}

static void write_some(uint32_t process, uint64_t most, bool in_place)
{
    struct yk_bytes *ring = &bytes_world->views[process];
    unsigned char bytes[BYTES_CAPACITY];
    if (!enter(process, YK_BYTES_WRITING))
        return;
    LEDGER->strays += !LEDGER->present[process];
    int64_t room = yk_bytes_available(ring, YK_BYTES_WRITING, most);
    if (room < 0 || room > BYTES_CAPACITY)
        fault("room for %d bytes", (int)room);
    uint64_t size = room < 0 ? 0 : (uint64_t)room < most ? (uint64_t)room : most;
    uint64_t at = ring->at[YK_BYTES_WRITING];
    for (uint64_t i = 0; i < size && i < BYTES_CAPACITY; i++)
        bytes[i] = byte_at(at + i);
    if (in_place && size > 0) {
        unsigned char *piece = yk_bytes_piece(ring, YK_BYTES_WRITING, &size);
        memcpy(piece, bytes, size);
        yk_bytes_count(ring, YK_BYTES_WRITING, size);
    } else if (size > 0 && size <= BYTES_CAPACITY) {
        yk_bytes_put(ring, bytes, size);
    }
    leave(process, YK_BYTES_WRITING);
}

static void delivered(uint64_t at, const unsigned char *bytes, uint64_t size)
{
    for (uint64_t i = 0; i < size; i++) {
        uint64_t index = at + i - bytes_base;
        if (bytes[i] != byte_at(at + i))
            fault("byte %d was read as another one", (int)index);
        if (index < BYTES_MOST && LEDGER->delivered[index]++ > 0)
            fault("byte %d was read twice", (int)index);
    }
}

static void read_some(uint32_t process, uint64_t most, bool in_place)
{
    struct yk_bytes *ring = &bytes_world->views[process];
    unsigned char bytes[BYTES_CAPACITY];
    if (!enter(process, YK_BYTES_READING))
        return;
    int64_t there = yk_bytes_available(ring, YK_BYTES_READING, 1);
    if (there < 0 || there > BYTES_CAPACITY)
        fault("%d bytes are there", (int)there);
    uint64_t size = there < 0 ? 0 : (uint64_t)there < most ? (uint64_t)there : most;
    uint64_t at = ring->at[YK_BYTES_READING];
    if (in_place && size > 0) {
        const unsigned char *piece = yk_bytes_piece(ring, YK_BYTES_READING, &size);
        memcpy(bytes, piece, size);
        yk_bytes_count(ring, YK_BYTES_READING, size);
        delivered(at, bytes, size);
    } else if (size > 0 && size <= BYTES_CAPACITY) {
        yk_bytes_take(ring, bytes, size);
        delivered(at, bytes, size);
    }
    leave(process, YK_BYTES_READING);
}

static bool any_writer(void)
{
    for (int i = 0; i < BYTES_PEOPLE; i++)
        if (LEDGER->present[i])
            return true;
    return false;
}

static void no_more(uint32_t process)
{
    LEDGER->present[process] = 0;
    LEDGER->absences += !any_writer();
}

static void come_and_go(uint32_t process)
{
    yk_bytes_come(WRITERS, process);
    LEDGER->present[process] = 1;
    write_some(process, 3, false);
    no_more(process);
    yk_bytes_go(WRITERS, process, YK_BYTES_CLOSED);
}

/* Twice: as who waits does, it looks again. */
static void read_to_end(uint32_t process)
{
    for (int i = 0; i < 2; i++) {
        bool there = any_writer();
        uint32_t absences = LEDGER->absences, strays = LEDGER->strays;
        uint64_t came;
        read_some(process, BYTES_CAPACITY, false);
        if (!yk_bytes_is_over(&bytes_world->views[process], WRITERS, WORDS, 0, &came))
            continue;
        if (there && LEDGER->absences == absences)
            fault("the end was told while there was a writer all the time");
        if (LEDGER->absences == 0)
            fault("the end was told before any writer had left");
        bool unread = raw(&bytes_image->ring.written) != raw(&bytes_image->ring.read) &&
                      raw(&WRITERS->present[0]) == 0 && raw(&WRITERS->came) == came;
        yk_fence_compiler(); /* who is stepped may stand between two of these looks, too */
        if (unread && !any_writer() && LEDGER->strays == strays)
            fault("the end was told with bytes that nobody has read");
        return;
    }
}

static void recover(uint32_t process, uint32_t dead)
{
    yk_bytes_recover(&bytes_world->views[process], dead);
    for (int i = 0; i < 2; i++)
        yk_bytes_go(&bytes_image->ends[i], dead, YK_BYTES_DIED);
}

void bytes_run(struct bytes_task *task)
{
    uint32_t process = task->process;
    uint8_t side = bytes_is_writers(task->operation) ? YK_BYTES_WRITING : YK_BYTES_READING;
    LEDGER->busy[process] = (uint8_t)(task->operation == OP_RECOVER ? 3 : side + 1);
    switch (task->operation) {
    case OP_WRITE:
        write_some(process, 3, false);
        break;
    case OP_WRITE_MUCH:
        write_some(process, BYTES_CAPACITY, false);
        break;
    case OP_WRITE_PLACE:
        write_some(process, 5, true);
        break;
    case OP_COME_AND_GO:
        come_and_go(process);
        break;
    case OP_READ:
        read_some(process, 3, false);
        break;
    case OP_READ_ALL:
        read_some(process, BYTES_CAPACITY, false);
        break;
    case OP_READ_PLACE:
        read_some(process, 5, true);
        break;
    case OP_READ_TO_END:
        read_to_end(process);
        break;
    default:
        recover(process, 0);
        break;
    }
    LEDGER->busy[process] = 0;
    task->done = 1;
}

void bytes_died(uint32_t process)
{
    LEDGER->inside[process] = 0;
    if (LEDGER->present[process])
        no_more(process);
}

/* ---- start states ---- */

static const struct {
    const char *name;
    uint64_t written, read; /* so many before */
    bool came;              /* a writer was there */
    int stands;             /* participant 0 died inside this side: -1 in none */
} starts[] = {
    {"new", 0, 0, false, -1},       {"some", 3, 0, true, -1},
    {"full", 8, 0, true, -1},       {"around", 12, 6, true, -1},
    {"empty", 7, 7, true, -1},      {"full-around", 13, 5, true, -1},
    {"dead-writer", 4, 2, true, 1}, {"dead-reader", 6, 1, true, 0},
};
const int bytes_start_count = (int)(sizeof starts / sizeof *starts);

const char *bytes_start_name(int start)
{
    return starts[start].name;
}

static void do_write(uint64_t size)
{
    while (size > 0) {
        uint64_t before = raw(&bytes_image->ring.written);
        write_some(1, size < 3 ? size : 3, false);
        size -= raw(&bytes_image->ring.written) - before;
    }
}

static void do_read(uint64_t size)
{
    for (; size > 0; size--)
        read_some(2, 1, false);
}

void bytes_start_build(int start)
{
    uint64_t written = starts[start].written, read = starts[start].read;
    uint64_t first = written < BYTES_CAPACITY ? written : BYTES_CAPACITY;
    if (starts[start].came) {
        yk_bytes_come(WRITERS, 1);
        yk_bytes_go(WRITERS, 1, YK_BYTES_CLOSED);
        LEDGER->absences = 1;
    }
    do_write(first);
    do_read(read);
    do_write(written - first);
    if (starts[start].stands >= 0)
        bytes_image->ring.sides[starts[start].stands].inside.raw = name_of(0);
    for (int i = 0; i < BYTES_PEOPLE; i++) /* others have looked at another time */
        if (i != 1)
            bytes_world->views[i].seen[YK_BYTES_WRITING] = bytes_base;
}

/* ---- the questions ---- */

bool bytes_holds_invariants(void)
{
    const struct yk_shm_bytes *ring = &bytes_image->ring;
    uint64_t written = raw(&ring->written) - bytes_base, read = raw(&ring->read) - bytes_base;
    if (LEDGER->fault[0] != '\0')
        return fail("%s", LEDGER->fault);
    if (written - read > BYTES_CAPACITY || written > BYTES_MOST)
        return fail("written %d, read %d", (int)written, (int)read);
    for (uint64_t i = read; i < written; i++)
        if (bytes_image->bytes[(i + bytes_base) % BYTES_CAPACITY] != byte_at(i + bytes_base))
            return fail("byte %d of %d to %d is not what was written", (int)i, (int)read,
                        (int)written);
    bool reading = false;
    for (uint32_t i = 0; i < BYTES_PEOPLE; i++) {
        reading |= LEDGER->busy[i] == YK_BYTES_READING + 1;
        if (LEDGER->inside[i] != 0 && raw(&ring->sides[LEDGER->inside[i] - 1].inside) != name_of(i))
            return fail("participant %u was expelled", i);
    }
    for (uint64_t i = 0; i < BYTES_MOST; i++) {
        if (i < read && LEDGER->delivered[i] == 0 && !reading)
            return fail("byte %d was skipped", (int)i);
        if (i >= read && LEDGER->delivered[i] != 0)
            return fail("byte %d was read and is not counted", (int)i);
    }
    return true;
}

/* A participant that comes now, and has nothing to do with the others. */
static bool newcomer_goes_on(enum yk_bytes_side side, const char *when)
{
    struct yk_bytes view;
    struct yk_shm_bytes *shm = &bytes_image->ring;
    unsigned char bytes[BYTES_CAPACITY];
    yk_bytes_attach(&view, BYTES_CAPACITY, shm);
    view.seen[0] = view.seen[1] = bytes_base;
    uint64_t used = raw(&shm->written) - raw(&shm->read);
    uint64_t expected = side == YK_BYTES_READING ? used : BYTES_CAPACITY - used;
    if (!yk_bytes_enter(&view, side, name_of(5)))
        return fail("%s nobody can go in to %s", when, side ? "write" : "read");
    int64_t available = yk_bytes_available(&view, side, BYTES_CAPACITY);
    if (available != (int64_t)expected)
        return fail("%s %d bytes can be %s, not %d", when, (int)available,
                    side ? "written" : "read", (int)expected);
    if (side == YK_BYTES_WRITING)
        for (uint64_t i = 0; i < expected; i++)
            bytes[i] = byte_at(view.at[side] + i);
    uint64_t at = view.at[side];
    if (side == YK_BYTES_WRITING)
        yk_bytes_put(&view, bytes, expected);
    else
        yk_bytes_take(&view, bytes, expected);
    for (uint64_t i = 0; i < expected; i++)
        if (bytes[i] != byte_at(at + i))
            return fail("%s byte %d is read as another one", when, (int)(at + i - bytes_base));
    yk_bytes_leave(&view, side);
    return true;
}

static bool who_stands_is_busy(int side)
{
    uint64_t inside = raw(&bytes_image->ring.sides[side].inside);
    if (inside == 0)
        return true;
    uint64_t slot = inside & YK_BYTES_SLOT;
    if (slot >= BYTES_PEOPLE || (inside >> YK_BYTES_SLOT_BITS) != 7)
        return fail("nonsense is inside");
    if (slot != 0 && LEDGER->busy[slot] == 0) /* 0: may have died before */
        return fail("participant %d has done, and is still inside", (int)slot);
    return true;
}

static bool ask(void)
{
    uint64_t came;
    for (int side = 0; side < 2; side++) {
        if (!who_stands_is_busy(side))
            return false;
        if (raw(&bytes_image->ring.sides[side].inside) == 0 &&
            !newcomer_goes_on((enum yk_bytes_side)side, "while others stand still"))
            return false;
    }
    for (int round = 0; round < 2; round++)
        for (uint32_t slot = 0; slot < BYTES_PEOPLE; slot++)
            recover(0, slot);
    for (int side = 0; side < 2; side++)
        if (raw(&bytes_image->ring.sides[side].inside) != 0)
            return fail("a dead one is still inside");
    if (raw(&WRITERS->present[0]) != 0)
        return fail("a dead writer is still there");
    if (!newcomer_goes_on(YK_BYTES_READING, "after recovery") ||
        !newcomer_goes_on(YK_BYTES_WRITING, "after recovery") ||
        !newcomer_goes_on(YK_BYTES_READING, "in the end"))
        return false;
    if (raw(&WRITERS->came) > 0 &&
        !yk_bytes_is_over(&bytes_world->views[0], WRITERS, WORDS, 0, &came))
        return fail("the end does not come");
    return true;
}

bool bytes_all_is_well(void)
{
    static struct bytes_image image;
    static struct bytes_world world;
    if (!bytes_holds_invariants())
        return false;
    memcpy(&image, bytes_image, sizeof image);
    memcpy(&world, bytes_world, sizeof world);
    bool well = ask();
    memcpy(bytes_image, &image, sizeof image);
    memcpy(bytes_world, &world, sizeof world);
    return well;
}
