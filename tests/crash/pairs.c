/*
 * pairs.c - two calls meet on one object: each call with each, at each place of both.
 *
 * A stands at a place of its call. B makes its own, whole, or is killed at a place of that. Then A is
 * killed, or goes on to its end. Then both are gone, and the object must be as the model says: what was
 * sent is there once, what somebody had in hand comes again, nothing is held by nobody, there is room
 * for all. Whoever waits must come to an end as soon as what it waits for is there, whoever of the two
 * stands, except for what that one visibly has for itself (pairs.h, enum thing).
 *
 * Which calls there are to an object say the tables in pairs_*.c; the pairs are all that can be made of
 * them. Of two that would wait for each other one dies (`apart`). The library is the one that ships, and the
 * processes are real.
 *
 *   pairs [--long] [--seed N] [--seconds N] [--lanes N] [--family KIND] [--scene 'KIND: A, meanwhile B']
 *         [--place STOPS.STEPS] [--second STOPS.STEPS] [--then N]
 *   pairs --table
 *
 * The seed says where among the pairs it begins, and which places of each are tried; --long tries all of
 * A's with all of B's (with --seconds: of each pair a share, so that others have theirs). --then: 1 A goes on, 2 B
 * makes its whole call, 3 both.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pairs.h"
#include "shuffle.h"
#include "yoke.h"

#define PARTS_MOST 32
#define RUNS_EACH  3         /* of a pair, with little time */
#define SLICE_NS   400000000 /* --long with --seconds: so long for a pair */
#define WAKES_MOST 4
#define NAPS_MOST  12000 /* looks at one that sleeps: more than a minute */
/* Numbers of messages that `supply` sends; those around them are the worlds'. */
#define SUPPLY     22
#define SUPPLY_END 38
#define NOTICED_NS 300000000

static struct pairing {
    const struct meeting *meeting;
    const struct part *parts[2];
    char name[100];
} * pairings;
static uint32_t pairing_count;

static struct side sides[2];
#define A (&sides[0])
#define B (&sides[1])

static struct scene scene; /* of the run: for what library_run.c needs of one */
static const struct pairing *now;

/* ---- the sides ---- */

const char *name_of_side(uint32_t number)
{
    return number == 0 ? "a" : "b";
}

const char *link_of_side(uint32_t number)
{
    return number == 0 ? "a:b" : "b:a";
}

static struct order order_of(const struct side *side)
{
    struct order order = side->part->call;
    switch (side->part->whose) {
    case MINE:
        order.name = name_of_side(side->number);
        break;
    case OTHERS:
        order.name = name_of_side(1 - side->number);
        break;
    case OTHERS_IN_KERNEL:
        order.name = side->number == 0 ? "b@kernel" : "a@kernel";
        break;
    case A_LINK:
        order.name = link_of_side(side->number);
        break;
    case A_KERNEL_LINK:
        order.name = side->number == 0 ? "a:b@kernel" : "b:a@kernel";
        break;
    case NOBODYS:
        break;
    }
    if (order.value == 0)
        order.value = side->id;
    return order;
}

void side_does(int64_t expected, struct side *side, struct order order)
{
    struct answer answer = does(side->actor, order);
    if (answer.result != expected)
        wrong("before: %s of %s gave %lld instead of %lld %s", verb_names[order.verb],
              name_of_side(side->number), (long long)answer.result, (long long)expected,
              answer.sentence);
    if (order.verb == DO_BORROW && answer.result == 1)
        side->hand = answer.value;
    if (order.verb == DO_LOCK && answer.result >= 0)
        side->locked = 1;
    if (order.verb == DO_SEMAPHORE_ACQUIRE && answer.result == 0)
        side->units++;
}

uint64_t supply_number(void)
{
    uint64_t number = SUPPLY;
    while (number < SUPPLY_END && run.sent[number] != 0)
        number++;
    return number;
}

