/* world.c - see world.h. */
#include "world.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "worker.h"

#define WORDS_ROOM    400000
#define MESSAGES_ROOM 200000
#define BUFFER_MOST   32768

struct object objects[OBJECTS_MAX];
uint32_t object_count;

static uint64_t random_state;
static bool keep_parked;

static uint32_t choose(uint32_t n)
{
    return (uint32_t)(random_next(&random_state) >> 33) % n;
}

/* ---- making ---- */

static bool made(int64_t result, const char *what)
{
    if (result < 0)
        fault("making %s: %lld (%s)", what, (long long)result, yoke_explain());
    return result >= 0;
}

static struct object *new_object(enum kind kind)
{
    struct object *object = &objects[object_count++];
    *object = (struct object){.kind = kind, .descriptors = {-1, -1}};
    return object;
}

static uint32_t new_seat(enum role role, const struct object *object, uint32_t flow, size_t each)
{
    uint32_t number = shared->seats++;
    struct seat *seat = &shared->seat[number];
    seat->role = role;
    seat->object = (uint32_t)(object - objects);
    seat->from = flow;
    seat->buffer_each = each;
    if (each)
        seat->buffer = shared_room(BUFFERS * each);
    return number;
}

/* The seat of what it forks. */
static void give_child(uint32_t number)
{
    struct seat *seat = &shared->seat[number];
    uint32_t child =
        new_seat(seat->role, &objects[seat->object], atomic_load(&seat->from), seat->buffer_each);
    seat->child = child;
    shared->seat[child].is_child = true;
    if (seat->lane.flow)
        ledger_lane(child, seat->lane.flow - 1, seat->lane.room);
}

static void create_port(struct object *object, uint32_t policy, uint32_t max_deliveries)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;
    yoke_endpoint *port;
    options.depth = object->depth;
    options.max_message = object->max_message;
    options.priorities = object->priorities;
    if (!object->kernel) {
        options.participants = object->participants;
        options.policy = policy;
        options.max_deliveries = max_deliveries;
        options.max_borrowed = object->max_borrowed;
        options.max_parked = object->parks ? 4096 : 0;
    }
    int result =
        yoke_open(&port, object->address, YOKE_CREATE | YOKE_EXCLUSIVE | YOKE_KEPT, &options);
    if (result < 0 && object->kernel) { /* others' queues may take all that this user may have */
        object->kernel = false;
        snprintf(object->address, sizeof object->address, "port:instead");
        create_port(object, YOKE_POLICY_ONCE, 0);
        return;
    }
    if (made(result, object->address))
        yoke_close(port);
}

enum sort { USUAL, PARKING, ONCE, IN_KERNEL };

static struct object *make_port(const char *name, enum sort sort, uint32_t participants)
{
    static const size_t sizes[] = {64, 64, 256, 4096, 20480};
    struct object *object = new_object(PORT);
    object->participants = participants;
    object->kernel = sort == IN_KERNEL;
    object->depth = object->kernel ? 8 : 1u << choose(9);
    object->priorities = sort == USUAL || object->kernel ? 1 + choose(3) : 1;
    object->max_borrowed = 1 + choose(8);
    object->max_message = object->kernel ? 64 : sizes[choose(5)];
    object->parks = sort == PARKING;
    snprintf(object->address, sizeof object->address, "port:%s%s", name,
             object->kernel ? "@kernel" : "");
    object->flow = ledger_flow(object->address);
    struct flow *flow = &flows[object->flow];
    flow->max_deliveries = sort == PARKING ? 2 + choose(3) : 0;
    create_port(object, sort == ONCE ? YOKE_POLICY_ONCE : YOKE_POLICY_REDELIVER,
                sort == PARKING ? flow->max_deliveries
                : sort == ONCE  ? 0
                                : UINT32_MAX);
    flow->once = sort == ONCE || sort == IN_KERNEL;
    flow->marked = flow->sequenced = !object->kernel;
    flow->priorities = object->priorities;
    flow->max_message = object->max_message;
    return object;
}

