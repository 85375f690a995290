/*
 * progress.c - see progress.h.
 */
#include "progress.h"

#include "output.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define SECOND 1000000000ll

void yk_progress_begin(struct yk_progress *progress, bool wanted)
{
    *progress = (struct yk_progress){
        .on = wanted && isatty(STDERR_FILENO), .begun = yk_time_monotonic(), .said = 0};
}

bool yk_progress_is_due(const struct yk_progress *progress)
{
    int64_t now = yk_time_monotonic();

    return progress->on && now - progress->begun >= SECOND &&
           now - progress->said >= YK_PROGRESS_LOOK;
}

double yk_progress_seconds(const struct yk_progress *progress)
{
    return (double)(yk_time_monotonic() - progress->begun) / (double)SECOND;
}

/* One that is longer than the terminal's line would not be written over. */
static int room(void)
{
    struct winsize size = {.ws_col = 0};

    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col - 1 : 79;
}

void yk_progress_say(struct yk_progress *progress, const char *format, ...)
{
    char text[256];
    int most = room(), length;
    va_list arguments;

    if (!progress->on)
        return;
    va_start(arguments, format);
    length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    length = length < most ? length : most;
    /* with spaces over what is left of the last one, which any terminal can */
    fprintf(stderr, "\r%-*.*s", progress->length, length, text);
    progress->length = length;
    progress->said = yk_time_monotonic();
}

void yk_progress_clear(struct yk_progress *progress)
{
    if (progress->said)
        fprintf(stderr, "\r%*s\r", progress->length, "");
    progress->said = 0;
}

void yk_progress_keep(struct yk_progress *progress)
{
    if (progress->said)
        fputc('\n', stderr);
    progress->said = 0;
}
