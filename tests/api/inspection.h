/*
 * inspection.h - what the tests of looking at objects and of clearing have in common: objects to
 * look at, processes that use them, and hands in the name directory.
 *
 * Each test takes away what it made; expect_empty() as its teardown sees to that.
 */
#ifndef INSPECTION_H
#define INSPECTION_H

#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sys.h"
#include "inspect.h"
#include "memory/object.h"
#include "yoke.h"

/* ---- the name directory ---- */

extern char directory[300];

/* $YOKE_DIR, or a new one; with all in it that yoke keeps there. Before the first test. */
void choose_directory(void);

/* A teardown: fails, and takes away what there is, unless the directory is empty. */
int expect_empty(void **state);
#define TEST(name) test_case(name, expect_empty)

const char *path_of(const char *entry); /* valid until the next call */
bool is_there(const char *entry);
void write_file(const char *entry, const char *text);
void read_file(const char *entry, char text[512]);

/* Gives the number behind these words of a name's text another first digit. */
void change_number(char text[512], const char *words);

void move(const char *from, const char *to);

/* ---- objects ---- */

/*
 * Depth 16, messages of 100 bytes, 2 priorities, 5 participants, 7 deliveries, 3 parked, mode 0640.
 */
yoke_endpoint *open_port(const char *address, uint32_t flags);
void make_kept_port(const char *address);
void send_text(yoke_endpoint *endpoint, const char *text, uint32_t priority);

struct yk_object_facts facts_of(const char *address);
bool segment_is_there(int id);

/* ---- a process that has a port open, for ever ---- */

struct user {
    const char *address;
    uint32_t flags;
    bool borrows, receives;
    struct baton ready;
};

/* Returns when it has opened the port, and borrowed; it may not have begun to receive yet. */
pid_t start_user(struct user *user);
void wait_for_ever(void);

/* ---- clearing ---- */

/* What yk_gc() finds, as lines "WHAT NAME". Returns how many. */
size_t collect(bool dry_run, char *lines, size_t room);
void expect_nothing_to_clear(void);

/* A dry run lists `expected` and changes nothing, as a second one shows; then it is cleared. */
void expect_cleared(const char *expected);

#endif
