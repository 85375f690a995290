/*
 * scenes.c - see scenes.h.
 *
 * The calls do not wait (but for those that are called so), since a call that waits looks again and again
 * on purpose.
 */
#include <stdbool.h>

#include "scenes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "inspect.h"

#define A       world->ends[0]
#define B       world->ends[1]
#define SMALL   24
#define LARGE   1200
#define A_WHILE INT64_C(300000)

static int64_t must(int64_t result)
{
    if (result < 0) {
        fprintf(stderr, "preparing: %lld, %s\n", (long long)result, yoke_explain());
        abort();
    }
    return result;
}

bool scene_is_known(int64_t result)
{
    static const int errors[] = {EAGAIN,     ETIMEDOUT, ECANCELED,       EOWNERDEAD, EPIPE,
                                 EPROTO,     EBUSY,     EPROTONOSUPPORT, EMSGSIZE,   ENOSPC,
                                 EADDRINUSE, EDEADLK,   EPERM,           ENOENT,     EACCES,
                                 EINVAL,     ENOMEM,    ENOTSUP,         EEXIST,     EINTR};
    bool known = result >= 0;

    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        known |= result == -errors[i];
    return known;
}

static struct yoke_options options(void)
{
    struct yoke_options result = YOKE_OPTIONS_INIT;

    result.spin_ns = 0;
    return result;
}

/* Somebody who dies in the middle of it. */
static void in_a_child(void (*run)(struct world *world), struct world *world)
{
    int status = -1;
    pid_t child = fork();

    if (child == 0) {
        run(world);
        _exit(0);
    }
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
        abort();
}

/* ---- ports ------------------------------------------------------------------------------------------ */

static yoke_endpoint *open_port(uint32_t flags)
{
    struct yoke_options own = options();
    yoke_endpoint *end = NULL;

    own.depth = 4;
    own.max_message = 2000;
    own.participants = 4;
    own.priorities = 2;
    own.max_borrowed = 2;
    own.max_parked = 2;
    own.max_deliveries = 2;
    must(yoke_open(&end, "port:scene", flags, &own));
    return end;
}

static void port_empty(struct world *world)
{
    A = open_port(YOKE_CREATE);
    B = open_port(0);
}

static void port_one(struct world *world)
{
    port_empty(world);
    must(yoke_send(A, world->bytes, SMALL, YOKE_NOW));
}

static void port_full(struct world *world)
{
    port_empty(world);
    for (int i = 0; i < 4; i++)
        must(yoke_send(A, world->bytes, LARGE, YOKE_NOW));
}

static void port_waited_for(struct world *world)
{
    port_empty(world);
    must(yoke_fd(B));
    yoke_recv(B, world->bytes, sizeof world->bytes, YOKE_NOW); /* arms it */
}

static void port_lent(struct world *world)
{
    port_full(world);
    must(yoke_borrow(B, &world->lent, YOKE_NOW));
}

static void port_returned(struct world *world)
{
    port_lent(world);
    must(yoke_return(B, world->lent));
}

static void port_twice(struct world *world)
{
    port_returned(world);
    must(yoke_borrow(B, &world->lent, YOKE_NOW));
}

static void port_parked(struct world *world)
{
    port_twice(world);
    must(yoke_return(B, world->lent));
    world->ends[2] = open_port(YOKE_PARKED);
}

static void port_loan(struct world *world)
{
    port_empty(world);
    must(yoke_loan(A, SMALL, &world->loan, YOKE_NOW));
}

static void die_holding(struct world *world)
{
    yoke_endpoint *end = open_port(0);

    must(yoke_send(end, world->bytes, SMALL, YOKE_NOW));
    must(yoke_borrow(end, &world->lent, YOKE_NOW));
}

static void port_dead(struct world *world)
{
    port_full(world);
    must(yoke_recv(A, world->bytes, sizeof world->bytes, YOKE_NOW));
    in_a_child(die_holding, world);
    world->lent = NULL;
}

static int64_t port_join(struct world *world)
{
    struct yoke_options own = options();

    return yoke_open(&world->ends[2], "port:scene", 0, &own);
}

static int64_t inspect_port(struct world *world)
{
    struct yk_object_facts facts;
    struct yk_participant_facts *people = NULL;
    size_t count;
    int result = yk_inspect("port:scene", &facts, &people, &count);

    (void)world;
    free(people);
    return result;
}

