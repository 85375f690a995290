/* Clearing what is dead, and nothing else: yk_gc() of src/inspect.h. */
#include "inspection.h"

#include <dirent.h>

static void healthy_objects_are_kept(void **state)
{
    (void)state;
    make_kept_port("port:kept");
    struct user user = {.address = "port:used", .flags = YOKE_CREATE};
    pid_t pid = start_user(&user);
    expect_nothing_to_clear();
    assert_string_equal(facts_of("port:kept").problem, "");
    role_stop(pid);
    expect_nothing_to_clear();
    assert_string_equal(facts_of("port:used").problem, "");
    role_kill(pid);
    expect_cleared("name port:used\n");
    assert_string_equal(facts_of("port:kept").problem, "");
    assert_int_equal(yoke_remove("port:kept"), 0);
}

static void memory_without_a_name_is_cleared_when_nobody_has_it(void **state)
{
    (void)state;
    char expected[200], live[48];
    yoke_endpoint *endpoint = open_port("port:jobs", YOKE_CREATE | YOKE_KEPT);
    int segment = facts_of("port:jobs").segment;
    yk_live_path(live, ((struct yk_object *)endpoint)->fixed.nonce);
    assert_int_equal(unlink(path_of("port.jobs")), 0);
    expect_nothing_to_clear(); /* it is in use */
    yoke_close(endpoint);
    snprintf(expected, sizeof expected, "segment port:jobs\nlock file %s\n", live);
    expect_cleared(expected);
    assert_false(segment_is_there(segment));
    assert_false(is_there(live));
}

static void memory_whose_name_now_means_another_is_cleared(void **state)
{
    (void)state;
    char expected[200], live[48];
    yoke_endpoint *endpoint = open_port("port:jobs", YOKE_CREATE | YOKE_KEPT);
    int lost = facts_of("port:jobs").segment;
    yk_live_path(live, ((struct yk_object *)endpoint)->fixed.nonce);
    yoke_close(endpoint);
    assert_int_equal(unlink(path_of("port.jobs")), 0);
    make_kept_port("port:jobs");
    int healthy = facts_of("port:jobs").segment;
    snprintf(expected, sizeof expected, "segment port:jobs\nlock file %s\n", live);
    expect_cleared(expected);
    assert_false(segment_is_there(lost));
    assert_true(segment_is_there(healthy));
    assert_int_equal(yoke_remove("port:jobs"), 0);
}

static void renamed_name_still_keeps_its_object(void **state)
{
    (void)state;
    make_kept_port("port:jobs");
    move("port.jobs", "port.backup");
    expect_nothing_to_clear();
    move("port.backup", "port.jobs");
    assert_string_equal(facts_of("port:jobs").problem, "");
    assert_int_equal(yoke_remove("port:jobs"), 0);
}

static void name_whose_segment_is_another_object_now_is_cleared(void **state)
{
    (void)state;
    char text[512];
    make_kept_port("port:jobs");
    read_file("port.jobs", text);
    change_number(text, " key=");
    memcpy(strstr(text, " jobs "), " old  ", 6);
    write_file("port.old", text);
    expect_cleared("name port:old\n");
    assert_string_equal(facts_of("port:jobs").problem, "");
    assert_int_equal(yoke_remove("port:jobs"), 0);
}

static void memory_of_another_directory_is_left_alone(void **state)
{
    (void)state;
    char other[] = "/tmp/yoke-inspect-XXXXXX";
    make_kept_port("port:jobs");
    move("port.jobs", "aside"); /* here it would be cleared */
    assert_non_null(mkdtemp(other));
    setenv("YOKE_DIR", other, 1);
    expect_nothing_to_clear();
    setenv("YOKE_DIR", directory, 1);
    assert_int_equal(rmdir(other), 0);
    move("aside", "port.jobs");
    assert_string_equal(facts_of("port:jobs").problem, "");
    assert_int_equal(yoke_remove("port:jobs"), 0);
}

