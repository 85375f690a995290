/*
 * options.c - options and their values, the same way in every command.
 */
#include "options.h"

#include "cli.h"
#include "output.h"

#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yoke.h>

#define SECOND_NS 1000000000u

_Noreturn void yk_usage_error(const struct yk_usage *usage, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    yk_say(format, arguments);
    va_end(arguments);
    fprintf(stderr, " (see 'yoke %s --help')\n", usage->name);
    exit(YK_USAGE);
}

static _Noreturn void show_help(const struct yk_usage *usage)
{
    fputs(usage->help, stdout);
    exit(yk_flush_output() < 0 ? YK_FAILED : YK_DONE);
}

/* getopt's '?' stands for three mistakes; optopt tells which. */
static _Noreturn void refuse_option(const struct yk_usage *usage, char **argv, const char *letters)
{
    const char *word = argv[optind - 1];

    if (optopt == 0)
        yk_usage_error(usage, "%s: unknown or ambiguous option '%s'", usage->name, word);
    if (optopt >= YK_OPTION_FIRST || strchr(letters, optopt))
        yk_usage_error(usage, "%s: '%s' takes no value", usage->name, word);
    yk_usage_error(
        usage, "%s: unknown option '-%c'; what begins with '-' and is no option goes after '--'",
        usage->name, optopt);
}

int yk_option_next(const struct yk_usage *usage, int argc, char **argv, const char *letters,
                   const struct option *options)
{
    int option;

    opterr = 0;
    option = getopt_long(argc, argv, letters, options, NULL);
    if (option == YK_OPTION_HELP)
        show_help(usage);
    if (option == ':')
        yk_usage_error(usage, "%s: '%s' needs a value", usage->name, argv[optind - 1]);
    if (option == '?')
        refuse_option(usage, argv, letters);
    return option;
}

void yk_arguments_check(const struct yk_usage *usage, int argc, int least, int most,
                        const char *what)
{
    if (argc - optind < least)
        yk_usage_error(usage, "%s: %s missing", usage->name, what);
    if (argc - optind > most)
        yk_usage_error(usage, "%s: too many arguments, %d where %d %s allowed", usage->name,
                       argc - optind, most, most == 1 ? "is" : "are");
}

/* The digits that `text` begins with; false when there are none or they exceed 64 bits. */
static bool scan_digits(const char *text, uint64_t *ret_value, const char **ret_rest)
{
    char *rest;

    /* strtoull() itself would take spaces and signs, and turn -1 into a huge number. */
    if (!isdigit((unsigned char)*text))
        return false;
    errno = 0;
    *ret_value = strtoull(text, &rest, 10);
    *ret_rest = rest;
    return errno == 0;
}

/* By how many bits a size's unit shifts; -1 for what is none. */
static int size_shift(const char *unit)
{
    static const char letters[] = "KMGT";
    const char *found;

    if (*unit == '\0')
        return 0;
    found = strchr(letters, toupper((unsigned char)*unit));
    if (!found || (unit[1] != '\0' && strcmp(unit + 1, "iB") != 0))
        return -1;
    return 10 * (int)(found - letters + 1);
}

uint64_t yk_parse_size(const struct yk_usage *usage, const char *option, const char *text,
                       uint64_t least, uint64_t most)
{
    char low[YK_SIZE_TEXT], high[YK_SIZE_TEXT];
    uint64_t number;
    const char *unit;
    int shift;

    if (scan_digits(text, &number, &unit)) {
        shift = size_shift(unit);
        if (shift >= 0 && number <= UINT64_MAX >> shift && number << shift >= least &&
            number << shift <= most)
            return number << shift;
    }
    yk_usage_error(usage, "%s '%s': not a size from %s to %s, such as 4096, 4K, 64M or 1G", option,
                   text, yk_format_size_exact(low, least), yk_format_size_exact(high, most));
}

uint64_t yk_parse_number(const struct yk_usage *usage, const char *option, const char *text,
                         uint64_t least, uint64_t most)
{
    uint64_t number;
    const char *rest;

    if (scan_digits(text, &number, &rest) && *rest == '\0' && number >= least && number <= most)
        return number;
    yk_usage_error(usage, "%s '%s': not a whole number from %llu to %llu", option, text,
                   (unsigned long long)least, (unsigned long long)most);
}

/* A duration's unit in nanoseconds; 0 for what is none. */
static uint64_t duration_unit(const char *text)
{
    static const struct {
        const char *name;
        uint64_t ns;
    } units[] = {
        {"", SECOND_NS},
        {"s", SECOND_NS},
        {"ms", 1000000},
        {"us", 1000},
        {"ns", 1},
        {"m", 60ull * SECOND_NS},
        {"h", 3600ull * SECOND_NS},
    };

    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (strcmp(units[i].name, text) == 0)
            return units[i].ns;
    return 0;
}

/* Up to nine digits behind a point, as billionths. */
static const char *scan_fraction(const char *text, uint64_t *ret_billionths)
{
    uint64_t weight = SECOND_NS / 10;

    *ret_billionths = 0;
    if (text[0] != '.' || !isdigit((unsigned char)text[1]))
        return text;
    for (text++; isdigit((unsigned char)*text) && weight > 0; text++, weight /= 10)
        *ret_billionths += (uint64_t)(*text - '0') * weight;
    return text;
}

static bool scan_duration(const char *text, int64_t *ret)
{
    uint64_t whole, billionths, unit, ns;
    const char *rest;

    if (!scan_digits(text, &whole, &rest))
        return false;
    rest = scan_fraction(rest, &billionths);
    unit = duration_unit(rest);
    /* One unit less than the whole range, so that the fraction fits, too. */
    if (unit == 0 || whole >= (uint64_t)INT64_MAX / unit)
        return false;
    /* An hour's billionths times its nanoseconds exceed 64 bits; half a microsecond does not matter. */
    ns = unit >= SECOND_NS ? billionths * (unit / SECOND_NS) : billionths * unit / SECOND_NS;
    *ret = (int64_t)(whole * unit + ns);
    return true;
}

