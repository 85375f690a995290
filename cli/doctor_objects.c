/*
 * doctor_objects.c - see doctor.h: every object, who takes part in it, what the dead left, and stopped
 * processes that are in somebody's way.
 *
 * A stopped process keeps three things: a lock, a message that it has borrowed, and the creating,
 * removing or recovering of one name. The first two are told by what it takes part in, the third by
 * the kernel: /proc shows which bytes of which files a process has locked.
 */
#include "doctor.h"
#include "facts.h"
#include "inspect.h"
#include "output.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define CURE_TEXT 160

/* ---- who takes part -------------------------------------------------------------------------- */

static bool is_stopped(char state)
{
    return state == 'T' || state == 't';
}

static void look_at_stopped(struct yk_findings *findings, const char *address,
                            const struct yk_object_facts *facts,
                            const struct yk_participant_facts *one)
{
    char cure[CURE_TEXT];
    const char *kind = facts->kind;

    if (one->state == 't')
        snprintf(cure, sizeof cure, "let its debugger go on (process %" PRId32 ")", one->pid);
    else
        snprintf(cure, sizeof cure, "kill -CONT %" PRId32 " (or kill -KILL %" PRId32 ")", one->pid,
                 one->pid);
    if (yk_facts_is_stream(facts) && one->held)
        yk_find(findings, YK_FAULT, address, cure,
                "process %" PRId32 " (%s) is stopped in the midst of a copy: all others at its end "
                "of the stream wait for it",
                one->pid, one->command);
    else if (yk_facts_has_messages(facts) && one->held)
        yk_find(findings, YK_WARNING, address, cure,
                "process %" PRId32 " (%s) is stopped and has %" PRIu32
                " borrowed %s, which stay its "
                "own until it goes on, or dies and they are delivered again",
                one->pid, one->command, one->held, yk_plural(one->held, "message", "messages"));
    else if (strcmp(kind, "region") == 0)
        yk_find(findings, YK_WARNING, address, cure,
                "process %" PRId32
                " (%s) is stopped: a lock that it may hold in this region stays its "
                "own until it goes on or dies",
                one->pid, one->command);
    else
        yk_find(findings, YK_NOTE, address, cure,
                "process %" PRId32 " (%s) is stopped; it holds nothing that others wait for",
                one->pid, one->command);
}

static void look_at_participants(struct yk_findings *findings, const char *address,
                                 const struct yk_object_facts *facts,
                                 const struct yk_participant_facts *participants, size_t count)
{
    uint64_t dead = 0, held_by_dead = 0;

    for (size_t i = 0; i < count; i++) {
        dead += !participants[i].alive;
        held_by_dead += participants[i].alive ? 0 : participants[i].held;
        if (participants[i].alive && is_stopped(participants[i].state))
            look_at_stopped(findings, address, facts, &participants[i]);
    }
    if (dead > 0)
        yk_find(findings, YK_NOTE, address, NULL,
                "%" PRIu64 " dead %s not recovered yet, with %" PRIu64
                " borrowed %s: the next who opens it, receives from it or waits on it does that",
                dead, yk_plural(dead, "participant is", "participants are"), held_by_dead,
                yk_plural(held_by_dead, "message", "messages"));
    if (facts->participants_max > 2 && facts->participants_used >= facts->participants_max)
        yk_find(findings, YK_WARNING, address,
                "close some, or create it anew with more participants",
                "all %" PRIu32 " places are taken: nobody else can open it",
                facts->participants_max);
}

/* ---- objects --------------------------------------------------------------------------------- */

static void look_at_parked(struct yk_findings *findings, const char *address,
                           const struct yk_object_facts *facts)
{
    char cure[YK_ADDRESS_TEXT + 40];
    bool full = facts->parked >= (uint64_t)facts->max_parked * facts->priorities;

    snprintf(cure, sizeof cure, "yoke recv %s --parked", address);
    yk_find(findings, YK_WARNING, address, cure,
            "%" PRIu64 " %s delivered %" PRIu32 " times without success and parked%s",
            facts->parked, yk_plural(facts->parked, "message was", "messages were"),
            facts->max_deliveries, full ? "; no more can be, and the next such are dropped" : "");
}

