/* kill.c - see kill.h. */
#include "kill.h"

#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "memory/layout.h"

#define TICK_US     5000
#define TICKS_MOST  (120 * 1000 * 1000 / TICK_US)
#define WATCHED     (64 * 1024) /* of each segment */
#define WINDOWS     4

/* How far each traced actor got. */
static struct progress {
    uint32_t stops, steps;
    bool pending; /* it was told to go on, and has not stopped yet */
    bool over;    /* it stands behind its call */
    bool frozen;  /* not traced any more: by SIGSTOP */
} all_progress[ACTORS_MAX];

static struct progress *progress_of(const struct actor *actor)
{
    return &all_progress[actor->number];
}

/* ---- ptrace ---------------------------------------------------------------------------------------- */

#if defined(__x86_64__)
static const unsigned char syscall_instruction[] = {0x0f, 0x05};

static struct user_regs_struct registers_of(pid_t pid)
{
    struct user_regs_struct registers = {.rip = 0};
    struct iovec io = {&registers, sizeof registers};
    ptrace(PTRACE_GETREGSET, pid, (void *)NT_PRSTATUS, &io);
    return registers;
}

static uint64_t program_counter(pid_t pid)
{
    return registers_of(pid).rip;
}

/* When it stands before or behind one: its number. */
static uint64_t system_call(pid_t pid)
{
    return registers_of(pid).orig_rax;
}

/* The kernel's code that reads the clock: at the same addresses in the actors, which are forked. */
static bool is_in_vdso(uint64_t address)
{
    uint64_t begin = getauxval(AT_SYSINFO_EHDR);
    const Elf64_Ehdr *header = (const Elf64_Ehdr *)(uintptr_t)begin;
    const Elf64_Phdr *segments;
    if (!begin)
        return false;
    segments = (const Elf64_Phdr *)(uintptr_t)(begin + header->e_phoff);
    for (int i = 0; i < header->e_phnum; i++) {
        if (segments[i].p_type == PT_LOAD && address - begin - segments[i].p_vaddr < segments[i].p_memsz)
            return true;
    }
    return false;
}

/* False: it is gone. */
static bool continue_to(pid_t pid, uint64_t address)
{
    int status = 0;
    do {
        if (ptrace(PTRACE_CONT, pid, NULL, NULL) != 0)
            return false;
        while (waitpid(pid, &status, __WALL) == -1)
            if (errno != EINTR)
                return false;
    } while (WIFSTOPPED(status) && program_counter(pid) != address + 1);
    return WIFSTOPPED(status);
}

/*
 * It was stepped onto the first instruction there: lets it run to where it was called from. In there it reads again and
 * again until the kernel, a few hundred times a second, did not set the clock meanwhile: one that is stepped on a slow
 * machine never comes out.
 */
static bool leave_vdso(pid_t pid)
{
    const long breakpoint = 0xcc;
    struct user_regs_struct registers = registers_of(pid);
    struct iovec io = {&registers, sizeof registers};
    if (!is_in_vdso(registers.rip))
        return true;
    uint64_t caller = (uint64_t)ptrace(PTRACE_PEEKDATA, pid, (void *)(uintptr_t)registers.rsp, NULL);
    void *text = (void *)(uintptr_t)caller;
    errno = 0;
    long was = ptrace(PTRACE_PEEKTEXT, pid, text, NULL);
    if (errno != 0 || ptrace(PTRACE_POKETEXT, pid, text, (was & ~0xffL) | breakpoint) != 0 || !continue_to(pid, caller))
        return false;
    registers = registers_of(pid);
    registers.rip = caller;
    return ptrace(PTRACE_POKETEXT, pid, text, was) == 0 && ptrace(PTRACE_SETREGSET, pid, (void *)NT_PRSTATUS, &io) == 0;
}
#else
static const unsigned char syscall_instruction[] = {0};

static uint64_t program_counter(pid_t pid)
{
    (void)pid;
    return 0;
}

static uint64_t system_call(pid_t pid)
{
    (void)pid;
    return UINT64_MAX;
}

