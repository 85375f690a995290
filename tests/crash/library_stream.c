/*
 * library_stream.c - the scenes of library.c on a stream in memory: writing, reading, moving, coming,
 * leaving, recovering.
 *
 * Each write is a record, whole by promise, and DEPTH of them fill the stream; so records are
 * messages, and what was sent and what came of it is kept in `run`. The first record begins in the
 * midst of one, so that each fourth lies across the end of the ring.
 *
 * Who stands inside keeps its side, as it would keep a lock (yoke.h): then the others of that side get
 * -EAGAIN, and those of the other side go on. Whether it is inside is asked of the ring itself.
 */
#include <errno.h>

#include "library.h"
#include "ring/bytes.h"
#include "yoke.h"

/* Handles: everybody has the writing end as 0, the reading end as 1. */
#define OUT 0
#define IN  1

#define OPENS_OUT(actor) MUST(0, actor, .verb = DO_STREAM_OPEN, .handle = OUT, .flags = YOKE_WRITE)
#define OPENS_IN(actor)  MUST(0, actor, .verb = DO_STREAM_OPEN, .handle = IN, .flags = YOKE_READ)

static void open_stream_world(void)
{
    MUST(0, S, .verb = DO_STREAM_OPEN, .handle = OUT, .flags = YOKE_CREATE | YOKE_WRITE);
    OPENS_IN(S);
    MUST(RECORD_SIZE / 2, S, .verb = DO_WRITE, .priority = RECORD_SIZE / 2);
    MUST(RECORD_SIZE / 2, S, .verb = DO_READ, .handle = IN, .priority = RECORD_SIZE / 2);
}

static void join_stream(struct actor *actor)
{
    OPENS_OUT(actor);
    if (run.scene->partner.handle == IN)
        OPENS_IN(actor);
}

static void stream_is_balanced(void);

const struct world stream_world = {
    .family = "stream",
    .open = open_stream_world,
    .join = join_stream,
    .send = {.verb = DO_WRITE, .handle = OUT},
    .recv = {.verb = DO_READ, .handle = IN},
    .balanced = stream_is_balanced,
};

static bool is_inside(enum yk_bytes_side side)
{
    return DOES(S, .verb = DO_INSIDE, .value = (uint64_t)side).result == 1;
}

static bool is_reader(enum verb verb)
{
    return verb == DO_READ || verb == DO_MOVE_OUT;
}

static void opens_out(void)
{
    OPENS_OUT(V);
}

static void opens_in(void)
{
    OPENS_IN(V);
}

/* A newcomer looks for the dead at once; the others do every 50 ms. */
static void newcomer(void)
{
    struct actor *other = actor_start();
    OPENS_IN(other);
    MUST(0, other, .verb = DO_CLOSE, .handle = IN);
    actor_end(other);
}

/* V is gone. Each record came once, and the stream is empty and whole. */
static void stream_is_balanced(void)
{
    newcomer();
    drains(S);
    ledger_is_complete();
    for (uint64_t i = 0; i < DEPTH; i++)
        sends(S, 40 + i);
    MUST(-EAGAIN, S, .verb = DO_WRITE, .value = 39);
    drains(S);
    for (uint64_t i = 40; i < 40 + DEPTH; i++) {
        if (run.got[i] != 1)
            wrong("of the records that fit again, number %llu came %u times",
                  (unsigned long long)(i - 39), run.got[i]);
    }
    if (is_inside(YK_BYTES_READING) || is_inside(YK_BYTES_WRITING))
        wrong("somebody is inside, and nobody is there");
}

/* The other side of V's goes on; its own does, unless V is inside. */
static void others_go_on(void)
{
    bool reads = is_reader(run.scene->call.verb);
    bool inside = is_inside(reads ? YK_BYTES_READING : YK_BYTES_WRITING);
    if (reads && inside)
        MUST(-EAGAIN, S, .verb = DO_READ, .handle = IN);
    else
        drains(S);
    if (reads) {
        for (uint64_t id = 20; id < 22; id++) /* two are there, or were */
            sends(S, id);
    } else if (inside) {
        MUST(-EAGAIN, S, .verb = DO_WRITE, .value = 20);
    } else {
        sends(S, 20);
        drains(S);
        if (run.got[20] != 1)
            wrong("a record written while V stood came %u times", run.got[20]);
    }
}

