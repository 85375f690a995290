/*
 * peer.c - see peer.h.
 */
#include "peer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void arrived(struct yk_line *line, char kind, uint64_t token, natsMsg *message)
{
    struct yk_nats_peer *peer = (struct yk_nats_peer *)line;

    pthread_mutex_lock(&peer->mutex);
    if (kind == YK_ASKED_RENEW)
        yk_here_answer(&peer->here, token, message);
    else if (kind == YK_ASKED_WORDS)
        yk_nats_peer_waiting_answer(peer, message);
    pthread_mutex_unlock(&peer->mutex);
    natsMsg_Destroy(message);
}

static void tick(struct yk_line *line, int64_t now)
{
    struct yk_nats_peer *peer = (struct yk_nats_peer *)line;

    pthread_mutex_lock(&peer->mutex);
    if (yk_here_is_due(&peer->here, now))
        yk_here_renew(&peer->here, now, json_incref(peer->description));
    yk_nats_peer_waiting_tick(peer, now);
    pthread_mutex_unlock(&peer->mutex);
}

static void interrupted(struct yk_line *line, bool over)
{
    struct yk_nats_peer *peer = (struct yk_nats_peer *)line;

    (void)over;
    pthread_mutex_lock(&peer->mutex);
    peer->asked = 0; /* what was said meanwhile was missed */
    pthread_mutex_unlock(&peer->mutex);
}

static void peer_free(struct yk_nats_peer *peer)
{
    yk_hub_remove(&peer->line);
    yk_nats_peer_end_waiting(peer);
    pthread_mutex_destroy(&peer->mutex);
    json_decref(peer->description);
    free(peer);
}

static int join(struct yk_nats_peer **ret, struct yk_hub *hub, const char *name)
{
    struct yk_nats_peer *peer = calloc(1, sizeof *peer);

    if (!peer)
        return yk_fail(ENOMEM, "no memory for a peer");
    strcpy(peer->name, name);
    peer->description = yk_here_describe();
    pthread_mutex_init(&peer->mutex, NULL);
    yk_nats_peer_init_waiting(peer);
    peer->line =
        (struct yk_line){.hub = hub, .arrived = arrived, .tick = tick, .interrupted = interrupted};
    yk_hub_add(hub, &peer->line);
    struct yk_here here;
    int result =
        yk_here_enter_alone(&here, &peer->line, YK_PEER, name, json_incref(peer->description));
    if (result < 0) {
        peer_free(peer);
        return result;
    }
    pthread_mutex_lock(&peer->mutex);
    peer->here = here;
    pthread_mutex_unlock(&peer->mutex);
    *ret = peer;
    return 0;
}

int yk_nats_peer_hold(struct yk_nats_peer **ret, struct yk_hub *hub, const char *name)
{
    struct yk_nats_peer *peer;
    int result = 0;

    pthread_mutex_lock(&hub->peers_mutex);
    for (peer = hub->peers; peer && strcmp(peer->name, name) != 0; peer = peer->next)
        ;
    if (!peer) {
        result = join(&peer, hub, name);
        if (result == 0) {
            peer->next = hub->peers;
            hub->peers = peer;
        }
    }
    if (result == 0) {
        peer->users++;
        *ret = peer;
    }
    pthread_mutex_unlock(&hub->peers_mutex);
    return result;
}

void yk_nats_peer_drop(struct yk_nats_peer *peer)
{
    struct yk_hub *hub = peer->line.hub;

    pthread_mutex_lock(&hub->peers_mutex);
    if (--peer->users == 0) {
        for (struct yk_nats_peer **at = &hub->peers; *at; at = &(*at)->next)
            if (*at == peer) {
                *at = peer->next;
                break;
            }
        pthread_mutex_lock(&peer->mutex);
        struct yk_here here = peer->here;
        peer->here.sequence = 0; /* it is not renewed any more */
        pthread_mutex_unlock(&peer->mutex);
        yk_here_leave(&here);
        peer_free(peer);
    }
    pthread_mutex_unlock(&hub->peers_mutex);
}

bool yk_nats_peer_is_lost(struct yk_nats_peer *peer)
{
    pthread_mutex_lock(&peer->mutex);
    bool lost = peer->here.lost;
    pthread_mutex_unlock(&peer->mutex);
    return lost;
}

bool yk_nats_peer_is_certain(struct yk_nats_peer *peer)
{
    pthread_mutex_lock(&peer->mutex);
    bool certain = yk_here_is_certain(&peer->here);
    pthread_mutex_unlock(&peer->mutex);
    return certain;
}
