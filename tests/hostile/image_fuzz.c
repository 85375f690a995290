/*
 * image_fuzz.c - attach to a hostile image of an object, and use it.
 *
 * One input is a kind of object and a list of commands. The object is as honest processes left it:
 * messages in it, a participant that died with some in hand. Commands write into its memory, as
 * somebody who may write it does, before and after it is opened; others are calls of an honest
 * process, with short time-outs. In the end everything is closed. Edits are small (a value at a
 * place) so that an input gets beyond the checks of the header; whole pieces can be written as well.
 *
 * What must hold for every input:
 *   - no crash, and nothing for the sanitizers to say. Guard pages of 16 MiB stand before and behind
 *     each mapping (shmat and mmap are wrapped), so one byte outside is a crash; buffers have exactly
 *     the size that the call is told;
 *   - each call returns, with a result that yoke.h gives it. Who runs this sees to a time limit;
 *   - a lent message lies within the mapping, is not bigger than the object allows, and is aligned;
 *   - closing succeeds; no descriptor and no mapping is left;
 *   - an object beside it, and its name, stay as they were, and so does a restored image: every
 *     now and then all of them are used as if nothing had happened.
 *
 * Linked with libFuzzer (`./dev fuzz`), or with replay.c, which replays a corpus and makes inputs of
 * its own.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guards.h"
#include "image.h"
#include "image_fuzz.h"
#include "inspect.h"
#include "memory/layout.h"

#define CHECK_EVERY 256 /* inputs */

static bool own_directory;
static pid_t keeper; /* a process that lives on as "carol" */
static uint64_t inputs;
static int descriptors_at_first;

static int open_descriptors(void)
{
    DIR *stream = opendir("/proc/self/fd");
    int count = 0;

    insist(stream, "no /proc");
    while (readdir(stream))
        count++;
    closedir(stream);
    return count;
}

/* ---- setting up ------------------------------------------------------------------------------------- */

enum {
    REGION,
    PORT,
    PARKED,
    BIG,
    LINK,
    PAIR,
    STREAM,
    UNNAMED,
    PEER,
    INBOX,
    NAMES,
    SIGNALS,
    OFFERED,
    SUBJECTS
};

static struct subject subjects[SUBJECTS] = {
    [REGION] = {.what = "region", .entry = "region.region", .address = "region:region"},
    [PORT] = {.what = "port", .entry = "port.port", .address = "port:port"},
    [PARKED] = {.what = "port, parked",
                .entry = "port.parked",
                .address = "port:parked",
                .flags = YOKE_PARKED},
    [BIG] = {.what = "port of big messages", .entry = "port.big", .address = "port:big"},
    [LINK] = {.what = "link", .entry = "link.alice@bob", .address = "link:alice/bob"},
    [PAIR] = {.what = "pair"},
    [STREAM] = {.what = "stream", .entry = "stream.stream", .address = "stream:stream"},
    [UNNAMED] = {.what = "stream without a name"},
    [PEER] = {.what = "peer", .entry = "peer.carol", .address = "peer:carol"},
    [INBOX] = {.what = "inbox"},
    [NAMES] = {.what = "names", .entry = "port.model", .address = "port:model"},
    [SIGNALS] = {.what = "somebody's inbox", .entry = "signals.carol", .address = "signals:carol"},
    [OFFERED] = {.what = "a link that somebody opened",
                 .entry = "link.alice@carol",
                 .address = "link:alice/carol"},
};

static struct yoke_options options_of(int which)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;
    bool port = which == PORT || which == PARKED || which == BIG || which == NAMES;

    options.spin_ns = 0;
    options.capacity = which == STREAM || which == UNNAMED ? 4096 : 0;
    if (which == STREAM || port)
        options.participants = which == BIG ? 3 : which == STREAM ? 70 : 4;
    if (!port && which != LINK && which != PAIR)
        return options;
    options.depth = 4;
    options.max_message = which == BIG ? 5000 : which == LINK || which == PAIR ? 1500 : 80;
    if (!port)
        return options;
    options.priorities = which == PORT ? 2 : 1;
    options.max_borrowed = 2;
    options.max_parked = 2;
    options.max_deliveries = which == PARKED ? 1 : 3;
    return options;
}

