/*
 * names.c - see names.h.
 */
#include "memory/names.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/sys.h"
#include "memory/queue.h"
#include "yoke.h"

#define RECORD_MOST 600
#define RECORD_FORMAT                                                            \
    "yoke2 %s %s segment=%d key=%08" PRIx32 " nonce=%016" PRIx64 " ipc=%" PRIu64 \
    " layout=%016" PRIx64 " size=%" PRIu64 " flags=%" PRIu32 "\n"
#define RECORD_SCAN                                                                 \
    "yoke2 %15s %255s segment=%d key=%8" SCNx32 " nonce=%16" SCNx64 " ipc=%" SCNu64 \
    " layout=%16" SCNx64 " size=%" SCNu64 " flags=%" SCNu32 "%c"
/* of what lives in the kernel place */
#define QUEUES_FORMAT                                                            \
    "yoke2 %s@kernel %s nonce=%016" PRIx64 " ipc=%" PRIu64 " layout=%016" PRIx64 \
    " priorities=%" PRIu32 " participants=%" PRIu32 " flags=%" PRIu32 "\n"
#define QUEUES_SCAN                                                                     \
    "yoke2 %15[a-z]@kernel %255s nonce=%16" SCNx64 " ipc=%" SCNu64 " layout=%16" SCNx64 \
    " priorities=%" SCNu32 " participants=%" SCNu32 " flags=%" SCNu32 "%c"

static const struct {
    enum yk_kind kind;
    const char *name;
} kinds[] = {{YK_KIND_REGION, "region"}, {YK_KIND_PORT, "port"},       {YK_KIND_LINK, "link"},
             {YK_KIND_PEER, "peer"},     {YK_KIND_SIGNALS, "signals"}, {YK_KIND_STREAM, "stream"}};

#define KINDS (sizeof kinds / sizeof kinds[0])

const char *yk_kind_name(uint32_t kind)
{
    for (size_t i = 0; i < KINDS; i++) {
        if ((uint32_t)kinds[i].kind == kind)
            return kinds[i].name;
    }
    return "?";
}

int yk_kind_from_name(const char *text, size_t length)
{
    for (size_t i = 0; i < KINDS; i++) {
        if (strlen(kinds[i].name) == length && memcmp(kinds[i].name, text, length) == 0)
            return (int)kinds[i].kind;
    }
    return 0;
}

static int check_text(const char *name, size_t length, size_t most)
{
    int shown = length < 200 ? (int)length : 200;
    if (length == 0)
        return yk_fail(EINVAL, "the name is empty");
    if (length > most)
        return yk_fail(EINVAL, "the name '%.20s…' is longer than %zu bytes", name, most);
    if (name[0] == '.')
        return yk_fail(EINVAL, "the name '%.*s' begins with a dot", shown, name);
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)name[i];
        if (c <= ' ' || c > '~')
            return yk_fail(
                EINVAL,
                "byte %zu of the name is 0x%02x: only printable ASCII without spaces is allowed",
                i + 1, c);
        if (c == '/' || c == '@')
            return yk_fail(EINVAL, "the name '%.*s' has a '%c' in it", shown, name, c);
    }
    return 0;
}

void yk_name_link(char name[YK_ENTRY_MAX], const char *peer, const char *other)
{
    bool first = strcmp(peer, other) < 0;
    snprintf(name, YK_ENTRY_MAX, "%s@%s", first ? peer : other, first ? other : peer);
}

/* A region is made by its bare name: an address would be taken for one, and lead nowhere. */
static int check_bare(const char *name)
{
    const char *colon = strchr(name, ':');
    int kind = colon ? yk_kind_from_name(name, (size_t)(colon - name)) : 0;
    return kind == 0
               ? 0
               : yk_fail(EINVAL,
                         "'%s' is an address: the name of a region goes without the kind, and "
                         "does not begin with '%s:'",
                         name, yk_kind_name((uint32_t)kind));
}

/* "alice@bob", in this order. */
static int check_link(const char *name)
{
    char peer[YOKE_PEER_NAME_MAX + 1] = "", ordered[YK_ENTRY_MAX];
    const char *at = strchr(name, '@');
    if (!at)
        return yk_fail(EINVAL, "'%.200s' does not name two peers, such as alice/bob", name);
    int result = check_text(name, (size_t)(at - name), YOKE_PEER_NAME_MAX);
    if (result == 0)
        result = check_text(at + 1, strlen(at + 1), YOKE_PEER_NAME_MAX);
    if (result < 0)
        return result;
    memcpy(peer, name, (size_t)(at - name));
    yk_name_link(ordered, peer, at + 1);
    if (strcmp(peer, at + 1) == 0 || strcmp(ordered, name) != 0)
        return yk_fail(EINVAL, "'%s' does not name two peers in order", name);
    return 0;
}

