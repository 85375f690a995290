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

#include "inspect.h"
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
/* Has the peer of that record an inbox in the kernel? */
bool yk_signal_socket_is_there(const struct yk_directory *directory, const struct yk_record *peer);
/* Does a living process (still) have the peer's name? 1, 0, or why it can not be told. */
int yk_signal_socket_lives(const struct yk_signal_socket *target);
int yk_signal_socket_send(const struct yk_signal_socket *target, const char *name,
                          const struct yk_signal_packet *packet);

/* The peer's own, made anew, into *ret. 0 or an error. Guarded: a forked child does not have it. */
int yk_signal_socket_make(struct yk_guarded_fd *ret, const struct yk_peer *peer,
                          const struct yoke_options *options);
void yk_signal_socket_remove(struct yk_guarded_fd *socket, const struct yk_peer *peer);

/*
 * For inspect.c: the inbox in the kernel of peer NAME, seen from outside. The kernel tells nobody
 * how many signals wait there. Of the participants, if there is room for one, the peer's process. 0;
 * -ENOENT: nobody is that peer, or it has no such inbox; -EACCES ...
 */
int yk_signal_socket_look(const struct yk_directory *directory, const char *name,
                          struct yk_object_facts *facts, struct yk_participant_facts *people,
                          size_t *count);

/* The number of datagrams that may wait, as the machine has it now; 0: not to be seen. */
uint32_t yk_signal_socket_depth(void);

#endif
