/*
 * signals.c - sending signals. See signals.h.
 *
 * Whom this process sends to it keeps open, up to TARGETS peers, so that a signal costs what a
 * message costs, and one question to the kernel: does the receiver live? That is asked before each,
 * so a target whose receiver is gone is found out at the next signal, and looked for anew by name.
 *
 * The kept ones are shared by all threads, under the process-wide mutex; `users` are threads that
 * are sending by it just now. A forked child goes on with what it inherited, as a participant of its
 * own, and forgets its parent's threads.
 */
#include "signals.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/sys.h"
#include "peer.h"
#include "peer_lock.h"
#include "place.h"
#include "port.h"
#include "signal_socket.h"

#define TARGETS 16
#define TRIES   4 /* the receiver may be replaced while one looks for it */

struct target {
    union {
        struct yk_port port;
        struct yk_signal_socket socket;
        yoke_endpoint far; /* self and operations */
    };
    struct yk_signal_address address;
    char directory[256]; /* the name directory that it was found in; across machines: "" */
    uint32_t users;      /* this and all below under the process-wide mutex */
    uint64_t used;       /* when last, by counting */
    bool kept;           /* in `targets` */
};

static struct target *targets[TARGETS];
static uint64_t turns, fork_stamp;

/* ---- addresses ---- */

int yk_signal_address_parse(const char *text, struct yk_signal_address *ret)
{
    struct yk_signal_address parsed = {.kernel = false};
    struct yk_address address;
    if (!text)
        return yk_fail(EINVAL, "whom to signal is NULL: peer:bob would name somebody");
    const char *name = strncmp(text, "peer:", 5) == 0 ? text + 5 : text;
    const char *place = strchr(name, '@');
    size_t length = place ? (size_t)(place - name) : strlen(name);
    if (length >= sizeof parsed.name)
        return yk_fail(EINVAL, "the name '%.20s…' is longer than %d bytes", name,
                       YOKE_PEER_NAME_MAX);
    memcpy(parsed.name, name, length);
    if (strchr(parsed.name, ':') && name == text)
        return yk_fail(EINVAL, "'%.160s' does not name a peer: peer:bob would", parsed.name);
    int result = yk_name_check(YK_KIND_PEER, parsed.name);
    parsed.kernel = place && strcmp(place, "@kernel") == 0;
    if (result == 0 && !parsed.kernel) {
        result = yk_address_parse_peer(name, &address);
        parsed.place = result == 0 ? address.place : NULL;
    }
    if (parsed.place)
        strcpy(parsed.where, address.where);
    if (result == 0)
        *ret = parsed;
    return result;
}

/* ---- a target ---- */

static void close_target(struct target *target)
{
    if (target->address.place)
        target->far.operations->close(target->far.self);
    else if (target->address.kernel)
        yk_signal_socket_lose(&target->socket);
    else
        yk_port_close(&target->port);
    free(target);
}

/*
 * The slot's owner holds the byte through a description of its own, also where that is this very
 * process.
 */
static int has_owner(struct yk_object *object)
{
    uint64_t word = yk_load_acquire(&yk_object_slot(object, YK_SIGNALS_OWNER)->word);
    if ((word & 1) == 0) /* SYNC slot.claim acquire */
        return 0;
    return yk_sys_byte_is_locked(object->lock.fd, YK_LIFE_BYTE(YK_SIGNALS_OWNER), 1);
}

/* 1, 0, or why it can not be told. */
static int lives(struct target *target)
{
    if (target->address.place)
        return 1; /* else sending says -ESTALE: the question goes as far as the signal */
    if (target->address.kernel)
        return yk_signal_socket_lives(&target->socket);
    return yk_object_enter(&target->port.object) == 0 ? has_owner(&target->port.object) : 0;
}

/* In a shared directory anybody could make an object of that name. */
static int check_owner(const struct target *target, const struct yk_directory *directory,
                       const struct yk_record *peer)
{
    char entry[YK_ENTRY_MAX];
    const char *name = target->address.name;
    struct yk_record record;
    yk_name_entry(entry, YK_KIND_SIGNALS, name);
    int result = yk_record_read(directory, entry, &record);
    if (result == -ENOENT || (result == 0 && record.nonce != target->port.object.fixed.nonce))
        return -ESTALE;
    if (result == 0 && record.uid != peer->uid && record.uid != 0)
        return yk_fail(EACCES,
                       "signals:%s was made by uid %u, and peer:%s by uid %u: it is another's",
                       name, record.uid, name, peer->uid);
    if (result == 0 && target->port.ring.geometry.max_message != sizeof(struct yk_signal_packet))
        return yk_fail(EPROTO, "signals:%s takes messages of another size than yoke's", name);
    return result;
}

