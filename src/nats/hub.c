/*
 * hub.c - see hub.h.
 */
#include "hub.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "fork.h"
#include "login.h"

#define CONNECT_MS          2000 /* for each server */
#define RECONNECT_WAIT_MS   100
#define PING_MS             2000 /* a server that is stopped is left after two of these */
#define PINGS_OUT           2
#define WRITE_MS            2000
#define LEADERLESS_NS       (10 * YK_SECOND_NS)
#define LEADERLESS_PAUSE_NS (100 * YK_MILLISECOND_NS)
#define SETTLING_NS         YK_SECOND_NS
#define TICK_NS             (250 * YK_MILLISECOND_NS)
#define CLOSE_FLUSH_MS      2000
#define AWAY_FLUSH_MS       100
#define FLUSH_PAUSE_NS      (20 * YK_MILLISECOND_NS)

static struct {
    pthread_mutex_t mutex; /* of the rest */
    struct yk_hub *hubs;
} table = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static void in_child(void)
{
    table.hubs = NULL; /* their threads are the parent's, and their locks as they happened to be */
    pthread_mutex_init(&table.mutex, NULL);
}

/* ---- errors ---- */

int yk_hub_fail(natsStatus status, jsErrCode code, const char *what)
{
    switch (status) {
    case NATS_NO_SERVER:
    case NATS_IO_ERROR:
    case NATS_ADDRESS_MISSING:
    case NATS_PROTOCOL_ERROR: /* the server went while it greeted */
        return yk_fail(EHOSTUNREACH, "%s: no server of the place answers (%s)", what,
                       natsStatus_GetText(status));
    case NATS_TIMEOUT:
    case NATS_CONNECTION_CLOSED:
    case NATS_CONNECTION_DISCONNECTED:
    case NATS_STALE_CONNECTION:
        return yk_fail(EHOSTUNREACH, "%s: the servers of the place did not answer in time (%s)",
                       what, natsStatus_GetText(status));
    case NATS_CONNECTION_AUTH_FAILED:
    case NATS_NOT_PERMITTED:
    case NATS_SSL_ERROR:
    case NATS_SECURE_CONNECTION_REQUIRED:
        return yk_fail(EACCES, "%s: the server does not let us in (%s)", what,
                       natsStatus_GetText(status));
    case NATS_SECURE_CONNECTION_WANTED:
        return yk_fail(EACCES, "%s: the server has no TLS", what);
    case NATS_NO_RESPONDERS:
    case NATS_NO_SERVER_SUPPORT:
        return yk_fail(
            ENOTSUP,
            "%s: the server has no JetStream for this account (nats-server -js turns it on), or none "
            "leads it",
            what);
    case NATS_NO_MEMORY:
        return yk_fail(ENOMEM, "%s: no memory", what);
    default:
        return yk_fail(code == JSInsufficientResourcesErr || code == JSStorageResourcesExceededErr
                           ? ENOSPC
                           : EREMOTEIO,
                       "%s: %s (JetStream says %d)", what, natsStatus_GetText(status), (int)code);
    }
}

static void ignore_error(natsConnection *connection, natsSubscription *subscription,
                         natsStatus error, void *context)
{
    (void)connection, (void)subscription, (void)error, (void)context;
}

/* ---- what arrives ---- */

/* "INBOX.LINE.kTOKEN" (or "INBOXk.…", for ears), numbers in hex. */
static bool parse_subject(const struct yk_hub *hub, const char *subject, uint64_t *ret_line,
                          char *ret_kind, uint64_t *ret_token)
{
    char *end;
    size_t length = strlen(hub->inbox);

    if (strncmp(subject, hub->inbox, length) != 0)
        return false;
    length += subject[length] != '.' && subject[length] != '\0';
    if (subject[length] != '.')
        return false;
    *ret_line = strtoull(subject + length + 1, &end, 16);
    if (*end != '.' || end[1] == '\0')
        return false;
    *ret_kind = end[1];
    *ret_token = strtoull(end + 2, &end, 16);
    return *end == '\0';
}

static void dispatch(natsConnection *connection, natsSubscription *subscription, natsMsg *message,
                     void *context)
{
    struct yk_hub *hub = context;
    struct yk_line *line;
    uint64_t id, token;
    char kind;

    (void)connection, (void)subscription;
    if (!parse_subject(hub, natsMsg_GetSubject(message), &id, &kind, &token)) {
        natsMsg_Destroy(message);
        return;
    }
    pthread_mutex_lock(&hub->mutex);
    for (line = hub->lines; line && line->id != id; line = line->next)
        ;
    if (line)
        line->arrived(line, kind, token, message);
    pthread_mutex_unlock(&hub->mutex);
    if (!line)
        natsMsg_Destroy(message);
}