/* In a child, which ends in the middle of it: what it has in hand stays so. */
static void leave_traces(int which, const struct subject *subject)
{
    yoke_endpoint *ends[2] = {NULL, NULL};
    const void *message;
    void *block;

    if (which == REGION) {
        yoke_region *region;
        unsigned char *data;
        must(yoke_region_open(&region, "region", 0));
        data = yoke_region_data(region);
        must(yoke_lock_acquire(region, (yoke_lock *)data, YOKE_NOW));
        must(yoke_semaphore_acquire(region, (yoke_semaphore *)(data + 64), YOKE_NOW));
        return;
    }
    for (int i = 0; i < 2; i++)
        must(open_end(subject, i, &ends[i]));
    if (which == STREAM || which == UNNAMED) {
        char bytes[3000] = "";
        must(yoke_write(ends[0], bytes, 3000, YOKE_NOW));
        must(yoke_read(ends[1], bytes, 2000, YOKE_NOW));
        must(yoke_write(ends[0], bytes, 2000, YOKE_NOW));
        return;
    }
    yoke_fd(ends[1]);
    for (int i = 0; i < 3; i++)
        send_some(ends[0], yoke_max_message(ends[0]) / (size_t)(i + 1), YOKE_NOW);
    if (which == PARKED) {
        must(yoke_borrow(ends[0], &message, YOKE_NOW));
        must(yoke_return(ends[0], message));
        must(yoke_borrow(ends[0], &message, YOKE_NOW));
        return;
    }
    must(yoke_borrow(ends[1], &message, YOKE_NOW));
    must(yoke_return(ends[1], message));
    must(yoke_borrow(ends[1], &message, YOKE_NOW));
    must(yoke_borrow(ends[1], &message, YOKE_NOW));
    must(yoke_loan(ends[1], 8, &block, YOKE_NOW));
}

static void in_a_child(int which, const struct subject *subject)
{
    int status = -1;
    pid_t child = fork();

    if (child == 0) {
        leave_traces(which, subject);
        _exit(0);
    }
    insist(child > 0 && waitpid(child, &status, 0) == child && status == 0,
           "the traces in a %s could not be left: status %d", subject->what, status);
}

static void make_one(int which, struct subject *subject)
{
    struct yoke_options options = options_of(which);
    struct yoke_region_options region_options = YOKE_REGION_OPTIONS_INIT;
    yoke_endpoint *end = NULL;

    if (which == REGION) {
        yoke_region *region;
        region_options.flags = YOKE_KEPT;
        region_options.participants = 4;
        must(yoke_region_create(&region, "region", 3000, &region_options));
        must(yoke_semaphore_init(
            region, (yoke_semaphore *)((unsigned char *)yoke_region_data(region) + 64), 3));
        yoke_region_close(region);
    } else if (which == PAIR) {
        must(yoke_pair(subject->fds, &options));
    } else if (which == UNNAMED) {
        must(yoke_stream_pair(subject->fds, &options));
        /* end 0 is to write */
        int reading = subject->fds[0];
        subject->fds[0] = subject->fds[1];
        subject->fds[1] = reading;
    } else if (which == LINK) {
        options.as = "alice";
        must(yoke_open(&end, "link:bob", YOKE_CREATE | YOKE_KEPT, &options));
    } else {
        must(yoke_open(&end, subject->address,
                       YOKE_CREATE | YOKE_KEPT | (which == STREAM ? YOKE_WRITE : 0), &options));
    }
    yoke_close(end);
}

static void make_sentinel(void)
{
    struct yoke_options options = options_of(PORT);
    yoke_endpoint *end;

    must(yoke_open(&end, "port:sentinel", YOKE_CREATE | YOKE_KEPT, &options));
    yoke_close(end);
}

static void make_model(void)
{
    yoke_remove("port:model");
    make_one(NAMES, &subjects[NAMES]);
    read_entry("port.model", image_model, sizeof image_model - 300);
}

/* What a hostile process does to see the memory. */
static void look_behind(struct subject *subject)
{
    subject->view = subject->entry ? attack_segment(segment_of(subject->entry), &subject->size)
                                   : attack_file(subject->fds[0], &subject->size);
    insist(subject->view, "%s can not be seen", subject->what);
    subject->pristine = malloc(subject->size);
    memcpy(subject->pristine, subject->view, subject->size);
}

