/*
 * iceoryx2.c - iceoryx2: a publish-subscribe service for each channel, with one publisher and one
 * subscriber. iceoryx2/ has its side of it, in Rust.
 *
 * A message is copied into a loaned sample, which is sent; the receiver copies it out of the
 * sample that it borrows. Nothing is dropped: a publisher that finds the subscriber's buffer full
 * tries again, which yields the CPU and sleeps in the end; iceoryx2 has no other way to wait for
 * room. To spin, the receiver polls the subscriber, as its documents recommend for the lowest
 * latency. To block, an event service goes with each channel: notified after each message, waited
 * for when there is none.
 *
 * Its files have a directory and a prefix of our own; the parent removes both, so it does not
 * matter how the workers end.
 *
 * When the receiver is killed: the sender is not told, it goes on until the buffer is full, then
 * tries again for ever (or drops messages, if it is told to), until another process cleans up
 * after the dead one, which iceoryx2 does when a node is made or a service opened. When the sender
 * is killed: the receiver gets what was sent before, each message whole; then it polls or sleeps
 * on. What a killed process leaves in /dev/shm stays until then, too.
 */
#include "peers.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* In iceoryx2/src/lib.rs. */
void *yoke_bench_iceoryx2_join(const char *root, const char *prefix, size_t size, size_t depth,
                               bool block, char *reason, size_t reason_size);
int yoke_bench_iceoryx2_send(void *worker, size_t channel, const void *message, size_t size);
int yoke_bench_iceoryx2_recv(void *worker, size_t channel, void *buffer, size_t size);

#define SHARED_MEMORY    "/dev/shm"
#define DESCRIPTORS_MOST 16

struct iceoryx2 {
    char root[64], prefix[64];
    void *worker; /* Rust's; a worker's, not the parent's */
};

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void)status, (void)kind, (void)place;
    (void)remove(path); /* whatever stays makes the directory above stay, for somebody to see */
    return 0;
}

static void remove_shared_memory(const char *prefix)
{
    DIR *directory = opendir(SHARED_MEMORY);
    struct dirent *entry;

    if (!directory)
        return;
    while ((entry = readdir(directory)))
        if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0)
            unlinkat(dirfd(directory), entry->d_name, 0);
    closedir(directory);
}

static void iceoryx2_teardown(struct bench_run *run)
{
    struct iceoryx2 *state = run->state;

    remove_shared_memory(state->prefix);
    nftw(state->root, remove_one, DESCRIPTORS_MOST, FTW_DEPTH | FTW_PHYS);
    free(state);
}

static int iceoryx2_setup(struct bench_run *run)
{
    static unsigned serial;
    struct iceoryx2 *state = calloc(1, sizeof *state);

    if (!state)
        return -ENOMEM;
    /* Not under $TMPDIR: iceoryx2 has room for short paths only. */
    snprintf(state->root, sizeof state->root, "/tmp/yoke-bench-%ld-XXXXXX", (long)getpid());
    snprintf(state->prefix, sizeof state->prefix, "yoke-bench-%ld-%u_", (long)getpid(), serial++);
    if (!mkdtemp(state->root)) {
        int error = -errno;
        free(state);
        return error;
    }
    run->state = state;
    return 0;
}

static int iceoryx2_join(struct bench_run *run)
{
    struct iceoryx2 *state = run->state;

    state->worker =
        yoke_bench_iceoryx2_join(state->root, state->prefix, run->setting.size, run->setting.depth,
                                 run->setting.mode == BENCH_BLOCK, run->reason, sizeof run->reason);
    return state->worker ? 0 : -EIO;
}

static int iceoryx2_send(void *data, enum bench_channel channel, const void *message, size_t size)
{
    const struct iceoryx2 *state = data;

    return yoke_bench_iceoryx2_send(state->worker, channel, message, size) == 0 ? 0 : -EIO;
}

static int iceoryx2_recv(void *data, enum bench_channel channel, void *buffer, size_t size)
{
    const struct iceoryx2 *state = data;
    int error = yoke_bench_iceoryx2_recv(state->worker, channel, buffer, size);

    return error == 0 ? 0 : error == 1 ? -EBADMSG : -EIO;
}

const struct bench_system bench_iceoryx2 = {
    .name = "iceoryx2",
    .cases = 1 << BENCH_LATENCY | 1 << BENCH_RATE,
    .modes = 1 << BENCH_SPIN | 1 << BENCH_BLOCK,
    .size_min = BENCH_SIZE_MIN,
    .size_max = SIZE_MAX,
    .setup = iceoryx2_setup,
    .join = iceoryx2_join,
    .teardown = iceoryx2_teardown,
    .send = iceoryx2_send,
    .recv = iceoryx2_recv,
};
