/*
 * image_fuzz.c - attach to a hostile image of an object, and use it.
 *
 * One input is a kind of object and a list of commands. The object is as honest processes left it:
 * messages in it, a participant that died with some in hand. Commands write into its memory, as
 * somebody who may write it does, before and after it is opened; others are calls of an honest
 * process, with short time-outs. In the end everything is closed. Edits are small (a value at a
 * place) so that an input gets beyond the checks of the header; whole pieces can be written as well.
 *
 * What must hold for every input:
 *   - no crash, and nothing for the sanitizers to say. Guard pages of 16 MiB stand before and behind
 *     each mapping (shmat and mmap are wrapped), so one byte outside is a crash; buffers have exactly
 *     the size that the call is told;
 *   - each call returns, with a result that yoke.h gives it. Who runs this sees to a time limit;
 *   - a lent message lies within the mapping, is not bigger than the object allows, and is aligned;
 *   - closing succeeds; no descriptor and no mapping is left;
 *   - an object beside it, and its name, stay as they were, and so does a restored image: every
 *     now and then all of them are used as if nothing had happened.
 *
 * Linked with libFuzzer (`./dev fuzz`), or with replay.c, which replays a corpus and makes inputs of
 * its own.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guards.h"
#include "image_fuzz.h"
#include "inspect.h"
#include "memory/layout.h"
#include "yoke.h"

#define KEPT_MOST   8     /* lent messages and loans in hand */
#define CALLS_MOST  48    /* in one input */
#define BUFFER_MOST 10000 /* bytes of a message that are read or written */
#define CHECK_EVERY 256   /* inputs */

