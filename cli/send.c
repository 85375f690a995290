/*
 * send.c - yoke send: arguments, lines of standard input, or files become messages.
 */
#include "cli.h"
#include "create.h"
#include "json.h"
#include "link.h"
#include "options.h"
#include "output.h"
#include "progress.h"
#include "records.h"
#include "stop.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yoke.h>

/* Lines that go to the port in one call: enough that the call costs little, few enough to flow. */
#define BATCH 64

static const struct yk_usage usage = {
    "send",
    "Usage: yoke send ADDRESS [OPTION...] [MESSAGE...]\n"
    "Sends each MESSAGE; without any, each line of standard input. Waits while the\n"
    "port is full. Messages that begin with '-' go after '--'.\n\n"
    "  --file F       the bytes of F ('-': standard input) are a message; repeatable\n"
    "  -0, --null     NUL bytes separate the messages on standard input, not newlines\n"
    "  --priority N   0 is the lowest, and the default\n"
    "  --tag N        a number that travels along\n"
    "  --timeout T    how long to wait for room: 100ms, 5s; 0 does not wait (forever)\n"
    "  --create       create the port if there is none, kept, with default options\n"
    "  --as NAME      links: who this is; makes the link (kept) if there is none,\n"
    "  --max-message SIZE  with messages of so many bytes at most (4K)\n"
    "  --json         print {\"sent\": N} at the end\n"
    "\n"
    "Exit status 3: the port stayed full. What was sent before stays sent.\n"
    "\n"
    "Example:\n"
    "  yoke send port:jobs 'one message' 'another'\n"
    "  seq 1000000 | yoke send port:jobs --timeout 5s\n"
    "  yoke send port:jobs --file picture.png --priority 2\n"
    "  yoke send --as alice link:bob hello\n",
};

enum { FILE_NAME = YK_OPTION_FIRST, PRIORITY, TAG, TIMEOUT, CREATE, AS, MAX_MESSAGE, JSON };

static const struct option options[] = {
    {"file", required_argument, NULL, FILE_NAME},
    {"null", no_argument, NULL, '0'},
    {"priority", required_argument, NULL, PRIORITY},
    {"tag", required_argument, NULL, TAG},
    {"timeout", required_argument, NULL, TIMEOUT},
    {"create", no_argument, NULL, CREATE},
    {"as", required_argument, NULL, AS},
    {"max-message", required_argument, NULL, MAX_MESSAGE},
    {"json", no_argument, NULL, JSON},
    YK_OPTION_END,
};

struct sending {
    const char *address;
    const char *as; /* links: who this is; else NULL */
    struct yoke_options options;
    yoke_endpoint *endpoint;
    int64_t timeout;
    uint64_t tag;
    uint32_t priority;
    uint32_t flags;
    bool json;
    char separator;
    const char **files; /* owned; the names are argv's */
    size_t file_count;
    char **messages; /* argv's */
    size_t message_count;
    uint64_t sent;
    struct yk_progress progress;
};

static void take_option(struct sending *sending, int option)
{
    switch (option) {
    case FILE_NAME:
        sending->files[sending->file_count++] = optarg;
        break;
    case '0':
        sending->separator = '\0';
        break;
    case PRIORITY:
        sending->priority =
            (uint32_t)yk_parse_number(&usage, "--priority", optarg, 0, YOKE_PRIORITIES_MAX - 1);
        break;
    case TAG:
        sending->tag = yk_parse_number(&usage, "--tag", optarg, 0, UINT64_MAX);
        break;
    case TIMEOUT:
        sending->timeout = yk_parse_duration(&usage, "--timeout", optarg);
        break;
    case CREATE:
        sending->flags = YOKE_CREATE | YOKE_KEPT;
        break;
    case AS:
        sending->as = optarg;
        break;
    case MAX_MESSAGE:
        sending->options.max_message =
            yk_parse_size(&usage, "--max-message", optarg, 1, YOKE_MESSAGE_MAX);
        break;
    case JSON:
        yk_json_require(&usage);
        sending->json = true;
        break;
    default:
        break;
    }
}

static void parse(struct sending *sending, int argc, char **argv)
{
    int option;

    sending->files = yk_grow(NULL, (size_t)argc * sizeof *sending->files); /* surely enough */
    while ((option = yk_option_next(&usage, argc, argv, ":0h", options)) >= 0)
        take_option(sending, option);
    yk_arguments_check(&usage, argc, 1, argc, "ADDRESS");
    sending->address = yk_parse_endpoint(&usage, argv[optind]);
    sending->messages = argv + optind + 1;
    sending->message_count = (size_t)(argc - optind - 1);
    yk_link_options(&usage, sending->address, sending->as, &sending->options, &sending->flags);
    if (sending->options.max_message && !sending->as)
        yk_usage_error(&usage, "send: --max-message is for links; yoke port create has it, too");
    if (sending->message_count && sending->file_count)
        yk_usage_error(&usage, "send: either messages or --file, not both");
    if (sending->separator == '\0' && (sending->message_count || sending->file_count))
        yk_usage_error(&usage, "send: --null is for standard input, not for messages or --file");
}

