/*
 * gc.c - yoke gc: clears what the dead left behind.
 */
#include "cli.h"
#include "inspect.h"
#include "json.h"
#include "options.h"
#include "output.h"

#include <stdio.h>
#include <stdlib.h>

static const struct yk_usage usage = {
    "gc",
    "Usage: yoke gc [--dry-run] [--json]\n"
    "Clears what is provably dead: creations and removals that a death interrupted,\n"
    "names without memory, memory without a name. Never what is in use, nor what is\n"
    "kept. Other commands clear what is in their own way; this one clears all of it.\n\n"
    "  --dry-run  only show what would be cleared\n"
    "  --json     an array of objects\n"
    "\n"
    "Example:\n"
    "  yoke gc --dry-run\n",
};

enum { DRY_RUN = YK_OPTION_FIRST, JSON };

static const struct option options[] = {
    {"dry-run", no_argument, NULL, DRY_RUN},
    {"json", no_argument, NULL, JSON},
    YK_OPTION_END,
};

static void print_json(const struct yk_gc_item *items, size_t count)
{
    yk_json *array = yk_json_array();

    for (size_t i = 0; i < count; i++) {
        yk_json *object = yk_json_object();
        yk_json_string(object, "what", items[i].what);
        yk_json_string(object, "name", items[i].name);
        yk_json_unsigned(object, "bytes", items[i].bytes);
        yk_json_string(object, "reason", items[i].reason);
        yk_json_append(array, object);
    }
    yk_json_print(array);
}

static void print_table(const struct yk_gc_item *items, size_t count, bool dry_run)
{
    static const struct yk_column columns[] = {
        {"WHAT", false}, {"NAME", false}, {"MEMORY", true}, {"WHY", false}};
    char size[YK_SIZE_TEXT];
    struct yk_table table;
    uint64_t bytes = 0;

    if (count == 0) {
        printf("nothing to clear in %s\n", yk_inspect_directory());
        return;
    }
    yk_table_init(&table, columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < count; i++) {
        bytes += items[i].bytes;
        yk_table_add(&table, "%s", items[i].what);
        yk_table_add(&table, "%s", items[i].name);
        yk_table_add(&table, "%s", yk_format_size(size, items[i].bytes));
        yk_table_add(&table, "%s", items[i].reason);
    }
    yk_table_print(&table);
    yk_table_fini(&table);
    printf("%s %zu, %s of memory\n", dry_run ? "would clear" : "cleared", count,
           yk_format_size(size, bytes));
}

int yk_gc_main(int argc, char **argv)
{
    struct yk_gc_item *items = NULL;
    bool dry_run = false, json = false;
    ssize_t count;
    int option;

    while ((option = yk_option_next(&usage, argc, argv, ":h", options)) >= 0) {
        if (option == JSON)
            yk_json_require(&usage);
        json |= option == JSON;
        dry_run |= option == DRY_RUN;
    }
    yk_arguments_check(&usage, argc, 0, 0, "argument");
    count = yk_gc(dry_run, &items);
    if (count < 0)
        return yk_report((int)count);
    if (json)
        print_json(items, (size_t)count);
    else
        print_table(items, (size_t)count, dry_run);
    free(items);
    return YK_DONE;
}
