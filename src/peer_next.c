/*
 * peer_next.c - yoke_peer_next(): one wait over all links of a peer, and over those that others
 * open to it.
 *
 * The sleeper announces itself on each of its links (its doorbell, then its bit), looks at all of
 * them once more, and sleeps on the doorbell and on the watch of the name directory. Whoever changes
 * something on one of the links takes that link's bit and rings the doorbell. As everywhere it looks
 * again by itself every 100 ms, and then also for the dead. That is all that is left where there is no
 * descriptor for the doorbell; where there is none for the name directory either, newcomers are not
 * seen until there is.
 *
 * The list of links is walked under the process-wide mutex, which is not held while sleeping: other
 * threads may open and close links meanwhile.
 */
#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/sys.h"
#include "doorbell.h"
#include "link.h"
#include "peer.h"

#define LOOK_NS    INT64_C(50000000)
#define RETRY_NS   INT64_C(100000000)
#define RETRY_MOST INT64_C(32000000000)

/* ---- under the process-wide mutex ---- */

/* The first link behind the one served last that has something, around the end of the list. */
static struct yk_link *find_ready(struct yk_peer *peer)
{
    struct yk_link *wrapped = NULL;
    bool behind = peer->served == NULL;
    for (struct yk_link *link = peer->links; link; link = link->next) {
        if ((behind || !wrapped) && yk_link_is_ready(link)) {
            if (behind)
                return peer->served = link;
            wrapped = link;
        }
        behind |= link == peer->served;
    }
    if (wrapped)
        peer->served = wrapped;
    return wrapped;
}

/* Whoever changes something on one of the links rings. */
static void announce(struct yk_peer *peer)
{
    struct yk_link *any = NULL;
    for (struct yk_link *link = peer->links; link; any = link, link = link->next) {
        if (!link->noticed)
            yk_notice_begin(&link->peers, &link->waiting, 1, &peer->bell, YK_PEER_MARK);
        link->noticed = true;
        yk_notice_arm(&link->peers);
    }
    if (any)
        yk_notice_fence(&any->peers);
}

/* How long until that should be done again; 0: as ever. */
static int64_t look_for_dead(struct yk_peer *peer)
{
    int64_t soonest = 0;
    for (struct yk_link *link = peer->links; link; link = link->next) {
        int64_t again = link->noticed ? yk_notice_look_for_dead(&link->peers) : 0;
        if (again != 0 && (soonest == 0 || again < soonest))
            soonest = again;
        yk_recover_dead_sometimes(&link->object);
    }
    return soonest;
}

/* ---- the wait ---- */

struct waiting {
    struct yk_peer *peer;
    const yk_atomic32 *cancelled; /* the handle's */
    struct yk_directory directory;
    bool opened; /* the directory */
    char *other; /* who opened a link that is not open here */
};

/* 1: somebody opened a link that is not open here, 0, or an error. */
static int find_newcomer(struct waiting *waiting)
{
    if (!waiting->opened) {
        int result = yk_directory_open(&waiting->directory, waiting->peer->object.directory, true);
        if (result < 0)
            return result;
        waiting->opened = true;
    }
    return yk_peer_find_link(waiting->peer, &waiting->directory, waiting->other);
}

/* YOKE_NEXT_READY or YOKE_NEXT_OPENED plus 1, 0 for nothing yet, or an error. */
static int look(struct waiting *waiting, struct yk_link **ret_link, bool at_names)
{
    yk_process_lock();
    struct yk_link *ready = find_ready(waiting->peer);
    yk_process_unlock();
    if (ready) {
        *ret_link = ready;
        return YOKE_NEXT_READY + 1;
    }
    int found = at_names ? find_newcomer(waiting) : 0;
    return found > 0 ? YOKE_NEXT_OPENED + 1 : found;
}

static void ring_own(const struct yk_peer *peer)
{
    if (peer->bell.fd >= 0)
        yk_sys_ring(peer->bell.fd, YK_PEER_MARK);
}

/* A name came into the directory: it may be a link to us. */
static void stir(struct yk_watch *watch, bool written)
{
    const struct yk_peer *peer =
        (const struct yk_peer *)((const char *)watch - offsetof(struct yk_peer, names));
    (void)written;
    ring_own(peer);
}

