/*
 * Several users in one name directory, one of them hostile, and several IPC namespaces: nobody is
 * kept from his own names, nobody's things are taken away, and what died elsewhere is in nobody's way.
 */
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../api/api.h"

#define HOSTILE 1
#define VICTIM  2
#define NOBODYS 71 /* a user id that nobody has */

static int run(int (*role)(void *), void *argument)
{
    return role_wait(role_start(role, argument), SOON_MS);
}

static bool is_there(const char *entry)
{
    struct stat facts;

    return lstat(name_path(entry), &facts) == 0;
}

static void put_file(const char *entry)
{
    int fd = open(name_path(entry), O_WRONLY | O_CREAT, 0666);

    if (fd >= 0)
        close(fd);
}

/* Takes away what the hostile user made, in whatever form the directory of intents has. */
static void take_away(const char *directory, const char *file)
{
    char entry[300];

    snprintf(entry, sizeof entry, "%s/%s", directory, file);
    unlink(name_path(entry));
    rmdir(name_path(directory));
}

/* ---- in the way of another user ------------------------------------------------------------------ */

static int role_creates_and_removes(void *argument)
{
    yoke_region *region;
    struct yoke_region_options options = YOKE_REGION_OPTIONS_INIT;

    become_user(VICTIM);
    options.flags = YOKE_KEPT;
    must(yoke_region_create(&region, argument, 4096, &options));
    yoke_region_close(region);
    must(yoke_region_remove(argument));
    return 0;
}

/* Wherever an intent of the victim's could lie. */
static int role_obstructs(void *argument)
{
    char entry[100], moved[100];

    (void)argument;
    become_user(HOSTILE);
    umask(0);
    snprintf(entry, sizeof entry, ".intents/%u.region.mine", USER_ID(VICTIM));
    put_file(entry);
    snprintf(entry, sizeof entry, ".intents-%u/region.mine", USER_ID(VICTIM));
    put_file(entry);
    snprintf(entry, sizeof entry, ".intents-%u", USER_ID(VICTIM));
    snprintf(moved, sizeof moved, "%s", name_path("moved"));
    return rename(name_path(entry), moved) == 0 || rmdir(name_path(entry)) == 0;
}

static void one_user_can_not_be_in_the_way_of_what_another_creates_or_removes(void **state)
{
    (void)state;
    share_directory();
    assert_int_equal(run(role_creates_and_removes, (char[]){"first"}), 0);
    assert_int_equal(run(role_obstructs, NULL), 0);
    assert_int_equal(run(role_creates_and_removes, (char[]){"mine"}), 0);
    assert_int_equal(names_left(), 0);
}

static int role_puts_files_for_others(void *argument)
{
    char entry[100];

    (void)argument;
    become_user(HOSTILE);
    umask(0);
    snprintf(entry, sizeof entry, ".intents/%u.region.x", NOBODYS);
    put_file(entry);
    snprintf(entry, sizeof entry, ".intents-%u", NOBODYS);
    mkdir(name_path(entry), 0777);
    snprintf(entry, sizeof entry, ".intents-%u/region.x", NOBODYS);
    put_file(entry);
    return 0;
}

static void root_makes_nothing_for_users_who_only_stand_in_a_file_name(void **state)
{
    char lock[100], intents[100];

    (void)state;
    share_directory();
    yoke_region_close(region_make("warm", 4096));
    assert_int_equal(run(role_puts_files_for_others, NULL), 0);
    usleep(1100 * 1000); /* names are looked through once a second */
    yoke_region_close(region_make("roots", 4096));
    snprintf(lock, sizeof lock, ".lock-%u", NOBODYS);
    assert_false(is_there(lock));
    snprintf(intents, sizeof intents, ".intents-%u", NOBODYS);
    take_away(intents, "region.x");
}

/* A user's directory of intents that leads elsewhere. */
static int role_leads_root_astray(void *argument)
{
    yoke_region *region;
    struct yoke_region_options options = YOKE_REGION_OPTIONS_INIT;
    char intents[100];

    become_user(HOSTILE);
    options.flags = YOKE_KEPT;
    must(yoke_region_create(&region, "bait", 4096, &options));
    yoke_region_close(region);
    snprintf(intents, sizeof intents, ".intents-%u", USER_ID(HOSTILE));
    rmdir(name_path(intents));
    assert_int_equal(symlink(argument, name_path(intents)), 0);
    return 0;
}

static void root_follows_no_link_in_the_place_of_a_users_intents(void **state)
{
    char target[300], astray[400], intents[100];

    (void)state;
    share_directory();
    snprintf(target, sizeof target, "%s", name_path("target"));
    assert_int_equal(mkdir(target, 0700), 0);
    assert_int_equal(run(role_leads_root_astray, target), 0);
    must(yoke_region_remove("bait")); /* it does without */
    snprintf(astray, sizeof astray, "%s/region.bait", target);
    assert_int_equal(access(astray, F_OK), -1);
    snprintf(intents, sizeof intents, ".intents-%u", USER_ID(HOSTILE));
    assert_int_equal(unlink(name_path(intents)), 0);
    assert_int_equal(rmdir(target), 0);
    assert_int_equal(names_left(), 0);
}

