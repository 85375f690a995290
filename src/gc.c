/*
 * gc.c - yk_gc(): clears what is provably dead. See inspect.h.
 *
 * Everywhere else in yoke, what is dead is cleared by who stumbles over it. This looks at
 * everything at once, and also finds what nobody stumbles over any more: memory and lock files to
 * which no name leads, because the files of the name directory went without the memory; and
 * doorbells that nobody has open.
 *
 * What is healthy is never cleared. A name's memory must be gone, shown by the kernel; or, where it is
 * a transient one's in another IPC namespace, nobody may take part any more. Memory must
 * carry this very directory in its header and be attached by nobody; no name or intent may have its
 * nonce, looked for once among all and once more under the lock of its name. Where a file can not
 * be read, and so might have it, the things of that file's owner are left alone.
 *
 * The order matters, because others create and remove meanwhile: first the lock files and the message
 * queues are listed, then the intents are read, then the names. What is in the lists is younger than
 * its intent, and an intent turns into a name by one rename; so whoever is neither among the intents
 * nor, later, among the names, is neither being made nor made. (Queues can only be listed where their
 * file system is mounted. Their names say which directory they belong to.)
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/sys.h"
#include "fifo.h"
#include "inspect.h"
#include "memory/object.h"
#include "memory/queue.h"
#include "place.h"
#include "survey.h"

/* A name or an intent that there is. */
struct mention {
    uint64_t nonce;
    uint32_t uid;
    bool unreadable; /* whatever of this user's it may mean */
};

/* What goes with an object: its lock file, and a peer's doorbell. */
struct side_file {
    uint64_t nonce;
    uint32_t uid;
    bool bell;
};

struct queue {
    char name[YK_QUEUE_NAME];
    uint64_t nonce, bytes;
    uint32_t uid;
};

struct gc {
    struct yk_directory directory;
    struct yk_segment_table table;
    bool dry_run;
    uint32_t me;
    struct yk_gc_item *items;
    size_t item_count, item_room;
    yk_tell_item *tell; /* or NULL */
    void *tell_context;
    struct mention *mentions;
    size_t mention_count, mention_room;
    struct side_file *side_files;
    size_t side_file_count, side_file_room;
    struct queue *queues;
    size_t queue_count, queue_room;
};

static int no_memory(void)
{
    return yk_fail(ENOMEM, "no memory for the list of what is dead");
}

static bool may_clear(const struct gc *gc, uint32_t uid)
{
    return uid == gc->me || gc->me == 0;
}

static int note_item(const struct yk_gc_item *item, void *context)
{
    struct gc *gc = context;
    void *items = yk_grow_array(gc->items, gc->item_count, &gc->item_room, sizeof *gc->items);
    if (!items)
        return no_memory();
    gc->items = items;
    gc->items[gc->item_count++] = *item;
    return gc->tell ? gc->tell(item, gc->tell_context) : 0;
}

static int add_item(struct gc *gc, const char *what, const char *name, uint64_t bytes,
                    const char *reason)
{
    struct yk_gc_item item = {.bytes = bytes};
    snprintf(item.what, sizeof item.what, "%s", what);
    snprintf(item.name, sizeof item.name, "%s", name);
    snprintf(item.reason, sizeof item.reason, "%s", reason);
    return note_item(&item, gc);
}

/* ---- interrupted creations and removals ---- */

/* Memory that is free as soon as the record's segment is removed. */
static uint64_t bytes_of(const struct gc *gc, const struct yk_record *record)
{
    for (size_t i = 0; i < gc->table.count; i++) {
        const struct yk_segment_row *row = &gc->table.rows[i];
        bool meant = record->segment >= 0 ? row->id == record->segment
                                          : row->key != 0 && row->key == (int32_t)record->key;
        if (meant && row->attached == 0)
            return row->used;
    }
    return 0;
}

/* Is it the user's own, and not another name of the user's (a hard link)? */
static bool is_genuine(const struct yk_directory *intents, const char *entry)
{
    struct stat file;
    return yk_sys_stat_at(intents->fd, entry, &file) == 0 && file.st_uid == intents->uid &&
           S_ISREG(file.st_mode) && file.st_nlink == 1;
}

