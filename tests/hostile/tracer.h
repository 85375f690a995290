/*
 * tracer.h - each access that this process makes to shared memory is seen, instruction by instruction,
 * and the memory can be changed before any of them.
 *
 * While tracing, all mappings of guards.h are taken away (PROT_NONE). An access is a SIGSEGV: it is
 * noted, the page is given back, the processor is told to stop after one instruction, and the page
 * is taken away again. So nothing is missed, whether it is an atomic, a plain load, or a piece of memcpy();
 * and it is the very machine code that ships. What the kernel does with the memory for a system call
 * (futexes, read and write) is left alone. x86-64 alone.
 */
#ifndef HOSTILE_TRACER_H
#define HOSTILE_TRACER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum access_kind {
    ACCESS_READ,
    ACCESS_WRITE,
    ACCESS_CHANGE, /* compare-and-swap, add, or …: reads and writes at once */
};

struct access {
    size_t map, offset; /* which mapping (guards.h), and where in it */
    size_t size;
    enum access_kind kind;
    bool copies; /* by an instruction that memcpy() is made of: a vector, or rep movs */
};

#define ACCESSES_MOST 65536
extern struct access accesses[ACCESSES_MOST];
extern size_t access_count;

/* From 0: before the so-manyth access that reads the word is changed. SIZE_MAX: not at all. */
struct change {
    size_t at;
    unsigned how; /* 0 .. CHANGES - 1 */
};
#define CHANGES 8
extern struct change change;

bool tracer_works_here(void);
void tracer_install(void);
void tracer_begin(void);
void tracer_end(void);

#endif
