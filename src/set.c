/*
 * set.c - wait sets: one wait over endpoints, peers, deaths, timers and descriptors.
 *
 * Everything comes together in one epoll descriptor. Endpoints in memory share a few doorbells there
 * (one for each name directory), which are rung with the member's mark: so a wait costs what is
 * ready, however many are watched.
 *
 * A member that had something is *active*: it is looked at directly, without a system call, and
 * nobody needs to ring for it. It is armed (notice.h) and left to its doorbell when it had nothing
 * for a while, or when nothing at all is ready and the caller is about to sleep. Marks are hints:
 * each names a member that is then looked at. Where they were so many that some may be lost, all
 * are looked at; and all every 100 ms of a blocking wait, as everywhere.
 */
#include "set.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/error.h"
#include "base/sys.h"
#include "endpoint.h"
#include "peer.h"

#define IDLE_LOOKS  32               /* in vain, until a member is armed */
#define GATHER_NS   INT64_C(1000000) /* a busy set asks the kernel so often */
#define EVENTS      64
#define PIPE_LEAST  4096 /* bytes: so many at once may be all that went in */
#define MEMBERS_MAX 65536
#define LOCAL_MARK  UINT64_C(1) /* of the set's own pipe: nobody in particular */

enum source { BELL, OWN_PIPE, WATCH, LOOK_TIMER, MEMBER }; /* in an event's lowest three bits */

/* A doorbell for all members of one directory that the same users may ring. */
struct set_bell {
    struct yk_bell bell;
    uint32_t mode, gid;
    char directory[256];
    struct set_bell *next;
};

struct yk_member {
    struct yk_notice notice; /* endpoints in memory; first: its stirring leads here */
    yoke_set *set;
    uint32_t what; /* YOKE_SET_… */
    uint32_t id;
    uint64_t mark;
    uint64_t turn; /* descriptors: when it was told last, by counting */
    void *user;
    yoke_endpoint *endpoint;
    yoke_peer *peer;
    struct yk_gone *gone;
    struct yk_waiting *waiting; /* endpoints in memory; else NULL, and `fd` tells */
    int fd;                     /* in the epoll descriptor; -1: none */
    bool owns_fd;
    uint32_t idle;     /* looks in vain */
    bool active, told; /* told: gone, once */
    bool suspect;      /* somebody may have died, and is looked for again */
    struct yk_member *next_active, *next_suspect;
};

struct yoke_set {
    int epoll, pipe[2], timer;
    uint64_t fork_stamp;
    yk_atomic32 cancelled;
    struct set_bell *bells;
    struct yk_member **members; /* by id; NULL: free */
    uint32_t count, room;       /* of `members` */
    uint32_t generation;
    struct yk_member *active, **active_end; /* a queue */
    uint32_t active_count;
    struct yk_member *suspects;
    uint64_t turns;   /* how many descriptors were told */
    int64_t gathered; /* when the kernel was asked last */
    int64_t spin_ns;
    bool watch_added;
    bool polled; /* somebody has its descriptor */
    bool rung;   /* it says that there is something, by the pipe */
};

/* ---- the active ---- */

static void activate(struct yk_member *member)
{
    yoke_set *set = member->set;
    member->idle = 0;
    if (member->active)
        return;
    member->active = true;
    member->next_active = NULL;
    *set->active_end = member;
    set->active_end = &member->next_active;
    set->active_count++;
}

static struct yk_member *take_active(yoke_set *set)
{
    struct yk_member *member = set->active;
    set->active = member->next_active;
    if (!set->active)
        set->active_end = &set->active;
    member->active = false;
    set->active_count--;
    return member;
}

static void deactivate(struct yk_member *gone)
{
    for (uint32_t i = gone->set->active_count; gone->active && i > 0; i--) {
        struct yk_member *member = take_active(gone->set);
        if (member == gone)
            return;
        uint32_t idle = member->idle;
        activate(member);
        member->idle = idle;
    }
}

static bool is_ready(const struct yk_member *member)
{
    if (member->gone)
        return member->told;
    yoke_endpoint *endpoint = member->endpoint;
    if (endpoint->operations)
        return endpoint->operations->ready(endpoint->self);
    return yk_load32_relaxed(&member->waiting->object->cancelled) ||
           (endpoint->kind == YK_KIND_LINK ? yk_link_is_ready(&endpoint->link)
                                           : yk_port_is_ready(&endpoint->port));
}

