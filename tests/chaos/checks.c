/* checks.c - see checks.h. */
#include "checks.h"

#include <dirent.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "inspect.h"
#include "shared.h"
#include "support.h"

void belongings_count(struct belongings *ret)
{
    char line[600];
    unsigned long begin, end;
    *ret = (struct belongings){.descriptors = open_descriptors(),
                               .heap_bytes = mallinfo2().uordblks + mallinfo2().hblkhd};
    FILE *file = fopen("/proc/self/maps", "re");
    while (file && fgets(line, sizeof line, file)) {
        if (sscanf(line, "%lx-%lx", &begin, &end) != 2 || strstr(line, "[heap]") ||
            strstr(line, "[stack]"))
            continue;
        ret->mappings++;
        ret->mapped_bytes += end - begin;
    }
    if (file)
        fclose(file);
}

void belongings_compare(const char *whose, const struct belongings *before,
                        const struct belongings *after)
{
    if (before->descriptors != after->descriptors)
        fault("%s: %d descriptors were open, now %d", whose, before->descriptors,
              after->descriptors);
    if (before->mappings != after->mappings || before->mapped_bytes != after->mapped_bytes)
        fault("%s: %zu mappings of %zu bytes were there, now %zu of %zu", whose, before->mappings,
              before->mapped_bytes, after->mappings, after->mapped_bytes);
    if (before->heap_bytes != after->heap_bytes)
        fault("%s: %zu bytes were allocated, now %zu", whose, before->heap_bytes,
              after->heap_bytes);
}

/* Names every entry of the directory but those that `may_stay`. */
static void check_directory(const char *path, bool (*may_stay)(const char *path, const char *name))
{
    DIR *directory = opendir(path);
    struct dirent *entry;
    while (directory && (entry = readdir(directory)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            !may_stay(path, entry->d_name))
            fault("left behind: %s/%s", path, entry->d_name);
    if (directory)
        closedir(directory);
}

static bool nothing_stays(const char *path, const char *name)
{
    (void)path;
    (void)name;
    return false;
}

static bool stays_among_names(const char *path, const char *name)
{
    char below[700];
    struct stat facts;
    snprintf(below, sizeof below, "%s/%s", path, name);
    if (strncmp(name, ".intents-", 9) == 0) {
        check_directory(below, nothing_stays);
        return true;
    }
    return strncmp(name, ".lock-", 6) == 0 && stat(below, &facts) == 0 && facts.st_size == 0;
}

static void check_table(const char *kind)
{
    char path[64], line[300];
    snprintf(path, sizeof path, "/proc/sysvipc/%s", kind);
    FILE *file = fopen(path, "re");
    for (int row = 0; file && fgets(line, sizeof line, file); row++)
        if (row > 0)
            fault("left behind (%s): %s", kind, line);
    if (file)
        fclose(file);
}

void leftovers_check(void)
{
    struct yk_gc_item *items = NULL;
    ssize_t found = yk_gc(false, &items);
    if (found < 0)
        fault("yoke gc: %zd", found);
    free(items);
    check_directory(getenv("YOKE_DIR"), stays_among_names);
    if (own_namespace("ipc")) {
        check_table("shm");
        check_table("sem");
        check_table("msg");
    }
    if (own_namespace("shm"))
        check_directory("/dev/shm", nothing_stays);
}
