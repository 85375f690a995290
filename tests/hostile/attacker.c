/*
 * attacker.c - honest processes at work on objects of every kind, and one that scribbles in their memory.
 *
 *   attacker [--seed N] [--seconds N]
 *
 * In rounds of a second or so. Two honest processes each for a port, a pair, a stream, a region and an inbox
 * make calls with short time-outs, and now and then close and open again. The attacker has the same memory: it
 * writes whatever it likes, at random and where it hurts (counters, generations, states, waiters, notices,
 * headers), puts back what was there before (else nothing would go on for long), and locks bytes of the lock
 * files: those of places and those of whoever recovers. It goes on while the honest ones close.
 *
 * What must hold: nobody but the attacker, which is killed, ends by a signal; every call returns something
 * that yoke.h says, and within a minute of its time-out; a message is not bigger than its buffer; closing
 * succeeds under attack, and every process ends. When the attacker is gone new objects of the same names can be
 * made, and used; and nothing is left of all that (isolate looks, for processes, segments and files).
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "inspect.h"
#include "memory/layout.h"
#include "watched.h"
#include "yoke.h"

#define HONEST        10
#define ROUND_MS      1200
#define HANG_MS       60000
#define SHORT_NS      INT64_C(3000000)
#define BIG           1500
#define SEGMENTS_MOST 16
#define FILES_MOST    64

/* Shared by all of a round. */
static struct {
    volatile bool stop; /* the honest ones close, and end */
    volatile bool go;
    struct {
        volatile uint64_t ready, calls;
        volatile int64_t slowest_ns; /* over its time-out */
        volatile int64_t
            hardest_ns; /* of the processor's time: no busy machine makes that longer */
        const char *volatile hardest;
        const char *volatile call;
        volatile int64_t strange; /* a result that yoke.h does not know */
        uint64_t results[4];      /* done, would wait, nonsense seen, other */
    } honest[HONEST];
    volatile uint64_t blows;
} * shared;

static int self;        /* which honest one this process is */
static uint64_t chance; /* this process's own */
static int pair[2];

