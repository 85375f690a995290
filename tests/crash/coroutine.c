/* See coroutine.h. */
#include "coroutine.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
__asm__(".text\n"
        ".globl coroutine_switch\n"
        ".type coroutine_switch, @function\n"
        "coroutine_switch:\n"
        " push %rbp\n push %rbx\n push %r12\n push %r13\n push %r14\n push %r15\n"
        " mov %rsp, (%rdi)\n"
        " mov %rsi, %rsp\n"
        " pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbx\n pop %rbp\n"
        " ret\n"
        ".size coroutine_switch, .-coroutine_switch\n");

static uint64_t *first_frame(uint64_t *top, void (*body)(void))
{
    *--top = 0; /* as if called: the stack is 16-byte aligned but for the return address */
    *--top = (uint64_t)(uintptr_t)body;
    return top - 6;
}
#elif defined(__aarch64__)
__asm__(".text\n"
        ".globl coroutine_switch\n"
        ".type coroutine_switch, %function\n"
        "coroutine_switch:\n"
        " sub sp, sp, #160\n"
        " stp x19, x20, [sp]\n stp x21, x22, [sp, #16]\n stp x23, x24, [sp, #32]\n"
        " stp x25, x26, [sp, #48]\n stp x27, x28, [sp, #64]\n stp x29, x30, [sp, #80]\n"
        " stp d8, d9, [sp, #96]\n stp d10, d11, [sp, #112]\n stp d12, d13, [sp, #128]\n"
        " stp d14, d15, [sp, #144]\n"
        " mov x2, sp\n"
        " str x2, [x0]\n"
        " mov sp, x1\n"
        " ldp x19, x20, [sp]\n ldp x21, x22, [sp, #16]\n ldp x23, x24, [sp, #32]\n"
        " ldp x25, x26, [sp, #48]\n ldp x27, x28, [sp, #64]\n ldp x29, x30, [sp, #80]\n"
        " ldp d8, d9, [sp, #96]\n ldp d10, d11, [sp, #112]\n ldp d12, d13, [sp, #128]\n"
        " ldp d14, d15, [sp, #144]\n"
        " add sp, sp, #160\n"
        " ret\n"
        ".size coroutine_switch, .-coroutine_switch\n");

static uint64_t *first_frame(uint64_t *top, void (*body)(void))
{
    top -= 20;
    top[11] = (uint64_t)(uintptr_t)body; /* x30 */
    return top;
}
#else
void coroutine_switch(void **save, void *to)
{
    (void)save;
    (void)to;
    abort();
}

static uint64_t *first_frame(uint64_t *top, void (*body)(void))
{
    (void)body;
    return top;
}
#endif

void *coroutine_make(unsigned char *stack, size_t size, void (*body)(void))
{
    memset(stack, 0, size);
    return first_frame((uint64_t *)(void *)(stack + size), body);
}
