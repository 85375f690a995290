/* Looking at objects without taking part in them: src/inspect.h. */
#include "inspection.h"

#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>

/* ---- facts ---- */

/* The only participant of an object. */
static struct yk_participant_facts participant_of(const char *address)
{
    struct yk_object_facts facts;
    struct yk_participant_facts *all, one;
    size_t count;
    assert_int_equal(yk_inspect(address, &facts, &all, &count), 0);
    assert_int_equal(count, 1);
    one = all[0];
    free(all);
    return one;
}

static void region_is_described(void **state)
{
    (void)state;
    yoke_region *region;
    struct yoke_region_options options = YOKE_REGION_OPTIONS_INIT;
    options.mode = 0640;
    options.participants = 9;
    int64_t before = yk_now_wall();
    assert_int_equal(yoke_region_create(&region, "frames", 100001, &options), 0);
    memset(yoke_region_data(region), 1, 100001);

    struct yk_object_facts facts = facts_of("region:frames");
    assert_string_equal(facts.kind, "region");
    assert_string_equal(facts.name, "frames");
    assert_string_equal(facts.problem, "");
    assert_false(facts.kept);
    assert_false(facts.removed);
    assert_int_equal(facts.mode, 0640);
    assert_int_equal(facts.uid, geteuid());
    assert_int_equal(facts.gid, getegid());
    assert_in_range(facts.created_ns, before, yk_now_wall());
    assert_int_equal(facts.creator, getpid());
    assert_true(facts.memory_mapped > 100001);
    assert_in_range(facts.memory_used, 100001, 200000);
    assert_int_equal(facts.attached, 1);
    assert_int_equal(facts.participants_max, 9);
    assert_int_equal(facts.participants_used, 1);
    assert_int_equal(facts.region_size, 100001);
    yoke_region_close(region);
    assert_int_equal(yk_inspect("region:frames", &facts, NULL, NULL), -ENOENT);
}

static void port_is_described(void **state)
{
    (void)state;
    yoke_endpoint *endpoint = open_port("port:jobs", YOKE_CREATE | YOKE_KEPT);
    struct yk_object_facts facts = facts_of("port:jobs");
    assert_string_equal(facts.kind, "port");
    assert_true(facts.kept);
    assert_int_equal(facts.max_message, 100);
    assert_int_equal(facts.depth, 16);
    assert_int_equal(facts.priorities, 2);
    assert_int_equal(facts.max_deliveries, 7);
    assert_int_equal(facts.max_parked, 3);
    assert_false(facts.once);
    assert_int_equal(facts.participants_max, 5);
    assert_int_equal(facts.region_size, 0);
    yoke_close(endpoint);
    assert_int_equal(facts_of("port:jobs").participants_used, 0);
    assert_int_equal(facts_of("port:jobs").attached, 0);
    assert_int_equal(yoke_remove("port:jobs"), 0);
}

static int role_receive_and_die(void *endpoint)
{
    const void *message;
    char bytes[64];
    for (int i = 0; i < 10; i++)
        assert_int_equal(yoke_recv(endpoint, bytes, sizeof bytes, YOKE_NOW), 4);
    assert_int_equal(yoke_borrow(endpoint, &message, YOKE_NOW), 4);
    raise(SIGKILL);
    return 0;
}

