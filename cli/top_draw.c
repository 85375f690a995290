/*
 * top_draw.c - what `yoke top` shows: a row for each object, one of them from inside, the keys.
 *
 * A narrow screen has the columns that matter most, a wide one more of them. Nothing is told by colour
 * alone.
 */
#include "top.h"

#include "output.h"
#include "screen.h"
#include "stat.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TEXT      1024
#define HEAD_ROWS 2 /* above the rows: what is shown, and the titles */
#define FOOT_ROWS 2 /* below: the chosen one's words, the keys */

enum column {
    ADDRESS,
    IN,
    OUT,
    BAR,
    DEPTH,
    WAITS,
    HELD,
    USERS,
    MEMORY,
    BYTES_IN,
    BYTES_OUT,
    AGE,
    OWNER,
    WHY,
    COLUMNS
};

static const struct {
    const char *title;
    int width; /* at least; of WHY what is left */
    bool right;
    int from; /* a screen of so many columns has it */
} columns[COLUMNS] = {
    [ADDRESS] = {"ADDRESS", 7, false, 0},
    [IN] = {"IN", 7, true, 0},
    [OUT] = {"OUT", 7, true, 0},
    [BAR] = {"", 5, false, 60},
    [DEPTH] = {"DEPTH", 9, true, 0},
    [WAITS] = {"WAITS", 5, true, 60},
    [HELD] = {"HELD", 8, true, 70},
    [USERS] = {"USERS", 5, true, 100},
    [MEMORY] = {"MEMORY", 6, true, 110},
    [BYTES_IN] = {"BYTES IN", 8, true, 140},
    [BYTES_OUT] = {"BYTES OUT", 9, true, 140},
    [AGE] = {"AGE", 7, true, 120},
    [OWNER] = {"OWNER", 8, false, 120},
    [WHY] = {"WHY", 0, false, 60},
};

/* ---- bars ------------------------------------------------------------------------------------ */

/* `width` characters: how much of the room is taken. Anything in it shows. */
static void make_bar(char text[TEXT], int width, const struct yk_row *row)
{
    static const char *const eighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    uint64_t room = yk_row_room(row), waiting = row->look->facts.waiting;
    bool utf8 = yk_screen_has_utf8();
    int steps = utf8 ? 8 : 1; /* of one character */
    int filled = 0, at = 0;

    text[0] = '\0';
    if (room == 0)
        return;
    filled = waiting >= room ? width * steps
                             : (int)((double)waiting / (double)room * (double)(width * steps));
    if (filled == 0 && waiting > 0)
        filled = 1;
    for (; at < filled / steps; at++)
        strcat(text, utf8 ? "█" : "#");
    if (filled % steps > 0) {
        strcat(text, eighths[filled % steps]);
        at++;
    }
    for (; at < width; at++)
        strcat(text, utf8 ? "·" : ".");
}

/* ---- rows ------------------------------------------------------------------------------------ */

static int longest_address(const struct yk_listing *listing)
{
    char address[YK_ADDRESS_TEXT];
    int longest = 0;

    for (size_t i = 0; i < listing->count; i++) {
        int length = (int)strlen(yk_facts_address(address, &listing->rows[i].look->facts));
        longest = length > longest ? length : longest;
    }
    return longest;
}

/* How wide each column is on this screen; 0: not there. */
static void lay_out(const struct yk_top *top, int screen, int widths[COLUMNS])
{
    int left = screen - 1, address = longest_address(&top->listing); /* 1: the mark */
    int most = screen < 60 ? screen - 29 : screen < 100 ? 18 : screen / 4;

    for (int i = 0; i < COLUMNS; i++)
        widths[i] = columns[i].from <= screen ? columns[i].width : 0;
    widths[ADDRESS] = address > most ? most : address;
    if (widths[ADDRESS] < columns[ADDRESS].width)
        widths[ADDRESS] = columns[ADDRESS].width;
    if (widths[BAR])
        widths[BAR] = screen < 100 ? 5 : screen < 160 ? 10 : 20;
    for (int i = 0; i < WHY; i++)
        left -= widths[i] > 0 ? widths[i] + 1 : 0;
    widths[WHY] = columns[WHY].from <= screen && left > 0 ? left : 0;
}