static void segments_of_other_programs_are_left_alone(void **state)
{
    (void)state;
    struct shmid_ds kernel;
    int odd = shmget(0x10001, 4096, IPC_CREAT | IPC_EXCL | 0600);
    int even = shmget(0x10002, 4096, IPC_CREAT | IPC_EXCL | 0600);
    assert_true(odd >= 0 && even >= 0);
    expect_nothing_to_clear();
    assert_true(segment_is_there(odd));
    assert_int_equal(shmctl(even, IPC_STAT, &kernel), 0);
    assert_int_equal(kernel.shm_atime, 0); /* yoke has no such keys: not even looked into */
    shmctl(odd, IPC_RMID, NULL);
    shmctl(even, IPC_RMID, NULL);
}

static void intent_path(char path[YK_ENTRY_MAX + 32], const char *entry)
{
    snprintf(path, YK_ENTRY_MAX + 32, YK_INTENTS "%u/%s", geteuid(), entry);
}

static void interrupted_removal_is_finished(void **state)
{
    (void)state;
    char intent[YK_ENTRY_MAX + 32];
    make_kept_port("port:jobs");
    int segment = facts_of("port:jobs").segment;
    intent_path(intent, "port.jobs");
    move("port.jobs", intent); /* the first step of removing, after which the remover died */
    expect_cleared("intent port:jobs\n");
    assert_false(segment_is_there(segment));
}

static void intent_of_another_namespace_is_left_alone(void **state)
{
    (void)state;
    char intent[YK_ENTRY_MAX + 32], good[512], text[512];
    make_kept_port("port:jobs");
    int segment = facts_of("port:jobs").segment;
    read_file("port.jobs", good);
    memcpy(text, good, sizeof text);
    change_number(text, " ipc=");
    write_file("port.jobs", text);
    intent_path(intent, "port.jobs");
    move("port.jobs", intent);
    expect_nothing_to_clear();
    assert_true(segment_is_there(segment));
    write_file(intent, good);
    expect_cleared("intent port:jobs\n");
    assert_false(segment_is_there(segment));
}

static void half_written_intent_is_cleared(void **state)
{
    (void)state;
    char intent[YK_ENTRY_MAX + 32];
    make_kept_port("port:other"); /* makes the directory of intents */
    intent_path(intent, "port.jobs");
    write_file(intent, "");
    expect_cleared("intent port:jobs\n");
    assert_int_equal(yoke_remove("port:other"), 0);
}

static int hold_name(void *argument)
{
    struct yk_directory names;
    struct yk_name_lock lock;
    assert_int_equal(yk_directory_open(&names, NULL, true), 0);
    assert_int_equal(yk_directory_lock(&lock, &names, geteuid(), "port.jobs", 0), 0);
    baton_pass(argument);
    wait_for_ever();
    return 0;
}

static void intent_of_a_living_process_is_left_alone(void **state)
{
    (void)state;
    char intent[YK_ENTRY_MAX + 32];
    struct baton ready;
    make_kept_port("port:jobs");
    int segment = facts_of("port:jobs").segment;
    intent_path(intent, "port.jobs");
    move("port.jobs", intent);
    baton_make(&ready);
    pid_t pid = role_start(hold_name, &ready);
    baton_take(&ready);
    role_stop(pid);
    expect_nothing_to_clear();
    assert_true(segment_is_there(segment));
    role_kill(pid);
    baton_drop(&ready);
    expect_cleared("intent port:jobs\n");
    assert_false(segment_is_there(segment));
}

static void intent_that_another_user_put_there_is_not_believed(void **state)
{
    (void)state;
    char intent[YK_ENTRY_MAX + 32], text[512];
    if (geteuid() != 0)
        skip_test("needs root, to be two users");
    make_kept_port("port:jobs");
    int segment = facts_of("port:jobs").segment;
    read_file("port.jobs", text);
    intent_path(intent, "port.forged");
    write_file(intent, text);
    assert_int_equal(chown(path_of(intent), 65534, 65534), 0);
    expect_nothing_to_clear();
    assert_true(segment_is_there(segment));
    assert_string_equal(facts_of("port:jobs").problem, "");
    assert_int_equal(unlink(path_of(intent)), 0);
    assert_int_equal(yoke_remove("port:jobs"), 0);
}