static bool is_in_vdso(uint64_t address)
{
    (void)address;
    return false;
}

static bool leave_vdso(pid_t pid)
{
    (void)pid;
    return true;
}
#endif

static bool at_syscall(pid_t pid)
{
    unsigned char bytes[sizeof syscall_instruction];
    struct iovec here = {bytes, sizeof bytes}, there = {(void *)(uintptr_t)program_counter(pid), sizeof bytes};
    return process_vm_readv(pid, &here, 1, &there, 1, 0) == sizeof bytes &&
           memcmp(bytes, syscall_instruction, sizeof bytes) == 0;
}

static void tick(int signal_number)
{
    (void)signal_number;
}

/* So that no wait is for ever. Once only: a signal that comes again and again keeps fork() from ever succeeding. */
static void wake_me_soon(void)
{
    struct itimerval time = {{0, 0}, {0, TICK_US}};
    setitimer(ITIMER_REAL, &time, NULL);
}

/* Some clocks take a system call even in there, which leave_vdso() passes over, too. */
static bool is_call_of_vdso(pid_t pid, int status)
{
    return WIFSTOPPED(status) && WSTOPSIG(status) == (SIGTRAP | 0x80) && is_in_vdso(program_counter(pid));
}

/* Waits for its next stop. False and *asleep: it sleeps in a futex instead. */
static bool wait_for_stop(struct actor *actor, int *status, bool *asleep)
{
    *asleep = false;
    for (int ticks = 0; ticks < TICKS_MOST;) {
        wake_me_soon();
        pid_t got = waitpid(actor->pid, status, __WALL);
        if (got == actor->pid && is_call_of_vdso(actor->pid, *status) &&
            ptrace(PTRACE_SYSCALL, actor->pid, NULL, NULL) == 0)
            continue;
        if (got == actor->pid)
            return WIFSTOPPED(*status);
        if (got == -1 && errno != EINTR)
            return false;
        ticks++;
        if (actor_sleeps(actor)) {
            *asleep = true;
            return false;
        }
    }
    return false;
}

static bool resume(struct actor *actor, enum __ptrace_request how)
{
    progress_of(actor)->pending = true;
    if (how == PTRACE_SINGLESTEP && !leave_vdso(actor->pid))
        return false;
    return ptrace(how, actor->pid, NULL, NULL) == 0;
}

/* Is it stopped at the mark behind its call? (Not by having been stepped there.) */
static bool is_over(const struct actor *actor, int status)
{
    siginfo_t info;
    return actor->board->ended && WSTOPSIG(status) == SIGTRAP &&
           ptrace(PTRACE_GETSIGINFO, actor->pid, NULL, &info) == 0 && info.si_code == SI_TKILL;
}

bool victim_begin(struct actor *actor, const struct order *order)
{
    int status;
    bool asleep;
    struct sigaction action = {.sa_handler = tick};
    sigaction(SIGALRM, &action, NULL);
    long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL;
    if (ptrace(PTRACE_SEIZE, actor->pid, NULL, (void *)options) != 0)
        return false;
    *progress_of(actor) = (struct progress){.stops = 0};
    actor->board->traced = 1;
    actor_tell(actor, order);
    return wait_for_stop(actor, &status, &asleep) && WSTOPSIG(status) == SIGTRAP;
}

enum where victim_go(struct actor *actor, const struct place *place)
{
    struct progress *progress = progress_of(actor);
    int status;
    bool asleep;
    if (progress->over)
        return AT_END;
    while (progress->pending || progress->stops < place->stops || progress->steps < place->steps) {
        bool whole = progress->stops < place->stops;
        if (!progress->pending && !resume(actor, whole ? PTRACE_SYSCALL : PTRACE_SINGLESTEP))
            return AT_NOTHING;
        if (!wait_for_stop(actor, &status, &asleep))
            return asleep ? AT_SLEEP : AT_NOTHING;
        progress->pending = false;
        progress->over = is_over(actor, status);
        if (progress->over)
            return AT_END;
        if (whole)
            progress->stops += WSTOPSIG(status) == (SIGTRAP | 0x80);
        else
            progress->steps++;
    }
    return AT_PLACE;
}

