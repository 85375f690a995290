/* Streams in the kernel place: what is the same as in memory, what a pipe has its own way; pipes by descriptor. */
#include "api.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static yoke_endpoint *open_end(uint32_t flags)
{
    yoke_endpoint *endpoint = NULL;

    must(yoke_open(&endpoint, "stream:s@kernel", flags, NULL));
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

/* Both ends: with a name, or of a pipe that is there already, blocking or not. */
enum form { NAMED, PIPE, PIPE_NONBLOCK, FORMS };

struct ends {
    yoke_endpoint *in, *out;
};

static struct ends open_both(int form)
{
    struct ends ends;
    int pipe[2];

    if (form == NAMED) {
        ends.in = reader();
        ends.out = writer();
        return ends;
    }
    assert_int_equal(pipe2(pipe, form == PIPE ? O_CLOEXEC : O_CLOEXEC | O_NONBLOCK), 0);
    must(yoke_open_descriptor(&ends.in, pipe[0], NULL));
    must(yoke_open_descriptor(&ends.out, pipe[1], NULL));
    close(pipe[0]);
    close(pipe[1]);
    return ends;
}

static unsigned char byte_at(uint64_t position)
{
    return (unsigned char)(position * 131 + (position >> 8) * 7);
}

static void put(yoke_endpoint *out, size_t size, uint64_t position)
{
    unsigned char *bytes = malloc(size + 1);

    for (size_t i = 0; i < size; i++)
        bytes[i] = byte_at(position + i);
    assert_int_equal(must(yoke_write(out, bytes, size, YOKE_NOW)), size);
    free(bytes);
}

static void get(yoke_endpoint *in, size_t size, uint64_t position)
{
    unsigned char *bytes = malloc(size + 1);
    size_t done = 0;

    while (done < size)
        done += (size_t)must(yoke_read(in, bytes + done, size - done, YOKE_NOW));
    for (size_t i = 0; i < size; i++)
        assert_int_equal(bytes[i], byte_at(position + i));
    free(bytes);
}

struct call {
    yoke_endpoint *endpoint;
    unsigned char *bytes;
    size_t size;
    int64_t timeout_ns;
    int descriptor;
};

static int64_t call_write(void *context)
{
    struct call *call = context;

    return yoke_write(call->endpoint, call->bytes, call->size, call->timeout_ns);
}

static int64_t call_read(void *context)
{
    struct call *call = context;

    return yoke_read(call->endpoint, call->bytes, call->size, call->timeout_ns);
}

static int64_t call_move(void *context)
{
    struct call *call = context;

    return yoke_move(call->endpoint, call->descriptor, call->size, call->timeout_ns);
}

/* ---- bytes ------------------------------------------------------------------------------------ */

static void bytes_come_out_in_order_and_then_the_end(void **state)
{
    char byte;

    (void)state;
    for (int form = 0; form < FORMS; form++) {
        struct ends ends = open_both(form);
        uint64_t position = 0;

        for (size_t size = 1; size < 50000; size += 1 + size / 2) {
            put(ends.out, size, position);
            get(ends.in, size, position);
            position += size;
        }
        must_fail(yoke_read(ends.in, &byte, 1, YOKE_NOW), EAGAIN);
        must_fail(yoke_read(ends.in, &byte, 1, 5 * MS), ETIMEDOUT);
        assert_int_equal(yoke_stream_end(ends.in), 0);
        put(ends.out, 10, 0);
        yoke_close(ends.out);
        get(ends.in, 10, 0);
        for (int i = 0; i < 2; i++)
            assert_int_equal(yoke_read(ends.in, &byte, 1, LONG_WAIT), 0);
        must_fail(yoke_stream_end(ends.in), EPIPE);
        yoke_close(ends.in);
    }
}

static void reader_that_left_is_an_error_and_no_signal(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_DFL); /* it would end this test */
    for (int form = 0; form < FORMS; form++) {
        struct ends ends = open_both(form);
        char byte = 0;

        put(ends.out, 10, 0);
        yoke_close(ends.in);
        for (int i = 0; i < 2; i++)
            must_fail(yoke_write(ends.out, &byte, 1, LONG_WAIT), EPIPE);
        must_fail(yoke_stream_end(ends.out), EPIPE);
        yoke_close(ends.out);
    }
}

