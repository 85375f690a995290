/*
 * segment.c - see segment.h.
 */
#include "memory/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/sys.h"

/* Bytes that every attachment reads soon, the slots and what is behind them: at once, not page by page. */
#define FIRST_LOOK (8 * (size_t)YK_PAGE)

static char first_character(const char *path)
{
    char character = '\0';
    int fd = yk_sys_open(AT_FDCWD, path, O_RDONLY, 0);
    if (fd < 0)
        return character;
    yk_sys_read_all(fd, &character, 1, 0);
    yk_sys_close(fd);
    return character;
}

/* The value of "NAME: 123 kB" in bytes; 0 when it is not there. */
static unsigned long long memory_fact(const char *name)
{
    char text[4096];
    int fd = yk_sys_open(AT_FDCWD, "/proc/meminfo", O_RDONLY, 0);
    if (fd < 0)
        return 0;
    ssize_t size = yk_sys_read_all(fd, text, sizeof text - 1, 0);
    yk_sys_close(fd);
    text[size < 0 ? 0 : size] = '\0';
    const char *at = strstr(text, name);
    return at ? strtoull(at + strlen(name) + 1, NULL, 10) * 1024 : 0;
}

/* Where the kernel promises no more than it has, it counts what was not to be reserved, too. */
static int explain_no_memory(const struct yk_segment_plan *plan)
{
    unsigned long long size = plan->size;
    const char *lower = plan->smaller ? "; lower " : "", *what = plan->smaller ? plan->smaller : "";
    if (first_character("/proc/sys/vm/overcommit_memory") != '2')
        return yk_fail(ENOMEM, "not enough memory for %llu bytes%s%s", size, lower, what);
    return yk_fail(ENOMEM,
                   "not enough memory for %llu bytes: vm.overcommit_memory is 2, so all of them "
                   "count at once, and of the CommitLimit of %llu bytes %llu are taken%s%s",
                   size, memory_fact("CommitLimit"), memory_fact("Committed_AS"), lower, what);
}

static int explain_create(int error, const struct yk_segment_plan *plan)
{
    unsigned long long size = plan->size;
    switch (error) {
    case ENOSPC:
        return yk_fail(
            ENOSPC,
            "no place for a segment of %llu bytes: all System V segments (kernel.shmmni, see "
            "ipcs -l) "
            "or all their memory (kernel.shmall) are taken",
            size);
    case ENOMEM:
        return plan->huge
                   ? yk_fail(ENOMEM, "not enough free huge pages for %llu bytes (vm.nr_hugepages)",
                             size)
                   : explain_no_memory(plan);
    case EINVAL:
        return yk_fail(EINVAL, "a segment of %llu bytes is more than kernel.shmmax allows%s", size,
                       plan->huge ? ", or this kernel has no huge pages" : "");
    case EPERM:
        return yk_fail(EPERM, "huge pages need CAP_IPC_LOCK, or a group in vm.hugetlb_shm_group");
    default:
        return yk_fail(error, "a segment of %llu bytes can not be made: %s", size, strerror(error));
    }
}

int yk_segment_create(uint32_t key, const struct yk_segment_plan *plan)
{
    int flags = IPC_CREAT | IPC_EXCL | (int)plan->mode;
    if (!plan->reserve)
        flags |= SHM_NORESERVE;
    if (plan->huge)
        flags |= SHM_HUGETLB;
    int id = yk_sys_shm_get((key_t)key, plan->size, flags);
    if (id < 0 && id != -EEXIST)
        return explain_create(-id, plan);
    return id;
}

int yk_segment_set_group(int id, const struct yk_segment_plan *plan)
{
    struct shmid_ds facts;
    if (plan->group < 0)
        return 0;
    int result = yk_sys_shm_stat(id, &facts);
    if (result == 0) {
        facts.shm_perm.gid = (gid_t)plan->group;
        result = yk_sys_shm_set(id, &facts);
    }
    return result < 0 ? yk_fail(-result, "group %lld can not be given: %s", (long long)plan->group,
                                strerror(-result))
                      : 0;
}

static bool is_gone(int error)
{
    return error == -EINVAL || error == -EIDRM;
}

/* Both: its owner can give a segment to another user, who then did not make it. */
static bool is_of(const struct shmid_ds *facts, uint32_t uid)
{
    return facts->shm_perm.uid == uid && facts->shm_perm.cuid == uid;
}