#define insist(condition, ...)                                                      \
    do {                                                                            \
        if (!(condition)) {                                                         \
            fprintf(stderr, "%s:%d: not so: %s: ", __FILE__, __LINE__, #condition); \
            fprintf(stderr, __VA_ARGS__);                                           \
            fprintf(stderr, "\n");                                                  \
            abort();                                                                \
        }                                                                           \
    } while (0)

/* ---- an input ------------------------------------------------------------------------------------- */

struct input {
    const uint8_t *data;
    size_t size, at;
};

static uint8_t next8(struct input *input)
{
    return input->at < input->size ? input->data[input->at++] : 0;
}

static uint64_t next_number(struct input *input, unsigned bytes)
{
    uint64_t number = 0;

    while (bytes-- > 0)
        number = number << 8 | next8(input);
    return number;
}

/* ---- what is attacked ----------------------------------------------------------------------------- */

struct subject {
    const char *what;    /* for people */
    const char *entry;   /* in the name directory; NULL: `fds` are its descriptors */
    const char *address; /* of its first end */
    uint32_t flags;      /* for opening it */
    int fds[2];
    uint8_t *view; /* the attacker's mapping */
    size_t size;
    uint8_t *pristine; /* what honest ones left there */
    uint32_t *words;   /* places that matter: offsets in bytes, multiples of 4 */
    size_t words_count;
};

static char directory[400];
static bool own_directory;
static yoke_peer *peers[2]; /* "alice" and "bob", who are this very process */
static pid_t keeper;        /* a process that lives on as "carol" */
static uint64_t inputs;
static int descriptors_at_first;

static const char *path_of(const char *entry)
{
    static char path[700];

    snprintf(path, sizeof path, "%s/%s", directory, entry);
    return path;
}

static size_t read_entry(const char *entry, char *text, size_t room)
{
    int fd = open(path_of(entry), O_RDONLY | O_CLOEXEC);
    ssize_t size;

    insist(fd >= 0, "%s: %s", entry, strerror(errno));
    size = read(fd, text, room - 1);
    close(fd);
    insist(size > 0, "%s is empty", entry);
    text[size] = '\0';
    return (size_t)size;
}

static int segment_of(const char *entry)
{
    char text[1000];

    read_entry(entry, text, sizeof text);
    return atoi(strstr(text, "segment=") + strlen("segment="));
}

static void write_entry(const char *entry, const void *text, size_t size)
{
    int fd = open(path_of(entry), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    insist(fd >= 0 && write(fd, text, size) == (ssize_t)size, "%s: %s", entry, strerror(errno));
    close(fd);
}

static int open_descriptors(void)
{
    DIR *stream = opendir("/proc/self/fd");
    int count = 0;

    insist(stream, "no /proc");
    while (readdir(stream))
        count++;
    closedir(stream);
    return count;
}

/* Whatever yoke.h says of a call, this is what it may return. */
static int64_t known(int64_t result)
{
    static const int errors[] = {EAGAIN, ETIMEDOUT,       EINTR,    ECANCELED, EOWNERDEAD, EPIPE,
                                 EPROTO, EPROTONOSUPPORT, EMSGSIZE, ENOSPC,    EADDRINUSE, EBADF,
                                 EBUSY,  EDEADLK,         EPERM,    EEXIST,    ENOENT,     EACCES,
                                 EINVAL, ENOMEM,          EMFILE,   ENFILE,    ENOTSUP};

    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        if (result >= 0 || result == -errors[i])
            return result;
    }
    insist(result >= 0, "error %lld has no meaning: %s", (long long)-result, yoke_explain());
    return result;
}

static int64_t must(int64_t result)
{
    insist(result >= 0, "%lld: %s", (long long)result, yoke_explain());
    return result;
}

/* ---- edits ------------------------------------------------------------------------------------------ */

static uint64_t interesting(const struct subject *subject, uint8_t which)
{
    static const uint64_t values[] = {0,
                                      1,
                                      2,
                                      3,
                                      4,
                                      5,
                                      7,
                                      8,
                                      15,
                                      16,
                                      31,
                                      32,
                                      33,
                                      63,
                                      64,
                                      65,
                                      127,
                                      128,
                                      255,
                                      256,
                                      1023,
                                      1024,
                                      4095,
                                      4096,
                                      4097,
                                      0x7fff,
                                      0x8000,
                                      0xffff,
                                      0x10000,
                                      0xfffff,
                                      0x100000,
                                      0x3ffffff,
                                      0x4000000,
                                      0x7fffffff,
                                      0x80000000,
                                      0xfffffffe,
                                      0xffffffff,
                                      0x100000000,
                                      0x1ffffffff,
                                      0xffffffff00000000,
                                      0x7fffffffffffffff,
                                      0x8000000000000000,
                                      0xfffffffffffff000,
                                      0xfffffffffffffffe,
                                      0xffffffffffffffff};
    size_t count = sizeof values / sizeof *values;
    size_t at = which % (count + 3);

    return at < count ? values[at] : subject->size - (at - count) * 64;
}

static size_t place(const struct subject *subject, struct input *input, bool known_one)
{
    uint32_t number = (uint32_t)next_number(input, 2);

    if (known_one && subject->words_count > 0)
        return subject->words[number % subject->words_count];
    return (size_t)number * 4 % (subject->size - 8);
}

/* Writes something into the memory, as a peer that may write it. */
static void edit(const struct subject *subject, struct input *input, uint8_t how)
{
    size_t at = place(subject, input, how & 1);
    uint64_t old, value;
    size_t size = how & 2 ? 4 : 8;

    if (!subject->view)
        return;
    memcpy(&old, subject->view + at, 8);
    switch (how >> 2 & 7) {
    case 0:
        value = interesting(subject, next8(input));
        break;
    case 1:
        value = next_number(input, 8);
        break;
    case 2:
        value = old + (uint64_t)(int64_t)(int8_t)next8(input);
        break;
    case 3:
        value = old ^ UINT64_C(1) << (next8(input) & 63);
        break;
    case 4: /* what stands elsewhere */
        memcpy(&value, subject->view + place(subject, input, true), 8);
        break;
    case 5: /* its high half */
        value = (old & UINT32_MAX) | next_number(input, 4) << 32;
        break;
    case 6: { /* a whole piece, of the input's bytes */
        size_t length = (size_t)next8(input) * 16;
        for (size_t i = 0; i < length && at + i < subject->size; i++)
            subject->view[at + i] = next8(input);
        return;
    }
    default: { /* a whole piece of the same */
        size_t length = (size_t)next8(input) * 64;
        length = length < subject->size - at ? length : subject->size - at;
        memset(subject->view + at, next8(input), length);
        return;
    }
    }
    memcpy(subject->view + at, &value, size);
}

static void restore(const struct subject *subject)
{
    if (subject->view)
        memcpy(subject->view, subject->pristine, subject->size);
}

/* ---- honest calls on endpoints ---------------------------------------------------------------------- */

struct in_hand {
    yoke_endpoint *of;
    void *bytes;
    size_t size;
    bool loan;
};

struct user {
    const struct subject *subject;
    yoke_endpoint *ends[2];
    bool tried[2];
    struct in_hand hand[KEPT_MOST];
    size_t hand_count;
};

static int64_t time_out(uint8_t choice)
{
    return choice % 32 == 31 ? 200000 : choice % 8 == 7 ? 20000 : YOKE_NOW;
}

static uint64_t read_bytes(const void *bytes, size_t size)
{
    const volatile unsigned char *at = bytes;
    uint64_t sum = 0;

    size = size < BUFFER_MOST ? size : BUFFER_MOST; /* first and last */
    for (size_t i = 0; i < size; i++)
        sum += at[i];
    return sum;
}

static void check_lent(const struct user *user, yoke_endpoint *end, const void *bytes, size_t size,
                       bool loan)
{
    size_t align = strncmp(user->subject->what, "port", 4) == 0 ? 16 : loan ? 64 : 8;

    insist((uintptr_t)bytes % align == 0, "%p is not aligned to %zu", bytes, align);
    insist(size <= yoke_max_message(end), "%zu bytes of at most %zu", size, yoke_max_message(end));
    insist(guarded_contains(bytes, size), "%zu bytes at %p are outside", size, bytes);
}

static void keep(struct user *user, yoke_endpoint *end, void *bytes, size_t size, bool loan)
{
    check_lent(user, end, bytes, size, loan);
    if (loan)
        memset(bytes, 0x5a, size);
    else
        read_bytes(bytes, size);
    if (user->hand_count < KEPT_MOST)
        user->hand[user->hand_count++] = (struct in_hand){end, bytes, size, loan};
    else
        known(yoke_release(end, bytes));
}

static void send_some(yoke_endpoint *end, size_t size, int64_t timeout_ns)
{
    unsigned char *bytes = malloc(size + 1);

    memset(bytes, 'x', size);
    known(yoke_send(end, bytes, size, timeout_ns));
    free(bytes);
}

static void send_several(yoke_endpoint *end, uint8_t count, size_t size, int64_t timeout_ns)
{
    struct yoke_message messages[8] = {{.size = 0}};
    unsigned char *bytes = malloc(size + 1);
    ssize_t sent;

    memset(bytes, 'y', size);
    for (uint8_t i = 0; i < count; i++)
        messages[i] =
            (struct yoke_message){.data = bytes, .size = size, .tag = i, .priority = i % 3 == 2};
    sent = (ssize_t)known(yoke_send_many(end, messages, count, timeout_ns));
    insist(sent <= count, "%zd of %u sent", sent, count);
    free(bytes);
}

static void receive(yoke_endpoint *end, size_t capacity, int64_t timeout_ns)
{
    unsigned char *buffer = malloc(capacity > 0 ? capacity : 1);
    ssize_t size = (ssize_t)known(yoke_recv(end, buffer, capacity, timeout_ns));

    insist(size <= (ssize_t)capacity, "%zd into %zu", size, capacity);
    free(buffer);
}

static void receive_several(yoke_endpoint *end, uint8_t count, size_t capacity, int64_t timeout_ns)
{
    struct yoke_message messages[8] = {{.size = 0}};
    unsigned char *buffers = malloc(8 * (capacity + 1));
    ssize_t got;

    for (uint8_t i = 0; i < count; i++)
        messages[i] = (struct yoke_message){.data = buffers + i * capacity, .capacity = capacity};
    got = (ssize_t)known(yoke_recv_many(end, messages, count, timeout_ns));
    insist(got <= count, "%zd of %u", got, count);
    for (ssize_t i = 0; i < got; i++)
        insist(messages[i].size <= capacity, "%zu into %zu", messages[i].size, capacity);
    free(buffers);
}

static void borrow(struct user *user, yoke_endpoint *end, uint8_t count, int64_t timeout_ns)
{
    struct yoke_message messages[8] = {{.size = 0}};
    const void *bytes;
    ssize_t got;

    if (count == 0) {
        got = (ssize_t)known(yoke_borrow(end, &bytes, timeout_ns));
        if (got >= 0)
            keep(user, end, (void *)(uintptr_t)bytes, (size_t)got, false);
        return;
    }
    got = (ssize_t)known(yoke_borrow_many(end, messages, count, timeout_ns));
    for (ssize_t i = 0; i < got; i++)
        keep(user, end, messages[i].data, messages[i].size, false);
}

static void give_up_one(struct user *user, uint8_t how)
{
    struct in_hand one;
    size_t which;

    if (user->hand_count == 0)
        return;
    which = how / 4 % user->hand_count;
    one = user->hand[which];
    if (!one.loan)
        read_bytes(one.bytes, one.size);
    switch (how & 3) {
    case 0:
        known(yoke_release(one.of, one.bytes));
        break;
    case 1:
        known(yoke_return(one.of, one.bytes));
        break;
    case 2:
        known(yoke_commit(one.of, one.bytes, one.size));
        break;
    default: {
        struct yoke_message message = {.data = one.bytes, .size = one.size / 2, .tag = 7};
        known(yoke_commit_many(one.of, &message, 1, YOKE_NOW));
    }
    }
    user->hand[which] = user->hand[--user->hand_count];
}

static void move_bytes(yoke_endpoint *end, uint8_t size, int64_t timeout_ns)
{
    int fd = open(size & 1 ? "/dev/zero" : "/dev/null", O_RDWR | O_CLOEXEC);

    known(yoke_move(end, fd, (size_t)size * 64, timeout_ns));
    close(fd);
}

static void stream_call(yoke_endpoint *end, uint8_t call, uint8_t more, int64_t timeout_ns)
{
    size_t size = (size_t)more * 40;
    unsigned char *bytes;
    ssize_t done;

    switch (call & 3) {
    case 0:
        bytes = calloc(1, size + 1);
        done = (ssize_t)known(yoke_write(end, bytes, size, timeout_ns));
        break;
    case 1:
        bytes = malloc(size > 0 ? size : 1);
        done = (ssize_t)known(yoke_read(end, bytes, size, timeout_ns));
        break;
    case 2:
        move_bytes(end, more, timeout_ns);
        return;
    default:
        known(yoke_stream_end(end));
        yoke_stream_capacity(end);
        return;
    }
    insist(done <= (ssize_t)size, "%zd of %zu", done, size);
    free(bytes);
}

static void inspect(const char *address)
{
    struct yk_object_facts facts;
    struct yk_participant_facts *people = NULL;
    size_t count = 0;

    if (address && yk_inspect(address, &facts, &people, &count) == 0) {
        insist(count <= YOKE_PARTICIPANTS_MAX, "%zu participants", count);
        for (size_t i = 0; i < count; i++)
            insist(strnlen(people[i].command, sizeof people[i].command) < 16,
                   "a command has no end");
        free(people);
    }
}

static void wait_on_descriptor(yoke_endpoint *end)
{
    yoke_set *set;
    struct yoke_ready ready[4];

    if (known(yoke_fd(end)) < 0 && yoke_set_create(&set) == 0) {
        if (known(yoke_set_add(set, end, NULL)) >= 0)
            known(yoke_set_wait(set, ready, 4, YOKE_NOW));
        yoke_set_close(set);
    }
}

static int open_end(const struct subject *subject, int which, yoke_endpoint **ret)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;

    options.spin_ns = 0;
    if (!subject->entry)
        return yoke_open_descriptor(ret, subject->fds[which], &options);
    if (strncmp(subject->what, "link", 4) == 0) {
        options.as = which ? "bob" : "alice";
        return yoke_open(ret, which ? "link:alice" : "link:bob", 0, &options);
    }
    if (strncmp(subject->what, "stream", 6) == 0)
        return yoke_open(ret, subject->address, which ? YOKE_READ : YOKE_WRITE, &options);
    return yoke_open(ret, subject->address, which ? subject->flags : 0, &options);
}

