/*
 * open.c - the raw limits of opening: what it takes to get hold of shared memory that exists
 * already, to look at it once, and to let go of it.
 *
 * Nothing is checked, nobody is told, and no place is taken: a library that shares an object
 * between processes which may die does all three.
 */
#include "limit.h"

#include "loops.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <unistd.h>

#define OBJECT_SIZE 65536u

/* Looks at the memory as any user must before all else: that is what maps its first page. */
static void look_at(const void *memory)
{
    (void)*(const volatile unsigned char *)memory;
}

/* ---- a file --------------------------------------------------------------------------------- */

/*
 * A memfd has no name in a directory that could be left behind; it is opened by the one that it
 * has in /proc, which costs a few path components more than a file in /dev/shm.
 */
struct file {
    int fd;
    char path[64];
};

static void raw_open_teardown(struct bench_run *run)
{
    struct file *state = run->state;

    close(state->fd);
    free(state);
}

static int raw_open_setup(struct bench_run *run)
{
    struct file *state = malloc(sizeof *state);

    if (!state)
        return -ENOMEM;
    run->state = state;
    state->fd = memfd_create("yoke-bench", MFD_CLOEXEC);
    if (state->fd < 0 || ftruncate(state->fd, OBJECT_SIZE) < 0) {
        int error = -errno;
        raw_open_teardown(run);
        return error;
    }
    snprintf(state->path, sizeof state->path, "/proc/self/fd/%d", state->fd);
    return 0;
}

static int raw_open_reopen(void *data, uint64_t *ret_opened)
{
    const struct file *state = data;
    int fd = open(state->path, O_RDWR | O_CLOEXEC), error = 0;
    void *memory;

    if (fd < 0)
        return -errno;
    memory = mmap(NULL, OBJECT_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED) {
        error = -errno;
    } else {
        look_at(memory);
        *ret_opened = bench_now();
        munmap(memory, OBJECT_SIZE);
    }
    close(fd);
    return error;
}

/* ---- a System V segment --------------------------------------------------------------------- */

struct segment {
    int id;
    void *held; /* the parent's attachment: marked as removed, it lives as long as this */
};

static void raw_shmat_teardown(struct bench_run *run)
{
    struct segment *state = run->state;

    if (state->held)
        shmdt(state->held);
    free(state);
}

static int raw_shmat_setup(struct bench_run *run)
{
    struct segment *state = malloc(sizeof *state);
    int error = 0;

    if (!state)
        return -ENOMEM;
    run->state = state;
    state->held = NULL;
    state->id = shmget(IPC_PRIVATE, OBJECT_SIZE, IPC_CREAT | S_IRUSR | S_IWUSR);
    if (state->id < 0) {
        error = -errno;
    } else {
        state->held = shmat(state->id, NULL, 0);
        if (state->held == (void *)-1) { /* NOLINT: shmat() has it so */
            error = -errno;
            state->held = NULL;
        }
        shmctl(state->id, IPC_RMID, NULL);
    }
    if (error)
        raw_shmat_teardown(run);
    return error;
}

static int raw_shmat_reopen(void *data, uint64_t *ret_opened)
{
    const struct segment *state = data;
    void *memory = shmat(state->id, NULL, 0);

    if (memory == (void *)-1) /* NOLINT: shmat() has it so */
        return -errno;
    look_at(memory);
    *ret_opened = bench_now();
    shmdt(memory);
    return 0;
}

/* ---- the list ------------------------------------------------------------------------------- */

const struct bench_system bench_raw_open = {
    .name = "raw-open",
    .raw = true,
    .quick = true,
    .cases = 1 << BENCH_OPEN,
    .modes = 1 << BENCH_BLOCK,
    .size_min = BENCH_SIZE_MIN,
    .size_max = SIZE_MAX,
    .setup = raw_open_setup,
    .teardown = raw_open_teardown,
    .reopen = raw_open_reopen,
};

const struct bench_system bench_raw_shmat = {
    .name = "raw-shmat",
    .raw = true,
    .quick = true,
    .cases = 1 << BENCH_OPEN,
    .modes = 1 << BENCH_BLOCK,
    .size_min = BENCH_SIZE_MIN,
    .size_max = SIZE_MAX,
    .setup = raw_shmat_setup,
    .teardown = raw_shmat_teardown,
    .reopen = raw_shmat_reopen,
};
