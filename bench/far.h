/*
 * far.h - messages to another machine: `yoke bench --place`. Who is compared are contestants, yoke and a client of
 * the same servers used directly; each is two processes, side 0 and side 1, that do a job together.
 *
 * The tool itself is yoke's (far_yoke.c, forked). Others are programs of their own, so that the tool is
 * not linked with what they need: bench/nats/direct.c. Both are led by far.c with lines of text:
 *
 *   job         open SIZE, then any number of others, close (also by the end of input)
 *   round N     N round trips of one message: side 0 sends, side 1 answers
 *   one N       N messages from side 1 to side 0, one a call, each known to be kept before the next is sent
 *   many N      the same, BENCH_FAR_BURST at a time, all known to be kept at the end
 *   ask N       N questions with nothing kept anywhere, where the contestant has that
 *
 * and answers each with "ok NANOSECONDS" or "fail SENTENCE". Times are side 0's.
 */
#ifndef YK_BENCH_FAR_H
#define YK_BENCH_FAR_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

#define BENCH_FAR_BURST    256u
#define BENCH_FAR_DEPTH    65536u /* of each queue: none is ever full */
#define BENCH_FAR_SIZE_MAX ((size_t)512 << 10)
#define BENCH_FAR_NAME     48
#define BENCH_FAR_WAIT_MS  20000 /* for any message: then the other side is gone */

enum { BENCH_FAR_FAIL = -1 }; /* a sentence stands in `said` */

struct bench_far {
    int side;
    const char *place;
    const char *name;      /* of this run's: others may run beside it */
    size_t size;           /* of each message */
    uint64_t next[2];      /* numbers of the next message out, and in */
    unsigned char *memory; /* BENCH_FAR_BURST messages */
    void *state;           /* the contestant's */
    char said[300];
};

/* How a contestant does it. All return 0, or BENCH_FAR_FAIL. */
struct bench_far_hands {
    /* Side 0 makes what both use, and is first to come and last to go. */
    int (*open)(struct bench_far *far);
    void (*close)(struct bench_far *far);
    /* To the other side: returns when all are kept; where there is a settle(), only one alone need be. */
    int (*send)(struct bench_far *far, size_t count);
    int (*settle)(struct bench_far *far);
    /* From the other side: waits for one, takes up to `most`, and is done with them. Says how many. */
    ssize_t (*recv)(struct bench_far *far, size_t most);
    /* A question and its answer, with nothing kept; NULL: it has no such thing. */
    int (*ask)(struct bench_far *far);
    int (*answer)(struct bench_far *far);
};

/* The worker's life, on its standard input and output. */
void bench_far_work(struct bench_far *far, const struct bench_far_hands *hands);

int bench_far_fail(struct bench_far *far, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Number `i` of a burst: its bytes, with the next number at both ends. */
static inline unsigned char *bench_far_message(struct bench_far *far, size_t i)
{
    unsigned char *message = far->memory + i * far->size;
    uint64_t number = far->next[0]++;

    memcpy(message, &number, sizeof number);
    memcpy(message + far->size - sizeof number, &number, sizeof number);
    return message;
}

/* Is it the one that is due? */
int bench_far_check(struct bench_far *far, const void *message, size_t size);

extern const struct bench_far_hands bench_far_yoke;

/* ---- in the parent (far.c) ------------------------------------------------------------------- */

struct bench_far_request {
    const char *place; /* nats://... */
    uint32_t topics;   /* latency, rate */
    const size_t *sizes;
    size_t size_count;
    uint64_t rounds; /* 0: until the time is over */
    int64_t time_ns;
    int json, quick;
};

/* An exit status of cli.h. */
int bench_far_main(const struct bench_far_request *request);

#endif
