/*
 * where.h - the text of a place, nats://HOST:PORT[,HOST:PORT…][/PREFIX][?OPTION&…], taken apart.
 */
#ifndef YK_NATS_WHERE_H
#define YK_NATS_WHERE_H

#include "host.h"

#define YK_NATS_SERVERS_MOST 16
#define YK_NATS_PREFIX_MOST  32

struct yk_nats_where {
    char text[2 * YK_PLACE_MAX + 8 * YK_NATS_SERVERS_MOST]; /* what `servers` points into */
    const char *servers[YK_NATS_SERVERS_MOST];              /* each a URL, its user included */
    int count;
    char prefix[YK_NATS_PREFIX_MOST + 1];
    int64_t ack_wait_ns; /* for what is created: how long a receiver may be silent */
    bool tls;            /* no server without it, whatever the servers say */
    int64_t
        lease_ns; /* for a prefix's first user: after so long, who does not say that he is there is not */
    int replicas; /* for what is created; 0: three in a cluster, one on a single server */
};

/* 0, or -EINVAL; its sentence does not have the user and the password. */
int yk_nats_where_parse(const char *place, struct yk_nats_where *ret);

#endif
