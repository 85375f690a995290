/*
 * peer.c - peers: processes under a name.
 *
 * A peer is a shared object like all others, with one seat: whoever has the seat's lock is the
 * peer. The kernel drops that lock at death, so the name is free at that moment, whatever process
 * id its owner had and in whichever PID namespace. There is nothing in the object yet but the seat.
 *
 * Waiting for others to come and go looks at the name directory and at lock files, and is told of
 * changes by inotify: nobody has to do anything for those who watch, and nobody can forget to. Where
 * no inotify instance is to be had (128 for each user, unless told otherwise) it looks every 100 ms.
 */
#include "peer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/sys.h"
#include "doorbell.h"
#include "link.h"
#include "peer_lock.h"
#include "place.h"
#include "set.h"

#define REFUSED_NS INT64_C(100000000)

static struct yk_peer *peers; /* under yk_process_lock() */

/* ---- the object ---- */

static int prepare(struct yk_object *object)
{
    return object->fixed.participants == 1
               ? 0
               : yk_fail(EPROTO, "peer:%s has %u seats: no yoke wrote that", object->fixed.name,
                         object->fixed.participants);
}

static void nothing(struct yk_object *object)
{
    (void)object;
}

/* What a forked child inherited to wait with is its parent's. */
static void joined(struct yk_object *object)
{
    yk_peer_forget_waiting((struct yk_peer *)object);
}

static uint64_t nothing_held(struct yk_object *object, uint32_t slot)
{
    (void)object;
    (void)slot;
    return 0;
}

static const struct yk_kind_operations operations = {
    .prepare = prepare,
    .unprepare = nothing,
    .recover = nothing_held,
    .joined = joined,
};

static int open_peer(struct yk_peer *peer, const char *name, const struct yoke_options *options)
{
    struct yk_object_plan plan = {
        .kind = YK_KIND_PEER,
        .name = name,
        .flags = YOKE_CREATE,
        .mode = options->mode,
        .group = options->group,
        .participants = 1,
        .seat = 0,
        .reserve = true,
        .operations = &operations,
    };
    return yk_object_open(&peer->object, &plan);
}

/* ---- this process's peers ---- */

/* One that a parent joined as is none of ours. */
static bool is_mine(const struct yk_peer *peer)
{
    /* SYNC object.joined acquire */
    return yk_load_acquire(&peer->object.fork_stamp) == yk_fork_stamp();
}

static struct yk_peer *find_mine(const char *name, const char *directory)
{
    for (struct yk_peer *peer = peers; peer; peer = peer->next) {
        if (is_mine(peer) && strcmp(peer->object.fixed.name, name) == 0 &&
            strcmp(peer->object.directory, directory) == 0)
            return peer;
    }
    return NULL;
}

static int hold_locked(struct yk_peer **ret_peer, const char *name,
                       const struct yoke_options *options)
{
    char directory[256];
    yk_directory_path(directory);
    struct yk_peer *peer = find_mine(name, directory);
    if (!peer) {
        peer = yk_sys_allocate(1, sizeof *peer);
        if (!peer)
            return yk_fail(ENOMEM, "no memory for a peer");
        peer->bell.fd = peer->epoll = peer->timer = -1;
        int result = open_peer(peer, name, options);
        if (result < 0) {
            free(peer);
            return result;
        }
        peer->next = peers;
        peers = peer;
    }
    peer->references++;
    *ret_peer = peer;
    return 0;
}

int yk_peer_hold(struct yk_peer **ret_peer, const char *name, const struct yoke_options *options)
{
    int result = yk_fork_init();
    if (result < 0)
        return result;
    yk_process_lock();
    result = hold_locked(ret_peer, name, options);
    yk_process_unlock();
    return result;
}

static void drop_locked(struct yk_peer *peer)
{
    if (--peer->references > 0)
        return;
    for (struct yk_peer **at = &peers; *at; at = &(*at)->next) {
        if (*at == peer) {
            *at = peer->next;
            break;
        }
    }
    yk_peer_end_waiting(peer);
    yk_object_close(&peer->object);
    free(peer->refused);
    free(peer);
}

