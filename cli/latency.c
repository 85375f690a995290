/*
 * latency.c - see latency.h.
 *
 * A message is picked some way ahead, at random, in what is likely to be sent within the next 10 ms:
 * the next one to come after any moment is too often one that came after a pause. While it is far
 * away the watcher sleeps; when the one before it by 100 us or so has come, it looks without a pause
 * for at most 50 us; and again for 50 us when it has come, since most are taken soon. So the watcher is
 * busy for at most some 5 ms of each second, and for the rest asleep.
 */
#include "latency.h"

#include "inspect.h"
#include "output.h"
#include "stop.h"

#include <math.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>
#include <yoke.h>

#define MICROSECOND INT64_C(1000)
#define MILLISECOND INT64_C(1000000)
#define SECOND      1e9

#define LEAST_NS   16.0
#define TARGETS    8                  /* messages that are watched at once, of each queue */
#define EVERY      (20 * MILLISECOND) /* one is picked */
#define AHEAD      (10 * MILLISECOND) /* it is to be sent within that */
#define AHEAD_MOST 65536
#define NEAR       (100 * MICROSECOND)
#define BUSY       (50 * MICROSECOND)  /* looks without a pause */
#define NAP        (100 * MICROSECOND) /* between two looks */
#define LATE       (2 * MILLISECOND)
#define NAP_MOST   (1 * MILLISECOND)
#define BARS       40

enum stage { FREE, COMING, WAITS };

struct target {
    enum stage stage;
    uint32_t queue;
    uint64_t number, before; /* `before`: when that one has come, it is near */
    int64_t due;             /* when it is likely to come */
    int64_t near_since;      /* 0: it is not */
    int64_t last_coming, first_waits, last_waits;
};

struct queue {
    uint64_t next; /* when it was last asked, and when that was */
    int64_t at;
    double per_ns;
};

struct yk_latency_watch {
    struct yk_latency *latency;
    struct yk_tap *tap;
    uint32_t queue_count, turn;
    struct queue queues[YOKE_PRIORITIES_MAX];
    struct target targets[YOKE_PRIORITIES_MAX * TARGETS];
    size_t target_count;
    uint64_t dice;
};

/* ---- times ------------------------------------------------------------------------------------ */

static unsigned bucket_of(int64_t ns)
{
    double bucket =
        ns <= (int64_t)LEAST_NS ? 0 : ceil(log2((double)ns / LEAST_NS) * YK_LATENCY_OCTAVE);

    return bucket < YK_LATENCY_BUCKETS - 1 ? (unsigned)bucket : YK_LATENCY_BUCKETS - 1;
}

/* The longest time that belongs there. */
static int64_t bucket_end(unsigned bucket)
{
    return (int64_t)(LEAST_NS * exp2((double)bucket / YK_LATENCY_OCTAVE));
}

static void add_time(struct yk_times *times, int64_t ns)
{
    times->count[bucket_of(ns)]++;
    times->total++;
    times->sum += ns;
    if (ns > times->longest)
        times->longest = ns;
}

int64_t yk_times_percentile(const struct yk_times *times, double percent)
{
    double rank = percent / 100 * (double)times->total, below = 0;

    for (unsigned i = 0; i < YK_LATENCY_BUCKETS && times->total > 0; i++) {
        below += (double)times->count[i];
        if (below > 0 && below >= rank)
            return bucket_end(i) < times->longest ? bucket_end(i) : times->longest;
    }
    return times->longest;
}

uint64_t yk_times_until(const struct yk_times *times, int64_t ns)
{
    uint64_t count = 0;

    for (unsigned i = 0; i < YK_LATENCY_BUCKETS && bucket_end(i) <= ns; i++)
        count += times->count[i];
    return count;
}

/* ---- watching --------------------------------------------------------------------------------- */

static uint64_t throw_dice(struct yk_latency_watch *watch)
{
    watch->dice ^= watch->dice << 13;
    watch->dice ^= watch->dice >> 7;
    watch->dice ^= watch->dice << 17;
    return watch->dice;
}

/* How fast the queue goes, from what was sent since it was asked last. */
static void note_rate(struct queue *queue, uint64_t next, int64_t now)
{
    if (queue->at != 0 && now > queue->at && next >= queue->next)
        queue->per_ns = (double)(next - queue->next) / (double)(now - queue->at);
    queue->next = next;
    queue->at = now;
}

/*
 * NULL: all of them wait, and others are watched when they are through; or that message is watched
 * already.
 */
static struct target *find_free(struct yk_latency_watch *watch, uint32_t queue, uint64_t number)
{
    struct target *first = &watch->targets[(size_t)queue * TARGETS], *found = NULL;

    for (size_t i = 0; i < TARGETS; i++) {
        if (first[i].stage == FREE)
            found = &first[i];
        else if (first[i].number == number)
            return NULL;
    }
    return found;
}

static uint64_t as_many_as(double count, uint64_t most)
{
    return count < (double)most ? (uint64_t)count : most;
}

