/* A system that is full, and name directories that can not be trusted: one sentence, and nothing changed. */
#include "api.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define UNTOUCHED ((void *)0x5a5a5a50)

/* Tries to make both kinds of objects: both must be refused in the same way. */
static void assert_creating_is_refused(int error, const char *part)
{
    yoke_endpoint *endpoint = UNTOUCHED;
    yoke_region *region = UNTOUCHED;

    must_fail(yoke_open(&endpoint, "port:x", YOKE_CREATE, NULL), error);
    if (!strstr(yoke_explain(), part))
        fail_msg("\"%s\" says nothing of \"%s\"", yoke_explain(), part);
    must_fail(yoke_region_create(&region, "x", 4096, NULL), error);
    if (!strstr(yoke_explain(), part))
        fail_msg("\"%s\" says nothing of \"%s\"", yoke_explain(), part);
    assert_ptr_equal(endpoint, UNTOUCHED);
    assert_ptr_equal(region, UNTOUCHED);
}

/* ---- name directories ---------------------------------------------------------------------------- */

/* A path beside the test's own name directory, which becomes $YOKE_DIR until restore(). */
static char original[600], path[640];

static void use_directory(const char *directory)
{
    snprintf(original, sizeof original, "%s", getenv("YOKE_DIR"));
    setenv("YOKE_DIR", directory, 1);
}

static const char *use_path_beside(const char *suffix)
{
    snprintf(path, sizeof path, "%s%s", getenv("YOKE_DIR"), suffix);
    use_directory(path);
    return path;
}

static void restore(void)
{
    setenv("YOKE_DIR", original, 1);
}

static void remove_furniture(const char *directory)
{
    char entry[700];

    snprintf(entry, sizeof entry, "%s/.intents-%u", directory, geteuid());
    rmdir(entry);
    snprintf(entry, sizeof entry, "%s/.lock-%u", directory, geteuid());
    unlink(entry);
}

static void missing_directory_is_made_private(void **state)
{
    const char *directory = use_path_beside("-new");
    mode_t mask = umask(0);
    yoke_region *region = NULL;
    struct stat facts;

    (void)state;
    must_fail(yoke_region_open(&region, "x", 0), ENOENT);
    must_fail(yoke_region_remove("x"), ENOENT);
    assert_int_equal(access(directory, F_OK), -1); /* looking makes none */
    must(yoke_region_create(&region, "x", 4096, NULL));
    umask(mask);
    assert_int_equal(stat(directory, &facts), 0);
    assert_int_equal(facts.st_mode & 07777, 0700);
    yoke_region_close(region);
    remove_furniture(directory);
    assert_int_equal(rmdir(directory), 0);
    restore();
}

static void directory_whose_parent_is_missing_is_refused(void **state)
{
    use_path_beside("-no/such/place");
    (void)state;
    assert_creating_is_refused(ENOENT, "-no/such/place");
    restore();
}

static void directory_that_others_may_write_is_refused_unless_sticky(void **state)
{
    static const mode_t open_modes[] = {0777, 0770, 0722, 0720, 0702};
    const char *directory = use_path_beside("-open");
    yoke_region *region;

    (void)state;
    assert_int_equal(mkdir(directory, 0700), 0);
    for (size_t i = 0; i < sizeof open_modes / sizeof open_modes[0]; i++) {
        assert_int_equal(chmod(directory, open_modes[i]), 0);
        assert_creating_is_refused(EACCES, "others may remove names");
        must_fail(yoke_region_open(&region, "x", 0), EACCES);
        must_fail(yoke_region_remove("x"), EACCES);
    }
    assert_int_equal(chmod(directory, 01777), 0);
    must(yoke_region_create(&region, "x", 4096, NULL));
    yoke_region_close(region);
    remove_furniture(directory);
    assert_int_equal(rmdir(directory), 0);
    restore();
}

static void directory_that_is_none_is_refused(void **state)
{
    const char *directory = use_path_beside("-odd");

    (void)state;
    assert_int_equal(symlink(original, directory), 0); /* to a good one: still not followed */
    assert_creating_is_refused(EACCES, "symbolic link");
    unlink(directory);
    close(open(directory, O_CREAT | O_WRONLY, 0600));
    assert_creating_is_refused(EACCES, directory);
    unlink(directory);
    assert_int_equal(mkfifo(directory, 0600), 0);
    assert_creating_is_refused(EACCES, directory);
    unlink(directory);
    restore();
}

static void relative_or_overlong_directory_is_refused(void **state)
{
    char longest[600] = "/";

    (void)state;
    use_directory("names");
    assert_creating_is_refused(EINVAL, "absolute");
    restore();
    use_directory("./names");
    assert_creating_is_refused(EINVAL, "absolute");
    restore();
    memset(longest + 1, 'd', sizeof longest - 2);
    use_directory(longest);
    assert_creating_is_refused(EINVAL, "254");
    restore();
}

