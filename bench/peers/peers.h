/*
 * peers.h - what a user might take for messages between processes, one file each.
 */
#ifndef YK_BENCH_PEERS_H
#define YK_BENCH_PEERS_H

#include "../system.h"

extern const struct bench_system bench_yoke_link;
extern const struct bench_system bench_yoke_link_loan;
extern const struct bench_system bench_yoke_port;
extern const struct bench_system bench_yoke_port_loan;
extern const struct bench_system bench_yoke_set;
extern const struct bench_system bench_pipe;
extern const struct bench_system bench_mq;
extern const struct bench_system bench_unix_stream;
extern const struct bench_system bench_unix_seqpacket;
extern const struct bench_system bench_sysv_msg;
extern const struct bench_system bench_vyukov;
/* Or what says that they are not there. */
extern const struct bench_system bench_zeromq;
extern const struct bench_system bench_nng;
extern const struct bench_system bench_boost_mq;
extern const struct bench_system bench_ck_spsc;
extern const struct bench_system bench_ck_mpmc;
extern const struct bench_system bench_dpdk_ring;
extern const struct bench_system bench_iceoryx2;

#endif
