/*
 * stream.c - yoke stream create.
 */
#include "cli.h"
#include "create.h"
#include "inspect.h"
#include "output.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yoke.h>

static const struct yk_usage create_usage = {
    "stream create",
    "Usage: yoke stream create NAME [OPTION...]\n"
    "Creates a byte stream, as a pipe with a name. One of that name that is there\n"
    "already stays as it is. It lives until 'yoke rm stream:NAME'. (yoke write and\n"
    "yoke read make one, too, if there is none; with --transient it goes with them.)\n\n"
    "  --capacity 4M       bytes that it holds (1M; in the kernel place 64K)\n"
    "  --place kernel      a FIFO instead of shared memory\n" YK_CREATE_ACCESS_HELP
        YK_CREATE_JSON_HELP "\n"
    "Example:\n"
    "  yoke stream create log --capacity 4M\n",
};

static const struct yk_usage group_usage = {
    "stream",
    "Usage: yoke stream create NAME [OPTION...]\n"
    "'yoke stream create --help' says more.\n",
};

enum { CAPACITY = YK_CREATE_OWN, PLACE };

static const struct option create_options[] = {
    {"capacity", required_argument, NULL, CAPACITY},
    {"place", required_argument, NULL, PLACE},
    YK_CREATE_KEPT_OPTIONS,
    YK_OPTION_END,
};

struct creation {
    struct yoke_options options;
    struct yk_create common;
    const char *place; /* NULL: wherever a stream without one is */
    const char *name;
};

static void take_option(struct creation *creation, int option)
{
    switch (option) {
    case CAPACITY:
        creation->options.capacity =
            yk_parse_size(&create_usage, "--capacity", optarg, 1, YOKE_STREAM_CAPACITY_MAX);
        break;
    case PLACE:
        creation->place = optarg;
        break;
    default:
        yk_create_option(&creation->common, &create_usage, option, optarg);
        break;
    }
}

static void parse(struct creation *creation, int argc, char **argv)
{
    const char *at;
    int option;

    while ((option = yk_option_next(&create_usage, argc, argv, ":h", create_options)) >= 0)
        take_option(creation, option);
    yk_arguments_check(&create_usage, argc, 1, 1, "NAME");
    yk_create_check(&creation->common, &create_usage);
    creation->options.mode = creation->common.mode;
    creation->options.group = creation->common.group;
    creation->options.participants = creation->common.participants;
    creation->name = yk_parse_bare_name(&create_usage, "stream", argv[optind]);
    at = strchr(creation->name, '@');
    if (at)
        yk_usage_error(&create_usage,
                       "'%s': creating takes the bare name, and the place apart from it: "
                       "--place %s",
                       creation->name, at + 1);
}

/* One that was there keeps what it was made with: who asked for more should know. */
static void note_difference(const struct creation *creation, const char *address)
{
    struct yk_object_facts facts;

    if (yk_inspect(address, &facts, NULL, NULL) < 0 || !(facts.known & YK_KNOWN_HEADER))
        return;
    if (facts.known & YK_KNOWN_INSIDE)
        yk_create_note(&creation->common, address, &facts);
    yk_create_note_less(address, "capacity", facts.capacity, creation->options.capacity);
}

/* "stream:log", "stream:log@kernel"; the caller frees it. */
static char *address_of(const struct creation *creation)
{
    const char *place = creation->place ? creation->place : "";
    char *address = yk_grow(NULL, strlen(creation->name) + strlen(place) + sizeof "stream:@");

    sprintf(address, "stream:%s%s%s", creation->name, creation->place ? "@" : "", place);
    return address;
}

/*
 * A stream is made by opening an end of it. One that is there is not opened: that would be a reader
 * that came and left, to its writers.
 */
static int make(const struct creation *creation, const char *address)
{
    yoke_endpoint *endpoint;
    int result = yoke_open(&endpoint, address, YOKE_CREATE | YOKE_EXCLUSIVE | YOKE_KEPT | YOKE_READ,
                           &creation->options);

    if (result == 0)
        yoke_close(endpoint);
    if (result == -EEXIST && !creation->common.exclusive) {
        note_difference(creation, address);
        result = 0;
    }
    return result;
}

static int create(int argc, char **argv)
{
    struct creation creation = {.options = YOKE_OPTIONS_INIT, .common = YK_CREATE_INIT};
    char *address;
    int result, status;

    parse(&creation, argc, argv);
    address = address_of(&creation);
    result = make(&creation, address);
    status = result < 0 ? yk_report_on(address, result) : yk_create_done(&creation.common, address);
    free(address);
    return status;
}

static const struct yk_command commands[] = {
    {"create", "create one", create},
    {NULL, NULL, NULL},
};

int yk_stream_main(int argc, char **argv)
{
    return yk_command_run_group(commands, &group_usage, argc, argv);
}
