/*
 * stream_conformance_test.c - the same expectations of every byte stream, in shared memory or the
 * kernel's, with a name or as a pair of descriptors. One line a stream in `subjects`.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "conformance.h"

#define CAPACITY 8192u
#define SMALL    1000u /* a write of at most 4096 bytes goes whole or not at all */

enum {
    NAMED = 1,       /* opened by an address, so that others can come */
    KEEPS = 2,       /* what was written waits for a reader that has not come */
    TELLS_DEATH = 4, /* from closing */
    PIPE = 8,        /* pipe(2) makes it, and not yoke_stream_pair() */
    INHERITED = 16,  /* a forked child goes on with what its parent opened */
};

struct subject {
    const char *name;
    const char *address;
    unsigned can;
};

static const struct subject subjects[] = {
    {"stream in memory", "stream:conform", NAMED | KEEPS | TELLS_DEATH | INHERITED},
    {"stream in the kernel", "stream:conform@kernel", NAMED | INHERITED},
    {"stream pair in memory", NULL, KEEPS | TELLS_DEATH},
    {"pipe", NULL, KEEPS | PIPE | INHERITED},
};

/* ---- the subject of a test ---- */

enum { READING, WRITING };
static const uint32_t flag_of[] = {YOKE_READ, YOKE_WRITE};

/* What the ends are opened by. Descriptors go when every process that is to open an end has. */
struct ends {
    const struct subject *subject;
    int descriptors[2];
};

static struct yoke_options options_for(size_t capacity)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;

    options.capacity = capacity;
    return options;
}

static struct ends ends_make(void **state)
{
    struct ends ends = {.subject = *state, .descriptors = {-1, -1}};
    struct yoke_options options = options_for(CAPACITY);

    if (ends.subject->can & PIPE)
        assert_int_equal(pipe2(ends.descriptors, O_CLOEXEC), 0);
    else if (!(ends.subject->can & NAMED))
        must(yoke_stream_pair(ends.descriptors, &options));
    return ends;
}

static void ends_drop(struct ends *ends)
{
    for (int i = 0; i < 2; i++) {
        if (ends->descriptors[i] >= 0)
            close(ends->descriptors[i]);
        ends->descriptors[i] = -1;
    }
}

static int try_open(yoke_endpoint **ret, const struct ends *ends, int end, uint32_t flags)
{
    struct yoke_options options = options_for(CAPACITY);

    if (ends->subject->can & NAMED)
        return yoke_open(ret, ends->subject->address, flags | flag_of[end], &options);
    return yoke_open_descriptor(ret, ends->descriptors[end],
                                ends->subject->can & PIPE ? &options : NULL);
}

static yoke_endpoint *open_end(const struct ends *ends, int end)
{
    yoke_endpoint *endpoint;

    must(try_open(&endpoint, ends, end, YOKE_CREATE));
    return endpoint;
}

/* Both in this process. */
struct both {
    yoke_endpoint *in, *out;
};

static struct both both_make(void **state)
{
    struct ends ends = ends_make(state);
    struct both both;

    both.in = open_end(&ends, READING);
    both.out = open_end(&ends, WRITING);
    ends_drop(&ends);
    return both;
}

static void both_drop(struct both *both)
{
    yoke_close(both->in);
    yoke_close(both->out);
}

static unsigned char byte_at(uint64_t position)
{
    return (unsigned char)(position * 131 + (position >> 8) * 7);
}

static void fill(unsigned char *bytes, size_t size, uint64_t position)
{
    for (size_t i = 0; i < size; i++)
        bytes[i] = byte_at(position + i);
}

static void put(yoke_endpoint *out, size_t size, uint64_t position)
{
    unsigned char bytes[2 * CAPACITY];

    fill(bytes, size, position);
    assert_int_equal(must(yoke_write(out, bytes, size, SOON_MS * MS)), size);
}

static void get(yoke_endpoint *in, size_t size, uint64_t position)
{
    unsigned char bytes[2 * CAPACITY];

    for (size_t done = 0; done < size;) {
        size_t got = (size_t)must(yoke_read(in, bytes + done, size - done, SOON_MS * MS));

        assert_in_range(got, 1, size - done);
        done += got;
    }
    for (size_t i = 0; i < size; i++)
        assert_int_equal(bytes[i], byte_at(position + i));
}

static void assert_empty(yoke_endpoint *in)
{
    char byte;

    must_fail(yoke_read(in, &byte, 1, YOKE_NOW), EAGAIN);
}

static void assert_ended(yoke_endpoint *in)
{
    char byte;

    for (int i = 0; i < 2; i++)
        assert_int_equal(yoke_read(in, &byte, 1, SOON_MS * MS), 0);
    assert_int_equal(yoke_read(in, &byte, 1, YOKE_NOW), 0);
}

