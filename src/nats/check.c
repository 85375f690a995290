/*
 * check.c - what is wrong with a place: its servers, the streams that yoke keeps there, and the objects.
 */
#include <errno.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "port.h"
#include "signals.h"
#include "streams.h"

#define TEXT_MOST    700
#define INFO_MOST    16384
#define INFO_SECONDS 2
#define FULL_PERCENT 90 /* of what an account may store */
#define LEAST_MAJOR  2
#define LEAST_MINOR  9
#define ADDRESS_MOST (YK_WHERE_TEXT + YK_ENTRY_MAX + 16)
#define GC_MOST      (YK_WHERE_TEXT + 32)

struct check {
    struct yk_hub *hub;
    char where[YK_WHERE_TEXT]; /* as it may be shown */
    bool cluster;
    int64_t max_payload;
    struct yk_presence presence;
    struct yk_streams streams;
    yk_tell_finding *tell;
    void *context;
};

static void find(const struct check *check, enum yk_severity severity, const char *subject,
                 const char *cure, const char *format, ...) __attribute__((format(printf, 5, 6)));

static void find(const struct check *check, enum yk_severity severity, const char *subject,
                 const char *cure, const char *format, ...)
{
    char text[TEXT_MOST];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    yk_nats_hide_controls(text);
    check->tell(severity, subject, cure ? cure : "", text, check->context);
}

static const char *plural(uint64_t count, const char *one, const char *many)
{
    return count == 1 ? one : many;
}

/* ---- the servers ----------------------------------------------------------------------------- */

/* The first line that a server says to whoever connects, before any login: "INFO {…}". */
static json_t *read_info(const char *host, const char *port)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    struct timeval patience = {.tv_sec = INFO_SECONDS};
    char line[INFO_MOST];
    size_t size = 0;
    int fd = -1;

    if (getaddrinfo(host, port, &hints, &found) != 0)
        return NULL;
    for (struct addrinfo *one = found; one && fd < 0; one = one->ai_next) {
        fd = socket(one->ai_family, one->ai_socktype | SOCK_CLOEXEC, one->ai_protocol);
        if (fd < 0)
            continue;
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience); /* connecting, too */
        if (connect(fd, one->ai_addr, one->ai_addrlen) < 0) {
            close(fd);
            fd = -1;
        }
    }
    freeaddrinfo(found);
    while (fd >= 0 && size < sizeof line && !memchr(line, '\n', size)) {
        ssize_t got = recv(fd, line + size, sizeof line - size, 0);
        if (got <= 0)
            break;
        size += (size_t)got;
    }
    if (fd >= 0)
        close(fd);
    if (size < 6 || strncmp(line, "INFO ", 5) != 0)
        return NULL;
    return json_loadb(line + 5, size - 5, JSON_DISABLE_EOF_CHECK, NULL);
}

/* "nats://user@host:port", as the client has it. */
static json_t *ask_connected(const struct check *check)
{
    char url[2 * YK_PLACE_MAX], *host, *port;

    if (natsConnection_GetConnectedUrl(check->hub->connection, url, sizeof url) != NATS_OK)
        return NULL;
    host = strrchr(url, '@');
    host = host ? host + 1 : strstr(url, "://") ? strstr(url, "://") + 3 : url;
    port = strrchr(host, ':');
    if (!port)
        return read_info(host, "4222");
    *port++ = '\0';
    if (host[0] == '[' && port[-2] == ']') {
        port[-2] = '\0';
        host++;
    }
    return read_info(host, port);
}

static int known_servers(const struct check *check)
{
    char **servers = NULL;
    int count = 0;

    if (natsConnection_GetServers(check->hub->connection, &servers, &count) != NATS_OK)
        return 0;
    for (int i = 0; i < count; i++)
        free(servers[i]);
    free(servers);
    return count;
}

static void check_version(const struct check *check, const char *version)
{
    int major = 0, minor = 0;

    if (sscanf(version, "%d.%d", &major, &minor) != 2)
        return;
    if (major < LEAST_MAJOR || (major == LEAST_MAJOR && minor < LEAST_MINOR))
        find(check, YK_FAULT, check->where, "install nats-server 2.9 or newer",
             "the server is nats-server %.20s, which is too old: ports need %d.%d", version,
             LEAST_MAJOR, LEAST_MINOR);
}

