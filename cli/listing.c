/*
 * listing.c - see listing.h.
 */
#include "listing.h"

#include "facts.h"
#include "output.h"
#include "trouble.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const key_names[YK_KEYS] = {
    [YK_BY_KIND] = "kind",       [YK_BY_NAME] = "name",   [YK_BY_SIZE] = "size",
    [YK_BY_WAITING] = "waiting", [YK_BY_FILL] = "fill",   [YK_BY_RATE] = "rate",
    [YK_BY_HELD] = "held",       [YK_BY_USERS] = "users", [YK_BY_MEMORY] = "memory",
    [YK_BY_AGE] = "age",         [YK_BY_OWNER] = "owner", [YK_BY_STUCK] = "stuck",
};

const char *yk_key_name(enum yk_key key)
{
    return key < YK_KEYS ? key_names[key] : NULL;
}

/* ---- which --------------------------------------------------------------------------------- */

/* Where one place is looked at, it need not stand in the pattern. */
static bool matches_pattern(const struct yk_object_facts *facts, const struct yk_choice *choice)
{
    char address[YK_ADDRESS_TEXT];
    const char *colon, *pattern = choice->pattern;

    if (!pattern)
        return true;
    colon = strchr(pattern, ':');
    if (!colon)
        return fnmatch(pattern, facts->name, 0) == 0;
    yk_facts_address(address, facts);
    if (choice->place && !strchr(pattern, '@'))
        address[strcspn(address, "@")] = '\0';
    if (colon[1] == '\0')
        return strncmp(address, pattern, strlen(pattern)) == 0;
    return fnmatch(pattern, address, 0) == 0;
}

static bool is_wanted(const struct yk_row *row, const struct yk_choice *choice)
{
    const struct yk_object_facts *facts = &row->look->facts;

    if (choice->mine && (!(facts->known & YK_KNOWN_OWNER) || facts->uid != geteuid()))
        return false;
    if (choice->stuck && row->trouble == YK_GOES_ON)
        return false;
    return matches_pattern(facts, choice);
}

/* ---- in which order ------------------------------------------------------------------------- */

uint64_t yk_row_room(const struct yk_row *row)
{
    const struct yk_object_facts *facts = &row->look->facts;

    if (!(facts->known & YK_KNOWN_INSIDE))
        return 0;
    if (yk_facts_is_stream(facts))
        return facts->capacity;
    return (uint64_t)facts->depth * (facts->priorities ? facts->priorities : 1) *
           (yk_facts_is_link(facts) ? 2 : 1);
}

static uint64_t size_of(const struct yk_row *row)
{
    const struct yk_object_facts *facts = &row->look->facts;

    if (yk_facts_is_stream(facts))
        return facts->capacity;
    return yk_facts_has_messages(facts) ? yk_row_room(row) * facts->max_message
                                        : facts->region_size;
}

/* What it is sorted by, bigger first. */
static double weight(const struct yk_row *row, enum yk_key key)
{
    const struct yk_object_facts *facts = &row->look->facts;
    uint64_t room = yk_row_room(row);

    switch (key) {
    case YK_BY_SIZE:
        return (double)size_of(row);
    case YK_BY_WAITING:
        return (double)facts->waiting;
    case YK_BY_FILL:
        return room > 0 ? (double)facts->waiting / (double)room : 0;
    case YK_BY_RATE:
        return row->rates.in + row->rates.out;
    case YK_BY_HELD:
        return (double)row->held_for;
    case YK_BY_USERS:
        return facts->participants_used;
    case YK_BY_MEMORY:
        return (double)facts->memory_used;
    case YK_BY_AGE:
        return -(double)facts->created_ns;
    case YK_BY_STUCK:
        return row->trouble;
    default:
        return 0;
    }
}

/* qsort() hands nothing on to what compares. */
static const struct yk_choice *sorting;

