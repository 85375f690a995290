/*
 * tap.c - yoke tap: the messages that are in a port or on a link, and those that come, without taking
 * any.
 */
#include "cli.h"
#include "facts.h"
#include "inspect.h"
#include "json.h"
#include "link.h"
#include "options.h"
#include "output.h"
#include "stop.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <yoke.h>

#define SHOWN_DEFAULT 64
#define HEX_LINE      16

static const struct yk_usage usage = {
    "tap",
    "Usage: yoke tap ADDRESS [OPTION...]\n"
    "Shows the messages that are in a port, on a link, or in a peer's inbox\n"
    "(signals:NAME), oldest first, and takes none: those who send and receive notice\n"
    "nothing. A line each: number, state (waits, held, parked), size, sender, bytes.\n\n"
    "  --follow     then those that come, until a signal. What comes and goes between\n"
    "               two looks, a millisecond apart (in nats://… 100), is only counted\n"
    "  --count N    end after N messages; implies --follow\n"
    "  --timeout T  how long to wait for each, with --follow (forever)\n"
    "  --bytes N    show up to N bytes of each (64)\n"
    "  --hex        in hexadecimal, with the text beside it\n"
    "  --json       an object a line\n"
    "  --as NAME    of link:OTHER: the one of NAME; the same as link:NAME/OTHER\n"
    "\n"
    "Exit status 3: nothing there, or nothing came in time.\n"
    "Example:\n"
    "  yoke tap port:jobs --follow --hex\n",
};

enum { FOLLOW = YK_OPTION_FIRST, COUNT, TIMEOUT, BYTES, HEX, JSON, AS };

static const struct option options[] = {
    {"follow", no_argument, NULL, FOLLOW},
    {"count", required_argument, NULL, COUNT},
    {"timeout", required_argument, NULL, TIMEOUT},
    {"bytes", required_argument, NULL, BYTES},
    {"hex", no_argument, NULL, HEX},
    {"json", no_argument, NULL, JSON},
    {"as", required_argument, NULL, AS},
    YK_OPTION_END,
};

struct tapping {
    char link[YK_LINK_ADDRESS]; /* where `address` may lie */
    const char *address;
    bool follow, hex, json;
    bool gone;      /* its last user went */
    uint64_t count; /* 0: no end */
    int64_t timeout;
    uint32_t bytes;
    uint64_t shown, unseen;
};

static void parse(struct tapping *tapping, int argc, char **argv)
{
    const char *as = NULL;
    int option;

    while ((option = yk_option_next(&usage, argc, argv, ":h", options)) >= 0) {
        if (option == AS)
            as = optarg;
        else if (option == COUNT)
            tapping->count = yk_parse_number(&usage, "--count", optarg, 1, INT64_MAX);
        else if (option == TIMEOUT)
            tapping->timeout = yk_parse_duration(&usage, "--timeout", optarg);
        else if (option == BYTES)
            tapping->bytes =
                (uint32_t)yk_parse_size(&usage, "--bytes", optarg, 0, YOKE_MESSAGE_MAX);
        else if (option == JSON)
            yk_json_require(&usage);
        tapping->follow |= option == FOLLOW || option == COUNT;
        tapping->hex |= option == HEX;
        tapping->json |= option == JSON;
    }
    yk_arguments_check(&usage, argc, 1, 1, "ADDRESS");
    if (tapping->json && tapping->hex)
        yk_usage_error(&usage, "tap: either --hex or --json");
    tapping->address = yk_link_whole(&usage, tapping->link, argv[optind], as);
}

/* ---- a message ------------------------------------------------------------------------------- */

static const char *state_name(char state)
{
    return state == 'h' ? "held" : state == 'p' ? "parked" : "waits";
}

/* It goes to terminals. */
static void print_bytes(const unsigned char *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        putchar(isprint(bytes[i]) ? bytes[i] : '.');
}

static void print_hex(const unsigned char *bytes, size_t count)
{
    for (size_t at = 0; at < count; at += HEX_LINE) {
        size_t here = count - at < HEX_LINE ? count - at : HEX_LINE;
        printf("  %08zx ", at);
        for (size_t i = 0; i < HEX_LINE; i++) {
            if (i < here)
                printf(" %02x", bytes[at + i]);
            else
                fputs("   ", stdout);
        }
        fputs("  ", stdout);
        print_bytes(bytes + at, here);
        putchar('\n');
    }
}

/* "alice > bob" of a link; nothing of others. */
static void print_way(const struct tapping *tapping, int way)
{
    struct yk_object_facts facts;
    struct yk_ends ends;

    if (!yk_is_link(tapping->address))
        return;
    snprintf(facts.name, sizeof facts.name, "%s", strchr(tapping->address, ':') + 1);
    yk_facts_ends(&facts, way, &ends);
    printf("%s > %s  ", ends.from, ends.to);
}

