/*
 * fault_scenarios.c - see fault_scenarios.h. One line of the table at the end for each.
 */
#include "fault_scenarios.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "inspect.h"

union output out;

static yoke_region *region, *other_region;
static yoke_endpoint *one, *two;
static yoke_peer *peer, *other_peer;
static yoke_set *set;
static int pair[2];
static void *place; /* in the region */

int64_t need(int64_t result, const char *call)
{
    if (result < 0)
        wrong("%s: %lld, %s", call, (long long)result, yoke_explain());
    return result;
}

void one_dies(void (*role)(void))
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        role();
        raise(SIGKILL);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status) ||
        WTERMSIG(status) != SIGKILL)
        wrong("the one that was to die did not");
}

static const char *file_of(const char *entry)
{
    static char path[600];
    snprintf(path, sizeof path, "%s/%s", getenv("YOKE_DIR"), entry);
    return path;
}

static void rename_in_directory(const char *from, const char *to)
{
    char old[600];
    strcpy(old, file_of(from));
    if (rename(old, file_of(to)) != 0)
        wrong("%s -> %s: %s", from, to, strerror(errno));
}

void scenarios_close(void)
{
    yoke_set_close(set);
    yoke_close(one);
    yoke_close(two);
    yoke_peer_leave(peer);
    yoke_peer_leave(other_peer);
    yoke_region_close(region);
    yoke_region_close(other_region);
    for (int i = 0; i < 2; i++) {
        if (pair[i] > 0)
            close(pair[i]);
        pair[i] = 0;
    }
    set = NULL;
    one = two = NULL;
    peer = other_peer = NULL;
    region = other_region = NULL;
}

static struct yoke_options small_options(void)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;
    options.depth = 4;
    options.max_message = 200;
    options.participants = 4;
    options.max_borrowed = 2;
    options.spin_ns = 0;
    return options;
}

static int64_t collect(void)
{
    struct yk_gc_item *items = NULL;
    ssize_t count = yk_gc(false, &items);
    if (count >= 0)
        free(items);
    return count;
}

/* ---- regions ---- */

static int64_t create_region(void)
{
    return yoke_region_create(&out.region, "r", 5000, NULL);
}

static int create_with(uint32_t flags, int64_t group)
{
    struct yoke_region_options options = YOKE_REGION_OPTIONS_INIT;
    options.flags = flags;
    options.group = group;
    options.mode = group < 0 ? 0 : 0660;
    return yoke_region_create(&out.region, "r", 5000, &options);
}

static int64_t create_kept_region(void)
{
    return create_with(YOKE_KEPT, -1);
}

static int64_t create_populated_region(void)
{
    return create_with(YOKE_POPULATE | YOKE_EXCLUSIVE, -1);
}

static int64_t create_region_for_group(void)
{
    return create_with(0, getegid());
}

static int64_t open_region(void)
{
    return yoke_region_open(&out.region, "r", 0);
}

static int64_t open_region_read_only(void)
{
    return yoke_region_open(&out.region, "r", YOKE_READ_ONLY);
}

static int64_t open_no_region(void)
{
    return yoke_region_open(&out.region, "none", 0);
}

static void region_is_there(void)
{
    region = out.region;
    EXPECT(yoke_region_size(region) == 5000 && ((char *)yoke_region_data(region))[4999] == 0);
    NEED(yoke_region_open(&other_region, "r", 0));
    scenarios_close();
}

static void kept_region_is_there(void)
{
    region_is_there();
    NEED(yoke_region_open(&region, "r", 0));
    scenarios_close();
    NEED(yoke_region_remove("r"));
}

static void begin_region(void)
{
    NEED(yoke_region_create(&region, "r", 5000, NULL));
    place = yoke_region_data(region);
}

static void begin_two_regions(void)
{
    begin_region();
    NEED(yoke_region_open(&other_region, "r", 0));
}

static void begin_kept_region(void)
{
    create_with(YOKE_KEPT, -1);
    yoke_region_close(out.region);
}

static void region_is_open_twice(void)
{
    EXPECT(yoke_region_data(out.region) != yoke_region_data(region));
    EXPECT(yoke_region_size(out.region) == 5000);
    yoke_region_close(out.region);
    scenarios_close();
}

static void role_region(void)
{
    NEED(create_region());
}

static void role_owner(void)
{
    yoke_region *mine;
    NEED(yoke_region_open(&mine, "r", 0));
    NEED(yoke_lock_acquire(mine, yoke_region_data(mine), YOKE_NOW));
    NEED(yoke_semaphore_acquire(mine, (void *)((char *)yoke_region_data(mine) + 64), YOKE_NOW));
}

static void begin_dead_region_name(void)
{
    one_dies(role_region);
}

static void begin_dead_owner(void)
{
    begin_region();
    NEED(yoke_semaphore_init(region, (void *)((char *)place + 64), 1));
    one_dies(role_owner);
}

static int64_t close_region(void)
{
    yoke_region *closed = region;
    region = NULL;
    return yoke_region_close(closed);
}

static int64_t remove_region(void)
{
    return yoke_region_remove("r");
}

static void region_is_gone(void)
{
    EXPECT(yoke_region_open(&out.region, "r", 0) == -ENOENT);
    scenarios_close();
}

static int64_t acquire_dead_owners_lock(void)
{
    return yoke_lock_acquire(region, place, SOON);
}

static void lock_is_held(void)
{
    NEED(yoke_lock_release(region, place));
    EXPECT(yoke_lock_acquire(region, place, YOKE_NOW) == 0);
    NEED(yoke_lock_release(region, place));
    scenarios_close();
}

static void begin_held_lock(void)
{
    begin_two_regions();
    NEED(yoke_lock_acquire(other_region, yoke_region_data(other_region), YOKE_NOW));
}

static int64_t acquire_held_lock(void)
{
    return yoke_lock_acquire(region, place, SHORTLY);
}

