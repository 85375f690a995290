/* Streams whose processes die, stop and fork; and what a hostile one may have written. */
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../api/api.h"
#include "stream.h"

#define CAPACITY 4096

static yoke_endpoint *open_end(uint32_t flags)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;
    yoke_endpoint *endpoint = NULL;

    options.capacity = CAPACITY;
    must(yoke_open(&endpoint, "stream:s", flags, &options));
    return endpoint;
}

static yoke_endpoint *writer(void)
{
    return open_end(YOKE_CREATE | YOKE_WRITE);
}

static yoke_endpoint *reader(void)
{
    return open_end(YOKE_CREATE | YOKE_READ);
}

static struct yk_stream *inner(yoke_endpoint *endpoint)
{
    return endpoint->self;
}

static unsigned char byte_at(uint64_t position)
{
    return (unsigned char)(position * 131 + (position >> 8) * 7);
}

static void put(yoke_endpoint *out, size_t size)
{
    uint64_t position = yk_load_acquire(&inner(out)->ring.shm->written);
    unsigned char bytes[CAPACITY];

    for (size_t i = 0; i < size; i++)
        bytes[i] = byte_at(position + i);
    assert_int_equal(must(yoke_write(out, bytes, size, SOON_MS * MS)), size);
}

static void get(yoke_endpoint *in, size_t size)
{
    uint64_t position = yk_load_acquire(&inner(in)->ring.shm->read);
    unsigned char bytes[CAPACITY];

    for (size_t done = 0; done < size;)
        done += (size_t)must(yoke_read(in, bytes + done, size - done, SOON_MS * MS));
    for (size_t i = 0; i < size; i++)
        assert_int_equal(bytes[i], byte_at(position + i));
}

/* ---- killed ----------------------------------------------------------------------------------- */

static int role_writes_and_dies(void *argument)
{
    yoke_endpoint *out = writer();

    put(out, *(size_t *)argument);
    raise(SIGKILL);
    return 0;
}

static int role_reads_and_dies(void *argument)
{
    yoke_endpoint *in = reader();

    get(in, *(size_t *)argument);
    raise(SIGKILL);
    return 0;
}

static void end_comes_after_what_the_killed_writer_wrote(void **state)
{
    yoke_endpoint *in = reader();
    size_t size = 1000;
    char byte;

    (void)state;
    for (int i = 0; i < 5; i++) {
        assert_int_equal(role_wait(role_start(role_writes_and_dies, &size), SOON_MS),
                         128 + SIGKILL);
        get(in, size);
        assert_int_equal(yoke_read(in, &byte, 1, LONG_WAIT), 0);
        must_fail(yoke_stream_end(in), EOWNERDEAD);
    }
    yoke_close(in);
}

static void killed_reader_is_told_to_writers_and_the_next_one_goes_on(void **state)
{
    yoke_endpoint *out = writer(), *in;
    size_t size = 1000;

    (void)state;
    put(out, 3000);
    assert_int_equal(role_wait(role_start(role_reads_and_dies, &size), SOON_MS), 128 + SIGKILL);
    while (yoke_write(out, "x", 1, LONG_WAIT) != -EPIPE) /* until it is noticed */
        yk_store_release(&inner(out)->ring.shm->written, 3000);
    must_fail(yoke_stream_end(out), EOWNERDEAD);
    in = reader();
    get(in, 2000);
    put(out, 500);
    get(in, 500);
    yoke_close(in);
    yoke_close(out);
}

/* ---- asleep, and nobody wakes it -------------------------------------------------------------- */

static int role_reads_one(void *argument)
{
    yoke_endpoint *in = reader();
    char byte;

    *(int64_t *)argument = yoke_read(in, &byte, 1, LONG_WAIT);
    yoke_close(in);
    return 0;
}

static int role_writes_one(void *argument)
{
    yoke_endpoint *out = writer();

    *(int64_t *)argument = yoke_write(out, "x", 1, LONG_WAIT);
    yoke_close(out);
    return 0;
}

struct holder {
    struct baton ready;
    uint32_t flags;
};

static int role_opens_and_waits(void *argument)
{
    struct holder *holder = argument;
    yoke_endpoint *end = open_end(YOKE_CREATE | holder->flags);

    (void)end;
    baton_pass(&holder->ready);
    for (;;)
        pause();
    return 0;
}