static uint64_t random_next(void)
{
    uint64_t z = chance += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static int64_t now_ns(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static void nap(int64_t ns)
{
    struct timespec time = {0, ns};

    nanosleep(&time, NULL);
}

/* ---- the honest ones -------------------------------------------------------------------------------- */

static int64_t call_began_ns, work_began_ns;

static int64_t work_ns(void)
{
    struct timespec time;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static void begin_call(const char *call)
{
    shared->honest[self].call = call;
    call_began_ns = now_ns();
    work_began_ns = work_ns();
}

static int64_t end_call(int64_t result, int64_t timeout_ns)
{
    static const int errors[] = {EAGAIN,     ETIMEDOUT, EINTR,           ECANCELED, EOWNERDEAD,
                                 EPIPE,      EPROTO,    EPROTONOSUPPORT, EMSGSIZE,  ENOSPC,
                                 EADDRINUSE, EBUSY,     EDEADLK,         EPERM,     EEXIST,
                                 ENOENT,     EACCES,    EINVAL,          ENOMEM,    ENOTSUP};
    int64_t over = now_ns() - call_began_ns - timeout_ns, work = work_ns() - work_began_ns;
    bool known = result >= 0;

    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        known |= result == -errors[i];
    if (!known)
        shared->honest[self].strange = result;
    if (over > shared->honest[self].slowest_ns)
        shared->honest[self].slowest_ns = over;
    if (work > shared->honest[self].hardest_ns) {
        shared->honest[self].hardest_ns = work;
        shared->honest[self].hardest = shared->honest[self].call;
    }
    shared->honest[self].results[result >= 0                                 ? 0
                                 : result == -EAGAIN || result == -ETIMEDOUT ? 1
                                 : result == -EPROTO                         ? 2
                                                                             : 3]++;
    shared->honest[self].calls++;
    return result;
}

#define CALL(timeout_ns, call) (begin_call(#call), end_call((call), (timeout_ns)))

static int64_t some_time(void)
{
    return random_next() % 4 == 0 ? SHORT_NS : YOKE_NOW;
}

static void read_all(const void *bytes, size_t size)
{
    const volatile unsigned char *at = bytes;

    for (size_t i = 0; i < size; i++)
        (void)at[i];
}

static void check_size(int64_t size, size_t most)
{
    if (size > (int64_t)most)
        abort();
}

static void message_call(yoke_endpoint *end)
{
    static const void *lent[4];
    static unsigned count;
    size_t most = yoke_max_message(end), size = random_next() % (most + 1);
    int64_t timeout_ns = some_time(), got;
    unsigned char *bytes = calloc(1, most + 1);
    void *loan;

    if (most > BIG)
        abort();
    switch (random_next() % 8) {
    case 0:
    case 1:
        CALL(timeout_ns, yoke_send(end, bytes, size, timeout_ns));
        break;
    case 2:
    case 3:
        got = CALL(timeout_ns, yoke_recv(end, bytes, most, timeout_ns));
        check_size(got, most);
        break;
    case 4:
        if (count == 4)
            break;
        got = CALL(timeout_ns, yoke_borrow(end, &lent[count], timeout_ns));
        check_size(got, most);
        if (got >= 0)
            read_all(lent[count++], (size_t)got);
        break;
    case 5:
        if (count > 0)
            CALL(0, yoke_release(end, lent[--count]));
        break;
    case 6:
        if (count > 0)
            CALL(0, yoke_return(end, lent[--count]));
        break;
    default:
        if (CALL(timeout_ns, yoke_loan(end, size, &loan, timeout_ns)) == 0) {
            memset(loan, 1, size);
            if (CALL(0, yoke_commit(end, loan, size)) < 0)
                CALL(0, yoke_release(end, loan));
        }
    }
    if (random_next() % 64 == 0)
        CALL(0, yoke_fd(end));
    free(bytes);
}

static void stream_call(yoke_endpoint *end, bool reads)
{
    size_t size = random_next() % 6000;
    int64_t timeout_ns = some_time();
    unsigned char *bytes = calloc(1, size + 1);
    int null = -1;

    switch (random_next() % 8) {
    case 0:
        CALL(0, yoke_stream_end(end));
        break;
    case 1:
        null = open(reads ? "/dev/null" : "/dev/zero", O_RDWR | O_CLOEXEC);
        CALL(timeout_ns, yoke_move(end, null, size, timeout_ns));
        close(null);
        break;
    default:
        if (reads)
            check_size(CALL(timeout_ns, yoke_read(end, bytes, size, timeout_ns)), size);
        else
            check_size(CALL(timeout_ns, yoke_write(end, bytes, size, timeout_ns)), size);
    }
    free(bytes);
}

static void region_call(yoke_region *region)
{
    unsigned char *data = yoke_region_data(region);
    yoke_lock *lock = (yoke_lock *)data;
    yoke_semaphore *semaphore = (yoke_semaphore *)(data + 64);
    yoke_event *event = (yoke_event *)(data + 512);
    int64_t timeout_ns = some_time();
    uint64_t seen = random_next() % 2;

    switch (random_next() % 6) {
    case 0:
        if (CALL(timeout_ns, yoke_lock_acquire(region, lock, timeout_ns)) >= 0)
            CALL(0, yoke_lock_release(region, lock));
        break;
    case 1:
        CALL(timeout_ns, yoke_semaphore_acquire(region, semaphore, timeout_ns));
        break;
    case 2:
        CALL(0, yoke_semaphore_release(region, semaphore));
        break;
    case 3:
        CALL(0, yoke_semaphore_value(region, semaphore));
        break;
    case 4:
        CALL(0, yoke_event_notify(region, event));
        break;
    default:
        CALL(timeout_ns, yoke_event_wait(region, event, &seen, timeout_ns));
    }
}

static struct yoke_options port_options(void)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;

    options.depth = 8;
    options.max_message = BIG;
    options.participants = 8;
    options.max_borrowed = 4;
    options.max_parked = 2;
    options.max_deliveries = 3;
    return options;
}

static struct yoke_options pair_options(void)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;

    options.depth = 8;
    options.max_message = BIG;
    return options;
}

static struct yoke_options stream_options(void)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;

    options.participants = 8;
    options.capacity = 4096;
    return options;
}