static void hear(natsConnection *connection, natsSubscription *subscription, natsMsg *message,
                 void *context)
{
    struct yk_ear *ear = context;
    uint64_t line, token = 0;
    char kind;

    (void)connection, (void)subscription;
    if (!parse_subject(ear->line->hub, natsMsg_GetSubject(message), &line, &kind, &token))
        token = 0;
    ear->arrived(ear, token, message);
}

static void *keep(void *context)
{
    struct yk_hub *hub = context;

    pthread_mutex_lock(&hub->mutex);
    while (!hub->ends) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += TICK_NS;
        until.tv_sec += until.tv_nsec / YK_SECOND_NS;
        until.tv_nsec %= YK_SECOND_NS;
        pthread_cond_timedwait(&hub->finished, &hub->mutex, &until);
        int64_t now = yk_nats_now();
        for (struct yk_line *line = hub->lines; line && !hub->ends; line = line->next)
            line->tick(line, now);
    }
    pthread_mutex_unlock(&hub->mutex);
    return NULL;
}

/* ---- connecting ---- */

/* With `over`, to another server perhaps. */
static void interrupt(struct yk_hub *hub, bool over)
{
    pthread_mutex_lock(&hub->mutex);
    if (over)
        hub->since = yk_nats_now();
    for (struct yk_line *line = hub->lines; line; line = line->next)
        if (line->interrupted)
            line->interrupted(line, over);
    pthread_mutex_unlock(&hub->mutex);
}

static void connection_lost(natsConnection *connection, void *context)
{
    (void)connection;
    interrupt(context, false);
}

static void guard_wire(struct yk_hub *hub, natsConnection *connection)
{
    struct yk_wire wire = yk_nats_fork_guard(connection);

    pthread_mutex_lock(&hub->wire_mutex);
    hub->wire = wire;
    pthread_mutex_unlock(&hub->wire_mutex);
}

/* The last that the client calls, in a thread of its own and when it likes. */
static void connection_closed(natsConnection *connection, void *context)
{
    struct yk_hub *hub = context;

    (void)connection;
    pthread_mutex_lock(&hub->mutex);
    hub->closed = true;
    pthread_cond_broadcast(&hub->finished);
    pthread_mutex_unlock(&hub->mutex);
}

static void connected_again(natsConnection *connection, void *context)
{
    guard_wire(context, connection);
    interrupt(context, true);
}

static natsStatus set_options(struct yk_hub *hub, natsOptions *options)
{
    natsStatus status =
        natsOptions_SetServers(options, (const char **)hub->where.servers, hub->where.count);

    if (status == NATS_OK)
        status = natsOptions_SetName(options, "yoke");
    if (status == NATS_OK)
        status = natsOptions_SetTimeout(options, CONNECT_MS);
    if (status == NATS_OK)
        status = natsOptions_SetMaxReconnect(options, -1);
    if (status == NATS_OK)
        status = natsOptions_SetReconnectWait(options, RECONNECT_WAIT_MS);
    if (status == NATS_OK)
        status = natsOptions_SetPingInterval(options, PING_MS);
    if (status == NATS_OK)
        status = natsOptions_SetMaxPingsOut(options, PINGS_OUT);
    if (status == NATS_OK)
        status = natsOptions_SetWriteDeadline(options, WRITE_MS);
    if (status == NATS_OK) /* one thread for all that receive here, not one each */
        status = natsOptions_UseGlobalMessageDelivery(options, true);
    if (status == NATS_OK)
        status = natsOptions_SetErrorHandler(options, ignore_error, NULL);
    if (status == NATS_OK)
        status = natsOptions_SetReconnectedCB(options, connected_again, hub);
    if (status == NATS_OK)
        status = natsOptions_SetDisconnectedCB(options, connection_lost, hub);
    if (status == NATS_OK)
        status = natsOptions_SetClosedCB(options, connection_closed, hub);
    /* else the client's flusher sends it, a millisecond later */
    return status == NATS_OK ? natsOptions_SetSendAsap(options, true) : status;
}

