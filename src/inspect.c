/*
 * inspect.c - facts about objects, without joining them. See inspect.h.
 *
 * An object is attached read-only and so can not be changed by a look; its fixed header is copied
 * and checked before anything else is believed, as every user of the object does. What is read
 * after that are numbers to be shown: a hostile peer can make them wrong, but they lead nowhere.
 * Loops are bounded by the checked copy.
 *
 * Not quite without a trace: the kernel gives a page that nobody touched yet to who first reads it,
 * so counting the messages of a port makes all cells of its rings present. Asking the kernel first
 * (mincore) would call pages in swap absent, and messages in them would not be counted.
 */
#include "inspect.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "address.h"
#include "base/error.h"
#include "base/hide.h"
#include "base/sys.h"
#include "fifo.h"
#include "link.h"
#include "place.h"
#include "port.h"
#include "signal_socket.h"
#include "stream.h"
#include "survey.h"

/* What one call looks at. */
struct look {
    struct yk_directory directory;
    struct yk_segment_table table;
};

/* The participants of one object; `facts` is NULL where only their number is asked for. */
struct people {
    struct yk_participant_facts *facts;
    size_t count;
};

/* The file whose locks say who is alive. */
struct lock_file {
    int fd; /* negative: it can not be opened */
    uint64_t dev, ino;
    uint32_t descriptors; /* of participants: so many more are looked at */
};
/* The pids are others' word for it: who has ever so many descriptors is not to keep us for ever. */
#define DESCRIPTORS_MOST 32768

