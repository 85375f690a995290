/*
 * log.c - see log.h.
 *
 * $YOKE_LOG is read once, when there is something to say for the first time. A setuid program does not
 * listen to it: its standard error may be a file that its caller could not write.
 */
#include "base/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"

#define STANDARD_ERROR 2
#define LINE_MOST      640 /* less than PIPE_BUF: a line in a pipe stays whole */

static bool wanted;

static void write_line(const char *format, va_list arguments)
{
    char line[LINE_MOST];
    size_t most = sizeof line - 1; /* there is always room for the end of the line */
    size_t length = (size_t)snprintf(line, most, "yoke[%d]: ", yk_sys_process_id());
    int text = vsnprintf(line + length, most - length, format, arguments);
    if (text < 0)
        return;
    length += strlen(line + length);
    for (size_t i = 0; i < length; i++) {
        if ((unsigned char)line[i] < ' ' || line[i] == 127)
            line[i] = '?';
    }
    line[length++] = '\n';
    /* who waits here may be in the midst of a recovery, and in everybody's way */
    if (yk_sys_poll_for(STANDARD_ERROR, true, 0) > 0)
        yk_sys_write(STANDARD_ERROR, line, length);
}

static void say(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_line(format, arguments);
    va_end(arguments);
}

static void read_environment(void)
{
    const char *value = secure_getenv("YOKE_LOG");
    if (!value || !*value || strcmp(value, "off") == 0)
        return;
    wanted = strcmp(value, "debug") == 0;
    if (!wanted)
        say("YOKE_LOG is '%.100s', which is neither debug nor off: nothing is logged", value);
}

void yk_log(const char *format, ...)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    va_list arguments;
    pthread_once(&once, read_environment);
    if (!wanted)
        return;
    va_start(arguments, format);
    write_line(format, arguments);
    va_end(arguments);
}