/* ---- a name that speaks of another's object -------------------------------------------------------- */

struct bait {
    struct baton ready, over;
};

static int role_has_a_region(void *argument)
{
    struct bait *bait = argument;
    struct yoke_region_options options = YOKE_REGION_OPTIONS_INIT;
    yoke_region *region;

    become_user(VICTIM);
    options.mode = 0644;
    must(yoke_region_create(&region, "vict", 4096, &options));
    baton_pass(&bait->ready);
    baton_take(&bait->over);
    return yoke_region_close(region);
}

static void read_text(const char *entry, char text[1000])
{
    int fd = open(name_path(entry), O_RDONLY);
    ssize_t size = read(fd, text, 999);

    assert_true(size > 0);
    close(fd);
    text[size] = 0;
}

/* The victim's own record, said to be of another name and another namespace. */
static int role_publishes_bait(void *argument)
{
    char text[1000], changed[1100], *name, *ipc;
    int fd;

    (void)argument;
    become_user(HOSTILE);
    read_text("region.vict", text);
    name = strstr(text, " vict ");
    if (name)
        memcpy(name, " bait ", 6);
    ipc = strstr(text, "ipc=");
    assert_non_null(ipc);
    snprintf(changed, sizeof changed, "%.*sipc=1%s", (int)(ipc - text), text, strchr(ipc, ' '));
    fd = open(name_path("region.bait"), O_WRONLY | O_CREAT, 0644);
    assert_int_equal(write(fd, changed, strlen(changed)), (ssize_t)strlen(changed));
    close(fd);
    return 0;
}

static int role_opens_its_own(void *argument)
{
    (void)argument;
    become_user(VICTIM);
    yoke_region_close(region_join("vict"));
    return 0;
}

static void name_with_anothers_nonce_takes_nothing_away_when_root_removes_it(void **state)
{
    struct bait bait;
    pid_t owner;
    int result;

    (void)state;
    share_directory();
    baton_make(&bait.ready);
    baton_make(&bait.over);
    owner = role_start(role_has_a_region, &bait);
    baton_take(&bait.ready);
    assert_int_equal(run(role_publishes_bait, NULL), 0);
    result = yoke_region_remove("bait");
    assert_true(result == 0 || result == -ENOENT); /* cleared before, as a dead one's */
    assert_false(is_there("region.bait"));
    assert_int_equal(run(role_opens_its_own, NULL), 0);
    baton_pass(&bait.over);
    assert_int_equal(role_wait(owner, SOON_MS), 0);
    baton_drop(&bait.ready);
    baton_drop(&bait.over);
    assert_int_equal(names_left(), 0);
}

/* ---- a lease ------------------------------------------------------------------------------------- */

static int role_leases_a_name(void *argument)
{
    int fd;

    become_user(HOSTILE);
    fd = open(name_path("port.leased"), O_RDWR | O_CREAT, 0666);
    signal(SIGIO, SIG_IGN);
    if (fcntl(fd, F_SETLEASE, F_WRLCK) != 0)
        return 77;
    baton_pass(argument);
    pause();
    return 0;
}

static void lease_on_a_name_is_an_error_with_a_sentence(void **state)
{
    struct baton ready;
    yoke_endpoint *port = NULL;
    pid_t pid;

    (void)state;
    share_directory();
    baton_make(&ready);
    pid = role_start(role_leases_a_name, &ready);
    baton_take(&ready);
    must_fail(yoke_open(&port, "port:leased", 0, NULL), EBUSY);
    assert_non_null(strstr(yoke_explain(), "port.leased"));
    assert_non_null(strstr(yoke_explain(), "lease"));
    must_fail(yoke_open(&port, "port:leased", YOKE_CREATE, NULL), EBUSY);
    role_kill(pid);
    baton_drop(&ready);
    assert_int_equal(unlink(name_path("port.leased")), 0);
}

/* ---- a child that gave up its rights -------------------------------------------------------------- */

static int role_child(void *argument)
{
    uint64_t number;

    must_fail(yoke_recv(argument, &number, sizeof number, YOKE_NOW), EACCES);
    assert_non_null(strstr(yoke_explain(), "may not open its lock file"));
    assert_non_null(strstr(yoke_explain(), "port:roots"));
    return 0;
}

static int role_gives_up_root(void *argument)
{
    yoke_endpoint *port = port_make("roots", NULL);

    (void)argument;
    become_user(VICTIM);
    return role_wait(role_start(role_child, port), SOON_MS);
}

