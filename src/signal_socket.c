/*
 * signal_socket.c - see signal_socket.h.
 */
#include "signal_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/sys.h"
#include "peer_lock.h"

#define DEPTH_FILE "/proc/sys/net/unix/max_dgram_qlen"

uint32_t yk_signal_socket_depth(void)
{
    char text[32] = "";
    int fd = yk_sys_open(AT_FDCWD, DEPTH_FILE, O_RDONLY, 0);
    if (fd < 0)
        return 0;
    yk_sys_read_all(fd, text, sizeof text - 1, 0);
    yk_sys_close(fd);
    return (uint32_t)strtoul(text, NULL, 10);
}

/* ---- sending ---- */

/* Another build's packets are others. */
static int check_layout(const char *name, const struct yk_record *record)
{
    char entry[YK_ENTRY_MAX];
    yk_name_entry(entry, YK_KIND_PEER, name);
    return yk_layout_check(yk_entry_address(entry), record->layout, YK_LAYOUT);
}

int yk_signal_socket_find(struct yk_signal_socket *ret, const struct yk_directory *directory,
                          const char *name)
{
    struct yk_record record;
    struct yk_signal_socket found;
    int result = yk_directory_open(&found.directory, directory->path, true);
    if (result < 0)
        return result;
    found.lock_file = result = yk_peer_open_lock(&found.directory, name, &record);
    if (result >= 0)
        result = check_layout(name, &record);
    if (result < 0) {
        if (found.lock_file >= 0)
            yk_sys_close(found.lock_file);
        yk_directory_close(&found.directory);
        return result;
    }
    found.uid = record.uid;
    yk_socket_path(found.path, record.nonce);
    *ret = found;
    return 0;
}

void yk_signal_socket_lose(struct yk_signal_socket *target)
{
    yk_sys_close(target->lock_file);
    yk_directory_close(&target->directory);
}

int yk_signal_socket_lives(const struct yk_signal_socket *target)
{
    return yk_sys_byte_is_locked(target->lock_file, YK_LIFE_BYTE(0), 1);
}

/* This process's, for all that it sends. A child sends by the inherited one, as itself. */
static int sender_socket(void)
{
    static yk_atomic32 made; /* the descriptor plus 1 */
    uint32_t none = 0, known = yk_load32_acquire(&made);
    if (known != 0)
        return (int)known - 1;
    int fd = yk_sys_datagram_socket();
    if (fd < 0)
        return yk_fail(-fd, "no socket to send signals by: %s", strerror(-fd));
    if (yk_cas32_seq(&made, &none, (uint32_t)fd + 1))
        return fd;
    yk_sys_close(fd);
    return (int)none - 1;
}

/* Nobody but the peer's owner can have made the file: in a shared directory another user might. */
/* 0, or a negative errno: -ENOENT where what lies there is somebody else's, or no socket. */
static int check_theirs(const struct yk_directory *directory, const char *path, uint32_t uid,
                        struct stat *facts)
{
    int result = yk_sys_stat_at(directory->fd, path, facts);
    bool theirs =
        result == 0 && S_ISSOCK(facts->st_mode) && (facts->st_uid == uid || facts->st_uid == 0);
    return result < 0 || theirs ? result : -ENOENT;
}

static int explain_send(int error, const char *name)
{
    switch (error) {
    case -ENOENT:
    case -ECONNREFUSED:
        return yk_fail(ENOTSUP,
                       "peer:%s takes no signals in the kernel: it has not called "
                       "yoke_signals_open() with YOKE_SIGNALS_KERNEL",
                       name);
    case -EAGAIN:
        return yk_fail(EAGAIN,
                       "as many signals wait for peer:%s as the kernel holds "
                       "(net.unix.max_dgram_qlen is %u)",
                       name, yk_signal_socket_depth());
    case -EACCES:
        return yk_fail(EACCES, "no permission to send signals to peer:%s@kernel", name);
    case -ENOBUFS:
    case -ENOMEM:
        return yk_fail(ENOMEM, "the kernel has no memory for a signal to peer:%s", name);
    default:
        return yk_fail(-error, "a signal to peer:%s can not be sent by the kernel: %s", name,
                       strerror(-error));
    }
}

int yk_signal_socket_send(const struct yk_signal_socket *target, const char *name,
                          const struct yk_signal_packet *packet)
{
    int fd = sender_socket();
    if (fd < 0)
        return fd;
    struct stat facts;
    int result = check_theirs(&target->directory, target->path, target->uid, &facts);
    if (result == 0)
        result =
            yk_sys_datagram_send(fd, target->directory.fd, target->path, packet, sizeof *packet);
    return result < 0 ? explain_send(result, name) : 0;
}

/* ---- the peer's own ---- */