static void tell(const struct yk_member *member, struct yoke_ready *ready)
{
    *ready = (struct yoke_ready){
        .what = member->what,
        .member = (int32_t)member->id,
        .endpoint = member->endpoint,
        .peer = member->peer,
        .user = member->user,
    };
}

/* ---- the dead ---- */

static void suspect(struct yk_member *member)
{
    if (member->suspect)
        return;
    member->suspect = true;
    member->next_suspect = member->set->suspects;
    member->set->suspects = member;
}

/* Looks at all of whom something was heard. Those that are to be looked at again stay. */
static void look_for_dead(yoke_set *set)
{
    int64_t soonest = 0;
    struct yk_member *members = set->suspects;
    set->suspects = NULL;
    while (members) {
        struct yk_member *member = members;
        members = member->next_suspect;
        member->suspect = false;
        int64_t again = member->gone ? yk_gone_look(member->gone, &member->told)
                                     : yk_notice_look_for_dead(&member->notice);
        if (member->gone ? member->told : is_ready(member))
            activate(member);
        if (again > 0)
            suspect(member);
        if (again > 0 && (soonest == 0 || again < soonest))
            soonest = again;
    }
    yk_sys_timer_set(set->timer, soonest, 0);
}

/* ---- what the kernel says ---- */

static uint64_t source(enum source source, uint64_t which)
{
    return which | (uint64_t)source;
}

static struct yk_member *member_of(const yoke_set *set, uint64_t mark)
{
    uint64_t id = mark >> 32;
    struct yk_member *member = id < set->room ? set->members[id] : NULL;
    return member && member->mark == mark ? member : NULL;
}

/* Also of a peer that was told to be gone, a while ago: that is nothing to look at. */
static void heard(struct yk_member *member)
{
    if (!member->waiting && !member->gone)
        return;
    if (member->gone || yk_watch_is_due(&member->notice.watch))
        suspect(member);
    if (!member->gone)
        activate(member);
}

static void look_at_all(yoke_set *set)
{
    for (uint32_t id = 0; id < set->room; id++) {
        struct yk_member *member = set->members[id];
        if (!member || (!member->waiting && !member->gone))
            continue;
        if (member->gone || yk_watch_is_due(&member->notice.watch))
            suspect(member);
        else if (!member->active && is_ready(member))
            activate(member);
    }
    if (set->suspects)
        look_for_dead(set);
}

/*
 * Hostile marks name nobody, or somebody who is then looked at in vain. Those that are cut put all behind
 * them out of step.
 */
static void hear_marks(yoke_set *set, int fd)
{
    uint64_t marks[512];
    ssize_t size, total = 0;
    bool cut = false;
    for (int i = 0; i < 32 && (size = yk_sys_read(fd, marks, sizeof marks)) > 0; i++) {
        total += size;
        cut |= size % (ssize_t)sizeof marks[0] != 0;
        for (ssize_t k = 0; k < size / (ssize_t)sizeof marks[0]; k++) {
            struct yk_member *member = member_of(set, marks[k]);
            if (member)
                heard(member);
        }
    }
    if (total >= PIPE_LEAST || cut)
        look_at_all(set);
}

static void end_of_timer(struct yk_member *member, struct yoke_ready *ready)
{
    uint64_t count = 0;
    if (yk_sys_read(member->fd, &count, sizeof count) == sizeof count)
        ready->count = count;
}

/* True when it is something for the caller, who has room for it. */
static bool hear_member(yoke_set *set, const struct epoll_event *event, struct yoke_ready *ready)
{
    struct yk_member *member = member_of(set, event->data.u64 & ~UINT64_C(7));
    if (!member)
        return false;
    tell(member, ready);
    ready->descriptor = member->what == YOKE_SET_DESCRIPTOR ? member->fd : -1;
    ready->events = event->events;
    if (member->what == YOKE_SET_TIMER)
        end_of_timer(member, ready);
    return member->what != YOKE_SET_TIMER || ready->count > 0;
}