void supply(void)
{
    struct order order = now->meeting->world->send;
    order.value = supply_number();
    if (run.paired && order.verb == DO_WRITE) /* who died inside may still have to be noticed */
        order.timeout_ns = NOTICED_NS;
    if (order.value < SUPPLY_END && does(S, order).result == 1)
        run.sent[order.value] = 2;
}

const struct side *side_other(const struct side *side)
{
    return &sides[1 - side->number];
}

void make_room(struct side *side)
{
    struct order order = now->meeting->world->recv;
    (void)side;
    if (run.paired && order.verb == DO_READ)
        order.timeout_ns = NOTICED_NS;
    struct answer answer = does(S, order);
    if (answer.result != 1)
        return;
    received(S, &answer);
    drains(S);
}

static bool is_take(enum verb verb)
{
    return verb == DO_RECV || verb == DO_RECV_ONE || verb == DO_READ || verb == DO_SIGNAL_RECV ||
           verb == DO_MOVE_OUT || verb == DO_SET_WAIT;
}

static bool is_borrow(enum verb verb)
{
    return verb == DO_BORROW || verb == DO_BORROW_ONE;
}

static bool is_send(enum verb verb)
{
    return verb == DO_SEND || verb == DO_SEND_ONE || verb == DO_WRITE || verb == DO_SIGNAL ||
           verb == DO_MOVE_IN || verb == DO_COMMIT || verb == DO_COMMIT_MANY || verb == DO_SEND_TWO;
}

/* It is about to: somebody may have what it sends, or gives up, before the call has said so. */
static void begins(struct side *side)
{
    enum verb verb = side->part->call.verb;
    side->begun = true;
    if (verb == DO_UNLOCK || verb == DO_CLOSE)
        side->locked = 0;
    if (verb == DO_CLOSE)
        side->units = 0;
    else if (verb == DO_SEMAPHORE_RELEASE && side->units > 0)
        side->units--;
    if (!is_send(verb) || side->part->call.value != 0)
        return;
    run.sent[side->id] = 1;
    if (verb == DO_SEND_TWO)
        run.sent[side->id + 1] = 1;
}

/* Its call has said how many. */
static void has_sent(const struct side *side, uint32_t count)
{
    if (!is_send(side->part->call.verb) || side->part->call.value != 0)
        return;
    for (uint32_t i = 0; i < (side->part->call.verb == DO_SEND_TWO ? 2 : 1); i++) {
        run.sent[side->id + i] = i < count ? 2 : 0;
        if (i >= count && run.got[side->id + i])
            wrong("%s was told that message %u was not sent, and it came",
                  name_of_side(side->number), (uint32_t)side->id + i);
    }
}

/* It died in the midst of its call. */
static void broke_off(const struct side *side)
{
    enum verb verb = side->part->call.verb;
    if (is_take(verb) && !now->meeting->no_ledger)
        run.may_lose++;
    if (verb == DO_RELEASE && side->hand)
        run.lost_ok[side->hand] = 1;
}

static bool may_give(const struct part *part, int64_t result)
{
    bool may = result == part->gives[0];
    for (int i = 1; i < 6; i++)
        may = may || (part->gives[i] != 0 && part->gives[i] == result);
    return may;
}

static void took(struct side *side, const struct answer *answer)
{
    uint64_t id;
    if (side->part->call.verb != DO_MOVE_OUT) {
        received(side->actor, answer);
        if (side->part->call.verb == DO_RECV_ONE)
            run.deliveries[answer->value % IDS] = 2; /* it does not tell */
    } else if (actor_file_has(side->actor, &id)) {
        struct answer moved = {.result = 1, .value = id, .deliveries = 1};
        received(side->actor, &moved);
    }
}

static void has_locked(struct side *side, int64_t result)
{
    const struct side *other = &sides[1 - side->number];
    side->locked = 1;
    if (other->actor && other->locked)
        wrong("%s was told %lld, and the other one has the lock", name_of_side(side->number),
              (long long)result);
}