static void full_pipe_takes_a_part_and_waits_for_the_rest(void **state)
{
    enum { SIZE = 1 << 20 };
    unsigned char *bytes = calloc(1, SIZE);

    (void)state;
    for (int form = 0; form < FORMS; form++) {
        struct ends ends = open_both(form);
        struct call call = {ends.out, bytes, SIZE, LONG_WAIT, -1};
        size_t capacity = yoke_stream_capacity(ends.out), got = 0;
        struct worker worker;

        assert_int_equal(yoke_stream_capacity(ends.in), capacity);
        assert_int_equal(yoke_write(ends.out, bytes, SIZE, YOKE_NOW), capacity);
        must_fail(yoke_write(ends.out, bytes, 1, YOKE_NOW), EAGAIN);
        must_fail(yoke_write(ends.out, bytes, 4096, 5 * MS), ETIMEDOUT);
        worker_start(&worker, call_write, &call);
        worker_wait_asleep(&worker);
        while (got < capacity + SIZE)
            got += (size_t)must(yoke_read(ends.in, bytes, SIZE, LONG_WAIT));
        assert_int_equal(worker_join(&worker), SIZE);
        call = (struct call){ends.in, bytes, 10, LONG_WAIT, -1};
        worker_start(&worker, call_read, &call);
        worker_wait_asleep(&worker);
        put(ends.out, 3, 0);
        assert_int_equal(worker_join(&worker), 3);
        yoke_close(ends.in);
        yoke_close(ends.out);
    }
    free(bytes);
}

static void signal_cancelling_and_closing_end_a_wait(void **state)
{
    (void)state;
    for (int form = 0; form < FORMS; form++) {
        struct ends ends = open_both(form);
        unsigned char byte;
        struct call call = {ends.in, &byte, 1, LONG_WAIT, -1};
        struct worker worker;

        assert_int_equal(interrupted_result(call_read, &call), -EINTR);
        worker_start(&worker, call_read, &call);
        worker_wait_asleep(&worker);
        if (form == NAMED)
            yoke_close(ends.in);
        else
            must(yoke_cancel(ends.in));
        assert_int_equal(worker_join(&worker), -ECANCELED);
        if (form != NAMED)
            yoke_close(ends.in);
        yoke_close(ends.out);
    }
}

/* ---- names ------------------------------------------------------------------------------------ */

static void first_writer_waits_for_a_reader_and_first_reader_for_a_writer(void **state)
{
    yoke_endpoint *out = writer(), *in;
    unsigned char byte = 7;
    struct call call = {out, &byte, 1, LONG_WAIT, -1};
    struct worker worker;

    (void)state;
    must_fail(yoke_write(out, &byte, 1, YOKE_NOW), EAGAIN);
    must_fail(yoke_write(out, &byte, 1, 5 * MS), ETIMEDOUT);
    assert_int_equal(yoke_stream_end(out), 0);
    assert_int_equal(yoke_write(out, &byte, 0, YOKE_NOW), 0);
    worker_start(&worker, call_write, &call);
    worker_wait_asleep(&worker);
    in = reader();
    assert_int_equal(worker_join(&worker), 1);
    assert_int_equal(yoke_read(in, &byte, 1, YOKE_NOW), 1);
    yoke_close(out);
    assert_int_equal(yoke_read(in, &byte, 1, LONG_WAIT), 0);
    yoke_close(in);
    in = reader();
    must_fail(yoke_read(in, &byte, 1, 5 * MS), ETIMEDOUT);
    call.endpoint = in;
    worker_start(&worker, call_read, &call);
    worker_wait_asleep(&worker);
    out = writer();
    yoke_close(out); /* has come, and is gone */
    assert_int_equal(worker_join(&worker), 0);
    yoke_close(in);
}

static void name_is_made_found_kept_and_removed_as_others_are(void **state)
{
    yoke_endpoint *end = NULL, *other = NULL;

    (void)state;
    must_fail(yoke_open(&end, "stream:s@kernel", YOKE_READ, NULL), ENOENT);
    must_fail(yoke_open(&end, "stream:s@kernel", YOKE_CREATE, NULL), EINVAL);
    must_fail(yoke_remove("stream:s@kernel"), ENOENT);
    end = reader();
    must_fail(yoke_open(&other, "stream:s@kernel", YOKE_CREATE | YOKE_EXCLUSIVE | YOKE_WRITE, NULL),
              EEXIST);
    must(
        yoke_open(&other, "stream:s", YOKE_CREATE | YOKE_WRITE, NULL)); /* another one, in memory */
    yoke_close(other);
    yoke_close(end);
    assert_int_equal(names_left(), 0);
    end = open_end(YOKE_CREATE | YOKE_KEPT | YOKE_READ);
    yoke_close(end);
    end = open_end(YOKE_WRITE);
    must(yoke_remove("stream:s@kernel"));
    must_fail(yoke_open(&other, "stream:s@kernel", YOKE_READ, NULL), ENOENT);
    other = reader(); /* a new one, which has nothing to do with the old one */
    must_fail(yoke_write(end, "x", 1, 5 * MS), ENOENT);
    yoke_close(end);
    yoke_close(other);
    assert_int_equal(names_left(), 0);
}

