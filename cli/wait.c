/*
 * wait.c - yoke wait: until a peer comes or goes.
 */
#include "cli.h"
#include "options.h"
#include "output.h"
#include "stop.h"

#include <errno.h>
#include <string.h>
#include <yoke.h>

static const struct yk_usage usage = {
    "wait",
    "Usage: yoke wait --for peer:NAME [OPTION...]\n"
    "Waits until a living process has joined as NAME.\n\n"
    "  --for ADDRESS  the peer to wait for; one\n"
    "  --gone         wait until it has left, or died, instead\n"
    "  --timeout T    how long to wait: 100ms, 5s; 0 does not wait (forever)\n"
    "\n"
    "Exit status 3: it was not so in the time given.\n"
    "\n"
    "Example:\n"
    "  yoke wait --for peer:bob --timeout 5s\n",
};

enum { FOR = YK_OPTION_FIRST, GONE, TIMEOUT };

static const struct option options[] = {
    {"for", required_argument, NULL, FOR},
    {"gone", no_argument, NULL, GONE},
    {"timeout", required_argument, NULL, TIMEOUT},
    YK_OPTION_END,
};

struct request {
    const char *name; /* of the peer */
    uint32_t what;
    int64_t timeout;
};

static void parse(struct request *request, int argc, char **argv)
{
    int option;

    while ((option = yk_option_next(&usage, argc, argv, ":h", options)) >= 0) {
        if (option == FOR) {
            if (strncmp(optarg, "peer:", 5) != 0)
                yk_usage_error(&usage, "--for '%s': not a peer, such as peer:bob", optarg);
            if (request->name)
                yk_usage_error(&usage,
                               "--for is given twice, for peer:%.120s and for %.120s: one wait is "
                               "for one peer",
                               request->name, optarg);
            request->name = optarg + 5;
        } else if (option == GONE) {
            request->what = YOKE_PEER_GONE;
        } else {
            request->timeout = yk_parse_duration(&usage, "--timeout", optarg);
        }
    }
    yk_arguments_check(&usage, argc, 0, 0, "argument");
    if (!request->name)
        yk_usage_error(&usage, "wait: --for is missing, such as --for peer:bob");
}

static int report_nothing(const struct request *request)
{
    char waited[YK_AGE_TEXT];
    const char *missed = request->what == YOKE_PEER_HERE ? "is not there" : "is still there";

    if (request->timeout == YOKE_NOW)
        yk_complain("peer:%s %s", request->name, missed);
    else
        yk_complain("peer:%s %s after %s", request->name, missed,
                    yk_format_duration(waited, request->timeout));
    return YK_NOTHING;
}

int yk_wait_main(int argc, char **argv)
{
    struct request request = {.what = YOKE_PEER_HERE, .timeout = YOKE_FOREVER};
    int result;

    parse(&request, argc, argv);
    yk_stop_install();
    do
        result = yoke_peer_wait(request.name, request.what, request.timeout);
    while (result == -EINTR && !yk_stop_signal());
    if (result == -EINTR)
        return YK_STOPPED;
    if (result == -EAGAIN || result == -ETIMEDOUT)
        return report_nothing(&request);
    return result < 0 ? yk_report(result) : YK_DONE;
}