static void say_progress(struct sending *sending, bool waits)
{
    char rate[YK_RATE_TEXT];
    double seconds = yk_progress_seconds(&sending->progress);

    if (yk_progress_is_due(&sending->progress))
        yk_progress_say(&sending->progress, "%" PRIu64 " sent  %s%s", sending->sent,
                        yk_format_rate(rate, (double)sending->sent / seconds),
                        waits ? "  it is full: waiting for room" : "");
}

/* Sends what has room within the time asked for; who sits at a terminal hears of it meanwhile. */
static ssize_t send_some(struct sending *sending, struct yoke_message *messages, size_t count)
{
    int64_t end = yk_time_monotonic() + sending->timeout, left = sending->timeout;

    for (;;) {
        bool in_pieces = sending->progress.on && (left < 0 || left > YK_PROGRESS_LOOK);
        ssize_t sent =
            yoke_send_many(sending->endpoint, messages, count, in_pieces ? YK_PROGRESS_LOOK : left);
        say_progress(sending, sent == -ETIMEDOUT);
        if (sent != -ETIMEDOUT || !in_pieces)
            return sent;
        if (left > 0)
            left = end > yk_time_monotonic() ? end - yk_time_monotonic() : YOKE_NOW;
    }
}

/* Sends all of them, waiting for room before each as long as asked. 0 or a negative errno. */
static int send_all(struct sending *sending, struct yoke_message *messages, size_t count)
{
    size_t done = 0;

    for (size_t i = 0; i < count; i++) {
        messages[i].priority = sending->priority;
        messages[i].tag = sending->tag;
    }
    while (done < count) {
        ssize_t sent;
        if (yk_stop_signal())
            return -EINTR;
        sent = send_some(sending, messages + done, count - done);
        if (sent == -EINTR)
            continue; /* the signal that stops us, or one that is none of our business */
        if (sent < 0) {
            yk_progress_clear(&sending->progress); /* what comes next is a complaint */
            return (int)sent;
        }
        done += (size_t)sent;
        sending->sent += (uint64_t)sent;
    }
    return 0;
}

/* What a failed send means for the user. `where` says what could not be sent: "line 7". */
static int report_failure(const struct sending *sending, int error, const char *where)
{
    char waited[YK_AGE_TEXT];

    if (error == -EINTR)
        return YK_STOPPED;
    if (sending->timeout > 0 && error == -EAGAIN)
        error = -ETIMEDOUT; /* the last of the pieces that it waited in did not wait */
    if (error == -EAGAIN)
        yk_complain("%s: %s is full; %" PRIu64 " sent before", where, sending->address,
                    sending->sent);
    else if (error == -ETIMEDOUT)
        yk_complain("%s: %s was full for %s; %" PRIu64 " sent before", where, sending->address,
                    yk_format_duration(waited, sending->timeout), sending->sent);
    else
        yk_complain("%s: %s; %" PRIu64 " sent before", where, yoke_explain(), sending->sent);
    return yk_status_of(error);
}

static int send_arguments(struct sending *sending)
{
    for (size_t i = 0; i < sending->message_count; i++) {
        struct yoke_message message = {.data = sending->messages[i],
                                       .size = strlen(sending->messages[i])};
        int result = send_all(sending, &message, 1);
        if (result < 0) {
            char where[32];
            snprintf(where, sizeof where, "message %zu", i + 1);
            return report_failure(sending, result, where);
        }
    }
    return YK_DONE;
}

static int report_line_failure(const struct sending *sending, int error, uint64_t number)
{
    char where[48];

    snprintf(where, sizeof where, "%s %" PRIu64, sending->separator ? "line" : "record", number);
    return report_failure(sending, error, where);
}

static int report_long_line(struct sending *sending, const struct yk_records *records)
{
    yk_progress_clear(&sending->progress);
    yk_complain("%s %" PRIu64
                " is longer than the %zu bytes that a message on %s may have; %" PRIu64
                " sent before",
                sending->separator ? "line" : "record", records->number, records->limit,
                sending->address, sending->sent);
    return YK_FAILED;
}

/* Sends what has been read: no line waits for the next one. 0, or a negative errno and a status. */
static int send_read(struct sending *sending, struct yk_records *records, int *ret_status)
{
    struct yoke_message batch[BATCH];
    int taken = 1;

    while (taken > 0) {
        size_t count = 0;
        uint64_t before = sending->sent;
        int result;

        memset(batch, 0, sizeof batch);
        while (count < BATCH) {
            char *data;
            taken = yk_records_take(records, &data, &batch[count].size);
            if (taken <= 0)
                break;
            batch[count++].data = data;
        }
        result = send_all(sending, batch, count);
        if (result < 0) {
            uint64_t first = records->number - (taken < 0) - count + 1;
            *ret_status = report_line_failure(sending, result, first + (sending->sent - before));
            return result;
        }
    }
    if (taken < 0)
        *ret_status = report_long_line(sending, records);
    return taken;
}