static void what_the_place_can_not_do_is_refused_by_name(void **state)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;
    uint32_t flags = YOKE_CREATE | YOKE_WRITE;
    yoke_endpoint *end = NULL;
    int pipe[2];

    (void)state;
    must_fail(yoke_open(&end, "stream:s@kernel", flags | YOKE_HUGE, NULL), ENOTSUP);
    must_fail(yoke_open(&end, "stream:s@kernel", flags | YOKE_SPARSE, NULL), ENOTSUP);
    options.participants = 3;
    must_fail(yoke_open(&end, "stream:s@kernel", flags, &options), ENOTSUP);
    options = (struct yoke_options)YOKE_OPTIONS_INIT;
    options.mode = 0777;
    must_fail(yoke_open(&end, "stream:s@kernel", flags, &options), EINVAL);
    options = (struct yoke_options)YOKE_OPTIONS_INIT;
    options.depth = 3;
    must_fail(yoke_open(&end, "stream:s@kernel", flags, &options), ENOTSUP);
    must_fail(yoke_open(&end, "region:s@kernel", flags, NULL), ENOTSUP);
    assert_int_equal(pipe2(pipe, O_CLOEXEC), 0);
    must_fail(yoke_open_descriptor(&end, pipe[0], &options), ENOTSUP);
    close(pipe[0]);
    close(pipe[1]);
    assert_null(end);
    assert_int_equal(names_left(), 0);
}

static void capacity_is_the_kernels_and_reported(void **state)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;
    yoke_endpoint *out, *in;

    (void)state;
    options.capacity = 100000;
    must(yoke_open(&out, "stream:s@kernel", YOKE_CREATE | YOKE_WRITE, &options));
    assert_int_equal(yoke_stream_capacity(out), 131072);
    in = open_end(YOKE_READ);
    assert_int_equal(yoke_stream_capacity(in), 131072);
    put(out, 131072, 0);
    must_fail(yoke_write(out, "x", 1, YOKE_NOW), EAGAIN);
    get(in, 131072, 0);
    yoke_close(in);
    yoke_close(out);
}

static int role_is_refused_a_big_pipe(void *argument)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;
    yoke_endpoint *out = NULL;

    (void)argument;
    if (geteuid() == 0)
        become_user(1);
    options.capacity = 1 << 30;
    must_fail(yoke_open(&out, "stream:big@kernel", YOKE_CREATE | YOKE_WRITE, &options), EPERM);
    assert_non_null(strstr(yoke_explain(), "/proc/sys/fs/pipe-max-size allows"));
    return 0;
}

static void limit_of_the_kernel_is_explained(void **state)
{
    (void)state;
    if (geteuid() == 0)
        share_directory();
    assert_int_equal(role_wait(role_start(role_is_refused_a_big_pipe, NULL), SOON_MS), 0);
}

/* What stands under a name may be anything, put there by anybody: it is not written to. */
static void file_that_is_no_stream_is_left_as_it_is(void **state)
{
    char precious[300], name[300], text[16] = "";
    yoke_endpoint *endpoint = NULL;

    (void)state;
    snprintf(precious, sizeof precious, "%s", name_path("precious"));
    snprintf(name, sizeof name, "%s", name_path("stream.s@kernel"));
    int fd = open(precious, O_RDWR | O_CREAT | O_EXCL, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "precious", 8), 8);
    assert_int_equal(link(precious, name), 0);
    must_fail(yoke_open(&endpoint, "stream:s@kernel", YOKE_CREATE | YOKE_READ, NULL), EPROTO);
    must_fail(yoke_open(&endpoint, "stream:s@kernel", YOKE_READ, NULL), EPROTO);
    must_fail(yoke_remove("stream:s@kernel"), EPROTO);
    assert_null(endpoint);
    assert_int_equal(pread(fd, text, sizeof text, 0), 8);
    assert_string_equal(text, "precious");
    assert_int_equal(unlink(name), 0);
    assert_int_equal(unlink(precious), 0);
    close(fd);
}

