/*
 * Two builds of the library with different layouts, in one name directory: each refuses what the other
 * made, with one sentence that names the object and both layouts, and touches nothing of it. The second
 * build is these very sources with other numbers (tests/meson.build); both are tried in both roles.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../api/api.h"
#include "inspect.h"

#define UNTOUCHED ((void *)0x5a5a5a50)

/* ---- the two builds ----------------------------------------------------------------------------- */

#define CALLS(X)            \
    X(yoke_region_create)   \
    X(yoke_region_open)     \
    X(yoke_region_remove)   \
    X(yoke_region_close)    \
    X(yoke_open)            \
    X(yoke_close)           \
    X(yoke_remove)          \
    X(yoke_send)            \
    X(yoke_recv)            \
    X(yoke_pair)            \
    X(yoke_stream_pair)     \
    X(yoke_open_descriptor) \
    X(yoke_peer_join)       \
    X(yoke_peer_leave)      \
    X(yoke_peer_wait)       \
    X(yoke_peer_list)       \
    X(yoke_signals_open)    \
    X(yoke_signal_recv)     \
    X(yoke_signal_kill)     \
    X(yoke_signal_send)     \
    X(yoke_set_create)      \
    X(yoke_set_close)       \
    X(yoke_set_add_gone)    \
    X(yoke_explain)         \
    X(yk_gc)

struct build {
#define MEMBER(call) __typeof__(&(call)) call;
    CALLS(MEMBER)
};

static const struct build ours = {
#define OURS(call) .call = (call),
    CALLS(OURS)};

static struct build theirs;

static int load_the_other(void **state)
{
    const char *path = getenv("YOKE_OTHER_VERSION");
    void *library = path ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;

    if (!library) {
        print_error("%s\n", path ? dlerror() : "YOKE_OTHER_VERSION is not set");
        return -1;
    }
#define THEIRS(call) *(void **)&theirs.call = dlsym(library, #call);
    CALLS(THEIRS)
#define FOUND(call) &&theirs.call
    return (true CALLS(FOUND)) ? api_setup(state) : -1;
}

/* ---- what one build makes, and has open --------------------------------------------------------- */

struct made {
    const struct build *by;
    yoke_region *region;
    yoke_endpoint *ends[8];
    yoke_endpoint *inboxes[2];
    yoke_peer *ann, *kim;
    int pair[2], stream_pair[2];
};

static void make_end(struct made *made, const char *address, uint32_t flags)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;
    size_t i = 0;

    if (strncmp(address, "link:", 5) == 0)
        options.as = "ann";
    while (made->ends[i])
        i++;
    must(made->by->yoke_open(&made->ends[i], address, flags | YOKE_CREATE, &options));
}

static void make_all(struct made *made, const struct build *by)
{
    struct yoke_region_options options = YOKE_REGION_OPTIONS_INIT;

    *made = (struct made){.by = by};
    options.flags = YOKE_KEPT;
    must(by->yoke_region_create(&made->region, "thing", 10000, &options));
    make_end(made, "port:thing", YOKE_KEPT);
    must(by->yoke_send(made->ends[0], "message", 7, YOKE_NOW));
    make_end(made, "port:brief", 0);
    make_end(made, "link:bob", 0);
    make_end(made, "stream:thing", YOKE_WRITE);
    make_end(made, "port:thing@kernel", YOKE_KEPT);
    make_end(made, "link:bob@kernel", 0);
    make_end(made, "stream:thing@kernel", YOKE_WRITE | YOKE_KEPT);
    must(by->yoke_pair(made->pair, NULL));
    must(by->yoke_stream_pair(made->stream_pair, NULL));
    must(by->yoke_peer_join(&made->ann, "ann", NULL));
    must(by->yoke_peer_join(&made->kim, "kim", NULL));
    must(by->yoke_signals_open(&made->inboxes[0], made->ann, 0, NULL));
    must(by->yoke_signals_open(&made->inboxes[1], made->kim, YOKE_SIGNALS_KERNEL, NULL));
}

/* It all works still: then whatever was done to it did no harm. */
static void use_all(const struct made *made)
{
    struct yoke_signal signal;
    char message[4096];

    assert_int_equal(must(made->by->yoke_recv(made->ends[0], message, sizeof message, YOKE_NOW)),
                     7);
    must(made->by->yoke_signal_send(NULL, "peer:ann", 1, 1));
    must(made->by->yoke_signal_recv(made->inboxes[0], &signal, YOKE_NOW));
    must(made->by->yoke_signal_send(NULL, "peer:kim@kernel", 1, 1));
    must(made->by->yoke_signal_recv(made->inboxes[1], &signal, YOKE_NOW));
    must_fail(made->by->yoke_signal_recv(made->inboxes[1], &signal, YOKE_NOW), EAGAIN);
}

