/*
 * Names and memory that hold what no yoke wrote: an error and a sentence, never a crash, and nothing changed.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "api.h"
#include "memory/names.h"
#include "port.h"

#define UNTOUCHED ((void *)0x5a5a5a50)

/* ---- name files --------------------------------------------------------------------------------- */

static void write_name(const char *entry, const void *bytes, size_t size)
{
    int fd = open(name_path(entry), O_WRONLY | O_CREAT | O_TRUNC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, size), (ssize_t)size);
    close(fd);
}

static void read_name(const char *entry, char text[1000])
{
    int fd = open(name_path(entry), O_RDONLY);
    ssize_t size;

    assert_true(fd >= 0);
    size = read(fd, text, 999);
    assert_true(size > 0);
    close(fd);
    text[size] = 0;
}

/* Every call on port:bad must return that error, and change nothing. */
static void assert_refused_everywhere(int error, const char *part)
{
    yoke_endpoint *endpoint = UNTOUCHED;
    char *before, *after;

    before = world_describe();
    must_fail(yoke_open(&endpoint, "port:bad", 0, NULL), error);
    if (!strstr(yoke_explain(), part))
        fail_msg("\"%s\" says nothing of \"%s\"", yoke_explain(), part);
    must_fail(yoke_open(&endpoint, "port:bad", YOKE_CREATE, NULL), error);
    assert_non_null(strstr(yoke_explain(), part));
    assert_ptr_equal(endpoint, UNTOUCHED);
    after = world_describe();
    assert_string_equal(after, before);
    free(before);
    free(after);
}

static void garbage_in_the_place_of_a_name_is_refused(void **state)
{
    static const char *const garbage[] = {
        "\n",
        "yoke2",
        "yoke2 port\n",
        "yoke2 port bad\n",
        "yoke1 port segment=1 key=1 nonce=1 ipc=1 layout=1 size=1 flags=0\n",
        "yoke3 port bad segment=1 key=1 nonce=1 ipc=1 layout=1 size=1 flags=0\n",
        "yoke2 queue bad segment=1 key=1 nonce=1 ipc=1 layout=1 size=1 flags=0\n",
        "yoke2 port b/d segment=1 key=1 nonce=1 ipc=1 layout=1 size=1 flags=0\n",
        "yoke2 port bad segment=x key=1 nonce=1 ipc=1 layout=1 size=1 flags=0\n",
        "yoke2 port bad segment=1 key=00000001 nonce=0000000000000001 ipc=1 layout=1 size=1 flags=0",
        "%s%n%s%n",
    };
    char noise[4096];

    (void)state;
    yoke_close(port_make("warm", NULL)); /* the directory's furniture is there */
    write_name("port.bad", "", 0);
    assert_refused_everywhere(EPROTO, "port.bad");
    for (size_t i = 0; i < sizeof garbage / sizeof garbage[0]; i++) {
        write_name("port.bad", garbage[i], strlen(garbage[i]));
        assert_refused_everywhere(EPROTO, "port.bad");
    }
    srandom((unsigned)test_seed());
    for (int i = 0; i < 100; i++) {
        for (size_t j = 0; j < sizeof noise; j++)
            noise[j] = (char)random();
        write_name("port.bad", noise, (size_t)random() % sizeof noise);
        assert_refused_everywhere(EPROTO, "port.bad");
    }
    assert_int_equal(truncate(name_path("port.bad"), (off_t)1 << 40), 0); /* huge, and sparse */
    assert_refused_everywhere(EPROTO, "port.bad");
    unlink(name_path("port.bad"));
}

static void truncated_name_is_refused(void **state)
{
    yoke_endpoint *port = port_make("whole", NULL);
    char text[1000];

    (void)state;
    read_name("port.whole", text);
    for (size_t i = 0; i <= strcspn(text, "\n"); i++) {
        write_name("port.bad", text, i);
        assert_refused_everywhere(EPROTO, "port.bad");
    }
    unlink(name_path("port.bad"));
    yoke_close(port);
}