static yoke_endpoint *end_of(struct user *user, int which)
{
    yoke_endpoint *end = NULL;

    if (!user->tried[which]) {
        user->tried[which] = true;
        if (known(open_end(user->subject, which, &end)) >= 0)
            user->ends[which] = end;
    }
    return user->ends[which];
}

static void close_end(struct user *user, int which)
{
    size_t left = 0;

    for (size_t i = 0; i < user->hand_count; i++) {
        if (user->hand[i].of != user->ends[which])
            user->hand[left++] = user->hand[i];
    }
    user->hand_count = left;
    insist(yoke_close(user->ends[which]) == 0, "closing failed: %s", yoke_explain());
    user->ends[which] = NULL;
    user->tried[which] = false;
}

static void call_endpoint(struct user *user, struct input *input, uint8_t call)
{
    uint8_t more = next8(input), choice = next8(input);
    yoke_endpoint *end = end_of(user, more >> 7);
    int64_t timeout_ns = time_out(choice);
    size_t size = choice & 64 ? (size_t)(choice & 31) * 16 : yoke_max_message(end) - (choice & 1);
    void *block;

    if (!end)
        return;
    if (size > BUFFER_MOST)
        size = BUFFER_MOST;
    if (yoke_stream_capacity(end) > 0 && call % 16 < 13)
        call = 13;
    switch (call % 16) {
    case 0:
    case 1:
        send_some(end, size, timeout_ns);
        break;
    case 2:
        send_several(end, more & 7, size, timeout_ns);
        break;
    case 3:
    case 4:
        receive(end, size, timeout_ns);
        break;
    case 5:
        receive_several(end, more & 7, size, timeout_ns);
        break;
    case 6:
    case 7:
        borrow(user, end, more & 7, timeout_ns);
        break;
    case 8:
    case 9:
        give_up_one(user, more);
        break;
    case 10:
        if (known(yoke_loan(end, size, &block, timeout_ns)) == 0)
            keep(user, end, block, size, true);
        break;
    case 11:
        close_end(user, more >> 7);
        break;
    case 12:
        known(yoke_link_wait(end, timeout_ns));
        break;
    case 13:
        stream_call(end, more, choice, timeout_ns);
        break;
    case 14:
        wait_on_descriptor(end);
        break;
    default:
        inspect(user->subject->address);
    }
}