/* Under the lock of the name: nobody is at it any more. */
static int clear_intent(struct gc *gc, const struct yk_directory *intents, const char *entry)
{
    struct yk_record record = {.segment = -1};
    char meant[YK_ENTRY_MAX];
    if (!is_genuine(intents, entry))
        return 0;
    int result = yk_record_read(intents, entry, &record);
    if (result == 0 && yk_record_is_foreign(&record) != 0)
        return 0; /* its memory can only be reached from there */
    if (result < 0 && result != -EPROTO)
        return 0;
    uint64_t bytes = result == 0 ? bytes_of(gc, &record) : 0;
    if (!gc->dry_run && yk_recover_intent(&gc->directory, intents, entry) < 0)
        return 0;
    if (result == 0) /* one that was put aside is not called after its object */
        yk_name_entry(meant, record.kind, record.name);
    return add_item(gc, "intent", yk_entry_address(result == 0 ? meant : entry), bytes,
                    record.segment < 0 ? "who was creating it died"
                                       : "who was creating or removing it died");
}

struct intents_walk {
    struct gc *gc;
    const struct yk_directory *intents;
};

static int look_at_intent(const char *entry, void *context)
{
    const struct intents_walk *walk = context;
    struct gc *gc = walk->gc;
    struct yk_name_lock lock;
    if (yk_directory_lock(&lock, &gc->directory, walk->intents->uid, entry, 0) < 0)
        return 0; /* somebody alive is at it */
    int result = clear_intent(gc, walk->intents, entry);
    yk_directory_unlock(&lock);
    return result;
}

static int look_at_intents(const struct yk_directory *intents, void *context)
{
    struct intents_walk walk = {context, intents};
    return yk_directory_entries(intents, look_at_intent, &walk);
}

/* ---- names whose memory is gone ---- */

/* A stream in the kernel place: nobody uses it, or who made it died while at it. */
static int look_at_fifo(struct gc *gc, const char *name)
{
    char address[YK_ENTRY_MAX];
    if (yk_fifo_reap(&gc->directory, name, gc->dry_run) != 1)
        return 0;
    snprintf(address, sizeof address, "stream:%.200s" YK_FIFO_ENTRY, name);
    return add_item(gc, "name", address, 0, "the last user died");
}

static int look_at_name(const char *entry, void *context)
{
    struct gc *gc = context;
    struct yk_record record;
    const char *name;
    char fifo[YK_ENTRY_MAX];
    if (yk_fifo_is_entry(entry, fifo))
        return look_at_fifo(gc, fifo);
    if (yk_entry_kind(entry, &name) == 0 || yk_record_read(&gc->directory, entry, &record) < 0)
        return 0;
    if (!may_clear(gc, record.uid) || yk_record_is_dead(&gc->directory, &record, true) != 1)
        return 0;
    if (!gc->dry_run && yk_name_retire(&gc->directory, entry, record.nonce, true, 0) < 0)
        return 0; /* somebody else was faster, or is at it */
    return add_item(gc, "name", yk_entry_address(entry), 0,
                    record.flags & YK_OBJECT_QUEUES ? "the last user died"
                                                    : "its memory is gone: the last user died");
}

/* ---- which objects names and intents speak of ---- */

static int add_mention(struct gc *gc, const struct yk_directory *where, const char *entry,
                       bool intent)
{
    struct yk_record record = {.nonce = 0};
    struct stat file;
    int result = yk_record_read_any(where, entry, &record);
    /*
     * A garbled intent was being written when its author died, and so speaks of nothing that was
     * made.
     */
    if (result == -ENOENT || (intent && result == -EPROTO))
        return 0;
    int asked = result < 0 ? yk_sys_stat_at(where->fd, entry, &file) : 0;
    if (asked == -ENOENT)
        return 0;
    if (asked < 0)
        return yk_fail(-asked, "%s/%s can not be asked: %s", where->path, entry, strerror(-asked));
    void *mentions =
        yk_grow_array(gc->mentions, gc->mention_count, &gc->mention_room, sizeof *gc->mentions);
    if (!mentions)
        return no_memory();
    gc->mentions = mentions;
    gc->mentions[gc->mention_count++] = (struct mention){
        .nonce = record.nonce,
        .uid = result < 0 ? file.st_uid : record.uid,
        .unreadable = result < 0,
    };
    return 0;
}

