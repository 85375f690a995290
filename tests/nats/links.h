/*
 * links.h - what the tests of links and peers on NATS share: a place for each test, and how its links are opened.
 */
#ifndef LINKS_H
#define LINKS_H

#include "../api/api.h"

/* "@nats://…": each test, which is a process, has a prefix of its own, and its children have that of their parent. */
const char *place(void);
/* Its lease is 3 s, or this, if it is said first: nothing that comes by itself some times in a lease helps then. */
#define HOUR_S 3600
void place_with_lease(int seconds);
/* "NAME@nats://…", of which the last four are good. */
const char *peer_name(const char *name);

/* Waits while the name is another's: that of one that was killed is free when its lease is over. */
yoke_endpoint *open_with(const char *me, const char *other, struct yoke_options options,
                         uint32_t flags);
yoke_endpoint *open_as(const char *me, const char *other);

void send_numbers(yoke_endpoint *link, uint64_t first, uint64_t last);
/* The next message is that number: how often it was delivered. */
uint32_t expect_number(yoke_endpoint *link, uint64_t number);

/* What a test and its child share. */
struct part {
    struct baton ready, go;
    int result;
};

struct part *part_new(void);
void part_drop(struct part *part);

#endif
