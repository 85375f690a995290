/*
 * peer_next.c - yoke_peer_accept(), yoke_peer_next() and yoke_peer_fd() in a place: one wait over all links of a peer,
 * and over those that others open to it.
 *
 * Who opens an end of a link says so in PREFIX-ends; the peer at its other end hears that, and then looks at the words
 * that are newer than the last one that it looked at. What was not heard, as the connection was lost, is asked for some
 * times in a lease. A link of which there was a word is a newcomer until it was decided that it is none: by what the
 * servers say of both of its ends then.
 *
 * Two bells are rung when it is time to look: one for accepting, and one for all else, which the links ring, too. Each
 * is silenced before the look, so what comes after it is heard; and rung again by whoever found something, as there
 * may be more.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "nats_link.h"

#define ASKED_KIND 'o'                /* of the ear */
#define ASKS       3                  /* in a lease: is there a word that was not heard? */
#define STORED_NS  (5 * YK_SECOND_NS) /* a cluster tells of a word before it has stored it */
#define LOOK_MOST  1024               /* words at once: others want to be served, too */
#define PAUSE_NS \
    (250 *       \
     YK_MILLISECOND_NS) /* before a link that could not be opened is tried again, the first time */
#define PAUSE_MOST (10 * YK_SECOND_NS)

/* ---- who is new (with the mutex) ------------------------------------------------------------- */

static void ring(const struct yk_nats_peer *peer)
{
    yk_nats_ring(peer->bell);
    yk_nats_ring(peer->door);
}

static struct yk_newcomer *find(const struct yk_nats_peer *peer, const char *other,
                                uint64_t generation)
{
    struct yk_newcomer *newcomer = peer->newcomers;

    while (newcomer && (strcmp(newcomer->other, other) != 0 || newcomer->generation != generation))
        newcomer = newcomer->next;
    return newcomer;
}

/* Behind all others; unless there was a new word about it meanwhile. */
static void put(struct yk_nats_peer *peer, struct yk_newcomer *newcomer)
{
    struct yk_newcomer **at = &peer->newcomers;

    if (find(peer, newcomer->other, newcomer->generation)) {
        free(newcomer);
        return;
    }
    while (*at)
        at = &(*at)->next;
    newcomer->next = NULL;
    *at = newcomer;
}

static void add(struct yk_nats_peer *peer, const char *other, uint64_t generation)
{
    struct yk_newcomer *newcomer = find(peer, other, generation);

    if (newcomer) {
        newcomer->not_before = 0; /* there is a new word */
        return;
    }
    newcomer = calloc(1, sizeof *newcomer);
    if (!newcomer) {
        peer->missed = true;
        return;
    }
    strcpy(newcomer->other, other);
    newcomer->generation = generation;
    put(peer, newcomer);
}

static struct yk_newcomer **find_due(struct yk_nats_peer *peer, int64_t now)
{
    struct yk_newcomer **at = &peer->newcomers;

    while (*at && (*at)->not_before > now)
        at = &(*at)->next;
    return at;
}

static struct yk_newcomer *take_due(struct yk_nats_peer *peer)
{
    pthread_mutex_lock(&peer->mutex);
    struct yk_newcomer **at = find_due(peer, yk_nats_now()), *newcomer = *at;
    if (newcomer)
        *at = newcomer->next;
    pthread_mutex_unlock(&peer->mutex);
    return newcomer;
}

static bool has_hints(struct yk_nats_peer *peer)
{
    pthread_mutex_lock(&peer->mutex);
    bool hints = peer->due || *find_due(peer, yk_nats_now());
    pthread_mutex_unlock(&peer->mutex);
    return hints;
}

static void is_due(struct yk_nats_peer *peer)
{
    pthread_mutex_lock(&peer->mutex);
    peer->due = true;
    pthread_mutex_unlock(&peer->mutex);
}

void yk_nats_peer_suspect(struct yk_nats_peer *peer, const char *other, uint64_t generation)
{
    pthread_mutex_lock(&peer->mutex);
    if (peer->door >= 0) {
        add(peer, other, generation);
        ring(peer);
    }
    pthread_mutex_unlock(&peer->mutex);
}

/* ---- what arrives ---------------------------------------------------------------------------- */

static void heard(struct yk_ear *ear, uint64_t token, natsMsg *message)
{
    struct yk_nats_peer *peer = (struct yk_nats_peer *)ear->line;

    (void)token;
    natsMsg_Destroy(message); /* it may yet be refused: the servers are asked */
    pthread_mutex_lock(&peer->mutex);
    peer->due = true;
    peer->until = yk_nats_now() + STORED_NS;
    ring(peer);
    pthread_mutex_unlock(&peer->mutex);
}