static struct object *add_port(const char *name, enum sort sort, uint32_t senders,
                               uint32_t receivers, uint32_t room)
{
    struct object *object = make_port(name, sort, 2 * (senders + receivers) + 8);
    size_t each = object->max_message;
    for (uint32_t i = 0; i < senders; i++) {
        uint32_t seat = new_seat(PORT_SENDER, object, object->flow, 0);
        ledger_lane(seat, object->flow, room);
        if (i == 0 && receivers > 1)
            give_child(seat);
    }
    for (uint32_t i = 0; i < receivers; i++) {
        uint32_t seat = new_seat(PORT_RECEIVER, object, object->flow, each);
        if (i == 0)
            give_child(seat);
    }
    if (object->parks && !keep_parked)
        new_seat(PARKED_RECEIVER, object, object->flow, each);
    return object;
}

static void add_link(uint32_t number, bool pair, bool kernel)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;
    struct object *object = new_object(LINK);
    yoke_endpoint *link;
    char name[24];
    bool once = !kernel && choose(4) == 0;
    options.depth = object->depth = kernel ? 8 : 1u << choose(8);
    options.max_message = object->max_message = kernel ? 64 : (size_t)64 << 2 * choose(5);
    if (once)
        options.policy = YOKE_POLICY_ONCE;
    object->max_borrowed = object->depth;
    object->priorities = 1;
    object->kernel = kernel;
    for (int side = 0; side < 2; side++)
        snprintf(object->peers[side], sizeof object->peers[side], "peer%u%c", number, 'a' + side);
    if (pair) {
        made(yoke_pair(object->descriptors, &options), "a pair");
    } else {
        options.as = object->peers[0];
        snprintf(object->address, sizeof object->address, "link:peer%ub%s", number,
                 kernel ? "@kernel" : "");
        int result =
            yoke_open(&link, object->address, YOKE_CREATE | YOKE_EXCLUSIVE | YOKE_KEPT, &options);
        if (result < 0 && kernel) {
            object_count--;
            return;
        }
        if (made(result, object->address))
            yoke_close(link);
    }
    for (int way = 0; way < 2; way++) {
        snprintf(name, sizeof name, "%s %u way %d",
                 pair     ? "pair"
                 : kernel ? "kernel link"
                          : "link",
                 number, way);
        uint32_t flow = ledger_flow(name);
        *(way ? &object->back : &object->flow) = flow;
        flows[flow].once = once || kernel;
        flows[flow].marked = !kernel;
        flows[flow].by_number = true;
        flows[flow].priorities = 1;
        flows[flow].max_message = object->max_message;
    }
    for (uint32_t side = 0; side < 2; side++) {
        uint32_t seat =
            new_seat(LINK_PEER, object, side ? object->flow : object->back, object->max_message);
        shared->seat[seat].style = side;
        ledger_lane(seat, side ? object->back : object->flow, MESSAGES_ROOM);
    }
}

static struct object *make_stream(const char *name, uint32_t participants, size_t capacity)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;
    struct object *object = new_object(STREAM);
    yoke_endpoint *stream;
    snprintf(object->address, sizeof object->address, "stream:%s", name);
    options.participants = object->participants = participants;
    options.capacity = capacity;
    if (made(yoke_open(&stream, object->address,
                       YOKE_CREATE | YOKE_EXCLUSIVE | YOKE_KEPT | YOKE_WRITE, &options),
             object->address)) {
        object->capacity = yoke_stream_capacity(stream);
        yoke_close(stream);
    }
    object->flow = ledger_flow(object->address);
    flows[object->flow].words = true;
    return object;
}

static void add_stream(const char *name, uint32_t writers, uint32_t readers)
{
    struct object *object =
        make_stream(name, 2 * (writers + readers) + 6, (size_t)4096 << choose(6));
    object->writers = writers;
    object->readers = readers;
    for (uint32_t i = 0; i < writers; i++) {
        uint32_t seat = new_seat(STREAM_WRITER, object, object->flow, 0);
        ledger_lane(seat, object->flow, WORDS_ROOM);
        if (i == 0)
            give_child(seat);
    }
    for (uint32_t i = 0; i < readers; i++)
        new_seat(STREAM_READER, object, object->flow, BUFFER_MOST);
}

static struct object *make_region(uint32_t participants)
{
    struct yoke_region_options options = YOKE_REGION_OPTIONS_INIT;
    struct object *object = new_object(REGION);
    yoke_region *region;
    snprintf(object->address, sizeof object->address, "ground");
    options.flags = YOKE_KEPT | YOKE_EXCLUSIVE;
    options.participants = object->participants = participants;
    if (!made(yoke_region_create(&region, object->address, sizeof(struct ground), &options),
              "region:ground"))
        return object;
    struct ground *ground = yoke_region_data(region);
    made(yoke_semaphore_init(region, (yoke_semaphore *)(void *)ground->semaphore, UNITS),
         "a semaphore");
    yoke_region_close(region);
    return object;
}

