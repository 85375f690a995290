/*
 * inspect.h - looking at objects without taking part in them. For the command-line tool only.
 *
 * Everything here attaches read-only and changes nothing, except yk_gc(), which clears what is
 * provably dead. (A look that turns out to be a transient object's last attachment takes its name
 * along, as every last user does.) What is reported of a participant (pid, command) was written by
 * that participant: a hint, unless `proven` says that /proc shows the process holding the
 * participant's lock.
 */
#ifndef YK_INSPECT_H
#define YK_INSPECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define YK_NONE_HELD  UINT64_MAX
#define YK_WHERE_TEXT 512 /* of a place, its end included */
#define YK_HOST_TEXT  65  /* of a machine's name */

struct yk_participant_facts {
    uint32_t slot;
    int32_t pid;      /* as the participant saw it when it joined */
    char command[16]; /* its comm, printable characters only */
    uint32_t uid;
    bool alive;  /* the kernel says that its lock is held (unknown counts as alive) */
    bool proven; /* /proc/PID/fdinfo shows that this very pid holds it */
    char state;  /* of the process, from /proc/PID/stat ('T' stopped, 'S' …), '?' when unknown */
    uint32_t waiting_receive, waiting_send; /* its threads that wait now */
    uint64_t sent, received;                /* messages */
    uint64_t bytes_sent, bytes_received;    /* of ports and signals: bytes of those */
    uint64_t empty, full;                   /* calls that found nothing to receive; no room */
    uint32_t held;                          /* messages that it has borrowed */
    uint64_t oldest;         /* the lowest sequence number of those, or YK_NONE_HELD */
    char end;                /* of a stream: 'r' or 'w', in `held` whether it is inside */
    uint64_t joined_ns;      /* CLOCK_REALTIME */
    char host[YK_HOST_TEXT]; /* its machine, of places across several */
};

/* Which facts could be had, in this order: where there is a problem, the later ones could not. */
#define YK_KNOWN_OWNER   0x01u /* uid, gid */
#define YK_KNOWN_NAME    0x02u /* what the name's file says: kept, segment */
#define YK_KNOWN_MEMORY  0x04u /* what the kernel says: mode, memory_..., attached */
#define YK_KNOWN_HEADER  0x08u /* created_ns, creator, participants_max, region_size */
#define YK_KNOWN_INSIDE  0x10u /* the rest */
#define YK_KNOWN_TRAFFIC 0x20u /* held, parked, sent, received, redelivered */
#define YK_KNOWN_COUNTS  0x40u /* bytes_..., empty, full, dropped */

/* One direction of a link; its depth is that of the object. */
struct yk_way_facts {
    uint64_t waiting, held;  /* messages on the way: not yet received; borrowed */
    uint64_t bytes;          /* of both */
    uint64_t sent, received; /* since creation */
};

/* What is so of an object on servers, and of none here. */
struct yk_far_facts {
    char host[YK_HOST_TEXT];   /* where it was created */
    char server[YK_HOST_TEXT]; /* that leads it now; "": none does, or there is but one */
    bool cluster, disk;        /* there are several servers; it is stored in files */
    bool incomplete, broken; /* a part is not there, which the next who opens it makes; or nobody */
    uint32_t replicas, behind; /* copies; and those that are not up to date, or away */
    int64_t
        silence_ns;   /* a receiver may be silent so long until its messages are delivered again */
    int64_t lease_ns; /* a participant may, until it counts as dead; 0: nobody ever came */
    uint32_t receivers; /* that wait now */
};