static natsStatus subscribe(struct yk_hub *hub)
{
    char subject[sizeof hub->inbox + 2];

    snprintf(subject, sizeof subject, "%s.>", hub->inbox);
    natsStatus status =
        natsConnection_Subscribe(&hub->answers, hub->connection, subject, dispatch, hub);
    /* what waits is what was asked for: there is no more of it than fits, and none may be dropped */
    return status == NATS_OK ? natsSubscription_SetPendingLimits(hub->answers, -1, -1) : status;
}

static int connect_hub(struct yk_hub *hub)
{
    natsOptions *options = NULL;
    natsStatus status = natsOptions_Create(&options);

    if (status == NATS_OK)
        status = set_options(hub, options);
    int result = status == NATS_OK ? yk_nats_login(options, &hub->where) : 0;
    if (status == NATS_OK && result == 0)
        status = natsConnection_Connect(&hub->connection, options);
    if (status == NATS_OK && result == 0)
        guard_wire(hub, hub->connection);
    if (status == NATS_OK && result == 0)
        status = natsConnection_JetStream(&hub->js, hub->connection, NULL);
    if (status == NATS_OK && result == 0)
        status = subscribe(hub);
    natsOptions_Destroy(options);
    return status == NATS_OK ? result : yk_hub_fail(status, 0, "connecting");
}

/* A server that is old may have JetStream, but not all that is asked of it here. */
static int check_server(struct yk_hub *hub)
{
    jsAccountInfo *account = NULL;
    const char *said = NULL;
    jsErrCode code;
    natsStatus status;
    int64_t until = 0;

    do {
        code = 0;
        status = js_GetAccountInfo(&account, hub->js, NULL, &code);
    } while (yk_hub_again(hub, status, code, &until));

    jsAccountInfo_Destroy(account);
    if (status == NATS_OK)
        return natsConnection_HasHeaderSupport(hub->connection) == NATS_OK
                   ? 0
                   : yk_fail(ENOTSUP, "the server is too old: nats-server 2.2 or newer is needed");
    if (status == NATS_TIMEOUT && /* who may not ask gets no answer */
        natsConnection_GetLastError(hub->connection, &said) == NATS_NOT_PERMITTED)
        return yk_fail(EACCES, "asking for JetStream: this user may not: %.300s", said ? said : "");
    if (status == NATS_TIMEOUT || code == JSNotEnabledErr || code == JSNotEnabledForAccountErr ||
        status == NATS_NOT_FOUND)
        status = NATS_NO_RESPONDERS;
    return yk_hub_fail(status, code, "asking for JetStream");
}

static void close_connection(struct yk_hub *hub)
{
    natsConnection_Close(hub->connection);
    pthread_mutex_lock(&hub->mutex);
    while (!hub->closed)
        pthread_cond_wait(&hub->finished, &hub->mutex);
    pthread_mutex_unlock(&hub->mutex);
}

static void hub_free(struct yk_hub *hub)
{
    if (hub->connection)
        close_connection(hub);
    natsSubscription_Destroy(hub->answers);
    jsCtx_Destroy(hub->js);
    natsConnection_Destroy(hub->connection);
    pthread_cond_destroy(&hub->finished);
    pthread_mutex_destroy(&hub->peers_mutex);
    pthread_mutex_destroy(&hub->wire_mutex);
    pthread_mutex_destroy(&hub->mutex);
    free(hub);
}

static void init_finished(pthread_cond_t *finished)
{
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(finished, &attributes);
    pthread_condattr_destroy(&attributes);
}

static int hub_start(struct yk_hub *hub)
{
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* threads inherit it */
    int result = connect_hub(hub);
    if (result == 0)
        result = check_server(hub);
    if (result == 0 && pthread_create(&hub->keeper, NULL, keep, hub) != 0)
        result = yk_fail(ENOMEM, "no thread for the connection to NATS");
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return result;
}

static int hub_new(struct yk_hub **ret, const char *place)
{
    char unique[33];
    struct yk_hub *hub = calloc(1, sizeof *hub);

    if (!hub)
        return yk_fail(ENOMEM, "no memory for a connection");
    strcpy(hub->place, place);
    pthread_mutex_init(&hub->mutex, NULL);
    pthread_mutex_init(&hub->wire_mutex, NULL);
    hub->wire.fd = -1;
    pthread_mutex_init(&hub->peers_mutex, NULL);
    hub->since = yk_nats_now();
    init_finished(&hub->finished);
    int result = yk_nats_where_parse(place, &hub->where);
    yk_nats_random_hex(unique, 16);
    snprintf(hub->inbox, sizeof hub->inbox, "_INBOX.%s", unique);
    if (result == 0)
        result = hub_start(hub);
    if (result < 0) {
        hub_free(hub);
        return result;
    }
    *ret = hub;
    return 0;
}