static yoke_endpoint *open_one(void)
{
    struct yoke_options port = port_options(), stream = stream_options();
    yoke_endpoint *end = NULL;

    switch (self) {
    case 0:
    case 1:
        CALL(0, yoke_open(&end, "port:arena", YOKE_CREATE, &port));
        break;
    case 2:
    case 3:
        CALL(0, yoke_open_descriptor(&end, pair[self - 2], NULL));
        break;
    default:
        CALL(0, yoke_open(&end, "stream:arena", YOKE_CREATE | (self == 4 ? YOKE_WRITE : YOKE_READ),
                          &stream));
    }
    return end;
}

/* Before the attack there is no reason why anything could not be had. */
static void insist(bool condition)
{
    if (condition)
        return;
    fprintf(stderr, "honest %d: %s\n", self, yoke_explain());
    abort();
}

static bool goes_on(uint64_t *turn)
{
    if (++*turn == 1)
        shared->honest[self].ready = 1;
    while (!shared->go && !shared->stop)
        nap(1000000);
    return !shared->stop;
}

static void must_close(int64_t result)
{
    if (result != 0)
        abort();
}

static void work_on_endpoint(void)
{
    yoke_endpoint *end = open_one();

    insist(end != NULL);
    for (uint64_t turn = 0; goes_on(&turn);) {
        if (end && self < 4)
            message_call(end);
        else if (end)
            stream_call(end, self == 5);
        else
            nap(1000000);
        if (random_next() % 128 == 0 && self >= 4) { /* nothing is lent there */
            must_close(CALL(0, yoke_close(end)));
            end = NULL;
        }
        if (!end)
            end = open_one();
    }
    must_close(CALL(0, yoke_close(end)));
}

static void work_on_region(void)
{
    struct yoke_region_options options = YOKE_REGION_OPTIONS_INIT;
    yoke_region *region = NULL;

    options.participants = 8;
    for (uint64_t turn = 0; turn == 0 || goes_on(&turn); turn += turn == 0) {
        if (!region && CALL(0, yoke_region_create(&region, "arena", 4096, &options)) == 0 &&
            yoke_region_size(region) == 4096)
            yoke_semaphore_init(
                region, (yoke_semaphore *)((unsigned char *)yoke_region_data(region) + 64), 4);
        if (turn == 0) {
            insist(region != NULL);
            shared->honest[self].ready = 1;
        }
        if (region)
            region_call(region);
        else
            nap(1000000);
        if (random_next() % 128 == 0) {
            must_close(CALL(0, yoke_region_close(region)));
            region = NULL;
        }
    }
    must_close(CALL(0, yoke_region_close(region)));
}

static void work_on_inbox(void)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;
    struct yoke_signal signal;
    yoke_endpoint *inbox = NULL;
    yoke_peer *peer = NULL;

    options.depth = options.participants = 8;
    CALL(0, yoke_peer_join(&peer, "victim", NULL));
    if (peer)
        CALL(0, yoke_signals_open(&inbox, peer, 0, &options));
    insist(inbox != NULL);
    for (uint64_t turn = 0; goes_on(&turn);) {
        int64_t timeout_ns = some_time();
        if (inbox)
            CALL(timeout_ns, yoke_signal_recv(inbox, &signal, timeout_ns));
        else
            nap(1000000);
    }
    must_close(CALL(0, yoke_close(inbox)));
    must_close(CALL(0, yoke_peer_leave(peer)));
}

