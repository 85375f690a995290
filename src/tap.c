/*
 * tap.c - looking on at messages without taking part. See inspect.h.
 *
 * The object is attached read-only. A message's bytes are copied and then it is asked for again: if it
 * is still the same one, in the same place, nobody wrote over the bytes meanwhile. Everything that is
 * read is input, bounded by the checked geometry.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "address.h"
#include "base/error.h"
#include "base/sys.h"
#include "inspect.h"
#include "link.h"
#include "memory/object.h"
#include "place.h"
#include "port.h"

#define MILLISECOND INT64_C(1000000)

/* Where a message that was found lies. */
struct found {
    uint64_t sequence;
    uint32_t number; /* ring of a port, or way of a link */
    uint32_t index;  /* cell of a port */
};

struct yk_tap {
    struct yk_object object; /* first: the kind's callbacks get it */
    bool link;
    struct yk_ring ring;
    struct yk_spsc ways[2];
    uint32_t numbers;                   /* rings, or 2 */
    uint64_t next[YOKE_PRIORITIES_MAX]; /* sequences from here on were not seen */
    uint64_t sent;                      /* at the last look */
    bool looked;
    struct found *found; /* owned */
    size_t count, room;
    unsigned char *copy; /* owned: `copied` bytes */
    uint32_t copied;
    const struct yk_place_view *view; /* NULL: in memory; else only `far` is of use */
    void *far;                        /* the place's own */
};

/* ---- attaching ---- */

static int prepare(struct yk_object *object)
{
    struct yk_tap *tap = (struct yk_tap *)object;
    struct yk_ring_geometry rings;
    struct yk_spsc_geometry ways;
    unsigned char *body = yk_object_body(object);
    int result =
        tap->link ? yk_link_check(&object->fixed, &ways) : yk_port_check(&object->fixed, &rings);
    if (result < 0)
        return result;
    for (int from = 0; from < 2 && tap->link; from++)
        yk_link_ring(&tap->ways[from], &ways, body, from);
    if (!tap->link)
        yk_ring_attach(&tap->ring, &rings, body + YK_PORT_RINGS_OFFSET,
                       body + yk_port_blocks_offset(&rings));
    tap->numbers = tap->link ? 2 : rings.rings;
    return 0;
}

static void unprepare(struct yk_object *object)
{
    (void)object;
}

static const struct yk_kind_operations operations = {.prepare = prepare, .unprepare = unprepare};

static int check_kind(const struct yk_address *parsed, const char *address)
{
    if (parsed->place && !parsed->place->view)
        return yk_fail(ENOTSUP,
                       "%s is in the kernel, which shows its messages only to who takes them",
                       address);
    if (parsed->kind == YK_KIND_PORT || parsed->kind == YK_KIND_LINK ||
        parsed->kind == YK_KIND_SIGNALS)
        return 0;
    return yk_fail(ENOTSUP,
                   "%s has no messages to look at: ports, links and inboxes of signals have",
                   address);
}

int yk_tap_open(struct yk_tap **ret, const char *address)
{
    struct yk_address parsed;
    int result = yk_address_parse_whole(address, &parsed);
    if (result == 0)
        result = check_kind(&parsed, address);
    if (result < 0)
        return result;
    struct yk_tap *tap = yk_sys_allocate(1, sizeof *tap);
    if (!tap)
        return yk_fail(ENOMEM, "no memory to look at %s", address);
    tap->view = parsed.place ? parsed.place->view : NULL;
    tap->link = parsed.kind == YK_KIND_LINK;
    struct yk_object_plan plan = {
        .kind = parsed.kind,
        .name = parsed.name,
        .flags = YOKE_READ_ONLY,
        .group = -1,
        .seat = YK_ANY_SEAT,
        .operations = &operations,
    };
    result =
        tap->view ? tap->view->tap_open(&tap->far, &parsed) : yk_object_open(&tap->object, &plan);
    if (result < 0)
        free(tap);
    else
        *ret = tap;
    return result;
}

void yk_tap_close(struct yk_tap *tap)
{
    if (!tap)
        return;
    if (tap->view)
        tap->view->tap_close(tap->far);
    else
        yk_object_close(&tap->object);
    free(tap->found);
    free(tap->copy);
    free(tap);
}

bool yk_tap_is_alone(const struct yk_tap *tap)
{
    struct shmid_ds facts;
    return !tap->view && yk_sys_shm_stat(tap->object.segment, &facts) == 0 &&
           (facts.shm_perm.mode & SHM_DEST) && facts.shm_nattch <= 1;
}

/* ---- what is there ---- */

/* 0, or -ENOMEM. */
static int note(struct yk_tap *tap, uint32_t number, uint32_t index, uint64_t sequence)
{
    if (sequence < tap->next[number])
        return 0;
    if (tap->count == tap->room) {
        size_t room = tap->room ? 2 * tap->room : 256;
        struct found *more = yk_sys_reallocate(tap->found, room, sizeof *more);
        if (!more)
            return yk_fail(ENOMEM, "no memory for a list of %zu messages", room);
        tap->found = more;
        tap->room = room;
    }
    tap->found[tap->count++] = (struct found){sequence, number, index};
    return 0;
}

static int find_in_ring(struct yk_tap *tap, uint32_t number)
{
    struct yk_ring_counts counts;
    struct yk_ring_seen seen;
    yk_ring_count(&tap->ring, number, &counts);
    tap->sent += counts.sent;
    int result = 0;
    for (uint32_t i = 0; i < yk_ring_cells(&tap->ring) && result == 0; i++) {
        if (yk_ring_look(&tap->ring, number, i, &seen))
            result = note(tap, number, i, seen.sequence);
    }
    return result;
}

