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
    uint32_t flags;
    int segment; /* -1: not known yet */
    uint32_t key;
    uint64_t nonce;
    uint64_t namespace;
    uint64_t layout;
    uint64_t size;
    uint32_t uid, gid, mode, links; /* of the file */
};

const char *yk_kind_name(uint32_t kind);
int yk_kind_from_name(const char *text, size_t length);

/* 0, or -EINVAL with the sentence that says which rule the name breaks. */
int yk_name_check(uint32_t kind, const char *name);
/* The name of the link between two peers, whose names are checked, whichever comes first. */
void yk_name_link(char name[YK_ENTRY_MAX], const char *peer, const char *other);
void yk_name_entry(char entry[YK_ENTRY_MAX], uint32_t kind, const char *name);
void yk_live_path(char path[48], uint64_t nonce);
void yk_bell_path(char path[48], uint64_t nonce);

/* Reads "KIND.NAME", or an intent's path. 0, -ENOENT, -EACCES, -EPROTO (garbage). */
int yk_record_read(const struct yk_directory *directory, const char *path, struct yk_record *ret);

/* Under the name's lock: */
int yk_intent_write(const struct yk_directory *directory, const char *entry,
                    const struct yk_record *record);
int yk_intent_publish(const struct yk_directory *directory, const char *entry,
                      const struct yk_record *record, const struct yk_segment_plan *plan);
void yk_intent_path(char path[YK_ENTRY_MAX + 32], uint32_t uid, const char *entry);

/*
 * Is the object that a record names gone for good? True only when proved. Unless `thorough`, only
 * the segment's id is asked for; a reused id is then taken for life.
 */
bool yk_record_is_dead(const struct yk_record *record, bool thorough);

#endif