static void unmake_all(struct made *made)
{
    for (size_t i = 0; i < 8 && made->ends[i]; i++)
        made->by->yoke_close(made->ends[i]);
    for (size_t i = 0; i < 2; i++) {
        made->by->yoke_close(made->inboxes[i]);
        close(made->pair[i]);
        close(made->stream_pair[i]);
    }
    made->by->yoke_peer_leave(made->ann);
    made->by->yoke_peer_leave(made->kim);
    made->by->yoke_region_close(made->region);
}

static const char *const kept[] = {"region:thing", "port:thing", "port:thing@kernel",
                                   "stream:thing@kernel"};

static void remove_kept(const struct build *by)
{
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        must(by->yoke_remove(kept[i]));
}

/* ---- memory, names and locks, as text ----------------------------------------------------------- */

static uint64_t sum_of(const void *bytes, size_t size, uint64_t sum)
{
    const unsigned char *byte = bytes;

    for (size_t i = 0; i < size; i++)
        sum = (sum ^ byte[i]) * UINT64_C(0x100000001b3);
    return sum;
}

/* Of big ports only what is written by all who come near them: the header, the slots, the rings. */
static void describe_memory(FILE *out)
{
    FILE *table = fopen("/proc/sysvipc/shm", "re");
    char line[512];
    struct shmid_ds facts;

    assert_non_null(table);
    while (fgets(line, sizeof line, table)) {
        uint64_t sum;
        int id;
        void *base;

        if (sscanf(line, "%*d %d", &id) != 1)
            continue;
        base = shmat(id, NULL, SHM_RDONLY);
        assert_ptr_not_equal(base, (void *)-1);
        assert_int_equal(shmctl(id, IPC_STAT, &facts), 0);
        size_t size = facts.shm_segsz < ((size_t)1 << 20) ? facts.shm_segsz : (size_t)1 << 20;
        sum = sum_of(base, size, 1);
        shmdt(base);
        fprintf(out,
                "segment %d: key %x, mode %o, uid %u, %zu bytes, %lu attached, sum %" PRIx64 "\n",
                id, facts.shm_perm.__key, facts.shm_perm.mode, facts.shm_perm.uid, facts.shm_segsz,
                (unsigned long)facts.shm_nattch - 1, sum);
    }
    fclose(table);
}

#define END ((off_t)1 << 62)

/* The locks that others have on the bytes from `from` to before `to`, in order. */
static void describe_locks(FILE *out, int fd, off_t from, off_t to)
{
    struct flock lock = {.l_type = F_WRLCK, .l_start = from, .l_len = to - from};

    if (from >= to || fcntl(fd, F_OFD_GETLK, &lock) != 0 || lock.l_type == F_UNLCK)
        return;
    describe_locks(out, fd, from, lock.l_start);
    fprintf(out, "  %s %lld+%lld\n", lock.l_type == F_RDLCK ? "shared" : "alone",
            (long long)lock.l_start, (long long)lock.l_len);
    if (lock.l_len)
        describe_locks(out, fd, lock.l_start + lock.l_len, to);
}

static void describe_file(FILE *out, const char *name, int fd)
{
    char bytes[65536];
    struct stat facts;
    uint64_t sum = 1;
    ssize_t size;

    assert_int_equal(fstat(fd, &facts), 0);
    for (off_t at = 0; (size = pread(fd, bytes, sizeof bytes, at)) > 0; at += size)
        sum = sum_of(bytes, (size_t)size, sum);
    fprintf(out, "%s: mode %o, uid %u, %lld bytes, inode %llu, sum %" PRIx64 "\n", name,
            facts.st_mode, facts.st_uid, (long long)facts.st_size, (unsigned long long)facts.st_ino,
            sum);
    describe_locks(out, fd, 0, END);
}

static void describe_directory(FILE *out, const char *folder)
{
    struct dirent **entries;
    char path[700];
    int count;

    snprintf(path, sizeof path, "%s", name_path(folder));
    count = scandir(path, &entries, NULL, alphasort);
    assert_true(count >= 0);
    for (int i = 0; i < count; i++) {
        char file[1000];
        struct stat facts;
        int fd;

        snprintf(file, sizeof file, "%s/%s", path, entries[i]->d_name);
        assert_int_equal(lstat(file, &facts), 0);
        fd = S_ISREG(facts.st_mode) ? open(file, O_RDONLY | O_CLOEXEC) : -1;
        if (fd >= 0) {
            describe_file(out, file, fd);
            close(fd);
        } else if (entries[i]->d_name[0] != '.' || strlen(entries[i]->d_name) > 2) {
            fprintf(out, "%s: mode %o, inode %llu\n", file, facts.st_mode,
                    (unsigned long long)facts.st_ino);
        }
        free(entries[i]);
    }
    free(entries);
}

