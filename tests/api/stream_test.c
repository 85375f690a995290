/* Streams: the contract of each call, both forms of memory: with a name, and as a pair of descriptors. */
#include "api.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define CAPACITY 4096

static yoke_endpoint *open_end(const char *name, uint32_t flags, size_t capacity)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;
    char address[200];
    yoke_endpoint *endpoint = NULL;

    options.capacity = capacity;
    snprintf(address, sizeof address, "stream:%s", name);
    must(yoke_open(&endpoint, address, flags, &options));
    return endpoint;
}

static yoke_endpoint *writer(size_t capacity)
{
    return open_end("s", YOKE_CREATE | YOKE_WRITE, capacity);
}

static yoke_endpoint *reader(size_t capacity)
{
    return open_end("s", YOKE_CREATE | YOKE_READ, capacity);
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

static void assert_bytes(const unsigned char *bytes, size_t size, uint64_t position)
{
    for (size_t i = 0; i < size; i++)
        assert_int_equal(bytes[i], byte_at(position + i));
}

static void put(yoke_endpoint *out, size_t size, uint64_t position)
{
    unsigned char *bytes = malloc(size + 1);

    fill(bytes, size, position);
    assert_int_equal(must(yoke_write(out, bytes, size, YOKE_NOW)), size);
    free(bytes);
}

static void get(yoke_endpoint *in, size_t size, uint64_t position)
{
    unsigned char *bytes = malloc(size + 1);
    size_t done = 0;

    while (done < size)
        done += (size_t)must(yoke_read(in, bytes + done, size - done, YOKE_NOW));
    assert_bytes(bytes, size, position);
    free(bytes);
}

static void assert_ended(yoke_endpoint *in)
{
    char byte;

    for (int i = 0; i < 2; i++)
        assert_int_equal(yoke_read(in, &byte, 1, LONG_WAIT), 0);
}

static void assert_empty(yoke_endpoint *in)
{
    char byte;

    must_fail(yoke_read(in, &byte, 1, YOKE_NOW), EAGAIN);
}

/* ---- opening ---------------------------------------------------------------------------------- */

static void exactly_one_end_is_opened(void **state)
{
    yoke_endpoint *end = NULL;
    char *before = world_describe(), *after;

    (void)state;
    must_fail(yoke_open(&end, "stream:s", YOKE_CREATE, NULL), EINVAL);
    must_fail(yoke_open(&end, "stream:s", YOKE_CREATE | YOKE_READ | YOKE_WRITE, NULL), EINVAL);
    must_fail(yoke_open(&end, "stream:s", YOKE_READ, NULL), ENOENT);
    must_fail(yoke_open(&end, "port:s", YOKE_CREATE | YOKE_READ, NULL), EINVAL);
    assert_null(end);
    after = world_describe();
    assert_string_equal(after, before);
    free(before);
    free(after);
}

static void options_of_messages_are_refused(void **state)
{
    struct yoke_options options[8];
    uint32_t flags = YOKE_CREATE | YOKE_WRITE;
    yoke_endpoint *end = NULL;

    (void)state;
    for (int i = 0; i < 8; i++)
        options[i] = (struct yoke_options)YOKE_OPTIONS_INIT;
    options[0].depth = 1;
    options[1].max_message = 1;
    options[2].priorities = 1;
    options[3].policy = YOKE_POLICY_REDELIVER;
    options[4].max_deliveries = 1;
    options[5].max_parked = 1;
    options[6].max_borrowed = 1;
    options[7].as = "alice";
    for (int i = 0; i < 8; i++)
        must_fail(yoke_open(&end, "stream:s", flags, &options[i]), ENOTSUP);
    must_fail(yoke_open(&end, "stream:s", flags | YOKE_PARKED, NULL), ENOTSUP);
    must_fail(yoke_open(&end, "stream:s", flags | YOKE_READ_ONLY, NULL), ENOTSUP);
    options[0] = (struct yoke_options)YOKE_OPTIONS_INIT;
    options[0].capacity = YOKE_STREAM_CAPACITY_MAX + 1;
    must_fail(yoke_open(&end, "stream:s", flags, &options[0]), EINVAL);
    options[0].capacity = 4096;
    must_fail(yoke_open(&end, "port:s", YOKE_CREATE, &options[0]), ENOTSUP);
    options[0].capacity = 0;
    options[0].participants = YOKE_PARTICIPANTS_MAX + 1;
    must_fail(yoke_open(&end, "stream:s", flags, &options[0]), EINVAL);
}

static void capacity_is_as_asked_or_more(void **state)
{
    static const size_t asked[] = {0, 1, 4096, 4097, 1 << 20, (1 << 20) + 1};
    static const size_t given[] = {1 << 20, 4096, 4096, 8192, 1 << 20, 2 << 20};

    (void)state;
    for (int i = 0; i < 6; i++) {
        yoke_endpoint *out = writer(asked[i]), *in = reader(1);

        assert_int_equal(yoke_stream_capacity(out), given[i]);
        assert_int_equal(yoke_stream_capacity(in), given[i]);
        yoke_close(in);
        yoke_close(out);
        assert_int_equal(names_left(), 0);
    }
    assert_int_equal(yoke_stream_capacity(NULL), 0);
}

static void verbs_of_the_other_kind_and_end_are_refused_by_name(void **state)
{
    yoke_endpoint *out = writer(0), *in = reader(0), *port = port_make("p", NULL);
    struct yoke_message message = {0};
    const void *borrowed;
    void *block;
    char byte = 0;

    (void)state;
    must_fail(yoke_send(out, "", 0, YOKE_NOW), ENOTSUP);
    must_fail(yoke_recv(in, &byte, 1, YOKE_NOW), ENOTSUP);
    must_fail(yoke_send_many(out, &message, 1, YOKE_NOW), ENOTSUP);
    must_fail(yoke_recv_many(in, &message, 1, YOKE_NOW), ENOTSUP);
    must_fail(yoke_loan(out, 1, &block, YOKE_NOW), ENOTSUP);
    must_fail(yoke_borrow(in, &borrowed, YOKE_NOW), ENOTSUP);
    must_fail(yoke_release(in, &byte), ENOTSUP);
    must_fail(yoke_return(in, &byte), ENOTSUP);
    assert_int_equal(yoke_max_message(out), 0);
    assert_string_equal(yoke_link_other(out), "");
    must_fail(yoke_write(in, "x", 1, YOKE_NOW), ENOTSUP);
    must_fail(yoke_read(out, &byte, 1, YOKE_NOW), ENOTSUP);
    must_fail(yoke_write(port, "x", 1, YOKE_NOW), ENOTSUP);
    must_fail(yoke_read(port, &byte, 1, YOKE_NOW), ENOTSUP);
    must_fail(yoke_move(port, 0, 1, YOKE_NOW), ENOTSUP);
    must_fail(yoke_stream_end(port), ENOTSUP);
    must_fail(yoke_write(out, NULL, 1, YOKE_NOW), EINVAL);
    must_fail(yoke_read(in, NULL, 1, YOKE_NOW), EINVAL);
    must_fail(yoke_write(out, "x", 1, -2), EINVAL);
    must_fail(yoke_write(NULL, "x", 1, YOKE_NOW), EINVAL);
    assert_int_equal(yoke_write(out, NULL, 0, YOKE_NOW), 0);
    assert_int_equal(yoke_read(in, NULL, 0, YOKE_NOW), 0);
    assert_empty(in);
    yoke_close(port);
    yoke_close(in);
    yoke_close(out);
}

/* ---- bytes ------------------------------------------------------------------------------------ */

static void bytes_come_out_in_order_wherever_the_ring_ends(void **state)
{
    yoke_endpoint *out = writer(CAPACITY), *in = reader(0);
    uint64_t position = 0;

    (void)state;
    for (size_t size = 1; size <= CAPACITY; size += 1 + size / 3) {
        for (int i = 0; i < 5; i++) {
            put(out, size, position);
            get(in, size, position);
            position += size;
        }
    }
    assert_empty(in);
    yoke_close(in);
    yoke_close(out);
}

static void what_is_there_is_read_and_no_more_waited_for(void **state)
{
    yoke_endpoint *out = writer(CAPACITY), *in = reader(0);
    unsigned char bytes[CAPACITY];

    (void)state;
    put(out, 100, 0);
    put(out, 200, 100);
    assert_int_equal(yoke_read(in, bytes, 50, LONG_WAIT), 50);
    assert_bytes(bytes, 50, 0);
    assert_int_equal(yoke_read(in, bytes, sizeof bytes, LONG_WAIT), 250);
    assert_bytes(bytes, 250, 50);
    yoke_close(in);
    yoke_close(out);
}

static void full_stream_takes_what_fits_and_small_writes_whole_or_not_at_all(void **state)
{
    yoke_endpoint *out = writer(2 * CAPACITY), *in = reader(0);
    unsigned char bytes[4 * CAPACITY];

    (void)state;
    fill(bytes, sizeof bytes, 0);
    assert_int_equal(yoke_write(out, bytes, sizeof bytes, YOKE_NOW), 2 * CAPACITY);
    must_fail(yoke_write(out, bytes, 1, YOKE_NOW), EAGAIN);
    must_fail(yoke_write(out, bytes, 1, 2 * MS), ETIMEDOUT);
    get(in, 100, 0);
    must_fail(yoke_write(out, bytes, 101, YOKE_NOW), EAGAIN);
    must_fail(yoke_write(out, bytes, 4096, YOKE_NOW), EAGAIN);
    assert_int_equal(yoke_write(out, bytes + 2 * CAPACITY, 4097, YOKE_NOW), 100); /* in part */
    get(in, 2 * CAPACITY, 100);
    assert_empty(in);
    yoke_close(in);
    yoke_close(out);
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

static void writer_waits_for_room_and_reader_for_bytes(void **state)
{
    enum { SIZE = 1 << 20 };
    yoke_endpoint *out = writer(CAPACITY), *in = reader(0);
    struct call call = {out, malloc(SIZE), SIZE, LONG_WAIT, -1};
    unsigned char bytes[1000];
    struct worker worker;
    uint64_t position = 0;

    (void)state;
    fill(call.bytes, SIZE, 0);
    worker_start(&worker, call_write, &call);
    worker_wait_asleep(&worker);
    while (position < SIZE) {
        size_t size = (size_t)must(yoke_read(in, bytes, sizeof bytes, LONG_WAIT));

        assert_bytes(bytes, size, position);
        position += size;
    }
    assert_int_equal(worker_join(&worker), SIZE);
    call = (struct call){in, call.bytes, SIZE, LONG_WAIT, -1};
    worker_start(&worker, call_read, &call);
    worker_wait_asleep(&worker);
    put(out, 7, 0);
    assert_int_equal(worker_join(&worker), 7);
    free(call.bytes);
    yoke_close(in);
    yoke_close(out);
}

static void time_that_is_over_is_told_with_what_went(void **state)
{
    yoke_endpoint *out = writer(CAPACITY), *in = reader(0);
    unsigned char bytes[2 * CAPACITY];
    struct call empty = {in, bytes, 1, 0, -1}, full = {out, bytes, 1, 0, -1};

    (void)state;
    empty.timeout_ns = 20 * MS;
    assert_times_out(call_read, &empty, 20 * MS);
    fill(bytes, sizeof bytes, 0);
    assert_int_equal(yoke_write(out, bytes, sizeof bytes, 20 * MS), CAPACITY);
    full.timeout_ns = 20 * MS;
    assert_times_out(call_write, &full, 20 * MS);
    yoke_close(in);
    yoke_close(out);
}

static void signal_and_cancelling_end_a_wait(void **state)
{
    yoke_endpoint *out = writer(CAPACITY), *in = reader(0);
    unsigned char bytes[2 * CAPACITY];
    struct call reading = {in, bytes, 1, LONG_WAIT, -1};
    struct call writing = {out, bytes, sizeof bytes, LONG_WAIT, -1};
    struct worker worker;

    (void)state;
    assert_int_equal(interrupted_result(call_read, &reading), -EINTR);
    assert_int_equal(interrupted_result(call_write, &writing), CAPACITY); /* what went */
    writing.size = 1;
    assert_int_equal(interrupted_result(call_write, &writing), -EINTR);
    worker_start(&worker, call_write, &writing);
    worker_wait_asleep(&worker);
    must(yoke_cancel(out));
    assert_int_equal(worker_join(&worker), -ECANCELED);
    must_fail(yoke_write(out, bytes, 1, LONG_WAIT), ECANCELED);
    get(in, 0, 0);
    while (yoke_read(in, bytes, sizeof bytes, YOKE_NOW) > 0)
        ;
    worker_start(&worker, call_read, &reading);
    worker_wait_asleep(&worker);
    yoke_close(in); /* ends it, too */
    assert_int_equal(worker_join(&worker), -ECANCELED);
    yoke_close(out);
}

/* ---- both ends -------------------------------------------------------------------------------- */

static void end_comes_when_the_last_writer_closed_and_all_was_read(void **state)
{
    yoke_endpoint *in = reader(0), *first, *second;
    char byte;

    (void)state;
    assert_empty(in); /* nobody has come yet */
    assert_int_equal(yoke_stream_end(in), 0);
    first = writer(0);
    second = writer(0);
    put(first, 10, 0);
    yoke_close(first);
    get(in, 10, 0);
    assert_empty(in);
    put(second, 5, 0);
    yoke_close(second);
    must_fail(yoke_stream_end(in), EPIPE);
    get(in, 5, 0);
    assert_ended(in);
    second = writer(0); /* a new one opens it again */
    must_fail(yoke_read(in, &byte, 1, YOKE_NOW), EAGAIN);
    assert_int_equal(yoke_stream_end(in), 0);
    put(second, 3, 0);
    yoke_close(second);
    get(in, 3, 0);
    assert_ended(in);
    yoke_close(in);
}

static void sleeping_reader_is_told_of_the_end_and_sleeping_writer_too(void **state)
{
    yoke_endpoint *in = reader(CAPACITY), *out = writer(0);
    unsigned char bytes[2 * CAPACITY];
    struct call reading = {in, bytes, 1, LONG_WAIT, -1};
    struct call writing = {NULL, bytes, 1, LONG_WAIT, -1};
    struct worker worker;

    (void)state;
    worker_start(&worker, call_read, &reading);
    worker_wait_asleep(&worker);
    yoke_close(out);
    assert_int_equal(worker_join(&worker), 0);
    out = writer(0);
    put(out, CAPACITY, 0);
    writing.endpoint = out;
    worker_start(&worker, call_write, &writing);
    worker_wait_asleep(&worker);
    yoke_close(in);
    assert_int_equal(worker_join(&worker), -EPIPE);
    must_fail(yoke_write(out, bytes, 1, YOKE_NOW), EPIPE);
    must_fail(yoke_stream_end(out), EPIPE);
    in = reader(0); /* a new one takes over what is there */
    get(in, CAPACITY, 0);
    put(out, 1, 0);
    get(in, 1, 0);
    yoke_close(in);
    yoke_close(out);
}

static void writer_before_any_reader_waits_for_one(void **state)
{
    yoke_endpoint *out = writer(CAPACITY), *in;

    (void)state;
    put(out, CAPACITY, 0);
    must_fail(yoke_write(out, "", 1, YOKE_NOW), EAGAIN);
    assert_int_equal(yoke_stream_end(out), 0);
    in = reader(0);
    get(in, CAPACITY, 0);
    yoke_close(in);
    must_fail(yoke_write(out, "", 1, YOKE_NOW), EPIPE);
    yoke_close(out);
}

static void kept_stream_is_used_again_and_again(void **state)
{
    yoke_endpoint *out, *in;

    (void)state;
    out = open_end("s", YOKE_CREATE | YOKE_KEPT | YOKE_WRITE, 0);
    for (int round = 0; round < 4; round++) {
        put(out, 100, 0);
        yoke_close(out);
        if (round % 2) { /* two writers, one after the other, before anybody reads */
            out = open_end("s", YOKE_WRITE, 0);
            put(out, 50, 100);
            yoke_close(out);
        }
        in = open_end("s", YOKE_READ, 0);
        get(in, round % 2 ? 150 : 100, 0);
        assert_ended(in);
        yoke_close(in);
        in = open_end("s", YOKE_READ, 0);
        assert_empty(in); /* the end was told: this one waits for the next writer */
        yoke_close(in);
        out = open_end("s", YOKE_WRITE, 0);
        assert_int_equal(yoke_stream_end(out), 0); /* and this one for the next reader */
    }
    yoke_close(out);
    must(yoke_remove("stream:s"));
}

static void each_byte_goes_to_one_reader(void **state)
{
    yoke_endpoint *out = writer(CAPACITY), *one = reader(0), *two = reader(0);
    unsigned char bytes[CAPACITY];

    (void)state;
    for (uint64_t position = 0; position < 100000; position += 30) {
        put(out, 30, position);
        assert_int_equal(yoke_read(position % 20 ? one : two, bytes, 10, YOKE_NOW), 10);
        assert_bytes(bytes, 10, position);
        assert_int_equal(yoke_read(position % 20 ? two : one, bytes, 100, YOKE_NOW), 20);
        assert_bytes(bytes, 20, position + 10);
    }
    yoke_close(out);
    assert_ended(one);
    assert_ended(two);
    yoke_close(one);
    yoke_close(two);
}

/* ---- many at once ----------------------------------------------------------------------------- */

#define WRITERS 4
#define READERS 3
#define RECORDS 3000
#define RECORD  97

struct many {
    yoke_endpoint *endpoint;
    uint32_t number;
    uint64_t sum, count;
};

static int64_t write_records(void *context)
{
    struct many *many = context;
    unsigned char record[RECORD];

    for (uint32_t i = 0; i < RECORDS; i++) {
        memset(record, (int)(many->number * 50 + i % 50), sizeof record);
        ssize_t result = yoke_write(many->endpoint, record, sizeof record, LONG_WAIT);
        if (result != RECORD)
            return result;
    }
    return 0;
}

static int64_t read_bytes(void *context)
{
    struct many *many = context;
    unsigned char bytes[RECORD * 11];
    ssize_t size;

    while ((size = yoke_read(many->endpoint, bytes, sizeof bytes, LONG_WAIT)) > 0) {
        for (ssize_t i = 0; i < size; i++)
            many->sum += bytes[i];
        many->count += (uint64_t)size;
    }
    return size;
}

static void several_writers_and_readers_lose_and_double_nothing(void **state)
{
    struct many out[WRITERS] = {{0}}, in[READERS] = {{0}};
    struct worker writers[WRITERS], readers[READERS];
    uint64_t sum = 0, count = 0, expected = 0;

    (void)state;
    for (uint32_t i = 0; i < READERS; i++) /* two of them share an endpoint */
        in[i] = (struct many){i == 2 ? in[1].endpoint : reader(CAPACITY), i, 0, 0};
    for (uint32_t i = 0; i < WRITERS; i++)
        out[i] = (struct many){i == 3 ? out[2].endpoint : writer(0), i, 0, 0};
    for (uint32_t i = 0; i < READERS; i++)
        worker_start(&readers[i], read_bytes, &in[i]);
    for (uint32_t i = 0; i < WRITERS; i++)
        worker_start(&writers[i], write_records, &out[i]);
    for (uint32_t i = 0; i < WRITERS; i++)
        assert_int_equal(worker_join(&writers[i]), 0);
    for (uint32_t i = 0; i + 1 < WRITERS; i++)
        yoke_close(out[i].endpoint);
    for (uint32_t i = 0; i < READERS; i++) {
        assert_int_equal(worker_join(&readers[i]), 0);
        sum += in[i].sum;
        count += in[i].count;
    }
    for (uint32_t i = 0; i < WRITERS; i++)
        for (uint32_t k = 0; k < RECORDS; k++)
            expected += (uint64_t)RECORD * (i * 50 + k % 50);
    assert_int_equal(count, (uint64_t)WRITERS * RECORDS * RECORD);
    assert_int_equal(sum, expected);
    for (uint32_t i = 0; i + 1 < READERS; i++)
        yoke_close(in[i].endpoint);
}

static int64_t read_records(void *context)
{
    struct many *many = context;
    unsigned char record[RECORD];

    for (;;) {
        size_t done = 0;

        while (done < sizeof record) {
            ssize_t got = yoke_read(many->endpoint, record + done, sizeof record - done, LONG_WAIT);
            if (got <= 0)
                return done == 0 ? got : -EPROTO;
            done += (size_t)got;
        }
        for (size_t i = 1; i < sizeof record; i++)
            if (record[i] != record[0])
                return -EPROTO;
        many->count++;
    }
}

static void small_writes_of_several_writers_are_not_mixed(void **state)
{
    struct many out[2] = {{writer(CAPACITY), 0, 0, 0}, {writer(0), 1, 0, 0}};
    struct many in = {reader(0), 0, 0, 0};
    struct worker writers[2], records;

    (void)state;
    worker_start(&records, read_records, &in);
    for (int i = 0; i < 2; i++)
        worker_start(&writers[i], write_records, &out[i]);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(worker_join(&writers[i]), 0);
        yoke_close(out[i].endpoint);
    }
    assert_int_equal(worker_join(&records), 0);
    assert_int_equal(in.count, 2 * RECORDS);
    yoke_close(in.endpoint);
}

/* ---- without a name --------------------------------------------------------------------------- */

static void pair_is_a_stream_without_a_name(void **state)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;
    yoke_endpoint *in, *out, *again = NULL;
    int ends[2];

    (void)state;
    options.capacity = 10000;
    must(yoke_stream_pair(ends, &options));
    assert_true(fcntl(ends[0], F_GETFD) & FD_CLOEXEC);
    must(yoke_open_descriptor(&in, ends[0], NULL));
    assert_empty(in); /* its writer may still come */
    must(yoke_open_descriptor(&out, ends[1], NULL));
    must_fail(yoke_open_descriptor(&again, ends[1], NULL), EADDRINUSE);
    assert_int_equal(yoke_stream_capacity(out), 16384);
    must_fail(yoke_write(in, "x", 1, YOKE_NOW), ENOTSUP);
    put(out, 16384, 0);
    get(in, 16384, 0);
    put(out, 10, 7);
    yoke_close(out);
    get(in, 10, 7);
    assert_ended(in);
    must(yoke_open_descriptor(&out, ends[1], NULL)); /* by whoever still has the descriptor */
    assert_empty(in);
    yoke_close(in);
    must_fail(yoke_write(out, "x", 1, YOKE_NOW), EPIPE);
    yoke_close(out);
    close(ends[0]);
    close(ends[1]);
    assert_int_equal(names_left(), 0);
}