void yk_nats_peer_waiting_answer(struct yk_nats_peer *peer, natsMsg *message)
{
    if (!yk_ends_are_there(message))
        return;
    peer->due = true;
    ring(peer);
}

/* Rings again, too, where whoever was told could do nothing then. */
void yk_nats_peer_waiting_tick(struct yk_nats_peer *peer, int64_t now)
{
    if (peer->door < 0)
        return;
    if (peer->here.lost || peer->due || *find_due(peer, now)) {
        ring(peer);
    } else if (peer->asked == 0 || now < peer->until ||
               now - peer->asked >= peer->line.hub->lease_ns / ASKS) {
        peer->asked = now;
        yk_ends_ask(&peer->line, YK_ASKED_WORDS, peer->name, peer->seen + 1);
    }
}

/* ---- beginning and end ----------------------------------------------------------------------- */

void yk_nats_peer_init_waiting(struct yk_nats_peer *peer)
{
    peer->bell = peer->door = -1;
    peer->words = (struct yk_ear){.line = &peer->line, .kind = ASKED_KIND, .arrived = heard};
    pthread_mutex_init(&peer->looking, NULL);
}

void yk_nats_peer_forget_waiting(struct yk_nats_peer *peer)
{
    if (peer->bell >= 0)
        close(peer->bell);
    if (peer->door >= 0)
        close(peer->door);
    peer->bell = peer->door = -1;
}

void yk_nats_peer_end_waiting(struct yk_nats_peer *peer)
{
    yk_ear_close(&peer->words);
    yk_nats_peer_forget_waiting(peer);
    for (struct yk_newcomer *newcomer; (newcomer = peer->newcomers) != NULL;) {
        peer->newcomers = newcomer->next;
        free(newcomer);
    }
    pthread_mutex_destroy(&peer->looking);
}

static int make_bells(struct yk_nats_peer *peer)
{
    int bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int door = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    if (bell >= 0 && door >= 0) {
        pthread_mutex_lock(&peer->mutex);
        peer->bell = bell;
        peer->door = door;
        peer->due = true; /* links that are there already count */
        pthread_mutex_unlock(&peer->mutex);
        return 0;
    }
    int error = errno;
    if (bell >= 0)
        close(bell);
    if (door >= 0)
        close(door);
    return yk_fail(error, "no descriptor to wait on: %s", strerror(error));
}

static void serve_links(struct yk_nats_peer *peer)
{
    struct yk_hub *hub = peer->line.hub;

    pthread_mutex_lock(&hub->peers_mutex);
    peer->serves = true;
    for (struct yk_nats_link *link = peer->links; link; link = link->next_open)
        yk_nats_link_serve(link, peer->bell);
    pthread_mutex_unlock(&hub->peers_mutex);
}

/* What was made stays where the rest fails: the next call goes on. */
static int begin(struct yk_nats_peer *peer)
{
    char filter[YK_END_SUBJECT];
    int result = yk_ends_ensure(peer->line.hub);

    yk_ends_filter(filter, peer->line.hub, peer->name);
    if (result == 0 && !peer->words.subscription)
        result = yk_ear_open_at(&peer->words, filter);
    if (result == 0 && peer->door < 0)
        result = make_bells(peer);
    if (result == 0)
        serve_links(peer);
    return result;
}

int yk_nats_peer_serve(struct yk_nats_peer *peer)
{
    pthread_mutex_lock(&peer->looking);
    int result = peer->serves ? 0 : begin(peer);
    pthread_mutex_unlock(&peer->looking);
    return result;
}

/* ---- looking --------------------------------------------------------------------------------- */

static int look_at_word(struct yk_nats_peer *peer, uint64_t from)
{
    char other[YOKE_PEER_NAME_MAX + 1];
    uint64_t word, generation;
    int result = yk_ends_next(peer->line.hub, peer->name, from, &word, other, &generation);

    if (result <= 0)
        return result;
    pthread_mutex_lock(&peer->mutex);
    peer->seen = word;
    if (other[0])
        add(peer, other, generation);
    pthread_mutex_unlock(&peer->mutex);
    return 1;
}