/* -- writing -- */

static void write_killed(void)
{
    run.sent[1] = run.ended ? 2 : 1;
    stream_is_balanced();
}

static void write_stopped(void)
{
    run.sent[1] = 1;
    others_go_on();
}

static void write_finished(const struct answer *answer)
{
    if (answer->result != 1)
        wrong("V's write gave %lld %s", (long long)answer->result, answer->sentence);
    victim_leaves();
    stream_is_balanced();
}

/* W waits for bytes */

static void sleeper_opens_in(void)
{
    MUST(0, W, .verb = DO_CLOSE, .handle = IN);
    OPENS_IN(W);
}

static void sleeper_reads(void)
{
    SLEEPS(.verb = DO_READ, .handle = IN);
}

/* Over its descriptor. */
static void sleeper_loops(void)
{
    SLEEPS(.verb = DO_LOOP, .handle = IN);
}

static void sleeper_gets(const char *what)
{
    struct answer answer = sleeper_ends(what);
    if (answer.result == 1)
        received(W, &answer);
    else if (answer.result != -ETIME)
        wrong("W's read gave %lld %s", (long long)answer.result, answer.sentence);
}

static void write_to_sleeper_killed(void)
{
    run.sent[1] = run.ended ? 2 : 1;
    newcomer(); /* V may have died inside */
    if (run.ended)
        sleeper_gets("a record was written");
    else if (!sleeper_ended())
        sends(S, 2);
    if (run.sleeper_waits)
        sleeper_gets("a record was written");
    stream_is_balanced();
}

static void write_to_sleeper_stopped(void)
{
    run.sent[1] = run.ended ? 2 : 1;
    if (run.ended)
        sleeper_gets("a record was written");
    else if (!sleeper_ended() && !is_inside(YK_BYTES_WRITING))
        sends(S, 2);
    if (run.sleeper_waits && run.sent[2])
        sleeper_gets("a record was written");
}

static void write_to_sleeper_finished(const struct answer *answer)
{
    if (run.sleeper_waits)
        sleeper_gets("V has written a record");
    write_finished(answer);
}

/* -- there is no room: V and W wait for it -- */

static void fills(void)
{
    for (uint64_t id = 10; id < 10 + DEPTH; id++)
        sends(S, id);
    MUST(0, W, .verb = DO_CLOSE, .handle = OUT);
    OPENS_OUT(W);
}

static void sleeper_writes(void)
{
    run.sent[3] = 1;
    SLEEPS(.verb = DO_WRITE, .value = 3, .handle = OUT);
}

static void makes_room(void)
{
    if (run.woken++ >= 2)
        return;
    struct answer answer = DOES(S, .verb = DO_READ, .handle = IN);
    if (answer.result == 1)
        received(S, &answer);
}

static void sleeper_has_written(const char *what)
{
    struct answer answer = sleeper_ends(what);
    if (answer.result == 1)
        run.sent[3] = 2;
    else if (answer.result != -ETIME)
        wrong("W's write gave %lld %s", (long long)answer.result, answer.sentence);
}

static void room_killed(void)
{
    run.sent[1] = run.ended ? 2 : 1;
    newcomer();
    drains(S);
    sleeper_has_written("there is room");
    stream_is_balanced();
}

static void room_stopped(void)
{
    run.sent[1] = run.ended ? 2 : 1;
    drains(S);
    if (!is_inside(YK_BYTES_WRITING))
        sleeper_has_written("there is room");
}

static void room_finished(const struct answer *answer)
{
    if (run.sleeper_waits)
        sleeper_has_written("V is not inside any more, and there is room");
    write_finished(answer);
}

/* -- reading -- */

static void writes_two(void)
{
    sends(S, 10);
    sends(S, 11);
}

