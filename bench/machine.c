/*
 * machine.c - what this ran on, in words.
 */
#include "machine.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

/* The rest of the first line that begins with `key` (of the first line, if `key` is empty). */
static void read_line(char *text, size_t size, const char *path, const char *key)
{
    FILE *file = fopen(path, "re");
    char line[4096];

    while (file && fgets(line, sizeof line, file)) {
        const char *rest = line + strlen(key);

        if (strncmp(line, key, strlen(key)) != 0)
            continue;
        rest += strspn(rest, " \t:");
        snprintf(text, size, "%.*s", (int)strcspn(rest, "\n"), rest);
        break;
    }
    if (file)
        fclose(file);
}

/* The CPU tells a guest that it is one. */
static bool is_guest(void)
{
    char flags[4096] = "";

    read_line(flags, sizeof flags, "/proc/cpuinfo", "flags");
    return strstr(flags, " hypervisor") != NULL;
}

void bench_machine_describe(struct bench_machine *ret_machine, const struct bench_cpus *cpus)
{
    struct bench_machine machine = {.cpu = "-", .governor = "-", .load = "-", .used = *cpus};
    time_t now = time(NULL);
    struct utsname system;
    struct tm date;
    char path[96];

    read_line(machine.cpu, sizeof machine.cpu, "/proc/cpuinfo", "model name");
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/cpufreq/scaling_governor",
             cpus->side[0] < 0 ? 0 : cpus->side[0]);
    read_line(machine.governor, sizeof machine.governor, path, "");
    read_line(machine.load, sizeof machine.load, "/proc/loadavg", "");
    machine.load[strcspn(machine.load, "/")] = '\0';
    if (strrchr(machine.load, ' ')) /* the load over 1, 5 and 15 minutes, not what comes behind */
        *strrchr(machine.load, ' ') = '\0';
    snprintf(machine.virtual, sizeof machine.virtual, "%s",
             is_guest() ? "yes" : "not that it says");
    if (uname(&system) == 0)
        snprintf(machine.kernel, sizeof machine.kernel, "%.40s %.60s %.40s", system.sysname,
                 system.release, system.machine);
    machine.cpus_online = sysconf(_SC_NPROCESSORS_ONLN);
    machine.memory_mib = sysconf(_SC_PHYS_PAGES) / 1024 * (sysconf(_SC_PAGESIZE) / 1024);
    if (gmtime_r(&now, &date))
        strftime(machine.when, sizeof machine.when, "%Y-%m-%d %H:%M UTC", &date);
    *ret_machine = machine;
}