/* The one that was told longest ago; NULL: there is none left. */
static struct epoll_event *next_member(const yoke_set *set, struct epoll_event *events, int count)
{
    struct epoll_event *next = NULL;
    uint64_t least = UINT64_MAX;
    for (int i = 0; i < count; i++) {
        uint64_t mark = events[i].data.u64;
        const struct yk_member *member = member_of(set, mark & ~UINT64_C(7));
        if ((mark & 7) == MEMBER && member && member->turn < least) {
            least = member->turn;
            next = &events[i];
        }
    }
    return next;
}

/*
 * The kernel has those that are ready in a row, and puts all that it said to its end, also those for which
 * there was no room: they come first the next time.
 */
static size_t tell_members(yoke_set *set, struct epoll_event *events, int count,
                           struct yoke_ready *ready, size_t capacity)
{
    size_t told = 0;
    struct epoll_event *next;
    while (told < capacity && (next = next_member(set, events, count))) {
        member_of(set, next->data.u64 & ~UINT64_C(7))->turn = ++set->turns;
        told += hear_member(set, next, &ready[told]);
        next->data.u64 = source(WATCH, 0); /* done */
    }
    return told;
}

/* What epoll has: rings, deaths, and what descriptors are ready. How many are told, or -EINTR. */
static ssize_t gather(yoke_set *set, struct yoke_ready *ready, size_t capacity, int64_t timeout_ns)
{
    struct epoll_event events[EVENTS];
    /* Not more members than there is room for: what is not taken stays where it is. */
    int count = yk_sys_epoll_wait(set->epoll, events,
                                  (int)(capacity < EVENTS - 4 ? capacity + 4 : EVENTS), timeout_ns);
    for (int i = 0; i < count; i++) {
        switch (events[i].data.u64 & 7) {
        case OWN_PIPE:
            set->rung = false;
            hear_marks(set, set->pipe[0]);
            break;
        case BELL:
            hear_marks(set, (int)(events[i].data.u64 >> 3));
            break;
        case WATCH:
            yk_watch_drain();
            hear_marks(set, set->pipe[0]);
            break;
        case LOOK_TIMER:
            yk_sys_clear(set->timer);
            break;
        }
    }
    size_t told = tell_members(set, events, count, ready, capacity);
    if (set->suspects)
        look_for_dead(set);
    set->gathered = yk_now();
    return count < 0 ? count : (ssize_t)told;
}

/* ---- looking and sleeping ---- */

/* It had nothing for a while: left to its doorbell, unless it has something just now. */
static void arm_one(struct yk_member *member)
{
    yk_notice_arm(&member->notice);
    yk_notice_fence(&member->notice);
    if (is_ready(member))
        activate(member);
}

static void tell_active(struct yk_member *member, struct yoke_ready *ready)
{
    tell(member, ready);
    if (!member->gone) {
        activate(member);
        return;
    }
    yk_gone_end(member->gone); /* that is told once */
    member->gone = NULL;
}

/* Looks once at each active one. How many are ready. Each look in vain counts `idle`. */
static size_t look_at_active(yoke_set *set, struct yoke_ready *ready, size_t capacity,
                             uint32_t idle)
{
    size_t told = 0;
    for (uint32_t i = set->active_count; i > 0 && told < capacity; i--) {
        struct yk_member *member = take_active(set);
        uint32_t looks = member->idle + idle;
        if (is_ready(member)) {
            tell_active(member, &ready[told++]);
        } else if (looks < IDLE_LOOKS) {
            activate(member);
            member->idle = looks;
        } else {
            arm_one(member);
        }
    }
    return told;
}

/* About to sleep: everybody rings from now on. What was there before is found after it. */
static void arm_active(yoke_set *set)
{
    struct yk_member *armed = NULL, *barrier = NULL;
    while (set->active) {
        struct yk_member *member = take_active(set);
        yk_notice_arm(&member->notice);
        if (member->waiting->barrier)
            barrier = member;
        member->next_active = armed;
        armed = member;
    }
    if (barrier)
        yk_notice_fence(&barrier->notice);
    while (armed) {
        struct yk_member *member = armed;
        armed = member->next_active;
        if (is_ready(member))
            activate(member);
    }
}

static size_t spin(yoke_set *set, struct yoke_ready *ready, size_t capacity, int64_t deadline)
{
    int64_t now = yk_now(), end = now + set->spin_ns < deadline ? now + set->spin_ns : deadline;
    size_t told = 0;
    for (; told == 0 && set->active && now < end; now = yk_now()) {
        told = look_at_active(set, ready, capacity, 0);
        yk_pause();
    }
    return told;
}

