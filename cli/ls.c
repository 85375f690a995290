/*
 * ls.c - yoke ls: what there is, once or again and again.
 */
#include "cli.h"
#include "facts.h"
#include "json.h"
#include "listing.h"
#include "options.h"
#include "output.h"
#include "stop.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECOND 1000000000ll

static const struct yk_usage usage = {
    "ls",
    "Usage: yoke ls [OPTION...] [KIND: | PATTERN]\n"
    "Lists the regions, ports, links, streams, peers and peers' inboxes of signals\n"
    "that there are, or those of a kind (port:), or those whose name or address\n"
    "matches a pattern ('job*', 'port:job*').\n\n"
    "  SIZE      a region's bytes; a port's depth x longest message x priorities; a\n"
    "            link's depth x longest message, each way; bytes that a stream holds\n"
    "  WAITING   messages (or signals), of a link both ways; bytes in a stream\n"
    "  USERS     how many have it open to write, send or receive\n"
    "  MEMORY    what is really in use, or stored\n"
    "  LIFE      kept until removed, or transient: until its last user is gone\n"
    "  --sort KEY    kind, name, size, waiting, fill, rate, held, users, memory, age,\n"
    "                owner or stuck, the biggest first\n"
    "  --reverse     the other way round\n"
    "  --mine        only what is this user's\n"
    "  --place P     only what is in that place: memory, kernel, nats://HOST:PORT…\n"
    "  --interval T  look twice, T apart: IN and OUT in between, per second\n"
    "  --watch [T]   go on, every T (1s): in place on a terminal\n"
    "  --json        an array of objects; with --watch one a line\n"
    "\n"
    "Example:\n"
    "  yoke ls 'port:job*' --sort rate --watch\n",
};

enum { SORT = YK_OPTION_FIRST, REVERSE, MINE, PLACE, INTERVAL, WATCH, JSON };

static const struct option options[] = {
    {"sort", required_argument, NULL, SORT},
    {"reverse", no_argument, NULL, REVERSE},
    {"mine", no_argument, NULL, MINE},
    {"place", required_argument, NULL, PLACE},
    {"interval", required_argument, NULL, INTERVAL},
    {"watch", optional_argument, NULL, WATCH},
    {"json", no_argument, NULL, JSON},
    YK_OPTION_END,
};

static const struct yk_column columns[] = {
    {"ADDRESS", false}, {"SIZE", true}, {"WAITING", true}, {"USERS", true}, {"MEMORY", true},
    {"LIFE", false},    {"AGE", true},  {"OWNER", false},  {"IN", true},    {"OUT", true},
};
#define COLUMNS      (sizeof columns / sizeof columns[0])
#define RATE_COLUMNS 2 /* the last ones */

struct request {
    struct yk_choice choice;
    int64_t interval; /* 0: look once */
    bool watch, json;
    bool in_place; /* each look is shown where the one before was */
};

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

static void add_rate(struct yk_table *table, const struct yk_row *row, double rate)
{
    char text[YK_RATE_TEXT];

    yk_table_add(table, "%s", yk_format_row_rate(text, row, rate));
}

static void add_row(struct yk_table *table, const struct yk_row *row)
{
    char address[YK_ADDRESS_TEXT], size[YK_SIZE_TEXT], age[YK_AGE_TEXT], owner[YK_OWNER_TEXT];
    const struct yk_object_facts *facts = &row->look->facts;

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
    yk_table_add(table, "%s",
                 facts->known & YK_KNOWN_OWNER ? yk_format_user(owner, facts->uid) : "-");
    if (table->column_count < COLUMNS)
        return;
    add_rate(table, row, row->rates.in);
    add_rate(table, row, row->rates.out);
}

/* An object that could not be looked at: its name stands in the list, the reason on stderr. */
static void add_problem_row(struct yk_table *table, const struct yk_object_facts *facts)
{
    char address[YK_ADDRESS_TEXT];

    yk_table_add(table, "%s", yk_facts_address(address, facts));
    for (size_t i = 1; i < table->column_count; i++)
        yk_table_add(table, "?");
}

static void print_table(const struct request *request, const struct yk_listing *listing)
{
    struct yk_table table;

    yk_table_init(&table, columns, request->interval ? COLUMNS : COLUMNS - RATE_COLUMNS);
    for (size_t i = 0; i < listing->count; i++) {
        if (listing->rows[i].look->facts.problem[0] == '\0')
            add_row(&table, &listing->rows[i]);
        else
            add_problem_row(&table, &listing->rows[i].look->facts);
    }
    yk_table_print(&table);
    yk_table_fini(&table);
}

