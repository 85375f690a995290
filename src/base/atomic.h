/*
 * atomic.h - the only file that spells atomics.
 *
 * What several processes touch is declared as yk_atomic64/32, which can not be read or written by
 * accident with plain C. The suffix of each helper is its memory order. `seq` is used only where a
 * store (or read-modify-write) must be ordered before a later load of another word; the two
 * accesses are then named at the call.
 *
 * With YK_CHECK defined, each access first calls yk_check_yield(): the schedule checker
 * (tests/crash) compiles the real algorithms that way and walks their interleavings; tests/threads
 * compiles the whole library so, and pauses there.
 */
#ifndef YK_BASE_ATOMIC_H
#define YK_BASE_ATOMIC_H

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    uint64_t raw;
} yk_atomic64;

typedef struct {
    uint32_t raw;
} yk_atomic32;

#ifdef YK_CHECK
void yk_check_yield(void);
#else
static inline void yk_check_yield(void)
{
}
#endif

#define YK_DEFINE_ATOMIC(bits, infix)                                                           \
    static inline uint##bits##_t yk_load##infix##_relaxed(const yk_atomic##bits *a)             \
    {                                                                                           \
        yk_check_yield();                                                                       \
        return __atomic_load_n(&a->raw, __ATOMIC_RELAXED);                                      \
    }                                                                                           \
    static inline uint##bits##_t yk_load##infix##_acquire(const yk_atomic##bits *a)             \
    {                                                                                           \
        yk_check_yield();                                                                       \
        return __atomic_load_n(&a->raw, __ATOMIC_ACQUIRE);                                      \
    }                                                                                           \
    static inline uint##bits##_t yk_load##infix##_seq(const yk_atomic##bits *a)                 \
    {                                                                                           \
        yk_check_yield();                                                                       \
        return __atomic_load_n(&a->raw, __ATOMIC_SEQ_CST);                                      \
    }                                                                                           \
    static inline void yk_store##infix##_relaxed(yk_atomic##bits *a, uint##bits##_t value)      \
    {                                                                                           \
        yk_check_yield();                                                                       \
        __atomic_store_n(&a->raw, value, __ATOMIC_RELAXED);                                     \
    }                                                                                           \
    static inline void yk_store##infix##_release(yk_atomic##bits *a, uint##bits##_t value)      \
    {                                                                                           \
        yk_check_yield();                                                                       \
        __atomic_store_n(&a->raw, value, __ATOMIC_RELEASE);                                     \
    }                                                                                           \
    /* On failure *expected is what was there. Success: seq_cst; failure: acquire. */           \
    static inline bool yk_cas##infix##_seq(yk_atomic##bits *a, uint##bits##_t *expected,        \
                                           uint##bits##_t desired)                              \
    {                                                                                           \
        yk_check_yield();                                                                       \
        return __atomic_compare_exchange_n(&a->raw, expected, desired, false, __ATOMIC_SEQ_CST, \
                                           __ATOMIC_ACQUIRE);                                   \
    }                                                                                           \
    static inline uint##bits##_t yk_add##infix##_seq(yk_atomic##bits *a, uint##bits##_t value)  \
    {                                                                                           \
        yk_check_yield();                                                                       \
        return __atomic_fetch_add(&a->raw, value, __ATOMIC_SEQ_CST);                            \
    }                                                                                           \
    static inline uint##bits##_t yk_or##infix##_seq(yk_atomic##bits *a, uint##bits##_t value)   \
    {                                                                                           \
        yk_check_yield();                                                                       \
        return __atomic_fetch_or(&a->raw, value, __ATOMIC_SEQ_CST);                             \
    }                                                                                           \
    static inline uint##bits##_t yk_and##infix##_seq(yk_atomic##bits *a, uint##bits##_t value)  \
    {                                                                                           \
        yk_check_yield();                                                                       \
        return __atomic_fetch_and(&a->raw, value, __ATOMIC_SEQ_CST);                            \
    }

YK_DEFINE_ATOMIC(64, )
YK_DEFINE_ATOMIC(32, 32)

#undef YK_DEFINE_ATOMIC

/*
 * A fence between a store and a later load of another word; both are named at the call. The other
 * form orders the two for the compiler only: whoever relies on it has the processor's order from
 * the membarrier() of the thread that it faces.
 */
static inline void yk_fence_seq(void)
{
    yk_check_yield();
#if defined(__SANITIZE_THREAD__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wtsan" /* it does not look at fences: tests/threads/README.md */
#endif
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
#if defined(__SANITIZE_THREAD__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif
}

static inline void yk_fence_compiler(void)
{
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

/* One turn of a waiting loop: lets the other hardware thread of the core, if any, get on. */
static inline void yk_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield" ::: "memory");
#endif
}

/*
 * Fetches a line that will be written soon, so that nobody else has a copy any more. The builtin
 * would only fetch one to read, since not every x86-64 has the instruction; those that have it not
 * take it for none.
 */
static inline void yk_prefetch_write(const void *line)
{
#if defined(__x86_64__)
    __asm__ volatile("prefetchw %0" : : "m"(*(const char *)line));
#else
    __builtin_prefetch(line, 1);
#endif
}

static inline void yk_prefetch(const void *line)
{
    __builtin_prefetch(line);
}

#define yk_likely(x)   __builtin_expect(!!(x), 1)
#define yk_unlikely(x) __builtin_expect(!!(x), 0)

#endif