/* ---- calls that all endpoints have ------------------------------------------------------------------ */

static int64_t send_small(struct world *world)
{
    return yoke_send(A, world->bytes, SMALL, YOKE_NOW);
}

static int64_t send_large(struct world *world)
{
    return yoke_send(A, world->bytes, LARGE, YOKE_NOW);
}

static int64_t send_waiting(struct world *world)
{
    return yoke_send(A, world->bytes, LARGE, A_WHILE);
}

static int64_t send_several(struct world *world)
{
    struct yoke_message messages[3] = {{.data = world->bytes, .size = SMALL, .tag = 1},
                                       {.data = world->bytes, .size = LARGE},
                                       {.data = world->bytes, .size = SMALL}};

    return yoke_send_many(A, messages, 3, YOKE_NOW);
}

static int64_t receive_into(struct world *world, size_t capacity, int64_t timeout_ns)
{
    unsigned char *buffer = malloc(capacity); /* of exactly that size */
    int64_t size = yoke_recv(B, buffer, capacity, timeout_ns);

    if (size > (int64_t)capacity)
        abort();
    free(buffer);
    return size;
}

static int64_t receive(struct world *world)
{
    return receive_into(world, yoke_max_message(B), YOKE_NOW);
}

static int64_t receive_little(struct world *world)
{
    return receive_into(world, 40, YOKE_NOW);
}

static int64_t receive_waiting(struct world *world)
{
    return receive_into(world, yoke_max_message(B), A_WHILE);
}

static int64_t receive_parked(struct world *world)
{
    return yoke_recv(world->ends[2], world->bytes, sizeof world->bytes, YOKE_NOW);
}

static int64_t receive_several(struct world *world)
{
    unsigned char *buffers = malloc(3 * LARGE);
    struct yoke_message messages[3] = {{.data = buffers, .capacity = LARGE},
                                       {.data = buffers + LARGE, .capacity = LARGE},
                                       {.data = buffers + 2 * LARGE, .capacity = LARGE}};
    int64_t result = yoke_recv_many(B, messages, 3, YOKE_NOW);

    free(buffers);
    return result;
}

static int64_t borrow(struct world *world)
{
    return yoke_borrow(B, &world->lent, YOKE_NOW);
}

static int64_t release(struct world *world)
{
    return yoke_release(B, world->lent);
}

static int64_t give_back(struct world *world)
{
    return yoke_return(B, world->lent);
}

static int64_t loan(struct world *world)
{
    return yoke_loan(A, LARGE, &world->loan, YOKE_NOW);
}

static int64_t commit(struct world *world)
{
    return yoke_commit(A, world->loan, SMALL);
}

static int64_t drop_loan(struct world *world)
{
    return yoke_release(A, world->loan);
}

static int64_t close_one(struct world *world)
{
    int64_t result = yoke_close(B);

    B = NULL;
    return result;
}

static int64_t descriptor(struct world *world)
{
    int64_t result = yoke_fd(B);

    return result < 0 ? result : 0;
}

/* ---- links ------------------------------------------------------------------------------------------ */

static void pair_made(struct world *world)
{
    struct yoke_options own = options();

    own.depth = 4;
    own.max_message = 2000;
    must(yoke_pair(world->fds, &own));
}

static void open_both(struct world *world)
{
    for (int i = 0; i < 2; i++)
        must(yoke_open_descriptor(&world->ends[i], world->fds[i], NULL));
}

static void pair_empty(struct world *world)
{
    pair_made(world);
    open_both(world);
}

static void pair_small(struct world *world)
{
    pair_empty(world);
    must(yoke_send(A, world->bytes, SMALL, YOKE_NOW));
}

static void pair_full(struct world *world)
{
    pair_empty(world);
    for (int i = 0; i < 4; i++)
        must(yoke_send(A, world->bytes, LARGE, YOKE_NOW));
}

static void pair_tagged(struct world *world)
{
    struct yoke_message message = {.data = world->bytes, .size = SMALL, .tag = 9};

    pair_empty(world);
    must(yoke_send_many(A, &message, 1, YOKE_NOW));
}

static void pair_lent(struct world *world)
{
    pair_full(world);
    must(yoke_borrow(B, &world->lent, YOKE_NOW));
}

static void pair_returned(struct world *world)
{
    pair_lent(world);
    must(yoke_return(B, world->lent));
}

