/*
 * traps.c - what the NATS C client does that yoke's place nats has to know of, shown with the client itself: no
 * code of yoke's runs. It runs beside a server (with_server.py). Where a newer client behaves otherwise, a test
 * fails: then the reason that src/nats gives for what it does has to be looked at again.
 */
#include <dirent.h>
#include <inttypes.h>
#include <nats/nats.h>
#include <poll.h>
#include <regex.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support.h"

#define ROUNDS       500
#define FULL         10077 /* JetStream's "maximum messages exceeded" */
#define INBOX_LENGTH 64

#define ok(call) assert_int_equal((call), NATS_OK)

static natsConnection *connect_to_server(bool asap)
{
    const char *url = getenv("YOKE_NATS_URL");
    natsOptions *options = NULL;
    natsConnection *connection = NULL;

    if (!url)
        skip_test("no server: run it by tests/nats/with_server.py");
    ok(natsOptions_Create(&options));
    ok(natsOptions_SetURL(options, url));
    ok(natsOptions_SetSendAsap(options, asap));
    ok(natsConnection_Connect(&connection, options));
    natsOptions_Destroy(options);
    return connection;
}

static int threads_here(void)
{
    DIR *directory = opendir("/proc/self/task");
    int count = 0;

    assert_non_null(directory);
    for (struct dirent *entry; (entry = readdir(directory));)
        count += entry->d_name[0] != '.';
    closedir(directory);
    return count;
}

/* ---- when a message leaves -------------------------------------------------------------------- */

/* In how many rounds something was still in the client's buffer when publishing returned. */
static int rounds_with_rest(bool asap)
{
    natsConnection *connection = connect_to_server(asap);
    int rounds = 0;

    for (int i = 0; i < ROUNDS; i++) {
        int rest;

        ok(natsConnection_PublishString(connection, "flushing", "x"));
        rest = natsConnection_Buffered(connection);
        assert_true(rest >= 0);
        rounds += rest > 0;
    }
    natsConnection_Destroy(connection);
    return rounds;
}

/* Nanoseconds for a question and its answer between two connections of these options. */
static int64_t round_trip(bool asap)
{
    natsConnection *asker = connect_to_server(asap), *answerer = connect_to_server(asap);
    natsSubscription *questions = NULL, *answers = NULL;
    int64_t begin, took;

    ok(natsConnection_SubscribeSync(&questions, answerer, "question"));
    ok(natsConnection_SubscribeSync(&answers, asker, "answer"));
    ok(natsConnection_Flush(answerer));
    ok(natsConnection_Flush(asker));
    begin = now_ns();
    for (int i = 0; i < ROUNDS / 5; i++) {
        natsMsg *message = NULL;

        ok(natsConnection_PublishString(asker, "question", "?"));
        ok(natsSubscription_NextMsg(&message, questions, SOON_MS));
        natsMsg_Destroy(message);
        ok(natsConnection_PublishString(answerer, "answer", "!"));
        ok(natsSubscription_NextMsg(&message, answers, SOON_MS));
        natsMsg_Destroy(message);
    }
    took = (now_ns() - begin) / (ROUNDS / 5);
    natsSubscription_Destroy(questions);
    natsSubscription_Destroy(answers);
    natsConnection_Destroy(asker);
    natsConnection_Destroy(answerer);
    return took;
}

static void published_message_waits_for_a_thread_unless_sent_asap(void **state)
{
    int rest;

    (void)state;
    assert_int_equal(rounds_with_rest(true), 0);
    rest = rounds_with_rest(false);
    assert_true(rest > 0); /* the thread that flushes may have been quicker in some, not in all */
    print_message(
        "# still buffered when publishing returned: %d of %d rounds, with SendAsap none\n", rest,
        ROUNDS);
    /* how much that costs is a figure to look at, not one to assert */
    print_message("# round trip: %.1f us by default, %.1f us with SendAsap\n",
                  (double)round_trip(false) / 1e3, (double)round_trip(true) / 1e3);
}

/* ---- publishing into a full stream ------------------------------------------------------------ */

struct refusals {
    atomic_int count, last_code;
};

static void note_refusal(jsCtx *js, jsPubAckErr *error, void *closure)
{
    struct refusals *refusals = closure;

    (void)js;
    atomic_store(&refusals->last_code, error->ErrCode);
    atomic_fetch_add(&refusals->count, 1);
}

static jsCtx *small_stream(natsConnection *connection, const char *name, struct refusals *refusals)
{
    jsOptions options;
    jsStreamConfig config;
    jsCtx *js = NULL;

    ok(jsOptions_Init(&options));
    options.PublishAsync.ErrHandler = note_refusal;
    options.PublishAsync.ErrHandlerClosure = refusals;
    ok(natsConnection_JetStream(&js, connection, &options));
    ok(jsStreamConfig_Init(&config));
    config.Name = name;
    config.Subjects = &name;
    config.SubjectsLen = 1;
    config.Retention = js_WorkQueuePolicy;
    config.Discard = js_DiscardNew;
    config.MaxMsgs = 1;
    ok(js_AddStream(NULL, js, &config, NULL, NULL));
    return js;
}

