/*
 * library_region.c - the scenes of library.c in a region: its lock, its semaphore of two units, its
 * event.
 */
#include <errno.h>

#include "library.h"
#include "yoke.h"

/* ---- locks ---- */

static uint64_t lock_word(void)
{
    return DOES(S, .verb = DO_LOCK_WORD).value;
}

static void open_region_world(void)
{
    MUST(0, S, .verb = DO_REGION_CREATE);
    MUST(0, S, .verb = DO_SEMAPHORE_INIT, .value = 2);
    MUST(0, W, .verb = DO_REGION_OPEN);
}

static void join_region(struct actor *actor)
{
    MUST(0, actor, .verb = DO_REGION_OPEN);
}

static void region_is_whole(void);

const struct world region_world = {.family = "region",
                                   .open = open_region_world,
                                   .join = join_region,
                                   .balanced = region_is_whole};

static void opens_region(void)
{
    MUST(0, V, .verb = DO_REGION_OPEN);
    run.word = lock_word();
}

/* V is dead; nobody else has the lock: it can be taken, and says so if V had it. */
static void lock_is_left(void)
{
    uint64_t word = lock_word();
    if (run.ended && word == 0 && run.scene->call.verb == DO_LOCK)
        wrong("V had the lock, and it is free without anybody having been told");
    MUST(word != 0 ? YOKE_OWNER_DIED : YOKE_LOCKED, S, .verb = DO_LOCK);
    MUST(0, S, .verb = DO_UNLOCK);
    MUST(YOKE_LOCKED, S, .verb = DO_LOCK, .timeout_ns = LONG_NS);
    MUST(0, S, .verb = DO_UNLOCK);
}

/* V stands: it has the lock, or S can have it. S keeps it then. */
static bool survivor_may_lock(void)
{
    uint64_t word = lock_word();
    if (word == 0 || word == run.word) {
        struct answer answer = DOES(S, .verb = DO_LOCK);
        if (answer.result != (word == 0 ? YOKE_LOCKED : YOKE_OWNER_DIED))
            wrong("S can not take the lock (word %llx), which only a stopped one wanted: %lld",
                  (unsigned long long)word, (long long)answer.result);
        return true;
    }
    MUST(-EAGAIN, S, .verb = DO_LOCK);
    return false;
}

static void lock_while_stopped(void)
{
    run.count = survivor_may_lock();
}

static void lock_after_finish(const struct answer *answer)
{
    if (run.count == 0) {
        if (answer->result != YOKE_LOCKED && answer->result != YOKE_OWNER_DIED)
            wrong("V has the lock, and was told %lld", (long long)answer->result);
        if (answer->result >= 0)
            MUST(0, V, .verb = DO_UNLOCK);
        MUST(YOKE_LOCKED, S, .verb = DO_LOCK);
    } else if (answer->result != -EAGAIN) {
        wrong("S has the lock, and V was told %lld", (long long)answer->result);
    }
    MUST(0, S, .verb = DO_UNLOCK);
}

static void dead_owner(void)
{
    struct actor *dead = actor_start();
    MUST(0, dead, .verb = DO_REGION_OPEN);
    if (run.scene->call.verb == DO_LOCK) {
        MUST(YOKE_LOCKED, dead, .verb = DO_LOCK);
    } else {
        MUST(0, dead, .verb = DO_SEMAPHORE_ACQUIRE);
        MUST(0, dead, .verb = DO_SEMAPHORE_ACQUIRE);
    }
    actor_kill(dead);
}

static void lock_of_two_dead(void)
{
    MUST(YOKE_OWNER_DIED, S, .verb = DO_LOCK);
    MUST(0, S, .verb = DO_UNLOCK);
    MUST(YOKE_LOCKED, S, .verb = DO_LOCK);
    MUST(0, S, .verb = DO_UNLOCK);
}

/* W holds it, V waits for it. */
static void sleeper_locks(void)
{
    MUST(YOKE_LOCKED, W, .verb = DO_LOCK);
}

static void sleeper_unlocks(void)
{
    if (run.woken++ == 0)
        MUST(0, W, .verb = DO_UNLOCK);
}

