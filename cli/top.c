/*
 * top.c - yoke top: what goes on, live. Here: the command, and its looks as text.
 *
 * It looks as `yoke ls` and `yoke stat` do: nothing is locked, nothing is written, and the right to
 * read is enough.
 */
#include "top.h"

#include "cli.h"
#include "json.h"
#include "options.h"
#include "output.h"
#include "screen.h"
#include "stop.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SECOND 1000000000ll

static const struct yk_usage usage = {
    "top",
    "Usage: yoke top [OPTION...] [KIND: | PATTERN]\n"
    "Shows live what goes through every port, link and stream, how full they are, who\n"
    "waits, what is borrowed, and what is stuck and why. Keys: ? shows them, q ends.\n"
    "In a pipe, or on a terminal that can only print, a block for each look.\n\n"
    "  IN, OUT   messages per second, or bytes (B/s)\n"
    "  DEPTH     how much is in it, and has room\n"
    "  WAITS     threads that wait to receive (r) or to send (s)\n"
    "  HELD      messages borrowed, and for how long the oldest one was seen so\n"
    "  WHY       why it is stuck: marked with !\n"
    "\n"
    "  --interval T  look every T (1s)\n"
    "  --sort KEY    kind, name, size, waiting, fill, rate (as it is), held, users,\n"
    "                memory, age, owner or stuck\n"
    "  --reverse     the other way round\n"
    "  --mine        only what is this user's\n"
    "  --place P     only what is there: memory, kernel, nats://HOST:PORT…\n"
    "  --stuck       only what there is something to be said about in WHY\n"
    "  --once        two looks, T apart, as text, and that is all\n"
    "  --json        an object; without --once one a line\n"
    "\n"
    "Example:\n"
    "  yoke top port: --sort fill\n",
};

enum { INTERVAL = YK_OPTION_FIRST, SORT, REVERSE, MINE, PLACE, STUCK, ONCE, JSON };

static const struct option options[] = {
    {"interval", required_argument, NULL, INTERVAL},
    {"sort", required_argument, NULL, SORT},
    {"reverse", no_argument, NULL, REVERSE},
    {"mine", no_argument, NULL, MINE},
    {"place", required_argument, NULL, PLACE},
    {"stuck", no_argument, NULL, STUCK},
    {"once", no_argument, NULL, ONCE},
    {"json", no_argument, NULL, JSON},
    YK_OPTION_END,
};

/* ---- cells ----------------------------------------------------------------------------------- */

/* "9999", "12k", "1.0M": in four characters. */
static void format_count(char text[YK_SIZE_TEXT], uint64_t count)
{
    if (count < 10000)
        snprintf(text, YK_SIZE_TEXT, "%u", (unsigned)count);
    else if (count < 1000000)
        snprintf(text, YK_SIZE_TEXT, "%uk", (unsigned)(count / 1000));
    else
        snprintf(text, YK_SIZE_TEXT, "%.*fM", count < 10000000, (double)count / 1e6);
}

void yk_top_depth(char text[YK_TOP_CELL], const struct yk_row *row)
{
    char waiting[YK_SIZE_TEXT], all[YK_SIZE_TEXT];
    const struct yk_object_facts *facts = &row->look->facts;
    uint64_t room = yk_row_room(row);
    bool known = yk_facts_has_count(facts) || yk_facts_is_stream(facts);

    if (room == 0 || !known) {
        strcpy(text, "-");
        return;
    }
    if (yk_facts_is_stream(facts)) {
        yk_format_size(waiting, facts->waiting);
        yk_format_size(all, room);
    } else {
        format_count(waiting, facts->waiting);
        format_count(all, room);
    }
    snprintf(text, YK_TOP_CELL, "%s/%s", waiting, all);
}

void yk_top_waits(char text[YK_TOP_CELL], const struct yk_row *row)
{
    uint32_t receivers = yk_row_receivers(row), senders = yk_row_senders(row);

    if (receivers && senders)
        snprintf(text, YK_TOP_CELL, "%" PRIu32 "r%" PRIu32 "s", receivers, senders);
    else if (receivers || senders)
        snprintf(text, YK_TOP_CELL, "%" PRIu32 "%c", receivers + senders, receivers ? 'r' : 's');
    else
        strcpy(text, "-");
}

void yk_top_held(char text[YK_TOP_CELL], const struct yk_row *row)
{
    char count[YK_SIZE_TEXT], age[YK_AGE_TEXT];

    if (!yk_facts_has_traffic(&row->look->facts) || row->look->facts.held == 0) {
        strcpy(text, "-");
        return;
    }
    format_count(count, row->look->facts.held);
    if (row->held_for > 0)
        snprintf(text, YK_TOP_CELL, "%s >%s", count, yk_format_duration(age, row->held_for));
    else
        snprintf(text, YK_TOP_CELL, "%s", count);
}

