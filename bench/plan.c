/*
 * plan.c - which systems are measured in which settings: what each topic makes of them.
 *
 *   latency   round trips                     each size, both modes
 *   rate      one way, as messages            each size, both modes
 *   size      one way, as bytes               from 8 B to 64 MiB; spinning, where it can be chosen
 *   wake      round trips, all asleep         one size, blocking, and by descriptors
 *   fan-in    one way, many processes         one size, both modes; then more than CPUs
 *   open      one more endpoint               one size
 */
#include "plan.h"

#include "fan.h"
#include "output.h"

/*
 * A channel holds as many messages as a port by default, but no more than so many bytes of them:
 * more than a core's own cache (see limit.c), less than what all cores share.
 */
#define DEPTH_MAX     256u
#define DEPTH_LEAST   2u
#define CHANNEL_BYTES (UINT64_C(4) << 20)
#define K             ((size_t)1 << 10)
#define M             ((size_t)1 << 20)

struct sizes {
    size_t count;
    size_t of[BENCH_SIZES_MAX];
};

static const struct sizes some_sizes = {4, {8, 64, K, 64 * K}};
/* 56 bytes are what one line has room for beside its flag. */
static const struct sizes more_sizes = {6, {8, 56, 64, K, 64 * K, M}};
static const struct sizes three_sizes = {3, {56, 64, K}};
static const struct sizes two_sizes = {2, {64, 64 * K}};
static const struct sizes one_size = {1, {64}};
static const struct sizes all_sizes = {9, {8, 64, 512, 4 * K, 32 * K, 256 * K, M, 8 * M, 64 * M}};
static const struct sizes few_of_all_sizes = {4, {64, 4 * K, M, 64 * M}};

static struct sizes sizes_for(const struct bench_plan *plan, enum bench_topic topic)
{
    bool one = topic == BENCH_TOPIC_WAKE || topic == BENCH_TOPIC_FAN_IN ||
               topic == BENCH_TOPIC_OPEN || topic == BENCH_TOPIC_KILL;
    struct sizes sizes;

    if (plan->size_count > 0) {
        sizes.count = one ? 1 : plan->size_count;
        for (size_t i = 0; i < sizes.count; i++)
            sizes.of[i] = plan->sizes[i];
        return sizes;
    }
    if (one)
        return one_size;
    if (topic == BENCH_TOPIC_SIZE)
        return plan->quick ? few_of_all_sizes : all_sizes;
    if (plan->quick)
        return topic == BENCH_TOPIC_LATENCY ? three_sizes : two_sizes;
    return topic == BENCH_TOPIC_LATENCY ? more_sizes : some_sizes;
}

static uint32_t depth_for(size_t size)
{
    uint32_t depth = DEPTH_MAX;

    while (depth > DEPTH_LEAST && depth * (uint64_t)size > CHANNEL_BYTES)
        depth /= 2;
    return depth;
}

static enum bench_case case_of(enum bench_topic topic)
{
    if (topic == BENCH_TOPIC_OPEN)
        return BENCH_OPEN;
    return topic == BENCH_TOPIC_LATENCY || topic == BENCH_TOPIC_WAKE ? BENCH_LATENCY : BENCH_RATE;
}

/* ---- which settings make sense -------------------------------------------------------------- */

static bool knows_mode(const struct bench_plan *plan, const struct bench_system *system,
                       enum bench_mode mode)
{
    /* On one CPU whoever spins only keeps the other side from going on. */
    if (mode == BENCH_SPIN && plan->cpus.side[1] < 0)
        return false;
    return system->modes & 1u << mode;
}

static bool fits(const struct bench_system *system, const struct bench_setting *setting)
{
    if (setting->size > system->size_max)
        return false;
    /* Where it is everybody's limit, it shows how well the run can tell. */
    return setting->size >= system->size_min ||
           (system->raw && bench_limit_for(system, setting) == system);
}

static bool is_for(const struct bench_system *system, const struct bench_setting *setting)
{
    bool calls = system->send && system->recv;

    if (system->topics && !(system->topics & 1u << setting->topic))
        return false;
    if (setting->topic == BENCH_TOPIC_FAN_IN && !(system->many && calls))
        return false;
    if (setting->topic == BENCH_TOPIC_KILL && (system->raw || !calls))
        return false;
    return system->cases & 1u << setting->what && fits(system, setting);
}

