/*
 * screen.c - a whole terminal, with ncurses. screen-none.c is its twin without.
 *
 * ncurses gets a descriptor of its own, so that standard output can be captured meanwhile.
 */
#include "screen.h"

#include "output.h"

#include <curses.h>
#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ESCAPE         27
#define REDRAW         ('l' & 0x1f)
#define ESCAPE_WAIT_MS 50 /* for what may follow an escape, which is then another key */
#define SECOND         1000000000ll

static SCREEN *screen;
static FILE *terminal;
static bool colours, utf8;
static sigset_t mask_before;
static struct sigaction stop_before;
static volatile sig_atomic_t stop_asked;

void yk_screen_require(const struct yk_usage *usage)
{
    (void)usage;
}

static void choose_colours(void)
{
    static const short foreground[YK_STYLES] = {
        [YK_GOOD] = COLOR_GREEN, [YK_WARN] = COLOR_YELLOW, [YK_BAD] = COLOR_RED};
    const char *none = getenv("NO_COLOR");

    colours = !(none && none[0] != '\0') && has_colors() && start_color() == OK &&
              use_default_colors() == OK;
    for (short style = 1; colours && style < YK_STYLES; style++)
        init_pair(style, foreground[style] ? foreground[style] : -1, -1);
}

static void block_stop_signals(void)
{
    sigset_t stop;

    sigemptyset(&stop);
    sigaddset(&stop, SIGINT);
    sigaddset(&stop, SIGTERM);
    sigaddset(&stop, SIGHUP);
    sigaddset(&stop, SIGTSTP);
    sigprocmask(SIG_BLOCK, &stop, NULL);
}

/* ---- stopped by the terminal's key ----------------------------------------------------------- */

static void ask_to_stop(int number)
{
    (void)number;
    stop_asked = 1;
}

/*
 * In place of the handler of ncurses, which restores the terminal inside of the handler, whatever
 * this process was just doing. One who started us with it ignored keeps that.
 */
static void catch_stop(void)
{
    struct sigaction action = {.sa_handler = ask_to_stop};

    if (stop_before.sa_handler == SIG_IGN)
        return;
    sigemptyset(&action.sa_mask);
    sigaction(SIGTSTP, &action, NULL);
}

/* As if the signal had its default meaning; in a group that can not be stopped nothing happens. */
static void stop_here(void)
{
    sigset_t mask;

    stop_asked = 0;
    endwin();
    signal(SIGTSTP, SIG_DFL);
    raise(SIGTSTP);
    sigemptyset(&mask);
    sigaddset(&mask, SIGTSTP);
    sigprocmask(SIG_UNBLOCK, &mask, NULL);
    sigprocmask(SIG_BLOCK, &mask, NULL);
    catch_stop();
    clearok(curscr, TRUE);
    refresh();
}

/* ---- the terminal ---------------------------------------------------------------------------- */

bool yk_screen_open(void)
{
    const char *type = getenv("TERM");
    int own = dup(STDOUT_FILENO);

    sigaction(SIGTSTP, NULL, &stop_before);
    setlocale(LC_CTYPE, "");
    utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    terminal = own < 0 ? NULL : fdopen(own, "w");
    screen = terminal ? newterm(NULL, terminal, stdin) : NULL;
    if (!screen) {
        yk_complain("this terminal (TERM is '%.40s') can not be drawn on; --once prints as text",
                    type ? type : "");
        if (terminal)
            fclose(terminal);
        else if (own >= 0)
            close(own);
        return false;
    }
    sigprocmask(SIG_BLOCK, NULL, &mask_before);
    catch_stop();
    block_stop_signals();
    cbreak();
    noecho();
    nonl();
    keypad(stdscr, TRUE);
    nodelay(stdscr, TRUE);
    set_escdelay(ESCAPE_WAIT_MS);
    curs_set(0);
    choose_colours();
    return true;
}