static void add_inbox(const char *name, bool kernel, uint32_t senders)
{
    struct object *object = new_object(INBOX_OF);
    snprintf(object->peers[0], sizeof object->peers[0], "%s", name);
    snprintf(object->address, sizeof object->address, "peer:%s%s", name, kernel ? "@kernel" : "");
    object->kernel = kernel;
    object->flow = ledger_flow(object->address);
    flows[object->flow].signals = true;
    new_seat(INBOX, object, object->flow, 0);
    for (uint32_t i = 0; i < senders; i++)
        ledger_lane(new_seat(SIGNALLER, object, object->flow, 0), object->flow, MESSAGES_ROOM);
}

static void make_workshop(enum round_kind kind)
{
    add_port("jobs", USUAL, kind == FLOW ? 3 : 2, kind == FLOW ? 3 : 2, MESSAGES_ROOM);
    add_port("parking", PARKING, 1, 2, MESSAGES_ROOM);
    add_port("steps", USUAL, 1, 1, MESSAGES_ROOM)->in_step = true;
    add_port("once", ONCE, 1, 2, MESSAGES_ROOM);
    add_port("queue", IN_KERNEL, 1, 2, MESSAGES_ROOM);
    add_link(1, false, false);
    add_link(2, true, false);
    if (choose(2) == 0)
        add_link(3, false, true);
    add_stream("one", 1, 1);
    add_stream("many", 2, 2);
    struct object *ground = make_region(24);
    for (int i = 0; i < 2; i++)
        give_child(new_seat(LOCKER, ground, 0, 0));
    for (int i = 0; i < UNITS + 1; i++)
        new_seat(UNIT_TAKER, ground, 0, 0);
    for (int i = 0; i < 2; i++)
        new_seat(NOTIFIER, ground, 0, 0);
    add_inbox("inbox", false, 2);
    add_inbox("mailbox", true, 1);
    new_seat(CHURNER, ground, 0, 0);
    new_seat(CHURNER, ground, 0, 0);
    new_seat(STEADY, ground, 0, 0);
}

static void make_crowd(uint32_t processes)
{
    struct object *port = make_port("square", USUAL, YOKE_PARTICIPANTS_MAX);
    make_stream("street", YOKE_PARTICIPANTS_MAX, 65536);
    make_region(YOKE_PARTICIPANTS_MAX);
    for (uint32_t i = 0; i < processes; i++) {
        uint32_t seat = new_seat(CITIZEN, port, port->flow, port->max_message);
        shared->seat[seat].style = i % 2;
        if (i % 2)
            ledger_lane(seat, port->flow, 4096);
    }
}

void world_make(enum round_kind kind, uint64_t seed, uint32_t processes, bool parks)
{
    keep_parked = parks;
    random_state = seed;
    object_count = 0;
    ledger_begin_round();
    if (kind == CROWD)
        make_crowd(processes);
    else
        make_workshop(kind);
}

void world_end_streams(void)
{
    for (uint32_t i = 0; i < object_count; i++) {
        yoke_endpoint *stream;
        if (objects[i].kind == STREAM &&
            made(yoke_open(&stream, objects[i].address, YOKE_WRITE, NULL), "the end of a stream"))
            yoke_close(stream);
    }
}

/* ---- the audit ---- */

static uint64_t waiting, parked;

static bool opens(yoke_endpoint **ret, const char *address, uint32_t flags, const char *as)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;
    options.as = as;
    int result = yoke_open(ret, address, flags, &options);
    if (result < 0)
        fault("all are gone, and opening %s gives %d (%s)", address, result, yoke_explain());
    return result == 0;
}

