/*
 * output.c - what people read: complaints, sizes, ages.
 */
#include "output.h"

#include "cli.h"
#include "inspect.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <yoke.h>

#define SECOND_NS 1000000000ll

#define ADDRESS_SHOWN 160 /* the longest that is put in front of a sentence */

void yk_say(const char *format, va_list arguments)
{
    char *line = NULL;
    int length = vasprintf(&line, format, arguments);

    char *shown = length < 0 ? NULL : malloc((size_t)length + 1);
    if (shown) { /* nobody can be told without memory */
        yk_inspect_hide(shown, (size_t)length + 1, line);
        fprintf(stderr, "yoke: %s", shown);
    }
    free(shown);
    free(line);
}

void yk_complain(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    yk_say(format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
}

int yk_status_of(int error)
{
    switch (error) {
    case -EAGAIN:
    case -ETIMEDOUT:
        return YK_NOTHING;
    case -EOWNERDEAD:
        return YK_DIED;
    case -EINVAL: /* all that the library was given came from the command line */
        return YK_USAGE;
    default:
        return YK_FAILED;
    }
}

/* The answers that need no sentence (full, empty, timed out) leave an older one standing. */
static const char *explain(int error)
{
    bool explained = error != -EAGAIN && error != -ETIMEDOUT && error != -EINTR;

    return explained ? yoke_explain() : yoke_strerror(error);
}

int yk_report(int error)
{
    yk_complain("%s", explain(error));
    return yk_status_of(error);
}

/* What can not be an address is quoted by the sentence, and is not for a terminal as it stands. */
static bool is_presentable(const char *address)
{
    size_t length = strnlen(address, ADDRESS_SHOWN + 1);

    for (size_t i = 0; i < length; i++)
        if (address[i] <= ' ' || address[i] > '~')
            return false;
    return length > 0 && length <= ADDRESS_SHOWN;
}

int yk_report_on(const char *address, int error)
{
    const char *sentence = explain(error);
    char shown[ADDRESS_SHOWN + 2];

    yk_inspect_hide(shown, sizeof shown, address);
    if (strchr(shown, '@') !=
        strrchr(shown, '@')) /* a place of another form, with a login in it? */
        shown[strcspn(shown, "@")] = '\0';
    if (!is_presentable(shown) || strstr(sentence, shown))
        return yk_report(error);
    yk_complain("%s: %s", shown, sentence);
    return yk_status_of(error);
}

/* Where stdout leads meanwhile, and did before. */
static int captured = -1, before_capture = -1;

static _Noreturn void fail_to_capture(void)
{
    yk_complain("what is to be shown can not be kept in memory: %s", strerror(errno));
    exit(YK_FAILED);
}

void yk_capture_begin(void)
{
    fflush(stdout);
    captured = memfd_create("yoke-text", MFD_CLOEXEC);
    before_capture = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    if (captured < 0 || before_capture < 0 || dup2(captured, STDOUT_FILENO) < 0)
        fail_to_capture();
}

char *yk_capture_end(size_t *ret_size)
{
    fflush(stdout);
    off_t size = lseek(captured, 0, SEEK_END);
    char *text = yk_grow(NULL, (size_t)size + 1);
    ssize_t got = pread(captured, text, (size_t)size, 0);

    if (got != size || dup2(before_capture, STDOUT_FILENO) < 0)
        fail_to_capture();
    close(before_capture);
    close(captured);
    text[size] = '\0';
    *ret_size = (size_t)size;
    return text;
}

bool yk_can_print_in_place(void)
{
    const char *terminal = getenv("TERM");

    return isatty(STDOUT_FILENO) && terminal && terminal[0] != '\0' &&
           strcmp(terminal, "dumb") != 0;
}

void yk_print_in_place(const char *text)
{
    struct winsize size = {.ws_row = 0};
    int rows = 24, columns = 80;

    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0) {
        rows = size.ws_row;
        columns = size.ws_col;
    }
    fputs("\033[H", stdout);
    for (int row = 0; *text && row < rows - 1; row++) { /* the cursor stands in the last one */
        int length = (int)strcspn(text, "\n");
        printf("%.*s\033[K\n", length < columns ? length : columns - 1, text);
        text += length + (text[length] == '\n');
    }
    fputs("\033[J", stdout);
}

const char *yk_plural(uint64_t count, const char *one, const char *many)
{
    return count == 1 ? one : many;
}

_Noreturn void yk_out_of_memory(void)
{
    yk_complain("out of memory");
    exit(YK_FAILED);
}

void *yk_grow(void *memory, size_t size)
{
    void *grown = realloc(memory, size);

    if (!grown)
        yk_out_of_memory();
    return grown;
}

int yk_flush_output(void)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return 0;
    int error = errno ? errno : EIO;
    yk_complain("cannot write to standard output: %s", strerror(error));
    return -error;
}