void yk_peer_drop(struct yk_peer *peer)
{
    yk_process_lock();
    drop_locked(peer);
    yk_process_unlock();
}

static void add_link(struct yk_peer *peer, struct yk_link *link)
{
    link->next = peer->links;
    peer->links = link;
    if (peer->bell.fd >= 0)
        yk_sys_ring(peer->bell.fd, 1); /* something may wait in it: nobody else says so */
}

static void remove_link(struct yk_peer *peer, struct yk_link *link)
{
    for (struct yk_link **at = &peer->links; *at; at = &(*at)->next) {
        if (*at == link) {
            *at = link->next;
            break;
        }
    }
    if (peer->served == link)
        peer->served = NULL;
    if (link->noticed && is_mine(peer))
        yk_notice_end(&link->peers);
    link->noticed = false;
}

void yk_peer_add_link(struct yk_peer *peer, struct yk_link *link)
{
    yk_process_lock();
    add_link(peer, link);
    yk_process_unlock();
}

void yk_peer_remove_link(struct yk_peer *peer, struct yk_link *link)
{
    yk_process_lock();
    remove_link(peer, link);
    yk_process_unlock();
}

/* ---- in a forked child ---- */

/*
 * What was inherited belongs to the parent's peer: the child goes on as a peer of its own. One that
 * it has joined as meanwhile takes the place of the inherited one.
 */
static int enter(struct yk_peer **peer, struct yk_link *link)
{
    if (is_mine(*peer))
        return 0;
    yk_process_lock();
    struct yk_peer *own = find_mine((*peer)->object.fixed.name, (*peer)->object.directory);
    if (own) {
        if (link) {
            remove_link(*peer, link);
            add_link(own, link);
        }
        own->references++;
        drop_locked(*peer);
        *peer = own;
    }
    yk_process_unlock();
    return own ? 0 : yk_object_enter(&(*peer)->object);
}

int yk_peer_enter(struct yk_peer **peer)
{
    return enter(peer, NULL);
}

int yk_peer_enter_link(struct yk_link *link)
{
    return enter(&link->peer, link);
}

/* ---- where it receives signals: one inbox for each peer ---- */

static int open_inbox(struct yk_peer *peer)
{
    if (peer->inbox == yk_fork_stamp())
        return yk_fail(EBUSY, "peer:%s receives signals already: this process has opened its inbox",
                       peer->object.fixed.name);
    peer->inbox = yk_fork_stamp();
    peer->references++;
    return 0;
}

int yk_peer_open_inbox(struct yoke_peer *handle, struct yk_peer **ret_peer)
{
    int result = yk_peer_visit_begin(handle);
    if (result < 0)
        return result;
    yk_process_lock();
    result = open_inbox(handle->peer);
    if (result == 0)
        *ret_peer = handle->peer;
    yk_process_unlock();
    yk_peer_visit_end(handle);
    return result;
}

void yk_peer_close_inbox(struct yk_peer *peer, uint64_t fork_stamp)
{
    yk_process_lock();
    if (peer->inbox == fork_stamp) /* else a child has opened one of its own meanwhile */
        peer->inbox = 0;
    drop_locked(peer);
    yk_process_unlock();
}

/* ---- waiting for something to change in the directory, or with a file ---- */

/* What a wait looks for: 1 it is so, 0 not yet, or an error. */
typedef int (*look_function)(void *context);

struct watching {
    struct yk_watch watch; /* first */
    look_function look;
    void *context;
    yk_atomic32 *cancelled; /* or NULL */
    int bell; /* an eventfd: whoever drains the process's watch rings it; or negative */
};

static void stirred(struct yk_watch *watch, bool written)
{
    const struct watching *watching = (const struct watching *)watch;
    (void)written;
    yk_sys_ring(watching->bell, 1);
}