struct yk_object_facts {
    char kind[8];              /* "region", "port", "link", "peer", "signals", "stream" */
    char name[256];            /* "jobs"; of a link "alice/bob" */
    char place[8];             /* "kernel", "nats"; "": memory */
    char where[YK_WHERE_TEXT]; /* what an address has behind '@', where that is not `place` */
    uint32_t known;            /* YK_KNOWN_... */
    bool kept, removed;
    uint32_t mode, uid, gid;
    int64_t created_ns;     /* CLOCK_REALTIME */
    int32_t creator;        /* pid; 0: not known */
    uint64_t memory_mapped; /* bytes of the whole segment */
    /*
     * bytes really present, swap included (0 when /proc/sysvipc is not there); in the kernel place
     * what the queues take of their user's RLIMIT_MSGQUEUE
     */
    uint64_t memory_used;
    uint32_t attached; /* attachments that the kernel counts, readers included */
    int segment;       /* System V id; -1: there is none */
    uint32_t participants_max, participants_used; /* places; living participants */
    uint64_t region_size;                         /* regions */
    /* ports, links and signals */
    uint64_t max_message;
    uint32_t depth, priorities, max_deliveries, max_parked, max_borrowed;
    bool once;
    uint64_t waiting; /* messages waiting, given-back ones included; not of signals in the kernel */
    uint64_t held, parked;   /* borrowed now; parked */
    uint64_t sent, received; /* messages, since creation; received: acknowledged */
    uint64_t redelivered, dropped;
    uint64_t bytes_sent, bytes_received; /* ports and signals, since creation */
    uint64_t empty, full; /* calls that found nothing to receive, and those that found no room */
    /* streams; waiting, sent and received are bytes (not in the kernel place), and dropped is nothing */
    uint64_t capacity;
    uint32_t readers, writers;   /* living ones */
    bool attended;               /* signals: whoever is to receive them lives */
    struct yk_way_facts ways[2]; /* links: from the first peer of the name, and from the second */
    struct yk_far_facts far;     /* of places across machines: `where` is not "" */
    char problem
        [160]; /* not empty: why the object could not be looked at; `known` says how far it was */
};

/*
 * All objects in the name directory; the caller frees *ret. Returns their number or a negative
 * errno.
 */
ssize_t yk_inspect_list(struct yk_object_facts **ret);

/*
 * The same, one after the other, each with its participants if they are wanted, which are the
 * callee's only until it returns. Ends with the first result that is not 0, and returns it; else 0.
 */
typedef int yk_each_object(const struct yk_object_facts *facts,
                           const struct yk_participant_facts *participants, size_t count,
                           void *context);
int yk_inspect_each(bool participants, yk_each_object *each, void *context);

/* As yoke_peer_list(), of that place. */
struct yoke_peer_info;
ssize_t yk_inspect_peers(const char *place, struct yoke_peer_info *infos, size_t capacity);

/* The same of one place: "memory", "kernel", "nats://…"; NULL: of this machine. */
int yk_inspect_place(const char *place, bool participants, yk_each_object *each, void *context);

/*
 * One object by its address, and its participants, dead ones that nobody recovered yet included
 * (caller frees *ret_participants; both may be NULL). 0, too, when there is a problem with it.
 * -ENOENT, -EINVAL, -ENOTSUP …
 */
int yk_inspect(const char *address, struct yk_object_facts *ret,
               struct yk_participant_facts **ret_participants, size_t *ret_count);

/*
 * Where a peer takes signals: its inbox, in memory or in the kernel, as yk_inspect() would tell of it,
 * without its memory_used. 0; -ENOENT: nowhere; -ENOMEM.
 */
int yk_inspect_inbox(const char *peer, struct yk_object_facts *ret);

/* Can a peer have this name? 0, or -EINVAL with the sentence that says which rule it breaks. */
int yk_inspect_peer_name(const char *name);

/* The name directory that is in force (whether it exists or not). */
const char *yk_inspect_directory(void);

/* The text as far as there is room for it, its end included, without the user and the password of any place. */
void yk_inspect_hide(char *shown, size_t room, const char *text);

/*
 * ---- what is wrong with a place across machines ----
 *
 * Nothing is changed. A finding is one sentence that says what is so and what it means, and what cures
 * it ("": nothing does, or has to); the texts are only the callee's until it returns.
 */
enum yk_severity {
    YK_FINE,    /* looked at, and as it should be */
    YK_NOTE,    /* works, less well or with something else in its place */
    YK_WARNING, /* will go wrong for somebody */
    YK_FAULT,   /* is wrong now */
};
typedef void yk_tell_finding(enum yk_severity severity, const char *subject, const char *cure,
                             const char *text, void *context);