static void fill_cell(char text[TEXT], const struct yk_row *row, enum column column, int width)
{
    const struct yk_object_facts *facts = &row->look->facts;

    switch (column) {
    case ADDRESS:
        yk_facts_address(text, facts);
        break;
    case IN:
        yk_format_row_rate(text, row, row->rates.in);
        break;
    case OUT:
        yk_format_row_rate(text, row, row->rates.out);
        break;
    case BYTES_IN:
    case BYTES_OUT: {
        double rate = column == BYTES_IN ? row->rates.bytes_in : row->rates.bytes_out;
        if (row->rates.measured && rate >= 0)
            yk_format_byte_rate(text, rate);
        else
            strcpy(text, "-");
        break;
    }
    case BAR:
        make_bar(text, width, row);
        break;
    case DEPTH:
        yk_top_depth(text, row);
        break;
    case WAITS:
        yk_top_waits(text, row);
        break;
    case HELD:
        yk_top_held(text, row);
        break;
    case USERS:
        snprintf(text, TEXT, "%" PRIu32, facts->participants_used);
        break;
    case MEMORY:
        yk_format_size(text, facts->memory_used);
        break;
    case AGE:
        yk_format_age(text, facts->created_ns);
        break;
    case OWNER:
        yk_format_user(text, facts->uid);
        break;
    default:
        snprintf(text, TEXT, "%s", row->why);
        break;
    }
}

/* At the right if it fits; what does not is cut off, and says so. */
static void put_cell(int y, int x, int width, int style, bool right, const char *text)
{
    int length = 0;

    for (const char *c = text; *c; c++)
        length += (*c & 0xc0) != 0x80;
    yk_screen_put(y, right && length < width ? x + width - length : x, width, style, text);
    if (length > width)
        yk_screen_put(y, x + width - 1, 1, style, yk_screen_has_utf8() ? "…" : "~");
}

static int style_of(const struct yk_row *row, enum column column)
{
    if (column == WHY)
        return row->trouble == YK_STUCK ? YK_BAD : YK_WARN;
    if (column == BAR)
        return yk_row_room(row) > 0 && row->look->facts.waiting >= yk_row_room(row) ? YK_WARN
                                                                                    : YK_GOOD;
    return row->trouble == YK_STUCK ? YK_STRONG : YK_PLAIN;
}

static void put_spaces(int y, int style)
{
    char spaces[TEXT];

    memset(spaces, ' ', sizeof spaces - 1);
    spaces[sizeof spaces - 1] = '\0';
    yk_screen_put(y, 0, TEXT, style, spaces);
}

static void draw_titles(int y, const int widths[COLUMNS])
{
    int x = 1;

    put_spaces(y, YK_TITLE);
    for (int i = 0; i < COLUMNS; i++) {
        if (widths[i] == 0)
            continue;
        put_cell(y, x, widths[i], YK_TITLE, columns[i].right, columns[i].title);
        x += widths[i] + 1;
    }
}

static void draw_row(const struct yk_row *row, int y, const int widths[COLUMNS], bool chosen)
{
    char text[TEXT];
    int x = 1, mark = chosen ? YK_CHOSEN : 0;

    if (chosen)
        put_spaces(y, YK_PLAIN | mark);
    if (row->trouble == YK_STUCK)
        yk_screen_put(y, 0, 1, YK_BAD | mark, "!");
    for (int i = 0; i < COLUMNS; i++) {
        if (widths[i] == 0)
            continue;
        fill_cell(text, row, (enum column)i, widths[i]);
        put_cell(y, x, widths[i], style_of(row, (enum column)i) | mark, columns[i].right, text);
        x += widths[i] + 1;
    }
}

