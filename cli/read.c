/*
 * read.c - yoke read: a stream flows to standard output.
 */
#include "cli.h"
#include "flow.h"

#include <unistd.h>

static const struct yk_usage usage = {
    "read",
    "Usage: yoke read stream:NAME [OPTION...] > FILE\n"
    "Reads a stream to its end, and writes the bytes to standard output. It ends when\n"
    "the last writer closed it, or died, and waits for the first one to come. The\n"
    "stream is made, and kept, if there is none. On a terminal (standard error) it\n"
    "shows how much came and how fast.\n\n"
    "  --timeout T      how long nothing may come: 100ms, 5s; 0: not at all (forever)\n" YK_FLOW_HELP
    "  --json           print {\"read\": N, \"seconds\": S} on standard error at the end\n"
    "\n"
    "Exit status 3: nothing came in the time given; 4: the last writer died: what it\n"
    "wrote is there, but it may have had more to write.\n"
    "\n"
    "Example:\n"
    "  yoke read stream:log > copy\n"
    "  yoke read stream:backup --transient | tar x -C /mnt\n",
};

int yk_read_main(int argc, char **argv)
{
    struct yk_flow flow = {.usage = &usage, .timeout = YOKE_FOREVER, .options = YOKE_OPTIONS_INIT};

    yk_flow_parse(&flow, argc, argv);
    return yk_flow_run(&flow, STDOUT_FILENO);
}