int yk_name_check(uint32_t kind, const char *name)
{
    if (!name)
        return yk_fail(EINVAL, "the name is NULL");
    size_t length = strnlen(name, YK_ENTRY_MAX);
    int result;
    switch (kind) {
    case YK_KIND_LINK:
        return length < YK_ENTRY_MAX ? check_link(name) : check_text(name, length, 0);
    case YK_KIND_PEER:
    case YK_KIND_SIGNALS:
        return check_text(name, length, YOKE_PEER_NAME_MAX);
    default:
        result = check_text(name, length, YOKE_NAME_MAX);
        return result == 0 && kind == YK_KIND_REGION ? check_bare(name) : result;
    }
}

/* Names that were checked are shorter than these. */
void yk_name_entry(char entry[YK_ENTRY_MAX], uint32_t kind, const char *name)
{
    snprintf(entry, YK_ENTRY_MAX, "%s.%.240s", yk_kind_name(kind), name);
}

void yk_kernel_entry(char entry[YK_ENTRY_MAX], uint32_t kind, const char *name)
{
    snprintf(entry, YK_ENTRY_MAX, "%s.%.240s" YK_KERNEL_SUFFIX, yk_kind_name(kind), name);
}

bool yk_kernel_name(uint32_t kind, const char *name, char ret_name[YK_ENTRY_MAX])
{
    /* "alice@kernel" is a link in memory: its second peer is called so */
    const char *from = kind == YK_KIND_LINK ? strchr(name, '@') : name;
    const char *at = from ? strchr(from + 1, '@') : NULL;
    if (!at || strcmp(at, YK_KERNEL_SUFFIX) != 0 || at - name >= YK_ENTRY_MAX)
        return false;
    memcpy(ret_name, name, (size_t)(at - name));
    ret_name[at - name] = '\0';
    return true;
}

void yk_record_entry(char entry[YK_ENTRY_MAX], const struct yk_record *record)
{
    if (record->flags & YK_OBJECT_QUEUES)
        yk_kernel_entry(entry, record->kind, record->name);
    else
        yk_name_entry(entry, record->kind, record->name);
}

void yk_live_path(char path[48], uint64_t nonce)
{
    snprintf(path, 48, ".live-%016" PRIx64, nonce);
}

/* Whoever wrote the name may have put there a link to another file of this process's user. */
int yk_live_open(const struct yk_directory *directory, const char *path, int flags)
{
    struct stat facts;
    int fd = yk_sys_open(directory->fd, path, O_RDWR | flags, 0600);
    int result = fd < 0 ? fd : yk_sys_stat(fd, &facts);
    if (result == 0 && (!S_ISREG(facts.st_mode) || facts.st_nlink > 1))
        result = -EPROTO;
    if (fd >= 0 && result < 0)
        yk_sys_close(fd);
    return result < 0 ? result : fd;
}

void yk_bell_path(char path[48], uint64_t nonce)
{
    snprintf(path, 48, ".bell-%016" PRIx64, nonce);
}

bool yk_bell_is_deserted(const struct yk_directory *directory, const char *path)
{
    /* for writing, and not waiting for a reader: then the kernel says that there is none */
    int fd = yk_sys_open(directory->fd, path, O_WRONLY | O_NONBLOCK, 0);
    if (fd >= 0)
        yk_sys_close(fd);
    return fd == -ENXIO;
}

void yk_socket_path(char path[48], uint64_t nonce)
{
    snprintf(path, 48, ".signals-%016" PRIx64, nonce);
}

void yk_end_path(char path[48], uint64_t nonce, int side)
{
    snprintf(path, 48, ".end%d-%016" PRIx64, side, nonce);
}

static int format_record(char text[RECORD_MOST], const struct yk_record *record)
{
    if (record->flags & YK_OBJECT_QUEUES)
        return snprintf(text, RECORD_MOST, QUEUES_FORMAT, yk_kind_name(record->kind), record->name,
                        record->nonce, record->namespace, record->layout, record->priorities,
                        record->participants, record->flags);
    return snprintf(text, RECORD_MOST, RECORD_FORMAT, yk_kind_name(record->kind), record->name,
                    record->segment, record->key, record->nonce, record->namespace, record->layout,
                    record->size, record->flags);
}

/* Is it what the fields of one of the two formats, and a newline, may say? */
static bool is_sound(struct yk_record *record, const char *kind, bool complete, bool queues)
{
    record->kind = complete ? (uint32_t)yk_kind_from_name(kind, strlen(kind)) : 0;
    return record->kind != 0 && queues == ((record->flags & YK_OBJECT_QUEUES) != 0) &&
           (!queues || record->kind == YK_KIND_PORT || record->kind == YK_KIND_LINK) &&
           yk_name_check(record->kind, record->name) == 0;
}