static int mention_intent(const char *entry, void *context)
{
    const struct intents_walk *walk = context;
    return add_mention(walk->gc, walk->intents, entry, true);
}

static int mention_intents(const struct yk_directory *intents, void *context)
{
    struct intents_walk walk = {context, intents};
    return yk_directory_entries(intents, mention_intent, &walk);
}

static int mention_name(const char *entry, void *context)
{
    struct gc *gc = context;
    const char *name;
    char fifo[YK_ENTRY_MAX];
    /* a stream in the kernel place has neither memory nor a lock file */
    return yk_fifo_is_entry(entry, fifo) || yk_entry_kind(entry, &name) == 0
               ? 0
               : add_mention(gc, &gc->directory, entry, false);
}

static bool is_mentioned(const struct gc *gc, uint64_t nonce, uint32_t uid)
{
    for (size_t i = 0; i < gc->mention_count; i++) {
        const struct mention *mention = &gc->mentions[i];
        if (mention->unreadable ? mention->uid == uid : mention->nonce == nonce)
            return true;
    }
    return false;
}

/* ---- memory without a name ---- */

/*
 * As yk_segment_create() makes them, unmarked: keys are odd and positive. Nothing else is attached
 * to: other programs may count who has their segments.
 */
static bool may_be_ours(const struct gc *gc, const struct yk_segment_row *row)
{
    return row->attached == 0 && may_clear(gc, row->uid) && row->key > 0 && (row->key & 1) != 0 &&
           row->size >= YK_PAGE && (row->mode & 01111) == 0;
}

/* Reads what a segment begins with: true when it is an object of this directory. */
static bool read_fixed(const struct gc *gc, int id, struct yk_shm_fixed *ret)
{
    void *base;
    if (yk_sys_shm_attach(id, true, &base) < 0)
        return false;
    bool can = yk_sys_can_read(base, YK_PAGE); /* another program's huge pages may be missing */
    if (can)
        memcpy(ret, base, sizeof *ret);
    yk_sys_shm_detach(base);
    return can && ret->magic == YK_MAGIC && ret->layout == YK_LAYOUT &&
           ret->directory_dev == gc->directory.dev && ret->directory_ino == gc->directory.ino &&
           memchr(ret->name, '\0', sizeof ret->name);
}

/* Does the file speak of this object? A file that can not be read might. */
static bool speaks_of(const struct yk_directory *where, const char *entry, uint64_t nonce)
{
    struct yk_record record;
    int result = yk_record_read_any(where, entry, &record);
    return result == 0 ? record.nonce == nonce : result != -ENOENT;
}

static bool intent_speaks_of(const struct gc *gc, uint32_t uid, const char *entry, uint64_t nonce)
{
    struct yk_directory intents;
    int result = yk_directory_intents(&intents, &gc->directory, uid, false);
    if (result < 0)
        return false; /* there are none, or they are not that user's */
    bool does = speaks_of(&intents, entry, nonce);
    yk_directory_close(&intents);
    return does;
}

/* Under the lock of the name that the object had: nobody can publish, rename or create it now. */
static bool is_orphan(const struct gc *gc, const struct yk_segment_row *row, const char *entry,
                      uint64_t nonce)
{
    struct shmid_ds kernel;
    struct yk_shm_fixed again;
    return !intent_speaks_of(gc, row->uid, entry, nonce) &&
           !speaks_of(&gc->directory, entry, nonce) && read_fixed(gc, row->id, &again) &&
           again.nonce == nonce && yk_sys_shm_stat(row->id, &kernel) == 0 && kernel.shm_nattch == 0;
}

static bool clear_orphan(const struct gc *gc, const struct yk_segment_row *row, const char *entry,
                         uint64_t nonce)
{
    struct yk_name_lock lock;
    if (yk_directory_lock(&lock, &gc->directory, row->uid, entry, 0) < 0)
        return false;
    bool cleared =
        is_orphan(gc, row, entry, nonce) && (gc->dry_run || yk_sys_shm_remove(row->id) == 0);
    yk_directory_unlock(&lock);
    return cleared;
}