/* Senders that wait are nothing bad while there is somebody else, who goes on and may receive. */
static void look_at_full(struct yk_findings *findings, const char *address,
                         const struct yk_object_facts *facts,
                         const struct yk_participant_facts *participants, size_t count)
{
    uint64_t senders = 0, others = 0;
    char cure[2 * YK_ADDRESS_TEXT + 40];

    for (size_t i = 0; i < count; i++) {
        bool goes_on = participants[i].alive && !is_stopped(participants[i].state);

        senders += goes_on && participants[i].waiting_send > 0;
        others += goes_on && participants[i].waiting_send == 0;
    }
    snprintf(cure, sizeof cure, "yoke stat %s (who has it open), yoke recv %s", address, address);
    if (senders > 0 && others == 0)
        yk_find(findings, YK_FAULT, address, cure,
                "is full, with %" PRIu64 " messages: %" PRIu64
                " %s for room, and nobody goes on who might receive",
                facts->waiting, senders, yk_plural(senders, "process waits", "processes wait"));
    else
        yk_find(findings, YK_WARNING, address, cure,
                "is full, with %" PRIu64 " messages: senders wait, or get -EAGAIN; %" PRIu32
                " %s it open",
                facts->waiting, facts->participants_used,
                yk_plural(facts->participants_used, "process has", "processes have"));
}

static void look_at_messages(struct yk_findings *findings, const char *address,
                             const struct yk_object_facts *facts,
                             const struct yk_participant_facts *participants, size_t count)
{
    uint64_t room = (uint64_t)facts->depth * (facts->priorities ? facts->priorities : 1) *
                    (yk_facts_is_link(facts) ? 2 : 1);

    if (room > 0 && facts->waiting >= room)
        look_at_full(findings, address, facts, participants, count);
    else if (facts->waiting > 0 && facts->participants_used == 0)
        yk_find(findings, YK_NOTE, address, NULL, "%" PRIu64 " %s, and no process has it open",
                facts->waiting, yk_plural(facts->waiting, "message waits", "messages wait"));
    if (yk_facts_has_traffic(facts) && facts->parked > 0)
        look_at_parked(findings, address, facts);
    if (yk_facts_has_traffic(facts) && facts->dropped > 0)
        yk_find(findings, YK_NOTE, address, NULL,
                "%" PRIu64 " %s dropped since it was created, as its policy says", facts->dropped,
                yk_plural(facts->dropped, "message was", "messages were"));
}

static void look_at_object(struct yk_findings *findings, const struct yk_object_facts *listed)
{
    struct yk_participant_facts *participants = NULL;
    struct yk_object_facts facts;
    char address[YK_ADDRESS_TEXT];
    size_t count = 0;

    yk_facts_address(address, listed);
    int result = yk_inspect(address, &facts, &participants, &count);
    if (result == -ENOENT)
        return; /* gone since it was listed */
    size_t before = findings->count;
    if (result < 0)
        yk_find(findings, YK_FAULT, address, NULL, "can not be looked at: %s", strerror(-result));
    else if (facts.problem[0] != '\0')
        yk_find(findings, YK_FAULT, address, NULL, "%s", facts.problem);
    if (result == 0 && facts.known & YK_KNOWN_INSIDE) {
        if (yk_facts_has_messages(&facts))
            look_at_messages(findings, address, &facts, participants, count);
        look_at_participants(findings, address, &facts, participants, count);
    }
    free(participants);
    if (findings->count == before)
        yk_find(findings, YK_FINE, address, NULL, "is as it should be, with %" PRIu32 " %s",
                facts.participants_used,
                yk_plural(facts.participants_used, "participant", "participants"));
}

static void look_at_all_objects(struct yk_findings *findings)
{
    struct yk_object_facts *facts = NULL;
    ssize_t count = yk_inspect_list(&facts);

    if (count < 0 && count != -ENOENT)
        yk_find(findings, YK_FAULT, yk_inspect_directory(), NULL, "can not be listed: %s",
                strerror((int)-count));
    for (ssize_t i = 0; i < count; i++)
        look_at_object(findings, &facts[i]);
    free(facts);
}