static void pick(struct yk_latency_watch *watch, uint32_t number, int64_t now)
{
    struct queue *queue = &watch->queues[number];
    uint64_t next = yk_tap_next(watch->tap, number), ahead, lead;
    struct target *target;

    note_rate(queue, next, now);
    ahead = throw_dice(watch) % (1 + as_many_as(queue->per_ns * AHEAD, AHEAD_MOST));
    lead = as_many_as(queue->per_ns * NEAR, AHEAD_MOST);
    target = find_free(watch, number, next + ahead);
    if (!target)
        return;
    *target = (struct target){
        .stage = COMING,
        .queue = number,
        .number = next + ahead,
        .before = next + (ahead > lead ? ahead - lead : 0) - 1,
        .due = now + (int64_t)(queue->per_ns > 0 ? (double)ahead / queue->per_ns : 0),
        .last_coming = now,
    };
    /* What came before it was watched would be seen too late. */
    if (yk_tap_stage(watch->tap, number, target->number) != YK_TAP_COMING)
        target->stage = FREE;
    else
        target->last_coming = yk_time_monotonic();
}

static void pick_some(struct yk_latency_watch *watch, int64_t now)
{
    for (uint32_t i = 0; i < watch->queue_count; i++)
        pick(watch, (watch->turn + i) % watch->queue_count, now);
    watch->turn++;
}

static void taken(struct yk_latency_watch *watch, struct target *target, int64_t now)
{
    int64_t at_most = now - target->last_coming;
    int64_t at_least = target->stage == WAITS ? target->last_waits - target->first_waits : 0;

    add_time(&watch->latency->at_most, at_most);
    add_time(&watch->latency->within, at_most - at_least);
    target->stage = FREE;
}

static int64_t within(int64_t least, int64_t value, int64_t most)
{
    return value < least ? least : value > most ? most : value;
}

/* Seen not to be there yet; for how long the next look can wait. */
static int64_t still_coming(struct yk_latency_watch *watch, struct target *target, int64_t now)
{
    target->last_coming = now;
    if (target->near_since == 0 &&
        yk_tap_stage(watch->tap, target->queue, target->before) != YK_TAP_COMING)
        target->near_since = now;
    if (target->near_since != 0)
        return now - target->near_since < BUSY ? 0 : NAP;
    return target->due > now ? within(NAP / 2, (target->due - now) / 2, NAP_MOST) : NAP;
}

/* The same, seen waiting. */
static int64_t still_waits(struct target *target, int64_t now)
{
    if (target->stage == COMING)
        target->first_waits = now;
    target->stage = WAITS;
    target->last_waits = now;
    int64_t age = now - target->first_waits;
    return age < BUSY ? 0 : within(NAP, age / 8, NAP_MOST);
}

/*
 * One look. One that came much too late, because others had the CPU, does not tell when a message was
 * sent: that one is let go, which says nothing of how long it waits.
 */
static int64_t look_at(struct yk_latency_watch *watch, struct target *target)
{
    enum yk_tap_stage stage = yk_tap_stage(watch->tap, target->queue, target->number);
    int64_t now = yk_time_monotonic();
    bool late = target->stage == COMING && now - target->last_coming > LATE;

    if (stage == YK_TAP_COMING && target->stage == COMING)
        return still_coming(watch, target, now);
    if (stage == YK_TAP_PASSED || late)
        target->stage = FREE;
    else if (stage == YK_TAP_WAITS)
        return still_waits(target, now);
    else
        taken(watch, target, now);
    return NAP_MOST;
}

static int64_t look_at_all(struct yk_latency_watch *watch)
{
    int64_t nap = NAP_MOST;

    for (size_t i = 0; i < watch->target_count; i++) {
        struct target *target = &watch->targets[i];
        int64_t soonest = target->stage == FREE ? nap : look_at(watch, target);
        if (soonest < nap)
            nap = soonest;
    }
    return nap;
}

static void sleep_for(int64_t ns)
{
    const struct timespec nap = {0, ns};

    if (ns > 0)
        (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, NULL);
}

static void go_on(struct yk_latency_watch *watch, int64_t ns, bool *ret_stopped)
{
    int64_t start = yk_time_monotonic(), now = start, picked = 0;

    while (!(*ret_stopped = yk_stop_signal() != 0) && now - start < ns) {
        if (now - picked >= EVERY) {
            if (yk_tap_is_alone(watch->tap))
                break;
            pick_some(watch, now);
            picked = now;
        }
        sleep_for(look_at_all(watch));
        now = yk_time_monotonic();
    }
    watch->latency->waiting = 0;
    watch->latency->waiting_for = 0;
    for (size_t i = 0; i < watch->target_count; i++) {
        const struct target *target = &watch->targets[i];
        if (target->stage != WAITS)
            continue;
        watch->latency->waiting++;
        if (target->last_waits - target->first_waits > watch->latency->waiting_for)
            watch->latency->waiting_for = target->last_waits - target->first_waits;
    }
}