/* ---- as text --------------------------------------------------------------------------------- */

static void add_row(struct yk_table *table, const struct yk_row *row)
{
    char address[YK_ADDRESS_TEXT], rate[YK_RATE_TEXT], cell[YK_TOP_CELL];

    yk_table_add(table, "%s", row->trouble == YK_STUCK ? "!" : "");
    yk_table_add(table, "%s", yk_facts_address(address, &row->look->facts));
    yk_table_add(table, "%s", yk_format_row_rate(rate, row, row->rates.in));
    yk_table_add(table, "%s", yk_format_row_rate(rate, row, row->rates.out));
    yk_top_depth(cell, row);
    yk_table_add(table, "%s", cell);
    yk_top_waits(cell, row);
    yk_table_add(table, "%s", cell);
    yk_top_held(cell, row);
    yk_table_add(table, "%s", cell);
    yk_table_add(table, "%" PRIu32, row->look->facts.participants_used);
    yk_table_add(table, "%s", row->why);
}

static void print_table(const struct yk_listing *listing)
{
    static const struct yk_column columns[] = {
        {"", false},     {"ADDRESS", false}, {"IN", true},    {"OUT", true},  {"DEPTH", true},
        {"WAITS", true}, {"HELD", true},     {"USERS", true}, {"WHY", false},
    };
    struct yk_table table;

    yk_table_init(&table, columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < listing->count; i++)
        add_row(&table, &listing->rows[i]);
    yk_table_print(&table);
    yk_table_fini(&table);
}

static yk_json *row_json(const struct yk_row *row)
{
    yk_json *object = yk_row_json(row);

    yk_json_bool(object, "stuck", row->trouble == YK_STUCK);
    yk_json_string(object, "why", row->why);
    yk_json_unsigned(object, "waiting_receive", yk_row_receivers(row));
    yk_json_unsigned(object, "waiting_send", yk_row_senders(row));
    if (row->held_for >= 0)
        yk_json_real(object, "held_at_least", (double)row->held_for / SECOND);
    yk_json_add(object, "participants",
                yk_participants_json(&row->look->facts, row->look->participants, row->look->count));
    return object;
}

static void print_json(const struct yk_top *top)
{
    yk_json *object = yk_json_object(), *array = yk_json_array();

    for (size_t i = 0; i < top->listing.count; i++)
        yk_json_append(array, row_json(&top->listing.rows[i]));
    yk_json_real(object, "time", (double)yk_time_real() / SECOND);
    yk_json_real(object, "interval", (double)top->interval / SECOND);
    yk_json_add(object, "objects", array);
    if (top->once)
        yk_json_print(object);
    else
        yk_json_print_line(object);
}

/* A block for each look, from the second on. The exit status. */
static int print_looks(struct yk_top *top)
{
    int result = yk_listing_look(&top->listing, &top->choice);

    for (bool first = true; result == 0; first = false) {
        if (!yk_look_pause(top->interval))
            return YK_STOPPED;
        result = yk_listing_look(&top->listing, &top->choice);
        if (result < 0)
            break;
        if (top->json)
            print_json(top);
        else if (!first)
            putchar('\n');
        if (!top->json)
            print_table(&top->listing);
        if (yk_flush_output() < 0)
            return YK_FAILED;
        if (top->once)
            return YK_DONE;
    }
    return yk_report(result);
}

/* ---- the command ----------------------------------------------------------------------------- */

static void parse(struct yk_top *top, int argc, char **argv)
{
    struct yk_choice *choice = &top->choice;
    int option;

    while ((option = yk_option_next(&usage, argc, argv, ":h", options)) >= 0) {
        if (option == INTERVAL)
            top->interval = yk_parse_interval(&usage, "--interval", optarg);
        else if (option == SORT)
            choice->key = yk_parse_key(&usage, "--sort", optarg);
        else if (option == PLACE)
            choice->place = optarg;
        else if (option == JSON)
            yk_json_require(&usage);
        choice->reverse |= option == REVERSE;
        choice->mine |= option == MINE;
        choice->stuck |= option == STUCK;
        top->once |= option == ONCE;
        top->json |= option == JSON;
    }
    yk_arguments_check(&usage, argc, 0, 1, "PATTERN");
    choice->pattern = argv[optind]; /* NULL when there is none */
}

int yk_top_main(int argc, char **argv)
{
    struct yk_top top = {
        .choice = {.key = YK_BY_RATE, .participants = true},
        .interval = SECOND,
    };
    bool on_screen;
    int status;

    parse(&top, argc, argv);
    on_screen = !top.once && !top.json && isatty(STDIN_FILENO) && yk_can_print_in_place();
    if (on_screen)
        yk_screen_require(&usage);
    yk_stop_install();
    status = on_screen ? yk_top_run(&top) : print_looks(&top);
    yk_listing_fini(&top.listing);
    return status;
}