/*
 * Places that matter: the header's fields, the first participants, the beginning of the body, all that
 * is not zero in use, and its neighbours.
 */
static void choose_words(struct subject *subject)
{
    struct yk_shm_fixed fixed;
    size_t count = subject->size / 4;

    memcpy(&fixed, subject->pristine, sizeof fixed);
    subject->words = malloc(count * sizeof *subject->words);
    for (size_t i = 0; i + 1 < count; i++) {
        size_t at = i * 4;
        uint64_t here[3] = {0, 0, 0};
        memcpy(here, subject->pristine + (at >= 8 ? at - 8 : 0),
               at + 16 <= subject->size ? 24 : 16);
        bool header = at < sizeof fixed && (at < offsetof(struct yk_shm_fixed, name) ||
                                            at >= offsetof(struct yk_shm_fixed, details));
        bool first = at >= YK_PAGE && at < YK_PAGE + 4 * sizeof(struct yk_shm_slot);
        bool body = at >= fixed.body_offset && at < fixed.body_offset + 2048;
        bool used = at >= sizeof fixed && (here[0] | here[1] | here[2]) != 0;
        if (header || first || body || used)
            subject->words[subject->words_count++] = (uint32_t)at;
    }
}

/* Lives on as carol, with an inbox and a link to alice, and does nothing. */
static void keep_carol(int ready)
{
    struct yoke_options options = options_of(LINK);
    yoke_peer *carol;
    yoke_endpoint *inbox, *link;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    must(yoke_peer_join(&carol, "carol", NULL));
    options.as = "carol";
    must(yoke_open(&link, "link:alice", YOKE_CREATE, &options));
    send_some(link, 32, YOKE_NOW);
    options = (struct yoke_options)YOKE_OPTIONS_INIT;
    options.depth = options.participants = 4;
    must(yoke_signals_open(&inbox, carol, 0, &options));
    insist(write(ready, "", 1) == 1, "nobody waits for carol");
    for (;;)
        pause();
}

static void start_carol(void)
{
    int pipes[2];
    char byte;

    insist(pipe2(pipes, O_CLOEXEC) == 0, "no pipe");
    keeper = fork();
    if (keeper == 0)
        keep_carol(pipes[1]);
    close(pipes[1]);
    insist(read(pipes[0], &byte, 1) == 1, "carol did not come");
    close(pipes[0]);
}

static pid_t owner;

static void clear_away(void)
{
    if (getpid() != owner)
        return;
    kill(keeper, SIGKILL);
    waitpid(keeper, NULL, 0);
    for (int i = 0; i < SUBJECTS; i++) {
        struct subject *subject = &subjects[i];
        if (!subject->view)
            continue;
        restore(subject);
        if (subject->entry)
            attack_segment_end(subject->view);
        free(subject->pristine);
        free(subject->words);
        if (i == REGION)
            yoke_region_remove("region");
        else if (subject->entry && i != PEER && i != SIGNALS && i != OFFERED)
            yoke_remove(subject->address);
    }
    yoke_remove("port:sentinel");
    yoke_remove("port:model");
    for (int i = 0; i < 2; i++)
        yoke_peer_leave(image_peers[i]);
    if (own_directory) { /* what yoke keeps on purpose, too */
        char command[500];
        snprintf(command, sizeof command, "rm -rf '%s'", image_directory);
        (void)!system(command);
    }
}

