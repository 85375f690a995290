/*
 * hide.c - see hide.h.
 */
#include "base/hide.h"

#include <stdbool.h>
#include <string.h>

struct copy {
    char *text;
    size_t used, room;
};

static void add(struct copy *copy, const char *text, size_t length)
{
    size_t left = copy->room - copy->used - 1;

    if (length > left)
        length = left;
    memcpy(copy->text + copy->used, text, length);
    copy->used += length;
}

/* "user:pass", the first part of a password with a ',' in it; no port is like that. */
static bool is_torn(const char *server, size_t length)
{
    const char *colon = memchr(server, ':', length);

    return colon && server[0] != '[' && colon + 1 < server + length &&
           (colon[1] < '0' || colon[1] > '9');
}

static void add_servers(struct copy *copy, const char *servers, size_t length)
{
    const char *end = servers + length, *last_login = length ? memrchr(servers, '@', length) : NULL;
    bool first = true;

    for (const char *server = servers; server <= end;) {
        const char *comma = memchr(server, ',', (size_t)(end - server));
        const char *after = comma ? comma : end;
        const char *login = memrchr(server, '@', (size_t)(after - server));
        const char *shown = login ? login + 1 : server;

        if (login || !last_login || server > last_login ||
            !is_torn(server, (size_t)(after - server))) {
            if (!first)
                add(copy, ",", 1);
            first = false;
            add(copy, shown, (size_t)(after - shown));
        }
        server = after + 1;
    }
}

void yk_hide_logins(char *shown, size_t room, const char *text)
{
    struct copy copy = {.text = shown, .room = room};
    const char *scheme;

    while ((scheme = strstr(text, "://")) != NULL) {
        const char *servers = scheme + 3;
        size_t length = strcspn(servers, "/? \t\r\n");
        add(&copy, text, (size_t)(servers - text));
        add_servers(&copy, servers, length);
        text = servers + length;
    }
    add(&copy, text, strlen(text));
    shown[copy.used] = '\0';
}