/*
 * Its descriptor says so as long as there may be something that no bell is rung for, or whose ring was
 * heard while something else was told.
 */
static void keep_rung(yoke_set *set)
{
    if (set->polled && !set->rung && (set->active || yk_load32_seq(&set->cancelled))) {
        yk_sys_ring(set->pipe[1], LOCAL_MARK);
        set->rung = true;
    }
}

static ssize_t look(yoke_set *set, struct yoke_ready *ready, size_t capacity)
{
    ssize_t told = 0;
    if (yk_now() - set->gathered >= GATHER_NS) /* the others get their turn */
        told = gather(set, ready, capacity, 0);
    if (told >= 0 && (size_t)told < capacity)
        told += (ssize_t)look_at_active(set, ready + told, capacity - (size_t)told, 1);
    return told;
}

/* Arms, looks once more, and sleeps up to that long. */
static ssize_t sleep_once(yoke_set *set, struct yoke_ready *ready, size_t capacity, int64_t left)
{
    arm_active(set);
    ssize_t told = (ssize_t)look_at_active(set, ready, capacity, 0);
    if (told > 0)
        return told;
    if (yk_load32_seq(&set->cancelled))
        return -ECANCELED;
    told = gather(set, ready, capacity, left);
    if (told == 0 && left >= YK_SLICE)
        look_at_all(set);
    return told != 0 ? told : (ssize_t)look_at_active(set, ready, capacity, 0);
}

static ssize_t wait_until(yoke_set *set, struct yoke_ready *ready, size_t capacity,
                          int64_t timeout_ns)
{
    int64_t deadline = yk_deadline(timeout_ns);
    ssize_t told = look(set, ready, capacity);
    if (told == 0 && timeout_ns != 0)
        told = (ssize_t)spin(set, ready, capacity, deadline);
    while (told == 0) {
        int64_t left = deadline == INT64_MAX ? YK_SLICE : deadline - yk_now();
        bool last = left <= 0;
        told = sleep_once(set, ready, capacity, last ? 0 : left < YK_SLICE ? left : YK_SLICE);
        if (told == 0 && last)
            return timeout_ns == 0 ? -EAGAIN : -ETIMEDOUT;
    }
    return told;
}

static int check(const yoke_set *set)
{
    if (!set)
        return yk_fail(EINVAL, "the wait set is NULL");
    if (set->fork_stamp != yk_fork_stamp())
        return yk_fail(EPERM, "this wait set is the parent's: a child makes its own");
    return 0;
}

YOKE_API ssize_t yoke_set_wait(yoke_set *set, struct yoke_ready *ready, size_t capacity,
                               int64_t timeout_ns)
{
    int result = check(set);
    if (result < 0)
        return result;
    if (!ready || capacity == 0)
        return yk_fail(EINVAL, "there is room for %zu results at %p: one at least is needed",
                       capacity, (void *)ready);
    if (timeout_ns < YOKE_FOREVER)
        return yk_bad_timeout(timeout_ns);
    if (yk_load32_seq(&set->cancelled))
        return -ECANCELED;
    ssize_t told = wait_until(set, ready, capacity, timeout_ns);
    keep_rung(set);
    return told;
}

/* ---- making and closing ---- */

static int close_parts(yoke_set *set)
{
    int fds[] = {set->epoll, set->pipe[0], set->pipe[1], set->timer};
    for (int i = 0; i < 4; i++) {
        if (fds[i] >= 0)
            yk_sys_close(fds[i]);
    }
    free(set->members);
    free(set);
    return 0;
}

static int make_parts(yoke_set *set)
{
    set->epoll = yk_sys_epoll();
    int result = set->epoll < 0 ? set->epoll : yk_sys_pipe(set->pipe);
    if (result >= 0)
        result = set->timer = yk_sys_timer();
    if (result >= 0)
        result = yk_sys_epoll_add(set->epoll, set->pipe[0], EPOLLIN, source(OWN_PIPE, 0));
    if (result >= 0)
        result = yk_sys_epoll_add(set->epoll, set->timer, EPOLLIN, source(LOOK_TIMER, 0));
    return result;
}

