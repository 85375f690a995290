/* worker.c - see worker.h. */
#include "worker.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct me me;

uint32_t pick(uint32_t n)
{
    return (uint32_t)(random_next(&me.random) >> 33) % n;
}

bool once_in(uint32_t n)
{
    return pick(n) == 0;
}

static uint32_t phase(void)
{
    return atomic_load(&shared->phase);
}

void rest(int64_t ns)
{
    doing_begins(IDLE);
    nap(ns);
    doing_ends(0);
}

bool goes_on(void)
{
    if (once_in(shared->laziness))
        rest((1 + pick(8)) * MS / 4);
    return phase() != STOP && me.left-- > 0;
}

bool may_send(void)
{
    while (phase() == HUSH)
        rest(200000);
    return phase() == RUN;
}

void retire(void)
{
    uint32_t life = me.life;
    atomic_store(&me.seat->end_life, 0);
    atomic_compare_exchange_strong(&me.seat->life, &life, life + 1);
}

bool closes(void)
{
    retire();
    return !once_in(3);
}

/* ---- what it is inside of ---- */

void doing_begins(enum verb verb)
{
    atomic_store(&me.seat->verb, verb);
    atomic_fetch_add(&me.seat->steps, 1);
}

int64_t doing_ends(int64_t result)
{
    atomic_store(&me.seat->verb, NOTHING);
    atomic_fetch_add(&me.seat->steps, 1);
    return result;
}

bool is_answer(int64_t result, const char *call, ...)
{
    va_list answers;
    int answer;
    bool found = result >= 0;
    va_start(answers, call);
    while (!found && (answer = va_arg(answers, int)) != 0)
        found = result == -answer;
    va_end(answers);
    if (!found)
        fault("seat %u: %s: %lld (%s; %s)", me.number, call, (long long)result,
              strerror((int)-result), yoke_explain());
    return found;
}

int64_t some_timeout(void)
{
    static const int64_t times[] = {YOKE_NOW, MS / 4, 3 * MS, 40 * MS, YOKE_FOREVER, YOKE_FOREVER};
    return times[pick(6)];
}

/* ---- opening ---- */

/* As long as one who recovers is stopped, the dead keep their places and names. */
static bool once_more(int64_t result, const char *what)
{
    if (!is_answer(result, what, ENOSPC, EADDRINUSE, EBUSY, 0))
        return false;
    nap(MS);
    return phase() != STOP;
}

yoke_endpoint *open_endpoint(const char *address, uint32_t flags, const char *as)
{
    yoke_endpoint *endpoint = NULL;
    struct yoke_options options = YOKE_OPTIONS_INIT;
    int64_t result;
    options.as = as;
    doing_begins(OPENING);
    do
        result = yoke_open(&endpoint, address, flags, &options);
    while (result < 0 && once_more(result, address));
    doing_ends(0);
    return result < 0 ? NULL : endpoint;
}

yoke_endpoint *open_end(int descriptor)
{
    yoke_endpoint *endpoint = NULL;
    int64_t result;
    doing_begins(OPENING);
    do
        result = yoke_open_descriptor(&endpoint, descriptor, NULL);
    while (result < 0 && once_more(result, "yoke_open_descriptor"));
    doing_ends(0);
    return result < 0 ? NULL : endpoint;
}

yoke_region *open_region(const char *name)
{
    yoke_region *region = NULL;
    int64_t result;
    doing_begins(OPENING);
    do
        result = yoke_region_open(&region, name, 0);
    while (result < 0 && once_more(result, name));
    doing_ends(0);
    return result < 0 ? NULL : region;
}

/* ---- forking ---- */

static void sit_down(uint32_t number)
{
    static const int fatal[] = {SIGFPE, SIGILL, SIGSEGV, SIGBUS, SIGSYS};
    struct seat *seat = &shared->seat[number];
    atomic_store(&seat->pid, getpid());
    me = (struct me){.number = number, .seat = seat, .life = atomic_load(&seat->life)};
    me.random = random_mix(shared->seed, (uint64_t)number << 32 | me.life);
    me.left = once_in(4) ? 1u << pick(14) : UINT32_MAX; /* turns */
    for (size_t i = 0; i < sizeof fatal / sizeof fatal[0]; i++)
        signal(fatal[i], SIG_DFL); /* cmocka would go on with the next test, in this process */
    if (!seat->is_child)           /* whose parent has just ended */
        prctl(PR_SET_PDEATHSIG, SIGKILL);
}

bool forks(void)
{
    uint32_t number = me.seat->child;
    if (number == 0 || phase() != RUN)
        return false;
    struct seat *child = &shared->seat[number];
    uint32_t life = atomic_load(&child->life);
    if ((life & 1) != 0 || atomic_load(&child->pid) != 0 ||
        !atomic_compare_exchange_strong(&child->life, &life, life + 1))
        return false;
    doing_begins(CHURNING);
    pid_t between = fork();
    if (between == 0) {
        pid_t pid = fork();
        if (pid == 0) {
            sit_down(number);
            return true;
        }
        _exit(0);
    }
    if (between > 0)
        waitpid(between, NULL, 0);
    atomic_fetch_add(&me.seat->forked, 1);
    doing_ends(0);
    return false;
}

void worker_run(uint32_t number)
{
    static void (*const plays[ROLES])(void) = {
        [PORT_SENDER] = play_port_sender,
        [PORT_RECEIVER] = play_port_receiver,
        [PARKED_RECEIVER] = play_port_receiver,
        [LINK_PEER] = play_link_peer,
        [STREAM_WRITER] = play_stream_writer,
        [STREAM_READER] = play_stream_reader,
        [LOCKER] = play_locker,
        [UNIT_TAKER] = play_unit_taker,
        [NOTIFIER] = play_notifier,
        [SIGNALLER] = play_signaller,
        [INBOX] = play_inbox,
        [CHURNER] = play_churner,
        [STEADY] = play_steady,
        [CITIZEN] = play_citizen,
    };
    sit_down(number);
    if (nice(4) == -1)
        nap(0); /* so that the supervisor gets to its deeds every few ms */
    plays[me.seat->role]();
    retire();
    atomic_store(&me.seat->verb, NOTHING);
    _exit(0);
}