static void wait_lock_killed(void)
{
    if (run.woken == 0) {
        MUST(-EAGAIN, S, .verb = DO_LOCK);
        sleeper_unlocks();
    }
    lock_is_left();
}

static void wait_lock_stopped(void)
{
    sleeper_unlocks();
    run.count = survivor_may_lock();
    if (run.count)
        MUST(0, S, .verb = DO_UNLOCK);
}

static void wait_lock_finished(const struct answer *answer)
{
    if (answer->result != YOKE_LOCKED)
        wrong("V waited for the lock and was told %lld", (long long)answer->result);
    MUST(0, V, .verb = DO_UNLOCK);
    MUST(YOKE_LOCKED, S, .verb = DO_LOCK);
    MUST(0, S, .verb = DO_UNLOCK);
}

/* V holds it, W waits for it, V gives it up. */
static void victim_locks(void)
{
    opens_region();
    MUST(YOKE_LOCKED, V, .verb = DO_LOCK);
    run.word = lock_word();
}

static void sleeper_wants_lock(void)
{
    SLEEPS(.verb = DO_LOCK);
}

static void unlock_killed(void)
{
    bool held = !run.ended && lock_word() == run.word;
    struct answer answer = sleeper_ends("the lock's owner is dead or gave it up");
    if (answer.result != YOKE_OWNER_DIED && (held || answer.result != YOKE_LOCKED))
        wrong("W was told %lld; V %s", (long long)answer.result,
              held ? "had the lock when it died" : "had given it up");
    MUST(0, W, .verb = DO_UNLOCK);
}

static void unlock_stopped(void)
{
    if (lock_word() == run.word) {
        MUST(-EAGAIN, S, .verb = DO_LOCK);
        if (sleeper_ended())
            wrong("W took a lock that V has");
        return;
    }
    struct answer answer = sleeper_ends("V gave the lock up");
    if (answer.result != YOKE_LOCKED)
        wrong("W was told %lld", (long long)answer.result);
    MUST(0, W, .verb = DO_UNLOCK);
}

static void unlock_finished(const struct answer *answer)
{
    if (answer->result != 0)
        wrong("V's unlock gave %lld", (long long)answer->result);
    if (!run.sleeper_waits)
        return;
    if (sleeper_ends("V gave the lock up").result != YOKE_LOCKED)
        wrong("W was not told that it has the lock");
    MUST(0, W, .verb = DO_UNLOCK);
}

/* ---- semaphores: two units ---- */

static void units_are_back(void)
{
    MUST(2, S, .verb = DO_SEMAPHORE_VALUE);
    MUST(0, S, .verb = DO_SEMAPHORE_ACQUIRE);
    MUST(0, S, .verb = DO_SEMAPHORE_ACQUIRE);
    MUST(-EAGAIN, S, .verb = DO_SEMAPHORE_ACQUIRE);
    MUST(0, S, .verb = DO_SEMAPHORE_RELEASE);
    MUST(0, S, .verb = DO_SEMAPHORE_RELEASE);
}

static void units_while_stopped(void)
{
    int64_t value = DOES(S, .verb = DO_SEMAPHORE_VALUE).result;
    if (value != 1 && value != 2)
        wrong("%lld units are free, and V wants one of two", (long long)value);
    run.count = (uint64_t)value;
    for (int64_t i = 0; i < value; i++)
        MUST(0, S, .verb = DO_SEMAPHORE_ACQUIRE);
    MUST(-EAGAIN, S, .verb = DO_SEMAPHORE_ACQUIRE);
}

static void units_finished(const struct answer *answer)
{
    if (answer->result != (run.count == 1 ? 0 : -EAGAIN))
        wrong("V was told %lld, S has %llu units of 2", (long long)answer->result,
              (unsigned long long)run.count);
    if (answer->result == 0)
        MUST(0, V, .verb = DO_SEMAPHORE_RELEASE);
    for (uint64_t i = 0; i < run.count; i++)
        MUST(0, S, .verb = DO_SEMAPHORE_RELEASE);
    units_are_back();
}

static void victim_takes_units(void)
{
    opens_region();
    MUST(0, V, .verb = DO_SEMAPHORE_ACQUIRE);
    MUST(0, V, .verb = DO_SEMAPHORE_ACQUIRE);
}

