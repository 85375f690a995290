/*
 * create.h - what creating has in common for every kind: who may use the object, how long it lives.
 */
#ifndef YK_CREATE_H
#define YK_CREATE_H

#include "inspect.h"
#include "options.h"

#include <stdbool.h>
#include <stdint.h>

struct yk_create {
    bool exclusive, transient, hold, json;
    uint32_t mode;         /* 0: the library's default */
    int64_t group;         /* -1: the caller's */
    uint32_t participants; /* 0: the library's default */
};
#define YK_CREATE_INIT \
    {                  \
        .group = -1    \
    }

enum {
    YK_CREATE_EXCLUSIVE = YK_OPTION_FIRST,
    YK_CREATE_TRANSIENT,
    YK_CREATE_HOLD,
    YK_CREATE_JSON,
    YK_CREATE_MODE,
    YK_CREATE_GROUP,
    YK_CREATE_PARTICIPANTS,
    YK_CREATE_OWN /* a kind's own options start here */
};

/* The rows for a command's options. */
/* clang-format off */
#define YK_CREATE_OPTIONS                                      \
    {"exclusive", no_argument, NULL, YK_CREATE_EXCLUSIVE},     \
    {"transient", no_argument, NULL, YK_CREATE_TRANSIENT},     \
    {"hold", no_argument, NULL, YK_CREATE_HOLD},               \
    {"json", no_argument, NULL, YK_CREATE_JSON},               \
    {"mode", required_argument, NULL, YK_CREATE_MODE},         \
    {"group", required_argument, NULL, YK_CREATE_GROUP},       \
    {"participants", required_argument, NULL, YK_CREATE_PARTICIPANTS}
/* clang-format on */

/* And the lines for its help. */
#define YK_CREATE_HELP                                                                \
    "  --mode 0640         who may use it: permission bits (0600)\n"                  \
    "  --group G           the group that owns it\n"                                  \
    "  --participants N    how many may have it open at once (128)\n"                 \
    "  --exclusive         fail if there is one of that name already\n"               \
    "  --transient --hold  lives while this command, or another user, has it open;\n" \
    "                      the command then runs until SIGINT or SIGTERM\n"           \
    "  --json              print {\"address\": ...}\n"

/* Takes in one of the options above. */
void yk_create_option(struct yk_create *create, const struct yk_usage *usage, int option,
                      const char *value);

/* Refuses what does not go together. */
void yk_create_check(const struct yk_create *create, const struct yk_usage *usage);

/*
 * To be called before the object is made if it is to be held: a signal from then on must not end
 * the process where it stands.
 */
void yk_create_begin(const struct yk_create *create);

/*
 * One of that name that was there already stays as it is. Who asked for another life, mode or
 * group, or for more, is told so on stderr: the first for what all kinds have, the second for one
 * number.
 */
void yk_create_note(const struct yk_create *create, const char *address,
                    const struct yk_object_facts *facts);
void yk_create_note_less(const char *address, const char *what, uint64_t has, uint64_t asked);

/*
 * Reports what was created and, if asked, keeps the process here until a signal comes; the caller
 * then closes the object. Returns the exit status.
 */
int yk_create_done(const struct yk_create *create, const char *address);

#endif
