/*
 * tracer.c - see tracer.h.
 */
#include "tracer.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <ucontext.h>
#include <unistd.h>

#include "guards.h"

struct access accesses[ACCESSES_MOST];
size_t access_count;
struct change change = {.at = SIZE_MAX};

#ifndef __x86_64__

bool tracer_works_here(void)
{
    return false;
}

void tracer_install(void)
{
}

void tracer_begin(void)
{
}

void tracer_end(void)
{
}

static bool pause_tracing(void)
{
    return false;
}

static void resume_tracing(bool was)
{
    (void)was;
}

#else

#define PAGE      ((uintptr_t)4096)
#define OPEN_MOST 4 /* pages that one instruction can touch, and some more */
#define TRAP_FLAG 0x100

static bool tracing;
static size_t reads;
static struct {
    unsigned char *page;
    bool read_only;
} opened[OPEN_MOST];
static size_t opened_count;

bool tracer_works_here(void)
{
    return true;
}

/* ---- what an instruction does ----------------------------------------------------------------------- */

struct instruction {
    size_t size; /* of its memory operand */
    bool changes, copies;
};

/* The vector instructions that copy: their length of operand is in the prefix. */
static bool is_vector(const uint8_t *code, bool repeat, bool wide, struct instruction *ret)
{
    static const size_t lengths[] = {16, 32, 64, 64};

    if (code[0] == 0x62) { /* EVEX */
        ret->size = lengths[code[3] >> 5 & 3];
        return true;
    }
    if (code[0] == 0xc5 || code[0] == 0xc4) { /* VEX */
        uint8_t last = code[0] == 0xc5 ? code[1] : code[2];
        uint8_t opcode = code[0] == 0xc5 ? code[2] : code[3];
        ret->size = opcode == 0xd6 || opcode == 0x7e ? 8
                    : opcode == 0x6e                 ? 4
                                                     : lengths[last >> 2 & 1];
        return true;
    }
    if (code[0] != 0x0f)
        return false;
    switch (code[1]) {
    case 0x10:
    case 0x11:
    case 0x28:
    case 0x29:
    case 0x6f:
    case 0x7f:
        ret->size = 16;
        return true;
    case 0x16:
    case 0x17:
    case 0x12:
    case 0x13:
    case 0xd6:
        ret->size = 8;
        return true;
    case 0x7e:
    case 0x6e:
        ret->size = repeat || wide ? 8 : 4;
        return true;
    }
    return false;
}

static bool is_of_bytes(const uint8_t *code)
{
    uint8_t opcode = code[0];

    if (opcode == 0x0f)
        return code[1] == 0xb6 || code[1] == 0xbe || code[1] == 0xb0 || code[1] == 0xc0;
    if (opcode < 0x40)
        return (opcode & 7) == 0 || (opcode & 7) == 2;
    return opcode == 0x80 || opcode == 0x84 || opcode == 0x86 || opcode == 0x88 || opcode == 0x8a ||
           opcode == 0xa4 || opcode == 0xaa || opcode == 0xc6 || opcode == 0xf6 || opcode == 0xfe;
}

/* Enough of the instruction set to tell how much memory is touched, and whether in both ways. */
static struct instruction decode(const ucontext_t *context)
{
    const uint8_t *code = (const uint8_t *)context->uc_mcontext.gregs[REG_RIP];
    struct instruction result = {.size = 4};
    bool lock = false, repeat = false, half = false, wide = false;

    for (;; code++) {
        if (*code == 0xf0)
            lock = true;
        else if (*code == 0xf2 || *code == 0xf3)
            repeat = true;
        else if (*code == 0x66)
            half = true;
        else if (*code < 0x40 || *code > 0x4f)
            break;
        else
            wide = (*code & 8) != 0;
    }
    result.changes = lock || code[0] == 0x86 || code[0] == 0x87;
    result.copies = is_vector(code, repeat, wide, &result);
    if (result.copies)
        return result;
    result.size = is_of_bytes(code) ? 1 : wide ? 8 : half ? 2 : 4;
    if (code[0] == 0x0f && (code[1] == 0xb7 || code[1] == 0xbf))
        result.size = 2;
    result.copies = repeat && (code[0] == 0xa4 || code[0] == 0xa5);
    return result; /* of a rep, it is stopped after each turn */
}

/* ---- changing ---------------------------------------------------------------------------------------- */

static uint64_t hostile_value(uint64_t old, unsigned how)
{
    switch (how) {
    case 0:
        return UINT64_MAX;
    case 1:
        return 0;
    case 2:
        return old ^ 1;
    case 3:
        return old + 1;
    case 4:
        return old - 1;
    case 5:
        return old ^ (UINT64_C(1) << 63 | UINT64_C(1) << 31);
    case 6: /* the bits that say what a word of a slot means; another lap of both rings' words */
        return old ^ (UINT64_C(3) << 27 | UINT64_C(1) << 32);
    default:
        return old ^ UINT64_C(0x0007fff8); /* which block, which slot */
    }
}

