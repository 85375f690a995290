/*
 * library_kernel.c - the scenes of library.c in the kernel place: ports, links and streams whose
 * messages and bytes are the kernel's. What a process had in hand when it died is gone with it
 * (yoke.h); nothing else may be, nor may anybody be held up.
 */
#include <errno.h>

#include "library.h"
#include "yoke.h"

#define OUT 0
#define IN  1

/* ---- worlds: where one sends by handle 0, and receives by handle 1 ---- */

static void open_port(struct actor *actor, uint32_t handle)
{
    MUST(0, actor, .verb = DO_PORT_OPEN, .name = "x@kernel", .handle = handle,
         .flags = YOKE_CREATE);
}

static void open_port_world(void)
{
    open_port(S, OUT);
    open_port(S, IN);
}

static void join_port(struct actor *actor)
{
    open_port(actor, OUT);
}

static void all_is_balanced(void);

const struct world kernel_port_world = {.family = "kernel",
                                        .balanced = all_is_balanced,
                                        .lasts = true,
                                        .open = open_port_world,
                                        .join = join_port,
                                        .send = {.verb = DO_SEND, .handle = OUT},
                                        .recv = {.verb = DO_RECV, .handle = IN}};

static void open_stream(struct actor *actor, uint32_t handle)
{
    MUST(0, actor, .verb = DO_STREAM_OPEN, .name = "x@kernel", .handle = handle,
         .flags = YOKE_CREATE | (handle == OUT ? YOKE_WRITE : YOKE_READ));
}

static void open_stream_world(void)
{
    open_stream(S, IN);
    open_stream(S, OUT);
}

static void join_stream(struct actor *actor)
{
    open_stream(actor, OUT);
}

const struct world kernel_stream_world = {.family = "kernel",
                                          .balanced = all_is_balanced,
                                          .lasts = true,
                                          .open = open_stream_world,
                                          .join = join_stream,
                                          .send = {.verb = DO_WRITE, .handle = OUT},
                                          .recv = {.verb = DO_READ, .handle = IN}};

/* A link's two ends are S's and V's, and both have it as handle 0. */
static void open_link_world(void)
{
    MUST(0, S, .verb = DO_PEER_JOIN, .name = "s", .handle = IN);
}

static const struct world links = {.family = "kernel",
                                   .lasts = true,
                                   .open = open_link_world,
                                   .send = {.verb = DO_SEND, .handle = OUT},
                                   .recv = {.verb = DO_RECV, .handle = OUT}};

static bool on_link(void)
{
    return run.scene->world == &links;
}

static void open_link(struct actor *actor)
{
    MUST(0, actor, .verb = DO_LINK_OPEN, .name = actor == S ? "s:v@kernel" : "v:s@kernel",
         .flags = YOKE_CREATE);
}

static void opens(struct actor *actor, uint32_t handle)
{
    if (run.scene->world == &kernel_port_world)
        open_port(actor, handle);
    else if (run.scene->world == &kernel_stream_world)
        open_stream(actor, handle);
    else
        open_link(actor);
}

static void victim_opens_out(void)
{
    opens(V, OUT);
}

static void victim_opens_in(void)
{
    opens(V, IN);
}

static void survivor_links(void)
{
    open_link(S);
}

static void survivor_links_and_sends(void)
{
    open_link(S);
    sends(S, 10);
    sends(S, 11);
}

static void sends_two(void)
{
    sends(S, 10);
    sends(S, 11);
}

/* ---- afterwards ---- */

/* Of a link the next of V's name has the other end. */
static void all_is_balanced(void)
{
    struct actor *next = actor_start(), *receiver = on_link() ? next : S;
    opens(next, OUT);
    if (on_link())
        drains(S);
    drains(receiver);
    sends(S, 20);
    drains(receiver);
    sends(next, 21);
    drains(S);
    ledger_is_complete();
    if (run.got[20] != 1 || run.got[21] != 1)
        wrong("what is sent afterwards came %u and %u times", run.got[20], run.got[21]);
    MUST(0, next, .verb = DO_CLOSE);
    actor_end(next);
    if (on_link())
        MUST(0, S, .verb = DO_CLOSE);
}

static void send_killed(void)
{
    run.sent[1] = run.ended ? 2 : 1;
    all_is_balanced();
}