static int compare(const void *a, const void *b)
{
    const struct yk_row *first = a, *second = b;
    double one = weight(first, sorting->key), other = weight(second, sorting->key);
    int order = one > other ? -1 : one < other;

    if (sorting->key == YK_BY_OWNER) {
        char mine[YK_OWNER_TEXT], its[YK_OWNER_TEXT];
        order = strcmp(yk_format_user(mine, first->look->facts.uid),
                       yk_format_user(its, second->look->facts.uid));
    }
    if (sorting->key == YK_BY_NAME)
        order = strcmp(first->look->facts.name, second->look->facts.name);
    if (order == 0)
        order = yk_facts_compare(&first->look->facts, &second->look->facts);
    return sorting->reverse ? -order : order;
}

enum yk_key yk_parse_key(const struct yk_usage *usage, const char *option, const char *text)
{
    char all[160] = "";

    for (enum yk_key key = 0; key < YK_KEYS; key++) {
        if (strcmp(text, key_names[key]) == 0)
            return key;
        strcat(strcat(all, key > 0 ? ", " : ""), key_names[key]);
    }
    yk_usage_error(usage, "%s '%s': one of %s", option, text, all);
}

/* ---- rows ----------------------------------------------------------------------------------- */

static void make_row(struct yk_row *row, const struct yk_look *look, const struct yk_look *before)
{
    *row = (struct yk_row){.look = look, .held_for = yk_look_held_for(look)};
    if (before && yk_rates_are_known(&look->facts))
        row->rates = yk_rates_between(before, look);
    yk_trouble_find(row);
}

void yk_listing_arrange(struct yk_listing *listing, const struct yk_choice *choice)
{
    listing->rows =
        yk_grow(listing->rows, (listing->looks.count + 1) * sizeof *listing->rows); /* never 0 */
    listing->count = 0;
    for (size_t i = 0; i < listing->looks.count; i++) {
        const struct yk_look *look = &listing->looks.all[i];
        struct yk_row *row = &listing->rows[listing->count];

        make_row(row, look, yk_looks_find(&listing->before, look));
        listing->count += is_wanted(row, choice);
    }
    sorting = choice;
    qsort(listing->rows, listing->count, sizeof *listing->rows, compare);
}

int yk_listing_look(struct yk_listing *listing, const struct yk_choice *choice)
{
    struct yk_looks looks;
    int result = yk_looks_take(&looks, choice->place, &listing->looks, choice->participants);

    if (result < 0)
        return result;
    yk_looks_fini(&listing->before);
    listing->before = listing->looks;
    listing->looks = looks;
    yk_listing_arrange(listing, choice);
    return 0;
}

void yk_listing_fini(struct yk_listing *listing)
{
    yk_looks_fini(&listing->looks);
    yk_looks_fini(&listing->before);
    free(listing->rows);
}

uint32_t yk_row_receivers(const struct yk_row *row)
{
    uint32_t count = row->look->facts.far.receivers;

    for (size_t i = 0; i < row->look->count; i++)
        if (row->look->participants[i].alive)
            count += row->look->participants[i].waiting_receive;
    return count;
}

uint32_t yk_row_senders(const struct yk_row *row)
{
    uint32_t count = 0;

    for (size_t i = 0; i < row->look->count; i++)
        if (row->look->participants[i].alive)
            count += row->look->participants[i].waiting_send;
    return count;
}

char *yk_format_row_rate(char text[YK_RATE_TEXT], const struct yk_row *row, double rate)
{
    if (!row->rates.measured || rate < 0)
        strcpy(text, "-");
    else if (yk_facts_is_stream(&row->look->facts))
        yk_format_byte_rate(text, rate);
    else
        yk_format_rate(text, rate);
    return text;
}

yk_json *yk_row_json(const struct yk_row *row)
{
    yk_json *object = yk_facts_json(&row->look->facts);

    if (row->rates.measured)
        yk_rates_add_json(object, &row->look->facts, &row->rates);
    return object;
}