static void end_whose_descriptors_are_all_closed_counts_as_closed(void **state)
{
    yoke_endpoint *end;
    int ends[2];
    char byte;

    (void)state;
    for (int other = 0; other < 2; other++) {
        must(yoke_stream_pair(ends, NULL));
        must(yoke_open_descriptor(&end, ends[1 - other], NULL));
        close(ends[other]);
        if (other == 1)
            assert_int_equal(yoke_read(end, &byte, 1, LONG_WAIT), 0);
        else
            while (yoke_write(end, "x", 1, LONG_WAIT) != -EPIPE)
                ;
        must_fail(yoke_stream_end(end), EPIPE);
        yoke_close(end);
        close(ends[1 - other]);
    }
}

static void pair_is_refused_what_it_can_not_have(void **state)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;
    int ends[2] = {-7, -7};

    (void)state;
    must_fail(yoke_stream_pair(NULL, NULL), EINVAL);
    options.depth = 1;
    must_fail(yoke_stream_pair(ends, &options), ENOTSUP);
    options = (struct yoke_options)YOKE_OPTIONS_INIT;
    options.participants = 3;
    must_fail(yoke_stream_pair(ends, &options), EINVAL);
    options = (struct yoke_options)YOKE_OPTIONS_INIT;
    options.struct_size = 4;
    must_fail(yoke_stream_pair(ends, &options), EINVAL);
    assert_int_equal(ends[0], -7);
}