static int begin(struct yk_latency_watch **ret, const char *address)
{
    struct yk_tap *tap;
    int result = yk_tap_open(&tap, address);

    if (result < 0)
        return result;
    result = yk_tap_check_stages(tap);
    if (result < 0) {
        yk_tap_close(tap);
        return result;
    }
    *ret = yk_grow(NULL, sizeof **ret);
    **ret = (struct yk_latency_watch){
        .tap = tap,
        .queue_count = yk_tap_queues(tap),
        .dice = (uint64_t)yk_time_real() | 1,
    };
    (*ret)->target_count = (size_t)(*ret)->queue_count * TARGETS;
    (void)prctl(PR_SET_TIMERSLACK, MICROSECOND, 0, 0, 0); /* naps are longer without */
    return 0;
}

int yk_latency_watch(struct yk_latency_watch **watch, struct yk_latency *latency,
                     const char *address, int64_t ns, bool *ret_stopped)
{
    int result = *watch ? 0 : begin(watch, address);

    if (result < 0)
        return result;
    (*watch)->latency = latency;
    go_on(*watch, ns, ret_stopped);
    if (yk_tap_is_alone((*watch)->tap)) {
        yk_latency_end(*watch);
        *watch = NULL;
    }
    return 0;
}

void yk_latency_end(struct yk_latency_watch *watch)
{
    if (!watch)
        return;
    yk_tap_close(watch->tap);
    free(watch);
}

/* ---- showing ---------------------------------------------------------------------------------- */

static void print_rows(const struct yk_times *times)
{
    char from[YK_TIME_TEXT], to[YK_TIME_TEXT];
    const unsigned row = YK_LATENCY_OCTAVE; /* each row's times are the double of the last one's */
    uint64_t rows[YK_LATENCY_BUCKETS / YK_LATENCY_OCTAVE] = {0}, most = 0;
    unsigned first = bucket_of(yk_times_percentile(times, 0)) / row;
    unsigned last = bucket_of(times->longest) / row;

    for (unsigned i = 0; i < YK_LATENCY_BUCKETS; i++)
        rows[i / row] += times->count[i];
    for (unsigned i = first; i <= last; i++)
        most = rows[i] > most ? rows[i] : most;
    for (unsigned i = first; i <= last; i++) {
        int bars = most == 0 ? 0 : (int)((rows[i] * BARS + most - 1) / most);
        printf("  %9s to %9s %8llu%s%.*s\n",
               yk_format_time(from, i == 0 ? 0 : bucket_end(i * row - 1)),
               yk_format_time(to, bucket_end(i * row + row - 1)), (unsigned long long)rows[i],
               bars ? "  " : "", bars, "########################################");
    }
}

void yk_latency_print(const struct yk_latency *latency)
{
    const struct yk_times *times = &latency->at_most;
    char p50[YK_TIME_TEXT], p90[YK_TIME_TEXT], p99[YK_TIME_TEXT], longest[YK_TIME_TEXT],
        within[YK_TIME_TEXT];

    if (times->total == 0)
        printf("latency       no message was seen to come and be taken\n");
    else
        printf("latency       of %llu %s that %s watched, at most: 50%% %s, 90%% %s, 99%% %s,\n"
               "              all %s; known to within %s or less for half of them\n",
               (unsigned long long)times->total, yk_plural(times->total, "message", "messages"),
               times->total == 1 ? "was" : "were",
               yk_format_time(p50, yk_times_percentile(times, 50)),
               yk_format_time(p90, yk_times_percentile(times, 90)),
               yk_format_time(p99, yk_times_percentile(times, 99)),
               yk_format_time(longest, times->longest),
               yk_format_time(within, yk_times_percentile(&latency->within, 50)));
    if (latency->waiting > 0)
        printf("              still waiting in the end: %llu, the longest for %s or more\n",
               (unsigned long long)latency->waiting, yk_format_time(longest, latency->waiting_for));
    if (times->total > 0)
        print_rows(times);
}

static yk_json *bucket_json(int64_t end, uint64_t count)
{
    yk_json *bucket = yk_json_object();

    yk_json_real(bucket, "at_most", (double)end / SECOND);
    yk_json_unsigned(bucket, "messages", count);
    return bucket;
}

yk_json *yk_latency_json(const struct yk_latency *latency)
{
    const struct yk_times *times = &latency->at_most;
    yk_json *object = yk_json_object(), *buckets = yk_json_array();

    yk_json_unsigned(object, "messages", times->total);
    if (times->total > 0) {
        yk_json_real(object, "p50", (double)yk_times_percentile(times, 50) / SECOND);
        yk_json_real(object, "p90", (double)yk_times_percentile(times, 90) / SECOND);
        yk_json_real(object, "p99", (double)yk_times_percentile(times, 99) / SECOND);
        yk_json_real(object, "longest", (double)times->longest / SECOND);
        yk_json_real(object, "within", (double)yk_times_percentile(&latency->within, 50) / SECOND);
    }
    yk_json_unsigned(object, "still_waiting", latency->waiting);
    yk_json_real(object, "still_waiting_for", (double)latency->waiting_for / SECOND);
    for (unsigned i = 0; i < YK_LATENCY_BUCKETS; i++)
        if (times->count[i] > 0)
            yk_json_append(buckets, bucket_json(bucket_end(i), times->count[i]));
    yk_json_add(object, "buckets", buckets);
    return object;
}
