/*
 * notice.c - see notice.h.
 *
 * Why none is missed. The one who receives: stores `armed` (seq_cst), sets its bit (seq_cst), then
 * looks. The other: makes its change (seq_cst, or with a fence after it, or made up for by the
 * membarrier() of who arms), then looks at the bits and at `armed`. So either the look finds the
 * change, or `armed` is seen and the bell is rung. The bell was cleared before it was armed. A late
 * disarming of an earlier arming fails, because the number is another one. The bit only tells where
 * to look, and stays set as long as there is a notice.
 */
#include "notice.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/sys.h"
#include "doorbell.h"

#define ONLY_MARK 1 /* nobody asks which it was */

/* ---- bells ---- */

int yk_bell_make(struct yk_bell *bell, const struct yk_object *object)
{
    struct stat facts;
    bell->nonce = 0;
    if (object->anonymous) {
        bell->fd = yk_sys_eventfd();
        return bell->fd < 0
                   ? yk_fail(-bell->fd, "no descriptor for a doorbell: %s", strerror(-bell->fd))
                   : 0;
    }
    int result = yk_sys_random(&bell->nonce, sizeof bell->nonce);
    if (result == 0)
        result = yk_sys_stat(object->lock.fd, &facts);
    if (result < 0) {
        bell->fd = -1;
        return yk_fail(-result, "no doorbell: %s", strerror(-result));
    }
    bell->nonce |= 1;
    bell->fd = yk_doorbell_make(object->directory, bell->nonce, &facts);
    return bell->fd < 0 ? bell->fd : 0;
}

void yk_bell_remove(struct yk_bell *bell, const char *directory)
{
    if (bell->fd < 0)
        return;
    if (bell->nonce != 0)
        yk_doorbell_remove(directory, bell->nonce);
    yk_sys_close(bell->fd);
    bell->fd = -1;
}

/* ---- a notice ---- */

static struct yk_shm_notice *shared(const struct yk_notice *notice)
{
    const struct yk_object *object = notice->waiting->object;
    return &yk_object_slot(object, object->slot)->notice[notice->which];
}

/* A memory file is written to by whoever rings, for this side or for the other one. */
static void stir(struct yk_watch *watch, bool written)
{
    const struct yk_notice *notice = (const struct yk_notice *)watch;
    (void)written;
    yk_sys_ring(notice->bell, notice->mark);
}

static void watch_object(struct yk_notice *notice)
{
    const struct yk_object *object = notice->waiting->object;
    char path[sizeof object->directory + 64], file[48];
    notice->watch.stir = stir;
    snprintf(path, sizeof path, "/proc/self/fd/%d", object->lock.fd);
    if (yk_watch_file(&notice->watch, path) == 0 || object->anonymous)
        return;
    /* no /proc, or another user's by now. A removed object has no file there any more. */
    yk_live_path(file, object->fixed.nonce);
    snprintf(path, sizeof path, "%s/%s", object->directory, file);
    yk_watch_file(&notice->watch, path); /* or it looks by a timer */
}

void yk_notice_begin(struct yk_notice *notice, struct yk_waiting *waiting, uint32_t which,
                     const struct yk_bell *bell, uint64_t mark)
{
    *notice =
        (struct yk_notice){.waiting = waiting, .which = which, .bell = bell->fd, .mark = mark};
    /* relaxed: `armed` orders them. SYNC notice.armed */
    yk_store_relaxed(&shared(notice)->doorbell, bell->nonce);
    yk_store_relaxed(&shared(notice)->mark, mark);
    watch_object(notice);
}

void yk_notice_end(struct yk_notice *notice)
{
    yk_watch_end(&notice->watch);
    yk_unarm(notice->waiting, notice->waiting->object->slot, notice->which);
}

void yk_notice_arm(struct yk_notice *notice)
{
    const struct yk_object *object = notice->waiting->object;
    yk_atomic64 *armed = &shared(notice)->armed;
    yk_atomic64 *bits = &notice->waiting->shm->bits[object->slot / 64][YK_WAIT_DESCRIPTOR];
    /*
     * A higher number each time, and odd. No load and store: of two threads that arm, the slower one
     * would bring back a number that somebody is about to disarm, and whose ring is cleared already.
     */
    yk_add_seq(armed, 2);
    yk_or_seq(armed, 1);                               /* SYNC notice.armed release */
    yk_or_seq(bits, UINT64_C(1) << object->slot % 64); /* SYNC wait.receive */
    yk_fence_seq(); /* before the caller's look: who changes something does so before its own */
}