static int look_at_segment(struct gc *gc, const struct yk_segment_row *row)
{
    struct yk_shm_fixed fixed;
    char entry[YK_ENTRY_MAX];
    const char *name;
    if (!may_be_ours(gc, row) || !read_fixed(gc, row->id, &fixed) ||
        is_mentioned(gc, fixed.nonce, row->uid))
        return 0;
    yk_name_entry(entry, fixed.kind, fixed.name);
    if (yk_entry_kind(entry, &name) == 0 || !clear_orphan(gc, row, entry, fixed.nonce))
        return 0;
    return add_item(gc, "segment", yk_entry_address(entry), row->used,
                    "no name leads to it, and nobody has it attached");
}

static int look_at_segments(struct gc *gc)
{
    int result = 0;
    for (size_t i = 0; i < gc->table.count && result == 0; i++)
        result = look_at_segment(gc, &gc->table.rows[i]);
    return result;
}

/* ---- lock files and doorbells without an object ---- */

static void side_path(char path[48], const struct side_file *file)
{
    if (file->bell)
        yk_bell_path(path, file->nonce);
    else
        yk_live_path(path, file->nonce);
}

static int list_side_file(const char *name, void *context)
{
    struct gc *gc = context;
    struct side_file found = {.bell = strncmp(name, ".bell-", 6) == 0};
    char path[48];
    struct stat facts;
    int saved = errno; /* which sscanf() changes */
    bool numbered =
        sscanf(name, found.bell ? ".bell-%16" SCNx64 : ".live-%16" SCNx64, &found.nonce) == 1;
    errno = saved;
    if (!numbered)
        return 0;
    side_path(path, &found);
    if (strcmp(path, name) != 0 || yk_sys_stat_at(gc->directory.fd, path, &facts) < 0 ||
        (found.bell ? !S_ISFIFO(facts.st_mode) : !S_ISREG(facts.st_mode)) ||
        !may_clear(gc, facts.st_uid))
        return 0;
    void *files = yk_grow_array(gc->side_files, gc->side_file_count, &gc->side_file_room,
                                sizeof *gc->side_files);
    if (!files)
        return no_memory();
    found.uid = facts.st_uid;
    gc->side_files = files;
    gc->side_files[gc->side_file_count++] = found;
    return 0;
}

/*
 * Nobody uses it any more. A doorbell's owner has it open. A lock file's object is locked by whoever
 * takes part in it.
 */
static bool is_free(const struct gc *gc, const struct side_file *file)
{
    char path[48];
    side_path(path, file);
    if (file->bell)
        return yk_bell_is_deserted(&gc->directory, path);
    int fd = yk_sys_open(gc->directory.fd, path, O_RDONLY, 0);
    if (fd < 0)
        return fd == -ENOENT;
    bool is = yk_sys_byte_is_locked(fd, 0, 0) == 0; /* 0 bytes from 0: the whole file */
    yk_sys_close(fd);
    return is;
}

/* The ends of a link in the kernel place go with its lock file. */
static int unlink_side_file(const struct gc *gc, const char *path, const struct side_file *file)
{
    char end[48];
    for (int side = 0; side < 2 && !file->bell; side++) {
        yk_end_path(end, file->nonce, side);
        yk_sys_unlink(gc->directory.fd, end);
    }
    return yk_sys_unlink(gc->directory.fd, path);
}

static int look_at_side_files(struct gc *gc)
{
    int result = 0;
    for (size_t i = 0; i < gc->side_file_count && result == 0; i++) {
        const struct side_file *file = &gc->side_files[i];
        char path[48];
        side_path(path, file);
        if (is_mentioned(gc, file->nonce, file->uid) || !is_free(gc, file) ||
            (!gc->dry_run && unlink_side_file(gc, path, file) < 0))
            continue;
        result = file->bell ? add_item(gc, "doorbell", path, 0, "nobody has it open")
                            : add_item(gc, "lock file", path, 0,
                                       "its object is gone, and nobody locks it");
    }
    return result;
}

