/*
 * role_other.c - who makes, opens and removes what others make, open and remove under the same names; who is never
 * killed, and must have in the end what it had in the beginning; and the citizens of the crowd.
 */
#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "checks.h"
#include "worker.h"

/* ---- churn ---- */

static void churn_region(uint32_t which)
{
    struct yoke_region_options options = YOKE_REGION_OPTIONS_INIT;
    yoke_region *region = NULL;
    char name[16];
    snprintf(name, sizeof name, "churn%u", which);
    options.flags = (once_in(2) ? YOKE_KEPT : 0) | (once_in(4) ? YOKE_EXCLUSIVE : 0);
    int64_t result =
        DOING(CHURNING, once_in(3) ? yoke_region_open(&region, name, 0)
                                   : yoke_region_create(&region, name, 4096, &options));
    is_answer(result, name, ENOENT, EEXIST, EBUSY, ENOSPC, 0);
    if (region)
        *(volatile uint64_t *)yoke_region_data(region) = me.number;
    if (region && !once_in(8))
        DOING(CLOSING, yoke_region_close(region));
    if (once_in(3)) {
        result = DOING(CHURNING, yoke_region_remove(name));
        is_answer(result, "yoke_region_remove", ENOENT, EBUSY, 0);
    }
}

static void churn_endpoint(uint32_t which)
{
    static const char *const kinds[] = {"port:churn%u", "stream:churn%u", "link:churn%u"};
    struct yoke_options options = YOKE_OPTIONS_INIT;
    yoke_endpoint *endpoint = NULL;
    char address[32], as[16];
    uint32_t kind = pick(3), flags = (once_in(3) ? 0 : YOKE_CREATE);
    snprintf(address, sizeof address, kinds[kind], which);
    snprintf(as, sizeof as, "churner%u", me.number);
    if (kind == 1)
        flags |= once_in(2) ? YOKE_READ : YOKE_WRITE;
    if (kind == 2)
        options.as = as;
    if (kind != 1) {
        options.depth = 4;
        options.max_message = 64;
    }
    if (kind != 2)
        options.participants = 8;
    if (kind != 2 && (flags & YOKE_CREATE) && once_in(3))
        flags |= YOKE_KEPT;
    int64_t result = DOING(CHURNING, yoke_open(&endpoint, address, flags, &options));
    is_answer(result, address, ENOENT, EBUSY, ENOSPC, EADDRINUSE, 0);
    if (endpoint && kind != 1)
        DOING(SENDING, yoke_send(endpoint, "x", 1, YOKE_NOW));
    if (endpoint && !once_in(8))
        DOING(CLOSING, yoke_close(endpoint));
    if (kind != 2 && once_in(3)) {
        result = DOING(CHURNING, yoke_remove(address));
        is_answer(result, "yoke_remove", ENOENT, EBUSY, 0);
    }
}

void play_churner(void)
{
    atomic_store(&me.seat->attached, me.life);
    for (uint32_t left = 20; goes_on() && may_send() && left > 0; left--) {
        if (once_in(2))
            churn_region(pick(3));
        else
            churn_endpoint(pick(3));
        if (once_in(5))
            rest(pick(20) * MS / 10);
    }
    retire();
}

/* ---- who stays ---- */

/* Each object once, by all means to wait; everything closed again. */
static void visit_all(void)
{
    yoke_set *set = NULL;
    is_answer(yoke_set_create(&set), "yoke_set_create", 0);
    for (uint32_t i = 0; i < object_count; i++) {
        const struct object *object = &objects[i];
        if (object->kind == PORT) {
            yoke_endpoint *port = open_endpoint(object->address, 0, NULL);
            if (port && once_in(2))
                is_answer(yoke_fd(port), "yoke_fd", 0);
            else if (port)
                is_answer(yoke_set_add(set, port, NULL), "yoke_set_add", 0);
            DOING(CLOSING, yoke_close(port));
        } else if (object->kind == REGION) {
            yoke_region *region = open_region(object->address);
            DOING(CLOSING, yoke_region_close(region));
        } else if (object->kind == INBOX_OF) {
            is_answer(yoke_peer_wait(object->peers[0], YOKE_PEER_HERE, YOKE_NOW), "yoke_peer_wait",
                      EAGAIN, 0);
            yoke_set_add_gone(set, object->peers[0], NULL);
        }
    }
    is_answer(yoke_peer_list(NULL, 0), "yoke_peer_list", 0);
    DOING(CLOSING, yoke_set_close(set));
}

void play_steady(void)
{
    struct belongings before, after;
    atomic_store(&me.seat->attached, me.life);
    me.left = UINT32_MAX;
    for (int i = 0; i < 20; i++) /* what it keeps, it has now */
        visit_all();
    belongings_count(&before);
    while (goes_on() && may_send()) {
        visit_all();
        rest(MS);
    }
    belongings_count(&after);
    belongings_compare("a process that stayed", &before, &after);
    retire();
}

/* ---- the crowd ---- */

/* Attached to all there is at once; then each does a little of everything. */
void play_citizen(void)
{
    const struct object *port_object = &objects[0], *stream_object = &objects[1];
    yoke_endpoint *port = open_endpoint(port_object->address, 0, NULL);
    bool reads = me.seat->style == 0;
    yoke_endpoint *stream =
        open_endpoint(stream_object->address, reads ? YOKE_READ : YOKE_WRITE, NULL);
    yoke_region *region = open_region(objects[2].address);
    struct receiver receiver = receiver_new(port_object->flow);
    int64_t error;
    atomic_store(&me.seat->attached, me.life);
    me.left = UINT32_MAX;
    while (port && stream && region && goes_on()) {
        if (atomic_load(&shared->phase) == RUN && reads && once_in(8))
            take_turn_once(region);
        if (reads) {
            receive_some(&receiver, port, port_object, (1 + pick(8)) * 250 * MS, &error);
            is_answer(error, "receiving", EAGAIN, ETIMEDOUT, 0);
        } else if (atomic_load(&shared->phase) == RUN) {
            send_some(port, port_object, port_object->flow, 100 * MS);
            rest(pick(500) * MS);
        } else {
            rest(20 * MS);
        }
    }
    if (!closes())
        return;
    DOING(CLOSING, yoke_close(port));
    DOING(CLOSING, yoke_close(stream));
    DOING(CLOSING, yoke_region_close(region));
}