YOKE_API int yoke_set_create(yoke_set **ret_set)
{
    if (!ret_set)
        return yk_fail(EINVAL, "ret_set is NULL: there is nowhere to put the result");
    int result = yk_fork_init();
    if (result < 0)
        return result;
    yoke_set *set = yk_sys_allocate(1, sizeof *set);
    if (!set)
        return yk_fail(ENOMEM, "no memory for a wait set");
    *set = (yoke_set){.epoll = -1, .pipe = {-1, -1}, .timer = -1, .fork_stamp = yk_fork_stamp()};
    set->active_end = &set->active;
    set->spin_ns = yk_default_spin();
    result = make_parts(set);
    if (result < 0) {
        close_parts(set);
        return yk_fail(-result, "no descriptors for a wait set: %s", strerror(-result));
    }
    *ret_set = set;
    return 0;
}

/* ---- members ---- */

static struct yk_member *new_member(yoke_set *set, uint32_t what, void *user)
{
    uint32_t id = 0;
    while (id < set->room && set->members[id])
        id++;
    if (id == set->room) {
        uint32_t room = set->room ? 2 * set->room : 16;
        struct yk_member **members = yk_sys_reallocate(set->members, room, sizeof(void *));
        if (!members)
            return NULL;
        memset(members + set->room, 0, (room - set->room) * sizeof(void *));
        set->members = members;
        set->room = room;
    }
    struct yk_member *member = yk_sys_allocate(1, sizeof *member);
    if (!member)
        return NULL;
    member->set = set;
    member->what = what;
    member->user = user;
    member->id = id;
    member->fd = -1;
    /* the lowest three bits are the source's, and none is 0 or LOCAL_MARK */
    set->generation = (set->generation + 1) & 0x1fffffff;
    member->mark = (uint64_t)id << 32 | set->generation << 3;
    set->members[id] = member;
    set->count++;
    return member;
}

static void free_member(struct yk_member *member)
{
    member->set->members[member->id] = NULL;
    member->set->count--;
    free(member);
}

/* A new one that a descriptor tells of. */
static int add_descriptor(struct yk_member *member, int fd, uint32_t events)
{
    int result = yk_sys_epoll_add(member->set->epoll, fd, events, source(MEMBER, member->mark));
    if (result == 0)
        member->fd = fd;
    return result == 0 ? 0
                       : yk_fail(-result, "descriptor %d can not be waited for: %s", fd,
                                 result == -EPERM    ? "a file is always ready"
                                 : result == -EEXIST ? "it is in this set already"
                                                     : strerror(-result));
}

static void add_watch(yoke_set *set)
{
    int fd = yk_watch_descriptor();
    if (fd >= 0 && !set->watch_added)
        set->watch_added = yk_sys_epoll_add(set->epoll, fd, EPOLLIN, source(WATCH, 0)) == 0;
}

static int find_bell(yoke_set *set, const struct yk_object *object, const struct yk_bell **ret)
{
    struct stat facts;
    int result = yk_sys_stat(object->lock.fd, &facts);
    if (result < 0)
        return yk_fail(-result, "the lock file can not be asked: %s", strerror(-result));
    for (struct set_bell *bell = set->bells; bell; bell = bell->next) {
        if (bell->mode == facts.st_mode && bell->gid == facts.st_gid &&
            strcmp(bell->directory, object->directory) == 0) {
            *ret = &bell->bell;
            return 0;
        }
    }
    struct set_bell *bell = yk_sys_allocate(1, sizeof *bell);
    if (!bell)
        return yk_fail(ENOMEM, "no memory for a doorbell");
    bell->mode = facts.st_mode;
    bell->gid = facts.st_gid;
    strcpy(bell->directory, object->directory);
    result = yk_bell_make(&bell->bell, object);
    int added = result == 0 ? yk_sys_epoll_add(set->epoll, bell->bell.fd, EPOLLIN,
                                               source(BELL, (uint64_t)bell->bell.fd << 3))
                            : 0;
    if (added < 0)
        result = yk_fail(-added, "a doorbell can not be waited for: %s", strerror(-added));
    if (result < 0) {
        yk_bell_remove(&bell->bell, bell->directory);
        free(bell);
        return result;
    }
    bell->next = set->bells;
    set->bells = bell;
    *ret = &bell->bell;
    return 0;
}