char *yk_format_size(char text[YK_SIZE_TEXT], uint64_t bytes)
{
    static const char units[] = "KMGTPE";
    double value = (double)bytes / 1024;
    size_t unit = 0;

    if (bytes < 1024) {
        snprintf(text, YK_SIZE_TEXT, "%u", (unsigned)bytes);
        return text;
    }
    /* 999.5 and more would be printed with four digits. */
    while (value >= 999.5 && units[unit + 1] != '\0') {
        value /= 1024;
        unit++;
    }
    snprintf(text, YK_SIZE_TEXT, value < 9.95 ? "%.1f%c" : "%.0f%c", value, units[unit]);
    return text;
}

char *yk_format_size_exact(char text[YK_SIZE_TEXT], uint64_t bytes)
{
    static const char units[] = "KMGTPE";
    size_t unit = 0;

    if (bytes == 0 || bytes % 1024 != 0) {
        snprintf(text, YK_SIZE_TEXT, "%llu", (unsigned long long)bytes);
        return text;
    }
    for (bytes /= 1024; bytes % 1024 == 0; bytes /= 1024)
        unit++;
    snprintf(text, YK_SIZE_TEXT, "%llu%c", (unsigned long long)bytes, units[unit]);
    return text;
}

char *yk_format_duration(char text[YK_AGE_TEXT], int64_t ns)
{
    long long seconds = ns / SECOND_NS;
    long long minutes = seconds / 60, hours = minutes / 60, days = hours / 24;

    if (ns < 1000000)
        snprintf(text, YK_AGE_TEXT, "%lldus", (long long)ns / 1000);
    else if (seconds < 1)
        snprintf(text, YK_AGE_TEXT, "%lldms", (long long)ns / 1000000);
    else if (minutes < 1)
        snprintf(text, YK_AGE_TEXT, "%llds", seconds);
    else if (hours < 1)
        snprintf(text, YK_AGE_TEXT, "%lldm%llds", minutes, seconds % 60);
    else if (days < 1)
        snprintf(text, YK_AGE_TEXT, "%lldh%lldm", hours, minutes % 60);
    else
        snprintf(text, YK_AGE_TEXT, "%lldd%lldh", days, hours % 24);
    return text;
}

char *yk_format_time(char text[YK_TIME_TEXT], int64_t ns)
{
    static const char *const units[] = {"ns", "us", "ms", "s"};
    double value = (double)ns;
    int unit = 0;

    for (; value >= 999.5 && unit < 3; unit++)
        value /= 1000;
    snprintf(text, YK_TIME_TEXT, value < 9.95 && unit > 0 ? "%.1f%s" : "%.0f%s", value,
             units[unit]);
    return text;
}

char *yk_format_age(char text[YK_AGE_TEXT], int64_t since_ns)
{
    int64_t age = yk_time_real() - since_ns;

    if (since_ns > 0 && age >= 0)
        return yk_format_duration(text, age);
    snprintf(text, YK_AGE_TEXT, "-");
    return text;
}

char *yk_format_rate(char text[YK_RATE_TEXT], double per_second)
{
    const char *unit = "";

    if (per_second >= 999500) {
        per_second /= 1e6;
        unit = "M";
    } else if (per_second >= 9995) {
        per_second /= 1e3;
        unit = "k";
    }
    snprintf(text, YK_RATE_TEXT, per_second < 99.95 && per_second > 0 ? "%.1f%s/s" : "%.0f%s/s",
             per_second, unit);
    return text;
}

char *yk_format_byte_rate(char text[YK_RATE_TEXT], double per_second)
{
    char size[YK_SIZE_TEXT];

    snprintf(text, YK_RATE_TEXT, "%sB/s", yk_format_size(size, (uint64_t)per_second));
    return text;
}

char *yk_format_user(char text[YK_OWNER_TEXT], uint32_t uid)
{
    struct passwd *user = getpwuid((uid_t)uid);

    if (user)
        snprintf(text, YK_OWNER_TEXT, "%s", user->pw_name);
    else
        snprintf(text, YK_OWNER_TEXT, "%u", uid);
    return text;
}

char *yk_format_group(char text[YK_OWNER_TEXT], uint32_t gid)
{
    struct group *group = getgrgid((gid_t)gid);

    if (group)
        snprintf(text, YK_OWNER_TEXT, "%s", group->gr_name);
    else
        snprintf(text, YK_OWNER_TEXT, "%u", gid);
    return text;
}

static int64_t read_clock(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * SECOND_NS + now.tv_nsec;
}

int64_t yk_time_real(void)
{
    return read_clock(CLOCK_REALTIME);
}

int64_t yk_time_monotonic(void)
{
    return read_clock(CLOCK_MONOTONIC);
}