static void child_of_one_who_gave_up_root_is_told_what_it_may_not(void **state)
{
    (void)state;
    share_directory();
    assert_int_equal(run(role_gives_up_root, NULL), 0);
    yoke_region_close(region_make("next", 4096)); /* clears the dead one's name */
    yoke_remove("port:roots");
    assert_int_equal(names_left(), 0);
}

/* ---- IPC namespaces -------------------------------------------------------------------------------- */

static int role_lives_elsewhere(void *argument)
{
    struct bait *bait = argument;

    if (unshare(CLONE_NEWIPC) != 0)
        return 77;
    port_make("elsewhere", NULL);
    baton_pass(&bait->ready);
    baton_take(&bait->over);
    return 0;
}

static bool may_unshare(void)
{
    return own_namespace("ipc") && geteuid() == 0;
}

static void name_of_one_who_died_in_another_namespace_is_free_at_once(void **state)
{
    struct bait bait;
    yoke_endpoint *port = NULL;
    pid_t other;

    (void)state;
    if (!may_unshare())
        skip_test("needs root, to make an IPC namespace");
    baton_make(&bait.ready);
    baton_make(&bait.over);
    other = role_start(role_lives_elsewhere, &bait);
    baton_take(&bait.ready);
    must_fail(yoke_open(&port, "port:elsewhere", YOKE_CREATE, NULL), ENOTSUP);
    role_kill(other);
    must(yoke_open(&port, "port:elsewhere", YOKE_CREATE | YOKE_EXCLUSIVE, NULL));
    send_number(port, 4);
    assert_int_equal(recv_number(port, YOKE_NOW), 4);
    yoke_close(port);
    baton_drop(&bait.ready);
    baton_drop(&bait.over);
    assert_int_equal(names_left(), 0);
}

/* The first step of removing, or the last but one of creating: then it dies. */
static int role_dies_at_it_elsewhere(void *argument)
{
    struct yoke_region_options options = YOKE_REGION_OPTIONS_INIT;
    yoke_region *region;
    char from[700], intent[100];

    (void)argument;
    if (unshare(CLONE_NEWIPC) != 0)
        return 77;
    options.flags = YOKE_KEPT;
    must(yoke_region_create(&region, "half", 4096, &options));
    yoke_region_close(region);
    snprintf(from, sizeof from, "%s", name_path("region.half"));
    snprintf(intent, sizeof intent, ".intents-%u/region.half", geteuid());
    if (rename(from, name_path(intent)) != 0) {
        snprintf(intent, sizeof intent, ".intents/%u.region.half", geteuid());
        assert_int_equal(rename(from, name_path(intent)), 0);
    }
    return 0;
}

static int is_put_aside(const struct dirent *entry)
{
    return entry->d_name[0] == '.' && strlen(entry->d_name) == 17;
}

static void who_died_creating_in_another_namespace_is_in_nobodys_way(void **state)
{
    struct dirent **aside;
    char intents[100], entry[400];

    (void)state;
    if (!may_unshare())
        skip_test("needs root, to make an IPC namespace");
    assert_int_equal(run(role_dies_at_it_elsewhere, NULL), 0);
    yoke_region_close(region_make("half", 4096));
    /* what is left is a note for whoever comes to that namespace again, and lies aside */
    snprintf(intents, sizeof intents, ".intents-%u", geteuid());
    assert_int_equal(scandir(name_path(intents), &aside, is_put_aside, alphasort), 1);
    snprintf(entry, sizeof entry, "%s/%s", intents, aside[0]->d_name);
    assert_int_equal(unlink(name_path(entry)), 0);
    free(aside[0]);
    free(aside);
    /* the lock file belongs to it, and is cleared with it */
    assert_int_equal(names_left(), 1);
    for (DIR *stream = opendir(name_path("")); stream; stream = NULL) {
        for (struct dirent *one; (one = readdir(stream));)
            if (strncmp(one->d_name, ".live-", 6) == 0)
                unlinkat(dirfd(stream), one->d_name, 0);
        closedir(stream);
    }
    assert_int_equal(names_left(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        api_test(one_user_can_not_be_in_the_way_of_what_another_creates_or_removes),
        api_test(root_makes_nothing_for_users_who_only_stand_in_a_file_name),
        api_test(root_follows_no_link_in_the_place_of_a_users_intents),
        api_test(name_with_anothers_nonce_takes_nothing_away_when_root_removes_it),
        api_test(lease_on_a_name_is_an_error_with_a_sentence),
        api_test(child_of_one_who_gave_up_root_is_told_what_it_may_not),
        api_test(name_of_one_who_died_in_another_namespace_is_free_at_once),
        api_test(who_died_creating_in_another_namespace_is_in_nobodys_way),
    };

    return cmocka_run_group_tests(tests, api_setup, NULL);
}
