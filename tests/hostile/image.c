/*
 * image.c - inputs, and edits of a hostile peer. See image_fuzz.c.
 */
#include "image.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

char image_directory[400], image_model[1000];
yoke_peer *image_peers[2];

uint8_t next8(struct input *input)
{
    return input->at < input->size ? input->data[input->at++] : 0;
}

uint64_t next_number(struct input *input, unsigned bytes)
{
    uint64_t number = 0;

    while (bytes-- > 0)
        number = number << 8 | next8(input);
    return number;
}

const char *path_of(const char *entry)
{
    static char path[700];

    snprintf(path, sizeof path, "%s/%s", image_directory, entry);
    return path;
}

size_t read_entry(const char *entry, char *text, size_t room)
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

int segment_of(const char *entry)
{
    char text[1000];

    read_entry(entry, text, sizeof text);
    return atoi(strstr(text, "segment=") + strlen("segment="));
}

void write_entry(const char *entry, const void *text, size_t size)
{
    int fd = open(path_of(entry), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    insist(fd >= 0 && write(fd, text, size) == (ssize_t)size, "%s: %s", entry, strerror(errno));
    close(fd);
}

/* Whatever yoke.h says of a call, this is what it may return. */
int64_t known(int64_t result)
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

int64_t must(int64_t result)
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
void edit(const struct subject *subject, struct input *input, uint8_t how)
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

void restore(const struct subject *subject)
{
    if (subject->view)
        memcpy(subject->view, subject->pristine, subject->size);
}