/* At what was said since it was done last. */
static int look_at_words(struct yk_nats_peer *peer)
{
    int result = 1;

    pthread_mutex_lock(&peer->looking);
    pthread_mutex_lock(&peer->mutex);
    peer->due = false;
    if (peer->missed)
        peer->seen = 0;
    peer->missed = false;
    peer->asked = yk_nats_now();
    pthread_mutex_unlock(&peer->mutex);
    for (int i = 0; i < LOOK_MOST && result == 1; i++)
        result = look_at_word(peer, peer->seen + 1);
    if (result != 0)
        is_due(peer);
    pthread_mutex_unlock(&peer->looking);
    return result < 0 ? result : 0;
}

/* 0: the link is not open here; 1: it is; -EBUSY: another thread opens it just now, if it can. */
static int is_open(struct yk_nats_peer *peer, const char *other)
{
    struct yk_hub *hub = peer->line.hub;
    struct yk_nats_link *link;

    pthread_mutex_lock(&hub->peers_mutex);
    for (link = peer->links; link && strcmp(link->other, other) != 0; link = link->next_open)
        ;
    int result = !link ? 0 : yk_nats_link_is_open(link) ? 1 : -EBUSY;
    pthread_mutex_unlock(&hub->peers_mutex);
    return result;
}

static int open_link(struct yk_nats_peer *peer, const char *other, yoke_endpoint *fresh)
{
    struct yk_address address = {.kind = YK_KIND_LINK, .place = &yk_nats_place};
    struct yoke_options options = YOKE_OPTIONS_INIT;

    strcpy(address.where, peer->line.hub->place);
    strcpy(address.name, other);
    options.as = peer->name;
    return yk_nats_link_open(fresh, &address, 0, &options);
}

/* It must not stand in the way of others. */
static void postpone(struct yk_nats_peer *peer, struct yk_newcomer *newcomer)
{
    int64_t pause = newcomer->pause ? 2 * newcomer->pause : PAUSE_NS;

    newcomer->pause = pause < PAUSE_MOST ? pause : PAUSE_MOST;
    pthread_mutex_lock(&peer->mutex);
    newcomer->not_before = yk_nats_now() + newcomer->pause;
    put(peer, newcomer);
    pthread_mutex_unlock(&peer->mutex);
}

static bool is_for_the_caller(int error)
{
    return error == -EMFILE || error == -ENFILE || error == -ENOMEM || error == -EACCES;
}

/* 1: it is open here now; 0: it is not to be opened; or why it could not be, and then it is tried again. */
static int decide(struct yk_nats_peer *peer, struct yk_newcomer *newcomer, yoke_endpoint *fresh)
{
    int open = is_open(peer, newcomer->other), result = open < 0 ? open : 0;

    if (open == 0)
        result = yk_end_is_news(peer->line.hub, peer->name, newcomer->other, newcomer->generation);
    if (result == 1) {
        int opened = open_link(peer, newcomer->other, fresh);
        result = opened < 0 ? opened : 1;
    }
    if (result < 0)
        postpone(peer, newcomer);
    else
        free(newcomer);
    return result;
}

/*
 * 1: somebody opened a link, which is open here now; 0: nobody did; -EMFILE, -ENFILE, -ENOMEM, -EACCES; and, where that is
 * to be known for sure, why it is not.
 */
static int find_newcomer(struct yk_nats_peer *peer, yoke_endpoint *fresh, bool for_sure)
{
    struct yk_newcomer *newcomer;
    int result = 0;

    if (!yk_hub_connected(peer->line.hub))
        return !for_sure
                   ? 0
                   : yk_fail(EHOSTUNREACH, "waiting as peer:%s: no server of the place answers",
                             peer->name);
    if (for_sure || has_hints(peer))
        result = look_at_words(peer);
    if (result < 0)
        return for_sure || is_for_the_caller(result) ? result : 0;
    while ((newcomer = take_due(peer)) != NULL) {
        result = decide(peer, newcomer, fresh);
        if (result == 1 || is_for_the_caller(result))
            return result;
    }
    return 0;
}

/* ---- links ----------------------------------------------------------------------------------- */

/* A consumer that was lost, as with a connection: it is made anew. While that fails it is tried some times a second. */
static void mend_links(struct yk_nats_peer *peer)
{
    struct yk_hub *hub = peer->line.hub;
    struct yk_nats_link *link;
    int64_t now = yk_nats_now();

    do {
        pthread_mutex_lock(&hub->peers_mutex);
        for (link = peer->links; link && !yk_nats_link_needs_mending(link, now);
             link = link->next_open)
            ;
        pthread_mutex_unlock(&hub->peers_mutex);
    } while (link && yk_nats_link_mend(link) == 0);
}