/* ---- descriptors and wait sets ---------------------------------------------------------------- */

static bool is_readable(int fd, int timeout_ms)
{
    struct pollfd poll_for = {.fd = fd, .events = POLLIN};

    return poll(&poll_for, 1, timeout_ms) == 1;
}

/* Reads until there is nothing, so that the descriptor is cleared. */
static void clear(yoke_endpoint *in, int fd)
{
    char byte;

    while (is_readable(fd, 0))
        must_fail(yoke_read(in, &byte, 1, YOKE_NOW), EAGAIN);
}

static void descriptor_of(yoke_endpoint *in, yoke_endpoint *out)
{
    int fd = (int)must(yoke_fd(in));
    unsigned char bytes[100];

    for (uint64_t i = 0; i < 50; i++) {
        clear(in, fd);
        put(out, 100, i * 100);
        for (uint64_t k = 0; k < 4; k++) { /* it stays so as long as there are any */
            assert_true(is_readable(fd, SOON_MS));
            get(in, 25, i * 100 + k * 25);
        }
    }
    clear(in, fd);
    must_fail(yoke_read(in, bytes, 1, 2 * MS), ETIMEDOUT);
    put(out, 1, 0);
    assert_true(is_readable(fd, SOON_MS));
    get(in, 1, 0);
    clear(in, fd);
    must_fail(yoke_fd(out), ENOTSUP);
    assert_non_null(strstr(yoke_explain(), "writing"));
    yoke_close(out);
    assert_true(is_readable(fd, SOON_MS));
    assert_ended(in);
    assert_true(is_readable(fd, 0));
    assert_int_equal(yoke_fd(in), fd);
    yoke_close(in);
}

