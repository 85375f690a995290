/* Regions: making, attaching, rights, and how long they live. */
#include "api.h"

#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define KIB ((size_t)1024)
#define MIB ((size_t)1024 * 1024)
#define TIB ((size_t)1 << 40)

/* A region made with `flags` and `mode`, or the error. */
static int make(yoke_region **ret, const char *name, size_t size, uint32_t flags, uint32_t mode)
{
    struct yoke_region_options options = YOKE_REGION_OPTIONS_INIT;

    options.flags = flags;
    options.mode = mode;
    return yoke_region_create(ret, name, size, &options);
}

static bool is_zero(const unsigned char *bytes, size_t size)
{
    return bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0;
}

/* ---- memory ----------------------------------------------------------------------------------- */

static void new_region_has_its_size_is_zero_and_can_be_written_to_its_last_byte(void **state)
{
    static const size_t sizes[] = {1, 2, 8, 4095, 4096, 4097, 123457, 5 * MIB};

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        yoke_region *region = region_make("sized", sizes[i]);
        unsigned char *data = yoke_region_data(region);

        assert_int_equal(yoke_region_size(region), sizes[i]);
        assert_int_equal((uintptr_t)data % 4096, 0);
        assert_true(sizes[i] == 1 || is_zero(data, sizes[i]));
        memset(data, 0xff, sizes[i]);
        yoke_region_close(region);
    }
}

static void memory_of_a_removed_region_comes_back_as_zero(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) {
        yoke_region *region = region_make("again", 64 * KIB);

        assert_true(is_zero(yoke_region_data(region), 64 * KIB));
        memset(yoke_region_data(region), 0xa5, 64 * KIB);
        yoke_region_close(region);
    }
}

static int role_reads_and_answers(void *argument)
{
    yoke_region *region = region_join("many");
    unsigned char *data = yoke_region_data(region);

    (void)argument;
    assert_int_equal(data[100], 7);
    data[101] = 8;
    yoke_region_close(region);
    return 0;
}

