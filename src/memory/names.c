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
#include "yoke.h"

#define RECORD_FORMAT                                                         \
    "yoke1 %s segment=%d key=%08" PRIx32 " nonce=%016" PRIx64 " ipc=%" PRIu64 \
    " layout=%016" PRIx64 " size=%" PRIu64 " flags=%" PRIu32 "\n"
#define RECORD_SCAN                                                                                \
    "yoke1 %15s segment=%d key=%8" SCNx32 " nonce=%16" SCNx64 " ipc=%" SCNu64 " layout=%16" SCNx64 \
    " size=%" SCNu64 " flags=%" SCNu32 "%c"

static const struct {
    enum yk_kind kind;
    const char *name;
} kinds[] = {{YK_KIND_REGION, "region"},
             {YK_KIND_PORT, "port"},
             {YK_KIND_LINK, "link"},
             {YK_KIND_PEER, "peer"}};

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
    switch (kind) {
    case YK_KIND_LINK:
        return length < YK_ENTRY_MAX ? check_link(name) : check_text(name, length, 0);
    case YK_KIND_PEER:
        return check_text(name, length, YOKE_PEER_NAME_MAX);
    default:
        return check_text(name, length, YOKE_NAME_MAX);
    }
}

void yk_name_entry(char entry[YK_ENTRY_MAX], uint32_t kind, const char *name)
{
    snprintf(entry, YK_ENTRY_MAX, "%s.%s", yk_kind_name(kind), name);
}

void yk_live_path(char path[48], uint64_t nonce)
{
    snprintf(path, 48, ".live-%016" PRIx64, nonce);
}

void yk_bell_path(char path[48], uint64_t nonce)
{
    snprintf(path, 48, ".bell-%016" PRIx64, nonce);
}

void yk_intent_path(char path[YK_ENTRY_MAX + 32], uint32_t uid, const char *entry)
{
    snprintf(path, YK_ENTRY_MAX + 32, YK_INTENTS "/%u.%s", uid, entry);
}

static int format_record(char text[512], const struct yk_record *record)
{
    return snprintf(text, 512, RECORD_FORMAT, yk_kind_name(record->kind), record->segment,
                    record->key, record->nonce, record->namespace, record->layout, record->size,
                    record->flags);
}

static int parse_record(const char *text, struct yk_record *ret)
{
    char kind[16], end;
    int fields = sscanf(text, RECORD_SCAN, kind, &ret->segment, &ret->key, &ret->nonce,
                        &ret->namespace, &ret->layout, &ret->size, &ret->flags, &end);
    ret->kind = fields == 9 ? (uint32_t)yk_kind_from_name(kind, strlen(kind)) : 0;
    return ret->kind != 0 && end == '\n' ? 0 : -EPROTO;
}

int yk_record_read(const struct yk_directory *directory, const char *path, struct yk_record *ret)
{
    char text[512];
    struct stat facts;
    struct yk_record record;
    int fd = yk_sys_open(directory->fd, path, O_RDONLY, 0);
    if (fd == -ENOENT)
        return -ENOENT;
    if (fd == -ENXIO) /* a socket */
        return yk_fail(EPROTO, "%s/%s is not a name that yoke wrote", directory->path, path);
    if (fd < 0)
        return yk_fail(fd == -ELOOP ? EACCES : -fd, "%s/%s can not be read: %s", directory->path,
                       path, fd == -ELOOP ? "it is a symbolic link" : strerror(-fd));
    int result = yk_sys_stat(fd, &facts);
    ssize_t size = result == 0 && S_ISREG(facts.st_mode)
                       ? yk_sys_read_all(fd, text, sizeof text - 1, 0)
                       : -EPROTO;
    yk_sys_close(fd);
    text[size < 0 ? 0 : size] = '\0';
    if (size < 0 || parse_record(text, &record) < 0)
        return yk_fail(EPROTO, "%s/%s is not a name that yoke wrote", directory->path, path);
    record.uid = facts.st_uid;
    record.gid = facts.st_gid;
    record.mode = facts.st_mode & 07777;
    record.links = (uint32_t)facts.st_nlink;
    *ret = record;
    return 0;
}

static int write_text(const struct yk_directory *directory, const char *path,
                      const struct yk_record *record, int flags)
{
    char text[512];
    int length = format_record(text, record);
    int fd = yk_sys_open(directory->fd, path, O_WRONLY | flags, 0600);
    if (fd < 0)
        return yk_fail(-fd, "%s/%s can not be written: %s", directory->path, path, strerror(-fd));
    int result = yk_sys_write_all(fd, text, (size_t)length, 0);
    if (result < 0) {
        yk_sys_close(fd);
        return yk_fail(-result, "%s/%s can not be written: %s", directory->path, path,
                       strerror(-result));
    }
    return fd;
}

int yk_intent_write(const struct yk_directory *directory, const char *entry,
                    const struct yk_record *record)
{
    char path[YK_ENTRY_MAX + 32];
    yk_intent_path(path, yk_sys_effective_uid(), entry);
    int fd = write_text(directory, path, record, O_CREAT);
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

int yk_intent_publish(const struct yk_directory *directory, const char *entry,
                      const struct yk_record *record, const struct yk_segment_plan *plan)
{
    char path[YK_ENTRY_MAX + 32];
    yk_intent_path(path, yk_sys_effective_uid(), entry);
    int fd = write_text(directory, path, record, 0);
    if (fd < 0)
        return fd;
    int result = plan->group < 0 ? 0 : yk_sys_chown(fd, (uid_t)-1, (gid_t)plan->group);
    if (result == 0)
        result = yk_sys_chmod(fd, name_mode(plan->mode));
    yk_sys_close(fd);
    if (result == 0)
        result = yk_sys_rename_exclusive(directory->fd, path, entry);
    if (result == -EEXIST)
        return yk_fail(EEXIST, "the name %s was published by somebody else meanwhile",
                       yk_entry_address(entry));
    if (result < 0)
        return yk_fail(-result, "%s/%s can not be published: %s", directory->path, entry,
                       strerror(-result));
    return 0;
}

bool yk_record_is_dead(const struct yk_record *record, bool thorough)
{
    if (record->namespace != yk_ipc_namespace())
        return false;
    return thorough ? yk_segment_holds(record->segment, record->nonce) == 0
                    : !yk_segment_exists(record->segment);
}
