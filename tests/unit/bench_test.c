/*
 * What `yoke bench` makes of samples: which ones count, what has a spread, which goals are reached.
 * The samples are made up here, and so are the systems: nothing is measured.
 */
#include "../../bench/goals.h"
#include "../../bench/peers/peers.h"

#include "support.h"

#include <math.h>
#include <string.h>

#define K ((size_t)1 << 10)
#define M ((size_t)1 << 20)

#define SYSTEM(variable, text) const struct bench_system variable = {.name = text}
SYSTEM(bench_yoke_link, "link");
SYSTEM(bench_yoke_port, "port");
SYSTEM(bench_yoke_set, "set");
const struct bench_system bench_yoke_link_loan = {.name = "link-loan", .in_place = true};
const struct bench_system bench_yoke_port_loan = {.name = "port-loan", .in_place = true};
SYSTEM(bench_vyukov, "vyukov");
SYSTEM(bench_ck_mpmc, "ck");
SYSTEM(bench_dpdk_ring, "dpdk");

const struct bench_system *bench_limit_for(const struct bench_system *system,
                                           const struct bench_setting *setting)
{
    return system->in_place || setting->topic == BENCH_TOPIC_FAN_IN ? system : &bench_vyukov;
}

static struct bench_setting latency(size_t size)
{
    return (struct bench_setting){
        .topic = BENCH_TOPIC_LATENCY, .what = BENCH_LATENCY, .mode = BENCH_SPIN, .size = size};
}

static struct bench_setting one_way(enum bench_topic topic, size_t size)
{
    return (
        struct bench_setting){.topic = topic, .what = BENCH_RATE, .mode = BENCH_SPIN, .size = size};
}

/* A run of some rows. */
static struct bench_row rows[8];
static struct bench_results results = {.rows = rows};

static void begin(void)
{
    results.row_count = 0;
}

static struct bench_row *add_row(const struct bench_system *system, struct bench_setting setting)
{
    struct bench_row *row = &rows[results.row_count++];

    bench_row_init(row, system, &setting);
    return row;
}

static void add_sample(struct bench_row *row, double value, double before, double after)
{
    struct bench_sample sample = {.value = value, .limit_before = before, .limit_after = after};

    bench_histogram_add(&sample.singles, value);
    bench_row_add(row, &sample);
}

static void end(void)
{
    for (size_t i = 0; i < results.row_count; i++)
        bench_row_fini(&rows[i]);
}

/* ---- samples ---------------------------------------------------------------------------------- */

static void probes_that_differ_by_more_than_a_quarter_set_a_sample_aside(void **state)
{
    struct bench_row *row;

    (void)state;
    begin();
    row = add_row(&bench_yoke_port, latency(64));
    add_sample(row, 200, 100, 124);
    add_sample(row, 200, 100, 126);
    assert_int_equal(row->kept_count, 1);
    assert_int_equal(row->set_aside, 1);
    end();
}

static void probes_ten_times_the_best_of_their_limit_set_a_sample_aside(void **state)
{
    struct bench_figures figures;
    struct bench_row *slow, *other;

    (void)state;
    begin();
    slow = add_row(&bench_yoke_port, latency(64));
    other = add_row(&bench_yoke_link, latency(64));
    add_sample(slow, 200, 1000, 1010);
    add_sample(slow, 300, 999, 990);
    add_sample(other, 200, 100, 300); /* set aside, but it shows what the limit can do */
    bench_rows_settle(rows, results.row_count);
    assert_int_equal(slow->off_cpu, 1);
    assert_int_equal(slow->set_aside, 1);
    assert_int_equal(slow->kept_count, 1);
    assert_int_equal(slow->singles.total, 1);
    assert_true(bench_row_figures(slow, &figures));
    assert_true(figures.value == 300);
    end();
}