/* The first link behind the one served last that has something, around the end of the list. */
static struct yk_nats_link *find_ready(const struct yk_nats_peer *peer)
{
    struct yk_nats_link *wrapped = NULL;
    bool behind = peer->served == NULL;

    for (struct yk_nats_link *link = peer->links; link; link = link->next_open) {
        if ((behind || !wrapped) && yk_nats_link_is_ready(link)) {
            if (behind)
                return link;
            wrapped = link;
        }
        behind |= link == peer->served;
    }
    return wrapped;
}

/* The endpoint of the next one; NULL: none has anything. */
static yoke_endpoint *next_ready(struct yk_nats_peer *peer, bool *ret_opened)
{
    struct yk_hub *hub = peer->line.hub;

    if (yk_hub_connected(hub))
        mend_links(peer);
    pthread_mutex_lock(&hub->peers_mutex);
    struct yk_nats_link *ready = find_ready(peer);
    if (ready)
        peer->served = ready;
    *ret_opened = peer->opened;
    peer->opened = false;
    yoke_endpoint *endpoint = ready ? ready->channel.endpoint : NULL;
    pthread_mutex_unlock(&hub->peers_mutex);
    return endpoint;
}

static void note_opened(struct yk_nats_peer *peer)
{
    struct yk_hub *hub = peer->line.hub;

    pthread_mutex_lock(&hub->peers_mutex);
    peer->opened = true;
    pthread_mutex_unlock(&hub->peers_mutex);
}

/* ---- the wait -------------------------------------------------------------------------------- */

static int is_lost(const struct yk_nats_peer *peer)
{
    return yk_fail(EOWNERDEAD,
                   "peer:%s: this process was not heard of for longer than its lease, and the name "
                   "is another's by now: leave, and join anew",
                   peer->name);
}

/*
 * YOKE_NEXT_READY or YOKE_NEXT_OPENED plus 1, 0 for nothing yet, or an error. A link that is never empty hides no
 * newcomer, and many newcomers no link that has something.
 */
static int look(struct yk_nats_peer *peer, yoke_endpoint *fresh, yoke_endpoint **ret_ready,
                bool for_sure)
{
    bool opened = false;
    yoke_endpoint *ready = ret_ready ? next_ready(peer, &opened) : NULL;

    if (yk_nats_peer_is_lost(peer) && !ready)
        return is_lost(peer);
    int found =
        ready && (opened || !has_hints(peer)) ? 0 : find_newcomer(peer, fresh, for_sure && !ready);
    if (found == 1) {
        note_opened(peer);
        return YOKE_NEXT_OPENED + 1;
    }
    if (ready) { /* whatever went wrong beside it can wait */
        *ret_ready = ready;
        return YOKE_NEXT_READY + 1;
    }
    return found;
}

static int sleep_until(int bell, int cancel, int64_t deadline)
{
    struct pollfd fds[2] = {{.fd = bell, .events = POLLIN}, {.fd = cancel, .events = POLLIN}};
    int64_t left = deadline == INT64_MAX ? 0 : deadline - yk_nats_now();
    struct timespec time = {.tv_sec = left / YK_SECOND_NS, .tv_nsec = left % YK_SECOND_NS};

    if (left < 0)
        time = (struct timespec){.tv_sec = 0};
    int ready = ppoll(fds, 2, deadline == INT64_MAX ? NULL : &time, NULL);
    if (ready < 0)
        return -errno;
    if (fds[1].revents)
        return yk_fail(ECANCELED, "the peer was left");
    return ready == 0 ? -ETIMEDOUT : 0;
}

int yk_nats_peer_next(struct yk_nats_peer *peer, int cancel, yoke_endpoint *fresh,
                      yoke_endpoint **ret_ready, int64_t timeout_ns)
{
    int bell = ret_ready ? peer->bell : peer->door;
    int64_t deadline = yk_nats_deadline(timeout_ns);

    for (;;) {
        yk_nats_silence(bell); /* before the look: what is rung after it is heard */
        int result = look(peer, fresh, ret_ready, timeout_ns == 0);
        if (result > 0) {
            yk_nats_ring(bell); /* there may be more */
            return result - 1;
        }
        if (result == 0 && timeout_ns == 0)
            result = -EAGAIN;
        if (result == 0)
            result = sleep_until(bell, cancel, deadline);
        if (result < 0)
            return result;
    }
}