static int64_t release_waited_for_lock(void)
{
    return yoke_lock_release(other_region, yoke_region_data(other_region));
}

static void begin_waited_for_lock(void)
{
    begin_held_lock();
    EXPECT(acquire_held_lock() == -ETIMEDOUT);
}

static void lock_is_free(void)
{
    EXPECT(yoke_lock_acquire(region, place, YOKE_NOW) == 0);
    lock_is_held();
}

static void held_lock_is_held(void)
{
    NEED(release_waited_for_lock());
    lock_is_free();
}

static int64_t acquire_dead_owners_unit(void)
{
    return yoke_semaphore_acquire(region, (void *)((char *)place + 64), SOON);
}

static void unit_is_held(void)
{
    yoke_semaphore *semaphore = (void *)((char *)place + 64);
    EXPECT(yoke_semaphore_value(region, semaphore) == 0);
    NEED(yoke_semaphore_release(region, semaphore));
    EXPECT(yoke_semaphore_value(region, semaphore) == 1);
    scenarios_close();
}

static void begin_event(void)
{
    uint64_t seen = 0;
    begin_two_regions();
    EXPECT(yoke_event_wait(region, place, &seen, SHORTLY) == -ETIMEDOUT);
}

static int64_t notify_event(void)
{
    return yoke_event_notify(other_region, yoke_region_data(other_region));
}

static int64_t wait_for_event(void)
{
    uint64_t seen = 0;
    return yoke_event_wait(region, place, &seen, SHORTLY);
}

static void event_came(void)
{
    uint64_t seen = 0;
    NEED(yoke_event_wait(region, place, &seen, YOKE_NOW));
    scenarios_close();
}

static void event_comes(void)
{
    NEED(notify_event());
    event_came();
}

/* ---- ports ---- */

static int64_t open_port_with(uint32_t flags)
{
    struct yoke_options options = small_options();
    return yoke_open(&out.endpoint, "port:p", flags, &options);
}

static int64_t create_port(void)
{
    return open_port_with(YOKE_CREATE);
}

static int64_t create_kept_port(void)
{
    return open_port_with(YOKE_CREATE | YOKE_KEPT | YOKE_EXCLUSIVE);
}

static int64_t open_port(void)
{
    return open_port_with(0);
}

static int64_t open_parked(void)
{
    return open_port_with(YOKE_PARKED);
}

static void send_to(yoke_endpoint *endpoint, char what)
{
    NEED(yoke_send(endpoint, &what, 1, YOKE_NOW));
}

static void expect_message(yoke_endpoint *endpoint, char what)
{
    char got = 0;
    ssize_t size = yoke_recv(endpoint, &got, 1, SOON);
    if (size != 1 || got != what)
        wrong("received %zd, '%c' instead of '%c': %s", size, got, what,
              size < 0 ? yoke_explain() : "");
}

static void expect_nothing(yoke_endpoint *endpoint)
{
    char got = 0;
    ssize_t size = yoke_recv(endpoint, &got, 1, YOKE_NOW);
    if (size != -EAGAIN)
        wrong("received %zd, '%c' where nothing is", size, got);
}

static void port_works(void)
{
    if (!one)
        one = out.endpoint;
    if (!two)
        NEED(yoke_open(&two, "port:p", 0, NULL));
    for (char what = 'a'; what < 'k'; what++) {
        send_to(one, what);
        expect_message(two, what);
    }
    expect_nothing(two);
    scenarios_close();
}

static void new_port_works(void)
{
    yoke_close(out.endpoint);
    port_works();
}

static void kept_port_works(void)
{
    port_works();
    NEED(yoke_remove("port:p"));
}

static void begin_port(void)
{
    NEED(create_port());
    one = out.endpoint;
    NEED(open_port());
    two = out.endpoint;
}

static void begin_one(void)
{
    NEED(create_port());
    one = out.endpoint;
}

static void role_port(void)
{
    const void *message;
    yoke_endpoint *mine;
    NEED(yoke_open(&mine, "port:p", 0, NULL));
    NEED(yoke_borrow(mine, &message, YOKE_NOW));
    void *block;
    NEED(yoke_loan(mine, 10, &block, YOKE_NOW));
}

static void role_new_port(void)
{
    NEED(create_port());
    yoke_fd(out.endpoint);
}

static void begin_dead_port_name(void)
{
    one_dies(role_new_port);
}

static void begin_dead_holder(void)
{
    begin_one();
    send_to(one, 'x');
    one_dies(role_port);
}

static int64_t receive(void)
{
    char got = 0;
    ssize_t size = yoke_recv(one, &got, 1, YOKE_NOW);
    return size == 1 ? got : size;
}

static int64_t receive_waiting(void)
{
    char got = 0;
    ssize_t size = yoke_recv(one, &got, 1, SOON);
    return size == 1 ? got : size;
}

static int64_t receive_in_vain(void)
{
    char got = 0;
    ssize_t size = yoke_recv(one, &got, 1, SHORTLY);
    return size == 1 ? got : size;
}

static void dead_holders_port_works(void)
{
    char got = 0; /* opening has recovered the dead one, or the next call does */
    NEED(yoke_open(&two, "port:p", 0, NULL));
    EXPECT(yoke_recv(two, &got, 1, SOON) == 1 && got == 'x');
    yoke_close(out.endpoint);
    port_works();
}

static void begin_full_port(void)
{
    begin_port();
    for (char what = 'a'; what < 'e'; what++)
        send_to(one, what);
}

static int64_t send_in_vain(void)
{
    return yoke_send(one, "e", 1, SHORTLY);
}

static void full_port_works(void)
{
    for (char what = 'a'; what < 'e'; what++)
        expect_message(two, what);
    port_works();
}

/* Somebody lay down for a message, and is thought to be asleep. */
static void begin_sleeper(void)
{
    begin_port();
    EXPECT(receive_in_vain() == -ETIMEDOUT);
}