/* Until it is full: how many bytes went in. */
static uint64_t fill_up(yoke_endpoint *out)
{
    unsigned char bytes[SMALL];
    uint64_t position = 0;

    for (;; position += SMALL) {
        fill(bytes, SMALL, position);
        ssize_t result = yoke_write(out, bytes, SMALL, YOKE_NOW);
        if (result == -EAGAIN)
            return position;
        assert_int_equal(result, SMALL);
        assert_true(position < 100 * CAPACITY);
    }
}

/* ---- bytes ---- */

static void bytes_come_out_in_order(void **state)
{
    struct both both = both_make(state);
    uint64_t position = 0;

    assert_true(yoke_stream_capacity(both.out) >= CAPACITY);
    assert_int_equal(yoke_stream_capacity(both.in), yoke_stream_capacity(both.out));
    for (size_t size = 1; size <= CAPACITY; size += 1 + size / 2) {
        for (int i = 0; i < 4; i++) {
            put(both.out, size, position);
            get(both.in, size / 3, position);
            get(both.in, size - size / 3, position + size / 3);
            position += size;
        }
    }
    assert_empty(both.in);
    both_drop(&both);
}

static void what_is_there_is_read_and_what_fits_is_written(void **state)
{
    struct both both = both_make(state);
    unsigned char bytes[4 * CAPACITY];

    put(both.out, 100, 0);
    put(both.out, 200, 100);
    assert_int_equal(yoke_read(both.in, bytes, 50, LONG_WAIT), 50);
    assert_int_equal(yoke_read(both.in, bytes + 50, sizeof bytes - 50, LONG_WAIT), 250);
    for (size_t i = 0; i < 300; i++)
        assert_int_equal(bytes[i], byte_at(i));
    fill(bytes, sizeof bytes, 0);
    ssize_t went = must(yoke_write(both.out, bytes, sizeof bytes, YOKE_NOW));
    assert_in_range(went, 1, sizeof bytes - 1);
    must_fail(yoke_write(both.out, bytes, sizeof bytes, YOKE_NOW), EAGAIN);
    get(both.in, (size_t)went, 0);
    went = must(yoke_write(both.out, bytes, sizeof bytes, 20 * MS)); /* its time is over */
    assert_in_range(went, 1, sizeof bytes - 1);
    get(both.in, (size_t)went, 0);
    assert_int_equal(yoke_write(both.out, NULL, 0, YOKE_NOW), 0);
    assert_int_equal(yoke_read(both.in, NULL, 0, YOKE_NOW), 0);
    assert_empty(both.in);
    both_drop(&both);
}

static void what_is_full_takes_no_more_and_loses_nothing(void **state)
{
    struct both both = both_make(state);

    for (int round = 0; round < 3; round++) {
        uint64_t size = fill_up(both.out);

        assert_in_range(size, SMALL, CAPACITY + SMALL);
        must_fail(yoke_write(both.out, "x", 4096, YOKE_NOW), EAGAIN);
        for (uint64_t position = 0; position < size; position += SMALL)
            get(both.in, SMALL, position);
        assert_empty(both.in);
    }
    both_drop(&both);
}

static int scratch_file(void)
{
    int fd = memfd_create("scratch", MFD_CLOEXEC);

    assert_true(fd >= 0);
    return fd;
}

/* Fewer than fit: a full stream waits for room before it looks whether the file has ended. */
static void files_move_in_and_out(void **state)
{
    struct both both = both_make(state);
    unsigned char bytes[3000];
    int from = scratch_file(), to = scratch_file();

    fill(bytes, sizeof bytes, 0);
    assert_int_equal(pwrite(from, bytes, sizeof bytes, 0), sizeof bytes);
    assert_int_equal(must(yoke_move(both.out, from, SIZE_MAX, LONG_WAIT)), 3000);
    must_fail(yoke_move(both.in, -1, 1, YOKE_NOW), EBADF);
    assert_int_equal(must(yoke_move(both.in, to, 1000, LONG_WAIT)), 1000);
    get(both.in, 1000, 1000);
    yoke_close(both.out);
    assert_int_equal(must(yoke_move(both.in, to, SIZE_MAX, LONG_WAIT)), 1000);
    assert_int_equal(must(yoke_move(both.in, to, SIZE_MAX, LONG_WAIT)), 0);
    assert_int_equal(pread(to, bytes, sizeof bytes, 0), 2000);
    for (size_t i = 0; i < 2000; i++)
        assert_int_equal(bytes[i], byte_at(i < 1000 ? i : i + 1000));
    close(from);
    close(to);
    yoke_close(both.in);
}