static void sleeper_wants_unit(void)
{
    SLEEPS(.verb = DO_SEMAPHORE_ACQUIRE);
}

static void unit_killed(void)
{
    if (sleeper_ends("the units' owner is dead").result != 0)
        wrong("W got no unit");
    MUST(0, W, .verb = DO_SEMAPHORE_RELEASE);
    units_are_back();
}

static void unit_stopped(void)
{
    if (DOES(S, .verb = DO_SEMAPHORE_VALUE).result == 0 && !sleeper_ended())
        return;
    sleeper_ends("V gave a unit back");
    MUST(0, W, .verb = DO_SEMAPHORE_RELEASE);
}

static void unit_finished(const struct answer *answer)
{
    if (answer->result != 0)
        wrong("V's release gave %lld", (long long)answer->result);
    if (run.sleeper_waits) {
        sleeper_ends("V gave a unit back");
        MUST(0, W, .verb = DO_SEMAPHORE_RELEASE);
    }
    MUST(0, V, .verb = DO_SEMAPHORE_RELEASE);
    units_are_back();
}

/* Nobody has the lock, whether or not its last owner died; and both units are there. */
static void region_is_whole(void)
{
    struct answer answer = DOES(S, .verb = DO_LOCK, .timeout_ns = LONG_NS);
    if (answer.result != YOKE_LOCKED && answer.result != YOKE_OWNER_DIED)
        wrong("nobody is there, and the lock is not to be had: %lld %s", (long long)answer.result,
              answer.sentence);
    MUST(0, S, .verb = DO_UNLOCK);
    MUST(YOKE_LOCKED, S, .verb = DO_LOCK, .timeout_ns = LONG_NS);
    MUST(0, S, .verb = DO_UNLOCK);
    units_are_back();
}

/* ---- events ---- */

static void sleeper_listens(void)
{
    MUST(0, W, .verb = DO_EVENT_COUNT);
    run.count = DOES(S, .verb = DO_EVENT_COUNT).value;
    SLEEPS(.verb = DO_EVENT_WAIT);
}

static void event_others(void)
{
    if (DOES(S, .verb = DO_EVENT_COUNT).value == run.count) {
        if (run.ended)
            wrong("V's notification is not counted");
        if (sleeper_ended())
            wrong("W was woken by nothing");
        MUST(0, S, .verb = DO_NOTIFY);
    }
    sleeper_ends("there was a notification");
}

static void event_finished(const struct answer *answer)
{
    if (answer->result != 0)
        wrong("V was told %lld", (long long)answer->result);
}

static void victim_listens(void)
{
    opens_region();
    MUST(0, V, .verb = DO_EVENT_COUNT);
}

static void survivor_notifies(void)
{
    if (run.woken++ == 0)
        MUST(0, S, .verb = DO_NOTIFY);
}

static void listen_others(void)
{
    survivor_notifies();
    sleeper_ends("there was a notification");
}

/* ---- a forked child wants the lock that its parent has ---- */

static void parent_locks(void)
{
    MUST(YOKE_LOCKED, S, .verb = DO_LOCK);
    run.word = lock_word();
}

static void child_lock_others(void)
{
    MUST(-EAGAIN, W, .verb = DO_LOCK);
    MUST(0, S, .verb = DO_UNLOCK);
    MUST(YOKE_LOCKED, W, .verb = DO_LOCK);
    MUST(0, W, .verb = DO_UNLOCK);
}

static void child_lock_finished(const struct answer *answer)
{
    if (answer->result != -EAGAIN && answer->result != YOKE_LOCKED)
        wrong("the child was told %lld", (long long)answer->result);
    if (answer->result == YOKE_LOCKED)
        MUST(0, V, .verb = DO_UNLOCK);
}

/* Killed by then, it may have had the lock that its parent gave up. */
static void child_lock_killed(void)
{
    child_lock_others();
}

/* ---- V waits for a unit that W has ---- */

static void sleeper_takes_units(void)
{
    MUST(0, W, .verb = DO_SEMAPHORE_ACQUIRE);
    MUST(0, W, .verb = DO_SEMAPHORE_ACQUIRE);
}

static void sleeper_gives_unit(void)
{
    if (run.woken++ == 0)
        MUST(0, W, .verb = DO_SEMAPHORE_RELEASE);
}