static int64_t send_one(void)
{
    return yoke_send(one, "s", 1, YOKE_NOW);
}

static void sent_one_comes(void)
{
    expect_message(two, 's');
    port_works();
}

static int64_t send_many(void)
{
    static char text[] = "abc";
    struct yoke_message messages[3];
    memset(messages, 0, sizeof messages);
    for (int i = 0; i < 3; i++) {
        messages[i].data = &text[i];
        messages[i].size = 1;
    }
    return yoke_send_many(one, messages, 3, YOKE_NOW);
}

static void many_come(void)
{
    for (char what = 'a'; what < 'd'; what++)
        expect_message(two, what);
    port_works();
}

static int64_t lend_and_commit(void)
{
    void *block;
    int result = yoke_loan(one, 1, &block, YOKE_NOW);
    if (result < 0)
        return result;
    memcpy(block, "s", 1);
    result = yoke_commit(one, block, 1);
    if (result < 0)
        yoke_release(one, block);
    return result;
}

static void begin_message(void)
{
    begin_port();
    send_to(two, 's');
}

static int64_t borrow_and_return(void)
{
    const void *message;
    ssize_t size = yoke_borrow(one, &message, YOKE_NOW);
    if (size < 0)
        return size;
    EXPECT(size == 1 && *(const char *)message == 's');
    int result = yoke_return(one, message);
    return result < 0 ? result : size;
}

static int64_t borrow_and_release(void)
{
    const void *message;
    ssize_t size = yoke_borrow(one, &message, YOKE_NOW);
    if (size < 0)
        return size;
    int result = yoke_release(one, message);
    return result < 0 ? result : size;
}

static int64_t close_one(void)
{
    yoke_endpoint *closed = one;
    one = NULL;
    return yoke_close(closed);
}

static void other_port_works(void)
{
    NEED(yoke_open(&one, "port:p", 0, NULL));
    port_works();
}

static void port_is_gone(void)
{
    EXPECT(yoke_open(&out.endpoint, "port:p", 0, NULL) == -ENOENT);
    scenarios_close();
}

static void begin_kept_port(void)
{
    NEED(create_kept_port());
    yoke_close(out.endpoint);
}

static int64_t remove_port(void)
{
    return yoke_remove("port:p");
}

static int64_t cancel_one(void)
{
    return yoke_cancel(one);
}

static void one_is_cancelled(void)
{
    EXPECT(receive() == -ECANCELED);
    scenarios_close();
}

/* ---- in the kernel ---- */

static int64_t create_in_kernel(void)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;
    options.depth = 4;
    options.max_message = 200;
    return yoke_open(&out.endpoint, "port:k@kernel", YOKE_CREATE, &options);
}

static int64_t open_in_kernel(void)
{
    return yoke_open(&out.endpoint, "port:k@kernel", 0, NULL);
}

static void begin_in_kernel(void)
{
    NEED(create_in_kernel());
    one = out.endpoint;
}

static void begin_two_in_kernel(void)
{
    begin_in_kernel();
    NEED(open_in_kernel());
    two = out.endpoint;
}

static void kernel_port_works(void)
{
    if (!one)
        one = out.endpoint;
    else if (!two)
        two = out.endpoint;
    if (!two)
        NEED(yoke_open(&two, "port:k@kernel", 0, NULL));
    send_to(one, 'k');
    expect_message(two, 'k');
    expect_nothing(two);
    scenarios_close();
}

static void sent_one_comes_in_kernel(void)
{
    expect_message(two, 's');
    kernel_port_works();
}

static void kernel_port_is_gone(void)
{
    EXPECT(open_in_kernel() == -ENOENT);
}

/* ---- descriptors of endpoints ---- */

bool readable(int fd, int64_t timeout_ns)
{
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    return poll(&wait, 1, (int)(timeout_ns / 1000000)) > 0;
}

static int64_t descriptor_of_one(void)
{
    int fd = yoke_fd(one);
    return fd < 0 ? fd : 0;
}

/* It says what comes, and nothing when nothing is there. */
static void descriptor_works(void)
{
    int fd = yoke_fd(one);
    NEED(fd);
    for (int i = 0; i < 3; i++) {
        for (int k = 0; k < 100 && receive() != -EAGAIN; k++)
            ;
        EXPECT(!readable(fd, 0));
        NEED(yoke_send(two, "d", 1, YOKE_NOW));
        EXPECT(readable(fd, SOON));
        EXPECT(receive() == 'd');
    }
    scenarios_close();
}

static void begin_descriptor(void)
{
    begin_port();
    NEED(yoke_fd(one));
    EXPECT(receive() == -EAGAIN);
}

static int64_t send_to_descriptor(void)
{
    return yoke_send(two, "s", 1, YOKE_NOW);
}

/*
 * Nobody else would ring; but where the bell could not be had, it is heard of at the next message: the
 * sender has done its part.
 */
static void message_is_there(void)
{
    EXPECT(receive() == 's');
    descriptor_works();
}

static int64_t close_one_with_descriptor(void)
{
    return close_one();
}

/* ---- links ---- */

static int64_t open_link_as(const char *as, const char *address, uint32_t flags)
{
    struct yoke_options options = small_options();
    options.participants = options.max_borrowed = 0;
    options.as = as;
    return yoke_open(&out.endpoint, address, flags, &options);
}

static int64_t create_link(void)
{
    return open_link_as("alice", "link:bob", YOKE_CREATE);
}

static int64_t create_kept_link(void)
{
    return open_link_as("alice", "link:bob", YOKE_CREATE | YOKE_KEPT);
}

static int64_t open_link(void)
{
    return open_link_as("bob", "link:alice", 0);
}

static void link_works(void)
{
    if (!one)
        one = out.endpoint;
    if (!two) {
        NEED(open_link());
        two = out.endpoint;
    }
    for (char what = 'a'; what < 'k'; what++) {
        send_to(one, what);
        expect_message(two, what);
        send_to(two, what);
        expect_message(one, what);
    }
    expect_nothing(one);
    scenarios_close();
}