static void something_else_in_the_place_of_a_name_is_refused(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    yoke_endpoint *port = port_make("target", NULL);
    int fd;

    (void)state;
    assert_int_equal(mkdir(name_path("port.bad"), 0700), 0);
    assert_refused_everywhere(EPROTO, "port.bad");
    rmdir(name_path("port.bad"));

    assert_int_equal(mkfifo(name_path("port.bad"), 0600), 0);
    assert_refused_everywhere(EPROTO, "port.bad"); /* and does not wait for a writer */
    unlink(name_path("port.bad"));

    assert_int_equal(symlink("port.target", name_path("port.bad")), 0);
    assert_refused_everywhere(EACCES, "symbolic link");
    unlink(name_path("port.bad"));

    fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (strlen(name_path("port.bad")) < sizeof address.sun_path) {
        strcpy(address.sun_path, name_path("port.bad"));
        assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
        assert_refused_everywhere(EPROTO, "port.bad");
        unlink(name_path("port.bad"));
    }
    close(fd);
    yoke_close(port);
}

/* Publishes port.bad with the record of port.good, in which `field` has this value. */
static void publish_changed(const char *field, const char *value)
{
    char text[1000], changed[1200], *at, *end;

    read_name("port.good", text);
    at = strstr(text, " good ");
    assert_non_null(at);
    memcpy(at, " bad  ", 6); /* spaces do not count */
    at = strstr(text, field);
    assert_non_null(at);
    at += strlen(field);
    end = at + strcspn(at, " \n");
    snprintf(changed, sizeof changed, "%.*s%s%s", (int)(at - text), text, value, end);
    write_name("port.bad", changed, strlen(changed));
}

static void name_of_another_layout_namespace_or_kind_is_refused(void **state)
{
    yoke_endpoint *port = port_make("good", NULL);
    yoke_region *region = NULL;
    char text[1000];

    (void)state;
    publish_changed("layout=", "00000000deadbeef");
    assert_refused_everywhere(EPROTONOSUPPORT, "layout");
    publish_changed("ipc=", "4026999999");
    assert_refused_everywhere(ENOTSUP, "IPC namespace");
    publish_changed("ipc=", "4026999999");
    unlink(name_path("port.bad"));

    read_name("port.good", text);
    write_name("port.bad", text, strlen(text));
    assert_refused_everywhere(EPROTO, "bad");
    unlink(name_path("port.bad"));

    write_name("region.bad", text, strlen(text));
    must_fail(yoke_region_open(&region, "bad", 0), EPROTO);
    must_fail(yoke_region_open(&region, "bad", YOKE_READ_ONLY), EPROTO);
    must_fail(yoke_region_create(&region, "bad", 4096, NULL), EPROTO);
    assert_null(region);
    unlink(name_path("region.bad"));
    yoke_close(port);
}

static void copied_name_removes_nothing(void **state)
{
    yoke_endpoint *port = port_make("good", NULL);
    char text[1000];

    (void)state;
    read_name("port.good", text);
    write_name("port.bad", text, strlen(text));
    assert_refused_everywhere(EPROTO, "port:good");
    must_fail(yoke_remove("port:bad"), EPROTO);
    unlink(name_path("port.bad"));
    write_name("region.good", text, strlen(text));
    must_fail(yoke_region_remove("good"), EPROTO);
    unlink(name_path("region.good"));
    yoke_close(port_join("good"));
    yoke_close(port);
}

static void name_whose_memory_is_gone_is_reaped(void **state)
{
    yoke_endpoint *port = port_make("good", NULL), *none = NULL;

    (void)state;
    publish_changed("segment=", "123456789");
    must_fail(yoke_open(&none, "port:bad", 0, NULL), ENOENT);
    assert_int_equal(access(name_path("port.bad"), F_OK), -1);
    publish_changed("nonce=", "0123456789abcdef"); /* the id is somebody else's by now */
    must_fail(yoke_open(&none, "port:bad", 0, NULL), ENOENT);
    assert_int_equal(access(name_path("port.bad"), F_OK), -1);
    send_number(port, 1); /* the object under that id was left alone */
    assert_int_equal(recv_number(port, YOKE_NOW), 1);
    yoke_close(port);
}