static void read_killed(void)
{
    run.lost_ok[10] = 1;
    stream_is_balanced();
    if (run.got[11] != 1)
        wrong("the record behind it came %u times", run.got[11]);
}

static void read_finished(const struct answer *answer)
{
    if (answer->result != 1 && answer->result != -EAGAIN)
        wrong("V's read gave %lld %s", (long long)answer->result, answer->sentence);
    victim_leaves();
    stream_is_balanced();
}

static void read_from_full_killed(void)
{
    run.lost_ok[10] = 1;
    newcomer();
    drains(S);
    sleeper_has_written("the stream was drained");
    stream_is_balanced();
}

static void read_from_full_stopped(void)
{
    if (run.ended)
        sleeper_has_written("a record was read: there is room");
    else if (!is_inside(YK_BYTES_READING))
        drains(S);
    if (run.sleeper_waits && !is_inside(YK_BYTES_READING))
        sleeper_has_written("the stream was drained");
}

static void read_from_full_finished(const struct answer *answer)
{
    if (run.sleeper_waits)
        sleeper_has_written("V has read a record");
    read_finished(answer);
}

/* V and W wait for bytes; the first is for either. */

static void writes_one_more(void)
{
    if (run.woken == 0 || (run.woken == 1 && sleeper_ended())) {
        sends(S, 10 + run.woken);
        run.woken++;
    }
}

static void read_waits_killed(void)
{
    if (run.woken == 0)
        writes_one_more();
    newcomer();
    run.lost_ok[10] = run.lost_ok[11] = 1;
    if (!sleeper_ended())
        sends(S, 12);
    sleeper_gets("a record was written, and who was woken for another one is dead");
    stream_is_balanced();
}

static void read_waits_stopped(void)
{
    if (run.woken == 0)
        writes_one_more();
    if (!sleeper_ended())
        sends(S, 12);
    if (!is_inside(YK_BYTES_READING))
        sleeper_gets("a record was written, and who was woken for another one is stopped");
    sends(S, 13); /* for V, if it has none */
}

static void read_waits_finished(const struct answer *answer)
{
    if (run.sleeper_waits)
        sleeper_gets("V is not inside any more, and a record waits");
    read_finished(answer);
}

/* -- moving: out to the end of V's file, in from its beginning -- */

static void mover_opens_in(void)
{
    OPENS_IN(V);
    run.mover = V;
    actor_file_begin(V, 1);
}

static void mover_opens_out(void)
{
    OPENS_OUT(V);
    actor_file_begin(V, 1);
}

/*
 * A move may go in two pieces, where the record lies across the end of the ring: one that is killed
 * between them leaves half a record. It is read on its own, and what follows it is whole.
 */
static bool half_is_left(void)
{
    int64_t half = DOES(S, .verb = DO_THERE, .handle = IN).result % RECORD_SIZE;
    if (half > 0)
        MUST(half, S, .verb = DO_READ, .handle = IN, .priority = (uint32_t)half);
    return half > 0;
}

/* Out of the stream or not: in the file, or it comes from the stream; or both, for one that died. */
static void file_has_it(bool dead, bool half)
{
    uint64_t id = 10;
    bool moved = actor_file_has(run.mover, &id);
    if (id != 10)
        wrong("the file has %llx", (unsigned long long)id);
    run.lost_ok[10] = moved || half;
    if (moved && run.got[10] && !dead)
        wrong("the record was moved into the file, and is in the stream, too");
}

static void move_out_killed(void)
{
    newcomer();
    bool half = half_is_left();
    drains(S);
    file_has_it(true, half);
    stream_is_balanced();
    if (run.got[11] != 1)
        wrong("the record behind it came %u times", run.got[11]);
}

/* Nobody else reads: there would be half a record for each. */
static void move_out_stopped(void)
{
    sends(S, 20);
    sends(S, 21);
}

static void move_out_finished(const struct answer *answer)
{
    if (answer->result != 1)
        wrong("V's move gave %lld %s", (long long)answer->result, answer->sentence);
    victim_leaves();
    drains(S);
    file_has_it(false, false);
    stream_is_balanced();
}