static void opened_link_works(void)
{
    two = out.endpoint;
    link_works();
}

static void kept_link_works(void)
{
    link_works();
    NEED(yoke_remove("link:alice/bob"));
}

static void begin_alice(void)
{
    NEED(create_link());
    one = out.endpoint;
}

static void begin_link(void)
{
    begin_alice();
    NEED(open_link());
    two = out.endpoint;
}

static void role_bob(void)
{
    yoke_endpoint *bob;
    struct yoke_options options = YOKE_OPTIONS_INIT;
    const void *message;
    options.as = "bob";
    NEED(yoke_open(&bob, "link:alice", 0, &options));
    NEED(yoke_borrow(bob, &message, YOKE_NOW));
    NEED(yoke_fd(bob));
    yoke_recv(bob, NULL, 0, YOKE_NOW);
}

static void begin_dead_bob(void)
{
    begin_alice();
    send_to(one, 'b');
    one_dies(role_bob);
}

static void link_goes_on(void)
{
    two = out.endpoint;
    expect_message(two, 'b');
    link_works();
    collect(); /* bob's doorbell */
}

static void bob_comes_back(void)
{
    NEED(open_link());
    link_goes_on();
}

static void begin_closed_bob(void)
{
    begin_link();
    send_to(two, 'b');
    yoke_close(two);
    two = NULL;
    EXPECT(receive() == 'b');
}

static int64_t wait_for_other(void)
{
    return yoke_link_wait(one, SHORTLY);
}

static void bob_is_heard(void)
{
    expect_message(one, 's');
    link_works();
}

static int64_t close_alice(void)
{
    return close_one();
}

static void alice_comes_back(void)
{
    NEED(open_link_as("alice", "link:bob", YOKE_CREATE));
    one = out.endpoint;
    link_works();
}

static void begin_link_descriptor(void)
{
    begin_link();
    NEED(yoke_fd(one));
    EXPECT(receive() == -EAGAIN);
}

static void begin_linked_sleeper(void)
{
    begin_link();
    EXPECT(receive_in_vain() == -ETIMEDOUT);
}

/* ---- pairs ---- */

static int64_t make_pair(void)
{
    struct yoke_options options = small_options();
    options.participants = options.max_borrowed = 0;
    return yoke_pair(out.fds, &options);
}

static void begin_pair(void)
{
    NEED(make_pair());
    memcpy(pair, out.fds, sizeof pair);
}

static int64_t open_end(void)
{
    return yoke_open_descriptor(&out.endpoint, pair[0], NULL);
}

static void open_other_end(void)
{
    NEED(yoke_open_descriptor(&two, pair[1], NULL));
}

static void pair_works(void)
{
    memcpy(pair, out.fds, sizeof pair);
    NEED(yoke_open_descriptor(&one, pair[0], NULL));
    open_other_end();
    link_works();
}

static void end_works(void)
{
    one = out.endpoint;
    open_other_end();
    link_works();
}

static void begin_ends(void)
{
    begin_pair();
    NEED(open_end());
    one = out.endpoint;
    open_other_end();
}

static void begin_end_descriptor(void)
{
    begin_ends();
    NEED(yoke_fd(one));
    EXPECT(receive() == -EAGAIN);
}

static void begin_lonely_end(void)
{
    begin_pair();
    NEED(open_end());
    one = out.endpoint;
    close(pair[1]);
    pair[1] = 0;
}

/* ---- peers ---- */

static int64_t join(void)
{
    return yoke_peer_join(&out.peer, "alice", NULL);
}

static void alice_is_there(void)
{
    struct yoke_peer_info infos[4];
    if (!peer)
        peer = out.peer;
    NEED(yoke_peer_wait("alice", YOKE_PEER_HERE, YOKE_NOW));
    EXPECT(yoke_peer_list(infos, 4) == 1 && strcmp(infos[0].name, "alice") == 0 &&
           infos[0].pid == getpid());
    scenarios_close();
    NEED(yoke_peer_wait("alice", YOKE_PEER_GONE, YOKE_NOW));
}

static void alice_is_there_twice(void)
{
    yoke_peer_leave(out.peer);
    alice_is_there();
}

static void begin_peer(void)
{
    NEED(join());
    peer = out.peer;
}

static void role_alice(void)
{
    begin_peer();
    NEED(yoke_peer_fd(peer));
}

static void begin_dead_peer(void)
{
    one_dies(role_alice);
}

static int64_t leave(void)
{
    yoke_peer *left = peer;
    peer = NULL;
    return yoke_peer_leave(left);
}

static void alice_is_gone(void)
{
    EXPECT(yoke_peer_wait("alice", YOKE_PEER_HERE, YOKE_NOW) == -EAGAIN);
    begin_peer();
    alice_is_there();
}

static int64_t wait_here(void)
{
    return yoke_peer_wait("alice", YOKE_PEER_HERE, SHORTLY);
}

static int64_t wait_gone(void)
{
    return yoke_peer_wait("alice", YOKE_PEER_GONE, SHORTLY);
}

static int64_t list_peers(void)
{
    struct yoke_peer_info infos[4];
    ssize_t count = yoke_peer_list(infos, 4);
    for (ssize_t i = 0; i < count; i++)
        EXPECT(strcmp(infos[i].name, "alice") == 0 &&
               (infos[i].pid == getpid() || infos[i].pid == 0));
    return count;
}

/* bob's end of alice's peer, which she has not opened */
static void begin_newcomer(void)
{
    begin_peer();
    NEED(open_link_as("bob", "link:alice", YOKE_CREATE));
    two = out.endpoint;
    send_to(two, 'n');
}

static int64_t accept_link(void)
{
    return yoke_peer_accept(peer, &out.endpoint, NULL, SHORTLY);
}