/* ---- headers ------------------------------------------------------------------------------------ */

/* Attaches the memory behind a name as a hostile process would. */
static void *attach_behind(const char *entry, struct shmid_ds *ret_facts)
{
    char text[1000], *at;
    void *base;
    int id;

    read_name(entry, text);
    at = strstr(text, "segment=");
    assert_non_null(at);
    id = atoi(at + strlen("segment="));
    base = shmat(id, NULL, 0);
    assert_ptr_not_equal(base, (void *)-1);
    assert_int_equal(shmctl(id, IPC_STAT, ret_facts), 0);
    return base;
}

/* Whoever may write the memory decides nothing about who it belongs to. */
static void overwritten_header_keeps_nobody_from_removing_the_object(void **state)
{
    struct yoke_region_options options = YOKE_REGION_OPTIONS_INIT;
    yoke_region *region = NULL;
    struct shmid_ds facts;
    char text[1000];
    void *base;
    int id;

    (void)state;
    options.flags = YOKE_KEPT;
    must(yoke_region_create(&region, "victim", 4096, &options));
    yoke_region_close(region);
    read_name("region.victim", text);
    id = atoi(strstr(text, "segment=") + strlen("segment="));
    base = attach_behind("region.victim", &facts);
    memset(base, 0xa5, sizeof(struct yk_shm_fixed));
    shmdt(base);
    must_fail(yoke_region_open(&region, "victim", 0), EPROTO);
    assert_non_null(strstr(yoke_explain(), "region:victim"));
    must_fail(yoke_region_create(&region, "victim", 4096, NULL), EPROTO);
    must(yoke_region_remove("victim"));
    assert_int_equal(shmctl(id, IPC_STAT, &facts), -1);
    assert_int_equal(names_left(), 0);
}

/* While somebody uses it, not even its name goes. */
static void overwritten_header_of_a_transient_object_does_not_free_its_name(void **state)
{
    yoke_endpoint *port = port_make("victim", NULL), *other = NULL;
    struct shmid_ds facts;
    struct yk_shm_header *header = attach_behind("port.victim", &facts);
    uint64_t nonce = header->fixed.nonce;

    (void)state;
    header->fixed.nonce = ~nonce;
    must_fail(yoke_open(&other, "port:victim", 0, NULL), EPROTO);
    must_fail(yoke_open(&other, "port:victim", YOKE_CREATE, NULL), EPROTO);
    header->fixed.nonce = nonce;
    yoke_close(port_join("victim"));
    shmdt(header);
    yoke_close(port);
}

static int role_dies_holding(void *argument)
{
    yoke_region *region = region_join("signed");
    unsigned char *data = yoke_region_data(region);

    (void)argument;
    must(yoke_lock_acquire(region, (yoke_lock *)data, YOKE_NOW));
    must(yoke_semaphore_acquire(region, (yoke_semaphore *)(data + 64), YOKE_NOW));
    return 0;
}

/* As if others had joined and left in the dead one's place so often. */
static void signature_of_a_dead_one_is_not_taken_for_that_of_a_later_one(void **state)
{
    yoke_region *region = region_make("signed", 4096), *later;
    unsigned char *data = yoke_region_data(region);
    struct shmid_ds facts;
    unsigned char *base = attach_behind("region.signed", &facts);
    uint64_t *word = (uint64_t *)(void *)(base + YK_PAGE + sizeof(struct yk_shm_slot));

    (void)state;
    must(yoke_semaphore_init(region, (yoke_semaphore *)(data + 64), 1));
    assert_int_equal(role_wait(role_start(role_dies_holding, NULL), SOON_MS), 0);
    *word = ((*word >> 1) + (1 << 22) - 2) << 1;
    later = region_join("signed"); /* in the dead one's place */
    assert_int_equal(yoke_lock_acquire(region, (yoke_lock *)data, YOKE_NOW), YOKE_OWNER_DIED);
    must(yoke_semaphore_acquire(region, (yoke_semaphore *)(data + 64), YOKE_NOW));
    yoke_region_close(later);
    shmdt(base);
    yoke_region_close(region);
}