static int parse_record(const char *text, struct yk_record *ret)
{
    char kind[16], end = '\0';
    struct yk_record record = {.segment = -1};
    int saved = errno; /* which sscanf() changes */
    int fields =
        sscanf(text, RECORD_SCAN, kind, record.name, &record.segment, &record.key, &record.nonce,
               &record.namespace, &record.layout, &record.size, &record.flags, &end);
    bool sound = is_sound(&record, kind, fields == 10 && end == '\n', false);
    if (!sound) {
        record = (struct yk_record){.segment = -1};
        fields =
            sscanf(text, QUEUES_SCAN, kind, record.name, &record.nonce, &record.namespace,
                   &record.layout, &record.priorities, &record.participants, &record.flags, &end);
        sound = is_sound(&record, kind, fields == 9 && end == '\n', true);
    }
    errno = saved;
    if (sound)
        *ret = record;
    return sound ? 0 : -EPROTO;
}

static int no_name(const struct yk_directory *directory, const char *entry)
{
    return yk_fail(EPROTO, "%s/%s is not a name that yoke wrote", directory->path, entry);
}

static int cannot_read(const struct yk_directory *directory, const char *entry, int error,
                       const char *why)
{
    return yk_fail(error, "%s/%s can not be read: %s", directory->path, entry, why);
}

int yk_record_read_any(const struct yk_directory *directory, const char *entry,
                       struct yk_record *ret)
{
    char text[RECORD_MOST];
    struct stat facts;
    struct yk_record record;
    int fd = yk_sys_open(directory->fd, entry, O_RDONLY, 0);
    if (fd == -ENOENT)
        return -ENOENT;
    if (fd == -ENXIO) /* a socket */
        return no_name(directory, entry);
    if (fd < 0)
        return cannot_read(directory, entry, fd == -ELOOP ? EACCES : -fd,
                           fd == -ELOOP   ? "it is a symbolic link"
                           : fd == -EBUSY ? "somebody has a lease on it (F_SETLEASE)"
                                          : strerror(-fd));
    int result = yk_sys_stat(fd, &facts);
    ssize_t size = result == 0 && S_ISREG(facts.st_mode)
                       ? yk_sys_read_all(fd, text, sizeof text - 1, 0)
                       : result;
    yk_sys_close(fd);
    if (size < 0)
        return cannot_read(directory, entry, (int)-size, strerror((int)-size));
    text[size] = '\0';
    if (parse_record(text, &record) < 0)
        return no_name(directory, entry);
    record.uid = facts.st_uid;
    record.gid = facts.st_gid;
    record.mode = facts.st_mode & 07777;
    record.links = (uint32_t)facts.st_nlink;
    record.written_ns = facts.st_mtim.tv_sec * INT64_C(1000000000) + facts.st_mtim.tv_nsec;
    *ret = record;
    return 0;
}

int yk_record_read(const struct yk_directory *directory, const char *entry, struct yk_record *ret)
{
    struct yk_record record;
    char meant[YK_ENTRY_MAX];
    int result = yk_record_read_any(directory, entry, &record);
    if (result < 0)
        return result;
    yk_record_entry(meant, &record);
    if (entry[0] != '.' && strcmp(meant, entry) != 0)
        return yk_fail(EPROTO,
                       "%s/%s was written for %s: it was copied or renamed, and leads to nothing",
                       directory->path, entry, yk_entry_address(meant));
    *ret = record;
    return 0;
}

static int write_text(const struct yk_directory *intents, const char *entry,
                      const struct yk_record *record, int flags)
{
    char text[RECORD_MOST];
    int length = format_record(text, record);
    int fd = yk_sys_open(intents->fd, entry, O_WRONLY | flags, 0600);
    if (fd < 0)
        return yk_fail(-fd, "%s/%s can not be written: %s", intents->path, entry, strerror(-fd));
    int result = yk_sys_write_all(fd, text, (size_t)length, 0);
    if (result < 0) {
        yk_sys_close(fd);
        return yk_fail(-result, "%s/%s can not be written: %s", intents->path, entry,
                       strerror(-result));
    }
    return fd;
}

int yk_intent_write(const struct yk_directory *intents, const char *entry,
                    const struct yk_record *record)
{
    int fd = write_text(intents, entry, record, O_CREAT);
    if (fd < 0)
        return fd;
    yk_sys_close(fd);
    return 0;
}

/* Who may read or write the object may read its name. */
static mode_t name_mode(uint32_t mode)
{
    return ((mode | mode << 1) & 0444) | 0200;
}