static void full_stream_refuses_an_asynchronous_publish_only_in_a_callback(void **state)
{
    natsConnection *connection = connect_to_server(false);
    struct refusals refusals = {0};
    jsCtx *js = small_stream(connection, "full-async", &refusals);
    jsPubOptions patience;

    (void)state;
    ok(js_PublishAsync(js, "full-async", "1", 1, NULL));
    ok(js_PublishAsync(js, "full-async", "2", 1,
                       NULL)); /* there is no room, and the call does not say so */
    ok(js_PublishAsync(js, "full-async", "3", 1, NULL));
    ok(jsPubOptions_Init(&patience));
    patience.MaxWait = SOON_MS;
    ok(js_PublishAsyncComplete(js, &patience)); /* nor does the call that waits for all answers */
    assert_int_equal(atomic_load(&refusals.count), 2);
    assert_int_equal(atomic_load(&refusals.last_code), FULL);
    jsCtx_Destroy(js);
    natsConnection_Destroy(connection);
}

static void full_stream_refuses_a_synchronous_publish_with_its_code(void **state)
{
    natsConnection *connection = connect_to_server(true);
    struct refusals refusals = {0};
    jsCtx *js = small_stream(connection, "full-sync", &refusals);
    jsErrCode code = 0;

    (void)state;
    ok(js_Publish(NULL, js, "full-sync", "1", 1, NULL, &code));
    assert_int_not_equal(js_Publish(NULL, js, "full-sync", "2", 1, NULL, &code), NATS_OK);
    assert_int_equal(code, FULL);
    jsCtx_Destroy(js);
    natsConnection_Destroy(connection);
}

/* ---- fork ------------------------------------------------------------------------------------- */

/* Makes an inbox, the client's way of being addressed, and writes its name into the pipe. */
static int write_inbox(void *argument)
{
    const int *pipe_end = argument;
    char text[INBOX_LENGTH] = {0};
    natsInbox *inbox = NULL;

    ok(natsInbox_Create(&inbox));
    snprintf(text, sizeof text, "%s", inbox);
    assert_int_equal(write(*pipe_end, text, sizeof text), sizeof text);
    natsInbox_Destroy(inbox);
    return 0;
}

static void forked_children_get_the_same_inbox(void **state)
{
    natsConnection *connection = connect_to_server(true);
    char names[2][INBOX_LENGTH];
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(role_wait(role_start(write_inbox, &ends[1]), SOON_MS), 0);
        assert_int_equal(read(ends[0], names[i], INBOX_LENGTH), INBOX_LENGTH);
    }
    assert_string_equal(names[0], names[1]); /* so each would get what is meant for the other */
    close(ends[0]);
    close(ends[1]);
    natsConnection_Destroy(connection);
}

static int publish_in_child(void *argument)
{
    natsConnection *connection = argument;

    assert_int_equal(threads_here(), 1); /* none of the client's came along */
    ok(natsConnection_PublishString(connection, "forked", "child"));
    return 0;
}

static void forked_childs_publish_succeeds_and_is_lost(void **state)
{
    natsConnection *inherited = connect_to_server(false), *own = connect_to_server(true);
    natsSubscription *subscription = NULL;
    natsMsg *message = NULL;

    (void)state;
    ok(natsConnection_SubscribeSync(&subscription, own, "forked"));
    ok(natsConnection_Flush(own));
    assert_int_equal(role_wait(role_start(publish_in_child, inherited), SOON_MS), 0);
    ok(natsConnection_PublishString(own, "forked",
                                    "parent")); /* the child is gone: nothing comes after */
    ok(natsSubscription_NextMsg(&message, subscription, SOON_MS));
    assert_string_equal(natsMsg_GetData(message), "parent");
    natsMsg_Destroy(message);
    natsSubscription_Destroy(subscription);
    natsConnection_Destroy(inherited);
    natsConnection_Destroy(own);
}

/* ---- the library itself ----------------------------------------------------------------------- */

static void client_starts_threads(void **state)
{
    int before = threads_here();
    natsConnection *connection = connect_to_server(true);

    (void)state;
    print_message("# threads: %d before the first connection, %d with it\n", before,
                  threads_here());
    assert_true(threads_here() > before);
    natsConnection_Destroy(connection);
}

static void library_is_called_by_its_minor_version(void **state)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    char line[512];
    regex_t name;
    bool found = false;

    (void)state;
    assert_non_null(maps);
    assert_int_equal(regcomp(&name, "/libnats\\.so\\.[0-9]+\\.[0-9]+", REG_EXTENDED | REG_NOSUB),
                     0);
    while (fgets(line, sizeof line, maps))
        found = found || regexec(&name, line, 0, NULL, 0) == 0;
    fclose(maps);
    regfree(&name);
    assert_true(
        found); /* so what is linked to it needs a new build for each: a plug-in, not libyoke */
}

static int case_over(void **state)
{
    bool failed;

    (void)state;
    return case_end(&failed) ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        test_case(published_message_waits_for_a_thread_unless_sent_asap, case_over),
        test_case(full_stream_refuses_an_asynchronous_publish_only_in_a_callback, case_over),
        test_case(full_stream_refuses_a_synchronous_publish_with_its_code, case_over),
        test_case(forked_children_get_the_same_inbox, case_over),
        test_case(forked_childs_publish_succeeds_and_is_lost, case_over),
        test_case(client_starts_threads, case_over),
        test_case(library_is_called_by_its_minor_version, case_over),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