/* In a process of its own, since a fault would be a crash: opens it and works with it, whatever comes. */
static int role_meets_a_damaged_port(void *argument)
{
    yoke_endpoint *port = NULL;
    int result = yoke_open(&port, "port:victim", 0, NULL);
    char bytes[64];

    (void)argument;
    if (result < 0 && !strstr(yoke_explain(), "port:victim"))
        return 4; /* a sentence must name the object */
    if (result < 0)
        return result == -EPROTO || result == -EPROTONOSUPPORT ? 1 : result == -ENOSPC ? 2 : 3;
    for (int i = 0; i < 4; i++) {
        const void *message;
        void *block;

        yoke_send(port, "hello", 5, MS);
        yoke_recv(port, bytes, sizeof bytes, MS);
        if (yoke_loan(port, 8, &block, MS) == 0)
            yoke_commit(port, block, 8);
        if (yoke_borrow(port, &message, MS) >= 0)
            yoke_return(port, message);
    }
    yoke_close(port);
    return 0;
}

static int role_meets_a_damaged_region(void *argument)
{
    yoke_region *region = NULL;
    int result = yoke_region_open(&region, "victim", 0);

    (void)argument;
    if (result < 0 && !strstr(yoke_explain(), "region:victim"))
        return 4;
    if (result < 0)
        return result == -EPROTO || result == -EPROTONOSUPPORT ? 1 : result == -ENOSPC ? 2 : 3;
    memset(yoke_region_data(region), 0, yoke_region_size(region));
    yoke_lock_acquire(region, yoke_region_data(region), MS);
    yoke_region_close(region);
    return 0;
}

struct field {
    const char *name;
    size_t offset, size;
    bool checked; /* the values below must be refused; else they must only do no harm */
};

#define FIELD(member, must_be_checked)                                  \
    {                                                                   \
#member, offsetof(struct yk_shm_fixed, member),                 \
            sizeof(((struct yk_shm_fixed *)0)->member), must_be_checked \
    }

static const struct field fields[] = {
    FIELD(layout, true),         FIELD(size, true),         FIELD(body_offset, true),
    FIELD(kind, true),           FIELD(participants, true), FIELD(directory_dev, false),
    FIELD(directory_ino, false), FIELD(created_ns, false),  FIELD(creator, false),
    FIELD(mode, false),
};

/* Tries the role with this value in the field; the field is as before afterwards. */
static void try_value(unsigned char *base, const struct field *field, uint64_t value,
                      int (*role)(void *))
{
    uint64_t before = 0;
    int result;

    memcpy(&before, base + field->offset, field->size);
    memcpy(base + field->offset, &value, field->size);
    result = role_wait(role_start(role, NULL), SOON_MS);
    memcpy(base + field->offset, &before, field->size);
    if (result != 1 && (field->checked || result >= 128))
        fail_msg("%s = %#" PRIx64 ": the role ended with %d", field->name, value, result);
}

static void damage_each_field(unsigned char *base, int (*role)(void *))
{
    static const uint64_t values[] = {UINT64_MAX, UINT64_MAX / 2, 0, UINT64_C(1) << 31, 0x12345678};

    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        for (size_t j = 0; j < sizeof values / sizeof values[0]; j++)
            try_value(base, &fields[i], values[j], role);
}