static int find_on_way(struct yk_tap *tap, uint32_t way)
{
    struct yk_spsc_counts counts;
    yk_spsc_count(&tap->ways[way], &counts); /* at most `depth` from `released` to `sent` */
    tap->sent += counts.sent;
    int result = 0;
    for (uint64_t i = counts.released; i != counts.sent && result == 0; i++)
        result = note(tap, way, 0, i);
    return result;
}

static int by_sequence(const void *a, const void *b)
{
    const struct found *x = a, *y = b;
    return x->sequence < y->sequence ? -1 : x->sequence > y->sequence;
}

/* ---- one message ---- */

/* Copies up to `most` bytes to tap->copy, which has room for them. */
static bool read_from_ring(struct yk_tap *tap, const struct found *found, uint32_t most,
                           struct yk_tapped *ret)
{
    struct yk_ring_seen seen, again;
    if (!yk_ring_look(&tap->ring, found->number, found->index, &seen) ||
        seen.sequence != found->sequence)
        return false;
    *ret = (struct yk_tapped){
        .state = seen.state == YK_CELL_HELD     ? 'h'
                 : seen.state == YK_CELL_PARKED ? 'p'
                                                : 'w',
        .priority = found->number,
        .size = seen.size,
        .sender = seen.sender,
        .deliveries =
            seen.deliveries + (seen.state == YK_CELL_HELD || seen.state == YK_CELL_PARKED),
        .holder = seen.owner,
        .sequence = seen.sequence,
        .tag = seen.tag,
        .shown = seen.size < most ? seen.size : most,
    };
    memcpy(tap->copy, yk_ring_payload(&tap->ring, seen.block), ret->shown);
    yk_fence_seq(); /* the copy before the second look */
    return yk_ring_look(&tap->ring, found->number, found->index, &again) && again.word == seen.word;
}

static bool read_from_way(struct yk_tap *tap, const struct found *found, uint32_t most,
                          struct yk_tapped *ret)
{
    const struct yk_spsc *ring = &tap->ways[found->number];
    struct yk_spsc_message message;
    struct yk_spsc_counts counts;
    if (!yk_spsc_look(ring, found->sequence, &message))
        return false;
    uint32_t shown = message.size < most ? message.size : most;
    memcpy(tap->copy, message.bytes, shown);
    yk_fence_seq(); /* the copy before the second look */
    yk_spsc_count(ring, &counts);
    *ret = (struct yk_tapped){
        .way = (int)found->number,
        .state = found->sequence < counts.taken ? 'h' : 'w',
        .size = message.size,
        .deliveries = message.deliveries + (found->sequence < counts.taken),
        .holder = 1 - found->number,
        .sequence = found->sequence,
        .tag = message.tag,
        .shown = shown,
    };
    return found->sequence >= counts.released;
}

/* ---- a look ---- */

static int make_room(struct yk_tap *tap, uint32_t most)
{
    if (tap->copy && tap->copied >= most)
        return 0;
    unsigned char *copy = yk_sys_reallocate(tap->copy, most > 0 ? most : 1, 1);
    if (!copy)
        return yk_fail(ENOMEM, "no memory for %u bytes of a message", most);
    tap->copy = copy;
    tap->copied = most;
    return 0;
}

static int find_all(struct yk_tap *tap)
{
    int result = 0;
    tap->count = 0;
    tap->sent = 0;
    for (uint32_t i = 0; i < tap->numbers && result == 0; i++)
        result = tap->link ? find_on_way(tap, i) : find_in_ring(tap, i);
    if (tap->count > 0)
        qsort(tap->found, tap->count, sizeof *tap->found, by_sequence);
    return result;
}

int yk_tap_look(struct yk_tap *tap, uint32_t most, yk_each_tapped *each, void *context,
                uint64_t *ret_unseen)
{
    if (tap->view)
        return tap->view->tap_look(tap->far, most, each, context, ret_unseen);
    uint64_t before = tap->sent, seen = 0;
    int result = make_room(tap, most);
    if (result == 0)
        result = find_all(tap);
    for (size_t i = 0; i < tap->count && result == 0; i++) {
        const struct found *found = &tap->found[i];
        struct yk_tapped message;
        tap->next[found->number] = found->sequence + 1;
        if (!(tap->link ? read_from_way(tap, found, most, &message)
                        : read_from_ring(tap, found, most, &message)))
            continue; /* gone meanwhile */
        message.bytes = tap->copy;
        seen++;
        result = each(&message, context);
    }
    /* what was there before the first look was never to be seen */
    bool more = tap->looked && tap->sent - before > seen && tap->sent > before;
    *ret_unseen = more ? tap->sent - before - seen : 0;
    tap->looked = true;
    return result;
}

int64_t yk_tap_pause(const struct yk_tap *tap)
{
    return tap->view ? 100 * MILLISECOND : MILLISECOND;
}

/* ---- one message again and again ---- */

int yk_tap_check_stages(const struct yk_tap *tap)
{
    return tap->view
               ? yk_fail(ENOTSUP, "how long messages wait is told of those in memory; servers can "
                                  "not be asked that often")
               : 0;
}

uint32_t yk_tap_queues(const struct yk_tap *tap)
{
    return tap->numbers;
}

uint64_t yk_tap_next(const struct yk_tap *tap, uint32_t queue)
{
    struct yk_spsc_counts counts;
    if (!tap->link)
        return yk_ring_tail(&tap->ring, queue);
    yk_spsc_count(&tap->ways[queue], &counts);
    return counts.sent;
}

enum yk_tap_stage yk_tap_stage(const struct yk_tap *tap, uint32_t queue, uint64_t number)
{
    return (enum yk_tap_stage)(tap->link ? yk_spsc_stage(&tap->ways[queue], number)
                                         : yk_ring_stage(&tap->ring, queue, number));
}