static void attack_endpoint(const struct subject *subject, struct input *input)
{
    struct user user = {.subject = subject};
    int calls = 0;

    while (input->at < input->size && calls < CALLS_MOST) {
        uint8_t command = next8(input);
        if (command < 128) {
            edit(subject, input, command);
        } else {
            call_endpoint(&user, input, command);
            calls++;
        }
    }
    for (int i = 0; i < 2; i++) {
        end_of(&user, i); /* also when the input has no call */
        close_end(&user, i);
    }
}

/* ---- regions ---------------------------------------------------------------------------------------- */

static void call_region(yoke_region *region, struct input *input, uint8_t call)
{
    unsigned char *data = yoke_region_data(region);
    uint8_t more = next8(input);
    int64_t timeout_ns = time_out(more);
    /* where honest ones have them, and anywhere */
    size_t offset = more & 64 ? next_number(input, 2) * 8 % (yoke_region_size(region) + 64) : 0;
    yoke_lock *lock = (yoke_lock *)(data + offset);
    yoke_semaphore *semaphore = (yoke_semaphore *)(data + (offset ? offset : 64));
    yoke_event *event = (yoke_event *)(data + (offset ? offset : 512));
    uint64_t seen = more & 1 ? yoke_event_count(region, event) : 0;

    switch (call % 8) {
    case 0:
        known(yoke_lock_acquire(region, lock, timeout_ns));
        break;
    case 1:
        known(yoke_lock_release(region, lock));
        break;
    case 2:
        known(yoke_semaphore_acquire(region, semaphore, timeout_ns));
        break;
    case 3:
        known(yoke_semaphore_release(region, semaphore));
        break;
    case 4:
        known(yoke_semaphore_value(region, semaphore));
        break;
    case 5:
        known(yoke_event_notify(region, event));
        break;
    case 6:
        known(yoke_event_wait(region, event, &seen, timeout_ns));
        break;
    default:
        inspect("region:region");
    }
}

static void attack_region(const struct subject *subject, struct input *input)
{
    yoke_region *regions[2] = {NULL, NULL};
    bool tried = false;

    for (int calls = 0; input->at < input->size && calls < CALLS_MOST;) {
        uint8_t command = next8(input);
        if (command < 128) {
            edit(subject, input, command);
            continue;
        }
        for (int i = 0; i < 2 && !tried; i++) {
            known(yoke_region_open(&regions[i], "region", i ? command & YOKE_READ_ONLY : 0));
            if (regions[i]) /* all of it is there */
                read_bytes(yoke_region_data(regions[i]), yoke_region_size(regions[i]));
        }
        tried = true;
        if (regions[command >> 6 & 1])
            call_region(regions[command >> 6 & 1], input, command);
        calls++;
    }
    for (int i = 0; i < 2; i++)
        insist(yoke_region_close(regions[i]) == 0, "closing failed");
}

/* ---- peers, signals --------------------------------------------------------------------------------- */