static void of_a_rate_the_most_is_the_best(void **state)
{
    struct bench_row *row;

    (void)state;
    begin();
    row = add_row(&bench_yoke_port, one_way(BENCH_TOPIC_RATE, 64));
    add_sample(row, 200, 1000, 1000);
    add_sample(row, 200, 101, 101);
    add_sample(row, 200, 100, 100);
    bench_rows_settle(rows, results.row_count);
    assert_int_equal(row->off_cpu, 1);
    assert_int_equal(row->kept_count, 2);
    end();
}

static void other_sizes_and_cases_are_no_measure(void **state)
{
    struct bench_row *row;

    (void)state;
    begin();
    row = add_row(&bench_yoke_port, latency(K));
    add_sample(row, 5000, 5000, 5000);
    add_sample(add_row(&bench_yoke_port, latency(64)), 100, 100, 100);
    add_sample(add_row(&bench_yoke_port, one_way(BENCH_TOPIC_RATE, K)), 1, 1, 1);
    bench_rows_settle(rows, results.row_count);
    assert_int_equal(row->kept_count, 1);
    assert_int_equal(row->off_cpu, 0);
    end();
}

static void one_sample_has_no_spread(void **state)
{
    struct bench_figures figures;
    struct bench_row *row;

    (void)state;
    begin();
    row = add_row(&bench_yoke_port, latency(64));
    assert_false(bench_row_figures(row, &figures));
    add_sample(row, 200, 100, 100);
    assert_true(bench_row_figures(row, &figures));
    assert_true(isnan(figures.spread) && isnan(figures.ratio_spread));
    add_sample(row, 220, 100, 100);
    assert_true(bench_row_figures(row, &figures));
    assert_true(figures.spread > 0);
    end();
}

static void a_huge_message_that_does_not_come_in_time_is_tried_once(void **state)
{
    struct bench_row *small, *huge;

    (void)state;
    begin();
    small = add_row(&bench_yoke_port, one_way(BENCH_TOPIC_SIZE, 64));
    huge = add_row(&bench_yoke_port, one_way(BENCH_TOPIC_SIZE, 64 * M));
    assert_true(bench_row_give_up(huge));
    assert_false(bench_row_give_up(small));
    assert_false(bench_row_give_up(small));
    assert_true(bench_row_give_up(small));
    end();
}

static void rows_without_samples_are_counted_by_themselves(void **state)
{
    struct bench_quality quality;

    (void)state;
    begin();
    add_row(&bench_yoke_link, latency(64));
    add_sample(add_row(&bench_yoke_port, latency(64)), 200, 100, 100);
    quality = bench_rows_quality(rows, results.row_count);
    assert_int_equal(quality.measured, 2);
    assert_int_equal(quality.none, 1);
    assert_int_equal(quality.few, 1);
    end();
}

/* ---- goals ------------------------------------------------------------------------------------ */

static const struct bench_goal_result *goal_of(const char *what, const char *system)
{
    static struct bench_goal_result goals[BENCH_GOALS_MAX];
    size_t count = bench_goals(&results, goals);

    for (size_t i = 0; i < count; i++)
        if (strstr(goals[i].what, what) && strcmp(goals[i].system, system) == 0)
            return &goals[i];
    fail_msg("there is no goal '%s' of %s", what, system);
    return NULL;
}

static void check_goal(const char *what, const char *system, const char *measured,
                       const char *reached)
{
    const struct bench_goal_result *goal = goal_of(what, system);

    assert_string_equal(goal->measured, measured);
    assert_string_equal(goal->reached, reached);
}

static void a_goal_without_samples_is_neither_reached_nor_missed(void **state)
{
    (void)state;
    begin();
    check_goal("round trip, spinning, 64 B", "port", "-", "-");
    assert_false(goal_of("round trip, spinning, 64 B", "port")->asked);
    add_row(&bench_yoke_port, latency(64));
    check_goal("round trip, spinning, 64 B", "port", "-", "-");
    assert_true(goal_of("round trip, spinning, 64 B", "port")->asked);
    check_goal("system calls", "port", "-", "-");
    end();
}