static void each_damaged_field_of_a_header_is_refused_and_crashes_nobody(void **state)
{
    struct yoke_region_options options = YOKE_REGION_OPTIONS_INIT;
    struct shmid_ds facts;
    yoke_region *region;
    yoke_endpoint *port;
    unsigned char *base;

    (void)state;
    options.flags = YOKE_KEPT;
    must(yoke_region_create(&region, "victim", 10000, &options));
    base = attach_behind("region.victim", &facts);
    damage_each_field(base, role_meets_a_damaged_region);
    try_value(base, &(struct field)FIELD(body_size, true), 1 << 20, role_meets_a_damaged_region);
    try_value(base, &(struct field)FIELD(body_size, true), UINT64_MAX, role_meets_a_damaged_region);
    try_value(base, &(struct field)FIELD(size, true), facts.shm_segsz + 1,
              role_meets_a_damaged_region);
    assert_int_equal(role_wait(role_start(role_meets_a_damaged_region, NULL), SOON_MS), 0);
    memset(base + offsetof(struct yk_shm_fixed, name), 'x', 136);
    assert_int_equal(role_wait(role_start(role_meets_a_damaged_region, NULL), SOON_MS), 1);
    memset(base + offsetof(struct yk_shm_fixed, name), 0, 136);
    strcpy((char *)base + offsetof(struct yk_shm_fixed, name), "victim");
    shmdt(base);
    yoke_region_close(region);
    must(yoke_region_remove("victim"));

    must(yoke_open(&port, "port:victim", YOKE_CREATE | YOKE_KEPT, NULL));
    base = attach_behind("port.victim", &facts);
    damage_each_field(base, role_meets_a_damaged_port);
    assert_int_equal(role_wait(role_start(role_meets_a_damaged_port, NULL), SOON_MS), 0);
    shmdt(base);
    yoke_close(port);
    must(yoke_remove("port:victim"));
}

static void damaged_geometry_of_a_port_crashes_nobody(void **state)
{
    static const uint32_t values[] = {0, 1, 3, 7, 64, 4096, 1u << 20, 1u << 31, UINT32_MAX};
    struct shmid_ds facts;
    yoke_endpoint *port;
    unsigned char *base;
    size_t begin = offsetof(struct yk_shm_fixed, details);
    int refused = 0;

    (void)state;
    must(yoke_open(&port, "port:victim", YOKE_CREATE | YOKE_KEPT, NULL));
    base = attach_behind("port.victim", &facts);
    for (size_t offset = 0; offset < sizeof(struct yk_port_fixed); offset += 4)
        for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
            uint32_t before;
            int result;

            memcpy(&before, base + begin + offset, 4);
            memcpy(base + begin + offset, &values[i], 4);
            result = role_wait(role_start(role_meets_a_damaged_port, NULL), SOON_MS);
            memcpy(base + begin + offset, &before, 4);
            if (result >= 128)
                fail_msg("%u at %zu of the port's header: the role ended with %d", values[i],
                         offset, result);
            refused += result == 1;
        }
    assert_true(refused > 20);
    shmdt(base);
    yoke_close(port);
    must(yoke_remove("port:victim"));
}

/* A hostile participant's notices name descriptor 0, doorbells that are not there, and files of others. */
/*
 * The lock file is touched to ring who can not be rung otherwise, and written to by a link in the kernel. One
 * that somebody put in its place, being a link to another file, is neither.
 */
static void lock_file_that_is_a_link_to_another_file_is_refused(void **state)
{
    char precious[300], live[300], text[16] = "";

    (void)state;
    snprintf(precious, sizeof precious, "%s", name_path("precious"));
    for (int kind = 0; kind < 2; kind++) {
        yoke_endpoint *made = kind ? NULL : port_make("jobs", NULL), *other = UNTOUCHED;
        struct yoke_options options = YOKE_OPTIONS_INIT;
        const char *address = kind ? "link:bob@kernel" : "port:jobs";
        struct yk_record record;
        struct yk_directory directory;

        options.as = "alice";
        if (kind)
            must(yoke_open(&made, address, YOKE_CREATE, &options));
        must(yk_directory_open(&directory, NULL, true));
        must(yk_record_read(&directory, kind ? "link.alice@bob@kernel" : "port.jobs", &record));
        yk_directory_close(&directory);
        snprintf(live, sizeof live, "%s/.live-%016" PRIx64, getenv("YOKE_DIR"), record.nonce);
        int fd = open(precious, O_RDWR | O_CREAT | O_TRUNC, 0600);
        assert_true(fd >= 0);
        assert_int_equal(write(fd, "precious", 8), 8);
        assert_int_equal(unlink(live), 0);
        assert_int_equal(link(precious, live), 0);
        struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
        assert_int_equal(fcntl(fd, F_OFD_SETLK, &lock), 0); /* as if somebody used it */
        options.as = kind ? "bob" : NULL;
        must_fail(yoke_open(&other, kind ? "link:alice@kernel" : address, 0, &options), EPROTO);
        assert_ptr_equal(other, UNTOUCHED);
        assert_int_equal(pread(fd, text, sizeof text, 0), 8);
        assert_string_equal(text, "precious");
        close(fd);
        yoke_close(made);
        unlink(live);
        assert_int_equal(unlink(precious), 0);
    }
}