static void note_problem(struct yk_object_facts *facts, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void note_problem(struct yk_object_facts *facts, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(facts->problem, sizeof facts->problem, format, arguments);
    va_end(arguments);
}

static int look_begin(struct look *look)
{
    int result = yk_directory_open(&look->directory, NULL, true);
    if (result < 0)
        return result;
    result = yk_segment_table_read(&look->table);
    if (result < 0)
        yk_directory_close(&look->directory);
    return result;
}

static void look_end(struct look *look)
{
    yk_segment_table_free(&look->table);
    yk_directory_close(&look->directory);
}

/* ---- participants ---- */

static struct lock_file open_lock_file(const struct look *look, uint64_t nonce)
{
    char path[48];
    struct stat facts;
    struct lock_file file = {.fd = -1};
    yk_live_path(path, nonce);
    /*
     * For reading: asking who holds a lock needs no more, and a reader can not hinder anybody who
     * joins.
     */
    int fd = yk_sys_open(look->directory.fd, path, O_RDONLY, 0);
    if (fd < 0)
        return file;
    if (yk_sys_stat(fd, &facts) < 0) {
        yk_sys_close(fd);
        return file;
    }
    return (struct lock_file){
        .fd = fd, .dev = facts.st_dev, .ino = facts.st_ino, .descriptors = DESCRIPTORS_MOST};
}

/* Only a free lock is a proof of death; not being able to ask is none. */
static bool is_alive(const struct lock_file *file, uint32_t slot)
{
    return file->fd < 0 || yk_sys_byte_is_locked(file->fd, YK_LIFE_BYTE(slot), 1) != 0;
}

static char process_state(int32_t pid)
{
    char path[32], text[512];
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    int fd = yk_sys_open(AT_FDCWD, path, O_RDONLY, 0);
    if (fd < 0)
        return '?';
    ssize_t size = yk_sys_read_all(fd, text, sizeof text - 1, 0);
    yk_sys_close(fd);
    text[size < 0 ? 0 : size] = '\0';
    /* "PID (COMMAND) STATE …": a command may have any bracket in it, what follows it has none */
    const char *end = strrchr(text, ')');
    return end && end[1] == ' ' && isalpha((unsigned char)end[2]) ? end[2] : '?';
}

/* It goes to terminals. */
static void make_printable(char *text)
{
    for (char *c = text; *c; c++) {
        if (*c < ' ' || *c > '~')
            *c = '?';
    }
}

static void copy_command(char command[16], const struct yk_shm_slot *slot)
{
    for (size_t i = 0; i < 2; i++) {
        uint64_t word = yk_load_relaxed(&slot->command[i]);
        memcpy(command + i * sizeof word, &word, sizeof word);
    }
    command[15] = '\0';
    make_printable(command);
}

/* Since it joined. */
static uint64_t count_of(const struct yk_shm_slot *slot, enum yk_count count)
{
    return yk_load_relaxed(&slot->counts[count]) - yk_load_relaxed(&slot->before[count]);
}

/* Over all who ever had this slot. */
static void add_counts(struct yk_object_facts *facts, const struct yk_shm_slot *slot)
{
    facts->bytes_sent += yk_load_relaxed(&slot->counts[YK_COUNT_BYTES_SENT]);
    facts->bytes_received += yk_load_relaxed(&slot->counts[YK_COUNT_BYTES_RECEIVED]);
    facts->empty += yk_load_relaxed(&slot->counts[YK_COUNT_EMPTY]);
    facts->full += yk_load_relaxed(&slot->counts[YK_COUNT_FULL]);
}

/* All relaxed: hints that nobody relies on, each read once. */
static void look_at_participant(struct yk_participant_facts *ret, const struct yk_shm_slot *slot,
                                struct lock_file *file)
{
    ret->pid = (int32_t)yk_load32_relaxed(&slot->pid);
    ret->uid = yk_load32_relaxed(&slot->uid);
    copy_command(ret->command, slot);
    ret->waiting_receive = yk_load32_relaxed(&slot->waiting[YK_WAIT_RECEIVE]);
    ret->waiting_send = yk_load32_relaxed(&slot->waiting[YK_WAIT_ROOM]);
    ret->sent = yk_load_relaxed(&slot->sent);
    ret->received = yk_load_relaxed(&slot->received);
    ret->bytes_sent = count_of(slot, YK_COUNT_BYTES_SENT);
    ret->bytes_received = count_of(slot, YK_COUNT_BYTES_RECEIVED);
    ret->empty = count_of(slot, YK_COUNT_EMPTY);
    ret->full = count_of(slot, YK_COUNT_FULL);
    ret->joined_ns = yk_load_relaxed(&slot->joined);
    ret->state = '?';
    if (!ret->alive || ret->pid <= 0)
        return;
    ret->proven =
        file->fd >= 0 && yk_lock_held_by(ret->pid, file->dev, file->ino, YK_LIFE_BYTE(ret->slot),
                                         &file->descriptors) == 1;
    ret->state = process_state(ret->pid);
}

static void look_at_participants(const struct look *look, const struct yk_object *object,
                                 struct yk_object_facts *facts, struct people *people,
                                 const uint32_t *held)
{
    struct lock_file file = open_lock_file(look, object->fixed.nonce);
    for (uint32_t i = 0; i < object->fixed.participants; i++) {
        const struct yk_shm_slot *slot = yk_object_slot(object, i);
        add_counts(facts, slot);
        if ((yk_load_acquire(&slot->word) & 1) == 0) /* SYNC slot.claim acquire */
            continue;
        bool alive = is_alive(&file, i);
        facts->participants_used += alive;
        facts->attended |= alive && i == YK_SIGNALS_OWNER;
        if (!people->facts)
            continue;
        struct yk_participant_facts *one = &people->facts[people->count++];
        *one = (struct yk_participant_facts){
            .slot = i, .alive = alive, .held = held[i], .oldest = YK_NONE_HELD};
        look_at_participant(one, slot, &file);
    }
    if (file.fd >= 0)
        yk_sys_close(file.fd);
}

/* ---- the object ---- */

static void add_ring(struct yk_object_facts *facts, const struct yk_ring *ring, uint32_t number)
{
    struct yk_ring_counts counts;
    const struct yk_shm_ring *shm = yk_ring_shm(ring, number);
    yk_ring_count(ring, number, &counts);
    facts->waiting += counts.waiting;
    facts->held += counts.held;
    facts->parked += counts.parked;
    facts->sent += counts.sent;
    facts->received += counts.received;
    facts->redelivered += yk_load_relaxed(&shm->redelivered);
    facts->dropped += yk_load_relaxed(&shm->dropped);
}

static int attach_ring(const struct yk_object *object, struct yk_ring *ret,
                       struct yk_ring_geometry *ret_geometry)
{
    int result = yk_port_check(&object->fixed, ret_geometry);
    if (result < 0)
        return result;
    unsigned char *body = yk_object_body(object);
    yk_ring_attach(ret, ret_geometry, body + YK_PORT_RINGS_OFFSET,
                   body + yk_port_blocks_offset(ret_geometry));
    return 0;
}

/* `held` has room for each participant. 0 or the error of a geometry that is none. */
static int look_at_messages(const struct yk_object *object, struct yk_object_facts *facts,
                            uint32_t *held)
{
    struct yk_ring_geometry geometry;
    struct yk_ring ring;
    int result = attach_ring(object, &ring, &geometry);
    if (result < 0)
        return result;
    for (uint32_t i = 0; i < geometry.rings; i++)
        add_ring(facts, &ring, i);
    yk_ring_count_held(&ring, held);
    facts->max_message = geometry.max_message;
    facts->depth = geometry.depth;
    facts->priorities = geometry.rings;
    facts->max_deliveries = geometry.max_deliveries;
    facts->max_parked = geometry.max_parked;
    facts->max_borrowed = geometry.max_borrowed;
    facts->once = geometry.once != 0;
    return 0;
}

/* Of those of a port: which message each has had longest. */
static void note_oldest_held(const struct yk_object *object, struct people *people)
{
    struct yk_participant_facts *by_slot[YOKE_PARTICIPANTS_MAX] = {NULL};
    struct yk_ring_geometry geometry;
    struct yk_ring_seen seen;
    struct yk_ring ring;
    if (object->fixed.kind == YK_KIND_LINK || attach_ring(object, &ring, &geometry) < 0)
        return; /* copy_ways() does it for links */
    for (size_t i = 0; i < people->count; i++)
        by_slot[people->facts[i].slot] = &people->facts[i];
    for (uint32_t i = 0; i < geometry.rings * yk_ring_cells(&ring); i++) {
        if (!yk_ring_look(&ring, i % geometry.rings, i / geometry.rings, &seen) ||
            seen.state != YK_CELL_HELD || seen.owner >= YOKE_PARTICIPANTS_MAX)
            continue;
        struct yk_participant_facts *one = by_slot[seen.owner];
        if (one && seen.sequence < one->oldest)
            one->oldest = seen.sequence;
    }
}

static void copy_fixed(struct yk_object_facts *facts, const struct yk_shm_fixed *fixed)
{
    facts->known |= YK_KNOWN_HEADER;
    facts->kept = (fixed->flags & YK_OBJECT_KEPT) != 0;
    facts->created_ns = fixed->created_ns;
    facts->creator = fixed->creator;
    facts->participants_max = fixed->participants;
    if (fixed->kind == YK_KIND_REGION)
        facts->region_size = fixed->body_size;
}

static void add_way(struct yk_object_facts *facts, const struct yk_spsc *ring,
                    struct yk_way_facts *way)
{
    struct yk_spsc_counts counts;
    yk_spsc_count(ring, &counts);
    *way = (struct yk_way_facts){
        .waiting = counts.sent - counts.taken,
        .held = counts.taken - counts.released,
        .bytes = counts.bytes,
        .sent = counts.sent,
        .received = counts.released,
    };
    facts->waiting += way->waiting;
    facts->held += way->held;
    facts->sent += way->sent;
    facts->received += way->received;
    facts->redelivered += yk_load_relaxed(&ring->shm->redelivered);
    facts->dropped += yk_load_relaxed(&ring->shm->dropped);
}

static int look_at_link(const struct yk_object *object, struct yk_object_facts *facts,
                        uint32_t *held)
{
    struct yk_spsc_geometry geometry;
    struct yk_spsc ring;
    int result = yk_link_check(&object->fixed, &geometry);
    if (result < 0)
        return result;
    for (int from = 0; from < 2; from++) {
        yk_link_ring(&ring, &geometry, yk_object_body(object), from);
        add_way(facts, &ring, &facts->ways[from]);
        held[1 - from] = (uint32_t)facts->ways[from].held;
    }
    facts->max_message = geometry.max_message;
    facts->depth = geometry.depth;
    facts->priorities = 1;
    facts->max_deliveries = geometry.max_deliveries;
    facts->once = geometry.once != 0;
    return 0;
}

/* What the two ends of a link sent and received, over all who were there: the rings tell. */
static void copy_ways(const struct yk_object_facts *facts, struct people *people)
{
    for (size_t i = 0; i < people->count; i++) {
        struct yk_participant_facts *one = &people->facts[i];
        one->sent = facts->ways[one->slot & 1].sent;
        one->received = facts->ways[1 - (one->slot & 1)].received;
        if (one->held)
            one->oldest = one->received;
    }
}

static struct yk_shm_stream *stream_of(const struct yk_object *object)
{
    return (struct yk_shm_stream *)(void *)yk_object_body(object);
}

static bool is_at_end(const struct yk_object *object, uint32_t slot, enum yk_bytes_side side)
{
    const struct yk_shm_bytes_end *end = &stream_of(object)->ends[side];
    return (yk_load_relaxed(&end->present[slot / 64]) >> slot % 64 & 1) != 0;
}

/* What is in it, and who is inside. `held` has room for each participant. */
static int look_at_stream(const struct yk_object *object, struct yk_object_facts *facts,
                          uint32_t *held)
{
    struct yk_shm_bytes *shm = &stream_of(object)->ring;
    int result = yk_stream_check(&object->fixed, &facts->capacity);
    if (result < 0)
        return result;
    facts->received = yk_load_relaxed(&shm->read);
    facts->sent = yk_load_relaxed(&shm->written);
    facts->waiting = facts->sent - facts->received;
    if (facts->waiting > facts->capacity) /* others went on in between, or nonsense stands there */
        facts->waiting = 0;
    for (int side = 0; side < 2; side++) {
        uint64_t inside = yk_load_relaxed(&shm->sides[side].inside);
        if (inside != 0 && (inside & YK_BYTES_SLOT) < object->fixed.participants)
            held[inside & YK_BYTES_SLOT] = 1;
    }
    return 0;
}

/* Which end each participant has. */
static void note_ends(const struct yk_object *object, struct yk_object_facts *facts,
                      struct people *people)
{
    for (size_t i = 0; i < people->count; i++) {
        struct yk_participant_facts *one = &people->facts[i];
        bool reads = is_at_end(object, one->slot, YK_BYTES_READING);
        one->end = reads ? 'r' : is_at_end(object, one->slot, YK_BYTES_WRITING) ? 'w' : '?';
        facts->readers += one->alive && one->end == 'r';
        facts->writers += one->alive && one->end == 'w';
    }
}

static int look_at_kind(const struct yk_object *object, struct yk_object_facts *facts,
                        uint32_t *held)
{
    switch (object->fixed.kind) {
    case YK_KIND_PORT:
    case YK_KIND_SIGNALS:
        return look_at_messages(object, facts, held);
    case YK_KIND_LINK:
        return look_at_link(object, facts, held);
    case YK_KIND_STREAM:
        return look_at_stream(object, facts, held);
    default:
        return 0;
    }
}

/* 0, or -ENOMEM; whatever is wrong with the object itself is a problem to be noted. */
static int look_inside(const struct look *look, const struct yk_object *object,
                       struct yk_object_facts *facts, struct people *people)
{
    uint32_t *held = yk_sys_allocate(object->fixed.participants, sizeof *held);
    if (!held)
        return yk_fail(ENOMEM, "no memory to count what each participant holds");
    copy_fixed(facts, &object->fixed);
    if (look_at_kind(object, facts, held) < 0)
        note_problem(facts, "%s", yoke_explain());
    else
        look_at_participants(look, object, facts, people, held);
    if (facts->problem[0] == '\0' && object->fixed.kind == YK_KIND_LINK)
        copy_ways(facts, people);
    if (facts->problem[0] == '\0' && object->fixed.kind == YK_KIND_STREAM)
        note_ends(object, facts, people);
    if (facts->problem[0] == '\0' && facts->held > 0 && people->count > 0)
        note_oldest_held(object, people);
    if (facts->problem[0] == '\0')
        facts->known |= YK_KNOWN_INSIDE | YK_KNOWN_TRAFFIC | YK_KNOWN_COUNTS;
    free(held);
    return 0;
}

static void copy_kernel_facts(struct yk_object_facts *facts, const struct look *look,
                              const struct shmid_ds *kernel)
{
    const struct yk_segment_row *row = yk_segment_table_find(&look->table, facts->segment);
    facts->known |= YK_KNOWN_MEMORY;
    facts->mode = kernel->shm_perm.mode & 0777;
    facts->uid = kernel->shm_perm.uid;
    facts->gid = kernel->shm_perm.gid;
    facts->memory_mapped = kernel->shm_segsz;
    facts->attached = (uint32_t)kernel->shm_nattch;
    facts->memory_used = row ? row->used : 0;
}

static void note_no_permission(struct yk_object_facts *facts, const struct look *look)
{
    const struct yk_segment_row *row = yk_segment_table_find(&look->table, facts->segment);
    if (row)
        note_problem(facts,
                     "no permission to read segment %d: it belongs to uid %u, with mode %04o",
                     facts->segment, row->uid, row->mode & 0777);
    else
        note_problem(facts, "no permission to read segment %d", facts->segment);
}

/* 0, or a negative value with the problem noted. */
static int attach(const struct look *look, const struct yk_record *record,
                  struct yk_object_facts *facts, struct yk_object *ret)
{
    struct shmid_ds kernel;
    int result = yk_sys_shm_stat(record->segment, &kernel); /* before our own attachment counts */
    if (result == -EACCES)
        note_no_permission(facts, look);
    if (result == -EACCES)
        return result;
    result = yk_record_attach(record, true, &ret->base, &ret->size, &ret->fixed);
    int dead = result == -ENOENT ? yk_record_is_dead(&look->directory, record, true) : 0;
    if (dead < 0)
        note_problem(facts, "%s", yoke_explain());
    else if (result == -ENOENT && !dead)
        note_problem(facts, "its header holds what no yoke wrote");
    else if (result == -ENOENT)
        note_problem(facts,
                     "its memory is gone, only the name is left: its owner's next yoke call, "
                     "or root's, clears it");
    else if (result < 0)
        note_problem(facts, "%s", yoke_explain());
    else
        copy_kernel_facts(facts, look, &kernel);
    return result;
}

/*
 * Our attachment may have become the last one of a transient object. Its last user then left the
 * name to us: it is taken away as every last user does.
 */
static void detach(const struct look *look, const char *entry, const struct yk_record *record,
                   const struct yk_object *object)
{
    yk_sys_shm_detach(object->base);
    if (!(record->flags & YK_OBJECT_KEPT) && !yk_segment_exists(record->segment))
        yk_name_retire(&look->directory, entry, record->nonce, true, 0);
}

static void note_layout(struct yk_object_facts *facts, uint64_t layout)
{
    note_problem(facts, "it was made by a yoke with layout %llx, this one has %llx",
                 (unsigned long long)layout, (unsigned long long)YK_LAYOUT);
}

static void note_namespace(struct yk_object_facts *facts, const struct yk_record *record,
                           uint64_t own)
{
    note_problem(facts,
                 "it lives in IPC namespace %llu, this process is in %llu: its memory can only be "
                 "reached from there",
                 (unsigned long long)record->namespace, (unsigned long long)own);
}

/* Can the object be looked at from here at all? If not, says why. */
static bool is_within_reach(const struct yk_record *record, struct yk_object_facts *facts)
{
    uint64_t own;
    if (record->layout != YK_LAYOUT)
        note_layout(facts, record->layout);
    else if (yk_ipc_namespace(&own) < 0)
        note_problem(facts, "%s", yoke_explain());
    else if (record->namespace != own)
        note_namespace(facts, record, own);
    return facts->problem[0] == '\0';
}

static int look_at_segment(const struct look *look, const char *entry,
                           const struct yk_record *record, struct yk_object_facts *facts,
                           struct people *people)
{
    struct yk_object object = {.segment = record->segment, .read_only = true, .lock.fd = -1};
    int result = 0;
    if (!is_within_reach(record, facts) || attach(look, record, facts, &object) < 0)
        return 0;
    const char *name;
    int sound = yk_fixed_check(&object.fixed, object.size, yk_entry_kind(entry, &name));
    if (sound == -EPROTONOSUPPORT) {
        note_layout(facts, object.fixed.layout);
    } else if (sound < 0) {
        note_problem(facts, "its header holds what no yoke wrote");
    } else {
        /*
         * The header's own idea of its name would go to terminals; the entry's is known to be
         * printable.
         */
        snprintf(object.fixed.name, sizeof object.fixed.name, "%s", name);
        result = look_inside(look, &object, facts, people);
    }
    detach(look, entry, record, &object);
    return result;
}

/* What /proc says of a process that holds a lock. */
static void look_at_holder(struct yk_participant_facts *one)
{
    char path[40];
    struct stat facts;
    one->state = '?';
    if (!one->proven)
        return;
    one->state = process_state(one->pid);
    snprintf(path, sizeof path, "/proc/%d/comm", one->pid);
    int fd = yk_sys_open(AT_FDCWD, path, O_RDONLY, 0);
    if (fd < 0)
        return;
    if (yk_sys_stat(fd, &facts) == 0)
        one->uid = facts.st_uid;
    yk_sys_read_all(fd, one->command, sizeof one->command - 1, 0);
    yk_sys_close(fd);
    one->command[strcspn(one->command, "\n")] = '\0';
    make_printable(one->command);
}

/* Of what is no memory, its place tells. */
static void look_at_place(const struct look *look, const struct yk_record *record,
                          struct yk_object_facts *facts, struct people *people)
{
    uint64_t own;
    if (yk_ipc_namespace(&own) < 0)
        note_problem(facts, "%s", yoke_explain());
    else if (record->namespace != own)
        note_namespace(facts, record, own);
    else if (yk_place_kernel.look(&look->directory, record, facts, people->facts, &people->count) <
             0)
        note_problem(facts, "%s", yoke_explain());
    for (size_t i = 0; i < people->count; i++)
        look_at_holder(&people->facts[i]);
}

/* The name can not be read: what its file tells is better than nothing. */
static void note_unreadable(const struct look *look, const char *entry,
                            struct yk_object_facts *facts)
{
    struct stat file;
    note_problem(facts, "%s", yoke_explain());
    if (yk_sys_stat_at(look->directory.fd, entry, &file) < 0)
        return;
    facts->known |= YK_KNOWN_OWNER;
    facts->uid = file.st_uid;
    facts->gid = file.st_gid;
}

/* What is dead is cleared by whoever stumbles over it, if that one may: true when it is gone now. */
static bool reap(const struct look *look, const char *entry, const struct yk_record *record)
{
    return yk_record_is_dead(&look->directory, record, true) == 1 &&
           yk_name_retire(&look->directory, entry, record->nonce, true, 0) == 0;
}

/* 0, -ENOENT when there is no such name, or only a dead object's, or -ENOMEM. */
static int look_at_entry(const struct look *look, const char *entry, struct yk_object_facts *ret,
                         struct people *people)
{
    struct yk_record record;
    const char *name = "";
    uint32_t kind = yk_entry_kind(entry, &name);
    struct yk_object_facts facts = {.segment = -1};
    snprintf(facts.kind, sizeof facts.kind, "%s", yk_kind_name(kind));
    if (yk_kernel_name(kind, name, facts.name))
        snprintf(facts.place, sizeof facts.place, "%s", yk_place_kernel.name);
    else
        snprintf(facts.name, sizeof facts.name, "%s", name);
    facts.name[strcspn(facts.name, "@")] =
        strchr(facts.name, '@') ? '/' : '\0'; /* as users know it */
    int result = yk_record_read(&look->directory, entry, &record);
    if (result == 0 && reap(look, entry, &record))
        result = -ENOENT;
    if (result == -ENOENT)
        return result;
    if (result < 0) {
        note_unreadable(look, entry, &facts);
        result = 0;
    } else {
        facts.known |= YK_KNOWN_OWNER | YK_KNOWN_NAME;
        facts.kept = (record.flags & YK_OBJECT_KEPT) != 0;
        facts.segment = record.segment;
        facts.uid = record.uid;
        facts.gid = record.gid;
        if (record.flags & YK_OBJECT_QUEUES)
            look_at_place(look, &record, &facts, people);
        else
            result = look_at_segment(look, entry, &record, &facts, people);
    }
    if (result == 0)
        *ret = facts;
    return result;
}

/*
 * A stream in the kernel place: its ends are not opened to look, since that would be an end,
 * however short. What is in it, and how many use it, the kernel tells only those.
 */
static int look_at_fifo(const struct look *look, const char *name, struct yk_object_facts *ret)
{
    struct yk_object_facts facts = {.segment = -1};
    struct yk_fifo_facts fifo;
    snprintf(facts.kind, sizeof facts.kind, "%s", yk_kind_name(YK_KIND_STREAM));
    snprintf(facts.name, sizeof facts.name, "%s", name);
    snprintf(facts.place, sizeof facts.place, "%s", yk_place_kernel.name);
    if (yk_fifo_reap(&look->directory, name, false) == 1)
        return -ENOENT;
    int result = yk_fifo_look(&look->directory, name, &fifo);
    if (result == -ENOENT)
        return result;
    if (result < 0) {
        note_problem(&facts, "%s", yoke_explain());
    } else {
        facts.known = YK_KNOWN_OWNER | YK_KNOWN_NAME | YK_KNOWN_MEMORY | YK_KNOWN_HEADER;
        facts.kept = fifo.kept;
        facts.mode = fifo.mode;
        facts.uid = fifo.uid;
        facts.gid = fifo.gid;
        facts.created_ns = fifo.created_ns;
        facts.capacity = fifo.capacity;
        facts.participants_used = fifo.used; /* one or more */
    }
    *ret = facts;
    return 0;
}

/* "signals.bob@kernel", which is no entry: the inbox goes by its peer's. */
static bool is_socket(const char *entry, char peer[YK_ENTRY_MAX])
{
    const char *name = "";
    uint32_t kind = yk_entry_kind(entry, &name);
    return kind == YK_KIND_SIGNALS && yk_kernel_name(kind, name, peer);
}

static int look_at_socket(const struct look *look, const char *peer, struct yk_object_facts *ret,
                          struct people *people)
{
    struct yk_object_facts facts = {.segment = -1};
    snprintf(facts.kind, sizeof facts.kind, "%s", yk_kind_name(YK_KIND_SIGNALS));
    snprintf(facts.name, sizeof facts.name, "%s", peer);
    snprintf(facts.place, sizeof facts.place, "%s", yk_place_kernel.name);
    int result =
        yk_signal_socket_look(&look->directory, peer, &facts, people->facts, &people->count);
    if (result < 0)
        return result;
    for (size_t i = 0; i < people->count; i++)
        look_at_holder(&people->facts[i]);
    *ret = facts;
    return 0;
}

/* What is there by the name that an address stands for. */
static int look_at(const struct look *look, const char *entry, struct yk_object_facts *ret,
                   struct people *people)
{
    char name[YK_ENTRY_MAX];
    if (yk_fifo_is_entry(entry, name))
        return look_at_fifo(look, name, ret);
    if (is_socket(entry, name))
        return look_at_socket(look, name, ret, people);
    return look_at_entry(look, entry, ret, people);
}

/* ---- what the tool calls ---- */

/* Going through all of them. */
struct walk {
    const struct look *look;
    struct people people; /* room for those of one object, or none at all */
    const char *place;    /* the only one that is wanted, as in the facts; NULL: all here */
    yk_each_object *each;
    void *context;
};

static int walk_to(struct walk *walk, const char *entry)
{
    struct yk_object_facts facts;
    walk->people.count = 0;
    int result = look_at(walk->look, entry, &facts, &walk->people);
    if (result < 0)
        return result == -ENOENT ? 0 : result; /* it went meanwhile */
    if (walk->place && strcmp(walk->place, facts.place) != 0)
        return 0;
    return walk->each(&facts, walk->people.facts, walk->people.count, walk->context);
}

static int walk_entry(const char *entry, void *context)
{
    char inbox[YK_ENTRY_MAX];
    const char *name;
    uint32_t kind = yk_entry_kind(entry, &name);
    if ((kind == 0 && !yk_fifo_is_entry(entry, inbox)) || is_socket(entry, inbox))
        return 0;
    int result = walk_to(context, entry);
    if (result != 0 || kind != YK_KIND_PEER)
        return result;
    yk_kernel_entry(inbox, YK_KIND_SIGNALS, name);
    result = walk_to(context, inbox);
    /* why a peer can not be looked at is told of the peer */
    return result == -ENOMEM || result > 0 ? result : 0;
}

static int walk_all(struct people *room, const char *place, yk_each_object *each, void *context)
{
    struct look look;
    struct walk walk = {&look, *room, place, each, context};
    int result = look_begin(&look);
    if (result == -ENOENT)
        return 0; /* nobody made anything yet */
    if (result < 0)
        return result;
    result = yk_directory_entries(&look.directory, walk_entry, &walk);
    look_end(&look);
    return result;
}

/* Room for the participants of one object: 0, or -ENOMEM. */
static int make_room(struct people *ret)
{
    ret->count = 0;
    ret->facts = yk_sys_allocate(YOKE_PARTICIPANTS_MAX, sizeof *ret->facts);
    return ret->facts ? 0 : yk_fail(ENOMEM, "no memory for a list of participants");
}

static int walk_here(const char *place, bool participants, yk_each_object *each, void *context)
{
    struct people room = {NULL, 0};
    int result = participants ? make_room(&room) : 0;
    if (result < 0)
        return result;
    result = walk_all(&room, place, each, context);
    free(room.facts);
    return result;
}

int yk_inspect_each(bool participants, yk_each_object *each, void *context)
{
    return walk_here(NULL, participants, each, context);
}

int yk_inspect_place(const char *place, bool participants, yk_each_object *each, void *context)
{
    const struct yk_place_view *view;
    if (!place)
        return walk_here(NULL, participants, each, context);
    if (strcmp(place, "memory") == 0)
        return walk_here("", participants, each, context);
    int result = yk_place_view(place, &view);
    if (result < 0)
        return result;
    return view ? view->each(place, participants, each, context)
                : walk_here(place, participants, each, context);
}

int yk_inspect_check(const char *place, yk_tell_finding *tell, void *context)
{
    const struct yk_place_view *view;
    int result = yk_place_view_needed(place, &view);
    return result < 0 ? result : view->check(place, tell, context);
}

struct list {
    struct yk_object_facts *facts;
    size_t count, room;
};

static int add_to_list(const struct yk_object_facts *one,
                       const struct yk_participant_facts *participants, size_t count, void *context)
{
    struct list *list = context;
    (void)participants, (void)count; /* nobody asked */
    void *facts = yk_grow_array(list->facts, list->count, &list->room, sizeof *list->facts);
    if (!facts)
        return yk_fail(ENOMEM, "no memory for a list of %zu objects", list->count + 1);
    list->facts = facts;
    list->facts[list->count++] = *one;
    return 0;
}

ssize_t yk_inspect_list(struct yk_object_facts **ret)
{
    struct list list = {NULL, 0, 0};
    int result = yk_inspect_each(false, add_to_list, &list);
    if (result < 0) {
        free(list.facts);
        return result;
    }
    *ret = list.facts;
    return (ssize_t)list.count;
}

static int inspect_entry(const char *entry, struct yk_object_facts *ret, struct people *people)
{
    struct look look;
    char name[YK_ENTRY_MAX];
    int result = look_begin(&look);
    if (result == 0) {
        result = look_at(&look, entry, ret, people);
        look_end(&look);
    }
    if (result == -ENOENT && yk_fifo_is_entry(entry, name))
        return yk_fail(ENOENT, "there is no stream:%s@kernel in %s", name, yk_inspect_directory());
    if (result == -ENOENT)
        return yk_fail(ENOENT, "there is no %s in %s", yk_entry_address(entry),
                       yk_inspect_directory());
    return result;
}

int yk_inspect(const char *address, struct yk_object_facts *ret,
               struct yk_participant_facts **ret_participants, size_t *ret_count)
{
    char entry[YK_ENTRY_MAX];
    struct yk_address parsed;
    struct people people = {NULL, 0};
    int result = yk_address_parse_whole(address, &parsed);
    if (result < 0)
        return result;
    if (parsed.place && parsed.place->view)
        return parsed.place->view->look(&parsed, ret, ret_participants, ret_count);
    if (ret_participants)
        result = make_room(&people);
    if (result < 0)
        return result;
    yk_address_entry(entry, &parsed);
    result = inspect_entry(entry, ret, &people);
    if (result < 0 || !ret_participants) {
        free(people.facts);
        return result;
    }
    *ret_participants = people.facts;
    *ret_count = people.count;
    return 0;
}

/* Nobody receives from an inbox that an earlier owner of the name left, or another user made. */
static int find_inbox(const struct look *look, const char *peer, struct yk_object_facts *ret)
{
    struct people nobody = {NULL, 0};
    struct yk_object_facts facts;
    struct yk_record owner;
    char entry[YK_ENTRY_MAX];
    int result = look_at_socket(look, peer, ret, &nobody);
    if (result == 0)
        return 0;
    yk_name_entry(entry, YK_KIND_PEER, peer);
    if (yk_record_read(&look->directory, entry, &owner) < 0)
        return -ENOENT;
    yk_name_entry(entry, YK_KIND_SIGNALS, peer);
    result = look_at_entry(look, entry, &facts, &nobody);
    if (result < 0)
        return result;
    if (((facts.known & YK_KNOWN_INSIDE) && !facts.attended) ||
        (facts.uid != owner.uid && facts.uid != 0))
        return -ENOENT;
    *ret = facts;
    return 0;
}

int yk_inspect_inbox(const char *peer, struct yk_object_facts *ret)
{
    struct look look = {.table = {NULL, 0}};
    int result = yk_directory_open(&look.directory, NULL, true);
    if (result < 0)
        return result;
    result = find_inbox(&look, peer, ret);
    yk_directory_close(&look.directory);
    return result;
}

int yk_inspect_peer_name(const char *name)
{
    return yk_name_check(YK_KIND_PEER, name);
}

void yk_inspect_hide(char *shown, size_t room, const char *text)
{
    yk_hide_logins(shown, room, text);
}

const char *yk_inspect_directory(void)
{
    static _Thread_local char path[256];
    yk_directory_path(path);
    return path;
}
