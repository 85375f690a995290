/*
 * fault_scenarios.h - the calls of yoke's that are made to fail, each as a scenario: what is there before
 * it, the call, and what must be so when it has succeeded in the end.
 */
#ifndef CRASH_FAULT_SCENARIOS_H
#define CRASH_FAULT_SCENARIOS_H

#include <stdbool.h>
#include <stdint.h>

#include "yoke.h"

#define FRESH  1u /* there is no name directory yet */
#define EFFECT 2u /* one that fails may have done part of its work, as its contract says */
#define FORKED 4u /* the call is a child's, on what its parent opened */
#define LATER \
    16u /* it may also find nothing (-EAGAIN): what can not be opened is passed over for a while */
#define SOME 8u /* more or less may be found when not all can be looked at: the result may differ */

struct scenario {
    const char *name;
    uint32_t flags;
    void (*before)(void); /* NULL: nothing */
    int64_t (*call)(void);
    void (*after)(void); /* also closes all */
};

extern const struct scenario scenarios[], stream_scenarios[];
extern const uint32_t scenario_count, stream_scenario_count;

/* Closes all that `before` opened. */
void scenarios_close(void);

/* What the calls give back: a call that fails leaves it as it was. */
union output {
    yoke_region *region;
    yoke_endpoint *endpoint;
    yoke_peer *peer;
    yoke_set *set;
    void *pointer;
    const void *message;
    int fds[2];
    unsigned char bytes[16];
};
extern union output out;

/* Counts a failure, and says of which run. */
void wrong(const char *format, ...) __attribute__((format(printf, 1, 2)));

#define SHORTLY INT64_C(2000000) /* for what will not come */
#define SOON    INT64_C(60000000000)

/* Around the call: it must succeed. */
#define NEED(call) need((call), #call)
int64_t need(int64_t result, const char *call);

#define EXPECT(condition)                               \
    do {                                                \
        if (!(condition))                               \
            wrong("not so afterwards: %s", #condition); \
    } while (0)

/* A process that does this and is killed. */
void one_dies(void (*role)(void));
bool readable(int fd, int64_t timeout_ns);

#endif
