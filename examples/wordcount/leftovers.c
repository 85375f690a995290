/*
 * leftovers.c - what is left behind, when everything is closed, of what our processes made.
 *
 * Looked up where any user can look: /proc/sysvipc/shm (what `ipcs -m` shows) tells which process
 * made a segment; and the directory in which yoke keeps names. What other programs have there is
 * not counted.
 */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "wordcount.h"

#define PIDS_MAX 1024u /* of more processes than these, the last ones are known */

static pid_t our_pids[PIDS_MAX];
static unsigned our_pid_count;
static time_t our_start;

void leftovers_note_pid(pid_t pid)
{
    if (our_pid_count == 0)
        our_start = time(NULL);
    our_pids[our_pid_count++ % PIDS_MAX] = pid;
}

static bool is_ours(pid_t pid)
{
    for (unsigned i = 0; i < our_pid_count && i < PIDS_MAX; i++)
        if (our_pids[i] == pid)
            return true;
    return false;
}

static unsigned count_segments(void)
{
    FILE *list = fopen("/proc/sysvipc/shm", "r");
    char line[512];
    unsigned count = 0;

    while (list && fgets(line, sizeof line, list)) {
        int maker;
        long long changed;

        /* key shmid perms size CPID lpid nattch uid gid cuid cgid atime dtime CTIME ... */
        if (sscanf(line, "%*s %*s %*s %*s %d %*s %*s %*s %*s %*s %*s %*s %*s %lld", &maker,
                   &changed) == 2)
            count += is_ours(maker) && changed >= our_start;
    }
    if (list)
        fclose(list);
    return count;
}

static unsigned count_entries(const char *directory, const char *name)
{
    DIR *list = opendir(directory);
    struct dirent *entry;
    unsigned count = 0;

    while (list && (entry = readdir(list)))
        count += strstr(entry->d_name, name) != NULL;
    if (list)
        closedir(list);
    return count;
}

/* Names, and the notes of names that are just being made or removed. */
static unsigned count_names(const char *name)
{
    const char *directory = getenv("YOKE_DIR");
    char usual[64] = "/run/yoke", intents[4096];

    if (geteuid() != 0)
        snprintf(usual, sizeof usual, "/dev/shm/yoke-%u", (unsigned)geteuid());
    if (!directory || !*directory)
        directory = usual;
    snprintf(intents, sizeof intents, "%s/.intents", directory);
    return count_entries(directory, name) + count_entries(intents, name);
}

void leftovers_count(const char *name, struct leftovers *ret_leftovers)
{
    ret_leftovers->segments = count_segments();
    ret_leftovers->names = count_names(name);
}
