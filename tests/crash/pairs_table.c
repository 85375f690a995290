/*
 * pairs_table.c - which calls meet which in pairs.c: the table of README.md here, and the test that no
 * function is overlooked, and that what is apart has a reason.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "library_table.h"
#include "pairs.h"

const struct meeting *const meetings[] = {
    &port_meeting,        &stream_meeting,      &region_meeting,        &set_meeting,
    &link_meeting,        &peer_meeting,        &signal_meeting,        &name_meeting,
    &kernel_port_meeting, &kernel_link_meeting, &kernel_stream_meeting, &kernel_signal_meeting,
    &kernel_name_meeting,
};
const uint32_t meeting_count = sizeof meetings / sizeof meetings[0];

/* Functions that are no part of any pair, and why. */
static const struct {
    const char *function, *why;
} apart[] = {
    {"yoke_pair", "the two descriptors are its maker's alone until it has returned"},
    {"yoke_stream_pair", "the two descriptors are its maker's alone until it has returned"},
    {"yoke_open_descriptor",
     "an end has one process: who meets it there is `spsc_sweep --mode pair`'s and `bytes_sweep --mode pair`'s"},
    {"yoke_semaphore_init", "one process makes it before others use it (yoke.h)"},
    {"yoke_set_add_peer",
     "a set is one process's own; what it shares with others is a member's notice, as of `yoke_set_add`"},
    {"yoke_set_add_gone",
     "a set is one process's own; what it shares with others is a member's notice, as of `yoke_set_add`"},
};
#define APART (sizeof apart / sizeof apart[0])

static bool calls(const struct part *part, const char *function)
{
    const char *called = part->function ? part->function : verb_functions[part->call.verb];
    return called && strcmp(called, function) == 0;
}

static bool has_part(const char *function)
{
    for (uint32_t i = 0; i < meeting_count; i++) {
        for (uint32_t k = 0; k < meetings[i]->count; k++) {
            if (calls(&meetings[i]->parts[k], function))
                return true;
        }
    }
    return false;
}

static const char *why_apart(const char *function)
{
    for (size_t i = 0; i < APART; i++) {
        if (strcmp(apart[i].function, function) == 0)
            return apart[i].why;
    }
    return NULL;
}

const struct apart *meeting_apart(const struct meeting *meeting, const struct part *first,
                                  const struct part *second)
{
    for (uint32_t i = 0; i < meeting->apart_count; i++) {
        const struct apart *one = &meeting->aparts[i];
        if (strcmp(one->first, first->name) == 0 && strcmp(one->second, second->name) == 0)
            return one;
    }
    return NULL;
}

/* ---- the table ---- */

static void describe(const struct meeting *meeting, char *ret, size_t size)
{
    uint32_t pairs = meeting->count * meeting->count;
    int used = snprintf(ret, size, "| %s | ", meeting->name);
    for (uint32_t i = 0; i < meeting->count; i++)
        used += snprintf(ret + used, size - (size_t)used, "%s%s", i ? "; " : "",
                         meeting->parts[i].name);
    used += snprintf(ret + used, size - (size_t)used, " | %u | ", pairs);
    for (uint32_t i = 0; i < meeting->apart_count; i++)
        used +=
            snprintf(ret + used, size - (size_t)used, "%s%s, meanwhile %s: %s", i ? "; " : "",
                     meeting->aparts[i].first, meeting->aparts[i].second, meeting->aparts[i].why);
    snprintf(ret + used, size - (size_t)used, "%s |\n", meeting->apart_count ? "" : "-");
}

void pairs_print_table(void)
{
    static char row[4000];
    printf(
        "| on | each of these with each | pairs | where one of the two dies, always |\n| --- | --- | --- | --- |\n");
    for (uint32_t i = 0; i < meeting_count; i++) {
        describe(meetings[i], row, sizeof row);
        fputs(row, stdout);
    }
    printf("\n| function | in no pair: |\n| --- | --- |\n");
    for (size_t i = 0; i < APART; i++)
        printf("| `%s` | %s |\n", apart[i].function, apart[i].why);
}

/* ---- the test ---- */

static const struct part *part_named(const struct meeting *meeting, const char *name)
{
    const struct part *found = NULL;
    for (uint32_t i = 0; i < meeting->count; i++) {
        if (strcmp(meeting->parts[i].name, name) != 0)
            continue;
        if (found)
            fail_msg("%s has two parts '%s'", meeting->name, name);
        found = &meeting->parts[i];
    }
    return found;
}

/* Each row stands in README.md, each reason is one, and speaks of two that are there. */
static uint32_t check_meeting(const struct meeting *meeting, const char *readme)
{
    static char row[4000];
    uint32_t bad = 0;
    describe(meeting, row, sizeof row);
    if (!readme || !strstr(readme, row)) {
        print_error("tests/crash/README.md has not this row (pairs --table prints all):\n%s", row);
        bad++;
    }
    for (uint32_t i = 0; i < meeting->count; i++)
        bad += part_named(meeting, meeting->parts[i].name) != &meeting->parts[i];
    for (uint32_t i = 0; i < meeting->apart_count; i++) {
        const struct apart *one = &meeting->aparts[i];
        if (part_named(meeting, one->first) && part_named(meeting, one->second) && one->why &&
            one->why[0])
            continue;
        print_error("%s: '%s' and '%s' are apart, and are not there, or for no reason\n",
                    meeting->name, one->first, one->second);
        bad++;
    }
    return bad;
}

void every_two_calls_meet_or_have_a_reason(void **state)
{
    uint32_t bad = 0;
    (void)state;
    if (!library_functions())
        skip_test("YOKE_SOURCE_DIR does not say where yoke.map is");
    char *readme = source_text("tests/crash/README.md");
    for (uint32_t i = 0; i < library_function_count(); i++) {
        const char *function = library_function(i), *why = why_apart(function);
        bool alone = library_why_alone(function) != NULL, part = has_part(function);
        if (alone || (part != (why != NULL)))
            continue;
        print_error(
            part
                ? "%s is in pairs, and has a reason not to be\n"
                : "%s meets nobody: it needs a part (tests/crash/pairs_*.c), or a reason (pairs_table.c)\n",
            function);
        bad++;
    }
    for (uint32_t i = 0; i < meeting_count; i++)
        bad += check_meeting(meetings[i], readme);
    free(readme);
    assert_int_equal(bad, 0);
}