static void name_has_the_mode_asked_for(void **state)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;
    yoke_endpoint *out;
    struct stat facts;

    (void)state;
    options.mode = 0620;
    must(yoke_open(&out, "stream:s@kernel", YOKE_CREATE | YOKE_WRITE, &options));
    assert_int_equal(stat(name_path(".fifo-s"), &facts), 0);
    assert_true(S_ISFIFO(facts.st_mode));
    assert_int_equal(facts.st_mode & 0777, 0620);
    assert_int_equal(stat(name_path("stream.s@kernel"), &facts), 0);
    assert_int_equal(facts.st_mode & 0777, 0640);
    yoke_close(out);
}

/* ---- processes -------------------------------------------------------------------------------- */

static int role_writes_and_dies(void *argument)
{
    (void)argument;
    put(writer(), 100, 0);
    raise(SIGKILL);
    return 0;
}

static int role_makes_one_and_dies(void *argument)
{
    (void)argument;
    (void)writer();
    raise(SIGKILL);
    return 0;
}

static void killed_writer_is_the_end_and_its_name_is_cleared_by_the_next(void **state)
{
    yoke_endpoint *in = reader(), *end = NULL;
    struct yoke_options options = YOKE_OPTIONS_INIT;
    char byte;

    (void)state;
    assert_int_equal(role_wait(role_start(role_writes_and_dies, NULL), SOON_MS), 128 + SIGKILL);
    get(in, 100, 0);
    assert_int_equal(yoke_read(in, &byte, 1, LONG_WAIT), 0);
    yoke_close(in);
    assert_int_equal(names_left(), 0);
    assert_int_equal(role_wait(role_start(role_makes_one_and_dies, NULL), SOON_MS), 128 + SIGKILL);
    assert_int_equal(names_left(), 2);
    must_fail(yoke_open(&end, "stream:s@kernel", YOKE_READ, NULL), ENOENT);
    assert_int_equal(names_left(), 0);
    assert_int_equal(role_wait(role_start(role_makes_one_and_dies, NULL), SOON_MS), 128 + SIGKILL);
    options.mode = 0640; /* made anew, not taken over */
    must(yoke_open(&end, "stream:s@kernel", YOKE_CREATE | YOKE_EXCLUSIVE | YOKE_READ, &options));
    yoke_close(end);
}

static int role_uses_what_its_parent_opened(void *argument)
{
    struct baton *batons = argument;
    yoke_endpoint **end = (yoke_endpoint **)(batons + 2);

    put(*end, 50, 50);
    baton_pass(&batons[0]);
    baton_take(&batons[1]);
    yoke_close(*end);
    return 0;
}

static void child_uses_what_its_parent_opened_and_keeps_the_name(void **state)
{
    struct {
        struct baton batons[2];
        yoke_endpoint *end;
    } shared = {.end = NULL};
    yoke_endpoint *in = reader(), *other = NULL;
    pid_t child;

    (void)state;
    baton_make(&shared.batons[0]);
    baton_make(&shared.batons[1]);
    shared.end = writer();
    put(shared.end, 50, 0);
    child = role_start(role_uses_what_its_parent_opened, &shared);
    baton_take(&shared.batons[0]);
    yoke_close(shared.end);
    get(in, 100, 0);
    yoke_close(in);
    must(yoke_open(&other, "stream:s@kernel", YOKE_WRITE, NULL)); /* the child still has it */
    yoke_close(other);
    baton_pass(&shared.batons[1]);
    assert_int_equal(role_wait(child, SOON_MS), 0);
    baton_drop(&shared.batons[0]);
    baton_drop(&shared.batons[1]);
    must_fail(yoke_open(&other, "stream:s@kernel", YOKE_READ, NULL), ENOENT);
}

/* ---- moving ----------------------------------------------------------------------------------- */

static int scratch_file(size_t size)
{
    int fd = memfd_create("scratch", MFD_CLOEXEC);

    assert_true(fd >= 0);
    for (size_t i = 0; i < size; i++) {
        unsigned char byte = byte_at(i);
        assert_int_equal(write(fd, &byte, 1), 1);
    }
    lseek(fd, 0, SEEK_SET);
    return fd;
}

static void assert_file(int fd, size_t size)
{
    unsigned char *bytes = malloc(size + 1);

    assert_int_equal(pread(fd, bytes, size + 1, 0), size);
    for (size_t i = 0; i < size; i++)
        assert_int_equal(bytes[i], byte_at(i));
    free(bytes);
}