static void send_signals(void)
{
    struct yoke_peer_info infos[4];

    for (uint64_t turn = 0; goes_on(&turn);) {
        CALL(0, yoke_signal_send(NULL, "victim", 1, turn));
        if (turn % 16 == 0)
            CALL(0, yoke_peer_wait("victim", YOKE_PEER_HERE, YOKE_NOW));
        if (turn % 64 == 0)
            CALL(0, yoke_peer_list(infos, 4));
    }
}

static void be_honest(int which)
{
    self = which;
    chance += (uint64_t)which << 32;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (which < 6)
        work_on_endpoint();
    else if (which < 8)
        work_on_region();
    else if (which == 8)
        work_on_inbox();
    else
        send_signals();
    _exit(0);
}

/* ---- the attacker ----------------------------------------------------------------------------------- */

static struct {
    unsigned char *base, *before;
    size_t size;
} prey[SEGMENTS_MOST];
static size_t prey_count;
static int lock_files[FILES_MOST];
static size_t lock_file_count;

static void add_prey(void *base, size_t size)
{
    if (base == MAP_FAILED || base == (void *)-1 || prey_count == SEGMENTS_MOST)
        return;
    prey[prey_count].base = base;
    prey[prey_count].size = size;
    prey[prey_count].before = malloc(size);
    memcpy(prey[prey_count].before, base, size);
    prey_count++;
}

static void find_prey(void)
{
    char pattern[700], text[1000];
    struct shmid_ds facts;
    struct stat file;
    glob_t found;

    snprintf(pattern, sizeof pattern, "%s/*", getenv("YOKE_DIR"));
    if (glob(pattern, 0, NULL, &found) == 0) {
        for (size_t i = 0; i < found.gl_pathc; i++) {
            int fd = open(found.gl_pathv[i], O_RDONLY | O_CLOEXEC);
            ssize_t size = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
            close(fd);
            text[size < 0 ? 0 : size] = '\0';
            const char *at = strstr(text, "segment=");
            int id = at ? atoi(at + strlen("segment=")) : -1;
            if (id >= 0 && shmctl(id, IPC_STAT, &facts) == 0)
                add_prey(shmat(id, NULL, 0), facts.shm_segsz);
        }
        globfree(&found);
    }
    if (fstat(pair[0], &file) == 0)
        add_prey(mmap(NULL, (size_t)file.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, pair[0], 0),
                 (size_t)file.st_size);
    snprintf(pattern, sizeof pattern, "%s/.live-*", getenv("YOKE_DIR"));
    if (glob(pattern, 0, NULL, &found) == 0) {
        for (size_t i = 0; i < found.gl_pathc && lock_file_count < FILES_MOST; i++)
            lock_files[lock_file_count++] = open(found.gl_pathv[i], O_RDWR | O_CLOEXEC);
        globfree(&found);
    }
}

/* The places that count: the header, the first participants, the beginning of the body, or anywhere. */
static size_t choose_place(size_t size)
{
    struct yk_shm_fixed fixed;
    size_t from = 0, room = size;

    switch (random_next() % 8) {
    case 0:
        room = sizeof fixed;
        break;
    case 1:
    case 2:
        from = YK_PAGE;
        room = 8 * sizeof(struct yk_shm_slot);
        break;
    case 3:
    case 4:
    case 5:
        from = YK_PAGE + YK_PAGE; /* of few participants */
        room = 1024;
        break;
    }
    if (from + room > size)
        from = 0, room = size;
    return (from + random_next() % room) & ~(size_t)7;
}

static uint64_t choose_value(uint64_t old)
{
    switch (random_next() % 8) {
    case 0:
        return 0;
    case 1:
        return UINT64_MAX;
    case 2:
        return old + 1;
    case 3:
        return old - 1;
    case 4:
        return old ^ UINT64_C(1) << random_next() % 64;
    case 5:
        return random_next() >> random_next() % 64;
    case 6:
        return old + (UINT64_C(1) << 32);
    default:
        return random_next();
    }
}

