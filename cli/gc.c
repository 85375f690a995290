/*
 * gc.c - yoke gc: clears what the dead left behind.
 */
#include "cli.h"
#include "inspect.h"
#include "json.h"
#include "options.h"
#include "output.h"
#include "progress.h"
#include "stop.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static const struct yk_usage usage = {
    "gc",
    "Usage: yoke gc [--dry-run] [--json] [--place PLACE]\n"
    "Clears what is provably dead: creations and removals that a death interrupted,\n"
    "names without memory, memory without a name. Never what is in use, nor what is\n"
    "kept. Other commands clear what is in their own way; this one clears all of it.\n\n"
    "  --dry-run  only show what would be cleared\n"
    "  --place P  in that place (nats://HOST:PORT…), not on this machine: streams of\n"
    "             ports that were removed\n"
    "  --json     an array of objects\n"
    "\n"
    "Example:\n"
    "  yoke gc --dry-run\n",
};

enum { DRY_RUN = YK_OPTION_FIRST, PLACE, JSON };

static const struct option options[] = {
    {"dry-run", no_argument, NULL, DRY_RUN},
    {"place", required_argument, NULL, PLACE},
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

static void print_table(const struct yk_gc_item *items, size_t count, bool dry_run,
                        const char *place)
{
    const struct yk_column columns[] = {
        {"WHAT", false}, {"NAME", false}, {place ? "STORED" : "MEMORY", true}, {"WHY", false}};
    char size[YK_SIZE_TEXT], shown[YK_WHERE_TEXT];
    struct yk_table table;
    uint64_t bytes = 0;

    yk_inspect_hide(shown, sizeof shown, place ? place : "");
    if (count == 0) {
        printf("nothing to clear in %s\n", place ? shown : yk_inspect_directory());
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
    printf("%s %zu, %s %s\n", dry_run ? "would clear" : "cleared", count,
           yk_format_size(size, bytes), place ? "stored" : "of memory");
}

struct telling {
    struct yk_progress progress;
    bool dry_run;
    size_t count;
};

/* -EINTR ends it: what was begun is finished then, and the rest is left to the next one. */
static int tell(const struct yk_gc_item *item, void *context)
{
    struct telling *telling = context;

    telling->count++;
    if (yk_progress_is_due(&telling->progress))
        yk_progress_say(&telling->progress, "%s %zu: %s %s", telling->dry_run ? "found" : "cleared",
                        telling->count, item->what, item->name);
    return yk_stop_signal() ? -EINTR : 0;
}

int yk_gc_main(int argc, char **argv)
{
    struct telling telling = {.count = 0};
    struct yk_gc_item *items = NULL;
    bool dry_run = false, json = false;
    const char *place = NULL;
    ssize_t count;
    int option;

    while ((option = yk_option_next(&usage, argc, argv, ":h", options)) >= 0) {
        if (option == JSON)
            yk_json_require(&usage);
        if (option == PLACE)
            place = optarg;
        json |= option == JSON;
        dry_run |= option == DRY_RUN;
    }
    yk_arguments_check(&usage, argc, 0, 0, "argument");
    telling.dry_run = dry_run;
    yk_stop_install();
    yk_progress_begin(&telling.progress, true);
    count = yk_gc_tell(place, dry_run, &items, tell, &telling);
    yk_progress_clear(&telling.progress);
    if (count == -EINTR)
        yk_complain("stopped: %s %zu before", dry_run ? "found" : "cleared", telling.count);
    if (count == -EINTR)
        return YK_STOPPED;
    if (count < 0)
        return yk_report((int)count);
    if (json)
        print_json(items, (size_t)count);
    else
        print_table(items, (size_t)count, dry_run, place);
    free(items);
    return YK_DONE;
}
