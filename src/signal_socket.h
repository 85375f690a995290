/*
 * signal_socket.h - signals in the kernel: a socket in the name directory, .signals-NONCE, called
 * after the object of its peer and gone with that.
 *
 * Each signal is one datagram. The kernel says which process and user sent it; how many may wait is
 * the machine's to say (net.unix.max_dgram_qlen). Who sends needs the right to write the socket's
 * file, and proof that the peer's lock is held; no memory is shared.
 */
#ifndef YK_SIGNAL_SOCKET_H
#define YK_SIGNAL_SOCKET_H

#include "peer.h"
#include "signals.h"

/* Where a sender sends to: found once. */
struct yk_signal_socket {
    struct yk_directory directory;
    int lock_file; /* the peer's */
    uint32_t uid;  /* of who may have made the socket */
    char path[48];
};

int yk_signal_socket_find(struct yk_signal_socket *ret, const struct yk_directory *directory,
                          const char *name);
void yk_signal_socket_lose(struct yk_signal_socket *target);
/* Does a living process (still) have the peer's name? */
bool yk_signal_socket_lives(const struct yk_signal_socket *target);
int yk_signal_socket_send(const struct yk_signal_socket *target, const char *name,
                          const struct yk_signal_packet *packet);

/* The peer's own, made anew, into *ret. 0 or an error. Guarded: a forked child does not have it. */
int yk_signal_socket_make(struct yk_guarded_fd *ret, const struct yk_peer *peer,
                          const struct yoke_options *options);
void yk_signal_socket_remove(struct yk_guarded_fd *socket, const struct yk_peer *peer);

/* The number of datagrams that may wait, as the machine has it now; 0: not to be seen. */
uint32_t yk_signal_socket_depth(void);

#endif
