/*
 * Another user in a shared name directory who means harm: puts things under names, in their place
 * and in their way, locks what can be opened, fills what can be filled. Nothing of others' is read,
 * changed or removed, no link is followed, and no call hangs. docs/access.md says which harm is impossible,
 * and which is not, and why; it names the tests here.
 */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "../api/api.h"
#include "inspect.h"
#include "memory/object.h"

#define HOSTILE 1
#define VICTIM  2

static int run(int (*role)(void *), void *argument)
{
    return role_wait(role_start(role, argument), SOON_MS);
}

/* Both are there at once: the victim has made something; the other one is ready; and it is over. */
struct scene {
    struct baton made, ready, over;
    int (*hostile)(void *);
    char text[1000]; /* of a name's file */
    uint64_t nonce;
    pid_t victim;
};

static struct scene *scene_new(void)
{
    struct scene *scene = shared_new(sizeof *scene);

    baton_make(&scene->made);
    baton_make(&scene->ready);
    baton_make(&scene->over);
    return scene;
}

static void scene_drop(struct scene *scene)
{
    baton_drop(&scene->made);
    baton_drop(&scene->ready);
    baton_drop(&scene->over);
    shared_drop(scene, sizeof *scene);
}

static int role_is_hostile(void *argument)
{
    struct scene *scene = argument;

    become_user(HOSTILE);
    umask(0);
    baton_take(&scene->made);
    return scene->hostile(scene);
}

/* Starts the hostile one, which waits, and becomes the victim. */
static pid_t become_victim_of(int (*hostile)(void *), struct scene *scene)
{
    pid_t pid;

    scene->hostile = hostile;
    pid = role_start(role_is_hostile, scene);
    become_user(VICTIM);
    return pid;
}

/* What the victim has made is there: returns when the other one has done its worst. */
static void face(const struct scene *scene)
{
    baton_pass(&scene->made);
    baton_take(&scene->ready);
}

static void part(const struct scene *scene, pid_t hostile)
{
    baton_pass(&scene->over);
    assert_int_equal(role_wait(hostile, SOON_MS), 0);
}

static void read_file(const char *path, char text[1000])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size = read(fd, text, 999);

    assert_true(size >= 0);
    close(fd);
    text[size] = 0;
}