static void has_unit(struct side *side)
{
    const struct side *other = &sides[1 - side->number];
    side->units++;
    if (other->actor && other->units + side->units > 2)
        wrong("of two units both have %u", other->units + side->units);
}

/* Its call has ended. */
static void told(struct side *side, const struct answer *answer)
{
    enum verb verb = side->part->call.verb;
    int64_t result = answer->result;
    side->ended = true;
    if (verb == DO_LINK_OPEN || verb == DO_CLOSE)
        side->linked = verb == DO_LINK_OPEN && result == 0;
    note(name_of_side(side->number), "was told", result);
    /* only while somebody stands at that very name is it withheld */
    if (!may_give(side->part, result) || (result == -EBUSY && side->number == 0))
        wrong("%s's call gave %lld %s", name_of_side(side->number), (long long)result,
              answer->sentence);
    if (verb == DO_COMMIT || verb == DO_COMMIT_MANY)
        has_sent(side, result == 0);
    else
        has_sent(side, result > 0 ? (uint32_t)result : 0);
    if (is_take(verb) && result == 1 && !now->meeting->no_ledger)
        took(side, answer);
    if (is_borrow(verb) && result == 1)
        side->hand = answer->value;
    if (verb == DO_RELEASE && result == 0 && side->hand)
        run.got[side->hand]++;
    if (verb == DO_LOCK && result >= 0)
        has_locked(side, result);
    if (verb == DO_SEMAPHORE_ACQUIRE && result == 0)
        has_unit(side);
}

static bool waits(const struct part *part)
{
    return part->call.timeout_ns != 0;
}

static void wake(struct side *side)
{
    if (side->part->wakes && side->woken++ < WAKES_MOST)
        side->part->wakes(side);
}

static void dies(struct side *side)
{
    note(name_of_side(side->number), side->ended ? "is killed after its call" : "is killed", 0);
    if (!side->ended)
        broke_off(side);
    victim_kill(side->actor);
    side->actor = NULL;
    side->locked = side->units = 0;
    run.paired = true;
}

/* It closes what it has. What it has in hand comes again. */
static void leaves(struct side *side)
{
    if (!side->actor)
        return;
    DOES(side->actor, .verb = DO_SET_CLOSE);
    DOES(side->actor, .verb = DO_CLOSE, .handle = 1);
    DOES(side->actor, .verb = DO_CLOSE);
    actor_end(side->actor);
    side->actor = NULL;
}

/* B, who waits, may have got what A waits for as well. */
static void let_other_end(void)
{
    struct answer answer;
    if (!B->actor || B->ended || !B->actor->waits || !actor_hear(B->actor, &answer, 0))
        return;
    told(B, &answer);
    if ((B->part->holds & A->part->wants) != 0)
        leaves(B);
}

/* To a place of its call: true. It may have ended before that. */
static enum where goes(struct side *side, const struct place *place, int naps)
{
    enum where where;
    for (; (where = victim_go(side->actor, place)) == AT_SLEEP && naps > 0; naps--) {
        wake(side);
        if (side == A)
            let_other_end();
    }
    if (where == AT_END)
        told(side, &side->actor->board->answer);
    return where;
}

/* ---- one run ---- */

/* What it waits for is there, or comes now: its call ends. */
static void must_end(struct side *side)
{
    struct answer answer = {.result = -ETIME};
    side->woken = 0;
    wake(side);
    if (actor_hear(side->actor, &answer, SOON_MS)) {
        told(side, &answer);
        return;
    }
    wrong("%s waits on, though what it waits for is there", name_of_side(side->number));
    actor_kill(side->actor);
    side->actor = NULL;
}

/* B's whole call. It may have to wait for what A has while it stands. */
static void acts_whole(void)
{
    struct order order = order_of(B);
    begins(B);
    if (!waits(B->part)) {
        struct answer answer = does(B->actor, order);
        told(B, &answer);
        return;
    }
    actor_tell(B->actor, &order);
    bool asleep = actor_fell_asleep(B->actor);
    if (!asleep || (A->part->holds & B->part->wants) == 0)
        must_end(B);
}