/* Through a description of one's own, which hears of the locks of all others. */
static void describe_again(FILE *out, const char *name, int descriptor)
{
    char path[40];
    int fd;

    snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    describe_file(out, name, fd);
    close(fd);
}

static char *describe(const struct made *made)
{
    char *text = NULL, intents[32];
    size_t size;
    FILE *out = open_memstream(&text, &size);

    assert_non_null(out);
    snprintf(intents, sizeof intents, ".intents-%u", geteuid());
    fprintf(out, "%d descriptors\n", open_descriptors());
    describe_memory(out);
    describe_directory(out, "");
    describe_directory(out, intents);
    describe_again(out, "pair", made->pair[0]);
    describe_again(out, "stream pair", made->stream_pair[0]);
    fclose(out);
    return text;
}

/* ---- what the other build is refused ------------------------------------------------------------ */

/* One sentence, in which the object and two layouts are named. */
static void assert_sentence(const struct build *by, const char *object)
{
    const char *text = by->yoke_explain(), *first = strstr(text, "with layout "),
               *second = first ? strstr(first, "this one has ") : NULL;

    if (!strstr(text, object) || !second ||
        strtoull(first + strlen("with layout "), NULL, 16) ==
            strtoull(second + strlen("this one has "), NULL, 16) ||
        strchr(text, '\n'))
        fail_msg("\"%s\" does not name %s and both layouts", text, object);
}

#define refused(by, object, call)               \
    do {                                        \
        must_fail((by)->call, EPROTONOSUPPORT); \
        assert_sentence(by, object);            \
    } while (0)

static void refuse_regions(const struct build *by)
{
    yoke_region *region = UNTOUCHED;

    refused(by, "region:thing", yoke_region_open(&region, "thing", 0));
    refused(by, "region:thing", yoke_region_open(&region, "thing", YOKE_READ_ONLY));
    refused(by, "region:thing", yoke_region_create(&region, "thing", 10000, NULL));
    assert_ptr_equal(region, UNTOUCHED);
}

static void refuse_endpoints(const struct build *by)
{
    static const struct {
        const char *address, *named;
        uint32_t flags;
    } cases[] = {
        {"port:thing", "port:thing", 0},
        {"port:thing", "port:thing", YOKE_CREATE},
        {"port:thing", "port:thing", YOKE_PARKED},
        {"port:brief", "port:brief", YOKE_CREATE},
        {"link:ann", "link:ann/bob", 0},
        {"link:ann", "link:ann/bob", YOKE_CREATE},
        {"stream:thing", "stream:thing", YOKE_READ},
        {"stream:thing", "stream:thing", YOKE_CREATE | YOKE_WRITE},
        {"port:thing@kernel", "port:thing@kernel", 0},
        {"port:thing@kernel", "port:thing@kernel", YOKE_CREATE},
        {"link:ann@kernel", "link:ann/bob@kernel", 0},
        {"link:ann@kernel", "link:ann/bob@kernel", YOKE_CREATE},
        {"stream:thing@kernel", "stream:thing@kernel", YOKE_READ},
        {"stream:thing@kernel", "stream:thing@kernel", YOKE_CREATE | YOKE_WRITE},
    };
    struct yoke_options options = YOKE_OPTIONS_INIT;
    yoke_endpoint *end = UNTOUCHED;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        options.as = strncmp(cases[i].address, "link:", 5) == 0 ? "bob" : NULL;
        print_message("# %s\n", cases[i].address);
        refused(by, cases[i].named, yoke_open(&end, cases[i].address, cases[i].flags, &options));
    }
    assert_ptr_equal(end, UNTOUCHED);
}

static void refuse_descriptors(const struct build *by, const struct made *made)
{
    yoke_endpoint *end = UNTOUCHED;
    char named[40];

    for (int i = 0; i < 2; i++) {
        snprintf(named, sizeof named, "descriptor %d", made->pair[i]);
        refused(by, named, yoke_open_descriptor(&end, made->pair[i], NULL));
        snprintf(named, sizeof named, "descriptor %d", made->stream_pair[i]);
        refused(by, named, yoke_open_descriptor(&end, made->stream_pair[i], NULL));
    }
    assert_ptr_equal(end, UNTOUCHED);
}

static void refuse_peers(const struct build *by)
{
    yoke_peer *peer = UNTOUCHED;
    struct yoke_peer_info infos[4];
    yoke_set *set;

    refused(by, "peer:ann", yoke_peer_join(&peer, "ann", NULL));
    assert_ptr_equal(peer, UNTOUCHED);
    refused(by, "peer:ann", yoke_peer_wait("ann", YOKE_PEER_HERE, YOKE_NOW));
    refused(by, "peer:ann", yoke_peer_wait("ann", YOKE_PEER_GONE, YOKE_NOW));
    refused(by, "ann", yoke_signal_send(NULL, "peer:ann", 1, 1));
    refused(by, "peer:kim", yoke_signal_send(NULL, "peer:kim@kernel", 1, 1));
    must(by->yoke_signal_kill("ann", 0)); /* the lock of a name says who, whatever is in memory */
    assert_int_equal(must(by->yoke_peer_list(infos, 4)), 0);
    must(by->yoke_set_create(&set));
    refused(by, "peer:ann", yoke_set_add_gone(set, "ann", NULL));
    by->yoke_set_close(set);
}