static void write_file(const char *path, const char *text, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

    assert_true(fd >= 0);
    assert_int_equal(fchmod(fd, mode), 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static uint64_t nonce_in(const char *text)
{
    const char *at = strstr(text, "nonce=");

    assert_non_null(at);
    return strtoull(at + strlen("nonce="), NULL, 16);
}

/* ---- a name whose object is not its writer's ------------------------------------------------------- */

static int role_uses_a_removed_port(void *argument)
{
    struct scene *scene = argument;
    struct yoke_message message;
    yoke_endpoint *port = NULL;

    become_user(VICTIM);
    must(yoke_open(&port, "port:gone", YOKE_CREATE | YOKE_KEPT, NULL));
    read_file(name_path("port.gone"), scene->text);
    send_number(port, 1);
    borrow_details(port, &message);
    must(yoke_remove("port:gone"));
    baton_pass(&scene->ready);
    baton_take(&scene->over);
    /* nobody took this living participant for dead */
    must(yoke_release(port, message.data));
    uint64_t number;
    must_fail(yoke_recv(port, &number, sizeof number, YOKE_NOW), EAGAIN);
    return yoke_close(port);
}

/* Nothing in it is a secret: ids and sizes are in /proc, the nonce is in the lock file's name. */
static int role_writes_the_name_anew(void *argument)
{
    const struct scene *scene = argument;
    char live[48];

    become_user(HOSTILE);
    yk_live_path(live, nonce_in(scene->text));
    write_file(name_path("port.gone"), scene->text, 0644);
    write_file(name_path(live), "", 0666);
    return 0;
}

static int role_opens_what_is_gone(void *argument)
{
    yoke_endpoint *port = NULL;
    struct yk_object_facts facts;

    (void)argument;
    become_user(VICTIM);
    must_fail(yoke_open(&port, "port:gone", 0, NULL), EPROTO);
    assert_non_null(strstr(yoke_explain(), "uid 10001"));
    assert_non_null(strstr(yoke_explain(), "port:gone"));
    must_fail(yoke_open(&port, "port:gone", YOKE_CREATE, NULL), EPROTO);
    must(yk_inspect("port:gone", &facts, NULL, NULL));
    assert_non_null(strstr(facts.problem, "uid 10001"));
    return 0;
}

static void name_that_another_user_writes_anew_does_not_lead_to_ones_own_removed_object(
    void **state)
{
    char live[48];
    struct scene *scene;
    pid_t user;

    (void)state;
    share_directory();
    scene = scene_new();
    user = role_start(role_uses_a_removed_port, scene);
    baton_take(&scene->ready);
    assert_int_equal(run(role_writes_the_name_anew, scene), 0);
    assert_int_equal(run(role_opens_what_is_gone, NULL), 0);
    baton_pass(&scene->over);
    assert_int_equal(role_wait(user, SOON_MS), 0);
    yk_live_path(live, nonce_in(scene->text));
    unlink(name_path("port.gone"));
    unlink(name_path(live));
    scene_drop(scene);
    assert_int_equal(names_left(), 0);
}

/* ---- a FIFO in the place of another's ---------------------------------------------------------------- */

/* The name of each lock file, which all can list, has a nonce in it. */
static int role_puts_doorbells(void *argument)
{
    struct scene *scene = argument;
    struct dirent *entry;
    DIR *directory;
    int bells[8], count = 0;
    uint64_t nonce;

    directory = opendir(name_path(""));
    while ((entry = readdir(directory)) && count < 8) {
        char bell[48];

        if (sscanf(entry->d_name, ".live-%16" SCNx64, &nonce) != 1)
            continue;
        yk_bell_path(bell, nonce);
        assert_int_equal(mkfifo(name_path(bell), 0666), 0);
        bells[count] = open(name_path(bell), O_RDWR | O_NONBLOCK | O_CLOEXEC);
        assert_true(bells[count++] >= 0);
        scene->nonce = nonce;
    }
    closedir(directory);
    assert_true(count > 0);
    baton_pass(&scene->ready);
    baton_take(&scene->over);
    for (int i = 0; i < count; i++)
        assert_int_equal(write(bells[i], &nonce, sizeof nonce), sizeof nonce);
    return 0;
}

static int role_waits_as_a_peer(void *argument)
{
    struct scene *scene = argument;
    struct pollfd ready = {.events = POLLIN};
    yoke_endpoint *link;
    yoke_peer *peer;
    pid_t hostile = become_victim_of(role_puts_doorbells, scene);

    must(yoke_peer_join(&peer, "server", NULL));
    face(scene);
    ready.fd = (int)must(yoke_peer_fd(peer));
    must_fail(yoke_peer_next(peer, &link, YOKE_NOW), EAGAIN);
    part(scene, hostile);
    /* what the other one rang is not what is listened to */
    assert_int_equal(poll(&ready, 1, 0), 0);
    yoke_peer_leave(peer);
    return 0;
}

static void doorbell_that_another_user_made_is_not_listened_to(void **state)
{
    struct scene *scene;
    char bell[48];

    (void)state;
    share_directory();
    scene = scene_new();
    assert_int_equal(run(role_waits_as_a_peer, scene), 0);
    yk_bell_path(bell, scene->nonce);
    unlink(name_path(bell));
    scene_drop(scene);
    assert_int_equal(names_left(), 0);
}

/* The owner was killed between two steps of removing the stream: its FIFO is gone, its file not. */
static int role_takes_the_fifos_place(void *argument)
{
    struct scene *scene = argument;
    char bytes[100];
    int fd;

    assert_int_equal(mkfifo(name_path(".fifo-secret"), 0666), 0);
    fd = open(name_path(".fifo-secret"), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(fd >= 0);
    baton_pass(&scene->ready);
    baton_take(&scene->over);
    assert_int_equal(read(fd, bytes, sizeof bytes), 0);
    assert_int_equal(unlink(name_path(".fifo-secret")), 0);
    return 0;
}

static int role_writes_a_secret(void *argument)
{
    struct scene *scene = argument;
    yoke_endpoint *stream = NULL;
    pid_t hostile = become_victim_of(role_takes_the_fifos_place, scene);

    must(yoke_open(&stream, "stream:secret@kernel", YOKE_CREATE | YOKE_WRITE, NULL));
    assert_int_equal(unlink(name_path(".fifo-secret")), 0);
    face(scene);
    must_fail(yoke_write(stream, "secret", 6, YOKE_NOW), ENOENT);
    part(scene, hostile);
    return yoke_close(stream);
}

static void fifo_that_another_user_made_gets_nothing_of_a_stream(void **state)
{
    struct scene *scene;

    (void)state;
    share_directory();
    scene = scene_new();
    assert_int_equal(run(role_writes_a_secret, scene), 0);
    scene_drop(scene);
    assert_int_equal(names_left(), 0);
}

static int role_shares_all_locks_of(void *argument)
{
    struct scene *scene = argument;
    struct flock lock = {.l_type = F_RDLCK};
    int fd;

    fd = open(name_path("stream.shared@kernel"), O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(fcntl(fd, F_OFD_SETLK, &lock), 0);
    baton_pass(&scene->ready);
    baton_take(&scene->over);
    return 0;
}

static int role_changes_a_shared_stream(void *argument)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;
    struct scene *scene = argument;
    yoke_endpoint *stream = NULL;
    pid_t hostile = become_victim_of(role_shares_all_locks_of, scene);

    options.mode = 0644;
    must(
        yoke_open(&stream, "stream:shared@kernel", YOKE_CREATE | YOKE_KEPT | YOKE_WRITE, &options));
    face(scene);
    must(yoke_close(stream));
    must(yoke_open(&stream, "stream:shared@kernel", YOKE_CREATE | YOKE_WRITE, NULL));
    must(yoke_close(stream));
    must(yoke_remove("stream:shared@kernel"));
    must(yoke_open(&stream, "stream:shared@kernel", YOKE_CREATE | YOKE_EXCLUSIVE | YOKE_WRITE,
                   NULL));
    must(yoke_close(stream));
    part(scene, hostile);
    return 0;
}

static void who_may_read_a_kernel_stream_can_not_keep_its_owner_from_removing_it(void **state)
{
    struct scene *scene;

    (void)state;
    share_directory();
    scene = scene_new();
    assert_int_equal(run(role_changes_a_shared_stream, scene), 0);
    scene_drop(scene);
    assert_int_equal(names_left(), 0);
}

/* Where fs.protected_hardlinks is 0, anybody can give root's files more names. */
static void other_file_under_the_name_of_a_kernel_stream_is_left_as_it_is(void **state)
{
    static const char *const contents[] = {"precious", "precious\n", ""};
    char precious[700], name[700], text[1000];
    yoke_endpoint *stream = NULL;

    (void)state;
    share_directory();
    snprintf(precious, sizeof precious, "%s", name_path("precious"));
    snprintf(name, sizeof name, "%s", name_path("stream.linked@kernel"));
    for (size_t i = 0; i < sizeof contents / sizeof *contents; i++) {
        struct yk_gc_item *items;
        struct stat before, after;

        write_file(precious, contents[i], 0640);
        assert_int_equal(link(precious, name), 0);
        assert_int_equal(stat(precious, &before), 0);
        must_fail(yoke_open(&stream, "stream:linked@kernel", YOKE_CREATE | YOKE_WRITE, NULL),
                  EPROTO);
        assert_non_null(strstr(yoke_explain(), "stream.linked@kernel"));
        must_fail(yoke_open(&stream, "stream:linked@kernel", YOKE_READ, NULL), EPROTO);
        must_fail(yoke_remove("stream:linked@kernel"), EPROTO);
        assert_int_equal(must(yk_gc(false, &items)), 0);
        free(items);
        assert_int_equal(stat(name, &after), 0);
        assert_int_equal(after.st_mode, before.st_mode);
        assert_int_equal(after.st_ino, before.st_ino);
        read_file(precious, text);
        assert_string_equal(text, contents[i]);
        unlink(name);
        unlink(precious);
    }
    assert_int_equal(names_left(), 0);
}

/* By who may write it; by anybody where fs.protected_hardlinks is 0. */
static void lock_file_with_another_name_is_refused_until_the_owner_removes_the_object(void **state)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;
    yoke_endpoint *port = NULL, *other = NULL;
    char text[1000], live[48], path[700];

    (void)state;
    options.mode = 0666;
    must(yoke_open(&port, "port:open", YOKE_CREATE | YOKE_KEPT, &options));
    read_file(name_path("port.open"), text);
    yk_live_path(live, nonce_in(text));
    snprintf(path, sizeof path, "%s", name_path(live));
    assert_int_equal(link(path, name_path("another")), 0);
    must_fail(yoke_open(&other, "port:open", 0, NULL), EPROTO);
    assert_non_null(strstr(yoke_explain(), live));
    send_number(port, 1); /* who is inside goes on */
    assert_int_equal(recv_number(port, YOKE_NOW), 1);
    must(yoke_remove("port:open"));
    must(yoke_open(&other, "port:open", YOKE_CREATE | YOKE_EXCLUSIVE, NULL));
    yoke_close(other);
    yoke_close(port);
    assert_int_equal(unlink(name_path("another")), 0);
    assert_int_equal(names_left(), 0);
}

/* ---- names that change all the time ------------------------------------------------------------------ */

/* What a swap can make of a name. The targets are the victim's, outside of the directory. */
static void put_something(unsigned *seed, const char *entry, const char *target)
{
    char path[700], aside[700];

    snprintf(path, sizeof path, "%s", name_path(entry));
    switch (rand_r(seed) % 7) {
    case 0:
        if (symlink(target, path) != 0)
            return;
        break;
    case 1:
        mkfifo(path, 0666);
        break;
    case 2:
        mkdir(path, 0777);
        break;
    case 3:
        if (link(target, path) != 0) /* fs.protected_hardlinks */
            return;
        break;
    case 4: /* nothing in it; what another user opened meanwhile is not to hang this one */
        close(open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
        break;
    case 5: {
        int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        static const char text[] =
            "yoke2 region swapped segment=1 key=00000001 nonce=0000000000000001"
            " ipc=1 layout=1 size=4096 flags=1\n";

        if (fd < 0)
            return;
        assert_int_equal(write(fd, text, sizeof text - 1), sizeof text - 1);
        close(fd);
        break;
    }
    default:
        snprintf(aside, sizeof aside, "%s", name_path("moved-aside"));
        rename(path, aside);
        unlink(aside);
        rmdir(aside);
    }
    if (rand_r(seed) % 2) {
        unlink(path);
        rmdir(path);
    }
}

static const char *const swapped[] = {"region.swapped",      "port.swapped",
                                      "port.swapped@kernel", "stream.swapped@kernel",
                                      ".fifo-swapped",       "peer.swapped"};
#define SWAPPED (sizeof swapped / sizeof *swapped)

static int role_swaps(void *argument)
{
    struct scene *scene = argument;
    unsigned seed = (unsigned)test_seed();

    write_file(name_path("kept-by-hostile"), "mine", 0666);
    baton_pass(&scene->ready);
    while (!baton_take_within(&scene->over, 0))
        for (int i = 0; i < 50; i++)
            put_something(&seed, swapped[(unsigned)rand_r(&seed) % SWAPPED], scene->text);
    for (size_t i = 0; i < SWAPPED; i++) {
        unlink(name_path(swapped[i]));
        rmdir(name_path(swapped[i]));
    }
    return 0;
}

/* Whatever stands there: it is an answer, and none of those that would be a fault. */
static void assert_answer(int result, const char *call)
{
    switch (result) {
    case 0:
    case -ENOENT:
    case -EEXIST:
    case -EACCES:
    case -EPERM:
    case -EPROTO:
    case -EBUSY:
    case -EPROTONOSUPPORT:
    case -ENOTSUP:
        return;
    default:
        fail_msg("%s: %d: %s", call, result, yoke_explain());
    }
}

static void use_swapped_names(unsigned *seed)
{
    static const char *const addresses[] = {"region:swapped", "port:swapped", "port:swapped@kernel",
                                            "stream:swapped@kernel"};
    struct yk_gc_item *items = NULL;
    yoke_endpoint *end = NULL;
    yoke_region *region = NULL;
    yoke_peer *peer = NULL;
    struct yk_object_facts facts;
    uint32_t flags = rand_r(seed) % 2 ? YOKE_CREATE : 0;
    const char *address = addresses[rand_r(seed) % 4];
    int result;

    switch (rand_r(seed) % 6) {
    case 0:
        assert_answer(result = yoke_region_create(&region, "swapped", 4096, NULL), "create");
        if (result == 0)
            yoke_region_close(region);
        break;
    case 1:
        flags |= strncmp(address, "stream:", 7) == 0 ? YOKE_WRITE : 0;
        if (strncmp(address, "region:", 7) == 0)
            address = "port:swapped";
        assert_answer(result = yoke_open(&end, address, flags, NULL), address);
        if (result == 0)
            yoke_close(end);
        break;
    case 2:
        assert_answer(yoke_remove(address), "remove");
        break;
    case 3:
        assert_answer(result = yoke_peer_join(&peer, "swapped", NULL), "join");
        if (result == 0)
            yoke_peer_leave(peer);
        break;
    case 4:
        assert_answer(yk_inspect(address, &facts, NULL, NULL), "stat");
        break;
    default:
        must(yk_gc(false, &items));
        free(items);
    }
}

struct swap_party {
    struct scene *scene;
    bool root;
};

static int role_uses_swapped_names(void *argument)
{
    const struct swap_party *party = argument;
    struct scene *scene = party->scene;
    unsigned seed = (unsigned)test_seed() + 7;
    struct stat before, after;
    char text[1000];
    pid_t hostile;

    scene->hostile = role_swaps;
    hostile = role_start(role_is_hostile, scene);
    if (!party->root)
        become_user(VICTIM);
    write_file(scene->text, "precious", 0644);
    assert_int_equal(stat(scene->text, &before), 0);
    face(scene);
    for (int64_t end = now_ns() + 2000 * MS; now_ns() < end;)
        use_swapped_names(&seed);
    part(scene, hostile);
    assert_int_equal(stat(scene->text, &after), 0);
    assert_int_equal(after.st_ino, before.st_ino);
    assert_int_equal(after.st_mode, before.st_mode);
    assert_int_equal(after.st_ctim.tv_nsec, before.st_ctim.tv_nsec);
    read_file(scene->text, text);
    assert_string_equal(text, "precious");
    read_file(name_path("kept-by-hostile"), text);
    assert_string_equal(text, "mine");
    must(unlink(scene->text));
    return 0;
}

static void use_swapped_names_as(bool root)
{
    const char *scratch = getenv("TMPDIR");
    char outside[600];
    struct swap_party party = {.root = root};
    int result;

    share_directory();
    if (scratch) /* of this test alone: others must get through it */
        assert_int_equal(chmod(scratch, 0711), 0);
    snprintf(outside, sizeof outside, "%s/yoke-outside-XXXXXX", scratch ? scratch : "/tmp");
    assert_non_null(mkdtemp(outside));
    assert_int_equal(chmod(outside, 0777), 0);
    party.scene = scene_new();
    snprintf(party.scene->text, sizeof party.scene->text, "%s/precious", outside);
    result = run(role_uses_swapped_names, &party);
    unlink(party.scene->text);
    rmdir(outside);
    unlink(name_path("kept-by-hostile"));
    unlink(name_path(".fifo-swapped"));
    scene_drop(party.scene);
    assert_int_equal(result, 0);
    yoke_region_close(region_make("sweep", 4096));
    struct yk_gc_item *items;
    must(yk_gc(false, &items)); /* what could not be cleared because something lay in the way */
    free(items);
}

static void swapping_names_leads_a_user_nowhere(void **state)
{
    (void)state;
    use_swapped_names_as(false);
    assert_int_equal(names_left(), 0);
}

static void swapping_names_leads_root_nowhere(void **state)
{
    (void)state;
    use_swapped_names_as(true);
    assert_int_equal(names_left(), 0);
}

/* ---- who may only read ------------------------------------------------------------------------------- */

static void assert_refused(const char *what, long result, int error)
{
    if (result != -1 || errno != error)
        fail_msg("%s: %ld, %s", what, result, strerror(errno));
}

static void refuse_memory(int id)
{
    struct shmid_ds facts;
    void *base;
    int fd;

    base = shmat(id, NULL, 0);
    assert_refused("shmat for writing", (long)base, EACCES);
    base = shmat(id, NULL, SHM_RDONLY);
    assert_ptr_not_equal(base, (void *)-1);
    assert_refused("mprotect", mprotect(base, YK_PAGE, PROT_READ | PROT_WRITE), EACCES);
    assert_refused("mremap", (long)shmat(id, base, SHM_REMAP), EACCES);
    prctl(PR_SET_DUMPABLE, 1); /* which becoming a user took */
    fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, "x", 1, (off_t)(uintptr_t)base + YK_PAGE), -1);
    close(fd);
    assert_int_equal(shmctl(id, IPC_STAT, &facts), 0);
    facts.shm_perm.mode = 0666;
    assert_refused("IPC_SET", shmctl(id, IPC_SET, &facts), EPERM);
    assert_refused("IPC_RMID", shmctl(id, IPC_RMID, NULL), EPERM);
    assert_refused("SHM_LOCK", shmctl(id, SHM_LOCK, NULL), EPERM);
    shmdt(base);
}

static void refuse_lock_file(uint64_t nonce)
{
    char live[48];

    yk_live_path(live, nonce);
    assert_refused("the lock file, to read", open(name_path(live), O_RDONLY), EACCES);
    assert_refused("the lock file, to write", open(name_path(live), O_RDWR), EACCES);
    assert_refused("truncating it", truncate(name_path(live), 0), EACCES);
    assert_refused("removing it", unlink(name_path(live)), EPERM);
}

static void refuse_name(const char *entry)
{
    int fd = open(name_path(entry), O_RDONLY | O_CLOEXEC);
    char moved[700];

    assert_true(fd >= 0);
    snprintf(moved, sizeof moved, "%s", name_path("moved"));
    assert_refused("writing the name", open(name_path(entry), O_WRONLY), EACCES);
    assert_refused("truncating the name", truncate(name_path(entry), 0), EACCES);
    assert_refused("removing the name", unlink(name_path(entry)), EPERM);
    assert_refused("moving the name", rename(name_path(entry), moved), EPERM);
    assert_refused("its mode", chmod(name_path(entry), 0666), EPERM);
    assert_refused("a lease on it", fcntl(fd, F_SETLEASE, F_RDLCK), EACCES);
    /* this is not refused, and does nothing: nobody locks names by their files; left for the owner to meet */
    struct flock all = {.l_type = F_RDLCK};
    assert_int_equal(fcntl(fd, F_OFD_SETLK, &all), 0);
}

static int role_tries_all_as_a_reader(void *argument)
{
    struct scene *scene = argument;
    const char *at = strstr(scene->text, "segment=");
    yoke_region *region;
    struct yk_object_facts facts;
    struct iovec nothing = {scene, 1};

    refuse_memory(atoi(at + strlen("segment=")));
    refuse_lock_file(nonce_in(scene->text));
    refuse_name("region.shown");
    must(yoke_region_open(&region, "shown", YOKE_READ_ONLY));
    must_fail(yoke_lock_acquire(region, yoke_region_data(region), YOKE_NOW), EACCES);
    must_fail(yoke_event_notify(region, yoke_region_data(region)), EACCES);
    must(yk_inspect("region:shown", &facts, NULL, NULL));
    assert_string_equal(facts.problem, "");
    assert_int_equal(facts.participants_used, 1); /* who can not ask the locks calls nobody dead */
    assert_refused("ptrace", ptrace(PTRACE_SEIZE, scene->victim, 0, 0), EPERM);
    assert_refused("process_vm_writev",
                   process_vm_writev(scene->victim, &nothing, 1, &nothing, 1, 0), EPERM);
    yoke_region_close(region);
    baton_pass(&scene->ready);
    baton_take(&scene->over);
    return 0;
}

static int role_shows_a_region(void *argument)
{
    struct yoke_region_options options = YOKE_REGION_OPTIONS_INIT;
    struct scene *scene = argument;
    yoke_region *region, *again;
    pid_t hostile = become_victim_of(role_tries_all_as_a_reader, scene);
    unsigned char before[4096];

    options.mode = 0644;
    options.flags = YOKE_KEPT;
    must(yoke_region_create(&region, "shown", sizeof before, &options));
    memset(yoke_region_data(region), 0, sizeof before);
    memset((char *)yoke_region_data(region) + 64, 'v', sizeof before - 64);
    memcpy(before, yoke_region_data(region), sizeof before);
    read_file(name_path("region.shown"), scene->text);
    scene->victim = getpid();
    face(scene);
    assert_memory_equal(yoke_region_data(region), before, sizeof before);
    must(yoke_lock_acquire(region, yoke_region_data(region), YOKE_NOW));
    must(yoke_lock_release(region, yoke_region_data(region)));
    again = region_join("shown");
    yoke_region_close(again);
    yoke_region_close(region);
    must(yoke_region_remove("shown"));
    part(scene, hostile);
    return 0;
}

static void who_may_only_read_changes_nothing_and_locks_nothing(void **state)
{
    struct scene *scene;

    (void)state;
    share_directory();
    scene = scene_new();
    assert_int_equal(run(role_shows_a_region, scene), 0);
    scene_drop(scene);
    assert_int_equal(names_left(), 0);
}

/* ---- who may write: what that right takes from others, and what it does not ----------------------- */

static int role_locks_all_bytes(void *argument)
{
    struct scene *scene = argument;
    struct flock all = {.l_type = F_WRLCK};
    char live[48];
    int fd;

    yk_live_path(live, nonce_in(scene->text));
    fd = open(name_path(live), O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    for (off_t byte = 0; byte < 2048; byte++) { /* all that nobody has */
        all.l_start = byte;
        all.l_len = 1;
        fcntl(fd, F_OFD_SETLK, &all);
    }
    assert_int_equal(ftruncate(fd, 0), 0);
    baton_pass(&scene->ready);
    baton_take(&scene->over);
    return 0;
}

/* All places seem taken, and nobody dead is recovered. */
static int role_is_locked_out(void *argument)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;
    struct scene *scene = argument;
    yoke_endpoint *port = NULL, *other = NULL;
    pid_t hostile = become_victim_of(role_locks_all_bytes, scene);
    int result;

    options.mode = 0666;
    options.participants = 8;
    must(yoke_open(&port, "port:open", YOKE_CREATE | YOKE_KEPT, &options));
    read_file(name_path("port.open"), scene->text);
    face(scene);
    result = yoke_open(&other, "port:open", 0, NULL);
    assert_true(result == -ENOSPC || result == -EBUSY);
    assert_non_null(strstr(yoke_explain(), "port:open"));
    /* who is inside goes on */
    send_number(port, 1);
    assert_int_equal(recv_number(port, YOKE_NOW), 1);
    /* and the owner gets rid of it, and of the hostile one with it */
    must(yoke_remove("port:open"));
    must(yoke_open(&other, "port:open", YOKE_CREATE | YOKE_EXCLUSIVE, NULL));
    send_number(other, 2);
    assert_int_equal(recv_number(other, YOKE_NOW), 2);
    yoke_close(other);
    yoke_close(port);
    part(scene, hostile);
    return 0;
}

static void who_may_write_can_lock_others_out_until_the_owner_removes_the_object(void **state)
{
    struct scene *scene;

    (void)state;
    share_directory();
    scene = scene_new();
    assert_int_equal(run(role_is_locked_out, scene), 0);
    scene_drop(scene);
    assert_int_equal(names_left(), 0);
}

#define PLACES 4

/* All places, all room, and messages in hand, for ever. */
static int role_takes_all_it_can(void *argument)
{
    struct scene *scene = argument;
    yoke_endpoint *ports[PLACES];
    const void *message;
    int taken = 0, borrowed = 0;

    while (taken < PLACES && yoke_open(&ports[taken], "port:open", 0, NULL) == 0)
        taken++;
    assert_int_equal(taken, PLACES - 1);
    while (yoke_send(ports[0], "full", 4, YOKE_NOW) == 0)
        continue;
    while (yoke_borrow(ports[1], &message, YOKE_NOW) >= 0)
        borrowed++;
    assert_int_equal(borrowed, 2); /* as many as the owner said */
    while (yoke_send(ports[0], "full", 4, YOKE_NOW) == 0)
        continue;
    baton_pass(&scene->ready);
    baton_take(&scene->over);
    return 0;
}

static int role_is_crowded_out(void *argument)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;
    struct scene *scene = argument;
    yoke_endpoint *port = NULL, *other = NULL;
    char message[4096];
    int waiting = 0;
    pid_t hostile = become_victim_of(role_takes_all_it_can, scene);

    options.mode = 0666;
    options.participants = PLACES;
    options.depth = 8;
    options.max_borrowed = 2;
    must(yoke_open(&port, "port:open", YOKE_CREATE | YOKE_KEPT, &options));
    face(scene);
    must_fail(yoke_open(&other, "port:open", 0, NULL), ENOSPC);
    assert_non_null(strstr(yoke_explain(), "4 participants"));
    must_fail(yoke_send(port, "mine", 4, YOKE_NOW), EAGAIN);
    /* what is borrowed for ever is that, and keeps nobody from the rest */
    while (yoke_recv(port, message, sizeof message, YOKE_NOW) >= 0)
        waiting++;
    assert_int_equal(waiting, 8);
    must(yoke_send(port, "mine", 4, YOKE_NOW));
    assert_int_equal(must(yoke_recv(port, message, sizeof message, YOKE_NOW)), 4);
    must(yoke_remove("port:open"));
    must(yoke_open(&other, "port:open", YOKE_CREATE | YOKE_EXCLUSIVE, NULL));
    yoke_close(other);
    yoke_close(port);
    part(scene, hostile);
    return 0;
}