static void descriptor_is_readable_whenever_reading_would_not_wait(void **state)
{
    yoke_endpoint *in, *out;
    int ends[2];

    (void)state;
    in = reader(CAPACITY);
    descriptor_of(in, writer(0));
    must(yoke_stream_pair(ends, NULL));
    must(yoke_open_descriptor(&in, ends[0], NULL));
    must(yoke_open_descriptor(&out, ends[1], NULL));
    close(ends[0]);
    close(ends[1]);
    descriptor_of(in, out);
    assert_int_equal(names_left(), 0);
}

static void descriptors_of_all_readers_are_rung_and_stay_so_while_bytes_are_left(void **state)
{
    yoke_endpoint *out = writer(0), *one = reader(0), *two = reader(0);
    int first = (int)must(yoke_fd(one)), second = (int)must(yoke_fd(two));

    (void)state;
    clear(one, first);
    clear(two, second);
    put(out, 10, 0);
    assert_true(is_readable(first, SOON_MS) && is_readable(second, SOON_MS));
    get(one, 9, 0);
    assert_true(is_readable(first, 0) && is_readable(second, 0));
    get(two, 1, 9);
    assert_empty(one);
    assert_empty(two);
    must(yoke_cancel(one));
    assert_true(is_readable(first, 0));
    assert_false(is_readable(second, 0));
    yoke_close(one);
    yoke_close(two);
    yoke_close(out);
}