static int role_meets_a_strangers_directory(void *argument)
{
    (void)argument;
    become_user(2);
    assert_creating_is_refused(EACCES, "belongs to uid 10001");
    return 0;
}

static void directory_of_another_user_is_refused(void **state)
{
    const char *directory;

    (void)state;
    share_directory();
    directory = use_path_beside("-theirs");
    assert_int_equal(mkdir(directory, 0755), 0);
    assert_int_equal(chown(directory, USER_ID(1), USER_ID(1)), 0);
    assert_int_equal(role_wait(role_start(role_meets_a_strangers_directory, NULL), SOON_MS), 0);
    assert_creating_is_refused(EACCES, "belongs to uid 10001"); /* to root, too */
    assert_int_equal(rmdir(directory), 0);
    restore();
}

static int role_has_no_access(void *argument)
{
    (void)argument;
    become_user(2);
    assert_creating_is_refused(EACCES, getenv("YOKE_DIR"));
    return 0;
}

static void directory_without_access_is_refused(void **state)
{
    const char *directory;

    (void)state;
    share_directory();
    directory = use_path_beside("-closed");
    assert_int_equal(mkdir(directory, 0700), 0);
    assert_int_equal(role_wait(role_start(role_has_no_access, NULL), SOON_MS), 0);
    assert_int_equal(rmdir(directory), 0);
    restore();
}

/* ---- a full system -------------------------------------------------------------------------------- */

/* With 0, 1, 2 … free descriptors: either it works or it is refused, and then nothing is left. */
static int role_runs_out_of_descriptors(void *argument)
{
    int worked = 0, refused = 0;

    (void)argument;
    for (int spare = 0; spare < 12; spare++) {
        struct rlimit limit = {0, 4096}, all = {4096, 4096};
        yoke_region *region = UNTOUCHED;
        char *before = world_describe(), *after;
        int highest = open("/dev/null", O_RDONLY | O_CLOEXEC), result;

        close(highest); /* the lowest free one */
        limit.rlim_cur = (rlim_t)(highest + spare);
        setrlimit(RLIMIT_NOFILE, &limit);
        result = yoke_region_create(&region, "tight", 4096, NULL);
        setrlimit(RLIMIT_NOFILE, &all);
        if (result == 0) {
            worked++;
            yoke_region_close(region);
        } else {
            refused++;
            must_fail(result, EMFILE);
            assert_ptr_equal(region, UNTOUCHED);
            assert_non_null(strstr(yoke_explain(), "open files"));
        }
        yoke_close(
            port_make("other", NULL)); /* the next call clears what could not be cleared then */
        after = world_describe();
        assert_string_equal(after, before);
        free(before);
        free(after);
    }
    return worked > 0 && refused > 0 ? 0 : 1;
}

static void lack_of_descriptors_is_refused_and_leaves_nothing(void **state)
{
    (void)state;
    yoke_close(port_make("other", NULL)); /* the directory's furniture is there */
    assert_int_equal(role_wait(role_start(role_runs_out_of_descriptors, NULL), SOON_MS), 0);
}

/* Writes a limit of this IPC namespace; false if that is not allowed. */
static bool set_limit(const char *file, const char *value, char before[64])
{
    FILE *stream = fopen(file, "re");
    bool done;

    if (!stream || !fgets(before, 64, stream)) {
        if (stream)
            fclose(stream);
        return false;
    }
    fclose(stream);
    stream = fopen(file, "we");
    if (!stream)
        return false;
    done = fputs(value, stream) >= 0;
    return fclose(stream) == 0 && done;
}

static void reach_limit(const char *file, const char *value)
{
    char before[64], ignored[64];
    yoke_endpoint *port;
    char *world;

    if (!own_namespace("ipc") || geteuid() != 0)
        skip_test("needs root and an IPC namespace of its own");
    port = port_make("only", NULL);
    world = world_describe();
    if (!set_limit(file, value, before)) {
        yoke_close(port);
        free(world);
        skip_test("%s can not be written", file);
    }
    assert_creating_is_refused(ENOSPC, "kernel.shm");
    send_number(port, 1); /* what is there works on */
    assert_int_equal(recv_number(port, YOKE_NOW), 1);
    assert_true(set_limit(file, before, ignored));
    char *after = world_describe();
    assert_string_equal(after, world);
    free(world);
    free(after);
    yoke_close(port_make("x", NULL));
    yoke_close(port);
}

static void full_table_of_segments_is_refused_with_the_name_of_the_limit(void **state)
{
    (void)state;
    reach_limit("/proc/sys/kernel/shmmni", "1");
}

