/*
 * top_screen.c - `yoke top` on a terminal: looks again and again, and does what the keys say.
 */
#include "top.h"

#include "cli.h"
#include "output.h"
#include "screen.h"
#include "stop.h"

#include <stdio.h>
#include <string.h>
#include <yoke.h>

#define SECOND  1000000000ll
#define SOONEST (SECOND / 10)
#define LATEST  (60 * SECOND)
#define FOREVER INT64_MAX

/* ---- looking --------------------------------------------------------------------------------- */

static void look(struct yk_top *top)
{
    int result = yk_listing_look(&top->listing, &top->choice);

    top->next = yk_time_monotonic() + top->interval;
    top->looked = yk_time_real();
    top->said[0] = '\0';
    if (result < 0)
        snprintf(top->said, sizeof top->said, "%s", yoke_explain());
}

static void arrange(struct yk_top *top)
{
    yk_listing_arrange(&top->listing, &top->choice);
}

/* ---- moving ---------------------------------------------------------------------------------- */

static void choose(struct yk_top *top, size_t row)
{
    if (top->listing.count == 0)
        top->chosen[0] = '\0';
    else
        yk_facts_address(top->chosen,
                         &top->listing.rows[row < top->listing.count ? row : top->listing.count - 1]
                              .look->facts);
}

/* By so many rows, or lines. */
static void move(struct yk_top *top, long by)
{
    size_t at = top->view == YK_TOP_LIST ? yk_top_chosen(top) : top->first;

    if (by < 0)
        at = at > (size_t)-by ? at + (size_t)by : 0;
    else
        at += (size_t)by; /* what is too much is cut off by who draws */
    if (top->view == YK_TOP_LIST)
        choose(top, at);
    else
        top->first = at;
}

static bool take_moving_key(struct yk_top *top, int key)
{
    long page = (long)yk_top_page(top), all = 1000000;

    switch (key) {
    case YK_KEY_UP:
    case 'k':
        move(top, -1);
        return true;
    case YK_KEY_DOWN:
    case 'j':
        move(top, 1);
        return true;
    case YK_KEY_PAGE_UP:
        move(top, -page);
        return true;
    case YK_KEY_PAGE_DOWN:
        move(top, page);
        return true;
    case YK_KEY_HOME:
    case 'g':
        move(top, -all);
        return true;
    case YK_KEY_END:
    case 'G':
        move(top, all);
        return true;
    default:
        return false;
    }
}

static void show(struct yk_top *top, enum yk_top_view view)
{
    top->view = view;
    top->first = 0;
}

/* ---- the filter ------------------------------------------------------------------------------ */

/* What is no pattern and no kind is a part of a name. */
static void make_pattern(struct yk_top *top)
{
    const char *typed = top->typed, *colon = strchr(typed, ':');
    bool whole = strpbrk(typed, "*?[") || (colon && colon[1] == '\0');

    snprintf(top->pattern, sizeof top->pattern, "%s%s%s", whole || colon ? "" : "*", typed,
             whole ? "" : "*");
    top->choice.pattern = typed[0] != '\0' ? top->pattern : NULL;
    arrange(top);
}

static void take_typed_key(struct yk_top *top, int key)
{
    size_t length = strlen(top->typed);

    if (key == YK_KEY_ENTER) {
        top->typing = false;
    } else if (key == YK_KEY_ESCAPE) {
        top->typing = false;
        top->typed[0] = '\0';
    } else if (key == YK_KEY_BACKSPACE && length > 0) {
        top->typed[length - 1] = '\0';
    } else if (key > ' ' && key < 127 && length + 1 < sizeof top->typed) {
        top->typed[length] = (char)key;
        top->typed[length + 1] = '\0';
    } else {
        return;
    }
    make_pattern(top);
}

/* ---- the other keys -------------------------------------------------------------------------- */

static void pause_or_go_on(struct yk_top *top)
{
    top->paused = !top->paused;
    if (!top->paused)
        top->next = 0;
}

static void change_interval(struct yk_top *top, bool longer)
{
    int64_t interval = longer ? top->interval * 2 : top->interval / 2;

    top->interval = interval < SOONEST ? SOONEST : interval > LATEST ? LATEST : interval;
    top->next = yk_time_monotonic() + top->interval;
}

static void take_list_key(struct yk_top *top, int key)
{
    struct yk_choice *choice = &top->choice;

    if (key == 's')
        choice->key = (choice->key + 1) % YK_KEYS;
    else if (key == 'r')
        choice->reverse = !choice->reverse;
    else if (key == 't')
        choice->stuck = !choice->stuck;
    else if (key == 'm')
        choice->mine = !choice->mine;
    else if (key == '/')
        top->typing = true;
    else if (key == YK_KEY_ESCAPE)
        take_typed_key(top, key);
    else if ((key == YK_KEY_ENTER || key == 'i') && top->listing.count > 0) {
        choose(top, yk_top_chosen(top));
        show(top, YK_TOP_INSIDE);
    }
    if (key == 's' || key == 'r' || key == 't' || key == 'm')
        arrange(top);
}

static bool leaves(int key)
{
    return key == 'q' || key == YK_KEY_ESCAPE || key == YK_KEY_LEFT || key == YK_KEY_BACKSPACE;
}

/* False: that was the end. */
static bool take_key(struct yk_top *top, int key)
{
    if (key == YK_KEY_CLOSED)
        return false;
    if (top->typing) {
        take_typed_key(top, key);
        return true;
    }
    if (top->view == YK_TOP_LIST && key == 'q')
        return false;
    if (take_moving_key(top, key))
        return true;
    if (key == 'p' || key == ' ')
        pause_or_go_on(top);
    else if (key == '+' || key == '-')
        change_interval(top, key == '+');
    else if (key == '?' || key == 'h')
        show(top, YK_TOP_HELP);
    else if (top->view == YK_TOP_LIST)
        take_list_key(top, key);
    else if (leaves(key))
        show(top, YK_TOP_LIST);
    return true;
}

int yk_top_run(struct yk_top *top)
{
    bool goes_on = true;

    if (!yk_screen_open())
        return YK_FAILED;
    while (goes_on && !yk_stop_signal()) {
        if (!top->paused && yk_time_monotonic() >= top->next)
            look(top);
        yk_top_draw(top);
        goes_on = take_key(top, yk_screen_key(top->paused ? FOREVER : top->next));
    }
    yk_screen_close();
    return yk_stop_signal() ? YK_STOPPED : YK_DONE;
}
