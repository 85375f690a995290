/*
 * screen.h - a whole terminal to draw on, and the keys that are pressed there. screen.c does it with
 * ncurses; screen-none.c takes its place in a build without ncurses and refuses.
 *
 * While it is open, signals that are to stop the command (stop.h) come only in yk_screen_key(), so
 * that nothing ends the process before the terminal is as it was.
 */
#ifndef YK_SCREEN_H
#define YK_SCREEN_H

#include "options.h"

#include <stdbool.h>
#include <stdint.h>

enum yk_style { YK_PLAIN, YK_DIM, YK_STRONG, YK_TITLE, YK_GOOD, YK_WARN, YK_BAD, YK_STYLES };
#define YK_CHOSEN 0x100 /* with any of them */

/* Characters stand for themselves; from here on: */
enum yk_screen_key {
    YK_KEY_NONE = -1, /* the time was over, or a signal came */
    YK_KEY_OTHER = 0x1000,
    YK_KEY_RESIZED,
    YK_KEY_CLOSED, /* the terminal is gone */
    YK_KEY_UP,
    YK_KEY_DOWN,
    YK_KEY_LEFT,
    YK_KEY_PAGE_UP,
    YK_KEY_PAGE_DOWN,
    YK_KEY_HOME,
    YK_KEY_END,
    YK_KEY_ENTER,
    YK_KEY_ESCAPE,
    YK_KEY_BACKSPACE
};

/* To be called before anything else: ends the process with YK_USAGE in a build without ncurses. */
void yk_screen_require(const struct yk_usage *usage);

/* False after a complaint: this terminal can not do it. */
bool yk_screen_open(void);
/* The terminal is as it was before. */
void yk_screen_close(void);

/* How big it is now. */
void yk_screen_size(int *ret_rows, int *ret_columns);
/* Can it show more than ASCII? */
bool yk_screen_has_utf8(void);

/* Everything is drawn anew between these two. */
void yk_screen_begin(void);
void yk_screen_end(void);
/*
 * Puts UTF-8 (or ASCII) text there, cut off where the screen or `width` columns end, whichever is
 * first. Outside of the screen nothing happens.
 */
void yk_screen_put(int row, int column, int width, int style, const char *text);

/* The next key, or YK_KEY_NONE at `until` (CLOCK_MONOTONIC) or when a signal came. */
int yk_screen_key(int64_t until);

#endif
