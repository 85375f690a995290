/*
 * held.c - see held.h.
 */
#include "held.h"

#include "inspect.h"
#include "output.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define SECOND 1e9
#define SHOWN  20 /* to people */

static int add_held(const struct yk_tapped *message, void *context)
{
    struct yk_held_list *list = context;

    if (message->state != 'h')
        return 0;
    if (list->count == YK_HELD_MOST) {
        list->more++;
        return 0;
    }
    list->all[list->count++] = (struct yk_held_message){
        .sequence = message->sequence,
        .way = message->way,
        .holder = message->holder,
        .size = message->size,
        .deliveries = message->deliveries,
    };
    return 0;
}

/* Delivered again it is another holding, though the holder may be the same. */
static int64_t since_of(const struct yk_held_list *before, const struct yk_held_message *message,
                        int64_t now)
{
    for (size_t i = 0; i < before->count; i++) {
        const struct yk_held_message *then = &before->all[i];
        if (then->sequence == message->sequence && then->way == message->way &&
            then->holder == message->holder && then->deliveries == message->deliveries)
            return then->since;
    }
    return now;
}

void yk_held_look(struct yk_held_list *list, const char *address, int64_t now)
{
    struct yk_held_list newer = {.first = list->all ? list->first : now};
    struct yk_tap *tap;
    uint64_t unseen;

    newer.all = yk_grow(NULL, YK_HELD_MOST * sizeof *newer.all);
    if (yk_tap_open(&tap, address) == 0) {
        (void)yk_tap_look(tap, 0, add_held, &newer, &unseen);
        yk_tap_close(tap);
    }
    for (size_t i = 0; i < newer.count; i++)
        newer.all[i].since = since_of(list, &newer.all[i], now);
    free(list->all);
    *list = newer;
}

void yk_held_fini(struct yk_held_list *list)
{
    free(list->all);
}

void yk_held_print(const struct yk_held_list *list, int64_t now)
{
    static const struct yk_column columns[] = {
        {"MESSAGE", true},  {"HOLDER", true},    {"SIZE", true},
        {"DELIVERY", true}, {"HELD FOR", false},
    };
    size_t shown = list->count < SHOWN ? list->count : SHOWN;
    struct yk_table table;

    if (shown == 0)
        return;
    putchar('\n');
    yk_table_init(&table, columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < shown; i++) {
        const struct yk_held_message *one = &list->all[i];
        char time[YK_TIME_TEXT];

        yk_table_add(&table, "%" PRIu64, one->sequence);
        yk_table_add(&table, "slot %" PRIu32, one->holder);
        yk_table_add(&table, "%" PRIu32, one->size);
        yk_table_add(&table, "%" PRIu32, one->deliveries);
        if (one->since == now)
            yk_table_add(&table, "?");
        else
            yk_table_add(&table, "%s or %s", yk_format_time(time, now - one->since),
                         one->since == list->first ? "more" : "little more");
    }
    yk_table_print(&table);
    yk_table_fini(&table);
    if (list->count + list->more > shown)
        printf("and %" PRIu64 " more\n", (uint64_t)(list->count - shown) + list->more);
}

yk_json *yk_held_json(const struct yk_held_list *list, int64_t now)
{
    yk_json *array = yk_json_array();

    for (size_t i = 0; i < list->count; i++) {
        const struct yk_held_message *one = &list->all[i];
        yk_json *object = yk_json_object();

        yk_json_unsigned(object, "sequence", one->sequence);
        yk_json_unsigned(object, "slot", one->holder);
        yk_json_unsigned(object, "size", one->size);
        yk_json_unsigned(object, "delivery", one->deliveries);
        yk_json_real(object, "held_at_least", (double)(now - one->since) / SECOND);
        yk_json_append(array, object);
    }
    return array;
}