static void lock_file_without_an_object_is_cleared_unless_it_is_locked(void **state)
{
    (void)state;
    const char *live = ".live-0123456789abcdef";
    make_kept_port("port:other");
    write_file(live, "");
    write_file(".live-short", "");
    int fd = open(path_of(live), O_RDWR | O_CLOEXEC);
    assert_int_equal(yk_sys_lock_byte(fd, 1000), 0);
    expect_nothing_to_clear();
    close(fd);
    expect_cleared("lock file .live-0123456789abcdef\n");
    assert_false(is_there(live));
    assert_int_equal(unlink(path_of(".live-short")), 0);
    assert_string_equal(facts_of("port:other").problem, "");
    assert_int_equal(yoke_remove("port:other"), 0);
}

static void doorbell_is_cleared_unless_somebody_has_it_open(void **state)
{
    (void)state;
    const char *bell = ".bell-0123456789abcdef";
    make_kept_port("port:other");
    assert_int_equal(mkfifo(path_of(bell), 0600), 0);
    int fd = open(path_of(bell), O_RDWR | O_CLOEXEC);
    write_file(".bell-fedcba9876543210", ""); /* is none */
    expect_nothing_to_clear();
    close(fd);
    expect_cleared("doorbell .bell-0123456789abcdef\n");
    assert_false(is_there(bell));
    expect_nothing_to_clear();
    assert_int_equal(unlink(path_of(".bell-fedcba9876543210")), 0);
    assert_int_equal(yoke_remove("port:other"), 0);
}

static void doorbells_that_are_waited_at_are_kept(void **state)
{
    (void)state;
    yoke_endpoint *port;
    make_kept_port("port:other");
    assert_int_equal(yoke_open(&port, "port:other", 0, NULL), 0);
    assert_true(yoke_fd(port) >= 0);
    expect_nothing_to_clear();
    yoke_close(port);
    expect_nothing_to_clear();
    assert_int_equal(yoke_remove("port:other"), 0);
}

static int role_collects(void *argument)
{
    (void)argument;
    for (;;) {
        struct yk_gc_item *items = NULL;
        if (yk_gc(false, &items) < 0)
            return 1;
        free(items);
    }
}

/* How many files of the name directory have such a name. */
static int count_names(const char *prefix)
{
    DIR *names = opendir(directory);
    struct dirent *entry;
    int count = 0;
    assert_non_null(names);
    while ((entry = readdir(names)))
        count += strncmp(entry->d_name, prefix, strlen(prefix)) == 0;
    closedir(names);
    return count;
}

/* Whoever collects may look at one just before it is opened. */
static void doorbell_is_kept_while_it_is_being_made(void **state)
{
    (void)state;
    pid_t collectors[3];
    make_kept_port("port:jobs");
    for (int i = 0; i < 3; i++)
        collectors[i] = role_start(role_collects, NULL);
    for (int i = 0; i < 200; i++) {
        yoke_endpoint *port;
        assert_int_equal(yoke_open(&port, "port:jobs", 0, NULL), 0);
        int fd = yoke_fd(port);
        if (fd < 0)
            fail_msg("round %d: %d, %s", i, fd, yoke_explain());
        assert_int_equal(count_names(".bell-"), 1); /* else nobody could ring it */
        yoke_close(port);
    }
    for (int i = 0; i < 3; i++)
        role_kill(collectors[i]);
    expect_nothing_to_clear();
    assert_int_equal(yoke_remove("port:jobs"), 0);
}

static void doorbell_of_a_living_peer_is_kept(void **state)
{
    (void)state;
    yoke_peer *peer;
    yoke_endpoint *link;
    assert_int_equal(yoke_peer_join(&peer, "bob", NULL), 0);
    assert_int_equal(yoke_peer_next(peer, &link, 1000000), -ETIMEDOUT);
    assert_int_equal(count_names(".bell-"), 1);
    expect_nothing_to_clear();
    assert_int_equal(count_names(".bell-"), 1);
    yoke_peer_leave(peer);
    assert_int_equal(count_names(".bell-"), 0);
}

