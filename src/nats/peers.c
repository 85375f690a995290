/*
 * peers.c - who is there, in a place: joining without a link, waiting for others to come and go, and all of them; and
 * who waits for a peer's links.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "api.h"
#include "fork.h"
#include "peer.h"

#define LOOK_NS (100 * YK_MILLISECOND_NS) /* between two looks whether somebody came or went */

struct handle {
    unsigned forks; /* as yk_nats_forks() in the process that joined */
    struct yk_nats_peer *peer;
    int cancel;            /* an eventfd: readable once it is left */
    pthread_mutex_t mutex; /* of the rest */
    pthread_cond_t left;
    unsigned inside; /* calls */
};

/* In the process that it is used in. */
static int handle_start(struct handle *handle, struct yk_hub *hub, const char *name)
{
    int cancel = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    if (cancel < 0)
        return yk_fail(errno, "no descriptor for a peer: %s", strerror(errno));
    int result = yk_nats_peer_hold(&handle->peer, hub, name);
    if (result < 0) {
        close(cancel);
        return result;
    }
    handle->cancel = cancel;
    handle->inside = 0;
    pthread_mutex_init(&handle->mutex, NULL);
    pthread_cond_init(&handle->left, NULL);
    handle->forks = yk_nats_forks();
    return 0;
}

static int join(void **ret_peer, const char *where, const char *name)
{
    YK_KEEP_ERRNO;
    struct handle *handle = calloc(1, sizeof *handle);
    struct yk_hub *hub;

    if (!handle)
        return yk_fail(ENOMEM, "no memory for a peer");
    int result = yk_hub_get(&hub, where);
    if (result == 0) {
        result = handle_start(handle, hub, name);
        if (result < 0)
            yk_hub_put(hub);
    }
    if (result < 0) {
        free(handle);
        return result;
    }
    *ret_peer = handle;
    return 0;
}

static void leave(void *peer)
{
    YK_KEEP_ERRNO;
    struct handle *handle = peer;

    if (handle->forks == yk_nats_forks()) { /* else it is the parent's */
        struct yk_hub *hub = handle->peer->line.hub;
        yk_nats_ring(handle->cancel);
        pthread_mutex_lock(&handle->mutex);
        while (handle->inside > 0)
            pthread_cond_wait(&handle->left, &handle->mutex);
        pthread_mutex_unlock(&handle->mutex);
        yk_nats_peer_drop(handle->peer);
        yk_hub_put(hub);
        pthread_cond_destroy(&handle->left);
        pthread_mutex_destroy(&handle->mutex);
    }
    close(handle->cancel);
    free(handle);
}

/* ---- waiting for links ----------------------------------------------------------------------- */

/* A child is no peer by what it inherited: it joins, which its parent may stand in the way of. */
static int rejoin(struct handle *handle)
{
    struct yk_nats_peer *parents = handle->peer;
    int inherited = handle->cancel;
    struct yk_hub *hub;
    int result = yk_hub_get(&hub, parents->line.hub->place);

    if (result < 0)
        return result;
    result = handle_start(handle, hub, parents->name);
    if (result < 0) {
        yk_hub_put(hub);
        return result;
    }
    close(inherited);
    yk_nats_peer_forget_waiting(parents);
    return 0;
}

static int begin(struct handle *handle)
{
    int result = 0;

    if (handle->forks != yk_nats_forks()) {
        pthread_mutex_lock(&yk_nats_reopening);
        if (handle->forks != yk_nats_forks())
            result = rejoin(handle);
        pthread_mutex_unlock(&yk_nats_reopening);
    }
    if (result < 0)
        return result;
    pthread_mutex_lock(&handle->mutex);
    handle->inside++;
    pthread_mutex_unlock(&handle->mutex);
    return 0;
}

static void end(struct handle *handle)
{
    pthread_mutex_lock(&handle->mutex);
    if (--handle->inside == 0)
        pthread_cond_broadcast(&handle->left);
    pthread_mutex_unlock(&handle->mutex);
}

static int next(void *peer, yoke_endpoint *fresh, yoke_endpoint **ret_ready, int64_t timeout_ns)
{
    YK_KEEP_ERRNO;
    struct handle *handle = peer;
    int result = begin(handle);

    if (result < 0)
        return result;
    result = yk_nats_peer_serve(handle->peer);
    if (result == 0)
        result = yk_nats_peer_next(handle->peer, handle->cancel, fresh, ret_ready, timeout_ns);
    end(handle);
    return result;
}

static int descriptor(void *peer)
{
    YK_KEEP_ERRNO;
    struct handle *handle = peer;
    int result = begin(handle);

    if (result < 0)
        return result;
    result = yk_nats_peer_serve(handle->peer);
    if (result == 0) {
        result = handle->peer->bell;
        yk_nats_ring(result); /* whoever asks first learns what is there */
    }
    end(handle);
    return result;
}

/* ---- waiting --------------------------------------------------------------------------------- */

void yk_nats_peer_read_owner(const char *data, size_t size, char owner[YK_HERE_OWNER])
{
    json_t *said = json_loadb(data, size, 0, NULL);
    const char *text = json_string_value(json_object_get(said, "owner"));

    snprintf(owner, YK_HERE_OWNER, "%s", text && text[0] ? text : "?");
    json_decref(said);
}