static int find_in_memory(struct target *target, const struct yk_directory *directory)
{
    static const struct yoke_options defaults = YOKE_OPTIONS_INIT;
    struct yk_record peer;
    const char *name = target->address.name;
    int lock_file = yk_peer_open_lock(directory, name, &peer);
    if (lock_file < 0)
        return lock_file;
    yk_sys_close(lock_file);
    int result =
        yk_port_open_as(&target->port, YK_KIND_SIGNALS, YK_NOT_FIRST_SEAT, name, 0, &defaults);
    if (result == -ENOENT && yk_signal_socket_is_there(directory, &peer))
        return yk_fail(ENOTSUP, "peer:%s takes its signals in the kernel: send to peer:%s@kernel",
                       name, name);
    if (result == -ENOENT)
        return yk_fail(ENOTSUP,
                       "peer:%s takes no signals in memory: it has not called yoke_signals_open()",
                       name);
    if (result == -EACCES)
        return yk_fail(EACCES, "no permission to send signals to peer:%s", name);
    if (result < 0)
        return result;
    result = has_owner(&target->port.object) ? check_owner(target, directory, &peer) : -ESTALE;
    if (result < 0)
        yk_port_close(&target->port);
    return result;
}

static int find_far(struct target *target)
{
    static const struct yoke_options defaults = YOKE_OPTIONS_INIT;
    const struct yk_signal_address *wanted = &target->address;
    struct yk_address address = {.kind = YK_KIND_SIGNALS, .place = wanted->place, .whole = true};
    strcpy(address.name, wanted->name);
    strcpy(address.where, wanted->where);
    return wanted->place->open(&target->far, &address, 0, &defaults);
}

/* -ESTALE: whoever was found is not there any more; look again. */
static int find(struct target *target)
{
    struct yk_directory directory;
    if (target->address.place)
        return find_far(target);
    int result = yk_directory_open(&directory, target->directory, true);
    if (result == -ENOENT)
        return yk_fail(ENOENT, "nobody is peer:%s", target->address.name);
    if (result < 0)
        return result;
    result = target->address.kernel
                 ? yk_signal_socket_find(&target->socket, &directory, target->address.name)
                 : find_in_memory(target, &directory);
    yk_directory_close(&directory);
    return result;
}

static int open_target(struct target **ret, const struct yk_signal_address *address,
                       const char *directory)
{
    /* apart from all else that other threads write */
    struct target *target = yk_sys_allocate_aligned(128, (sizeof *target + 127) / 128 * 128);
    if (!target)
        return yk_fail(ENOMEM, "no memory to send a signal to peer:%s", address->name);
    memset(target, 0, sizeof *target);
    target->address = *address;
    strcpy(target->directory, directory);
    int result = find(target);
    if (result < 0)
        free(target);
    else
        *ret = target;
    return result;
}

/* ---- the kept ones: all of this under the process-wide mutex ---- */

static void forget_parents_threads(void)
{
    if (fork_stamp == yk_fork_stamp())
        return;
    fork_stamp = yk_fork_stamp();
    for (int i = 0; i < TARGETS; i++) {
        if (targets[i])
            targets[i]->users = 0;
    }
}

static struct target *find_kept(const struct yk_signal_address *address, const char *directory)
{
    for (int i = 0; i < TARGETS; i++) {
        struct target *target = targets[i];
        if (target && target->address.kernel == address->kernel &&
            strcmp(target->address.name, address->name) == 0 &&
            strcmp(target->address.where, address->where) == 0 &&
            strcmp(target->directory, directory) == 0)
            return target;
    }
    return NULL;
}

/* In the place of the one that was not used for longest, which is returned, if there was one. */
static struct target *keep(struct target *target)
{
    int best = -1;
    for (int i = 0; i < TARGETS; i++) {
        bool better =
            best < 0 || !targets[i] || (targets[best] && targets[i]->used < targets[best]->used);
        if ((!targets[i] || targets[i]->users == 0) && better)
            best = i;
    }
    if (best < 0)
        return NULL; /* all are in use: this one is closed after its use */
    struct target *old = targets[best];
    if (old)
        old->kept = false;
    targets[best] = target;
    target->kept = true;
    return old;
}