static void every_attachment_sees_the_same_memory_at_an_address_of_its_own(void **state)
{
    yoke_region *handles[3] = {region_make("many", MIB), region_join("many"), region_join("many")};
    unsigned char *data[3];

    (void)state;
    for (int i = 0; i < 3; i++) {
        data[i] = yoke_region_data(handles[i]);
        for (int j = 0; j < i; j++)
            assert_ptr_not_equal(data[i], data[j]);
    }
    data[0][100] = 7;
    assert_int_equal(data[1][100], 7);
    assert_int_equal(role_wait(role_start(role_reads_and_answers, NULL), SOON_MS), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(data[i][101], 8);
    for (int i = 0; i < 3; i++)
        yoke_region_close(handles[i]);
}

static void closing_one_attachment_leaves_the_others_as_they_are(void **state)
{
    yoke_region *first = region_make("two", 4096), *second = region_join("two");
    unsigned char *data = yoke_region_data(second);

    (void)state;
    data[0] = 1;
    must(yoke_region_close(first));
    assert_int_equal(data[0], 1);
    data[1] = 2;
    must(yoke_region_close(second));
    must(yoke_region_close(NULL));
}

static void handles_give_back_their_descriptors_and_attachments(void **state)
{
    int before = open_descriptors();

    (void)state;
    for (int i = 0; i < 50; i++) {
        yoke_region *region = region_make("tidy", 4096), *again = region_join("tidy"), *reader;

        must(yoke_region_open(&reader, "tidy", YOKE_READ_ONLY));
        yoke_region_close(again);
        yoke_region_close(reader);
        yoke_region_close(region);
    }
    assert_int_equal(open_descriptors(), before);
    assert_int_equal(segments_made_by(getpid()), 0);
    assert_int_equal(names_left(), 0);
}

/* ---- creating and finding --------------------------------------------------------------------- */

static void exclusive_creation_of_what_exists_is_refused(void **state)
{
    yoke_region *region = region_make("one", 4096), *other = NULL;

    (void)state;
    must_fail(make(&other, "one", 4096, YOKE_EXCLUSIVE, 0), EEXIST);
    assert_non_null(strstr(yoke_explain(), "one"));
    assert_null(other);
    yoke_region_close(region);
    must(make(&other, "one", 4096, YOKE_EXCLUSIVE, 0));
    yoke_region_close(other);
}

static void creating_what_exists_attaches_it_if_the_size_is_the_same(void **state)
{
    yoke_region *region = region_make("same", 5000), *other = NULL;

    (void)state;
    *(char *)yoke_region_data(region) = 'x';
    must(yoke_region_create(&other, "same", 5000, NULL));
    assert_int_equal(*(char *)yoke_region_data(other), 'x');
    yoke_region_close(other);
    other = NULL;
    must_fail(yoke_region_create(&other, "same", 5001, NULL), EEXIST);
    assert_non_null(strstr(yoke_explain(), "5000"));
    assert_non_null(strstr(yoke_explain(), "5001"));
    assert_null(other);
    assert_int_equal(*(char *)yoke_region_data(region), 'x');
    yoke_region_close(region);
}

static void opening_what_does_not_exist_is_refused(void **state)
{
    yoke_region *region = NULL;

    (void)state;
    must_fail(yoke_region_open(&region, "nothing", 0), ENOENT);
    assert_non_null(strstr(yoke_explain(), "nothing"));
    must_fail(yoke_region_open(&region, "nothing", YOKE_READ_ONLY), ENOENT);
    must_fail(yoke_region_remove("nothing"), ENOENT);
    must_fail(yoke_remove("region:nothing"), ENOENT);
    assert_null(region);
}

static void names_of_all_allowed_characters_and_lengths_are_taken_as_they_are(void **state)
{
    char name[YOKE_NAME_MAX + 1], longest[YOKE_NAME_MAX + 1];
    size_t length = 0;

    (void)state;
    for (char c = '!'; c <= '~'; c++)
        if (c != '/' && c != '@' && !(c == '.' && length == 0))
            name[length++] = c;
    name[length] = 0;
    memset(longest, 'n', YOKE_NAME_MAX);
    longest[YOKE_NAME_MAX] = 0;

    const char *names[] = {name, longest, "x", "%s%n%d", "a.b..c", "-rf", "~", "region.x", "a:b"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        yoke_region *region = region_make(names[i], 4096), *other = region_join(names[i]);

        *(char *)yoke_region_data(region) = 'y';
        assert_int_equal(*(char *)yoke_region_data(other), 'y');
        yoke_region_close(other);
        yoke_region_close(region);
    }
    assert_int_equal(names_left(), 0);
}

static void region_and_port_of_one_name_are_two_objects(void **state)
{
    yoke_region *region = region_make("both", 4096);
    yoke_endpoint *port = port_make("both", NULL);

    (void)state;
    memset(yoke_region_data(region), 0xff, 4096);
    send_number(port, 42);
    assert_int_equal(recv_number(port, YOKE_NOW), 42);
    yoke_region_close(region);
    must_fail(yoke_region_open(&region, "both", 0), ENOENT);
    yoke_close(port);
}

/* ---- reading only ----------------------------------------------------------------------------- */

static int role_writes_into_a_read_only_region(void *argument)
{
    yoke_region *region;

    (void)argument;
    signal(SIGSEGV, SIG_DFL);
    must(yoke_region_open(&region, "readable", YOKE_READ_ONLY));
    if (*(volatile char *)yoke_region_data(region) != 'r')
        return 1;
    *(volatile char *)yoke_region_data(region) = 'w';
    return 2;
}

static void read_only_attachment_can_be_read_but_not_written(void **state)
{
    yoke_region *region = region_make("readable", 4096);

    (void)state;
    *(char *)yoke_region_data(region) = 'r';
    assert_int_equal(role_wait(role_start(role_writes_into_a_read_only_region, NULL), SOON_MS),
                     128 + SIGSEGV);
    assert_int_equal(*(char *)yoke_region_data(region), 'r');
    yoke_region_close(region);
}

static void read_only_attachment_takes_no_participants_place(void **state)
{
    struct yoke_region_options options = YOKE_REGION_OPTIONS_INIT;
    yoke_region *region, *readers[5], *writer = NULL;

    (void)state;
    options.participants = 1;
    must(yoke_region_create(&region, "crowd", 4096, &options));
    for (int i = 0; i < 5; i++)
        must(yoke_region_open(&readers[i], "crowd", YOKE_READ_ONLY));
    must_fail(yoke_region_open(&writer, "crowd", 0), ENOSPC);
    assert_non_null(strstr(yoke_explain(), "1 participants"));
    yoke_region_close(region);
    must(
        yoke_region_open(&writer, "crowd", 0)); /* a place is free, and the readers kept it alive */
    for (int i = 0; i < 5; i++)
        yoke_region_close(readers[i]);
    yoke_region_close(writer);
}

/* ---- lives ------------------------------------------------------------------------------------ */

static void removed_region_stays_for_its_users_and_frees_its_name_at_once(void **state)
{
    yoke_region *old, *new = NULL;

    (void)state;
    for (uint32_t kept = 0; kept <= YOKE_KEPT; kept += YOKE_KEPT) {
        must(make(&old, "gone", 4096, kept, 0));
        strcpy(yoke_region_data(old), "old");
        must(yoke_region_remove("gone"));
        must_fail(yoke_region_open(&new, "gone", 0), ENOENT);
        must_fail(yoke_region_remove("gone"), ENOENT);
        assert_string_equal(yoke_region_data(old), "old");
        must(make(&new, "gone", 8192, kept | YOKE_EXCLUSIVE, 0));
        assert_int_equal(*(char *)yoke_region_data(new), 0);
        strcpy(yoke_region_data(new), "new");
        assert_string_equal(yoke_region_data(old), "old");
        yoke_region_close(old); /* must not take the new one's name away */
        old = region_join("gone");
        assert_string_equal(yoke_region_data(old), "new");
        yoke_region_close(old);
        must(yoke_remove("region:gone"));
        yoke_region_close(new);
        assert_int_equal(segments_made_by(getpid()), 0);
        assert_int_equal(names_left(), 0);
    }
}

static void transient_region_goes_with_its_last_handle(void **state)
{
    yoke_region *first = region_make("brief", 4096), *second = region_join("brief"), *none = NULL;

    (void)state;
    yoke_region_close(first);
    first = region_join("brief");
    yoke_region_close(second);
    yoke_region_close(first);
    assert_int_equal(segments_made_by(getpid()), 0);
    assert_int_equal(names_left(), 0);
    must_fail(yoke_region_open(&none, "brief", 0), ENOENT);
}

struct holding {
    struct baton ready;
    const char *name;
    uint32_t flags;
};

static int role_creates_and_holds(void *argument)
{
    struct holding *holding = argument;
    yoke_region *region;

    must(make(&region, holding->name, 4 * MIB, holding->flags, 0));
    memset(yoke_region_data(region), 'h', 4 * MIB);
    baton_pass(&holding->ready);
    for (;;)
        pause();
    return 0;
}

static void transient_region_goes_when_its_only_user_is_killed(void **state)
{
    struct holding holding = {.name = "killed"};
    yoke_region *region = NULL;
    pid_t pid;

    (void)state;
    baton_make(&holding.ready);
    pid = role_start(role_creates_and_holds, &holding);
    baton_take(&holding.ready);
    assert_int_equal(segments_made_by(pid), 1);
    role_kill(pid);
    assert_int_equal(segments_made_by(pid), 0); /* the memory: by itself */
    must_fail(yoke_region_open(&region, "killed", 0), ENOENT);
    assert_int_equal(names_left(), 0); /* the name: by the next call */
    baton_drop(&holding.ready);
}

static void transient_region_outlives_its_killed_creator_while_somebody_uses_it(void **state)
{
    struct holding holding = {.name = "heir"};
    yoke_region *region, *other = NULL;
    pid_t pid;

    (void)state;
    baton_make(&holding.ready);
    pid = role_start(role_creates_and_holds, &holding);
    baton_take(&holding.ready);
    region = region_join("heir");
    role_kill(pid);
    assert_int_equal(((char *)yoke_region_data(region))[4 * MIB - 1], 'h');
    other = region_join("heir");
    yoke_region_close(region);
    yoke_region_close(other);
    assert_int_equal(segments_made_by(pid), 0);
    assert_int_equal(names_left(), 0);
    baton_drop(&holding.ready);
}

static void kept_region_stays_without_users_until_it_is_removed(void **state)
{
    struct holding holding = {.name = "kept", .flags = YOKE_KEPT};
    yoke_region *region;
    pid_t pid;

    (void)state;
    baton_make(&holding.ready);
    pid = role_start(role_creates_and_holds, &holding);
    baton_take(&holding.ready);
    role_kill(pid);
    for (int i = 0; i < 3; i++) {
        region = region_join("kept");
        assert_int_equal(((char *)yoke_region_data(region))[MIB], 'h');
        yoke_region_close(region);
    }
    must(yoke_region_remove("kept"));
    must_fail(yoke_region_open(&region, "kept", 0), ENOENT);
    assert_int_equal(segments_made_by(pid), 0);
    assert_int_equal(names_left(), 0);
    baton_drop(&holding.ready);
}

/* ---- kinds of memory -------------------------------------------------------------------------- */

static long number_in(const char *path)
{
    FILE *file = fopen(path, "re");
    long number = -1;

    if (file) {
        if (fscanf(file, "%ld", &number) != 1)
            number = -1;
        fclose(file);
    }
    return number;
}

static void sparse_region_may_be_bigger_than_the_memory_there_is(void **state)
{
    yoke_region *region;
    struct segment_facts facts;
    unsigned char *data;

    (void)state;
    if (number_in("/proc/sys/vm/overcommit_memory") == 2)
        skip_test("vm.overcommit_memory is 2: this kernel reserves all memory");
    must(make(&region, "sparse", TIB, YOKE_SPARSE, 0));
    data = yoke_region_data(region);
    data[0] = data[TIB / 2] = data[TIB - 1] = 1;
    assert_int_equal(data[TIB / 3], 0);
    assert_true(biggest_segment(&facts));
    assert_in_range(facts.size, TIB, TIB + MIB);
    assert_in_range(facts.resident, 3 * 4096, MIB);
    yoke_region_close(region);
}

/* Where even sparse memory counts, the sentence says so, and how much there is. */
static void assert_says_what_counts(void)
{
    bool strict = number_in("/proc/sys/vm/overcommit_memory") == 2;

    assert_int_equal(strstr(yoke_explain(), "vm.overcommit_memory is 2") != NULL, strict);
    assert_int_equal(strstr(yoke_explain(), "CommitLimit") != NULL, strict);
}

static void port_beyond_all_memory_is_told_what_makes_it_smaller(void **state)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;
    yoke_endpoint *endpoint = NULL;

    (void)state;
    if (number_in("/proc/sys/vm/overcommit_memory") == 1)
        skip_test("vm.overcommit_memory is 1: this kernel reserves nothing");
    options.max_message = 16 * MIB;
    options.max_borrowed = 64;
    must_fail(yoke_open(&endpoint, "port:vast", YOKE_CREATE | YOKE_POPULATE, &options), ENOMEM);
    assert_non_null(strstr(yoke_explain(), "not enough memory"));
    assert_non_null(strstr(yoke_explain(), "lower participants, max_borrowed, depth"));
    assert_says_what_counts();
    assert_null(endpoint);
    assert_int_equal(segments_made_by(getpid()), 0);
    assert_int_equal(names_left(), 0);
}