size_t yk_top_chosen(const struct yk_top *top)
{
    char address[YK_ADDRESS_TEXT];

    for (size_t i = 0; i < top->listing.count; i++)
        if (strcmp(yk_facts_address(address, &top->listing.rows[i].look->facts), top->chosen) == 0)
            return i;
    return 0;
}

size_t yk_top_page(const struct yk_top *top)
{
    int rows, width, more = top->view == YK_TOP_LIST ? HEAD_ROWS + FOOT_ROWS : 2;

    yk_screen_size(&rows, &width);
    return rows > more ? (size_t)(rows - more) : 1;
}

static void draw_summary(const struct yk_top *top, int width)
{
    char text[TEXT], every[YK_AGE_TEXT], clock[16] = "";
    time_t at = (time_t)(top->looked / 1000000000);
    struct tm parts;
    size_t stuck = 0;

    for (size_t i = 0; i < top->listing.count; i++)
        stuck += top->listing.rows[i].trouble == YK_STUCK;
    if (localtime_r(&at, &parts))
        strftime(clock, sizeof clock, "%H:%M:%S", &parts);
    snprintf(text, sizeof text,
             "yoke top%s  %zu of %zu, %zu stuck  by %s%s%s%.*s%s%s  every %s  %s",
             top->paused ? "  PAUSED" : "", top->listing.count, top->listing.looks.count, stuck,
             yk_key_name(top->choice.key), top->choice.reverse ? " reversed" : "",
             top->choice.pattern ? "  /" : "", YK_TOP_PATTERN,
             top->choice.pattern ? top->choice.pattern : "", top->choice.mine ? "  mine" : "",
             top->choice.stuck ? "  stuck only" : "", yk_format_duration(every, top->interval),
             clock);
    yk_screen_put(0, 0, width, top->paused ? YK_WARN : YK_STRONG, text);
}

static void draw_foot(const struct yk_top *top, int rows, int width, const char *keys)
{
    char text[TEXT];

    if (top->typing) {
        snprintf(text, sizeof text, "filter: %s_  (part of a name, a pattern, or a kind: 'port:')",
                 top->typed);
        yk_screen_put(rows - 1, 0, width, YK_STRONG, text);
    } else if (top->said[0] != '\0') {
        yk_screen_put(rows - 1, 0, width, YK_BAD, top->said);
    } else {
        yk_screen_put(rows - 1, 0, width, YK_DIM, keys);
    }
}

/* What the chosen row has no room for. */
static void draw_words(const struct yk_top *top, size_t chosen, int y, int width)
{
    char text[TEXT], address[YK_ADDRESS_TEXT];
    const struct yk_row *row = &top->listing.rows[chosen];

    if (chosen >= top->listing.count || row->why[0] == '\0')
        return;
    snprintf(text, sizeof text, "%s: %s", yk_facts_address(address, &row->look->facts), row->why);
    put_cell(y, 0, width, row->trouble == YK_STUCK ? YK_BAD : YK_WARN, false, text);
}

static void draw_list(struct yk_top *top, int rows, int width)
{
    int widths[COLUMNS];
    size_t chosen = yk_top_chosen(top), page = yk_top_page(top), count = top->listing.count;

    if (chosen < top->first)
        top->first = chosen;
    if (chosen >= top->first + page)
        top->first = chosen - page + 1;
    if (top->first + page > count)
        top->first = count > page ? count - page : 0;
    lay_out(top, width, widths);
    draw_summary(top, width);
    draw_titles(1, widths);
    for (size_t i = 0; i < page && top->first + i < count; i++)
        draw_row(&top->listing.rows[top->first + i], HEAD_ROWS + (int)i, widths,
                 top->first + i == chosen);
    if (count == 0)
        yk_screen_put(HEAD_ROWS, 1, width, YK_DIM,
                      top->listing.looks.count ? "nothing that is wanted" : "nothing is there");
    draw_words(top, chosen, rows - 2, width);
    draw_foot(top, rows, width,
              "q quit  ? keys  Enter look inside  s sort  r reverse  / filter  t stuck  p pause");
}