static void move_in_killed(void)
{
    newcomer();
    if (half_is_left() && run.ended)
        wrong("the move was over, and half of it is there");
    write_killed();
}

static void move_in_stopped(void)
{
    if (DOES(S, .verb = DO_THERE, .handle = IN).result % (RECORD_SIZE / 2) != 0)
        wrong("there is a piece of a piece");
}

static void move_in_finished(const struct answer *answer)
{
    run.sent[1] = answer->result == 1 ? 2 : 1;
    write_finished(answer);
}

/* -- coming and going -- */

static void all_places_are_free(void)
{
    struct actor *others[PLACES];
    uint32_t most = PLACES - 2; /* S has two */
    for (uint32_t i = 0; i < most; i++) {
        others[i] = actor_start();
        OPENS_IN(others[i]);
    }
    struct actor *extra = actor_start();
    MUST(-ENOSPC, extra, .verb = DO_STREAM_OPEN, .handle = IN, .flags = YOKE_READ);
    actor_end(extra);
    for (uint32_t i = 0; i < most; i++) {
        MUST(0, others[i], .verb = DO_CLOSE, .handle = IN);
        actor_end(others[i]);
    }
}

static void join_killed(void)
{
    all_places_are_free();
    stream_is_balanced();
}

static void join_stopped(void)
{
    sends(S, 20);
    drains(S);
}

static void join_finished(const struct answer *answer)
{
    if (answer->result != 0)
        wrong("V's call gave %lld %s", (long long)answer->result, answer->sentence);
    victim_leaves();
    all_places_are_free();
    stream_is_balanced();
}

/* -- the last writer goes, W waits for the end -- */

static void only_victim_writes(void)
{
    OPENS_OUT(V);
    MUST(0, S, .verb = DO_CLOSE, .handle = OUT);
}

static void end_comes(void)
{
    struct answer answer = sleeper_ends("the last writer is gone");
    if (answer.result != 0 && answer.result != -ETIME)
        wrong("W's read gave %lld %s instead of the end", (long long)answer.result,
              answer.sentence);
}

static void last_writer_killed(void)
{
    end_comes();
    MUST(run.ended ? -EPIPE : DOES(S, .verb = DO_STREAM_END, .handle = IN).result, S,
         .verb = DO_STREAM_END, .handle = IN);
    OPENS_OUT(S);
    MUST(0, S, .verb = DO_STREAM_END, .handle = IN);
    stream_is_balanced();
}

static void last_writer_stopped(void)
{
    if (run.ended)
        end_comes();
    OPENS_OUT(S);
    if (!sleeper_ended())
        sends(S, 20);
    struct answer answer = sleeper_ends("a record was written, or the last writer is gone");
    if (answer.result == 1)
        received(W, &answer);
    else if (answer.result != 0 && answer.result != -ETIME)
        wrong("W's read gave %lld %s", (long long)answer.result, answer.sentence);
}

static void last_writer_finished(const struct answer *answer)
{
    if (answer->result != 0)
        wrong("V's close gave %lld", (long long)answer->result);
    victim_leaves();
    stream_is_balanced();
}

/* -- the last reader goes, W waits for room -- */

static void only_victim_reads(void)
{
    OPENS_IN(V);
    MUST(0, S, .verb = DO_CLOSE, .handle = IN);
}

static void no_reader_left(void)
{
    struct answer answer = sleeper_ends("the last reader is gone");
    if (answer.result == -EPIPE)
        run.sent[3] = 0;
    else if (answer.result != -ETIME)
        wrong("W's write gave %lld %s instead of -EPIPE", (long long)answer.result,
              answer.sentence);
}

static void last_reader_killed(void)
{
    no_reader_left();
    OPENS_IN(S);
    drains(S);
    stream_is_balanced();
}