static void region_beyond_all_memory_is_refused_at_once_unless_sparse(void **state)
{
    yoke_region *region = NULL;

    (void)state;
    if (number_in("/proc/sys/vm/overcommit_memory") == 1)
        skip_test("vm.overcommit_memory is 1: this kernel reserves nothing");
    must_fail(make(&region, "vast", 32 * TIB, 0, 0), ENOMEM);
    assert_non_null(strstr(yoke_explain(), "not enough memory"));
    assert_says_what_counts();
    assert_null(region);
    assert_int_equal(segments_made_by(getpid()), 0);
    assert_int_equal(names_left(), 0);
}

static void populated_region_has_its_pages_from_the_start(void **state)
{
    yoke_region *region;
    struct segment_facts facts;

    (void)state;
    must(make(&region, "present", 4 * MIB, 0, 0));
    assert_true(biggest_segment(&facts));
    assert_true(facts.resident < MIB);
    yoke_region_close(region);

    must(make(&region, "present", 4 * MIB, YOKE_POPULATE, 0));
    assert_true(biggest_segment(&facts));
    assert_true(facts.resident >= 4 * MIB);
    assert_true(is_zero(yoke_region_data(region), 4 * MIB));
    yoke_region_close(region);
}

static void huge_pages_are_used_or_refused_with_the_reason(void **state)
{
    yoke_region *region = NULL;
    int result = make(&region, "huge", 2 * MIB, YOKE_HUGE, 0);

    (void)state;
    if (result == 0) {
        assert_true(is_zero(yoke_region_data(region), 2 * MIB));
        memset(yoke_region_data(region), 1, 2 * MIB);
        yoke_region_close(region);
        return;
    }
    assert_true(result == -ENOMEM || result == -EPERM || result == -EINVAL);
    assert_non_null(strstr(yoke_explain(), "huge pages"));
    assert_null(region);
    assert_int_equal(names_left(), 0);
}

