#include "faults.h"

#include <vector>

static const int signals[] = {SIGSEGV, SIGBUS};
static thread_local void (*handler)(const void *address);

static void handle(int number, siginfo_t *information, void *)
{
    if (handler != nullptr)
        handler(information->si_addr);
    signal(number, SIG_DFL); /* another thread's: it happens again, and ends the process */
}

#if defined(__SANITIZE_ADDRESS__)

/* The sanitizer tells more. */
Faults::Faults(void (*)(const void *))
{
    (void)signals, (void)handle;
}

Faults::~Faults() {}

#else

Faults::Faults(void (*on_fault)(const void *))
{
    /* A stack of its own: what overflowed may be the kernel's. */
    static thread_local std::vector<char> memory(64 * 1024);
    stack_t stack = {};
    stack.ss_sp = memory.data();
    stack.ss_size = memory.size();
    sigaltstack(&stack, &earlier_stack);
    struct sigaction action = {};
    action.sa_sigaction = handle;
    /* The handler is left without a return: the signal must not stay blocked. */
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
    for (int i = 0; i < 2; i++)
        sigaction(signals[i], &action, &earlier_actions[i]);
    handler = on_fault;
}

Faults::~Faults()
{
    handler = nullptr;
    for (int i = 0; i < 2; i++)
        sigaction(signals[i], &earlier_actions[i], nullptr);
    sigaltstack(&earlier_stack, nullptr);
}

#endif