static int64_t accept_now(void)
{
    return yoke_peer_accept(peer, &out.endpoint, NULL, YOKE_NOW);
}

static void newcomer_is_here(void)
{
    one = out.endpoint;
    expect_message(one, 'n');
    link_works();
}

static int64_t next(void)
{
    return yoke_peer_next(peer, &out.endpoint, YOKE_NOW);
}

static int64_t next_waiting(void)
{
    return yoke_peer_next(peer, &out.endpoint, SHORTLY);
}

static int64_t next_soon(void)
{
    return yoke_peer_next(peer, &out.endpoint, SOON);
}

/* Where there is never a descriptor it waits to the end: a second is ten looks, as good as sixty. */
static int64_t next_opened(void)
{
    return yoke_peer_next(peer, &out.endpoint, SOON / 60);
}

static void begin_served(void)
{
    begin_newcomer();
    NEED(accept_now());
    one = out.endpoint;
    expect_message(one, 'n');
}

static void begin_served_message(void)
{
    begin_served();
    send_to(two, 'm');
}

static void begin_served_armed(void)
{
    begin_served();
    EXPECT(next_waiting() == -ETIMEDOUT);
}

static void message_is_ready(void)
{
    EXPECT(out.endpoint == one);
    expect_message(one, 'm');
    link_works();
}

static int64_t send_from_two(void)
{
    return yoke_send(two, "m", 1, YOKE_NOW);
}

static void message_is_next(void)
{
    EXPECT(next_soon() == YOKE_NEXT_READY);
    message_is_ready();
}

static int64_t descriptor_of_peer(void)
{
    int fd = yoke_peer_fd(peer);
    return fd < 0 ? fd : 0;
}

static void peers_descriptor_works(void)
{
    int fd = yoke_peer_fd(peer);
    NEED(fd);
    for (int i = 0; i < 3; i++) {
        for (int k = 0; k < 100 && next() != -EAGAIN; k++)
            receive();
        EXPECT(!readable(fd, 0));
        NEED(send_from_two());
        EXPECT(readable(fd, SOON));
        EXPECT(next_soon() == YOKE_NEXT_READY);
        expect_message(one, 'm');
    }
    scenarios_close();
}

static void begin_peers_descriptor(void)
{
    begin_served();
    NEED(yoke_peer_fd(peer));
    EXPECT(next() == -EAGAIN);
}

static void message_is_next_by_descriptor(void)
{
    EXPECT(next_soon() == YOKE_NEXT_READY);
    expect_message(one, 'm');
    peers_descriptor_works();
}

static void alice_is_gone_but_bob(void)
{
    EXPECT(yoke_peer_wait("alice", YOKE_PEER_HERE, YOKE_NOW) == -EAGAIN);
    scenarios_close();
}

static int64_t leave_with_descriptor(void)
{
    yoke_close(one);
    one = NULL;
    return leave();
}

/* ---- wait sets ---- */

static int64_t create_set(void)
{
    return yoke_set_create(&out.set);
}

static void begin_set(void)
{
    NEED(create_set());
    set = out.set;
}

static ssize_t wait_set(int64_t timeout_ns)
{
    struct yoke_ready ready[8];
    return yoke_set_wait(set, ready, 8, timeout_ns);
}

static void set_works(void)
{
    if (!set)
        set = out.set;
    int timer = (int)NEED(yoke_set_add_timer(set, 0, 0, NULL));
    EXPECT(wait_set(SOON) == 1);
    NEED(yoke_set_remove(set, timer));
    EXPECT(wait_set(YOKE_NOW) == -EAGAIN);
    scenarios_close();
}

static void begin_port_and_set(void)
{
    begin_port();
    begin_set();
}

static void begin_link_and_set(void)
{
    begin_link();
    begin_set();
}

static void begin_ends_and_set(void)
{
    begin_ends();
    begin_set();
}

static int64_t add_one(void)
{
    return yoke_set_add(set, one, NULL);
}

/* It tells of each message to `one`, from `two`. */
static void member_works(void)
{
    for (int i = 0; i < 3; i++) {
        for (int k = 0; k < 100 && wait_set(SHORTLY) != -ETIMEDOUT; k++)
            receive();
        send_to(two, 'm');
        EXPECT(wait_set(SOON) == 1);
        EXPECT(receive() == 'm');
    }
    NEED(yoke_set_remove(set, 0));
    EXPECT(wait_set(YOKE_NOW) == -EAGAIN);
    scenarios_close();
}

static void begin_member(void)
{
    begin_port_and_set();
    NEED(add_one());
}

static void begin_armed_member(void)
{
    begin_member();
    EXPECT(wait_set(SHORTLY) == -ETIMEDOUT);
}

static int64_t wait_set_shortly(void)
{
    return wait_set(SHORTLY);
}

static int64_t wait_set_soon(void)
{
    return wait_set(SOON);
}

static int64_t wait_set_now(void)
{
    return wait_set(YOKE_NOW);
}

static void member_is_told(void)
{
    EXPECT(wait_set(SOON) == 1);
    EXPECT(receive() == 'm');
    member_works();
}

static void begin_told_member(void)
{
    begin_armed_member();
    send_to(two, 'm');
}

static void told_member_works(void)
{
    EXPECT(receive() == 'm');
    member_works();
}

static int64_t remove_member(void)
{
    return yoke_set_remove(set, 0);
}

static void member_is_removed(void)
{
    send_to(two, 'm');
    EXPECT(wait_set(YOKE_NOW) == -EAGAIN);
    EXPECT(add_one() == 0);
    EXPECT(receive() == 'm');
    member_works();
}

static void begin_peer_and_set(void)
{
    begin_served();
    begin_set();
}

static int64_t add_peer(void)
{
    return yoke_set_add_peer(set, peer, NULL);
}