/* Tells all. -ENOTSUP: such a place is looked at without naming it; else why it can not be looked at. */
int yk_inspect_check(const char *place, yk_tell_finding *tell, void *context);

/*
 * ---- looking on: the messages that are in a port, an inbox of signals, or on a link -------------
 *
 * Nothing is taken and nothing is written; those who send and receive notice nothing. What passes
 * between two looks is not seen, and is counted.
 */
struct yk_tapped {
    int way;    /* links: 0 from the first peer of the name, 1 from the second */
    char state; /* 'w' waiting, 'h' held (borrowed), 'p' parked */
    uint32_t priority, size, sender, deliveries; /* deliveries so far, the present one too */
    uint32_t holder;                             /* held: the slot of who has it */
    uint64_t sequence, tag;
    const void *bytes; /* a copy, the caller's only until it returns */
    uint32_t shown;    /* how many of them */
};
struct yk_tap; /* one thread at a time */
typedef int yk_each_tapped(const struct yk_tapped *message, void *context);

/*
 * -ENOENT, -ENOTSUP (streams, regions, peers, the kernel place), -EACCES, -EPROTO, -ENOMEM …
 *
 * Of a place across machines it is not told who holds a message, nor how often one that was not
 * parked was delivered: held are those that were delivered and not acknowledged.
 */
int yk_tap_open(struct yk_tap **ret, const char *address);
void yk_tap_close(struct yk_tap *tap);

/*
 * Hands each message that came since the last look (at first: each that is there), oldest first, to
 * each(), with up to `most` of its bytes. Stops at the first result that is not 0, and returns it.
 * *ret_unseen counts those that came and went since the last look.
 */
int yk_tap_look(struct yk_tap *tap, uint32_t most, yk_each_tapped *each, void *context,
                uint64_t *ret_unseen);
/* How long to leave between two looks, in nanoseconds. */
int64_t yk_tap_pause(const struct yk_tap *tap);

/*
 * How long messages wait, for a watcher who looks at one of them again and again: each look is a load
 * or two of what the others seldom touch meanwhile.
 */
enum yk_tap_stage {
    YK_TAP_PASSED = -1, /* there will be no message of this number */
    YK_TAP_COMING = 0,  /* not sent yet */
    YK_TAP_WAITS = 1,   /* sent, and nobody took it so far */
    YK_TAP_TAKEN = 2,
};
/*
 * Is it to go with its last user, and is that this one who looks on? Then close: else it stays, and
 * whoever comes next finds what the dead ones left.
 */
bool yk_tap_is_alone(const struct yk_tap *tap);
/* Are these looks to be had there? 0, or -ENOTSUP (a place across machines). */
int yk_tap_check_stages(const struct yk_tap *tap);
/* Priorities of a port, or the two ways of a link. */
uint32_t yk_tap_queues(const struct yk_tap *tap);
/* About which one will be sent next there. */
uint64_t yk_tap_next(const struct yk_tap *tap, uint32_t queue);
enum yk_tap_stage yk_tap_stage(const struct yk_tap *tap, uint32_t queue, uint64_t number);

/* One thing that yk_gc() found. */
struct yk_gc_item {
    char what[16]; /* "intent", "name", "segment", "lock file", "doorbell", "queue" */
    char name[900];
    uint64_t bytes; /* memory that goes with it */
    char reason[96];
};

/*
 * Clears what is provably dead: finishes interrupted creations and removals, names whose segment is
 * gone, segments and message queues of yoke's own without a name, and the files that went with such
 * objects. With dry_run only lists. The caller frees *ret. Count or negative errno.
 */
ssize_t yk_gc(bool dry_run, struct yk_gc_item **ret);
/*
 * The same, and tells of each as soon as it is cleared; stops at the first result below 0: returns it. With a
 * place across machines what is dead there: streams of removed objects, and transient objects that
 * nobody takes part in any more.
 */
typedef int yk_tell_item(const struct yk_gc_item *item, void *context);
ssize_t yk_gc_tell(const char *place, bool dry_run, struct yk_gc_item **ret, yk_tell_item *tell,
                   void *context);

#endif