static void wait_unit_killed(void)
{
    sleeper_gives_unit();
    MUST(0, W, .verb = DO_SEMAPHORE_RELEASE);
    units_are_back();
}

static void wait_unit_stopped(void)
{
    sleeper_gives_unit();
    run.count = DOES(S, .verb = DO_SEMAPHORE_ACQUIRE).result == 0;
    if (run.count) /* V did not have it yet, and is to have it */
        MUST(0, S, .verb = DO_SEMAPHORE_RELEASE);
}

static void wait_unit_finished(const struct answer *answer)
{
    if (answer->result != 0)
        wrong("V waited for a unit and was told %lld", (long long)answer->result);
    MUST(0, V, .verb = DO_SEMAPHORE_RELEASE);
    MUST(0, W, .verb = DO_SEMAPHORE_RELEASE);
    units_are_back();
}

/* ---- a semaphore is made: by one that may die, and then by another ---- */

static void init_others(void)
{
    MUST(0, S, .verb = DO_SEMAPHORE_INIT, .value = 2);
    units_are_back();
}

static void init_stopped(void)
{
    MUST(YOKE_LOCKED, S, .verb = DO_LOCK);
    MUST(0, S, .verb = DO_UNLOCK);
}

static void init_finished(const struct answer *answer)
{
    if (answer->result != 0)
        wrong("V was told %lld", (long long)answer->result);
    units_are_back();
}

/* ---- looking: it changes nothing, and what it finds dead it gives back ---- */

static void looked(const struct answer *answer)
{
    if (answer->result < 0)
        wrong("V was told %lld", (long long)answer->result);
    units_are_back();
}

static void lock_goes_round(void)
{
    MUST(YOKE_LOCKED, S, .verb = DO_LOCK);
    MUST(0, S, .verb = DO_UNLOCK);
}

/* ---- V's other thread waits for the lock that S has; V ends that wait ---- */

static void thread_wants_lock(void)
{
    opens_region();
    MUST(YOKE_LOCKED, S, .verb = DO_LOCK);
    MUST(0, V, .verb = DO_WAITER);
    SLEEPS(.verb = DO_LOCK);
}

static void cancel_others(void)
{
    MUST(0, S, .verb = DO_UNLOCK);
    struct answer answer = sleeper_ends("S gave the lock up");
    if (answer.result != YOKE_LOCKED && answer.result != YOKE_OWNER_DIED)
        wrong("W was told %lld", (long long)answer.result);
    MUST(0, W, .verb = DO_UNLOCK);
    lock_is_left();
}

static void cancel_stopped(void)
{
    units_are_back();
}

static void cancel_finished(const struct answer *answer)
{
    if (answer->result != 0)
        wrong("V's cancel gave %lld", (long long)answer->result);
    MUST(-ECANCELED, V, .verb = DO_WAITER_ENDS);
    cancel_others();
}

/* ---- the scenes ---- */

