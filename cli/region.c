/*
 * region.c - yoke region create.
 */
#include "cli.h"
#include "create.h"
#include "inspect.h"
#include "output.h"

#include <stdio.h>
#include <yoke.h>

static const struct yk_usage create_usage = {
    "region create",
    "Usage: yoke region create NAME --size SIZE [OPTION...]\n"
    "Creates a region: shared memory under a name. One of that name and size that is\n"
    "there already will do. It lives until 'yoke rm region:NAME'.\n\n"
    "  --size 64M          how many bytes; K, M, G and T are powers of 1024\n"
    "  --huge              huge pages, or fail\n"
    "  --populate          all pages present from the start, or fail\n"
    "  --sparse            reserve nothing: pages come, or fail, when touched\n" YK_CREATE_HELP "\n"
    "Example:\n"
    "  yoke region create frames --size 64M --mode 0660 --group video\n",
};

static const struct yk_usage group_usage = {
    "region",
    "Usage: yoke region create NAME --size SIZE [OPTION...]\n"
    "'yoke region create --help' says more.\n",
};

enum { SIZE = YK_CREATE_OWN, HUGE_PAGES, POPULATE, SPARSE };

static const struct option create_options[] = {
    {"size", required_argument, NULL, SIZE},
    {"huge", no_argument, NULL, HUGE_PAGES},
    {"populate", no_argument, NULL, POPULATE},
    {"sparse", no_argument, NULL, SPARSE},
    YK_CREATE_OPTIONS,
    YK_OPTION_END,
};

struct request {
    struct yk_create common;
    const char *name;
    size_t size;
    uint32_t flags;
};

static void take_option(struct request *request, int option)
{
    switch (option) {
    case SIZE:
        request->size = yk_parse_size(&create_usage, "--size", optarg, 1, (uint64_t)1 << 46);
        break;
    case HUGE_PAGES:
        request->flags |= YOKE_HUGE;
        break;
    case POPULATE:
        request->flags |= YOKE_POPULATE;
        break;
    case SPARSE:
        request->flags |= YOKE_SPARSE;
        break;
    default:
        yk_create_option(&request->common, &create_usage, option, optarg);
        break;
    }
}

static void parse(struct request *request, int argc, char **argv)
{
    int option;

    while ((option = yk_option_next(&create_usage, argc, argv, ":h", create_options)) >= 0)
        take_option(request, option);
    yk_arguments_check(&create_usage, argc, 1, 1, "NAME");
    request->name = yk_parse_bare_name(&create_usage, "region", argv[optind]);
    if (request->size == 0)
        yk_usage_error(&create_usage, "region create: --size missing");
    yk_create_check(&request->common, &create_usage);
    if (request->common.exclusive)
        request->flags |= YOKE_EXCLUSIVE;
    if (!request->common.transient)
        request->flags |= YOKE_KEPT;
}

static void note_difference(const struct request *request, const char *address)
{
    struct yk_object_facts facts;

    if (yk_inspect(address, &facts, NULL, NULL) == 0 && facts.known & YK_KNOWN_INSIDE)
        yk_create_note(&request->common, address, &facts);
}

static int create(int argc, char **argv)
{
    struct request request = {.common = YK_CREATE_INIT};
    struct yoke_region_options options = YOKE_REGION_OPTIONS_INIT;
    char address[sizeof "region:" + YOKE_NAME_MAX];
    yoke_region *region;
    int result, status;

    parse(&request, argc, argv);
    options.flags = request.flags;
    options.mode = request.common.mode;
    options.group = request.common.group;
    options.participants = request.common.participants;

    snprintf(address, sizeof address, "region:%s", request.name);
    yk_create_begin(&request.common);
    result = yoke_region_create(&region, request.name, request.size, &options);
    if (result < 0)
        return yk_report_on(address, result);
    note_difference(&request, address);
    status = yk_create_done(&request.common, address);
    yoke_region_close(region);
    return status;
}

static const struct yk_command commands[] = {
    {"create", "create one", create},
    {NULL, NULL, NULL},
};

int yk_region_main(int argc, char **argv)
{
    return yk_command_run_group(commands, &group_usage, argc, argv);
}