static int role_writes_ten_and_dies(void *passed)
{
    yoke_endpoint *out = writer(0);

    baton_take(passed);
    put(out, 10, 0);
    raise(SIGKILL);
    return 0;
}

static void writers_death_is_seen_through_the_descriptor(void **state)
{
    yoke_endpoint *in = reader(0);
    int fd = (int)must(yoke_fd(in));
    struct baton go;

    (void)state;
    baton_make(&go);
    for (int round = 0; round < 5; round++) {
        char byte;
        pid_t child = role_start(role_writes_ten_and_dies, &go);

        if (round == 0)
            clear(in, fd); /* later the end is told until the next one comes */
        baton_pass(&go);
        for (int got = 0; got < 10;) {
            assert_true(is_readable(fd, SOON_MS));
            got += yoke_read(in, &byte, 1, YOKE_NOW) == 1;
        }
        ssize_t result = -EAGAIN;
        while (result == -EAGAIN) {
            assert_true(is_readable(fd, SOON_MS));
            result = yoke_read(in, &byte, 1, YOKE_NOW);
        }
        assert_int_equal(result, 0);
        must_fail(yoke_stream_end(in), EOWNERDEAD);
        assert_int_equal(role_wait(child, SOON_MS), 128 + SIGKILL);
    }
    baton_drop(&go);
    yoke_close(in);
}

