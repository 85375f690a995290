/*
 * cpus.c - which two CPUs the two sides run on.
 */
#include "cpus.h"

#include <sched.h>
#include <stdbool.h>
#include <stdio.h>

/* Two hardware threads of one core share its caches, so nothing would move between cores. */
static bool on_one_core(int a, int b)
{
    char path[96];
    unsigned first, last;
    bool found = false;
    int fields, separator;
    FILE *file;

    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", a);
    file = fopen(path, "re");
    if (!file)
        return false;
    /* "0", "0,8", "0-1" */
    while (!found && (fields = fscanf(file, "%u-%u", &first, &last)) >= 1) {
        found = (unsigned)b >= first && (unsigned)b <= (fields == 2 ? last : first);
        separator = fgetc(file);
        if (separator != ',')
            break;
    }
    fclose(file);
    return found;
}

void bench_cpus_choose(struct bench_cpus *ret_cpus)
{
    int first = -1, sibling = -1, other = -1;
    cpu_set_t allowed;

    CPU_ZERO(&allowed);
    (void)sched_getaffinity(0, sizeof allowed, &allowed);
    for (int cpu = 0; cpu < CPU_SETSIZE && other < 0; cpu++) {
        if (!CPU_ISSET((size_t)cpu, &allowed))
            continue;
        if (first < 0)
            first = cpu;
        else if (!on_one_core(first, cpu))
            other = cpu;
        else if (sibling < 0)
            sibling = cpu;
    }
    if (other < 0)
        other = sibling;
    ret_cpus->side[0] = other < 0 ? -1 : first;
    ret_cpus->side[1] = other;
}

void bench_cpu_pin(int cpu)
{
    cpu_set_t set;

    if (cpu < 0)
        return;
    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    (void)sched_setaffinity(0, sizeof set, &set);
}