static void doorbells_that_no_yoke_named_ring_nothing(void **state)
{
    static const uint64_t nonces[] = {0, 1, UINT64_MAX};
    yoke_endpoint *port = port_make("hostile", NULL), *hostile = port_join("hostile");
    struct yk_port *view = (struct yk_port *)hostile;
    struct yk_shm_slot *slot = yk_object_slot(&view->object, view->object.slot);
    int kept = dup(0), pipes[2];
    char byte;

    (void)state;
    assert_int_equal(pipe2(pipes, O_NONBLOCK), 0);
    assert_int_equal(dup2(pipes[1], 0), 0);
    assert_int_equal(symlink("/dev/null", name_path(".bell-0000000000000001")), 0);
    for (size_t i = 0; i < sizeof nonces / sizeof *nonces; i++) {
        for (int which = 0; which < YK_NOTICES; which++) {
            yk_store_relaxed(&slot->notice[which].doorbell, nonces[i]);
            yk_store_relaxed(&slot->notice[which].armed, 1);
        }
        yk_store_relaxed(&view->waiting.shm->bits[0][YK_WAIT_DESCRIPTOR], UINT64_MAX);
        send_number(port, 1);
        recv_number(port, YOKE_NOW);
        assert_int_equal(read(pipes[0], &byte, 1), -1);
        assert_int_equal(yk_load_relaxed(&slot->notice[0].armed) & 1, 0);
    }
    assert_int_equal(dup2(kept, 0), 0);
    close(kept);
    close(pipes[0]);
    close(pipes[1]);
    unlink(name_path(".bell-0000000000000001"));
    yoke_close(hostile);
    yoke_close(port);
}

/* The number that a record has in this field, as it stands there. */
static void read_field(const char *entry, const char *field, char value[32])
{
    char text[1000], *at;

    read_name(entry, text);
    at = strstr(text, field);
    assert_non_null(at);
    snprintf(value, 32, "%.*s", (int)strcspn(at + strlen(field), " \n"), at + strlen(field));
}

/* Ringing where there is no doorbell cuts the lock file to nothing, as it is: so it must be one. */
static void lock_file_that_is_another_file_is_refused(void **state)
{
    yoke_endpoint *port = port_make("good", NULL), *none = NULL;
    char nonce[32], live[64], path[600];
    struct stat facts;

    (void)state;
    read_field("port.good", "nonce=", nonce);
    snprintf(live, sizeof live, ".live-%s", nonce);
    snprintf(path, sizeof path, "%s", name_path(live));
    write_name("precious", "precious", 8);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(link(name_path("precious"), path), 0);
    must_fail(yoke_open(&none, "port:good", 0, NULL), EPROTO);
    assert_non_null(strstr(yoke_explain(), live));
    assert_int_equal(stat(path, &facts), 0);
    assert_int_equal(facts.st_size, 8);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    must_fail(yoke_open(&none, "port:good", 0, NULL), EPROTO);
    assert_int_equal(unlink(path), 0);
    if (geteuid() == 0) { /* another user put it there when the true one was gone */
        write_name(live, "", 0);
        assert_int_equal(chown(path, 10001, 10001), 0);
        must_fail(yoke_open(&none, "port:good", 0, NULL), EPROTO);
        unlink(path);
    }
    unlink(name_path("precious"));
    yoke_close(port);
}