static void complain_of_problems(const struct yk_listing *listing)
{
    char address[YK_ADDRESS_TEXT];

    for (size_t i = 0; i < listing->count; i++) {
        const struct yk_object_facts *facts = &listing->rows[i].look->facts;
        if (facts->problem[0] != '\0')
            yk_complain("%s: %s", yk_facts_address(address, facts), facts->problem);
    }
}

static void print_json(const struct request *request, const struct yk_listing *listing)
{
    yk_json *array = yk_json_array();

    for (size_t i = 0; i < listing->count; i++)
        yk_json_append(array, yk_row_json(&listing->rows[i]));
    if (request->watch)
        yk_json_print_line(array);
    else
        yk_json_print(array);
}

/* Over the one before, as much of it as the terminal has room for. */
static void print_in_place(const struct request *request, const struct yk_listing *listing)
{
    char every[YK_AGE_TEXT];
    size_t size;
    char *text;

    yk_capture_begin();
    printf("yoke ls, every %s: %zu %s\n", yk_format_duration(every, request->interval),
           listing->count, yk_plural(listing->count, "object", "objects"));
    print_table(request, listing);
    text = yk_capture_end(&size);
    yk_print_in_place(text);
    free(text);
}

static void print_look(const struct request *request, const struct yk_listing *listing)
{
    if (request->json) {
        print_json(request, listing);
        return;
    }
    if (request->in_place)
        print_in_place(request, listing);
    else
        print_table(request, listing);
    if (!request->in_place)
        complain_of_problems(listing);
}

static void parse(struct request *request, int argc, char **argv)
{
    struct yk_choice *choice = &request->choice;
    int option;

    while ((option = yk_option_next(&usage, argc, argv, ":h", options)) >= 0) {
        if (option == SORT)
            choice->key = yk_parse_key(&usage, "--sort", optarg);
        else if (option == INTERVAL)
            request->interval = yk_parse_interval(&usage, "--interval", optarg);
        else if (option == WATCH)
            request->interval =
                yk_parse_watch(&usage, argc, argv, request->interval ? request->interval : SECOND);
        else if (option == PLACE)
            choice->place = optarg;
        else if (option == JSON)
            yk_json_require(&usage);
        choice->reverse |= option == REVERSE;
        choice->mine |= option == MINE;
        request->watch |= option == WATCH;
        request->json |= option == JSON;
    }
    yk_arguments_check(&usage, argc, 0, 1, "PATTERN");
    choice->pattern = argv[optind]; /* NULL when there is none */
    choice->participants = choice->key == YK_BY_HELD || choice->key == YK_BY_STUCK;
    if (request->interval == 0 && (choice->key == YK_BY_RATE || choice->key == YK_BY_HELD))
        request->interval = SECOND; /* one look tells neither */
    request->in_place = request->watch && !request->json && yk_can_print_in_place();
}

/* The exit status. */
static int look_again_and_again(const struct request *request, struct yk_listing *listing)
{
    bool first = true;
    int result;

    do {
        if (!yk_look_pause(request->interval))
            return YK_STOPPED;
        result = yk_listing_look(listing, &request->choice);
        if (result < 0)
            return yk_report(result);
        if (!first && !request->json && !request->in_place)
            putchar('\n');
        first = false;
        print_look(request, listing);
        if (yk_flush_output() < 0)
            return YK_FAILED;
    } while (request->watch);
    return YK_DONE;
}

int yk_ls_main(int argc, char **argv)
{
    struct request request = {0};
    struct yk_listing listing = {0};
    int result, status = YK_DONE;

    parse(&request, argc, argv);
    if (request.interval)
        yk_stop_install();
    result = yk_listing_look(&listing, &request.choice);
    if (result < 0)
        return yk_report(result);
    if (request.in_place)
        print_look(&request, &listing); /* who sits there sees something at once */
    if (request.in_place && yk_flush_output() < 0)
        status = YK_FAILED;
    else if (request.interval)
        status = look_again_and_again(&request, &listing);
    else
        print_look(&request, &listing);
    yk_listing_fini(&listing);
    return status;
}
