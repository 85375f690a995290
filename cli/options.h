/*
 * options.h - options and their values, the same way in every command.
 *
 * Whatever is wrong, these functions say what was given and what is allowed on stderr and end the
 * process with YK_USAGE. So they are for the time before a command has opened anything.
 */
#ifndef YK_OPTIONS_H
#define YK_OPTIONS_H

#include <getopt.h>
#include <stddef.h>
#include <stdint.h>

/* What a command is called ("port create") and the text of its --help. */
struct yk_usage {
    const char *name;
    const char *help;
};

/* Numbers of options without a letter start here. */
#define YK_OPTION_FIRST 256
#define YK_OPTION_HELP  'h'
/* The last rows of every command's options. */
/* clang-format off */
#define YK_OPTION_END                            \
    {"help", no_argument, NULL, YK_OPTION_HELP}, \
    {NULL, 0, NULL, 0}
/* clang-format on */

_Noreturn void yk_usage_error(const struct yk_usage *usage, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * The next option's number, or -1 when only arguments are left, from argv[optind] on. `letters`
 * lists the short ones as for getopt(). --help is dealt with here: it prints the text and ends the
 * process.
 */
int yk_option_next(const struct yk_usage *usage, int argc, char **argv, const char *letters,
                   const struct option *options);

/*
 * Refuses when there are fewer arguments left than `least` or more than `most`; `what` names them.
 */
void yk_arguments_check(const struct yk_usage *usage, int argc, int least, int most,
                        const char *what);

/* The values below are given as `text` to `option` ("--size"). */

/* A number of bytes: 4096, 4K, 64M, 1G, 1T. */
uint64_t yk_parse_size(const struct yk_usage *usage, const char *option, const char *text,
                       uint64_t least, uint64_t most);

/* A plain decimal number. */
uint64_t yk_parse_number(const struct yk_usage *usage, const char *option, const char *text,
                         uint64_t least, uint64_t most);

/*
 * A time: 5s, 1.5s, 100ms, 250us, 2m, 1h; 5 is seconds, too. Nanoseconds; YOKE_FOREVER for
 * "forever".
 */
int64_t yk_parse_duration(const struct yk_usage *usage, const char *option, const char *text);

/* The same above 0, between two looks. */
int64_t yk_parse_interval(const struct yk_usage *usage, const char *option, const char *text);
/*
 * What goes with --watch, an option with an optional argument: --watch=T, or --watch and T if what
 * comes next is a time and nothing else, or `otherwise`.
 */
int64_t yk_parse_watch(const struct yk_usage *usage, int argc, char **argv, int64_t otherwise);

/* Permission bits in octal, such as 0640. Never 0, which would stand for the default. */
uint32_t yk_parse_mode(const struct yk_usage *usage, const char *option, const char *text);

/* A group's name or number. */
int64_t yk_parse_group(const struct yk_usage *usage, const char *option, const char *text);

/* A UNIX signal: TERM, SIGTERM, 15, RTMIN, RTMIN+2, RTMAX-1. */
int yk_parse_unix_signal(const struct yk_usage *usage, const char *option, const char *text);
#define YK_UNIX_SIGNAL_TEXT 24
/* The other way round: "TERM", "RTMIN+2". */
const char *yk_unix_signal_name(char text[YK_UNIX_SIGNAL_TEXT], int number);

/* The address of what messages go through, or come from: refuses a region, a peer or its signals. */
const char *yk_parse_endpoint(const struct yk_usage *usage, const char *text);

/* A bare name to create an object of `kind` by: refuses one that carries a kind already. */
const char *yk_parse_bare_name(const struct yk_usage *usage, const char *kind, const char *text);

#endif