static void acts_and_dies(void)
{
    struct order order = order_of(B);
    begins(B);
    if (!victim_begin(B->actor, &order)) {
        wrong("the other one could not be traced");
        return;
    }
    goes(B, &run.second, WAKES_MOST);
    dies(B);
    __atomic_add_fetch(&totals->pairs, 1, __ATOMIC_SEQ_CST);
}

static void goes_on(void)
{
    struct answer answer = {.result = -ETIME};
    if (B->actor && B->ended && (B->part->holds & A->part->wants) != 0)
        leaves(B);
    A->woken = 0;
    if (waits(A->part) && !A->ended)
        goes(A, &(struct place){UINT32_MAX, 0},
             NAPS_MOST); /* woken as often as it takes: the other one may have had it */
    else
        stand();
    if (!victim_finish(A->actor) || !actor_hear(A->actor, &answer, SOON_MS)) {
        wrong("A went on, but never ended its call");
        dies(A);
    } else if (!A->ended) {
        told(A, &answer);
    }
}

static void prepare(struct side *side, uint32_t number, const struct part *part)
{
    *side =
        (struct side){.part = part, .number = number, .id = 1 + 2 * number, .actor = actor_start()};
    actor_file_begin(side->actor, side->id);
    if (part->before)
        part->before(side);
}

static bool moves(const struct part *part)
{
    return part->call.verb == DO_MOVE_IN || part->call.verb == DO_MOVE_OUT;
}

static bool begin(void)
{
    /* a record that lies across the end of the ring is moved in two pieces; none of the first ones does */
    if (moves(now->parts[0]) || moves(now->parts[1]))
        new_world(&scene);
    reset_run();
    sides[0] = sides[1] = (struct side){.actor = NULL};
    sides[1].number = 1;
    run.mode = PAIR;
    if (now->meeting->arrange)
        now->meeting->arrange();
    for (uint32_t i = 0; i < 2; i++) {
        /* who is to wait comes last: it finds what the other one has done */
        uint32_t number = waits(now->parts[1]) ? i : 1 - i;
        prepare(&sides[number], number, now->parts[number]);
    }
    run.partner = B->actor;
    V = A->actor;
    begins(A);
    struct order order = order_of(A);
    return victim_begin(A->actor, &order);
}

static void settle(void)
{
    if (run.then & A_GOES_ON)
        goes_on();
    else
        dies(A);
    leaves(A);
    V = NULL;
    if (B->actor && !B->ended)
        must_end(B);
    leaves(B);
    run.partner = NULL;
    if (now->meeting->balanced)
        now->meeting->balanced(sides);
    if (now->meeting->world->balanced)
        now->meeting->world->balanced();
}

static void one_run(void)
{
    uint64_t failures = totals->failures;
    if (!begin()) {
        wrong("A could not be traced");
        return;
    }
    run.where = goes(A, &run.place, WAKES_MOST);
    run.ended = A->ended;
    if (run.then & B_IS_WHOLE)
        acts_whole();
    else
        acts_and_dies();
    settle();
    __atomic_add_fetch(run.then & A_GOES_ON ? &totals->stopped : &totals->killed, 1,
                       __ATOMIC_SEQ_CST);
    __atomic_add_fetch(&totals->places, 1, __ATOMIC_SEQ_CST);
    renew_world(&scene, failures);
}

/* ---- the places of a part ---- */

static struct {
    const struct meeting *meeting;
    struct places places[PARTS_MOST];
} surveyed;

static void wake_surveyed(void *side)
{
    wake(side);
}

/* There is an end to the time. */
static bool is_bounded(void)
{
    return options.seconds < 1e6;
}