static void attack_peer(const struct subject *subject, struct input *input)
{
    struct yoke_peer_info infos[8];

    for (int calls = 0; input->at < input->size && calls < CALLS_MOST;) {
        uint8_t command = next8(input);
        yoke_peer *peer = NULL;
        if (command < 128) {
            edit(subject, input, command);
            continue;
        }
        calls++;
        switch (command & 7) {
        case 0:
            known(yoke_peer_wait("carol", YOKE_PEER_HERE, time_out(command)));
            break;
        case 1:
            known(yoke_peer_wait("carol", YOKE_PEER_GONE, time_out(command)));
            break;
        case 2: {
            ssize_t count = (ssize_t)known(yoke_peer_list(infos, 8));
            for (ssize_t i = 0; i < count && i < 8; i++)
                insist(strnlen(infos[i].name, sizeof infos[i].name) <= YOKE_PEER_NAME_MAX,
                       "a name has no end");
            break;
        }
        case 3:
            if (command == 251) { /* waits for 20 ms */
                known(yoke_peer_join(&peer, "carol", NULL));
                insist(!peer, "carol is somebody else, who lives");
            }
            break;
        case 4:
            if (command == 252 && calls == 1) /* reads all of /proc */
                known(yoke_signal_kill("carol", 0));
            break;
        case 5:
            known(yoke_signal_send(NULL, "carol", command, 1));
            break;
        case 6: {
            yoke_endpoint *link = NULL;
            known(yoke_peer_accept(peers[0], &link, NULL, YOKE_NOW));
            if (link) {
                receive(link, 64, YOKE_NOW);
                send_some(link, 16, YOKE_NOW);
            }
            yoke_close(link);
            break;
        }
        default:
            inspect(subject->address);
        }
    }
}

/* An inbox is made anew each time that it is opened, so what is attacked is this one. */
static void attack_inbox(const struct subject *nothing, struct input *input)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;
    struct subject subject = {.what = "port"};
    yoke_endpoint *inbox = NULL;
    struct yoke_signal signal;

    (void)nothing;
    options.depth = 4;
    options.participants = 3;
    options.spin_ns = 0;
    must(yoke_signals_open(&inbox, peers[0], 0, &options));
    must(yoke_signal_send(peers[1], "alice", 1, 2));
    subject.view = attack_segment(segment_of("signals.alice"), &subject.size);
    insist(subject.view, "no segment");
    for (int calls = 0; input->at < input->size && calls < CALLS_MOST;) {
        uint8_t command = next8(input);
        if (command < 128) {
            edit(&subject, input, command);
            continue;
        }
        calls++;
        switch (command & 3) {
        case 0:
            known(yoke_signal_send(command & 64 ? peers[1] : NULL, "alice", command, 3));
            break;
        case 1:
        case 2:
            if (known(yoke_signal_recv(inbox, &signal, time_out(command))) == 0)
                insist(strnlen(signal.sender, sizeof signal.sender) <= YOKE_PEER_NAME_MAX,
                       "a name has no end");
            break;
        default:
            if (command & 64)
                inspect("signals:alice");
            else
                known(yoke_fd(inbox));
        }
    }
    insist(yoke_close(inbox) == 0, "closing failed");
    attack_segment_end(subject.view);
    yoke_signal_send(NULL, "alice", 1, 1); /* finds out that it is gone, and lets go of it */
}

/* ---- names ------------------------------------------------------------------------------------------ */

static void use_name(const char *const addresses[], size_t which, uint8_t call)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;
    yoke_endpoint *end = NULL;
    yoke_region *region = NULL;
    struct yk_gc_item *items = NULL;
    const char *address = addresses[which];

    options.spin_ns = 0;
    options.as = strncmp(address, "link", 4) == 0 ? "alice" : NULL;
    switch (call % 8) {
    case 0:
    case 1:
        known(yoke_open(&end, address, which == 2 ? YOKE_READ : 0, &options));
        if (end)
            receive(end, 64, YOKE_NOW);
        yoke_close(end);
        break;
    case 2:
        known(yoke_region_open(&region, "bait", call & YOKE_READ_ONLY));
        yoke_region_close(region);
        break;
    case 3:
        known(yoke_remove(address));
        break;
    case 4:
        known(yoke_peer_list(NULL, 0));
        known(yoke_peer_wait("bait", YOKE_PEER_HERE, YOKE_NOW));
        known(yoke_signal_send(NULL, "bait", 1, 1));
        known(yoke_signal_kill("bait", 0));
        break;
    case 5:
        inspect(address);
        break;
    case 6: {
        struct yk_object_facts *facts = NULL;
        if (known(yk_inspect_list(&facts)) >= 0)
            free(facts);
        break;
    }
    default:
        if (known(yk_gc(true, &items)) >= 0)
            free(items);
    }
}

/*
 * A record of a living object's, the model, with one number or some bytes changed; or just bytes. Who
 * may write names as the model's owner may remove the model, or its files, by them, so it is made anew now
 * and then.
 */
static char model[1000];