/* From now on its doorbell is the set's, unless another thread gave it a descriptor of its own. */
static int take_waiting(struct yk_member *member, struct yk_waiting *waiting,
                        const struct yk_bell *bell)
{
    int result = 0;
    yk_process_lock(); /* yoke_fd() and yoke_cancel() come from any thread */
    if (yk_descriptor_of(waiting)) {
        result = yk_fail(EBUSY, "this endpoint has a descriptor of its own (yoke_fd()): add that");
    } else {
        yk_notice_begin(&member->notice, waiting, 0, bell, member->mark);
        member->waiting = waiting;
        waiting->member = &member->notice;
    }
    yk_process_unlock();
    return result;
}

/* One in memory: by its doorbell. */
static int add_waiting(struct yk_member *member, struct yk_waiting *waiting)
{
    yoke_set *set = member->set;
    const struct yk_bell own = {.fd = set->pipe[1]}, *bell = &own;
    int result = waiting->object->anonymous ? 0 : find_bell(set, waiting->object, &bell);
    if (result == 0)
        result = take_waiting(member, waiting, bell);
    if (result < 0)
        return result;
    add_watch(set);
    activate(member);
    if (yk_watch_is_due(&member->notice.watch)) { /* it can not be watched */
        suspect(member);
        look_for_dead(set);
    }
    return 0;
}

static int add_endpoint(struct yk_member *member, yoke_endpoint *endpoint)
{
    struct yk_waiting *waiting = NULL;
    int fd = 0, result = yk_endpoint_waiting(endpoint, &waiting);
    if (result < 0)
        return result;
    if (!waiting)
        fd = yoke_fd(endpoint);
    if (fd < 0)
        return fd;
    return waiting ? add_waiting(member, waiting) : add_descriptor(member, fd, EPOLLIN);
}

/* The number of the member that could be added, or the error why not. */
static int added(struct yk_member *member, int result)
{
    if (result == 0)
        return (int)member->id;
    free_member(member);
    return result;
}

static int begin(yoke_set *set, struct yk_member **ret_member, uint32_t what, void *user)
{
    int result = check(set);
    if (result < 0)
        return result;
    if (set->count >= MEMBERS_MAX)
        return yk_fail(ENOSPC, "a wait set has at most %d members", MEMBERS_MAX);
    *ret_member = new_member(set, what, user);
    return *ret_member ? 0 : yk_fail(ENOMEM, "no memory for a member of a wait set");
}

/* What a parent's set has is not in the child's way. */
static bool is_taken(const struct yk_member *member)
{
    return member && member->set->fork_stamp == yk_fork_stamp();
}

YOKE_API int yoke_set_add(yoke_set *set, yoke_endpoint *endpoint, void *user)
{
    struct yk_member *member;
    if (!endpoint)
        return yk_fail(EINVAL, "the endpoint is NULL");
    if (is_taken(endpoint->member))
        return yk_fail(EBUSY, "this endpoint is in a wait set already");
    int result = begin(set, &member, YOKE_SET_ENDPOINT, user);
    if (result < 0)
        return result;
    member->endpoint = endpoint;
    result = add_endpoint(member, endpoint);
    if (result == 0)
        endpoint->member = member;
    return added(member, result);
}

YOKE_API int yoke_set_add_peer(yoke_set *set, yoke_peer *peer, void *user)
{
    struct yk_member *member;
    if (!peer)
        return yk_fail(EINVAL, "the peer is NULL");
    if (is_taken(peer->member))
        return yk_fail(EBUSY, "this peer is in a wait set already");
    int result = begin(set, &member, YOKE_SET_PEER, user);
    if (result < 0)
        return result;
    int fd = yoke_peer_fd(peer);
    member->peer = peer;
    result = fd < 0 ? fd : add_descriptor(member, fd, EPOLLIN);
    if (result == 0)
        peer->member = member;
    return added(member, result);
}

/* In whichever thread drains the watch. */
static void gone_stirred(void *context)
{
    const struct yk_member *member = context;
    yk_sys_ring(member->set->pipe[1], member->mark);
}

YOKE_API int yoke_set_add_gone(yoke_set *set, const char *peer, void *user)
{
    struct yk_member *member;
    int result = begin(set, &member, YOKE_SET_GONE, user);
    if (result < 0)
        return result;
    result = yk_gone_begin(&member->gone, peer, gone_stirred, member);
    if (result < 0)
        return added(member, result);
    add_watch(set);
    suspect(member); /* it may have gone before it was watched */
    yk_sys_ring(set->pipe[1], member->mark);
    return added(member, 0);
}