static void check_cluster(struct check *check, const char *cluster)
{
    int servers = known_servers(check);

    if (!cluster)
        find(check, YK_NOTE, check->where, "a cluster of three servers, with three replicas",
             "is one server: while it is away nobody can send or receive, and its disk is the only "
             "copy");
    else if (servers == 2)
        find(check, YK_NOTE, check->where, "add a third server",
             "the cluster %.60s seems to have two servers: with one of them away there is no "
             "majority, and nobody can send or receive",
             cluster);
    else
        find(check, YK_FINE, check->where, NULL, "the cluster %.60s is known by %d addresses",
             cluster, servers);
    find(
        check, YK_NOTE, check->where,
        "sync_interval: always, in the block jetstream of the servers' configuration",
        "servers do not tell their sync_interval: unless it is 'always', what was acknowledged in the "
        "last two minutes can be lost when %s",
        cluster ? "the power of most servers fails at once" : "the server's power fails");
}

static void check_server(struct check *check)
{
    json_t *info = ask_connected(check);
    const char *version = json_string_value(json_object_get(info, "version"));
    const char *name = json_string_value(json_object_get(info, "server_name"));
    const char *cluster = json_string_value(json_object_get(info, "cluster"));

    check->cluster = cluster != NULL;
    check->max_payload = natsConnection_GetMaxPayload(check->hub->connection);
    if (version) {
        find(
            check, YK_FINE, check->where, NULL,
            "the server %.60s answers: nats-server %.20s with JetStream, messages of %lld bytes at "
            "most",
            name ? name : "", version, (long long)check->max_payload);
        check_version(check, version);
        check_cluster(check, cluster);
    } else {
        find(
            check, YK_WARNING, check->where, NULL,
            "the server does not say its version on a second connection: it, or something between, "
            "may refuse more of them");
    }
    json_decref(info);
}

static void check_limit(const struct check *check, const json_t *account, const char *used,
                        const char *most, const char *what)
{
    json_int_t has = json_integer_value(json_object_get(account, used));
    json_int_t may = json_integer_value(json_object_get(json_object_get(account, "limits"), most));

    if (may > 0 && (double)has * 100 >= (double)may * FULL_PERCENT)
        find(
            check, YK_WARNING, check->where,
            "raise the account's limits in the servers' configuration, or remove what nobody needs",
            "this account has %lld %s and may have %lld: new ports, or messages, will be refused",
            (long long)has, what, (long long)may);
}

static int check_account(const struct check *check)
{
    json_t *answer;
    int result = yk_api_ask(check->hub, "INFO", NULL, "asking for the account's limits", &answer);

    if (result < 0)
        return result;
    check_limit(check, answer, "storage", "max_storage", "bytes stored");
    check_limit(check, answer, "memory", "max_memory", "bytes in memory");
    check_limit(check, answer, "streams", "max_streams", "streams");
    check_limit(check, answer, "consumers", "max_consumers", "consumers");
    json_decref(answer);
    return 0;
}

/* ---- streams --------------------------------------------------------------------------------- */

/* How a stream is stored. */
static void check_stored(const struct check *check, const char *subject, const char *stream,
                         const struct yk_stream_facts *facts)
{
    char cure[YK_NATS_SUBJECT_MOST + 64];

    snprintf(cure, sizeof cure, "nats stream edit %s --replicas 3", stream);
    if (facts->cluster && facts->replicas == 1)
        find(
            check, YK_WARNING, subject, cure,
            "%s has one replica in a cluster: its messages go with the server %s, or are away while that is",
            stream, facts->server);
    if (facts->cluster && facts->server[0] == '\0')
        find(check, YK_FAULT, subject, "start the servers that have its replicas",
             "the stream %s has no leader: nobody can send or receive", stream);
    else if (facts->behind > 0)
        find(check, YK_WARNING, subject, "start those servers, or see their logs",
             "%u of %u replicas of %s %s not up to date: %s", facts->behind, facts->replicas,
             stream, plural(facts->behind, "is", "are"), facts->away);
}

