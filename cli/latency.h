/*
 * latency.h - how long messages wait, from when they are sent to when somebody takes them.
 *
 * Nobody stamps a message for it: who looks on picks some that are still to come, and looks at the
 * place of each again and again, with no more than the right to read. So those who send and receive
 * do nothing more than without; what a look costs them is a cache line that comes over once or twice
 * for each of some 50 messages in a second.
 *
 * What is found of a message are two times: it waited at least as long as it was seen waiting, and at
 * most from the last look that did not find it yet to the first that did not find it any more. The
 * second is counted, and the difference told: it is microseconds when much goes through, and up to
 * the time between two looks, 100 us and an eighth of the message's age, when little does.
 */
#ifndef YK_LATENCY_H
#define YK_LATENCY_H

#include "json.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define YK_LATENCY_OCTAVE  8u                       /* buckets from one time to its double */
#define YK_LATENCY_BUCKETS (44 * YK_LATENCY_OCTAVE) /* from 16 ns to three days */

/* How often something took how long. */
struct yk_times {
    uint64_t count[YK_LATENCY_BUCKETS];
    uint64_t total;
    int64_t longest, sum; /* ns */
};

struct yk_latency {
    struct yk_times at_most; /* waited so long at most */
    struct yk_times within;  /* known to within so much */
    uint64_t waiting;        /* watched ones that still waited in the end */
    int64_t waiting_for;     /* the longest of them, at least; ns */
};

/*
 * Watches messages of that port, link or inbox for so long, or until a signal is to stop the command:
 * *ret_stopped. What is found is added. *watch is NULL at first, and what it has in view goes on in the
 * next call; in the end the caller ends it. 0, or the negative errno of yk_tap_open(): -ENOTSUP, where
 * there are no messages to be seen; then it returns at once.
 */
struct yk_latency_watch;
int yk_latency_watch(struct yk_latency_watch **watch, struct yk_latency *latency,
                     const char *address, int64_t ns, bool *ret_stopped);
void yk_latency_end(struct yk_latency_watch *watch); /* may be NULL */

/* An upper bound, not more exact than the buckets are; 0: nothing was found. */
int64_t yk_times_percentile(const struct yk_times *times, double percent);
/* How many took no longer; exact where a bucket ends, else too few. */
uint64_t yk_times_until(const struct yk_times *times, int64_t ns);

void yk_latency_print(const struct yk_latency *latency);
yk_json *yk_latency_json(const struct yk_latency *latency);

#endif
