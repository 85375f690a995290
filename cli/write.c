/*
 * write.c - yoke write: standard input flows into a stream.
 */
#include "cli.h"
#include "flow.h"

#include <unistd.h>

static const struct yk_usage usage = {
    "write",
    "Usage: yoke write stream:NAME [OPTION...] < FILE\n"
    "Writes standard input, whatever bytes it has, into a stream, and waits while the\n"
    "stream is full. The stream is made, and kept, if there is none. On a terminal it\n"
    "shows how much went, how fast, and of a file how long the rest takes.\n\n"
    "  --timeout T      how long nothing may go: 100ms, 5s; 0: not at all (forever)\n" YK_FLOW_HELP
    "  --json           print {\"written\": N, \"seconds\": S} at the end\n"
    "\n"
    "Exit status 1: the last reader closed; 3: nothing went in the time given; 4: the\n"
    "last reader died. What was written before stays written.\n"
    "\n"
    "Example:\n"
    "  yoke write stream:log < file\n"
    "  tar c . | yoke write stream:backup --transient\n",
};

int yk_write_main(int argc, char **argv)
{
    struct yk_flow flow = {
        .usage = &usage, .timeout = YOKE_FOREVER, .writing = true, .options = YOKE_OPTIONS_INIT};

    yk_flow_parse(&flow, argc, argv);
    return yk_flow_run(&flow, STDIN_FILENO);
}
