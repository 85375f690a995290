/*
 * recv.c - yoke recv: messages come out on standard output or in files.
 *
 * A message is borrowed, written, and only then released: whatever kills this command, a message
 * that did not get out is delivered again. (One that got out just before the kill may be, too, and
 * is then marked by its number of deliveries.) Where the place lends no messages (kernel) they are
 * received, one at a time, so that no more than one can be lost.
 */
#include "cli.h"
#include "create.h"
#include "exec.h"
#include "json.h"
#include "link.h"
#include "options.h"
#include "output.h"
#include "recv_output.h"
#include "stop.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>
#include <yoke.h>

/* How long a command that waits may take to notice that nobody reads its output any more. */
#define LOOK_NS 1000000000ll
/* How soon it is looked again whether somebody came back to a link in the kernel. */
#define RETURN_NS 100000000ll

static const struct yk_usage usage = {
    "recv",
    "Usage: yoke recv ADDRESS [OPTION...]\n"
    "Receives one message, or waits for it, and writes it and a newline to standard\n"
    "output. It counts as received when it is written: if this command is killed\n"
    "before that, the message is delivered to somebody else.\n\n"
    "  --count N      receive N messages\n"
    "  --follow       receive messages until nothing comes for --timeout, or a signal\n"
    "  --timeout T    how long to wait for each: 100ms, 5s; 0 does not wait (forever)\n"
    "  --file F       write the bare bytes to file F; with --follow, or --count above\n"
    "                 1, to F.1, F.2, and so on\n"
    "  -0, --null     a NUL byte behind each message instead of a newline\n"
    "  --details      sequence, priority, deliveries, tag, sender, size before each\n"
    "  --json         a JSON object a line: data (or data_base64), and details\n"
    "  --exec CMD     for each message run CMD in the shell, the message its input;\n"
    "  --jobs N       N at once. If CMD fails it is given back. Implies --follow\n"
    "  --parked       receive parked messages: those that were delivered too often\n"
    "  --as NAME      links: who this is; makes the link (kept) if there is none,\n"
    "  --max-message SIZE  with messages of so many bytes at most (4K)\n"
    "\n"
    "Exit status 3: nothing came in time; --count: not all; --follow: none at all;\n"
    "4: a link's other end died. (One that closed may come back: it is waited for.)\n"
    "Example:\n"
    "  yoke recv port:jobs --follow --timeout 5s\n"
    "  yoke recv --as bob link:alice\n",
};

enum {
    COUNT = YK_OPTION_FIRST,
    FOLLOW,
    TIMEOUT,
    FILE_NAME,
    DETAILS,
    JSON,
    PARKED,
    AS,
    MAX_MESSAGE,
    EXEC,
    JOBS
};

static const struct option options[] = {
    {"count", required_argument, NULL, COUNT},
    {"follow", no_argument, NULL, FOLLOW},
    {"timeout", required_argument, NULL, TIMEOUT},
    {"file", required_argument, NULL, FILE_NAME},
    {"null", no_argument, NULL, '0'},
    {"details", no_argument, NULL, DETAILS},
    {"json", no_argument, NULL, JSON},
    {"parked", no_argument, NULL, PARKED},
    {"as", required_argument, NULL, AS},
    {"max-message", required_argument, NULL, MAX_MESSAGE},
    {"exec", required_argument, NULL, EXEC},
    {"jobs", required_argument, NULL, JOBS},
    YK_OPTION_END,
};

struct receiving {
    const char *address;
    const char *as; /* links: who this is; else NULL */
    struct yoke_options options;
    yoke_endpoint *endpoint;
    uint64_t count; /* 0: not given */
    bool follow;
    int64_t timeout;
    uint32_t flags;
    struct yk_recv_output output;
    struct yk_exec exec; /* its command is NULL without --exec */
    char *buffer;        /* NULL: messages are borrowed; else they are received, into this; owned */
    size_t capacity;
    uint64_t received;
    bool over; /* following has come to its end */
};

