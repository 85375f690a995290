/* Names under contention: several processes create, open and remove the same one at once. */
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../api/api.h"

#define CREW 8

/* In memory that is none of yoke's. */
static struct notes {
    atomic_int waiting; /* how many are at the start; -1: go */
    atomic_int created, attached;
} * notes;

static void start_together(void)
{
    atomic_fetch_add(&notes->waiting, 1);
    while (atomic_load(&notes->waiting) >= 0)
        sched_yield();
}

static void run_together(int (*role)(void *), void *argument)
{
    pid_t pids[CREW];

    atomic_store(&notes->waiting, 0);
    for (int i = 0; i < CREW; i++)
        pids[i] = role_start(role, argument);
    while (atomic_load(&notes->waiting) < CREW)
        sched_yield();
    atomic_store(&notes->waiting, -1);
    for (int i = 0; i < CREW; i++)
        assert_int_equal(role_wait(pids[i], SOON_MS), 0);
}

static int create(yoke_region **ret, uint32_t flags)
{
    struct yoke_region_options options = YOKE_REGION_OPTIONS_INIT;
    int result;

    options.flags = flags;
    do
        result = yoke_region_create(ret, "contended", 4096, &options);
    while (result == -EBUSY); /* the machine may be so busy that 250 ms are over */
    return result;
}

static int role_creates_exclusively(void *argument)
{
    yoke_region *region;
    int result;

    (void)argument;
    start_together();
    result = create(&region, YOKE_EXCLUSIVE);
    if (result == 0) {
        atomic_fetch_add(&notes->created, 1);
        while (atomic_load(&notes->attached) < CREW - 1) /* the losers must find it there */
            sched_yield();
        return yoke_region_close(region);
    }
    must_fail(result, EEXIST);
    atomic_fetch_add(&notes->attached, 1);
    return 0;
}

static void exactly_one_of_many_creates_exclusively(void **state)
{
    (void)state;
    for (int round = 0; round < 15; round++) {
        atomic_store(&notes->created, 0);
        atomic_store(&notes->attached, 0);
        run_together(role_creates_exclusively, NULL);
        assert_int_equal(atomic_load(&notes->created), 1);
        assert_int_equal(names_left(), 0);
    }
}

static int role_creates_or_opens(void *argument)
{
    yoke_region *region;
    atomic_int *members;

    (void)argument;
    start_together();
    must(create(&region, 0));
    members = yoke_region_data(region);
    if (atomic_fetch_add(members, 1) == 0)
        atomic_fetch_add(&notes->created, 1);
    while (atomic_load(members) < CREW) /* all are in the same memory */
        sched_yield();
    return yoke_region_close(region);
}

static void all_who_create_or_open_at_once_meet_in_one_object(void **state)
{
    (void)state;
    for (int round = 0; round < 15; round++) {
        atomic_store(&notes->created, 0);
        run_together(role_creates_or_opens, NULL);
        assert_int_equal(atomic_load(&notes->created), 1);
        assert_int_equal(names_left(), 0);
    }
}

/* What a call in the storm may answer: the name comes and goes all the time. */
static bool is_calm(int result)
{
    return result >= 0 || result == -ENOENT || result == -EEXIST || result == -EBUSY;
}

static int role_storms(void *argument)
{
    static const uint32_t flags[] = {YOKE_CREATE, YOKE_CREATE | YOKE_KEPT,
                                     YOKE_CREATE | YOKE_EXCLUSIVE, 0};
    unsigned seed = (unsigned)getpid();

    (void)argument;
    start_together();
    for (int i = 0; i < 150; i++) {
        yoke_endpoint *port = NULL;
        int result = yoke_open(&port, "port:stormy", flags[(unsigned)rand_r(&seed) % 4], NULL);

        if (!is_calm(result))
            must(result);
        if (result == 0) {
            uint64_t number;

            yoke_send(port, &(uint64_t){1}, 8, YOKE_NOW);
            yoke_recv(port, &number, 8, YOKE_NOW);
        }
        if (rand_r(&seed) % 2) {
            result = yoke_remove("port:stormy");
            if (!is_calm(result))
                must(result);
        }
        yoke_close(port);
    }
    return 0;
}

static void storm_of_creating_and_removing_leaves_nothing(void **state)
{
    int result;

    (void)state;
    run_together(role_storms, NULL);
    result = yoke_remove("port:stormy"); /* the last one may have been kept */
    assert_true(result == 0 || result == -ENOENT);
    assert_int_equal(names_left(), 0);
}

static int role_makes_kept_ones(void *argument)
{
    yoke_endpoint *port;
    char address[40];

    (void)argument;
    start_together();
    for (int i = 0;; i = (i + 1) % 4) {
        int result;

        snprintf(address, sizeof address, "port:kept-%d", i);
        result = yoke_open(&port, address, YOKE_CREATE | YOKE_KEPT, NULL);
        if (result == 0)
            yoke_close(port);
        else if (!is_calm(result))
            must(result);
        result = yoke_remove(address);
        if (!is_calm(result))
            must(result);
    }
    return 0;
}

/* Kills them wherever they are in creating and removing; then one call on each name clears up. */
static void killed_creators_and_removers_leave_nothing_that_the_next_call_does_not_clear(
    void **state)
{
    enum { COUNT = 4 };

    (void)state;
    srandom((unsigned)test_seed());
    for (int round = 0; round < 25; round++) {
        pid_t pids[COUNT];

        atomic_store(&notes->waiting, -1 - COUNT); /* nobody waits for anybody */
        for (int i = 0; i < COUNT; i++)
            pids[i] = role_start(role_makes_kept_ones, NULL);
        for (long turns = random() % 400; turns > 0; turns--)
            sched_yield();
        usleep((unsigned)(random() % 20000)); /* any moment is as good as any other */
        for (int i = 0; i < COUNT; i++)
            role_kill(pids[i]);
        for (int i = 0; i < 4; i++) {
            yoke_endpoint *port;
            char address[40];

            snprintf(address, sizeof address, "port:kept-%d", i);
            must(yoke_open(&port, address, YOKE_CREATE | YOKE_KEPT, NULL));
            send_number(port, 5);
            assert_int_equal(recv_number(port, YOKE_NOW), 5);
            yoke_close(port);
            must(yoke_remove(address));
        }
        assert_int_equal(names_left(), 0);
    }
}

static int share_notes(void **state)
{
    notes = shared_new(sizeof *notes);
    return api_setup(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        api_test(exactly_one_of_many_creates_exclusively),
        api_test(all_who_create_or_open_at_once_meet_in_one_object),
        api_test(storm_of_creating_and_removing_leaves_nothing),
        api_test(killed_creators_and_removers_leave_nothing_that_the_next_call_does_not_clear),
    };

    return cmocka_run_group_tests(tests, share_notes, NULL);
}