static void write_word(unsigned char *at, uint64_t value)
{
    if (random_next() % 4 == 0)
        *(volatile uint32_t *)(void *)at = (uint32_t)value;
    else
        *(volatile uint64_t *)(void *)at = value;
}

/* Locks or gives up what others lock: by a description of its own, as a hostile participant can. */
static void play_with_locks(void)
{
    static const off_t first[] = {0, 4096, 8192};
    struct flock lock = {.l_whence = SEEK_SET, .l_len = 1};

    if (lock_file_count == 0)
        return;
    lock.l_type = random_next() % 3 ? F_UNLCK : F_WRLCK;
    lock.l_start = first[random_next() % 3] + (off_t)(random_next() % 8);
    fcntl(lock_files[random_next() % lock_file_count], F_OFD_SETLK, &lock);
}

static void strike(void)
{
    size_t which = random_next() % prey_count, at, length;
    unsigned char *base = prey[which].base;
    uint64_t old, value;

    at = choose_place(prey[which].size - 8);
    memcpy(&old, base + at, 8);
    value = choose_value(old);
    switch (random_next() % 16) {
    case 0: /* as it was */
    case 1:
        memcpy(base, prey[which].before, prey[which].size);
        break;
    case 2: /* to and fro, so that what was checked changes before it is used */
    case 3:
    case 4:
        for (int i = 0; i < 2000; i++)
            *(volatile uint64_t *)(void *)(base + at) = i & 1 ? old : value;
        break;
    case 5: /* what stands elsewhere */
        memcpy(base + at, base + choose_place(prey[which].size - 8), 8);
        break;
    case 6:
        length = random_next() % 256;
        length = length < prey[which].size - at ? length : prey[which].size - at;
        memset(base + at, (int)value, length);
        break;
    case 7:
        play_with_locks();
        break;
    case 8: /* everybody waits, and all of them want to be rung for */
        if (prey[which].size > 2 * YK_PAGE + 512)
            memset(base + 2 * YK_PAGE, 0xff, 512);
        break;
    default:
        write_word(base + at, value);
    }
}

static void attack(void)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    find_prey();
    chance ^= 0x5a5a5a5a;
    shared->go = true;
    while (prey_count > 0) {
        strike();
        shared->blows++;
        if (random_next() % 8 == 0)
            nap((int64_t)(random_next() % 200000));
    }
    _exit(0);
}

/* ---- a round ---------------------------------------------------------------------------------------- */

static bool failed;

static void say(const char *what, int which, long long value)
{
    failed = true;
    printf("# honest %d: %s (%lld), in %s\n", which, what, value,
           shared->honest[which].call ? shared->honest[which].call : "nothing");
}

/* Waits for them; one that makes no progress for a minute is killed. */
static void wait_for_honest(pid_t honest[HONEST], bool all_ready)
{
    int64_t since[HONEST];
    uint64_t seen[HONEST];
    int left = HONEST, status;

    for (int i = 0; i < HONEST; i++)
        since[i] = now_ns(), seen[i] = 0;
    while (left > 0) {
        left = 0;
        for (int i = 0; i < HONEST; i++) {
            uint64_t calls = shared->honest[i].calls;
            if (honest[i] == 0)
                continue;
            if (waitpid(honest[i], &status, WNOHANG) == honest[i]) {
                honest[i] = 0;
                if (status != 0)
                    say("ended", i, status);
                continue;
            }
            if (all_ready && shared->honest[i].ready)
                continue;
            left++;
            if (calls != seen[i])
                seen[i] = calls, since[i] = now_ns();
            if (now_ns() - since[i] > HANG_MS * INT64_C(1000000)) {
                say("hangs", i, 0);
                kill(honest[i], SIGKILL);
                since[i] = now_ns();
            }
        }
        nap(2000000);
    }
}