/* ---- participants ----------------------------------------------------------------------------- */

static int role_fills_all_places(void *argument)
{
    const struct baton *ready = argument;

    for (int i = 0; i < 3; i++)
        region_join("full");
    baton_pass(ready);
    for (;;)
        pause();
    return 0;
}

static void places_of_a_killed_process_are_free_again(void **state)
{
    struct yoke_region_options options = YOKE_REGION_OPTIONS_INIT;
    yoke_region *region, *others[3] = {NULL};
    struct baton ready;

    (void)state;
    options.participants = 4;
    must(yoke_region_create(&region, "full", 4096, &options));
    baton_make(&ready);
    for (int round = 0; round < 30; round++) {
        pid_t pid = role_start(role_fills_all_places, &ready);

        baton_take(&ready);
        must_fail(yoke_region_open(&others[0], "full", 0), ENOSPC);
        assert_non_null(strstr(yoke_explain(), "4 participants"));
        role_kill(pid);
        for (int i = 0; i < 3; i++)
            others[i] = region_join("full");
        for (int i = 0; i < 3; i++)
            yoke_region_close(others[i]);
    }
    baton_drop(&ready);
    yoke_region_close(region);
}

/* ---- rights: these need root, who plays several users ------------------------------------------ */

struct access {
    const char *name;
    unsigned user;
    gid_t group; /* besides; 0: none */
    int reading, writing, removing;
};

