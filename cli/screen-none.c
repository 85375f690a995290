/*
 * screen-none.c - takes screen.c's place in a build without ncurses: refused before anything is drawn,
 * so that none of the others is ever called.
 */
#include "screen.h"

#include <stdlib.h>

void yk_screen_require(const struct yk_usage *usage)
{
    yk_usage_error(usage,
                   "%s: the screen is not to be had: this yoke was built without ncurses; "
                   "--once prints as text",
                   usage->name);
}

bool yk_screen_open(void)
{
    abort();
}

void yk_screen_close(void)
{
    abort();
}

void yk_screen_size(int *ret_rows, int *ret_columns)
{
    (void)ret_rows, (void)ret_columns;
    abort();
}

bool yk_screen_has_utf8(void)
{
    abort();
}

void yk_screen_begin(void)
{
    abort();
}

void yk_screen_end(void)
{
    abort();
}

void yk_screen_put(int row, int column, int width, int style, const char *text)
{
    (void)row, (void)column, (void)width, (void)style, (void)text;
    abort();
}

int yk_screen_key(int64_t until)
{
    (void)until;
    abort();
}