/* The letter that /proc has for what it does. */
static char state_of(pid_t pid)
{
    char path[64], text[512] = "";
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return '\0';
    ssize_t size = read(fd, text, sizeof text - 1);
    close(fd);
    const char *name_end = size > 0 ? strrchr(text, ')') : NULL;
    return name_end && name_end[1] ? name_end[2] : '\0';
}

/*
 * Before a system call the kernel lets it make that call first, unless it would sleep in it. Then it
 * stands behind it.
 */
bool victim_freeze(struct actor *actor)
{
    int64_t deadline = monotonic_ns() + INT64_C(120000000000);
    struct progress *progress = progress_of(actor);
    if (progress->over || progress->pending || actor->board->ended)
        return false;
    actor->board->traced = 0;
    kill(actor->pid, SIGSTOP);
    if (ptrace(PTRACE_DETACH, actor->pid, NULL, NULL) != 0)
        return false;
    while (state_of(actor->pid) != 'T' && monotonic_ns() < deadline)
        sched_yield();
    progress->frozen = true;
    return state_of(actor->pid) == 'T';
}

bool victim_finish(struct actor *actor)
{
    if (progress_of(actor)->frozen)
        return kill(actor->pid, SIGCONT) == 0;
    const struct place end = {UINT32_MAX, 0};
    enum where where;
    int64_t deadline = monotonic_ns() + INT64_C(120000000000);
    do
        where = victim_go(actor, &end);
    while (where == AT_SLEEP && monotonic_ns() < deadline);
    if (where != AT_END)
        return false;
    actor->board->traced = 0;
    return ptrace(PTRACE_DETACH, actor->pid, NULL, NULL) == 0;
}

void victim_hold(struct actor *actor)
{
    int status;
    bool asleep = true;
    if (!progress_of(actor)->pending || ptrace(PTRACE_INTERRUPT, actor->pid, NULL, NULL) != 0)
        return;
    while (asleep)
        wait_for_stop(actor, &status, &asleep);
    progress_of(actor)->pending = false;
}

void victim_kill(struct actor *actor)
{
    int status = 0;
    if (actor->pid <= 0)
        nobody_there();
    if (progress_of(actor)->frozen) {
        actor_kill(actor);
        return;
    }
    kill(actor->pid, SIGKILL);
    for (;;) {
        pid_t got = waitpid(actor->pid, &status, __WALL);
        if (got == -1 ? errno != EINTR : WIFSIGNALED(status) || WIFEXITED(status))
            break;
    }
    actor_buried(actor);
}

const char *tracing_fails(void)
{
#if !defined(__x86_64__)
    return "single-stepping is written for x86-64 only";
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return "with a sanitizer this would test another library than the one that ships";
#else
    struct actor *actor = actor_start();
    const struct place place = {0, 5};
    bool works = victim_begin(actor, &(struct order){.verb = DO_NOTHING}) && victim_go(actor, &place) == AT_PLACE;
    victim_kill(actor);
    return works ? NULL : "ptrace is not permitted here";
#endif
}

/* ---- surveying a call ------------------------------------------------------------------------------- */

struct window {
    uint64_t begin;
    size_t size;
    unsigned char bytes[WATCHED];
};

static struct window windows[WINDOWS];
static uint32_t window_count;

/* Which segments and memory files does it have attached now? */
static void find_windows(pid_t pid)
{
    char path[64], line[512];
    unsigned long begin, end;
    snprintf(path, sizeof path, "/proc/%d/maps", pid);
    FILE *file = fopen(path, "re");
    window_count = 0;
    while (file && window_count < WINDOWS && fgets(line, sizeof line, file)) {
        if ((!strstr(line, "/SYSV") && !strstr(line, "/memfd:yoke")) || sscanf(line, "%lx-%lx", &begin, &end) != 2)
            continue;
        windows[window_count].begin = begin;
        windows[window_count++].size = end - begin < WATCHED ? end - begin : WATCHED;
    }
    if (file)
        fclose(file);
}

