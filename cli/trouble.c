/*
 * trouble.c - see trouble.h.
 */
#include "trouble.h"

#include "facts.h"
#include "output.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Adds "; ..." to the words; the worst of them counts. */
static void add(struct yk_row *row, enum yk_trouble trouble, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void add(struct yk_row *row, enum yk_trouble trouble, const char *format, ...)
{
    size_t length = strlen(row->why);
    va_list arguments;

    if (length > 0 && length + 2 < sizeof row->why) {
        strcpy(row->why + length, "; ");
        length += 2;
    }
    va_start(arguments, format);
    vsnprintf(row->why + length, sizeof row->why - length, format, arguments);
    va_end(arguments);
    if (trouble > row->trouble)
        row->trouble = trouble;
}

/* "WHAT: 1234 (worker)": what it is stands first, since a narrow screen cuts off the rest. */
static void add_process(struct yk_row *row, enum yk_trouble trouble, const char *what,
                        const struct yk_participant_facts *one)
{
    /* a pid that /proc does not prove is the participant's own word */
    const char *doubt = one->proven || !one->alive ? "" : "?";

    add(row, trouble, "%s: %" PRId32 "%s (%s)", what, one->pid, doubt, one->command);
}

static void look_at_stopped(struct yk_row *row, const struct yk_participant_facts *one)
{
    const struct yk_object_facts *facts = &row->look->facts;
    char what[40];

    snprintf(what, sizeof what, "stopped, holds %" PRIu32, one->held);
    if (yk_facts_is_stream(facts) && one->held)
        add_process(row, YK_STUCK, "stopped in a copy", one);
    else if (yk_facts_has_messages(facts) && one->held)
        add_process(row, YK_STUCK, what, one);
    else if (strcmp(facts->kind, "region") == 0)
        add_process(row, YK_MARKED, "stopped, may hold a lock", one);
    else
        add_process(row, YK_MARKED, "stopped", one);
}

static void look_at_participants(struct yk_row *row)
{
    const struct yk_look *look = row->look;
    char what[48];

    for (size_t i = 0; i < look->count; i++) {
        const struct yk_participant_facts *one = &look->participants[i];

        snprintf(what, sizeof what, "dead, not recovered, had %" PRIu32, one->held);
        if (!one->alive && one->held && yk_facts_has_messages(&look->facts))
            add_process(row, YK_STUCK, what, one);
        else if (!one->alive)
            add_process(row, YK_MARKED, "dead, not recovered", one);
        else if (one->state == 'T') /* 't' is a tracer's, mostly for an instant */
            look_at_stopped(row, one);
    }
}

/* Senders that wait are nothing bad while somebody receives. */
static void look_at_senders(struct yk_row *row)
{
    uint32_t senders = yk_row_senders(row);
    bool still = row->rates.measured && row->rates.out <= 0;

    if (senders > 0)
        add(row, still ? YK_STUCK : YK_MARKED, "full: %" PRIu32 " %s for room", senders,
            yk_facts_is_stream(&row->look->facts)
                ? yk_plural(senders, "writer waits", "writers wait")
                : yk_plural(senders, "sender waits", "senders wait"));
}

void yk_trouble_find(struct yk_row *row)
{
    const struct yk_object_facts *facts = &row->look->facts;

    row->trouble = YK_GOES_ON;
    row->why[0] = '\0';
    if (facts->problem[0] != '\0')
        add(row, YK_STUCK, "%s", facts->problem);
    look_at_senders(row);
    look_at_participants(row);
    if (facts->participants_max > 2 && facts->participants_used >= facts->participants_max)
        add(row, YK_MARKED, "all %" PRIu32 " places taken", facts->participants_max);
    if (yk_facts_has_traffic(facts) && facts->parked > 0)
        add(row, YK_MARKED, "%" PRIu64 " parked", facts->parked);
    if (yk_facts_has_count(facts) && facts->waiting > 0 && facts->participants_used == 0)
        add(row, YK_MARKED, "nobody has it open");
}