/* For who opens a link again that this peer left (yk_peer_stir()): by its name nobody could find it. */
static int make_bell(struct yk_peer *peer)
{
    struct yk_shm_slot *seat = yk_object_slot(&peer->object, peer->object.slot);
    int result = yk_bell_make(&peer->bell, &peer->object);
    if (result == 0)
        yk_store_relaxed(&seat->notice[0].doorbell, peer->bell.nonce); /* a hint */
    return result;
}

/* Under the mutex. What can not be had is done without, and asked for again the next time. */
static int open_waiting(struct yk_peer *peer)
{
    int result = peer->bell.fd < 0 ? make_bell(peer) : 0;
    if (result == 0 && peer->names.fork_stamp == 0) {
        peer->names.stir = stir;
        yk_watch_names(&peer->names, peer->object.directory);
    }
    return result;
}

/* How long until it is to be done again at the latest; 0: when the bell is rung. */
static int64_t clear_and_announce(struct yk_peer *peer)
{
    yk_process_lock();
    int result = open_waiting(peer);
    yk_process_unlock();
    yk_watch_drain(); /* before the bell is cleared, which it may ring */
    if (result == 0)
        yk_sys_clear(peer->bell.fd); /* before the look: what is rung after it is heard */
    if (peer->timer >= 0)
        yk_sys_clear(peer->timer); /* and before it is asked when to look for the dead */
    yk_process_lock();
    int64_t again = look_for_dead(peer);
    if (result == 0)
        announce(peer);
    if (again == 0 && peer->names.fork_stamp == 0)
        again = LOOK_NS;
    if (peer->timer >= 0 && again > 0)
        yk_sys_timer_set(peer->timer, again, 0);
    yk_process_unlock();
    return again;
}

/* As look(), but goes on while there is no descriptor to look at the names with. */
static int look_while_waiting(struct waiting *waiting, struct yk_link **ret_link)
{
    int result = look(waiting, ret_link, true);
    return result == -EMFILE || result == -ENFILE ? 0 : result;
}

/* Lies down once. What look() says, or -ETIMEDOUT, -EINTR, -ECANCELED. */
static int sleep_once(struct waiting *waiting, struct yk_link **ret_link, int64_t deadline)
{
    struct yk_peer *peer = waiting->peer;
    clear_and_announce(peer);
    int result = look_while_waiting(waiting, ret_link);
    if (result == 0 && yk_load32_seq(waiting->cancelled))
        result = -ECANCELED;
    int64_t left = deadline == INT64_MAX ? YK_SLICE : deadline - yk_now();
    if (result == 0 && left <= 0)
        result = -ETIMEDOUT;
    if (result != 0) {
        ring_own(peer); /* whoever polls it is to come back */
        return result;
    }
    return yk_sys_poll(peer->bell.fd, yk_watch_descriptor(), left < YK_SLICE ? left : YK_SLICE) ==
                   -EINTR
               ? -EINTR
               : 0;
}

/*
 * Of what nobody tells it is to look by itself. Whether a link can be opened now that could not before;
 * and, since who opens a link again that this one left may not be able to ring, ever more seldom for
 * that. How long until then, or 0.
 */
static int64_t next_retry(struct yk_peer *peer)
{
    uint32_t passed_over = yk_load32_relaxed(&peer->passed_over); /* relaxed: own process */
    int64_t last = peer->retry_ns;
    peer->retry_ns = !(passed_over & YK_PASSED_LEFT) ? 0
                     : last == 0                     ? RETRY_NS
                     : last < RETRY_MOST / 2         ? 2 * last
                                                     : RETRY_MOST;
    return passed_over & YK_PASSED_REFUSED ? RETRY_NS : peer->retry_ns;
}

/* Found nothing, and the descriptor is to say when there is something. */
static int look_armed(struct waiting *waiting, struct yk_link **ret_link)
{
    struct yk_peer *peer = waiting->peer;
    int64_t again = clear_and_announce(peer);
    int result = look(waiting, ret_link, true);
    if (result == 0 && yk_load32_seq(waiting->cancelled))
        result = -ECANCELED;
    if (result != 0)
        ring_own(peer);
    yk_process_lock();
    int64_t retry = next_retry(peer);
    if (retry > 0 && (again == 0 || again > retry))
        yk_sys_timer_set(peer->timer, retry, 0);
    if (result != 0)
        peer->retry_ns = 0;
    yk_process_unlock();
    return result;
}