/* How long to sleep before the next look, at most. */
static int64_t next_slice(struct watching *watching)
{
    bool due = yk_watch_is_due(&watching->watch); /* it has just been looked */
    int64_t again = yk_watch_again(&watching->watch, due);
    return again > 0 && again < YK_SLICE ? again : YK_SLICE;
}

static int watch_until(struct watching *watching, int64_t deadline)
{
    for (;;) {
        yk_watch_drain(); /* before the look: what comes after it is heard */
        if (watching->bell >= 0)
            yk_sys_clear(watching->bell);
        int64_t slice = next_slice(watching);
        int result = watching->look(watching->context);
        if (result != 0)
            return result < 0 ? result : 0;
        if (watching->cancelled && yk_load32_seq(watching->cancelled))
            return -ECANCELED;
        int64_t left = deadline == INT64_MAX ? slice : deadline - yk_now();
        if (left <= 0)
            return -ETIMEDOUT;
        result = yk_sys_poll(watching->bell, yk_watch_descriptor(), left < slice ? left : slice);
        if (result == -EINTR)
            return result;
    }
}

static int watch(look_function look, void *context, yk_atomic32 *cancelled, const char *path,
                 bool names, int64_t timeout_ns)
{
    struct watching watching = {
        .watch.stir = stirred, .look = look, .context = context, .cancelled = cancelled};
    int result = look(context);
    if (result != 0)
        return result < 0 ? result : 0;
    if (timeout_ns == 0)
        return -EAGAIN;
    watching.bell = yk_sys_eventfd();
    if (watching.bell >= 0) /* else it looks now and then, as where nothing can be watched */
        (names ? yk_watch_names : yk_watch_file)(&watching.watch, path);
    result = watch_until(&watching, yk_deadline(timeout_ns));
    yk_watch_end(&watching.watch);
    if (watching.bell >= 0)
        yk_sys_close(watching.bell);
    return result;
}

/* ---- is a peer there? ---- */

/*
 * Whoever looks at an object keeps it alive meanwhile, and may be its last user: then nobody else
 * takes its name away.
 */
static void detach(void *base, const struct yk_directory *directory, const char *entry, int segment,
                   uint64_t nonce)
{
    yk_sys_shm_detach(base);
    if (!yk_segment_exists(segment))
        yk_name_retire(directory, entry, nonce, true, 0);
}

/* One that is there: the object, and which of its owners. */
struct sight {
    struct yk_directory directory;
    char entry[YK_ENTRY_MAX];
    void *base; /* NULL: nobody there */
    int lock_file, segment;
    uint64_t nonce, word;
};

static struct yk_shm_slot *seat_of(void *base)
{
    return (struct yk_shm_slot *)(void *)((unsigned char *)base + YK_PAGE);
}

static bool still_there(const struct sight *sight)
{
    return yk_sys_byte_is_locked(sight->lock_file, YK_LIFE_BYTE(0), 1) != 0 &&
           yk_load_acquire(&seat_of(sight->base)->word) ==
               sight->word; /* SYNC slot.claim acquire */
}

static void lose_sight(struct sight *sight)
{
    if (!sight->base)
        return;
    yk_sys_close(sight->lock_file);
    detach(sight->base, &sight->directory, sight->entry, sight->segment, sight->nonce);
    sight->base = NULL;
}

/* Can its memory be understood, and reached, from here? 0, -ENOENT when it is a dead one's, or why not. */
static int check_reach(const struct sight *sight, const struct yk_record *record)
{
    int foreign = yk_record_is_foreign(record);
    if (foreign < 0 || (!foreign && record->layout == YK_LAYOUT))
        return foreign;
    if (yk_record_is_dead(&sight->directory, record, true) == 1)
        return -ENOENT;
    return foreign ? yk_record_refuse_foreign(sight->entry, record)
                   : yk_layout_check(yk_entry_address(sight->entry), record->layout, YK_LAYOUT);
}