static void find_directory(void)
{
    const char *given = getenv("YOKE_DIR"), *parents = getenv("YOKE_FUZZ_DIR");

    /* libFuzzer starts itself again to merge: what it inherits is its parent's */
    if (given && !(parents && strcmp(given, parents) == 0)) {
        snprintf(image_directory, sizeof image_directory, "%s", given);
        return;
    }
    strcpy(image_directory, "/dev/shm/yoke-fuzz-XXXXXX");
    insist(mkdtemp(image_directory), "%s: %s", image_directory, strerror(errno));
    setenv("YOKE_DIR", image_directory, 1);
    setenv("YOKE_FUZZ_DIR", image_directory, 1);
    own_directory = true;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    find_directory();
    owner = getpid();
    must(yoke_peer_join(&image_peers[0], "alice", NULL));
    must(yoke_peer_join(&image_peers[1], "bob", NULL));
    start_carol();
    atexit(clear_away);
    make_sentinel();
    make_model();
    for (int i = 0; i < SUBJECTS; i++) {
        if (i == INBOX || i == NAMES)
            continue;
        if (i != PEER && i != SIGNALS && i != OFFERED) {
            make_one(i, &subjects[i]);
            if (i != LINK)
                in_a_child(i, &subjects[i]);
        }
        look_behind(&subjects[i]);
        choose_words(&subjects[i]);
    }
    return 0;
}

/* ---- one input -------------------------------------------------------------------------------------- */

/* After a restored image it must be as if nothing had happened. */
static void check_honest(const struct subject *subject)
{
    yoke_endpoint *ends[2] = {NULL, NULL};

    for (int i = 0; i < 2; i++)
        must(open_end(subject, i, &ends[i]));
    if (yoke_stream_capacity(ends[0]) > 0) {
        char bytes[64];
        must(yoke_write(ends[0], "honest", 6, YOKE_NOW));
        must(yoke_read(ends[1], bytes, sizeof bytes, YOKE_NOW));
    } else {
        char bytes[8000];
        must(yoke_recv(ends[1], bytes, sizeof bytes, YOKE_NOW));
        must(yoke_send(ends[0], "honest", 6, YOKE_NOW));
    }
    for (int i = 0; i < 2; i++)
        must(yoke_close(ends[i]));
    restore(subject);
}

static void check_all(void)
{
    yoke_endpoint *sentinel = NULL;
    yoke_region *region;
    char bytes[100];

    must(yoke_open(&sentinel, "port:sentinel", 0, NULL));
    must(yoke_send(sentinel, "stay", 4, YOKE_NOW));
    must(yoke_recv(sentinel, bytes, sizeof bytes, YOKE_NOW));
    yoke_close(sentinel);
    must(yoke_region_open(&region, "region", 0));
    insist(yoke_lock_acquire(region, yoke_region_data(region), YOKE_NOW) == YOKE_OWNER_DIED,
           "a dead one's lock");
    yoke_region_close(region);
    restore(&subjects[REGION]);
    check_honest(&subjects[PORT]);
    check_honest(&subjects[PAIR]);
    check_honest(&subjects[STREAM]);
    check_honest(&subjects[UNNAMED]);
    must(yoke_peer_wait("carol", YOKE_PEER_HERE, YOKE_NOW));
    make_model();
}

/* What opening keeps for the process (a watch, who signals were sent to) is made by the first ones. */
static void check_left(void)
{
    int now = open_descriptors();

    insist(guarded_count() < 12, "%zu mappings are left", guarded_count());
    if (inputs >= 4 * CHECK_EVERY && descriptors_at_first == 0)
        descriptors_at_first = now;
    if (descriptors_at_first != 0)
        insist(now <= descriptors_at_first + 12, "%d descriptors are open, and %d were at first",
               now, descriptors_at_first);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size, 0};
    int which = next8(&input) % SUBJECTS;
    struct subject *subject = &subjects[which];

    switch (which) {
    case REGION:
        attack_region(subject, &input);
        break;
    case PEER:
    case SIGNALS:
    case OFFERED:
        attack_peer(subject, &input);
        break;
    case INBOX:
        attack_inbox(subject, &input);
        break;
    case NAMES:
        attack_names(subject, &input);
        break;
    default:
        attack_endpoint(subject, &input);
    }
    restore(subject);
    if (++inputs % CHECK_EVERY == 0) {
        check_all();
        check_left();
    }
    return 0;
}

/* By then nobody has anything of carol's open any more. */
void image_clear(void)
{
    struct yk_gc_item *items = NULL;

    if (yk_gc(false, &items) >= 0)
        free(items);
}

const char *image_kind(const uint8_t *data, size_t size)
{
    return subjects[size > 0 ? data[0] % SUBJECTS : 0].what;
}

unsigned image_kinds(void)
{
    return SUBJECTS;
}
