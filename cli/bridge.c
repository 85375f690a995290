/*
 * bridge.c - yoke bridge: carries messages from one port to another, whatever their places.
 *
 * A message is borrowed, sent, and released only when it is known to be taken. So whatever kills this
 * command, at any instruction, each message is in FROM or in TO, or in both: then it is borrowed anew by
 * the next bridge, with one delivery more to its count, and thereby sent marked (YOKE_MESSAGE_AGAIN).
 * Where TO drops what it has had already (nats), each message is sent under a name that follows from the
 * object that it comes from and its number there alone, so that the next bridge sends it under the same.
 *
 * What is not known is not taken for granted: a send in doubt (-ECOMM) is repeated, marked, with the
 * message still borrowed; as is what was in hand for so long that FROM may have given it to another.
 */
#include "cli.h"
#include "inspect.h"
#include "json.h"
#include "options.h"
#include "output.h"
#include "progress.h"
#include "stop.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <yoke.h>

#define BATCH     64
#define BATCH_MAX 4096
#define SECOND    1000000000ll
/* How long one wait lasts, so that somebody looks in between at what else there is to see. */
#define LOOK_NS SECOND
/* How long servers have to answer: a fail-over takes some seconds, in which nothing is in doubt yet. */
#define SERVED_NS (15 * SECOND)
/* How soon a server that does not answer is asked again. */
#define NAP_NS (SECOND / 5)
/*
 * Servers give what was lent to another one when they hear nothing of it for some seconds (one at least), and
 * know for 120 s what they have had. Before either is over one is on the safe side.
 */
#define LOAN_NS   (9 * SECOND / 10)
#define MEMORY_NS (90 * SECOND)

static const struct yk_usage usage = {
    "bridge",
    "Usage: yoke bridge FROM TO [OPTION...]\n"
    "Carries the messages of port FROM to port TO, in whatever places the two are,\n"
    "until a signal comes. Each is borrowed, sent, and released when TO has it: none\n"
    "is lost if this, or anything else, is killed. What a killed bridge had in hand\n"
    "is carried by the next one, marked by its number of deliveries.\n\n"
    "  --create       create TO if there is none, kept, for all that FROM may have\n"
    "  --count N      end when N messages were carried\n"
    "  --timeout T    end when nothing came for so long: 100ms, 5s (forever)\n"
    "  --batch N      messages in hand at once, at most (64)\n"
    "  --may-lose     FROM delivers each message once (kernel, policy once): what is\n"
    "                 in hand is lost if this is killed. Refused without it\n"
    "  --json         print {\"carried\": N, \"again\": N, \"parked\": N} at the end\n"
    "\n"
    "Waits while TO is full or a server away. What does not fit into TO is given\n"
    "back until FROM parks it. Exit status 3: --timeout, and nothing (--count: not\n"
    "all) was carried.\n"
    "Example:\n"
    "  yoke bridge port:jobs port:work@kernel\n",
};

enum { CREATE = YK_OPTION_FIRST, COUNT, TIMEOUT, BATCH_SIZE, MAY_LOSE, JSON };

static const struct option options[] = {
    {"create", no_argument, NULL, CREATE},
    {"count", required_argument, NULL, COUNT},
    {"timeout", required_argument, NULL, TIMEOUT},
    {"batch", required_argument, NULL, BATCH_SIZE},
    {"may-lose", no_argument, NULL, MAY_LOSE},
    {"json", no_argument, NULL, JSON},
    YK_OPTION_END,
};

/* One of the two ports. */
struct shore {
    const char *address;
    yoke_endpoint *endpoint;
    struct yk_object_facts facts;
    bool served; /* by servers, on other machines perhaps */
    bool away;   /* they did not answer last, and the user was told */
};

struct bridge {
    struct shore from, to;
    bool create, may_lose, json;
    uint64_t count; /* 0: without end */
    int64_t timeout;
    char as[YOKE_PEER_NAME_MAX + 1]; /* under which it sends; "": TO needs none */