int yk_nats_peer_owner(struct yk_hub *hub, const char *name, char owner[YK_HERE_OWNER])
{
    char token[YK_NATS_TOKEN_MOST], subject[YK_NATS_SUBJECT_MOST];
    uint64_t sequence;
    natsMsg *message;

    yk_nats_encode(token, name);
    snprintf(subject, sizeof subject, "%s.here." YK_PEER ".%s", hub->where.prefix, token);
    int result = yk_nats_last_word(hub, "here", subject, &sequence, &message);
    owner[0] = '\0';
    if (result < 0 || !message)
        return result;
    yk_nats_peer_read_owner(natsMsg_GetData(message), (size_t)natsMsg_GetDataLength(message),
                            owner);
    natsMsg_Destroy(message);
    return 0;
}

/* Does `now` answer what is waited for, where `first` had the name when that began? */
static bool is_so(uint32_t what, const char *first, const char *now)
{
    return what == YOKE_PEER_HERE ? now[0] != '\0' : now[0] == '\0' || strcmp(first, now) != 0;
}

static int pause_until(int64_t deadline)
{
    int64_t now = yk_nats_now(), time = deadline - now < LOOK_NS ? deadline - now : LOOK_NS;

    if (time <= 0)
        return -ETIMEDOUT;
    return nanosleep(&(struct timespec){.tv_nsec = time}, NULL) < 0 ? -EINTR : 0;
}

static int await(struct yk_hub *hub, const char *name, uint32_t what, int64_t timeout_ns)
{
    int64_t deadline = yk_nats_deadline(timeout_ns);
    char first[YK_HERE_OWNER], now[YK_HERE_OWNER];
    int result = yk_nats_peer_owner(hub, name, first);

    strcpy(now, first);
    while (result == 0 && !is_so(what, first, now)) {
        result = timeout_ns == 0 ? -EAGAIN : pause_until(deadline);
        if (result == 0)
            result = yk_nats_peer_owner(hub, name, now);
    }
    return result;
}

static int wait_for_peer(const char *where, const char *name, uint32_t what, int64_t timeout_ns)
{
    YK_KEEP_ERRNO;
    struct yk_hub *hub;
    int result = yk_hub_get(&hub, where);

    if (result < 0)
        return result;
    result = await(hub, name, what, timeout_ns);
    yk_hub_put(hub);
    return result;
}

/* ---- all of them ----------------------------------------------------------------------------- */

/* "PREFIX.here.peer.NAME"; its process and user are as it says itself. */
static bool read_info(const struct yk_stored *stored, size_t prefix, struct yoke_peer_info *ret)
{
    char name[YK_ENTRY_MAX];

    if (strlen(stored->subject) <= prefix || !yk_nats_decode(name, stored->subject + prefix) ||
        strlen(name) > YOKE_PEER_NAME_MAX)
        return false;
    json_t *said = json_loadb((const char *)stored->data, stored->size, 0, NULL);
    *ret = (struct yoke_peer_info){
        .pid = (int32_t)json_integer_value(json_object_get(said, "pid")),
        .uid = (uint32_t)json_integer_value(json_object_get(said, "uid")),
        .joined_ns = json_integer_value(json_object_get(said, "since")),
    };
    strcpy(ret->name, name);
    json_decref(said);
    return true;
}

/* Those that were met so far: who says once more that he is there, meanwhile, is met again. */
struct met {
    char (*names)[YOKE_PEER_NAME_MAX + 1]; /* owned */
    size_t count, room;
};

static bool was_met(const struct met *met, const char *name)
{
    for (size_t i = 0; i < met->count; i++)
        if (strcmp(met->names[i], name) == 0)
            return true;
    return false;
}

static int note_met(struct met *met, const char *name)
{
    if (met->count == met->room) {
        size_t room = met->room ? 2 * met->room : 16;
        void *names = realloc(met->names, room * sizeof *met->names);
        if (!names)
            return yk_fail(ENOMEM, "no memory for a list of peers");
        met->names = names;
        met->room = room;
    }
    strcpy(met->names[met->count++], name);
    return 0;
}

static ssize_t list_all(struct yk_hub *hub, struct yoke_peer_info *infos, size_t capacity)
{
    char stream[YK_NATS_PREFIX_MOST + 8], filter[YK_NATS_PREFIX_MOST + 32];
    struct met met = {.names = NULL};
    struct yk_stored stored;
    uint64_t from = 1;
    int result;

    snprintf(stream, sizeof stream, "%s-here", hub->where.prefix);
    int prefix = snprintf(filter, sizeof filter, "%s.here." YK_PEER ".*", hub->where.prefix) - 1;
    while ((result = yk_api_next(hub, stream, from, filter, &stored)) == 1) {
        struct yoke_peer_info info;
        from = stored.sequence + 1;
        bool is_new = read_info(&stored, (size_t)prefix, &info) && !was_met(&met, info.name);
        yk_stored_fini(&stored);
        if (is_new && met.count < capacity)
            infos[met.count] = info;
        result = is_new ? note_met(&met, info.name) : 0;
        if (result < 0)
            break;
    }
    free(met.names);
    return result < 0 && result != -ENOENT ? result : (ssize_t)met.count;
}

static ssize_t list(const char *where, struct yoke_peer_info *infos, size_t capacity)
{
    YK_KEEP_ERRNO;
    struct yk_hub *hub;
    int result = yk_hub_get(&hub, where);

    if (result < 0)
        return result;
    ssize_t count = list_all(hub, infos, capacity);
    yk_hub_put(hub);
    return count;
}

const struct yk_place_peers yk_nats_peers = {
    .join = join,
    .leave = leave,
    .wait = wait_for_peer,
    .list = list,
    .next = next,
    .fd = descriptor,
};