static void take_option(struct receiving *receiving, int option)
{
    switch (option) {
    case COUNT:
        receiving->count = yk_parse_number(&usage, "--count", optarg, 1, INT64_MAX);
        break;
    case FOLLOW:
        receiving->follow = true;
        break;
    case TIMEOUT:
        receiving->timeout = yk_parse_duration(&usage, "--timeout", optarg);
        break;
    case FILE_NAME:
        receiving->output.file = optarg;
        break;
    case '0':
        receiving->output.terminator = '\0';
        break;
    case DETAILS:
        receiving->output.details = true;
        break;
    case JSON:
        yk_json_require(&usage);
        receiving->output.json = true;
        break;
    case PARKED:
        receiving->flags = YOKE_PARKED;
        break;
    case AS:
        receiving->as = optarg;
        break;
    case MAX_MESSAGE:
        receiving->options.max_message =
            yk_parse_size(&usage, "--max-message", optarg, 1, YOKE_MESSAGE_MAX);
        break;
    case EXEC:
        receiving->exec.command = optarg;
        break;
    case JOBS:
        receiving->exec.jobs = yk_parse_number(&usage, "--jobs", optarg, 1, YK_EXEC_JOBS_MAX);
        break;
    default:
        break;
    }
}

static void check_exec(struct receiving *receiving)
{
    const struct yk_recv_output *output = &receiving->output;

    if (receiving->exec.jobs && !receiving->exec.command)
        yk_usage_error(&usage, "recv: --jobs is for --exec");
    if (!receiving->exec.command)
        return;
    if (output->file || output->json || output->details || output->terminator == '\0')
        yk_usage_error(&usage, "recv: --exec gives the message to the command: not with --file, "
                               "--json, --details or --null");
    receiving->exec.address = receiving->address;
    receiving->exec.jobs = receiving->exec.jobs ? receiving->exec.jobs : 1;
    receiving->follow = receiving->count == 0;
}

static void parse(struct receiving *receiving, int argc, char **argv)
{
    const struct yk_recv_output *output = &receiving->output;
    int option;

    while ((option = yk_option_next(&usage, argc, argv, ":0h", options)) >= 0)
        take_option(receiving, option);
    yk_arguments_check(&usage, argc, 1, 1, "ADDRESS");
    receiving->address = yk_parse_endpoint(&usage, argv[optind]);
    yk_link_options(&usage, receiving->address, receiving->as, &receiving->options,
                    &receiving->flags);
    if (receiving->options.max_message && !receiving->as)
        yk_usage_error(&usage, "recv: --max-message is for links");
    if (receiving->follow && receiving->count)
        yk_usage_error(&usage, "recv: either --count or --follow, not both");
    if (output->file && (output->json || output->details || output->terminator == '\0'))
        yk_usage_error(&usage,
                       "recv: --file writes the bare bytes: not with --json, --details or --null");
    if (output->json && (output->details || output->terminator == '\0'))
        yk_usage_error(&usage, "recv: --json has the details, and ends lines with newlines: "
                               "not with --details or --null");
    check_exec(receiving);
    receiving->output.numbered = receiving->follow || receiving->count > 1;
}

static size_t batch_size(const struct receiving *receiving)
{
    uint64_t wanted = receiving->count ? receiving->count : 1;

    if (receiving->buffer || receiving->output.file || receiving->exec.command)
        return 1; /* so that each file can be looked at before its message is taken */
    if (receiving->follow || wanted - receiving->received > YK_RECV_BATCH)
        return YK_RECV_BATCH;
    return (size_t)(wanted - receiving->received);
}

static bool complete(const struct receiving *receiving)
{
    if (receiving->follow)
        return receiving->over;
    return receiving->received >= (receiving->count ? receiving->count : 1);
}

