/*
 * signals.h - signals: a number and a value for a peer, by its name.
 *
 * In memory a peer's inbox is a port under another kind, signals:NAME, which the peer makes anew
 * each time: what was sent to an earlier owner of the name lies in an earlier object, and can not
 * reach the next. Slot 0 is the owner's alone, so the lock of its byte proves that the one who is to
 * receive lives; whoever sends has another slot. inbox.c receives, signals.c sends.
 *
 * In the kernel it is a socket in the name directory, called after the peer's object
 * (signal_socket.h). In a place across machines it is whatever endpoint that place opens as one of
 * this kind (place.h). All carry the same packet.
 */
#ifndef YK_SIGNALS_H
#define YK_SIGNALS_H

#include "address.h"
#include "memory/directory.h"
#include "yoke.h"

/* As the sender states it. Who receives checks the name. */
struct yk_signal_packet {
    uint64_t value;
    uint32_t number;
    union {
        uint32_t uid;  /* in memory, and across machines */
        int32_t proof; /* in the kernel: the sender's descriptor that has the lock of its name */
    };
    char sender[YOKE_PEER_NAME_MAX]; /* filled up with zeroes; no name: all of it */
};
_Static_assert(sizeof(struct yk_signal_packet) == 128, "a packet is the same everywhere");

#define YK_SIGNALS_OWNER 0 /* the slot of who receives */

/* "bob", "peer:bob", "peer:bob@kernel", or in a place across machines, which $YOKE_PLACE may be, too. */
struct yk_signal_address {
    char name[YOKE_PEER_NAME_MAX + 1];
    bool kernel;
    const struct yk_place *place; /* across machines; NULL: on this one */
    char where[YK_PLACE_MAX];     /* that one's text */
};
int yk_signal_address_parse(const char *text, struct yk_signal_address *ret);

#endif