static void attack_names(const struct subject *nothing, struct input *input)
{
    static const char *const entries[] = {"port.bait",        "region.bait",
                                          "stream.bait",      "peer.bait",
                                          "signals.bait",     "link.alice@bait",
                                          "port.bait@kernel", "stream.bait@kernel"};
    static const char *const addresses[] = {"port:bait",        "region:bait",       "stream:bait",
                                            "peer:bait",        "signals:bait",      "link:bait",
                                            "port:bait@kernel", "stream:bait@kernel"};
    char text[1000], live[64] = "";
    uint8_t which = next8(input) % 8, how = next8(input);
    size_t size = strlen(model);
    char *name;

    (void)nothing;
    strcpy(text, model);
    name = strstr(text, " model ");
    if (how & 1) { /* the kind and the name as they should be */
        char rest[1000];
        const char *kind = strcspn(entries[which], ".") ? entries[which] : "port";
        snprintf(rest, sizeof rest, "%s", name + strlen(" model "));
        size =
            (size_t)snprintf(text, sizeof text, "yoke2 %.*s%s %s %s", (int)strcspn(kind, "."), kind,
                             which >= 6 ? "@kernel" : "", which == 5 ? "alice@bait" : "bait", rest);
        if (strlen(text) < size)
            size = strlen(text);
    }
    for (uint8_t edits = how >> 5; edits > 0; edits--) {
        size_t at = next_number(input, 2) % size;
        if (edits & 1)
            text[at] = (char)next8(input);
        else
            text[at] = (char)('0' + next8(input) % 10);
    }
    if (how & 2) { /* a number more */
        char *number = strchr(text + next8(input) % size, '=');
        if (number && number[1])
            number[1] = (char)(number[1] ^ (1 << next8(input) % 4));
    }
    if (how & 4) {
        size = input->size - input->at < sizeof text ? input->size - input->at : sizeof text;
        memcpy(text, input->data + input->at, size);
    } else if (how & 8) {
        size = next_number(input, 2) % (size + 1);
    }
    write_entry(entries[which], text, size);
    if (how & 16) { /* a lock file that is there: the sentinel's own is not touched by that */
        snprintf(live, sizeof live, ".live-%016llx", (unsigned long long)next8(input));
        write_entry(live, "", 0);
    }
    for (int calls = 0; input->at < input->size && calls < 8; calls++)
        use_name(addresses, which, next8(input));
    for (size_t i = 0; i < 8; i++)
        unlink(path_of(entries[i]));
    if (live[0])
        unlink(path_of(live));
}

/* ---- setting up ------------------------------------------------------------------------------------- */

enum {
    REGION,
    PORT,
    PARKED,
    BIG,
    LINK,
    PAIR,
    STREAM,
    UNNAMED,
    PEER,
    INBOX,
    NAMES,
    SIGNALS,
    OFFERED,
    SUBJECTS
};

static struct subject subjects[SUBJECTS] = {
    [REGION] = {.what = "region", .entry = "region.region", .address = "region:region"},
    [PORT] = {.what = "port", .entry = "port.port", .address = "port:port"},
    [PARKED] = {.what = "port, parked",
                .entry = "port.parked",
                .address = "port:parked",
                .flags = YOKE_PARKED},
    [BIG] = {.what = "port of big messages", .entry = "port.big", .address = "port:big"},
    [LINK] = {.what = "link", .entry = "link.alice@bob", .address = "link:alice/bob"},
    [PAIR] = {.what = "pair"},
    [STREAM] = {.what = "stream", .entry = "stream.stream", .address = "stream:stream"},
    [UNNAMED] = {.what = "stream without a name"},
    [PEER] = {.what = "peer", .entry = "peer.carol", .address = "peer:carol"},
    [INBOX] = {.what = "inbox"},
    [NAMES] = {.what = "names", .entry = "port.model", .address = "port:model"},
    [SIGNALS] = {.what = "somebody's inbox", .entry = "signals.carol", .address = "signals:carol"},
    [OFFERED] = {.what = "a link that somebody opened",
                 .entry = "link.alice@carol",
                 .address = "link:alice/carol"},
};

static struct yoke_options options_of(int which)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;
    bool port = which == PORT || which == PARKED || which == BIG || which == NAMES;

    options.spin_ns = 0;
    options.capacity = which == STREAM || which == UNNAMED ? 4096 : 0;
    if (which == STREAM || port)
        options.participants = which == BIG ? 3 : which == STREAM ? 70 : 4;
    if (!port && which != LINK && which != PAIR)
        return options;
    options.depth = 4;
    options.max_message = which == BIG ? 5000 : which == LINK || which == PAIR ? 1500 : 80;
    if (!port)
        return options;
    options.priorities = which == PORT ? 2 : 1;
    options.max_borrowed = 2;
    options.max_parked = 2;
    options.max_deliveries = which == PARKED ? 1 : 3;
    return options;
}

/* In a child, which ends in the middle of it: what it has in hand stays so. */
static void leave_traces(int which, const struct subject *subject)
{
    yoke_endpoint *ends[2] = {NULL, NULL};
    const void *message;
    void *block;

    if (which == REGION) {
        yoke_region *region;
        unsigned char *data;
        must(yoke_region_open(&region, "region", 0));
        data = yoke_region_data(region);
        must(yoke_lock_acquire(region, (yoke_lock *)data, YOKE_NOW));
        must(yoke_semaphore_acquire(region, (yoke_semaphore *)(data + 64), YOKE_NOW));
        return;
    }
    for (int i = 0; i < 2; i++)
        must(open_end(subject, i, &ends[i]));
    if (which == STREAM || which == UNNAMED) {
        char bytes[3000] = "";
        must(yoke_write(ends[0], bytes, 3000, YOKE_NOW));
        must(yoke_read(ends[1], bytes, 2000, YOKE_NOW));
        must(yoke_write(ends[0], bytes, 2000, YOKE_NOW));
        return;
    }
    yoke_fd(ends[1]);
    for (int i = 0; i < 3; i++)
        send_some(ends[0], yoke_max_message(ends[0]) / (size_t)(i + 1), YOKE_NOW);
    if (which == PARKED) {
        must(yoke_borrow(ends[0], &message, YOKE_NOW));
        must(yoke_return(ends[0], message));
        must(yoke_borrow(ends[0], &message, YOKE_NOW));
        return;
    }
    must(yoke_borrow(ends[1], &message, YOKE_NOW));
    must(yoke_return(ends[1], message));
    must(yoke_borrow(ends[1], &message, YOKE_NOW));
    must(yoke_borrow(ends[1], &message, YOKE_NOW));
    must(yoke_loan(ends[1], 8, &block, YOKE_NOW));
}