static void pair_loan(struct world *world)
{
    pair_empty(world);
    must(yoke_loan(A, LARGE, &world->loan, YOKE_NOW));
}

static void pair_armed(struct world *world)
{
    pair_empty(world);
    must(yoke_fd(B));
    yoke_recv(B, world->bytes, sizeof world->bytes, YOKE_NOW);
}

/* Both were there, and left messages: some in hand, some not. */
static void pair_left(struct world *world)
{
    pair_lent(world);
    for (int i = 0; i < 2; i++) {
        must(yoke_close(world->ends[i]));
        world->ends[i] = NULL;
    }
    world->lent = NULL;
}

static int64_t open_sender(struct world *world)
{
    return yoke_open_descriptor(&A, world->fds[0], NULL);
}

static int64_t open_receiver(struct world *world)
{
    return yoke_open_descriptor(&B, world->fds[1], NULL);
}

static int64_t meet(struct world *world)
{
    return yoke_link_wait(B, YOKE_NOW);
}

/* ---- streams ---------------------------------------------------------------------------------------- */

static void stream_made(struct world *world)
{
    struct yoke_options own = options();
    int reading;

    own.capacity = 4096;
    must(yoke_stream_pair(world->fds, &own));
    reading = world->fds[0];
    world->fds[0] = world->fds[1]; /* end A writes */
    world->fds[1] = reading;
    world->other = open("/dev/null", O_RDWR | O_CLOEXEC);
}

static void stream_empty(struct world *world)
{
    stream_made(world);
    open_both(world);
}

static void stream_some(struct world *world)
{
    stream_empty(world);
    must(yoke_write(A, world->bytes, 3000, YOKE_NOW));
    must(yoke_read(B, world->bytes, 2500, YOKE_NOW));
    must(yoke_write(A, world->bytes, 2000, YOKE_NOW)); /* around the end */
}

static void stream_ended(struct world *world)
{
    stream_empty(world);
    must(yoke_close(A));
    A = NULL;
}

static void stream_named(struct world *world)
{
    struct yoke_options own = options();

    own.capacity = 4096;
    own.participants = 4;
    must(yoke_open(&A, "stream:scene", YOKE_CREATE | YOKE_WRITE, &own));
    must(yoke_open(&B, "stream:scene", YOKE_READ, &own));
    must(yoke_write(A, world->bytes, 100, YOKE_NOW));
}

static int64_t stream_join(struct world *world)
{
    struct yoke_options own = options();

    return yoke_open(&world->ends[2], "stream:scene", YOKE_READ, &own);
}

static int64_t write_some(struct world *world)
{
    return yoke_write(A, world->bytes, 1500, YOKE_NOW);
}

static int64_t read_some(struct world *world)
{
    unsigned char *buffer = malloc(3000);
    int64_t size = yoke_read(B, buffer, 3000, YOKE_NOW);

    if (size > 3000)
        abort();
    free(buffer);
    return size;
}

static int64_t read_waiting(struct world *world)
{
    return yoke_read(B, world->bytes, sizeof world->bytes, A_WHILE);
}

static int64_t move_out(struct world *world)
{
    return yoke_move(B, world->other, 3000, YOKE_NOW);
}

static int64_t move_in(struct world *world)
{
    int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    int64_t result = yoke_move(A, fd, 3000, YOKE_NOW);

    close(fd);
    return result;
}

static int64_t end(struct world *world)
{
    return yoke_stream_end(B);
}

/* ---- regions ---------------------------------------------------------------------------------------- */

static yoke_lock *lock_of(struct world *world)
{
    return yoke_region_data(world->region);
}

static yoke_semaphore *semaphore_of(struct world *world)
{
    return (yoke_semaphore *)((unsigned char *)yoke_region_data(world->region) + 64);
}

static yoke_event *event_of(struct world *world)
{
    return (yoke_event *)((unsigned char *)yoke_region_data(world->region) + 256);
}

static void region_made(struct world *world)
{
    struct yoke_region_options own = YOKE_REGION_OPTIONS_INIT;

    own.participants = 4;
    must(yoke_region_create(&world->region, "scene", 4096, &own));
    must(yoke_semaphore_init(world->region, semaphore_of(world), 3));
}