static void sleeper_notices_that_the_other_end_was_killed_but_not_that_it_stopped(void **state)
{
    int64_t *result = shared_new(sizeof *result);

    (void)state;
    for (int i = 0; i < 4; i++) {
        bool reads = i % 2;
        struct holder holder = {.flags = reads ? YOKE_WRITE : YOKE_READ};
        yoke_endpoint *kept = open_end(YOKE_CREATE | (reads ? YOKE_READ : YOKE_WRITE));
        pid_t other, sleeper;

        if (!reads)
            put(kept, CAPACITY);
        baton_make(&holder.ready);
        other = role_start(role_opens_and_waits, &holder);
        baton_take(&holder.ready);
        *result = -999;
        sleeper = role_start(reads ? role_reads_one : role_writes_one, result);
        role_wait_asleep(sleeper, SOON_MS);
        role_stop(other);
        assert_false(yoke_stream_end(kept) < 0);
        assert_int_equal(*result, -999);
        role_kill(other);
        assert_int_equal(role_wait(sleeper, SOON_MS), 0);
        assert_int_equal(*result, reads ? 0 : -EPIPE);
        baton_drop(&holder.ready);
        yoke_close(kept);
    }
    shared_drop(result, sizeof *result);
}

/* Counts bytes as a process does that dies before it looks who sleeps. */
static void bytes_whose_writer_died_before_the_wake_up_are_noticed(void **state)
{
    int64_t *result = shared_new(sizeof *result);
    yoke_endpoint *out = writer();
    pid_t sleeper = role_start(role_reads_one, result);

    (void)state;
    role_wait_asleep(sleeper, SOON_MS);
    yk_store_release(&inner(out)->ring.shm->written, 1);
    assert_int_equal(role_wait(sleeper, SOON_MS), 0);
    assert_int_equal(*result, 1);
    yoke_close(out);
    shared_drop(result, sizeof *result);
}

/* ---- inside ----------------------------------------------------------------------------------- */

/* Goes in, copies, and counts nothing. */
static int role_is_inside(void *argument)
{
    struct holder *holder = argument;
    yoke_endpoint *end = open_end(YOKE_CREATE | holder->flags);
    struct yk_stream *stream = inner(end);
    uint64_t size = CAPACITY;

    assert_true(yk_bytes_enter(&stream->ring, stream->side, stream->me));
    if (holder->flags == YOKE_WRITE)
        memset(yk_bytes_piece(&stream->ring, stream->side, &size), 0xee, 700);
    baton_pass(&holder->ready);
    for (;;)
        pause();
    return 0;
}

static void who_stands_still_inside_keeps_its_turn_until_it_dies(void **state)
{
    (void)state;
    for (int i = 0; i < 6; i++) {
        struct holder holder = {.flags = i % 2 ? YOKE_WRITE : YOKE_READ};
        yoke_endpoint *out = writer(), *in = reader();
        unsigned char byte;
        pid_t inside;

        baton_make(&holder.ready);
        put(out, 100);
        get(in, 50);
        inside = role_start(role_is_inside, &holder);
        baton_take(&holder.ready);
        role_stop(inside);
        if (i % 2) {
            must_fail(yoke_write(out, "x", 1, 150 * MS), ETIMEDOUT);
            get(in, 50); /* the other end goes on */
        } else {
            must_fail(yoke_read(in, &byte, 1, 150 * MS), ETIMEDOUT);
            put(out, 50);
        }
        role_kill(inside);
        put(out, 1000);
        get(in, i % 2 ? 1000 : 1100); /* what it had copied and not counted is there */
        must_fail(yoke_read(in, &byte, 1, YOKE_NOW), EAGAIN);
        baton_drop(&holder.ready);
        yoke_close(in);
        yoke_close(out);
    }
}

/* Has the descriptor, or the set, something to say? */
static bool is_told(int fd, yoke_set *set, int timeout_ms)
{
    struct pollfd poll_for = {.fd = fd, .events = POLLIN};
    struct yoke_ready ready;

    return set ? yoke_set_wait(set, &ready, 1, timeout_ms * MS) == 1
               : poll(&poll_for, 1, timeout_ms) == 1;
}