static void in_a_child(int which, const struct subject *subject)
{
    int status = -1;
    pid_t child = fork();

    if (child == 0) {
        leave_traces(which, subject);
        _exit(0);
    }
    insist(child > 0 && waitpid(child, &status, 0) == child && status == 0,
           "the traces in a %s could not be left: status %d", subject->what, status);
}

static void make_one(int which, struct subject *subject)
{
    struct yoke_options options = options_of(which);
    struct yoke_region_options region_options = YOKE_REGION_OPTIONS_INIT;
    yoke_endpoint *end = NULL;

    if (which == REGION) {
        yoke_region *region;
        region_options.flags = YOKE_KEPT;
        region_options.participants = 4;
        must(yoke_region_create(&region, "region", 3000, &region_options));
        must(yoke_semaphore_init(
            region, (yoke_semaphore *)((unsigned char *)yoke_region_data(region) + 64), 3));
        yoke_region_close(region);
    } else if (which == PAIR) {
        must(yoke_pair(subject->fds, &options));
    } else if (which == UNNAMED) {
        must(yoke_stream_pair(subject->fds, &options));
        /* end 0 is to write */
        int reading = subject->fds[0];
        subject->fds[0] = subject->fds[1];
        subject->fds[1] = reading;
    } else if (which == LINK) {
        options.as = "alice";
        must(yoke_open(&end, "link:bob", YOKE_CREATE | YOKE_KEPT, &options));
    } else {
        must(yoke_open(&end, subject->address,
                       YOKE_CREATE | YOKE_KEPT | (which == STREAM ? YOKE_WRITE : 0), &options));
    }
    yoke_close(end);
}

static void make_sentinel(void)
{
    struct yoke_options options = options_of(PORT);
    yoke_endpoint *end;

    must(yoke_open(&end, "port:sentinel", YOKE_CREATE | YOKE_KEPT, &options));
    yoke_close(end);
}

static void make_model(void)
{
    yoke_remove("port:model");
    make_one(NAMES, &subjects[NAMES]);
    read_entry("port.model", model, sizeof model - 300);
}

/* What a hostile process does to see the memory. */
static void look_behind(struct subject *subject)
{
    subject->view = subject->entry ? attack_segment(segment_of(subject->entry), &subject->size)
                                   : attack_file(subject->fds[0], &subject->size);
    insist(subject->view, "%s can not be seen", subject->what);
    subject->pristine = malloc(subject->size);
    memcpy(subject->pristine, subject->view, subject->size);
}

/*
 * Places that matter: the header's fields, the first participants, the beginning of the body, all that
 * is not zero in use, and its neighbours.
 */
static void choose_words(struct subject *subject)
{
    struct yk_shm_fixed fixed;
    size_t count = subject->size / 4;

    memcpy(&fixed, subject->pristine, sizeof fixed);
    subject->words = malloc(count * sizeof *subject->words);
    for (size_t i = 0; i + 1 < count; i++) {
        size_t at = i * 4;
        uint64_t here[3] = {0, 0, 0};
        memcpy(here, subject->pristine + (at >= 8 ? at - 8 : 0),
               at + 16 <= subject->size ? 24 : 16);
        bool header = at < sizeof fixed && (at < offsetof(struct yk_shm_fixed, name) ||
                                            at >= offsetof(struct yk_shm_fixed, details));
        bool first = at >= YK_PAGE && at < YK_PAGE + 4 * sizeof(struct yk_shm_slot);
        bool body = at >= fixed.body_offset && at < fixed.body_offset + 2048;
        bool used = at >= sizeof fixed && (here[0] | here[1] | here[2]) != 0;
        if (header || first || body || used)
            subject->words[subject->words_count++] = (uint32_t)at;
    }
}

/* Lives on as carol, with an inbox and a link to alice, and does nothing. */
static void keep_carol(int ready)
{
    struct yoke_options options = options_of(LINK);
    yoke_peer *carol;
    yoke_endpoint *inbox, *link;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    must(yoke_peer_join(&carol, "carol", NULL));
    options.as = "carol";
    must(yoke_open(&link, "link:alice", YOKE_CREATE, &options));
    send_some(link, 32, YOKE_NOW);
    options = (struct yoke_options)YOKE_OPTIONS_INIT;
    options.depth = options.participants = 4;
    must(yoke_signals_open(&inbox, carol, 0, &options));
    insist(write(ready, "", 1) == 1, "nobody waits for carol");
    for (;;)
        pause();
}

static void start_carol(void)
{
    int pipes[2];
    char byte;

    insist(pipe2(pipes, O_CLOEXEC) == 0, "no pipe");
    keeper = fork();
    if (keeper == 0)
        keep_carol(pipes[1]);
    close(pipes[1]);
    insist(read(pipes[0], &byte, 1) == 1, "carol did not come");
    close(pipes[0]);
}

static pid_t owner;