    struct yoke_message *hand; /* owned: what was taken and is not known to be in TO yet */
    size_t room, held;         /* as many as it may have; has */
    int64_t since;             /* when they were taken, by a clock that never stands still */
    bool keeps;                /* FROM lends, and has them again if this is killed */
    bool told_unfit;           /* the user was told of a message that does not fit */
    char *buffer;      /* owned: where FROM does not lend they are received into this; else NULL */
    int64_t last_came; /* when the last message came */
    int64_t last_look; /* when it was looked last whether the two are still there */
    uint64_t carried, again, parked;
    struct yk_progress progress;
};

/* ---- options ---- */

static void take_option(struct bridge *bridge, int option)
{
    switch (option) {
    case CREATE:
        bridge->create = true;
        break;
    case COUNT:
        bridge->count = yk_parse_number(&usage, "--count", optarg, 1, INT64_MAX);
        break;
    case TIMEOUT:
        bridge->timeout = yk_parse_duration(&usage, "--timeout", optarg);
        break;
    case BATCH_SIZE:
        bridge->room = yk_parse_number(&usage, "--batch", optarg, 1, BATCH_MAX);
        break;
    case MAY_LOSE:
        bridge->may_lose = true;
        break;
    case JSON:
        yk_json_require(&usage);
        bridge->json = true;
        break;
    default:
        break;
    }
}

static const char *parse_port(const char *text)
{
    if (strncmp(text, "port:", 5) != 0)
        yk_usage_error(&usage, "bridge: '%s' is no port: a bridge is between two of those", text);
    return text;
}

/* Where it is: what stands behind its '@', or in $YOKE_PLACE. */
static bool is_served(const char *address)
{
    const char *place = strchr(address, '@');

    place = place ? place + 1 : getenv("YOKE_PLACE");
    return place && strstr(place, "://");
}

static void parse(struct bridge *bridge, int argc, char **argv)
{
    int option;

    while ((option = yk_option_next(&usage, argc, argv, ":h", options)) >= 0)
        take_option(bridge, option);
    yk_arguments_check(&usage, argc, 2, 2, "FROM or TO");
    bridge->from.address = parse_port(argv[optind]);
    bridge->to.address = parse_port(argv[optind + 1]);
    bridge->from.served = is_served(bridge->from.address);
    bridge->to.served = is_served(bridge->to.address);
}

/* ---- servers that are away ---- */

static void say_progress(struct bridge *bridge, const char *why)
{
    char rate[YK_RATE_TEXT];
    double seconds = yk_progress_seconds(&bridge->progress);

    if (yk_progress_is_due(&bridge->progress))
        yk_progress_say(&bridge->progress, "%" PRIu64 " carried  %s  %s", bridge->carried,
                        yk_format_rate(rate, (double)bridge->carried / seconds), why);
}

static bool is_away(int error)
{
    return error == -EHOSTUNREACH || error == -ECOMM;
}

/* Says once that its servers do not answer, and takes a nap. YK_STOPPED when a signal came. */
static int stay_away(struct bridge *bridge, struct shore *shore, const char *why)
{
    struct timespec nap = {0, NAP_NS};

    if (!shore->away) {
        yk_progress_clear(&bridge->progress);
        yk_complain("note: %s does not answer: %s; trying again, with %zu %s in hand",
                    shore->address, why, bridge->held,
                    yk_plural(bridge->held, "message", "messages"));
    }
    shore->away = true;
    say_progress(bridge, "no server answers");
    nanosleep(&nap, NULL); /* a signal ends it */
    return yk_stop_signal() ? YK_STOPPED : YK_DONE;
}

static void be_back(struct bridge *bridge, struct shore *shore)
{
    if (!shore->away)
        return;
    shore->away = false;
    yk_progress_clear(&bridge->progress);
    yk_complain("note: %s answers again", shore->address);
}