const struct scene region_scenes[] = {
    {.name = "lock a free one",
     .partner = {.verb = DO_LOCK},
     .pair_kills = true,
     .before = opens_region,
     .call = {.verb = DO_LOCK},
     .after_kill = lock_is_left,
     .while_stopped = lock_while_stopped,
     .after_finish = lock_after_finish},
    {.name = "lock a dead one's",
     .partner = {.verb = DO_LOCK},
     .pair_kills = true,
     .arrange = dead_owner,
     .before = opens_region,
     .call = {.verb = DO_LOCK},
     .after_kill = lock_of_two_dead,
     .while_stopped = lock_while_stopped,
     .after_finish = lock_after_finish},
    {.name = "lock, waiting",
     .partner = {.verb = DO_LOCK},
     .pair_kills = true,
     .arrange = sleeper_locks,
     .before = opens_region,
     .call = {.verb = DO_LOCK, .timeout_ns = LONG_NS},
     .asleep = sleeper_unlocks,
     .after_kill = wait_lock_killed,
     .while_stopped = wait_lock_stopped,
     .after_finish = wait_lock_finished},
    {.name = "unlock while one waits",
     .partner = {.verb = DO_LOCK},
     .pair_kills = true,
     .wakes = true,
     .before = victim_locks,
     .settle = sleeper_wants_lock,
     .call = {.verb = DO_UNLOCK},
     .after_kill = unlock_killed,
     .while_stopped = unlock_stopped,
     .after_finish = unlock_finished},
    {.name = "take a unit",
     .partner = {.verb = DO_SEMAPHORE_ACQUIRE},
     .pair_kills = true,
     .before = opens_region,
     .call = {.verb = DO_SEMAPHORE_ACQUIRE},
     .after_kill = units_are_back,
     .while_stopped = units_while_stopped,
     .after_finish = units_finished},
    {.name = "take a dead one's unit",
     .partner = {.verb = DO_SEMAPHORE_ACQUIRE},
     .pair_kills = true,
     .arrange = dead_owner,
     .before = opens_region,
     .call = {.verb = DO_SEMAPHORE_ACQUIRE},
     .after_kill = units_are_back,
     .while_stopped = units_while_stopped,
     .after_finish = units_finished},
    {.name = "give a unit while one waits",
     .partner = {.verb = DO_SEMAPHORE_ACQUIRE},
     .pair_kills = true,
     .wakes = true,
     .before = victim_takes_units,
     .settle = sleeper_wants_unit,
     .call = {.verb = DO_SEMAPHORE_RELEASE},
     .after_kill = unit_killed,
     .while_stopped = unit_stopped,
     .after_finish = unit_finished},
    {.name = "notify while one waits",
     .partner = {.verb = DO_NOTIFY},
     .wakes = true,
     .before = opens_region,
     .settle = sleeper_listens,
     .call = {.verb = DO_NOTIFY},
     .after_kill = event_others,
     .while_stopped = event_others,
     .after_finish = event_finished},
    {.name = "wait for an event",
     .partner = {.verb = DO_NOTIFY},
     .before = victim_listens,
     .settle = sleeper_listens,
     .call = {.verb = DO_EVENT_WAIT, .timeout_ns = LONG_NS},
     .asleep = survivor_notifies,
     .after_kill = listen_others,
     .while_stopped = listen_others,
     .after_finish = event_finished},
    {.name = "take a unit, waiting",
     .partner = {.verb = DO_SEMAPHORE_ACQUIRE},
     .pair_kills = true,
     .arrange = sleeper_takes_units,
     .before = opens_region,
     .call = {.verb = DO_SEMAPHORE_ACQUIRE, .timeout_ns = LONG_NS},
     .asleep = sleeper_gives_unit,
     .after_kill = wait_unit_killed,
     .while_stopped = wait_unit_stopped,
     .after_finish = wait_unit_finished},
    {.name = "make a semaphore",
     .partner = {.verb = DO_SEMAPHORE_INIT, .value = 2},
     .before = opens_region,
     .call = {.verb = DO_SEMAPHORE_INIT, .value = 2},
     .after_kill = init_others,
     .while_stopped = init_stopped,
     .after_finish = init_finished},
    {.name = "count units, a dead one's among them",
     .partner = {.verb = DO_SEMAPHORE_ACQUIRE},
     .arrange = dead_owner,
     .before = opens_region,
     .call = {.verb = DO_SEMAPHORE_VALUE},
     .after_kill = units_are_back,
     .while_stopped = units_are_back,
     .after_finish = looked},
    {.name = "count notifications",
     .partner = {.verb = DO_NOTIFY},
     .before = opens_region,
     .call = {.verb = DO_EVENT_COUNT},
     .after_kill = lock_goes_round,
     .while_stopped = lock_goes_round,
     .after_finish = looked},
    {.name = "cancel waits for a lock",
     .alone = true,
     .before = thread_wants_lock,
     .call = {.verb = DO_REGION_CANCEL},
     .after_kill = cancel_others,
     .while_stopped = cancel_stopped,
     .after_finish = cancel_finished},
    {.name = "lock in a forked child",
     .forked = true,
     .arrange = parent_locks,
     .call = {.verb = DO_LOCK},
     .after_kill = child_lock_killed,
     .while_stopped = child_lock_others,
     .after_finish = child_lock_finished},
};
const uint32_t region_scene_count = sizeof region_scenes / sizeof region_scenes[0];
