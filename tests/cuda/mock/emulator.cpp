/* Runs a kernel's blocks one after another, each thread of a block a fiber. */
#include "emulator.h"
#include "launch.h"

#include <cstdarg>
#include <cstdio>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "faults.h"
#include "fiber.h"
#include "stacks.h"

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace emulator
{

constexpr unsigned warp_lanes = 32, most_block_threads = 1024;

enum class State { ready, at_barrier, in_warp_operation, exited };

struct Thread {
    State state;
    bool started;
    fiber::Context context;
    char *stack;
    uint3 index;
    /* Where it waits, and for what. */
    Site site;
    Operation operation;
    unsigned mask, source;
    uint64_t value; /* what it gave; then, what it gets */
};

/* The block that runs. */
static const Launch *launch;
static Thread threads[most_block_threads];
static unsigned thread_count;
static Thread *current;
static fiber::Context scheduler;
static std::string problem; /* what went wrong; ends the launch */
static std::vector<unsigned char> dynamic_memory;

/* Behind dynamic shared memory, to see what is written there; the address sanitizer sees it itself.
 */
#if defined(__SANITIZE_ADDRESS__)
constexpr size_t canary = 0;
#else
constexpr size_t canary = 256;
#endif
constexpr unsigned char poison = 0xFF; /* four make a NaN, or -1 */

/* ---- known kernels ---- */

static std::map<std::string, Kernel> &known()
{
    static std::map<std::string, Kernel> kernels;
    return kernels;
}

bool add(const Kernel &kernel)
{
    return known().insert({kernel.name, kernel}).second;
}

const Kernel *find(const char *name)
{
    auto found = known().find(name);
    return found == known().end() ? nullptr : &found->second;
}

static bool same(const Site &a, const Site &b)
{
    return a.line == b.line && strcmp(a.file, b.file) == 0;
}

/* ---- messages ---- */

static std::string format(const char *pattern, ...) __attribute__((format(printf, 1, 2)));
static std::string format(const char *pattern, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, pattern);
    vsnprintf(text, sizeof text, pattern, arguments);
    va_end(arguments);
    return text;
}

static std::string place(const Site &site)
{
    std::string file = site.file;
    return format("%s:%d", file.substr(file.rfind('/') + 1).c_str(), site.line);
}

static const char *operation_name(Operation operation)
{
    switch (operation) {
    case Operation::barrier:
        return "__syncthreads";
    case Operation::warp_barrier:
        return "__syncwarp";
    case Operation::shuffle:
        return "a shuffle";
    default:
        return "__ballot_sync";
    }
}

static std::string block_name()
{
    return format("%s, block (%u, %u, %u)", launch->kernel->name, blockIdx.x, blockIdx.y,
                  blockIdx.z);
}

static std::string thread_name(const Thread &thread)
{
    return block_name() +
           format(", thread (%u, %u, %u)", thread.index.x, thread.index.y, thread.index.z);
}

/* "3 threads have exited, 29 wait at norm.cu:40 in __syncthreads" */
static std::string what_threads_do()
{
    std::map<std::string, unsigned> counts;
    for (unsigned i = 0; i < thread_count; i++) {
        const Thread &thread = threads[i];
        std::string doing = "exited";
        if (thread.state != State::exited) {
            doing = "wait at " + place(thread.site) + " in " + operation_name(thread.operation);
            if (thread.operation != Operation::barrier)
                doing += format(" of the lanes %08x", thread.mask);
        }
        counts[doing]++;
    }
    std::string text;
    for (const auto &[doing, count] : counts)
        text += format("%s%u %s", text.empty() ? "" : ", ", count, doing.c_str());
    return text;
}

/* ---- in a thread ---- */

static void leave(State state)
{
    current->state = state;
    fiber::switch_to(current->context, scheduler);
}

/* The launch ends here: the scheduler does not come back. */
static void fail(const std::string &message)
{
    problem = message;
    leave(State::exited);
}

static void on_fault(const void *address)
{
    char text[64];
    snprintf(text, sizeof text, ": an invalid memory access, address %p", address);
    fail(thread_name(*current) + text);
}

static void thread_main()
{
    launch->kernel->call(launch->parameter);
    leave(State::exited);
    __builtin_unreachable();
}

void *dynamic_shared()
{
    return dynamic_memory.data();
}