static int open_sight(struct sight *sight, const struct yk_record *record)
{
    char path[48];
    uint64_t size;
    struct yk_shm_fixed fixed;
    int result = check_reach(sight, record);
    if (result == 0)
        result = yk_record_attach(record, true, &sight->base, &size, &fixed);
    if (result < 0)
        return result;
    if (size < 2 * YK_PAGE) {
        yk_sys_shm_detach(sight->base);
        sight->base = NULL;
        return -ENOENT;
    }
    yk_live_path(path, record->nonce);
    sight->lock_file = yk_sys_open(sight->directory.fd, path, O_RDONLY, 0);
    if (sight->lock_file < 0) {
        yk_sys_shm_detach(sight->base);
        sight->base = NULL;
        return sight->lock_file == -ENOENT
                   ? -ENOENT
                   : yk_fail(-sight->lock_file, "the lock file of %s can not be opened: %s",
                             yk_entry_address(sight->entry), strerror(-sight->lock_file));
    }
    sight->segment = record->segment;
    sight->nonce = record->nonce;
    sight->word = yk_load_acquire(&seat_of(sight->base)->word); /* SYNC slot.claim acquire */
    return 0;
}

/* 1 when a living process is `entry` now, 0 not, or an error. */
static int catch_sight(struct sight *sight)
{
    struct yk_record record;
    int result = yk_record_read(&sight->directory, sight->entry, &record);
    bool read = result == 0;
    if (read)
        result = open_sight(sight, &record);
    if (result == -ENOENT)
        return 0;
    if (result == -EACCES && read)
        return yk_fail(EACCES, "%s belongs to uid %u: no permission to see whether it lives",
                       yk_entry_address(sight->entry), record.uid);
    if (result < 0)
        return result;
    if ((sight->word & 1) != 0 && still_there(sight))
        return 1;
    lose_sight(sight);
    return 0;
}

static int look_for_coming(void *context)
{
    return catch_sight(context);
}

static int look_for_going(void *context)
{
    return !still_there(context);
}

static int wait_for_going(struct sight *sight, int64_t timeout_ns)
{
    char path[sizeof sight->directory.path + 64], file[48];
    int result = catch_sight(sight);
    if (result <= 0)
        return result;
    yk_live_path(file, sight->nonce);
    snprintf(path, sizeof path, "%s/%s", sight->directory.path, file);
    return watch(look_for_going, sight, NULL, path, false, timeout_ns);
}

/* ---- somebody's end, for wait sets ---- */

struct yk_gone {
    struct yk_watch watch; /* first */
    struct sight sight;
    void (*notify)(void *context);
    void *context;
};

static void gone_stirred(struct yk_watch *watch, bool written)
{
    const struct yk_gone *gone = (const struct yk_gone *)watch;
    (void)written;
    gone->notify(gone->context);
}

int yk_gone_begin(struct yk_gone **ret_gone, const char *name, void (*notify)(void *context),
                  void *context)
{
    char path[sizeof((struct yk_directory *)0)->path + 64], file[48];
    struct yk_address address;
    int result = yk_address_parse_peer(name, &address);
    if (result == 0 && address.place)
        result = yk_fail(ENOTSUP,
                         "peer:%s is in a place across machines: nothing tells a wait set "
                         "that it is gone; yoke_peer_wait() does",
                         address.name);
    if (result == 0)
        result = yk_fork_init();
    if (result < 0)
        return result;
    struct yk_gone *gone = yk_sys_allocate(1, sizeof *gone);
    if (!gone)
        return yk_fail(ENOMEM, "no memory for peer:%s", name);
    gone->watch.stir = gone_stirred;
    gone->notify = notify;
    gone->context = context;
    result = yk_directory_open(&gone->sight.directory, NULL, false);
    if (result < 0) {
        free(gone);
        return result;
    }
    yk_name_entry(gone->sight.entry, YK_KIND_PEER, address.name);
    result = catch_sight(&gone->sight);
    if (result < 0) {
        yk_gone_end(gone);
        return result;
    }
    yk_live_path(file, gone->sight.nonce);
    snprintf(path, sizeof path, "%s/%s", gone->sight.directory.path, file);
    if (result == 1)
        yk_watch_file(&gone->watch, path); /* or it looks by a timer */
    *ret_gone = gone;
    return 0;
}

