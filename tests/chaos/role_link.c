/* role_link.c - a peer at one end of a link, which sends and receives, goes, and comes back under its name. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>

#include "worker.h"

/* Who has the other end open, all the time from one look to the next, has neither left nor died. */
static uint32_t other_end(const struct object *object)
{
    for (uint32_t i = 1; i < shared->seats; i++) {
        const struct seat *seat = &shared->seat[i];
        if (seat->role == LINK_PEER && &objects[seat->object] == object && i != me.number) {
            uint32_t life = atomic_load(&seat->end_life);
            return is_living(i, life) ? life : 0;
        }
    }
    return 0;
}

static yoke_endpoint *open_my_end(const struct object *object)
{
    char address[80];
    uint32_t side = me.seat->style;
    if (!object->address[0])
        return open_end(object->descriptors[side]);
    snprintf(address, sizeof address, "link:%s%s", object->peers[1 - side],
             object->kernel ? "@kernel" : "");
    return open_endpoint(address, 0, object->peers[side]);
}

static void receive(struct receiver *receiver, yoke_endpoint *link, const struct object *object,
                    int64_t timeout_ns)
{
    int64_t error;
    uint32_t before = other_end(object);
    if (receive_some(receiver, link, object, timeout_ns, &error))
        return;
    if (before && (error == -EPIPE || error == -EOWNERDEAD) && before == other_end(object))
        fault("%s: the other end is open, and receiving said %lld (%s)", flows[receiver->flow].name,
              (long long)error, yoke_explain());
    if (!is_answer(error, "receiving from a link", EAGAIN, EINTR, ETIMEDOUT, EPIPE, EOWNERDEAD, 0))
        return;
    if (error == -EPIPE || error == -EOWNERDEAD) {
        error = DOING(AWAITING, yoke_link_wait(link, 20 * MS));
        is_answer(error, "yoke_link_wait", ETIMEDOUT, EINTR, EPIPE, EOWNERDEAD, 0);
    }
}

static void await(yoke_endpoint *link, int timeout_ms)
{
    int fd = yoke_fd(link);
    if (is_answer(fd, "yoke_fd", 0))
        DOING(AWAITING, poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, timeout_ms));
}

void play_link_peer(void)
{
    const struct object *object = &objects[me.seat->object];
    uint32_t side = me.seat->style;
    struct receiver receiver = receiver_new(side == 0 ? object->back : object->flow);
    yoke_endpoint *link = open_my_end(object);
    bool by_descriptor = once_in(2) || flows[receiver.flow].once;
    if (link)
        atomic_store(&me.seat->end_life, me.life);
    atomic_store(&me.seat->attached, me.life);
    while (link && goes_on()) {
        /* when nobody sends it waits for ever; the supervisor interrupts that when all go on */
        bool quiet = atomic_load(&shared->phase) != RUN;
        if (!quiet && !once_in(3))
            send_some(link, object, side == 0 ? object->flow : object->back,
                      once_in(8) ? 5 * MS : YOKE_NOW);
        else if (by_descriptor)
            await(link, quiet ? -1 : (int)pick(20));
        receive(&receiver, link, object,
                by_descriptor ? YOKE_NOW
                : quiet       ? YOKE_FOREVER
                              : (int64_t)pick(3) * MS / 4);
    }
    if (closes())
        DOING(CLOSING, yoke_close(link));
}
