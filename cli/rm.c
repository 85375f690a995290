/*
 * rm.c - yoke rm: removes objects.
 */
#include "cli.h"
#include "options.h"
#include "output.h"

#include <yoke.h>

static const struct yk_usage usage = {
    "rm",
    "Usage: yoke rm ADDRESS...\n"
    "Removes regions and ports: the name is free at once, the memory when the last\n"
    "process that has it open lets go. No user of it is disturbed.\n\n"
    "What can not be removed is reported; the others are removed all the same.\n"
    "\n"
    "Example:\n"
    "  yoke rm port:jobs region:frames\n",
};

static const struct option options[] = {YK_OPTION_END};

int yk_rm_main(int argc, char **argv)
{
    int status = YK_DONE;

    while (yk_option_next(&usage, argc, argv, ":h", options) >= 0)
        ;
    yk_arguments_check(&usage, argc, 1, argc, "ADDRESS");
    for (int i = optind; i < argc; i++) {
        int result = yoke_remove(argv[i]);
        if (result < 0) {
            int failure = yk_report_on(argv[i], result);
            status = status ? status : failure; /* the first one counts */
        }
    }
    return status;
}
