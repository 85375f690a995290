/*
 * trace.h - static probes (USDT): places where bpftrace, perf, gdb or systemtap can look on, in a
 * library that is otherwise as it is. Nobody there: each is one instruction that does nothing, with a
 * note beside the code that says where it is and in which registers its arguments are.
 *
 * So an argument is something that the code has at hand anyway: no call, no look at shared memory. All
 * probes are the provider `yoke`'s. The first two arguments of most are the object's kind (enum yk_kind)
 * and its name; docs/tracing.md explains all of them, and tests/docs/probes.py compares.
 *
 * probe                                                                 | when
 * ----------------------------------------------------------------------|-----------------------------
 * open    kind, name, size, slot, created                               | a handle is there
 * close   kind, name, slot                                              | it goes
 * remove  address, only_dead                                            | a name was taken away
 * send    kind, name, size, sequence, priority                          | committed, nobody woken yet
 * recv    kind, name, size, sequence, priority, deliveries              | copied, and acknowledged
 * borrow  kind, name, size, sequence, priority, deliveries              | lent
 * release kind, name, sequence                                          | a borrowed one acknowledged
 * return  kind, name, sequence                                          | a borrowed one given back
 * write   kind, name, size                                              | bytes are in the stream
 * read    kind, name, size                                              | bytes are out of it
 * wait_begin kind, name, timeout                                        | nothing there: spins, sleeps
 * wait_end   kind, name, result, reason                                 | result: 1, or why it ended
 * wake     kind, name, slot, room, woken                                | a sleeper's futex was woken
 * doorbell kind, name, slot, result                                     | a descriptor was rung
 * recover  kind, name, slot, pid, given_back                            | a dead participant's
 *
 * Without <sys/sdt.h> (Debian: systemtap-sdt-dev) there are none.
 */
#ifndef YK_BASE_TRACE_H
#define YK_BASE_TRACE_H

#ifdef YK_USDT
#define SDT_USE_VARIADIC /* any number of arguments by one macro */
#include <sys/sdt.h>
#define YK_TRACE(probe, ...) STAP_PROBEV(yoke, probe, __VA_ARGS__)
#else
/* Never called: so that what is only told is not unused. */
static inline void yk_trace_nothing(int first, ...)
{
    (void)first;
}
#define YK_TRACE(probe, ...)                  \
    do {                                      \
        if (0)                                \
            yk_trace_nothing(0, __VA_ARGS__); \
    } while (0)
#endif

#define YK_TRACE_OBJECT(probe, object, ...) \
    YK_TRACE(probe, (object)->fixed.kind, &(object)->fixed.name[0], __VA_ARGS__)

#endif