YOKE_API int yoke_set_add_timer(yoke_set *set, int64_t first_ns, int64_t every_ns, void *user)
{
    struct yk_member *member;
    if (first_ns < 0 || every_ns < 0)
        return yk_fail(EINVAL, "a timer for %lld ns, then every %lld ns, would be in the past",
                       (long long)first_ns, (long long)every_ns);
    int result = begin(set, &member, YOKE_SET_TIMER, user);
    if (result < 0)
        return result;
    int fd = yk_sys_timer();
    if (fd < 0)
        return added(member, yk_fail(-fd, "no descriptor for a timer: %s", strerror(-fd)));
    result = yk_sys_timer_set(fd, first_ns > 0 ? first_ns : 1, every_ns);
    if (result == 0)
        result = add_descriptor(member, fd, EPOLLIN);
    member->owns_fd = result == 0;
    if (result < 0)
        yk_sys_close(fd);
    return added(member, result);
}

#define EVENTS_KNOWN (POLLIN | POLLPRI | POLLOUT | POLLRDHUP)

YOKE_API int yoke_set_add_descriptor(yoke_set *set, int descriptor, uint32_t events, void *user)
{
    struct yk_member *member;
    if (events == 0 || (events & ~(uint32_t)EVENTS_KNOWN))
        return yk_fail(EINVAL, "events 0x%x: POLLIN, POLLPRI, POLLOUT and POLLRDHUP are known",
                       events);
    int result = begin(set, &member, YOKE_SET_DESCRIPTOR, user);
    return result < 0 ? result : added(member, add_descriptor(member, descriptor, events));
}

static void remove_suspect(struct yk_member *gone)
{
    for (struct yk_member **at = &gone->set->suspects; *at; at = &(*at)->next_suspect) {
        if (*at == gone) {
            *at = gone->next_suspect;
            return;
        }
    }
}

/* In a forked child only its own copies go: all else is the parent's. */
static void remove_member(struct yk_member *member)
{
    bool mine = is_taken(member);
    deactivate(member);
    remove_suspect(member);
    if (member->waiting && mine) {
        yk_process_lock();
        member->waiting->member = NULL;
        yk_notice_end(&member->notice);
        yk_process_unlock();
    }
    if (member->gone)
        yk_gone_end(member->gone);
    if (member->fd >= 0 && mine)
        yk_sys_epoll_remove(member->set->epoll, member->fd);
    if (member->owns_fd)
        yk_sys_close(member->fd);
    if (member->endpoint)
        member->endpoint->member = NULL;
    if (member->peer)
        member->peer->member = NULL;
    free_member(member);
}

YOKE_API int yoke_set_remove(yoke_set *set, int member)
{
    int result = check(set);
    if (result < 0)
        return result;
    if (member < 0 || (uint32_t)member >= set->room || !set->members[member])
        return yk_fail(EINVAL, "%d is no member of this wait set", member);
    remove_member(set->members[member]);
    return 0;
}

void yk_set_drop(struct yk_member *member)
{
    if (member)
        remove_member(member);
}

YOKE_API int yoke_set_cancel(yoke_set *set)
{
    int result = check(set);
    if (result < 0)
        return result;
    yk_store32_release(&set->cancelled, 1);
    yk_sys_ring(set->pipe[1], LOCAL_MARK);
    return 0;
}

YOKE_API int yoke_set_fd(yoke_set *set)
{
    int result = check(set);
    if (result < 0)
        return result;
    set->polled = true;
    keep_rung(set);
    return set->epoll;
}

YOKE_API int yoke_set_close(yoke_set *set)
{
    if (!set)
        return 0;
    bool mine = set->fork_stamp == yk_fork_stamp();
    for (uint32_t id = 0; id < set->room; id++) {
        if (set->members[id])
            remove_member(set->members[id]);
    }
    while (set->bells) {
        struct set_bell *bell = set->bells;
        set->bells = bell->next;
        if (!mine)
            bell->bell.nonce = 0; /* its name is the parent's */
        yk_bell_remove(&bell->bell, bell->directory);
        free(bell);
    }
    return close_parts(set);
}
