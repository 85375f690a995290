/*
 * fault_streams.c - the scenarios of streams and signals: see fault_scenarios.h. One line of the table at
 * the end for each.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fault_scenarios.h"

#define CAPACITY 4096
#define AMOUNT   3000                /* bytes that are moved */
#define IN_TIME  INT64_C(2000000000) /* for what waits only while there is no memory to wait with */

static yoke_endpoint *in, *output; /* the two ends; or an inbox alone */
static yoke_peer *alice, *bob;
static yoke_set *set;
static int ends[2] = {-1, -1}, outside[2] = {-1, -1};

static void close_both(int fds[2])
{
    for (int i = 0; i < 2; i++) {
        if (fds[i] >= 0)
            close(fds[i]);
        fds[i] = -1;
    }
}

static void close_all(void)
{
    yoke_set_close(set);
    yoke_close(in);
    yoke_close(output);
    yoke_peer_leave(alice);
    if (bob) {
        yoke_peer_leave(bob);
        /* whom a process sent to it keeps open; who is gone is let go at the next signal */
        EXPECT(yoke_signal_send(NULL, "peer:bob", 0, 0) < 0);
        EXPECT(yoke_signal_send(NULL, "peer:bob@kernel", 0, 0) < 0);
    }
    close_both(ends);
    close_both(outside);
    set = NULL;
    in = output = NULL;
    alice = bob = NULL;
}

static yoke_endpoint *take(void)
{
    yoke_endpoint *taken = out.endpoint;
    memset(&out, 0xa5, sizeof out);
    return taken;
}

static unsigned char byte_at(size_t position)
{
    return (unsigned char)(position * 131 + (position >> 8) * 7);
}

/* ---- opening streams ---- */

static const char *place = ""; /* "@kernel" */

static int64_t open_stream(uint32_t flags)
{
    char address[40];
    struct yoke_options options = YOKE_OPTIONS_INIT;
    options.capacity = CAPACITY;
    options.spin_ns = 0;
    strcpy(address, "stream:s");
    strcat(address, place);
    return yoke_open(&out.endpoint, address, flags, &options);
}

static int64_t create_reader(void)
{
    return open_stream(YOKE_CREATE | YOKE_READ);
}

static int64_t create_kept_writer(void)
{
    return open_stream(YOKE_CREATE | YOKE_KEPT | YOKE_WRITE);
}

static int64_t open_writer(void)
{
    return open_stream(YOKE_WRITE);
}

static void begin_reader(void)
{
    NEED(create_reader());
    in = take();
}

static void begin_stream(void)
{
    begin_reader();
    NEED(open_writer());
    output = take();
}

static void role_reader(void)
{
    NEED(create_reader());
    NEED(yoke_fd(out.endpoint));
}

static void begin_dead_reader(void)
{
    one_dies(role_reader);
}

static void in_memory(void)
{
    place = "";
}

static void in_kernel(void)
{
    place = "@kernel";
}

/* All is read, until nothing is there: how many bytes, which follow `from`. */
static size_t drain(size_t from)
{
    unsigned char byte;
    size_t done = 0;
    for (; yoke_read(in, &byte, 1, YOKE_NOW) == 1; done++)
        EXPECT(byte == byte_at(from + done));
    return done;
}

static void expect_bytes(const char *text)
{
    char got[40] = "";
    size_t size = strlen(text);
    for (size_t done = 0; done < size;) {
        ssize_t more = NEED(yoke_read(in, got + done, size - done, SOON));
        if (more <= 0)
            return;
        done += (size_t)more;
    }
    EXPECT(strcmp(got, text) == 0);
}

/* Both ways of reading, then the end. */
static void stream_works(void)
{
    char byte;
    for (int i = 0; i < 3; i++) {
        EXPECT(yoke_read(in, &byte, 1, YOKE_NOW) == -EAGAIN);
        EXPECT(yoke_write(output, "hello", 5, SOON) == 5);
        expect_bytes("hello");
    }
    yoke_close(output);
    output = NULL;
    EXPECT(yoke_read(in, &byte, 1, SOON) == 0);
    close_all();
}

static void reader_works(void)
{
    in = take();
    NEED(open_writer());
    output = take();
    stream_works();
}

static void writer_works(void)
{
    output = take();
    stream_works();
}

static void kept_stream_works(void)
{
    output = take();
    NEED(open_stream(YOKE_READ));
    in = take();
    stream_works();
    NEED(yoke_remove(place[0] ? "stream:s@kernel" : "stream:s"));
}