static void check_own_stream(const struct check *check, const char *what, const char *none)
{
    char stream[YK_NATS_SUBJECT_MOST];
    struct yk_stream_facts facts;

    snprintf(stream, sizeof stream, "%s-%s", check->hub->where.prefix, what);
    int result = yk_look_stream(check->hub, stream, &facts);
    if (result == -ENOENT)
        find(check, YK_FINE, stream, NULL, "%s", none);
    else if (result < 0)
        find(check, YK_FAULT, stream, "start the servers that have its replicas",
             "can not be looked at: %s", yk_nats_explain());
    else
        check_stored(check, stream, stream, &facts);
}

static int check_left_over(const struct check *check, const struct yk_stream *stream)
{
    char cure[GC_MOST];
    enum yk_stream_state state;
    int result = yk_stream_state(check->hub, stream, &state);

    snprintf(cure, sizeof cure, "yoke gc --place '%s'", check->where);
    if (result == 0 && state == YK_STREAM_DEAD)
        find(check, YK_WARNING, stream->stream, cure,
             "%s:%s, whose stream this was, is removed: whoever did that was interrupted, and %llu "
             "%s left behind",
             stream->kind, stream->name, (unsigned long long)stream->facts.messages,
             plural(stream->facts.messages, "message was", "messages were"));
    if (result == 0 && state == YK_STREAM_UNKNOWN)
        find(check, YK_WARNING, stream->stream, NULL,
             "no name leads to this stream, with %llu %s, and nothing says that %s:%s was removed: "
             "were the names lost, or restored from an older copy?",
             (unsigned long long)stream->facts.messages,
             plural(stream->facts.messages, "message", "messages"), stream->kind, stream->name);
    return result;
}

static const struct yk_stream *find_stream(const struct check *check, const struct yk_named *named,
                                           bool main)
{
    for (size_t i = 0; i < check->streams.count; i++) {
        const struct yk_stream *one = &check->streams.all[i];
        if (one->main == main && one->generation == named->facts.generation &&
            strcmp(one->kind, named->kind) == 0 && strcmp(one->name, named->name) == 0)
            return one;
    }
    return NULL;
}

/* ---- objects --------------------------------------------------------------------------------- */

static void check_fill(const struct check *check, const char *address,
                       const struct yk_object_facts *facts)
{
    char cure[2 * ADDRESS_MOST + 64];
    uint64_t there = facts->waiting + facts->held;
    unsigned ways = strcmp(facts->kind, "link") == 0 ? 2 : 1;
    bool signals = strcmp(facts->kind, YK_SIGNALS) == 0;

    snprintf(cure, sizeof cure, "yoke stat %s (who has it open)%s%s", address,
             signals ? "" : ", yoke recv ", signals ? "" : address);
    if (facts->depth > 0 && there >= (uint64_t)facts->depth * ways)
        find(check, YK_WARNING, address, cure,
             "is full, with %llu messages waiting and %llu held: senders wait, or get -EAGAIN; %u "
             "%s it open",
             (unsigned long long)facts->waiting, (unsigned long long)facts->held,
             facts->participants_used,
             plural(facts->participants_used, "process has", "processes have"));
    else if (there > 0 && facts->participants_used == 0 && !signals)
        find(check, YK_NOTE, address, NULL, "%llu %s, and no process has it open",
             (unsigned long long)there, plural(there, "message is there", "messages are there"));
}

static void check_parked(const struct check *check, const char *address,
                         const struct yk_object_facts *facts)
{
    char cure[ADDRESS_MOST + 32];

    snprintf(cure, sizeof cure, "yoke recv '%s' --parked", address);
    if (facts->parked > 0)
        find(check, YK_WARNING, address, cure,
             "%llu %s delivered %u times without success and parked%s",
             (unsigned long long)facts->parked,
             plural(facts->parked, "message was", "messages were"), facts->max_deliveries,
             facts->parked >= facts->max_parked ? "; no more can be, and the next such are dropped"
                                                : "");
}