/* What another user's calls return; 100 + i when the i-th differs from what was expected. */
static int role_tries_access(void *argument)
{
    const struct access *access = argument;
    yoke_region *region = NULL;
    int result;

    if (access->group) {
        gid_t groups[] = {access->group};

        if (setresgid(USER_ID(access->user), USER_ID(access->user), USER_ID(access->user)) != 0 ||
            setgroups(1, groups) != 0 ||
            setresuid(USER_ID(access->user), USER_ID(access->user), USER_ID(access->user)) != 0)
            return 99;
    } else {
        become_user(access->user);
    }
    result = yoke_region_open(&region, access->name, YOKE_READ_ONLY);
    if (result != access->reading)
        return 100;
    if (result == 0 && *(char *)yoke_region_data(region) != 'o')
        return 101;
    yoke_region_close(region);
    region = NULL;
    result = yoke_region_open(&region, access->name, 0);
    if (result != access->writing)
        return 102;
    if (result == 0) {
        yoke_lock *lock = (yoke_lock *)((char *)yoke_region_data(region) + 64);

        if (yoke_lock_acquire(region, lock, YOKE_NOW) != 0 || yoke_lock_release(region, lock) != 0)
            return 103;
    } else if (strstr(yoke_explain(), "permission") == NULL &&
               strstr(yoke_explain(), "Permission") == NULL) {
        return 104;
    }
    yoke_region_close(region);
    return yoke_region_remove(access->name) == access->removing ? 0 : 105;
}