static void clear_away(void)
{
    if (getpid() != owner)
        return;
    kill(keeper, SIGKILL);
    waitpid(keeper, NULL, 0);
    for (int i = 0; i < SUBJECTS; i++) {
        struct subject *subject = &subjects[i];
        if (!subject->view)
            continue;
        restore(subject);
        if (subject->entry)
            attack_segment_end(subject->view);
        free(subject->pristine);
        free(subject->words);
        if (i == REGION)
            yoke_region_remove("region");
        else if (subject->entry && i != PEER && i != SIGNALS && i != OFFERED)
            yoke_remove(subject->address);
    }
    yoke_remove("port:sentinel");
    yoke_remove("port:model");
    for (int i = 0; i < 2; i++)
        yoke_peer_leave(peers[i]);
    if (own_directory) { /* what yoke keeps on purpose, too */
        char command[500];
        snprintf(command, sizeof command, "rm -rf '%s'", directory);
        (void)!system(command);
    }
}

static void find_directory(void)
{
    const char *given = getenv("YOKE_DIR"), *parents = getenv("YOKE_FUZZ_DIR");

    /* libFuzzer starts itself again to merge: what it inherits is its parent's */
    if (given && !(parents && strcmp(given, parents) == 0)) {
        snprintf(directory, sizeof directory, "%s", given);
        return;
    }
    strcpy(directory, "/dev/shm/yoke-fuzz-XXXXXX");
    insist(mkdtemp(directory), "%s: %s", directory, strerror(errno));
    setenv("YOKE_DIR", directory, 1);
    setenv("YOKE_FUZZ_DIR", directory, 1);
    own_directory = true;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    find_directory();
    owner = getpid();
    must(yoke_peer_join(&peers[0], "alice", NULL));
    must(yoke_peer_join(&peers[1], "bob", NULL));
    start_carol();
    atexit(clear_away);
    make_sentinel();
    make_model();
    for (int i = 0; i < SUBJECTS; i++) {
        if (i == INBOX || i == NAMES)
            continue;
        if (i != PEER && i != SIGNALS && i != OFFERED) {
            make_one(i, &subjects[i]);
            if (i != LINK)
                in_a_child(i, &subjects[i]);
        }
        look_behind(&subjects[i]);
        choose_words(&subjects[i]);
    }
    return 0;
}

/* ---- one input -------------------------------------------------------------------------------------- */

/* After a restored image it must be as if nothing had happened. */
static void check_honest(const struct subject *subject)
{
    struct user user = {.subject = subject};

    for (int i = 0; i < 2; i++)
        must(open_end(subject, i, &user.ends[i]));
    if (yoke_stream_capacity(user.ends[0]) > 0) {
        char bytes[64];
        must(yoke_write(user.ends[0], "honest", 6, YOKE_NOW));
        must(yoke_read(user.ends[1], bytes, sizeof bytes, YOKE_NOW));
    } else {
        char bytes[8000];
        must(yoke_recv(user.ends[1], bytes, sizeof bytes, YOKE_NOW));
        must(yoke_send(user.ends[0], "honest", 6, YOKE_NOW));
    }
    for (int i = 0; i < 2; i++)
        close_end(&user, i);
    restore(subject);
}

static void check_all(void)
{
    yoke_endpoint *sentinel = NULL;
    yoke_region *region;
    char bytes[100];

    must(yoke_open(&sentinel, "port:sentinel", 0, NULL));
    must(yoke_send(sentinel, "stay", 4, YOKE_NOW));
    must(yoke_recv(sentinel, bytes, sizeof bytes, YOKE_NOW));
    yoke_close(sentinel);
    must(yoke_region_open(&region, "region", 0));
    insist(yoke_lock_acquire(region, yoke_region_data(region), YOKE_NOW) == YOKE_OWNER_DIED,
           "a dead one's lock");
    yoke_region_close(region);
    restore(&subjects[REGION]);
    check_honest(&subjects[PORT]);
    check_honest(&subjects[PAIR]);
    check_honest(&subjects[STREAM]);
    check_honest(&subjects[UNNAMED]);
    must(yoke_peer_wait("carol", YOKE_PEER_HERE, YOKE_NOW));
    make_model();
}

/* What opening keeps for the process (a watch, who signals were sent to) is made by the first ones. */
static void check_left(void)
{
    int now = open_descriptors();

    insist(guarded_count() < 12, "%zu mappings are left", guarded_count());
    if (inputs >= 4 * CHECK_EVERY && descriptors_at_first == 0)
        descriptors_at_first = now;
    if (descriptors_at_first != 0)
        insist(now <= descriptors_at_first + 12, "%d descriptors are open, and %d were at first",
               now, descriptors_at_first);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size, 0};
    int which = next8(&input) % SUBJECTS;
    struct subject *subject = &subjects[which];

    switch (which) {
    case REGION:
        attack_region(subject, &input);
        break;
    case PEER:
    case SIGNALS:
    case OFFERED:
        attack_peer(subject, &input);
        break;
    case INBOX:
        attack_inbox(subject, &input);
        break;
    case NAMES:
        attack_names(subject, &input);
        break;
    default:
        attack_endpoint(subject, &input);
    }
    restore(subject);
    if (++inputs % CHECK_EVERY == 0) {
        check_all();
        check_left();
    }
    return 0;
}

/* By then nobody has anything of carol's open any more. */
void image_clear(void)
{
    struct yk_gc_item *items = NULL;

    if (yk_gc(false, &items) >= 0)
        free(items);
}

const char *image_kind(const uint8_t *data, size_t size)
{
    return subjects[size > 0 ? data[0] % SUBJECTS : 0].what;
}

unsigned image_kinds(void)
{
    return SUBJECTS;
}