static void who_may_write_can_take_places_room_and_messages_until_the_owner_removes_the_object(
    void **state)
{
    struct scene *scene;

    (void)state;
    share_directory();
    scene = scene_new();
    assert_int_equal(run(role_is_crowded_out, scene), 0);
    scene_drop(scene);
    assert_int_equal(names_left(), 0);
}

/* ---- a directory full of another's things ------------------------------------------------------------ */

#define JUNK 3000

static void each_junk(void (*visit)(const char *path))
{
    char entry[64];

    for (int i = 0; i < JUNK; i++) {
        snprintf(entry, sizeof entry, i % 3 ? "port.junk-%d" : ".live-%016d", i);
        visit(name_path(entry));
    }
}

static void put_junk(const char *path)
{
    close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666));
}

static void take_junk(const char *path)
{
    unlink(path);
}

static int role_fills_the_directory(void *argument)
{
    struct scene *scene = argument;

    each_junk(put_junk);
    baton_pass(&scene->ready);
    baton_take(&scene->over);
    each_junk(take_junk);
    return 0;
}

static int role_works_among_junk(void *argument)
{
    struct scene *scene = argument;
    struct yk_gc_item *items;
    pid_t hostile = become_victim_of(role_fills_the_directory, scene);

    face(scene);
    for (int i = 0; i < 20; i++) {
        yoke_endpoint *port = port_make("mine", NULL);

        yoke_close(port_join("mine"));
        yoke_close(port);
    }
    assert_int_equal(must(yk_gc(false, &items)), 0);
    free(items);
    part(scene, hostile);
    return 0;
}

