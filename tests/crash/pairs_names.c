/*
 * pairs_names.c - the calls that may meet on a name: making, opening, leaving, removing, collecting one
 * object, in memory and in the kernel. See pairs.h; lifecycle.c has what one call alone leaves.
 */
#include <errno.h>
#include <string.h>

#include "pairs.h"
#include "yoke.h"

static bool in_kernel(void);

static struct order make(uint32_t flags)
{
    return in_kernel() ? (struct order){.verb = DO_PORT_OPEN,
                                        .name = "n@kernel",
                                        .flags = YOKE_CREATE | flags}
                       : (struct order){.verb = DO_REGION_CREATE, .name = "n", .flags = flags};
}

static struct order removal(void)
{
    return (struct order){.verb = in_kernel() ? DO_REMOVE : DO_REMOVE_REGION,
                          .name = in_kernel() ? "port:n@kernel" : "n"};
}

/* A kept one is there, and nobody has it open. */
static void is_there(struct side *side)
{
    struct actor *maker = actor_start();
    (void)side;
    if (does(maker, make(YOKE_KEPT)).result != 0)
        wrong("before: a kept one can not be made");
    DOES(maker, .verb = DO_CLOSE);
    actor_end(maker);
}

/* One is there that all users of died. */
static void is_dead(struct side *side)
{
    struct actor *maker = actor_start();
    (void)side;
    does(maker, make(0));
    actor_kill(maker);
}

static void has_it(struct side *side)
{
    side_does(0, side, make(0));
}

static void open_nothing(void)
{
}

/* Whoever comes now makes it, uses it, removes it; and nothing is left. */
static void name_is_free(struct side sides[2])
{
    struct leftovers left;
    struct actor *next = actor_start();
    (void)sides;
    if (does(next, make(YOKE_KEPT)).result != 0)
        wrong("the name can not be made, nor opened");
    DOES(next, .verb = DO_CLOSE);
    if (does(next, removal()).result != 0)
        wrong("the name can not be removed");
    if (DOES(next, .verb = DO_GC).result < 0)
        wrong("what is left can not be collected");
    actor_end(next);
    leftovers_count(directory, &left);
    if (!leftovers_none(&left))
        wrong("left behind:%s", left.text);
}

#define NAME_PARTS(create_verb, open_verb, remove_verb, name_, create_flags, address)          \
    {"create",                                                                                 \
     NULL,                                                                                     \
     {.verb = create_verb, .name = name_, .flags = create_flags},                              \
     .gives = {0, -EBUSY}},                                                                    \
        {"create kept",                                                                        \
         NULL,                                                                                 \
         {.verb = create_verb, .name = name_, .flags = (create_flags) | YOKE_KEPT},            \
         .gives = {0, -EBUSY}},                                                                \
        {"create exclusively",                                                                 \
         NULL,                                                                                 \
         {.verb = create_verb, .name = name_, .flags = (create_flags) | YOKE_EXCLUSIVE},       \
         .gives = {0, -EEXIST, -EBUSY}},                                                       \
        {"create over a dead name",                                                            \
         is_dead,                                                                              \
         {.verb = create_verb, .name = name_, .flags = create_flags},                          \
         .gives = {0, -EBUSY}},                                                                \
        {"open", is_there, {.verb = open_verb, .name = name_}, .gives = {0, -ENOENT, -EBUSY}}, \
        {"close as last user", has_it, {.verb = DO_CLOSE}, .gives = {0}},                      \
        {"remove",                                                                             \
         is_there,                                                                             \
         {.verb = remove_verb, .name = address},                                               \
         .gives = {0, -ENOENT, -EBUSY}},                                                       \
        {"remove what is in use",                                                              \
         has_it,                                                                               \
         {.verb = remove_verb, .name = address},                                               \
         .gives = {0, -ENOENT, -EBUSY}},                                                       \
    {                                                                                          \
        "collect", is_dead, {.verb = DO_GC}, .gives = { 0, 1, 2, 3 }                           \
    }

static const struct part memory_parts[] = {
    NAME_PARTS(DO_REGION_CREATE, DO_REGION_OPEN, DO_REMOVE_REGION, "n", 0, "n")};
static const struct part kernel_parts[] = {
    NAME_PARTS(DO_PORT_OPEN, DO_PORT_OPEN, DO_REMOVE, "n@kernel", YOKE_CREATE, "port:n@kernel")};

static const struct world memory_world = {.family = "name", .lasts = true, .open = open_nothing};
static const struct world kernel_world = {.family = "name", .lasts = true, .open = open_nothing};

static bool in_kernel(void)
{
    return run.scene->world == &kernel_world;
}

const struct meeting name_meeting = {
    .name = "name",
    .world = &memory_world,
    .parts = memory_parts,
    .count = sizeof memory_parts / sizeof memory_parts[0],
    .balanced = name_is_free,
};

const struct meeting kernel_name_meeting = {
    .name = "kernel name",
    .world = &kernel_world,
    .plan = {.depth = DEPTH, .priorities = 1, .max_message = 32},
    .parts = kernel_parts,
    .count = sizeof kernel_parts / sizeof kernel_parts[0],
    .balanced = name_is_free,
};