/* The modes in which a topic looks at a system, as bits. */
static uint32_t modes_for(const struct bench_plan *plan, const struct bench_system *system,
                          const struct bench_setting *setting)
{
    bool spin = knows_mode(plan, system, BENCH_SPIN), block = knows_mode(plan, system, BENCH_BLOCK);
    uint32_t workers = setting->senders + setting->receivers;

    switch (setting->topic) {
    case BENCH_TOPIC_WAKE:
        return (uint32_t)block << BENCH_BLOCK | (uint32_t)knows_mode(plan, system, BENCH_POLL)
                                                    << BENCH_POLL;
    case BENCH_TOPIC_SIZE:
        return spin ? 1u << BENCH_SPIN : (uint32_t)block << BENCH_BLOCK;
    case BENCH_TOPIC_OPEN: /* nobody waits for anything */
    case BENCH_TOPIC_KILL:
        return block ? 1u << BENCH_BLOCK : (uint32_t)spin << BENCH_SPIN;
    case BENCH_TOPIC_FAN_IN:
        if (workers > 4 && block) /* so many are not meant to spin on two CPUs */
            return 1u << BENCH_BLOCK;
        break;
    default:
        break;
    }
    return (uint32_t)spin << BENCH_SPIN | (uint32_t)block << BENCH_BLOCK;
}

/* ---- rows ----------------------------------------------------------------------------------- */

static void add_rows(const struct bench_plan *plan, struct bench_results *results,
                     struct bench_setting setting)
{
    for (size_t i = 0; bench_systems[i]; i++) {
        const struct bench_system *system = bench_systems[i];
        uint32_t modes = modes_for(plan, system, &setting);

        if (!(plan->systems & UINT64_C(1) << i) || !is_for(system, &setting))
            continue;
        for (int mode = 0; mode < BENCH_MODES; mode++) {
            if (!(modes & 1u << mode))
                continue;
            setting.mode = (enum bench_mode)mode;
            results->rows =
                yk_grow(results->rows, (results->row_count + 1) * sizeof *results->rows);
            bench_row_init(&results->rows[results->row_count++], system, &setting);
        }
    }
}

static void add_fan_rows(const struct bench_plan *plan, struct bench_results *results,
                         struct bench_setting setting)
{
    static const struct {
        bool quick;
        uint32_t senders, receivers;
    } crowds[] = {
        {true, 2, 2},    {false, 4, 4},   {false, 8, 8},  {true, 16, 16},
        {false, 32, 32}, {false, 64, 64}, {false, 64, 1}, {false, 1, 64},
    };

    for (size_t i = 0; i < sizeof crowds / sizeof crowds[0]; i++) {
        if (plan->quick && !crowds[i].quick)
            continue;
        setting.senders = crowds[i].senders;
        setting.receivers = crowds[i].receivers;
        add_rows(plan, results, setting);
    }
}

void bench_plan_rows(const struct bench_plan *plan, struct bench_results *results)
{
    for (int topic = 0; topic < BENCH_TOPIC_GROW; topic++) {
        struct sizes sizes = sizes_for(plan, (enum bench_topic)topic);

        if (!(plan->topics & 1u << topic))
            continue;
        for (size_t i = 0; i < sizes.count; i++) {
            struct bench_setting setting = {.topic = (enum bench_topic)topic,
                                            .what = case_of((enum bench_topic)topic),
                                            .size = sizes.of[i],
                                            .depth = depth_for(sizes.of[i])};
            if (topic == BENCH_TOPIC_FAN_IN)
                add_fan_rows(plan, results, setting);
            else
                add_rows(plan, results, setting);
        }
    }
}

bool bench_plan_kill(const struct bench_plan *plan, size_t system,
                     struct bench_setting *ret_setting)
{
    size_t size = sizes_for(plan, BENCH_TOPIC_KILL).of[0];
    struct bench_setting setting = {
        .topic = BENCH_TOPIC_KILL, .what = BENCH_RATE, .size = size, .depth = depth_for(size)};
    uint32_t modes = modes_for(plan, bench_systems[system], &setting);

    if (!(plan->systems & UINT64_C(1) << system) || !modes ||
        !is_for(bench_systems[system], &setting))
        return false;
    setting.mode = modes & 1u << BENCH_BLOCK ? BENCH_BLOCK : BENCH_SPIN;
    *ret_setting = setting;
    return true;
}