unsigned lane()
{
    return (unsigned)(current - threads) % warp_lanes;
}

void block_barrier(Site site)
{
    current->operation = Operation::barrier;
    current->site = site;
    leave(State::at_barrier);
}

uint64_t warp_operation(Operation operation, unsigned mask, uint64_t value, unsigned source,
                        Site site)
{
    if (!(mask >> lane() & 1))
        fail(thread_name(*current) + ": at " + place(site) + " the lanes " +
             format("%08x of %s do not hold its own, %u", mask, operation_name(operation), lane()));
    current->operation = operation;
    current->site = site;
    current->mask = mask;
    current->source = source;
    current->value = value;
    leave(State::in_warp_operation);
    return current->value;
}

/* ---- the scheduler ---- */

static void resume(Thread &thread)
{
    if (!thread.started) {
        thread.started = true;
        thread.stack = stacks::take();
        fiber::prepare(thread.context, thread.stack, stacks::bytes, thread_main);
    }
    current = &thread;
    threadIdx = thread.index;
    fiber::switch_to(scheduler, thread.context);
    if (thread.state == State::exited)
        stacks::give_back(thread.stack);
}

/* Carries out an operation of a warp at which all lanes in `group` have arrived. */
static void complete(Thread *warp, unsigned group)
{
    const Thread &first = warp[__builtin_ctz(group)];
    uint64_t values[warp_lanes], ballot = 0;
    for (unsigned lanes = group; lanes != 0; lanes &= lanes - 1) {
        unsigned lane = (unsigned)__builtin_ctz(lanes);
        const Thread &thread = warp[lane];
        if (thread.operation != first.operation || !same(thread.site, first.site)) {
            problem = thread_name(thread) + " is at " + place(thread.site) + " in " +
                      operation_name(thread.operation) + ", another lane of its warp at " +
                      place(first.site) + " in " + operation_name(first.operation);
            return;
        }
        values[lane] = thread.value;
        ballot |= thread.value << lane;
    }
    for (unsigned lanes = group; lanes != 0; lanes &= lanes - 1) {
        Thread &thread = warp[__builtin_ctz(lanes)];
        if (thread.operation == Operation::shuffle) {
            if (!(group >> thread.source & 1)) {
                problem = thread_name(thread) + ": at " + place(thread.site) +
                          format(" it reads lane %u, which takes no part in the shuffle of the "
                                 "lanes %08x",
                                 thread.source, thread.mask);
                return;
            }
            thread.value = values[thread.source];
        } else {
            thread.value = ballot & 0xFFFFFFFFu;
        }
        thread.state = State::ready;
    }
}

/* Carries out what all lanes that it names, but those that exited, have arrived at. */
static bool complete_operations(Thread *warp, unsigned lanes)
{
    unsigned waiting = 0, present = 0;
    for (unsigned lane = 0; lane < lanes; lane++) {
        waiting |= (unsigned)(warp[lane].state == State::in_warp_operation) << lane;
        present |= (unsigned)(warp[lane].state != State::exited) << lane;
    }
    bool any = false;
    while (waiting != 0 && problem.empty()) {
        unsigned mask = warp[__builtin_ctz(waiting)].mask, group = 0;
        for (unsigned lane = 0; lane < lanes; lane++)
            group |= (unsigned)((waiting >> lane & 1) && warp[lane].mask == mask) << lane;
        if (group == (mask & present)) {
            complete(warp, group);
            any = true;
        }
        waiting &= ~group;
    }
    return any;
}

/* Runs a warp until each of its threads has exited or waits for other warps. */
static void run_warp(Thread *warp, unsigned lanes)
{
    do {
        for (unsigned i = 0; i < lanes; i++) {
            Thread &thread = warp[launch->order == Order::ascending ? i : lanes - 1 - i];
            if (thread.state == State::ready)
                resume(thread);
            if (!problem.empty())
                return;
        }
    } while (complete_operations(warp, lanes));
}

/* Lets the threads go on that are all at one barrier. False: they all have exited. */
static bool pass_barrier()
{
    unsigned exited = 0, arrived = 0;
    for (unsigned i = 0; i < thread_count; i++) {
        const Thread &thread = threads[i];
        exited += thread.state == State::exited;
        arrived += thread.state == State::at_barrier && same(thread.site, threads[0].site);
    }
    if (exited == thread_count)
        return false;
    if (arrived != thread_count) {
        problem = block_name() + " cannot go on: of its threads, " + what_threads_do();
        return false;
    }
    for (unsigned i = 0; i < thread_count; i++)
        threads[i].state = State::ready;
    return true;
}