/* It makes system calls: between them, a sample of what changes nothing is enough. */
static bool is_long(enum verb verb)
{
    switch (verb) {
    case DO_REGION_CREATE:
    case DO_REGION_OPEN:
    case DO_PORT_OPEN:
    case DO_STREAM_OPEN:
    case DO_PEER_JOIN:
    case DO_LINK_OPEN:
    case DO_SIGNALS_OPEN:
    case DO_CLOSE:
    case DO_REMOVE:
    case DO_REMOVE_REGION:
    case DO_GC:
    case DO_SIGNAL:
    case DO_FD:
    case DO_PEER_FD:
    case DO_PEER_LIST:
    case DO_PEER_WAIT:
    case DO_PEER_ACCEPT:
    case DO_PEER_NEXT:
        return true;
    default:
        return false;
    }
}

/* A, right before its call, and nobody beside it. */
static bool begin_alone(const struct part *part)
{
    new_world(&scene);
    reset_run();
    sides[0] = sides[1] = (struct side){.actor = NULL};
    sides[1].number = 1;
    if (now->meeting->arrange)
        now->meeting->arrange();
    prepare(A, 0, part);
    V = A->actor;
    begins(A);
    struct order order = order_of(A);
    return victim_begin(A->actor, &order);
}

/*
 * It ends, and as it may: also where the time is over before it has. What is surveyed is not yet run, so what never
 * ends would take all the time, and be nobody's fault.
 */
static bool ends_alone(const struct part *part)
{
    struct answer answer = A->actor->board->answer;
    bool heard = A->actor->board->ended;
    if (!heard) {
        A->woken = 0;
        wake(A);
        heard = victim_finish(A->actor) && actor_hear(A->actor, &answer, SOON_MS);
    }
    if (heard && may_give(part, answer.result))
        return true;
    if (heard)
        wrong("'%s', alone, gave %lld %s", part->name, (long long)answer.result, answer.sentence);
    else
        wrong("'%s', alone, never ended, though what it waits for came", part->name);
    return false;
}

static bool survey_alone(const struct part *part, uint64_t *random, struct places *ret)
{
    struct surveyor surveyor = {
        .random = random, .enough = time_is_over, .asleep = wake_surveyed, .context = A};
    bool done = begin_alone(part);
    if (!is_long(part->call.verb) || (options.thorough && !is_bounded()))
        done = done && survey_instructions(A->actor, &surveyor, options.thorough ? 4 : 40, ret) &&
               ends_alone(part);
    else
        done = done && survey_calls(A->actor, &surveyor, ret) && ends_alone(part) &&
               begin_alone(part) && survey_memory(A->actor, &surveyor, ret) && ends_alone(part);
    new_world(&scene);
    if (done)
        __atomic_add_fetch(&totals->instructions, ret->instructions, __ATOMIC_SEQ_CST);
    return done;
}

/* Once for each lane and kind. */
static const struct places *places_of(const struct part *part, uint64_t *random)
{
    if (surveyed.meeting != now->meeting) {
        for (uint32_t i = 0; i < PARTS_MOST; i++)
            places_free(&surveyed.places[i]);
        surveyed.meeting = now->meeting;
    }
    struct places *places = &surveyed.places[part - now->meeting->parts];
    if (places->count == 0 && !survey_alone(part, random, places))
        wrong("'%s' could not be surveyed", part->name);
    return places;
}

/* ---- a pair ---- */

/* Number `index` of all there is to try: A's place, B's place or its whole call, and what becomes of A. */
static void run_index(uint64_t index, const struct places *first, const struct places *second)
{
    uint64_t of_second = index / 2 % (2 * second->count),
             of_first = index / 2 / (2 * second->count);
    run.then = (int)(index % 2);
    run.place = of_first < first->count ? first->list[of_first] : (struct place){UINT32_MAX, 0};
    run.second = second->list[of_second % second->count];
    run.then |= of_second >= second->count ? B_IS_WHOLE : 0; /* as often as it dies, it does not */
    const struct apart *apart = meeting_apart(now->meeting, now->parts[0], now->parts[1]);
    if (apart && ((uint32_t)run.then & apart->never) == apart->never)
        run.then = apart->never == B_IS_WHOLE ? run.then & A_GOES_ON : run.then & B_IS_WHOLE;
    one_run();
}

