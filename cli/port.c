/*
 * port.c - yoke port create.
 */
#include "cli.h"
#include "create.h"
#include "inspect.h"
#include "output.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yoke.h>

static const struct yk_usage create_usage = {
    "port create",
    "Usage: yoke port create NAME [OPTION...]\n"
    "Creates a port: a mailbox for many senders and many receivers. One of that name\n"
    "that is there already stays as it is. It lives until 'yoke rm port:NAME'.\n\n"
    "  --depth 1024        messages that each priority holds (256)\n"
    "  --max-message 4K    bytes that a message may have, at most 64M (4K)\n"
    "  --priorities 4      how many priorities, 1 to 32 (1)\n"
    "  --policy redeliver  or once: what becomes of a dead receiver's messages\n"
    "  --max-deliveries N  after so many it is parked; or none (16)\n"
    "  --max-parked N      parked messages kept for each priority (depth / 4)\n"
    "  --max-borrowed N    messages that one endpoint may borrow at once (64)\n"
    "  --place PLACE       memory, kernel, or nats://HOST:PORT…: yoke(1), PLACES\n" YK_CREATE_HELP
    "\n"
    "Example:\n"
    "  yoke port create jobs --depth 1024 --priorities 4\n",
};

static const struct yk_usage group_usage = {
    "port",
    "Usage: yoke port create NAME [OPTION...]\n"
    "'yoke port create --help' says more.\n",
};

enum {
    DEPTH = YK_CREATE_OWN,
    MAX_MESSAGE,
    PRIORITIES,
    POLICY,
    MAX_DELIVERIES,
    MAX_PARKED,
    MAX_BORROWED,
    PLACE
};

static const struct option create_options[] = {
    {"depth", required_argument, NULL, DEPTH},
    {"max-message", required_argument, NULL, MAX_MESSAGE},
    {"priorities", required_argument, NULL, PRIORITIES},
    {"policy", required_argument, NULL, POLICY},
    {"max-deliveries", required_argument, NULL, MAX_DELIVERIES},
    {"max-parked", required_argument, NULL, MAX_PARKED},
    {"max-borrowed", required_argument, NULL, MAX_BORROWED},
    {"place", required_argument, NULL, PLACE},
    YK_CREATE_OPTIONS,
    YK_OPTION_END,
};

#define DEPTH_MAX    (1u << 20)
#define BORROWED_MAX (1u << 16)

static uint32_t parse_policy(const char *text)
{
    if (strcmp(text, "redeliver") == 0)
        return YOKE_POLICY_REDELIVER;
    if (strcmp(text, "once") == 0)
        return YOKE_POLICY_ONCE;
    yk_usage_error(&create_usage, "--policy '%s': neither 'redeliver' nor 'once'", text);
}

static uint32_t parse_max_deliveries(const char *text)
{
    if (strcmp(text, "none") == 0)
        return UINT32_MAX;
    return (uint32_t)yk_parse_number(&create_usage, "--max-deliveries", text, 1, UINT32_MAX - 1);
}

static uint32_t parse_number(const char *option, uint64_t most)
{
    return (uint32_t)yk_parse_number(&create_usage, option, optarg, 1, most);
}

struct creation {
    struct yoke_options options;
    struct yk_create common;
    const char *place; /* NULL: wherever a port without one is */
    const char *name;
};

static void take_option(struct creation *creation, int option)
{
    struct yoke_options *options = &creation->options;

    switch (option) {
    case DEPTH:
        options->depth = parse_number("--depth", DEPTH_MAX);
        break;
    case MAX_MESSAGE:
        options->max_message =
            yk_parse_size(&create_usage, "--max-message", optarg, 1, YOKE_MESSAGE_MAX);
        break;
    case PRIORITIES:
        options->priorities = parse_number("--priorities", YOKE_PRIORITIES_MAX);
        break;
    case POLICY:
        options->policy = parse_policy(optarg);
        break;
    case MAX_DELIVERIES:
        options->max_deliveries = parse_max_deliveries(optarg);
        break;
    case MAX_PARKED:
        options->max_parked = parse_number("--max-parked", DEPTH_MAX);
        break;
    case MAX_BORROWED:
        options->max_borrowed = parse_number("--max-borrowed", BORROWED_MAX);
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
    int option;

    while ((option = yk_option_next(&create_usage, argc, argv, ":h", create_options)) >= 0)
        take_option(creation, option);
    yk_arguments_check(&create_usage, argc, 1, 1, "NAME");
    yk_create_check(&creation->common, &create_usage);
    creation->options.mode = creation->common.mode;
    creation->options.group = creation->common.group;
    creation->options.participants = creation->common.participants;
    creation->name = yk_parse_bare_name(&create_usage, "port", argv[optind]);
}

/* A port that was there keeps what it was made with: who asked for more should know. */
static void note_difference(const char *address, const struct yoke_options *asked,
                            const struct yk_create *common)
{
    struct yk_object_facts facts;

    if (yk_inspect(address, &facts, NULL, NULL) < 0 || !(facts.known & YK_KNOWN_INSIDE))
        return;
    yk_create_note(common, address, &facts);
    yk_create_note_less(address, "depth", facts.depth, asked->depth);
    yk_create_note_less(address, "max-message", facts.max_message, asked->max_message);
    yk_create_note_less(address, "number of priorities", facts.priorities, asked->priorities);
    if (asked->policy != YOKE_POLICY_DEFAULT && facts.once != (asked->policy == YOKE_POLICY_ONCE))
        yk_complain("note: %s was there already and keeps its policy '%s'", address,
                    facts.once ? "once" : "redeliver");
}

/* "port:jobs", "port:jobs@kernel"; the caller frees it. */
static char *address_of(const struct creation *creation)
{
    const char *place = creation->place ? creation->place : "";
    char *address = yk_grow(NULL, strlen(creation->name) + strlen(place) + sizeof "port:@");

    sprintf(address, "port:%s%s%s", creation->name, creation->place ? "@" : "", place);
    return address;
}

static int create(int argc, char **argv)
{
    struct creation creation = {.options = YOKE_OPTIONS_INIT, .common = YK_CREATE_INIT};
    struct yk_create *common = &creation.common;
    yoke_endpoint *endpoint;
    char *address;
    int result, status;

    parse(&creation, argc, argv);
    if (strchr(creation.name, '@'))
        yk_usage_error(
            &create_usage,
            "'%s': creating takes the bare name, and the place apart from it: --place %s",
            creation.name, strchr(creation.name, '@') + 1);
    address = address_of(&creation);
    yk_create_begin(common);
    result = yoke_open(&endpoint, address,
                       YOKE_CREATE | (common->exclusive ? YOKE_EXCLUSIVE : 0) |
                           (common->transient ? 0 : YOKE_KEPT),
                       &creation.options);
    if (result < 0) {
        status = yk_report_on(address, result);
    } else {
        note_difference(address, &creation.options, common);
        status = yk_create_done(common, address);
        yoke_close(endpoint);
    }
    free(address);
    return status;
}

static const struct yk_command commands[] = {
    {"create", "create one", create},
    {NULL, NULL, NULL},
};

int yk_port_main(int argc, char **argv)
{
    return yk_command_run_group(commands, &group_usage, argc, argv);
}