static void assert_access(const struct access *access)
{
    assert_int_equal(role_wait(role_start(role_tries_access, (void *)(uintptr_t)access), SOON_MS),
                     0);
}

static void mode_says_who_may_read_and_write(void **state)
{
    static const struct {
        uint32_t mode;
        int reading, writing;
    } cases[] = {
        {0, -EACCES, -EACCES},    {0600, -EACCES, -EACCES}, {0640, -EACCES, -EACCES},
        {0660, -EACCES, -EACCES}, {0644, 0, -EACCES},       {0666, 0, 0},
    };
    mode_t before;

    (void)state;
    share_directory();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (mode_t mask = 0; mask <= 077; mask += 077) { /* umask must not matter */
            struct access access = {"moded", 1, 0, cases[i].reading, cases[i].writing, -EACCES};
            struct segment_facts facts;
            yoke_region *region;

            before = umask(mask);
            must(make(&region, "moded", 4096, 0, cases[i].mode));
            umask(before);
            assert_true(biggest_segment(&facts));
            assert_int_equal(facts.mode & 0777, cases[i].mode ? cases[i].mode : 0600);
            *(char *)yoke_region_data(region) = 'o';
            assert_access(&access);
            yoke_region_close(region);
        }
    }
}

static void group_may_what_the_modes_group_bits_say(void **state)
{
    static const struct {
        uint32_t mode;
        int reading, writing;
    } cases[] = {{0600, -EACCES, -EACCES}, {0640, 0, -EACCES}, {0660, 0, 0}};

    (void)state;
    share_directory();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct yoke_region_options options = YOKE_REGION_OPTIONS_INIT;
        struct access member = {"grouped", 2, 20000, cases[i].reading, cases[i].writing, -EACCES};
        struct access stranger = {"grouped", 3, 0, -EACCES, -EACCES, -EACCES};
        struct segment_facts facts;
        yoke_region *region;

        options.mode = cases[i].mode;
        options.group = 20000;
        must(yoke_region_create(&region, "grouped", 4096, &options));
        assert_true(biggest_segment(&facts));
        assert_int_equal(facts.gid, 20000);
        *(char *)yoke_region_data(region) = 'o';
        assert_access(&member);
        assert_access(&stranger);
        yoke_region_close(region);
    }
}

static void clear_directory(const char *path)
{
    DIR *directory = opendir(path);
    struct dirent *entry;

    assert_non_null(directory);
    while ((entry = readdir(directory)))
        if (entry->d_name[0] == '.' && entry->d_name[1] != '.' && entry->d_name[1])
            must(unlinkat(dirfd(directory), entry->d_name,
                          entry->d_type == DT_DIR ? AT_REMOVEDIR : 0));
    closedir(directory);
    must(rmdir(path));
}

static int role_makes_a_directory_under_a_strict_umask(void *path)
{
    yoke_region *region;

    become_user(1);
    umask(0777);
    setenv("YOKE_DIR", path, 1);
    for (int i = 0; i < 2; i++) { /* the second needs what the first one made */
        must(make(&region, "strict", 4096, YOKE_KEPT, 0600));
        yoke_region_close(region);
        must(yoke_region_remove("strict"));
    }
    clear_directory(path);
    return 0;
}