/* Between the variables too, where the address sanitizer lets nobody else; not by memset, which it
 * watches. */
__attribute__((noinline, no_sanitize_address)) static void fill(unsigned char *begin,
                                                                const unsigned char *end)
{
#if defined(__SANITIZE_ADDRESS__)
    for (volatile unsigned char *byte = begin; byte < end; byte++)
        *byte = poison;
#else
    if (begin != nullptr)
        memset(begin, poison, end - begin);
#endif
}

/* Shared memory is not what an earlier block left there. */
static void poison_shared()
{
    fill(launch->kernel->shared_begin, launch->kernel->shared_end);
    dynamic_memory.assign(dynamic_memory.size(), poison);
}

static void check_canary()
{
    for (size_t i = launch->shared; i < dynamic_memory.size() && problem.empty(); i++)
        if (dynamic_memory[i] != poison)
            problem = block_name() + format(" has written behind its %zu bytes of dynamic shared "
                                            "memory, at %zu",
                                            launch->shared, i);
}

static void run_block()
{
    const dim3 &block = launch->block;
    for (unsigned i = 0; i < thread_count; i++) {
        threads[i].state = State::ready;
        threads[i].started = false;
        threads[i].index = {i % block.x, i / block.x % block.y, i / block.x / block.y};
    }
    poison_shared();
    unsigned warps = (thread_count + warp_lanes - 1) / warp_lanes;
    do {
        for (unsigned i = 0; i < warps && problem.empty(); i++) {
            unsigned warp = launch->order == Order::ascending ? i : warps - 1 - i;
            unsigned first = warp * warp_lanes, left = thread_count - first;
            run_warp(threads + first, left < warp_lanes ? left : warp_lanes);
        }
    } while (problem.empty() && pass_barrier());
    check_canary();
}

std::string check(const Launch &asked)
{
    const Kernel &kernel = *asked.kernel;
    const dim3 &grid = asked.grid, &block = asked.block;
    std::string name = kernel.name;
    if (grid.x == 0 || grid.y == 0 || grid.z == 0 || block.x == 0 || block.y == 0 || block.z == 0)
        return name + format(": a grid of (%u, %u, %u) blocks of (%u, %u, %u) threads is empty",
                             grid.x, grid.y, grid.z, block.x, block.y, block.z);
    if (grid.x > 0x7FFFFFFFu || grid.y > 65535 || grid.z > 65535)
        return name + format(": the grid (%u, %u, %u) is larger than (2147483647, 65535, 65535)",
                             grid.x, grid.y, grid.z);
    unsigned long long count = (unsigned long long)block.x * block.y * block.z;
    if (count > most_block_threads || block.z > 64)
        return name + format(": a block of (%u, %u, %u) threads; 1024 are the most, 64 in z",
                             block.x, block.y, block.z);
    if (count > kernel.most_threads)
        return name + format(": a block of %llu threads, where its launch bounds are %u", count,
                             kernel.most_threads);
    return "";
}

std::string run(const Launch &asked)
{
    static std::mutex one_at_a_time;
    std::lock_guard<std::mutex> lock(one_at_a_time);
    problem = check(asked);
    if (!problem.empty())
        return problem;
    launch = &asked;
    gridDim = asked.grid;
    blockDim = asked.block;
    thread_count = asked.block.x * asked.block.y * asked.block.z;
    dynamic_memory = std::vector<unsigned char>(asked.shared + canary);
    Faults faults(on_fault);
    unsigned long long blocks = (unsigned long long)gridDim.x * gridDim.y * gridDim.z;
    for (unsigned long long i = 0; i < blocks && problem.empty(); i++) {
        unsigned long long block = asked.order == Order::ascending ? i : blocks - 1 - i;
        blockIdx = {(unsigned)(block % gridDim.x), (unsigned)(block / gridDim.x % gridDim.y),
                    (unsigned)(block / gridDim.x / gridDim.y)};
        run_block();
    }
    if (!problem.empty())
        stacks::reset();
    return problem;
}

} // namespace emulator