static void set_waits_for_streams_beside_other_things(void **state)
{
    yoke_endpoint *out[3], *in[3], *port = port_make("p", NULL);
    struct yoke_ready ready[4];
    char name[20], byte;
    yoke_set *set;

    (void)state;
    must(yoke_set_create(&set));
    for (int i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "s%d", i);
        in[i] = open_end(name, YOKE_CREATE | YOKE_READ, CAPACITY);
        out[i] = open_end(name, YOKE_WRITE, 0);
        must(yoke_set_add(set, in[i], &in[i]));
    }
    must(yoke_set_add(set, port, NULL));
    must_fail(yoke_set_add(set, out[0], NULL), ENOTSUP);
    must_fail(yoke_fd(in[0]), EBUSY);
    for (int i = 0; i < 60; i++) {
        while (yoke_set_wait(set, ready, 4, YOKE_NOW) > 0)
            ;
        put(out[i % 3], 10, 0);
        assert_int_equal(must(yoke_set_wait(set, ready, 4, SOON_MS * MS)), 1);
        assert_ptr_equal(ready[0].endpoint, in[i % 3]);
        assert_ptr_equal(ready[0].user, &in[i % 3]);
        get(in[i % 3], 10, 0);
    }
    while (yoke_set_wait(set, ready, 4, YOKE_NOW) > 0)
        ;
    yoke_close(out[1]);
    assert_int_equal(must(yoke_set_wait(set, ready, 4, SOON_MS * MS)), 1);
    assert_ptr_equal(ready[0].endpoint, in[1]);
    assert_int_equal(yoke_read(in[1], &byte, 1, YOKE_NOW), 0);
    yoke_close(in[1]); /* takes it out */
    must_fail(yoke_set_wait(set, ready, 4, YOKE_NOW), EAGAIN);
    send_number(port, 1);
    assert_int_equal(must(yoke_set_wait(set, ready, 4, SOON_MS * MS)), 1);
    assert_ptr_equal(ready[0].endpoint, port);
    yoke_set_close(set);
    for (int i = 0; i < 3; i += 2) {
        yoke_close(in[i]);
        yoke_close(out[i]);
    }
    yoke_close(port);
    assert_int_equal(names_left(), 0);
}

static int role_reads_through_what_it_inherited(void *in)
{
    int fd = (int)must(yoke_fd(in));

    while (yoke_read(in, &(char){0}, 1, YOKE_NOW) != 1)
        assert_true(is_readable(fd, SOON_MS));
    yoke_close(in);
    return 0;
}