static void send_stopped(void)
{
    run.sent[1] = 1;
    if (!on_link())
        drains(S); /* what is moved into a pipe takes whole pages of it */
    sends(S, 2);
    if (!on_link())
        drains(S);
}

static void send_finished(const struct answer *answer)
{
    if (answer->result != 1)
        wrong("V's call gave %lld %s", (long long)answer->result, answer->sentence);
    if (run.scene->call.verb == DO_MOVE_IN)
        run.sent[1] = 2;
    victim_leaves();
    all_is_balanced();
}

static void recv_killed(void)
{
    run.lost_ok[10] = 1;
    all_is_balanced();
    if (run.got[11] != 1)
        wrong("the message behind it came %u times", run.got[11]);
}

static void recv_stopped(void)
{
    sends(S, 12);
    if (!on_link())
        drains(S);
}

static void recv_finished(const struct answer *answer)
{
    if (answer->result != 1 && answer->result != -EAGAIN)
        wrong("V was told %lld %s", (long long)answer->result, answer->sentence);
    victim_leaves();
    all_is_balanced();
}

/* V waits for a message, which may be S's own before it is V's. */
static void wakes(void)
{
    if (run.woken++ == 0)
        sends(S, 10);
}

static void recv_waits_killed(void)
{
    wakes();
    run.lost_ok[10] = 1;
    all_is_balanced();
}

static void recv_waits_stopped(void)
{
    wakes();
    sends(S, 12);
}

static void fills(void)
{
    for (uint64_t id = 10; id < 10 + DEPTH; id++)
        sends(S, id);
}

static void makes_room(void)
{
    if (run.woken++ > 0)
        return;
    struct answer answer = DOES(S, .verb = DO_RECV, .handle = IN);
    if (answer.result == 1)
        received(S, &answer);
}

static void room_killed(void)
{
    run.sent[1] = run.ended ? 2 : 1;
    makes_room();
    all_is_balanced();
}

static void room_stopped(void)
{
    run.sent[1] = 1;
    makes_room();
}

/* -- opening, closing, asking: others use it meanwhile -- */

static void open_stopped(void)
{
    if (on_link())
        return; /* its other end is V's */
    sends(S, 12);
    drains(S);
}

static void open_finished(const struct answer *answer)
{
    if (answer->result != 0)
        wrong("V was told %lld %s", (long long)answer->result, answer->sentence);
    victim_leaves();
    all_is_balanced();
}

/* The last user's going takes a transient name along; a new one is made. */
static void survivor_closes(void)
{
    MUST(0, S, .verb = DO_CLOSE, .handle = IN);
    MUST(0, S, .verb = DO_CLOSE, .handle = OUT);
}

static void last_killed(void)
{
    run.scene->world->open();
    all_is_balanced();
}

/* While V creates or removes that very name the others get -EBUSY (promise 2). */
static bool name_is_withheld(void)
{
    struct answer answer =
        run.scene->world == &kernel_port_world
            ? DOES(S, .verb = DO_PORT_OPEN, .name = "x@kernel", .handle = IN, .flags = YOKE_CREATE)
            : DOES(S, .verb = DO_STREAM_OPEN, .name = "x@kernel", .handle = IN,
                   .flags = YOKE_CREATE | YOKE_READ);
    if (answer.result != 0 && answer.result != -EBUSY)
        wrong("S can not open it: %lld %s", (long long)answer.result, answer.sentence);
    return answer.result != 0;
}

static void last_stopped(void)
{
    if (name_is_withheld())
        return;
    opens(S, OUT);
    sends(S, 12);
    drains(S);
    run.count = 1; /* S has it open */
}

/* What S made anew while V stood is S's, whatever V goes on to take away. */
static void last_finished(const struct answer *answer)
{
    if (answer->result != 0)
        wrong("V was told %lld %s", (long long)answer->result, answer->sentence);
    if (run.count) {
        sends(S, 13);
        drains(S);
    }
    victim_leaves();
    survivor_closes();
    run.scene->world->open();
    all_is_balanced();
}

static void victim_is_last(void)
{
    run.count = 0;
    opens(V, OUT);
    survivor_closes();
}

static void removed_killed(void)
{
    survivor_closes();
    run.scene->world->open();
    all_is_balanced();
}

static void removed_finished(const struct answer *answer)
{
    if (answer->result != 0 && answer->result != -ENOENT)
        wrong("V's remove gave %lld %s", (long long)answer->result, answer->sentence);
    victim_leaves();
    removed_killed();
}

