/*
 * peer.h - the names under which this process has joined. A name belongs to the process as a whole:
 * what is opened under it shares one peer, which leaves with the last of them.
 */
#ifndef YK_PEER_H
#define YK_PEER_H

#include "address.h"
#include "notice.h"
#include "yoke.h"

struct yk_link;
struct yk_place_peers;
struct yk_member;

/* A name of this process. */
#define YK_PEER_MARK 1 /* what its bell is rung with */

/* What may yet be of interest. */
enum yk_passed_over {
    YK_PASSED_REFUSED = 1, /* a link that could not be opened: nobody tells when it can */
    YK_PASSED_LEFT = 2,    /* one that this peer left: who opens it again rings, if it may */
};

struct yk_peer {
    struct yk_object object; /* first: the kind's callbacks get it */
    uint32_t references;     /* this and all below under the process-wide mutex */
    uint64_t inbox;          /* who receives its signals: a process's fork stamp; 0: nobody */
    struct yk_link *links;   /* that are open as this peer */
    struct yk_link *served;  /* that yoke_peer_next() returned last */
    struct yk_bell bell;     /* of all its links; fd -1: not made yet */
    struct yk_watch names;   /* on the directory: rings the bell */
    int epoll, timer;        /* yoke_peer_fd(); -1: not asked for */
    int64_t looked;          /* when yoke_peer_next() last looked for newcomers and for the dead */
    yk_atomic32 passed_over; /* the last search passed over: enum yk_passed_over */
    int64_t retry_ns;        /* of yoke_peer_fd(), for left links: how long it last waited */
    uint64_t *refused;       /* whose links could not be opened since `refused_at`, by hash */
    size_t refused_count, refused_room;
    int64_t refused_at;
    struct yk_peer *next;
};

/* What yoke_peer_join() hands out: a process may have several to one name. */
struct yoke_peer {
    struct yk_peer *peer;
    const struct yk_place_peers *elsewhere; /* in a place with peers of its own: `peer` is NULL */
    void *self;                             /* the place's */
    struct yk_address at;                   /* elsewhere: its name there, and who joined */
    uint64_t joined;                        /* (a process's fork stamp) */
    yk_atomic64 fork_stamp;                 /* the process that `inside` counts the threads of */
    yk_atomic32 cancelled;
    yk_atomic32 inside;       /* threads that wait through this handle */
    struct yk_member *member; /* in a wait set; NULL: it is in none */
};

/* Somebody who is there, until that one is gone. */
struct yk_gone;
/* `notify` is called, in any thread, when it is time to look. 0, or an error. */
int yk_gone_begin(struct yk_gone **ret_gone, const char *name, void (*notify)(void *context),
                  void *context);
/* Is that so? How long until one should look again, in nanoseconds; 0: when notified. */
int64_t yk_gone_look(struct yk_gone *gone, bool *ret_gone);
void yk_gone_end(struct yk_gone *gone);

/* Joins as `name`, or finds that this process has: then one reference more. -EADDRINUSE … */
int yk_peer_hold(struct yk_peer **ret_peer, const char *name, const struct yoke_options *options);
/* One less; the last one leaves. */
void yk_peer_drop(struct yk_peer *peer);

void yk_peer_add_link(struct yk_peer *peer, struct yk_link *link);
void yk_peer_remove_link(struct yk_peer *peer, struct yk_link *link);
/* In a forked child: joins under an inherited name, or link's name, unless the child has already. */
int yk_peer_enter(struct yk_peer **peer);
int yk_peer_enter_link(struct yk_link *link);

/* One more who holds the peer: the only one that receives its signals. -EBUSY: there is one. */
int yk_peer_open_inbox(struct yoke_peer *handle, struct yk_peer **ret_peer);
void yk_peer_close_inbox(struct yk_peer *peer, uint64_t fork_stamp);

/* Its name. In a forked child: as yk_peer_enter(). */
int yk_peer_name(struct yoke_peer *handle, const char **ret);

/* A call that waits through the handle, which goes only after the end of it. 0, or as joining. */
int yk_peer_visit_begin(struct yoke_peer *handle);
void yk_peer_visit_end(struct yoke_peer *handle);

/* A link to this peer that is not open in this process: 1, and who the other one is; 0; an error. */
int yk_peer_find_link(struct yk_peer *peer, const struct yk_directory *directory,
                      char ret_other[YOKE_PEER_NAME_MAX + 1]);

/*
 * Threads that wait find the same link, and open it one after the other: false when another one was
 * first. To be ended where it was true.
 */
bool yk_peer_begin_opening(struct yk_peer *peer, const char *other);
void yk_peer_end_opening(struct yk_peer *peer);

/*
 * The link of that peer could not be opened: it is passed over for a while, so that it can not stand
 * in the way of others.
 */
void yk_peer_refuse(struct yk_peer *peer, const char *other);

/*
 * Waits for a link to this peer that is not open in this process: 0, and who the other one is.
 * -EAGAIN, -ETIMEDOUT, -EINTR, -ECANCELED.
 */
int yk_peer_await_link(struct yoke_peer *handle, char ret_other[YOKE_PEER_NAME_MAX + 1],
                       int64_t timeout_ns);

/*
 * Waits for the next link of this peer that has something (YOKE_NEXT_READY and *ret_link), or that
 * somebody opened (YOKE_NEXT_OPENED and *ret_other).
 */
int yk_peer_next(struct yoke_peer *handle, struct yk_link **ret_link,
                 char ret_other[YOKE_PEER_NAME_MAX + 1], int64_t timeout_ns);

/* yoke_peer_fd(). */
int yk_peer_descriptor(struct yk_peer *peer);
/* Closes what waiting has made: the process's own, and what a parent had. */
void yk_peer_end_waiting(struct yk_peer *peer);
void yk_peer_forget_waiting(struct yk_peer *peer);

/*
 * Whoever is peer NAME, and waits for links, looks once more: for who has opened one that it left. Not
 * told where it is not there, or may not be rung.
 */
void yk_peer_stir(const char *directory, const char *name);

#endif
