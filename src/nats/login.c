/*
 * login.c - see login.h.
 */
#include "login.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NKEY_LENGTH 56 /* characters of a public key, the first is its kind */

static const char *variable(const char *name)
{
    const char *value = secure_getenv(name);

    return value && value[0] != '\0' ? value : NULL;
}

/* The client says of a file that is not there only that there is an error. */
static int check_file(const char *name)
{
    const char *path = variable(name);

    if (!path || access(path, R_OK) == 0)
        return 0;
    return yk_fail(EACCES, "the file that %s names, %.200s, can not be read: %s", name, path,
                   strerror(errno));
}

static int check_files(void)
{
    static const char *const names[] = {"NATS_CREDS", "NATS_NKEY", "NATS_CA", "NATS_CERT",
                                        "NATS_KEY"};
    int result = 0;

    for (size_t i = 0; result == 0 && i < sizeof names / sizeof *names; i++)
        result = check_file(names[i]);
    return result;
}

static int refuse(natsStatus status, const char *name)
{
    if (status == NATS_OK)
        return 0;
    return yk_fail(EACCES, "what %s names can not be used to log in (%s)", name,
                   natsStatus_GetText(status));
}

/* The line that is a user's public key; the client does not make it out of the secret one. */
static bool find_public_key(const char *path, char key[NKEY_LENGTH + 1])
{
    char line[256];
    bool found = false;
    FILE *file = fopen(path, "re");

    while (file && !found && fgets(line, sizeof line, file)) {
        size_t length = strcspn(line, "\r\n");
        line[length] = '\0';
        found = length == NKEY_LENGTH && line[0] == 'U';
        if (found)
            memcpy(key, line, NKEY_LENGTH + 1);
    }
    if (file)
        fclose(file);
    explicit_bzero(line, sizeof line);
    return found;
}

static int use_nkey(natsOptions *options, const char *path)
{
    char key[NKEY_LENGTH + 1];

    if (!find_public_key(path, key))
        return yk_fail(
            EINVAL,
            "the file that NATS_NKEY names has no line with the public key (U…): `nk -pubout` "
            "prints it, put it under the seed");
    return refuse(natsOptions_SetNKeyFromSeed(options, key, path), "NATS_NKEY");
}

static int use_tls(natsOptions *options, bool asked)
{
    const char *ca = variable("NATS_CA"), *certificate = variable("NATS_CERT"),
               *key = variable("NATS_KEY");
    int result = 0;

    if (ca || certificate || asked)
        result = refuse(natsOptions_SetSecure(options, true), "the TLS library");
    if (result == 0 && ca)
        result = refuse(natsOptions_LoadCATrustedCertificates(options, ca), "NATS_CA");
    if (result == 0 && certificate && !key)
        result =
            yk_fail(EINVAL, "NATS_CERT is set and NATS_KEY is not: it names the certificate's key");
    if (result == 0 && certificate)
        result = refuse(natsOptions_LoadCertificatesChain(options, certificate, key),
                        "NATS_CERT or NATS_KEY");
    return result;
}

int yk_nats_login(natsOptions *options, const struct yk_nats_where *where)
{
    const char *user = variable("NATS_USER"), *password = variable("NATS_PASSWORD");
    const char *token = variable("NATS_TOKEN"), *credentials = variable("NATS_CREDS");
    const char *nkey = variable("NATS_NKEY");
    int result = check_files();

    if (result == 0)
        result = use_tls(options, where->tls);
    if (result == 0 && credentials)
        result = refuse(natsOptions_SetUserCredentialsFromFiles(options, credentials, NULL),
                        "NATS_CREDS");
    else if (result == 0 && nkey)
        result = use_nkey(options, nkey);
    if (result == 0 && user && password)
        result = refuse(natsOptions_SetUserInfo(options, user, password), "NATS_USER");
    else if (result == 0 && (token || user)) /* as the nats tool takes a user without a password */
        result = refuse(natsOptions_SetToken(options, token ? token : user), "NATS_TOKEN");
    return result;
}