/* Receives all that is left, each noted. */
static void drain(yoke_endpoint *endpoint, uint32_t flow, bool of_parked)
{
    static unsigned char bytes[BUFFER_MOST];
    struct receiver receiver = {.flow = flow, .seat = AUDITOR, .life = 1, .parked = of_parked};
    struct yoke_message message = {.data = bytes, .capacity = sizeof bytes};
    struct given given;
    ssize_t result;
    while ((result = yoke_recv_many(endpoint, &message, 1, YOKE_NOW)) == 1) {
        if (note_given(&receiver, &message, &given))
            note_acknowledged(&given);
        *(of_parked ? &parked : &waiting) += 1;
        message.capacity = sizeof bytes;
    }
    is_answer(result, "draining", EAGAIN, EPIPE, EOWNERDEAD, 0);
}

/* As many as it is deep must fit again, and come out. */
static void refill(yoke_endpoint *in, yoke_endpoint *out, const struct object *object)
{
    uint64_t number;
    for (uint32_t i = 0; i < object->depth * object->priorities; i++) {
        struct yoke_message message = {
            .data = &number, .size = sizeof number, .priority = i % object->priorities};
        number = i;
        ssize_t sent = yoke_send_many(in, &message, 1, YOKE_NOW);
        if (sent != 1 && object->kernel && i >= object->depth)
            break; /* all priorities share its depth */
        if (sent != 1) {
            fault("%s is empty, %u deep, and takes %u messages: %zd (%s)", object->address,
                  object->depth, i, sent, yoke_explain());
            break;
        }
    }
    while (yoke_recv(out, &number, sizeof number, YOKE_NOW) > 0)
        continue;
}

/* All places are free; and of each all blocks of its pool that a process may lend. */
static void audit_places(const struct object *object)
{
    yoke_endpoint *endpoints[64];
    uint32_t count = object->participants < 64 ? object->participants : 64, opened = 0;
    void *block;
    while (opened < count && opens(&endpoints[opened], object->address, 0, NULL))
        opened++;
    for (uint32_t i = 0; i < opened; i++)
        for (uint32_t k = 0; k < object->depth; k++) {
            int result = yoke_loan(endpoints[i], 8, &block, YOKE_NOW);
            if (result < 0) {
                fault("%s: place %u has only %u of %u blocks: %d", object->address, i, k,
                      object->depth, result);
                break;
            }
        }
    while (opened > 0)
        yoke_close(endpoints[--opened]);
}

static void audit_port(const struct object *object)
{
    yoke_endpoint *port, *aside;
    if (!opens(&port, object->address, 0, NULL))
        return;
    drain(port, object->flow, false);
    if (object->parks && opens(&aside, object->address, YOKE_PARKED, NULL)) {
        drain(aside, object->flow, true);
        yoke_close(aside);
    }
    refill(port, port, object);
    yoke_close(port);
    if (!object->kernel)
        audit_places(object);
    made(yoke_remove(object->address), "the removal of a port");
}

static void audit_link(struct object *object)
{
    yoke_endpoint *ends[2] = {NULL, NULL};
    char address[80];
    for (int side = 0; side < 2; side++) {
        bool pair = object->descriptors[side] >= 0;
        snprintf(address, sizeof address, "link:%s%s", object->peers[1 - side],
                 object->kernel ? "@kernel" : "");
        if (pair)
            made(yoke_open_descriptor(&ends[side], object->descriptors[side], NULL), "an end");
        else
            opens(&ends[side], address, 0, object->peers[side]);
    }
    if (ends[0] && ends[1]) {
        drain(ends[1], object->flow, false);
        drain(ends[0], object->back, false);
        refill(ends[0], ends[1], object);
        refill(ends[1], ends[0], object);
    }
    for (int side = 0; side < 2; side++) {
        yoke_close(ends[side]);
        if (object->descriptors[side] >= 0)
            close(object->descriptors[side]);
    }
    if (object->address[0]) {
        snprintf(address, sizeof address, "link:%s/%s%s", object->peers[0], object->peers[1],
                 object->kernel ? "@kernel" : "");
        made(yoke_remove(address), address);
    }
}

