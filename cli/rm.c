/*
 * rm.c - yoke rm: removes objects.
 */
#include "cli.h"
#include "link.h"
#include "options.h"
#include "output.h"

#include <yoke.h>

static const struct yk_usage usage = {
    "rm",
    "Usage: yoke rm [--as NAME] ADDRESS...\n"
    "Removes regions, ports, links and streams: the name is free at once, the memory\n"
    "when the last process that has it open lets go. No user of it is disturbed.\n\n"
    "  --as NAME    of link:OTHER: the one of NAME; the same as link:NAME/OTHER\n\n"
    "What can not be removed is reported; the others are removed all the same.\n"
    "\n"
    "Example:\n"
    "  yoke rm port:jobs region:frames\n",
};

enum { AS = YK_OPTION_FIRST };

static const struct option options[] = {{"as", required_argument, NULL, AS}, YK_OPTION_END};

int yk_rm_main(int argc, char **argv)
{
    char link[YK_LINK_ADDRESS];
    const char *as = NULL;
    int status = YK_DONE;

    while (yk_option_next(&usage, argc, argv, ":h", options) >= 0)
        as = optarg;
    yk_arguments_check(&usage, argc, 1, argc, "ADDRESS");
    for (int i = optind; i < argc; i++) {
        int result = yoke_remove(yk_link_whole(&usage, link, argv[i], as));
        if (result < 0) {
            int failure = yk_report_on(argv[i], result);
            status = status ? status : failure; /* the first one counts */
        }
    }
    return status;
}
