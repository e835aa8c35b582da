#include "fiber.h"

#include <cstdint>

namespace fiber
{

#if defined(__x86_64__)

/* What the calling convention lets a call destroy need not be kept: six registers remain. The C
 * library's swapcontext does the same, and asks the kernel twice for the signal mask: 15 times
 * slower. */
extern "C" void ft_fiber_switch(void **from, void *to);
asm(R"(
    .text
    .globl ft_fiber_switch
    .hidden ft_fiber_switch
    .type ft_fiber_switch, @function
ft_fiber_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
    .size ft_fiber_switch, .-ft_fiber_switch
)");

void prepare(Context &context, void *stack, size_t bytes, void (*entry)())
{
    /* As a switch leaves a stack: six registers, then where to go on. A function is entered with
     * a stack pointer that is 8 above a multiple of 16, at the return address: here, none. */
    void **top = (void **)(((uintptr_t)stack + bytes) & ~(uintptr_t)15);
    *--top = nullptr;
    *--top = (void *)entry;
    for (int i = 0; i < 6; i++)
        *--top = nullptr;
    context.stack_pointer = top;
}

void switch_to(Context &from, Context &to)
{
    ft_fiber_switch(&from.stack_pointer, to.stack_pointer);
}

#else

void prepare(Context &context, void *stack, size_t bytes, void (*entry)())
{
    getcontext(&context.state);
    context.state.uc_stack.ss_sp = stack;
    context.state.uc_stack.ss_size = bytes;
    context.state.uc_link = nullptr;
    makecontext(&context.state, entry, 0);
}

void switch_to(Context &from, Context &to)
{
    swapcontext(&from.state, &to.state);
}

#endif

} // namespace fiber