int64_t yk_gone_look(struct yk_gone *gone, bool *ret_gone)
{
    *ret_gone = !gone->sight.base || !still_there(&gone->sight);
    if (*ret_gone)
        return 0;
    return yk_watch_again(&gone->watch, yk_watch_is_due(&gone->watch));
}

void yk_gone_end(struct yk_gone *gone)
{
    yk_watch_end(&gone->watch);
    lose_sight(&gone->sight);
    yk_directory_close(&gone->sight.directory);
    free(gone);
}

YOKE_API int yoke_peer_wait(const char *name, uint32_t what, int64_t timeout_ns)
{
    struct sight sight = {.base = NULL};
    struct yk_address address;
    int result = yk_address_parse_peer(name, &address);
    if (result == 0 && what != YOKE_PEER_HERE && what != YOKE_PEER_GONE)
        result = yk_fail(EINVAL, "%u is neither YOKE_PEER_HERE nor YOKE_PEER_GONE", what);
    if (result == 0 && timeout_ns < YOKE_FOREVER)
        result = yk_bad_timeout(timeout_ns);
    if (result == 0 && address.place)
        return address.place->peers->wait(address.where, address.name, what, timeout_ns);
    if (result == 0)
        result = yk_fork_init();
    if (result == 0) /* made if need be: there must be something to watch */
        result = yk_directory_open(&sight.directory, NULL, false);
    if (result < 0)
        return result;
    yk_name_entry(sight.entry, YK_KIND_PEER, address.name);
    result = what == YOKE_PEER_HERE
                 ? watch(look_for_coming, &sight, NULL, sight.directory.path, true, timeout_ns)
                 : wait_for_going(&sight, timeout_ns);
    lose_sight(&sight);
    yk_directory_close(&sight.directory);
    return result;
}

/* ---- the list ---- */

struct listing {
    const struct yk_directory *directory;
    struct yoke_peer_info *infos;
    size_t capacity, count;
};

static void describe(struct yoke_peer_info *info, const struct sight *sight)
{
    /* Relaxed: hints, as the peer wrote them; the pid is proved below. */
    const struct yk_shm_slot *slot = seat_of(sight->base);
    snprintf(info->name, sizeof info->name, "%s", strchr(sight->entry, '.') + 1);
    info->uid = yk_load32_relaxed(&slot->uid);
    info->joined_ns = (int64_t)yk_load_relaxed(&slot->joined);
    info->pid = yk_peer_lock_holder(sight->lock_file, (int32_t)yk_load32_relaxed(&slot->pid));
}

static int list_peer(const char *entry, void *context)
{
    struct listing *listing = context;
    struct sight sight = {.directory = *listing->directory};
    const char *dot = strchr(entry, '.');
    if (!dot || yk_kind_from_name(entry, (size_t)(dot - entry)) != YK_KIND_PEER ||
        strlen(entry) >= sizeof sight.entry || yk_name_check(YK_KIND_PEER, dot + 1) < 0)
        return 0;
    strcpy(sight.entry, entry);
    if (catch_sight(&sight) != 1)
        return 0;
    if (listing->count < listing->capacity)
        describe(&listing->infos[listing->count], &sight);
    listing->count++;
    lose_sight(&sight);
    return 0;
}

/* The place's peers, if it has its own; NULL: those in memory. 0, or why there is no such place. */
static int find_elsewhere(const char *place, const struct yk_place_peers **ret)
{
    int error = 0;
    const struct yk_place *found =
        strcmp(place, "memory") == 0 ? NULL : yk_place_find(place, &error);
    *ret = found ? found->peers : NULL;
    if (found || error < 0 || strcmp(place, "memory") == 0)
        return found ? 0 : error;
    return yk_fail(ENOTSUP, "the place '%.60s' is not to be had; this yoke has: %s", place,
                   yk_place_names());
}