/* Reads them anew; true when one reads otherwise. */
static bool windows_changed(pid_t pid)
{
    static unsigned char now[WATCHED];
    bool changed = false;
    for (uint32_t i = 0; i < window_count; i++) {
        struct iovec here = {now, windows[i].size}, there = {(void *)(uintptr_t)windows[i].begin, windows[i].size};
        if (process_vm_readv(pid, &here, 1, &there, 1, 0) != (ssize_t)windows[i].size)
            continue;
        if (memcmp(now, windows[i].bytes, windows[i].size) != 0) {
            memcpy(windows[i].bytes, now, windows[i].size);
            changed = true;
        }
    }
    return changed;
}

static void add_place(struct places *places, uint32_t stops, uint32_t steps)
{
    if (places->count == places->room) {
        places->room = places->room ? 2 * places->room : 256;
        places->list = realloc(places->list, places->room * sizeof *places->list);
        if (!places->list)
            abort();
    }
    places->list[places->count++] = (struct place){stops, steps};
}

uint64_t random_of(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* Has this system call an effect that outlives the process, or that others see? */
static bool has_effect(pid_t pid)
{
    switch (system_call(pid)) {
    case SYS_read:
    case SYS_pread64:
    case SYS_newfstatat:
    case SYS_fstat:
    case SYS_getdents64:
    case SYS_getpid:
    case SYS_gettid:
    case SYS_geteuid:
    case SYS_getuid:
    case SYS_getrandom:
    case SYS_prctl:
    case SYS_brk:
    case SYS_mmap:
    case SYS_munmap:
    case SYS_madvise:
    case SYS_mprotect:
    case SYS_sched_getaffinity:
    case SYS_rt_sigprocmask:
    case SYS_clock_nanosleep:
        return false;
    default:
        return true; /* openat and close, too: they make files, and take and drop locks */
    }
}

/* Waits for the next stop, or for somebody to wake it. False: it went otherwise. */
static bool wait_through_sleep(struct actor *actor, int *status, const struct surveyor *surveyor, struct places *places)
{
    bool sleeps;
    while (!wait_for_stop(actor, status, &sleeps)) {
        if (!sleeps)
            return false;
        places->slept = true;
        if (surveyor->asleep)
            surveyor->asleep(surveyor->context);
    }
    progress_of(actor)->pending = false;
    return true;
}

static void look_anew(pid_t pid)
{
    find_windows(pid);
    windows_changed(pid);
}

bool survey_calls(struct actor *actor, const struct surveyor *surveyor, struct places *ret)
{
    int status;
    uint32_t stops = 0;
    bool effect = true;
    *ret = (struct places){.list = NULL};
    add_place(ret, 0, 0);
    look_anew(actor->pid);
    for (;;) {
        if (!resume(actor, PTRACE_SYSCALL) || !wait_through_sleep(actor, &status, surveyor, ret))
            return false;
        bool over = is_over(actor, status);
        if (stops % 2 == 0 && stops / 2 < STRETCHES_MOST)
            ret->busy[stops / 2] = windows_changed(actor->pid);
        if (over || surveyor->enough())
            return true;
        if (++stops % 2 == 0)
            look_anew(actor->pid);
        else
            effect = has_effect(actor->pid);
        /* before it, the same is left as after the one before: a sample of those will do */
        if (stops % 2 == 0 ? effect : random_of(surveyor->random) % 16 == 0)
            add_place(ret, stops, 0);
        /* somewhere between two, where nothing outside changes */
        if (stops % 2 == 0 && random_of(surveyor->random) % 16 == 0)
            add_place(ret, stops, 1 + (uint32_t)(random_of(surveyor->random) % 300));
    }
}

bool survey_memory(struct actor *actor, const struct surveyor *surveyor, struct places *places)
{
    int status;
    uint32_t stops = 0, steps = 0;
    look_anew(actor->pid);
    for (;;) {
        bool before_call = stops % 2 == 0, step = before_call && (stops / 2 >= STRETCHES_MOST || places->busy[stops / 2]);
        bool call = step && at_syscall(actor->pid);
        if (!resume(actor, step && !call ? PTRACE_SINGLESTEP : PTRACE_SYSCALL) ||
            !wait_through_sleep(actor, &status, surveyor, places))
            return false;
        if (is_over(actor, status) || surveyor->enough())
            return true;
        if (step && !call) {
            places->instructions++;
            steps++;
            if (windows_changed(actor->pid) || random_of(surveyor->random) % 64 == 0)
                add_place(places, stops, steps);
            continue;
        }
        steps = 0;
        if (++stops % 2 == 0)
            look_anew(actor->pid);
    }
}

bool survey_instructions(struct actor *actor, const struct surveyor *surveyor, uint32_t sample, struct places *ret)
{
    int status;
    uint32_t stops = 0, steps = 0;
    *ret = (struct places){.list = NULL};
    add_place(ret, 0, 0);
    look_anew(actor->pid);
    for (;; ret->instructions++) {
        bool call = at_syscall(actor->pid);
        if (call)
            add_place(ret, stops + 1, 0);
        if (!resume(actor, PTRACE_SINGLESTEP) || !wait_through_sleep(actor, &status, surveyor, ret))
            return false;
        if (is_over(actor, status) || surveyor->enough())
            return true;
        steps = call ? 0 : steps + 1;
        stops += call ? 2 : 0;
        if (call)
            look_anew(actor->pid);
        if (call || windows_changed(actor->pid) || random_of(surveyor->random) % sample == 0)
            add_place(ret, stops, steps);
    }
}

void places_free(struct places *places)
{
    free(places->list);
    *places = (struct places){.list = NULL};
}

/* ---- what is left ---------------------------------------------------------------------------------- */

static void say(struct leftovers *left, const char *what, const char *name)
{
    size_t used = strlen(left->text);
    snprintf(left->text + used, sizeof left->text - used, " %s%s", what, name);
}

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* What a file of a name directory counts as. */
static uint32_t *count_of(const char *file, struct leftovers *left)
{
    static const char *const kinds[] = {"region.", "port.", "stream.", "link.", "peer.", "signals."};
    const char *kernel = strstr(file, "@kernel");
    if (begins(file, ".live-"))
        return &left->live_files;
    if (begins(file, ".fifo-"))
        return &left->fifos;
    if (begins(file, ".end"))
        return &left->ends;
    if (begins(file, ".signals-"))
        return &left->sockets;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (begins(file, kinds[i]))
            return !kernel               ? &left->names
                   : begins(file, "port") ? &left->kernel_ports
                   : begins(file, "link") ? &left->kernel_links
                                          : &left->kernel_streams;
    }
    return &left->others;
}