static void forked_child_has_a_descriptor_of_its_own(void **state)
{
    yoke_endpoint *in = reader(0), *out = writer(0);
    int fd = (int)must(yoke_fd(in));

    (void)state;
    clear(in, fd);
    pid_t child = role_start(role_reads_through_what_it_inherited, in);
    role_wait_asleep(child, SOON_MS);
    put(out, 1, 0);
    assert_int_equal(role_wait(child, SOON_MS), 0);
    clear(in, fd);
    put(out, 1, 0);
    assert_true(is_readable(fd, SOON_MS));
    get(in, 1, 0);
    yoke_close(in);
    yoke_close(out);
    assert_int_equal(names_left(), 0);
}

/* ---- moving ----------------------------------------------------------------------------------- */

static int scratch_file(void)
{
    int fd = memfd_create("scratch", MFD_CLOEXEC);

    assert_true(fd >= 0);
    return fd;
}

static void write_file(int fd, size_t size)
{
    unsigned char *bytes = malloc(size);

    fill(bytes, size, 0);
    assert_int_equal(write(fd, bytes, size), size);
    free(bytes);
}

static void assert_file(int fd, size_t size)
{
    unsigned char *bytes = malloc(size + 1);

    assert_int_equal(pread(fd, bytes, size + 1, 0), size);
    assert_bytes(bytes, size, 0);
    free(bytes);
}

static void file_moves_in_and_out(void **state)
{
    static const size_t sizes[] = {0, 1, CAPACITY - 1, CAPACITY, CAPACITY + 1, 1000000};

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        yoke_endpoint *out = writer(CAPACITY), *in = reader(0);
        int from = scratch_file(), to = scratch_file();
        struct call call = {out, NULL, SIZE_MAX, LONG_WAIT, from};
        struct worker worker;

        write_file(from, sizes[i]);
        lseek(from, 0, SEEK_SET);
        worker_start(&worker, call_move, &call);
        if (sizes[i] > 0) /* up to a size; the rest with SIZE_MAX below */
            assert_int_equal(must(yoke_move(in, to, 1, LONG_WAIT)), 1);
        for (size_t done; (done = (size_t)lseek(to, 0, SEEK_CUR)) < sizes[i];)
            must(yoke_move(in, to, sizes[i] - done < 3000 ? sizes[i] - done : 3000, LONG_WAIT));
        assert_int_equal(worker_join(&worker), sizes[i]);
        yoke_close(out);
        assert_int_equal(must(yoke_move(in, to, SIZE_MAX, LONG_WAIT)), 0);
        assert_file(to, sizes[i]);
        close(from);
        close(to);
        yoke_close(in);
    }
}

static void move_to_the_end_is_one_call(void **state)
{
    enum { SIZE = 300000 };
    yoke_endpoint *out = writer(CAPACITY), *in = reader(0);
    int from = scratch_file(), to = scratch_file();
    struct call call = {in, NULL, SIZE_MAX, YOKE_FOREVER, to};
    struct worker worker;

    (void)state;
    write_file(from, SIZE);
    lseek(from, 0, SEEK_SET);
    worker_start(&worker, call_move, &call);
    assert_int_equal(must(yoke_move(out, from, SIZE_MAX, YOKE_FOREVER)), SIZE);
    yoke_close(out);
    assert_int_equal(worker_join(&worker), SIZE);
    assert_file(to, SIZE);
    close(from);
    close(to);
    yoke_close(in);
}

/* Blocking ones: the call's time-out counts all the same, and what it could not move stays. */
static void pipes_and_sockets_move_within_the_time_given(void **state)
{
    (void)state;
    for (int kind = 0; kind < 4; kind++) {
        yoke_endpoint *out = writer(1 << 20), *in = reader(0);
        unsigned char *bytes = malloc(1 << 20);
        int ends[2];
        size_t got = 0;
        ssize_t moved;

        if (kind % 2)
            assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
        else
            assert_int_equal(pipe2(ends, kind == 2 ? O_NONBLOCK : 0), 0);
        if (kind == 3)
            fcntl(ends[0], F_SETFL, O_NONBLOCK);
        must_fail(yoke_move(out, ends[0], 10, YOKE_NOW), EAGAIN);
        must_fail(yoke_move(out, ends[0], 10, 5 * MS), ETIMEDOUT);
        must_fail(yoke_move(in, ends[1], 10, 5 * MS), ETIMEDOUT); /* an empty stream */
        put(out, 1 << 20, 0);
        moved = must(yoke_move(in, ends[1], SIZE_MAX, 5 * MS)); /* fills it */
        assert_true(moved > 0 && moved < 1 << 20);
        must_fail(yoke_move(in, ends[1], SIZE_MAX, 5 * MS), ETIMEDOUT);
        must_fail(yoke_move(in, ends[1], SIZE_MAX, YOKE_NOW), EAGAIN);
        while (got < (size_t)moved) {
            ssize_t more = read(ends[0], bytes + got, (size_t)moved - got);
            assert_true(more > 0);
            got += (size_t)more;
        }
        get(in, (1 << 20) - got, got);
        assert_bytes(bytes, got, 0);
        assert_int_equal(write(ends[1], bytes, 1000), 1000);
        assert_int_equal(must(yoke_move(out, ends[0], SIZE_MAX, 5 * MS)), 1000);
        close(ends[1]);
        assert_int_equal(must(yoke_move(out, ends[0], SIZE_MAX, LONG_WAIT)), 0); /* its end */
        get(in, 1000, 0);
        free(bytes);
        close(ends[0]);
        yoke_close(in);
        yoke_close(out);
    }
}