static void last_reader_stopped(void)
{
    if (run.ended)
        no_reader_left();
    OPENS_IN(S);
    drains(S);
    struct answer answer = sleeper_ends("there is room, or the last reader is gone");
    run.sent[3] = answer.result == 1 ? 2 : 0;
    if (answer.result != 1 && answer.result != -EPIPE && answer.result != -ETIME)
        wrong("W's write gave %lld %s", (long long)answer.result, answer.sentence);
}

/* -- one died inside; V expels it, and is killed at that -- */

#define STRIDE 8 /* instructions; a copy takes more */

static void dies_inside(struct actor *dead, struct order order, enum yk_bytes_side side)
{
    struct place place = {0, 0};
    if (!victim_begin(dead, &order)) {
        wrong("the dead one could not be traced");
        return;
    }
    while (!is_inside(side) && victim_go(dead, &place) != AT_END)
        place.steps += STRIDE;
    if (!is_inside(side))
        wrong("the dead one was never inside");
    victim_kill(dead);
}

static void dead_writer_inside(void)
{
    struct actor *dead = actor_start();
    OPENS_OUT(dead);
    run.sent[5] = 1;
    dies_inside(dead, (struct order){.verb = DO_WRITE, .value = 5, .handle = OUT},
                YK_BYTES_WRITING);
}

static void dead_reader_inside(void)
{
    struct actor *dead = actor_start();
    writes_two();
    OPENS_IN(dead);
    run.lost_ok[10] = 1;
    dies_inside(dead, (struct order){.verb = DO_READ, .handle = IN}, YK_BYTES_READING);
}

/* The dead one's side is V's to give back while it stands at that: S may have to wait for it. */
static void recovery_stopped(void)
{
    struct answer answer = DOES(S, .verb = DO_READ, .handle = IN);
    if (answer.result == 1)
        received(S, &answer);
    else if (answer.result != -EAGAIN)
        wrong("S's read gave %lld", (long long)answer.result);
    answer = DOES(S, .verb = DO_WRITE, .value = 20);
    if (answer.result == 1)
        run.sent[20] = 2;
    else if (answer.result != -EAGAIN)
        wrong("S's write gave %lld", (long long)answer.result);
}

/* -- asking how the other end is -- */

static void reader_with_dead_writer(void)
{
    struct actor *dead = actor_start();
    OPENS_OUT(dead);
    actor_kill(dead);
    OPENS_IN(V);
}

static void end_asked(const struct answer *answer)
{
    if (answer->result != 0) /* S writes */
        wrong("V was told %lld %s", (long long)answer->result, answer->sentence);
    victim_leaves();
    stream_is_balanced();
}

/* -- its name is taken away: who has it open goes on with it, and the next of that name is another -- */

static void removed_killed(void)
{
    sends(S, 25);
    drains(S);
    MUST(0, S, .verb = DO_CLOSE, .handle = OUT);
    MUST(0, S, .verb = DO_CLOSE, .handle = IN);
    open_stream_world();
    stream_is_balanced();
}

static void removed_finished(const struct answer *answer)
{
    if (answer->result != 0)
        wrong("V was told %lld %s", (long long)answer->result, answer->sentence);
    removed_killed();
}

/* -- V's own thread waits; V ends that wait -- */

static void thread_reads(void)
{
    OPENS_IN(V);
    MUST(0, V, .verb = DO_WAITER, .handle = IN);
}

static void cancel_killed(void)
{
    sends(S, 10);
    newcomer();
    struct answer answer = {.result = -ETIME};
    run.lost_ok[10] = 1; /* V's thread may have had it */
    if (!sleeper_ended())
        sends(S, 11);
    answer = sleeper_ends("a record was written");
    if (answer.result == 1)
        received(W, &answer);
    stream_is_balanced();
}

static void cancel_stopped(void)
{
    sends(S, 10);
    sends(S, 11);
    sleeper_gets("two records were written, and one other waits");
}