/* ---- message queues without a name ---- */

static int list_queue(const char *name, void *context)
{
    struct gc *gc = context;
    struct queue found = {.nonce = 0};
    struct yk_sys_queue queue;
    struct stat file;
    if (!yk_queue_parse(name, &gc->directory, &found.nonce))
        return 0;
    snprintf(found.name, sizeof found.name, "/%.90s", name);
    int fd = yk_sys_queue_open(found.name, O_RDONLY); /* the list may be another namespace's */
    if (fd < 0)
        return 0;
    bool seen = yk_sys_stat(fd, &file) == 0 && yk_sys_queue_look(fd, &queue) == 0;
    yk_sys_close(fd);
    if (!seen || !may_clear(gc, file.st_uid))
        return 0;
    void *queues = yk_grow_array(gc->queues, gc->queue_count, &gc->queue_room, sizeof *gc->queues);
    if (!queues)
        return no_memory();
    found.uid = file.st_uid;
    found.bytes = yk_queue_bytes(queue.depth, queue.message_size);
    gc->queues = queues;
    gc->queues[gc->queue_count++] = found;
    return 0;
}

static int list_queues(struct gc *gc)
{
    int result = yk_sys_entries(AT_FDCWD, YK_QUEUES_FOLDER, list_queue, gc);
    return result == -ENOMEM ? no_memory() : 0;
}

static int look_at_queues(struct gc *gc)
{
    int result = 0;
    for (size_t i = 0; i < gc->queue_count && result == 0; i++) {
        const struct queue *queue = &gc->queues[i];
        if (is_mentioned(gc, queue->nonce, queue->uid) ||
            (!gc->dry_run && yk_sys_queue_unlink(queue->name) < 0))
            continue;
        result = add_item(gc, "queue", queue->name, queue->bytes, "no name leads to it");
    }
    return result;
}

/* ---- all of it ---- */

static int clear_all(struct gc *gc)
{
    int result = yk_directory_each_intents(&gc->directory, look_at_intents, gc);
    if (result == 0)
        result = yk_directory_entries(&gc->directory, look_at_name, gc);
    if (result == 0)
        result = yk_directory_entries(&gc->directory, list_side_file, gc);
    if (result == 0)
        result = list_queues(gc);
    if (result == 0)
        result = yk_directory_each_intents(&gc->directory, mention_intents, gc);
    if (result == 0)
        result = yk_directory_entries(&gc->directory, mention_name, gc);
    if (result == 0)
        result = look_at_segments(gc);
    if (result == 0)
        result = look_at_side_files(gc);
    if (result == 0)
        result = look_at_queues(gc);
    return result;
}

ssize_t yk_gc(bool dry_run, struct yk_gc_item **ret)
{
    return yk_gc_tell(NULL, dry_run, ret, NULL, NULL);
}

static int clear_here(struct gc *gc)
{
    int result = yk_directory_open(&gc->directory, NULL, true);
    if (result < 0)
        return result == -ENOENT ? 0 : result;
    result = yk_segment_table_read(&gc->table);
    if (result == 0) {
        result = clear_all(gc);
        yk_segment_table_free(&gc->table);
    }
    yk_directory_close(&gc->directory);
    free(gc->mentions);
    free(gc->side_files);
    free(gc->queues);
    return result;
}

static int clear_there(struct gc *gc, const char *place)
{
    const struct yk_place_view *view;
    int result = yk_place_view_needed(place, &view);
    return result < 0 ? result : view->collect(place, gc->dry_run, note_item, gc);
}

ssize_t yk_gc_tell(const char *place, bool dry_run, struct yk_gc_item **ret, yk_tell_item *tell,
                   void *context)
{
    struct gc gc = {
        .dry_run = dry_run, .me = yk_sys_effective_uid(), .tell = tell, .tell_context = context};
    int result = place ? clear_there(&gc, place) : clear_here(&gc);
    if (result < 0) {
        free(gc.items);
        return result;
    }
    *ret = gc.items;
    return (ssize_t)gc.item_count;
}