/* Positions that the tail passed over because their cells were held are no messages. */
static void totals_are_what_was_sent_and_acknowledged_whoever_did_it(void **state)
{
    (void)state;
    const void *held[60];
    yoke_endpoint *endpoint = open_port("port:jobs", YOKE_CREATE);
    for (int i = 0; i < 60; i++) {
        send_text(endpoint, "kept", 0);
        assert_int_equal(yoke_borrow(endpoint, &held[i], YOKE_NOW), 4);
    }
    for (int i = 0; i < 20000; i++) { /* several laps */
        char bytes[64];
        send_text(endpoint, "gone", 0);
        assert_int_equal(yoke_recv(endpoint, bytes, sizeof bytes, YOKE_NOW), 4);
    }
    struct yk_object_facts facts = facts_of("port:jobs");
    assert_int_equal(facts.sent, 20060);
    assert_int_equal(facts.received, 20000);
    assert_int_equal(participant_of("port:jobs").received, 20000);
    assert_int_equal(yoke_release(endpoint, held[0]), 0);
    assert_int_equal(facts_of("port:jobs").received, 20001);
    assert_int_equal(participant_of("port:jobs").received, 20001);

    for (int i = 0; i < 11; i++)
        send_text(endpoint, "late", 0);
    role_wait(role_start(role_receive_and_die, endpoint), 10000);
    yoke_close(open_port("port:jobs", 0)); /* clears up behind the dead one, and leaves */
    facts = facts_of("port:jobs");
    assert_int_equal(facts.sent, 20071);
    assert_int_equal(facts.received, 20011);
    assert_int_equal(facts.held, 59);
    assert_int_equal(facts.waiting, 1);
    assert_int_equal(yoke_close(endpoint), 0);
}

static void messages_are_counted_over_all_priorities(void **state)
{
    (void)state;
    const void *first, *second;
    yoke_endpoint *endpoint = open_port("port:jobs", YOKE_CREATE);
    for (int i = 0; i < 3; i++) {
        send_text(endpoint, "low", 0);
        send_text(endpoint, "high", 1);
    }
    assert_int_equal(yoke_borrow(endpoint, &first, YOKE_NOW), 4);
    assert_int_equal(yoke_borrow(endpoint, &second, YOKE_NOW), 4);
    struct yk_object_facts facts = facts_of("port:jobs");
    assert_int_equal(facts.waiting, 4);
    assert_int_equal(facts.held, 2);
    assert_int_equal(facts.sent, 6);
    assert_int_equal(facts.received, 0); /* they are held */
    assert_int_equal(participant_of("port:jobs").held, 2);
    assert_int_equal(participant_of("port:jobs").sent, 6);

    assert_int_equal(yoke_return(endpoint, first), 0);
    facts = facts_of("port:jobs");
    assert_int_equal(facts.waiting, 5);
    assert_int_equal(facts.held, 1);
    assert_int_equal(facts.redelivered, 0);
    for (int i = 2; i <= 7; i++) {
        assert_int_equal(yoke_borrow(endpoint, &first, YOKE_NOW), 4);
        assert_int_equal(yoke_return(endpoint, first), 0);
    }
    facts = facts_of("port:jobs");
    assert_int_equal(facts.redelivered, 6);
    assert_int_equal(facts.parked, 1);
    assert_int_equal(facts.waiting, 4);
    yoke_close(endpoint);
}

static void oldest_message_that_a_participant_holds_is_told_by_its_number(void **state)
{
    (void)state;
    const void *held[3];
    yoke_endpoint *endpoint = open_port("port:jobs", YOKE_CREATE);
    for (int i = 0; i < 4; i++)
        send_text(endpoint, "text", 0);
    assert_true(participant_of("port:jobs").oldest == YK_NONE_HELD);
    for (int i = 0; i < 3; i++)
        assert_int_equal(yoke_borrow(endpoint, &held[i], YOKE_NOW), 4);
    uint64_t first = participant_of("port:jobs").oldest;
    assert_true(first != YK_NONE_HELD);
    assert_int_equal(yoke_release(endpoint, held[1]), 0);
    assert_int_equal(participant_of("port:jobs").oldest, first);
    assert_int_equal(yoke_release(endpoint, held[0]), 0);
    assert_int_equal(participant_of("port:jobs").oldest, first + 2 * 2); /* 2 priorities */
    assert_int_equal(yoke_release(endpoint, held[2]), 0);
    assert_true(participant_of("port:jobs").oldest == YK_NONE_HELD);
    yoke_close(endpoint);
}

#define BURST 200
#define LOOKS 3000

/* Sends bursts and takes them, until it is told to stop. */
static void *send_and_take(void *context)
{
    const char *stop = context;
    yoke_endpoint *endpoint = open_port("port:jobs", 0);
    char text[16];
    while (!__atomic_load_n(stop, __ATOMIC_RELAXED)) {
        for (int i = 0; i < BURST && yoke_send(endpoint, "text", 4, YOKE_NOW) == 0; i++) {
        }
        while (yoke_recv(endpoint, text, sizeof text, YOKE_NOW) > 0) {
        }
    }
    yoke_close(endpoint);
    return NULL;
}