static void print_text(const struct tapping *tapping, const struct yk_tapped *message)
{
    print_way(tapping, message->way);
    printf("%" PRIu64 " %s  %" PRIu32 " %s", message->sequence, state_name(message->state),
           message->size, yk_plural(message->size, "byte", "bytes"));
    if (message->sender)
        printf(", from %" PRIu32, message->sender);
    if (message->priority)
        printf(", priority %" PRIu32, message->priority);
    if (message->tag)
        printf(", tag %" PRIu64, message->tag);
    if (message->deliveries)
        printf(", delivered %" PRIu32 "x", message->deliveries);
    if (tapping->hex) {
        putchar('\n');
        print_hex(message->bytes, message->shown);
        return;
    }
    fputs("  ", stdout);
    print_bytes(message->bytes, message->shown);
    puts(message->shown < message->size ? "…" : "");
}

static void print_json(const struct tapping *tapping, const struct yk_tapped *message)
{
    yk_json *object = yk_json_object();

    (void)tapping;
    yk_json_string(object, "state", state_name(message->state));
    if (yk_is_link(tapping->address))
        yk_json_signed(object, "way", message->way);
    yk_json_bytes(object, "data", message->bytes, message->shown);
    yk_json_bool(object, "complete", message->shown == message->size);
    yk_json_unsigned(object, "size", message->size);
    yk_json_unsigned(object, "sequence", message->sequence);
    yk_json_unsigned(object, "priority", message->priority);
    yk_json_unsigned(object, "deliveries", message->deliveries);
    yk_json_unsigned(object, "tag", message->tag);
    yk_json_unsigned(object, "sender", message->sender);
    yk_json_print_line(object);
}

static bool complete(const struct tapping *tapping)
{
    return tapping->count && tapping->shown >= tapping->count;
}

static int show(const struct yk_tapped *message, void *context)
{
    struct tapping *tapping = context;

    if (complete(tapping))
        return 1;
    (tapping->json ? print_json : print_text)(tapping, message);
    tapping->shown++;
    return 0;
}

/* ---- looking --------------------------------------------------------------------------------- */

/* Until it is complete, nothing came in time, or a signal. The exit status. */
static int follow(struct tapping *tapping, struct yk_tap *tap)
{
    const struct timespec nap = {0, yk_tap_pause(tap)};
    int64_t last = yk_time_monotonic();

    while (!complete(tapping)) {
        uint64_t before = tapping->shown, unseen;
        if (yk_stop_signal())
            return YK_STOPPED;
        int result = yk_tap_look(tap, tapping->bytes, show, tapping, &unseen);
        if (result < 0)
            return yk_report_on(tapping->address, result);
        tapping->unseen += unseen;
        tapping->gone = yk_tap_is_alone(tap);
        if (tapping->shown != before && yk_flush_output() < 0)
            return YK_FAILED;
        if (tapping->gone)
            return YK_NOTHING;
        if (tapping->shown != before || unseen)
            last = yk_time_monotonic();
        else if (tapping->timeout >= 0 && yk_time_monotonic() - last >= tapping->timeout)
            return YK_NOTHING;
        nanosleep(&nap, NULL);
    }
    return YK_DONE;
}

static int look_once(struct tapping *tapping, struct yk_tap *tap)
{
    uint64_t unseen;
    int result = yk_tap_look(tap, tapping->bytes, show, tapping, &unseen);

    if (result < 0)
        return yk_report_on(tapping->address, result);
    if (tapping->shown > 0)
        return YK_DONE;
    yk_complain("%s is empty", tapping->address);
    return YK_NOTHING;
}

int yk_tap_main(int argc, char **argv)
{
    struct tapping tapping = {.timeout = YOKE_FOREVER, .bytes = SHOWN_DEFAULT};
    struct yk_tap *tap;

    parse(&tapping, argc, argv);
    yk_stop_install();
    int result = yk_tap_open(&tap, tapping.address);
    if (result < 0)
        return yk_report_on(tapping.address, result);
    int status = tapping.follow ? follow(&tapping, tap) : look_once(&tapping, tap);
    yk_tap_close(tap);
    if (tapping.gone)
        yk_complain("%s is gone: its last user went", tapping.address);
    if (tapping.unseen > 0)
        yk_complain("note: %" PRIu64 " more came and went unseen", tapping.unseen);
    else if (status == YK_NOTHING && tapping.follow && !tapping.gone)
        yk_complain("%s: nothing came in time; %" PRIu64 " shown before", tapping.address,
                    tapping.shown);
    return status;
}
