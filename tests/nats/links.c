/*
 * links.c - see links.h.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "links.h"

static char text_of_place[256];

void place_with_lease(int seconds)
{
    snprintf(text_of_place, sizeof text_of_place, "@%s/link%d?lease=%d", getenv("YOKE_NATS_URL"),
             (int)getpid(), seconds);
}

const char *place(void)
{
    if (text_of_place[0] == '\0')
        place_with_lease(3);
    return text_of_place;
}

yoke_endpoint *open_with(const char *me, const char *other, struct yoke_options options,
                         uint32_t flags)
{
    yoke_endpoint *link;
    char address[320];
    int result = -EADDRINUSE;
    int64_t until = now_ns() + SOON_MS * MS;

    snprintf(address, sizeof address, "link:%s%s", other, place());
    options.as = me;
    while (result == -EADDRINUSE && now_ns() < until)
        result = yoke_open(&link, address, flags | YOKE_CREATE, &options);
    must(result);
    return link;
}

yoke_endpoint *open_as(const char *me, const char *other)
{
    return open_with(me, other, (struct yoke_options)YOKE_OPTIONS_INIT, 0);
}

void send_numbers(yoke_endpoint *link, uint64_t first, uint64_t last)
{
    for (uint64_t i = first; i <= last; i++)
        send_number(link, i);
}

uint32_t expect_number(yoke_endpoint *link, uint64_t number)
{
    uint64_t got = 0;
    struct yoke_message message = {.data = &got, .capacity = sizeof got};

    assert_int_equal(must(yoke_recv_many(link, &message, 1, SOON_MS * MS)), 1);
    assert_int_equal(got, number);
    assert_int_equal(message.flags, message.deliveries > 1 ? YOKE_MESSAGE_AGAIN : 0);
    return message.deliveries;
}

struct part *part_new(void)
{
    struct part *part = shared_new(sizeof *part);

    place(); /* the children's, too */
    baton_make(&part->ready);
    baton_make(&part->go);
    return part;
}

void part_drop(struct part *part)
{
    baton_drop(&part->ready);
    baton_drop(&part->go);
    shared_drop(part, sizeof *part);
}

const char *peer_name(const char *name)
{
    static char text[4][320];
    static unsigned next;

    snprintf(text[next % 4], sizeof text[0], "%s%s", name, place());
    return text[next++ % 4];
}
