/*
 * kernel_look.c - looking at an object of the kernel place from outside: what the kernel says of its
 * queues, and whose locks its lock file carries. The kernel counts what waits, not what went through.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/error.h"
#include "base/sys.h"
#include "kernel.h"

static int look_at_queue(const struct yk_directory *directory, const struct yk_record *record,
                         int number, struct yk_object_facts *facts)
{
    char name[YK_QUEUE_NAME];
    struct yk_sys_queue queue;
    struct stat file;
    yk_queue_name(name, directory, record->nonce, number);
    int fd = yk_sys_queue_open(name, O_RDONLY);
    if (fd == -EACCES)
        return yk_fail(EACCES, "no permission to look at its message queue: it belongs to uid %u",
                       record->uid);
    int result = fd < 0 ? fd : yk_sys_queue_look(fd, &queue);
    if (result == 0)
        result = yk_sys_stat(fd, &file);
    if (fd >= 0)
        yk_sys_close(fd);
    if (result < 0)
        return yk_fail(-result, "its message queue can not be looked at: %s", strerror(-result));
    facts->waiting += queue.waiting;
    facts->ways[number].waiting = queue.waiting; /* of a link: by the number of who sends */
    facts->depth = (uint32_t)queue.depth;
    facts->max_message =
        queue.message_size > yk_channel_header ? queue.message_size - yk_channel_header : 0;
    facts->memory_used += yk_queue_bytes(queue.depth, queue.message_size);
    facts->mode = file.st_mode & 0777;
    return 0;
}

static int look_at_users(const struct yk_directory *directory, const struct yk_record *record,
                         struct yk_object_facts *facts, struct yk_participant_facts *people,
                         size_t *count)
{
    char path[48];
    yk_live_path(path, record->nonce);
    int fd = yk_sys_open(directory->fd, path, O_RDONLY, 0);
    if (fd < 0)
        return yk_fail(-fd, "its lock file can not be looked at: %s", strerror(-fd));
    for (uint32_t i = 0; i < record->participants && i < YOKE_PARTICIPANTS_MAX; i++) {
        if (yk_sys_byte_is_locked(fd, YK_LIFE_BYTE(i), 1) != 1)
            continue;
        facts->participants_used++;
        if (!people)
            continue;
        int32_t pid = yk_lock_holder(fd, YK_LIFE_BYTE(i));
        people[(*count)++] =
            (struct yk_participant_facts){.slot = i, .pid = pid, .alive = true, .proven = pid > 0};
    }
    yk_sys_close(fd);
    return 0;
}

int yk_kernel_look(const struct yk_directory *directory, const struct yk_record *record,
                   struct yk_object_facts *facts, struct yk_participant_facts *people,
                   size_t *count)
{
    int result = 0;
    facts->created_ns = record->written_ns;
    facts->participants_max = record->participants;
    facts->priorities = record->priorities;
    facts->max_deliveries = 1;
    facts->once = true;
    facts->known |= YK_KNOWN_HEADER;
    for (int i = 0; i < yk_queue_count(record->kind) && result == 0; i++)
        result = look_at_queue(directory, record, i, facts);
    if (result < 0)
        return result;
    facts->known |= YK_KNOWN_MEMORY;
    result = look_at_users(directory, record, facts, people, count);
    if (result == 0)
        facts->known |= YK_KNOWN_INSIDE;
    return result;
}