static void clearing_tells_how_much_memory_goes(void **state)
{
    (void)state;
    yoke_region *region;
    struct yoke_region_options options = YOKE_REGION_OPTIONS_INIT;
    struct yk_gc_item *items;
    options.flags = YOKE_KEPT;
    assert_int_equal(yoke_region_create(&region, "frames", 1 << 20, &options), 0);
    memset(yoke_region_data(region), 1, 1 << 20);
    yoke_region_close(region);
    char intent[YK_ENTRY_MAX + 32];
    intent_path(intent, "region.frames");
    move("region.frames", intent);
    assert_int_equal(yk_gc(false, &items), 1);
    assert_in_range(items[0].bytes, 1 << 20, (1 << 20) + (64 << 10));
    free(items);
}

/* ---- beside others ---- */

/*
 * Two names: a look may be the last to let go of a transient object, and who opens it meanwhile
 * joins that, again and again while the one who looks is not run: so it takes along what it sends.
 */
static int open_and_close(void *argument)
{
    char text[64];
    for (int i = 0; i < 500; i++) {
        yoke_endpoint *transient = open_port("port:busy", YOKE_CREATE);
        send_text(transient, "x", 0);
        assert_int_equal(yoke_recv(transient, text, sizeof text, YOKE_NOW), 1);
        yoke_close(transient);
        make_kept_port("port:kept");
        yoke_endpoint *kept = open_port("port:kept", 0);
        send_text(kept, "x", 0);
        yoke_close(kept);
        assert_int_equal(facts_of("port:kept").waiting, 1);
        assert_int_equal(yoke_remove("port:kept"), 0);
    }
    baton_pass(argument);
    return 0;
}

/* Whoever creates, uses and removes never loses an object to a look or to gc. */
static void looks_and_clearing_disturb_nobody(void **state)
{
    (void)state;
    struct baton done;
    struct yk_object_facts *list;
    struct yk_gc_item *items;
    baton_make(&done);
    pid_t pid = role_start(open_and_close, &done);
    while (!baton_take_within(&done, 0)) {
        assert_true(yk_inspect_list(&list) >= 0);
        free(list);
        assert_true(yk_gc(false, &items) >= 0);
        free(items);
        if (process_state(pid) == 'Z')
            break;
    }
    assert_int_equal(role_wait(pid, SOON_MS), 0);
    baton_drop(&done);
    assert_true(yk_gc(false, &items) >= 0);
    free(items);
}

static void looks_and_clearing_leave_no_descriptor_and_no_attachment(void **state)
{
    (void)state;
    char lines[2000];
    struct yk_participant_facts *participants;
    struct yk_object_facts facts, *list;
    size_t count;
    make_kept_port("port:jobs");
    write_file("port.garbage", "rubbish");
    int before = open_descriptors();
    assert_int_equal(yk_inspect("port:jobs", &facts, &participants, &count), 0);
    assert_int_equal(yk_inspect_list(&list), 2);
    collect(false, lines, sizeof lines);
    free(participants);
    free(list);
    assert_int_equal(open_descriptors(), before);
    assert_int_equal(facts_of("port:jobs").attached, 0);
    assert_int_equal(unlink(path_of("port.garbage")), 0);
    assert_int_equal(yoke_remove("port:jobs"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(healthy_objects_are_kept),
        TEST(memory_without_a_name_is_cleared_when_nobody_has_it),
        TEST(memory_whose_name_now_means_another_is_cleared),
        TEST(renamed_name_still_keeps_its_object),
        TEST(name_whose_segment_is_another_object_now_is_cleared),
        TEST(memory_of_another_directory_is_left_alone),
        TEST(segments_of_other_programs_are_left_alone),
        TEST(interrupted_removal_is_finished),
        TEST(intent_of_another_namespace_is_left_alone),
        TEST(half_written_intent_is_cleared),
        TEST(intent_of_a_living_process_is_left_alone),
        TEST(intent_that_another_user_put_there_is_not_believed),
        TEST(lock_file_without_an_object_is_cleared_unless_it_is_locked),
        TEST(doorbell_is_cleared_unless_somebody_has_it_open),
        TEST(doorbells_that_are_waited_at_are_kept),
        TEST(doorbell_is_kept_while_it_is_being_made),
        TEST(doorbell_of_a_living_peer_is_kept),
        TEST(clearing_tells_how_much_memory_goes),
        TEST(looks_and_clearing_disturb_nobody),
        TEST(looks_and_clearing_leave_no_descriptor_and_no_attachment),
    };

    choose_directory();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