static void cancel_finished(const struct answer *answer)
{
    if (answer->result != 0)
        wrong("V was told %lld %s", (long long)answer->result, answer->sentence);
    struct answer thread = DOES(V, .verb = DO_WAITER_ENDS);
    if (thread.result == 1)
        received(V, &thread);
    else if (thread.result != -ECANCELED)
        wrong("V's thread was told %lld", (long long)thread.result);
    victim_leaves();
    if (run.sleeper_waits) {
        sends(S, 12);
        sleeper_gets("a record was written");
    }
    stream_is_balanced();
}

/* -- without a name: S has made the pair, V is a child -- */

static void open_pair_world(void)
{
}

static const struct world pair_world = {
    .family = "stream",
    .open = open_pair_world,
    .join = NULL, /* no pairs of two that die: there are two ends */
    .send = {.verb = DO_WRITE, .handle = OUT},
    .recv = {.verb = DO_READ, .handle = IN},
};

static void survivor_has_out(void)
{
    MUST(0, S, .verb = DO_CLOSE, .handle = OUT);
    MUST(0, S, .verb = DO_STREAM_PAIR);
    MUST(0, S, .verb = DO_PAIR_OPEN, .handle = OUT, .value = 1);
    writes_two();
}

static void opens_its_end(void)
{
    MUST(0, V, .verb = DO_PAIR_OPEN, .handle = IN, .value = 0, .flags = YOKE_READ);
}

/* Who comes after V at its end has all that was not read. */
static void next_has_the_end(void)
{
    struct actor *next = actor_fork(S);
    MUST(0, next, .verb = DO_PAIR_OPEN, .handle = IN, .value = 0, .flags = YOKE_READ);
    drains(next);
    sends(S, 20);
    drains(next);
    ledger_is_complete();
    if (run.got[11] != 1 || run.got[20] != 1)
        wrong("what was written came %u and %u times", run.got[11], run.got[20]);
    MUST(0, next, .verb = DO_CLOSE, .handle = IN);
    actor_kill(next);
}

/* Its reader is there; or has closed it. */
static void end_stopped(void)
{
    struct answer answer = DOES(S, .verb = DO_WRITE, .value = 12);
    if (answer.result == 1)
        run.sent[12] = 2;
    else if (answer.result != -EPIPE || run.scene->call.verb != DO_CLOSE)
        wrong("S's write gave %lld %s", (long long)answer.result, answer.sentence);
}

static void end_killed(void)
{
    run.lost_ok[10] = run.scene->call.verb == DO_READ;
    next_has_the_end();
}

static void end_finished(const struct answer *answer)
{
    if (answer->result != (run.scene->call.verb == DO_READ ? 1 : 0))
        wrong("V was told %lld %s", (long long)answer->result, answer->sentence);
    DOES(V, .verb = DO_CLOSE, .handle = IN);
    actor_kill(V);
    V = NULL;
    next_has_the_end();
}

/* -- V makes a pair: nobody else sees it -- */

static void nothing_to_do(void)
{
}

static void pair_made(const struct answer *answer)
{
    if (answer->result != 0)
        wrong("V was told %lld %s", (long long)answer->result, answer->sentence);
}

/* ---- the scenes ---- */

#define ON_STREAM           \
    .world = &stream_world, \
    .plan = {.depth = DEPTH, .priorities = 1, .participants = PLACES, .max_message = 32}
#define ON_PAIR .world = &pair_world, .alone = true, .forked = true, .plan = {.depth = DEPTH}