static void files_move_in_and_out_spliced_or_not(void **state)
{
    enum { SIZE = 300001 };

    (void)state;
    for (int form = 0; form < 2 * FORMS; form++) {
        struct ends ends = open_both(form % FORMS);
        int from = scratch_file(SIZE), to = scratch_file(0);
        struct call call = {ends.out, NULL, SIZE_MAX, YOKE_FOREVER, from};
        struct worker worker;

        if (form >= FORMS) /* what can not be spliced */
            fcntl(to, F_SETFL, O_APPEND);
        worker_start(&worker, call_move, &call);
        assert_int_equal(must(yoke_move(ends.in, to, 100001, LONG_WAIT)), 100001);
        assert_int_equal(must(yoke_move(ends.in, to, 200000, LONG_WAIT)), 200000);
        assert_int_equal(worker_join(&worker), SIZE);
        must_fail(yoke_move(ends.in, to, 1, YOKE_NOW), EAGAIN);
        must_fail(yoke_move(ends.in, to, 1, 5 * MS), ETIMEDOUT);
        yoke_close(ends.out);
        assert_int_equal(must(yoke_move(ends.in, to, SIZE_MAX, LONG_WAIT)), 0);
        assert_file(to, SIZE);
        close(from);
        close(to);
        yoke_close(ends.in);
    }
}

static void pipes_and_sockets_move_within_the_time_given(void **state)
{
    (void)state;
    for (int kind = 0; kind < 2; kind++) {
        struct ends ends = open_both(NAMED);
        unsigned char *bytes = malloc(1 << 20);
        size_t total = 0, got = 0;
        int other[2];
        ssize_t moved;

        if (kind)
            assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, other), 0);
        else
            assert_int_equal(pipe2(other, 0), 0);
        must_fail(yoke_move(ends.out, other[0], 10, 5 * MS), ETIMEDOUT);
        for (;;) { /* until both are full */
            moved = yoke_write(ends.out, bytes, 60000, YOKE_NOW);
            if (moved == -EAGAIN)
                break;
            must(moved);
            moved = yoke_move(ends.in, other[1], SIZE_MAX, 5 * MS);
            if (moved > 0)
                total += (size_t)moved;
        }
        must_fail(yoke_move(ends.in, other[1], SIZE_MAX, 5 * MS), ETIMEDOUT);
        must_fail(yoke_move(ends.in, other[1], SIZE_MAX, YOKE_NOW), EAGAIN);
        while (got < total)
            got += (size_t)must(read(other[0], bytes, total - got));
        yoke_close(ends.in);
        must_fail(yoke_move(ends.out, other[0], 10, YOKE_NOW), EPIPE);
        yoke_close(ends.out);
        close(other[0]);
        close(other[1]);
        free(bytes);
    }
}

static void nobody_who_reads_is_an_error_and_no_signal(void **state)
{
    struct ends ends = open_both(NAMED);
    int other[2], from = scratch_file(100);

    (void)state;
    signal(SIGPIPE, SIG_DFL);
    assert_int_equal(pipe2(other, O_CLOEXEC), 0);
    close(other[0]);
    put(ends.out, 100, 0);
    must_fail(yoke_move(ends.in, other[1], SIZE_MAX, LONG_WAIT), EPIPE);
    get(ends.in, 100, 0);
    close(other[1]);
    yoke_close(ends.in);
    must_fail(yoke_move(ends.out, from, SIZE_MAX, LONG_WAIT), EPIPE);
    close(from);
    yoke_close(ends.out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        api_test(bytes_come_out_in_order_and_then_the_end),
        api_test(reader_that_left_is_an_error_and_no_signal),
        api_test(full_pipe_takes_a_part_and_waits_for_the_rest),
        api_test(signal_cancelling_and_closing_end_a_wait),
        api_test(first_writer_waits_for_a_reader_and_first_reader_for_a_writer),
        api_test(name_is_made_found_kept_and_removed_as_others_are),
        api_test(what_the_place_can_not_do_is_refused_by_name),
        api_test(capacity_is_the_kernels_and_reported),
        api_test(limit_of_the_kernel_is_explained),
        api_test(file_that_is_no_stream_is_left_as_it_is),
        api_test(name_has_the_mode_asked_for),
        api_test(killed_writer_is_the_end_and_its_name_is_cleared_by_the_next),
        api_test(child_uses_what_its_parent_opened_and_keeps_the_name),
        api_test(files_move_in_and_out_spliced_or_not),
        api_test(pipes_and_sockets_move_within_the_time_given),
        api_test(nobody_who_reads_is_an_error_and_no_signal),
    };

    return cmocka_run_group_tests(tests, api_setup, NULL);
}