int yk_hub_get(struct yk_hub **ret, const char *place)
{
    static bool initialised;
    struct yk_hub *hub;
    int result = 0;

    pthread_mutex_lock(&table.mutex);
    if (!initialised) {
        yk_nats_fork_call(in_child);
        result = yk_nats_fork_init();
        initialised = result == 0;
    }
    for (hub = table.hubs; hub && strcmp(hub->place, place) != 0; hub = hub->next)
        ;
    if (!hub && result == 0) {
        result = hub_new(&hub, place);
        if (result == 0) {
            hub->next = table.hubs;
            table.hubs = hub;
        }
    }
    if (result == 0) {
        hub->users++;
        *ret = hub;
    }
    pthread_mutex_unlock(&table.mutex);
    return result;
}

static void hub_stop(struct yk_hub *hub)
{
    pthread_mutex_lock(&hub->mutex);
    hub->ends = true;
    pthread_cond_signal(&hub->finished);
    pthread_mutex_unlock(&hub->mutex);
    pthread_join(hub->keeper, NULL);
    if (!yk_hub_is_away(hub))
        yk_hub_flush(hub, CLOSE_FLUSH_MS);
    hub_free(hub);
}

void yk_hub_put(struct yk_hub *hub)
{
    pthread_mutex_lock(&table.mutex);
    bool last = --hub->users == 0;
    for (struct yk_hub **at = &table.hubs; last && *at; at = &(*at)->next)
        if (*at == hub) {
            *at = hub->next;
            break;
        }
    pthread_mutex_unlock(&table.mutex);
    if (last)
        hub_stop(hub);
}

/* ---- lines ---- */

void yk_hub_add(struct yk_hub *hub, struct yk_line *line)
{
    line->hub = hub;
    pthread_mutex_lock(&hub->mutex);
    line->id = ++hub->last_line;
    line->next = hub->lines;
    hub->lines = line;
    pthread_mutex_unlock(&hub->mutex);
}

void yk_hub_remove(struct yk_line *line)
{
    pthread_mutex_lock(&line->hub->mutex);
    for (struct yk_line **at = &line->hub->lines; *at; at = &(*at)->next)
        if (*at == line) {
            *at = line->next;
            break;
        }
    pthread_mutex_unlock(&line->hub->mutex);
}

void yk_hub_reply(const struct yk_line *line, char kind, uint64_t token,
                  char reply[YK_NATS_REPLY_MOST])
{
    snprintf(reply, YK_NATS_REPLY_MOST, "%s.%llx.%c%llx", line->hub->inbox,
             (unsigned long long)line->id, kind, (unsigned long long)token);
}

void yk_ear_reply(const struct yk_ear *ear, uint64_t token, char reply[YK_NATS_REPLY_MOST])
{
    snprintf(reply, YK_NATS_REPLY_MOST, "%s%c.%llx.%c%llx", ear->line->hub->inbox, ear->kind,
             (unsigned long long)ear->line->id, ear->kind, (unsigned long long)token);
}

int yk_ear_open(struct yk_ear *ear)
{
    char subject[YK_NATS_REPLY_MOST];

    snprintf(subject, sizeof subject, "%s%c.%llx.*", ear->line->hub->inbox, ear->kind,
             (unsigned long long)ear->line->id);
    return yk_ear_open_at(ear, subject);
}

/* The last that the client calls of it. */
static void ear_over(void *context)
{
    struct yk_ear *ear = context;
    struct yk_hub *hub = ear->line->hub;

    pthread_mutex_lock(&hub->mutex);
    ear->over = true;
    pthread_cond_broadcast(&hub->finished);
    pthread_mutex_unlock(&hub->mutex);
}

int yk_ear_open_at(struct yk_ear *ear, const char *subject)
{
    sigset_t all, before;

    ear->over = false;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    natsStatus status = natsConnection_Subscribe(&ear->subscription, ear->line->hub->connection,
                                                 subject, hear, ear);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (status == NATS_OK)
        status = natsSubscription_SetOnCompleteCB(ear->subscription, ear_over, ear);
    if (status == NATS_OK)
        status = natsSubscription_SetPendingLimits(ear->subscription, -1, -1);
    return status == NATS_OK ? 0 : yk_hub_fail(status, 0, "subscribing");
}