/* S has it open, whether or not it has a name any more. */
static void removed_stopped(void)
{
    sends(S, 12);
    drains(S);
}

/* -- moving: what is moved in goes in one piece; out of it, too -- */

static void mover_opens_out(void)
{
    opens(V, OUT);
    actor_file_begin(V, 1);
}

static void mover_opens_in(void)
{
    opens(V, IN);
    run.mover = V;
    actor_file_begin(V, 1);
}

static void move_out_stopped(void)
{
    sends(S, 12);
}

static void move_out_finished(const struct answer *answer)
{
    uint64_t id = 0;
    if (answer->result != 1)
        wrong("V's move gave %lld %s", (long long)answer->result, answer->sentence);
    if (!actor_file_has(run.mover, &id) || id != 10)
        wrong("the file has %llx", (unsigned long long)id);
    run.got[10]++;
    victim_leaves();
    all_is_balanced();
}

/* -- a link's other end -- */

static void other_end_comes(void)
{
    if (run.woken++ == 0)
        open_link(S);
}

static void link_wait_killed(void)
{
    other_end_comes();
    all_is_balanced();
}

static void link_wait_stopped(void)
{
    other_end_comes();
}

/* ---- the scenes ---- */

#define ON(WORLD) .world = &WORLD, .plan = {.depth = DEPTH, .priorities = 1, .max_message = 32}
/* Nobody else has a place on it. */
#define ON_LINK ON(links), .alone = true

