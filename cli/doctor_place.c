/*
 * doctor_place.c - see doctor.h: a place across machines. What it finds there it tells itself
 * (yk_inspect_check()); here is what to do when nobody lets us look.
 */
#include "doctor.h"

#include <errno.h>
#include <string.h>
#include <yoke.h>

static void add_finding(enum yk_severity severity, const char *subject, const char *cure,
                        const char *text, void *context)
{
    yk_find(context, severity, subject, cure, "%s", text);
}

static const char *cure_of(int error, const char *sentence)
{
    bool server = strstr(sentence, "JetStream") || strstr(sentence, "nats-server");

    switch (error) {
    case -EHOSTUNREACH:
        return "start nats-server -js there; or is it another port, or something between that keeps us "
               "off?";
    case -EACCES:
        if (strstr(sentence, "has no TLS"))
            return "leave out ?tls, NATS_CA and NATS_CERT, or let the server have TLS";
        return "set NATS_USER and NATS_PASSWORD, NATS_TOKEN, NATS_NKEY or NATS_CREDS, and NATS_CA for TLS; "
               "yoke-doctor(1) says which rights it takes";
    case -ENOTSUP:
        if (!server)
            return "install the package yoke-nats; in a build tree, YOKE_PLUGINS=BUILD/src/nats";
        return "start it with -js, as nats-server 2.9 or newer, and let the account have JetStream";
    default:
        return NULL;
    }
}

int yk_doctor_place(struct yk_findings *findings, const char *place)
{
    char shown[YK_WHERE_TEXT];
    int result = yk_inspect_check(place, add_finding, findings);

    if (result == -EINVAL || (result == -ENOTSUP && !strstr(place, "://")))
        return result;
    yk_inspect_hide(shown, sizeof shown, place);
    if (result < 0)
        yk_find(findings, YK_FAULT, shown, cure_of(result, yoke_explain()), "%s", yoke_explain());
    return 0;
}