/* ---- opening ---- */

/*
 * A place whose objects can not be looked at has what all such have: one priority, and what is not
 * released comes again until it is parked. When it was made is not known then (0).
 */
static void suppose(struct shore *shore)
{
    shore->facts = (struct yk_object_facts){.place = "servers", .priorities = 1};
}

/* Of servers that do not answer now the words may come as a problem of the object's. */
static int look_once(struct shore *shore, const char **ret_why)
{
    int result = yk_inspect(shore->address, &shore->facts, NULL, NULL);

    *ret_why = result < 0 ? yoke_explain() : shore->facts.problem;
    if (shore->served && (result == -ENOTSUP || (result == 0 && shore->facts.place[0] == '\0'))) {
        suppose(shore);
        return 0;
    }
    if (result == 0 && shore->facts.problem[0] != '\0')
        return shore->served ? -EHOSTUNREACH : -EPROTO;
    return result;
}

/* What it is like; servers are waited for as in open_shore(). */
static int look_at(struct bridge *bridge, struct shore *shore)
{
    const char *why;
    int result, status = YK_DONE;

    while (is_away(result = look_once(shore, &why)) && bridge->timeout < 0 && status == YK_DONE)
        status = stay_away(bridge, shore, why);
    if (status != YK_DONE)
        return status;
    if (result == 0)
        return YK_DONE;
    yk_complain("%s: %s", shore->address, why);
    return YK_FAILED;
}

static bool is_same(const struct yk_object_facts *a, const struct yk_object_facts *b)
{
    return strcmp(a->name, b->name) == 0 && strcmp(a->place, b->place) == 0 &&
           a->created_ns == b->created_ns && a->segment == b->segment;
}

/* Opens it, and waits for its servers: as long as for messages. */
static int open_shore(struct bridge *bridge, struct shore *shore, uint32_t flags,
                      const struct yoke_options *how)
{
    int64_t begun = yk_time_monotonic();
    int result, status = YK_DONE;

    while (is_away(result = yoke_open(&shore->endpoint, shore->address, flags, how))) {
        bool over = bridge->timeout >= 0 && yk_time_monotonic() - begun >= bridge->timeout;
        if (!over)
            status = stay_away(bridge, shore, yoke_explain());
        if (over || status != YK_DONE)
            break;
    }
    if (status == YK_DONE && result < 0)
        status = yk_report_on(shore->address, result);
    if (status == YK_DONE)
        be_back(bridge, shore);
    return status;
}

/* What was looked at is what was opened: else its messages would go under the names of another's. */
static int open_from(struct bridge *bridge)
{
    struct shore *from = &bridge->from;
    struct yk_object_facts before;
    int status;

    for (;;) {
        status = look_at(bridge, from);
        if (status != YK_DONE)
            return status;
        before = from->facts;
        status = open_shore(bridge, from, 0, NULL);
        if (status == YK_DONE)
            status = look_at(bridge, from);
        if (status != YK_DONE || is_same(&before, &from->facts))
            return status;
        yoke_close(from->endpoint); /* it was made anew meanwhile */
        from->endpoint = NULL;
    }
}