static void drop(struct target *target)
{
    for (int i = 0; i < TARGETS; i++) {
        if (targets[i] == target)
            targets[i] = NULL;
    }
    target->kept = false;
}

/* ---- taking and giving back ---- */

static struct target *take_kept(const struct yk_signal_address *address, const char *directory)
{
    yk_process_lock();
    forget_parents_threads();
    struct target *target = find_kept(address, directory);
    if (target) {
        target->users++;
        target->used = ++turns;
    }
    yk_process_unlock();
    return target;
}

/* With `stale` nobody takes it any more; who gives it back last closes it. */
static void give_back(struct target *target, bool stale)
{
    yk_process_lock();
    if (stale && target->kept)
        drop(target);
    bool unused = --target->users == 0 && !target->kept;
    yk_process_unlock();
    if (unused)
        close_target(target);
}

/* A new one is kept, unless another thread was faster, whose one is as good. */
static int take_new(struct target **ret, const struct yk_signal_address *address,
                    const char *directory)
{
    struct target *old = NULL, *target = NULL;
    int result = open_target(&target, address, directory);
    if (result < 0)
        return result;
    yk_process_lock();
    target->users = 1;
    target->used = ++turns;
    if (!find_kept(address, directory))
        old = keep(target);
    yk_process_unlock();
    if (old)
        close_target(old);
    *ret = target;
    return 0;
}

/* ---- sending ---- */

static int send_in_memory(struct target *target, const struct yk_signal_packet *packet)
{
    ssize_t sent = yk_port_send(&target->port, packet, sizeof *packet, YOKE_NOW);
    if (sent == -EAGAIN)
        return yk_fail(EAGAIN,
                       "as many signals wait for peer:%s as its inbox was opened for (depth %u): "
                       "it does not receive them",
                       target->address.name, target->port.ring.geometry.depth);
    return (int)sent;
}

static int send_far(struct target *target, const struct yk_signal_packet *packet)
{
    union { /* it is only read */
        const void *given;
        void *data;
    } bytes = {packet};
    struct yoke_message message = {.data = bytes.data, .size = sizeof *packet};
    ssize_t sent = target->far.operations->send_many(target->far.self, &message, 1, YOKE_NOW);
    return sent < 0 ? (int)sent : 0;
}

/* -ESTALE: its receiver is gone. */
static int send_to(struct target *target, const struct yk_signal_packet *packet)
{
    int alive = lives(target);
    if (alive < 0)
        return yk_fail(-alive, "whether peer:%s lives can not be told: %s", target->address.name,
                       strerror(-alive));
    if (alive == 0)
        return -ESTALE;
    if (target->address.place)
        return send_far(target, packet);
    return target->address.kernel
               ? yk_signal_socket_send(&target->socket, target->address.name, packet)
               : send_in_memory(target, packet);
}

static int send_packet(const struct yk_signal_address *address,
                       const struct yk_signal_packet *packet)
{
    char directory[256] = "";
    if (!address->place)
        yk_directory_path(directory);
    for (int attempt = 0; attempt < TRIES; attempt++) {
        struct target *target = take_kept(address, directory);
        int result = target ? 0 : take_new(&target, address, directory);
        if (result == 0) {
            result = send_to(target, packet);
            give_back(target, result == -ESTALE);
        }
        if (result != -ESTALE)
            return result;
    }
    /* the peer lives, and what is there was left by an earlier owner of its name */
    return yk_fail(ENOTSUP, "peer:%s takes no signals now: it has closed its inbox, or is new",
                   address->name);
}

YOKE_API int yoke_signal_send(yoke_peer *from, const char *to, uint32_t number, uint64_t value)
{
    struct yk_signal_packet packet = {.value = value, .number = number};
    struct yk_signal_address address;
    const char *name = "";
    int result = yk_signal_address_parse(to, &address);
    if (result == 0)
        result = yk_fork_init();
    if (result == 0 && from)
        result = yk_peer_name(from, &name);
    if (result < 0)
        return result;
    if (address.kernel) /* a name elsewhere is proven by nothing here */
        packet.proof = from && !from->elsewhere ? from->peer->object.lock.fd : -1;
    else
        packet.uid = yk_sys_effective_uid();
    /* without its end when it is of full length */
    memcpy(packet.sender, name, strnlen(name, sizeof packet.sender));
    return send_packet(&address, &packet);
}