static void all_memory_of_segments_taken_is_refused_with_the_name_of_the_limit(void **state)
{
    (void)state;
    reach_limit("/proc/sys/kernel/shmall", "3");
}

static void segment_above_the_kernels_most_is_refused_with_the_name_of_the_limit(void **state)
{
    char before[64], ignored[64];
    yoke_region *region = NULL;
    int result;

    (void)state;
    if (!own_namespace("ipc") || geteuid() != 0 ||
        !set_limit("/proc/sys/kernel/shmmax", "100000", before))
        skip_test("needs root and an IPC namespace of its own");
    result = yoke_region_create(&region, "x", 1 << 20, NULL);
    assert_true(set_limit("/proc/sys/kernel/shmmax", before, ignored));
    must_fail(result, EINVAL);
    assert_non_null(strstr(yoke_explain(), "kernel.shmmax"));
    assert_int_equal(names_left(), 0);
}

/* ---- another user's objects ------------------------------------------------------------------------- */

static int role_wants_roots_port(void *argument)
{
    yoke_endpoint *port = UNTOUCHED;

    (void)argument;
    become_user(3);
    must_fail(yoke_open(&port, "port:roots", 0, NULL), EACCES);
    must_fail(yoke_open(&port, "port:roots", YOKE_CREATE, NULL), EACCES);
    must_fail(yoke_remove("port:roots"), EACCES);
    assert_non_null(strstr(yoke_explain(), "uid 0"));
    assert_ptr_equal(port, UNTOUCHED);
    return 0;
}

static void port_of_another_user_can_not_be_opened_or_removed(void **state)
{
    yoke_endpoint *port;

    (void)state;
    share_directory();
    port = port_make("roots", NULL);
    send_number(port, 1);
    assert_int_equal(role_wait(role_start(role_wants_roots_port, NULL), SOON_MS), 0);
    assert_int_equal(recv_number(port, YOKE_NOW), 1);
    yoke_close(port);
}

static int role_gives_away_to_a_group(void *argument)
{
    struct yoke_region_options options = YOKE_REGION_OPTIONS_INIT;
    yoke_region *region = UNTOUCHED;

    (void)argument;
    become_user(3);
    options.group = 0;
    must_fail(yoke_region_create(&region, "gift", 4096, &options), EPERM);
    assert_non_null(strstr(yoke_explain(), "group 0"));
    assert_ptr_equal(region, UNTOUCHED);
    return 0;
}

static int role_has_no_room_to_attach(void *argument)
{
    struct yoke_region_options options = YOKE_REGION_OPTIONS_INIT;
    yoke_region *region = UNTOUCHED;
    unsigned long pages;
    FILE *file = fopen("/proc/self/statm", "re");
    struct rlimit limit, all;

    (void)argument;
    assert_int_equal(fscanf(file, "%lu", &pages), 1);
    fclose(file);
    getrlimit(RLIMIT_AS, &all);
    limit = all;
    limit.rlim_cur = pages * (rlim_t)sysconf(_SC_PAGESIZE) + ((rlim_t)100 << 20);
    options.flags = YOKE_KEPT | YOKE_SPARSE;
    setrlimit(RLIMIT_AS, &limit);
    must_fail(yoke_region_create(&region, "broad", (size_t)1 << 30, &options), ENOMEM);
    must(yoke_region_create(&region, "broad", 4096, NULL)); /* the name is free */
    setrlimit(RLIMIT_AS, &all);
    yoke_region_close(region);
    assert_int_equal(segments_made_by(getpid()), 0);
    return 0;
}

static void creation_that_can_not_attach_its_memory_leaves_nothing(void **state)
{
    (void)state;
    assert_int_equal(role_wait(role_start(role_has_no_room_to_attach, NULL), SOON_MS), 0);
    assert_int_equal(names_left(), 0);
}

/* Whoever creates one of these anyway, and touches it, is killed: so in a process of its own. */
static int role_asks_for_pages_that_are_not_there(void *argument)
{
    static const uint32_t contradictions[] = {YOKE_SPARSE | YOKE_POPULATE, YOKE_SPARSE | YOKE_HUGE};
    struct yoke_region_options options = YOKE_REGION_OPTIONS_INIT;
    struct yoke_options big = YOKE_OPTIONS_INIT;
    yoke_region *region = UNTOUCHED;
    yoke_endpoint *port = UNTOUCHED;

    (void)argument;
    for (size_t i = 0; i < 2; i++) {
        options.flags = contradictions[i];
        must_fail(yoke_region_create(&region, "pages", 1 << 20, &options), EINVAL);
        assert_non_null(strstr(yoke_explain(), "region:pages"));
        must_fail(yoke_open(&port, "port:pages", YOKE_CREATE | contradictions[i], NULL), EINVAL);
    }
    /* above what a port reserves by itself; no machine has as much */
    big.max_message = YOKE_MESSAGE_MAX;
    big.depth = 1 << 16;
    big.participants = 2;
    must_fail(yoke_open(&port, "port:pages", YOKE_CREATE | YOKE_POPULATE, &big), ENOMEM);
    must_fail(yoke_open(&port, "port:pages", YOKE_CREATE | YOKE_HUGE, &big), ENOMEM);
    assert_ptr_equal(region, UNTOUCHED);
    assert_ptr_equal(port, UNTOUCHED);
    return 0;
}