static void change_word(unsigned char *at, size_t size)
{
    size_t width = size >= 8 ? 8 : 4;
    unsigned char *word = (unsigned char *)((uintptr_t)at & ~(uintptr_t)3);
    uint64_t value = 0;

    if (((uintptr_t)word & (PAGE - 1)) > PAGE - width)
        return;
    memcpy(&value, word, width);
    value = hostile_value(value, change.how);
    memcpy(word, &value, width);
}

/* ---- the two signals --------------------------------------------------------------------------------- */

static void protect(bool away)
{
    for (size_t i = 0; i < GUARDED_MOST; i++) {
        const struct guarded *one = &guarded[i];
        int allowed = away ? PROT_NONE : one->read_only ? PROT_READ : PROT_READ | PROT_WRITE;
        if (one->base)
            mprotect(one->base, one->size, allowed);
    }
}

static void truly_crash(void)
{
    signal(SIGSEGV, SIG_DFL); /* and the instruction is done again */
    signal(SIGBUS, SIG_DFL);
}

static void note(size_t map, unsigned char *at, const ucontext_t *context)
{
    struct instruction instruction = decode(context);
    size_t offset = (size_t)(at - guarded[map].base), left = guarded[map].size - offset;
    bool writes = (context->uc_mcontext.gregs[REG_ERR] & 2) != 0;
    struct access *access = &accesses[access_count];

    if (access_count == ACCESSES_MOST) {
        static const char text[] = "too many accesses\n";
        (void)!write(STDERR_FILENO, text, sizeof text - 1);
        abort();
    }
    access_count++;
    access->map = map;
    access->offset = offset;
    access->size = instruction.size < left ? instruction.size : left;
    access->kind = instruction.changes ? ACCESS_CHANGE : writes ? ACCESS_WRITE : ACCESS_READ;
    access->copies = instruction.copies;
    if (access->kind != ACCESS_WRITE && reads++ == change.at && !guarded[map].read_only)
        change_word(at, access->size);
}

static void on_fault(int number, siginfo_t *info, void *context)
{
    unsigned char *at = info->si_addr;
    ucontext_t *registers = context;
    size_t map = 0;

    (void)number;
    while (map < GUARDED_MOST && !(guarded[map].base && at >= guarded[map].base &&
                                   at < guarded[map].base + guarded[map].size))
        map++;
    bool again = false; /* it is allowed already, and yet a fault */
    unsigned char *page = (unsigned char *)((uintptr_t)at & ~(PAGE - 1));
    for (size_t i = 0; i < opened_count; i++)
        again |= opened[i].page == page;
    if (!tracing || map == GUARDED_MOST || again || opened_count == OPEN_MOST) {
        truly_crash();
        return;
    }
    opened[opened_count].page = page;
    opened[opened_count++].read_only = guarded[map].read_only;
    mprotect(page, PAGE, guarded[map].read_only ? PROT_READ : PROT_READ | PROT_WRITE);
    note(map, at, registers);
    registers->uc_mcontext.gregs[REG_EFL] |= TRAP_FLAG;
}

static void on_trap(int number, siginfo_t *info, void *context)
{
    ucontext_t *registers = context;

    (void)number;
    (void)info;
    registers->uc_mcontext.gregs[REG_EFL] &= ~TRAP_FLAG;
    for (size_t i = 0; tracing && i < opened_count; i++)
        mprotect(opened[i].page, PAGE, PROT_NONE);
    opened_count = 0;
}

static void on_new_mapping(const struct guarded *one)
{
    if (tracing)
        mprotect(one->base, one->size, PROT_NONE);
}

void tracer_install(void)
{
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER};

    sigaction(SIGSEGV, &action, NULL);
    action.sa_sigaction = on_trap;
    sigaction(SIGTRAP, &action, NULL);
    guarded_new = on_new_mapping;
}

void tracer_begin(void)
{
    access_count = 0;
    reads = 0;
    protect(true);
    tracing = true;
}

void tracer_end(void)
{
    tracing = false;
    protect(false);
}

static bool pause_tracing(void)
{
    bool was = tracing;

    if (was) {
        tracing = false;
        protect(false);
    }
    return was;
}

static void resume_tracing(bool was)
{
    if (was)
        protect(true);
    tracing = was;
}

#endif

/* ---- what the kernel does with the memory, for a call ------------------------------------------------ */

long __real_syscall(long number, long a, long b, long c, long d, long e, long f);
long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f);
long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f)
{
    bool was = pause_tracing();
    long result = __real_syscall(number, a, b, c, d, e, f);

    resume_tracing(was);
    return result;
}

#define PAUSED(type, name, parameters, arguments) \
    type __real_##name parameters;                \
    type __wrap_##name parameters;                \
    type __wrap_##name parameters                 \
    {                                             \
        bool was = pause_tracing();               \
        type result = __real_##name arguments;    \
        resume_tracing(was);                      \
        return result;                            \
    }

PAUSED(ssize_t, write, (int fd, const void *bytes, size_t size), (fd, bytes, size))
PAUSED(ssize_t, read, (int fd, void *bytes, size_t size), (fd, bytes, size))
PAUSED(ssize_t, pwritev64v2, (int fd, const struct iovec *pieces, int count, off_t at, int flags),
       (fd, pieces, count, at, flags))
PAUSED(int, madvise, (void *at, size_t size, int advice), (at, size, advice))