const struct scene kernel_scenes[] = {
    {.name = "kernel port: send",
     ON(kernel_port_world),
     .before = victim_opens_out,
     .call = {.verb = DO_SEND, .handle = OUT, .value = 1},
     .after_kill = send_killed,
     .while_stopped = send_stopped,
     .after_finish = send_finished},
    {.name = "kernel port: send, waiting for room",
     ON(kernel_port_world),
     .alone = true,
     .arrange = fills,
     .before = victim_opens_out,
     .call = {.verb = DO_SEND, .handle = OUT, .value = 1, .timeout_ns = LONG_NS},
     .asleep = makes_room,
     .after_kill = room_killed,
     .while_stopped = room_stopped,
     .after_finish = send_finished},
    {.name = "kernel port: recv",
     ON(kernel_port_world),
     .arrange = sends_two,
     .before = victim_opens_in,
     .call = {.verb = DO_RECV, .handle = IN},
     .after_kill = recv_killed,
     .while_stopped = recv_stopped,
     .after_finish = recv_finished},
    {.name = "kernel port: recv, waiting",
     ON(kernel_port_world),
     .alone = true,
     .before = victim_opens_in,
     .call = {.verb = DO_RECV, .handle = IN, .timeout_ns = LONG_NS},
     .asleep = wakes,
     .after_kill = recv_waits_killed,
     .while_stopped = recv_waits_stopped,
     .after_finish = recv_finished},
    {.name = "kernel port: open",
     ON(kernel_port_world),
     .call = {.verb = DO_PORT_OPEN, .name = "x@kernel", .handle = OUT, .flags = YOKE_CREATE},
     .after_kill = all_is_balanced,
     .while_stopped = open_stopped,
     .after_finish = open_finished},
    {.name = "kernel port: close",
     ON(kernel_port_world),
     .before = victim_opens_out,
     .call = {.verb = DO_CLOSE, .handle = OUT},
     .after_kill = all_is_balanced,
     .while_stopped = open_stopped,
     .after_finish = open_finished},
    {.name = "kernel port: close as last user",
     ON(kernel_port_world),
     .alone = true,
     .before = victim_is_last,
     .call = {.verb = DO_CLOSE, .handle = OUT},
     .after_kill = last_killed,
     .while_stopped = last_stopped,
     .after_finish = last_finished},
    {.name = "kernel port: remove",
     ON(kernel_port_world),
     .alone = true,
     .call = {.verb = DO_REMOVE, .name = "port:x@kernel"},
     .after_kill = removed_killed,
     .while_stopped = removed_stopped,
     .after_finish = removed_finished},
    {.name = "kernel link: open",
     ON_LINK,
     .arrange = survivor_links,
     .call = {.verb = DO_LINK_OPEN, .name = "v:s@kernel", .handle = OUT, .flags = YOKE_CREATE},
     .after_kill = all_is_balanced,
     .while_stopped = open_stopped,
     .after_finish = open_finished},
    {.name = "kernel link: send",
     ON_LINK,
     .arrange = survivor_links,
     .before = victim_opens_out,
     .call = {.verb = DO_SEND, .handle = OUT, .value = 1},
     .after_kill = send_killed,
     .while_stopped = send_stopped,
     .after_finish = send_finished},
    {.name = "kernel link: recv",
     ON_LINK,
     .arrange = survivor_links_and_sends,
     .before = victim_opens_out,
     .call = {.verb = DO_RECV, .handle = OUT},
     .after_kill = recv_killed,
     .while_stopped = recv_stopped,
     .after_finish = recv_finished},
    {.name = "kernel link: close",
     ON_LINK,
     .arrange = survivor_links_and_sends,
     .before = victim_opens_out,
     .call = {.verb = DO_CLOSE, .handle = OUT},
     .after_kill = all_is_balanced,
     .while_stopped = open_stopped,
     .after_finish = open_finished},
    {.name = "kernel link: wait for the other end",
     ON_LINK,
     .before = victim_opens_out,
     .call = {.verb = DO_LINK_WAIT, .handle = OUT, .timeout_ns = LONG_NS},
     .asleep = other_end_comes,
     .after_kill = link_wait_killed,
     .while_stopped = link_wait_stopped,
     .after_finish = open_finished},
    {.name = "kernel stream: write",
     ON(kernel_stream_world),
     .before = victim_opens_out,
     .call = {.verb = DO_WRITE, .handle = OUT, .value = 1},
     .after_kill = send_killed,
     .while_stopped = send_stopped,
     .after_finish = send_finished},
    {.name = "kernel stream: read",
     ON(kernel_stream_world),
     .arrange = sends_two,
     .before = victim_opens_in,
     .call = {.verb = DO_READ, .handle = IN},
     .after_kill = recv_killed,
     .while_stopped = recv_stopped,
     .after_finish = recv_finished},
    {.name = "kernel stream: read, waiting",
     ON(kernel_stream_world),
     .alone = true,
     .before = victim_opens_in,
     .call = {.verb = DO_READ, .handle = IN, .timeout_ns = LONG_NS},
     .asleep = wakes,
     .after_kill = recv_waits_killed,
     .while_stopped = recv_waits_stopped,
     .after_finish = recv_finished},
    {.name = "kernel stream: move in",
     ON(kernel_stream_world),
     .before = mover_opens_out,
     .call = {.verb = DO_MOVE_IN, .handle = OUT, .value = 1},
     .after_kill = send_killed,
     .while_stopped = send_stopped,
     .after_finish = send_finished},
    {.name = "kernel stream: move out",
     ON(kernel_stream_world),
     .alone = true,
     .arrange = sends_two,
     .before = mover_opens_in,
     .call = {.verb = DO_MOVE_OUT, .handle = IN},
     .after_kill = recv_killed,
     .while_stopped = move_out_stopped,
     .after_finish = move_out_finished},
    {.name = "kernel stream: open",
     ON(kernel_stream_world),
     .call = {.verb = DO_STREAM_OPEN,
              .name = "x@kernel",
              .handle = IN,
              .flags = YOKE_CREATE | YOKE_READ},
     .after_kill = all_is_balanced,
     .while_stopped = open_stopped,
     .after_finish = open_finished},
    {.name = "kernel stream: close",
     ON(kernel_stream_world),
     .before = victim_opens_out,
     .call = {.verb = DO_CLOSE, .handle = OUT},
     .after_kill = all_is_balanced,
     .while_stopped = open_stopped,
     .after_finish = open_finished},
    {.name = "kernel stream: close as last user",
     ON(kernel_stream_world),
     .alone = true,
     .before = victim_is_last,
     .call = {.verb = DO_CLOSE, .handle = OUT},
     .after_kill = last_killed,
     .while_stopped = last_stopped,
     .after_finish = last_finished},
    {.name = "kernel stream: remove",
     ON(kernel_stream_world),
     .alone = true,
     .call = {.verb = DO_REMOVE, .name = "stream:x@kernel"},
     .after_kill = removed_killed,
     .while_stopped = removed_stopped,
     .after_finish = removed_finished},
};
const uint32_t kernel_scene_count = sizeof kernel_scenes / sizeof kernel_scenes[0];
