/*
 * fifo.h - the name of a stream in the kernel: a file in the name directory, as every name is, that
 * says what the stream was made with and who uses it; and beside it the FIFO.
 *
 *   stream.NAME@kernel    one line of text, written when the FIFO is ready; two bytes to be locked
 *   .fifo-NAME            the FIFO, with the stream's mode and group
 *
 * Whoever looks through the names opens them: that must not be an end of the stream, however short.
 *
 * Everybody who has the stream open holds a shared lock on byte 0 of the file; the kernel drops it
 * at death. Who makes or removes the name holds the lock of that name (directory.h), and so do the
 * last user and who finds that all users died; those hold byte 0 alone, too: then nobody can come
 * meanwhile. Byte 1, held alone, shows to users, who can not open that lock, that somebody is at it.
 * A file without its line is that of somebody who died while it made the stream: nothing is there.
 * One with a line of another version's is left alone, whoever uses it or not.
 *
 * step               | a crash leaves
 * -------------------+--------------------------------------------------------------
 * make: file, FIFO,  | a file without its line, perhaps a FIFO: there is no stream;
 * then the line      | made anew by the next who wants one, cleared by gc
 * remove: the line,  | the same; those who use it have it still, as if it were
 * the FIFO, the file | removed, and whoever wants the name finishes that
 */
#ifndef YK_FIFO_H
#define YK_FIFO_H

#include "memory/directory.h"
#include "memory/names.h"

#define YK_FIFO_ENTRY "@kernel" /* behind "stream.NAME" */

struct yk_fifo_facts {
    bool kept;
    uint64_t capacity; /* bytes; that each who opens it sees to */
    uint32_t mode, uid, gid;
    int64_t created_ns; /* CLOCK_REALTIME */
    bool used;          /* somebody alive has it open */
};

struct yk_fifo {
    struct yk_guarded_fd file; /* stream.NAME@kernel: its description holds byte 0 */
    uint64_t fork_stamp;
    struct yk_fifo_facts facts;
    bool created; /* by this handle */
    char name[YK_ENTRY_MAX];
    char directory[256];
};

/* What a new one is to be; what is there stays as it is. */
struct yk_fifo_plan {
    const char *name;
    uint32_t flags; /* YOKE_CREATE … */
    uint32_t mode;  /* 0: 0600 */
    int64_t group;
    uint64_t capacity;
};

/* Finds it, or makes it, and counts as its user; opens no end of it. As yoke_open(). */
int yk_fifo_open(struct yk_fifo *fifo, const struct yk_fifo_plan *plan);
/* Begin of every call: a forked child becomes a user of its own. */
int yk_fifo_enter(struct yk_fifo *fifo);
/*
 * The last user of a transient one takes the name away; `abandon`: also of a kept one that this handle
 * made. In a child that never used it: nothing.
 */
void yk_fifo_close(struct yk_fifo *fifo, bool abandon);

/* Opens an end: a descriptor, -ENXIO (writing, and nobody reads), or an error with a sentence. */
int yk_fifo_connect(const struct yk_fifo *fifo, bool writing);
/* A descriptor that becomes readable when somebody opens the FIFO; negative: not to be had. */
int yk_fifo_watch(const struct yk_fifo *fifo);

int yk_fifo_remove(const char *name);

/* Is this entry of a name directory such a FIFO's name? "stream.log@kernel": then name is "log". */
bool yk_fifo_is_entry(const char *entry, char name[YK_ENTRY_MAX]);
void yk_fifo_entry(char entry[YK_ENTRY_MAX], const char *name);
/* 0, -ENOENT, or an error with a sentence. */
int yk_fifo_look(const struct yk_directory *directory, const char *name, struct yk_fifo_facts *ret);
/* Clears it (with dry_run: only looks) if all its users died, or who made it did. 1: so it was. */
int yk_fifo_reap(const struct yk_directory *directory, const char *name, bool dry_run);

#endif