static void count_files(const char *path, struct leftovers *left, bool intents)
{
    struct stat facts;
    DIR *stream = opendir(path);
    for (struct dirent *entry; stream && (entry = readdir(stream));) {
        const char *name = entry->d_name;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
            continue;
        bool there = fstatat(dirfd(stream), name, &facts, AT_SYMLINK_NOFOLLOW) == 0;
        if (!intents && begins(name, ".intents-"))
            continue;
        if (!intents && begins(name, ".lock-") && there && facts.st_size == 0)
            continue;
        (*(intents ? &left->intents : count_of(name, left)))++;
        say(left, intents ? "intent " : "", name);
    }
    if (stream)
        closedir(stream);
}

/* ---- message queues: where one mounts their file system they are files ---- */

static char queues[300]; /* "": they can not be seen */

bool leftovers_open(void)
{
    const char *base = getenv("TMPDIR");
    snprintf(queues, sizeof queues, "%s/crash-queues-XXXXXX", base && base[0] ? base : "/tmp");
    if (!mkdtemp(queues)) {
        queues[0] = '\0';
        return false;
    }
    if (unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
        mount("mqueue", queues, "mqueue", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) == 0)
        return true;
    rmdir(queues);
    queues[0] = '\0';
    return false;
}

bool leftovers_see_queues(void)
{
    return queues[0] != '\0';
}