static void directory_full_of_anothers_files_is_slower_and_works(void **state)
{
    struct scene *scene;

    (void)state;
    share_directory();
    scene = scene_new();
    assert_int_equal(run(role_works_among_junk, scene), 0);
    scene_drop(scene);
    assert_int_equal(names_left(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        api_test(name_that_another_user_writes_anew_does_not_lead_to_ones_own_removed_object),
        api_test(doorbell_that_another_user_made_is_not_listened_to),
        api_test(fifo_that_another_user_made_gets_nothing_of_a_stream),
        api_test(who_may_read_a_kernel_stream_can_not_keep_its_owner_from_removing_it),
        api_test(other_file_under_the_name_of_a_kernel_stream_is_left_as_it_is),
        api_test(lock_file_with_another_name_is_refused_until_the_owner_removes_the_object),
        api_test(swapping_names_leads_a_user_nowhere),
        api_test(swapping_names_leads_root_nowhere),
        api_test(who_may_only_read_changes_nothing_and_locks_nothing),
        api_test(who_may_write_can_lock_others_out_until_the_owner_removes_the_object),
        api_test(
            who_may_write_can_take_places_room_and_messages_until_the_owner_removes_the_object),
        api_test(directory_full_of_anothers_files_is_slower_and_works),
    };

    return cmocka_run_group_tests(tests, api_setup, NULL);
}