YOKE_API ssize_t yoke_peer_list(struct yoke_peer_info *infos, size_t capacity)
{
    const char *place = secure_getenv("YOKE_PLACE");
    return yk_inspect_peers(place && strstr(place, "://") ? place : "memory", infos, capacity);
}

ssize_t yk_inspect_peers(const char *place, struct yoke_peer_info *infos, size_t capacity)
{
    struct yk_directory directory;
    const struct yk_place_peers *elsewhere;
    if (!infos && capacity > 0)
        return yk_fail(EINVAL, "infos is NULL and capacity %zu", capacity);
    int found = find_elsewhere(place, &elsewhere);
    if (found < 0)
        return found;
    if (elsewhere)
        return elsewhere->list(place, infos, capacity);
    int result = yk_directory_open(&directory, NULL, true);
    if (result == -ENOENT)
        return 0;
    if (result < 0)
        return result;
    struct listing listing = {&directory, infos, capacity, 0};
    result = yk_directory_entries(&directory, list_peer, &listing);
    yk_directory_close(&directory);
    return result < 0 ? result : (ssize_t)listing.count;
}

/* ---- joining and leaving ---- */

YOKE_API int yoke_peer_join(yoke_peer **ret_peer, const char *name,
                            const struct yoke_options *options)
{
    static const struct yoke_options defaults = YOKE_OPTIONS_INIT;
    if (!ret_peer)
        return yk_fail(EINVAL, "ret_peer is NULL: there is nowhere to put the result");
    if (options && options->struct_size != sizeof *options)
        return yk_fail(EINVAL, "the options were not initialised with YOKE_OPTIONS_INIT");
    struct yk_address address;
    int result = yk_address_parse_peer(name, &address);
    if (result < 0)
        return result;
    struct yoke_peer *handle = yk_sys_allocate(1, sizeof *handle);
    if (!handle)
        return yk_fail(ENOMEM, "no memory for a peer");
    result = yk_fork_init();
    if (result == 0 && address.place) {
        handle->elsewhere = address.place->peers;
        result = handle->elsewhere->join(&handle->self, address.where, address.name);
        handle->at = address;
        handle->joined = yk_fork_stamp();
    } else if (result == 0) {
        result = yk_peer_hold(&handle->peer, address.name, options ? options : &defaults);
    }
    if (result < 0) {
        free(handle);
        return result;
    }
    yk_store_relaxed(&handle->fork_stamp, yk_fork_stamp());
    *ret_peer = handle;
    return 0;
}

static bool counts_here(const struct yoke_peer *handle)
{
    return yk_load_relaxed(&handle->fork_stamp) == yk_fork_stamp(); /* relaxed: own process */
}

int yk_peer_visit_begin(struct yoke_peer *handle)
{
    yk_process_lock();
    if (!counts_here(handle)) /* the parent's threads are not here */
        yk_store32_relaxed(&handle->inside, 0);
    yk_store_relaxed(&handle->fork_stamp, yk_fork_stamp());
    yk_process_unlock();
    yk_add32_seq(&handle->inside, 1);
    int result = yk_peer_enter(&handle->peer);
    if (result < 0)
        yk_peer_visit_end(handle);
    return result;
}

/* The last that a call does with the handle, which may be gone right after. */
void yk_peer_visit_end(struct yoke_peer *handle)
{
    yk_add32_seq(&handle->inside, UINT32_MAX);
}

int yk_peer_name(struct yoke_peer *handle, const char **ret)
{
    if (handle->elsewhere && handle->joined != yk_fork_stamp())
        return yk_fail(EADDRINUSE,
                       "peer:%s is the process that joined as it, and this is a child of that",
                       handle->at.name);
    int result = handle->elsewhere ? 0 : yk_peer_enter(&handle->peer);
    if (result == 0)
        *ret = handle->elsewhere ? handle->at.name : handle->peer->object.fixed.name;
    return result;
}