static void run_all(uint64_t *random)
{
    const struct places *first = places_of(now->parts[0], random),
                        *second = places_of(now->parts[1], random);
    if (first->count == 0 || second->count == 0)
        return;
    uint64_t total = 2 * (2 * (uint64_t)second->count) * (first->count + 1);
    struct shuffle shuffle = shuffle_make(total, random_of(random));
    uint64_t most = !options.thorough && total > RUNS_EACH ? RUNS_EACH : total;
    int64_t end = monotonic_ns() + SLICE_NS;
    for (uint64_t i = 0; i < most && !time_is_over(); i++) {
        run_index(shuffle_at(&shuffle, i), first, second);
        if (options.thorough && is_bounded() && monotonic_ns() > end)
            return;
    }
}

static void run_pairing(uint32_t number, enum mode mode, uint64_t *random)
{
    (void)mode;
    now = &pairings[number];
    scene = (struct scene){.name = now->name,
                           .world = now->meeting->world,
                           .plan = now->meeting->plan,
                           .call = now->parts[0]->call,
                           .rings = true};
    port_plan = scene.plan;
    open_world(&scene);
    if (options.one_place) {
        run.place = options.place;
        run.second = options.second;
        run.then = options.then < 0 ? 0 : options.then;
        one_run();
    } else {
        run_all(random);
    }
    close_world();
}

static const char *pairing_name(uint32_t number)
{
    return pairings[number].name;
}

static const char *pairing_family(uint32_t number)
{
    return pairings[number].meeting->name;
}

static const char *where(void)
{
    static char text[1400];
    snprintf(text, sizeof text, "--scene '%s' --place %u.%u --second %u.%u --then %d%s\n#   %s",
             now->name, run.place.stops, run.place.steps, run.second.stops, run.second.steps,
             run.then,
             run.ended               ? " (A's call was over)"
             : run.where == AT_SLEEP ? " (A asleep)"
                                     : "",
             run.log);
    return text;
}

/* ---- the product ---- */

static void list_pairings(void)
{
    uint32_t most = 0;
    for (uint32_t i = 0; i < meeting_count; i++)
        most += meetings[i]->count * meetings[i]->count;
    pairings = calloc(most, sizeof *pairings);
    if (!pairings)
        abort();
    for (uint32_t i = 0; i < meeting_count; i++) {
        const struct meeting *meeting = meetings[i];
        for (uint32_t k = 0; k < meeting->count * meeting->count; k++) {
            const struct part *first = &meeting->parts[k / meeting->count],
                              *second = &meeting->parts[k % meeting->count];
            struct pairing *pairing = &pairings[pairing_count++];
            *pairing = (struct pairing){.meeting = meeting, .parts = {first, second}};
            snprintf(pairing->name, sizeof pairing->name, "%s: %s, meanwhile %s", meeting->name,
                     first->name, second->name);
        }
    }
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--table") == 0) {
        pairs_print_table();
        return 0;
    }
    list_pairings();
    const struct campaign campaign = {
        .usage =
            "pairs [--long] [--seed N] [--seconds N] [--lanes N] [--family KIND] "
            "[--scene 'KIND: A, meanwhile B'] [--place STOPS.STEPS] [--second STOPS.STEPS] [--then 0-3]",
        .scenes = pairing_count,
        .modes = 1,
        .name = pairing_name,
        .family = pairing_family,
        .run = run_pairing,
        .where = where,
        .complete = every_two_calls_meet_or_have_a_reason,
        .complete_name = "every_two_calls_meet_or_have_a_reason",
    };
    return campaign_main(argc, argv, &campaign,
                         "any_two_calls_meet_at_any_place_and_either_dies_and_all_is_well");
}