/* Acknowledges the first `written` of them and gives the rest back. 0 or a negative errno. */
static int settle(struct receiving *receiving, const struct yoke_message *messages, size_t count,
                  size_t written)
{
    int first_error = 0;

    receiving->received += written;
    if (receiving->buffer && written < count)
        yk_complain("%s: the message is lost: it was received, and this place takes none back",
                    receiving->address);
    if (receiving->buffer)
        return 0;
    for (size_t i = 0; i < count; i++) {
        int result = i < written ? yoke_release(receiving->endpoint, messages[i].data)
                                 : yoke_return(receiving->endpoint, messages[i].data);
        if (result < 0 && first_error == 0)
            first_error = result;
    }
    return first_error;
}

static int pass_on(struct receiving *receiving, const struct yoke_message *messages, size_t count)
{
    int write_error, error;

    if (receiving->exec.command) {
        error = yk_exec_start(&receiving->exec, &messages[0]);
        return error == -EINTR ? YK_STOPPED : error < 0 ? YK_FAILED : YK_DONE;
    }
    size_t written = yk_recv_output_write(&receiving->output, messages, count, &write_error);

    error = settle(receiving, messages, count, written);
    if (error < 0)
        return yk_report_on(receiving->address, error);
    if (write_error == -EINTR)
        return YK_STOPPED;
    return write_error < 0 ? YK_FAILED : YK_DONE;
}

/* Nothing came in the time given. */
static int report_nothing(struct receiving *receiving, int error)
{
    char waited[YK_AGE_TEXT];

    if (receiving->follow && receiving->received > 0) {
        receiving->over = true;
        return YK_DONE;
    }
    if (error == -EAGAIN)
        yk_complain("%s is empty; %" PRIu64 " received before", receiving->address,
                    receiving->received);
    else
        yk_complain("%s: nothing came for %s; %" PRIu64 " received before", receiving->address,
                    yk_format_duration(waited, receiving->timeout), receiving->received);
    return YK_NOTHING;
}

static int64_t end_of(int64_t timeout)
{
    int64_t now = yk_time_monotonic();

    return timeout < 0 || timeout > INT64_MAX - now ? INT64_MAX : now + timeout;
}

/* How long to wait in one piece: at most LOOK_NS, so as to look at the output in between. */
static int64_t next_piece(int64_t end)
{
    int64_t left = end - yk_time_monotonic();

    if (left < 0)
        return 0;
    return left < LOOK_NS ? left : LOOK_NS;
}

/* Who closed the link may come back: looked for again a little later, in the time left. */
static int await_return(int64_t piece)
{
    int64_t nap = piece < RETURN_NS ? piece : RETURN_NS;
    struct timespec time = {0, (long)nap};

    if (piece == 0)
        return -EAGAIN;
    return nanosleep(&time, NULL) < 0 ? -errno : -ETIMEDOUT;
}

static ssize_t take(const struct receiving *receiving, struct yoke_message *messages, size_t count,
                    int64_t timeout)
{
    if (!receiving->buffer)
        return yoke_borrow_many(receiving->endpoint, messages, count, timeout);
    messages[0].data = receiving->buffer;
    messages[0].capacity = receiving->capacity;
    return yoke_recv_many(receiving->endpoint, messages, 1, timeout);
}

/* Borrows, or receives, up to `count` messages. Their number, a negative errno, or 0 after a complaint. */
static ssize_t borrow(const struct receiving *receiving, struct yoke_message *messages,
                      size_t count)
{
    int64_t end = end_of(receiving->timeout);

    for (;;) {
        int64_t piece = next_piece(end);
        ssize_t got;

        if (yk_recv_output_check(&receiving->output) < 0)
            return 0;
        got = take(receiving, messages, count, piece);
        if (got == -EPIPE && receiving->buffer)
            got = await_return(piece);
        else if (got == -EPIPE) { /* who closed the link may come back */
            got = yoke_link_wait(receiving->endpoint, piece);
            if (got == 0)
                continue;
        }
        if (got == -EAGAIN && receiving->timeout != YOKE_NOW)
            got = -ETIMEDOUT; /* nothing was left of the time for the last piece */
        if (got != -ETIMEDOUT || next_piece(end) == 0)
            return got;
    }
}