int yk_intent_publish(const struct yk_directory *directory, const struct yk_directory *intents,
                      const char *entry, const struct yk_record *record,
                      const struct yk_segment_plan *plan)
{
    int fd = write_text(intents, entry, record, 0);
    if (fd < 0)
        return fd;
    int result = plan->group < 0 ? 0 : yk_sys_chown(fd, (uid_t)-1, (gid_t)plan->group);
    if (result == 0)
        result = yk_sys_chmod(fd, name_mode(plan->mode));
    yk_sys_close(fd);
    if (result == 0)
        result = yk_sys_rename_exclusive(intents->fd, entry, directory->fd, entry);
    if (result == -EEXIST)
        return yk_fail(EEXIST, "the name %s was published by somebody else meanwhile",
                       yk_entry_address(entry));
    if (result < 0)
        return yk_fail(-result, "%s/%s can not be published: %s", directory->path, entry,
                       strerror(-result));
    return 0;
}

struct yk_segment_identity yk_record_segment(const struct yk_record *record)
{
    return (struct yk_segment_identity){
        .id = record->segment, .key = record->key, .size = record->size, .uid = record->uid};
}

int yk_record_attach(const struct yk_record *record, bool read_only, void **ret_base,
                     uint64_t *ret_size, struct yk_shm_fixed *ret_fixed)
{
    char entry[YK_ENTRY_MAX];
    struct yk_segment_identity segment = yk_record_segment(record);
    int result =
        yk_segment_attach(&segment, record->nonce, read_only, ret_base, ret_size, ret_fixed);
    if (result != -EXDEV)
        return result;
    yk_record_entry(entry, record);
    return yk_fail(EPROTO,
                   "the name of %s was written by uid %u, and segment %d, which it leads to, is "
                   "another user's: no yoke wrote that",
                   yk_entry_address(entry), record->uid, record->segment);
}

/* Does its segment hold the object? 1 yes, 0 no, or an error (-EACCES: can not tell). */
static int segment_holds(const struct yk_record *record)
{
    void *base = NULL;
    uint64_t size;
    struct yk_shm_fixed fixed;
    int result = yk_record_attach(record, true, &base, &size, &fixed);
    if (result == 0)
        yk_sys_shm_detach(base);
    return result == 0 ? 1 : result == -ENOENT || result == -EPROTO ? 0 : result;
}

bool yk_record_is_deserted(const struct yk_directory *directory, const struct yk_record *record)
{
    char live[48];
    struct stat facts;
    yk_live_path(live, record->nonce);
    int fd = yk_sys_open(directory->fd, live, O_RDONLY, 0);
    if (fd < 0)
        return fd == -ENOENT;
    /* not its owner's: somebody put it there when the true one was gone */
    bool is = yk_sys_stat(fd, &facts) == 0 &&
              (facts.st_uid != record->uid || yk_sys_byte_is_locked(fd, 0, 0) == 0);
    yk_sys_close(fd);
    return is;
}

int yk_record_is_foreign(const struct yk_record *record)
{
    uint64_t own;
    int result = yk_ipc_namespace(&own);
    return result < 0 ? result : record->namespace != own;
}

int yk_layout_check(const char *what, uint64_t layout, uint64_t own)
{
    return layout == own ? 0
                         : yk_fail(EPROTONOSUPPORT,
                                   "%s was made by a yoke with layout %llx, this one has %llx",
                                   what, (unsigned long long)layout, (unsigned long long)own);
}

int yk_record_refuse_foreign(const char *entry, const struct yk_record *record)
{
    uint64_t own;
    int result = yk_ipc_namespace(&own);
    if (result < 0)
        return result;
    return yk_fail(
        ENOTSUP,
        "%s lives in IPC namespace %llu, this process is in %llu: it can only be reached "
        "from there",
        yk_entry_address(entry), (unsigned long long)record->namespace, (unsigned long long)own);
}

int yk_record_is_dead(const struct yk_directory *directory, const struct yk_record *record,
                      bool thorough)
{
    int foreign = yk_record_is_foreign(record);
    if (foreign < 0)
        return foreign;
    if (foreign)
        return !(record->flags & YK_OBJECT_KEPT) && yk_record_is_deserted(directory, record);
    if (record->flags & YK_OBJECT_QUEUES)
        return (!(record->flags & YK_OBJECT_KEPT) && yk_record_is_deserted(directory, record)) ||
               yk_queues_exist(directory, record) == 0;
    struct yk_segment_identity segment = yk_record_segment(record);
    int verdict = yk_segment_judge(&segment);
    if (verdict < 0)
        return yk_fail(-verdict, "segment %d can not be asked for: %s", record->segment,
                       strerror(-verdict));
    /*
     * Marked: an id that went to another segment of this size, or the true one with a damaged
     * header, whose participants then have their locks.
     */
    if (verdict != YK_SEGMENT_MAY_BE || !thorough)
        return verdict == YK_SEGMENT_IS_NOT;
    int holds = segment_holds(record);
    return holds < 0 ? holds : !holds && yk_record_is_deserted(directory, record);
}