/* A connection that waits as long as it likes: [0] is to be moved to and from, [1] is the other side. */
enum connection { SOCKET, TERMINAL, CONNECTIONS };

static void connection_make(enum connection kind, int ends[2])
{
    struct termios raw;

    if (kind == SOCKET) {
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
        return;
    }
    ends[1] = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(ends[1] >= 0);
    assert_int_equal(grantpt(ends[1]), 0);
    assert_int_equal(unlockpt(ends[1]), 0);
    ends[0] = open(ptsname(ends[1]), O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(ends[0] >= 0);
    assert_int_equal(tcgetattr(ends[0], &raw), 0);
    cfmakeraw(&raw);
    assert_int_equal(tcsetattr(ends[0], TCSANOW, &raw), 0);
}

/* What a side takes that nobody reads from (a terminal some of it later), and what is left in the stream. */
static uint64_t move_until_full(struct both *both, int descriptor, uint64_t *ret_left)
{
    uint64_t moved = 0, written = 0;

    for (;;) {
        if (moved == written)
            put(both->out, SMALL, written);
        written += moved == written ? SMALL : 0;
        ssize_t result = yoke_move(both->in, descriptor, SIZE_MAX, 20 * MS);
        *ret_left = written - moved;
        if (result == -ETIMEDOUT)
            return moved;
        moved += (uint64_t)must(result);
        assert_true(moved < 10000000);
    }
}

static int64_t move_for_20_ms(void *context)
{
    const struct both *both = ((void **)context)[0];
    int descriptor = *(int *)((void **)context)[1];

    return yoke_move(both->in ? both->in : both->out, descriptor, SIZE_MAX, 20 * MS);
}

/* Not for the descriptor, which waits as long as it likes, nor for who reads what comes out of it. */
static void moves_keep_their_time_whatever_the_descriptor_is(void **state)
{
    for (enum connection kind = SOCKET; kind < CONNECTIONS; kind++) {
        struct both both = both_make(state), writing = {NULL, both.out};
        int ends[2];
        uint64_t left, got = 0;
        unsigned char byte;

        connection_make(kind, ends);
        must_fail(yoke_move(both.out, ends[0], SIZE_MAX, YOKE_NOW), EAGAIN);
        assert_times_out(move_for_20_ms, (void *[]){&writing, &ends[0]}, 20 * MS);
        uint64_t moved = move_until_full(&both, ends[0], &left);
        must_fail(yoke_move(both.in, ends[0], SIZE_MAX, YOKE_NOW), EAGAIN);
        assert_times_out(move_for_20_ms, (void *[]){&both, &ends[0]}, 20 * MS);
        for (; got < moved; got++) { /* nothing is lost, nor there twice */
            assert_int_equal(read(ends[1], &byte, 1), 1);
            assert_int_equal(byte, byte_at(got));
        }
        assert_true(is_readable(yoke_fd(both.in), SOON_MS));
        get(both.in, left, moved);
        assert_empty(both.in);
        both_drop(&both);
        close(ends[0]);
        close(ends[1]);
    }
}

static void sockets_of_messages_are_refused(void **state)
{
    static const int types[] = {SOCK_DGRAM, SOCK_SEQPACKET};

    for (int i = 0; i < 2; i++) {
        struct both both = both_make(state);
        int ends[2];

        assert_int_equal(socketpair(AF_UNIX, types[i] | SOCK_CLOEXEC, 0, ends), 0);
        put(both.out, 100, 0);
        must_fail(yoke_move(both.in, ends[0], SIZE_MAX, LONG_WAIT), ENOTSUP);
        must_fail(yoke_move(both.out, ends[0], SIZE_MAX, LONG_WAIT), ENOTSUP);
        assert_non_null(strstr(yoke_explain(), "datagrams"));
        get(both.in, 100, 0);
        both_drop(&both);
        close(ends[0]);
        close(ends[1]);
    }
}

/* ---- waiting ---- */

static int64_t read_for_20_ms(void *in)
{
    char byte;

    return yoke_read(in, &byte, 1, 20 * MS);
}

static int64_t write_for_20_ms(void *out)
{
    char bytes[SMALL] = {0};

    return yoke_write(out, bytes, sizeof bytes, 20 * MS);
}

static int64_t read_for_long(void *in)
{
    char bytes[CAPACITY];

    return yoke_read(in, bytes, sizeof bytes, LONG_WAIT);
}

static int64_t write_for_long(void *out)
{
    char bytes[SMALL] = {0};

    return yoke_write(out, bytes, sizeof bytes, LONG_WAIT);
}

static void waits_end_when_their_time_is_over(void **state)
{
    struct both both = both_make(state);

    assert_times_out(read_for_20_ms, both.in, 20 * MS);
    fill_up(both.out);
    assert_times_out(write_for_20_ms, both.out, 20 * MS);
    both_drop(&both);
}

static void waits_end_when_there_is_something(void **state)
{
    struct both both = both_make(state);
    struct worker worker;

    worker_start(&worker, read_for_long, both.in);
    worker_wait_asleep(&worker);
    put(both.out, 3, 0);
    assert_int_equal(worker_join(&worker), 3);
    uint64_t size = fill_up(both.out);
    worker_start(&worker, write_for_long, both.out);
    worker_wait_asleep(&worker);
    get(both.in, size, 0);
    assert_int_equal(worker_join(&worker), SMALL);
    both_drop(&both);
}

struct long_write {
    yoke_endpoint *out;
    unsigned char bytes[50 * CAPACITY];
};

static int64_t write_all(void *context)
{
    struct long_write *write = context;

    return yoke_write(write->out, write->bytes, sizeof write->bytes, LONG_WAIT);
}

static void long_write_goes_on_as_room_comes(void **state)
{
    struct both both = both_make(state);
    struct long_write *write = malloc(sizeof *write);
    struct worker worker;

    write->out = both.out;
    fill(write->bytes, sizeof write->bytes, 0);
    worker_start(&worker, write_all, write);
    for (size_t position = 0; position < sizeof write->bytes; position += 800)
        get(both.in, 800, position);
    assert_int_equal(worker_join(&worker), sizeof write->bytes);
    free(write);
    both_drop(&both);
}

static void cancelling_ends_waits_now_and_later(void **state)
{
    struct both both = both_make(state);
    struct worker worker;

    worker_start(&worker, read_for_long, both.in);
    worker_wait_asleep(&worker);
    must(yoke_cancel(both.in));
    must_fail(worker_join(&worker), ECANCELED);
    must_fail(read_for_long(both.in), ECANCELED);
    fill_up(both.out);
    worker_start(&worker, write_for_long, both.out);
    worker_wait_asleep(&worker);
    must(yoke_cancel(both.out));
    must_fail(worker_join(&worker), ECANCELED);
    must_fail(write_for_long(both.out), ECANCELED);
    both_drop(&both);
}

static void closing_ends_another_threads_wait(void **state)
{
    struct both both = both_make(state);
    struct worker worker;

    worker_start(&worker, read_for_long, both.in);
    worker_wait_asleep(&worker);
    yoke_close(both.in);
    must_fail(worker_join(&worker), ECANCELED);
    yoke_close(both.out);
}

/* In a child, which opens that end itself. */
static int64_t read_in_a_child(void *context)
{
    yoke_endpoint *in;
    int result = try_open(&in, context, READING, 0);

    if (result < 0)
        return result;
    int64_t got = read_for_long(in);
    yoke_close(in);
    return got;
}

static int64_t write_in_a_child(void *context)
{
    yoke_endpoint *out;
    int64_t result = try_open(&out, context, WRITING, 0);

    if (result < 0)
        return result;
    do
        result = write_for_long(out); /* until it is full, and then it waits */
    while (result > 0);
    yoke_close(out);
    return result;
}

static void signal_handlers_end_waits(void **state)
{
    struct ends ends = ends_make(state);
    yoke_endpoint *other = open_end(&ends, WRITING);

    must_fail(interrupted_result(read_in_a_child, &ends), EINTR);
    yoke_close(other);
    ends_drop(&ends);
    ends = ends_make(state);
    other = open_end(&ends, READING);
    must_fail(interrupted_result(write_in_a_child, &ends), EINTR);
    yoke_close(other);
    ends_drop(&ends);
}

/* Until its descriptor says no more that there is something. */
static void clear(yoke_endpoint *in, int fd)
{
    char byte;

    while (is_readable(fd, 0))
        must_fail(yoke_read(in, &byte, 1, YOKE_NOW), EAGAIN);
}

static void descriptor_is_readable_whenever_reading_would_not_wait(void **state)
{
    struct both both = both_make(state);
    int fd = (int)must(yoke_fd(both.in));

    for (uint64_t i = 0; i < 50; i++) {
        clear(both.in, fd);
        put(both.out, 100, i * 100);
        for (uint64_t k = 0; k < 4; k++) {
            assert_true(is_readable(fd, SOON_MS));
            get(both.in, 25, i * 100 + k * 25);
        }
    }
    clear(both.in, fd);
    yoke_close(both.out);
    assert_true(is_readable(fd, SOON_MS));
    assert_ended(both.in);
    assert_true(is_readable(fd, SOON_MS));
    assert_int_equal(yoke_fd(both.in), fd);
    yoke_close(both.in);
}

static void descriptor_tells_of_cancelling(void **state)
{
    struct both both = both_make(state);
    int fd = (int)must(yoke_fd(both.in));
    char byte;

    clear(both.in, fd);
    must(yoke_cancel(both.in));
    assert_true(is_readable(fd, SOON_MS));
    must_fail(yoke_read(both.in, &byte, 1, YOKE_NOW), ECANCELED);
    both_drop(&both);
}

static void wait_set_tells_of_cancelling(void **state)
{
    struct both both = both_make(state);
    struct yoke_ready ready;
    yoke_set *set;

    must(yoke_set_create(&set));
    must(yoke_set_add(set, both.in, NULL));
    while (yoke_set_wait(set, &ready, 1, YOKE_NOW) == 1)
        assert_empty(both.in);
    must(yoke_cancel(both.in));
    assert_int_equal(must(yoke_set_wait(set, &ready, 1, SOON_MS * MS)), 1);
    yoke_set_close(set);
    both_drop(&both);
}

static void writing_end_has_no_descriptor(void **state)
{
    struct both both = both_make(state);
    yoke_set *set;

    must(yoke_set_create(&set));
    must_fail(yoke_fd(both.out), ENOTSUP);
    assert_non_null(strstr(yoke_explain(), "writing"));
    must_fail(yoke_set_add(set, both.out, NULL), ENOTSUP);
    yoke_set_close(set);
    both_drop(&both);
}

static void wait_sets_take_it(void **state)
{
    struct both both = both_make(state);
    struct yoke_ready ready;
    yoke_set *set;
    char byte;

    must(yoke_set_create(&set));
    must(yoke_set_add(set, both.in, &both));
    must_fail(yoke_set_add(set, both.in, &both), EBUSY);
    for (uint64_t i = 0; i < 50; i++) {
        while (yoke_set_wait(set, &ready, 1, YOKE_NOW) == 1)
            must_fail(yoke_read(both.in, &byte, 1, YOKE_NOW), EAGAIN);
        put(both.out, 10, i * 10);
        assert_int_equal(must(yoke_set_wait(set, &ready, 1, SOON_MS * MS)), 1);
        assert_ptr_equal(ready.endpoint, both.in);
        assert_ptr_equal(ready.user, &both);
        get(both.in, 10, i * 10);
    }
    while (yoke_set_wait(set, &ready, 1, YOKE_NOW) == 1)
        must_fail(yoke_read(both.in, &byte, 1, YOKE_NOW), EAGAIN);
    yoke_close(both.out);
    assert_int_equal(must(yoke_set_wait(set, &ready, 1, SOON_MS * MS)), 1);
    assert_ended(both.in);
    yoke_close(both.in);
    must_fail(yoke_set_wait(set, &ready, 1, YOKE_NOW), EAGAIN);
    yoke_set_close(set);
}

/* ---- the end of one side ---- */

struct acting {
    struct ends *ends;
    struct baton done; /* its end is open */
    struct baton other_is_there;
};

static struct acting acting_make(struct ends *ends)
{
    struct acting acting = {.ends = ends};

    baton_make(&acting.done);
    baton_make(&acting.other_is_there);
    return acting;
}

static void acting_drop(struct acting *acting)
{
    baton_drop(&acting->done);
    baton_drop(&acting->other_is_there);
    ends_drop(acting->ends);
}

/* In a child: its own end, and no copy of the descriptors is left. */
static yoke_endpoint *act_as(const struct acting *acting, int end)
{
    yoke_endpoint *endpoint = open_end(acting->ends, end);

    ends_drop(acting->ends);
    baton_pass(&acting->done);
    return endpoint;
}

static int role_writes_and_stays(void *argument)
{
    yoke_endpoint *out = act_as(argument, WRITING);

    put(out, 3000, 0);
    pause();
    return 1;
}

static int role_writes_and_closes(void *argument)
{
    const struct acting *acting = argument;
    yoke_endpoint *out = act_as(acting, WRITING);

    put(out, 3000, 0);
    baton_take(&acting->other_is_there);
    yoke_close(out);
    return 0;
}

static int role_reads_and_stays(void *argument)
{
    get(act_as(argument, READING), 1000, 0);
    pause();
    return 1;
}

/* What came before is read; then the end, by every way of asking. */
static void expect_3000_and_the_end(yoke_endpoint *in, int error)
{
    int fd = (int)must(yoke_fd(in));

    for (uint64_t position = 0; position < 3000; position += 500) {
        assert_true(is_readable(fd, SOON_MS));
        get(in, 500, position);
    }
    assert_ended(in);
    assert_true(is_readable(fd, SOON_MS));
    must_fail(yoke_stream_end(in), error);
}

static int death_of(const struct ends *ends)
{
    return ends->subject->can & TELLS_DEATH ? EOWNERDEAD : EPIPE;
}

static void end_comes_after_what_a_killed_writer_wrote(void **state)
{
    struct ends ends = ends_make(state);
    struct acting acting = acting_make(&ends);
    pid_t writer = role_start(role_writes_and_stays, &acting);
    yoke_endpoint *in = open_end(&ends, READING);

    ends_drop(&ends);
    baton_take(&acting.done);
    get(in, 3000, 0); /* it stays for that: then the wait for the end is a sleep */
    assert_empty(in);
    assert_int_equal(yoke_stream_end(in), 0);
    role_kill(writer);
    assert_ended(in);
    must_fail(yoke_stream_end(in), death_of(&ends));
    yoke_close(in);
    acting_drop(&acting);
}

static void killed_writer_is_seen_through_the_descriptor(void **state)
{
    struct ends ends = ends_make(state);
    struct acting acting = acting_make(&ends);
    pid_t writer = role_start(role_writes_and_stays, &acting);
    yoke_endpoint *in = open_end(&ends, READING);
    int fd = (int)must(yoke_fd(in));

    ends_drop(&ends);
    get(in, 3000, 0);
    clear(in, fd);
    role_kill(writer);
    ssize_t result = -EAGAIN;
    while (result == -EAGAIN) {
        assert_true(is_readable(fd, SOON_MS));
        result = yoke_read(in, &(char){0}, 1, YOKE_NOW);
    }
    assert_int_equal(result, 0);
    assert_true(is_readable(fd, SOON_MS));
    yoke_close(in);
    acting_drop(&acting);
}

static void end_comes_after_what_was_written_before_closing(void **state)
{
    struct ends ends = ends_make(state);
    struct acting acting = acting_make(&ends);
    pid_t writer = role_start(role_writes_and_closes, &acting);
    yoke_endpoint *in = open_end(&ends, READING);

    ends_drop(&ends);
    baton_take(&acting.done);
    baton_pass(&acting.other_is_there);
    assert_int_equal(role_wait(writer, SOON_MS), 0);
    expect_3000_and_the_end(in, EPIPE);
    yoke_close(in);
    acting_drop(&acting);
}

static void last_reader_that_closed_is_epipe_and_no_signal(void **state)
{
    struct both both = both_make(state);

    signal(SIGPIPE, SIG_DFL); /* it would end this test */
    put(both.out, 10, 0);
    assert_int_equal(yoke_stream_end(both.out), 0);
    yoke_close(both.in);
    must_fail(yoke_write(both.out, "x", 1, YOKE_NOW), EPIPE);
    must_fail(write_for_long(both.out), EPIPE);
    must_fail(yoke_stream_end(both.out), EPIPE);
    yoke_close(both.out);
}

static void sleeping_writer_is_told_that_the_last_reader_was_killed(void **state)
{
    struct ends ends = ends_make(state);
    struct acting acting = acting_make(&ends);
    pid_t reader = role_start(role_reads_and_stays, &acting);
    yoke_endpoint *out = open_end(&ends, WRITING);
    struct worker worker;

    signal(SIGPIPE, SIG_DFL);
    baton_take(&acting.done);
    ends_drop(&ends);
    put(out, 1000, 0);
    ssize_t result;
    do
        result = write_for_20_ms(out);
    while (result > 0);
    must_fail(result, ETIMEDOUT);
    worker_start(&worker, write_for_long, out);
    worker_wait_asleep(&worker);
    role_kill(reader);
    must_fail(worker_join(&worker), EPIPE);
    must_fail(yoke_stream_end(out), death_of(&ends));
    yoke_close(out);
    acting_drop(&acting);
}

static void another_writer_opens_it_anew(void **state)
{
    struct ends ends = ends_make(state);

    if (!(ends.subject->can & NAMED))
        return ends_drop(&ends);
    yoke_endpoint *in = open_end(&ends, READING), *out = open_end(&ends, WRITING);
    yoke_endpoint *second = open_end(&ends, WRITING);
    put(out, 10, 0);
    yoke_close(out);
    put(second, 10, 10); /* one is left */
    get(in, 20, 0);
    assert_empty(in);
    yoke_close(second);
    assert_ended(in);
    out = open_end(&ends, WRITING);
    assert_empty(in);
    assert_int_equal(yoke_stream_end(in), 0);
    put(out, 10, 0);
    yoke_close(in);
    must_fail(yoke_write(out, "x", 1, YOKE_NOW), EPIPE);
    in = open_end(&ends, READING);
    put(out, 10, 10);
    yoke_close(out);
    yoke_close(in);
}

static void what_is_written_before_a_reader_comes_waits_or_the_writer_does(void **state)
{
    struct ends ends = ends_make(state);
    yoke_endpoint *out = open_end(&ends, WRITING), *in;

    if (ends.subject->can & KEEPS) {
        put(out, 100, 0);
        in = open_end(&ends, READING);
    } else {
        must_fail(yoke_write(out, "x", 1, YOKE_NOW), EAGAIN);
        assert_times_out(write_for_20_ms, out, 20 * MS);
        in = open_end(&ends, READING);
        put(out, 100, 0);
    }
    get(in, 100, 0);
    yoke_close(in);
    yoke_close(out);
    ends_drop(&ends);
}

static int role_writes_through_what_it_inherited(void *out)
{
    put(out, 100, 0);
    yoke_close(out);
    return 0;
}

static void forked_child_goes_on_with_it(void **state)
{
    struct both both = both_make(state);
    const struct subject *subject = *state;

    if (subject->can & INHERITED) { /* else the end is the parent's */
        pid_t child = role_start(role_writes_through_what_it_inherited, both.out);
        get(both.in, 100, 0);
        assert_int_equal(role_wait(child, SOON_MS), 0);
    }
    put(both.out, 100, 100);
    get(both.in, 100, 100);
    both_drop(&both);
}

/* ---- names and permissions ---- */

static void names_are_made_found_kept_and_removed(void **state)
{
    struct ends ends = ends_make(state);
    const char *address = ends.subject->address;
    yoke_endpoint *endpoint;

    if (!(ends.subject->can & NAMED))
        return ends_drop(&ends);
    must_fail(try_open(&endpoint, &ends, READING, 0), ENOENT);
    yoke_close(open_end(&ends, READING));
    must_fail(try_open(&endpoint, &ends, READING, 0), ENOENT); /* transient: it went */
    must(try_open(&endpoint, &ends, WRITING, YOKE_CREATE | YOKE_EXCLUSIVE | YOKE_KEPT));
    yoke_close(endpoint);
    must_fail(try_open(&endpoint, &ends, READING, YOKE_CREATE | YOKE_EXCLUSIVE), EEXIST);
    must(try_open(&endpoint, &ends, READING, 0));
    must(yoke_remove(address));
    must_fail(yoke_remove(address), ENOENT);
    yoke_close(endpoint);
    assert_int_equal(names_left(), 0);
}

static int role_is_another_user(void *argument)
{
    struct acting *acting = argument;
    yoke_endpoint *endpoint;

    become_user(1);
    must_fail(try_open(&endpoint, acting->ends, READING, 0), EACCES);
    must_fail(try_open(&endpoint, acting->ends, WRITING, 0), EACCES);
    return 0;
}

static void other_users_may_not_unless_the_mode_says_so(void **state)
{
    struct ends ends = ends_make(state);
    struct acting acting = {.ends = &ends};

    if (!(ends.subject->can & NAMED))
        return ends_drop(&ends);
    share_directory();
    yoke_endpoint *mine = open_end(&ends, READING);
    assert_int_equal(role_wait(role_start(role_is_another_user, &acting), SOON_MS), 0);
    yoke_close(mine);
}

/* ---- bad input ---- */

static void bad_arguments_get_an_answer(void **state)
{
    struct both both = both_make(state);
    char byte;

    must_fail(yoke_write(NULL, "x", 1, YOKE_NOW), EINVAL);
    must_fail(yoke_read(NULL, &byte, 1, YOKE_NOW), EINVAL);
    must_fail(yoke_move(NULL, 0, 1, YOKE_NOW), EINVAL);
    must_fail(yoke_write(both.out, NULL, 1, YOKE_NOW), EINVAL);
    must_fail(yoke_read(both.in, NULL, 1, YOKE_NOW), EINVAL);
    must_fail(yoke_write(both.out, "x", 1, -2), EINVAL);
    must_fail(yoke_read(both.in, &byte, 1, -2), EINVAL);
    must_fail(yoke_write(both.in, "x", 1, YOKE_NOW), ENOTSUP); /* the other end */
    must_fail(yoke_read(both.out, &byte, 1, YOKE_NOW), ENOTSUP);
    assert_empty(both.in); /* nothing was changed */
    both_drop(&both);
}

static void verbs_of_messages_are_refused(void **state)
{
    struct both both = both_make(state);
    const void *message;
    void *block;
    char byte;

    must_fail(yoke_send(both.out, "x", 1, YOKE_NOW), ENOTSUP);
    must_fail(yoke_recv(both.in, &byte, 1, YOKE_NOW), ENOTSUP);
    must_fail(yoke_send_many(both.out, &(struct yoke_message){0}, 1, YOKE_NOW), ENOTSUP);
    must_fail(yoke_recv_many(both.in, &(struct yoke_message){0}, 1, YOKE_NOW), ENOTSUP);
    must_fail(yoke_loan(both.out, 1, &block, YOKE_NOW), ENOTSUP);
    must_fail(yoke_borrow(both.in, &message, YOKE_NOW), ENOTSUP);
    must_fail(yoke_release(both.in, &byte), ENOTSUP);
    must_fail(yoke_return(both.in, &byte), ENOTSUP);
    must_fail(yoke_signal_recv(both.in, &(struct yoke_signal){0}, YOKE_NOW), EINVAL);
    assert_int_equal(yoke_max_message(both.out), 0);
    assert_string_equal(yoke_link_other(both.out), "");
    assert_empty(both.in);
    both_drop(&both);
}

static void what_can_not_be_is_refused_when_it_is_opened(void **state)
{
    struct ends ends = ends_make(state);
    struct yoke_options options = options_for(CAPACITY);
    const char *address = ends.subject->address;
    yoke_endpoint *endpoint = NULL;
    char nowhere[64];

    if (!(ends.subject->can & NAMED))
        return ends_drop(&ends);
    uint32_t flags = YOKE_CREATE | YOKE_READ;
    must_fail(yoke_open(&endpoint, address, YOKE_CREATE, &options), EINVAL);
    must_fail(yoke_open(&endpoint, address, flags | YOKE_WRITE, &options), EINVAL);
    must_fail(yoke_open(&endpoint, address, flags | 0x80000000u, &options), EINVAL);
    must_fail(yoke_open(&endpoint, address, flags | YOKE_PARKED, &options), ENOTSUP);
    options.struct_size--;
    must_fail(yoke_open(&endpoint, address, flags, &options), EINVAL);
    options = options_for(CAPACITY);
    options.mode = 01000;
    must_fail(yoke_open(&endpoint, address, flags, &options), EINVAL);
    options = options_for(CAPACITY);
    options.depth = 1;
    must_fail(yoke_open(&endpoint, address, flags, &options), ENOTSUP);
    options = options_for(CAPACITY);
    options.policy = YOKE_POLICY_REDELIVER;
    must_fail(yoke_open(&endpoint, address, flags, &options), ENOTSUP);
    snprintf(nowhere, sizeof nowhere, "%.*s@nowhere", (int)strcspn(address, "@"), address);
    must_fail(yoke_open(&endpoint, nowhere, flags, NULL), ENOTSUP);
    assert_null(endpoint);
    assert_int_equal(names_left(), 0);
}

/* ---- all of them ---- */

static const struct expectation expectations[] = {
    EXPECTATION(bytes_come_out_in_order),
    EXPECTATION(what_is_there_is_read_and_what_fits_is_written),
    EXPECTATION(what_is_full_takes_no_more_and_loses_nothing),
    EXPECTATION(files_move_in_and_out),
    EXPECTATION(moves_keep_their_time_whatever_the_descriptor_is),
    EXPECTATION(sockets_of_messages_are_refused),
    EXPECTATION(waits_end_when_their_time_is_over),
    EXPECTATION(waits_end_when_there_is_something),
    EXPECTATION(long_write_goes_on_as_room_comes),
    EXPECTATION(cancelling_ends_waits_now_and_later),
    EXPECTATION(closing_ends_another_threads_wait),
    EXPECTATION(signal_handlers_end_waits),
    EXPECTATION(descriptor_is_readable_whenever_reading_would_not_wait),
    EXPECTATION(descriptor_tells_of_cancelling),
    EXPECTATION(wait_set_tells_of_cancelling),
    EXPECTATION(writing_end_has_no_descriptor),
    EXPECTATION(wait_sets_take_it),
    EXPECTATION(end_comes_after_what_a_killed_writer_wrote),
    EXPECTATION(killed_writer_is_seen_through_the_descriptor),
    EXPECTATION(end_comes_after_what_was_written_before_closing),
    EXPECTATION(last_reader_that_closed_is_epipe_and_no_signal),
    EXPECTATION(sleeping_writer_is_told_that_the_last_reader_was_killed),
    EXPECTATION(another_writer_opens_it_anew),
    EXPECTATION(what_is_written_before_a_reader_comes_waits_or_the_writer_does),
    EXPECTATION(forked_child_goes_on_with_it),
    EXPECTATION(names_are_made_found_kept_and_removed),
    EXPECTATION(other_users_may_not_unless_the_mode_says_so),
    EXPECTATION(bad_arguments_get_an_answer),
    EXPECTATION(verbs_of_messages_are_refused),
    EXPECTATION(what_can_not_be_is_refused_when_it_is_opened),
};

int main(void)
{
    return conform(subjects, expectations);
}
