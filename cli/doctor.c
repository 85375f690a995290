/*
 * doctor.c - yoke doctor: what is wrong, on this machine and with every object.
 */
#include "doctor.h"

#include "cli.h"
#include "inspect.h"
#include "json.h"
#include "options.h"
#include "output.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

static const struct yk_usage usage = {
    "doctor",
    "Usage: yoke doctor [--verbose] [--json] [--place PLACE]\n"
    "Looks at this machine and at every object, says what is wrong, what that means,\n"
    "and the command that cures it. Changes nothing.\n\n"
    "  --place P  not at this machine, but at nats://HOST:PORT…: its servers, how it\n"
    "             is stored, and the objects there\n"
    "  --verbose  also say what is as it should be\n"
    "  --json     an array of objects: severity, subject, text, cure\n"
    "\n"
    "  fault      is wrong now: processes stand still, or something is lost\n"
    "  warning    will be wrong for somebody\n"
    "  note       works, with something else in its place, or slower\n"
    "\n"
    "Exit status 1: there are faults or warnings.\n"
    "Example:\n"
    "  yoke doctor\n",
};

enum { VERBOSE = YK_OPTION_FIRST, PLACE, JSON };

static const struct option options[] = {
    {"verbose", no_argument, NULL, VERBOSE},
    {"place", required_argument, NULL, PLACE},
    {"json", no_argument, NULL, JSON},
    YK_OPTION_END,
};

static const char *const severities[] = {"fine", "note", "warning", "fault"};

void yk_find(struct yk_findings *findings, enum yk_severity severity, const char *subject,
             const char *cure, const char *format, ...)
{
    va_list arguments;

    findings->all = yk_grow(findings->all, (findings->count + 1) * sizeof *findings->all);
    struct yk_finding *one = &findings->all[findings->count++];
    one->severity = severity;
    snprintf(one->subject, sizeof one->subject, "%s", subject);
    snprintf(one->cure, sizeof one->cure, "%s", cure && severity != YK_FINE ? cure : "");
    va_start(arguments, format);
    vsnprintf(one->text, sizeof one->text, format, arguments);
    va_end(arguments);
}

static size_t count_of(const struct yk_findings *findings, enum yk_severity severity)
{
    size_t count = 0;

    for (size_t i = 0; i < findings->count; i++)
        count += findings->all[i].severity == severity;
    return count;
}

static void print_json(const struct yk_findings *findings, enum yk_severity least)
{
    yk_json *array = yk_json_array();

    for (size_t i = 0; i < findings->count; i++) {
        const struct yk_finding *one = &findings->all[i];
        if (one->severity < least)
            continue;
        yk_json *object = yk_json_object();
        yk_json_string(object, "severity", severities[one->severity]);
        yk_json_string(object, "subject", one->subject);
        yk_json_string(object, "text", one->text);
        if (one->cure[0] != '\0')
            yk_json_string(object, "cure", one->cure);
        yk_json_append(array, object);
    }
    yk_json_print(array);
}

/* The worst first. */
static void print_text(const struct yk_findings *findings, enum yk_severity least,
                       const char *place)
{
    char shown[YK_WHERE_TEXT];

    yk_inspect_hide(shown, sizeof shown, place ? place : "");
    for (int severity = YK_FAULT; severity >= (int)least; severity--) {
        for (size_t i = 0; i < findings->count; i++) {
            const struct yk_finding *one = &findings->all[i];
            if ((int)one->severity != severity)
                continue;
            printf("%-8s %s: %s\n", severities[severity], one->subject, one->text);
            if (one->cure[0] != '\0')
                printf("%-8s %s\n", "  cure:", one->cure);
        }
    }
    size_t faults = count_of(findings, YK_FAULT), warnings = count_of(findings, YK_WARNING),
           notes = count_of(findings, YK_NOTE);
    printf("%zu %s, %zu %s, %zu %s; %s%s\n", faults, yk_plural(faults, "fault", "faults"), warnings,
           yk_plural(warnings, "warning", "warnings"), notes, yk_plural(notes, "note", "notes"),
           place ? "" : "names in ", place ? shown : yk_inspect_directory());
}

int yk_doctor_main(int argc, char **argv)
{
    struct yk_findings findings = {NULL, 0};
    bool verbose = false, json = false;
    const char *place = NULL;
    int option;

    while ((option = yk_option_next(&usage, argc, argv, ":h", options)) >= 0) {
        if (option == JSON)
            yk_json_require(&usage);
        if (option == PLACE)
            place = optarg;
        json |= option == JSON;
        verbose |= option == VERBOSE;
    }
    yk_arguments_check(&usage, argc, 0, 0, "argument");
    if (place) {
        int result = yk_doctor_place(&findings, place);
        if (result < 0)
            return yk_report(result);
    } else {
        yk_doctor_machine(&findings);
        yk_doctor_objects(&findings);
    }
    enum yk_severity least = verbose ? YK_FINE : YK_NOTE;
    if (json)
        print_json(&findings, least);
    else
        print_text(&findings, least, place);
    bool wrong = count_of(&findings, YK_FAULT) + count_of(&findings, YK_WARNING) > 0;
    free(findings.all);
    return wrong ? YK_FAILED : YK_DONE;
}