/* As long as another one is inside, reading would wait, whatever is there. */
static void who_leaves_bytes_behind_or_dies_over_them_rings_the_other_readers(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        struct holder holder = {.flags = YOKE_READ};
        yoke_endpoint *out = writer(), *in = reader(), *other = i / 2 ? NULL : reader();
        yoke_set *set = NULL;
        int fd = i % 2 ? -1 : (int)must(yoke_fd(in));
        unsigned char byte;
        pid_t inside = 0;

        if (i % 2) {
            must(yoke_set_create(&set));
            must(yoke_set_add(set, in, NULL));
        }
        baton_make(&holder.ready);
        if (other) {
            assert_true(yk_bytes_enter(&inner(other)->ring, YK_BYTES_READING, inner(other)->me));
        } else {
            inside = role_start(role_is_inside, &holder);
            baton_take(&holder.ready);
        }
        put(out, 10);
        while (is_told(fd, set, 0))
            must_fail(yoke_read(in, &byte, 1, YOKE_NOW), EAGAIN);
        must_fail(yoke_read(in, &byte, 1, YOKE_NOW), EAGAIN);
        if (other) {
            yk_bytes_leave(&inner(other)->ring, YK_BYTES_READING);
            get(other, 1);
        } else {
            role_kill(inside);
        }
        assert_true(is_told(fd, set, SOON_MS));
        get(in, other ? 9 : 10);
        baton_drop(&holder.ready);
        yoke_close(in);
        yoke_close(other);
        yoke_close(out);
        yoke_set_close(set);
    }
}

/*
 * A reader that found another one inside waits for bytes; if that one takes them all, and nobody is left who
 * writes, it is to be told of the end. (The writer leaves without a sound here: its lock file is closed later.)
 */
static void who_takes_the_last_bytes_rings_the_other_readers_for_the_end(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        yoke_endpoint *out = writer(), *in = reader(), *other = reader();
        yoke_set *set = NULL;
        int fd = i ? -1 : (int)must(yoke_fd(in));
        unsigned char byte;

        if (i) {
            must(yoke_set_create(&set));
            must(yoke_set_add(set, in, NULL));
            must(yoke_set_fd(set));
        }
        put(out, 10);
        assert_true(yk_bytes_enter(&inner(other)->ring, YK_BYTES_READING, inner(other)->me));
        yk_bytes_go(&inner(out)->shm->ends[YK_BYTES_WRITING], inner(out)->object.slot,
                    YK_BYTES_CLOSED);
        for (int k = 0; k < 100; k++) {
            must_fail(yoke_read(in, &byte, 1, YOKE_NOW), EAGAIN);
            is_told(fd, set, 0);
        }
        assert_false(is_told(fd, set, 0));
        yk_bytes_leave(&inner(other)->ring, YK_BYTES_READING);
        get(other, 10);
        assert_true(is_told(set ? yoke_set_fd(set) : fd, NULL, SOON_MS));
        assert_int_equal(yoke_read(in, &byte, 1, YOKE_NOW), 0);
        yoke_close(in);
        yoke_close(other);
        yoke_close(out);
        yoke_set_close(set);
    }
}

/* ---- killed at random ------------------------------------------------------------------------- */

#define KILLS  100
#define ENOUGH (UINT64_C(1) << 20)

static atomic_uint *faults;

static int role_writes_on(void *argument)
{
    yoke_endpoint *out = writer();
    unsigned char bytes[3 * CAPACITY];

    (void)argument;
    for (uint64_t i = 1;; i++) {
        /* the only writer: it begins where the last one ended */
        uint64_t position = yk_load_acquire(&inner(out)->ring.shm->written);
        size_t size = (size_t)(i * 7919 % sizeof bytes);

        for (size_t k = 0; k < size; k++)
            bytes[k] = byte_at(position + k);
        if (yoke_write(out, bytes, size, LONG_WAIT) != (ssize_t)size)
            atomic_fetch_add(faults, 1);
    }
    return 0;
}

