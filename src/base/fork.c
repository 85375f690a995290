/*
 * fork.c - see fork.h.
 */
#include "base/fork.h"

#include <pthread.h>

#include "base/error.h"
#include "base/sys.h"

struct yk_fork_page *yk_fork_page;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int init_result;

static void init_page(void)
{
    void *page;
    init_result = yk_sys_map_wiped_on_fork(4096, &page);
    if (init_result == 0)
        yk_fork_page = page;
}

int yk_fork_init(void)
{
    pthread_once(&once, init_page);
    if (init_result < 0)
        return yk_fail(-init_result, "memory that is wiped on fork can not be had (Linux 4.14 or later?)");
    return 0;
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

void yk_process_lock(void)
{
    uint32_t free = 0;
    while (!yk_cas32_seq(&yk_fork_page->mutex, &free, 1)) {
        free = 0;
        yk_nap(50000);
    }
}

void yk_process_unlock(void)
{
    yk_store32_release(&yk_fork_page->mutex, 0);
}

void yk_fork_set_child_hook(void (*prepare)(void), void (*parent)(void), void (*child)(void))
{
    pthread_atfork(prepare, parent, child);
}