static void stream_is_gone(void)
{
    EXPECT(open_stream(YOKE_READ) == -ENOENT);
    close_all();
}

/* ---- writing and reading ---- */

static int64_t write_some(void)
{
    return yoke_write(output, "some", 4, YOKE_NOW);
}

static void some_comes(void)
{
    expect_bytes("some");
    stream_works();
}

static int64_t read_nothing(void)
{
    char byte;
    return yoke_read(in, &byte, 1, YOKE_NOW);
}

static int64_t read_in_vain(void)
{
    char byte;
    return yoke_read(in, &byte, 1, SHORTLY);
}

static int64_t read_the_end(void)
{
    char byte;
    return yoke_read(in, &byte, 1, IN_TIME);
}

static void begin_sleeper(void)
{
    begin_stream();
    EXPECT(read_in_vain() == -ETIMEDOUT);
}

static void begin_full(void)
{
    unsigned char bytes[CAPACITY];
    begin_stream();
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = byte_at(i);
    EXPECT(yoke_write(output, bytes, sizeof bytes, YOKE_NOW) == sizeof bytes);
}

static int64_t write_in_vain(void)
{
    return yoke_write(output, "x", 1, SHORTLY);
}

static void full_stream_works(void)
{
    EXPECT(drain(0) == CAPACITY);
    stream_works();
}

static void begin_ended(void)
{
    begin_stream();
    EXPECT(write_some() == 4);
    yoke_close(output);
    output = NULL;
    expect_bytes("some");
}

static void ended_stream_works(void)
{
    NEED(open_writer());
    writer_works();
}

static void begin_left(void)
{
    begin_stream();
    yoke_close(in);
    in = NULL;
}

static void left_stream_works(void)
{
    NEED(open_stream(YOKE_READ));
    in = take();
    stream_works();
}

static int64_t ask_for_end(void)
{
    return yoke_stream_end(in);
}

static int64_t close_writer(void)
{
    yoke_endpoint *closed = output;
    output = NULL;
    return yoke_close(closed);
}

static int64_t close_reader(void)
{
    yoke_endpoint *closed = in;
    in = NULL;
    return yoke_close(closed);
}

static int64_t cancel_reader(void)
{
    return yoke_cancel(in);
}

static void reader_is_cancelled(void)
{
    EXPECT(yoke_cancel(in) == 0);
    EXPECT(read_in_vain() == -ECANCELED);
    close_all();
}

/* ---- descriptors ---- */

static int64_t descriptor_of_reader(void)
{
    int fd = yoke_fd(in);
    return fd < 0 ? fd : 0;
}

static void descriptor_works(void)
{
    int fd = yoke_fd(in);
    NEED(fd);
    for (int i = 0; i < 3; i++) {
        for (int k = 0; k < 100 && read_nothing() != -EAGAIN; k++)
            ;
        EXPECT(!readable(fd, 0));
        EXPECT(write_some() == 4);
        EXPECT(readable(fd, SOON));
        expect_bytes("some");
    }
    stream_works();
}

static void begin_descriptor(void)
{
    begin_stream();
    NEED(descriptor_of_reader());
    EXPECT(read_nothing() == -EAGAIN);
}

static void some_is_told(void)
{
    expect_bytes("some");
    descriptor_works();
}

static void begin_set(void)
{
    begin_stream();
    NEED(yoke_set_create(&set));
}

static int64_t add_reader(void)
{
    return yoke_set_add(set, in, NULL);
}

static void member_works(void)
{
    struct yoke_ready ready;
    EXPECT(write_some() == 4);
    EXPECT(yoke_set_wait(set, &ready, 1, SOON) == 1 && ready.endpoint == in);
    some_comes();
}

/* ---- by descriptors ---- */

static int64_t make_pair(void)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;
    options.capacity = CAPACITY;
    return yoke_stream_pair(out.fds, &options);
}

static int64_t open_end(void)
{
    return yoke_open_descriptor(&out.endpoint, ends[0], NULL);
}

static void end_works(void)
{
    in = take();
    NEED(yoke_open_descriptor(&output, ends[1], NULL));
    close_both(ends);
    stream_works();
}

static void pair_works(void)
{
    memcpy(ends, out.fds, sizeof ends);
    NEED(open_end());
    end_works();
}

static void begin_pair(void)
{
    NEED(make_pair());
    memcpy(ends, out.fds, sizeof ends);
}