/* ---- lines ----------------------------------------------------------------------------------- */

static size_t count_lines(const char *text)
{
    size_t lines = 0;

    for (; *text; text++)
        lines += *text == '\n';
    return lines;
}

/* From top->first on, which is kept within what there is. */
static void draw_lines(struct yk_top *top, const char *text, int width)
{
    size_t lines = count_lines(text), page = yk_top_page(top);
    char line[TEXT];

    if (top->first + page > lines)
        top->first = lines > page ? lines - page : 0;
    for (size_t i = 0; i < top->first; i++)
        text = strchr(text, '\n') + 1;
    for (size_t i = 0; i < page && *text; i++) {
        int length = (int)strcspn(text, "\n");
        snprintf(line, sizeof line, "%.*s", length, text);
        put_cell(1 + (int)i, 0, width, YK_PLAIN, false, line);
        text += length + (text[length] == '\n');
    }
}

/* What `yoke stat` prints. */
static char *text_of(const struct yk_row *row)
{
    size_t size;

    yk_capture_begin();
    if (row->why[0] != '\0')
        printf("%-13s %s\n", row->trouble == YK_STUCK ? "stuck" : "to be noted", row->why);
    yk_stat_print(row->look, &row->rates);
    return yk_capture_end(&size);
}

static void draw_inside(struct yk_top *top, int rows, int width)
{
    char title[TEXT], address[YK_ADDRESS_TEXT];
    size_t chosen = yk_top_chosen(top);
    const struct yk_row *row = &top->listing.rows[chosen];
    bool there = chosen < top->listing.count &&
                 strcmp(yk_facts_address(address, &row->look->facts), top->chosen) == 0;

    snprintf(title, sizeof title, "%s%s%s", top->chosen, there ? "" : "  is gone",
             top->paused ? "  PAUSED" : "");
    put_spaces(0, YK_TITLE);
    yk_screen_put(0, 0, width, YK_TITLE, title);
    if (there) {
        char *text = text_of(row);
        draw_lines(top, text, width);
        free(text);
    }
    draw_foot(top, rows, width, "q back  arrows scroll  p pause  ? keys");
}

static const char help[] =
    "q           end; from here and from inside: back\n"
    "arrows, j k which row; Page Up, Page Down, Home, End\n"
    "Enter, i    look inside: what 'yoke stat' shows, live\n"
    "s           sort by the next of: kind, name, size, waiting, fill, rate, held, ...\n"
    "r           the other way round\n"
    "/           filter: part of a name, a pattern ('job*'), a kind ('port:')\n"
    "t           only what is stuck, or next to it\n"
    "m           only what is this user's\n"
    "p, Space    pause, and go on\n"
    "+ -         look half as often, twice as often\n"
    "Ctrl-L      draw everything anew\n"
    "\n"
    "IN, OUT     messages per second; of a stream bytes\n"
    "DEPTH       how much is in it, of what has room\n"
    "WAITS       threads that wait to receive (r), to send (s)\n"
    "HELD        messages borrowed; for how long the oldest was seen so\n"
    "WHY         what is stuck (!), or next to it\n";

void yk_top_draw(struct yk_top *top)
{
    int rows, width;

    yk_screen_size(&rows, &width);
    yk_screen_begin();
    if (top->view == YK_TOP_LIST) {
        draw_list(top, rows, width);
    } else if (top->view == YK_TOP_INSIDE) {
        draw_inside(top, rows, width);
    } else {
        put_spaces(0, YK_TITLE);
        yk_screen_put(0, 0, width, YK_TITLE, "keys and columns");
        draw_lines(top, help, width);
        draw_foot(top, rows, width, "q back  arrows scroll");
    }
    yk_screen_end();
}