YOKE_API int yoke_peer_leave(yoke_peer *peer)
{
    if (!peer)
        return 0;
    yk_set_drop(peer->member);
    yk_store32_release(&peer->cancelled, 1);
    while (counts_here(peer) && yk_load32_seq(&peer->inside) != 0)
        yk_nap(1000000); /* they look every 100 ms */
    if (peer->elsewhere)
        peer->elsewhere->leave(peer->self);
    else
        yk_peer_drop(peer->peer);
    free(peer);
    return 0;
}

/* ---- links that others opened ---- */

struct search {
    struct yk_peer *peer;
    const struct yk_directory *directory;
    char *other;
    uint32_t passed_over;
};

/* "link.alice@bob": the one that is not `me`, or NULL when it is not a link of mine. */
static const char *other_of(const char *entry, const char *me, char peer[YOKE_PEER_NAME_MAX + 1])
{
    const char *dot = strchr(entry, '.');
    if (!dot || yk_kind_from_name(entry, (size_t)(dot - entry)) != YK_KIND_LINK ||
        yk_name_check(YK_KIND_LINK, dot + 1) < 0)
        return NULL;
    const char *first = dot + 1, *second = strchr(first, '@') + 1;
    size_t length = (size_t)(second - 1 - first);
    if (strlen(me) == length && memcmp(first, me, length) == 0)
        return strcpy(peer, second);
    if (strcmp(second, me) != 0)
        return NULL;
    memcpy(peer, first, length);
    peer[length] = '\0';
    return peer;
}

void yk_peer_refuse(struct yk_peer *peer, const char *other)
{
    yk_process_lock();
    if (peer->refused_count == 0)
        peer->refused_at = yk_now();
    if (peer->refused_count == peer->refused_room) {
        size_t room = peer->refused_room ? peer->refused_room * 2 : 16;
        uint64_t *more = yk_sys_reallocate(peer->refused, room, sizeof *more);
        if (more) {
            peer->refused = more;
            peer->refused_room = room;
        } else {
            peer->refused_count = 0; /* no memory: forget the others */
        }
    }
    if (peer->refused_count < peer->refused_room)
        peer->refused[peer->refused_count++] = yk_name_hash(other);
    yk_process_unlock();
}

/* One that meets a refused one by its hash only waits with it. */
static bool is_refused(struct yk_peer *peer, const char *other)
{
    bool refused = false;
    yk_process_lock();
    if (peer->refused_count > 0 && yk_now() - peer->refused_at >= REFUSED_NS)
        peer->refused_count = 0;
    uint64_t wanted = peer->refused_count > 0 ? yk_name_hash(other) : 0;
    for (size_t i = 0; i < peer->refused_count && !refused; i++)
        refused = peer->refused[i] == wanted;
    yk_process_unlock();
    return refused;
}

static bool is_open(const struct yk_peer *peer, const char *other)
{
    bool open = false;
    yk_process_lock();
    for (const struct yk_link *link = peer->links; link && !open; link = link->next)
        open = strcmp(link->other, other) == 0;
    yk_process_unlock();
    return open;
}

/* The object's mutex is made anew in a forked child, where the thread that has it is not. */
bool yk_peer_begin_opening(struct yk_peer *peer, const char *other)
{
    pthread_mutex_lock(&peer->object.mutex);
    bool first = !is_open(peer, other);
    if (!first)
        pthread_mutex_unlock(&peer->object.mutex);
    return first;
}

void yk_peer_end_opening(struct yk_peer *peer)
{
    pthread_mutex_unlock(&peer->object.mutex);
}