static void die_locking(struct world *world)
{
    must(yoke_region_open(&world->region, "scene", 0));
    must(yoke_lock_acquire(world->region, lock_of(world), YOKE_NOW));
    for (int i = 0; i < 3; i++)
        must(yoke_semaphore_acquire(world->region, semaphore_of(world), YOKE_NOW));
}

static void region_dead(struct world *world)
{
    yoke_region *own;

    region_made(world);
    own = world->region;
    in_a_child(die_locking, world);
    world->region = own;
}

static void region_locked(struct world *world)
{
    region_made(world);
    must(yoke_lock_acquire(world->region, lock_of(world), YOKE_NOW));
    must(yoke_semaphore_acquire(world->region, semaphore_of(world), YOKE_NOW));
}

static int64_t region_join(struct world *world)
{
    yoke_region *region = NULL;
    int64_t result = yoke_region_open(&region, "scene", 0);

    (void)world;
    if (region)
        yoke_region_close(region);
    return result;
}

static int64_t region_read(struct world *world)
{
    yoke_region *region = NULL;
    int64_t result = yoke_region_open(&region, "scene", YOKE_READ_ONLY);

    (void)world;
    if (region)
        yoke_region_close(region);
    return result;
}

static int64_t acquire(struct world *world)
{
    return yoke_lock_acquire(world->region, lock_of(world), YOKE_NOW);
}

static int64_t acquire_waiting(struct world *world)
{
    return yoke_lock_acquire(world->region, lock_of(world), A_WHILE);
}

static int64_t unlock(struct world *world)
{
    return yoke_lock_release(world->region, lock_of(world));
}

static int64_t take_unit(struct world *world)
{
    return yoke_semaphore_acquire(world->region, semaphore_of(world), YOKE_NOW);
}

static int64_t give_unit(struct world *world)
{
    return yoke_semaphore_release(world->region, semaphore_of(world));
}

static int64_t units(struct world *world)
{
    return yoke_semaphore_value(world->region, semaphore_of(world));
}

static int64_t notify(struct world *world)
{
    return yoke_event_notify(world->region, event_of(world));
}

static int64_t await(struct world *world)
{
    uint64_t seen = 0;

    return yoke_event_wait(world->region, event_of(world), &seen, YOKE_NOW);
}

/* ---- peers, signals --------------------------------------------------------------------------------- */

static void peers_joined(struct world *world)
{
    must(yoke_peer_join(&world->peers[0], "alice", NULL));
    must(yoke_peer_join(&world->peers[1], "bob", NULL));
}

static void link_offered(struct world *world)
{
    struct yoke_options own = options();

    peers_joined(world);
    own.as = "bob";
    own.depth = 4;
    must(yoke_open(&A, "link:alice", YOKE_CREATE, &own));
}

static void inbox_open(struct world *world)
{
    struct yoke_options own = options();

    peers_joined(world);
    own.depth = own.participants = 4;
    must(yoke_signals_open(&A, world->peers[0], 0, &own));
    must(yoke_signal_send(world->peers[1], "alice", 1, 2));
}

static int64_t list(struct world *world)
{
    struct yoke_peer_info infos[4];

    (void)world;
    return yoke_peer_list(infos, 4);
}

static int64_t wait_here(struct world *world)
{
    (void)world;
    return yoke_peer_wait("bob", YOKE_PEER_HERE, YOKE_NOW);
}

static int64_t kill_peer(struct world *world)
{
    (void)world;
    return yoke_signal_kill("bob", 0);
}

static int64_t accept_link(struct world *world)
{
    return yoke_peer_accept(world->peers[0], &B, NULL, YOKE_NOW);
}

static int64_t send_signal(struct world *world)
{
    return yoke_signal_send(world->peers[1], "alice", 3, 4);
}

static int64_t receive_signal(struct world *world)
{
    struct yoke_signal signal;

    return yoke_signal_recv(A, &signal, YOKE_NOW);
}

/* ----------------------------------------------------------------------------------------------------- */