static void begin_pipe(void)
{
    NEED(pipe2(ends, O_CLOEXEC));
}

/* ---- moving: AMOUNT bytes that follow each other ---- */

static size_t moved; /* by calls that went on after a fault, too */

static void fill_file(int fd)
{
    unsigned char bytes[AMOUNT];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = byte_at(i);
    EXPECT(pwrite(fd, bytes, sizeof bytes, 0) == sizeof bytes);
}

static void fill_stream(void)
{
    unsigned char bytes[AMOUNT];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = byte_at(i);
    EXPECT(yoke_write(output, bytes, sizeof bytes, YOKE_NOW) == sizeof bytes);
}

static void begin_file_in(void)
{
    begin_stream();
    moved = 0;
    outside[0] = (int)NEED(memfd_create("scratch", MFD_CLOEXEC));
    fill_file(outside[0]);
}

static int64_t move_in(void)
{
    ssize_t result = yoke_move(output, outside[0], AMOUNT - moved, IN_TIME);
    moved += result > 0 ? (size_t)result : 0;
    return result;
}

static void all_is_in(void)
{
    if (moved < AMOUNT)
        EXPECT(move_in() >= 0 && moved == AMOUNT);
    EXPECT(drain(0) == AMOUNT);
    stream_works();
}

static void begin_file_out(void)
{
    begin_stream();
    fill_stream();
    outside[0] = (int)NEED(memfd_create("scratch", MFD_CLOEXEC));
}

static void begin_appended_out(void)
{
    begin_file_out();
    NEED(fcntl(outside[0], F_SETFL, O_APPEND));
}

static void begin_pipe_out(void)
{
    begin_stream();
    fill_stream();
    int fds[2];
    NEED(pipe2(fds, O_CLOEXEC));
    outside[0] = fds[1];
    outside[1] = fds[0];
}

static void begin_socket_out(void)
{
    begin_stream();
    fill_stream();
    NEED(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, outside));
}

static int64_t move_out(void)
{
    return yoke_move(in, outside[0], AMOUNT, IN_TIME);
}

static void all_is_out(void)
{
    unsigned char bytes[AMOUNT + 1];
    ssize_t got = outside[1] >= 0 ? 0 : pread(outside[0], bytes, sizeof bytes, 0);
    if (outside[1] >= 0)
        got = read(outside[1], bytes, sizeof bytes);
    for (ssize_t i = 0; i < got; i++)
        EXPECT(bytes[i] == byte_at((size_t)i));
    EXPECT(got > 0 && drain((size_t)got) == AMOUNT - (size_t)got); /* what was not moved is there */
    stream_works();
}

static void begin_socket_in(void)
{
    begin_stream();
    NEED(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, outside));
}

static int64_t move_in_vain(void)
{
    return yoke_move(output, outside[0], AMOUNT, SHORTLY);
}

/* ---- signals ---- */

static int64_t join_both(void)
{
    int64_t result = yoke_peer_join(&alice, "alice", NULL);
    return result < 0 ? result : yoke_peer_join(&bob, "bob", NULL);
}

static void begin_peers(void)
{
    NEED(join_both());
}

static int64_t open_inbox(void)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;
    options.spin_ns = 0;
    options.depth = 4;
    options.participants = 4;
    return yoke_signals_open(&out.endpoint, bob, place[0] ? YOKE_SIGNALS_KERNEL : 0, &options);
}

static const char *bobs_address(void)
{
    return place[0] ? "peer:bob@kernel" : "peer:bob";
}

static int64_t send_signal(void)
{
    return yoke_signal_send(alice, bobs_address(), 7, 42);
}

static int64_t receive_now(void)
{
    struct yoke_signal signal;
    return yoke_signal_recv(in, &signal, YOKE_NOW);
}

static int64_t receive_in_vain(void)
{
    struct yoke_signal signal;
    return yoke_signal_recv(in, &signal, SHORTLY);
}

static void signal_comes(void)
{
    struct yoke_signal signal;
    EXPECT(yoke_signal_recv(in, &signal, SOON) == 0 && signal.number == 7 && signal.value == 42 &&
           strcmp(signal.sender, "alice") == 0);
}

static void inbox_works(void)
{
    for (int i = 0; i < 3; i++) {
        EXPECT(receive_now() == -EAGAIN);
        EXPECT(send_signal() == 0);
        signal_comes();
    }
    close_all();
}

static void new_inbox_works(void)
{
    in = take();
    inbox_works();
}