static void pages_that_can_not_be_had_are_refused_when_they_are_asked_for(void **state)
{
    (void)state;
    assert_int_equal(role_wait(role_start(role_asks_for_pages_that_are_not_there, NULL), SOON_MS),
                     0);
    assert_int_equal(names_left(), 0);
}

static bool write_sysctl(char value)
{
    int fd = open("/proc/sys/kernel/shm_rmid_forced", O_WRONLY | O_CLOEXEC);
    bool done = fd >= 0 && write(fd, &value, 1) == 1;

    if (fd >= 0)
        close(fd);
    return done;
}

static void kept_object_is_refused_where_the_kernel_would_remove_it(void **state)
{
    struct yoke_region_options options = YOKE_REGION_OPTIONS_INIT;
    yoke_region *region = UNTOUCHED;
    yoke_endpoint *port = UNTOUCHED;
    char *before, *after;

    (void)state;
    if (!own_namespace("ipc") || !write_sysctl('1'))
        skip_test("needs an IPC namespace of its own, and to set kernel.shm_rmid_forced in it");
    options.flags = YOKE_KEPT;
    before = world_describe();
    must_fail(yoke_region_create(&region, "kept", 4096, &options), ENOTSUP);
    assert_non_null(strstr(yoke_explain(), "kernel.shm_rmid_forced"));
    must_fail(yoke_open(&port, "port:kept", YOKE_CREATE | YOKE_KEPT, NULL), ENOTSUP);
    after = world_describe();
    assert_string_equal(after, before);
    free(before);
    free(after);
    yoke_region_close(region_make("transient", 4096));
    write_sysctl('0');
    must(yoke_region_create(&region, "kept", 4096, &options));
    yoke_region_close(region);
    must(yoke_region_remove("kept"));
}

static int role_may_write_no_file(void *argument)
{
    struct rlimit none = {0, RLIM_INFINITY};
    yoke_region *region = UNTOUCHED;

    (void)argument;
    setrlimit(RLIMIT_FSIZE, &none);
    must_fail(yoke_region_create(&region, "unwritten", 4096, NULL), EFBIG);
    assert_non_null(strstr(yoke_explain(), "region.unwritten"));
    return 0;
}

static void limit_on_the_size_of_files_is_an_error_and_no_signal(void **state)
{
    (void)state;
    assert_int_equal(role_wait(role_start(role_may_write_no_file, NULL), SOON_MS), 0);
    assert_int_equal(names_left(), 0);
}

static void group_that_the_user_is_not_in_is_refused(void **state)
{
    (void)state;
    share_directory();
    assert_int_equal(role_wait(role_start(role_gives_away_to_a_group, NULL), SOON_MS), 0);
    assert_int_equal(names_left(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        api_test(missing_directory_is_made_private),
        api_test(directory_whose_parent_is_missing_is_refused),
        api_test(directory_that_others_may_write_is_refused_unless_sticky),
        api_test(directory_that_is_none_is_refused),
        api_test(relative_or_overlong_directory_is_refused),
        api_test(directory_of_another_user_is_refused),
        api_test(directory_without_access_is_refused),
        api_test(lack_of_descriptors_is_refused_and_leaves_nothing),
        api_test(full_table_of_segments_is_refused_with_the_name_of_the_limit),
        api_test(all_memory_of_segments_taken_is_refused_with_the_name_of_the_limit),
        api_test(segment_above_the_kernels_most_is_refused_with_the_name_of_the_limit),
        api_test(port_of_another_user_can_not_be_opened_or_removed),
        api_test(creation_that_can_not_attach_its_memory_leaves_nothing),
        api_test(pages_that_can_not_be_had_are_refused_when_they_are_asked_for),
        api_test(kept_object_is_refused_where_the_kernel_would_remove_it),
        api_test(limit_on_the_size_of_files_is_an_error_and_no_signal),
        api_test(group_that_the_user_is_not_in_is_refused),
    };

    return cmocka_run_group_tests(tests, api_setup, NULL);
}
