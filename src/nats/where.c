/*
 * where.c - see where.h.
 */
#include "where.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCHEME           "nats://"
#define PREFIX_DEFAULT   "yoke"
#define PREFIX_CHARS     "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"
#define ACK_WAIT_DEFAULT 30
#define LEASE_DEFAULT    30
#define ACK_WAIT_MOST    86400
#define REPLICAS_MOST    5

/*
 * A password with one of the characters that end the servers goes on behind them: what has the '@' that would end it
 * is not repeated.
 */
static const char *fit_to_show(const char *text)
{
    return strchr(text, '@') ? "…" : text;
}

static int parse_number(const char *name, const char *value, long most, long *ret)
{
    char *end;
    long number = strtol(value, &end, 10);

    if (value[0] < '0' || value[0] > '9' || *end != '\0' || number < 1 || number > most)
        return yk_fail(EINVAL, "the option %s=%.20s of the place is no number from 1 to %ld", name,
                       fit_to_show(value), most);
    *ret = number;
    return 0;
}

static int parse_option(struct yk_nats_where *where, const char *option)
{
    const char *value = strchr(option, '=');
    size_t length = value ? (size_t)(value - option) : strlen(option);
    const char *shown = fit_to_show(option);
    long number = 0;
    int result;

    if (value && length == 8 && strncmp(option, "ack_wait", length) == 0) {
        result = parse_number("ack_wait", value + 1, ACK_WAIT_MOST, &number);
        where->ack_wait_ns = number * YK_SECOND_NS;
        return result;
    }
    if (value && length == 5 && strncmp(option, "lease", length) == 0) {
        result = parse_number("lease", value + 1, ACK_WAIT_MOST, &number);
        where->lease_ns = number * YK_SECOND_NS;
        return result;
    }
    if (value && length == 8 && strncmp(option, "replicas", length) == 0) {
        result = parse_number("replicas", value + 1, REPLICAS_MOST, &number);
        where->replicas = (int)number;
        return result;
    }
    if (strcmp(option, "tls") == 0) {
        where->tls = true;
        return 0;
    }
    return yk_fail(
        EINVAL,
        "the place has the option '%.*s': ack_wait=SECONDS, lease=SECONDS, replicas=NUMBER and tls are to be had",
        (int)(length < 20 && shown == option ? length : 20), shown);
}

static int parse_options(struct yk_nats_where *where, char *options)
{
    char *rest = options, *option;

    while ((option = strsep(&rest, "&")) != NULL) {
        int result = parse_option(where, option);
        if (result < 0)
            return result;
    }
    return 0;
}

static int take_prefix(struct yk_nats_where *where, const char *prefix)
{
    size_t length = strlen(prefix);

    if (length == 0)
        prefix = PREFIX_DEFAULT;
    if (length > YK_NATS_PREFIX_MOST || strspn(prefix, PREFIX_CHARS) != strlen(prefix))
        return yk_fail(
            EINVAL,
            "'%.40s' behind the servers of the place: up to %d letters, digits, '_' and '-' can be "
            "there",
            fit_to_show(prefix), YK_NATS_PREFIX_MOST);
    strcpy(where->prefix, prefix);
    return 0;
}

/* Each becomes a URL of its own, all with the user of the first that has one. */
static int take_servers(struct yk_nats_where *where, char *servers)
{
    char *out = where->text, *rest = servers, *server;
    char user[YK_PLACE_MAX] = "";

    while ((server = strsep(&rest, ",")) != NULL) {
        char *host = strrchr(server, '@');

        if (host) {
            snprintf(user, sizeof user, "%.*s", (int)(host + 1 - server), server);
            server = host + 1;
        }
        if (server[0] == '\0' || server[0] == ':')
            return yk_fail(
                EINVAL,
                "server %d of the place has no name: nats://HOST:PORT,HOST:PORT is the form",
                where->count + 1);
        if (where->count == YK_NATS_SERVERS_MOST)
            return yk_fail(
                EINVAL,
                "the place names more than %d servers: it finds the others of a cluster itself",
                YK_NATS_SERVERS_MOST);
        int length = snprintf(out, (size_t)(where->text + sizeof where->text - out), "nats://%s%s",
                              user, server);
        if (length >= where->text + sizeof where->text - out)
            return yk_fail(EINVAL, "the place's servers with their user are too long");
        where->servers[where->count++] = out;
        out += length + 1;
    }
    return 0;
}

int yk_nats_where_parse(const char *place, struct yk_nats_where *ret)
{
    char copy[YK_PLACE_MAX];
    int result = 0;

    *ret = (struct yk_nats_where){.ack_wait_ns = ACK_WAIT_DEFAULT * YK_SECOND_NS,
                                  .lease_ns = LEASE_DEFAULT * YK_SECOND_NS};
    snprintf(copy, sizeof copy, "%s", place + sizeof SCHEME - 1);
    char *options = strchr(copy, '?');
    if (options) {
        *options = '\0';
        result = parse_options(ret, options + 1);
    }
    char *prefix = strchr(copy, '/');
    if (prefix)
        *prefix++ = '\0';
    if (result == 0)
        result = take_prefix(ret, prefix ? prefix : "");
    return result == 0 ? take_servers(ret, copy) : result;
}