static int role_reads_on(void *argument)
{
    yoke_endpoint *in = reader();
    unsigned char bytes[3 * CAPACITY];

    (void)argument;
    for (uint64_t i = 1;; i++) {
        uint64_t position = yk_load_acquire(&inner(in)->ring.shm->read);
        ssize_t size = yoke_read(in, bytes, (size_t)(i * 104729 % sizeof bytes) + 1, LONG_WAIT);

        if (size <= 0)
            atomic_fetch_add(faults, 1);
        for (ssize_t k = 0; k < size; k++)
            if (bytes[k] != byte_at(position + (uint64_t)k))
                atomic_fetch_add(faults, 1);
    }
    return 0;
}

static void random_kills_lose_nothing_and_double_nothing(void **state)
{
    yoke_endpoint *out = writer(), *in = reader();
    struct yk_shm_bytes *ring = inner(in)->ring.shm;
    pid_t writing, reading;

    (void)state;
    faults = shared_new(sizeof *faults);
    srandom((unsigned)test_seed());
    writing = role_start(role_writes_on, NULL);
    reading = role_start(role_reads_on, NULL);
    for (int i = 0; i < KILLS; i++) {
        uint64_t goal = yk_load_acquire(&ring->read) + (uint64_t)(random() % 100000);

        while (yk_load_acquire(&ring->read) < goal)
            sched_yield();
        role_kill(i % 2 ? reading : writing);
        if (i % 2)
            reading = role_start(role_reads_on, NULL);
        else
            writing = role_start(role_writes_on, NULL);
    }
    for (uint64_t goal = yk_load_acquire(&ring->read) + ENOUGH;
         yk_load_acquire(&ring->read) < goal;)
        sched_yield();
    role_kill(writing);
    role_kill(reading);
    assert_int_equal(atomic_load(faults), 0);
    while (yk_load_acquire(&ring->read) < yk_load_acquire(&ring->written))
        get(in, 1);
    shared_drop(faults, sizeof *faults);
    yoke_close(out);
    yoke_close(in);
}

/* ---- what stays ------------------------------------------------------------------------------- */

static void kept_stream_keeps_its_bytes_and_a_transient_one_goes_with_the_killed(void **state)
{
    size_t size = 2000;
    yoke_endpoint *end = open_end(YOKE_CREATE | YOKE_KEPT | YOKE_READ);
    char byte;

    (void)state;
    yoke_close(end);
    assert_int_equal(role_wait(role_start(role_writes_and_dies, &size), SOON_MS), 128 + SIGKILL);
    size = 500;
    assert_int_equal(role_wait(role_start(role_reads_and_dies, &size), SOON_MS), 128 + SIGKILL);
    end = open_end(YOKE_READ);
    get(end, 1500);
    assert_int_equal(yoke_read(end, &byte, 1, YOKE_NOW), 0);
    yoke_close(end);
    must(yoke_remove("stream:s"));
    assert_int_equal(role_wait(role_start(role_writes_and_dies, &size), SOON_MS), 128 + SIGKILL);
    end = NULL;
    must_fail(yoke_open(&end, "stream:s", YOKE_READ, NULL), ENOENT);
}

static int role_writes_through_what_its_parent_opened(void *argument)
{
    yoke_endpoint *out = argument;

    put(out, 100);
    yoke_close(out);
    return 0;
}

static void child_goes_on_with_its_parents_endpoint_as_one_of_its_own(void **state)
{
    yoke_endpoint *out = writer(), *in = reader();
    char byte;

    (void)state;
    put(out, 100);
    assert_int_equal(
        role_wait(role_start(role_writes_through_what_its_parent_opened, out), SOON_MS), 0);
    get(in, 200);
    must_fail(yoke_read(in, &byte, 1, YOKE_NOW), EAGAIN); /* the parent is still there */
    yoke_close(out);
    assert_int_equal(yoke_read(in, &byte, 1, YOKE_NOW), 0);
    yoke_close(in);
}

static int role_opens_its_end_and_dies(void *argument)
{
    yoke_endpoint *out;

    must(yoke_open_descriptor(&out, *(int *)argument, NULL));
    put(out, 100);
    raise(SIGKILL);
    return 0;
}

