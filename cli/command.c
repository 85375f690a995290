/*
 * command.c - finding a command by its name, and guessing which one a wrong name meant.
 */
#include "cli.h"
#include "options.h"
#include "output.h"

#include <stdio.h>
#include <string.h>

/* Longer words are compared by this much of their beginning; no command comes near it. */
#define WORD_MAX 24

static const struct yk_command *find(const struct yk_command *commands, const char *name)
{
    for (const struct yk_command *command = commands; command->name; command++)
        if (strcmp(command->name, name) == 0)
            return command;
    return NULL;
}

static size_t min3(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;
    return least < c ? least : c;
}

/* How many letters must be added, removed, changed or swapped with their neighbour. */
static size_t distance(const char *a, const char *b)
{
    size_t m = strnlen(a, WORD_MAX), n = strnlen(b, WORD_MAX);
    size_t d[WORD_MAX + 1][WORD_MAX + 1];

    for (size_t i = 0; i <= m; i++)
        d[i][0] = i;
    for (size_t j = 0; j <= n; j++)
        d[0][j] = j;
    for (size_t i = 1; i <= m; i++) {
        for (size_t j = 1; j <= n; j++) {
            size_t change = a[i - 1] != b[j - 1];
            d[i][j] = min3(d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + change);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                d[i - 2][j - 2] + 1 < d[i][j])
                d[i][j] = d[i - 2][j - 2] + 1;
        }
    }
    return d[m][n];
}

static const struct yk_command *nearest(const struct yk_command *commands, const char *name)
{
    const struct yk_command *best = NULL;
    size_t least =
        strnlen(name, WORD_MAX) / 2 + 1; /* further away it is no longer a slip of a finger */

    for (const struct yk_command *command = commands; command->name; command++) {
        size_t away = distance(command->name, name);
        if (away < least || (away == least && !best)) {
            least = away;
            best = command;
        }
    }
    return best;
}

static int refuse(const struct yk_command *commands, const char *group, const char *name)
{
    const struct yk_command *meant = nearest(commands, name);

    if (meant)
        yk_complain("there is no command '%s%s'; did you mean '%s%s'?", group, name, group,
                    meant->name);
    else
        yk_complain("there is no command '%s%s' (see 'yoke %s--help')", group, name, group);
    return YK_USAGE;
}

int yk_command_run(const struct yk_command *commands, const char *group, int argc, char **argv)
{
    const struct yk_command *command = find(commands, argv[1]);

    if (!command)
        return refuse(commands, group, argv[1]);
    return command->main(argc - 1, argv + 1);
}

int yk_command_run_group(const struct yk_command *commands, const struct yk_usage *usage, int argc,
                         char **argv)
{
    static const struct option only_help[] = {YK_OPTION_END};
    char group[32];

    if (argc > 1 && argv[1][0] == '-')
        (void)yk_option_next(usage, argc, argv, "+:h", only_help);
    if (argc < 2 || argv[1][0] == '-')
        yk_usage_error(usage, "%s: command missing, such as 'yoke %s %s'", usage->name, usage->name,
                       commands->name);
    snprintf(group, sizeof group, "%s ", usage->name);
    return yk_command_run(commands, group, argc, argv);
}
