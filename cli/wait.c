/*
 * wait.c - yoke wait: for signals to a peer, or until one comes or goes.
 *
 * A signal that was received and not yet printed when this command is killed is gone, as its
 * receiver is.
 */
#include "cli.h"
#include "json.h"
#include "link.h"
#include "options.h"
#include "output.h"
#include "stop.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <yoke.h>

#define CATCH_MAX 64

static const struct yk_usage usage = {
    "wait",
    "Usage: yoke wait --as NAME[@PLACE] [OPTION...]\n"
    "       yoke wait --for peer:NAME [--gone] [--timeout T]\n"
    "Joins as peer NAME, waits for a signal to it, and prints it. Or (--for) waits\n"
    "until a living process has joined as NAME.\n\n"
    "  --as NAME      receive the signals to this peer\n"
    "  --count N      wait for N signals\n"
    "  --follow       go on until none comes for --timeout\n"
    "  --catch LIST   receive these UNIX signals, too: TERM,USR1,RTMIN+2\n"
    "  --kernel       at peer:NAME@kernel: the kernel proves who sent each\n"
    "  --json         a JSON object a line\n"
    "  --for ADDRESS  the peer to wait for; one\n"
    "  --gone         wait until it has left, or died, instead\n"
    "  --timeout T    how long to wait (for each signal): 100ms, 5s; 0 does not wait\n"
    "\n"
    "Exit status 3: it was not so in the time given; --count: not all came; --follow:\n"
    "none at all. 'origin': stated by the sender; proven by the kernel (pid, uid);\n"
    "named (the process held that name). merged=1: it may stand for several.\n"
    "Example:\n"
    "  yoke wait --as bob --timeout 5s --json\n",
};

enum { FOR = YK_OPTION_FIRST, GONE, TIMEOUT, AS, COUNT, FOLLOW, CATCH, KERNEL, JSON };

static const struct option options[] = {
    {"for", required_argument, NULL, FOR},
    {"gone", no_argument, NULL, GONE},
    {"timeout", required_argument, NULL, TIMEOUT},
    {"as", required_argument, NULL, AS},
    {"count", required_argument, NULL, COUNT},
    {"follow", no_argument, NULL, FOLLOW},
    {"catch", required_argument, NULL, CATCH},
    {"kernel", no_argument, NULL, KERNEL},
    {"json", no_argument, NULL, JSON},
    YK_OPTION_END,
};

struct request {
    int64_t timeout;
    /* for a peer */
    const char *name;
    bool gone;
    /* for signals */
    const char *as;
    uint64_t count; /* 0: not given */
    bool follow, json;
    uint32_t flags;
    int catch[CATCH_MAX];
    size_t catch_count;
    yoke_endpoint *inbox;
    uint64_t received;
    bool over; /* following has come to its end */
};

/* ---- what is asked for ----------------------------------------------------------------------- */

static const char *parse_peer(const struct request *request, const char *text)
{
    if (strncmp(text, "peer:", 5) != 0)
        yk_usage_error(&usage, "--for '%s': not a peer, such as peer:bob", text);
    if (request->name)
        yk_usage_error(&usage,
                       "--for is given twice, for peer:%.120s and for %.120s: one wait is for one "
                       "peer",
                       request->name, text);
    return text + 5;
}

/* Cuts the list up. */
static void parse_catch(struct request *request, char *list)
{
    for (char *one; (one = strsep(&list, ","));) {
        if (request->catch_count == CATCH_MAX)
            yk_usage_error(&usage, "--catch: more than %d signals", CATCH_MAX);
        request->catch[request->catch_count++] = yk_parse_unix_signal(&usage, "--catch", one);
    }
}

static void take_option(struct request *request, int option)
{
    switch (option) {
    case FOR:
        request->name = parse_peer(request, optarg);
        break;
    case GONE:
        request->gone = true;
        break;
    case TIMEOUT:
        request->timeout = yk_parse_duration(&usage, "--timeout", optarg);
        break;
    case AS:
        request->as = yk_parse_as_somewhere(&usage, optarg);
        break;
    case COUNT:
        request->count = yk_parse_number(&usage, "--count", optarg, 1, INT64_MAX);
        break;
    case FOLLOW:
        request->follow = true;
        break;
    case CATCH:
        parse_catch(request, optarg);
        break;
    case KERNEL:
        request->flags = YOKE_SIGNALS_KERNEL;
        break;
    default:
        yk_json_require(&usage);
        request->json = true;
        break;
    }
}

static void parse(struct request *request, int argc, char **argv)
{
    int option;

    while ((option = yk_option_next(&usage, argc, argv, ":h", options)) >= 0)
        take_option(request, option);
    yk_arguments_check(&usage, argc, 0, 0, "argument");
    if (!request->name == !request->as)
        yk_usage_error(&usage, "wait: either --as NAME, for its signals, or --for peer:NAME");
    if (request->gone && !request->name)
        yk_usage_error(&usage, "wait: --gone goes with --for");
    if (request->name && (request->count || request->follow || request->json || request->flags ||
                          request->catch_count))
        yk_usage_error(&usage, "wait: of the options only --gone and --timeout go with --for");
    if (request->follow && request->count)
        yk_usage_error(&usage, "wait: either --count or --follow, not both");
}

/* ---- for a peer ------------------------------------------------------------------------------ */

