/*
 * queue.c - see queue.h.
 */
#include "memory/queue.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/sys.h"

/* As mqueue_get_inode() in Linux counts on 64 bits: two structs for each message. */
#define KERNEL_BYTES 96

uint64_t yk_queue_bytes(uint64_t depth, uint64_t message_size)
{
    return depth * (message_size + KERNEL_BYTES);
}

int yk_queue_count(uint32_t kind)
{
    return kind == YK_KIND_LINK ? 2 : 1;
}

void yk_queue_name(char name[YK_QUEUE_NAME], const struct yk_directory *directory, uint64_t nonce,
                   int number)
{
    snprintf(name, YK_QUEUE_NAME, "/yoke-%016" PRIx64 "-%" PRIx64 ".%" PRIx64 "-%d", nonce,
             directory->dev, directory->ino, number);
}

bool yk_queue_parse(const char *text, const struct yk_directory *directory, uint64_t *ret_nonce)
{
    uint64_t nonce;
    char name[YK_QUEUE_NAME];
    int saved = errno; /* which sscanf() changes */
    bool numbered = sscanf(text, "yoke-%16" SCNx64, &nonce) == 1;
    errno = saved;
    if (!numbered)
        return false;
    for (int i = 0; i < YK_QUEUES_MAX; i++) {
        yk_queue_name(name, directory, nonce, i);
        if (strcmp(name + 1, text) == 0) {
            *ret_nonce = nonce;
            return true;
        }
    }
    return false;
}

/* Whose queue that is: 0 and its owner, -ENOENT, or another error. */
static int look_at_owner(const char *name, uint32_t *ret_uid)
{
    struct stat facts;
    int fd = yk_sys_queue_open(name, O_RDONLY);
    if (fd < 0)
        return fd;
    int result = yk_sys_stat(fd, &facts);
    yk_sys_close(fd);
    if (result == 0)
        *ret_uid = facts.st_uid;
    return result;
}

int yk_queues_exist(const struct yk_directory *directory, const struct yk_record *record)
{
    char name[YK_QUEUE_NAME];
    uint32_t uid = 0;
    for (int i = 0; i < yk_queue_count(record->kind); i++) {
        yk_queue_name(name, directory, record->nonce, i);
        int result = look_at_owner(name, &uid);
        if (result < 0)
            return result == -ENOENT ? 0 : result;
        if (uid != record->uid)
            return 0;
    }
    return 1;
}

/* What is written in a record of one's own is trusted; in another user's, root looks first. */
static int retire_queue(const char *name, uint32_t uid)
{
    uint32_t owner = uid;
    int result = uid == yk_sys_effective_uid() ? 0 : look_at_owner(name, &owner);
    if (result == 0 && owner == uid)
        result = yk_sys_queue_unlink(name);
    /* its owner and root may do all this: a refusal says that it is somebody else's */
    return result == -ENOENT || result == -EACCES || result == -EPERM ? 0 : result;
}

int yk_queues_retire(const struct yk_directory *directory, const struct yk_record *record)
{
    char name[YK_QUEUE_NAME];
    int first_error = 0;
    for (int i = 0; i < yk_queue_count(record->kind); i++) {
        yk_queue_name(name, directory, record->nonce, i);
        int result = retire_queue(name, record->uid);
        if (first_error == 0)
            first_error = result;
    }
    return first_error;
}
