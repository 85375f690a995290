/*
 * system.h - a system under measurement: yoke itself, what a user might take instead, or a raw
 * limit.
 *
 * Every system is one `struct bench_system` in a file of its own (peers/, limit.c), listed in
 * systems.c. To add one: write that file, add a line there and in meson.build; nothing else asks
 * for a system by name.
 *
 * A run is one system set up for one setting. It goes through these hands:
 *
 *   parent       setup()
 *   two workers  join(), then batches of messages through send() and recv(), or through `loops`
 *   parent       teardown(), also when the workers were killed in the middle of anything
 *
 * Channel 0 carries messages to side 1, channel 1 to side 0. Latency uses both: side 0 sends,
 * side 1 echoes. Rate uses channel 1 only: side 1 sends, side 0 receives. Open moves nothing: side
 * 0 opens and closes one more endpoint, again and again, beside those it has.
 *
 * What a user calls a case ("wake", "fan-in") is a topic here: several topics move messages in the
 * same way, and a system need only know the ways. What a topic makes of them: plan.c.
 */
#ifndef YK_BENCH_SYSTEM_H
#define YK_BENCH_SYSTEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum bench_case { BENCH_LATENCY, BENCH_RATE, BENCH_OPEN, BENCH_CASES };
enum bench_topic {
    BENCH_TOPIC_LATENCY,
    BENCH_TOPIC_RATE,
    BENCH_TOPIC_SIZE,
    BENCH_TOPIC_WAKE,
    BENCH_TOPIC_FAN_IN,
    BENCH_TOPIC_OPEN,
    BENCH_TOPIC_GROW,
    BENCH_TOPIC_WATCHED,
    BENCH_TOPIC_KILL,
    BENCH_TOPIC_DEATH,
    BENCH_TOPICS
};
/* Poll: who receives sleeps in poll() on a descriptor, as in an event loop. */
enum bench_mode { BENCH_SPIN, BENCH_BLOCK, BENCH_POLL, BENCH_MODES };
enum bench_channel { BENCH_TO_1, BENCH_TO_0, BENCH_CHANNELS };

/* A message carries its number in its first and its last eight bytes. */
#define BENCH_SIZE_MIN 8u

struct bench_setting {
    enum bench_topic topic;
    enum bench_case what;
    enum bench_mode mode;
    size_t size;    /* of each message */
    uint32_t depth; /* messages that a channel should hold, where that can be chosen */
    /* processes on side 1 and on side 0; 0 is as good as 1; more only for systems with `many` */
    uint32_t senders, receivers;
};

#define BENCH_PARENT (-1)

struct bench_run {
    const struct bench_system *system;
    struct bench_setting setting;
    int side;         /* whose copy this is: 0, 1, or BENCH_PARENT until a worker joins */
    void *state;      /* the system's own */
    char reason[200]; /* why setup() or a worker failed */
};

/* Some messages in a row, as one worker sees them. */
struct bench_batch {
    uint64_t first, count;  /* numbers of the messages */
    size_t size;            /* of each */
    unsigned char *message; /* what to send, and */
    unsigned char *buffer;  /* where to receive: private, `size` bytes each */
    /* for ping only */
    double *times;  /* nanoseconds a round trip, one entry for each ... */
    uint64_t group; /* ... so many round trips */
    double *
        closings; /* BENCH_OPEN: `times` are those of opening, and these those of closing; or NULL */
    uint64_t rest_ns; /* so long before each group, not timed, the other side may lie down */
};

/* What each side does with a batch. 0 or a negative errno; -EBADMSG: another message arrived. */
struct bench_loops {
    int (*ping)(const struct bench_run *run, const struct bench_batch *batch);
    int (*pong)(const struct bench_run *run, const struct bench_batch *batch);
    int (*consume)(const struct bench_run *run, const struct bench_batch *batch);
    int (*produce)(const struct bench_run *run, const struct bench_batch *batch);
};

struct bench_system {
    const char *name;
    uint32_t cases, modes;     /* which it knows: bits 1 << BENCH_... */
    size_t size_min, size_max; /* message sizes that make sense for it */

    /*
     * Makes the channels. -ENOTSUP: it can not do this here, run->reason says why, so it is
     * skipped; any other negative errno: it failed. Then nothing is left behind, and teardown()
     * is not called.
     */
    int (*setup)(struct bench_run *run);
    /* In a worker, after fork: what must not be inherited. NULL: nothing. */
    int (*join)(struct bench_run *run);
    void (*teardown)(struct bench_run *run);

    /*
     * Moves one whole message. In mode BENCH_SPIN it never sleeps, in the others never spins, as
     * far as the system lets one choose. Returns 0 or a negative errno; recv() at the end of all
     * messages, because the other side is gone: -EPIPE.
     */
    int (*send)(void *state, enum bench_channel channel, const void *message, size_t size);
    int (*recv)(void *state, enum bench_channel channel, void *buffer, size_t size);
    /* Instead of these two: loops into which both are compiled (loops.h), without calls. */
    const struct bench_loops *loops;

    /* ---- whatever is left out below (0, NULL) means: nothing special ---- */

    uint32_t topics; /* bits 1 << BENCH_TOPIC_...: only in these, of those that `cases` allows */
    bool own;        /* yoke's: measured whatever --against says */
    bool quick;      /* in `--quick`, too, when --against does not say which */
    bool raw;        /* a limit: nothing to kill */
    bool many;       /* several processes may send and several receive on one channel */
    bool in_place;   /* the bytes between a message's ends are nowhere copied, so not compared */

    /* The limit that it is compared with; NULL, or an answer of NULL: the one of all others. */
    const struct bench_system *(*limit_for)(const struct bench_setting *setting);
    /* BENCH_OPEN: opens one more endpoint on what exists, says when it had, and closes it. */
    int (*reopen)(void *state, uint64_t *ret_opened);
    /*
     * In the parent, when both workers have joined: lets go of what only they need (ends of a
     * pipe), so that each of them can notice the end of the other.
     */
    void (*leave)(struct bench_run *run);
};

/* All systems, in the order of the report; ends with NULL. The first is yoke's port. */
extern const struct bench_system *const bench_systems[];

/* The raw limit that a system is compared with in a setting. */
const struct bench_system *bench_limit_for(const struct bench_system *system,
                                           const struct bench_setting *setting);

/* The setting in which that limit is probed: the same, but for what is compared with itself. */
struct bench_setting bench_limit_setting(const struct bench_system *system,
                                         const struct bench_setting *setting);

/* Zeroed memory that workers share with their parent; NULL if there is none. */
void *bench_map_shared(size_t size);
void bench_unmap_shared(void *memory, size_t size);

/* ---- waiting without sleeping --------------------------------------------------------------- */

/* With one CPU the other side can only go on when this one lets it. */
extern int bench_one_cpu;
void bench_yield_cpu(void);

/* Between two looks at a line that the other side will write: nothing, which is fastest. */
static inline void bench_look_again(void)
{
    if (__builtin_expect(bench_one_cpu, 0))
        bench_yield_cpu();
}

#endif