static void clear_nothing(const struct build *by)
{
    struct yk_gc_item *items = NULL;
    ssize_t count = must(by->yk_gc(false, &items));

    if (count != 0)
        fail_msg("gc cleared %s %s: %s", items[0].what, items[0].name, items[0].reason);
    free(items);
}

/* Says where they differ: they are long. */
static void assert_same(const char *before, const char *after)
{
    size_t at = 0, line = 0;

    while (before[at] && before[at] == after[at])
        if (before[at++] == '\n')
            line = at;
    if (before[at] != after[at])
        fail_msg("it was:  %.*s\nand is:  %.*s", (int)strcspn(before + line, "\n"), before + line,
                 (int)strcspn(after + line, "\n"), after + line);
}

static void assert_refuses_all(const struct build *maker, const struct build *other)
{
    struct made made;
    char *before, *after;

    make_all(&made, maker);
    before = describe(&made);
    refuse_regions(other);
    refuse_endpoints(other);
    refuse_descriptors(other, &made);
    refuse_peers(other);
    clear_nothing(other);
    after = describe(&made);
    assert_same(before, after);
    free(before);
    free(after);
    use_all(&made);
    unmake_all(&made);
    clear_nothing(other); /* the kept ones have no users now, and stay */
    must(maker->yoke_open(&made.ends[0], "port:thing", 0, NULL));
    maker->yoke_close(made.ends[0]);
    must(maker->yoke_open(&made.ends[0], "stream:thing@kernel", YOKE_WRITE, NULL));
    maker->yoke_close(made.ends[0]);
}

static void older_build_refuses_what_a_newer_one_made_and_touches_nothing(void **state)
{
    (void)state;
    if (!own_namespace("ipc"))
        skip_test("needs an IPC namespace of its own, to look at all memory");
    assert_refuses_all(&theirs, &ours);
    remove_kept(&theirs);
    assert_int_equal(names_left(), 0);
}

static void newer_build_refuses_what_an_older_one_made_and_touches_nothing(void **state)
{
    (void)state;
    if (!own_namespace("ipc"))
        skip_test("needs an IPC namespace of its own, to look at all memory");
    assert_refuses_all(&ours, &theirs);
    remove_kept(&ours);
    assert_int_equal(names_left(), 0);
}

/* What one removes by its name is removed: the kernel says whose it is, whatever is in it. */
static void removing_by_name_works_across_builds(void **state)
{
    struct made made;

    (void)state;
    make_all(&made, &theirs);
    for (size_t i = 0; i < 3; i++)
        must(ours.yoke_remove(kept[i]));
    must(ours.yoke_remove("stream:thing@kernel"));
    unmake_all(&made);
    assert_int_equal(names_left(), 0);
}

/* ---- what the dead of the other build left ------------------------------------------------------- */

static int role_makes_all_and_dies(void *argument)
{
    struct made made;

    make_all(&made, argument);
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        must(made.by->yoke_remove(kept[i]));
    raise(SIGKILL);
    return 0;
}

static void name_that_the_dead_of_another_build_left_is_free(void **state)
{
    yoke_endpoint *end = NULL;
    yoke_peer *peer = NULL;

    (void)state;
    yoke_close(port_make("first", NULL)); /* names were looked through: not again for a second */
    assert_int_equal(role_wait(role_start(role_makes_all_and_dies, &theirs), SOON_MS),
                     128 + SIGKILL);
    must(yoke_open(&end, "port:brief", YOKE_CREATE | YOKE_EXCLUSIVE, NULL));
    yoke_close(end);
    must_fail(yoke_peer_wait("ann", YOKE_PEER_HERE, YOKE_NOW), EAGAIN);
    must(yoke_peer_join(&peer, "ann", NULL));
    yoke_peer_leave(peer);
    struct yk_gc_item *items = NULL;
    must(yk_gc(false, &items));
    free(items);
    assert_int_equal(names_left(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        api_test(older_build_refuses_what_a_newer_one_made_and_touches_nothing),
        api_test(newer_build_refuses_what_an_older_one_made_and_touches_nothing),
        api_test(removing_by_name_works_across_builds),
        api_test(name_that_the_dead_of_another_build_left_is_free),
    };

    return cmocka_run_group_tests(tests, load_the_other, NULL);
}
