/*
 * signal.c - yoke signal: a signal to a peer, yoke's own or one of UNIX.
 */
#include "cli.h"
#include "link.h"
#include "options.h"
#include "output.h"
#include "stop.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>
#include <yoke.h>

#define RETRY_NS 5000000

static const struct yk_usage usage = {
    "signal",
    "Usage: yoke signal ADDRESS NUMBER [OPTION...]\n"
    "       yoke signal ADDRESS --unix SIGNAL [OPTION...]\n"
    "Sends peer:NAME (or peer:NAME@PLACE) a signal: a number, and a value of 64\n"
    "bits; 'yoke wait --as NAME' receives it. Or (--unix) one of the kernel's own,\n"
    "to the process that is proven to hold the name, never to a pid used again.\n\n"
    "  --as NAME      the peer as which it is sent\n"
    "  --value N      the value (0); of UNIX signals RTMIN to RTMAX have one\n"
    "  --unix SIGNAL  sends this UNIX signal: TERM, 15, RTMIN+2\n"
    "  --timeout T    how long to wait until the peer takes signals and has room (0)\n"
    "\n"
    "Exit status 3: its queue is full; with --timeout: it was not so in that time.\n"
    "\n"
    "Example:\n"
    "  yoke signal --as alice peer:bob 7 --value 42\n",
};

enum { AS = YK_OPTION_FIRST, VALUE, UNIX, TIMEOUT };

static const struct option options[] = {
    {"as", required_argument, NULL, AS},
    {"value", required_argument, NULL, VALUE},
    {"unix", required_argument, NULL, UNIX},
    {"timeout", required_argument, NULL, TIMEOUT},
    YK_OPTION_END,
};

struct request {
    const char *as; /* NULL: nobody in particular */
    const char *address;
    uint32_t number;
    int unix_signal; /* 0: none */
    bool has_value;
    uint64_t value;
    int64_t timeout;
};

static void take_option(struct request *request, int option)
{
    switch (option) {
    case AS:
        request->as = yk_parse_as_somewhere(&usage, optarg);
        break;
    case VALUE:
        request->value = yk_parse_number(&usage, "--value", optarg, 0, UINT64_MAX);
        request->has_value = true;
        break;
    case UNIX:
        request->unix_signal = yk_parse_unix_signal(&usage, "--unix", optarg);
        break;
    default:
        request->timeout = yk_parse_duration(&usage, "--timeout", optarg);
        break;
    }
}

static void parse(struct request *request, int argc, char **argv)
{
    int option;

    while ((option = yk_option_next(&usage, argc, argv, ":h", options)) >= 0)
        take_option(request, option);
    if (request->unix_signal)
        yk_arguments_check(&usage, argc, 1, 1, "ADDRESS");
    else
        yk_arguments_check(&usage, argc, 2, 2, "ADDRESS and NUMBER");
    request->address = argv[optind];
    if (strncmp(request->address, "peer:", 5) != 0)
        yk_usage_error(&usage, "signal: '%.160s' is not a peer, such as peer:bob",
                       request->address);
    if (!request->unix_signal)
        request->number =
            (uint32_t)yk_parse_number(&usage, "NUMBER", argv[optind + 1], 0, UINT32_MAX);
    if (request->unix_signal && request->as)
        yk_usage_error(&usage, "signal: a UNIX signal does not carry the name of --as");
}

static int send_once(const struct request *request, yoke_peer *from)
{
    if (!request->unix_signal)
        return yoke_signal_send(from, request->address, request->number, request->value);
    if (request->has_value)
        return yoke_signal_queue(request->address, request->unix_signal, request->value);
    return yoke_signal_kill(request->address, request->unix_signal);
}

/* May it be otherwise a little later? */
static bool may_change(int result)
{
    return result == -EAGAIN || result == -ENOENT || result == -ENOTSUP;
}

/* Says why not, and for how long. */
static int report(const struct request *request, int result)
{
    bool timed = may_change(result) && request->timeout != YOKE_NOW;
    /* a full queue has its sentence, too */
    int status = result == -EAGAIN || timed ? YK_NOTHING : yk_status_of(result);

    yk_complain("%s", yoke_explain());
    return status;
}

static int send(const struct request *request, yoke_peer *from)
{
    const struct timespec nap = {0, RETRY_NS};
    int64_t start = yk_time_monotonic();
    int result;

    while (may_change(result = send_once(request, from)) && !yk_stop_signal() &&
           (request->timeout < 0 || yk_time_monotonic() - start < request->timeout))
        nanosleep(&nap, NULL);
    if (yk_stop_signal())
        return YK_STOPPED;
    return result < 0 ? report(request, result) : YK_DONE;
}

int yk_signal_main(int argc, char **argv)
{
    struct request request = {.timeout = YOKE_NOW};
    yoke_peer *from = NULL;
    int result = 0, status;

    parse(&request, argc, argv);
    yk_stop_install();
    if (request.as)
        result = yoke_peer_join(&from, request.as, NULL);
    if (result < 0)
        return yk_report(result);
    status = send(&request, from);
    yoke_peer_leave(from);
    return status;
}
