/*
 * watch.c - see watch.h.
 */
#include "watch.h"

#include <errno.h>
#include <string.h>
#include <sys/inotify.h>

#include "base/fork.h"
#include "base/log.h"
#include "base/sys.h"

#define NO_WATCH INT64_C(50000000)
#define DRAINS   64 /* reads in one go: what comes faster than that is seen the next time */

/*
 * When to look again after it was stirred. The kernel tells of a closed file just before it drops
 * its lock; that takes it a microsecond, or as long as the dying process does not get to run.
 */
static const int64_t looks_after[] = {INT64_C(1000000),    INT64_C(8000000),
                                      INT64_C(64000000),   INT64_C(512000000),
                                      INT64_C(4096000000), INT64_C(32768000000)};
#define LOOKS (uint32_t)(sizeof looks_after / sizeof looks_after[0])

static struct {
    int fd;
    uint64_t fork_stamp; /* the process that it belongs to; 0: nobody's */
    struct yk_watch *watches;
} own = {.fd = -1};

static void lock(void)
{
    yk_watch_lock();
    if (own.fork_stamp == yk_fork_stamp())
        return;
    /* a forked child: the instance and what it watches are the parent's */
    if (own.fd >= 0)
        yk_sys_close(own.fd);
    own.fd = -1;
    own.watches = NULL;
    own.fork_stamp = yk_fork_stamp();
}

static void unlock(void)
{
    yk_watch_unlock();
}

static int begin(struct yk_watch *watch, const char *path, int (*add)(int fd, const char *path))
{
    lock();
    if (own.fd < 0)
        own.fd = yk_sys_inotify();
    int result = own.fd < 0 ? own.fd : add(own.fd, path);
    if (result >= 0) {
        watch->number = result;
        watch->fork_stamp = own.fork_stamp;
        watch->next = own.watches;
        own.watches = watch;
    }
    unlock();
    if (result < 0)
        yk_log("%s can not be watched: %s; it is looked at now and then instead", path,
               strerror(-result));
    return result < 0 ? result : 0;
}

int yk_watch_file(struct yk_watch *watch, const char *path)
{
    return begin(watch, path, yk_sys_inotify_file);
}

int yk_watch_names(struct yk_watch *watch, const char *directory)
{
    return begin(watch, directory, yk_sys_inotify_names);
}

static bool is_watched(int number)
{
    for (const struct yk_watch *watch = own.watches; watch; watch = watch->next) {
        if (watch->number == number)
            return true;
    }
    return false;
}

void yk_watch_end(struct yk_watch *watch)
{
    lock();
    if (watch->fork_stamp == own.fork_stamp) {
        for (struct yk_watch **at = &own.watches; *at; at = &(*at)->next) {
            if (*at == watch) {
                *at = watch->next;
                break;
            }
        }
        if (!is_watched(watch->number))
            yk_sys_inotify_remove(own.fd, watch->number);
    }
    watch->fork_stamp = 0;
    unlock();
}

int yk_watch_descriptor(void)
{
    lock();
    int fd = own.fd;
    unlock();
    return fd;
}

/* All of them when events were lost: then nobody knows whom they concerned. */
static void stir(const struct inotify_event *event)
{
    bool all = (event->mask & IN_Q_OVERFLOW) != 0;
    for (struct yk_watch *watch = own.watches; watch; watch = watch->next) {
        bool written = event->mask == IN_MODIFY;
        if (!all && watch->number != event->wd)
            continue;
        if (!written)
            yk_store32_release(&watch->stirred, 1);
        watch->stir(watch, written);
    }
}

void yk_watch_drain(void)
{
    _Alignas(struct inotify_event) char events[4096];
    lock();
    ssize_t size = 1;
    for (int i = 0; i < DRAINS && own.fd >= 0 && size > 0; i++) {
        size = yk_sys_read(own.fd, events, sizeof events);
        for (ssize_t at = 0; at < size;) {
            const struct inotify_event *event = (const void *)&events[at];
            stir(event);
            at += (ssize_t)(sizeof *event + event->len);
        }
    }
    unlock();
}

/* Until the next look; INT64_MAX: there is none to come. Relaxed: private. */
static int64_t time_left(const struct yk_watch *watch)
{
    uint32_t looks = yk_load32_relaxed(&watch->looks);
    if (looks == 0 || looks > LOOKS)
        return looks == 0 ? INT64_MAX : 0;
    int64_t at = (int64_t)yk_load_relaxed(&watch->stirred_at) + looks_after[LOOKS - looks];
    int64_t now = yk_now();
    return at > now ? at - now : 0;
}

bool yk_watch_is_due(struct yk_watch *watch)
{
    uint32_t stirred = 1;
    if (yk_cas32_seq(&watch->stirred, &stirred, 0)) {
        /* relaxed: threads that are here at once look once too often */
        yk_store_relaxed(&watch->stirred_at, (uint64_t)yk_now());
        yk_store32_relaxed(&watch->looks, LOOKS + 1);
    }
    return watch->fork_stamp == 0 || time_left(watch) == 0;
}

int64_t yk_watch_again(struct yk_watch *watch, bool looked)
{
    uint32_t looks = yk_load32_relaxed(&watch->looks);
    if (watch->fork_stamp == 0)
        return NO_WATCH;
    if (looked && looks > 0)
        yk_store32_relaxed(&watch->looks, looks - 1);
    int64_t left = time_left(watch);
    return left == INT64_MAX ? 0 : left > 0 ? left : 1;
}