static void check_sizes(const struct check *check, const char *address,
                        const struct yk_object_facts *facts)
{
    if (check->max_payload > 0 && (int64_t)facts->max_message > check->max_payload)
        find(
            check, YK_WARNING, address,
            "raise max_payload in the servers' configuration, or make the port anew with a smaller "
            "--max-message",
            "its messages may have %llu bytes, and the server carries no more than %lld: bigger ones "
            "are refused",
            (unsigned long long)facts->max_message, (long long)check->max_payload);
}

static void check_life(const struct check *check, const char *address,
                       const struct yk_object_facts *facts)
{
    char cure[ADDRESS_MOST + 16];

    if (strcmp(facts->kind, YK_SIGNALS) == 0) {
        snprintf(cure, sizeof cure, "yoke gc --place '%s'", check->where);
        if (!facts->attended)
            find(
                check, YK_WARNING, address, cure,
                "was the inbox of a peer that died, or lost its name: nobody can receive what is in "
                "it, %llu %s",
                (unsigned long long)(facts->waiting + facts->held),
                plural(facts->waiting + facts->held, "signal", "signals"));
        return;
    }
    snprintf(cure, sizeof cure, "yoke rm '%s'", address);
    if (!facts->kept && facts->participants_used == 0)
        find(
            check, YK_NOTE, address, cure,
            "is transient, and nobody takes part in it by the servers' word: its last user died; who "
            "opens it next takes it along when he leaves");
}

static void check_problem(const struct check *check, const char *address,
                          const struct yk_object_facts *facts)
{
    char cure[2 * ADDRESS_MOST + 64];

    cure[0] = '\0';
    if (facts->far.broken)
        snprintf(cure, sizeof cure, "yoke rm '%s'", address);
    if (strcmp(facts->kind, "port") == 0)
        snprintf(cure + strlen(cure), sizeof cure - strlen(cure),
                 "%syoke port create %s --place '%s'", facts->far.broken ? " && " : "", facts->name,
                 check->where);
    if (facts->far.incomplete)
        find(check, YK_WARNING, address, cure, "%s", facts->problem);
    else if (facts->far.broken)
        find(check, YK_FAULT, address, cure, "%s", facts->problem);
    else
        find(check, YK_FAULT, address,
             facts->known ? "start the servers that have its replicas" : NULL, "%s",
             facts->problem);
}

static int check_object(const struct yk_named *named, void *context)
{
    struct check *check = context;
    struct yk_object_facts facts;
    char address[ADDRESS_MOST];

    if (!named->there)
        return 0;
    snprintf(address, sizeof address, "%s:%s@%s", named->kind, named->name, check->where);
    yk_look_at_named(check->hub, named, &check->presence, &facts);
    if (facts.problem[0] != '\0') {
        check_problem(check, address, &facts);
        return 0;
    }
    for (int main = 1; main >= 0; main--) {
        const struct yk_stream *stream = find_stream(check, named, main);
        if (stream)
            check_stored(check, address, stream->stream, &stream->facts);
    }
    check_fill(check, address, &facts);
    check_parked(check, address, &facts);
    check_sizes(check, address, &facts);
    check_life(check, address, &facts);
    find(check, YK_FINE, address, NULL, "was looked at, with %u %s", facts.participants_used,
         plural(facts.participants_used, "participant", "participants"));
    return 0;
}

static int check_all(struct check *check)
{
    check_server(check);
    check_own_stream(check, "names", "there is none yet: nobody made anything here");
    check_own_stream(check, "here", "there is none yet: nobody took part in anything here");
    int result = check_account(check);
    if (result == 0)
        result = yk_streams_list(check->hub, &check->streams);
    if (result == 0)
        result = yk_look_presence(check->hub, NULL, NULL, 0, &check->presence);
    if (result == 0)
        result = yk_look_names(check->hub, check_object, check);
    for (size_t i = 0; i < check->streams.count && result == 0; i++)
        result = check_left_over(check, &check->streams.all[i]);
    yk_presence_fini(&check->presence);
    yk_streams_fini(&check->streams);
    return result;
}

int yk_nats_check(const char *where, yk_tell_finding *tell, void *context)
{
    YK_KEEP_ERRNO;
    struct check check = {.tell = tell, .context = context};
    int result = yk_look_hub(&check.hub, where);

    if (result < 0)
        return result;
    yk_nats_hide(check.where, sizeof check.where, where);
    return check_all(&check);
}
