/*
 * notice.h - a descriptor that is readable whenever receiving would not wait.
 *
 * The one who receives arms a notice: it stores an odd number in its slot, and then looks once more.
 * Who changes something looks for the armed ones, after its change; it rings the doorbell first and
 * disarms then, so whoever dies or stops in between leaves a bell that was rung, or one that the
 * next will ring. All that are armed are rung, unlike sleepers, of which a message wakes one: a
 * descriptor says what is so, to whoever has it.
 *
 * Nothing is armed while the descriptor is readable: then it costs a sender one look. It is cleared,
 * and armed again, when receiving finds nothing.
 *
 * What nobody rings for is a death: the lock file is watched (watch.h), and whoever is told so looks
 * for the dead, and again a little later, since the kernel says so just before it drops the lock.
 * Where nothing can be watched, it looks every 50 ms.
 */
#ifndef YK_NOTICE_H
#define YK_NOTICE_H

#include "wait.h"
#include "watch.h"

/* What is rung: a FIFO that others find by its nonce, or, where there are no names, an eventfd. */
struct yk_bell {
    int fd;
    uint64_t nonce; /* 0: an eventfd */
};

/* One's own, made for who may write the object. 0, or an error with its sentence. */
int yk_bell_make(struct yk_bell *bell, const struct yk_object *object);
void yk_bell_remove(struct yk_bell *bell, const char *directory);

struct yk_notice {
    struct yk_watch watch; /* first */
    struct yk_waiting *waiting;
    uint32_t which; /* of the slot's */
    int bell;       /* the descriptor of the bell, not owned */
    uint64_t mark;  /* what it is rung with */
};

/* Shows the bell in the slot, and watches. The notice is not armed, and the bell not rung. */
void yk_notice_begin(struct yk_notice *notice, struct yk_waiting *waiting, uint32_t which,
                     const struct yk_bell *bell, uint64_t mark);
void yk_notice_end(struct yk_notice *notice);

/*
 * From now on who changes something rings. The caller looks once more after it; before that, once for
 * all that it armed, it calls yk_notice_fence() for those who change something without a fence.
 */
void yk_notice_arm(struct yk_notice *notice);
void yk_notice_fence(const struct yk_notice *notice);
/* There is something after all: rings it oneself, so that the descriptor says so. */
int yk_notice_ring(struct yk_notice *notice);
/*
 * Recovers the dead if it was stirred. How long until that should be done again, in nanoseconds; 0:
 * only when it is stirred.
 */
int64_t yk_notice_look_for_dead(struct yk_notice *notice);

/* ---- one endpoint's own descriptor: what yoke_fd() returns ---- */

struct yk_descriptor {
    struct yk_notice notice; /* first */
    struct yk_bell bell;
    int epoll; /* of the bell, the process's watch and the timer */
    int timer;
    uint64_t fork_stamp;
};

/* Makes it at the first call; the descriptor, or an error. Then yk_descriptor_of() has it. */
int yk_descriptor_open(struct yk_waiting *waiting);
/* Clears and arms it. The caller looks once more after it, and calls yk_notice_ring() if need be. */
void yk_descriptor_arm(struct yk_descriptor *descriptor);
/* Also what was inherited by a fork. */
void yk_descriptor_close(struct yk_waiting *waiting);

#endif
