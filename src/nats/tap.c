/*
 * tap.c - the messages of a port, read by their numbers: nothing is taken, no consumer is asked for any.
 *
 * What the servers do not tell is who has a message, and whether one that was delivered is in somebody's hands
 * or on its way back: what was delivered and is still there counts as held.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "look.h"

struct tap {
    char place[YK_PLACE_MAX];
    char name[YK_ENTRY_MAX];
    uint64_t generation;
    char stream[YK_NATS_SUBJECT_MOST], parked_stream[YK_NATS_SUBJECT_MOST];
    uint64_t next;        /* messages from here on were not seen */
    uint64_t next_parked; /* in the other stream's numbers */
    bool looked;
};

int yk_nats_tap_open(void **ret, const struct yk_address *address)
{
    YK_KEEP_ERRNO;
    struct yk_named named = {.there = false};
    struct yk_hub *hub;
    if (address->kind != YK_KIND_PORT)
        return yk_fail(ENOTSUP, "messages of the place nats:// can be looked at in ports only");
    struct tap *tap = calloc(1, sizeof *tap);
    int result = tap ? yk_look_hub(&hub, address->where)
                     : yk_fail(ENOMEM, "no memory to look at port:%s", address->name);

    if (result == 0)
        result = yk_look_name(hub, "port", address->name, &named);
    if (result == 0 && !named.there)
        result = yk_fail(ENOENT, "there is no port:%s in this place", address->name);
    if (result == 0 && !named.sound)
        result =
            yk_fail(EPROTO, "what the place says of port:%s was written by no yoke", address->name);
    if (result < 0) {
        free(tap);
        return result;
    }
    strcpy(tap->place, address->where);
    strcpy(tap->name, address->name);
    tap->generation = named.facts.generation;
    yk_nats_stream(tap->stream, hub, "port", address->name, tap->generation);
    yk_nats_stream(tap->parked_stream, hub, "parked", address->name, tap->generation);
    tap->next = tap->next_parked = 1;
    *ret = tap;
    return 0;
}

void yk_nats_tap_close(void *self)
{
    YK_KEEP_ERRNO;
    free(self);
}

/* ---- a look ---------------------------------------------------------------------------------- */

struct tap_look {
    struct tap *tap;
    struct yk_hub *hub;
    uint32_t most;
    yk_each_tapped *each;
    void *context;
    uint64_t delivered; /* up to that number */
    uint64_t *
        parked; /* owned: those seen in this look, which may be on their way out of the other stream */
    size_t parked_count;
    uint64_t seen;
};

static int note_parked(struct tap_look *look, uint64_t sequence)
{
    uint64_t *parked = realloc(look->parked, (look->parked_count + 1) * sizeof *parked);

    if (!parked)
        return yk_fail(ENOMEM, "no memory for a list of parked messages");
    look->parked = parked;
    parked[look->parked_count++] = sequence;
    return 0;
}

static bool is_parked(const struct tap_look *look, uint64_t sequence)
{
    for (size_t i = 0; i < look->parked_count; i++)
        if (look->parked[i] == sequence)
            return true;
    return false;
}

static int hand_on(struct tap_look *look, const struct yk_stored *stored, char state)
{
    uint64_t again = yk_stored_number(stored, "Yoke-Again") != 0;
    struct yk_tapped message = {
        .state = state,
        .size = (uint32_t)stored->size,
        .sender = (uint32_t)yk_stored_number(stored, "Yoke-Sender"),
        .deliveries = (uint32_t)(again + (state == 'h')),
        .sequence = stored->sequence,
        .tag = yk_stored_number(stored, "Yoke-Tag"),
        .bytes = stored->data,
        .shown = stored->size < look->most ? (uint32_t)stored->size : look->most,
    };

    if (state == 'p') {
        message.sequence = yk_stored_number(stored, "Yoke-Sequence");
        message.deliveries = (uint32_t)yk_stored_number(stored, "Yoke-Deliveries");
        int result = note_parked(look, message.sequence);
        if (result < 0)
            return result;
    } else if (is_parked(look, message.sequence)) {
        return 0;
    }
    if (message.sequence < look->tap->next)
        return 0; /* it was shown before it was parked */
    look->seen++;
    return look->each(&message, look->context);
}

/* The messages of one stream from *next to before `end`, oldest first. */
static int walk(struct tap_look *look, const char *stream, bool parked, uint64_t *next,
                uint64_t end)
{
    int result = 0;

    while (result == 0 && *next < end) {
        struct yk_stored stored;
        result = yk_api_next(look->hub, stream, *next, ">", &stored);
        if (result <= 0)
            break;
        result = 0;
        if (stored.sequence < end) {
            char state = parked ? 'p' : stored.sequence <= look->delivered ? 'h' : 'w';
            result = hand_on(look, &stored, state);
        }
        *next = stored.sequence + 1;
        yk_stored_fini(&stored);
    }
    return result;
}

/* Its streams are not there: because it is not there, or they are not yet. */
static int explain_missing(const struct tap_look *look)
{
    const struct tap *tap = look->tap;
    struct yk_named named;
    int result = yk_look_name(look->hub, "port", tap->name, &named);

    if (result == -ENOENT ||
        (result == 0 && (!named.there || named.facts.generation != tap->generation)))
        return yk_fail(ENOENT, "port:%s was removed while it was looked at", tap->name);
    return result;
}

int yk_nats_tap_look(void *self, uint32_t most, yk_each_tapped *each, void *context,
                     uint64_t *ret_unseen)
{
    YK_KEEP_ERRNO;
    struct tap *tap = self;
    struct tap_look look = {.tap = tap, .most = most, .each = each, .context = context};
    struct yk_stream_facts main, parked;
    struct yk_consumer_facts consumer;
    uint64_t next = tap->next, end;
    int result = yk_look_hub(&look.hub, tap->place);

    *ret_unseen = 0;
    if (result == 0)
        result = yk_look_stream(look.hub, tap->stream, &main);
    if (result == 0 && main.last < tap->next && tap->looked)
        return 0; /* nothing came */
    if (result == 0)
        result = yk_look_consumer(look.hub, tap->stream, &consumer);
    if (result == 0)
        result = yk_look_stream(look.hub, tap->parked_stream, &parked);
    if (result == -ENOENT)
        return explain_missing(&look);
    if (result < 0)
        return result;
    look.delivered = consumer.delivered;
    end = main.last + 1; /* what is sent from then on is for the next look */
    result = walk(&look, tap->parked_stream, true, &tap->next_parked, parked.last + 1);
    if (result == 0)
        result = walk(&look, tap->stream, false, &next, end);
    free(look.parked);
    if (result == 0) {
        if (tap->looked && end - tap->next > look.seen)
            *ret_unseen = end - tap->next - look.seen;
        tap->next = end;
        tap->looked = true;
    } else {
        tap->next = next;
    }
    return result;
}