int64_t yk_parse_interval(const struct yk_usage *usage, const char *option, const char *text)
{
    int64_t ns;

    if (scan_duration(text, &ns) && ns > 0)
        return ns;
    yk_usage_error(usage, "%s '%s': not a time above 0, such as 1s or 250ms", option, text);
}

int64_t yk_parse_watch(const struct yk_usage *usage, int argc, char **argv, int64_t otherwise)
{
    int64_t ns;

    if (optarg)
        return yk_parse_interval(usage, "--watch", optarg);
    if (optind >= argc || !scan_duration(argv[optind], &ns))
        return otherwise;
    return yk_parse_interval(usage, "--watch", argv[optind++]);
}

int64_t yk_parse_duration(const struct yk_usage *usage, const char *option, const char *text)
{
    int64_t ns;

    if (strcmp(text, "forever") == 0)
        return YOKE_FOREVER;
    if (scan_duration(text, &ns))
        return ns;
    yk_usage_error(usage, "%s '%s': not a time, such as 0, 250us, 100ms, 5s, 2m, 1h or forever",
                   option, text);
}

uint32_t yk_parse_mode(const struct yk_usage *usage, const char *option, const char *text)
{
    size_t length = strlen(text);
    unsigned long mode;

    if (length > 0 && length <= 5 && strspn(text, "01234567") == length) {
        mode = strtoul(text, NULL, 8);
        if (mode != 0 && (mode & ~0666ul) == 0)
            return (uint32_t)mode;
    }
    yk_usage_error(usage,
                   "%s '%s': not permission bits in octal, such as 0600 or 0640 "
                   "(read and write only)",
                   option, text);
}

int64_t yk_parse_group(const struct yk_usage *usage, const char *option, const char *text)
{
    struct group *group = getgrnam(text);
    uint64_t number;
    const char *rest;

    if (group)
        return (int64_t)group->gr_gid;
    /* The highest number means "unchanged" to chown(2). */
    if (scan_digits(text, &number, &rest) && *rest == '\0' && number < UINT32_MAX)
        return (int64_t)number;
    yk_usage_error(usage, "%s '%s': neither a group's name nor its number", option, text);
}

/* "+2" or "-1" behind RTMIN or RTMAX, within what there is; or nothing. */
static int offset_signal(const char *offset, int from)
{
    uint64_t distance = 0;
    const char *rest = offset;

    if ((*offset == '+' || *offset == '-') &&
        (!scan_digits(offset + 1, &distance, &rest) || distance > 64))
        return 0;
    if (*rest != '\0')
        return 0;
    int number = *offset == '-' ? from - (int)distance : from + (int)distance;
    return number >= SIGRTMIN && number <= SIGRTMAX ? number : 0;
}

static int named_signal(const char *name)
{
    for (int number = 1; number < SIGRTMIN; number++) {
        const char *known = sigabbrev_np(number);
        if (known && strcmp(known, name) == 0)
            return number;
    }
    if (strncmp(name, "RTMIN", 5) == 0)
        return offset_signal(name + 5, SIGRTMIN);
    return strncmp(name, "RTMAX", 5) == 0 ? offset_signal(name + 5, SIGRTMAX) : 0;
}

int yk_parse_unix_signal(const struct yk_usage *usage, const char *option, const char *text)
{
    uint64_t number;
    const char *rest;

    if (!scan_digits(text, &number, &rest) || *rest != '\0')
        number = (uint64_t)named_signal(strncmp(text, "SIG", 3) == 0 ? text + 3 : text);
    if (number == 0 || number > (uint64_t)SIGRTMAX)
        yk_usage_error(usage, "%s '%s': not a UNIX signal, such as TERM, 15 or RTMIN+2", option,
                       text);
    return (int)number;
}

const char *yk_unix_signal_name(char text[YK_UNIX_SIGNAL_TEXT], int number)
{
    const char *known = sigabbrev_np(number);

    if (number >= SIGRTMIN && number <= SIGRTMAX)
        snprintf(text, YK_UNIX_SIGNAL_TEXT, "RTMIN+%d", number - SIGRTMIN);
    else if (known)
        snprintf(text, YK_UNIX_SIGNAL_TEXT, "%s", known);
    else
        snprintf(text, YK_UNIX_SIGNAL_TEXT, "%d", number);
    return text;
}

const char *yk_parse_endpoint(const struct yk_usage *usage, const char *text)
{
    if (strncmp(text, "region:", 7) == 0)
        yk_usage_error(usage, "%s: %s is memory, messages go through a port", usage->name, text);
    if (strncmp(text, "peer:", 5) == 0)
        yk_usage_error(usage, "%s: %s is a process, messages go through a link to it", usage->name,
                       text);
    if (strncmp(text, "stream:", 7) == 0)
        yk_usage_error(usage, "%s: %s has bytes, not messages: yoke write and yoke read",
                       usage->name, text);
    if (strncmp(text, "signals:", 8) == 0)
        yk_usage_error(usage, "%s: %s is a peer's inbox: 'yoke signal' and 'yoke wait --as'",
                       usage->name, text);
    return text;
}

const char *yk_parse_bare_name(const struct yk_usage *usage, const char *kind, const char *text)
{
    size_t length = strlen(kind);

    if (strncmp(text, kind, length) == 0 && text[length] == ':')
        yk_usage_error(usage, "'%s': creating takes the bare name, '%s'", text, text + length + 1);
    return text;
}
