/*
 * api.h - what the tests of the public interface share, beside tests/support.
 */
#ifndef API_H
#define API_H

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#include "support.h"
#include "yoke.h"

#define MS (INT64_C(1000000)) /* in nanoseconds */

/*
 * A wait that must not end by itself in these tests: longer than any test's time limit, so that a call
 * which does not return when it should is seen as a hang and not as a time-out.
 */
#define LONG_WAIT (INT64_C(86400) * 1000 * MS)

/* Group fixture: sees to a name directory even when the program is started by hand. */
int api_setup(void **state);

/*
 * A test of that group, in a process of its own. Afterwards no process and no name may be left; what a
 * failed test left is cleared away, so that the next test does not find it.
 */
#define api_test(function) test_case(function, api_clean)
int api_clean(void **state);

/* Fails the test with yoke's sentence unless the call succeeded; returns its result. */
#define must(call) must_succeed((call), #call, __FILE__, __LINE__)
int64_t must_succeed(int64_t result, const char *call, const char *file, int line);

/* Fails the test unless the call returned -error. */
#define must_fail(call, error) must_refuse((call), (error), #call, __FILE__, __LINE__)
void must_refuse(int64_t result, int error, const char *call, const char *file, int line);

/* ---- objects ---------------------------------------------------------------------------------- */

/* An endpoint on port:NAME, which is made with these options if there is none. */
yoke_endpoint *port_make(const char *name, const struct yoke_options *options);
yoke_endpoint *port_join(const char *name);

/* A link to peer OTHER as ME; link_make makes it if there is none. */
yoke_endpoint *link_make(const char *me, const char *other, const struct yoke_options *options);
yoke_endpoint *link_join(const char *me, const char *other);
/* Without must(): for threads, and for what is to be refused. */
int link_try(yoke_endpoint **ret_link, const char *me, const char *other, uint32_t flags,
             const struct yoke_options *options);

yoke_region *region_make(const char *name, size_t size);
yoke_region *region_join(const char *name);

/* Messages that are one number. */
void send_number(yoke_endpoint *endpoint, uint64_t number);
uint64_t recv_number(yoke_endpoint *endpoint, int64_t timeout_ns);

/*
 * One message with its details. `into->data` and `capacity` are the caller's (borrowing sets data, and
 * waits without end).
 */
void send_details(yoke_endpoint *endpoint, const void *data, size_t size, uint32_t priority,
                  uint64_t tag);
void borrow_details(yoke_endpoint *endpoint, struct yoke_message *into);

/* ---- waiting calls ---------------------------------------------------------------------------- */

/* A call made in a thread of its own. No cmocka assertion may be used in it. */
typedef int64_t (*thread_call)(void *context);

struct worker {
    pthread_t thread;
    atomic_int id;
    thread_call call;
    void *context;
    int64_t result;
};

void worker_start(struct worker *worker, thread_call call, void *context);
void worker_wait_asleep(struct worker *worker);
/* Its result; the test fails when it takes longer than SOON_MS. */
int64_t worker_join(struct worker *worker);

/*
 * Makes the call in a forked child that has an SA_RESTART handler, and sends it signals while it waits:
 * the result of the call in the child.
 */
int64_t interrupted_result(thread_call call, void *context);

/* Asserts that the call with this time-out returns -ETIMEDOUT and not before that time was over. */
void assert_times_out(thread_call call, void *context, int64_t timeout_ns);

/* ---- the outside of it ------------------------------------------------------------------------ */

/* Zeroed memory that forked children share. */
void *shared_new(size_t size);
void shared_drop(void *memory, size_t size);

/* The row of /proc/sysvipc/shm with the biggest segment that this process made: false if it made none. */
struct segment_facts {
    int id;
    unsigned int mode;
    uint64_t size, attached, resident;
    unsigned int uid, gid;
};
bool biggest_segment(struct segment_facts *ret);

/* How many segments there are that this process made. */
size_t segments_made_by(pid_t pid);

/*
 * Everything that a call could have changed outside this process's own heap, as text: the name
 * directory's files, the segments with their attachments (in an IPC namespace of one's own), the number of
 * open descriptors. To be freed.
 */
char *world_describe(void);

/* A file of the name directory: absolute path in a static buffer of the thread. */
const char *name_path(const char *entry);

/* How many entries the name directory has, beside .lock-UID and empty .intents-UID. */
size_t names_left(void);

/*
 * The doorbells of a dead process are taken away by who opens something, at most once a second: opens
 * something until there is no entry any more.
 */
void names_await_none(void);

/* Opens the name directory to all users, as /run/yoke is. Skips the test unless root. */
void share_directory(void);

/* As a role: becomes another user with no privileges. Its uid and gid are 10000 + number. */
#define USER_ID(number) (10000u + (number))
void become_user(unsigned number);

#endif
