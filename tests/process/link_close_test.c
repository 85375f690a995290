/*
 * A close that races the end of another thread's waiting call: the handle may be gone as soon as that
 * thread says that it is out, so it must not touch it any more.
 *
 * The gap is a few instructions long. So the waiting thread is stepped, by the processor's trap flag,
 * and held right behind the instruction by which it leaves, until the handle is closed and its memory
 * unmapped. Whatever it touches after that ends the process.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "../api/api.h"
#include "link.h"

#ifdef __x86_64__

#define TRAP_FLAG 0x100

struct scene {
    struct yk_link *link;
    ssize_t (*call)(struct yk_link *link);
    int way; /* whose `inside` the call is about: 0 receiving, 1 sending */
    atomic_int thread;
    ssize_t result;
    bool was_in;
    atomic_bool held, closed;
};

static struct scene *scene; /* the one that the handler is about */

/* After each instruction of the stepped thread. */
static void on_trap(int number, siginfo_t *info, void *context)
{
    ucontext_t *user = context;
    bool in;

    (void)number;
    (void)info;
    if (atomic_load(&scene->held)) /* the link is gone */
        return;
    in = yk_load32_relaxed(&scene->link->inside[scene->way]) != 0;
    scene->was_in |= in;
    if (in || !scene->was_in)
        return;
    user->uc_mcontext.gregs[REG_EFL] &= ~(greg_t)TRAP_FLAG; /* runs on, when it may */
    atomic_store(&scene->held, true);
    while (!atomic_load(&scene->closed))
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

static void *run_stepped(void *argument)
{
    struct scene *mine = argument;

    atomic_store(&mine->thread, gettid());
    __asm__ volatile("pushfq\n orq %0, (%%rsp)\n popfq" ::"i"(TRAP_FLAG) : "memory", "cc");
    mine->result = mine->call(mine->link);
    __asm__ volatile("pushfq\n andq %0, (%%rsp)\n popfq" ::"i"(~TRAP_FLAG) : "memory", "cc");
    return NULL;
}

static ssize_t receive(struct yk_link *link)
{
    char byte;

    return yk_link_recv(link, &byte, sizeof byte, YOKE_FOREVER);
}

static ssize_t borrow(struct yk_link *link)
{
    struct yoke_message message = {.data = NULL};

    return yk_link_borrow_many(link, &message, 1, YOKE_FOREVER);
}

static ssize_t meet(struct yk_link *link)
{
    return yk_link_wait(link, YOKE_FOREVER);
}

static ssize_t send_one(struct yk_link *link)
{
    return yk_link_send(link, "x", 1, YOKE_FOREVER);
}

static ssize_t loan(struct yk_link *link)
{
    void *block;

    return yk_link_loan(link, 1, &block, YOKE_FOREVER);
}

/* As yoke_close() does it. */
static void close_under(struct scene *mine)
{
    struct yk_link *link = mine->link;

    yk_store32_release(&link->object.cancelled, 1);
    yk_fence_seq();
    yk_wake_own(&link->object);
    yk_link_expel(link);
    while (!atomic_load(&mine->held)) /* the handler looks into it, too */
        sched_yield();
    yk_link_close(link);
    munmap(link, sizeof *link);
    atomic_store(&mine->closed, true);
}

static int role_closes_under_a_waiting_thread(void *argument)
{
    struct sigaction action = {.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO};
    struct yoke_options options = YOKE_OPTIONS_INIT;
    pthread_t thread;

    scene = argument;
    scene->link =
        mmap(NULL, sizeof *scene->link, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(scene->link != MAP_FAILED);
    options.as = "alice";
    options.depth = 1;
    options.spin_ns = 1; /* it spins, but not for long: each instruction costs microseconds */
    must(yk_link_open(scene->link, "bob", YOKE_CREATE, &options));
    if (scene->way == 1)
        must(yk_link_send(scene->link, "x", 1, YOKE_NOW)); /* now it is full */
    assert_int_equal(sigaction(SIGTRAP, &action, NULL), 0);
    assert_int_equal(pthread_create(&thread, NULL, run_stepped, scene), 0);
    while (atomic_load(&scene->thread) == 0)
        sched_yield();
    role_wait_asleep(atomic_load(&scene->thread), SOON_MS);
    close_under(scene);
    pthread_join(thread, NULL);
    assert_true(atomic_load(&scene->held));
    assert_int_equal(scene->result, -ECANCELED);
    return 0;
}

static void who_leaves_a_wait_touches_nothing_that_a_close_may_have_freed(void **state)
{
    static const struct scene scenes[] = {
        {.call = receive, .way = 0},  {.call = borrow, .way = 0}, {.call = meet, .way = 0},
        {.call = send_one, .way = 1}, {.call = loan, .way = 1},
    };

    (void)state;
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < sizeof scenes / sizeof *scenes; i++) {
            struct scene one = scenes[i];

            if (round == 1)
                setenv("YOKE_MEMBARRIER", "off", 1);
            assert_int_equal(
                role_wait(role_start(role_closes_under_a_waiting_thread, &one), SOON_MS), 0);
        }
    }
    unsetenv("YOKE_MEMBARRIER");
}

#else

static void who_leaves_a_wait_touches_nothing_that_a_close_may_have_freed(void **state)
{
    (void)state;
    skip_test("steps by the trap flag of x86-64");
}

#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        api_test(who_leaves_a_wait_touches_nothing_that_a_close_may_have_freed),
    };

    return cmocka_run_group_tests(tests, api_setup, NULL);
}