void yk_screen_close(void)
{
    endwin();
    delscreen(screen);
    fclose(terminal);
    sigaction(SIGTSTP, &stop_before, NULL);
    sigprocmask(SIG_SETMASK, &mask_before, NULL);
}

void yk_screen_size(int *ret_rows, int *ret_columns)
{
    getmaxyx(stdscr, *ret_rows, *ret_columns);
}

bool yk_screen_has_utf8(void)
{
    return utf8;
}

void yk_screen_begin(void)
{
    erase();
}

void yk_screen_end(void)
{
    refresh();
}

static chtype attributes_of(int style)
{
    static const chtype plain[YK_STYLES] = {
        [YK_DIM] = A_DIM, [YK_STRONG] = A_BOLD, [YK_TITLE] = A_REVERSE, [YK_BAD] = A_BOLD};
    int kind = style & ~YK_CHOSEN;
    chtype chosen = style & YK_CHOSEN ? A_REVERSE : 0;

    return plain[kind] | chosen | (colours ? COLOR_PAIR(kind) : 0);
}

/* How many bytes of it are `width` characters: each of what is shown here takes one column. */
static int bytes_of(const char *text, int width)
{
    int at = 0;

    while (text[at] && width-- > 0)
        for (at++; (text[at] & 0xc0) == 0x80;)
            at++;
    return at;
}

void yk_screen_put(int row, int column, int width, int style, const char *text)
{
    int rows, columns;

    yk_screen_size(&rows, &columns);
    if (row < 0 || row >= rows || column < 0 || column >= columns || width <= 0)
        return;
    if (width > columns - column)
        width = columns - column;
    attrset((int)attributes_of(style));
    mvaddnstr(row, column, text, bytes_of(text, width));
    attrset(A_NORMAL);
}

/* ---- keys ------------------------------------------------------------------------------------ */

static int key_of(int code)
{
    static const struct {
        int code, key;
    } keys[] = {
        {KEY_UP, YK_KEY_UP},           {KEY_DOWN, YK_KEY_DOWN},
        {KEY_LEFT, YK_KEY_LEFT},       {KEY_PPAGE, YK_KEY_PAGE_UP},
        {KEY_NPAGE, YK_KEY_PAGE_DOWN}, {KEY_HOME, YK_KEY_HOME},
        {KEY_END, YK_KEY_END},         {KEY_ENTER, YK_KEY_ENTER},
        {'\r', YK_KEY_ENTER},          {'\n', YK_KEY_ENTER},
        {ESCAPE, YK_KEY_ESCAPE},       {KEY_BACKSPACE, YK_KEY_BACKSPACE},
        {'\b', YK_KEY_BACKSPACE},      {127, YK_KEY_BACKSPACE},
        {KEY_RESIZE, YK_KEY_RESIZED},
    };

    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (keys[i].code == code)
            return keys[i].key;
    if (code == REDRAW)
        clearok(curscr, TRUE); /* all of it, when it is drawn next */
    return code >= ' ' && code < 127 ? code : YK_KEY_OTHER;
}

/* One that came since the last time is caught here: with a key to be read, ppoll() leaves it pending. */
static void let_stop_signals_in(void)
{
    sigprocmask(SIG_SETMASK, &mask_before, NULL);
    block_stop_signals();
}

int yk_screen_key(int64_t until)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    int64_t left = until - yk_time_monotonic();
    int code = getch(); /* what was read before, and a change of size that was noticed */

    let_stop_signals_in();
    if (stop_asked)
        stop_here();
    if (code != ERR)
        return key_of(code);
    left = left < 0 ? 0 : left;
    int ready =
        ppoll(&input, 1, &(struct timespec){.tv_sec = left / SECOND, .tv_nsec = left % SECOND},
              &mask_before);
    if (stop_asked)
        stop_here();
    if (ready == 1 && input.revents & (POLLHUP | POLLERR | POLLNVAL))
        return YK_KEY_CLOSED;
    code = getch();
    return code == ERR ? YK_KEY_NONE : key_of(code);
}