static void umask_without_the_owners_rights_locks_nobody_out(void **state)
{
    char path[256];

    (void)state;
    share_directory();
    snprintf(path, sizeof path, "%s", name_path("own"));
    assert_int_equal(
        role_wait(role_start(role_makes_a_directory_under_a_strict_umask, path), SOON_MS), 0);
}

struct two_users {
    struct baton made, tried;
};

static int role_owns_a_region(void *argument)
{
    struct two_users *users = argument;
    yoke_region *region;

    become_user(1);
    must(make(&region, "owned", 4096, YOKE_KEPT, 0600));
    *(char *)yoke_region_data(region) = 'o';
    baton_pass(&users->made);
    baton_take(&users->tried);
    assert_int_equal(*(char *)yoke_region_data(region), 'o');
    yoke_region_close(region);
    return 0;
}

static int role_creates_under_anothers_name(void *argument)
{
    yoke_region *region = NULL;

    (void)argument;
    become_user(2);
    must_fail(make(&region, "owned", 4096, 0, 0), EACCES);
    must_fail(make(&region, "owned", 4096, YOKE_EXCLUSIVE, 0), EACCES);
    must(make(&region, "own", 4096, 0, 0));
    yoke_region_close(region);
    return 0;
}

static void users_keep_out_of_each_others_objects_and_root_removes_any(void **state)
{
    struct two_users users;
    struct access stranger = {"owned", 2, 0, -EACCES, -EACCES, -EACCES};
    pid_t owner;

    (void)state;
    share_directory();
    baton_make(&users.made);
    baton_make(&users.tried);
    owner = role_start(role_owns_a_region, &users);
    baton_take(&users.made);
    assert_access(&stranger);
    assert_int_equal(role_wait(role_start(role_creates_under_anothers_name, NULL), SOON_MS), 0);
    must(yoke_region_remove("owned"));
    baton_pass(&users.tried);
    assert_int_equal(role_wait(owner, SOON_MS), 0);
    assert_int_equal(segments_made_by(owner), 0);
    assert_int_equal(names_left(), 0);
    baton_drop(&users.made);
    baton_drop(&users.tried);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        api_test(new_region_has_its_size_is_zero_and_can_be_written_to_its_last_byte),
        api_test(memory_of_a_removed_region_comes_back_as_zero),
        api_test(every_attachment_sees_the_same_memory_at_an_address_of_its_own),
        api_test(closing_one_attachment_leaves_the_others_as_they_are),
        api_test(handles_give_back_their_descriptors_and_attachments),
        api_test(exclusive_creation_of_what_exists_is_refused),
        api_test(creating_what_exists_attaches_it_if_the_size_is_the_same),
        api_test(opening_what_does_not_exist_is_refused),
        api_test(names_of_all_allowed_characters_and_lengths_are_taken_as_they_are),
        api_test(region_and_port_of_one_name_are_two_objects),
        api_test(read_only_attachment_can_be_read_but_not_written),
        api_test(read_only_attachment_takes_no_participants_place),
        api_test(removed_region_stays_for_its_users_and_frees_its_name_at_once),
        api_test(transient_region_goes_with_its_last_handle),
        api_test(transient_region_goes_when_its_only_user_is_killed),
        api_test(transient_region_outlives_its_killed_creator_while_somebody_uses_it),
        api_test(kept_region_stays_without_users_until_it_is_removed),
        api_test(sparse_region_may_be_bigger_than_the_memory_there_is),
        api_test(port_beyond_all_memory_is_told_what_makes_it_smaller),
        api_test(region_beyond_all_memory_is_refused_at_once_unless_sparse),
        api_test(populated_region_has_its_pages_from_the_start),
        api_test(huge_pages_are_used_or_refused_with_the_reason),
        api_test(places_of_a_killed_process_are_free_again),
        api_test(mode_says_who_may_read_and_write),
        api_test(group_may_what_the_modes_group_bits_say),
        api_test(umask_without_the_owners_rights_locks_nobody_out),
        api_test(users_keep_out_of_each_others_objects_and_root_removes_any),
    };

    return cmocka_run_group_tests(tests, api_setup, NULL);
}
