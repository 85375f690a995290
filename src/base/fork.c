/*
 * fork.c - see fork.h.
 */
#include "base/fork.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>

#include "base/error.h"
#include "base/sys.h"

struct yk_fork_page *yk_fork_page;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int handlers_result;

static pthread_mutex_t guard_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct yk_guarded_fd *guards;
static uint64_t forking; /* the stamp of who is forking, under the mutex */

static void before_fork(void)
{
    pthread_mutex_lock(&guard_mutex);
    forking = yk_fork_page ? yk_load_relaxed(&yk_fork_page->stamp) : 0; /* relaxed: own process */
}

static void after_fork_in_parent(void)
{
    pthread_mutex_unlock(&guard_mutex);
}

/*
 * An emulator may say that memory is wiped, and not do it (qemu-user): then the child would take itself
 * for its parent.
 */
static void wipe(void)
{
    if (forking == 0 || yk_load_relaxed(&yk_fork_page->stamp) != forking)
        return;
    /* relaxed: there is no other thread yet */
    yk_store_relaxed(&yk_fork_page->stamp, 0);
    yk_store32_relaxed(&yk_fork_page->mutex, 0);
    yk_store32_relaxed(&yk_fork_page->watch_mutex, 0);
}

static void after_fork_in_child(void)
{
    wipe();
    for (struct yk_guarded_fd *guarded = guards; guarded; guarded = guarded->next) {
        if (guarded->fd < 0)
            continue;
        int fresh = guarded->reopen ? yk_sys_reopen(guarded->fd, O_RDWR) : -1;
        yk_sys_close(guarded->fd);
        guarded->fd = fresh < 0 ? -1 : fresh;
    }
    pthread_mutex_unlock(&guard_mutex); /* this thread has it, as in the parent */
}

static void add_handlers(void)
{
    handlers_result = -pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

static int make_page(void)
{
    void *page;
    int result = yk_fork_page ? 0 : yk_sys_map_wiped_on_fork(4096, &page);
    if (result == 0 && !yk_fork_page)
        yk_fork_page = page;
    return result;
}

int yk_fork_init(void)
{
    pthread_once(&once, add_handlers);
    int result = handlers_result;
    if (result == 0) {
        pthread_mutex_lock(&guard_mutex); /* which no fork leaves locked, by these handlers */
        result = make_page();
        pthread_mutex_unlock(&guard_mutex);
    }
    if (result == -EINVAL)
        return yk_fail(ENOTSUP, "memory that is wiped on fork can not be had before Linux 4.14");
    return result < 0 ? yk_fail(-result, "memory that is wiped on fork can not be had: %s",
                                strerror(-result))
                      : 0;
}

uint64_t yk_fork_stamp_slow(void)
{
    uint64_t mine = 0;
    while (mine == 0) {
        if (yk_sys_random(&mine, sizeof mine) < 0)
            mine = (uint64_t)yk_now() << 20 ^ (uint64_t)yk_sys_process_id();
    }
    uint64_t none = 0;
    /* two threads of a fresh process may ask at once: the first one's answer stays */
    return yk_cas_seq(&yk_fork_page->stamp, &none, mine) ? mine : none;
}

static void lock(yk_atomic32 *mutex)
{
    uint32_t free = 0;
    while (!yk_cas32_seq(mutex, &free, 1)) {
        free = 0;
        yk_nap(50000);
    }
}

void yk_process_lock(void)
{
    lock(&yk_fork_page->mutex);
}

void yk_process_unlock(void)
{
    yk_store32_release(&yk_fork_page->mutex, 0);
}

void yk_watch_lock(void)
{
    lock(&yk_fork_page->watch_mutex);
}

void yk_watch_unlock(void)
{
    yk_store32_release(&yk_fork_page->watch_mutex, 0);
}

void yk_guards_lock(void)
{
    pthread_mutex_lock(&guard_mutex);
}

void yk_guards_unlock(void)
{
    pthread_mutex_unlock(&guard_mutex);
}

void yk_guard(struct yk_guarded_fd *guarded, int fd, bool reopen)
{
    pthread_mutex_lock(&guard_mutex);
    guarded->fd = fd;
    guarded->reopen = reopen;
    guarded->previous = NULL;
    guarded->next = guards;
    if (guards)
        guards->previous = guarded;
    guards = guarded;
    pthread_mutex_unlock(&guard_mutex);
}

void yk_unguard_and_close(struct yk_guarded_fd *guarded)
{
    pthread_mutex_lock(&guard_mutex);
    if (guarded->previous)
        guarded->previous->next = guarded->next;
    else
        guards = guarded->next;
    if (guarded->next)
        guarded->next->previous = guarded->previous;
    if (guarded->fd >= 0)
        yk_sys_close(guarded->fd); /* before another thread can fork again */
    guarded->fd = -1;
    pthread_mutex_unlock(&guard_mutex);
}