/* The socket's file belongs to this process's user; senders look for that of the name's file. */
static int check_owner(const struct yk_directory *directory, const struct yk_peer *peer)
{
    char entry[YK_ENTRY_MAX];
    struct yk_record record;
    uint32_t me = yk_sys_effective_uid();
    yk_name_entry(entry, YK_KIND_PEER, peer->object.fixed.name);
    int result = yk_record_read(directory, entry, &record);
    if (result == 0 && record.uid != me && me != 0)
        return yk_fail(EACCES, "peer:%s was named by uid %u, and this process is uid %u",
                       peer->object.fixed.name, record.uid, me);
    return result;
}

static int make(struct yk_guarded_fd *ret, const struct yk_directory *directory,
                const struct yk_peer *peer, const struct yoke_options *options)
{
    char path[48];
    uint32_t mode = options->mode ? options->mode : 0600;
    int result = check_owner(directory, peer);
    if (result < 0)
        return result;
    yk_socket_path(path, peer->object.fixed.nonce);
    yk_sys_unlink(directory->fd, path); /* an earlier owner's of this name */
    yk_guards_lock();
    int fd = yk_sys_datagram_bind(directory->fd, path, mode & 0222, options->group);
    if (fd >= 0)
        ret->fd = fd;
    yk_guards_unlock();
    if (fd >= 0)
        return 0;
    yk_sys_unlink(directory->fd, path);
    return yk_fail(-fd, "the socket %s/%s can not be made: %s", directory->path, path,
                   fd == -ENOENT ? "that takes /proc" : strerror(-fd));
}

int yk_signal_socket_make(struct yk_guarded_fd *ret, const struct yk_peer *peer,
                          const struct yoke_options *options)
{
    struct yk_directory directory;
    uint32_t depth = yk_signal_socket_depth();
    if (depth > 0 && options->depth > depth)
        return yk_fail(ENOTSUP,
                       "%u signals waiting are more than the kernel holds: "
                       "net.unix.max_dgram_qlen is %u",
                       options->depth, depth);
    int result = yk_directory_open(&directory, peer->object.directory, true);
    if (result < 0)
        return result;
    yk_guard(ret, -1, false);
    result = make(ret, &directory, peer, options);
    if (result < 0)
        yk_unguard_and_close(ret);
    yk_directory_close(&directory);
    return result;
}

void yk_signal_socket_remove(struct yk_guarded_fd *socket, const struct yk_peer *peer)
{
    struct yk_directory directory;
    char path[48];
    bool own = socket->fd >= 0; /* not in a forked child */
    yk_unguard_and_close(socket);
    if (!own || yk_directory_open(&directory, peer->object.directory, true) < 0)
        return;
    yk_socket_path(path, peer->object.fixed.nonce);
    yk_sys_unlink(directory.fd, path);
    yk_directory_close(&directory);
}

/* ---- from outside ---- */

bool yk_signal_socket_is_there(const struct yk_directory *directory, const struct yk_record *peer)
{
    char path[48];
    struct stat facts;
    yk_socket_path(path, peer->nonce);
    return check_theirs(directory, path, peer->uid, &facts) == 0;
}

static void describe(struct yk_object_facts *facts, const struct stat *file)
{
    facts->known =
        YK_KNOWN_OWNER | YK_KNOWN_NAME | YK_KNOWN_MEMORY | YK_KNOWN_HEADER | YK_KNOWN_INSIDE;
    facts->mode = file->st_mode & 0777;
    facts->uid = file->st_uid;
    facts->gid = file->st_gid;
    facts->created_ns = (int64_t)file->st_mtim.tv_sec * 1000000000 + file->st_mtim.tv_nsec;
    facts->max_message = sizeof(struct yk_signal_packet);
    facts->depth = yk_signal_socket_depth();
    facts->priorities = 1;
    facts->once = true;
    facts->participants_max = facts->participants_used = 1;
    facts->attended = true;
}

int yk_signal_socket_look(const struct yk_directory *directory, const char *name,
                          struct yk_object_facts *facts, struct yk_participant_facts *people,
                          size_t *count)
{
    char path[48];
    struct stat file;
    struct yk_record record;
    int lock_file = yk_peer_open_lock(directory, name, &record);
    if (lock_file < 0)
        return lock_file;
    yk_socket_path(path, record.nonce);
    bool there = check_theirs(directory, path, record.uid, &file) == 0;
    int32_t pid = there && people ? yk_peer_lock_holder(lock_file, 0) : 0;
    yk_sys_close(lock_file);
    if (!there)
        return -ENOENT;
    describe(facts, &file);
    if (people)
        people[(*count)++] =
            (struct yk_participant_facts){.pid = pid, .alive = true, .proven = pid > 0};
    return 0;
}
