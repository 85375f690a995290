/*
 * names.h - names of objects: published, looked up, taken away, each in one atomic step.
 *
 *   create   lock the name; write the intent (key, nonce); make the segment under that key, build
 *            it; write its id into the intent; rename the intent to the published name (which fails
 *            if that exists). One step publishes.
 *   remove   lock the name; rename the published name to an intent. One step removes. Then finish
 *            the intent: mark the segment for removal, unlink the lock file, unlink the intent.
 *   look up  no lock: read the name, attach by id, compare the nonce.
 *
 * Whoever dies in between leaves an intent, which the next yoke call finishes (memory/recovery.c).
 *
 * What a record speaks of: the object of its kind and name, so a copy of the file under another name
 * is none; the lock file of its nonce, if that belongs to the owner of the record's file; the
 * segment whose id, key, size, owner and maker, as the kernel knows them, are the record's and the
 * file's owner's. What stands in the memory never decides what is removed.
 *
 * field              | written by          | a crash leaves
 * -------------------+---------------------+------------------------------------------------------
 * kind, name, key,   | creator, before the | an intent: undone by its key, which nobody else has
 * nonce, ipc, size … | segment is made     |
 * segment            | creator, before it  | an intent: undone by its key, or by id and key
 *                    | publishes           |
 *
 * What lives in the kernel place goes the same way, under KIND.NAME@kernel, with message queues
 * (queue.h) instead of a segment: the nonce names them, so the intent does from its first line on.
 */
#ifndef YK_MEMORY_NAMES_H
#define YK_MEMORY_NAMES_H

#include "memory/directory.h"
#include "memory/segment.h"

#define YK_ENTRY_MAX 256 /* a file name */
#define YK_PATIENCE  INT64_C(250000000)

/* A name's (or intent's) line of text, and what the kernel says of the file. */
struct yk_record {
    uint32_t kind;
    char name[YK_ENTRY_MAX]; /* checked */
    uint32_t flags;
    int segment; /* -1: not known yet */
    uint32_t key;
    uint64_t nonce;
    uint64_t namespace;
    uint64_t layout;
    uint64_t size;
    uint32_t priorities, participants; /* only with YK_OBJECT_QUEUES, instead of segment and size */
    uint32_t uid, gid, mode, links;    /* of the file */
    int64_t written_ns;
};

const char *yk_kind_name(uint32_t kind);
int yk_kind_from_name(const char *text, size_t length);

/* 0, or -EINVAL with the sentence that says which rule the name breaks. */
int yk_name_check(uint32_t kind, const char *name);
/* The name of the link between two peers, whose names are checked, whichever comes first. */
void yk_name_link(char name[YK_ENTRY_MAX], const char *peer, const char *other);
void yk_name_entry(char entry[YK_ENTRY_MAX], uint32_t kind, const char *name);
/* The same in the kernel place: "port.jobs@kernel". */
#define YK_KERNEL_SUFFIX "@kernel"
void yk_kernel_entry(char entry[YK_ENTRY_MAX], uint32_t kind, const char *name);
/* Is it such a one? Then `name`, behind the kind, without the suffix is `ret_name`. */
bool yk_kernel_name(uint32_t kind, const char *name, char ret_name[YK_ENTRY_MAX]);
/* The entry of the object that a record speaks of. */
void yk_record_entry(char entry[YK_ENTRY_MAX], const struct yk_record *record);
void yk_live_path(char path[48], uint64_t nonce);
/* A descriptor of it; -EPROTO: something else is there, which is not to be written to. */
int yk_live_open(const struct yk_directory *directory, const char *path, int flags);
void yk_bell_path(char path[48], uint64_t nonce);
/* A doorbell that no process has open any more: whoever it belonged to has died. */
bool yk_bell_is_deserted(const struct yk_directory *directory, const char *path);
void yk_socket_path(char path[48], uint64_t nonce);
void yk_end_path(char path[48], uint64_t nonce, int side);

/*
 * Reads the file `entry` ("KIND.NAME") of a name directory or of intents. 0, -ENOENT, -EACCES,
 * -EPROTO (garbage, or the record of another kind or name). An intent that was put aside
 * (".NONCE") may be of any name.
 */
int yk_record_read(const struct yk_directory *directory, const char *entry, struct yk_record *ret);

/* The same, of whatever kind and name it is. */
int yk_record_read_any(const struct yk_directory *directory, const char *entry,
                       struct yk_record *ret);

/* Under the name's lock: */
int yk_intent_write(const struct yk_directory *intents, const char *entry,
                    const struct yk_record *record);
int yk_intent_publish(const struct yk_directory *directory, const struct yk_directory *intents,
                      const char *entry, const struct yk_record *record,
                      const struct yk_segment_plan *plan);

/* The segment that the record speaks of. */
struct yk_segment_identity yk_record_segment(const struct yk_record *record);

/*
 * Attaches that segment: as yk_segment_attach(); -EPROTO when it is another user's than the name's
 * file. In a directory that users share, anybody can write a free name anew, and make it lead to the
 * memory of an object that its owner has removed, with a lock file in which all seem dead.
 */
int yk_record_attach(const struct yk_record *record, bool read_only, void **ret_base,
                     uint64_t *ret_size, struct yk_shm_fixed *ret_fixed);

/*
 * Does nobody take part in the object any more? True only when proved: the lock file is not there,
 * is not its owner's, or carries no lock, whatever IPC namespace its processes are in.
 */
bool yk_record_is_deserted(const struct yk_directory *directory, const struct yk_record *record);

/* Is its segment in another IPC namespace? 1, 0, or why that can not be told. */
int yk_record_is_foreign(const struct yk_record *record);

/* 0, or -EPROTONOSUPPORT with the sentence that names both: a build with another layout made `what`. */
int yk_layout_check(const char *what, uint64_t layout, uint64_t own);

/* -ENOTSUP, with its sentence: what `entry` names is in another IPC namespace. */
int yk_record_refuse_foreign(const char *entry, const struct yk_record *record);

/*
 * Is the object that a record names gone for good? 1: that is proved, 0, or why it can not be told. Of another IPC namespace
 * that is a transient one that is deserted. Unless `thorough`, only the kernel is asked: a segment
 * of the same size that has its id by now, and is marked for removal, too, is then taken for it.
 */
int yk_record_is_dead(const struct yk_directory *directory, const struct yk_record *record,
                      bool thorough);

#endif