static uint64_t hash(uint64_t value, const char *text)
{
    for (; *text; text++) /* FNV-1a */
        value = (value ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    return value;
}

/* 32 hexadecimal digits, another one each time that the machine starts. */
static void read_boot(char boot[33])
{
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
    size_t length = 0;
    int one;

    while (file && length < 32 && (one = fgetc(file)) != EOF)
        if (one != '-' && one != '\n')
            boot[length++] = (char)one;
    boot[length] = '\0';
    if (file)
        fclose(file);
}

/*
 * The name that each bridge from this very object sends under. Objects of one machine differ by name or
 * time of creation, machines by what they are called since they were started; what servers have is the
 * same from wherever one looks.
 */
static void name_sender(struct bridge *bridge)
{
    const struct yk_object_facts *facts = &bridge->from.facts;
    char boot[33] = "served";

    if (!bridge->to.served || !bridge->keeps || facts->created_ns == 0)
        return;
    if (!bridge->from.served)
        read_boot(boot);
    snprintf(bridge->as, sizeof bridge->as, "bridge-%s-%" PRIx64 "-%016" PRIx64, boot,
             (uint64_t)facts->created_ns,
             hash(hash(UINT64_C(0xcbf29ce484222325), facts->name), facts->kind));
}

static int open_to(struct bridge *bridge)
{
    struct yoke_options as_from = YOKE_OPTIONS_INIT;
    struct shore *to = &bridge->to;
    int status;

    as_from.max_message = yoke_max_message(bridge->from.endpoint);
    if (to->served)
        as_from.depth = bridge->from.facts.depth;
    else
        as_from.priorities = bridge->from.facts.priorities;
    if (bridge->as[0] != '\0')
        as_from.as = bridge->as;
    status = open_shore(bridge, to, bridge->create ? YOKE_CREATE | YOKE_KEPT : 0, &as_from);
    return status == YK_DONE ? look_at(bridge, to) : status;
}

/* Does FROM have what it lent again, if who had it is killed? */
static int check_keeping(struct bridge *bridge)
{
    struct shore *from = &bridge->from;
    bool lends = yoke_borrow_many(from->endpoint, bridge->hand, 0, YOKE_NOW) != -ENOTSUP;

    bridge->keeps = lends && !from->facts.once;
    if (!bridge->keeps && !bridge->may_lose) {
        yk_complain("%s delivers each message once: what a bridge has in hand when it is killed is "
                    "lost; --may-lose bridges it nevertheless",
                    from->address);
        return YK_FAILED;
    }
    if (!lends) {
        bridge->room = 1;
        bridge->buffer = yk_grow(NULL, yoke_max_message(from->endpoint));
    }
    return YK_DONE;
}

/* Whether all that may come fits. What can not be kept must fit; of the rest the user is told. */
static int check_fit(struct bridge *bridge)
{
    const struct yk_object_facts *from = &bridge->from.facts, *to = &bridge->to.facts;
    size_t has = yoke_max_message(bridge->from.endpoint),
           takes = yoke_max_message(bridge->to.endpoint);

    if (is_same(from, to) &&
        (from->created_ns != 0 || strcmp(bridge->from.address, bridge->to.address) == 0)) {
        yk_complain("%s and %s are the same port", bridge->from.address, bridge->to.address);
        return YK_FAILED;
    }
    if (takes < has && !bridge->keeps) {
        yk_complain("%s has messages of up to %zu bytes, %s takes %zu: what does not fit would be "
                    "lost",
                    bridge->from.address, has, bridge->to.address, takes);
        return YK_FAILED;
    }
    if (takes < has)
        yk_complain("note: %s has messages of up to %zu bytes, %s takes %zu", bridge->from.address,
                    has, bridge->to.address, takes);
    if (to->priorities < from->priorities)
        yk_complain("note: %s has %" PRIu32 " priorities, %s %" PRIu32
                    ": those above arrive with %" PRIu32,
                    bridge->from.address, from->priorities, bridge->to.address, to->priorities,
                    to->priorities - 1);
    return YK_DONE;
}

static int open_both(struct bridge *bridge)
{
    int status = open_from(bridge);

    if (status == YK_DONE)
        status = check_keeping(bridge);
    if (status == YK_DONE) {
        name_sender(bridge);
        status = open_to(bridge);
    }
    return status == YK_DONE ? check_fit(bridge) : status;
}

/* ---- while it works ---- */

static int fail(struct bridge *bridge, const struct shore *shore, int error)
{
    yk_progress_clear(&bridge->progress);
    return yk_report_on(shore->address, error);
}

/*
 * Now and then: is each of the two still what its name leads to? Who sends to a removed port sends to
 * nobody. Servers say so themselves.
 */
static int check_there(struct bridge *bridge)
{
    struct shore *shores[] = {&bridge->from, &bridge->to};
    struct yk_object_facts now;
    int64_t time = yk_time_monotonic();

    if (time - bridge->last_look < LOOK_NS)
        return YK_DONE;
    bridge->last_look = time;
    for (int i = 0; i < 2; i++) {
        if (shores[i]->served)
            continue;
        int result = yk_inspect(shores[i]->address, &now, NULL, NULL);
        bool gone = result == -ENOENT ||
                    (result == 0 && now.problem[0] == '\0' && !is_same(&shores[i]->facts, &now));
        if (!gone)
            continue;
        yk_progress_clear(&bridge->progress);
        yk_complain("%s was removed%s", shores[i]->address, result == 0 ? ", and made anew" : "");
        return YK_FAILED;
    }
    return YK_DONE;
}

/* ---- taking ---- */

/* It goes on while the machine sleeps, as that of other machines does. */
static int64_t boot_time(void)
{
    struct timespec now;

    clock_gettime(CLOCK_BOOTTIME, &now);
    return (int64_t)now.tv_sec * SECOND + now.tv_nsec;
}

/* How long to wait now for what comes: not so long that nobody looks around. */
static int64_t next_wait(const struct bridge *bridge)
{
    int64_t most = bridge->progress.on ? YK_PROGRESS_LOOK : LOOK_NS, left;

    if (bridge->timeout < 0)
        return most;
    left = bridge->timeout - (yk_time_monotonic() - bridge->last_came);
    return left < 0 ? 0 : left < most ? left : most;
}

static size_t wanted(const struct bridge *bridge)
{
    uint64_t left = bridge->count ? bridge->count - bridge->carried : UINT64_MAX;

    return left < bridge->room ? (size_t)left : bridge->room;
}

/* Makes of what was taken what is to be sent; what came again is marked so by who gave it. */
static void prepare(const struct bridge *bridge, struct yoke_message *message)
{
    uint32_t highest = bridge->to.facts.priorities > 0 ? bridge->to.facts.priorities - 1 : 0;

    /* priorities count each for itself: so that each message has a number of its own, and none 0 */
    message->sequence = message->sequence * YOKE_PRIORITIES_MAX + message->priority + 1;
    if (message->priority > highest)
        message->priority = highest;
}

static ssize_t take_some(struct bridge *bridge)
{
    if (!bridge->buffer)
        return yoke_borrow_many(bridge->from.endpoint, bridge->hand, wanted(bridge),
                                next_wait(bridge));
    bridge->hand[0] = (struct yoke_message){.data = bridge->buffer,
                                            .capacity = yoke_max_message(bridge->from.endpoint)};
    return yoke_recv_many(bridge->from.endpoint, bridge->hand, 1, next_wait(bridge));
}

/* Nothing came: is it time to end? -1: no. */
static int end_of_wait(const struct bridge *bridge)
{
    if (bridge->timeout < 0 || yk_time_monotonic() - bridge->last_came < bridge->timeout)
        return -1;
    if (bridge->carried > 0 && !bridge->count)
        return YK_DONE;
    char waited[YK_AGE_TEXT];
    if (bridge->timeout == YOKE_NOW)
        yk_complain("%s is empty; %" PRIu64 " carried before", bridge->from.address,
                    bridge->carried);
    else
        yk_complain("%s: nothing came for %s; %" PRIu64 " carried before", bridge->from.address,
                    yk_format_duration(waited, bridge->timeout), bridge->carried);
    return YK_NOTHING;
}

/* Fills the hand, or tells by *ret_over that there is nothing more to do. */
static int take(struct bridge *bridge, bool *ret_over)
{
    ssize_t got = take_some(bridge);

    if (got == -ETIMEDOUT && bridge->from.served) /* was nothing there, or nobody? */
        got = yoke_borrow_many(bridge->from.endpoint, bridge->hand, wanted(bridge), YOKE_NOW);
    if (got == -EINTR)
        return yk_stop_signal() ? YK_STOPPED : YK_DONE;
    if (is_away((int)got))
        return stay_away(bridge, &bridge->from, yoke_explain());
    if (got < 0 && got != -EAGAIN && got != -ETIMEDOUT)
        return fail(bridge, &bridge->from, (int)got);
    be_back(bridge, &bridge->from);
    if (got < 0) {
        int status = end_of_wait(bridge);
        say_progress(bridge, "waiting");
        *ret_over = status >= 0;
        return status >= 0 ? status : YK_DONE;
    }
    bridge->held = (size_t)got;
    bridge->since = boot_time();
    bridge->last_came = yk_time_monotonic();
    for (size_t i = 0; i < bridge->held; i++)
        prepare(bridge, &bridge->hand[i]);
    return YK_DONE;
}

/* ---- sending ---- */

/* It may have gone already, or have been given to another meanwhile. */
static void mark_all(struct bridge *bridge)
{
    for (size_t i = 0; i < bridge->held; i++)
        bridge->hand[i].flags |= YOKE_MESSAGE_AGAIN;
}

static void drop_from_hand(struct bridge *bridge, size_t count)
{
    bridge->held -= count;
    memmove(bridge->hand, bridge->hand + count, bridge->held * sizeof *bridge->hand);
}

/* The first `count` of those in hand are in TO. */
static int release(struct bridge *bridge, size_t count)
{
    int first_error = 0;

    for (size_t i = 0; i < count; i++) {
        int error = bridge->buffer ? 0 : yoke_release(bridge->from.endpoint, bridge->hand[i].data);
        if (error < 0 && !is_away(error) && first_error == 0) /* away: it comes again, marked */
            first_error = error;
        bridge->again += (bridge->hand[i].flags & YOKE_MESSAGE_AGAIN) != 0;
    }
    bridge->carried += count;
    drop_from_hand(bridge, count);
    return first_error < 0 ? fail(bridge, &bridge->from, first_error) : YK_DONE;
}

static bool fits(const struct bridge *bridge, const struct yoke_message *message)
{
    return message->size <= yoke_max_message(bridge->to.endpoint);
}

/* The first one in hand can not go: back with it, so often that FROM parks it. */
static int give_back_unfit(struct bridge *bridge)
{
    const struct yoke_message *message = &bridge->hand[0];
    uint32_t most = bridge->from.facts.max_deliveries; /* 0: not known */
    bool is_parked = most > 0 && message->deliveries >= most;

    if (!bridge->told_unfit || most == UINT32_MAX) {
        yk_progress_clear(&bridge->progress);
        yk_complain("%s: a message of %zu bytes does not fit into %s, which takes %zu; %s",
                    bridge->from.address, message->size, bridge->to.address,
                    yoke_max_message(bridge->to.endpoint),
                    most == UINT32_MAX ? "and it can not be parked: there is no max_deliveries"
                                       : "it is given back until it is parked, as all such are");
    }
    bridge->told_unfit = true;
    if (most == UINT32_MAX)
        return YK_FAILED;
    int result = yoke_return(bridge->from.endpoint, message->data);
    if (result < 0 && !is_away(result))
        return fail(bridge, &bridge->from, result);
    bridge->parked += is_parked;
    drop_from_hand(bridge, 1);
    return YK_DONE;
}

/*
 * Have they been in hand for so long, as when this was stopped, that servers have given them to another
 * bridge, or forgotten that they have had them?
 */
static bool is_too_long(const struct bridge *bridge)
{
    int64_t most = bridge->from.served ? LOAN_NS : bridge->to.served ? MEMORY_NS : INT64_MAX;

    return most < INT64_MAX && boot_time() - bridge->since > most;
}

/* How long to wait for room. Servers have the time that they need to answer at all. */
static int64_t room_wait(const struct bridge *bridge)
{
    return bridge->to.served ? SERVED_NS : bridge->progress.on ? YK_PROGRESS_LOOK : LOOK_NS;
}

/* Sends what fits, as much as goes, and releases that; or gives back what does not fit. */
static int send_some(struct bridge *bridge)
{
    size_t count = 0;

    while (count < bridge->held && fits(bridge, &bridge->hand[count]))
        count++;
    if (count == 0)
        return give_back_unfit(bridge);
    if (is_too_long(bridge))
        mark_all(bridge);
    ssize_t sent = yoke_send_many(bridge->to.endpoint, bridge->hand, count, room_wait(bridge));
    if (sent == -EINTR)
        return yk_stop_signal() ? YK_STOPPED : YK_DONE;
    if (is_away((int)sent)) {
        mark_all(bridge);
        return stay_away(bridge, &bridge->to, yoke_explain());
    }
    if (sent < 0 && sent != -EAGAIN && sent != -ETIMEDOUT)
        return fail(bridge, &bridge->to, (int)sent);
    be_back(bridge, &bridge->to);
    say_progress(bridge, sent < 0 ? "it is full: waiting for room" : "");
    return sent < 0 ? YK_DONE : release(bridge, (size_t)sent);
}

/* ---- the whole ---- */

static bool complete(const struct bridge *bridge)
{
    return bridge->count && bridge->carried >= bridge->count;
}

static int carry(struct bridge *bridge)
{
    int status = YK_DONE;
    bool over = false;

    bridge->last_came = yk_time_monotonic();
    while (status == YK_DONE && !over && !complete(bridge)) {
        if (yk_stop_signal())
            status = YK_STOPPED;
        else
            status = bridge->held > 0 ? send_some(bridge) : take(bridge, &over);
        if (status == YK_DONE)
            status = check_there(bridge);
    }
    yk_progress_clear(&bridge->progress);
    return status;
}

/* What FROM would not have again by itself goes back there as a new message, if that has room. */
static void put_back(struct bridge *bridge)
{
    size_t lost = 0;

    for (size_t i = 0; i < bridge->held && !bridge->keeps; i++) {
        struct yoke_message message = bridge->hand[i];
        message.priority = (uint32_t)((message.sequence - 1) % YOKE_PRIORITIES_MAX);
        lost += yoke_send_many(bridge->from.endpoint, &message, 1, YOKE_NOW) != 1;
    }
    if (lost > 0)
        yk_complain("%zu %s lost: %s is full, and takes none back", lost,
                    yk_plural(lost, "message is", "messages are"), bridge->from.address);
}

static void print_json(const struct bridge *bridge)
{
    yk_json *object = yk_json_object();

    yk_json_unsigned(object, "carried", bridge->carried);
    yk_json_unsigned(object, "again", bridge->again);
    yk_json_unsigned(object, "parked", bridge->parked);
    yk_json_print_line(object);
}

int yk_bridge_main(int argc, char **argv)
{
    struct bridge bridge = {.timeout = YOKE_FOREVER, .room = BATCH};
    int status;

    parse(&bridge, argc, argv);
    yk_stop_install();
    bridge.hand = yk_grow(NULL, bridge.room * sizeof *bridge.hand);
    yk_progress_begin(&bridge.progress, true);
    status = open_both(&bridge);
    yk_progress_clear(&bridge.progress);
    if (status == YK_DONE) {
        status = carry(&bridge);
        put_back(&bridge);
        if (bridge.json)
            print_json(&bridge);
    }
    yoke_close(bridge.to.endpoint);
    yoke_close(bridge.from.endpoint); /* which gives back what is in hand */
    free(bridge.buffer);
    free(bridge.hand);
    return status;
}