static void the_worst_row_decides(void **state)
{
    (void)state;
    begin();
    add_sample(add_row(&bench_yoke_link, latency(8)), 110, 100, 100);
    check_goal("up to one line", "link", "1.1", "yes");
    add_sample(add_row(&bench_yoke_link, latency(56)), 120, 100, 100);
    add_sample(add_row(&bench_yoke_link, latency(64)), 900, 100, 100); /* no more one line */
    check_goal("up to one line", "link", "1.2", "no");
    end();
}

static void rates_are_to_be_high_and_compared_with_the_best_ring(void **state)
{
    (void)state;
    begin();
    add_sample(add_row(&bench_yoke_port, one_way(BENCH_TOPIC_RATE, 64)), 90, 100, 100);
    check_goal("one way", "port", "0.9", "yes");
    add_sample(add_row(&bench_ck_mpmc, one_way(BENCH_TOPIC_RATE, 64)), 150, 100, 100);
    check_goal("one way", "port", "0.6", "no");
    end();
}

static void in_place_both_dearer_and_cheaper_miss_the_goal(void **state)
{
    (void)state;
    begin();
    add_sample(add_row(&bench_yoke_port_loan, one_way(BENCH_TOPIC_SIZE, 64 * M)), 100, 110, 110);
    check_goal("in place", "port-loan", "1.1", "yes");
    add_sample(add_row(&bench_yoke_link_loan, one_way(BENCH_TOPIC_SIZE, 64 * M)), 100, 50, 50);
    check_goal("in place", "link-loan", "0.5", "no");
    end();
}

static void a_death_that_is_known_late_once_misses_the_goal(void **state)
{
    struct bench_death *death = results.deaths;

    (void)state;
    begin();
    check_goal("death known through a link", "yoke-link", "-", "-");
    results.death_count = 2;
    death[0] =
        (struct bench_death){.way = BENCH_DEATH_LINK_FD, .kills = 1000, .closed = {.worst = 9.5e6}};
    death[1] = (struct bench_death){.way = BENCH_DEATH_LINK_FD,
                                    .victim = BENCH_VICTIM_THREADS,
                                    .kills = 199,
                                    .missed = 1,
                                    .closed = {.worst = 1e6}};
    check_goal("death known through a link", "yoke-link", "9.5", "yes");
    death[1].late = 1; /* the one that was missed: there is no time for it */
    check_goal("death known through a link", "yoke-link", "9.5", "no");
    check_goal("death known in a blocking", "yoke-link", "-", "-");
    results.death_count = 0;
}

static void counts_are_judged_without_samples(void **state)
{
    struct bench_row *row;

    (void)state;
    begin();
    row = add_row(&bench_yoke_link, latency(64));
    row->calls = 0;
    check_goal("system calls", "link", "0", "yes");
    row->calls = 0.01;
    check_goal("system calls", "link", "0.01", "no");
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(probes_that_differ_by_more_than_a_quarter_set_a_sample_aside),
        cmocka_unit_test(probes_ten_times_the_best_of_their_limit_set_a_sample_aside),
        cmocka_unit_test(of_a_rate_the_most_is_the_best),
        cmocka_unit_test(other_sizes_and_cases_are_no_measure),
        cmocka_unit_test(one_sample_has_no_spread),
        cmocka_unit_test(a_huge_message_that_does_not_come_in_time_is_tried_once),
        cmocka_unit_test(rows_without_samples_are_counted_by_themselves),
        cmocka_unit_test(a_goal_without_samples_is_neither_reached_nor_missed),
        cmocka_unit_test(the_worst_row_decides),
        cmocka_unit_test(rates_are_to_be_high_and_compared_with_the_best_ring),
        cmocka_unit_test(in_place_both_dearer_and_cheaper_miss_the_goal),
        cmocka_unit_test(counts_are_judged_without_samples),
        cmocka_unit_test(a_death_that_is_known_late_once_misses_the_goal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