static void clear_up(void)
{
    struct yk_gc_item *items = NULL;

    yk_gc(false, &items);
    free(items);
    for (int i = 0; i < 2; i++)
        close(pair[i]);
}

/* After the attack: everything can be had anew. */
static void check_anew(void)
{
    struct yoke_options options = port_options();
    yoke_endpoint *end = NULL;
    char bytes[BIG];

    if (yoke_open(&end, "port:arena", YOKE_CREATE, &options) != 0 ||
        yoke_send(end, "anew", 4, YOKE_NOW) != 0 || yoke_recv(end, bytes, BIG, YOKE_NOW) != 4) {
        printf("# afterwards: %s\n", yoke_explain());
        failed = true;
    }
    yoke_close(end);
}

struct total {
    uint64_t rounds, calls, blows, results[4];
    int64_t slowest_ns, hardest_ns;
    const char *hardest;
};

static void add_up(struct total *total)
{
    for (int i = 0; i < HONEST; i++) {
        if (shared->honest[i].strange)
            say("a result that has no meaning", i, shared->honest[i].strange);
        if (shared->honest[i].slowest_ns > HANG_MS * INT64_C(1000000))
            say("took too long", i, shared->honest[i].slowest_ns / 1000000);
        if (shared->honest[i].slowest_ns > total->slowest_ns)
            total->slowest_ns = shared->honest[i].slowest_ns;
        if (shared->honest[i].hardest_ns > total->hardest_ns) {
            total->hardest_ns = shared->honest[i].hardest_ns;
            total->hardest = shared->honest[i].hardest;
        }
        for (int k = 0; k < 4; k++)
            total->results[k] += shared->honest[i].results[k];
        total->calls += shared->honest[i].calls;
    }
    total->blows += shared->blows;
    total->rounds++;
}

static void run_round(struct total *total)
{
    struct yoke_options options = pair_options();
    pid_t honest[HONEST], hostile;

    memset(shared, 0, sizeof *shared);
    if (yoke_pair(pair, &options) != 0)
        abort();
    fflush(stdout);
    for (int i = 0; i < HONEST; i++) {
        honest[i] = fork();
        if (honest[i] == 0)
            be_honest(i);
    }
    wait_for_honest(honest, true);
    hostile = fork();
    if (hostile == 0)
        attack();
    for (int i = 0; i < ROUND_MS / 10; i++)
        nap(10000000);
    shared->stop = true;
    wait_for_honest(honest, false);
    kill(hostile, SIGKILL);
    waitpid(hostile, NULL, 0);
    add_up(total);
    clear_up();
    check_anew();
}

int main(int argc, char **argv)
{
    struct total total = {.rounds = 0};
    int64_t seconds = 10, begin = now_ns();

    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--seed") == 0)
            chance = strtoull(argv[i + 1], NULL, 0);
        else if (strcmp(argv[i], "--seconds") == 0)
            seconds = strtoll(argv[i + 1], NULL, 0);
    }
    shared = watched_memory(sizeof *shared);
    do {
        printf("# round %llu, seed %llu\n", (unsigned long long)total.rounds,
               (unsigned long long)chance);
        run_round(&total);
        random_next();
    } while (!failed && now_ns() - begin < seconds * 1000000000);
    printf(
        "# results: %llu done, %llu would have waited, %llu saw nonsense, %llu other; the slowest was %lld ms "
        "over its time-out, the hardest took %lld ms of the processor: %s\n",
        (unsigned long long)total.results[0], (unsigned long long)total.results[1],
        (unsigned long long)total.results[2], (unsigned long long)total.results[3],
        (long long)(total.slowest_ns / 1000000), (long long)(total.hardest_ns / 1000000),
        total.hardest ? total.hardest : "none");
    printf("%s 1 - %llu calls under %llu blows of an attacker, in %llu rounds\n1..1\n",
           failed ? "not ok" : "ok", (unsigned long long)total.calls,
           (unsigned long long)total.blows, (unsigned long long)total.rounds);
    return failed;
}