static int receive_batch(struct receiving *receiving)
{
    struct yoke_message messages[YK_RECV_BATCH] = {{0}};
    ssize_t count = borrow(receiving, messages, batch_size(receiving));

    if (count == -EINTR)
        return yk_stop_signal() ? YK_STOPPED : YK_DONE;
    if (count == -EAGAIN || count == -ETIMEDOUT)
        return report_nothing(receiving, (int)count);
    if (count < 0)
        return yk_report_on(receiving->address, (int)count);
    return count > 0 ? pass_on(receiving, messages, (size_t)count) : YK_FAILED;
}

static int receive(struct receiving *receiving)
{
    int status = YK_DONE;

    while (status == YK_DONE && !complete(receiving))
        status = yk_stop_signal() ? YK_STOPPED : receive_batch(receiving);
    return status;
}

/* ---- --exec ---------------------------------------------------------------------------------- */

/* While commands run nothing is waited for but one of them, or the next message if one more may run. */
static int work_on(struct receiving *receiving)
{
    struct yk_exec *exec = &receiving->exec;
    bool room = exec->count < exec->jobs &&
                (!receiving->count || receiving->received + exec->count < receiving->count);
    struct yoke_message message = {0};
    int error;

    if (exec->count == 0)
        return receive_batch(receiving);
    if (room && take(receiving, &message, 1, YOKE_NOW) == 1)
        return pass_on(receiving, &message, 1);
    error = yk_exec_wait(exec, room);
    receiving->received = exec->succeeded;
    return error == 0 || (error == -EINTR && !yk_stop_signal()) ? YK_DONE
           : error == -EINTR                                    ? YK_STOPPED
                                                                : YK_FAILED;
}

/* What runs is not left alone, whatever ends the command. */
static void finish_running(struct yk_exec *exec)
{
    while (exec->count > 0) {
        int error = yk_exec_wait(exec, false);
        if (error < 0 && error != -EINTR)
            return;
    }
}

static int work(struct receiving *receiving)
{
    struct yk_exec *exec = &receiving->exec;
    int status = YK_DONE;

    exec->endpoint = receiving->endpoint;
    yk_exec_init(exec);
    while (status == YK_DONE && !complete(receiving))
        status = yk_stop_signal() ? YK_STOPPED : work_on(receiving);
    finish_running(exec);
    yk_exec_fini(exec);
    return status != YK_STOPPED && exec->failed > 0 ? YK_FAILED : status;
}

/* Does the place lend messages? If not, they need a buffer, and can not be given back. */
static int prepare(struct receiving *receiving)
{
    struct yoke_message none;

    if (yoke_borrow_many(receiving->endpoint, &none, 0, YOKE_NOW) != -ENOTSUP)
        return YK_DONE;
    if (receiving->exec.command) {
        yk_complain("%s lends no messages, so one whose command fails could not be given back: "
                    "--exec is for ports and links in memory",
                    receiving->address);
        return YK_FAILED;
    }
    receiving->capacity = yoke_max_message(receiving->endpoint);
    receiving->buffer = yk_grow(NULL, receiving->capacity);
    return YK_DONE;
}

int yk_recv_main(int argc, char **argv)
{
    struct receiving receiving = {
        .timeout = YOKE_FOREVER, .output = {.terminator = '\n'}, .options = YOKE_OPTIONS_INIT};
    int result, status;

    parse(&receiving, argc, argv);
    yk_stop_install();
    result = yoke_open(&receiving.endpoint, receiving.address, receiving.flags, &receiving.options);
    if (result < 0)
        return yk_report_on(receiving.address, result);
    yk_create_note_less(receiving.address, "max-message", yoke_max_message(receiving.endpoint),
                        receiving.options.max_message);
    status = prepare(&receiving);
    if (status == YK_DONE)
        status = receiving.exec.command ? work(&receiving) : receive(&receiving);
    yoke_close(receiving.endpoint);
    free(receiving.buffer);
    return status;
}