const struct scene stream_scenes[] = {
    {.name = "write",
     ON_STREAM,
     .before = opens_out,
     .call = {.verb = DO_WRITE, .handle = OUT, .value = 1},
     .after_kill = write_killed,
     .while_stopped = write_stopped,
     .after_finish = write_finished,
     .pair_kills = true},
    {.name = "write while one waits",
     ON_STREAM,
     .wakes = true,
     .arrange = sleeper_opens_in,
     .before = opens_out,
     .settle = sleeper_reads,
     .call = {.verb = DO_WRITE, .handle = OUT, .value = 1},
     .after_kill = write_to_sleeper_killed,
     .while_stopped = write_to_sleeper_stopped,
     .after_finish = write_to_sleeper_finished,
     .pair_kills = true},
    {.name = "write to a descriptor",
     ON_STREAM,
     .arrange = sleeper_opens_in,
     .before = opens_out,
     .settle = sleeper_loops,
     .call = {.verb = DO_WRITE, .handle = OUT, .value = 1},
     .after_kill = write_to_sleeper_killed,
     .while_stopped = write_to_sleeper_stopped,
     .after_finish = write_to_sleeper_finished,
     .alone = true},
    {.name = "write, waiting for room",
     ON_STREAM,
     .arrange = fills,
     .before = opens_out,
     .settle = sleeper_writes,
     .call = {.verb = DO_WRITE, .handle = OUT, .value = 1, .timeout_ns = LONG_NS},
     .asleep = makes_room,
     .after_kill = room_killed,
     .while_stopped = room_stopped,
     .after_finish = room_finished,
     .pair_kills = true},
    {.name = "read",
     ON_STREAM,
     .arrange = writes_two,
     .before = opens_in,
     .call = {.verb = DO_READ, .handle = IN},
     .after_kill = read_killed,
     .while_stopped = others_go_on,
     .after_finish = read_finished,
     .pair_kills = true},
    {.name = "read while one waits for room",
     ON_STREAM,
     .wakes = true,
     .arrange = fills,
     .before = opens_in,
     .settle = sleeper_writes,
     .call = {.verb = DO_READ, .handle = IN},
     .after_kill = read_from_full_killed,
     .while_stopped = read_from_full_stopped,
     .after_finish = read_from_full_finished,
     .pair_kills = true},
    {.name = "read, waiting",
     ON_STREAM,
     .arrange = sleeper_opens_in,
     .before = opens_in,
     .settle = sleeper_reads,
     .call = {.verb = DO_READ, .handle = IN, .timeout_ns = LONG_NS},
     .asleep = writes_one_more,
     .after_kill = read_waits_killed,
     .while_stopped = read_waits_stopped,
     .after_finish = read_waits_finished,
     .pair_kills = true},
    {.name = "move out",
     ON_STREAM,
     .arrange = writes_two,
     .before = mover_opens_in,
     .call = {.verb = DO_MOVE_OUT, .handle = IN},
     .after_kill = move_out_killed,
     .while_stopped = move_out_stopped,
     .after_finish = move_out_finished,
     .pair_kills = true},
    {.name = "move in",
     ON_STREAM,
     .before = mover_opens_out,
     .call = {.verb = DO_MOVE_IN, .handle = OUT, .value = 1},
     .after_kill = move_in_killed,
     .while_stopped = move_in_stopped,
     .after_finish = move_in_finished,
     .alone = true},
    {.name = "open to write",
     ON_STREAM,
     .call = {.verb = DO_STREAM_OPEN, .handle = OUT, .flags = YOKE_WRITE},
     .partner = {.verb = DO_STREAM_OPEN, .handle = IN, .flags = YOKE_READ},
     .after_kill = join_killed,
     .while_stopped = join_stopped,
     .after_finish = join_finished},
    {.name = "open to read",
     ON_STREAM,
     .call = {.verb = DO_STREAM_OPEN, .handle = IN, .flags = YOKE_READ},
     .partner = {.verb = DO_STREAM_OPEN, .handle = OUT, .flags = YOKE_WRITE},
     .after_kill = join_killed,
     .while_stopped = join_stopped,
     .after_finish = join_finished},
    {.name = "close one of several writers",
     ON_STREAM,
     .before = opens_out,
     .call = {.verb = DO_CLOSE, .handle = OUT},
     .partner = {.verb = DO_STREAM_OPEN, .handle = IN, .flags = YOKE_READ},
     .after_kill = join_killed,
     .while_stopped = join_stopped,
     .after_finish = join_finished},
    {.name = "close the last writer while one waits",
     ON_STREAM,
     .alone = true,
     .wakes = true,
     .arrange = sleeper_opens_in,
     .before = only_victim_writes,
     .settle = sleeper_reads,
     .call = {.verb = DO_CLOSE, .handle = OUT},
     .after_kill = last_writer_killed,
     .while_stopped = last_writer_stopped,
     .after_finish = last_writer_finished},
    {.name = "close the last reader while one waits",
     ON_STREAM,
     .alone = true,
     .wakes = true,
     .arrange = fills,
     .before = only_victim_reads,
     .settle = sleeper_writes,
     .call = {.verb = DO_CLOSE, .handle = IN},
     .after_kill = last_reader_killed,
     .while_stopped = last_reader_stopped,
     .after_finish = last_writer_finished},
    {.name = "write after one died inside",
     ON_STREAM,
     .arrange = dead_writer_inside,
     .call = {.verb = DO_STREAM_OPEN, .handle = OUT, .flags = YOKE_WRITE},
     .partner = {.verb = DO_STREAM_OPEN, .handle = OUT, .flags = YOKE_WRITE},
     .after_kill = join_killed,
     .while_stopped = recovery_stopped,
     .after_finish = join_finished},
    {.name = "read after one died inside",
     ON_STREAM,
     .arrange = dead_reader_inside,
     .call = {.verb = DO_STREAM_OPEN, .handle = IN, .flags = YOKE_READ},
     .partner = {.verb = DO_STREAM_OPEN, .handle = IN, .flags = YOKE_READ},
     .after_kill = join_killed,
     .while_stopped = recovery_stopped,
     .after_finish = join_finished},
    {.name = "ask for the other end",
     ON_STREAM,
     .before = reader_with_dead_writer,
     .call = {.verb = DO_STREAM_END, .handle = IN},
     .after_kill = join_killed,
     .while_stopped = join_stopped,
     .after_finish = end_asked},
    {.name = "remove a stream in use",
     ON_STREAM,
     .alone = true,
     .call = {.verb = DO_REMOVE, .name = "stream:x"},
     .after_kill = removed_killed,
     .while_stopped = join_stopped,
     .after_finish = removed_finished},
    {.name = "cancel a wait for bytes",
     ON_STREAM,
     .alone = true,
     .arrange = sleeper_opens_in,
     .before = thread_reads,
     .settle = sleeper_reads,
     .call = {.verb = DO_CANCEL, .handle = IN},
     .after_kill = cancel_killed,
     .while_stopped = cancel_stopped,
     .after_finish = cancel_finished},
    {.name = "close what a thread reads from",
     ON_STREAM,
     .alone = true,
     .arrange = sleeper_opens_in,
     .before = thread_reads,
     .settle = sleeper_reads,
     .call = {.verb = DO_CLOSE, .handle = IN},
     .after_kill = cancel_killed,
     .while_stopped = cancel_stopped,
     .after_finish = cancel_finished},
    {.name = "make a pair of streams",
     .world = &pair_world,
     .alone = true,
     .plan = {.depth = DEPTH},
     .call = {.verb = DO_STREAM_PAIR},
     .after_kill = nothing_to_do,
     .while_stopped = nothing_to_do,
     .after_finish = pair_made},
    {.name = "open an end of a stream",
     ON_PAIR,
     .arrange = survivor_has_out,
     .call = {.verb = DO_PAIR_OPEN, .handle = IN, .value = 0, .flags = YOKE_READ},
     .after_kill = end_killed,
     .while_stopped = end_stopped,
     .after_finish = end_finished},
    {.name = "read at an end of a stream",
     ON_PAIR,
     .arrange = survivor_has_out,
     .before = opens_its_end,
     .call = {.verb = DO_READ, .handle = IN},
     .after_kill = end_killed,
     .while_stopped = end_stopped,
     .after_finish = end_finished},
    {.name = "close an end of a stream",
     ON_PAIR,
     .arrange = survivor_has_out,
     .before = opens_its_end,
     .call = {.verb = DO_CLOSE, .handle = IN},
     .after_kill = end_killed,
     .while_stopped = end_stopped,
     .after_finish = end_finished},
};
const uint32_t stream_scene_count = sizeof stream_scenes / sizeof stream_scenes[0];