void yk_fixed_copy(struct yk_shm_fixed *ret_fixed, const void *base)
{
    memcpy(ret_fixed, base, sizeof *ret_fixed);
    yk_fence_compiler();
}

int yk_segment_attach(const struct yk_segment_identity *identity, uint64_t nonce, bool read_only,
                      void **ret_base, uint64_t *ret_size, struct yk_shm_fixed *ret_fixed)
{
    struct shmid_ds facts = {.shm_segsz = 0};
    void *base = NULL;
    int id = identity->id;
    int result = yk_sys_shm_stat(id, &facts);
    if (result == 0 && facts.shm_segsz < YK_PAGE)
        return -ENOENT;
    if (result == 0 && !is_of(&facts, identity->uid))
        return -EXDEV;
    if (result == 0)
        result = yk_sys_shm_attach(id, read_only, &base);
    if (is_gone(result))
        return -ENOENT;
    if (result == -EACCES && facts.shm_segsz == 0) /* not even its facts may be read */
        return yk_fail(EACCES, "no permission to look at its segment %d", id);
    if (result == -EACCES)
        return yk_fail(EACCES,
                       "the segment belongs to uid %u with mode %04o: no permission to %s it",
                       facts.shm_perm.uid, facts.shm_perm.mode & 0777,
                       read_only ? "read" : "write");
    if (result < 0)
        return yk_fail(-result, "segment %d can not be attached: %s", id, strerror(-result));
    const struct yk_shm_header *header = base;
    /* huge pages that nobody reserved may be missing: no yoke makes such a segment */
    bool ours = yk_sys_can_read(base, facts.shm_segsz < FIRST_LOOK ? YK_PAGE : FIRST_LOOK) &&
                yk_load32_acquire(&header->ready) == 1; /* SYNC object.ready acquire */
    if (ours)
        yk_fixed_copy(ret_fixed, base);
    if (!ours || ret_fixed->magic != YK_MAGIC || ret_fixed->nonce != nonce) {
        yk_sys_shm_detach(base);
        return -ENOENT;
    }
    *ret_base = base;
    *ret_size = facts.shm_segsz;
    return 0;
}

bool yk_segment_exists(int id)
{
    struct shmid_ds facts;
    return !is_gone(yk_sys_shm_stat(id, &facts));
}

int yk_segment_judge(const struct yk_segment_identity *identity)
{
    struct shmid_ds facts;
    int result = yk_sys_shm_stat(identity->id, &facts);
    if (result < 0)
        return is_gone(result) ? YK_SEGMENT_IS_NOT : result;
    if (facts.shm_segsz != identity->size)
        return YK_SEGMENT_IS_NOT;
    if (facts.shm_perm.mode & SHM_DEST)
        return YK_SEGMENT_MAY_BE;
    return (uint32_t)facts.shm_perm.__key == identity->key && identity->key != 0
               ? YK_SEGMENT_IS
               : YK_SEGMENT_IS_NOT;
}

int yk_segment_retire(const struct yk_segment_identity *identity)
{
    struct yk_segment_identity found = *identity;
    struct shmid_ds facts;
    if (found.id < 0)
        found.id = identity->key != 0 ? yk_sys_shm_get((key_t)identity->key, 0, 0) : -ENOENT;
    if (found.id == -ENOENT)
        return 0;
    int result = found.id < 0 ? found.id : yk_segment_judge(&found);
    if (result == YK_SEGMENT_IS_NOT || result == YK_SEGMENT_MAY_BE)
        return 0; /* or it is marked already */
    if (result == YK_SEGMENT_IS)
        result = yk_sys_shm_stat(found.id, &facts);
    if (result == 0 && is_of(&facts, identity->uid))
        result = yk_sys_shm_remove(found.id);
    /* who made it, and root, may ask for all this: -EACCES says that it is somebody else's */
    return is_gone(result) || result == -EACCES ? 0 : result;
}

bool yk_segments_are_forced_away(void)
{
    return first_character("/proc/sys/kernel/shm_rmid_forced") == '1';
}

int yk_ipc_namespace(uint64_t *ret)
{
    struct stat facts;
    int result = yk_sys_stat_path("/proc/self/ns/ipc", &facts);
    if (result < 0 && result != -ENOENT)
        return yk_fail(-result, "this process's IPC namespace can not be told: %s",
                       strerror(-result));
    *ret = result == 0 ? facts.st_ino : 0;
    return 0;
}
