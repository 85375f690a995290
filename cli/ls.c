/*
 * ls.c - yoke ls: what there is.
 */
#include "cli.h"
#include "facts.h"
#include "inspect.h"
#include "json.h"
#include "options.h"
#include "output.h"

#include <fnmatch.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const struct yk_usage usage = {
    "ls",
    "Usage: yoke ls [--json] [KIND: | PATTERN]\n"
    "Lists the regions, ports, links, streams, peers and peers' inboxes of signals\n"
    "that there are, or those of a kind (port:), or those whose name or address\n"
    "matches a pattern ('job*', 'port:job*').\n\n"
    "  SIZE      a region's bytes; a port's depth x longest message x priorities; a\n"
    "            link's depth x longest message, each way; bytes that a stream holds\n"
    "  WAITING   messages (or signals) in a port, or on a link, both ways; bytes in a\n"
    "            stream\n"
    "  USERS     how many have it open to write, send or receive\n"
    "  MEMORY    what is really in use\n"
    "  LIFE      kept until removed, or transient: until its last user is gone\n"
    "\n"
    "  --json    an array of objects, with more in them\n"
    "\n"
    "Example:\n"
    "  yoke ls 'port:job*'\n",
};

enum { JSON = YK_OPTION_FIRST };

static const struct option options[] = {{"json", no_argument, NULL, JSON}, YK_OPTION_END};

static const struct yk_column columns[] = {
    {"ADDRESS", false}, {"SIZE", true},  {"WAITING", true}, {"USERS", true},
    {"MEMORY", true},   {"LIFE", false}, {"AGE", true},     {"OWNER", false},
};

static bool matches(const struct yk_object_facts *facts, const char *pattern)
{
    char address[YK_ADDRESS_TEXT];
    const char *colon;

    if (!pattern)
        return true;
    colon = strchr(pattern, ':');
    if (!colon)
        return fnmatch(pattern, facts->name, 0) == 0;
    yk_facts_address(address, facts);
    if (colon[1] == '\0')
        return strncmp(address, pattern, strlen(pattern)) == 0;
    return fnmatch(pattern, address, 0) == 0;
}

static int by_address(const void *a, const void *b)
{
    const struct yk_object_facts *first = a, *second = b;
    int kinds = strcmp(first->kind, second->kind);

    int names = kinds ? kinds : strcmp(first->name, second->name);

    return names ? names : strcmp(first->place, second->place);
}

static void add_size(struct yk_table *table, const struct yk_object_facts *facts)
{
    char size[YK_SIZE_TEXT];

    if (strcmp(facts->kind, "region") == 0)
        yk_table_add(table, "%s", yk_format_size_exact(size, facts->region_size));
    else if (yk_facts_is_stream(facts))
        yk_table_add(table, "%s", yk_format_size_exact(size, facts->capacity));
    else if (!yk_facts_has_messages(facts))
        yk_table_add(table, "-");
    else if (facts->priorities > 1)
        yk_table_add(table, "%" PRIu32 " x %s x %" PRIu32, facts->depth,
                     yk_format_size_exact(size, facts->max_message), facts->priorities);
    else
        yk_table_add(table, "%" PRIu32 " x %s", facts->depth,
                     yk_format_size_exact(size, facts->max_message));
}

static void add_row(struct yk_table *table, const struct yk_object_facts *facts)
{
    char address[YK_ADDRESS_TEXT], size[YK_SIZE_TEXT], age[YK_AGE_TEXT], owner[YK_OWNER_TEXT];

    yk_table_add(table, "%s", yk_facts_address(address, facts));
    add_size(table, facts);
    if (yk_facts_has_count(facts))
        yk_table_add(table, "%" PRIu64, facts->waiting);
    else if (yk_facts_is_stream(facts) && facts->known & YK_KNOWN_INSIDE)
        yk_table_add(table, "%s", yk_format_size(size, facts->waiting));
    else
        yk_table_add(table, "-");
    if (yk_facts_is_stream(facts) && facts->place[0] != '\0')
        yk_table_add(table, facts->participants_used ? "1+" : "0");
    else
        yk_table_add(table, "%" PRIu32, facts->participants_used);
    yk_table_add(table, "%s", yk_format_size(size, facts->memory_used));
    yk_table_add(table, "%s", facts->kept ? "kept" : "transient");
    yk_table_add(table, "%s", yk_format_age(age, facts->created_ns));
    yk_table_add(table, "%s", yk_format_user(owner, facts->uid));
}

/* An object that could not be looked at: its name stands in the list, the reason under it. */
static void add_problem_row(struct yk_table *table, const struct yk_object_facts *facts)
{
    char address[YK_ADDRESS_TEXT];

    yk_table_add(table, "%s", yk_facts_address(address, facts));
    for (size_t i = 1; i < table->column_count; i++)
        yk_table_add(table, "?");
}

static void print_table(const struct yk_object_facts *facts, size_t count, const char *pattern)
{
    struct yk_table table;
    char address[YK_ADDRESS_TEXT];

    yk_table_init(&table, columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < count; i++) {
        if (!matches(&facts[i], pattern))
            continue;
        if (facts[i].problem[0] == '\0')
            add_row(&table, &facts[i]);
        else
            add_problem_row(&table, &facts[i]);
    }
    yk_table_print(&table);
    yk_table_fini(&table);
    for (size_t i = 0; i < count; i++)
        if (matches(&facts[i], pattern) && facts[i].problem[0] != '\0')
            yk_complain("%s: %s", yk_facts_address(address, &facts[i]), facts[i].problem);
}

static void print_json(const struct yk_object_facts *facts, size_t count, const char *pattern)
{
    yk_json *array = yk_json_array();

    for (size_t i = 0; i < count; i++)
        if (matches(&facts[i], pattern))
            yk_json_append(array, yk_facts_json(&facts[i]));
    yk_json_print(array);
}

int yk_ls_main(int argc, char **argv)
{
    struct yk_object_facts *facts = NULL;
    const char *pattern;
    bool json = false;
    ssize_t count;

    while (yk_option_next(&usage, argc, argv, ":h", options) >= 0) {
        yk_json_require(&usage);
        json = true;
    }
    yk_arguments_check(&usage, argc, 0, 1, "PATTERN");
    pattern = argv[optind]; /* NULL when there is none */

    count = yk_inspect_list(&facts);
    if (count < 0)
        return yk_report((int)count);
    if (count > 0)
        qsort(facts, (size_t)count, sizeof *facts, by_address);
    if (json)
        print_json(facts, (size_t)count, pattern);
    else
        print_table(facts, (size_t)count, pattern);
    free(facts);
    return YK_DONE;
}