static void look_at_leftovers(struct yk_findings *findings)
{
    struct yk_gc_item *items = NULL;
    ssize_t count = yk_gc(true, &items);
    char size[YK_SIZE_TEXT];
    uint64_t bytes = 0;

    for (ssize_t i = 0; i < count; i++)
        bytes += items[i].bytes;
    free(items);
    if (count > 0)
        yk_find(findings, bytes > 0 ? YK_WARNING : YK_NOTE, "leftovers", "yoke gc",
                "%zd %s of the dead are left, with %s of memory", count,
                yk_plural((uint64_t)count, "thing", "things"), yk_format_size(size, bytes));
    else if (count == 0)
        yk_find(findings, YK_FINE, "leftovers", NULL, "the dead have left nothing");
    else
        yk_find(findings, YK_WARNING, "leftovers", NULL, "can not be looked for: %s",
                strerror((int)-count));
}

/* ---- who is stopped with a name in hand ------------------------------------------------------ */

struct locked {
    unsigned major, minor;
    unsigned long long inode, from;
};

/* "lock: 1: OFDLCK ADVISORY WRITE -1 fd:01:1234 7 7" */
static bool parse_lock(const char *line, struct locked *ret)
{
    const char *write = strstr(line, "WRITE");

    return strncmp(line, "lock:", 5) == 0 && strstr(line, "OFDLCK") && write &&
           sscanf(write, "WRITE %*d %x:%x:%llu %llu", &ret->major, &ret->minor, &ret->inode,
                  &ret->from) == 4;
}

/* The file of the name directory that is locked: true, and its name. */
static bool find_file(const struct locked *locked, char ret_name[256])
{
    DIR *directory = opendir(yk_inspect_directory());
    bool found = false;

    for (struct dirent *entry; directory && !found && (entry = readdir(directory));) {
        struct stat facts;
        found = strncmp(entry->d_name, ".lock-", 6) == 0 && entry->d_ino == locked->inode &&
                fstatat(dirfd(directory), entry->d_name, &facts, AT_SYMLINK_NOFOLLOW) == 0 &&
                facts.st_dev == makedev(locked->major, locked->minor);
        if (found)
            snprintf(ret_name, 256, "%s", entry->d_name);
    }
    if (directory)
        closedir(directory);
    return found;
}

static void look_at_locks(struct yk_findings *findings, const char *path, const char *pid,
                          const char *command)
{
    FILE *file = fopen(path, "re");
    char line[256], name[256], cure[CURE_TEXT];
    struct locked locked;

    while (file && fgets(line, sizeof line, file)) {
        if (!parse_lock(line, &locked) || !find_file(&locked, name))
            continue;
        snprintf(cure, sizeof cure, "kill -CONT %s (or kill -KILL %s)", pid, pid);
        yk_find(
            findings, YK_FAULT, name, cure,
            "process %s %s is stopped while it creates, removes or recovers a name of uid %s: who "
            "wants that name gets -EBUSY",
            pid, command, name + strlen(".lock-"));
    }
    if (file)
        fclose(file);
}

/* Its state, and "(command)"; '?' if it is gone. */
static char state_of(const char *pid, char ret_command[32])
{
    char path[300], text[512] = "";

    snprintf(path, sizeof path, "/proc/%.200s/stat", pid);
    FILE *file = fopen(path, "re");
    if (!file || !fgets(text, sizeof text, file))
        text[0] = '\0';
    if (file)
        fclose(file);
    const char *open = strchr(text, '('), *close = strrchr(text, ')');
    if (!open || !close || close[1] != ' ')
        return '?';
    snprintf(ret_command, 32, "%.*s", (int)(close + 1 - open), open);
    return close[2];
}

static void look_at_process(struct yk_findings *findings, const char *pid)
{
    char path[300], command[32];

    if (!isdigit((unsigned char)pid[0]) || !is_stopped(state_of(pid, command)))
        return;
    snprintf(path, sizeof path, "/proc/%.200s/fdinfo", pid);
    DIR *directory = opendir(path);
    for (struct dirent *entry; directory && (entry = readdir(directory));) {
        char file[600];
        snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
        if (entry->d_name[0] != '.')
            look_at_locks(findings, file, pid, command);
    }
    if (directory)
        closedir(directory);
}

static void look_at_names_in_hand(struct yk_findings *findings)
{
    DIR *processes = opendir("/proc");

    for (struct dirent *entry; processes && (entry = readdir(processes));)
        look_at_process(findings, entry->d_name);
    if (processes)
        closedir(processes);
}

void yk_doctor_objects(struct yk_findings *findings)
{
    look_at_leftovers(findings); /* first: who looks at what is dead may be its last user */
    look_at_all_objects(findings);
    look_at_names_in_hand(findings);
}
