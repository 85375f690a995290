/*
 * loop.c - descriptors in an event loop that is not ours: all messages come, and the death behind them.
 *
 * Who sends waits until each message was received, so that one that the loop is not told of hangs.
 */
#include <signal.h>
#include <unistd.h>

#include "../api/api.h"
#include "loop.h"

#define MESSAGES 500

enum kind { PORT, LINK, PAIR };

struct scene {
    enum kind kind;
    int pair[2];
    yoke_endpoint *receiver;
    atomic_uint *received; /* shared */
    ssize_t end;           /* what was said after the last message */
};

static void open_receiver(struct scene *scene)
{
    if (scene->kind == PORT)
        scene->receiver = port_make("loop", NULL);
    if (scene->kind == LINK)
        scene->receiver = link_make("bob", "alice", NULL);
    if (scene->kind != PAIR)
        return;
    must(yoke_pair(scene->pair, NULL));
    must(yoke_open_descriptor(&scene->receiver, scene->pair[1], NULL));
}

static yoke_endpoint *open_sender(const struct scene *scene)
{
    yoke_endpoint *sender;

    if (scene->kind == PORT)
        return port_join("loop");
    if (scene->kind == LINK)
        return link_join("alice", "bob");
    must(yoke_open_descriptor(&sender, scene->pair[0], NULL));
    return sender;
}

static int role_sends(void *argument)
{
    struct scene *scene = argument;
    yoke_endpoint *sender = open_sender(scene);
    const void *held;

    for (unsigned i = 0; i < MESSAGES; i++) {
        int64_t end = now_ns() + SOON_MS * MS;

        send_number(sender, i);
        while (atomic_load(scene->received) != i + 1) {
            if (now_ns() > end)
                fail_msg("message %u was not received", i);
            sched_yield();
        }
    }
    if (scene->kind == PORT) { /* what it holds comes again */
        send_number(sender, 0);
        while (yoke_borrow(sender, &held, YOKE_NOW) < 0)
            if (atomic_load(scene->received) > MESSAGES) { /* the loop was quicker */
                atomic_store(scene->received, MESSAGES);
                send_number(sender, 0);
            }
    }
    kill(getpid(), SIGKILL);
    return 0;
}

/* One message each time: it stays readable as long as there is one. */
static bool receive_one(void *context)
{
    struct scene *scene = context;
    uint64_t number;
    struct yoke_message message = {.data = &number, .capacity = sizeof number};
    ssize_t result = yoke_recv_many(scene->receiver, &message, 1, YOKE_NOW);

    scene->end = result;
    if (result == 1 && message.deliveries == 2)
        return false;
    if (result == 1)
        atomic_fetch_add(scene->received, 1);
    return result == 1 || result == -EAGAIN;
}

static void run_scene(enum kind kind)
{
    struct scene scene = {.kind = kind, .received = shared_new(sizeof(atomic_uint))};
    const char *why;
    pid_t pid;

    open_receiver(&scene);
    pid = role_start(role_sends, &scene);
    why = run_loop((int)must(yoke_fd(scene.receiver)), receive_one, &scene);
    role_kill(pid);
    yoke_close(scene.receiver);
    if (kind == PAIR) {
        close(scene.pair[0]);
        close(scene.pair[1]);
    }
    if (kind == LINK) { /* what the dead one left of its name */
        yoke_peer *alice;

        must(yoke_peer_join(&alice, "alice", NULL));
        yoke_peer_leave(alice);
    }
    if (!why) {
        assert_int_equal(atomic_load(scene.received), MESSAGES);
        assert_int_equal(scene.end, kind == PORT ? 1 : -EOWNERDEAD);
    }
    shared_drop(scene.received, sizeof(atomic_uint));
    if (why)
        skip_test("%s", why);
}

static void port_is_served(void **state)
{
    (void)state;
    run_scene(PORT);
}

static void link_is_served(void **state)
{
    (void)state;
    run_scene(LINK);
}

static void pair_is_served(void **state)
{
    (void)state;
    run_scene(PAIR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        api_test(port_is_served),
        api_test(link_is_served),
        api_test(pair_is_served),
    };

    return cmocka_run_group_tests(tests, api_setup, NULL);
}