static void end_of_a_pair_is_told_when_its_process_was_killed(void **state)
{
    yoke_endpoint *in;
    int ends[2];
    char byte;

    (void)state;
    must(yoke_stream_pair(ends, NULL));
    must(yoke_open_descriptor(&in, ends[0], NULL));
    for (int i = 0; i < 3;
         i++) { /* the parent still has the descriptor: the next one opens it anew */
        assert_int_equal(role_wait(role_start(role_opens_its_end_and_dies, &ends[1]), SOON_MS),
                         128 + SIGKILL);
        get(in, 100);
        assert_int_equal(yoke_read(in, &byte, 1, LONG_WAIT), 0);
        must_fail(yoke_stream_end(in), EOWNERDEAD);
    }
    yoke_close(in);
    close(ends[0]);
    close(ends[1]);
}

/* ---- nonsense --------------------------------------------------------------------------------- */

static void nonsense_in_memory_is_an_error_or_passes(void **state)
{
    yoke_endpoint *out = writer(), *in = reader();
    struct yk_shm_stream *shm = inner(out)->shm;
    unsigned char bytes[2 * CAPACITY] = {0};
    uint64_t random = 12345;

    (void)state;
    yk_store_release(&shm->ring.read, CAPACITY + 10); /* more read than written */
    yk_store_release(&shm->ring.written, CAPACITY + 5);
    must_fail(yoke_write(out, bytes, 1, LONG_WAIT), EPROTO);
    must_fail(yoke_read(in, bytes, 1, LONG_WAIT), EPROTO);
    yk_store_release(&shm->ring.read, 0); /* more there than it holds */
    yk_store_release(&shm->ring.written, CAPACITY + 1);
    must_fail(yoke_read(in, bytes, 1, LONG_WAIT), EPROTO);
    yk_store_release(&shm->ring.written, UINT64_MAX - 5); /* around the end of all numbers */
    yk_store_release(&shm->ring.read, UINT64_MAX - 10);
    assert_int_equal(must(yoke_write(out, bytes, 100, YOKE_NOW)), 100);
    assert_int_equal(must(yoke_read(in, bytes, sizeof bytes, YOKE_NOW)), 105);
    /* whoever is said to be inside, and is not */
    yk_store_release(&shm->ring.sides[YK_BYTES_WRITING].inside, UINT64_MAX);
    yk_store_release(&shm->ring.sides[YK_BYTES_READING].inside, 5 << YK_BYTES_SLOT_BITS | 3);
    assert_int_equal(must(yoke_write(out, bytes, 100, LONG_WAIT)), 100);
    assert_int_equal(must(yoke_read(in, bytes, sizeof bytes, LONG_WAIT)), 100);
    for (int i = 0; i < 20000; i++) { /* anything, anywhere but in the signatures */
        uint64_t *words = (uint64_t *)(void *)shm;
        size_t end = offsetof(struct yk_shm_stream, ring.sides) / sizeof *words;

        random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
        words[(random >> 33) % end] = i % 3 ? random >> 60 : random;
        yoke_write(out, bytes, (random >> 20) % sizeof bytes, YOKE_NOW);
        yoke_read(in, bytes, (random >> 40) % sizeof bytes, YOKE_NOW);
        yoke_stream_end(in);
    }
    yoke_close(in);
    yoke_close(out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        api_test(end_comes_after_what_the_killed_writer_wrote),
        api_test(killed_reader_is_told_to_writers_and_the_next_one_goes_on),
        api_test(sleeper_notices_that_the_other_end_was_killed_but_not_that_it_stopped),
        api_test(bytes_whose_writer_died_before_the_wake_up_are_noticed),
        api_test(who_stands_still_inside_keeps_its_turn_until_it_dies),
        api_test(who_leaves_bytes_behind_or_dies_over_them_rings_the_other_readers),
        api_test(who_takes_the_last_bytes_rings_the_other_readers_for_the_end),
        api_test(random_kills_lose_nothing_and_double_nothing),
        api_test(kept_stream_keeps_its_bytes_and_a_transient_one_goes_with_the_killed),
        api_test(child_goes_on_with_its_parents_endpoint_as_one_of_its_own),
        api_test(end_of_a_pair_is_told_when_its_process_was_killed),
        api_test(nonsense_in_memory_is_an_error_or_passes),
    };

    return cmocka_run_group_tests(tests, api_setup, NULL);
}