static void begin_inbox(void)
{
    begin_peers();
    NEED(open_inbox());
    in = take();
}

static void begin_known_inbox(void)
{
    begin_inbox();
    EXPECT(send_signal() == 0);
    signal_comes();
}

static void sent_signal_comes(void)
{
    signal_comes();
    inbox_works();
}

/* Of an earlier owner, whom this process has sent to. */
static void begin_new_owner(void)
{
    begin_known_inbox();
    close_reader();
    yoke_peer_leave(bob);
    NEED(yoke_peer_join(&bob, "bob", NULL));
    NEED(open_inbox());
    in = take();
}

static int64_t receive_signal(void)
{
    struct yoke_signal signal;
    int result = yoke_signal_recv(in, &signal, SOON);
    return result < 0 ? result : (int64_t)signal.number;
}

static void begin_sent(void)
{
    begin_inbox();
    EXPECT(send_signal() == 0);
}

static int64_t catch_usr1(void)
{
    static const int numbers[] = {SIGUSR1};
    return yoke_signals_catch(in, numbers, 1);
}

static void usr1_comes(void)
{
    struct yoke_signal signal;
    raise(SIGUSR1);
    EXPECT(yoke_signal_recv(in, &signal, SOON) == 0 && signal.unix_signal == SIGUSR1);
    inbox_works();
}

static void begin_caught(void)
{
    begin_inbox();
    NEED(catch_usr1());
}

static int64_t kill_bob(void)
{
    return yoke_signal_kill("peer:bob", 0);
}

static void begin_blocked(void)
{
    sigset_t blocked;
    begin_peers();
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGRTMIN);
    sigprocmask(SIG_BLOCK, &blocked, NULL);
}

static int64_t queue_to_bob(void)
{
    return yoke_signal_queue("peer:bob", SIGRTMIN, 5);
}

static void queued_one_is_there(void)
{
    sigset_t wanted;
    siginfo_t info;
    sigemptyset(&wanted);
    sigaddset(&wanted, SIGRTMIN);
    EXPECT(sigtimedwait(&wanted, &info, &(struct timespec){60, 0}) == SIGRTMIN);
    close_all();
}

static void inboxs_descriptor_works(void)
{
    int fd = yoke_fd(in);
    NEED(fd);
    for (int k = 0; k < 100 && receive_now() != -EAGAIN; k++)
        ;
    EXPECT(!readable(fd, 0));
    EXPECT(send_signal() == 0);
    EXPECT(readable(fd, SOON));
    sent_signal_comes();
}

static void begin_inboxs_descriptor(void)
{
    begin_known_inbox();
    NEED(descriptor_of_reader());
    EXPECT(receive_now() == -EAGAIN);
}

static void inbox_is_cancelled(void)
{
    EXPECT(cancel_reader() == 0);
    EXPECT(receive_in_vain() == -ECANCELED);
    close_all();
}

static void inbox_is_gone(void)
{
    EXPECT(send_signal() == -ENOTSUP);
    close_all();
}

/* ---- each in memory and in the kernel ---- */

#define BOTH(function)                  \
    static void function##_memory(void) \
    {                                   \
        in_memory();                    \
        function();                     \
    }                                   \
    static void function##_kernel(void) \
    {                                   \
        in_kernel();                    \
        function();                     \
    }

static void begin_sleeper_memory(void)
{
    in_memory();
    begin_sleeper();
}

static void nothing(void)
{
}

BOTH(nothing)
BOTH(begin_reader)
BOTH(begin_stream)
BOTH(begin_dead_reader)
BOTH(begin_ended)
BOTH(begin_left)
BOTH(begin_descriptor)
BOTH(begin_set)
BOTH(begin_file_in)
BOTH(begin_file_out)
BOTH(begin_appended_out)
BOTH(begin_pipe_out)
BOTH(begin_socket_out)
BOTH(begin_socket_in)
BOTH(begin_full)
BOTH(begin_peers)
BOTH(begin_inbox)
BOTH(begin_known_inbox)
BOTH(begin_new_owner)
BOTH(begin_sent)
BOTH(begin_caught)
BOTH(begin_inboxs_descriptor)

