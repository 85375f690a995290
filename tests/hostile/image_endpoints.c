/*
 * image_endpoints.c - honest calls on endpoints whose memory is hostile. See image_fuzz.c.
 */
#include "image.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "guards.h"
#include "inspect.h"

#define KEPT_MOST 8 /* lent messages and loans in hand */

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

int64_t time_out(uint8_t choice)
{
    return choice % 32 == 31 ? 200000 : choice % 8 == 7 ? 20000 : YOKE_NOW;
}

uint64_t read_bytes(const void *bytes, size_t size)
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

void send_some(yoke_endpoint *end, size_t size, int64_t timeout_ns)
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

void receive(yoke_endpoint *end, size_t capacity, int64_t timeout_ns)
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

void inspect(const char *address)
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

int open_end(const struct subject *subject, int which, yoke_endpoint **ret)
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

void attack_endpoint(const struct subject *subject, struct input *input)
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
