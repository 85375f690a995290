/*
 * signals.h - a peer's inbox of signals on JetStream: a port of another kind, without parked messages, that each owner of
 * the peer's name makes anew. Its name says whose it is; whoever sends asks the servers before each signal
 * whether that one still has the peer's name.
 */
#ifndef YK_NATS_SIGNALS_H
#define YK_NATS_SIGNALS_H

#include "names.h"

#define YK_SIGNALS "signals" /* in subjects */

/* YOKE_CREATE: the inbox, of the peer that this process has joined as; else whoever sends. -ENOENT: nobody is that peer. */
int yk_nats_signals_open(yoke_endpoint *endpoint, const struct yk_address *address, uint32_t flags,
                         const struct yoke_options *options);

/* Does whoever made that inbox still have the peer's name, by the servers' word? 0, or why it can not be told. */
int yk_nats_signals_lives(struct yk_hub *hub, const char *name, const struct yk_nats_facts *facts,
                          bool *ret);
/* Takes it away, name and stream. -ENOENT: the name went, or is another's. */
int yk_nats_signals_clear(struct yk_hub *hub, const char *name, const struct yk_nats_facts *facts);

#endif