void yk_ear_close(struct yk_ear *ear)
{
    struct yk_hub *hub = ear->line->hub;

    if (!ear->subscription)
        return;
    /* without servers nothing is on its way */
    if (yk_hub_is_away(hub) ||
        natsSubscription_DrainTimeout(ear->subscription, CLOSE_FLUSH_MS) != NATS_OK)
        natsSubscription_Unsubscribe(ear->subscription);
    pthread_mutex_lock(&hub->mutex);
    while (!ear->over)
        pthread_cond_wait(&hub->finished, &hub->mutex);
    pthread_mutex_unlock(&hub->mutex);
    natsSubscription_Destroy(ear->subscription);
    ear->subscription = NULL;
}

natsStatus yk_hub_ask(const struct yk_line *line, const char *subject, const char *reply,
                      const void *data, size_t size)
{
    return natsConnection_PublishRequest(line->hub->connection, subject, reply, data, (int)size);
}

void yk_hub_acknowledge(struct yk_hub *hub, const char *reply, const char *verb)
{
    natsConnection_Publish(hub->connection, reply, verb, (int)strlen(verb));
}

/* The client makes a system call for each message; so the kernel has them in a few packets, and the server in a few reads. */
void yk_hub_gather(struct yk_hub *hub)
{
    pthread_mutex_lock(&hub->wire_mutex);
    if (hub->gathering++ == 0)
        yk_nats_wire_cork(hub->wire, true);
    pthread_mutex_unlock(&hub->wire_mutex);
}

void yk_hub_scatter(struct yk_hub *hub)
{
    pthread_mutex_lock(&hub->wire_mutex);
    if (--hub->gathering == 0)
        yk_nats_wire_cork(hub->wire, false);
    pthread_mutex_unlock(&hub->wire_mutex);
}

bool yk_hub_flush(struct yk_hub *hub, int64_t milliseconds)
{
    int64_t until = yk_nats_now() + milliseconds * YK_MILLISECOND_NS, left = milliseconds;
    natsStatus status = NATS_TIMEOUT;

    while (left > 0) { /* it fails at once when the connection is lost, which may be back in time */
        status = natsConnection_FlushTimeout(hub->connection, left);
        if (status == NATS_OK || status == NATS_TIMEOUT)
            break;
        nanosleep(&(struct timespec){.tv_nsec = FLUSH_PAUSE_NS}, NULL);
        left = (until - yk_nats_now()) / YK_MILLISECOND_NS;
    }
    pthread_mutex_lock(&hub->mutex);
    hub->away = status != NATS_OK;
    pthread_mutex_unlock(&hub->mutex);
    return status == NATS_OK;
}

bool yk_hub_is_away(struct yk_hub *hub)
{
    pthread_mutex_lock(&hub->mutex);
    bool away = hub->away;
    pthread_mutex_unlock(&hub->mutex);
    return away && !yk_hub_flush(hub, AWAY_FLUSH_MS);
}

bool yk_hub_connected(const struct yk_hub *hub)
{
    return natsConnection_Status(hub->connection) == NATS_CONN_STATUS_CONNECTED;
}

bool yk_hub_is_clustered(const struct yk_hub *hub)
{
    char **servers = NULL;
    int count = 0;

    if (hub->where.count > 1 || hub->replicas > 1)
        return true;
    if (natsConnection_GetDiscoveredServers(hub->connection, &servers, &count) != NATS_OK)
        return false;
    for (int i = 0; i < count; i++)
        free(servers[i]);
    free(servers);
    return count > 1;
}

bool yk_hub_again(const struct yk_hub *hub, natsStatus status, jsErrCode code, int64_t *until)
{
    int64_t now = yk_nats_now();
    bool clustered = yk_hub_is_clustered(hub);
    bool passes = status == NATS_NO_RESPONDERS || /* or of a stream just made, that it hears */
                  (clustered && (status == NATS_TIMEOUT || code == JSClusterNotAvailErr ||
                                 code == JSClusterNotLeaderErr || code == JSClusterIncompleteErr));

    if (status == NATS_OK || !passes)
        return false;
    if (*until == 0)
        *until = now + (clustered ? LEADERLESS_NS : SETTLING_NS);
    if (now >= *until)
        return false;
    nanosleep(&(struct timespec){.tv_nsec = LEADERLESS_PAUSE_NS}, NULL);
    return true;
}