static int wait_next(struct waiting *waiting, struct yk_link **ret_link, int64_t timeout_ns)
{
    int64_t deadline = yk_deadline(timeout_ns);
    int result =
        timeout_ns == 0 ? look(waiting, ret_link, true) : look_while_waiting(waiting, ret_link);
    if (result == 0 && timeout_ns == 0) {
        yk_process_lock();
        look_for_dead(waiting->peer);
        yk_process_unlock();
        result = waiting->peer->epoll < 0 ? look(waiting, ret_link, false)
                                          : look_armed(waiting, ret_link);
        return result == 0 ? -EAGAIN : result;
    }
    while (result == 0)
        result = sleep_once(waiting, ret_link, deadline);
    return result;
}

/*
 * Ready links are served without looking at anything else, which on a busy peer would be for ever:
 * so now and then it is due to look for newcomers and for the dead first.
 */
static bool is_due(struct yk_peer *peer, int64_t now)
{
    bool due = now - peer->looked >= LOOK_NS;
    if (due) {
        peer->looked = now;
        look_for_dead(peer);
    }
    return due;
}

int yk_peer_next(struct yoke_peer *handle, struct yk_link **ret_link,
                 char ret_other[YOKE_PEER_NAME_MAX + 1], int64_t timeout_ns)
{
    struct waiting waiting = {
        .peer = handle->peer, .cancelled = &handle->cancelled, .other = ret_other};
    yk_process_lock();
    bool due = is_due(handle->peer, yk_now_coarse());
    struct yk_link *ready = find_ready(handle->peer);
    yk_process_unlock();
    int result = 0;
    if (!ready)
        result = wait_next(&waiting, ret_link, timeout_ns);
    else if (due)
        result = find_newcomer(&waiting) > 0 ? YOKE_NEXT_OPENED + 1 : 0;
    if (waiting.opened)
        yk_directory_close(&waiting.directory);
    if (ready && result <= 0) { /* whatever went wrong beside it can wait */
        *ret_link = ready;
        return YOKE_NEXT_READY;
    }
    return result > 0 ? result - 1 : result;
}

/* ---- its descriptor ---- */

static int open_descriptor(struct yk_peer *peer)
{
    int result = open_waiting(peer);
    if (result < 0 || peer->epoll >= 0)
        return result;
    peer->epoll = yk_sys_epoll();
    peer->timer = peer->epoll < 0 ? peer->epoll : yk_sys_timer();
    int fds[] = {peer->bell.fd, peer->timer, yk_watch_descriptor()};
    for (int i = 0; i < 3 && result == 0; i++) {
        if (fds[i] >= 0)
            result = yk_sys_epoll_add(peer->epoll, fds[i], YK_SYS_READABLE, 0);
    }
    if (peer->timer < 0)
        result = peer->timer;
    if (result == 0) /* whoever asks first learns what is there */
        result = yk_sys_ring(peer->bell.fd, YK_PEER_MARK);
    if (result == 0)
        return 0;
    if (peer->epoll >= 0)
        yk_sys_close(peer->epoll);
    if (peer->timer >= 0)
        yk_sys_close(peer->timer);
    peer->epoll = peer->timer = -1;
    return yk_fail(-result, "no descriptor to wait on: %s", strerror(-result));
}

int yk_peer_descriptor(struct yk_peer *peer)
{
    yk_process_lock();
    int result = open_descriptor(peer);
    if (result == 0)
        result = peer->epoll;
    yk_process_unlock();
    return result;
}

void yk_peer_forget_waiting(struct yk_peer *peer)
{
    int *fds[] = {&peer->bell.fd, &peer->epoll, &peer->timer};
    for (int i = 0; i < 3; i++) {
        if (*fds[i] >= 0)
            yk_sys_close(*fds[i]);
        *fds[i] = -1;
    }
    peer->names.fork_stamp = 0;
}

void yk_peer_end_waiting(struct yk_peer *peer)
{
    yk_watch_end(&peer->names);
    /* relaxed: own process; in a forked child the doorbell's name is the parent's */
    if (yk_load_relaxed(&peer->object.fork_stamp) == yk_fork_stamp())
        yk_bell_remove(&peer->bell, peer->object.directory);
    yk_peer_forget_waiting(peer);
}
