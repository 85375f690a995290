/*
 * html.c - the results as one page: its sections, words and tables. The charts are made in
 * pictures.c, the looks in style.c.
 */
#include "html.h"

#include "chart.h"
#include "goals.h"
#include "machine.h"
#include "output.h"
#include "peers/peers.h"
#include "pictures.h"
#include "report.h"
#include "style.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <yoke.h>

struct page {
    FILE *out;
    const struct bench_results *results;
    struct bench_quality quality;
};

/* ---- pieces --------------------------------------------------------------------------------- */

/* A cell with what follows as its text; `class` "" for none, "n" for numbers. */
static void cell(struct page *page, const char *class, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void cell(struct page *page, const char *class, const char *format, ...)
{
    char text[BENCH_LEFT_TEXT + 100];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    fprintf(page->out, *class ? "<td class=\"%s\">" : "<td>", class);
    bench_html_text(page->out, text);
    fputs("</td>", page->out);
}

static void system_cell(struct page *page, const struct bench_system *system)
{
    cell(page, system->own ? "own" : "", "%s", system->name);
}

/* `titles` are separated by '|'; one that begins with '#' stands over numbers. */
static void begin_table(struct page *page, const char *titles)
{
    bool start = true;

    fputs("<div class=\"wide\"><table><thead><tr>", page->out);
    for (; *titles; titles++) {
        if (start) {
            fputs(*titles == '#' ? "<th class=\"n\">" : "<th>", page->out);
            start = false;
            if (*titles == '#')
                continue;
        }
        if (*titles == '|') {
            fputs("</th>", page->out);
            start = true;
        } else {
            fputc(*titles, page->out);
        }
    }
    fputs("</th></tr></thead><tbody>\n", page->out);
}

static void end_table(struct page *page)
{
    fputs("</tbody></table></div>\n", page->out);
}

static void count_cell(struct page *page, double count)
{
    char text[BENCH_VALUE_TEXT];

    cell(page, "n", "%s", bench_count_text(text, count));
}

static bool has_topic(const struct page *page, enum bench_topic topic)
{
    const struct bench_results *results = page->results;

    if (topic == BENCH_TOPIC_GROW)
        return results->growth_count > 0;
    if (topic == BENCH_TOPIC_WATCHED)
        return results->watched_count > 0;
    if (topic == BENCH_TOPIC_KILL)
        return results->killed_count > 0;
    if (topic == BENCH_TOPIC_DEATH)
        return results->death_count > 0;
    for (size_t i = 0; i < results->row_count; i++)
        if (results->rows[i].setting.topic == topic)
            return true;
    return false;
}

/* True if the topic was measured; else says that it was not. */
static bool need_topic(struct page *page, enum bench_topic topic)
{
    if (has_topic(page, topic))
        return true;
    fprintf(page->out, "<p class=\"soft\">Not measured in this run (--case %s).</p>\n",
            bench_topic_name(topic));
    return false;
}

/* The same for pictures, which need a sample that counts. */
static bool need_samples(struct page *page, enum bench_topic topic)
{
    if (!need_topic(page, topic))
        return false;
    if (bench_typical_size(page->results, topic) > 0)
        return true;
    fprintf(page->out,
            "<p class=\"soft\">No sample counts (--case %s): this machine was too busy.</p>\n",
            bench_topic_name(topic));
    return false;
}

/* ---- machine -------------------------------------------------------------------------------- */

static void fact(struct page *page, const char *name, const char *text)
{
    fprintf(page->out, "<dt>%s</dt><dd>", name);
    bench_html_text(page->out, text);
    fputs("</dd>\n", page->out);
}

static void write_warnings(struct page *page)
{
    char texts[BENCH_WARNINGS][BENCH_WARNING_TEXT];
    size_t count = bench_quality_warnings(&page->quality, texts);

    for (size_t i = 0; i < count; i++) {
        fputs("<p class=\"warning\">", page->out);
        bench_html_text(page->out, texts[i]);
        fputs("</p>\n", page->out);
    }
}

static void write_machine(struct page *page)
{
    struct bench_machine machine;
    char text[200];

    bench_machine_describe(&machine, &page->results->cpus);
    write_warnings(page);
    fputs("<dl>\n", page->out);
    fact(page, "CPU", machine.cpu);
    snprintf(text, sizeof text, "%ld online; the two sides ran on CPU %d and CPU %d",
             machine.cpus_online, machine.used.side[0], machine.used.side[1]);
    if (machine.used.side[1] < 0)
        snprintf(text, sizeof text, "one, shared by both sides");
    fact(page, "CPUs", text);
    snprintf(text, sizeof text, "%.1f GiB", (double)machine.memory_mib / 1024);
    fact(page, "Memory", text);
    fact(page, "Kernel", machine.kernel);
    fact(page, "Virtual machine", machine.virtual);
    fact(page, "Frequency governor", machine.governor);
    fact(page, "Load at the end", machine.load);
    fact(page, "When", machine.when);
    snprintf(text, sizeof text, "%zu kept, %zu set aside, in %.0f s", page->quality.kept,
             page->quality.set_aside, page->results->seconds);
    fact(page, "Samples", text);
    fact(page, "yoke", yoke_version());
    fputs("</dl>\n", page->out);
    bench_picture_probes(page->out, page->results);
    fputs("<p class=\"soft\">On a virtual machine two CPUs are near each other or far, and that "
          "changes: then this picture has two humps, and a median may be a mixture of both. The "
          "ratios, taken sample by sample, are not.</p>\n",
          page->out);
}

/* ---- measured rows -------------------------------------------------------------------------- */

static void write_goals(struct page *page)
{
    struct bench_goal_result goals[BENCH_GOALS_MAX];
    size_t count = bench_goals(page->results, goals);

    fputs("<p>Computed from this run, from the worst of the rows that a goal is about. A dash: not "
          "measured in this run, or no sample of it counts. What is known of those that are missed "
          "stands in yoke's docs/performance.md, from \u201cWhat the goals came to\u201d on.</p>\n",
          page->out);
    begin_table(page, "What|System|Goal|#Measured|Reached?|From");
    for (const struct bench_goal_result *goal = goals; goal < goals + count; goal++) {
        fputs("<tr>", page->out);
        cell(page, "", "%s", goal->what);
        cell(page, "own", "%s", goal->system);
        cell(page, "", "%s", goal->goal);
        cell(page, "n", "%s", goal->measured);
        cell(page, "", "%s", goal->reached);
        cell(page, "", "%s", goal->from);
        fputs("</tr>\n", page->out);
    }
    end_table(page);
}

static void write_ratios(struct page *page)
{
    fputs("<p>How far each system is from what the machine allows: the median over all samples of "
          "the sample, divided by the raw limit right before and after it. Beside each system "
          "stands the limit that it is compared with.</p>\n",
          page->out);
    bench_picture_ratios(page->out, page->results);
}

static void write_latency(struct page *page)
{
    if (need_samples(page, BENCH_TOPIC_LATENCY))
        bench_picture_latency(page->out, page->results);
}

static void write_throughput(struct page *page)
{
    bool size = need_samples(page, BENCH_TOPIC_SIZE), rate = need_samples(page, BENCH_TOPIC_RATE);

    if (size || rate)
        bench_picture_throughput(page->out, page->results);
}

/* All of a row in the unit that suits its median. */
static void percentile_cell(struct page *page, const struct bench_row *row, double percent)
{
    double median = bench_histogram_percentile(&row->singles, 50);
    char text[BENCH_VALUE_TEXT];

    cell(page, "n", "%s",
         bench_time_text_like(text, bench_histogram_percentile(&row->singles, percent), median));
}

static void write_distribution(struct page *page)
{
    size_t size = bench_typical_size(page->results, BENCH_TOPIC_LATENCY);
    char text[YK_SIZE_TEXT];

    if (!need_samples(page, BENCH_TOPIC_LATENCY))
        return;
    fprintf(page->out,
            "<p>Single round trips of %s bytes, over all samples that were kept. Reading the "
            "clock is part of each, so they are a little longer than above.</p>\n",
            yk_format_size_exact(text, size));
    begin_table(page, "System|Mode|#p50|#p90|#p99|#p99.9|#Round trips");
    for (size_t i = 0; i < page->results->row_count; i++) {
        const struct bench_row *row = &page->results->rows[i];

        if (row->setting.topic != BENCH_TOPIC_LATENCY || row->setting.size != size ||
            row->singles.total == 0)
            continue;
        fputs("<tr>", page->out);
        system_cell(page, row->system);
        cell(page, "", "%s", bench_mode_name(row->setting.mode));
        percentile_cell(page, row, 50);
        percentile_cell(page, row, 90);
        percentile_cell(page, row, 99);
        percentile_cell(page, row, 99.9);
        cell(page, "n", "%llu", (unsigned long long)row->singles.total);
        fputs("</tr>\n", page->out);
    }
    end_table(page);
    bench_picture_distribution(page->out, page->results);
}

static void spread_cell(struct page *page, double spread)
{
    char text[BENCH_VALUE_TEXT];

    cell(page, "n", "%s", bench_spread_text(text, spread));
}

/* The cells that all rows have: value, spread, ratio, spread, limit, rounds, set aside. */
static void figure_cells(struct page *page, const struct bench_row *row)
{
    struct bench_figures figures;
    char text[BENCH_VALUE_TEXT];

    if (bench_row_figures(row, &figures)) {
        cell(page, "n", "%s", bench_value_text(text, row, figures.value));
        spread_cell(page, figures.spread);
        cell(page, "n", "%.2f", figures.ratio);
        spread_cell(page, figures.ratio_spread);
    } else {
        cell(page, "n", "%s",
             row->state == BENCH_SKIPPED  ? "skipped"
             : row->state == BENCH_FAILED ? "failed"
                                          : "-");
        for (int i = 0; i < 3; i++)
            cell(page, "n", "-");
    }
    cell(page, "", "%s", bench_limit_for(row->system, &row->setting)->name);
    cell(page, "n", "%zu", row->kept_count);
    cell(page, "n", "%zu", row->set_aside);
}
#define FIGURE_TITLES "#Value|#Spread|#x Limit|#Spread|Limit|#Kept|#Aside"

static void write_wake(struct page *page)
{
    if (!need_topic(page, BENCH_TOPIC_WAKE))
        return;
    fputs(
        "<p>Round trips where each side sleeps until a message comes, in a call (block) or, as "
        "event loops do, on a descriptor (poll); what that takes in system calls; and how often a "
        "receiver to whom nobody sends wakes up.</p>\n",
        page->out);
    begin_table(page,
                "System|Mode|" FIGURE_TITLES "|#Calls a message|#Futex calls|#Wake-ups/s idle");
    for (size_t i = 0; i < page->results->row_count; i++) {
        const struct bench_row *row = &page->results->rows[i];

        if (row->setting.topic != BENCH_TOPIC_WAKE)
            continue;
        fputs("<tr>", page->out);
        system_cell(page, row->system);
        cell(page, "", "%s", bench_mode_name(row->setting.mode));
        figure_cells(page, row);
        count_cell(page, row->calls);
        count_cell(page, row->futex_calls);
        count_cell(page, row->idle_wakeups);
        fputs("</tr>\n", page->out);
    }
    end_table(page);
}

static void write_fan_in(struct page *page)
{
    const struct bench_results *results = page->results;
    struct bench_figures figures, other;

    if (!need_topic(page, BENCH_TOPIC_FAN_IN))
        return;
    fputs("<p>Senders on one CPU, receivers on the other. The limit is the system itself with one "
          "sender and one receiver, in the same sample.</p>\n",
          page->out);
    bench_picture_fan_in(page->out, results);
    begin_table(page, "#Senders|#Receivers|System|Mode|" FIGURE_TITLES "|#x Vyukov");
    for (size_t i = 0; i < results->row_count; i++) {
        const struct bench_row *row = &results->rows[i], *vyukov;

        if (row->setting.topic != BENCH_TOPIC_FAN_IN)
            continue;
        vyukov = bench_row_beside(results->rows, results->row_count, row, &bench_vyukov);
        fputs("<tr>", page->out);
        cell(page, "n", "%u", row->setting.senders);
        cell(page, "n", "%u", row->setting.receivers);
        system_cell(page, row->system);
        cell(page, "", "%s", bench_mode_name(row->setting.mode));
        figure_cells(page, row);
        if (vyukov && bench_row_figures(row, &figures) && bench_row_figures(vyukov, &other))
            cell(page, "n", "%.2f", figures.value / other.value);
        else
            cell(page, "n", "-");
        fputs("</tr>\n", page->out);
    }
    end_table(page);
}

static void write_open(struct page *page)
{
    struct bench_figures figures;
    char text[BENCH_VALUE_TEXT];

    if (!need_topic(page, BENCH_TOPIC_OPEN))
        return;
    fputs("<p>Opening one more endpoint on an object that exists, in a process that has one open "
          "already; closing it again is beside it. Raw: mapping a file, or attaching a System V "
          "segment, and looking at it once; closing lets go of it.</p>\n",
          page->out);
    begin_table(page, "System|" FIGURE_TITLES "|#Closing");
    for (size_t i = 0; i < page->results->row_count; i++) {
        const struct bench_row *row = &page->results->rows[i];

        if (row->setting.topic != BENCH_TOPIC_OPEN)
            continue;
        fputs("<tr>", page->out);
        system_cell(page, row->system);
        figure_cells(page, row);
        if (bench_row_figures(row, &figures))
            cell(page, "n", "%s", bench_time_text(text, figures.closing));
        else
            cell(page, "n", "-");
        fputs("</tr>\n", page->out);
    }
    end_table(page);
}

/* ---- counted and observed ------------------------------------------------------------------- */

static void write_calls(struct page *page)
{
    char size[YK_SIZE_TEXT];
    bool any = false;

    for (size_t i = 0; i < page->results->row_count; i++)
        any |= page->results->rows[i].calls >= 0;
    if (!any) {
        fputs("<p class=\"soft\">Not counted in this run.</p>\n", page->out);
        return;
    }
    fputs("<p>Counted with ptrace in a run of its own, which is not timed; both sides together, "
          "for each message. Stopping at each call slows a side that polls the kernel, so the "
          "figures of systems that spin in system calls are rough.</p>\n",
          page->out);
    begin_table(page, "Case|#Size|System|Mode|#Calls a message|#Futex calls among them");
    for (size_t i = 0; i < page->results->row_count; i++) {
        const struct bench_row *row = &page->results->rows[i];

        if (row->calls < 0)
            continue;
        fputs("<tr>", page->out);
        cell(page, "", "%s", bench_topic_name(row->setting.topic));
        cell(page, "n", "%s", yk_format_size_exact(size, row->setting.size));
        system_cell(page, row->system);
        cell(page, "", "%s", bench_mode_name(row->setting.mode));
        count_cell(page, row->calls);
        count_cell(page, row->futex_calls);
        fputs("</tr>\n", page->out);
    }
    end_table(page);
}

static void write_killed(struct page *page)
{
    char text[BENCH_OUTCOME_TEXT], left[BENCH_LEFT_TEXT];

    if (!need_topic(page, BENCH_TOPIC_KILL))
        return;
    fputs("<p>One side was killed in full flow with SIGKILL, and the other one observed for a "
          "while. What is left behind was looked for in /dev/shm, /tmp and the IPC namespace when "
          "the other side and the program that had set both up were killed, too. Waiting is right "
          "where others may come in place of the dead, as at a queue.</p>\n",
          page->out);
    begin_table(page, "System|Mode|Receiver killed: sender|Sender killed: receiver|"
                      "Left behind when all were killed");
    for (size_t i = 0; i < page->results->killed_count; i++) {
        const struct bench_killed *killed = &page->results->killed[i];

        fputs("<tr>", page->out);
        system_cell(page, killed->system);
        cell(page, "", "%s", bench_mode_name(killed->mode));
        if (killed->measured) {
            cell(page, "", "%s", bench_outcome_text(text, &killed->after_receiver, false));
            cell(page, "", "%s", bench_outcome_text(text, &killed->after_sender, true));
            cell(page, "left", "%s", bench_left_text(left, killed));
        } else {
            cell(page, "", "-");
            cell(page, "", "-");
            cell(page, "left", "not to be had: %s", killed->reason);
        }
        fputs("</tr>\n", page->out);
    }
    end_table(page);
}

static void death_cells(struct page *page, const struct bench_death_times *times)
{
    const double values[] = {times->median, times->p99, times->worst};
    char text[BENCH_VALUE_TEXT];

    for (int i = 0; i < 3; i++)
        cell(page, "n", "%s", bench_time_text(text, values[i]));
}

static void write_deaths(struct page *page)
{
    if (!need_topic(page, BENCH_TOPIC_DEATH))
        return;
    fputs(
        "<p>From SIGKILL, and from when the kernel has closed the victim's files, until somebody "
        "knows. The latter is when a pipe that the victim held came to its end, in the same kill. "
        "Late: known later than is promised, 10 ms after closing through a descriptor (link-fd, "
        "port-fd, set-gone) and 100 ms in a blocking call.</p>\n",
        page->out);
    bench_picture_deaths(page->out, page->results);
    begin_table(page, "Victim|Known by|#Kills|#Late|#After closing|#p99|#Worst|#After "
                      "SIGKILL|#p99|#Worst");
    for (size_t i = 0; i < page->results->death_count; i++) {
        const struct bench_death *death = &page->results->deaths[i];

        fputs("<tr>", page->out);
        cell(page, "", "%s", bench_death_victim_name(death->victim));
        cell(page, death->way == BENCH_DEATH_PIPE ? "" : "own", "%s",
             bench_death_way_name(death->way));
        cell(page, "n", "%zu", death->kills + death->missed);
        cell(page, "n", "%zu", death->late);
        death_cells(page, &death->closed);
        death_cells(page, &death->killed);
        fputs("</tr>\n", page->out);
    }
    end_table(page);
    for (size_t i = 0; i < page->results->death_count; i++) {
        const char *reason = bench_death_reason(page->results, i);

        if (!reason)
            continue;
        fprintf(page->out,
                "<p class=\"soft\">%s: ", bench_death_victim_name(page->results->deaths[i].victim));
        bench_html_text(page->out, reason);
        fputs("</p>\n", page->out);
    }
}

static void write_growth(struct page *page)
{
    char text[BENCH_VALUE_TEXT];

    if (!need_topic(page, BENCH_TOPIC_GROW))
        return;
    fputs("<p>Sending one message and receiving one, in one process on one CPU, while something "
          "else grows. For senders and receivers see above, for sizes the throughput.</p>\n",
          page->out);
    bench_picture_growth(page->out, page->results);
    begin_table(page, "#Count|Of|#Value|#Spread|#x One");
    for (size_t i = 0; i < page->results->growth_count; i++) {
        const struct bench_growth *point = &page->results->growths[i];

        fputs("<tr>", page->out);
        cell(page, "n", "%llu", (unsigned long long)point->count);
        cell(page, "", "%s", bench_curve_title(point->curve));
        cell(page, "n", "%s", bench_time_text(text, point->value));
        spread_cell(page, point->spread);
        cell(page, "n", "%.2f", point->value / point->limit);
        fputs("</tr>\n", page->out);
    }
    end_table(page);
}

static void ratio_cells(struct page *page, const struct bench_ratio *ratio)
{
    cell(page, "n", "%.3f", ratio->median);
    cell(page, "n", "%.3f to %.3f", ratio->low, ratio->high);
}

static void write_watched(struct page *page)
{
    char text[BENCH_VALUE_TEXT], rate[YK_RATE_TEXT];

    if (!need_topic(page, BENCH_TOPIC_WATCHED))
        return;
    fputs(
        "<p>CPU time of sender and receiver for each message, with somebody beside them who looks on "
        "as yoke stat --watch does, and without: watched to alone, and one part alone to another "
        "one. The watcher may take its own time from one of their CPUs, which lowers the rate.</p>\n",
        page->out);
    begin_table(page, "Of|#Alone|#Rate|#x Watched|#10% to 90%|#x Alone again|#10% to 90%|#x Rate");
    for (size_t i = 0; i < page->results->watched_count; i++) {
        const struct bench_watched *one = &page->results->watched[i];

        fputs("<tr>", page->out);
        cell(page, "", "%s", one->what);
        cell(page, "n", "%s", bench_time_text(text, one->cpu_ns));
        cell(page, "n", "%s", yk_format_rate(rate, one->rate));
        ratio_cells(page, &one->cpu);
        ratio_cells(page, &one->noise);
        cell(page, "n", "%.3f", one->speed.median);
        fputs("</tr>\n", page->out);
    }
    end_table(page);
}

static void write_figures(struct page *page)
{
    char size[YK_SIZE_TEXT];

    begin_table(page, "Case|#Size|System|Mode|" FIGURE_TITLES);
    for (size_t i = 0; i < page->results->row_count; i++) {
        const struct bench_row *row = &page->results->rows[i];
        const struct bench_setting *setting = &row->setting;

        fputs("<tr>", page->out);
        if (setting->topic == BENCH_TOPIC_FAN_IN)
            cell(page, "", "fan-in %u:%u", setting->senders, setting->receivers);
        else
            cell(page, "", "%s", bench_topic_name(setting->topic));
        cell(page, "n", "%s", yk_format_size_exact(size, setting->size));
        system_cell(page, row->system);
        cell(page, "", "%s", bench_mode_name(setting->mode));
        figure_cells(page, row);
        fputs("</tr>\n", page->out);
    }
    end_table(page);
    fputs("<p class=\"soft\">Spread: how far the middle 80 % of what stands before it lie apart, "
          "as a part of its median. Kept: samples that count. Aside: those that do not, because the limit before and "
          "after them differed by more than a quarter, or took ten times what it takes at best, or "
          "because they did not end.</p>\n",
          page->out);
    for (size_t i = 0; i < page->results->row_count; i++) {
        const struct bench_row *row = &page->results->rows[i];

        if (row->state == BENCH_MEASURED ||
            (i > 0 && row->system == row[-1].system && strcmp(row->reason, row[-1].reason) == 0))
            continue;
        fprintf(page->out, "<p class=\"soft\">%s %s: ", row->system->name,
                row->state == BENCH_SKIPPED ? "skipped" : "failed");
        bench_html_text(page->out, row->reason);
        fputs("</p>\n", page->out);
    }
}

/* ---- the page ------------------------------------------------------------------------------- */

static const struct {
    const char *id, *title;
    void (*write)(struct page *page);
} sections[] = {
    {"machine", "The machine", write_machine},
    {"goals", "Goals", write_goals},
    {"ratio", "Ratio to the limit", write_ratios},
    {"latency", "Latency against size", write_latency},
    {"throughput", "Throughput against size", write_throughput},
    {"distribution", "Distribution of latency", write_distribution},
    {"wake", "Asleep between messages", write_wake},
    {"fan-in", "Many senders, many receivers", write_fan_in},
    {"open", "Opening an endpoint", write_open},
    {"syscalls", "System calls a message", write_calls},
    {"kill", "When one side is killed", write_killed},
    {"death", "How soon a death is known", write_deaths},
    {"growth", "Cost as the work grows", write_growth},
    {"watched", "Being watched", write_watched},
    {"figures", "All figures", write_figures},
};
#define SECTIONS (sizeof sections / sizeof sections[0])

static void write_page(struct page *page)
{
    fputs("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
          "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
          "<title>yoke bench</title>\n<style>\n",
          page->out);
    fputs(bench_style, page->out);
    fputs("</style></head>\n<body>\n<header><h1>What messages cost on this machine</h1>\n"
          "<p class=\"soft\">yoke bench: yoke, what one might take instead, and the raw limits of "
          "the machine, interleaved in one run. Compare systems by their ratio to the limit; the "
          "figures themselves are those of this machine.</p></header>\n<nav><ul>\n",
          page->out);
    for (size_t i = 0; i < SECTIONS; i++)
        fprintf(page->out, "<li><a href=\"#%s\">%s</a></li>\n", sections[i].id, sections[i].title);
    fputs("</ul></nav>\n<main>\n", page->out);
    for (size_t i = 0; i < SECTIONS; i++) {
        fprintf(page->out, "<section id=\"%s\"><h2>%s</h2>\n", sections[i].id, sections[i].title);
        sections[i].write(page);
        fputs("</section>\n", page->out);
    }
    fputs("</main>\n</body></html>\n", page->out);
}

static int complain(const char *path, int error)
{
    if (error)
        yk_complain("cannot write the report to %s: %s", path, strerror(-error));
    return error;
}

int bench_html_try(const char *path)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC), error = 0;

    if (fd < 0 && errno == ENOENT) {
        fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd >= 0)
            unlink(path); /* there is nothing to show yet, and may never be */
    }
    if (fd < 0)
        error = -errno;
    else
        close(fd);
    return complain(path, error);
}

int bench_html_write(const char *path, const struct bench_results *results)
{
    struct page page = {.out = fopen(path, "we"), .results = results};
    int error = 0;

    if (!page.out) {
        error = -errno;
    } else {
        page.quality = bench_rows_quality(results->rows, results->row_count);
        write_page(&page);
        if (ferror(page.out))
            error = errno ? -errno : -EIO;
        if (fclose(page.out) != 0 && !error)
            error = -errno;
    }
    return complain(path, error);
}