static void peer_member_works(void)
{
    for (int k = 0; k < 100 && wait_set(YOKE_NOW) == 1; k++)
        EXPECT(next() == -EAGAIN);
    send_to(two, 'm');
    EXPECT(wait_set(SOON) == 1);
    EXPECT(next() == YOKE_NEXT_READY);
    expect_message(one, 'm');
    scenarios_close();
}

static void begin_bob_and_set(void)
{
    NEED(yoke_peer_join(&other_peer, "bob", NULL));
    begin_set();
}

static int64_t add_gone(void)
{
    return yoke_set_add_gone(set, "bob", NULL);
}

static void end_is_told(void)
{
    EXPECT(wait_set(SHORTLY) == -ETIMEDOUT);
    yoke_peer_leave(other_peer);
    other_peer = NULL;
    EXPECT(wait_set(SOON) == 1);
    scenarios_close();
}

static int64_t add_timer(void)
{
    return yoke_set_add_timer(set, 1, 0, NULL);
}

static void timer_is_told(void)
{
    EXPECT(wait_set(SOON) == 1);
    scenarios_close();
}

static void begin_pipe_and_set(void)
{
    if (pipe(pair) != 0)
        wrong("pipe: %s", strerror(errno));
    begin_set();
}

static int64_t add_descriptor(void)
{
    return yoke_set_add_descriptor(set, pair[0], POLLIN, NULL);
}

static void descriptor_is_told(void)
{
    EXPECT(wait_set(YOKE_NOW) == -EAGAIN);
    EXPECT(write(pair[1], "x", 1) == 1);
    EXPECT(wait_set(SOON) == 1);
    scenarios_close();
}

static int64_t cancel_set(void)
{
    return yoke_set_cancel(set);
}

static void set_is_cancelled(void)
{
    EXPECT(wait_set(SOON) == -ECANCELED);
    scenarios_close();
}

static int64_t close_set(void)
{
    yoke_set *closed = set;
    set = NULL;
    return yoke_set_close(closed);
}

static void begin_full_set(void)
{
    begin_armed_member();
    begin_peer();
    NEED(yoke_set_add_peer(set, peer, NULL));
    NEED(yoke_set_add_gone(set, "alice", NULL));
    NEED(add_timer());
}

static void set_is_closed(void)
{
    port_works();
}

static int64_t descriptor_of_set(void)
{
    int fd = yoke_set_fd(set);
    return fd < 0 ? fd : 0;
}

static void sets_descriptor_works(void)
{
    int fd = yoke_set_fd(set);
    for (int k = 0; k < 100 && wait_set(YOKE_NOW) != -EAGAIN; k++)
        ;
    EXPECT(!readable(fd, 0));
    send_to(two, 'm');
    EXPECT(readable(fd, SOON));
    EXPECT(wait_set(YOKE_NOW) == 1);
    EXPECT(receive() == 'm');
    member_works();
}

/* ---- what the dead left, and looking at objects ---- */

static char intent_path[64];

/*
 * A name whose object is gone, an intent whose remover died, one whose creator died, memory without a
 * name, a lock file and a doorbell without an object; and a kept port and a kept region that are well.
 */
static void begin_rubbish(void)
{
    one_dies(role_region); /* name */
    begin_kept_port();
    snprintf(intent_path, sizeof intent_path, ".intents-%u/port.p", geteuid());
    rename_in_directory("port.p", intent_path); /* its remover died */
    struct yoke_options options = small_options();
    NEED(yoke_open(&out.endpoint, "port:orphan", YOKE_CREATE | YOKE_KEPT, &options));
    yoke_close(out.endpoint);
    unlink(file_of("port.orphan"));
    if (mkfifo(file_of(".bell-0123456789abcdef"), 0600) != 0)
        wrong("mkfifo: %s", strerror(errno));
    NEED(yoke_open(&out.endpoint, "port:well", YOKE_CREATE | YOKE_KEPT, &options));
    send_to(out.endpoint, 'w');
    yoke_close(out.endpoint);
}

static int64_t collect_dry(void)
{
    struct yk_gc_item *items = NULL;
    ssize_t count = yk_gc(true, &items);
    if (count >= 0)
        free(items);
    return count;
}

static void all_is_well(void)
{
    NEED(collect());
    EXPECT(collect_dry() == 0);
    NEED(yoke_open(&one, "port:well", 0, NULL));
    expect_message(one, 'w');
    scenarios_close();
    NEED(yoke_remove("port:well"));
}

/* Opening clears, too. */
static int64_t open_among_rubbish(void)
{
    return yoke_open(&out.endpoint, "port:well", 0, NULL);
}

static void opened_among_rubbish(void)
{
    yoke_close(out.endpoint);
    all_is_well();
}

static int64_t create_over_intent(void)
{
    return create_kept_port();
}

static void created_over_intent(void)
{
    kept_port_works();
    all_is_well();
}

static int64_t list_objects(void)
{
    struct yk_object_facts *facts = NULL;
    ssize_t count = yk_inspect_list(&facts);
    if (count >= 0)
        free(facts);
    return count;
}

static void begin_all_kinds(void)
{
    begin_link();
    begin_peer();
    begin_region();
    NEED(create_port());
    yoke_endpoint *port = out.endpoint;
    send_to(port, 'p');
    yoke_set *made;
    NEED(yoke_set_create(&made)); /* keeps it for the end */
    NEED(yoke_set_add(made, port, port));
    set = made;
    out.endpoint = port;
}

static yoke_endpoint *kept_port;

static void begin_looks(void)
{
    begin_all_kinds();
    kept_port = out.endpoint;
}

static void end_looks(void)
{
    EXPECT(list_objects() == 5);
    yoke_close(kept_port);
    scenarios_close();
}

static int64_t look_at(const char *address)
{
    struct yk_object_facts facts;
    struct yk_participant_facts *participants = NULL;
    size_t count = 0;
    int result = yk_inspect(address, &facts, &participants, &count);
    if (result < 0)
        return result;
    free(participants);
    EXPECT(facts.problem[0] != '\0' || (facts.known & YK_KNOWN_INSIDE));
    return facts.problem[0] ? 1 : 0;
}