void yk_notice_fence(const struct yk_notice *notice)
{
    if (notice->waiting->barrier)
        yk_sys_membarrier();
}

int yk_notice_ring(struct yk_notice *notice)
{
    return yk_sys_ring(notice->bell, notice->mark);
}

int64_t yk_notice_look_for_dead(struct yk_notice *notice)
{
    bool due = yk_watch_is_due(&notice->watch);
    if (due)
        yk_recover_dead(notice->waiting->object);
    return yk_watch_again(&notice->watch, due);
}

/* ---- an endpoint's own descriptor ---- */

static void close_all(struct yk_descriptor *descriptor)
{
    if (descriptor->epoll >= 0)
        yk_sys_close(descriptor->epoll);
    if (descriptor->timer >= 0)
        yk_sys_close(descriptor->timer);
}

static int join_all(struct yk_descriptor *descriptor)
{
    descriptor->epoll = yk_sys_epoll();
    descriptor->timer = descriptor->epoll < 0 ? descriptor->epoll : yk_sys_timer();
    if (descriptor->timer < 0)
        return descriptor->timer;
    int fds[] = {descriptor->bell.fd, descriptor->timer, yk_watch_descriptor()};
    for (int i = 0; i < 3; i++) {
        int result =
            fds[i] < 0 ? 0 : yk_sys_epoll_add(descriptor->epoll, fds[i], YK_SYS_READABLE, 0);
        if (result < 0)
            return result;
    }
    return 0;
}

static int make(struct yk_descriptor *descriptor, struct yk_waiting *waiting)
{
    *descriptor = (struct yk_descriptor){.epoll = -1, .timer = -1, .fork_stamp = yk_fork_stamp()};
    int result = yk_bell_make(&descriptor->bell, waiting->object);
    if (result < 0)
        return result;
    yk_notice_begin(&descriptor->notice, waiting, 0, &descriptor->bell, ONLY_MARK);
    result = join_all(descriptor);
    if (result == 0) /* whoever asks first learns what is there, and arms */
        result = yk_notice_ring(&descriptor->notice);
    if (result == 0)
        return 0;
    close_all(descriptor);
    yk_notice_end(&descriptor->notice);
    yk_bell_remove(&descriptor->bell, waiting->object->directory);
    return yk_fail(-result, "no descriptor to wait on: %s", strerror(-result));
}

int yk_descriptor_open(struct yk_waiting *waiting)
{
    int result = 0;
    yk_process_lock();
    if (waiting->member)
        result = yk_fail(EBUSY, "this endpoint is in a wait set: yoke_set_fd() is its descriptor");
    struct yk_descriptor *descriptor = yk_descriptor_of(waiting);
    if (result == 0 && !descriptor) {
        descriptor = yk_sys_allocate(1, sizeof *descriptor);
        result = descriptor ? make(descriptor, waiting) : yk_fail(ENOMEM, "no memory");
        if (result < 0)
            free(descriptor);
        else
            /* SYNC waiting.descriptor release: other threads are receiving, without the lock */
            yk_store_release(&waiting->descriptor, (uintptr_t)descriptor);
    }
    if (result == 0)
        result = descriptor->epoll;
    yk_process_unlock();
    return result;
}

void yk_descriptor_arm(struct yk_descriptor *descriptor)
{
    yk_watch_drain(); /* before the bell is cleared, which it may ring */
    yk_sys_clear(descriptor->bell.fd);
    yk_sys_clear(
        descriptor->timer); /* before it is asked when to look: another thread may set it */
    int64_t again = yk_notice_look_for_dead(&descriptor->notice);
    if (again > 0)
        yk_sys_timer_set(descriptor->timer, again, 0);
    yk_notice_arm(&descriptor->notice);
    yk_notice_fence(&descriptor->notice);
}

void yk_descriptor_close(struct yk_waiting *waiting)
{
    struct yk_descriptor *descriptor = yk_descriptor_of(waiting);
    if (!descriptor)
        return;
    yk_store_relaxed(&waiting->descriptor, 0); /* relaxed: nobody else uses the handle any more */
    if (descriptor->fork_stamp == yk_fork_stamp()) {
        yk_notice_end(&descriptor->notice);
        yk_bell_remove(&descriptor->bell, waiting->object->directory);
    } else { /* the parent's: its name stays, and what the slot says */
        yk_sys_close(descriptor->bell.fd);
    }
    close_all(descriptor);
    free(descriptor);
}
