/*
 * create.c - what creating has in common for every kind: who may use the object, how long it lives.
 */
#include "create.h"

#include "cli.h"
#include "json.h"
#include "output.h"
#include "stop.h"

#include <stdio.h>
#include <string.h>
#include <yoke.h>

void yk_create_option(struct yk_create *create, const struct yk_usage *usage, int option,
                      const char *value)
{
    switch (option) {
    case YK_CREATE_EXCLUSIVE:
        create->exclusive = true;
        break;
    case YK_CREATE_TRANSIENT:
        create->transient = true;
        break;
    case YK_CREATE_HOLD:
        create->hold = true;
        break;
    case YK_CREATE_JSON:
        yk_json_require(usage);
        create->json = true;
        break;
    case YK_CREATE_MODE:
        create->mode = yk_parse_mode(usage, "--mode", value);
        break;
    case YK_CREATE_GROUP:
        create->group = yk_parse_group(usage, "--group", value);
        break;
    case YK_CREATE_PARTICIPANTS:
        create->participants =
            (uint32_t)yk_parse_number(usage, "--participants", value, 1, YOKE_PARTICIPANTS_MAX);
        break;
    default:
        break;
    }
}

void yk_create_check(const struct yk_create *create, const struct yk_usage *usage)
{
    if (create->transient && !create->hold)
        yk_usage_error(usage,
                       "with --transient alone it would be gone as soon as this command ends: "
                       "add --hold to keep it while the command runs");
    if (create->hold && !create->transient)
        yk_usage_error(usage,
                       "--hold goes with --transient; without that it stays until 'yoke rm'");
}

void yk_create_begin(const struct yk_create *create)
{
    if (create->hold)
        yk_stop_install();
}

static int report(const struct yk_create *create, const char *address)
{
    char shown[YK_WHERE_TEXT + YOKE_NAME_MAX + 16];

    yk_inspect_hide(shown, sizeof shown, address);
    if (create->json) {
        yk_json *object = yk_json_object();

        yk_json_string(object, "address", shown);
        yk_json_print_line(object);
    } else if (create->hold) {
        puts(shown); /* so that a script can wait until it is there */
    }
    return yk_flush_output() < 0 ? YK_FAILED : YK_DONE;
}

void yk_create_note_less(const char *address, const char *what, uint64_t has, uint64_t asked)
{
    if (has < asked)
        yk_complain("note: %s was there already and keeps its %s of %llu (%llu asked for)", address,
                    what, (unsigned long long)has, (unsigned long long)asked);
}

static int is_queue(const struct yk_object_facts *facts)
{
    return strcmp(facts->place, "kernel") == 0 && strcmp(facts->kind, "port") == 0;
}

void yk_create_note(const struct yk_create *create, const char *address,
                    const struct yk_object_facts *facts)
{
    char group[YK_OWNER_TEXT];

    if (facts->kept && create->transient)
        yk_complain("note: %s was there already and is kept until 'yoke rm %s'", address, address);
    if (!facts->kept && !create->transient)
        yk_complain("note: %s was there already and is transient: it goes with its last user",
                    address);
    if (create->mode != 0 && create->mode != facts->mode && is_queue(facts))
        yk_complain(
            "note: %s has mode %04o (%04o asked for): who may write to a message queue uses "
            "it both ways, and nobody else may",
            address, facts->mode, create->mode);
    else if (create->mode != 0 && create->mode != facts->mode)
        yk_complain("note: %s was there already and keeps its mode %04o (%04o asked for)", address,
                    facts->mode, create->mode);
    if (create->group >= 0 && create->group != facts->gid)
        yk_complain("note: %s was there already and keeps its group %s", address,
                    yk_format_group(group, facts->gid));
    yk_create_note_less(address, "number of participants", facts->participants_max,
                        create->participants);
}

int yk_create_done(const struct yk_create *create, const char *address)
{
    int status = report(create, address);

    if (create->hold && status == YK_DONE)
        yk_stop_wait(); /* this is how it is meant to end, so it is a success */
    return status;
}