static int send_lines(struct sending *sending)
{
    struct yk_records records;
    int status = YK_DONE;

    yk_records_init(&records, STDIN_FILENO, sending->separator,
                    yoke_max_message(sending->endpoint));
    while (send_read(sending, &records, &status) == 0 && !records.ended) {
        int result = yk_stop_signal() ? -EINTR : yk_records_read(&records);
        if (result == -EINTR && yk_stop_signal()) {
            status = YK_STOPPED;
            break;
        }
        if (result < 0 && result != -EINTR) {
            yk_progress_clear(&sending->progress);
            yk_complain("cannot read standard input: %s", strerror(-result));
            status = YK_FAILED;
            break;
        }
    }
    yk_records_fini(&records);
    return status;
}

/* All of `fd`, but little more than `limit`. The caller frees *ret_data. Size or negative errno. */
static ssize_t read_whole(int fd, size_t limit, char **ret_data)
{
    size_t capacity = 64 << 10, size = 0;
    char *data = yk_grow(NULL, capacity);
    ssize_t got = 1;

    while (got > 0 && size <= limit && !yk_stop_signal()) {
        if (size == capacity)
            data = yk_grow(data, capacity *= 2);
        got = read(fd, data + size, capacity - size);
        if (got > 0)
            size += (size_t)got;
    }
    if (got < 0 || yk_stop_signal()) {
        int error = got < 0 ? errno : EINTR;
        free(data);
        return -error;
    }
    *ret_data = data;
    return (ssize_t)size;
}

/*
 * Opens it, and refuses by its size what would not fit anyway. A descriptor, or -1 after a
 * complaint.
 */
static int open_file(const struct sending *sending, const char *name, size_t limit)
{
    struct stat facts;
    int fd = strcmp(name, "-") == 0 ? dup(STDIN_FILENO) : open(name, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || fstat(fd, &facts) < 0) {
        yk_complain("%s: %s", name, strerror(errno));
    } else if (S_ISREG(facts.st_mode) && (uint64_t)facts.st_size > limit) {
        yk_complain("%s: %lld bytes; a message on %s has %zu at most", name,
                    (long long)facts.st_size, sending->address, limit);
    } else {
        return fd;
    }
    if (fd >= 0)
        close(fd);
    return -1;
}

static int send_file(struct sending *sending, const char *name)
{
    size_t limit = yoke_max_message(sending->endpoint);
    char *data = NULL;
    ssize_t size;
    int fd, result;

    yk_progress_clear(&sending->progress);
    fd = open_file(sending, name, limit);
    if (fd < 0)
        return YK_FAILED;
    size = read_whole(fd, limit, &data);
    close(fd);
    if (size == -EINTR)
        return YK_STOPPED;
    if (size < 0) {
        yk_complain("%s: %s", name, strerror((int)-size));
        return YK_FAILED;
    }
    if ((size_t)size > limit) {
        yk_complain("%s: more than %zu bytes, which a message on %s has at most", name, limit,
                    sending->address);
        free(data);
        return YK_FAILED;
    }
    result = send_all(sending, &(struct yoke_message){.data = data, .size = (size_t)size}, 1);
    free(data);
    return result < 0 ? report_failure(sending, result, name) : YK_DONE;
}

static int send_files(struct sending *sending)
{
    int status = YK_DONE;

    for (size_t i = 0; i < sending->file_count && status == YK_DONE; i++)
        status = send_file(sending, sending->files[i]);
    return status;
}

static int send_from_source(struct sending *sending)
{
    bool typed = !sending->file_count && !sending->message_count && isatty(STDIN_FILENO);
    int status;

    yk_progress_begin(&sending->progress, !typed);
    if (sending->file_count)
        status = send_files(sending);
    else if (sending->message_count)
        status = send_arguments(sending);
    else
        status = send_lines(sending);
    yk_progress_clear(&sending->progress);
    return status;
}

int yk_send_main(int argc, char **argv)
{
    struct sending sending = {
        .timeout = YOKE_FOREVER, .separator = '\n', .options = YOKE_OPTIONS_INIT};
    int result, status;

    parse(&sending, argc, argv);
    yk_stop_install();
    result = yoke_open(&sending.endpoint, sending.address, sending.flags, &sending.options);
    if (result < 0) {
        status = yk_report_on(sending.address, result);
    } else {
        yk_create_note_less(sending.address, "max-message", yoke_max_message(sending.endpoint),
                            sending.options.max_message);
        status = send_from_source(&sending);
        yoke_close(sending.endpoint);
        if (sending.json) {
            yk_json *object = yk_json_object();
            yk_json_unsigned(object, "sent", sending.sent);
            yk_json_print_line(object);
        }
    }
    free(sending.files);
    return status;
}