static void audit_stream(const struct object *object)
{
    static uint64_t words[BUFFER_MOST / 8], last_of[SEATS_MAX];
    yoke_endpoint *in, *out;
    uint64_t follows = 0;
    struct receiver receiver = {.flow = object->flow, .seat = AUDITOR, .last_of = last_of};
    ssize_t result;
    size_t room = 0;
    if (!opens(&in, object->address, YOKE_WRITE, NULL) ||
        !opens(&out, object->address, YOKE_READ, NULL))
        return;
    memset(last_of, 0, sizeof last_of);
    while ((result = yoke_read(out, words, sizeof words, YOKE_NOW)) > 0) {
        note_words(&receiver, words, (size_t)result / 8, true, &follows);
        waiting += (uint64_t)result / 8;
    }
    is_answer(result, "reading what is left", EAGAIN, 0);
    for (; (result = yoke_write(in, words, 4096, YOKE_NOW)) > 0; room += (size_t)result)
        continue;
    if (room != object->capacity)
        fault("%s is empty and has room for %zu of %zu bytes", object->address, room,
              object->capacity);
    yoke_close(in);
    yoke_close(out);
    made(yoke_remove(object->address), "the removal of a stream");
}

static void audit_records(yoke_region *region, struct ground *ground)
{
    for (uint32_t k = 0; k < LOCKS; k++) {
        struct record *record = &ground->records[k];
        uint64_t sum = 0;
        int result = yoke_lock_acquire(region, &record->lock, YOKE_NOW);
        if (result < 0)
            fault("all are gone, and a lock is held: %d", result);
        for (uint32_t i = 1; i < shared->seats; i++) {
            const struct seat *seat = &shared->seat[i];
            sum += record->counts[i];
            if (record->counts[i] > seat->tried[k] || record->counts[i] < seat->done[k])
                fault("lock %u: seat %u counted to %llu, of %llu done and %llu tried", k, i,
                      (unsigned long long)record->counts[i], (unsigned long long)seat->done[k],
                      (unsigned long long)seat->tried[k]);
        }
        if (result == YOKE_LOCKED && (record->dirty || record->inside || record->total != sum))
            fault("lock %u was free, and what it protects is half-done", k);
        if (result == YOKE_OWNER_DIED && !record->dirty && record->total != sum)
            fault("lock %u: the total is %llu of %llu", k, (unsigned long long)record->total,
                  (unsigned long long)sum);
        if (result >= 0)
            yoke_lock_release(region, &record->lock);
    }
}

static void audit_region(const struct object *object)
{
    yoke_region *region;
    uint64_t tried = 0, done = 0;
    if (!made(yoke_region_open(&region, object->address, 0), "the region"))
        return;
    struct ground *ground = yoke_region_data(region);
    audit_records(region, ground);
    yoke_semaphore *semaphore = (yoke_semaphore *)(void *)ground->semaphore;
    for (int i = 0; i < UNITS; i++) /* which takes the dead ones' back */
        made(yoke_semaphore_acquire(region, semaphore, YOKE_NOW), "a unit of the semaphore");
    for (int i = 0; i < UNITS; i++)
        yoke_semaphore_release(region, semaphore);
    if (yoke_semaphore_value(region, semaphore) != UNITS)
        fault("%d of %d units are free", yoke_semaphore_value(region, semaphore), UNITS);
    for (uint32_t i = 1; i < shared->seats; i++) {
        tried += shared->seat[i].notify_tried;
        done += shared->seat[i].notified;
    }
    uint64_t count = yoke_event_count(region, &ground->event);
    if (count < done || count > tried)
        fault("an event counts %llu notifications, %llu were made and %llu tried",
              (unsigned long long)count, (unsigned long long)done, (unsigned long long)tried);
    yoke_region_close(region);
    made(yoke_region_remove(object->address), "the removal of the region");
}

static void remove_churned(void)
{
    static const char *const kinds[] = {"region", "port", "stream"};
    char address[40];
    for (int i = 0; i < 9; i++) {
        snprintf(address, sizeof address, "%s:churn%d", kinds[i % 3], i / 3);
        is_answer(yoke_remove(address), address, ENOENT, 0);
    }
}

void world_audit(uint64_t *ret_waiting, uint64_t *ret_parked)
{
    static struct seat nobody;
    waiting = parked = 0;
    me = (struct me){.number = AUDITOR, .seat = &nobody, .life = 1};
    for (uint32_t i = 0; i < object_count; i++) {
        struct object *object = &objects[i];
        switch (object->kind) {
        case PORT:
            audit_port(object);
            break;
        case LINK:
            audit_link(object);
            break;
        case STREAM:
            audit_stream(object);
            break;
        case REGION:
            audit_region(object);
            break;
        case INBOX_OF:
            break; /* it went with its peer */
        }
    }
    remove_churned();
    *ret_waiting = waiting;
    *ret_parked = parked;
}
