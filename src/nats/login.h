/*
 * login.h - who this is to the server, and how it is to be trusted: by the environment variables of
 * the `nats` tool. Nothing of it is ever written anywhere.
 */
#ifndef YK_NATS_LOGIN_H
#define YK_NATS_LOGIN_H

#include <nats/nats.h>

#include "where.h"

/* 0; -EACCES or -EINVAL: a file that can not be used. */
int yk_nats_login(natsOptions *options, const struct yk_nats_where *where);

#endif