const struct scene scenes[] = {
    {"port: open", port_full, port_join},
    {"port: open, with a dead one", port_dead, port_join},
    {"port: send", port_empty, send_small},
    {"port: send to a full one", port_full, send_small},
    {"port: send to a full one, waiting", port_full, send_waiting},
    {"port: send, and ring", port_waited_for, send_small},
    {"port: send several", port_empty, send_several},
    {"port: receive", port_one, receive},
    {"port: receive from an empty one", port_empty, receive},
    {"port: receive, waiting", port_empty, receive_waiting},
    {"port: receive into too little", port_full, receive_little},
    {"port: receive several", port_full, receive_several},
    {"port: receive again", port_returned, receive},
    {"port: receive what is parked", port_parked, receive_parked},
    {"port: receive what a dead one held", port_dead, receive},
    {"port: borrow", port_full, borrow},
    {"port: release", port_lent, release},
    {"port: return", port_lent, give_back},
    {"port: return, and park", port_twice, give_back},
    {"port: loan", port_empty, loan},
    {"port: commit", port_loan, commit},
    {"port: release a loan", port_loan, drop_loan},
    {"port: descriptor", port_one, descriptor},
    {"port: close", port_lent, close_one},
    {"port: inspect", port_twice, inspect_port},
    {"link: open anew, to send", pair_left, open_sender},
    {"link: open anew, to receive", pair_left, open_receiver},
    {"link: send", pair_empty, send_small},
    {"link: send much", pair_empty, send_large},
    {"link: send to a full one", pair_full, send_large},
    {"link: send several", pair_empty, send_several},
    {"link: send, and ring", pair_armed, send_small},
    {"link: receive", pair_small, receive},
    {"link: receive much", pair_full, receive},
    {"link: receive what is tagged", pair_tagged, receive},
    {"link: receive from an empty one", pair_empty, receive},
    {"link: receive, waiting", pair_empty, receive_waiting},
    {"link: receive into too little", pair_full, receive_little},
    {"link: receive several", pair_full, receive_several},
    {"link: receive again", pair_returned, receive},
    {"link: borrow", pair_full, borrow},
    {"link: release", pair_lent, release},
    {"link: return", pair_lent, give_back},
    {"link: loan", pair_empty, loan},
    {"link: commit", pair_loan, commit},
    {"link: wait for the other end", pair_empty, meet},
    {"link: descriptor", pair_small, descriptor},
    {"link: close", pair_lent, close_one},
    {"stream: open", stream_named, stream_join},
    {"stream: open by descriptor", stream_made, open_receiver},
    {"stream: write", stream_some, write_some},
    {"stream: read", stream_some, read_some},
    {"stream: read an empty one", stream_empty, read_some},
    {"stream: read, waiting", stream_empty, read_waiting},
    {"stream: read at the end", stream_ended, read_some},
    {"stream: move out", stream_some, move_out},
    {"stream: move in", stream_some, move_in},
    {"stream: end", stream_ended, end},
    {"stream: descriptor", stream_some, descriptor},
    {"stream: close", stream_some, close_one},
    {"region: open", region_locked, region_join},
    {"region: open to read", region_locked, region_read},
    {"region: lock", region_made, acquire},
    {"region: lock after a death", region_dead, acquire},
    {"region: lock, waiting", region_dead, acquire_waiting},
    {"region: unlock", region_locked, unlock},
    {"region: take a unit", region_locked, take_unit},
    {"region: take a unit after a death", region_dead, take_unit},
    {"region: give a unit", region_locked, give_unit},
    {"region: count units", region_dead, units},
    {"region: notify", region_made, notify},
    {"region: await", region_made, await},
    {"peer: list", peers_joined, list},
    {"peer: wait", peers_joined, wait_here},
    {"peer: kill", peers_joined, kill_peer},
    {"peer: accept", link_offered, accept_link},
    {"signals: send", inbox_open, send_signal},
    {"signals: receive", inbox_open, receive_signal},
};
const unsigned scene_count = sizeof scenes / sizeof *scenes;

void scene_begin(const struct scene *scene, struct world *world)
{
    memset(world, 0, sizeof *world);
    world->fds[0] = world->fds[1] = world->other = -1;
    memset(world->bytes, 'b', sizeof world->bytes);
    scene->prepare(world);
}

void scene_end(struct world *world)
{
    int results = 0;

    for (int i = 0; i < 3; i++)
        results |= yoke_close(world->ends[i]);
    results |= yoke_region_close(world->region);
    if (world->peers[0]) /* finds out that the inbox is gone, and lets go of it */
        yoke_signal_send(NULL, "alice", 1, 1);
    for (int i = 0; i < 2; i++) {
        results |= yoke_peer_leave(world->peers[i]);
        if (world->fds[i] >= 0)
            close(world->fds[i]);
    }
    if (world->other >= 0)
        close(world->other);
    if (results != 0)
        abort();
}