/* Who adds them up over time (Prometheus does) takes one that sinks for a new object. */
static void totals_never_sink(void **state)
{
    (void)state;
    char stop = 0;
    pthread_t thread;
    yoke_endpoint *endpoint = open_port("port:jobs", YOKE_CREATE);
    struct yk_object_facts before = facts_of("port:jobs");
    assert_int_equal(pthread_create(&thread, NULL, send_and_take, &stop), 0);
    while (facts_of("port:jobs").received == 0) {
    }
    for (int i = 0; i < LOOKS; i++) {
        struct yk_object_facts now = facts_of("port:jobs");
        assert_true(now.sent >= before.sent);
        assert_true(now.received >= before.received);
        before = now;
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    pthread_join(thread, NULL);
    yoke_close(endpoint);
}

static int count_participants(const struct yk_object_facts *facts,
                              const struct yk_participant_facts *participants, size_t count,
                              void *context)
{
    size_t *ret = context;
    assert_string_equal(facts->problem, "");
    assert_int_equal(facts->participants_used, count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(participants[i].pid, getpid());
    ret[0]++;
    ret[1] += count;
    return ret[0] == ret[2] ? -ECANCELED : 0;
}

static void each_object_comes_with_its_participants_until_the_caller_has_enough(void **state)
{
    (void)state;
    size_t seen[3] = {0, 0, 0};
    make_kept_port("port:nobody");
    yoke_endpoint *first = open_port("port:one", YOKE_CREATE), *again = open_port("port:one", 0);
    assert_int_equal(yk_inspect_each(true, count_participants, seen), 0);
    assert_int_equal(seen[0], 2);
    assert_int_equal(seen[1], 2);
    seen[0] = 0;
    seen[2] = 1;
    assert_int_equal(yk_inspect_each(true, count_participants, seen), -ECANCELED);
    assert_int_equal(seen[0], 1);
    yoke_close(first);
    yoke_close(again);
    assert_int_equal(yoke_remove("port:nobody"), 0);
}

static void list_has_every_object(void **state)
{
    (void)state;
    struct yk_object_facts *facts;
    yoke_region *region;
    make_kept_port("port:one");
    make_kept_port("port:two");
    assert_int_equal(yoke_region_create(&region, "one", 10, NULL), 0);
    write_file("README", "not an object");
    write_file("port.a b", "not a name");

    bool seen[3] = {false};
    assert_int_equal(yk_inspect_list(&facts), 3);
    for (int i = 0; i < 3; i++) {
        bool two = strcmp(facts[i].name, "two") == 0,
             region_ = strcmp(facts[i].kind, "region") == 0;
        assert_string_equal(facts[i].problem, "");
        seen[region_ ? 2 : two] = true;
    }
    assert_true(seen[0] && seen[1] && seen[2]);
    free(facts);

    yoke_region_close(region);
    assert_int_equal(yoke_remove("port:one"), 0);
    assert_int_equal(yoke_remove("port:two"), 0);
    assert_int_equal(unlink(path_of("README")), 0);
    assert_int_equal(unlink(path_of("port.a b")), 0);
}

static void directory_that_is_not_there_is_empty(void **state)
{
    (void)state;
    struct yk_object_facts *facts, one;
    struct yk_gc_item *items;
    setenv("YOKE_DIR", "/nonexistent/yoke", 1);
    assert_int_equal(yk_inspect_list(&facts), 0);
    assert_null(facts);
    assert_int_equal(yk_gc(false, &items), 0);
    assert_null(items);
    assert_int_equal(yk_inspect("port:jobs", &one, NULL, NULL), -ENOENT);
    assert_non_null(strstr(yoke_explain(), "port:jobs"));
    setenv("YOKE_DIR", directory, 1);
    assert_string_equal(yk_inspect_directory(), directory);
}

static void bad_addresses_are_refused(void **state)
{
    (void)state;
    struct yk_object_facts facts;
    assert_int_equal(yk_inspect(NULL, &facts, NULL, NULL), -EINVAL);
    assert_int_equal(yk_inspect("jobs", &facts, NULL, NULL), -EINVAL);
    assert_int_equal(yk_inspect("port:../x", &facts, NULL, NULL), -EINVAL);
    assert_int_equal(yk_inspect("topic:bob", &facts, NULL, NULL), -ENOTSUP);
    assert_int_equal(yk_inspect("link:bob", &facts, NULL, NULL), -EINVAL);
    assert_int_equal(yk_inspect("link:bob/bob", &facts, NULL, NULL), -EINVAL);
    assert_int_equal(yk_inspect("link:bob/alice/carol", &facts, NULL, NULL), -EINVAL);
}

/* ---- participants ---- */

static void living_participant_is_proven_and_its_state_shown(void **state)
{
    (void)state;
    struct user user = {.address = "port:jobs", .flags = YOKE_CREATE, .receives = true};
    pid_t pid = start_user(&user);
    int64_t end = now_ns() + (int64_t)SOON_MS * 1000000;
    struct yk_participant_facts facts;
    while (facts = participant_of("port:jobs"), facts.waiting_receive == 0 && now_ns() < end)
        sched_yield();
    assert_int_equal(facts.waiting_receive, 1);
    assert_int_equal(facts.waiting_send, 0);
    assert_int_equal(facts.pid, pid);
    assert_int_equal(facts.uid, geteuid());
    assert_true(facts.alive);
    assert_true(facts.proven);
    assert_in_range(facts.joined_ns, 1, (uint64_t)yk_now_wall());
    char name[16];
    yk_sys_process_name(name);
    assert_string_equal(facts.command, name);

    role_stop(pid);
    assert_int_equal(participant_of("port:jobs").state, 'T');
    assert_int_equal(facts_of("port:jobs").participants_used, 1);
    role_kill(pid);
    expect_cleared("name port:jobs\n");
}

static void killed_participant_is_shown_as_dead_with_what_it_held(void **state)
{
    (void)state;
    yoke_endpoint *endpoint = open_port("port:jobs", YOKE_CREATE | YOKE_KEPT);
    send_text(endpoint, "work", 0);
    yoke_close(endpoint);
    struct user user = {.address = "port:jobs", .borrows = true};
    pid_t pid = start_user(&user);
    assert_true(participant_of("port:jobs").alive);
    role_kill(pid);

    struct yk_participant_facts facts = participant_of("port:jobs");
    assert_int_equal(facts.pid, pid);
    assert_false(facts.alive);
    assert_false(facts.proven);
    assert_int_equal(facts.state, '?');
    assert_int_equal(facts.held, 1);
    assert_int_equal(facts_of("port:jobs").participants_used, 0);

    yoke_close(open_port("port:jobs", 0)); /* recovers it */
    struct yk_object_facts object = facts_of("port:jobs");
    assert_int_equal(object.held, 0);
    assert_int_equal(object.waiting, 1);
    assert_int_equal(yoke_remove("port:jobs"), 0);
}

static void participant_that_claims_another_pid_is_not_proven(void **state)
{
    (void)state;
    yoke_endpoint *endpoint = open_port("port:jobs", YOKE_CREATE);
    struct yk_object *object = (struct yk_object *)endpoint; /* its first member's first member */
    struct yk_shm_slot *slot = yk_object_slot(object, object->slot);
    assert_true(participant_of("port:jobs").proven);
    uint32_t others[] = {(uint32_t)getppid(), 0, UINT32_MAX, 1u << 31};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        yk_store32_relaxed(&slot->pid, others[i]);
        struct yk_participant_facts facts = participant_of("port:jobs");
        assert_int_equal(facts.pid, (int32_t)others[i]);
        assert_true(facts.alive);
        assert_false(facts.proven);
    }
    yk_store_relaxed(&slot->command[0], UINT64_C(0x1b5b1b5b1b5b1b5b));
    yk_store_relaxed(&slot->command[1], UINT64_MAX);
    assert_string_equal(participant_of("port:jobs").command, "[?[?[?[????????");
    yoke_close(endpoint);
}

static void without_lock_file_nobody_is_called_dead(void **state)
{
    (void)state;
    char live[48];
    yoke_endpoint *endpoint = open_port("port:jobs", YOKE_CREATE);
    yk_live_path(live, ((struct yk_object *)endpoint)->fixed.nonce);
    move(live, "aside");
    struct yk_participant_facts facts = participant_of("port:jobs");
    assert_true(facts.alive);
    assert_false(facts.proven);
    move("aside", live);
    yoke_close(endpoint);
}

/* ---- what can not be looked at ---- */

static void expect_problem(const char *address, const char *words)
{
    struct yk_object_facts *list, facts = facts_of(address);
    if (!strstr(facts.problem, words))
        fail_msg("%s: '%s' is not about '%s'", address, facts.problem, words);
    assert_int_equal(yk_inspect_list(&list), 1);
    assert_string_equal(list[0].problem, facts.problem);
    assert_string_equal(list[0].name, facts.name);
    free(list);
}

static void garbage_in_a_name_is_a_problem_and_its_object_is_kept(void **state)
{
    (void)state;
    char good[512];
    make_kept_port("port:jobs");
    int segment = facts_of("port:jobs").segment;
    read_file("port.jobs", good);
    const char *garbage[] = {"rubbish", "", "\xff\n",
                             "yoke1 port segment=99999999999999999999 key=0\n"};
    for (size_t i = 0; i < sizeof garbage / sizeof garbage[0]; i++) {
        write_file("port.jobs", garbage[i]);
        expect_problem("port:jobs", "not a name that yoke wrote");
        expect_nothing_to_clear();
    }
    assert_int_equal(unlink(path_of("port.jobs")), 0);
    assert_int_equal(symlink("/etc/passwd", path_of("port.jobs")), 0);
    expect_problem("port:jobs", "symbolic link");
    expect_nothing_to_clear();
    assert_true(segment_is_there(segment));
    assert_int_equal(unlink(path_of("port.jobs")), 0);
    write_file("port.jobs", good);
    assert_string_equal(facts_of("port:jobs").problem, "");
    assert_int_equal(yoke_remove("port:jobs"), 0);
}

static void object_of_another_namespace_or_layout_is_a_problem_and_kept(void **state)
{
    (void)state;
    char good[512], text[512];
    make_kept_port("port:jobs");
    int segment = facts_of("port:jobs").segment;
    read_file("port.jobs", good);
    memcpy(text, good, sizeof text);
    change_number(text, " ipc=");
    write_file("port.jobs", text);
    expect_problem("port:jobs", "IPC namespace");
    expect_nothing_to_clear();
    memcpy(text, good, sizeof text);
    change_number(text, " layout=");
    write_file("port.jobs", text);
    expect_problem("port:jobs", "layout");
    assert_int_equal(facts_of("port:jobs").segment, segment);
    assert_true(facts_of("port:jobs").kept);
    expect_nothing_to_clear();
    write_file("port.jobs", good);
    assert_int_equal(yoke_remove("port:jobs"), 0);
    assert_false(segment_is_there(segment));
}

static void name_whose_memory_is_gone_is_cleared_by_a_look(void **state)
{
    (void)state;
    struct user user = {.address = "port:jobs", .flags = YOKE_CREATE};
    struct yk_object_facts *list, facts;
    role_kill(start_user(&user));
    assert_int_equal(yk_inspect_list(&list), 0);
    free(list);
    assert_false(is_there("port.jobs"));
    role_kill(start_user(&user));
    assert_int_equal(yk_inspect("port:jobs", &facts, NULL, NULL), -ENOENT);
    assert_false(is_there("port.jobs"));
}

static void copied_or_renamed_name_is_a_problem_and_its_object_is_kept(void **state)
{
    (void)state;
    char text[512];
    make_kept_port("port:jobs");
    int segment = facts_of("port:jobs").segment;
    read_file("port.jobs", text);
    move("port.jobs", "port.other");
    expect_problem("port:other", "written for port:jobs");
    assert_int_equal(yoke_remove("port:other"), -EPROTO);
    expect_nothing_to_clear();
    move("port.other", "region.jobs");
    expect_problem("region:jobs", "written for port:jobs");
    assert_int_equal(yoke_region_remove("jobs"), -EPROTO);
    expect_nothing_to_clear();
    assert_true(segment_is_there(segment));
    move("region.jobs", "port.jobs");
    assert_string_equal(facts_of("port:jobs").problem, "");
    assert_int_equal(yoke_remove("port:jobs"), 0);
    assert_false(segment_is_there(segment));
}

/* Supplementary groups included: root's may open what is meant to be out of reach. */
static bool become_somebody_else(void)
{
    return setgroups(0, NULL) == 0 && setresgid(65534, 65534, 65534) == 0 &&
           setresuid(65534, 65534, 65534) == 0;
}

static int look_as_somebody_else(void *argument)
{
    (void)argument;
    if (!become_somebody_else())
        return 77;
    struct yk_object_facts facts;
    char lines[100];
    assert_int_equal(yk_inspect("port:jobs", &facts, NULL, NULL), 0);
    assert_non_null(strstr(facts.problem, "can not be read"));
    assert_int_equal(chmod(path_of("port.jobs"), 0644), -1);
    assert_int_equal(collect(false, lines, sizeof lines), 0);
    return 0;
}

static int look_at_unreadable_segment(void *argument)
{
    (void)argument;
    if (!become_somebody_else())
        return 77;
    struct yk_object_facts facts;
    assert_int_equal(yk_inspect("port:jobs", &facts, NULL, NULL), 0);
    assert_non_null(strstr(facts.problem, "no permission to read segment"));
    assert_int_equal(facts.uid, 0);
    return 0;
}

static void what_another_user_may_not_read_is_a_problem(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip_test("needs root, to be two users");
    /* all directories above must let the other user through */
    char other[] = "/tmp/yoke-inspect-XXXXXX";
    assert_non_null(mkdtemp(other));
    assert_int_equal(chmod(other, 01777), 0);
    char before[sizeof directory];
    memcpy(before, directory, sizeof before);
    snprintf(directory, sizeof directory, "%s", other);
    setenv("YOKE_DIR", other, 1);
    make_kept_port("port:jobs");
    assert_int_equal(chmod(path_of("port.jobs"), 0600), 0);
    int first = role_wait(role_start(look_as_somebody_else, NULL), SOON_MS);
    assert_int_equal(chmod(path_of("port.jobs"), 0644), 0);
    int second = role_wait(role_start(look_at_unreadable_segment, NULL), SOON_MS);
    assert_int_equal(yoke_remove("port:jobs"), 0);
    unlink(path_of(".lock-0"));
    rmdir(path_of(YK_INTENTS "0"));
    rmdir(other);
    memcpy(directory, before, sizeof before);
    setenv("YOKE_DIR", directory, 1);
    if (first == 77)
        skip_test("this user namespace has one user only");
    assert_int_equal(first, 0);
    assert_int_equal(second, 0);
}

/* ---- hostile memory ---- */

static uint64_t seed;

static uint64_t random_number(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

/* Values that are more likely to be believed than any number. */
static uint64_t interesting_number(void)
{
    switch (random_number() % 5) {
    case 0:
        return random_number() % 64;
    case 1:
        return UINT64_C(1) << random_number() % 64;
    case 2:
        return (UINT64_C(1) << random_number() % 64) - 1;
    case 3:
        return UINT64_MAX - random_number() % 64;
    default:
        return random_number();
    }
}

static void scribble(unsigned char *base, size_t size)
{
    for (uint64_t writes = random_number() % 4 + 1; writes > 0; writes--) {
        uint64_t value = interesting_number();
        size_t width = (size_t)1 << random_number() % 4;
        memcpy(base + random_number() % (size / width) * width, &value, width);
    }
}

static void whatever_stands_in_memory_a_look_survives_it(void **state)
{
    (void)state;
    struct yk_object_facts *list;
    struct yk_participant_facts *participants;
    struct yk_object_facts facts;
    size_t count;
    yoke_endpoint *endpoint = open_port("port:jobs", YOKE_CREATE | YOKE_KEPT);
    send_text(endpoint, "one", 0);
    struct shmid_ds kernel;
    int segment = facts_of("port:jobs").segment;
    assert_int_equal(shmctl(segment, IPC_STAT, &kernel), 0);
    unsigned char *base = shmat(segment, NULL, 0), *good = malloc(kernel.shm_segsz);
    memcpy(good, base, kernel.shm_segsz);
    seed = test_seed() * 2 + 1;
    /* the header's fields and the port's details; the slots; everything */
    size_t ranges[] = {sizeof(struct yk_shm_fixed), YK_PAGE + 8 * 128, kernel.shm_segsz};
    for (int i = 0; i < 6000; i++) {
        scribble(base, ranges[i % 3]);
        ssize_t listed = yk_inspect_list(&list);
        assert_true(listed >= 0);
        free(list);
        if (yk_inspect("port:jobs", &facts, &participants, &count) == 0) {
            assert_true(count <= YOKE_PARTICIPANTS_MAX);
            assert_non_null(memchr(facts.problem, '\0', sizeof facts.problem));
            free(participants);
        }
        memcpy(base, good, kernel.shm_segsz);
    }
    free(good);
    shmdt(base);
    yoke_close(endpoint);
    assert_int_equal(yoke_remove("port:jobs"), 0);
}

static int role_take_signals(void *argument)
{
    yoke_peer *bob;
    yoke_endpoint *inbox;
    (void)argument;
    assert_int_equal(yoke_peer_join(&bob, "bob", NULL), 0);
    assert_int_equal(yoke_signals_open(&inbox, bob, 0, NULL), 0);
    for (;;)
        pause();
    return 0;
}

static void inbox_is_of_the_living_owner_of_the_name(void **state)
{
    (void)state;
    struct yk_object_facts facts;
    yoke_peer *bob;
    yoke_endpoint *inbox;
    assert_int_equal(yk_inspect_inbox("bob", &facts), -ENOENT);
    pid_t pid = role_start(role_take_signals, NULL);
    while (yoke_signal_send(NULL, "bob", 1, 2) < 0)
        usleep(1000);
    assert_int_equal(yk_inspect_inbox("bob", &facts), 0);
    assert_string_equal(facts.place, "");
    assert_int_equal(facts.waiting, 1);
    role_kill(pid);
    /* what it had is still there, as this process sent to it; and the next one has no inbox yet */
    assert_int_equal(yoke_peer_join(&bob, "bob", NULL), 0);
    assert_int_equal(facts_of("signals:bob").waiting, 1);
    assert_int_equal(yk_inspect_inbox("bob", &facts), -ENOENT);
    assert_int_equal(yoke_signals_open(&inbox, bob, YOKE_SIGNALS_KERNEL, NULL), 0);
    assert_int_equal(yk_inspect_inbox("bob", &facts), 0);
    assert_string_equal(facts.place, "kernel");
    yoke_close(inbox);
    assert_int_equal(yk_inspect_inbox("bob", &facts), -ENOENT);
    assert_int_equal(yoke_signals_open(&inbox, bob, 0, NULL), 0);
    assert_int_equal(yk_inspect_inbox("bob", &facts), 0);
    assert_int_equal(facts.waiting, 0);
    yoke_close(inbox);
    assert_int_equal(yoke_peer_leave(bob), 0);
}

/* ---- one message again and again ---- */

/* Sends, and says what then has become of the position that was to be next. */
static enum yk_tap_stage stage_of_next(struct yk_tap *tap, yoke_endpoint *endpoint)
{
    uint64_t next = yk_tap_next(tap, 0);
    assert_int_equal(yoke_send(endpoint, "x", 1, YOKE_NOW), 0);
    return yk_tap_stage(tap, 0, next);
}

static void message_is_seen_to_come_to_wait_and_to_be_taken(void **state)
{
    (void)state;
    const void *borrowed;
    char byte;
    struct yk_tap *tap;
    yoke_endpoint *endpoint = open_port("port:jobs", YOKE_CREATE);
    assert_int_equal(yk_tap_open(&tap, "port:jobs"), 0);
    uint64_t next = yk_tap_next(tap, 0);
    assert_int_equal(yk_tap_stage(tap, 0, next), YK_TAP_COMING);
    assert_int_equal(yk_tap_stage(tap, 0, next + 100000), YK_TAP_COMING);
    assert_int_equal(stage_of_next(tap, endpoint), YK_TAP_WAITS);
    assert_int_equal(yk_tap_stage(tap, 0, next + 1), YK_TAP_COMING);
    assert_int_equal(yoke_borrow(endpoint, &borrowed, YOKE_NOW), 1);
    assert_int_equal(yk_tap_stage(tap, 0, next), YK_TAP_TAKEN);

    /* A lap later the borrowed one is in the way, and its place is passed over. */
    bool passed = false;
    for (uint32_t i = 0; i < 100000 && !passed; i++) {
        enum yk_tap_stage stage = stage_of_next(tap, endpoint);
        passed = stage == YK_TAP_PASSED;
        if (!passed)
            assert_int_equal(stage, YK_TAP_WAITS);
        assert_int_equal(yoke_recv(endpoint, &byte, 1, YOKE_NOW), 1);
    }
    assert_true(passed);
    assert_int_equal(yk_tap_stage(tap, 0, next), YK_TAP_TAKEN);
    assert_int_equal(yoke_release(endpoint, borrowed), 0);
    yk_tap_close(tap);
    yoke_close(endpoint);
}

static void bytes_and_looks_in_vain_are_counted_on_over_all_users(void **state)
{
    (void)state;
    char bytes[8];
    for (uint64_t user = 1; user <= 2; user++) {
        yoke_endpoint *endpoint = open_port("port:jobs", YOKE_CREATE | YOKE_KEPT);
        assert_int_equal(yoke_send(endpoint, "four", 4, YOKE_NOW), 0);
        assert_int_equal(yoke_recv(endpoint, bytes, sizeof bytes, YOKE_NOW), 4);
        assert_int_equal(yoke_recv(endpoint, bytes, sizeof bytes, YOKE_NOW), -EAGAIN);
        struct yk_participant_facts own = participant_of("port:jobs");
        assert_int_equal(own.bytes_sent, 4);
        assert_int_equal(own.bytes_received, 4);
        assert_int_equal(own.empty, 1);
        assert_int_equal(own.full, 0);
        struct yk_object_facts facts = facts_of("port:jobs");
        assert_int_equal(facts.bytes_sent, 4 * user);
        assert_int_equal(facts.bytes_received, 4 * user);
        assert_int_equal(facts.empty, user);
        yoke_close(endpoint);
    }
    assert_int_equal(yoke_remove("port:jobs"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(region_is_described),
        TEST(port_is_described),
        TEST(totals_are_what_was_sent_and_acknowledged_whoever_did_it),
        TEST(messages_are_counted_over_all_priorities),
        TEST(oldest_message_that_a_participant_holds_is_told_by_its_number),
        TEST(totals_never_sink),
        TEST(each_object_comes_with_its_participants_until_the_caller_has_enough),
        TEST(list_has_every_object),
        TEST(directory_that_is_not_there_is_empty),
        TEST(bad_addresses_are_refused),
        TEST(living_participant_is_proven_and_its_state_shown),
        TEST(killed_participant_is_shown_as_dead_with_what_it_held),
        TEST(participant_that_claims_another_pid_is_not_proven),
        TEST(without_lock_file_nobody_is_called_dead),
        TEST(garbage_in_a_name_is_a_problem_and_its_object_is_kept),
        TEST(object_of_another_namespace_or_layout_is_a_problem_and_kept),
        TEST(name_whose_memory_is_gone_is_cleared_by_a_look),
        TEST(copied_or_renamed_name_is_a_problem_and_its_object_is_kept),
        TEST(inbox_is_of_the_living_owner_of_the_name),
        TEST(what_another_user_may_not_read_is_a_problem),
        TEST(whatever_stands_in_memory_a_look_survives_it),
        TEST(message_is_seen_to_come_to_wait_and_to_be_taken),
        TEST(bytes_and_looks_in_vain_are_counted_on_over_all_users),
    };

    choose_directory();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