static void nobody_who_reads_the_descriptor_is_an_error_and_no_signal(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_DFL); /* it would end this test */
    for (int kind = 0; kind < 3; kind++) {
        yoke_endpoint *out = writer(0), *in = reader(0);
        int ends[2];

        if (kind == 1)
            assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
        else
            assert_int_equal(pipe2(ends, kind == 2 ? O_NONBLOCK : 0), 0);
        close(ends[0]);
        put(out, 100, 0);
        must_fail(yoke_move(in, ends[1], SIZE_MAX, LONG_WAIT), EPIPE);
        get(in, 100, 0); /* nothing is lost */
        close(ends[1]);
        yoke_close(in);
        yoke_close(out);
    }
}

static void file_that_may_not_grow_is_an_error_and_no_signal(void **state)
{
    yoke_endpoint *out = writer(0), *in = reader(0);
    struct rlimit before, limit;
    int fd = scratch_file();

    (void)state;
    signal(SIGXFSZ, SIG_DFL);
    put(out, 100, 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = before;
    limit.rlim_cur = 60;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_int_equal(yoke_move(in, fd, SIZE_MAX, YOKE_NOW), 60);
    must_fail(yoke_move(in, fd, SIZE_MAX, YOKE_NOW), EFBIG);
    setrlimit(RLIMIT_FSIZE, &before);
    get(in, 40, 60);
    close(fd);
    yoke_close(in);
    yoke_close(out);
}

static void descriptors_that_can_not_do_that_are_refused(void **state)
{
    yoke_endpoint *out = writer(0), *in = reader(0);
    int ends[2];

    (void)state;
    put(out, 10, 0);
    must_fail(yoke_move(in, -1, 10, YOKE_NOW), EBADF);
    must_fail(yoke_move(out, 1000000, 10, YOKE_NOW), EBADF);
    assert_int_equal(pipe(ends), 0);
    must_fail(yoke_move(in, ends[0], 10, YOKE_NOW), EBADF);
    must_fail(yoke_move(out, ends[1], 10, YOKE_NOW), EBADF);
    assert_int_equal(yoke_move(in, ends[1], 0, YOKE_NOW), 0);
    assert_int_equal(yoke_move(in, open("/dev/null", O_WRONLY | O_CLOEXEC), SIZE_MAX, YOKE_NOW),
                     10);
    get(in, 0, 0);
    assert_empty(in);
    close(ends[0]);
    close(ends[1]);
    yoke_close(in);
    yoke_close(out);
}

/* A writer whose readers left takes nothing out of what it would move. */
static void nothing_is_taken_from_the_descriptor_for_a_stream_without_readers(void **state)
{
    yoke_endpoint *out = writer(0), *in = reader(0);
    unsigned char bytes[100];
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], bytes, sizeof bytes), sizeof bytes);
    yoke_close(in);
    must_fail(yoke_move(out, ends[0], 100, YOKE_NOW), EPIPE);
    assert_int_equal(read(ends[0], bytes, sizeof bytes), sizeof bytes);
    close(ends[0]);
    close(ends[1]);
    yoke_close(out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        api_test(exactly_one_end_is_opened),
        api_test(options_of_messages_are_refused),
        api_test(capacity_is_as_asked_or_more),
        api_test(verbs_of_the_other_kind_and_end_are_refused_by_name),
        api_test(bytes_come_out_in_order_wherever_the_ring_ends),
        api_test(what_is_there_is_read_and_no_more_waited_for),
        api_test(full_stream_takes_what_fits_and_small_writes_whole_or_not_at_all),
        api_test(writer_waits_for_room_and_reader_for_bytes),
        api_test(time_that_is_over_is_told_with_what_went),
        api_test(signal_and_cancelling_end_a_wait),
        api_test(end_comes_when_the_last_writer_closed_and_all_was_read),
        api_test(sleeping_reader_is_told_of_the_end_and_sleeping_writer_too),
        api_test(writer_before_any_reader_waits_for_one),
        api_test(kept_stream_is_used_again_and_again),
        api_test(each_byte_goes_to_one_reader),
        api_test(several_writers_and_readers_lose_and_double_nothing),
        api_test(small_writes_of_several_writers_are_not_mixed),
        api_test(pair_is_a_stream_without_a_name),
        api_test(end_whose_descriptors_are_all_closed_counts_as_closed),
        api_test(pair_is_refused_what_it_can_not_have),
        api_test(descriptor_is_readable_whenever_reading_would_not_wait),
        api_test(descriptors_of_all_readers_are_rung_and_stay_so_while_bytes_are_left),
        api_test(writers_death_is_seen_through_the_descriptor),
        api_test(set_waits_for_streams_beside_other_things),
        api_test(forked_child_has_a_descriptor_of_its_own),
        api_test(file_moves_in_and_out),
        api_test(move_to_the_end_is_one_call),
        api_test(pipes_and_sockets_move_within_the_time_given),
        api_test(nobody_who_reads_the_descriptor_is_an_error_and_no_signal),
        api_test(file_that_may_not_grow_is_an_error_and_no_signal),
        api_test(descriptors_that_can_not_do_that_are_refused),
        api_test(nothing_is_taken_from_the_descriptor_for_a_stream_without_readers),
    };

    return cmocka_run_group_tests(tests, api_setup, NULL);
}