/* A peer's number can be read by all: its doorbell bears another one. */
static void file_with_a_peers_number_is_not_its_doorbell(void **state)
{
    yoke_peer *peer = NULL;
    yoke_endpoint *link = NULL;
    char nonce[32], bell[64];
    struct stat facts;

    (void)state;
    must(yoke_peer_join(&peer, "alice", NULL));
    read_field("peer.alice", "nonce=", nonce);
    snprintf(bell, sizeof bell, ".bell-%s", nonce);
    write_name(bell, "precious", 8);
    must(yoke_peer_fd(peer));
    must_fail(yoke_peer_next(peer, &link, MS), ETIMEDOUT);
    assert_int_equal(stat(name_path(bell), &facts), 0);
    assert_int_equal(facts.st_size, 8);
    yoke_peer_leave(peer);
    unlink(name_path(bell));
}

/* What is punched out of huge pages may not come back when it is touched: SIGBUS. */
static void memory_file_of_huge_pages_is_no_pair(void **state)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 8192, .l_len = 1};
    yoke_endpoint *end = NULL;
    int fd = memfd_create("hostile", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB);

    (void)state;
    if (fd < 0)
        skip_test("no memory file of huge pages can be made: %s", strerror(errno));
    assert_int_equal(ftruncate(fd, (off_t)1 << 30), 0);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), 0);
    assert_int_equal(fcntl(fd, F_OFD_SETLK, &lock), 0);
    must_fail(yoke_open_descriptor(&end, fd, NULL), EPROTO);
    assert_non_null(strstr(yoke_explain(), "huge"));
    close(fd);
}

static void noise_behind_the_header_crashes_nobody(void **state)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;
    struct shmid_ds facts;
    unsigned char *base;
    yoke_endpoint *port;

    (void)state;
    options.depth = 4;
    options.participants = 4;
    options.max_message = 64;
    must(yoke_open(&port, "port:victim", YOKE_CREATE | YOKE_KEPT, &options));
    base = attach_behind("port.victim", &facts);
    yoke_close(port);
    srandom((unsigned)test_seed());
    for (int i = 0; i < 100; i++) {
        for (size_t j = YK_PAGE; j < facts.shm_segsz; j++)
            if (i % 2 || random() % 16 == 0)
                base[j] = (unsigned char)random();
        assert_in_range(role_wait(role_start(role_meets_a_damaged_port, NULL), SOON_MS), 0, 3);
    }
    shmdt(base);
    must(yoke_remove("port:victim"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        api_test(garbage_in_the_place_of_a_name_is_refused),
        api_test(truncated_name_is_refused),
        api_test(something_else_in_the_place_of_a_name_is_refused),
        api_test(name_of_another_layout_namespace_or_kind_is_refused),
        api_test(copied_name_removes_nothing),
        api_test(name_whose_memory_is_gone_is_reaped),
        api_test(overwritten_header_keeps_nobody_from_removing_the_object),
        api_test(signature_of_a_dead_one_is_not_taken_for_that_of_a_later_one),
        api_test(overwritten_header_of_a_transient_object_does_not_free_its_name),
        api_test(each_damaged_field_of_a_header_is_refused_and_crashes_nobody),
        api_test(damaged_geometry_of_a_port_crashes_nobody),
        api_test(lock_file_that_is_a_link_to_another_file_is_refused),
        api_test(doorbells_that_no_yoke_named_ring_nothing),
        api_test(lock_file_that_is_another_file_is_refused),
        api_test(file_with_a_peers_number_is_not_its_doorbell),
        api_test(memory_file_of_huge_pages_is_no_pair),
        api_test(noise_behind_the_header_crashes_nobody),
    };

    return cmocka_run_group_tests(tests, api_setup, NULL);
}
