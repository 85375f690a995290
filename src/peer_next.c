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
#include "link.h"
#include "peer.h"

#define LOOK_NS INT64_C(50000000)

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

static void announce(struct yk_peer *peer)
{
    uint64_t doorbell = peer->bell >= 0 ? peer->object.fixed.nonce : 0;
    for (struct yk_link *link = peer->links; link; link = link->next)
        yk_link_announce(link, doorbell);
    /* for those who store without a fence before they look at our bits: see link.c */
    if (peer->links && yk_membarrier_usable())
        yk_sys_membarrier();
}

static void withdraw(struct yk_peer *peer)
{
    for (struct yk_link *link = peer->links; link; link = link->next)
        yk_link_withdraw(link);
}

static void look_for_dead(struct yk_peer *peer)
{
    for (struct yk_link *link = peer->links; link; link = link->next)
        yk_recover_dead_sometimes(&link->object);
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

/* Under the mutex. What can not be had is done without, and asked for again the next time. */
static void open_waiting(struct yk_peer *peer)
{
    if (peer->names < 0)
        peer->names = yk_sys_watch_names(peer->object.directory);
    if (peer->bell < 0)
        peer->bell = yk_doorbell_make(peer->object.directory, peer->object.fixed.nonce,
                                      peer->object.fixed.mode);
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
    int result;
    yk_process_lock();
    open_waiting(peer);
    yk_process_unlock();
    if (peer->bell >= 0)
        yk_sys_clear(peer->bell); /* before the look: what is rung after it is heard */
    if (peer->names >= 0)
        yk_sys_clear(peer->names);
    yk_process_lock();
    announce(peer);
    yk_process_unlock();
    result = look_while_waiting(waiting, ret_link);
    if (result == 0 && yk_load32_seq(waiting->cancelled))
        result = -ECANCELED;
    int64_t left = deadline == INT64_MAX ? YK_SLICE : deadline - yk_now();
    if (result == 0 && left <= 0)
        result = -ETIMEDOUT;
    if (result == 0 &&
        yk_sys_poll(peer->bell, peer->names, left < YK_SLICE ? left : YK_SLICE) == -EINTR)
        result = -EINTR;
    yk_process_lock();
    withdraw(peer);
    look_for_dead(peer);
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
        result = look(waiting, ret_link, false);
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
