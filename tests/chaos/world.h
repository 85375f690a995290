/*
 * world.h - the objects of one round: chosen from its seed, made, and audited in the end.
 */
#ifndef CHAOS_WORLD_H
#define CHAOS_WORLD_H

#include "ledger.h"
#include "shared.h"
#include "yoke.h"

enum kind {
    PORT,
    LINK,
    STREAM,
    REGION,
    INBOX_OF,
};

#define OBJECTS_MAX 16

struct object {
    enum kind kind;
    char address[64]; /* of a link: of its first peer's end; pairs: "" */
    char peers[2][32];
    int descriptors[2]; /* pairs */
    bool kernel;
    uint32_t flow, back; /* back: of a link, from its second peer to its first */
    uint32_t participants, depth, priorities, max_borrowed;
    size_t max_message, capacity;
    bool parks;
    bool
        in_step; /* its one sender waits for each message's arrival, its receivers sleep over descriptors */
    uint32_t readers, writers; /* seats */
};

#define UNITS      3
#define LOCK_SEATS SEATS_MAX

/* What lies in the region. */
struct record {
    yoke_lock lock;
    uint64_t inside; /* who is in there: seat and life; 0: nobody */
    uint64_t dirty;  /* total and counts may not agree */
    uint64_t total;
    uint64_t counts[LOCK_SEATS];
};

struct ground {
    struct record records[LOCKS];
    yoke_event event;
    _Alignas(8) unsigned char semaphore[YOKE_SEMAPHORE_SIZE(UNITS)];
};

extern struct object objects[OBJECTS_MAX]; /* as the supervisor made them; workers inherit them */
extern uint32_t object_count;

enum round_kind { FLOW, STORM, CROWD };

/*
 * Plans and makes all objects and seats of a round. `parks`: nobody receives what is parked, so that it is there in the
 * end.
 */
void world_make(enum round_kind kind, uint64_t seed, uint32_t processes, bool parks);

/*
 * After all processes are gone: drains everything, checks that each object has all its places, blocks and
 * room again, and removes it. *waiting and *parked: messages (and words) that were still there.
 */
void world_audit(uint64_t *ret_waiting, uint64_t *ret_parked);

/* So that whoever reads a stream that ended before is told so (again). */
void world_end_streams(void);

#endif
