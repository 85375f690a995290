/*
 * guards.c - see guards.h.
 */
#include "guards.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/stat.h>

#define GUARD ((size_t)16 << 20)
#define PAGE  ((size_t)4096)

struct guarded guarded[GUARDED_MOST];
void (*guarded_new)(const struct guarded *one);

void *__real_shmat(int id, const void *at, int flags);
int __real_shmdt(const void *at);
void *__real_mmap64(void *at, size_t size, int prot, int flags, int fd, off_t offset);
int __real_munmap(void *at, size_t size);
void *__wrap_shmat(int id, const void *at, int flags);
int __wrap_shmdt(const void *at);
void *__wrap_mmap64(void *at, size_t size, int prot, int flags, int fd, off_t offset);
int __wrap_munmap(void *at, size_t size);

static size_t whole_pages(size_t size)
{
    return (size + PAGE - 1) / PAGE * PAGE;
}

size_t guarded_count(void)
{
    size_t count = 0;

    for (size_t i = 0; i < GUARDED_MOST; i++)
        count += guarded[i].base != NULL;
    return count;
}

bool guarded_contains(const void *bytes, size_t size)
{
    const unsigned char *at = bytes;

    for (size_t i = 0; i < GUARDED_MOST; i++) {
        const struct guarded *one = &guarded[i];
        if (one->base && at >= one->base && at <= one->base + one->size &&
            size <= (size_t)(one->base + one->size - at))
            return true;
    }
    return false;
}

/* A place of that size between two guards, or MAP_FAILED. */
static unsigned char *reserve(size_t size)
{
    unsigned char *area = __real_mmap64(NULL, size + 2 * GUARD, PROT_NONE,
                                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    return area == MAP_FAILED ? area : area + GUARD;
}

static void give_back(unsigned char *base, size_t size)
{
    __real_munmap(base - GUARD, size + 2 * GUARD);
}

static void note(unsigned char *base, size_t size, bool read_only)
{
    size_t i = 0;

    while (i < GUARDED_MOST && guarded[i].base)
        i++;
    if (i == GUARDED_MOST) {
        fprintf(stderr, "%d mappings at once\n", GUARDED_MOST);
        abort();
    }
    guarded[i] = (struct guarded){base, size, read_only};
    if (guarded_new)
        guarded_new(&guarded[i]);
}

static bool forget(const void *base)
{
    for (size_t i = 0; i < GUARDED_MOST; i++) {
        if (!base || guarded[i].base != base)
            continue;
        give_back(guarded[i].base, guarded[i].size);
        guarded[i].base = NULL;
        return true;
    }
    return false;
}

void *__wrap_shmat(int id, const void *at, int flags)
{
    struct shmid_ds facts;
    unsigned char *base;
    size_t size;
    void *got;

    if (at || shmctl(id, IPC_STAT, &facts) < 0)
        return __real_shmat(id, at, flags);
    size = whole_pages(facts.shm_segsz);
    base = reserve(size);
    if (base == MAP_FAILED)
        return base;
    got = __real_shmat(id, base, flags | SHM_REMAP);
    if (got == (void *)-1)
        give_back(base, size);
    else
        note(got, size, (flags & SHM_RDONLY) != 0);
    return got;
}

int __wrap_shmdt(const void *at)
{
    int result = __real_shmdt(at);

    if (result == 0)
        forget(at);
    return result;
}

void *__wrap_mmap64(void *at, size_t size, int prot, int flags, int fd, off_t offset)
{
    unsigned char *base;
    void *got;

    if (at || fd < 0 || !(flags & MAP_SHARED))
        return __real_mmap64(at, size, prot, flags, fd, offset);
    base = reserve(whole_pages(size));
    if (base == MAP_FAILED)
        return base;
    got = __real_mmap64(base, size, prot, flags | MAP_FIXED, fd, offset);
    if (got == MAP_FAILED)
        give_back(base, whole_pages(size));
    else
        note(got, whole_pages(size), (prot & PROT_WRITE) == 0);
    return got;
}

int __wrap_munmap(void *at, size_t size)
{
    return forget(at) ? 0 : __real_munmap(at, size);
}

void *attack_segment(int id, size_t *ret_size)
{
    struct shmid_ds facts;
    void *base = __real_shmat(id, NULL, 0);

    if (base == (void *)-1 || shmctl(id, IPC_STAT, &facts) < 0)
        return NULL;
    *ret_size = facts.shm_segsz;
    return base;
}

void *attack_file(int fd, size_t *ret_size)
{
    struct stat facts;
    void *base;

    if (fstat(fd, &facts) < 0)
        return NULL;
    *ret_size = (size_t)facts.st_size;
    base = __real_mmap64(NULL, *ret_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return base == MAP_FAILED ? NULL : base;
}

void attack_segment_end(void *base)
{
    __real_shmdt(base);
}