#define EACH(name, flags, before, call, after)                     \
    {name " in memory", flags, before##_memory, call, after},      \
    {                                                              \
        name " in the kernel", flags, before##_kernel, call, after \
    }

const struct scenario stream_scenarios[] = {
    {"stream create fresh in memory", FRESH, nothing_memory, create_reader, reader_works},
    /* where the file's facts can not be had it may be another one's by now, and stays, empty */
    {"stream create fresh in the kernel", FRESH | EFFECT, nothing_kernel, create_reader,
     reader_works},
    {"stream create kept in memory", 0, nothing_memory, create_kept_writer, kept_stream_works},
    {"stream create kept in the kernel", EFFECT, nothing_kernel, create_kept_writer,
     kept_stream_works},
    EACH("stream create over dead", EFFECT, begin_dead_reader, create_reader, reader_works),
    EACH("stream open", 0, begin_reader, open_writer, writer_works),
    EACH("stream write", 0, begin_stream, write_some, some_comes),
    {"stream write to sleeper", 0, begin_sleeper_memory, write_some, some_comes},
    EACH("stream write in vain", 0, begin_full, write_in_vain, full_stream_works),
    EACH("stream write to nobody", 0, begin_left, write_some, left_stream_works),
    EACH("stream read nothing", 0, begin_stream, read_nothing, stream_works),
    EACH("stream read in vain", 0, begin_stream, read_in_vain, stream_works),
    EACH("stream read the end", 0, begin_ended, read_the_end, ended_stream_works),
    EACH("stream ask for the end", 0, begin_stream, ask_for_end, stream_works),
    EACH("stream cancel", 0, begin_stream, cancel_reader, reader_is_cancelled),
    EACH("stream close", EFFECT, begin_stream, close_writer, ended_stream_works),
    EACH("stream close last", EFFECT, begin_reader, close_reader, stream_is_gone),
    EACH("stream descriptor", 0, begin_stream, descriptor_of_reader, descriptor_works),
    EACH("stream descriptor rung", 0, begin_descriptor, write_some, some_is_told),
    EACH("stream descriptor read nothing", 0, begin_descriptor, read_nothing, descriptor_works),
    EACH("stream descriptor cancel", 0, begin_descriptor, cancel_reader, reader_is_cancelled),
    EACH("stream descriptor close", EFFECT, begin_descriptor, close_reader, left_stream_works),
    EACH("set add stream", EFFECT, begin_set, add_reader, member_works),
    {"stream pair", 0, nothing_memory, make_pair, pair_works},
    {"stream pair open end", 0, begin_pair, open_end, end_works},
    {"pipe open end", 0, begin_pipe, open_end, end_works},
    EACH("stream move a file in", SOME, begin_file_in, move_in, all_is_in),
    EACH("stream move to a file", SOME, begin_file_out, move_out, all_is_out),
    EACH("stream move to an appended file", SOME, begin_appended_out, move_out, all_is_out),
    EACH("stream move to a pipe", SOME, begin_pipe_out, move_out, all_is_out),
    EACH("stream move to a socket", SOME, begin_socket_out, move_out, all_is_out),
    EACH("stream move in vain", 0, begin_socket_in, move_in_vain, stream_works),
    EACH("signals open", EFFECT, begin_peers, open_inbox, new_inbox_works),
    EACH("signal send first", EFFECT, begin_inbox, send_signal, sent_signal_comes),
    EACH("signal send", 0, begin_known_inbox, send_signal, sent_signal_comes),
    EACH("signal send to new owner", EFFECT, begin_new_owner, send_signal, sent_signal_comes),
    EACH("signal receive", EFFECT, begin_sent, receive_signal, inbox_works),
    EACH("signal receive nothing", 0, begin_inbox, receive_now, inbox_works),
    EACH("signal receive in vain", EFFECT, begin_inbox, receive_in_vain, inbox_works),
    EACH("signals catch", 0, begin_inbox, catch_usr1, usr1_comes),
    EACH("signals caught in vain", EFFECT, begin_caught, receive_in_vain, usr1_comes),
    EACH("signals descriptor", EFFECT, begin_known_inbox, descriptor_of_reader,
         inboxs_descriptor_works),
    EACH("signals descriptor rung", 0, begin_inboxs_descriptor, send_signal, sent_signal_comes),
    EACH("signals cancel", 0, begin_inboxs_descriptor, cancel_reader, inbox_is_cancelled),
    EACH("signals close", EFFECT, begin_inbox, close_reader, inbox_is_gone),
    {"signal kill", 0, begin_peers_memory, kill_bob, close_all},
    {"signal queue", 0, begin_blocked, queue_to_bob, queued_one_is_there},
};
const uint32_t stream_scenario_count = sizeof stream_scenarios / sizeof stream_scenarios[0];