static int report_peer(const struct request *request)
{
    char waited[YK_AGE_TEXT];
    const char *missed = request->gone ? "is still there" : "is not there";
    int length = (int)strcspn(request->name, "@"); /* not its place, which may have a password */

    if (request->timeout == YOKE_NOW)
        yk_complain("peer:%.*s %s", length, request->name, missed);
    else
        yk_complain("peer:%.*s %s after %s", length, request->name, missed,
                    yk_format_duration(waited, request->timeout));
    return YK_NOTHING;
}

static int wait_for_peer(const struct request *request)
{
    uint32_t what = request->gone ? YOKE_PEER_GONE : YOKE_PEER_HERE;
    int result;

    do
        result = yoke_peer_wait(request->name, what, request->timeout);
    while (result == -EINTR && !yk_stop_signal());
    if (result == -EINTR)
        return YK_STOPPED;
    if (result == -EAGAIN || result == -ETIMEDOUT)
        return report_peer(request);
    return result < 0 ? yk_report(result) : YK_DONE;
}

/* ---- for signals ----------------------------------------------------------------------------- */

static const char *origin_of(const struct yoke_signal *signal)
{
    static const char *const names[] = {"stated", "proven", "named"};

    return signal->origin < sizeof names / sizeof names[0] ? names[signal->origin] : "?";
}

static void print_json(const struct yoke_signal *signal)
{
    yk_json *object = yk_json_object();
    char name[YK_UNIX_SIGNAL_TEXT];

    yk_json_unsigned(object, "number", signal->number);
    yk_json_unsigned(object, "value", signal->value);
    yk_json_unsigned(object, "sequence", signal->sequence);
    yk_json_string(object, "sender", signal->sender);
    yk_json_signed(object, "pid", signal->pid);
    yk_json_unsigned(object, "uid", signal->uid);
    yk_json_string(object, "origin", origin_of(signal));
    if (signal->unix_signal) {
        yk_json_string(object, "unix", yk_unix_signal_name(name, signal->unix_signal));
        yk_json_bool(object, "merged", signal->merged != 0);
    }
    yk_json_print_line(object);
}

static void print_text(const struct yoke_signal *signal)
{
    char name[YK_UNIX_SIGNAL_TEXT];

    printf("number=%" PRIu32 " value=%" PRIu64 " sequence=%" PRIu64 " sender=%s pid=%" PRId32
           " uid=%" PRIu32 " origin=%s",
           signal->number, signal->value, signal->sequence, signal->sender, signal->pid,
           signal->uid, origin_of(signal));
    if (signal->unix_signal)
        printf(" unix=%s merged=%" PRIu32, yk_unix_signal_name(name, signal->unix_signal),
               signal->merged);
    putchar('\n');
}

/* Nothing came in the time given. */
static int report_nothing(struct request *request)
{
    char waited[YK_AGE_TEXT];
    int length = (int)strcspn(request->as, "@"); /* not its place, which may have a password */

    if (request->follow && request->received > 0) {
        request->over = true;
        return YK_DONE;
    }
    if (request->timeout == YOKE_NOW)
        yk_complain("there is no signal for peer:%.*s; %" PRIu64 " received before", length,
                    request->as, request->received);
    else
        yk_complain("no signal came for peer:%.*s in %s; %" PRIu64 " received before", length,
                    request->as, yk_format_duration(waited, request->timeout), request->received);
    return YK_NOTHING;
}

static int receive_one(struct request *request)
{
    struct yoke_signal signal;
    int result = yoke_signal_recv(request->inbox, &signal, request->timeout);

    if (result == -EINTR)
        return yk_stop_signal() ? YK_STOPPED : YK_DONE;
    if (result == -EAGAIN || result == -ETIMEDOUT)
        return report_nothing(request);
    if (result < 0)
        return yk_report(result);
    request->received++;
    if (request->json)
        print_json(&signal);
    else
        print_text(&signal);
    return yk_flush_output() < 0 ? YK_FAILED : YK_DONE;
}

static bool complete(const struct request *request)
{
    if (request->follow)
        return request->over;
    return request->received >= (request->count ? request->count : 1);
}

static int receive(struct request *request, yoke_peer *peer)
{
    int status = YK_DONE;
    int result = yoke_signals_open(&request->inbox, peer, request->flags, NULL);

    if (result == 0 && request->catch_count > 0)
        result = yoke_signals_catch(request->inbox, request->catch, request->catch_count);
    if (result < 0)
        status = yk_report(result);
    while (status == YK_DONE && !complete(request))
        status = yk_stop_signal() ? YK_STOPPED : receive_one(request);
    yoke_close(request->inbox);
    return status;
}

/* Before others can see the peer: one who sends at once must not end this command. */
static void hold_back_caught(const struct request *request)
{
    sigset_t caught;

    sigemptyset(&caught);
    for (size_t i = 0; i < request->catch_count; i++)
        sigaddset(&caught, request->catch[i]);
    sigprocmask(SIG_BLOCK, &caught, NULL);
}

static int wait_for_signals(struct request *request)
{
    yoke_peer *peer;

    hold_back_caught(request);
    int result = yoke_peer_join(&peer, request->as, NULL), status;

    if (result < 0)
        return yk_report(result);
    status = receive(request, peer);
    yoke_peer_leave(peer);
    return status;
}

int yk_wait_main(int argc, char **argv)
{
    struct request request = {.timeout = YOKE_FOREVER};

    parse(&request, argc, argv);
    yk_stop_install();
    return request.as ? wait_for_signals(&request) : wait_for_peer(&request);
}