static int64_t look_at_port(void)
{
    return look_at("port:p");
}

static int64_t look_at_link(void)
{
    return look_at("link:alice/bob");
}

static int64_t look_at_peer(void)
{
    return look_at("peer:alice");
}

/* ---- in a forked child ---- */

static void port_works_in_child(void)
{
    expect_message(two, 's');
    port_works();
}

static void region_works_in_child(void)
{
    EXPECT(yoke_lock_acquire(region, place, YOKE_NOW) == -EDEADLK);
    lock_is_held();
}

static int64_t acquire_lock(void)
{
    return yoke_lock_acquire(region, place, YOKE_NOW);
}

static int64_t close_inherited(void)
{
    return close_one();
}

static void end_child(void)
{
    scenarios_close();
}

const struct scenario scenarios[] = {
    {"region create fresh", FRESH, NULL, create_region, region_is_there},
    {"region create", 0, NULL, create_region, region_is_there},
    {"region create kept", 0, NULL, create_kept_region, kept_region_is_there},
    {"region create populated", 0, NULL, create_populated_region, region_is_there},
    {"region create for group", 0, NULL, create_region_for_group, region_is_there},
    {"region create existing", 0, begin_region, create_region, region_is_open_twice},
    {"region create over dead", EFFECT, begin_dead_region_name, create_region, region_is_there},
    {"region open", 0, begin_region, open_region, region_is_open_twice},
    {"region open kept", 0, begin_kept_region, open_region, kept_region_is_there},
    {"region open read only", 0, begin_region, open_region_read_only, region_is_open_twice},
    {"region open none", 0, NULL, open_no_region, scenarios_close},
    {"region open dead", EFFECT, begin_dead_region_name, open_region, region_is_gone},
    {"region close", 0, begin_two_regions, close_region, scenarios_close},
    {"region close last", EFFECT, begin_region, close_region, region_is_gone},
    {"region remove kept", EFFECT, begin_kept_region, remove_region, region_is_gone},
    {"region remove used", EFFECT, begin_region, remove_region, region_is_gone},
    {"lock acquire dead owner's", 0, begin_dead_owner, acquire_dead_owners_lock, lock_is_held},
    {"lock acquire in vain", 0, begin_held_lock, acquire_held_lock, held_lock_is_held},
    {"lock release waited for", 0, begin_waited_for_lock, release_waited_for_lock, lock_is_free},
    {"semaphore acquire dead owner's", 0, begin_dead_owner, acquire_dead_owners_unit, unit_is_held},
    {"event notify", 0, begin_event, notify_event, event_came},
    {"event wait in vain", 0, begin_event, wait_for_event, event_comes},
    {"port create fresh", FRESH, NULL, create_port, port_works},
    {"port create kept", 0, NULL, create_kept_port, kept_port_works},
    {"port create over dead", EFFECT, begin_dead_port_name, create_port, port_works},
    {"port open", 0, begin_one, open_port, new_port_works},
    {"port open parked", 0, begin_one, open_parked, new_port_works},
    {"port open with dead holder", EFFECT, begin_dead_holder, open_port, dead_holders_port_works},
    {"port receive from dead holder", 0, begin_dead_holder, receive_waiting, port_works},
    {"port receive in vain", 0, begin_port, receive_in_vain, port_works},
    {"port receive nothing", 0, begin_port, receive, port_works},
    {"port send in vain", 0, begin_full_port, send_in_vain, full_port_works},
    {"port send to sleeper", 0, begin_sleeper, send_one, sent_one_comes},
    {"port send many", 0, begin_port, send_many, many_come},
    {"port loan and commit", 0, begin_sleeper, lend_and_commit, sent_one_comes},
    {"port borrow and return", 0, begin_message, borrow_and_return, sent_one_comes},
    {"port borrow and release", 0, begin_message, borrow_and_release, port_works},
    {"port cancel", 0, begin_port, cancel_one, one_is_cancelled},
    {"port close", 0, begin_port, close_one, other_port_works},
    {"port close last", EFFECT, begin_one, close_one, port_is_gone},
    {"port remove kept", EFFECT, begin_kept_port, remove_port, port_is_gone},
    {"port remove used", EFFECT, begin_port, remove_port, port_is_gone},
    {"port descriptor", 0, begin_port, descriptor_of_one, descriptor_works},
    {"port descriptor rung", 0, begin_descriptor, send_to_descriptor, message_is_there},
    {"port descriptor receive nothing", 0, begin_descriptor, receive, descriptor_works},
    {"port descriptor receive in vain", 0, begin_descriptor, receive_in_vain, descriptor_works},
    {"port descriptor cancel", 0, begin_descriptor, cancel_one, one_is_cancelled},
    {"port descriptor close", EFFECT, begin_descriptor, close_one_with_descriptor,
     other_port_works},
    {"kernel port create fresh", FRESH, NULL, create_in_kernel, kernel_port_works},
    {"kernel port open", 0, begin_in_kernel, open_in_kernel, kernel_port_works},
    {"kernel port send", 0, begin_two_in_kernel, send_one, sent_one_comes_in_kernel},
    {"kernel port receive in vain", 0, begin_two_in_kernel, receive_in_vain, kernel_port_works},
    {"kernel port close last", EFFECT, begin_in_kernel, close_one, kernel_port_is_gone},
    {"link create fresh", FRESH, NULL, create_link, link_works},
    {"link create kept", 0, NULL, create_kept_link, kept_link_works},
    {"link open", 0, begin_alice, open_link, opened_link_works},
    {"link open after dead", EFFECT, begin_dead_bob, open_link, link_goes_on},
    {"link receive after dead", 0, begin_dead_bob, receive_waiting, bob_comes_back},
    {"link receive after closed", 0, begin_closed_bob, receive, link_works},
    {"link receive in vain", 0, begin_link, receive_in_vain, link_works},
    {"link wait for other", 0, begin_alice, wait_for_other, link_works},
    {"link send to sleeper", 0, begin_linked_sleeper, send_to_descriptor, bob_is_heard},
    {"link close", EFFECT, begin_link, close_alice, alice_comes_back},
    {"link close last", EFFECT, begin_alice, close_alice, alice_comes_back},
    {"link descriptor", 0, begin_link, descriptor_of_one, descriptor_works},
    {"link descriptor rung", 0, begin_link_descriptor, send_to_descriptor, message_is_there},
    {"link descriptor receive nothing", 0, begin_link_descriptor, receive, descriptor_works},
    {"link descriptor close", EFFECT, begin_link_descriptor, close_alice, alice_comes_back},
    {"pair", 0, NULL, make_pair, pair_works},
    {"pair open end", 0, begin_pair, open_end, end_works},
    {"pair receive in vain", 0, begin_ends, receive_in_vain, link_works},
    {"pair receive from nobody", 0, begin_lonely_end, receive_waiting, scenarios_close},
    {"pair wait for nobody", 0, begin_lonely_end, wait_for_other, scenarios_close},
    {"pair descriptor", 0, begin_ends, descriptor_of_one, descriptor_works},
    {"pair descriptor rung", 0, begin_end_descriptor, send_to_descriptor, message_is_there},
    {"pair descriptor receive nothing", 0, begin_end_descriptor, receive, descriptor_works},
    {"pair close end", 0, begin_end_descriptor, close_one, scenarios_close},
    {"peer join fresh", FRESH, NULL, join, alice_is_there},
    {"peer join again", 0, begin_peer, join, alice_is_there_twice},
    {"peer join after dead", EFFECT, begin_dead_peer, join, alice_is_there},
    {"peer leave", EFFECT, begin_peer, leave, alice_is_gone},
    {"peer wait here fresh", FRESH, NULL, wait_here, alice_is_gone},
    {"peer wait here", 0, begin_peer, wait_here, alice_is_there},
    {"peer wait gone in vain", 0, begin_peer, wait_gone, alice_is_there},
    {"peer wait gone", EFFECT, begin_dead_peer, wait_gone, alice_is_gone},
    {"peer list", SOME, begin_peer, list_peers, alice_is_there},
    {"peer accept", LATER, begin_newcomer, accept_link, newcomer_is_here},
    {"peer accept now", LATER, begin_newcomer, accept_now, newcomer_is_here},
    {"peer accept in vain", 0, begin_served, accept_link, link_works},
    {"peer next opened", LATER, begin_newcomer, next_opened, newcomer_is_here},
    {"peer next ready", 0, begin_served_message, next, message_is_ready},
    {"peer next nothing", EFFECT, begin_served, next, link_works},
    {"peer next in vain", EFFECT, begin_served, next_waiting, link_works},
    {"peer next rung", 0, begin_served_armed, send_from_two, message_is_next},
    {"peer descriptor", EFFECT, begin_served, descriptor_of_peer, peers_descriptor_works},
    {"peer descriptor rung", 0, begin_peers_descriptor, send_from_two,
     message_is_next_by_descriptor},
    {"peer descriptor next nothing", 0, begin_peers_descriptor, next, peers_descriptor_works},
    {"peer descriptor leave", EFFECT, begin_peers_descriptor, leave_with_descriptor,
     alice_is_gone_but_bob},
    {"set create", 0, NULL, create_set, set_works},
    {"set add port", EFFECT, begin_port_and_set, add_one, member_works},
    {"set add link", EFFECT, begin_link_and_set, add_one, member_works},
    {"set add end", 0, begin_ends_and_set, add_one, member_works},
    {"set add peer", EFFECT, begin_peer_and_set, add_peer, peer_member_works},
    {"set add gone", 0, begin_bob_and_set, add_gone, end_is_told},
    {"set add timer", 0, begin_set, add_timer, timer_is_told},
    {"set add descriptor", 0, begin_pipe_and_set, add_descriptor, descriptor_is_told},
    {"set wait in vain", 0, begin_member, wait_set_shortly, member_works},
    {"set wait nothing", 0, begin_member, wait_set_now, member_works},
    {"set wait told", 0, begin_told_member, wait_set_soon, told_member_works},
    {"set rung", 0, begin_armed_member, send_from_two, member_is_told},
    {"set remove", 0, begin_armed_member, remove_member, member_is_removed},
    {"set cancel", 0, begin_armed_member, cancel_set, set_is_cancelled},
    {"set descriptor", 0, begin_armed_member, descriptor_of_set, sets_descriptor_works},
    {"set close", EFFECT, begin_full_set, close_set, set_is_closed},
    {"gc", SOME | EFFECT, begin_rubbish, collect, all_is_well},
    {"gc dry", SOME, begin_rubbish, collect_dry, all_is_well},
    {"open among rubbish", EFFECT, begin_rubbish, open_among_rubbish, opened_among_rubbish},
    {"create over intent", EFFECT, begin_rubbish, create_over_intent, created_over_intent},
    {"inspect list", 0, begin_looks, list_objects, end_looks},
    {"inspect port", SOME, begin_looks, look_at_port, end_looks},
    {"inspect link", SOME, begin_looks, look_at_link, end_looks},
    {"inspect peer", SOME, begin_looks, look_at_peer, end_looks},
    {"fork port send", FORKED, begin_port, send_one, port_works_in_child},
    {"fork lock acquire", FORKED, begin_region, acquire_lock, region_works_in_child},
    {"fork port close", FORKED, begin_port, close_inherited, end_child},
    {"fork link close", FORKED, begin_link, close_inherited, end_child},
};
const uint32_t scenario_count = sizeof scenarios / sizeof scenarios[0];