void leftovers_close(void)
{
    if (queues[0] && umount2(queues, MNT_DETACH) == 0)
        rmdir(queues);
    queues[0] = '\0';
}

static void count_queues(struct leftovers *left)
{
    DIR *stream = queues[0] ? opendir(queues) : NULL;
    for (struct dirent *entry; stream && (entry = readdir(stream));) {
        if (entry->d_name[0] == '.')
            continue;
        left->queues++;
        say(left, "queue ", entry->d_name);
    }
    if (stream)
        closedir(stream);
}

/* Calls it with the id and facts of each segment of ours. */
static void each_segment(void (*each)(int id, const struct shmid_ds *facts, void *context), void *context)
{
    struct shm_info info;
    struct shmid_ds facts;
    int last = shmctl(0, SHM_INFO, (struct shmid_ds *)(void *)&info);
    for (int index = 0; index <= last; index++) {
        int id = shmctl(index, SHM_STAT, &facts);
        if (id >= 0 && actor_was(facts.shm_cpid))
            each(id, &facts, context);
    }
}

static void count_segment(int id, const struct shmid_ds *facts, void *context)
{
    struct leftovers *left = context;
    char text[96];
    left->segments++;
    snprintf(text, sizeof text, "segment %d (%zu bytes, %lu attached%s)", id, (size_t)facts->shm_segsz,
             (unsigned long)facts->shm_nattch, facts->shm_perm.mode & SHM_DEST ? ", marked" : "");
    say(left, text, "");
}

void leftovers_count(const char *directory, struct leftovers *ret)
{
    char intents[512];
    *ret = (struct leftovers){.names = 0};
    snprintf(intents, sizeof intents, "%s/.intents-%u", directory, geteuid());
    count_files(directory, ret, false);
    count_files(intents, ret, true);
    each_segment(count_segment, ret);
    count_queues(ret);
}

static uint64_t sizes_in(const char *path)
{
    struct stat facts;
    uint64_t sum = 0;
    DIR *stream = opendir(path);
    for (struct dirent *entry; stream && (entry = readdir(stream));) {
        if (fstatat(dirfd(stream), entry->d_name, &facts, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(facts.st_mode))
            sum = sum * 31 + (uint64_t)(facts.st_size / 100) * 4096 + facts.st_mode;
    }
    if (stream)
        closedir(stream);
    return sum;
}

/* How far is its header filled in? Nothing, the nonce, some, all but ready, ready. */
static void segment_shape(int id, const struct shmid_ds *facts, void *context)
{
    uint64_t *sum = context;
    struct yk_shm_header *header = shmat(id, NULL, SHM_RDONLY);
    if (header == (void *)-1)
        return;
    const struct yk_shm_fixed *fixed = &header->fixed;
    uint32_t shape = (uint32_t)(fixed->nonce != 0) | (uint32_t)(fixed->magic != 0) << 1 | (uint32_t)(fixed->mode != 0) << 2 |
                     header->ready.raw << 3 | (facts->shm_perm.mode & SHM_DEST);
    *sum = *sum * 7 + shape;
    shmdt(header);
}

uint64_t leftovers_sizes(const char *directory)
{
    char intents[512];
    snprintf(intents, sizeof intents, "%s/.intents-%u", directory, geteuid());
    uint64_t sum = sizes_in(directory) * 7 + sizes_in(intents);
    each_segment(segment_shape, &sum);
    return sum;
}

static void remove_segment(int id, const struct shmid_ds *facts, void *context)
{
    (void)facts;
    (void)context;
    shmctl(id, IPC_RMID, NULL);
}

static void remove_files(const char *path)
{
    DIR *stream = opendir(path);
    for (struct dirent *entry; stream && (entry = readdir(stream));)
        unlinkat(dirfd(stream), entry->d_name, 0);
    if (stream)
        closedir(stream);
}

void leftovers_clear(const char *directory)
{
    char intents[512];
    snprintf(intents, sizeof intents, "%s/.intents-%u", directory, geteuid());
    remove_files(intents);
    remove_files(directory);
    if (queues[0])
        remove_files(queues);
    each_segment(remove_segment, NULL);
}
