/* What every fuzz target needs: a check that stops the fuzzer, and memory that is counted. */
#ifndef FT_FUZZ_CHECK_H
#define FT_FUZZ_CHECK_H

#include <stdint.h>
#include <stdio.h>

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition);         \
            __builtin_trap();                                                                      \
        }                                                                                          \
    } while (0)

/* The target: one input. libFuzzer's name for it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Lets the next `count` calls of ft_allocate succeed and all later ones fail; -1: none fails. */
void allocations_fail_after(int count);

/* Buffers that came from ft_allocate and have not been released. */
int allocations_alive(void);

#endif