/* A link that this peer left is of interest again when somebody new came to its other end. */
static bool is_of_interest(struct search *search, const char *entry, const struct yk_record *record,
                           int side)
{
    struct yk_object object;
    struct yk_spsc_geometry geometry;
    if (yk_record_is_foreign(record) != 0 || record->layout != YK_LAYOUT ||
        yk_record_attach(record, true, &object.base, &object.size, &object.fixed) < 0)
        return false;
    bool is = yk_fixed_check(&object.fixed, object.size, YK_KIND_LINK) == 0 &&
              yk_link_check(&object.fixed, &geometry) == 0 &&
              strcmp(object.fixed.name, strchr(entry, '.') + 1) == 0;
    bool is_left = is && yk_link_is_left(&object, side);
    search->passed_over |= is_left ? YK_PASSED_LEFT : 0;
    detach(object.base, search->directory, entry, record->segment, record->nonce);
    return is && !is_left;
}

static int look_at_entry(const char *entry, void *context)
{
    struct search *search = context;
    const char *me = search->peer->object.fixed.name;
    char peer[YOKE_PEER_NAME_MAX + 1];
    struct yk_record record;
    if (!other_of(entry, me, peer) || is_open(search->peer, peer))
        return 0;
    if (is_refused(search->peer, peer)) {
        search->passed_over |= YK_PASSED_REFUSED;
        return 0;
    }
    if (yk_record_read(search->directory, entry, &record) < 0 ||
        !is_of_interest(search, entry, &record, strcmp(me, peer) < 0 ? 0 : 1))
        return 0;
    strcpy(search->other, peer);
    return 1;
}

static int look_for_link(void *context)
{
    struct search *search = context;
    return yk_directory_entries(search->directory, look_at_entry, search);
}

int yk_peer_find_link(struct yk_peer *peer, const struct yk_directory *directory,
                      char ret_other[YOKE_PEER_NAME_MAX + 1])
{
    struct search search = {.peer = peer, .directory = directory, .other = ret_other};
    int result = look_for_link(&search);
    yk_store32_relaxed(&peer->passed_over, search.passed_over);
    return result;
}

/* What its owner wrote there when it made one (peer_next.c); 0: none, or it can not be seen. */
static uint64_t doorbell_of(const struct yk_directory *directory, const char *entry,
                            const struct yk_record *record)
{
    void *base;
    uint64_t size, nonce = 0;
    struct yk_shm_fixed fixed;
    if (record->layout != YK_LAYOUT || yk_record_attach(record, true, &base, &size, &fixed) < 0)
        return 0;
    if (size >= 2 * YK_PAGE)
        nonce =
            yk_load_relaxed(&seat_of(base)->notice[0].doorbell); /* a hint: one is rung in vain */
    detach(base, directory, entry, record->segment, record->nonce);
    return nonce;
}

void yk_peer_stir(const char *path, const char *name)
{
    struct yk_directory directory;
    struct yk_record record;
    struct yk_doorbell bell = {.nonce = 0};
    char entry[YK_ENTRY_MAX];
    if (yk_directory_open(&directory, path, true) < 0)
        return;
    yk_name_entry(entry, YK_KIND_PEER, name);
    uint64_t nonce = yk_record_read(&directory, entry, &record) == 0
                         ? doorbell_of(&directory, entry, &record)
                         : 0;
    if (nonce != 0)
        yk_doorbell_ring(&bell, path, nonce, YK_PEER_MARK);
    yk_doorbell_close(&bell);
    yk_directory_close(&directory);
}

int yk_peer_await_link(struct yoke_peer *handle, char ret_other[YOKE_PEER_NAME_MAX + 1],
                       int64_t timeout_ns)
{
    struct yk_directory directory;
    struct search search = {.peer = handle->peer, .directory = &directory, .other = ret_other};
    int result = yk_directory_open(&directory, handle->peer->object.directory, true);
    if (result < 0)
        return result;
    result = watch(look_for_link, &search, &handle->cancelled, directory.path, true, timeout_ns);
    yk_directory_close(&directory);
    return result;
}
